//! XEP-0421 Occupant identifiers for semi-anonymous MUCs, v1.0.1 <https://xmpp.org/extensions/xep-0421.html>
//!
//! Only worth something when the room put it there, which is judged elsewhere.

use crate::ns;
use crate::payload::only_id;

/// `<occupant-id id=''/>`
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OccupantId {
    /// The same for one person in one room, whatever the nick.
    pub id: String,
}

only_id!(OccupantId, "occupant-id", ns::OCCUPANT_ID);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::element::Element;
    use crate::payload::Payload as _;

    #[test]
    fn the_listing_is_read_and_written_back() {
        let element = OccupantId::element().with_attr("id", "dd72603deec90a38ba552f7c68cbcc61bca202cd");
        assert_eq!(OccupantId::read(&element).unwrap().write(), element);
    }

    #[test]
    fn without_an_id_it_is_nobody() {
        assert!(OccupantId::read(&OccupantId::element()).is_err());
        assert!(OccupantId::read(&OccupantId::element().with_attr("id", "")).is_err());
        assert!(OccupantId::read(&OccupantId::element().with_attr("id", "a").with_child(Element::new("x", "urn:example"))).is_ok());
    }
}

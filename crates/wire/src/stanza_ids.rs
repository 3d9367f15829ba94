//! XEP-0359 Unique and stable stanza IDs, v0.7.0 <https://xmpp.org/extensions/xep-0359.html>
//!
//! Whether a `stanza-id` may be believed (only from who is named in `by`, and if that one announces them) is decided elsewhere.

use crate::element::Element;
use crate::jid::Jid;
use crate::ns;
use crate::payload::{Payload, ReadError, only_id};
use crate::reading::id;

fn by(element: &Element) -> Result<Jid, ReadError> {
    Jid::from_server(element.required("by")?).map_err(|error| ReadError::new(element, error.to_string()))
}

/// `<origin-id/>`: chosen by the sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginId {
    /// The id.
    pub id: String,
}

only_id!(OriginId, "origin-id", ns::STANZA_ID);

macro_rules! chosen_by {
    ($(#[$doc:meta])* $type:ident, $name:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $type {
            /// The id.
            pub id: String,
            /// Who chose it.
            pub by: Jid,
        }

        impl Payload for $type {
            const NAME: &'static str = $name;
            const NS: &'static str = ns::STANZA_ID;

            fn read(element: &Element) -> Result<Self, ReadError> {
                Self::expect(element)?;
                Ok(Self { id: id(element)?, by: by(element)? })
            }

            fn write(&self) -> Element {
                Self::element().with_attr("id", &self.id).with_attr("by", self.by.as_str())
            }
        }
    };
}

chosen_by!(
    /// `<stanza-id/>`: chosen by a room or an archive.
    StanzaId, "stanza-id"
);
chosen_by!(
    /// `<referenced-stanza/>`: points at a stanza by its `stanza-id`.
    ReferencedStanza, "referenced-stanza"
);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn the_listings_are_read_and_written_back() {
        let stanza_id = StanzaId::element().with_attr("id", "de305d54-75b4-431b-adb2-eb6b9e546013").with_attr("by", "room@muc.example.com");
        let read = StanzaId::read(&stanza_id).unwrap();
        assert_eq!(read.by.as_str(), "room@muc.example.com");
        assert_eq!(read.write(), stanza_id);
        let origin_id = OriginId::element().with_attr("id", "de305d54-75b4-431b-adb2-eb6b9e546013");
        assert_eq!(OriginId::read(&origin_id).unwrap().write(), origin_id);
        let referenced = ReferencedStanza::element().with_attr("id", "xep359-stanza-id").with_attr("by", "muc.example.org");
        assert_eq!(ReferencedStanza::read(&referenced).unwrap().write(), referenced);
    }

    #[test]
    fn missing_empty_and_malformed_parts_are_refused_and_unknown_ones_ignored() {
        assert!(OriginId::read(&OriginId::element()).is_err());
        assert!(OriginId::read(&OriginId::element().with_attr("id", "")).is_err());
        assert!(StanzaId::read(&StanzaId::element().with_attr("id", "1")).is_err());
        let odd = StanzaId::element().with_attr("id", "1").with_attr("by", "a.example").with_child(Element::new("x", "urn:example"));
        assert!(StanzaId::read(&odd).is_ok());
    }
}

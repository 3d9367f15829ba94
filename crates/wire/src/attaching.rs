//! XEP-0367 Message attaching, v0.3 <https://xmpp.org/extensions/xep-0367.html>

use crate::ns;
use crate::payload::only_id;

/// `<attach-to id=''/>`: this message belongs to an earlier one. In rooms the id is the one the room gave (XEP-0359),
/// elsewhere the origin-id, else the id of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachTo {
    /// Id of the earlier message.
    pub id: String,
}

only_id!(AttachTo, "attach-to", ns::ATTACHING);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::element::Element;
    use crate::payload::Payload as _;

    /// Proves: ATT-3-1.
    #[test]
    fn names_the_message_it_belongs_to() {
        let element = AttachTo::element().with_attr("id", "SD24VCzSYQ");
        let read = AttachTo::read(&element).unwrap();
        assert_eq!(read.id, "SD24VCzSYQ");
        assert_eq!(read.write(), element);
    }

    #[test]
    fn without_an_id_it_belongs_to_nothing() {
        assert!(AttachTo::read(&AttachTo::element()).is_err());
        assert!(AttachTo::read(&AttachTo::element().with_attr("id", "")).is_err());
        assert!(AttachTo::read(&Element::new("attach-to", "urn:xmpp:message-attaching:0").with_attr("id", "1")).is_err());
        assert!(AttachTo::read(&AttachTo::element().with_attr("id", "1").with_child(Element::new("x", "urn:example"))).is_ok());
    }
}

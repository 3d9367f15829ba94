//! XEP-0313 Message archive management, v1.1.3 <https://xmpp.org/extensions/xep-0313.html>
//! Status: partial: the result of a query is read; nothing is queried.
//!
//! A result counts only when the message around it comes from the archive that was asked, and carries the id of a query that is
//! open; who checks that is not in this crate.

use crate::element::Element;
use crate::forwarding::Forwarded;
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::reading::filled;

/// `<result/>`: one message of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveResult {
    /// Id of the query it answers, as the one who asked chose it.
    pub query_id: Option<String>,
    /// Its id in the archive.
    pub id: Option<String>,
    /// The message, and when it was sent.
    pub forwarded: Forwarded,
}

impl Payload for ArchiveResult {
    const NAME: &'static str = "result";
    const NS: &'static str = ns::MAM;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let own = |attribute| filled(element, attribute).map(str::to_owned);
        let forwarded = element.payload().ok_or_else(|| ReadError::new(element, "nothing is forwarded inside"))?;
        Ok(Self { query_id: own("queryid"), id: own("id"), forwarded: forwarded? })
    }

    fn write(&self) -> Element {
        Self::element()
            .with_attr_opt("queryid", self.query_id.as_deref())
            .with_attr_opt("id", self.id.as_deref())
            .with_child(self.forwarded.write())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn listing(file: &str) -> ArchiveResult {
        let message = Element::parse(&testing_corpus::example(file).in_stream()).unwrap();
        message.payload::<ArchiveResult>().unwrap().unwrap()
    }

    #[test]
    fn the_listings_are_read_and_written_back() {
        let result = listing("xep-0313/17-1-server-returns-two-matching-messages.xml");
        assert_eq!((result.query_id.as_deref(), result.id.as_deref()), (Some("f27"), Some("28482-98726-73623")));
        assert_eq!(result.forwarded.delay.as_ref().unwrap().stamp.unix(), 1_278_803_305);
        assert!(result.forwarded.message().unwrap().body().unwrap().starts_with("Call me but love"));
        assert_eq!(ArchiveResult::read(&result.write()).unwrap(), result);
        assert_eq!(listing("xep-0313/27-1-server-returns-muc-messages.xml").query_id.as_deref(), Some("g27"));
    }

    #[test]
    fn ids_may_be_absent_and_the_message_may_not() {
        let forwarded = "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'/></forwarded>";
        let read =
            |inside: &str| ArchiveResult::read(&Element::parse(&format!("<result xmlns='urn:xmpp:mam:2'>{inside}</result>")).unwrap());
        let bare = read(&format!("<x xmlns='urn:example'/>{forwarded}")).unwrap();
        assert_eq!((bare.query_id, bare.id), (None, None));
        assert!(read("").is_err());
        assert!(read("<forwarded xmlns='urn:xmpp:forward:0'/>").is_err());
        assert!(ArchiveResult::read(&Element::new("result", "urn:xmpp:mam:1")).is_err());
    }
}

//! XEP-0313 Message archive management, v1.1.3 <https://xmpp.org/extensions/xep-0313.html>
//! Status: partial: queries by page and by time, their results and their end; no preferences, no metadata, no flipped pages.
//!
//! A result counts only when the message around it comes from the archive that was asked, and carries the id of a query that is
//! open; who checks that is not in this crate.

use crate::data_form::{DataForm, Field, FormKind};
use crate::datetime::DateTime;
use crate::element::Element;
use crate::forwarding::Forwarded;
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::reading::{boolean, filled};
use crate::result_set::ResultSet;

/// `<query/>`: asks an archive, in an iq of type set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchiveQuery {
    /// Comes back with each result; who asks chooses it.
    pub query_id: Option<String>,
    /// Only what was said then or later.
    pub start: Option<DateTime>,
    /// Which page.
    pub page: ResultSet,
}

impl Payload for ArchiveQuery {
    const NAME: &'static str = "query";
    const NS: &'static str = ns::MAM;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let form = element.payload::<DataForm>().and_then(Result::ok);
        Ok(Self {
            query_id: filled(element, "queryid").map(str::to_owned),
            start: form.as_ref().and_then(|form| form.value("start")).and_then(DateTime::parse),
            page: element.payload::<ResultSet>().and_then(Result::ok).unwrap_or_default(),
        })
    }

    fn write(&self) -> Element {
        let since = |start: DateTime| Field::new("start").with_value(start.to_string());
        let form = self.start.map(|start| DataForm::typed(FormKind::Submit, ns::MAM).with(since(start)));
        Self::element()
            .with_attr_opt("queryid", self.query_id.as_deref())
            .with_child_opt(form.map(|form| form.write()))
            .with_child(self.page.write())
    }
}

/// `<fin/>`: all results of a query were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchiveEnd {
    /// Nothing follows behind this page.
    pub is_complete: bool,
    /// Which page it was.
    pub page: ResultSet,
}

impl Payload for ArchiveEnd {
    const NAME: &'static str = "fin";
    const NS: &'static str = ns::MAM;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        Ok(Self {
            is_complete: element.attr("complete").and_then(boolean).unwrap_or_default(),
            page: element.payload::<ResultSet>().and_then(Result::ok).unwrap_or_default(),
        })
    }

    fn write(&self) -> Element {
        Self::element().with_attr_opt("complete", self.is_complete.then_some("true")).with_child(self.page.write())
    }
}

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

    fn inside<P: Payload>(file: &str) -> P {
        let iq = Element::parse(&testing_corpus::example(file).in_stream()).unwrap();
        iq.payload().unwrap().unwrap()
    }

    #[test]
    fn queries_and_their_ends_are_read_and_written_as_listed() {
        let query: ArchiveQuery = inside("xep-0313/18-a-query-using-result-set-management.xml");
        assert_eq!((query.start.unwrap().to_string().as_str(), query.page.max), ("2010-08-07T00:00:00Z", Some(10)));
        assert_eq!(ArchiveQuery::read(&query.write()).unwrap(), query);
        let form = query.write().children().next().unwrap().clone();
        assert_eq!(form.attr("type"), Some("submit"));
        assert_eq!(
            inside::<ArchiveQuery>("xep-0313/20-a-page-query-using-result-set-management.xml").page.after.unwrap(),
            "09af3-cc343-b409f"
        );
        let end: ArchiveEnd = inside("xep-0313/19-server-responds-to-client-with-limited-results-using-rsm.xml");
        assert_eq!((end.is_complete, end.page.last.as_deref(), end.page.count), (false, Some("09af3-cc343-b409f"), Some(20)));
        let end: ArchiveEnd = inside("xep-0313/22-server-completes-a-result-with-the-last-page-of-messages.xml");
        assert!(end.is_complete);
        assert_eq!(ArchiveEnd::read(&end.write()).unwrap(), end);
    }

    #[test]
    fn an_end_without_a_page_and_odd_words_are_read_as_nothing() {
        let odd = Element::parse("<fin xmlns='urn:xmpp:mam:2' complete='perhaps' stable='x'><x xmlns='urn:example'/></fin>").unwrap();
        assert_eq!(ArchiveEnd::read(&odd).unwrap(), ArchiveEnd::default());
        assert!(ArchiveEnd::read(&Element::new("fin", "urn:xmpp:mam:1")).is_err());
        let bare = ArchiveQuery::read(&Element::new("query", ns::MAM)).unwrap();
        assert_eq!(bare, ArchiveQuery::default());
        assert!(ArchiveQuery::read(&Element::new("query", "urn:xmpp:mam:1")).is_err());
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

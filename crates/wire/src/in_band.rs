//! XEP-0047 In-band bytestreams, v2.0.1 <https://xmpp.org/extensions/xep-0047.html>
//!
//! A stream in stanzas: `open`, numbered blocks of base64, `close`. Base64 is taken as the standard writes it: anything else in a
//! block (but the line breaks of XML, which the document prints itself) makes it unreadable (§6).

use crate::base64;
use crate::element::Element;
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::reading::{filled, number};

/// What blocks travel in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StanzaKind {
    /// `iq`, each answered; what no word means.
    #[default]
    Iq,
    /// `message`, with nothing said in return.
    Message,
}

impl StanzaKind {
    /// The attribute value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Iq => "iq",
            Self::Message => "message",
        }
    }

    pub(crate) fn read(element: &Element) -> Result<Self, ReadError> {
        match filled(element, "stanza") {
            None | Some("iq") => Ok(Self::Iq),
            Some("message") => Ok(Self::Message),
            Some(_) => Err(ReadError::new(element, "stanza is neither iq nor message")),
        }
    }
}

/// `<open/>`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// Id of the stream.
    pub sid: String,
    /// Bytes of a block at most, before base64; never 0.
    pub block_size: u16,
    /// What blocks travel in.
    pub stanza: StanzaKind,
}

/// `<data/>`: a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// Id of the stream.
    pub sid: String,
    /// Its number, from 0, 0 again after 65,535.
    pub seq: u16,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// `<close/>`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// Id of the stream.
    pub sid: String,
}

impl Payload for Open {
    const NAME: &'static str = "open";
    const NS: &'static str = ns::IBB;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        Ok(Self { sid: read_sid(element)?, block_size: read_block_size(element)?, stanza: StanzaKind::read(element)? })
    }

    fn write(&self) -> Element {
        Self::element()
            .with_attr("block-size", self.block_size.to_string())
            .with_attr("sid", &self.sid)
            .with_attr("stanza", self.stanza.as_str())
    }
}

impl Payload for Data {
    const NAME: &'static str = "data";
    const NS: &'static str = ns::IBB;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let seq = element.attr("seq").and_then(number).ok_or_else(|| ReadError::new(element, "seq is no number of 16 bits"))?;
        let bytes = base64::decode(&element.text()).map_err(|error| ReadError::new(element, error.to_string()))?;
        Ok(Self { sid: read_sid(element)?, seq, bytes })
    }

    fn write(&self) -> Element {
        Self::element().with_attr("seq", self.seq.to_string()).with_attr("sid", &self.sid).with_text(base64::encode(&self.bytes))
    }
}

impl Payload for Close {
    const NAME: &'static str = "close";
    const NS: &'static str = ns::IBB;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        Ok(Self { sid: read_sid(element)? })
    }

    fn write(&self) -> Element {
        Self::element().with_attr("sid", &self.sid)
    }
}

fn read_sid(element: &Element) -> Result<String, ReadError> {
    filled(element, "sid").map(str::to_owned).ok_or_else(|| ReadError::new(element, "no sid"))
}

/// A size of blocks from 1 to 65,535 (decision 24).
pub(crate) fn read_block_size(element: &Element) -> Result<u16, ReadError> {
    let size = element.attr("block-size").and_then(number).filter(|size| *size != 0);
    size.ok_or_else(|| ReadError::new(element, "block-size is no number from 1 to 65535"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn block(attributes: &str, text: &str) -> Result<Data, ReadError> {
        Data::read(&Element::parse(&format!("<data xmlns='http://jabber.org/protocol/ibb' {attributes}>{text}</data>")).unwrap())
    }

    #[test]
    fn the_listing_opens_sends_and_closes() {
        let of = |file: &str| Element::parse(&testing_corpus::example(file).in_stream()).unwrap();
        let open = of("xep-0047/01-initiator-requests-session.xml").payload::<Open>().unwrap().unwrap();
        assert_eq!(open, Open { sid: "i781hf64".to_owned(), block_size: 4096, stanza: StanzaKind::Iq });
        for file in ["xep-0047/06-sending-data-in-an-iq-stanza.xml", "xep-0047/11-sending-data-in-a-message-stanza.xml"] {
            let data = of(file).payload::<Data>().unwrap().unwrap();
            assert_eq!((data.sid.as_str(), data.seq, data.bytes.len(), &data.bytes[..3]), ("i781hf64", 0, 240, &[0xa8, 0x03, 0x50][..]));
        }
        let close = of("xep-0047/08-closing-the-bytestream.xml").payload::<Close>().unwrap().unwrap();
        assert_eq!(close.sid, open.sid);
    }

    /// Proves: IBB-6-1.
    #[test]
    fn a_block_with_anything_but_base64_in_it_is_refused() {
        let good = "seq='0' sid='1'";
        assert_eq!(block(good, "Zm9vYg==").unwrap().bytes, b"foob");
        for bad in ["Zm9v*g==", "Zm9vYg", "Zm9vYg=", "Zm=vYg==", "Zm9vYg===", "=Zm9vYg=", "Zm9v-_8=", "Zm9v\u{a0}Yg==", "Zm9vYh==", "<b/>*"]
        {
            assert!(block(good, bad).is_err(), "{bad}");
        }
        assert_eq!(block(good, "").unwrap().bytes, b"");
    }

    /// The vectors have numbers of blocks; one above 16 bits cannot be read.
    #[test]
    fn numbers_of_blocks_have_16_bits() {
        assert_eq!(block("seq='65535' sid='1'", "").unwrap().seq, u16::MAX);
        for bad in ["seq='65536' sid='1'", "seq='-1' sid='1'", "sid='1'", "seq='0'", "seq='0' sid=''", "seq='a' sid='1'"] {
            assert!(block(bad, "").is_err(), "{bad}");
        }
    }

    #[test]
    fn streams_are_opened_with_blocks_of_1_to_65535_bytes() {
        let open = |attributes: &str| {
            Open::read(&Element::parse(&format!("<open xmlns='http://jabber.org/protocol/ibb' {attributes}/>")).unwrap())
        };
        assert_eq!(open("sid='1' block-size='65535'").unwrap().stanza, StanzaKind::Iq);
        for bad in [
            "sid='1'",
            "block-size='1'",
            "sid='1' block-size='0'",
            "sid='1' block-size='65536'",
            "sid='1' block-size='1' stanza='presence'",
        ] {
            assert!(open(bad).is_err(), "{bad}");
        }
        let by_message = open("sid='1' block-size='1' stanza='message'").unwrap();
        assert_eq!(Open::read(&by_message.write()).unwrap(), by_message);
        assert!(Close::read(&Element::new("close", ns::IBB)).is_err());
    }
}

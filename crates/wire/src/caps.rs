//! XEP-0115 Entity capabilities, v1.6.0 <https://xmpp.org/extensions/xep-0115.html>

use crate::element::Element;
use crate::ns;
use crate::payload::{Payload, ReadError};

/// What is announced in presence: a hash over the answer to disco#info.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Name of the hash function, as in the IANA registry (`sha-1`).
    pub hash: String,
    /// A URI that names the software.
    pub node: String,
    /// The verification string, base64 of the hash.
    pub ver: String,
}

impl Caps {
    /// The node to ask disco#info for: `node#ver`.
    #[must_use]
    pub fn disco_node(&self) -> String {
        format!("{}#{}", self.node, self.ver)
    }
}

impl Payload for Caps {
    const NAME: &'static str = "c";
    const NS: &'static str = ns::CAPS;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let owned = |name: &str| element.required(name).map(str::to_owned);
        Ok(Self { hash: owned("hash")?, node: owned("node")?, ver: owned("ver")? })
    }

    fn write(&self) -> Element {
        Self::element().with_attr("hash", &self.hash).with_attr("node", &self.node).with_attr("ver", &self.ver)
    }
}

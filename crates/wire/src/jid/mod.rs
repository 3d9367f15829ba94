//! RFC 7622 Addresses: prepared when they are made, cheap to clone and to compare.

mod domain;
pub mod escape;
mod precis;

use std::borrow::Cow;
use std::num::NonZeroU16;
use std::sync::Arc;

/// Bytes that each part may have.
const MAX_PART: usize = 1023;

/// An XMPP address, prepared, cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Jid {
    text: Arc<str>,
    /// Where the `@` is.
    at: Option<NonZeroU16>,
    /// Where the `/` is.
    slash: Option<NonZeroU16>,
}

/// Why an address was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JidError {
    /// A part is empty.
    #[error("the {0} of the address is empty")]
    Empty(&'static str),
    /// A part is longer than 1023 bytes.
    #[error("the {0} of the address is longer than 1023 bytes")]
    TooLong(&'static str),
    /// A part has what RFC 7622 refuses.
    #[error("the {part} of the address is not allowed: {why}")]
    Refused {
        /// which part
        part: &'static str,
        /// what is wrong
        why: &'static str,
    },
    /// A full JID was needed.
    #[error("the address has no resource")]
    NoResource,
    /// A bare JID was needed.
    #[error("the address has a resource")]
    HasResource,
}

/// What to do with a resource that PRECIS refuses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Resource {
    Strict,
    AsServerSays,
}

impl Jid {
    /// Parses and prepares an address strictly (what people type, what we mint).
    ///
    /// # Errors
    /// When RFC 7622 refuses it.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        Self::split_and_prepare(text, Resource::Strict)
    }

    /// As [`Jid::parse`], but keeps a resource that only PRECIS refuses (decision 64): a phone called `❤️` is a phone.
    ///
    /// # Errors
    /// When RFC 7622 refuses it otherwise.
    pub fn from_server(text: &str) -> Result<Self, JidError> {
        Self::split_and_prepare(text, Resource::AsServerSays)
    }

    /// Prepares an address from its parts, strictly. A `/` or `@` in a part does not split it.
    ///
    /// # Errors
    /// When RFC 7622 refuses a part.
    pub fn from_parts(local: Option<&str>, domain: &str, resource: Option<&str>) -> Result<Self, JidError> {
        Self::prepare(local, domain, resource, Resource::Strict)
    }

    /// As [`Jid::from_parts`], with the leniency of [`Jid::from_server`].
    pub(crate) fn from_foreign_parts(local: Option<&str>, domain: &str, resource: Option<&str>) -> Result<Self, JidError> {
        Self::prepare(local, domain, resource, Resource::AsServerSays)
    }

    fn split_and_prepare(text: &str, rule: Resource) -> Result<Self, JidError> {
        let (bare, resource) = match text.split_once('/') {
            Some((bare, resource)) => (bare, Some(resource)),
            None => (text, None),
        };
        let (local, domain) = match bare.split_once('@') {
            Some((local, domain)) => (Some(local), domain),
            None => (None, bare),
        };
        Self::prepare(local, domain, resource, rule)
    }

    fn prepare(local: Option<&str>, domain: &str, resource: Option<&str>, rule: Resource) -> Result<Self, JidError> {
        let local = local.map(prepare_local).transpose()?;
        let domain = prepare_domain(domain)?;
        let resource = resource.map(|resource| prepare_resource(resource, rule)).transpose()?;
        Ok(Self::join(local.as_deref(), &domain, resource.as_deref()))
    }

    fn join(local: Option<&str>, domain: &str, resource: Option<&str>) -> Self {
        let length = |part: Option<&str>| part.map_or(0, |part| part.len() + 1);
        let mut text = String::with_capacity(length(local) + domain.len() + length(resource));
        let mark = |text: &String| u16::try_from(text.len()).ok().and_then(NonZeroU16::new);
        let at = local.and_then(|local| {
            text.push_str(local);
            let at = mark(&text);
            text.push('@');
            at
        });
        text.push_str(domain);
        let slash = resource.and_then(|resource| {
            let slash = mark(&text);
            text.push('/');
            text.push_str(resource);
            slash
        });
        Self { text: text.into(), at, slash }
    }

    /// The whole prepared address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn at(&self) -> Option<usize> {
        self.at.map(|at| usize::from(at.get()))
    }

    fn slash(&self) -> Option<usize> {
        self.slash.map(|slash| usize::from(slash.get()))
    }

    /// The part before the `@`.
    #[must_use]
    pub fn local(&self) -> Option<&str> {
        self.at().map(|at| &self.text[..at])
    }

    /// The domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.text[self.at().map_or(0, |at| at + 1)..self.slash().unwrap_or(self.text.len())]
    }

    /// The part behind the first `/`.
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        self.slash().map(|slash| &self.text[slash + 1..])
    }

    /// Whether there is no resource.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.slash.is_none()
    }

    /// The text without its resource; no allocation.
    #[must_use]
    pub fn bare_str(&self) -> &str {
        &self.text[..self.slash().unwrap_or(self.text.len())]
    }

    /// The address without its resource.
    #[must_use]
    pub fn bare(&self) -> BareJid {
        match self.slash {
            None => BareJid(self.clone()),
            Some(_) => BareJid(Self { text: self.bare_str().into(), at: self.at, slash: None }),
        }
    }

    /// The domain as an address of its own.
    #[must_use]
    pub fn domain_jid(&self) -> BareJid {
        BareJid(Self { text: self.domain().into(), at: None, slash: None })
    }

    /// The same bare address with a (strictly prepared) resource.
    ///
    /// # Errors
    /// When the resource is refused.
    pub fn with_resource(&self, resource: &str) -> Result<FullJid, JidError> {
        let resource = prepare_resource(resource, Resource::Strict)?;
        Ok(FullJid(Self::join(self.local(), self.domain(), Some(&resource))))
    }

    /// This address as a full one.
    ///
    /// # Errors
    /// When there is no resource.
    pub fn into_full(self) -> Result<FullJid, JidError> {
        if self.slash.is_some() { Ok(FullJid(self)) } else { Err(JidError::NoResource) }
    }

    /// This address as a bare one.
    ///
    /// # Errors
    /// When there is a resource.
    pub fn into_bare(self) -> Result<BareJid, JidError> {
        if self.slash.is_none() { Ok(BareJid(self)) } else { Err(JidError::HasResource) }
    }
}

fn bounded<'a>(part: &'static str, text: Cow<'a, str>) -> Result<Cow<'a, str>, JidError> {
    match text.len() {
        0 => Err(JidError::Empty(part)),
        1..=MAX_PART => Ok(text),
        _ => Err(JidError::TooLong(part)),
    }
}

/// Preparing costs time: what is far too long is not even tried. Nothing gets shorter than a third by it.
fn worth_preparing(part: &'static str, text: &str) -> Result<(), JidError> {
    if text.len() > 3 * MAX_PART { Err(JidError::TooLong(part)) } else { Ok(()) }
}

fn prepare_local(text: &str) -> Result<Cow<'_, str>, JidError> {
    const PART: &str = "local part";
    let refused = |why| JidError::Refused { part: PART, why };
    worth_preparing(PART, text)?;
    let prepared = if text.bytes().all(|byte| matches!(byte, b'!'..=b'~')) {
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) { Cow::Owned(text.to_ascii_lowercase()) } else { Cow::Borrowed(text) }
    } else {
        Cow::Owned(precis::enforce_username(text).map_err(refused)?)
    };
    if prepared.contains(['"', '&', '\'', '/', ':', '<', '>', '@']) {
        return Err(refused("it has one of the characters \" & ' / : < > @"));
    }
    bounded(PART, prepared)
}

fn prepare_domain(text: &str) -> Result<Cow<'_, str>, JidError> {
    const PART: &str = "domain";
    if text.is_empty() {
        return Err(JidError::Empty(PART));
    }
    worth_preparing(PART, text)?;
    let prepared = domain::prepare(text).map_err(|why| JidError::Refused { part: PART, why })?;
    bounded(PART, prepared)
}

fn prepare_resource(text: &str, rule: Resource) -> Result<Cow<'_, str>, JidError> {
    const PART: &str = "resource";
    worth_preparing(PART, text)?;
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return bounded(PART, Cow::Borrowed(text));
    }
    match precis::enforce_opaque(text) {
        Ok(prepared) => bounded(PART, Cow::Owned(prepared)),
        // Why does not matter, it is kept; but what ends a line, or cannot stand in XML at all, is no name of anything.
        Err(_) if rule == Resource::AsServerSays && !text.contains(is_unspeakable) => bounded(PART, precis::nfc(text)),
        Err(why) => Err(JidError::Refused { part: PART, why }),
    }
}

fn is_unspeakable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}')
}

impl std::fmt::Display for Jid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::fmt::Debug for Jid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Jid({})", self.text)
    }
}

impl std::str::FromStr for Jid {
    type Err = JidError;
    fn from_str(text: &str) -> Result<Self, JidError> {
        Self::parse(text)
    }
}

macro_rules! narrowed {
    ($(#[$doc:meta])* $name:ident, $into:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub struct $name(Jid);

        impl $name {
            /// This address as one that may or may not have a resource.
            #[must_use]
            pub fn into_jid(self) -> Jid {
                self.0
            }
        }

        impl std::ops::Deref for $name {
            type Target = Jid;
            fn deref(&self) -> &Jid {
                &self.0
            }
        }

        impl AsRef<Jid> for $name {
            fn as_ref(&self) -> &Jid {
                &self.0
            }
        }

        impl From<$name> for Jid {
            fn from(jid: $name) -> Jid {
                jid.0
            }
        }

        impl From<&$name> for Jid {
            fn from(jid: &$name) -> Jid {
                jid.0.clone()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = JidError;
            fn from_str(text: &str) -> Result<Self, JidError> {
                Jid::parse(text)?.$into()
            }
        }
    };
}

narrowed!(
    /// An address without resource: an account, a room, a domain.
    BareJid, into_bare
);
narrowed!(
    /// An address with resource: one connected device, an occupant of a room.
    FullJid, into_full
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Proves: C7622-3.1-1, C7622-3.2-1, C7622-3.3-1, C7622-3.4-1.
    #[test]
    fn reads_what_the_table_allows_and_nothing_else() {
        for case in testing_corpus::cases("jid") {
            let input = case["input"].as_str().unwrap();
            let read = Jid::parse(input);
            assert_eq!(read.is_ok(), case["valid"].as_bool().unwrap(), "{input:?}: {read:?}");
            let Ok(jid) = read else { continue };
            assert_eq!(Some(jid.as_str()), case["normalized"].as_str());
            assert_eq!(jid.local(), case["local"].as_str());
            assert_eq!(Some(jid.domain()), case["domain"].as_str());
            assert_eq!(jid.resource(), case["resource"].as_str());
            assert_eq!(Some(jid.bare().as_str()), case["bare"].as_str());
        }
    }

    /// Proves: C7622-4-1.
    #[test]
    fn compares_prepared() {
        let table = testing_corpus::vector("jid");
        for case in table["equality"].as_array().unwrap() {
            let jid = |side: &str| Jid::parse(case[side].as_str().unwrap()).unwrap();
            assert_eq!(jid("a") == jid("b"), case["equal"].as_bool().unwrap(), "{case}");
        }
    }

    /// Emoji are legal in resources by today's Unicode; with a variation selector only if a server says so (decision 64).
    #[test]
    fn keeps_resources_that_a_server_hands_us() {
        assert_eq!(Jid::parse("juliet@example.com/🤔").unwrap().resource(), Some("🤔"));
        for text in ["juliet@example.com/❤\u{FE0F}", "juliet@example.com/👩\u{200D}🚀", "juliet@example.com/e\u{301}\u{FE0F}"] {
            assert!(matches!(Jid::parse(text), Err(JidError::Refused { part: "resource", .. })), "{text}");
            assert!("juliet@example.com".parse::<Jid>().unwrap().with_resource("❤\u{FE0F}").is_err());
            let kept = Jid::from_server(text).unwrap();
            assert_eq!(kept, Jid::from_server(&text.replace("e\u{301}", "é")).unwrap(), "compared after NFC");
        }
        assert_ne!(Jid::from_server("a@b/❤").unwrap(), Jid::from_server("a@b/❤\u{FE0F}").unwrap());
        assert_eq!(Jid::from_server("a@b/"), Err(JidError::Empty("resource")));
        assert_eq!(Jid::from_server("♚@b"), Jid::parse("♚@b"));
        assert_eq!(Jid::from_server(&format!("a@b/{}", "\u{FE0F}".repeat(400))), Err(JidError::TooLong("resource")));
    }

    /// Found by fuzzing: a line break in a resource would break the notes that hold addresses, a NUL the XML.
    #[test]
    fn a_resource_with_controls_in_it_is_refused_whoever_says_so() {
        for text in ["a@b/c\nd", "a@b/\u{0}", "a@b/\u{85}", "a@b/\u{7f}❤\u{FE0F}", "a@b/\u{ffff}"] {
            assert!(matches!(Jid::from_server(text), Err(JidError::Refused { part: "resource", .. })), "{text:?}");
        }
    }

    #[test]
    fn takes_apart_and_puts_together() {
        let jid: Jid = "Juliet@example.com/Balcony".parse().unwrap();
        assert_eq!(jid.bare().as_str(), "juliet@example.com");
        assert_eq!(jid.domain_jid().as_str(), "example.com");
        assert_eq!(jid.bare().with_resource("Chamber").unwrap().as_str(), "juliet@example.com/Chamber");
        assert_eq!(jid.with_resource("a/b@c").unwrap().resource(), Some("a/b@c"));
        assert_eq!(jid.clone().into_bare(), Err(JidError::HasResource));
        assert_eq!(jid.bare().into_jid().into_full(), Err(JidError::NoResource));
        assert_eq!(jid.bare().bare(), jid.bare());
        assert!(Jid::from_parts(Some("a/b"), "c", None).is_err());
        assert_eq!(Jid::from_parts(None, "c", Some("a/b")).unwrap().resource(), Some("a/b"));
        assert_eq!(std::mem::size_of::<Jid>(), 24);
    }

    proptest! {
        #[test]
        fn preparing_twice_changes_nothing(text in "\\PC{0,30}", local in "\\PC{1,8}", resource in "\\PC{1,8}") {
            for text in [text, format!("{local}@example.com/{resource}"), format!("{local}.example")] {
                if let Ok(jid) = Jid::parse(&text) {
                    prop_assert_eq!(Jid::parse(jid.as_str()), Ok(jid.clone()));
                    prop_assert_eq!(Jid::from_server(&text), Ok(jid.clone()));
                    prop_assert_eq!(Jid::from_parts(jid.local(), jid.domain(), jid.resource()), Ok(jid));
                } else if let Ok(jid) = Jid::from_server(&text) {
                    prop_assert_eq!(Jid::from_server(jid.as_str()), Ok(jid));
                }
            }
        }

        #[test]
        fn ascii_takes_the_same_way_as_everything_else(text in "[ -~]{1,20}") {
            prop_assert_eq!(prepare_resource(&text, Resource::Strict).map(Cow::into_owned).ok(), precis::enforce_opaque(&text).ok());
            if let Ok(local) = prepare_local(&text) {
                prop_assert_eq!(precis::enforce_username(&text), Ok(local.into_owned()));
            }
        }
    }
}

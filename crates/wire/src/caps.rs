//! XEP-0115 Entity capabilities, v1.6.0 <https://xmpp.org/extensions/xep-0115.html>
//!
//! This crate has no digests: whoever calls brings the hash function.

use crate::base64;
use crate::data_form::{DataForm, FORM_TYPE, FieldKind};
use crate::disco::{DiscoInfo, Identity};
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
        // An old form has no hash: it says nothing that could be checked.
        let owned = |name: &str| element.required(name).map(str::to_owned);
        Ok(Self { hash: owned("hash")?, node: owned("node")?, ver: owned("ver")? })
    }

    fn write(&self) -> Element {
        Self::element().with_attr("hash", &self.hash).with_attr("node", &self.node).with_attr("ver", &self.ver)
    }
}

/// Why an answer to disco#info must not be remembered for all who announce the same hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IllFormed {
    /// Two identities that are equal in everything.
    #[error("the answer names an identity twice")]
    IdentityTwice,
    /// The same feature twice.
    #[error("the answer names a feature twice")]
    FeatureTwice,
    /// Two forms of one FORM_TYPE.
    #[error("the answer has two forms of one type")]
    FormTwice,
    /// A FORM_TYPE of several values.
    #[error("a form in the answer has several types")]
    SeveralFormTypes,
    /// A `<` in what is hashed: two different answers could have one hash. Stricter than the document, and costs only
    /// a question to each such contact.
    #[error("the answer has a < in it, which makes its hash ambiguous")]
    Ambiguous,
}

/// The verification string of an answer: base64 of `hash` over [`verification_input`].
///
/// # Errors
/// When the answer is ill-formed by §5.4.
pub fn verification_string(info: &DiscoInfo, hash: impl FnOnce(&[u8]) -> Vec<u8>) -> Result<String, IllFormed> {
    verification_input(info).map(|input| base64::encode(hash(input.as_bytes())))
}

/// What is hashed, by §5.1: identities, features and forms, each sorted by bytes and ended by `<`.
///
/// # Errors
/// When the answer is ill-formed by §5.4.
pub fn verification_input(info: &DiscoInfo) -> Result<String, IllFormed> {
    let mut identities: Vec<&Identity> = info.identities.iter().collect();
    let key = |identity: &Identity| {
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        (identity.category.clone(), identity.kind.clone(), text(&identity.lang), text(&identity.name))
    };
    identities.sort_by_cached_key(|identity| key(identity));
    if identities.windows(2).any(|pair| key(pair[0]) == key(pair[1])) {
        return Err(IllFormed::IdentityTwice);
    }
    let mut features: Vec<&str> = info.features.iter().map(String::as_str).collect();
    features.sort_unstable();
    if features.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(IllFormed::FeatureTwice);
    }
    let mut input = Input::default();
    for identity in identities {
        let (category, kind, lang, name) = key(identity);
        input.push(&format!("{category}/{kind}/{lang}/{name}"))?;
    }
    for feature in features {
        input.push(feature)?;
    }
    for (form_type, form) in forms(info)? {
        push_form(form_type, form, &mut input)?;
    }
    Ok(input.0)
}

#[derive(Default)]
struct Input(String);

impl Input {
    fn push(&mut self, part: &str) -> Result<(), IllFormed> {
        if part.contains('<') {
            return Err(IllFormed::Ambiguous);
        }
        self.0.push_str(part);
        self.0.push('<');
        Ok(())
    }
}

/// The forms that count, sorted by FORM_TYPE. Those without one, or whose is not hidden, are ignored.
fn forms(info: &DiscoInfo) -> Result<Vec<(&str, &DataForm)>, IllFormed> {
    let mut forms = Vec::new();
    for form in &info.forms {
        let Some(field) = form.field(FORM_TYPE) else { continue };
        if field.values.windows(2).any(|pair| pair[0] != pair[1]) {
            return Err(IllFormed::SeveralFormTypes);
        }
        if let (Some(FieldKind::Hidden), Some(form_type)) = (field.kind, field.value()) {
            forms.push((form_type, form));
        }
    }
    forms.sort_by_key(|(form_type, _)| *form_type);
    if forms.windows(2).any(|pair| pair[0].0 == pair[1].0) { Err(IllFormed::FormTwice) } else { Ok(forms) }
}

fn push_form(form_type: &str, form: &DataForm, input: &mut Input) -> Result<(), IllFormed> {
    input.push(form_type)?;
    let fields = form.fields.iter().filter_map(|field| field.var.as_deref().map(|var| (var, field)));
    let mut fields: Vec<_> = fields.filter(|(var, _)| *var != FORM_TYPE).collect();
    fields.sort_by_key(|(var, _)| *var);
    for (var, field) in fields {
        input.push(var)?;
        let mut values: Vec<&str> = field.values.iter().map(String::as_str).collect();
        values.sort_unstable();
        values.into_iter().try_for_each(|value| input.push(value))?;
    }
    Ok(())
}

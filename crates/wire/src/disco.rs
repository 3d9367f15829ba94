//! XEP-0030 Service discovery, v2.5.0 <https://xmpp.org/extensions/xep-0030.html>
//! XEP-0128 Service discovery extensions, v1.0.1 <https://xmpp.org/extensions/xep-0128.html>

use crate::data_form::DataForm;
use crate::element::Element;
use crate::jid::Jid;
use crate::ns;
use crate::payload::{Payload, ReadError};
use crate::result_set::ResultSet;

/// What somebody is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// `client`, `server`, `store`, …
    pub category: String,
    /// Type within the category.
    pub kind: String,
    /// Language of the name; inherited from the answer if the identity has none.
    pub lang: Option<String>,
    /// Name for people.
    pub name: Option<String>,
}

impl Identity {
    /// An identity without language.
    #[must_use]
    pub fn new(category: impl Into<String>, kind: impl Into<String>, name: Option<&str>) -> Self {
        Self { category: category.into(), kind: kind.into(), lang: None, name: name.map(str::to_owned) }
    }
}

/// disco#info: the question (only the node) or the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiscoInfo {
    /// A part of the one asked; an answer repeats it.
    pub node: Option<String>,
    /// Identities in order, duplicates included (they matter to entity capabilities).
    pub identities: Vec<Identity>,
    /// Features in order, duplicates included.
    pub features: Vec<String>,
    /// Forms with more.
    pub forms: Vec<DataForm>,
    /// Anything else, as it is.
    pub others: Vec<Element>,
}

impl DiscoInfo {
    /// A question.
    #[must_use]
    pub fn query(node: Option<String>) -> Self {
        Self { node, ..Self::default() }
    }

    /// Whether a feature is announced. disco#info itself always is: it was just answered (XEP-0030 §3.1).
    #[must_use]
    pub fn has(&self, feature: &str) -> bool {
        feature == ns::DISCO_INFO || self.features.iter().any(|announced| announced == feature)
    }

    /// Whether there is an identity of this category and type.
    #[must_use]
    pub fn is(&self, category: &str, kind: &str) -> bool {
        self.identities.iter().any(|identity| identity.category == category && identity.kind == kind)
    }

    /// The form of a FORM_TYPE.
    #[must_use]
    pub fn form(&self, form_type: &str) -> Option<&DataForm> {
        self.forms.iter().find(|form| form.form_type() == Some(form_type))
    }
}

impl Payload for DiscoInfo {
    const NAME: &'static str = "query";
    const NS: &'static str = ns::DISCO_INFO;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let mut info = Self::query(element.attr("node").map(str::to_owned));
        for child in element.children() {
            match (child.ns(), child.name()) {
                (ns::DISCO_INFO, "identity") => {
                    // Without category or type it says nothing.
                    if let (Some(category), Some(kind)) = (child.attr("category"), child.attr("type")) {
                        let lang = child.lang().or(element.lang()).map(str::to_owned);
                        info.identities.push(Identity { lang, ..Identity::new(category, kind, child.attr("name")) });
                    }
                }
                (ns::DISCO_INFO, "feature") => info.features.extend(child.attr("var").map(str::to_owned)),
                (ns::DATA_FORM, "x") => match DataForm::read(child) {
                    Ok(form) => info.forms.push(form),
                    Err(_) => info.others.push(child.clone()), // a form of no known type is kept as it is
                },
                _ => info.others.push(child.clone()),
            }
        }
        Ok(info)
    }

    fn write(&self) -> Element {
        let identities = self.identities.iter().map(|identity| {
            Element::new("identity", ns::DISCO_INFO)
                .with_attr("category", &identity.category)
                .with_attr("type", &identity.kind)
                .with_attr_opt("name", identity.name.as_deref())
                .with_lang(identity.lang.as_deref())
        });
        Self::element()
            .with_attr_opt("node", self.node.as_deref())
            .with_children(identities)
            .with_children(self.features.iter().map(|feature| Element::new("feature", ns::DISCO_INFO).with_attr("var", feature)))
            .with_children(self.forms.iter().map(Payload::write))
            .with_children(self.others.iter().cloned())
    }
}

/// Something that belongs to the one asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its address.
    pub jid: Jid,
    /// A part of that address.
    pub node: Option<String>,
    /// Name for people.
    pub name: Option<String>,
}

/// disco#items: the question (only the node) or the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiscoItems {
    /// A part of the one asked; an answer repeats it.
    pub node: Option<String>,
    /// Items in order; those with a malformed address are dropped.
    pub items: Vec<Item>,
    /// Which page this is.
    pub result_set: Option<ResultSet>,
}

impl DiscoItems {
    /// A question.
    #[must_use]
    pub fn query(node: Option<String>) -> Self {
        Self { node, ..Self::default() }
    }
}

impl Payload for DiscoItems {
    const NAME: &'static str = "query";
    const NS: &'static str = ns::DISCO_ITEMS;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let item = |child: &Element| {
            let owned = |name: &str| child.attr(name).map(str::to_owned);
            let jid = child.attr("jid").and_then(|jid| Jid::from_server(jid).ok())?;
            Some(Item { jid, node: owned("node"), name: owned("name") })
        };
        Ok(Self {
            node: element.attr("node").map(str::to_owned),
            items: element.children_named("item", ns::DISCO_ITEMS).filter_map(item).collect(),
            result_set: element.payload().transpose()?,
        })
    }

    fn write(&self) -> Element {
        let items = self.items.iter().map(|item| {
            Element::new("item", ns::DISCO_ITEMS)
                .with_attr("jid", item.jid.as_str())
                .with_attr_opt("node", item.node.as_deref())
                .with_attr_opt("name", item.name.as_deref())
        });
        Self::element()
            .with_attr_opt("node", self.node.as_deref())
            .with_children(items)
            .with_child_opt(self.result_set.as_ref().map(Payload::write))
    }
}

//! RFC 6120 §4.3.2 Stream features
//! XEP-0440 SASL channel-binding type capability, v1.0.0 <https://xmpp.org/extensions/xep-0440.html>
//! XEP-0478 Stream limits advertisement, v0.1.0 <https://xmpp.org/extensions/xep-0478.html>
//!
//! Features nobody here knows are kept as they are.

use crate::caps::Caps;
use crate::element::Element;
use crate::ns;
use crate::payload::{Payload, ReadError};

/// STARTTLS is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartTlsFeature {
    /// Nothing goes on without it.
    pub required: bool,
}

/// XEP-0388: login in one step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sasl2Feature {
    /// Names of the mechanisms, in the server's order.
    pub mechanisms: Vec<String>,
    /// Bind 2 may be asked for inline, and these features (by namespace) with it.
    pub bind: Option<Vec<String>>,
    /// A session may be resumed inline.
    pub sm: bool,
    /// Other inline features, as they are.
    pub other_inline: Vec<Element>,
}

/// XEP-0478: what the other side accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamLimits {
    /// Bytes of one stanza.
    pub max_bytes: Option<u64>,
    /// Seconds without any byte until the connection is thought dead.
    pub idle_seconds: Option<u64>,
}

/// What a server offers at this point of the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamFeatures {
    /// STARTTLS.
    pub starttls: Option<StartTlsFeature>,
    /// SASL mechanisms, in the server's order; `None` when login is not offered.
    pub mechanisms: Option<Vec<String>>,
    /// Login by XEP-0388.
    pub sasl2: Option<Sasl2Feature>,
    /// Types of channel binding the server supports (XEP-0440); `None` when it does not say.
    pub channel_bindings: Option<Vec<String>>,
    /// A resource can (and must) be bound.
    pub bind: bool,
    /// The old session request; `Some(true)` when marked optional.
    pub session: Option<bool>,
    /// Stream management.
    pub sm: bool,
    /// Client state indication.
    pub csi: bool,
    /// Roster versioning.
    pub roster_versioning: bool,
    /// Pre-approved subscriptions.
    pub pre_approval: bool,
    /// Limits of the server.
    pub limits: Option<StreamLimits>,
    /// Entity capabilities of the server.
    pub caps: Option<Caps>,
    /// Everything else, as it is.
    pub others: Vec<Element>,
}

fn texts(element: &Element, name: &str) -> Vec<String> {
    element.children_named(name, element.ns()).map(|child| child.text().trim().to_owned()).filter(|text| !text.is_empty()).collect()
}

fn read_sasl2(element: &Element) -> Sasl2Feature {
    let mut feature = Sasl2Feature { mechanisms: texts(element, "mechanism"), ..Sasl2Feature::default() };
    for child in element.child("inline", ns::SASL2).into_iter().flat_map(Element::children) {
        match (child.ns(), child.name()) {
            (ns::SM, "sm") => feature.sm = true,
            (ns::BIND2, "bind") => {
                // A `feature` directly in `bind` is how XEP-0198 §8 shows it.
                let inline = child.child("inline", ns::BIND2).into_iter().chain([child]);
                let names = inline.flat_map(|inline| inline.children_named("feature", ns::BIND2));
                feature.bind = Some(names.filter_map(|name| name.attr("var")).map(str::to_owned).collect());
            }
            _ => feature.other_inline.push(child.clone()),
        }
    }
    feature
}

fn write_sasl2(feature: &Sasl2Feature) -> Element {
    let bind = feature.bind.as_ref().map(|names| {
        let names = names.iter().map(|name| Element::new("feature", ns::BIND2).with_attr("var", name));
        Element::new("bind", ns::BIND2).with_child(Element::new("inline", ns::BIND2).with_children(names))
    });
    let inline = Element::new("inline", ns::SASL2)
        .with_child_opt(bind)
        .with_child_opt(feature.sm.then(|| Element::new("sm", ns::SM)))
        .with_children(feature.other_inline.iter().cloned());
    Element::new("authentication", ns::SASL2)
        .with_children(feature.mechanisms.iter().map(|name| Element::new("mechanism", ns::SASL2).with_text(name)))
        .with_child(inline)
}

impl Payload for StreamLimits {
    const NAME: &'static str = "limits";
    const NS: &'static str = ns::STREAM_LIMITS;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let number = |name: &str| element.child_text(name).and_then(|text| text.trim().parse().ok());
        Ok(Self { max_bytes: number("max-bytes"), idle_seconds: number("idle-seconds") })
    }

    fn write(&self) -> Element {
        let mut element = Self::element();
        for (name, value) in [("max-bytes", self.max_bytes), ("idle-seconds", self.idle_seconds)] {
            if let Some(value) = value {
                element = element.with_text_child(name, value.to_string());
            }
        }
        element
    }
}

impl StreamFeatures {
    fn read_one(&mut self, child: &Element) {
        match (child.ns(), child.name()) {
            (ns::TLS, "starttls") => {
                self.starttls = Some(StartTlsFeature { required: child.child("required", ns::TLS).is_some() });
            }
            (ns::SASL, "mechanisms") => self.mechanisms = Some(texts(child, "mechanism")),
            (ns::SASL2, "authentication") => self.sasl2 = Some(read_sasl2(child)),
            (ns::SASL_CHANNEL_BINDING, "sasl-channel-binding") => {
                let types = child.children_named("channel-binding", ns::SASL_CHANNEL_BINDING).filter_map(|one| one.attr("type"));
                self.channel_bindings = Some(types.map(str::to_owned).collect());
            }
            (ns::BIND, "bind") => self.bind = true,
            (ns::SESSION, "session") => self.session = Some(child.child("optional", ns::SESSION).is_some()),
            (ns::SM, "sm") => self.sm = true,
            (ns::CSI, "csi") => self.csi = true,
            (ns::ROSTER_VERSIONING, "ver") => self.roster_versioning = true,
            (ns::PRE_APPROVAL, "sub") => self.pre_approval = true,
            (ns::STREAM_LIMITS, "limits") => self.limits = StreamLimits::read(child).ok(),
            (ns::CAPS, "c") => match Caps::read(child) {
                Ok(caps) => self.caps = Some(caps),
                Err(_) => self.others.push(child.clone()), // an old form without hash says nothing we can use
            },
            _ => self.others.push(child.clone()),
        }
    }
}

impl Payload for StreamFeatures {
    const NAME: &'static str = "features";
    const NS: &'static str = ns::STREAM;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let mut features = Self::default();
        element.children().for_each(|child| features.read_one(child));
        Ok(features)
    }

    fn write(&self) -> Element {
        let starttls = self
            .starttls
            .map(|feature| Element::new("starttls", ns::TLS).with_child_opt(feature.required.then(|| Element::new("required", ns::TLS))));
        let mechanisms = self.mechanisms.as_ref().map(|names| {
            let names = names.iter().map(|name| Element::new("mechanism", ns::SASL).with_text(name));
            Element::new("mechanisms", ns::SASL).with_children(names)
        });
        let bindings = self.channel_bindings.as_ref().map(|types| {
            let types = types.iter().map(|name| Element::new("channel-binding", ns::SASL_CHANNEL_BINDING).with_attr("type", name));
            Element::new("sasl-channel-binding", ns::SASL_CHANNEL_BINDING).with_children(types)
        });
        let session = self
            .session
            .map(|optional| Element::new("session", ns::SESSION).with_child_opt(optional.then(|| Element::new("optional", ns::SESSION))));
        Self::element()
            .with_child_opt(starttls)
            .with_child_opt(mechanisms)
            .with_child_opt(self.sasl2.as_ref().map(write_sasl2))
            .with_child_opt(bindings)
            .with_child_opt(self.bind.then(|| Element::new("bind", ns::BIND)))
            .with_child_opt(session)
            .with_child_opt(self.sm.then(|| Element::new("sm", ns::SM)))
            .with_child_opt(self.csi.then(|| Element::new("csi", ns::CSI)))
            .with_child_opt(self.roster_versioning.then(|| Element::new("ver", ns::ROSTER_VERSIONING)))
            .with_child_opt(self.pre_approval.then(|| Element::new("sub", ns::PRE_APPROVAL)))
            .with_child_opt(self.limits.as_ref().map(Payload::write))
            .with_child_opt(self.caps.as_ref().map(Payload::write))
            .with_children(self.others.iter().cloned())
    }
}

//! What answers requests: handlers, registered with everything discovery says about them.
//!
//! Disco answers are made from the registry alone: what is not registered is not announced, and what is announced has
//! somebody behind it.

use std::collections::HashMap;
use std::sync::Arc;

use balcony_wire::data_form::DataForm;
use balcony_wire::disco::{DiscoInfo, Identity, Item};
use balcony_wire::{Element, FullJid, Jid};
use futures_util::future::BoxFuture;

use crate::hub::Hub;
use crate::outbox::Outbox;
use crate::refusal::Refusal;

/// Where a handler answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// The domain itself.
    Server,
    /// The bare address of every account.
    Account,
    /// A host of its own, `upload.example`.
    Host(String),
}

/// Who may ask at [`Place::Account`]; elsewhere everybody may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// The account's own sessions.
    Owner,
    /// Anybody; the handler decides.
    Everybody,
}

/// iq get or set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Set,
}

/// One kind of request that is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Takes {
    pub(crate) name: &'static str,
    pub(crate) ns: &'static str,
    pub(crate) verbs: &'static [Verb],
    pub(crate) audience: Audience,
}

/// What a handler takes and what discovery says of it.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    pub(crate) place: Place,
    pub(crate) takes: Vec<Takes>,
    pub(crate) identities: Vec<Identity>,
    pub(crate) features: Vec<String>,
    /// Limits and the like (XEP-0128).
    pub(crate) forms: Vec<DataForm>,
}

impl Registration {
    /// Nothing at a place.
    pub(crate) fn at(place: Place) -> Self {
        Self { place, takes: Vec::new(), identities: Vec::new(), features: Vec::new(), forms: Vec::new() }
    }

    pub(crate) fn taking(mut self, name: &'static str, ns: &'static str, verbs: &'static [Verb], audience: Audience) -> Self {
        self.takes.push(Takes { name, ns, verbs, audience });
        self
    }

    pub(crate) fn identity(mut self, category: &str, kind: &str, name: &str) -> Self {
        self.identities.push(Identity::new(category, kind, Some(name)));
        self
    }

    pub(crate) fn feature(mut self, feature: impl Into<String>) -> Self {
        self.features.push(feature.into());
        self
    }

    pub(crate) fn form(mut self, form: DataForm) -> Self {
        self.forms.push(form);
        self
    }
}

/// A request to answer.
pub(crate) struct Request<'a> {
    /// Who asks: a session of this server.
    pub(crate) from: &'a FullJid,
    /// Whom: an account, or a host of ours.
    pub(crate) to: &'a Jid,
    pub(crate) verb: Verb,
    pub(crate) payload: &'a Element,
    /// What else goes out because of it: pushes and the like, in order, after the answer.
    pub(crate) outbox: &'a mut Outbox,
}

impl Request<'_> {
    /// The localpart of whoever asks.
    pub(crate) fn account(&self) -> &str {
        self.from.local().unwrap_or_default()
    }
}

/// Empty or with content.
pub(crate) type Answer = Result<Option<Element>, Refusal>;

/// Something that answers requests.
///
/// Requests of one session come one after the other, those of different sessions at the same time. The answer is sent by
/// the caller. A handler that is slow holds up the asking session only.
pub(crate) trait Handler: Send + Sync + 'static {
    /// What it takes and announces; asked once, at registration.
    fn registration(&self) -> Registration;

    /// Answers a request of a kind that was registered.
    fn answer<'a>(&'a self, hub: &'a Hub, request: Request<'a>) -> BoxFuture<'a, Answer>;
}

/// Place, namespace and name of a payload.
type Key = (Place, &'static str, &'static str);

/// All handlers of a server.
#[derive(Default)]
pub(crate) struct Registry {
    takers: HashMap<Key, (Arc<dyn Handler>, Takes)>,
    described: HashMap<Place, DiscoInfo>,
    hosts: Vec<String>,
}

impl Registry {
    /// Adds a handler. Of two that take the same, the later one wins.
    pub(crate) fn register(&mut self, handler: impl Handler) {
        let handler: Arc<dyn Handler> = Arc::new(handler);
        let registration = handler.registration();
        let described = self.described.entry(registration.place.clone()).or_default();
        described.identities.extend(registration.identities);
        described.features.extend(registration.features);
        described.forms.extend(registration.forms);
        described.identities.sort();
        described.identities.dedup();
        // Gajim drops the caps of whoever announces a feature twice.
        described.features.sort();
        described.features.dedup();
        if let Place::Host(host) = &registration.place
            && !self.hosts.contains(host)
        {
            self.hosts.push(host.clone());
        }
        for takes in registration.takes {
            self.takers.insert((registration.place.clone(), takes.ns, takes.name), (handler.clone(), takes));
        }
    }

    /// Who answers this at that place.
    pub(crate) fn find(&self, place: &Place, verb: Verb, payload: &Element) -> Option<(Arc<dyn Handler>, Audience)> {
        // The key borrows: names come from the wire, keys are static.
        let key = (place.clone(), payload.ns(), payload.name());
        let (handler, takes) = self.takers.get(&key as &(Place, &str, &str))?;
        takes.verbs.contains(&verb).then(|| (handler.clone(), takes.audience))
    }

    /// disco#info of a place.
    pub(crate) fn info(&self, place: &Place) -> DiscoInfo {
        self.described.get(place).cloned().unwrap_or_default()
    }

    /// disco#items of the domain: the hosts below it.
    pub(crate) fn items(&self) -> Vec<Item> {
        let item = |host: &String| {
            let name = self.described.get(&Place::Host(host.clone())).and_then(|info| info.identities.first()?.name.clone());
            Some(Item { jid: Jid::parse(host).ok()?, node: None, name })
        };
        self.hosts.iter().filter_map(item).collect()
    }

    /// Whether a domain is one of the hosts.
    pub(crate) fn is_host(&self, domain: &str) -> bool {
        self.hosts.iter().any(|host| host == domain)
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Registry({:?})", self.takers.keys())
    }
}

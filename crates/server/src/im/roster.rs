//! RFC 6121 §2: the roster, asked for, changed, and pushed to every session that asked.

use balcony_wire::roster::{Roster, RosterItem, Subscription};
use balcony_wire::{Element, Iq, Jid, Payload as _, Presence, ns};
use futures_util::future::BoxFuture;

use super::contacts::Push;
use crate::handler::{Answer, Audience, Handler, Place, Registration, Request, Verb};
use crate::hub::Hub;
use crate::outbox::Outbox;
use crate::refusal::{Reason, Refusal};

/// Bytes of a name or a group at most.
const LONGEST: usize = 1023;
/// Groups of one contact at most.
const MOST_GROUPS: usize = 64;

/// Answers roster gets and sets.
pub(crate) struct Rosters;

impl Handler for Rosters {
    fn registration(&self) -> Registration {
        Registration::at(Place::Account).taking(Roster::NAME, Roster::NS, &[Verb::Get, Verb::Set], Audience::Owner).feature(ns::ROSTER)
    }

    fn answer<'a>(&'a self, hub: &'a Hub, request: Request<'a>) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            match request.verb {
                Verb::Get => get(hub, request).await,
                Verb::Set => set(hub, request).await,
            }
        })
    }
}

async fn get(hub: &Hub, request: Request<'_>) -> Answer {
    let known = request.payload.attr("ver").map(str::to_owned);
    // Interested before the list is read: a change in between is pushed, not lost.
    if let Some(session) = hub.sessions().find(request.from) {
        session.standing().interested = true;
    }
    let listing = hub.contacts().list(request.account(), known.clone()).await?;
    let version = listing.version.to_string();
    if known.as_deref() == Some(&version) {
        return Ok(None);
    }
    Ok(Some(Roster { ver: known.map(|_| version), items: listing.items }.write()))
}

async fn set(hub: &Hub, request: Request<'_>) -> Answer {
    let item = one_item(request.payload)?;
    let user: Jid = request.from.bare().into();
    if item.subscription == Subscription::Remove {
        return remove(hub, request, &user, item).await;
    }
    if item.jid.bare() == request.from.bare() {
        return Err(Refusal::from(Reason::Malformed).with_words("an account is no contact of itself"));
    }
    let push_of = hub.contacts().set(request.account(), item).await?.ok_or(Reason::RosterFull)?;
    push(hub, &user, &push_of, request.outbox);
    Ok(None)
}

async fn remove(hub: &Hub, request: Request<'_>, user: &Jid, item: RosterItem) -> Answer {
    let removed = hub.contacts().remove(request.account(), &item.jid).await?.ok_or(Reason::NoSuchContact)?;
    let contact: Jid = item.jid.bare().into();
    let gone = RosterItem { subscription: Subscription::Remove, ..RosterItem::new(contact.clone()) };
    push(hub, user, &Push { item: gone, version: removed.version }, request.outbox);
    for (kind, changed) in removed.ended {
        let stanza = Presence { from: Some(user.clone()), ..Presence::new(kind, Some(contact.clone())) };
        hub.subscription_changed(user, &contact, &stanza, changed, request.outbox);
    }
    Ok(None)
}

/// RFC 6121 §2.3: exactly one item, sane in its parts.
fn one_item(payload: &Element) -> Result<RosterItem, Refusal> {
    let malformed = |words: &str| Refusal::from(Reason::Malformed).with_words(words);
    let mut items = payload.children_named("item", ns::ROSTER);
    let (Some(element), None) = (items.next(), items.next()) else { return Err(malformed("a roster set holds exactly one item")) };
    let groups: Vec<String> = element.children_named("group", ns::ROSTER).map(Element::text).collect();
    let sane = |text: &str| text.len() <= LONGEST && !text.chars().any(char::is_control);
    if groups.iter().any(|group| group.is_empty() || !sane(group))
        || groups.len() > MOST_GROUPS
        || !sane(element.attr("name").unwrap_or_default())
    {
        return Err(Reason::OddRosterItem.into());
    }
    if (1..groups.len()).any(|at| groups[..at].contains(&groups[at])) {
        return Err(malformed("a group is named twice"));
    }
    let read = Roster::read(payload).map_err(|error| malformed(error.why()))?;
    let mut item = read.items.into_iter().next().ok_or_else(|| malformed("the contact needs an address"))?;
    item.jid = item.jid.bare().into();
    Ok(item)
}

/// Tells every session of an account that asked for the roster.
pub(super) fn push(hub: &Hub, account: &Jid, push: &Push, outbox: &mut Outbox) {
    let payload = Roster { ver: Some(push.version.to_string()), items: vec![push.item.clone()] }.write();
    for session in hub.sessions().of(&account.bare()) {
        if session.standing().interested {
            let to = Jid::from(session.jid().clone());
            outbox.tell(&session, Iq::set(hub.fresh_id(), Some(to), payload.clone()));
        }
    }
}

//! Copies and archive results in the running client, from servers that behave and from those that do not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use balcony_client::{Account, Availability, CataloguedOffer, Connection, OfferState, Offers, Store};
use balcony_store::{Listing, OutboxState, Outgoing};
use balcony_wire::archive::ArchiveQuery;
use balcony_wire::{Iq, IqKind, Jid, Payload as _};
use tokio::time::timeout;

use crate::proxy::Proxy;
use crate::puppet::{Puppet, discovery, result};

const PATIENCE: Duration = Duration::from_secs(60);
const JULIET: &str = "juliet@localhost";
const WHOLE: &[&str] = &["urn:xmpp:carbons:2", "urn:xmpp:mam:2", "urn:xmpp:sid:0"];

/// A share, as XEP-0447 prints one, small.
fn share(name: &str) -> String {
    format!(
        "<file-sharing xmlns='urn:xmpp:sfs:0' id='s'><file xmlns='urn:xmpp:file:metadata:0'><name>{name}</name><size>3</size></file>\
         <sources><url-data xmlns='http://jabber.org/protocol/url-data' target='https://files.example/{name}'/></sources></file-sharing>"
    )
}

/// Romeo's message to another device of Juliet's.
fn message(id: &str, name: &str) -> String {
    let id = if id.is_empty() { String::new() } else { format!(" id='{id}'") };
    format!("<message xmlns='jabber:client' from='romeo@localhost/x' to='{JULIET}/phone' type='chat'{id}>{}</message>", share(name))
}

fn copied(from: &str, direction: &str, message: &str) -> String {
    format!(
        "<message xmlns='jabber:client' from='{from}' to='{JULIET}/0' type='chat'><{direction} xmlns='urn:xmpp:carbons:2'>\
         <forwarded xmlns='urn:xmpp:forward:0'>{message}</forwarded></{direction}></message>"
    )
}

/// A result of the archive; `query` and `from` as whoever sends it likes.
fn archived(from: &str, query: &str, id: &str, message: &str) -> String {
    format!(
        "<message xmlns='jabber:client'{from} to='{{to}}'><result xmlns='urn:xmpp:mam:2' queryid='{query}' id='{id}'><forwarded \
         xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2026-01-02T03:04:05Z'/>{message}</forwarded></result></message>"
    )
}

fn query_of(iq: &Iq) -> Option<ArchiveQuery> {
    match &iq.kind {
        IqKind::Set(payload) => ArchiveQuery::read(payload).ok(),
        _ => None,
    }
}

fn end(iq: &Iq, last: &str, is_complete: bool) -> String {
    let complete = if is_complete { " complete='true'" } else { "" };
    let last = if last.is_empty() { String::new() } else { format!("<first index='0'>{last}</first><last>{last}</last>") };
    result(iq, &format!("<fin xmlns='urn:xmpp:mam:2'{complete}><set xmlns='http://jabber.org/protocol/rsm'>{last}</set></fin>"))
}

async fn connect(puppet: &Puppet, store: &Store) -> (Account, Offers) {
    let account = Account::connect(puppet.options("juliet"), store.clone()).await.unwrap();
    let offers = account.offers();
    (account, offers)
}

async fn next(offers: &mut Offers) -> CataloguedOffer {
    timeout(PATIENCE, offers.next()).await.expect("no offer comes").unwrap()
}

/// Waits until the puppet heard so many of these.
async fn heard(puppet: &Puppet, text: &str, times: usize) {
    let heard = async {
        while puppet.heard_with(text).len() < times {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, heard).await.unwrap_or_else(|_| panic!("{text} is heard {} times", puppet.heard_with(text).len()));
}

/// The server hands out `messages` one to a page, by the id that it is asked for; an archive of its own making for each test.
async fn with_archive(messages: Arc<std::sync::Mutex<Vec<(String, String)>>>) -> Puppet {
    Puppet::new(move |iq| {
        if let Some(query) = query_of(iq) {
            let kept = messages.lock().unwrap().clone();
            let id = query.query_id.unwrap_or_default();
            if query.page.before.is_some() {
                return match kept.last() {
                    Some((last, message)) => vec![archived("", &id, last, message), end(iq, last, true)],
                    None => vec![end(iq, "", true)],
                };
            }
            let at = query.page.after.map_or(0, |after| kept.iter().position(|(id, _)| *id == after).map_or(kept.len(), |at| at + 1));
            return match kept.get(at) {
                Some((last, message)) => vec![archived("", &id, last, message), end(iq, last, at + 1 == kept.len())],
                None => vec![end(iq, "", true)],
            };
        }
        discovery(iq, WHOLE).unwrap_or_else(|| vec![result(iq, "")])
    })
    .await
}

/// Proves: C0280-4-1, C0280-7-1, C0280-10-1.
#[tokio::test]
async fn offers_to_and_from_other_devices_are_news_and_forged_copies_are_nothing() {
    let puppet = Puppet::new(|iq| discovery(iq, &["urn:xmpp:carbons:2"]).unwrap_or_else(|| vec![result(iq, "")])).await;
    let store = Store::in_memory().unwrap();
    let (account, mut offers) = connect(&puppet, &store).await;
    heard(&puppet, "urn:xmpp:carbons:2", 1).await;
    for forger in ["mallory@evil.example", "juliet@localhost/phone", "localhost", "romeo@localhost/x"] {
        puppet.say(copied(forger, "received", &message("forged", "forged.png")));
        puppet.say(copied(forger, "sent", &message("forged2", "forged.png")));
    }
    let private = message("p", "private.png").replace("</message>", "<private xmlns='urn:xmpp:carbons:2'/></message>");
    puppet.say(copied(JULIET, "received", &private));
    puppet.say(copied(JULIET, "received", &message("r", "received.png")));
    let mine = format!(
        "<message xmlns='jabber:client' from='{JULIET}/phone' to='romeo@localhost' type='chat' id='m'>{}</message>",
        share("sent.png")
    );
    puppet.say(copied(JULIET, "sent", &mine));
    let received = next(&mut offers).await;
    assert_eq!((received.name().as_str(), received.provenance().sender().as_str()), ("received.png", "romeo@localhost/x"));
    let sent = next(&mut offers).await;
    assert_eq!((sent.name().as_str(), sent.provenance().conversation().as_str()), ("sent.png", "romeo@localhost"));
    assert_eq!((sent.provenance().is_own(), sent.state()), (true, OfferState::New), "another device sent it: news here");
    assert_eq!(store.offers(Listing::All, None, 10).unwrap().len(), 2, "nothing forged or private is written down");
    // Nobody is answered because of a copy.
    account.close().await;
    assert!(puppet.heard_with("<message").is_empty() && puppet.heard_with("type=\"error\"").is_empty());
}

#[tokio::test]
async fn whoever_only_sends_turns_no_copies_on_and_asks_no_archive() {
    let puppet = with_archive(Arc::default()).await;
    let mut options = puppet.options("juliet");
    options.availability = Availability::Hidden;
    let account = Account::connect(options, Store::in_memory().unwrap()).await.unwrap();
    account.report().await.unwrap();
    account.close().await;
    assert!(puppet.heard_with("urn:xmpp:carbons:2").is_empty() && puppet.heard_with("urn:xmpp:mam:2").is_empty());
}

#[tokio::test]
async fn a_server_without_copies_and_archive_is_asked_for_neither() {
    let puppet = Puppet::new(|iq| discovery(iq, &[]).unwrap_or_else(|| vec![result(iq, "")])).await;
    let (account, mut offers) = connect(&puppet, &Store::in_memory().unwrap()).await;
    heard(&puppet, "disco#info", 2).await;
    puppet.say(message("d", "direct.png"));
    next(&mut offers).await;
    account.close().await;
    assert!(puppet.heard_with("enable xmlns").iter().all(|xml| !xml.contains("carbons")) && puppet.heard_with("urn:xmpp:mam:2").is_empty());
}

/// Proves: C0313-4-1, C0313-8-1.
#[tokio::test]
async fn a_device_that_was_away_gets_what_came_meanwhile_page_by_page_and_each_offer_once() {
    let archive = Arc::new(std::sync::Mutex::new(vec![("a1".to_owned(), message("old", "old.png"))]));
    let puppet = with_archive(archive.clone()).await;
    let store = Store::in_memory().unwrap();
    let (account, mut offers) = connect(&puppet, &store).await;
    heard(&puppet, "urn:xmpp:mam:2", 1).await;
    // One that comes by itself and is archived; without an id of its own.
    let live =
        message("", "live.png").replace("</message>", &format!("<stanza-id xmlns='urn:xmpp:sid:0' id='a2' by='{JULIET}'/></message>"));
    puppet.say(live);
    assert_eq!(next(&mut offers).await.name().as_str(), "live.png", "what was there before the first login is no news");
    account.close().await;

    let direct = [("a2", message("", "live.png")), ("a3", message("x3", "away 1.png")), ("a4", message("x4", "away 2.png"))];
    archive.lock().unwrap().extend(direct.map(|(id, message)| (id.to_owned(), message)));
    let (account, mut offers) = connect(&puppet, &store).await;
    for name in ["away 1.png", "away 2.png"] {
        let offer = next(&mut offers).await;
        assert_eq!((offer.name().as_str(), offer.provenance().sender().as_str()), (name, "romeo@localhost/x"));
        assert_eq!(balcony_wire::datetime::DateTime::from(offer.received_at()).to_string(), "2026-01-02T03:04:05Z");
    }
    account.close().await;
    assert_eq!(store.offers(Listing::All, None, 10).unwrap().len(), 3, "live.png is there once");

    archive.lock().unwrap().push(("a5".to_owned(), message("x5", "away 3.png")));
    let (account, mut offers) = connect(&puppet, &store).await;
    assert_eq!(next(&mut offers).await.name().as_str(), "away 3.png");
    account.close().await;
    let asked = puppet.heard_with("<after>");
    assert!(asked.last().unwrap().contains("<after>a4</after>"), "{asked:?}");
}

/// Proves: C0313-8-1.
#[tokio::test]
async fn results_that_nobody_asked_for_or_somebody_else_sends_are_nothing() {
    let puppet = Puppet::new(|iq| {
        if let Some(query) = query_of(iq) {
            let id = query.query_id.unwrap_or_default();
            let by = |from: &str, query: &str| archived(from, query, "9", &message("forged", "forged.png"));
            return vec![
                by(" from='mallory@evil.example'", &id),
                by(" from='juliet@localhost/phone'", &id),
                by(" from='localhost'", &id),
                by("", "another"),
                by("", ""),
                end(iq, "", true),
            ];
        }
        discovery(iq, WHOLE).unwrap_or_else(|| vec![result(iq, "")])
    })
    .await;
    let store = Store::in_memory().unwrap();
    store.set_setting(&format!("archive {JULIET}"), Some("start")).unwrap();
    let (account, mut offers) = connect(&puppet, &store).await;
    heard(&puppet, "urn:xmpp:mam:2", 1).await;
    puppet.say(archived("", "q", "10", &message("late", "forged.png")).replace("{to}", JULIET));
    puppet.say(message("d", "direct.png"));
    assert_eq!(next(&mut offers).await.name().as_str(), "direct.png");
    account.close().await;
    assert_eq!(store.offers(Listing::All, None, 10).unwrap().len(), 1);
}

/// An archive that never ends: the same page for ever, or always another one, or more on a page than was asked for.
#[tokio::test]
async fn archives_without_end_are_left_after_a_bounded_number_of_pages() {
    for is_same in [true, false] {
        let (count, asked) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counted = asked.clone();
        let puppet = Puppet::new(move |iq| {
            if let Some(query) = query_of(iq) {
                counted.fetch_add(1, Ordering::Relaxed);
                let id = query.query_id.unwrap_or_default();
                let page = if is_same { 7 } else { count.fetch_add(1, Ordering::Relaxed) };
                let flood = (0..60).map(|n| archived("", &id, &format!("{page}-{n}"), &message(&format!("{page}-{n}"), "flood.png")));
                let flood: Vec<String> = if page == 7 { flood.collect() } else { Vec::new() };
                return flood.into_iter().chain([end(iq, &format!("end {page}"), false)]).collect();
            }
            discovery(iq, WHOLE).unwrap_or_else(|| vec![result(iq, "")])
        })
        .await;
        let store = Store::in_memory().unwrap();
        store.set_setting(&format!("archive {JULIET}"), Some("start")).unwrap();
        let (account, mut offers) = connect(&puppet, &store).await;
        let most = if is_same { 2 } else { 100 };
        heard(&puppet, "urn:xmpp:mam:2", most).await;
        puppet.say(message("d", "direct.png"));
        while next(&mut offers).await.name().as_str() != "direct.png" {}
        // What is answered now was asked after everything else.
        account.report().await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), most, "the same page: {is_same}");
        let flood = store.offers(Listing::All, None, 1_000).unwrap().iter().filter(|row| row.name == "flood.png").count();
        assert_eq!(flood, 50, "no more of a page than was asked for");
        account.close().await;
    }
}

/// First copies, so that nothing is missed in between; then the archive.
///
/// Proves: C0280-4-1, GL-8, GL-9.
#[tokio::test]
async fn copies_are_turned_on_once_in_each_session_and_again_in_the_next() {
    let puppet = with_archive(Arc::default()).await;
    let store = Store::in_memory().unwrap();
    for session in 1..=2 {
        let (account, _) = connect(&puppet, &store).await;
        heard(&puppet, "enable", session).await;
        heard(&puppet, "urn:xmpp:mam:2", session).await;
        account.close().await;
    }
    let heard = puppet.heard.lock().unwrap();
    let order: Vec<_> = heard.iter().filter_map(|xml| ["carbons:2", "mam:2"].into_iter().find(|ns| xml.contains(ns))).collect();
    assert_eq!(order, ["carbons:2", "mam:2", "carbons:2", "mam:2"]);
}

/// Proves: GL-10.
#[tokio::test]
async fn what_this_device_sent_itself_comes_back_from_the_archive_as_its_own() {
    let mine = format!(
        "<message xmlns='jabber:client' from='{JULIET}/0' to='romeo@localhost' type='chat' id='o1'>{}</message>",
        share("mine.png")
    );
    let archive = vec![("a1".to_owned(), mine), ("a2".to_owned(), message("x2", "his.png"))];
    let puppet = with_archive(Arc::new(std::sync::Mutex::new(archive))).await;
    let store = Store::in_memory().unwrap();
    store.set_setting(&format!("archive {JULIET}"), Some("start")).unwrap();
    let (own, romeo) = (JULIET.parse().unwrap(), Jid::parse("romeo@localhost").unwrap());
    let sent = Outgoing::preparing(own, "o1".to_owned(), romeo, Vec::new(), SystemTime::now());
    store.add_outgoing(&Outgoing { state: OutboxState::Sent, stanza: Some("<message/>".to_owned()), ..sent }).unwrap();
    let (account, mut offers) = connect(&puppet, &store).await;
    assert_eq!(next(&mut offers).await.name().as_str(), "his.png", "what we said is no news to us");
    account.close().await;
    let rows = store.offers(Listing::All, None, 10).unwrap();
    let states: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.state)).collect();
    assert!(states.contains(&("mine.png", OfferState::Own)) && states.contains(&("his.png", OfferState::New)), "{states:?}");
}

/// A session that goes on has what it had: copies are still on, and what came meanwhile comes by itself.
#[tokio::test]
async fn a_session_that_is_resumed_turns_nothing_on_again() {
    let puppet = with_archive(Arc::default()).await;
    let proxy = Proxy::to(puppet.address()).await;
    let mut options = puppet.options("juliet");
    options.server.as_mut().unwrap().0.port = proxy.address.port();
    let account = Account::connect(options, Store::in_memory().unwrap()).await.unwrap();
    let mut offers = account.offers();
    heard(&puppet, "mam:2", 1).await;
    let (before, mut state) = (account.online().await.unwrap(), account.connection());
    proxy.cut();
    state.wait_for(|state| matches!(state, Connection::Waiting { .. })).await.unwrap();
    account.probe().await;
    let after = timeout(PATIENCE, account.online()).await.unwrap().unwrap();
    assert_eq!((after.session, after.connection), (before.session, before.connection + 1), "resumed");
    puppet.say(copied(JULIET, "received", &message("r", "received.png")));
    assert_eq!(next(&mut offers).await.name().as_str(), "received.png");
    account.close().await;
    assert_eq!((puppet.heard_with("carbons:2").len(), puppet.heard_with("mam:2").len()), (1, 1));
}

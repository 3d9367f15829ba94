//! Sources that come in messages of their own, as other clients send them: after the offer, before it, from a stranger, twice.

use std::time::Duration;

use balcony_client::{Account, CataloguedOffer, Decision, Offers, Wish};
use balcony_session::Security;
use balcony_sharing::NamedBy;
use balcony_sharing::verify::SHARED_ALGOS;
use balcony_store::{Listing, OfferState, Store};
use balcony_wire::stanza::Stanza;
use balcony_wire::{Element, Message};
use tokio::time::timeout;

use crate::puppet::Puppet;
use crate::scene::{Scene, connect, noise};
use crate::sharing::{fetch, file, juliet};

/// A file that Romeo has uploaded, and what is said about it.
struct Uploaded {
    bytes: Vec<u8>,
    url: String,
    file: String,
}

async fn upload(romeo: &Account) -> Uploaded {
    let folder = tempfile::tempdir().unwrap();
    let bytes = noise(100_000);
    let sent = romeo.share(file(&folder, "a.bin", &bytes)).to(&romeo.jid().clone().into()).await.unwrap();
    let url = sent.files[0].url.clone().unwrap();
    let rows = romeo.store().offers(Listing::Account(romeo.jid()), None, 1).unwrap();
    let offer = CataloguedOffer::read(romeo.store(), &rows[0]).unwrap().unwrap();
    let hash = offer.digests().get(SHARED_ALGOS[0]).unwrap();
    let hash = format!("<hash xmlns='urn:xmpp:hashes:2' algo='{}'>{}</hash>", hash.algo().name(), hash.to_base64());
    let file = format!(
        "<file xmlns='urn:xmpp:file:metadata:0'><name>a.bin</name><media_type>image/png</media_type><media-type>image/png</media-type>\
         <size>{}</size>{hash}</file>",
        bytes.len()
    );
    Uploaded { bytes, url, file }
}

impl Uploaded {
    /// As Dino shares: neither body nor sources.
    fn share(&self, id: &str, share: &str) -> String {
        format!(
            "<message xmlns='jabber:client' type='chat' to='juliet@localhost' id='{id}'>\
             <file-sharing xmlns='urn:xmpp:sfs:0' disposition='inline' id='{share}'>{}</file-sharing></message>",
            self.file
        )
    }
}

/// As Dino attaches: the link as body, out of band, and as source.
fn attach(id: &str, to: &str, share: &str, url: &str) -> String {
    format!(
        "<message xmlns='jabber:client' type='chat' to='juliet@localhost' id='{id}'><body>{url}</body>\
         <x xmlns='jabber:x:oob'><url>{url}</url></x><attach-to xmlns='urn:xmpp:message-attaching:1' id='{to}'/>\
         <sources xmlns='urn:xmpp:sfs:0' id='{share}'><url-data xmlns='http://jabber.org/protocol/url-data' target='{url}'/></sources></message>"
    )
}

async fn say(account: &Account, xml: &str) {
    let Stanza::Message(message) = Stanza::read(Element::parse(xml).unwrap()).unwrap() else { panic!("{xml}") };
    account.send(message).await.unwrap();
}

async fn next(offers: &mut Offers) -> CataloguedOffer {
    timeout(Duration::from_secs(60), offers.next()).await.expect("an offer in time").expect("the account is open")
}

/// Whatever was said before this is looked at by then.
async fn settled(from: &Account, offers: &mut Offers) {
    let last = Message { id: Some("last".into()), ..Message::new(balcony_wire::stanza::MessageKind::Chat, Some(juliet())) };
    let url = "https://last.example/1";
    let oob = balcony_wire::out_of_band::Oob { url: url.to_owned(), desc: None };
    from.send(last.with_body(url).with(&oob)).await.unwrap();
    let told = next(offers).await;
    assert_eq!(told.sources().flat_map(balcony_sharing::Source::addresses).collect::<Vec<_>>(), [url], "nothing else is told");
}

fn urls(offer: &CataloguedOffer) -> Vec<&str> {
    offer.sources().flat_map(balcony_sharing::Source::addresses).collect()
}

/// Proves: SFS-3.2-4, SFS-3.3-4, SFS-3.3-5, SFS-3.3-D3.
#[tokio::test]
async fn a_file_that_dino_shares_first_and_uploads_then_is_told_again_and_fetched() {
    let scene = Scene::new().await;
    let (romeo, juliet) = (scene.connect("romeo").await, scene.connect("juliet").await);
    let mut offers = juliet.offers();
    let uploaded = upload(&romeo).await;

    say(&romeo, &uploaded.share("m1", "0")).await;
    let pending = next(&mut offers).await;
    assert!(!pending.is_again() && pending.is_pending());
    assert!(matches!(juliet.decide(&pending).await.unwrap(), Decision::Wait(_)));

    for unfit in [attach("m2", "m1", "1", &uploaded.url), attach("m3", "m0", "0", &uploaded.url)] {
        say(&romeo, &unfit).await;
    }
    say(&romeo, &attach("m4", "m1", "0", &uploaded.url)).await;
    let again = next(&mut offers).await;
    assert_eq!((again.key(), again.is_again(), urls(&again)), (pending.key(), true, vec![uploaded.url.as_str()]));
    let received = fetch(&juliet, &again).await;
    assert!(received.is_proven());
    assert_eq!(received.blob().size(), uploaded.bytes.len() as u64);

    // The same once more, and another one for what is here: nobody needs to hear of that.
    say(&romeo, &attach("m4", "m1", "0", &uploaded.url)).await;
    say(&romeo, &attach("m5", "m1", "0", "https://localhost/elsewhere")).await;
    settled(&romeo, &mut offers).await;
    let rows = juliet.store().offers(Listing::Account(juliet.jid()), None, 9).unwrap();
    assert_eq!(rows.len(), 2, "messages that attach offer nothing themselves: {rows:?}");
    let attached = juliet.store().attachments_of(pending.key()).unwrap();
    assert_eq!(attached.len(), 3, "what only repeats what is known is not kept: {attached:?}");
    assert!(attached.iter().all(|row| !row.stanza.contains("<body")), "nor is what goes along: {attached:?}");
}

/// Proves: SFS-3.3-D1.
#[tokio::test]
async fn a_source_that_comes_before_its_offer_waits_for_it_also_across_a_restart() {
    let scene = Scene::new().await;
    let romeo = scene.connect("romeo").await;
    let store = Store::in_memory().unwrap();
    let first = Account::connect(scene.options("juliet", Security::StartTls), store.clone()).await.unwrap();
    let mut offers = first.offers();
    let uploaded = upload(&romeo).await;
    say(&romeo, &attach("m2", "m1", "0", &uploaded.url)).await;
    settled(&romeo, &mut offers).await;
    first.close().await;

    let again = Account::connect(scene.options("juliet", Security::StartTls), store).await.unwrap();
    let mut offers = again.offers();
    say(&romeo, &uploaded.share("m1", "0")).await;
    let offer = next(&mut offers).await;
    assert_eq!((offer.is_again(), urls(&offer)), (false, vec![uploaded.url.as_str()]), "told once, with all it has");
    assert!(fetch(&again, &offer).await.is_proven());
}

/// Proves: SFS-6-2, SFS-6-D1, ATT-5-1.
#[tokio::test]
async fn strangers_attach_nothing_to_what_romeo_offers() {
    let scene = Scene::new().await;
    scene.server.add_account("mallory", crate::scene::PASSWORD).await.unwrap();
    let (romeo, juliet, mallory) = (scene.connect("romeo").await, scene.connect("juliet").await, scene.connect("mallory").await);
    let mut offers = juliet.offers();
    let uploaded = upload(&romeo).await;
    // Before and after the offer.
    say(&mallory, &attach("x1", "m1", "0", "https://evil.example/1")).await;
    settled(&mallory, &mut offers).await;
    say(&romeo, &uploaded.share("m1", "0")).await;
    let offer = next(&mut offers).await;
    assert!(offer.is_pending());
    say(&mallory, &attach("x2", "m1", "0", "https://evil.example/2")).await;
    // Said in a room that she is not in, and as an error: neither is Romeo.
    say(&mallory, &attach("x3", "m1", "0", "https://evil.example/3").replace("type='chat'", "type='groupchat'")).await;
    say(&mallory, &uploaded.share("x4", "0").replace("type='chat'", "type='groupchat'")).await;
    say(&romeo, &attach("x5", "m1", "0", "https://evil.example/5").replace("type='chat'", "type='error'")).await;
    say(
        &mallory,
        &"<message xmlns='jabber:client' to='juliet@localhost'><received xmlns='urn:xmpp:carbons:2'>\
        <forwarded xmlns='urn:xmpp:forward:0'>WHAT</forwarded></received></message>"
            .replace(
                "WHAT",
                &attach("x6", "m1", "0", "https://evil.example/6").replace("type='chat'", "type='chat' from='romeo@localhost/1'"),
            ),
    )
    .await;
    say(&romeo, &attach("m2", "m1", "0", &uploaded.url)).await;
    let again = next(&mut offers).await;
    assert_eq!((urls(&again), &again.places()[0].named_by), (vec![uploaded.url.as_str()], &NamedBy::Sender));
}

/// Proves: ATT-4.2-1, ATT-5-1.
#[tokio::test]
async fn what_another_device_of_ours_attaches_is_named_as_ours_and_comes_last() {
    let puppet = Puppet::new(|_| Vec::new()).await;
    let juliet = Account::connect(puppet.options("juliet"), Store::in_memory().unwrap()).await.unwrap();
    let mut offers = juliet.offers();
    let romeo = |xml: String| xml.replace("type='chat'", "type='chat' from='romeo@localhost/1'");
    let phone = |from: &str, xml: String| {
        let xml = xml.replace("type='chat' to='juliet@localhost'", "type='chat' from='juliet@localhost/phone' to='romeo@localhost'");
        format!(
            "<message xmlns='jabber:client' from='{from}' to='juliet@localhost/0'><sent xmlns='urn:xmpp:carbons:2'>\
             <forwarded xmlns='urn:xmpp:forward:0'>{xml}</forwarded></sent></message>"
        )
    };
    let file = "<file xmlns='urn:xmpp:file:metadata:0'><name>a.bin</name><size>7</size></file>".to_owned();
    let shared = Uploaded { bytes: Vec::new(), url: "https://localhost/1".to_owned(), file };
    puppet.say(romeo(shared.share("m1", "0")));
    next(&mut offers).await;
    let mirror = "https://mirror.example/a.bin";
    puppet.say(phone("mallory@evil.example", attach("p0", "m1", "0", "https://evil.example/1")));
    puppet.say(phone("juliet@localhost", attach("p1", "m1", "0", mirror)));
    let again = next(&mut offers).await;
    assert_eq!(urls(&again), [mirror]);
    assert!(matches!(&again.places()[0].named_by, NamedBy::Other(other) if other.bare() == *juliet.jid()));
    puppet.say(romeo(attach("m2", "m1", "0", &shared.url)));
    let again = next(&mut offers).await;
    assert_eq!((urls(&again), &again.places()[0].named_by), (vec![shared.url.as_str(), mirror], &NamedBy::Sender));

    // What our phone shares is ours to be fetched here, and what it attaches counts as its sender's.
    puppet.say(phone("juliet@localhost", shared.share("m3", "0")));
    let own = next(&mut offers).await;
    assert!(own.provenance().is_own() && own.is_pending());
    puppet.say(phone("juliet@localhost", attach("p3", "m3", "0", mirror)));
    let own = next(&mut offers).await;
    assert_eq!((urls(&own), &own.places()[0].named_by), (vec![mirror], &NamedBy::Sender));
}

/// Proves: SFS-6-D1.
#[tokio::test]
async fn what_is_said_in_a_room_is_never_taken_for_a_persons_word() {
    let puppet = Puppet::new(|_| Vec::new()).await;
    let store = Store::in_memory().unwrap();
    let juliet = Account::connect(puppet.options("juliet"), store.clone()).await.unwrap();
    let mut offers = juliet.offers();
    let file = "<file xmlns='urn:xmpp:file:metadata:0'><name>a.bin</name><size>7</size></file>".to_owned();
    let shared = Uploaded { bytes: Vec::new(), url: "https://localhost/1".to_owned(), file };
    let from = |from: &str, kind: &str, xml: String| xml.replace("type='chat'", &format!("type='{kind}' from='{from}'"));
    puppet.say(from("romeo@localhost/1", "chat", shared.share("m1", "0")));
    assert!(next(&mut offers).await.is_pending());
    for somebody in ["romeo@localhost/1", "romeo@localhost", "coven@chat.localhost/romeo", "coven@chat.localhost"] {
        puppet.say(from(somebody, "groupchat", shared.share("m2", "0")));
        puppet.say(from(somebody, "groupchat", attach("m3", "m1", "0", "https://evil.example/1")));
        let carbon = from(somebody, "groupchat", shared.share("m4", "0"));
        puppet.say(format!(
            "<message xmlns='jabber:client' from='juliet@localhost' to='juliet@localhost/0'><received xmlns='urn:xmpp:carbons:2'>\
             <forwarded xmlns='urn:xmpp:forward:0'>{carbon}</forwarded></received></message>"
        ));
    }
    // In private through a room: a nick is nobody, and two nicks are two conversations.
    let mark = "<x xmlns='http://jabber.org/protocol/muc#user'/></message>";
    let private = |nick: &str, xml: String| from(&format!("coven@chat.localhost/{nick}"), "chat", xml).replace("</message>", mark);
    puppet.say(private("romeo", shared.share("p1", "0")));
    let offer = next(&mut offers).await;
    let provenance = offer.provenance();
    assert!(provenance.is_in_room() && provenance.person().is_none() && !provenance.is_own());
    puppet.say(private("mallory", attach("p2", "p1", "0", "https://evil.example/2")));
    puppet.say(private("romeo", attach("p3", "p1", "0", &shared.url)));
    let again = next(&mut offers).await;
    assert_eq!(urls(&again), [shared.url.as_str()]);
    assert!(matches!(&again.places()[0].named_by, NamedBy::Other(_)), "who has the nick now need not be who had it then");
    assert_eq!(store.offers(Listing::All, None, 9).unwrap().len(), 2);
}

#[tokio::test]
async fn a_fresh_link_revives_an_offer_whose_first_link_is_dead() {
    let scene = Scene::new().await;
    let (romeo, juliet) = (scene.connect("romeo").await, scene.connect("juliet").await);
    let mut offers = juliet.offers();
    let uploaded = upload(&romeo).await;
    let dead = uploaded.url.replace("a.bin", "b.bin");
    say(&romeo, &uploaded.share("m1", "0")).await;
    say(&romeo, &attach("m2", "m1", "0", &dead)).await;
    next(&mut offers).await;
    let offer = next(&mut offers).await;
    let Decision::Fetch(plan) = juliet.decide_for(&offer, Wish { asked: true, ..Wish::default() }).await.unwrap() else { panic!() };
    juliet.fetch(&offer, plan).await.unwrap_err();
    let state = || juliet.store().offer(offer.key()).unwrap().unwrap().state;
    assert_eq!(state(), OfferState::Failed);

    // Another dead one that was tried already, by another message: it stays as it is.
    say(&romeo, &attach("m3", "m1", "0", &dead)).await;
    settled(&romeo, &mut offers).await;
    assert_eq!(state(), OfferState::Failed);
    say(&romeo, &attach("m4", "m1", "0", &uploaded.url)).await;
    let again = next(&mut offers).await;
    assert_eq!((again.is_again(), again.state()), (true, OfferState::New));
    assert!(fetch(&juliet, &again).await.is_proven());
}

/// A listener that was away while more came than can wait for it.
#[tokio::test]
async fn a_slow_listener_hears_of_every_offer_that_gained_a_source() {
    let scene = Scene::new().await;
    let (romeo, juliet) = (scene.connect("romeo").await, connect(scene.options("juliet", Security::DirectTls)).await);
    let mut offers = juliet.offers();
    let mut other = juliet.offers();
    let uploaded = upload(&romeo).await;
    say(&romeo, &uploaded.share("m1", "0")).await;
    let first = next(&mut offers).await;
    assert!(next(&mut other).await.is_pending());
    say(&romeo, &attach("a1", "m1", "0", &uploaded.url)).await;
    let mut gained = 0;
    for number in 0..40 {
        say(&romeo, &uploaded.share(&format!("n{number}"), "0")).await;
    }
    for _ in 0..41 {
        gained += usize::from(next(&mut other).await.is_again());
    }
    assert_eq!(gained, 1);
    let mut told = Vec::new();
    while told.len() < 41 {
        told.push(next(&mut offers).await);
    }
    let again: Vec<_> = told.iter().filter(|offer| offer.is_again()).collect();
    assert_eq!(again.iter().map(|offer| (offer.key(), urls(offer))).collect::<Vec<_>>(), [(first.key(), vec![uploaded.url.as_str()])]);
}

//! Files shared live: published sessions asked for and started, files asked for by their hash, and what strangers hear.

use std::time::Duration;

use balcony_client::{Account, CataloguedOffer, GivingStep, LiveShares, Offers, Store};
use balcony_session::client::Ask;
use balcony_session::iq_table::RequestError;
use balcony_sharing::verify::{Hasher, SHARED_ALGOS};
use balcony_wire::file_sharing::{FileSharing, SourceElement};
use balcony_wire::hashes::Hash;
use balcony_wire::jingle_pub::{JinglePub, Start};
use balcony_wire::stanza::{DefinedCondition, MessageKind};
use balcony_wire::xmpp_uri::XmppUri;
use balcony_wire::{Element, Iq, Jid, Message, Payload, ns};
use tokio::time::timeout;

use crate::direct::{Couple, fetch, options, yes};
use crate::puppet::{Puppet, discovery, result};
use crate::scene::{PASSWORD, noise};
use crate::sharing::{file, juliet};

const PATIENCE: Duration = Duration::from_secs(60);

async fn next(offers: &mut Offers) -> CataloguedOffer {
    timeout(PATIENCE, offers.next()).await.expect("no offer comes").unwrap()
}

/// Waits until it sees that the other is there and what it can do.
pub(crate) async fn sees(account: &Account, other: &Account) {
    let device: Jid = other.online().await.unwrap().jid.clone().into();
    let mut devices = account.devices();
    let is_there = devices.wait_for(|devices| devices.get(&device).is_some_and(|abilities| abilities.gives_files()));
    timeout(PATIENCE, is_there).await.expect("they never see each other").unwrap();
}

/// What was published in the first message.
pub(crate) fn published(shares: &LiveShares) -> JinglePub {
    let share = shares.messages()[0].payload::<FileSharing>().unwrap().unwrap();
    let mut sources = share.sources.unwrap().into_iter();
    sources.find_map(|source| if let SourceElement::JinglePub(published) = source { Some(published) } else { None }).unwrap()
}

async fn start(account: &Account, of: &Account, id: &str) -> Result<Option<Element>, DefinedCondition> {
    let to: Jid = of.online().await.unwrap().jid.clone().into();
    match account.request(Some(to), Ask::Get(Start { id: id.to_owned() }.write()), PATIENCE).await {
        Ok(answer) => Ok(answer),
        Err(RequestError::Refused { error, .. }) => Err(error.condition),
        Err(error) => panic!("{error}"),
    }
}

async fn another(couple: &Couple, name: &str) -> Account {
    if name != "romeo" {
        couple.scene.server.add_account(name, PASSWORD).await.unwrap();
    }
    Account::connect(options(&couple.scene, name), Store::in_memory().unwrap()).await.unwrap()
}

/// Proves: JPUB-2.1-1, JPUB-2.1-2, JPUB-2.1-3, JPUB-2.1-5, JPUB-2.2-1, JPUB-2.2-2, JPUB-D-1, SFS-3.2-10.
#[tokio::test]
async fn a_file_that_is_shared_live_is_fetched_from_the_device_and_nothing_is_uploaded() {
    let mut couple = Couple::new().await;
    let bytes = noise(1_500_000);
    let path = couple.file("summit.jpg", &bytes);
    sees(&couple.juliet, &couple.romeo).await;
    let mut shares = couple.romeo.share_live(&path).to(&juliet()).await.unwrap();
    let message = &shares.messages()[0];
    assert!(message.body().is_none() && shares.files()[0].url.is_none());
    let told = published(&shares);
    let own = couple.romeo.online().await.unwrap().jid.clone();
    assert_eq!(told.from, Some(own.into()));
    assert_eq!(told.applications().collect::<Vec<_>>(), [ns::JINGLE_FILE_TRANSFER_5]);
    assert!(told.id.len() >= 16, "nobody guesses it");

    let offer = couple.next().await;
    assert!(fetch(&couple.juliet, &offer).await.is_proven());
    let mut seen = Vec::new();
    loop {
        match timeout(PATIENCE, shares.next()).await.unwrap().unwrap().step {
            GivingStep::Began => seen.push("began"),
            GivingStep::Going { from, .. } => {
                assert_eq!(from, 0);
                seen.push("going");
            }
            GivingStep::Progress { .. } => {}
            GivingStep::Done => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, ["began", "going"]);
    shares.stop().await.unwrap();
}

/// Proves: JPUB-2.2-3, JPUB-D-3, JFT-D-2.
#[tokio::test]
async fn who_was_not_told_cannot_start_it_and_after_the_end_it_never_was() {
    let couple = Couple::new().await;
    let path = couple.file("summit.jpg", b"the summit");
    let (nurse, mallory, phone) = (another(&couple, "nurse").await, another(&couple, "mallory").await, another(&couple, "romeo").await);
    couple.romeo.add_contact(nurse.jid(), None, Vec::new(), true).await.unwrap();
    nurse.add_contact(couple.romeo.jid(), None, Vec::new(), true).await.unwrap();
    sees(&nurse, &couple.romeo).await;
    let shares = couple.romeo.share_live(&path).relay_only().to(&juliet()).await.unwrap();
    let id = published(&shares).id;
    assert_eq!(start(&nurse, &couple.romeo, &id).await, Err(DefinedCondition::Forbidden));
    assert_eq!(start(&nurse, &couple.romeo, "none").await, Err(DefinedCondition::NotAcceptable));
    for id in [&*id, "none"] {
        assert_eq!(start(&mallory, &couple.romeo, id).await, Err(DefinedCondition::ServiceUnavailable), "to strangers nobody is there");
    }
    for entitled in [&couple.juliet, &phone] {
        let starting = start(entitled, &couple.romeo, &id).await.unwrap().unwrap();
        assert!(starting.is("starting", ns::JINGLE_PUB) && starting.attr("sid").is_some_and(|sid| !sid.is_empty()));
    }
    let no_start = couple.juliet.request(
        Some(couple.romeo.online().await.unwrap().jid.clone().into()),
        Ask::Get(Element::new("start", ns::JINGLE_PUB)),
        PATIENCE,
    );
    assert!(matches!(no_start.await, Err(RequestError::Refused { error, .. }) if error.condition == DefinedCondition::BadRequest));
    shares.stop().await.unwrap();
    for who in [&couple.juliet, &nurse, &phone] {
        assert_eq!(start(who, &couple.romeo, &id).await, Err(DefinedCondition::NotAcceptable));
    }
    // Whoever is told nothing sees at least that the device is gone.
    sees(&couple.juliet, &couple.romeo).await;
    let (device, mut devices): (Jid, _) = (couple.romeo.online().await.unwrap().jid.clone().into(), couple.juliet.devices());
    couple.romeo.close().await;
    timeout(PATIENCE, devices.wait_for(|devices| devices.get(&device).is_none())).await.unwrap().unwrap();
}

/// A message that says of a file that somebody may be asked for it by its hash (SIMS, decision 33).
fn by_hash(to: &Jid, whom: &str, id: &str, bytes: &[u8]) -> Message {
    let mut hasher = Hasher::new(SHARED_ALGOS);
    hasher.update(bytes);
    let hashes: String = hasher.finish().digests().iter().cloned().map(|digest| Hash::from(digest).write().to_xml()).collect();
    let xml = format!(
        "<reference xmlns='urn:xmpp:reference:0' type='data'><media-sharing xmlns='urn:xmpp:sims:1'>\
         <file xmlns='urn:xmpp:jingle:apps:file-transfer:5'><media-type>text/plain</media-type><name>{id}.txt</name><size>{}</size>{hashes}</file>\
         <sources><reference xmlns='urn:xmpp:reference:0' type='data' uri='xmpp:{whom}?jingle-ft'/></sources></media-sharing></reference>",
        bytes.len()
    );
    let message = Message { id: Some(id.to_owned()), ..Message::new(MessageKind::Chat, Some(to.clone())) };
    let mut message = message.with_body("a file");
    message.payloads.push(Element::parse(&xml).unwrap());
    message
}

/// What became of a fetch that fails, in words and without the name of the file.
async fn failure(account: &Account, offer: &CataloguedOffer) -> String {
    let plan = yes(account, offer).await;
    let error = timeout(PATIENCE, account.fetch(offer, plan)).await.unwrap().unwrap_err();
    words_of(&error).replace(offer.name().as_str(), "FILE")
}

fn words_of(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words += &format!(": {error}");
        cause = error.source();
    }
    words
}

/// Decision 33.
/// Proves: JFT-9.1-1, JFT-D-2, SFS-3.2-11.
#[tokio::test]
async fn by_its_hash_a_file_goes_to_whom_it_was_offered_and_others_hear_what_they_hear_of_unknown_ones() {
    let mut couple = Couple::new().await;
    let bytes = noise(200_000);
    let path = couple.file("summit.jpg", &bytes);
    let nurse = another(&couple, "nurse").await;
    couple.romeo.add_contact(nurse.jid(), None, Vec::new(), true).await.unwrap();
    nurse.add_contact(couple.romeo.jid(), None, Vec::new(), true).await.unwrap();
    for account in [&couple.juliet, &nurse] {
        sees(account, &couple.romeo).await;
    }
    // Only Juliet is told of it; that it can be had by its hash is said to everybody.
    let shares = couple.romeo.share_live(&path).to(&juliet()).await.unwrap();
    couple.next().await;
    let mut heard = nurse.offers();
    couple.romeo.send(by_hash(&juliet(), "romeo@localhost", "j", &bytes)).await.unwrap();
    let offer = couple.next().await;
    assert!(fetch(&couple.juliet, &offer).await.is_proven());
    let to_nurse: Jid = nurse.jid().clone().into();
    let mut said = Vec::new();
    for (id, bytes) in [("known", &bytes[..]), ("unknown", b"nobody has this")] {
        couple.romeo.send(by_hash(&to_nurse, "romeo@localhost", id, bytes)).await.unwrap();
        said.push(failure(&nurse, &next(&mut heard).await).await);
    }
    assert_eq!(said[0], said[1], "what is not for her and what is not there");
    drop(shares);
}

/// Proves: JFT-9.1-1.
#[tokio::test]
async fn a_stranger_who_asks_for_a_file_hears_the_same_whether_it_is_there_or_not() {
    let couple = Couple::new().await;
    let path = couple.file("summit.jpg", b"the summit");
    let mallory = another(&couple, "mallory").await;
    let shares = couple.romeo.share_live(&path).to(&juliet()).await.unwrap();
    let to: Jid = couple.romeo.online().await.unwrap().jid.clone().into();
    let mut answers = Vec::new();
    for bytes in [&b"the summit"[..], b"nobody has this"] {
        let mut hasher = Hasher::new(SHARED_ALGOS);
        hasher.update(bytes);
        let hashes: String = hasher.finish().digests().iter().cloned().map(|digest| Hash::from(digest).write().to_xml()).collect();
        let xml = format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='851ba2'><content creator='initiator' name='f' senders='responder'>\
             <description xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file>{hashes}</file></description>\
             <transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='4096' sid='ch3d9s71'/></content></jingle>"
        );
        let answer = mallory.request(Some(to.clone()), Ask::Set(Element::parse(&xml).unwrap()), PATIENCE).await;
        let Err(RequestError::Refused { error, .. }) = answer else { panic!("{answer:?}") };
        answers.push(error);
    }
    assert_eq!(answers[0], answers[1]);
    drop(shares);
}

/// Proves: JFT-D-2.
#[tokio::test]
async fn another_device_of_the_account_gets_what_was_shared_with_somebody() {
    let couple = Couple::new().await;
    let bytes = noise(100_000);
    let path = couple.file("summit.jpg", &bytes);
    let phone = another(&couple, "romeo").await;
    let mut heard = phone.offers();
    sees(&phone, &couple.romeo).await;
    let shares = couple.romeo.share_live(&path).to(&juliet()).await.unwrap();
    let own: Jid = couple.romeo.jid().clone().into();
    couple.romeo.send(by_hash(&own, "romeo@localhost", "note", &bytes)).await.unwrap();
    let offer = next(&mut heard).await;
    assert!(fetch(&phone, &offer).await.is_proven());
    drop(shares);
}

/// One message has both; each alone is enough.
///
/// Proves: JPUB-2.3-1, JPUB-2.1-5.
#[tokio::test]
async fn with_a_link_as_well_the_file_comes_from_whichever_is_there() {
    let mut couple = Couple::new().await;
    sees(&couple.juliet, &couple.romeo).await;
    for (name, takes_link_away) in [("one.bin", true), ("two.bin", false)] {
        let bytes = [noise(300_000), name.into()].concat();
        let path = couple.file(name, &bytes);
        let shares = couple.romeo.share_live(&path).with_links().to(&juliet()).await.unwrap();
        let [message] = shares.messages() else { panic!("{:?}", shares.messages()) };
        let url = shares.files()[0].url.clone().unwrap();
        assert_eq!(message.body().as_deref(), Some(&*url));
        let own = couple.romeo.online().await.unwrap().jid.clone();
        let uri = XmppUri::new(own.into()).with_query("jingle").with_param("id", published(&shares).id).to_string();
        let xml = message.clone().into_element().to_xml();
        assert!(xml.contains("urn:xmpp:sims:1") && xml.contains(&uri), "SIMS names both, too: {xml}");
        let offer = couple.next().await;
        let live = if takes_link_away {
            remove_uploads(couple.scene.data());
            Some(shares)
        } else {
            shares.stop().await.unwrap();
            None
        };
        assert!(fetch(&couple.juliet, &offer).await.is_proven(), "{name}");
        drop(live);
    }
}

/// Takes the bytes of all uploads away from the server.
fn remove_uploads(folder: &std::path::Path) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            remove_uploads(&entry.path());
        } else if entry.metadata().unwrap().len() >= 300_000 && entry.path().extension().is_none() {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
}

/// A server that carries what is said and knows no proxy.
async fn puppet() -> Puppet {
    Puppet::new(|iq: &Iq| discovery(iq, &[]).unwrap_or_else(|| vec![result(iq, "")])).await
}

/// The `session-initiate` that Romeo starts for Juliet, as it was said.
async fn initiated(relay_only: bool) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "summit.jpg", b"the summit");
    let server = puppet().await;
    let options = balcony_client::ConnectOptions { loopback_http: true, ..server.options("romeo") };
    let romeo = Account::connect(options, Store::in_memory().unwrap()).await.unwrap();
    let share = romeo.share_live(&path);
    let share = if relay_only { share.relay_only() } else { share };
    let shares = timeout(PATIENCE, share.to(&juliet())).await.unwrap();
    let shares = shares.unwrap();
    let (to, id) = (romeo.online().await.unwrap().jid.clone(), published(&shares).id);
    server.say(format!(
        "<iq xmlns='jabber:client' type='get' from='juliet@localhost/balcony' to='{to}' id='1'><start xmlns='urn:xmpp:jinglepub:1' id='{id}'/></iq>"
    ));
    let said = async {
        loop {
            match server.heard_with("session-initiate").pop() {
                Some(said) => return said,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    timeout(PATIENCE, said).await.expect("no session begins")
}

/// Proves: S5J-6.1-1, JIN-13-1.
#[tokio::test]
async fn shared_by_relay_only_no_address_is_ever_said() {
    let said = initiated(true).await;
    assert!(!said.contains("127.0.0.1") && !said.contains("::1") && !said.contains("host="), "{said}");
    let said = initiated(false).await;
    assert!(said.contains("127.0.0.1"), "who is told sees it otherwise: {said}");
}

/// By a rule, whoever fetched a file says that it can be had there, too; a third device gets it when the first one is gone.
#[tokio::test]
async fn who_fetched_it_may_say_that_it_is_there_too() {
    let mut couple = Couple::new().await;
    let phone = another(&couple, "romeo").await;
    for (account, other) in [(&couple.juliet, &couple.romeo), (&phone, &couple.juliet)] {
        sees(account, other).await;
    }
    let bytes = noise(100_000);
    let path = couple.file("summit.jpg", &bytes);
    let shares = couple.romeo.share_live(&path).to(&juliet()).await.unwrap();
    let offer = couple.next().await;
    assert!(fetch(&couple.juliet, &offer).await.is_proven());
    assert!(couple.juliet.announce_copy(&offer).await.unwrap().is_none(), "no rule says so");
    let rules = "announce contacts up to 1 MiB\ngive own-devices\ngive everybody";
    couple.juliet.fetcher().set_giving(couple.juliet.jid(), rules.parse().unwrap()).await.unwrap();
    let here = couple.juliet.announce_copy(&offer).await.unwrap().unwrap();
    shares.stop().await.unwrap();

    let romeo = couple.romeo.store().clone();
    let row = romeo.offers(balcony_store::Listing::Account(couple.romeo.jid()), None, 10).unwrap().remove(0);
    let attached = async {
        loop {
            let offer = couple.romeo.fetcher().offer(row.key).await.unwrap().unwrap();
            if offer.sources().count() == 2 {
                return offer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let known = timeout(PATIENCE, attached).await.expect("nobody hears that it is there too");
    let device: Jid = couple.juliet.online().await.unwrap().jid.clone().into();
    assert!(known.sources().any(|source| matches!(source, balcony_sharing::Source::Published { from, .. } if *from == device)));
    // The phone heard nothing of it; it asks by the hash, and whoever announced the file gives it.
    let own: Jid = couple.romeo.jid().clone().into();
    let mut heard = phone.offers();
    couple.romeo.send(by_hash(&own, "juliet@localhost", "note", &bytes)).await.unwrap();
    assert!(fetch(&phone, &next(&mut heard).await).await.is_proven());
    here.stop().await.unwrap();
}

/// Neither is in the list of the other: whoever shares it shows that the device is there, as long as it is shared.
#[tokio::test]
async fn strangers_who_are_told_see_the_device_and_get_the_file() {
    let scene = crate::scene::Scene::new().await;
    let connect = async |name: &str| Account::connect(options(&scene, name), Store::in_memory().unwrap()).await.unwrap();
    let (romeo, juliet_account) = (connect("romeo").await, connect("juliet").await);
    let mut offers = juliet_account.offers();
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "summit.jpg", b"the summit");
    let shares = romeo.share_live(&path).relay_only().to(&juliet()).await.unwrap();
    let offer = next(&mut offers).await;
    sees(&juliet_account, &romeo).await;
    assert!(fetch(&juliet_account, &offer).await.is_proven());
    shares.stop().await.unwrap();
    let (device, mut devices): (Jid, _) = (romeo.online().await.unwrap().jid.clone().into(), juliet_account.devices());
    timeout(PATIENCE, devices.wait_for(|devices| devices.get(&device).is_none())).await.unwrap().unwrap();
}

/// Whoever is just getting it is told; what is there of it is kept, and the next share goes on with it.
///
/// Proves: JPUB-D-3.
#[tokio::test]
async fn a_share_that_ends_takes_along_who_is_just_getting_it_and_the_next_one_goes_on() {
    let mut couple = Couple::new().await;
    sees(&couple.juliet, &couple.romeo).await;
    let bytes = noise(4_000_000);
    let path = couple.file("film.mkv", &bytes);
    let slowly = "give everybody at 2 MiB/s";
    couple.romeo.fetcher().set_giving(couple.romeo.jid(), slowly.parse().unwrap()).await.unwrap();
    let mut shares = couple.romeo.share_live(&path).to(&juliet()).await.unwrap();
    let offer = couple.next().await;
    let plan = yes(&couple.juliet, &offer).await;
    let (juliet_account, begun) = (couple.juliet.clone(), offer.clone());
    let fetching = tokio::spawn(async move { juliet_account.fetch(&begun, plan).await });
    while !matches!(timeout(PATIENCE, shares.next()).await.unwrap().unwrap().step, GivingStep::Progress { sent } if sent > 1_000_000) {}
    let mut events = couple.romeo.giving_events();
    shares.stop().await.unwrap();
    let error = timeout(PATIENCE, fetching).await.unwrap().unwrap().unwrap_err();
    let words = words_of(&error);
    assert!(words.contains("does not have the file, or does not give it") && words.contains("are kept for another try"), "{words}");
    while !matches!(timeout(PATIENCE, events.recv()).await.unwrap().unwrap().step, GivingStep::Failed { .. }) {}

    // The same offer: its session is over, but who offered it is asked for it by its hash.
    let mut shares = couple.romeo.share_live(&path).to(&juliet()).await.unwrap();
    couple.next().await;
    let offer = couple.juliet.fetcher().offer(offer.key()).await.unwrap().unwrap();
    assert!(fetch(&couple.juliet, &offer).await.is_proven());
    let from = loop {
        if let GivingStep::Going { from, .. } = timeout(PATIENCE, shares.next()).await.unwrap().unwrap().step {
            break from;
        }
    };
    assert!(from > 0, "what was there is not fetched again");
}

/// After a new login the device has another name: everybody who was told hears of it, and strangers see it again.
#[tokio::test]
async fn a_device_that_comes_back_under_another_name_says_where_its_shares_are_now() {
    let scene = crate::scene::Scene::with(|settings| settings.resume_for = Duration::from_millis(100)).await;
    let proxy = crate::proxy::Proxy::to(scene.server.c2s_addr()).await;
    let mut by_proxy = options(&scene, "romeo");
    by_proxy.server.as_mut().unwrap().0.port = proxy.address.port();
    let romeo = Account::connect(by_proxy, Store::in_memory().unwrap()).await.unwrap();
    let juliet_account = Account::connect(options(&scene, "juliet"), Store::in_memory().unwrap()).await.unwrap();
    let mut offers = juliet_account.offers();
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "summit.jpg", b"the summit");
    let shares = romeo.share_live(&path).to(&juliet()).await.unwrap();
    let offer = next(&mut offers).await;
    let before = romeo.online().await.unwrap();
    let (mut state, mut devices) = (romeo.connection(), juliet_account.devices());

    // Left alone, he would be back within a second.
    proxy.hold();
    timeout(PATIENCE, state.wait_for(|state| matches!(state, balcony_client::Connection::Waiting { .. }))).await.unwrap().unwrap();
    let old: Jid = before.jid.clone().into();
    timeout(PATIENCE, devices.wait_for(|devices| devices.get(&old).is_none())).await.expect("it is never gone").unwrap();
    // Somebody else has its name by then.
    let mut other = options(&scene, "romeo");
    other.resource = before.jid.resource().map(str::to_owned);
    let other = Account::connect(other, Store::in_memory().unwrap()).await.unwrap();
    proxy.pass();
    romeo.probe().await;
    let again = next(&mut offers).await;
    assert!(again.is_again() && again.key() == offer.key());
    let after = romeo.online().await.unwrap();
    assert_ne!(after.jid, before.jid);
    sees(&juliet_account, &romeo).await;
    assert!(fetch(&juliet_account, &again).await.is_proven());
    drop((shares, other));
}

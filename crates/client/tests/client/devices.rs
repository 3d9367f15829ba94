//! Several devices of one account at servers of others: what one hears and says the others know, also those that were off. Devices of
//! others: small data goes both ways.

use std::time::Duration;

use balcony_client::{Account, CataloguedOffer, ConnectOptions, FileToShare, Offers, Security, ServerAddress, SmallPicture, Store};
use balcony_session::client::Ask;
use balcony_sharing::transfer::bits::{self, Bits};
use balcony_store::Listing;
use balcony_wire::bits_of_binary::{BitsOfBinary, ContentId};
use balcony_wire::file_sharing::FileSharing;
use balcony_wire::stanza::MessageKind;
use balcony_wire::stanza_ids::OriginId;
use balcony_wire::{Element, Jid, Message, Payload as _};
use testing_peers::{Endpoints, Peers, Server};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);

fn options(there: &Endpoints, user: &str, resource: &str) -> ConnectOptions {
    let mut options = ConnectOptions::with_password(there.jid(user).parse().unwrap(), there.password(user));
    let address: ServerAddress = there.starttls().parse().unwrap();
    options.server = Some((address, Security::StartTls));
    options.ca_pem = Some(std::fs::read_to_string(there.ca()).unwrap());
    options.resource = Some(resource.to_owned());
    options
}

async fn connect(there: &Endpoints, user: &str, resource: &str, store: &Store) -> (Account, Offers) {
    let account = Account::connect(options(there, user, resource), store.clone()).await.unwrap();
    let offers = account.offers();
    (account, offers)
}

/// A share as XEP-0447 has it; its place is nowhere, it is not fetched here.
fn share(to: &Jid, name: &str) -> Message {
    let xml = format!(
        "<file-sharing xmlns='urn:xmpp:sfs:0' id='s'><file xmlns='urn:xmpp:file:metadata:0'><name>{name}</name><size>3</size></file>\
         <sources><url-data xmlns='http://jabber.org/protocol/url-data' target='https://files.example/{name}'/></sources></file-sharing>"
    );
    let sharing = FileSharing::read(&Element::parse(&xml).unwrap()).unwrap();
    let message = Message { id: Some(name.to_owned()), ..Message::new(MessageKind::Chat, Some(to.clone())) };
    message.with(&OriginId { id: name.to_owned() }).with(&sharing).with_body(name)
}

async fn next(offers: &mut Offers) -> CataloguedOffer {
    timeout(PATIENCE, offers.next()).await.expect("no offer comes").unwrap()
}

/// What came before this was seen as well: the server hands out messages in order.
async fn is_settled(account: &Account, other: &Account, own: &mut Offers, name: &str) {
    other.send(share(&account.jid().clone().into(), name)).await.unwrap();
    assert_eq!(next(own).await.name().as_str(), name);
}

async fn devices_share_what_they_hear(there: &Endpoints) {
    let (alice_store, phone_store, desk_store) = (Store::in_memory().unwrap(), Store::in_memory().unwrap(), Store::in_memory().unwrap());
    let (alice, mut to_alice) = connect(there, "alice", "balcony", &alice_store).await;
    let (phone, _) = connect(there, "bob", "phone", &phone_store).await;
    let (desk, mut offers) = connect(there, "bob", "desk", &desk_store).await;
    let phone_jid: Jid = phone.online().await.unwrap().jid.clone().into();

    // Copies are on when one comes.
    let mut tries = 0;
    let first = loop {
        tries += 1;
        alice.send(share(&phone_jid, &format!("heard {tries}.png"))).await.unwrap();
        match timeout(Duration::from_secs(1), offers.next()).await {
            Ok(offer) => break offer.unwrap(),
            Err(_) => assert!(tries < 20, "no copy ever comes"),
        }
    };
    assert_eq!(first.provenance().sender().bare(), alice.jid().clone());
    assert_eq!(first.provenance().way(), balcony_sharing::Way::CarbonReceived);
    phone.send(share(&alice.jid().clone().into(), "said.png")).await.unwrap();
    let said = loop {
        let offer = next(&mut offers).await;
        if offer.name().as_str() == "said.png" {
            break offer;
        }
    };
    assert_eq!((said.provenance().way(), said.provenance().conversation()), (balcony_sharing::Way::CarbonSent, alice.jid().clone()));
    assert_eq!(next(&mut to_alice).await.name().as_str(), "said.png");
    is_settled(&desk, &alice, &mut offers, "before.png").await;
    desk.close().await;

    // Off: what comes now is in the archive alone.
    alice.send(share(&phone_jid, "away 1.png")).await.unwrap();
    phone.send(share(&alice.jid().clone().into(), "away 2.png")).await.unwrap();
    assert_eq!(next(&mut to_alice).await.name().as_str(), "away 2.png", "the server has both");
    let before = desk_store.offers(Listing::All, None, 100).unwrap().len();
    let (desk, mut offers) = connect(there, "bob", "desk", &desk_store).await;
    let mut came = [next(&mut offers).await, next(&mut offers).await];
    came.sort_by_key(|offer| offer.name().to_string());
    let names: Vec<_> = came.iter().map(|offer| offer.name().to_string()).collect();
    assert_eq!(names, ["away 1.png", "away 2.png"]);
    assert_eq!(came[0].provenance().sender().bare(), alice.jid().clone());
    assert!(came[1].provenance().is_own() && came[1].provenance().conversation() == *alice.jid());
    is_settled(&desk, &alice, &mut offers, "after.png").await;
    desk.close().await;

    // Nothing is there twice, and nothing comes again.
    assert_eq!(desk_store.offers(Listing::All, None, 100).unwrap().len(), before + 3);
    let (desk, mut offers) = connect(there, "bob", "desk", &desk_store).await;
    is_settled(&desk, &alice, &mut offers, "last.png").await;
    let mut names: Vec<_> = desk_store.offers(Listing::All, None, 100).unwrap().into_iter().map(|row| row.name).collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all, "{names:?}");
}

/// Proves: C0280-4-1, C0280-7-1, C0313-4-1.
#[tokio::test]
async fn devices_of_one_account_know_what_the_others_hear_over_prosody() {
    let Ok(peers) = Peers::available().map_err(testing_peers::Skipped::say) else { return };
    let instance = peers.start(Server::Prosody, &[]).unwrap();
    devices_share_what_they_hear(instance.endpoints()).await;
}

/// Proves: C0280-4-1, C0280-7-1, C0313-4-1.
#[tokio::test]
async fn devices_of_one_account_know_what_the_others_hear_over_ejabberd() {
    let Ok(peers) = Peers::available().map_err(testing_peers::Skipped::say) else { return };
    let instance = peers.start(Server::Ejabberd, &[]).unwrap();
    devices_share_what_they_hear(instance.endpoints()).await;
}

/// slixmpp asks us for the thumbnail of a file that we sent it, and hands out small data that we ask it for.
///
/// Proves: BOB-2.3-1, BOB-3-1.
#[tokio::test]
async fn slixmpp_and_we_ask_each_other_for_small_data() {
    let Ok(peers) = Peers::available().map_err(testing_peers::Skipped::say) else { return };
    let instance = peers.start(Server::Prosody, &[]).unwrap();
    let there = instance.endpoints().clone();
    let (alice, _) = connect(&there, "alice", "balcony", &Store::in_memory().unwrap()).await;
    let folder = tempfile::tempdir().unwrap();
    let (picture, file) = (folder.path().join("small.png"), folder.path().join("film.mp4"));
    std::fs::write(&picture, png()).unwrap();
    std::fs::write(&file, b"moving pictures").unwrap();
    let small = SmallPicture::new(png()).unwrap();
    alice.share(FileToShare::new(file).thumbnail(small)).to(&there.jid("bob").parse().unwrap()).await.unwrap();
    let (device, cid) = (alice.online().await.unwrap().jid.to_string(), format!("sha1+{SHA1}@bob.xmpp.org"));

    let slixmpp = |who: &str| peers.slixmpp(&there, who);
    let (bob, carol) = (slixmpp("bob/rx"), slixmpp("carol/rx"));
    let (asked, name) = (device.clone(), cid.clone());
    let told = tokio::task::spawn_blocking(move || {
        (bob.run(&["get-bob", &asked, &name]), carol.run(&["get-bob", &asked, &name]), bob.run(&["disco", &asked]))
    });
    let (got, not_told, disco) = told.await.unwrap();
    let got = got.unwrap().into_iter().find(|event| event["event"] == "bob_received").unwrap();
    assert_eq!((got["bytes"].as_u64(), got["type"].as_str()), (Some(70), Some("image/png")));
    assert!(not_told.is_err(), "carol was told of nothing");
    assert!(format!("{:?}", disco.unwrap()).contains("urn:xmpp:bob"));

    let bob = slixmpp("bob/tx");
    let serving = tokio::task::spawn_blocking(move || bob.run(&["bob", picture.to_str().unwrap(), "5"]));
    let (theirs, cid): (Jid, _) = (format!("{}/tx", there.jid("bob")).parse().unwrap(), ContentId::new(cid));
    let got = loop {
        match alice.request(Some(theirs.clone()), Ask::Get(bits::request(&cid)), PATIENCE).await {
            Ok(answer) => break Bits::judge_answer(&cid, answer.as_ref()).unwrap(),
            Err(_) => assert!(!serving.is_finished(), "it never answers"), // it is not there yet
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(got.bytes(), png());
    serving.await.unwrap().unwrap();
}

/// Its digest in the vectors.
const SHA1: &str = "4a5eb7171b58e08a6881721e3b43d5a44419a2be";

/// A 1x1 PNG of the vectors.
fn png() -> Vec<u8> {
    let cases = testing_corpus::cases("bob");
    let case = cases.iter().find(|case| case["note"] == "1x1 PNG").unwrap();
    let data = Element::new("data", "urn:xmpp:bob").with_attr("cid", "x").with_text(case["data_base64"].as_str().unwrap());
    BitsOfBinary::read(&data).unwrap().data.unwrap()
}

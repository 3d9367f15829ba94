//! Whom the person knows: the roster right after login, what pushes change, what is remembered; and the rules and answers that go with it.

use std::time::Duration;

use balcony_client::{Account, CataloguedOffer, Decision, Fetcher, Policy, Store, Wish};
use balcony_sharing::Origin;
use balcony_store::{NewOffer, OfferState};
use balcony_wire::roster::Roster;
use balcony_wire::{BareJid, Element, IqKind, Payload as _, Stanza};

use crate::puppet::{Puppet, discovery, result};
use crate::scene::Scene;

const PATIENCE: Duration = Duration::from_secs(60);

fn bare(text: &str) -> BareJid {
    text.parse().unwrap()
}

/// A server whose roster has romeo in it, among his friends.
async fn server() -> Puppet {
    let roster = "<query xmlns='jabber:iq:roster'><item jid='romeo@localhost' subscription='both'><group>Friends</group></item></query>";
    Puppet::new(move |iq| match &iq.kind {
        IqKind::Get(payload) if Roster::matches(payload) => vec![result(iq, roster)],
        _ => discovery(iq, &[]).unwrap_or_default(),
    })
    .await
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let done = tokio::time::timeout(PATIENCE, async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    done.await.unwrap_or_else(|_| panic!("waited in vain for {what}"));
}

/// Proves: C6121-2-1.
#[tokio::test]
async fn the_roster_is_asked_for_before_presence_and_only_the_own_account_changes_it() {
    let puppet = server().await;
    let account = Account::connect(puppet.options("juliet"), Store::in_memory().unwrap()).await.unwrap();
    assert_eq!(account.contacts().await.groups(&bare("romeo@localhost")), Some(&["Friends".to_owned()][..]));
    until("presence", async || !puppet.heard_with("<presence").is_empty()).await;
    let heard = puppet.heard.lock().unwrap().clone();
    let first = |text: &str| heard.iter().position(|xml| xml.contains(text)).unwrap();
    assert!(first("jabber:iq:roster") < first("<presence"), "{heard:?}");

    let push = |id: &str, from: &str, item: &str| {
        puppet.say(format!("<iq xmlns='jabber:client' type='set' id='{id}' {from}><query xmlns='jabber:iq:roster'>{item}</query></iq>"));
    };
    push("p1", "from='mallory@evil.example'", "<item jid='mallory@evil.example' subscription='both'/>");
    push("p2", "from='romeo@localhost/x'", "<item jid='romeo@localhost' subscription='remove'/>");
    push("p3", "from='juliet@localhost'", "<item jid='nurse@localhost' subscription='to'/>");
    push("p4", "", "<item jid='romeo@localhost' subscription='both'><group>Family</group></item>");
    until("the answers", async || puppet.heard_with("id='p4'").len() + puppet.heard_with("id=\"p4\"").len() == 1).await;
    let known = account.contacts().await;
    assert_eq!(known.groups(&bare("romeo@localhost")), Some(&["Family".to_owned()][..]));
    assert_eq!((known.groups(&bare("nurse@localhost")), known.len()), (Some(&[][..]), 2));
    let answers: Vec<_> = ["p1", "p2", "p3", "p4"]
        .iter()
        .map(|id| puppet.heard_with(id).iter().any(|xml| xml.contains("type='result'") || xml.contains("type=\"result\"")))
        .collect();
    assert_eq!(answers, [false, false, true, true]);
}

#[tokio::test]
async fn without_a_roster_what_is_remembered_goes_on_to_hold() {
    let store = Store::in_memory().unwrap();
    let puppet = server().await;
    let account = Account::connect(puppet.options("juliet"), store.clone()).await.unwrap();
    account.contacts().await;
    account.close().await;
    assert_eq!(Fetcher::offline(&bare("juliet@localhost"), None, None, store.clone()).unwrap().contacts().len(), 1);

    let forgetful = Puppet::new(|iq| discovery(iq, &[]).unwrap_or_default()).await;
    let account = Account::connect(forgetful.options("juliet"), store).await.unwrap();
    assert!(account.contacts().await.groups(&bare("romeo@localhost")).is_some());
}

#[tokio::test]
async fn somebody_becomes_a_contact_in_a_group_and_a_stranger_again() {
    let scene = Scene::new().await;
    let (romeo, juliet) = (scene.connect("romeo").await, scene.connect("juliet").await);
    let known = |account: Account| async move { account.contacts().await };
    assert!(known(juliet.clone()).await.is_empty());
    juliet.add_contact(romeo.jid(), Some("Ro".to_owned()), vec!["Family".to_owned()], true).await.unwrap();
    juliet.add_contact(romeo.jid(), None, vec!["Friends".to_owned()], true).await.unwrap();
    let item = juliet.roster().await.unwrap().remove(0);
    assert_eq!((item.name.as_deref(), item.groups.len()), (Some("Ro"), 2));
    assert_eq!(known(juliet.clone()).await.groups(romeo.jid()).map(<[String]>::len), Some(2));
    assert!(romeo.roster().await.unwrap().is_empty(), "nobody is made a contact of somebody else's");
    // Romeo wants it too, and both see each other.
    romeo.add_contact(juliet.jid(), None, Vec::new(), true).await.unwrap();
    until("both", async || juliet.roster().await.unwrap()[0].subscription.as_str() == "both").await;
    assert!(juliet.remove_contact(romeo.jid()).await.unwrap());
    assert!(!juliet.remove_contact(romeo.jid()).await.unwrap());
    assert!(known(juliet.clone()).await.is_empty());
}

/// An offer of Romeo's in a store.
fn offered(store: &Store, url: &str) -> balcony_store::OfferKey {
    let xml = format!(
        "<message xmlns='jabber:client' type='chat' from='romeo@localhost/x' to='juliet@localhost' id='m1'><file-sharing xmlns='urn:xmpp:sfs:0' \
         disposition='inline'><file xmlns='urn:xmpp:file:metadata:0'><name>a.jpg</name><media-type>image/jpeg</media-type><size>5</size>\
         <hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=</hash></file><sources>\
         <url-data xmlns='http://jabber.org/protocol/url-data' target='{url}'/></sources></file-sharing></message>"
    );
    let Ok(Stanza::Message(message)) = Stanza::read(Element::parse(&xml).unwrap()) else { panic!("no message") };
    let received = balcony_sharing::Received::direct(message, &bare("juliet@localhost")).unwrap();
    let offers = balcony_sharing::dialect::read(&received).offers;
    store.add_offer(&NewOffer::new(&offers[0], xml, std::time::SystemTime::now())).unwrap().0
}

async fn decide(store: &Store, key: balcony_store::OfferKey, asked: bool) -> (CataloguedOffer, Decision, Fetcher) {
    let fetcher = Fetcher::offline(&bare("juliet@localhost"), None, None, store.clone()).unwrap();
    let offer = fetcher.offer(key).await.unwrap().unwrap();
    let decision = fetcher.decide(&offer, &fetcher.policy(), Wish { asked, ..Wish::default() }).await.unwrap();
    (offer, decision, fetcher)
}

#[tokio::test]
async fn a_yes_holds_after_a_restart_for_what_it_was_given_for_and_for_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let key = offered(&Store::open(folder.path()).unwrap(), "https://files.example/a.jpg");
    {
        let store = Store::open(folder.path()).unwrap();
        let (offer, Decision::Ask(question), fetcher) = decide(&store, key, false).await else { panic!("a stranger's") };
        assert_eq!(question.concerns().len(), 2, "{question}");
        fetcher.agree(&offer, &question).await.unwrap();
    }
    let store = Store::open(folder.path()).unwrap();
    let (_, decision, _) = decide(&store, key, false).await;
    assert_eq!(decision.as_str(), "fetch", "{decision}");
    // The rules have the last word.
    let policy: Policy = "never everybody from third-hosts".parse().unwrap();
    let (_, _, fetcher) = decide(&store, key, false).await;
    fetcher.set_policy(&bare("juliet@localhost"), policy).await.unwrap();
    assert_eq!(decide(&store, key, true).await.1.as_str(), "refuse");
}

#[tokio::test]
async fn a_no_holds_until_the_person_asks_for_it() {
    let store = Store::in_memory().unwrap();
    let key = offered(&store, "https://localhost/a.jpg");
    let (offer, decision, fetcher) = decide(&store, key, false).await;
    assert_eq!(decision.as_str(), "ask");
    fetcher.decline(&offer).await.unwrap();
    assert_eq!(store.offer(key).unwrap().unwrap().state, OfferState::Declined);
    let (_, decision, _) = decide(&store, key, false).await;
    assert_eq!((decision.as_str(), decision.to_string().as_str()), ("refuse", "you said no to it"));
    assert_eq!(decide(&store, key, true).await.1.as_str(), "fetch");
}

/// The upload service says where it is; nothing else on its host is the own server's.
#[tokio::test]
async fn the_own_server_is_known_by_host_and_port_even_to_somebody_who_never_uploaded() {
    let scene = Scene::new().await;
    let (romeo, juliet) = (scene.connect("romeo").await, scene.connect("juliet").await);
    let mut offers = juliet.offers();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    std::fs::write(&path, b"hello").unwrap();
    let sent = romeo.share(path).to(&juliet.jid().clone().into()).await.unwrap();
    let url = sent.files[0].url.clone().unwrap().parse().unwrap();
    assert!(!juliet.fetcher().rules().is_own(&url));
    let offer = tokio::time::timeout(PATIENCE, offers.next()).await.unwrap().unwrap();
    juliet.decide(&offer).await.unwrap();
    assert!(juliet.fetcher().rules().is_own(&url));
    let elsewhere = Origin::parse(&format!("localhost:{}", scene.server.c2s_addr().port())).unwrap();
    assert!(!juliet.fetcher().rules().own.contains(&elsewhere), "where one connects to is no web server of the own server");
}

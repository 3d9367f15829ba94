//! When many want room at once, and when few want much of it.

use balcony_wire::roster::Subscription::Both;
use balcony_wire::{Jid, Payload as _};

use super::*;

const COLLUDING: [&str; 4] = ["mercutio@montague.example", "tybalt@capulet.example", "paris@verona.example", "sampson@capulet.example"];

fn switchboard() -> (Switchboard, mpsc::Receiver<(Arrival, Place)>) {
    let contacts: Vec<_> = COLLUDING.into_iter().chain(["romeo@montague.example"]).map(|person| (person, Both)).collect();
    Switchboard::new(Sight::with_contacts("juliet@capulet.example", &contacts), Expected::new().0)
}

fn initiate(person: &str, sid: usize, padding: usize) -> (Key, Iq) {
    let peer = Jid::parse(&format!("{person}/balcony")).unwrap().into_full().unwrap();
    let xml = format!(
        "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='s{sid}'><content creator='initiator' name='a' senders='initiator'>\
         <description xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file><name>a.bin</name></file></description>\
         <transport xmlns='urn:xmpp:jingle:transports:ibb:1' sid='i' block-size='4096'/></content><x xmlns='urn:example:junk'>{}</x></jingle>",
        "x".repeat(padding)
    );
    let request = Iq { from: Some(Jid::from(peer.clone())), ..Iq::set("1", None, Element::parse(&xml).unwrap()) };
    (Key { peer, sid: format!("s{sid}") }, request)
}

/// As the reception does it with what did not wait.
fn admit(switchboard: &Switchboard, person: &str, sid: usize, padding: usize) -> Result<Mailbox<Mail>, JingleRefusal> {
    let (key, request) = initiate(person, sid, padding);
    let payload = request.request().unwrap();
    switchboard.admit(key, &Jingle::read(payload).unwrap(), payload.weight(), None)
}

/// A session takes the room that it had while it waited: no more, and until it is over.
/// Proves: JIN-13-1.
#[tokio::test]
async fn what_arrives_and_becomes_a_session_takes_its_room_once() {
    let (switchboard, mut arrivals) = switchboard();
    let begin = |sid: usize| switchboard.take(initiate("romeo@montague.example", sid, 250_000).1);
    let taken = (0..OF_ONE).take_while(|sid| begin(*sid).is_none()).count();
    let mut sessions = Vec::new();
    for sid in 0..taken {
        let (key, request) = initiate("romeo@montague.example", sid, 250_000);
        let (payload, (_, place)) = (request.request().unwrap(), arrivals.recv().await.unwrap());
        sessions.push(switchboard.admit(key, &Jingle::read(payload).unwrap(), payload.weight(), place.into_held()).unwrap());
    }
    assert!(sessions.len() > 5 && refused(begin(100)).text.unwrap().contains("too much room"));
    sessions.pop();
    assert_eq!(begin(101), None);
}

fn refused(answer: Option<Iq>) -> StanzaError {
    match answer.map(|answer| answer.kind) {
        Some(IqKind::Error(error)) => error,
        other => panic!("no error: {other:?}"),
    }
}

/// Proves: JIN-13-1.
#[test]
fn four_who_open_all_they_can_leave_room_for_everybody_else_and_for_ourselves() {
    let (switchboard, _arrivals) = switchboard();
    let open: Vec<_> = COLLUDING.iter().flat_map(|person| (0..1_000).map_while(|sid| admit(&switchboard, person, sid, 0).ok())).collect();
    assert_eq!(admit(&switchboard, COLLUDING[0], 2_000, 0).unwrap_err(), JingleRefusal::Busy);
    let romeos: Vec<_> = (0..20).map(|sid| admit(&switchboard, "romeo@montague.example", sid, 0).unwrap()).collect();
    let ours = |sid: usize| {
        let key = Key { sid: format!("own{sid}"), ..initiate("romeo@montague.example", 0, 0).0 };
        switchboard.begin(key, Direction::Give, [])
    };
    let ours: Vec<_> = (0..100).map(|sid| ours(sid).unwrap()).collect();
    drop((open, romeos, ours));
    assert!(admit(&switchboard, COLLUDING[0], 0, 0).is_ok(), "what is over makes room");
}

/// Proves: JIN-13-1.
#[test]
fn what_waits_is_bounded_by_its_bytes_and_the_refusal_says_so() {
    let (switchboard, _arrivals) = switchboard();
    let mut open: Vec<_> = (0..64).map_while(|sid| admit(&switchboard, COLLUDING[0], sid, 100_000).ok()).collect();
    assert!((15..25).contains(&open.len()), "{}", open.len());
    let refusal = admit(&switchboard, COLLUDING[0], 2_000, 100_000).unwrap_err();
    assert_eq!(refusal, JingleRefusal::TooLarge);
    let error = refusal.error();
    assert!(error.condition == DefinedCondition::ResourceConstraint && error.text.unwrap().contains("too much room"));
    assert!(open[0].hold(initiate(COLLUDING[0], 0, 100_000).1.request().unwrap()).is_err(), "nor is it added to what is open");
    let (_, heavy) = initiate("romeo@montague.example", 1, 100_000);
    assert_eq!(switchboard.take(heavy), None, "that is nobody else's affair");
    open.pop();
    assert!(admit(&switchboard, COLLUDING[0], 2_000, 100_000).is_ok());
}

#[tokio::test]
async fn what_is_said_in_a_session_takes_room_until_it_was_looked_at() {
    let (switchboard, _arrivals) = switchboard();
    let mut session = admit(&switchboard, "romeo@montague.example", 1, 0).unwrap();
    let say = || switchboard.take(initiate("romeo@montague.example", 1, 250_000).1);
    let taken = (0..MAILBOX).take_while(|_| say().is_none()).count();
    assert!((7..10).contains(&taken), "{taken}");
    assert!(refused(say()).text.unwrap().contains("too much room"));
    assert!(matches!(session.next().await, Some(Mail::Request(_))));
    assert_eq!(say(), None);
}

#[tokio::test]
async fn what_waits_to_be_looked_at_takes_room_too() {
    let (switchboard, mut arrivals) = switchboard();
    let begin = |sid: usize| switchboard.take(initiate("romeo@montague.example", sid, 250_000).1);
    let taken = (0..OF_ONE).take_while(|sid| begin(*sid).is_none()).count();
    assert!((7..10).contains(&taken), "{taken}");
    assert!(refused(begin(100)).text.unwrap().contains("too much room"));
    drop(arrivals.recv().await);
    assert_eq!(begin(101), None);
}

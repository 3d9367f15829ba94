//! Which sessions there are: ids of others mean nothing, strangers do not open them without end, and of two about the same one goes on.

use balcony_sharing::transfer::jingle::{Admission, Bounds, Direction, JingleRefusal, Table};
use balcony_wire::jingle::Jingle;

use super::lone::{FILE, IBB, content, full, jingle, juliet, romeo};
use super::world::{bytes, described};

fn initiate(sid: &str, senders: &str, file: &str) -> Jingle {
    jingle(&format!("action='session-initiate' sid='{sid}'"), &content("f", senders, file, IBB))
}

const NEW: Result<Admission, JingleRefusal> = Ok(Admission::New { instead_of: None });

/// Proves: JIN-D-1.
#[test]
fn the_same_id_with_another_device_is_another_session() {
    let mut table = Table::default();
    assert_eq!(table.admit(&romeo(), &initiate("a", "initiator", FILE)), NEW);
    let info = jingle("action='session-info' sid='a'", "");
    assert_eq!(table.admit(&romeo(), &info), Ok(Admission::Known));
    for other in ["romeo@montague.lit/home", "mallory@montague.lit/orchard"] {
        assert_eq!(table.admit(&full(other), &info), Err(JingleRefusal::UnknownSession), "{other}");
        assert_eq!(table.admit(&full(other), &initiate("a", "initiator", FILE)), NEW, "{other}");
    }
    assert_eq!(table.len(), 3);
    table.end(&romeo(), "a");
    assert_eq!(table.admit(&romeo(), &info), Err(JingleRefusal::UnknownSession));
}

/// Proves: JIN-13-1.
#[test]
fn strangers_do_not_open_sessions_without_end() {
    let mut table = Table::new(Bounds { per_device: 3, per_person: 5, in_all: 8 });
    let mut open = |from: &str, count: usize| -> usize {
        let tries = (0..count).map(|at| table.admit(&full(from), &initiate(&format!("{at}"), "initiator", FILE)));
        let (taken, refused): (Vec<_>, Vec<_>) = tries.partition(Result::is_ok);
        assert!(refused.iter().all(|refused| *refused == Err(JingleRefusal::Busy)));
        taken.len()
    };
    assert_eq!((open("mallory@evil.lit/1", 1_000), open("mallory@evil.lit/2", 1_000), open("mallory@evil.lit/3", 10)), (3, 2, 0));
    assert_eq!((open("romeo@montague.lit/orchard", 2), open("eve@evil.lit/1", 10)), (2, 1));
    assert_eq!(table.begin(&juliet(), "ours", Direction::Give, []), Err(JingleRefusal::Busy));
    table.end(&full("mallory@evil.lit/1"), "0");
    assert_eq!(table.begin(&juliet(), "ours", Direction::Give, []), Ok(()));
    assert_eq!(table.begin(&juliet(), "ours", Direction::Give, []), Err(JingleRefusal::Busy)); // that id is taken
}

/// Proves: JIN-7.2-5.
#[test]
fn of_two_sessions_about_the_same_begun_at_once_the_lower_id_goes_on() {
    let file = described("test.txt", &bytes(6144));
    let hash = balcony_wire::Payload::write(&file.metadata.hashes[0]).to_xml();
    let same = format!("<name>other.txt</name>{hash}");
    let ours = |table: &mut Table, direction| table.begin(&romeo(), "m", direction, [&file]).unwrap();

    let mut table = Table::default();
    ours(&mut table, Direction::Take); // we ask for it, he offers it
    assert_eq!(table.admit(&romeo(), &initiate("z", "initiator", &same)), Err(JingleRefusal::TieBreak));
    assert_eq!(table.admit(&romeo(), &initiate("a", "initiator", &same)), Ok(Admission::New { instead_of: Some("m".into()) }));

    let mut table = Table::default();
    ours(&mut table, Direction::Give); // we offer it, he asks for it
    assert_eq!(table.admit(&romeo(), &initiate("z", "responder", &same)), Err(JingleRefusal::TieBreak));
    // the other way round it is another matter, and so is another file, another device, and what he knew of
    assert_eq!(table.admit(&romeo(), &initiate("z", "initiator", &same)), NEW);
    assert_eq!(table.admit(&romeo(), &initiate("y", "responder", &FILE.replace("test.txt", "b.txt"))), NEW);
    assert_eq!(table.admit(&full("romeo@montague.lit/home"), &initiate("z", "responder", &same)), NEW);
    table.acknowledged(&romeo(), "m");
    assert_eq!(table.admit(&romeo(), &initiate("zz", "responder", &same)), NEW);
}

//! Fetching from people's devices, beside web servers and instead of them: a virtual clock, no sockets.

use std::time::Duration;

use balcony_sharing::plan::{Abilities, Attempt, How, Outcome};
use balcony_sharing::transfer::fetch::{Base, Fetched, ResumePoint};
use balcony_sharing::transfer::{Reach, SessionEnd, SessionFailure, SessionRequest, SessionWay};
use balcony_sharing::verify::Claim;
use balcony_sharing::{DigestSet, Exposure, NamedBy, Plan, Source, SourceKey};
use balcony_wire::Jid;
use balcony_wire::file_metadata::FileMetadata;
use balcony_wire::hashes::HashAlgo;
use proptest::prelude::*;

use crate::fetch::{FILE, Scene, Server, Task, asked, attempt, claim, failures, forged, is_verified, key, run};

const PHONE: &str = "romeo@montague.lit/phone";
const LAPTOP: &str = "romeo@montague.lit/laptop";

fn device(address: &str) -> Attempt {
    let peer = Jid::parse(address).unwrap();
    let request = SessionRequest {
        peer: peer.clone(),
        abilities: Abilities::default(),
        way: SessionWay::ByHash,
        file: FileMetadata::default(),
        reach: Reach::Direct,
        takes_unproven: true,
    };
    Attempt { source: device_key(address), named_by: NamedBy::Sender, how: How::Session(Box::new(request)), exposure: Exposure::Peer(peer) }
}

fn device_key(address: &str) -> SourceKey {
    Source::ByHash { jid: Jid::parse(address).unwrap(), uri: String::new() }.key()
}

fn task(claim: Claim, givers: &[(&str, Server)]) -> Task {
    let attempt = |name: &str| if name.contains('@') { device(name) } else { attempt(name) };
    Task { claim, plan: Plan { attempts: givers.iter().map(|(name, _)| attempt(name)).collect(), left_out: Vec::new() }, resume: None }
}

fn fetch(givers: Vec<(&str, Server)>) -> Scene {
    run(task(claim(FILE), &givers), givers, b"", 7)
}

fn says(failure: SessionFailure) -> Server {
    Server { says: Some(failure), ..Server::good() }
}

/// Proves: SFS-3.2-11, JFT-D-4.
#[test]
fn a_device_gives_the_file_and_hears_that_it_was_kept() {
    let scene = fetch(vec![(PHONE, Server::good())]);
    assert!(is_verified(&scene));
    assert_eq!((scene.asked, scene.ended), (asked(&[(PHONE, 0)]), vec![SessionEnd::Kept]));
    assert_eq!(scene.outcomes, [(device_key(PHONE), Outcome::Fetched)]);
}

#[test]
fn bytes_of_a_server_are_gone_on_with_in_a_session_and_the_other_way_round_wherever_one_breaks() {
    for at in 0..FILE.len() {
        let scene = fetch(vec![("a.lit", Server::good().cut(at, 99)), (PHONE, Server::good())]);
        assert!(is_verified(&scene), "cut at {at}");
        assert_eq!((scene.asked, scene.ended), (asked(&[("a.lit", 0), (PHONE, at as u64)]), vec![SessionEnd::Kept]));
        let scene = fetch(vec![(PHONE, Server::good().cut(at, 99)), ("a.lit", Server::good())]);
        assert!(is_verified(&scene), "cut at {at}");
        assert_eq!((scene.asked, scene.ended), (asked(&[(PHONE, 0), ("a.lit", at as u64)]), vec![]));
        assert_eq!(scene.noted.last().unwrap().source.is_none(), at > 0, "bytes of two sources are nobody's");
    }
}

#[test]
fn a_device_that_sends_from_the_start_all_the_same_costs_time_and_nothing_else() {
    let old = Server { ranges: false, ..Server::good() };
    let scene = fetch(vec![("a.lit", Server::good().cut(20, 99)), (PHONE, old)]);
    assert!(is_verified(&scene));
    assert_eq!(scene.asked, asked(&[("a.lit", 0), (PHONE, 20)]));
}

#[test]
fn a_device_that_sends_another_part_is_left() {
    let far = Server { lies_about_length: Some(5), ..Server::good() };
    let scene = fetch(vec![(PHONE, far), (LAPTOP, Server::good())]);
    assert!(is_verified(&scene));
    assert_eq!((failures(&scene), scene.ended), (vec![Outcome::WrongRange], vec![SessionEnd::Broken, SessionEnd::Kept]));
}

#[test]
fn a_session_that_breaks_is_opened_again_from_where_it_broke() {
    let scene = fetch(vec![(PHONE, Server::good().cut(10, 2))]);
    assert!(is_verified(&scene));
    assert_eq!(scene.asked, asked(&[(PHONE, 0), (PHONE, 10), (PHONE, 20)]));
    assert_eq!(failures(&scene)[0].to_string(), "it went away");
}

/// Proves: JFT-D-4.
#[test]
fn wrong_bytes_of_a_device_are_thrown_away_and_it_hears_so() {
    let scene = fetch(vec![(PHONE, Server::with(&forged())), ("a.lit", Server::good())]);
    assert!(is_verified(&scene));
    assert_eq!(scene.ended, [SessionEnd::Wrong]);
    assert_eq!(scene.outcomes, [(device_key(PHONE), Outcome::WrongBytes), (key("a.lit"), Outcome::Fetched)]);
    let alone = fetch(vec![(PHONE, Server::with(&forged()))]);
    assert_eq!((alone.result.unwrap_err().outcomes, alone.staged), (vec![(device_key(PHONE), Outcome::WrongBytes)], vec![]));
}

#[test]
fn where_two_gave_wrong_bytes_each_is_asked_once_more_alone_and_only_the_liar_is_blamed() {
    let liar = Server::with(&forged());
    let scene = fetch(vec![("a.lit", Server::good().cut(10, 1)), (PHONE, liar)]);
    assert!(is_verified(&scene));
    assert_eq!(scene.asked, asked(&[("a.lit", 0), (PHONE, 10), ("a.lit", 0)]));
    assert_eq!(scene.ended, [SessionEnd::Stopped], "nobody knows yet whose bytes were wrong");
    let scene = fetch(vec![("a.lit", Server::with(&forged()).cut(10, 1)), (PHONE, Server::good())]);
    assert!(is_verified(&scene));
    let blamed: Vec<_> = scene.outcomes.iter().filter(|(_, outcome)| *outcome == Outcome::WrongBytes).map(|(key, _)| key.clone()).collect();
    assert_eq!((blamed, scene.ended), (vec![key("a.lit")], vec![SessionEnd::Stopped, SessionEnd::Kept]));
}

#[test]
fn more_bytes_than_announced_end_a_session_at_once() {
    let endless = Server::with(&FILE.repeat(20));
    let scene = fetch(vec![(PHONE, endless), ("a.lit", Server::good())]);
    assert!(is_verified(&scene));
    assert_eq!((failures(&scene), scene.ended), (vec![Outcome::TooLong(FILE.len() as u64)], vec![SessionEnd::Broken]));
}

#[test]
fn what_a_device_says_instead_of_bytes_is_told_and_the_next_is_asked() {
    for (failure, code, words) in [
        (SessionFailure::Over, "withheld", "the session is over"),
        (SessionFailure::NotGiven("no such file".into()), "withheld", "no such file"),
        (SessionFailure::NoWay("no candidate".into()), "no-way", "no candidate"),
        (SessionFailure::NoAnswer("timeout".into()), "no-way", "timeout"),
        (SessionFailure::Silent("it does not answer".into()), "unreachable", "it does not answer"),
        (SessionFailure::Offline, "no-way", "your account is not connected"),
    ] {
        let scene = fetch(vec![(PHONE, says(failure.clone())), (LAPTOP, Server::good())]);
        assert!(is_verified(&scene), "{failure}");
        let failed = &failures(&scene)[..];
        assert_eq!((failed.len(), failed[0].code(), failed[0].to_string()), (1, code, words.to_owned()));
        let alone = fetch(vec![(PHONE, says(failure))]).result.unwrap_err();
        assert_eq!(alone.to_string(), format!("the file could not be fetched: {PHONE}: {words}"));
    }
}

/// Asked by hash as well, it is the same device: a link that failed once for a moment is the better bet.
#[test]
fn a_device_that_vanished_is_not_asked_in_another_way_before_the_others() {
    let givers = vec![("a.lit", Server::status(503)), (PHONE, Server::good().cut(10, 99)), (LAPTOP, says(SessionFailure::Over))];
    let mut task = task(claim(FILE), &givers);
    let How::Session(request) = &mut task.plan.attempts[1].how else { panic!() };
    request.way = SessionWay::Published { id: "x".into() };
    task.plan.attempts[1].source = key("published");
    task.plan.attempts[2] = device(PHONE);
    let scene = run(task, givers, b"", 7);
    let order: Vec<_> = scene.asked.iter().take(3).map(|(who, from)| (who.as_str(), *from)).collect();
    assert_eq!(order, [("a.lit", 0), (PHONE, 0), ("a.lit", 10)]);
}

/// What broke is told, not that nothing is there any more.
#[test]
fn a_session_that_is_over_after_it_broke_is_not_asked_again_and_hides_nothing() {
    let broken = Server { says_later: Some(SessionFailure::Over), ..Server::good().cut(10, 1) };
    let scene = fetch(vec![(PHONE, broken)]);
    assert_eq!(scene.asked, asked(&[(PHONE, 0), (PHONE, 10)]));
    let failed = scene.result.unwrap_err();
    assert_eq!(failed.to_string(), format!("the file could not be fetched: {PHONE}: it went away; 10 bytes are kept for another try"));
}

#[test]
fn a_device_that_never_answers_is_given_up_in_its_time() {
    let scene = fetch(vec![(PHONE, Server::status(0)), ("a.lit", Server::good())]);
    assert!(is_verified(&scene));
    assert_eq!((failures(&scene), scene.ended), (vec![Outcome::Stalled(90)], vec![SessionEnd::Broken]));
    assert!(scene.took < Duration::from_secs(100));
}

/// Proves: JFT-D-4.
#[test]
fn a_hash_that_comes_with_the_bytes_proves_them_or_speaks_against_them() {
    let silent = Claim { size: Some(FILE.len() as u64), digests: DigestSet::new() };
    let with = |tells: Option<Vec<u8>>| {
        let givers = vec![(PHONE, Server { tells, ..Server::good() })];
        run(task(silent.clone(), &givers), givers, b"", 7)
    };
    assert!(is_verified(&with(Some(FILE.to_vec()))));
    assert!(matches!(with(None).result, Ok(Fetched::Unproven(_))));
    let wrong = with(Some(forged()));
    assert_eq!(
        (wrong.result.unwrap_err().outcomes, wrong.ended),
        (vec![(device_key(PHONE), Outcome::WrongBytes)], vec![SessionEnd::Wrong])
    );
}

#[test]
fn without_a_hash_the_bytes_of_two_never_mix() {
    let silent = Claim { size: Some(FILE.len() as u64), digests: DigestSet::new() };
    let givers = vec![(PHONE, Server::good().cut(10, 99)), ("a.lit", Server::good())];
    let scene = run(task(silent, &givers), givers, b"", 7);
    assert!(scene.result.is_ok() && scene.staged == FILE);
    assert_eq!(scene.asked.last(), Some(&("a.lit".to_owned(), 0)));
}

#[test]
fn what_an_earlier_job_left_is_gone_on_with_in_a_session() {
    let givers = vec![(PHONE, Server::good())];
    let point = ResumePoint { len: 20, source: Some(key("a.lit")), ..ResumePoint::default() };
    let scene = run(Task { resume: Some(point), ..task(claim(FILE), &givers) }, givers, &FILE[..20], 7);
    assert!(is_verified(&scene));
    assert_eq!(scene.asked, asked(&[(PHONE, 20)]));
}

/// A fetch from one device that says the hash only behind the bytes.
fn fetch_promised(giver: Server, takes_unproven: bool, left: Option<usize>) -> Scene {
    fetch_offered(giver, takes_unproven, &FILE[..left.unwrap_or(0)])
}

/// The same behind 20 bytes of something else.
fn fetch_behind(other: Vec<u8>, giver: Server) -> Scene {
    fetch_offered(giver, false, &other[..20])
}

fn fetch_offered(giver: Server, takes_unproven: bool, left: &[u8]) -> Scene {
    let mut attempt = device(PHONE);
    let How::Session(request) = &mut attempt.how else { panic!() };
    request.way = SessionWay::Offered { sid: "s".into(), content: "c".into() };
    request.file.hash_used = vec![HashAlgo::Sha256.into()];
    request.takes_unproven = takes_unproven;
    let claim = Claim { size: Some(FILE.len() as u64), digests: DigestSet::new() };
    let point = || ResumePoint { len: left.len() as u64, source: Some(device_key(PHONE)), ..ResumePoint::default() };
    let resume = (!left.is_empty()).then(point);
    let plan = Plan { attempts: vec![attempt], left_out: Vec::new() };
    run(Task { claim, plan, resume }, vec![(PHONE, giver)], left, 7)
}

#[test]
fn a_promised_hash_lets_a_broken_session_go_on_where_it_broke_and_must_come_then() {
    let tells = |bytes: Vec<u8>| Server { tells: Some(bytes), ..Server::good() };
    let scene = fetch_promised(tells(FILE.to_vec()).cut(10, 1), false, None);
    assert!(is_verified(&scene));
    assert_eq!(scene.asked, asked(&[(PHONE, 0), (PHONE, 10)]));
    let scene = fetch_promised(tells(FILE.to_vec()), false, Some(20));
    assert!(is_verified(&scene), "also when an earlier program had got a part of it");
    assert_eq!(scene.asked, asked(&[(PHONE, 20)]));

    let silent = fetch_promised(Server::good(), false, None);
    assert_eq!((failures(&silent), silent.ended), (vec![Outcome::NoProof], vec![SessionEnd::Broken]));
    assert!(silent.staged.is_empty());
    assert!(matches!(fetch_promised(Server::good(), true, None).result, Ok(Fetched::Unproven(_))), "who agreed to that gets it");
    // All of it was there, and nobody was asked anything.
    let whole = fetch_promised(tells(FILE.to_vec()), false, Some(FILE.len()));
    assert!(matches!(whole.result, Ok(Fetched::Verified(_))), "{:?}", whole.result);
    let silent = fetch_promised(Server::good(), false, Some(FILE.len()));
    assert!(silent.result.is_err(), "described is not proven: {:?}", silent.result);
    let pieces = fetch_promised(Server::good(), true, Some(20));
    assert_eq!(failures(&pieces), [Outcome::NoProof], "of two pieces nobody knows whether they belong together");
}

/// A session is one answer: what was kept from an earlier one was of another file, so all of it goes, and it is said to be worth another
/// offer. That one begins with the first byte, and whoever gives wrong bytes from there on is blamed.
#[test]
fn kept_bytes_that_do_not_fit_are_thrown_away_with_the_rest_and_the_next_offer_begins_anew() {
    let honest = Server { tells: Some(FILE.to_vec()), ..Server::good() };
    let scene = fetch_behind(forged(), honest.clone());
    assert_eq!((failures(&scene), &scene.ended), (vec![Outcome::Misfit], &vec![SessionEnd::Misfit]));
    assert_eq!(scene.asked, asked(&[(PHONE, 20)]), "it is over, and not asked again");
    let failed = scene.result.unwrap_err();
    assert_eq!((failed.kept, scene.staged.len()), (0, 0));
    assert!(failed.to_string().contains("all of it was thrown away"), "{failed}");
    let again = fetch_promised(honest, false, None);
    assert!(is_verified(&again));

    let liar = fetch_promised(Server { tells: Some(forged()), ..Server::good() }, false, None);
    assert_eq!((failures(&liar), liar.ended), (vec![Outcome::WrongBytes], vec![SessionEnd::Wrong]));
}

/// A device that has opened a session itself, and offers the file in it.
fn offering(address: &str, sid: &str) -> Attempt {
    let mut attempt = device(address);
    let How::Session(request) = &mut attempt.how else { panic!() };
    request.way = SessionWay::Offered { sid: sid.into(), content: "c".into() };
    attempt.source = Source::Session { peer: Jid::parse(address).unwrap(), sid: sid.into(), content: "c".into() }.key();
    attempt
}

/// The sender's session waits for one answer. Whoever else gave bytes before, it is not staked on them.
#[test]
fn what_others_gave_costs_nobody_the_session_that_they_offered() {
    for junk in [key("a.lit"), device_key("mallory@evil.lit/x"), device_key(PHONE)] {
        let servers = vec![
            ("a.lit", Server::with(&forged()).cut(20, 99)),
            (PHONE, Server { says_later: Some(SessionFailure::Over), ..Server::good() }),
        ];
        let mut task = task(claim(FILE), &servers);
        task.plan.attempts[0].source = junk.clone();
        task.plan.attempts[1] = offering(PHONE, "s");
        let scene = run(task, servers, b"", 7);
        if junk == device_key(PHONE) {
            assert_eq!(scene.ended, [SessionEnd::Misfit], "what their own device gave is their own affair");
            continue;
        }
        assert!(is_verified(&scene), "{junk:?}");
        assert_eq!((scene.asked, scene.ended), (asked(&[("a.lit", 0), (PHONE, 0)]), vec![SessionEnd::Kept]));
    }
}

/// Also where an earlier program got them, and nobody knows from whom; of the same person, by whichever device, none comes twice.
#[test]
fn an_offered_session_goes_on_behind_the_same_person_and_behind_nobody_else() {
    let of = |source: Option<SourceKey>| {
        let givers = vec![(PHONE, Server::good())];
        let mut task = task(claim(FILE), &givers);
        task.plan.attempts[0] = offering(PHONE, "s2");
        let scene = run(Task { resume: Some(ResumePoint { len: 20, source, ..ResumePoint::default() }), ..task }, givers, &FILE[..20], 7);
        assert!(is_verified(&scene));
        let noted = scene.noted.first().unwrap().source.clone();
        (scene.asked[0].1, noted)
    };
    let new = offering(PHONE, "s2").source;
    assert_eq!(of(Some(offering(LAPTOP, "s1").source)), (20, Some(new.clone())), "to be gone on with once more");
    for other in [None, Some(key("a.lit")), Some(offering("mallory@evil.lit/phone", "s1").source)] {
        assert_eq!(of(other), (0, Some(new.clone())));
    }
}

/// Somebody who announced themselves: the sender does not name them.
const MALLORY: &str = "mallory@evil.lit/x";
const OWN: &str = "juliet@capulet.lit/laptop";

/// The sender's session breaks after 30 bytes for good; then others are asked, of whom the sender names all but Mallory.
fn behind_a_broken_offer(others: &[(&'static str, Server)]) -> Scene {
    let broken = Server { says_later: Some(SessionFailure::Over), ..Server::good().cut(30, 1) };
    let givers: Vec<_> = [(PHONE, broken)].into_iter().chain(others.iter().cloned()).collect();
    let mut task = task(claim(FILE), &givers);
    task.plan.attempts[0] = offering(PHONE, "s");
    for attempt in task.plan.attempts.iter_mut().filter(|attempt| attempt.source == device_key(MALLORY)) {
        attempt.named_by = NamedBy::Other(Jid::parse(MALLORY).unwrap());
    }
    run(task, givers, b"", 7)
}

/// Decision 0033.
#[test]
fn what_strangers_add_behind_a_session_that_broke_is_cut_off_without_what_it_gave() {
    let junk = || Server::with(&forged());
    let scene = behind_a_broken_offer(&[(MALLORY, junk())]);
    assert_eq!(scene.result.unwrap_err().kept, 30);
    assert_eq!((scene.staged, scene.ended), (FILE[..30].to_vec(), vec![SessionEnd::Misfit]));
    assert_eq!(scene.noted.last().unwrap().source, Some(offering(PHONE, "s").source), "theirs alone again");
    assert_eq!(scene.outcomes.last(), Some(&(device_key(MALLORY), Outcome::Misfit)));

    let scene = behind_a_broken_offer(&[(MALLORY, junk()), (OWN, Server::good())]);
    assert!(is_verified(&scene));
    assert_eq!(scene.asked[1..], asked(&[(MALLORY, 30), (OWN, 30)]));

    let scene = behind_a_broken_offer(&[(OWN, Server::good().cut(7, 1)), (MALLORY, junk())]);
    assert!(is_verified(&scene), "of two each is asked alone behind it");
    assert_eq!(scene.asked[1..], asked(&[(OWN, 30), (MALLORY, 37), (PHONE, 30), (OWN, 30)]));

    for liar in [Server::with(&FILE.repeat(20)), Server { status: 416, ..junk() }] {
        assert_eq!(behind_a_broken_offer(&[(MALLORY, liar)]).staged, FILE[..30]);
    }
    assert!(is_verified(&behind_a_broken_offer(&[("a.lit", Server::good())])), "the rest may come from anywhere");
}

/// Also where a crash came between; from there the next session of the same person goes on, and another person's does not.
#[test]
fn the_next_session_goes_on_behind_what_the_one_before_gave_whatever_others_added() {
    let broken = behind_a_broken_offer(&[(MALLORY, Server::with(&forged()).cut(4, 99))]);
    let left = broken.noted.last().unwrap().clone();
    assert_eq!((left.len, &left.source, left.base.as_ref().unwrap().len), (42, &None, 30));
    for (who, from) in [(PHONE, 30), (LAPTOP, 30), ("mercutio@verona.lit/x", 0)] {
        let givers = vec![(who, Server::good())];
        let mut task = task(claim(FILE), &givers);
        task.plan.attempts[0] = offering(who, "s2");
        let scene = run(Task { resume: Some(left.clone()), ..task }, givers, &broken.staged, 7);
        assert!(is_verified(&scene));
        assert_eq!(scene.asked, asked(&[(who, from)]));
    }
}

/// A crash just before a stranger's first byte, or one that lost the last bytes of the session.
#[test]
fn where_nothing_is_left_behind_what_the_offer_gave_all_that_its_person_gives_is_theirs() {
    for noted in [20, 25] {
        let givers = vec![
            (PHONE, Server { says_later: Some(SessionFailure::Over), ..Server::good().cut(10, 1) }),
            (MALLORY, Server::with(&forged())),
        ];
        let mut task = task(claim(FILE), &givers);
        task.plan.attempts[0] = offering(PHONE, "s2");
        task.plan.attempts[1].named_by = NamedBy::Other(Jid::parse(MALLORY).unwrap());
        let base = Some(Base { source: offering(LAPTOP, "s1").source, len: noted });
        let point = ResumePoint { len: 20, base, ..ResumePoint::default() };
        let scene = run(Task { resume: Some(point), ..task }, givers, &FILE[..20], 7);
        assert_eq!(scene.asked[..2], asked(&[(PHONE, 20), (MALLORY, 30)]), "{noted}");
        assert_eq!(scene.staged, FILE[..30], "{noted}");
    }
}

/// Their own device gave seven wrong bytes, and a stranger the right ones behind those.
#[test]
fn nobody_is_left_out_for_what_another_device_of_the_same_person_added() {
    let scene = behind_a_broken_offer(&[(LAPTOP, Server::with(&forged()).cut(7, 99)), (MALLORY, Server::good())]);
    assert!(is_verified(&scene), "{:?}", scene.result);
    assert_eq!((scene.asked[1..3].to_vec(), scene.asked.last()), (asked(&[(LAPTOP, 30), (MALLORY, 37)]), asked(&[(MALLORY, 30)]).first()));
}

/// Bytes rot, and devices err. Who the sender names may show that; who announced themselves may not.
#[test]
fn wrong_bytes_of_an_offer_stand_in_nobodys_way_whom_the_sender_names() {
    let point = ResumePoint { len: 20, source: Some(offering(PHONE, "s").source), ..ResumePoint::default() };
    let behind_rot = |who: &str, named_by: NamedBy| {
        let givers = vec![(who, Server::good())];
        let mut task = task(claim(FILE), &givers);
        task.plan.attempts[0].named_by = named_by;
        run(Task { resume: Some(point.clone()), ..task }, givers, &forged()[..20], 7)
    };
    let scene = behind_rot("a.lit", NamedBy::Sender);
    assert!(is_verified(&scene));
    assert_eq!(scene.asked, asked(&[("a.lit", 20), ("a.lit", 0)]));
    let scene = behind_rot(MALLORY, NamedBy::Other(Jid::parse(MALLORY).unwrap()));
    assert_eq!((scene.staged, scene.asked), (forged()[..20].to_vec(), asked(&[(MALLORY, 20)])));
}

/// The link did not fit, the next session neither: then it was the bytes before both.
#[test]
fn who_did_not_fit_behind_wrong_bytes_is_asked_again_once_these_are_gone() {
    let givers = vec![("a.lit", Server::good()), (PHONE, Server::good())];
    let mut task = task(claim(FILE), &givers);
    task.plan.attempts[1] = offering(PHONE, "s2");
    let point = ResumePoint { len: 20, source: Some(offering(PHONE, "s1").source), ..ResumePoint::default() };
    let scene = run(Task { resume: Some(point), ..task }, givers, &forged()[..20], 7);
    assert!(is_verified(&scene), "{:?}", scene.result);
    assert_eq!(scene.asked, asked(&[("a.lit", 20), (PHONE, 20), ("a.lit", 0)]));
}

/// Who cannot begin in the middle gives all of it anyway: nothing before it can make that wrong.
#[test]
fn an_offered_session_without_ranges_stands_behind_nothing() {
    let givers = vec![(PHONE, Server { ranges: false, ..Server::good() })];
    let mut task = task(claim(FILE), &givers);
    task.plan.attempts[0] = offering(PHONE, "s2");
    let point = ResumePoint { len: 20, source: Some(offering(PHONE, "s1").source), ..ResumePoint::default() };
    let scene = run(Task { resume: Some(point), ..task }, givers, &forged()[..20], 7);
    assert!(is_verified(&scene));
}

#[test]
fn a_session_that_never_stands_costs_nothing_of_what_is_there() {
    let servers = vec![("a.lit", Server::good().cut(20, 1)), (PHONE, says(SessionFailure::NoWay("no candidate".into())))];
    let mut task = task(claim(FILE), &servers);
    task.plan.attempts[1] = offering(PHONE, "s");
    let scene = run(task, servers, b"", 7);
    assert!(is_verified(&scene));
    assert_eq!(scene.asked, asked(&[("a.lit", 0), (PHONE, 0), ("a.lit", 20)]));
}

/// A device that was killed looks as if it were there. Whoever is only slow loses nothing but the turn.
#[test]
fn a_silent_device_holds_nobody_up_and_is_asked_again_behind_the_others() {
    let slow = || Server { slow: true, ..Server::good() };
    let scene = fetch(vec![(PHONE, slow()), (LAPTOP, slow()), ("juliet@capulet.lit/balcony", Server::good())]);
    assert!(is_verified(&scene));
    assert_eq!(scene.asked, asked(&[(PHONE, 0), (LAPTOP, 0), ("juliet@capulet.lit/balcony", 0)]));
    assert!(scene.took < Duration::from_secs(7), "{:?}", scene.took);

    let scene = fetch(vec![(PHONE, slow()), (LAPTOP, says(SessionFailure::NotGiven("no".into())))]);
    assert!(is_verified(&scene));
    assert_eq!(scene.asked, asked(&[(PHONE, 0), (LAPTOP, 0), (PHONE, 0)]));

    let alone = fetch(vec![(PHONE, slow())]);
    assert!(is_verified(&alone) && alone.asked.len() == 1, "there is time where nobody else is left");
}

fn any_giver() -> impl Strategy<Value = Server> {
    let bytes = prop::sample::select(vec![FILE.to_vec(), FILE.to_vec(), forged(), FILE[..30].to_vec(), FILE.repeat(2)]);
    let cut = prop::option::of((0..60_usize, 0..4_u32));
    let says = prop::option::weighted(0.2, Just(SessionFailure::NotGiven("no".into())));
    let lies = prop::option::weighted(0.1, 0..9_u64);
    (bytes, any::<bool>(), cut, says, lies, prop::sample::select(vec![200, 200, 200, 0, 404])).prop_map(
        |(bytes, ranges, cut, says, lies_about_length, status)| Server {
            ranges,
            cut,
            says,
            lies_about_length,
            status,
            ..Server::with(&bytes)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]

    /// Proves: JFT-D-4.
    #[test]
    fn however_servers_and_devices_behave_what_is_kept_is_the_file(
        givers in prop::collection::vec(any_giver(), 1..4), first in any::<bool>(), piece in 1..60_usize,
    ) {
        let name = |at: usize| [[PHONE, "a.lit", LAPTOP], ["b.lit", PHONE, "a.lit"]][usize::from(first)][at];
        let honest = |server: Server, at: usize| match name(at).contains('@') {
            true => server,
            false => Server { lies_about_length: None, status: if server.status == 0 { 500 } else { server.status }, ..server },
        };
        let givers: Vec<_> = givers.into_iter().enumerate().map(|(at, server)| (name(at), honest(server, at))).collect();
        let scene = run(task(claim(FILE), &givers), givers, b"", piece);
        match scene.result {
            Ok(Fetched::Verified(_)) => prop_assert_eq!(scene.staged, FILE),
            Ok(Fetched::Unproven(_)) => prop_assert!(false, "there is a digest"),
            Err(failed) => prop_assert!(!failed.outcomes.is_empty()),
        }
        let kept = scene.ended.iter().filter(|end| **end == SessionEnd::Kept).count();
        prop_assert!(kept <= 1);
    }

    /// Decision 0033. The driver asserts that it ends; who is honest and named by the sender is enough.
    #[test]
    fn however_an_offer_ended_its_file_is_had_where_somebody_honest_is_named(
        givers in prop::collection::vec(any_giver(), 3), left in prop::sample::select(vec![FILE.to_vec(), forged()]), len in 1..47_usize,
        base in 0..60_u64, piece in 1..60_usize, last in any::<bool>(),
    ) {
        let names = [PHONE, LAPTOP, MALLORY];
        let mut givers: Vec<_> = names.into_iter().zip(givers).collect();
        givers.insert(if last { 3 } else { 0 }, ("a.lit", Server::good()));
        let mut task = task(claim(FILE), &givers);
        for (attempt, (name, _)) in task.plan.attempts.iter_mut().zip(&givers) {
            match *name {
                PHONE => *attempt = offering(PHONE, "s2"),
                MALLORY => attempt.named_by = NamedBy::Other(Jid::parse(MALLORY).unwrap()),
                _ => {}
            }
        }
        let base = (base > 0).then(|| Base { source: offering(LAPTOP, "s1").source, len: base });
        let point = ResumePoint { len: len as u64, base, ..ResumePoint::default() };
        let scene = run(Task { resume: Some(point), ..task }, givers, &left[..len], piece);
        prop_assert!(is_verified(&scene), "{:?}", scene.result);
    }
}

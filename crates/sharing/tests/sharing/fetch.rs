//! Fetching against servers that are slow, short, long, wrong, forgetful: a virtual clock, no sockets.

use std::time::Duration;

use balcony_sharing::plan::Outcome;
use balcony_sharing::transfer::ResponseHead;
use balcony_sharing::transfer::fetch::{Action, FetchJob, FetchSettings, Fetched, Progress, ResumePoint};
use balcony_sharing::verify::Claim;
use balcony_sharing::{NetRules, Plan};
use proptest::prelude::*;

pub(crate) use crate::fetch_driver::*;

fn fetch(servers: Vec<(&str, Server)>) -> Scene {
    run(task(claim(FILE), &servers), servers, b"", 7)
}

pub(crate) fn is_verified(scene: &Scene) -> bool {
    matches!(scene.result, Ok(Fetched::Verified(_))) && scene.staged == FILE
}

pub(crate) fn forged() -> Vec<u8> {
    FILE.iter().map(|byte| byte ^ 1).collect()
}

pub(crate) fn asked(list: &[(&str, u64)]) -> Vec<(String, u64)> {
    list.iter().map(|(host, from)| ((*host).to_owned(), *from)).collect()
}

/// Failures, without the records of success.
pub(crate) fn failures(scene: &Scene) -> Vec<Outcome> {
    scene.outcomes.iter().map(|(_, outcome)| outcome.clone()).filter(|outcome| !outcome.is_success()).collect()
}

/// Proves: SFS-3.2-2, SFS-3.2-7, SIMS-4.2-2.
#[test]
fn takes_the_next_source_when_the_first_does_not_have_it() {
    let scene = fetch(vec![("gone.lit", Server::status(410)), ("here.lit", Server::good())]);
    assert!(is_verified(&scene));
    assert_eq!(scene.outcomes, [(key("gone.lit"), Outcome::Gone(410)), (key("here.lit"), Outcome::Fetched)]);
}

#[test]
fn goes_on_at_the_byte_where_the_connection_broke() {
    let scene = fetch(vec![("here.lit", Server::good().cut(10, 2))]);
    assert!(is_verified(&scene));
    assert_eq!(scene.asked, asked(&[("here.lit", 0), ("here.lit", 10), ("here.lit", 20)]));
    let noted = scene.noted.last().unwrap();
    assert_eq!((noted.len, noted.source.clone(), noted.validator.as_deref()), (20, Some(key("here.lit")), Some("\"1\"")));
}

#[test]
fn goes_on_wherever_the_connection_breaks() {
    for at in 0..FILE.len() {
        for piece in [1, 7, 100] {
            let servers = vec![("here.lit", Server::good().cut(at, 1))];
            let scene = run(task(claim(FILE), &servers), servers, b"", piece);
            assert!(is_verified(&scene), "cut at {at}");
            assert_eq!(scene.asked.last(), Some(&("here.lit".to_owned(), at as u64)));
        }
    }
}

#[test]
fn carries_on_from_another_source_where_a_digest_will_tell() {
    let scene = fetch(vec![("a.lit", Server::good().cut(10, 99)), ("b.lit", Server::good())]);
    assert!(is_verified(&scene));
    assert_eq!(scene.asked, asked(&[("a.lit", 0), ("b.lit", 10)]));
    assert_eq!(scene.noted.last().unwrap().source, None, "bytes of two sources are nobody's");
    let conditions: Vec<_> = scene.headers[1].iter().map(|(name, _)| name.as_str()).collect();
    assert!(conditions.contains(&"Range") && !conditions.contains(&"If-Range"));
}

#[test]
fn a_server_without_ranges_sends_it_again_and_nothing_is_written_twice() {
    let ejabberd = Server { ranges: false, etag: None, ..Server::good() };
    let scene = fetch(vec![("ejabberd.lit", ejabberd.cut(20, 1))]);
    assert!(is_verified(&scene));
    assert_eq!(scene.asked.len(), 2);
}

#[test]
fn a_file_that_changed_at_the_server_is_begun_anew() {
    let mut changed = task(claim(FILE), &[("here.lit", Server::good())]);
    changed.resume = Some(ResumePoint { len: 5, source: Some(key("here.lit")), validator: Some("\"0\"".into()), ..ResumePoint::default() });
    let scene = run(changed, vec![("here.lit", Server::good())], b"Other", 7);
    assert!(is_verified(&scene));
    assert!(failures(&scene).is_empty());
}

#[test]
fn an_earlier_run_is_taken_up_at_the_byte_where_it_ended() {
    let servers = vec![("a.lit", Server::good())];
    let mut resumed = task(claim(FILE), &servers);
    resumed.resume = Some(ResumePoint { len: 12, source: Some(key("a.lit")), validator: Some("\"1\"".into()), ..ResumePoint::default() });
    let scene = run(resumed, servers, &FILE[..12], 7);
    assert!(is_verified(&scene));
    assert_eq!(scene.asked, asked(&[("a.lit", 12)]));
    assert!(scene.headers[0].contains(&("If-Range".into(), "\"1\"".into())));
}

#[test]
fn a_file_that_is_there_already_is_only_checked() {
    let servers = vec![("a.lit", Server::good())];
    let mut resumed = task(claim(FILE), &servers);
    resumed.resume = Some(ResumePoint { len: FILE.len() as u64, ..ResumePoint::default() });
    let scene = run(resumed, servers, FILE, 7);
    assert!(is_verified(&scene) && scene.asked.is_empty());
}

/// Decision 18.
#[test]
fn an_empty_file_needs_no_request() {
    let scene = run(Task { claim: claim(b""), plan: Plan::default(), resume: None }, vec![], b"", 7);
    assert!(matches!(scene.result, Ok(Fetched::Verified(_))));
}

#[test]
fn bytes_of_an_earlier_run_that_rotted_are_nobodys_fault() {
    let servers = vec![("a.lit", Server::good())];
    let mut resumed = task(claim(FILE), &servers);
    resumed.resume = Some(ResumePoint { len: 12, source: Some(key("a.lit")), validator: Some("\"1\"".into()), ..ResumePoint::default() });
    let scene = run(resumed, servers, &forged()[..12], 7);
    assert!(is_verified(&scene));
    assert!(failures(&scene).is_empty());
    assert_eq!(scene.asked, asked(&[("a.lit", 12), ("a.lit", 0)]));
}

/// Proves: SIMS-4.2-5, SFS-6-D2.
#[test]
fn wrong_bytes_are_dropped_and_the_next_source_is_taken() {
    let scene = fetch(vec![("forger.lit", Server::with(&forged())), ("here.lit", Server::good())]);
    assert!(is_verified(&scene));
    assert_eq!(failures(&scene), [Outcome::WrongBytes]);
}

#[test]
fn after_a_mixture_went_wrong_each_is_asked_alone_to_know_whom_to_blame() {
    let scene = fetch(vec![("forger.lit", Server::with(&forged()).cut(10, 1)), ("here.lit", Server::good())]);
    assert!(is_verified(&scene));
    let blamed: Vec<_> = scene.outcomes.iter().filter(|(_, outcome)| *outcome == Outcome::WrongBytes).map(|(source, _)| source).collect();
    assert_eq!(blamed, [&key("forger.lit")]);
    assert_eq!(scene.asked.last(), Some(&("here.lit".to_owned(), 0)));
}

/// Decision 47.
/// Proves: SFS-6-D3.
#[test]
fn more_bytes_than_announced_stop_the_fetch() {
    let long = [FILE, b" and more"].concat();
    let chunked = Server { lies_about_length: Some(FILE.len() as u64), ..Server::with(&long) };
    for server in [Server::with(&long), chunked] {
        let scene = fetch(vec![("long.lit", server)]);
        assert!(scene.staged.is_empty(), "nothing of it is kept");
        let error = scene.result.unwrap_err();
        assert_eq!(error.outcomes, [(key("long.lit"), Outcome::TooLong(FILE.len() as u64))]);
    }
}

#[test]
fn a_short_body_is_tried_again_and_then_given_up() {
    let short = Server { lies_about_length: Some(FILE.len() as u64), ranges: false, ..Server::with(&FILE[..9]) };
    let scene = fetch(vec![("short.lit", short)]);
    let error = scene.result.unwrap_err();
    assert!(matches!(error.outcomes[0].1, Outcome::TooShort { got: 9, .. }), "{error}");
    assert_eq!(error.kept, 9);
    assert!(scene.asked.len() <= 6 && scene.took < Duration::from_secs(60));
}

/// Proves: SFS-6-D4.
#[test]
fn a_redirect_into_the_own_network_is_not_followed() {
    for location in ["https://192.168.0.1/admin", "https://[::1]/", "http://here.lit/", "file:///etc/passwd"] {
        let trap = Server { status: 302, location: Some(location), ..Server::good() };
        let scene = fetch(vec![("trap.lit", trap)]);
        assert!(matches!(failures(&scene)[..], [Outcome::Blocked(_)]), "{location}");
        assert_eq!(scene.asked.len(), 1);
    }
}

/// Decision 17.
/// Proves: HURL-D-2.
#[test]
fn redirects_are_followed_three_times_and_carry_nothing_to_another_origin() {
    let hop = |location| Server { status: 307, location: Some(location), ..Server::good() };
    let scene = fetch(vec![("a.lit", hop("https://b.lit/x")), ("b.lit", Server::good())]);
    assert!(is_verified(&scene));
    let says = |at: usize| scene.headers[at].iter().any(|(name, _)| name == "Authorization");
    assert!(says(0) && !says(1));
    let scene = fetch(vec![("a.lit", hop("https://a.lit/x"))]);
    assert_eq!(scene.asked.len(), 4);
    assert!(matches!(&failures(&scene)[..], [Outcome::Blocked(words)] if words.contains("more than 3 times")));
}

#[test]
fn the_last_word_of_every_source_is_told_with_its_host() {
    let busy = Server::status(503);
    let scene = fetch(vec![("a.lit", Server::status(404)), ("b.lit", Server::status(403)), ("c.lit", busy)]);
    let error = scene.result.unwrap_err();
    assert_eq!(error.outcomes.len(), 5, "the busy one is asked three times");
    assert_eq!(
        error.to_string(),
        "the file could not be fetched: a.lit: the file is no longer there (status 404); b.lit: the server does not give it out \
         (status 403); c.lit: the server is not able to give it now (status 503)"
    );
}

#[test]
fn without_a_digest_sources_are_never_mixed() {
    let bare = Claim { size: Some(FILE.len() as u64), ..Claim::default() };
    let forgetful = Server { etag: None, ..Server::good() };
    let servers = vec![("a.lit", forgetful.cut(10, 99)), ("b.lit", Server::good())];
    let scene = run(task(bare.clone(), &servers), servers, b"", 7);
    assert!(matches!(scene.result, Ok(Fetched::Unproven(_))));
    assert_eq!(scene.asked.last(), Some(&("b.lit".to_owned(), 0)));
    assert!(scene.asked.iter().all(|(_, from)| *from == 0), "{:?}", scene.asked);
    let servers = vec![("a.lit", Server::good().cut(10, 2))];
    let scene = run(task(bare, &servers), servers, b"", 7);
    assert!(matches!(scene.result, Ok(Fetched::Unproven(_))) && scene.staged == FILE);
    assert_eq!(scene.asked, asked(&[("a.lit", 0), ("a.lit", 10), ("a.lit", 20)]), "one version of one source may be taken up");
}

#[test]
fn a_silent_server_is_given_up_after_a_while() {
    let start = dawn();
    let plan = Plan { attempts: vec![attempt("mute.lit")], left_out: Vec::new() };
    let mut job = FetchJob::new(&plan, claim(FILE), NetRules::default(), FetchSettings::default(), None, start);
    assert!(matches!(job.poll_action(), Some(Action::Open(_))));
    let deadline = job.deadline().unwrap();
    assert_eq!(deadline - start, Duration::from_secs(30));
    job.handle_timeout(deadline - Duration::from_nanos(1));
    assert_eq!(job.poll_action(), None);
    job.handle_timeout(deadline);
    assert_eq!(job.poll_action(), Some(Action::Close));
    assert_eq!(job.poll_action(), Some(Action::Record(key("mute.lit"), Outcome::Stalled(30))));
    assert!(job.deadline().unwrap() > deadline, "it is asked again later");
}

/// A byte now and then is no progress: it would hold a fetch, and keep it from better sources, for years.
#[test]
fn a_server_that_drips_below_the_time_to_stall_is_left_for_another() {
    let start = dawn();
    let servers = [("drip.lit", Server::good()), ("here.lit", Server::good())];
    let large = Claim { size: Some(1 << 30), ..claim(FILE) };
    let mut job = FetchJob::new(&task(large.clone(), &servers).plan, large, NetRules::default(), FetchSettings::default(), None, start);
    assert!(matches!(job.poll_action(), Some(Action::Open(_))));
    job.handle_opened(start, &ResponseHead { status: 200, headers: vec![] });
    let mut now = start;
    while job.deadline().unwrap() > now {
        now += Duration::from_secs(1);
        assert_eq!(job.handle_bytes(now, 1).0, 0..1);
        assert!(now - start < Duration::from_secs(60), "it is waited for without end");
    }
    job.handle_timeout(now);
    let actions: Vec<_> = std::iter::from_fn(|| job.poll_action()).collect();
    assert!(actions.contains(&Action::Record(key("drip.lit"), Outcome::Stalled(30))), "{actions:?}");
    assert!(actions.iter().any(|action| matches!(action, Action::Open(open) if open.url.host_str() == Some("here.lit"))), "{actions:?}");

    // A slow line is no dripping one, and a disk of our own that is slow is not the server's fault.
    job.handle_opened(
        now,
        &ResponseHead { status: 206, headers: vec![("Content-Range".into(), format!("bytes 30-{}/{}", (1 << 30) - 1, 1 << 30))] },
    );
    for _ in 0..100 {
        now += Duration::from_secs(29);
        job.handle_bytes(now, 4096);
        now += Duration::from_secs(29);
        job.handle_delay(now);
        assert!(job.deadline().unwrap() > now);
    }
}

/// One byte for each request: without a bound a server could make us ask a thousand million times.
#[test]
fn a_server_that_answers_byte_by_byte_is_given_up() {
    let start = dawn();
    let total = 1_u64 << 30;
    let large = Claim { size: Some(total), ..claim(FILE) };
    let servers = [("crumbs.lit", Server::good())];
    let mut job = FetchJob::new(&task(large.clone(), &servers).plan, large, NetRules::default(), FetchSettings::default(), None, start);
    let (mut now, mut asked, mut waited) = (start, 0_u64, 0);
    while !job.is_over() {
        match job.poll_action() {
            Some(Action::Open(open)) => {
                asked += 1;
                assert!(asked <= 250, "it is asked without end");
                let from = open.from_byte;
                let range = format!("bytes {from}-{from}/{total}");
                job.handle_opened(now, &ResponseHead { status: 206, headers: vec![("Content-Range".into(), range)] });
                job.handle_bytes(now, 1);
                job.handle_end(now);
            }
            Some(_) => {}
            None => {
                waited += 1;
                now = job.deadline().unwrap();
                job.handle_timeout(now);
            }
        }
    }
    assert!(waited + 1 >= asked, "asked again without a pause");
}

/// A good part each time, and then there is no such part: each round costs us all of it.
#[test]
fn a_server_that_takes_back_what_it_gave_is_given_up() {
    let (start, part) = (dawn(), 64 * 1024_usize);
    let large = Claim { size: Some(1 << 30), ..claim(FILE) };
    let servers = [("moody.lit", Server::good())];
    let mut job = FetchJob::new(&task(large.clone(), &servers).plan, large, NetRules::default(), FetchSettings::default(), None, start);
    let mut asked = Vec::new();
    while !job.is_over() {
        let Some(action) = job.poll_action() else { break };
        let Action::Open(open) = action else { continue };
        asked.push(open.from_byte);
        assert!(asked.len() < 9, "it is asked without end");
        if open.from_byte == 0 {
            let range = format!("bytes 0-{}/{}", part - 1, 1 << 30);
            job.handle_opened(start, &ResponseHead { status: 206, headers: vec![("Content-Range".into(), range)] });
            job.handle_bytes(start, part);
            job.handle_end(start);
        } else {
            job.handle_opened(start, &ResponseHead { status: 416, headers: Vec::new() });
        }
    }
    assert_eq!(asked, [0, part as u64, 0, part as u64]);
    let failed = std::iter::from_fn(|| job.poll_action()).find_map(|action| match action {
        Action::Failed(failed) => Some(failed.outcomes),
        _ => None,
    });
    assert_eq!(failed, Some(vec![(key("moody.lit"), Outcome::WrongRange)]));
}

#[test]
fn what_the_driver_needs_before_it_asks_is_not_the_servers_silence() {
    let start = dawn();
    let plan = Plan { attempts: vec![attempt("here.lit")], left_out: Vec::new() };
    let mut job = FetchJob::new(&plan, claim(FILE), NetRules::default(), FetchSettings::default(), None, start);
    let late = start + Duration::from_secs(300);
    job.handle_delay(late);
    job.handle_timeout(late);
    assert_eq!(job.deadline(), Some(late + Duration::from_secs(30)));
    job.pause();
    job.handle_delay(late);
    assert_eq!(job.deadline(), None);
}

#[test]
fn a_busy_server_is_left_alone_as_long_as_it_asks() {
    let start = dawn();
    let plan = Plan { attempts: vec![attempt("busy.lit")], left_out: Vec::new() };
    let mut job = FetchJob::new(&plan, claim(FILE), NetRules::default(), FetchSettings::default(), None, start);
    job.handle_opened(start, &ResponseHead { status: 503, headers: vec![("Retry-After".into(), "20".into())] });
    assert_eq!(job.deadline(), Some(start + Duration::from_secs(20)));
}

#[test]
fn a_pause_keeps_what_is_there_and_a_cancel_ends_it() {
    let start = dawn();
    let plan = Plan { attempts: vec![attempt("here.lit")], left_out: Vec::new() };
    let mut job = FetchJob::new(&plan, claim(FILE), NetRules::default(), FetchSettings::default(), None, start);
    let head = ResponseHead { status: 200, headers: vec![("ETag".into(), "\"1\"".into()), ("Content-Length".into(), "47".into())] };
    job.handle_opened(start, &head);
    assert_eq!(job.handle_bytes(start, 10).of(FILE), &FILE[..10]);
    job.pause();
    let point = ResumePoint { len: 10, source: Some(key("here.lit")), validator: Some("\"1\"".into()), ..ResumePoint::default() };
    let actions: Vec<_> = std::iter::from_fn(|| job.poll_action()).collect();
    assert!(
        matches!(&actions[..], [Action::Open(_), Action::Note(_), Action::Close, Action::Note(noted)] if *noted == point),
        "{actions:?}"
    );
    assert_eq!((job.deadline(), job.handle_bytes(start, 10).of(FILE)), (None, &b""[..]));
    job.go_on(start);
    assert!(matches!(job.poll_action(), Some(Action::Open(request)) if request.from_byte == 10));
    job.cancel();
    assert_eq!((job.poll_action(), job.poll_action(), job.is_over()), (Some(Action::Close), None, true));
    assert_eq!(job.progress(), Progress { have: 10, total: Some(47) });
}

fn any_server() -> impl Strategy<Value = Server> {
    let bytes = prop_oneof![4 => Just(FILE.to_vec()), 1 => prop::collection::vec(any::<u8>(), 0..80)];
    let status = prop_oneof![6 => Just(200), 1 => prop::sample::select(vec![404, 410, 403, 416, 500, 503, 302, 206, 204])];
    let cut = prop::option::of((0..FILE.len(), 0..5_u32));
    let length = prop_oneof![5 => Just(None), 1 => (0..100_u64).prop_map(Some)];
    (bytes, any::<bool>(), prop::option::of(Just("\"1\"")), status, cut, length).prop_map(
        |(bytes, ranges, etag, status, cut, lies_about_length)| Server {
            bytes,
            ranges,
            etag,
            status,
            cut,
            lies_about_length,
            ..Server::good()
        },
    )
}

fn any_resume() -> impl Strategy<Value = (Vec<u8>, Option<ResumePoint>)> {
    let staged = prop_oneof![(0..=FILE.len()).prop_map(|len| FILE[..len].to_vec()), prop::collection::vec(any::<u8>(), 0..80)];
    let source = prop::option::of(prop::sample::select(vec!["a.lit", "good.lit", "elsewhere.lit"]).prop_map(key));
    (staged, source, prop::option::of(Just("\"1\"".to_owned()))).prop_map(|(staged, source, validator)| {
        let point = ResumePoint { len: staged.len() as u64, source, validator, ..ResumePoint::default() };
        (staged, Some(point))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever servers do, a job ends, and what it calls verified is the file.
    #[test]
    fn nothing_but_the_file_is_ever_called_verified(a in any_server(), b in any_server(), c in any_server(), piece in 1..60_usize) {
        let servers = vec![("a.lit", a), ("b.lit", b), ("c.lit", c)];
        let scene = run(task(claim(FILE), &servers), servers, b"", piece);
        if scene.result.is_ok() {
            prop_assert_eq!(&scene.staged[..], FILE);
        }
        prop_assert!(scene.staged.len() <= FILE.len());
    }

    /// One honest server among liars is enough, whatever an earlier run left behind; and it is never blamed.
    #[test]
    fn one_good_source_is_enough(a in any_server(), c in any_server(), piece in 1..60_usize, (staged, resume) in any_resume()) {
        let servers = vec![("a.lit", a), ("good.lit", Server::good()), ("c.lit", c)];
        let scene = run(Task { resume, ..task(claim(FILE), &servers) }, servers, &staged, piece);
        prop_assert!(is_verified(&scene), "{:?}", scene.result);
        prop_assert!(!scene.outcomes.contains(&(key("good.lit"), Outcome::WrongBytes)));
    }
}

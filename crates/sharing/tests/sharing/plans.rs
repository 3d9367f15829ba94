//! Where a file is fetched from, in which order, and why not from elsewhere.

use std::time::{Duration, SystemTime};

use balcony_sharing::dialect::{OutgoingFile, OutgoingShare, read, write};
use balcony_sharing::plan::{
    Answer, Circumstances, Concern, Decision, History, How, HttpRequest, Outcome, Policy, Reason, Record, Rule, Unasked, Wait, decide,
    lay_out,
};
use balcony_sharing::verify::{Hashed, Hasher, SHARED_ALGOS};
use balcony_sharing::{Disposition, ExposureKind, NetRules, Offer, Proof, Received, Source, UnknownSource, UrlSource};
use balcony_wire::hashes::HashAlgo;
use balcony_wire::url_data::{HttpData, HttpDataKind};
use balcony_wire::{BareJid, Jid, Message};
use proptest::prelude::*;

fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

fn juliet() -> BareJid {
    jid("juliet@capulet.lit").into_bare().unwrap()
}

fn hashed(algos: &[HashAlgo]) -> Hashed {
    let mut hasher = Hasher::new(algos.iter().copied());
    hasher.update(b"summit");
    hasher.finish()
}

/// What Romeo offers to Juliet.
fn offer_with(algos: &[HashAlgo], disposition: Option<Disposition>, sources: Vec<Source>) -> Offer {
    let file = OutgoingFile { sources, disposition, ..OutgoingFile::new("f1", "summit.jpg", None, &hashed(algos)) };
    let share = OutgoingShare { to: juliet().into(), to_room: false, id: "m1".into(), text: None, files: vec![file] };
    received(write(&share).message).remove(0)
}

fn received(message: Message) -> Vec<Offer> {
    let message = Message { from: Some(jid("romeo@montague.lit/orchard")), ..message };
    read(&Received::direct(message, &juliet()).unwrap()).offers
}

fn offer(urls: &[&str]) -> Offer {
    offer_with(&[HashAlgo::Sha256], None, urls.iter().map(|url| Source::url(*url)).collect())
}

fn contact() -> Circumstances {
    Circumstances { is_contact: true, ..Circumstances::at(noon()) }
}

fn decision(offer: &Offer) -> Decision {
    decide(offer, &Policy::default(), &History::default(), &contact())
}

fn urls(decision: &Decision) -> Vec<String> {
    decision.plan().unwrap().attempts.iter().map(|attempt| attempt.how.to_string()).collect()
}

fn reasons(decision: &Decision) -> Vec<&'static str> {
    decision.left_out().iter().map(|left_out| left_out.reason.code()).collect()
}

fn failed(source: &str, outcome: Outcome, ago: u64) -> History {
    History::new(vec![Record { source: Source::url(source).key(), outcome, at: noon() - Duration::from_secs(ago) }])
}

const OWN: &str = "https://upload.capulet.lit/x/summit.jpg";
const SENDERS: &str = "https://upload.montague.lit/x/summit.jpg";
const THIRD: &str = "https://files.example/x/summit.jpg";

/// Proves: SFS-3.2-1, SIMS-4.2-1.
#[test]
fn a_copy_that_is_here_is_not_fetched_again() {
    let offer = offer(&[SENDERS]);
    let have = Some(hashed(&[HashAlgo::Sha256, HashAlgo::Blake2b256]).digests().clone());
    let around = Circumstances { have, ..contact() };
    assert!(matches!(decide(&offer, &Policy::default(), &History::default(), &around), Decision::Have(_)));
    let mut hasher = Hasher::new([HashAlgo::Sha256]);
    hasher.update(b"something else");
    let around = Circumstances { have: Some(hasher.finish().digests().clone()), ..contact() };
    assert!(matches!(decide(&offer, &Policy::default(), &History::default(), &around), Decision::Fetch(_)));
}

/// Proves: SFS-6-4.
#[test]
fn less_revealing_sources_come_first() {
    let policy = Policy { third_hosts: Rule::Fetch, ..Policy::default() };
    let decision = decide(&offer(&[THIRD, SENDERS, OWN]), &policy, &History::default(), &contact());
    assert_eq!(urls(&decision), [OWN, SENDERS, THIRD]);
    let kinds: Vec<_> = decision.plan().unwrap().attempts.iter().map(|attempt| attempt.exposure.kind()).collect();
    assert_eq!(kinds, [ExposureKind::OwnServer, ExposureKind::SendersServer, ExposureKind::ThirdHost]);
}

/// Proves: SFS-6-6.
#[test]
fn an_insecure_protocol_counts_as_showing_private_data() {
    const PLAIN: &str = "http://upload.capulet.lit/x";
    let lenient = Policy { senders_server: Rule::Fetch, third_hosts: Rule::Fetch, peers: Rule::Fetch, ..Policy::default() };
    let plain_at_home = NetRules { loopback_http: true, own_hosts: vec!["upload.capulet.lit".to_owned()], ..NetRules::default() };
    let not_told = "upload.capulet.lit is not reached over TLS";
    let told = "your rules forbid it: upload.capulet.lit and everybody on the way there see your IP address and the file";
    for (rules, reason, words) in [(NetRules::default(), "address-refused", not_told), (plain_at_home, "forbidden", told)] {
        let around = Circumstances { rules, asked: true, ..contact() };
        let decision = decide(&offer(&[PLAIN, OWN]), &lenient, &History::default(), &around);
        assert_eq!((urls(&decision), reasons(&decision)), (vec![OWN.to_owned()], vec![reason]));
        assert_eq!(decision.left_out()[0].reason.to_string(), words);
        assert_eq!(decide(&offer(&[PLAIN]), &lenient, &History::default(), &around).as_str(), "refuse");
    }
}

/// Proves: SFS-6-5.
#[test]
fn a_third_host_is_asked_only_after_the_person_was() {
    let Decision::Ask(question) = decision(&offer(&[THIRD])) else { panic!() };
    assert_eq!(
        question.to_string(),
        "fetch it? files.example, which is neither your server nor the sender's, sees your IP address and the time"
    );
    assert_eq!(question.answers(), [Answer::Reveal(ExposureKind::ThirdHost)]);
    let agreed = Circumstances { answers: question.answers(), ..contact() };
    assert_eq!(decide(&offer(&[THIRD]), &Policy::default(), &History::default(), &agreed), Decision::Fetch(question.yes()));
    let both = decision(&offer(&[THIRD, SENDERS]));
    assert_eq!((both.as_str(), urls(&both), reasons(&both)), ("fetch", vec![SENDERS.to_owned()], vec!["needs-answer"]));
    let never = Policy { third_hosts: Rule::Never, ..Policy::default() };
    let refused = decide(&offer(&[THIRD]), &never, &History::default(), &contact());
    assert_eq!((refused.as_str(), reasons(&refused)), ("refuse", vec!["forbidden"]));
}

/// Proves: SFS-3.2-5, SFS-3.2-6.
#[test]
fn an_attachment_is_never_fetched_unasked() {
    let attachment = offer_with(&[HashAlgo::Sha256], Some(Disposition::Attachment), vec![Source::url(OWN)]);
    let everybody = Policy { unasked: Unasked::Everybody, unasked_limit: u64::MAX, ..Policy::default() };
    let Decision::Ask(question) = decide(&attachment, &everybody, &History::default(), &contact()) else { panic!() };
    assert_eq!(question.concerns(), [Concern::Attachment]);
    let asked = Circumstances { asked: true, ..contact() };
    assert!(matches!(decide(&attachment, &everybody, &History::default(), &asked), Decision::Fetch(_)));
}

/// Proves: SIMS-5.3-1.
#[test]
fn what_is_fetched_unasked_is_a_rule_of_person_size_and_network() {
    let offer = offer(&[OWN]);
    let concerns = |policy: &Policy, around: &Circumstances| match decide(&offer, policy, &History::default(), around) {
        Decision::Ask(question) => question.concerns().to_vec(),
        Decision::Fetch(_) => Vec::new(),
        other => panic!("{other}"),
    };
    let policy = Policy::default();
    assert_eq!(concerns(&policy, &contact()), []);
    assert_eq!(concerns(&policy, &Circumstances::at(noon())), [Concern::Stranger(jid("romeo@montague.lit/orchard"))]);
    assert_eq!(concerns(&policy, &Circumstances { metered: true, ..contact() }), [Concern::Metered]);
    assert_eq!(concerns(&Policy { unasked_limit: 5, ..policy.clone() }, &contact()), [Concern::Large { size: 6, limit: 5 }]);
    assert_eq!(concerns(&Policy { unasked: Unasked::Nobody, ..policy }, &contact()), [Concern::FetchingIsOff]);
}

/// Proves: SFS-3.2-4.
#[test]
fn a_share_without_sources_waits() {
    assert_eq!(decision(&offer(&[])), Decision::Wait(Wait::ForSource));
}

#[test]
fn an_empty_file_is_fetched_without_asking_anybody() {
    let nothing = OutgoingFile::new("f1", "empty.txt", None, &Hasher::new([HashAlgo::Sha256]).finish());
    let share = OutgoingShare { to: juliet().into(), to_room: false, id: "m1".into(), text: None, files: vec![nothing] };
    let offers = received(write(&share).message);
    assert!(matches!(decision(&offers[0]), Decision::Fetch(plan) if plan.attempts.is_empty()));
}

/// Proves: SFS-6-2, SFS-6-3, SFS-6-D1, HREC-5-3.
#[test]
fn without_a_usable_hash_only_the_senders_own_secure_sources_count() {
    assert!(!SHARED_ALGOS.contains(&HashAlgo::Sha1));
    for algos in [&[][..], &[HashAlgo::Sha1]] {
        let mut offer = offer_with(algos, None, vec![Source::url("http://127.0.0.1/x"), Source::url(SENDERS)]);
        assert_eq!(offer.proof(), Proof::None);
        let other = |from: &str| {
            let said = Message { from: Some(jid(from)), ..Message::default() };
            Received::direct(said, &juliet()).unwrap().provenance().clone()
        };
        offer.add_source(Source::url("https://evil.example/x"), &other("mallory@evil.example/x"));
        offer.add_source(Source::url("https://upload.montague.lit/again"), &other("romeo@montague.lit/phone"));
        let around = Circumstances { rules: NetRules { loopback_http: true, ..NetRules::default() }, ..contact() };
        let policy = Policy { unproven: Rule::Fetch, third_hosts: Rule::Fetch, ..Policy::default() };
        let decision = decide(&offer, &policy, &History::default(), &around);
        assert_eq!(urls(&decision), [SENDERS, "https://upload.montague.lit/again"]);
        assert_eq!(reasons(&decision), ["insecure-unproven", "not-the-senders"]);
        let Decision::Ask(question) = decide(&offer, &Policy::default(), &History::default(), &around) else { panic!() };
        assert_eq!(question.concerns(), [Concern::Unproven]);
        let strict = Policy { unproven: Rule::Never, ..Policy::default() };
        assert_eq!(decide(&offer, &strict, &History::default(), &around).as_str(), "refuse");
    }
}

#[test]
fn sources_of_other_kinds_keep_their_place_and_their_reason() {
    let sources = vec![
        Source::Published { from: jid("romeo@montague.lit/orchard"), id: "x".into(), applications: Vec::new() },
        Source::url("ftp://upload.montague.lit/x"),
        Source::url("no url"),
        Source::url("https://192.168.1.1/x"),
    ];
    let mut offer = offer_with(&[HashAlgo::Sha256], None, sources);
    let romeo = offer.provenance().clone();
    offer.add_source(Source::Unknown(UnknownSource::Element("{urn:example}x".into())), &romeo);
    let refused = decision(&offer);
    assert_eq!(refused.as_str(), "refuse");
    assert_eq!(reasons(&refused), ["unsupported", "address-refused", "address-refused", "address-refused", "unknown-kind"]);
    assert_eq!(
        refused.left_out()[3].reason.to_string(),
        "192.168.1.1 is 192.168.1.1, an address in a private network, where foreign links are not followed"
    );
}

/// Proves: SFS-3.2-8, HURL-4.1-1, HURL-4.1-2, HURL-D-2.
#[test]
fn request_data_of_the_sender_is_used_where_a_hash_proves_the_answer() {
    let data = |kind| HttpData::new(kind);
    let header = |name: &str| data(HttpDataKind::Header { name: name.into(), value: "1".into() });
    let cookie = |domain: Option<&str>| {
        let attributes = balcony_wire::url_data::CookieAttributes { domain: domain.map(str::to_owned), ..Default::default() };
        data(HttpDataKind::Cookie { name: "a".into(), value: "b; c=d".into(), attributes })
    };
    let auth = data(HttpDataKind::Auth {
        scheme: "basic".into(),
        params: vec![("username".into(), "romeo".into()), ("password".into(), "x".into())],
    });
    let with = |http| Source::Url(UrlSource { target: SENDERS.into(), http });
    let good =
        offer_with(&[HashAlgo::Sha256], None, vec![with(vec![header("X-Key"), cookie(None), cookie(Some("evil.example")), auth.clone()])]);
    let plan = decision(&good);
    let How::Http(HttpRequest { headers, .. }) = &plan.plan().unwrap().attempts[0].how else { panic!("not by HTTP") };
    let expected = [("X-Key", "1"), ("Authorization", "Basic cm9tZW86eA=="), ("Cookie", "a=bc=d")];
    assert_eq!(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>(), expected);
    let refused = offer_with(&[HashAlgo::Sha256], None, vec![with(vec![header("Host")])]);
    assert_eq!(reasons(&decision(&refused)), ["request-data-refused"]);
    let unproven = offer_with(&[], None, vec![with(vec![auth])]);
    assert_eq!(reasons(&decision(&unproven)), ["request-data-unproven"]);
}

#[test]
fn a_source_that_gave_wrong_bytes_is_not_asked_again() {
    let decide_after = |outcome, ago| decide(&offer(&[SENDERS]), &Policy::default(), &failed(SENDERS, outcome, ago), &contact());
    for outcome in [Outcome::WrongBytes, Outcome::TooLong(6), Outcome::Gone(410)] {
        let refused = decide_after(outcome.clone(), 1_000_000);
        assert_eq!((refused.as_str(), reasons(&refused)), ("refuse", vec!["failed"]), "{outcome}");
    }
    assert!(decide_after(Outcome::WrongBytes, 0).to_string().contains("other bytes than those offered"));
}

#[test]
fn a_source_that_failed_comes_later_and_after_a_while() {
    let history = failed(OWN, Outcome::Stalled(30), 10);
    let waits = decide(&offer(&[OWN]), &Policy::default(), &history, &contact());
    let Decision::Wait(Wait::Until(until, _)) = &waits else { panic!("{waits:?}") };
    assert_eq!(*until, noon() + Duration::from_secs(20));
    let asked = Circumstances { asked: true, ..contact() };
    let both = decide(&offer(&[OWN, SENDERS]), &Policy::default(), &history, &asked);
    assert_eq!(urls(&both), [SENDERS, OWN], "a person who asks gets everything tried, the failed one last");
    let later = failed(OWN, Outcome::Stalled(30), 31);
    assert_eq!(urls(&decide(&offer(&[OWN, SENDERS]), &Policy::default(), &later, &contact())), [SENDERS, OWN]);
}

#[test]
fn every_outcome_comes_back_from_the_catalogue_as_it_was() {
    let outcomes = [
        Outcome::Fetched,
        Outcome::WrongBytes,
        Outcome::Gone(410),
        Outcome::Refused(403),
        Outcome::ServerFailed(503),
        Outcome::Unusable(204),
        Outcome::WrongRange,
        Outcome::TooLong(7),
        Outcome::TooShort { got: 1, expected: 2 },
        Outcome::Blocked("x/y".into()),
        Outcome::Unreachable(String::new()),
        Outcome::Stalled(30),
    ];
    for outcome in outcomes {
        assert_eq!(Outcome::from_record(outcome.code(), &outcome.detail()), Some(outcome));
    }
    assert_eq!(Outcome::from_record("too-short", "1"), None);
    assert_eq!(Outcome::from_record("exploded", ""), None);
}

fn any_source() -> impl Strategy<Value = Source> {
    let url = prop::sample::select(vec![
        OWN,
        SENDERS,
        THIRD,
        "https://other.example/y",
        "http://upload.montague.lit/x",
        "http://127.0.0.1/x",
        "https://10.0.0.1/",
        "https://[::1]/",
        "ftp://files.example/x",
        "nonsense",
        "https://abcdefghijklmnop.onion/x",
        "https://romeo:pw@files.example/x",
    ]);
    prop_oneof![
        6 => url.prop_map(Source::url),
        1 => Just(Source::Published { from: jid("romeo@montague.lit/orchard"), id: "x".into(), applications: Vec::new() }),
    ]
}

fn any_rule() -> impl Strategy<Value = Rule> {
    prop::sample::select(vec![Rule::Fetch, Rule::Ask, Rule::Never])
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let unasked = prop::sample::select(vec![Unasked::Nobody, Unasked::Contacts, Unasked::Everybody]);
    (unasked, 0..12_u64, any::<bool>(), any_rule(), any_rule(), any_rule(), any_rule()).prop_map(
        |(unasked, unasked_limit, unasked_when_metered, senders_server, third_hosts, peers, unproven)| Policy {
            unasked,
            unasked_limit,
            unasked_when_metered,
            senders_server,
            third_hosts,
            peers,
            unproven,
        },
    )
}

fn any_history() -> impl Strategy<Value = History> {
    let outcome = prop::sample::select(vec![Outcome::Fetched, Outcome::WrongBytes, Outcome::Stalled(30), Outcome::Gone(404)]);
    let record = (any_source(), outcome, 0..100_000_u64);
    prop::collection::vec(record, 0..4).prop_map(|records| {
        let at = |ago| noon() - Duration::from_secs(ago);
        History::new(records.into_iter().map(|(source, outcome, ago)| Record { source: source.key(), outcome, at: at(ago) }).collect())
    })
}

fn any_circumstances() -> impl Strategy<Value = Circumstances> {
    (any::<[bool; 5]>()).prop_map(|[is_contact, asked, metered, loopback_http, onion]| Circumstances {
        is_contact,
        asked,
        metered,
        rules: NetRules { loopback_http, onion, own_hosts: Vec::new() },
        ..Circumstances::at(noon())
    })
}

fn any_offer() -> impl Strategy<Value = Offer> {
    let algos = prop::sample::select(vec![&[HashAlgo::Sha256][..], &[HashAlgo::Sha1], &[]]);
    let disposition = prop::sample::select(vec![None, Some(Disposition::Attachment), Some(Disposition::Inline)]);
    (algos, disposition, prop::collection::vec(any_source(), 0..5))
        .prop_map(|(algos, disposition, sources)| offer_with(algos, disposition, sources))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Every source is in the plan or has a reason, once; nothing forbidden is attempted; the same input gives the same plan.
    #[test]
    fn every_source_is_accounted_for_and_nothing_forbidden_is_done(
        offer in any_offer(), policy in any_policy(), history in any_history(), around in any_circumstances(),
    ) {
        let plan = lay_out(&offer, &policy, &history, &around);
        let mut told: Vec<_> = plan.attempts.iter().map(|attempt| attempt.source.clone()).collect();
        told.extend(plan.left_out.iter().map(|left_out| left_out.source.clone()));
        told.sort();
        let mut named: Vec<_> = offer.sources().map(Source::key).collect();
        named.sort();
        prop_assert_eq!(&told, &named);
        prop_assert_eq!(&plan, &lay_out(&offer, &policy, &history, &around));
        prop_assert!(plan.left_out.iter().all(|left_out| !left_out.reason.to_string().is_empty()));

        let decision = decide(&offer, &policy, &history, &around);
        prop_assert_eq!(&decision, &decide(&offer, &policy, &history, &around));
        for attempt in decision.plan().into_iter().flat_map(|plan| &plan.attempts) {
            let How::Http(HttpRequest { url, addresses, .. }) = &attempt.how else { panic!("not by HTTP") };
            prop_assert!(policy.rule_for(attempt.exposure.kind()) != Rule::Never);
            prop_assert!(url.scheme() == "https" || around.rules.loopback_http);
            prop_assert!(addresses.check("10.0.0.1".parse().unwrap()).is_err());
            let wrong = |record: &&Record| record.source == attempt.source && record.outcome == Outcome::WrongBytes;
            prop_assert!(history.records().iter().find(wrong).is_none());
        }
        if let Decision::Fetch(plan) = &decision {
            prop_assert!(plan.attempts.iter().all(|attempt| policy.rule_for(attempt.exposure.kind()) == Rule::Fetch));
            prop_assert!(around.asked || offer.disposition() != Some(Disposition::Attachment));
            prop_assert!(around.asked || around.is_contact || policy.unasked == Unasked::Everybody);
            prop_assert!(offer.proof() == Proof::Digest || policy.unproven == Rule::Fetch);
        }
        if offer.proof() == Proof::None {
            let insecure = |left_out: &balcony_sharing::plan::LeftOut| left_out.reason == Reason::InsecureUnproven;
            let has_http = offer.sources().any(|source| source.to_string().starts_with("http:"));
            prop_assert_eq!(plan.left_out.iter().any(insecure), has_http);
        }
    }
}

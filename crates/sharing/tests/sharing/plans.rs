//! Where a file is fetched from, in which order, and why not from elsewhere.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use balcony_sharing::dialect::{OutgoingFile, OutgoingShare, read, write};
use balcony_sharing::plan::{
    Answer, Circumstances, Concern, Contacts, Decision, History, How, HttpRequest, Outcome, Policy, Record, Wait, decide,
};
use balcony_sharing::verify::{Hashed, Hasher, SHARED_ALGOS};
use balcony_sharing::{Disposition, Exposure, ExposureKind, NetRules, Offer, Origin, Proof, Received, Source, UnknownSource, UrlSource};
use balcony_wire::hashes::HashAlgo;
use balcony_wire::roster::{RosterItem, Subscription};
use balcony_wire::url_data::{HttpData, HttpDataKind};
use balcony_wire::{BareJid, Jid, Message};

pub(crate) fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

pub(crate) fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

pub(crate) fn juliet() -> BareJid {
    jid("juliet@capulet.lit").into_bare().unwrap()
}

pub(crate) fn hashed(algos: &[HashAlgo]) -> Hashed {
    let mut hasher = Hasher::new(algos.iter().copied());
    hasher.update(b"summit");
    hasher.finish()
}

/// What Romeo offers to Juliet.
pub(crate) fn offer_with(algos: &[HashAlgo], disposition: Option<Disposition>, sources: Vec<Source>) -> Offer {
    let file = OutgoingFile { sources, disposition, ..OutgoingFile::new("f1", "summit.jpg", None, &hashed(algos)) };
    let share = OutgoingShare { to: juliet().into(), to_room: false, id: "m1".into(), text: None, files: vec![file] };
    received(write(&share).message).remove(0)
}

pub(crate) fn received(message: Message) -> Vec<Offer> {
    let message = Message { from: Some(jid("romeo@montague.lit/orchard")), ..message };
    read(&Received::direct(message, &juliet()).unwrap()).offers
}

fn offer(urls: &[&str]) -> Offer {
    offer_with(&[HashAlgo::Sha256], None, urls.iter().map(|url| Source::url(*url)).collect())
}

fn contact() -> Circumstances {
    Circumstances {
        contacts: Arc::new(Contacts::from_items([RosterItem {
            subscription: Subscription::Both,
            ..RosterItem::new(jid("romeo@montague.lit"))
        }])),
        ..Circumstances::at(noon())
    }
}

pub(crate) fn rules(text: &str) -> Policy {
    text.parse().unwrap()
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

pub(crate) const OWN: &str = "https://upload.capulet.lit/x/summit.jpg";
pub(crate) const SENDERS: &str = "https://upload.montague.lit/x/summit.jpg";
pub(crate) const THIRD: &str = "https://files.example/x/summit.jpg";

/// Proves: SFS-3.2-1, SIMS-4.2-1.
#[test]
fn a_copy_that_is_here_is_not_fetched_again() {
    let offer = offer(&[SENDERS]);
    let have = Some(hashed(&[HashAlgo::Sha256, HashAlgo::Blake2b256]).digests().clone());
    let around = Circumstances { have, ..contact() };
    assert!(matches!(decide(&offer, &Policy::default(), &History::default(), &around), Decision::Have(_)));
    let mut hasher = Hasher::new([HashAlgo::Sha256]);
    hasher.update(b"something else");
    let other = hasher.finish().digests().clone();
    for came_by_it in [false, true] {
        let around = Circumstances { have: Some(other.clone()), came_by_it, ..contact() };
        assert!(matches!(decide(&offer, &Policy::default(), &History::default(), &around), Decision::Fetch(_)));
    }
    let unhashed = offer_with(&[], None, vec![Source::url(SENDERS)]);
    let decided = |came_by_it| {
        let around = Circumstances { have: Some(other.clone()), came_by_it, ..contact() };
        decide(&unhashed, &Policy::default(), &History::default(), &around).as_str()
    };
    assert_eq!((decided(true), decided(false)), ("have", "ask"), "no digest names it, and it came by this offer");
}

/// Proves: SFS-6-4.
#[test]
fn less_revealing_sources_come_first() {
    let policy = rules("fetch everybody");
    let decision = decide(&offer(&[THIRD, SENDERS, OWN]), &policy, &History::default(), &contact());
    assert_eq!(urls(&decision), [OWN, SENDERS, THIRD]);
    let kinds: Vec<_> = decision.plan().unwrap().attempts.iter().map(|attempt| attempt.exposure.kind()).collect();
    assert_eq!(kinds, [ExposureKind::OwnServer, ExposureKind::SendersServer, ExposureKind::ThirdHost]);
}

/// Proves: SFS-6-6.
#[test]
fn an_insecure_protocol_counts_as_showing_private_data() {
    const PLAIN: &str = "http://upload.capulet.lit/x";
    let lenient = rules("fetch everybody even unproven even metered");
    let plain_at_home = NetRules { loopback_http: true, own: vec![Origin::parse("upload.capulet.lit:80").unwrap()], ..NetRules::default() };
    let not_told = "upload.capulet.lit is not reached over TLS";
    let told = "that is never done: upload.capulet.lit and everybody on the way there see your IP address and the file";
    for (rules, reason, words) in [(NetRules::default(), "address-refused", not_told), (plain_at_home, "forbidden", told)] {
        let around = Circumstances { rules, asked: true, ..contact() };
        let decision = decide(&offer(&[PLAIN, OWN]), &lenient, &History::default(), &around);
        assert_eq!((urls(&decision), reasons(&decision)), (vec![OWN.to_owned()], vec![reason]));
        assert_eq!(decision.left_out()[0].reason.to_string(), words);
        assert_eq!(decide(&offer(&[PLAIN]), &lenient, &History::default(), &around).as_str(), "refuse");
    }
}

/// Proves: SFS-6-5, SEC-3-4.
#[test]
fn a_third_host_is_asked_only_after_the_person_was() {
    let Decision::Ask(question) = decision(&offer(&[THIRD])) else { panic!() };
    assert_eq!(
        question.to_string(),
        "fetch it? files.example, which is neither your server nor the sender's, sees your IP address and the time"
    );
    assert_eq!(question.answers(), [Answer::Reveal(Exposure::ThirdHost("files.example".into()))]);
    let agreed = Circumstances { answers: question.answers(), ..contact() };
    assert_eq!(urls(&decide(&offer(&[THIRD]), &Policy::default(), &History::default(), &agreed)), [THIRD]);
    let both = decision(&offer(&[THIRD, SENDERS]));
    assert_eq!((both.as_str(), urls(&both), reasons(&both)), ("fetch", vec![SENDERS.to_owned()], vec!["needs-answer"]));
    let never = rules("never everybody from third-hosts");
    let refused = decide(&offer(&[THIRD]), &never, &History::default(), &contact());
    assert_eq!((refused.as_str(), reasons(&refused)), ("refuse", vec!["forbidden"]));
}

/// Proves: SFS-3.2-5, SFS-3.2-6, SEC-4-7.
#[test]
fn an_attachment_is_never_fetched_unasked() {
    let attachment = offer_with(&[HashAlgo::Sha256], Some(Disposition::Attachment), vec![Source::url(OWN)]);
    let everybody = rules("fetch everybody");
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
    let romeo = || jid("romeo@montague.lit");
    assert_eq!(concerns(&policy, &contact()), []);
    assert_eq!(concerns(&policy, &Circumstances::at(noon())), [Concern::Stranger(romeo())]);
    assert_eq!(concerns(&policy, &Circumstances { metered: true, ..contact() }), [Concern::Metered]);
    assert_eq!(concerns(&rules("fetch contacts even metered"), &Circumstances { metered: true, ..contact() }), []);
    assert_eq!(concerns(&rules("fetch contacts up to 5 bytes"), &contact()), [Concern::Large { size: 6, limit: 5 }]);
    assert_eq!(concerns(&rules("fetch contacts video/*"), &contact()), [Concern::Type(offer.media_type())]);
    assert_eq!(concerns(&rules("fetch group Family"), &contact()), [Concern::Person(romeo())]);
    assert_eq!(concerns(&rules("ask everybody"), &contact()), [Concern::FetchingIsOff]);
    let asking = Concern::Rule { number: 1, rule: "ask romeo@montague.lit".to_owned() };
    assert_eq!(concerns(&rules("ask romeo@montague.lit\nfetch contacts"), &contact()), [asking]);
}

/// Decision 55.
/// Proves: SFS-3.2-4.
#[test]
fn a_share_without_sources_waits() {
    assert_eq!(decision(&offer(&[])), Decision::Wait(Wait::ForSource));
}

#[test]
fn for_an_empty_file_nobody_is_asked_and_yet_the_rules_hold() {
    let empty = |disposition| {
        let file = OutgoingFile::new("f1", "empty.txt", None, &Hasher::new([HashAlgo::Sha256]).finish());
        let files = vec![OutgoingFile { disposition, ..file }];
        received(write(&OutgoingShare { to: juliet().into(), to_room: false, id: "m1".into(), text: None, files }).message).remove(0)
    };
    let offer = empty(Some(Disposition::Inline));
    assert!(matches!(decision(&offer), Decision::Fetch(plan) if plan.attempts.is_empty()));
    let decide_as = |policy: &Policy, around: &Circumstances| decide(&offer, policy, &History::default(), around).as_str();
    assert_eq!(decide_as(&Policy::default(), &Circumstances::at(noon())), "ask", "strangers make no files here");
    assert_eq!(decide_as(&rules("never strangers"), &Circumstances::at(noon())), "refuse");
    assert_eq!(decision(&empty(Some(Disposition::Attachment))).as_str(), "ask");
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
        let policy = rules("fetch everybody even unproven");
        let decision = decide(&offer, &policy, &History::default(), &around);
        assert_eq!(urls(&decision), [SENDERS, "https://upload.montague.lit/again"]);
        assert_eq!(reasons(&decision), ["insecure-unproven", "not-the-senders"]);
        let Decision::Ask(question) = decide(&offer, &Policy::default(), &History::default(), &around) else { panic!() };
        assert_eq!(question.concerns(), [Concern::Unproven]);
        let strict = rules("never everybody if unproven");
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
    assert_eq!(reasons(&refused), ["offline", "address-refused", "address-refused", "address-refused", "unknown-kind"]);
    assert_eq!(
        refused.left_out()[3].reason.to_string(),
        "192.168.1.1 is 192.168.1.1, an address in a private network, where foreign links are not followed"
    );
}

/// Decision 17.
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

/// Decision 49.
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
        Outcome::NotGiven("no".into()),
        Outcome::Withheld("no".into()),
        Outcome::NoWay("no candidate".into()),
        Outcome::NoProof,
        Outcome::Misfit,
    ];
    for outcome in outcomes {
        assert_eq!(Outcome::from_record(outcome.code(), &outcome.detail()), Some(outcome));
    }
    assert_eq!(Outcome::from_record("too-short", "1"), None);
    assert_eq!(Outcome::from_record("exploded", ""), None);
}

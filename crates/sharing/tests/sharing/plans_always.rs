//! What holds of every plan, whatever the offer, the rules, the history and the answers: judged by a second reading of the rules that
//! is written here.

use std::sync::Arc;
use std::time::Duration;

use balcony_sharing::plan::{
    Abilities, Answer, Attempt, Circumstances, Contacts, Decision, Devices, History, How, HttpRequest, Outcome, Plan, Policy, Record,
    decide, lay_out,
};
use balcony_sharing::transfer::{Reach, SessionRequest, SessionWay};
use balcony_sharing::{Disposition, Exposure, ExposureKind, NamedBy, NetRules, Offer, Proof, Received, Source, SourceKey};
use balcony_wire::Message;
use balcony_wire::hashes::HashAlgo;
use balcony_wire::roster::{RosterItem, Subscription};
use proptest::prelude::*;

use crate::plans::{OWN, SENDERS, THIRD, jid, juliet, noon, offer_with};
use crate::plans_sessions::ABLE;

const OTHER: &str = "https://other.example/y";
const ATTACHED: &str = "https://tracker.example/z";
const ORCHARD: &str = "romeo@montague.lit/orchard";
const OLD: &str = "romeo@montague.lit/old";
const PHONE: &str = "juliet@capulet.lit/phone";
const LAIR: &str = "mallory@evil.example/lair";

/// A rule as this test understands it.
#[derive(Clone, Debug)]
struct Sample {
    verdict: &'static str,
    who: &'static str,
    up_to: Option<u64>,
    place: Option<(&'static str, ExposureKind)>,
    unproven: bool,
    metered: bool,
    attached: bool,
}

impl Sample {
    fn text(&self) -> String {
        let size = self.up_to.map_or_else(String::new, |limit| format!(" up to {limit}"));
        let place = self.place.map_or_else(String::new, |(word, _)| format!(" from {word}"));
        let how = if self.verdict == "fetch" { "even" } else { "if" };
        let unproven = if self.unproven { format!(" {how} unproven") } else { String::new() };
        let metered = if self.metered { format!(" {how} metered") } else { String::new() };
        let attached = if self.attached { format!(" {how} attached") } else { String::new() };
        format!("{} {}{size}{place}{unproven}{metered}{attached}", self.verdict, self.who)
    }

    fn covers(&self, kind: ExposureKind, is_attached: bool, scene: &Scene) -> bool {
        let (person, is_known) = ("romeo@montague.lit", scene.known.contains(&"romeo@montague.lit"));
        let who = match self.who {
            "everybody" => true,
            "contacts" => is_known,
            "strangers" => !is_known,
            "group Family" => is_known,
            other => other == person,
        };
        let (proven, metered) = (scene.offer.proof() == Proof::Digest, scene.around.metered);
        let conditions = match self.verdict {
            "fetch" => (proven || self.unproven) && (!metered || self.metered) && (!is_attached || self.attached),
            _ => (!proven || !self.unproven) && (metered || !self.metered) && (is_attached || !self.attached),
        };
        who && conditions && self.up_to.is_none_or(|limit| 6 <= limit) && self.place.is_none_or(|(_, place)| place == kind)
    }
}

/// All that goes into a decision.
#[derive(Clone, Debug)]
struct Scene {
    samples: Vec<Sample>,
    known: Vec<&'static str>,
    offer: Offer,
    policy: Policy,
    history: History,
    around: Circumstances,
}

impl Scene {
    /// What the rules say of one attempt.
    fn verdict(&self, attempt: &Attempt) -> &'static str {
        let (kind, is_attached) = (attempt.exposure.kind(), attempt.named_by != NamedBy::Sender);
        match kind {
            ExposureKind::Everybody => "never",
            _ => self.samples.iter().find(|sample| sample.covers(kind, is_attached, self)).map_or("ask", |sample| sample.verdict),
        }
    }

    fn verdicts<'a>(&self, plan: &'a Plan) -> Vec<(&'static str, &'a Attempt)> {
        plan.attempts.iter().map(|attempt| (self.verdict(attempt), attempt)).collect()
    }

    fn has(&self, answer: &Answer) -> bool {
        self.around.answers.contains(answer)
    }

    /// Whether a device is there.
    fn is_live(&self, request: &SessionRequest) -> bool {
        let Some(devices) = &self.around.devices else { return false };
        match &request.way {
            SessionWay::Offered { sid, .. } | SessionWay::Initiated { sid } => devices.is_waiting(&request.peer, sid),
            SessionWay::Published { .. } => devices.get(&request.peer).is_some_and(|able| able.gives_files() && able.published_sessions),
            SessionWay::ByHash => devices.get(&request.peer).is_some_and(|able| able.gives_files()),
        }
    }

    /// Everything that is asked although the offer does not name it, or names the person it belongs to: devices that are there.
    fn may_be_added(&self, source: &SourceKey) -> bool {
        let devices = self.around.devices.iter().flat_map(|devices| devices.iter().map(|(device, _)| device.clone()).collect::<Vec<_>>());
        let mut keys = devices.flat_map(|device| {
            let published = Source::Published { from: device.clone(), id: "x".into(), applications: Vec::new() };
            [published.key(), Source::ByHash { jid: device, uri: String::new() }.key()]
        });
        keys.any(|key| key == *source)
    }
}

fn told(plan: &Plan) -> Vec<(String, Exposure)> {
    plan.attempts.iter().map(|attempt| (attempt.how.to_string(), attempt.exposure.clone())).collect()
}

fn any_url() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        OWN,
        SENDERS,
        THIRD,
        OTHER,
        "https://capulet.lit:8443/x",
        "http://upload.montague.lit/x",
        "http://127.0.0.1/x",
        "https://10.0.0.1/",
        "https://[::1]/",
        "ftp://files.example/x",
        "nonsense",
        "https://abcdefghijklmnop.onion/x",
        "https://romeo:pw@files.example/x",
    ])
}

fn any_source() -> impl Strategy<Value = Source> {
    let published = |from: &str| Source::Published { from: jid(from), id: "x".into(), applications: Vec::new() };
    let device = prop::sample::select(vec![ORCHARD, OLD, PHONE, LAIR, "romeo@montague.lit"]);
    prop_oneof![
        6 => any_url().prop_map(Source::url),
        2 => device.prop_map(published),
    ]
}

/// Sources that a share cannot name, or that others name.
fn any_device_source() -> impl Strategy<Value = Source> {
    let device = prop::sample::select(vec![ORCHARD, OLD, PHONE, LAIR, "mallory@evil.example"]);
    (device, 0..3_u8).prop_map(|(device, kind)| match kind {
        0 => Source::ByHash { jid: jid(device), uri: String::new() },
        1 => Source::Session { peer: jid(device), sid: "s".into(), content: "c".into() },
        _ => Source::Published { from: jid(device), id: "x".into(), applications: Vec::new() },
    })
}

/// Who is there; nobody, where the account is not connected.
fn any_devices() -> impl Strategy<Value = Option<Arc<Devices>>> {
    let unable = Abilities { published_sessions: false, s5b: false, ..ABLE };
    let there = prop::sample::subsequence(vec![(ORCHARD, ABLE), (OLD, unable), (PHONE, ABLE), (LAIR, ABLE)], 0..=4);
    prop::option::weighted(0.8, (there, any::<bool>())).prop_map(|there| {
        let (devices, waits) = there?;
        let waiting = waits.then(|| (jid(ORCHARD), "s".to_owned()));
        Some(Arc::new(Devices::new(devices.into_iter().map(|(device, able)| (jid(device), able))).with_waiting(waiting)))
    })
}

fn any_sample() -> impl Strategy<Value = Sample> {
    let verdict = prop::sample::select(vec!["fetch", "fetch", "ask", "never"]);
    let who =
        prop::sample::select(vec!["everybody", "contacts", "strangers", "group Family", "romeo@montague.lit", "mallory@evil.example"]);
    let place = prop::sample::select(vec![
        ("own-server", ExposureKind::OwnServer),
        ("senders-server", ExposureKind::SendersServer),
        ("third-hosts", ExposureKind::ThirdHost),
        ("relayed", ExposureKind::ViaProxy),
        ("peers", ExposureKind::Peer),
    ]);
    let size = prop::sample::select(vec![5_u64, 6, 7]);
    (verdict, who, prop::option::of(size), prop::option::of(place), any::<[bool; 3]>()).prop_map(
        |(verdict, who, up_to, place, conditions)| {
            let [unproven, metered, attached] = conditions;
            Sample { verdict, who, up_to, place, unproven, metered, attached }
        },
    )
}

fn any_history() -> impl Strategy<Value = History> {
    let outcome = prop::sample::select(vec![Outcome::Fetched, Outcome::WrongBytes, Outcome::Stalled(30), Outcome::Gone(404)]);
    let record = (any_url(), outcome, 0..100_000_u64);
    prop::collection::vec(record, 0..4).prop_map(|records| {
        let at = |ago| noon() - Duration::from_secs(ago);
        History::new(
            records.into_iter().map(|(url, outcome, ago)| Record { source: Source::url(url).key(), outcome, at: at(ago) }).collect(),
        )
    })
}

fn any_answers() -> impl Strategy<Value = Vec<Answer>> {
    let all = vec![
        Answer::Fetch,
        Answer::Unproven,
        Answer::Reveal(Exposure::SendersServer("upload.montague.lit".into())),
        Answer::Reveal(Exposure::ThirdHost("files.example".into())),
        Answer::Reveal(Exposure::ThirdHost("tracker.example".into())),
        Answer::NamedBy(jid("mallory@evil.example/x")),
        Answer::Reveal(Exposure::Peer(jid(ORCHARD))),
        Answer::Reveal(Exposure::ViaProxy(jid(ORCHARD))),
        Answer::RelayOnly,
    ];
    prop::sample::subsequence(all, 0..=4)
}

fn any_offer() -> impl Strategy<Value = Offer> {
    let algos = prop::sample::select(vec![&[HashAlgo::Sha256][..], &[HashAlgo::Sha256], &[HashAlgo::Sha1], &[]]);
    let disposition = prop::sample::select(vec![None, None, Some(Disposition::Attachment), Some(Disposition::Inline)]);
    let attached = prop::option::of(prop::sample::select(vec![ATTACHED, SENDERS, OWN]));
    let devices = prop::collection::vec((any_device_source(), any::<bool>()), 0..3);
    let offered = (algos, disposition, prop::collection::vec(any_source(), 0..5), attached, devices);
    offered.prop_map(|(algos, disposition, sources, attached, devices)| {
        let mut offer = offer_with(algos, disposition, sources);
        let romeo = offer.provenance().clone();
        for (source, is_romeos) in devices {
            let said = Message { from: Some(jid("mallory@evil.example/x")), ..Message::default() };
            let mallory = Received::direct(said, &juliet()).unwrap().provenance().clone();
            offer.add_source(source, if is_romeos { &romeo } else { &mallory });
        }
        if let Some(url) = attached {
            let said = Message { from: Some(jid("mallory@evil.example/x")), ..Message::default() };
            offer.add_source(Source::url(url), Received::direct(said, &juliet()).unwrap().provenance());
        }
        offer
    })
}

fn any_scene() -> impl Strategy<Value = Scene> {
    let known = prop::sample::subsequence(vec!["romeo@montague.lit", "mallory@evil.example"], 0..=2);
    let samples = prop::collection::vec(any_sample(), 0..4);
    (samples, known, any_offer(), any_history(), any_answers(), any_devices(), any::<[bool; 5]>()).prop_map(
        |(samples, known, offer, history, answers, devices, flags)| {
            let [asked, metered, loopback_http, onion, declined] = flags;
            let item = |person: &&str| RosterItem {
                groups: vec![if person.starts_with("romeo") { "Family" } else { "Work" }.into()],
                subscription: Subscription::Both,
                ..RosterItem::new(jid(person))
            };
            let contacts = Arc::new(Contacts::from_items(known.iter().map(item)));
            let rules = NetRules { loopback_http, onion, own: Vec::new() };
            let around = Circumstances { contacts, devices, asked, metered, rules, answers, declined, ..Circumstances::at(noon()) };
            let policy = samples.iter().map(|sample| sample.text() + "\n").collect::<String>().parse().unwrap();
            Scene { samples, known, offer, policy, history, around }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn every_source_is_in_the_plan_or_has_a_reason_and_the_same_inputs_give_the_same_plan(scene in any_scene()) {
        let Scene { offer, policy, history, around, .. } = &scene;
        let plan = lay_out(offer, policy, history, around);
        let mut told: Vec<_> = plan.attempts.iter().map(|attempt| attempt.source.clone()).collect();
        told.extend(plan.left_out.iter().map(|left_out| left_out.source.clone()));
        told.sort();
        let all = told.len();
        told.dedup();
        prop_assert_eq!(all, told.len(), "nothing twice");
        for source in offer.sources() {
            let is_of = |key: &SourceKey| match source {
                Source::Published { from, .. } | Source::ByHash { jid: from, .. } => key.whom().is_some_and(|whom| jid(&whom).bare() == from.bare()),
                _ => false,
            };
            prop_assert!(told.contains(&source.key()) || told.iter().any(is_of), "{} is neither tried nor left out", source);
        }
        let is_named = |key: &SourceKey| offer.sources().any(|source| source.key() == *key);
        prop_assert!(told.iter().all(|key| is_named(key) || scene.may_be_added(key)));
        prop_assert!(plan.left_out.iter().all(|left_out| !left_out.reason.to_string().is_empty()));
        let decision = decide(offer, policy, history, around);
        let mut decided: Vec<_> = decision.plan().into_iter().flat_map(|plan| &plan.attempts).map(|attempt| attempt.source.clone()).collect();
        decided.extend(decision.left_out().iter().map(|left_out| left_out.source.clone()));
        decided.sort();
        prop_assert!(offer.is_pending() || decided == told);
        prop_assert_eq!(&plan, &lay_out(offer, policy, history, around));
        prop_assert_eq!(&decision, &decide(offer, policy, history, around));
    }

    #[test]
    fn nothing_that_a_rule_forbids_and_nothing_that_gave_wrong_bytes_is_ever_attempted(scene in any_scene()) {
        let Scene { offer, policy, history, around, .. } = &scene;
        let decision = decide(offer, policy, history, around);
        for plan in [Some(&lay_out(offer, policy, history, around)), decision.plan()].into_iter().flatten() {
            for (verdict, attempt) in scene.verdicts(plan) {
                prop_assert_ne!(verdict, "never", "{}", attempt.how);
            }
            for attempt in &plan.attempts {
                match &attempt.how {
                    How::Http(HttpRequest { url, addresses, .. }) => {
                        prop_assert!(url.scheme() == "https" || around.rules.loopback_http || around.rules.onion);
                        prop_assert!(addresses.check("10.0.0.1".parse().unwrap()).is_err());
                    }
                    How::Session(request) => {
                        prop_assert!(scene.is_live(request), "{request}");
                        prop_assert!(offer.proof() == Proof::Digest || request.way != SessionWay::ByHash);
                        prop_assert!(offer.proof() == Proof::Digest || request.peer.bare() == jid(ORCHARD).bare());
                    }
                    other => panic!("{other} was not offered"),
                }
                let wrong = |record: &&Record| record.source == attempt.source && record.outcome == Outcome::WrongBytes;
                prop_assert!(history.records().iter().find(wrong).is_none());
                prop_assert!(offer.proof() == Proof::Digest || attempt.named_by == NamedBy::Sender);
            }
        }
    }

    #[test]
    fn what_is_fetched_is_what_rules_and_answers_allow(scene in any_scene()) {
        let Scene { offer, policy, history, around, .. } = &scene;
        let Decision::Fetch(plan) = decide(offer, policy, history, around) else { return Ok(()) };
        let is_wanted = around.asked || scene.has(&Answer::Fetch);
        prop_assert!(!around.declined || around.asked, "a no holds until the person asks");
        prop_assert!(is_wanted || offer.disposition() != Some(Disposition::Attachment));
        for (verdict, attempt) in scene.verdicts(&plan) {
            if verdict == "ask" {
                let exposure = &attempt.exposure;
                let is_told_to_strangers = matches!(exposure.kind(), ExposureKind::SendersServer | ExposureKind::ViaProxy) && scene.known.is_empty();
                let is_revealing = exposure.kind() >= ExposureKind::ThirdHost || is_told_to_strangers;
                prop_assert!(!is_revealing || scene.has(&Answer::Reveal(exposure.clone())), "{}", exposure);
                prop_assert!(offer.proof() == Proof::Digest || scene.has(&Answer::Unproven));
                prop_assert!(is_wanted || !around.answers.is_empty());
                let NamedBy::Other(other) = &attempt.named_by else { continue };
                prop_assert!(scene.has(&Answer::NamedBy(other.clone())));
            }
        }
    }

    #[test]
    fn nobodys_device_sees_the_address_without_an_answer_or_a_standing_rule(scene in any_scene()) {
        let Scene { offer, policy, history, around, .. } = &scene;
        let Decision::Fetch(plan) = decide(offer, policy, history, around) else { return Ok(()) };
        for (verdict, attempt) in scene.verdicts(&plan) {
            let How::Session(request) = &attempt.how else { continue };
            if request.reach == Reach::Direct && request.peer.bare() != juliet() {
                prop_assert!(!scene.has(&Answer::RelayOnly));
                prop_assert!(verdict == "fetch" || scene.has(&Answer::Reveal(Exposure::Peer(request.peer.clone()))), "{}", request);
                prop_assert_eq!(&attempt.exposure, &Exposure::Peer(request.peer.clone()), "it says so");
            }
        }
    }

    #[test]
    fn the_other_answer_to_a_question_shows_no_address_and_settles_it(scene in any_scene()) {
        let Scene { offer, policy, history, around, .. } = &scene;
        let Decision::Ask(question) = decide(offer, policy, history, around) else { return Ok(()) };
        let Some(relayed) = question.relayed() else { return Ok(()) };
        prop_assert!(question.shows_address());
        let kept = relayed.answers().iter().map(|answer| Answer::from_record(&answer.to_record()).unwrap());
        let hiding = Circumstances { answers: around.answers.iter().cloned().chain(kept).collect(), ..around.clone() };
        let Decision::Fetch(plan) = decide(offer, policy, history, &hiding) else { panic!("the answer was not enough") };
        prop_assert_eq!(told(&plan), told(relayed.plan()));
        prop_assert!(plan.attempts.iter().all(|attempt| attempt.exposure.kind() != ExposureKind::Peer));
    }

    #[test]
    fn a_question_names_all_that_its_plan_reveals_and_a_yes_settles_it(scene in any_scene()) {
        let Scene { offer, policy, history, around, .. } = &scene;
        let Decision::Ask(question) = decide(offer, policy, history, around) else { return Ok(()) };
        prop_assert!(!question.concerns().is_empty());
        let answers: Vec<_> = around.answers.iter().cloned().chain(question.answers()).collect();
        for (verdict, attempt) in scene.verdicts(question.plan()) {
            let exposure = &attempt.exposure;
            let is_revealing = exposure.kind() >= ExposureKind::ThirdHost;
            prop_assert!(verdict == "fetch" || !is_revealing || answers.contains(&Answer::Reveal(exposure.clone())), "{}", exposure);
        }
        let kept: Vec<_> = answers.iter().map(|answer| Answer::from_record(&answer.to_record()).unwrap()).collect();
        let agreed = Circumstances { answers: kept, ..around.clone() };
        let Decision::Fetch(plan) = decide(offer, policy, history, &agreed) else { panic!("a yes was not enough") };
        prop_assert_eq!(told(&plan), told(&question.yes()));
    }
}

//! Fetching encrypted files: opened on the way, never mixed with plain ones, done only after tag and digests. The encrypted bytes are
//! those of the vectors, computed with two other libraries.

use balcony_sharing::cipher::{Cipher, Secret};
use balcony_sharing::plan::{
    Answer, Attempt, Circumstances, Decision, History, How, HttpRequest, Outcome, Policy, Redirects, decide, lay_out,
};
use balcony_sharing::transfer::fetch::{Fetched, ResumePoint};
use balcony_sharing::verify::Hasher;
use balcony_sharing::{Claim, DigestSet, Exposure, NamedBy, NetRules, Offer, Plan, Received, SourceKey, dialect, net_rules};
use balcony_wire::hashes::HashAlgo;
use balcony_wire::{Element, Message, Stanza, base64};
use proptest::prelude::*;
use url::Url;

use crate::fetch::{Scene, Server, Task, asked, attempt, claim, failures, key, run};

/// One case of the vectors.
struct Case {
    secret: Secret,
    plain: Vec<u8>,
    wire: Vec<u8>,
}

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn case(note: &str) -> Case {
    let table = testing_corpus::vector("esfs");
    let case = table["cases"].as_array().unwrap().iter().find(|case| case["note"].as_str().unwrap().starts_with(note)).unwrap();
    let text = |name: &str| case[name].as_str().unwrap();
    let bytes = |name: &str| base64::decode(text(name)).unwrap();
    let cipher = Cipher::from_namespace(text("cipher")).unwrap();
    let secret = Secret::new(cipher, bytes("key_base64"), bytes("iv_base64")).unwrap();
    Case { secret, plain: hex(text("plain_hex")), wire: hex(text("blob_hex")) }
}

fn gcm() -> Case {
    case("5000 bytes")
}

fn digests(bytes: &[u8]) -> DigestSet {
    claim(bytes).digests
}

fn name(secret: &Secret, host: &str) -> SourceKey {
    SourceKey::from_record(format!("encrypted:{} https://{host}/x", secret.mark()))
}

fn sealed(case: &Case, host: &str, ciphertext: DigestSet) -> Attempt {
    let url = Url::parse(&format!("https://{host}/x")).unwrap();
    let addresses = net_rules::check_url(&url, &NetRules::default()).unwrap();
    let http = HttpRequest { url, headers: Vec::new(), addresses, redirects: Redirects::within_the_plan() };
    let how = How::Encrypted { cipher: case.secret.clone(), http, ciphertext };
    Attempt { source: name(&case.secret, host), named_by: NamedBy::Sender, how, exposure: Exposure::ThirdHost(host.to_owned()) }
}

fn task(case: &Case, hosts: &[&str]) -> Task {
    let attempts = hosts.iter().map(|host| sealed(case, host, digests(&case.wire))).collect();
    Task { claim: claim(&case.plain), plan: Plan { attempts, left_out: Vec::new() }, resume: None }
}

fn is_verified(scene: &Scene, case: &Case) -> bool {
    matches!(scene.result, Ok(Fetched::Verified(_))) && scene.staged == case.plain
}

fn all() -> [Case; 5] {
    ["5000 bytes", "AES-128", "CBC, PKCS", "CBC, full block", "sender padded"].map(case)
}

/// Proves: ESFS-3.2-1, ESFS-3.2-3.
#[test]
fn an_encrypted_file_is_opened_on_the_way_and_proven() {
    for case in all() {
        for piece in [1, 7, 16, 100_000] {
            let scene = run(task(&case, &["a.lit"]), vec![("a.lit", Server::with(&case.wire))], b"", piece);
            assert!(is_verified(&scene, &case), "{:?} {:?}", case.secret, scene.result);
            assert_eq!(scene.outcomes, [(name(&case.secret, "a.lit"), Outcome::Fetched)]);
        }
    }
}

#[test]
fn it_goes_on_wherever_the_connection_breaks_also_within_the_tag() {
    for case in all() {
        let step = 1 + case.wire.len() / 60;
        let last = case.wire.len().saturating_sub(18)..case.wire.len();
        for at in (0..case.wire.len()).step_by(step).chain(last) {
            let scene = run(task(&case, &["a.lit"]), vec![("a.lit", Server::with(&case.wire).cut(at, 1))], b"", 1000);
            assert!(is_verified(&scene, &case), "cut at {at}: {:?}", scene.result);
            assert_eq!(scene.asked.last(), Some(&("a.lit".to_owned(), at as u64)));
        }
    }
}

#[test]
fn a_later_run_goes_on_behind_the_plain_bytes_that_are_there() {
    for case in all() {
        for staged in (0..=case.plain.len()).step_by(1 + case.plain.len() / 50) {
            let mut task = task(&case, &["a.lit"]);
            let envelope = Some(case.secret.mark());
            task.resume = Some(ResumePoint { len: staged as u64, envelope, ..ResumePoint::default() });
            let scene = run(task, vec![("a.lit", Server::with(&case.wire))], &case.plain[..staged], 512);
            assert!(is_verified(&scene, &case), "{staged} bytes: {:?}", scene.result);
            let from = scene.asked[0].1;
            assert!(scene.asked.len() == 1 && from <= staged as u64 && staged as u64 - from < 16, "{:?}", scene.asked);
        }
    }
}

#[test]
fn a_server_without_ranges_or_without_a_tag_will_do() {
    let case = gcm();
    let forgetful = Server { ranges: false, etag: None, ..Server::with(&case.wire) };
    assert!(is_verified(&run(task(&case, &["a.lit"]), vec![("a.lit", forgetful.cut(2000, 1))], b"", 100), &case));
    let bare = &case.wire[..case.plain.len()];
    for cut in [2000, 4999] {
        let mut task = task(&case, &["a.lit"]);
        task.plan.attempts = vec![sealed(&case, "a.lit", digests(bare))];
        let scene = run(task, vec![("a.lit", Server::with(bare).cut(cut, 1))], b"", 100);
        assert!(is_verified(&scene, &case), "{:?}", scene.result);
    }
}

#[test]
fn another_place_of_the_same_encrypted_bytes_goes_on_at_the_same_byte() {
    let case = gcm();
    let servers = vec![("a.lit", Server::with(&case.wire).cut(3000, 99)), ("b.lit", Server::with(&case.wire))];
    let scene = run(task(&case, &["a.lit", "b.lit"]), servers, b"", 100);
    assert!(is_verified(&scene, &case));
    assert_eq!(scene.asked[..2], asked(&[("a.lit", 0), ("b.lit", 3000)]));
    assert_eq!(scene.noted.last().unwrap().source, None);
    assert_eq!(scene.noted.last().unwrap().envelope, Some(case.secret.mark()));
}

fn other_secret(case: &Case) -> Case {
    let secret = Secret::new(Cipher::Aes256Gcm, vec![9; 32], vec![9; 12]).unwrap();
    Case { secret, plain: case.plain.clone(), wire: case.wire.clone() }
}

/// Somebody who sees the plain bytes of one source beside the encrypted ones of another would learn what is in these; and what two
/// keys open has no common tag.
/// Proves: SEC-4-2.
#[test]
fn plain_and_encrypted_sources_and_different_keys_never_mix_in_one_file() {
    let case = gcm();
    let other = other_secret(&case);
    let broken = Server::with(&case.wire).cut(1000, 99);
    let plain = Server::with(&case.plain);
    let first = sealed(&case, "a.lit", DigestSet::new());
    let with = |second: Attempt| {
        let plan = Plan { attempts: vec![first.clone(), second], left_out: Vec::new() };
        Task { claim: claim(&case.plain), plan, resume: None }
    };
    let scene = run(with(attempt("b.lit")), vec![("a.lit", broken.clone()), ("b.lit", plain.clone())], b"", 100);
    assert!(is_verified(&scene, &case));
    assert_eq!(scene.asked.last(), Some(&("b.lit".to_owned(), 0)), "what is encrypted is given up first: {:?}", scene.asked);
    assert_eq!(scene.asked.len(), 4);
    let scene = run(with(sealed(&other, "b.lit", DigestSet::new())), vec![("a.lit", broken), ("b.lit", plain.clone())], b"", 100);
    assert!(scene.result.is_err() && scene.asked.last() == Some(&("b.lit".to_owned(), 0)), "{:?}", scene.asked);
    for envelope in [None, Some(other.secret.mark())] {
        let mut resumed = task(&case, &["a.lit"]);
        resumed.resume = Some(ResumePoint { len: 1000, source: Some(key("b.lit")), envelope, ..ResumePoint::default() });
        let scene = run(resumed, vec![("a.lit", Server::with(&case.wire))], &case.plain[..1000], 100);
        assert!(is_verified(&scene, &case));
        assert_eq!(scene.asked, asked(&[("a.lit", 0)]));
    }
    let mut resumed = with(attempt("b.lit"));
    resumed.plan.attempts.remove(0);
    resumed.resume = Some(ResumePoint { len: 1000, envelope: Some(case.secret.mark()), ..ResumePoint::default() });
    let scene = run(resumed, vec![("b.lit", plain)], &case.plain[..1000], 100);
    assert!(is_verified(&scene, &case) && scene.asked == asked(&[("b.lit", 0)]));
}

/// Proves: ESFS-3.2-D2.
#[test]
fn a_wrong_end_is_named_and_nothing_is_done_with_what_came() {
    let wrong_tag = |mut case: Case| {
        *case.wire.last_mut().unwrap() ^= 1;
        case
    };
    let tag = wrong_tag(gcm());
    let scene = run(task(&tag, &["a.lit"]), vec![("a.lit", Server::with(&tag.wire))], b"", 100);
    assert_eq!(failures(&scene), [Outcome::WrongTag], "though the digests of both fit");
    assert!(scene.result.is_err() && scene.staged.is_empty());

    let mut padding = case("CBC, full block");
    padding.wire[20] ^= 1;
    let scene = run(task(&padding, &["a.lit"]), vec![("a.lit", Server::with(&padding.wire))], b"", 100);
    assert_eq!(failures(&scene), [Outcome::WrongPadding]);
    assert!(scene.result.is_err() && scene.staged.is_empty());

    for case in [gcm(), case("CBC, full block")] {
        let short = Case { wire: case.wire[..case.plain.len() - 7].to_vec(), ..case };
        let scene = run(task(&short, &["a.lit"]), vec![("a.lit", Server::with(&short.wire))], b"", 100);
        assert!(matches!(failures(&scene)[..], [Outcome::TooShort { .. }]), "{:?}", failures(&scene));
        assert!(scene.result.is_err() && scene.staged.is_empty());
    }
    let between = Case { wire: gcm().wire[..5007].to_vec(), ..gcm() };
    let scene = run(task(&between, &["a.lit"]), vec![("a.lit", Server::with(&between.wire))], b"", 100);
    assert_eq!(failures(&scene), [Outcome::WrongTag]);
}

#[test]
fn a_place_with_wrong_bytes_is_left_for_one_with_the_right_ones_and_only_it_is_blamed() {
    let case = gcm();
    let mut forged = case.wire.clone();
    forged[100] ^= 1;
    let servers = vec![("forger.lit", Server::with(&forged).cut(3000, 1)), ("here.lit", Server::with(&case.wire))];
    let scene = run(task(&case, &["forger.lit", "here.lit"]), servers, b"", 100);
    assert!(is_verified(&scene, &case));
    let blamed: Vec<_> = scene.outcomes.iter().filter(|(_, outcome)| outcome.is_final()).collect();
    assert_eq!(blamed, [&(name(&case.secret, "forger.lit"), Outcome::WrongTag)]);
}

#[test]
fn digests_of_the_encrypted_bytes_count_as_well() {
    let case = gcm();
    let mut task = task(&case, &["a.lit"]);
    task.plan.attempts = vec![sealed(&case, "a.lit", digests(b"other bytes"))];
    let scene = run(task, vec![("a.lit", Server::with(&case.wire))], b"", 100);
    assert_eq!(failures(&scene), [Outcome::WrongBytes]);
    assert!(scene.result.is_err());
}

#[test]
fn more_than_a_file_can_be_hidden_in_ends_the_fetch() {
    let case = gcm();
    let endless = [case.wire.clone(), vec![7; 200_000]].concat();
    let honest = Server::with(&endless);
    let liar = Server { lies_about_length: Some(5016), ..Server::with(&endless) };
    for server in [honest, liar] {
        let scene = run(task(&case, &["a.lit"]), vec![("a.lit", server)], b"", 1000);
        assert!(matches!(failures(&scene)[..], [Outcome::TooLong(_)]), "{:?}", failures(&scene));
        assert!(scene.staged.is_empty());
    }
}

/// The link of XEP-0454 has neither size nor digest: its tag is the proof.
#[test]
fn the_tag_of_a_link_proves_it_and_without_the_tag_nothing_does() {
    let case = gcm();
    let bare = |attempts| Task { claim: Claim::default(), plan: Plan { attempts, left_out: Vec::new() }, resume: None };
    let attempts = vec![sealed(&case, "a.lit", DigestSet::new())];
    // The driver of these scenes takes 1,000 bytes where no size is announced.
    let small = self::case("tag appended (REC");
    let scene = run(bare(vec![sealed(&small, "a.lit", DigestSet::new())]), vec![("a.lit", Server::with(&small.wire))], b"", 5);
    assert!(is_verified(&scene, &small), "{:?}", scene.result);
    let scene = run(bare(vec![sealed(&small, "a.lit", DigestSet::new())]), vec![("a.lit", Server::with(&small.wire[..12]))], b"", 5);
    assert!(matches!(failures(&scene)[..], [Outcome::TooShort { .. }]));
    let scene = run(bare(vec![sealed(&small, "a.lit", DigestSet::new())]), vec![("a.lit", Server::with(&small.wire[..20]))], b"", 5);
    assert_eq!(failures(&scene), [Outcome::WrongTag]);
    let scene = run(bare(attempts), vec![("a.lit", Server::with(&case.wire))], b"", 5);
    assert_eq!(failures(&scene), [Outcome::TooLong(1016)]);
    let sized = Claim { size: Some(12), ..Claim::default() };
    let plan = Plan { attempts: vec![sealed(&small, "a.lit", DigestSet::new())], left_out: Vec::new() };
    let scene = run(Task { claim: sized, plan, resume: None }, vec![("a.lit", Server::with(&small.wire[..12]))], b"", 5);
    assert_eq!(failures(&scene), [Outcome::WrongTag], "as long as the file, so there is no tag, and nothing else tells");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a server makes of the bytes, only the file is called verified.
    /// Decision 11.
    #[test]
    fn nothing_but_the_file_comes_out_of_an_envelope(
        at in 0..5016_usize,
        bit in 0..8_u32,
        length in 0..6000_usize,
        cut in 0..5016_usize,
        times in 0..3_u32,
        staged in 0..5000_usize,
        resumes in any::<bool>(),
        is_sound in any::<bool>(),
    ) {
        let case = gcm();
        let mut wire = case.wire.clone();
        if !is_sound {
            wire[at] ^= 1 << bit;
            wire.resize(length, 0);
        }
        let mut task = task(&case, &["a.lit"]);
        let mut kept = Vec::new();
        if resumes {
            kept = case.plain[..staged].to_vec();
            task.resume = Some(ResumePoint { len: staged as u64, envelope: Some(case.secret.mark()), ..ResumePoint::default() });
        }
        let scene = run(task, vec![("a.lit", Server::with(&wire).cut(cut, times))], &kept, 100);
        // A server may have forged just what was staged before.
        prop_assert!(scene.result.is_ok() || !is_sound);
        prop_assert!(scene.result.is_err() || scene.staged == case.plain);
    }
}

/// What `decide` makes of an encrypted source. `{}` stands for what is in `encrypted`.
fn offer(file: &str, encrypted: &str) -> Offer {
    let xml = format!(
        "<message xmlns='jabber:client' from='romeo@montague.lit/orchard' to='juliet@capulet.lit' type='chat' id='m'>\
         <file-sharing xmlns='urn:xmpp:sfs:0'><file xmlns='urn:xmpp:file:metadata:0'><name>summit.jpg</name>{file}</file>\
         <sources>{encrypted}</sources></file-sharing></message>"
    );
    read(&xml)
}

fn read(xml: &str) -> Offer {
    let Stanza::Message(message) = Stanza::read(Element::parse(xml).unwrap()).unwrap() else { panic!("no message") };
    let message: Message = message;
    let received = Received::direct(message, &"juliet@capulet.lit".parse().unwrap()).unwrap();
    dialect::read(&received).offers.remove(0)
}

fn in_envelope(cipher: &str, inner: &str) -> String {
    let key = base64::encode([7; 32]);
    format!(
        "<encrypted xmlns='urn:xmpp:esfs:0' cipher='{cipher}'><key>{key}</key><iv>{}</iv>\
         <sources xmlns='urn:xmpp:sfs:0'>{inner}</sources></encrypted>",
        base64::encode([8; 12])
    )
}

const GCM: &str = "urn:xmpp:ciphers:aes-256-gcm-nopadding:0";

fn url_data(url: &str) -> String {
    format!("<url-data xmlns='http://jabber.org/protocol/url-data' target='{url}'/>")
}

fn known(bytes: &[u8]) -> String {
    let mut hasher = Hasher::new([HashAlgo::Sha256]);
    hasher.update(bytes);
    let digest = base64::encode(hasher.finish().digests().get(HashAlgo::Sha256).unwrap().as_bytes());
    format!("<size>{}</size><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{digest}</hash>", bytes.len())
}

#[allow(clippy::disallowed_methods, reason = "any time will do")]
fn around() -> Circumstances {
    Circumstances { asked: true, ..Circumstances::at(std::time::SystemTime::now()) }
}

fn plan_of(offer: &Offer) -> Plan {
    lay_out(offer, &Policy::default(), &History::default(), &around())
}

fn codes(offer: &Offer) -> Vec<&'static str> {
    plan_of(offer).left_out.iter().map(|left_out| left_out.reason.code()).collect()
}

#[test]
fn each_place_of_the_encrypted_bytes_is_an_attempt_with_the_exposure_of_its_host() {
    let places = ["https://files.montague.lit/x", "https://cdn.example/x", "https://upload.capulet.lit/x"];
    let offer = offer(&known(b"x"), &in_envelope(GCM, &places.map(url_data).concat()));
    let plan = plan_of(&offer);
    let told: Vec<_> = plan.attempts.iter().map(|attempt| (attempt.how.to_string(), attempt.exposure.clone())).collect();
    let with = |place: &str| format!("{place}, encrypted with AES-256-GCM");
    assert_eq!(
        told,
        [
            (with(places[2]), Exposure::OwnServer("upload.capulet.lit".into())),
            (with(places[0]), Exposure::SendersServer("files.montague.lit".into())),
            (with(places[1]), Exposure::ThirdHost("cdn.example".into())),
        ]
    );
    assert!(plan.attempts.iter().all(|attempt| matches!(attempt.how, How::Encrypted { .. })));
}

/// Proves: ESFS-3.2-D1.
#[test]
fn without_size_or_usable_hash_nothing_encrypted_is_fetched() {
    let source = in_envelope(GCM, &url_data("https://files.montague.lit/x"));
    let size = "<size>5</size>";
    let hash = known(b"x").replace("<size>1</size>", "");
    let weak = format!("{size}<hash xmlns='urn:xmpp:hashes:2' algo='sha-1'>{}</hash>", base64::encode([1; 20]));
    for file in ["", size, &hash, &weak] {
        assert_eq!(codes(&offer(file, &source)), ["encrypted-unproven"], "{file}");
    }
}

#[test]
fn what_cannot_be_opened_is_left_out_with_its_reason() {
    let url = url_data("https://files.montague.lit/x");
    let file = known(b"x");
    assert_eq!(codes(&offer(&file, &in_envelope("urn:example:rot13", &url))), ["secret-unusable"]);
    assert_eq!(codes(&offer(&file, &in_envelope("urn:xmpp:ciphers:aes-128-gcm-nopadding:0", &url))), ["secret-unusable"]);
    assert_eq!(codes(&offer(&file, &in_envelope("urn:xmpp:ciphers:aes-256-cbc-pkcs7:0", &url))), ["secret-unusable"]);
    assert_eq!(codes(&offer(&file, &in_envelope(GCM, ""))), ["no-place"]);
    assert_eq!(codes(&offer(&file, &in_envelope(GCM, &in_envelope(GCM, &url)))), ["unsupported"]);
    assert_eq!(codes(&offer(&file, &in_envelope(GCM, "<y xmlns='urn:example'/>"))), ["unknown-kind"]);
    assert_eq!(codes(&offer(&file, &in_envelope(GCM, &url_data("https://10.0.0.1/x")))), ["address-refused"]);
}

#[test]
fn a_link_with_its_key_is_fetched_by_its_tag_and_nobody_is_asked_about_proof() {
    let fragment = format!("{}{}", "0a".repeat(12), "0b".repeat(32));
    let link = |url: &str| {
        read(&format!(
            "<message xmlns='jabber:client' from='romeo@montague.lit/orchard' to='juliet@capulet.lit' type='chat' id='m'><body>{url}#{fragment}</body></message>"
        ))
    };
    let offer = link("aesgcm://files.montague.lit/x.jpg");
    let policy: Policy = "never everybody if unproven\nfetch everybody".parse().unwrap();
    match decide(&offer, &policy, &History::default(), &around()) {
        Decision::Fetch(plan) => assert!(matches!(plan.attempts[0].how, How::Encrypted { .. }), "{plan:?}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(codes(&link("aesgcm://192.168.1.1/x.jpg")), ["address-refused"]);
}

#[test]
fn neither_key_nor_iv_is_in_anything_a_plan_shows() {
    let fragment = format!("{}{}", "0a".repeat(12), "0b".repeat(32));
    let link = format!(
        "<message xmlns='jabber:client' from='romeo@montague.lit/orchard' to='juliet@capulet.lit' type='chat' id='m'>\
         <body>aesgcm://files.montague.lit/x.jpg#{fragment}</body></message>"
    );
    let offers = [read(&link), offer(&known(b"x"), &in_envelope(GCM, &url_data("https://files.montague.lit/x")))];
    let refused = offer("", &in_envelope(GCM, &url_data("https://files.montague.lit/x")));
    for offer in offers.iter().chain([&refused]) {
        let plan = plan_of(offer);
        let decision = decide(offer, &Policy::default(), &History::default(), &around());
        let sources: String = offer.sources().map(|source| format!("{source} {source:?} {:?}", source.key())).collect();
        let told = format!("{plan:?} {decision:?} {decision} {sources}");
        for secret in ["0b0b0b0b", "0a0a0a0a", &base64::encode([7; 32])[..8], &base64::encode([8; 12])[..8], "11, 11, 11", "7, 7, 7, 7"] {
            assert!(!told.contains(secret), "{secret} in {told}");
        }
    }
}

/// An upload service of the sender sends us on to a host that nobody named.
#[test]
fn a_redirect_to_a_third_host_needs_a_rule_or_an_answer() {
    let bytes = b"the file, all of it";
    let direct = offer(&known(bytes), &url_data("https://files.montague.lit/x"));
    let go = |policy: &Policy, answers: Vec<Answer>, location: &'static str| {
        let around = Circumstances { answers, ..around() };
        let plan = lay_out(&direct, policy, &History::default(), &around);
        let hop = Server { status: 302, location: Some(location), ..Server::good() };
        let servers = vec![("files.montague.lit", hop), ("cdn.example", Server::with(bytes)), ("cdn.montague.lit", Server::with(bytes))];
        run(Task { claim: direct.claim(), plan, resume: None }, servers, b"", 100)
    };
    let third = "https://cdn.example/x";
    let stays = go(&Policy::default(), Vec::new(), third);
    assert_eq!(stays.asked.len(), 1);
    assert!(matches!(&failures(&stays)[..], [Outcome::Blocked(words)] if words.contains("cdn.example")), "{:?}", failures(&stays));
    let agreed = |host: &str| vec![Answer::Reveal(Exposure::ThirdHost(host.to_owned()))];
    let rules = |text: &str| -> Policy { text.parse().unwrap() };
    assert!(go(&Policy::default(), agreed("cdn.example"), third).result.is_ok());
    assert!(go(&Policy::default(), agreed("other.example"), third).result.is_err(), "a yes is for one host");
    assert!(go(&rules("fetch everybody"), Vec::new(), third).result.is_ok());
    assert!(go(&rules("never everybody from third-hosts\nfetch everybody"), agreed("cdn.example"), third).result.is_err());
    assert!(go(&Policy::default(), Vec::new(), "https://cdn.montague.lit/x").result.is_ok(), "no more than the plan reveals anyway");
}

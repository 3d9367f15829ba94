//! Who may have which file of ours, by rules as people write them; judged by a second reading that is written here.

use balcony_sharing::DigestSet;
use balcony_sharing::MediaType;
use balcony_sharing::give::{Fit, Giving, GivingRule, Grant, Request, Showing, Sought};
use balcony_sharing::plan::{MAX_RULES, Standing};
use balcony_sharing::transfer::Reach;
use balcony_wire::BareJid;
use balcony_wire::file_metadata::FileMetadata;
use balcony_wire::hashes::{Digest, Hash, HashAlgo};
use proptest::prelude::*;

fn bare(text: &str) -> BareJid {
    text.parse().unwrap()
}

fn rules(text: &str) -> Giving {
    text.parse().unwrap()
}

struct Scene {
    person: BareJid,
    groups: Vec<String>,
    media_type: MediaType,
}

impl Scene {
    fn new() -> Self {
        Self { person: bare("juliet@capulet.lit"), groups: vec!["Family".to_owned()], media_type: MediaType::from_peer("image/png") }
    }

    fn request(&self) -> Request<'_> {
        let standing = Standing::Contact(&self.groups);
        Request { person: &self.person, standing, size: 2 << 20, media_type: &self.media_type, is_offered: true }
    }
}

/// Proves: JFT-D-2, JFT-9.1-1.
#[test]
fn to_whom_nothing_was_offered_nothing_is_given_and_own_devices_get_what_they_ask_for() {
    let (scene, giving) = (Scene::new(), Giving::default());
    let offered = scene.request();
    let unoffered = Request { is_offered: false, ..offered };
    assert!(giving.judge(&offered).is_some() && giving.judge(&unoffered).is_none());
    for standing in [Standing::Stranger, Standing::Contact(&[])] {
        assert!(giving.judge(&Request { standing, ..offered }).is_some());
        assert!(giving.judge(&Request { standing, ..unoffered }).is_none());
    }
    assert!(giving.judge(&Request { standing: Standing::Own, ..unoffered }).is_some());
}

/// Who may be given something may learn that this device is there; nobody else does by asking.
#[test]
fn there_is_something_for_those_to_whom_it_was_offered_and_whom_no_rule_keeps_from_it() {
    let table = [
        // rules, something was offered, nothing was
        ("give own-devices even unoffered\ngive everybody", [true, false]),
        ("", [false, false]),
        ("give contacts", [false, false]),
        ("give strangers even unoffered", [true, true]),
        ("never juliet@capulet.lit\ngive everybody even unoffered", [false, false]),
        ("never juliet@capulet.lit over 1 MiB\ngive everybody", [true, false]),
        ("never strangers video/*\ngive everybody even unoffered", [true, true]),
        ("announce strangers\ngive juliet@capulet.lit up to 1 MiB", [true, false]),
    ];
    for (text, expected) in table {
        let asked = |has_offers| rules(text).has_something_for(&bare("juliet@capulet.lit"), Standing::Stranger, has_offers);
        assert_eq!([true, false].map(asked), expected, "{text}");
    }
}

/// Proves: S5J-6.1-1, JIN-13-1.
#[test]
fn the_address_is_shown_only_where_a_rule_or_the_share_says_so() {
    let scene = Scene::new();
    let by = |text: &str, shared: Option<Reach>| rules(text).judge(&scene.request()).unwrap().reach(shared);
    let table = [
        ("give everybody", [Reach::Relay, Reach::Relay, Reach::Direct]),
        ("give everybody directly", [Reach::Direct, Reach::Relay, Reach::Direct]),
        ("give everybody by relay", [Reach::Relay, Reach::Relay, Reach::Relay]),
    ];
    for (text, expected) in table {
        assert_eq!([None, Some(Reach::Relay), Some(Reach::Direct)].map(|shared| by(text, shared)), expected, "{text}");
    }
    let own = Request { standing: Standing::Own, ..scene.request() };
    assert_eq!(Giving::default().judge(&own).unwrap().reach(None), Reach::Direct);
    assert_eq!(Giving::default().judge(&scene.request()).unwrap().reach(None), Reach::Relay);
}

#[test]
fn the_first_rule_that_is_about_it_decides() {
    let scene = Scene::new();
    let giving = rules(
        "# mine\nnever juliet@capulet.lit video/*\n\ngive group Family up to 1 MiB directly\ngive contacts over 1 MiB image/* at 256 KiB/s\nnever strangers",
    );
    let judge = |request: Request<'_>| giving.judge(&request).map(|grant| grant.rule);
    assert_eq!(judge(scene.request()), Some(2));
    assert_eq!(giving.judge(&scene.request()).unwrap(), Grant { rule: 2, showing: Showing::AsShared, rate: Some(256 << 10) });
    assert_eq!(judge(Request { size: 1 << 20, ..scene.request() }), Some(1));
    assert_eq!(judge(Request { standing: Standing::Contact(&[]), size: 1 << 20, ..scene.request() }), None, "no rule is about it");
    assert_eq!(judge(Request { standing: Standing::Stranger, ..scene.request() }), None);
    let film = MediaType::from_peer("video/webm");
    assert_eq!(judge(Request { media_type: &film, size: 1, ..scene.request() }), None);
}

#[test]
fn whether_others_are_told_that_it_is_here_too_is_for_rules_of_its_own() {
    let scene = Scene::new();
    let offered = scene.request();
    assert!(!Giving::default().announces(&offered));
    let giving = rules("announce group Family up to 2 MiB\nnever everybody");
    assert!(giving.announces(&offered) && giving.judge(&offered).is_none());
    assert!(!giving.announces(&Request { size: (2 << 20) + 1, ..offered }));
    assert!(!giving.announces(&Request { standing: Standing::Stranger, ..offered }));
}

#[test]
fn rules_are_printed_as_they_are_read_and_said_in_words() {
    let table = [
        ("GIVE Own-Devices EVEN unoffered directly", "give own-devices directly even unoffered"),
        (
            "give group \"Old friends\", nurse@capulet.lit up to 1024 KiB at 512k/s",
            "give group \"Old friends\", nurse@capulet.lit up to 1 MiB at 512 KiB/s",
        ),
        ("give strangers by relay at 10 /s", "give strangers at 10 bytes/s by relay"),
        ("announce contacts over 1 image/*, video/*", "announce contacts over 1 bytes image/*, video/*"),
        ("never everybody", "never everybody"),
        ("give group \",\", contacts", "give group \",\", contacts"),
    ];
    for (text, printed) in table {
        let rule: GivingRule = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(rule.to_string(), printed);
        assert_eq!(printed.parse::<GivingRule>().unwrap(), rule);
        assert!(rule.words().len() > 10);
    }
    let words = |text: &str| text.parse::<GivingRule>().unwrap().words();
    assert_eq!(
        words("give contacts, strangers up to 1 MiB at 10 KiB/s by relay"),
        "give your contacts and strangers files up to 1 MiB that were offered to them, without ever showing the address of this device, \
         at most 10 KiB a second each"
    );
}

#[test]
fn what_cannot_be_understood_is_pointed_at() {
    let table = [
        ("fetch contacts", "fetch"),
        ("give", "the end"),
        ("give rooms", "rooms"),
        ("give room coven@chat.lit", "room"),
        ("give contacts directly by relay", "by"),
        ("give contacts at 5 MiB", "5"),
        ("give contacts at 0/s", "0"),
        ("give contacts even unproven", "unproven"),
        ("never contacts directly", "directly"),
        ("announce contacts even unoffered", "even"),
        ("give contacts up 5", "5"),
        ("give contacts over 5 up to 5", "the end"),
        ("give contacts from own-server", "from"),
        ("give contacts by proxy", "proxy"),
    ];
    for (text, near) in table {
        let error = text.parse::<GivingRule>().unwrap_err();
        assert_eq!(error.near, near, "{text}: {error}");
    }
    let many = "give everybody\n".repeat(MAX_RULES + 1);
    assert_eq!(many.parse::<Giving>().unwrap_err().line, MAX_RULES + 1);
}

fn sha256(byte: u8) -> Digest {
    Digest::new(HashAlgo::Sha256, vec![byte; 32]).unwrap()
}

fn file(name: Option<&str>, size: Option<u64>, digests: &[Digest]) -> FileMetadata {
    let hashes = digests.iter().cloned().map(Hash::from).collect();
    FileMetadata { name: name.map(str::to_owned), size, hashes, ..FileMetadata::default() }
}

/// Decision 44.
#[test]
fn a_hash_decides_and_without_one_all_that_is_said_must_fit() {
    let digests: DigestSet = [sha256(1)].into_iter().collect();
    let ours = file(Some("summit.jpg"), Some(7), &[sha256(1)]);
    let sha1 = Digest::new(HashAlgo::Sha1, vec![1; 20]).unwrap();
    let sha512 = Digest::new(HashAlgo::Sha512, vec![1; 64]).unwrap();
    let table = [
        (file(None, None, &[sha256(1)]), Fit::Yes),
        (file(Some("other"), Some(8), &[sha256(1)]), Fit::Yes),
        (file(Some("summit.jpg"), Some(7), &[sha256(2)]), Fit::No),
        (file(Some("summit.jpg"), Some(7), &[]), Fit::Yes),
        (file(Some("summit.jpg"), None, &[]), Fit::Yes),
        (file(None, Some(7), &[]), Fit::Yes),
        (file(Some("summit.jpg"), Some(8), &[]), Fit::No),
        (file(Some("summit"), Some(7), &[]), Fit::No),
        (file(None, None, &[]), Fit::No),
        // SHA-1 proves nothing: what else is said must fit.
        (file(Some("summit.jpg"), None, std::slice::from_ref(&sha1)), Fit::Yes),
        (file(Some("other"), None, std::slice::from_ref(&sha1)), Fit::No),
        (file(None, None, &[sha1]), Fit::No),
        // Nobody here has computed that one.
        (file(Some("summit.jpg"), Some(7), &[sha512]), Fit::No),
    ];
    for (wanted, expected) in table {
        assert_eq!(Sought::of(&wanted).fits(&ours, &digests), expected, "{wanted:?}");
    }
    let typed = FileMetadata { media_type: Some("image/PNG".to_owned()), ..FileMetadata::default() };
    assert_eq!(Sought::of(&typed).fits(&ours, &digests), Fit::No);
    assert_eq!(Sought::of(&typed).fits(&FileMetadata { media_type: Some("image/png".to_owned()), ..ours }, &digests), Fit::Yes);
}

/// A rule as this test understands it.
#[derive(Clone, Debug)]
struct Sample {
    verdict: &'static str,
    who: &'static str,
    up_to: Option<u64>,
    way: &'static str,
    unoffered: bool,
}

impl Sample {
    fn text(&self) -> String {
        let size = self.up_to.map_or_else(String::new, |limit| format!(" up to {limit}"));
        let (way, even) = if self.verdict == "give" { (self.way, self.unoffered) } else { ("", false) };
        format!("{} {}{size}{way}{}", self.verdict, self.who, if even { " even unoffered" } else { "" })
    }

    fn is_about(&self, standing: &str, size: u64, is_offered: bool) -> bool {
        let who = self.who == "everybody" || self.who == standing;
        let offered = self.verdict != "give" || is_offered || self.unoffered;
        who && offered && self.up_to.is_none_or(|limit| size <= limit)
    }
}

fn sample() -> impl Strategy<Value = Sample> {
    (
        prop::sample::select(vec!["give", "never", "announce"]),
        prop::sample::select(vec!["everybody", "contacts", "strangers", "own-devices"]),
        prop::option::of(1_u64..4),
        prop::sample::select(vec!["", " directly", " by relay"]),
        any::<bool>(),
    )
        .prop_map(|(verdict, who, up_to, way, unoffered)| Sample { verdict, who, up_to, way, unoffered })
}

proptest! {
    /// Proves: JFT-D-2, S5J-6.1-1.
    #[test]
    fn nothing_goes_to_anybody_but_by_a_rule_and_no_address_is_shown_but_by_a_word(
        samples in prop::collection::vec(sample(), 0..6),
        standing in prop::sample::select(vec!["contacts", "strangers", "own-devices"]),
        size in 0_u64..5,
        is_offered in any::<bool>(),
        shared in prop::sample::select(vec![None, Some(Reach::Direct), Some(Reach::Relay)]),
    ) {
        let text: String = samples.iter().map(|sample| sample.text() + "\n").collect();
        let giving = rules(&text);
        prop_assert_eq!(&giving.to_string().parse::<Giving>().unwrap(), &giving);
        let scene = Scene::new();
        let standing_of = match standing {
            "contacts" => Standing::Contact(&scene.groups),
            "strangers" => Standing::Stranger,
            _ => Standing::Own,
        };
        let request = Request { standing: standing_of, size, is_offered, ..scene.request() };
        let first = samples.iter().find(|sample| sample.verdict != "announce" && sample.is_about(standing, size, is_offered));
        let granted = giving.judge(&request);
        prop_assert_eq!(granted.is_some(), first.is_some_and(|sample| sample.verdict == "give"));
        if let (Some(grant), Some(first)) = (granted, first) {
            prop_assert!(is_offered || first.unoffered);
            let shows = shared != Some(Reach::Relay) && (first.way == " directly" || (first.way.is_empty() && shared == Some(Reach::Direct)));
            prop_assert_eq!(grant.reach(shared) == Reach::Direct, shows);
        }
        let announced = samples.iter().any(|sample| sample.verdict == "announce" && sample.is_about(standing, size, is_offered));
        prop_assert_eq!(giving.announces(&request), announced);
    }

    #[test]
    fn any_line_is_a_rule_or_an_error(line in ".{0,80}") {
        let _ = line.parse::<GivingRule>();
    }

    #[test]
    fn words_in_any_order_are_a_rule_or_an_error(words in prop::collection::vec(prop::sample::select(vec![
        "give", "never", "announce", "contacts", ",", "up", "to", "over", "5", "MiB", "5MiB", "/s", "at", "KiB/s", "10/s", "directly", "by", "relay", "even",
        "unoffered", "image/*", "group", "\"a b\"", "romeo@montague.lit",
    ]), 0..10)) {
        if let Ok(rule) = words.join(" ").parse::<GivingRule>() {
            prop_assert_eq!(&rule.to_string().parse::<GivingRule>().unwrap(), &rule);
        }
    }
}

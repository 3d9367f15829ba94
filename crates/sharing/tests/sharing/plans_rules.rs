//! Rules as people write them: what they mean, how they are printed, and what is said where they cannot be understood.

use balcony_sharing::plan::{Case, MAX_RULES, Policy, RoomKind, Rule, Ruling, Standing, Verdict};
use balcony_sharing::{ExposureKind, MediaType};
use balcony_wire::BareJid;
use proptest::prelude::*;

use crate::plans::rules;

fn bare(text: &str) -> BareJid {
    text.parse().unwrap()
}

/// A picture of 2 MiB on the own server, proven, from somebody in the group Family.
struct Scene {
    person: BareJid,
    groups: Vec<String>,
    room: BareJid,
    media_type: MediaType,
}

impl Scene {
    fn new() -> Self {
        let groups = vec!["Family".to_owned(), "Old friends".to_owned()];
        Self { person: bare("romeo@montague.lit"), groups, room: bare("coven@chat.lit"), media_type: MediaType::from_peer("image/png") }
    }

    fn case(&self) -> Case<'_> {
        Case {
            person: Some(&self.person),
            standing: Standing::Contact(&self.groups),
            room: None,
            size: Some(2 << 20),
            media_type: &self.media_type,
            exposure: ExposureKind::OwnServer,
            is_proven: true,
            is_metered: false,
            is_attached: false,
            is_unseen: false,
        }
    }
}

fn is_covered(rule: &str, case: &Case<'_>) -> bool {
    rule.parse::<Rule>().unwrap().covers(case)
}

/// Proves: SFS-3.2-6.
#[test]
fn rules_are_about_people_sizes_types_places_proof_and_networks() {
    let scene = Scene::new();
    let case = scene.case();
    for rule in [
        "fetch everybody",
        "fetch contacts",
        "fetch group Family",
        "fetch group \"Old friends\"",
        "fetch strangers, romeo@montague.lit",
        "ask contacts up to 2 MiB",
        "ask contacts over 2097151 bytes",
        "fetch contacts image/*",
        "fetch contacts video/*, IMAGE/PNG",
        "fetch contacts from own-server, peers",
        "fetch contacts over 1M up to 3M image/* from own-server even unproven even metered even attached",
    ] {
        assert!(is_covered(rule, &case), "{rule}");
    }
    for rule in [
        "fetch strangers",
        "fetch own-devices",
        "fetch rooms",
        "fetch group Work",
        "fetch juliet@capulet.lit",
        "fetch contacts up to 1 MiB",
        "ask contacts over 2 MiB",
        "fetch contacts video/*",
        "fetch contacts from third-hosts",
        "ask contacts if unproven",
        "never contacts if metered",
    ] {
        assert!(!is_covered(rule, &case), "{rule}");
    }
}

#[test]
fn rooms_are_told_apart_by_who_may_enter_and_people_in_them_by_who_they_are() {
    let scene = Scene::new();
    let private = Case { room: Some((&scene.room, RoomKind::Private)), ..scene.case() };
    let public = Case { room: Some((&scene.room, RoomKind::Public)), person: None, standing: Standing::Stranger, ..scene.case() };
    for (rule, in_private, in_public) in [
        ("fetch rooms", true, true),
        ("fetch private-rooms", true, false),
        ("fetch public-rooms", false, true),
        ("fetch room coven@chat.lit", true, true),
        ("fetch room other@chat.lit", false, false),
        ("fetch contacts", true, false),
        ("fetch romeo@montague.lit", true, false),
        ("fetch strangers", false, true),
    ] {
        assert_eq!((is_covered(rule, &private), is_covered(rule, &public)), (in_private, in_public), "{rule}");
    }
}

#[test]
fn a_size_nobody_says_counts_as_large() {
    let scene = Scene::new();
    let unknown = Case { size: None, ..scene.case() };
    assert!(!is_covered("fetch everybody up to 16 TiB", &unknown));
    assert!(is_covered("never everybody over 16 TiB", &unknown));
    assert!(is_covered("fetch everybody", &unknown));
}

#[test]
fn a_fetching_rule_is_timid_until_it_says_more() {
    let scene = Scene::new();
    let unproven = Case { is_proven: false, ..scene.case() };
    let metered = Case { is_metered: true, ..scene.case() };
    let attached = Case { is_attached: true, ..scene.case() };
    assert!(!is_covered("fetch everybody", &attached) && is_covered("fetch everybody even attached", &attached));
    assert!(is_covered("never everybody if attached", &attached) && !is_covered("never everybody if attached", &scene.case()));
    assert!(!is_covered("fetch everybody", &unproven) && !is_covered("fetch everybody", &metered));
    assert!(is_covered("fetch everybody even unproven", &unproven) && is_covered("fetch everybody even metered", &metered));
    assert!(is_covered("never everybody", &unproven) && is_covered("never everybody if unproven", &unproven));
}

#[test]
fn the_first_rule_that_covers_a_case_decides_and_without_any_the_person_is_asked() {
    let scene = Scene::new();
    let policy = rules("# mine\n\nnever contacts over 5 MiB\nask group Family video/*\nfetch contacts\nnever everybody\n");
    let judge = |case: &Case<'_>| policy.judge(case);
    assert_eq!(judge(&scene.case()), Ruling { verdict: Verdict::Fetch, rule: Some(2) });
    assert_eq!(judge(&Case { size: Some(6 << 20), ..scene.case() }), Ruling { verdict: Verdict::Never, rule: Some(0) });
    assert_eq!(judge(&Case { standing: Standing::Stranger, ..scene.case() }), Ruling { verdict: Verdict::Never, rule: Some(3) });
    assert_eq!(rules("").judge(&scene.case()), Ruling { verdict: Verdict::Ask, rule: None });
}

/// Proves: SFS-6-6.
#[test]
fn no_rule_makes_what_everybody_could_read_come() {
    let scene = Scene::new();
    let exposed = Case { exposure: ExposureKind::Everybody, ..scene.case() };
    assert_eq!(rules("fetch everybody even unproven even metered").judge(&exposed), Ruling { verdict: Verdict::Never, rule: None });
}

#[test]
fn the_rules_everybody_begins_with_are_few_and_read_aloud() {
    let text =
        "fetch contacts, own-devices up to 10 MiB from message, own-server, senders-device, relayed, senders-server\nask everybody\n";
    assert_eq!(Policy::default().to_string(), text);
    assert_eq!(rules(text), Policy::default());
    let words: Vec<_> = Policy::default().rules().iter().map(Rule::words).collect();
    assert_eq!(
        words,
        [
            "fetch unasked files of contacts and of your own devices up to 10 MiB, from the message itself, your own server, the sender's \
             device (over XMPP), a person's device by way of servers or the sender's server",
            "ask before fetching files of everybody",
        ]
    );
    assert!(!rules(text).asking().fetches());
}

#[test]
fn an_error_says_where_it_is_and_what_would_be_right() {
    for (text, words) in [
        ("allow contacts", "line 1, character 1, at \"allow\": a rule begins with fetch, ask or never"),
        ("fetch", "line 1, character 6, at \"the end\": say whose files: everybody"),
        ("\n# x\n  fetch friends", "line 3, character 9, at \"friends\": say whose files: everybody"),
        ("fetch contacts up too 10 MiB", "character 19, at \"too\": up goes on with \"to\""),
        ("fetch contacts up to much", "character 22, at \"much\": say how large"),
        ("fetch contacts up to 10 apples", "character 25, at \"apples\": say how large"),
        ("fetch contacts up to 99999999999 TiB", "character 22, at \"99999999999\": no file is that large"),
        ("fetch contacts up to 1 up to 2", "character 24, at \"up\": this is said twice"),
        ("fetch contacts over 2 MiB up to 1 MiB", "no file is larger than the one size"),
        ("fetch contacts image/", "character 16, at \"image/\": this is no media type"),
        ("fetch contacts from everywhere", "character 21, at \"everywhere\": say from where: message"),
        ("fetch contacts if unproven", "character 16, at \"if\": a fetch rule is timid"),
        ("never contacts even unproven", "character 16, at \"even\": ask and never rules are about all files"),
        ("fetch contacts even cheap", "character 21, at \"cheap\": say even unproven, even metered or even attached"),
        ("fetch contacts please", "character 16, at \"please\": a rule goes on with"),
        ("fetch group", "character 12, at \"the end\": say which group"),
        ("fetch group \"Old friends", "character 13, at \"\"Old friends\": this quotation mark is never closed"),
        ("fetch romeo@montague.lit/orchard", "this is the address of a device"),
        ("fetch room", "an address is missing"),
        ("fetch contacts,", "character 16, at \"the end\": say whose files"),
    ] {
        let error = text.parse::<Policy>().unwrap_err().to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
    let many = "ask everybody\n".repeat(MAX_RULES + 1);
    assert_eq!(many.parse::<Policy>().unwrap_err().line, MAX_RULES + 1);
}

fn any_rule() -> impl Strategy<Value = String> {
    let verdict = prop::sample::select(vec!["fetch", "ask", "never"]);
    let one = prop_oneof![
        prop::sample::select(vec!["everybody", "contacts", "strangers", "own-devices", "rooms", "private-rooms", "public-rooms"])
            .prop_map(str::to_owned),
        "[a-z]{1,8}@[a-z]{1,8}\\.lit",
        "room [a-z]{1,8}@[a-z]{1,8}\\.lit",
        "\\PC{0,12}".prop_map(|name| format!("group \"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))),
    ];
    let size = prop_oneof![
        (0_u64..5000).prop_map(|n| format!(" up to {n} KiB")),
        (0_u64..99).prop_map(|n| format!(" over {n}")),
        Just(String::new())
    ];
    let types = prop::sample::select(vec!["", " image/*", " */*", " image/svg+xml, application/pdf"]);
    let places =
        prop::sample::select(vec!["", " from message", " from own-server, senders-device, relayed, senders-server, third-hosts, peers"]);
    let words = prop::sample::select(vec!["", " unproven", " metered", " attached"]);
    (verdict, prop::collection::vec(one, 1..4), size, types, places, words).prop_map(|(verdict, who, size, types, places, word)| {
        let how = if verdict == "fetch" { " even" } else { " if" };
        let condition = if word.is_empty() { String::new() } else { format!("{how}{word}") };
        format!("{verdict} {}{size}{types}{places}{condition}", who.join(", "))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_rule_that_was_printed_is_read_back_as_it_was(text in any_rule()) {
        let rule: Rule = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        let printed = rule.to_string();
        prop_assert_eq!(printed.parse::<Rule>(), Ok(rule.clone()), "{}", printed);
        prop_assert!(!rule.words().is_empty());
    }

    #[test]
    fn whatever_stands_in_a_rule_is_a_rule_or_an_error_within_the_line(text in "\\PC{0,60}") {
        if let Err(error) = text.parse::<Rule>() {
            prop_assert!(error.column >= 1 && error.column <= text.chars().count() + 1);
        }
    }
}

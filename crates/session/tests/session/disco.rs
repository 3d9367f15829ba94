//! Caps of contacts: what is believed, and for whom.

use balcony_session::disco_cache::{Announced, DiscoCache, Unverified};
use balcony_wire::caps::Caps;
use balcony_wire::disco::DiscoInfo;
use balcony_wire::{Element, Jid, Payload as _, ns};
use serde_json::Value;

/// The vectors: caps and the answer they stand for. Ill-formed ones have no hash; they get that of the same answer unspoilt.
fn cases() -> Vec<(Caps, DiscoInfo, bool)> {
    testing_corpus::cases("caps-0115").iter().map(case).collect()
}

fn case(case: &Value) -> (Caps, DiscoInfo, bool) {
    let element = match case["disco_xml"].as_str() {
        Some(xml) => Element::parse(xml).unwrap(),
        None => {
            let iq = testing_corpus::text(case["disco_file"].as_str().unwrap());
            let iq = Element::parse(&iq).unwrap();
            iq.child("query", ns::DISCO_INFO).unwrap().clone()
        }
    };
    let text = |key: &str| case[key].as_str().map(str::to_owned);
    let caps = Caps {
        hash: text("hash").unwrap_or("sha-1".to_owned()),
        node: "http://balcony.example".to_owned(),
        ver: text("ver").unwrap_or("34O5CT2QaRqDidxVBsUg5iVWfcs=".to_owned()),
    };
    (caps, DiscoInfo::read(&element).unwrap(), case["well_formed"].as_bool().unwrap())
}

fn device(number: usize) -> Jid {
    format!("juliet@capulet.example/{number}").parse().unwrap()
}

/// Proves: C0115-5-1, C0115-5-2, C0115-9-1.
#[test]
fn only_an_answer_with_the_announced_hash_counts_for_others() {
    for (number, (caps, info, well_formed)) in cases().into_iter().enumerate() {
        let mut cache = DiscoCache::new(10);
        let Announced::Ask { node } = cache.announce(&device(1), Some(caps.clone())) else { panic!("not asked") };
        assert_eq!(node, caps.disco_node());
        assert_eq!(cache.announce(&device(2), Some(caps.clone())), Announced::Asked, "one of them is enough");
        let learned = cache.learn(&device(1), info.clone());
        assert_eq!(learned.is_ok(), well_formed, "case {number}: {learned:?}");
        assert_eq!(*cache.info(&device(1)).unwrap(), info, "its own answer counts for itself either way");
        let for_another = cache.announce(&device(2), Some(caps.clone()));
        assert_eq!(matches!(for_another, Announced::Known(_)), well_formed, "case {number}");
        assert_eq!(DiscoCache::new(1).restore(&caps, info).is_ok(), well_formed);
    }
}

#[test]
fn an_answer_that_lies_about_the_hash_does_not_poison_others() {
    let (caps, _, _) = cases().remove(0);
    let mut cache = DiscoCache::new(10);
    cache.announce(&device(1), Some(caps.clone()));
    let poison = DiscoInfo { features: vec!["urn:example:poison".to_owned()], ..DiscoInfo::query(None) };
    assert_eq!(cache.learn(&device(1), poison), Err(Unverified::Mismatch));
    assert!(matches!(cache.announce(&device(2), Some(caps)), Announced::Ask { .. }), "the next one is asked itself");
}

#[test]
fn a_device_that_does_not_answer_leaves_the_question_to_the_next() {
    let (caps, info, _) = cases().remove(0);
    let mut cache = DiscoCache::new(10);
    cache.announce(&device(1), Some(caps.clone()));
    cache.failed(&device(1));
    assert!(matches!(cache.announce(&device(2), Some(caps.clone())), Announced::Ask { .. }));
    cache.gone(&device(2));
    assert!(matches!(cache.announce(&device(3), Some(caps)), Announced::Ask { .. }));
    assert_eq!(cache.learn(&device(2), info), Err(Unverified::NotAnnounced));
}

#[test]
fn new_caps_replace_old_ones_and_none_forget_the_device() {
    let cases = cases();
    let mut cache = DiscoCache::new(10);
    for (caps, info, _) in &cases[..2] {
        cache.announce(&device(1), Some(caps.clone()));
        cache.learn(&device(1), info.clone()).unwrap();
        assert_eq!(*cache.info(&device(1)).unwrap(), *info);
    }
    assert!(matches!(cache.announce(&device(1), Some(cases[0].0.clone())), Announced::Known(_)));
    assert_eq!(cache.announce(&device(1), None), Announced::Nothing);
    assert_eq!(cache.info(&device(1)), None);
}

#[test]
fn memory_is_bounded_and_forgets_what_was_not_used_for_longest() {
    let well_formed: Vec<_> = cases().into_iter().filter(|case| case.2).collect();
    let mut cache = DiscoCache::new(1);
    for (caps, info, _) in &well_formed[..2] {
        cache.restore(caps, info.clone()).unwrap();
    }
    assert!(matches!(cache.announce(&device(1), Some(well_formed[1].0.clone())), Announced::Known(_)));
    assert!(matches!(cache.announce(&device(2), Some(well_formed[0].0.clone())), Announced::Ask { .. }));
    for number in 0..100 {
        cache.announce(&device(number), Some(well_formed[1].0.clone()));
    }
    assert_eq!(cache.info(&device(2)), None, "four devices for each answer are remembered");
    let long = DiscoInfo { features: (0..3000).map(|n| n.to_string()).collect(), ..DiscoInfo::query(None) };
    assert_eq!(cache.learn(&device(99), long), Err(Unverified::TooLong));
}

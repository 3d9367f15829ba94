//! Where to connect to, and when again.

use std::time::Duration;

use balcony_session::Security;
use balcony_session::connect_plan::{ConnectPlan, Endpoint, SrvAnswer, SrvRecord, connect_plan};
use balcony_session::reconnect::{Backoff, BackoffBounds};

use crate::epoch;

fn record(priority: u16, weight: u16, port: u16, target: &str) -> SrvRecord {
    SrvRecord { priority, weight, port, target: target.to_owned() }
}

fn endpoints(plan: ConnectPlan) -> Vec<Endpoint> {
    match plan {
        ConnectPlan::Try(endpoints) => endpoints,
        ConnectPlan::NotOffered => panic!("nothing to try"),
    }
}

/// Proves: C0368-3-1.
#[test]
fn records_of_both_kinds_are_mixed_by_priority() {
    let starttls = SrvAnswer::Records(vec![record(5, 0, 5222, "b.example."), record(20, 0, 5222, "d.example.")]);
    let direct = SrvAnswer::Records(vec![record(10, 0, 443, "c.example."), record(1, 0, 5223, "a.example.")]);
    let order = endpoints(connect_plan("example", starttls, direct, [0; 32]));
    let order: Vec<_> = order.iter().map(|endpoint| (endpoint.host.as_str(), endpoint.security)).collect();
    let expected = [
        ("a.example", Security::DirectTls),
        ("b.example", Security::StartTls),
        ("c.example", Security::DirectTls),
        ("d.example", Security::StartTls),
    ];
    assert_eq!(order, expected);
}

#[test]
fn among_equals_the_weight_decides_how_often_one_is_first() {
    let mut first = [0_u32; 3];
    for seed in 0..=255_u8 {
        let direct = SrvAnswer::Records(vec![record(1, 75, 2, "heavy.example")]);
        let starttls = SrvAnswer::Records(vec![record(1, 0, 1, "zero.example"), record(1, 25, 3, "light.example")]);
        let order = endpoints(connect_plan("example", starttls, direct, [seed; 32]));
        assert_eq!(order.len(), 3, "each once");
        first[usize::from(order[0].port) - 1] += 1;
    }
    assert!(first[1] > 150 && first[2] > 30 && first[0] < 20, "{first:?}");
}

/// Proves: C6120-3.2-1.
#[test]
fn without_records_the_domain_itself_is_tried_and_with_records_it_is_not() {
    let domain = Endpoint { host: "example".to_owned(), port: 5222, security: Security::StartTls };
    assert_eq!(endpoints(connect_plan("example", SrvAnswer::None, SrvAnswer::Failed, [0; 32])), [domain]);
    let some = SrvAnswer::Records(vec![record(1, 0, 5223, "a.example")]);
    assert_eq!(endpoints(connect_plan("example", SrvAnswer::None, some, [0; 32])).len(), 1);
}

/// Proves: C0368-5-1.
#[test]
fn a_dot_as_target_means_not_offered_and_forbids_the_fallback() {
    let dot = || SrvAnswer::Records(vec![record(0, 0, 0, ".")]);
    let some = SrvAnswer::Records(vec![record(1, 0, 5222, "a.example")]);
    assert_eq!(connect_plan("example", dot(), dot(), [0; 32]), ConnectPlan::NotOffered);
    assert_eq!(connect_plan("example", SrvAnswer::None, dot(), [0; 32]), ConnectPlan::NotOffered);
    assert_eq!(endpoints(connect_plan("example", some, dot(), [0; 32])).len(), 1, "the other kind is still tried");
}

#[test]
fn waits_double_up_to_a_bound_and_never_go_below_half() {
    let mut backoff = Backoff::new(BackoffBounds::default());
    for expected in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
        let expected = Duration::from_secs(expected);
        let (least, most) = (backoff.clone().failed(epoch(), 0), backoff.failed(epoch(), u64::MAX));
        assert_eq!((least, most), (expected / 2, expected));
    }
}

#[test]
fn a_session_that_dies_at_once_does_not_reset_the_waiting() {
    let mut backoff = Backoff::new(BackoffBounds::default());
    let now = epoch();
    for _ in 0..5 {
        backoff.online(now);
        backoff.failed(now + Duration::from_secs(3), u64::MAX);
    }
    assert_eq!(backoff.failures(), 5);
    backoff.online(now);
    assert_eq!(backoff.failed(now + Duration::from_secs(61), u64::MAX), Duration::from_secs(1));
}

//! How many connections there may be, altogether and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts connections of one kind.
#[derive(Debug)]
pub(crate) struct Gate {
    total: usize,
    per_address: usize,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    count: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl Gate {
    pub(crate) fn new(total: usize, per_address: usize) -> Arc<Self> {
        Arc::new(Self { total, per_address, inside: Mutex::default() })
    }

    /// Lets one more in, unless it is one too many.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Pass> {
        let address = neighbourhood(address);
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if inside.count >= self.total || inside.by_address.get(&address).is_some_and(|count| *count >= self.per_address) {
            return None;
        }
        inside.count += 1;
        *inside.by_address.entry(address).or_default() += 1;
        Some(Pass { gate: self.clone(), address })
    }
}

/// Who counts as one: `::ffff:a.b.c.d` is a.b.c.d; the 2^64 addresses of one IPv6 network belong to one neighbour.
pub(crate) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

/// One connection; gives its place back when dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    address: IpAddr,
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut inside = self.gate.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.count -= 1;
        if let Some(count) = inside.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                inside.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_all_places() {
        let gate = Gate::new(3, 2);
        let (a, b): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let first = gate.enter(a).unwrap();
        let _second = gate.enter("::ffff:10.0.0.1".parse().unwrap()).unwrap();
        assert!(gate.enter(a).is_none());
        let _third = gate.enter(b).unwrap();
        assert!(gate.enter(b).is_none());
        drop(first);
        assert!(gate.enter(a).is_some());
    }

    #[test]
    fn neighbours_in_one_ipv6_network_count_as_one() {
        let gate = Gate::new(9, 1);
        let _pass = gate.enter("2001:db8::1".parse().unwrap()).unwrap();
        assert!(gate.enter("2001:db8::2".parse().unwrap()).is_none());
        assert!(gate.enter("2001:db8:0:1::1".parse().unwrap()).is_some());
    }
}

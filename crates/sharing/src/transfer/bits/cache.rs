//! Keeps small data for a while: by the hash in its name, for whoever names it again; without a usable hash for the address it
//! came from alone, since there anybody could give any bytes under a name (XEP-0231 §2.4).

use std::collections::BTreeMap;
use std::time::Instant;

use balcony_wire::Jid;
use balcony_wire::bits_of_binary::ContentId;
use balcony_wire::hashes::Digest;

use super::{Bits, hash_in};

/// Bytes kept in all.
const MAX_BYTES: usize = 4 << 20;
/// Pieces kept in all.
const MAX_PIECES: usize = 1024;

/// Small data seen before. It lasts as long as whoever holds it, unless its sender says less.
#[derive(Debug, Default)]
pub struct BitsCache {
    kept: BTreeMap<Key, Kept>,
    bytes: usize,
    /// Counts what was put in.
    turn: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Hash(&'static str, Vec<u8>),
    Named(Jid, ContentId),
}

#[derive(Debug)]
struct Kept {
    bits: Bits,
    until: Option<Instant>,
    turn: u64,
}

impl BitsCache {
    /// What goes by this name when `from` says it.
    pub fn get(&mut self, cid: &ContentId, from: &Jid, now: Instant) -> Option<&Bits> {
        let key = key(cid, from);
        if self.kept.get(&key)?.until.is_some_and(|until| until <= now) {
            self.forget(&key);
        }
        self.kept.get(&key).map(|kept| &kept.bits)
    }

    /// Keeps what `from` gave, unless its sender wants it kept by nobody. What is oldest makes room.
    pub fn put(&mut self, bits: &Bits, from: &Jid, now: Instant) {
        // An age that no clock can tell is none.
        let until = bits.max_age().and_then(|age| now.checked_add(age));
        if bits.max_age().is_some_and(|age| age.is_zero()) {
            return;
        }
        let key = key(bits.cid(), from);
        self.forget(&key);
        self.turn += 1;
        self.bytes += bits.bytes().len();
        self.kept.insert(key, Kept { bits: bits.clone(), until, turn: self.turn });
        while self.bytes > MAX_BYTES || self.kept.len() > MAX_PIECES {
            let Some(oldest) = self.kept.iter().min_by_key(|(_, kept)| kept.turn).map(|(key, _)| key.clone()) else { return };
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(kept) = self.kept.remove(key) {
            self.bytes -= kept.bits.bytes().len();
        }
    }
}

fn key(cid: &ContentId, from: &Jid) -> Key {
    match hash_in(cid) {
        Some(hash) => by_hash(&hash),
        None => Key::Named(from.clone(), cid.clone()),
    }
}

fn by_hash(hash: &Digest) -> Key {
    Key::Hash(hash.algo().name(), hash.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use balcony_wire::bits_of_binary::BitsOfBinary;

    use super::*;
    use crate::MediaType;

    #[allow(clippy::disallowed_methods, reason = "a first instant; only differences matter")]
    fn epoch() -> Instant {
        Instant::now()
    }

    fn jid(text: &str) -> Jid {
        Jid::parse(text).unwrap()
    }

    fn opaque(name: &str, bytes: &[u8], max_age: Option<u64>) -> Bits {
        let cid = ContentId::new(name);
        Bits::judge(&cid, BitsOfBinary { cid: cid.clone(), media_type: None, max_age, data: Some(bytes.to_vec()) }).unwrap()
    }

    /// Decision 29.
    /// Proves: BOB-2.4-1, SEC-4-4.
    #[test]
    fn a_hash_holds_for_everybody_and_a_bare_name_for_whoever_gave_it() {
        let (now, romeo, mallory) = (epoch(), jid("romeo@montague.lit/orchard"), jid("mallory@evil.example/x"));
        let mut cache = BitsCache::default();
        let hashed = Bits::of_ours(b"picture".to_vec(), MediaType::default()).unwrap();
        cache.put(&hashed, &mallory, now);
        assert_eq!(cache.get(hashed.cid(), &romeo, now), Some(&hashed));
        let (theirs, his) = (opaque("foo@example.org", b"forged", None), opaque("foo@example.org", b"true", None));
        cache.put(&theirs, &mallory, now);
        assert_eq!(cache.get(theirs.cid(), &romeo, now), None);
        cache.put(&his, &romeo, now);
        assert_eq!(cache.get(his.cid(), &romeo, now), Some(&his));
        assert_eq!(cache.get(his.cid(), &mallory, now), Some(&theirs));
        assert_eq!(cache.get(his.cid(), &jid("romeo@montague.lit/balcony"), now), None, "another device is asked itself");
    }

    /// Proves: BOB-2.4-2, BOB-2.4-3.
    #[test]
    fn data_is_kept_until_the_end_unless_its_sender_says_for_how_long() {
        let (now, romeo) = (epoch(), jid("romeo@montague.lit/orchard"));
        let mut cache = BitsCache::default();
        for bits in
            [opaque("a@b", b"1", None), opaque("c@d", b"2", Some(60)), opaque("e@f", b"3", Some(0)), opaque("g@h", b"4", Some(u64::MAX))]
        {
            cache.put(&bits, &romeo, now);
        }
        let has = |cache: &mut BitsCache, name: &str, at| cache.get(&ContentId::new(name), &romeo, at).is_some();
        let (soon, late) = (now + Duration::from_secs(59), now + Duration::from_secs(1_000_000));
        assert!(has(&mut cache, "a@b", late) && has(&mut cache, "g@h", late));
        assert!(has(&mut cache, "c@d", soon) && !has(&mut cache, "c@d", late) && !has(&mut cache, "c@d", soon));
        assert!(!has(&mut cache, "e@f", now), "age 0: kept by nobody");
    }

    /// Proves: SEC-5-6.
    #[test]
    fn a_flood_pushes_out_what_is_oldest_and_no_more_is_kept_than_the_bound() {
        let (now, romeo) = (epoch(), jid("romeo@montague.lit/orchard"));
        let mut cache = BitsCache::default();
        for n in 0..2_000 {
            cache.put(&opaque(&format!("{n}@b"), &[0; 16 * 1024], None), &romeo, now);
            cache.put(&opaque("same@b", &[1; 16 * 1024], None), &romeo, now);
        }
        assert!(cache.bytes <= MAX_BYTES && cache.kept.len() <= MAX_PIECES);
        assert_eq!(cache.bytes, cache.kept.values().map(|kept| kept.bits.bytes().len()).sum::<usize>());
        assert!(cache.get(&ContentId::new("0@b"), &romeo, now).is_none() && cache.get(&ContentId::new("1999@b"), &romeo, now).is_some());
    }
}

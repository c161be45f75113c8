//! The items that others put here (BEP 44).

use std::collections::VecDeque;

use downpour_base::{Instant, Map, MapKey, NodeId};

use crate::Settings;
use crate::address::Source;
use crate::item::{ImmutableItem, Item, ItemError, MutableItem, immutable_target};
use crate::limits::ITEM_LIFETIME;
use crate::message::{ErrorCode, MutablePut};

/// Items by place. When full, the item that was put longest ago goes.
pub(crate) struct ItemStore {
    items: Map<NodeId, Stored>,
    /// In the order of puts, which is that of expiry. A put that was renewed is stale and passed over.
    puts: VecDeque<(Instant, NodeId)>,
    /// How many items each source has here.
    sources: Map<Source, u32>,
}

struct Stored {
    item: Item,
    at: Instant,
    by: Source,
}

impl ItemStore {
    pub(crate) fn new(key: MapKey) -> Self {
        Self { items: key.map(), puts: VecDeque::new(), sources: key.map() }
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn get(&self, target: &NodeId) -> Option<&Item> {
        self.items.get(target).map(|stored| &stored.item)
    }

    /// Stores or renews an item, or says why not.
    pub(crate) fn put(
        &mut self,
        now: Instant,
        by: Source,
        value: &[u8],
        mutable: Option<&MutablePut<'_>>,
        settings: &Settings,
    ) -> Result<(), ErrorCode> {
        let item = match mutable {
            None => Item::Immutable(ImmutableItem::new(value).map_err(code)?),
            Some(put) => Item::Mutable(self.check(value, put)?),
        };
        let target = item.target();
        if let Some(stored) = self.items.get_mut(&target) {
            (stored.item, stored.at) = (item, now);
        } else {
            if self.sources.get(&by).is_some_and(|held| *held >= settings.max_items_per_source) {
                return Err(ErrorCode::Server);
            }
            while self.items.len() >= settings.max_items.max(1) as usize && self.drop_oldest() {}
            self.items.insert(target, Stored { item, at: now, by });
            *self.sources.entry(by).or_default() += 1;
        }
        self.puts.push_back((now, target));
        if self.puts.len() > 2 * self.items.len() + 64 {
            let items = &self.items;
            self.puts.retain(|(at, target)| items.get(target).is_some_and(|stored| stored.at == *at));
        }
        Ok(())
    }

    /// Numbers before the signature: comparing is cheap, and verifying is not.
    fn check(&self, value: &[u8], put: &MutablePut<'_>) -> Result<MutableItem, ErrorCode> {
        let target = crate::item::mutable_target(&put.key, put.salt);
        if let Some(Item::Mutable(stored)) = self.get(&target) {
            if put.cas.is_some_and(|cas| cas != stored.seq()) {
                return Err(ErrorCode::CasMismatch);
            }
            let renewed = put.seq == stored.seq() && value == stored.value();
            if put.seq < stored.seq() || put.seq == stored.seq() && !renewed {
                return Err(ErrorCode::SequenceTooLow);
            }
        }
        MutableItem::verify(&put.key, put.salt, put.seq, value, &put.signature).map_err(code)
    }

    /// Drops what was put too long ago.
    pub(crate) fn expire(&mut self, now: Instant) {
        while self.puts.front().is_some_and(|(at, _)| *at + ITEM_LIFETIME <= now) {
            self.drop_oldest();
        }
    }

    /// Takes the first put out, and its item if it was not renewed since. Returns whether there was one.
    fn drop_oldest(&mut self) -> bool {
        let Some((at, target)) = self.puts.pop_front() else { return false };
        if self.items.get(&target).is_none_or(|stored| stored.at != at) {
            return true;
        }
        let Some(Stored { by, .. }) = self.items.remove(&target) else { return true };
        if let Some(held) = self.sources.get_mut(&by) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                self.sources.remove(&by);
            }
        }
        true
    }
}

/// What the asker is told.
fn code(error: ItemError) -> ErrorCode {
    match error {
        ItemError::ValueTooBig(_) => ErrorCode::ValueTooBig,
        ItemError::SaltTooBig(_) => ErrorCode::SaltTooBig,
        ItemError::InvalidSignature => ErrorCode::InvalidSignature,
        ItemError::NotBencode | ItemError::NegativeSequence(_) => ErrorCode::Protocol,
    }
}

/// Where an item of these parts is stored, before it is known to be one.
pub(crate) fn target_of(value: &[u8], mutable: Option<&MutablePut<'_>>) -> NodeId {
    match mutable {
        None => immutable_target(value),
        Some(put) => crate::item::mutable_target(&put.key, put.salt),
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use downpour_base::{Rng, Seed};

    use super::*;
    use crate::item::SecretKey;

    const START: Instant = Instant::ORIGIN;

    fn store() -> ItemStore {
        ItemStore::new(MapKey::new(&mut Rng::new(Seed::from_u64(1))))
    }

    fn parts(item: &MutableItem, cas: Option<i64>) -> MutablePut<'_> {
        MutablePut { key: *item.key(), seq: item.seq(), signature: *item.signature(), salt: item.salt(), cas }
    }

    fn value(number: u32) -> Vec<u8> {
        format!("i{number}e").into_bytes()
    }

    #[test]
    fn versions_only_grow_and_cas_is_heeded() {
        let (mut store, settings, secret) = (store(), Settings::default(), SecretKey::from_seed(&[7; 32]));
        let version = |seq| MutableItem::sign(&secret, b"salt", seq, &value(seq as u32)).unwrap();
        let mut put = |item: &MutableItem, cas| {
            store.put(START, Source::V4(1), item.value(), Some(&parts(item, cas)), &settings)
        };
        assert_eq!(put(&version(5), Some(3)), Ok(()), "nothing to compare with");
        assert_eq!(put(&version(4), None), Err(ErrorCode::SequenceTooLow));
        assert_eq!(put(&version(5), None), Ok(()), "the same again renews");
        let other = MutableItem::sign(&secret, b"salt", 5, b"i99e").unwrap();
        assert_eq!(put(&other, None), Err(ErrorCode::SequenceTooLow));
        assert_eq!(put(&version(6), Some(4)), Err(ErrorCode::CasMismatch));
        assert_eq!(put(&version(6), Some(5)), Ok(()));
        let forged = version(7);
        let parts = MutablePut { seq: 8, ..parts(&forged, None) };
        let result = store.put(START, Source::V4(1), forged.value(), Some(&parts), &settings);
        assert_eq!(result, Err(ErrorCode::InvalidSignature));
        assert!(matches!(store.get(&forged.target()), Some(Item::Mutable(item)) if item.seq() == 6));
    }

    #[test]
    fn the_store_is_bounded_and_forgets() {
        let mut store = store();
        let settings = Settings { max_items: 3, max_items_per_source: 2, ..Settings::default() };
        let mut put = |seconds, source, number| {
            let now = START + Duration::from_secs(seconds);
            store.put(now, Source::V4(source), &value(number), None, &settings)
        };
        assert_eq!(put(0, 1, 1), Ok(()));
        assert_eq!(put(1, 1, 2), Ok(()));
        assert_eq!(put(2, 1, 3), Err(ErrorCode::Server), "a source may have two");
        assert_eq!(put(3, 2, 3), Ok(()));
        assert_eq!(put(4, 1, 1), Ok(()), "renewed, so it is not the oldest");
        assert_eq!(put(5, 3, 4), Ok(()));
        let has = |store: &ItemStore, number| store.get(&immutable_target(&value(number))).is_some();
        assert_eq!([1, 2, 3, 4].map(|number| has(&store, number)), [true, false, true, true]);
        store.expire(START + ITEM_LIFETIME + Duration::from_secs(4));
        assert_eq!([1, 2, 3, 4].map(|number| has(&store, number)), [false, false, false, true]);
        store.expire(START + ITEM_LIFETIME + Duration::from_secs(5));
        assert!(store.items.is_empty() && store.puts.is_empty() && store.sources.is_empty());
    }

    #[test]
    fn what_is_too_big_or_no_bencode_is_refused_with_its_number() {
        let (mut store, settings) = (store(), Settings::default());
        let mut put = |value: &[u8], mutable: Option<&MutablePut<'_>>| {
            store.put(START, Source::V4(1), value, mutable, &settings)
        };
        let long = format!("997:{}", "x".repeat(997));
        assert_eq!(put(long.as_bytes(), None), Err(ErrorCode::ValueTooBig));
        assert_eq!(put(b"d1:b0:1:a0:e", None), Err(ErrorCode::Protocol), "unsorted keys");
        let salt = [0; 65];
        let mutable = MutablePut { key: [1; 32], seq: 1, signature: [0; 64], salt: &salt, cas: None };
        assert_eq!(put(b"i1e", Some(&mutable)), Err(ErrorCode::SaltTooBig));
        let mutable = MutablePut { salt: b"", seq: -1, ..mutable };
        assert_eq!(put(b"i1e", Some(&mutable)), Err(ErrorCode::Protocol));
    }
}

//! Things in the order in which they were last heard of.

/// A slab whose elements form a doubly linked list: every operation is O(1), so that the one that was silent longest
/// can always be found and dropped.
#[derive(Debug)]
pub(super) struct Lru<T> {
    slots: Vec<Option<Slot<T>>>,
    free: Vec<u32>,
    oldest: Option<u32>,
    newest: Option<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    value: T,
    older: Option<u32>,
    newer: Option<u32>,
}

impl<T> Lru<T> {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), oldest: None, newest: None }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Adds an element as the newest. Its number is good until it is removed.
    pub(super) fn insert(&mut self, value: T) -> u32 {
        let slot = Some(Slot { value, older: None, newer: None });
        let at = match self.free.pop() {
            Some(at) => at,
            None => {
                self.slots.push(None);
                (self.slots.len() - 1) as u32
            }
        };
        if let Some(place) = self.slots.get_mut(at as usize) {
            *place = slot;
        }
        self.link(at);
        at
    }

    pub(super) fn get(&self, at: u32) -> Option<&T> {
        self.slots.get(at as usize)?.as_ref().map(|slot| &slot.value)
    }

    pub(super) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.slot(Some(at)).map(|slot| &mut slot.value)
    }

    /// Makes an element the newest.
    pub(super) fn touch(&mut self, at: u32) {
        if self.get(at).is_some() {
            self.unlink(at);
            self.link(at);
        }
    }

    pub(super) fn remove(&mut self, at: u32) -> Option<T> {
        self.get(at)?;
        self.unlink(at);
        self.free.push(at);
        self.slots.get_mut(at as usize)?.take().map(|slot| slot.value)
    }

    pub(super) fn oldest(&self) -> Option<u32> {
        self.oldest
    }

    /// From the oldest to the newest.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> + '_ {
        let next = |at: &u32| self.slots.get(*at as usize)?.as_ref()?.newer;
        std::iter::successors(self.oldest, next).filter_map(|at| self.get(at))
    }

    fn slot(&mut self, at: Option<u32>) -> Option<&mut Slot<T>> {
        self.slots.get_mut(at? as usize)?.as_mut()
    }

    fn link(&mut self, at: u32) {
        let older = self.newest.replace(at);
        if let Some(slot) = self.slot(Some(at)) {
            (slot.older, slot.newer) = (older, None);
        }
        match self.slot(older) {
            Some(slot) => slot.newer = Some(at),
            None => self.oldest = Some(at),
        }
    }

    fn unlink(&mut self, at: u32) {
        let Some((older, newer)) = self.slot(Some(at)).map(|slot| (slot.older, slot.newer)) else { return };
        match self.slot(older) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
        match self.slot(newer) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_behaves_like_a_list_that_is_searched(steps in prop::collection::vec((0u8..4, 0usize..8), 0..200)) {
            let mut lru = Lru::new();
            let mut twin: Vec<(u32, usize)> = Vec::new();
            for (value, (step, which)) in steps.into_iter().enumerate() {
                let chosen = twin.get(which).copied();
                match (step, chosen) {
                    (0 | 1, _) => twin.push((lru.insert(value), value)),
                    (2, Some((at, _))) => {
                        lru.touch(at);
                        let moved = twin.remove(which);
                        twin.push(moved);
                    }
                    (_, Some((at, value))) => {
                        prop_assert_eq!(lru.remove(at), Some(value));
                        prop_assert_eq!(lru.remove(at), None);
                        twin.remove(which);
                    }
                    _ => {}
                }
                prop_assert_eq!(lru.len(), twin.len());
                prop_assert_eq!(lru.oldest(), twin.first().map(|first| first.0));
                prop_assert_eq!(lru.iter().copied().collect::<Vec<_>>(), twin.iter().map(|t| t.1).collect::<Vec<_>>());
            }
        }
    }
}

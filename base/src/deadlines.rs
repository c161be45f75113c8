//! Many timers with one next deadline.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::Hash;

use crate::{Instant, Map, MapKey};

/// The deadlines of many children in one heap, keyed `(Instant, sequence)`: children that are due at the
/// same instant come out in the order in which they were set.
///
/// [`set`](Self::set) is O(log n), [`next`](Self::next) O(1). A deadline that is moved leaves its old entry
/// behind; such entries are dropped when they surface, and the heap is rebuilt when they outnumber the live ones.
#[derive(Debug)]
pub struct Deadlines<K> {
    heap: BinaryHeap<Reverse<(Instant, u64, K)>>,
    live: Map<K, (Instant, u64)>,
    sequence: u64,
}

impl<K: Copy + Ord + Hash> Deadlines<K> {
    /// No deadlines yet.
    #[must_use]
    pub fn new(key: MapKey) -> Self {
        Self { heap: BinaryHeap::new(), live: key.map(), sequence: 0 }
    }

    /// Sets, moves or (with `None`) clears the deadline of `child`.
    pub fn set(&mut self, child: K, deadline: Option<Instant>) {
        match deadline {
            Some(at) if self.live.get(&child).is_some_and(|live| live.0 == at) => {}
            Some(at) => {
                self.sequence += 1;
                self.live.insert(child, (at, self.sequence));
                self.heap.push(Reverse((at, self.sequence, child)));
                if self.heap.len() > 2 * self.live.len() + 64 {
                    self.heap =
                        self.live.iter().map(|(child, live)| Reverse((live.0, live.1, *child))).collect();
                }
            }
            None => {
                self.live.remove(&child);
            }
        }
        self.drop_stale();
    }

    /// The earliest deadline.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _, _))| *at)
    }

    /// Takes out one child whose deadline is at or before `now`; its deadline is gone with it.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        let Reverse((at, _, child)) = *self.heap.peek()?;
        if at > now {
            return None;
        }
        self.live.remove(&child);
        self.drop_stale();
        Some(child)
    }

    /// Keeps the invariant that the top of the heap is live, which makes `next` O(1).
    fn drop_stale(&mut self) {
        while let Some(Reverse((at, sequence, child))) = self.heap.peek() {
            if self.live.get(child) == Some(&(*at, *sequence)) {
                break;
            }
            self.heap.pop();
        }
    }
}

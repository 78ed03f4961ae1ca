// SPDX-License-Identifier: GPL-2.0

//! A bucket of the hash table: the flows whose keys hash to it.
//!
//! With its lock it is one cache line. Each handle in it carries eight bits of the hash as its
//! tag, so that a lookup reads no flow but, nearly always, the right one.

use super::{
    clock::Uptime,
    slab::Handle, //
};

/// Flows that a bucket holds at most.
///
/// The table has a bucket for four flows of a full cache: of buckets with four flows on average,
/// one in 50,000 would want more than fourteen, if keys fall into them like raindrops (Poisson
/// distribution).
pub(crate) const SLOTS: usize = 14;

/// Flows in a bucket of a full cache, on average.
pub(crate) const FLOWS_PER_BUCKET: usize = 4;

/// A bucket.
///
/// # Invariants
///
/// The handles come first, then the empty slots.
pub(crate) struct Bucket {
    /// Not later than the earliest deadline of a flow in it.
    pub(crate) due: Uptime,
    slots: [Option<Handle>; SLOTS],
}

impl Bucket {
    /// A bucket without flows.
    pub(crate) const EMPTY: Self = Self {
        due: Uptime::from_millis(0),
        slots: [const { None }; SLOTS],
    };

    /// Finds the handle with `tag` of which `is_it` holds.
    #[inline(always)]
    pub(crate) fn find(
        &mut self,
        tag: u8,
        mut is_it: impl FnMut(&Handle) -> bool,
    ) -> Option<&mut Handle> {
        for slot in &mut self.slots {
            match slot {
                Some(handle) if handle.tag() == tag && is_it(handle) => return Some(handle),
                Some(_) => {}
                None => return None,
            }
        }
        None
    }

    /// Whether no flow is in it.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.slots.first(), Some(None))
    }

    /// Whether no further flow fits in.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self.slots.last(), Some(Some(_)))
    }

    /// The handles.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Handle> {
        self.slots.iter().map_while(Option::as_ref)
    }

    /// Puts in a flow that may expire at `deadline`. Gives the handle back if the bucket is full.
    #[inline]
    pub(crate) fn insert(&mut self, handle: Handle, deadline: Uptime) -> Result<(), Handle> {
        self.due = if self.is_empty() {
            deadline
        } else {
            self.due.min(deadline)
        };
        match self.slots.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => {
                *slot = Some(handle);
                Ok(())
            }
            None => Err(handle),
        }
    }

    /// Takes out the handles for which `leaves` has a reason, and gives both to `taken`.
    pub(crate) fn take<R>(
        &mut self,
        mut leaves: impl FnMut(&Handle) -> Option<R>,
        mut taken: impl FnMut(Handle, R),
    ) {
        let mut kept = 0;
        for i in 0..SLOTS {
            let Some(handle) = self.slots.get_mut(i).and_then(Option::take) else {
                break;
            };
            if let Some(reason) = leaves(&handle) {
                taken(handle, reason);
            } else if let Some(slot) = self.slots.get_mut(kept) {
                *slot = Some(handle);
                kept = usize::wrapping_add(kept, 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::slab::{
            Cell,
            Slab, //
        },
        *,
    };
    use proptest::prelude::*;

    fn handles(n: u32) -> (Slab<u32, Vec<Cell<u32>>>, Vec<Handle>) {
        let (slab, handles) = Slab::new((0..n).map(Cell::new).collect::<Vec<_>>());
        let handles = handles.map(|handle| {
            let tag = *slab.get(&handle) as u8 % 3;
            handle.with_tag(tag)
        });
        let handles = handles.collect();
        (slab, handles)
    }

    #[test]
    fn fits_a_cache_line_with_its_lock() {
        assert_eq!(size_of::<Bucket>() + size_of::<u32>(), 64);
    }

    #[test]
    fn gives_back_what_does_not_fit() {
        let (slab, handles) = handles(SLOTS as u32 + 1);
        let mut bucket = Bucket::EMPTY;
        for handle in handles {
            let number = *slab.get(&handle);
            let full = bucket.is_full();
            let refused = bucket.insert(handle, Uptime::from_millis(0)).err();
            assert_eq!(refused.map(|h| *slab.get(&h)), full.then_some(number));
        }
        assert_eq!(bucket.iter().count(), SLOTS);
    }

    #[test]
    fn is_due_with_its_first() {
        let (_slab, handles) = handles(3);
        let mut bucket = Bucket::EMPTY;
        for (handle, deadline) in handles.into_iter().zip([500, 300, 400]) {
            assert!(bucket.insert(handle, Uptime::from_millis(deadline)).is_ok());
        }
        assert_eq!(bucket.due, Uptime::from_millis(300));
    }

    proptest! {
        /// Against a plain list: whatever is put in and taken out, both hold the same, in order.
        #[test]
        fn behaves_like_a_list(count in 0u32..=SLOTS as u32, rounds in proptest::collection::vec(any::<u16>(), 1..5)) {
            let (slab, handles) = handles(count);
            let mut bucket = Bucket::EMPTY;
            let mut list: Vec<u32> = (0..count).collect();
            for handle in handles {
                prop_assert!(bucket.insert(handle, Uptime::from_millis(0)).is_ok());
            }
            for mask in rounds {
                let leaves = |n: u32| mask & (1 << n) != 0;
                let mut taken = Vec::new();
                bucket.take(|h| leaves(*slab.get(h)).then_some(()), |h, ()| taken.push(h));
                let expected: Vec<u32> = list.iter().copied().filter(|&n| leaves(n)).collect();
                prop_assert_eq!(taken.iter().map(|h| *slab.get(h)).collect::<Vec<_>>(), expected);
                list.retain(|&n| !leaves(n));
                prop_assert_eq!(bucket.iter().map(|h| *slab.get(h)).collect::<Vec<_>>(), list.clone());
                prop_assert_eq!(bucket.is_empty(), list.is_empty());
                for n in 0..count {
                    let found = bucket.find(n as u8 % 3, |h| *slab.get(h) == n);
                    prop_assert_eq!(found.is_some(), list.contains(&n));
                }
            }
        }
    }
}

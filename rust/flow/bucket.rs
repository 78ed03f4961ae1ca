// SPDX-License-Identifier: GPL-2.0

//! A bucket of the hash table: the flows whose keys hash to it.
//!
//! ```text
//!   lock | due | homes | 4 tags | 12 x (tag, handle)     one cache line
//!                  |                       |
//!                  v                       v
//!          flow|flow|flow|flow           flow            one cache line each (IPv4)
//! ```
//!
//! A bucket has homes for four flows, and handles of the cells that further ones have spilled into. The hash
//! of a key says which of the homes is to be its flow's if nobody lives there yet: so a packet's CPU
//! can fetch that one together with the bucket, before it knows what is in either. Each home and each
//! handle has seven bits of the hash as its tag, so that a look-up reads no flow but, nearly always, the
//! right one.

use core::{
    num::NonZeroU8,
    ops::Deref, //
};

use super::{
    clock::Uptime,
    key::{
        Address,
        Key, //
    },
    record::Flow,
    slab::{
        Cell,
        Handle,
        Slab, //
    },
};

/// Flows that a bucket has homes for. The table has a bucket for as many flows of a full cache.
pub(crate) const HOMES: usize = 4;

/// Further flows that a bucket has handles of.
const SPILLED: usize = 12;

/// Flows of a bucket at most.
///
/// Of buckets with four flows on average, one in a million would want more, if keys fall into them like
/// raindrops (Poisson distribution).
pub(crate) const SLOTS: usize = HOMES + SPILLED;

/// Of `flows` flows in a full cache, how many find no home in their bucket: by Poisson's distribution
/// 0.195 of them, with a deviation of 0.305 times the root of `flows`. Five times the deviation is in it.
pub(crate) const fn spilled_of(flows: usize) -> usize {
    flows / 5 + 128
}

/// What the hash of a key says of its flow within the bucket: the lower nine bits count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(u32);

impl Mark {
    /// The mark of a hash.
    #[inline(always)]
    pub(crate) fn of(hash: u32) -> Self {
        Self(hash)
    }

    /// Which of the places in the bucket comes first.
    #[inline(always)]
    pub(crate) fn home(self) -> usize {
        (self.0 >> 7) as usize % HOMES
    }

    /// Tells flows of a bucket apart, nearly always: seven bits, and one so that it is not zero.
    #[inline(always)]
    fn tag(self) -> NonZeroU8 {
        // CAST: Eight bits.
        NonZeroU8::MIN | ((self.0 << 1) as u8)
    }
}

/// The homes of a bucket.
pub(crate) type Homes<A> = [Flow<A>; HOMES];

/// Where one more flow can be.
#[must_use]
pub(crate) enum Vacancy<A: Address> {
    Home(usize),
    Cell(Handle<Flow<A>>),
}

/// A bucket.
///
/// # Invariants
///
/// The handles come first, then the empty slots; there are none as long as a home is vacant. A home without a
/// tag is.
#[repr(C)]
pub(crate) struct Bucket<A: Address> {
    /// Not later than the earliest deadline of a flow in it.
    pub(crate) due: Uptime,
    homes: Handle<Homes<A>>,
    tags: [Option<NonZeroU8>; HOMES],
    spilled: [Option<Handle<Flow<A>>>; SPILLED],
}

impl<A: Address> Bucket<A> {
    /// A bucket without flows.
    pub(crate) const fn new(homes: Handle<Homes<A>>) -> Self {
        Self {
            due: Uptime::from_millis(0),
            homes,
            tags: [None; HOMES],
            spilled: [const { None }; SPILLED],
        }
    }

    /// Whether no flow is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.tags == [None; HOMES] && matches!(self.spilled.first(), Some(None))
    }

    /// Looks where the flow with `mark` can be: in its own home, in another one, or in the cell that
    /// `spare` gives, which is asked only if the bucket has a slot for it.
    #[inline]
    pub(crate) fn vacancy(
        &self,
        mark: Mark,
        spare: impl FnOnce() -> Option<Handle<Flow<A>>>,
    ) -> Option<Vacancy<A>> {
        if let Some(None) = self.tags.get(mark.home()) {
            return Some(Vacancy::Home(mark.home()));
        }
        let mut homes = (0..HOMES).zip(&self.tags);
        if let Some((home, _)) = homes.find(|(_, tag)| tag.is_none()) {
            return Some(Vacancy::Home(home));
        }
        match self.spilled.last() {
            Some(None) => spare().map(Vacancy::Cell),
            _ => None,
        }
    }
}

/// The memory of the flows of all buckets.
pub(crate) struct Cells<A: Address, H, S> {
    homes: Slab<Homes<A>, H>,
    spilled: Slab<Flow<A>, S>,
}

impl<A, H, S> Cells<A, H, S>
where
    A: Address,
    H: Deref<Target = [Cell<Homes<A>>]>,
    S: Deref<Target = [Cell<Flow<A>>]>,
{
    /// The memory, with the homes of bucket `n` at place `n`.
    pub(crate) fn new(homes: Slab<Homes<A>, H>, spilled: Slab<Flow<A>, S>) -> Self {
        Self { homes, spilled }
    }

    /// Where the flow with `mark` of the bucket with that number is to be, if nobody was there before.
    #[inline(always)]
    pub(crate) fn home(&self, bucket: usize, mark: Mark) -> *const Flow<A> {
        let homes = self.homes.address(bucket);
        homes.cast::<Flow<A>>().wrapping_add(mark.home())
    }

    /// Finds the flow of a key in its bucket.
    #[inline(always)]
    pub(crate) fn find<'a>(
        &'a self,
        bucket: &'a mut Bucket<A>,
        mark: Mark,
        key: &Key<A>,
    ) -> Option<&'a mut Flow<A>> {
        let (home, tag) = (mark.home(), Some(mark.tag()));
        if bucket.tags.get(home) == Some(&tag)
            && (self.homes.get(&bucket.homes).get(home)).is_some_and(|flow| flow.key == *key)
        {
            return self.homes.get_mut(&mut bucket.homes).get_mut(home);
        }
        self.find_elsewhere(bucket, mark, *key)
    }

    /// The same, if somebody else lived in its home when it came.
    #[inline(never)]
    fn find_elsewhere<'a>(
        &'a self,
        bucket: &'a mut Bucket<A>,
        mark: Mark,
        key: Key<A>,
    ) -> Option<&'a mut Flow<A>> {
        let tag = mark.tag();
        if bucket.tags.contains(&Some(tag)) {
            let homes = self.homes.get_mut(&mut bucket.homes);
            for (its, flow) in bucket.tags.iter().zip(homes) {
                if *its == Some(tag) && flow.key == key {
                    return Some(flow);
                }
            }
        }
        for handle in bucket.spilled.iter_mut().map_while(Option::as_mut) {
            if handle.tag() == tag.get() && self.spilled.get(handle).key == key {
                return Some(self.spilled.get_mut(handle));
            }
        }
        None
    }

    /// The flows of a bucket.
    pub(crate) fn iter<'a>(&'a self, bucket: &'a Bucket<A>) -> impl Iterator<Item = &'a Flow<A>> {
        let homes = self.homes.get(&bucket.homes);
        let spilled = bucket.spilled.iter().map_while(Option::as_ref);
        (bucket.tags.iter().zip(homes))
            .filter_map(|(tag, flow)| tag.and(Some(flow)))
            .chain(spilled.map(|handle| self.spilled.get(handle)))
    }

    /// Puts a flow, which may expire at `deadline`, into a `vacancy` of its bucket.
    #[inline]
    pub(crate) fn put(
        &self,
        bucket: &mut Bucket<A>,
        vacancy: Vacancy<A>,
        mark: Mark,
        flow: Flow<A>,
        deadline: Uptime,
    ) {
        bucket.due = match bucket.is_empty() {
            true => deadline,
            false => bucket.due.min(deadline),
        };
        match vacancy {
            Vacancy::Home(home) => {
                let place = self.homes.get_mut(&mut bucket.homes).get_mut(home);
                if let (Some(tag), Some(place)) = (bucket.tags.get_mut(home), place) {
                    *tag = Some(mark.tag());
                    *place = flow;
                }
            }
            Vacancy::Cell(handle) => {
                let mut handle = handle.with_tag(mark.tag().get());
                *self.spilled.get_mut(&mut handle) = flow;
                if let Some(slot) = bucket.spilled.iter_mut().find(|slot| slot.is_none()) {
                    *slot = Some(handle);
                }
            }
        }
    }

    /// Takes the flows out of a bucket of which `leaves` holds, and returns how many. Those that had spilled
    /// move into the homes that become vacant: there are never more of them than need be. The cells that
    /// are left are for `spare`.
    pub(crate) fn take(
        &self,
        bucket: &mut Bucket<A>,
        mut leaves: impl FnMut(&Flow<A>) -> bool,
        mut spare: impl FnMut(Handle<Flow<A>>),
    ) -> u32 {
        let mut taken = 0u32;
        let homes = self.homes.get_mut(&mut bucket.homes);
        for (tag, flow) in bucket.tags.iter_mut().zip(&*homes) {
            if tag.is_some() && leaves(flow) {
                *tag = None;
                taken = taken.wrapping_add(1);
            }
        }
        let mut kept = 0;
        for i in 0..SPILLED {
            let Some(handle) = bucket.spilled.get_mut(i).and_then(Option::take) else {
                break;
            };
            if leaves(self.spilled.get(&handle)) {
                spare(handle);
                taken = taken.wrapping_add(1);
            } else if let Some(slot) = bucket.spilled.get_mut(kept) {
                *slot = Some(handle);
                kept = usize::wrapping_add(kept, 1);
            }
        }
        let mut rest = bucket.spilled.iter_mut().rev().filter_map(Option::take);
        for (tag, home) in bucket.tags.iter_mut().zip(homes) {
            if tag.is_none() {
                let Some(handle) = rest.next() else {
                    break;
                };
                *home = *self.spilled.get(&handle);
                *tag = NonZeroU8::new(handle.tag());
                spare(handle);
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests;

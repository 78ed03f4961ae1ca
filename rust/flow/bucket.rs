// SPDX-License-Identifier: GPL-2.0

//! A bucket of the hash table: the flows whose keys hash to it.
//!
//! ```text
//!   lock | due | primary | 4 tags | 12 x (tag, handle)     one cache line
//!                   |                      |
//!                   v                      v
//!           flow|flow|flow|flow          flow              one cache line each (IPv4)
//!              primary slots          spill slot
//! ```
//!
//! A bucket has primary slots for four flows, and handles of the spill slots of further ones. The
//! hash of a key says which primary slot is its flow's if no other flow has it: so a packet's CPU
//! can fetch that one together with the bucket, before it knows what is in either. Each primary
//! slot and each handle has seven bits of the hash as its tag, so that a look-up reads no flow but,
//! nearly always, the right one.

use core::{
    num::NonZeroU8,
    ops::Deref, //
};

use super::{
    entry::{
        Counts,
        Flow, //
    },
    expiry::Policy,
    key::{
        Address,
        Key, //
    },
    slab::{
        Handle,
        Slab, //
        Slot,
    },
    uptime::Uptime,
};

/// Primary slots of a bucket. The table has `max / PRIMARY_SLOTS` buckets, rounded up.
pub(crate) const PRIMARY_SLOTS: usize = 4;

/// Further flows that a bucket has handles of.
const SPILL_SLOTS: usize = 12;

/// Flows of a bucket at most.
///
/// Of buckets with four flows on average, one in a million would need more, if keys are spread at
/// random (Poisson distribution).
pub(crate) const SLOTS: usize = PRIMARY_SLOTS + SPILL_SLOTS;

/// Of `flows` flows in a full cache, how many find no free primary slot: by Poisson's distribution
/// 0.195 of them, with a deviation of 0.305 times the root of `flows`. Five times the deviation is
/// in it.
pub(crate) const fn spill_slots_for(flows: usize) -> usize {
    flows / 5 + 128
}

/// What the hash of a key says of its flow within the bucket: the lower nine bits count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HashBits(u32);

impl HashBits {
    /// Those of a hash.
    #[inline(always)]
    pub(crate) const fn of(hash: u32) -> Self {
        Self(hash)
    }

    /// Which of the primary slots the flow is to have.
    #[inline(always)]
    pub(crate) fn primary(self) -> usize {
        (self.0 >> 7) as usize % PRIMARY_SLOTS
    }

    /// Tells flows of a bucket apart, nearly always: seven bits, and one so that it is not zero.
    #[inline(always)]
    fn tag(self) -> NonZeroU8 {
        // CAST: Eight bits.
        NonZeroU8::MIN | ((self.0 << 1) as u8)
    }
}

/// The primary slots of a bucket.
pub(crate) type PrimarySlots<A> = [Flow<A>; PRIMARY_SLOTS];

/// A slot for one more flow.
#[must_use]
pub(crate) enum Vacancy<A: Address> {
    Primary(usize),
    Spill(Handle<Flow<A>>),
}

/// A bucket.
///
/// # Invariants
///
/// The handles in `spill` come first, then the empty ones; there are none as long as a primary slot
/// is vacant. A primary slot without a tag is vacant.
#[repr(C)]
pub(crate) struct Bucket<A: Address> {
    /// Not later than the earliest deadline of a flow in it, by the policy that held when its
    /// packets came.
    pub(crate) due: Uptime,
    primary: Handle<PrimarySlots<A>>,
    tags: [Option<NonZeroU8>; PRIMARY_SLOTS],
    spill: [Option<Handle<Flow<A>>>; SPILL_SLOTS],
}

impl<A: Address> Bucket<A> {
    /// A bucket without flows.
    pub(crate) const fn new(primary: Handle<PrimarySlots<A>>) -> Self {
        Self {
            due: Uptime::from_millis(0),
            primary,
            tags: [None; PRIMARY_SLOTS],
            spill: [const { None }; SPILL_SLOTS],
        }
    }

    /// Whether no flow is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.tags == [None; PRIMARY_SLOTS] && matches!(self.spill.first(), Some(None))
    }

    /// Looks for a slot for the flow with `bits`: its own primary slot, another one, or the spill
    /// slot that `free_spill` gives, which is asked only if the bucket can hold a further handle.
    #[inline]
    pub(crate) fn vacancy(
        &self,
        bits: HashBits,
        free_spill: impl FnOnce() -> Option<Handle<Flow<A>>>,
    ) -> Option<Vacancy<A>> {
        if let Some(None) = self.tags.get(bits.primary()) {
            return Some(Vacancy::Primary(bits.primary()));
        }
        let mut slots = (0..PRIMARY_SLOTS).zip(&self.tags);
        if let Some((i, _)) = slots.find(|(_, tag)| tag.is_none()) {
            return Some(Vacancy::Primary(i));
        }
        match self.spill.last() {
            Some(None) => free_spill().map(Vacancy::Spill),
            _ => None,
        }
    }
}

/// The slots of all buckets.
pub(crate) struct FlowSlots<A: Address, H, S> {
    primary: Slab<PrimarySlots<A>, H>,
    spill: Slab<Flow<A>, S>,
}

impl<A, H, S> FlowSlots<A, H, S>
where
    A: Address,
    H: Deref<Target = [Slot<PrimarySlots<A>>]>,
    S: Deref<Target = [Slot<Flow<A>>]>,
{
    /// The slots, with the primary ones of bucket `n` at index `n`.
    pub(crate) fn new(primary: Slab<PrimarySlots<A>, H>, spill: Slab<Flow<A>, S>) -> Self {
        Self { primary, spill }
    }

    /// Address of the primary slot for the flow with `bits` of the bucket with that number.
    #[inline(always)]
    pub(crate) fn primary_slot(&self, bucket: usize, bits: HashBits) -> *const Flow<A> {
        let slots = self.primary.address(bucket);
        slots.cast::<Flow<A>>().wrapping_add(bits.primary())
    }

    /// Finds the flow of a key in its bucket.
    #[inline(always)]
    pub(crate) fn find<'a>(
        &'a self,
        bucket: &'a mut Bucket<A>,
        bits: HashBits,
        key: &Key<A>,
    ) -> Option<&'a mut Flow<A>> {
        let (own, tag) = (bits.primary(), Some(bits.tag()));
        if bucket.tags.get(own) == Some(&tag)
            && (self.primary.get(&bucket.primary).get(own)).is_some_and(|flow| flow.key == *key)
        {
            return self.primary.get_mut(&mut bucket.primary).get_mut(own);
        }
        self.find_elsewhere(bucket, bits, *key)
    }

    /// The same, if another flow had its own primary slot when it came.
    #[inline(never)]
    fn find_elsewhere<'a>(
        &'a self,
        bucket: &'a mut Bucket<A>,
        bits: HashBits,
        key: Key<A>,
    ) -> Option<&'a mut Flow<A>> {
        let tag = bits.tag();
        if bucket.tags.contains(&Some(tag)) {
            let primary = self.primary.get_mut(&mut bucket.primary);
            for (its, flow) in bucket.tags.iter().zip(primary) {
                if *its == Some(tag) && flow.key == key {
                    return Some(flow);
                }
            }
        }
        for handle in bucket.spill.iter_mut().map_while(Option::as_mut) {
            if handle.tag() == tag.get() && self.spill.get(handle).key == key {
                return Some(self.spill.get_mut(handle));
            }
        }
        None
    }

    /// Adds packets, which came at `at`, to the flow of a key, and brings the bucket's deadline
    /// forward if they do so for the flow's. Returns the flow, if there is one.
    pub(crate) fn add<'a>(
        &'a self,
        bucket: &'a mut Bucket<A>,
        (bits, key): (HashBits, &Key<A>),
        counts: Counts,
        at: Uptime,
        policy: &Policy,
    ) -> Option<&'a Flow<A>> {
        let flow = self.find(bucket, bits, key)?;
        let was_finished = flow.is_finished();
        let is_earlier = flow.add(counts, at);
        let overflows = flow.bytes >= policy.max_bytes;
        if is_earlier || overflows || flow.is_finished() != was_finished {
            self.advance_due(bucket, bits, key, policy);
        }
        self.find(bucket, bits, key).map(|flow| &*flow)
    }

    /// Brings a bucket's deadline forward to that of the flow of a key.
    #[cold]
    pub(crate) fn advance_due(
        &self,
        bucket: &mut Bucket<A>,
        bits: HashBits,
        key: &Key<A>,
        policy: &Policy,
    ) {
        if let Some(deadline) = (self.find(bucket, bits, key)).map(|flow| policy.deadline(flow)) {
            bucket.due = bucket.due.min(deadline);
        }
    }

    /// The flows of a bucket.
    pub(crate) fn iter<'a>(&'a self, bucket: &'a Bucket<A>) -> impl Iterator<Item = &'a Flow<A>> {
        let primary = self.primary.get(&bucket.primary);
        let spill = bucket.spill.iter().map_while(Option::as_ref);
        (bucket.tags.iter().zip(primary))
            .filter_map(|(tag, flow)| tag.and(Some(flow)))
            .chain(spill.map(|handle| self.spill.get(handle)))
    }

    /// Puts a flow, which may expire at `deadline`, into a `vacancy` of its bucket.
    #[inline]
    pub(crate) fn put(
        &self,
        bucket: &mut Bucket<A>,
        vacancy: Vacancy<A>,
        bits: HashBits,
        flow: Flow<A>,
        deadline: Uptime,
    ) {
        bucket.due = match bucket.is_empty() {
            true => deadline,
            false => bucket.due.min(deadline),
        };
        match vacancy {
            Vacancy::Primary(i) => {
                let slot = self.primary.get_mut(&mut bucket.primary).get_mut(i);
                if let (Some(tag), Some(slot)) = (bucket.tags.get_mut(i), slot) {
                    *tag = Some(bits.tag());
                    *slot = flow;
                }
            }
            Vacancy::Spill(handle) => {
                let mut handle = handle.with_tag(bits.tag().get());
                *self.spill.get_mut(&mut handle) = flow;
                if let Some(slot) = bucket.spill.iter_mut().find(|slot| slot.is_none()) {
                    *slot = Some(handle);
                }
            }
        }
    }

    /// Takes the flows out of a bucket of which `leaves` holds, and returns how many. Flows in
    /// spill slots move to the primary slots that become vacant, so that no more spill slots are
    /// used than need be. Those that become free are passed to `free_spill`.
    pub(crate) fn take(
        &self,
        bucket: &mut Bucket<A>,
        mut leaves: impl FnMut(&Flow<A>) -> bool,
        mut free_spill: impl FnMut(Handle<Flow<A>>),
    ) -> u32 {
        let mut taken = 0u32;
        let primary = self.primary.get_mut(&mut bucket.primary);
        for (tag, flow) in bucket.tags.iter_mut().zip(&*primary) {
            if tag.is_some() && leaves(flow) {
                *tag = None;
                taken = taken.wrapping_add(1);
            }
        }
        let mut kept = 0;
        for i in 0..SPILL_SLOTS {
            let Some(handle) = bucket.spill.get_mut(i).and_then(Option::take) else {
                break;
            };
            if leaves(self.spill.get(&handle)) {
                free_spill(handle);
                taken = taken.wrapping_add(1);
            } else if let Some(slot) = bucket.spill.get_mut(kept) {
                *slot = Some(handle);
                kept = usize::wrapping_add(kept, 1);
            }
        }
        let mut rest = bucket.spill.iter_mut().rev().filter_map(Option::take);
        for (tag, primary) in bucket.tags.iter_mut().zip(primary) {
            if tag.is_none() {
                let Some(handle) = rest.next() else {
                    break;
                };
                *primary = *self.spill.get(&handle);
                *tag = NonZeroU8::new(handle.tag());
                free_spill(handle);
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests;

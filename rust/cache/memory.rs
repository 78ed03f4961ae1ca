// SPDX-License-Identifier: GPL-2.0

//! The memory of the flows: primary slots for all that there may be, and spill slots.
//!
//! [`reserve`] is an `unsafe fn`, which `Cache::new` calls: that handles are used with no other
//! slab is for its caller to keep.

use kernel::{
    alloc::Flags,
    prelude::*, //
};

use super::Cache;
use crate::{
    flow::{
        bucket::{
            spill_slots_for,
            FlowSlots,
            PrimarySlots, //
        },
        entry::Flow,
        key::Address,
        slab::{
            Handle,
            Slab,
            Slot, //
        },
    },
    linux::{
        alloc::check_available,
        bh_lock::{
            lock_with,
            BhDisabled, //
        },
        cond_resched_at, //
    },
};

/// Spill slots that no flow has.
pub(super) type FreeSpillSlots<A> = KVVec<Handle<Flow<A>>>;

/// The slots of all flows.
pub(super) type Memory<A> = FlowSlots<A, KVVec<Slot<PrimarySlots<A>>>, KVVec<Slot<Flow<A>>>>;

/// What [`reserve`] reserves.
pub(super) struct Reserved<A: Address, H> {
    pub(super) memory: Memory<A>,
    /// The primary slots of each bucket, in order.
    pub(super) primary: H,
    pub(super) free_spill: FreeSpillSlots<A>,
}

/// Reserves memory for a cache of `max` flows in so many `buckets`. Process context.
///
/// # Safety
///
/// The handles must be used with no other memory than what is returned with them.
pub(super) unsafe fn reserve<A: Address>(
    max: u32,
    buckets: usize,
    flags: Flags,
) -> Result<Reserved<A, impl Iterator<Item = Handle<PrimarySlots<A>>>>> {
    let primary = slots(buckets, [Flow::VACANT; _], flags)?;
    let spill = slots(spill_slots_for(max as usize), Flow::VACANT, flags)?;
    let mut free_spill = KVVec::with_capacity(spill.len(), flags)?;
    // SAFETY: By the requirement of this function. The two slabs differ in the type of their slots.
    let ((primary, each), (spill, handles)) = unsafe { (Slab::new(primary), Slab::new(spill)) };
    for handle in handles {
        cond_resched_at(free_spill.len());
        free_spill
            .push_within_capacity(handle)
            .map_err(|_| ENOMEM)?;
    }
    Ok(Reserved {
        memory: FlowSlots::new(primary, spill),
        primary: each,
        free_spill,
    })
}

fn slots<T: Copy>(count: usize, vacant: T, flags: Flags) -> Result<KVVec<Slot<T>>> {
    check_available(count, size_of::<Slot<T>>())?;
    let mut slots = KVVec::with_capacity(count, flags)?;
    for i in 0..count {
        cond_resched_at(i);
        slots
            .push_within_capacity(Slot::new(vacant))
            .map_err(|_| ENOMEM)?;
    }
    Ok(slots)
}

impl<A: Address> Cache<A> {
    /// Takes a spill slot, if one is free.
    pub(super) fn pop_spill_slot(&self, bh: BhDisabled<'_>) -> Option<Handle<Flow<A>>> {
        lock_with(&self.free_spill.data, bh).pop()
    }

    /// Gives a spill slot back.
    pub(super) fn push_spill_slot(&self, slot: Handle<Flow<A>>, bh: BhDisabled<'_>) {
        // It fits: the vector was made for all of them.
        let _ = lock_with(&self.free_spill.data, bh).push_within_capacity(slot);
    }
}

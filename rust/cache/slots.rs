// SPDX-License-Identifier: GPL-2.0

//! The slot budget: how many more flows there may be. All caches of a namespace share it.
//!
//! It is divided into shards, for each cache one for each CPU, so that new flows on two CPUs or of
//! two address families meet at no lock. A CPU reserves slots of its own shard, and some of another
//! one when its own has none. A flow that leaves releases its slot to the shard of its bucket.
//!
//! Each shard remembers in which of its buckets flows have finished: should no slot be free at all,
//! one of those flows can be evicted.

use kernel::{
    alloc::Flags,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
};

use crate::{
    flow::ring::Ring,
    linux::{
        bh_lock::{
            lock_with,
            new_spinlock_bh,
            BhDisabled,
            CacheAligned, //
        },
        percpu::{
            cpus_online,
            this_cpu, //
        },
        rwonce::read_once,
    },
};

/// The most shards, one for each bit of a [`ShardSet`], and the fewest flows that are worth one.
const SHARDS_MAX: usize = u64::BITS as usize;
const FLOWS_MIN: u32 = 512;

/// How many slots a CPU reserves of another one's shard at a time. On their way they count as used.
const SLOTS_AT_A_TIME: u32 = 32;

struct Shard {
    /// Slots that are free.
    free: u32,
    /// Buckets in which flows have finished, if they are still in the cache.
    finished: Ring<KVVec<u32>>,
    /// How many of these were there when the walk before the last one began.
    before_last_walk: usize,
    /// How many when the last one began.
    before_this_walk: usize,
}

impl Shard {
    /// A shard with `free` slots that remembers `finished` buckets.
    fn new(free: u32, finished: usize, flags: Flags) -> Result<Self> {
        Ok(Self {
            free,
            finished: Ring::new(KVVec::from_elem(0, finished, flags)?),
            before_last_walk: 0,
            before_this_walk: 0,
        })
    }

    fn next_finished(&mut self) -> Option<u32> {
        self.before_last_walk = self.before_last_walk.saturating_sub(1);
        self.before_this_walk = self.before_this_walk.saturating_sub(1);
        self.finished.pop()
    }
}

/// A set of shards: a bit for each, changed under the shard's lock, read without.
#[repr(align(64))]
struct ShardSet(Atomic<u64>);

/// The bit of a shard.
fn bit(shard: usize) -> u64 {
    // CAST: Less than 64.
    1u64.wrapping_shl(shard as u32)
}

impl ShardSet {
    fn insert(&self, shard: usize) {
        self.0.add(bit(shard), Relaxed);
    }

    fn remove(&self, shard: usize) {
        self.0.fetch_sub(bit(shard), Relaxed);
    }

    #[inline(always)]
    fn is_empty(&self) -> bool {
        read_once(&self.0) == 0
    }

    /// The first shard in it, from `own` on.
    fn find(&self, own: usize) -> Option<usize> {
        let set = self.0.load(Relaxed);
        if set == 0 {
            return None;
        }
        // CAST: Less than 64, both of them.
        let distance = set.rotate_right(own as u32).trailing_zeros() as usize;
        Some(own.wrapping_add(distance) % SHARDS_MAX)
    }
}

/// The slots of all caches of a namespace.
pub(crate) struct SlotBudget {
    shards: Pin<KVBox<[CacheAligned<Shard>]>>,
    /// Flows at most, in all caches together.
    max: u32,
    /// How many caches there are, and shards for each: a power of two.
    caches: usize,
    shards_per_cache: usize,
    with_free: ShardSet,
}

impl SlotBudget {
    /// Slots for `max` flows in that many caches, at first the same for each. Process context.
    /// `EINVAL` if there are no caches, or too many.
    pub(crate) fn new(max: u32, caches: usize, flags: Flags) -> Result<Arc<Self>> {
        if !(1..=SHARDS_MAX).contains(&caches) {
            return Err(EINVAL);
        }
        let shards_per_cache = shards_for(max, caches);
        let count = shards_per_cache.saturating_mul(caches);
        // CAST: At most 64.
        let count_u32 = count as u32;
        let shards = KVBox::pin_slice(
            |i| {
                // What does not divide evenly goes to the first ones. CAST: Less than 64.
                let free = max
                    .saturating_add(count_u32.saturating_sub(1).saturating_sub(i as u32))
                    .checked_div(count_u32)
                    .unwrap_or(0);
                // Any cache may come to have all flows, and all of them may have finished.
                let finished = (max as usize).div_ceil(shards_per_cache.max(1));
                let shard = Shard::new(free, finished, flags);
                try_pin_init!(CacheAligned {
                    data <- new_spinlock_bh!(shard?, "netflow_slots"),
                }? Error)
            },
            count,
            flags,
        )?;
        let with_free = ShardSet(Atomic::new(0));
        for (i, shard) in (0..count).zip(shards.iter()) {
            if shard.data.lock().free != 0 {
                with_free.insert(i);
            }
        }
        let this = Self {
            shards,
            max,
            caches,
            shards_per_cache,
            with_free,
        };
        Ok(Arc::new(this, flags)?)
    }

    /// Flows at most.
    pub(crate) fn max(&self) -> u32 {
        self.max
    }

    /// Whether no slot is free.
    #[inline(always)]
    pub(crate) fn is_exhausted(&self) -> bool {
        self.with_free.is_empty()
    }

    /// Slots that flows have, or that are reserved. Process context or softirq.
    pub(crate) fn used(&self) -> u32 {
        self.shards.iter().fold(self.max, |used, shard| {
            used.saturating_sub(shard.data.lock().free)
        })
    }

    /// Reserves some slots of a shard, if any is free, and returns how many.
    #[inline(always)]
    fn reserve_from(&self, i: usize, some: impl Fn(u32) -> u32, bh: BhDisabled<'_>) -> u32 {
        let Some(shard) = self.shards.get(i) else {
            return 0;
        };
        let mut shard = lock_with(&shard.data, bh);
        if shard.free == 0 {
            return 0;
        }
        let reserved = some(shard.free);
        shard.free = shard.free.wrapping_sub(reserved);
        if shard.free == 0 {
            self.with_free.remove(i);
        }
        reserved
    }

    /// Releases slots to a shard.
    #[inline]
    fn release_to(&self, i: usize, slots: u32, bh: BhDisabled<'_>) {
        if slots == 0 {
            return;
        }
        if let Some(shard) = self.shards.get(i) {
            let mut shard = lock_with(&shard.data, bh);
            if shard.free == 0 {
                self.with_free.insert(i);
            }
            shard.free = shard.free.saturating_add(slots);
        }
    }
}

/// What a cache has of the budget.
pub(super) struct CacheSlots {
    budget: Arc<SlotBudget>,
    /// The first of its shards.
    first: usize,
    /// How many it has, less one: a mask.
    mask: usize,
    /// Those in which flows have finished.
    with_finished: ShardSet,
}

impl CacheSlots {
    /// The share of cache number `cache`, from 0. `EINVAL` if there is no such cache.
    pub(super) fn new(budget: Arc<SlotBudget>, cache: usize) -> Result<Self> {
        if cache >= budget.caches {
            return Err(EINVAL);
        }
        let shards = budget.shards_per_cache;
        Ok(Self {
            first: shards.wrapping_mul(cache),
            mask: shards.wrapping_sub(1),
            budget,
            with_finished: ShardSet(Atomic::new(0)),
        })
    }

    /// The budget.
    #[inline(always)]
    pub(super) fn budget(&self) -> &SlotBudget {
        &self.budget
    }

    /// The shard of this CPU.
    #[inline(always)]
    fn own(&self, bh: BhDisabled<'_>) -> usize {
        self.first.wrapping_add(this_cpu(bh) as usize & self.mask)
    }

    /// The shard of a bucket.
    #[inline(always)]
    fn of_bucket(&self, bucket: u32) -> usize {
        self.first.wrapping_add(bucket as usize & self.mask)
    }

    /// Its shards, with their numbers.
    fn shards(&self) -> impl Iterator<Item = (usize, &CacheAligned<Shard>)> {
        let end = self.first.wrapping_add(self.mask).wrapping_add(1);
        let shards = self.budget.shards.get(self.first..end);
        (self.first..end).zip(shards.unwrap_or_default().iter())
    }

    /// Slots for the flows that a run of `packets` may begin. None is reserved yet.
    #[inline(always)]
    pub(super) fn reservation<'a>(
        &'a self,
        packets: u32,
        bh: BhDisabled<'a>,
    ) -> SlotReservation<'a> {
        SlotReservation {
            slots: self,
            bh,
            packets,
            reserved: 0,
            is_first: true,
            is_needed: false,
            is_refused: false,
        }
    }

    /// Reserves that many slots, or some of them. Returns how many.
    #[inline]
    fn reserve(&self, slots: u32, bh: BhDisabled<'_>) -> u32 {
        if self.budget.is_exhausted() {
            return 0;
        }
        let own = self.own(bh);
        // What is reserved is used to others: no more than half, unless it is the last.
        let some = |free: u32| slots.min(free.div_ceil(2));
        match self.budget.reserve_from(own, some, bh) {
            0 => self.reserve_elsewhere(own, bh).into(),
            reserved => reserved,
        }
    }

    /// Reserves one slot where the `own` shard has none. Returns whether there was any.
    #[cold]
    fn reserve_elsewhere(&self, own: usize, bh: BhDisabled<'_>) -> bool {
        // More than one, so that it is not done for each flow; not all, so that no other CPU takes
        // the cache for full.
        let some = |free: u32| free.div_ceil(2).min(SLOTS_AT_A_TIME);
        // Others may be quicker, each time; not for ever.
        for _ in 0..self.budget.shards.len() {
            let Some(i) = self.budget.with_free.find(own) else {
                return false;
            };
            let reserved = self.budget.reserve_from(i, some, bh);
            if reserved != 0 {
                self.budget.release_to(own, reserved.wrapping_sub(1), bh);
                return true;
            }
        }
        false
    }

    /// Releases the slots of flows that were in a bucket.
    #[inline]
    pub(super) fn release(&self, slots: u32, bucket: u32, bh: BhDisabled<'_>) {
        self.budget.release_to(self.of_bucket(bucket), slots, bh);
    }

    /// A flow in `bucket` has finished.
    pub(super) fn note_finished(&self, bucket: u32, bh: BhDisabled<'_>) {
        let i = self.of_bucket(bucket);
        if let Some(shard) = self.budget.shards.get(i) {
            let mut shard = lock_with(&shard.data, bh);
            if shard.finished.is_full() {
                // The oldest has been exported since then, most likely.
                shard.next_finished();
            } else if shard.finished.len() == 0 {
                self.with_finished.insert(i);
            }
            shard.finished.push(bucket);
        }
    }

    /// Whether there may be a flow that has finished.
    #[inline(always)]
    pub(super) fn has_finished(&self) -> bool {
        !self.with_finished.is_empty()
    }

    /// A bucket in which a flow has finished, and may be still.
    pub(super) fn next_finished(&self, bh: BhDisabled<'_>) -> Option<u32> {
        let own = self.own(bh);
        // Others may be quicker, each time; not for ever.
        for _ in 0..=self.mask {
            let i = self.with_finished.find(own)?;
            let mut shard = lock_with(&self.budget.shards.get(i)?.data, bh);
            if let Some(bucket) = shard.next_finished() {
                if shard.finished.len() == 0 {
                    self.with_finished.remove(i);
                }
                return Some(bucket);
            }
        }
        None
    }

    /// A walk through all buckets begins. Process context, one walk at a time.
    pub(super) fn walk_begins(&self) {
        for (_, shard) in self.shards() {
            let mut shard = shard.data.lock();
            shard.before_this_walk = shard.finished.len();
        }
    }

    /// It ends. Forgets entries older than the previous walk: their flows have lingered long enough
    /// and are exported. With `at_once`, also those older than this walk. Process context.
    pub(super) fn walk_ends(&self, at_once: bool) {
        for (i, shard) in self.shards() {
            let mut shard = shard.data.lock();
            if at_once {
                shard.before_last_walk = shard.before_this_walk;
            }
            let gone = shard.before_last_walk;
            shard.finished.forget(gone);
            shard.before_last_walk = shard.before_this_walk.saturating_sub(gone);
            if gone != 0 && shard.finished.len() == 0 {
                self.with_finished.remove(i);
            }
        }
    }
}

/// Slots that are reserved for the flows which a run of packets begins: one at first, and when
/// there is another new flow all that may follow, so that a flood takes a lock for many of them.
/// Those that are left are released on drop.
pub(crate) struct SlotReservation<'a> {
    slots: &'a CacheSlots,
    bh: BhDisabled<'a>,
    /// Packets of the run that are still to come.
    packets: u32,
    reserved: u32,
    is_first: bool,
    /// Whether a packet of no known flow came, and whether one was refused.
    is_needed: bool,
    is_refused: bool,
}

impl SlotReservation<'_> {
    /// The next packet of the run comes.
    #[inline(always)]
    pub(super) fn next_packet(&mut self) {
        self.packets = self.packets.saturating_sub(1);
    }

    /// A packet of the run is of no known flow.
    #[inline(always)]
    pub(super) fn need(&mut self) {
        self.is_needed = true;
    }

    /// A packet of the run is refused, for want of a slot or of a place in its bucket.
    #[inline(always)]
    pub(super) fn refuse(&mut self) {
        self.is_refused = true;
    }

    /// Whether there is no slot, nor a flow that can be evicted.
    #[inline(always)]
    pub(super) fn is_full(&self) -> bool {
        self.reserved == 0 && self.slots.budget.is_exhausted() && !self.slots.has_finished()
    }

    /// Whether flows had better be exported soon: a packet of the run was refused, or one may have
    /// had the last slot.
    #[inline(always)]
    pub(crate) fn is_short(&self) -> bool {
        self.is_refused || (self.is_needed && self.slots.budget.is_exhausted())
    }

    /// Takes a slot for the flow that this packet begins. Returns whether there was any.
    #[inline]
    pub(super) fn take(&mut self) -> bool {
        if self.reserved == 0 {
            let slots = match self.is_first {
                true => 1,
                false => self.packets.saturating_add(1),
            };
            self.reserved = self.slots.reserve(slots, self.bh);
            self.is_first = false;
        }
        let has_slot = self.reserved != 0;
        self.reserved = self.reserved.saturating_sub(1);
        has_slot
    }
}

impl Drop for SlotReservation<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.reserved != 0 {
            let own = self.slots.own(self.bh);
            self.slots.budget.release_to(own, self.reserved, self.bh);
        }
    }
}

/// How many shards are worth while for a cache: a power of two.
fn shards_for(max: u32, caches: usize) -> usize {
    let most = SHARDS_MAX.checked_div(caches).unwrap_or(1);
    let most = (max / FLOWS_MIN).min(cpus_online()).min(most as u32);
    // Not rounded up beyond what the bits of a set are enough for.
    let shards = most.checked_next_power_of_two().unwrap_or(1) as usize;
    if shards.saturating_mul(caches) > SHARDS_MAX {
        shards / 2
    } else {
        shards
    }
}

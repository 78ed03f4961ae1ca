// SPDX-License-Identifier: GPL-2.0

//! How many more flows there may be: a shard of it for each CPU, so that new flows on two CPUs do not meet.
//!
//! A CPU takes from its own shard, and some of another one when that is used up. A flow that leaves gives its
//! budget back to the shard that has its bucket.
//!
//! Each shard remembers in which of its buckets flows have finished: should there be no budget at all, one of
//! those flows can make way.

use kernel::{
    alloc::Flags,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

use crate::flow::ring::Ring;
use crate::linux::{
    bh_lock::{
        lock_with,
        new_spinlock_bh,
        BhDisabled, //
        CacheAligned,
    },
    percpu::{
        cpus_online,
        this_cpu, //
    },
    rwonce::read_once,
};

/// The most shards, one for each bit of a [`Map`], and the fewest flows that are worth one.
const SHARDS_MAX: usize = u64::BITS as usize;
const FLOWS_MIN: u32 = 512;

/// How much a CPU takes from another one's shard at a time. While it is on its way, it counts as used.
const BATCH: u32 = 32;

/// What a CPU has of its own.
struct Shard {
    /// How many more flows there may be.
    budget: u32,
    /// Buckets in which flows have finished, if they are still there.
    finished: Ring<KVVec<u32>>,
    /// Of these, how many were there when the walk before the last one began.
    before_last: usize,
    /// The same, of the last one.
    before_this: usize,
}

impl Shard {
    fn new(budget: u32, flags: Flags) -> Result<Self> {
        Ok(Self {
            budget,
            finished: Ring::new(KVVec::from_elem(0, budget as usize, flags)?),
            before_last: 0,
            before_this: 0,
        })
    }

    fn next_finished(&mut self) -> Option<u32> {
        self.before_last = self.before_last.saturating_sub(1);
        self.before_this = self.before_this.saturating_sub(1);
        self.finished.pop()
    }
}

/// Which shards have something: a bit for each, changed under the shard's lock.
#[repr(align(64))]
struct Map(Atomic<u64>);

/// The bit of a shard.
fn bit(shard: usize) -> u64 {
    // CAST: Less than 64.
    1u64.wrapping_shl(shard as u32)
}

impl Map {
    fn set(&self, shard: usize) {
        self.0.add(bit(shard), Relaxed);
    }

    fn clear(&self, shard: usize) {
        self.0.fetch_sub(bit(shard), Relaxed);
    }

    /// The first shard that has something, from `own` on.
    fn find(&self, own: usize) -> Option<usize> {
        let map = self.0.load(Relaxed);
        if map == 0 {
            return None;
        }
        // CAST: Less than 64, both of them.
        let distance = map.rotate_right(own as u32).trailing_zeros() as usize;
        Some(own.wrapping_add(distance) % SHARDS_MAX)
    }
}

/// Room for flows, in shards.
pub(super) struct SlotBudget {
    lines: Pin<KVBox<[CacheAligned<Shard>]>>,
    /// Flows at most.
    flows: u32,
    with_free: Map,
    with_finished: Map,
}

impl SlotBudget {
    /// Room for `flows`. Process context.
    pub(super) fn new(flows: u32, flags: Flags) -> Result<Self> {
        let shards = shards_for(flows);
        let lines = KVBox::pin_slice(
            |i| {
                // What does not divide evenly goes to the first ones. CAST: Less than 64.
                let rounded_up = flows.wrapping_add(shards.wrapping_sub(1).wrapping_sub(i as u32));
                let shard = Shard::new(rounded_up.wrapping_shr(shards.trailing_zeros()), flags);
                try_pin_init!(CacheAligned {
                    data <- new_spinlock_bh!(shard?, "netflow_room"),
                }? Error)
            },
            shards as usize,
            flags,
        )?;
        let this = Self {
            lines,
            flows,
            with_free: Map(Atomic::new(0)),
            with_finished: Map(Atomic::new(0)),
        };
        for (i, line) in this.lines.iter().enumerate() {
            if line.data.lock().budget != 0 {
                this.with_free.set(i);
            }
        }
        Ok(this)
    }

    /// The number of the last shard, which is a mask, as there is a power of two of them.
    #[inline]
    fn mask(&self) -> usize {
        self.lines.len().wrapping_sub(1)
    }

    /// The shard of this CPU.
    #[inline]
    fn own(&self, bh: BhDisabled<'_>) -> usize {
        this_cpu(bh) as usize & self.mask()
    }

    /// Whether there is none.
    #[inline(always)]
    pub(super) fn is_exhausted(&self) -> bool {
        read_once(&self.with_free.0) == 0
    }

    /// Room for the flows that a run of `packets` may insert. None is taken yet.
    #[inline(always)]
    pub(super) fn reservation<'a>(
        &'a self,
        packets: u32,
        bh: BhDisabled<'a>,
    ) -> SlotReservation<'a> {
        SlotReservation {
            budget: self,
            bh,
            packets,
            flows: 0,
            has_taken: false,
        }
    }

    /// Takes budget for `flows`, or some of them. Returns for how many.
    #[inline]
    fn take(&self, flows: u32, bh: BhDisabled<'_>) -> u32 {
        if self.is_exhausted() {
            return 0;
        }
        let own = self.own(bh);
        // What is reservation is full to others: no more than half, unless it is the last.
        match self.reserve_from(own, |budget| flows.min(budget.div_ceil(2)), bh) {
            0 => self.reserve_elsewhere(own, bh).into(),
            taken => taken,
        }
    }

    /// Takes budget for one flow where there is none in the `own` shard. Returns whether there was any.
    #[cold]
    fn reserve_elsewhere(&self, own: usize, bh: BhDisabled<'_>) -> bool {
        // Others may be quicker, each time; not for ever.
        for _ in 0..self.lines.len() {
            let Some(i) = self.with_free.find(own) else {
                return false;
            };
            // More than one, so that it is not asked for each flow; not all, so that none is told it is full.
            let taken = self.reserve_from(i, |budget| budget.div_ceil(2).min(BATCH), bh);
            if taken != 0 {
                self.add(taken.wrapping_sub(1), own, bh);
                return true;
            }
        }
        false
    }

    /// Takes some of the budget of a shard, if there is any, and returns how much.
    #[inline(always)]
    fn reserve_from(&self, i: usize, some: impl Fn(u32) -> u32, bh: BhDisabled<'_>) -> u32 {
        let Some(line) = self.lines.get(i) else {
            return 0;
        };
        let mut shard = lock_with(&line.data, bh);
        if shard.budget == 0 {
            return 0;
        }
        let taken = some(shard.budget);
        shard.budget = shard.budget.wrapping_sub(taken);
        if shard.budget == 0 {
            self.with_free.clear(i);
        }
        taken
    }

    /// Gives back the budget of `flows` that were in a bucket.
    pub(super) fn release(&self, flows: u32, bucket: u32, bh: BhDisabled<'_>) {
        self.add(flows, bucket as usize & self.mask(), bh);
    }

    /// Adds budget to a shard.
    #[inline]
    fn add(&self, flows: u32, i: usize, bh: BhDisabled<'_>) {
        if flows == 0 {
            return;
        }
        if let Some(line) = self.lines.get(i) {
            let mut shard = lock_with(&line.data, bh);
            if shard.budget == 0 {
                self.with_free.set(i);
            }
            shard.budget = shard.budget.saturating_add(flows);
        }
    }

    /// A flow in `bucket` has finished.
    pub(super) fn note_finished(&self, bucket: u32, bh: BhDisabled<'_>) {
        let i = bucket as usize & self.mask();
        if let Some(line) = self.lines.get(i) {
            let mut shard = lock_with(&line.data, bh);
            if shard.finished.len() == 0 {
                self.with_finished.set(i);
            } else if shard.finished.is_full() {
                // The oldest has been exported since then, most likely.
                shard.next_finished();
            }
            shard.finished.push(bucket);
        }
    }

    /// Whether there may be a flow that has finished.
    #[inline]
    pub(super) fn has_finished(&self) -> bool {
        read_once(&self.with_finished.0) != 0
    }

    /// A bucket in which a flow has finished, and may be still.
    pub(super) fn next_finished(&self, bh: BhDisabled<'_>) -> Option<u32> {
        let i = self.with_finished.find(self.own(bh))?;
        let mut shard = lock_with(&self.lines.get(i)?.data, bh);
        let bucket = shard.next_finished()?;
        if shard.finished.len() == 0 {
            self.with_finished.clear(i);
        }
        Some(bucket)
    }

    /// A walk through all buckets begins. Process context, one walk at a time.
    pub(super) fn walk_begins(&self) {
        for line in self.lines.iter() {
            let mut shard = line.data.lock();
            shard.before_this = shard.finished.len();
        }
    }

    /// It ends. What had finished before the walk in front of it has been taken out, or, with `at_once`, what
    /// had before it began: those buckets are forgotten. Process context.
    pub(super) fn walk_ends(&self, at_once: bool) {
        for (i, line) in self.lines.iter().enumerate() {
            let mut shard = line.data.lock();
            if at_once {
                shard.before_last = shard.before_this;
            }
            let gone = shard.before_last;
            shard.finished.forget(gone);
            shard.before_last = shard.before_this.saturating_sub(gone);
            if gone != 0 && shard.finished.len() == 0 {
                self.with_finished.clear(i);
            }
        }
    }

    /// Flows that have taken theirs, and those for which it is reservation or on its way to another shard. Process context or
    /// softirq.
    pub(super) fn used(&self) -> u32 {
        self.lines.iter().fold(self.flows, |used, line| {
            used.saturating_sub(line.data.lock().budget)
        })
    }
}

/// Room that is taken for the flows which a run of packets begins: for one at first, and when there is another for all that
/// may follow, so that a flood takes a lock for many of them. What is left is given back on drop.
pub(crate) struct SlotReservation<'a> {
    budget: &'a SlotBudget,
    bh: BhDisabled<'a>,
    /// Packets of the run that are still to come.
    packets: u32,
    /// Flows for which there is budget.
    flows: u32,
    has_taken: bool,
}

impl SlotReservation<'_> {
    /// The next packet of the run comes.
    #[inline(always)]
    pub(super) fn next_packet(&mut self) {
        self.packets = self.packets.saturating_sub(1);
    }

    /// Whether there is none, nor a flow that can make way.
    #[inline(always)]
    pub(super) fn is_full(&self) -> bool {
        self.flows == 0 && self.budget.is_exhausted() && !self.budget.has_finished()
    }

    /// Takes budget for the flow that this packet begins. Returns whether there was any.
    #[inline]
    pub(super) fn take(&mut self) -> bool {
        if self.flows == 0 {
            let flows = match self.has_taken {
                true => self.packets.saturating_add(1),
                false => 1,
            };
            self.flows = self.budget.take(flows, self.bh);
            self.has_taken = true;
        }
        let has_slot = self.flows != 0;
        self.flows = self.flows.saturating_sub(1);
        has_slot
    }
}

impl Drop for SlotReservation<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.flows != 0 {
            self.budget
                .add(self.flows, self.budget.own(self.bh), self.bh);
        }
    }
}

/// How many shards are worth while: a power of two.
fn shards_for(flows: u32) -> u32 {
    // CAST: 64.
    let most = (flows / FLOWS_MIN)
        .min(cpus_online())
        .min(SHARDS_MAX as u32);
    most.checked_next_power_of_two().unwrap_or(1)
}

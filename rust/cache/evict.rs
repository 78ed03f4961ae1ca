// SPDX-License-Identifier: GPL-2.0

//! How flows leave at once, in softirq, where nothing can be exported: they move to the evict
//! queue, until the next sweep.
//!
//! These are flows that have finished and whose slot is needed, or whose ports begin a new
//! connection; and the one that is idle longest in a bucket that is full.

use kernel::{
    alloc::Flags,
    prelude::*, //
};

use super::Cache;
use crate::{
    flow::{
        bucket::Bucket,
        entry::Flow,
        expiry::{
            Reason,
            LINGER, //
        },
        key::{
            Address,
            Key, //
        },
        ledger::Totals,
        ring::Ring,
        uptime::Uptime, //
    },
    linux::bh_lock::{
        lock_with,
        BhDisabled, //
    },
};

/// Buckets that are looked into at most, for a finished flow that can be evicted. In most that are
/// remembered one still is; those where it has been exported meanwhile are forgotten with the look.
const TRIES: u32 = 64;

/// Flows that were evicted and are to be exported.
pub(super) struct EvictQueue<A: Address> {
    flows: Ring<KVVec<Flow<A>>>,
    totals: Totals,
}

impl<A: Address> EvictQueue<A> {
    /// A queue for one flow in eight of `max`.
    pub(super) fn new(max: u32, flags: Flags) -> Result<Self> {
        const LEN_MIN: u32 = 64;

        let len = (max / 8).max(LEN_MIN) as usize;
        Ok(Self {
            flows: Ring::new(KVVec::from_elem(Flow::VACANT, len, flags)?),
            totals: Totals::default(),
        })
    }
}

impl<A: Address> Cache<A> {
    /// What the flows in the evict queue add up to.
    pub(crate) fn evicted(&self) -> Totals {
        self.evict_queue.data.lock().totals
    }

    /// Flows in the evict queue.
    pub(crate) fn evicted_flows(&self) -> usize {
        self.evict_queue.data.lock().flows.len()
    }

    /// Takes the flow out of the evict queue that has been there longest, and why it is there.
    pub(crate) fn next_evicted(&self) -> Option<(Flow<A>, Reason)> {
        let mut queue = self.evict_queue.data.lock();
        let flow = queue.flows.pop()?;
        queue.totals -= flow.totals();
        let reason = match flow.is_finished() {
            true => Reason::Finished,
            false => Reason::Displaced,
        };
        Some((flow, reason))
    }

    /// Evicts a flow that has finished and only lingers, if there is one, so that its slot is free.
    #[cold]
    pub(super) fn evict_finished(&self, now: Uptime, bh: BhDisabled<'_>) {
        if lock_with(&self.evict_queue.data, bh).flows.is_full() {
            return;
        }
        (0..TRIES)
            .map_while(|_| self.slots.next_finished(bh))
            .filter_map(|number| Some((number, self.buckets.get(number as usize)?)))
            .any(|(number, line)| {
                let mut bucket = lock_with(&line.data, bh);
                self.evict_finished_of(&mut bucket, number, now, bh)
            });
    }

    /// Evicts a finished flow of a bucket. Returns whether there was one.
    fn evict_finished_of(
        &self,
        bucket: &mut Bucket<A>,
        number: u32,
        now: Uptime,
        bh: BhDisabled<'_>,
    ) -> bool {
        // A bucket with a finished flow is due within `LINGER`. Twice that allows for clock
        // differences between CPUs.
        if now.plus(2 * LINGER).is_before(bucket.due) {
            return false;
        }
        let finished = self.memory.iter(bucket).find(|flow| flow.is_finished());
        self.evict(bucket, number, finished.copied(), bh)
    }

    /// Evicts the flow of a bucket that is idle longest.
    #[cold]
    pub(super) fn evict_idlest(&self, bucket: &mut Bucket<A>, number: u32, bh: BhDisabled<'_>) {
        let mut idlest: Option<&Flow<A>> = None;
        for flow in self.memory.iter(bucket) {
            if idlest.is_none_or(|other| flow.last.is_before(other.last)) {
                idlest = Some(flow);
            }
        }
        self.evict(bucket, number, idlest.copied(), bh);
    }

    /// Moves a flow from its bucket to the evict queue. Returns whether there was one, and it
    /// fitted.
    fn evict(
        &self,
        bucket: &mut Bucket<A>,
        number: u32,
        flow: Option<Flow<A>>,
        bh: BhDisabled<'_>,
    ) -> bool {
        let Some(flow) = flow.filter(|flow| self.enqueue_evicted(flow, bh)) else {
            return false;
        };
        self.remove(bucket, number, &flow.key, bh);
        true
    }

    /// Copies a flow to the evict queue. Returns whether it fitted.
    pub(super) fn enqueue_evicted(&self, flow: &Flow<A>, bh: BhDisabled<'_>) -> bool {
        let mut queue = lock_with(&self.evict_queue.data, bh);
        let fits = queue.flows.push(*flow);
        if fits {
            queue.totals += flow.totals();
        }
        fits
    }

    /// Removes a flow from its bucket, which has that number.
    pub(super) fn remove(
        &self,
        bucket: &mut Bucket<A>,
        number: u32,
        key: &Key<A>,
        bh: BhDisabled<'_>,
    ) {
        let taken = self.memory.take(
            bucket,
            |flow| flow.key == *key,
            |slot| self.push_spill_slot(slot, bh),
        );
        self.slots.release(taken, number, bh);
    }
}

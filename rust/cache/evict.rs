// SPDX-License-Identifier: GPL-2.0

//! How flows make way at once, in softirq, where nothing can be exported: they move to the evicted budget.

use kernel::prelude::*;

use super::Cache;
use crate::flow::{
    bucket::Bucket,
    entry::Flow,
    expiry::LINGER,
    key::{
        Address,
        Key, //
    },
    ledger::Totals,
    ring::Ring, //
    uptime::Uptime,
};
use crate::linux::bh_lock::{
    lock_with,
    BhDisabled, //
};

/// Buckets that are looked into at most, for a finished flow that can make way. In most that are remembered
/// one still is; those where it has been exported meanwhile are forgotten with the look.
const TRIES: u32 = 64;

/// Flows that had to leave at once.
pub(super) struct EvictQueue<A: Address> {
    pub(super) flows: Ring<KVVec<Flow<A>>>,
    pub(super) totals: Totals,
}

impl<A: Address> Cache<A> {
    /// Makes budget: a flow that has finished and only waits to be exported, if there is one, can do that
    /// elsewhere.
    #[cold]
    pub(super) fn evict_finished(&self, now: Uptime, bh: BhDisabled<'_>) {
        if lock_with(&self.evicted.data, bh).flows.is_full() {
            return;
        }
        (0..TRIES)
            .map_while(|_| self.budget.next_finished(bh))
            .filter_map(|number| Some((number, self.lines.get(number as usize)?)))
            .any(|(number, line)| {
                let mut bucket = lock_with(&line.data, bh);
                self.evict_finished_of(&mut bucket, number, now, bh)
            });
    }

    /// Moves a finished flow of a bucket, if there is one, to the evicted budget.
    fn evict_finished_of(
        &self,
        bucket: &mut Bucket<A>,
        number: u32,
        now: Uptime,
        bh: BhDisabled<'_>,
    ) -> bool {
        // Where one has finished, it is due soon; to be seen from any CPU, and their clocks differ a little.
        if now.plus(2 * LINGER).is_before(bucket.due) {
            return false;
        }
        let finished = self.memory.iter(bucket).find(|flow| flow.is_finished());
        self.evict(bucket, number, finished.copied(), bh)
    }

    /// Moves the flow of a bucket that is idle longest to the evicted budget.
    #[cold]
    pub(super) fn evict_idlest(
        &self,
        bucket: &mut Bucket<A>,
        number: u32,
        bh: BhDisabled<'_>,
    ) -> bool {
        let mut idlest: Option<&Flow<A>> = None;
        for flow in self.memory.iter(bucket) {
            if idlest.is_none_or(|other| flow.last.is_before(other.last)) {
                idlest = Some(flow);
            }
        }
        self.evict(bucket, number, idlest.copied(), bh)
    }

    /// Moves a flow from its bucket to the evicted budget. Returns whether there was one, and budget.
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

    /// Copies a flow to the evicted budget. Returns whether there was budget.
    pub(super) fn enqueue_evicted(&self, flow: &Flow<A>, bh: BhDisabled<'_>) -> bool {
        let mut evicted = lock_with(&self.evicted.data, bh);
        let fits = evicted.flows.push(*flow);
        if fits {
            evicted.totals += flow.totals();
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
            |handle| self.push_spill_slot(handle, bh),
        );
        self.budget.release(taken, number, bh);
    }
}

// SPDX-License-Identifier: GPL-2.0

//! How flows make way at once, in softirq, where nothing can be exported: they move to the waiting room.

use kernel::prelude::*;

use super::{
    super::{
        bucket::Bucket,
        clock::Uptime,
        expiry::LINGER,
        key::{
            Address,
            Key, //
        },
        ledger::Totals,
        record::Flow,
        ring::Ring, //
    },
    Cache, //
};
use crate::linux::lock::{
    lock_in,
    SoftirqsOff, //
};

/// Buckets that are looked into at most, for a finished flow that can make way. In most that are remembered
/// one still is; those where it has been exported meanwhile are forgotten with the look.
const TRIES: u32 = 64;

/// Flows that had to leave at once.
pub(super) struct Waiting<A: Address> {
    pub(super) flows: Ring<KVVec<Flow<A>>>,
    pub(super) totals: Totals,
}

impl<A: Address> Cache<A> {
    /// Makes a cell free: that of a flow which has finished and only waits to be exported, which it can do
    /// elsewhere. If there is one.
    #[cold]
    pub(super) fn make_room(&self, now: Uptime, softirqs: SoftirqsOff<'_>) {
        if lock_in(&self.waiting, softirqs).flows.is_full() {
            return;
        }
        (0..TRIES)
            .map_while(|_| self.free.next_finished(softirqs))
            .filter_map(|bucket| self.lines.get(bucket as usize))
            .any(|line| {
                let mut bucket = lock_in(&line.bucket, softirqs);
                self.displace_finished(&mut bucket, now, softirqs)
            });
    }

    /// Moves a finished flow of a bucket, if there is one, to the waiting room.
    fn displace_finished(
        &self,
        bucket: &mut Bucket,
        now: Uptime,
        softirqs: SoftirqsOff<'_>,
    ) -> bool {
        // Where one has finished, it is due soon; to be seen from any CPU, and their clocks differ a little.
        if now.plus(2 * LINGER).is_before(bucket.due) {
            return false;
        }
        let finished = bucket
            .iter()
            .map(|handle| self.slab.get(handle))
            .find(|flow| flow.is_finished());
        self.displace(bucket, finished.copied(), softirqs)
    }

    /// Moves the flow of a bucket that is idle longest to the waiting room.
    #[cold]
    pub(super) fn displace_idlest(&self, bucket: &mut Bucket, softirqs: SoftirqsOff<'_>) -> bool {
        let idlest = bucket
            .iter()
            .map(|handle| self.slab.get(handle))
            .reduce(|a, b| if b.last.is_before(a.last) { b } else { a });
        self.displace(bucket, idlest.copied(), softirqs)
    }

    /// Moves a flow from its bucket to the waiting room. Returns whether there was one, and room.
    fn displace(
        &self,
        bucket: &mut Bucket,
        flow: Option<Flow<A>>,
        softirqs: SoftirqsOff<'_>,
    ) -> bool {
        let Some(flow) = flow.filter(|flow| self.make_wait(flow, softirqs)) else {
            return false;
        };
        self.remove(bucket, &flow.key, softirqs);
        true
    }

    /// Copies a flow to the waiting room. Returns whether there was room.
    pub(super) fn make_wait(&self, flow: &Flow<A>, softirqs: SoftirqsOff<'_>) -> bool {
        let mut waiting = lock_in(&self.waiting, softirqs);
        let fits = waiting.flows.push(*flow);
        if fits {
            waiting.totals += flow.totals();
        }
        fits
    }

    /// Removes a flow from its bucket; its cell is free.
    pub(super) fn remove(&self, bucket: &mut Bucket, key: &Key<A>, softirqs: SoftirqsOff<'_>) {
        bucket.take(
            |handle| (self.slab.get(handle).key == *key).then_some(()),
            |handle, ()| self.free.give(handle, softirqs),
        );
    }
}

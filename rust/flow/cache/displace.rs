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
    /// Makes room: a flow that has finished and only waits to be exported, if there is one, can do that
    /// elsewhere.
    #[cold]
    pub(super) fn make_room(&self, now: Uptime, softirqs: SoftirqsOff<'_>) {
        if lock_in(&self.waiting.data, softirqs).flows.is_full() {
            return;
        }
        (0..TRIES)
            .map_while(|_| self.room.next_finished(softirqs))
            .filter_map(|number| Some((number, self.lines.get(number as usize)?)))
            .any(|(number, line)| {
                let mut bucket = lock_in(&line.data, softirqs);
                self.displace_finished(&mut bucket, number, now, softirqs)
            });
    }

    /// Moves a finished flow of a bucket, if there is one, to the waiting room.
    fn displace_finished(
        &self,
        bucket: &mut Bucket<A>,
        number: u32,
        now: Uptime,
        softirqs: SoftirqsOff<'_>,
    ) -> bool {
        // Where one has finished, it is due soon; to be seen from any CPU, and their clocks differ a little.
        if now.plus(2 * LINGER).is_before(bucket.due) {
            return false;
        }
        let finished = self.memory.iter(bucket).find(|flow| flow.is_finished());
        self.displace(bucket, number, finished.copied(), softirqs)
    }

    /// Moves the flow of a bucket that is idle longest to the waiting room.
    #[cold]
    pub(super) fn displace_idlest(
        &self,
        bucket: &mut Bucket<A>,
        number: u32,
        softirqs: SoftirqsOff<'_>,
    ) -> bool {
        let mut idlest: Option<&Flow<A>> = None;
        for flow in self.memory.iter(bucket) {
            if idlest.is_none_or(|other| flow.last.is_before(other.last)) {
                idlest = Some(flow);
            }
        }
        self.displace(bucket, number, idlest.copied(), softirqs)
    }

    /// Moves a flow from its bucket to the waiting room. Returns whether there was one, and room.
    fn displace(
        &self,
        bucket: &mut Bucket<A>,
        number: u32,
        flow: Option<Flow<A>>,
        softirqs: SoftirqsOff<'_>,
    ) -> bool {
        let Some(flow) = flow.filter(|flow| self.make_wait(flow, softirqs)) else {
            return false;
        };
        self.remove(bucket, number, &flow.key, softirqs);
        true
    }

    /// Copies a flow to the waiting room. Returns whether there was room.
    pub(super) fn make_wait(&self, flow: &Flow<A>, softirqs: SoftirqsOff<'_>) -> bool {
        let mut waiting = lock_in(&self.waiting.data, softirqs);
        let fits = waiting.flows.push(*flow);
        if fits {
            waiting.totals += flow.totals();
        }
        fits
    }

    /// Removes a flow from its bucket, which has that number.
    pub(super) fn remove(
        &self,
        bucket: &mut Bucket<A>,
        number: u32,
        key: &Key<A>,
        softirqs: SoftirqsOff<'_>,
    ) {
        let taken = self.memory.take(
            bucket,
            |flow| flow.key == *key,
            |handle| self.give_cell(handle, softirqs),
        );
        self.room.give(taken, number, softirqs);
    }
}

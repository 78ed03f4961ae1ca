// SPDX-License-Identifier: GPL-2.0

//! How flows leave the cache, and how they are looked at. Process context.

use super::Cache;
use crate::flow::{
    bucket::SLOTS,
    entry::Flow, //
    expiry::{
        Policy,
        Pressure,
        Reason,
        Verdict, //
    },
    key::Address,
    ledger::Totals,
    uptime::Uptime,
};
use crate::linux::bh_lock::{
    lock_with,
    BhGuard, //
};

/// Flows that left a bucket, at most all of them, each with its reason.
pub(crate) type Expired<A> = [Option<(Flow<A>, Reason)>; SLOTS];

impl<A: Address> Cache<A> {
    /// Buckets of the table.
    pub(crate) fn buckets(&self) -> usize {
        self.lines.len()
    }

    /// Flows in it.
    pub(crate) fn cached(&self) -> u32 {
        self.budget.used()
    }

    /// How many flows are there above three quarters of those that may be.
    pub(crate) fn pressure(&self) -> Pressure {
        // CAST: Less than a `u32`.
        let watermark = (u64::from(self.max).wrapping_mul(3) / 4) as u32;
        Pressure::of_excess(self.budget.used().saturating_sub(watermark))
    }

    /// What the flows in the evicted budget add up to.
    pub(crate) fn evicted(&self) -> Totals {
        self.evicted.data.lock().totals
    }

    /// Flows in the evicted budget.
    pub(crate) fn evicted_flows(&self) -> usize {
        self.evicted.data.lock().flows.len()
    }

    /// Takes the flow out of the evicted budget that has been there longest, and why it is there.
    pub(crate) fn next_evicted(&self) -> Option<(Flow<A>, Reason)> {
        let mut evicted = self.evicted.data.lock();
        let flow = evicted.flows.pop()?;
        evicted.totals -= flow.totals();
        let reason = match flow.is_finished() {
            true => Reason::Finished,
            false => Reason::Displaced,
        };
        Some((flow, reason))
    }

    /// Changes the policy. What it changes for the flows in the cache shows when [`Self::expire`] has
    /// looked into all buckets.
    pub(crate) fn set_policy(&self, policy: Policy) {
        self.policy.store(policy);
    }

    /// All buckets are about to be looked into.
    pub(crate) fn walk_begins(&self) {
        self.budget.walk_begins();
    }

    /// They were, with that `linger`.
    pub(crate) fn walk_ends(&self, linger: u32) {
        self.budget.walk_ends(linger == 0);
    }

    /// Takes out the flows of a bucket that have expired, into `expired`, which must be empty. Returns
    /// whether there are any.
    ///
    /// A bucket in which nothing is due is only looked at, not into, as long as the pressure is low;
    /// unless `closely`. Each flow that goes relieves the pressure. Finished flows stay for `linger`
    /// milliseconds.
    pub(crate) fn expire(
        &self,
        bucket: usize,
        now: Uptime,
        pressure: &mut Pressure,
        closely: bool,
        linger: u32,
        expired: &mut Expired<A>,
    ) -> bool {
        let Some(line) = self.lines.get(bucket) else {
            return false;
        };
        // CAST: Less than a `u32`, as the number of flows is.
        let number = bucket as u32;
        let bh = BhGuard::new();
        let bh = bh.token();
        let mut bucket = lock_with(&line.data, bh);
        let due = closely || *pressure != Pressure::Low || !now.is_before(bucket.due);
        if bucket.is_empty() || !due {
            return false;
        }

        let policy = Policy {
            linger,
            ..self.policy.load()
        };
        let mut due = now.plus(i32::MAX as u32);
        let mut out = expired.iter_mut();
        let taken = self.memory.take(
            &mut bucket,
            |flow| match policy.judge(flow, now, *pressure) {
                Verdict::Expired(reason) => {
                    *pressure = pressure.relieved();
                    if let Some(out) = out.next() {
                        *out = Some((*flow, reason));
                    }
                    true
                }
                Verdict::Keep(until) => {
                    due = due.min(until);
                    false
                }
            },
            |handle| self.push_spill_slot(handle, bh),
        );
        bucket.due = due;
        // Under the lock: whoever finds neither the flow nor budget takes the cache for full.
        self.budget.release(taken, number, bh);
        taken != 0
    }

    /// Copies the flows of a bucket into `flows`, which must be empty.
    pub(crate) fn snapshot(&self, bucket: usize, flows: &mut [Option<Flow<A>>; SLOTS]) {
        let Some(line) = self.lines.get(bucket) else {
            return;
        };
        let bucket = line.data.lock();
        for (copy, flow) in flows.iter_mut().zip(self.memory.iter(&bucket)) {
            *copy = Some(*flow);
        }
    }
}

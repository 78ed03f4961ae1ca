// SPDX-License-Identifier: GPL-2.0

//! How flows leave the cache, and how they are looked at. Process context.

use super::Cache;
use crate::{
    flow::{
        bucket::SLOTS,
        entry::Flow,
        expiry::{
            Policy,
            Pressure,
            Reason,
            Verdict, //
        },
        key::Address,
        uptime::Uptime, //
    },
    linux::bh_lock::{
        lock_with,
        BhGuard, //
    },
};

/// Flows that left a bucket, at most all of them, each with its reason.
pub(crate) type Expired<A> = [Option<(Flow<A>, Reason)>; SLOTS];

impl<A: Address> Cache<A> {
    /// Buckets of the table.
    pub(crate) fn buckets(&self) -> usize {
        self.buckets.len()
    }

    /// How many flows there are above three quarters of those that may be.
    pub(crate) fn pressure(&self) -> Pressure {
        // CAST: Less than a `u32`.
        let watermark = (u64::from(self.budget().max()).wrapping_mul(3) / 4) as u32;
        Pressure::of_excess(self.budget().used().saturating_sub(watermark))
    }

    /// Changes the policy. What it changes for the flows in the cache shows when [`Self::expire`]
    /// has looked into all buckets.
    pub(crate) fn set_policy(&self, policy: Policy) {
        self.policy.store(policy);
    }

    /// All buckets are about to be looked into.
    pub(crate) fn walk_begins(&self) {
        self.slots.walk_begins();
    }

    /// They were, with that `linger`.
    pub(crate) fn walk_ends(&self, linger: u32) {
        self.slots.walk_ends(linger == 0);
    }

    /// Takes out the flows of a bucket that have expired, into `expired`, which must be empty.
    /// Returns whether there are any.
    ///
    /// Skips a bucket before its `due`, unless the pressure is not low or `closely` is set. Each
    /// flow that goes relieves the pressure. Finished flows stay for `linger` milliseconds.
    pub(crate) fn expire(
        &self,
        bucket: usize,
        now: Uptime,
        pressure: &mut Pressure,
        closely: bool,
        linger: u32,
        expired: &mut Expired<A>,
    ) -> bool {
        let Some(line) = self.buckets.get(bucket) else {
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
            |slot| self.push_spill_slot(slot, bh),
        );
        bucket.due = due;
        // Under the lock: whoever finds neither the flow nor a free slot takes the cache for full.
        self.slots.release(taken, number, bh);
        taken != 0
    }

    /// Copies the flows of a bucket into `flows`, which must be empty.
    pub(crate) fn snapshot(&self, bucket: usize, flows: &mut [Option<Flow<A>>; SLOTS]) {
        let Some(line) = self.buckets.get(bucket) else {
            return;
        };
        let bucket = line.data.lock();
        for (copy, flow) in flows.iter_mut().zip(self.memory.iter(&bucket)) {
            *copy = Some(*flow);
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! How packets are accounted to flows. Softirq, or process context with bottom halves disabled.

use super::{
    Cache,
    HashedKey,
    SlotReservation, //
};
use crate::{
    flow::{
        bucket::Bucket,
        entry::{
            Counts,
            Flow,
            Route,
            TCP_SYN, //
        },
        key::Address,
        ledger::Account,
        uptime::Uptime, //
    },
    linux::bh_lock::{
        lock_with,
        BhDisabled,
        CacheAligned,
        SpinLockBhGuard, //
    },
};

/// A packet, or several of one flow: what of it a flow is concerned with.
#[derive(Clone, Copy)]
pub(crate) struct HashedPacket<A: Address> {
    pub(crate) counts: Counts,
    pub(crate) label: A::Label,
    pub(crate) key: HashedKey<A>,
}

/// A packet, and when it came. Two words, which fit in registers.
#[derive(Clone, Copy)]
pub(crate) struct Update<'a, A: Address> {
    pub(crate) packet: &'a HashedPacket<A>,
    pub(crate) at: Uptime,
}

/// Whether a packet was accounted, and whether it began a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Updated {
    /// To a flow that was there.
    Known,
    /// To a new flow.
    New,
    /// Not at all, as no slot is free.
    Full,
}

impl From<Updated> for Account {
    fn from(updated: Updated) -> Self {
        match updated {
            Updated::Known | Updated::New => Account::Cached,
            Updated::Full => Account::CacheFull,
        }
    }
}

impl<A: Address> Cache<A> {
    /// Slots for the flows that a run of `packets` may begin, which are accounted one after the
    /// other. Reserved slots count as used.
    #[inline(always)]
    pub(crate) fn reservation<'a>(
        &'a self,
        packets: usize,
        bh: BhDisabled<'a>,
    ) -> SlotReservation<'a> {
        // CAST: A run is short, and if it were not, slots would be reserved more often.
        self.slots.reservation(packets as u32, bh)
    }

    /// Accounts a packet to the flow of its key; `reservation` is this cache's.
    ///
    /// `route` is asked where it goes if it begins a flow. `enter` is told how it ended, for the
    /// ledger. Both are called under the lock: so nobody can take the flow out of the cache before
    /// it is in the ledger.
    #[inline(always)]
    pub(crate) fn update(
        &self,
        update: Update<'_, A>,
        reservation: &mut SlotReservation<'_>,
        bh: BhDisabled<'_>,
        route: impl FnOnce() -> Route<A>,
        enter: impl FnOnce(Updated),
    ) {
        let Some(line) = self.buckets.get(update.packet.key.bucket as usize) else {
            // Never: the key was hashed by this cache.
            return enter(Updated::Full);
        };
        reservation.next_packet();
        let mut bucket = lock_with(&line.data, bh);
        if self.update_known(&mut bucket, update, bh) {
            return enter(Updated::Known);
        }
        reservation.need();
        if reservation.is_full() {
            // `insert` would find out too: this spares a flood the call.
            reservation.refuse();
            return enter(Updated::Full);
        }
        self.insert((line, bucket), update, reservation, bh, route, enter)
    }

    /// Accounts a packet of no known flow. The bucket is that of its key.
    #[inline(never)]
    fn insert<'a>(
        &'a self,
        (line, mut bucket): (&'a CacheAligned<Bucket<A>>, SpinLockBhGuard<'a, Bucket<A>>),
        update: Update<'_, A>,
        reservation: &mut SlotReservation<'_>,
        bh: BhDisabled<'a>,
        route: impl FnOnce() -> Route<A>,
        enter: impl FnOnce(Updated),
    ) {
        let Update { packet, at } = update;
        let HashedPacket { key, counts, label } = packet;
        let mut has_slot = reservation.take();
        if !has_slot && self.slots.has_finished() {
            // The flow that is evicted may be in any bucket, and two are not to be locked at a
            // time.
            drop(bucket);
            self.evict_finished(at, bh);
            bucket = lock_with(&line.data, bh);
            // Another CPU may have begun the flow meanwhile.
            if self.update_known(&mut bucket, update, bh) {
                return enter(Updated::Known);
            }
            has_slot = reservation.take();
        }
        if !has_slot {
            reservation.refuse();
            return enter(Updated::Full);
        }
        let spill = || self.pop_spill_slot(bh);
        let vacancy = bucket.vacancy(key.bits, spill).or_else(|| {
            self.evict_idlest(&mut bucket, key.bucket, bh);
            bucket.vacancy(key.bits, spill)
        });
        let Some(vacancy) = vacancy else {
            self.slots.release(1, key.bucket, bh);
            reservation.refuse();
            return enter(Updated::Full);
        };
        let new = Flow::new(key.key, route(), *counts, at).with_label(*label);
        let deadline = self.policy.load().deadline(&new);
        self.memory
            .put(&mut bucket, vacancy, key.bits, new, deadline);
        if new.is_finished() {
            self.slots.note_finished(key.bucket, bh);
        }
        enter(Updated::New);
    }

    /// Adds a packet to its flow. Returns whether there is one.
    #[inline(always)]
    fn update_known(
        &self,
        bucket: &mut Bucket<A>,
        update: Update<'_, A>,
        bh: BhDisabled<'_>,
    ) -> bool {
        let HashedPacket { key, counts, .. } = update.packet;
        let Some(flow) = self.memory.find(bucket, key.bits, &key.key) else {
            return false;
        };
        let bytes = flow.bytes.wrapping_add(counts.bytes.into());
        if flow.is_finished_with(counts.tcp_flags) || bytes >= self.policy.max_bytes.read() {
            return self.update_ending(bucket, update, bh);
        }
        if flow.add(*counts, update.at) {
            self.memory
                .advance_due(bucket, key.bits, &key.key, &self.policy.load());
        }
        true
    }

    /// The same for a flow that ends, or has.
    #[inline(never)]
    fn update_ending(
        &self,
        bucket: &mut Bucket<A>,
        update: Update<'_, A>,
        bh: BhDisabled<'_>,
    ) -> bool {
        let Update { packet, at } = update;
        let HashedPacket { key, counts, .. } = packet;
        let Some(flow) = self.memory.find(bucket, key.bits, &key.key) else {
            return false;
        };
        let was_finished = flow.is_finished();
        let begins_anew = was_finished && counts.tcp_flags & TCP_SYN != 0;
        if begins_anew && self.enqueue_evicted(flow, bh) {
            // The connection is over, and this begins another one of the same ports. (If the old
            // one cannot leave, they are exported as one.)
            self.remove(bucket, key.bucket, &key.key, bh);
            return false;
        }
        let policy = self.policy.load();
        let flow = (self.memory).add(bucket, (key.bits, &key.key), *counts, at, &policy);
        if flow.is_some_and(Flow::is_finished) && !was_finished {
            self.slots.note_finished(key.bucket, bh);
        }
        true
    }
}

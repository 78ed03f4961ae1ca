// SPDX-License-Identifier: GPL-2.0

//! The flow cache: a hash table of fixed size whose memory is reserved when it is made.
//!
//! ```text
//!   key --hash--> bucket: lock | due | 14 x (tag, handle)      one cache line
//!                                              |
//!                                              v
//!                 slab:        ... [ flow ][ flow ][ flow ] ...  one cache line each (IPv4)
//!                                              ^
//!                 free:  lock | handles of cells not in use      a list for each CPU
//! ```
//!
//! A packet of a known flow takes one lock and touches two cache lines, the bucket's and the flow's.
//! Look-up and insertion happen under one hold of the bucket's lock, so no flow is ever there twice.
//! Locks nest in one way only: bucket, then free list or waiting room.
//!
//! A flow may have to leave at once, in softirq, where nothing can be exported: it then moves to the
//! waiting room until the next tick.

mod export;
mod free;

pub(crate) use export::Expired;
use free::Free;

use kernel::{
    alloc::flags::*,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

use super::{
    bucket::{
        Bucket,
        FLOWS_PER_BUCKET, //
    },
    clock::Uptime,
    expiry::{
        Policy,
        LINGER,
        OVERFLOW, //
    },
    key::{
        Address,
        Key,
        Secret, //
    },
    ledger::{
        Entry,
        Totals, //
    },
    record::{
        Counts,
        Flow,
        Route,
        TCP_SYN, //
    },
    slab::{
        Cell,
        Handle,
        Index,
        Slab, //
    },
};
use crate::linux::{
    cond_resched_at,
    lock::{
        lock_in,
        new_spinlock_bh,
        SoftirqsOff,
        SpinLockBh, //
    },
    prefetch_for_write, //
};

/// A bucket and its lock.
#[pin_data]
#[repr(align(64))]
struct Line {
    #[pin]
    bucket: SpinLockBh<Bucket>,
}

/// The policy, which may change while packets come.
///
/// Its parts may be read while others are not yet written: a deadline may then be a mix of old and
/// new. Who changes it looks into all buckets afterwards, which puts that right.
struct LivePolicy {
    active: Atomic<u32>,
    inactive: Atomic<u32>,
    strict: Atomic<bool>,
}

impl LivePolicy {
    fn new(policy: Policy) -> Self {
        Self {
            active: Atomic::new(policy.active),
            inactive: Atomic::new(policy.inactive),
            strict: Atomic::new(policy.strict),
        }
    }

    fn load(&self) -> Policy {
        Policy {
            active: self.active.load(Relaxed),
            inactive: self.inactive.load(Relaxed),
            strict: self.strict.load(Relaxed),
        }
    }

    fn store(&self, policy: Policy) {
        self.active.store(policy.active, Relaxed);
        self.inactive.store(policy.inactive, Relaxed);
        self.strict.store(policy.strict, Relaxed);
    }
}

/// A key and where it belongs.
pub(crate) struct Place<'a, A: Address> {
    key: &'a Key<A>,
    line: Option<&'a Line>,
    tag: u8,
}

/// Flows that had to leave at once.
struct Waiting<A: Address> {
    flows: KVVec<Flow<A>>,
    totals: Totals,
}

/// Whether a packet was accounted, and whether it began a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accounted {
    /// To a flow that was there.
    Known,
    /// To a new flow.
    New,
    /// Not at all, there is no room.
    Full,
}

impl From<Accounted> for Entry {
    fn from(accounted: Accounted) -> Self {
        match accounted {
            Accounted::Known | Accounted::New => Entry::Cached,
            Accounted::Full => Entry::CacheFull,
        }
    }
}

/// The flow cache for one kind of address.
#[pin_data]
pub(crate) struct Cache<A: Address> {
    secret: Secret,
    policy: LivePolicy,
    max: u32,
    cells: u32,
    lines: Pin<KVBox<[Line]>>,
    slab: Slab<Flow<A>, KVVec<Cell<Flow<A>>>>,
    free: Free,
    #[pin]
    waiting: SpinLockBh<Waiting<A>>,
}

impl<A: Address> Cache<A> {
    /// Reserves a cache for `max` flows. Process context.
    ///
    /// There is a reserve of one eighth for finished flows, and a waiting room for one flow in 64.
    /// The memory is charged to the caller's control group. `ENOMEM` if there is not enough.
    pub(crate) fn new(
        max: u32,
        policy: Policy,
        secret: Secret,
    ) -> Result<impl PinInit<Self, Error>> {
        const RESERVE_MIN: u32 = 64;

        let flags = GFP_KERNEL_ACCOUNT | __GFP_NOWARN;
        let cells = max.saturating_add((max / 8).max(RESERVE_MIN));

        let mut slab = KVVec::with_capacity(cells as usize, flags)?;
        for cell in 0..cells as usize {
            cond_resched_at(cell);
            slab.push_within_capacity(Cell::new(Flow::VACANT))
                .map_err(|_| ENOMEM)?;
        }
        let (slab, handles) = Slab::new(slab);
        let free = Free::new(handles, cells, max, flags)?;
        let waiting = KVVec::with_capacity((max / 64).max(RESERVE_MIN) as usize, flags)?;
        let buckets = (cells as usize).div_ceil(FLOWS_PER_BUCKET);
        let lines = KVBox::pin_slice(
            |bucket| {
                cond_resched_at(bucket);
                try_pin_init!(Line {
                    bucket <- new_spinlock_bh!(Bucket::EMPTY, "netflow_bucket"),
                }? Error)
            },
            buckets,
            flags,
        )?;

        Ok(try_pin_init!(Self {
            secret,
            policy: LivePolicy::new(policy),
            max,
            cells,
            lines,
            slab,
            free,
            waiting <- new_spinlock_bh!(
                Waiting {
                    flows: waiting,
                    totals: Totals::default(),
                },
                "netflow_waiting"
            ),
        }? Error))
    }

    /// Finds the place of a key, and makes the CPU fetch it. Any context.
    #[inline(always)]
    pub(crate) fn locate<'a>(&'a self, key: &'a Key<A>) -> Place<'a, A> {
        let hash = key.hash(&self.secret);
        // CAST: Less than the number of buckets.
        let position = (u64::from(hash).wrapping_mul(self.lines.len() as u64) >> 32) as usize;
        let line = self.lines.get(position);
        if let Some(line) = line {
            prefetch_for_write(line);
        }
        Place {
            key,
            line,
            // CAST: The tag is of the lower bits, the position of the upper ones.
            tag: hash as u8,
        }
    }

    /// Accounts a packet to the flow of the key at `place`. Any context but hard interrupts.
    ///
    /// `route` is asked where it goes if it begins a flow. `enter` is told how it ended. Both are asked under
    /// the lock: so nobody can take the flow out of the cache before it is in the books.
    #[inline(always)]
    pub(crate) fn account(
        &self,
        place: Place<'_, A>,
        counts: Counts,
        now: Uptime,
        softirqs: SoftirqsOff<'_>,
        route: impl FnOnce() -> Route<A>,
        enter: impl FnOnce(Accounted),
    ) {
        let Place { key, tag, .. } = place;
        let Some(line) = place.line else {
            return enter(Accounted::Full);
        };
        let mut bucket = lock_in(&line.bucket, softirqs);
        if self.add_to_known(&mut bucket, tag, key, counts, now, softirqs) {
            return enter(Accounted::Known);
        }
        let Some((handle, next)) = self.allocate(&mut bucket, counts, now, softirqs) else {
            return enter(Accounted::Full);
        };
        let new = Flow::new(*key, route(), counts, now);
        enter(self.insert(&mut bucket, handle.with_tag(tag), new, softirqs));
        drop(bucket);
        // The next new flow comes soon, perhaps: its cell may be on its way meanwhile.
        if let Some(next) = next {
            prefetch_for_write(self.slab.address(next));
        }
    }

    /// Adds a packet to its flow. Returns whether there is one.
    #[inline(always)]
    fn add_to_known(
        &self,
        bucket: &mut Bucket,
        tag: u8,
        key: &Key<A>,
        counts: Counts,
        now: Uptime,
        softirqs: SoftirqsOff<'_>,
    ) -> bool {
        let Some(handle) = bucket.find(tag, |handle| self.slab.get(handle).key == *key) else {
            return false;
        };
        let flow = self.slab.get_mut(handle);
        let was_finished = flow.is_finished();
        if was_finished && counts.tcp_flags & TCP_SYN != 0 && self.make_wait(flow, softirqs) {
            // The connection is over, and this begins another one of the same ports. (If the old one
            // cannot leave, they are told as one.)
            self.remove(bucket, *key, softirqs);
            return false;
        }
        flow.add(counts, now);
        let overflows = flow.bytes >= OVERFLOW;
        let finishes = !was_finished && flow.is_finished();
        if finishes {
            self.free.count_finished(handle, softirqs);
            bucket.due = bucket.due.min(now.plus(LINGER));
        }
        if overflows {
            bucket.due = bucket.due.min(now);
        }
        true
    }

    /// Puts a new flow into its bucket.
    fn insert(
        &self,
        bucket: &mut Bucket,
        mut handle: Handle,
        new: Flow<A>,
        softirqs: SoftirqsOff<'_>,
    ) -> Accounted {
        if bucket.is_full() {
            // The one that is idle longest makes room.
            let idlest = bucket
                .iter()
                .map(|handle| self.slab.get(handle))
                .reduce(|a, b| if b.last.is_before(a.last) { b } else { a })
                .map(|flow| flow.key);
            if let Some(key) = idlest {
                self.displace(bucket, key, softirqs);
            }
        }
        *self.slab.get_mut(&mut handle) = new;
        let deadline = self.policy.load().deadline(&new);
        match bucket.insert(handle, deadline) {
            Ok(()) => Accounted::New,
            Err(handle) => {
                self.free.give(handle, new.is_finished(), softirqs);
                Accounted::Full
            }
        }
    }

    /// Takes a cell for a new flow in `bucket`, unless there are as many flows as may be. Says which cell
    /// will be the next.
    #[inline(always)]
    fn allocate(
        &self,
        bucket: &mut Bucket,
        counts: Counts,
        now: Uptime,
        softirqs: SoftirqsOff<'_>,
    ) -> Option<(Handle, Option<Index>)> {
        let finished = counts.is_finishing();
        let cell = self.free.take(finished, softirqs);
        // Finished flows only wait to be exported, and can do that elsewhere. They are due soon.
        if cell.is_some() || now.plus(LINGER).is_before(bucket.due) {
            return cell;
        }
        self.make_room(bucket, softirqs);
        self.free.take(finished, softirqs)
    }

    /// Moves a finished flow of the bucket, if there is one, to the waiting room.
    #[cold]
    fn make_room(&self, bucket: &mut Bucket, softirqs: SoftirqsOff<'_>) {
        let finished = bucket
            .iter()
            .map(|handle| self.slab.get(handle))
            .find(|flow| flow.is_finished())
            .map(|flow| flow.key);
        if let Some(key) = finished {
            self.displace(bucket, key, softirqs);
        }
    }

    /// Copies a flow to the waiting room. Returns whether there was room.
    fn make_wait(&self, flow: &Flow<A>, softirqs: SoftirqsOff<'_>) -> bool {
        let mut waiting = lock_in(&self.waiting, softirqs);
        if waiting.flows.push_within_capacity(*flow).is_err() {
            return false;
        }
        waiting.totals += flow.totals();
        true
    }

    /// Moves a flow from its bucket to the waiting room. Returns whether there was room.
    fn displace(&self, bucket: &mut Bucket, key: Key<A>, softirqs: SoftirqsOff<'_>) -> bool {
        let flow = bucket
            .iter()
            .map(|handle| self.slab.get(handle))
            .find(|flow| flow.key == key);
        if !flow.is_some_and(|flow| self.make_wait(flow, softirqs)) {
            return false;
        }
        self.remove(bucket, key, softirqs);
        true
    }

    /// Removes a flow from its bucket; its cell is free.
    fn remove(&self, bucket: &mut Bucket, key: Key<A>, softirqs: SoftirqsOff<'_>) {
        bucket.take(
            |handle| {
                let flow = self.slab.get(handle);
                (flow.key == key).then_some(flow.is_finished())
            },
            |handle, finished| self.free.give(handle, finished, softirqs),
        );
    }
}

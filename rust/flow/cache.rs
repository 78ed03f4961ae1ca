// SPDX-License-Identifier: GPL-2.0

//! The flow cache: a hash table of fixed size whose memory is reserved when it is made.
//!
//! ```text
//!   key --hash--> bucket: lock | due | 14 x (tag, handle)      one cache line
//!                                              |
//!                                              v
//!                 slab:        ... [ flow ][ flow ][ flow ] ...  one cache line each (IPv4)
//!                                              ^
//!                 free: lock | handles of cells not in use
//! ```
//!
//! A packet of a known flow takes one lock and touches two cache lines, the bucket's and the flow's.
//! The last look-up before an insertion and the insertion itself happen under one hold of the bucket's
//! lock, so no flow is ever there twice.
//! Locks nest in one way only: bucket, then free list or waiting room.
//!
//! A flow may have to leave at once, in softirq, where nothing can be exported: it then moves to the
//! waiting room until the next tick.

mod export;

pub(crate) use export::Expired;

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
        Slab, //
    },
};
use crate::linux::lock::{
    lock_in,
    new_spinlock_bh,
    SoftirqsOff,
    SpinLockBh, //
};

/// A bucket and its lock.
#[pin_data]
#[repr(align(64))]
struct Line {
    #[pin]
    bucket: SpinLockBh<Bucket>,
}

/// Cells not in use, and how many of those in use do not count.
struct Free {
    handles: KVVec<Handle>,
    /// Finished flows: they only wait to be exported, so they do not keep new ones out.
    finished: u32,
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
    #[pin]
    free: SpinLockBh<Free>,
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
        for _ in 0..cells {
            slab.push_within_capacity(Cell::new(Flow::VACANT))
                .map_err(|_| ENOMEM)?;
        }
        let (slab, handles) = Slab::new(slab);
        let mut free = KVVec::with_capacity(cells as usize, flags)?;
        for handle in handles {
            free.push_within_capacity(handle).map_err(|_| ENOMEM)?;
        }
        let waiting = KVVec::with_capacity((max / 64).max(RESERVE_MIN) as usize, flags)?;
        let buckets = (cells as usize).div_ceil(FLOWS_PER_BUCKET);
        let lines = KVBox::pin_slice(
            |_| {
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
            free <- new_spinlock_bh!(
                Free {
                    handles: free,
                    finished: 0,
                },
                "netflow_free"
            ),
            waiting <- new_spinlock_bh!(
                Waiting {
                    flows: waiting,
                    totals: Totals::default(),
                },
                "netflow_waiting"
            ),
        }? Error))
    }

    /// Accounts a packet. Any context but hard interrupts.
    ///
    /// `route` is asked where it goes if it begins a flow, without a lock. `enter` is told how it ended,
    /// under the lock, before anyone can take the flow out of the cache.
    #[inline(always)]
    pub(crate) fn account(
        &self,
        key: &Key<A>,
        counts: Counts,
        now: Uptime,
        softirqs: SoftirqsOff<'_>,
        route: impl FnOnce() -> Route<A>,
        enter: impl FnOnce(Accounted),
    ) {
        let hash = key.hash(&self.secret);
        let Some(line) = self.lines.get(self.position(hash)) else {
            return enter(Accounted::Full);
        };
        // CAST: The tag is of the lower bits, the position of the upper ones.
        let tag = hash as u8;

        let mut bucket = lock_in(&line.bucket, softirqs);
        if self.add_to_known(&mut bucket, tag, key, counts, now) {
            return enter(Accounted::Known);
        }
        drop(bucket);

        let Some(handle) = self.allocate(line, counts) else {
            return enter(Accounted::Full);
        };
        let new = Flow::new(*key, route(), counts, now);

        let mut bucket = lock_in(&line.bucket, softirqs);
        // Another CPU may have been faster.
        if self.add_to_known(&mut bucket, tag, key, counts, now) {
            self.release([handle].into_iter(), counts.is_finishing().into());
            return enter(Accounted::Known);
        }
        enter(self.insert(&mut bucket, handle.with_tag(tag), new));
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
    ) -> bool {
        let Some(handle) = bucket.find(tag, |handle| self.slab.get(handle).key == *key) else {
            return false;
        };
        let flow = self.slab.get_mut(handle);
        let was_finished = flow.is_finished();
        if was_finished && counts.tcp_flags & TCP_SYN != 0 && self.make_wait(flow) {
            // The connection is over, and this begins another one of the same ports. (If the old one
            // cannot leave, they are told as one.)
            self.remove(bucket, *key);
            return false;
        }
        flow.add(counts, now);
        let overflows = flow.bytes >= OVERFLOW;
        let finishes = !was_finished && flow.is_finished();
        if overflows {
            bucket.due = bucket.due.min(now);
        }
        if finishes {
            bucket.due = bucket.due.min(now.plus(LINGER));
            self.count_finished();
        }
        true
    }

    /// Puts a new flow into its bucket.
    fn insert(&self, bucket: &mut Bucket, mut handle: Handle, new: Flow<A>) -> Accounted {
        if bucket.is_full() {
            // The one that is idle longest makes room.
            let idlest = bucket
                .iter()
                .map(|handle| self.slab.get(handle))
                .reduce(|a, b| if b.last.is_before(a.last) { b } else { a })
                .map(|flow| flow.key);
            if let Some(key) = idlest {
                self.displace(bucket, key);
            }
        }
        *self.slab.get_mut(&mut handle) = new;
        let deadline = self.policy.load().deadline(&new);
        match bucket.insert(handle, deadline) {
            Ok(()) => Accounted::New,
            Err(handle) => {
                self.release([handle].into_iter(), new.is_finished().into());
                Accounted::Full
            }
        }
    }

    /// Which bucket a hash belongs to: the upper bits, scaled to the number of buckets.
    #[inline(always)]
    fn position(&self, hash: u32) -> usize {
        // CAST: Less than the number of buckets.
        (u64::from(hash).wrapping_mul(self.lines.len() as u64) >> 32) as usize
    }

    /// Takes a cell for a new flow in the bucket of `line`, unless the cache is full.
    fn allocate(&self, line: &Line, counts: Counts) -> Option<Handle> {
        self.allocate_free(counts).or_else(|| {
            // Finished flows only wait to be exported: one of them can wait elsewhere.
            let mut bucket = line.bucket.lock();
            let finished = bucket
                .iter()
                .map(|handle| self.slab.get(handle))
                .find(|flow| flow.is_finished())
                .map(|flow| flow.key)?;
            if !self.displace(&mut bucket, finished) {
                return None;
            }
            drop(bucket);
            self.allocate_free(counts)
        })
    }

    /// Takes a free cell for a new flow, unless there are as many flows as may be.
    fn allocate_free(&self, counts: Counts) -> Option<Handle> {
        let mut free = self.free.lock();
        if self.live(&free) >= self.max {
            return None;
        }
        let handle = free.handles.pop()?;
        if counts.is_finishing() {
            free.finished = free.finished.saturating_add(1);
        }
        Some(handle)
    }

    /// Makes cells free, of which `finished` held finished flows.
    fn release(&self, handles: impl Iterator<Item = Handle>, finished: u32) {
        let mut free = self.free.lock();
        free.finished = free.finished.saturating_sub(finished);
        for handle in handles {
            // There is room: the vector was made for all handles.
            let _ = free.handles.push_within_capacity(handle);
        }
    }

    /// A flow of the cache has finished.
    fn count_finished(&self) {
        let mut free = self.free.lock();
        free.finished = free.finished.saturating_add(1);
    }

    /// Flows that count: those in use and not finished.
    fn live(&self, free: &Free) -> u32 {
        // CAST: At most `cells`.
        let used = self.cells.saturating_sub(free.handles.len() as u32);
        used.saturating_sub(free.finished)
    }

    /// Copies a flow to the waiting room. Returns whether there was room.
    fn make_wait(&self, flow: &Flow<A>) -> bool {
        let mut waiting = self.waiting.lock();
        if waiting.flows.push_within_capacity(*flow).is_err() {
            return false;
        }
        waiting.totals += flow.totals();
        true
    }

    /// Moves a flow from its bucket to the waiting room. Returns whether there was room.
    fn displace(&self, bucket: &mut Bucket, key: Key<A>) -> bool {
        let flow = bucket
            .iter()
            .map(|handle| self.slab.get(handle))
            .find(|flow| flow.key == key);
        if !flow.is_some_and(|flow| self.make_wait(flow)) {
            return false;
        }
        self.remove(bucket, key);
        true
    }

    /// Removes a flow from its bucket; its cell is free.
    fn remove(&self, bucket: &mut Bucket, key: Key<A>) {
        bucket.take(
            |handle| {
                let flow = self.slab.get(handle);
                (flow.key == key).then_some(flow.is_finished())
            },
            |handle, finished| self.release([handle].into_iter(), finished.into()),
        );
    }
}

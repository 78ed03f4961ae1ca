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
//! Locks nest in one way only: one bucket, then a free list or the waiting room.
//!
//! A flow may have to leave at once, in softirq, where nothing can be exported: one that has finished and
//! whose cell is needed, or whose ports begin a new connection, or that is idle longest in a bucket that
//! is full. It then moves to the waiting room until the next export.

mod displace;
mod export;
mod free;

pub(crate) use export::Expired;

use displace::Waiting;
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
        TCP_FIN,
        TCP_RST,
        TCP_SYN, //
    },
    ring::Ring,
    slab::{
        Cell,
        Handle,
        Slab, //
    },
};
use crate::linux::{
    cond_resched_at,
    lock::{
        lock_in,
        new_spinlock_bh,
        SoftirqsOff,
        SpinLockBh,
        SpinLockBhGuard, //
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
            linger: LINGER,
        }
    }

    fn store(&self, policy: Policy) {
        self.active.store(policy.active, Relaxed);
        self.inactive.store(policy.inactive, Relaxed);
        self.strict.store(policy.strict, Relaxed);
    }
}

/// A key and where it belongs.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a, A: Address> {
    key: Key<A>,
    line: &'a Line,
    bucket: u32,
    tag: u8,
}

/// A packet, as far as a flow takes notice of it, beside its key.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) counts: Counts,
    /// When it was seen.
    pub(crate) at: Uptime,
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
    lines: Pin<KVBox<[Line]>>,
    slab: Slab<Flow<A>, KVVec<Cell<Flow<A>>>>,
    free: Free,
    #[pin]
    waiting: SpinLockBh<Waiting<A>>,
}

impl<A: Address> Cache<A> {
    /// Reserves a cache for `max` flows. Process context.
    ///
    /// There is a waiting room for one flow in eight. The memory is charged to the caller's control group.
    /// `ENOMEM` if there is not enough.
    pub(crate) fn new(
        max: u32,
        policy: Policy,
        secret: Secret,
    ) -> Result<impl PinInit<Self, Error>> {
        const WAITING_MIN: u32 = 64;

        let flags = GFP_KERNEL_ACCOUNT | __GFP_NOWARN;
        let mut slab = KVVec::with_capacity(max as usize, flags)?;
        for cell in 0..max as usize {
            cond_resched_at(cell);
            slab.push_within_capacity(Cell::new(Flow::VACANT))
                .map_err(|_| ENOMEM)?;
        }
        let (slab, handles) = Slab::new(slab);
        let free = Free::new(handles, max, flags)?;
        let waiting = KVVec::from_elem(Flow::VACANT, (max / 8).max(WAITING_MIN) as usize, flags)?;
        let buckets = (max as usize).div_ceil(FLOWS_PER_BUCKET);
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
            lines,
            slab,
            free,
            waiting <- new_spinlock_bh!(
                Waiting {
                    flows: Ring::new(waiting),
                    totals: Totals::default(),
                },
                "netflow_waiting"
            ),
        }? Error))
    }

    /// Flows that it holds at most.
    pub(crate) fn max(&self) -> u32 {
        self.max
    }

    /// Whether no cell is free.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.free.is_exhausted()
    }

    /// Finds the place of a key, and makes the CPU fetch it; each key has one. Any context.
    #[inline(always)]
    pub(crate) fn locate(&self, key: Key<A>) -> Option<Place<'_, A>> {
        let hash = key.hash(&self.secret);
        // CAST: Less than the number of buckets.
        let position = (u64::from(hash).wrapping_mul(self.lines.len() as u64) >> 32) as usize;
        let line = self.lines.get(position)?;
        prefetch_for_write(line);
        Some(Place {
            key,
            line,
            // CAST: Less than 2^24 cells have fewer buckets.
            bucket: position as u32,
            // CAST: The tag is of the lower bits, the position of the upper ones.
            tag: hash as u8,
        })
    }

    /// Accounts a packet to the flow of the key at `place`. Any context but hard interrupts.
    ///
    /// `route` is asked where it goes if it begins a flow. `enter` is told how it ended. Both are asked under
    /// the lock: so nobody can take the flow out of the cache before it is in the books.
    #[inline(always)]
    pub(crate) fn account(
        &self,
        place: Place<'_, A>,
        seen: Seen,
        softirqs: SoftirqsOff<'_>,
        route: impl FnOnce(&Key<A>) -> Route<A>,
        enter: impl FnOnce(Accounted),
    ) -> Accounted {
        let mut bucket = lock_in(&place.line.bucket, softirqs);
        if self.add_to_known(&mut bucket, &place, seen, softirqs) {
            enter(Accounted::Known);
            return Accounted::Known;
        }
        self.begin(bucket, place, seen, softirqs, route, enter)
    }

    /// Accounts a packet of no known flow. `bucket` is the one at `place`.
    #[inline(never)]
    fn begin<'a>(
        &'a self,
        mut bucket: SpinLockBhGuard<'a, Bucket>,
        place: Place<'a, A>,
        seen: Seen,
        softirqs: SoftirqsOff<'a>,
        route: impl FnOnce(&Key<A>) -> Route<A>,
        enter: impl FnOnce(Accounted),
    ) -> Accounted {
        let mut cell = self.free.take(softirqs);
        if cell.is_none() && self.free.has_finished() {
            // The flow that makes way may be in any bucket, and two are not to be locked at a time.
            drop(bucket);
            self.make_room(seen.at, softirqs);
            bucket = lock_in(&place.line.bucket, softirqs);
            // Another CPU may have begun the flow meanwhile.
            if self.add_to_known(&mut bucket, &place, seen, softirqs) {
                enter(Accounted::Known);
                return Accounted::Known;
            }
            cell = self.free.take(softirqs);
        }
        let Some((handle, next)) = cell else {
            enter(Accounted::Full);
            return Accounted::Full;
        };
        if bucket.is_full() && !self.displace_idlest(&mut bucket, softirqs) {
            self.free.give(handle, softirqs);
            enter(Accounted::Full);
            return Accounted::Full;
        }
        let new = Flow::new(place.key, route(&place.key), seen.counts, seen.at);
        let accounted = self.insert(&mut bucket, handle, &place, new, softirqs);
        enter(accounted);
        drop(bucket);
        // The next new flow comes soon, perhaps: its cell may be on its way meanwhile.
        if let Some(next) = next {
            prefetch_for_write(self.slab.address(next));
        }
        accounted
    }

    /// Adds a packet to its flow. Returns whether there is one.
    #[inline(always)]
    fn add_to_known(
        &self,
        bucket: &mut Bucket,
        place: &Place<'_, A>,
        seen: Seen,
        softirqs: SoftirqsOff<'_>,
    ) -> bool {
        let key = place.key;
        let is_it = |handle: &Handle| self.slab.get(handle).key == key;
        let Some(handle) = bucket.find(place.tag, is_it) else {
            return false;
        };
        let flow = self.slab.get_mut(handle);
        let flags = flow.tcp_flags | seen.counts.tcp_flags;
        let bytes = flow.bytes.wrapping_add(seen.counts.bytes.into());
        if flags & (TCP_FIN | TCP_RST) != 0 || bytes >= OVERFLOW {
            return self.add_to_ending(bucket, *place, seen, softirqs);
        }
        flow.add(seen.counts, seen.at);
        true
    }

    /// The same for a flow that ends, or has.
    #[inline(never)]
    fn add_to_ending(
        &self,
        bucket: &mut Bucket,
        place: Place<'_, A>,
        seen: Seen,
        softirqs: SoftirqsOff<'_>,
    ) -> bool {
        let is_it = |handle: &Handle| self.slab.get(handle).key == place.key;
        let Some(handle) = bucket.find(place.tag, is_it) else {
            return false;
        };
        let flow = self.slab.get_mut(handle);
        let was_finished = flow.is_finished();
        let begins_anew = was_finished && seen.counts.tcp_flags & TCP_SYN != 0;
        if begins_anew && self.make_wait(flow, softirqs) {
            // The connection is over, and this begins another one of the same ports. (If the old one
            // cannot leave, they are told as one.)
            self.remove(bucket, &place.key, softirqs);
            return false;
        }
        flow.add(seen.counts, seen.at);
        let overflows = flow.bytes >= OVERFLOW;
        if !was_finished && flow.is_finished() {
            self.free.note_finished(place.bucket, softirqs);
            bucket.due = bucket.due.min(seen.at.plus(LINGER));
        }
        if overflows {
            bucket.due = bucket.due.min(seen.at);
        }
        true
    }

    /// Puts a new flow into its bucket, which has room.
    #[inline]
    fn insert(
        &self,
        bucket: &mut Bucket,
        handle: Handle,
        place: &Place<'_, A>,
        new: Flow<A>,
        softirqs: SoftirqsOff<'_>,
    ) -> Accounted {
        let mut handle = handle.with_tag(place.tag);
        *self.slab.get_mut(&mut handle) = new;
        if new.is_finished() {
            self.free.note_finished(place.bucket, softirqs);
        }
        match bucket.insert(handle, self.policy.load().deadline(&new)) {
            Ok(()) => Accounted::New,
            Err(handle) => {
                self.free.give(handle, softirqs);
                Accounted::Full
            }
        }
    }
}

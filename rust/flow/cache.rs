// SPDX-License-Identifier: GPL-2.0

//! The flow cache: a hash table of fixed size whose memory is reserved when it is made.
//!
//! ```text
//!   key --hash--> bucket: lock | due | homes | 4 tags | 12 x (tag, handle)   one cache line
//!                                        |                       |
//!                                        v                       v
//!                                flow|flow|flow|flow           flow          one cache line each (IPv4)
//!
//!                 room:   how many more flows there may be: a part of it for each CPU
//!                 spare:  handles of the cells that no flow has spilled into
//! ```
//!
//! A packet of a known flow takes one lock and touches two cache lines, the bucket's and the flow's, which
//! the CPU fetches together (one after the other when there is no room for more flows). Look-up and
//! insertion happen under one hold of the bucket's lock, so no flow is ever there twice. Locks nest in one
//! way only: one bucket, then room, spare cells or the waiting room.
//!
//! A flow may have to leave at once, in softirq, where nothing can be exported: one that has finished and
//! whose room is needed, or whose ports begin a new connection, or that is idle longest in a bucket that
//! is full. It then moves to the waiting room until the next export.

mod displace;
mod export;
mod memory;
mod room;

pub(crate) use export::Expired;
pub(crate) use room::Held;

use displace::Waiting;
use memory::{
    Memory,
    Reserved,
    Spare, //
};
use room::Room;

use kernel::{
    alloc::flags::*,
    prelude::*, //
};

use super::{
    bucket::{
        Bucket,
        Mark,
        HOMES, //
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
    ring::Ring, //
};
use crate::linux::{
    cond_resched_at,
    lock::{
        lock_in,
        new_spinlock_bh,
        Line,
        SoftirqsOff,
        SpinLockBhGuard, //
    },
    prefetch_for_write,
    shared::Shared, //
};

/// The policy, which may change while packets come.
///
/// Its parts may be read while others are not yet written: a deadline may then be a mix of old and
/// new. Who changes it looks into all buckets afterwards, which puts that right.
struct LivePolicy {
    active: Shared<u32>,
    inactive: Shared<u32>,
    strict: Shared<bool>,
}

impl LivePolicy {
    fn new(policy: Policy) -> Self {
        Self {
            active: Shared::new(policy.active),
            inactive: Shared::new(policy.inactive),
            strict: Shared::new(policy.strict),
        }
    }

    fn load(&self) -> Policy {
        Policy {
            active: self.active.read(),
            inactive: self.inactive.read(),
            strict: self.strict.read(),
            linger: LINGER,
        }
    }

    fn store(&self, policy: Policy) {
        self.active.write(policy.active);
        self.inactive.write(policy.inactive);
        self.strict.write(policy.strict);
    }
}

/// A key and where it belongs.
#[derive(Clone, Copy)]
pub(crate) struct Place<A: Address> {
    key: Key<A>,
    bucket: u32,
    mark: Mark,
}

impl<A: Address> Place<A> {
    /// The key.
    #[inline(always)]
    pub(crate) fn key(&self) -> &Key<A> {
        &self.key
    }
}

/// A packet, as far as a flow takes notice of it.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a, A: Address> {
    pub(crate) place: &'a Place<A>,
    pub(crate) counts: &'a Counts,
    /// When it came.
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
    lines: Pin<KVBox<[Line<Bucket<A>>]>>,
    room: Room,
    memory: Memory<A>,
    #[pin]
    spare: Line<Spare<A>>,
    #[pin]
    waiting: Line<Waiting<A>>,
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
        let room = Room::new(max, flags)?;
        let buckets = (max as usize).div_ceil(HOMES);
        let Reserved {
            memory,
            mut homes,
            spare,
        } = memory::reserve(max, buckets, flags)?;
        let waiting = KVVec::from_elem(Flow::VACANT, (max / 8).max(WAITING_MIN) as usize, flags)?;
        let lines = KVBox::pin_slice(
            |bucket| {
                cond_resched_at(bucket);
                let homes = homes.next().ok_or(ENOMEM);
                try_pin_init!(Line {
                    data <- new_spinlock_bh!(Bucket::new(homes?), "netflow_bucket"),
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
            room,
            memory,
            spare <- pin_init!(Line {
                data <- new_spinlock_bh!(spare, "netflow_spare"),
            }),
            waiting <- pin_init!(Line {
                data <- new_spinlock_bh!(
                    Waiting {
                        flows: Ring::new(waiting),
                        totals: Totals::default(),
                    },
                    "netflow_waiting"
                ),
            }),
        }? Error))
    }

    /// Flows that it holds at most.
    pub(crate) fn max(&self) -> u32 {
        self.max
    }

    /// Whether there is no room for a further flow.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.room.is_exhausted()
    }

    /// Finds the place of a key, and makes the CPU fetch what is there. Any context.
    #[inline(always)]
    pub(crate) fn locate(&self, key: Key<A>) -> Place<A> {
        let hash = key.hash(&self.secret);
        // The position is of the upper bits, and less than the number of buckets.
        let position = (u64::from(hash).wrapping_mul(self.lines.len() as u64) >> 32) as usize;
        let mark = Mark::of(hash);
        prefetch_for_write(self.lines.as_ptr().wrapping_add(position));
        // In vain for a flow for which there is no room, and the lock would wait for it.
        if !self.room.is_exhausted() {
            prefetch_for_write(self.memory.home(position, mark));
        }
        Place {
            key,
            // CAST: Less than a `u32`, as the number of flows is.
            bucket: position as u32,
            mark,
        }
    }

    /// Room for the flows that a run of `packets` may begin, which are accounted one after the other. While there is some
    /// left, it is full to others.
    #[inline(always)]
    pub(crate) fn hold<'a>(&'a self, packets: usize, softirqs: SoftirqsOff<'a>) -> Held<'a> {
        // CAST: A run is short, and if it were not, room would be taken more often.
        self.room.hold(packets as u32, softirqs)
    }

    /// Accounts a packet to the flow of the key at its place; `held` is this cache's. Any context but hard interrupts.
    ///
    /// `route` is asked where it goes if it begins a flow. `enter` is told how it ended. Both are asked under
    /// the lock: so nobody can take the flow out of the cache before it is in the books.
    #[inline(always)]
    pub(crate) fn account(
        &self,
        seen: Seen<'_, A>,
        held: &mut Held<'_>,
        softirqs: SoftirqsOff<'_>,
        route: impl FnOnce(&Key<A>) -> Route<A>,
        enter: impl FnOnce(Accounted),
    ) -> Accounted {
        let Some(line) = self.lines.get(seen.place.bucket as usize) else {
            // Never: it is a place of this cache.
            enter(Accounted::Full);
            return Accounted::Full;
        };
        held.next_packet();
        let mut bucket = lock_in(&line.data, softirqs);
        if self.add_to_known(&mut bucket, seen, softirqs) {
            enter(Accounted::Known);
            return Accounted::Known;
        }
        if held.is_full() {
            // `begin` would find out too: this spares a flood the call.
            enter(Accounted::Full);
            return Accounted::Full;
        }
        self.begin((line, bucket), seen, held, softirqs, route, enter)
    }

    /// Accounts a packet of no known flow. The bucket is the one at `place`.
    #[inline(never)]
    fn begin<'a>(
        &'a self,
        (line, mut bucket): (&'a Line<Bucket<A>>, SpinLockBhGuard<'a, Bucket<A>>),
        seen: Seen<'_, A>,
        held: &mut Held<'_>,
        softirqs: SoftirqsOff<'a>,
        route: impl FnOnce(&Key<A>) -> Route<A>,
        enter: impl FnOnce(Accounted),
    ) -> Accounted {
        let Seen { place, counts, at } = seen;
        let mut has_room = held.take();
        if !has_room && self.room.has_finished() {
            // The flow that makes way may be in any bucket, and two are not to be locked at a time.
            drop(bucket);
            self.make_room(at, softirqs);
            bucket = lock_in(&line.data, softirqs);
            // Another CPU may have begun the flow meanwhile.
            if self.add_to_known(&mut bucket, seen, softirqs) {
                enter(Accounted::Known);
                return Accounted::Known;
            }
            has_room = held.take();
        }
        if !has_room {
            enter(Accounted::Full);
            return Accounted::Full;
        }
        let cell = || self.take_cell(softirqs);
        let vacancy = bucket.vacancy(place.mark, cell).or_else(|| {
            self.displace_idlest(&mut bucket, place.bucket, softirqs);
            bucket.vacancy(place.mark, cell)
        });
        let Some(vacancy) = vacancy else {
            self.room.give(1, place.bucket, softirqs);
            enter(Accounted::Full);
            return Accounted::Full;
        };
        let new = Flow::new(place.key, route(&place.key), *counts, at);
        let deadline = self.policy.load().deadline(&new);
        self.memory
            .put(&mut bucket, vacancy, place.mark, new, deadline);
        if new.is_finished() {
            self.room.note_finished(place.bucket, softirqs);
        }
        enter(Accounted::New);
        Accounted::New
    }

    /// Adds a packet to its flow. Returns whether there is one.
    #[inline(always)]
    fn add_to_known(
        &self,
        bucket: &mut Bucket<A>,
        seen: Seen<'_, A>,
        softirqs: SoftirqsOff<'_>,
    ) -> bool {
        let Seen { place, counts, at } = seen;
        let Some(flow) = self.memory.find(bucket, place.mark, &place.key) else {
            return false;
        };
        let flags = flow.tcp_flags | counts.tcp_flags;
        let bytes = flow.bytes.wrapping_add(counts.bytes.into());
        if flags & (TCP_FIN | TCP_RST) != 0 || bytes >= OVERFLOW {
            return self.add_to_ending(bucket, seen, softirqs);
        }
        flow.add(*counts, at);
        true
    }

    /// The same for a flow that ends, or has.
    #[inline(never)]
    fn add_to_ending(
        &self,
        bucket: &mut Bucket<A>,
        seen: Seen<'_, A>,
        softirqs: SoftirqsOff<'_>,
    ) -> bool {
        let Seen { place, counts, at } = seen;
        let Some(flow) = self.memory.find(bucket, place.mark, &place.key) else {
            return false;
        };
        let was_finished = flow.is_finished();
        let begins_anew = was_finished && counts.tcp_flags & TCP_SYN != 0;
        if begins_anew && self.make_wait(flow, softirqs) {
            // The connection is over, and this begins another one of the same ports. (If the old one
            // cannot leave, they are told as one.)
            self.remove(bucket, place.bucket, &place.key, softirqs);
            return false;
        }
        flow.add(*counts, at);
        let overflows = flow.bytes >= OVERFLOW;
        if !was_finished && flow.is_finished() {
            self.room.note_finished(place.bucket, softirqs);
            bucket.due = bucket.due.min(at.plus(LINGER));
        }
        if overflows {
            bucket.due = bucket.due.min(at);
        }
        true
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The flow cache: a hash table of fixed size whose memory is reserved when it is made.
//!
//! ```text
//!   key --hash--> bucket: lock | due | primary | 4 tags | 12 x (tag, handle)   one cache line
//!                                        |                       |
//!                                        v                       v
//!                                flow|flow|flow|flow           flow          one cache line each (IPv4)
//!
//!                 budget:   how many more flows there may be: a shard of it for each CPU
//!                 free_spill:  handles of the slots that no flow has spill into
//! ```
//!
//! A packet of a known flow takes one lock and touches two cache lines, the bucket's and the flow's, which
//! the CPU fetches together (one after the other when there is no budget for more flows). Look-up and
//! insertion happen under one reservation of the bucket's lock, so no flow is ever there twice. Locks nest in one
//! way only: one bucket, then budget, free_spill slots or the evicted budget.
//!
//! A flow may have to leave at once, in softirq, where nothing can be exported: one that has finished and
//! whose budget is needed, or whose ports insert a new connection, or that is idle longest in a bucket that
//! is full. It then moves to the evicted budget until the next export.

mod evict;
mod memory;
mod slots;
mod walk;

pub(crate) use slots::SlotReservation;
pub(crate) use walk::Expired;

use evict::EvictQueue;
use memory::{
    FreeSpillSlots, //
    Memory,
    Reserved,
};
use slots::SlotBudget;

use kernel::{
    alloc::flags::*,
    prelude::*, //
};

use crate::flow::{
    bucket::{
        Bucket,
        HashBits,
        PRIMARY_SLOTS, //
    },
    entry::{
        Counts,
        Flow,
        Route,
        TCP_FIN,
        TCP_RST,
        TCP_SYN, //
    },
    expiry::{
        Policy,
        LINGER, //
    },
    key::{
        Address,
        Key,
        Secret, //
    },
    ledger::{
        Account,
        Totals, //
    },
    ring::Ring, //
    uptime::Uptime,
};
use crate::linux::{
    bh_lock::{
        lock_with,
        new_spinlock_bh,
        BhDisabled,
        CacheAligned,
        SpinLockBhGuard, //
    },
    cond_resched_at,
    prefetch_for_write,
    rwonce::RwOnce, //
};

/// The policy, which may change while packets come.
///
/// Its shards may be read while others are not yet written: a deadline may then be a mix of old and
/// new. Who changes it looks into all buckets afterwards, which puts that right.
struct LivePolicy {
    active: RwOnce<u32>,
    inactive: RwOnce<u32>,
    strict: RwOnce<bool>,
    max_bytes: RwOnce<u64>,
}

impl LivePolicy {
    fn new(policy: Policy) -> Self {
        Self {
            active: RwOnce::new(policy.active),
            inactive: RwOnce::new(policy.inactive),
            strict: RwOnce::new(policy.strict),
            max_bytes: RwOnce::new(policy.max_bytes),
        }
    }

    fn load(&self) -> Policy {
        Policy {
            active: self.active.read(),
            inactive: self.inactive.read(),
            strict: self.strict.read(),
            linger: LINGER,
            max_bytes: self.max_bytes.read(),
        }
    }

    fn store(&self, policy: Policy) {
        self.active.write(policy.active);
        self.inactive.write(policy.inactive);
        self.strict.write(policy.strict);
        self.max_bytes.write(policy.max_bytes);
    }
}

/// A key and where it belongs.
#[derive(Clone, Copy)]
pub(crate) struct HashedKey<A: Address> {
    key: Key<A>,
    bucket: u32,
    bits: HashBits,
}

impl<A: Address> HashedKey<A> {
    /// The key.
    #[inline(always)]
    pub(crate) fn key(&self) -> &Key<A> {
        &self.key
    }
}

/// A packet, as far as a flow takes notice of it.
#[derive(Clone, Copy)]
pub(crate) struct Update<'a, A: Address> {
    pub(crate) key: &'a HashedKey<A>,
    pub(crate) counts: &'a Counts,
    /// When it came.
    pub(crate) at: Uptime,
}

/// Whether a packet was accounted, and whether it began a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Updated {
    /// To a flow that was there.
    Known,
    /// To a new flow.
    New,
    /// Not at all, there is no budget.
    Full,
}

impl From<Updated> for Account {
    fn from(accounted: Updated) -> Self {
        match accounted {
            Updated::Known | Updated::New => Account::Cached,
            Updated::Full => Account::CacheFull,
        }
    }
}

/// The flow cache for one kind of address.
#[pin_data]
pub(crate) struct Cache<A: Address> {
    secret: Secret,
    policy: LivePolicy,
    max: u32,
    lines: Pin<KVBox<[CacheAligned<Bucket<A>>]>>,
    budget: SlotBudget,
    memory: Memory<A>,
    #[pin]
    free_spill: CacheAligned<FreeSpillSlots<A>>,
    #[pin]
    evicted: CacheAligned<EvictQueue<A>>,
}

impl<A: Address> Cache<A> {
    /// Reserves a cache for `max` flows. Process context.
    ///
    /// There is a evicted budget for one flow in eight. The memory is charged to the caller's control group.
    /// `ENOMEM` if there is not enough.
    pub(crate) fn new(
        max: u32,
        policy: Policy,
        secret: Secret,
    ) -> Result<impl PinInit<Self, Error>> {
        const WAITING_MIN: u32 = 64;

        let flags = GFP_KERNEL_ACCOUNT | __GFP_NOWARN;
        let budget = SlotBudget::new(max, flags)?;
        let buckets = (max as usize).div_ceil(PRIMARY_SLOTS);
        let Reserved {
            memory,
            mut primary,
            free_spill,
        } = memory::reserve(max, buckets, flags)?;
        let evicted = KVVec::from_elem(Flow::VACANT, (max / 8).max(WAITING_MIN) as usize, flags)?;
        let lines = KVBox::pin_slice(
            |bucket| {
                cond_resched_at(bucket);
                let primary = primary.next().ok_or(ENOMEM);
                try_pin_init!(CacheAligned {
                    data <- new_spinlock_bh!(Bucket::new(primary?), "netflow_bucket"),
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
            budget,
            memory,
            free_spill <- pin_init!(CacheAligned {
                data <- new_spinlock_bh!(free_spill, "netflow_spare"),
            }),
            evicted <- pin_init!(CacheAligned {
                data <- new_spinlock_bh!(
                    EvictQueue {
                        flows: Ring::new(evicted),
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

    /// Whether there is no budget for a further flow.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.budget.is_exhausted()
    }

    /// Finds the key of a key, and makes the CPU fetch what is there. Any context.
    #[inline(always)]
    pub(crate) fn hash_key(&self, key: Key<A>) -> HashedKey<A> {
        let hash = key.hash(&self.secret);
        // The position is of the upper bits, and less than the number of buckets.
        let position = (u64::from(hash).wrapping_mul(self.lines.len() as u64) >> 32) as usize;
        let bits = HashBits::of(hash);
        prefetch_for_write(self.lines.as_ptr().wrapping_add(position));
        // In vain for a flow for which there is no budget, and the lock would wait for it.
        if !self.budget.is_exhausted() {
            prefetch_for_write(self.memory.primary(position, bits));
        }
        HashedKey {
            key,
            // CAST: Less than a `u32`, as the number of flows is.
            bucket: position as u32,
            bits,
        }
    }

    /// Room for the flows that a run of `packets` may insert, which are accounted one after the other. While there is some
    /// left, it is full to others.
    #[inline(always)]
    pub(crate) fn reservation<'a>(
        &'a self,
        packets: usize,
        bh: BhDisabled<'a>,
    ) -> SlotReservation<'a> {
        // CAST: A run is short, and if it were not, budget would be taken more often.
        self.budget.reservation(packets as u32, bh)
    }

    /// Accounts a packet to the flow of the key at its key; `reservation` is this cache's. Any context but hard interrupts.
    ///
    /// `route` is asked where it goes if it begins a flow. `record` is told how it ended. Both are asked under
    /// the lock: so nobody can take the flow out of the cache before it is in the books.
    #[inline(always)]
    pub(crate) fn update(
        &self,
        seen: Update<'_, A>,
        reservation: &mut SlotReservation<'_>,
        bh: BhDisabled<'_>,
        route: impl FnOnce(&Key<A>) -> Route<A>,
        record: impl FnOnce(Updated),
    ) -> Updated {
        let Some(line) = self.lines.get(seen.key.bucket as usize) else {
            // Never: it is a key of this cache.
            record(Updated::Full);
            return Updated::Full;
        };
        reservation.next_packet();
        let mut bucket = lock_with(&line.data, bh);
        if self.update_existing(&mut bucket, seen, bh) {
            record(Updated::Known);
            return Updated::Known;
        }
        if reservation.is_full() {
            // `insert` would find out too: this spares a flood the call.
            record(Updated::Full);
            return Updated::Full;
        }
        self.insert((line, bucket), seen, reservation, bh, route, record)
    }

    /// Accounts a packet of no known flow. The bucket is the one at `key`.
    #[inline(never)]
    fn insert<'a>(
        &'a self,
        (line, mut bucket): (&'a CacheAligned<Bucket<A>>, SpinLockBhGuard<'a, Bucket<A>>),
        seen: Update<'_, A>,
        reservation: &mut SlotReservation<'_>,
        bh: BhDisabled<'a>,
        route: impl FnOnce(&Key<A>) -> Route<A>,
        record: impl FnOnce(Updated),
    ) -> Updated {
        let Update { key, counts, at } = seen;
        let mut has_slot = reservation.take();
        if !has_slot && self.budget.has_finished() {
            // The flow that makes way may be in any bucket, and two are not to be locked at a time.
            drop(bucket);
            self.evict_finished(at, bh);
            bucket = lock_with(&line.data, bh);
            // Another CPU may have begun the flow meanwhile.
            if self.update_existing(&mut bucket, seen, bh) {
                record(Updated::Known);
                return Updated::Known;
            }
            has_slot = reservation.take();
        }
        if !has_slot {
            record(Updated::Full);
            return Updated::Full;
        }
        let cell = || self.pop_spill_slot(bh);
        let vacancy = bucket.vacancy(key.bits, cell).or_else(|| {
            self.evict_idlest(&mut bucket, key.bucket, bh);
            bucket.vacancy(key.bits, cell)
        });
        let Some(vacancy) = vacancy else {
            self.budget.release(1, key.bucket, bh);
            record(Updated::Full);
            return Updated::Full;
        };
        let new = Flow::new(key.key, route(&key.key), *counts, at);
        let deadline = self.policy.load().deadline(&new);
        self.memory
            .put(&mut bucket, vacancy, key.bits, new, deadline);
        if new.is_finished() {
            self.budget.note_finished(key.bucket, bh);
        }
        record(Updated::New);
        Updated::New
    }

    /// Adds a packet to its flow. Returns whether there is one.
    #[inline(always)]
    fn update_existing(
        &self,
        bucket: &mut Bucket<A>,
        seen: Update<'_, A>,
        bh: BhDisabled<'_>,
    ) -> bool {
        let Update { key, counts, at } = seen;
        let Some(flow) = self.memory.find(bucket, key.bits, &key.key) else {
            return false;
        };
        let flags = flow.tcp_flags | counts.tcp_flags;
        let bytes = flow.bytes.wrapping_add(counts.bytes.into());
        if flags & (TCP_FIN | TCP_RST) != 0 || bytes >= self.policy.max_bytes.read() {
            return self.update_ending(bucket, seen, bh);
        }
        flow.add(*counts, at);
        true
    }

    /// The same for a flow that ends, or has.
    #[inline(never)]
    fn update_ending(
        &self,
        bucket: &mut Bucket<A>,
        seen: Update<'_, A>,
        bh: BhDisabled<'_>,
    ) -> bool {
        let Update { key, counts, at } = seen;
        let Some(flow) = self.memory.find(bucket, key.bits, &key.key) else {
            return false;
        };
        let was_finished = flow.is_finished();
        let begins_anew = was_finished && counts.tcp_flags & TCP_SYN != 0;
        if begins_anew && self.enqueue_evicted(flow, bh) {
            // The connection is over, and this begins another one of the same ports. (If the old one
            // cannot leave, they are told as one.)
            self.remove(bucket, key.bucket, &key.key, bh);
            return false;
        }
        flow.add(*counts, at);
        let overflows = flow.bytes >= self.policy.max_bytes.read();
        if !was_finished && flow.is_finished() {
            self.budget.note_finished(key.bucket, bh);
            bucket.due = bucket.due.min(at.plus(LINGER));
        }
        if overflows {
            bucket.due = bucket.due.min(at);
        }
        true
    }
}

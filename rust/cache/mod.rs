// SPDX-License-Identifier: GPL-2.0

//! The flow cache of an address family: a hash table of fixed size whose memory is reserved when it
//! is made.
//!
//! ```text
//!   key --hash--> bucket: lock | due | primary | 4 tags | 12 x (tag, handle)  one cache line
//!                                       |                        |
//!                                       v                        v
//!                               flow|flow|flow|flow            flow           one line each (IPv4)
//!                                 primary slots             spill slot
//!
//!          budget:      how many more flows there may be, in shards
//!          free_spill:  handles of the spill slots that no flow has
//!          evict_queue: flows that had to leave at once, until they are exported
//! ```
//!
//! A packet of a known flow takes one lock and touches two cache lines, the bucket's and the
//! flow's, which the CPU fetches together (one after the other when no slot is free). Look-up and
//! insertion happen under one hold of the bucket's lock, so no flow is ever there twice. Locks nest
//! in one way only: one bucket, then a shard of the budget, the free spill slots or the evict
//! queue.

mod evict;
mod memory;
mod slots;
mod update;
mod walk;

pub(crate) use slots::{
    SlotBudget,
    SlotReservation, //
};
pub(crate) use update::{
    HashedPacket,
    Update,
    Updated, //
};
pub(crate) use walk::Expired;

use evict::EvictQueue;
use memory::{
    FreeSpillSlots,
    Memory,
    Reserved, //
};
use slots::CacheSlots;

use kernel::{
    alloc::{
        flags::*,
        Flags, //
    },
    prelude::*,
    sync::Arc, //
};

use crate::{
    flow::{
        bucket::{
            Bucket,
            HashBits,
            PRIMARY_SLOTS, //
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
    },
    linux::{
        bh_lock::{
            new_spinlock_bh,
            CacheAligned, //
        },
        cond_resched_at,
        prefetch_for_write,
        rwonce::RwOnce, //
    },
};

/// How the memory of caches is reserved: charged to the caller's control group.
pub(crate) const ALLOC_FLAGS: Flags = GFP_KERNEL_ACCOUNT;

/// The policy, which may change while packets come.
///
/// Some of it may be read while the rest is not yet written: a deadline may then be a mix of old
/// and new. Who changes it looks into all buckets afterwards, which puts that right.
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

/// A key, its bucket, and where in the bucket its flow may be.
#[derive(Clone, Copy)]
pub(crate) struct HashedKey<A: Address> {
    key: Key<A>,
    bucket: u32,
    bits: HashBits,
}

impl<A: Address> HashedKey<A> {
    /// That of no flow.
    pub(crate) const VACANT: Self = Self {
        key: Key::VACANT,
        bucket: 0,
        bits: HashBits::of(0),
    };

    /// The key.
    #[inline(always)]
    pub(crate) fn key(&self) -> &Key<A> {
        &self.key
    }
}

/// The flow cache of one address family.
#[pin_data]
pub(crate) struct Cache<A: Address> {
    secret: Secret,
    policy: LivePolicy,
    buckets: Pin<KVBox<[CacheAligned<Bucket<A>>]>>,
    slots: CacheSlots,
    memory: Memory<A>,
    #[pin]
    free_spill: CacheAligned<FreeSpillSlots<A>>,
    #[pin]
    evict_queue: CacheAligned<EvictQueue<A>>,
}

impl<A: Address> Cache<A> {
    /// Reserves a cache, number `number` of those that share the budget, for all the flows that
    /// there may be. Process context. `ENOMEM` if there is not enough memory.
    pub(crate) fn new(
        budget: Arc<SlotBudget>,
        number: usize,
        policy: Policy,
        secret: Secret,
    ) -> Result<impl PinInit<Self, Error>> {
        let flags = ALLOC_FLAGS | __GFP_NOWARN;
        let max = budget.max();
        let buckets = (max as usize).div_ceil(PRIMARY_SLOTS);
        let Reserved {
            memory,
            mut primary,
            free_spill,
        } = memory::reserve(max, buckets, flags)?;
        let evict_queue = EvictQueue::new(max, flags)?;
        let buckets = KVBox::pin_slice(
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
            buckets,
            slots: CacheSlots::new(budget, number),
            memory,
            free_spill <- pin_init!(CacheAligned {
                data <- new_spinlock_bh!(free_spill, "netflow_free_spill"),
            }),
            evict_queue <- pin_init!(CacheAligned {
                data <- new_spinlock_bh!(evict_queue, "netflow_evict_queue"),
            }),
        }? Error))
    }

    /// The slots that it shares with other caches.
    #[inline(always)]
    pub(crate) fn budget(&self) -> &SlotBudget {
        self.slots.budget()
    }

    /// Finds the bucket of a key, and has the CPU fetch what is there. Any context.
    #[inline(always)]
    pub(crate) fn hash_key(&self, key: Key<A>) -> HashedKey<A> {
        let hash = key.hash(&self.secret);
        // The position is of the upper bits, and less than the number of buckets.
        let position = (u64::from(hash).wrapping_mul(self.buckets.len() as u64) >> 32) as usize;
        let bits = HashBits::of(hash);
        prefetch_for_write(self.buckets.as_ptr().wrapping_add(position));
        // In vain for a flow for which no slot is free, and the lock would wait for it.
        if !self.budget().is_exhausted() {
            prefetch_for_write(self.memory.primary_slot(position, bits));
        }
        HashedKey {
            key,
            // CAST: Less than a `u32`, as the number of flows is.
            bucket: position as u32,
            bits,
        }
    }
}

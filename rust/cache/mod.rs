// SPDX-License-Identifier: GPL-2.0

//! The flow cache of an address family: a hash table of fixed size whose memory is reserved when it
//! is made.
//!
//! The hash of a Flow Key says which bucket its flow is in; what a bucket consists of is drawn in
//! [`crate::flow::bucket`]. Beside the buckets and the slots of flows, a cache has
//!
//! - its share of the slot budget: how many more flows there may be, in shards;
//! - `free_spill`: handles of the spill slots that no flow has;
//! - `evict_queue`: flows that had to leave at once, until they are exported.
//!
//! A packet of a known flow takes one lock and touches two cache lines, the bucket's and the
//! flow's, which the CPU fetches together (one after the other when no slot is free). Look-up and
//! insertion happen under one hold of the bucket's lock, so no flow is ever there twice. The order
//! of the locks is in `Documentation/contributing.md`.

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
    alloc::Flags,
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
        entry::Flow,
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
        alloc::check_available,
        bh_lock::{
            new_spinlock_bh,
            CacheAligned, //
        },
        cond_resched_at,
        prefetch_for_write,
        rwonce::RwOnce, //
    },
};

/// The policy, which may change while packets come.
///
/// Some of it may be read while the rest is not yet written: a deadline may then be a mix of old
/// and new. Who changes it looks into all buckets afterwards, which puts that right. How long
/// finished flows stay is not in it: each sweep says that, see [`Cache::expire`].
struct LivePolicy {
    active: RwOnce<u32>,
    inactive: RwOnce<u32>,
    strict: RwOnce<bool>,
    max_bytes: RwOnce<u64>,
}

// Policies are taken apart by all their fields, so that a further one is not forgotten.
impl LivePolicy {
    fn new(policy: Policy) -> Self {
        let Policy {
            active,
            inactive,
            strict,
            linger: _,
            max_bytes,
        } = policy;
        Self {
            active: RwOnce::new(active),
            inactive: RwOnce::new(inactive),
            strict: RwOnce::new(strict),
            max_bytes: RwOnce::new(max_bytes),
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
        let Policy {
            active,
            inactive,
            strict,
            linger: _,
            max_bytes,
        } = policy;
        self.active.write(active);
        self.inactive.write(inactive);
        self.strict.write(strict);
        self.max_bytes.write(max_bytes);
    }
}

/// Bytes of a cache line.
const CACHE_LINE: usize = 64;

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
    /// Reserves a cache for `max` flows, number `number` of those that share the budget. One for no
    /// flows has nothing in it, and is not to be used. Process context. `ENOMEM` if there is not
    /// enough memory.
    pub(crate) fn new(
        (budget, number): (Arc<SlotBudget>, usize),
        max: u32,
        policy: Policy,
        secret: Secret,
        flags: Flags,
    ) -> Result<impl PinInit<Self, Error>> {
        let buckets = (max as usize).div_ceil(PRIMARY_SLOTS);
        // SAFETY: All of it becomes part of this cache, which passes a handle to no other.
        let reserved = unsafe { memory::reserve(max, buckets, flags)? };
        let Reserved {
            memory,
            mut primary,
            free_spill,
        } = reserved;
        let evict_queue = EvictQueue::new(max, flags)?;
        check_available(buckets, size_of::<CacheAligned<Bucket<A>>>())?;
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
            slots: CacheSlots::new(budget, number)?,
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
            let slot = self.memory.primary_slot(position, bits);
            prefetch_for_write(slot);
            // A flow that is longer than a cache line lies in two.
            if size_of::<Flow<A>>() > CACHE_LINE {
                prefetch_for_write(slot.cast::<u8>().wrapping_add(size_of::<Flow<A>>() - 1));
            }
        }
        HashedKey {
            key,
            // CAST: Less than a `u32`, as the number of flows is.
            bucket: position as u32,
            bits,
        }
    }
}

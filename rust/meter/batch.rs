// SPDX-License-Identifier: GPL-2.0

//! Back-to-back packets at PREROUTING are accounted in per-CPU batches of up to 16: when a batch is
//! full, or at the next tick of the system's clock.
//!
//! It takes as long as several packets to fetch a flow that no packet has touched for long. Whoever
//! enqueues a packet has the CPU fetch its flow; while further packets come, it arrives. What is
//! needed of a packet is in its [`PendingPacket`]; the packet itself goes on.
//!
//! A batch is drained by its own CPU, when it is full, when its timer expires, or when a packet
//! comes for which the clock is read anew, as all packets of a batch have one time; by the CPU that
//! takes it offline; and when nobody enqueues any more, by [`CpuBatches::drop`]. The order of
//! packets is kept within a batch only: at other points than PREROUTING, a packet is accounted at
//! once, before those that are in a recent batch.

use kernel::{
    prelude::*,
    sync::{
        barrier::{
            smp_mb,
            Read,
            Write, //
        },
        Arc, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
};
use pin_init::Zeroable;

use super::{
    family::Family,
    route::{
        RouteQuery,
        RoutedTo, //
    },
    statistics::CpuStatistics,
    uptime_cache::UptimeCache,
    Meter, //
};
use crate::{
    cache::{
        HashedKey,
        HashedPacket, //
    },
    flow::{
        entry::Counts,
        key::Key,
        uptime::Uptime, //
    },
    linux::{
        bh_lock::{
            BhDisabled,
            BhGuard, //
        },
        clock::{
            jiffies,
            Deadline, //
        },
        cpuhp::DeadCpu,
        percpu::{
            InUse,
            PerCpu,
            PerCpuExclusive, //
        },
        periodic_work::PeriodicWork,
        rwonce::RwOnce,
        timer::Expire, //
    },
};

/// Packets of a batch at most.
pub(super) const PACKETS_MAX: usize = 16;

/// A packet that is to be accounted; or several of one flow, see [`Counts::join`].
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct PendingPacket<A: Family> {
    pub(super) packet: HashedPacket<A>,
    pub(super) query: RouteQuery,
}

/// The packets of a CPU that are to be accounted, and the time at which they came.
pub(super) struct CpuBatch<A: Family> {
    /// How many of `packets` are.
    len: usize,
    uptime: UptimeCache,
    packets: [PendingPacket<A>; PACKETS_MAX],
}

impl<A: Family> CpuBatch<A> {
    fn new() -> Self {
        let none = PendingPacket {
            packet: HashedPacket {
                counts: Counts::default(),
                label: A::Label::default(),
                key: HashedKey::VACANT,
            },
            query: RouteQuery { input: 0, mark: 0 },
        };
        Self {
            len: 0,
            uptime: UptimeCache::default(),
            packets: [none; PACKETS_MAX],
        }
    }

    /// Whether a packet that comes now may be given the time of this batch.
    #[inline(always)]
    pub(super) fn is_recent(&self) -> bool {
        self.uptime.is_recent()
    }

    /// The time of the packets in it.
    pub(super) fn uptime(&self) -> Uptime {
        self.uptime.uptime()
    }

    /// Adds a packet to the one that came last, if it is of the same flow. Returns whether it was.
    #[inline(always)]
    pub(super) fn join(&mut self, key: &Key<A>, counts: Counts) -> bool {
        match self.packets.get_mut(self.len.wrapping_sub(1)) {
            Some(PendingPacket { packet, .. }) => {
                packet.key.key() == key && packet.counts.join(counts)
            }
            None => false,
        }
    }

    /// Adds a packet, and returns how many there are then. There is room, as a batch of
    /// [`PACKETS_MAX`] is drained.
    #[inline(always)]
    pub(super) fn push(&mut self, packet: PendingPacket<A>) -> usize {
        let len = self.len;
        if let Some(slot) = self.packets.get_mut(len) {
            *slot = packet;
            self.len = len.wrapping_add(1);
        }
        len.wrapping_add(1)
    }
}

/// Since when each CPU has packets in its batch, for those who wait until they are accounted.
/// Written by whoever uses the batch.
pub(crate) struct Pending(PerCpu<PendingSince>);

/// The count of ticks when the first packet was enqueued, odd so that it is not 0; 0 if there is
/// none.
#[derive(Zeroable)]
struct PendingSince(RwOnce<u64>);

impl Pending {
    fn new() -> Result<Arc<Self>> {
        Ok(Arc::new(Self(PerCpu::new()?), GFP_KERNEL_ACCOUNT)?)
    }

    /// Returns when the packets are accounted that have come so far, or at `deadline`. Process
    /// context.
    fn wait_until_drained(&self, deadline: Deadline) {
        let now = jiffies();
        for cpu in self.0.iter() {
            // What was enqueued later is not waited for.
            let is_waited_for = |since: u64| since != 0 && since <= now | 1;
            while is_waited_for(cpu.0.read()) && !deadline.has_passed() {
                fsleep(Delta::from_millis(1));
            }
        }
        // Pairs with the barrier in `Accounting::drain`.
        smp_mb(Read);
    }
}

/// Returns when the packets are accounted that have come so far, or after 0.1 seconds: where
/// softirqs have no time for so long, packets have none either. Process context.
pub(crate) fn wait_until_drained(all: [Option<Arc<Pending>>; 2]) {
    let deadline = Deadline::after(100);
    for pending in all.into_iter().flatten() {
        pending.wait_until_drained(deadline);
    }
}

/// How packets get from a batch, or without one, into the cache.
pub(super) struct Accounting {
    meter: Arc<Meter>,
    /// Kicked when the cache runs out of slots.
    work: Arc<PeriodicWork<Meter>>,
}

impl Accounting {
    /// Accounts the packets of a batch in the order in which they came; `since` is of its CPU.
    fn drain<A: Family>(&self, batch: &mut CpuBatch<A>, since: &PendingSince, bh: BhDisabled<'_>) {
        let packets = batch.packets.get(..batch.len).unwrap_or_default();
        if packets.is_empty() {
            return;
        }
        // The clock was not read since they came, or they would have been drained before.
        let at = batch.uptime.uptime();
        let statistics = self.meter.domain.statistics.of(A::FAMILY).this(bh);
        let mut reservation = A::cache(&self.meter).reservation(packets.len(), bh);
        for packet in packets {
            self.meter
                .update(packet, at, || None, statistics, &mut reservation, bh);
        }
        let is_short = reservation.is_short();
        drop(reservation);
        batch.len = 0;
        // Whoever sees that a batch was drained sees what became of its packets: pairs with the
        // barrier in `Pending::wait_until_drained`.
        smp_mb(Write);
        since.0.write(0);
        if is_short {
            self.work.kick();
        }
    }

    /// Accounts one packet, which came at `at`.
    pub(super) fn account<A: Family>(
        &self,
        packet: &PendingPacket<A>,
        at: Uptime,
        routed_to: impl FnOnce() -> Option<RoutedTo<A>>,
        statistics: &CpuStatistics,
        bh: BhDisabled<'_>,
    ) {
        let mut reservation = A::cache(&self.meter).reservation(1, bh);
        self.meter
            .update(packet, at, routed_to, statistics, &mut reservation, bh);
        if reservation.is_short() {
            self.work.kick();
        }
    }
}

/// The batches of all CPUs, of one address family.
pub(crate) struct CpuBatches<A: Family> {
    batches: PerCpuExclusive<CpuBatch<A>>,
    pending: Arc<Pending>,
    pub(super) accounting: Accounting,
}

impl<A: Family> CpuBatches<A> {
    /// All are empty. Process context.
    pub(super) fn new(meter: Arc<Meter>, work: Arc<PeriodicWork<Meter>>) -> Result<Self> {
        Ok(Self {
            batches: PerCpuExclusive::new(CpuBatch::new)?,
            pending: Pending::new()?,
            accounting: Accounting { meter, work },
        })
    }

    /// The batch of this CPU. `None` if the caller's own stack uses it already, which never
    /// happens.
    #[inline(always)]
    pub(super) fn get<'a>(&'a self, bh: BhDisabled<'a>) -> Option<InUse<'a, CpuBatch<A>>> {
        self.batches.get(bh)
    }

    /// The batch of this CPU is not empty any more.
    #[inline(always)]
    pub(super) fn set_pending(&self, bh: BhDisabled<'_>) {
        self.pending.0.this(bh).0.write(jiffies() | 1);
    }

    /// What tells when the batches are drained. It may outlive them.
    pub(super) fn pending(&self) -> Arc<Pending> {
        self.pending.clone()
    }

    /// Drains the batch of this CPU and reads the clock, as its time is not recent.
    pub(super) fn read_uptime(&self, batch: &mut CpuBatch<A>, bh: BhDisabled<'_>) -> Uptime {
        // The packets in it have the time that is about to be replaced.
        self.drain(batch, bh);
        batch.uptime.read(&self.accounting.meter.domain.clock)
    }

    /// Drains the batch of this CPU.
    #[inline(never)]
    pub(super) fn drain(&self, batch: &mut CpuBatch<A>, bh: BhDisabled<'_>) {
        self.accounting.drain(batch, self.pending.0.this(bh), bh);
    }

    /// Drains the batch of a CPU that is offline.
    pub(super) fn drain_dead(&self, cpu: &mut DeadCpu<'_>) {
        let guard = BhGuard::new();
        let Some(since) = self.pending.0.of_dead(cpu) else {
            return;
        };
        if let Some(mut batch) = self.batches.get_dead(cpu) {
            self.accounting.drain(&mut batch, since, guard.token());
        }
    }
}

impl<A: Family> Drop for CpuBatches<A> {
    /// Nobody enqueues any more.
    fn drop(&mut self) {
        for (batch, since) in self.batches.iter_mut().zip(self.pending.0.iter()) {
            self.accounting.drain(batch, since, BhGuard::new().token());
        }
    }
}

impl<A: Family> Expire for CpuBatches<A> {
    fn expired(&self, bh: BhDisabled<'_>) {
        if let Some(mut batch) = self.get(bh) {
            self.drain(&mut batch, bh);
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! How a packet gets from the hook into the cache.
//!
//! ```text
//!   hook --> inspect --> parse --> CpuBatch --> Accounting::drain --> Meter::update --> Cache
//!               |                                                          ^
//!               +--> inspect_any: what may not wait, Accounting::account --+
//!               +--> leave_out: what sampling does not select
//! ```

use core::net::{
    Ipv4Addr,
    Ipv6Addr, //
};

use kernel::{
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    },
};

use super::{
    batch::{
        CpuBatch,
        CpuBatches,
        Pending,
        PendingPacket,
        PACKETS_MAX, //
    },
    domain::ObservationDomain,
    family::Family,
    hooks,
    path_config::ConfigFlags,
    route::{
        RouteQuery,
        RoutedTo, //
    },
    Meter, //
};
use crate::{
    cache::{
        Cache,
        HashedPacket, //
    },
    flow::{
        entry::Counts,
        key::Key,
        ledger::Account,
        observe::{
            ObservationPoint,
            Traversal, //
        },
        parse::{
            has_later_ports,
            Unaccountable,
            IPPROTO_UDP, //
        },
    },
    linux::{
        bh_lock::BhDisabled,
        cpuhp::{
            CpuDead,
            DeadCpu, //
        },
        netfilter::{
            Inspect,
            Protocol, //
        },
        periodic_work::PeriodicWork,
        skb::Packet,
        timer::PinnedTimers, //
    },
};

/// What the hook functions of an address family work with. The order of the fields is the order in
/// which they go: no timer uses the batches when what is left in them is accounted.
pub(crate) struct Datapath<A: Family> {
    timers: PinnedTimers<CpuBatches<A>>,
    batches: Arc<CpuBatches<A>>,
    domain: Arc<ObservationDomain>,
    meter: Arc<Meter>,
}

impl<A: Family> Datapath<A> {
    /// Process context.
    fn new(meter: Arc<Meter>, work: Arc<PeriodicWork<Meter>>) -> Result<Arc<Self>> {
        let domain = meter.domain.clone();
        let batches = Arc::new(CpuBatches::new(meter.clone(), work)?, GFP_KERNEL_ACCOUNT)?;
        let datapath = Self {
            timers: PinnedTimers::new(batches.clone())?,
            batches,
            domain,
            meter,
        };
        Ok(Arc::new(datapath, GFP_KERNEL_ACCOUNT)?)
    }

    /// One if the family has a cache. Process context.
    fn of_cache(meter: &Arc<Meter>, work: &Arc<PeriodicWork<Meter>>) -> Result<Option<Arc<Self>>> {
        match A::cache(meter).buckets() {
            0 => Ok(None),
            _ => Self::new(meter.clone(), work.clone()).map(Some),
        }
    }

    /// See [`CpuBatches::pending`].
    pub(super) fn pending(&self) -> Arc<Pending> {
        self.batches.pending()
    }

    /// Looks at a packet. What is like most packets stays in here, the rest is for
    /// [`Self::inspect_any`].
    #[inline(always)]
    fn inspect(&self, packet: &Packet<'_>) {
        let flags = self.domain.path_config.flags(A::FAMILY);
        let point = hooks::observation_point(packet.hook());
        let traversal = Traversal::of(point, &hooks::facts(packet));
        if !traversal.counts(point, flags.points()) {
            return;
        }
        let guard = packet.bh_disabled();
        let bh = guard.token();
        if flags.is_sampled() && !self.domain.sampler.selects(bh) {
            return self.leave_out(packet, bh);
        }
        let is_local = traversal.is_local(point);
        if point == ObservationPoint::Prerouting && !is_local && !packet.is_gso() {
            let input = self.domain.path_config.iface(flags, packet.input());
            // Loaded and parsed before `is_recent` reads the cycle counter: what follows in the
            // program waits for that, and the hash of the key should then wait for nothing else.
            let cache = A::cache(&self.meter);
            if let Some(mut batch) = self.batches.get(bh) {
                if let Some((key, counts)) = A::parse_plain(packet, input) {
                    if batch.is_recent() {
                        return self.enqueue(cache, &mut batch, packet, (key, counts), bh);
                    }
                }
            }
        }
        self.inspect_any(packet, flags, is_local, bh);
    }

    /// Enters a packet that is not to be accounted into the ledger, with the bytes that it has,
    /// whatever its header states.
    #[inline(never)]
    fn leave_out(&self, packet: &Packet<'_>, bh: BhDisabled<'_>) {
        if packet.is_gso() {
            return self.leave_out_aggregate(packet, bh);
        }
        let statistics = self.domain.statistics.of(A::FAMILY).this(bh);
        statistics.enter(Account::NotSampled, 1, packet.len());
    }

    /// The same for an aggregate: how many it stands for, is in its headers.
    #[inline(never)]
    fn leave_out_aggregate(&self, packet: &Packet<'_>, bh: BhDisabled<'_>) {
        let (packets, bytes) = match A::parse(packet, 0) {
            Ok((_, counts)) => (counts.packets, counts.bytes),
            Err(_) => (1, packet.len()),
        };
        let statistics = self.domain.statistics.of(A::FAMILY).this(bh);
        statistics.enter(Account::NotSampled, packets, bytes);
    }

    /// Looks at a packet that is not like most of them.
    #[inline(never)]
    fn inspect_any(
        &self,
        packet: &Packet<'_>,
        flags: ConfigFlags,
        is_local: bool,
        bh: BhDisabled<'_>,
    ) {
        let statistics = self.domain.statistics.of(A::FAMILY).this(bh);
        let (mut key, counts) = match self.parse(packet, flags, is_local) {
            Ok(parsed) => parsed,
            Err(Unaccountable::Truncated) => {
                return statistics.enter(Account::Truncated, 1, packet.len())
            }
            Err(Unaccountable::Malformed) => {
                return statistics.enter(Account::Malformed, 1, packet.len())
            }
        };
        if !flags.counts_own() && self.is_own(packet, &key, is_local) {
            return statistics.enter(Account::Own, counts.packets, counts.bytes);
        }
        let has_no_ports = (key.proto() == A::ICMP && flags.icmp_zero())
            || (has_later_ports(key.proto()) && flags.tcp_udp_ports());
        if has_no_ports {
            key.clear_ports();
        }
        let cache = A::cache(&self.meter);
        let may_wait = packet.hook() == hooks::hook(ObservationPoint::Prerouting);
        let at = match self.batches.get(bh) {
            Some(mut batch) if batch.is_recent() => {
                if may_wait {
                    return self.enqueue(cache, &mut batch, packet, (key, counts), bh);
                }
                batch.uptime()
            }
            // Where packets are rare there is nothing to gain by waiting, and at some points they
            // are sent in process context, one by one.
            Some(mut batch) => self.batches.read_uptime(&mut batch, bh),
            None => self.domain.clock.uptime(),
        };
        let pending = pending_packet(cache, packet, (key, counts));
        self.batches
            .accounting
            .account(&pending, at, || RoutedTo::of(packet), statistics, bh);
    }

    /// Whether it is a datagram of the exporter, or answers one: were the answers accounted, they
    /// would be exported in datagrams that are answered again, without an end.
    #[inline(always)]
    fn is_own(&self, packet: &Packet<'_>, key: &Key<A>, is_local: bool) -> bool {
        match key.proto() {
            IPPROTO_UDP => is_local && A::is_own(&self.domain.own_datagrams, key),
            icmp if icmp == A::ICMP => A::answers_own(&self.domain.own_datagrams, packet, key),
            _ => false,
        }
    }

    /// Reads the headers of any packet.
    #[inline(always)]
    fn parse(
        &self,
        packet: &Packet<'_>,
        flags: ConfigFlags,
        is_local: bool,
    ) -> Result<(Key<A>, Counts), Unaccountable> {
        let input = self
            .domain
            .path_config
            .iface(flags, hooks::input(packet, is_local));
        if !packet.is_gso() {
            if let Some(plain) = A::parse_plain(packet, input) {
                return Ok(plain);
            }
        }
        A::parse(packet, input)
    }

    /// Adds a packet to the batch of this CPU.
    #[inline(always)]
    fn enqueue(
        &self,
        cache: &Cache<A>,
        batch: &mut CpuBatch<A>,
        packet: &Packet<'_>,
        (key, counts): (Key<A>, Counts),
        bh: BhDisabled<'_>,
    ) {
        if batch.join(&key, counts) {
            return;
        }
        match batch.push(pending_packet(cache, packet, (key, counts))) {
            1 => {
                self.batches.set_pending(bh);
                self.timers.arm(bh);
            }
            PACKETS_MAX.. => self.batches.drain(batch, bh),
            _ => {}
        }
    }
}

/// What is needed of a packet to account it. Has the CPU fetch its flow.
#[inline(always)]
fn pending_packet<A: Family>(
    cache: &Cache<A>,
    packet: &Packet<'_>,
    (key, counts): (Key<A>, Counts),
) -> PendingPacket<A> {
    PendingPacket {
        packet: HashedPacket {
            counts,
            label: A::label(packet),
            key: cache.hash_key(key),
        },
        query: RouteQuery::of(packet),
    }
}

/// What the hook functions of all address families that are accounted work with.
pub(crate) struct Datapaths {
    pub(super) ipv4: Option<Arc<Datapath<Ipv4Addr>>>,
    pub(super) ipv6: Option<Arc<Datapath<Ipv6Addr>>>,
}

impl Datapaths {
    /// Process context.
    pub(crate) fn new(meter: &Arc<Meter>, work: &Arc<PeriodicWork<Meter>>) -> Result<Self> {
        Ok(Self {
            ipv4: Datapath::of_cache(meter, work)?,
            ipv6: Datapath::of_cache(meter, work)?,
        })
    }
}

impl<A: Family> Inspect for Datapath<A> {
    const PROTOCOL: Protocol = A::PROTOCOL;

    #[inline(always)]
    fn inspect(this: ArcBorrow<'_, Self>, packet: &Packet<'_>) {
        Datapath::inspect(&this, packet);
    }
}

impl<A: Family> CpuDead for Datapath<A> {
    fn cpu_dead(&self, cpu: &mut DeadCpu<'_>) {
        self.timers.disarm(cpu);
        self.batches.drain_dead(cpu);
    }
}

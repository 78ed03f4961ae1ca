// SPDX-License-Identifier: GPL-2.0

//! Sweeps: how flows get from the cache to the exporter, each second and when someone asks for it.

use kernel::time::Msecs;

use core::net::{
    Ipv4Addr,
    Ipv6Addr, //
};

use super::{
    family::Family,
    Meter, //
};
use crate::{
    cache::{
        Cache,
        Expired, //
    },
    export::{
        collector::Patience,
        exporter::Exporter, //
    },
    flow::{
        expiry::{
            Pressure,
            LINGER, //
        },
        families::AddressFamily,
    },
    linux::{
        cond_resched,
        periodic_work::PeriodicTask, //
    },
};

/// Which flows to export.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sweep {
    /// Those that have expired.
    Periodic,
    /// The same, and those that have finished at once: their slots are needed.
    Reclaim,
    /// Like `Periodic`, but looks into every bucket, as `Bucket::due` still follows the old policy.
    Recheck,
    /// All.
    Flush,
    /// All, as far as they can be sent before the namespace or the module goes.
    Last,
}

impl Sweep {
    /// How long sending may wait for room in send buffers.
    const fn patience(self) -> Patience {
        match self {
            Self::Periodic | Self::Reclaim | Self::Recheck | Self::Last => Patience::PerSecond,
            Self::Flush => Patience::Flush,
        }
    }

    /// Milliseconds that finished flows stay.
    const fn linger(self) -> u32 {
        match self {
            Self::Periodic | Self::Recheck => LINGER,
            Self::Reclaim | Self::Flush | Self::Last => 0,
        }
    }
}

/// Buckets that are looked into before it is asked anew how full the cache is, which takes the lock
/// of each shard of the slot budget.
const BUCKETS_PER_PRESSURE: usize = 1024;

impl Meter {
    /// Exports flows, and returns how many. Process context; on return they are sent. If the
    /// namespace or the module is about to go, the rest stays in the cache.
    pub(crate) fn sweep(&self, sweep: Sweep) -> u32 {
        let Some(netns) = self.netns.as_ref() else {
            // No packet has come.
            return 0;
        };
        let mut exporter = self.domain.exporter.lock();
        let ignored = self.domain.ignored();
        exporter.begin_round(netns, sweep.patience(), sweep == Sweep::Last, ignored);
        let ipv4 = self.sweep_family::<Ipv4Addr>(sweep, &mut exporter);
        let ipv6 = self.sweep_family::<Ipv6Addr>(sweep, &mut exporter);
        exporter.end_round();
        if sweep == Sweep::Periodic {
            let path_config = &self.domain.path_config;
            let flags = path_config.flags(AddressFamily::Ipv4);
            exporter.tell_interfaces(netns, |index| path_config.iface(flags, index));
        }
        ipv4.saturating_add(ipv6)
    }

    /// Walks the whole table of a family, bucket by bucket: the time that it takes is in reading
    /// the buckets in order, as only those are looked into that have something due.
    #[inline(never)]
    fn sweep_family<A: Family>(&self, sweep: Sweep, exporter: &mut Exporter) -> u32 {
        let cache = A::cache(self);
        if cache.buckets() == 0 {
            // Its packets are not accounted, and its share of the slots is that of another.
            return 0;
        }
        let mut exported = export_evicted(cache, exporter);
        let (closely, linger) = (sweep != Sweep::Periodic, sweep.linger());
        cache.walk_begins();
        let mut now = self.domain.clock.uptime();
        let mut pressure = Pressure::Low;
        let mut expired: Expired<A> = [const { None }; _];
        for bucket in 0..cache.buckets() {
            if bucket % BUCKETS_PER_PRESSURE == 0 {
                if exporter.is_over() {
                    return exported;
                }
                pressure = match sweep {
                    Sweep::Periodic | Sweep::Reclaim | Sweep::Recheck => cache.pressure(),
                    Sweep::Flush | Sweep::Last => Pressure::Flush,
                };
            }
            if cache.expire(bucket, now, &mut pressure, closely, linger, &mut expired) {
                for (flow, reason) in expired.iter_mut().filter_map(Option::take) {
                    exporter.push(A::any(flow), reason);
                    exported = exported.saturating_add(1);
                }
                now = self.domain.clock.uptime();
            }
            cond_resched();
        }
        cache.walk_ends(linger);
        if matches!(sweep, Sweep::Flush | Sweep::Last) {
            // Some flows may have been evicted during the walk.
            exported = exported.saturating_add(export_evicted(cache, exporter));
        }
        exported
    }
}

/// Exports the flows that are in the evict queue now, and returns how many.
fn export_evicted<A: Family>(cache: &Cache<A>, exporter: &mut Exporter) -> u32 {
    let mut exported = 0u32;
    // Those that come meanwhile wait for the next sweep: this one has the buckets to walk, too.
    for _ in 0..cache.evicted_flows() {
        let Some((flow, reason)) = cache.next_evicted() else {
            break;
        };
        exporter.push(A::any(flow), reason);
        exported = exported.saturating_add(1);
        cond_resched();
    }
    exported
}

impl PeriodicTask for Meter {
    fn period(&self) -> Msecs {
        1000
    }

    fn run(&self) {
        /// Half of what SysUptime's order can bear.
        const TOO_LONG: u64 = 1 << 30;

        let now = self.domain.clock.millis();
        let slept = now.wrapping_sub(self.swept_at.read());
        self.swept_at.write(now);
        // After a suspend of weeks the times of flows would soon look like times to come.
        self.sweep(match slept {
            0..=TOO_LONG => Sweep::Periodic,
            _ => Sweep::Flush,
        });
    }

    fn run_kicked(&self) -> bool {
        // What it takes to walk through the table is not worth a few flows. If this was not enough,
        // the next packet without a slot kicks again.
        self.sweep(Sweep::Reclaim) > self.budget().max() / 64
    }
}

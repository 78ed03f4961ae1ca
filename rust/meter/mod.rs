// SPDX-License-Identifier: GPL-2.0

//! The metering process of a namespace: packets in, expired flows out.

mod datapath;
pub(crate) mod domain;
pub(crate) mod path_config;

pub(crate) use datapath::CPU_DEAD;

use core::net::Ipv4Addr;

use kernel::{
    prelude::*,
    sync::Arc,
    time::Msecs, //
};

use crate::{
    cache::{
        Cache,
        Expired, //
    },
    config::Config,
    export::exporter::Exporter,
    flow::{
        expiry::{
            Pressure,
            LINGER, //
        },
        key::Secret,
    },
    linux::{
        self,
        clock::Clock,
        netns::Netns,
        periodic_work::{
            Periodic, //
            PeriodicTask,
        }, //
        rwonce::RwOnce,
    },
    meter::domain::ObservationDomain,
};

/// Which flows to export.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sweep {
    /// Those that have expired.
    Periodic,
    /// The same, and those that have finished at once: their room is needed.
    Reclaim,
    /// The same, after a change of the policy: what was known to be due does not hold.
    Recheck,
    /// All.
    Flush,
}

impl Sweep {
    /// Milliseconds that sending may wait for room in send buffers, all datagrams together.
    const fn deadline(self) -> Msecs {
        match self {
            Self::Periodic | Self::Reclaim | Self::Recheck => 200,
            Self::Flush => 2000,
        }
    }

    /// Milliseconds that finished flows stay.
    const fn linger(self) -> u32 {
        match self {
            Self::Periodic | Self::Recheck => LINGER,
            Self::Reclaim | Self::Flush => 0,
        }
    }
}

/// Buckets that are looked into before it is asked anew how full the cache is.
const BUCKETS_PER_LOOK: usize = 1024;

/// Accounts the packets of a namespace.
#[pin_data]
pub(crate) struct Meter {
    netns: Netns,
    clock: Clock,
    /// Milliseconds since boot at the last tick.
    task: RwOnce<u64>,
    domain: Arc<ObservationDomain>,
    #[pin]
    cache: Cache<Ipv4Addr>,
}

impl Meter {
    /// Reserves the cache. Process context. `ENOMEM` if there is not enough memory.
    pub(crate) fn new(
        netns: Netns,
        config: &Config,
        domain: Arc<ObservationDomain>,
    ) -> Result<Arc<Periodic<Self>>> {
        let secret = Secret::new(linux::random());
        let policy = config.policy(domain.exporter.lock().max_bytes());
        let cache = Cache::new(config.max_flows, policy, secret)?;
        let clock = domain.clock;
        Periodic::new(try_pin_init!(Self {
            netns,
            clock,
            task: RwOnce::new(clock.millis()),
            domain,
            cache <- cache,
        }))
    }

    /// Its cache.
    pub(crate) fn cache(&self) -> &Cache<Ipv4Addr> {
        &self.cache
    }

    /// Puts settings in force; the flows in the cache are judged by them at once. Process context.
    pub(crate) fn set(&self, config: &Config) {
        let max_bytes = self.domain.exporter.lock().max_bytes();
        self.cache.set_policy(config.policy(max_bytes));
        self.export(Sweep::Recheck);
    }

    /// Exports flows, and returns how many. Process context; on return they are sent.
    ///
    /// Walks the whole table, bucket by bucket: the time that it takes is in reading the buckets in
    /// order, as only those are looked into that have something due.
    pub(crate) fn export(&self, sweep: Sweep) -> u32 {
        let mut exported = 0u32;
        let mut exporter = self.domain.exporter.lock();
        exporter.begin_round(sweep.deadline());
        exported = exported.saturating_add(self.export_evicted(&mut exporter));
        let (closely, linger) = (sweep != Sweep::Periodic, sweep.linger());
        self.cache.walk_begins();
        let mut now = self.clock.uptime();
        let mut pressure = Pressure::Low;
        let mut expired: Expired<Ipv4Addr> = [const { None }; _];
        for bucket in 0..self.cache.buckets() {
            // Now and then: to ask takes the lock of each CPU's part.
            if bucket % BUCKETS_PER_LOOK == 0 {
                pressure = match sweep {
                    Sweep::Periodic | Sweep::Reclaim | Sweep::Recheck => self.cache.pressure(),
                    Sweep::Flush => Pressure::Flush,
                };
            }
            let cache = &self.cache;
            if cache.expire(bucket, now, &mut pressure, closely, linger, &mut expired) {
                for (flow, reason) in expired.iter_mut().filter_map(Option::take) {
                    exporter.push(flow.into(), reason);
                    exported = exported.saturating_add(1);
                }
                now = self.clock.uptime();
            }
            linux::cond_resched();
        }
        self.cache.walk_ends(linger);
        if sweep == Sweep::Flush {
            // Some of all may have moved there during the walk.
            exported = exported.saturating_add(self.export_evicted(&mut exporter));
        }
        exporter.end_round();
        exported
    }

    /// Exports the flows that wait outside of the table now, and returns how many.
    fn export_evicted(&self, exporter: &mut Exporter) -> u32 {
        let mut exported = 0u32;
        // Those that come meanwhile wait for the next time, or the buckets would.
        for _ in 0..self.cache.evicted_flows() {
            let Some((flow, reason)) = self.cache.next_evicted() else {
                break;
            };
            exporter.push(flow.into(), reason);
            exported = exported.saturating_add(1);
        }
        exported
    }
}

impl PeriodicTask for Meter {
    const PERIOD: Msecs = 1000;

    fn tick(&self) {
        /// Half of what SysUptime's order can bear.
        const TOO_LONG: u64 = 1 << 30;

        let now = self.clock.millis();
        let slept = now.wrapping_sub(self.task.read());
        self.task.write(now);
        // After a suspend of weeks the times of flows would soon look like times to come.
        self.export(match slept {
            0..=TOO_LONG => Sweep::Periodic,
            _ => Sweep::Flush,
        });
    }

    fn reclaim(&self) -> bool {
        // What it takes to walk through the table is not worth a few flows.
        while self.export(Sweep::Reclaim) > self.cache.max() / 64 {
            if !self.cache.is_exhausted() {
                return true;
            }
        }
        false
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The metering process of a namespace: packets in, expired flows out.

mod account;

pub(crate) use account::TURNED_OFF;

use core::net::Ipv4Addr;

use kernel::{
    prelude::*,
    sync::Arc,
    time::Msecs, //
};

use crate::{
    export::sender::Sender,
    exporter::Exporter,
    flow::{
        cache::{
            Cache,
            Expired, //
        },
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
        shared::Shared,
        tick::{
            Ticked,
            Ticking, //
        }, //
    },
    settings::Settings,
};

/// Which flows to export.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sweep {
    /// Those that have expired.
    Due,
    /// The same, and those that have finished at once: their room is needed.
    Early,
    /// The same, after a change of the policy: what was known to be due does not hold.
    Closely,
    /// All.
    All,
}

impl Sweep {
    /// Milliseconds that sending may wait for room in send buffers, all datagrams together.
    const fn patience(self) -> u32 {
        match self {
            Self::Due | Self::Early | Self::Closely => 200,
            Self::All => 2000,
        }
    }

    /// Milliseconds that finished flows stay.
    const fn linger(self) -> u32 {
        match self {
            Self::Due | Self::Closely => LINGER,
            Self::Early | Self::All => 0,
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
    ticked: Shared<u64>,
    exporter: Arc<Exporter>,
    #[pin]
    cache: Cache<Ipv4Addr>,
}

impl Meter {
    /// Reserves the cache. Process context. `ENOMEM` if there is not enough memory.
    pub(crate) fn new(
        netns: Netns,
        settings: &Settings,
        exporter: Arc<Exporter>,
    ) -> Result<Arc<Ticking<Self>>> {
        let secret = Secret::new(linux::random());
        let cache = Cache::new(settings.max_flows, settings.policy(), secret)?;
        let clock = exporter.clock;
        Ticking::new(try_pin_init!(Self {
            netns,
            clock,
            ticked: Shared::new(clock.millis()),
            exporter,
            cache <- cache,
        }))
    }

    /// Its cache.
    pub(crate) fn cache(&self) -> &Cache<Ipv4Addr> {
        &self.cache
    }

    /// Puts settings in force; the flows in the cache are judged by them at once. Process context.
    pub(crate) fn set(&self, settings: &Settings) {
        self.cache.set_policy(settings.policy());
        self.export(Sweep::Closely);
    }

    /// Exports flows, and returns how many. Process context; on return they are sent.
    ///
    /// Walks the whole table, bucket by bucket: the time that it takes is in reading the buckets in
    /// order, as only those are looked into that have something due.
    pub(crate) fn export(&self, sweep: Sweep) -> u32 {
        let mut exported = 0u32;
        let mut sender = self.exporter.sender.lock();
        sender.begin(sweep.patience());
        exported = exported.saturating_add(self.export_waiting(&mut sender));
        let (closely, linger) = (sweep != Sweep::Due, sweep.linger());
        self.cache.walk_begins();
        let mut now = self.clock.uptime();
        let mut pressure = Pressure::Low;
        let mut expired: Expired<Ipv4Addr> = [const { None }; _];
        for bucket in 0..self.cache.buckets() {
            // Now and then: to ask takes the lock of each CPU's part.
            if bucket % BUCKETS_PER_LOOK == 0 {
                pressure = match sweep {
                    Sweep::Due | Sweep::Early | Sweep::Closely => self.cache.pressure(),
                    Sweep::All => Pressure::Flush,
                };
            }
            let cache = &self.cache;
            if cache.expire(bucket, now, &mut pressure, closely, linger, &mut expired) {
                for (flow, reason) in expired.iter_mut().filter_map(Option::take) {
                    sender.export(&flow, reason);
                    exported = exported.saturating_add(1);
                }
                now = self.clock.uptime();
            }
            linux::cond_resched();
        }
        self.cache.walk_ends(linger);
        if sweep == Sweep::All {
            // Some of all may have moved there during the walk.
            exported = exported.saturating_add(self.export_waiting(&mut sender));
        }
        sender.send_rest();
        exported
    }

    /// Exports the flows that wait outside of the table now, and returns how many.
    fn export_waiting(&self, sender: &mut Sender) -> u32 {
        let mut exported = 0u32;
        // Those that come meanwhile wait for the next time, or the buckets would.
        for _ in 0..self.cache.waiting_flows() {
            let Some((flow, reason)) = self.cache.next_waiting() else {
                break;
            };
            sender.export(&flow, reason);
            exported = exported.saturating_add(1);
        }
        exported
    }
}

impl Ticked for Meter {
    const PERIOD: Msecs = 1000;

    fn tick(&self) {
        /// Half of what SysUptime's order can bear.
        const TOO_LONG: u64 = 1 << 30;

        let now = self.clock.millis();
        let slept = now.wrapping_sub(self.ticked.read());
        self.ticked.write(now);
        // After a suspend of weeks the times of flows would soon look like times to come.
        self.export(match slept {
            0..=TOO_LONG => Sweep::Due,
            _ => Sweep::All,
        });
    }

    fn tick_early(&self) -> bool {
        // What it takes to walk through the table is not worth a few flows.
        while self.export(Sweep::Early) > self.cache.max() / 64 {
            if !self.cache.is_exhausted() {
                return true;
            }
        }
        false
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What outlives the cache of a namespace: its counters, its collectors, the numbers of its records.

use core::net::Ipv4Addr;

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
};
use pin_init::Zeroable;

use crate::{
    cache::Cache,
    export::{
        exporter::Exporter,
        own::OwnDatagrams, //
    },
    flow::ledger::{
        Account,
        Ledger,
        Totals, //
    },
    linux::{
        bh_lock::BhDisabled,
        clock::Clock,
        percpu::PerCpu,
        rwonce::RwOnce, //
    },
    meter::path_config::PathConfig,
};

/// What each CPU has of its own for the packet path.
#[derive(Zeroable)]
#[repr(C)]
pub(crate) struct OnCpu {
    /// Packets and bytes of each [`Account`].
    entered: [[RwOnce<u64>; 2]; Account::COUNT],
    /// Flows created.
    created: RwOnce<u64>,
}

impl OnCpu {
    /// Enters packets into the ledger.
    #[inline(always)]
    pub(crate) fn count(&self, entry: Account, packets: u32, bytes: u32) {
        if let Some([packets_so_far, bytes_so_far]) = self.entered.get(entry as usize) {
            packets_so_far.add(packets.into());
            bytes_so_far.add(bytes.into());
        }
    }

    /// A packet has begun a flow.
    #[inline(always)]
    pub(crate) fn note_created(&self) {
        self.created.add(1);
    }
}

/// The exporter of a namespace, enabled or not.
#[pin_data]
pub(crate) struct ObservationDomain {
    cpus: PerCpu<OnCpu>,
    /// The clock of flows and datagrams.
    pub(crate) clock: Clock,
    /// What the packet path is to do.
    pub(crate) path_config: PathConfig,
    /// What tells the exporter's own datagrams from others.
    pub(crate) own_datagrams: Arc<OwnDatagrams>,
    /// Held by whoever takes flows out of the cache.
    #[pin]
    pub(crate) exporter: Mutex<Exporter>,
}

impl ObservationDomain {
    /// An exporter that has seen nothing. Process context.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let cpus = PerCpu::new()?;
        let clock = Clock::new();
        let exporter = Exporter::new(clock)?;
        Arc::pin_init(
            pin_init!(Self {
                cpus,
                clock,
                path_config: PathConfig::new(),
                own_datagrams: exporter.own_datagrams(),
                exporter <- new_mutex!(exporter, "netflow_sender"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// What belongs to this CPU.
    #[inline(always)]
    pub(crate) fn on_cpu<'a>(&'a self, bh: BhDisabled<'a>) -> &'a OnCpu {
        self.cpus.this(bh)
    }

    /// Flows created so far.
    pub(crate) fn created(&self) -> u64 {
        self.cpus
            .iter()
            .fold(0, |sum, cpu| cpu.created.read().wrapping_add(sum))
    }

    /// What entered as `entry`.
    fn entered(&self, entry: Account) -> Totals {
        let mut totals = Totals::default();
        for [packets, bytes] in self
            .cpus
            .iter()
            .filter_map(|cpu| cpu.entered.get(entry as usize))
        {
            totals += Totals {
                packets: packets.read(),
                bytes: bytes.read(),
            };
        }
        totals
    }

    /// All accounts. `exporter` is the locked [`Self::exporter`], so that no flow is between two of them.
    pub(crate) fn ledger(&self, exporter: &Exporter, cache: Option<&Cache<Ipv4Addr>>) -> Ledger {
        let accounts = exporter.accounts();
        let waiting = cache.map(Cache::evicted).unwrap_or_default();
        let cached = self.entered(Account::Cached);
        let truncated = self.entered(Account::Truncated);
        let malformed = self.entered(Account::Malformed);
        let own = self.entered(Account::Own);
        let cache_full = self.entered(Account::CacheFull);
        Ledger {
            seen: cached + truncated + malformed + own + cache_full,
            truncated,
            malformed,
            own,
            cached: cached - accounts.taken - waiting,
            pending: exporter.pending() + waiting,
            exported: accounts.exported,
            cache_full,
            no_collector: accounts.no_collector,
            send_failed: accounts.send_failed,
        }
    }
}

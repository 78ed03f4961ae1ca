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
    export::sender::Sender,
    flow::{
        cache::Cache,
        ledger::{
            Entry,
            Ledger,
            Totals, //
        },
    },
    linux::{
        clock::Clock,
        lock::SoftirqsOff,
        percpu::PerCpu,
        shared::Shared, //
    },
    switches::Switches,
};

/// What each CPU has of its own for the packet path.
#[derive(Zeroable)]
#[repr(C)]
pub(crate) struct OnCpu {
    /// Packets and bytes of each [`Entry`].
    entered: [[Shared<u64>; 2]; Entry::COUNT],
    /// Flows created.
    created: Shared<u64>,
}

impl OnCpu {
    /// Enters packets into the ledger.
    #[inline(always)]
    pub(crate) fn enter(&self, entry: Entry, packets: u32, bytes: u32) {
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
pub(crate) struct Exporter {
    cpus: PerCpu<OnCpu>,
    /// The clock of flows and datagrams.
    pub(crate) clock: Clock,
    /// What the packet path is to do.
    pub(crate) switches: Switches,
    /// Held by whoever takes flows out of the cache.
    #[pin]
    pub(crate) sender: Mutex<Sender>,
}

impl Exporter {
    /// An exporter that has seen nothing. Process context.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let cpus = PerCpu::new()?;
        let clock = Clock::new();
        let sender = Sender::new(clock)?;
        Arc::pin_init(
            pin_init!(Self {
                cpus,
                clock,
                switches: Switches::new(),
                sender <- new_mutex!(sender, "netflow_sender"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// What belongs to this CPU.
    #[inline(always)]
    pub(crate) fn on_cpu<'a>(&'a self, softirqs: SoftirqsOff<'a>) -> &'a OnCpu {
        self.cpus.this(softirqs)
    }

    /// Flows created so far.
    pub(crate) fn created(&self) -> u64 {
        self.cpus
            .iter()
            .fold(0, |sum, cpu| cpu.created.read().wrapping_add(sum))
    }

    /// What entered as `entry`.
    fn entered(&self, entry: Entry) -> Totals {
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

    /// All accounts. `sender` is the locked [`Self::sender`], so that no flow is between two of them.
    pub(crate) fn ledger(&self, sender: &Sender, cache: Option<&Cache<Ipv4Addr>>) -> Ledger {
        let accounts = sender.accounts();
        let waiting = cache.map(Cache::waiting).unwrap_or_default();
        let cached = self.entered(Entry::Cached);
        let truncated = self.entered(Entry::Truncated);
        let malformed = self.entered(Entry::Malformed);
        let own = self.entered(Entry::Own);
        let cache_full = self.entered(Entry::CacheFull);
        Ledger {
            seen: cached + truncated + malformed + own + cache_full,
            truncated,
            malformed,
            own,
            cached: cached - accounts.taken - waiting,
            pending: accounts.pending + waiting,
            exported: accounts.exported,
            cache_full,
            no_collector: accounts.no_collector,
            send_failed: accounts.send_failed,
        }
    }
}

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
    linux::percpu::Counters,
    switches::Switches,
};

/// Per-CPU counters: packets and bytes of each [`Entry`], and flows created.
const COUNTERS: usize = 2 * Entry::COUNT + 1;
const CREATED: usize = 2 * Entry::COUNT;

/// The exporter of a namespace, enabled or not.
#[pin_data]
pub(crate) struct Exporter {
    counters: Counters<COUNTERS>,
    /// What the packet path is to do.
    pub(crate) switches: Switches,
    /// Held by whoever takes flows out of the cache.
    #[pin]
    pub(crate) sender: Mutex<Sender>,
}

impl Exporter {
    /// An exporter that has seen nothing. Process context.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let counters = Counters::new()?;
        let sender = Sender::new()?;
        Arc::pin_init(
            pin_init!(Self {
                counters,
                switches: Switches::new(),
                sender <- new_mutex!(sender, "netflow_sender"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Enters packets into the ledger. Any context.
    #[inline]
    pub(crate) fn enter(&self, entry: Entry, packets: u32, bytes: u32) {
        self.counters
            .add_pair(entry as usize * 2, packets.into(), bytes.into());
    }

    /// Counts a flow that was created. Any context.
    #[inline]
    pub(crate) fn count_created(&self) {
        self.counters.add(CREATED, 1);
    }

    /// Flows created so far.
    pub(crate) fn created(&self) -> u64 {
        self.counters.sum(CREATED)
    }

    /// What entered as `entry`.
    fn entered(&self, entry: Entry) -> Totals {
        Totals {
            packets: self.counters.sum(entry as usize * 2),
            bytes: self.counters.sum(entry as usize * 2 + 1),
        }
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

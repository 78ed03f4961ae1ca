// SPDX-License-Identifier: GPL-2.0

//! The Observation Domain (RFC 7011, section 2) of a namespace: what outlives the cache.

use core::net::Ipv4Addr;

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
};

use super::{
    path_config::PathConfig,
    statistics::Statistics, //
};
use crate::{
    cache::Cache,
    export::{
        batch::Accounts,
        clock::Clock,
        exporter::Exporter,
        own::OwnDatagrams,
        state::SharedState, //
    },
    flow::ledger::{
        Account,
        Ledger,
        Totals, //
    },
};

/// Counters, Collectors, the numbers of records: all of a namespace that stays when it is disabled.
#[pin_data]
pub(crate) struct ObservationDomain {
    /// What the packet path is to do.
    pub(crate) path_config: PathConfig,
    /// What the packet path has counted.
    pub(crate) statistics: Statistics,
    /// The clock of flows and datagrams.
    pub(crate) clock: Clock,
    /// By what the exporter's own datagrams are recognised.
    pub(crate) own_datagrams: Arc<OwnDatagrams>,
    /// Collectors, and what became of the flows that left the cache.
    pub(crate) export: Arc<SharedState>,
    /// Locked by whoever takes flows out of the cache, and while they are sent. No request waits
    /// for it.
    #[pin]
    pub(crate) exporter: Mutex<Exporter>,
}

impl ObservationDomain {
    /// A domain that has seen nothing. Process context.
    pub(crate) fn new(clock: Clock) -> Result<Arc<Self>> {
        let statistics = Statistics::new()?;
        let export = SharedState::new()?;
        let own_datagrams = export.lock().own_datagrams();
        let exporter = Exporter::new(clock, export.clone())?;
        let path_config = PathConfig::new()?;
        Arc::pin_init(
            pin_init!(Self {
                path_config,
                statistics,
                clock,
                own_datagrams,
                export,
                exporter <- new_mutex!(exporter, "netflow_exporter"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// What was not accounted so far.
    pub(crate) fn ignored(&self) -> Totals {
        let ignored = [Account::Truncated, Account::Malformed, Account::Own];
        let totals = ignored.map(|account| self.statistics.entered(account));
        totals
            .into_iter()
            .fold(Totals::default(), |sum, totals| sum + totals)
    }

    /// All accounts. `accounts` are those of the locked [`Self::export`], read first: what is taken
    /// out of the cache later counts as cached still.
    /// `seen` is the sum of what has entered, not a counter of its own.
    pub(crate) fn ledger(&self, accounts: &Accounts, cache: Option<&Cache<Ipv4Addr>>) -> Ledger {
        let evicted = cache.map(Cache::evicted).unwrap_or_default();
        let entered = |account| self.statistics.entered(account);
        let cached = entered(Account::Cached);
        let truncated = entered(Account::Truncated);
        let malformed = entered(Account::Malformed);
        let own = entered(Account::Own);
        let cache_full = entered(Account::CacheFull);
        Ledger {
            seen: cached + truncated + malformed + own + cache_full,
            truncated,
            malformed,
            own,
            cached: cached - accounts.taken - evicted,
            pending: accounts.pending() + evicted,
            exported: accounts.exported,
            cache_full,
            no_collector: accounts.no_collector,
            send_failed: accounts.send_failed,
            unsupported: accounts.unsupported,
        }
    }
}

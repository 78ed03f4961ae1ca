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
        clock::Clock,
        exporter::Exporter,
        own::OwnDatagrams, //
    },
    flow::ledger::{
        Account,
        Ledger, //
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
    /// Locked by whoever takes flows out of the cache.
    #[pin]
    pub(crate) exporter: Mutex<Exporter>,
}

impl ObservationDomain {
    /// A domain that has seen nothing. Process context.
    pub(crate) fn new(clock: Clock) -> Result<Arc<Self>> {
        let statistics = Statistics::new()?;
        let exporter = Exporter::new(clock)?;
        let path_config = PathConfig::new()?;
        Arc::pin_init(
            pin_init!(Self {
                path_config,
                statistics,
                clock,
                own_datagrams: exporter.own_datagrams(),
                exporter <- new_mutex!(exporter, "netflow_exporter"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// All accounts. `exporter` is the locked [`Self::exporter`], so that no flow is between two of
    /// them. `seen` is the sum of what has entered, not a counter of its own.
    pub(crate) fn ledger(&self, exporter: &Exporter, cache: Option<&Cache<Ipv4Addr>>) -> Ledger {
        let accounts = exporter.accounts();
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
            pending: exporter.pending() + evicted,
            exported: accounts.exported,
            cache_full,
            no_collector: accounts.no_collector,
            send_failed: accounts.send_failed,
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The Observation Domain (RFC 7011, section 2) of a namespace: what outlives the cache.

use core::net::{
    Ipv4Addr,
    Ipv6Addr, //
};

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
};

use super::{
    family::Family,
    path_config::PathConfig,
    sampler::Sampler,
    statistics::Statistics,
    Meter, //
};
use crate::{
    export::{
        batch::{
            Accounts,
            FamilyAccounts, //
        },
        clock::Clock,
        exporter::Exporter,
        own::OwnDatagrams,
        state::SharedState, //
    },
    flow::{
        families::PerFamily,
        ledger::{
            Account,
            Ledger,
            Totals, //
        },
    },
};

/// Counters, Collectors, the numbers of records: all of a namespace that stays when it is disabled.
#[pin_data]
pub(crate) struct ObservationDomain {
    /// What the packet path is to do.
    pub(crate) path_config: PathConfig,
    /// What the packet path has counted.
    pub(crate) statistics: PerFamily<Statistics>,
    /// Which packets it is to account.
    pub(crate) sampler: Sampler,
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
        let statistics = PerFamily {
            ipv4: Statistics::new()?,
            ipv6: Statistics::new()?,
        };
        let export = SharedState::new()?;
        let own_datagrams = export.lock().own_datagrams();
        let exporter = Exporter::new(clock, export.clone())?;
        let path_config = PathConfig::new()?;
        let sampler = Sampler::new()?;
        Arc::pin_init(
            pin_init!(Self {
                path_config,
                statistics,
                sampler,
                clock,
                own_datagrams,
                export,
                exporter <- new_mutex!(exporter, "netflow_exporter"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// What was selected but not accounted so far, for whatever reason (RFC 7011, section 4.2).
    pub(crate) fn ignored(&self) -> Totals {
        let ignored = |of: &Statistics| {
            of.entered(Account::Truncated)
                + of.entered(Account::Malformed)
                + of.entered(Account::Own)
                + of.entered(Account::CacheFull)
        };
        ignored(&self.statistics.ipv4) + ignored(&self.statistics.ipv6)
    }

    /// All accounts, of each family. `accounts` are those of the locked [`Self::export`], read
    /// first: what is taken out of the cache later counts as cached still.
    pub(crate) fn ledgers(&self, accounts: &Accounts, meter: Option<&Meter>) -> PerFamily<Ledger> {
        PerFamily {
            ipv4: self.ledger_of::<Ipv4Addr>(&accounts.of.ipv4, meter),
            ipv6: self.ledger_of::<Ipv6Addr>(&accounts.of.ipv6, meter),
        }
    }

    /// `seen` is the sum of what has entered, not a counter of its own.
    fn ledger_of<A: Family>(&self, accounts: &FamilyAccounts, meter: Option<&Meter>) -> Ledger {
        let evicted = meter.map(|meter| A::cache(meter).evicted());
        let evicted = evicted.unwrap_or_default();
        let entered = |account| self.statistics.of(A::FAMILY).entered(account);
        let cached = entered(Account::Cached);
        let truncated = entered(Account::Truncated);
        let malformed = entered(Account::Malformed);
        let own = entered(Account::Own);
        let not_sampled = entered(Account::NotSampled);
        let cache_full = entered(Account::CacheFull);
        Ledger {
            seen: cached + truncated + malformed + own + not_sampled + cache_full,
            truncated,
            malformed,
            own,
            not_sampled,
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

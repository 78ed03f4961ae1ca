// SPDX-License-Identifier: GPL-2.0

//! What each CPU counts on the packet path.

use kernel::prelude::*;
use pin_init::Zeroable;

use crate::{
    flow::ledger::{
        Account,
        Totals, //
    },
    linux::{
        bh_lock::BhDisabled,
        percpu::PerCpu,
        rwonce::RwOnce, //
    },
};

/// The counters of one CPU, written by it alone, with bottom halves disabled.
#[derive(Zeroable)]
#[repr(C)]
pub(crate) struct CpuStatistics {
    /// Packets and bytes that entered each [`Account`].
    entered: [[RwOnce<u64>; 2]; Account::COUNT],
    /// Flows created.
    created: RwOnce<u64>,
}

impl CpuStatistics {
    /// Enters packets into an account of the ledger.
    #[inline(always)]
    pub(crate) fn enter(&self, account: Account, packets: u32, bytes: u32) {
        if let Some([packets_so_far, bytes_so_far]) = self.entered.get(account as usize) {
            packets_so_far.add(packets.into());
            bytes_so_far.add(bytes.into());
        }
    }

    /// Counts a flow that was created.
    #[inline(always)]
    pub(crate) fn add_created(&self) {
        self.created.add(1);
    }
}

/// The counters of all CPUs.
pub(crate) struct Statistics(PerCpu<CpuStatistics>);

impl Statistics {
    /// All zero. Process context.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(PerCpu::new()?))
    }

    /// Those of this CPU.
    #[inline(always)]
    pub(crate) fn this<'a>(&'a self, bh: BhDisabled<'a>) -> &'a CpuStatistics {
        self.0.this(bh)
    }

    /// Flows created so far.
    pub(crate) fn created(&self) -> u64 {
        self.0
            .iter()
            .fold(0, |sum, cpu| cpu.created.read().wrapping_add(sum))
    }

    /// What has entered an account so far.
    pub(crate) fn entered(&self, account: Account) -> Totals {
        let mut totals = Totals::default();
        let counters = self.0.iter().map(|cpu| &cpu.entered);
        for [packets, bytes] in counters.filter_map(|entered| entered.get(account as usize)) {
            totals += Totals {
                packets: packets.read(),
                bytes: bytes.read(),
            };
        }
        totals
    }
}

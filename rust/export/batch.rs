// SPDX-License-Identifier: GPL-2.0

//! Flows that left the cache and are not settled yet, and how they are settled.
//!
//! A flow may take several Data Records, in several datagrams, of several streams, to several
//! Collectors. [`Outcome`] is ordered, so that its account follows from three rules:
//!
//! - A datagram has the best outcome of the Collectors that it was sent to.
//! - A flow has, in a stream, the worst outcome of the datagrams with a record of it: it is
//!   exported only if all of its records are.
//! - A flow has the best outcome of the streams.
//!
//! So each flow ends in one account, with all its packets and bytes.

use core::ops::DerefMut;

use crate::flow::{
    entry::{
        AnyFlow,
        Flow, //
    },
    expiry::Reason,
    families::PerFamily,
    ledger::Totals,
};

/// What became of a flow or of a datagram; the better, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// There was no Collector to send it to.
    NoCollector,
    /// No Collector gets a format that has a record for it.
    Unsupported,
    /// No Collector's socket accepted it.
    SendFailed,
    /// A Collector's socket accepted it.
    Exported,
}

/// What became of the flows that left the caches, and of their packets.
#[derive(Default)]
pub(crate) struct Accounts {
    /// The packets, by the family of the flows.
    pub(crate) of: PerFamily<FamilyAccounts>,
    /// Flows by the reason why they left.
    expired: [u64; Reason::COUNT],
}

/// What became of the flows of a family that left its cache.
#[derive(Default)]
pub(crate) struct FamilyAccounts {
    /// Taken out of the cache.
    pub(crate) taken: Totals,
    /// In flows all of whose records were in datagrams that a Collector's socket accepted.
    pub(crate) exported: Totals,
    /// Lost as there was no Collector.
    pub(crate) no_collector: Totals,
    /// Lost as no Collector gets a format that has a record for such a flow.
    pub(crate) unsupported: Totals,
    /// Lost as no Collector's socket accepted a datagram with a record of the flow.
    pub(crate) send_failed: Totals,
    /// Flows that were lost in any of these ways.
    lost_flows: u64,
}

impl Accounts {
    /// Flows that left the cache for `reason`.
    pub(crate) fn expired(&self, reason: Reason) -> u64 {
        self.expired.get(reason as usize).copied().unwrap_or(0)
    }

    /// In flows that no Collector was sent, and how many of these there were.
    pub(crate) fn lost(&self) -> (Totals, u64) {
        let ((ipv4, ipv4_flows), (ipv6, ipv6_flows)) = (self.of.ipv4.lost(), self.of.ipv6.lost());
        (ipv4 + ipv6, ipv4_flows.wrapping_add(ipv6_flows))
    }

    /// A flow has left the cache.
    fn take(&mut self, flow: &AnyFlow, reason: Reason) {
        self.of.of_mut(flow.family()).taken += flow.totals();
        if let Some(count) = self.expired.get_mut(reason as usize) {
            *count = count.wrapping_add(1);
        }
    }

    /// A flow has ended in `outcome`.
    fn settle(&mut self, flow: &AnyFlow, outcome: Outcome) {
        let accounts = self.of.of_mut(flow.family());
        let account = match outcome {
            Outcome::NoCollector => &mut accounts.no_collector,
            Outcome::Unsupported => &mut accounts.unsupported,
            Outcome::SendFailed => &mut accounts.send_failed,
            Outcome::Exported => &mut accounts.exported,
        };
        *account += flow.totals();
        if outcome != Outcome::Exported {
            accounts.lost_flows = accounts.lost_flows.wrapping_add(1);
        }
    }
}

impl FamilyAccounts {
    /// In flows that no Collector was sent, and how many of these there were.
    fn lost(&self) -> (Totals, u64) {
        (
            self.no_collector + self.unsupported + self.send_failed,
            self.lost_flows,
        )
    }

    /// In flows that left the cache and are not settled yet.
    pub(crate) fn pending(&self) -> Totals {
        self.taken - self.exported - self.no_collector - self.unsupported - self.send_failed
    }
}

/// A flow in a batch.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    /// The flow, as it left the cache.
    pub(crate) flow: AnyFlow,
    /// Why it left the cache.
    pub(crate) reason: Reason,
    /// The worst of its datagrams so far, in the stream that is at work.
    in_stream: Outcome,
    /// The best of the streams that have been at work.
    best: Outcome,
}

impl Entry {
    /// What the memory of a batch is filled with.
    pub(crate) const VACANT: Self = Self::new(AnyFlow::V4(Flow::VACANT), Reason::Flushed);

    const fn new(flow: AnyFlow, reason: Reason) -> Self {
        Self {
            flow,
            reason,
            in_stream: Outcome::Exported,
            best: Outcome::NoCollector,
        }
    }

    /// A datagram with a record of this flow had that outcome.
    pub(crate) fn note_datagram(&mut self, outcome: Outcome) {
        self.in_stream = self.in_stream.min(outcome);
    }

    /// A stream has exported the flow, in datagrams that were all noted.
    pub(crate) fn note_told(&mut self) {
        self.best = self.best.max(self.in_stream);
        self.in_stream = Outcome::Exported;
    }
}

/// Flows that wait to be exported together; as many as `S` has elements.
///
/// # Invariants
///
/// `len` is not more than the number of elements.
pub(crate) struct Batch<S> {
    entries: S,
    len: usize,
}

impl<S: DerefMut<Target = [Entry]>> Batch<S> {
    /// A batch in `entries`, whose contents do not matter.
    pub(crate) fn new(entries: S) -> Self {
        // INVARIANT: There is nothing in it.
        Self { entries, len: 0 }
    }

    /// Whether so many flows are in, or no further one fits.
    pub(crate) fn has(&self, flows: usize) -> bool {
        self.len >= flows.min(self.entries.len())
    }

    /// Puts a flow in. Returns whether it fitted.
    pub(crate) fn push(&mut self, flow: AnyFlow, reason: Reason) -> bool {
        match self.entries.get_mut(self.len) {
            Some(entry) => {
                *entry = Entry::new(flow, reason);
                // INVARIANT: There was an element at `len`.
                self.len = self.len.wrapping_add(1);
                true
            }
            None => false,
        }
    }

    /// The flows in it.
    pub(crate) fn entries(&self) -> &[Entry] {
        self.entries.get(..self.len).unwrap_or_default()
    }

    /// The flows in it, for a stream to export them.
    pub(crate) fn entries_mut(&mut self) -> &mut [Entry] {
        self.entries.get_mut(..self.len).unwrap_or_default()
    }

    /// Notes that the flows in it have left the cache.
    pub(crate) fn take(&self, accounts: &mut Accounts) {
        for entry in self.entries() {
            accounts.take(&entry.flow, entry.reason);
        }
    }

    /// Enters each flow into its account, when all streams have exported it. Empties the batch.
    pub(crate) fn settle(&mut self, accounts: &mut Accounts) {
        for entry in self.entries() {
            accounts.settle(&entry.flow, entry.best);
        }
        self.len = 0;
    }
}

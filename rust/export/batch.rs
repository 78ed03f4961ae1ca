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

use super::format::{
    Appended,
    Format, //
};
use crate::flow::{
    entry::{
        AnyFlow,
        Flow, //
    },
    expiry::Reason,
    families::PerFamily,
    ledger::Totals,
    nat::{
        AnyEndpoints,
        NatEvent, //
    },
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

/// What streams export: a flow or an event, in Data Records of its own.
pub(crate) trait Exportable {
    /// Whether it is a flow.
    const IS_FLOW: bool;

    /// Appends its record number `index`, from 0.
    fn append_to(&self, format: &mut impl Format, index: u64) -> Appended;

    /// What becomes of it.
    fn fate(&mut self) -> &mut Fate;
}

/// What becomes of something that is exported.
#[derive(Clone, Copy)]
pub(crate) struct Fate {
    /// The worst of its datagrams so far, in the stream that is at work.
    in_stream: Outcome,
    /// The best of the streams that have been at work.
    best: Outcome,
}

impl Fate {
    const NEW: Self = Self {
        in_stream: Outcome::Exported,
        best: Outcome::NoCollector,
    };

    /// A datagram with a record of it had that outcome.
    pub(crate) fn note_datagram(&mut self, outcome: Outcome) {
        self.in_stream = self.in_stream.min(outcome);
    }

    /// A stream has exported it, in datagrams that were all noted.
    pub(crate) fn note_told(&mut self) {
        self.best = self.best.max(self.in_stream);
        self.in_stream = Outcome::Exported;
    }
}

/// A flow in a batch.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    /// The flow, as it left the cache.
    pub(crate) flow: AnyFlow,
    /// Why it left the cache.
    pub(crate) reason: Reason,
    /// With what addresses and ports its packets leave this host, if that is to be told.
    pub(crate) after: Option<AnyEndpoints>,
    fate: Fate,
}

impl Entry {
    /// What the memory of a batch is filled with.
    pub(crate) const VACANT: Self = Self::new(AnyFlow::V4(Flow::VACANT), Reason::Flushed);

    const fn new(flow: AnyFlow, reason: Reason) -> Self {
        Self {
            flow,
            reason,
            after: None,
            fate: Fate::NEW,
        }
    }
}

impl Exportable for Entry {
    const IS_FLOW: bool = true;

    #[inline]
    fn append_to(&self, format: &mut impl Format, index: u64) -> Appended {
        match &self.after {
            None => format.append(&self.flow, self.reason, index),
            Some(after) => format.append_translated(&self.flow, after, self.reason, index),
        }
    }

    fn fate(&mut self) -> &mut Fate {
        &mut self.fate
    }
}

/// An event that is to be exported.
#[derive(Clone, Copy)]
pub(crate) struct EventEntry {
    event: NatEvent,
    fate: Fate,
}

impl EventEntry {
    /// What the memory of a batch is filled with.
    pub(crate) const VACANT: Self = Self::new(NatEvent::VACANT);

    pub(crate) const fn new(event: NatEvent) -> Self {
        Self {
            event,
            fate: Fate::NEW,
        }
    }
}

impl Exportable for EventEntry {
    const IS_FLOW: bool = false;

    fn append_to(&self, format: &mut impl Format, _index: u64) -> Appended {
        format.append_event(&self.event)
    }

    fn fate(&mut self) -> &mut Fate {
        &mut self.fate
    }
}

/// What became of the events that there were.
#[derive(Clone, Copy, Default)]
pub(crate) struct EventAccounts {
    /// In datagrams that a Collector's socket accepted.
    pub(crate) exported: u64,
    /// Lost as there was no Collector.
    pub(crate) no_collector: u64,
    /// Lost as no Collector gets a format that has a record for them.
    pub(crate) unsupported: u64,
    /// Lost as no Collector's socket accepted the datagram, or as there was no time to send it.
    pub(crate) send_failed: u64,
    /// Lost as the queue was full in which they wait to be read.
    pub(crate) overrun: u64,
    /// Not understood.
    pub(crate) malformed: u64,
}

impl EventAccounts {
    /// Events are not exported, as they are not to be any more.
    pub(crate) fn abandon(&mut self, events: &[EventEntry]) {
        let events = u64::try_from(events.len()).unwrap_or(0);
        self.send_failed = self.send_failed.wrapping_add(events);
    }

    /// Events have ended so, when all streams have exported them.
    pub(crate) fn settle(&mut self, events: &[EventEntry]) {
        for entry in events {
            let account = match entry.fate.best {
                Outcome::NoCollector => &mut self.no_collector,
                Outcome::Unsupported => &mut self.unsupported,
                Outcome::SendFailed => &mut self.send_failed,
                Outcome::Exported => &mut self.exported,
            };
            *account = account.wrapping_add(1);
        }
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
            accounts.settle(&entry.flow, entry.fate.best);
        }
        self.len = 0;
    }
}

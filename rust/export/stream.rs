// SPDX-License-Identifier: GPL-2.0

//! A stream: datagrams of one format, numbered, and the Collectors that get them.
//!
//! All Collectors of a stream get the same bytes. A datagram that one of them did not get is not
//! repeated; its records are numbered all the same, so that the Collector sees the gap.
//!
//! In a format with templates, a Collector is told these, and options, before it is sent records,
//! and again from time to time ([`refresh`](super::refresh)). They are in datagrams of their own:
//! some collectors drop a whole datagram in which one template is not known to them.

#[cfg(test)]
mod tests;

use core::ops::DerefMut;

use super::{
    batch::{
        Exportable,
        Outcome, //
    },
    collector::Collectors,
    format::{
        Announcement,
        Appended,
        ExportTime,
        Format, //
    },
    options::{
        Interface,
        Options,
        Process, //
    },
    refresh::{
        Due,
        Intervals,
        Refresh, //
    },
};
use crate::flow::sampling::Method;

/// A stream, whose datagram under construction is in `D`.
pub(crate) struct Stream<D> {
    datagram: D,
    sequence: u32,
    collectors: Collectors,
    refresh: Refresh,
    /// Bytes of payload that a datagram takes at most, whatever its Collectors may be sent.
    payload: usize,
    /// From which interface on Collectors are to be told of all, whether or not they have changed.
    interfaces_from: Option<u32>,
    /// Datagrams with interfaces that may still be sent in this round.
    interface_datagrams: u32,
    /// What is told of the exporter; what is counted in it of datagrams is this stream's.
    process: Process,
    sampling: Method,
}

/// Datagrams of a round with interfaces, at most: flows go before.
const INTERFACE_DATAGRAMS: u32 = 32;

impl<F: Format, D: DerefMut<Target = F>> Stream<D> {
    /// A stream from sequence number 0, with an empty datagram.
    pub(crate) fn new(datagram: D, collectors: Collectors) -> Self {
        Self {
            datagram,
            sequence: 0,
            collectors,
            refresh: Refresh::new(Intervals {
                seconds: u32::MAX,
                datagrams: u32::MAX,
            }),
            payload: usize::MAX,
            interfaces_from: None,
            interface_datagrams: 0,
            process: Process::default(),
            sampling: Method::ALL,
        }
    }

    /// Tells Collectors all anew, as they take what comes for something else than before.
    pub(crate) fn restart(&mut self) {
        self.refresh.restart();
    }

    /// Sets how often Collectors are told templates and options.
    pub(crate) fn set_intervals(&mut self, intervals: Intervals) {
        self.refresh.set_intervals(intervals);
    }

    /// Sets how packets are selected, which they are told at once.
    pub(crate) fn set_sampling(&mut self, sampling: Method) {
        if core::mem::replace(&mut self.sampling, sampling) != sampling {
            self.restart();
        }
    }

    /// Sets what they are told of the exporter, but for what the stream counts.
    pub(crate) fn set_process(&mut self, process: Process) {
        self.process = Process {
            exported_bytes: self.process.exported_bytes,
            exported_messages: self.process.exported_messages,
            exported_records: self.process.exported_records,
            ..process
        };
    }

    /// Sets how many bytes of payload datagrams take at most, from the next [`fit`](Self::fit) on.
    /// Until then, as many as Collectors may be sent.
    pub(crate) fn set_payload(&mut self, bytes: u32) {
        self.payload = usize::try_from(bytes).unwrap_or(usize::MAX);
    }

    /// Makes the datagrams that follow no larger than what was set, and what its Collectors may be
    /// sent. To be called with an empty one.
    pub(crate) fn fit(&mut self) {
        let bytes = self.collectors.limit().min(self.payload);
        self.datagram.set_limit(bytes);
    }

    /// Its format.
    pub(crate) fn format(&self) -> &F {
        &self.datagram
    }

    /// Its format, to set what is in each header.
    pub(crate) fn format_mut(&mut self) -> &mut F {
        &mut self.datagram
    }

    /// The sequence number of the next datagram.
    pub(crate) fn sequence(&self) -> u32 {
        self.sequence
    }

    /// Its Collectors.
    #[cfg(test)]
    pub(crate) fn collectors(&self) -> &Collectors {
        &self.collectors
    }

    /// Exports all of a batch, flows or events, and notes what became of each. No datagram is left
    /// incomplete.
    ///
    /// `now` reads the clock: each datagram has the time at which it is sent. Process context.
    pub(crate) fn export<E: Exportable>(&mut self, batch: &mut [E], now: impl Fn() -> ExportTime) {
        if F::ANNOUNCES {
            self.announce(&now);
            self.datagram.begin(now());
        } else {
            self.fit();
        }
        // The first one with a record in the datagram.
        let mut first = 0usize;
        for at in 0..batch.len() {
            let mut index = 0;
            while let Some(entry) = batch.get_mut(at) {
                match entry.append_to(&mut *self.datagram, index) {
                    Appended::Last => break,
                    Appended::Unsupported => {
                        let outcome = self.collectors.unsupported(E::IS_FLOW);
                        entry.fate().note_datagram(outcome);
                        break;
                    }
                    Appended::More => index = index.saturating_add(1),
                    Appended::Full if self.datagram.records() == 0 => {
                        // Never, says `Format`; if it were, it would not be exported.
                        entry.fate().note_datagram(Outcome::SendFailed);
                        break;
                    }
                    Appended::Full => {
                        // The datagram may already hold records of number `at`.
                        let end = at.saturating_add((index != 0).into());
                        self.send(batch.get_mut(first..end).unwrap_or_default(), now());
                        first = at;
                    }
                }
            }
        }
        if self.datagram.records() != 0 {
            self.send(batch.get_mut(first..).unwrap_or_default(), now());
        }
        batch.iter_mut().for_each(|entry| entry.fate().note_told());
    }

    /// Sends the datagram, which has records of all of `entries` and of no others.
    fn send<E: Exportable>(&mut self, entries: &mut [E], time: ExportTime) {
        let records = self.datagram.records();
        let payload = self.datagram.finish(time, self.sequence);
        let outcome = self.collectors.send(payload, records);
        entries
            .iter_mut()
            .for_each(|entry| entry.fate().note_datagram(outcome));
        if outcome == Outcome::Exported {
            self.process.count_message(payload.len(), records);
        }
        self.sequence = self.sequence.wrapping_add(self.datagram.sequence_units());
        self.datagram.clear();
        self.refresh.count_datagram();
    }

    /// Tells Collectors templates and options, if that is due. Process context.
    pub(crate) fn announce(&mut self, now: impl Fn() -> ExportTime) {
        if !F::ANNOUNCES {
            return;
        }
        if self.collectors.are_new() {
            self.refresh.restart();
        }
        // After that: who comes later is not new yet, and who is new is sent what is begun now.
        self.fit();
        let time = now();
        let Some(due) = self.refresh.due(time) else {
            return;
        };
        self.refresh.told(due, time);
        self.tell(Announcement::Templates, &now);
        self.send_announcement(now());
        self.tell(Announcement::NatTemplates, &now);
        if !self.datagram.is_empty() {
            self.send_announcement(now());
        }
        self.tell(Announcement::OptionsTemplates, &now);
        let (sampling, process) = (self.sampling, self.process);
        for options in [Options::Sampling(sampling), Options::Process(process)] {
            self.tell(Announcement::Options(options), &now);
        }
        self.send_announcement(now());
        self.collectors.know();
        if due == Due::All {
            self.interfaces_from = Some(0);
        }
    }

    /// Begins a round of telling interfaces, which come in the order of their indices.
    pub(crate) fn begin_interfaces(&mut self) {
        self.fit();
        self.interface_datagrams = INTERFACE_DATAGRAMS;
    }

    /// Tells Collectors of an interface that has changed, or if all are to be told. The round may
    /// not have room for it: then the next one goes on from there.
    pub(crate) fn tell_interface(
        &mut self,
        index: u32,
        interface: Interface<'_>,
        has_changed: bool,
        now: impl Fn() -> ExportTime,
    ) {
        let is_due = self.interfaces_from.is_some_and(|from| index >= from);
        if self.interface_datagrams == 0 || !(has_changed || is_due) {
            return;
        }
        if self.tell(Announcement::Options(Options::Interface(interface)), now) {
            self.interface_datagrams = self.interface_datagrams.saturating_sub(1);
            if self.interface_datagrams == 0 {
                // This one is in the datagram that ends the round.
                self.interfaces_from = Some(index.saturating_add(1));
            }
        }
    }

    /// Ends the round: sends the datagram with the last of them, if there is any. `is_whole` is
    /// whether there were no further interfaces.
    pub(crate) fn end_interfaces(&mut self, is_whole: bool, now: impl Fn() -> ExportTime) {
        if !self.datagram.is_empty() {
            self.send_announcement(now());
        }
        if is_whole && self.interface_datagrams != 0 {
            self.interfaces_from = None;
        }
    }

    /// Appends an announcement, and sends those before it if there is no room. Returns whether it
    /// did.
    fn tell(&mut self, what: Announcement<'_>, now: impl Fn() -> ExportTime) -> bool {
        let is_full = !self.datagram.announce(what);
        if is_full {
            self.send_announcement(now());
            self.datagram.announce(what);
        }
        is_full
    }

    fn send_announcement(&mut self, time: ExportTime) {
        let payload = self.datagram.finish(time, self.sequence);
        if self.collectors.announce(payload) == Outcome::Exported {
            self.process.count_message(payload.len(), 0);
        }
        self.sequence = self.sequence.wrapping_add(self.datagram.sequence_units());
        self.datagram.clear();
    }
}

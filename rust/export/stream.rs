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
        Entry,
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
        Process,
        Sampling, //
    },
    refresh::{
        Intervals,
        Refresh, //
    },
};

/// A stream, whose datagram under construction is in `D`.
pub(crate) struct Stream<D> {
    datagram: D,
    sequence: u32,
    collectors: Collectors,
    refresh: Refresh,
    /// Whether Collectors are to be told of all interfaces.
    interfaces_due: bool,
    /// What is told of the exporter; what is counted in it of datagrams is this stream's.
    process: Process,
}

/// Every packet is accounted.
const SAMPLING: Sampling = Sampling { interval: 1 };

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
            interfaces_due: false,
            process: Process::default(),
        }
    }

    /// Sets how often Collectors are told templates and options.
    pub(crate) fn set_intervals(&mut self, intervals: Intervals) {
        self.refresh.set_intervals(intervals);
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

    /// Exports all flows of a batch and notes what became of each. No datagram is left incomplete.
    ///
    /// `now` reads the clock: each datagram has the time at which it is sent. Process context.
    pub(crate) fn export(&mut self, batch: &mut [Entry], now: impl Fn() -> ExportTime) {
        if F::ANNOUNCES {
            self.announce(&now);
            self.datagram.begin(now());
        }
        // The first flow with a record in the datagram.
        let mut first = 0usize;
        for at in 0..batch.len() {
            let mut index = 0;
            while let Some(entry) = batch.get_mut(at) {
                match self.datagram.append(&entry.flow, entry.reason, index) {
                    Appended::Last => break,
                    Appended::Unsupported => {
                        entry.note_datagram(self.collectors.unsupported());
                        break;
                    }
                    Appended::More => index = index.saturating_add(1),
                    Appended::Full if self.datagram.records() == 0 => {
                        // Never, says `Format`; if it were, the flow would not be exported.
                        entry.note_datagram(Outcome::SendFailed);
                        break;
                    }
                    Appended::Full => {
                        // The datagram may already hold records of flow `at`.
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
        batch.iter_mut().for_each(Entry::note_told);
    }

    /// Sends the datagram, which has records of all of `flows` and of no others.
    fn send(&mut self, flows: &mut [Entry], time: ExportTime) {
        let records = self.datagram.records();
        let payload = self.datagram.finish(time, self.sequence);
        let outcome = self.collectors.send(payload, records);
        flows
            .iter_mut()
            .for_each(|flow| flow.note_datagram(outcome));
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
        let time = now();
        if !self.refresh.is_due(time) {
            return;
        }
        self.refresh.told(time);
        self.tell(Announcement::Templates, &now);
        self.send_announcement(now());
        self.tell(Announcement::OptionsTemplates, &now);
        let process = self.process;
        for options in [Options::Sampling(SAMPLING), Options::Process(process)] {
            self.tell(Announcement::Options(options), &now);
        }
        self.send_announcement(now());
        self.collectors.know();
        self.interfaces_due = true;
    }

    /// Whether Collectors are to be told of all interfaces, from the next round on of others only.
    pub(crate) fn take_interfaces_due(&mut self) -> bool {
        core::mem::take(&mut self.interfaces_due)
    }

    /// Tells Collectors of an interface, in a datagram that takes further ones.
    pub(crate) fn tell_interface(
        &mut self,
        interface: Interface<'_>,
        now: impl Fn() -> ExportTime,
    ) {
        self.tell(Announcement::Options(Options::Interface(interface)), now);
    }

    /// Sends the datagram with the last of these, if there is any.
    pub(crate) fn end_interfaces(&mut self, now: impl Fn() -> ExportTime) {
        if !self.datagram.is_empty() {
            self.send_announcement(now());
        }
    }

    /// Appends an announcement, and sends those before it if there is no room.
    fn tell(&mut self, what: Announcement<'_>, now: impl Fn() -> ExportTime) {
        if !self.datagram.announce(what) {
            self.send_announcement(now());
            self.datagram.announce(what);
        }
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

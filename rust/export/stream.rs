// SPDX-License-Identifier: GPL-2.0

//! A stream: datagrams of one format, numbered, and the Collectors that get them.
//!
//! All Collectors of a stream get the same bytes. A datagram that one of them did not get is not
//! repeated; its records are numbered all the same, so that the Collector sees the gap.

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
        Appended,
        ExportTime,
        Format, //
    },
};

/// A stream, whose datagram under construction is in `D`.
pub(crate) struct Stream<D> {
    datagram: D,
    sequence: u32,
    collectors: Collectors,
}

impl<F: Format, D: DerefMut<Target = F>> Stream<D> {
    /// A stream from sequence number 0, with an empty datagram.
    pub(crate) fn new(datagram: D, collectors: Collectors) -> Self {
        Self {
            datagram,
            sequence: 0,
            collectors,
        }
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

    /// Its Collectors, to change how they are sent to.
    pub(crate) fn collectors_mut(&mut self) -> &mut Collectors {
        &mut self.collectors
    }

    /// Exports all flows of a batch and notes what became of each. No datagram is left incomplete.
    ///
    /// `now` reads the clock: each datagram has the time at which it is sent. Process context.
    pub(crate) fn export(&mut self, batch: &mut [Entry], now: impl Fn() -> ExportTime) {
        self.datagram.begin(now());
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
        self.sequence = self.sequence.wrapping_add(self.datagram.sequence_units());
        self.datagram.clear();
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Collectors that accept datagrams by a schedule and keep what they are sent, in the place of the
//! module's, which have sockets.

use super::batch::Outcome;

/// Whether a Collector accepts each datagram, from the first one, over and over.
pub(crate) type Schedule = Vec<bool>;

/// A datagram that was sent.
pub(crate) struct Sent {
    pub(crate) payload: Vec<u8>,
    pub(crate) records: u32,
}

/// The Collectors of a stream.
#[derive(Default)]
pub(crate) struct Collectors {
    schedules: Vec<Schedule>,
    pub(crate) sent: Vec<Sent>,
    /// Announcements, each with the number of those in `sent` that were sent before it.
    pub(crate) announced: Vec<(usize, Vec<u8>)>,
    /// Whether one of them has been told nothing.
    pub(crate) new: bool,
    /// Whether all that are known to be new have been asked how large a datagram may be.
    fits: bool,
    /// Bytes of payload that all of them can be sent; the default is no limit.
    pub(crate) limit: Option<usize>,
}

impl Collectors {
    /// One for each schedule.
    pub(crate) fn new(schedules: Vec<Schedule>) -> Self {
        Self {
            schedules,
            sent: Vec::new(),
            announced: Vec::new(),
            new: true,
            fits: false,
            limit: None,
        }
    }

    pub(crate) fn limit(&mut self) -> usize {
        self.fits = true;
        self.limit.unwrap_or(usize::MAX)
    }

    pub(crate) fn are_new(&mut self) -> bool {
        self.fits &= !self.new;
        self.new
    }

    pub(crate) fn know(&mut self) {
        self.new = false;
    }

    /// One that came after the datagram was begun would not get it, but count as told.
    pub(crate) fn announce(&mut self, payload: &[u8]) -> Outcome {
        assert!(self.fits);
        self.announced.push((self.sent.len(), payload.to_vec()));
        Outcome::Exported
    }

    pub(crate) fn unsupported(&mut self, _is_flow: bool) -> Outcome {
        match self.schedules.is_empty() {
            true => Outcome::NoCollector,
            false => Outcome::Unsupported,
        }
    }

    pub(crate) fn send(&mut self, payload: &[u8], records: u32) -> Outcome {
        let number = self.sent.len();
        self.sent.push(Sent {
            payload: payload.to_vec(),
            records,
        });
        self.schedules
            .iter()
            .map(|schedule| match schedule[number % schedule.len()] {
                true => Outcome::Exported,
                false => Outcome::SendFailed,
            })
            .fold(Outcome::NoCollector, Outcome::max)
    }
}

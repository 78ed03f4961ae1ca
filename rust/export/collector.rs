// SPDX-License-Identifier: GPL-2.0

//! Collectors: where datagrams are sent to, each from a socket of its own. Process context.

use core::net::SocketAddrV4;

use kernel::{
    prelude::*,
    time::{
        delay::fsleep,
        ClockSource,
        Delta,
        Monotonic,
        Msecs, //
    },
};

use super::batch::Outcome;
use crate::{
    bindings,
    linux::{
        netns::Netns,
        socket::UdpSocket, //
    },
};

/// Collectors that there can be.
pub(crate) const COLLECTORS_MAX: usize = bindings::NETFLOW_MAX_COLLECTORS as usize;

/// A moment of `CLOCK_MONOTONIC`, in nanoseconds.
///
/// `kernel::time::Instant` is not used as its operators panic on overflow.
#[derive(Clone, Copy)]
struct Deadline(i64);

impl Deadline {
    /// One that has passed.
    const PAST: Self = Self(0);

    /// `wait` milliseconds from now.
    fn after(wait: Msecs) -> Self {
        let wait = Delta::from_millis(wait.into()).as_nanos();
        Self(Monotonic::ktime_get().saturating_add(wait))
    }

    /// Whether it has passed.
    fn has_passed(self) -> bool {
        Monotonic::ktime_get() >= self.0
    }
}

/// A destination of datagrams.
pub(crate) struct Collector {
    /// Where it listens.
    pub(crate) address: SocketAddrV4,
    /// Datagrams that its socket accepted.
    pub(crate) datagrams: u64,
    /// Data Records in them.
    pub(crate) records: u64,
    /// Datagrams that its socket refused.
    pub(crate) errors: u64,
    socket: UdpSocket,
}

impl Collector {
    /// The port that its datagrams come from.
    pub(crate) fn source_port(&self) -> u16 {
        self.socket.port()
    }

    /// Sends a datagram. While the send buffer has no room, tries again each millisecond until
    /// `deadline`; any other error is final.
    fn send(&mut self, payload: &[u8], records: u32, deadline: Deadline) -> Outcome {
        loop {
            match self.socket.send_to(self.address, payload) {
                Ok(()) => {
                    self.datagrams = self.datagrams.wrapping_add(1);
                    self.records = self.records.wrapping_add(records.into());
                    return Outcome::Exported;
                }
                Err(EAGAIN) if !deadline.has_passed() => fsleep(Delta::from_millis(1)),
                Err(_) => {
                    self.errors = self.errors.wrapping_add(1);
                    return Outcome::SendFailed;
                }
            }
        }
    }
}

/// The Collectors of a stream.
pub(crate) struct Collectors {
    all: [Option<Collector>; COLLECTORS_MAX],
    deadline: Deadline,
}

impl Collectors {
    /// None at all.
    pub(crate) fn new() -> Self {
        Self {
            all: [const { None }; COLLECTORS_MAX],
            deadline: Deadline::PAST,
        }
    }

    /// Each of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Collector> {
        self.all.iter().flatten()
    }

    /// Adds one. `EEXIST` if it is there already, `ENOSPC` if there are too many, or why there is
    /// no socket for it.
    pub(crate) fn add(&mut self, netns: &Netns, address: SocketAddrV4) -> Result {
        if self.iter().any(|c| c.address == address) {
            return Err(EEXIST);
        }
        let place = self.all.iter_mut().find(|c| c.is_none());
        *place.ok_or(ENOSPC)? = Some(Collector {
            address,
            datagrams: 0,
            records: 0,
            errors: 0,
            socket: UdpSocket::new(netns)?,
        });
        Ok(())
    }

    /// Removes one. `ENOENT` if it is not there.
    pub(crate) fn remove(&mut self, address: SocketAddrV4) -> Result {
        let is_it = |c: &&mut Option<Collector>| c.as_ref().is_some_and(|c| c.address == address);
        *self.all.iter_mut().find(is_it).ok_or(ENOENT)? = None;
        Ok(())
    }

    /// Removes all.
    pub(crate) fn clear(&mut self) {
        self.all.fill_with(|| None);
    }

    /// Sets the moment, `wait` milliseconds from now, up to which sending waits for room in send
    /// buffers. After it nothing waits.
    pub(crate) fn set_deadline(&mut self, wait: Msecs) {
        self.deadline = Deadline::after(wait);
    }

    /// Sends a datagram of so many Data Records to each of them.
    pub(crate) fn send(&mut self, payload: &[u8], records: u32) -> Outcome {
        let mut outcome = Outcome::NoCollector;
        for collector in self.all.iter_mut().flatten() {
            outcome = outcome.max(collector.send(payload, records, self.deadline));
        }
        outcome
    }
}

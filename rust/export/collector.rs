// SPDX-License-Identifier: GPL-2.0

//! Collectors: where datagrams are sent to, each from a socket of its own. Process context.

use core::net::{
    Ipv4Addr,
    SocketAddrV4, //
};

use kernel::{
    prelude::*,
    time::{
        delay::fsleep,
        Delta,
        Msecs, //
    },
};

use super::batch::Outcome;
use crate::{
    bindings,
    linux::{
        clock::Deadline,
        netdevice::DeviceName,
        netns::Netns,
        socket::UdpSocket, //
    },
};

/// Collectors that there can be.
pub(crate) const COLLECTORS_MAX: usize = bindings::NETFLOW_MAX_COLLECTORS as usize;

/// Bytes, as the kernel accounts them, that may wait to be sent to all Collectors together: half of
/// what waits for a neighbour that is not known yet (the default of `unres_qlen_bytes`). A tunnel's
/// endpoint may be such a neighbour, to all of them, and what exceeds its queue is dropped unseen.
const SEND_BUFFERS: u32 = 212_992 / 2;

/// What a Collector is, and how its datagrams get there.
#[derive(Clone, Copy)]
pub(crate) struct Destination {
    /// Where it listens.
    pub(crate) address: SocketAddrV4,
    /// Where datagrams come from; if unspecified, from where the route says.
    pub(crate) source: Ipv4Addr,
    /// The device whose routes they follow.
    pub(crate) device: Option<DeviceName>,
}

/// A destination of datagrams.
pub(crate) struct Collector {
    /// What it is.
    pub(crate) to: Destination,
    /// Datagrams that its socket accepted.
    pub(crate) datagrams: u64,
    /// Data Records in them.
    pub(crate) records: u64,
    /// Datagrams that its socket refused.
    pub(crate) errors: u64,
    /// Why it refused the last of them.
    pub(crate) last_error: Option<Error>,
    /// The neighbour did not answer in time. Until it does, no round waits for it again: others
    /// need the time.
    gave_up: bool,
    socket: UdpSocket,
}

impl Collector {
    /// The port that its datagrams come from.
    pub(crate) fn source_port(&self) -> u16 {
        self.socket.port()
    }

    /// Sends a datagram. While there is no room for it, or the neighbour is not known, tries again
    /// each millisecond until `deadline`; any other error is final.
    fn send(&mut self, payload: &[u8], records: u32, deadline: Deadline) -> Outcome {
        let error = loop {
            let error = match self.try_send(payload) {
                Ok(()) => {
                    self.datagrams = self.datagrams.wrapping_add(1);
                    self.records = self.records.wrapping_add(records.into());
                    self.gave_up = false;
                    return Outcome::Exported;
                }
                Err(error) => error,
            };
            match error {
                Refusal::NoNeighbour if self.gave_up => break EHOSTUNREACH,
                Refusal::NoNeighbour if deadline.has_passed() => {
                    self.gave_up = true;
                    break EHOSTUNREACH;
                }
                Refusal::Full(error) if deadline.has_passed() => break error,
                Refusal::Full(_) | Refusal::NoNeighbour => fsleep(Delta::from_millis(1)),
                Refusal::Final(error) => break error,
            }
        };
        self.errors = self.errors.wrapping_add(1);
        self.last_error = Some(error);
        Outcome::SendFailed
    }

    fn try_send(&self, payload: &[u8]) -> Result<(), Refusal> {
        if !self.socket.knows_neighbour(self.to.address) {
            return Err(Refusal::NoNeighbour);
        }
        match self.socket.send_to(self.to.address, payload) {
            Err(error @ (EAGAIN | ENOBUFS)) => Err(Refusal::Full(error)),
            sent => sent.map_err(Refusal::Final),
        }
    }
}

/// Why a datagram was not sent.
enum Refusal {
    /// The neighbour is not known yet.
    NoNeighbour,
    /// There is no room in the send buffer, or in the queue of the interface.
    Full(Error),
    /// To try again would not help.
    Final(Error),
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
    pub(crate) fn add(&mut self, netns: &Netns, to: Destination) -> Result {
        if self.iter().any(|c| c.to.address == to.address) {
            return Err(EEXIST);
        }
        let place = self.all.iter_mut().find(|c| c.is_none()).ok_or(ENOSPC)?;
        let socket = UdpSocket::new(netns, to.source, to.device)?;
        // So that the neighbour has answered when there is something to send.
        socket.knows_neighbour(to.address);
        *place = Some(Collector {
            to,
            datagrams: 0,
            records: 0,
            errors: 0,
            last_error: None,
            gave_up: false,
            socket,
        });
        self.share_send_buffers();
        Ok(())
    }

    /// Removes one. `ENOENT` if it is not there.
    pub(crate) fn remove(&mut self, address: SocketAddrV4) -> Result {
        let is_it =
            |c: &&mut Option<Collector>| c.as_ref().is_some_and(|c| c.to.address == address);
        *self.all.iter_mut().find(is_it).ok_or(ENOENT)? = None;
        self.share_send_buffers();
        Ok(())
    }

    /// Removes all.
    pub(crate) fn clear(&mut self) {
        self.all.fill_with(|| None);
    }

    fn share_send_buffers(&self) {
        let collectors = self.iter().fold(0u32, |sum, _| sum.saturating_add(1));
        let share = SEND_BUFFERS.checked_div(collectors).unwrap_or(0);
        self.iter().for_each(|c| c.socket.set_send_buffer(share));
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

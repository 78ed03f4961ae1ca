// SPDX-License-Identifier: GPL-2.0

//! Collectors: where datagrams are sent to, each from a socket of its own. Process context.

use core::net::{
    Ipv4Addr,
    SocketAddrV4, //
};

use kernel::{
    prelude::*,
    sync::Arc,
    time::{
        delay::fsleep,
        Delta,
        Msecs, //
    },
};

use super::{
    batch::Outcome,
    state::{
        ExportState,
        SharedState, //
    },
};
use crate::{
    bindings,
    linux::{
        clock::Deadline,
        netdevice::DeviceName,
        netns::Netns,
        socket::UdpSocket,
        time_budget::TimeBudget, //
    },
};

/// Collectors that there can be.
pub(crate) const COLLECTORS_MAX: usize = bindings::NETFLOW_MAX_COLLECTORS as usize;

/// Milliseconds of each second that sending may wait, for room in send buffers or for neighbours,
/// but for a flush.
const WAIT_PER_SECOND: Msecs = 200;

/// Milliseconds that a flush may wait: who waits for it does not wait for ever.
const FLUSH_WAIT: Msecs = 2000;

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
    /// Which one it is of all that there were.
    number: u64,
    socket: UdpSocket,
}

/// What became of an attempt to send a datagram.
enum Attempt {
    /// It is over.
    Done(Outcome),
    /// There is nothing but to wait: to be repeated, to the Collector of this number.
    Again(u64),
}

impl Collector {
    /// The port that its datagrams come from.
    pub(crate) fn source_port(&self) -> u16 {
        self.socket.port()
    }

    /// Sends a datagram, without waiting. While there is no room for it, or the neighbour is not
    /// known, it is to be tried again if it `may_wait`; any other error is final.
    fn send(&mut self, payload: &[u8], records: u32, may_wait: bool) -> Attempt {
        let error = match self.try_send(payload) {
            Ok(()) => {
                self.datagrams = self.datagrams.wrapping_add(1);
                self.records = self.records.wrapping_add(records.into());
                self.gave_up = false;
                return Attempt::Done(Outcome::Exported);
            }
            Err(Refusal::NoNeighbour) if may_wait && !self.gave_up => {
                return Attempt::Again(self.number);
            }
            Err(Refusal::NoNeighbour) => {
                self.gave_up = true;
                EHOSTUNREACH
            }
            Err(Refusal::Full(_)) if may_wait => return Attempt::Again(self.number),
            Err(Refusal::Full(error) | Refusal::Final(error)) => error,
        };
        self.errors = self.errors.wrapping_add(1);
        self.last_error = Some(error);
        Attempt::Done(Outcome::SendFailed)
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

/// All Collectors of a stream.
pub(super) struct CollectorTable {
    all: [Option<Collector>; COLLECTORS_MAX],
    /// How many there have been.
    added: u64,
}

impl CollectorTable {
    /// None at all.
    pub(super) fn new() -> Self {
        Self {
            all: [const { None }; COLLECTORS_MAX],
            added: 0,
        }
    }

    /// Each of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Collector> {
        self.all.iter().flatten()
    }

    /// Adds one. `EEXIST` if it is there already, `ENOSPC` if there are too many, or why there is
    /// no socket for it.
    pub(super) fn add(&mut self, netns: &Netns, to: Destination) -> Result {
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
            number: self.added,
            socket,
        });
        self.added = self.added.wrapping_add(1);
        self.share_send_buffers();
        Ok(())
    }

    /// Removes one. `ENOENT` if it is not there.
    pub(super) fn remove(&mut self, address: SocketAddrV4) -> Result {
        let is_it =
            |c: &&mut Option<Collector>| c.as_ref().is_some_and(|c| c.to.address == address);
        *self.all.iter_mut().find(is_it).ok_or(ENOENT)? = None;
        self.share_send_buffers();
        Ok(())
    }

    /// Removes all.
    pub(super) fn clear(&mut self) {
        self.all.fill_with(|| None);
    }

    fn share_send_buffers(&self) {
        let collectors = self.iter().fold(0u32, |sum, _| sum.saturating_add(1));
        let share = SEND_BUFFERS.checked_div(collectors).unwrap_or(0);
        self.iter().for_each(|c| c.socket.set_send_buffer(share));
    }
}

/// How long a round of exports waits, for room in send buffers or for neighbours.
#[derive(Clone, Copy)]
pub(crate) enum Patience {
    /// As long as is left of what may be waited in each second.
    OfTheSecond,
    /// As long as a flush may.
    OfAFlush,
}

/// Sends the datagrams of a stream to its Collectors.
pub(crate) struct Collectors {
    state: Arc<SharedState>,
    of_the_second: TimeBudget,
    /// Until when a flush waits, if this is one.
    flush: Option<Deadline>,
}

impl Collectors {
    /// Those of `state`.
    pub(super) fn new(state: Arc<SharedState>) -> Self {
        Self {
            state,
            of_the_second: TimeBudget::new(WAIT_PER_SECOND),
            flush: None,
        }
    }

    /// Begins a round of exports.
    pub(super) fn set_patience(&mut self, patience: Patience) {
        self.flush = match patience {
            Patience::OfTheSecond => None,
            Patience::OfAFlush => Some(Deadline::after(FLUSH_WAIT)),
        };
    }

    /// A flow is not sent to any of them, as the format has no record for it.
    pub(super) fn unsupported(&mut self) -> Outcome {
        match self.state.lock().collectors.iter().next() {
            Some(_) => Outcome::Unsupported,
            None => Outcome::NoCollector,
        }
    }

    /// Sends a datagram of so many Data Records to each of them. While a send buffer has no room,
    /// or a neighbour is not known, tries again each millisecond as long as may be.
    ///
    /// Collectors may come and go while it waits. The datagram is for those that are there at their
    /// turn.
    pub(super) fn send(&mut self, payload: &[u8], records: u32) -> Outcome {
        let mut outcome = Outcome::NoCollector;
        for index in 0..COLLECTORS_MAX {
            let mut number = None;
            while let Some(attempt) = self.attempt(index, number, payload, records) {
                match attempt {
                    Attempt::Done(this) => {
                        outcome = outcome.max(this);
                        break;
                    }
                    Attempt::Again(to) => {
                        number = Some(to);
                        self.wait();
                    }
                }
            }
        }
        outcome
    }

    /// Sends a datagram to the Collector at `index`, and at further attempts only to the one that
    /// is number `number`. `None` if there is none.
    fn attempt(
        &mut self,
        index: usize,
        number: Option<u64>,
        payload: &[u8],
        records: u32,
    ) -> Option<Attempt> {
        let mut state = self.state.lock();
        let ExportState {
            collectors, end, ..
        } = &mut *state;
        let collector = collectors.all.get_mut(index)?.as_mut()?;
        if number.is_some_and(|number| number != collector.number) {
            return None;
        }
        if end.has_come() {
            return Some(Attempt::Done(Outcome::SendFailed));
        }
        let may_wait = end.count()
            && match self.flush {
                Some(deadline) => !deadline.has_passed(),
                None => self.of_the_second.has_some(),
            };
        Some(collector.send(payload, records, may_wait))
    }

    /// Waits before another attempt.
    fn wait(&mut self) {
        let deadline = self.of_the_second.take();
        fsleep(Delta::from_millis(1));
        if let Some(deadline) = deadline {
            self.of_the_second.give_back(deadline);
        }
    }
}

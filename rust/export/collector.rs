// SPDX-License-Identifier: GPL-2.0

//! Collectors: where datagrams are sent to, each from a socket of its own. Process context.

use core::net::SocketAddr;

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
    destination::{
        Destination,
        Protocol,
        HEADERS_IPV4, //
    },
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

/// Bytes that every host has to accept.
const PACKET_SIZE_MIN: usize = bindings::NETFLOW_PACKET_SIZE_MIN as usize;

/// Milliseconds of each second that sending may wait, for room in send buffers or for neighbours,
/// but for a flush.
const WAIT_PER_SECOND: Msecs = 200;

/// The same, of datagrams of NAT events.
const EVENTS_WAIT_PER_SECOND: Msecs = 50;

/// Milliseconds that a flush may wait: who waits for it does not wait for ever.
const FLUSH_WAIT: Msecs = 2000;

/// Bytes, as the kernel accounts them, that may wait to be sent to all Collectors together: half of
/// what waits for a neighbour that is not known yet (the default of `unres_qlen_bytes`). A tunnel's
/// endpoint may be such a neighbour, to all of them, and what exceeds its queue is dropped unseen.
const SEND_BUFFERS: u32 = 212_992 / 2;

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
    /// Flows that it was not sent, as the protocol has no record for them.
    pub(crate) unsupported: u64,
    /// Whether it knows templates.
    told: Told,
    /// It was to be told something, which its socket refused.
    missed: bool,
    /// That, but now its socket accepts datagrams: it is to be told anew.
    is_back: bool,
    /// Bytes of payload that it is sent at most. It is sent nothing that was begun before it came:
    /// until then, these are 0.
    limit: usize,
    /// Why it refused the last of them.
    pub(crate) last_error: Option<Error>,
    /// The neighbour did not answer in time. Until it does, no round waits for it again: others
    /// need the time.
    gave_up: bool,
    /// Which one it is of all that there were.
    number: u64,
    socket: UdpSocket,
}

/// Whether a Collector knows templates. Until then it is sent no records.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    No,
    /// They are being sent.
    Begun,
    /// They were sent, or it needs none.
    Yes,
}

/// What a datagram has for a Collector.
#[derive(Clone, Copy)]
enum Content {
    /// So many Data Records of flows.
    Records(u32),
    /// Templates and options.
    Announcement,
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
    fn send(&mut self, payload: &[u8], content: Content, may_wait: bool) -> Attempt {
        let error = match self.try_send(payload) {
            Ok(()) => {
                self.datagrams = self.datagrams.wrapping_add(1);
                if let Content::Records(records) = content {
                    self.records = self.records.wrapping_add(records.into());
                }
                self.gave_up = false;
                self.is_back |= core::mem::take(&mut self.missed);
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
        self.missed |= matches!(content, Content::Announcement);
        Attempt::Done(Outcome::SendFailed)
    }

    /// Finds out how many bytes of payload it can be sent, in packets of `packet_size` bytes that
    /// need not be fragmented, as far as this host knows. A path whose MTU is less than what
    /// every host has to accept is none to shrink for.
    fn fit(&mut self, packet_size: usize) -> usize {
        let mtu = self.socket.route_mtu(self.to.address);
        let mtu = mtu.map_or(packet_size, |mtu| mtu.max(PACKET_SIZE_MIN));
        self.limit = packet_size.min(mtu).saturating_sub(self.to.headers());
        self.limit
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

/// All Collectors.
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
        if self.iter().any(|c| c.to.listens_at(to.address, to.device)) {
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
            unsupported: 0,
            limit: 0,
            told: match to.protocol {
                Protocol::V5 => Told::Yes,
                Protocol::V9 | Protocol::Ipfix => Told::No,
            },
            missed: false,
            is_back: false,
            last_error: None,
            gave_up: false,
            number: self.added,
            socket,
        });
        self.added = self.added.wrapping_add(1);
        self.share_send_buffers();
        Ok(())
    }

    /// Removes the one at an address, of a link-local one on the link of the device. `ENOENT` if it
    /// is not there.
    pub(super) fn remove(&mut self, address: SocketAddr, device: Option<DeviceName>) -> Result {
        let is_it = |c: &Collector| c.to.listens_at(address, device);
        let place = self.all.iter_mut().find(|c| c.as_ref().is_some_and(is_it));
        *place.ok_or(ENOENT)? = None;
        self.share_send_buffers();
        Ok(())
    }

    /// Whether any of them is sent a protocol.
    pub(super) fn have(&self, protocol: Protocol) -> bool {
        self.iter().any(|c| c.to.protocol == protocol)
    }

    /// Finds out how many bytes of payload each can be sent that is sent a protocol, and returns
    /// how many all of them can.
    fn fit(&mut self, protocol: Protocol, packet_size: usize) -> usize {
        let of_protocol = self.of(protocol);
        let limits = of_protocol.map(|collector| collector.fit(packet_size));
        limits
            .min()
            .unwrap_or(packet_size.saturating_sub(HEADERS_IPV4))
    }

    /// Those that are sent a protocol.
    fn of(&mut self, protocol: Protocol) -> impl Iterator<Item = &mut Collector> {
        let all = self.all.iter_mut().flatten();
        all.filter(move |c| c.to.protocol == protocol)
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
    PerSecond,
    /// The same, of what NAT events may wait.
    Events,
    /// As long as a flush may.
    Flush,
}

/// The time that sending may wait, for all Collectors together.
pub(super) struct Waiting {
    of_the_second: TimeBudget,
    /// Of NAT events, which come more often: they are to leave the next sweep its time.
    of_events: TimeBudget,
    are_events: bool,
    /// Until when a flush waits, if this is one.
    flush: Option<Deadline>,
}

impl Waiting {
    pub(super) fn new() -> Self {
        Self {
            of_the_second: TimeBudget::new(WAIT_PER_SECOND),
            of_events: TimeBudget::new(EVENTS_WAIT_PER_SECOND),
            are_events: false,
            flush: None,
        }
    }

    /// Begins a round of exports.
    pub(super) fn set_patience(&mut self, patience: Patience) {
        self.are_events = matches!(patience, Patience::Events);
        self.flush = match patience {
            Patience::PerSecond | Patience::Events => None,
            Patience::Flush => Some(Deadline::after(FLUSH_WAIT)),
        };
    }

    /// What a wait is taken from.
    fn budget(&mut self) -> &mut TimeBudget {
        match self.are_events {
            true => &mut self.of_events,
            false => &mut self.of_the_second,
        }
    }

    /// Whether there is time left.
    fn has_some(&mut self) -> bool {
        match self.flush {
            Some(deadline) => !deadline.has_passed(),
            None => self.budget().has_some(),
        }
    }
}

/// Sends the datagrams of a stream to its Collectors.
pub(crate) struct Collectors {
    state: Arc<SharedState>,
    protocol: Protocol,
}

impl Collectors {
    /// Those of `state` that are sent `protocol`.
    pub(super) fn new(state: Arc<SharedState>, protocol: Protocol) -> Self {
        Self { state, protocol }
    }

    /// Bytes of payload that a datagram has at most which is begun now: all of them get the same.
    pub(super) fn limit(&mut self) -> usize {
        let mut state = self.state.lock();
        let packet_size = state.settings.packet_size;
        let packet_size = usize::try_from(packet_size).unwrap_or(usize::MAX);
        state.collectors.fit(self.protocol, packet_size)
    }

    /// Something is not sent to any of them, as the format has no record for it: they count it if
    /// it is a flow.
    pub(super) fn unsupported(&mut self, is_flow: bool) -> Outcome {
        let mut outcome = Outcome::NoCollector;
        for collector in self.state.lock().collectors.of(self.protocol) {
            collector.unsupported = collector.unsupported.wrapping_add(is_flow.into());
            outcome = Outcome::Unsupported;
        }
        outcome
    }

    /// Whether some of them do not know templates, or may not.
    pub(super) fn are_new(&mut self) -> bool {
        let mut any = false;
        for collector in self.state.lock().collectors.of(self.protocol) {
            if collector.told == Told::No {
                collector.told = Told::Begun;
            }
            any |= collector.told == Told::Begun;
            any |= core::mem::take(&mut collector.is_back);
        }
        any
    }

    /// Those that [`Self::are_new`] spoke of have been sent templates.
    pub(super) fn know(&mut self) {
        for collector in self.state.lock().collectors.of(self.protocol) {
            if collector.told == Told::Begun {
                collector.told = Told::Yes;
            }
        }
    }

    /// Sends a datagram of so many Data Records to each of them. While a send buffer has no room,
    /// or a neighbour is not known, tries again each millisecond as long as may be.
    ///
    /// Collectors may come and go while it waits. The datagram is for those that are there at their
    /// turn, and were when it was begun.
    pub(super) fn send(&mut self, payload: &[u8], records: u32) -> Outcome {
        self.send_to_each(payload, Content::Records(records))
    }

    /// The same with templates or options.
    pub(super) fn announce(&mut self, payload: &[u8]) -> Outcome {
        self.send_to_each(payload, Content::Announcement)
    }

    fn send_to_each(&mut self, payload: &[u8], content: Content) -> Outcome {
        let mut outcome = Outcome::NoCollector;
        for index in 0..COLLECTORS_MAX {
            let mut number = None;
            while let Some(attempt) = self.attempt(index, number, payload, content) {
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
    /// is number `number`. `None` if there is none that it is for.
    fn attempt(
        &mut self,
        index: usize,
        number: Option<u64>,
        payload: &[u8],
        content: Content,
    ) -> Option<Attempt> {
        let mut state = self.state.lock();
        let ExportState {
            collectors,
            end,
            waiting,
            ..
        } = &mut *state;
        let collector = collectors.all.get_mut(index)?.as_mut()?;
        if collector.to.protocol != self.protocol
            || payload.len() > collector.limit
            || number.is_some_and(|number| number != collector.number)
        {
            return None;
        }
        match content {
            Content::Records(_) if collector.told != Told::Yes => return None,
            Content::Announcement if collector.told == Told::No => return None,
            _ => {}
        }
        if end.has_come() {
            return Some(Attempt::Done(Outcome::SendFailed));
        }
        let may_wait = end.count() && waiting.has_some();
        Some(collector.send(payload, content, may_wait))
    }

    /// Waits before another attempt.
    fn wait(&mut self) {
        let deadline = self.state.lock().waiting.budget().take();
        fsleep(Delta::from_millis(1));
        if let Some(deadline) = deadline {
            self.state.lock().waiting.budget().give_back(deadline);
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What requests tell and change of the Exporting Process while it is at work.
//!
//! It sends with its own lock held ([`Exporter`](super::exporter::Exporter)), and may wait for room
//! in send buffers meanwhile. With this one held nobody waits for that: it is held for as long as
//! it takes to make a socket, or to hand one datagram to the network stack.

use core::net::SocketAddr;

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex,
        MutexGuard, //
    },
};

use super::{
    batch::{
        Accounts,
        EventAccounts, //
    },
    collector::{
        Collector,
        CollectorTable,
        Patience,
        Waiting, //
    },
    destination::{
        Destination,
        Protocol, //
    },
    own::OwnDatagrams,
    refresh::Intervals,
    v5,
};
use crate::{
    flow::{
        nat::NatRecords,
        sampling::Method, //
    },
    linux::{
        clock::Deadline,
        netdevice::DeviceName,
        netns::Netns, //
    },
};

/// The state, behind its lock.
#[pin_data]
pub(crate) struct SharedState {
    #[pin]
    state: Mutex<ExportState>,
}

/// The state of an Exporting Process.
pub(crate) struct ExportState {
    /// What became of the flows that left the cache.
    pub(crate) accounts: Accounts,
    /// What became of NAT events.
    pub(crate) nat_events: EventAccounts,
    /// Why NAT events cannot be exported, if they cannot.
    pub(crate) nat_error: Option<Error>,
    /// Flows that were to be exported with NAT, but that conntrack knew nothing of.
    pub(crate) untracked_flows: u64,
    /// The sequence numbers of the next datagrams.
    pub(super) sequences: Sequences,
    /// What streams are made by.
    pub(super) settings: Settings,
    pub(super) waiting: Waiting,
    pub(super) collectors: CollectorTable,
    pub(super) end: End,
    own_datagrams: Arc<OwnDatagrams>,
}

/// The sequence number of each stream.
#[derive(Clone, Copy, Default)]
pub(super) struct Sequences {
    pub(super) v5: u32,
    pub(super) v9: u32,
    pub(super) ipfix: u32,
}

/// What streams are made by.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    /// Engine type and id of v5's header.
    pub(crate) engine: (u8, u8),
    /// Observation Domain ID of IPFIX, Source ID of v9.
    pub(crate) domain_id: u32,
    /// Bytes that a datagram takes at most, with IP and UDP headers.
    pub(crate) packet_size: u32,
    /// Bytes of payload that one of a protocol with templates takes at most.
    pub(crate) payload: u32,
    /// How often Collectors are told templates and options.
    pub(crate) intervals: Intervals,
    /// What options tell: the timeouts, in seconds.
    pub(crate) active_timeout: u32,
    pub(crate) inactive_timeout: u32,
    /// How packets are selected.
    pub(crate) sampling: Method,
    /// What is told of NAT.
    pub(crate) nat_records: NatRecords,
}

impl Settings {
    /// Until the exporter is enabled, when nothing is sent.
    const NONE: Self = Self {
        engine: (0, 0),
        domain_id: 0,
        packet_size: 0,
        payload: 0,
        intervals: Intervals {
            seconds: 0,
            datagrams: 0,
        },
        active_timeout: 0,
        inactive_timeout: 0,
        sampling: Method::ALL,
        nat_records: NatRecords {
            flows: false,
            events: false,
        },
    };
}

/// What may still be sent.
#[derive(Clone, Copy)]
pub(crate) enum End {
    /// Everything: there is no end in sight.
    Open,
    /// The network namespace or the module goes. All that can be sent until then, or if there is no
    /// time, nothing. After that, so many datagrams, none of which waits, and none after `last`.
    Near {
        until: Option<Deadline>,
        sends: u32,
        last: Deadline,
    },
}

impl End {
    /// Nothing is sent any more.
    pub(crate) const COME: Self = Self::Near {
        until: None,
        sends: 0,
        last: Deadline::PAST,
    };

    /// Whether nothing may be sent any more.
    pub(super) fn has_come(self) -> bool {
        match self {
            Self::Open => false,
            Self::Near { until, sends, last } => {
                is_over(until) && (sends == 0 || last.has_passed())
            }
        }
    }

    /// Counts a datagram that is about to be sent. Returns whether it may wait for room.
    pub(super) fn count(&mut self) -> bool {
        match self {
            Self::Near { until, sends, .. } if is_over(*until) => {
                *sends = sends.saturating_sub(1);
                false
            }
            Self::Open | Self::Near { .. } => true,
        }
    }

    /// Whether it is in sight.
    fn is_near(self) -> bool {
        !matches!(self, Self::Open)
    }
}

fn is_over(until: Option<Deadline>) -> bool {
    until.is_none_or(Deadline::has_passed)
}

impl SharedState {
    /// No Collectors, nothing sent. Process context.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let state = ExportState {
            accounts: Accounts::default(),
            nat_events: EventAccounts::default(),
            nat_error: None,
            untracked_flows: 0,
            sequences: Sequences::default(),
            settings: Settings::NONE,
            waiting: Waiting::new(),
            collectors: CollectorTable::new(),
            end: End::Open,
            own_datagrams: Arc::new(OwnDatagrams::new(), GFP_KERNEL_ACCOUNT)?,
        };
        Arc::pin_init(
            pin_init!(Self {
                state <- new_mutex!(state, "netflow_export_state"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Locks it. Process context.
    pub(crate) fn lock(&self) -> MutexGuard<'_, ExportState> {
        self.state.lock()
    }
}

impl ExportState {
    /// Sets what streams are made by; in force from the next sweep on, at the latest.
    pub(crate) fn set(&mut self, settings: Settings) {
        if !settings.nat_records.events {
            self.nat_error = None;
        }
        self.settings = settings;
    }

    /// The sequence number of the next datagram of a protocol.
    pub(crate) fn sequence(&self, protocol: Protocol) -> u32 {
        match protocol {
            Protocol::V5 => self.sequences.v5,
            Protocol::V9 => self.sequences.v9,
            Protocol::Ipfix => self.sequences.ipfix,
        }
    }

    /// Bytes at which a flow must leave the cache, for all formats in use to encode it.
    pub(crate) fn max_bytes(&self) -> u64 {
        match self.collectors.have(Protocol::V5) {
            true => v5::MAX_BYTES,
            // A counter has 64 bits.
            false => u64::MAX,
        }
    }

    /// Begins a round of exports.
    pub(super) fn begin_round(&mut self, patience: Patience) {
        self.waiting.set_patience(patience);
    }

    /// The Collectors.
    pub(crate) fn collectors(&self) -> impl Iterator<Item = &Collector> {
        self.collectors.iter()
    }

    /// What tells its datagrams from others; kept up to date with the Collectors.
    pub(crate) fn own_datagrams(&self) -> Arc<OwnDatagrams> {
        self.own_datagrams.clone()
    }

    /// Adds a Collector. See [`CollectorTable::add`].
    pub(crate) fn add_collector(&mut self, netns: &Netns, to: Destination) -> Result {
        self.collectors.add(netns, to)?;
        self.own_datagrams.set(self.collectors.iter());
        Ok(())
    }

    /// Removes a Collector. See [`CollectorTable::remove`].
    pub(crate) fn remove_collector(
        &mut self,
        address: SocketAddr,
        device: Option<DeviceName>,
    ) -> Result {
        self.collectors.remove(address, device)?;
        self.own_datagrams.set(self.collectors.iter());
        Ok(())
    }

    /// Removes all Collectors, which closes their sockets.
    pub(crate) fn remove_collectors(&mut self) {
        self.collectors.clear();
        self.own_datagrams.set(self.collectors.iter());
    }

    /// From here on, no more is sent than that.
    pub(crate) fn set_end(&mut self, end: End) {
        self.end = end;
    }

    /// Sets after which moment no datagram is sent, if the end is near.
    pub(crate) fn set_last(&mut self, deadline: Deadline) {
        if let End::Near { last, .. } = &mut self.end {
            *last = deadline;
        }
    }

    /// Whether the namespace or the module goes.
    pub(crate) fn is_ending(&self) -> bool {
        self.end.is_near()
    }

    /// Whether a sweep had better stop, as no flow of it could be sent, or as the last one waits to
    /// begin. `is_last` is whether this is the last one.
    pub(super) fn is_over(&self, is_last: bool) -> bool {
        self.end.has_come() || (self.end.is_near() && !is_last)
    }
}

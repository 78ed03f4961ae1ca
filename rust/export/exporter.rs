// SPDX-License-Identifier: GPL-2.0

//! The sender: packs expired flows into datagrams and sends each of them to all collectors.
//!
//! All collectors get the same bytes. A datagram that one of them did not get is not repeated; its
//! records are numbered all the same, so that the collector sees the gap.

use core::net::{
    Ipv4Addr,
    SocketAddrV4, //
};

use kernel::{
    prelude::*,
    time::{
        delay::fsleep,
        Delta, //
    }, //
};

use super::{
    clock::Clock,
    v5::{
        self,
        Datagram, //
    },
};
use crate::{
    flow::{
        entry::Flow, //
        expiry::Reason,
        ledger::Totals,
    },
    linux::{
        netns::Netns,
        socket::UdpSocket, //
    },
    meter::path_config::COLLECTORS_MAX,
};

/// A destination of flow records.
pub(crate) struct Collector {
    /// Where it listens.
    pub(crate) address: SocketAddrV4,
    /// Datagrams that its socket accepted.
    pub(crate) datagrams: u64,
    /// Records in them.
    pub(crate) records: u64,
    /// Datagrams that its socket refused.
    pub(crate) errors: u64,
    socket: UdpSocket,
}

impl Collector {
    /// Sends a datagram, waiting for room in the send buffer while there is `deadline` left. Process
    /// context.
    fn send(&mut self, datagram: &[u8], deadline: &mut u32) -> Result {
        loop {
            match self.socket.send_to(self.address, datagram) {
                Err(EAGAIN) if *deadline > 0 => {
                    *deadline = deadline.saturating_sub(1);
                    fsleep(Delta::from_millis(1));
                }
                result => return result,
            }
        }
    }
}

/// What became of the flows that were exported, and of their packets.
#[derive(Default)]
pub(crate) struct Accounts {
    /// Taken out of the cache.
    pub(crate) taken: Totals,
    /// Taken, and not sent yet.
    pub(crate) pending: Totals,
    /// In datagrams that a collector's socket accepted.
    pub(crate) exported: Totals,
    /// Lost as there was no collector.
    pub(crate) no_collector: Totals,
    /// Lost as no collector's socket accepted the datagram.
    pub(crate) send_failed: Totals,
    /// Flows by the reason why they expired.
    expired: [u64; Reason::COUNT],
}

impl Accounts {
    /// Flows that expired for `reason`.
    pub(crate) fn expired(&self, reason: Reason) -> u64 {
        self.expired.get(reason as usize).copied().unwrap_or(0)
    }
}

/// Packs and sends. Process context, all of it.
pub(crate) struct Exporter {
    collectors: [Option<Collector>; COLLECTORS_MAX],
    datagram: KBox<Datagram>,
    clock: Clock,
    sequence: u32,
    /// Milliseconds that may still be waited for room in send buffers.
    deadline: u32,
    accounts: Accounts,
}

impl Exporter {
    /// A sender without collectors.
    pub(crate) fn new(clock: Clock) -> Result<Self> {
        Ok(Self {
            collectors: [const { None }; COLLECTORS_MAX],
            datagram: KBox::new(Datagram::new(), GFP_KERNEL_ACCOUNT)?,
            clock,
            sequence: 0,
            deadline: 0,
            accounts: Accounts::default(),
        })
    }

    /// The collectors.
    pub(crate) fn collectors(&self) -> impl Iterator<Item = &Collector> {
        self.collectors.iter().flatten()
    }

    /// The collectors, each with the port that its datagrams come from.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = (SocketAddrV4, u16)> + '_ {
        self.collectors().map(|c| (c.address, c.socket.port()))
    }

    /// Number of the next record.
    pub(crate) fn sequence(&self) -> u32 {
        self.sequence
    }

    /// What became of everything.
    pub(crate) fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Sets what tells the exporters of one host apart: engine type and id of the datagrams.
    pub(crate) fn set_engine(&mut self, kind: u8, id: u8) {
        self.datagram.set_engine(kind, id);
    }

    /// Adds a collector. `EEXIST` if it is one already, `ENOSPC` if there are too many.
    pub(crate) fn add_collector(&mut self, netns: &Netns, address: SocketAddrV4) -> Result {
        if self.collectors().any(|c| c.address == address) {
            return Err(EEXIST);
        }
        let place = self.collectors.iter_mut().find(|c| c.is_none());
        *place.ok_or(ENOSPC)? = Some(Collector {
            address,
            datagrams: 0,
            records: 0,
            errors: 0,
            socket: UdpSocket::new(netns)?,
        });
        Ok(())
    }

    /// Removes a collector. `ENOENT` if it is none.
    pub(crate) fn remove_collector(&mut self, address: SocketAddrV4) -> Result {
        let is_it = |c: &&mut Option<Collector>| c.as_ref().is_some_and(|c| c.address == address);
        *self.collectors.iter_mut().find(is_it).ok_or(ENOENT)? = None;
        Ok(())
    }

    /// Removes all collectors.
    pub(crate) fn remove_collectors(&mut self) {
        self.collectors.fill_with(|| None);
    }

    /// Begins a round of exports, in which sending may wait for room in send buffers for `deadline`
    /// milliseconds, all datagrams together: who waits for the round does not wait for ever.
    pub(crate) fn begin(&mut self, deadline: u32) {
        self.deadline = deadline;
    }

    /// Takes over a flow that left the cache.
    pub(crate) fn export(&mut self, flow: &Flow<Ipv4Addr>, reason: Reason) {
        self.accounts.taken += flow.totals();
        self.accounts.pending += flow.totals();
        if let Some(count) = self.accounts.expired.get_mut(reason as usize) {
            *count = count.wrapping_add(1);
        }
        for share in v5::shares(flow) {
            self.datagram.push(flow, share);
            if self.datagram.is_full() {
                self.send();
            }
        }
    }

    /// Sends what is left in an incomplete datagram.
    pub(crate) fn send_rest(&mut self) {
        if self.datagram.count() != 0 {
            self.send();
        }
    }

    /// Sends the datagram to all collectors.
    fn send(&mut self) {
        let count = self.datagram.count();
        let totals = self.datagram.totals();
        // Later than the last packet of each record, which was accounted before it was taken.
        let (uptime, wall) = self.clock.uptime_and_wall();
        let bytes = self.datagram.finish(uptime, wall, self.sequence);

        let (mut asked, mut accepted) = (false, false);
        for collector in self.collectors.iter_mut().flatten() {
            asked = true;
            match collector.send(bytes, &mut self.deadline) {
                Ok(()) => {
                    accepted = true;
                    collector.datagrams = collector.datagrams.wrapping_add(1);
                    collector.records = collector.records.wrapping_add(count.into());
                }
                Err(_) => collector.errors = collector.errors.wrapping_add(1),
            }
        }

        let account = if accepted {
            &mut self.accounts.exported
        } else if asked {
            &mut self.accounts.send_failed
        } else {
            &mut self.accounts.no_collector
        };
        *account += totals;
        self.accounts.pending -= totals;
        self.sequence = self.sequence.wrapping_add(u32::from(count));
        self.datagram.clear();
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The exporter's own datagrams, as the packet path knows them.

use core::net::SocketAddrV4;

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

use super::collector::{
    Collector,
    COLLECTORS_MAX, //
};

/// By what datagrams of the exporter are recognised. Any context.
///
/// The exporter writes it when its Collectors change, and sends nothing meanwhile. While entries
/// move, a datagram already on its way may not be recognised.
pub(crate) struct OwnDatagrams {
    /// See [`signature`]. 0, which is none, ends the table.
    signatures: [Atomic<u64>; COLLECTORS_MAX],
}

/// A Collector's address and port, and the port of the socket for it.
fn signature(to: SocketAddrV4, source_port: u16) -> u64 {
    (u64::from(u32::from(*to.ip())) << 32) | (u64::from(to.port()) << 16) | u64::from(source_port)
}

impl OwnDatagrams {
    /// There are none.
    pub(crate) fn new() -> Self {
        Self {
            signatures: [const { Atomic::new(0) }; COLLECTORS_MAX],
        }
    }

    /// They are those to `collectors`, and to no others: these must be the Collectors of all
    /// streams. The table has room for [`COLLECTORS_MAX`] of them.
    pub(super) fn set<'a>(&self, collectors: impl Iterator<Item = &'a Collector>) {
        let mut signatures = collectors.map(|c| signature(c.to.address, c.source_port()));
        for entry in &self.signatures {
            entry.store(signatures.next().unwrap_or(0), Relaxed);
        }
    }

    /// Whether a UDP datagram that was sent on this host is one of them.
    pub(crate) fn contains(&self, to: SocketAddrV4, source_port: u16) -> bool {
        let wanted = signature(to, source_port);
        self.signatures
            .iter()
            .map(|entry| entry.load(Relaxed))
            .take_while(|entry| *entry != 0)
            .any(|entry| entry == wanted)
    }
}

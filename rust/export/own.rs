// SPDX-License-Identifier: GPL-2.0

//! The exporter's own datagrams, as the packet path knows them.

use core::net::SocketAddrV4;

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

use super::collector::{
    Collectors,
    COLLECTORS_MAX, //
};

/// What tells datagrams of the exporter from all others. Any context.
///
/// The exporter writes it when its Collectors change, and sends nothing meanwhile. A datagram that
/// it sent before may still meet the hook then, and be taken for any other packet if its entry
/// moves.
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

    /// They are those to `collectors`.
    pub(super) fn set(&self, collectors: &Collectors) {
        let mut signatures = collectors
            .iter()
            .map(|c| signature(c.address, c.source_port()));
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

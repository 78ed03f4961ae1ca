// SPDX-License-Identifier: GPL-2.0

//! The exporter's own datagrams, as the packet path knows them.

use core::net::{
    IpAddr,
    SocketAddr, //
};

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
    /// See [`signature`]. One without ports, which is none, ends the table.
    signatures: [[Atomic<u64>; 3]; COLLECTORS_MAX],
}

/// A Collector's address, IPv4 mapped to IPv6, then its port and the port of the socket for it.
fn signature(to: SocketAddr, source_port: u16) -> [u64; 3] {
    let address = match to.ip() {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    let bits = address.to_bits();
    let ports = (u64::from(to.port()) << 16) | u64::from(source_port);
    // CAST: The two halves.
    [(bits >> 64) as u64, bits as u64, ports]
}

impl OwnDatagrams {
    /// There are none.
    pub(crate) fn new() -> Self {
        Self {
            signatures: [const { [const { Atomic::new(0) }; 3] }; COLLECTORS_MAX],
        }
    }

    /// They are those to `collectors`, and to no others: these must be the Collectors of all
    /// streams. The table has room for [`COLLECTORS_MAX`] of them.
    pub(super) fn set<'a>(&self, collectors: impl Iterator<Item = &'a Collector>) {
        let mut signatures = collectors.map(|c| signature(c.to.address, c.source_port()));
        for entry in &self.signatures {
            for (part, word) in entry.iter().zip(signatures.next().unwrap_or_default()) {
                part.store(word, Relaxed);
            }
        }
    }

    /// Whether a UDP datagram that was sent on this host is one of them.
    pub(crate) fn contains(&self, to: SocketAddr, source_port: u16) -> bool {
        let wanted = signature(to, source_port);
        self.signatures
            .iter()
            .map(|entry| entry.each_ref().map(|part| part.load(Relaxed)))
            .take_while(|[.., ports]| *ports != 0)
            .any(|entry| entry == wanted)
    }
}

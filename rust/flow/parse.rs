// SPDX-License-Identifier: GPL-2.0

//! Reads the key and the counts of a packet from its headers, of which it trusts nothing.
//!
//! Here is what the two IP versions share: aggregates and transport headers.

pub(crate) mod ipv4;
pub(crate) mod ipv6;

use core::num::NonZeroU32;

use zerocopy::{
    byteorder::network_endian::U32,
    FromBytes, //
};
use zerocopy_derive::{
    FromBytes,
    Immutable,
    KnownLayout,
    Unaligned, //
};

use super::entry::Counts;

/// Protocol numbers (IANA) whose headers are looked into.
pub(crate) const IPPROTO_ICMP: u8 = 1;
pub(crate) const IPPROTO_TCP: u8 = 6;
pub(crate) const IPPROTO_UDP: u8 = 17;
const IPPROTO_DCCP: u8 = 33;
pub(crate) const IPPROTO_ICMPV6: u8 = 58;
const IPPROTO_SCTP: u8 = 132;
const IPPROTO_UDPLITE: u8 = 136;

/// Length of the header of UDP, and of UDP-Lite.
const UDP_HEADER: u32 = 8;
/// Length of the header of the ICMP messages that quote a packet, of both versions.
const ICMP_HEADER: usize = 8;
/// Length of SCTP's common header (RFC 9260, section 3.1).
const SCTP_HEADER: u32 = 12;

/// Whether a protocol has ports that NetFlow knew nothing of when collectors learnt it: SCTP,
/// UDP-Lite and DCCP.
#[inline]
pub(crate) const fn has_later_ports(proto: u8) -> bool {
    matches!(proto, IPPROTO_SCTP | IPPROTO_UDPLITE | IPPROTO_DCCP)
}

/// Whether a protocol has ports.
#[inline(always)]
pub(crate) const fn has_ports(proto: u8) -> bool {
    matches!(proto, IPPROTO_TCP | IPPROTO_UDP) || has_later_ports(proto)
}

/// A TCP header up to the flags (RFC 9293, section 3.1).
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Tcp {
    /// Source and destination port, as in a UDP header.
    ports: [u8; 4],
    seq: U32,
    ack: U32,
    data_offset: u8,
    flags: u8,
}

/// A packet that the kernel has aggregated of several from the wire, or not yet cut into them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gso {
    /// Payload bytes in each packet on the wire but the last.
    pub(crate) size: u16,
    /// Packets on the wire, 0 if the kernel does not know.
    pub(crate) segs: u16,
    /// Bytes of headers that each packet on the wire repeats, 0 if they are but those of the packet
    /// itself: not in a tunnel.
    pub(crate) headers: u16,
}

/// A packet as the hook was handed it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    /// The bytes from the network header on, `HEADERS_MAX` of its IP version unless the packet has
    /// fewer.
    pub(crate) headers: &'a [u8],
    /// Bytes from the network header to the end of the packet.
    pub(crate) len: u32,
    /// Index of the interface that it came in by.
    pub(crate) input: u32,
    /// Whether it stands for several packets.
    pub(crate) gso: Option<Gso>,
}

impl Frame<'_> {
    /// What is accounted of a packet with such a transport header, `ip_headers_len` bytes behind
    /// the start of the packet, and that total length.
    #[inline(always)]
    fn counts(&self, total_len: u32, ip_headers_len: u32, transport: &Transport) -> Counts {
        let (packets, bytes) = match self.gso {
            None => (1, total_len),
            Some(gso) => {
                let headers_len = match gso.headers {
                    0 => ip_headers_len.saturating_add(transport.header_len),
                    tunnel => tunnel.into(),
                };
                gso.on_the_wire(total_len, headers_len)
            }
        };
        Counts {
            packets,
            bytes,
            tcp_flags: transport.tcp_flags.into(),
        }
    }

    /// The bytes from `at` on, without those behind the total length, which are padding of the link
    /// layer.
    #[inline(always)]
    fn payload(&self, at: usize, total_len: u32) -> &[u8] {
        let end = self.headers.len().min(total_len as usize);
        self.headers.get(at..end).unwrap_or_default()
    }
}

/// Why a packet cannot be accounted to a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unaccountable {
    /// The packet ends before its IP header, or the length that this states, does.
    Truncated,
    /// Not of its IP version, or a header whose lengths contradict each other.
    Malformed,
}

/// What is read of the transport header.
#[derive(Default)]
struct Transport {
    /// Source and destination port, or what stands for them.
    ports: [u8; 4],
    tcp_flags: u8,
    /// Length of the header, as far as it repeats in each packet of an aggregated one.
    header_len: u32,
}

impl Transport {
    /// Reads the header of `proto` at the start of `bytes`. What is cut off reads as 0. `icmp` is
    /// the protocol number of the IP version's ICMP.
    fn parse(proto: u8, icmp: u8, bytes: &[u8]) -> Self {
        match proto {
            IPPROTO_TCP => match Tcp::ref_from_prefix(bytes) {
                Ok((tcp, _)) => Self {
                    ports: tcp.ports,
                    tcp_flags: tcp.flags,
                    header_len: u32::from(tcp.data_offset >> 4) * 4,
                },
                Err(_) => Self::ports(bytes, 0),
            },
            IPPROTO_UDP | IPPROTO_UDPLITE => Self::ports(bytes, UDP_HEADER),
            IPPROTO_SCTP => Self::ports(bytes, SCTP_HEADER),
            // The kernel aggregates none.
            IPPROTO_DCCP => Self::ports(bytes, 0),
            _ if proto == icmp => match bytes {
                &[kind, code, ..] => Self {
                    ports: [0, 0, kind, code],
                    ..Self::default()
                },
                _ => Self::default(),
            },
            _ => Self::default(),
        }
    }

    /// Reads the ports alone.
    fn ports(bytes: &[u8], header_len: u32) -> Self {
        Self {
            ports: bytes.first_chunk().copied().unwrap_or_default(),
            tcp_flags: 0,
            header_len,
        }
    }
}

impl Gso {
    /// Packets and layer-3 bytes on the wire, of an aggregate of `len` bytes whose first
    /// `headers_len` are in each of its packets.
    fn on_the_wire(self, len: u32, headers_len: u32) -> (u32, u32) {
        let payload = len.saturating_sub(headers_len);
        let packets = match (self.segs, NonZeroU32::new(self.size.into())) {
            (0, None) => 1,
            // Rounded up.
            (0, Some(size)) => (payload.saturating_add(size.get() - 1) / size).max(1),
            (segs, _) => u32::from(segs),
        };
        let repeated = packets.saturating_sub(1).saturating_mul(headers_len);
        (packets, len.saturating_add(repeated))
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Reads the key and the counts of a packet from its headers, of which it trusts nothing.

use core::{
    net::{
        Ipv4Addr,
        SocketAddrV4, //
    },
    num::NonZeroU32, //
};

use zerocopy::{
    byteorder::network_endian::{
        U16,
        U32, //
    },
    FromBytes, //
};
use zerocopy_derive::{
    FromBytes,
    Immutable,
    KnownLayout,
    Unaligned, //
};

use super::{
    entry::Counts, //
    key::Key,
};

/// Bytes from the start of the IPv4 header that can matter: the longest IPv4 header, and of TCP's
/// what has the flags.
pub(crate) const HEADERS_MAX: usize = 60 + size_of::<Tcp>();

/// Bytes from the start of the IPv4 header of an ICMP message that can matter to
/// [`quoted_datagram`]: two IPv4 headers, that of ICMP, and a UDP header.
pub(crate) const QUOTE_MAX: usize = 60 + ICMP_HEADER + 60 + UDP_HEADER as usize;

/// Protocol numbers (IANA) whose headers are looked into.
pub(crate) const IPPROTO_ICMP: u8 = 1;
pub(crate) const IPPROTO_TCP: u8 = 6;
pub(crate) const IPPROTO_UDP: u8 = 17;
const IPPROTO_SCTP: u8 = 132;

/// Mask of the fragment offset in the field that it shares with the flags (RFC 791).
const FRAGMENT_OFFSET: u16 = 0x1fff;

/// Length of a UDP header.
const UDP_HEADER: u32 = 8;
/// Length of the header of the ICMP messages that quote a packet.
const ICMP_HEADER: usize = 8;
/// Length of SCTP's common header (RFC 9260, section 3.1).
const SCTP_HEADER: u32 = 12;

/// The fixed part of an IPv4 header (RFC 791, section 3.1).
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Ipv4 {
    version_ihl: u8,
    tos: u8,
    total_len: U16,
    id: U16,
    flags_fragment: U16,
    ttl: u8,
    proto: u8,
    checksum: U16,
    src: [u8; 4],
    dst: [u8; 4],
}

impl Ipv4 {
    /// The key of a packet with this header.
    #[inline(always)]
    fn key(&self, ports: [u8; 4], input: u32) -> Key<Ipv4Addr> {
        let (src, dst) = (Ipv4Addr::from(self.src), Ipv4Addr::from(self.dst));
        Key::new(src, dst, ports, input, self.proto, self.tos)
    }
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
    /// The bytes from the network header on, [`HEADERS_MAX`] of them unless the packet has fewer.
    pub(crate) headers: &'a [u8],
    /// Bytes from the network header to the end of the packet.
    pub(crate) len: u32,
    /// Index of the interface that it came in by.
    pub(crate) input: u32,
    /// Whether it stands for several packets.
    pub(crate) gso: Option<Gso>,
}

/// Why a packet cannot be accounted to a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unaccountable {
    /// The packet ends before its IPv4 header, or its own total length, does.
    Truncated,
    /// Not IPv4, or a header whose lengths contradict each other.
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
    /// Reads the header of `proto` at the start of `bytes`. What is cut off reads as 0.
    fn parse(proto: u8, bytes: &[u8]) -> Self {
        match proto {
            IPPROTO_TCP => match Tcp::ref_from_prefix(bytes) {
                Ok((tcp, _)) => Self {
                    ports: tcp.ports,
                    tcp_flags: tcp.flags,
                    header_len: u32::from(tcp.data_offset >> 4) * 4,
                },
                Err(_) => Self::ports(bytes, 0),
            },
            IPPROTO_UDP => Self::ports(bytes, UDP_HEADER),
            IPPROTO_ICMP => match bytes {
                &[kind, code, ..] => Self {
                    ports: [0, 0, kind, code],
                    ..Self::default()
                },
                _ => Self::default(),
            },
            IPPROTO_SCTP => Self {
                header_len: SCTP_HEADER,
                ..Self::default()
            },
            _ => Self::default(),
        }
    }

    /// Reads the ports alone.
    fn ports(bytes: &[u8], header_len: u32) -> Self {
        match bytes {
            &[a, b, c, d, ..] => Self {
                ports: [a, b, c, d],
                tcp_flags: 0,
                header_len,
            },
            _ => Self::default(),
        }
    }
}

/// The headers of most packets: IPv4 without options, then TCP, or UDP and payload.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Plain {
    ip: Ipv4,
    tcp: Tcp,
}

/// Bytes of them.
pub(crate) const PLAIN: usize = size_of::<Plain>();

/// Fast path: returns what [`ipv4`] would for common packets, `None` for others. Not for packets
/// that the kernel has aggregated.
#[inline(always)]
pub(crate) fn plain(
    headers: &[u8; PLAIN],
    len: u32,
    input: u32,
) -> Option<(Key<Ipv4Addr>, Counts)> {
    let Plain { ip, tcp } = Plain::ref_from_bytes(headers).ok()?;
    let total_len = u32::from(ip.total_len.get());
    let plain = ip.version_ihl == 0x45
        && ip.flags_fragment.get() & FRAGMENT_OFFSET == 0
        && total_len >= PLAIN as u32
        && total_len <= len;
    if !plain {
        return None;
    }
    let tcp_flags = match ip.proto {
        IPPROTO_TCP => tcp.flags.into(),
        IPPROTO_UDP => 0,
        _ => return None,
    };
    Some((
        ip.key(tcp.ports, input),
        Counts {
            packets: 1,
            bytes: total_len,
            tcp_flags,
        },
    ))
}

/// Reads the key and the counts of an IPv4 packet.
///
/// The first fragment of a packet has its ports, those that follow have none: their ports and
/// flags are 0, as are those of a transport header that is cut off.
pub(crate) fn ipv4(frame: &Frame<'_>) -> Result<(Key<Ipv4Addr>, Counts), Unaccountable> {
    let Ok((ip, _)) = Ipv4::ref_from_prefix(frame.headers) else {
        return Err(Unaccountable::Truncated);
    };
    let header_len = u32::from(ip.version_ihl & 0xf) * 4;
    if ip.version_ihl >> 4 != 4 || header_len < 20 {
        return Err(Unaccountable::Malformed);
    }
    let total_len = match (ip.total_len.get(), frame.gso) {
        // An aggregate of more than 64 KiB (BIG TCP) cannot tell its length.
        (0, Some(_)) => frame.len,
        (len, _) => u32::from(len),
    };
    if total_len < header_len {
        return Err(Unaccountable::Malformed);
    }
    if total_len > frame.len {
        return Err(Unaccountable::Truncated);
    }

    let transport = if ip.flags_fragment.get() & FRAGMENT_OFFSET != 0 {
        Transport::default()
    } else {
        // Bytes behind the total length are padding of the link layer.
        let end = frame.headers.len().min(total_len as usize);
        let bytes = frame.headers.get(header_len as usize..end);
        Transport::parse(ip.proto, bytes.unwrap_or_default())
    };
    let key = ip.key(transport.ports, frame.input);
    let (packets, bytes) = match frame.gso {
        None => (1, total_len),
        Some(gso) => {
            let headers_len = match gso.headers {
                0 => header_len.saturating_add(transport.header_len),
                tunnel => tunnel.into(),
            };
            gso.on_the_wire(total_len, headers_len)
        }
    };
    let counts = Counts {
        packets,
        bytes,
        tcp_flags: transport.tcp_flags.into(),
    };
    Ok((key, counts))
}

/// Of an ICMP message that answers a UDP datagram: where that was sent to, and from which port.
/// `headers` begins with the IPv4 header of the message.
///
/// Such messages quote the datagram from its IPv4 header on (RFC 792).
pub(crate) fn quoted_datagram(headers: &[u8]) -> Option<(SocketAddrV4, u16)> {
    /// Destination unreachable, source quench, redirect, time exceeded, parameter problem.
    const ANSWERS: [u8; 5] = [3, 4, 5, 11, 12];

    let message = ipv4_payload(headers, IPPROTO_ICMP)?.1;
    if !ANSWERS.contains(message.first()?) {
        return None;
    }
    let (ip, udp) = ipv4_payload(message.get(ICMP_HEADER..)?, IPPROTO_UDP)?;
    let ([src_0, src_1, dst_0, dst_1], _) = udp.split_first_chunk::<4>()?;
    let to = SocketAddrV4::new(ip.dst.into(), u16::from_be_bytes([*dst_0, *dst_1]));
    Some((to, u16::from_be_bytes([*src_0, *src_1])))
}

/// The header of a packet of `proto` that begins with its transport header, and what follows it.
fn ipv4_payload(bytes: &[u8], proto: u8) -> Option<(&Ipv4, &[u8])> {
    let (ip, _) = Ipv4::ref_from_prefix(bytes).ok()?;
    let is_first = ip.flags_fragment.get() & FRAGMENT_OFFSET == 0;
    let header_len = usize::from(ip.version_ihl & 0xf) * 4;
    if ip.version_ihl >> 4 != 4 || header_len < size_of::<Ipv4>() || ip.proto != proto || !is_first
    {
        return None;
    }
    Some((ip, bytes.get(header_len..)?))
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

#[cfg(test)]
mod tests;

// SPDX-License-Identifier: GPL-2.0

//! IPv4.

use core::net::{
    Ipv4Addr,
    SocketAddrV4, //
};

use zerocopy::{
    byteorder::network_endian::U16,
    FromBytes, //
};
use zerocopy_derive::{
    FromBytes,
    Immutable,
    KnownLayout,
    Unaligned, //
};

use super::{
    Frame,
    Tcp,
    Transport,
    Unaccountable,
    ICMP_HEADER,
    IPPROTO_ICMP,
    IPPROTO_TCP,
    IPPROTO_UDP,
    UDP_HEADER, //
};
use crate::flow::{
    entry::Counts,
    key::Key, //
};

/// Bytes from the start of the IPv4 header that can matter: the longest IPv4 header, and of TCP's
/// what has the flags.
pub(crate) const HEADERS_MAX: usize = 60 + size_of::<Tcp>();

/// Bytes from the start of the IPv4 header of an ICMP message that can matter to
/// [`quoted_datagram`]: two IPv4 headers, that of ICMP, and a UDP header.
pub(crate) const QUOTE_MAX: usize = 60 + ICMP_HEADER + 60 + UDP_HEADER as usize;

/// Mask of the fragment offset in the field that it shares with the flags (RFC 791).
const FRAGMENT_OFFSET: u16 = 0x1fff;

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

/// The headers of most packets: IPv4 without options, then TCP, or UDP and payload.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Plain {
    ip: Ipv4,
    tcp: Tcp,
}

/// Bytes of them.
pub(crate) const PLAIN: usize = size_of::<Plain>();

/// Fast path: returns what [`parse`] would for common packets, `None` for others. Not for packets
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

/// Reads the key and the counts of a packet.
///
/// The first fragment of a packet has its ports, those that follow have none: their ports and
/// flags are 0, as are those of a transport header that is cut off.
pub(crate) fn parse(frame: &Frame<'_>) -> Result<(Key<Ipv4Addr>, Counts), Unaccountable> {
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
        let bytes = frame.payload(header_len as usize, total_len);
        Transport::parse(ip.proto, IPPROTO_ICMP, bytes)
    };
    let key = ip.key(transport.ports, frame.input);
    Ok((key, frame.counts(total_len, header_len, &transport)))
}

/// Of an ICMP message that answers a UDP datagram: where that was sent to, and from which port.
/// `headers` begins with the IPv4 header of the message.
///
/// Such messages quote the datagram from its IPv4 header on (RFC 792).
pub(crate) fn quoted_datagram(headers: &[u8]) -> Option<(SocketAddrV4, u16)> {
    /// Destination unreachable, source quench, redirect, time exceeded, parameter problem.
    const ANSWERS: [u8; 5] = [3, 4, 5, 11, 12];

    let message = payload(headers, IPPROTO_ICMP)?.1;
    if !ANSWERS.contains(message.first()?) {
        return None;
    }
    let (ip, udp) = payload(message.get(ICMP_HEADER..)?, IPPROTO_UDP)?;
    let ([src_0, src_1, dst_0, dst_1], _) = udp.split_first_chunk::<4>()?;
    let to = SocketAddrV4::new(ip.dst.into(), u16::from_be_bytes([*dst_0, *dst_1]));
    Some((to, u16::from_be_bytes([*src_0, *src_1])))
}

/// The header of a packet of `proto` that begins with its transport header, and what follows it.
fn payload(bytes: &[u8], proto: u8) -> Option<(&Ipv4, &[u8])> {
    let (ip, _) = Ipv4::ref_from_prefix(bytes).ok()?;
    let is_first = ip.flags_fragment.get() & FRAGMENT_OFFSET == 0;
    let header_len = usize::from(ip.version_ihl & 0xf) * 4;
    if ip.version_ihl >> 4 != 4 || header_len < size_of::<Ipv4>() || ip.proto != proto || !is_first
    {
        return None;
    }
    Some((ip, bytes.get(header_len..)?))
}

#[cfg(test)]
mod tests;

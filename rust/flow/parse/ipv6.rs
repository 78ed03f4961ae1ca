// SPDX-License-Identifier: GPL-2.0

//! IPv6, and its extension headers.

use core::{
    net::{
        Ipv6Addr,
        SocketAddrV6, //
    },
    num::NonZeroU8, //
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
    Frame,
    Tcp,
    Transport,
    Unaccountable,
    ICMP_HEADER,
    IPPROTO_ICMPV6,
    IPPROTO_TCP,
    IPPROTO_UDP,
    UDP_HEADER, //
};
use crate::flow::{
    entry::Counts,
    key::Key, //
};

/// Extension headers that are passed at most, as many as the kernel passes
/// (`IP6_MAX_EXT_HDRS_CNT`), and bytes of them at most.
const EXTENSIONS_MAX: usize = 12;
const EXTENSION_BYTES_MAX: usize = 512;

/// Bytes from the start of the IPv6 header that can matter: the extension headers, and of TCP's
/// what has the flags.
pub(crate) const HEADERS_MAX: usize = size_of::<Ipv6>() + EXTENSION_BYTES_MAX + size_of::<Tcp>();

/// Bytes from the start of the IPv6 header of an ICMPv6 message that can matter to
/// [`quoted_datagram`]: two IPv6 headers, those of a redirect and of an option, the option with a
/// link-layer address, and a UDP header. The exporter sends datagrams without extension headers; a
/// message may have some.
pub(crate) const QUOTE_MAX: usize = size_of::<Ipv6>()
    + EXTENSION_BYTES_MAX
    + REDIRECT_HEADER
    + 2 * 8
    + size_of::<Ipv6>()
    + UDP_HEADER as usize;

/// Bytes of a redirect in front of its options: the header, and two addresses.
const REDIRECT_HEADER: usize = ICMP_HEADER + 2 * 16;

/// Numbers of the extension headers that are passed (RFC 8200; RFC 4302 of AH). Others, such as
/// those of ESP and of mobility, end the chain like a transport header, as they do in the kernel.
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;

/// Mask of the fragment offset in the field that it shares with flags (RFC 8200, section 4.5).
const FRAGMENT_OFFSET: u16 = 0xfff8;

/// The IPv6 header (RFC 8200, section 3).
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Ipv6 {
    version_class_label: U32,
    payload_len: U16,
    next_header: u8,
    hop_limit: u8,
    src: [u8; 16],
    dst: [u8; 16],
}

impl Ipv6 {
    /// 6, as it should be.
    #[inline(always)]
    fn version(&self) -> u32 {
        self.version_class_label.get() >> 28
    }

    /// The key of a packet with this header and that upper-layer protocol.
    #[inline(always)]
    fn key(&self, ports: [u8; 4], input: u32, proto: u8) -> Key<Ipv6Addr> {
        let (src, dst) = (Ipv6Addr::from(self.src), Ipv6Addr::from(self.dst));
        // CAST: The eight bits of the traffic class.
        let class = (self.version_class_label.get() >> 20) as u8;
        Key::new(src, dst, ports, input, proto, class)
    }
}

/// The headers of most packets: IPv6, then TCP, or UDP and payload.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Plain {
    ip: Ipv6,
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
) -> Option<(Key<Ipv6Addr>, Counts)> {
    let Plain { ip, tcp } = Plain::ref_from_bytes(headers).ok()?;
    // CAST: 40 bytes.
    let total_len = u32::from(ip.payload_len.get()).wrapping_add(size_of::<Ipv6>() as u32);
    if ip.version() != 6 || total_len < PLAIN as u32 || total_len > len {
        return None;
    }
    let tcp_flags = match ip.next_header {
        IPPROTO_TCP => tcp.flags.into(),
        IPPROTO_UDP => 0,
        _ => return None,
    };
    Some((
        ip.key(tcp.ports, input, ip.next_header),
        Counts {
            packets: 1,
            bytes: total_len,
            tcp_flags,
        },
    ))
}

/// Reads the key and the counts of a packet.
///
/// The protocol is that of the upper-layer header, behind the extension headers. Where these cannot
/// be followed (too many, too long, or beyond the end of the packet) it is the number of the header
/// where that is so. The first fragment of a packet has its ports, those that follow have none:
/// their protocol is what the fragment header states, their ports and flags are 0. So are those of
/// a transport header that is cut off.
pub(crate) fn parse(frame: &Frame<'_>) -> Result<(Key<Ipv6Addr>, Counts), Unaccountable> {
    let Ok((ip, _)) = Ipv6::ref_from_prefix(frame.headers) else {
        return Err(Unaccountable::Truncated);
    };
    if ip.version() != 6 {
        return Err(Unaccountable::Malformed);
    }
    let payload_len = match (ip.payload_len.get(), frame.gso) {
        // An aggregate of more than 64 KiB (BIG TCP) cannot tell its length.
        // CAST: 40 bytes.
        (0, Some(_)) => frame.len.saturating_sub(size_of::<Ipv6>() as u32),
        (0, None) if ip.next_header == HOP_BY_HOP => {
            jumbo_payload_len(frame.headers).ok_or(Unaccountable::Malformed)?
        }
        (len, _) => u32::from(len),
    };
    // CAST: 40 bytes.
    let total_len = payload_len.saturating_add(size_of::<Ipv6>() as u32);
    if total_len > frame.len {
        return Err(Unaccountable::Truncated);
    }

    let chain = Chain::follow(ip.next_header, frame.payload(size_of::<Ipv6>(), total_len));
    let transport = match chain.upper_layer {
        Some(bytes) => Transport::parse(chain.proto, IPPROTO_ICMPV6, bytes),
        None => Transport::default(),
    };
    let key = ip.key(transport.ports, frame.input, chain.proto);
    // CAST: At most 552 bytes.
    let headers_len = size_of::<Ipv6>().saturating_add(chain.len) as u32;
    Ok((key, frame.counts(total_len, headers_len, &transport)))
}

/// What extension headers lead to.
struct Chain<'a> {
    /// The protocol of the upper layer, or the number of the header where the chain breaks.
    proto: u8,
    /// Bytes of the extension headers that were passed.
    len: usize,
    /// The upper-layer header and what follows it; `None` if it is not in this packet, or was not
    /// reached.
    upper_layer: Option<&'a [u8]>,
}

impl<'a> Chain<'a> {
    /// Follows the chain from the header of number `proto`, at the start of `bytes`.
    fn follow(mut proto: u8, bytes: &'a [u8]) -> Self {
        let mut len = 0;
        for passed in 0..=EXTENSIONS_MAX {
            let rest = bytes.get(len..).unwrap_or_default();
            if !is_extension(proto) {
                let upper_layer = Some(rest);
                return Self {
                    proto,
                    len,
                    upper_layer,
                };
            }
            let Some(extension) = Extension::read(proto, rest) else {
                break;
            };
            let end = usize::saturating_add(len, extension.len);
            if passed == EXTENSIONS_MAX || end > bytes.len().min(EXTENSION_BYTES_MAX) {
                break;
            }
            (proto, len) = (extension.next_header, end);
            if extension.is_later_fragment {
                break;
            }
        }
        Self {
            proto,
            len,
            upper_layer: None,
        }
    }
}

/// Whether a header of that number is passed.
const fn is_extension(proto: u8) -> bool {
    matches!(
        proto,
        HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION
    )
}

/// An extension header.
struct Extension {
    next_header: u8,
    len: usize,
    /// What follows is not a header but a later part of the payload.
    is_later_fragment: bool,
}

impl Extension {
    /// Reads the header of number `proto` at the start of `bytes`. `None` if its first four bytes
    /// are not there.
    fn read(proto: u8, bytes: &[u8]) -> Option<Self> {
        let &[next_header, len, offset_0, offset_1] = bytes.first_chunk()?;
        let len = usize::from(len);
        Some(Self {
            next_header,
            len: match proto {
                FRAGMENT => 8,
                AUTHENTICATION => len.saturating_add(2).saturating_mul(4),
                _ => len.saturating_add(1).saturating_mul(8),
            },
            is_later_fragment: proto == FRAGMENT
                && u16::from_be_bytes([offset_0, offset_1]) & FRAGMENT_OFFSET != 0,
        })
    }
}

/// Payload length of a jumbogram (RFC 2675), which the first hop-by-hop options have. `None` if it
/// is none: then a payload length of 0 says that there are no options either.
fn jumbo_payload_len(headers: &[u8]) -> Option<u32> {
    const PAD1: u8 = 0;
    const JUMBO: u8 = 0xc2;

    let options = headers.get(size_of::<Ipv6>()..)?;
    let len = Extension::read(HOP_BY_HOP, options)?.len;
    let mut options = options.get(2..len.min(options.len()))?;
    loop {
        options = match options {
            [PAD1, rest @ ..] => rest,
            &[JUMBO, 4, a, b, c, d, ..] => {
                let len = u32::from_be_bytes([a, b, c, d]);
                return (len > u16::MAX.into()).then_some(len);
            }
            [_, len, rest @ ..] => rest.get(usize::from(*len)..)?,
            _ => return None,
        }
    }
}

/// Of an ICMPv6 message that answers a UDP datagram: where that was sent to, and from which port.
/// `headers` begins with the IPv6 header of the message.
///
/// Such messages quote the datagram from its IPv6 header on: errors behind their header (RFC 4443),
/// redirects in an option (RFC 4861, sections 4.5 and 4.6.3).
pub(crate) fn quoted_datagram(headers: &[u8]) -> Option<(SocketAddrV6, u16)> {
    /// Messages below that are errors.
    const INFORMATIONAL: u8 = 128;
    const REDIRECT: u8 = 137;

    let message = payload(headers, IPPROTO_ICMPV6)?.1;
    let quote = match *message.first()? {
        REDIRECT => redirected(message.get(REDIRECT_HEADER..)?)?,
        INFORMATIONAL.. => return None,
        _ => message.get(ICMP_HEADER..)?,
    };
    let (ip, udp) = payload(quote, IPPROTO_UDP)?;
    let ([src_0, src_1, dst_0, dst_1], _) = udp.split_first_chunk::<4>()?;
    let port = u16::from_be_bytes([*dst_0, *dst_1]);
    let to = SocketAddrV6::new(ip.dst.into(), port, 0, 0);
    Some((to, u16::from_be_bytes([*src_0, *src_1])))
}

/// The packet that the options of a redirect quote.
fn redirected(mut options: &[u8]) -> Option<&[u8]> {
    const REDIRECTED_HEADER: u8 = 4;

    loop {
        let [kind, eights, ..] = *options.first_chunk::<8>()?;
        if kind == REDIRECTED_HEADER {
            return options.get(8..);
        }
        // Without a length there is no next one.
        options = options.get(usize::from(NonZeroU8::new(eights)?.get()).saturating_mul(8)..)?;
    }
}

/// The IPv6 header of a packet of `proto`, and its upper-layer header and what follows it.
fn payload(bytes: &[u8], proto: u8) -> Option<(&Ipv6, &[u8])> {
    let (ip, rest) = Ipv6::ref_from_prefix(bytes).ok()?;
    let chain = Chain::follow(ip.next_header, rest);
    if ip.version() != 6 || chain.proto != proto {
        return None;
    }
    Some((ip, chain.upper_layer?))
}

#[cfg(test)]
mod tests;

// SPDX-License-Identifier: GPL-2.0

use super::{
    super::Gso,
    *, //
};
use crate::flow::key::FlowLabel;
use etherparse::{
    IpNumber,
    Ipv6ExtensionsSlice,
    PacketBuilder, //
};
use proptest::{
    collection::vec,
    prelude::*, //
};

const SRC: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 3, 4, 5, 6);
const DST: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xf, 0, 0, 0, 0, 9);

/// A packet whose IPv6 header is followed by `payload`. Traffic class 0xb8, flow label 0x12345.
fn packet(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x6b, 0x81, 0x23, 0x45];
    bytes.extend((payload.len() as u16).to_be_bytes());
    bytes.extend([next_header, 64]);
    bytes.extend(SRC.octets());
    bytes.extend(DST.octets());
    bytes.extend(payload);
    bytes
}

fn frame(headers: &[u8]) -> Frame<'_> {
    Frame {
        headers,
        len: headers.len() as u32,
        input: 7,
        gso: None,
    }
}

/// Protocol and ports of a packet.
fn of(bytes: &[u8]) -> (u8, u16, u16) {
    let (key, counts) = parse(&frame(bytes)).unwrap();
    assert_eq!((counts.packets, counts.bytes), (1, bytes.len() as u32));
    (key.proto(), key.src_port(), key.dst_port())
}

/// Ports 443 and 51000, 20 bytes, flags SYN and ACK.
const TCP_SYN_ACK: [u8; 20] = [
    0x01, 0xbb, 0xc7, 0x38, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x12, 0xff, 0xff, 0, 0, 0, 0,
];

/// A header of `eights` times eight bytes, in which nothing but number and length of the next one
/// is set, in front of `payload`.
fn extension(next_header: u8, eights: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; usize::from(eights) * 8];
    bytes[..2].copy_from_slice(&[next_header, eights - 1]);
    bytes.extend(payload);
    bytes
}

/// A fragment header of that offset, in units of eight bytes, in front of `payload`.
fn fragment(next_header: u8, offset: u16, more: bool, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![next_header, 0];
    bytes.extend(((offset << 3) | u16::from(more)).to_be_bytes());
    bytes.extend([1, 2, 3, 4]);
    bytes.extend(payload);
    bytes
}

#[test]
fn fields_of_a_packet() {
    let bytes = packet(6, &TCP_SYN_ACK);
    let (key, counts) = parse(&frame(&bytes)).unwrap();
    assert_eq!((key.src(), key.dst()), (SRC, DST));
    assert_eq!((key.src_port(), key.dst_port()), (443, 51000));
    assert_eq!((key.proto(), key.tos(), key.input()), (6, 0xb8, 7));
    assert_eq!((counts.packets, counts.bytes), (1, 60));
    assert_eq!(counts.tcp_flags, 0x12);
}

#[test]
fn ports_are_behind_all_extension_headers() {
    // Hop-by-hop, destination, routing, fragment (the first one), AH of 24 bytes, destination.
    let bytes = extension(6, 1, &TCP_SYN_ACK);
    let mut authentication = vec![60, 4];
    authentication.resize(24, 0xee);
    let bytes = [authentication, bytes].concat();
    let bytes = fragment(51, 0, true, &bytes);
    let bytes = extension(44, 5, &bytes);
    let bytes = extension(43, 2, &bytes);
    let bytes = extension(60, 1, &bytes);
    assert_eq!(of(&packet(0, &bytes)), (6, 443, 51000));
}

#[test]
fn only_the_first_fragment_has_ports() {
    assert_eq!(
        of(&packet(44, &fragment(6, 0, true, &TCP_SYN_ACK))),
        (6, 443, 51000)
    );
    assert_eq!(
        of(&packet(44, &fragment(6, 1, true, &TCP_SYN_ACK))),
        (6, 0, 0)
    );
    assert_eq!(
        of(&packet(44, &fragment(17, 0x1fff, false, &[0xff; 9]))),
        (17, 0, 0)
    );
    // What follows a later fragment's header is no header, whatever it looks like.
    let nested = fragment(44, 9, true, &fragment(6, 0, false, &TCP_SYN_ACK));
    assert_eq!(of(&packet(44, &nested)), (44, 0, 0));
    // A fragment in a fragment.
    let nested = fragment(44, 0, true, &fragment(6, 3, false, &TCP_SYN_ACK));
    assert_eq!(of(&packet(44, &nested)), (6, 0, 0));
}

#[test]
fn what_ends_a_chain() {
    // No next header, ESP, mobility, HIP, Shim6, and what nobody knows.
    for proto in [59, 50, 135, 139, 140, 253] {
        assert_eq!(of(&packet(proto, &TCP_SYN_ACK)), (proto, 0, 0));
        let options = extension(proto, 1, &TCP_SYN_ACK);
        assert_eq!(of(&packet(60, &options)), (proto, 0, 0));
    }
}

#[test]
fn icmpv6_type_and_code_are_the_destination_port() {
    assert_eq!(of(&packet(58, &[1, 4, 0, 0, 0, 0, 0, 0])), (58, 0, 0x0104));
    // An MLD report, behind a router alert.
    let report = [143, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(
        of(&packet(0, &extension(58, 1, &report))),
        (58, 0, 143 << 8)
    );
    // ICMP of IPv4 is none of IPv6.
    assert_eq!(of(&packet(1, &[8, 0, 0, 0, 0, 0, 0, 0])), (1, 0, 0));
}

#[test]
fn other_protocols_with_ports() {
    for proto in [17, 33, 132, 136] {
        assert_eq!(of(&packet(proto, &TCP_SYN_ACK)), (proto, 443, 51000));
    }
}

/// A packet with so many destination options of eight bytes each.
fn options(count: usize) -> Vec<u8> {
    let mut bytes = TCP_SYN_ACK.to_vec();
    for i in 0..count {
        bytes = extension(if i == 0 { 6 } else { 60 }, 1, &bytes);
    }
    packet(60, &bytes)
}

#[test]
fn a_chain_has_bounds() {
    assert_eq!(of(&options(12)), (6, 443, 51000));
    assert_eq!(of(&options(13)), (60, 0, 0));
    assert_eq!(of(&options(100)), (60, 0, 0));
    // 512 bytes, and eight more.
    let of_eights = |eights| packet(43, &extension(6, eights, &TCP_SYN_ACK));
    assert_eq!(of(&of_eights(64)), (6, 443, 51000));
    assert_eq!(of(&of_eights(65)), (43, 0, 0));
    // All of which are in the bytes that are looked at.
    let bytes = of_eights(64);
    assert_eq!(HEADERS_MAX, 40 + 512 + 14);
    let frame = Frame {
        headers: &bytes[..HEADERS_MAX],
        ..frame(&bytes)
    };
    let (key, counts) = parse(&frame).unwrap();
    assert_eq!((key.dst_port(), counts.tcp_flags), (51000, 0x12));
}

#[test]
fn a_chain_that_leaves_the_packet() {
    let whole = packet(43, &extension(6, 3, &TCP_SYN_ACK));
    for cut in 0..24 {
        let mut bytes = packet(43, &whole[40..40 + cut]);
        assert_eq!(of(&bytes), (43, 0, 0), "{cut}");
        // What is behind the packet is padding.
        bytes.extend([0xff; 40]);
        let (key, counts) = parse(&frame(&bytes)).unwrap();
        assert_eq!((key.proto(), key.dst_port()), (43, 0), "{cut}");
        assert_eq!(counts.bytes as usize, 40 + cut);
    }
    assert_eq!(of(&packet(43, &whole[40..64])), (6, 0, 0));
    assert_eq!(of(&packet(43, &whole[40..67])), (6, 0, 0));
    assert_eq!(of(&packet(43, &whole[40..68])), (6, 443, 51000));
    // A fragment header of which the offset is there, but not all.
    let cut = &fragment(6, 1, false, &[])[..7];
    assert_eq!(of(&packet(44, cut)), (44, 0, 0));
}

#[test]
fn headers_that_lie() {
    let good = packet(17, &[0; 8]);
    let refused = |change: fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        parse(&frame(&bytes)).unwrap_err()
    };
    assert_eq!(refused(|b| b.truncate(39)), Unaccountable::Truncated);
    assert_eq!(refused(|b| b.clear()), Unaccountable::Truncated);
    assert_eq!(refused(|b| b.truncate(47)), Unaccountable::Truncated);
    assert_eq!(refused(|b| b[5] = 9), Unaccountable::Truncated);
    assert_eq!(refused(|b| b[0] = 0x45), Unaccountable::Malformed);
    // Hop-by-hop options in no payload.
    assert_eq!(
        refused(|b| b[4..7].copy_from_slice(&[0, 0, 0])),
        Unaccountable::Malformed
    );
}

/// A jumbogram that states `len` bytes of payload, with the option behind `padding`.
fn jumbogram(padding: &[u8], kind: [u8; 2], len: u32) -> Vec<u8> {
    let mut options = [padding, &kind, &len.to_be_bytes()].concat();
    let eights = (options.len() + 2).div_ceil(8);
    options.resize(eights * 8 - 2, 0);
    let bytes = [&[17, eights as u8 - 1], &options[..], &TCP_SYN_ACK].concat();
    let mut bytes = packet(0, &bytes);
    bytes[4..6].fill(0);
    bytes
}

#[test]
fn jumbograms() {
    let parsed = |bytes: &[u8], len| {
        parse(&Frame {
            len,
            ..frame(bytes)
        })
    };
    for padding in [&[][..], &[0], &[0, 0, 1, 0], &[1, 3, 0, 0, 0, 0]] {
        let bytes = jumbogram(padding, [0xc2, 4], 100_000);
        let (key, counts) = parsed(&bytes, 100_040).unwrap();
        assert_eq!((key.proto(), key.dst_port()), (17, 51000));
        assert_eq!((counts.packets, counts.bytes), (1, 100_040));
        assert_eq!(parsed(&bytes, 100_039), Err(Unaccountable::Truncated));
    }
    for (kind, len) in [([0xc2, 4], 65_535), ([0xc2, 6], 100_000), ([5, 4], 100_000)] {
        let bytes = jumbogram(&[], kind, len);
        assert_eq!(parsed(&bytes, 200_000), Err(Unaccountable::Malformed));
    }
    // An option that ends behind the options.
    let mut bytes = jumbogram(&[], [0xc2, 4], 100_000);
    bytes.splice(42..48, [1, 0, 1, 0, 0xc2, 4]);
    assert_eq!(parsed(&bytes, 100_040), Err(Unaccountable::Malformed));
    let huge = jumbogram(&[], [0xc2, 4], u32::MAX);
    assert_eq!(parsed(&huge, 200_000), Err(Unaccountable::Truncated));
}

#[test]
fn aggregates_count_as_what_was_on_the_wire() {
    // Eight bytes of options and 32 of TCP header in front of 1448, 1448 and 104 bytes.
    let mut tcp = TCP_SYN_ACK.to_vec();
    tcp[12] = 0x80;
    tcp.resize(32 + 3000, 0);
    let mut bytes = packet(60, &extension(6, 1, &tcp));
    let counted = |bytes: &[u8], len, gso| {
        let frame = Frame {
            headers: &bytes[..100],
            len,
            input: 1,
            gso: Some(gso),
        };
        let (_, counts) = parse(&frame).unwrap();
        (counts.packets, counts.bytes)
    };
    let gso = |size, segs, headers| Gso {
        size,
        segs,
        headers,
    };
    let (len, headers) = (bytes.len() as u32, 40 + 8 + 32);
    assert_eq!(
        counted(&bytes, len, gso(1448, 3, 0)),
        (3, 3 * headers + 3000)
    );
    assert_eq!(
        counted(&bytes, len, gso(1448, 0, 0)),
        (3, 3 * headers + 3000)
    );
    assert_eq!(counted(&bytes, len, gso(1448, 3, 120)), (3, len + 2 * 120));
    // Too long for the length field: 100 packets of 1400 bytes.
    bytes[4..6].fill(0);
    assert_eq!(
        counted(&bytes, headers + 140_000, gso(1400, 100, 0)),
        (100, 100 * (headers + 1400))
    );
}

/// An ICMPv6 message of `kind`, with what is between its header and the packet that it quotes.
fn answer(kind: u8, before: &[u8], quoted: &[u8]) -> Vec<u8> {
    packet(58, &[&[kind, 3, 0, 0, 0, 0, 0, 0], before, quoted].concat())
}

/// What a redirect has in front of the packet that it quotes: two addresses, an option with a
/// link-layer address, and the beginning of the option.
fn redirect_to() -> Vec<u8> {
    let mut bytes = vec![0xfe; 32];
    bytes.extend([2, 1, 2, 0, 0, 0, 0, 1]);
    bytes.extend([4, 7, 0, 0, 0, 0, 0, 0]);
    bytes
}

#[test]
fn answers_quote_the_datagram() {
    let builder = PacketBuilder::ipv6(SRC.octets(), DST.octets(), 64).udp(0x9c40, 0x0807);
    let mut datagram = Vec::new();
    builder.write(&mut datagram, &[0; 8]).unwrap();
    let expected = Some((SocketAddrV6::new(DST, 0x0807, 0, 0), 0x9c40));
    for kind in [1, 2, 3, 4] {
        assert_eq!(quoted_datagram(&answer(kind, &[], &datagram)), expected);
        assert_eq!(
            quoted_datagram(&answer(kind, &[], &datagram[..44])),
            expected
        );
    }
    let redirect = answer(137, &redirect_to(), &datagram);
    assert_eq!(quoted_datagram(&redirect), expected);
    const { assert!(40 + 40 + 16 + 40 + 8 + 512 <= QUOTE_MAX) };
    // Behind a hop-by-hop header.
    let message = extension(58, 1, &answer(1, &[], &datagram)[40..]);
    assert_eq!(quoted_datagram(&packet(0, &message)), expected);

    // Echo, its reply, and neighbour discovery.
    for kind in [128, 129, 133, 134, 135, 136] {
        assert_eq!(quoted_datagram(&answer(kind, &[], &datagram)), None);
    }
    let with = |at: usize, byte: u8| {
        let mut packet = answer(1, &[], &datagram);
        packet[at] = byte;
        quoted_datagram(&packet)
    };
    for (at, byte, what) in [
        (0, 0x45, "not IPv6"),
        (6, 17, "not ICMPv6"),
        (48, 0x45, "a quote of something else"),
        (48 + 6, 6, "a quote of TCP"),
    ] {
        assert_eq!(with(at, byte), None, "{what}");
    }
    for len in 0..48 + 44 {
        assert_eq!(quoted_datagram(&answer(1, &[], &datagram)[..len]), None);
    }
    for len in 0..redirect.len() - 12 {
        assert_eq!(quoted_datagram(&redirect[..len]), None);
    }
    // An option without a length has no end.
    let mut endless = redirect;
    endless[40 + 40 + 1] = 0;
    assert_eq!(quoted_datagram(&endless), None);
}

/// Headers of any kind and length, but no later fragments, the number of what follows, and some of
/// that.
fn chains() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let number = prop_oneof![
        4 => prop_oneof![Just(60u8), Just(43), Just(44), Just(51)],
        1 => prop_oneof![Just(6u8), Just(17), Just(58), Just(59), Just(50)],
        1 => any::<u8>(),
    ];
    let header = (number.clone(), 0u8..4, any::<[u8; 6]>());
    (number, vec(header, 0..9), 0usize..40).prop_map(|(first, headers, end)| {
        let (mut number, mut bytes) = (first, Vec::new());
        for (next, len, rest) in headers {
            let start = bytes.len();
            bytes.extend([next, len]);
            bytes.extend(rest);
            let len = match number {
                44 => 8,
                51 => (usize::from(len) + 2) * 4,
                _ => (usize::from(len) + 1) * 8,
            };
            if number == 44 {
                bytes[start + 2..start + 4].copy_from_slice(&[0, rest[1] & 7]);
            }
            bytes.resize(start + len, 0x5a);
            number = next;
        }
        // A header with TCP's number of the next one, if there is one.
        bytes.extend([6, 0, 0].iter().chain(&[1; 37]).take(end));
        (first, bytes)
    })
}

/// Whether the other decoder stopped at what it differs in on purpose: it refuses hop-by-hop
/// options that are not first, and an AH without a sequence number.
fn is_other(first: u8, stopped_at: IpNumber) -> bool {
    (stopped_at.0 == 0 && first != 0) || stopped_at.0 == 51
}

proptest! {
    /// A decoder that is not ours finds the same upper layer, or stops at the same header.
    #[test]
    fn another_decoder_agrees((first, bytes) in chains(), cut in 0usize..20) {
        let bytes = &bytes[..bytes.len().saturating_sub(cut)];
        let number = IpNumber(first);
        let (_, proto, rest, error) = Ipv6ExtensionsSlice::from_slice_lax(number, bytes);
        prop_assume!(!is_other(first, proto));
        let chain = Chain::follow(first, bytes);
        prop_assert_eq!(chain.proto, proto.0);
        prop_assert_eq!(chain.upper_layer, error.is_none().then_some(rest));
        prop_assert_eq!(chain.len, bytes.len() - rest.len());
    }

    /// Nor does it find other fields in whole packets.
    #[test]
    fn fields_are_those_of_another_encoder(
        (src, dst, ports) in any::<([u8; 16], [u8; 16], (u16, u16))>(),
        (class, label) in (any::<u8>(), 0u32..1 << 20),
        is_tcp in any::<bool>(),
        len in 0usize..100,
    ) {
        let mut header = etherparse::Ipv6Header {
            source: src,
            destination: dst,
            flow_label: label.try_into().unwrap(),
            ..Default::default()
        };
        header.traffic_class = class;
        let builder = PacketBuilder::ip(etherparse::IpHeaders::Ipv6(header, Default::default()));
        let (payload, mut bytes) = (vec![0; len], Vec::new());
        match is_tcp {
            true => builder.tcp(ports.0, ports.1, 7, 8).syn().write(&mut bytes, &payload),
            false => builder.udp(ports.0, ports.1).write(&mut bytes, &payload),
        }
        .unwrap();
        let (key, counts) = parse(&frame(&bytes)).unwrap();
        prop_assert_eq!((key.src().octets(), key.dst().octets()), (src, dst));
        prop_assert_eq!((key.src_port(), key.dst_port()), ports);
        prop_assert_eq!((key.tos(), key.proto()), (class, if is_tcp { 6 } else { 17 }));
        prop_assert_eq!(counts.bytes as usize, bytes.len());
        prop_assert_eq!(counts.tcp_flags, if is_tcp { 2 } else { 0 });
        let word = u32::from_be_bytes(*bytes.first_chunk().unwrap());
        prop_assert_eq!(FlowLabel::from_bits(word).bits(), label);
        if len >= 6 || is_tcp {
            let headers = bytes.first_chunk().unwrap();
            prop_assert_eq!(plain(headers, bytes.len() as u32, 7), Some((key, counts)));
        }
    }

    #[test]
    fn any_bytes_are_safe(
        bytes in vec(any::<u8>(), 0..HEADERS_MAX + 20),
        more in 0u32..200_000,
        gso in proptest::option::of((any::<u16>(), any::<u16>(), any::<u16>())),
    ) {
        let mut bytes = bytes;
        let _ = quoted_datagram(&bytes);
        let _ = quoted_datagram(&answer(1, &[], &bytes));
        let _ = quoted_datagram(&answer(137, &[], &bytes));
        if let Some(first) = bytes.first_mut() {
            *first = 0x60 | *first & 0xf;
        }
        let frame = Frame {
            headers: &bytes,
            len: bytes.len() as u32 + more,
            input: 1,
            gso: gso.map(|(size, segs, headers)| Gso { size, segs, headers }),
        };
        if let Ok((_, counts)) = parse(&frame) {
            prop_assert!(counts.packets >= 1 && counts.bytes >= 40);
            prop_assert!(gso.is_some() || counts.bytes <= frame.len);
        }
    }

    /// The short way comes to the same as the long one.
    #[test]
    fn both_ways_agree(
        first in prop_oneof![Just(0x60u8), any::<u8>()],
        len in prop_oneof![Just(60u16), any::<u16>()],
        proto in prop_oneof![Just(6u8), Just(17), any::<u8>()],
        rest in vec(any::<u8>(), 14..80),
    ) {
        let mut bytes = packet(proto, &rest);
        bytes[0] = first;
        bytes[4..6].copy_from_slice(&len.to_be_bytes());
        let frame = frame(&bytes);
        let headers = frame.headers.first_chunk().unwrap();
        if let Some(short) = plain(headers, frame.len, frame.input) {
            prop_assert_eq!(Ok(short), parse(&frame));
        }
    }
}

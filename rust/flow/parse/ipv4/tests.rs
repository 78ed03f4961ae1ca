// SPDX-License-Identifier: GPL-2.0

use super::{
    super::Gso,
    *, //
};
use proptest::prelude::*;

/// A 20-byte IPv4 header of the given fields, then `payload`.
fn packet(proto: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let len = 20 + payload.len() as u16;
    let mut bytes = vec![0x45, 0xb8];
    bytes.extend(len.to_be_bytes());
    bytes.extend([0x12, 0x34]);
    bytes.extend(fragment.to_be_bytes());
    bytes.extend([64, proto, 0, 0, 10, 1, 2, 3, 192, 168, 0, 9]);
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

/// Ports 443 and 51000, 20 bytes, flags SYN and ACK.
const TCP_SYN_ACK: [u8; 20] = [
    0x01, 0xbb, 0xc7, 0x38, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x12, 0xff, 0xff, 0, 0, 0, 0,
];

#[test]
fn tcp() {
    let bytes = packet(6, 0x4000, &TCP_SYN_ACK);
    let (key, counts) = parse(&frame(&bytes)).unwrap();
    assert_eq!(key.src(), Ipv4Addr::new(10, 1, 2, 3));
    assert_eq!(key.dst(), Ipv4Addr::new(192, 168, 0, 9));
    assert_eq!((key.src_port(), key.dst_port()), (443, 51000));
    assert_eq!((key.proto(), key.tos(), key.input()), (6, 0xb8, 7));
    assert_eq!((counts.packets, counts.bytes), (1, 40));
    assert_eq!(counts.tcp_flags, 0x12);
}

#[test]
fn udp_with_link_layer_padding() {
    let mut bytes = packet(17, 0, &[0, 53, 0x80, 1, 0, 9, 0, 0, 0xff]);
    bytes.resize(46, 0);
    let (key, counts) = parse(&frame(&bytes)).unwrap();
    assert_eq!((key.src_port(), key.dst_port()), (53, 0x8001));
    assert_eq!((counts.bytes, counts.tcp_flags), (29, 0));
}

#[test]
fn ports_in_the_padding_do_not_count() {
    let mut bytes = packet(17, 0, &[]);
    bytes.resize(46, 0xff);
    let (key, counts) = parse(&frame(&bytes)).unwrap();
    assert_eq!((key.src_port(), key.dst_port(), counts.bytes), (0, 0, 20));
}

#[test]
fn icmp_type_and_code_are_the_destination_port() {
    let (key, _) = parse(&frame(&packet(1, 0, &[3, 13, 0, 0, 0, 0, 0, 0]))).unwrap();
    assert_eq!((key.src_port(), key.dst_port()), (0, 3 * 256 + 13));
}

#[test]
fn protocols_with_and_without_ports() {
    // DCCP, SCTP and UDP-Lite begin with ports like TCP (RFC 4340, 9260 and 3828).
    for (proto, ports) in [
        (33, (443, 51000)),
        (132, (443, 51000)),
        (136, (443, 51000)),
        (47, (0, 0)),
        (50, (0, 0)),
        (58, (0, 0)),
    ] {
        let (key, counts) = parse(&frame(&packet(proto, 0, &TCP_SYN_ACK))).unwrap();
        assert_eq!((key.src_port(), key.dst_port()), ports, "{proto}");
        assert_eq!((key.proto(), counts.tcp_flags), (proto, 0));
    }
}

#[test]
fn only_the_first_fragment_has_ports() {
    let first = packet(6, 0x2000, &TCP_SYN_ACK);
    let (key, counts) = parse(&frame(&first)).unwrap();
    assert_eq!((key.dst_port(), counts.tcp_flags), (51000, 0x12));

    let second = packet(6, 0x0003, &TCP_SYN_ACK);
    let (key, counts) = parse(&frame(&second)).unwrap();
    assert_eq!((key.src_port(), key.dst_port(), key.proto()), (0, 0, 6));
    assert_eq!((counts.tcp_flags, counts.bytes), (0, 40));
}

#[test]
fn options_move_the_ports() {
    let mut bytes = packet(17, 0, &[]);
    bytes[0] = 0x46;
    bytes[3] = 32;
    bytes.extend([7, 4, 0, 0]);
    bytes.extend([0x11, 0x11, 0x22, 0x22, 0, 8, 0, 0]);
    let (key, _) = parse(&frame(&bytes)).unwrap();
    assert_eq!((key.src_port(), key.dst_port()), (0x1111, 0x2222));
}

#[test]
fn a_tcp_header_cut_off_keeps_what_is_there() {
    let (key, counts) = parse(&frame(&packet(6, 0, &TCP_SYN_ACK[..13]))).unwrap();
    assert_eq!((key.src_port(), key.dst_port()), (443, 51000));
    assert_eq!((counts.packets, counts.tcp_flags), (1, 0));
    let (key, counts) = parse(&frame(&packet(6, 0, &TCP_SYN_ACK[..3]))).unwrap();
    assert_eq!((key.src_port(), key.dst_port()), (0, 0));
    assert_eq!(counts.packets, 1);
}

#[test]
fn headers_that_lie() {
    let good = packet(17, 0, &[0; 8]);
    let refused = |change: fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        parse(&frame(&bytes)).unwrap_err()
    };
    assert_eq!(refused(|b| b.truncate(19)), Unaccountable::Truncated);
    assert_eq!(refused(|b| b.clear()), Unaccountable::Truncated);
    assert_eq!(refused(|b| b[0] = 0x65), Unaccountable::Malformed);
    assert_eq!(refused(|b| b[0] = 0x44), Unaccountable::Malformed);
    // A header longer than the packet, a total length longer than the data or none at all.
    assert_eq!(refused(|b| b[0] = 0x4f), Unaccountable::Malformed);
    assert_eq!(refused(|b| b[3] = 29), Unaccountable::Truncated);
    assert_eq!(refused(|b| b[3] = 19), Unaccountable::Malformed);
    assert_eq!(refused(|b| b[3] = 0), Unaccountable::Malformed);
}

#[test]
fn an_aggregate_counts_as_what_was_on_the_wire() {
    // Three segments of 1448, 1448 and 104 bytes with 32 bytes of TCP header each.
    let mut bytes = packet(6, 0, &TCP_SYN_ACK);
    bytes[32] = 0x80;
    bytes.resize(20 + 32 + 3000, 0);
    let len = bytes.len() as u16;
    bytes[2..4].copy_from_slice(&len.to_be_bytes());
    let counted = |segs| {
        let frame = Frame {
            headers: &bytes[..HEADERS_MAX],
            len: bytes.len() as u32,
            input: 1,
            gso: Some(Gso {
                size: 1448,
                segs,
                headers: 0,
            }),
        };
        let (_, counts) = parse(&frame).unwrap();
        (counts.packets, counts.bytes)
    };
    assert_eq!(counted(3), (3, 3 * 52 + 3000));
    assert_eq!(counted(0), (3, 3 * 52 + 3000));
}

#[test]
fn an_aggregate_in_a_tunnel_repeats_all_headers() {
    // IPIP: 20 bytes of outer header, 20 of inner, 20 of TCP, then three segments of 1400.
    let mut bytes = packet(4, 0, &[0; 40]);
    bytes.resize(60 + 4200, 0);
    let len = bytes.len() as u16;
    bytes[2..4].copy_from_slice(&len.to_be_bytes());
    let frame = Frame {
        headers: &bytes[..HEADERS_MAX],
        len: bytes.len() as u32,
        input: 1,
        gso: Some(Gso {
            size: 1400,
            segs: 3,
            headers: 60,
        }),
    };
    let (_, counts) = parse(&frame).unwrap();
    assert_eq!((counts.packets, counts.bytes), (3, 3 * 1460));
}

#[test]
fn an_aggregate_of_sctp_repeats_the_common_header() {
    // Three packets with chunks of 1460, 1400 and 100 bytes; each has a common header of 12 bytes
    // (RFC 9260, section 3.1). The kernel has their sizes elsewhere and says 0xffff (GSO_BY_FRAGS).
    let mut bytes = packet(132, 0, &[0; 12]);
    bytes.resize(20 + 12 + 2960, 0);
    let len = bytes.len() as u16;
    bytes[2..4].copy_from_slice(&len.to_be_bytes());
    let frame = Frame {
        headers: &bytes[..HEADERS_MAX],
        len: bytes.len() as u32,
        input: 1,
        gso: Some(Gso {
            size: 0xffff,
            segs: 3,
            headers: 0,
        }),
    };
    let (_, counts) = parse(&frame).unwrap();
    assert_eq!((counts.packets, counts.bytes), (3, 3 * (20 + 12) + 2960));
}

#[test]
fn an_aggregate_too_long_for_its_length_field() {
    let mut bytes = packet(6, 0, &TCP_SYN_ACK);
    bytes[2..4].fill(0);
    let frame = Frame {
        headers: &bytes,
        len: 20 + 20 + 140_000,
        input: 1,
        gso: Some(Gso {
            size: 1400,
            segs: 100,
            headers: 0,
        }),
    };
    let (_, counts) = parse(&frame).unwrap();
    assert_eq!((counts.packets, counts.bytes), (100, 100 * 1440));
}

/// An ICMP message of `kind` that quotes a packet, as RFC 792 has it.
fn answer(kind: u8, quoted: &[u8]) -> Vec<u8> {
    packet(1, 0, &[&[kind, 3, 0, 0, 0, 0, 0, 0], quoted].concat())
}

/// Four bytes of source and destination port, length, checksum.
const UDP: [u8; 8] = [0x9c, 0x40, 0x08, 0x07, 0, 16, 0, 0];

#[test]
fn answers_quote_the_datagram() {
    let datagram = packet(17, 0, &UDP);
    let sent_to = SocketAddrV4::new(Ipv4Addr::new(192, 168, 0, 9), 0x0807);
    let expected = Some((sent_to, 0x9c40));
    for kind in [3, 4, 5, 11, 12] {
        assert_eq!(
            quoted_datagram(&answer(kind, &datagram)),
            expected,
            "{kind}"
        );
    }
    // With options in both headers.
    let with_options = |mut packet: Vec<u8>| {
        packet[0] = 0x46;
        packet.splice(20..20, [1; 4]);
        packet
    };
    let long = with_options(answer(3, &with_options(datagram.clone())));
    assert_eq!(quoted_datagram(&long), expected);
    // No more of the datagram need be quoted than the ports.
    assert_eq!(quoted_datagram(&answer(3, &datagram[..24])), expected);
}

#[test]
fn other_messages_quote_no_datagram() {
    let datagram = packet(17, 0, &UDP);
    // Echo and its reply, timestamp.
    for kind in [0, 8, 13] {
        assert_eq!(quoted_datagram(&answer(kind, &datagram)), None, "{kind}");
    }
    let with = |at: usize, byte: u8| {
        let mut packet = answer(3, &datagram);
        packet[at] = byte;
        packet
    };
    for (at, byte, what) in [
        (0, 0x65, "not IPv4"),
        (0, 0x44, "a header that is too short"),
        (7, 1, "a later fragment of the message"),
        (9, 17, "not ICMP"),
        (28, 0x65, "a quote of something else"),
        (28, 0x44, "a quoted header that is too short"),
        (28 + 7, 1, "a quoted fragment without ports"),
        (28 + 9, 6, "a quote of TCP"),
    ] {
        assert_eq!(quoted_datagram(&with(at, byte)), None, "{what}");
    }
    for len in 0..28 + 24 {
        assert_eq!(quoted_datagram(&answer(3, &datagram)[..len]), None, "{len}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_safe_as_an_answer(
        bytes in proptest::collection::vec(any::<u8>(), 0..QUOTE_MAX),
    ) {
        let _ = quoted_datagram(&answer(3, &bytes));
        let _ = quoted_datagram(&bytes);
    }

    #[test]
    fn any_bytes_are_safe(
        bytes in proptest::collection::vec(any::<u8>(), 0..100),
        more in 0u32..200_000,
        gso in proptest::option::of((any::<u16>(), any::<u16>(), any::<u16>())),
    ) {
        let frame = Frame {
            headers: &bytes,
            len: bytes.len() as u32 + more,
            input: 1,
            gso: gso.map(|(size, segs, headers)| Gso { size, segs, headers }),
        };
        if let Ok((key, counts)) = parse(&frame) {
            prop_assert!(bytes.len() >= 20 && bytes[0] >> 4 == 4);
            prop_assert_eq!(key.proto(), bytes[9]);
            prop_assert!(counts.packets >= 1 && counts.bytes >= 20);
            prop_assert!(gso.is_some() || counts.bytes <= frame.len);
        }
    }

    /// The short way comes to the same as the long one.
    #[test]
    fn both_ways_agree(
        start in prop_oneof![Just(0x45u8), any::<u8>()],
        len in prop_oneof![Just(60u16), any::<u16>()],
        fragment in prop_oneof![Just(0x4000u16), any::<u16>()],
        proto in prop_oneof![Just(6u8), Just(17), any::<u8>()],
        rest in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut bytes = packet(proto, fragment, &rest);
        bytes[0] = start;
        bytes[2..4].copy_from_slice(&len.to_be_bytes());
        let frame = frame(&bytes);
        let headers = frame.headers.first_chunk();
        if let Some(short) = headers.and_then(|headers| plain(headers, frame.len, frame.input)) {
            prop_assert_eq!(Ok(short), parse(&frame));
        }
    }

    /// A packet cut off anywhere is refused, or has the same addresses, protocol and length.
    #[test]
    fn cut_off_headers(keep in 0usize..40) {
        let bytes = packet(6, 0, &TCP_SYN_ACK);
        let whole = parse(&frame(&bytes)).unwrap();
        let cut = Frame { headers: &bytes[..keep], ..frame(&bytes) };
        match parse(&cut) {
            Err(reason) => prop_assert!(keep < 20 && reason == Unaccountable::Truncated),
            Ok((key, counts)) => {
                let wanted = (whole.0.src(), whole.0.dst(), 6);
                prop_assert_eq!((key.src(), key.dst(), key.proto()), wanted);
                prop_assert_eq!(counts.bytes, 40);
            }
        }
    }
}

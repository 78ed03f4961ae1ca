// SPDX-License-Identifier: GPL-2.0

use super::*;

/// An attribute with its padding, as `nla_put()` leaves it.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let len = u16::try_from(NLA_HEADER + value.len()).unwrap();
    let mut bytes = [len.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn nest(kind: u16, attributes: &[Vec<u8>]) -> Vec<u8> {
    attribute(kind | 0x8000, &attributes.concat())
}

fn tuple(kind: u16, src: &[u8], dst: &[u8], proto: &[(u16, &[u8])]) -> Vec<u8> {
    let (of_src, of_dst) = if src.len() == 4 { (1, 2) } else { (3, 4) };
    let proto: Vec<_> = proto
        .iter()
        .map(|(kind, value)| attribute(*kind, value))
        .collect();
    nest(
        kind,
        &[
            nest(1, &[attribute(of_src, src), attribute(of_dst, dst)]),
            nest(2, &proto),
        ],
    )
}

fn message(kind: u16, family: u8, attributes: &[Vec<u8>]) -> Vec<u8> {
    let attributes = attributes.concat();
    let len = u32::try_from(NLMSG_HEADER + NFGENMSG + attributes.len()).unwrap();
    let mut bytes = len.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend([0; 10]);
    bytes.extend([family, 0, 0, 0]);
    bytes.extend(attributes);
    bytes
}

const LEFT: &[u8] = &[10, 1, 0, 2];
const RIGHT: &[u8] = &[10, 2, 0, 2];
const OUTSIDE: &[u8] = &[10, 2, 0, 1];

/// A TCP connection from left to right that goes out with the address of the router.
fn masqueraded() -> [Vec<u8>; 2] {
    let ports = |src: &'static [u8], dst| [(1, &[6][..]), (2, src), (3, dst)];
    [
        tuple(1, LEFT, RIGHT, &ports(&[0x9c, 0x40], &[0, 80])),
        tuple(2, RIGHT, OUTSIDE, &ports(&[0, 80], &[0x04, 0x01])),
    ]
}

fn expected() -> AnySession {
    AnySession::V4(Session {
        proto: 6,
        before: Endpoints {
            src: [10, 1, 0, 2].into(),
            dst: [10, 2, 0, 2].into(),
            src_port: 40_000,
            dst_port: 80,
        },
        after: Endpoints {
            src: [10, 2, 0, 1].into(),
            dst: [10, 2, 0, 2].into(),
            src_port: 1025,
            dst_port: 80,
        },
    })
}

fn nat(message: &[u8]) -> NatEvent {
    match read(message) {
        Some(Notice::Nat(event)) => event,
        other => panic!("{other:?}"),
    }
}

#[test]
fn both_ends_of_a_session() {
    for (kind, change) in [
        (0x100, SessionChange::Created),
        (0x102, SessionChange::Deleted),
    ] {
        let event = NatEvent {
            change,
            milliseconds: None,
            session: expected(),
        };
        assert_eq!(nat(&message(kind, 2, &masqueraded())), event);
    }
}

/// The identifier stands for the source port; an answer is of another type.
#[test]
fn icmp_has_identifiers() {
    let [id, type_, code] = [4, 5, 6];
    let of = |number: &'static [u8], kind: &'static [u8]| {
        [(1, &[1][..]), (id, number), (type_, kind), (code, &[0])]
    };
    let tuples = [
        tuple(1, LEFT, RIGHT, &of(&[0x12, 0x34], &[8])),
        tuple(2, RIGHT, OUTSIDE, &of(&[0, 7], &[0])),
    ];
    let AnySession::V4(session) = nat(&message(0x100, 2, &tuples)).session else {
        panic!("a session of IPv6");
    };
    assert_eq!(session.proto, 1);
    assert_eq!(
        (session.before.src_port, session.before.dst_port),
        (0x1234, 0x800)
    );
    assert_eq!((session.after.src_port, session.after.dst_port), (7, 0x800));
    assert_eq!(session.after.src, Ipv4Addr::new(10, 2, 0, 1));
}

#[test]
fn ipv6_has_long_addresses() {
    let address = |last| [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    let proto: &[(u16, &[u8])] = &[(1, &[17]), (2, &[0, 1]), (3, &[0, 2])];
    let back: &[(u16, &[u8])] = &[(1, &[17]), (2, &[0, 3]), (3, &[0, 1])];
    let tuples = [
        tuple(1, &address(1), &address(2), proto),
        tuple(2, &address(3), &address(1), back),
    ];
    let AnySession::V6(session) = nat(&message(0x100, 10, &tuples)).session else {
        panic!("a session of IPv4");
    };
    assert_eq!(session.after.dst, Ipv6Addr::from(address(3)));
    assert_eq!((session.before.dst_port, session.after.dst_port), (2, 3));
    assert_eq!(session.after.src_port, 1);
}

#[test]
fn a_connection_without_translation_is_none() {
    let proto: &[(u16, &[u8])] = &[(1, &[17]), (2, &[0, 1]), (3, &[0, 2])];
    let back: &[(u16, &[u8])] = &[(1, &[17]), (2, &[0, 2]), (3, &[0, 1])];
    let tuples = [tuple(1, LEFT, RIGHT, proto), tuple(2, RIGHT, LEFT, back)];
    assert_eq!(read(&message(0x100, 2, &tuples)), Some(Notice::Other));
    assert_eq!(
        read(&message(0x101, 2, &masqueraded())),
        Some(Notice::Other)
    );
    assert_eq!(
        read(&message(0x100, 7, &masqueraded())),
        Some(Notice::Other)
    );
}

/// The end of a connection is when it timed out; its beginning, when it was told.
#[test]
fn times_are_those_of_the_kernel() {
    let ns = |milliseconds: u64| (milliseconds * 1_000_000 + 999_999).to_be_bytes();
    let [original, reply] = masqueraded();
    let of_connection = nest(20, &[attribute(1, &ns(5)), attribute(2, &ns(70))]);
    let of_event = attribute(27, &ns(90));
    let time = |kind, stamps: &[&Vec<u8>]| {
        let tuples = [&original, &reply]
            .into_iter()
            .chain(stamps.iter().copied());
        let attributes: Vec<_> = tuples.cloned().collect();
        nat(&message(kind, 2, &attributes)).milliseconds
    };
    assert_eq!(time(0x100, &[&of_event]), Some(90));
    assert_eq!(time(0x100, &[&of_connection]), None);
    assert_eq!(time(0x102, &[&of_connection, &of_event]), Some(70));
    assert_eq!(time(0x102, &[&of_event]), Some(90));
}

/// Wherever a message ends, and whatever one byte of it is: nothing but other sessions, and none
/// that is not there.
#[test]
fn what_is_cut_or_wrong_does_no_harm() {
    let whole = message(0x100, 2, &masqueraded());
    for len in 0..whole.len() {
        assert_eq!(read(&whole[..len]), None, "{len}");
    }
    for at in 0..whole.len() {
        for byte in 0..=255 {
            let mut wrong = whole.clone();
            wrong[at] = byte;
            let _ = read(&wrong);
        }
    }
}

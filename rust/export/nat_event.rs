// SPDX-License-Identifier: GPL-2.0

//! The records of NAT events (RFC 8158; NAT Event Logging in NetFlow v9).

use super::{
    field::Version,
    format::ExportTime,
    writer::Writer, //
};
use crate::flow::nat::{
    AnySession,
    NatEvent,
    Session,
    SessionChange, //
};

const FIELDS: usize = 11;

/// Ids and fields of the templates, of IPv4 and of IPv6, as their numbers and lengths: the same in
/// NetFlow v9 and IPFIX. An id has the same layout for ever.
pub(crate) const TEMPLATES: [(u16, [(u16, u16); FIELDS]); 2] = [
    (310, fields([8, 12, 225, 226], 4)),
    (311, fields([27, 28, 281, 282], 16)),
];

/// `addresses`: source and destination before NAT, then behind it, of `len` bytes.
const fn fields(addresses: [u16; 4], len: u16) -> [(u16, u16); FIELDS] {
    let [src, dst, post_src, post_dst] = addresses;
    [
        // observationTimeMilliseconds, natEvent.
        (323, 8),
        (230, 1),
        (4, 1),
        (src, len),
        (dst, len),
        (post_src, len),
        (post_dst, len),
        (7, 2),
        (11, 2),
        (227, 2),
        (228, 2),
    ]
}

/// The Template ID of an event, and the length of its record.
pub(crate) fn layout(event: &NatEvent) -> (u16, usize) {
    const LAYOUTS: [(u16, usize); 2] = [layout_of(&TEMPLATES[0]), layout_of(&TEMPLATES[1])];

    let [ipv4, ipv6] = LAYOUTS;
    match event.session {
        AnySession::V4(_) => ipv4,
        AnySession::V6(_) => ipv6,
    }
}

/// Evaluated by the compiler.
#[inline]
const fn layout_of((id, fields): &(u16, [(u16, u16); FIELDS])) -> (u16, usize) {
    let (mut len, mut at) = (0, 0);
    while at < FIELDS {
        len += fields[at].1 as usize;
        at += 1;
    }
    (*id, len)
}

/// Writes the record of an event. `nat44` is what natEvent says of a session of IPv4 that has
/// begun, and of one that has ended.
pub(crate) fn write(event: &NatEvent, nat44: [u8; 2], now: ExportTime, to: &mut Writer<'_>) {
    /// NAT translation create and delete. IANA has none for sessions from IPv6 to IPv6.
    const TRANSLATION: [u8; 2] = [1, 2];

    let number = |[created, deleted]: [u8; 2]| match event.change {
        SessionChange::Created => created,
        SessionChange::Deleted => deleted,
    };
    to.number(event.milliseconds.unwrap_or(now.milliseconds()), 8);
    match &event.session {
        AnySession::V4(session) => write_session(session, number(nat44), to),
        AnySession::V6(session) => write_session(session, number(TRANSLATION), to),
    }
}

fn write_session<A: Version>(session: &Session<A>, event: u8, to: &mut Writer<'_>) {
    let Session {
        proto,
        before,
        after,
    } = session;
    to.put([event, *proto]);
    for address in [before.src, before.dst, after.src, after.dst] {
        address.write(to);
    }
    for port in [
        before.src_port,
        before.dst_port,
        after.src_port,
        after.dst_port,
    ] {
        to.number(port.into(), 2);
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Reads what conntrack tells of its connections over netlink.
//!
//! The messages are those of `include/uapi/linux/netfilter/nfnetlink_conntrack.h`. They come from
//! the kernel; still nothing in them is trusted but what fits.

use core::net::{
    Ipv4Addr,
    Ipv6Addr, //
};

use super::{
    key::Address,
    nat::{
        AnySession,
        Endpoints,
        NatEvent,
        Session,
        SessionChange, //
    },
};

/// Bytes of a `struct nlmsghdr`, of a `struct nfgenmsg` and of a `struct nlattr`.
const NLMSG_HEADER: usize = 16;
const NFGENMSG: usize = 4;
const NLA_HEADER: usize = 4;

/// `NFNL_SUBSYS_CTNETLINK`, with `IPCTNL_MSG_CT_NEW` and `IPCTNL_MSG_CT_DELETE`.
const CT_NEW: u16 = 0x100;
const CT_DELETE: u16 = 0x102;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_TIMESTAMP: u16 = 20;
const CTA_TIMESTAMP_EVENT: u16 = 27;

const CTA_TIMESTAMP_STOP: u16 = 2;

const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;

const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_SRC_PORT: u16 = 2;
const CTA_PROTO_DST_PORT: u16 = 3;
const CTA_PROTO_ICMP_ID: u16 = 4;
const CTA_PROTO_ICMP_TYPE: u16 = 5;
const CTA_PROTO_ICMP_CODE: u16 = 6;
const CTA_PROTO_ICMPV6_ID: u16 = 7;
const CTA_PROTO_ICMPV6_TYPE: u16 = 8;
const CTA_PROTO_ICMPV6_CODE: u16 = 9;

/// What a message is, if it is well formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// A session of NAT.
    Nat(NatEvent),
    /// A connection that is not translated, or no connection.
    Other,
}

/// Attributes, one after the other, until one does not fit.
struct Attributes<'a>(&'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        /// The rest are flags (`NLA_F_NESTED` and the like).
        const TYPE: u16 = 0x3fff;

        let (header, _) = self.0.split_first_chunk::<NLA_HEADER>()?;
        let &[len_low, len_high, kind_low, kind_high] = header;
        let len = usize::from(u16::from_ne_bytes([len_low, len_high]));
        let kind = u16::from_ne_bytes([kind_low, kind_high]) & TYPE;
        let value = self.0.get(NLA_HEADER..len)?;
        // The last one may lack what it is padded with.
        let next = len.saturating_add(3) & !3;
        self.0 = self.0.get(next..).unwrap_or_default();
        Some((kind, value))
    }
}

impl<'a> Attributes<'a> {
    /// The value of the first one of a kind.
    fn find(bytes: &'a [u8], kind: u16) -> Option<&'a [u8]> {
        let mut all = Self(bytes);
        all.find(|(this, _)| *this == kind).map(|(_, value)| value)
    }
}

/// An address as it stands in an attribute.
trait InTuple: Address {
    /// `CTA_IP_V*_SRC` and `CTA_IP_V*_DST`.
    const SRC: u16;
    const DST: u16;

    fn read(bytes: &[u8]) -> Option<Self>;
}

impl InTuple for Ipv4Addr {
    const SRC: u16 = 1;
    const DST: u16 = 2;

    fn read(bytes: &[u8]) -> Option<Self> {
        <[u8; 4]>::try_from(bytes).ok().map(Self::from)
    }
}

impl InTuple for Ipv6Addr {
    const SRC: u16 = 3;
    const DST: u16 = 4;

    fn read(bytes: &[u8]) -> Option<Self> {
        <[u8; 16]>::try_from(bytes).ok().map(Self::from)
    }
}

/// A `struct nf_conntrack_tuple`: how packets of one direction come in.
struct Tuple<A> {
    proto: u8,
    ends: Endpoints<A>,
    /// The identifier of ICMP's queries, which is translated like a port.
    icmp_id: Option<u16>,
}

impl<A: InTuple> Tuple<A> {
    fn read(nest: &[u8]) -> Option<Self> {
        let ip = Attributes::find(nest, CTA_TUPLE_IP)?;
        let of_proto = Attributes::find(nest, CTA_TUPLE_PROTO)?;
        let byte = |kind| {
            Attributes::find(of_proto, kind)
                .and_then(<[u8]>::first)
                .copied()
        };
        let number = |kind| {
            let value = Attributes::find(of_proto, kind)?;
            Some(u16::from_be_bytes(value.try_into().ok()?))
        };
        let icmp_id = number(CTA_PROTO_ICMP_ID).or_else(|| number(CTA_PROTO_ICMPV6_ID));
        let icmp = |of_v4, of_v6| byte(of_v4).or_else(|| byte(of_v6)).unwrap_or(0);
        let dst_port = match icmp_id {
            // As flows have it: type * 256 + code.
            Some(_) => u16::from_be_bytes([
                icmp(CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMPV6_TYPE),
                icmp(CTA_PROTO_ICMP_CODE, CTA_PROTO_ICMPV6_CODE),
            ]),
            None => number(CTA_PROTO_DST_PORT).unwrap_or(0),
        };
        Some(Self {
            proto: byte(CTA_PROTO_NUM)?,
            ends: Endpoints {
                src: A::read(Attributes::find(ip, A::SRC)?)?,
                dst: A::read(Attributes::find(ip, A::DST)?)?,
                src_port: icmp_id.or_else(|| number(CTA_PROTO_SRC_PORT)).unwrap_or(0),
                dst_port,
            },
            icmp_id,
        })
    }
}

/// Reads both tuples. `Some(None)` if they tell of no translation.
fn session<A: InTuple>(attributes: &[u8]) -> Option<Option<Session<A>>> {
    let tuple = |kind| Tuple::<A>::read(Attributes::find(attributes, kind)?);
    let (original, reply) = (tuple(CTA_TUPLE_ORIG)?, tuple(CTA_TUPLE_REPLY)?);
    let before = original.ends;
    let mut after = reply.ends.reversed();
    if let Some(id) = reply.icmp_id {
        // An answer has another type, but its identifier is that of what it answers.
        after.src_port = id;
        after.dst_port = before.dst_port;
    }
    let session = Session {
        proto: original.proto,
        before,
        after,
    };
    Some((before != after).then_some(session))
}

/// When it was, in milliseconds, if the kernel notes that (`nf_conntrack_timestamp`).
fn milliseconds(attributes: &[u8], change: SessionChange) -> Option<u64> {
    const NSEC_PER_MSEC: u64 = 1_000_000;

    // A connection that timed out has ended before its event.
    let ended = || {
        Attributes::find(
            Attributes::find(attributes, CTA_TIMESTAMP)?,
            CTA_TIMESTAMP_STOP,
        )
    };
    let stamp = match change {
        SessionChange::Created => None,
        SessionChange::Deleted => ended(),
    };
    let stamp = stamp.or_else(|| Attributes::find(attributes, CTA_TIMESTAMP_EVENT))?;
    Some(u64::from_be_bytes(stamp.try_into().ok()?) / NSEC_PER_MSEC)
}

/// Reads a message, which may be cut off behind the tuples. `None` if it is malformed.
pub(crate) fn read(message: &[u8]) -> Option<Notice> {
    let (header, rest) = message.split_first_chunk::<NLMSG_HEADER>()?;
    let &[_, _, _, _, low, high, ..] = header;
    let change = match u16::from_ne_bytes([low, high]) {
        CT_NEW => SessionChange::Created,
        CT_DELETE => SessionChange::Deleted,
        _ => return Some(Notice::Other),
    };
    let (&[family, ..], attributes) = rest.split_first_chunk::<NFGENMSG>()?;
    let session = match family {
        AF_INET => session(attributes)?.map(AnySession::V4),
        AF_INET6 => session(attributes)?.map(AnySession::V6),
        _ => return Some(Notice::Other),
    };
    Some(match session {
        Some(session) => Notice::Nat(NatEvent {
            change,
            milliseconds: milliseconds(attributes, change),
            session,
        }),
        None => Notice::Other,
    })
}

#[cfg(test)]
mod tests;

// SPDX-License-Identifier: GPL-2.0

//! What network address translation (NAT) makes of the addresses and ports of a connection.

use core::net::{
    Ipv4Addr,
    Ipv6Addr, //
};

use super::key::Address;

/// What is told of NAT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NatRecords {
    /// Flows have the addresses and ports with which their packets leave the host.
    pub(crate) flows: bool,
    /// The beginning and the end of each session.
    pub(crate) events: bool,
}

/// Where packets come from and go to; the ports are 0 where the protocol has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Endpoints<A> {
    pub(crate) src: A,
    pub(crate) dst: A,
    pub(crate) src_port: u16,
    pub(crate) dst_port: u16,
}

impl<A: Address> Endpoints<A> {
    /// Those of packets in the other direction.
    pub(crate) const fn reversed(self) -> Self {
        Self {
            src: self.dst,
            dst: self.src,
            src_port: self.dst_port,
            dst_port: self.src_port,
        }
    }
}

/// The same of any address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnyEndpoints {
    /// IPv4.
    V4(Endpoints<Ipv4Addr>),
    /// IPv6.
    V6(Endpoints<Ipv6Addr>),
}

/// A connection whose addresses or ports are translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Session<A> {
    /// Protocol number (IANA).
    pub(crate) proto: u8,
    /// Of the packets of its originator, as they come in.
    pub(crate) before: Endpoints<A>,
    /// Of these, as they go out.
    pub(crate) after: Endpoints<A>,
}

/// The same of any address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnySession {
    /// IPv4.
    V4(Session<Ipv4Addr>),
    /// IPv6.
    V6(Session<Ipv6Addr>),
}

/// What has become of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionChange {
    /// It has begun.
    Created,
    /// It has ended.
    Deleted,
}

/// That a session has begun or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NatEvent {
    pub(crate) change: SessionChange,
    /// When, in milliseconds since 1970; `None` if the kernel does not tell.
    pub(crate) milliseconds: Option<u64>,
    pub(crate) session: AnySession,
}

impl NatEvent {
    /// What memory that holds no event is filled with.
    pub(crate) const VACANT: Self = {
        const NOWHERE: Endpoints<Ipv4Addr> = Endpoints {
            src: Ipv4Addr::UNSPECIFIED,
            dst: Ipv4Addr::UNSPECIFIED,
            src_port: 0,
            dst_port: 0,
        };
        Self {
            change: SessionChange::Created,
            milliseconds: None,
            session: AnySession::V4(Session {
                proto: 0,
                before: NOWHERE,
                after: NOWHERE,
            }),
        }
    };
}

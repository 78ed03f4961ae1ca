// SPDX-License-Identifier: GPL-2.0

//! What conntrack says of the NAT of flows.
//!
//! It is asked when a flow is exported: so the packet path costs nothing more, nor does a flow take
//! more memory. A connection is still there by then if conntrack's timeout is longer than that of
//! the flow, for which reason all inactive flows are exported (`Config::policy`). A flow whose
//! connection is gone is exported without NAT, and counted.

use core::net::{
    Ipv4Addr,
    Ipv6Addr, //
};

use crate::{
    flow::{
        entry::AnyFlow,
        key::{
            Address,
            Key, //
        },
        nat::{
            AnyEndpoints,
            Endpoints, //
        },
    },
    linux::conntrack::{
        self,
        Conntrack,
        Ends, //
    },
};

/// The addresses and ports with which the packets of a flow leave this host. `None` if conntrack
/// does not know. ICMP's queries are known by an identifier, which is not of the flow.
pub(super) fn post_nat(conntrack: &Conntrack, flow: &AnyFlow) -> Option<AnyEndpoints> {
    Some(match flow {
        AnyFlow::V4(flow) => AnyEndpoints::V4(post_nat_of(conntrack, &flow.key)?),
        AnyFlow::V6(flow) => AnyEndpoints::V6(post_nat_of(conntrack, &flow.key)?),
    })
}

fn post_nat_of<A: Tracked>(conntrack: &Conntrack, key: &Key<A>) -> Option<Endpoints<A>> {
    if key.proto() == A::ICMP {
        return None;
    }
    let ends = conntrack.post_nat(Ends {
        src: key.src().to_octets(),
        dst: key.dst().to_octets(),
        sport: key.src_port().to_be(),
        dport: key.dst_port().to_be(),
        // CAST: A constant that fits.
        family: A::AF as u8,
        proto: key.proto(),
    })?;
    Some(Endpoints {
        src: A::from_octets(ends.src),
        dst: A::from_octets(ends.dst),
        src_port: u16::from_be(ends.sport),
        dst_port: u16::from_be(ends.dport),
    })
}

/// An address as conntrack has it.
trait Tracked: Address {
    const AF: u32;

    fn to_octets(self) -> [u8; 16];
    fn from_octets(octets: [u8; 16]) -> Self;
}

impl Tracked for Ipv4Addr {
    const AF: u32 = conntrack::AF_INET;

    fn to_octets(self) -> [u8; 16] {
        let [a, b, c, d] = self.octets();
        [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    }

    fn from_octets([a, b, c, d, ..]: [u8; 16]) -> Self {
        [a, b, c, d].into()
    }
}

impl Tracked for Ipv6Addr {
    const AF: u32 = conntrack::AF_INET6;

    fn to_octets(self) -> [u8; 16] {
        self.octets()
    }

    fn from_octets(octets: [u8; 16]) -> Self {
        octets.into()
    }
}

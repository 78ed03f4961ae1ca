// SPDX-License-Identifier: GPL-2.0

//! Routes: what the forwarding information base (FIB) says of the two ends of a flow.
//!
//! C header: [`include/net/ip_fib.h`](srctree/include/net/ip_fib.h)

use core::net::Ipv4Addr;

use super::{
    netns::Netns,
    packet::Packet, //
};
use crate::{
    bindings,
    flow::{
        key::Key,
        parse::{
            IPPROTO_TCP,
            IPPROTO_UDP, //
        },
        record::Route, //
    },
};

/// Index of the loopback interface in each namespace (`LOOPBACK_IFINDEX`).
const LOOPBACK: u32 = 1;

/// Looks up the route of a packet, the way the kernel will: by its addresses, ToS, mark, input
/// interface, VRF and ports, as the rules of policy routing ask for them. Any context.
///
/// Before the kernel has routed the packet, output interface and next hop are those of a unicast route
/// to the destination; packets that stay here, or go nowhere, have none. Where several next hops
/// share the load (ECMP), it is one of them. Later, they are what the kernel has found.
///
/// The source mask is of the route back to the source, without mark: as the reverse-path filter finds it
/// unless told otherwise.
pub(crate) fn route(netns: Netns, packet: &Packet<'_>, key: &Key<Ipv4Addr>) -> Route<Ipv4Addr> {
    let mut route = Route::NONE;
    let ports = match key.proto() {
        IPPROTO_TCP | IPPROTO_UDP => (key.src_port(), key.dst_port()),
        _ => (0, 0),
    };
    let forward = bindings::flow_query {
        saddr: to_be32(key.src()),
        daddr: to_be32(key.dst()),
        iif: match packet.input() {
            0 => LOOPBACK,
            input => input,
        },
        l3mdev: packet.l3mdev(),
        mark: packet.mark(),
        tos: key.tos(),
        proto: key.proto(),
        sport: ports.0.to_be(),
        dport: ports.1.to_be(),
    };
    // The kernel does not ask the FIB about these two: a default route would do for both.
    if !key.dst().is_multicast() && !key.dst().is_broadcast() {
        if let Some(found) = lookup(netns, packet, &forward) {
            route.dst_mask = found.prefixlen;
            if u32::from(found.type_) == bindings::RTN_UNICAST {
                route.output = found.oif;
                route.next_hop = Ipv4Addr::from(found.gateway.to_ne_bytes());
            }
        }
    }
    if packet.output() != 0 {
        route.output = packet.output();
        route.next_hop = packet.gateway();
    }
    let reverse = bindings::flow_query {
        saddr: forward.daddr,
        daddr: forward.saddr,
        iif: LOOPBACK,
        mark: 0,
        sport: forward.dport,
        dport: forward.sport,
        ..forward
    };
    if let Some(found) = lookup(netns, packet, &reverse) {
        route.src_mask = found.prefixlen;
    }
    route
}

/// Asks the FIB. That there is a packet proves that the RCU read lock is held, which the lookup needs.
fn lookup(
    netns: Netns,
    _packet: &Packet<'_>,
    query: &bindings::flow_query,
) -> Option<bindings::fib_route> {
    let mut route = bindings::fib_route::default();
    // SAFETY: The namespace is valid by the invariant of `Netns`, the RCU read lock is held by that of
    // `Packet`, the other two are ours.
    let err = unsafe { bindings::netflow_fib_lookup(netns.as_ptr(), query, &mut route) };
    (err == 0).then_some(route)
}

/// The address in network byte order, as it lies in memory.
fn to_be32(address: Ipv4Addr) -> bindings::__be32 {
    u32::from_ne_bytes(address.octets())
}

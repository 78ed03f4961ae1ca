// SPDX-License-Identifier: GPL-2.0

//! Routes: what the forwarding information base (FIB) says of the two ends of a flow.
//!
//! C header: [`include/net/ip_fib.h`](srctree/include/net/ip_fib.h)

use core::{
    net::Ipv4Addr,
    ptr, //
};

use super::netns::Netns;
use crate::{
    bindings,
    flow::{
        entry::Route, //
        key::Key,
        parse::{
            IPPROTO_TCP,
            IPPROTO_UDP, //
        },
    },
};

/// Index of the loopback interface in each namespace (`LOOPBACK_IFINDEX`).
const LOOPBACK: u32 = 1;

/// What the FIB is asked with, beside the key of a flow.
#[derive(Clone, Copy)]
pub(crate) struct RouteQuery {
    /// Index of the interface that the packet came in by, 0 if it comes from here.
    pub(crate) input: u32,
    /// Its mark (fwmark).
    pub(crate) mark: u32,
}

/// What the kernel has found there.
#[derive(Clone, Copy)]
pub(crate) struct RoutedTo {
    /// Index of the interface that the packet goes out by.
    pub(crate) output: u32,
    /// Index of the one whose VRF it was routed in.
    pub(crate) device: u32,
    /// Gateway, unspecified if there is none.
    pub(crate) gateway: Ipv4Addr,
}

/// Looks up the route of a packet, the way the kernel will: by its addresses, ToS, mark, input
/// interface, VRF and ports, as the rules of policy routing ask for them. Any context.
///
/// Before the kernel has routed the packet, output interface and next hop are those of a unicast route
/// to the destination; packets that stay here, or go nowhere, have none. Where several next hops
/// share the load (ECMP), it is one of them. Later, they are what the kernel has `found`.
///
/// The source mask is of the route reverse to the source, without mark: as the reverse-path filter finds it
/// unless told otherwise.
pub(crate) fn route(
    netns: Netns,
    path: &RouteQuery,
    found: Option<RoutedTo>,
    key: &Key<Ipv4Addr>,
) -> Route<Ipv4Addr> {
    let ports = match key.proto() {
        IPPROTO_TCP | IPPROTO_UDP => (key.src_port(), key.dst_port()),
        _ => (0, 0),
    };
    let query = bindings::flow_query {
        saddr: to_be32(key.src()),
        daddr: to_be32(key.dst()),
        iif: match path.input {
            0 => LOOPBACK,
            input => input,
        },
        mark: path.mark,
        dev: found.map_or(path.input, |found| found.device),
        tos: key.tos(),
        proto: key.proto(),
        sport: ports.0.to_be(),
        dport: ports.1.to_be(),
    };
    let (mut forward, mut reverse) = <(bindings::fib_route, bindings::fib_route)>::default();
    // The kernel does not ask the FIB about these two: a default route would do for both.
    let asks = !key.dst().is_multicast() && !key.dst().is_broadcast();
    let to = if asks {
        &raw mut forward
    } else {
        ptr::null_mut()
    };
    // SAFETY: The namespace is valid by the invariant of `Netns`; the others are ours, or null where that is
    // allowed.
    unsafe { bindings::netflow_fib_routes(netns.as_ptr(), &query, to, &mut reverse) };
    let is_unicast = u32::from(forward.type_) == bindings::RTN_UNICAST;
    let (output, next_hop) = match found {
        Some(found) => (found.output, found.gateway),
        None if is_unicast => (forward.oif, Ipv4Addr::from(forward.gateway.to_ne_bytes())),
        None => (0, Ipv4Addr::UNSPECIFIED),
    };
    Route {
        next_hop,
        output,
        src_mask: reverse.prefixlen,
        dst_mask: forward.prefixlen,
    }
}

/// The address in network byte order, as it lies in memory.
fn to_be32(address: Ipv4Addr) -> bindings::__be32 {
    u32::from_ne_bytes(address.octets())
}

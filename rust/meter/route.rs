// SPDX-License-Identifier: GPL-2.0

//! Where a flow comes from and goes to: output interface, next hop and prefix lengths.

use super::family::Family;
use crate::{
    flow::{
        entry::Route,
        key::Key, //
    },
    linux::{
        netns::Netns,
        skb::Packet, //
    },
};

/// What of a packet the FIB is asked with, beside the key of its flow.
#[derive(Clone, Copy)]
pub(crate) struct RouteQuery {
    /// Index of the interface that the packet came in by, 0 if this host sends it.
    pub(crate) input: u32,
    /// Its mark (fwmark).
    pub(crate) mark: u32,
}

impl RouteQuery {
    #[inline(always)]
    pub(crate) fn of(packet: &Packet<'_>) -> Self {
        Self {
            input: packet.input(),
            mark: packet.mark(),
        }
    }
}

/// What the kernel has found in the FIB for a packet.
#[derive(Clone, Copy)]
pub(crate) struct RoutedTo<A> {
    /// Index of the interface that it goes out by.
    output: u32,
    /// Index of the device in whose VRF it was routed.
    vrf_device: u32,
    /// Gateway, unspecified if there is none.
    gateway: A,
}

impl<A: Family> RoutedTo<A> {
    /// `None` if the kernel has not decided yet, as at PREROUTING, or keeps the packet here.
    pub(crate) fn of(packet: &Packet<'_>) -> Option<Self> {
        match packet.output() {
            0 => None,
            output => Some(Self {
                output,
                vrf_device: packet.vrf_device(),
                gateway: A::gateway(packet),
            }),
        }
    }
}

/// What the FIB says of a flow.
pub(crate) struct FibRoutes<A> {
    /// All of it, as if the forward route was a unicast one.
    pub(crate) forward: Route<A>,
    /// Whether it is.
    pub(crate) is_unicast: bool,
}

/// Looks up the routes of a flow, the way the kernel will: by the addresses, ToS, mark, input
/// interface, VRF and ports of the packet, as the rules of policy routing ask for them. Any
/// context.
///
/// Before the kernel has routed the packet, output interface and next hop are those of a unicast
/// route to the destination; packets that stay here, or go nowhere, have none. Where several next
/// hops share the load (ECMP), it is one of them. Later, they are what the packet was `routed_to`.
///
/// The source mask is of the reverse route, without mark: as the reverse-path filter finds it
/// unless told otherwise.
pub(crate) fn look_up<A: Family>(
    netns: &Netns,
    query: &RouteQuery,
    routed_to: Option<RoutedTo<A>>,
    key: &Key<A>,
    label: A::Label,
) -> Route<A> {
    let l3mdev_of = routed_to.map_or(query.input, |routed| routed.vrf_device);
    let routes = A::fib_routes(netns, key, label, query, l3mdev_of);
    let (output, next_hop) = match routed_to {
        Some(routed) => (routed.output, routed.gateway),
        None if routes.is_unicast => (routes.forward.output, routes.forward.next_hop),
        None => (0, A::UNSPECIFIED),
    };
    Route {
        next_hop,
        output,
        ..routes.forward
    }
}

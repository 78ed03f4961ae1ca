// SPDX-License-Identifier: GPL-2.0

//! What differs between the address families.

use core::{
    mem::MaybeUninit,
    net::{
        Ipv4Addr,
        Ipv6Addr,
        SocketAddrV4,
        SocketAddrV6, //
    },
};

use super::{
    datapath::Datapath,
    route::{
        FibRoutes,
        RouteQuery, //
    },
    Meter, //
};
use crate::{
    cache::Cache,
    export::own::OwnDatagrams,
    flow::{
        entry::{
            AnyFlow,
            Counts,
            Flow,
            Route, //
        },
        key::{
            Address,
            FlowLabel,
            Key, //
        },
        parse::{
            self,
            ipv4,
            ipv6,
            Frame,
            Gso,
            Unaccountable, //
        },
    },
    linux::{
        cpuhp,
        fib,
        fib6,
        netfilter::Protocol,
        netns::Netns,
        skb::Packet, //
    },
};

/// An address family.
pub(crate) trait Family: Address {
    /// That of its hooks.
    const PROTOCOL: Protocol;

    /// Its state of CPU hotplug; always the same.
    fn cpuhp_state() -> &'static cpuhp::State<Datapath<Self>>;

    /// Its cache.
    fn cache(meter: &Meter) -> &Cache<Self>;

    /// A flow of it among those of all families.
    fn any(flow: Flow<Self>) -> AnyFlow;

    /// Fast path: returns what [`Self::parse`] would for common packets, `None` for others. Not for
    /// aggregates.
    fn parse_plain(packet: &Packet<'_>, input: u32) -> Option<(Key<Self>, Counts)>;

    /// What a flow keeps of a packet that begins it, beside the key.
    fn label(packet: &Packet<'_>) -> Self::Label;

    /// Reads key and counts of any packet.
    fn parse(packet: &Packet<'_>, input: u32) -> Result<(Key<Self>, Counts), Unaccountable>;

    /// Gateway of the route that the kernel has found for a packet, unspecified if there is none.
    fn gateway(packet: &Packet<'_>) -> Self;

    /// Asks the FIB for the routes of a flow, in the VRF of the device `l3mdev_of`. The reverse one
    /// is asked for as if it was sent from here, and without mark. Any context.
    fn fib_routes(
        netns: &Netns,
        key: &Key<Self>,
        label: Self::Label,
        query: &RouteQuery,
        l3mdev_of: u32,
    ) -> FibRoutes<Self>;

    /// Whether a UDP datagram that was sent here is one of the exporter.
    fn is_own(own: &OwnDatagrams, key: &Key<Self>) -> bool;

    /// Whether an ICMP message answers a datagram of the exporter, as when the port of a Collector
    /// is closed. One that goes on to another host answers another exporter.
    fn answers_own(own: &OwnDatagrams, packet: &Packet<'_>, key: &Key<Self>) -> bool;
}

static CPUHP_IPV4: cpuhp::State<Datapath<Ipv4Addr>> = cpuhp::State::new();

impl Family for Ipv4Addr {
    const PROTOCOL: Protocol = Protocol::Ipv4;

    fn cpuhp_state() -> &'static cpuhp::State<Datapath<Self>> {
        &CPUHP_IPV4
    }

    #[inline(always)]
    fn cache(meter: &Meter) -> &Cache<Self> {
        &meter.ipv4
    }

    fn any(flow: Flow<Self>) -> AnyFlow {
        AnyFlow::V4(flow)
    }

    #[inline(always)]
    fn label(_packet: &Packet<'_>) {}

    #[inline(always)]
    fn parse_plain(packet: &Packet<'_>, input: u32) -> Option<(Key<Self>, Counts)> {
        ipv4::plain(packet.prefix()?, packet.len(), input)
    }

    fn parse(packet: &Packet<'_>, input: u32) -> Result<(Key<Self>, Counts), Unaccountable> {
        let mut buffer = MaybeUninit::uninit();
        ipv4::parse(&Frame {
            headers: packet.headers::<{ ipv4::HEADERS_MAX }>(&mut buffer),
            len: packet.len(),
            input,
            gso: gso(packet),
        })
    }

    fn gateway(packet: &Packet<'_>) -> Self {
        packet.gateway4()
    }

    #[inline(always)]
    fn fib_routes(
        netns: &Netns,
        key: &Key<Self>,
        (): (),
        query: &RouteQuery,
        l3mdev_of: u32,
    ) -> FibRoutes<Self> {
        let (sport, dport) = match parse::has_ports(key.proto()) {
            true => (key.src_port().to_be(), key.dst_port().to_be()),
            false => (0, 0),
        };
        let (saddr, daddr) = (fib::to_be32(key.src()), fib::to_be32(key.dst()));
        let reverse = fib::Query {
            saddr: daddr,
            daddr: saddr,
            iif: fib::LOOPBACK_IFINDEX,
            mark: 0,
            tos: key.tos(),
            proto: key.proto(),
            sport: dport,
            dport: sport,
        };
        let forward = fib::Query {
            saddr,
            daddr,
            iif: match query.input {
                0 => fib::LOOPBACK_IFINDEX,
                input => input,
            },
            mark: query.mark,
            sport,
            dport,
            ..reverse
        };
        let queries = [reverse, forward];
        // The kernel does not ask the FIB about these two: a default route would match both.
        let asks_forward = !key.dst().is_multicast() && !key.dst().is_broadcast();
        let asked = if asks_forward { 2 } else { 1 };
        let mut routes = [fib::Route::NONE; 2];
        fib::lookup(
            netns,
            l3mdev_of,
            queries.get(..asked).unwrap_or_default(),
            &mut routes,
        );
        let [reverse, forward] = routes;
        FibRoutes {
            forward: Route {
                next_hop: forward.gateway4(),
                output: forward.oif,
                src_mask: reverse.prefixlen,
                dst_mask: forward.prefixlen,
            },
            is_unicast: forward.is_unicast(),
        }
    }

    fn is_own(own: &OwnDatagrams, key: &Key<Self>) -> bool {
        let to = SocketAddrV4::new(key.dst(), key.dst_port());
        own.contains(to.into(), key.src_port())
    }

    fn answers_own(own: &OwnDatagrams, packet: &Packet<'_>, key: &Key<Self>) -> bool {
        let mut buffer = MaybeUninit::uninit();
        let quoted = ipv4::quoted_datagram(packet.headers::<{ ipv4::QUOTE_MAX }>(&mut buffer));
        quoted.is_some_and(|(to, source_port)| own.contains(to.into(), source_port))
            && packet.is_host_address4(key.dst())
    }
}

static CPUHP_IPV6: cpuhp::State<Datapath<Ipv6Addr>> = cpuhp::State::new();

impl Family for Ipv6Addr {
    const PROTOCOL: Protocol = Protocol::Ipv6;

    fn cpuhp_state() -> &'static cpuhp::State<Datapath<Self>> {
        &CPUHP_IPV6
    }

    #[inline(always)]
    fn cache(meter: &Meter) -> &Cache<Self> {
        &meter.ipv6
    }

    fn any(flow: Flow<Self>) -> AnyFlow {
        AnyFlow::V6(flow)
    }

    #[inline(always)]
    fn label(packet: &Packet<'_>) -> FlowLabel {
        let mut buffer = MaybeUninit::uninit();
        let first = packet.headers::<4>(&mut buffer).first_chunk();
        FlowLabel::from_bits(first.map_or(0, |first| u32::from_be_bytes(*first)))
    }

    #[inline(always)]
    fn parse_plain(packet: &Packet<'_>, input: u32) -> Option<(Key<Self>, Counts)> {
        ipv6::plain(packet.prefix()?, packet.len(), input)
    }

    fn parse(packet: &Packet<'_>, input: u32) -> Result<(Key<Self>, Counts), Unaccountable> {
        let mut buffer = MaybeUninit::uninit();
        ipv6::parse(&Frame {
            headers: packet.headers::<{ ipv6::HEADERS_MAX }>(&mut buffer),
            len: packet.len(),
            input,
            gso: gso(packet),
        })
    }

    fn gateway(packet: &Packet<'_>) -> Self {
        packet.gateway6()
    }

    /// The kernel prefers routes that lead back by the device that a packet came in by, and knows
    /// link-local addresses by their device alone.
    fn fib_routes(
        netns: &Netns,
        key: &Key<Self>,
        label: FlowLabel,
        query: &RouteQuery,
        l3mdev_of: u32,
    ) -> FibRoutes<Self> {
        let (sport, dport) = match parse::has_ports(key.proto()) {
            true => (key.src_port().to_be(), key.dst_port().to_be()),
            false => (0, 0),
        };
        let (iif, device) = match query.input {
            0 => (fib::LOOPBACK_IFINDEX, l3mdev_of),
            input => (input, input),
        };
        let reverse = fib6::Query {
            saddr: key.dst().octets(),
            daddr: key.src().octets(),
            iif: fib::LOOPBACK_IFINDEX,
            oif: match key.src().is_unicast_link_local() {
                true => device,
                false => 0,
            },
            mark: 0,
            flowinfo: (u32::from(key.tos()) << 20) | label.bits(),
            proto: key.proto(),
            sport: dport,
            dport: sport,
        };
        let forward = fib6::Query {
            saddr: key.src().octets(),
            daddr: key.dst().octets(),
            iif,
            oif: device,
            mark: query.mark,
            sport,
            dport,
            ..reverse
        };
        let queries = [reverse, forward];
        // Groups have routes, but those say where this host sends to.
        let asked = if key.dst().is_multicast() { 1 } else { 2 };
        let mut routes = [fib6::Route::NONE; 2];
        fib6::lookup(
            netns,
            l3mdev_of,
            queries.get(..asked).unwrap_or_default(),
            &mut routes,
        );
        let [reverse, forward] = routes;
        FibRoutes {
            forward: Route {
                next_hop: forward.gateway.into(),
                output: forward.oif,
                src_mask: reverse.prefixlen,
                dst_mask: forward.prefixlen,
            },
            is_unicast: forward.is_unicast(),
        }
    }

    fn is_own(own: &OwnDatagrams, key: &Key<Self>) -> bool {
        let to = SocketAddrV6::new(key.dst(), key.dst_port(), 0, 0);
        own.contains(to.into(), key.src_port())
    }

    fn answers_own(own: &OwnDatagrams, packet: &Packet<'_>, key: &Key<Self>) -> bool {
        let mut buffer = MaybeUninit::uninit();
        let quoted = ipv6::quoted_datagram(packet.headers::<{ ipv6::QUOTE_MAX }>(&mut buffer));
        quoted.is_some_and(|(to, source_port)| own.contains(to.into(), source_port))
            && packet.is_host_address6(key.dst())
    }
}

/// How many packets of the wire a packet stands for, and how large they are, if it does.
fn gso(packet: &Packet<'_>) -> Option<Gso> {
    match packet.gso_size() {
        0 => None,
        size => Some(Gso {
            size,
            segs: packet.gso_segs(),
            headers: packet.gso_tunnel_headers(),
        }),
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Observation points are netfilter's hooks: which one is which, and what is known of a packet at
//! each.
//!
//! [`ObservationPoint`] and [`Hook`] are the same five: `flow` knows nothing of the kernel, and
//! `linux` nothing of flows, so each has its own and they meet here. Some of what is known is
//! decided in C (`rust/helpers/helpers.c`): whether a packet is leaked, looped or a group copy, and
//! its input interface.

use core::net::{
    Ipv4Addr,
    Ipv6Addr, //
};

use kernel::{
    prelude::*,
    sync::Arc, //
};

use super::{
    batch::Pending,
    datapath::{
        Datapath,
        Datapaths, //
    },
    family::Family,
    Meter, //
};
use crate::{
    flow::observe::{
        HookFacts,
        ObservationPoint,
        ObservationPoints, //
    },
    linux::{
        cpuhp,
        netfilter::{
            Hook,
            Hooks,
            Priority,
            PRI_FIRST,
            PRI_LAST, //
        },
        netns::Netns,
        skb::Packet, //
    },
};

/// The hook of an observation point.
#[inline(always)]
pub(super) const fn hook(point: ObservationPoint) -> Hook {
    match point {
        ObservationPoint::Prerouting => Hook::PreRouting,
        ObservationPoint::Input => Hook::LocalIn,
        ObservationPoint::Forward => Hook::Forward,
        ObservationPoint::Output => Hook::LocalOut,
        ObservationPoint::Postrouting => Hook::PostRouting,
    }
}

/// The observation point of a hook.
#[inline(always)]
pub(super) const fn observation_point(hook: Hook) -> ObservationPoint {
    match hook {
        Hook::PreRouting => ObservationPoint::Prerouting,
        Hook::LocalIn => ObservationPoint::Input,
        Hook::Forward => ObservationPoint::Forward,
        Hook::LocalOut => ObservationPoint::Output,
        Hook::PostRouting => ObservationPoint::Postrouting,
    }
}

/// At PREROUTING before everything that drops, changes or reassembles packets, but after the hook
/// function with which a bridge keeps most packets from passing twice. At the others after filters
/// and NAT: seen is what they let pass, with the addresses of the wire.
const fn priority(point: ObservationPoint) -> Priority {
    match point {
        ObservationPoint::Prerouting => PRI_FIRST.saturating_add(1),
        _ => PRI_LAST,
    }
}

/// What is known of how a packet came to its hook.
#[inline(always)]
pub(super) fn facts(packet: &Packet<'_>) -> HookFacts {
    let facts = HookFacts {
        from_l3_slave: packet.is_l3_slave(),
        output_route: packet.has_output_route(),
        forwarded: packet.is_forwarded(),
        past_input: packet.is_past_local_in(),
        bridged: packet.is_bridged(),
        ..HookFacts::default()
    };
    match packet.hook() {
        Hook::LocalIn => facts,
        Hook::PreRouting | Hook::Forward if !facts.bridged => facts,
        _ => more_facts(packet, facts),
    }
}

/// Adds what is known only of packets that go out, or were bridged.
fn more_facts(packet: &Packet<'_>, facts: HookFacts) -> HookFacts {
    let more = packet.facts();
    HookFacts {
        in_bridge: more.in_bridge,
        ipvs: more.ipvs,
        to_l3_master: more.to_l3_master,
        to_here: more.to_here,
        to_group: more.to_group,
        group_copy: more.group_copy,
        through_vrf: more.through_vrf,
        past_ip_rcv: more.past_ip_rcv,
        through_xfrm_device: more.through_xfrm_device,
        copied: more.in_nf_duplicate,
        ..facts
    }
}

/// Index of the interface that a packet came in by, 0 if this host sends it.
pub(super) fn input(packet: &Packet<'_>, is_local: bool) -> u32 {
    match packet.hook() {
        // The kernel names an interface for some packets that it sends.
        Hook::LocalOut | Hook::PostRouting if is_local => 0,
        // What was leaked into a VRF is said to come in by that VRF.
        Hook::PostRouting if !packet.is_l3_slave() => packet.skb_iif(),
        _ => packet.input(),
    }
}

/// Observes the packets of an address family. Dropping it removes the hook functions and accounts
/// all packets still in batches. Process context.
///
/// The order of the fields is the order in which things stop.
struct Observation<A: Family> {
    hooks: Hooks<Datapath<A>>,
    _cpu_dead: cpuhp::Instance<Datapath<A>>,
    datapath: Arc<Datapath<A>>,
}

impl<A: Family> Observation<A> {
    /// At no point yet. Process context.
    fn new(netns: Netns, datapath: Arc<Datapath<A>>) -> Result<Self> {
        Ok(Self {
            hooks: Hooks::new(netns, datapath.clone()),
            _cpu_dead: cpuhp::Instance::new(A::cpuhp_state(), datapath.clone())?,
            datapath,
        })
    }

    /// Observes packets at further points. Process context. On an error it may be some of them.
    /// Those that are not to be observed any more stay until the end: their hook functions find
    /// that they are not among the chosen ones.
    fn add(&mut self, points: ObservationPoints) -> Result {
        ObservationPoint::ALL
            .into_iter()
            .filter(|point| points.has(*point))
            .try_for_each(|point| self.hooks.add(hook(point), priority(point)))
    }

    /// Observes no packets any more, but for those that are in a hook function now: they are
    /// accounted when this is dropped. Does not wait. Process context.
    fn unregister(&mut self) {
        self.hooks.unregister();
    }

    /// What tells when the packets are accounted that have come so far.
    fn pending(&self) -> Arc<Pending> {
        self.datapath.pending()
    }
}

/// Observes the packets of all address families that are accounted. See [`Observation`].
pub(crate) struct Observations {
    ipv4: Option<Observation<Ipv4Addr>>,
    ipv6: Option<Observation<Ipv6Addr>>,
}

impl Observations {
    /// At no point yet, of packets that are routed in `netns`. Process context.
    pub(crate) fn new(netns: &Netns, meter: &Meter, datapaths: Datapaths) -> Result<Self> {
        meter.set_netns(netns.clone());
        let Datapaths { ipv4, ipv6 } = datapaths;
        let ipv4 = ipv4.map(|datapath| Observation::new(netns.clone(), datapath));
        let ipv6 = ipv6.map(|datapath| Observation::new(netns.clone(), datapath));
        Ok(Self {
            ipv4: ipv4.transpose()?,
            ipv6: ipv6.transpose()?,
        })
    }

    /// See [`Observation::add`].
    pub(crate) fn add(&mut self, points: ObservationPoints) -> Result {
        if let Some(ipv4) = &mut self.ipv4 {
            ipv4.add(points)?;
        }
        match &mut self.ipv6 {
            Some(ipv6) => ipv6.add(points),
            None => Ok(()),
        }
    }

    /// See [`Observation::unregister`].
    pub(crate) fn unregister(&mut self) {
        if let Some(ipv4) = &mut self.ipv4 {
            ipv4.unregister();
        }
        if let Some(ipv6) = &mut self.ipv6 {
            ipv6.unregister();
        }
    }

    /// What tells when the packets are accounted that have come so far.
    pub(crate) fn pending(&self) -> [Option<Arc<Pending>>; 2] {
        [
            self.ipv4.as_ref().map(Observation::pending),
            self.ipv6.as_ref().map(Observation::pending),
        ]
    }
}

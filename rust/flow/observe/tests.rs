// SPDX-License-Identifier: GPL-2.0

use super::{
    ObservationPoint::*,
    *, //
};

const NONE: HookFacts = HookFacts {
    from_l3_slave: false,
    looped: false,
    routed: false,
    bridged: false,
    in_bridge: false,
    ipvs: false,
    to_l3_master: false,
    to_here: false,
    group_copy: false,
    leaked: false,
};

/// The ways of packets through netfilter: each point that they pass, and what is known there.
/// How the kernel goes is told where the facts differ from the plain ones.
fn ways() -> Vec<(&'static str, Vec<(ObservationPoint, HookFacts)>)> {
    let looped = HookFacts {
        looped: true,
        ..NONE
    };
    let routed = HookFacts {
        routed: true,
        ..NONE
    };
    let slave = HookFacts {
        from_l3_slave: true,
        ..NONE
    };
    let bridged = HookFacts {
        bridged: true,
        ..NONE
    };
    let in_bridge = HookFacts {
        bridged: true,
        in_bridge: true,
        ..NONE
    };
    let ipvs = HookFacts { ipvs: true, ..NONE };
    let master = HookFacts {
        to_l3_master: true,
        ..NONE
    };
    let here = HookFacts {
        to_here: true,
        ..NONE
    };
    let vrf_here = HookFacts {
        to_l3_master: true,
        to_here: true,
        ..NONE
    };
    let copy = HookFacts {
        group_copy: true,
        ..NONE
    };
    let routed_to_master = HookFacts {
        routed: true,
        ..master
    };
    let leaked = HookFacts {
        leaked: true,
        ..NONE
    };
    let leaked_on = HookFacts {
        leaked: true,
        ..master
    };
    let bridged_leaked = HookFacts {
        leaked: true,
        ..bridged
    };
    let ipvs_leaked = HookFacts {
        leaked: true,
        ..ipvs
    };
    vec![
        ("received", vec![(Prerouting, NONE), (Input, NONE)]),
        (
            "routed",
            vec![(Prerouting, NONE), (Forward, NONE), (Postrouting, routed)],
        ),
        ("sent", vec![(Output, NONE), (Postrouting, NONE)]),
        (
            "sent to itself",
            vec![
                (Output, here),
                (Postrouting, here),
                (Prerouting, looped),
                (Input, looped),
            ],
        ),
        // vrf_ip_rcv() runs PRE_ROUTING again.
        (
            "received in a VRF",
            vec![(Prerouting, NONE), (Prerouting, slave), (Input, slave)],
        ),
        // vrf_ip_out() runs both for its own device, then IP does for the slave.
        (
            "sent in a VRF",
            vec![
                (Output, master),
                (Postrouting, master),
                (Output, NONE),
                (Postrouting, NONE),
            ],
        ),
        (
            "sent to itself in a VRF",
            vec![
                (Output, vrf_here),
                (Postrouting, vrf_here),
                (Prerouting, looped),
                (Input, looped),
            ],
        ),
        // vrf_xmit() runs LOCAL_OUT and POST_ROUTING for what was routed to its device.
        (
            "leaked into a VRF",
            vec![
                (Prerouting, NONE),
                (Forward, NONE),
                (Postrouting, routed_to_master),
                (Output, leaked),
                (Postrouting, leaked),
            ],
        ),
        (
            "leaked from a VRF into another, and from there on",
            vec![
                (Prerouting, NONE),
                (Prerouting, slave),
                (Forward, slave),
                (Postrouting, routed_to_master),
                (Output, leaked_on),
                (Postrouting, leaked_on),
                (Output, leaked),
                (Postrouting, leaked),
            ],
        ),
        (
            "received by a bridge and leaked",
            vec![
                (Prerouting, in_bridge),
                (Forward, bridged),
                (Postrouting, routed_to_master),
                (Output, bridged_leaked),
                (Postrouting, bridged_leaked),
            ],
        ),
        (
            "through IPVS into a VRF",
            vec![
                (Prerouting, NONE),
                (
                    Output,
                    HookFacts {
                        to_l3_master: true,
                        ..ipvs
                    },
                ),
                (Output, ipvs_leaked),
                (Postrouting, ipvs_leaked),
            ],
        ),
        // br_netfilter runs PRE_ROUTING, FORWARD and POST_ROUTING for what is bridged.
        (
            "bridged",
            vec![
                (Prerouting, in_bridge),
                (Forward, bridged),
                (Postrouting, bridged),
            ],
        ),
        // ip_sabotage_in() does not stop the second pass if the bridge is in a VRF.
        (
            "received by a bridge in a VRF",
            vec![
                (Prerouting, in_bridge),
                (Prerouting, bridged),
                (Prerouting, slave),
                (Input, slave),
            ],
        ),
        // IPVS takes it at INPUT or before, and sends it by LOCAL_OUT.
        (
            "through IPVS",
            vec![(Prerouting, NONE), (Output, ipvs), (Postrouting, ipvs)],
        ),
        // ip_mc_output() runs POST_ROUTING for the copy first.
        (
            "sent to a group",
            vec![
                (Output, NONE),
                (Postrouting, copy),
                (Postrouting, NONE),
                (Prerouting, looped),
                (Input, looped),
            ],
        ),
    ]
}

#[test]
fn once_for_any_combination() {
    for bits in 0..32 {
        let points = ObservationPoints::from_bits(bits);
        for (name, way) in ways() {
            let passes = way.iter().any(|&(point, _)| points.has(point));
            let here = |&&(point, facts): &&(ObservationPoint, HookFacts)| {
                Traversal::of(point, &facts).counts(point, points)
            };
            let counted = way.iter().filter(here).count();
            assert_eq!(counted, usize::from(passes), "{bits:#b} {name}");
        }
    }
}

#[test]
fn only_what_this_host_sends_is_local() {
    let local = |point, facts| Traversal::of(point, &facts).is_local(point);
    assert!(!local(Prerouting, NONE) && !local(Input, NONE) && !local(Forward, NONE));
    assert!(local(Output, NONE) && local(Postrouting, NONE));
    assert!(local(
        Prerouting,
        HookFacts {
            looped: true,
            ..NONE
        }
    ));
    for facts in [
        HookFacts {
            routed: true,
            ..NONE
        },
        HookFacts {
            leaked: true,
            ..NONE
        },
    ] {
        assert!(!local(Postrouting, facts));
    }
}

#[test]
fn bits_are_those_of_the_interface() {
    // enum netflow_observe in uapi/linux/netflow.h.
    for (point, bit) in ObservationPoint::ALL.into_iter().zip([1, 2, 4, 8, 16]) {
        assert_eq!(point.bit(), bit);
    }
    assert_eq!(ObservationPoints::from_bits(u32::MAX).bits(), 31);
}

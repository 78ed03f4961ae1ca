// SPDX-License-Identifier: GPL-2.0

use super::{
    ObservationPoint::*,
    *, //
};

/// What is known of every packet that IP has received, and of none else.
const RECEIVED: HookFacts = HookFacts {
    past_ip_rcv: true,
    ..NONE
};
/// What is known of what this host sends.
const SENT: HookFacts = HookFacts {
    output_route: true,
    past_ip_rcv: true,
    ..NONE
};
const NONE: HookFacts = HookFacts {
    from_l3_slave: false,
    output_route: false,
    forwarded: false,
    past_input: false,
    bridged: false,
    in_bridge: false,
    ipvs: false,
    to_l3_master: false,
    to_here: false,
    to_group: false,
    group_copy: false,
    through_vrf: false,
    past_ip_rcv: false,
    through_xfrm_device: false,
    copied: false,
};

/// The paths of packets through netfilter: each point that they pass, and what is known there.
/// How the kernel goes is told where the facts differ from the plain ones.
fn paths() -> Vec<(&'static str, Vec<(ObservationPoint, HookFacts)>)> {
    let forwarded = HookFacts {
        forwarded: true,
        ..RECEIVED
    };
    let sent_on = HookFacts {
        past_input: true,
        ..forwarded
    };
    let forwarded_to_group = HookFacts {
        output_route: true,
        to_group: true,
        ..forwarded
    };
    let slave = HookFacts {
        from_l3_slave: true,
        ..RECEIVED
    };
    let bridged = HookFacts {
        bridged: true,
        ..RECEIVED
    };
    let in_bridge = HookFacts {
        in_bridge: true,
        ..bridged
    };
    let ipvs = HookFacts { ipvs: true, ..SENT };
    let ipvs_answer = HookFacts {
        forwarded: true,
        ..ipvs
    };
    let master = HookFacts {
        to_l3_master: true,
        ..SENT
    };
    let here = HookFacts {
        to_here: true,
        ..SENT
    };
    let vrf_here = HookFacts {
        to_l3_master: true,
        ..here
    };
    let group_copy = HookFacts {
        to_group: true,
        group_copy: true,
        ..SENT
    };
    let to_group = HookFacts {
        to_group: true,
        ..SENT
    };
    let forwarded_to_master = HookFacts {
        to_l3_master: true,
        ..forwarded
    };
    let leaked = HookFacts {
        through_vrf: true,
        ..SENT
    };
    let leaked_on = HookFacts {
        to_l3_master: true,
        ..leaked
    };
    let popped = HookFacts {
        past_ip_rcv: false,
        ..leaked
    };
    let bridged_leaked = HookFacts {
        bridged: true,
        ..leaked
    };
    let ipvs_leaked = HookFacts {
        ipvs: true,
        ..leaked
    };
    let xfrm_device = HookFacts {
        through_xfrm_device: true,
        ..RECEIVED
    };
    // The flags are those of the original.
    let copy_of_forwarded = HookFacts {
        output_route: true,
        ..forwarded
    };
    let copy_of_bridged = HookFacts {
        output_route: true,
        ..bridged
    };
    let copied = HookFacts {
        copied: true,
        ..copy_of_forwarded
    };
    let copied_ipvs_answer = HookFacts {
        copied: true,
        ..ipvs_answer
    };
    vec![
        ("received", vec![(Prerouting, RECEIVED), (Input, RECEIVED)]),
        (
            "forwarded",
            vec![
                (Prerouting, RECEIVED),
                (Forward, forwarded),
                (Postrouting, forwarded),
            ],
        ),
        // ipv6_srh_rcv() takes it from INPUT, and forwards it.
        (
            "received for a segment, and sent on to the next",
            vec![
                (Prerouting, RECEIVED),
                (Input, RECEIVED),
                (Forward, sent_on),
                (Postrouting, sent_on),
            ],
        ),
        (
            "forwarded to a group",
            vec![
                (Prerouting, RECEIVED),
                (Forward, forwarded_to_group),
                (Postrouting, forwarded_to_group),
            ],
        ),
        ("sent", vec![(Output, SENT), (Postrouting, SENT)]),
        (
            "sent to itself",
            vec![
                (Output, here),
                (Postrouting, here),
                (Prerouting, here),
                (Input, here),
            ],
        ),
        // vrf_ip_rcv() runs PRE_ROUTING again.
        (
            "received in a VRF",
            vec![(Prerouting, RECEIVED), (Prerouting, slave), (Input, slave)],
        ),
        // vrf_ip_out() runs both for its own device, then IP does for the slave.
        (
            "sent in a VRF",
            vec![
                (Output, master),
                (Postrouting, master),
                (Output, SENT),
                (Postrouting, SENT),
            ],
        ),
        (
            "sent to itself in a VRF",
            vec![
                (Output, vrf_here),
                (Postrouting, vrf_here),
                (Prerouting, here),
                (Input, here),
            ],
        ),
        // vrf_xmit() runs LOCAL_OUT and POST_ROUTING for what was forwarded to its device.
        (
            "leaked into a VRF",
            vec![
                (Prerouting, RECEIVED),
                (Forward, forwarded),
                (Postrouting, forwarded_to_master),
                (Output, leaked),
                (Postrouting, leaked),
            ],
        ),
        (
            "leaked from a VRF into another, and from there on",
            vec![
                (Prerouting, RECEIVED),
                (Prerouting, slave),
                (Forward, slave),
                (Postrouting, forwarded_to_master),
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
                (Postrouting, forwarded_to_master),
                (Output, bridged_leaked),
                (Postrouting, bridged_leaked),
            ],
        ),
        // mpls_forward() gives it to vrf_xmit().
        (
            "popped into a VRF",
            vec![(Output, popped), (Postrouting, popped)],
        ),
        (
            "through IPVS into a VRF",
            vec![
                (Prerouting, RECEIVED),
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
                (Postrouting, in_bridge),
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
            vec![(Prerouting, RECEIVED), (Output, ipvs), (Postrouting, ipvs)],
        ),
        // ip_vs_out_hook() routes at FORWARD what a server answers.
        (
            "back through IPVS",
            vec![
                (Prerouting, RECEIVED),
                (Forward, ipvs_answer),
                (Postrouting, ipvs_answer),
            ],
        ),
        // ip_mc_output() runs POST_ROUTING for the copy first.
        (
            "sent to a group",
            vec![
                (Output, to_group),
                (Postrouting, group_copy),
                (Postrouting, to_group),
                (Prerouting, to_group),
                (Input, to_group),
            ],
        ),
        // xfrm4_output() runs POST_ROUTING for what their devices send.
        (
            "forwarded to an XFRM interface",
            vec![
                (Prerouting, RECEIVED),
                (Forward, forwarded),
                (Postrouting, forwarded),
                (Postrouting, xfrm_device),
            ],
        ),
        (
            "sent by an XFRM interface",
            vec![
                (Output, SENT),
                (Postrouting, SENT),
                (
                    Postrouting,
                    HookFacts {
                        output_route: true,
                        ..xfrm_device
                    },
                ),
            ],
        ),
        // nf_dup_ipv4() copies what is known of the original, and sends the copy by LOCAL_OUT.
        (
            "copied by netfilter",
            vec![(Output, copied), (Postrouting, copied)],
        ),
        (
            "copied by netfilter from what IPVS has routed",
            vec![
                (Output, copied_ipvs_answer),
                (Postrouting, copied_ipvs_answer),
            ],
        ),
        // It does not know any more that it is a copy.
        (
            "copied by netfilter, and back from NFQUEUE",
            vec![
                (Output, copy_of_forwarded),
                (Postrouting, copy_of_forwarded),
            ],
        ),
        (
            "copied from what is bridged, and back from NFQUEUE",
            vec![(Output, copy_of_bridged), (Postrouting, copy_of_bridged)],
        ),
    ]
}

#[test]
fn once_for_any_combination() {
    for bits in 0..32 {
        let points = ObservationPoints::from_bits(bits);
        for (name, path) in paths() {
            let passes = path.iter().any(|&(point, _)| points.has(point));
            let here = |&&(point, facts): &&(ObservationPoint, HookFacts)| {
                Traversal::of(point, &facts).counts(point, points)
            };
            let counted = path.iter().filter(here).count();
            assert_eq!(counted, usize::from(passes), "{bits:#b} {name}");
        }
    }
}

#[test]
fn only_what_this_host_sends_is_local() {
    let local = |point, facts| Traversal::of(point, &facts).is_local(point);
    for point in [Prerouting, Input, Forward] {
        assert!(!local(point, RECEIVED));
    }
    for point in [Output, Postrouting, Prerouting, Input] {
        assert!(local(point, SENT));
    }
    let forwarded = HookFacts {
        forwarded: true,
        ..RECEIVED
    };
    assert!(!local(Postrouting, forwarded));
    for past_ip_rcv in [true, false] {
        let through_vrf = HookFacts {
            through_vrf: true,
            past_ip_rcv,
            ..SENT
        };
        assert!(!local(Output, through_vrf) && !local(Postrouting, through_vrf));
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

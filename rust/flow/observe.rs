// SPDX-License-Identifier: GPL-2.0

//! Where packets are counted, and how each is counted once.
//!
//! ```text
//!   in --> PREROUTING --+--> FORWARD --+--> POSTROUTING --> out
//!                       |              |
//!                     INPUT          OUTPUT
//!                       |              |
//!                       +- this host --+
//! ```
//!
//! A packet is counted at the first of the chosen points on its way. No mark is left on it: at each
//! point, its way up to there is known from the point itself, from whether it was forwarded, and
//! from whether it came in by the loopback device, having gone out before. What a VRF does to the way
//! is in [`Facts`].

/// An observation point, one of netfilter's hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// Everything that comes in.
    Prerouting,
    /// What is for this host.
    Input,
    /// What is routed.
    Forward,
    /// What this host sends.
    Output,
    /// Everything that goes out.
    Postrouting,
}

impl Point {
    /// All of them, in the order of `enum nf_inet_hooks`.
    pub(crate) const ALL: [Self; 5] = [
        Self::Prerouting,
        Self::Input,
        Self::Forward,
        Self::Output,
        Self::Postrouting,
    ];

    /// As a bit of [`Points`].
    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A set of observation points, as the bits of `enum netflow_observe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Points(u32);

impl Points {
    /// What is observed unless chosen otherwise.
    pub(crate) const DEFAULT: Self = Self(Point::Prerouting.bit());

    /// The points of `bits`; bits that name none are dropped.
    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits & 0x1f)
    }

    /// As bits.
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    /// Whether a point is among them.
    #[inline]
    pub(crate) const fn has(self, point: Point) -> bool {
        self.0 & point.bit() != 0
    }

    /// Whether no point is among them.
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[inline]
    const fn has_any(self, bits: u32) -> bool {
        self.0 & bits != 0
    }
}

/// What is known of a packet at a point.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts {
    /// A VRF has received it from a device that is enslaved to it.
    pub(crate) from_l3_slave: bool,
    /// It came in by the loopback device, or as a copy of what this host sent to a group.
    pub(crate) looped: bool,
    /// The kernel has routed it.
    pub(crate) routed: bool,
    /// It was handed over by a bridge.
    pub(crate) bridged: bool,
    /// The bridge is handing it over just now.
    pub(crate) in_bridge: bool,
    /// IPVS has routed it.
    pub(crate) ipvs: bool,
    /// It goes out by the device of a VRF.
    pub(crate) to_l3_master: bool,
    /// Its destination is this host.
    pub(crate) to_here: bool,
    /// It is a copy of what this host sends to a group, to be received here.
    pub(crate) group_copy: bool,
    /// It was received and routed to the device of a VRF, and that sends it as if it came from here.
    pub(crate) leaked: bool,
}

/// How a packet came to a point.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// It has passed the same point before, or will: with the device of a VRF and with the device
    /// that is enslaved to it, by the bridge and by IP, or as a copy and as the original.
    twice: bool,
    /// This host sent it, and receives it now.
    looped: bool,
    origin: Origin,
}

/// Where a packet that goes out came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// This host sent it.
    Here,
    /// It was received and routed or bridged, so it has passed PREROUTING and FORWARD.
    Forwarded,
    /// The same, and the device of a VRF sends it on, so it passes OUTPUT too.
    Leaked,
    /// It was received and sent on by IPVS, so it has passed PREROUTING, and passes OUTPUT.
    Ipvs,
}

impl Way {
    /// What the facts mean at a point.
    #[inline(always)]
    pub(crate) const fn of(point: Point, facts: &Facts) -> Self {
        Self {
            twice: match point {
                Point::Prerouting => facts.from_l3_slave || (facts.bridged && !facts.in_bridge),
                Point::Input | Point::Forward => false,
                // What stays here does not pass again: to it the device of the VRF is the loopback.
                Point::Output => facts.to_l3_master && !facts.to_here,
                Point::Postrouting => (facts.to_l3_master && !facts.to_here) || facts.group_copy,
            },
            looped: facts.looped,
            origin: if facts.leaked && !facts.ipvs {
                Origin::Leaked
            } else if facts.routed || facts.bridged {
                Origin::Forwarded
            } else if facts.ipvs {
                Origin::Ipvs
            } else {
                Origin::Here
            },
        }
    }

    /// Whether a packet that came to `point` was sent by this host.
    #[inline(always)]
    pub(crate) const fn is_local(self, point: Point) -> bool {
        match point {
            Point::Prerouting | Point::Input => self.looped,
            Point::Forward => false,
            Point::Output | Point::Postrouting => matches!(self.origin, Origin::Here),
        }
    }

    /// Whether a packet that came to `point` is to be counted there.
    #[inline(always)]
    pub(crate) const fn counts(self, point: Point, points: Points) -> bool {
        const OUT: u32 = Point::Output.bit() | Point::Postrouting.bit();
        const IN: u32 = Point::Prerouting.bit();

        let before = match point {
            Point::Prerouting if self.looped => OUT,
            Point::Prerouting => 0,
            Point::Input if self.looped => OUT | IN,
            Point::Input | Point::Forward => IN,
            Point::Output => match self.origin {
                Origin::Here => 0,
                Origin::Forwarded | Origin::Ipvs => IN,
                Origin::Leaked => IN | Point::Forward.bit(),
            },
            Point::Postrouting => match self.origin {
                Origin::Here => Point::Output.bit(),
                Origin::Forwarded => IN | Point::Forward.bit(),
                Origin::Leaked => IN | Point::Forward.bit() | Point::Output.bit(),
                Origin::Ipvs => IN | Point::Output.bit(),
            },
        };
        points.has(point) && !self.twice && !points.has_any(before)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Point::*,
        *, //
    };

    const NONE: Facts = Facts {
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
    fn ways() -> Vec<(&'static str, Vec<(Point, Facts)>)> {
        let looped = Facts {
            looped: true,
            ..NONE
        };
        let routed = Facts {
            routed: true,
            ..NONE
        };
        let slave = Facts {
            from_l3_slave: true,
            ..NONE
        };
        let bridged = Facts {
            bridged: true,
            ..NONE
        };
        let in_bridge = Facts {
            bridged: true,
            in_bridge: true,
            ..NONE
        };
        let ipvs = Facts { ipvs: true, ..NONE };
        let master = Facts {
            to_l3_master: true,
            ..NONE
        };
        let here = Facts {
            to_here: true,
            ..NONE
        };
        let vrf_here = Facts {
            to_l3_master: true,
            to_here: true,
            ..NONE
        };
        let copy = Facts {
            group_copy: true,
            ..NONE
        };
        let routed_to_master = Facts {
            routed: true,
            ..master
        };
        let leaked = Facts {
            leaked: true,
            ..NONE
        };
        let leaked_on = Facts {
            leaked: true,
            ..master
        };
        let bridged_leaked = Facts {
            leaked: true,
            ..bridged
        };
        let ipvs_leaked = Facts {
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
                        Facts {
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
            let points = Points::from_bits(bits);
            for (name, way) in ways() {
                let passes = way.iter().any(|&(point, _)| points.has(point));
                let here = |&&(point, facts): &&(Point, Facts)| {
                    Way::of(point, &facts).counts(point, points)
                };
                let counted = way.iter().filter(here).count();
                assert_eq!(counted, usize::from(passes), "{bits:#b} {name}");
            }
        }
    }

    #[test]
    fn only_what_this_host_sends_is_local() {
        let local = |point, facts| Way::of(point, &facts).is_local(point);
        assert!(!local(Prerouting, NONE) && !local(Input, NONE) && !local(Forward, NONE));
        assert!(local(Output, NONE) && local(Postrouting, NONE));
        assert!(local(
            Prerouting,
            Facts {
                looped: true,
                ..NONE
            }
        ));
        for facts in [
            Facts {
                routed: true,
                ..NONE
            },
            Facts {
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
        for (point, bit) in Point::ALL.into_iter().zip([1, 2, 4, 8, 16]) {
            assert_eq!(point.bit(), bit);
        }
        assert_eq!(Points::from_bits(u32::MAX).bits(), 31);
    }
}

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
//! A packet is counted at the first of the chosen points on its path. What it has passed before is
//! told at each point by the point itself, and by what the kernel leaves on the packet:
//! [`HookFacts`].
//!
//! No mark is left on it. Only the kernel's own flags of a packet (`IPCB(skb)->flags`) would take
//! one, and they are cleared just where a packet passes a point again (when a loopback device, a
//! bridge, a VRF, an XFRM interface or a VTI hands it over), and copied just where another packet
//! begins (by TEE and nft's `dup`).

/// An observation point, one of netfilter's hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ObservationPoint {
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

impl ObservationPoint {
    /// All of them, in the order of `enum nf_inet_hooks`.
    pub(crate) const ALL: [Self; 5] = [
        Self::Prerouting,
        Self::Input,
        Self::Forward,
        Self::Output,
        Self::Postrouting,
    ];

    /// As a bit of [`ObservationPoints`].
    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A set of observation points, as the bits of `enum netflow_observe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ObservationPoints(u32);

impl ObservationPoints {
    /// What is observed unless chosen otherwise.
    pub(crate) const DEFAULT: Self = Self(ObservationPoint::Prerouting.bit());

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
    pub(crate) const fn has(self, point: ObservationPoint) -> bool {
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
pub(crate) struct HookFacts {
    /// A VRF has received it from a device that is enslaved to it.
    pub(crate) from_l3_slave: bool,
    /// Its route was found in order to send it. What comes in has none yet, or an input route,
    /// unless this host has sent it: loopback devices hand packets over with their route.
    pub(crate) output_route: bool,
    /// The kernel has forwarded it, or what it is a copy of.
    pub(crate) forwarded: bool,
    /// It was received for this host, and then forwarded: a segment of its route is here (SRv6).
    pub(crate) past_input: bool,
    /// A bridge has handed it over.
    pub(crate) bridged: bool,
    /// The bridge is handing it over just now.
    pub(crate) in_bridge: bool,
    /// IPVS has routed it.
    pub(crate) ipvs: bool,
    /// It goes out by the device of a VRF.
    pub(crate) to_l3_master: bool,
    /// Its destination is this host.
    pub(crate) to_here: bool,
    /// Its destination is a group, or all.
    pub(crate) to_group: bool,
    /// It is a copy of what this host sends to a group, to be received here.
    pub(crate) group_copy: bool,
    /// It was received and sent to the device of a VRF, and that sends it as if it came from here.
    pub(crate) through_vrf: bool,
    /// It was received as a packet of IP, not only as what an MPLS label was popped of.
    pub(crate) past_ip_rcv: bool,
    /// The device of an XFRM interface or a VTI has taken it, and sends it to be encrypted.
    pub(crate) through_xfrm_device: bool,
    /// It is a copy that netfilter has just made, and sends.
    pub(crate) copied: bool,
}

/// How a packet came to a point.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traversal {
    /// It has passed the same point before, or will: with the device of a VRF and with the device
    /// that is enslaved to it, by the bridge and by IP, before and behind the device of an XFRM
    /// interface, or as a copy and as the original.
    is_duplicate: bool,
    /// This host sent it, and receives it now.
    looped: bool,
    /// It was forwarded behind INPUT.
    past_input: bool,
    origin: Origin,
}

/// Where a packet that goes out came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// This host sent it.
    Here,
    /// It was received and forwarded or bridged, so it has passed PREROUTING and FORWARD.
    Forwarded,
    /// The same, and the device of a VRF sends it on, so it passes OUTPUT too.
    Leaked,
    /// MPLS has received it and popped its label into a VRF, so it has passed nothing, and passes
    /// OUTPUT.
    Popped,
    /// It was received and sent on by IPVS, so it has passed PREROUTING, and passes OUTPUT.
    Ipvs,
}

impl Origin {
    /// Where a packet at OUTPUT or POSTROUTING came from.
    #[inline(always)]
    const fn of(point: ObservationPoint, facts: &HookFacts) -> Self {
        if facts.copied {
            return Self::Here;
        }
        if facts.through_vrf && !facts.ipvs {
            return if facts.past_ip_rcv {
                Self::Leaked
            } else {
                Self::Popped
            };
        }
        // A copy has the flag of the original, but a route of its own. With the flag, the other
        // output routes are those of groups, and of answers that IPVS has routed again.
        let is_copy = facts.output_route && !facts.to_group && !facts.ipvs;
        match point {
            ObservationPoint::Postrouting if facts.in_bridge => Self::Forwarded,
            ObservationPoint::Postrouting if facts.forwarded && !is_copy => Self::Forwarded,
            _ if facts.ipvs => Self::Ipvs,
            _ => Self::Here,
        }
    }
}

impl Traversal {
    /// What the facts mean at a point.
    #[inline(always)]
    pub(crate) const fn of(point: ObservationPoint, facts: &HookFacts) -> Self {
        Self {
            is_duplicate: match point {
                ObservationPoint::Prerouting => {
                    facts.from_l3_slave || (facts.bridged && !facts.in_bridge)
                }
                ObservationPoint::Input | ObservationPoint::Forward => false,
                // What stays here does not pass again: to it the device of the VRF is the loopback.
                ObservationPoint::Output => facts.to_l3_master && !facts.to_here,
                ObservationPoint::Postrouting => {
                    (facts.to_l3_master && !facts.to_here)
                        || facts.group_copy
                        || facts.through_xfrm_device
                }
            },
            looped: facts.output_route,
            past_input: facts.past_input,
            origin: Origin::of(point, facts),
        }
    }

    /// Whether a packet that came to `point` was sent by this host.
    #[inline(always)]
    pub(crate) const fn is_local(self, point: ObservationPoint) -> bool {
        match point {
            ObservationPoint::Prerouting | ObservationPoint::Input => self.looped,
            ObservationPoint::Forward => false,
            ObservationPoint::Output | ObservationPoint::Postrouting => {
                matches!(self.origin, Origin::Here)
            }
        }
    }

    /// Whether a packet that came to `point` is to be counted there.
    #[inline(always)]
    pub(crate) const fn counts(self, point: ObservationPoint, points: ObservationPoints) -> bool {
        const OUT: u32 = ObservationPoint::Output.bit() | ObservationPoint::Postrouting.bit();
        const IN: u32 = ObservationPoint::Prerouting.bit();

        let through = if self.past_input {
            IN | ObservationPoint::Input.bit()
        } else {
            IN
        };
        let before = match point {
            ObservationPoint::Prerouting if self.looped => OUT,
            ObservationPoint::Prerouting => 0,
            ObservationPoint::Input if self.looped => OUT | IN,
            ObservationPoint::Input => IN,
            ObservationPoint::Forward => through,
            ObservationPoint::Output => match self.origin {
                Origin::Here | Origin::Popped => 0,
                Origin::Forwarded | Origin::Ipvs => IN,
                Origin::Leaked => IN | ObservationPoint::Forward.bit(),
            },
            ObservationPoint::Postrouting => match self.origin {
                Origin::Here | Origin::Popped => ObservationPoint::Output.bit(),
                Origin::Forwarded => through | ObservationPoint::Forward.bit(),
                Origin::Leaked => {
                    IN | ObservationPoint::Forward.bit() | ObservationPoint::Output.bit()
                }
                Origin::Ipvs => IN | ObservationPoint::Output.bit(),
            },
        };
        points.has(point) && !self.is_duplicate && !points.has_any(before)
    }
}

#[cfg(test)]
mod tests;

// SPDX-License-Identifier: GPL-2.0

//! The part of the configuration that the packet path asks for, and that may change meanwhile.
//!
//! What is asked for each packet is one word of flags, so that a packet sees all of it as of one
//! moment. The numbers of interfaces are looked into only if a flag says that there are some.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use super::interfaces::InterfaceNumbers;
use crate::{
    config::{
        Config,
        IcmpPorts,
        TransportPorts, //
    },
    flow::{
        families::{
            AddressFamily,
            PerFamily, //
        },
        observe::ObservationPoints, //
    },
    linux::{
        netdevice::DeviceName,
        netns::Netns,
        rwonce::RwOnce, //
    },
};

/// Flags, above those of [`ObservationPoints`].
const ICMP_ZERO: u32 = 1 << 8;
const COUNT_OWN: u32 = 1 << 9;
const IFACES: u32 = 1 << 10;
const TCP_UDP_PORTS: u32 = 1 << 11;
const SAMPLED: u32 = 1 << 12;

/// The flags.
#[derive(Clone, Copy)]
pub(crate) struct ConfigFlags(u32);

impl ConfigFlags {
    /// Where packets are counted.
    #[inline]
    pub(crate) fn points(self) -> ObservationPoints {
        ObservationPoints::from_bits(self.0)
    }

    /// Whether ICMP flows have no type and code.
    #[inline]
    pub(crate) fn icmp_zero(self) -> bool {
        self.0 & ICMP_ZERO != 0
    }

    /// Whether only flows of TCP and UDP have ports.
    #[inline]
    pub(crate) fn tcp_udp_ports(self) -> bool {
        self.0 & TCP_UDP_PORTS != 0
    }

    /// Whether the exporter's own datagrams are accounted.
    #[inline]
    pub(crate) fn counts_own(self) -> bool {
        self.0 & COUNT_OWN != 0
    }

    /// Whether packets are to be selected that are accounted.
    #[inline]
    pub(crate) fn is_sampled(self) -> bool {
        self.0 & SAMPLED != 0
    }

    /// Whether interfaces of some name have a number of their own.
    #[inline]
    fn has_ifaces(self) -> bool {
        self.0 & IFACES != 0
    }
}

/// Written by one at a time, who holds the lock of the namespace.
pub(crate) struct PathConfig {
    flags: PerFamily<RwOnce<u32>>,
    interfaces: Arc<InterfaceNumbers>,
}

impl PathConfig {
    /// Nothing is observed, and no interface has a number.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            flags: PerFamily {
                ipv4: RwOnce::new(0),
                ipv6: RwOnce::new(0),
            },
            interfaces: InterfaceNumbers::new()?,
        })
    }

    /// Reads the flags of an address family. Any context.
    #[inline(always)]
    pub(crate) fn flags(&self, family: AddressFamily) -> ConfigFlags {
        ConfigFlags(self.flags.of(family).read())
    }

    /// Changes the flags of each family.
    fn change_flags(&self, change: impl Fn(AddressFamily, u32) -> u32) {
        for family in AddressFamily::ALL {
            let flags = self.flags.of(family);
            flags.write(change(family, flags.read()));
        }
    }

    /// Writes all flags but for the one of the numbers of interfaces.
    pub(crate) fn set(&self, config: &Config) {
        let mut flags = 0;
        if config.icmp_ports == IcmpPorts::Zero {
            flags |= ICMP_ZERO;
        }
        if config.transport_ports == TransportPorts::TcpUdp {
            flags |= TCP_UDP_PORTS;
        }
        if config.count_own {
            flags |= COUNT_OWN;
        }
        if config.sampling_method().is_partial() {
            flags |= SAMPLED;
        }
        self.change_flags(|family, before| {
            let points = match config.families.has(family) {
                true => config.observe.bits(),
                false => 0,
            };
            flags | points | (before & IFACES)
        });
    }

    /// Nothing is observed any more.
    pub(crate) fn observe_nothing(&self) {
        self.change_flags(|_, before| before & IFACES);
    }

    /// The numbers of interfaces.
    pub(crate) fn interfaces(&self) -> &Arc<InterfaceNumbers> {
        &self.interfaces
    }

    /// Gives interfaces of a name a number, or with 0 takes it away. `ENOSPC` if no more can have
    /// one.
    pub(crate) fn set_iface(&self, netns: &Netns, name: DeviceName, number: u32) -> Result {
        let any = self.interfaces.set(netns, name, number)? != 0;
        let ifaces = if any { IFACES } else { 0 };
        self.change_flags(|_, before| (before & !IFACES) | ifaces);
        Ok(())
    }

    /// The number of an interface. Any context.
    #[inline(always)]
    pub(crate) fn iface(&self, flags: ConfigFlags, index: u32) -> u32 {
        if flags.has_ifaces() {
            self.number_of(index)
        } else {
            index
        }
    }

    #[inline(never)]
    fn number_of(&self, index: u32) -> u32 {
        self.interfaces.of(index)
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Where a Collector is, and what it is sent.

use core::net::{
    IpAddr,
    SocketAddr, //
};

use crate::{
    bindings,
    linux::netdevice::DeviceName, //
};

/// What is sent to a Collector.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Protocol {
    /// NetFlow v5.
    V5 = bindings::netflow_protocol_NETFLOW_PROTOCOL_V5,
    /// NetFlow v9.
    V9 = bindings::netflow_protocol_NETFLOW_PROTOCOL_V9,
    /// IPFIX.
    Ipfix = bindings::netflow_protocol_NETFLOW_PROTOCOL_IPFIX,
}

impl Protocol {
    /// The one of a number of the netlink interface.
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        [Self::V5, Self::V9, Self::Ipfix]
            .into_iter()
            .find(|protocol| *protocol as u32 == number)
    }

    /// The port of its Collectors, unless another is given (IANA; v5 and v9 have no assigned one).
    pub(crate) fn port(self) -> u16 {
        match self {
            Self::V5 | Self::V9 => 2055,
            Self::Ipfix => 4739,
        }
    }
}

/// What a Collector is, and how its datagrams get there.
#[derive(Clone, Copy)]
pub(crate) struct Destination {
    /// What it is sent.
    pub(crate) protocol: Protocol,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Where datagrams come from, of the same family; if unspecified, from where the route says.
    pub(crate) source: IpAddr,
    /// The device whose routes they follow.
    pub(crate) device: Option<DeviceName>,
}

impl Destination {
    /// Whether it listens there. What a link-local address means depends on the device.
    pub(super) fn listens_at(&self, address: SocketAddr, device: Option<DeviceName>) -> bool {
        self.address == address && (!is_link_local(address.ip()) || self.device == device)
    }

    /// Bytes of the headers in front of a datagram's payload: IP without options or extension
    /// headers, and UDP.
    pub(super) fn headers(&self) -> usize {
        match self.address {
            SocketAddr::V4(_) => HEADERS_IPV4,
            SocketAddr::V6(_) => HEADERS_IPV6,
        }
    }
}

/// See [`Destination::headers`].
pub(super) const HEADERS_IPV4: usize = 20 + 8;
const HEADERS_IPV6: usize = 40 + 8;

/// Whether several hosts may have an address, each on another link.
pub(crate) fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Look-ups in the forwarding information base (FIB).
//!
//! C header: [`include/net/ip_fib.h`](srctree/include/net/ip_fib.h)

use core::net::Ipv4Addr;

use super::netns::Netns;
use crate::bindings;

/// Index of the loopback interface in each namespace (`LOOPBACK_IFINDEX`): to the FIB the input
/// interface of what this host sends.
pub(crate) const LOOPBACK_IFINDEX: u32 = bindings::NETFLOW_LOOPBACK_IFINDEX;

/// What the FIB is asked with: all that a rule of policy routing may ask for (`struct flowi4`).
/// Addresses and ports are as they lie in a packet.
pub(crate) use bindings::fib_query as Query;

/// What the FIB has said, all zero if it has no route: the fields of a `struct fib_result` that may
/// be kept when RCU's read lock is not.
pub(crate) use bindings::fib_route as Route;

impl Route {
    /// No route.
    pub(crate) const NONE: Self = Self {
        gateway: 0,
        oif: 0,
        prefixlen: 0,
        type_: 0,
    };

    /// Whether its type is `RTN_UNICAST`: neither local, broadcast and the like, nor an error.
    pub(crate) fn is_unicast(&self) -> bool {
        u32::from(self.type_) == bindings::RTN_UNICAST
    }

    /// Gateway, unspecified if there is none, or none of IPv4.
    pub(crate) fn gateway4(&self) -> Ipv4Addr {
        Ipv4Addr::from(self.gateway.to_ne_bytes())
    }
}

/// The address as it lies in a packet.
#[inline(always)]
pub(crate) fn to_be32(address: Ipv4Addr) -> bindings::__be32 {
    u32::from_ne_bytes(address.octets())
}

/// Answers questions about one packet, in the VRF of the device with the index `l3mdev_of` (0 for
/// none): the answer to the first goes into the first of `routes`, and so on. Any context.
///
/// All of them in one call, as it takes long to find out what rules may ask for beside the query.
#[inline(always)]
pub(crate) fn lookup(netns: &Netns, l3mdev_of: u32, queries: &[Query], routes: &mut [Route]) {
    let n = queries.len().min(routes.len());
    // CAST: A few.
    // SAFETY: The namespace is valid by the invariant of `Netns`; `n` queries can be read, and as
    // many routes be written.
    unsafe {
        bindings::netflow_fib_lookup(
            netns.as_ptr(),
            l3mdev_of,
            queries.as_ptr(),
            routes.as_mut_ptr(),
            n as u32,
        )
    }
}

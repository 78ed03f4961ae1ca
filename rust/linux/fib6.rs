// SPDX-License-Identifier: GPL-2.0

//! Look-ups in the FIB of IPv6, like those of [`fib`](super::fib).
//!
//! C header: [`include/net/ip6_fib.h`](srctree/include/net/ip6_fib.h)

use super::netns::Netns;
use crate::bindings;

/// What the FIB is asked with (`struct flowi6`). Addresses and ports are as they lie in a packet.
pub(crate) use bindings::fib6_query as Query;

/// What the FIB has said, all zero if it has no route.
pub(crate) use bindings::fib6_route as Route;

impl Route {
    /// No route.
    pub(crate) const NONE: Self = Self {
        gateway: [0; 16],
        oif: 0,
        prefixlen: 0,
        type_: 0,
    };

    /// Whether its type is `RTN_UNICAST`: neither local, anycast and the like, nor an error.
    pub(crate) fn is_unicast(&self) -> bool {
        u32::from(self.type_) == bindings::RTN_UNICAST
    }
}

/// Answers questions about one packet, as [`fib::lookup`](super::fib::lookup) does. Any context.
#[inline(always)]
pub(crate) fn lookup(netns: &Netns, l3mdev_of: u32, queries: &[Query], routes: &mut [Route]) {
    let n = queries.len().min(routes.len());
    // CAST: A few.
    // SAFETY: The namespace is valid by the invariant of `Netns`; `n` queries can be read, and as
    // many routes be written.
    unsafe {
        bindings::netflow_fib6_lookup(
            netns.as_ptr(),
            l3mdev_of,
            queries.as_ptr(),
            routes.as_mut_ptr(),
            n as u32,
        )
    }
}

// SPDX-License-Identifier: GPL-2.0

//! NetFlow exporter: accounts the packets that pass a network namespace into flows, and sends
//! them to collectors.
//!
//! ```text
//!   netfilter hooks --> parse --> backlog --> flow cache --> expiry --> datagrams --> UDP sockets
//!                     (softirq)                                (each second, process context)
//! ```
//!
//! - [`linux`] wraps what the kernel offers; all `unsafe` code is there and in [`bindings`], but for
//!   [`flow::slab`].
//! - [`flow`] knows what a flow is, and keeps flows.
//! - [`export`] turns flows into datagrams.
//! - [`meter`] and [`domain`] join them for a namespace, [`namespace`] starts and stops them.
//! - [`control`] answers netlink requests.

use core::net::Ipv4Addr;

use kernel::prelude::*;

use meter::family::Family;

mod bindings;
mod cache;
mod config;
mod control;
mod export;
mod flow;
mod linux;
mod meter;
mod namespace;

module! {
    type: Netflow,
    name: "netflow",
    authors: ["The rust-netflow authors"],
    description: "NetFlow exporter",
    license: "GPL",
    alias: ["net-pf-16-proto-16-family-netflow"],
    params: {
        enable: bool {
            default: false,
            description: "Enable the exporter in the initial network namespace",
        },
        max_flows: u32 {
            default: 65536,
            description: "Flows that a cache holds at most, unless given when it is enabled (1 to 8388608)",
        },
        active_timeout: u32 {
            default: 1800,
            description: "Seconds after which a flow that goes on is exported, unless given when enabled (1 to 604800)",
        },
        inactive_timeout: u32 {
            default: 15,
            description: "Seconds after which a flow is inactive, unless given when enabled (1 to active_timeout)",
        },
        uptime_offset: u32 {
            default: 0,
            description: "For tests only: milliseconds to add to SysUptime",
        },
    },
}

/// The module: what requests and packets find is there while this is. The order of the fields is the order
/// in which it goes.
struct Netflow {
    _family: linux::netlink::Registration<namespace::Namespace>,
    _cpuhp_ipv4: linux::cpuhp::Registration<meter::datapath::Datapath<Ipv4Addr>>,
}

impl kernel::Module for Netflow {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        config::Config::from_parameters()
            .check()
            .map_err(|extack| {
                pr_err!("cannot load: {}\n", extack.text());
                extack.error()
            })?;
        let cpuhp_ipv4 = Ipv4Addr::cpuhp_state()
            .register()
            .inspect_err(|error| pr_err!("cannot load: {:?}\n", error))?;
        let family = namespace::NAMESPACES
            .register()
            .and_then(|states| control::FAMILY.register(states))
            .inspect_err(|error| pr_err!("cannot load: {:?}\n", error))?;
        Ok(Self {
            _family: family,
            _cpuhp_ipv4: cpuhp_ipv4,
        })
    }
}

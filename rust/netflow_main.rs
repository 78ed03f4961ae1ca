// SPDX-License-Identifier: GPL-2.0

//! NetFlow exporter: accounts the packets that pass a network namespace to flows, and sends these
//! to Collectors.
//!
//! # How a packet becomes a record
//!
//! ```text
//!   softirq           hook function            meter::datapath   Datapath::inspect
//!                     Flow Key and counts      flow::parse       plain, parse
//!                     batch of the CPU         meter::batch      CpuBatch::push, drain
//!                     cache entry              cache::update     Cache::update
//!   each second       sweep                    meter::sweep      Meter::sweep
//!                     expiry                   cache::walk       Cache::expire, Policy::judge
//!                     batch of flows           export::exporter  Exporter::push
//!                     Data Records             export::stream    Stream::export; v5, v9, ipfix
//!                     UDP socket               export::collector Collectors::send
//! ```
//!
//! # Vocabulary
//!
//! Words of RFC 7011 (section 2) and RFC 5470 are used as there: Flow, Flow Key, Observation Point,
//! Observation Domain, Metering Process, Exporting Process, Collector, Data Record. An Observation
//! Point is here one of netfilter's five hooks; a packet is counted at the first of the chosen ones
//! that it passes ([`flow::observe`]). Words of the kernel: hook, bottom half, softirq, netns, FIB,
//! VRF, extack. Texts for users have these words in lower case. Of our own are:
//!
//! - *ledger*, *account*: where each packet ended ([`flow::ledger`]).
//! - *pending*, in the ledger: in flows that have left the table and are not settled yet.
//!   [`meter::batch::Pending`] and `PendingPacket` are of packets that wait in a batch instead.
//! - *bucket*, *primary slot*, *spill slot*, *tag*, *vacancy* (a slot for one more flow): the hash
//!   table ([`flow::bucket`]).
//! - *slab*, *handle*: preallocated slots, and what owns one ([`flow::slab`]); not the slab
//!   allocator of the kernel.
//! - *slot budget*, *shard*: how many more flows there may be ([`cache`]).
//! - *due*: before that time no flow of a bucket expires. *Linger*: a finished flow stays for a
//!   moment. *Pressure*: how full the cache is. *Verdict*: whether a flow stays ([`flow::expiry`]).
//! - *evict*: to move a flow out of the table in softirq, into the *evict queue*, before it is
//!   exported ([`cache`]).
//! - *sweep*: a walk through the table that exports what has expired ([`meter`]). *Kick*: to ask
//!   for one at once. *Reclaim*: a sweep that also takes flows which linger. *Recheck*: one after
//!   a change of the policy.
//! - *round*: the exports of one sweep. *Outcome*: what became of a datagram or a flow. *Settle*:
//!   to enter a flow into the account of its outcome. *Told*: exported ([`export`]).
//! - *batch*: packets of a CPU that are accounted together ([`meter::batch`]), or flows that are
//!   exported together ([`export::batch`]). *Join*: to merge a packet into the last one of a batch.
//! - *plain*: of a packet, such that the fast path reads it ([`flow::parse`]).
//! - *facts*: what is known of a packet at a hook. *Traversal*: the way it came. *Looped*: sent and
//!   received by this host. *Leaked*: received, and sent on by the device of a VRF. *Group copy*:
//!   of what this host sends to a multicast group, to be received here ([`flow::observe`]).
//! - *stream*: one export format, its sequence number and its Collectors ([`export`]).
//!   *Announcement*: templates and options, which are sent without flow records.
//!
//! # Folders
//!
//! They import each other in no circle; `flow` imports none of the others, and `linux` only
//! [`bindings`] (`scripts/check-layers`):
//!
//! - [`control`] answers netlink requests.
//! - [`namespace`] starts and stops what a network namespace has.
//! - [`meter`] is the packet path, and the sweeps.
//! - [`config`] is the one table of settings.
//! - [`cache`] is the flow table, [`export`] turns flows into datagrams.
//! - [`flow`] knows what a flow is, and calls nothing of the kernel.
//! - [`linux`] wraps what the kernel offers, and knows nothing of flows. All `unsafe` code is there
//!   and in [`bindings`], but for [`flow::slab`] and what makes slabs, in [`cache`].

use core::net::{
    Ipv4Addr,
    Ipv6Addr, //
};

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
            description: "Flows that a namespace caches at most, unless set (1 to 8388608)",
        },
        max_flows_userns: u32 {
            default: 65536,
            description: "Flows that a cache holds at most where the namespace does not belong to \
                          the initial user namespace (1 to 8388608)",
        },
        active_timeout: u32 {
            default: 1800,
            description: "Seconds after which a lasting flow is exported, unless set (1 to 604800)",
        },
        inactive_timeout: u32 {
            default: 15,
            description: "Seconds after which a flow is inactive, unless set (1 to active_timeout)",
        },
        uptime_offset: u32 {
            default: 0,
            description: "For tests only: milliseconds to add to SysUptime",
        },
    },
}

/// The loaded module. Fields are dropped in order: first the netlink family with the namespaces'
/// states, then the CPU hotplug state.
struct Netflow {
    _family: linux::netlink::Registration<namespace::Namespace>,
    _cpuhp_ipv4: linux::cpuhp::Registration<meter::datapath::Datapath<Ipv4Addr>>,
    _cpuhp_ipv6: linux::cpuhp::Registration<meter::datapath::Datapath<Ipv6Addr>>,
    _workqueues: [linux::workqueue::Created; 3],
}

impl kernel::Module for Netflow {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        config::check_parameters().map_err(|extack| {
            pr_err!(
                "cannot load: {}\n",
                config::SpelledAsParameters(extack.text())
            );
            extack.error()
        })?;
        let workqueues = namespace::create_workqueues()
            .inspect_err(|error| pr_err!("cannot load: {:?}\n", error))?;
        let cpuhp_ipv4 = Ipv4Addr::cpuhp_state()
            .register()
            .inspect_err(|error| pr_err!("cannot load: {:?}\n", error))?;
        let cpuhp_ipv6 = Ipv6Addr::cpuhp_state()
            .register()
            .inspect_err(|error| pr_err!("cannot load: {:?}\n", error))?;
        let family = namespace::NAMESPACES
            .register()
            .and_then(|states| control::FAMILY.register(states))
            .inspect_err(|error| pr_err!("cannot load: {:?}\n", error))?;
        Ok(Self {
            _family: family,
            _cpuhp_ipv4: cpuhp_ipv4,
            _cpuhp_ipv6: cpuhp_ipv6,
            _workqueues: workqueues,
        })
    }
}

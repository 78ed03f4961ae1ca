// SPDX-License-Identifier: GPL-2.0

//! The netlink interface: turns requests into calls, and what they return into attributes.
//!
//! The interface is specified in `Documentation/netlink/specs/netflow.yaml`. What the kernel checks
//! by the policies that are generated from it is not checked again here.

mod flows;
mod ifaces;
mod info;
mod request;

use crate::{
    linux::netlink::{
        self,
        operations, //
    },
    namespace::Namespace,
};

type Request<'a> = netlink::Request<'a, Namespace>;
type Dump<'a> = netlink::Dump<'a, Namespace>;

operations! {
    family netflow_nl_family of Namespace;
    do netflow_nl_info_get_doit => info::get;
    do netflow_nl_enable_doit => request::enable;
    do netflow_nl_set_doit => request::set;
    do netflow_nl_iface_set_doit => ifaces::set;
    do netflow_nl_disable_doit => request::disable;
    do netflow_nl_flush_doit => request::flush;
    do netflow_nl_collector_add_doit => request::add_collector;
    do netflow_nl_collector_del_doit => request::remove_collector;
    dump netflow_nl_flow_get_dumpit => flows::dump;
    dump netflow_nl_iface_get_dumpit => ifaces::dump;
}

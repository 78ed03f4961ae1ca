// SPDX-License-Identifier: GPL-2.0

//! The netlink interface: turns requests into calls, and what they return into attributes.
//!
//! The interface is specified in `Documentation/netlink/specs/netflow.yaml`; what is checked there is
//! not checked again here.

mod flows;
mod info;
mod request;

use crate::{
    bindings as uapi,
    linux::netlink::operations, //
};

operations! {
    do netflow_nl_info_get_doit(0) => info::get;
    do netflow_nl_enable_doit(uapi::NETFLOW_A_INFO_CONFIG) => request::enable;
    do netflow_nl_set_doit(uapi::NETFLOW_A_INFO_CONFIG) => request::set;
    do netflow_nl_iface_set_doit(uapi::NETFLOW_A_INFO_IFACE) => request::set_iface;
    do netflow_nl_disable_doit(0) => request::disable;
    do netflow_nl_flush_doit(0) => request::flush;
    do netflow_nl_collector_add_doit(uapi::NETFLOW_A_INFO_COLLECTOR) => request::add_collector;
    do netflow_nl_collector_del_doit(uapi::NETFLOW_A_INFO_COLLECTOR) => request::remove_collector;
    dump netflow_nl_flow_get_dumpit => flows::dump;
}

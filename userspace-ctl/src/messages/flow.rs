// SPDX-License-Identifier: GPL-2.0-only

//! A flow of the cache.

use super::required;
use crate::{
    error::Error,
    netlink::attributes,
    uapi::flow, //
};
use serde::Serialize;
use std::net::{
    IpAddr,
    Ipv4Addr, //
};

/// One flow: packets of one direction that have addresses, ports, protocol, type of service and
/// input interface in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Flow {
    /// Source address.
    pub src_addr: IpAddr,
    /// Destination address.
    pub dst_addr: IpAddr,
    /// Gateway towards the destination, unspecified if there is none.
    pub next_hop: IpAddr,
    /// Number of the interface that the packets came in by, 0 if this host sent them.
    pub input: u32,
    /// Number of the interface towards the destination, 0 if they stay here or cannot go anywhere.
    pub output: u32,
    /// Packets seen.
    pub packets: u64,
    /// Bytes of layer 3 in them.
    pub bytes: u64,
    /// `sys_uptime` at the first packet, in milliseconds.
    pub first: u32,
    /// `sys_uptime` at the last packet, in milliseconds.
    pub last: u32,
    /// Source port of a protocol that has ports, else 0.
    pub src_port: u16,
    /// Destination port of a protocol that has ports, type * 256 + code of ICMP unless that is off,
    /// else 0.
    pub dst_port: u16,
    /// All TCP flags seen.
    pub tcp_flags: u8,
    /// Number of the IP protocol.
    pub proto: u8,
    /// Type of service.
    pub tos: u8,
    /// Prefix length of the route to the source.
    pub src_mask: u8,
    /// Prefix length of the route to the destination.
    pub dst_mask: u8,
    /// Flow label of the first packet, of IPv6 alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow_label: Option<u32>,
}

impl Flow {
    /// Reads the attributes of one reply to a dump.
    pub fn decode(payload: &[u8]) -> Result<Self, Error> {
        let (mut src_addr, mut dst_addr) = (None, None);
        let mut flow = Self::EMPTY;
        for attribute in attributes(payload) {
            let attribute = attribute?;
            match attribute.kind {
                flow::SRC_ADDR => src_addr = Some(attribute.address()?),
                flow::DST_ADDR => dst_addr = Some(attribute.address()?),
                flow::NEXT_HOP => flow.next_hop = attribute.address()?,
                flow::INPUT => flow.input = attribute.u32()?,
                flow::OUTPUT => flow.output = attribute.u32()?,
                flow::PACKETS => flow.packets = attribute.uint()?,
                flow::BYTES => flow.bytes = attribute.uint()?,
                flow::FIRST => flow.first = attribute.u32()?,
                flow::LAST => flow.last = attribute.u32()?,
                flow::SRC_PORT => flow.src_port = attribute.u16()?,
                flow::DST_PORT => flow.dst_port = attribute.u16()?,
                flow::TCP_FLAGS => flow.tcp_flags = attribute.u8()?,
                flow::PROTO => flow.proto = attribute.u8()?,
                flow::TOS => flow.tos = attribute.u8()?,
                flow::SRC_MASK => flow.src_mask = attribute.u8()?,
                flow::DST_MASK => flow.dst_mask = attribute.u8()?,
                flow::FLOW_LABEL => flow.flow_label = Some(attribute.u32()?),
                _ => {}
            }
        }
        flow.src_addr = required(src_addr, "src-addr")?;
        flow.dst_addr = required(dst_addr, "dst-addr")?;
        Ok(flow)
    }

    const EMPTY: Self = Self {
        src_addr: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        dst_addr: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        next_hop: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        input: 0,
        output: 0,
        packets: 0,
        bytes: 0,
        first: 0,
        last: 0,
        src_port: 0,
        dst_port: 0,
        tcp_flags: 0,
        proto: 0,
        tos: 0,
        src_mask: 0,
        dst_mask: 0,
        flow_label: None,
    };
}

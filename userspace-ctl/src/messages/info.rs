// SPDX-License-Identifier: GPL-2.0-only

//! State of the exporter of a network namespace.

use super::{
    required,
    Account,
    Expired, //
};
use crate::{
    error::Error,
    netlink::attributes,
    uapi::{
        collector,
        iface,
        info, //
    },
    values::{
        Expiry,
        IcmpPorts,
        Observe, //
    }, //
};
use serde::Serialize;
use std::net::{
    IpAddr,
    SocketAddr, //
};

/// State, settings, ledger, collectors and numbers of interfaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Info {
    /// Whether packets are accounted.
    pub enabled: bool,
    /// Seconds after its first packet at which a flow is exported although it goes on.
    pub active_timeout: u32,
    /// Seconds after its last packet at which a flow is inactive.
    pub inactive_timeout: u32,
    /// What becomes of it then.
    pub expiry: Expiry,
    /// Where packets are counted.
    pub observe: Observe,
    /// Engine type in the header of v5 datagrams.
    pub engine_type: u8,
    /// Engine id there.
    pub engine_id: u8,
    /// What the destination port of an ICMP flow holds.
    pub icmp_ports: IcmpPorts,
    /// Whether the exporter's own datagrams are accounted.
    pub count_own: bool,
    /// How many flows there are, may be and have been.
    pub flows: FlowCounts,
    /// Where every packet ended.
    pub packets: Account,
    /// Where the bytes of layer 3 of every packet ended.
    pub bytes: Account,
    /// How many flows left the cache, by reason.
    pub expired: Expired,
    /// Where flow records are sent to.
    pub collectors: Vec<Collector>,
    /// Interfaces that are reported by another number than their index.
    pub ifaces: Vec<Iface>,
    /// The clock of a flow's first and last packet now: milliseconds since boot, modulo 2^32.
    pub sys_uptime: u32,
    /// Number of the next flow record to be exported, modulo 2^32.
    pub flow_sequence: u32,
}

/// Numbers of flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FlowCounts {
    /// In the cache.
    pub cached: u32,
    /// What the cache holds at most.
    pub max: u32,
    /// Created since the namespace first enabled the exporter.
    pub created: u64,
}

/// A destination of flow records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Collector {
    /// Its address.
    pub address: IpAddr,
    /// Its UDP port.
    pub port: u16,
    /// Datagrams that were sent to it.
    pub datagrams: u64,
    /// Flow records in them.
    pub records: u64,
    /// Datagrams that could not be sent.
    pub errors: u64,
}

/// An interface that is reported by another number than its index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Iface {
    /// Its index.
    pub ifindex: u32,
    /// Its name, if it has one. The kernel does not tell it with the state: who asks adds it.
    pub ifname: Option<String>,
    /// The number.
    pub number: u32,
}

impl Info {
    /// Reads the attributes of the reply to `INFO_GET`.
    pub fn decode(payload: &[u8]) -> Result<Self, Error> {
        let mut state = Self::default();
        for attribute in attributes(payload) {
            let attribute = attribute?;
            match attribute.kind {
                info::ENABLED => state.enabled = attribute.u8()? != 0,
                info::MAX_FLOWS => state.flows.max = attribute.u32()?,
                info::ACTIVE_TIMEOUT => state.active_timeout = attribute.u32()?,
                info::INACTIVE_TIMEOUT => state.inactive_timeout = attribute.u32()?,
                info::FLOWS_CACHED => state.flows.cached = attribute.u32()?,
                info::FLOWS_CREATED => state.flows.created = attribute.uint()?,
                info::PACKETS => state.packets = Account::decode(attribute.value)?,
                info::BYTES => state.bytes = Account::decode(attribute.value)?,
                info::EXPIRED => state.expired = Expired::decode(attribute.value)?,
                info::COLLECTOR => state.collectors.push(Collector::decode(attribute.value)?),
                info::SYS_UPTIME => state.sys_uptime = attribute.u32()?,
                info::FLOW_SEQUENCE => state.flow_sequence = attribute.u32()?,
                info::EXPIRY => state.expiry = Expiry(attribute.u32()?),
                info::OBSERVE => state.observe = Observe(attribute.u32()?),
                info::ENGINE_TYPE => state.engine_type = attribute.u8()?,
                info::ENGINE_ID => state.engine_id = attribute.u8()?,
                info::ICMP_PORTS => state.icmp_ports = IcmpPorts(attribute.u32()?),
                info::COUNT_OWN => state.count_own = attribute.u8()? != 0,
                info::IFACE => state.ifaces.push(Iface::decode(attribute.value)?),
                _ => {}
            }
        }
        Ok(state)
    }
}

impl Collector {
    fn decode(nest: &[u8]) -> Result<Self, Error> {
        let (mut address, mut port) = (None, None);
        let (mut datagrams, mut records, mut errors) = (0, 0, 0);
        for attribute in attributes(nest) {
            let attribute = attribute?;
            match attribute.kind {
                collector::ADDRESS => address = Some(attribute.address()?),
                collector::PORT => port = Some(attribute.u16()?),
                collector::DATAGRAMS => datagrams = attribute.uint()?,
                collector::RECORDS => records = attribute.uint()?,
                collector::ERRORS => errors = attribute.uint()?,
                _ => {}
            }
        }
        Ok(Self {
            address: required(address, "address")?,
            port: required(port, "port")?,
            datagrams,
            records,
            errors,
        })
    }

    /// Address and port together.
    pub fn socket_addr(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }
}

impl Iface {
    fn decode(nest: &[u8]) -> Result<Self, Error> {
        let (mut ifindex, mut number) = (None, None);
        for attribute in attributes(nest) {
            let attribute = attribute?;
            match attribute.kind {
                iface::IFINDEX => ifindex = Some(attribute.u32()?),
                iface::NUMBER => number = Some(attribute.u32()?),
                _ => {}
            }
        }
        Ok(Self {
            ifindex: required(ifindex, "ifindex")?,
            ifname: None,
            number: required(number, "number")?,
        })
    }
}

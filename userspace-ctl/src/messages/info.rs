// SPDX-License-Identifier: GPL-2.0-only

//! State of the exporter of a network namespace.

use super::{
    required,
    Account,
    Expired, //
};
use crate::{
    address::Address,
    error::{
        reason,
        Error, //
    },
    netlink::{
        attributes,
        KernelError, //
    },
    protocol::Protocol,
    settings::Config,
    uapi::{
        collector,
        config,
        family,
        iface,
        info,
        nat_state,
        SETTINGS, //
    }, //
};
use serde::{
    Serialize,
    Serializer, //
};
use std::{
    io,
    net::IpAddr, //
};

/// State, settings, ledger, collectors and numbers of interfaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Info {
    /// Whether packets are accounted.
    pub enabled: bool,
    /// The settings. In JSON each is a field of this object, except for the one that is
    /// [`FlowCounts::max`] there.
    #[serde(flatten, serialize_with = "without_max_flows")]
    pub config: Config,
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
    /// Interfaces that are reported by another number than their index. The reply has none of them:
    /// the caller asks for them.
    pub ifaces: Vec<Iface>,
    /// The clock of a flow's first and last packet now: milliseconds since boot, modulo 2^32.
    pub sys_uptime: u32,
    /// Number of the next flow record to be exported, modulo 2^32.
    pub flow_sequence: u32,
    /// Whether flows are exported of an exporter that was disabled.
    pub disabling: bool,
    /// Whether memory is reserved for an exporter that was enabled.
    pub enabling: bool,
    /// Why the last one that was to be enabled could not be.
    #[serde(serialize_with = "as_text")]
    pub enable_error: Option<KernelError>,
    /// What of it is of IPv4.
    pub ipv4: Family,
    /// What of it is of IPv6.
    pub ipv6: Family,
    /// What became of what there was to tell of NAT.
    pub nat_state: Nat,
    /// Flushes that were asked for.
    #[serde(skip)]
    pub flushes_requested: u64,
    /// Flushes that have ended.
    #[serde(skip)]
    pub flushes_done: u64,
}

/// Numbers of flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FlowCounts {
    /// In the cache.
    pub cached: u32,
    /// What the cache holds at most, which is the setting `max-flows`.
    pub max: u64,
    /// Created since the namespace first enabled the exporter.
    pub created: u64,
}

/// State of an address family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Family {
    /// Flows created since the namespace first enabled the exporter.
    pub flows_created: u64,
    /// Where every packet ended.
    pub packets: Account,
    /// Where the bytes of layer 3 of every packet ended.
    pub bytes: Account,
}

/// What became of what there was to tell of NAT.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Nat {
    /// Flows that were exported without it, as conntrack knew no connection of theirs.
    pub untracked_flows: u64,
    /// Where the beginnings and ends of sessions ended.
    pub events: NatEvents,
    /// Why no events can be told.
    pub error: Option<String>,
}

/// Where the beginnings and ends of sessions ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NatEvents {
    /// Sent.
    pub exported: u64,
    /// There was nobody to send them to.
    pub no_collector: u64,
    /// No collector gets a format that has a record for them.
    pub unsupported: u64,
    /// Nobody's socket took the datagram.
    pub send_failed: u64,
    /// They came faster than they were read.
    pub overrun: u64,
    /// They were not understood.
    pub malformed: u64,
}

/// A destination of flow records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Collector {
    /// Its address.
    pub address: IpAddr,
    /// Its UDP port.
    pub port: u16,
    /// What is sent to it.
    pub protocol: Protocol,
    /// The address that datagrams are sent from, if one was asked for.
    pub source: Option<IpAddr>,
    /// The interface or VRF by which they are sent, if one was asked for.
    pub device: Option<String>,
    /// Datagrams that were sent to it.
    pub datagrams: u64,
    /// Flow records in them.
    pub records: u64,
    /// Datagrams that could not be sent.
    pub errors: u64,
    /// Flows that were not, as the protocol has no record for them.
    pub unsupported: u64,
    /// The sequence number of the next datagram of its protocol, modulo 2^32.
    pub sequence: u32,
    /// Why the last of them could not.
    pub last_error: Option<String>,
}

/// A name whose interfaces are reported by another number than their index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Iface {
    /// The index of the interface that has the name. The reply has none: the caller looks it up.
    pub ifindex: Option<u32>,
    /// The name.
    pub ifname: String,
    /// The number.
    pub number: u32,
}

fn without_max_flows<S: Serializer>(config: &Config, serializer: S) -> Result<S::Ok, S::Error> {
    let values = config.iter().copied();
    let others = values.filter(|value| value.setting.number != config::MAX_FLOWS);
    others.collect::<Config>().serialize(serializer)
}

fn as_text<S: Serializer>(error: &Option<KernelError>, serializer: S) -> Result<S::Ok, S::Error> {
    error
        .as_ref()
        .map(KernelError::to_string)
        .serialize(serializer)
}

impl Info {
    /// Reads the attributes of the reply to `INFO_GET`.
    pub fn decode(payload: &[u8]) -> Result<Self, Error> {
        let mut state = Self::default();
        let (mut enable_errno, mut enable_text) = (None, None);
        for attribute in attributes(payload) {
            let attribute = attribute?;
            match attribute.kind {
                info::ENABLED => state.enabled = attribute.u8()? != 0,
                info::CONFIG => state.config = Config::decode(SETTINGS, attribute.value)?,
                info::FLOWS_CACHED => state.flows.cached = attribute.u32()?,
                info::FLOWS_CREATED => state.flows.created = attribute.uint()?,
                info::PACKETS => state.packets = Account::decode(attribute.value)?,
                info::BYTES => state.bytes = Account::decode(attribute.value)?,
                info::EXPIRED => state.expired = Expired::decode(attribute.value)?,
                info::COLLECTOR => state.collectors.push(Collector::decode(attribute.value)?),
                info::SYS_UPTIME => state.sys_uptime = attribute.u32()?,
                info::FLOW_SEQUENCE => state.flow_sequence = attribute.u32()?,
                info::DISABLING => state.disabling = attribute.u8()? != 0,
                info::FLUSHES_REQUESTED => state.flushes_requested = attribute.uint()?,
                info::FLUSHES_DONE => state.flushes_done = attribute.uint()?,
                info::ENABLING => state.enabling = attribute.u8()? != 0,
                info::ENABLE_ERROR => enable_errno = Some(attribute.u32()?),
                info::ENABLE_ERROR_TEXT => enable_text = attribute.text(),
                info::IPV4 => state.ipv4 = Family::decode(attribute.value)?,
                info::IPV6 => state.ipv6 = Family::decode(attribute.value)?,
                info::NAT_STATE => state.nat_state = Nat::decode(attribute.value)?,
                _ => {}
            }
        }
        state.enable_error = enable_errno.map(|errno| KernelError {
            errno: i32::try_from(errno).unwrap_or(i32::MAX),
            text: enable_text,
            ..KernelError::default()
        });
        state.flows.max = state.config.get(config::MAX_FLOWS).unwrap_or(0);
        Ok(state)
    }
}

impl Family {
    fn decode(nest: &[u8]) -> Result<Self, Error> {
        let mut state = Self::default();
        for attribute in attributes(nest) {
            let attribute = attribute?;
            match attribute.kind {
                family::FLOWS_CREATED => state.flows_created = attribute.uint()?,
                family::PACKETS => state.packets = Account::decode(attribute.value)?,
                family::BYTES => state.bytes = Account::decode(attribute.value)?,
                _ => {}
            }
        }
        Ok(state)
    }
}

impl Nat {
    /// Whether there is anything to tell.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn decode(nest: &[u8]) -> Result<Self, Error> {
        let mut state = Self::default();
        for attribute in attributes(nest) {
            let attribute = attribute?;
            let field = match attribute.kind {
                nat_state::UNTRACKED_FLOWS => &mut state.untracked_flows,
                nat_state::EVENTS_EXPORTED => &mut state.events.exported,
                nat_state::EVENTS_NO_COLLECTOR => &mut state.events.no_collector,
                nat_state::EVENTS_UNSUPPORTED => &mut state.events.unsupported,
                nat_state::EVENTS_SEND_FAILED => &mut state.events.send_failed,
                nat_state::EVENTS_OVERRUN => &mut state.events.overrun,
                nat_state::EVENTS_MALFORMED => &mut state.events.malformed,
                nat_state::ERROR => {
                    state.error = Some(errno(attribute.u32()?));
                    continue;
                }
                _ => continue,
            };
            *field = attribute.uint()?;
        }
        Ok(state)
    }
}

impl Collector {
    fn decode(nest: &[u8]) -> Result<Self, Error> {
        let (mut address, mut port) = (None, None);
        let (mut source, mut device, mut last_error) = (None, None, None);
        let (mut datagrams, mut records, mut errors) = (0, 0, 0);
        let (mut protocol, mut sequence, mut unsupported) = (0, 0, 0);
        for attribute in attributes(nest) {
            let attribute = attribute?;
            match attribute.kind {
                collector::ADDRESS => address = Some(attribute.address()?),
                collector::PORT => port = Some(attribute.u16()?),
                collector::DATAGRAMS => datagrams = attribute.uint()?,
                collector::RECORDS => records = attribute.uint()?,
                collector::ERRORS => errors = attribute.uint()?,
                collector::SOURCE => source = Some(attribute.address()?),
                collector::DEVICE => device = attribute.text(),
                collector::PROTOCOL => protocol = attribute.u32()?,
                collector::SEQUENCE => sequence = attribute.u32()?,
                collector::UNSUPPORTED => unsupported = attribute.uint()?,
                collector::LAST_ERROR => last_error = Some(errno(attribute.u32()?)),
                _ => {}
            }
        }
        Ok(Self {
            address: required(address, "address")?,
            port: required(port, "port")?,
            protocol: Protocol::from_number(protocol),
            source,
            device,
            datagrams,
            records,
            errors,
            unsupported,
            sequence,
            last_error,
        })
    }

    /// What tells it from other collectors.
    pub fn endpoint(&self) -> Address {
        Address::of_collector(self.address, self.port, self.device.as_deref())
    }
}

/// What an error number means.
fn errno(number: u32) -> String {
    let number = i32::try_from(number).unwrap_or(i32::MAX);
    reason(&io::Error::from_raw_os_error(number))
}

impl Iface {
    /// Reads the attributes of a reply to `IFACE_GET`.
    pub fn decode(payload: &[u8]) -> Result<Self, Error> {
        let (mut ifname, mut number) = (None, None);
        for attribute in attributes(payload) {
            let attribute = attribute?;
            match attribute.kind {
                iface::NAME => ifname = Some(attribute.string()),
                iface::NUMBER => number = Some(attribute.u32()?),
                _ => {}
            }
        }
        Ok(Self {
            ifindex: None,
            ifname: required(ifname, "name")?,
            number: required(number, "number")?,
        })
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Requests that change something. A refused one changes nothing, and its text says what to change.
//!
//! What the policy of the attributes refuses does not come here: it has a text of the kernel, which
//! says what is wrong.

use core::net::{
    Ipv4Addr,
    SocketAddrV4, //
};

use kernel::prelude::*;

use super::Request;
use crate::{
    bindings as uapi,
    config::Config,
    export::collector::{
        Destination,
        Protocol, //
    },
    linux::{
        netdevice::DeviceName,
        netlink::{
            text::text,
            Attributes,
            ExtAck,
            ExtResult, //
        },
    },
    namespace::Namespace,
};

/// Says what an error means to who asks for a change, unless that has been said.
pub(super) fn explain(extack: impl Into<ExtAck>) -> ExtAck {
    let extack = extack.into();
    if extack.has_text() {
        return extack;
    }
    let error = extack.error();
    let text = match error {
        EALREADY => c"the exporter is enabled in this namespace: disable it first",
        ENODATA => c"the exporter is not enabled in this namespace: enable it first",
        EEXIST => c"this collector was added before: remove it first to start its counters anew",
        ENOENT => c"no such collector: give address and port as the list shows them",
        ENOSPC => text!(
            "there are " {uapi::NETFLOW_MAX_COLLECTORS}
            " collectors, no more are possible: remove one"
        ),
        EADDRNOTAVAIL => {
            c"the source must be an address of this host; with a device in a VRF, \
                           of that VRF"
        }
        ENODEV => c"no such device: give the name of an interface, or of a VRF",
        EADDRINUSE => c"no local UDP port is free: widen net.ipv4.ip_local_port_range",
        EAFNOSUPPORT => c"this kernel has no IPv4 sockets: boot one that has",
        _ => return extack,
    };
    ExtAck::new(error, text)
}

/// Changes the settings that a request gives.
fn change(config: &mut Config, request: &Request<'_>) -> ExtResult {
    match request.attributes().nest(uapi::NETFLOW_A_INFO_CONFIG)? {
        Some(nest) => config.read(nest),
        None => Ok(()),
    }
}

/// Begins to enable the exporter.
pub(super) fn enable(request: &Request<'_>) -> ExtResult {
    Namespace::enable(request.state()?, |config| change(config, request)).map_err(explain)
}

/// Changes settings.
pub(super) fn set(request: &Request<'_>) -> ExtResult {
    let namespace = request.state()?;
    namespace
        .set(|config| change(config, request))
        .map_err(explain)
}

/// Disables the exporter, but for what there is to export yet.
pub(super) fn disable(request: &Request<'_>) -> ExtResult {
    request.state()?.disable().map_err(explain)
}

/// Begins to export all flows, and replies which flush that is.
pub(super) fn flush(request: &Request<'_>) -> ExtResult {
    let number = request.state()?.flush().map_err(explain)?;
    request.reply(|message| message.put_uint(uapi::NETFLOW_A_INFO_FLUSHES_REQUESTED, number))
}

/// Adds a Collector.
pub(super) fn add_collector(request: &Request<'_>) -> ExtResult {
    let nest = collector(request)?;
    let protocol = match nest.get(uapi::NETFLOW_A_COLLECTOR_PROTOCOL)? {
        Some(protocol) => protocol
            .u32()
            .and_then(Protocol::from_number)
            .ok_or(ExtAck::new(
                EINVAL,
                c"there is no such protocol: give v5, v9 or ipfix",
            ))?,
        None => Protocol::V5,
    };
    let to = Destination {
        protocol,
        address: address(nest, protocol)?,
        source: match nest.get(uapi::NETFLOW_A_COLLECTOR_SOURCE)? {
            Some(source) => ipv4(source.bytes(), c"the source must be an IPv4 address")?,
            None => Ipv4Addr::UNSPECIFIED,
        },
        device: match nest.get(uapi::NETFLOW_A_COLLECTOR_DEVICE)? {
            Some(device) => Some(
                DeviceName::new(device.bytes())
                    .ok_or(ENODEV)
                    .map_err(explain)?,
            ),
            None => None,
        },
    };
    request.state()?.add_collector(to).map_err(explain)
}

/// Removes a Collector.
pub(super) fn remove_collector(request: &Request<'_>) -> ExtResult {
    let address = address(collector(request)?, Protocol::V5)?;
    request.state()?.remove_collector(address).map_err(explain)
}

/// The attributes of the Collector that a request names.
fn collector<'a>(request: &'a Request<'_>) -> ExtResult<Attributes<'a>> {
    let nest = request.attributes().nest(uapi::NETFLOW_A_INFO_COLLECTOR)?;
    nest.ok_or(ExtAck::new(EINVAL, c"no collector given: give its address"))
}

/// Address and port of a Collector, which unless given is that of `protocol`.
fn address(collector: Attributes<'_>, protocol: Protocol) -> ExtResult<SocketAddrV4> {
    let address = collector
        .get(uapi::NETFLOW_A_COLLECTOR_ADDRESS)?
        .ok_or(ExtAck::new(
            EINVAL,
            c"no address of the collector given: give its IPv4 address",
        ))?;
    let address = ipv4(
        address.bytes(),
        c"the collector's address must be an IPv4 address, of four bytes",
    )?;
    check_host(address).map_err(|text| ExtAck::new(EINVAL, text))?;
    let port = match collector.get(uapi::NETFLOW_A_COLLECTOR_PORT)? {
        Some(port) => port
            .u16()
            .ok_or(ExtAck::new(EINVAL, c"the port must be of two bytes"))?,
        None => protocol.port(),
    };
    Ok(SocketAddrV4::new(address, port))
}

/// An address of four bytes, or else that text.
fn ipv4(bytes: &[u8], text: &'static CStr) -> ExtResult<Ipv4Addr> {
    let octets: [u8; 4] = bytes
        .try_into()
        .map_err(|_| ExtAck::new(EAFNOSUPPORT, text))?;
    Ok(Ipv4Addr::from(octets))
}

/// Checks that an address can be that of one host. The error says what to change.
fn check_host(address: Ipv4Addr) -> Result<(), &'static CStr> {
    match address.octets() {
        [0, ..] => Err(c"0.0.0.0/8 means no other host: give the address of the collector"),
        [224..=239, ..] => Err(c"224.0.0.0/4 are multicast groups: give the address of one host"),
        [240..=255, ..] => {
            Err(c"240.0.0.0/4 is reserved or broadcast: give the address of one host")
        }
        _ => Ok(()),
    }
}

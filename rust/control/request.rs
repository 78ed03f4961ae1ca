// SPDX-License-Identifier: GPL-2.0

//! Requests that change something. A refused one changes nothing, and its text says what to change.
//!
//! What the policy of the attributes refuses does not come here: it has a text of the kernel, which
//! says what is wrong.

use core::net::{
    IpAddr,
    Ipv4Addr,
    Ipv6Addr,
    SocketAddr, //
};

use kernel::prelude::*;

use super::Request;
use crate::{
    bindings as uapi,
    config::Config,
    export::destination::{
        is_link_local,
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
        ENOENT => {
            c"no such collector: give address and port as the list shows them; with a link-local \
                    address, the device too"
        }
        ENOSPC => text!(
            "there are " {uapi::NETFLOW_MAX_COLLECTORS}
            " collectors, no more are possible: remove one"
        ),
        EADDRNOTAVAIL => {
            c"the source must be an address of this host, and not be tentative; with a device in \
                           a VRF, of that VRF"
        }
        ENODEV => c"no such device: give the name of an interface, or of a VRF",
        EADDRINUSE => c"no local UDP port is free: widen net.ipv4.ip_local_port_range",
        EAFNOSUPPORT => {
            c"this kernel has no sockets of that IP version: boot one that has (for IPv6, without \
                          ipv6.disable=1)"
        }
        ENETDOWN => {
            c"IPv6 is disabled on all interfaces of this namespace: set \
                       net.ipv6.conf.*.disable_ipv6 to 0"
        }
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
    let device = device(nest)?;
    let address = address(nest, protocol, device)?;
    let to = Destination {
        protocol,
        address,
        source: source(nest, address.ip(), device)?,
        device,
    };
    request.state()?.add_collector(to).map_err(explain)
}

/// Removes a Collector.
pub(super) fn remove_collector(request: &Request<'_>) -> ExtResult {
    let nest = collector(request)?;
    let device = device(nest)?;
    let address = address(nest, Protocol::V5, device)?;
    request
        .state()?
        .remove_collector(address, device)
        .map_err(explain)
}

/// The attributes of the Collector that a request names.
fn collector<'a>(request: &'a Request<'_>) -> ExtResult<Attributes<'a>> {
    let nest = request.attributes().nest(uapi::NETFLOW_A_INFO_COLLECTOR)?;
    nest.ok_or(ExtAck::new(EINVAL, c"no collector given: give its address"))
}

/// The device of a Collector, if one is given.
fn device(collector: Attributes<'_>) -> ExtResult<Option<DeviceName>> {
    match collector.get(uapi::NETFLOW_A_COLLECTOR_DEVICE)? {
        Some(device) => {
            let name = DeviceName::new(device.bytes()).ok_or(ENODEV);
            name.map(Some).map_err(explain)
        }
        None => Ok(None),
    }
}

/// Address and port of a Collector, which unless given is that of `protocol`.
fn address(
    collector: Attributes<'_>,
    protocol: Protocol,
    device: Option<DeviceName>,
) -> ExtResult<SocketAddr> {
    let address = collector
        .get(uapi::NETFLOW_A_COLLECTOR_ADDRESS)?
        .ok_or(ExtAck::new(
            EINVAL,
            c"no address of the collector given: give its IP address",
        ))?;
    let address = ip(
        address.bytes(),
        c"the collector's address must be an IP address, of 4 or 16 bytes",
    )?;
    check_host(address).map_err(|text| ExtAck::new(EINVAL, text))?;
    if is_link_local(address) && device.is_none() {
        return Err(ExtAck::new(
            EINVAL,
            c"fe80::/10 are link-local addresses: give the interface of the link, too, as \
              %INTERFACE or as device",
        ));
    }
    let port = match collector.get(uapi::NETFLOW_A_COLLECTOR_PORT)? {
        Some(port) => port
            .u16()
            .ok_or(ExtAck::new(EINVAL, c"the port must be of two bytes"))?,
        None => protocol.port(),
    };
    Ok(SocketAddr::new(address, port))
}

/// Where datagrams to a Collector at `to` come from: of its family, unspecified unless given.
fn source(collector: Attributes<'_>, to: IpAddr, device: Option<DeviceName>) -> ExtResult<IpAddr> {
    let refused = |text| Err(ExtAck::new(EINVAL, text));
    let source = match collector.get(uapi::NETFLOW_A_COLLECTOR_SOURCE)? {
        Some(source) => ip(
            source.bytes(),
            c"the source must be an IP address, of 4 or 16 bytes",
        )?,
        None => match to {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        },
    };
    match (to, source) {
        (IpAddr::V4(_), IpAddr::V6(_)) => {
            refused(c"the collector has an IPv4 address: give an IPv4 address as source")
        }
        (IpAddr::V6(_), IpAddr::V4(_)) => {
            refused(c"the collector has an IPv6 address: give an IPv6 address as source")
        }
        (_, IpAddr::V6(source)) if source.to_ipv4_mapped().is_some() => {
            refused(c"::ffff:0:0/96 are IPv4 addresses: give an IPv6 address as source")
        }
        (_, source) if source.is_multicast() => Err(explain(EADDRNOTAVAIL)),
        (_, source) if is_link_local(source) && device.is_none() => {
            refused(c"the source is a link-local address: give the interface of the link as device")
        }
        _ => Ok(source),
    }
}

/// An address of 4 or 16 bytes, or else that text.
fn ip(bytes: &[u8], text: &'static CStr) -> ExtResult<IpAddr> {
    let ipv4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    ipv4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .map_err(|_| ExtAck::new(EAFNOSUPPORT, text))
}

/// Checks that an address can be that of one host. The error says what to change.
fn check_host(address: IpAddr) -> Result<(), &'static CStr> {
    match address {
        IpAddr::V4(address) => match address.octets() {
            [0, ..] => Err(c"0.0.0.0/8 means no other host: give the address of the collector"),
            [224..=239, ..] => {
                Err(c"224.0.0.0/4 are multicast groups: give the address of one host")
            }
            [240..=255, ..] => {
                Err(c"240.0.0.0/4 is reserved or broadcast: give the address of one host")
            }
            _ => Ok(()),
        },
        IpAddr::V6(address) if address.is_unspecified() => {
            Err(c":: means no other host: give the address of the collector")
        }
        IpAddr::V6(address) if address.is_multicast() => {
            Err(c"ff00::/8 are multicast groups: give the address of one host")
        }
        IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => {
            Err(c"::ffff:0:0/96 stands for IPv4: give the IPv4 address itself")
        }
        IpAddr::V6(_) => Ok(()),
    }
}

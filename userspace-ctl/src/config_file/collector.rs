// SPDX-License-Identifier: GPL-2.0-only

//! One collector of a file, which may have a host name.

use super::{
    read::{
        At,
        Reader, //
    },
    Destination, //
};
use crate::{
    address::{
        is_link_local,
        parse_host, //
    },
    error::reason,
    protocol::Protocol, //
};
use std::{
    io,
    net::IpAddr, //
};

/// What finds the addresses of a name, and the collectors that there are.
pub(super) struct Lookup<'a> {
    pub now: &'a [Destination],
    pub name: &'a dyn Fn(&str) -> io::Result<Vec<IpAddr>>,
}

/// Reads one table.
pub(super) fn read(
    reader: &mut Reader<'_>,
    value: &At<'_>,
    lookup: &Lookup<'_>,
) -> Option<Destination> {
    let table = reader.table(value, "a collector")?;
    let (mut host, mut port) = (None, None);
    let mut protocol = Protocol::DEFAULT;
    let (mut source, mut device) = (None, None);
    // Whether all but the address, which is asked for last, is right.
    let mut is_right = true;
    for (key, value) in table {
        let at = value.span().start;
        match key.get_ref().as_ref() {
            "address" => host = Some(value),
            "port" => {
                let number = reader.number(value, "port", 1..=u16::MAX.into());
                port = number.and_then(|number| number.try_into().ok());
                is_right &= port.is_some();
            }
            "protocol" => match reader.protocol(value) {
                Some(value) => protocol = value,
                None => is_right = false,
            },
            "source" => {
                let what = "source is an IP address of this host, as a string";
                let text = reader.string(value, what);
                let address = text.and_then(|text| match text.parse::<IpAddr>() {
                    Ok(address) => Some(address),
                    Err(_) => reader.wrong(at, what),
                });
                is_right &= address.is_some();
                // The unspecified one is none.
                source = address.filter(|address| !address.is_unspecified());
            }
            "device" => {
                let name = reader.string(value, "device is the name of an interface or a VRF");
                device = name.and_then(|name| reader.device(at, name));
                is_right &= device.is_some();
            }
            other => {
                let at = key.span().start;
                reader.unknown(at, other, "address, port, protocol, source, device");
            }
        }
    }
    let Some(host) = host else {
        reader.missing(value.span().start, "a collector without address");
        return None;
    };
    let (addresses, scope) = addresses(reader, host, lookup)?;
    if let Some(scope) = scope {
        let at = host.span().start;
        if let Some(other) = device.filter(|device| device != scope) {
            let other = other.escape_debug();
            return reader.wrong(at, format!("the scope is {scope}, but device \"{other}\""));
        }
        device = reader.device(at, scope);
        is_right &= device.is_some();
    } else if device.is_none() && is_right && addresses.iter().any(|ip| is_link_local(*ip)) {
        let at = host.span().start;
        return reader.wrong(
            at,
            "a link-local address without its interface (%INTERFACE)",
        );
    }
    if !is_right {
        return None;
    }
    let port = port.unwrap_or(protocol.port());
    let destination = |address| Destination {
        address,
        port,
        protocol,
        source,
        device: device.clone(),
    };
    let is_there = |address: &&IpAddr| lookup.now.contains(&destination(**address));
    // As long as most are reached by IPv4 as well.
    let is_best = |address: &&IpAddr| address.is_ipv4() == source.is_none_or(|s| s.is_ipv4());
    let all = || addresses.iter();
    let address = all()
        .find(is_there)
        .or(all().find(is_best))
        .or(all().next());
    address.copied().map(destination)
}

/// The addresses of a host, at least one; and the scope, if there is one.
fn addresses<'v>(
    reader: &mut Reader<'_>,
    value: &'v At<'v>,
    lookup: &Lookup<'_>,
) -> Option<(Vec<IpAddr>, Option<&'v str>)> {
    let at = value.span().start;
    let what = "address is an IP address or a host name, as a string";
    let host = reader.string(value, what)?;
    match parse_host(host) {
        Ok((address, scope)) => return Some((vec![address], scope)),
        Err(error) if host.contains('%') => return reader.wrong(at, error),
        Err(_) => {}
    }
    if !is_host_name(host) {
        let host = host.escape_debug();
        return reader.wrong(
            at,
            format!("\"{host}\" is neither an IP address nor a host name"),
        );
    }
    match (lookup.name)(host) {
        Ok(addresses) if !addresses.is_empty() => Some((addresses, None)),
        Ok(_) => reader.unresolved(at, format!("host name {host} has no address")),
        Err(error) => reader.unresolved(at, format!("host name {host}: {}", reason(&error))),
    }
}

/// Whether it is one by its letters. What ends in a number is an address or nothing: the C library
/// would take 10.1 for 10.0.0.1.
fn is_host_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(is_letter);
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253
        && name.split('.').all(is_label)
        && !last.bytes().all(|byte| byte.is_ascii_digit())
}

// SPDX-License-Identifier: GPL-2.0-only

//! Addresses of collectors, as people write them.

use std::net::{
    IpAddr,
    SocketAddr, //
};

/// What names a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The host.
    pub ip: IpAddr,
    /// The UDP port, if one is given.
    pub port: Option<u16>,
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self {
            ip: address.ip(),
            port: Some(address.port()),
        }
    }
}

/// Reads `ADDRESS[:PORT]`: an IPv4 address, an IPv6 address, or either with a port, where that of
/// IPv6 needs brackets. Host names are not looked up. The error is a sentence without an end.
pub fn parse(text: &str) -> Result<Address, String> {
    let (address, port) = split(text)?;
    if address.contains('%') {
        return Err("a scope (%INTERFACE) is not supported".to_owned());
    }
    let ip = address.parse().map_err(|_| {
        format!("\"{address}\" is not an IP address (host names are not looked up)")
    })?;
    let port = port.map(parse_port).transpose()?;
    Ok(Address { ip, port })
}

fn split(text: &str) -> Result<(&str, Option<&str>), String> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or("\"]\" is missing")?;
        if address.parse::<std::net::Ipv4Addr>().is_ok() {
            return Err("brackets are for IPv6 addresses".to_owned());
        }
        return match (rest, rest.strip_prefix(':')) {
            ("", _) => Ok((address, None)),
            (_, Some(port)) => Ok((address, Some(port))),
            _ => Err(format!("\"{rest}\" behind \"]\" is not a port")),
        };
    }
    match text.split_once(':') {
        // More than one colon and no brackets: an IPv6 address without a port.
        Some((_, rest)) if rest.contains(':') => Ok((text, None)),
        Some((address, port)) => Ok((address, Some(port))),
        None => Ok((text, None)),
    }
}

fn parse_port(text: &str) -> Result<u16, String> {
    match text.parse() {
        // The parser of integers would take a sign.
        Ok(port) if port > 0 && !text.starts_with('+') => Ok(port),
        _ => Err(format!("\"{text}\" is not a port (1 to 65535)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, expected_ip, expected_port) in [
            ("10.0.0.1", "10.0.0.1", None),
            ("10.0.0.1:9995", "10.0.0.1", Some(9995)),
            ("10.0.0.1:1", "10.0.0.1", Some(1)),
            ("10.0.0.1:65535", "10.0.0.1", Some(65535)),
            ("2001:db8::1", "2001:db8::1", None),
            ("::1", "::1", None),
            ("[2001:db8::1]", "2001:db8::1", None),
            ("[2001:db8::1]:9995", "2001:db8::1", Some(9995)),
            ("::ffff:10.0.0.1", "::ffff:10.0.0.1", None),
        ] {
            let Address { ip, port } = parse(text).unwrap();
            assert_eq!(
                (&*ip.to_string(), port),
                (expected_ip, expected_port),
                "{text}"
            );
        }
    }

    #[test]
    fn errors_say_what_is_wrong() {
        for (text, expected) in [
            ("", "\"\" is not an IP address"),
            ("collector.example.com", "host names are not looked up"),
            (
                "collector.example.com:2055",
                "\"collector.example.com\" is not",
            ),
            ("10.0.0", "\"10.0.0\" is not an IP address"),
            ("10.0.0.256", "\"10.0.0.256\" is not an IP address"),
            ("10.0.0.1/24", "\"10.0.0.1/24\" is not an IP address"),
            (":2055", "\"\" is not an IP address"),
            ("10.0.0.1:", "\"\" is not a port"),
            ("10.0.0.1:0", "\"0\" is not a port (1 to 65535)"),
            ("10.0.0.1:65536", "\"65536\" is not a port"),
            ("10.0.0.1:+80", "\"+80\" is not a port"),
            ("10.0.0.1:-1", "\"-1\" is not a port"),
            ("10.0.0.1:http", "\"http\" is not a port"),
            ("[10.0.0.1]:2055", "brackets are for IPv6"),
            ("[2001:db8::1", "\"]\" is missing"),
            ("[2001:db8::1]2055", "\"2055\" behind \"]\" is not a port"),
            ("[2001:db8::1]:", "\"\" is not a port"),
            ("[]:2055", "\"\" is not an IP address"),
            ("2001:db8::1::", "\"2001:db8::1::\" is not an IP address"),
            ("fe80::1%eth0", "scope"),
            ("[fe80::1%2]:2055", "scope"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}

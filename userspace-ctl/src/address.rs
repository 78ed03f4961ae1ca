// SPDX-License-Identifier: GPL-2.0-only

//! Addresses of collectors, as people write them.

use std::{
    fmt,
    net::IpAddr, //
};

/// What names a collector, and tells it from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The host.
    pub ip: IpAddr,
    /// The interface of the link that a link-local address is of, if it is given with it.
    pub scope: Option<String>,
    /// The UDP port, if one is given.
    pub port: Option<u16>,
}

impl Address {
    /// That of a collector whose datagrams are sent by a device.
    pub fn of_collector(ip: IpAddr, port: u16, device: Option<&str>) -> Self {
        Self {
            ip,
            scope: device.filter(|_| is_link_local(ip)).map(str::to_owned),
            port: Some(port),
        }
    }

    /// Whether it names the collector at `other`, as far as it says.
    pub fn names(&self, other: &Self) -> bool {
        self.ip == other.ip
            && (self.scope.is_none() || self.scope == other.scope)
            && (self.port.is_none() || self.port == other.port)
    }

    /// Whether it says all that tells collectors apart.
    pub fn is_whole(&self) -> bool {
        self.port.is_some() && (self.scope.is_some() || !is_link_local(self.ip))
    }
}

/// As [`parse`] reads it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut host = self.ip.to_string();
        if let Some(scope) = &self.scope {
            host = format!("{host}%{scope}");
        }
        match (self.ip, self.port) {
            (_, None) => f.write_str(&host),
            (IpAddr::V4(_), Some(port)) => write!(f, "{host}:{port}"),
            (IpAddr::V6(_), Some(port)) => write!(f, "[{host}]:{port}"),
        }
    }
}

/// Whether several hosts may have an address, each on another link.
pub fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

/// Reads `ADDRESS[:PORT]`: an IPv4 address, an IPv6 address, or either with a port, where that of
/// IPv6 needs brackets. Host names are not looked up. The error is a sentence without an end.
pub fn parse(text: &str) -> Result<Address, String> {
    let (host, port) = split(text)?;
    let (ip, scope) = parse_host(host)?;
    let port = port.map(parse_port).transpose()?;
    Ok(Address {
        ip,
        scope: scope.map(str::to_owned),
        port,
    })
}

/// Reads an IP address, and the scope of one that is link-local.
pub fn parse_host(text: &str) -> Result<(IpAddr, Option<&str>), String> {
    let (address, scope) = match text.split_once('%') {
        Some((address, scope)) => (address, Some(scope)),
        None => (text, None),
    };
    let ip = address.parse().map_err(|_| {
        format!("\"{address}\" is not an IP address (host names are not looked up)")
    })?;
    match scope {
        Some("") => Err("no interface behind \"%\"".to_owned()),
        // No interface has it in its name.
        Some(scope) if scope.contains(':') => Err(format!(
            "\"{scope}\" is no interface: a port behind an IPv6 address needs brackets"
        )),
        Some(_) if !is_link_local(ip) => Err(format!(
            "a scope (%INTERFACE) is for link-local addresses: {ip} is none, give the device apart"
        )),
        scope => Ok((ip, scope)),
    }
}

fn split(text: &str) -> Result<(&str, Option<&str>), String> {
    if let Some(rest) = text.strip_prefix('[') {
        // An interface may have brackets in its name.
        let (address, rest) = rest.rsplit_once(']').ok_or("\"]\" is missing")?;
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
            let Address { ip, scope, port } = parse(text).unwrap();
            assert_eq!(
                (&*ip.to_string(), scope, port),
                (expected_ip, None, expected_port),
                "{text}"
            );
        }
    }

    #[test]
    fn a_scope_is_read() {
        for (text, expected_scope, expected_port) in [
            ("fe80::1", None, None),
            ("fe80::1%eth0", Some("eth0"), None),
            ("[fe80::1%eth0]", Some("eth0"), None),
            ("[fe80::1%eth0.7]:9995", Some("eth0.7"), Some(9995)),
            ("[fe80::1%a]b]:9995", Some("a]b"), Some(9995)),
        ] {
            let Address { ip, scope, port } = parse(text).unwrap();
            assert_eq!(
                (&*ip.to_string(), scope.as_deref(), port),
                ("fe80::1", expected_scope, expected_port),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in [
            "10.0.0.1",
            "10.0.0.1:9995",
            "2001:db8::1",
            "[2001:db8::1]:9995",
            "fe80::1%eth0",
            "[fe80::1%eth0]:9995",
        ] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_device_of_a_collector_is_the_scope_of_a_link_local_address() {
        for (ip, expected) in [
            ("10.0.0.1", "10.0.0.1:2055"),
            ("2001:db8::1", "[2001:db8::1]:2055"),
            ("fe80::1", "[fe80::1%eth0]:2055"),
        ] {
            let address = Address::of_collector(ip.parse().unwrap(), 2055, Some("eth0"));
            assert_eq!(address.to_string(), expected);
        }
    }

    #[test]
    fn what_is_not_said_fits_all() {
        let collector = parse("[fe80::1%eth0]:2055").unwrap();
        for (text, names, is_whole) in [
            ("fe80::1", true, false),
            ("[fe80::1]:2055", true, false),
            ("fe80::1%eth0", true, false),
            ("[fe80::1%eth0]:2055", true, true),
            ("fe80::1%eth1", false, false),
            ("[fe80::1]:2056", false, false),
            ("fe80::2", false, false),
            ("[2001:db8::1]:2055", false, true),
        ] {
            let given = parse(text).unwrap();
            assert_eq!(
                (given.names(&collector), given.is_whole()),
                (names, is_whole),
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
            ("fe80::1%", "no interface behind \"%\""),
            ("[fe80::1%]:2055", "no interface behind \"%\""),
            ("2001:db8::1%eth0", "2001:db8::1 is none"),
            ("[ff02::1%eth0]:2055", "for link-local addresses"),
            ("10.0.0.1%eth0", "for link-local addresses"),
            ("fe80::1%eth0:2055", "needs brackets"),
            ("%eth0", "\"\" is not an IP address"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}

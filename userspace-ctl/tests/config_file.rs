// SPDX-License-Identifier: GPL-2.0-only

//! Files for `apply`: what they mean, and how their mistakes are told.

#![allow(clippy::panic, clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod support;

use netflowctl::{
    config_file::{
        read,
        Destination,
        Unreadable,
        Wanted,
        EXAMPLE, //
    },
    protocol::Protocol,
    uapi::SETTINGS, //
};
use std::{
    io,
    net::IpAddr, //
};
use support::config;

/// Names of hosts, as a test has them.
fn hosts(name: &str) -> io::Result<Vec<IpAddr>> {
    let addresses: &[&str] = match name {
        "one.example" => &["192.0.2.1"],
        "both.example" => &["2001:db8::2", "192.0.2.2", "192.0.2.3"],
        "v6.example." => &["2001:db8::6"],
        "none.example" => &[],
        _ => return Err(io::Error::other("Name or service not known")),
    };
    Ok(addresses.iter().map(|a| a.parse().unwrap()).collect())
}

fn wanted(text: &str) -> Wanted {
    match read(text, &[], hosts) {
        Ok(wanted) => wanted,
        Err(Unreadable::Wrong(why) | Unreadable::Unresolved(why)) => panic!("{}", why.of_file("f")),
    }
}

/// All mistakes of a text, without the name of the file.
fn mistakes(text: &str) -> String {
    match read(text, &[], hosts) {
        Ok(wanted) => panic!("{wanted:?}"),
        Err(Unreadable::Wrong(why)) => why.of_file("f").to_string().replace("f:", ""),
        Err(Unreadable::Unresolved(_)) => panic!("only names are not found"),
    }
}

fn to(address: &str, source: Option<&str>, device: Option<&str>) -> Destination {
    let address: std::net::SocketAddr = address.parse().unwrap();
    Destination {
        address: address.ip(),
        port: address.port(),
        protocol: Protocol::DEFAULT,
        source: source.map(|source| source.parse().unwrap()),
        device: device.map(str::to_owned),
    }
}

#[test]
fn a_file_says_what_is_wanted() {
    let text = r#"
        enabled = true
        settings = { expiry = "strict", observe = ["output", "prerouting"], count-own = true }
        [[collectors]]
        address = "192.0.2.10"
        [[collectors]]
        address = "2001:db8::1"
        port = 9_995
        source = "2001:db8::7"
        device = "mgmt"
        [[collectors]]
        address = "192.0.2.11"
        protocol = "ipfix"
        [[collectors]]
        address = "192.0.2.12"
        port = 9
        protocol = "v9"
        [[collectors]]
        address = "fe80::1%eth0"
        [[collectors]]
        address = "fe80::1%eth1"
        device = "eth1"
        [interfaces]
        eth0 = 7
        "eth0.100" = 0x1_0000
    "#;
    let expected = Wanted {
        enabled: true,
        config: config(&[("expiry", 1), ("observe", 0b1001), ("count-own", 1)]),
        collectors: vec![
            to("192.0.2.10:2055", None, None),
            to("[2001:db8::1]:9995", Some("2001:db8::7"), Some("mgmt")),
            Destination {
                protocol: Protocol::from_name("ipfix").unwrap(),
                ..to("192.0.2.11:4739", None, None)
            },
            Destination {
                protocol: Protocol::from_name("v9").unwrap(),
                ..to("192.0.2.12:9", None, None)
            },
            to("[fe80::1]:2055", None, Some("eth0")),
            to("[fe80::1]:2055", None, Some("eth1")),
        ],
        ifaces: [("eth0".to_owned(), 7), ("eth0.100".to_owned(), 65536)].into(),
    };
    assert_eq!(wanted(text), expected);
    assert_eq!(wanted("enabled = false"), Wanted::default());
}

#[test]
fn the_example_is_right() {
    let wanted = wanted(EXAMPLE);
    assert!(wanted.enabled);
    assert_eq!(
        wanted.config,
        config(&[("max-flows", 262_144), ("active-timeout", 300)])
    );
    assert_eq!(wanted.collectors, [to("192.0.2.10:2055", None, None)]);
    // What is commented out there, too.
    let all = EXAMPLE.lines().map(|line| {
        let code = line
            .strip_prefix("# ")
            .filter(|line| line.starts_with("[[") || line.split(' ').nth(1) == Some("="));
        code.unwrap_or(line)
    });
    let all = self::wanted(&all.collect::<Vec<_>>().join("\n"));
    assert_eq!(
        all.collectors[1],
        Destination {
            protocol: Protocol::from_name("ipfix").unwrap(),
            ..to("198.51.100.7:4739", Some("203.0.113.1"), Some("mgmt"))
        }
    );
    assert_eq!(
        all.ifaces,
        [("eth0".to_owned(), 1), ("eth0.100".to_owned(), 100)].into()
    );
}

#[test]
fn all_mistakes_are_told_with_their_places() {
    let text = r#"
enabled = "yes"
enable = true
[settings]
max-flows = 0
active_timeout = 300
expiry = "eager"
observe = ["input", "exit", 5]
count-own = "on"
engine-id = 256
[[collectors]]
address = "10.0.0.256"
port = 65536
protocol = "netflow"
[[collectors]]
adress = "192.0.2.1"
source = "eth0"
device = "no/name"
[[collectors]]
address = "192.0.2.9"
[[collectors]]
address = "192.0.2.9"
[interfaces]
eth0.100 = 5
eth1 = 0
eth2 = 4294967296
"ö 1" = "1"
"#;
    let expected = r#"2:11: enabled is true or false
3:1: "enable" is unknown, there are: enabled, settings, collectors, interfaces
5:13: max-flows is a number from 1 to 8388608
6:1: "active_timeout" is unknown, there are: SETTINGS
7:10: expiry is one of "lazy", "strict"
8:21: observe is an array of "prerouting", "input", "forward", "output", "postrouting"
8:29: observe is an array of "prerouting", "input", "forward", "output", "postrouting"
9:13: count-own is true or false
10:13: engine-id is a number from 0 to 255
12:11: "10.0.0.256" is neither an IP address nor a host name
13:8: port is a number from 1 to 65535
14:12: protocol is one of v5, v9, ipfix, as a string
15:1: a collector without address
16:1: "adress" is unknown, there are: address, port, protocol, source, device
17:10: source is an IP address of this host, as a string
18:10: "no/name" is not a name of an interface
21:1: 192.0.2.9:2055 is there twice
24:1: a name with a dot needs quotes, as in "eth0.100" = 100
25:8: eth1 is a number from 1 to 4294967295
26:8: eth2 is a number from 1 to 4294967295
27:1: "ö 1" is not a name of an interface
27:9: ö 1 is a number from 1 to 4294967295"#;
    let settings: Vec<_> = SETTINGS.iter().map(|setting| setting.name).collect();
    let expected = expected.replace("SETTINGS", &settings.join(", "));
    assert_eq!(mistakes(text), expected);
}

#[test]
fn what_is_no_toml_is_told_with_the_rest() {
    let told = mistakes("enabled = true\n[settings]\nexpiry = \"eager\"\nengine-id = = 5\n");
    let places: Vec<_> = told
        .lines()
        .map(|line| line.split(": ").next().unwrap())
        .collect();
    assert_eq!(places, ["3:10", "4:13", "4:15"], "{told}");
    assert_eq!(
        mistakes("enabled = true\nenabled = false\n"),
        "2:1: duplicate key"
    );
    // That something is missing is told only if nothing was left out.
    assert_eq!(mistakes("enabled\n").lines().count(), 1);
    assert_eq!(mistakes(""), "1:1: enabled is missing: true or false");
}

#[test]
fn tables_are_told_from_values() {
    for (text, expected) in [
        ("settings = 5", "settings is a table"),
        ("collectors = \"192.0.2.1\"", "[[collectors]]"),
        ("[collectors]\naddress = \"192.0.2.1\"", "[[collectors]]"),
        ("collectors = [\"192.0.2.1\"]", "a collector is a table"),
        ("interfaces = [7]", "interfaces is a table"),
        (
            "settings.observe = \"input\"",
            "observe is an array of \"pre",
        ),
        ("settings.max-flows = -1", "max-flows is a number from 1"),
        ("settings.max-flows = 1e3", "max-flows is a number from 1"),
        (
            "collectors = [{ address = 5 }]",
            "address is an IP address or",
        ),
        (
            "collectors = [{ address = \"192.0.2.1:2055\" }]",
            "neither an IP",
        ),
        (
            "collectors = [{ address = \"2001:db8::1%eth0\" }]",
            "for link-local addresses",
        ),
        (
            "collectors = [{ address = \"fe80::1\" }]",
            "a link-local address without its interface",
        ),
        (
            "collectors = [{ address = \"fe80::1%\" }]",
            "no interface behind",
        ),
        (
            "collectors = [{ address = \"fe80::1%e/0\" }]",
            "\"e/0\" is not a name of an interface",
        ),
        (
            "collectors = [{ address = \"fe80::1%eth0\", device = \"eth1\" }]",
            "the scope is eth0, but device \"eth1\"",
        ),
        (
            "collectors = [{ address = \"fe80::1%e\" }, { address = \"fe80::1\", device = \"e\" }]",
            "[fe80::1%e]:2055 is there twice",
        ),
        ("collectors = [{ address = \"10.1\" }]", "neither an IP"),
        ("collectors = [{ address = \"a..b\" }]", "neither an IP"),
        ("collectors = [{ address = \"\" }]", "neither an IP"),
        (
            "collectors = [{ address = \"192.0.2.1\", port = 0 }]",
            "port is a number from 1 to",
        ),
        (
            "interfaces.a-name-of-16-chr = 1",
            "is not a name of an interface",
        ),
        ("interfaces.\"\" = 1", "is not a name of an interface"),
        ("interfaces.\"..\" = 1", "is not a name of an interface"),
    ] {
        let told = mistakes(&format!("enabled = true\n{text}"));
        assert_eq!(told.lines().count(), 1, "{text}: {told}");
        assert!(told.contains(expected), "{text}: {told}");
    }
}

#[test]
fn the_unspecified_address_is_no_source() {
    for (address, source, expected) in [
        ("192.0.2.1", "0.0.0.0", "192.0.2.1:2055"),
        ("2001:db8::1", "::", "[2001:db8::1]:2055"),
    ] {
        let text = format!(
            "enabled = true\n[[collectors]]\naddress = \"{address}\"\nsource = \"{source}\""
        );
        assert_eq!(wanted(&text).collectors, [to(expected, None, None)]);
    }
}

#[test]
fn there_are_limits_of_numbers() {
    let collector = |n| format!("[[collectors]]\naddress = \"192.0.2.{n}\"\n");
    let text = |n| {
        (1..=n)
            .map(collector)
            .fold("enabled = true\n".to_owned(), |a, b| a + &b)
    };
    assert_eq!(wanted(&text(16)).collectors.len(), 16);
    assert_eq!(mistakes(&text(17)), "34:1: there are 16 collectors at most");
    let ifaces = |n| {
        let names = (0..n).map(|n| format!("p{n} = 1\n"));
        "enabled = true\n[interfaces]\n".to_owned() + &names.collect::<String>()
    };
    assert_eq!(wanted(&ifaces(4096)).ifaces.len(), 4096);
    assert_eq!(
        mistakes(&ifaces(4097)),
        "2:1: there are 4096 numbers of interfaces at most"
    );
}

#[test]
fn names_of_hosts_are_looked_up() {
    let collectors = |text: &str, now: &[Destination]| {
        let text = format!("enabled = true\n[[collectors]]\n{text}\n");
        read(&text, now, hosts).map(|wanted| wanted.collectors)
    };
    let one = |address, source| Ok(vec![to(address, source, None)]);
    for (text, now, expected) in [
        (
            "address = \"one.example\"",
            vec![],
            one("192.0.2.1:2055", None),
        ),
        // The first of IPv4, or of the family of the source.
        (
            "address = \"both.example\"",
            vec![],
            one("192.0.2.2:2055", None),
        ),
        (
            "address = \"both.example\"\nsource = \"2001:db8::9\"",
            vec![],
            one("[2001:db8::2]:2055", Some("2001:db8::9")),
        ),
        (
            "address = \"v6.example.\"",
            vec![],
            one("[2001:db8::6]:2055", None),
        ),
        // The one that is in use.
        (
            "address = \"both.example\"",
            vec![to("192.0.2.3:2055", None, None)],
            one("192.0.2.3:2055", None),
        ),
        (
            "address = \"both.example\"\nport = 9",
            vec![to("192.0.2.3:2055", None, None)],
            one("192.0.2.2:9", None),
        ),
    ] {
        assert_eq!(collectors(text, &now), expected, "{text}");
    }
}

#[test]
fn names_that_are_not_found_are_told_when_the_rest_is_right() {
    let text = "enabled = true\ncollectors = [\n{ address = \"none.example\" },\n\
                { address = \"a-b_c.example\" }, { address = \"one.example\" }]\n";
    let Err(Unreadable::Unresolved(why)) = read(text, &[], hosts) else {
        panic!("names are found that there are not");
    };
    assert_eq!(
        why.of_file("netflow.toml").to_string(),
        "netflow.toml:3:13: host name none.example has no address\n\
         netflow.toml:4:13: host name a-b_c.example: Name or service not known"
    );
    assert_eq!(
        mistakes(&format!("{text}settings = 5")),
        "5:12: settings is a table"
    );
}

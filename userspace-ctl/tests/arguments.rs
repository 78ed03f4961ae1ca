// SPDX-License-Identifier: GPL-2.0-only

//! What the command line is understood as.

#![allow(clippy::panic, clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod support;

use clap::{
    CommandFactory,
    Parser, //
};
use netflowctl::{
    cli::{
        usage_error,
        Cli,
        Collector,
        Command, //
    },
    output::json::Layout, //
};
use support::config;

fn parse(arguments: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(arguments.split_whitespace())
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn global_options_go_before_and_after_the_command() {
    for arguments in [
        "netflowctl --json --pretty --netns blue --numeric collector list",
        "netflowctl -j -p --netns=blue -n collector list",
        "netflowctl collector list -jpn --netns blue",
        "netflowctl collector --json -n list --netns blue --pretty",
    ] {
        let options = parse(arguments).unwrap().options;
        assert_eq!(options.layout(), Some(Layout::Pretty));
        assert_eq!(options.netns, ["blue"]);
        assert!(options.numeric);
    }
    assert_eq!(
        parse("netflowctl info -j").unwrap().options.layout(),
        Some(Layout::Compact)
    );
    assert_eq!(parse("netflowctl info -p").unwrap().options.layout(), None);
}

#[test]
fn enable_takes_settings() {
    let settings = |arguments| match parse(arguments).unwrap().command {
        Command::Enable(enable) => enable.config,
        other => panic!("{other:?}"),
    };
    assert_eq!(settings("netflowctl enable"), config(&[]));
    let given = "netflowctl enable --max-flows 7 --active-timeout 60 --inactive-timeout=5";
    let expected = config(&[
        ("max-flows", 7),
        ("active-timeout", 60),
        ("inactive-timeout", 5),
    ]);
    assert_eq!(settings(given), expected);
}

#[test]
fn collectors_have_a_port() {
    let address = |arguments| match parse(arguments).unwrap().command {
        Command::Collector(Collector::Add { to, .. } | Collector::Del(to)) => {
            (to.address.ip.to_string(), to.address.port)
        }
        other => panic!("{other:?}"),
    };
    let is = |ip: &str, port| (ip.to_owned(), port);
    for (arguments, expected) in [
        ("netflowctl collector add 10.0.0.1", is("10.0.0.1", None)),
        (
            "netflowctl collector del 10.0.0.1:9",
            is("10.0.0.1", Some(9)),
        ),
        ("netflowctl collector delete ::1", is("::1", None)),
    ] {
        assert_eq!(address(arguments), expected);
    }
}

#[test]
fn a_collector_has_a_protocol() {
    let protocol = |arguments: &str| match parse(arguments).unwrap().command {
        Command::Collector(Collector::Add { protocol, .. }) => protocol,
        other => panic!("{other:?}"),
    };
    for (arguments, expected) in [
        ("netflowctl collector add 10.0.0.1", 0),
        ("netflowctl collector add 10.0.0.1 --protocol v5", 0),
        ("netflowctl collector add 10.0.0.1 --protocol v9", 1),
        ("netflowctl collector add --protocol ipfix 10.0.0.1:9", 2),
    ] {
        assert_eq!(protocol(arguments).number(), expected);
    }
    let error = parse("netflowctl collector add 10.0.0.1 --protocol v7").unwrap_err();
    assert!(error.to_string().contains("v5, v9, ipfix"), "{error}");
}

#[test]
fn a_collector_may_have_a_source_and_a_device() {
    let added = |arguments| match parse(arguments).unwrap().command {
        Command::Collector(Collector::Add { source, device, .. }) => (source, device),
        other => panic!("{other:?}"),
    };
    assert_eq!(added("netflowctl collector add 10.0.0.1"), (None, None));
    let source = Some("192.0.2.1".parse().unwrap());
    assert_eq!(
        added("netflowctl collector add 10.0.0.1 --source 192.0.2.1 --device mgmt"),
        (source, Some("mgmt".to_owned()))
    );
    assert!(parse("netflowctl collector add 10.0.0.1 --source mgmt").is_err());
    assert!(parse("netflowctl collector del 10.0.0.1 --device mgmt").is_err());
}

#[test]
fn a_scope_and_a_device_are_the_same() {
    let read = |arguments: &str| Cli::read(arguments.split_whitespace());
    for arguments in [
        "netflowctl collector add fe80::1%eth0",
        "netflowctl collector add fe80::1 --device eth0",
        "netflowctl collector add fe80::1%eth0 --device eth0",
        "netflowctl collector add 2001:db8::1 --device eth0",
    ] {
        assert!(read(arguments).is_ok(), "{arguments}");
    }
    let error = read("netflowctl collector add [fe80::1%eth0]:9 --device eth1").unwrap_err();
    let line = usage_error(&error).unwrap();
    let expected = "'[fe80::1%eth0]:9' and '--device eth1' differ in the interface";
    assert!(line.contains(expected), "{line}");
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn a_usage_error_is_one_line() {
    for (arguments, expected) in [
        (
            "netflowctl frobnicate",
            "unrecognized subcommand 'frobnicate'",
        ),
        ("netflowctl inf", "exists: 'info'"),
        ("netflowctl info extra", "unexpected argument 'extra'"),
        ("netflowctl enable --max-flows", "--max-flows <N>"),
        ("netflowctl enable --max-flows many", "invalid value 'many'"),
        ("netflowctl enable --max-flows -1", "'-1'"),
        ("netflowctl enable --max-flows 4294967296", "4294967296"),
        (
            "netflowctl enable --max-flows 1 --max-flows 2",
            "cannot be used multiple times",
        ),
        ("netflowctl collector add", "<ADDRESS[:PORT]>"),
        (
            "netflowctl collector add host:1",
            "host names are not looked up",
        ),
        ("netflowctl collector add 10.0.0.1:0", "\"0\" is not a port"),
        ("netflowctl --netns= info", "--netns <NAME>"),
        ("netflowctl completions ksh", "invalid value 'ksh'"),
    ] {
        let error = parse(arguments).unwrap_err();
        let line = usage_error(&error).unwrap();
        assert!(line.contains(expected), "{arguments}: {line}");
        assert!(!line.contains('\n'), "{arguments}: {line}");
        assert_eq!(error.exit_code(), 2);
    }
}

#[test]
fn help_is_no_usage_error() {
    for arguments in [
        "netflowctl --help",
        "netflowctl help enable",
        "netflowctl --version",
        "netflowctl",
        "netflowctl collector",
    ] {
        assert!(
            usage_error(&parse(arguments).unwrap_err()).is_none(),
            "{arguments}"
        );
    }
}

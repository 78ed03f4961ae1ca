// SPDX-License-Identifier: GPL-2.0-only

//! Numbers of interfaces: how they are given, and how they are shown.

#![allow(clippy::panic, clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod support;

use clap::Parser;
use netflowctl::{
    cli::{
        usage_error,
        Cli,
        Command,
        Iface, //
    },
    error::Error, //
};
use support::{
    run::{
        attempt,
        print, //
    },
    *, //
};

#[test]
fn interfaces_are_listed() {
    assert_eq!(
        print("netflowctl iface list", vec![info(FIRST)]),
        "INTERFACE  INDEX  NUMBER\nlo             1   70000\n"
    );
    assert_eq!(
        print("netflowctl iface list -n", vec![info(FIRST)]),
        "INTERFACE  INDEX  NUMBER\n1              1   70000\n"
    );
    let expected = "[{\"ifindex\":1,\"ifname\":\"lo\",\"number\":70000}]\n";
    assert_eq!(
        print("netflowctl iface list -j", vec![info(FIRST)]),
        expected
    );
    for command in [
        "iface set lo --number 70000",
        "iface del lo",
        "iface delete 1",
    ] {
        let command = format!("netflowctl {command}");
        assert_eq!(print(&command, vec![ack(FIRST)]), "");
        let answers = vec![ack(FIRST), info(FIRST + 1)];
        assert_eq!(print(&format!("{command} -j"), answers), expected);
    }
}

#[test]
fn an_interface_that_is_gone_has_no_name() {
    let gone = nest(11, &[nla_u32(1, 4_000_000_000), nla_u32(2, 7)]);
    let state = || vec![[reply(0, FIRST, 1, &gone), ack(FIRST)].concat()];
    assert_eq!(
        print("netflowctl iface list --json", state()),
        "[{\"ifindex\":4000000000,\"ifname\":null,\"number\":7}]\n"
    );
    let text = print("netflowctl iface list", state());
    assert!(text.ends_with("\nif4000000000  4000000000       7\n"));
}

#[test]
#[cfg(target_endian = "little")]
fn interfaces_are_given_by_name_or_index() {
    for (device, index) in [
        ("lo", [1, 0, 0, 0]),
        ("1", [1, 0, 0, 0]),
        ("if258", [2, 1, 0, 0]),
    ] {
        let command = format!("netflowctl iface set {device} --number 9");
        let run = attempt(&command, vec![ack(FIRST)]);
        assert_eq!(run.requests[0][24..32], [[8, 0, 1, 0], index].concat());
        assert_eq!(run.requests[0][32..40], [8, 0, 2, 0, 9, 0, 0, 0]);
    }
}

#[test]
fn an_unknown_interface_is_not_asked_for() {
    for command in ["iface set nowhere --number 7", "iface del nowhere"] {
        let run = attempt(&format!("netflowctl {command}"), Vec::new());
        assert!(run.requests.is_empty());
        let error = run.result.unwrap_err();
        assert!(matches!(error, Error::NoInterface(_)));
        assert_eq!(
            error.to_string(),
            "no interface \"nowhere\" in this network namespace"
        );
    }
}

#[test]
fn a_number_is_needed() {
    for arguments in [
        "iface set lo",
        "iface set --number 7",
        "iface set lo --number -1",
        "iface set lo --number 4294967296",
        "iface set lo --number many",
        "iface del",
    ] {
        let words = format!("netflowctl {arguments}");
        let error = Cli::try_parse_from(words.split(' ')).unwrap_err();
        assert!(usage_error(&error).is_some(), "{arguments}");
    }
    let cli = Cli::try_parse_from("netflowctl iface set lo --number 4294967295".split(' '));
    let Command::Iface(Iface::Set { device, number }) = cli.unwrap().command else {
        panic!("not iface set");
    };
    assert_eq!((device.name.as_str(), number), ("lo", u32::MAX));
}

#[test]
fn flows_name_the_interfaces_that_their_numbers_stand_for() {
    let flow = FlowBytes {
        interfaces: (70_000, 0),
        ..TCP_FLOW
    };
    let sent_here = FlowBytes {
        interfaces: (0, 70_000),
        ..TCP_FLOW
    };
    let seq = FIRST + 1;
    let dump = [flow.message(seq), sent_here.message(seq), done(seq)].concat();
    for (arguments, name) in [("flows", "lo"), ("flows -n", "70000")] {
        let answers = vec![info(FIRST), dump.clone()];
        let text = print(&format!("netflowctl {arguments}"), answers);
        let interfaces = |line: usize| {
            let words: Vec<_> = text.lines().nth(line).unwrap().split_whitespace().collect();
            format!("{} {}", words[5], words[6])
        };
        assert_eq!(interfaces(1), format!("{name} -"));
        assert_eq!(interfaces(2), format!("- {name}"));
    }
}

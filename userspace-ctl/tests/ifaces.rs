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
    for command in ["netflowctl iface list", "netflowctl iface list -n"] {
        assert_eq!(
            print(command, vec![ifaces(FIRST)]),
            "INTERFACE  INDEX  NUMBER\nlo             1   70000\n"
        );
    }
    let expected = "[{\"ifindex\":1,\"ifname\":\"lo\",\"number\":70000}]\n";
    assert_eq!(
        print("netflowctl iface list -j", vec![ifaces(FIRST)]),
        expected
    );
    for command in [
        "iface set lo --number 70000",
        "iface del lo",
        "iface delete 1",
    ] {
        let command = format!("netflowctl {command}");
        assert_eq!(print(&command, vec![ack(FIRST)]), "");
        let answers = vec![ack(FIRST), ifaces(FIRST + 1)];
        assert_eq!(print(&format!("{command} -j"), answers), expected);
    }
}

#[test]
fn a_name_that_no_interface_has_now_is_listed_without_index() {
    let attributes = [nla(1, b"p\x1bp0\0"), nla_u32(2, 7)].concat();
    let iface = reply(NLM_F_MULTI, FIRST, IFACE_GET, &attributes);
    let answers = || vec![[iface.clone(), done(FIRST)].concat()];
    assert_eq!(
        print("netflowctl iface list --json", answers()),
        "[{\"ifindex\":null,\"ifname\":\"p\\u001bp0\",\"number\":7}]\n"
    );
    let text = print("netflowctl iface list", answers());
    assert!(text.ends_with("\np?p0           -       7\n"), "{text}");
}

#[test]
fn a_list_that_changed_meanwhile_is_an_error() {
    let attributes = [nla(1, b"lo\0"), nla_u32(2, 7)].concat();
    let iface = reply(NLM_F_MULTI | NLM_F_DUMP_INTR, FIRST, IFACE_GET, &attributes);
    let run = attempt("netflowctl iface list", vec![[iface, done(FIRST)].concat()]);
    assert_eq!(run.text, "");
    assert!(matches!(run.result, Err(Error::Interrupted)));
}

#[test]
#[cfg(target_endian = "little")]
fn interfaces_are_given_by_name_or_index() {
    for (device, name) in [
        ("lo", &[7, 0, 1, 0, b'l', b'o', 0, 0][..]),
        ("1", &[7, 0, 1, 0, b'l', b'o', 0, 0]),
        ("if1", &[7, 0, 1, 0, b'l', b'o', 0, 0]),
        (
            "ppp0-x",
            &[11, 0, 1, 0, b'p', b'p', b'p', b'0', b'-', b'x', 0, 0],
        ),
    ] {
        let command = format!("netflowctl iface set {device} --number 9");
        let run = attempt(&command, vec![ack(FIRST)]);
        let number = [8, 0, 2, 0, 9, 0, 0, 0];
        assert_eq!(run.requests[0][20..], [name, &number].concat());
    }
}

#[test]
fn an_unknown_index_is_not_asked_for() {
    for command in ["iface set 4000000000 --number 7", "iface del if4000000000"] {
        let run = attempt(&format!("netflowctl {command}"), Vec::new());
        assert!(run.requests.is_empty());
        let error = run.result.unwrap_err();
        assert!(matches!(error, Error::NoInterface(_)));
        assert!(
            error
                .to_string()
                .ends_with("4000000000\" in this network namespace"),
            "{error}"
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
    let dump = |seq| [flow.message(seq), sent_here.message(seq), done(seq)].concat();
    for (arguments, name, answers) in [
        (
            "flows",
            "lo",
            [state(FIRST), vec![dump(FIRST + 2)]].concat(),
        ),
        ("flows -n", "70000", vec![info(FIRST), dump(FIRST + 1)]),
    ] {
        let text = print(&format!("netflowctl {arguments}"), answers);
        let interfaces = |line: usize| {
            let words: Vec<_> = text.lines().nth(line).unwrap().split_whitespace().collect();
            format!("{} {}", words[5], words[6])
        };
        assert_eq!(interfaces(1), format!("{name} -"));
        assert_eq!(interfaces(2), format!("- {name}"));
    }
}

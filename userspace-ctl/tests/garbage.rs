// SPDX-License-Identifier: GPL-2.0-only

//! Whatever bytes arrive: an answer or an error, never a panic and never an endless loop.

#![allow(clippy::panic, clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod support;

use clap::Parser;
use netflowctl::{
    cli::{
        usage_error,
        Cli, //
    },
    client::Client,
    commands,
    messages::{
        Flow,
        Info, //
    }, //
};
use proptest::prelude::*;
use support::*;

/// Bytes of which most have the shape of attributes.
fn attributes() -> impl Strategy<Value = Vec<u8>> {
    let value = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        any::<[u8; 4]>().prop_map(|bytes| bytes.to_vec()),
        any::<[u8; 8]>().prop_map(|bytes| bytes.to_vec()),
    ];
    let attribute = (0u16..25, value).prop_map(|(kind, value)| nla(kind, &value));
    prop::collection::vec(attribute, 0..20).prop_map(|all| all.concat())
}

/// A datagram of messages, cut off somewhere and with some bytes changed.
fn damaged_datagram() -> impl Strategy<Value = Vec<u8>> {
    let message = prop_oneof![
        Just(TCP_FLOW.message(FIRST)),
        Just(info(FIRST)),
        Just(ifaces(FIRST)),
        Just(error(FIRST, 22, &text("why"))),
        Just(done(FIRST)),
        attributes().prop_map(|bytes| reply(0, FIRST, 1, &bytes)),
    ];
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    let messages = prop::collection::vec(message, 1..4);
    (messages, damage, any::<prop::sample::Index>()).prop_map(|(messages, damage, end)| {
        let mut bytes = messages.concat();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(end.index(bytes.len() + 1));
        bytes
    })
}

fn run(arguments: &[&str], answers: Vec<Vec<u8>>) {
    let Ok(mut client) = Client::new(Kernel::with_family(answers)) else {
        return;
    };
    let cli = Cli::parse_from(arguments);
    let _ = commands::execute(&mut client, &cli.command, &cli.options, &mut Vec::new());
}

proptest! {
    #[test]
    fn as_attributes(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = Flow::decode(&bytes);
        let _ = Info::decode(&bytes);
    }

    #[test]
    fn as_values_of_attributes(bytes in attributes()) {
        let _ = Flow::decode(&bytes);
        let _ = Info::decode(&bytes);
    }

    #[test]
    fn as_the_answer_about_the_family(bytes in damaged_datagram()) {
        let _ = Client::new(Kernel::new([bytes]));
    }

    #[test]
    fn as_answers(answers in prop::collection::vec(damaged_datagram(), 1..4)) {
        run(&["netflowctl", "info"], answers.clone());
        run(&["netflowctl", "info", "--prometheus"], answers.clone());
        run(&["netflowctl", "show", "config"], answers.clone());
        run(&["netflowctl", "iface", "list", "--json"], answers.clone());
        run(&["netflowctl", "set", "expiry", "lazy"], answers.clone());
        run(&["netflowctl", "flows", "--json"], answers.clone());
        run(&["netflowctl", "enable", "--max-flows", "1"], answers.clone());
        let second = |bytes: Vec<u8>| [info(FIRST), ifaces(FIRST + 1), bytes].concat();
        run(&["netflowctl", "flows"], answers.into_iter().map(second).collect());
    }

    #[test]
    fn as_settings(words in prop::collection::vec("\\PC*|[a-z-]*=?[a-z,-]*", 0..6)) {
        let arguments = ["netflowctl", "set"].map(str::to_owned).into_iter().chain(words);
        let _ = Cli::try_parse_from(arguments).map_err(|error| usage_error(&error));
    }

    #[test]
    fn as_the_address_of_a_collector(text in "\\PC*") {
        let _ = netflowctl::address::parse(&text);
    }

    #[test]
    fn addresses_are_read_as_they_are_printed(ip in any::<std::net::IpAddr>(), port in 1u16..) {
        let address = std::net::SocketAddr::new(ip, port);
        let is = |port| Ok(netflowctl::address::Address { ip, scope: None, port });
        prop_assert_eq!(netflowctl::address::parse(&address.to_string()), is(Some(port)));
        let with_default = netflowctl::address::parse(&ip.to_string());
        prop_assert_eq!(with_default, is(None));
    }
}

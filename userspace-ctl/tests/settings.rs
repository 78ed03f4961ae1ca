// SPDX-License-Identifier: GPL-2.0-only

//! Settings: how they are given, and how they are shown.

#![allow(clippy::panic, clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod support;

use clap::Parser;
use netflowctl::{
    cli::{
        usage_error,
        Cli,
        Command, //
    },
    settings::Config, //
};
use support::{
    run::{
        attempt,
        print, //
    },
    *, //
};

fn parse(arguments: &str) -> Result<Config, clap::Error> {
    let words = arguments.split(' ').filter(|word| !word.is_empty());
    let cli = Cli::try_parse_from(["netflowctl"].into_iter().chain(words))?;
    match cli.command {
        Command::Enable(enable) => Ok(enable.config),
        Command::Set(set) => Ok(set.config),
        other => panic!("{other:?}"),
    }
}

/// The one line that refuses arguments.
fn refused(arguments: &str) -> String {
    let error = parse(arguments).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let line = usage_error(&error).unwrap();
    assert!(!line.contains('\n'), "{line}");
    line.strip_suffix("; see netflowctl --help")
        .unwrap()
        .to_owned()
}

const ALL: &[(&str, u64)] = &[
    ("max-flows", 7),
    ("active-timeout", 60),
    ("inactive-timeout", 5),
    ("expiry", 1),
    ("observe", 0b1_0011),
    ("engine-type", 1),
    ("engine-id", 255),
    ("icmp-ports", 1),
    ("count-own", 1),
];

#[test]
fn settings_are_given_in_three_notations() {
    for arguments in [
        "set max-flows 7 active-timeout 60 inactive-timeout 5 expiry strict \
         observe prerouting,input,postrouting engine-type 1 engine-id 255 icmp-ports zero \
         count-own on",
        "set max-flows=7 active-timeout=60 inactive-timeout=5 expiry=strict \
         observe=postrouting,input,prerouting engine-type 1 engine-id=255 icmp-ports=zero \
         count-own on",
        "enable --max-flows 7 --active-timeout 60 --inactive-timeout 5 --expiry strict \
         --observe prerouting,input,postrouting --engine-type 1 --engine-id=255 \
         --icmp-ports=zero --count-own on",
    ] {
        assert_eq!(parse(arguments).unwrap(), config(ALL), "{arguments}");
    }
    let others = parse("set expiry lazy icmp-ports=type-code count-own off observe=output");
    let expected = config(&[
        ("expiry", 0),
        ("observe", 8),
        ("icmp-ports", 0),
        ("count-own", 0),
    ]);
    assert_eq!(others.unwrap(), expected);
}

#[test]
fn options_may_stand_between_settings() {
    for arguments in [
        "netflowctl --json set expiry lazy",
        "netflowctl set expiry lazy --json",
        "netflowctl set expiry --json lazy",
    ] {
        let cli = Cli::try_parse_from(arguments.split(' ')).unwrap();
        assert!(cli.options.json, "{arguments}");
        assert!(matches!(cli.command, Command::Set(set) if set.config == config(&[("expiry", 0)])));
    }
}

#[test]
fn a_wrong_setting_is_named() {
    for (arguments, expected) in [
        ("set", "<NAME VALUE>"),
        (
            "set expiry",
            "a value is required for 'expiry <MODE>' but none was supplied \
             [possible values: lazy, strict]",
        ),
        (
            "set expiry strict engine-id",
            "a value is required for 'engine-id <N>' but none was supplied",
        ),
        (
            "set expiry eager",
            "invalid value 'eager' for 'expiry <MODE>' [possible values: lazy, strict]",
        ),
        (
            "set expiri lazy",
            "unexpected argument 'expiri' found (a similar argument exists: 'expiry')",
        ),
        ("set json true", "unexpected argument 'json' found"),
        ("set help me", "unexpected argument 'help' found"),
        (
            "set engine-id 256",
            "invalid value '256' for 'engine-id <N>': 256 is not in 0..=255",
        ),
        ("set active-timeout 1m", "invalid value '1m'"),
        ("set count-own=yes", "[possible values: on, off]"),
        (
            "set observe input,exit",
            "invalid value 'exit' for 'observe <NAME[,NAME]...>' \
             [possible values: prerouting, input, forward, output, postrouting]",
        ),
        ("set observe input,", "[possible values: prerouting,"),
        ("set observe=", "[possible values: prerouting,"),
        (
            "set expiry lazy expiry strict",
            "the argument 'expiry <MODE>' cannot be used multiple times",
        ),
        ("set =", "unexpected argument"),
        ("set =lazy", "unexpected argument"),
        ("set -1 5", "unexpected argument '-1' found"),
        ("set -- --expiry lazy", "unexpected argument"),
        ("enable --observe nowhere", "[possible values: prerouting,"),
        ("enable --count-own", "'--count-own <on|off>'"),
    ] {
        let line = refused(arguments);
        assert!(line.contains(expected), "{arguments}: {line}");
    }
    let empty = Cli::try_parse_from(["netflowctl", "set", "", "lazy"]).unwrap_err();
    assert!(usage_error(&empty).unwrap().contains("a value is required"));
}

#[test]
fn the_help_lists_the_settings() {
    let help = Cli::try_parse_from(["netflowctl", "set", "--help"]).unwrap_err();
    let help = help.to_string();
    for (name, values) in [
        ("max-flows", "1 to 8388608"),
        ("expiry", "lazy, strict"),
        ("observe", "prerouting, input, forward, output, postrouting"),
        ("icmp-ports", "type-code, zero"),
        ("count-own", "on, off"),
    ] {
        let one_line = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(one_line.contains(&format!("- {name}: ")), "{name}");
        assert!(one_line.contains(values), "{name}");
    }
}

#[test]
fn all_settings_are_shown_as_they_can_be_given() {
    let text = print("netflowctl show config", state(FIRST));
    assert_eq!(
        text,
        "\
SETTING                     VALUE
max-flows                   65536
active-timeout              1800
inactive-timeout            15
expiry                      strict
observe                     prerouting,output
icmp-ports                  zero
count-own                   on
engine-type                 3
engine-id                   200
max-packet-size             1400
observation-domain-id       77000001
template-refresh            300
template-refresh-datagrams  1000

INTERFACE  INDEX  NUMBER
lo             1   70000
"
    );
    let (settings, _) = text.split_once("\n\n").unwrap();
    let words: Vec<_> = settings.split_whitespace().skip(2).collect();
    let given = parse(&format!("set {}", words.join(" "))).unwrap();
    let expected = [
        ("max-flows", 65536),
        ("active-timeout", 1800),
        ("inactive-timeout", 15),
        ("expiry", 1),
        ("observe", 9),
        ("icmp-ports", 1),
        ("count-own", 1),
        ("engine-type", 3),
        ("engine-id", 200),
        ("max-packet-size", 1400),
        ("observation-domain-id", 77_000_001),
        ("template-refresh", 300),
        ("template-refresh-datagrams", 1000),
    ];
    assert_eq!(given, config(&expected));
}

/// What programs are told of the settings.
const CONFIG: &str = "{\"max_flows\":65536,\"active_timeout\":1800,\"inactive_timeout\":15,\
     \"expiry\":\"strict\",\"observe\":[\"prerouting\",\"output\"],\"icmp_ports\":\"zero\",\
     \"count_own\":true,\"engine_type\":3,\"engine_id\":200,\"max_packet_size\":1400,\
     \"observation_domain_id\":77000001,\"template_refresh\":300,\
     \"template_refresh_datagrams\":1000,\"ifaces\":[{\"ifindex\":1,\"ifname\":\"lo\",\"number\":70000}]}\n";

#[test]
fn a_change_of_settings_tells_programs_all_of_them() {
    assert_eq!(print("netflowctl show config --json", state(FIRST)), CONFIG);
    let answers = || [vec![ack(FIRST)], state(FIRST + 1)].concat();
    assert_eq!(
        print("netflowctl set expiry strict --json", answers()),
        CONFIG
    );
    assert_eq!(print("netflowctl set expiry strict", vec![ack(FIRST)]), "");
}

#[test]
fn nothing_is_set_if_the_kernel_refuses() {
    let why = text("max-flows can change only while the exporter is disabled");
    let run = attempt(
        "netflowctl set max-flows 5 --json",
        vec![error(FIRST, 16, &why)],
    );
    assert_eq!(run.text, "");
    assert_eq!(
        run.result.unwrap_err().to_string(),
        "set: max-flows can change only while the exporter is disabled: Device or resource busy"
    );
}

/// It spells settings as they are typed, and load parameters as these are.
#[test]
fn what_the_kernel_says_is_passed_on_as_it_is() {
    let words = "max-flows is more than the load parameter max_flows_userns allows";
    let answers = vec![error(FIRST, 1, &text(words))];
    let run = attempt("netflowctl set max-flows 9", answers);
    assert_eq!(
        run.result.unwrap_err().to_string(),
        format!("set: {words}: Operation not permitted")
    );
}

// SPDX-License-Identifier: GPL-2.0-only

//! What the build makes of the specification, and that nothing else is needed for a setting.

#![allow(clippy::panic, clippy::unwrap_used)] // Helpers of tests fail as tests do.

#[path = "../build/rust.rs"]
mod rust;
#[path = "../build/spec.rs"]
mod spec;
mod support;

use clap::Command;
use netflowctl::{
    cli::{
        set,
        settings, //
    },
    client::Client,
    messages::Info,
    output::{
        config,
        prometheus, //
    },
    settings::{
        self as setting,
        Config,
        Item,
        Kind,
        Setting, //
    },
    uapi::SETTINGS, //
};
use spec::{
    Definition,
    Spec, //
};
use std::collections::HashMap;
use support::*;

const SPEC: &str = include_str!("../../Documentation/netlink/specs/netflow.yaml");

/// What the kernel's own generator makes of the specification.
const HEADER: &str = include_str!("../../rust/bindings/uapi/linux/netflow.h");

/// What it makes of the limits.
const POLICY: &str = include_str!("../../rust/bindings/netlink.c");

/// Names and values of `enum` and `#define` in the header.
fn header() -> HashMap<String, u64> {
    let mut values = HashMap::new();
    let mut next = 0;
    for line in HEADER.lines().map(str::trim) {
        if line.starts_with("enum ") {
            next = 0;
        }
        let item = line.strip_suffix(',').unwrap_or(line);
        let (name, value) = match item.strip_prefix("#define ") {
            Some(define) => define
                .split_once(char::is_whitespace)
                .unwrap_or((define, "")),
            None => item.split_once(" = ").unwrap_or((item, "")),
        };
        if !name.starts_with("NETFLOW_") {
            continue;
        }
        let value = value.trim().parse().unwrap_or(next);
        next = value + 1;
        values.insert(name.to_owned(), value);
    }
    values
}

#[test]
fn numbers_are_those_of_the_kernels_generator() {
    let header = header();
    let spec = Spec::parse(SPEC).unwrap();
    let mut count = 0;
    let mut check = |parts: &[&str], value: u64| {
        let name = format!("NETFLOW_{}", parts.join("_")).to_uppercase();
        let name = name.replace('-', "_");
        assert_eq!(header.get(&name), Some(&value), "{name}");
        count += 1;
    };
    for (number, name) in spec.operations() {
        check(&["cmd", name], number);
    }
    for set in &spec.attribute_sets {
        for (number, name) in set.attributes() {
            check(&["a", &set.name, name], number);
        }
    }
    for definition in &spec.definitions {
        if let Definition::Const { name, value } = definition {
            check(&[name], *value);
        }
    }
    for setting in SETTINGS {
        // The enumerations of this family have the names of the settings that are of their type.
        if let Kind::Enum(items) | Kind::Flags(items) = setting.kind {
            for item in items {
                check(&[setting.name, item.name], item.value);
            }
        }
    }
    check(&["family", "version"], spec.version.into());
    // Of the rest, the names of the family and of the header's guard are no numbers.
    assert!(count > 80, "{count}");
}

#[test]
fn values_are_those_of_the_kernels_generator() {
    let header = header();
    for setting in SETTINGS {
        let attribute = setting.field();
        let start = format!("[NETFLOW_A_CONFIG_{}] = ", attribute.to_uppercase());
        let mut lines = POLICY.lines().map(str::trim);
        let policy = lines.find_map(|line| line.strip_prefix(&start)).unwrap();
        let width = format!("NLA_{:?}", setting.width).to_uppercase();
        let expected = match setting.kind {
            Kind::Number(None) => format!("{{ .type = {width}, }},"),
            // Limits of up to 15 bits stand in the policy itself.
            Kind::Number(Some((min, max))) if max <= 0x7fff => {
                let names = policy.strip_prefix(&format!("NLA_POLICY_RANGE({width}, "));
                let names = names.and_then(|names| names.strip_suffix("),")).unwrap();
                let limits: Vec<_> = names.split(", ").map(|name| header[name]).collect();
                assert_eq!(limits, [min, max], "{attribute}");
                continue;
            }
            Kind::Number(Some((min, max))) => {
                let range = format!("netflow_a_config_{attribute}_range");
                let (_, limits) = POLICY.split_once(&format!("{range} = {{")).unwrap();
                let mut limits = limits.split_whitespace().filter(|word| *word != "=");
                for (which, limit) in [(".min", min), (".max", max)] {
                    assert_eq!(limits.next(), Some(which));
                    let name = limits.next().unwrap().trim_end_matches(',');
                    assert_eq!(header[name], limit, "{which} of {attribute}");
                }
                format!("NLA_POLICY_FULL_RANGE({width}, &{range}),")
            }
            Kind::Switch => format!("NLA_POLICY_MAX({width}, 1),"),
            Kind::Enum(items) => format!("NLA_POLICY_MAX({width}, {}),", items.len() - 1),
            Kind::Flags(items) => {
                let mask = items.iter().fold(0, |mask, item| mask | item.value);
                format!("NLA_POLICY_MASK({width}, {mask:#x}),")
            }
        };
        assert_eq!(policy, expected, "{attribute}");
    }
}

#[test]
fn the_table_is_that_of_the_specification() {
    assert_eq!(Spec::parse(SPEC).unwrap().settings().unwrap(), SETTINGS);
}

#[test]
fn every_item_is_explained() {
    for setting in SETTINGS {
        assert!(!setting.doc.contains("  "), "{}", setting.name);
        let (Kind::Enum(items) | Kind::Flags(items)) = setting.kind else {
            continue;
        };
        for Item { name, doc, .. } in items {
            assert!(doc.ends_with('.') && !doc.contains("  "), "{name}");
        }
    }
}

#[test]
fn no_setting_has_the_name_of_another_part_of_the_state() {
    let others = serde_json::to_value(Info::default()).unwrap();
    for setting in SETTINGS {
        assert!(others.get(setting.field()).is_none(), "{}", setting.name);
    }
}

/// The specification with further settings.
fn extended() -> Spec {
    const FURTHER: &str = "
      -
        name: trial-interval
        type: u32
        doc: One of how many packets
          is sampled.
        checks:
          min: 2
          max: timeout-max
      -
        name: trial-refresh
        type: u16
        doc: Seconds between two templates.
        checks:
          min: 1
      -
        name: trial-domain
        type: uint
        doc: Observation domain id.
      -
        name: trial-switch
        type: u8
        doc: Whether this is on.
        checks:
          max: 1
      -
        name: trial-format
        type: u32
        enum: trial-format
        doc: Format of the records.
      -
        name: trial-fields
        type: u64
        enum: trial-fields
        doc: Fields of the records.
";
    const DEFINITIONS: &str = "
  -
    type: enum
    name: trial-format
    value-start: 5
    entries:
      - v5
      -
        name: v9
        value: 9
        doc: Version 9.
      - ipfix
  -
    type: flags
    name: trial-fields
    entries: [ mac, vlan, label ]
";
    let text = SPEC
        .replacen(
            "\n  -\n    name: info\n",
            &(FURTHER.to_owned() + "  -\n    name: info\n"),
            1,
        )
        .replacen(
            "\nattribute-sets:\n",
            &(DEFINITIONS.to_owned() + "\nattribute-sets:\n"),
            1,
        );
    Spec::parse(&text).unwrap()
}

fn extended_table() -> &'static [Setting] {
    extended().settings().unwrap().leak()
}

/// The attribute of the first of them.
fn first_trial() -> u16 {
    u16::try_from(SETTINGS.len()).unwrap() + 1
}

/// As `enable` reads them.
fn as_options(arguments: &str) -> Config {
    let command = Command::new("enable").args(settings::options(extended_table()));
    let words = ["enable"].into_iter().chain(arguments.split(' '));
    settings::given(
        extended_table(),
        &command.try_get_matches_from(words).unwrap(),
    )
}

/// As `set` reads them.
fn as_names(arguments: &str) -> Config {
    let command = Command::new("set").arg(set::argument(extended_table()));
    let words = ["set"].into_iter().chain(arguments.split(' '));
    set::named(
        extended_table(),
        &command.try_get_matches_from(words).unwrap(),
    )
    .unwrap()
}

const TRIAL_OPTIONS: &str = "--trial-interval 100 --trial-refresh=600 \
     --trial-domain 5000000000 --trial-switch on --trial-format ipfix --trial-fields label,mac";

const TRIAL_NAMES: &str = "trial-interval 100 trial-refresh 600 trial-domain=5000000000 \
     trial-switch on trial-format=ipfix trial-fields mac,label";

#[test]
fn a_further_setting_has_an_option_and_a_name() {
    let expected = "trial-interval 100, trial-refresh 600, trial-domain 5000000000, \
         trial-switch on, trial-format ipfix, trial-fields mac,label";
    for config in [as_options(TRIAL_OPTIONS), as_names(TRIAL_NAMES)] {
        let values = config
            .iter()
            .map(|value| format!("{} {value}", value.setting.name));
        assert_eq!(values.collect::<Vec<_>>().join(", "), expected);
    }
    let mut enable = Command::new("enable").args(settings::options(extended_table()));
    let mut set = Command::new("set").arg(set::argument(extended_table()));
    let one_line = |help: String| help.split_whitespace().collect::<Vec<_>>().join(" ");
    let enable = one_line(enable.render_long_help().to_string());
    let set = one_line(set.render_long_help().to_string());
    for (name, value_name, explained) in [
        (
            "trial-interval",
            "N",
            "One of how many packets is sampled (2 to 604800)",
        ),
        (
            "trial-refresh",
            "SECONDS",
            "Seconds between two templates (1 to 65535)",
        ),
        (
            "trial-domain",
            "N",
            "Observation domain id (0 to 18446744073709551615)",
        ),
        ("trial-switch", "on|off", "Whether this is on"),
        ("trial-format", "MODE", "Format of the records"),
        ("trial-fields", "NAME[,NAME]...", "Fields of the records"),
    ] {
        let option = format!("--{name} <{value_name}> {explained}");
        assert!(enable.contains(&option), "{option}: {enable}");
        let name = format!("- {name}: {explained}");
        assert!(set.contains(&name), "{name}: {set}");
    }
    assert!(enable.contains("- v9: Version 9."), "{enable}");
    assert!(
        set.contains("Format of the records (v5, v9, ipfix)"),
        "{set}"
    );
}

#[test]
fn a_further_setting_is_in_requests_and_replies() {
    let kernel = Kernel::with_family([ack(FIRST)]);
    let config = as_options(TRIAL_OPTIONS);
    Client::new(kernel.clone())
        .unwrap()
        .enable(&config)
        .unwrap();
    let first = first_trial();
    let attributes = [
        nla_u32(first, 100),
        nla_u16(first + 1, 600),
        nla(first + 2, &5_000_000_000u64.to_ne_bytes()),
        nla_u8(first + 3, 1),
        nla_u32(first + 4, 10),
        nla(first + 5, &0b101u64.to_ne_bytes()),
    ];
    assert_eq!(kernel.requests()[0][20..], nest(2, &attributes));
    let decoded = Config::decode(extended_table(), &attributes.concat()).unwrap();
    assert_eq!(decoded, config);
}

#[test]
fn a_further_setting_is_shown() {
    let info = Info {
        config: as_names(TRIAL_NAMES),
        ..Info::default()
    };
    let mut text = Vec::new();
    config::table(&mut text, &info.config).unwrap();
    assert_eq!(
        String::from_utf8(text).unwrap(),
        "SETTING         VALUE\n\
         trial-interval  100\n\
         trial-refresh   600\n\
         trial-domain    5000000000\n\
         trial-switch    on\n\
         trial-format    ipfix\n\
         trial-fields    mac,label\n"
    );

    let fields = "\"trial_interval\":100,\"trial_refresh\":600,\"trial_domain\":5000000000,\
         \"trial_switch\":true,\"trial_format\":\"ipfix\",\"trial_fields\":[\"mac\",\"label\"],";
    let json = serde_json::to_string(&config::Shown::from(&info)).unwrap();
    assert_eq!(json, format!("{{{fields}\"ifaces\":[]}}"));
    let json = serde_json::to_string(&info).unwrap();
    assert!(json.starts_with(&format!("{{\"enabled\":false,{fields}\"flows\":")));

    let mut page = Vec::new();
    prometheus::print(&mut page, &[(None, info)]).unwrap();
    let page = String::from_utf8(page).unwrap();
    for lines in [
        "# HELP netflow_trial_interval One of how many packets is sampled.\n\
         # TYPE netflow_trial_interval gauge\n\
         netflow_trial_interval 100\n",
        "# HELP netflow_trial_refresh_seconds Seconds between two templates.\n\
         # TYPE netflow_trial_refresh_seconds gauge\n\
         netflow_trial_refresh_seconds 600\n",
        "netflow_settings_info{trial_domain=\"5000000000\",trial_switch=\"on\",\
         trial_format=\"ipfix\",trial_fields=\"mac,label\"} 1\n",
    ] {
        assert!(page.contains(lines), "{lines}: {page}");
    }
}

#[test]
fn a_further_setting_is_in_the_source_that_the_build_writes() {
    let source = rust::write(&extended()).unwrap();
    let (interval, refresh) = (first_trial(), first_trial() + 1);
    for line in [
        &*format!("pub const TRIAL_REFRESH: u16 = {refresh};"),
        &*format!(
            "Setting {{ number: {interval}, name: \"trial-interval\", \
             doc: \"One of how many packets is sampled.\", width: Width::U32, \
             kind: Kind::Number(Some((2, 604800))) }},"
        ),
        "width: Width::U8, kind: Kind::Switch },",
        "kind: Kind::Enum(&[Item { value: 5, name: \"v5\", doc: \"\" }, \
         Item { value: 9, name: \"v9\", doc: \"Version 9.\" }, \
         Item { value: 10, name: \"ipfix\", doc: \"\" }]) },",
    ] {
        assert!(source.contains(line), "{line}");
    }
}

#[test]
fn what_the_tool_cannot_show_stops_the_build() {
    let engine_type = "name: engine-type\n        type: u8\n";
    for (from, to, expected) in [
        (
            engine_type,
            "name: engine-type\n        type: string\n",
            "type string is not supported",
        ),
        (
            engine_type,
            "name: engine-type\n        type: u8\n        byte-order: big-endian\n",
            "byte-order",
        ),
        (
            engine_type,
            "name: engine-type\n        type: u8\n        enum: none\n",
            "no enumeration",
        ),
        (
            "Engine type in the header of v5 datagrams.",
            "",
            "must be sentences",
        ),
    ] {
        assert!(SPEC.contains(from));
        let spec = Spec::parse(&SPEC.replacen(from, to, 1)).unwrap();
        let error = spec.settings().unwrap_err().to_string();
        assert!(error.starts_with("setting engine-type: "), "{error}");
        assert!(error.contains(expected), "{error}");
    }
    let spec = Spec::parse(&SPEC.replacen("name: timeout-max", "name: other", 1)).unwrap();
    let error = spec.settings().unwrap_err().to_string();
    assert_eq!(error, "setting active-timeout: no constant timeout-max");
}

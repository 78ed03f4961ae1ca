// SPDX-License-Identifier: GPL-2.0-only

//! Metrics: that they are what a strict reader of the text format takes, and their values.

#![allow(clippy::panic, clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod support;

use netflowctl::{
    cli::{
        usage_error,
        Cli, //
    },
    messages::Info,
    output::prometheus, //
};
use std::collections::{
    HashMap,
    HashSet, //
};
use support::{
    run::print,
    *, //
};

/// The samples of a page, each under its name and labels as they are written.
type Samples = HashMap<String, f64>;

/// Reads a page as the format wants it, and as its conventions do: each family begins with HELP and
/// TYPE, its samples follow at once, only counters end with `_total`, and nothing comes twice.
fn check(page: &str) -> Result<Samples, String> {
    let mut samples = Samples::new();
    let mut families = HashSet::new();
    let mut lines = page
        .strip_suffix('\n')
        .ok_or("no end")?
        .split('\n')
        .peekable();
    while let Some(line) = lines.next() {
        let about = line.strip_prefix("# HELP ").ok_or("HELP is missing")?;
        let (name, help) = about.split_once(' ').ok_or("no text")?;
        check_name(name)?;
        if help.is_empty() || help.contains('\\') || !help.ends_with('.') {
            return Err(format!("text of {name}"));
        }
        if !families.insert(name.trim_end_matches("_total")) {
            return Err(format!("{name} again"));
        }
        let kind = lines.next().and_then(|line| line.strip_prefix("# TYPE "));
        let kind = kind.and_then(|line| line.strip_prefix(name));
        let is_counter = match kind {
            Some(" counter") => true,
            Some(" gauge") => false,
            _ => return Err(format!("type of {name}")),
        };
        if is_counter != name.ends_with("_total") {
            return Err(format!("{name} is of another type"));
        }
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').ok_or("no value")?;
            check_series(name, series)?;
            let number: f64 = value.parse().map_err(|_| format!("value {value}"))?;
            if !number.is_finite() || number < 0.0 {
                return Err(format!("value {value}"));
            }
            if samples.insert(series.to_owned(), number).is_some() {
                return Err(format!("{series} again"));
            }
        }
    }
    Ok(samples)
}

fn check_name(name: &str) -> Result<(), String> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    match name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(word) {
        true => Ok(()),
        false => Err(format!("name {name}")),
    }
}

/// `NAME` or `NAME{LABEL="TEXT",LABEL="TEXT"}`.
fn check_series(name: &str, series: &str) -> Result<(), String> {
    let labels = series
        .strip_prefix(name)
        .ok_or(format!("{series} in {name}"))?;
    if labels.is_empty() {
        return Ok(());
    }
    let labels = labels.strip_prefix('{').and_then(|l| l.strip_suffix('}'));
    let mut rest = labels.ok_or(format!("{series} in {name}"))?;
    let mut known = HashSet::new();
    loop {
        let (label, text) = rest.split_once("=\"").ok_or("no label")?;
        check_name(label)?;
        if !known.insert(label) {
            return Err(format!("label {label} again"));
        }
        rest = &text[end_of_text(text)?..];
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None if rest.is_empty() => return Ok(()),
            None => return Err(format!("{rest} behind a label")),
        }
    }
}

/// Where a text goes on that ends with a quote, and in which a backslash stands before another one,
/// a quote or an `n`.
fn end_of_text(text: &str) -> Result<usize, String> {
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok(at + 1),
            '\\' if !matches!(characters.next(), Some((_, '\\' | '"' | 'n'))) => break,
            _ => {}
        }
    }
    Err(format!("text {text}"))
}

#[test]
fn the_checker_is_strict() {
    let page = |samples: &str| format!("# HELP a_total A.\n# TYPE a_total counter\n{samples}");
    for good in [
        "",
        "a_total 1\n",
        "a_total{b=\"\\\\\\\"\\n é\",c=\"\"} 1.5\n",
    ] {
        assert!(check(&page(good)).is_ok(), "{good}");
    }
    for bad in [
        "a_total 1",
        "a_total 1\n\n",
        "a_total 1\r\n",
        "a_total one\n",
        "a_total -1\n",
        "a_total NaN\n",
        "a_total\n",
        "a_total 1\na_total 2\n",
        "b_total 1\n",
        "a_total{} 1\n",
        "a_total{b} 1\n",
        "a_total{b=1} 1\n",
        "a_total{b=\"1\",} 1\n",
        "a_total{b=\"1\",b=\"2\"} 1\n",
        "a_total{b=\"1\"c=\"2\"} 1\n",
        "a_total{b=\"1} 1\n",
        "a_total{b=\"\"\"} 1\n",
        "a_total{b=\"\\t\"} 1\n",
        "a_total{B-=\"1\"} 1\n",
        "# TYPE a_total counter\n",
        "# HELP a_total A.\n# TYPE a_total counter\n",
        "# HELP a A.\n# TYPE a gauge\n",
        "# HELP b B.\n# TYPE b counter\n",
        "# HELP b_total B.\n# TYPE b_total gauge\n",
        "# HELP b B.\n",
        "# HELP b B.\n# TYPE c gauge\n",
        "# HELP b \n# TYPE b gauge\n",
    ] {
        assert!(check(&page(bad)).is_err(), "{bad}");
    }
}

#[test]
fn every_value_has_its_metric() {
    let samples = check(&print("netflowctl info --prometheus", vec![info(FIRST)])).unwrap();
    let value = |series: &str| match samples.get(&format!("netflow_{series}")) {
        Some(value) => *value,
        None => panic!("{series}"),
    };
    for (series, expected) in [
        ("enabled", 1.0),
        ("cached_flows", 77.0),
        ("created_flows_total{family=\"ipv4\"}", 5_000_000_001.0),
        ("created_flows_total{family=\"ipv6\"}", 5_000_000_002.0),
        ("uptime_seconds", 123.456),
        ("flow_sequence", 991.0),
        ("untracked_flows_total", 401.0),
        ("nat_events_total{account=\"exported\"}", 402.0),
        (
            "nat_events_total{account=\"lost\",reason=\"no_collector\"}",
            403.0,
        ),
        (
            "nat_events_total{account=\"lost\",reason=\"unsupported\"}",
            404.0,
        ),
        (
            "nat_events_total{account=\"lost\",reason=\"send_failed\"}",
            405.0,
        ),
        (
            "nat_events_total{account=\"lost\",reason=\"overrun\"}",
            406.0,
        ),
        (
            "nat_events_total{account=\"ignored\",reason=\"malformed\"}",
            407.0,
        ),
        ("max_flows", 65536.0),
        ("active_timeout_seconds", 1800.0),
        ("inactive_timeout_seconds", 15.0),
        ("max_packet_size", 1400.0),
        ("template_refresh_seconds", 300.0),
        ("template_refresh_datagrams", 1000.0),
        (
            "settings_info{expiry=\"strict\",observe=\"prerouting,output\",icmp_ports=\"zero\",\
             count_own=\"on\",engine_type=\"3\",engine_id=\"200\",\
             observation_domain_id=\"77000001\"}",
            1.0,
        ),
        (
            "collector_datagrams_total{collector=\"192.0.2.10:2055\",protocol=\"ipfix\",\
             source=\"198.51.100.1\",device=\"mgmt\"}",
            41.0,
        ),
        (
            "collector_records_total{collector=\"192.0.2.10:2055\",protocol=\"ipfix\",\
             source=\"198.51.100.1\",device=\"mgmt\"}",
            1230.0,
        ),
        (
            "collector_unsupported_flows_total{collector=\"192.0.2.10:2055\",\
             protocol=\"ipfix\",source=\"198.51.100.1\",device=\"mgmt\"}",
            6.0,
        ),
        (
            "collector_errors_total{collector=\"192.0.2.10:2055\",protocol=\"ipfix\",\
             source=\"198.51.100.1\",device=\"mgmt\"}",
            2.0,
        ),
    ] {
        assert_eq!(value(series), expected, "{series}");
    }
    for (family, unit, base) in [
        ("ipv4", "packets", 1_000.0),
        ("ipv4", "bytes", 1_000_000.0),
        ("ipv6", "packets", 2_000.0),
        ("ipv6", "bytes", 2_000_000.0),
    ] {
        for (name, account, expected) in [
            (format!("seen_{unit}_total"), "", 1.0),
            (format!("held_{unit}"), ",account=\"cached\"", 3.0),
            (format!("held_{unit}"), ",account=\"pending\"", 4.0),
            (format!("{unit}_total"), ",account=\"exported\"", 5.0),
        ] {
            let series = format!("{name}{{family=\"{family}\"{account}}}");
            assert_eq!(value(&series), base + expected, "{series}");
        }
        for (account, reason, expected) in [
            ("ignored", "truncated", 7.0),
            ("ignored", "malformed", 8.0),
            ("ignored", "own", 9.0),
            ("ignored", "not_sampled", 14.0),
            ("lost", "cache_full", 10.0),
            ("lost", "no_collector", 11.0),
            ("lost", "send_failed", 12.0),
            ("lost", "unsupported", 13.0),
        ] {
            let labels = format!("family=\"{family}\",account=\"{account}\",reason=\"{reason}\"");
            let series = format!("{unit}_total{{{labels}}}");
            assert_eq!(value(&series), base + expected, "{series}");
        }
    }
    let reasons = [
        "inactive",
        "active",
        "finished",
        "overflow",
        "displaced",
        "flushed",
    ];
    for (number, reason) in (301..).zip(reasons) {
        let series = format!("expired_flows_total{{reason=\"{reason}\"}}");
        assert_eq!(value(&series), f64::from(number), "{series}");
    }
    // 24 above, 12 for packets and as many for bytes of each family, 6 reasons.
    assert_eq!(samples.len(), 24 + 48 + 6);
}

#[test]
fn a_state_of_nothing_has_metrics_too() {
    let nothing = vec![[reply(0, FIRST, 1, &[]), ack(FIRST)].concat()];
    let samples = check(&print("netflowctl info --prometheus", nothing)).unwrap();
    assert_eq!(samples["netflow_enabled"], 0.0);
    assert!(!samples.keys().any(|series| series.contains("collector=")));
}

#[test]
fn metrics_of_a_named_namespace_say_so() {
    for (name, label) in [
        ("blue", "blue"),
        ("/proc/7/ns/net", "/proc/7/ns/net"),
        ("a\"b\\c\nd", "a\\\"b\\\\c\\nd"),
    ] {
        let samples = check(&page(&[Some(name)])).unwrap();
        let label = format!("netns=\"{label}\"");
        assert!(samples.keys().all(|series| series.contains(&label)));
        assert_eq!(samples[&format!("netflow_enabled{{{label}}}")], 1.0);
    }
}

/// The page of namespaces with these names, of the same state.
fn page(names: &[Option<&str>]) -> String {
    let state = Info::decode(&info_attributes()).unwrap();
    let name = |name: &Option<&str>| name.map(str::to_owned);
    let states: Vec<_> = names.iter().map(|of| (name(of), state.clone())).collect();
    let mut page = Vec::new();
    prometheus::print(&mut page, &states).unwrap();
    String::from_utf8(page).unwrap()
}

/// What the reader refuses if pages are put one behind the other: each family is there once.
#[test]
fn metrics_of_several_namespaces_are_one_page() {
    let one = check(&page(&[None])).unwrap();
    let samples = check(&page(&[None, Some("blue"), Some("red")])).unwrap();
    assert_eq!(samples.len(), 3 * one.len());
    for (series, value) in &one {
        assert_eq!(samples[series], *value);
        for name in ["blue", "red"] {
            let named = match series.split_once('{') {
                Some((family, labels)) => format!("{family}{{netns=\"{name}\",{labels}"),
                None => format!("{series}{{netns=\"{name}\"}}"),
            };
            assert_eq!(samples[&named], *value, "{named}");
        }
    }
    let twice = page(&[Some("blue")]) + &page(&[Some("red")]);
    assert!(check(&twice).unwrap_err().ends_with(" again"));
}

/// A setting that only one of them has, and a namespace without collectors.
#[test]
fn metrics_of_namespaces_that_differ_are_one_page() {
    let full = Info::decode(&info_attributes()).unwrap();
    let states = [
        (Some("empty".to_owned()), Info::default()),
        (Some("full".to_owned()), full),
    ];
    let mut page = Vec::new();
    prometheus::print(&mut page, &states).unwrap();
    let samples = check(&String::from_utf8(page).unwrap()).unwrap();
    assert_eq!(samples["netflow_max_flows{netns=\"full\"}"], 65536.0);
    assert!(!samples.contains_key("netflow_max_flows{netns=\"empty\"}"));
    assert_eq!(samples["netflow_settings_info{netns=\"empty\"}"], 1.0);
}

#[test]
fn several_namespaces_are_for_metrics() {
    for arguments in [
        "info --prometheus --netns blue --netns red",
        "--netns blue --netns=red info --prometheus",
        "info --all-netns --prometheus",
        "info --netns blue",
    ] {
        let words = format!("netflowctl {arguments}");
        assert!(Cli::read(words.split(' ')).is_ok(), "{arguments}");
    }
    for (arguments, expected) in [
        ("info --netns blue --netns red", "several times"),
        ("--netns blue --netns red flush", "several times"),
        ("info --all-netns", "--prometheus"),
        (
            "info --prometheus --all-netns --netns red",
            "cannot be used with",
        ),
        ("flows --all-netns", "--all-netns"),
    ] {
        let words = format!("netflowctl {arguments}");
        let error = Cli::read(words.split(' ')).unwrap_err();
        let line = usage_error(&error).unwrap();
        assert!(line.contains(expected), "{line}");
    }
}

#[test]
fn metrics_are_not_json() {
    for arguments in ["info --prometheus --json", "--json info --prometheus"] {
        let words = format!("netflowctl {arguments}");
        let error = Cli::read(words.split(' ')).unwrap_err();
        let line = usage_error(&error).unwrap();
        assert!(line.contains("cannot be used with"), "{line}");
    }
}

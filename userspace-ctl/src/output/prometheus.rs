// SPDX-License-Identifier: GPL-2.0-only

//! The state as metrics, in the text format of Prometheus.
//!
//! The ledger is three families for packets and three for bytes, of which
//! `seen = sum(netflow_packets_total) + sum(netflow_held_packets)` at any quiet moment: what only
//! grows is a counter, what comes and goes a gauge.

use crate::{
    messages::{
        Account,
        Collector,
        Info, //
    },
    settings::{
        Config,
        Kind, //
    }, //
};
use std::{
    fmt::Display,
    io::{
        self,
        Write, //
    }, //
};

/// Names and values that tell the samples of a family apart.
type Labels<'a> = &'a [(&'a str, &'a str)];

/// Writes all metrics. Those of a namespace that is named have its name as a label.
pub fn print(out: &mut impl Write, info: &Info, netns: Option<&str>) -> io::Result<()> {
    let mut page = Page { out, netns };
    state(&mut page, info)?;
    settings(&mut page, &info.config)?;
    ledger(&mut page, "packets", "Packets", &info.packets)?;
    ledger(&mut page, "bytes", "Bytes of layer 3", &info.bytes)?;
    expired(&mut page, info)?;
    collectors(&mut page, info)
}

fn state(page: &mut Page<'_, impl Write>, info: &Info) -> io::Result<()> {
    page.gauge(
        "enabled",
        "Whether packets are accounted.",
        u8::from(info.enabled),
    )?;
    page.gauge("cached_flows", "Flows in the cache.", info.flows.cached)?;
    page.gauge(
        "uptime_seconds",
        "The clock of flow records, which begins anew every 49.7 days.",
        format_args!("{}.{:03}", info.sys_uptime / 1000, info.sys_uptime % 1000),
    )?;
    page.gauge(
        "flow_sequence",
        "Number of the next flow record, modulo 2^32.",
        info.flow_sequence,
    )?;
    page.counter("created_flows_total", "Flows created.")?;
    page.sample("created_flows_total", &[], info.flows.created)
}

/// A number with limits is a quantity, and a gauge of its own. All others, such as modes and
/// identifiers, are labels of one gauge.
fn settings(page: &mut Page<'_, impl Write>, config: &Config) -> io::Result<()> {
    let mut labels = Vec::new();
    for value in config.iter() {
        let setting = value.setting;
        if !matches!(setting.kind, Kind::Number(Some(_))) {
            labels.push((setting.field(), value.to_string()));
            continue;
        }
        let unit = match setting.in_seconds() {
            true => "_seconds",
            false => "",
        };
        let name = setting.field() + unit;
        page.gauge(&name, setting.doc, value.raw)?;
    }
    page.family("settings_info", "gauge", "Settings, as labels.")?;
    let labels: Vec<_> = labels
        .iter()
        .map(|(name, text)| (&**name, &**text))
        .collect();
    page.sample("settings_info", &labels, 1)
}

fn ledger(
    page: &mut Page<'_, impl Write>,
    unit: &str,
    what: &str,
    account: &Account,
) -> io::Result<()> {
    let name = format!("seen_{unit}_total");
    page.counter(&name, &format!("{what} that the exporter was handed."))?;
    page.sample(&name, &[], account.seen)?;

    let name = format!("{unit}_total");
    page.counter(
        &name,
        &format!("{what} that the exporter is done with, by how it ended for them."),
    )?;
    page.sample(&name, &[("account", "exported")], account.exported)?;
    let (ignored, lost) = (&account.ignored_by, &account.lost_by);
    for (account, reason, value) in [
        ("ignored", "truncated", ignored.truncated),
        ("ignored", "malformed", ignored.malformed),
        ("ignored", "own", ignored.own),
        ("lost", "cache_full", lost.cache_full),
        ("lost", "no_collector", lost.no_collector),
        ("lost", "send_failed", lost.send_failed),
    ] {
        page.sample(&name, &[("account", account), ("reason", reason)], value)?;
    }

    let name = format!("held_{unit}");
    page.family(
        &name,
        "gauge",
        &format!("{what} in flows that are in the cache, or that left it and wait to be sent."),
    )?;
    page.sample(&name, &[("account", "cached")], account.cached)?;
    page.sample(&name, &[("account", "pending")], account.pending)
}

fn expired(page: &mut Page<'_, impl Write>, info: &Info) -> io::Result<()> {
    let name = "expired_flows_total";
    page.counter(name, "Flows that left the cache, by reason.")?;
    for (reason, value) in [
        ("inactive", info.expired.inactive),
        ("active", info.expired.active),
        ("finished", info.expired.finished),
        ("overflow", info.expired.overflow),
        ("displaced", info.expired.displaced),
        ("flushed", info.expired.flushed),
    ] {
        page.sample(name, &[("reason", reason)], value)?;
    }
    Ok(())
}

fn collectors(page: &mut Page<'_, impl Write>, info: &Info) -> io::Result<()> {
    type Count = fn(&Collector) -> u64;
    let families: [(&str, &str, Count); 3] = [
        (
            "collector_datagrams_total",
            "Datagrams that were sent to a collector.",
            |collector| collector.datagrams,
        ),
        (
            "collector_records_total",
            "Flow records in them.",
            |collector| collector.records,
        ),
        (
            "collector_errors_total",
            "Datagrams that could not be sent.",
            |collector| collector.errors,
        ),
    ];
    for (name, help, count) in families {
        page.counter(name, help)?;
        for collector in &info.collectors {
            let address = collector.socket_addr().to_string();
            page.sample(name, &[("collector", &address)], count(collector))?;
        }
    }
    Ok(())
}

/// Metrics under way: a family begins with its name, and its samples follow.
struct Page<'a, W> {
    out: W,
    netns: Option<&'a str>,
}

impl<W: Write> Page<'_, W> {
    fn family(&mut self, name: &str, kind: &str, help: &str) -> io::Result<()> {
        let help = help.replace('\\', "\\\\");
        writeln!(self.out, "# HELP netflow_{name} {help}")?;
        writeln!(self.out, "# TYPE netflow_{name} {kind}")
    }

    fn counter(&mut self, name: &str, help: &str) -> io::Result<()> {
        self.family(name, "counter", help)
    }

    /// A family of one sample.
    fn gauge(&mut self, name: &str, help: &str, value: impl Display) -> io::Result<()> {
        self.family(name, "gauge", help)?;
        self.sample(name, &[], value)
    }

    fn sample(&mut self, name: &str, labels: Labels<'_>, value: impl Display) -> io::Result<()> {
        write!(self.out, "netflow_{name}")?;
        let netns = self.netns.map(|name| ("netns", name));
        let mut open = '{';
        for (label, value) in netns.iter().chain(labels) {
            write!(self.out, "{open}{label}=\"{}\"", escape(value))?;
            open = ',';
        }
        let close = match open {
            ',' => "}",
            _ => "",
        };
        writeln!(self.out, "{close} {value}")
    }
}

/// The text of a label, in which three characters need a backslash.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

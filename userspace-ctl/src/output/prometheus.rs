// SPDX-License-Identifier: GPL-2.0-only

//! The state as metrics, in the text format of Prometheus.
//!
//! The ledger is three metrics for packets and three for bytes, each with a label for the address
//! family. `seen = sum(netflow_packets_total) + sum(netflow_held_packets)` at any quiet moment, for
//! each address family and for both: what only grows is a counter, what comes and goes a gauge.

use crate::{
    messages::{
        Account,
        Collector,
        Expired,
        Family,
        Info,
        NatEvents, //
    },
    settings::{
        Kind,
        Setting, //
    }, //
};
use std::{
    fmt::Display,
    io::{
        self,
        Write, //
    }, //
};

/// The address families, by the names that samples have as a label.
const FAMILIES: [(&str, OfFamily); 2] = [("ipv4", |info| &info.ipv4), ("ipv6", |info| &info.ipv6)];

/// What of a state is of a family.
type OfFamily = fn(&Info) -> &Family;

/// Names and values that tell the samples of a family apart.
type Labels<'a> = &'a [(&'a str, &'a str)];

/// The states of some namespaces. Those that are named have their name as a label.
pub type States = [(Option<String>, Info)];

/// Writes all metrics of all namespaces: each family once, as readers of the format want it.
pub fn print(out: &mut impl Write, states: &States) -> io::Result<()> {
    let mut page = Page { out, states };
    state(&mut page)?;
    settings(&mut page)?;
    ledger(&mut page, "packets", "Packets", |family| &family.packets)?;
    ledger(&mut page, "bytes", "Bytes of layer 3", |family| {
        &family.bytes
    })?;
    expired(&mut page)?;
    nat(&mut page)?;
    collectors(&mut page)
}

fn state(page: &mut Page<'_, impl Write>) -> io::Result<()> {
    page.gauge("enabled", "Whether packets are accounted.", |info| {
        u8::from(info.enabled)
    })?;
    page.gauge("cached_flows", "Flows in the cache.", |info| {
        info.flows.cached
    })?;
    page.gauge(
        "uptime_seconds",
        "The clock of flow records, which begins anew every 49.7 days.",
        |info| format!("{}.{:03}", info.sys_uptime / 1000, info.sys_uptime % 1000),
    )?;
    page.gauge(
        "flow_sequence",
        "Number of the next flow record, modulo 2^32.",
        |info| info.flow_sequence,
    )?;
    page.counter("created_flows_total", "Flows created.")?;
    for (name, family) in FAMILIES {
        page.samples("created_flows_total", &[("family", name)], |info| {
            family(info).flows_created
        })?;
    }
    Ok(())
}

/// A number with limits is a quantity, and a gauge of its own. All others, such as modes and
/// identifiers, are labels of one gauge.
fn settings(page: &mut Page<'_, impl Write>) -> io::Result<()> {
    let is_quantity = |setting: &Setting| matches!(setting.kind, Kind::Number(Some(_)));
    for setting in page
        .settings()
        .into_iter()
        .filter(|setting| is_quantity(setting))
    {
        let unit = match setting.in_seconds() {
            true => "_seconds",
            false => "",
        };
        let name = setting.field() + unit;
        page.family(&name, "gauge", setting.doc)?;
        page.samples_of(&name, |info| {
            let value = info.config.get(setting.number);
            value.map(|value| (Vec::new(), value))
        })?;
    }
    page.family("settings_info", "gauge", "Settings, as labels.")?;
    page.samples_of("settings_info", |info| {
        let others = info
            .config
            .iter()
            .filter(|value| !is_quantity(value.setting));
        let labels = others.map(|value| (value.setting.field(), value.to_string()));
        Some((labels.collect(), 1))
    })
}

fn ledger(
    page: &mut Page<'_, impl Write>,
    unit: &str,
    what: &str,
    account: fn(&Family) -> &Account,
) -> io::Result<()> {
    type Count = fn(&Account) -> u64;
    let name = format!("seen_{unit}_total");
    page.counter(&name, &format!("{what} that the exporter was handed."))?;
    for (family, of) in FAMILIES {
        page.samples(&name, &[("family", family)], |info| account(of(info)).seen)?;
    }

    let name = format!("{unit}_total");
    page.counter(
        &name,
        &format!("{what} that the exporter is done with, by how it ended for them."),
    )?;
    let reasons: [(&str, &str, Count); 8] = [
        ("ignored", "truncated", |a| a.ignored_by.truncated),
        ("ignored", "malformed", |a| a.ignored_by.malformed),
        ("ignored", "own", |a| a.ignored_by.own),
        ("ignored", "not_sampled", |a| a.ignored_by.not_sampled),
        ("lost", "cache_full", |a| a.lost_by.cache_full),
        ("lost", "no_collector", |a| a.lost_by.no_collector),
        ("lost", "send_failed", |a| a.lost_by.send_failed),
        ("lost", "unsupported", |a| a.lost_by.unsupported),
    ];
    for (family, of) in FAMILIES {
        let exported = [("family", family), ("account", "exported")];
        page.samples(&name, &exported, |info| account(of(info)).exported)?;
        for (ended, reason, count) in reasons {
            let labels = [("family", family), ("account", ended), ("reason", reason)];
            page.samples(&name, &labels, |info| count(account(of(info))))?;
        }
    }

    let name = format!("held_{unit}");
    page.family(
        &name,
        "gauge",
        &format!("{what} in flows that are in the cache, or that left it and wait to be sent."),
    )?;
    let held: [(&str, Count); 2] = [("cached", |a| a.cached), ("pending", |a| a.pending)];
    for (family, of) in FAMILIES {
        for (held, count) in held {
            let labels = [("family", family), ("account", held)];
            page.samples(&name, &labels, |info| count(account(of(info))))?;
        }
    }
    Ok(())
}

fn expired(page: &mut Page<'_, impl Write>) -> io::Result<()> {
    type Count = fn(&Expired) -> u64;
    let reasons: [(&str, Count); 6] = [
        ("inactive", |expired| expired.inactive),
        ("active", |expired| expired.active),
        ("finished", |expired| expired.finished),
        ("overflow", |expired| expired.overflow),
        ("displaced", |expired| expired.displaced),
        ("flushed", |expired| expired.flushed),
    ];
    let name = "expired_flows_total";
    page.counter(name, "Flows that left the cache, by reason.")?;
    for (reason, count) in reasons {
        page.samples(name, &[("reason", reason)], |info| count(&info.expired))?;
    }
    Ok(())
}

fn nat(page: &mut Page<'_, impl Write>) -> io::Result<()> {
    type Count = fn(&NatEvents) -> u64;
    let name = "untracked_flows_total";
    page.counter(
        name,
        "Flows exported without NAT, as conntrack knew no connection of theirs.",
    )?;
    page.samples(name, &[], |info| info.nat_state.untracked_flows)?;
    let name = "nat_events_total";
    page.counter(
        name,
        "Beginnings and ends of NAT sessions, by how it ended for them.",
    )?;
    page.samples(name, &[("account", "exported")], |info| {
        info.nat_state.events.exported
    })?;
    let reasons: [(&str, &str, Count); 5] = [
        ("lost", "no_collector", |events| events.no_collector),
        ("lost", "unsupported", |events| events.unsupported),
        ("lost", "send_failed", |events| events.send_failed),
        ("lost", "overrun", |events| events.overrun),
        ("ignored", "malformed", |events| events.malformed),
    ];
    for (account, reason, count) in reasons {
        let labels = [("account", account), ("reason", reason)];
        page.samples(name, &labels, |info| count(&info.nat_state.events))?;
    }
    Ok(())
}

fn collectors(page: &mut Page<'_, impl Write>) -> io::Result<()> {
    type Count = fn(&Collector) -> u64;
    let families: [(&str, &str, Count); 4] = [
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
        (
            "collector_unsupported_flows_total",
            "Flows that a collector was not sent, as its protocol has no record for them.",
            |collector| collector.unsupported,
        ),
    ];
    for (name, help, count) in families {
        page.counter(name, help)?;
        page.samples_of(name, |info| {
            info.collectors
                .iter()
                .map(|collector| (labels(collector), count(collector)))
        })?;
    }
    Ok(())
}

/// What tells a collector from others.
fn labels(collector: &Collector) -> Vec<(String, String)> {
    let address = collector.endpoint().to_string();
    let mut labels = vec![
        ("collector".to_owned(), address),
        ("protocol".to_owned(), collector.protocol.name().to_owned()),
    ];
    let source = collector.source.map(|source| source.to_string());
    labels.extend(source.map(|source| ("source".to_owned(), source)));
    labels.extend(
        collector
            .device
            .clone()
            .map(|name| ("device".to_owned(), name)),
    );
    labels
}

/// Metrics under way: a family begins with its name, and its samples follow.
struct Page<'a, W> {
    out: W,
    states: &'a States,
}

impl<'a, W: Write> Page<'a, W> {
    fn family(&mut self, name: &str, kind: &str, help: &str) -> io::Result<()> {
        let help = help.replace('\\', "\\\\");
        writeln!(self.out, "# HELP netflow_{name} {help}")?;
        writeln!(self.out, "# TYPE netflow_{name} {kind}")
    }

    fn counter(&mut self, name: &str, help: &str) -> io::Result<()> {
        self.family(name, "counter", help)
    }

    /// A family of one sample for each namespace.
    fn gauge<T: Display>(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn(&Info) -> T,
    ) -> io::Result<()> {
        self.family(name, "gauge", help)?;
        self.samples(name, &[], value)
    }

    /// The settings that namespaces have.
    fn settings(&self) -> Vec<&'static Setting> {
        let mut settings: Vec<&'static Setting> = Vec::new();
        for value in self.states.iter().flat_map(|(_, info)| info.config.iter()) {
            if settings
                .iter()
                .all(|known| known.number != value.setting.number)
            {
                settings.push(value.setting);
            }
        }
        settings
    }

    /// A sample of each namespace, with these labels.
    fn samples<T: Display>(
        &mut self,
        name: &str,
        labels: Labels<'_>,
        value: impl Fn(&Info) -> T,
    ) -> io::Result<()> {
        for (netns, info) in self.states {
            let netns = netns.as_deref().map(|netns| ("netns", netns));
            self.sample(name, netns.iter().chain(labels), value(info))?;
        }
        Ok(())
    }

    /// The samples of each namespace, any number of them, with the labels that each has.
    fn samples_of<T: Display, I>(
        &mut self,
        name: &str,
        samples: impl Fn(&'a Info) -> I,
    ) -> io::Result<()>
    where
        I: IntoIterator<Item = (Vec<(String, String)>, T)>,
    {
        for (netns, info) in self.states {
            let netns = netns.as_deref().map(|netns| ("netns", netns));
            for (labels, value) in samples(info) {
                let labels: Vec<_> = labels
                    .iter()
                    .map(|(name, text)| (&**name, &**text))
                    .collect();
                self.sample(name, netns.iter().chain(&labels), value)?;
            }
        }
        Ok(())
    }

    fn sample<'b>(
        &mut self,
        name: &str,
        labels: impl Iterator<Item = &'b (&'b str, &'b str)>,
        value: impl Display,
    ) -> io::Result<()> {
        write!(self.out, "netflow_{name}")?;
        let mut open = '{';
        for (label, value) in labels {
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

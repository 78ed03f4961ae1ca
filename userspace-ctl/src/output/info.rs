// SPDX-License-Identifier: GPL-2.0-only

//! The state of the exporter as blocks of text.

use super::{
    collectors,
    config,
    ifaces,
    table::{
        Align::{
            Left,
            Right, //
        },
        Table, //
    }, //
};
use crate::messages::{
    Account,
    Info,
    Nat, //
};
use std::io::{
    self,
    Write, //
};

/// Writes everything: state, settings, ledger, reasons of expiry, what there was to tell of NAT,
/// collectors, and if there are any, interfaces that are reported by a number of their own.
pub fn print(out: &mut impl Write, info: &Info) -> io::Result<()> {
    summary(out, info)?;
    writeln!(out)?;
    config::table(out, &info.config)?;
    writeln!(out)?;
    ledger(out, info)?;
    writeln!(out)?;
    expired(out, info)?;
    writeln!(out)?;
    if !info.nat_state.is_empty() {
        nat(out, &info.nat_state)?;
        writeln!(out)?;
    }
    match info.collectors.is_empty() {
        true => writeln!(out, "no collectors")?,
        false => collectors::print(out, &info.collectors)?,
    }
    if info.ifaces.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    ifaces::print(out, &info.ifaces)
}

fn summary(out: &mut impl Write, info: &Info) -> io::Result<()> {
    let state = match info {
        Info { enabled: true, .. } => "enabled",
        Info { enabling: true, .. } => "disabled, until memory is reserved for the cache",
        Info {
            disabling: true, ..
        } => "disabled, but for flows that are being exported",
        _ => "disabled",
    };
    writeln!(out, "netflow {state}")?;
    if let (false, Some(error)) = (info.enabled, &info.enable_error) {
        writeln!(out, "  could not be enabled: {error}")?;
    }
    writeln!(
        out,
        "  flows: {} cached, {} at most, {} created",
        info.flows.cached, info.flows.max, info.flows.created
    )?;
    writeln!(
        out,
        "  uptime: {}.{:03} s, next record: {}",
        info.sys_uptime / 1000,
        info.sys_uptime % 1000,
        info.flow_sequence
    )
}

/// All packets; and those of each family, if both have some.
fn ledger(out: &mut impl Write, info: &Info) -> io::Result<()> {
    type Count = fn(&Account) -> u64;
    let rows: [(&str, Count); 14] = [
        ("seen", |a| a.seen),
        ("ignored", |a| a.ignored),
        ("  truncated", |a| a.ignored_by.truncated),
        ("  malformed", |a| a.ignored_by.malformed),
        ("  own", |a| a.ignored_by.own),
        ("  not sampled", |a| a.ignored_by.not_sampled),
        ("cached", |a| a.cached),
        ("pending", |a| a.pending),
        ("exported", |a| a.exported),
        ("lost", |a| a.lost),
        ("  cache full", |a| a.lost_by.cache_full),
        ("  no collector", |a| a.lost_by.no_collector),
        ("  send failed", |a| a.lost_by.send_failed),
        ("  unsupported", |a| a.lost_by.unsupported),
    ];
    let (ipv4, ipv6) = (&info.ipv4, &info.ipv6);
    let mut columns = vec![
        ("PACKETS", &info.packets),
        ("BYTES", &info.bytes),
        ("IPV4 PACKETS", &ipv4.packets),
        ("IPV4 BYTES", &ipv4.bytes),
        ("IPV6 PACKETS", &ipv6.packets),
        ("IPV6 BYTES", &ipv6.bytes),
    ];
    if ipv4.packets.seen == 0 || ipv6.packets.seen == 0 {
        columns.truncate(2);
    }
    let names = columns.iter().map(|(name, _)| (*name, Right));
    let heads: Vec<_> = [("LEDGER", Left)].into_iter().chain(names).collect();
    let mut table = Table::new(out, &heads);
    for (name, count) in rows {
        table.row(|row| {
            row.word(name);
            for (_, account) in &columns {
                row.cell(count(account));
            }
        })?;
    }
    table.end()
}

fn expired(out: &mut impl Write, info: &Info) -> io::Result<()> {
    let rows = [
        ("inactive", info.expired.inactive),
        ("active", info.expired.active),
        ("finished", info.expired.finished),
        ("overflow", info.expired.overflow),
        ("displaced", info.expired.displaced),
        ("flushed", info.expired.flushed),
    ];
    let mut table = Table::new(out, &[("EXPIRED", Left), ("FLOWS", Right)]);
    for (reason, flows) in rows {
        table.row(|row| {
            row.word(reason).cell(flows);
        })?;
    }
    table.end()
}

fn nat(out: &mut impl Write, nat: &Nat) -> io::Result<()> {
    let rows = [
        ("flows without a connection", nat.untracked_flows),
        ("events exported", nat.events.exported),
        ("events lost: no collector", nat.events.no_collector),
        ("events lost: unsupported", nat.events.unsupported),
        ("events lost: send failed", nat.events.send_failed),
        ("events lost: overrun", nat.events.overrun),
        ("events malformed", nat.events.malformed),
    ];
    let mut table = Table::new(&mut *out, &[("NAT", Left), ("COUNT", Right)]);
    for (what, count) in rows {
        table.row(|row| {
            row.word(what).cell(count);
        })?;
    }
    table.end()?;
    match &nat.error {
        Some(error) => writeln!(out, "no events can be told: {error}"),
        None => Ok(()),
    }
}

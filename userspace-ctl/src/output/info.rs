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
use crate::messages::Info;
use std::io::{
    self,
    Write, //
};

/// Writes everything: state, settings, ledger, reasons of expiry, collectors, and if there are any,
/// interfaces that are reported by a number of their own.
pub fn print(out: &mut impl Write, info: &Info) -> io::Result<()> {
    summary(out, info)?;
    writeln!(out)?;
    config::table(out, &info.config)?;
    writeln!(out)?;
    ledger(out, info)?;
    writeln!(out)?;
    expired(out, info)?;
    writeln!(out)?;
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

fn ledger(out: &mut impl Write, info: &Info) -> io::Result<()> {
    let (p, b) = (&info.packets, &info.bytes);
    let rows = [
        ("seen", p.seen, b.seen),
        ("ignored", p.ignored, b.ignored),
        (
            "  truncated",
            p.ignored_by.truncated,
            b.ignored_by.truncated,
        ),
        (
            "  malformed",
            p.ignored_by.malformed,
            b.ignored_by.malformed,
        ),
        ("  own", p.ignored_by.own, b.ignored_by.own),
        ("cached", p.cached, b.cached),
        ("pending", p.pending, b.pending),
        ("exported", p.exported, b.exported),
        ("lost", p.lost, b.lost),
        ("  cache full", p.lost_by.cache_full, b.lost_by.cache_full),
        (
            "  no collector",
            p.lost_by.no_collector,
            b.lost_by.no_collector,
        ),
        (
            "  send failed",
            p.lost_by.send_failed,
            b.lost_by.send_failed,
        ),
        (
            "  unsupported",
            p.lost_by.unsupported,
            b.lost_by.unsupported,
        ),
    ];
    let columns = [("LEDGER", Left), ("PACKETS", Right), ("BYTES", Right)];
    let mut table = Table::new(out, &columns);
    for (account, packets, bytes) in rows {
        table.row(|row| {
            row.word(account).cell(packets).cell(bytes);
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

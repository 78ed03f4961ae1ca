// SPDX-License-Identifier: GPL-2.0

//! The state of the exporter.

use core::net::IpAddr;

use kernel::prelude::*;

use super::{
    request::explain,
    Request, //
};
use crate::{
    bindings as uapi,
    export::{
        batch::EventAccounts,
        collector::Collector,
        destination::Protocol,
        state::ExportState, //
    },
    flow::{
        expiry::Reason,
        families::AddressFamily,
        ledger::{
            Ledger,
            Totals, //
        },
    },
    linux::netlink::{
        ExtAck,
        ExtResult,
        Message, //
    },
    namespace::Report,
};

/// Replies with state, settings, ledger and collectors.
pub(super) fn get(request: &Request<'_>) -> ExtResult {
    let namespace = request.state()?;
    if request.is_first() {
        namespace.wait_until_drained();
    }
    request.reply(|message| namespace.report(|report| put(message, report)))
}

fn put(message: &mut Message<'_>, report: &Report<'_>) -> Result {
    message.put_nest(uapi::NETFLOW_A_INFO_CONFIG, |nest| report.config.put(nest))?;
    message.put_u8(uapi::NETFLOW_A_INFO_ENABLED, report.enabled.into())?;
    message.put_u32(uapi::NETFLOW_A_INFO_FLOWS_CACHED, report.cached)?;
    message.put_uint(
        uapi::NETFLOW_A_INFO_FLOWS_CREATED,
        report.created.ipv4.wrapping_add(report.created.ipv6),
    )?;
    let ledger = report.ledgers.sum();
    message.put_nest(uapi::NETFLOW_A_INFO_PACKETS, |nest| {
        put_ledger(nest, &ledger, |totals| totals.packets)
    })?;
    message.put_nest(uapi::NETFLOW_A_INFO_BYTES, |nest| {
        put_ledger(nest, &ledger, |totals| totals.bytes)
    })?;
    message.put_nest(uapi::NETFLOW_A_INFO_EXPIRED, |nest| {
        put_expired(nest, report.export)
    })?;
    for collector in report.export.iter().flat_map(|s| s.collectors()) {
        message.put_nest(uapi::NETFLOW_A_INFO_COLLECTOR, |nest| {
            put_collector(nest, collector, report.export)
        })?;
    }
    message.put_u32(
        uapi::NETFLOW_A_INFO_SYS_UPTIME,
        report.clock.uptime().as_millis(),
    )?;
    message.put_u32(
        uapi::NETFLOW_A_INFO_FLOW_SEQUENCE,
        report.export.map_or(0, |s| s.sequence(Protocol::V5)),
    )?;
    message.put_u8(uapi::NETFLOW_A_INFO_DISABLING, report.disabling.into())?;
    message.put_uint(
        uapi::NETFLOW_A_INFO_FLUSHES_REQUESTED,
        report.flushes.requested,
    )?;
    message.put_uint(uapi::NETFLOW_A_INFO_FLUSHES_DONE, report.flushes.done)?;
    message.put_u8(uapi::NETFLOW_A_INFO_ENABLING, report.enabling.into())?;
    if let Some(extack) = report.enable_error {
        put_enable_error(message, &explain(*extack))?;
    }
    message.put_nest(uapi::NETFLOW_A_INFO_IPV4, |nest| {
        put_family(nest, report, AddressFamily::Ipv4)
    })?;
    message.put_nest(uapi::NETFLOW_A_INFO_IPV6, |nest| {
        put_family(nest, report, AddressFamily::Ipv6)
    })?;
    message.put_nest(uapi::NETFLOW_A_INFO_NAT_STATE, |nest| {
        put_nat(nest, report.export)
    })
}

fn put_nat(nest: &mut Message<'_>, export: Option<&ExportState>) -> Result {
    let events = export.map_or(EventAccounts::default(), |s| s.nat_events);
    let counts = [
        (
            uapi::NETFLOW_A_NAT_STATE_UNTRACKED_FLOWS,
            export.map_or(0, |s| s.untracked_flows),
        ),
        (uapi::NETFLOW_A_NAT_STATE_EVENTS_EXPORTED, events.exported),
        (
            uapi::NETFLOW_A_NAT_STATE_EVENTS_NO_COLLECTOR,
            events.no_collector,
        ),
        (
            uapi::NETFLOW_A_NAT_STATE_EVENTS_UNSUPPORTED,
            events.unsupported,
        ),
        (
            uapi::NETFLOW_A_NAT_STATE_EVENTS_SEND_FAILED,
            events.send_failed,
        ),
        (uapi::NETFLOW_A_NAT_STATE_EVENTS_OVERRUN, events.overrun),
        (uapi::NETFLOW_A_NAT_STATE_EVENTS_MALFORMED, events.malformed),
    ];
    counts
        .iter()
        .try_for_each(|(kind, count)| nest.put_uint(*kind, *count))?;
    match export.and_then(|s| s.nat_error) {
        Some(error) => nest.put_u32(
            uapi::NETFLOW_A_NAT_STATE_ERROR,
            error.to_errno().unsigned_abs(),
        ),
        None => Ok(()),
    }
}

/// Why an exporter could not be enabled, as a refusal would have told it.
fn put_enable_error(message: &mut Message<'_>, extack: &ExtAck) -> Result {
    let errno = extack.error().to_errno().unsigned_abs();
    message.put_u32(uapi::NETFLOW_A_INFO_ENABLE_ERROR, errno)?;
    message.put_bytes(
        uapi::NETFLOW_A_INFO_ENABLE_ERROR_TEXT,
        extack.text().to_bytes_with_nul(),
    )
}

fn put_family(nest: &mut Message<'_>, report: &Report<'_>, family: AddressFamily) -> Result {
    let ledger = report.ledgers.of(family);
    nest.put_uint(
        uapi::NETFLOW_A_FAMILY_FLOWS_CREATED,
        *report.created.of(family),
    )?;
    nest.put_nest(uapi::NETFLOW_A_FAMILY_PACKETS, |nest| {
        put_ledger(nest, ledger, |totals| totals.packets)
    })?;
    nest.put_nest(uapi::NETFLOW_A_FAMILY_BYTES, |nest| {
        put_ledger(nest, ledger, |totals| totals.bytes)
    })
}

fn put_ledger(nest: &mut Message<'_>, ledger: &Ledger, of: fn(&Totals) -> u64) -> Result {
    let accounts = [
        (uapi::NETFLOW_A_LEDGER_SEEN, ledger.seen),
        (uapi::NETFLOW_A_LEDGER_IGNORED, ledger.ignored()),
        (uapi::NETFLOW_A_LEDGER_CACHED, ledger.cached),
        (uapi::NETFLOW_A_LEDGER_PENDING, ledger.pending),
        (uapi::NETFLOW_A_LEDGER_EXPORTED, ledger.exported),
        (uapi::NETFLOW_A_LEDGER_LOST, ledger.lost()),
        (uapi::NETFLOW_A_LEDGER_IGNORED_TRUNCATED, ledger.truncated),
        (uapi::NETFLOW_A_LEDGER_IGNORED_MALFORMED, ledger.malformed),
        (uapi::NETFLOW_A_LEDGER_IGNORED_OWN, ledger.own),
        (uapi::NETFLOW_A_LEDGER_LOST_CACHE_FULL, ledger.cache_full),
        (
            uapi::NETFLOW_A_LEDGER_LOST_NO_COLLECTOR,
            ledger.no_collector,
        ),
        (uapi::NETFLOW_A_LEDGER_LOST_SEND_FAILED, ledger.send_failed),
        (uapi::NETFLOW_A_LEDGER_LOST_UNSUPPORTED, ledger.unsupported),
        (
            uapi::NETFLOW_A_LEDGER_IGNORED_NOT_SAMPLED,
            ledger.not_sampled,
        ),
    ];
    accounts
        .iter()
        .try_for_each(|(kind, totals)| nest.put_uint(*kind, of(totals)))
}

fn put_expired(nest: &mut Message<'_>, export: Option<&ExportState>) -> Result {
    let reasons = [
        (uapi::NETFLOW_A_EXPIRED_INACTIVE, Reason::Inactive),
        (uapi::NETFLOW_A_EXPIRED_ACTIVE, Reason::Active),
        (uapi::NETFLOW_A_EXPIRED_FINISHED, Reason::Finished),
        (uapi::NETFLOW_A_EXPIRED_OVERFLOW, Reason::Overflow),
        (uapi::NETFLOW_A_EXPIRED_DISPLACED, Reason::Displaced),
        (uapi::NETFLOW_A_EXPIRED_FLUSHED, Reason::Flushed),
    ];
    reasons.iter().try_for_each(|(kind, reason)| {
        nest.put_uint(*kind, export.map_or(0, |s| s.accounts.expired(*reason)))
    })
}

fn put_collector(
    nest: &mut Message<'_>,
    collector: &Collector,
    export: Option<&ExportState>,
) -> Result {
    let to = &collector.to;
    // CAST: The enumeration is represented as its constants are.
    nest.put_u32(uapi::NETFLOW_A_COLLECTOR_PROTOCOL, to.protocol as u32)?;
    let sequence = export.map_or(0, |s| s.sequence(to.protocol));
    nest.put_u32(uapi::NETFLOW_A_COLLECTOR_SEQUENCE, sequence)?;
    nest.put_uint(uapi::NETFLOW_A_COLLECTOR_UNSUPPORTED, collector.unsupported)?;
    put_address(nest, uapi::NETFLOW_A_COLLECTOR_ADDRESS, to.address.ip())?;
    nest.put_u16(uapi::NETFLOW_A_COLLECTOR_PORT, to.address.port())?;
    if !to.source.is_unspecified() {
        put_address(nest, uapi::NETFLOW_A_COLLECTOR_SOURCE, to.source)?;
    }
    if let Some(device) = &to.device {
        nest.put_bytes(uapi::NETFLOW_A_COLLECTOR_DEVICE, device.bytes_with_nul())?;
    }
    if let Some(error) = collector.last_error {
        let errno = error.to_errno().unsigned_abs();
        nest.put_u32(uapi::NETFLOW_A_COLLECTOR_LAST_ERROR, errno)?;
    }
    nest.put_uint(uapi::NETFLOW_A_COLLECTOR_DATAGRAMS, collector.datagrams)?;
    nest.put_uint(uapi::NETFLOW_A_COLLECTOR_RECORDS, collector.records)?;
    nest.put_uint(uapi::NETFLOW_A_COLLECTOR_ERRORS, collector.errors)
}

fn put_address(nest: &mut Message<'_>, kind: u32, address: IpAddr) -> Result {
    match address {
        IpAddr::V4(address) => nest.put_bytes(kind, &address.octets()),
        IpAddr::V6(address) => nest.put_bytes(kind, &address.octets()),
    }
}

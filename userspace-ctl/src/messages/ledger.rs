// SPDX-License-Identifier: GPL-2.0-only

//! Where packets, bytes and flows ended.

use crate::{
    error::Error,
    netlink::attributes,
    uapi::{
        expired,
        ledger, //
    }, //
};
use serde::Serialize;

/// The ledger of packets or of bytes. At any quiet moment
/// `seen = ignored + cached + pending + exported + lost`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Handed to the exporter.
    pub seen: u64,
    /// Not accounted.
    pub ignored: u64,
    /// In flows of the cache.
    pub cached: u64,
    /// In flows that left the cache and wait to be sent.
    pub pending: u64,
    /// In flow records that were sent.
    pub exported: u64,
    /// Seen but never exported.
    pub lost: u64,
    /// `ignored` by reason.
    pub ignored_by: Ignored,
    /// `lost` by reason.
    pub lost_by: Lost,
}

/// Why packets were ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ignored {
    /// The header is cut off.
    pub truncated: u64,
    /// The header is none, or contradicts itself.
    pub malformed: u64,
    /// A datagram of the exporter itself.
    pub own: u64,
    /// Not selected by sampling.
    pub not_sampled: u64,
}

/// Why packets were lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// No room for a new flow.
    pub cache_full: u64,
    /// Nobody to send the flow to.
    pub no_collector: u64,
    /// Nobody's socket took the datagram.
    pub send_failed: u64,
    /// No collector gets a format that has a record for such a flow.
    pub unsupported: u64,
}

/// How many flows left the cache, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Expired {
    /// No packet for the inactive timeout.
    pub inactive: u64,
    /// The active timeout passed since the first packet.
    pub active: u64,
    /// TCP FIN or RST was seen.
    pub finished: u64,
    /// A counter came near to what a record can hold.
    pub overflow: u64,
    /// Made way for a new flow.
    pub displaced: u64,
    /// By request, or because the exporter was disabled.
    pub flushed: u64,
}

impl Account {
    pub(super) fn decode(nest: &[u8]) -> Result<Self, Error> {
        let mut account = Self::default();
        for attribute in attributes(nest) {
            let attribute = attribute?;
            let field = match attribute.kind {
                ledger::SEEN => &mut account.seen,
                ledger::IGNORED => &mut account.ignored,
                ledger::CACHED => &mut account.cached,
                ledger::PENDING => &mut account.pending,
                ledger::EXPORTED => &mut account.exported,
                ledger::LOST => &mut account.lost,
                ledger::IGNORED_TRUNCATED => &mut account.ignored_by.truncated,
                ledger::IGNORED_MALFORMED => &mut account.ignored_by.malformed,
                ledger::IGNORED_OWN => &mut account.ignored_by.own,
                ledger::IGNORED_NOT_SAMPLED => &mut account.ignored_by.not_sampled,
                ledger::LOST_CACHE_FULL => &mut account.lost_by.cache_full,
                ledger::LOST_NO_COLLECTOR => &mut account.lost_by.no_collector,
                ledger::LOST_SEND_FAILED => &mut account.lost_by.send_failed,
                ledger::LOST_UNSUPPORTED => &mut account.lost_by.unsupported,
                _ => continue,
            };
            *field = attribute.uint()?;
        }
        Ok(account)
    }
}

impl Expired {
    pub(super) fn decode(nest: &[u8]) -> Result<Self, Error> {
        let mut counts = Self::default();
        for attribute in attributes(nest) {
            let attribute = attribute?;
            let field = match attribute.kind {
                expired::INACTIVE => &mut counts.inactive,
                expired::ACTIVE => &mut counts.active,
                expired::FINISHED => &mut counts.finished,
                expired::OVERFLOW => &mut counts.overflow,
                expired::DISPLACED => &mut counts.displaced,
                expired::FLUSHED => &mut counts.flushed,
                _ => continue,
            };
            *field = attribute.uint()?;
        }
        Ok(counts)
    }
}

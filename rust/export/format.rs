// SPDX-License-Identifier: GPL-2.0

//! What a stream asks of an export format.

use super::options::Options;
use crate::flow::{
    entry::AnyFlow,
    expiry::Reason,
    nat::{
        AnyEndpoints,
        NatEvent, //
    },
    uptime::Uptime, //
};

pub(crate) const MSEC_PER_SEC: u64 = 1000;
const NSEC_PER_MSEC: u64 = 1_000_000;

/// One moment, by the two clocks of a datagram's header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExportTime {
    /// SysUptime, in milliseconds.
    pub(crate) uptime: Uptime,
    /// The time of day, in nanoseconds since 1970.
    pub(crate) wall: u64,
}

impl ExportTime {
    /// The time of day, in milliseconds since 1970.
    pub(crate) fn milliseconds(self) -> u64 {
        self.wall / NSEC_PER_MSEC
    }

    /// The same, at a reading of SysUptime that is not later.
    pub(crate) fn milliseconds_of(self, past: Uptime) -> u64 {
        let ago = self.uptime.since(past);
        self.milliseconds().saturating_sub(ago.into())
    }

    /// When SysUptime was 0, in milliseconds modulo 2^32. Another only when the clock is set.
    pub(crate) fn boot(self) -> u32 {
        // CAST: Modulo 2^32, as SysUptime is.
        (self.milliseconds() as u32).wrapping_sub(self.uptime.as_millis())
    }
}

/// What there is to do after a call of [`Format::append`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Appended {
    /// Nothing: that was the last record of the flow.
    Last,
    /// To append the next one, as the flow takes several.
    More,
    /// To send the datagram and to append the same one again: there was no room, and the datagram
    /// is as before.
    Full,
    /// Nothing: the format has no record for such a flow.
    Unsupported,
}

/// What is announced to Collectors, in datagrams without flow records.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Announcement<'a> {
    /// How flow records are laid out.
    Templates,
    /// The same of those with NAT and of NAT events, if these are told.
    NatTemplates,
    /// How records of options are laid out.
    OptionsTemplates,
    /// A record of options.
    Options(Options<'a>),
}

/// A datagram under construction, in a format: a header and Data Records.
///
/// How many records fit in is the format's own matter, by their number or by the bytes of the
/// payload; an empty datagram has room for any record.
pub(crate) trait Format {
    /// Whether there is anything to announce: a Collector cannot read flow records unless it was
    /// told their templates.
    const ANNOUNCES: bool;

    /// Sets how many bytes of payload a datagram has at most. Takes an empty datagram, and has no
    /// effect on what does not fit by itself.
    fn set_limit(&mut self, bytes: usize);

    /// Data Records that a datagram holds then, if each is of another flow; at least one.
    fn records_max(&self) -> usize;

    /// The flows that are appended from here on left the cache before `now`.
    fn begin(&mut self, now: ExportTime);

    /// Appends a Data Record of a flow that left the cache for `reason`: number `index`, from 0, of
    /// those that it takes.
    fn append(&mut self, flow: &AnyFlow, reason: Reason, index: u64) -> Appended;

    /// The same of a flow whose packets leave this host with the addresses and ports `after`, which
    /// not all formats have fields for.
    fn append_translated(
        &mut self,
        flow: &AnyFlow,
        _after: &AnyEndpoints,
        reason: Reason,
        index: u64,
    ) -> Appended {
        self.append(flow, reason, index)
    }

    /// Appends the record of an event.
    fn append_event(&mut self, _event: &NatEvent) -> Appended {
        Appended::Unsupported
    }

    /// Appends an announcement. Returns whether there was room; any has, in an empty datagram. If
    /// not, what fitted of it is not to be sent.
    fn announce(&mut self, what: Announcement<'_>) -> bool;

    /// Data Records of flows and of events in it.
    fn records(&self) -> u32;

    /// Whether nothing has been appended.
    fn is_empty(&self) -> bool;

    /// By how much it moves the sequence number on.
    fn sequence_units(&self) -> u32;

    /// Completes the header, and returns the payload to send, in network byte order.
    ///
    /// `time` must not be before the last packet of any of its flows. `sequence` is the stream's
    /// sequence number, without this datagram.
    fn finish(&mut self, time: ExportTime, sequence: u32) -> &[u8];

    /// Forgets the records.
    fn clear(&mut self);
}

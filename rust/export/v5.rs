// SPDX-License-Identifier: GPL-2.0

//! NetFlow version 5: a header of 24 bytes and up to 30 records of 48, all in network byte order.
//!
//! There is no RFC; the layout is Cisco's ("NetFlow Export Datagram Format", tables B-3 and B-4).
//! Counters have 32 bits: a flow that exceeds them is exported in several records.

use core::num::NonZeroU64;

use zerocopy::{
    byteorder::network_endian::{
        U16,
        U32, //
    },
    IntoBytes, //
};
use zerocopy_derive::{
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout,
    Unaligned, //
};

use super::format::{
    Announcement,
    Appended,
    ExportTime,
    Format, //
};
use crate::flow::{
    entry::AnyFlow,
    expiry::Reason,
    ledger::Totals,
    sampling::Method, //
};

/// Records in a datagram at most, as Collectors expect it.
pub(crate) const RECORDS_MAX: usize = 30;

/// Bytes at which a flow is to end: one more packet, of 65,535 bytes at most, still fits the
/// counter. The flow leaves at the next sweep, up to a second later, and may have more by then: it
/// takes several records, which [`share`] splits it into.
pub(crate) const MAX_BYTES: u64 = u32::MAX as u64 - 65_535;

const VERSION: u16 = 5;
const NSEC_PER_SEC: u64 = 1_000_000_000;

/// The header of a datagram.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Default)]
#[repr(C)]
struct Header {
    version: U16,
    /// Records that follow.
    count: U16,
    /// Milliseconds since boot, when the datagram was made.
    sys_uptime: U32,
    /// The same moment, in seconds since 1970 ...
    unix_secs: U32,
    /// ... and nanoseconds.
    unix_nsecs: U32,
    /// Number of the first record since the exporter began.
    flow_sequence: U32,
    engine_type: u8,
    engine_id: u8,
    /// How packets are selected, in two bits, and of how many one is; 0 if all are.
    sampling_interval: U16,
}

/// A flow record.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Default)]
#[repr(C)]
struct Record {
    src_addr: [u8; 4],
    dst_addr: [u8; 4],
    next_hop: [u8; 4],
    input: U16,
    output: U16,
    packets: U32,
    octets: U32,
    first: U32,
    last: U32,
    src_port: U16,
    dst_port: U16,
    pad1: u8,
    tcp_flags: u8,
    proto: u8,
    tos: u8,
    src_as: U16,
    dst_as: U16,
    src_mask: u8,
    dst_mask: u8,
    pad2: U16,
}

/// A datagram as it is sent.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Payload {
    header: Header,
    records: [Record; RECORDS_MAX],
}

/// A datagram under construction.
pub(crate) struct Datagram {
    payload: Payload,
    /// How many of its records may be used, at least one.
    capacity: usize,
}

/// An interface index in 16 bits: 65535 stands for all that do not fit.
fn interface(index: u32) -> U16 {
    U16::new(u16::try_from(index).unwrap_or(u16::MAX))
}

/// How many records it takes for what a flow adds up to, in 32-bit counters.
fn records_for(totals: Totals) -> NonZeroU64 {
    let most = totals.packets.max(totals.bytes);
    NonZeroU64::MIN.saturating_add(most.saturating_sub(1) / u64::from(u32::MAX))
}

/// Part `i` of `n` of a sum: all parts add up to it, and differ by one at most.
fn part(sum: u64, i: u64, n: NonZeroU64) -> u64 {
    (sum / n).wrapping_add((i < sum % n).into())
}

/// What record `i` counts, of the `n` that add up to `totals`.
fn share(totals: Totals, i: u64, n: NonZeroU64) -> Totals {
    // Like nearly all flows; to divide takes long.
    if n == NonZeroU64::MIN {
        return totals;
    }
    Totals {
        packets: part(totals.packets, i, n),
        bytes: part(totals.bytes, i, n),
    }
}

impl Datagram {
    /// A datagram without records.
    pub(crate) fn new() -> Self {
        Self {
            payload: Payload {
                header: Header {
                    version: U16::new(VERSION),
                    ..Header::default()
                },
                records: [Record::default(); RECORDS_MAX],
            },
            capacity: RECORDS_MAX,
        }
    }

    /// Sets what distinguishes the exporters of one host.
    pub(crate) fn set_engine(&mut self, kind: u8, id: u8) {
        self.payload.header.engine_type = kind;
        self.payload.header.engine_id = id;
    }

    /// Sets how packets are selected.
    pub(crate) fn set_sampling(&mut self, method: Method) {
        const DETERMINISTIC: u16 = 1 << 14;
        const RANDOM: u16 = 2 << 14;
        const INTERVAL_MAX: u32 = (1 << 14) - 1;

        // CAST: Limited to 14 bits.
        let interval = method.interval().min(INTERVAL_MAX) as u16;
        let header = match interval {
            1 => 0,
            _ if method.is_random() => RANDOM | interval,
            _ => DETERMINISTIC | interval,
        };
        self.payload.header.sampling_interval = U16::new(header);
    }

    fn count(&self) -> u16 {
        self.payload.header.count.get()
    }
}

impl Format for Datagram {
    /// Records have one layout.
    const ANNOUNCES: bool = false;

    fn set_limit(&mut self, bytes: usize) {
        let records = bytes.saturating_sub(size_of::<Header>()) / size_of::<Record>();
        self.capacity = records.clamp(1, RECORDS_MAX);
    }

    fn records_max(&self) -> usize {
        self.capacity
    }

    /// The times of records are those of SysUptime.
    fn begin(&mut self, _now: ExportTime) {}

    /// The record has no field for the reason, and addresses of four bytes.
    #[inline]
    fn append(&mut self, flow: &AnyFlow, _reason: Reason, index: u64) -> Appended {
        let AnyFlow::V4(flow) = flow else {
            return Appended::Unsupported;
        };
        let count = self.count();
        let records = self.payload.records.get_mut(..self.capacity);
        let Some(record) = records.unwrap_or_default().get_mut(usize::from(count)) else {
            return Appended::Full;
        };
        let records = records_for(flow.totals());
        let share = share(flow.totals(), index, records);
        *record = Record {
            src_addr: flow.key.src().octets(),
            dst_addr: flow.key.dst().octets(),
            next_hop: flow.route.next_hop.octets(),
            input: interface(flow.key.input()),
            output: interface(flow.route.output),
            // CAST: `records_for` made the share fit.
            packets: U32::new(share.packets as u32),
            octets: U32::new(share.bytes as u32),
            first: U32::new(flow.first.as_millis()),
            last: U32::new(flow.last.as_millis()),
            src_port: U16::new(flow.key.src_port()),
            dst_port: U16::new(flow.key.dst_port()),
            tcp_flags: flow.tcp_flags(),
            proto: flow.key.proto(),
            tos: flow.key.tos(),
            src_mask: flow.route.src_mask,
            dst_mask: flow.route.dst_mask,
            ..Record::default()
        };
        self.payload.header.count = U16::new(count.wrapping_add(1));
        if index.saturating_add(1) < records.get() {
            Appended::More
        } else {
            Appended::Last
        }
    }

    fn announce(&mut self, _what: Announcement<'_>) -> bool {
        true
    }

    fn records(&self) -> u32 {
        self.count().into()
    }

    fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// The sequence number counts records: a header has that of its first one.
    fn sequence_units(&self) -> u32 {
        self.count().into()
    }

    fn finish(&mut self, time: ExportTime, sequence: u32) -> &[u8] {
        self.payload.header.sys_uptime = U32::new(time.uptime.as_millis());
        // CAST: Seconds in 32 bits last until 2106; nanoseconds are less than 10^9.
        self.payload.header.unix_secs = U32::new((time.wall / NSEC_PER_SEC) as u32);
        self.payload.header.unix_nsecs = U32::new((time.wall % NSEC_PER_SEC) as u32);
        self.payload.header.flow_sequence = U32::new(sequence);
        let records = size_of::<Record>().saturating_mul(self.count().into());
        let len = size_of::<Header>().saturating_add(records);
        self.payload.as_bytes().get(..len).unwrap_or_default()
    }

    fn clear(&mut self) {
        self.payload.header.count = U16::new(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{
        entry::{
            Counts,
            Flow,
            Route, //
        },
        key::Key,
        uptime::Uptime,
    };
    use core::net::Ipv4Addr;
    use proptest::prelude::*;

    fn flow() -> Flow<Ipv4Addr> {
        let (src, dst) = ([10, 1, 2, 3].into(), [192, 0, 2, 9].into());
        let key = Key::new(src, dst, [0xc7, 0x38, 0x01, 0xbb], 3, 6, 0xb8);
        let route = Route {
            next_hop: Ipv4Addr::new(198, 51, 100, 1),
            output: 0x0102,
            src_mask: 8,
            dst_mask: 24,
        };
        let counts = Counts {
            packets: 7,
            bytes: 0x1234,
            tcp_flags: 0x1b,
        };
        let mut flow = Flow::new(key, route, counts, Uptime::from_millis(1000));
        flow.last = Uptime::from_millis(2500);
        flow
    }

    fn append(datagram: &mut Datagram, flow: Flow<Ipv4Addr>) -> Appended {
        datagram.append(&AnyFlow::V4(flow), Reason::Inactive, 0)
    }

    const BEGINNING: ExportTime = ExportTime {
        uptime: Uptime::from_millis(0),
        wall: 0,
    };

    /// Byte for byte, by the offsets of Cisco's tables.
    #[test]
    fn layout() {
        let mut datagram = Datagram::new();
        assert_eq!(append(&mut datagram, flow()), Appended::Last);
        datagram.set_engine(0x11, 0x22);
        let time = ExportTime {
            uptime: Uptime::from_millis(0x01020304),
            wall: 0x6000_0000 * NSEC_PER_SEC + 0x0abc_def0,
        };
        let bytes = datagram.finish(time, 0x0a0b0c0d);
        let expected: [u8; 72] = [
            0, 5, 0, 1, 1, 2, 3, 4, 0x60, 0, 0, 0, 0x0a, 0xbc, 0xde, 0xf0, 0x0a, 0x0b, 0x0c, 0x0d,
            0x11, 0x22, 0, 0, // header
            10, 1, 2, 3, 192, 0, 2, 9, 198, 51, 100, 1, 0, 3, 1, 2, // addresses, interfaces
            0, 0, 0, 7, 0, 0, 0x12, 0x34, 0, 0, 0x03, 0xe8, 0, 0, 0x09,
            0xc4, // counters, times
            0xc7, 0x38, 0x01, 0xbb, 0, 0x1b, 6, 0xb8, 0, 0, 0, 0, 8, 24, 0,
            0, // ports to masks
        ];
        assert_eq!(bytes, expected);
    }

    /// Two bits of mode (1: every so many packets, 2: random ones), then 14 of interval.
    #[test]
    fn sampling() {
        let mut datagram = Datagram::new();
        for (method, stated) in [
            (Method::ALL, [0, 0]),
            (Method::new(1, true), [0, 0]),
            (Method::new(100, false), [0x40, 100]),
            (Method::new(100, true), [0x80, 100]),
            (Method::new(16_383, true), [0xbf, 0xff]),
        ] {
            datagram.set_sampling(method);
            assert_eq!(datagram.finish(BEGINNING, 0)[22..], stated, "{method:?}");
        }
    }

    #[test]
    fn thirty_records_fill_it() {
        let mut datagram = Datagram::new();
        for i in 0..30 {
            assert_eq!(datagram.records(), i);
            assert_eq!(append(&mut datagram, flow()), Appended::Last);
        }
        let other = Flow {
            packets: 1,
            ..flow()
        };
        let full = datagram.finish(BEGINNING, 0).to_vec();
        assert_eq!(append(&mut datagram, other), Appended::Full);
        assert_eq!(datagram.finish(BEGINNING, 0), full);
        assert_eq!((datagram.records(), datagram.sequence_units()), (30, 30));
        assert_eq!(full.len(), 1464);

        datagram.clear();
        assert_eq!(datagram.records(), 0);
        assert_eq!(datagram.finish(BEGINNING, 0).len(), 24);
    }

    /// As many records as fit: 24 bytes of header and 48 of each record.
    #[test]
    fn a_limit_of_bytes_is_kept() {
        for (bytes, records) in [
            (0, 1),
            (72, 1),
            (119, 1),
            (120, 2),
            (548, 10),
            (1372, 28),
            (1463, 29),
            (1464, 30),
            (8972, 30),
        ] {
            let mut datagram = Datagram::new();
            datagram.set_limit(bytes);
            for i in 0..records {
                assert_eq!(
                    append(&mut datagram, flow()),
                    Appended::Last,
                    "{i} of {bytes}"
                );
            }
            assert_eq!(append(&mut datagram, flow()), Appended::Full, "{bytes}");
            assert_eq!(datagram.records_max(), records);
            assert_eq!(datagram.finish(BEGINNING, 0).len(), 24 + 48 * records);
        }
    }

    /// A flow that had less than the limit before its last packet, however large, takes one record.
    #[test]
    fn flows_that_end_in_time_take_one_record() {
        let bytes = MAX_BYTES - 1 + 65_535;
        let flow = Flow { bytes, ..flow() };
        assert_eq!(append(&mut Datagram::new(), flow), Appended::Last);
    }

    #[test]
    fn interfaces_that_do_not_fit() {
        assert_eq!(interface(65_535).get(), 65_535);
        assert_eq!(interface(65_536).get(), 65_535);
        assert_eq!(interface(1).get(), 1);
    }

    proptest! {
        /// However much a flow counted, its records add up to it, in 32 bits each.
        #[test]
        fn shares_add_up(packets in 1u64..1 << 40, bytes in 20u64..1 << 40) {
            let totals = Totals { packets, bytes };
            let n = records_for(totals);
            let shares: Vec<Totals> = (0..n.get()).map(|i| share(totals, i, n)).collect();
            let sum = shares.iter().fold(Totals::default(), |a, &b| a + b);
            prop_assert_eq!(sum, totals);
            let max = u64::from(u32::MAX);
            prop_assert!(shares.iter().all(|s| s.packets <= max && s.bytes <= max));
            prop_assert_eq!(shares.len() == 1, packets <= max && bytes <= max);
        }
    }
}

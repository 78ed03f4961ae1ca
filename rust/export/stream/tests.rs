// SPDX-License-Identifier: GPL-2.0

//! Flows in, datagrams and accounts out, with the batches and v5 as the module has them.

use core::net::Ipv4Addr;
use std::ops::{
    Range,
    RangeInclusive, //
};

use proptest::{
    collection::vec,
    prelude::*, //
};

use super::*;
use crate::{
    export::{
        batch::{
            Accounts,
            Batch,
            Entry, //
        },
        collector::Schedule,
        format::Announcement,
        ipfix,
        v5, //
    },
    flow::{
        entry::{
            AnyFlow,
            Flow,
            Route, //
        },
        expiry::Reason,
        key::Key,
        ledger::Totals,
        uptime::Uptime,
    },
};

/// Records in a datagram, and the most that a record of v5 can count.
const RECORDS: usize = 30;
const COUNTER_MAX: u64 = 0xffff_ffff;

const TIME: ExportTime = ExportTime {
    uptime: Uptime::from_millis(1000),
    wall: 1_000_000_000,
};

/// A flow that its source address tells from others.
fn flow(number: usize, totals: Totals) -> AnyFlow {
    let src = Ipv4Addr::from(number as u32);
    let key = Key::new(src, Ipv4Addr::LOCALHOST, [0; 4], 1, 17, 0);
    AnyFlow::V4(Flow {
        key,
        route: Route::NONE,
        packets: totals.packets,
        bytes: totals.bytes,
        ..Flow::VACANT
    })
}

fn batch_of(flows: usize) -> Batch<Vec<Entry>> {
    Batch::new(vec![Entry::VACANT; flows])
}

/// Pushes flows, exporting each batch that is full and what is left.
fn export<F: Format>(stream: &mut Stream<Box<F>>, size: usize, flows: &[Totals]) -> Accounts {
    let mut accounts = Accounts::default();
    let mut batch = batch_of(size);
    for (number, totals) in flows.iter().enumerate() {
        let flow = flow(number, *totals);
        assert!(batch.push(flow, Reason::Active));
        if batch.has(usize::MAX) {
            assert!(!batch.push(flow, Reason::Active));
            batch.take(&mut accounts);
            stream.export(batch.entries_mut(), || TIME);
            batch.settle(&mut accounts);
        }
    }
    batch.take(&mut accounts);
    let last = &flows[flows.len() / size * size..];
    assert_eq!(accounts.of.ipv4.pending(), sum(last));
    stream.export(batch.entries_mut(), || TIME);
    batch.settle(&mut accounts);
    assert_eq!(accounts.of.ipv4.pending(), Totals::default());
    accounts
}

fn sum(flows: &[Totals]) -> Totals {
    flows.iter().fold(Totals::default(), |sum, &t| sum + t)
}

/// The records of v5 that a flow takes, as it has 32 bits for packets and for bytes.
fn records_of(flow: &Totals) -> usize {
    flow.packets.max(flow.bytes).div_ceil(COUNTER_MAX) as usize
}

/// The flows that have a record in each datagram; of each batch, the records follow one another, 30
/// to a datagram.
fn datagrams(flows: &[Totals], size: usize) -> Vec<Vec<usize>> {
    let numbers: Vec<usize> = (0..flows.len()).collect();
    let of_batch = |batch: &[usize]| -> Vec<Vec<usize>> {
        let records: Vec<usize> = batch
            .iter()
            .flat_map(|&number| core::iter::repeat_n(number, records_of(&flows[number])))
            .collect();
        records.chunks(RECORDS).map(<[usize]>::to_vec).collect()
    };
    numbers.chunks(size).flat_map(of_batch).collect()
}

/// The sum of those flows all of whose datagrams were accepted, by any of the schedules.
fn accepted(flows: &[Totals], datagrams: &[Vec<usize>], schedules: &[Schedule]) -> Totals {
    let is_accepted = |number: usize| schedules.iter().any(|s| s[number % s.len()]);
    let mut whole = vec![true; flows.len()];
    for (number, datagram) in datagrams.iter().enumerate() {
        for &flow in datagram {
            whole[flow] &= is_accepted(number);
        }
    }
    let accepted = flows.iter().zip(whole).filter(|(_, whole)| *whole);
    accepted.fold(Totals::default(), |sum, (&totals, _)| sum + totals)
}

fn number(bytes: &[u8], at: Range<usize>) -> u64 {
    bytes[at]
        .iter()
        .fold(0, |n, &byte| (n << 8) | u64::from(byte))
}

/// Packets and bytes of a flow: few, or more than 32 bits can tell.
fn totals() -> impl Strategy<Value = Totals> {
    prop_oneof![
        12 => (1u64..1000, 20u64..1_000_000),
        1 => (1u64..1 << 34, 20u64..1 << 37),
        1 => (COUNTER_MAX - 1..COUNTER_MAX + 2, COUNTER_MAX - 1..COUNTER_MAX + 2),
    ]
    .prop_map(|(packets, bytes)| Totals { packets, bytes })
}

proptest! {
    /// Whatever the Collectors accept, each flow is in one account, and that is the right one.
    #[test]
    fn each_flow_is_settled_once(
        flows in vec(totals(), 0..300),
        size in 1usize..200,
        schedules in vec(vec(any::<bool>(), 1..8), 0..4),
    ) {
        let datagrams = datagrams(&flows, size);
        let exported = accepted(&flows, &datagrams, &schedules);
        let lost = sum(&flows) - exported;

        let collectors = Collectors::new(schedules.clone());
        let mut stream = Stream::new(Box::new(v5::Datagram::new()), collectors);
        let accounts = export(&mut stream, size, &flows);
        prop_assert_eq!(accounts.of.ipv4.taken, sum(&flows));
        prop_assert_eq!(accounts.of.ipv4.exported, exported);
        let (no_collector, send_failed) = match schedules.is_empty() {
            true => (lost, Totals::default()),
            false => (Totals::default(), lost),
        };
        prop_assert_eq!(accounts.of.ipv4.no_collector, no_collector);
        prop_assert_eq!(accounts.of.ipv4.send_failed, send_failed);
        prop_assert_eq!(accounts.expired(Reason::Active), flows.len() as u64);
        prop_assert_eq!(accounts.expired(Reason::Inactive), 0);
    }

    /// Datagrams are full but for the last one of a batch, numbered without a gap, whether they
    /// were accepted or not, and their records add up to each flow, in the order of the flows.
    #[test]
    fn datagrams_tell_all(
        flows in vec(totals(), 0..300),
        size in 1usize..200,
        schedules in vec(vec(any::<bool>(), 1..8), 0..4),
    ) {
        let collectors = Collectors::new(schedules);
        let mut stream = Stream::new(Box::new(v5::Datagram::new()), collectors);
        export(&mut stream, size, &flows);

        let expected = datagrams(&flows, size);
        let sent = &stream.collectors().sent;
        prop_assert_eq!(sent.len(), expected.len());
        let mut sequence = 0;
        let mut told = vec![Totals::default(); flows.len()];
        for (sent, expected) in sent.iter().zip(expected) {
            let (header, records) = sent.payload.split_at(24);
            prop_assert_eq!(number(header, 0..2), 5);
            prop_assert_eq!(number(header, 2..4), expected.len() as u64);
            prop_assert_eq!(number(header, 4..8), 1000);
            prop_assert_eq!(number(header, 16..20), sequence);
            prop_assert_eq!(sent.records as usize, expected.len());
            prop_assert_eq!(records.len(), 48 * expected.len());
            sequence += expected.len() as u64;
            for (record, flow) in records.chunks(48).zip(expected) {
                prop_assert_eq!(number(record, 0..4), flow as u64);
                told[flow] += Totals {
                    packets: number(record, 16..20),
                    bytes: number(record, 20..24),
                };
            }
        }
        prop_assert_eq!(told, flows);
        prop_assert_eq!(u64::from(stream.sequence()), sequence);
    }
}

/// What is sent is no larger than all Collectors can be sent when the batch begins: behind the
/// headers of IPv6, 1500 bytes hold 29 records of v5.
#[test]
fn datagrams_fit_the_collectors() {
    let collectors = Collectors::new(vec![vec![true]]);
    let mut stream = Stream::new(Box::new(v5::Datagram::new()), collectors);
    let flows = vec![
        Totals {
            packets: 1,
            bytes: 100
        };
        60
    ];
    for limit in [1500 - 28, 1500 - 48, 1500 - 28] {
        stream.collectors.limit = Some(limit);
        export(&mut stream, flows.len(), &flows);
    }
    let sent = stream.collectors.sent.iter().map(|sent| sent.records);
    assert_eq!(sent.collect::<Vec<_>>(), [30, 30, 29, 29, 2, 30, 30]);
}

/// A stream that has a limit of its own keeps to the lower one, and full datagrams come near: they
/// have no room for another record of IPv4 (67 bytes, and up to 3 of padding).
#[test]
fn datagrams_keep_to_the_limit_of_their_stream() {
    let collectors = Collectors::new(vec![vec![true]]);
    let mut stream = Stream::new(Box::new(ipfix::Datagram::new(vec![0; 9000])), collectors);
    let flows = vec![
        Totals {
            packets: 1,
            bytes: 100
        };
        300
    ];
    for (path, own) in [(1472, 1400), (1452, 512), (1452, 8972), (8972, 8972)] {
        stream.collectors.limit = Some(path);
        stream.set_payload(own);
        stream.restart();
        stream.collectors.sent.clear();
        stream.collectors.announced.clear();
        export(&mut stream, flows.len(), &flows);

        let limit = path.min(own as usize);
        let announced = &stream.collectors.announced;
        assert!(!announced.is_empty());
        assert!(announced.iter().all(|(_, payload)| payload.len() <= limit));
        let sent = stream.collectors.sent.iter();
        let lens: Vec<_> = sent.map(|sent| sent.payload.len()).collect();
        let (last, full) = lens.split_last().unwrap();
        assert!(!full.is_empty() && *last <= limit);
        for len in full {
            assert!((limit - 69..=limit).contains(len), "{len} of {limit}");
        }
    }
}

/// A format that counts datagrams, of up to eight bytes, and has for each packet of a flow the
/// reason why that ended.
#[derive(Default)]
struct Bytes {
    payload: Vec<u8>,
    records: u32,
}

impl Format for Bytes {
    const ANNOUNCES: bool = false;

    /// Its limit is given when it is made.
    fn set_limit(&mut self, _bytes: usize) {}

    fn records_max(&self) -> usize {
        8
    }

    fn begin(&mut self, _now: ExportTime) {}

    fn append(&mut self, flow: &AnyFlow, reason: Reason, _index: u64) -> Appended {
        let len = flow.totals().packets as usize;
        if self.payload.len() + len > 8 {
            return Appended::Full;
        }
        self.payload.extend(core::iter::repeat_n(reason as u8, len));
        self.records += 1;
        Appended::Last
    }

    fn announce(&mut self, _what: Announcement<'_>) -> bool {
        true
    }

    fn records(&self) -> u32 {
        self.records
    }

    fn is_empty(&self) -> bool {
        self.records == 0
    }

    fn sequence_units(&self) -> u32 {
        1
    }

    fn finish(&mut self, _time: ExportTime, sequence: u32) -> &[u8] {
        self.payload.push(sequence as u8);
        &self.payload
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Records of any length fill a datagram by its bytes, and what it counts is the format's matter. A
/// flow that the format cannot encode is lost, and no other.
#[test]
fn formats_decide_on_room_and_sequence() {
    let collectors = Collectors::new(vec![vec![true]]);
    let mut stream = Stream::new(Box::new(Bytes::default()), collectors);
    let of = |packets| Totals { packets, bytes: 0 };
    let flows = [3, 4, 2, 9, 6, 8, 9].map(of);
    let accounts = export(&mut stream, 7, &flows);
    assert_eq!(accounts.of.ipv4.exported, of(3 + 4 + 2 + 6 + 8));
    assert_eq!(accounts.of.ipv4.send_failed, of(9 + 9));

    let reason = Reason::Active as u8;
    let sent = |len, sequence, records| {
        let mut payload = vec![reason; len];
        payload.push(sequence);
        (payload, records)
    };
    let all = stream.collectors().sent.iter();
    assert_eq!(
        all.map(|s| (s.payload.clone(), s.records))
            .collect::<Vec<_>>(),
        [sent(7, 0, 2), sent(2, 1, 1), sent(6, 2, 1), sent(8, 3, 1)]
    );
    assert_eq!(stream.sequence(), 4);
}

/// v5 has no record for a flow of IPv6: it is lost as such, unless there is nobody to send it to,
/// or another stream takes it. The flows around it are exported.
#[test]
fn a_flow_without_a_record_is_lost_as_such() {
    let totals = Totals {
        packets: 3,
        bytes: 700,
    };
    let accounts = |collectors: Collectors, others: Collectors| {
        let mut accounts = Accounts::default();
        let mut batch = batch_of(3);
        assert!(batch.push(flow(1, totals), Reason::Flushed));
        assert!(batch.push(
            AnyFlow::V6(Flow {
                packets: 5,
                bytes: 1000,
                ..Flow::VACANT
            }),
            Reason::Flushed
        ));
        assert!(batch.push(flow(2, totals), Reason::Flushed));
        batch.take(&mut accounts);
        let mut stream = Stream::new(Box::new(v5::Datagram::new()), collectors);
        stream.export(batch.entries_mut(), || TIME);
        assert_eq!(stream.sequence(), 2);
        let ipfix = ipfix::Datagram::new(vec![0; 1400]);
        Stream::new(Box::new(ipfix), others).export(batch.entries_mut(), || TIME);
        batch.settle(&mut accounts);
        assert_eq!(accounts.of.ipv4.pending(), Totals::default());
        assert_eq!(accounts.of.ipv6.pending(), Totals::default());
        accounts.of
    };
    let nobody = || Collectors::new(vec![]);
    let accepting = || Collectors::new(vec![vec![true]]);
    let refusing = || Collectors::new(vec![vec![false]]);
    let ipv6 = Totals {
        packets: 5,
        bytes: 1000,
    };

    let v5_alone = accounts(accepting(), nobody());
    assert_eq!(v5_alone.ipv4.exported, totals + totals);
    assert_eq!(v5_alone.ipv6.unsupported, ipv6);
    let both = accounts(accepting(), accepting());
    assert_eq!(both.ipv4.exported, totals + totals);
    assert_eq!(both.ipv6.exported, ipv6);
    let none = accounts(nobody(), nobody());
    assert_eq!(none.ipv4.no_collector, totals + totals);
    assert_eq!(none.ipv6.no_collector, ipv6);
    let refused = accounts(accepting(), refusing());
    assert_eq!(refused.ipv6.send_failed, ipv6);
}

/// A flow is exported if one stream delivers it, and lost for want of a Collector only if no stream
/// has one.
#[test]
fn the_best_stream_counts() {
    let nobody = || Collectors::new(vec![]);
    let refusing = || Collectors::new(vec![vec![false]]);
    let accepting = || Collectors::new(vec![vec![false], vec![true]]);
    for (of_v5, of_bytes, expected) in [
        (nobody(), nobody(), Outcome::NoCollector),
        (nobody(), refusing(), Outcome::SendFailed),
        (refusing(), nobody(), Outcome::SendFailed),
        (refusing(), refusing(), Outcome::SendFailed),
        (nobody(), accepting(), Outcome::Exported),
        (accepting(), nobody(), Outcome::Exported),
        (refusing(), accepting(), Outcome::Exported),
        (accepting(), refusing(), Outcome::Exported),
        (accepting(), accepting(), Outcome::Exported),
    ] {
        let totals = Totals {
            packets: 3,
            bytes: 700,
        };
        let mut accounts = Accounts::default();
        let mut batch = batch_of(2);
        assert!(batch.push(flow(1, totals), Reason::Flushed));
        Stream::new(Box::new(v5::Datagram::new()), of_v5).export(batch.entries_mut(), || TIME);
        Stream::new(Box::new(Bytes::default()), of_bytes).export(batch.entries_mut(), || TIME);
        batch.settle(&mut accounts);
        let is = |outcome| match outcome == expected {
            true => totals,
            false => Totals::default(),
        };
        assert_eq!(accounts.of.ipv4.no_collector, is(Outcome::NoCollector));
        assert_eq!(accounts.of.ipv4.send_failed, is(Outcome::SendFailed));
        assert_eq!(accounts.of.ipv4.exported, is(Outcome::Exported));
    }
}

/// The version and the sequence number of an IPFIX message.
fn announcement(payload: &[u8]) -> (u64, u64) {
    (number(payload, 0..2), number(payload, 8..12))
}

/// Templates and options come before any record, in two datagrams; again where someone is new,
/// after so many datagrams, and not in between. Data Records of options count in the sequence.
#[test]
fn collectors_are_told_before_they_are_sent_records() {
    let collectors = Collectors::new(vec![vec![true]]);
    let datagram = ipfix::Datagram::new(vec![0; 548]);
    let mut stream = Stream::new(Box::new(datagram), collectors);
    stream.set_intervals(Intervals {
        seconds: 60,
        datagrams: 4,
    });
    let of = |packets| Totals { packets, bytes: 1 };
    // Seven records of 67 bytes in each datagram.
    let batch_of_datagrams = |stream: &mut Stream<_>, datagrams: usize| {
        export(stream, 7 * datagrams, &vec![of(1); 7 * datagrams]);
    };
    batch_of_datagrams(&mut stream, 1);
    let told = |stream: &Stream<Box<ipfix::Datagram<Vec<u8>>>>| -> Vec<usize> {
        let all = stream.collectors.announced.iter();
        all.map(|(before, _)| *before).collect()
    };
    assert_eq!(told(&stream), [0, 0]);
    let [(_, templates), (_, options)] = &stream.collectors.announced[..] else {
        panic!();
    };
    // Templates are Set 2, those of options Set 3; records have numbers from 2 on, as those of
    // sampling and of statistics were before.
    assert_eq!(
        (announcement(templates), number(templates, 16..18)),
        ((10, 0), 2)
    );
    assert_eq!(
        (announcement(options), number(options, 16..18)),
        ((10, 0), 3)
    );
    assert_eq!(announcement(&stream.collectors.sent[0].payload), (10, 2));
    assert_eq!(stream.sequence(), 2 + 7);

    batch_of_datagrams(&mut stream, 2);
    assert_eq!(told(&stream), [0, 0]);
    batch_of_datagrams(&mut stream, 1);
    assert_eq!(told(&stream), [0, 0, 4, 4]);
    stream.collectors.new = true;
    stream.announce(|| TIME);
    stream.announce(|| TIME);
    assert_eq!(told(&stream), [0, 0, 4, 4, 4, 4]);
    assert_eq!(stream.sequence(), 3 * 2 + 4 * 7);

    // Or when packets are selected in another way, which the second datagram says, in Set 300:
    // behind its header, the domain and eight bytes of the sampler's id.
    stream.set_sampling(Method::new(100, true));
    stream.announce(|| TIME);
    stream.set_sampling(Method::new(100, true));
    stream.announce(|| TIME);
    assert_eq!(told(&stream).len(), 8);
    let interval = |(_, options): &(usize, Vec<u8>)| {
        let mut at = 16;
        while number(options, at..at + 2) != 300 {
            at += number(options, at + 2..at + 4) as usize;
        }
        number(options, at + 16..at + 20)
    };
    assert_eq!(interval(&stream.collectors.announced[5]), 1);
    assert_eq!(interval(&stream.collectors.announced[7]), 100);

    // A round with the interfaces of these indices, of which one has changed.
    let round = |stream: &mut Stream<_>, indices: RangeInclusive<u32>, changed: u32| {
        stream.begin_interfaces();
        for index in indices {
            let interface = Interface {
                number: index,
                name: b"eth",
                description: b"",
            };
            stream.tell_interface(index, interface, index == changed, || TIME);
        }
        stream.end_interfaces(true, || TIME);
    };
    // Six records of 88 bytes fit in 548 bytes, and fill them. All are due, as a Collector was new.
    round(&mut stream, 1..=7, 0);
    assert_eq!(told(&stream).len(), 10);
    round(&mut stream, 1..=7, 0);
    assert_eq!(told(&stream).len(), 10);
    let [.., (_, six), (_, one)] = &stream.collectors.announced[..] else {
        panic!();
    };
    let set = |records: u64| (301 << 16) | (4 + records * 88);
    assert_eq!((number(six, 16..20), six.len()), (set(6), 548));
    assert_eq!((number(one, 16..20), one.len()), (set(1), 16 + 4 + 88));
    assert_eq!(stream.sequence(), 4 * 2 + 4 * 7 + 7);
    let sent: usize = stream
        .collectors
        .sent
        .iter()
        .map(|sent| sent.payload.len())
        .sum();
    let announced: usize = stream
        .collectors
        .announced
        .iter()
        .map(|(_, bytes)| bytes.len())
        .sum();
    assert_eq!(stream.process.exported_bytes, (sent + announced) as u64);
    assert_eq!(stream.process.exported_messages, 4 + 10);
    assert_eq!(stream.process.exported_records, 4 * 7);

    // One that has changed is told alone.
    round(&mut stream, 1..=7, 3);
    assert_eq!(told(&stream).len(), 11);
    // Of many, a round tells as many as fit in 32 datagrams and the one that is begun then, and
    // the next ones the rest.
    stream.restart();
    stream.announce(|| TIME);
    let before = told(&stream).len();
    for datagrams in [33, 33, 22, 0] {
        let begun = told(&stream).len();
        round(&mut stream, 1..=515, 0);
        assert_eq!(told(&stream).len() - begun, datagrams);
    }
    let numbers = stream.collectors.announced[before..].iter();
    let records: usize = numbers.map(|(_, bytes)| (bytes.len() - 20) / 88).sum();
    assert_eq!(records, 515);
}

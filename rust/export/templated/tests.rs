// SPDX-License-Identifier: GPL-2.0

//! Flows in, datagrams out, which a decoder that is not ours reads.

use core::net::{
    Ipv4Addr,
    Ipv6Addr, //
};

use netgauze_flow_pkt::{
    ie::{
        flowEndReason,
        Field, //
    },
    ipfix,
    netflow, //
};
use netgauze_parse_utils::{
    ReadablePduWithOneInput,
    Span, //
};
use proptest::prelude::*;

use super::*;
use crate::{
    export::{ipfix::Ipfix, options::Interface, v9::V9},
    flow::{
        entry::{
            Flow,
            Route, //
        },
        key::{
            Address,
            Key, //
        },
        nat::{
            AnySession,
            Endpoints,
            Session,
            SessionChange, //
        },
        sampling::Method,
        uptime::Uptime,
    },
};

/// 250 ms after a full second.
pub(crate) const TIME: ExportTime = ExportTime {
    uptime: Uptime::from_millis(0x0102_0304),
    wall: 0x6000_0000 * 1_000_000_000 + 250_000_000,
};

/// A TCP flow that this host routes.
pub(crate) fn ipv4_flow() -> AnyFlow {
    let (src, dst) = (Ipv4Addr::new(10, 1, 2, 3), Ipv4Addr::new(192, 0, 2, 9));
    AnyFlow::V4(Flow {
        key: Key::new(src, dst, [0xc7, 0x38, 0x01, 0xbb], 3, 6, 0xb8),
        route: Route {
            next_hop: Ipv4Addr::new(198, 51, 100, 1),
            output: 0x0001_0002,
            src_mask: 8,
            dst_mask: 24,
        },
        packets: 7,
        bytes: 0x10_0000_1234,
        first: Uptime::from_millis(1000),
        last: Uptime::from_millis(2500),
        flags_label: 0x1b,
    })
}

/// ICMP echo requests that this host sends.
pub(crate) fn ipv6_flow() -> AnyFlow {
    let src = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    let dst = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 2);
    AnyFlow::V6(Flow {
        key: Key::new(src, dst, [0, 0, 0x80, 0], 0, 58, 0x20),
        route: Route {
            next_hop: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 3),
            output: 5,
            src_mask: 64,
            dst_mask: 48,
        },
        packets: 2,
        bytes: 0xd0,
        first: Uptime::from_millis(2000),
        last: Uptime::from_millis(2500),
        flags_label: 0x1_a2b3 << 8,
    })
}

/// What a decoder reads of a datagram.
struct Message {
    sequence: u32,
    domain: u32,
    /// UNIX seconds, and of v9 SysUptime.
    seconds: i64,
    sys_uptime: u32,
    /// Template Records of both kinds.
    templates: usize,
    /// Data Records, each with its Template ID.
    records: Vec<(u16, Vec<Field>)>,
}

/// A decoder, as it reads one format.
trait Decoder: Protocol {
    /// The templates that it knows.
    type Known: Default;

    /// Reads a datagram, all of which has to be understood.
    fn decode(payload: &[u8], known: &mut Self::Known) -> Message;

    /// The times of a flow, as readings of SysUptime.
    fn times(message: &Message, fields: &[Field]) -> [u32; 2];

    /// What a header counts: the bytes, or the records of all kinds.
    fn size(payload: &[u8], message: &Message) -> usize;
}

impl Decoder for V9 {
    type Known = netflow::TemplatesMap;

    fn decode(payload: &[u8], known: &mut Self::Known) -> Message {
        let (rest, packet) =
            netflow::NetFlowV9Packet::from_wire(Span::new(payload), known).unwrap();
        assert!(rest.is_empty());
        let mut message = Message {
            sequence: packet.sequence_number(),
            domain: packet.source_id(),
            seconds: packet.unix_time().timestamp(),
            sys_uptime: packet.sys_up_time(),
            templates: 0,
            records: Vec::new(),
        };
        for set in packet.sets() {
            match set {
                netflow::Set::Template(records) => message.templates += records.len(),
                netflow::Set::OptionsTemplate(records) => message.templates += records.len(),
                netflow::Set::Data { id, records } => {
                    message
                        .records
                        .extend(records.iter().map(|r| (id.id(), r.fields().to_vec())));
                }
            }
        }
        message
    }

    fn times(_message: &Message, fields: &[Field]) -> [u32; 2] {
        let find = |pick: fn(&Field) -> Option<u32>| fields.iter().find_map(pick).unwrap();
        [
            find(|field| match field {
                Field::flowStartSysUpTime(at) => Some(*at),
                _ => None,
            }),
            find(|field| match field {
                Field::flowEndSysUpTime(at) => Some(*at),
                _ => None,
            }),
        ]
    }

    fn size(_payload: &[u8], message: &Message) -> usize {
        message.templates + message.records.len()
    }
}

impl Decoder for Ipfix {
    type Known = ipfix::TemplatesMap;

    fn decode(payload: &[u8], known: &mut Self::Known) -> Message {
        let (rest, packet) = ipfix::IpfixPacket::from_wire(Span::new(payload), known).unwrap();
        assert!(rest.is_empty());
        let mut message = Message {
            sequence: packet.sequence_number(),
            domain: packet.observation_domain_id(),
            seconds: packet.export_time().timestamp(),
            sys_uptime: 0,
            templates: 0,
            records: Vec::new(),
        };
        for set in packet.sets() {
            match set {
                ipfix::Set::Template(records) => message.templates += records.len(),
                ipfix::Set::OptionsTemplate(records) => message.templates += records.len(),
                ipfix::Set::Data { id, records } => {
                    message
                        .records
                        .extend(records.iter().map(|r| (id.id(), r.fields().to_vec())));
                }
            }
        }
        message
    }

    /// The other clock's, by what both read at `TIME`.
    fn times(_message: &Message, fields: &[Field]) -> [u32; 2] {
        let uptime = |at: &chrono::DateTime<chrono::Utc>| {
            let boot = 0x6000_0000 * 1000 + 250 - 0x0102_0304;
            (at.timestamp_millis() - boot) as u32
        };
        let find = |pick: &dyn Fn(&Field) -> Option<u32>| fields.iter().find_map(pick).unwrap();
        [
            find(&|field| match field {
                Field::flowStartMilliseconds(at) => Some(uptime(at)),
                _ => None,
            }),
            find(&|field| match field {
                Field::flowEndMilliseconds(at) => Some(uptime(at)),
                _ => None,
            }),
        ]
    }

    fn size(payload: &[u8], _message: &Message) -> usize {
        payload.len()
    }
}

/// The flow that a record tells of, and its flowEndReason. What a record says twice has to agree.
fn flow_of(fields: &[Field], [first, last]: [u32; 2]) -> (AnyFlow, u8) {
    let (mut ipv4, mut ipv6) = ([None; 3], [None; 3]);
    let (mut input, mut output, mut packets, mut bytes) = (None, None, None, None);
    let (mut src_port, mut dst_port, mut icmp) = (None, None, None);
    let (mut flags, mut proto, mut tos, mut masks) = (None, None, None, [None; 2]);
    let (mut direction, mut reason, mut version, mut label) = (None, None, None, None);
    for field in fields {
        match field {
            Field::sourceIPv4Address(address) => ipv4[0] = Some(*address),
            Field::destinationIPv4Address(address) => ipv4[1] = Some(*address),
            Field::ipNextHopIPv4Address(address) => ipv4[2] = Some(*address),
            Field::sourceIPv6Address(address) => ipv6[0] = Some(*address),
            Field::destinationIPv6Address(address) => ipv6[1] = Some(*address),
            Field::ipNextHopIPv6Address(address) => ipv6[2] = Some(*address),
            Field::ingressInterface(index) => input = Some(*index),
            Field::egressInterface(index) => output = Some(*index),
            Field::packetDeltaCount(count) => packets = Some(*count),
            Field::octetDeltaCount(count) => bytes = Some(*count),
            Field::sourceTransportPort(port) => src_port = Some(*port),
            Field::destinationTransportPort(port) => dst_port = Some(*port),
            Field::icmpTypeCodeIPv4(value) => icmp = Some((1, *value)),
            Field::icmpTypeCodeIPv6(value) => icmp = Some((58, *value)),
            Field::tcpControlBits(bits) => flags = Some(u16::from(*bits)),
            Field::protocolIdentifier(number) => proto = Some(u8::from(*number)),
            Field::ipClassOfService(value) => tos = Some(*value),
            Field::sourceIPv4PrefixLength(len) => masks[0] = Some((4, *len)),
            Field::destinationIPv4PrefixLength(len) => masks[1] = Some((4, *len)),
            Field::sourceIPv6PrefixLength(len) => masks[0] = Some((6, *len)),
            Field::destinationIPv6PrefixLength(len) => masks[1] = Some((6, *len)),
            Field::flowDirection(value) => direction = Some(u8::from(*value)),
            Field::flowEndReason(value) => reason = Some(u8::from(*value)),
            Field::ipVersion(value) => version = Some(*value),
            Field::flowLabelIPv6(value) => label = Some(*value),
            Field::flowStartSysUpTime(_) | Field::flowEndSysUpTime(_) => {}
            Field::flowStartMilliseconds(_) | Field::flowEndMilliseconds(_) => {}
            other => panic!("unexpected: {other:?}"),
        }
    }
    let [src_port, dst_port] = [src_port, dst_port].map(|port: Option<u16>| port.unwrap());
    let ports = (u32::from(src_port) << 16) | u32::from(dst_port);
    let (input, proto, tos) = (input.unwrap(), proto.unwrap(), tos.unwrap());
    let version = version.unwrap();
    let mask = |which: usize| masks[which].filter(|(of, _)| *of == version).unwrap().1;
    let (icmp_proto, type_code) = icmp.unwrap();
    assert_eq!(type_code, if proto == icmp_proto { dst_port } else { 0 });
    assert_eq!(direction, Some((input == 0).into()));
    assert_eq!(icmp_proto, if version == 4 { 1 } else { 58 });

    fn whole<A: Address>(key: Key<A>, next_hop: A) -> Flow<A> {
        Flow {
            key,
            route: Route {
                next_hop,
                ..Route::NONE
            },
            ..Flow::VACANT
        }
    }
    macro_rules! complete {
        ($addresses:expr) => {{
            let [src, dst, next_hop] = $addresses.map(|address| address.unwrap());
            let key = Key::new(src, dst, ports.to_be_bytes(), input, proto, tos);
            let mut flow = whole(key, next_hop);
            flow.route.output = output.unwrap();
            flow.route.src_mask = mask(0);
            flow.route.dst_mask = mask(1);
            flow.packets = packets.unwrap();
            flow.bytes = bytes.unwrap();
            flow.flags_label = u32::from(flags.unwrap()) | (label.unwrap_or(0) << 8);
            flow.first = Uptime::from_millis(first.into());
            flow.last = Uptime::from_millis(last.into());
            flow
        }};
    }
    let flow = match version {
        4 => AnyFlow::V4(complete!(ipv4)),
        _ => AnyFlow::V6(complete!(ipv6)),
    };
    assert_eq!(label.is_some(), version == 6);
    (flow, reason.unwrap())
}

/// What happens to a stream.
#[derive(Clone, Debug)]
enum Step {
    Flow(AnyFlow, Reason),
    Options(u32),
    Templates,
    Send,
}

prop_compose! {
    fn flows()(
        addresses in any::<[u128; 3]>(),
        (is_ipv6, ports, input, output) in any::<(bool, [u8; 4], u32, u32)>(),
        label in 0u32..1 << 20,
        proto in prop_oneof![Just(1u8), Just(6), Just(58), any::<u8>()],
        (tos, flags, masks) in any::<(u8, u8, [u8; 2])>(),
        (packets, bytes) in any::<(u64, u64)>(),
        (first, last) in (0u32..1 << 31, 0u32..1 << 31),
        input_is_0 in any::<bool>(),
    ) -> AnyFlow {
        macro_rules! flow {
            ($from:expr) => {{
                let [src, dst, next_hop] = addresses.map($from);
                let label = if is_ipv6 { label } else { 0 };
                let input = if input_is_0 { 0 } else { input };
                Flow {
                    key: Key::new(src, dst, ports, input, proto, tos),
                    route: Route { next_hop, output, src_mask: masks[0], dst_mask: masks[1] },
                    packets,
                    bytes,
                    first: before(TIME, first.max(last)),
                    last: before(TIME, first.min(last)),
                    flags_label: u32::from(flags) | (label << 8),
                }
            }};
        }
        match is_ipv6 {
            true => AnyFlow::V6(flow!(Ipv6Addr::from)),
            false => AnyFlow::V4(flow!(|bits| Ipv4Addr::from(bits as u32))),
        }
    }
}

/// So many milliseconds before a moment.
fn before(time: ExportTime, millis: u32) -> Uptime {
    Uptime::from_millis(time.uptime.as_millis().wrapping_sub(millis).into())
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let reason = prop::sample::select(vec![
        Reason::Inactive,
        Reason::Active,
        Reason::Finished,
        Reason::Overflow,
        Reason::Displaced,
        Reason::Flushed,
    ]);
    let step = prop_oneof![
        20 => (flows(), reason).prop_map(|(flow, reason)| Step::Flow(flow, reason)),
        1 => (1u32..=16_383).prop_map(Step::Options),
        1 => Just(Step::Templates),
        1 => Just(Step::Send),
    ];
    prop::collection::vec(step, 0..200)
}

/// RFC 7011, section 2 of the registry "IPFIX flow end reasons", by the names that this has.
fn end_reason(reason: Reason) -> flowEndReason {
    match reason {
        Reason::Inactive => flowEndReason::idletimeout,
        Reason::Active | Reason::Overflow => flowEndReason::activetimeout,
        Reason::Finished => flowEndReason::endofFlowdetected,
        Reason::Flushed => flowEndReason::forcedend,
        Reason::Displaced => flowEndReason::lackofresources,
    }
}

/// Each Set has a length that leads to the next one, and less than four bytes of zeros at its end.
fn check_sets(payload: &[u8], header: usize, record_lens: &dyn Fn(u16) -> Option<usize>) {
    let mut at = header;
    while at < payload.len() {
        let word = |at: usize| u16::from_be_bytes([payload[at], payload[at + 1]]);
        let (id, len) = (word(at), usize::from(word(at + 2)));
        assert!(len > 4 && len % 4 == 0);
        if let Some(record) = record_lens(id) {
            let padding = (len - 4) % record;
            assert!(padding < 4);
            let end = at + len;
            assert!(payload[end - padding..end].iter().all(|byte| *byte == 0));
        }
        at += len;
    }
    assert_eq!(at, payload.len());
}

/// Sends what `steps` say in datagrams of at most `limit` bytes and numbered from `sequence`, and
/// checks that a decoder finds all of it.
fn check<P: Decoder>(steps: &[Step], limit: usize, mut sequence: u32) {
    let mut datagram = Datagram::<P, _>::new(vec![0xee; 9000]);
    datagram.set_limit(limit);
    datagram.set_domain(7);
    let mut known = P::Known::default();
    let mut expected: Vec<Step> = Vec::new();
    let mut next = sequence;
    let mut send = |datagram: &mut Datagram<P, Vec<u8>>, expected: &mut Vec<Step>| {
        let flows = expected
            .iter()
            .filter(|step| matches!(step, Step::Flow(..)))
            .count();
        assert_eq!(datagram.records() as usize, flows);
        let units = datagram.sequence_units();
        let payload = datagram.finish(TIME, sequence).to_vec();
        datagram.clear();
        assert!(payload.len() <= limit);
        let record_lens = |id| match id {
            256 | 257 => P::TEMPLATES
                .plain()
                .into_iter()
                .find(|t| t.id == id)
                .map(|t| t.len),
            258 | 259 => P::TEMPLATES
                .translated()
                .into_iter()
                .find(|t| t.id == id)
                .map(|t| t.len),
            _ => None,
        };
        check_sets(&payload, P::HEADER, &record_lens);

        let message = P::decode(&payload, &mut known);
        assert_eq!((message.sequence, message.domain), (next, 7));
        let stated = u16::from_be_bytes([payload[2], payload[3]]);
        assert_eq!(usize::from(stated), P::size(&payload, &message));
        sequence = sequence.wrapping_add(units);
        next = match P::HEADER {
            20 => next.wrapping_add(1),
            _ => next.wrapping_add(message.records.len() as u32),
        };

        let mut records = message.records.iter();
        for step in expected.drain(..) {
            match step {
                Step::Flow(flow, reason) => {
                    let (id, fields) = records.next().unwrap();
                    assert_eq!(
                        *id,
                        if matches!(flow, AnyFlow::V4(_)) {
                            256
                        } else {
                            257
                        }
                    );
                    let (read, reason_read) = flow_of(fields, P::times(&message, fields));
                    assert_eq!(read, flow);
                    assert_eq!(reason_read, u8::from(end_reason(reason)));
                }
                Step::Options(interval) => {
                    let (id, fields) = records.next().unwrap();
                    assert_eq!(*id, 300);
                    assert!(fields.contains(&Field::samplingInterval(interval)));
                    assert!(fields.contains(&Field::samplerRandomInterval(interval)));
                }
                Step::Templates | Step::Send => {}
            }
        }
        assert!(records.next().is_none());
    };

    // Which have to be known first.
    for what in [Announcement::Templates, Announcement::OptionsTemplates] {
        assert!(datagram.announce(what));
        send(&mut datagram, &mut expected);
    }
    for step in steps {
        let append = |datagram: &mut Datagram<P, Vec<u8>>| match step {
            Step::Flow(flow, reason) => {
                datagram.begin(TIME);
                match datagram.append(flow, *reason, 0) {
                    Appended::Last => true,
                    Appended::Full => false,
                    other => panic!("{other:?}"),
                }
            }
            Step::Options(interval) => {
                let method = Method::new(*interval, true);
                datagram.announce(Announcement::Options(Options::Sampling(method)))
            }
            // In a datagram of their own.
            Step::Templates => true,
            Step::Send => true,
        };
        if !append(&mut datagram) {
            send(&mut datagram, &mut expected);
            assert!(append(&mut datagram));
        }
        match step {
            Step::Send => send(&mut datagram, &mut expected),
            Step::Templates => {
                send(&mut datagram, &mut expected);
                assert!(datagram.announce(Announcement::Templates));
                send(&mut datagram, &mut expected);
            }
            Step::Flow(..) | Step::Options(_) => expected.push(step.clone()),
        }
    }
    send(&mut datagram, &mut expected);
}

proptest! {
    /// Any flows, of both families, in datagrams of any size, are read by a foreign decoder as they
    /// were; and what headers and Sets say of themselves is the case. Sequence numbers wrap. The
    /// smallest is the least `max-payload`.
    #[test]
    fn a_foreign_decoder_reads_all(steps in steps(), limit in 512usize..9000, back in 0u32..300) {
        check::<V9>(&steps, limit, 0u32.wrapping_sub(back));
        check::<Ipfix>(&steps, limit, 0u32.wrapping_sub(back));
    }

    /// A text in a field ends with a zero, is as long as can be, and is cut between characters.
    #[test]
    fn texts_are_cut_between_characters(text in "\\PC{0,80}") {
        let interface = Interface {
            number: 1,
            name: b"",
            description: text.as_bytes(),
        };
        let mut datagram = Datagram::<Ipfix, _>::new(vec![0xee; 1400]);
        let options = Announcement::Options(Options::Interface(interface));
        prop_assert!(datagram.announce(options));
        let payload = datagram.finish(TIME, 0);
        let field = &payload[16 + 4 + 4 + 4 + 16..][..64];
        let len = field.iter().position(|byte| *byte == 0).unwrap();
        prop_assert!(field[len..].iter().all(|byte| *byte == 0));
        let told = std::str::from_utf8(&field[..len]).unwrap();
        prop_assert!(text.starts_with(told));
        let next = text[told.len()..].chars().next();
        prop_assert!(next.is_none_or(|next| told.len() + next.len_utf8() > 63));
    }
}

/// The kernel allows nearly any byte in a name.
#[test]
fn names_of_any_bytes_arrive() {
    let description = [0x80; 70];
    let interface = Interface {
        number: 1,
        name: b"\xff\xfe\x01name",
        description: &description,
    };
    let mut datagram = Datagram::<V9, _>::new(vec![0xee; 1400]);
    assert!(datagram.announce(Announcement::Options(Options::Interface(interface))));
    let payload = datagram.finish(TIME, 0);
    let names = &payload[20 + 4 + 4 + 4..];
    assert_eq!(names[..16], *b"\xff\xfe\x01name\0\0\0\0\0\0\0\0\0");
    assert_eq!(names[16..79], [0x80; 63]);
    assert_eq!(names[79], 0);
}

fn endpoints(last: u8) -> AnyEndpoints {
    AnyEndpoints::V4(Endpoints {
        src: Ipv4Addr::new(203, 0, 113, last),
        dst: Ipv4Addr::new(192, 0, 2, 9),
        src_port: 1024,
        dst_port: 443,
    })
}

/// The addresses behind NAT are in records of other templates, beside those of flows of which none
/// are known.
fn tells_nat_of_flows<P: Decoder>() {
    let mut datagram = Datagram::<P, Vec<u8>>::new(vec![0; 1400]);
    datagram.set_nat(NatRecords {
        flows: true,
        events: false,
    });
    let mut known = P::Known::default();
    assert!(datagram.announce(Announcement::Templates));
    assert!(datagram.announce(Announcement::NatTemplates));
    assert_eq!(P::decode(datagram.finish(TIME, 1), &mut known).templates, 4);
    datagram.clear();
    datagram.begin(TIME);
    let (flow, after) = (ipv4_flow(), endpoints(7));
    let reason = Reason::Inactive;
    assert_eq!(
        datagram.append_translated(&flow, &after, reason, 0),
        Appended::Last
    );
    assert_eq!(datagram.append(&flow, reason, 0), Appended::Last);
    let message = P::decode(datagram.finish(TIME, 2), &mut known);
    let [(258, translated), (256, plain)] = &message.records[..] else {
        panic!("{:?}", message.records);
    };
    // All that the other has, and then:
    assert_eq!(translated[..plain.len()], plain[..]);
    assert_eq!(
        translated[plain.len()..],
        [
            Field::postNATSourceIPv4Address(Ipv4Addr::new(203, 0, 113, 7)),
            Field::postNATDestinationIPv4Address(Ipv4Addr::new(192, 0, 2, 9)),
            Field::postNAPTSourceTransportPort(1024),
            Field::postNAPTDestinationTransportPort(443),
        ]
    );
}

#[test]
fn nat_of_flows_is_told() {
    tells_nat_of_flows::<V9>();
    tells_nat_of_flows::<Ipfix>();
}

/// Beginnings and ends of sessions, as a foreign decoder reads them.
fn tells_events<P: Decoder>(numbers: [u8; 2]) {
    let mut datagram = Datagram::<P, Vec<u8>>::new(vec![0; 1400]);
    datagram.set_nat(NatRecords {
        flows: false,
        events: true,
    });
    let mut known = P::Known::default();
    assert!(datagram.announce(Announcement::NatTemplates));
    assert_eq!(P::decode(datagram.finish(TIME, 1), &mut known).templates, 2);
    datagram.clear();
    datagram.begin(TIME);
    let (AnyEndpoints::V4(before), AnyEndpoints::V4(after)) = (endpoints(1), endpoints(2)) else {
        panic!("of IPv6");
    };
    let session = AnySession::V4(Session {
        proto: 6,
        before,
        after,
    });
    for (change, milliseconds) in [
        (SessionChange::Created, Some(1_600_000_000_123)),
        (SessionChange::Deleted, None),
    ] {
        let event = NatEvent {
            change,
            milliseconds,
            session,
        };
        assert_eq!(datagram.append_event(&event), Appended::Last);
    }
    let message = P::decode(datagram.finish(TIME, 2), &mut known);
    assert_eq!(message.records.len(), 2);
    let times = [1_600_000_000_123, TIME.milliseconds() as i64];
    for (((id, fields), number), time) in message.records.iter().zip(numbers).zip(times) {
        assert_eq!(*id, 310);
        let at = fields.iter().find_map(|field| match field {
            Field::observationTimeMilliseconds(at) => Some(at.timestamp_millis()),
            _ => None,
        });
        assert_eq!(at, Some(time));
        for field in [
            Field::natEvent(number.into()),
            Field::protocolIdentifier(6.into()),
            Field::sourceIPv4Address(before.src),
            Field::destinationIPv4Address(before.dst),
            Field::postNATSourceIPv4Address(after.src),
            Field::postNATDestinationIPv4Address(after.dst),
            Field::sourceTransportPort(1024),
            Field::destinationTransportPort(443),
            Field::postNAPTSourceTransportPort(1024),
            Field::postNAPTDestinationTransportPort(443),
        ] {
            assert!(fields.contains(&field), "{field:?} {fields:?}");
        }
    }
}

#[test]
fn nat_events_are_told() {
    tells_events::<V9>([1, 2]);
    tells_events::<Ipfix>([4, 5]);
}

/// All that is announced at a time, in the smallest datagram that there is.
#[test]
fn templates_of_nat_fit_any_datagram() {
    fn fits<P: Protocol>() {
        let mut datagram = Datagram::<P, Vec<u8>>::new(vec![0; 512]);
        datagram.set_nat(NatRecords {
            flows: true,
            events: true,
        });
        for what in [Announcement::Templates, Announcement::NatTemplates] {
            assert!(datagram.announce(what));
            datagram.finish(TIME, 1);
            datagram.clear();
        }
    }
    fits::<V9>();
    fits::<Ipfix>();
}

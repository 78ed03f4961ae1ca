// SPDX-License-Identifier: GPL-2.0

//! The Information Elements of flow records, in one table for NetFlow v9 and IPFIX.
//!
//! Numbers and types are those of IANA's registry, which RFC 3954 agrees with. Lengths are those
//! that all collectors take: counters of 8 bytes, interfaces of 4. The order matters to some:
//! nfdump stores 32 and 139 of IPFIX as the destination port, which 11 has to overwrite.

use core::net::{
    Ipv4Addr,
    Ipv6Addr, //
};

use super::{
    format::ExportTime,
    writer::Writer, //
};
use crate::flow::{
    entry::{
        AnyFlow,
        Flow, //
    },
    expiry::Reason,
    key::Address,
    nat::{
        AnyEndpoints,
        Endpoints, //
    },
};

/// What a field of a flow record holds.
#[derive(Clone, Copy)]
enum Value {
    SrcAddr,
    DstAddr,
    NextHop,
    Input,
    Output,
    Packets,
    Bytes,
    /// SysUptime.
    First,
    Last,
    /// Milliseconds since 1970.
    FirstMilliseconds,
    LastMilliseconds,
    IcmpTypeCode,
    SrcPort,
    DstPort,
    TcpFlags,
    Protocol,
    Tos,
    SrcMask,
    DstMask,
    Direction,
    EndReason,
    IpVersion,
    FlowLabel,
    /// Behind NAT.
    PostSrcAddr,
    PostDstAddr,
    PostSrcPort,
    PostDstPort,
}

/// A field of flow records: what of it differs between IPv4 and IPv6 is in pairs, and a length of 0
/// says that the record does not have it.
struct Row {
    value: Value,
    ids: [u16; 2],
    v9: [u16; 2],
    ipfix: [u16; 2],
}

const fn row(value: Value, ids: [u16; 2], v9: [u16; 2], ipfix: [u16; 2]) -> Row {
    Row {
        value,
        ids,
        v9,
        ipfix,
    }
}

/// A field that no IP version and no protocol has otherwise.
const fn same(value: Value, id: u16, len: u16) -> Row {
    row(value, [id; 2], [len; 2], [len; 2])
}

const FIELDS: usize = 27;

/// How many of these only records with NAT have: the last ones.
const NAT_FIELDS: usize = 4;

/// All fields, in their order: what they hold, their numbers, and their lengths in v9 and in IPFIX.
const TABLE: [Row; FIELDS] = [
    row(Value::SrcAddr, [8, 27], [4, 16], [4, 16]),
    row(Value::DstAddr, [12, 28], [4, 16], [4, 16]),
    row(Value::NextHop, [15, 62], [4, 16], [4, 16]),
    same(Value::Input, 10, 4),
    same(Value::Output, 14, 4),
    same(Value::Packets, 2, 8),
    same(Value::Bytes, 1, 8),
    row(Value::First, [22; 2], [4; 2], [0; 2]),
    row(Value::Last, [21; 2], [4; 2], [0; 2]),
    row(Value::FirstMilliseconds, [152; 2], [0; 2], [8; 2]),
    row(Value::LastMilliseconds, [153; 2], [0; 2], [8; 2]),
    row(Value::IcmpTypeCode, [32, 139], [2; 2], [2; 2]),
    same(Value::SrcPort, 7, 2),
    same(Value::DstPort, 11, 2),
    row(Value::TcpFlags, [6; 2], [1; 2], [2; 2]),
    same(Value::Protocol, 4, 1),
    same(Value::Tos, 5, 1),
    row(Value::SrcMask, [9, 29], [1; 2], [1; 2]),
    row(Value::DstMask, [13, 30], [1; 2], [1; 2]),
    same(Value::Direction, 61, 1),
    same(Value::EndReason, 136, 1),
    same(Value::IpVersion, 60, 1),
    row(Value::FlowLabel, [31; 2], [0, 3], [0, 4]),
    row(Value::PostSrcAddr, [225, 281], [4, 16], [4, 16]),
    row(Value::PostDstAddr, [226, 282], [4, 16], [4, 16]),
    same(Value::PostSrcPort, 227, 2),
    same(Value::PostDstPort, 228, 2),
];

/// What differs between the formats in the layout of flow records.
#[derive(Clone, Copy)]
pub(crate) enum Layout {
    V9,
    Ipfix,
}

/// A field in a template.
#[derive(Clone, Copy)]
struct Field {
    value: Value,
    id: u16,
    len: u16,
}

/// The layout of flow records of one IP version in one format.
///
/// A Template ID has the same layout for ever, in all releases: so a Collector that missed a
/// template, or kept one of before a restart, reads no record wrongly. Another layout takes another
/// number.
pub(crate) struct Template {
    pub(crate) id: u16,
    /// Of a record, in bytes.
    pub(crate) len: usize,
    fields: [Field; FIELDS],
    /// How many of `fields` there are.
    count: usize,
}

impl Template {
    /// That of the first `rows` fields. Evaluated by the compiler, as all uses are in constants.
    #[inline]
    const fn new(id: u16, version: usize, layout: Layout, rows: usize) -> Self {
        let absent = Field {
            value: Value::SrcAddr,
            id: 0,
            len: 0,
        };
        let mut template = Self {
            id,
            len: 0,
            fields: [absent; FIELDS],
            count: 0,
        };
        let mut at = 0;
        while at < rows {
            let row = &TABLE[at];
            let len = match layout {
                Layout::V9 => row.v9[version],
                Layout::Ipfix => row.ipfix[version],
            };
            if len != 0 {
                template.fields[template.count] = Field {
                    value: row.value,
                    id: row.ids[version],
                    len,
                };
                template.count += 1;
                template.len += len as usize;
            }
            at += 1;
        }
        template
    }

    /// The fields, as their numbers and lengths.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (u16, u16)> + Clone + '_ {
        self.fields
            .iter()
            .take(self.count)
            .map(|field| (field.id, field.len))
    }

    fn write<A: Version>(
        &self,
        flow: &Flow<A>,
        after: Option<&Endpoints<A>>,
        reason: Reason,
        now: ExportTime,
        to: &mut Writer<'_>,
    ) {
        for field in self.fields.iter().take(self.count) {
            let number: u64 = match field.value {
                Value::SrcAddr => {
                    flow.key.src().write(to);
                    continue;
                }
                Value::DstAddr => {
                    flow.key.dst().write(to);
                    continue;
                }
                Value::NextHop => {
                    flow.route.next_hop.write(to);
                    continue;
                }
                Value::PostSrcAddr => {
                    after.map_or(flow.key.src(), |after| after.src).write(to);
                    continue;
                }
                Value::PostDstAddr => {
                    after.map_or(flow.key.dst(), |after| after.dst).write(to);
                    continue;
                }
                Value::Input => flow.key.input().into(),
                Value::Output => flow.route.output.into(),
                Value::Packets => flow.packets,
                Value::Bytes => flow.bytes,
                Value::First => flow.first.as_millis().into(),
                Value::Last => flow.last.as_millis().into(),
                Value::FirstMilliseconds => now.milliseconds_of(flow.first),
                Value::LastMilliseconds => now.milliseconds_of(flow.last),
                Value::IcmpTypeCode if flow.key.proto() == A::ICMP => flow.key.dst_port().into(),
                Value::IcmpTypeCode => 0,
                Value::SrcPort => flow.key.src_port().into(),
                Value::DstPort => flow.key.dst_port().into(),
                Value::TcpFlags => flow.tcp_flags().into(),
                Value::Protocol => flow.key.proto().into(),
                Value::Tos => flow.key.tos().into(),
                Value::SrcMask => flow.route.src_mask.into(),
                Value::DstMask => flow.route.dst_mask.into(),
                Value::Direction => direction(flow).into(),
                Value::EndReason => end_reason(reason).into(),
                Value::IpVersion => A::VERSION.into(),
                Value::FlowLabel => flow.label().bits().into(),
                Value::PostSrcPort => after.map_or(0, |after| after.src_port).into(),
                Value::PostDstPort => after.map_or(0, |after| after.dst_port).into(),
            };
            to.number(number, field.len);
        }
    }
}

/// The templates of a format: a pair for all flows, and one for those whose NAT is told.
pub(crate) struct Templates {
    ipv4: Template,
    ipv6: Template,
    nat_ipv4: Template,
    nat_ipv6: Template,
}

impl Templates {
    #[inline]
    pub(crate) const fn new(layout: Layout) -> Self {
        Self {
            ipv4: Template::new(256, 0, layout, FIELDS - NAT_FIELDS),
            ipv6: Template::new(257, 1, layout, FIELDS - NAT_FIELDS),
            nat_ipv4: Template::new(258, 0, layout, FIELDS),
            nat_ipv6: Template::new(259, 1, layout, FIELDS),
        }
    }

    /// Bytes of the shortest record, of those with NAT or without.
    pub(crate) fn shortest(&self, nat: bool) -> usize {
        match nat {
            true => self.nat_ipv4.len,
            false => self.ipv4.len,
        }
    }

    /// The pair for all flows.
    pub(crate) fn plain(&self) -> [&Template; 2] {
        [&self.ipv4, &self.ipv6]
    }

    /// The pair for those whose NAT is told.
    pub(crate) fn translated(&self) -> [&Template; 2] {
        [&self.nat_ipv4, &self.nat_ipv6]
    }

    /// That of a flow, with or without NAT.
    #[inline]
    pub(crate) fn of(&self, flow: &AnyFlow, nat: bool) -> &Template {
        match (flow, nat) {
            (AnyFlow::V4(_), false) => &self.ipv4,
            (AnyFlow::V6(_), false) => &self.ipv6,
            (AnyFlow::V4(_), true) => &self.nat_ipv4,
            (AnyFlow::V6(_), true) => &self.nat_ipv6,
        }
    }

    /// Writes the record of a flow that left the cache for `reason`; with NAT if it is known what
    /// its packets are like `after` that, which is of its family.
    ///
    /// `now` is not before its last packet.
    #[inline]
    pub(crate) fn write(
        &self,
        flow: &AnyFlow,
        after: Option<&AnyEndpoints>,
        reason: Reason,
        now: ExportTime,
        to: &mut Writer<'_>,
    ) {
        let template = self.of(flow, after.is_some());
        match (flow, after) {
            (AnyFlow::V4(flow), Some(AnyEndpoints::V4(after))) => {
                template.write(flow, Some(after), reason, now, to)
            }
            (AnyFlow::V6(flow), Some(AnyEndpoints::V6(after))) => {
                template.write(flow, Some(after), reason, now, to)
            }
            (AnyFlow::V4(flow), _) => template.write(flow, None, reason, now, to),
            (AnyFlow::V6(flow), _) => template.write(flow, None, reason, now, to),
        }
    }
}

/// What an IP version has of its own in flow records.
pub(super) trait Version: Address {
    /// Its number.
    const VERSION: u8;

    /// Writes an address.
    fn write(self, to: &mut Writer<'_>);
}

impl Version for Ipv4Addr {
    const VERSION: u8 = 4;

    fn write(self, to: &mut Writer<'_>) {
        to.put(Self::octets(&self));
    }
}

impl Version for Ipv6Addr {
    const VERSION: u8 = 6;

    fn write(self, to: &mut Writer<'_>) {
        to.put(Self::octets(&self));
    }
}

/// flowDirection: what this host sent came in by no interface, and is of egress.
fn direction<A: Address>(flow: &Flow<A>) -> u8 {
    const INGRESS: u8 = 0;
    const EGRESS: u8 = 1;

    match flow.key.input() {
        0 => EGRESS,
        _ => INGRESS,
    }
}

/// flowEndReason.
fn end_reason(reason: Reason) -> u8 {
    const IDLE_TIMEOUT: u8 = 1;
    const ACTIVE_TIMEOUT: u8 = 2;
    const END_OF_FLOW: u8 = 3;
    const FORCED_END: u8 = 4;
    const LACK_OF_RESOURCES: u8 = 5;

    match reason {
        Reason::Inactive => IDLE_TIMEOUT,
        // As the active timeout does, it ends a flow that goes on, to tell what there is so far.
        Reason::Active | Reason::Overflow => ACTIVE_TIMEOUT,
        Reason::Finished => END_OF_FLOW,
        Reason::Flushed => FORCED_END,
        Reason::Displaced => LACK_OF_RESOURCES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(template: &Template) -> (u16, usize, Vec<(u16, u16)>) {
        (template.id, template.len, template.fields().collect())
    }

    /// Collectors keep templates: what is here may never change, only be added to.
    #[test]
    fn template_ids_never_change_their_layout() {
        const V9: Templates = Templates::new(Layout::V9);
        const IPFIX: Templates = Templates::new(Layout::Ipfix);

        let counters = [(10, 4), (14, 4), (2, 8), (1, 8)];
        let v9_times = [(22, 4), (21, 4)];
        let ipfix_times = [(152, 8), (153, 8)];
        let ports = [(7, 2), (11, 2)];
        let rest = [(61, 1), (136, 1), (60, 1)];

        let ipv4 = [(8, 4), (12, 4), (15, 4)];
        let ipv6 = [(27, 16), (28, 16), (62, 16)];
        let of = |parts: &[&[(u16, u16)]]| parts.concat();
        assert_eq!(
            layout(&V9.ipv4),
            (
                256,
                58,
                of(&[
                    &ipv4,
                    &counters,
                    &v9_times,
                    &[(32, 2)],
                    &ports,
                    &[(6, 1), (4, 1), (5, 1), (9, 1), (13, 1)],
                    &rest,
                ])
            )
        );
        assert_eq!(
            layout(&V9.ipv6),
            (
                257,
                97,
                of(&[
                    &ipv6,
                    &counters,
                    &v9_times,
                    &[(139, 2)],
                    &ports,
                    &[(6, 1), (4, 1), (5, 1), (29, 1), (30, 1)],
                    &rest,
                    &[(31, 3)],
                ])
            )
        );
        assert_eq!(
            layout(&IPFIX.ipv4),
            (
                256,
                67,
                of(&[
                    &ipv4,
                    &counters,
                    &ipfix_times,
                    &[(32, 2)],
                    &ports,
                    &[(6, 2), (4, 1), (5, 1), (9, 1), (13, 1)],
                    &rest,
                ])
            )
        );
        assert_eq!(
            layout(&IPFIX.ipv6),
            (
                257,
                107,
                of(&[
                    &ipv6,
                    &counters,
                    &ipfix_times,
                    &[(139, 2)],
                    &ports,
                    &[(6, 2), (4, 1), (5, 1), (29, 1), (30, 1)],
                    &rest,
                    &[(31, 4)],
                ])
            )
        );
    }

    /// The others, with the fields of NAT at the end.
    #[test]
    fn nor_do_those_with_nat() {
        for templates in [Templates::new(Layout::V9), Templates::new(Layout::Ipfix)] {
            for (plain, nat, id, more, addresses) in [
                (
                    &templates.ipv4,
                    &templates.nat_ipv4,
                    258,
                    12,
                    [(225, 4), (226, 4)],
                ),
                (
                    &templates.ipv6,
                    &templates.nat_ipv6,
                    259,
                    36,
                    [(281, 16), (282, 16)],
                ),
            ] {
                let (_, len, mut fields) = layout(plain);
                fields.extend(addresses);
                fields.extend([(227, 2), (228, 2)]);
                assert_eq!(layout(nat), (id, len + more, fields));
            }
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Options: what an exporter tells of itself beside flows (RFC 3954, section 6; RFC 7011, section
//! 3.4.2).
//!
//! Each kind has an Options Template, whose id has the same layout for ever, and whose scope is the
//! Observation Domain. Collectors differ in what they accept; this is what all of those do that
//! were looked at (nfdump, pmacct, goflow2, Akvorado): elements that RFC 5477 has replaced, of four
//! bytes.

use super::{
    field::Layout,
    writer::Writer, //
};
use crate::flow::sampling::Method;

/// A record of options.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Options<'a> {
    /// How packets were selected.
    Sampling(Method),
    /// An interface of the host.
    Interface(Interface<'a>),
    /// What the exporter has done so far, and how it is set.
    Process(Process),
}

/// An interface, as flow records name it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interface<'a> {
    pub(crate) number: u32,
    pub(crate) name: &'a [u8],
    pub(crate) description: &'a [u8],
}

/// Statistics of the Metering and of the Exporting Process (RFC 7011, sections 4.1 to 4.3), and
/// settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Process {
    /// Sent to this collector's stream.
    pub(crate) exported_bytes: u64,
    pub(crate) exported_messages: u64,
    pub(crate) exported_records: u64,
    /// Not accounted, of those that were selected.
    pub(crate) ignored_packets: u64,
    pub(crate) ignored_bytes: u64,
    /// In flows that no collector was sent.
    pub(crate) not_sent_flows: u64,
    pub(crate) not_sent_packets: u64,
    pub(crate) not_sent_bytes: u64,
    /// When SysUptime was 0, in milliseconds since 1970.
    pub(crate) init_time: u64,
    /// Seconds.
    pub(crate) active_timeout: u32,
    pub(crate) inactive_timeout: u32,
}

/// A field of options: the number of its element, its bytes, and what it holds.
pub(crate) struct Field<'a> {
    pub(crate) id: u16,
    pub(crate) len: u16,
    value: Value<'a>,
}

enum Value<'a> {
    Number(u64),
    Text(&'a [u8]),
}

const fn number<'a>(id: u16, len: u16, number: u64) -> Field<'a> {
    Field {
        id,
        len,
        value: Value::Number(number),
    }
}

impl Field<'_> {
    pub(crate) fn write(&self, to: &mut Writer<'_>) {
        match self.value {
            Value::Number(number) => to.number(number, self.len),
            Value::Text(text) => to.text(text, self.len),
        }
    }
}

impl Options<'_> {
    /// One of each kind, whose values do not matter.
    pub(crate) const KINDS: [Self; 3] = [
        Self::Sampling(Method::ALL),
        Self::Interface(Interface {
            number: 0,
            name: &[],
            description: &[],
        }),
        Self::Process(Process {
            exported_bytes: 0,
            exported_messages: 0,
            exported_records: 0,
            ignored_packets: 0,
            ignored_bytes: 0,
            not_sent_flows: 0,
            not_sent_packets: 0,
            not_sent_bytes: 0,
            init_time: 0,
            active_timeout: 0,
            inactive_timeout: 0,
        }),
    ];

    /// Its Template ID.
    pub(crate) fn id(&self) -> u16 {
        match self {
            Self::Sampling(_) => 300,
            Self::Interface(_) => 301,
            Self::Process(_) => 302,
        }
    }

    /// Calls `each` with its fields, but for the scope.
    pub(crate) fn fields(&self, layout: Layout, each: impl FnMut(Field<'_>)) {
        match self {
            Self::Sampling(method) => sampling(*method, layout).into_iter().for_each(each),
            Self::Interface(interface) => interface.fields().into_iter().for_each(each),
            Self::Process(process) => process.fields().into_iter().for_each(each),
        }
    }
}

/// How packets are selected. The sampler has number 0, which collectors take for flow records that
/// name none.
fn sampling(method: Method, layout: Layout) -> [Field<'static>; 5] {
    /// Of the elements 35 and 49.
    const DETERMINISTIC: u64 = 1;
    const RANDOM: u64 = 2;

    let mode = match method.is_random() {
        true => RANDOM,
        false => DETERMINISTIC,
    };
    [
        match layout {
            Layout::V9 => number(48, 1, 0),
            Layout::Ipfix => number(302, 8, 0),
        },
        number(34, 4, method.interval().into()),
        number(35, 1, mode),
        number(49, 1, mode),
        number(50, 4, method.interval().into()),
    ]
}

/// A text that a field of `len` bytes holds whole, with a zero behind it: some collectors overwrite
/// the last byte. Cut, if at all, between two characters of UTF-8.
fn cut(text: &[u8], len: u16) -> &[u8] {
    /// Bytes of a character after the first one.
    const CONTINUATIONS: usize = 3;

    let most = usize::from(len).saturating_sub(1);
    let is_start = |at: usize| text.get(at).is_none_or(|byte| byte & 0xc0 != 0x80);
    let starts = (0..=CONTINUATIONS).map(|back| most.saturating_sub(back));
    // Without any start nearby, it is not UTF-8.
    let end = starts.clone().find(|at| is_start(*at)).unwrap_or(most);
    text.get(..end).unwrap_or(text)
}

impl<'a> Interface<'a> {
    /// IFNAMSIZ, and what of the alias a record has.
    const NAME: u16 = 16;
    const DESCRIPTION: u16 = 64;

    /// nfdump reads the description only, nfacctd the name.
    fn fields(self) -> [Field<'a>; 3] {
        let text = |id, len, text| Field {
            id,
            len,
            value: Value::Text(cut(text, len)),
        };
        let description = match self.description {
            [] => self.name,
            description => description,
        };
        [
            number(10, 4, self.number.into()),
            text(82, Self::NAME, self.name),
            text(83, Self::DESCRIPTION, description),
        ]
    }
}

impl Process {
    /// A message was sent, with so many records of flows.
    pub(crate) fn count_message(&mut self, bytes: usize, records: u32) {
        let bytes = u64::try_from(bytes).unwrap_or(0);
        self.exported_bytes = self.exported_bytes.wrapping_add(bytes);
        self.exported_messages = self.exported_messages.wrapping_add(1);
        self.exported_records = self.exported_records.wrapping_add(records.into());
    }

    fn fields(self) -> [Field<'static>; 11] {
        let seconds = |seconds: u32| u64::from(seconds.min(u16::MAX.into()));
        [
            number(40, 8, self.exported_bytes),
            number(41, 8, self.exported_messages),
            number(42, 8, self.exported_records),
            number(164, 8, self.ignored_packets),
            number(165, 8, self.ignored_bytes),
            number(166, 8, self.not_sent_flows),
            number(167, 8, self.not_sent_packets),
            number(168, 8, self.not_sent_bytes),
            number(160, 8, self.init_time),
            number(36, 2, seconds(self.active_timeout)),
            number(37, 2, seconds(self.inactive_timeout)),
        ]
    }
}

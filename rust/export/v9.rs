// SPDX-License-Identifier: GPL-2.0

//! NetFlow version 9 (RFC 3954).

use super::{
    field::{
        Layout,
        Templates, //
    },
    format::MSEC_PER_SEC,
    templated::{
        Counts,
        Header,
        Protocol, //
    },
    writer::Writer,
};

const VERSION: u16 = 9;

/// The format.
pub(crate) enum V9 {}

/// A datagram of it.
pub(crate) type Datagram<B> = super::templated::Datagram<V9, B>;

impl Protocol for V9 {
    const HEADER: usize = 20;
    const LAYOUT: Layout = Layout::V9;
    const TEMPLATES: &'static Templates = &const { Templates::new(Layout::V9) };
    /// NAT translation create and delete, as Cisco's NAT Event Logging has them.
    const NAT44_SESSION: [u8; 2] = [1, 2];
    const TEMPLATE_SET: u16 = 0;
    const OPTIONS_TEMPLATE_SET: u16 = 1;
    /// System.
    const SCOPE: (u16, u16) = (1, 4);

    /// Bytes of the scope fields, and of the others.
    fn options_counts(fields: u16) -> [u16; 2] {
        [4, fields.saturating_mul(4)]
    }

    /// The header has whole seconds only, beside milliseconds of SysUptime. Both are told of the
    /// second's end, so that their difference, by which a collector reads the times of flows, is
    /// exact; and no flow ends after it.
    fn write_header(header: &Header, to: &mut Writer<'_>) {
        let now = header.time.milliseconds();
        let seconds = now.div_ceil(MSEC_PER_SEC);
        let ahead = seconds.saturating_mul(MSEC_PER_SEC).saturating_sub(now);
        // CAST: Less than a second.
        let uptime = header.time.uptime.plus(ahead as u32);
        let Counts {
            templates,
            flows,
            options,
        } = header.counts;
        let records = templates.saturating_add(flows).saturating_add(options);

        to.number(VERSION.into(), 2);
        to.number(records.into(), 2);
        to.number(uptime.as_millis().into(), 4);
        to.number(seconds, 4);
        to.number(header.sequence.into(), 4);
        to.number(header.domain.into(), 4);
    }

    /// It counts datagrams.
    fn sequence_units(_counts: Counts) -> u32 {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        export::{
            format::{
                Announcement,
                Appended,
                ExportTime,
                Format, //
            },
            options::{
                Interface,
                Options,
                Process, //
            },
            templated::tests::{
                ipv4_flow,
                ipv6_flow,
                TIME, //
            },
        },
        flow::{
            expiry::Reason,
            sampling::Method,
            uptime::Uptime, //
        },
    };

    fn datagram() -> Datagram<Vec<u8>> {
        let mut datagram = Datagram::new(vec![0xee; 1400]);
        datagram.set_domain(0x0708_090a);
        datagram.begin(TIME);
        datagram
    }

    /// Byte for byte: RFC 3954, sections 5.1 and 5.3.
    #[test]
    fn flow_records() {
        let mut datagram = datagram();
        for flow in [ipv4_flow(), ipv4_flow(), ipv6_flow()] {
            assert_eq!(datagram.append(&flow, Reason::Active, 0), Appended::Last);
        }
        assert_eq!((datagram.records(), datagram.sequence_units()), (3, 1));
        let ipv4: [u8; 58] = [
            10, 1, 2, 3, 192, 0, 2, 9, 198, 51, 100, 1, // addresses
            0, 0, 0, 3, 0, 1, 0, 2, // interfaces
            0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0x10, 0, 0, 0x12, 0x34, // counters
            0, 0, 0x03, 0xe8, 0, 0, 0x09, 0xc4, // first and last
            0, 0, 0xc7, 0x38, 0x01, 0xbb, // ICMP, ports
            0x1b, 6, 0xb8, 8, 24, 0, 2,
            4, // flags, protocol, ToS, masks, direction, reason, version
        ];
        let ipv6: [u8; 97] = [
            0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, // source
            0x20, 1, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, // destination
            0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, // next hop
            0, 0, 0, 0, 0, 0, 0, 5, // interfaces
            0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0xd0, // counters
            0, 0, 0x07, 0xd0, 0, 0, 0x09, 0xc4, // first and last
            0x80, 0, 0, 0, 0x80, 0, // ICMP, ports
            0, 58, 0x20, 64, 48, 1, 2,
            6, // flags, protocol, class, masks, direction, reason, version
            1, 0xa2, 0xb3, // flow label
        ];
        let header = [
            0, 9, 0, 3, 1, 2, 0x05, 0xf2, 0x60, 0, 0, 1, 0x0a, 0x0b, 0x0c, 0x0d, 7, 8, 9, 0x0a,
        ];
        assert_eq!(
            datagram.finish(TIME, 0x0a0b_0c0d),
            [
                &header[..],
                &[1, 0, 0, 120],
                &ipv4,
                &ipv4,
                &[1, 1, 0, 104],
                &ipv6,
                &[0, 0, 0],
            ]
            .concat()
        );
    }

    /// Byte for byte: RFC 3954, sections 5.2 and 11.2. The header counts records.
    #[test]
    fn templates() {
        let mut datagram = datagram();
        assert!(datagram.announce(Announcement::Templates));
        assert_eq!((datagram.records(), datagram.sequence_units()), (0, 1));
        let bytes = datagram.finish(TIME, 1);
        assert_eq!(bytes[..4], [0, 9, 0, 2]);
        // FlowSet and template of IPv4; its fields are those of the frozen layout.
        assert_eq!(
            bytes[20..36],
            [0, 0, 0, 88, 1, 0, 0, 20, 0, 8, 0, 4, 0, 12, 0, 4]
        );
        assert_eq!(bytes[104..108], [0, 60, 0, 1]);
        assert_eq!(
            bytes[108..124],
            [0, 0, 0, 92, 1, 1, 0, 21, 0, 27, 0, 16, 0, 28, 0, 16]
        );
        assert_eq!(bytes[196..], [0, 31, 0, 3]);
    }

    /// Byte for byte: RFC 3954, sections 6.1, 6.2, 11.4 and 11.5.
    #[test]
    fn options() {
        let mut datagram = datagram();
        assert!(datagram.announce(Announcement::OptionsTemplates));
        for options in [
            Options::Sampling(Method::ALL),
            Options::Interface(Interface {
                number: 0x0102_0304,
                name: b"eth0",
                description: b"uplink",
            }),
            Options::Process(Process {
                exported_bytes: 1,
                exported_messages: 2,
                exported_records: 3,
                ignored_packets: 4,
                ignored_bytes: 5,
                not_sent_flows: 6,
                not_sent_packets: 7,
                not_sent_bytes: 8,
                init_time: 9,
                active_timeout: 1800,
                inactive_timeout: 604_800,
            }),
        ] {
            assert!(datagram.announce(Announcement::Options(options)));
        }
        assert_eq!((datagram.records(), datagram.sequence_units()), (0, 1));
        let mut interface = [0; 68 + 20];
        interface[..8].copy_from_slice(&[7, 8, 9, 0x0a, 1, 2, 3, 4]);
        interface[8..12].copy_from_slice(b"eth0");
        interface[24..30].copy_from_slice(b"uplink");
        let statistics: Vec<u8> = (1u64..=9).flat_map(u64::to_be_bytes).collect();
        assert_eq!(
            datagram.finish(TIME, 1)[20..],
            [
                // The scope is System, of 4 bytes.
                &[0, 1, 0, 36, 1, 44, 0, 4, 0, 20, 0, 1, 0, 4][..],
                &[0, 48, 0, 1, 0, 34, 0, 4, 0, 35, 0, 1, 0, 49, 0, 1, 0, 50, 0, 4, 0, 0],
                &[0, 1, 0, 28, 1, 45, 0, 4, 0, 12, 0, 1, 0, 4],
                &[0, 10, 0, 4, 0, 82, 0, 16, 0, 83, 0, 64, 0, 0],
                &[0, 1, 0, 60, 1, 46, 0, 4, 0, 44, 0, 1, 0, 4],
                &[0, 40, 0, 8, 0, 41, 0, 8, 0, 42, 0, 8, 0, 164, 0, 8, 0, 165, 0, 8],
                &[0, 166, 0, 8, 0, 167, 0, 8, 0, 168, 0, 8, 0, 160, 0, 8],
                &[0, 36, 0, 2, 0, 37, 0, 2, 0, 0],
                &[1, 44, 0, 20, 7, 8, 9, 0x0a, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 0],
                &[1, 45, 0, 92],
                &interface,
                &[1, 46, 0, 84, 7, 8, 9, 0x0a],
                &statistics,
                &[0x07, 0x08, 0xff, 0xff],
            ]
            .concat()
        );
        // Three templates, three records.
        assert_eq!(datagram.finish(TIME, 1)[..4], [0, 9, 0, 6]);
    }

    /// What a collector computes of a time, `UNIX Secs * 1000 - (SysUptime - First)`, is exact at
    /// any fraction of a second; and SysUptime is never before the moment of export.
    #[test]
    fn the_clocks_of_the_header_agree() {
        for (wall_ms, uptime) in [
            (1_000_000_000_000u64, 5000u64),
            (1_000_000_000_001, 5001),
            (1_000_000_000_999, 5999),
            (1_000_000_001_000, 6000),
            (1_000_000_001_001, u64::from(u32::MAX) - 3),
        ] {
            let time = ExportTime {
                uptime: Uptime::from_millis(uptime),
                wall: wall_ms * 1_000_000,
            };
            let mut datagram = datagram();
            let bytes = datagram.finish(time, 0);
            let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
            let (sys_uptime, seconds) = (word(4), word(8));
            let ahead = u64::from(sys_uptime.wrapping_sub(uptime as u32));
            assert!(ahead < 1000, "{wall_ms}");
            assert_eq!(u64::from(seconds) * 1000 - ahead, wall_ms);
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! IPFIX (RFC 7011).

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

const VERSION: u16 = 10;

/// The format.
pub(crate) enum Ipfix {}

/// A datagram of it.
pub(crate) type Datagram<B> = super::templated::Datagram<Ipfix, B>;

impl Protocol for Ipfix {
    const HEADER: usize = 16;
    const LAYOUT: Layout = Layout::Ipfix;
    const TEMPLATES: &'static Templates = &const { Templates::new(Layout::Ipfix) };
    /// NAT44 session create and delete (RFC 8158, section 4.3).
    const NAT44_SESSION: [u8; 2] = [4, 5];
    const TEMPLATE_SET: u16 = 2;
    const OPTIONS_TEMPLATE_SET: u16 = 3;
    /// observationDomainId.
    const SCOPE: (u16, u16) = (149, 4);

    /// All fields, and those of the scope.
    fn options_counts(fields: u16) -> [u16; 2] {
        [fields.saturating_add(1), 1]
    }

    fn write_header(header: &Header, to: &mut Writer<'_>) {
        to.number(VERSION.into(), 2);
        to.number(u64::try_from(header.len).unwrap_or(0), 2);
        to.number(header.time.milliseconds() / MSEC_PER_SEC, 4);
        to.number(header.sequence.into(), 4);
        to.number(header.domain.into(), 4);
    }

    /// It counts Data Records, those of options too.
    fn sequence_units(counts: Counts) -> u32 {
        counts.flows.saturating_add(counts.options)
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
                Format, //
            },
            options::{
                Interface,
                Options, //
            },
            templated::tests::{
                ipv4_flow,
                ipv6_flow,
                TIME, //
            },
        },
        flow::{
            expiry::Reason,
            sampling::Method, //
        },
    };

    fn datagram() -> Datagram<Vec<u8>> {
        let mut datagram = Datagram::new(vec![0xee; 1400]);
        datagram.set_domain(0x0708_090a);
        datagram.begin(TIME);
        datagram
    }

    /// Byte for byte: RFC 7011, sections 3.1, 3.3 and 3.4.3.
    #[test]
    fn flow_records() {
        let mut datagram = datagram();
        for flow in [ipv4_flow(), ipv6_flow()] {
            assert_eq!(datagram.append(&flow, Reason::Flushed, 0), Appended::Last);
        }
        assert_eq!((datagram.records(), datagram.sequence_units()), (2, 2));
        // Uptime 0 was at 0x60000000 * 1000 + 250 - 0x01020304 = 0x176fefdfdf6; add 1000, 2000
        // and 2500.
        let (first, second, last) = (0x0176_fefe_01de_u64, 0x0176_fefe_05c6_u64, 0x0176_fefe_07ba);
        let times = |first: u64, last: u64| [first.to_be_bytes(), last.to_be_bytes()].concat();
        let header = [
            0, 10, 0, 200, 0x60, 0, 0, 0, 0x0a, 0x0b, 0x0c, 0x0d, 7, 8, 9, 0x0a,
        ];
        assert_eq!(
            datagram.finish(TIME, 0x0a0b_0c0d),
            [
                &header[..],
                &[1, 0, 0, 72],
                &[10, 1, 2, 3, 192, 0, 2, 9, 198, 51, 100, 1],
                &[0, 0, 0, 3, 0, 1, 0, 2],
                &[0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0x10, 0, 0, 0x12, 0x34],
                &times(first, last),
                &[0, 0, 0xc7, 0x38, 0x01, 0xbb],
                &[0, 0x1b, 6, 0xb8, 8, 24, 0, 4, 4],
                &[0],
                &[1, 1, 0, 112],
                &[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
                &[0x20, 1, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
                &[0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3],
                &[0, 0, 0, 0, 0, 0, 0, 5],
                &[0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0xd0],
                &times(second, last),
                &[0x80, 0, 0, 0, 0x80, 0],
                &[0, 0, 58, 0x20, 64, 48, 1, 4, 6],
                &[0, 1, 0xa2, 0xb3],
                &[0],
            ]
            .concat()
        );
    }

    /// Byte for byte: RFC 7011, section 3.4.1 and appendix A.2. Templates are not counted.
    #[test]
    fn templates() {
        let mut datagram = datagram();
        assert!(datagram.announce(Announcement::Templates));
        assert_eq!((datagram.records(), datagram.sequence_units()), (0, 0));
        let bytes = datagram.finish(TIME, 1);
        assert_eq!(bytes[..4], [0, 10, 0, 196]);
        assert_eq!(
            bytes[16..32],
            [0, 2, 0, 88, 1, 0, 0, 20, 0, 8, 0, 4, 0, 12, 0, 4]
        );
        assert_eq!(bytes[100..104], [0, 60, 0, 1]);
        assert_eq!(
            bytes[104..120],
            [0, 2, 0, 92, 1, 1, 0, 21, 0, 27, 0, 16, 0, 28, 0, 16]
        );
        assert_eq!(bytes[192..], [0, 31, 0, 4]);
    }

    /// Byte for byte: RFC 7011, section 3.4.2 and appendix A.4. Their records are counted.
    #[test]
    fn options() {
        let mut datagram = datagram();
        assert!(datagram.announce(Announcement::OptionsTemplates));
        let interface = Interface {
            number: 2,
            name: b"eth1",
            description: b"",
        };
        let method = Method::new(100, true);
        for options in [Options::Sampling(method), Options::Interface(interface)] {
            assert!(datagram.announce(Announcement::Options(options)));
        }
        assert_eq!((datagram.records(), datagram.sequence_units()), (0, 2));
        let bytes = datagram.finish(TIME, 1);
        assert_eq!(
            bytes[16..80],
            [
                // Six fields, the first of which is the scope.
                &[0, 3, 0, 36, 1, 44, 0, 6, 0, 1, 0, 149, 0, 4][..],
                &[1, 46, 0, 8, 0, 34, 0, 4, 0, 35, 0, 1, 0, 49, 0, 1, 0, 50, 0, 4, 0, 0],
                &[0, 3, 0, 28, 1, 45, 0, 4, 0, 1, 0, 149, 0, 4],
                &[0, 10, 0, 4, 0, 82, 0, 16, 0, 83, 0, 64, 0, 0],
            ]
            .concat()
        );
        assert_eq!(bytes[80..90], [0, 3, 0, 60, 1, 46, 0, 12, 0, 1]);
        let mut names = [0; 80];
        names[..4].copy_from_slice(b"eth1");
        // No description: the name stands for it.
        names[16..20].copy_from_slice(b"eth1");
        assert_eq!(
            bytes[140..],
            [
                &[1, 44, 0, 28, 7, 8, 9, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0][..],
                &[0, 0, 0, 100, 2, 2, 0, 0, 0, 100, 0, 0],
                &[1, 45, 0, 92, 7, 8, 9, 0x0a, 0, 0, 0, 2],
                &names,
            ]
            .concat()
        );
    }
}

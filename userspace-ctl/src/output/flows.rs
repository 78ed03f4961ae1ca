// SPDX-License-Identifier: GPL-2.0-only

//! Flows as a table.

use super::table::{
    Align::{
        Left,
        Right, //
    },
    Row,
    Table, //
};
use crate::{
    error::Error,
    messages::Flow,
    names::Names, //
};
use std::{
    fmt,
    io::Write, //
};

const COLUMNS: &[(&str, super::table::Align)] = &[
    ("PROTO", Left),
    ("SOURCE", Left),
    ("SPORT", Right),
    ("DESTINATION", Left),
    ("DPORT", Right),
    ("IN", Left),
    ("OUT", Left),
    ("NEXT HOP", Left),
    ("TOS", Right),
    ("FLAGS", Left),
    ("PACKETS", Right),
    ("BYTES", Right),
    ("DURATION", Right),
    ("IDLE", Right),
];

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const TCP: u8 = 6;

/// What an absent value looks like.
const NONE: &str = "-";

/// Writes the flows as they come in. `uptime` is the `sys_uptime` that idle times are counted to.
/// If the first flow is an error, nothing is written.
pub fn print(
    out: &mut impl Write,
    flows: impl Iterator<Item = Result<Flow, Error>>,
    uptime: u32,
    numeric: bool,
    names: &mut Names,
) -> Result<(), Error> {
    let mut table = Table::new(out, COLUMNS);
    for flow in flows {
        let flow = flow?;
        table.row(|row| fill(row, &flow, uptime, numeric, names))?;
    }
    Ok(table.end()?)
}

fn fill(row: &mut Row, flow: &Flow, uptime: u32, numeric: bool, names: &mut Names) {
    row.word(names.protocol(flow.proto))
        .cell(flow.src_addr)
        .cell(flow.src_port)
        .cell(flow.dst_addr);
    match flow.proto {
        ICMP | ICMPV6 if !numeric => row.format(format_args!(
            "{}.{}",
            flow.dst_port >> 8,
            flow.dst_port & 0xff
        )),
        _ => row.cell(flow.dst_port),
    };
    for interface in [flow.input, flow.output] {
        match interface {
            0 => row.word(NONE),
            number => row.word(names.interface(number)),
        };
    }
    match flow.next_hop.is_unspecified() {
        true => row.word(NONE),
        false => row.cell(flow.next_hop),
    };
    row.format(format_args!("{:#04x}", flow.tos));
    match (flow.proto, numeric) {
        (TCP, false) => row.cell(TcpFlags(flow.tcp_flags)),
        (TCP, true) => row.format(format_args!("{:#04x}", flow.tcp_flags)),
        _ => row.word(NONE),
    };
    row.cell(flow.packets)
        .cell(flow.bytes)
        .cell(Seconds::between(flow.first, flow.last))
        .cell(Seconds::between(flow.last, uptime));
}

/// TCP flags as letters, of which those that were not seen are dots.
struct TcpFlags(u8);

impl fmt::Display for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LETTERS: [u8; 8] = *b"CEUAPRSF";
        let mut text = [b'.'; 8];
        for (bit, (place, letter)) in text.iter_mut().zip(LETTERS).enumerate() {
            if self.0 & (0x80 >> bit) != 0 {
                *place = letter;
            }
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// A time in seconds with three decimals.
struct Seconds {
    milliseconds: u32,
}

impl Seconds {
    /// From one reading of the millisecond clock to a later one, across the end of its 32 bits. A
    /// reading that is not later is of something that happened while others were read: no time.
    fn between(earlier: u32, later: u32) -> Self {
        let difference = later.wrapping_sub(earlier);
        Self {
            milliseconds: match difference > u32::MAX / 2 {
                true => 0,
                false => difference,
            },
        }
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, rest) = (self.milliseconds / 1000, self.milliseconds % 1000);
        write!(f, "{seconds}.{rest:03}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tcp_flags_are_letters() {
        assert_eq!(TcpFlags(0).to_string(), "........");
        assert_eq!(TcpFlags(0x1b).to_string(), "...AP.SF");
        assert_eq!(TcpFlags(0xff).to_string(), "CEUAPRSF");
    }

    #[test]
    fn times_cross_the_end_of_the_clock() {
        assert_eq!(Seconds::between(1000, 3500).to_string(), "2.500");
        assert_eq!(Seconds::between(u32::MAX, 4).to_string(), "0.005");
        assert_eq!(Seconds::between(5, 5).to_string(), "0.000");
        assert_eq!(Seconds::between(6, 5).to_string(), "0.000");
    }
}

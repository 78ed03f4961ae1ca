// SPDX-License-Identifier: GPL-2.0-only

//! Collectors as a table.

use super::table::{
    Align::{
        Left,
        Right, //
    },
    Table, //
};
use crate::messages::Collector;
use std::io::{
    self,
    Write, //
};

/// Writes one line for each collector, below a header.
pub fn print(out: &mut impl Write, collectors: &[Collector]) -> io::Result<()> {
    let columns = [
        ("COLLECTOR", Left),
        ("DATAGRAMS", Right),
        ("RECORDS", Right),
        ("ERRORS", Right),
    ];
    let mut table = Table::new(out, &columns);
    for collector in collectors {
        table.row(|row| {
            row.cell(collector.socket_addr())
                .cell(collector.datagrams)
                .cell(collector.records)
                .cell(collector.errors);
        })?;
    }
    table.end()
}

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

/// Stands for what there is not.
const NONE: &str = "-";

/// Writes one line for each collector, below a header.
pub fn print(out: &mut impl Write, collectors: &[Collector]) -> io::Result<()> {
    let columns = [
        ("COLLECTOR", Left),
        ("PROTOCOL", Left),
        ("SOURCE", Left),
        ("DEVICE", Left),
        ("DATAGRAMS", Right),
        ("RECORDS", Right),
        ("ERRORS", Right),
        ("LAST ERROR", Left),
    ];
    let mut table = Table::new(out, &columns);
    for collector in collectors {
        table.row(|row| {
            row.cell(collector.endpoint())
                .word(collector.protocol.name());
            match collector.source {
                Some(source) => row.cell(source),
                None => row.word(NONE),
            };
            row.word(collector.device.as_deref().unwrap_or(NONE))
                .cell(collector.datagrams)
                .cell(collector.records)
                .cell(collector.errors)
                .word(collector.last_error.as_deref().unwrap_or(NONE));
        })?;
    }
    table.end()
}

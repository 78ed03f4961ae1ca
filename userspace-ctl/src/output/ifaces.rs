// SPDX-License-Identifier: GPL-2.0-only

//! Interfaces that are reported by a number of their own, as a table.

use super::table::{
    Align::{
        Left,
        Right, //
    },
    Table, //
};
use crate::{
    messages::Iface,
    names::Names, //
};
use std::io::{
    self,
    Write, //
};

/// Writes one line for each interface, below a header.
pub fn print(out: &mut impl Write, ifaces: &[Iface], names: &mut Names) -> io::Result<()> {
    let columns = [("INTERFACE", Left), ("INDEX", Right), ("NUMBER", Right)];
    let mut table = Table::new(out, &columns);
    for iface in ifaces {
        table.row(|row| {
            row.word(names.interface(iface.ifindex))
                .cell(iface.ifindex)
                .cell(iface.number);
        })?;
    }
    table.end()
}

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
    names::printable, //
};
use std::io::{
    self,
    Write, //
};

/// Writes one line for each name, below a header. A name that no interface has now has no index.
pub fn print(out: &mut impl Write, ifaces: &[Iface]) -> io::Result<()> {
    let columns = [("INTERFACE", Left), ("INDEX", Right), ("NUMBER", Right)];
    let mut table = Table::new(out, &columns);
    for iface in ifaces {
        table.row(|row| {
            row.word(&printable(&iface.ifname));
            match iface.ifindex {
                Some(index) => row.cell(index),
                None => row.word("-"),
            };
            row.cell(iface.number);
        })?;
    }
    table.end()
}

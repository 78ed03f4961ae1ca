// SPDX-License-Identifier: GPL-2.0-only

//! The settings, with the names and values that `set` takes.

use super::{
    ifaces,
    table::{
        Align::Left,
        Table, //
    }, //
};
use crate::{
    messages::{
        Iface,
        Info, //
    },
    settings::Config, //
};
use serde::Serialize;
use std::io::{
    self,
    Write, //
};

/// What the command shows as JSON: the settings as fields, and the numbers of interfaces.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Shown<'a> {
    #[serde(flatten)]
    config: &'a Config,
    ifaces: &'a [Iface],
}

impl<'a> From<&'a Info> for Shown<'a> {
    fn from(info: &'a Info) -> Self {
        Self {
            config: &info.config,
            ifaces: &info.ifaces,
        }
    }
}

/// Writes one line for each setting and, if there are any, one for each number of an interface.
pub fn print(out: &mut impl Write, info: &Info) -> io::Result<()> {
    table(out, &info.config)?;
    if info.ifaces.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    ifaces::print(out, &info.ifaces)
}

/// Writes one line for each setting, below a header.
pub fn table(out: &mut impl Write, config: &Config) -> io::Result<()> {
    let mut table = Table::new(out, &[("SETTING", Left), ("VALUE", Left)]);
    for value in config.iter() {
        table.row(|row| {
            row.word(value.setting.name).cell(value);
        })?;
    }
    table.end()
}

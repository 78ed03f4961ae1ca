// SPDX-License-Identifier: GPL-2.0-only

//! The settings alone, with the names and values that `set` takes.

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
    names::Names,
    values::{
        on_off,
        Expiry,
        IcmpPorts,
        Observe, //
    }, //
};
use serde::Serialize;
use std::{
    fmt::Display,
    io::{
        self,
        Write, //
    }, //
};

/// The settings of an exporter. The names of the fields are those of the JSON output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Config<'a> {
    /// Flows that the cache holds at most.
    pub max_flows: u32,
    /// Active timeout in seconds.
    pub active_timeout: u32,
    /// Inactive timeout in seconds.
    pub inactive_timeout: u32,
    /// What becomes of an inactive flow.
    pub expiry: Expiry,
    /// Where packets are counted.
    pub observe: Observe,
    /// Engine type in the header of v5 datagrams.
    pub engine_type: u8,
    /// Engine id there.
    pub engine_id: u8,
    /// What the destination port of an ICMP flow holds.
    pub icmp_ports: IcmpPorts,
    /// Whether the exporter's own datagrams are accounted.
    pub count_own: bool,
    /// Interfaces that are reported by another number than their index.
    pub ifaces: &'a [Iface],
}

impl<'a> From<&'a Info> for Config<'a> {
    fn from(info: &'a Info) -> Self {
        Self {
            max_flows: info.flows.max,
            active_timeout: info.active_timeout,
            inactive_timeout: info.inactive_timeout,
            expiry: info.expiry,
            observe: info.observe,
            engine_type: info.engine_type,
            engine_id: info.engine_id,
            icmp_ports: info.icmp_ports,
            count_own: info.count_own,
            ifaces: &info.ifaces,
        }
    }
}

/// Writes one line for each setting and, if there are any, one for each number of an interface.
pub fn print(out: &mut impl Write, config: &Config<'_>, names: &mut Names) -> io::Result<()> {
    let rows: [(&str, &dyn Display); 9] = [
        ("max-flows", &config.max_flows),
        ("active-timeout", &config.active_timeout),
        ("inactive-timeout", &config.inactive_timeout),
        ("expiry", &config.expiry),
        ("observe", &config.observe),
        ("engine-type", &config.engine_type),
        ("engine-id", &config.engine_id),
        ("icmp-ports", &config.icmp_ports),
        ("count-own", &on_off(config.count_own)),
    ];
    let mut table = Table::new(&mut *out, &[("SETTING", Left), ("VALUE", Left)]);
    for (name, value) in rows {
        table.row(|row| {
            row.word(name).cell(value);
        })?;
    }
    table.end()?;
    if config.ifaces.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    ifaces::print(out, config.ifaces, names)
}

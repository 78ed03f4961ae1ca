// SPDX-License-Identifier: GPL-2.0-only

//! The state that a file wants a network namespace to have.
//!
//! ```text
//!   text --read--> Wanted --apply::plan--> changes
//!   Info --------> Wanted --write--------> text
//! ```
//!
//! The format is TOML. Its settings are those of the specification, by the names and with the
//! values that `set` takes.

mod collector;
mod mistakes;
mod read;
mod write;

pub use mistakes::Mistakes;
pub use read::{
    read,
    Unreadable, //
};
pub use write::{
    save,
    write, //
};

use crate::{
    address::Address,
    messages::{
        Collector,
        Info, //
    },
    protocol::Protocol,
    settings::Config, //
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fmt,
    net::IpAddr, //
};

/// An example, for the manual as for the package.
pub const EXAMPLE: &str = include_str!("example.toml");

/// What a namespace shall have, or has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Whether packets are accounted.
    pub enabled: bool,
    /// Settings. Those that are not here stay as they are.
    pub config: Config,
    /// All collectors.
    pub collectors: Vec<Destination>,
    /// All numbers of interfaces, by the names that have them.
    pub ifaces: BTreeMap<String, u32>,
}

/// A collector, as a request describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Destination {
    /// Its address.
    pub address: IpAddr,
    /// Its UDP port.
    pub port: u16,
    /// What it is sent.
    pub protocol: Protocol,
    /// The address that datagrams are sent from.
    pub source: Option<IpAddr>,
    /// The interface or VRF by which they are sent.
    pub device: Option<String>,
}

impl Destination {
    /// What tells it from other collectors.
    pub fn endpoint(&self) -> Address {
        Address::of_collector(self.address, self.port, self.device.as_deref())
    }
}

/// As the arguments of `collector add`.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoint = self.endpoint();
        write!(f, "{endpoint}")?;
        if self.protocol != Protocol::DEFAULT {
            write!(f, " --protocol {}", self.protocol.name())?;
        }
        if let Some(source) = self.source {
            write!(f, " --source {source}")?;
        }
        match &self.device {
            Some(device) if endpoint.scope.is_none() => write!(f, " --device {device}"),
            _ => Ok(()),
        }
    }
}

impl From<&Collector> for Destination {
    fn from(collector: &Collector) -> Self {
        Self {
            address: collector.address,
            port: collector.port,
            protocol: collector.protocol,
            source: collector.source,
            device: collector.device.clone(),
        }
    }
}

/// What there is now.
impl From<&Info> for Wanted {
    fn from(info: &Info) -> Self {
        let ifaces = info.ifaces.iter();
        Self {
            enabled: info.enabled,
            config: info.config.clone(),
            collectors: info.collectors.iter().map(Destination::from).collect(),
            ifaces: ifaces
                .map(|iface| (iface.ifname.clone(), iface.number))
                .collect(),
        }
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! Export protocols: what a collector is sent.

use crate::uapi::PROTOCOL;
use serde::{
    Serialize,
    Serializer, //
};

/// A protocol, by its number in the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol(u32);

impl Protocol {
    /// What a collector is sent unless something else is asked for: NetFlow version 5.
    pub const DEFAULT: Self = Self(0);

    /// The port of collectors of NetFlow, which the kernel takes unless one is given.
    pub const PORT_NETFLOW: u16 = 2055;

    /// The same of IPFIX.
    pub const PORT_IPFIX: u16 = 4739;

    /// That of a number, which may be of a kernel that has more of them.
    pub fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// That of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        let item = PROTOCOL.iter().find(|item| item.name == name)?;
        item.value.try_into().ok().map(Self)
    }

    /// Its number.
    pub fn number(self) -> u32 {
        self.0
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        let item = PROTOCOL.iter().find(|item| item.value == u64::from(self.0));
        item.map_or("unknown", |item| item.name)
    }

    /// Its number, if it has no name.
    pub fn unknown(self) -> Option<u32> {
        let is_known = PROTOCOL.iter().any(|item| item.value == u64::from(self.0));
        (!is_known).then_some(self.0)
    }

    /// The port at which its collectors listen, unless another one is given.
    pub fn port(self) -> u16 {
        match self.name() {
            "ipfix" => Self::PORT_IPFIX,
            _ => Self::PORT_NETFLOW,
        }
    }
}

impl Serialize for Protocol {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! Interfaces of the network namespace that the calling thread is in: their names and indices.

use crate::error::Error;
use nix::net::if_::if_nameindex;
use rustix::net::netdevice::{
    index_to_name,
    name_to_index, //
};
use std::{
    collections::HashMap,
    os::unix::net::UnixDatagram, //
};

/// What knows the interfaces: any socket does. Without one there are none.
#[derive(Debug)]
pub struct Interfaces(Option<UnixDatagram>);

impl Interfaces {
    /// Those of the network namespace that the calling thread is in.
    pub fn open() -> Self {
        Self(UnixDatagram::unbound().ok())
    }

    /// The name of an interface, if there is one of this index.
    pub fn name(&self, index: u32) -> Option<String> {
        index_to_name(self.0.as_ref()?, index).ok()
    }

    /// The index of an interface, by its name or an alternative one.
    pub fn index(&self, name: &str) -> Option<u32> {
        name_to_index(self.0.as_ref()?, name).ok()
    }

    /// The index of each interface by its name, read at once: to ask for one that is not there has
    /// the kernel look for a module of that name.
    pub fn indices() -> HashMap<String, u32> {
        let listed = if_nameindex().ok();
        let listed = listed.iter().flatten();
        listed
            .map(|interface| {
                let name = interface.name().to_string_lossy().into_owned();
                (name, interface.index())
            })
            .collect()
    }

    /// The name of an interface that is given by its name, an alternative one, its index, or as
    /// `ifINDEX`. What is none of these may be the name of an interface that is to come.
    pub fn resolve(&self, device: &str) -> Result<String, Error> {
        let known = self.index(device).and_then(|index| self.name(index));
        let digits = device.strip_prefix("if").unwrap_or(device);
        let is_index = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        match (known, is_index) {
            (Some(name), _) => Ok(name),
            (None, false) => Ok(device.to_owned()),
            (None, true) => {
                let index = digits.parse().ok();
                let name = index.and_then(|index| self.name(index));
                name.ok_or_else(|| Error::NoInterface(device.to_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_indices_are_found() {
        let interfaces = Interfaces::open();
        assert_eq!(interfaces.name(1).as_deref(), Some("lo"));
        assert_eq!(interfaces.name(4_000_000_000), None);
        assert_eq!(interfaces.index("lo"), Some(1));
        assert_eq!(interfaces.index("no-such-device"), None);
        let indices = Interfaces::indices();
        assert_eq!(indices.get("lo"), Some(&1));
        assert_eq!(indices.get("no-such-device"), None);
        for device in ["lo", "1", "if1"] {
            assert_eq!(interfaces.resolve(device).unwrap(), "lo");
        }
    }

    #[test]
    fn a_name_may_be_of_an_interface_that_is_to_come() {
        let interfaces = Interfaces::open();
        for name in [
            "ppp7",
            "if",
            "ifx",
            "-1",
            "",
            "n\u{f6}",
            "what no interface is called",
        ] {
            assert_eq!(interfaces.resolve(name).unwrap(), name);
        }
    }

    #[test]
    fn an_index_is_of_an_interface_that_is_there() {
        let interfaces = Interfaces::open();
        for device in ["0", "if0", "4000000000", "if4000000000", "4294967296"] {
            let error = interfaces.resolve(device).unwrap_err().to_string();
            assert!(error.starts_with("no interface \""), "{error}");
        }
    }
}

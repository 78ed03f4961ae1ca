// SPDX-License-Identifier: GPL-2.0-only

//! Interfaces of the network namespace that the calling thread is in: their names and indices.

use crate::error::Error;
use rustix::net::netdevice::{
    index_to_name,
    name_to_index, //
};
use std::os::unix::net::UnixDatagram;

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

    /// The index of an interface that is given by its name. What is no name may be an index, also
    /// of an interface that is gone, and also as `ifINDEX`, which is how such a one is shown.
    pub fn index(&self, device: &str) -> Result<u32, Error> {
        let known = self
            .0
            .as_ref()
            .and_then(|fd| name_to_index(fd, device).ok());
        let digits = device.strip_prefix("if").unwrap_or(device);
        let number = match digits.bytes().all(|byte| byte.is_ascii_digit()) {
            true => digits.parse().ok().filter(|&index| index != 0),
            false => None,
        };
        known
            .or(number)
            .ok_or_else(|| Error::NoInterface(device.to_owned()))
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
        assert_eq!(interfaces.index("lo").unwrap(), 1);
    }

    #[test]
    fn an_index_may_be_of_an_interface_that_is_gone() {
        let interfaces = Interfaces::open();
        assert_eq!(interfaces.index("4000000000").unwrap(), 4_000_000_000);
        assert_eq!(interfaces.index("if4000000000").unwrap(), 4_000_000_000);
    }

    #[test]
    fn what_is_neither_is_an_error() {
        let interfaces = Interfaces::open();
        for device in [
            "",
            "0",
            "if",
            "if0",
            "-1",
            "+1",
            "4294967296",
            "no-such-interface",
            "a name that is longer than those of interfaces",
            "n\u{f6}",
            "lo\0",
        ] {
            let error = interfaces.index(device).unwrap_err().to_string();
            assert!(error.starts_with("no interface \""), "{error}");
        }
    }
}

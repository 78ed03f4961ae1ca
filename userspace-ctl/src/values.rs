// SPDX-License-Identifier: GPL-2.0-only

//! Values that people know by names: the enumerations of the family.
//!
//! The names are those of the specification. A value without one, as a newer kernel may have it, is
//! shown as its number.

use crate::uapi::{
    expiry,
    icmp_ports,
    observe, //
};
use serde::{
    Serialize,
    Serializer, //
};
use std::fmt;

/// The items of an enumeration, of each its value, its name, and what it means.
pub type Items = &'static [(u32, &'static str, &'static str)];

fn name(items: Items, value: u32) -> String {
    let item = items.iter().find(|item| item.0 == value);
    item.map_or_else(|| value.to_string(), |item| item.1.to_owned())
}

/// What becomes of an inactive flow, one of [`expiry`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expiry(pub u32);

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&name(expiry::ITEMS, self.0))
    }
}

impl Serialize for Expiry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What the destination port of an ICMP flow holds, one of [`icmp_ports`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IcmpPorts(pub u32);

impl fmt::Display for IcmpPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&name(icmp_ports::ITEMS, self.0))
    }
}

impl Serialize for IcmpPorts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where packets are counted, any of [`observe`] together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observe(pub u32);

impl Observe {
    fn names(self) -> impl Iterator<Item = String> {
        let points = (0..u32::BITS).map(|bit| 1 << bit);
        points
            .filter(move |point| self.0 & point != 0)
            .map(|point| name(observe::ITEMS, point))
    }
}

/// The points with commas between them.
impl fmt::Display for Observe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("none"),
            _ => f.write_str(&self.names().collect::<Vec<_>>().join(",")),
        }
    }
}

/// An array of the points.
impl Serialize for Observe {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

/// A switch as people write it.
pub const fn on_off(on: bool) -> &'static str {
    match on {
        true => "on",
        false => "off",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_names_of_the_specification() {
        assert_eq!(Expiry(0).to_string(), "lazy");
        assert_eq!(Expiry(1).to_string(), "strict");
        assert_eq!(IcmpPorts(0).to_string(), "type-code");
        assert_eq!(IcmpPorts(1).to_string(), "zero");
        assert_eq!(Observe(1).to_string(), "prerouting");
        assert_eq!(
            Observe(31).to_string(),
            "prerouting,input,forward,output,postrouting"
        );
        assert_eq!(Observe(0).to_string(), "none");
    }

    #[test]
    fn every_item_is_explained() {
        for items in [expiry::ITEMS, icmp_ports::ITEMS, observe::ITEMS] {
            for (_, name, meaning) in items {
                assert!(meaning.ends_with('.') && !meaning.contains("  "), "{name}");
            }
        }
    }

    #[test]
    fn values_of_newer_kernels_are_numbers() {
        assert_eq!(Expiry(7).to_string(), "7");
        assert_eq!(Observe(0x8000_0004).to_string(), "forward,2147483648");
    }

    #[test]
    fn programs_get_the_names_too() {
        let json = |value| serde_json::to_string(&value).unwrap();
        assert_eq!(json(Observe(9)), "[\"prerouting\",\"output\"]");
        assert_eq!(json(Observe(0)), "[]");
        let named = (Expiry(1), IcmpPorts(0));
        assert_eq!(
            serde_json::to_string(&named).unwrap(),
            "[\"strict\",\"type-code\"]"
        );
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! The value of a setting: how it is shown, and how attributes hold it.

use super::{
    Item,
    Kind,
    Setting,
    Width, //
};
use crate::{
    error::Error,
    netlink::Attribute, //
};
use serde::{
    Serialize,
    Serializer, //
};
use std::fmt;

/// A setting and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// The setting.
    pub setting: &'static Setting,
    /// The value, at most what the setting's width can hold.
    pub raw: u64,
}

impl Value {
    pub(super) fn decode(
        setting: &'static Setting,
        attribute: &Attribute<'_>,
    ) -> Result<Self, Error> {
        let raw = match setting.width {
            Width::U8 => attribute.u8()?.into(),
            Width::U16 => attribute.u16()?.into(),
            Width::U32 => attribute.u32()?.into(),
            Width::U64 => attribute.u64()?,
            Width::Uint => attribute.uint()?,
        };
        Ok(Self { setting, raw })
    }

    /// The bytes of the attribute.
    pub fn bytes(&self) -> Vec<u8> {
        // What is cut off is zero.
        let u32 = (self.raw as u32).to_ne_bytes();
        match self.setting.width {
            Width::U8 => vec![self.raw as u8],
            Width::U16 => (self.raw as u16).to_ne_bytes().to_vec(),
            Width::U32 => u32.to_vec(),
            Width::Uint if self.raw <= u32::MAX.into() => u32.to_vec(),
            Width::U64 | Width::Uint => self.raw.to_ne_bytes().to_vec(),
        }
    }
}

/// The value as the command line takes it. One without a name, as a newer kernel may have it, is a
/// number.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.setting.kind {
            Kind::Number(_) => write!(f, "{}", self.raw),
            Kind::Switch => f.write_str(on_off(self.raw != 0)),
            Kind::Enum(items) => f.write_str(&name(items, self.raw)),
            Kind::Flags(_) if self.raw == 0 => f.write_str("none"),
            Kind::Flags(items) => f.write_str(&names(items, self.raw).join(",")),
        }
    }
}

/// A number, a boolean, a name, or an array of names.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.setting.kind {
            Kind::Number(_) => serializer.serialize_u64(self.raw),
            Kind::Switch => serializer.serialize_bool(self.raw != 0),
            Kind::Enum(items) => serializer.serialize_str(&name(items, self.raw)),
            Kind::Flags(items) => serializer.collect_seq(names(items, self.raw)),
        }
    }
}

/// A switch as people write it.
pub const fn on_off(on: bool) -> &'static str {
    match on {
        true => "on",
        false => "off",
    }
}

fn name(items: &[Item], value: u64) -> String {
    let item = items.iter().find(|item| item.value == value);
    item.map_or_else(|| value.to_string(), |item| item.name.to_owned())
}

fn names(items: &[Item], flags: u64) -> Vec<String> {
    let bits = (0..u64::BITS).map(|bit| 1 << bit);
    bits.filter(|bit| flags & bit != 0)
        .map(|bit| name(items, bit))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uapi::SETTINGS;

    fn value(name: &str, raw: u64) -> Value {
        let setting = SETTINGS.iter().find(|setting| setting.name == name);
        Value {
            setting: setting.unwrap(),
            raw,
        }
    }

    #[test]
    fn values_have_the_names_of_the_specification() {
        for (name, raw, expected) in [
            ("expiry", 0, "lazy"),
            ("expiry", 1, "strict"),
            ("icmp-ports", 0, "type-code"),
            ("icmp-ports", 1, "zero"),
            ("observe", 1, "prerouting"),
            ("observe", 31, "prerouting,input,forward,output,postrouting"),
            ("observe", 0, "none"),
            ("count-own", 0, "off"),
            ("count-own", 1, "on"),
            ("engine-id", 255, "255"),
        ] {
            assert_eq!(value(name, raw).to_string(), expected, "{name}");
        }
    }

    #[test]
    fn values_of_newer_kernels_are_numbers() {
        assert_eq!(value("expiry", 7).to_string(), "7");
        assert_eq!(
            value("observe", 0x8000_0004).to_string(),
            "forward,2147483648"
        );
    }

    #[test]
    fn programs_get_the_names_too() {
        for (name, raw, expected) in [
            ("observe", 9, "[\"prerouting\",\"output\"]"),
            ("observe", 0, "[]"),
            ("expiry", 1, "\"strict\""),
            ("icmp-ports", 0, "\"type-code\""),
            ("count-own", 1, "true"),
            ("max-flows", 65536, "65536"),
        ] {
            let json = serde_json::to_string(&value(name, raw)).unwrap();
            assert_eq!(json, expected, "{name}");
        }
    }

    #[test]
    fn attributes_have_the_size_of_their_type() {
        static WIDTHS: [(Width, &[u8]); 5] = [
            (Width::U8, &[7]),
            (Width::U16, &7u16.to_ne_bytes()),
            (Width::U32, &7u32.to_ne_bytes()),
            (Width::U64, &7u64.to_ne_bytes()),
            (Width::Uint, &7u32.to_ne_bytes()),
        ];
        for (width, bytes) in WIDTHS {
            let setting = &*Box::leak(Box::new(Setting {
                width,
                ..*value("engine-id", 7).setting
            }));
            let value = Value { setting, raw: 7 };
            assert_eq!(value.bytes(), bytes, "{width:?}");
            let attribute = Attribute {
                kind: 1,
                value: bytes,
            };
            assert_eq!(Value::decode(setting, &attribute).unwrap(), value);
            let greatest = Value {
                setting,
                raw: width.max(),
            };
            assert!(greatest.bytes().iter().all(|&byte| byte == 0xff));
        }
    }
}

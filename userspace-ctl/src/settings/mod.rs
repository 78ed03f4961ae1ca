// SPDX-License-Identifier: GPL-2.0-only

//! Settings of the exporter.
//!
//! The table of them, [`SETTINGS`](crate::uapi::SETTINGS), is made from the specification. Options,
//! requests, replies and output are made from the table: a setting that the specification has in
//! addition is in all of them.

mod setting;
mod value;

pub use setting::{
    Item,
    Kind,
    Setting,
    Width, //
};
pub use value::{
    on_off,
    Value, //
};

use crate::{
    error::Error,
    netlink::attributes, //
};
use serde::{
    Serialize,
    Serializer, //
};

/// Some settings with their values, at most one of each, in the order of the specification.
///
/// In a request these are the settings to change, in a reply all that the kernel has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config(Vec<Value>);

impl Config {
    /// Reads the attributes of a set `config`. Those that the table lacks are skipped, since a
    /// newer kernel may have them.
    pub fn decode(table: &'static [Setting], nest: &[u8]) -> Result<Self, Error> {
        let mut config = Self::default();
        for attribute in attributes(nest) {
            let attribute = attribute?;
            if let Some(setting) = table.iter().find(|s| s.number == attribute.kind) {
                config.insert(Value::decode(setting, &attribute)?);
            }
        }
        Ok(config)
    }

    /// Adds a value, or replaces the one of the same setting.
    pub fn insert(&mut self, value: Value) {
        let number = |value: &Value| value.setting.number;
        match self.0.binary_search_by_key(&number(&value), number) {
            Ok(at) => self.0[at] = value,
            Err(at) => self.0.insert(at, value),
        }
    }

    /// The value of the setting with this number.
    pub fn get(&self, number: u16) -> Option<u64> {
        let value = self.0.iter().find(|value| value.setting.number == number);
        value.map(|value| value.raw)
    }

    /// The values.
    pub fn iter(&self) -> impl Iterator<Item = &Value> {
        self.0.iter()
    }
}

impl FromIterator<Value> for Config {
    fn from_iter<T: IntoIterator<Item = Value>>(values: T) -> Self {
        let mut config = Self::default();
        values.into_iter().for_each(|value| config.insert(value));
        config
    }
}

/// An object.
impl Serialize for Config {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|value| (value.setting.field(), value)))
    }
}

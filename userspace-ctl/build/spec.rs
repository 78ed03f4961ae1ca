// SPDX-License-Identifier: GPL-2.0-only

//! Reads a specification of YNL, as far as the tool needs it.
//!
//! Its language is that of Documentation/netlink/genetlink.yaml in the kernel's source, and numbers
//! are counted as tools/net/ynl counts them.

use super::setting::{
    Item,
    Kind,
    Setting,
    Width, //
};
use serde::Deserialize;
use std::{
    error::Error,
    iter, //
};

/// The set whose attributes are settings.
const SETTINGS: &str = "config";

/// A family.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Spec {
    /// Its name.
    pub name: String,
    /// Its version.
    #[serde(default = "one")]
    pub version: u8,
    /// Constants and enumerations.
    #[serde(default)]
    pub definitions: Vec<Definition>,
    /// Sets of attributes.
    pub attribute_sets: Vec<Set>,
    operations: Operations,
}

/// A constant or an enumeration.
#[derive(Debug, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
pub enum Definition {
    /// `const`
    Const {
        /// Its name.
        name: String,
        /// Its value.
        value: u64,
    },
    /// `enum`
    Enum {
        /// Its name.
        name: String,
        /// The number of the first entry.
        #[serde(default)]
        value_start: u64,
        /// Its entries.
        entries: Vec<Entry>,
    },
    /// `flags`
    Flags {
        /// Its name.
        name: String,
        /// The number of the first entry's bit.
        #[serde(default)]
        value_start: u64,
        /// Its entries.
        entries: Vec<Entry>,
    },
}

/// An entry of an enumeration.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Entry {
    /// Its name alone.
    Name(String),
    /// Its name and more.
    Full {
        /// Its name.
        name: String,
        /// Its number, if it is not that of the entry before and one more.
        value: Option<u64>,
        /// What it means.
        #[serde(default)]
        doc: String,
    },
}

/// A set of attributes.
#[derive(Debug, Deserialize)]
pub struct Set {
    /// Its name.
    pub name: String,
    attributes: Vec<Attribute>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Attribute {
    name: String,
    value: Option<u64>,
    r#type: String,
    #[serde(default)]
    doc: String,
    r#enum: Option<String>,
    #[serde(default)]
    enum_as_flags: bool,
    #[serde(default)]
    multi_attr: bool,
    byte_order: Option<String>,
    #[serde(default)]
    checks: Checks,
}

#[derive(Debug, Default, Deserialize)]
struct Checks {
    min: Option<Limit>,
    max: Option<Limit>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Limit {
    Number(u64),
    Constant(String),
}

#[derive(Debug, Deserialize)]
struct Operations {
    list: Vec<Operation>,
}

#[derive(Debug, Deserialize)]
struct Operation {
    name: String,
    value: Option<u64>,
}

fn one() -> u8 {
    1
}

/// Gives each its number: the one that it states, else that of the one before and one more.
fn count<'a>(
    start: u64,
    named: impl Iterator<Item = (&'a str, Option<u64>)>,
) -> Vec<(u64, &'a str)> {
    let mut next = start;
    let numbered = named.map(|(name, stated)| {
        let number = stated.unwrap_or(next);
        next = number + 1;
        (number, name)
    });
    numbered.collect()
}

/// Text on one line.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The name of an enumeration, and its items.
pub type Enumeration<'a> = (&'a str, &'static [Item]);

impl Spec {
    /// Reads a specification.
    pub fn parse(text: &str) -> Result<Self, Box<dyn Error>> {
        Ok(serde_norway::from_str(text)?)
    }

    /// The operations, each with its number.
    pub fn operations(&self) -> Vec<(u64, &str)> {
        let list = self.operations.list.iter();
        count(1, list.map(|operation| (&*operation.name, operation.value)))
    }

    /// The enumerations that are not those of settings.
    pub fn enumerations(&self) -> Result<Vec<Enumeration<'_>>, Box<dyn Error>> {
        let settings = self.attribute_sets.iter().find(|set| set.name == SETTINGS);
        let of_settings = |of: &str| {
            let mut attributes = settings.iter().flat_map(|set| &set.attributes);
            attributes.any(|attribute| attribute.r#enum.as_deref() == Some(of))
        };
        let names = self.definitions.iter().filter_map(|known| match known {
            Definition::Enum { name, .. } if !of_settings(name) => Some(&**name),
            _ => None,
        });
        names
            .map(|name| match self.enumeration(name, false)? {
                Kind::Enum(items) => Ok((name, items)),
                _ => Err("not an enumeration".into()),
            })
            .collect()
    }

    /// The settings.
    pub fn settings(&self) -> Result<Vec<Setting>, Box<dyn Error>> {
        let set = self.attribute_sets.iter().find(|set| set.name == SETTINGS);
        let set = set.ok_or("no set of settings")?;
        let numbers = set.attributes().into_iter().map(|(number, _)| number);
        let settings = numbers.zip(&set.attributes).map(|(number, attribute)| {
            self.setting(number, attribute)
                .map_err(|error| format!("setting {}: {error}", attribute.name).into())
        });
        settings.collect()
    }

    fn setting(&self, number: u64, attribute: &Attribute) -> Result<Setting, Box<dyn Error>> {
        let doc = line(&attribute.doc);
        if !doc.ends_with('.') {
            return Err("its doc must be sentences: it is what the help says".into());
        }
        if attribute.multi_attr || attribute.byte_order.is_some() {
            return Err("multi-attr and byte-order are not supported".into());
        }
        let width = match &*attribute.r#type {
            "u8" => Width::U8,
            "u16" => Width::U16,
            "u32" => Width::U32,
            "u64" => Width::U64,
            "uint" => Width::Uint,
            other => return Err(format!("type {other} is not supported").into()),
        };
        Ok(Setting {
            number: number.try_into()?,
            name: attribute.name.clone().leak(),
            doc: doc.leak(),
            width,
            kind: self.kind(attribute, width)?,
        })
    }

    fn kind(&self, attribute: &Attribute, width: Width) -> Result<Kind, Box<dyn Error>> {
        if let Some(of) = &attribute.r#enum {
            return self.enumeration(of, attribute.enum_as_flags);
        }
        let limit = |limit: &Option<Limit>| limit.as_ref().map(|limit| self.limit(limit));
        let min = limit(&attribute.checks.min).transpose()?;
        let max = limit(&attribute.checks.max).transpose()?;
        Ok(match (width, min, max) {
            (Width::U8, None | Some(0), Some(1)) => Kind::Switch,
            (_, None, None) => Kind::Number(None),
            _ => Kind::Number(Some((min.unwrap_or(0), max.unwrap_or(width.max())))),
        })
    }

    fn limit(&self, limit: &Limit) -> Result<u64, Box<dyn Error>> {
        let constant = match limit {
            Limit::Number(number) => return Ok(*number),
            Limit::Constant(constant) => constant,
        };
        let mut values = self.definitions.iter().filter_map(|known| match known {
            Definition::Const { name, value } if name == constant => Some(*value),
            _ => None,
        });
        values
            .next()
            .ok_or_else(|| format!("no constant {constant}").into())
    }

    fn enumeration(&self, of: &str, as_flags: bool) -> Result<Kind, Box<dyn Error>> {
        let (start, entries, bits) = self
            .definitions
            .iter()
            .find_map(|known| match known {
                Definition::Enum {
                    name,
                    value_start,
                    entries,
                } if name == of => Some((*value_start, entries, as_flags)),
                Definition::Flags {
                    name,
                    value_start,
                    entries,
                } if name == of => Some((*value_start, entries, true)),
                _ => None,
            })
            .ok_or_else(|| format!("no enumeration {of}"))?;
        let numbers = count(start, entries.iter().map(Entry::named));
        let docs = entries.iter().map(Entry::doc);
        let items = iter::zip(numbers, docs).map(|((number, name), doc)| {
            Ok(Item {
                value: match bits {
                    true => u32::try_from(number)
                        .ok()
                        .and_then(|bit| 1u64.checked_shl(bit))
                        .ok_or("a flag beyond 64 bits")?,
                    false => number,
                },
                name: name.to_owned().leak(),
                doc: doc.leak(),
            })
        });
        let items = items.collect::<Result<Vec<_>, Box<dyn Error>>>()?.leak();
        Ok(match bits {
            true => Kind::Flags(items),
            false => Kind::Enum(items),
        })
    }
}

impl Set {
    /// The attributes, each with its number.
    pub fn attributes(&self) -> Vec<(u64, &str)> {
        let attributes = self.attributes.iter();
        count(
            1,
            attributes.map(|attribute| (&*attribute.name, attribute.value)),
        )
    }
}

impl Entry {
    fn named(&self) -> (&str, Option<u64>) {
        match self {
            Self::Name(name) => (name, None),
            Self::Full { name, value, .. } => (name, *value),
        }
    }

    fn doc(&self) -> String {
        match self {
            Self::Name(_) => String::new(),
            Self::Full { doc, .. } => line(doc),
        }
    }
}

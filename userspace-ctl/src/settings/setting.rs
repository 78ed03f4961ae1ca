// SPDX-License-Identifier: GPL-2.0-only

//! What the specification says about a setting.
//!
//! build.rs compiles this file too, to make the table from the specification: it must not import
//! anything of the crate.

/// A setting of the exporter, which is an attribute of the set `config`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Number of the attribute.
    pub number: u16,
    /// Its name, as people type it.
    pub name: &'static str,
    /// What it means: sentences on one line.
    pub doc: &'static str,
    /// How the attribute holds it.
    pub width: Width,
    /// Which values it has.
    pub kind: Kind,
}

/// Types of attributes that hold an unsigned integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// `u8`
    U8,
    /// `u16`
    U16,
    /// `u32`
    U32,
    /// `u64`
    U64,
    /// `uint`: 4 bytes if they are enough, else 8.
    Uint,
}

/// Which values a setting has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number, with the least and the greatest that the kernel takes if it checks them.
    Number(Option<(u64, u64)>),
    /// On (1) or off (0).
    Switch,
    /// One of these.
    Enum(&'static [Item]),
    /// Any of these together, each of which has a bit.
    Flags(&'static [Item]),
}

/// A value that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// The value, of flags their bit.
    pub value: u64,
    /// Its name.
    pub name: &'static str,
    /// What it means: sentences on one line, or nothing.
    pub doc: &'static str,
}

impl Width {
    /// The greatest number that it holds.
    pub const fn max(self) -> u64 {
        match self {
            Self::U8 => u8::MAX as u64,
            Self::U16 => u16::MAX as u64,
            Self::U32 => u32::MAX as u64,
            Self::U64 | Self::Uint => u64::MAX,
        }
    }
}

impl Setting {
    /// The name for JSON and metrics, in which `-` is not usual.
    pub fn field(&self) -> String {
        self.name.replace('-', "_")
    }

    /// Whether it is a time in seconds. A specification has no key for units: the first word of
    /// `doc` says it.
    pub fn in_seconds(&self) -> bool {
        self.doc.starts_with("Seconds ")
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! Writes what a specification says as Rust: the numbers as constants, the settings as a table.

use super::{
    setting::{
        Kind,
        Setting, //
    },
    spec::{
        Definition,
        Spec, //
    }, //
};
use std::{
    error::Error,
    fmt::{
        self,
        Write, //
    }, //
};

/// The operations are in the module `cmd`, the attributes of each set in one of its name:
/// `max-flows` of `config` is `config::MAX_FLOWS`.
pub fn write(spec: &Spec) -> Result<String, Box<dyn Error>> {
    let mut out = String::new();
    writeln!(out, "/// Name of the family.")?;
    writeln!(out, "pub const FAMILY_NAME: &str = {:?};", spec.name)?;
    writeln!(out, "/// Version of the family.")?;
    writeln!(out, "pub const FAMILY_VERSION: u8 = {};", spec.version)?;
    for definition in &spec.definitions {
        if let Definition::Const { name, value } = definition {
            constant(&mut out, name, "u64", *value)?;
        }
    }

    for (name, items) in spec.enumerations()? {
        let constant = name.to_uppercase().replace('-', "_");
        writeln!(out, "/// `{name}`")?;
        writeln!(out, "pub const {constant}: &[Item] = &{items:?};")?;
    }

    writeln!(out, "/// The operations.\npub mod cmd {{")?;
    for (number, name) in spec.operations() {
        constant(&mut out, name, "u8", number)?;
    }
    writeln!(out, "}}")?;
    for set in &spec.attribute_sets {
        let attributes = set.attributes();
        writeln!(out, "/// The attributes of `{}`.", set.name)?;
        writeln!(out, "pub mod {} {{", set.name.replace('-', "_"))?;
        for &(number, name) in &attributes {
            constant(&mut out, name, "u16", number)?;
        }
        writeln!(out, "/// Each number and its name.")?;
        writeln!(
            out,
            "pub const NAMES: &[(u16, &str)] = &{attributes:?};\n}}"
        )?;
    }

    writeln!(out, "/// The settings, by their numbers.")?;
    writeln!(out, "pub static SETTINGS: &[Setting] = &[")?;
    for setting in &spec.settings()? {
        write_setting(&mut out, setting)?;
    }
    writeln!(out, "];")?;
    Ok(out)
}

fn constant(out: &mut String, name: &str, of: &str, value: u64) -> fmt::Result {
    let constant = name.to_uppercase().replace('-', "_");
    writeln!(out, "/// `{name}`")?;
    writeln!(out, "pub const {constant}: {of} = {value};")
}

/// As `Debug` has it, except that it leaves out the `&` of slices and the paths of variants.
fn write_setting(out: &mut String, setting: &Setting) -> fmt::Result {
    let Setting {
        number,
        name,
        doc,
        width,
        kind,
    } = setting;
    let kind = match kind {
        Kind::Number(_) | Kind::Switch => format!("{kind:?}"),
        Kind::Enum(items) => format!("Enum(&{items:?})"),
        Kind::Flags(items) => format!("Flags(&{items:?})"),
    };
    writeln!(
        out,
        "Setting {{ number: {number}, name: {name:?}, doc: {doc:?}, \
         width: Width::{width:?}, kind: Kind::{kind} }},"
    )
}

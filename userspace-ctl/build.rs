// SPDX-License-Identifier: GPL-2.0-only

//! Turns the C header of the netlink interface, which is itself made from
//! Documentation/netlink/specs/netflow.yaml, into constants for Rust.
//!
//! Each list of the header becomes a module: `NETFLOW_A_INFO_MAX_FLOWS` is `info::MAX_FLOWS`,
//! `NETFLOW_CMD_ENABLE` is `cmd::ENABLE`, `NETFLOW_EXPIRY_LAZY` is `expiry::LAZY`. What is merely
//! defined keeps its name without `NETFLOW_`.

use std::{
    collections::HashMap,
    env,
    error::Error,
    fmt::Write,
    fs,
    path::Path, //
};

const HEADER: &str = "../rust/bindings/uapi/linux/netflow.h";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={HEADER}");
    let header = fs::read_to_string(HEADER).map_err(|error| format!("{HEADER}: {error}"))?;
    let constants = translate(&header)?;
    let out = env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?;
    fs::write(Path::new(&out).join("netflow.rs"), constants)?;
    Ok(())
}

fn translate(header: &str) -> Result<String, Box<dyn Error>> {
    let mut out = String::new();
    let mut lines = header.lines().map(str::trim);
    let mut comment = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(definition) = line.strip_prefix("#define NETFLOW_") {
            define(&mut out, definition)?;
        } else if line == "/**" {
            comment = lines.by_ref().take_while(|&line| line != "*/").collect();
        } else if let Some(name) = line.strip_prefix("enum ") {
            let items: Vec<_> = lines.by_ref().take_while(|&line| line != "};").collect();
            match name.trim_end_matches([' ', '{']).strip_prefix("netflow_") {
                Some(name) => enumeration(&mut out, name, &items, &meanings(&comment))?,
                None => list(&mut out, &items)?,
            }
        }
    }
    Ok(out)
}

/// The name without its prefix, blanks, the value.
fn define(out: &mut String, definition: &str) -> Result<(), Box<dyn Error>> {
    let (name, value) = definition
        .split_once(char::is_whitespace)
        .ok_or("a definition without a value")?;
    let value = value.trim();
    let of = match value.starts_with('"') {
        true => "&str",
        false => "u32",
    };
    writeln!(out, "/// `NETFLOW_{name}`.")?;
    writeln!(out, "pub const {name}: {of} = {value};")?;
    Ok(())
}

/// Items that count from 1, then `__PREFIX_MAX` to tell what is common to their names.
fn list(out: &mut String, items: &[&str]) -> Result<(), Box<dyn Error>> {
    let prefix = items
        .iter()
        .find_map(|item| item.strip_prefix("__")?.strip_suffix("_MAX,"))
        .ok_or("a list without its end")?;
    let module = prefix
        .strip_prefix("NETFLOW_A_")
        .or(prefix.strip_prefix("NETFLOW_"))
        .ok_or("a list that is not of netflow")?
        .to_lowercase();
    let of = match module.as_str() {
        "cmd" => "u8",
        _ => "u16",
    };

    let mut names = Vec::new();
    writeln!(out, "/// `{prefix}_*`.\npub mod {module} {{")?;
    for item in items.iter().take_while(|item| item.starts_with(prefix)) {
        let (item, start) = match item.trim_end_matches(',').split_once(" = ") {
            Some((item, start)) => (item, Some(start)),
            None => (item.trim_end_matches(','), None),
        };
        // Counting alone would be wrong if the header left a number out.
        if start != names.is_empty().then_some("1") {
            return Err(format!("{item} does not count from 1").into());
        }
        let name = item[prefix.len()..].trim_start_matches('_');
        names.push(name.to_lowercase().replace('_', "-"));
        writeln!(out, "    /// `{item}`.")?;
        writeln!(out, "    pub const {name}: {of} = {};", names.len())?;
    }
    writeln!(
        out,
        "    /// The names in the specification, beginning with that of 1."
    )?;
    writeln!(out, "    pub const NAMES: &[&str] = &{names:?};\n}}")?;
    Ok(())
}

/// What a comment of kernel-doc says about each item: `@ITEM: text`, which goes on until the next.
fn meanings(comment: &[&str]) -> HashMap<String, String> {
    let text = comment
        .iter()
        .map(|line| line.trim_start_matches('*').trim());
    let text = text.collect::<Vec<_>>().join(" ");
    let items = text.split('@').filter_map(|item| item.split_once(": "));
    items
        .map(|(item, meaning)| (item.to_owned(), meaning.trim().to_owned()))
        .collect()
}

/// Items with values of their own, or else that of the one before and one more, from 0.
fn enumeration(
    out: &mut String,
    name: &str,
    items: &[&str],
    meanings: &HashMap<String, String>,
) -> Result<(), Box<dyn Error>> {
    let prefix = format!("NETFLOW_{}_", name.to_uppercase());
    let mut table = Vec::new();
    let mut next = 0;
    writeln!(out, "/// `enum netflow_{name}`.\npub mod {name} {{")?;
    for item in items {
        let (item, value) = match item.trim_end_matches(',').split_once(" = ") {
            Some((item, value)) => (item, value.parse()?),
            None => (item.trim_end_matches(','), next),
        };
        next = value + 1;
        let short = item
            .strip_prefix(&prefix)
            .ok_or_else(|| format!("{item} is not named after its enumeration"))?;
        let meaning = meanings.get(item).map_or("", String::as_str);
        table.push((value, short.to_lowercase().replace('_', "-"), meaning));
        writeln!(out, "    /// `{item}`.")?;
        writeln!(out, "    pub const {short}: u32 = {value};")?;
    }
    writeln!(
        out,
        "    /// Of each its value, its name in the specification, and what it means."
    )?;
    writeln!(
        out,
        "    pub const ITEMS: &[(u32, &str, &str)] = &{table:?};\n}}"
    )?;
    Ok(())
}

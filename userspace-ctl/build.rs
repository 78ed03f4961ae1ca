// SPDX-License-Identifier: GPL-2.0-only

//! Turns the specification of the netlink interface into Rust: the numbers of the family, and the
//! table of settings.

#[path = "build/rust.rs"]
mod rust;
#[path = "src/settings/setting.rs"]
#[allow(dead_code)] // The program uses the rest.
mod setting;
#[path = "build/spec.rs"]
mod spec;

use std::{
    env,
    error::Error,
    fs,
    path::Path, //
};

const SPEC: &str = "../Documentation/netlink/specs/netflow.yaml";

fn main() -> Result<(), Box<dyn Error>> {
    for input in ["build.rs", "build", "src/settings/setting.rs", SPEC] {
        println!("cargo::rerun-if-changed={input}");
    }
    let text = fs::read_to_string(SPEC).map_err(|error| format!("{SPEC}: {error}"))?;
    let spec = spec::Spec::parse(&text).map_err(|error| format!("{SPEC}: {error}"))?;
    let source = rust::write(&spec).map_err(|error| format!("{SPEC}: {error}"))?;
    let out = env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?;
    Ok(fs::write(Path::new(&out).join("uapi.rs"), source)?)
}

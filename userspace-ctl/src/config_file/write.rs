// SPDX-License-Identifier: GPL-2.0-only

//! Writing a file that wants what there is.

use super::{
    Destination,
    Wanted, //
};
use crate::{
    error::Error,
    settings::Config, //
};
use serde::{
    Serialize,
    Serializer, //
};
use std::{
    collections::BTreeMap,
    fs::{
        self,
        File, //
    },
    io::{
        self,
        Write, //
    },
    path::Path, //
};

const HEADER: &str = "# Written by `netflowctl save`, for `netflowctl apply`.\n\n";

/// The tables of the file, in their order.
#[derive(Serialize)]
struct Document<'a> {
    enabled: bool,
    #[serde(serialize_with = "by_name")]
    settings: &'a Config,
    collectors: &'a [Destination],
    interfaces: &'a BTreeMap<String, u32>,
}

fn by_name<S: Serializer>(config: &&Config, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(config.iter().map(|value| (value.setting.name, value)))
}

/// The text of a file.
pub fn write(wanted: &Wanted) -> Result<String, Error> {
    // Where the name has a byte that is not UTF-8, or a control character, we have another one.
    let mut names = wanted.ifaces.keys().map(String::as_str).chain(
        wanted
            .collectors
            .iter()
            .filter_map(|collector| collector.device.as_deref()),
    );
    if let Some(name) = names.find(|name| name.contains([char::REPLACEMENT_CHARACTER, ' '])) {
        return Err(Error::Unwritable(format!(
            "the name of interface \"{name}\" is not UTF-8"
        )));
    }
    if let Some(number) = wanted
        .collectors
        .iter()
        .find_map(|to| to.protocol.unknown())
    {
        return Err(Error::Unwritable(format!(
            "protocol {number} of a collector is not known"
        )));
    }
    let document = Document {
        enabled: wanted.enabled,
        settings: &wanted.config,
        collectors: &wanted.collectors,
        interfaces: &wanted.ifaces,
    };
    let text = toml::to_string(&document).map_err(|e| Error::Unwritable(e.to_string()))?;
    Ok(HEADER.to_owned() + &text)
}

/// Writes a text to a file. One that is there is replaced at once or, if that fails, stays.
pub fn save(path: &Path, text: &str) -> io::Result<()> {
    let path = &match fs::metadata(path) {
        // It may be a symbolic link.
        Ok(metadata) if metadata.is_file() => path.canonicalize()?,
        // A pipe, a terminal.
        Ok(_) => return fs::write(path, text),
        Err(_) => path.to_owned(),
    };
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = Path::new(&name);
    let written = File::create(new).and_then(|mut file| {
        if let Ok(metadata) = fs::metadata(path) {
            file.set_permissions(metadata.permissions())?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(new, path)
    });
    if written.is_err() {
        // The error of the writing is the one to tell.
        let _ = fs::remove_file(new);
    }
    written
}

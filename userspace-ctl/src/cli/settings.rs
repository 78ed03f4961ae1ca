// SPDX-License-Identifier: GPL-2.0-only

//! Settings as options, which have their names.

use crate::{
    settings::{
        on_off,
        Config,
        Item,
        Kind,
        Setting,
        Value, //
    },
    uapi::SETTINGS, //
};
use clap::{
    builder::{
        PossibleValue,
        PossibleValuesParser,
        TypedValueParser,
        ValueParser, //
    },
    Arg,
    ArgMatches,
    Args,
    Command,
    Error,
    FromArgMatches, //
};
use std::ffi::OsStr;

/// Arguments of `enable`.
#[derive(Clone, Debug)]
pub struct Enable {
    /// The settings that are given.
    pub config: Config,
}

impl Args for Enable {
    fn augment_args(command: Command) -> Command {
        command.args(options(SETTINGS))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Enable {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let config = given(SETTINGS, matches);
        Ok(Self { config })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// An option for each setting.
pub fn options(table: &'static [Setting]) -> impl Iterator<Item = Arg> {
    table.iter().map(|setting| {
        Arg::new(setting.name)
            .long(setting.name)
            .value_name(value_name(setting))
            .help(help(setting))
            .value_parser(parser(setting))
    })
}

/// The settings that [`options`] have set.
pub fn given(table: &'static [Setting], matches: &ArgMatches) -> Config {
    let value = |setting: &'static Setting| {
        let raw = matches.get_one(setting.name);
        raw.map(|&raw| Value { setting, raw })
    };
    table.iter().filter_map(value).collect()
}

fn value_name(setting: &Setting) -> &'static str {
    match setting.kind {
        Kind::Number(_) if setting.in_seconds() => "SECONDS",
        Kind::Number(_) => "N",
        Kind::Switch => "on|off",
        Kind::Enum(_) => "MODE",
        Kind::Flags(_) => "NAME[,NAME]...",
    }
}

/// The sentences of the specification as help has them, without the full stop, and the limits.
fn help(setting: &Setting) -> String {
    let doc = setting.doc.trim_end_matches('.');
    match setting.kind {
        Kind::Number(limits) => {
            let (min, max) = limits.unwrap_or((0, setting.width.max()));
            format!("{doc} ({min} to {max})")
        }
        _ => doc.to_owned(),
    }
}

/// Reads a value. Limits are left to the kernel, which knows those that it has.
fn parser(setting: &'static Setting) -> ValueParser {
    match setting.kind {
        Kind::Number(_) => clap::value_parser!(u64)
            .range(0..=setting.width.max())
            .into(),
        Kind::Switch => ValueParser::new(Name(SWITCH)),
        Kind::Enum(items) => ValueParser::new(Name(items)),
        Kind::Flags(items) => ValueParser::new(Names(Name(items))),
    }
}

/// The values of a switch.
const SWITCH: &[Item] = &[switch(true), switch(false)];

const fn switch(on: bool) -> Item {
    Item {
        value: on as u64,
        name: on_off(on),
        doc: "",
    }
}

/// Reads the name of one item.
#[derive(Clone)]
struct Name(&'static [Item]);

impl Name {
    fn values(&self) -> impl Iterator<Item = PossibleValue> {
        self.0.iter().map(|item| {
            let value = PossibleValue::new(item.name);
            match item.doc {
                "" => value,
                doc => value.help(doc),
            }
        })
    }
}

impl TypedValueParser for Name {
    type Value = u64;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<u64, Error> {
        let given = PossibleValuesParser::new(self.values()).parse_ref(command, arg, value)?;
        let item = self.0.iter().find(|item| item.name == given);
        // The parser lets no other name through.
        Ok(item.map_or(0, |item| item.value))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.values()))
    }
}

/// Reads several names that have commas between them, and adds up their bits.
#[derive(Clone)]
struct Names(Name);

impl TypedValueParser for Names {
    type Value = u64;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<u64, Error> {
        let mut bits = 0;
        for name in value.to_string_lossy().split(',') {
            bits |= self.0.parse_ref(command, arg, name.as_ref())?;
        }
        Ok(bits)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        self.0.possible_values()
    }
}

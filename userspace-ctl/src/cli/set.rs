// SPDX-License-Identifier: GPL-2.0-only

//! Settings by their names, as the command `set` takes them.
//!
//! They are the options of `enable` in another notation: `expiry strict` is read as
//! `--expiry=strict`, so that there is one list of names, values and limits.

use super::complaint::sentence;
use crate::{
    settings::Settings,
    uapi::info, //
};
use clap::{
    builder::{
        NonEmptyStringValueParser,
        PossibleValue,
        TypedValueParser, //
    },
    Arg,
    ArgAction,
    ArgMatches,
    Args,
    Command,
    Error,
    FromArgMatches, //
};
use std::ffi::OsStr;

/// Name of the one argument in the parser.
const ID: &str = "settings";

/// Arguments of `set`.
#[derive(Clone, Copy, Debug)]
pub struct Set {
    /// The settings that are given.
    pub settings: Settings,
}

impl Args for Set {
    fn augment_args(command: Command) -> Command {
        command.arg(
            Arg::new(ID)
                .value_name("NAME VALUE")
                .help("What is set, and to what; NAME=VALUE does as well")
                .num_args(1..)
                .action(ArgAction::Append)
                .required(true)
                .value_parser(Word),
        )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Set {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let words = matches.get_many::<String>(ID).unwrap_or_default();
        Ok(Self {
            settings: settings(words.map(String::as_str))?,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Reads names and values in turn, or both in one word.
fn settings<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<Settings, Error> {
    let mut options = Vec::new();
    while let Some(word) = words.next() {
        let value = match word.contains('=') {
            true => None,
            false => words.next(),
        };
        options.push(match value {
            Some(value) => format!("--{word}={value}"),
            None => format!("--{word}"),
        });
    }
    let matches = options_of_settings().try_get_matches_from(options);
    matches
        .and_then(|matches| Settings::from_arg_matches(&matches))
        .map_err(|error| Error::raw(error.kind(), sentence(&error).replace("'--", "'")))
}

fn options_of_settings() -> Command {
    let command = Command::new("set")
        .no_binary_name(true)
        .disable_help_flag(true);
    Settings::augment_args(command)
}

/// A name or a value: any text. The names are what shells complete, and what the help lists.
#[derive(Clone)]
struct Word;

impl TypedValueParser for Word {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<String, Error> {
        NonEmptyStringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let names = options_of_settings()
            .get_arguments()
            .filter_map(explained)
            .collect::<Vec<_>>();
        Some(Box::new(names.into_iter()))
    }
}

/// The name of a setting and what it means.
fn explained(option: &Arg) -> Option<PossibleValue> {
    // The attributes of the family have the same names, which outlive the option.
    let name = info::NAMES
        .iter()
        .find(|&&name| option.get_long() == Some(name))?;
    let values: Vec<_> = option
        .get_possible_values()
        .iter()
        .map(|value| value.get_name().to_owned())
        .collect();
    let mut help = option.get_help()?.to_string();
    if !values.is_empty() {
        help += &format!(" ({})", values.join(", "));
    }
    Some(PossibleValue::new(*name).help(help))
}

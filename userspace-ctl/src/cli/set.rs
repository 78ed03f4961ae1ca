// SPDX-License-Identifier: GPL-2.0-only

//! Settings by their names, as the command `set` takes them.
//!
//! They are the options of `enable` in another notation: `expiry strict` is read as
//! `--expiry=strict`, so that there is one list of names, values and limits.

use super::{
    settings::{
        given,
        options, //
    },
    usage_error::sentence, //
};
use crate::{
    settings::{
        Config,
        Setting, //
    },
    uapi::SETTINGS, //
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
use std::{
    ffi::OsStr,
    iter, //
};

/// Name of the one argument in the parser.
const ID: &str = "settings";

/// Arguments of `set`.
#[derive(Clone, Debug)]
pub struct Set {
    /// The settings that are given.
    pub config: Config,
}

impl Args for Set {
    fn augment_args(command: Command) -> Command {
        command.arg(argument(SETTINGS))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Set {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let config = named(SETTINGS, matches)?;
        Ok(Self { config })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The argument, which takes any number of names and values.
pub fn argument(table: &'static [Setting]) -> Arg {
    Arg::new(ID)
        .value_name("NAME VALUE")
        .help("What is set, and to what; NAME=VALUE does as well")
        .num_args(1..)
        .action(ArgAction::Append)
        .required(true)
        .value_parser(Word(table))
}

/// The settings that [`argument`] has set: names and values in turn, or both in one word.
pub fn named(table: &'static [Setting], matches: &ArgMatches) -> Result<Config, Error> {
    let words = matches.get_many::<String>(ID).unwrap_or_default();
    let mut words = words.map(String::as_str);
    let options = iter::from_fn(|| {
        let word = words.next()?;
        let value = match word.contains('=') {
            true => None,
            false => words.next(),
        };
        Some(match value {
            Some(value) => format!("--{word}={value}"),
            None => format!("--{word}"),
        })
    });
    let matches = Command::new("set")
        .no_binary_name(true)
        .disable_help_flag(true)
        .args(self::options(table))
        .try_get_matches_from(options);
    match matches {
        Ok(matches) => Ok(given(table, &matches)),
        Err(error) => {
            let line = sentence(&error).replace("'--", "'");
            Err(Error::raw(error.kind(), line))
        }
    }
}

/// A name or a value: any text. The names are what shells complete, and what the help lists.
#[derive(Clone)]
struct Word(&'static [Setting]);

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
        let names = iter::zip(self.0, options(self.0));
        Some(Box::new(names.map(|(setting, option)| {
            let mut help = option
                .get_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let values = option.get_possible_values();
            if !values.is_empty() {
                let values: Vec<_> = values.iter().map(PossibleValue::get_name).collect();
                help += &format!(" ({})", values.join(", "));
            }
            PossibleValue::new(setting.name).help(help)
        })))
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! The manual page, made from the same texts as `--help`.
//!
//! All commands are on one page: those of the generator would be one for each.

use crate::{
    cli::{
        EXAMPLES,
        EXIT_STATUS, //
    },
    config_file, //
};
use clap::{
    Arg,
    ArgAction,
    Command, //
};
use clap_mangen::{
    roff::{
        bold,
        italic,
        roman,
        Inline,
        Roff, //
    },
    Man, //
};
use std::io::{
    self,
    Write, //
};

/// What `apply` reads.
const CONFIGURATION_FILE: &str = "\
The file of apply is in TOML. The settings are those of set; one that has several values is an \
array, one that is on or off is true or false. enabled has to be there; without collectors or \
interfaces there are none afterwards. What is wrong is told with line and column, all of it, and \
then nothing is changed. Host names of collectors are looked up when the file is applied, in the \
network namespace that it is applied to; of several addresses, the one in use is kept.";

/// Section of the manual: commands of the administrator.
const SECTION: &str = "8";

/// Writes the page in the form that `man` reads.
pub fn write(command: &Command, out: &mut impl Write) -> io::Result<()> {
    let mut command = command.clone().disable_help_subcommand(true);
    command.build();
    let man = Man::new(command.clone())
        .section(SECTION)
        .manual("System Administration");
    man.render_title(out)?;
    man.render_name_section(out)?;
    let mut page = Roff::new();
    page.control("SH", ["SYNOPSIS"]);
    page.text([
        bold(command.get_name()),
        roman(" ["),
        italic("OPTION"),
        roman("]... "),
        italic("COMMAND"),
        roman(" ["),
        italic("ARGUMENT"),
        roman("]..."),
    ]);
    page.to_writer(out)?;
    man.render_description_section(out)?;

    let mut page = Roff::new();
    page.control("SH", ["OPTIONS"]);
    page.text([roman("These go for all commands.")]);
    command
        .get_arguments()
        .for_each(|arg| argument(&mut page, arg));
    page.control("SH", ["COMMANDS"]);
    leaves(&command, "", &mut |path, leaf| {
        section(&mut page, path, leaf)
    });
    page.control("SH", ["CONFIGURATION FILE"]);
    page.text([roman(CONFIGURATION_FILE)]);
    page.control("PP", []);
    example(&mut page, config_file::EXAMPLE);
    page.control("SH", ["EXIT STATUS"]);
    for (status, meaning) in EXIT_STATUS {
        page.control("TP", []);
        page.text([bold(*status)]);
        page.text([roman(meaning.replace('`', ""))]);
    }
    page.control("SH", ["FILES"]);
    for (file, meaning) in [
        (
            "/etc/netflow/netflow.toml",
            "What netflow.service applies at boot.",
        ),
        ("/run/netns", "Network namespaces that have a name."),
        ("/etc/protocols", "Names of protocols."),
    ] {
        page.control("TP", []);
        page.text([italic(file)]);
        page.text([roman(meaning)]);
    }
    page.control("SH", ["EXAMPLES"]);
    example(&mut page, EXAMPLES);
    page.control("SH", ["SEE ALSO"]);
    page.text(see_also(&[
        ("ip-netns", "8"),
        ("modprobe", "8"),
        ("nfdump", "1"),
        ("sponge", "1"),
    ]));
    page.to_writer(out)
}

/// Lines as they are.
fn example(page: &mut Roff, text: &str) {
    page.control("EX", []);
    for line in text.lines() {
        page.text([roman(line)]);
    }
    page.control("EE", []);
}

/// Visits the commands that have no commands below them, with their full names.
fn leaves(command: &Command, path: &str, visit: &mut impl FnMut(&str, &Command)) {
    for child in command.get_subcommands() {
        let path = format!("{path} {}", child.get_name());
        match child.has_subcommands() {
            true => leaves(child, &path, visit),
            false => visit(path.trim_start(), child),
        }
    }
}

/// One command: its name and arguments, what it does, what the arguments mean.
fn section(page: &mut Roff, path: &str, command: &Command) {
    let own = || command.get_arguments().filter(|arg| is_own(arg));
    let mut heading = vec![bold(path)];
    for arg in own() {
        let (open, close) = match arg.is_required_set() {
            true => (" ", ""),
            false => (" [", "]"),
        };
        heading.push(roman(open));
        heading.extend(synopsis(arg));
        heading.push(roman(close));
    }
    page.control("TP", []);
    page.text(heading);
    paragraphs(page, command.get_long_about().or(command.get_about()));
    if own().next().is_some() {
        page.control("RS", []);
        own().for_each(|arg| argument(page, arg));
        page.control("RE", []);
    }
}

/// Whether an argument is one of this command, not one that all have.
fn is_own(arg: &Arg) -> bool {
    !arg.is_global_set() && arg.get_id() != "help" && arg.get_id() != "version"
}

fn argument(page: &mut Roff, arg: &Arg) {
    page.control("TP", []);
    page.text(synopsis(arg));
    paragraphs(page, arg.get_long_help().or(arg.get_help()));
    let values = arg.get_possible_values();
    let explained = values.iter().filter(|value| value.get_help().is_some());
    if arg.get_action().takes_values() && explained.clone().next().is_some() {
        page.control("RS", []);
        for value in explained {
            page.control("TP", []);
            page.text([bold(value.get_name())]);
            paragraphs(page, value.get_help());
        }
        page.control("RE", []);
    }
}

/// `-s, --long VALUE`, or for a positional argument `VALUE`.
fn synopsis(arg: &Arg) -> Vec<Inline> {
    let mut parts = Vec::new();
    if let Some(short) = arg.get_short() {
        parts.push(bold(format!("-{short}")));
        parts.push(roman(", "));
    }
    if let Some(long) = arg.get_long() {
        parts.push(bold(format!("--{long}")));
    }
    if arg.get_action().takes_values() {
        if !arg.is_positional() {
            parts.push(roman(" "));
        }
        let names = arg.get_value_names().unwrap_or_default();
        parts.extend(names.iter().map(|name| italic(name.as_str())));
        if matches!(arg.get_action(), ArgAction::Append) {
            parts.push(roman("..."));
        }
    }
    parts
}

fn paragraphs(page: &mut Roff, text: Option<&clap::builder::StyledStr>) {
    let text = text.map(ToString::to_string).unwrap_or_default();
    for (number, paragraph) in text.split("\n\n").enumerate() {
        if number > 0 {
            page.control("IP", []);
        }
        page.text([roman(paragraph.replace('`', "").replace('\n', " "))]);
    }
}

fn see_also(pages: &[(&str, &str)]) -> Vec<Inline> {
    let mut parts = Vec::new();
    for (name, section) in pages {
        if !parts.is_empty() {
            parts.push(roman(", "));
        }
        parts.extend([bold(*name), roman(format!("({section})"))]);
    }
    parts
}

// SPDX-License-Identifier: GPL-2.0-only

//! What is wrong with the arguments, in one line.

use clap::error::ErrorKind;

/// What is wrong with the arguments, on one line; `None` if nothing is, but help or the version
/// was asked for.
pub fn usage_error(error: &clap::Error) -> Option<String> {
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => None,
        _ => Some(sentence(error) + "; see netflowctl --help"),
    }
}

/// The first paragraph of an error and its tip, if it has one.
pub(super) fn sentence(error: &clap::Error) -> String {
    let text = error.to_string();
    let mut paragraphs = text.split("\n\n").map(|paragraph| {
        let lines: Vec<_> = paragraph.lines().map(str::trim).collect();
        lines.join(" ")
    });
    let first = paragraphs.next().unwrap_or_default();
    let mut line = first.strip_prefix("error: ").unwrap_or(&first).to_owned();
    if let Some(tip) = paragraphs.find_map(|p| p.strip_prefix("tip: ").map(str::to_owned)) {
        line += &format!(" ({tip})");
    }
    line
}

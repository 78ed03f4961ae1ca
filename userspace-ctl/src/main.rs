// SPDX-License-Identifier: GPL-2.0-only

//! `netflowctl`: reads the command line, executes the command, reports errors.

use netflowctl::{
    cli::{
        usage_error,
        Cli, //
    },
    commands, //
};
use std::{
    env,
    fmt::Display,
    io::{
        self,
        BufWriter,
        Write, //
    },
    process::ExitCode, //
};

/// A million flows are some 200 MB of text: not to be written a line at a time.
const OUTPUT_BUFFER_LEN: usize = 256 * 1024;

fn main() -> ExitCode {
    let cli = match Cli::read(env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let mut out = BufWriter::with_capacity(OUTPUT_BUFFER_LEN, io::stdout().lock());
    match commands::run(cli, &mut out) {
        Ok(()) => ExitCode::SUCCESS,
        // As `netflowctl flows | head` ends.
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::from(error.exit_status())
        }
    }
}

fn usage(error: &clap::Error) -> ExitCode {
    match usage_error(error) {
        Some(line) => report(&line),
        // Help that a reader does not want to the end is no failure.
        None => drop(error.print()),
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// Writes to standard error, as a rule one line. If that fails, there is nothing left to report it
/// to.
fn report(error: &impl Display) {
    for line in error.to_string().lines() {
        let _ = writeln!(io::stderr(), "netflowctl: {line}");
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! Command lines that are carried out on a kernel with prepared answers.

use super::Kernel;
use clap::Parser;
use netflowctl::{
    cli::Cli,
    client::Client,
    commands,
    error::Error, //
};

/// What a command line printed, how it ended, and what it had sent.
pub struct Run {
    pub text: String,
    pub result: Result<(), Error>,
    pub requests: Vec<Vec<u8>>,
}

/// Carries out a command line, for which all the answers have to be read.
pub fn attempt(arguments: &str, answers: Vec<Vec<u8>>) -> Run {
    let cli = Cli::try_parse_from(arguments.split(' ')).unwrap();
    let kernel = Kernel::with_family(answers);
    let mut client = Client::new(kernel.clone()).unwrap();
    let mut out = Vec::new();
    let result = commands::execute(&mut client, &cli.command, &cli.options, &mut out);
    assert!(kernel.exhausted());
    Run {
        text: String::from_utf8(out).unwrap(),
        result,
        requests: kernel.requests(),
    }
}

/// What a command line prints that does not fail.
pub fn print(arguments: &str, answers: Vec<Vec<u8>>) -> String {
    let run = attempt(arguments, answers);
    run.result.unwrap();
    run.text
}

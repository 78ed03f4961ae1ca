// SPDX-License-Identifier: GPL-2.0-only

//! The program as it is run, on a machine with or without the module.

#![allow(clippy::panic, clippy::unwrap_used)] // Helpers of tests fail as tests do.

use netflowctl::{
    client::Client,
    error::Error, //
};
use std::{
    os::{
        fd::OwnedFd,
        unix::net::UnixStream, //
    },
    process::{
        Command,
        Output,
        Stdio, //
    }, //
};

fn netflowctl(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netflowctl"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The one line that a failure says.
fn failure(output: &Output, status: i32) -> String {
    assert_eq!(output.status.code(), Some(status));
    assert!(output.stdout.is_empty());
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(text.ends_with('\n') && text.lines().count() == 1, "{text}");
    text.strip_prefix("netflowctl: ")
        .unwrap()
        .trim_end()
        .to_owned()
}

#[test]
fn help_has_examples() {
    let output = netflowctl(&["--help"]);
    assert!(output.status.success());
    for part in ["collector add 192.0.2.10", "CAP_NET_ADMIN", "Exit status:"] {
        assert!(stdout(&output).contains(part), "{part}");
    }
}

#[test]
fn the_version_is_told() {
    let output = netflowctl(&["--version"]);
    assert!(output.status.success());
    assert_eq!(
        stdout(&output),
        concat!("netflowctl ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn no_arguments_show_the_help_and_fail() {
    let output = netflowctl(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Usage: netflowctl"));
}

#[test]
fn wrong_arguments_fail_with_one_line() {
    let line = failure(&netflowctl(&["flwos"]), 2);
    assert!(line.starts_with("unrecognized subcommand 'flwos'"));
    failure(&netflowctl(&["collector", "add", "example.com"]), 2);
    failure(&netflowctl(&["enable", "--active-timeout", "soon"]), 2);
}

#[test]
fn an_unknown_namespace_is_named() {
    let arguments = ["--netns", "no-such-namespace", "info"];
    assert_eq!(
        failure(&netflowctl(&arguments), 1),
        "no network namespace \"no-such-namespace\" (/run/netns/no-such-namespace)"
    );
    let line = failure(&netflowctl(&["info", "--netns", "/dev/null"]), 1);
    assert_eq!(line, "/dev/null is not a network namespace");
}

#[test]
fn a_module_that_is_not_loaded_is_told() {
    // Only where it is not, of course.
    if !matches!(Client::open(), Err(Error::ModuleNotLoaded)) {
        return;
    }
    for arguments in [
        &["info"][..],
        &["--json", "flows"],
        &["enable", "--json"],
        &["disable"],
        &["flush"],
        &["set", "expiry", "strict"],
        &["show", "config"],
        &["info", "--prometheus"],
        &["iface", "set", "lo", "--number", "7"],
        &["apply", "/dev/null"],
        &["save"],
        &["collector", "add", "192.0.2.1"],
    ] {
        assert_eq!(
            failure(&netflowctl(arguments), 1),
            "the netflow module is not loaded \
             (family \"netflow\" is unknown to this kernel): modprobe netflow"
        );
    }
    // That it is asked for in the namespace, which takes CAP_SYS_ADMIN to enter.
    let line = failure(&netflowctl(&["--netns", "/proc/self/ns/net", "info"]), 1);
    let expected = [
        "the netflow module is not loaded",
        "cannot enter network namespace",
    ];
    assert!(
        expected.iter().any(|start| line.starts_with(start)),
        "{line}"
    );
}

#[test]
fn the_manual_has_every_command() {
    let output = netflowctl(&["man"]);
    assert!(output.status.success());
    let page = stdout(&output);
    assert!(page.contains(".TH netflowctl 8"));
    for command in [
        "enable",
        "disable",
        "flows",
        "collector add",
        "collector list",
        "set",
        "show config",
        "iface set",
        "iface del",
        "apply",
        "save",
    ] {
        assert!(page.contains(&format!("\\fB{command}\\fR")), "{command}");
    }
    for part in ["CONFIGURATION FILE", "[[collectors]]", "netflow.toml"] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn shells_get_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let output = netflowctl(&["completions", shell]);
        assert!(output.status.success());
        for word in ["inactive-timeout", "prerouting", "type-code"] {
            assert!(stdout(&output).contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let Ok(full) = full else {
        return;
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_netflowctl"));
    let output = command.arg("man").stdout(full).output().unwrap();
    assert_eq!(failure(&output, 1), "cannot write: No space left on device");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    // A socket whose other end is closed answers EPIPE as a pipe does.
    let (reader, writer) = UnixStream::pair().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_netflowctl"));
    let output = command
        .arg("man")
        .stdout(OwnedFd::from(writer))
        .output()
        .unwrap();
    assert!(output.status.success());
    assert!(output.stderr.is_empty());
}

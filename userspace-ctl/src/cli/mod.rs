// SPDX-License-Identifier: GPL-2.0-only

//! The command line: commands, arguments, and their help.

mod command;
pub mod set;
pub mod settings;
mod usage_error;

pub use command::{
    Collector,
    Command,
    Device,
    Iface,
    Show, //
};
pub use usage_error::usage_error;

use crate::output::json::Layout;
use clap::{
    builder::NonEmptyStringValueParser,
    error::ErrorKind,
    Args,
    Parser, //
};
use std::ffi::OsString;

const ABOUT: &str = "Controls the NetFlow exporter of the kernel module netflow";

const LONG_ABOUT: &str = "\
Controls the NetFlow exporter of the kernel module netflow.

The exporter accounts the packets of IPv4 and IPv6 that a network namespace receives, or those at \
other points of their way through it, to flows, and sends a record of each flow to collectors when \
it has expired. Every network namespace has an exporter of its own, with its own flows, settings, \
collectors and counters; nothing is accounted before it is enabled.

Looking at the state is open to all. Changing it, and listing flows, needs the capability \
CAP_NET_ADMIN in the network namespace.";

/// Examples, for the help as for the manual.
pub const EXAMPLES: &str = "\
modprobe netflow
netflowctl collector add 192.0.2.10 --protocol v9
netflowctl enable --max-flows 262144 --active-timeout 300
netflowctl info
netflowctl set active-timeout 60 expiry strict
netflowctl set observe=prerouting,output expiry=strict
netflowctl show config
netflowctl iface set eth0 --number 7
netflowctl flows
netflowctl --json flows | jq 'sort_by(-.bytes)[:10]'
netflowctl --netns blue --json info | jq .packets
netflowctl info --prometheus --all-netns | sponge /var/lib/prometheus/node-exporter/netflow.prom
netflowctl save /etc/netflow/netflow.toml
netflowctl apply --check /etc/netflow/netflow.toml
netflowctl disable";

/// What the exit status means, for the help as for the manual.
pub const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "The command was carried out."),
    (
        "1",
        "It failed, or the list of flows may be wrong; one line on standard error says why.",
    ),
    ("2", "The arguments, or the file for `apply`, are wrong."),
];

fn after_help() -> String {
    let mut text = String::from("Examples:\n");
    for line in EXAMPLES.lines() {
        text += &format!("  {line}\n");
    }
    text += "\nExit status:\n";
    for (status, meaning) in EXIT_STATUS {
        text += &format!("  {status}  {meaning}\n");
    }
    text
}

/// The command line.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "netflowctl",
    version,
    about = ABOUT,
    long_about = LONG_ABOUT,
    after_long_help = after_help(),
    arg_required_else_help = true,
    max_term_width = 100,
)]
pub struct Cli {
    /// What goes for all commands.
    #[command(flatten)]
    pub options: Options,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Reads the arguments of the program, of which the first is its name.
    pub fn read<T>(arguments: impl IntoIterator<Item = T>) -> Result<Self, clap::Error>
    where
        T: Into<OsString> + Clone,
    {
        let cli = Self::try_parse_from(arguments)?;
        // The parser sees no conflict with an option before the name of the command.
        let conflict = |text: String| Err(clap::Error::raw(ErrorKind::ArgumentConflict, text));
        match cli.command {
            Command::Info {
                prometheus: true, ..
            } if cli.options.json => {
                conflict("the argument '--prometheus' cannot be used with '--json'".into())
            }
            Command::Info {
                all_netns: true, ..
            } if !cli.options.netns.is_empty() => {
                conflict("the argument '--all-netns' cannot be used with '--netns <NAME>'".into())
            }
            Command::Collector(Collector::Add {
                ref to,
                device: Some(ref device),
                ..
            }) if to
                .address
                .scope
                .as_ref()
                .is_some_and(|scope| scope != device) =>
            {
                conflict(format!(
                    "'{}' and '--device {device}' differ in the interface",
                    to.address
                ))
            }
            Command::Info {
                prometheus: true, ..
            } => Ok(cli),
            _ if cli.options.netns.len() > 1 => conflict(
                "the argument '--netns <NAME>' can be used several times with '--prometheus' only"
                    .into(),
            ),
            _ => Ok(cli),
        }
    }
}

/// Options of all commands, before or after the name of the command.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Global options")]
pub struct Options {
    /// Print JSON, on one line
    ///
    /// Readings of the exporter's clock are in milliseconds, timeouts in seconds; interfaces are
    /// the numbers by which they are reported. A command that changes something prints the state
    /// afterwards: the object of `info` after enable, disable and flush, that of `show config`
    /// after set, the array of `collector list` after collector add and del, that of `iface list`
    /// after iface set and del. Only apply prints what it has changed: an array of objects, whose
    /// `change` is enabled, setting, collector or iface, with what was (`old`) and is (`new`).
    #[arg(short, long, global = true)]
    pub json: bool,

    /// Indent the JSON
    #[arg(short, long, global = true)]
    pub pretty: bool,

    /// Act in another network namespace
    ///
    /// NAME is one of those that `ip netns` lists or, if it contains a slash, the path of a file
    /// such as /proc/PID/ns/net. Needs CAP_SYS_ADMIN.
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        value_parser = NonEmptyStringValueParser::new(),
    )]
    pub netns: Vec<String>,

    /// Print numbers instead of the names of interfaces, protocols and TCP flags
    #[arg(short, long, global = true)]
    pub numeric: bool,
}

impl Options {
    /// How to lay out JSON, if JSON is wanted.
    pub fn layout(&self) -> Option<Layout> {
        self.json.then_some(match self.pretty {
            true => Layout::Pretty,
            false => Layout::Compact,
        })
    }
}

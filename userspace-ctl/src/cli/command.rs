// SPDX-License-Identifier: GPL-2.0-only

//! The commands and their arguments.

use super::{
    set::Set,
    settings::Enable, //
};
use crate::{
    address::{
        self,
        Address, //
    },
    protocol::Protocol,
    uapi::{
        MAX_IFACES,
        PROTOCOL, //
    }, //
};
use clap::{
    builder::{
        PossibleValue,
        PossibleValuesParser,
        TypedValueParser, //
    },
    Args,
    Subcommand,
    ValueHint, //
};
use clap_complete::Shell;
use std::{
    net::IpAddr,
    path::PathBuf, //
};

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Begin to account packets
    ///
    /// Memory is reserved for all flows that the cache may hold. What is not given stays as it was
    /// set before, at first as the load parameters of the module say.
    Enable(Enable),

    /// Export all flows, then stop accounting packets
    ///
    /// Returns when each flow was sent, or lost for want of a collector that takes it. Collectors,
    /// settings and counters stay.
    Disable,

    /// Change settings
    ///
    /// All that are given change at once, or if one of them is refused none does. They are in force
    /// from then on, enabled or not; only max-flows, families, sampling and its mode have to wait
    /// until the exporter is disabled.
    ///
    /// Example: netflowctl set active-timeout 60 observe prerouting,output
    Set(Set),

    /// Show settings
    #[command(subcommand)]
    Show(Show),

    /// Show state, settings, ledger and collectors
    ///
    /// The ledger tells where every packet, and every byte of layer 3, ended. At any quiet moment
    /// seen = ignored + cached + pending + exported + lost.
    Info {
        /// Print metrics in the text format of Prometheus
        ///
        /// All have names that begin with netflow_. With --netns, which can be given several times
        /// here, or --all-netns, those of a namespace have a label netns with its name. Not with
        /// --json.
        ///
        /// Example: netflowctl info --prometheus --all-netns |
        /// sponge /var/lib/prometheus/node-exporter/netflow.prom
        #[arg(long)]
        prometheus: bool,

        /// With --prometheus: this network namespace, and all that `ip netns` lists
        #[arg(long, requires = "prometheus")]
        all_netns: bool,
    },

    /// List the flows of the cache
    ///
    /// A flow that stays in the cache meanwhile is listed exactly once. FLAGS are the TCP flags
    /// seen (CWR, ECE, URG, ACK, PSH, RST, SYN, FIN); DPORT of ICMP is type.code; DURATION is from
    /// the first packet to the last, and IDLE since then, in seconds.
    Flows,

    /// Export all flows now
    ///
    /// Returns when they have been sent.
    Flush,

    /// Change or list where flow records are sent to
    #[command(subcommand)]
    Collector(Collector),

    /// Change or list by which numbers interfaces are reported
    #[command(subcommand)]
    Iface(Iface),

    /// Make the exporter what a file says
    ///
    /// Afterwards the exporter is enabled or not, has the settings, these collectors and no others,
    /// and these numbers of interfaces and no others. Settings that the file does not have stay as
    /// they are. Only what differs is changed, and printed as the commands that do it; nothing is
    /// printed if nothing differs. If the kernel refuses one of the changes, those before it are
    /// undone. To change max-flows, families, sampling or its mode, the exporter is disabled and
    /// enabled again.
    ///
    /// See CONFIGURATION FILE in netflowctl(8).
    Apply {
        /// The file
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Only print what would be changed
        #[arg(long)]
        check: bool,
    },

    /// Write a file for `apply` that wants what there is now
    ///
    /// Collectors that were given by their host names have their addresses there.
    Save {
        /// The file, else standard output
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },

    /// Print a script that completes the arguments in a shell
    Completions {
        /// The shell
        shell: Shell,
    },

    /// Print the manual page
    Man,
}

/// Commands of `show`.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Show {
    /// Show all settings, with the names and values that `set` takes
    Config,
}

/// Commands of `collector`.
#[derive(Clone, Debug, Subcommand)]
pub enum Collector {
    /// Send all records that are exported from now on to this address as well
    Add {
        /// Where to
        #[command(flatten)]
        to: CollectorAddress,
        /// What to send
        #[arg(
            long,
            value_name = "PROTOCOL",
            default_value = Protocol::DEFAULT.name(),
            value_parser = protocol(),
        )]
        protocol: Protocol,
        /// Send from this address of the host
        ///
        /// It is of the same IP version as that of the collector. Unless given, the route to the
        /// collector chooses one, which changes with the route.
        #[arg(long, value_name = "ADDRESS")]
        source: Option<IpAddr>,
        /// Send by this interface, or by the routes of this VRF
        ///
        /// The name is looked up for each datagram: an interface may go and come back. A link-local
        /// address needs the interface of its link, here or as its scope (%eth0).
        #[arg(long, value_name = "DEV")]
        device: Option<String>,
    },
    /// Send nothing more to this address
    #[command(visible_alias = "delete")]
    Del(CollectorAddress),
    /// List the collectors and what was sent to them
    List,
}

/// The argument that names a collector.
#[derive(Args, Clone, Debug)]
pub struct CollectorAddress {
    /// Where it listens
    #[arg(
        value_name = "ADDRESS[:PORT]",
        value_parser = address::parse,
        help = format!(
            "IP address and UDP port, {netflow} unless given, and {ipfix} to add one of IPFIX; an \
             IPv6 address with a port needs brackets, as in [2001:db8::1]:{netflow}, and a \
             link-local one its interface, as in fe80::1%eth0",
            netflow = Protocol::PORT_NETFLOW,
            ipfix = Protocol::PORT_IPFIX,
        ),
    )]
    pub address: Address,
}

/// Reads the name of a protocol.
fn protocol() -> impl TypedValueParser<Value = Protocol> {
    let names = PROTOCOL
        .iter()
        .map(|item| PossibleValue::new(item.name).help(item.doc));
    PossibleValuesParser::new(names)
        .map(|name| Protocol::from_name(&name).unwrap_or(Protocol::DEFAULT))
}

/// Commands of `iface`.
#[derive(Clone, Debug, Subcommand)]
pub enum Iface {
    /// Report an interface by another number than its index
    #[command(long_about = format!(
        "Report an interface by another number than its index\n\n\
         Up to {MAX_IFACES} names can have one, which holds for flows that begin from then on. It \
         belongs to the name: an interface that is removed and made anew has it again, one that \
         is renamed has it no more, and one that is to come can be given a number now.\n\n\
         Example: netflowctl iface set eth0 --number 7"
    ))]
    Set {
        /// The interface
        #[command(flatten)]
        device: Device,
        /// The number by which it is reported; 0 to report the index again
        ///
        /// Version 5 of NetFlow has 16 bits for it: what does not fit is reported as 65535.
        #[arg(long, value_name = "N")]
        number: u32,
    },
    /// Report an interface by its index again
    #[command(visible_alias = "delete")]
    Del(Device),
    /// List the interfaces that are reported by another number than their index
    List,
}

/// The argument that names an interface.
#[derive(Args, Clone, Debug)]
pub struct Device {
    /// Name of an interface, or the index of one that is there
    #[arg(value_name = "DEV")]
    pub name: String,
}

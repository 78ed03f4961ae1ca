// SPDX-License-Identifier: GPL-2.0-only

//! Executing commands.

use crate::{
    address::Address,
    apply,
    cli::{
        Cli,
        Collector,
        Command,
        Device,
        Iface,
        Options,
        Show, //
    },
    client::Client,
    config_file::{
        self,
        Unreadable,
        Wanted, //
    },
    error::Error,
    interfaces::Interfaces,
    manual,
    messages::{
        self,
        Info, //
    },
    names::Names,
    netlink::Transport,
    netns,
    output::{
        self,
        collectors,
        config,
        flows,
        info,
        json,
        prometheus, //
    },
    protocol::Protocol,
    uapi, //
};
use clap::CommandFactory;
use std::{
    fs,
    io::{
        self,
        Write, //
    },
    net::{
        IpAddr,
        ToSocketAddrs, //
    },
    path::Path, //
};

/// Executes a command and writes its output.
pub fn run(cli: Cli, out: &mut impl Write) -> Result<(), Error> {
    match cli.command {
        Command::Completions { shell } => {
            // Collected first, since the generator panics where it cannot write.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "netflowctl", &mut script);
            out.write_all(&script)?;
        }
        Command::Man => manual::write(&Cli::command(), out)?,
        Command::Info {
            prometheus: true,
            all_netns,
        } => prometheus::print(out, &states(&cli.options.netns, all_netns)?)?,
        command => {
            if let Some(name) = cli.options.netns.first() {
                netns::enter(name)?;
            }
            execute(&mut Client::open()?, &command, &cli.options, out)?;
        }
    }
    Ok(out.flush()?)
}

/// The states of the namespaces with these names; or that of the one we are in, with `all` also
/// those that `ip netns` lists.
fn states(names: &[String], all: bool) -> Result<Vec<(Option<String>, Info)>, Error> {
    let mut states = Vec::new();
    if names.is_empty() {
        states.push((None, Client::open()?.info()?));
    }
    for name in names {
        netns::enter(name)?;
        states.push((Some(name.clone()), Client::open()?.info()?));
    }
    if all {
        for name in netns::list()? {
            match netns::enter(&name) {
                // It was deleted meanwhile.
                Err(_) if !netns::path(&name).exists() => continue,
                entered => entered?,
            }
            states.push((Some(name), Client::open()?.info()?));
        }
    }
    Ok(states)
}

/// Executes a command that needs the exporter.
pub fn execute<T: Transport>(
    client: &mut Client<T>,
    command: &Command,
    options: &Options,
    out: &mut impl Write,
) -> Result<(), Error> {
    match command {
        Command::Enable(enable) => {
            client.enable(&enable.config)?;
            client.wait_until_enabled()?;
            state_after_change(client, options, out)
        }
        Command::Disable => {
            client.disable()?;
            client.wait_until(|info| !info.disabling)?;
            state_after_change(client, options, out)
        }
        Command::Flush => {
            let number = client.flush()?;
            client.wait_until(|info| info.flushes_done >= number)?;
            state_after_change(client, options, out)
        }
        Command::Set(set) => {
            client.set(&set.config)?;
            match options.layout() {
                Some(layout) => json::value(out, layout, &config::Shown::from(&state(client)?)),
                None => Ok(()),
            }
        }
        Command::Show(Show::Config) => {
            let state = state(client)?;
            match options.layout() {
                Some(layout) => json::value(out, layout, &config::Shown::from(&state)),
                None => Ok(config::print(out, &state)?),
            }
        }
        Command::Info {
            prometheus: true, ..
        } => {
            let states = [(options.netns.first().cloned(), client.info()?)];
            Ok(prometheus::print(out, &states)?)
        }
        Command::Info { .. } => {
            let state = state(client)?;
            match options.layout() {
                Some(layout) => json::value(out, layout, &state),
                None => Ok(info::print(out, &state)?),
            }
        }
        Command::Flows => list_flows(client, options, out),
        Command::Collector(command) => collector(client, command, options, out),
        Command::Iface(command) => iface(client, command, options, out),
        Command::Apply { file, check } => apply(client, file, *check, options, out),
        Command::Save { file } => {
            let text = config_file::write(&Wanted::from(&state(client)?))?;
            match file {
                Some(file) => config_file::save(file, &text).map_err(|error| Error::File {
                    path: file.display().to_string(),
                    error,
                }),
                None => Ok(out.write_all(text.as_bytes())?),
            }
        }
        Command::Completions { .. } | Command::Man => Ok(()),
    }
}

/// Prints the changes after they were made, or with `check` that they would be.
fn apply<T: Transport>(
    client: &mut Client<T>,
    file: &Path,
    check: bool,
    options: &Options,
    out: &mut impl Write,
) -> Result<(), Error> {
    let name = file.display().to_string();
    let text = fs::read_to_string(file).map_err(|error| Error::File {
        path: name.clone(),
        error,
    })?;
    // Nothing can be enabled before it was disabled whole.
    client.wait_until(|info| !info.disabling)?;
    let now = Wanted::from(&state(client)?);
    let wanted = config_file::read(&text, &now.collectors, look_up);
    let wanted = wanted.map_err(|unreadable| match unreadable {
        Unreadable::Wrong(mistakes) => Error::Mistakes(mistakes.of_file(&name).to_string()),
        Unreadable::Unresolved(names) => Error::Unresolved(names.of_file(&name).to_string()),
    })?;
    let changes = apply::plan(&now, &wanted);
    if !check {
        apply::carry_out(client, &changes)?;
    }
    match options.layout() {
        Some(layout) => json::value(out, layout, &apply::reports(&changes)),
        None => {
            for report in apply::reports(&changes) {
                writeln!(out, "{report}")?;
            }
            Ok(())
        }
    }
}

/// The addresses of a host, as the C library finds them.
fn look_up(host: &str) -> io::Result<Vec<IpAddr>> {
    let addresses = (host, 0).to_socket_addrs()?;
    Ok(addresses.map(|address| address.ip()).collect())
}

/// The state, with the numbers of interfaces.
fn state<T: Transport>(client: &mut Client<T>) -> Result<Info, Error> {
    let mut state = client.info()?;
    state.ifaces = ifaces(client)?;
    Ok(state)
}

/// The numbers of interfaces, each with the index of the interface that has the name.
fn ifaces<T: Transport>(client: &mut Client<T>) -> Result<Vec<messages::Iface>, Error> {
    let mut ifaces = client.ifaces()?;
    if !ifaces.is_empty() {
        let indices = Interfaces::indices();
        for iface in &mut ifaces {
            iface.ifindex = indices.get(&iface.ifname).copied();
        }
    }
    Ok(ifaces)
}

/// A change prints nothing as text, and the new state as JSON.
fn state_after_change<T: Transport>(
    client: &mut Client<T>,
    options: &Options,
    out: &mut impl Write,
) -> Result<(), Error> {
    match options.layout() {
        Some(layout) => json::value(out, layout, &state(client)?),
        None => Ok(()),
    }
}

fn list_flows<T: Transport>(
    client: &mut Client<T>,
    options: &Options,
    out: &mut impl Write,
) -> Result<(), Error> {
    if let Some(layout) = options.layout() {
        let mut dump = client.flows()?;
        json::flows(out, layout, &mut dump)?;
        return dump.check();
    }
    let now = client.info()?.sys_uptime;
    let mut names = match options.numeric {
        true => Names::numeric(),
        false => Names::of_system().reported(&ifaces(client)?),
    };
    let mut dump = client.flows()?;
    flows::print(out, &mut dump, now, options.numeric, &mut names)?;
    dump.check()
}

fn collector<T: Transport>(
    client: &mut Client<T>,
    command: &Collector,
    options: &Options,
    out: &mut impl Write,
) -> Result<(), Error> {
    match command {
        Collector::Add {
            to,
            protocol,
            source,
            device,
        } => {
            client.collector_add(&to.address, *protocol, *source, device.as_deref())?;
        }
        Collector::Del(to) => {
            let to = to_remove(client, &to.address)?;
            client.collector_del(&to)?;
        }
        Collector::List => {}
    }
    let layout = options.layout();
    if layout.is_none() && matches!(command, Collector::Del(_)) {
        return Ok(());
    }
    let info = match client.info() {
        // It was added; only a note may be missing.
        Err(_) if layout.is_none() && matches!(command, Collector::Add { .. }) => return Ok(()),
        info => info?,
    };
    if let (Collector::Add { .. }, Some(note)) = (command, unsupported(&info)) {
        eprintln!("{note}");
    }
    match (layout, command) {
        (Some(layout), _) => json::value(out, layout, &info.collectors),
        (None, Collector::List) => Ok(collectors::print(out, &info.collectors)?),
        (None, _) => Ok(()),
    }
}

/// The collector that is meant: without a port, or the scope of a link-local address, the only one
/// that it can be.
fn to_remove<T: Transport>(client: &mut Client<T>, given: &Address) -> Result<Address, Error> {
    if given.is_whole() {
        return Ok(given.clone());
    }
    let all = client.info()?.collectors;
    let endpoints = all.iter().map(messages::Collector::endpoint);
    let mut meant = endpoints.filter(|endpoint| given.names(endpoint));
    match (meant.next(), meant.next()) {
        (Some(only), None) => Ok(only),
        // The kernel takes the default port, and says that there is no scope.
        _ => Ok(given.clone()),
    }
}

/// What to tell who has added the first collector, if it is not sent all that is counted.
fn unsupported(info: &Info) -> Option<&'static str> {
    let is_v5_alone = matches!(&*info.collectors, [only] if only.protocol == Protocol::DEFAULT);
    let families = info
        .config
        .iter()
        .find(|value| value.setting.number == uapi::config::FAMILIES);
    let counts_ipv6 = families?
        .to_string()
        .split(',')
        .any(|family| family == "ipv6");
    (is_v5_alone && counts_ipv6).then_some(
        "note: NetFlow v5 has no records of IPv6, whose flows are lost unless a collector is added \
         with --protocol v9 or ipfix; with families ipv4 they are not counted",
    )
}

fn iface<T: Transport>(
    client: &mut Client<T>,
    command: &Iface,
    options: &Options,
    out: &mut impl Write,
) -> Result<(), Error> {
    let name = |device: &Device| Interfaces::open().resolve(&device.name);
    match command {
        Iface::Set { device, number } => client.iface_set(&name(device)?, *number)?,
        Iface::Del(device) => client.iface_del(&name(device)?)?,
        Iface::List => {}
    }
    match (options.layout(), command) {
        (Some(layout), _) => json::value(out, layout, &ifaces(client)?),
        (None, Iface::List) => Ok(output::ifaces::print(out, &ifaces(client)?)?),
        (None, _) => Ok(()),
    }
}

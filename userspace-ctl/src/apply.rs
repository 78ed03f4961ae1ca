// SPDX-License-Identifier: GPL-2.0-only

//! Making a namespace what a file wants: what has to change, and changing it.

use crate::{
    client::Client,
    config_file::{
        Destination,
        Wanted, //
    },
    error::Error,
    names::printable,
    netlink::Transport,
    settings::{
        Config,
        Value, //
    },
    uapi::{
        config,
        MAX_COLLECTORS, //
    }, //
};
use serde::Serialize;
use std::{
    fmt,
    mem,
    thread,
    time::Duration, //
};

const EBUSY: i32 = 16;
/// How often to try to enable while the kernel is busy, and how long it is.
const ENABLE_ATTEMPTS: u32 = 3;
const BUSY_FOR: Duration = Duration::from_secs(1);

/// One request or, of settings, several changes by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Enables the exporter, or disables it.
    Enabled(bool),
    /// Changes settings.
    Settings {
        /// What they were.
        old: Config,
        /// What they become.
        new: Config,
    },
    /// Adds or removes a collector.
    Collector {
        /// The one that is removed.
        old: Option<Destination>,
        /// The one that is added.
        new: Option<Destination>,
    },
    /// Changes the number of an interface.
    Iface {
        /// Its name.
        ifname: String,
        /// The number that it had.
        old: Option<u32>,
        /// The number that it gets.
        new: Option<u32>,
    },
}

/// The changes that make `now` what is `wanted`, in an order in which as little as possible is lost
/// meanwhile: what the kernel may refuse comes before what takes something away.
pub fn plan(now: &Wanted, wanted: &Wanted) -> Vec<Change> {
    let mut changes = Vec::new();
    let new: Config = wanted
        .config
        .iter()
        .filter(|value| now.config.get(value.setting.number) != Some(value.raw))
        .copied()
        .collect();
    // These the kernel takes only while the exporter is disabled.
    let fixed = [
        config::MAX_FLOWS,
        config::FAMILIES,
        config::SAMPLING,
        config::SAMPLING_MODE,
    ];
    let needs_stop = fixed.iter().any(|number| new.get(*number).is_some());
    let is_stopped = now.enabled && (!wanted.enabled || needs_stop);
    if is_stopped {
        changes.push(Change::Enabled(false));
    }
    if new != Config::default() {
        let is_changed = |value: &&Value| new.get(value.setting.number).is_some();
        let old = now.config.iter().filter(is_changed).copied().collect();
        changes.push(Change::Settings { old, new });
    }
    plan_ifaces(now, wanted, &mut changes);
    plan_collectors(now, wanted, &mut changes);
    if wanted.enabled && (is_stopped || !now.enabled) {
        changes.push(Change::Enabled(true));
    }
    changes
}

fn plan_ifaces(now: &Wanted, wanted: &Wanted, changes: &mut Vec<Change>) {
    let names = now
        .ifaces
        .keys()
        .filter(|&name| !wanted.ifaces.contains_key(name));
    // Those that go are first, since there is a limit.
    for name in names.chain(wanted.ifaces.keys()) {
        let (old, new) = (now.ifaces.get(name), wanted.ifaces.get(name));
        if old != new {
            changes.push(Change::Iface {
                ifname: name.clone(),
                old: old.copied(),
                new: new.copied(),
            });
        }
    }
}

fn plan_collectors(now: &Wanted, wanted: &Wanted, changes: &mut Vec<Change>) {
    let add = |new: &Destination| Change::Collector {
        old: None,
        new: Some(new.clone()),
    };
    let remove = |old: &Destination| Change::Collector {
        old: Some(old.clone()),
        new: None,
    };
    let mut removed: Vec<_> = now
        .collectors
        .iter()
        .filter(|old| !wanted.collectors.contains(old))
        .collect();
    let added: Vec<_> = wanted
        .collectors
        .iter()
        .filter(|new| !now.collectors.contains(new))
        .collect();
    let is_over_limit = (now.collectors.len() + added.len()) as u64 > MAX_COLLECTORS;
    if is_over_limit {
        changes.extend(removed.drain(..).map(remove));
    }
    for new in added {
        // The kernel has one collector at each.
        let same = |old: &&Destination| old.endpoint() == new.endpoint();
        if let Some(at) = removed.iter().position(same) {
            changes.push(remove(removed.remove(at)));
        }
        changes.push(add(new));
    }
    changes.extend(removed.into_iter().map(remove));
}

/// Makes all of these changes or, if one fails, none.
pub fn carry_out<T: Transport>(client: &mut Client<T>, changes: &[Change]) -> Result<(), Error> {
    for (number, change) in changes.iter().enumerate() {
        if let Err(error) = change.carry_out(client) {
            return Err(Error::NotApplied {
                change: change.command(),
                error: Box::new(error),
                after: undo(client, &changes[..number]),
            });
        }
    }
    Ok(())
}

/// Takes changes back, and says what has become of them.
fn undo<T: Transport>(client: &mut Client<T>, changes: &[Change]) -> String {
    let failures: Vec<_> = changes
        .iter()
        .rev()
        .filter_map(|change| {
            let inverse = change.inverse();
            let error = inverse.carry_out(client).err()?;
            Some(format!("{}: {}", inverse.command(), error.reason()))
        })
        .collect();
    match (changes, failures.as_slice()) {
        ([], _) => "nothing was changed".to_owned(),
        (_, []) => "what was changed before is undone".to_owned(),
        (_, failures) => format!(
            "what was changed before could not be undone: {}",
            failures.join("; ")
        ),
    }
}

/// Enables the exporter, also if it has just been disabled or has failed to be enabled: until all
/// of it has ended, the kernel is busy.
fn enable<T: Transport>(client: &mut Client<T>) -> Result<(), Error> {
    for _ in 1..ENABLE_ATTEMPTS {
        client.wait_until(|info| !info.disabling)?;
        match client.enable(&Config::default()) {
            Err(Error::Refused { error, .. }) if error.errno == EBUSY => thread::sleep(BUSY_FOR),
            result => return result,
        }
    }
    client.enable(&Config::default())
}

impl Change {
    fn carry_out<T: Transport>(&self, client: &mut Client<T>) -> Result<(), Error> {
        match self {
            Self::Enabled(true) => enable(client),
            Self::Enabled(false) => {
                client.disable()?;
                client.wait_until(|info| !info.disabling)
            }
            Self::Settings { new, .. } => client.set(new),
            Self::Collector { old, new } => {
                if let Some(old) = old {
                    client.collector_del(&old.endpoint())?;
                }
                match new {
                    Some(new) => client.collector_add(
                        &new.endpoint(),
                        new.protocol,
                        new.source,
                        new.device.as_deref(),
                    ),
                    None => Ok(()),
                }
            }
            Self::Iface {
                ifname,
                new: Some(number),
                ..
            } => client.iface_set(ifname, *number),
            Self::Iface { ifname, .. } => client.iface_del(ifname),
        }
    }

    fn inverse(&self) -> Self {
        let mut inverse = self.clone();
        match &mut inverse {
            Self::Enabled(enabled) => *enabled = !*enabled,
            Self::Settings { old, new } => mem::swap(old, new),
            Self::Collector { old, new } => mem::swap(old, new),
            Self::Iface { old, new, .. } => mem::swap(old, new),
        }
        inverse
    }

    /// The command that does the same.
    fn command(&self) -> String {
        match self {
            Self::Settings { new, .. } => new.iter().fold("set".to_owned(), |command, value| {
                format!("{command} {} {value}", value.setting.name)
            }),
            other => {
                let reports: Vec<_> = reports([other]).iter().map(Report::command).collect();
                reports.join(", ")
            }
        }
    }
}

/// A change as it is told: `old` is what there was, `new` what there is.
#[allow(missing_docs)] // This says it of all fields.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Report<'a> {
    /// The exporter was enabled or disabled.
    Enabled { old: bool, new: bool },
    /// A setting has another value.
    Setting {
        name: String,
        old: Option<Value>,
        new: Value,
    },
    /// A collector was added or removed.
    Collector {
        old: Option<&'a Destination>,
        new: Option<&'a Destination>,
    },
    /// An interface is reported by another number.
    Iface {
        ifname: &'a str,
        old: Option<u32>,
        new: Option<u32>,
    },
}

/// What there is to tell of changes: one for each setting, and one for each other change.
pub fn reports<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Vec<Report<'a>> {
    let mut reports = Vec::new();
    for change in changes {
        match change {
            &Change::Enabled(new) => reports.push(Report::Enabled { old: !new, new }),
            Change::Settings { old, new } => {
                reports.extend(new.iter().map(|&new| Report::Setting {
                    name: new.setting.field(),
                    old: old.iter().find(|old| old.setting == new.setting).copied(),
                    new,
                }));
            }
            Change::Collector { old, new } => reports.push(Report::Collector {
                old: old.as_ref(),
                new: new.as_ref(),
            }),
            Change::Iface { ifname, old, new } => reports.push(Report::Iface {
                ifname,
                old: *old,
                new: *new,
            }),
        }
    }
    reports
}

impl Report<'_> {
    /// The command that makes the change.
    fn command(&self) -> String {
        match self {
            Self::Enabled { new: true, .. } => "enable".to_owned(),
            Self::Enabled { .. } => "disable".to_owned(),
            Self::Setting { new, .. } => format!("set {} {new}", new.setting.name),
            Self::Collector { new: Some(new), .. } => format!("collector add {new}"),
            Self::Collector { old: Some(old), .. } => {
                format!("collector del {}", old.endpoint())
            }
            Self::Collector { .. } => String::new(),
            Self::Iface {
                ifname,
                new: Some(number),
                ..
            } => format!("iface set {} --number {number}", printable(ifname)),
            Self::Iface { ifname, .. } => format!("iface del {}", printable(ifname)),
        }
    }
}

/// The command that makes the change, and what there was.
impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.command())?;
        match self {
            Self::Setting { old: Some(old), .. } => write!(f, " (was {old})"),
            Self::Iface { old: Some(old), .. } => write!(f, " (was {old})"),
            _ => Ok(()),
        }
    }
}

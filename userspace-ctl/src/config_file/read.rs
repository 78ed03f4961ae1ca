// SPDX-License-Identifier: GPL-2.0-only

//! Reading a file: what it wants, or all that is wrong with it.

use super::{
    collector::{
        self,
        Lookup, //
    },
    Destination,
    Mistakes,
    Wanted, //
};
use crate::{
    protocol::Protocol,
    settings::{
        Config,
        Item,
        Kind,
        Setting,
        Value, //
    },
    uapi::{
        DEVICE_NAME_MAX,
        MAX_COLLECTORS,
        MAX_IFACES,
        PROTOCOL,
        SETTINGS, //
    }, //
};
use std::{
    collections::BTreeMap,
    io,
    net::IpAddr,
    ops::RangeInclusive, //
};
use toml::{
    de::{
        DeTable,
        DeValue, //
    },
    Spanned, //
};

/// Why nothing can be made of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It has mistakes.
    Wrong(Mistakes),
    /// It has none, but names of hosts have no address now.
    Unresolved(Mistakes),
}

/// Reads a file. `now` are the collectors that there are: of the addresses that a name has, the one
/// in use is kept.
pub fn read(
    text: &str,
    now: &[Destination],
    lookup: impl Fn(&str) -> io::Result<Vec<IpAddr>>,
) -> Result<Wanted, Unreadable> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut syntax = Mistakes::default();
    for error in &errors {
        let offset = error.span().map_or(0, |span| span.start);
        syntax.add(text, offset, error.message());
    }
    let mut reader = Reader {
        text,
        is_whole: syntax.is_empty(),
        mistakes: Mistakes::default(),
        unresolved: Mistakes::default(),
    };
    let wanted = reader.document(document.get_ref(), &Lookup { now, name: &lookup });
    syntax.add_consequences(reader.mistakes);
    match (syntax.is_empty(), reader.unresolved.is_empty()) {
        (false, _) => Err(Unreadable::Wrong(syntax)),
        (true, false) => Err(Unreadable::Unresolved(reader.unresolved)),
        (true, true) => Ok(wanted),
    }
}

/// Reads values, and goes on where one is wrong.
pub(super) struct Reader<'a> {
    text: &'a str,
    /// Whether nothing is left out for being no TOML.
    is_whole: bool,
    mistakes: Mistakes,
    unresolved: Mistakes,
}

pub(super) type At<'a> = Spanned<DeValue<'a>>;

impl Reader<'_> {
    pub(super) fn wrong<T>(&mut self, at: usize, what: impl Into<String>) -> Option<T> {
        self.mistakes.add(self.text, at, what);
        None
    }

    pub(super) fn missing(&mut self, at: usize, what: &str) {
        if self.is_whole {
            self.mistakes.add(self.text, at, what);
        }
    }

    pub(super) fn unresolved<T>(&mut self, at: usize, what: String) -> Option<T> {
        self.unresolved.add(self.text, at, what);
        None
    }

    fn document(&mut self, document: &DeTable<'_>, lookup: &Lookup<'_>) -> Wanted {
        let mut wanted = Wanted::default();
        let mut is_enabled = None;
        for (key, value) in document {
            match key.get_ref().as_ref() {
                "enabled" => is_enabled = Some(self.boolean(value, "enabled")),
                "settings" => wanted.config = self.settings(value),
                "collectors" => wanted.collectors = self.collectors(value, lookup),
                "interfaces" => wanted.ifaces = self.interfaces(value),
                other => {
                    let known = "enabled, settings, collectors, interfaces";
                    self.unknown(key.span().start, other, known);
                }
            }
        }
        match is_enabled {
            Some(enabled) => wanted.enabled = enabled == Some(true),
            None => self.missing(0, "enabled is missing: true or false"),
        }
        wanted
    }

    pub(super) fn unknown(&mut self, at: usize, name: &str, known: &str) {
        let name = name.escape_debug();
        self.wrong::<()>(at, format!("\"{name}\" is unknown, there are: {known}"));
    }

    pub(super) fn table<'v>(&mut self, value: &'v At<'v>, name: &str) -> Option<&'v DeTable<'v>> {
        match value.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => self.wrong(value.span().start, format!("{name} is a table")),
        }
    }

    fn boolean(&mut self, value: &At<'_>, name: &str) -> Option<bool> {
        match value.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            _ => self.wrong(value.span().start, format!("{name} is true or false")),
        }
    }

    pub(super) fn number(
        &mut self,
        value: &At<'_>,
        name: &str,
        limits: RangeInclusive<u64>,
    ) -> Option<u64> {
        let number = match value.get_ref() {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        let number = number.filter(|number| limits.contains(number));
        let (min, max) = limits.into_inner();
        number.or_else(|| {
            let name = name.escape_debug();
            let what = format!("{name} is a number from {min} to {max}");
            self.wrong(value.span().start, what)
        })
    }

    pub(super) fn string<'v>(&mut self, value: &'v At<'v>, what: &str) -> Option<&'v str> {
        match value.get_ref() {
            DeValue::String(text) => Some(text),
            _ => self.wrong(value.span().start, what),
        }
    }

    pub(super) fn protocol(&mut self, value: &At<'_>) -> Option<Protocol> {
        let names: Vec<_> = PROTOCOL.iter().map(|item| item.name).collect();
        let what = format!("protocol is one of {}, as a string", names.join(", "));
        let protocol = Protocol::from_name(self.string(value, &what)?);
        protocol.or_else(|| self.wrong(value.span().start, what))
    }

    fn settings(&mut self, value: &At<'_>) -> Config {
        let mut config = Config::default();
        for (key, value) in self.table(value, "settings").into_iter().flatten() {
            let name = key.get_ref();
            match SETTINGS.iter().find(|setting| setting.name == name) {
                Some(setting) => {
                    let raw = self.setting(value, setting);
                    let value = raw.map(|raw| Value { setting, raw });
                    value.into_iter().for_each(|value| config.insert(value));
                }
                None => {
                    let known: Vec<_> = SETTINGS.iter().map(|setting| setting.name).collect();
                    self.unknown(key.span().start, name, &known.join(", "));
                }
            }
        }
        config
    }

    fn setting(&mut self, value: &At<'_>, setting: &Setting) -> Option<u64> {
        let name = setting.name;
        match setting.kind {
            Kind::Number(limits) => {
                let (min, max) = limits.unwrap_or((0, setting.width.max()));
                self.number(value, name, min..=max)
            }
            Kind::Switch => self.boolean(value, name).map(u64::from),
            Kind::Enum(items) => self.item(value, &format!("{name} is one of"), items),
            Kind::Flags(items) => {
                let what = format!("{name} is an array of");
                let DeValue::Array(array) = value.get_ref() else {
                    return self.wrong(value.span().start, choices(&what, items));
                };
                // All of them are looked at, so that each mistake is told.
                let bits: Vec<_> = array
                    .iter()
                    .map(|value| self.item(value, &what, items))
                    .collect();
                bits.into_iter().try_fold(0, |sum, bit| Some(sum | bit?))
            }
        }
    }

    fn item(&mut self, value: &At<'_>, what: &str, items: &[Item]) -> Option<u64> {
        let name = match value.get_ref() {
            DeValue::String(name) => Some(name),
            _ => None,
        };
        match items
            .iter()
            .find(|item| name.is_some_and(|n| n == item.name))
        {
            Some(item) => Some(item.value),
            None => self.wrong(value.span().start, choices(what, items)),
        }
    }

    fn collectors(&mut self, value: &At<'_>, lookup: &Lookup<'_>) -> Vec<Destination> {
        let mut collectors: Vec<Destination> = Vec::new();
        let DeValue::Array(array) = value.get_ref() else {
            let what = "collectors are an array of tables: [[collectors]]";
            self.wrong::<()>(value.span().start, what);
            return collectors;
        };
        for value in array {
            let Some(collector) = collector::read(self, value, lookup) else {
                continue;
            };
            let endpoint = collector.endpoint();
            if collectors.iter().any(|other| other.endpoint() == endpoint) {
                self.wrong::<()>(value.span().start, format!("{endpoint} is there twice"));
            }
            collectors.push(collector);
        }
        if array.len() as u64 > MAX_COLLECTORS {
            let what = format!("there are {MAX_COLLECTORS} collectors at most");
            self.wrong::<()>(array[MAX_COLLECTORS as usize].span().start, what);
        }
        collectors
    }

    fn interfaces(&mut self, value: &At<'_>) -> BTreeMap<String, u32> {
        let mut ifaces = BTreeMap::new();
        for (key, value) in self.table(value, "interfaces").into_iter().flatten() {
            let name = key.get_ref().as_ref();
            if let DeValue::Table(_) = value.get_ref() {
                let what = "a name with a dot needs quotes, as in \"eth0.100\" = 100";
                self.wrong::<()>(key.span().start, what);
                continue;
            }
            let name = self.device(key.span().start, name);
            let number = self.number(value, key.get_ref(), 1..=u32::MAX.into());
            if let (Some(name), Some(Ok(number))) = (name, number.map(u32::try_from)) {
                ifaces.insert(name, number);
            }
        }
        if ifaces.len() as u64 > MAX_IFACES {
            let what = format!("there are {MAX_IFACES} numbers of interfaces at most");
            self.wrong::<()>(value.span().start, what);
        }
        ifaces
    }

    /// The name of an interface, which need not be there.
    pub(super) fn device(&mut self, at: usize, name: &str) -> Option<String> {
        // dev_valid_name() of the kernel.
        let is_valid = (1..=DEVICE_NAME_MAX).contains(&(name.len() as u64))
            && !matches!(name, "." | "..")
            && !name.contains(|c: char| matches!(c, '/' | ':' | '\0') || c.is_ascii_whitespace());
        match is_valid {
            true => Some(name.to_owned()),
            false => {
                let name = name.escape_debug();
                self.wrong(at, format!("\"{name}\" is not a name of an interface"))
            }
        }
    }
}

fn choices(what: &str, items: &[Item]) -> String {
    let names: Vec<_> = items.iter().map(|i| format!("\"{}\"", i.name)).collect();
    format!("{what} {}", names.join(", "))
}

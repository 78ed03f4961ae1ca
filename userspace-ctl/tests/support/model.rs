// SPDX-License-Identifier: GPL-2.0-only

//! A kernel that does what it is asked, by the rules of the exporter, and refuses what a test wants
//! it to refuse.

use super::{
    ack,
    done,
    error,
    family,
    nest,
    nla,
    nla_u16,
    nla_u32,
    nla_u8,
    reply,
    IFACE_GET,
    NLM_F_MULTI, //
};
use netflowctl::netlink::Transport;
use std::{
    cell::RefCell,
    collections::{
        BTreeMap,
        VecDeque, //
    },
    io,
    rc::Rc, //
};

/// The state of a namespace: attributes as they came, by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub enabled: bool,
    /// Each setting.
    pub config: BTreeMap<u16, Vec<u8>>,
    /// Source and device of each address and port.
    pub collectors: BTreeMap<(Vec<u8>, u16), BTreeMap<u16, Vec<u8>>>,
    pub ifaces: BTreeMap<Vec<u8>, u32>,
}

#[derive(Debug, Default)]
struct Inner {
    state: State,
    /// The requests that change something, as numbers of operations.
    changes: Vec<u8>,
    /// Which of them are refused.
    refused: Vec<usize>,
    answers: VecDeque<Vec<u8>>,
    /// How often it will yet tell that it exports the flows of an exporter that was disabled.
    disabling: u8,
}

/// All clones are the same kernel.
#[derive(Clone, Debug, Default)]
pub struct Model(Rc<RefCell<Inner>>);

const ENOMEM: i32 = 12;
const ENOENT: i32 = 2;
const EBUSY: i32 = 16;
const EEXIST: i32 = 17;
const ENOSPC: i32 = 28;
const ENODATA: i32 = 61;
const EALREADY: i32 = 114;

const MAX_FLOWS: u16 = 1;
const FAMILIES: u16 = 15;
const PROTOCOL: u16 = 9;

impl Model {
    pub fn new(state: State) -> Self {
        let model = Self::default();
        model.0.borrow_mut().state = state;
        model
    }

    /// Refuses the changes with these numbers, which begin with 0.
    pub fn refuse(&self, changes: impl IntoIterator<Item = usize>) {
        self.0.borrow_mut().refused = changes.into_iter().collect();
    }

    pub fn state(&self) -> State {
        self.0.borrow().state.clone()
    }

    /// The changes that were asked for, by the numbers of the operations.
    pub fn changes(&self) -> Vec<u8> {
        self.0.borrow().changes.clone()
    }
}

impl Transport for Model {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let mut inner = self.0.borrow_mut();
        let kind = u16::from_ne_bytes(*message[4..].first_chunk().unwrap());
        let seq = u32::from_ne_bytes(*message[8..].first_chunk().unwrap());
        let (command, attributes) = (message[16], attributes(&message[20..]));
        let answer = match (kind, command) {
            (0x10, _) => family(),
            (_, 1) => {
                let disabling = nla_u8(11, (inner.disabling > 0).into());
                inner.disabling = inner.disabling.saturating_sub(1);
                let info = [inner.state.info(), disabling].concat();
                [reply(0, seq, 1, &info), ack(seq)].concat()
            }
            (_, IFACE_GET) => inner.state.ifaces(seq),
            _ => inner.change(seq, command, &attributes),
        };
        inner.answers.push_back(answer);
        Ok(())
    }

    fn receive(&mut self, datagram: &mut Vec<u8>) -> io::Result<()> {
        *datagram = self.0.borrow_mut().answers.pop_front().unwrap();
        Ok(())
    }
}

impl Inner {
    fn change(&mut self, seq: u32, command: u8, attributes: &BTreeMap<u16, Vec<u8>>) -> Vec<u8> {
        let number = self.changes.len();
        self.changes.push(command);
        if self.refused.contains(&number) {
            return error(seq, ENOMEM, &[]);
        }
        if self.disabling > 0 {
            return error(seq, EBUSY, &[]);
        }
        match self.state.change(command, attributes) {
            Ok(()) => {
                self.disabling = if command == 6 { 2 } else { 0 };
                ack(seq)
            }
            Err(errno) => error(seq, errno, &[]),
        }
    }
}

impl State {
    fn change(&mut self, command: u8, given: &BTreeMap<u16, Vec<u8>>) -> Result<(), i32> {
        match command {
            3 if self.enabled => return Err(EALREADY),
            3 => {
                self.config.extend(attributes(&given[&2]));
                self.enabled = true;
            }
            4 => {
                let new = attributes(&given[&2]);
                let is_other = |of: &u16| {
                    new.get(of)
                        .is_some_and(|new| self.config.get(of) != Some(new))
                };
                if self.enabled && [MAX_FLOWS, FAMILIES].iter().any(is_other) {
                    return Err(EBUSY);
                }
                self.config.extend(new);
            }
            5 => match u32::from_ne_bytes(*given[&2].first_chunk().unwrap()) {
                0 => drop(self.ifaces.remove(&given[&1]).ok_or(ENOENT)?),
                number => drop(self.ifaces.insert(given[&1].clone(), number)),
            },
            6 if !self.enabled => return Err(ENODATA),
            6 => self.enabled = false,
            8 | 9 => {
                let mut collector = attributes(&given[&8]);
                let address = collector.remove(&1).unwrap();
                let port = collector.remove(&2).unwrap();
                // NetFlow v5 is also what is meant if nothing is said.
                collector.retain(|&number, value| (number, &**value) != (PROTOCOL, &[0; 4]));
                let key = (address, u16::from_ne_bytes(*port.first_chunk().unwrap()));
                match command {
                    8 if self.collectors.contains_key(&key) => return Err(EEXIST),
                    8 if self.collectors.len() == 16 => return Err(ENOSPC),
                    8 => drop(self.collectors.insert(key, collector)),
                    _ => drop(self.collectors.remove(&key).ok_or(ENOENT)?),
                }
            }
            other => unreachable!("{other}"),
        }
        Ok(())
    }

    fn info(&self) -> Vec<u8> {
        let config: Vec<_> = self
            .config
            .iter()
            .map(|(&n, bytes)| nla(n, bytes))
            .collect();
        let mut info = vec![nla_u8(1, self.enabled.into()), nest(2, &config)];
        for ((address, port), more) in &self.collectors {
            let mut collector = vec![nla(1, address), nla_u16(2, *port)];
            collector.extend(more.iter().map(|(&n, bytes)| nla(n, bytes)));
            info.push(nest(8, &collector));
        }
        info.concat()
    }

    fn ifaces(&self, seq: u32) -> Vec<u8> {
        let mut answer = Vec::new();
        for (name, number) in &self.ifaces {
            let attributes = [nla(1, name), nla_u32(2, *number)].concat();
            answer.extend(reply(NLM_F_MULTI, seq, IFACE_GET, &attributes));
        }
        answer.extend(done(seq));
        answer
    }
}

/// struct nlattr { u16 len; u16 type; }, a value, padding to 4 bytes.
fn attributes(mut bytes: &[u8]) -> BTreeMap<u16, Vec<u8>> {
    let mut attributes = BTreeMap::new();
    while bytes.len() >= 4 {
        let length = usize::from(u16::from_ne_bytes([bytes[0], bytes[1]]));
        let kind = u16::from_ne_bytes([bytes[2], bytes[3]]) & 0x3fff;
        attributes.insert(kind, bytes[4..length].to_vec());
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    attributes
}

// SPDX-License-Identifier: GPL-2.0-only

//! Names of interfaces and protocols.

use crate::{
    interfaces::Interfaces,
    messages::Iface, //
};
use std::{
    collections::{
        HashMap,
        HashSet, //
    },
    fs, //
};

/// Where the system lists the names of protocols.
const PROTOCOLS_FILE: &str = "/etc/protocols";

/// Names of the protocols that a system without [`PROTOCOLS_FILE`] meets most.
const PROTOCOLS: &[(u8, &str)] = &[
    (1, "icmp"),
    (2, "igmp"),
    (4, "ipencap"),
    (6, "tcp"),
    (17, "udp"),
    (33, "dccp"),
    (41, "ipv6"),
    (47, "gre"),
    (50, "esp"),
    (51, "ah"),
    (58, "ipv6-icmp"),
    (89, "ospf"),
    (103, "pim"),
    (112, "vrrp"),
    (115, "l2tp"),
    (132, "sctp"),
    (136, "udplite"),
];

/// Finds the name of an interface by its index.
type Lookup = Box<dyn Fn(u32) -> Option<String>>;

/// Names for numbers, each of which is looked up once.
pub struct Names {
    protocols: Vec<String>,
    interfaces: HashMap<u32, String>,
    lookup: Lookup,
}

impl Names {
    /// Names of the network namespace that the calling thread is in, and of this system.
    pub fn of_system() -> Self {
        let listed = fs::read_to_string(PROTOCOLS_FILE).unwrap_or_default();
        let interfaces = Interfaces::open();
        Self::new(&listed, move |index| interfaces.name(index))
    }

    /// Names of protocols from text in the form of /etc/protocols, those of interfaces by a
    /// function.
    pub fn new(protocols: &str, lookup: impl Fn(u32) -> Option<String> + 'static) -> Self {
        Self {
            protocols: list_protocols(protocols),
            interfaces: HashMap::new(),
            lookup: Box::new(lookup),
        }
    }

    /// From here on, an interface is not known by its index but by the number that flows report it
    /// by. A number that stands for several of them has no name, and is shown itself.
    pub fn reported(mut self, ifaces: &[Iface]) -> Self {
        let indices: HashSet<u32> = ifaces.iter().filter_map(|iface| iface.ifindex).collect();
        let mut owners: HashMap<u32, Vec<&str>> = HashMap::new();
        for iface in ifaces {
            owners.entry(iface.number).or_default().push(&iface.ifname);
        }
        for (number, owners) in owners {
            // An interface that is told by its index has it as its number.
            let own_index = !indices.contains(&number) && (self.lookup)(number).is_some();
            let name = match owners[..] {
                [owner] if !own_index => printable(owner),
                _ => number.to_string(),
            };
            self.interfaces.insert(number, name);
        }
        self
    }

    /// The numbers themselves.
    pub fn numeric() -> Self {
        Self {
            protocols: (0..=u8::MAX).map(|number| number.to_string()).collect(),
            interfaces: HashMap::new(),
            lookup: Box::new(|index| Some(index.to_string())),
        }
    }

    /// Name of a protocol, or its number where there is none.
    pub fn protocol(&self, number: u8) -> &str {
        self.protocols
            .get(usize::from(number))
            .map_or("", String::as_str)
    }

    /// Name of an interface, or `ifINDEX` where it is gone.
    pub fn interface(&mut self, index: u32) -> &str {
        self.interfaces
            .entry(index)
            .or_insert_with(|| interface_name(&self.lookup, index))
    }
}

fn interface_name(lookup: &Lookup, index: u32) -> String {
    printable(&lookup(index).unwrap_or_else(|| format!("if{index}")))
}

/// The name of an interface without control characters, which the kernel allows in names, and which
/// are not let through to a terminal.
pub fn printable(name: &str) -> String {
    name.replace(char::is_control, "?")
}

/// A name for each number: that of the text, else that of [`PROTOCOLS`], else the number.
fn list_protocols(text: &str) -> Vec<String> {
    let mut names: Vec<_> = (0..=u8::MAX).map(|number| number.to_string()).collect();
    let known = PROTOCOLS.iter().map(|&(number, name)| (number, name));
    let listed = text.lines().filter_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let (name, number) = (words.next()?, words.next()?);
        Some((number.parse().ok()?, name))
    });
    // Protocol 0 has a name there that says less than its number does.
    for (number, name) in known.chain(listed).filter(|&(number, _)| number != 0) {
        if let Some(entry) = names.get_mut(usize::from(number)) {
            name.clone_into(entry);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        cell::Cell,
        rc::Rc, //
    };

    const TEXT: &str = "# Internet protocols\n\
        ip\t0\tIP\t\t# internet protocol\n\
        icmp\t1\tICMP\n\
        #tcp\t5\n\
        hopopt 256 HOPOPT\n\
        broken\n\
        mine   200\n";

    #[test]
    fn protocols_come_from_the_file_then_from_the_list() {
        let names = Names::new(TEXT, |_| None);
        assert_eq!(names.protocol(0), "0");
        assert_eq!(names.protocol(1), "icmp");
        assert_eq!(names.protocol(5), "5");
        assert_eq!(names.protocol(6), "tcp");
        assert_eq!(names.protocol(200), "mine");
        assert_eq!(names.protocol(255), "255");
    }

    #[test]
    fn interfaces_are_looked_up_once() {
        let calls = Rc::new(Cell::new(0));
        let counter = Rc::clone(&calls);
        let mut names = Names::new("", move |index| {
            counter.set(counter.get() + 1);
            (index == 2).then(|| "et\x1bh0".to_owned())
        });
        assert_eq!(names.interface(2), "et?h0");
        assert_eq!(names.interface(2), "et?h0");
        assert_eq!(names.interface(3), "if3");
        assert_eq!(calls.get(), 2);
    }

    #[test]
    fn interfaces_are_known_by_the_number_that_they_are_reported_by() {
        let iface = |ifindex, number| Iface {
            ifindex: Some(ifindex),
            ifname: format!("eth{ifindex}"),
            number,
        };
        let lookup = |index| (1..=6).contains(&index).then(|| format!("eth{index}"));
        let mut names = Names::new("", lookup).reported(&[
            iface(1, 100),
            // Two interfaces exchange their indices.
            iface(2, 3),
            iface(3, 2),
            // The index of another one.
            iface(4, 5),
            // Two with one number.
            iface(6, 200),
            iface(5000, 200),
            // One that is gone.
            Iface {
                ifindex: None,
                ifname: "ppp0".to_owned(),
                number: 300,
            },
        ]);
        for (number, expected) in [
            (100, "eth1"),
            (1, "eth1"),
            (3, "eth2"),
            (2, "eth3"),
            (5, "5"),
            (200, "200"),
            (300, "ppp0"),
            (7, "if7"),
        ] {
            assert_eq!(names.interface(number), expected);
        }
    }

    #[test]
    fn numbers_on_request() {
        let mut names = Names::numeric();
        assert_eq!(names.protocol(6), "6");
        assert_eq!(names.interface(7), "7");
    }

    #[test]
    fn the_system_knows_its_loopback() {
        let mut names = Names::of_system();
        assert_eq!(names.interface(1), "lo");
        assert_eq!(names.protocol(6), "tcp");
    }
}

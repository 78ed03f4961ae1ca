// SPDX-License-Identifier: GPL-2.0

//! The part of the configuration that the packet path asks for, and that may change meanwhile.
//!
//! What is asked for each packet is one word of flags, so that a packet sees all of it as of one
//! moment. The tables are looked into only if a flag says that there is something in them.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

use crate::{
    bindings,
    config::{
        Config,
        IcmpPorts, //
    },
    flow::observe::ObservationPoints,
    linux::rwonce::RwOnce, //
};

/// Interfaces that can have a number of their own.
pub(crate) const IFACES_MAX: usize = bindings::NETFLOW_MAX_IFACES as usize;

/// Flags, above those of [`ObservationPoints`].
const ICMP_ZERO: u32 = 1 << 8;
const COUNT_OWN: u32 = 1 << 9;
const IFACES: u32 = 1 << 10;

/// The flags.
#[derive(Clone, Copy)]
pub(crate) struct ConfigFlags(u32);

impl ConfigFlags {
    /// Where packets are counted.
    #[inline]
    pub(crate) fn points(self) -> ObservationPoints {
        ObservationPoints::from_bits(self.0)
    }

    /// Whether ICMP flows have no type and code.
    #[inline]
    pub(crate) fn icmp_zero(self) -> bool {
        self.0 & ICMP_ZERO != 0
    }

    /// Whether the exporter's own datagrams are accounted.
    #[inline]
    pub(crate) fn counts_own(self) -> bool {
        self.0 & COUNT_OWN != 0
    }

    /// Whether an interface has a number of its own.
    #[inline]
    fn has_ifaces(self) -> bool {
        self.0 & IFACES != 0
    }
}

/// Written by one at a time, who holds the lock of the namespace.
pub(crate) struct PathConfig {
    flags: RwOnce<u32>,
    /// Each an index in the upper half and its number in the lower; 0 ends the table.
    ifaces: [Atomic<u64>; IFACES_MAX],
}

impl PathConfig {
    /// Nothing is observed, and the tables are empty.
    pub(crate) fn new() -> Self {
        Self {
            flags: RwOnce::new(0),
            ifaces: [const { Atomic::new(0) }; IFACES_MAX],
        }
    }

    /// Reads the flags. Any context.
    #[inline(always)]
    pub(crate) fn flags(&self) -> ConfigFlags {
        ConfigFlags(self.flags.read())
    }

    /// Writes all flags but for the one of the table of interfaces.
    pub(crate) fn set(&self, config: &Config) {
        let mut flags = config.observe.bits() | (self.flags.read() & IFACES);
        if config.icmp_ports == IcmpPorts::Zero {
            flags |= ICMP_ZERO;
        }
        if config.count_own {
            flags |= COUNT_OWN;
        }
        self.flags.write(flags);
    }

    /// Nothing is observed any more.
    pub(crate) fn observe_nothing(&self) {
        self.flags.write(self.flags.read() & IFACES);
    }

    /// Gives an interface a number, or with 0 takes it away. `ENOSPC` if the table is full.
    pub(crate) fn set_iface(&self, index: u32, number: u32) -> Result {
        let entry = (u64::from(index) << 32) | u64::from(number);
        let is =
            |wanted: u32| move |slot: &&Atomic<u64>| slot.load(Relaxed) >> 32 == u64::from(wanted);
        let known = self.ifaces.iter().find(is(index));
        match (known, number) {
            (None, 0) => {}
            (None, _) => self
                .ifaces
                .iter()
                .find(is(0))
                .ok_or(ENOSPC)?
                .store(entry, Relaxed),
            (Some(slot), 0) => {
                // The last one takes its key, so that the table has no gap.
                let last = self.ifaces.iter().take_while(|slot| !is(0)(slot)).last();
                if let Some(last) = last {
                    slot.store(last.load(Relaxed), Relaxed);
                    last.store(0, Relaxed);
                }
            }
            (Some(slot), _) => slot.store(entry, Relaxed),
        }
        let flags = self.flags.read() & !IFACES;
        let any = self.ifaces().next().is_some();
        self.flags.write(if any { flags | IFACES } else { flags });
        Ok(())
    }

    /// The interfaces that have a number: index and number.
    pub(crate) fn ifaces(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.ifaces
            .iter()
            .map(|entry| entry.load(Relaxed))
            .take_while(|entry| *entry != 0)
            // CAST: The two halves.
            .map(|entry| ((entry >> 32) as u32, entry as u32))
    }

    /// The number of an interface. Any context.
    #[inline(always)]
    pub(crate) fn iface(&self, flags: ConfigFlags, index: u32) -> u32 {
        if flags.has_ifaces() {
            self.number_of(index)
        } else {
            index
        }
    }

    #[inline(never)]
    fn number_of(&self, index: u32) -> u32 {
        self.ifaces()
            .find(|(known, _)| *known == index)
            .map_or(index, |(_, number)| number)
    }
}

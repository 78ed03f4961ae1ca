// SPDX-License-Identifier: GPL-2.0

//! Which interfaces Collectors are to be told of, by the names that people know. Process context.
//!
//! All are looked at in each round. A notifier would tell of changes too, but not of the alias of
//! an interface that is down, and to register one takes RTNL.

use kernel::prelude::*;

use super::options::Interface;
use crate::linux::{
    cond_resched,
    netdevice::Device,
    netns::Netns, //
};

/// Interfaces that are looked at before it is asked anew whether the round had better end.
const INTERFACES_PER_END: u32 = 64;

/// What Collectors have been told of an interface.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Told {
    index: u32,
    /// Of its number, its name and its alias.
    hash: u64,
}

/// The interfaces of a namespace, as Collectors have been told of them.
pub(super) struct Interfaces {
    /// In the order of their indices.
    told: KVVec<Told>,
    /// Becomes `told` at the end of a round.
    next: KVVec<Told>,
}

/// FNV-1a of 64 bits, over several texts that are told apart.
fn hash(number: u32, name: &[u8], alias: &[u8]) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;

    let number = number.to_ne_bytes();
    let parts: [&[u8]; 4] = [name, &[0], alias, &number];
    parts.iter().fold(BASIS, |hash, part| {
        part.iter().fold(hash, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(PRIME)
        })
    })
}

/// Adds one. Without memory it is forgotten, and told again in the next round.
fn remember(told: &mut KVVec<Told>, this: Told) {
    // `KVVec::push` would panic where a capacity overflows.
    if told.len() == told.capacity() {
        let capacity = told.capacity().saturating_mul(2).max(64);
        let Ok(mut more) = KVVec::with_capacity(capacity, GFP_KERNEL_ACCOUNT) else {
            return;
        };
        for known in told.iter() {
            let _ = more.push_within_capacity(*known);
        }
        *told = more;
    }
    let _ = told.push_within_capacity(this);
}

impl Interfaces {
    /// None has been told.
    pub(super) fn new() -> Self {
        Self {
            told: KVVec::new(),
            next: KVVec::new(),
        }
    }

    /// Calls `tell` for each interface, with its index and whether it is another than at the last
    /// call: new, or by another name, alias or number. `number_of` says by which number an index is
    /// reported. Ends early if `is_over`; returns whether it did not.
    pub(super) fn for_each(
        &mut self,
        netns: &Netns,
        number_of: impl Fn(u32) -> u32,
        is_over: impl Fn() -> bool,
        mut tell: impl FnMut(u32, Interface<'_>, bool),
    ) -> bool {
        self.next.clear();
        let mut left = INTERFACES_PER_END;
        let mut told = self.told.iter().peekable();
        let mut index = 0;
        while let Some(device) = Device::next(netns, index) {
            index = device.index;
            let interface = Interface {
                number: number_of(index),
                name: device.name(),
                description: device.alias(),
            };
            let this = Told {
                index,
                hash: hash(interface.number, interface.name, interface.description),
            };
            while told.next_if(|told| told.index < index).is_some() {}
            let is_known = told.next_if(|told| **told == this).is_some();
            tell(index, interface, !is_known);
            remember(&mut self.next, this);
            cond_resched();
            left = left.saturating_sub(1);
            if left == 0 {
                if is_over() {
                    return false;
                }
                left = INTERFACES_PER_END;
            }
        }
        core::mem::swap(&mut self.told, &mut self.next);
        true
    }
}

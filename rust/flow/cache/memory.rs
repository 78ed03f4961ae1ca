// SPDX-License-Identifier: GPL-2.0

//! The memory of the flows: homes for all that there may be, and cells for those that spill.

use kernel::{
    alloc::Flags,
    prelude::*, //
};

use super::super::{
    bucket::{
        spilled_of,
        Cells,
        Homes, //
    },
    key::Address,
    record::Flow,
    slab::{
        Cell,
        Handle,
        Slab, //
    },
};
use super::Cache;
use crate::linux::{
    cond_resched_at,
    lock::{
        lock_in,
        SoftirqsOff, //
    }, //
};

/// Cells that are not in use.
pub(super) type Spare<A> = KVVec<Handle<Flow<A>>>;

/// The memory of all flows.
pub(super) type Memory<A> = Cells<A, KVVec<Cell<Homes<A>>>, KVVec<Cell<Flow<A>>>>;

/// What [`reserve`] reserves.
pub(super) struct Reserved<A: Address, H> {
    pub(super) memory: Memory<A>,
    /// The homes of each bucket, in order.
    pub(super) homes: H,
    pub(super) spare: Spare<A>,
}

/// Reserves memory for the flows of a cache of `max` flows in so many `buckets`. Process context.
pub(super) fn reserve<A: Address>(
    max: u32,
    buckets: usize,
    flags: Flags,
) -> Result<Reserved<A, impl Iterator<Item = Handle<Homes<A>>>>> {
    let (homes, each) = Slab::new(cells(buckets, [Flow::VACANT; _], flags)?);
    let spilled = cells(spilled_of(max as usize), Flow::VACANT, flags)?;
    let mut spare = KVVec::with_capacity(spilled.len(), flags)?;
    let (spilled, handles) = Slab::new(spilled);
    for handle in handles {
        cond_resched_at(spare.len());
        spare.push_within_capacity(handle).map_err(|_| ENOMEM)?;
    }
    Ok(Reserved {
        memory: Cells::new(homes, spilled),
        homes: each,
        spare,
    })
}

fn cells<T: Copy>(count: usize, vacant: T, flags: Flags) -> Result<KVVec<Cell<T>>> {
    let mut cells = KVVec::with_capacity(count, flags)?;
    for i in 0..count {
        cond_resched_at(i);
        cells
            .push_within_capacity(Cell::new(vacant))
            .map_err(|_| ENOMEM)?;
    }
    Ok(cells)
}

impl<A: Address> Cache<A> {
    /// Takes a cell to spill into, if one is spare.
    pub(super) fn take_cell(&self, softirqs: SoftirqsOff<'_>) -> Option<Handle<Flow<A>>> {
        lock_in(&self.spare.data, softirqs).pop()
    }

    /// Gives it back.
    pub(super) fn give_cell(&self, cell: Handle<Flow<A>>, softirqs: SoftirqsOff<'_>) {
        // There is room: the vector was made for all of them.
        let _ = lock_in(&self.spare.data, softirqs).push_within_capacity(cell);
    }
}

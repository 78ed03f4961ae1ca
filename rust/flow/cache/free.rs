// SPDX-License-Identifier: GPL-2.0

//! The cells that are not in use: a list for each CPU, so that new flows on two CPUs do not meet.
//!
//! A cell belongs to one list for ever. A CPU takes cells from its own list, and from the others when that
//! has none; whoever frees a cell gives it back to its list.
//!
//! Beside its cells a list remembers in which buckets flows have finished, of those buckets that are its part:
//! should all cells be in use, one of those flows can make way.

use kernel::{
    alloc::Flags,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

use super::super::{
    ring::Ring,
    slab::{
        Handle,
        Index, //
    },
};
use crate::linux::{
    cond_resched_at,
    lock::{
        lock_in,
        new_spinlock_bh,
        SoftirqGuard,
        SoftirqsOff,
        SpinLockBh, //
    },
    percpu::{
        cpus_online,
        this_cpu, //
    },
};

/// The most lists, one for each bit of a [`Map`], and the fewest cells that are worth one.
const LISTS_MAX: usize = u64::BITS as usize;
const CELLS_MIN: u32 = 512;

/// What a CPU has of its own.
struct List {
    /// Cells that are not in use.
    free: KVVec<Handle>,
    /// Buckets in which flows have finished, if they are still there.
    finished: Ring<KVVec<u32>>,
    /// Of these, how many were there when the walk before the last one began.
    before_last: usize,
    /// The same, of the last one.
    before_this: usize,
}

impl List {
    fn with_capacity(cells: u32, flags: Flags) -> Result<Self> {
        Ok(Self {
            free: KVVec::with_capacity(cells as usize, flags)?,
            finished: Ring::new(KVVec::from_elem(0, cells as usize, flags)?),
            before_last: 0,
            before_this: 0,
        })
    }
}

impl List {
    fn next_finished(&mut self) -> Option<u32> {
        self.before_last = self.before_last.saturating_sub(1);
        self.before_this = self.before_this.saturating_sub(1);
        self.finished.pop()
    }
}

/// A list and its lock, apart from all others.
#[pin_data]
#[repr(align(64))]
struct Line {
    #[pin]
    list: SpinLockBh<List>,
}

/// Which lists have something: a bit for each, changed under the list's lock.
#[repr(align(64))]
struct Map(Atomic<u64>);

/// The bit of a list.
fn bit(list: usize) -> u64 {
    // CAST: Less than 64.
    1u64.wrapping_shl(list as u32)
}

impl Map {
    fn set(&self, list: usize) {
        self.0.add(bit(list), Relaxed);
    }

    fn clear(&self, list: usize) {
        self.0.fetch_sub(bit(list), Relaxed);
    }

    /// The first list that has something, from `own` on.
    fn find(&self, own: usize) -> Option<usize> {
        let map = self.0.load(Relaxed);
        if map == 0 {
            return None;
        }
        // CAST: Less than 64, both of them.
        let distance = map.rotate_right(own as u32).trailing_zeros() as usize;
        Some(own.wrapping_add(distance) % LISTS_MAX)
    }
}

/// The lists.
pub(super) struct Free {
    lines: Pin<KVBox<[Line]>>,
    /// Cells in all.
    cells: u32,
    with_cells: Map,
    with_finished: Map,
}

impl Free {
    /// Lists of `handles`, `cells` of them. Process context.
    pub(super) fn new(
        handles: impl Iterator<Item = Handle>,
        cells: u32,
        flags: Flags,
    ) -> Result<Self> {
        let lists = lists_for(cells);
        // One more than a part of a whole number, at most.
        let share = cells.wrapping_shr(lists.trailing_zeros()).saturating_add(1);
        let lines = KVBox::pin_slice(
            |_| {
                let list = List::with_capacity(share, flags);
                try_pin_init!(Line {
                    list <- new_spinlock_bh!(list?, "netflow_free"),
                }? Error)
            },
            lists,
            flags,
        )?;
        let this = Self {
            lines,
            cells,
            with_cells: Map(Atomic::new(0)),
            with_finished: Map(Atomic::new(0)),
        };
        for handle in handles {
            cond_resched_at(handle.index().to_usize());
            this.give(handle, SoftirqGuard::new().proof());
        }
        Ok(this)
    }

    /// The number of the last list, which is a mask, as there is a power of two of them.
    #[inline]
    fn mask(&self) -> usize {
        self.lines.len().wrapping_sub(1)
    }

    /// The list of this CPU.
    #[inline]
    fn own(&self, softirqs: SoftirqsOff<'_>) -> usize {
        this_cpu(softirqs) as usize & self.mask()
    }

    /// Whether no cell is free.
    #[inline]
    pub(super) fn is_exhausted(&self) -> bool {
        self.with_cells.0.load(Relaxed) == 0
    }

    /// Takes a cell, if one is free. Says which comes next.
    #[inline]
    pub(super) fn take(&self, softirqs: SoftirqsOff<'_>) -> Option<(Handle, Option<Index>)> {
        let own = self.own(softirqs);
        // Others may be quicker, each time; not for ever.
        for _ in 0..self.lines.len() {
            let i = self.with_cells.find(own)?;
            let mut list = lock_in(&self.lines.get(i)?.list, softirqs);
            let Some(handle) = list.free.pop() else {
                continue;
            };
            let next = list.free.last().map(Handle::index);
            if next.is_none() {
                self.with_cells.clear(i);
            }
            return Some((handle, next));
        }
        None
    }

    /// Gives back a cell.
    pub(super) fn give(&self, handle: Handle, softirqs: SoftirqsOff<'_>) {
        let i = handle.index().to_usize() & self.mask();
        if let Some(line) = self.lines.get(i) {
            let mut list = lock_in(&line.list, softirqs);
            let was_empty = list.free.is_empty();
            // There is room: the vector was made for all cells of the list.
            if list.free.push_within_capacity(handle).is_ok() && was_empty {
                self.with_cells.set(i);
            }
        }
    }

    /// A flow in `bucket` has finished.
    pub(super) fn note_finished(&self, bucket: u32, softirqs: SoftirqsOff<'_>) {
        // The lists share the buckets: each can remember as many as it has cells.
        let i = bucket as usize & self.mask();
        if let Some(line) = self.lines.get(i) {
            let mut list = lock_in(&line.list, softirqs);
            if list.finished.len() == 0 {
                self.with_finished.set(i);
            } else if list.finished.is_full() {
                // The oldest has been exported since then, most likely.
                list.next_finished();
            }
            list.finished.push(bucket);
        }
    }

    /// Whether there may be a flow that has finished.
    #[inline]
    pub(super) fn has_finished(&self) -> bool {
        self.with_finished.0.load(Relaxed) != 0
    }

    /// A bucket in which a flow has finished, and may be still.
    pub(super) fn next_finished(&self, softirqs: SoftirqsOff<'_>) -> Option<u32> {
        let i = self.with_finished.find(self.own(softirqs))?;
        let mut list = lock_in(&self.lines.get(i)?.list, softirqs);
        let bucket = list.next_finished()?;
        if list.finished.len() == 0 {
            self.with_finished.clear(i);
        }
        Some(bucket)
    }

    /// A walk through all buckets begins. Process context, one walk at a time.
    pub(super) fn walk_begins(&self) {
        for line in self.lines.iter() {
            let mut list = line.list.lock();
            list.before_this = list.finished.len();
        }
    }

    /// It ends. What had finished before the walk in front of it has been taken out, or, with `at_once`, what
    /// had before it began: those buckets are forgotten. Process context.
    pub(super) fn walk_ends(&self, at_once: bool) {
        for (i, line) in self.lines.iter().enumerate() {
            let mut list = line.list.lock();
            if at_once {
                list.before_last = list.before_this;
            }
            let gone = list.before_last;
            list.finished.forget(gone);
            list.before_last = list.before_this.saturating_sub(gone);
            if gone != 0 && list.finished.len() == 0 {
                self.with_finished.clear(i);
            }
        }
    }

    /// Cells in use. Process context or softirq.
    pub(super) fn used(&self) -> u32 {
        let free = |line: &Line| line.list.lock().free.len() as u32;
        self.lines
            .iter()
            .fold(self.cells, |used, line| used.saturating_sub(free(line)))
    }
}

/// How many lists are worth while: a power of two.
fn lists_for(cells: u32) -> usize {
    let most = (cells / CELLS_MIN).min(cpus_online()) as usize;
    most.min(LISTS_MAX).checked_next_power_of_two().unwrap_or(1)
}

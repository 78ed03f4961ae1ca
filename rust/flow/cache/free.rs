// SPDX-License-Identifier: GPL-2.0

//! The cells that are not in use: a list for each CPU, so that new flows on two CPUs do not meet.
//!
//! A cell belongs to one list for ever. A CPU takes cells from its own list, and from the others when that
//! has none; whoever frees a cell gives it back to its list. The lists share what the cache may hold, so
//! that each knows alone whether it has room.

use kernel::{
    alloc::{
        flags::__GFP_NOWARN,
        Flags, //
    },
    prelude::*,
};

use super::super::slab::{
    Handle,
    Index, //
};
use crate::linux::{
    cond_resched_at,
    lock::{
        lock_in,
        new_spinlock_bh,
        SoftirqsOff,
        SpinLockBh, //
    },
    percpu::{
        cpus,
        this_cpu, //
    },
    shared::Shared, //
};

/// The most lists, and the fewest cells that are worth one.
const LISTS_MAX: usize = 64;
const CELLS_MIN: u32 = 512;

/// Cells of one CPU that are not in use, and how many of those in use do not count.
struct List {
    handles: KVVec<Handle>,
    /// Cells in all.
    cells: u32,
    /// Flows that there may be in them.
    max: u32,
    /// Finished flows: they only wait to be exported, so they do not keep new ones out.
    finished: u32,
}

impl List {
    fn with_capacity(cells: u32, max: u32, flags: Flags) -> Result<Self> {
        Ok(Self {
            handles: KVVec::with_capacity(cells as usize, flags)?,
            cells,
            max,
            finished: 0,
        })
    }

    fn occupancy(&self) -> Occupancy {
        // CAST: At most `cells`.
        let used = self.cells.saturating_sub(self.handles.len() as u32);
        Occupancy {
            used,
            live: used.saturating_sub(self.finished),
        }
    }

    fn has_room(&self) -> bool {
        !self.handles.is_empty() && self.occupancy().live < self.max
    }
}

/// How many flows there are.
#[derive(Clone, Copy, Default)]
pub(super) struct Occupancy {
    /// Cells in use.
    pub(super) used: u32,
    /// Those that count: not finished.
    pub(super) live: u32,
}

/// A list and its lock, apart from all others.
#[pin_data]
#[repr(align(64))]
struct Line {
    #[pin]
    list: SpinLockBh<List>,
}

/// The lists.
pub(super) struct Free {
    lines: Pin<KVBox<[Line]>>,
    /// For each list, whether it has room: written under its lock, and read by CPUs that have none.
    room: [Shared<u32>; LISTS_MAX],
}

impl Free {
    /// Lists of `handles`, `cells` of them, for `max` flows that count. Process context.
    pub(super) fn new(
        handles: impl Iterator<Item = Handle>,
        cells: u32,
        max: u32,
        flags: Flags,
    ) -> Result<Self> {
        let flags = flags | __GFP_NOWARN;
        let lists = lists_for(cells);
        // CAST: At most `LISTS_MAX`.
        let part = |whole: u32, i: usize| {
            let n = lists as u32;
            (whole / n).saturating_add(u32::from((i as u32) < whole % n))
        };
        let lines = KVBox::pin_slice(
            |i| {
                let list = List::with_capacity(part(cells, i), part(max, i), flags);
                try_pin_init!(Line {
                    list <- new_spinlock_bh!(list?, "netflow_free"),
                }? Error)
            },
            lists,
            flags,
        )?;
        let this = Self {
            lines,
            room: [const { Shared::new(0) }; LISTS_MAX],
        };
        for handle in handles {
            cond_resched_at(handle.index().to_usize());
            let i = this.home(&handle);
            if let Some(line) = this.lines.get(i) {
                let mut list = line.list.lock();
                list.handles
                    .push_within_capacity(handle)
                    .map_err(|_| ENOMEM)?;
                this.publish(i, &list);
            }
        }
        Ok(this)
    }

    /// Which list a cell belongs to.
    #[inline]
    fn home(&self, handle: &Handle) -> usize {
        // There is a power of two of them.
        handle.index().to_usize() & self.lines.len().wrapping_sub(1)
    }

    /// Notes whether a list has room.
    #[inline]
    fn publish(&self, i: usize, list: &List) {
        if let Some(room) = self.room.get(i) {
            let has_room = list.has_room().into();
            // A line that all read is not written without need.
            if room.read() != has_room {
                room.write(has_room);
            }
        }
    }

    /// Takes a cell for a new flow, unless there are as many flows as may be. Says which one comes next.
    #[inline]
    pub(super) fn take(
        &self,
        finished: bool,
        softirqs: SoftirqsOff<'_>,
    ) -> Option<(Handle, Option<Index>)> {
        let mask = self.lines.len().wrapping_sub(1);
        let own = this_cpu(softirqs) as usize & mask;
        let cell = self.take_from(own, finished, softirqs);
        if cell.is_some() {
            return cell;
        }
        (1..self.lines.len())
            .map(|distance| own.wrapping_add(distance) & mask)
            .find_map(|i| self.take_from(i, finished, softirqs))
    }

    #[inline]
    fn take_from(
        &self,
        i: usize,
        finished: bool,
        softirqs: SoftirqsOff<'_>,
    ) -> Option<(Handle, Option<Index>)> {
        if self.room.get(i)?.read() == 0 {
            return None;
        }
        let mut list = lock_in(&self.lines.get(i)?.list, softirqs);
        if !list.has_room() {
            return None;
        }
        let handle = list.handles.pop()?;
        if finished {
            list.finished = list.finished.saturating_add(1);
        }
        self.publish(i, &list);
        Some((handle, list.handles.last().map(Handle::index)))
    }

    /// Gives back a cell; `finished` if its flow was.
    pub(super) fn give(&self, handle: Handle, finished: bool, softirqs: SoftirqsOff<'_>) {
        let i = self.home(&handle);
        if let Some(line) = self.lines.get(i) {
            let mut list = lock_in(&line.list, softirqs);
            list.finished = list.finished.saturating_sub(finished.into());
            // There is room: the vector was made for all cells of the list.
            let _ = list.handles.push_within_capacity(handle);
            self.publish(i, &list);
        }
    }

    /// The flow in a cell has finished.
    pub(super) fn count_finished(&self, handle: &Handle, softirqs: SoftirqsOff<'_>) {
        let i = self.home(handle);
        if let Some(line) = self.lines.get(i) {
            let mut list = lock_in(&line.list, softirqs);
            list.finished = list.finished.saturating_add(1);
            self.publish(i, &list);
        }
    }

    /// How many flows there are in all. Process context or softirq.
    pub(super) fn occupancy(&self) -> Occupancy {
        let mut sum = Occupancy::default();
        for line in self.lines.iter() {
            let Occupancy { used, live } = line.list.lock().occupancy();
            sum.used = sum.used.saturating_add(used);
            sum.live = sum.live.saturating_add(live);
        }
        sum
    }
}

/// How many lists are worth while: a power of two.
fn lists_for(cells: u32) -> usize {
    let most = (cells / CELLS_MIN).min(cpus()) as usize;
    let most = most.clamp(1, LISTS_MAX);
    // The greatest power of two that is not above it.
    1 << most.checked_ilog2().unwrap_or(0)
}

// SPDX-License-Identifier: GPL-2.0

//! How many more flows there may be: a part of it for each CPU, so that new flows on two CPUs do not meet.
//!
//! A CPU takes from its own part, and some of another one when that is used up. A flow that leaves gives its
//! room back to the part that has its bucket.
//!
//! Each part remembers in which of its buckets flows have finished: should there be no room at all, one of
//! those flows can make way.

use kernel::{
    alloc::Flags,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

use super::super::ring::Ring;
use crate::linux::{
    lock::{
        lock_in,
        new_spinlock_bh,
        Line,
        SoftirqsOff, //
    },
    percpu::{
        cpus_online,
        this_cpu, //
    },
    shared::read_once,
};

/// The most parts, one for each bit of a [`Map`], and the fewest flows that are worth one.
const PARTS_MAX: usize = u64::BITS as usize;
const FLOWS_MIN: u32 = 512;

/// How much a CPU takes from another one's part at a time. While it is on its way, it counts as used.
const BATCH: u32 = 32;

/// What a CPU has of its own.
struct Part {
    /// How many more flows there may be.
    room: u32,
    /// Buckets in which flows have finished, if they are still there.
    finished: Ring<KVVec<u32>>,
    /// Of these, how many were there when the walk before the last one began.
    before_last: usize,
    /// The same, of the last one.
    before_this: usize,
}

impl Part {
    fn new(room: u32, flags: Flags) -> Result<Self> {
        Ok(Self {
            room,
            finished: Ring::new(KVVec::from_elem(0, room as usize, flags)?),
            before_last: 0,
            before_this: 0,
        })
    }

    fn next_finished(&mut self) -> Option<u32> {
        self.before_last = self.before_last.saturating_sub(1);
        self.before_this = self.before_this.saturating_sub(1);
        self.finished.pop()
    }
}

/// Which parts have something: a bit for each, changed under the part's lock.
#[repr(align(64))]
struct Map(Atomic<u64>);

/// The bit of a part.
fn bit(part: usize) -> u64 {
    // CAST: Less than 64.
    1u64.wrapping_shl(part as u32)
}

impl Map {
    fn set(&self, part: usize) {
        self.0.add(bit(part), Relaxed);
    }

    fn clear(&self, part: usize) {
        self.0.fetch_sub(bit(part), Relaxed);
    }

    /// The first part that has something, from `own` on.
    fn find(&self, own: usize) -> Option<usize> {
        let map = self.0.load(Relaxed);
        if map == 0 {
            return None;
        }
        // CAST: Less than 64, both of them.
        let distance = map.rotate_right(own as u32).trailing_zeros() as usize;
        Some(own.wrapping_add(distance) % PARTS_MAX)
    }
}

/// Room for flows, in parts.
pub(super) struct Room {
    lines: Pin<KVBox<[Line<Part>]>>,
    /// Flows at most.
    flows: u32,
    with_room: Map,
    with_finished: Map,
}

impl Room {
    /// Room for `flows`. Process context.
    pub(super) fn new(flows: u32, flags: Flags) -> Result<Self> {
        let parts = parts_for(flows);
        let lines = KVBox::pin_slice(
            |i| {
                // What does not divide evenly goes to the first ones. CAST: Less than 64.
                let rounded_up = flows.wrapping_add(parts.wrapping_sub(1).wrapping_sub(i as u32));
                let part = Part::new(rounded_up.wrapping_shr(parts.trailing_zeros()), flags);
                try_pin_init!(Line {
                    data <- new_spinlock_bh!(part?, "netflow_room"),
                }? Error)
            },
            parts as usize,
            flags,
        )?;
        let this = Self {
            lines,
            flows,
            with_room: Map(Atomic::new(0)),
            with_finished: Map(Atomic::new(0)),
        };
        for (i, line) in this.lines.iter().enumerate() {
            if line.data.lock().room != 0 {
                this.with_room.set(i);
            }
        }
        Ok(this)
    }

    /// The number of the last part, which is a mask, as there is a power of two of them.
    #[inline]
    fn mask(&self) -> usize {
        self.lines.len().wrapping_sub(1)
    }

    /// The part of this CPU.
    #[inline]
    fn own(&self, softirqs: SoftirqsOff<'_>) -> usize {
        this_cpu(softirqs) as usize & self.mask()
    }

    /// Whether there is none.
    #[inline(always)]
    pub(super) fn is_exhausted(&self) -> bool {
        read_once(&self.with_room.0) == 0
    }

    /// Room for the flows that a run of `packets` may begin. None is taken yet.
    #[inline(always)]
    pub(super) fn hold<'a>(&'a self, packets: u32, softirqs: SoftirqsOff<'a>) -> Held<'a> {
        Held {
            room: self,
            softirqs,
            packets,
            flows: 0,
            has_taken: false,
        }
    }

    /// Takes room for `flows`, or some of them. Returns for how many.
    #[inline]
    fn take(&self, flows: u32, softirqs: SoftirqsOff<'_>) -> u32 {
        if self.is_exhausted() {
            return 0;
        }
        let own = self.own(softirqs);
        // What is held is full to others: no more than half, unless it is the last.
        match self.take_from(own, |room| flows.min(room.div_ceil(2)), softirqs) {
            0 => self.take_elsewhere(own, softirqs).into(),
            taken => taken,
        }
    }

    /// Takes room for one flow where there is none in the `own` part. Returns whether there was any.
    #[cold]
    fn take_elsewhere(&self, own: usize, softirqs: SoftirqsOff<'_>) -> bool {
        // Others may be quicker, each time; not for ever.
        for _ in 0..self.lines.len() {
            let Some(i) = self.with_room.find(own) else {
                return false;
            };
            // More than one, so that it is not asked for each flow; not all, so that none is told it is full.
            let taken = self.take_from(i, |room| room.div_ceil(2).min(BATCH), softirqs);
            if taken != 0 {
                self.add(taken.wrapping_sub(1), own, softirqs);
                return true;
            }
        }
        false
    }

    /// Takes some of the room of a part, if there is any, and returns how much.
    #[inline(always)]
    fn take_from(&self, i: usize, some: impl Fn(u32) -> u32, softirqs: SoftirqsOff<'_>) -> u32 {
        let Some(line) = self.lines.get(i) else {
            return 0;
        };
        let mut part = lock_in(&line.data, softirqs);
        if part.room == 0 {
            return 0;
        }
        let taken = some(part.room);
        part.room = part.room.wrapping_sub(taken);
        if part.room == 0 {
            self.with_room.clear(i);
        }
        taken
    }

    /// Gives back the room of `flows` that were in a bucket.
    pub(super) fn give(&self, flows: u32, bucket: u32, softirqs: SoftirqsOff<'_>) {
        self.add(flows, bucket as usize & self.mask(), softirqs);
    }

    /// Adds room to a part.
    #[inline]
    fn add(&self, flows: u32, i: usize, softirqs: SoftirqsOff<'_>) {
        if flows == 0 {
            return;
        }
        if let Some(line) = self.lines.get(i) {
            let mut part = lock_in(&line.data, softirqs);
            if part.room == 0 {
                self.with_room.set(i);
            }
            part.room = part.room.saturating_add(flows);
        }
    }

    /// A flow in `bucket` has finished.
    pub(super) fn note_finished(&self, bucket: u32, softirqs: SoftirqsOff<'_>) {
        let i = bucket as usize & self.mask();
        if let Some(line) = self.lines.get(i) {
            let mut part = lock_in(&line.data, softirqs);
            if part.finished.len() == 0 {
                self.with_finished.set(i);
            } else if part.finished.is_full() {
                // The oldest has been exported since then, most likely.
                part.next_finished();
            }
            part.finished.push(bucket);
        }
    }

    /// Whether there may be a flow that has finished.
    #[inline]
    pub(super) fn has_finished(&self) -> bool {
        read_once(&self.with_finished.0) != 0
    }

    /// A bucket in which a flow has finished, and may be still.
    pub(super) fn next_finished(&self, softirqs: SoftirqsOff<'_>) -> Option<u32> {
        let i = self.with_finished.find(self.own(softirqs))?;
        let mut part = lock_in(&self.lines.get(i)?.data, softirqs);
        let bucket = part.next_finished()?;
        if part.finished.len() == 0 {
            self.with_finished.clear(i);
        }
        Some(bucket)
    }

    /// A walk through all buckets begins. Process context, one walk at a time.
    pub(super) fn walk_begins(&self) {
        for line in self.lines.iter() {
            let mut part = line.data.lock();
            part.before_this = part.finished.len();
        }
    }

    /// It ends. What had finished before the walk in front of it has been taken out, or, with `at_once`, what
    /// had before it began: those buckets are forgotten. Process context.
    pub(super) fn walk_ends(&self, at_once: bool) {
        for (i, line) in self.lines.iter().enumerate() {
            let mut part = line.data.lock();
            if at_once {
                part.before_last = part.before_this;
            }
            let gone = part.before_last;
            part.finished.forget(gone);
            part.before_last = part.before_this.saturating_sub(gone);
            if gone != 0 && part.finished.len() == 0 {
                self.with_finished.clear(i);
            }
        }
    }

    /// Flows that have taken theirs, and those for which it is held or on its way to another part. Process context or
    /// softirq.
    pub(super) fn used(&self) -> u32 {
        self.lines.iter().fold(self.flows, |used, line| {
            used.saturating_sub(line.data.lock().room)
        })
    }
}

/// Room that is taken for the flows which a run of packets begins: for one at first, and when there is another for all that
/// may follow, so that a flood takes a lock for many of them. What is left is given back on drop.
pub(crate) struct Held<'a> {
    room: &'a Room,
    softirqs: SoftirqsOff<'a>,
    /// Packets of the run that are still to come.
    packets: u32,
    /// Flows for which there is room.
    flows: u32,
    has_taken: bool,
}

impl Held<'_> {
    /// The next packet of the run comes.
    #[inline(always)]
    pub(super) fn next_packet(&mut self) {
        self.packets = self.packets.saturating_sub(1);
    }

    /// Whether there is none, nor a flow that can make way.
    #[inline(always)]
    pub(super) fn is_full(&self) -> bool {
        self.flows == 0 && self.room.is_exhausted() && !self.room.has_finished()
    }

    /// Takes room for the flow that this packet begins. Returns whether there was any.
    #[inline]
    pub(super) fn take(&mut self) -> bool {
        if self.flows == 0 {
            let flows = match self.has_taken {
                true => self.packets.saturating_add(1),
                false => 1,
            };
            self.flows = self.room.take(flows, self.softirqs);
            self.has_taken = true;
        }
        let has_room = self.flows != 0;
        self.flows = self.flows.saturating_sub(1);
        has_room
    }
}

impl Drop for Held<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.flows != 0 {
            self.room
                .add(self.flows, self.room.own(self.softirqs), self.softirqs);
        }
    }
}

/// How many parts are worth while: a power of two.
fn parts_for(flows: u32) -> u32 {
    // CAST: 64.
    let most = (flows / FLOWS_MIN).min(cpus_online()).min(PARTS_MAX as u32);
    most.checked_next_power_of_two().unwrap_or(1)
}

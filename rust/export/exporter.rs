// SPDX-License-Identifier: GPL-2.0

//! The Exporting Process of a namespace. Process context, all of it.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use super::{
    batch::{
        Batch,
        Entry, //
    },
    clock::Clock,
    collector::{
        Collectors,
        Patience, //
    },
    format::Format,
    state::SharedState,
    stream::Stream,
    v5,
};
use crate::flow::{
    entry::AnyFlow,
    expiry::Reason, //
};

/// Flows that a batch has room for: they fit in 20 KiB.
const BATCH_FLOWS: usize = 6 * v5::RECORDS_MAX;

/// Takes flows over from the cache, sends them, and accounts for each.
pub(crate) struct Exporter {
    clock: Clock,
    batch: Batch<KVVec<Entry>>,
    stream: Stream<KBox<v5::Datagram>>,
    state: Arc<SharedState>,
    /// Flows that are exported together: so many that they fill whole datagrams.
    batch_flows: usize,
    /// Whether the round is the last one.
    is_last: bool,
}

impl Exporter {
    /// An exporter that sends to the Collectors of `state`, and accounts there. `ENOMEM` if there
    /// is not enough memory.
    pub(crate) fn new(clock: Clock, state: Arc<SharedState>) -> Result<Self> {
        let entries = KVVec::from_elem(Entry::VACANT, BATCH_FLOWS, GFP_KERNEL_ACCOUNT)?;
        let datagram = KBox::new(v5::Datagram::new(), GFP_KERNEL_ACCOUNT)?;
        Ok(Self {
            clock,
            batch: Batch::new(entries),
            stream: Stream::new(datagram, Collectors::new(state.clone())),
            state,
            batch_flows: BATCH_FLOWS,
            is_last: false,
        })
    }

    /// Bytes at which a flow must leave the cache, for all formats in use to encode them.
    pub(crate) fn max_bytes(&self) -> u64 {
        self.stream.format().max_bytes()
    }

    /// Begins a round of exports. `is_last` is whether none comes after it.
    pub(crate) fn begin_round(&mut self, patience: Patience, is_last: bool) {
        self.stream.collectors_mut().set_patience(patience);
        self.is_last = is_last;
        let state = self.state.lock();
        let (kind, id) = state.engine;
        let payload = state.max_payload;
        drop(state);
        let format = self.stream.format_mut();
        format.set_engine(kind, id);
        format.set_max_payload(payload);
        let incomplete = BATCH_FLOWS.checked_rem(format.records_max());
        self.batch_flows = BATCH_FLOWS.saturating_sub(incomplete.unwrap_or(0));
    }

    /// Whether the round had better end, as the namespace or the module goes.
    pub(crate) fn is_over(&self) -> bool {
        self.state.lock().is_over(self.is_last)
    }

    /// Takes over a flow that left the cache for `reason`.
    pub(crate) fn push(&mut self, flow: AnyFlow, reason: Reason) {
        // It has room, as it never stays full.
        self.batch.push(flow, reason);
        if self.batch.has(self.batch_flows) {
            self.export_batch();
        }
    }

    /// Ends a round: on return all flows that were pushed are in an account.
    pub(crate) fn end_round(&mut self) {
        self.export_batch();
    }

    /// Sends what is in the batch, and settles it.
    fn export_batch(&mut self) {
        if self.batch.entries().is_empty() {
            return;
        }
        let mut state = self.state.lock();
        self.batch.take(&mut state.accounts);
        drop(state);
        let clock = self.clock;
        // Read later than the last packet of each flow, which was accounted before it was taken.
        self.stream
            .export(self.batch.entries_mut(), || clock.export_time());
        let mut state = self.state.lock();
        self.batch.settle(&mut state.accounts);
        state.sequence = self.stream.sequence();
    }
}

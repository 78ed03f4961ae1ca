// SPDX-License-Identifier: GPL-2.0

//! The Exporting Process of a namespace. Process context, all of it.

use core::net::SocketAddrV4;

use kernel::{
    prelude::*,
    sync::Arc,
    time::Msecs, //
};

use super::{
    batch::{
        Accounts,
        Batch,
        Entry, //
    },
    clock::Clock,
    collector::{
        Collector,
        Collectors,
        Destination, //
    },
    format::Format,
    own::OwnDatagrams,
    stream::Stream,
    v5,
};
use crate::{
    flow::{
        entry::AnyFlow,
        expiry::Reason,
        ledger::Totals, //
    },
    linux::netns::Netns,
};

/// Flows in a batch: so many that v5 fills whole datagrams, and that they fit in 16 KiB.
const BATCH_FLOWS: usize = 6 * v5::RECORDS_MAX;

/// Bytes of the headers in front of a datagram's payload: IPv4 without options, and UDP.
const HEADERS: usize = 20 + 8;

/// Takes flows over from the cache, sends them, and accounts for each.
pub(crate) struct Exporter {
    clock: Clock,
    batch: Batch<KVVec<Entry>>,
    stream: Stream<KBox<v5::Datagram>>,
    accounts: Accounts,
    own_datagrams: Arc<OwnDatagrams>,
}

impl Exporter {
    /// An exporter without Collectors. `ENOMEM` if there is not enough memory.
    pub(crate) fn new(clock: Clock) -> Result<Self> {
        let entries = KVVec::from_elem(Entry::VACANT, BATCH_FLOWS, GFP_KERNEL_ACCOUNT)?;
        let datagram = KBox::new(v5::Datagram::new(), GFP_KERNEL_ACCOUNT)?;
        Ok(Self {
            clock,
            batch: Batch::new(entries),
            stream: Stream::new(datagram, Collectors::new()),
            accounts: Accounts::default(),
            own_datagrams: Arc::new(OwnDatagrams::new(), GFP_KERNEL_ACCOUNT)?,
        })
    }

    /// The Collectors of all streams.
    pub(crate) fn collectors(&self) -> impl Iterator<Item = &Collector> {
        self.stream.collectors().iter()
    }

    /// By what its datagrams are recognised; kept up to date with the Collectors.
    pub(crate) fn own_datagrams(&self) -> Arc<OwnDatagrams> {
        self.own_datagrams.clone()
    }

    /// The sequence number of the next datagram.
    pub(crate) fn sequence(&self) -> u32 {
        self.stream.sequence()
    }

    /// What became of the flows that were pushed.
    pub(crate) fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Packets and bytes of the flows that were pushed and are in no account yet.
    pub(crate) fn pending(&self) -> Totals {
        self.batch.totals()
    }

    /// Bytes at which a flow must leave the cache, for all formats in use to encode them.
    pub(crate) fn max_bytes(&self) -> u64 {
        self.stream.format().max_bytes()
    }

    /// Sets what distinguishes the exporters of one host: engine type and id of v5's header.
    pub(crate) fn set_engine(&mut self, kind: u8, id: u8) {
        self.stream.format_mut().set_engine(kind, id);
    }

    /// Sets how many bytes a datagram takes at most, IP and UDP headers included.
    pub(crate) fn set_max_packet_size(&mut self, bytes: u32) {
        let payload = usize::try_from(bytes)
            .unwrap_or(usize::MAX)
            .saturating_sub(HEADERS);
        self.stream.format_mut().set_max_payload(payload);
    }

    /// Adds a Collector. See [`Collectors::add`].
    pub(crate) fn add_collector(&mut self, netns: &Netns, to: Destination) -> Result {
        self.change_collectors(|collectors| collectors.add(netns, to))
    }

    /// Removes a Collector. See [`Collectors::remove`].
    pub(crate) fn remove_collector(&mut self, address: SocketAddrV4) -> Result {
        self.change_collectors(|collectors| collectors.remove(address))
    }

    /// Removes all Collectors.
    pub(crate) fn remove_collectors(&mut self) {
        self.change_collectors(Collectors::clear);
    }

    fn change_collectors<R>(&mut self, change: impl FnOnce(&mut Collectors) -> R) -> R {
        let result = change(self.stream.collectors_mut());
        self.own_datagrams.set(self.collectors());
        result
    }

    /// Begins a round: the exports of one sweep. Sending may wait for room in send buffers for
    /// `wait` milliseconds from now, all datagrams together: who waits for the round does not wait
    /// for ever.
    pub(crate) fn begin_round(&mut self, wait: Msecs) {
        self.stream.collectors_mut().set_deadline(wait);
    }

    /// Takes over a flow that left the cache for `reason`.
    pub(crate) fn push(&mut self, flow: AnyFlow, reason: Reason) {
        self.accounts.take(&flow, reason);
        // It has room, as it never stays full.
        self.batch.push(flow, reason);
        if self.batch.is_full() {
            self.export_batch();
        }
    }

    /// Ends a round: on return all flows that were pushed are in an account.
    pub(crate) fn end_round(&mut self) {
        self.export_batch();
    }

    /// Sends what is in the batch, and settles it.
    fn export_batch(&mut self) {
        let clock = self.clock;
        // Read later than the last packet of each flow, which was accounted before it was taken.
        self.stream
            .export(self.batch.entries_mut(), || clock.export_time());
        self.batch.settle(&mut self.accounts);
    }
}

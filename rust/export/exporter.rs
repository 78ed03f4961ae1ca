// SPDX-License-Identifier: GPL-2.0

//! The Exporting Process of a namespace. Process context, all of it.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use super::{
    batch::{
        Batch,
        Entry,
        EventEntry,
        Exportable, //
    },
    clock::Clock,
    collector::{
        CollectorTable,
        Collectors,
        Patience, //
    },
    destination::{
        Protocol,
        HEADERS_IPV4, //
    },
    format::{
        ExportTime,
        Format, //
    },
    interfaces::Interfaces,
    ipfix,
    options::Process,
    state::{
        Sequences,
        Settings,
        SharedState, //
    },
    stream::Stream,
    translation, v5, v9,
};
use crate::{
    bindings,
    flow::{
        entry::AnyFlow,
        expiry::Reason,
        ledger::Totals,
        nat::NatRecords, //
    },
    linux::{
        cond_resched,
        conntrack::Conntrack,
        netns::Netns, //
    },
};

/// Flows that a batch has room for: they fit in 32 KiB.
const BATCH_FLOWS: usize = 6 * v5::RECORDS_MAX;

/// Bytes of payload that there is memory for.
const PAYLOAD_MAX: usize = bindings::NETFLOW_PAYLOAD_MAX as usize;
const _: () = assert!(PAYLOAD_MAX + HEADERS_IPV4 == bindings::NETFLOW_PACKET_SIZE_MAX as usize);

/// Takes flows over from the cache, sends them, and accounts for each.
pub(crate) struct Exporter {
    clock: Clock,
    batch: Batch<KVVec<Entry>>,
    streams: Streams,
    interfaces: Interfaces,
    state: Arc<SharedState>,
    /// In a round, if flows are exported with NAT.
    conntrack: Option<Conntrack>,
    /// What of NAT the streams have templates for.
    nat_records: NatRecords,
    /// What Collectors are told of the exporter.
    process: Process,
    /// Flows that are exported together.
    batch_flows: usize,
    /// Whether the round is the last one.
    is_last: bool,
}

/// The streams, each of one protocol.
struct Streams {
    v5: Stream<KBox<v5::Datagram>>,
    v9: Stream<KBox<v9::Datagram<KVVec<u8>>>>,
    ipfix: Stream<KBox<ipfix::Datagram<KVVec<u8>>>>,
}

/// Those of them that flows are exported by.
#[derive(Clone, Copy)]
struct InUse {
    v5: bool,
    v9: bool,
    ipfix: bool,
}

impl InUse {
    fn by(collectors: &CollectorTable) -> Self {
        let [v9, ipfix] = [Protocol::V9, Protocol::Ipfix].map(|of| collectors.have(of));
        Self {
            // It is what numbers the flows that nobody wants.
            v5: collectors.have(Protocol::V5) || !(v9 || ipfix),
            v9,
            ipfix,
        }
    }
}

impl Streams {
    fn new(state: &Arc<SharedState>) -> Result<Self> {
        let buffer = || KVVec::from_elem(0u8, PAYLOAD_MAX, GFP_KERNEL_ACCOUNT);
        let collectors = |protocol| Collectors::new(state.clone(), protocol);
        Ok(Self {
            v5: Stream::new(
                KBox::new(v5::Datagram::new(), GFP_KERNEL_ACCOUNT)?,
                collectors(Protocol::V5),
            ),
            v9: Stream::new(
                KBox::new(v9::Datagram::new(buffer()?), GFP_KERNEL_ACCOUNT)?,
                collectors(Protocol::V9),
            ),
            ipfix: Stream::new(
                KBox::new(ipfix::Datagram::new(buffer()?), GFP_KERNEL_ACCOUNT)?,
                collectors(Protocol::Ipfix),
            ),
        })
    }

    /// Puts settings in force, in datagrams that are all empty.
    fn set(&mut self, settings: &Settings, process: Process) {
        let Self { v5, v9, ipfix } = self;
        let (kind, id) = settings.engine;
        v5.format_mut().set_engine(kind, id);
        v5.format_mut().set_sampling(settings.sampling);
        v9.set_sampling(settings.sampling);
        ipfix.set_sampling(settings.sampling);
        // A template is known by its number and the domain.
        if v9.format_mut().set_domain(settings.domain_id) {
            v9.restart();
        }
        if ipfix.format_mut().set_domain(settings.domain_id) {
            ipfix.restart();
        }
        if v9.format_mut().set_nat(settings.nat_records) {
            v9.restart();
        }
        if ipfix.format_mut().set_nat(settings.nat_records) {
            ipfix.restart();
        }
        v9.set_intervals(settings.intervals);
        ipfix.set_intervals(settings.intervals);
        v9.set_process(process);
        ipfix.set_process(process);
        v9.set_payload(settings.payload);
        ipfix.set_payload(settings.payload);
        v5.fit();
        v9.fit();
        ipfix.fit();
    }

    /// Data Records in a full datagram of one that is in use.
    fn records_max(&self, in_use: InUse) -> usize {
        match in_use {
            InUse { v5: true, .. } => self.v5.format().records_max(),
            InUse { v9: true, .. } => self.v9.format().records_max(),
            _ => self.ipfix.format().records_max(),
        }
    }

    fn announce(&mut self, in_use: InUse, now: impl Fn() -> ExportTime) {
        if in_use.v9 {
            self.v9.announce(&now);
        }
        if in_use.ipfix {
            self.ipfix.announce(&now);
        }
    }

    /// Tells Collectors of interfaces: of all if that is due, else of those that have changed.
    fn tell_interfaces(
        &mut self,
        in_use: InUse,
        interfaces: &mut Interfaces,
        netns: &Netns,
        number_of: impl Fn(u32) -> u32,
        is_over: impl Fn() -> bool,
        now: impl Fn() -> ExportTime,
    ) {
        if !in_use.v9 && !in_use.ipfix {
            return;
        }
        let Self { v9, ipfix, .. } = self;
        v9.begin_interfaces();
        ipfix.begin_interfaces();
        let is_whole =
            interfaces.for_each(netns, number_of, is_over, |index, interface, changed| {
                if in_use.v9 {
                    v9.tell_interface(index, interface, changed, &now);
                }
                if in_use.ipfix {
                    ipfix.tell_interface(index, interface, changed, &now);
                }
            });
        if in_use.v9 {
            v9.end_interfaces(is_whole, &now);
        }
        if in_use.ipfix {
            ipfix.end_interfaces(is_whole, &now);
        }
    }

    fn export<E: Exportable>(
        &mut self,
        in_use: InUse,
        batch: &mut [E],
        now: impl Fn() -> ExportTime,
    ) {
        if in_use.v5 {
            self.v5.export(batch, &now);
        }
        if in_use.v9 {
            self.v9.export(batch, &now);
        }
        if in_use.ipfix {
            self.ipfix.export(batch, &now);
        }
    }

    fn sequences(&self) -> Sequences {
        Sequences {
            v5: self.v5.sequence(),
            v9: self.v9.sequence(),
            ipfix: self.ipfix.sequence(),
        }
    }
}

impl Exporter {
    /// An exporter that sends to the Collectors of `state`, and accounts there. `ENOMEM` if there
    /// is not enough memory.
    pub(crate) fn new(clock: Clock, state: Arc<SharedState>) -> Result<Self> {
        let entries = KVVec::from_elem(Entry::VACANT, BATCH_FLOWS, GFP_KERNEL_ACCOUNT)?;
        Ok(Self {
            clock,
            batch: Batch::new(entries),
            streams: Streams::new(&state)?,
            interfaces: Interfaces::new(),
            state,
            conntrack: None,
            nat_records: NatRecords::default(),
            process: Process::default(),
            batch_flows: BATCH_FLOWS,
            is_last: false,
        })
    }

    /// Begins a round of exports, of flows of `netns`. `is_last` is whether none comes after it.
    /// `ignored` is what was not accounted so far, for Collectors to know.
    pub(crate) fn begin_round(
        &mut self,
        netns: &Netns,
        patience: Patience,
        is_last: bool,
        ignored: Totals,
    ) {
        self.is_last = is_last;
        let mut state = self.state.lock();
        state.begin_round(patience);
        let settings = state.settings;
        let in_use = InUse::by(&state.collectors);
        let (lost, lost_flows) = state.accounts.lost();
        drop(state);
        let clock = self.clock;
        self.process = Process {
            ignored_packets: ignored.packets,
            ignored_bytes: ignored.bytes,
            not_sent_flows: lost_flows,
            not_sent_packets: lost.packets,
            not_sent_bytes: lost.bytes,
            init_time: clock.init_time(),
            active_timeout: settings.active_timeout,
            inactive_timeout: settings.inactive_timeout,
            ..Process::default()
        };
        self.set(&settings);
        // Not for longer than the round: it keeps the namespace, and nf_conntrack.
        self.conntrack = match settings.nat_records.flows {
            true => Conntrack::get(netns),
            false => None,
        };
        // So many flows that they fill whole datagrams, of one stream.
        let incomplete = BATCH_FLOWS.checked_rem(self.streams.records_max(in_use));
        self.batch_flows = BATCH_FLOWS.saturating_sub(incomplete.unwrap_or(0));
        if !self.is_over() {
            self.streams.announce(in_use, || clock.export_time());
            self.state.lock().sequences = self.streams.sequences();
        }
    }

    /// Puts settings in force.
    fn set(&mut self, settings: &Settings) {
        self.streams.set(settings, self.process);
        self.nat_records = settings.nat_records;
    }

    /// Tells Collectors of the interfaces of `netns`, after the flows of a round: it takes time in
    /// proportion to their number. `number_of` is the number by which one is reported that has an
    /// index.
    pub(crate) fn tell_interfaces(&mut self, netns: &Netns, number_of: impl Fn(u32) -> u32) {
        let Self {
            clock,
            streams,
            interfaces,
            state,
            is_last,
            ..
        } = self;
        let is_over = || state.lock().is_over(*is_last);
        if is_over() {
            return;
        }
        let in_use = InUse::by(&state.lock().collectors);
        let now = || clock.export_time();
        streams.tell_interfaces(in_use, interfaces, netns, number_of, is_over, now);
        state.lock().sequences = streams.sequences();
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
        self.conntrack = None;
    }

    /// Sends what is in the batch, and settles it.
    fn export_batch(&mut self) {
        if self.batch.entries().is_empty() {
            return;
        }
        let mut state = self.state.lock();
        self.batch.take(&mut state.accounts);
        let in_use = InUse::by(&state.collectors);
        drop(state);
        if self.nat_records.flows && (in_use.v9 || in_use.ipfix) {
            self.translate();
        }
        let clock = self.clock;
        // Read later than the last packet of each flow, which was accounted before it was taken.
        self.streams
            .export(in_use, self.batch.entries_mut(), || clock.export_time());
        let mut state = self.state.lock();
        self.batch.settle(&mut state.accounts);
        state.sequences = self.streams.sequences();
    }

    /// Finds out what NAT makes of the flows in the batch.
    fn translate(&mut self) {
        let mut untracked = 0u64;
        for entry in self.batch.entries_mut() {
            entry.after = (self.conntrack.as_ref())
                .and_then(|conntrack| translation::post_nat(conntrack, &entry.flow));
            if entry.after.is_none() {
                untracked = untracked.wrapping_add(1);
            }
            cond_resched();
        }
        let mut state = self.state.lock();
        state.untracked_flows = state.untracked_flows.wrapping_add(untracked);
    }

    /// Begins to export NAT events, between two rounds. Returns whether they are to be exported, as
    /// the settings say now.
    pub(crate) fn begin_events(&mut self) -> bool {
        self.is_last = false;
        let mut state = self.state.lock();
        state.begin_round(Patience::Events);
        let settings = state.settings;
        let is_over = state.is_over(false);
        drop(state);
        // The rest as of the last round; before the first, there is nothing to tell.
        self.process.init_time = self.clock.init_time();
        self.process.active_timeout = settings.active_timeout;
        self.process.inactive_timeout = settings.inactive_timeout;
        self.set(&settings);
        self.nat_records.events && !is_over
    }

    /// Sends events, and settles them.
    pub(crate) fn export_events(&mut self, events: &mut [EventEntry]) {
        let mut in_use = InUse::by(&self.state.lock().collectors);
        // It has no record for them, which matters only if no other has.
        in_use.v5 &= !(in_use.v9 || in_use.ipfix);
        let clock = self.clock;
        self.streams.export(in_use, events, || clock.export_time());
        let mut state = self.state.lock();
        state.nat_events.settle(events);
        state.sequences = self.streams.sequences();
    }
}

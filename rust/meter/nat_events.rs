// SPDX-License-Identifier: GPL-2.0

//! NAT events: how sessions that begin and end get from conntrack to the exporter.
//!
//! They wait in the receive queue of a netlink socket, and are read ten times a second. What the
//! queue has no room for is counted: as many as come while a sweep holds the exporter, or waits for
//! collectors, may be too many.

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
    time::Msecs,
};

use super::domain::ObservationDomain;
use crate::{
    export::batch::EventEntry,
    flow::ctnetlink::{
        self,
        Notice, //
    },
    linux::{
        cond_resched,
        conntrack::Listener,
        netns::Netns,
        periodic_work::{
            PeriodicTask,
            PeriodicWork,
            Started, //
        },
        workqueue::Handle,
    },
};

/// Events that are exported together: of IPv4, three datagrams of 1,400 bytes.
const BATCH: usize = 120;

/// Batches that are read at a time, so that a flood holds up no sweep.
const BATCHES_MAX: usize = 512;

/// Messages that are counted at most which nobody will read: more than the queue holds.
const LEFT_MAX: u64 = 1 << 16;

/// Bytes of the receive queue, as the kernel accounts them: some 24,000 messages, each of which
/// takes more than a KiB. They are charged to nobody, so a namespace that any user can make has
/// what such a user could give a socket of his own (net.core.rmem_default).
const QUEUE: u32 = 32 << 20;
const QUEUE_OF_USERS: u32 = 212_992;

/// Milliseconds between two runs.
const PERIOD: Msecs = 100;
const PERIOD_OF_USERS: Msecs = 1000;

/// Runs from one attempt to listen to the next.
const RETRY: u32 = 10;

/// Bytes of a message that are read: both tuples come first.
const MESSAGE: usize = 1024;

/// Exports the NAT events of a namespace.
#[pin_data]
pub(crate) struct NatEvents {
    netns: Netns,
    domain: Arc<ObservationDomain>,
    #[pin]
    source: Mutex<Source>,
}

/// Where they come from. Used by one run at a time.
struct Source {
    listener: Option<Listener>,
    /// What of its losses is in the account.
    missed: u32,
    /// Runs until it is tried again to listen.
    retry: u32,
    events: KVVec<EventEntry>,
    message: KVVec<u8>,
}

impl NatEvents {
    /// None is read before it runs. Process context.
    pub(crate) fn new(netns: Netns, domain: Arc<ObservationDomain>) -> Result<Arc<Self>> {
        let source = Source {
            listener: None,
            missed: 0,
            retry: 0,
            events: KVVec::from_elem(EventEntry::VACANT, BATCH, GFP_KERNEL_ACCOUNT)?,
            message: KVVec::from_elem(0, MESSAGE, GFP_KERNEL_ACCOUNT)?,
        };
        Arc::pin_init(
            pin_init!(Self {
                netns,
                domain,
                source <- new_mutex!(source, "netflow_nat_events"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Listens, if that is not yet so. An error is in the state, and it is tried again: a module
    /// may be on its way.
    fn listen(&self, source: &mut Source) {
        if source.listener.is_some() {
            return;
        }
        if source.retry != 0 {
            source.retry = source.retry.saturating_sub(1);
            return;
        }
        let queue = match self.netns.is_of_init_user_ns() {
            true => QUEUE,
            false => QUEUE_OF_USERS,
        };
        let listener = Listener::new(&self.netns, queue);
        self.domain.export.lock().nat_error = listener.as_ref().err().copied();
        source.listener = listener.ok();
        source.missed = 0;
        source.retry = RETRY;
    }

    /// Reads and exports a batch. Returns whether there may be more. `is_last` is whether none is
    /// to be left, as nobody will read it.
    fn export_batch(&self, source: &mut Source, is_last: bool) -> bool {
        let Source {
            listener,
            missed,
            events,
            message,
            ..
        } = source;
        let Some(listener) = listener else {
            return false;
        };
        let mut exporter = self.domain.exporter.lock();
        let are_exported = exporter.begin_events();
        if !are_exported && !is_last {
            // Not yet: they stay in the queue.
            return false;
        }
        let (mut len, mut malformed, mut is_empty) = (0usize, 0u64, false);
        for _ in 0..BATCH {
            let Some(message) = listener.receive(message) else {
                is_empty = true;
                break;
            };
            match (ctnetlink::read(message), events.get_mut(len)) {
                (Some(Notice::Nat(event)), Some(place)) => {
                    *place = EventEntry::new(event);
                    len = len.wrapping_add(1);
                }
                (Some(_), _) => {}
                (None, _) => malformed = malformed.wrapping_add(1),
            }
        }
        let events = events.get_mut(..len).unwrap_or_default();
        if are_exported && !events.is_empty() {
            exporter.export_events(events);
        }
        drop(exporter);
        let lost = listener.missed();
        let mut state = self.domain.export.lock();
        let accounts = &mut state.nat_events;
        accounts.malformed = accounts.malformed.wrapping_add(malformed);
        let overrun = lost.wrapping_sub(core::mem::replace(missed, lost));
        accounts.overrun = accounts.overrun.wrapping_add(overrun.into());
        if !are_exported {
            accounts.abandon(events);
        }
        !is_empty
    }
}

impl NatEvents {
    fn export(&self, is_last: bool) {
        let mut source = self.source.lock();
        for _ in 0..BATCHES_MAX {
            if !self.export_batch(&mut source, is_last) {
                return;
            }
            cond_resched();
        }
        if is_last {
            self.abandon(&mut source);
        }
    }

    /// Events come faster than they are exported: what is left in the queue is lost.
    fn abandon(&self, source: &mut Source) {
        let Some(listener) = &source.listener else {
            return;
        };
        let mut left = 0u64;
        while left < LEFT_MAX && listener.receive(&mut source.message).is_some() {
            left = left.wrapping_add(1);
            cond_resched();
        }
        let missed = listener.missed().wrapping_sub(source.missed);
        let lost = left.wrapping_add(missed.into());
        let accounts = &mut self.domain.export.lock().nat_events;
        accounts.overrun = accounts.overrun.wrapping_add(lost);
    }
}

impl PeriodicTask for NatEvents {
    fn period(&self) -> Msecs {
        match self.netns.is_of_init_user_ns() {
            true => PERIOD,
            false => PERIOD_OF_USERS,
        }
    }

    fn run(&self) {
        self.listen(&mut self.source.lock());
        self.export(false);
    }

    fn run_kicked(&self) -> bool {
        // Nobody does.
        false
    }
}

/// That NAT events are exported, until this is dropped.
pub(crate) struct NatEventsAtWork {
    work: Option<Started<NatEvents>>,
    events: Arc<NatEvents>,
}

impl NatEventsAtWork {
    /// Of sessions that begin or end from a moment later on. Process context; does not wait.
    pub(crate) fn new(
        netns: &Netns,
        domain: Arc<ObservationDomain>,
        queue: Handle,
    ) -> Result<Self> {
        let events = NatEvents::new(netns.clone(), domain)?;
        let work = PeriodicWork::new(events.clone(), queue)?;
        Ok(Self {
            work: Some(Started::new(work)),
            events,
        })
    }
}

impl Drop for NatEventsAtWork {
    /// Exports those that are left, or counts them as lost if the setting says so or the namespace
    /// or the module goes. Process context; may wait as an export does.
    fn drop(&mut self) {
        drop(self.work.take());
        self.events.export(true);
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What takes long: flushes, the end of a disabled exporter, and that of a namespace.

use core::mem::replace;

use kernel::{
    prelude::*,
    sync::{
        Arc,
        SetOnce, //
    },
    time::Msecs,
};

use super::{
    Exporting,
    Inner,
    Running,
    Shared, //
};
use crate::{
    export::state::End,
    flow::ledger::{
        Ledger,
        Totals, //
    },
    linux::{
        clock::Deadline,
        on_demand_work::OnDemandTask, //
    },
    meter::{
        batch::wait_until_drained,
        nat_events::NatEventsAtWork,
        Meter,
        Sweep, //
    },
};

/// Datagrams that a namespace sends at most when it goes, each to one collector, without waiting:
/// no other namespace comes or goes meanwhile.
const LAST_SENDS: u32 = 1024;

/// Milliseconds after which it sends none, however many it has sent: each passes the firewall of
/// the namespace, whose owner decides how long that takes. Any user can make many namespaces.
const LAST_TIME: Msecs = 50;
const LAST_TIME_OF_USERS: Msecs = 5;

/// Milliseconds that all namespaces together may take before that, when it is the module that goes.
/// Each waits for room as long as a sweep does, so that one whose collector takes nothing leaves
/// time for the others.
const UNLOAD: Msecs = 2000;

/// When that time is over. Set when the module goes.
static UNLOADED: SetOnce<Deadline> = SetOnce::new();

/// What there is to do.
enum Job {
    Disable(Running),
    Flush { requested: u64 },
    Recheck,
    Retire(NatEventsAtWork),
}

impl Inner {
    /// Takes what is to be done first.
    fn next_job(&mut self) -> Option<Job> {
        if let Some(nat_events) = self.retired.take() {
            self.is_retiring = true;
            return Some(Job::Retire(nat_events));
        }
        let recheck = replace(&mut self.recheck, false);
        match &mut self.exporting {
            Exporting::Disabled | Exporting::Enabling(_) => None,
            Exporting::Disabling { running, .. } => running.take().map(Job::Disable),
            Exporting::Enabled(_) if self.flushes.done != self.flushes.requested => {
                Some(Job::Flush {
                    requested: self.flushes.requested,
                })
            }
            Exporting::Enabled(_) if recheck => Some(Job::Recheck),
            Exporting::Enabled(_) => None,
        }
    }
}

impl OnDemandTask for Shared {
    fn run(&self) -> bool {
        let mut inner = self.inner.lock();
        let Some(job) = inner.next_job() else {
            return false;
        };
        let enabled = inner
            .exporting
            .enabled()
            .map(|running| (running.observations.pending(), running.meter.clone()));
        drop(inner);
        match (job, enabled) {
            (Job::Retire(nat_events), _) => {
                drop(nat_events);
                self.inner.lock().is_retiring = false;
            }
            (Job::Disable(running), _) => self.finish(running),
            (Job::Flush { requested }, Some((pending, meter))) => {
                wait_until_drained(pending);
                meter.sweep(Sweep::Flush);
                self.inner.lock().flushes.done = requested;
            }
            (Job::Recheck, Some((_, meter))) => {
                meter.sweep(Sweep::Recheck);
            }
            // Never: both were taken while it was enabled.
            (Job::Flush { .. } | Job::Recheck, None) => return false,
        }
        true
    }
}

impl Running {
    /// Stops everything; on return all packets are accounted. Process context.
    fn stop(self) -> Arc<Meter> {
        let Self {
            observations,
            _work,
            meter,
            nat_events,
        } = self;
        drop(observations);
        drop(_work);
        drop(nat_events);
        meter
    }
}

impl Shared {
    /// Ends an exporter that was disabled.
    fn finish(&self, running: Running) {
        let meter = running.stop();
        meter.sweep(Sweep::Flush);
        let mut inner = self.inner.lock();
        let export = meter.domain.export.lock();
        if export.is_ending() {
            // What is left is for `exit`.
            return;
        }
        let ledger = meter.domain.ledgers(&export.accounts, Some(&meter)).sum();
        drop(export);
        inner.flushes.done = inner.flushes.requested;
        let ended = replace(&mut inner.exporting, Exporting::Disabled);
        drop(inner);
        // The memory of the cache, without the lock.
        drop(ended);
        let left = ledger.cached + ledger.pending;
        if left != Totals::default() {
            pr_err!(
                "netns {}: {} packets are in no account\n",
                self.netns.inode(),
                left.packets,
            );
        }
    }

    /// The namespace or the module is about to go. Takes the hook functions out, and if it is the
    /// namespace, sends what can be sent at once: later there are no devices. Waits for nothing but
    /// a sweep that is at work, which comes to its end.
    pub(super) fn pre_exit(&self) {
        let mut inner = self.inner.lock();
        let Some(domain) = inner.domain.clone() else {
            return;
        };
        if let Exporting::Enabling(reservation) = &inner.exporting {
            reservation.abandon();
            inner.exporting = Exporting::Disabled;
        }
        domain.path_config.observe_nothing();
        let goes = !self.netns.is_alive();
        let until = match goes {
            true => None,
            false => {
                // The first one begins it.
                UNLOADED.populate(Deadline::after(UNLOAD));
                UNLOADED.copy()
            }
        };
        domain.export.lock().set_end(End::Near {
            until,
            sends: LAST_SENDS,
            last: self.last_deadline(),
        });
        match &mut inner.exporting {
            Exporting::Enabled(running)
            | Exporting::Disabling {
                running: Some(running),
                ..
            } => running.observations.unregister(),
            _ => {}
        }
        if goes {
            if let Some(meter) = inner.exporting.meter() {
                meter.sweep(Sweep::Last);
            }
            let mut export = domain.export.lock();
            export.set_end(End::COME);
            export.remove_collectors();
        }
    }

    fn last_deadline(&self) -> Deadline {
        Deadline::after(match self.netns.is_of_init_user_ns() {
            true => LAST_TIME,
            false => LAST_TIME_OF_USERS,
        })
    }

    /// The namespace or the module goes, and a grace period has passed since [`Self::pre_exit`];
    /// the work is stopped. Accounts what packets came between, and says how it ended, as nobody
    /// can ask any more.
    pub(super) fn exit(&self) {
        let mut inner = self.inner.lock();
        let Some(domain) = inner.domain.take() else {
            return;
        };
        let exporting = replace(&mut inner.exporting, Exporting::Disabled);
        let notifier = inner.notifier.take();
        let retired = inner.retired.take();
        drop(inner);
        drop(retired);
        // It takes RTNL.
        drop(notifier);
        let meter = match exporting {
            Exporting::Disabled | Exporting::Enabling(_) => None,
            Exporting::Enabled(running)
            | Exporting::Disabling {
                running: Some(running),
                ..
            } => Some(running.stop()),
            Exporting::Disabling {
                running: None,
                meter,
            } => Some(meter),
        };
        if let Some(meter) = &meter {
            // If it is the namespace that goes, this is over at once.
            domain.export.lock().set_last(self.last_deadline());
            meter.sweep(Sweep::Last);
        }
        let mut export = domain.export.lock();
        let ledgers = domain.ledgers(&export.accounts, meter.as_deref());
        let ledger = ledgers.sum().closed();
        export.remove_collectors();
        drop(export);
        self.log(&ledger);
    }

    /// Writes the ledger to the log.
    fn log(&self, ledger: &Ledger) {
        if !self.netns.is_of_init_user_ns() {
            // Or any user could fill the log.
            return;
        }
        let (seen, ignored, exported, lost) = (
            ledger.seen,
            ledger.ignored(),
            ledger.exported,
            ledger.lost(),
        );
        pr_info!(
            "netns {}: packets seen={} ignored={} exported={} lost={}, \
             bytes seen={} ignored={} exported={} lost={}\n",
            self.netns.inode(),
            seen.packets,
            ignored.packets,
            exported.packets,
            lost.packets,
            seen.bytes,
            ignored.bytes,
            exported.bytes,
            lost.bytes,
        );
    }
}

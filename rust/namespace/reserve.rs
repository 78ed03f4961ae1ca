// SPDX-License-Identifier: GPL-2.0

//! What takes memory when the exporter is enabled, and may so take long: the kernel slows down who
//! is above the `memory.high` of his control group, by up to two seconds for each 0.5 MiB, and
//! reclaims at his `memory.max`. So it is done by work that no request waits for, nor a namespace
//! before it goes: that leaves the work behind, which gives the memory back at its end.

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
};

use super::Namespace;
use crate::{
    config::Config,
    linux::{
        memcg::MemCgroup,
        netlink::{
            ExtAck,
            ExtResult, //
        },
        on_demand_work::{
            run_unowned,
            OnDemandTask, //
        },
        periodic_work::PeriodicWork,
        workqueue::Handle,
    },
    meter::{
        datapath::Datapaths,
        domain::ObservationDomain,
        Meter, //
    },
};

/// All of an exporter that takes memory in proportion to flows or CPUs. It is of no namespace yet.
pub(super) struct Reserved {
    pub(super) meter: Arc<Meter>,
    pub(super) work: Arc<PeriodicWork<Meter>>,
    pub(super) datapaths: Datapaths,
}

impl Reserved {
    /// `queue` is where sweeps are done. `ENOMEM` if the cache finds no memory. Process context.
    pub(super) fn new(
        config: &Config,
        domain: Arc<ObservationDomain>,
        queue: Handle,
    ) -> ExtResult<Self> {
        let meter = Meter::new(config, domain).map_err(|error| {
            ExtAck::new(
                error,
                c"not enough memory for the cache: ask for fewer flows with max-flows",
            )
        })?;
        let work = PeriodicWork::new(meter.clone(), queue)?;
        let datapaths = Datapaths::new(&meter, &work)
            .map_err(|error| ExtAck::new(error, c"not enough memory for what each CPU needs"))?;
        Ok(Self {
            meter,
            work,
            datapaths,
        })
    }
}

/// A [`Reserved`] in the making, at the expense of who has asked for it.
#[pin_data]
pub(super) struct Reservation {
    payer: MemCgroup,
    config: Config,
    domain: Arc<ObservationDomain>,
    sweeps: Handle,
    /// Who gets it; `None` once nobody wants it any more.
    #[pin]
    recipient: Mutex<Option<Arc<Namespace>>>,
}

impl Reservation {
    /// Begins it, in the workqueue `queue`. [`Namespace::enabled`] is called at its end.
    pub(super) fn begin(
        recipient: Arc<Namespace>,
        config: Config,
        domain: Arc<ObservationDomain>,
        sweeps: Handle,
        queue: Handle,
    ) -> Result<Arc<Self>> {
        let reservation = Arc::pin_init(
            pin_init!(Self {
                payer: MemCgroup::current(),
                config,
                domain,
                sweeps,
                recipient <- new_mutex!(Some(recipient), "netflow_reservation"),
            }),
            GFP_KERNEL_ACCOUNT,
        )?;
        run_unowned(reservation.clone(), queue)?;
        Ok(reservation)
    }

    /// From here on nobody gets it. Does not wait.
    pub(super) fn abandon(&self) {
        // Dropped without the lock.
        let _recipient = self.recipient.lock().take();
    }

    fn is_abandoned(&self) -> bool {
        self.recipient.lock().is_none()
    }
}

impl OnDemandTask for Reservation {
    fn run(&self) -> bool {
        if self.is_abandoned() {
            return false;
        }
        let reserved = self
            .payer
            .charge(|| Reserved::new(&self.config, self.domain.clone(), self.sweeps.clone()));
        let recipient = self.recipient.lock().take();
        if let Some(namespace) = recipient {
            namespace.enabled(&self.config, reserved);
        }
        false
    }
}

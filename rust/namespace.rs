// SPDX-License-Identifier: GPL-2.0

//! What a network namespace has of this module: nothing but a place to remember, until someone there
//! asks for more.

use core::net::SocketAddrV4;

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
};

use crate::{
    export::sender::Sender,
    exporter::Exporter,
    flow::ledger::Ledger,
    linux::{
        netlink::{
            Outcome,
            Refusal, //
        },
        netns::{
            Netns,
            PerNet,
            State, //
        },
        tick::{
            Tick,
            Ticking, //
        },
        watch::Watch, //
    },
    meter::{
        Meter,
        Sweep, //
    },
    module_parameters,
    settings::Settings,
    switches::Switches, //
};

/// All namespaces.
pub(crate) static NAMESPACES: PerNet<Namespace> = PerNet::new();

/// One of them.
#[pin_data]
pub(crate) struct Namespace {
    netns: Netns,
    #[pin]
    inner: Mutex<Inner>,
}

struct Inner {
    settings: Settings,
    /// Since it was first enabled, had a collector or a number for an interface.
    exporter: Option<Arc<Exporter>>,
    /// While it is enabled.
    running: Option<Running>,
    /// Changes when it is enabled or disabled.
    generation: u32,
}

/// An enabled exporter. The order of the fields is the order in which things stop.
struct Running {
    watch: Watch<Ticking<Meter>>,
    _tick: Tick<Meter>,
    meter: Drained,
}

/// A meter whose flows are all exported before it goes.
struct Drained(Arc<Ticking<Meter>>);

impl Drop for Drained {
    fn drop(&mut self) {
        self.0.export(Sweep::All);
    }
}

/// What there is to tell of a namespace.
pub(crate) struct Report<'a> {
    /// Whether packets are accounted.
    pub(crate) enabled: bool,
    /// The settings.
    pub(crate) settings: Settings,
    /// Flows in the cache.
    pub(crate) cached: u32,
    /// Flows created so far.
    pub(crate) created: u64,
    /// All accounts.
    pub(crate) ledger: Ledger,
    /// Collectors, record numbers, and why flows expired; `None` if it was never used.
    pub(crate) sender: Option<&'a Sender>,
    /// Numbers of interfaces; `None` if it was never used.
    pub(crate) switches: Option<&'a Switches>,
}

impl Inner {
    /// The exporter, a new one if there is none. Who succeeds with what it is for, keeps it.
    fn exporter(&self) -> Result<Arc<Exporter>> {
        self.exporter.clone().map_or_else(Exporter::new, Ok)
    }

    /// Settings, changed by `change` and checked.
    fn changed(&self, change: impl FnOnce(&mut Settings)) -> Outcome<Settings> {
        let mut settings = self.settings;
        change(&mut settings);
        settings
            .check()
            .map_err(|text| Refusal::new(EINVAL, text))?;
        Ok(settings)
    }
}

/// Puts in force what does not concern the cache.
fn apply(settings: &Settings, exporter: &Exporter) {
    let mut sender = exporter.sender.lock();
    sender.set_engine(settings.engine_type, settings.engine_id);
    drop(sender);
    exporter
        .switches
        .set(settings.observe, settings.icmp_zero, settings.count_own);
}

/// What can be asked of a namespace. Process context.
impl Namespace {
    /// Begins to account packets, with the settings as `change` leaves them. `EALREADY` if it does,
    /// `ENOMEM` if the cache finds no memory; a refusal changes nothing.
    pub(crate) fn enable(&self, change: impl FnOnce(&mut Settings)) -> Outcome {
        let mut inner = self.inner.lock();
        if inner.running.is_some() {
            return Err(EALREADY.into());
        }
        let settings = inner.changed(change)?;
        let exporter = inner.exporter()?;
        let meter = Meter::new(self.netns, &settings, exporter.clone()).map_err(|error| {
            Refusal::new(
                error,
                c"not enough memory for the cache: ask for fewer flows with max_flows",
            )
        })?;
        let watch = Watch::new(self.netns, meter.clone())
            .map_err(|error| Refusal::new(error, c"not enough memory for what each CPU needs"))?;
        // From here on, to fail is to disable.
        let mut running = Running {
            watch,
            _tick: Tick::start(meter.clone()),
            meter: Drained(meter),
        };
        running.watch.add(settings.observe)?;
        apply(&settings, &exporter);
        inner.exporter = Some(exporter);
        inner.settings = settings;
        inner.generation = inner.generation.wrapping_add(1);
        inner.running = Some(running);
        Ok(())
    }

    /// Changes the settings; while enabled, in force on return. `EBUSY` for what cannot change then.
    pub(crate) fn set(&self, change: impl FnOnce(&mut Settings)) -> Outcome {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let settings = inner.changed(change)?;
        if let (Some(running), Some(exporter)) = (&mut inner.running, &inner.exporter) {
            if settings.max_flows != inner.settings.max_flows {
                return Err(EBUSY.into());
            }
            // A new hook counts nothing before the switch, an old one nothing after it. A packet that
            // is between two points meanwhile may be counted at both, or at none.
            if let Err(error) = running.watch.add(settings.observe) {
                running.watch.retain(inner.settings.observe);
                return Err(error.into());
            }
            apply(&settings, exporter);
            running.watch.retain(settings.observe);
            running.meter.0.set(&settings);
        }
        inner.settings = settings;
        Ok(())
    }

    /// Gives an interface a number, or with 0 takes it away. `ENOSPC` if too many have one.
    pub(crate) fn set_iface(&self, index: u32, number: u32) -> Result {
        let mut inner = self.inner.lock();
        let exporter = inner.exporter()?;
        exporter.switches.set_iface(index, number)?;
        inner.exporter = Some(exporter);
        Ok(())
    }

    /// Stops to account packets, and returns when all flows are exported. `ENODATA` if not enabled.
    pub(crate) fn disable(&self) -> Result {
        let mut inner = self.inner.lock();
        let running = inner.running.take().ok_or(ENODATA)?;
        inner.generation = inner.generation.wrapping_add(1);
        drop(running);
        if let Some(exporter) = &inner.exporter {
            exporter.switches.observe_nothing();
        }
        Ok(())
    }

    /// Exports all flows, and returns when they are sent. `ENODATA` if not enabled.
    pub(crate) fn flush(&self) -> Result {
        self.settle();
        let (meter, _) = self.meter();
        meter.ok_or(ENODATA)?.export(Sweep::All);
        Ok(())
    }

    /// Returns when the packets are accounted that have come so far. See
    /// [`Settling::wait`](crate::linux::backlog::Settling::wait).
    pub(crate) fn settle(&self) {
        let inner = self.inner.lock();
        let settling = inner
            .running
            .as_ref()
            .map(|running| running.watch.settling());
        drop(inner);
        if let Some(settling) = settling {
            settling.wait();
        }
    }

    /// What accounts packets now, `None` while disabled; and a number that is another whenever that
    /// is.
    pub(crate) fn meter(&self) -> (Option<Arc<Ticking<Meter>>>, u32) {
        let inner = self.inner.lock();
        let meter = inner
            .running
            .as_ref()
            .map(|running| running.meter.0.clone());
        (meter, inner.generation)
    }

    /// Adds a collector. See [`Sender::add_collector`].
    pub(crate) fn add_collector(&self, address: SocketAddrV4) -> Result {
        let mut inner = self.inner.lock();
        let exporter = inner.exporter()?;
        let mut sender = exporter.sender.lock();
        sender.add_collector(self.netns, address)?;
        exporter.switches.set_own(sender.sockets());
        drop(sender);
        inner.exporter = Some(exporter);
        Ok(())
    }

    /// Removes a collector. See [`Sender::remove_collector`].
    pub(crate) fn remove_collector(&self, address: SocketAddrV4) -> Result {
        let exporter = self.inner.lock().exporter.clone().ok_or(ENOENT)?;
        let mut sender = exporter.sender.lock();
        sender.remove_collector(address)?;
        exporter.switches.set_own(sender.sockets());
        Ok(())
    }

    /// Tells `to` how things stand.
    pub(crate) fn report<R>(&self, to: impl FnOnce(&Report<'_>) -> R) -> R {
        self.settle();
        let inner = self.inner.lock();
        let meter = inner.running.as_ref().map(|running| &**running.meter.0);
        let Some(exporter) = &inner.exporter else {
            return to(&Report {
                enabled: false,
                settings: inner.settings,
                cached: 0,
                created: 0,
                ledger: Ledger::default(),
                sender: None,
                switches: None,
            });
        };
        let sender = exporter.sender.lock();
        to(&Report {
            enabled: meter.is_some(),
            settings: inner.settings,
            cached: meter.map_or(0, |meter| meter.cache().cached()),
            created: exporter.created(),
            ledger: exporter.ledger(&sender, meter.map(Meter::cache)),
            sender: Some(&sender),
            switches: Some(&exporter.switches),
        })
    }
}

impl State for Namespace {
    fn pernet() -> &'static PerNet<Self> {
        &NAMESPACES
    }

    fn new(netns: Netns) -> Result<Arc<Self>> {
        let namespace = Arc::pin_init(
            pin_init!(Self {
                netns,
                inner <- new_mutex!(
                    Inner {
                        settings: Settings::from_parameters(),
                        exporter: None,
                        running: None,
                        generation: 0,
                    },
                    "netflow_namespace"
                ),
            }),
            GFP_KERNEL_ACCOUNT,
        )?;
        if netns.is_initial() && module_parameters::enable.value() {
            namespace.enable(|_| {}).map_err(|refusal| {
                pr_err!("cannot enable: {}\n", refusal.text());
                refusal.error()
            })?;
        }
        Ok(namespace)
    }

    /// Exports all flows and closes the sockets. Says how it ended, as nobody can ask any more.
    fn stop(&self) {
        // An error says that it was not enabled.
        let _ = self.disable();
        let Some(exporter) = self.inner.lock().exporter.take() else {
            return;
        };
        let mut sender = exporter.sender.lock();
        let ledger = exporter.ledger(&sender, None);
        sender.remove_collectors();
        if ledger.cached.packets != 0 || ledger.pending.packets != 0 {
            pr_err!(
                "netns {}: {} packets are in no account\n",
                self.netns.inode(),
                ledger.cached.packets.wrapping_add(ledger.pending.packets),
            );
        }
        if !self.netns.is_of_system() {
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
            "netns {}: packets seen={} ignored={} exported={} lost={}, bytes seen={} ignored={} exported={} lost={}\n",
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

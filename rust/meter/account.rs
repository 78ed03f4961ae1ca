// SPDX-License-Identifier: GPL-2.0

//! How a packet gets from the hook to its flow.
//!
//! ```text
//!   hook --> parse --> locate --> backlog --> account
//!                         |                      ^
//!                         +--- memory is on its way
//! ```
//!
//! At PREROUTING a packet is not accounted at once, unless it is alone, but together with those that come with it (see
//! [`backlog`](crate::linux::backlog)): the time that it takes to fetch a flow which no packet has touched for long is
//! that of several packets, and all of a backlog are fetched at a time. What is needed of the packet is in its
//! [`Arrival`]; the packet itself goes on.

use core::{
    mem::MaybeUninit,
    net::{
        Ipv4Addr,
        SocketAddrV4, //
    }, //
};

use kernel::sync::ArcBorrow;

use super::Meter;
use crate::{
    exporter::OnCpu,
    flow::{
        cache::{
            Accounted,
            Held,
            Place,
            Seen, //
        },
        clock::Uptime,
        key::Key,
        ledger::Entry,
        observe::{
            Point,
            Way, //
        },
        parse::{
            self,
            Frame,
            Unaccountable,
            HEADERS_MAX,
            IPPROTO_ICMP,
            IPPROTO_UDP, //
        },
        record::{
            Counts,
            Route, //
        },
    },
    linux::{
        backlog::{
            Backlog,
            Handler,
            Queue,
            TurnedOff, //
        },
        clock::Reading,
        fib::{
            self,
            Found,
            Path, //
        },
        hook::Observer,
        lock::SoftirqsOff,
        packet::Packet,
        tick::Ticking, //
    },
    switches::Word,
};

/// A packet that has come and is to be accounted; or several that are like one, see [`Counts::join`].
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Arrival {
    counts: Counts,
    place: Place<Ipv4Addr>,
    path: Path,
}

impl Observer for Backlog<Ticking<Meter>> {
    #[inline(always)]
    fn observe(this: ArcBorrow<'_, Self>, packet: &Packet<'_>) {
        this.handler().observe(&this, packet);
    }
}

/// Tells the backlogs of all namespaces.
pub(crate) static TURNED_OFF: TurnedOff<Ticking<Meter>> = TurnedOff::new();

impl Handler for Ticking<Meter> {
    type Item = Arrival;
    type Own = Reading;
    type Part = (Key<Ipv4Addr>, Counts);

    fn turned_off() -> &'static TurnedOff<Self> {
        &TURNED_OFF
    }

    #[inline(always)]
    fn join(last: &mut Arrival, (key, counts): &(Key<Ipv4Addr>, Counts)) -> bool {
        last.place.key() == key && last.counts.join(*counts)
    }

    #[inline]
    fn handle(
        this: ArcBorrow<'_, Self>,
        arrivals: &[Arrival],
        reading: &Reading,
        softirqs: SoftirqsOff<'_>,
    ) {
        let cpu = this.exporter.on_cpu(softirqs);
        // The clock was not read since they came, or they would not have waited so long.
        let at = reading.uptime();
        let mut held = this.cache.hold(arrivals.len(), softirqs);
        let mut is_short = false;
        for arrival in arrivals {
            is_short |= this.account(arrival, at, || None, cpu, &mut held, softirqs);
        }
        drop(held);
        if is_short {
            Self::hurry(this);
        }
    }
}

impl Meter {
    /// Looks at a packet. Softirq or process context; RCU read lock held.
    ///
    /// What is like most packets stays in here, the rest is for [`Self::observe_any`].
    #[inline(always)]
    fn observe(&self, backlog: &Backlog<Ticking<Self>>, packet: &Packet<'_>) {
        let word = self.exporter.switches.word();
        let point = packet.point();
        let way = Way::of(point, &packet.facts());
        if !way.counts(point, word.points()) {
            return;
        }

        let softirqs = packet.softirqs_off();
        let softirqs = softirqs.proof();
        let is_local = way.is_local(point);
        if point == Point::Prerouting && !is_local && !packet.is_aggregate() {
            let queue = backlog.queue(softirqs);
            let input = self.exporter.switches.iface(word, packet.input());
            let headers = packet.prefix();
            let plain = headers.and_then(|headers| parse::plain(headers, packet.len(), input));
            if let Some((key, counts)) = plain.filter(|_| queue.own().is_recent()) {
                if self.make_wait(&queue, packet, key, counts) {
                    return;
                }
            }
        }
        self.observe_any(backlog, packet, word, is_local, softirqs);
    }

    /// Looks at a packet that is not like most of them.
    #[inline(never)]
    fn observe_any(
        &self,
        backlog: &Backlog<Ticking<Self>>,
        packet: &Packet<'_>,
        word: Word,
        is_local: bool,
        softirqs: SoftirqsOff<'_>,
    ) {
        let cpu = self.exporter.on_cpu(softirqs);
        let (mut key, counts) = match self.parse(packet, word, is_local) {
            Ok(parsed) => parsed,
            Err(Unaccountable::Truncated) => return cpu.enter(Entry::Truncated, 1, packet.len()),
            Err(Unaccountable::Malformed) => return cpu.enter(Entry::Malformed, 1, packet.len()),
        };
        if key.proto() == IPPROTO_ICMP && word.icmp_zero() {
            key.clear_ports();
        }
        let may_be_own = is_local && !word.counts_own() && key.proto() == IPPROTO_UDP;
        if may_be_own && self.is_own(&key) {
            return cpu.enter(Entry::Own, counts.packets, counts.bytes);
        }
        let queue = backlog.queue(softirqs);
        let is_recent = queue.own().is_recent();
        let may_wait = is_recent && packet.point() == Point::Prerouting;
        if may_wait && self.make_wait(&queue, packet, key, counts) {
            return;
        }
        // Where packets are rare there is nothing to gain by waiting, and at some points they are sent in process
        // context, one by one.
        let at = if is_recent {
            queue.own().uptime()
        } else {
            // What waits has the time that was read last.
            queue.handle();
            self.clock.read(queue.own())
        };
        let arrival = Arrival {
            counts,
            place: self.cache.locate(key),
            path: packet.path(),
        };
        let mut held = self.cache.hold(1, softirqs);
        if self.account(&arrival, at, || packet.found(), cpu, &mut held, softirqs) {
            Ticking::hurry(backlog.handler());
        }
    }

    /// Reads the headers of any packet.
    #[inline(always)]
    fn parse(
        &self,
        packet: &Packet<'_>,
        word: Word,
        is_local: bool,
    ) -> Result<(Key<Ipv4Addr>, Counts), Unaccountable> {
        let switches = &self.exporter.switches;
        let input = match packet.point() {
            // The kernel names an interface for some packets that it sends.
            Point::Output | Point::Postrouting if is_local => 0,
            Point::Postrouting => switches.iface(word, packet.forwarded_from()),
            _ => switches.iface(word, packet.input()),
        };
        if let (Some(headers), false) = (packet.prefix(), packet.is_aggregate()) {
            if let Some(plain) = parse::plain(headers, packet.len(), input) {
                return Ok(plain);
            }
        }
        let mut buffer = MaybeUninit::uninit();
        parse::ipv4(&Frame {
            headers: packet.headers::<HEADERS_MAX>(&mut buffer),
            len: packet.len(),
            input,
            gso: packet.gso(),
        })
    }

    /// Puts a packet among those that wait to be accounted. Returns whether it could.
    #[inline(always)]
    fn make_wait(
        &self,
        queue: &Queue<'_, Ticking<Self>>,
        packet: &Packet<'_>,
        key: Key<Ipv4Addr>,
        counts: Counts,
    ) -> bool {
        queue.join(&(key, counts))
            || queue.push(Arrival {
                counts,
                place: self.cache.locate(key),
                path: packet.path(),
            })
    }

    /// Accounts a packet. Returns whether the cache is short of room, so that flows had better be exported soon.
    #[inline(always)]
    fn account(
        &self,
        arrival: &Arrival,
        at: Uptime,
        found: impl FnOnce() -> Option<Found>,
        cpu: &OnCpu,
        held: &mut Held<'_>,
        softirqs: SoftirqsOff<'_>,
    ) -> bool {
        let Arrival {
            counts,
            place,
            path,
        } = arrival;
        let accounted = self.cache.account(
            Seen { place, counts, at },
            held,
            softirqs,
            |key| self.route(path, found(), key),
            |accounted| {
                if accounted == Accounted::New {
                    cpu.note_created();
                }
                cpu.enter(accounted.into(), counts.packets, counts.bytes);
            },
        );
        match accounted {
            Accounted::Known => false,
            Accounted::New => self.cache.is_exhausted(),
            Accounted::Full => true,
        }
    }

    /// Looks up where a packet goes, and where it comes from.
    #[inline(never)]
    fn route(&self, path: &Path, found: Option<Found>, key: &Key<Ipv4Addr>) -> Route<Ipv4Addr> {
        let mut route = fib::route(self.netns, path, found, key);
        let switches = &self.exporter.switches;
        route.output = switches.iface(switches.word(), route.output);
        route
    }

    /// Whether a UDP datagram that was sent here is one of the exporter.
    fn is_own(&self, key: &Key<Ipv4Addr>) -> bool {
        let to = SocketAddrV4::new(key.dst(), key.dst_port());
        self.exporter.switches.is_own(to, key.src_port())
    }
}

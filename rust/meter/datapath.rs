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
//! [`PendingPacket`]; the packet itself goes on.

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
    cache::{
        HashedKey,
        SlotReservation,
        Update, //
        Updated,
    },
    flow::{
        entry::{
            Counts,
            Route, //
        },
        key::Key,
        ledger::Account,
        observe::{
            ObservationPoint,
            Traversal, //
        },
        parse::{
            self,
            Frame,
            Unaccountable,
            HEADERS_MAX,
            IPPROTO_ICMP,
            IPPROTO_UDP, //
        },
        uptime::Uptime,
    },
    linux::{
        backlog::{
            Backlog,
            CpuDead, //
            Handler,
            Queue,
        },
        bh_lock::BhDisabled,
        clock::Reading,
        fib::{
            self,
            RouteQuery, //
            RoutedTo,
        },
        netfilter::Observer,
        periodic_work::Periodic, //
        skb::Packet,
    },
    meter::domain::OnCpu,
    meter::path_config::ConfigFlags,
};

/// A packet that has come and is to be accounted; or several that are like one, see [`Counts::join`].
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct PendingPacket {
    counts: Counts,
    key: HashedKey<Ipv4Addr>,
    path: RouteQuery,
}

impl Observer for Backlog<Periodic<Meter>> {
    #[inline(always)]
    fn observe(this: ArcBorrow<'_, Self>, packet: &Packet<'_>) {
        this.handler().observe(&this, packet);
    }
}

/// Tells the backlogs of all namespaces.
pub(crate) static CPU_DEAD: CpuDead<Periodic<Meter>> = CpuDead::new();

impl Handler for Periodic<Meter> {
    type Item = PendingPacket;
    type Own = Reading;
    type Shard = (Key<Ipv4Addr>, Counts);

    fn turned_off() -> &'static CpuDead<Self> {
        &CPU_DEAD
    }

    #[inline(always)]
    fn join(last: &mut PendingPacket, (key, counts): &(Key<Ipv4Addr>, Counts)) -> bool {
        last.key.key() == key && last.counts.join(*counts)
    }

    #[inline]
    fn handle(
        this: ArcBorrow<'_, Self>,
        arrivals: &[PendingPacket],
        reading: &Reading,
        bh: BhDisabled<'_>,
    ) {
        let cpu = this.domain.on_cpu(bh);
        // The clock was not read since they came, or they would not have waited so long.
        let at = reading.uptime();
        let mut reservation = this.cache.reservation(arrivals.len(), bh);
        let mut is_short = false;
        for arrival in arrivals {
            is_short |= this.account(arrival, at, || None, cpu, &mut reservation, bh);
        }
        drop(reservation);
        if is_short {
            Self::kick(this);
        }
    }
}

impl Meter {
    /// Looks at a packet. Softirq or process context; RCU read lock reservation.
    ///
    /// What is like most packets stays in here, the rest is for [`Self::observe_any`].
    #[inline(always)]
    fn observe(&self, backlog: &Backlog<Periodic<Self>>, packet: &Packet<'_>) {
        let word = self.domain.path_config.word();
        let point = packet.point();
        let way = Traversal::of(point, &packet.facts());
        if !way.counts(point, word.points()) {
            return;
        }

        let bh = packet.bh_disabled();
        let bh = bh.token();
        let is_local = way.is_local(point);
        if point == ObservationPoint::Prerouting && !is_local && !packet.is_aggregate() {
            let queue = backlog.queue(bh);
            let input = self.domain.path_config.iface(word, packet.input());
            let headers = packet.prefix();
            let plain = headers.and_then(|headers| parse::plain(headers, packet.len(), input));
            if let Some((key, counts)) = plain.filter(|_| queue.own().is_recent()) {
                if self.enqueue(&queue, packet, key, counts) {
                    return;
                }
            }
        }
        self.observe_any(backlog, packet, word, is_local, bh);
    }

    /// Looks at a packet that is not like most of them.
    #[inline(never)]
    fn observe_any(
        &self,
        backlog: &Backlog<Periodic<Self>>,
        packet: &Packet<'_>,
        word: ConfigFlags,
        is_local: bool,
        bh: BhDisabled<'_>,
    ) {
        let cpu = self.domain.on_cpu(bh);
        let (mut key, counts) = match self.parse(packet, word, is_local) {
            Ok(parsed) => parsed,
            Err(Unaccountable::Truncated) => return cpu.count(Account::Truncated, 1, packet.len()),
            Err(Unaccountable::Malformed) => return cpu.count(Account::Malformed, 1, packet.len()),
        };
        if key.proto() == IPPROTO_ICMP && word.icmp_zero() {
            key.clear_ports();
        }
        let may_be_own = is_local && !word.counts_own() && key.proto() == IPPROTO_UDP;
        if may_be_own && self.is_own(&key) {
            return cpu.count(Account::Own, counts.packets, counts.bytes);
        }
        let queue = backlog.queue(bh);
        let is_recent = queue.own().is_recent();
        let may_wait = is_recent && packet.point() == ObservationPoint::Prerouting;
        if may_wait && self.enqueue(&queue, packet, key, counts) {
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
        let arrival = PendingPacket {
            counts,
            key: self.cache.hash_key(key),
            path: packet.path(),
        };
        let mut reservation = self.cache.reservation(1, bh);
        if self.account(&arrival, at, || packet.found(), cpu, &mut reservation, bh) {
            Periodic::kick(backlog.handler());
        }
    }

    /// Reads the headers of any packet.
    #[inline(always)]
    fn parse(
        &self,
        packet: &Packet<'_>,
        word: ConfigFlags,
        is_local: bool,
    ) -> Result<(Key<Ipv4Addr>, Counts), Unaccountable> {
        let path_config = &self.domain.path_config;
        let input = match packet.point() {
            // The kernel names an interface for some packets that it sends.
            ObservationPoint::Output | ObservationPoint::Postrouting if is_local => 0,
            ObservationPoint::Postrouting => path_config.iface(word, packet.forwarded_from()),
            _ => path_config.iface(word, packet.input()),
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
    fn enqueue(
        &self,
        queue: &Queue<'_, Periodic<Self>>,
        packet: &Packet<'_>,
        key: Key<Ipv4Addr>,
        counts: Counts,
    ) -> bool {
        queue.join(&(key, counts))
            || queue.push(PendingPacket {
                counts,
                key: self.cache.hash_key(key),
                path: packet.path(),
            })
    }

    /// Accounts a packet. Returns whether the cache is short of room, so that flows had better be exported soon.
    #[inline(always)]
    fn account(
        &self,
        arrival: &PendingPacket,
        at: Uptime,
        found: impl FnOnce() -> Option<RoutedTo>,
        cpu: &OnCpu,
        reservation: &mut SlotReservation<'_>,
        bh: BhDisabled<'_>,
    ) -> bool {
        let PendingPacket { counts, key, path } = arrival;
        let accounted = self.cache.update(
            Update { key, counts, at },
            reservation,
            bh,
            |key| self.route(path, found(), key),
            |accounted| {
                if accounted == Updated::New {
                    cpu.note_created();
                }
                cpu.count(accounted.into(), counts.packets, counts.bytes);
            },
        );
        match accounted {
            Updated::Known => false,
            Updated::New => self.cache.is_exhausted(),
            Updated::Full => true,
        }
    }

    /// Looks up where a packet goes, and where it comes from.
    #[inline(never)]
    fn route(
        &self,
        path: &RouteQuery,
        found: Option<RoutedTo>,
        key: &Key<Ipv4Addr>,
    ) -> Route<Ipv4Addr> {
        let mut route = fib::route(self.netns, path, found, key);
        let path_config = &self.domain.path_config;
        route.output = path_config.iface(path_config.word(), route.output);
        route
    }

    /// Whether a UDP datagram that was sent here is one of the exporter.
    fn is_own(&self, key: &Key<Ipv4Addr>) -> bool {
        let to = SocketAddrV4::new(key.dst(), key.dst_port());
        self.domain.own_datagrams.contains(to, key.src_port())
    }
}

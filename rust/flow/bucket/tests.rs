// SPDX-License-Identifier: GPL-2.0

use super::*;
use crate::flow::{
    entry::{
        Counts,
        Route,
        TCP_FIN,
        TCP_RST,
        TCP_SYN, //
    },
    expiry::{
        Pressure,
        Verdict,
        LINGER, //
    },
};
use core::net::Ipv4Addr;
use proptest::prelude::*;

type Memory = FlowSlots<Ipv4Addr, Vec<Slot<PrimarySlots<Ipv4Addr>>>, Vec<Slot<Flow<Ipv4Addr>>>>;
type FreeSpillSlots = Vec<Handle<Flow<Ipv4Addr>>>;

/// An empty bucket, its memory, and `n` slots to spill into.
fn bucket(n: usize) -> (Bucket<Ipv4Addr>, Memory, FreeSpillSlots) {
    let (primary, mut handles) = Slab::new_in_test(vec![Slot::new([Flow::VACANT; PRIMARY_SLOTS])]);
    let vacant = || Slot::new(Flow::VACANT);
    let (spill, free_spill) = Slab::new_in_test((0..n).map(|_| vacant()).collect::<Vec<_>>());
    let bucket = Bucket::new(handles.next().unwrap());
    (bucket, FlowSlots::new(primary, spill), free_spill.collect())
}

fn key(n: u32) -> Key<Ipv4Addr> {
    Key::new(n.into(), [10, 0, 0, 2].into(), [0, 1, 0, 2], 3, 6, 0)
}

fn flow(n: u32) -> Flow<Ipv4Addr> {
    Flow::new(
        key(n),
        Route::NONE,
        Counts::default(),
        Uptime::from_millis(0),
    )
}

/// Few different ones, so that flows meet.
fn bits(n: u32) -> HashBits {
    HashBits::of(n % 3 + ((n % 2) << 7))
}

fn number(flow: &Flow<Ipv4Addr>) -> u32 {
    flow.key.src().into()
}

#[test]
fn fits_a_cache_line_with_its_lock() {
    assert_eq!(size_of::<Bucket<Ipv4Addr>>() + size_of::<u32>(), 64);
}

#[test]
fn marks_are_of_the_lower_nine_bits() {
    let parts = |hash| (HashBits::of(hash).tag(), HashBits::of(hash).primary());
    let mut marks: Vec<_> = (0..512).map(parts).collect();
    marks.sort();
    marks.dedup();
    assert_eq!(marks.len(), 512);
    assert!(marks.iter().all(|&(_, primary)| primary < PRIMARY_SLOTS));
    assert_eq!(parts(0xffff_fe00), parts(0));
}

#[test]
fn has_room_for_so_many_and_takes_cells_only_when_it_must() {
    let (mut bucket, slots, mut free_spill) = bucket(20);
    for n in 0..SLOTS as u32 {
        let vacancy = bucket.vacancy(bits(n), || free_spill.pop()).unwrap();
        slots.put(
            &mut bucket,
            vacancy,
            bits(n),
            flow(n),
            Uptime::from_millis(0),
        );
    }
    assert_eq!(free_spill.len(), 20 - SPILL_SLOTS);
    assert!(bucket.vacancy(bits(0), || free_spill.pop()).is_none());
    assert_eq!(free_spill.len(), 20 - SPILL_SLOTS);
    assert_eq!(slots.iter(&bucket).count(), SLOTS);
}

#[test]
fn a_flow_is_where_its_mark_says_if_nobody_was_there() {
    for n in 0..PRIMARY_SLOTS as u32 {
        let (mut bucket, slots, _) = bucket(0);
        let bits = HashBits::of((n << 7) | 5);
        let vacancy = bucket.vacancy(bits, || None).unwrap();
        slots.put(&mut bucket, vacancy, bits, flow(n), Uptime::from_millis(0));
        let found = slots.find(&mut bucket, bits, &key(n)).unwrap();
        assert!(core::ptr::eq(found, slots.primary_slot(0, bits)));
    }
}

#[test]
fn is_due_with_its_first() {
    let (mut bucket, slots, _) = bucket(0);
    for (n, deadline) in [(1, 500), (2, 300), (3, 400)] {
        let vacancy = bucket.vacancy(bits(n), || None).unwrap();
        slots.put(
            &mut bucket,
            vacancy,
            bits(n),
            flow(n),
            Uptime::from_millis(deadline),
        );
    }
    assert_eq!(bucket.due, Uptime::from_millis(300));
}

/// Packets of a batch have the time at which they came, and are accounted when others have come
/// later: whatever comes in whatever order, a bucket is due no later than a flow in it.
fn never_due_too_late(
    policy: Policy,
    packets: &[(u32, u32, u32, u32)],
) -> Result<(), TestCaseError> {
    const FLOWS: u32 = 6;

    let (mut bucket, slots, _) = bucket(0);
    // Before the clock wraps, and after.
    let mut now = u32::MAX - 20_000;
    for &(n, passed, waited, kind) in packets {
        now = now.wrapping_add(passed);
        let at = Uptime::from_millis(u64::from(now.wrapping_sub(waited)));
        let (n, tcp_flags) = (
            n % FLOWS,
            [0, 0, 0, TCP_SYN, TCP_FIN, TCP_RST][kind as usize],
        );
        let counts = Counts {
            packets: 1,
            bytes: 40 + 100 * (kind & 1),
            tcp_flags,
        };
        let which = (bits(n), &key(n));
        if slots.add(&mut bucket, which, counts, at, &policy).is_none() {
            let Some(vacancy) = bucket.vacancy(bits(n), || None) else {
                continue;
            };
            let new = Flow::new(key(n), Route::NONE, counts, at);
            slots.put(&mut bucket, vacancy, bits(n), new, policy.deadline(&new));
        }
        for flow in slots.iter(&bucket) {
            let deadline = policy.deadline(flow);
            prop_assert!(
                !deadline.is_before(bucket.due),
                "{flow:?} in {:?}",
                bucket.due
            );
            // What the sweep would do with the flow, at the last moment that it does not look.
            let before = Uptime::from_millis(u64::from(bucket.due.as_millis().wrapping_sub(1)));
            if !before.is_before(flow.last) {
                let verdict = policy.judge(flow, before, Pressure::Low);
                prop_assert!(matches!(verdict, Verdict::Keep(_)), "{verdict:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn is_due_sooner_when_a_flow_began_earlier() {
    let policy = Policy {
        active: 1000,
        inactive: 1000,
        strict: false,
        linger: LINGER,
        max_bytes: 1000,
    };
    // Five packets, so that the flow is not small; one more had waited for three milliseconds.
    let five = [(0, 1, 0, 0); 5];
    never_due_too_late(policy, &[&five[..], &[(0, 0, 8, 0)]].concat()).unwrap();
}

/// Of keys that are spread at random, no more find no primary slot than there are spill slots for.
#[test]
fn there_are_cells_for_all_that_spill() {
    for flows in [1usize, 16, 1000, 28_000, 65_536] {
        for seed in 0..50u64 {
            let mut buckets = vec![0usize; flows.div_ceil(PRIMARY_SLOTS)];
            let mut random = 0x9e37_79b9_7f4a_7c15u64.wrapping_mul(seed + 1);
            for _ in 0..flows {
                // xorshift (Marsaglia, 2003)
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let i = ((random >> 32) * buckets.len() as u64) >> 32;
                buckets[i as usize] += 1;
            }
            let spill: usize = buckets
                .iter()
                .map(|n| n.saturating_sub(PRIMARY_SLOTS))
                .sum();
            assert!(spill <= spill_slots_for(flows), "{spill} of {flows}");
        }
    }
}

proptest! {
    #[test]
    fn is_never_due_too_late(
        // A second at least, as the limits of the settings have it.
        (active, inactive) in (1000u32..5000, 1000u32..5000),
        strict: bool,
        max_bytes in 50u64..1000,
        packets in proptest::collection::vec(
            (0u32..3, prop_oneof![9 => 0u32..3, 1 => 0u32..900], 0u32..20, 0u32..6),
            1..60,
        ),
    ) {
        let policy = Policy { active, inactive, strict, linger: LINGER, max_bytes };
        never_due_too_late(policy, &packets)?;
    }

    /// Against a plain list: whatever is put in and taken out, both hold the same, and no cell is
    /// lost.
    #[test]
    fn behaves_like_a_list(
        spare_cells in 0usize..SLOTS,
        rounds in proptest::collection::vec((any::<u32>(), any::<u32>()), 1..6),
    ) {
        const FLOWS: u32 = 20;

        let (mut bucket, slots, mut free_spill) = bucket(spare_cells);
        let mut list: Vec<u32> = Vec::new();
        for (come, go) in rounds {
            for n in (0..FLOWS).filter(|n| come & (1 << n) != 0) {
                if slots.find(&mut bucket, bits(n), &key(n)).is_some() {
                    continue;
                }
                match bucket.vacancy(bits(n), || free_spill.pop()) {
                    Some(vacancy) => {
                        slots.put(&mut bucket, vacancy, bits(n), flow(n), Uptime::from_millis(0));
                        list.push(n);
                    }
                    None => prop_assert_eq!(list.len(), SLOTS.min(PRIMARY_SLOTS + spare_cells)),
                }
            }
            let mut gone = Vec::new();
            let taken = slots.take(
                &mut bucket,
                |flow| {
                    let goes = go & (1 << number(flow)) != 0;
                    gone.extend(goes.then_some(number(flow)));
                    goes
                },
                |handle| free_spill.push(handle),
            );
            prop_assert_eq!(taken as usize, gone.len());
            let expected: Vec<u32> = list.iter().copied().filter(|n| go & (1 << n) != 0).collect();
            gone.sort();
            list.sort();
            prop_assert_eq!(gone.len(), expected.len());
            prop_assert!(gone.iter().all(|n| expected.contains(n)));
            list.retain(|n| go & (1 << n) == 0);
            let mut held: Vec<u32> = slots.iter(&bucket).map(number).collect();
            held.sort();
            prop_assert_eq!(&held, &list);
            prop_assert_eq!(bucket.is_empty(), list.is_empty());
            let in_cells = bucket.spill.iter().flatten().count();
            prop_assert_eq!(in_cells, list.len().saturating_sub(PRIMARY_SLOTS));
            prop_assert_eq!(in_cells + free_spill.len(), spare_cells);
            for n in 0..FLOWS {
                let found = slots.find(&mut bucket, bits(n), &key(n)).map(|flow| number(flow));
                prop_assert_eq!(found, list.contains(&n).then_some(n));
            }
        }
    }
}

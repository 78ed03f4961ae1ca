// SPDX-License-Identifier: GPL-2.0

//! Which packets are selected when not all are accounted (RFC 5475, section 5).

/// How packets are selected, in one word: it is read at once while it may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Method(u32);

/// Flag of a [`Method`], above the interval.
const RANDOM: u32 = 1 << 31;

impl Method {
    /// All packets.
    pub(crate) const ALL: Self = Self::new(1, false);

    /// One packet of `interval`: of each so many that follow each other a random one (n-out-of-N
    /// sampling), or the last one (systematic count-based sampling).
    pub(crate) const fn new(interval: u32, is_random: bool) -> Self {
        let interval = interval & !RANDOM;
        match is_random && interval > 1 {
            true => Self(interval | RANDOM),
            false => Self(interval),
        }
    }

    /// The method that [`Self::bits`] is of.
    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The method as a number.
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    /// Of how many packets one is selected; at least 1.
    pub(crate) fn interval(self) -> u32 {
        (self.0 & !RANDOM).max(1)
    }

    /// Whether it is a random one of them.
    pub(crate) fn is_random(self) -> bool {
        self.0 & RANDOM != 0
    }

    /// Whether any packet is not selected.
    pub(crate) fn is_partial(self) -> bool {
        self.interval() != 1
    }
}

/// The way to the next packet that is selected. Packets are divided into windows of an interval
/// each; one packet of each window is selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Countdown {
    /// Packets until the one that is selected, itself included.
    pub(crate) left: u32,
    /// Packets of its window after it.
    pub(crate) rest: u32,
}

impl Countdown {
    /// The way from the selected packet of a window, which `rest` packets of the window follow, to
    /// that of the next window; from the beginning, if `rest` is 0. `random_below` gives a random
    /// number below its argument.
    pub(crate) fn next(method: Method, rest: u32, random_below: impl FnOnce(u32) -> u32) -> Self {
        let last = method.interval().saturating_sub(1);
        let before = match method.is_random() {
            true => random_below(method.interval()).min(last),
            false => last,
        };
        Self {
            left: rest.saturating_add(before).saturating_add(1),
            rest: last.saturating_sub(before),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A generator of numbers (splitmix64).
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, n: u32) -> u32 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((u128::from(z ^ (z >> 31)) * u128::from(n)) >> 64) as u32
        }
    }

    /// The positions of the selected ones among so many packets.
    fn selected(method: Method, packets: u32, numbers: &mut Numbers) -> Vec<u32> {
        let mut countdown = Countdown::next(method, 0, |n| numbers.below(n));
        let mut positions = Vec::new();
        for position in 0..packets {
            countdown.left -= 1;
            if countdown.left == 0 {
                positions.push(position);
                countdown = Countdown::next(method, countdown.rest, |n| numbers.below(n));
            }
        }
        positions
    }

    #[test]
    fn a_method_is_what_it_was_made_of() {
        for (interval, is_random) in [(1, false), (100, true), (16_383, false)] {
            let method = Method::new(interval, is_random);
            assert_eq!(Method::from_bits(method.bits()), method);
            assert_eq!(
                (method.interval(), method.is_random()),
                (interval, is_random)
            );
            assert_eq!(method.is_partial(), interval != 1);
        }
        // There is one way to select all.
        assert_eq!(Method::new(1, true), Method::ALL);
        // Of nothing, as it is before it was set, all are selected.
        assert_eq!(Method::from_bits(0).interval(), 1);
    }

    #[test]
    fn systematic_selection_takes_each_nth_packet() {
        let positions = selected(Method::new(10, false), 1000, &mut Numbers(1));
        let expected: Vec<u32> = (0..100).map(|window| window * 10 + 9).collect();
        assert_eq!(positions, expected);
    }

    #[test]
    fn random_selection_takes_one_of_each_window() {
        for interval in [1, 2, 3, 10, 1000] {
            let positions = selected(
                Method::new(interval, true),
                interval * 50,
                &mut Numbers(interval.into()),
            );
            let windows: Vec<u32> = positions.iter().map(|at| at / interval).collect();
            assert_eq!(windows, (0..50).collect::<Vec<_>>(), "interval {interval}");
        }
    }

    #[test]
    fn all_places_in_a_window_are_as_likely() {
        const INTERVAL: u32 = 8;
        const WINDOWS: u32 = 80_000;
        let positions = selected(
            Method::new(INTERVAL, true),
            INTERVAL * WINDOWS,
            &mut Numbers(7),
        );
        for place in 0..INTERVAL {
            let count = positions
                .iter()
                .filter(|at| *at % INTERVAL == place)
                .count();
            // The standard deviation is 94.
            assert!(count.abs_diff(10_000) < 500, "{count} at {place}");
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! When templates and options are to be sent again (RFC 3954, section 7; RFC 7011, section 8.4).

use super::format::ExportTime;

/// Datagrams may be lost: to a Collector that is new, all is told so many times.
const COPIES: u32 = 3;

/// Milliseconds between these, so that what loses one does not lose the next.
const COPIES_APART: u64 = 500;

/// Milliseconds by which the time of day differs from SysUptime's course when the clock was set: a
/// Collector is to know the time anew.
const CLOCK_STEP: u32 = 1000;

/// How long Collectors are told nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Intervals {
    pub(crate) seconds: u32,
    pub(crate) datagrams: u32,
}

/// What is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Templates, and the options that are few: so many datagrams may come each second that
    /// interfaces, which may be many, would outnumber them.
    Templates,
    /// All.
    All,
}

/// What has been told so far.
pub(crate) struct Refresh {
    intervals: Intervals,
    /// When all was told last; `None` if there is somebody who was not.
    last: Option<ExportTime>,
    /// Datagrams since templates were.
    datagrams: u32,
    /// How many more times it is to be told soon.
    copies: u32,
}

impl Refresh {
    /// Nothing has been told.
    pub(crate) fn new(intervals: Intervals) -> Self {
        Self {
            intervals,
            last: None,
            datagrams: 0,
            copies: COPIES,
        }
    }

    /// Sets the intervals.
    pub(crate) fn set_intervals(&mut self, intervals: Intervals) {
        self.intervals = intervals;
    }

    /// There is somebody who was told nothing.
    pub(crate) fn restart(&mut self) {
        self.last = None;
        self.copies = COPIES;
    }

    /// What is to be told now, if anything.
    pub(crate) fn due(&self, now: ExportTime) -> Option<Due> {
        let Some(last) = self.last else {
            return Some(Due::All);
        };
        let elapsed = now.milliseconds().saturating_sub(last.milliseconds());
        let step = now.boot().wrapping_sub(last.boot());
        let copy_is_due = self.copies != 0 && elapsed >= COPIES_APART;
        let all_is_due = copy_is_due
            || elapsed >= u64::from(self.intervals.seconds).saturating_mul(1000)
            || step.min(step.wrapping_neg()) >= CLOCK_STEP;
        match all_is_due {
            true => Some(Due::All),
            false => (self.datagrams >= self.intervals.datagrams).then_some(Due::Templates),
        }
    }

    /// It was told.
    pub(crate) fn told(&mut self, what: Due, now: ExportTime) {
        self.datagrams = 0;
        if what == Due::All {
            self.last = Some(now);
            self.copies = self.copies.saturating_sub(1);
        }
    }

    /// A datagram of records was sent.
    pub(crate) fn count_datagram(&mut self) {
        self.datagrams = self.datagrams.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::uptime::Uptime;

    const INTERVALS: Intervals = Intervals {
        seconds: 60,
        datagrams: 500,
    };

    /// So many milliseconds after a moment shortly before SysUptime wraps.
    fn at(millis: u64) -> ExportTime {
        ExportTime {
            uptime: Uptime::from_millis(0xffff_ff00 + millis),
            wall: 1_700_000_000_000_000_000 + millis * 1_000_000,
        }
    }

    /// Whether it is due at each of these moments, if it is told whenever it is.
    fn due(refresh: &mut Refresh, moments: &[u64]) -> Vec<bool> {
        let tell = |&millis: &u64| {
            let due = refresh.due(at(millis));
            if let Some(what) = due {
                refresh.told(what, at(millis));
            }
            due.is_some()
        };
        moments.iter().map(tell).collect()
    }

    #[test]
    fn three_copies_then_each_minute() {
        let mut refresh = Refresh::new(INTERVALS);
        let moments = [0, 1, 999, 1000, 2000, 3000, 60_999, 61_999, 62_000, 122_000];
        let t = true;
        let f = false;
        assert_eq!(due(&mut refresh, &moments), [t, f, t, f, t, f, f, f, t, t]);
        refresh.restart();
        assert_eq!(
            due(&mut refresh, &[122_001, 123_001, 124_001, 125_001]),
            [t, t, t, f]
        );
    }

    #[test]
    fn after_so_many_datagrams() {
        let mut refresh = Refresh::new(INTERVALS);
        due(&mut refresh, &[0, 1000, 2000]);
        for _ in 0..499 {
            refresh.count_datagram();
        }
        assert_eq!(refresh.due(at(2001)), None);
        refresh.count_datagram();
        assert_eq!(refresh.due(at(2001)), Some(Due::Templates));
        assert_eq!(due(&mut refresh, &[2001, 2002]), [true, false]);
    }

    /// Interfaces too, each minute, however many datagrams there are.
    #[test]
    fn datagrams_do_not_put_off_all() {
        let mut refresh = Refresh::new(INTERVALS);
        due(&mut refresh, &[0, 1000, 2000]);
        for second in 3..62 {
            (0..500).for_each(|_| refresh.count_datagram());
            assert_eq!(refresh.due(at(second * 1000)), Some(Due::Templates));
            refresh.told(Due::Templates, at(second * 1000));
        }
        (0..500).for_each(|_| refresh.count_datagram());
        assert_eq!(refresh.due(at(62_000)), Some(Due::All));
    }

    /// In either direction; but not when the clock is slewed, nor when SysUptime wraps.
    #[test]
    fn when_the_clock_was_set() {
        let mut refresh = Refresh::new(INTERVALS);
        due(&mut refresh, &[0, 1000, 2000]);
        for (step, expected) in [(-5000, true), (-1000, true), (-999, false), (999, false)] {
            let mut now = at(3000);
            now.wall = now.wall.wrapping_add_signed(step * 1_000_000);
            assert_eq!(refresh.due(now).is_some(), expected, "{step}");
        }
        let mut now = at(3000);
        now.wall += 1_000_000_000;
        assert_eq!(refresh.due(now), Some(Due::All));
    }
}

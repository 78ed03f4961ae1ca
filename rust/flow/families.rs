// SPDX-License-Identifier: GPL-2.0

//! The address families whose packets are accounted.

use core::ops::Add;

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressFamily {
    Ipv4,
    Ipv6,
}

impl AddressFamily {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// As a bit of [`AddressFamilies`].
    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A set of address families, as the bits of `enum netflow_families`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AddressFamilies(u32);

impl AddressFamilies {
    /// Both.
    pub(crate) const ALL: Self = Self(AddressFamily::Ipv4.bit() | AddressFamily::Ipv6.bit());

    /// The families of `bits`; bits that name none are dropped.
    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// As bits.
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    /// Whether a family is among them.
    #[inline]
    pub(crate) const fn has(self, family: AddressFamily) -> bool {
        self.0 & family.bit() != 0
    }

    /// Whether no family is among them.
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many there are.
    pub(crate) const fn count(self) -> usize {
        // CAST: At most two.
        self.0.count_ones() as usize
    }
}

/// Something of each address family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PerFamily<T> {
    pub(crate) ipv4: T,
    pub(crate) ipv6: T,
}

impl<T> PerFamily<T> {
    /// That of a family.
    #[inline(always)]
    pub(crate) const fn of(&self, family: AddressFamily) -> &T {
        match family {
            AddressFamily::Ipv4 => &self.ipv4,
            AddressFamily::Ipv6 => &self.ipv6,
        }
    }

    /// That of a family, to change.
    #[inline(always)]
    pub(crate) fn of_mut(&mut self, family: AddressFamily) -> &mut T {
        match family {
            AddressFamily::Ipv4 => &mut self.ipv4,
            AddressFamily::Ipv6 => &mut self.ipv6,
        }
    }
}

impl<T: Add<Output = T> + Copy> PerFamily<T> {
    /// That of all families together.
    pub(crate) fn sum(&self) -> T {
        self.ipv4 + self.ipv6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_those_of_the_interface() {
        assert_eq!(AddressFamilies::ALL.bits(), 0b11);
        for (bits, families) in [
            (0b01, &[AddressFamily::Ipv4][..]),
            (0b10, &[AddressFamily::Ipv6]),
            (0b11, &AddressFamily::ALL),
        ] {
            let set = AddressFamilies::from_bits(bits | 0xf0);
            assert_eq!(set.bits(), bits);
            assert_eq!(set.count(), families.len());
            let is_right = |family| set.has(family) == families.contains(&family);
            assert!(AddressFamily::ALL.into_iter().all(is_right));
        }
        assert!(AddressFamilies::from_bits(0xf0).is_empty());
    }

    #[test]
    fn each_family_has_its_own() {
        let mut counts = PerFamily { ipv4: 1, ipv6: 2 };
        *counts.of_mut(AddressFamily::Ipv6) += 10;
        assert_eq!(counts.of(AddressFamily::Ipv4), &1);
        assert_eq!(counts.of(AddressFamily::Ipv6), &12);
        assert_eq!(counts.sum(), 13);
    }
}

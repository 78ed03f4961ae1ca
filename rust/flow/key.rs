// SPDX-License-Identifier: GPL-2.0

//! What makes packets belong to one flow, and its keyed hash.

use core::{
    fmt::Debug,
    net::{
        Ipv4Addr,
        Ipv6Addr, //
    },
};

use super::families::AddressFamily;

/// An IP address: what differs between the flows of the two IP versions.
pub(crate) trait Address: Copy + Debug + Eq + Send + Sync + Unpin + 'static {
    /// Source and destination, as 32-bit words.
    type Pair: AsRef<[u32]> + Copy + Debug + Eq + Send + Sync + Unpin;

    /// What a flow keeps of its first packet beside the key: the flow label (RFC 6437) of IPv6. It
    /// is no part of the key, as Linux changes that of a connection when packets get lost.
    type Label: Copy + Debug + Default + Eq + Into<FlowLabel> + Send + Sync + Unpin;

    /// Its family.
    const FAMILY: AddressFamily;

    /// The protocol number of its ICMP.
    const ICMP: u8;

    /// All zero.
    const UNSPECIFIED: Self;

    /// Two unspecified addresses.
    const NO_PAIR: Self::Pair;

    /// Puts source and destination together.
    fn pair(src: Self, dst: Self) -> Self::Pair;

    /// Source and destination.
    fn unpair(pair: &Self::Pair) -> (Self, Self);

    /// The address as it stands in a packet.
    fn octets(&self) -> impl AsRef<[u8]>;
}

/// A flow label of 20 bits, 0 if there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FlowLabel(u32);

impl FlowLabel {
    /// The lower 20 bits.
    #[inline(always)]
    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits & 0xf_ffff)
    }

    /// As a number.
    #[inline(always)]
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }
}

/// IPv4 has none.
impl From<()> for FlowLabel {
    #[inline(always)]
    fn from((): ()) -> Self {
        Self(0)
    }
}

impl Address for Ipv4Addr {
    type Pair = [u32; 2];
    type Label = ();

    const FAMILY: AddressFamily = AddressFamily::Ipv4;
    const ICMP: u8 = 1;

    const UNSPECIFIED: Self = Self::UNSPECIFIED;
    const NO_PAIR: [u32; 2] = [0; 2];

    #[inline(always)]
    fn pair(src: Self, dst: Self) -> [u32; 2] {
        [src, dst].map(|address| u32::from_ne_bytes(Self::octets(&address)))
    }

    fn unpair(&[src, dst]: &[u32; 2]) -> (Self, Self) {
        (src.to_ne_bytes().into(), dst.to_ne_bytes().into())
    }

    #[inline(always)]
    fn octets(&self) -> impl AsRef<[u8]> {
        Self::octets(self)
    }
}

impl Address for Ipv6Addr {
    type Pair = [u32; 8];
    type Label = FlowLabel;

    const FAMILY: AddressFamily = AddressFamily::Ipv6;
    const ICMP: u8 = 58;

    const UNSPECIFIED: Self = Self::UNSPECIFIED;
    const NO_PAIR: [u32; 8] = [0; 8];

    #[inline(always)]
    fn pair(src: Self, dst: Self) -> [u32; 8] {
        // As they stand in a packet, so that nothing has to be swapped.
        let words = |address: Self| {
            let bits = u128::from_ne_bytes(Self::octets(&address));
            // CAST: The four quarters.
            [0, 32, 64, 96].map(|shift| bits.wrapping_shr(shift) as u32)
        };
        let ([a, b, c, d], [e, f, g, h]) = (words(src), words(dst));
        [a, b, c, d, e, f, g, h]
    }

    fn unpair(&[a, b, c, d, e, f, g, h]: &[u32; 8]) -> (Self, Self) {
        let address = |words: [u32; 4]| {
            let bits = words
                .iter()
                .rev()
                .fold(0, |bits, word| (bits << 32) | u128::from(*word));
            Self::from(bits.to_ne_bytes())
        };
        (address([a, b, c, d]), address([e, f, g, h]))
    }

    #[inline(always)]
    fn octets(&self) -> impl AsRef<[u8]> {
        Self::octets(self)
    }
}

/// The key of a flow: packets that agree in all of it belong to one flow.
///
/// Kept in words, as it is compared and hashed for every packet, and seldom looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key<A: Address> {
    pair: A::Pair,
    ports_input: [u32; 2],
    proto_tos: u32,
}

impl<A: Address> Key<A> {
    /// The key of no flow.
    pub(crate) const VACANT: Self = Self {
        pair: A::NO_PAIR,
        ports_input: [0; 2],
        proto_tos: 0,
    };

    /// Makes a key. `ports` are source and destination port as they stand in a packet, `input` is
    /// the interface that it came in by.
    #[inline(always)]
    pub(crate) fn new(src: A, dst: A, ports: [u8; 4], input: u32, proto: u8, tos: u8) -> Self {
        Self {
            pair: A::pair(src, dst),
            ports_input: [u32::from_ne_bytes(ports), input],
            proto_tos: (u32::from(proto) << 8) | u32::from(tos),
        }
    }

    /// Source address.
    pub(crate) fn src(&self) -> A {
        A::unpair(&self.pair).0
    }

    /// Destination address.
    pub(crate) fn dst(&self) -> A {
        A::unpair(&self.pair).1
    }

    /// Both ports, as they stand in a packet.
    fn ports(&self) -> u32 {
        let [ports, _] = self.ports_input;
        ports
    }

    /// Source port, 0 where the protocol has none.
    pub(crate) fn src_port(&self) -> u16 {
        let [high, low, ..] = self.ports().to_ne_bytes();
        u16::from_be_bytes([high, low])
    }

    /// Destination port, 0 where the protocol has none; type and code of an ICMP message.
    pub(crate) fn dst_port(&self) -> u16 {
        let [.., high, low] = self.ports().to_ne_bytes();
        u16::from_be_bytes([high, low])
    }

    /// Forgets the ports.
    pub(crate) fn clear_ports(&mut self) {
        let [ports, _] = &mut self.ports_input;
        *ports = 0;
    }

    /// The interface that the packets came in by.
    pub(crate) fn input(&self) -> u32 {
        let [_, input] = self.ports_input;
        input
    }

    /// Protocol number (IANA).
    #[inline(always)]
    pub(crate) fn proto(&self) -> u8 {
        // CAST: The upper byte.
        (self.proto_tos >> 8) as u8
    }

    /// Type of service, all eight bits.
    pub(crate) fn tos(&self) -> u8 {
        // CAST: The lower byte.
        self.proto_tos as u8
    }

    /// The keyed hash of all fields, equally good in each of its 32 bits.
    #[inline(always)]
    pub(crate) fn hash(&self, secret: &Secret) -> u32 {
        let mut sum = secret.base;
        for (words, secret) in self.pair.as_ref().chunks_exact(2).zip(&secret.pair) {
            if let &[a, b] = words {
                sum = sum.wrapping_add(product([a, b], secret));
            }
        }
        sum = sum.wrapping_add(product(self.ports_input, &secret.ports_input));
        sum = sum.wrapping_add(product([self.proto_tos, 0], &secret.proto_tos));
        finish(sum)
    }
}

/// The part of two words in the hash.
#[inline(always)]
const fn product([a, b]: [u32; 2], &[s, t]: &[u64; 2]) -> u64 {
    // CAST: Wider.
    s.wrapping_add(a as u64)
        .wrapping_mul(t.wrapping_add(b as u64))
}

/// Scatters what differs little: keys in a regular order have sums in a regular order, and without
/// this would crowd together in some buckets.
#[inline(always)]
const fn finish(sum: u64) -> u32 {
    /// 2^64 divided by the golden ratio.
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

    // CAST: The upper half fits.
    ((sum ^ (sum >> 32)).wrapping_mul(ODD) >> 32) as u32
}

/// The secret of the hash: random numbers that an attacker does not know.
///
/// The hash is "multilinear-HM": of each two 32-bit words of the key, each plus a random 64-bit
/// number, the product; all added up modulo 2^64. The upper half of that is strongly universal:
/// whatever keys an attacker chooses, without knowledge of the secret two of them agree in it with
/// a probability of 2^-32 (Lemire and Kaser, "Strongly universal string hashing is fast", 2014,
/// section 3). That says nothing of more than two keys; a last multiplication scatters those that
/// lie in a row.
pub(crate) struct Secret {
    base: u64,
    pair: [[u64; 2]; 4],
    ports_input: [u64; 2],
    proto_tos: [u64; 2],
}

impl Secret {
    /// How many random numbers make a secret.
    pub(crate) const WORDS: usize = 13;

    /// Makes a secret of random numbers.
    pub(crate) const fn new(random: [u64; Self::WORDS]) -> Self {
        let [base, a, b, c, d, e, f, g, h, ports, input, proto_tos, zero] = random;
        Self {
            base,
            pair: [[a, b], [c, d], [e, f], [g, h]],
            ports_input: [ports, input],
            proto_tos: [proto_tos, zero],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{
        prelude::RngCore,
        test_runner::{
            RngAlgorithm,
            TestRng, //
        },
    };

    /// Any numbers do; these are the fractional digits of pi (SipHash and others use them so).
    const SECRET: Secret = Secret::new([
        0x243f6a8885a308d3,
        0x13198a2e03707344,
        0xa4093822299f31d0,
        0x082efa98ec4e6c89,
        0x452821e638d01377,
        0xbe5466cf34e90c6c,
        0xc0ac29b7c97c50dd,
        0x3f84d5b5b5470917,
        0x9216d5d98979fb1b,
        0xd1310ba698dfb5ac,
        0x2ffd72dbd01adfb7,
        0xb8e1afed6a267e96,
        0xba7c9045f12c7f99,
    ]);

    fn key(src: u32, dst: u32, src_port: u16, dst_port: u16) -> Key<Ipv4Addr> {
        let ([a, b], [c, d]) = (src_port.to_be_bytes(), dst_port.to_be_bytes());
        Key::new(src.into(), dst.into(), [a, b, c, d], 2, 6, 0)
    }

    /// How many of 65,536 keys find their bucket full, in a table made for as many: 16,384 buckets
    /// of 16 slots. By Poisson's distribution, 0.02 of them.
    fn refused(secret: &Secret, keys: impl Iterator<Item = Key<Ipv4Addr>>) -> usize {
        let mut buckets = vec![0; 16_384];
        for key in keys {
            buckets[((u64::from(key.hash(secret)) * 16_384) >> 32) as usize] += 1;
        }
        assert_eq!(buckets.iter().sum::<usize>(), 65_536);
        buckets.iter().map(|&n: &usize| n.saturating_sub(16)).sum()
    }

    /// Whatever the secret: one source that sweeps a /16; one client that uses all its ports; many
    /// clients of one server; tuples that fall into one bucket of the seed's hash.
    #[test]
    fn structured_keys_spread() {
        let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let n = 0..65_536u32;
        let mut total = 0;
        for _ in 0..200 {
            let secret = Secret::new([(); Secret::WORDS].map(|()| random.next_u64()));
            let sweep = n
                .clone()
                .map(|i| key(0x0a00_0001, 0xc0a8_0000 | i, 40_000, 80));
            let ports = n
                .clone()
                .map(|i| key(0x0a00_0001, 0xc0a8_0001, i as u16, 80));
            let clients = n
                .clone()
                .map(|i| key(0x0a00_0000 | i, 0xc0a8_0001, 1024 + (i >> 8) as u16, 443));
            let seed = n
                .clone()
                .map(|i| key(0x0a0a_0000 | i, 0xc0a8_0007, 1234, 80));
            total += refused(&secret, sweep) + refused(&secret, ports);
            total += refused(&secret, clients) + refused(&secret, seed);
        }
        assert!(
            total <= 100,
            "{total} of 800 x 65536 keys are refused, 18 are to be expected"
        );
    }

    #[test]
    fn every_field_counts() {
        let key = |src: u32, dst: u32, ports, input, proto, tos| {
            Key::<Ipv4Addr>::new(src.into(), dst.into(), ports, input, proto, tos)
        };
        let base = key(1, 2, [3, 4, 5, 6], 7, 8, 9);
        let others = [
            key(9, 2, [3, 4, 5, 6], 7, 8, 9),
            key(1, 9, [3, 4, 5, 6], 7, 8, 9),
            key(1, 2, [9, 4, 5, 6], 7, 8, 9),
            key(1, 2, [3, 4, 5, 9], 7, 8, 9),
            key(1, 2, [3, 4, 5, 6], 9, 8, 9),
            key(1, 2, [3, 4, 5, 6], 7, 9, 9),
            key(1, 2, [3, 4, 5, 6], 7, 8, 8),
            key(2, 1, [3, 4, 5, 6], 7, 8, 9),
            key(1, 2, [5, 6, 3, 4], 7, 8, 9),
        ];
        for other in others {
            assert_ne!(base.hash(&SECRET), other.hash(&SECRET));
            assert_ne!(base, other);
        }
    }

    #[test]
    fn what_goes_in_comes_out() {
        let (src, dst) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(192, 0, 2, 7));
        let key = Key::new(src, dst, [0x01, 0xbb, 0xc7, 0x38], 70_000, 6, 0xb8);
        assert_eq!((key.src(), key.dst()), (src, dst));
        assert_eq!((key.src_port(), key.dst_port()), (443, 51_000));
        assert_eq!((key.input(), key.proto(), key.tos()), (70_000, 6, 0xb8));

        let src = Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 3, 4, 5, 6);
        let key = Key::new(src, Ipv6Addr::LOCALHOST, [0; 4], 1, 58, 0);
        assert_eq!((key.src(), key.dst()), (src, Ipv6Addr::LOCALHOST));
    }

    #[test]
    fn ipv6_addresses_hash_whole() {
        let hash = |src: Ipv6Addr| Key::new(src, src, [0; 4], 1, 6, 0).hash(&SECRET);
        let base = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
        for i in 0..8 {
            let mut segments = base.segments();
            segments[i] ^= 0x100;
            assert_ne!(hash(base), hash(segments.into()));
        }
    }
}

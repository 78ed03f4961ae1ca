// SPDX-License-Identifier: GPL-2.0-only

//! Reading attributes, without copying and without trusting their lengths.

use crate::error::Error;
use netlink_packet_core::{
    NlasIterator,
    NLA_HEADER_SIZE, //
};
use std::net::IpAddr;

/// One attribute of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Its number, without the flags that share the field.
    pub kind: u16,
    /// Its bytes, without padding.
    pub value: &'a [u8],
}

/// The attributes of a message, or of a nest.
///
/// The iterator ends after the first error: an attribute that is longer than what holds it, or
/// shorter than its own header.
pub fn attributes(payload: &[u8]) -> impl Iterator<Item = Result<Attribute<'_>, Error>> {
    NlasIterator::new(payload).map(|nla| {
        let nla = nla.map_err(|error| Error::Malformed(error.to_string()))?;
        let kind = nla.kind();
        let end = usize::from(nla.length());
        let value = nla.into_inner().get(NLA_HEADER_SIZE..end);
        Ok(Attribute {
            kind,
            value: value.unwrap_or_default(),
        })
    })
}

impl Attribute<'_> {
    /// The value of a `u8`.
    pub fn u8(&self) -> Result<u8, Error> {
        self.exactly().map(u8::from_ne_bytes)
    }

    /// The value of a `u16`.
    pub fn u16(&self) -> Result<u16, Error> {
        self.exactly().map(u16::from_ne_bytes)
    }

    /// The value of a `u32`.
    pub fn u32(&self) -> Result<u32, Error> {
        self.exactly().map(u32::from_ne_bytes)
    }

    /// The value of a `u64`.
    pub fn u64(&self) -> Result<u64, Error> {
        self.exactly().map(u64::from_ne_bytes)
    }

    /// The value of a `uint`, for which the kernel takes 4 bytes or, where they do not do, 8.
    pub fn uint(&self) -> Result<u64, Error> {
        match self.value.len() {
            4 => self.u32().map(u64::from),
            _ => self.u64(),
        }
    }

    /// An IP address: 4 or 16 bytes in network byte order.
    pub fn address(&self) -> Result<IpAddr, Error> {
        match self.value.len() {
            4 => self.exactly::<4>().map(IpAddr::from),
            _ => self.exactly::<16>().map(IpAddr::from),
        }
    }

    /// A string, up to the NUL byte that ends it.
    pub fn string(&self) -> String {
        let bytes = self.value.split(|&byte| byte == 0).next();
        String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
    }

    /// A string, on one line whatever it contains. `None` if it is empty.
    pub fn text(&self) -> Option<String> {
        let text = self.string().replace(char::is_control, " ");
        Some(text).filter(|text| !text.is_empty())
    }

    fn exactly<const N: usize>(&self) -> Result<[u8; N], Error> {
        self.value.try_into().map_err(|_| self.wrong_length(N))
    }

    #[cold]
    fn wrong_length(&self, expected: usize) -> Error {
        Error::Malformed(format!(
            "attribute {} is of {} bytes instead of {expected}",
            self.kind,
            self.value.len(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(payload: &[u8]) -> Attribute<'_> {
        let mut all = attributes(payload);
        let first = all.next().unwrap().unwrap();
        assert!(all.next().is_none());
        first
    }

    /// struct nlattr { __u16 nla_len; __u16 nla_type; }, the value, padding to 4 bytes.
    fn nlattr(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0xaa);
        bytes
    }

    #[test]
    fn integers_have_the_byte_order_of_the_machine() {
        assert_eq!(only(&nlattr(1, &[7])).u8().unwrap(), 7);
        let bytes = 513u16.to_ne_bytes();
        assert_eq!(only(&nlattr(2, &bytes)).u16().unwrap(), 513);
        let bytes = 0x0102_0304u32.to_ne_bytes();
        assert_eq!(only(&nlattr(3, &bytes)).u32().unwrap(), 0x0102_0304);
        let bytes = (1u64 << 40).to_ne_bytes();
        assert_eq!(only(&nlattr(4, &bytes)).u64().unwrap(), 1 << 40);
    }

    #[test]
    fn a_uint_has_four_or_eight_bytes() {
        let small = nlattr(4, &70_000u32.to_ne_bytes());
        assert_eq!(only(&small).uint().unwrap(), 70_000);
        let large = nlattr(4, &(1u64 << 40).to_ne_bytes());
        assert_eq!(only(&large).uint().unwrap(), 1 << 40);
        for length in [0, 1, 2, 3, 5, 6, 7, 9, 16] {
            assert!(only(&nlattr(4, &vec![0; length])).uint().is_err());
        }
    }

    #[test]
    fn addresses_have_network_byte_order() {
        let address = only(&nlattr(1, &[10, 0, 0, 1])).address().unwrap();
        assert_eq!(address.to_string(), "10.0.0.1");
        let mut long = [0; 16];
        (long[0], long[1], long[15]) = (0xfe, 0x80, 9);
        let address = only(&nlattr(1, &long)).address().unwrap();
        assert_eq!(address.to_string(), "fe80::9");
        let error = only(&nlattr(1, &[1, 2, 3])).address().unwrap_err();
        assert_eq!(
            error.to_string(),
            "answer of the kernel not understood: attribute 1 is of 3 bytes instead of 16"
        );
    }

    #[test]
    fn flags_are_not_part_of_the_number() {
        assert_eq!(only(&nlattr(0x8000 | 7, &[])).kind, 7);
        assert_eq!(only(&nlattr(0x4000 | 7, &[])).kind, 7);
    }

    #[test]
    fn padding_separates_attributes() {
        let mut bytes = nlattr(1, &[7]);
        bytes.extend(nlattr(2, &[8, 9]));
        let all: Vec<_> = attributes(&bytes).map(Result::unwrap).collect();
        assert_eq!(all[0].value, [7]);
        assert_eq!(all[1].value, [8, 9]);
    }

    #[test]
    fn the_first_bad_length_ends_it() {
        let mut bytes = nlattr(1, &[7]);
        bytes.extend([200, 0, 2, 0, 1, 2, 3, 4]);
        bytes[8..10].copy_from_slice(&200u16.to_ne_bytes());
        let all: Vec<_> = attributes(&bytes).collect();
        assert_eq!(all.len(), 2);
        assert!(all[0].is_ok() && all[1].is_err());
        for short in [&[0u8; 4][..], &[1, 0, 0][..], &[3, 0, 1, 0][..]] {
            assert!(attributes(short).next().unwrap().is_err());
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The attributes of a request.
//!
//! The kernel has checked them by the policy of the operation before a handler sees them. What is
//! here stays within the bytes of the message even so. It does not use the kernel's table of
//! attributes, as to read that safely one must know the last attribute of each operation.
//!
//! Plain Rust, compiled on the host too.
//!
//! C header: [`include/uapi/linux/netlink.h`](srctree/include/uapi/linux/netlink.h)

/// Bytes of the header, `NLA_HDRLEN`: length and type, 16 bits each.
pub(super) const HEADER_LEN: usize = 4;

/// Each attribute begins at a multiple of this, `NLA_ALIGNTO`.
const ALIGN: usize = 4;

/// The bits of the type that are no flags, `NLA_TYPE_MASK`.
const TYPE_MASK: u16 = 0x3fff;

/// That an attribute of which there is to be one is given more than once.
///
/// The kernel's own tables of attributes keep the last one. To drop what is given, and to say that
/// all is well, would be wrong for a list such as `multi-attr` in the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Repeated;

/// Attributes one after the other: those of a request, or those of a nest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes<'a>(&'a [u8]);

/// An attribute of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute<'a> {
    kind: u16,
    payload: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// The attributes in `bytes`.
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The attribute `kind`, if given.
    pub(crate) fn get(self, kind: u32) -> Result<Option<Attribute<'a>>, Repeated> {
        let mut given = self.filter(|attribute| u32::from(attribute.kind) == kind);
        let first = given.next();
        match given.next() {
            None => Ok(first),
            Some(_) => Err(Repeated),
        }
    }

    /// The attributes of the nest `kind`, if given.
    pub(crate) fn nest(self, kind: u32) -> Result<Option<Self>, Repeated> {
        Ok(self.get(kind)?.map(|nest| Self(nest.payload)))
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    /// The next attribute. `None` at the end, and if what is left is too short for what it claims.
    fn next(&mut self) -> Option<Attribute<'a>> {
        let ([len_0, len_1, kind_0, kind_1], _) = self.0.split_first_chunk::<HEADER_LEN>()?;
        let len = usize::from(u16::from_ne_bytes([*len_0, *len_1]));
        let kind = u16::from_ne_bytes([*kind_0, *kind_1]) & TYPE_MASK;
        let payload = self.0.get(HEADER_LEN..len)?;
        // The last attribute of a nest may go without its padding.
        self.0 = self.0.get(len.next_multiple_of(ALIGN)..).unwrap_or(&[]);
        Some(Attribute { kind, payload })
    }
}

impl<'a> Attribute<'a> {
    /// The payload.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.payload
    }

    /// The payload as a `u8`, if it is one.
    pub(crate) fn u8(&self) -> Option<u8> {
        Some(u8::from_ne_bytes(self.payload.try_into().ok()?))
    }

    /// The payload as a `u16` in host byte order, if it is one.
    pub(crate) fn u16(&self) -> Option<u16> {
        Some(u16::from_ne_bytes(self.payload.try_into().ok()?))
    }

    /// The payload as a `u32` in host byte order, if it is one.
    pub(crate) fn u32(&self) -> Option<u32> {
        Some(u32::from_ne_bytes(self.payload.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{
        collection::vec,
        prelude::*, //
    };

    /// What `nla_put()` would write.
    fn encode(attributes: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (kind, payload) in attributes {
            bytes.extend(u16::try_from(4 + payload.len()).unwrap().to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(payload);
            bytes.resize(bytes.len().div_ceil(4) * 4, 0);
        }
        bytes
    }

    fn all(bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
        Attributes::new(bytes)
            .map(|attribute| (attribute.kind, attribute.bytes().to_vec()))
            .collect()
    }

    #[test]
    fn values_are_read_at_their_width_alone() {
        let bytes = encode(&[(1, vec![7]), (2, vec![8, 9]), (3, vec![1, 2, 3, 4])]);
        let get = |kind| Attributes::new(&bytes).get(kind).unwrap().unwrap();
        assert_eq!(
            (get(1).u8(), get(1).u16(), get(1).u32()),
            (Some(7), None, None)
        );
        let u16 = u16::from_ne_bytes([8, 9]);
        assert_eq!(
            (get(2).u8(), get(2).u16(), get(2).u32()),
            (None, Some(u16), None)
        );
        let u32 = u32::from_ne_bytes([1, 2, 3, 4]);
        assert_eq!(
            (get(3).u8(), get(3).u16(), get(3).u32()),
            (None, None, Some(u32))
        );
        assert!(Attributes::new(&bytes).get(4).unwrap().is_none());
    }

    #[test]
    fn flags_are_no_part_of_the_type() {
        let inner = encode(&[(5, vec![1])]);
        let bytes = encode(&[(0x8002, inner), (0x4003, vec![2])]);
        let nest = Attributes::new(&bytes).nest(2).unwrap().unwrap();
        assert_eq!(nest.get(5).unwrap().unwrap().u8(), Some(1));
        assert_eq!(
            Attributes::new(&bytes).get(3).unwrap().unwrap().u8(),
            Some(2)
        );
    }

    #[test]
    fn what_is_given_twice_is_an_error() {
        let bytes = encode(&[(1, vec![1]), (2, vec![2]), (0x8001, vec![3])]);
        assert_eq!(Attributes::new(&bytes).get(1).unwrap_err(), Repeated);
        assert_eq!(Attributes::new(&bytes).nest(1).unwrap_err(), Repeated);
        assert_eq!(
            Attributes::new(&bytes).get(2).unwrap().unwrap().u8(),
            Some(2)
        );
    }

    #[test]
    fn what_is_cut_off_is_none() {
        let bytes = encode(&[(1, vec![1, 2, 3, 4, 5])]);
        // The padding may be missing, the payload may not.
        assert_eq!(all(&bytes[..9]), [(1, vec![1, 2, 3, 4, 5])]);
        for len in 0..9 {
            assert_eq!(all(&bytes[..len]), []);
        }
        // A length shorter than the header would never come to an end.
        assert_eq!(all(&[3, 0, 1, 0, 0, 0, 0, 0]), []);
        assert_eq!(all(&[0; 8]), []);
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_read(
            attributes in vec((0u16..0x4000, vec(any::<u8>(), 0..40)), 0..20),
        ) {
            prop_assert_eq!(all(&encode(&attributes)), attributes);
        }

        #[test]
        fn any_bytes_come_to_an_end(bytes in vec(any::<u8>(), 0..200)) {
            let total: usize = all(&bytes).iter().map(|(_, payload)| 4 + payload.len()).sum();
            prop_assert!(total <= bytes.len());
        }
    }
}

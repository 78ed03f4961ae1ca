// SPDX-License-Identifier: GPL-2.0

//! Writes numbers into a datagram, in network byte order.

/// Where the next byte goes. What does not fit is not written: who has one has seen to the room.
pub(crate) struct Writer<'a>(&'a mut [u8]);

impl<'a> Writer<'a> {
    /// Writes to `bytes`, from the first one.
    pub(crate) fn new(bytes: &'a mut [u8]) -> Self {
        Self(bytes)
    }

    /// Writes so many bytes.
    #[inline(always)]
    pub(crate) fn put<const LEN: usize>(&mut self, bytes: [u8; LEN]) {
        if let Some((place, rest)) = core::mem::take(&mut self.0).split_first_chunk_mut() {
            *place = bytes;
            self.0 = rest;
        }
    }

    /// Writes a number in `len` bytes, 1 to 4 or 8 of them.
    #[inline(always)]
    pub(crate) fn number(&mut self, number: u64, len: u16) {
        let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
        match len {
            1 => self.put([h]),
            2 => self.put([g, h]),
            3 => self.put([f, g, h]),
            4 => self.put([e, f, g, h]),
            _ => self.put([a, b, c, d, e, f, g, h]),
        }
    }

    /// Writes a text in `len` bytes: as much of it as fits in, and zeros.
    pub(crate) fn text(&mut self, text: &[u8], len: u16) {
        let zeros = core::iter::repeat(&0);
        for byte in text.iter().chain(zeros).take(len.into()) {
            self.put([*byte]);
        }
    }
}

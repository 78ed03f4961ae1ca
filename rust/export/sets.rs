// SPDX-License-Identifier: GPL-2.0

//! The Sets of a message, which NetFlow v9 calls FlowSets: both formats have the same.
//!
//! A Set is its id, its length with this header, records, and zeros up to a multiple of four bytes.

use core::ops::DerefMut;

use super::writer::Writer;

/// Bytes of the header of a Set.
const SET_HEADER: usize = 4;

/// A message under construction, in `B`: a header, and Sets.
pub(crate) struct Sets<B> {
    buffer: B,
    /// Bytes of its header.
    header: usize,
    /// Bytes that it takes at most.
    limit: usize,
    /// Bytes of it so far.
    len: usize,
    /// The Set that may take further records.
    open: Option<Set>,
}

struct Set {
    id: u16,
    /// Where its header is.
    start: usize,
}

/// The next multiple of four.
const fn aligned(len: usize) -> usize {
    len.saturating_add(3) & !3
}

impl<B: DerefMut<Target = [u8]>> Sets<B> {
    /// A message without Sets, in all of `buffer`.
    pub(crate) fn new(buffer: B, header: usize) -> Self {
        Self {
            limit: buffer.len(),
            buffer,
            header,
            len: header,
            open: None,
        }
    }

    /// Sets how many bytes it takes at most.
    pub(crate) fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes.min(self.buffer.len());
    }

    /// Records of `len` bytes that it has room for, all of them in one Set.
    pub(crate) fn records_max(&self, len: usize) -> usize {
        let room = (self.limit & !3).saturating_sub(self.header.saturating_add(SET_HEADER));
        room.checked_div(len).unwrap_or(0)
    }

    /// Room for a record of `len` bytes in a Set of that id; `None` if there is not so much.
    #[inline]
    pub(crate) fn record(&mut self, id: u16, len: usize) -> Option<Writer<'_>> {
        let goes_on = self.open.as_ref().is_some_and(|set| set.id == id);
        let start = match goes_on {
            true => self.len,
            false => aligned(self.len).saturating_add(SET_HEADER),
        };
        let end = start.saturating_add(len);
        if aligned(end) > self.limit {
            return None;
        }
        if !goes_on {
            self.close();
            self.open = Some(Set {
                id,
                start: self.len,
            });
        }
        self.len = end;
        self.buffer.get_mut(start..end).map(Writer::new)
    }

    /// Ends the Set that is open: the next record begins one of its own.
    pub(crate) fn close(&mut self) {
        let Some(Set { id, start }) = self.open.take() else {
            return;
        };
        let end = aligned(self.len);
        if let Some(padding) = self.buffer.get_mut(self.len..end) {
            padding.fill(0);
        }
        self.len = end;
        let len = end.saturating_sub(start);
        if let Some(header) = self.buffer.get_mut(start..end).map(Writer::new) {
            let mut header = header;
            header.number(u64::from(id), 2);
            header.number(u64::try_from(len).unwrap_or(0), 2);
        }
    }

    /// Completes the message with `header`, which is given how many bytes it takes.
    pub(crate) fn finish(&mut self, header: impl FnOnce(usize, &mut Writer<'_>)) -> &[u8] {
        self.close();
        if let Some(place) = self.buffer.get_mut(..self.header) {
            header(self.len, &mut Writer::new(place));
        }
        self.buffer.get(..self.len).unwrap_or_default()
    }

    /// Removes all Sets.
    pub(crate) fn clear(&mut self) {
        self.len = self.header;
        self.open = None;
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! One request at a time, and the replies to it.

use super::{
    attributes,
    request::HEADER_LEN,
    KernelError,
    Request, //
};
use crate::error::Error;
use netlink_packet_core::{
    NetlinkBuffer,
    NLMSG_DONE,
    NLMSG_ERROR,
    NLMSG_NOOP,
    NLMSG_OVERRUN,
    NLM_F_ACK_TLVS,
    NLM_F_CAPPED,
    NLM_F_DUMP_INTR, //
};
use netlink_packet_generic::{
    constants::{
        CTRL_ATTR_FAMILY_ID,
        GENL_HDRLEN,
        GENL_ID_CTRL, //
    },
    ctrl::{
        nlas::GenlCtrlAttrs,
        GenlCtrl,
        GenlCtrlCmd, //
    },
    GenlMessage, //
};
use std::{
    io,
    ops::Range, //
};

/// Bytes of the error number with which `NLMSG_ERROR` and `NLMSG_DONE` begin.
const ERRNO_LEN: usize = 4;

const ENOENT: i32 = 2;

/// Sends and receives datagrams: a socket, or what a test puts in its place.
pub trait Transport {
    /// Sends one message.
    fn send(&mut self, message: &[u8]) -> io::Result<()>;

    /// Waits for the next datagram and replaces the contents of the vector by it.
    fn receive(&mut self, datagram: &mut Vec<u8>) -> io::Result<()>;
}

/// A transport, and where in its datagrams the reader is.
#[derive(Debug)]
pub struct Connection<T> {
    transport: T,
    datagram: Vec<u8>,
    position: usize,
    sequence: u32,
}

impl<T: Transport> Connection<T> {
    /// A connection without requests so far.
    pub fn new(transport: T) -> Self {
        Self {
            transport,
            datagram: Vec::new(),
            position: 0,
            sequence: 0,
        }
    }

    /// Sends a request to the family of this number. The replies have to be read to the end to
    /// know how it went; what is left of earlier ones is skipped.
    pub fn request(&mut self, family: u16, request: Request) -> Result<Replies<'_, T>, Error> {
        self.sequence = self.sequence.wrapping_add(1);
        let message = request.encode(family, self.sequence);
        self.transport.send(&message).map_err(Error::Socket)?;
        Ok(Replies {
            connection: self,
            request,
            ended: false,
            interrupted: false,
        })
    }

    /// Finds the number of a family; `None` if the kernel does not know it.
    pub fn family(&mut self, name: &str) -> Result<Option<u16>, Error> {
        let message = GenlMessage::from_payload(GenlCtrl {
            cmd: GenlCtrlCmd::GetFamily,
            nlas: vec![GenlCtrlAttrs::FamilyName(name.to_owned())],
        });
        let request = Request::with_payload("family", &message);
        let mut found = None;
        let mut replies = self.request(GENL_ID_CTRL, request)?;
        loop {
            match replies.next() {
                Ok(Some(payload)) => {
                    // GenlCtrl does not take attributes that a newer kernel may have.
                    for attribute in attributes(payload) {
                        let attribute = attribute?;
                        if attribute.kind == CTRL_ATTR_FAMILY_ID {
                            found = Some(attribute.u16()?);
                        }
                    }
                }
                Ok(None) => return Ok(found),
                Err(Error::Refused { error, .. }) if error.errno == ENOENT => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
}

/// The replies to one request.
#[derive(Debug)]
pub struct Replies<'a, T> {
    connection: &'a mut Connection<T>,
    request: Request,
    ended: bool,
    interrupted: bool,
}

impl<T: Transport> Replies<'_, T> {
    /// The attributes of the next reply, `None` after the last.
    #[allow(clippy::should_implement_trait)] // What it returns lives in the buffer it reads into.
    pub fn next(&mut self) -> Result<Option<&[u8]>, Error> {
        while !self.ended {
            if self.connection.position >= self.connection.datagram.len() {
                self.receive()?;
            }
            if let Some(payload) = self.message()? {
                return Ok(Some(&self.connection.datagram[payload]));
            }
        }
        Ok(None)
    }

    /// Skips replies up to the acknowledgement.
    pub fn finish(mut self) -> Result<(), Error> {
        while self.next()?.is_some() {}
        Ok(())
    }

    /// Whether the kernel has marked a reply as one of an inconsistent dump.
    pub fn interrupted(&self) -> bool {
        self.interrupted
    }

    fn receive(&mut self) -> Result<(), Error> {
        let connection = &mut *self.connection;
        connection.position = 0;
        connection
            .transport
            .receive(&mut connection.datagram)
            .map_err(Error::Socket)
    }

    /// Steps over one message of the datagram. Returns where its attributes are if it is a reply to
    /// this request, except for the last.
    fn message(&mut self) -> Result<Option<Range<usize>>, Error> {
        let start = self.connection.position;
        let rest = self.connection.datagram.get(start..).unwrap_or_default();
        let message = NetlinkBuffer::new_checked(rest)
            .map_err(|error| Error::Malformed(error.to_string()))?;
        let length = message.length() as usize;
        self.connection.position = start + length.next_multiple_of(4);

        if message.sequence_number() != self.connection.sequence {
            return Ok(None);
        }
        let flags = message.flags();
        self.interrupted |= flags & NLM_F_DUMP_INTR != 0;
        let payload = &rest[HEADER_LEN..length];
        match message.message_type() {
            NLMSG_NOOP => Ok(None),
            NLMSG_ERROR => {
                let echo = match flags & NLM_F_CAPPED {
                    0 => echo_length(payload),
                    _ => HEADER_LEN,
                };
                self.ended = true;
                self.outcome(flags, payload, ERRNO_LEN + echo)
            }
            NLMSG_DONE => {
                self.ended = true;
                self.outcome(flags, payload, ERRNO_LEN)
            }
            NLMSG_OVERRUN => Err(Error::Malformed("data was lost".to_owned())),
            _ if payload.len() < GENL_HDRLEN => {
                Err(Error::Malformed("message without a header".to_owned()))
            }
            _ => Ok(Some(start + HEADER_LEN + GENL_HDRLEN..start + length)),
        }
    }

    /// Reads the last message: the error number, 0 for success, and at `offset` the extended
    /// acknowledgement.
    fn outcome<N>(&self, flags: u16, payload: &[u8], offset: usize) -> Result<Option<N>, Error> {
        let code = match payload.first_chunk::<ERRNO_LEN>() {
            Some(bytes) => i32::from_ne_bytes(*bytes),
            // NLMSG_DONE may have none.
            None => 0,
        };
        if code >= 0 {
            return Ok(None);
        }
        let acknowledgement = match flags & NLM_F_ACK_TLVS {
            0 => None,
            _ => payload.get(offset..),
        };
        let acknowledgement = acknowledgement.unwrap_or_default();
        Err(Error::Refused {
            request: self.request.name(),
            error: KernelError::decode(&self.request, code, acknowledgement),
        })
    }
}

/// The length of the request that an `NLMSG_ERROR` echoes behind the error number, padded.
fn echo_length(payload: &[u8]) -> usize {
    let echo = payload.get(ERRNO_LEN..).unwrap_or_default();
    let length = echo.first_chunk().map_or(0, |b| u32::from_ne_bytes(*b));
    (length as usize).min(echo.len()).next_multiple_of(4)
}

// SPDX-License-Identifier: GPL-2.0-only

//! The real transport: a netlink socket that talks to the kernel only.

use super::Transport;
use netlink_sys::{
    protocols::NETLINK_GENERIC,
    SocketAddr, //
};
use rustix::net::RecvFlags;
use std::io;

/// The kernel makes the parts of a dump as large as what the reader has shown to take, up to
/// 32 KiB; the rest is room for what it may do later.
const BUFFER_LEN: usize = 256 * 1024;

/// A socket of generic netlink in the network namespace in which it was opened.
#[derive(Debug)]
pub struct Socket(netlink_sys::Socket);

impl Socket {
    /// Opens the socket.
    pub fn open() -> io::Result<Self> {
        let mut socket = netlink_sys::Socket::new(NETLINK_GENERIC)?;
        socket.bind_auto()?;
        // From here on, only messages of the kernel are received.
        socket.connect(&SocketAddr::new(0, 0))?;
        // Kernels without them answer with less about errors, or echo the request.
        let _ = socket.set_ext_ack(true);
        let _ = socket.set_cap_ack(true);
        Ok(Self(socket))
    }
}

impl Transport for Socket {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        // A datagram is taken whole or not at all.
        self.0.send(message, 0).map(drop)
    }

    fn receive(&mut self, datagram: &mut Vec<u8>) -> io::Result<()> {
        datagram.clear();
        datagram.reserve(BUFFER_LEN);
        let truncated_length = RecvFlags::TRUNC.bits() as i32;
        loop {
            match self.0.recv(datagram, truncated_length) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(length) if length > datagram.len() => {
                    return Err(io::Error::other(format!(
                        "datagram of {length} bytes is too long"
                    )));
                }
                Ok(_) => return Ok(()),
            }
        }
    }
}

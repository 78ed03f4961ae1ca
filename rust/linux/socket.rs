// SPDX-License-Identifier: GPL-2.0

//! A UDP socket of the kernel's own, to send datagrams from.
//!
//! C header: [`include/linux/net.h`](srctree/include/linux/net.h)

use core::{
    net::{
        Ipv4Addr,
        SocketAddrV4, //
    },
    ptr::{
        self,
        NonNull, //
    },
};

use kernel::{
    error::to_result,
    prelude::*, //
};

use super::{
    netdevice::DeviceName,
    netns::Netns, //
};
use crate::bindings;

/// An IPv4 UDP socket in a network namespace.
///
/// It is not connected: the route is looked up for each datagram, so that there need not be one
/// when the socket is made. Nor does it keep its namespace alive: the namespace waits for it.
///
/// Datagrams are sent without DF: one that is larger than the path's MTU is fragmented, by this
/// host if it knows the MTU, and does not depend on ICMP messages, which many firewalls drop.
///
/// # Invariants
///
/// `socket` is a valid UDP socket that this owns, bound to `port`.
pub(crate) struct UdpSocket {
    socket: NonNull<bindings::socket>,
    port: u16,
    device: Option<DeviceName>,
    /// Released before the namespace is freed, as a socket of the kernel's own does not keep that.
    _netns: Netns,
}

// SAFETY: Kernel sockets may be used from any thread.
unsafe impl Send for UdpSocket {}

impl UdpSocket {
    /// Makes a socket with a port of its own. Process context.
    ///
    /// Datagrams come from `source` (if unspecified, from the address that the route has), and
    /// follow the routes of `device`. `ENODEV` if there is no such device, `EADDRNOTAVAIL` if this
    /// host has no such address, there.
    pub(crate) fn new(netns: &Netns, source: Ipv4Addr, device: Option<DeviceName>) -> Result<Self> {
        let mut socket = ptr::null_mut();
        // CAST: Constants that fit.
        // SAFETY: The namespace is valid by the invariant of `Netns`, `socket` is ours.
        to_result(unsafe {
            bindings::sock_create_kern(
                netns.as_ptr(),
                bindings::AF_INET as c_int,
                bindings::sock_type_SOCK_DGRAM as c_int,
                bindings::IPPROTO_UDP as c_int,
                &mut socket,
            )
        })?;
        // From here on, dropping it releases the socket.
        let mut this = Self {
            socket: NonNull::new(socket).ok_or(EINVAL)?,
            port: 0,
            device,
            _netns: netns.clone(),
        };
        // CAST: A constant that fits.
        // SAFETY: The socket is valid, just made.
        unsafe {
            bindings::netflow_sock_receive_nothing(socket);
            bindings::netflow_sock_set_mtu_discover(socket, bindings::IP_PMTUDISC_DONT as c_int);
            // Or a full queue of an interface would not be told as an error (`ENOBUFS`).
            bindings::netflow_sock_set_recverr(socket);
            // Before it has a port, which it is to keep.
            bindings::netflow_sock_lock_port(socket);
        }
        // First the device: in a VRF, its addresses are those that one may bind to.
        this.bind_device()?;
        let mut address = ipv4(SocketAddrV4::new(source, 0));
        // CAST: 16 bytes.
        // SAFETY: The socket is valid, and the address of the length that is stated.
        to_result(unsafe {
            bindings::kernel_bind(
                socket,
                (&raw mut address).cast(),
                size_of_val(&address) as c_int,
            )
        })?;
        // SAFETY: The socket is valid.
        if unsafe { bindings::netflow_sock_source(socket) } != address.sin_addr.s_addr {
            // An address of a group or of all hosts of a network binds what is received only.
            return Err(EADDRNOTAVAIL);
        }
        // SAFETY: The socket is valid, and an IPv4 socket's address fits.
        let len = unsafe { bindings::kernel_getsockname(socket, (&raw mut address).cast()) };
        if len < 0 {
            return Err(Error::from_errno(len));
        }
        // INVARIANT: That is what it is bound to.
        this.port = u16::from_be(address.sin_port);
        Ok(this)
    }

    /// The port that datagrams come from.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Sets how many bytes may wait to be sent, as the kernel accounts them.
    pub(crate) fn set_send_buffer(&self, bytes: u32) {
        // SAFETY: The socket is valid by the type invariant.
        unsafe { bindings::netflow_sock_set_sndbuf(self.socket.as_ptr(), bytes) };
    }

    /// Whether the neighbour is known (`NUD_VALID`) that datagrams would be handed to; if not, the
    /// kernel begins to ask for it. Process context.
    ///
    /// What is sent without that waits in the neighbour's queue, which drops its oldest packets
    /// when it is full, and all when there is no answer. Nobody is told.
    pub(crate) fn knows_neighbour(&self, to: SocketAddrV4) -> bool {
        let address = ipv4(to);
        if self.bind_device().is_err() {
            return true;
        }
        // SAFETY: The socket is valid by the type invariant.
        unsafe {
            bindings::netflow_sock_neigh_is_valid(
                self.socket.as_ptr(),
                address.sin_addr.s_addr,
                address.sin_port,
            )
        }
    }

    /// Binds it to the device that has the name now.
    fn bind_device(&self) -> Result {
        match &self.device {
            // SAFETY: The socket is valid by the type invariant; the name ends with a NUL.
            Some(name) => to_result(unsafe {
                bindings::netflow_sock_bind_device(self.socket.as_ptr(), name.as_ptr())
            }),
            None => Ok(()),
        }
    }

    /// Sends a datagram, without waiting. Process context.
    ///
    /// `EAGAIN` if the send buffer is full, `ENOBUFS` if the queue of the interface is, `ENODEV` if
    /// the device is not there; else what the network stack says, as `ENETUNREACH` when there is no
    /// route.
    pub(crate) fn send_to(&self, to: SocketAddrV4, datagram: &[u8]) -> Result {
        self.bind_device()?;
        // What is pending concerns an earlier datagram (an ICMP message) or none (SOCK_DESTROY),
        // but would be the result of this one.
        // SAFETY: The socket is valid by the type invariant.
        let _ = unsafe { bindings::netflow_sock_error(self.socket.as_ptr()) };
        let mut address = ipv4(to);
        let mut message = bindings::msghdr {
            msg_name: (&raw mut address).cast(),
            // CAST: 16 bytes.
            msg_namelen: size_of_val(&address) as c_int,
            msg_flags: bindings::MSG_DONTWAIT,
            ..Default::default()
        };
        let mut vector = bindings::kvec {
            iov_base: datagram.as_ptr().cast_mut().cast(),
            iov_len: datagram.len(),
        };
        // SAFETY: The socket is valid by the type invariant; all else outlives the call, which only
        // reads the datagram.
        let sent = unsafe {
            bindings::kernel_sendmsg(
                self.socket.as_ptr(),
                &mut message,
                &mut vector,
                1,
                datagram.len(),
            )
        };
        if sent < 0 {
            return Err(Error::from_errno(sent));
        }
        Ok(())
    }
}

/// The address as C has it.
fn ipv4(address: SocketAddrV4) -> bindings::sockaddr_in {
    bindings::sockaddr_in {
        // CAST: A constant that fits.
        sin_family: bindings::AF_INET as bindings::__kernel_sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: bindings::in_addr {
            s_addr: u32::from_ne_bytes(address.ip().octets()),
        },
        ..Default::default()
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        // SAFETY: The socket is ours by the type invariant.
        unsafe { bindings::sock_release(self.socket.as_ptr()) };
    }
}

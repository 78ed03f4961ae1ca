// SPDX-License-Identifier: GPL-2.0

//! A UDP socket of the kernel's own, to send datagrams from.
//!
//! C header: [`include/linux/net.h`](srctree/include/linux/net.h)

use core::{
    net::{
        IpAddr,
        SocketAddr, //
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
    fib::to_be32,
    netdevice::DeviceName,
    netns::Netns, //
};
use crate::bindings;

/// A UDP socket in a network namespace, of IPv4 or of IPv6 alone.
///
/// It is not connected: the route is looked up for each datagram, so that there need not be one
/// when the socket is made. Nor does it keep its namespace alive: the namespace waits for it.
///
/// A datagram that is larger than the path's MTU is fragmented by this host, if it knows the MTU.
/// Those of IPv4 are sent without DF, so that others fragment them too, and they do not depend on
/// ICMP messages, which many firewalls drop. With IPv6 nobody else does.
///
/// # Invariants
///
/// `socket` is a valid UDP socket that this owns, bound to `port`, of the address family of
/// `source`.
pub(crate) struct UdpSocket {
    socket: NonNull<bindings::socket>,
    port: u16,
    source: IpAddr,
    device: Option<DeviceName>,
    /// Released before the namespace is freed, as a socket of the kernel's own does not keep that.
    _netns: Netns,
}

// SAFETY: Kernel sockets may be used from any thread.
unsafe impl Send for UdpSocket {}

impl UdpSocket {
    /// Makes a socket of the family of `source`, with a port of its own. Process context.
    ///
    /// Datagrams come from `source` (if unspecified, from the address that the route has), and
    /// follow the routes of `device`. `EAFNOSUPPORT` if the kernel does not have the family,
    /// `ENETDOWN` if no device of the namespace has, `ENODEV` if there is no such device,
    /// `EADDRNOTAVAIL` if this host has no such address, there.
    pub(crate) fn new(netns: &Netns, source: IpAddr, device: Option<DeviceName>) -> Result<Self> {
        let mut socket = ptr::null_mut();
        let family = match source {
            IpAddr::V4(_) => bindings::AF_INET,
            IpAddr::V6(_) => {
                // Before the kernel looks for a module that has the family.
                // SAFETY: The namespace is valid by the invariant of `Netns`.
                to_result(unsafe { bindings::netflow_check_ipv6(netns.as_ptr()) })?;
                bindings::AF_INET6
            }
        };
        // CAST: Constants that fit.
        // SAFETY: The namespace is valid by the invariant of `Netns`, `socket` is ours.
        to_result(unsafe {
            bindings::sock_create_kern(
                netns.as_ptr(),
                family as c_int,
                bindings::sock_type_SOCK_DGRAM as c_int,
                bindings::IPPROTO_UDP as c_int,
                &mut socket,
            )
        })?;
        // INVARIANT: It is valid and of that family. Nobody sees it before it is bound. From here
        // on, dropping it releases the socket.
        let mut this = Self {
            socket: NonNull::new(socket).ok_or(EINVAL)?,
            port: 0,
            source,
            device,
            _netns: netns.clone(),
        };
        this.set_options();
        // First the device: in a VRF, its addresses are those that one may bind to.
        this.bind_device()?;
        let mut address = CAddress::from(SocketAddr::new(source, 0));
        let len = address.len();
        // SAFETY: The socket is valid, and the address of the length that is stated.
        to_result(unsafe { bindings::kernel_bind(socket, address.as_mut_ptr().cast(), len) })?;
        this.check_source()?;
        // SAFETY: The socket is valid, and an address of its family fits.
        let len = unsafe { bindings::kernel_getsockname(socket, address.as_mut_ptr().cast()) };
        if len < 0 {
            return Err(Error::from_errno(len));
        }
        // INVARIANT: That is what it is bound to.
        this.port = address.port();
        Ok(this)
    }

    /// Sets what it is to do, before it has a port.
    fn set_options(&self) {
        let socket = self.socket.as_ptr();
        // CAST: Constants that fit.
        // SAFETY: The socket is valid, and of this family, by the type invariant.
        unsafe {
            bindings::netflow_sock_receive_nothing(socket);
            // To receive errors: a full queue of an interface would not be told as one (`ENOBUFS`).
            match self.source {
                IpAddr::V4(_) => {
                    let how = bindings::IP_PMTUDISC_DONT as c_int;
                    bindings::netflow_sock_set_mtu_discover(socket, how);
                    bindings::netflow_sock_set_recverr(socket);
                }
                IpAddr::V6(_) => {
                    let how = bindings::IPV6_PMTUDISC_DONT as c_int;
                    bindings::netflow_sock6_set_mtu_discover(socket, how);
                    bindings::netflow_sock6_set_recverr(socket);
                    bindings::netflow_sock6_set_v6only(socket);
                }
            }
            // Which it is to keep.
            bindings::netflow_sock_lock_port(socket);
        }
    }

    /// Checks that datagrams come from `source`. An address of a group or of all hosts of a network
    /// binds what is received only; and IPv6 sends from one that this host does not have any more.
    fn check_source(&self) -> Result {
        let socket = self.socket.as_ptr();
        // SAFETY: The socket is valid, and of this family, by the type invariant; an address of
        // IPv6 has the 16 bytes that are read.
        let is_source = unsafe {
            match self.source {
                IpAddr::V4(source) => bindings::netflow_sock_source(socket) == to_be32(source),
                IpAddr::V6(source) => {
                    bindings::netflow_sock6_sends_from(socket, source.octets().as_ptr())
                }
            }
        };
        match is_source {
            true => Ok(()),
            false => Err(EADDRNOTAVAIL),
        }
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
    ///
    /// `to` is of the family of the socket.
    pub(crate) fn knows_neighbour(&self, to: SocketAddr) -> bool {
        if self.bind_device().is_err() {
            return true;
        }
        let (socket, port) = (self.socket.as_ptr(), to.port().to_be());
        match (self.source, to.ip()) {
            // SAFETY: The socket is valid, and of this family, by the type invariant.
            (IpAddr::V4(_), IpAddr::V4(to)) => unsafe {
                bindings::netflow_sock_neigh_is_valid(socket, to_be32(to), port)
            },
            // SAFETY: As above; the address has the 16 bytes that are read.
            (IpAddr::V6(_), IpAddr::V6(to)) => unsafe {
                bindings::netflow_sock6_neigh_is_valid(socket, to.octets().as_ptr(), port)
            },
            // To send says what is wrong.
            _ => true,
        }
    }

    /// MTU of the path that datagrams would take, as far as this host knows it: of the route, of
    /// its interface, or from an ICMP message. `None` without a route. Process context.
    ///
    /// `to` is of the family of the socket.
    pub(crate) fn route_mtu(&self, to: SocketAddr) -> Option<usize> {
        self.bind_device().ok()?;
        let (socket, port) = (self.socket.as_ptr(), to.port().to_be());
        let mtu = match (self.source, to.ip()) {
            // SAFETY: The socket is valid, and of this family, by the type invariant.
            (IpAddr::V4(_), IpAddr::V4(to)) => unsafe {
                bindings::netflow_sock_route_mtu(socket, to_be32(to), port)
            },
            // SAFETY: As above; the address has the 16 bytes that are read.
            (IpAddr::V6(_), IpAddr::V6(to)) => unsafe {
                bindings::netflow_sock6_route_mtu(socket, to.octets().as_ptr(), port)
            },
            _ => 0,
        };
        usize::try_from(mtu).ok().filter(|mtu| *mtu != 0)
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
    /// the device is not there, `EADDRNOTAVAIL` if the source is of IPv6, and not an address of
    /// this host any more; else what the network stack says, as `ENETUNREACH` when there is no
    /// route.
    pub(crate) fn send_to(&self, to: SocketAddr, datagram: &[u8]) -> Result {
        self.bind_device()?;
        self.check_source()?;
        // What is pending concerns an earlier datagram (an ICMP message) or none (SOCK_DESTROY),
        // but would be the result of this one.
        // SAFETY: The socket is valid by the type invariant.
        let _ = unsafe { bindings::netflow_sock_error(self.socket.as_ptr()) };
        let mut address = CAddress::from(to);
        let mut message = bindings::msghdr {
            msg_namelen: address.len(),
            msg_name: address.as_mut_ptr(),
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

/// Address and port, as C has them.
enum CAddress {
    V4(bindings::sockaddr_in),
    V6(bindings::sockaddr_in6),
}

impl CAddress {
    /// What C takes for a `sockaddr`.
    fn as_mut_ptr(&mut self) -> *mut c_void {
        match self {
            Self::V4(address) => (&raw mut *address).cast(),
            Self::V6(address) => (&raw mut *address).cast(),
        }
    }

    /// Bytes of that.
    fn len(&self) -> c_int {
        // CAST: 16 or 28 bytes.
        match self {
            Self::V4(address) => size_of_val(address) as c_int,
            Self::V6(address) => size_of_val(address) as c_int,
        }
    }

    fn port(&self) -> u16 {
        match self {
            Self::V4(address) => u16::from_be(address.sin_port),
            Self::V6(address) => u16::from_be(address.sin6_port),
        }
    }
}

impl From<SocketAddr> for CAddress {
    /// Without a scope, for which the socket's device stands.
    fn from(address: SocketAddr) -> Self {
        let port = address.port().to_be();
        match address.ip() {
            IpAddr::V4(ip) => Self::V4(bindings::sockaddr_in {
                // CAST: A constant that fits.
                sin_family: bindings::AF_INET as bindings::__kernel_sa_family_t,
                sin_port: port,
                sin_addr: bindings::in_addr {
                    s_addr: to_be32(ip),
                },
                ..Default::default()
            }),
            IpAddr::V6(ip) => Self::V6(bindings::sockaddr_in6 {
                // CAST: A constant that fits.
                sin6_family: bindings::AF_INET6 as bindings::__kernel_sa_family_t,
                sin6_port: port,
                sin6_addr: bindings::in6_addr {
                    in6_u: bindings::in6_addr__bindgen_ty_1 {
                        u6_addr8: ip.octets(),
                    },
                },
                ..Default::default()
            }),
        }
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        // SAFETY: The socket is ours by the type invariant.
        unsafe { bindings::sock_release(self.socket.as_ptr()) };
    }
}

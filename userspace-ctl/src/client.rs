// SPDX-License-Identifier: GPL-2.0-only

//! The operations of the family `netflow`.

use crate::{
    address::Address,
    error::Error,
    messages::{
        Flow,
        Iface,
        Info, //
    },
    netlink::{
        Connection,
        Replies,
        Request,
        Socket,
        Transport, //
    },
    protocol::Protocol,
    settings::Config,
    uapi::{
        cmd,
        collector,
        config,
        iface,
        info,
        FAMILY_NAME,
        FAMILY_VERSION, //
    }, //
};
use std::{
    net::IpAddr,
    thread,
    time::Duration, //
};

const ENOMEM: i32 = 12;

/// Between two looks at the state, at first and at most.
const WAIT_MIN: Duration = Duration::from_millis(1);
const WAIT_MAX: Duration = Duration::from_millis(50);

/// What errors call the request that begins to account packets, and its failure later on.
const ENABLE: &str = "enable";

/// A connection to the exporter of one network namespace.
#[derive(Debug)]
pub struct Client<T> {
    connection: Connection<T>,
    family: u16,
}

impl Client<Socket> {
    /// Connects to the exporter of the network namespace that the calling thread is in.
    pub fn open() -> Result<Self, Error> {
        Self::new(Socket::open().map_err(Error::Socket)?)
    }
}

impl<T: Transport> Client<T> {
    /// Finds the family. [`Error::ModuleNotLoaded`] if there is none.
    pub fn new(transport: T) -> Result<Self, Error> {
        let mut connection = Connection::new(transport);
        let family = connection.family(FAMILY_NAME)?;
        let family = family.ok_or(Error::ModuleNotLoaded)?;
        Ok(Self { connection, family })
    }

    /// The state of the exporter.
    pub fn info(&mut self) -> Result<Info, Error> {
        let mut replies = self.request(request("info", cmd::INFO_GET))?;
        let info = match replies.next()? {
            Some(payload) => Info::decode(payload)?,
            None => return Err(Error::Malformed("no state".to_owned())),
        };
        replies.finish()?;
        Ok(info)
    }

    /// The flows of the cache, one after the other as the kernel sends them.
    pub fn flows(&mut self) -> Result<Flows<'_, T>, Error> {
        let replies = self.request(request("flows", cmd::FLOW_GET).dump())?;
        Ok(Flows {
            replies,
            failed: false,
        })
    }

    /// Begins to reserve memory, and then to account packets: see [`Self::wait_until_enabled`].
    pub fn enable(&mut self, config: &Config) -> Result<(), Error> {
        let request = request(ENABLE, cmd::ENABLE);
        self.request(with_config(request, config))?.finish()
    }

    /// Changes all of these settings, or if one of them is refused none.
    pub fn set(&mut self, config: &Config) -> Result<(), Error> {
        let request = request("set", cmd::SET);
        self.request(with_config(request, config))?.finish()
    }

    /// The numbers by which interfaces are reported, in the order of their names.
    pub fn ifaces(&mut self) -> Result<Vec<Iface>, Error> {
        let mut replies = self.request(iface_request("iface list", cmd::IFACE_GET).dump())?;
        let mut ifaces = Vec::new();
        while let Some(payload) = replies.next()? {
            ifaces.push(Iface::decode(payload)?);
        }
        match replies.interrupted() {
            true => Err(Error::Interrupted),
            false => Ok(ifaces),
        }
    }

    /// Reports interfaces of this name by another number.
    pub fn iface_set(&mut self, name: &str, number: u32) -> Result<(), Error> {
        let request = iface_request("iface set", cmd::IFACE_SET);
        self.request(with_iface(request, name, number))?.finish()
    }

    /// Reports interfaces of this name by their index again.
    pub fn iface_del(&mut self, name: &str) -> Result<(), Error> {
        let request = iface_request("iface del", cmd::IFACE_SET);
        self.request(with_iface(request, name, 0))?.finish()
    }

    /// Stops accounting, and begins to export what is in the cache: that has ended when the state
    /// is not [`Info::disabling`] any more.
    pub fn disable(&mut self) -> Result<(), Error> {
        self.request(request("disable", cmd::DISABLE))?.finish()
    }

    /// Begins to export what is in the cache, and returns the number of this flush: it has ended
    /// when so many are [`Info::flushes_done`].
    pub fn flush(&mut self) -> Result<u64, Error> {
        let mut replies = self.request(request("flush", cmd::FLUSH))?;
        let number = match replies.next()? {
            Some(payload) => Info::decode(payload)?.flushes_requested,
            None => return Err(Error::Malformed("no number of the flush".to_owned())),
        };
        replies.finish()?;
        Ok(number)
    }

    /// Returns when the state `is` as wanted.
    ///
    /// A request that waited in the kernel could not be interrupted, and would hold up the requests
    /// of others.
    pub fn wait_until(&mut self, is: impl Fn(&Info) -> bool) -> Result<(), Error> {
        self.state_when(is).map(drop)
    }

    /// Returns when the exporter is enabled that was asked for, or with the kernel's error if it
    /// could not be.
    pub fn wait_until_enabled(&mut self) -> Result<(), Error> {
        match self.state_when(|info| !info.enabling)?.enable_error {
            Some(error) => Err(Error::Refused {
                request: ENABLE,
                error,
            }),
            None => Ok(()),
        }
    }

    /// The state as soon as it `is` as wanted.
    fn state_when(&mut self, is: impl Fn(&Info) -> bool) -> Result<Info, Error> {
        let mut pause = WAIT_MIN;
        loop {
            match self.info() {
                Ok(info) if is(&info) => return Ok(info),
                // What was begun goes on, and memory may be short for a moment.
                Err(Error::Refused { error, .. }) if error.errno == ENOMEM => {}
                Err(error) => return Err(error),
                Ok(_) => {}
            }
            thread::sleep(pause);
            pause = (pause * 2).min(WAIT_MAX);
        }
    }

    /// Sends flow records to one more address: in `protocol`, from `source`, by the routes of
    /// `device`, which unless given is the scope of the address.
    pub fn collector_add(
        &mut self,
        to: &Address,
        protocol: Protocol,
        source: Option<IpAddr>,
        device: Option<&str>,
    ) -> Result<(), Error> {
        let request = request("collector add", cmd::COLLECTOR_ADD);
        // A module that knows no other than the default does not know the attribute either.
        let protocol = Some(protocol).filter(|protocol| *protocol != Protocol::DEFAULT);
        let protocol = protocol.map(|protocol| {
            let number = protocol.number().to_ne_bytes();
            (collector::PROTOCOL, number.to_vec())
        });
        let source = source.map(|source| (collector::SOURCE, octets(source)));
        let device = device.or(to.scope.as_deref()).map(device_attribute);
        self.request(with_collector(
            request,
            to,
            source.into_iter().chain(device).chain(protocol),
        ))?
        .finish()
    }

    /// Sends flow records to an address no longer.
    pub fn collector_del(&mut self, to: &Address) -> Result<(), Error> {
        let request = request("collector del", cmd::COLLECTOR_DEL);
        let scope = to.scope.as_deref().map(device_attribute);
        self.request(with_collector(request, to, scope))?.finish()
    }

    fn request(&mut self, request: Request) -> Result<Replies<'_, T>, Error> {
        self.connection.request(self.family, request)
    }
}

fn request(name: &'static str, command: u8) -> Request {
    Request::new(name, command, FAMILY_VERSION, info::NAMES)
}

fn with_config(request: Request, config: &Config) -> Request {
    let attributes = config
        .iter()
        .map(|value| (value.setting.number, value.bytes()));
    request.nest(info::CONFIG, config::NAMES, attributes)
}

fn iface_request(name: &'static str, command: u8) -> Request {
    Request::new(name, command, FAMILY_VERSION, iface::NAMES)
}

fn with_iface(request: Request, name: &str, number: u32) -> Request {
    // A string ends with a NUL.
    let name = [name.as_bytes(), &[0]].concat();
    request
        .attribute(iface::NAME, &name)
        .attribute(iface::NUMBER, &number.to_ne_bytes())
}

fn with_collector(
    request: Request,
    to: &Address,
    more: impl IntoIterator<Item = (u16, Vec<u8>)>,
) -> Request {
    let address = [(collector::ADDRESS, octets(to.ip))];
    let port = to
        .port
        .map(|port| (collector::PORT, port.to_ne_bytes().to_vec()));
    let attributes = address.into_iter().chain(port).chain(more);
    request.nest(info::COLLECTOR, collector::NAMES, attributes)
}

fn device_attribute(name: &str) -> (u16, Vec<u8>) {
    (collector::DEVICE, [name.as_bytes(), b"\0"].concat())
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The flows of a dump. After an error there are no more.
#[derive(Debug)]
pub struct Flows<'a, T> {
    replies: Replies<'a, T>,
    failed: bool,
}

impl<T: Transport> Flows<'_, T> {
    /// To be asked at the end: whether the dump gave a true picture.
    pub fn check(&self) -> Result<(), Error> {
        match self.replies.interrupted() {
            true => Err(Error::Interrupted),
            false => Ok(()),
        }
    }
}

impl<T: Transport> Iterator for Flows<'_, T> {
    type Item = Result<Flow, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let payload = self.replies.next().transpose()?;
        let flow = payload.and_then(Flow::decode);
        self.failed = flow.is_err();
        Some(flow)
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The numbers by which interfaces are reported.

use kernel::prelude::*;

use super::{
    request::explain,
    Dump,
    Request, //
};
use crate::{
    bindings as uapi,
    linux::{
        netdevice::DeviceName,
        netlink::{
            text::text,
            ExtAck,
            ExtResult, //
        },
    },
};

/// Gives interfaces of a name a number.
pub(super) fn set(request: &Request<'_>) -> ExtResult {
    let attributes = request.attributes();
    let name = attributes
        .get(uapi::NETFLOW_A_IFACE_NAME)?
        .ok_or(ExtAck::new(EINVAL, c"no name of an interface given"))?;
    let name = DeviceName::new(name.bytes()).ok_or(ExtAck::new(
        EINVAL,
        c"no interface can have this name: it must be of 1 to 15 bytes, without / : and space",
    ))?;
    let number = attributes
        .get(uapi::NETFLOW_A_IFACE_NUMBER)?
        .and_then(|attribute| attribute.u32())
        .ok_or(ExtAck::new(EINVAL, c"no number given: 0 takes it away"))?;
    let namespace = request.state()?;
    namespace
        .set_iface(name, number)
        .map_err(|error| match error {
            ENOSPC => ExtAck::new(
                ENOSPC,
                text!({uapi::NETFLOW_MAX_IFACES} " interfaces have numbers: take one away"),
            ),
            error => explain(error),
        })
}

/// Appends as many names and their numbers as fit. The cursor is how many were appended before.
pub(super) fn dump(dump: &mut Dump<'_>) -> ExtResult {
    let Some(interfaces) = dump.request().state()?.interfaces() else {
        return Ok(());
    };
    let list = interfaces.list();
    dump.set_generation(list.generation());
    list.for_each(dump.cursor(), |(name, number)| {
        dump.message(|message| {
            message.put_bytes(uapi::NETFLOW_A_IFACE_NAME, name.bytes_with_nul())?;
            message.put_u32(uapi::NETFLOW_A_IFACE_NUMBER, *number)
        })?;
        // `EMSGSIZE` ends this part, and the rest goes into the next one.
        dump.set_cursor(dump.cursor().saturating_add(1));
        Ok(())
    })?;
    Ok(())
}

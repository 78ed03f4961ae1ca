// SPDX-License-Identifier: GPL-2.0

//! The dump of the flows.

use kernel::prelude::*;

use super::Dump;
use crate::{
    bindings as uapi,
    flow::{
        bucket::SLOTS,
        entry::Flow,
        key::Address, //
    },
    linux::netlink::{
        ExtResult,
        Message, //
    },
};

/// Appends the flows of as many buckets as fit. The cursor is the next bucket.
///
/// The flows of a bucket are in one part of the dump, so none that stays in the cache is missed or
/// repeated while others come and go.
pub(super) fn dump(dump: &mut Dump<'_>) -> ExtResult {
    let namespace = dump.request().state()?;
    if dump.cursor() == 0 && dump.request().is_first() {
        namespace.wait_until_drained();
    }
    let (meter, generation) = namespace.meter();
    dump.set_generation(generation);
    let Some(meter) = meter else {
        return Ok(());
    };
    let cache = &meter.ipv4;
    let mut flows = [const { None }; SLOTS];
    for bucket in dump.cursor()..cache.buckets() {
        cache.snapshot(bucket, &mut flows);
        let appended = dump.all_or_none(|dump| {
            flows
                .iter_mut()
                .filter_map(Option::take)
                .try_for_each(|flow| dump.message(|message| put(message, &flow)))
        });
        // `EMSGSIZE` ends this part, and the rest goes into the next one.
        appended?;
        dump.set_cursor(bucket + 1);
    }
    Ok(())
}

fn put<A: Address>(message: &mut Message<'_>, flow: &Flow<A>) -> Result {
    let (key, route) = (&flow.key, &flow.route);
    message.put_bytes(uapi::NETFLOW_A_FLOW_SRC_ADDR, key.src().octets().as_ref())?;
    message.put_bytes(uapi::NETFLOW_A_FLOW_DST_ADDR, key.dst().octets().as_ref())?;
    message.put_bytes(
        uapi::NETFLOW_A_FLOW_NEXT_HOP,
        route.next_hop.octets().as_ref(),
    )?;
    message.put_u32(uapi::NETFLOW_A_FLOW_INPUT, key.input())?;
    message.put_u32(uapi::NETFLOW_A_FLOW_OUTPUT, route.output)?;
    message.put_uint(uapi::NETFLOW_A_FLOW_PACKETS, flow.packets)?;
    message.put_uint(uapi::NETFLOW_A_FLOW_BYTES, flow.bytes)?;
    message.put_u32(uapi::NETFLOW_A_FLOW_FIRST, flow.first.as_millis())?;
    message.put_u32(uapi::NETFLOW_A_FLOW_LAST, flow.last.as_millis())?;
    message.put_u16(uapi::NETFLOW_A_FLOW_SRC_PORT, key.src_port())?;
    message.put_u16(uapi::NETFLOW_A_FLOW_DST_PORT, key.dst_port())?;
    // CAST: Eight bits.
    message.put_u8(uapi::NETFLOW_A_FLOW_TCP_FLAGS, flow.tcp_flags as u8)?;
    message.put_u8(uapi::NETFLOW_A_FLOW_PROTO, key.proto())?;
    message.put_u8(uapi::NETFLOW_A_FLOW_TOS, key.tos())?;
    message.put_u8(uapi::NETFLOW_A_FLOW_SRC_MASK, route.src_mask)?;
    message.put_u8(uapi::NETFLOW_A_FLOW_DST_MASK, route.dst_mask)
}

// SPDX-License-Identifier: GPL-2.0

//! The dump of the flows.

use kernel::prelude::*;

use super::Dump;
use crate::{
    bindings as uapi,
    cache::Cache,
    flow::{
        bucket::SLOTS,
        entry::Flow,
        families::AddressFamily,
        key::Address, //
    },
    linux::netlink::{
        ExtResult,
        Message, //
    },
};

/// Appends the flows of as many buckets as fit. The cursor is the next bucket, where the table of
/// IPv6 follows that of IPv4.
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
    dump_table(dump, &meter.ipv4, 0)?;
    dump_table(dump, &meter.ipv6, meter.ipv4.buckets())
}

/// Appends the flows of a table whose first bucket is `first` to the cursor.
#[inline(never)]
fn dump_table<A: Address>(dump: &mut Dump<'_>, cache: &Cache<A>, first: usize) -> ExtResult {
    let mut flows = [const { None }; SLOTS];
    for bucket in dump.cursor().saturating_sub(first)..cache.buckets() {
        cache.snapshot(bucket, &mut flows);
        let appended = dump.all_or_none(|dump| {
            flows
                .iter_mut()
                .filter_map(Option::take)
                .try_for_each(|flow| dump.message(|message| put(message, &flow)))
        });
        // `EMSGSIZE` ends this part, and the rest goes into the next one.
        appended?;
        dump.set_cursor(first.saturating_add(bucket).saturating_add(1));
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
    message.put_u8(uapi::NETFLOW_A_FLOW_TCP_FLAGS, flow.tcp_flags())?;
    message.put_u8(uapi::NETFLOW_A_FLOW_PROTO, key.proto())?;
    message.put_u8(uapi::NETFLOW_A_FLOW_TOS, key.tos())?;
    message.put_u8(uapi::NETFLOW_A_FLOW_SRC_MASK, route.src_mask)?;
    message.put_u8(uapi::NETFLOW_A_FLOW_DST_MASK, route.dst_mask)?;
    match A::FAMILY {
        AddressFamily::Ipv4 => Ok(()),
        AddressFamily::Ipv6 => {
            message.put_u32(uapi::NETFLOW_A_FLOW_FLOW_LABEL, flow.label().bits())
        }
    }
}

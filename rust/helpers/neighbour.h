/* SPDX-License-Identifier: GPL-2.0 */
/* Neighbours, of both IP versions. */
#ifndef _NETFLOW_NEIGHBOUR_H
#define _NETFLOW_NEIGHBOUR_H

#include <net/dst.h>
#include <net/neighbour.h>

/*
 * Whether the link-layer address of the next hop is known. If not, the kernel begins to ask for
 * it. A route without neighbours has none to wait for.
 */
static inline bool neigh_is_valid(const struct dst_entry *dst, const void *daddr)
{
	struct neighbour *neigh = dst_neigh_lookup(dst, daddr);
	bool valid;

	if (!neigh)
		return true;
	valid = READ_ONCE(neigh->nud_state) & NUD_VALID;
	if (!valid)
		neigh_event_send(neigh, NULL);
	neigh_release(neigh);
	return valid;
}

#endif /* _NETFLOW_NEIGHBOUR_H */

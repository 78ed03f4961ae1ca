# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Where the exporter's datagrams come from and go to, counted where they arrive: in the namespace
# `collector`, at the ports 2055 to 2059. No program there gets them. See netflow.sh.

# count_arrivals ip|ip6
count_arrivals() {
	arrivals_family=$1
	on collector nft -f - <<-END
		table $1 arrivals {
			set seen {
				typeof $1 saddr . $1 daddr . udp dport
				flags dynamic; counter; size 65535
			}
			chain count {
				type filter hook prerouting priority -500;
				udp dport 2055-2059 \
					update @seen { $1 saddr . $1 daddr . udp dport } drop
			}
		}
	END
}

# export_flow: one datagram to each collector.
export_flow() {
	on collector nft flush set "$arrivals_family" arrivals seen &&
		inject <<<"udp 10.1.0.2:7 10.9.0.1:53 len=100" && nf flush
}

# arrive "SOURCE DESTINATION PORT"...: datagrams that one export sends, one each.
arrive() {
	export_flow || return
	printf '%s\n' "$@" | sort >"$TMP/expected"
	eventually 5 have_arrived
}

have_arrived() {
	nft_elements arrivals seen collector "$arrivals_family" |
		awk '$4 == 1 { print $1, $2, $3; next } { print }' >"$TMP/arrived"
	same "$TMP/expected" "$TMP/arrived"
}

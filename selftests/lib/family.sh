# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# What a test needs that is tried with IPv4 and, by a twin whose name ends in 6, with IPv6. It
# states all addresses in those of IPv4, and `of_family` makes them ones of its family: 10.A.0.B is
# 2001:db8:A::B of IPv6, as also_ipv6 has it; and as there is no broadcast, 10.1.0.255 are all nodes
# of a link, 10.2.0.255 all routers.

case $NAME in
	*6) FAMILY=ip6 IP=-6 INET=inet6 ETHERTYPE=ipv6 PING=icmp6 LENGTH=104 GRE=ip6gre VTI=vti6 ;;
	*) FAMILY=ip IP=-4 INET=inet ETHERTYPE=ip PING=icmp LENGTH=84 GRE=gre VTI=vti ;;
esac

# of_family: standard input, with the addresses of the family.
of_family() {
	[ "$FAMILY" = ip6 ] || { cat; return; }
	sed -E '
		s,\b0\.0\.0\.0/0,::/0,g
		s,\b127\.0\.0\.1:([0-9]+),[::1]:\1,g
		s,\b127\.0\.0\.1\b,::1,g
		s,\b239\.([0-9]+)\.([0-9]+)\.([0-9]+):([0-9]+),[ff0e::\1:\3]:\4,g
		s,\b239\.([0-9]+)\.([0-9]+)\.([0-9]+),ff0e::\1:\3,g
		s,\b10\.([12])\.0\.255:([0-9]+),[ff02::\1]:\2,g
		s,\b10\.([12])\.0\.255,ff02::\1,g
		s,\b10\.([0-9]+)\.0\.0/16,2001:db8:\1::/48,g
		s,\b10\.([0-9]+)\.0\.([0-9]+)/24,2001:db8:\1::\2/64,g
		s,\b10\.([0-9]+)\.0\.([0-9]+)/32,2001:db8:\1::\2/128,g
		s,\b10\.([0-9]+)\.0\.([0-9]+):([0-9]+),[2001:db8:\1::\2]:\3,g
		s,\b10\.([0-9]+)\.0\.([0-9]+),2001:db8:\1::\2,g'
}

# at WORD...: the same of words.
at() { of_family <<<"$*"; }

# ip_batch NETNS: commands of ip(8) on standard input. Addresses of IPv6 can be used at once.
ip_batch() {
	of_family | sed -E "/^addr add .*:/ s/\$/ nodad/" | ip "$IP" -n "$1" -batch -
}

# nft_batch NETNS
nft_batch() { of_family | on "$1" nft -f -; }

# hosts: those of two_hosts. In all of their namespaces the devices to come have the family.
# Nobody solicits routers, and reports of MLD follow at once.
hosts() {
	local ns
	two_hosts || return
	[ "$FAMILY" = ip6 ] || return 0
	also_ipv6 || return
	for ns in left router right collector; do
		on "$ns" sysctl -qw net.ipv6.conf.default.disable_ipv6=0 \
			net.ipv6.conf.default.accept_dad=0 \
			net.ipv6.conf.default.router_solicitations=0 \
			net.ipv6.conf.default.mldv2_unsolicited_report_interval=10 || return
	done
}

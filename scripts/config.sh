# shellcheck shell=bash disable=SC2034
# What the set-up is made from, and where it lives. Sourced by the other scripts.
# Whatever may have to change when Debian moves on is in this file.

# Kernel series that the module supports, in order of preference. The newest stock
# Debian kernel of the first series that the archive has is used.
KERNEL_SERIES="7.3"

# The Debian release of the root, and the suite that holds the kernel.
SUITE=trixie
KERNEL_SUITE=trixie-backports
MIRROR=${NETFLOW_MIRROR:-http://deb.debian.org/debian}
archive() { printf "deb $MIRROR %s main\n" "$SUITE" "$SUITE-updates" "$KERNEL_SUITE"; }

# Raise this when make-root makes the root in another way.
ROOT_RECIPE=1

# What is installed in the root, without recommended packages.
ROOT_PACKAGES="
	ca-certificates iproute2 kmod procps psmisc
	gcc make libc6-dev rustc rust-src rust-clippy rustfmt cargo bindgen clang llvm lld pahole
	flex bison bc libelf-dev libssl-dev cpio rsync bzip2 xz-utils zstd
	python3 python3-yaml python3-jsonschema python3-scapy
	qemu-system-x86 virtme-ng virtiofsd udev systemd-sysv busybox-static
	nfdump pmacct softflowd argus-client tshark tcpdump tcpreplay iperf3
	nftables iptables libxtables-dev pkgconf conntrack ethtool iputils-ping bind9-dnsutils
	dnsmasq-base curl
	netcat-openbsd socat jq shellcheck"

# The checkout, and what is built in it.
CHECKOUT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=$CHECKOUT/build

# What is costly to make is shared by all checkouts of a user. The root's name is
# a hash of what it is made from.
CACHE=${NETFLOW_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/netflow}
# shellcheck disable=SC2086 # white space does not count
ROOT_KEY=$(echo "$ROOT_RECIPE" "$SUITE" $ROOT_PACKAGES | sha256sum | cut -c1-12)
ROOT=$CACHE/root-$ROOT_KEY

# In the root: one folder for each version of the kernel packages, and files that
# say which to use (prepare-kernel and build-kernel write them): `stock`, `custom` ...
KERNELS=/usr/src/netflow-kernel
# A hash of what the stock kernel's tree is made from: a line of `stock` has it.
STOCK_KEY=$({ echo "$KERNEL_SERIES" "$KERNEL_SUITE" && cat "$CHECKOUT/scripts/prepare-kernel"; } |
	sha256sum | cut -c1-12)

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

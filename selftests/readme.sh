#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The README says the truth: each command in a block marked `sh` works, in the order of the
# text. Blocks without the mark (make ...) are tested by scripts/check and commands.sh.
#
#    this namespace: initial       netns blue

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin csplit

README=$SELFTESTS/../README.md
# This namespace, for netflowctl --netns.
INITIAL=/proc/self/ns/net

# The blocks of the README, one file each: $TMP/block.01 ...
blocks() {
	# shellcheck disable=SC2016 # no expressions
	sed -n '/^```sh$/,/^```$/p' "$README" >"$TMP/blocks"
	csplit -s -f "$TMP/block." "$TMP/blocks" '/^```sh$/' '{*}' &&
		sed -i '/^```/d' "$TMP"/block.*
}

run_block() { (cd "$SELFTESTS/.." && bash -eux "$1"); }

need ip link set lo up
need ip netns add blue
need blocks
blocks=("$TMP"/block.*)
# The first is what is in front of the first block: nothing.
n=$((${#blocks[@]} - 1))
check "the README has commands" test "$n" -ge 3

# The last block needs the module, which the one before it unloads.
for ((i = 1; i < n; i++)); do
	check "block $i: $(head -n 1 "${blocks[i]}")" run_block "${blocks[i]}"
	if [ $i = 1 ]; then
		check "the exporter is enabled, and has the collector" \
			info_is -n "$INITIAL" enabled=true \
			collectors[0].address=192.0.2.10 collectors[0].port=2055
	fi
done
check "the module is unloaded" test ! -e /sys/module/netflow
need load
check "block $n: $(head -n 1 "${blocks[n]}")" run_block "${blocks[n]}"
check "the other namespace is enabled" info_is -n blue enabled=true flows.max=16384
check "this one is not" info_is -n "$INITIAL" enabled=false
check "the module can be unloaded" unload
done_testing

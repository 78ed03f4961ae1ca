#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The README says the truth: each command in a block marked `sh` works, in the order in
# which they stand. Those that are not marked so (make ...) are how this test came to run, or
# are what scripts/check and commands.sh run.
#
#    this namespace: initial       netns blue

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin awk

README=$SELFTESTS/../README.md

# The blocks of the README, one file each: $TMP/block.1 ...
blocks() {
	awk -v out="$TMP/block." '
		/^```sh$/ { n++; inside = 1; next }
		/^```$/ { inside = 0 }
		inside { print > (out n) }
		END { print n + 0 }' "$README"
}

run_block() { (cd "$SELFTESTS/.." && bash -eux "$1"); }

need ip link set lo up
need ip netns add blue
n=$(blocks)
check "the README has commands" test "$n" -ge 3

# The last block needs the module, which the one before it unloads.
for ((i = 1; i < n; i++)); do
	check "block $i: $(head -n 1 "$TMP/block.$i")" run_block "$TMP/block.$i"
	if [ $i = 1 ]; then
		check "the exporter is enabled, and has the collector" equal "state" \
			"true 192.0.2.10 2055" \
			"$(netflowctl --json info | jq -r '"\(.enabled) \(.collectors[0].address) \(.collectors[0].port)"')"
	fi
done
check "the module is unloaded" test ! -e /sys/module/netflow
need load
check "block $n: $(head -n 1 "$TMP/block.$n")" run_block "$TMP/block.$n"
check "the other namespace is enabled, this one is not" equal "state" "true 16384 false" \
	"$(netflowctl --netns blue --json info | jq -r '"\(.enabled) \(.flows.max)"') $(netflowctl --json info | jq -r .enabled)"
check "the module can be unloaded" unload
done_testing

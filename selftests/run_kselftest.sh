#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run_kselftest.sh [TEST...]: run the selftests, or those named, on this machine: one made
# for it, such as the VM of `make vm`. As root, with NETFLOW_KO naming the module and
# netflowctl on the path. Prints TAP, a line for each behaviour; the exit status is 0 if
# no test failed. What is run is listed in the file `tests`.

set -u
SELFTESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
KSFT_SKIP=4
number=0 passed=0 failed=0 skipped=0

# result "ok"|"not ok" DESCRIPTION
result() {
	number=$((number + 1))
	case "$1 $2" in
		"not ok "*) failed=$((failed + 1)) ;;
		*"# SKIP"*) skipped=$((skipped + 1)) ;;
		*) passed=$((passed + 1)) ;;
	esac
	echo "$1 $number $2"
}

# relay TEST: pass on a test's TAP under our own numbers. Lines that are no TAP are diagnostics.
relay() {
	local line
	while IFS= read -r line; do
		case $line in
			"ok "*) line=${line#ok }; result ok "$1: ${line#* }" ;;
			"not ok "*) line=${line#not ok }; result "not ok" "$1: ${line#* }" ;;
			"TAP version"* | 1..*) ;;
			"#"*) echo "$line" ;;
			*) echo "# $line" ;;
		esac
	done
}

run() {
	local name=$1 limit=$(($2 * ${TIMEOUT_FACTOR:-1})) start=$SECONDS failed_before=$failed
	local output status
	output=$(mktemp)
	timeout --kill-after=60 "$limit" "$SELFTESTS/$name.sh" >"$output" 2>&1 </dev/null
	status=$?
	relay "$name" <"$output"
	if [ $status = $KSFT_SKIP ]; then
		result ok "$name # SKIP $(sed -n 's/^1\.\.0 # SKIP //p' "$output")"
	elif [ $status = 124 ] || [ $status = 137 ]; then
		result "not ok" "$name: ends within $limit s"
	elif [ $status != 0 ] && [ $failed = $failed_before ]; then
		result "not ok" "$name: exit status $status"
	elif ! grep -q '^1\.\.' "$output"; then
		result "not ok" "$name: reaches its end"
	fi
	rm -f "$output"
	echo "# $name: $((SECONDS - start)) s"
}

echo "TAP version 13"
while read -r name limit; do
	case $name in "" | "#"*) continue ;; esac
	if [ $# = 0 ] || [[ " $* " == *" $name "* ]]; then
		run "$name" "$limit"
	fi
done <"$SELFTESTS/tests"
echo "1..$number"
echo "# Totals: pass:$passed fail:$failed xfail:0 xpass:0 skip:$skipped error:0"
[ $failed = 0 ] && [ $number != 0 ]

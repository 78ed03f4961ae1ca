# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
# TAP output, waiting and comparing. A test sources this file (one of the module: netflow.sh,
# which does), calls `begin`, then `check` for each behaviour, and ends with `done_testing`.

set -u
export LC_ALL=C

SELFTESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
NAME=$(basename "$0" .sh)
KSFT_SKIP=4
count=0 failed=0 complete=''

# begin TOOL...: start of a test that needs these programs.
begin() {
	echo "TAP version 13"
	need_tools "$@"
	make_ready
}

need_tools() {
	local tool
	for tool; do
		command -v "$tool" >/dev/null || skip_all "$tool is missing"
	done
}

# make_ready: from here on there is something to clean up.
make_ready() {
	TMP=$(mktemp -d)
	# A signal may come while a command's output is redirected.
	exec {tap}>&1
	trap finish EXIT
	trap 'exit 143' INT TERM
}

skip_all() {
	echo "1..0 # SKIP $*"
	exit $KSFT_SKIP
}

diagnose() { sed 's/^/# /'; }

# check DESCRIPTION COMMAND...: one test line. It runs in this shell; what a failing
# command printed becomes the diagnosis.
check() {
	local description=$1
	shift
	count=$((count + 1))
	if "$@" >"$TMP/check.out" 2>&1; then
		echo "ok $count $description"
	else
		echo "not ok $count $description"
		failed=$((failed + 1))
		{
			echo "failed: $*"
			head -n 20 "$TMP/check.out"
			tail -n +21 "$TMP/check.out" | tail -n 10
		} | diagnose
	fi
}

# skip DESCRIPTION REASON: a behaviour that cannot be tested here.
skip() {
	count=$((count + 1))
	echo "ok $count $1 # SKIP $2"
}

# need COMMAND...: a step that the rest of the test builds on.
need() {
	"$@" >"$TMP/need.out" 2>&1 && return
	count=$((count + 1)) failed=$((failed + 1)) complete=1
	echo "not ok $count set-up: $*"
	diagnose <"$TMP/need.out"
	exit 1
}

done_testing() {
	complete=1
	exit 0
}

finish() {
	local status=$?
	trap - EXIT
	trap '' INT TERM
	exec >&"$tap" 2>&1
	[ -n "$complete" ] || check "the script reaches its end (status $status)" false
	check_after
	rm -rf "$TMP"
	echo "1..$count"
	exit $((failed > 0))
}

# check_after: what is to be checked at the end of every test; netflow.sh has something.
check_after() { :; }

# eventually SECONDS COMMAND...: true as soon as the command is; its last output is shown
# otherwise. A slow machine sets TIMEOUT_FACTOR.
eventually() {
	local until=$((SECONDS + $1 * ${TIMEOUT_FACTOR:-1})) output
	shift
	while ! output=$("$@" 2>&1); do
		if [ "$SECONDS" -gt "$until" ]; then
			echo "not within the time allowed: $*"
			echo "$output"
			return 1
		fi
		sleep 0.1
	done
}

# equal WHAT EXPECTED ACTUAL
equal() {
	[ "$2" = "$3" ] && return
	echo "$1: expected $2, got $3"
	return 1
}

# same EXPECTED_FILE ACTUAL_FILE: equal and not empty.
same() {
	[ -s "$1" ] || { echo "nothing was expected: $1 is empty"; return 1; }
	diff -U0 --label "expected" --label "actual" "$1" "$2"
}

# without PATTERN FILE: no line matches.
without() { ! grep -E -e "$1" "$2"; }

# refused PATTERN COMMAND...: it fails with one clear line on standard error that
# matches, whatever the case, and nothing on standard output.
refused() {
	local pattern=$1 status=0 said
	shift
	"$@" >"$TMP/refused.out" 2>"$TMP/refused.err" || status=$?
	said=$(<"$TMP/refused.err")
	if [ $status = 0 ]; then
		echo "succeeded: $*"
	elif [ $status -ge 126 ]; then
		echo "status $status: $*"
	elif [ -s "$TMP/refused.out" ]; then
		echo "wrote to standard output: $(<"$TMP/refused.out")"
	elif [ -z "$said" ] || [[ $said == *$'\n'* ]]; then
		echo "not one line on standard error"
	elif ! [[ ${said,,} =~ $pattern ]]; then
		echo "the message does not match '$pattern'"
	else
		return 0
	fi
	echo "$said"
	return 1
}

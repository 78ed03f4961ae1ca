#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What scripts/vm promises: run on the host, it boots the machine four times. What a
# command has to print and return is what bash prints and returns for it here.

# shellcheck source=selftests/lib/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/tap.sh"
begin make
cd "$SELFTESTS/.." || exit 1
. scripts/config.sh
# shellcheck source=/dev/null
. "$ROOT$KERNELS/${KERNEL:-stock}"

# run NAME COMMAND...: status and output to $TMP/NAME.{status,stdout,stderr}.
run() {
	local name=$1
	shift
	"$@" >"$TMP/$name.stdout" 2>"$TMP/$name.stderr" </dev/null
	echo $? >"$TMP/$name.status"
}

# returned STATUS NAME
returned() {
	equal "exit status" "$1" "$(<"$TMP/$2.status")" && return
	tail -n 15 "$TMP/$2.stderr"
	return 1
}

# printed EXPECTED NAME: to both, byte by byte.
printed() {
	diff -a "$TMP/$1.stdout" "$TMP/$2.stdout" && diff -a "$TMP/$1.stderr" "$TMP/$2.stderr"
}

# complained PATTERN... NAME: each is shown, and where all of the kernel's messages are.
complained() {
	local name=${*: -1} pattern kept
	for pattern in "${@:1:$#-1}" '^vm: .*Kernel messages: build/vm/failed'; do
		grep -aqE -e "$pattern" "$TMP/$name.stderr" || { echo "no '$pattern'"; return 1; }
	done
	kept=$(sed -n 's/^vm: .*Kernel messages: //p' "$TMP/$name.stderr")
	grep -aqE -e "$1" "$kept" && rm "$kept"
}

# shellcheck disable=SC2016 # expanded by the bash that runs it
bytes='
	printf "bytes \0\001\377\r\n" && seq 100000 && printf "no newline at the end"
	printf "\033[1m apart \033[m\n" >&2
	exit 7'
run here bash -c "$bytes"
started=$SECONDS
run vm scripts/vm "$bytes"
took=$((SECONDS - started))
check "the exit status is the command's" returned 7 vm
check "it prints what the command prints, stdout and stderr apart" printed here vm
check "from boot to end of a short command takes 45 s at most ($took s)" \
	test "$took" -le $((45 * ${SLOWNESS:-1}))

# Only the machine has the second part of it.
# shellcheck disable=SC2016
quoting='x="a  b"; echo "$x" $x '\''$x \ "'\'' \$x "$((6 * 7))" `echo tick`
	echo $(echo $$ | tr -d 0-9). 50% a#b @ ~: {1..3} | cat; # rest
	echo "$x" >&2'
# shellcheck disable=SC2016
machine='
	cat "/mnt/share/a file"
	touch /mnt/share/new 2>/dev/null || echo cannot create
	rm -f "/mnt/share/a file" 2>/dev/null || echo cannot remove
	nproc
	ls "$NETFLOW_KO" selftests/vm_contract.sh
	for tool in netflowctl nfcapd nfdump nfacctd tshark softflowd tcpreplay iperf3; do
		command -v $tool >/dev/null || echo no $tool
	done
	python3 -c "import scapy"
	for round in 1 2 3; do
		echo 3 >/proc/sys/vm/drop_caches
		python3 -c "import json, socket" && jq -n 1 >/dev/null && perl -e 1 ||
			echo a program read again fails
	done'
mkdir "$TMP/share"
echo shared >"$TMP/share/a file"
run here bash -c "$quoting"
printf '%s\n' shared "cannot create" "cannot remove" 2 "/netflow/build/$RELEASE/netflow.ko" \
	selftests/vm_contract.sh >>"$TMP/here.stdout"
run make make vm SHARE="$TMP/share" CMD="$quoting$machine"
check "make vm succeeds when the command does" returned 0 make
check "make vm passes quotes and dollars on and prints nothing else; the machine is complete" \
	printed here make
check "nothing has changed in SHARE" equal "its files" "a file" "$(ls "$TMP/share")"

run crash scripts/vm 'echo c >/proc/sysrq-trigger; sleep 100'
check "a kernel that crashes: status 70" returned 70 crash
check "a kernel that crashes: the trace is shown" \
	complained 'Kernel panic - .* sysrq triggered crash' 'Call Trace' crash

run ledger scripts/vm 'echo "netflow: netns 1: 2 packets are in no account" >/dev/kmsg'
check "a ledger that does not add up: status 70" returned 70 ledger
check "a ledger that does not add up: the message is shown" \
	complained 'netns 1: 2 packets are in no account' ledger
done_testing

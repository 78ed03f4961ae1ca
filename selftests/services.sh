#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The services that configure the exporter at boot, as far as they can be tested without booting:
# what systemd says of the units, and what is said where the module is missing. Run on the host,
# after `make`.

# shellcheck source=selftests/lib/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/tap.sh"
begin make
cd "$SELFTESTS/.." || exit 1

# installed COMMAND...: in the root, with netflowctl and the services installed in /tmp/usr, of
# which systemd knows.
installed() {
	# shellcheck disable=SC2016 # expanded by the inner shell
	scripts/in-root sh -euc 'make -s install-ctl PREFIX=/tmp/usr >/dev/null
		export SYSTEMD_UNIT_PATH=/tmp/usr/lib/systemd/system:
		eval "$1"' sh "$*"
}

# verified UNIT...: systemd has nothing to say of them.
verified() {
	# The manual page is not where man looks for it.
	installed systemd-analyze --man=no verify "$@" >"$TMP/verify" 2>&1 &&
		[ ! -s "$TMP/verify" ] && return
	cat "$TMP/verify"
	return 1
}

# broken EDIT UNIT: systemd complains of the unit when it is so edited.
broken() {
	# Its status tells of some complaints only.
	installed "sed -i '$1' /tmp/usr/lib/systemd/system/$2; systemd-analyze --man=no verify $2" \
		>"$TMP/verify" 2>&1
	grep -q "^/tmp/usr\|$2" "$TMP/verify"
}

missing_module() {
	local status=0
	# The root has no module for the kernel that runs here.
	installed /tmp/usr/lib/netflow/load-module >"$TMP/out" 2>"$TMP/said" || status=$?
	cat "$TMP/said"
	equal "status" 78 "$status" && grep -q "for the running kernel $(uname -r)" "$TMP/said" &&
		grep -q "make install" "$TMP/said"
}

check "systemd takes netflow.service" verified netflow.service netflow-flush.service
check "and netflow@.service for a namespace" verified netflow@blue.service
check "it would complain of a program that is not there" \
	broken s/netflowctl.apply/netflowctl2/ netflow.service
check "and of a word that it does not know" broken s/^RestartSec/RestartSecs/ netflow.service
check "a module that is missing is told with what to install" missing_module
done_testing

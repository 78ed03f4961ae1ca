#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What users type on their own machine without the VM: the targets of make, and the messages of
# a set-up without network. Run on the host, after `make`.

# shellcheck source=selftests/lib/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/tap.sh"
begin make tar
cd "$SELFTESTS/.." || exit 1
. scripts/config.sh
# shellcheck source=/dev/null
. "$ROOT$KERNELS/${KERNEL:-stock}"

# files DIR: with their modes.
files() { (cd "$1" && find . ! -type d -printf '%m %P\n' | sort -k 2); }

# fails PATTERN... -- COMMAND...: it fails and says all of this.
fails() {
	local patterns=()
	while [ "$1" != -- ]; do patterns+=("$1"); shift; done
	shift
	if "$@" >"$TMP/said" 2>&1; then echo "succeeded"; return 1; fi
	for pattern in "${patterns[@]}"; do
		grep -qE -e "$pattern" "$TMP/said" && continue
		echo "does not say '$pattern':"
		cat "$TMP/said"
		return 1
	done
}

### make install, make uninstall

# For the kernel that was built for, not the one that runs here.
for_kernel() { make -s "$@" KDIR="$ROOT$TREE" DESTDIR="$TMP/install"; }

# modprobe finds an installed module, and one that was taken away no more. In the root: a
# machine that only builds need not have modprobe.
# shellcheck disable=SC2016 # expanded by the inner shell
modprobe_finds() {
	scripts/in-root sh -euc '
		modules=/tmp/lib/modules/$1
		mkdir -p "$modules"
		touch "$modules/modules.order"
		make -s install KDIR="$2" DESTDIR=/tmp
		modprobe -d /tmp -S "$1" --show-depends netflow |
			grep -x "insmod $modules/updates/netflow.ko *"
		make -s uninstall KDIR="$2" DESTDIR=/tmp
		! modprobe -d /tmp -S "$1" --show-depends netflow' sh "$RELEASE" "$TREE"
}

cat >"$TMP/expected" <<END
644 lib/modules/$RELEASE/updates/netflow.ko
755 usr/local/bin/netflowctl
755 usr/local/lib/netflow/load-module
644 usr/local/lib/systemd/system/netflow-flush.service
644 usr/local/lib/systemd/system/netflow.service
644 usr/local/lib/systemd/system/netflow@.service
644 usr/local/share/bash-completion/completions/netflowctl
644 usr/local/share/fish/vendor_completions.d/netflowctl.fish
644 usr/local/share/man/man8/netflowctl.8
644 usr/local/share/zsh/site-functions/_netflowctl
END
check "make install" for_kernel install
files "$TMP/install" >"$TMP/installed"
check "it installs module, tool, manual page and completions" same "$TMP/expected" "$TMP/installed"
check "the module is the one that was built" \
	cmp "build/$RELEASE/netflow.ko" "$TMP/install/lib/modules/$RELEASE/updates/netflow.ko"
check "the tool is the one that was built" \
	cmp build/bin/netflowctl "$TMP/install/usr/local/bin/netflowctl"
check "make uninstall" for_kernel uninstall
check "it leaves nothing" equal "files" "" "$(files "$TMP/install")"
check "modprobe finds the module, until it is uninstalled" modprobe_finds
mkdir -p "$TMP/other/include/config"
echo 1.2.3-other >"$TMP/other/include/config/kernel.release"
check "without a module for the kernel make install says what to do" \
	fails "no module for kernel 1\.2\.3-other" "make KDIR=" -- \
	make -s install KDIR="$TMP/other" DESTDIR="$TMP/install"

### make KDIR=, make help, make versions, make clean

# In the root, which has the tools that a machine needs for this.
with_kdir() {
	mv "build/$RELEASE/netflow.ko" "$TMP/netflow.ko"
	scripts/in-root make -s KDIR="$TREE" &&
		cmp "$TMP/netflow.ko" "build/$RELEASE/netflow.ko" && return
	mv "$TMP/netflow.ko" "build/$RELEASE/netflow.ko"
	return 1
}
check "make KDIR=TREE builds the same module with the machine's own tools" with_kdir

sed -n '/^\.PHONY: /,/[^\]$/ { s/^\.PHONY: //; s/\\$//; p }' Makefile | xargs -n 1 |
	sort >"$TMP/targets"
make -s help | sed -nE 's/^ +([a-z-]+) .*/\1/p' | sort >"$TMP/help"
check "make help lists every target" same "$TMP/targets" "$TMP/help"
grep -oE '(`|^    )make [a-z-]+' README.md | sed 's/.*make //' | sort -u >"$TMP/readme"
check "the targets of the README are there" \
	equal "others" "" "$(comm -23 "$TMP/readme" "$TMP/targets")"
check "make versions names the kernel" equal "kernel" \
	"$(<"$ROOT$TREE/include/config/kernel.release")" \
	"$(make -s versions | sed -nE 's/^kernel +(\S+)$/\1/p')"

mkdir "$TMP/copy"
tar -c --exclude=./build --exclude=./.git . | tar -x -C "$TMP/copy"
files "$TMP/copy" >"$TMP/before"
mkdir -p "$TMP/copy/build/bin"
touch "$TMP/copy/build/bin/netflowctl"
check "make clean" make -s -C "$TMP/copy" clean
files "$TMP/copy" >"$TMP/after"
check "it leaves the source and nothing else" same "$TMP/before" "$TMP/after"

### A set-up that cannot download, make distclean

# offline NAME VARIABLE...: the set-up of the copy, with a cache of its own.
offline() { env NETFLOW_CACHE="$TMP/$1" "${@:2}" make -C "$TMP/copy" setup; }
nowhere=http://127.0.0.1:1

check "packages cannot be downloaded: it says which, from where, and what to do" \
	fails "Failed to fetch $nowhere/" "reaches $nowhere .*NETFLOW_MIRROR=" "make setup" -- \
	offline cache NETFLOW_MIRROR=$nowhere
check "nothing that counts as a root is there" test ! -e "$TMP/cache/${ROOT##*/}"
# No clean-up may ever follow this link: the cache that has it must not be emptied by distclean.
mkdir "$TMP/linked"
ln -s "$ROOT" "$TMP/linked/${ROOT##*/}"
check "crates cannot be downloaded: it says which, and what to do" \
	fails 'failed to get .[a-z_-]+. as a dependency of package' "reaches crates.io" \
	"make setup" -- offline linked https_proxy=$nowhere
rm "$TMP/linked/${ROOT##*/}"

empty_cache=(env NETFLOW_CACHE="$TMP/cache" make -s -C "$TMP/copy" distclean)
for lock in setup kernel-custom; do
	check "make distclean is refused while $lock.lock is held" \
		fails "running: .*/$lock.lock" -- flock "$TMP/cache/$lock.lock" "${empty_cache[@]}"
done
check "make distclean" "${empty_cache[@]}"
check "it leaves no cache" test ! -e "$TMP/cache"
done_testing

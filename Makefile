# SPDX-License-Identifier: GPL-2.0
#
# netflow: a NetFlow exporter in the Linux kernel. `make help` lists what there is.
# How the module is built is in Kbuild, how the rest is done in scripts/.
#
# By default everything is built and run in a Debian root of its own, for Debian's
# stock kernel. With KDIR=/path/to/prepared/kernel/tree, module and netflowctl are
# built with this machine's own tools for the kernel of that tree.

# Names the kernel to build for and to boot.
export KERNEL ?= stock
export KDIR
export CPUS MEM SHARE VM_TIMEOUT QUICK ROUNDS

# CMD goes to the script as it was written: make must not expand its dollars.
unexport CMD
export VM_CMD = $(value CMD)

PREFIX ?= /usr/local
INSTALL_MOD_PATH ?= $(DESTDIR)
BINDIR = $(DESTDIR)$(PREFIX)/bin
MANDIR = $(DESTDIR)$(PREFIX)/share/man/man8
SHAREDIR = $(DESTDIR)$(PREFIX)/share
LIBDIR = $(DESTDIR)$(PREFIX)/lib
UNITS = netflow.service netflow-flush.service netflow@.service
RELEASE = $(shell cat $(or $(KDIR:%=%/include/config/kernel.release),/proc/sys/kernel/osrelease))
MODDIR = $(INSTALL_MOD_PATH)/lib/modules/$(RELEASE)/updates
# Where no kernel is installed, as in a staging folder, there is nothing to index.
depmod = test ! -e $(MODDIR)/../modules.order || depmod -b "$(INSTALL_MOD_PATH)/" $(RELEASE)

# What is in the way of a silent `make vm`: shown only if it fails.
quiet_build = mkdir -p build && { $(MAKE) -s all >build/build.log 2>&1 || { cat build/build.log >&2; false; }; }

.PHONY: all setup kernel module ctl run check lint host-test bench vm versions \
	install install-module install-ctl uninstall clean distclean help

all: module ctl ## Build the module and netflowctl (the default)

setup: ## Prepare root, toolchain and kernel; UPDATE=1 looks for a newer kernel
	@scripts/setup $(if $(UPDATE),--update)
	@scripts/versions | head -n 4

# Root, stock kernel, and the kernel that KERNEL names.
ready = scripts/setup && scripts/make-kernel
prepare = $(if $(KDIR),true,$(ready))

kernel: ## Build the kernel KERNEL=custom (small), or debug (KASAN, lockdep, kmemleak ...)
	@$(ready)

module: ## Build netflow.ko
	@$(prepare)
	@scripts/build-module

ctl: ## Build netflowctl
	@$(prepare)
	@scripts/build-ctl

run: ## Show it at work: traffic through a router in the VM, a real collector
	@$(ready)
	@$(quiet_build)
	@scripts/vm selftests/run_demo.sh

check: ## Run every check and test; the last line counts them
	@$(ready)
	@scripts/check

lint: ## rustfmt, clippy, shellcheck; no warning is let through
	@scripts/setup
	@scripts/lint

host-test: ## Test the kernel-free code on this machine
	@scripts/setup
	@scripts/in-root cargo test --locked --manifest-path selftests/host/Cargo.toml

bench: ## Measure what a packet costs, beside ipt-netflow [QUICK=1: under three minutes]
	@scripts/setup
	@scripts/bench

vm: ## Boot the VM; CMD='...' runs that in it [CPUS=2 MEM=2G SHARE=DIR KERNEL=stock]
	@$(ready)
	@$(quiet_build)
	@scripts/vm "$$VM_CMD"

versions: ## Show which kernel and tools are in use
	@scripts/setup
	@scripts/versions

install: install-module install-ctl ## Install for the running kernel (or KDIR's) [PREFIX DESTDIR INSTALL_MOD_PATH]

install-module: ## The module of `make install` alone
	@test -e build/$(RELEASE)/netflow.ko || { \
		echo "There is no module for kernel $(RELEASE). Build one with 'make' (for Debian's newest stock" \
		"kernel) or 'make KDIR=/lib/modules/$(RELEASE)/build'." >&2; false; }
	install -D -m 644 -t $(MODDIR) build/$(RELEASE)/netflow.ko
	$(depmod)

install-ctl: ## What else `make install` installs: netflowctl and the services
	install -D -t $(BINDIR) build/bin/netflowctl
	install -D -m 644 -t $(MANDIR) build/share/netflowctl.8
	install -D -m 644 build/share/completion.bash $(SHAREDIR)/bash-completion/completions/netflowctl
	install -D -m 644 build/share/completion.zsh $(SHAREDIR)/zsh/site-functions/_netflowctl
	install -D -m 644 build/share/completion.fish $(SHAREDIR)/fish/vendor_completions.d/netflowctl.fish
	install -D -t $(LIBDIR)/netflow userspace-ctl/systemd/load-module
	install -D -m 644 -t $(LIBDIR)/systemd/system $(UNITS:%=userspace-ctl/systemd/%)
	sed -i 's|=\(-\?\)/usr/|=\1$(PREFIX)/|' $(UNITS:%=$(LIBDIR)/systemd/system/%)
	install -d $(DESTDIR)/etc/netflow/netns

uninstall: ## Remove what install has put there
	rm -f $(MODDIR)/netflow.ko $(BINDIR)/netflowctl $(MANDIR)/netflowctl.8 \
		$(SHAREDIR)/bash-completion/completions/netflowctl \
		$(SHAREDIR)/zsh/site-functions/_netflowctl $(SHAREDIR)/fish/vendor_completions.d/netflowctl.fish \
		$(LIBDIR)/netflow/load-module $(UNITS:%=$(LIBDIR)/systemd/system/%)
	-rmdir --ignore-fail-on-non-empty $(DESTDIR)/etc/netflow/netns $(DESTDIR)/etc/netflow
	$(depmod)

clean: ## Remove what was built
	rm -rf build

distclean: clean ## Remove the set-up too: the cache that all checkouts share
	scripts/clean-cache

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s  %s\n", $$1, $$2 }' Makefile

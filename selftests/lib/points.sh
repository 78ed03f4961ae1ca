# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# The observation points, and their 31 combinations. Sourced by the tests that try all of these.

POINTS=(prerouting input forward output postrouting)

# names[MASK]: the points whose bits are set.
names=("")
for mask in {1..31}; do
	for bit in {0..4}; do
		((mask >> bit & 1)) && names[mask]+=${names[mask]:+,}${POINTS[bit]}
	done
done

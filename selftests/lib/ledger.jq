# SPDX-License-Identifier: GPL-2.0
# What does not add up in netflowctl's info ($i) and flows ($f), a line each. What may differ
# while packets pass begins with "at rest".
def require(what; a; b): if a == b then empty else "\(what): \(a) is not \(b)" end;

$i[0] as $info | $f[0] as $flows |
def of($family): map(select((.src_addr | contains(":")) == ($family == "ipv6")));

(("packets", "bytes") as $unit | ("seen", "ignored", "cached", "pending", "exported", "lost") |
	require("\($unit) \(.), and those of both families";
		$info[$unit][.]; $info.ipv4[$unit][.] + $info.ipv6[$unit][.])),
(("ipv4", "ipv6") as $family | ("packets", "bytes") as $unit | $info[$family][$unit] as $l |
	require("\($family): \($unit) seen, and the sum of the accounts";
		$l.seen; $l.ignored + $l.cached + $l.pending + $l.exported + $l.lost),
	require("at rest: \($family): \($unit) cached, and those of the listed flows";
		$l.cached; [$flows | of($family) | .[][$unit]] | add // 0)),
(("packets", "bytes") as $unit | $info[$unit] as $l |
	require("\($unit) seen, and the sum of the accounts";
		$l.seen; $l.ignored + $l.cached + $l.pending + $l.exported + $l.lost),
	require("\($unit) ignored, and its reasons"; $l.ignored; [$l.ignored_by[]] | add),
	require("\($unit) lost, and its reasons"; $l.lost; [$l.lost_by[]] | add),
	require("at rest: \($unit) pending"; $l.pending; 0),
	require("at rest: \($unit) cached, and those of the listed flows";
		$l.cached; [$flows[][$unit]] | add // 0)),
require("at rest: flows cached, and listed"; $info.flows.cached; $flows | length),
require("at rest: flows created, and those that expired or are cached";
	$info.flows.created; ([$info.expired[]] | add) + $info.flows.cached)

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""report.py RESULTS JSON SVG: what `make bench` has measured, as table, JSON and chart.

RESULTS holds a file LANE.ROUND for each lane and round, "SCENARIO NANOSECONDS" a line; and
files of "NAME FIGURE" lines: `end_to_end`, `tick`, `instructions` ("LANE WHAT COUNT").

Figures are medians over all rounds. A ratio is the median of each round's own ratio, so that
a machine that was slow in one round was so on both sides; its spread is the least and the most.
"""

import collections
import json
import pathlib
import statistics
import sys

LANES = ("none", "empty", "ours", "peer")
SUFFIXES = ("", "_2cpu_same", "_2cpu_disjoint")
SCENARIOS = (
    "hit_1",
    "hit_1k",
    "hit_400k",
    "hit_1m",
    "hit6_1k",
    "hit6_400k",
    "new",
    "new6",
    "sweep",
    "seed_collide",
    "full",
    "not_sampled",
    "mix",
)
COLOURS = {"none": "#bbbbbb", "empty": "#888888", "ours": "#1b7837", "peer": "#762a83"}


def lines(path):
    """The words of each line of a file, none if there is no such file."""
    return (
        [line.split() for line in path.read_text(encoding="ascii").splitlines()]
        if path.exists()
        else []
    )


def read_lanes(results):
    """scenario -> lane -> nanoseconds of each round."""
    runs = collections.defaultdict(dict)
    for lane in LANES:
        rounds = sorted(results.glob(f"{lane}.*"), key=lambda path: int(path.suffix[1:]))
        for path in rounds:
            for name, figure in lines(path):
                runs[name].setdefault(lane, []).append(float(figure))
    return runs


def ratio(ours, other):
    """Median, least and most of the ratios, round by round."""
    each = [a / b for a, b in zip(ours, other)]
    return {"median": statistics.median(each), "low": min(each), "high": max(each)}


def scenario(lanes):
    entry = {lane: statistics.median(figures) for lane, figures in lanes.items()}
    entry["spread"] = {lane: [min(figures), max(figures)] for lane, figures in lanes.items()}
    if "ours" in lanes and "peer" in lanes:
        entry["ratio"] = ratio(lanes["ours"], lanes["peer"])
    return entry


def against_ourselves(runs):
    """Ratios of our own scenarios, for what must cost little more than another."""
    pairs = [
        ("sweep", "new"),
        ("seed_collide", "new"),
        ("full", "hit_1k"),
        ("not_sampled", "hit_1k"),
        ("hit6_1k", "hit_1k"),
        ("hit6_400k", "hit_400k"),
        ("new6", "new"),
        ("hit_1k_2cpu_disjoint", "hit_1k"),
        ("hit_1k_2cpu_same", "hit_1k"),
    ]
    return {
        f"{a} / {b}": ratio(runs[a]["ours"], runs[b]["ours"])
        for a, b in pairs
        if "ours" in runs.get(a, ()) and "ours" in runs.get(b, ())
    }


def figures(path):
    """name -> median of the figures of that name."""
    found = collections.defaultdict(list)
    for *name, figure in lines(path):
        found[" ".join(name)].append(float(figure))
    return {name: statistics.median(values) for name, values in found.items()}


def of_rounds(entry):
    return f"{entry['median']:6.2f} ({entry['low']:.2f} to {entry['high']:.2f})"


def table(report):
    yield f"{'ns a packet':26}" + "".join(f"{lane:>9}" for lane in LANES) + "   ours / peer"
    for name, entry in report["scenarios"].items():
        row = "".join(f"{entry[lane]:9.1f}" if lane in entry else f"{'-':>9}" for lane in LANES)
        yield f"{name:26}{row}" + (f"  {of_rounds(entry['ratio'])}" if "ratio" in entry else "")
    yield ""
    yield "our own"
    for name, entry in report["ours"].items():
        yield f"{name:40}{of_rounds(entry)}"
    for part in ("end_to_end", "tick", "instructions"):
        if report[part]:
            yield ""
            yield part.replace("_", " ")
        for name, figure in report[part].items():
            yield f"{name:32}{figure:14,.2f}"


def chart(scenarios):
    """Bars side by side, as an SVG."""
    left, top, row, bar, width = 150, 34, 52, 11, 560
    most = max(max(entry[lane] for lane in LANES if lane in entry) for entry in scenarios.values())
    height = top + row * len(scenarios) + 8
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 70}" height="{height}" '
        'font-family="sans-serif" font-size="11">'
    )
    yield f'<rect width="100%" height="{height}" fill="white"/>'
    for i, lane in enumerate(LANES):
        yield f'<rect x="{left + 90 * i}" y="9" width="10" height="10" fill="{COLOURS[lane]}"/>'
        yield f'<text x="{left + 90 * i + 15}" y="18">{lane}</text>'
    yield f'<text x="{left + 370}" y="18">nanoseconds a packet, less is better</text>'
    for i, (name, entry) in enumerate(scenarios.items()):
        y = top + row * i
        yield f'<text x="{left - 8}" y="{y + row / 2}" text-anchor="end">{name}</text>'
        for j, lane in enumerate(LANES):
            if lane not in entry:
                continue
            long = max(width * entry[lane] / most, 1)
            yield (
                f'<rect x="{left}" y="{y + bar * j}" width="{long:.1f}" height="{bar - 1}" '
                f'fill="{COLOURS[lane]}"/>'
            )
            place = f'x="{left + long + 4:.1f}" y="{y + bar * j + 9}"'
            yield f'<text {place} font-size="9">{entry[lane]:.0f}</text>'
    yield "</svg>"


def main():
    results, json_path, svg_path = map(pathlib.Path, sys.argv[1:])
    runs = read_lanes(results)
    names = [name + suffix for name in SCENARIOS for suffix in SUFFIXES if name + suffix in runs]
    report = {
        "scenarios": {name: scenario(runs[name]) for name in names},
        "ours": against_ourselves(runs),
        **{part: figures(results / part) for part in ("end_to_end", "tick", "instructions")},
    }
    print("\n".join(table(report)))
    rest = {part: report[part] for part in ("ours", "end_to_end", "tick", "instructions")}
    json_path.write_text(
        json.dumps({**report["scenarios"], **rest}, indent="\t") + "\n", encoding="ascii"
    )
    one_cpu = {name: report["scenarios"][name] for name in SCENARIOS if name in runs}
    svg_path.write_text("\n".join(chart(one_cpu)) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()

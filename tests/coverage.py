#!/usr/bin/env python3
"""Sums up the regions of some kinds of runs, as llvm-cov exports them: coverage.py KIND...

A kind is a directory with a JSON file for each program.

Part of tests/coverage.sh, which says what is counted. Standard library only.
"""
import json
import os
import sys
from collections import defaultdict
from pathlib import Path

MODULES = ("codec", "reader", "schema")
CODE = 0  # the kind of a region that is not a gap, a branch or a macro's call


def regions(directory):
    """Place of each region, (file, first line, column, last line, column): whether it was reached."""
    found = {}
    for path in directory.glob("*.json"):
        for function in json.loads(path.read_text(encoding="utf-8"))["data"][0]["functions"]:
            # Mangled names have lengths before their parts: tests inside of the library.
            if "5tests" in function["name"]:
                continue
            for *place, count, file, _, kind in function["regions"]:
                name = function["filenames"][file]
                inside = f"/{name}".rpartition("/src/")[2]
                if kind == CODE and "/registry/" not in name and inside.split("/")[0] in MODULES:
                    key = (inside, *place)
                    found[key] = found.get(key, False) or count > 0
    return found


def line(module, places, runs):
    """Of a module: how many of its places each run reached, and all of them together."""
    parts = []
    for name, run in [*runs, ("both", None)]:
        chosen = [run] if run is not None else [each for _, each in runs]
        reached = sum(any(each.get(place) for each in chosen) for place in places)
        parts.append(f"{name} {reached} ({100 * reached / len(places):.1f} %)")
    return f"coverage  {module}: {len(places)} regions, " + ", ".join(parts)


def missing(places, runs):
    """Lines of each file in which no run reached anything."""
    lines = defaultdict(set)
    for name, first, *_ in (p for p in places if not any(run.get(p) for _, run in runs)):
        lines[name].add(first)
    for name in sorted(lines):
        yield f"src/{name}: " + " ".join(map(str, sorted(lines[name])))


def main():
    runs = [(Path(path).name, regions(Path(path))) for path in sys.argv[1:]]
    places = sorted(set().union(*(run for _, run in runs)))
    for module in MODULES:
        print(line(module, [p for p in places if p[0].startswith(module + "/")], runs))
    if os.environ.get("ETLRING_COVERAGE_MISSING"):
        print("\n".join(missing(places, runs)))


main()

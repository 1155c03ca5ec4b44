#!/usr/bin/env python3
"""Makes logs of Windows' own logs and asks foreign readers what they find: edit.py ETLRING DIRECTORY

A filter that takes everything changes nothing, the parts of a log are the log again, and a log that was
compressed holds the same for the reference reader and for dissect.etl. run.sh calls this; without the
samples it is skipped, but with CI=true it fails.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from dissect.etl import ETL

SHARED = Path(__file__).resolve().parents[3] / "shared"
REFERENCE = SHARED / "peers/etlref.py"
# Larger ones take the Python readers minutes.
MOST_BYTES = 4 << 20
# This log never ended: what is made of it is finished, so its header differs.
UNFINISHED = "s4_CldFlt2-2025-12-21-121418.etl"
HEADER = "68fdd900-4a3e-11d1-84f4-0000f80464e3"


def main():
    etlring, directory = sys.argv[1], Path(sys.argv[2])
    samples = sorted((SHARED / "samples").glob("*.etl"))
    if not samples:
        print("edit      skipped: no samples")
        sys.exit(1 if os.environ.get("CI") == "true" else 0)
    filtered = merged = packed = ours = theirs = 0
    for path in samples:
        if path.stat().st_size > MOST_BYTES:
            continue
        out = directory / "new.etl"
        edit(etlring, "filter", path, out)
        if path.name != UNFINISHED:
            same(path, "filter", reference(path, "--summary"), reference(out, "--summary"))
            filtered += 1
        rows = records(path)
        merge(etlring, path, rows, directory, out)
        same(path, "merge", rows, records(out))
        merged += 1
        edit(etlring, "recompress", path, out)
        same(path, "recompress", rows, records(out))
        seen = dissected(path)
        # dissect.etl finds nothing in a log that has not ended, and all in one that has.
        if path.name == UNFINISHED:
            seen = {"SystemHeader": len(rows)}
        same(path, "dissect", seen, dissected(out))
        if packs(path):
            theirs += path.stat().st_size
            ours += out.stat().st_size
        plain = directory / "plain.etl"
        edit(etlring, "recompress", out, plain, "--none")
        same(path, "recompress --none", rows, records(plain))
        same(path, "dissect", seen, dissected(plain))
        packed += 1
    if ours > theirs * 1.1:
        fail(f"packed logs have {ours} bytes, those of Windows {theirs}")
    print(f"edit      {filtered} logs filtered by nothing, {merged} cut and merged, {packed} packed "
          f"and unpacked: the same for etlref.py and dissect.etl; packed {ours} bytes, "
          f"by Windows {theirs}")


def fail(why):
    print(f"edit      {why}", file=sys.stderr)
    sys.exit(1)


def same(path, what, before, after):
    if before != after:
        fail(f"{path.name}: {what}: {str(before)[:300]} became {str(after)[:300]}")


def edit(etlring, command, path, out, *options):
    paths = path if isinstance(path, list) else [path]
    line = [etlring, command, *map(str, paths), "-o", str(out), "--force", *options]
    done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        fail(f"{' '.join(line)}: status {done.returncode}: {done.stderr.decode()[:300]}")


def reference(path, *options):
    line = [sys.executable, str(REFERENCE), str(path), "--order", "time", *options]
    return subprocess.run(line, stdout=subprocess.PIPE, check=True).stdout.decode()


def records(path):
    """What the reference reader finds, but for where buffers lie and the counts of the header."""
    rows = []
    for line in reference(path).splitlines():
        row = json.loads(line)
        del row["buffer"]
        if (row["provider"], row["id"]) == (HEADER, 0):
            del row["crc32"]
        rows.append(row)
    return rows


def packs(path):
    """Whether a log is compressed: mode bit 0x04000000."""
    with path.open("rb") as file:
        start = file.read(256)
    return bool(int.from_bytes(start[104 + 32 : 104 + 36], "little") & 0x04000000)


def merge(etlring, path, rows, directory, out):
    """Cuts a log at two of its own times, and makes one log of the parts, in another order."""
    times = sorted(row["filetime"] for row in rows if row["filetime"] is not None)
    edges = [times[len(times) // 3], times[2 * len(times) // 3]]
    spans = [("--to", edges[0]), ("--from", edges[0], "--to", edges[1]), ("--from", edges[1])]
    parts = []
    for number, span in enumerate(spans):
        parts.append(directory / f"part{number}.etl")
        options = [utc(word) if isinstance(word, int) else word for word in span]
        edit(etlring, "cut", path, parts[-1], *options)
    edit(etlring, "merge", [parts[1], parts[2], parts[0]], out)


def utc(filetime):
    from datetime import datetime, timedelta

    seconds, units = divmod(filetime - 116_444_736_000_000_000, 10_000_000)
    moment = datetime(1970, 1, 1) + timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{units:07}Z"


def dissected(path):
    """Events that dissect.etl finds, by kind of header; their order in the file may change."""
    kinds = {}
    with path.open("rb") as file:
        for event in ETL(file):
            kind = type(event.header).__name__
            kinds[kind] = kinds.get(kind, 0) + 1
    return kinds


if __name__ == "__main__":
    main()

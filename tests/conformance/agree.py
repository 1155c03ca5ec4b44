#!/usr/bin/env python3
"""Compares what readers find in our logs: agree.py ETLRING DIRECTORY

The directory holds large.etl and small.etl, recorded by examples/mixed_log.rs, each with its
manifest, messages.etl from examples/messages.rs, and under modes what examples/file_modes.rs
recorded, modes.txt saying what is in it; lossy.etl comes to them; event.etl and tracing.etl are what
the examples event and tracing_layer recorded. run.sh calls this.
"""

import importlib.util
import itertools
import json
import os
import struct
import subprocess
import sys
import time
import uuid
import zlib
from collections import Counter
from pathlib import Path

import describe
from dissect.etl import ETL
from dissect.etl.headers.event import EventHeader
from dissect.etl.headers.headers import EventTraceHeader
from dissect.etl.headers.system import SystemHeader

REFERENCE = Path(__file__).resolve().parents[3] / "shared/peers/etlref.py"
LOST = "6a399ae0-4bc6-4de9-870b-3657f8947e7e"
ZERO = str(uuid.UUID(int=0))
# In units of 100 ns; a double has 53 bits for the 57 of a time.
MOST_OFF = 32
KEYS = (
    "buffer lane header bits provider id version level opcode pid tid ticks filetime len crc32"
).split()
# There where a message has them.
OF_MESSAGES = ("sequence", "component")


class Disagreement(Exception):
    """Two that should say the same do not."""


def main():
    etlring, directory = sys.argv[1], Path(sys.argv[2])
    large, small, lossy, calls = (
        directory / f"{name}.etl" for name in ("large", "small", "lossy", "messages")
    )
    command = Command(etlring)
    checks = [
        ("verify", lambda: verify(command, large, full=8)),
        ("manifest", lambda: manifest(command, large)),
        ("dissect", lambda: dissect(command, large)),
        ("etlref", lambda: reference_in_file_order(command, large)),
        ("etlref", lambda: reference_in_time_order(command, small)),
        ("demo", lambda: demo(command)),
        ("recover", lambda: recover(command, small)),
        ("loss", lambda: loss(command, lossy)),
        ("dissect", lambda: dissect(command, lossy)),
        ("etlref", lambda: reference_in_file_order(command, lossy)),
        ("etlref", lambda: reference_in_time_order(command, lossy)),
        ("verify", lambda: verify(command, calls)),
        ("messages", lambda: messages(command, calls)),
        ("etlref", lambda: reference_in_file_order(command, calls)),
        ("etlref", lambda: reference_in_time_order(command, calls)),
        ("describe", lambda: self_describing(command, directory / "event.etl", 13)),
        ("describe", lambda: self_describing(command, directory / "tracing.etl", 26)),
    ]
    with open(directory / "modes.txt", encoding="ascii") as lines:
        for line in lines:
            name, *numbers = line.split()
            group = (directory / "modes", name, *map(int, numbers))
            checks.append(("mode", lambda group=group: mode(command, *group)))
    failed = 0
    for name, check in checks:
        start = time.monotonic()
        try:
            said = check()
        except Disagreement as error:
            failed += 1
            said = f"FAILED: {error}"
        except Exception as error:
            # A reader that breaks down disagrees; the other checks still run.
            failed += 1
            said = f"FAILED: {type(error).__name__}: {error}"
        print(f"{name:9} {said} ({time.monotonic() - start:.1f} s)", flush=True)
    if failed:
        sys.exit(f"{failed} of {len(checks)} checks failed")


class Command:
    """The command under test."""

    def __init__(self, path):
        self.path = path

    def json(self, *args):
        """The one object that it prints; it must exit with 0."""
        done = subprocess.run([self.path, *args], stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout)

    def dump(self, path, order, *args):
        """The records of `path`, one after another."""
        command = [self.path, "dump", "--format", "jsonl", "--order", order, *args, str(path)]
        yield from lines_of(command)


def lines_of(command):
    """The objects that `command` prints; it must exit with 0."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        yield from map(json.loads, process.stdout)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


def pairs(left, right):
    """Both in step; a shorter one gives None at its end."""
    return enumerate(itertools.zip_longest(left, right))


def agree(at, left, right):
    """Fails unless both are equal."""
    if left != right:
        raise Disagreement(f"record {at}: {shortened(left)} and {shortened(right)}")


def shortened(value):
    text = repr(value)
    return text if len(text) < 600 else text[:600] + "..."


# The log itself.


def verify(command, path, full=0):
    """Clean, and at least `full` buffers have no byte to spare."""
    subprocess.run([command.path, "verify", str(path)], stdout=subprocess.PIPE, check=True)
    log = memoryview(path.read_bytes())
    (size,) = struct.unpack_from("<I", log)
    filled = [struct.unpack_from("<I", log, at + 0x30)[0] for at in range(0, len(log), size)]
    if filled.count(size) < full:
        raise Disagreement(f"{filled.count(size)} full buffers, not {full}")
    told = f"{filled.count(size)} of {len(filled)} buffers full to the last byte"
    return f"{path.name}, {len(log) / 1e6:.1f} MB: clean, {told}"


def manifest(command, path):
    """Each thread's events, in time order, are those that were accepted."""
    expected = {}
    with open(path.with_suffix(".txt"), encoding="ascii") as lines:
        for line in lines:
            expected.setdefault(int(line.split(maxsplit=1)[0]), []).append(line.rstrip("\n"))
    accepted = sum(map(len, expected.values()))
    seen = Counter()
    others = 0
    for record in command.dump(path, "time"):
        thread = record["tid"]
        if record["header"] == "system" or record["provider"] == LOST:
            others += 1
            continue
        at = seen[thread]
        if at >= len(expected.get(thread, ())):
            raise Disagreement(f"thread {thread} had no event {at}: {record}")
        agree(f"{at} of thread {thread}", expected[thread][at], described(record))
        seen[thread] += 1
    missing = {thread: len(lines) - seen[thread] for thread, lines in expected.items()}
    if any(missing.values()):
        raise Disagreement(f"accepted but not in the log, by thread: {missing}")
    return f"{path.name}: {accepted} accepted events of {len(expected)} threads, {others} other"


def described(record):
    """A record as the manifest writes it."""
    keys = ("tid", "header", "provider", "id", "version", "level", "opcode")
    common = [str(record[key]) for key in keys]
    if record["header"] == "event":
        more = [str(record["channel"]), str(record["task"]), record["keyword"]]
        more += [record.get("activity", ZERO), record.get("related", ZERO)]
    else:
        more = ["-"] * 5
    return " ".join([*common, *more, str(record["len"]), record["crc32"]])


# dissect.etl: wrong in two things. It shows the provider of an event with its bytes swapped, so
# the bytes are compared; it leaves extended items in front of the payload, so they are skipped.


def dissect(command, path):
    """dissect.etl finds the same records, byte for byte, in the same order."""
    kinds, total, events, off = Counter(), 0, 0, 0
    with open(path, "rb") as file:
        etl = ETL(file)
        ours = command.dump(path, "file", "--payload")
        for at, (theirs, record) in pairs(etl, ours):
            if theirs is None or record is None:
                raise Disagreement(f"record {at}: only one of the readers has it")
            agree(at, seen_by_dissect(theirs.header), expected_of_dissect(record))
            off = max(off, abs(etl.get_filetime_for_event(record["ticks"]) - record["filetime"]))
            if at % 1000 == 0:
                # Its own decoding must get through; what it prints is not compared.
                repr(theirs.event)
            kind = "loss" if record["provider"] == LOST else record["header"]
            kinds[kind] += 1
            events += kind in ("event", "classic")
            total += record["len"]
    accepted = path.with_suffix(".txt")
    if accepted.exists():
        with open(accepted, "rb") as lines:
            agree("count", sum(1 for _ in lines), events)
    # It computes times with doubles.
    if off > MOST_OFF:
        raise Disagreement(f"its times are up to {off} x 100 ns off ours")
    told = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    return f"{path.name}, file order: {told}; {total / 1e6:.1f} MB of payload, times within {off}"


def self_describing(command, path, count):
    """The events say of themselves to dissect.etl what `dump --fields` shows."""
    theirs = list(describe.events(path))
    ours = [r for r in command.dump(path, "file", "--fields") if r.get("channel") == 11]
    agree("count", (len(theirs), len(ours)), (count, count))
    values = 0
    for at, (event, record) in pairs(theirs, ours):
        fields = dict(record["fields"])
        if isinstance(fields.get("time"), str):
            # As a number there, as text here: compared by the tests.
            fields["time"] = event[3]["time"]
        keys = ("provider_name", "name", "related")
        agree(at, event, (*(record.get(key) for key in keys), fields))
        agree(at, [type(v) for v in event[3].values()], [type(v) for v in fields.values()])
        values += len(fields)
    subprocess.run([command.path, "verify", str(path)], stdout=subprocess.PIPE, check=True)
    return f"{path.name}: {count} events with names, {values} typed values"


def seen_by_dissect(header):
    raw = header.header
    if isinstance(header, EventHeader):
        related, payload = behind_items(raw.Flags, header.payload)
        facts = (raw.Id, raw.Version, raw.Level, raw.OpCode, raw.Channel, raw.Task, raw.Keywords)
        more = (raw.ActivityId, related)
    else:
        payload = bytes(header.payload)
        if isinstance(header, EventTraceHeader):
            # Type, level and version are one number to it.
            kind, level, version = struct.unpack("<BBH", struct.pack("<I", raw.Version))
            facts, more = (0, version, level, kind), ()
        elif isinstance(header, SystemHeader):
            facts, more = (raw.OpCode,), (raw.Group,)
            provider = header.provider_id.bytes_le
            return (raw.TimeDelta, raw.ProcessId, raw.ThreadId, provider, facts, more, payload)
        else:
            raise Disagreement(f"dissect found a {type(header).__name__}")
    # The bytes themselves; as text, dissect would swap those of an event's provider.
    provider = raw.ProviderId
    return (raw.TimeDelta, raw.ProcessId, raw.ThreadId, provider, facts, more, payload)


def behind_items(flags, payload):
    """The related activity, and the payload proper."""
    at, more, related = 0, flags & 1, None
    while more:
        size, kind, linkage, length = struct.unpack_from("<4H", payload, at)
        if kind == 1:
            related = bytes(payload[at + 8 : at + 8 + length])
        at, more = at + size, linkage & 1
    return related, bytes(payload[at:])


def guid_bytes(text):
    """As the file has them. uuid.UUID takes longer than all else here."""
    b = bytes.fromhex(text.replace("-", ""))
    return b[3::-1] + b[5:3:-1] + b[7:5:-1] + b[8:]


def expected_of_dissect(record):
    provider = guid_bytes(record["provider"])
    if record["header"] == "event":
        keys = ("id", "version", "level", "opcode", "channel", "task")
        facts = (*(record[key] for key in keys), int(record["keyword"], 16))
        activity = guid_bytes(record.get("activity", ZERO))
        related = record.get("related")
        more = (activity, related and guid_bytes(related))
    elif record["header"] == "classic":
        facts, more = tuple(record[key] for key in ("id", "version", "level", "opcode")), ()
    else:
        facts, more = (record["opcode"],), (0,)
    payload = bytes.fromhex(record["payload"])
    agree("payload", (len(payload), f"{zlib.crc32(payload):08x}"), (record["len"], record["crc32"]))
    return (record["ticks"], record["pid"], record["tid"], provider, facts, more, payload)


# The reference reader.


def reference_in_file_order(command, path):
    if not REFERENCE.exists():
        return no_reference()
    etlref = reference_module()
    theirs = (record for _, record in etlref.records(memoryview(path.read_bytes())))
    return same_keys(theirs, command.dump(path, "file"), path, "file")


def reference_module():
    """The reference reader as a module, which gives one record after another, not all in a list."""
    spec = importlib.util.spec_from_file_location("etlref", REFERENCE)
    etlref = importlib.util.module_from_spec(spec)
    arguments, sys.argv, sys.dont_write_bytecode = sys.argv, [str(REFERENCE), os.devnull], True
    # It reads the file it is given even when imported: an empty one.
    spec.loader.exec_module(etlref)
    sys.argv = arguments
    return etlref


def reference_in_time_order(command, path):
    if not REFERENCE.exists():
        return no_reference()
    theirs = lines_of([sys.executable, str(REFERENCE), str(path), "--order", "time"])
    return same_keys(theirs, command.dump(path, "time"), path, "time")


def same_keys(theirs, ours, path, order):
    count = 0
    for at, (their, our) in pairs(theirs, ours):
        if their is None or our is None:
            raise Disagreement(f"record {at}: only one of the readers has it")
        differing = [key for key in KEYS if their[key] != our[key]]
        differing += [key for key in OF_MESSAGES if their.get(key) != our.get(key)]
        agree(at, *({key: record.get(key) for key in differing} for record in (their, our)))
        count += 1
    return f"{path.name}, {order} order: {count} records, {len(KEYS)} keys each"


def no_reference():
    if os.environ.get("CI") == "true":
        raise Disagreement(f"no {REFERENCE}")
    return f"skipped: no {REFERENCE}"


# The demo.


def demo(command):
    report = command.json("demo", "--threads", "4", "--events", "1000000", "--json")
    balanced(report, 1_000_000)
    counts = ", ".join(f"{report[key]} {key}" for key in ("accepted", "lost", "replayed"))
    return f"{counts}, {report['ns_per_event']:.1f} ns per event"


def balanced(report, attempted):
    agree("attempted", report["attempted"], attempted)
    agree("accepted + lost", report["accepted"] + report["lost"], attempted)
    agree("replayed", report["replayed"], report["accepted"])


def loss(command, path):
    """A session that is far too small: what it lost is told in the log, all of it."""
    size = ("--threads", "4", "--events", "1000000", "--buffers", "2", "--buffer-size", "4096")
    report = command.json("demo", *size, "--out", str(path), "--json")
    balanced(report, 1_000_000)
    told = records = 0
    for record in command.dump(path, "file", "--payload"):
        if record["provider"] == LOST:
            told += int.from_bytes(bytes.fromhex(record["payload"])[16:20], "little")
            records += 1
    agree("told in the log", told, report["lost"])
    agree("EventsLost", command.json("info", "--json", str(path))["events_lost"], told)
    verify(command, path)
    if report["lost"] < 1000:
        raise Disagreement(f"only {report['lost']} lost: the check shows nothing")
    return f"{report['accepted']} accepted, {report['lost']} lost, all told by {records} records"


# Messages.


def messages(command, path):
    """Every legal combination of flags is there, each as often, with the fields that they name; the
    number of a message tells its flags. Sequence numbers are one to the last, each once."""
    combinations, numbers = Counter(), []
    for record in command.dump(path, "time"):
        if record["header"] != "message":
            continue
        flags = record["id"] >> 8
        combinations[record["id"]] += 1
        there = {
            0x01: record.get("sequence") is not None,
            0x02: record["provider"] is not None,
            0x04: record.get("component") is not None,
            0x08: record["ticks"] is not None,
            0x20: (record["pid"], record["tid"]) != (None, None),
        }
        agree(f"message {record['id']:#06x}", there, {bit: bool(flags & bit) for bit in there})
        if there[0x01]:
            numbers.append(record["sequence"])
    legal = [flags << 8 | pointers for flags in range(0x40) if flags & 0x06 != 0x06
             for pointers in (0, 0x40, 0x80, 0xC0)]
    agree("combinations", sorted(combinations), legal)
    agree("how often", len(set(combinations.values())), 1)
    agree("sequence", sorted(numbers), list(range(1, len(numbers) + 1)))
    told = f"{combinations.total()} messages, {len(legal)} combinations"
    return f"{path.name}: {told}, numbers 1 to {len(numbers)} without a hole"


# The modes of log files.


def mode(command, directory, name, threads, first, end):
    """Each file of the log is whole to every reader; together they hold the events, each once."""
    files = sorted(directory.glob(f"{name}*.etl"))
    numbers = Counter()
    for path in files:
        verify(command, path)
        dissect(command, path)
        reference_in_file_order(command, path)
        reference_in_time_order(command, path)
        for record in command.dump(path, "time", "--payload"):
            if record["header"] == "classic" and record["provider"] != LOST:
                numbers[int.from_bytes(bytes.fromhex(record["payload"])[:8], "little")] += 1
    expected = Counter(t * 1_000_000 + n for t in range(threads) for n in range(first, end))
    if numbers != expected:
        missing, more = expected - numbers, numbers - expected
        raise Disagreement(f"{name}: {len(missing)} missing, {len(more)} too many")
    if not files:
        raise Disagreement(f"{name}: no file")
    return f"{name}: {len(files)} files, {numbers.total()} events, each once; all readers agree"


# What a killed session leaves.


def recover(command, path):
    """A log that was cut, and a ring with what it lacks, become one that every reader takes: with
    the ring with all events, without it with those before the cut."""
    data = path.read_bytes()
    (size,) = struct.unpack_from("<I", data)
    head = bytearray(data[:size])
    struct.pack_into("<Q", head, 104 + 16, 0)
    struct.pack_into("<I", head, 0x38, 0)
    half = len(data) // size // 2 * size
    cut = path.with_name("cut.etl")
    cut.write_bytes(head + data[size : half + size // 2])
    ring = path.with_name("cut.etl.ring")
    places = [bytearray(data[at : at + size]) for at in range(half, len(data), size)]
    for place in places[::3]:
        # Open: no checksum yet, the count of lost events in its place.
        struct.pack_into("<I", place, 0x2C, 1)
        place[0x38:0x40] = bytes(8)
    ring.write_bytes(head + b"".join(reversed(places)))

    told = []
    for name, options, status in (("both", (), 0), ("alone", ("--no-ring",), 1)):
        out = path.with_name(f"{name}.etl")
        done = subprocess.run([command.path, "recover", *options, str(cut), "-o", str(out)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        agree(f"status, {done.stderr.decode().strip()[:300]}", done.returncode, status)
        verify(command, out)
        dissect(command, out)
        reference_in_file_order(command, out)
        if name == "both":
            for at, (old, new) in pairs(command.dump(path, "time"), command.dump(out, "time")):
                if at and old and new:
                    del old["buffer"], new["buffer"]
                    agree(at, old, new)
                elif not old or not new:
                    raise Disagreement(f"record {at}: only one of the logs has it")
        told.append(f"{name} {sum(1 for _ in command.dump(out, 'file'))}")
    return f"{path.name}, cut and with a ring, is whole again: {', '.join(told)} records"


if __name__ == "__main__":
    main()

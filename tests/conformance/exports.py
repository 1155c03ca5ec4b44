#!/usr/bin/env python3
"""Compares what other tools make of our exports with the reference reader: exports.py ETLRING

Takes the samples in ../shared; needs opentelemetry-proto, tshark and xmllint. run.sh calls this.
"""

import base64
import csv
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter, defaultdict
from pathlib import Path

from google.protobuf import json_format
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData

SHARED = Path(__file__).resolve().parents[3] / "shared"
PKTMON = "4d4f80d9-c8bd-4d73-bb5b-19c90402c5ac"
STACK_WALK, PERF_INFO, THREADS = 0x18, 0x0F, 0x05
UNIX_EPOCH = 116444736000000000
KERNEL = "perfview_net.4.5.2.x64"
PACKETS = "demikernel_PktMon"
# A few of each kind of header, compressed and not; the large ones only where Python is quick.
SMALL = (
    "airbus_AMSITrace airbus_lxcore_kernel demikernel_PktMon perfview_gcevents "
    "perfview_primitive-types perfview_SelfDescribingSingleEvent s4_CldFlt0-2025-12-21-121418 "
    "s4_WindowsUpdate.20251008.140245.443.8 syzygyA_process_data_64_v2 airbus_ShutdownPerfDiagLogger"
).split()


class Disagreement(Exception):
    """Two that should say the same do not."""


def main():
    if not (SHARED / "peers/etlref.py").is_file():
        if os.environ.get("CI") == "true":
            sys.exit(f"{SHARED} is missing")
        print(f"skipped: {SHARED} is missing")
        return
    export = Exports(sys.argv[1])
    checks = [(check, name) for name in SMALL for check in (chrome, otlp, as_csv, as_xml)]
    checks += [(chrome, KERNEL), (pcapng, PACKETS), (folded, KERNEL), (stacks, KERNEL)]
    failed = 0
    for check, name in checks:
        start = time.monotonic()
        try:
            said = check(export, name)
        except Disagreement as error:
            failed += 1
            said = f"FAILED: {error}"
        except Exception as error:
            # A tool that breaks down disagrees; the other checks still run.
            failed += 1
            said = f"FAILED: {type(error).__name__}: {error}"
        what = check.__name__.removeprefix("as_")
        print(f"{what:9} {name}: {said} ({time.monotonic() - start:.1f} s)", flush=True)
    if failed:
        sys.exit(f"{failed} of {len(checks)} checks failed")


class Exports:
    """Runs the command, and the reference reader once for each sample."""

    def __init__(self, etlring):
        self.etlring = etlring
        self.directory = tempfile.TemporaryDirectory()
        # The reference reader ends with a call of its main.
        source = (SHARED / "peers/etlref.py").read_text()
        exec(source.rsplit("main()", 1)[0], namespace := {})
        self.reference = namespace
        self.known = {}

    def sample(self, name):
        return str(SHARED / f"samples/{name}.etl")

    def to(self, form, name):
        path = Path(self.directory.name) / f"{name}.{form}"
        run([self.etlring, "export", self.sample(name), "--to", form, "-o", str(path)])
        return path

    def dump(self, form, name, *more):
        return run([self.etlring, "dump", "--format", form, self.sample(name), *more])

    def records(self, name):
        """Header and payload of every record, in time order; read by the reference reader."""
        if name not in self.known:
            data = memoryview(Path(self.sample(name)).read_bytes())
            payloads = self.payloads(data)
            rows = [(key, row, next(payloads)) for key, row in self.reference["records"](data)]
            rows.sort(key=lambda row: row[0])
            self.known = {name: [(row, payload) for _, row, payload in rows]}
        return self.known[name]

    def payloads(self, data):
        """Group and payload of every record; the loop of the reference reader's `records`."""
        ref = self.reference
        for _, _, _, _, body in ref["buffers"](data):
            at = 0
            while at + 8 <= len(body):
                marker = ref["u"]("I", body, at)
                if marker in (0, 0xFFFFFFFF) or not marker >> 31:
                    break
                kind, typed = marker >> 16 & 0xFF, marker >> 30 & 1
                at4 = typed and kind in (1, 2, 3, 4, 16, 17)
                size = ref["u"]("H", body, at + 4) if at4 else marker & 0xFFFF
                if size < 8 or at + size > len(body):
                    break
                decode = ref["decode"](body, at, size, kind) if typed else ref["message"](body, at)
                group = body[at + 7] if at4 else None
                yield group, bytes(body[min(decode[1], at + size) : at + size])
                at += size + 7 & ~7


def run(command):
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise Disagreement(f"{command[0]} ended with {done.returncode}: {done.stderr[-300:]!r}")
    return done.stdout


def same(what, ours, theirs):
    if ours != theirs:
        raise Disagreement(f"{what}: {ours!r:.300}, expected {theirs!r:.300}")


def chrome(export, name):
    """Every event has what the trace-event format asks for, and no record is lost."""
    events = json.loads(export.to("chrome", name).read_bytes())["traceEvents"]
    for event in events:
        place = [type(event[key]) for key in ("name", "ph", "ts", "pid", "tid")]
        same(f"types in {event}", place, [str, str, float, int, int])
        phase = event["ph"]
        if phase == "X" and not event["dur"] >= 0:
            raise Disagreement(f"ends before it starts: {event}")
        if phase in "be" and not event["id"] or phase == "i" and event["s"] != "t":
            raise Disagreement(f"lacks what {phase} needs: {event}")
    phases = Counter(event["ph"] for event in events if event.get("cat") != "CSwitch")
    unknown = set(phases) - set("XibeM")
    same("phases", unknown, set())
    told = phases["i"] + 2 * phases["X"] + phases["b"] + phases["e"]
    records = export.records(name)
    switches = sum(1 for r, (group, _) in records if group == THREADS and r["opcode"] == 36)
    walks = sum(1 for _, (group, _) in records if group == STACK_WALK)
    same("records told", told + switches + walks, len(records))
    nested(events)
    return f"{len(events)} events, {phases['X']} spans, of {len(records)} records"


def nested(events):
    """Spans of one thread lie in each other or apart: viewers drop those that cross."""
    threads = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            start = round(event["ts"] * 1000)
            threads[event["pid"], event["tid"]].append((start, -round(event["dur"] * 1000)))
    for spans in threads.values():
        around = []
        for start, length in sorted(spans):
            while around and around[-1] <= start:
                around.pop()
            if around and start - length > around[-1]:
                raise Disagreement(f"spans cross at {start} ns")
            around.append(start - length)


def otlp(export, name):
    """Protobuf and JSON hold the same, a log record for each record, at its time."""
    data, messages = export.to("otlp", name).read_bytes(), []
    while data:
        length = struct.unpack_from(">I", data)[0]
        messages.append(LogsData.FromString(data[4 : 4 + length]))
        data = data[4 + length :]
    with open(export.to("otlp-json", name), encoding="utf-8") as lines:
        as_json = [json_format.ParseDict(with_ids(json.loads(line)), LogsData()) for line in lines]
    # Not a number differs from itself: compared as bytes.
    ours, theirs = ([m.SerializeToString() for m in each] for each in (as_json, messages))
    same("JSON and protobuf", ours, theirs)
    found = Counter(
        (attribute(resource.resource.attributes, "process.pid"), record.time_unix_nano // 100)
        for message in messages
        for resource in message.resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    )
    expected = Counter()
    for record, _ in export.records(name):
        pid = record["pid"] if record["pid"] != 0xFFFFFFFF else None
        # A record without a stamp bears its buffer's.
        if record["filetime"] is not None:
            expected[pid, max(record["filetime"] - UNIX_EPOCH, 0)] += 1
    if expected - found or sum(found.values()) != len(export.records(name)):
        raise Disagreement(f"missing: {list((expected - found).items())[:5]}")
    return f"{sum(found.values())} log records in {len(messages)} messages"


def with_ids(message):
    """OTLP writes ids as hex, where protobuf's own JSON has base64."""
    for resource in message["resourceLogs"]:
        for scope in resource["scopeLogs"]:
            for record in scope["logRecords"]:
                if "traceId" in record:
                    identity = bytes.fromhex(record["traceId"])
                    record["traceId"] = base64.b64encode(identity).decode()
    return message


def attribute(attributes, name):
    return next((one.value.int_value for one in attributes if one.key == name), None)


def pcapng(export, name):
    """tshark finds the packets of the trace: as many, at their times, as long."""
    path = str(export.to("pcapng", name))
    fields = ["frame.time_epoch", "frame.len", "frame.cap_len", "frame.interface_description"]
    fields = [part for field in fields for part in ("-e", field)]
    lines = run(["tshark", "-n", "-r", path, "-T", "fields", *fields]).decode().splitlines()
    found = Counter()
    for line in lines:
        stamp, length, captured, _ = line.split("\t")
        seconds, fraction = stamp.split(".")
        units = int(seconds) * 10_000_000 + int(fraction[:7])
        found[units, int(length), int(captured)] += 1
    expected = Counter()
    for record, (_, payload) in export.records(name):
        if record["provider"] == PKTMON and record["id"] in (160, 170):
            original, logged = struct.unpack_from("<HH", payload, 30)
            expected[record["filetime"] - UNIX_EPOCH, original, logged] += 1
    same("packets", found, expected)
    return f"{len(lines)} packets"


def folded(export, name):
    """The counts add up to the samples of the profiler."""
    lines = export.to("folded", name).read_text("utf-8").splitlines()
    counts = sum(int(line.rsplit(" ", 1)[1]) for line in lines)
    records = export.records(name)
    samples = sum(1 for r, (group, _) in records if group == PERF_INFO and r["opcode"] == 46)
    same("samples", counts, samples)
    resolved = sum(1 for line in lines if "+0x" in line)
    return f"{counts} samples in {len(lines)} stacks, {resolved} with a module"


def stacks(export, name):
    """Stacks stand at the events that they belong to, joined by hand here."""
    keys, stacks = defaultdict(list), defaultdict(list)
    records = export.records(name)
    for record, (group, payload) in records:
        if group == STACK_WALK and record["opcode"] in (35, 36):
            width = "Q" if record["bits"] == 64 else "I"
            count = len(payload) // struct.calcsize(width)
            key, *addresses = struct.unpack(f"<{count}{width}", payload)
            keys[key].append((record["ticks"], addresses))
    for record, (group, payload) in records:
        if group == STACK_WALK and record["opcode"] in (32, 37, 38):
            width = "Q" if record["bits"] == 64 else "I"
            stamp, _, thread = struct.unpack_from("<QII", payload)
            rest = payload[16:]
            rest = list(struct.unpack(f"<{len(rest) // struct.calcsize(width)}{width}", rest))
            if record["opcode"] != 32:
                # The first definition from then on: keys are used again.
                rest = next(a for ticks, a in keys[rest[0]] if ticks >= record["ticks"])
            part = {37: 0, 32: 1, 38: 2}[record["opcode"]]
            stacks[stamp, thread].append((part, rest))
    expected = Counter(
        (stamp, tuple(address for _, rest in sorted(parts, key=lambda p: p[0]) for address in rest))
        for (stamp, _), parts in stacks.items()
    )
    found = Counter()
    for line in export.dump("jsonl", name, "--fields").splitlines():
        event = json.loads(line)
        if "stack" in event and event["header"] not in ("event",):
            found[event["ticks"], tuple(int(address, 16) for address in event["stack"])] += 1
    missing, more = sum((expected - found).values()), sum((found - expected).values())
    total = sum(expected.values())
    # Of one stack in two thousand the thread is not the one that its event names.
    if missing * 1000 > total or more * 1000 > total:
        raise Disagreement(f"{missing} of {total} stacks are missing, {more} are not right")
    return f"{total - missing} of {total} stacks at their events, {more} others"


def as_csv(export, name):
    """Python's reader finds the columns of the header in every row, and its numbers."""
    text = export.dump("csv", name).decode("utf-8")
    rows = list(csv.reader(text.splitlines()))
    header, rows = rows[0], rows[1:]
    same("columns", {len(row) for row in rows}, {len(header)})
    columns = "ticks filetime buffer lane header pid tid provider id len".split()
    places = [header.index(column) for column in columns]
    found = Counter(tuple(row[place] for place in places) for row in rows)
    text_of = lambda value: "" if value is None else str(value)
    expected = Counter(
        tuple(text_of(record[column]) for column in columns) for record, _ in export.records(name)
    )
    same("rows", found - expected, expected - found)
    return f"{len(rows)} rows of {len(header)} columns"


def as_xml(export, name):
    """xmllint takes it, and it has an element for each record."""
    path = Path(export.directory.name) / f"{name}.xml"
    path.write_bytes(export.dump("xml", name))
    run(["xmllint", "--noout", "--huge", str(path)])
    space = "{http://schemas.microsoft.com/win/2004/08/events/event}"
    found = Counter()
    for _, element in ElementTree.iterparse(path):
        if element.tag == f"{space}Execution":
            found[int(element.get("ProcessID")), int(element.get("ThreadID"))] += 1
            element.clear()
    none = lambda number: 0xFFFFFFFF if number is None else number
    expected = Counter((none(r["pid"]), none(r["tid"])) for r, _ in export.records(name))
    same("elements", found, expected)
    return f"{sum(found.values())} elements"


main()

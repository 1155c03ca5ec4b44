#!/usr/bin/env python3
"""Reads every output of a log that means harm with other programs: injection.py ETLRING LOG DIRECTORY

LOG is that of examples/hostile_texts.rs. Needs opentelemetry-proto, tshark and xmllint; run.sh calls
this. A line with the figures; exits non-zero if an output cannot be read or could steer a terminal.
"""

import csv
import io
import json
import re
import struct
import subprocess
import sys
from pathlib import Path

from opentelemetry.proto.logs.v1.logs_pb2 import LogsData

# Controls of both sets, what changes the direction, joins or hides, separators of lines, tags.
STEERS = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f]"
)
FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")


class Battery:
    def __init__(self, etlring, log, directory):
        self.etlring, self.log, self.directory = etlring, log, Path(directory)
        self.outputs = 0

    def run(self, *args):
        """What a command writes; nothing of it, on stderr neither, may steer a terminal."""
        done = subprocess.run([self.etlring, *args, self.log], capture_output=True)
        check(done.returncode == 0, f"{args}: status {done.returncode}: {done.stderr!r}")
        harmless(done.stderr, f"stderr of {args}")
        self.outputs += 1
        return done.stdout

    def text(self, *args):
        return harmless(self.run(*args), args)

    def export(self, form):
        return self.run("export", "--to", form, "-o", "-")


def check(condition, what):
    if not condition:
        sys.exit(f"injection FAILED: {what}")


def harmless(data, what, but=""):
    text = data.decode("utf-8")
    found = [c for c in STEERS.findall(text) if c not in but]
    check(not found, f"{what}: {found[:5]}")
    return text


def lint(path):
    done = subprocess.run(["xmllint", "--noout", "--huge", str(path)], capture_output=True)
    check(done.returncode == 0, f"xmllint: {done.stderr.decode()}")


def main():
    battery = Battery(*sys.argv[1:4])
    lines = battery.text("dump", "--format", "jsonl", "--fields").splitlines()
    events = [json.loads(line, parse_constant=lambda name: check(False, name)) for line in lines]
    names = {event["name"] for event in events if event["id"] == 1}
    check(len(names) > 20, "names are missing")
    for command in ("info", "stats", "verify"):
        json.loads(battery.text(command, "--json"))
        battery.text(command)
    for more in ((), ("--fields",), ("--fields", "--payload")):
        check(battery.text("dump", *more).count("\n") == len(events), "lines")

    text = battery.text("dump", "--format", "csv")
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    check({len(row) for row in rows} == {len(rows[0])}, "columns")
    check(len(rows) == len(events) + 1, "rows")
    cells = [cell for row in rows for cell in row if FORMULA.match(cell)]
    check(all(re.fullmatch(r"-?\d+", cell) for cell in cells), f"formulas {cells[:3]}")

    path = battery.directory / "hostile.xml"
    path.write_text(battery.text("dump", "--format", "xml"), encoding="utf-8")
    lint(path)
    count = subprocess.run(
        ["xmllint", "--huge", "--xpath", "count(//*[local-name()='Event'])", str(path)],
        capture_output=True,
    )
    check(int(float(count.stdout)) == len(events), "elements")

    documents = battery.directory / "hostile-documents"
    battery.run("export", "--to", "freb", "-o", str(documents))
    for document in documents.iterdir():
        harmless(document.read_bytes(), document, "\r\t")
        lint(document)

    trace = json.loads(battery.export("chrome").decode("utf-8"))
    check(names <= {event["name"] for event in trace["traceEvents"]}, "names of chrome")
    harmless(battery.export("folded"), "folded")
    harmless(battery.export("html"), "html")
    for line in harmless(battery.export("otlp-json"), "otlp-json").splitlines():
        json.loads(line)
    data, logs = battery.export("otlp"), 0
    while data:
        (size,) = struct.unpack_from(">I", data)
        for resource in LogsData.FromString(data[4 : 4 + size]).resource_logs:
            logs += sum(len(scope.log_records) for scope in resource.scope_logs)
        data = data[4 + size :]
    check(logs == len(events), "records of protobuf")

    path = battery.directory / "hostile.pcapng"
    path.write_bytes(battery.export("pcapng"))
    fields = ("frame.number", "frame.interface_name", "frame.interface_description", "frame.comment")
    command = ["tshark", "-n", "-r", str(path), "-T", "fields"]
    found = subprocess.run(
        command + [part for field in fields for part in ("-e", field)], capture_output=True
    )
    check(found.returncode == 0, f"tshark: {found.stderr.decode()}")
    harmless(found.stdout, "tshark", "\t")
    packets = found.stdout.count(b"\n")
    check(packets == len(names), f"{packets} packets")
    print(
        f"injection {len(names)} texts, {battery.outputs} outputs, {len(events)} records in each: "
        f"all read, 0 raw control characters, 0 formulas"
    )


main()

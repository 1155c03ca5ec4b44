#!/usr/bin/env python3
"""Makes seeds for the fuzz targets: fuzz/corpus/TARGET/ from spec/vectors and real log files.

A vector is commented hex, `offset: bytes  # comment`. Real files are taken from ../shared/samples
or the directories named on the command line. Both may be absent. Standard library only.
"""
import hashlib
import re
import struct
import sys
from pathlib import Path
from random import Random

FUZZ = Path(__file__).resolve().parent
ROOT = FUZZ.parent
MOST = 4096  # bytes of a seed: longer ones make every mutation slow
MOST_FILE = 16384  # bytes of a whole file: less holds no second buffer
PER_FILE = 6  # buffers of a log file
LINE = re.compile(r"^\s*([0-9A-Fa-f]+)\s*:\s*((?:[0-9A-Fa-f]{2}\s*)*)")


def vector(path):
    """The bytes of a commented hex file; what its lines leave out is zero."""
    out = bytearray()
    for line in path.read_text(encoding="utf-8").splitlines():
        match = LINE.match(line.split("#")[0])
        if match:
            at, data = int(match[1], 16), bytes.fromhex(match[2])
            out.extend(bytes(max(0, at + len(data) - len(out))))
            out[at : at + len(data)] = data
    return bytes(out)


def seed(target, data, most=MOST):
    data = data[:most]
    directory = FUZZ / "corpus" / target
    directory.mkdir(parents=True, exist_ok=True)
    (directory / hashlib.sha1(data).hexdigest()).write_bytes(data)


def buffers(data):
    """The buffers of a log file: all their bytes, where their records end, their flags."""
    at = 0
    while at + 72 <= len(data):
        (size,) = struct.unpack_from("<I", data, at)
        filled, flags = struct.unpack_from("<IH", data, at + 0x30)
        if size < 72:
            return
        yield data[at : at + size], filled, flags
        at += size


def records(data):
    """Seeds from the records that lie one behind the other in `data`."""
    seed("records", data)
    seed("schema", data)
    at = 0
    for _ in range(200):
        if at + 8 > len(data):
            return
        kind, typed = data[at + 2], data[at + 3] & 0x40
        small = typed and (kind <= 4 or kind in (16, 17))
        (size,) = struct.unpack_from("<H", data, at + (4 if small else 0))
        record = data[at : at + size]
        if size < 8:
            return
        if data[at + 3] == 0x90:
            seed("message", record)
        elif typed and kind in (18, 19) and record[4:5] == b"\x01":
            seed("items", record[80:])
            tracelogging(record)
        elif typed and kind == 20 and record[24:28] == b"\xc1\xf6\xcc\xbb":
            seed("schema", record)
        elif typed and kind == 20:
            seed("iis", record)
        elif typed and kind in (1, 2) and record[6:8] == b"\0\0":
            seed("logfile", record)
        at += (size + 7) & ~7


def tracelogging(record):
    """A seed of the schema item and the payload of an event that has one."""
    at, schema = 80, None
    while at + 8 <= len(record):
        total, kind, link, size = struct.unpack_from("<4H", record, at)
        if kind == 11:
            schema = record[at + 8 : at + 8 + size]
        at += total
        if not link & 1 or total < 8:
            break
    if schema:
        seed("tracelogging", schema + record[at:])


def stream(data, size):
    seed("xpress", struct.pack("<H", min(size, 0xFFFF)) + data)


def manifests():
    """The manifest and the TMF file of the tests, with the GUID that the targets ask for."""
    ones = "-".join("1" * digits for digits in (8, 4, 4, 4, 12))
    text = (ROOT / "tests" / "schema" / "tmf.rs").read_text(encoding="utf-8")
    text = text.split('r#"')[1].split('"#;')[0]
    seed("tmf", text.replace("2b7c9a10-4d5e-6f70-8192-a3b4c5d6e7f8", ones).encode(), 2 * MOST)
    text = (ROOT / "tests" / "schema" / "manifest.rs").read_text(encoding="utf-8")
    text = text.split('r#"')[1].split('"#')[0]
    text = text.replace("11111111-2222-3333-4444-555555555555", ones)
    seed("manifest", text.replace('version="1"', 'version="0"').encode(), 2 * MOST)


def programs():
    """Programs of any bytes, of sizes that libFuzzer alone takes long to come to."""
    random = Random(1)
    for size in (100, 400, 1000, 2000, MOST):
        for _ in range(8):
            seed("session", random.randbytes(size))


def web_server():
    """Events of a request as IIS writes them, one behind the other."""
    general = "cff72ed4de923e478b6c621ea663113a"
    notify = "e3912e00aee7ab448e0799230ffa6ade"
    wide = lambda text: (text + "\0").encode("utf-16-le")
    start = struct.pack("<I", 1) + wide("pool") + bytes(16) + wide("http://x/") + b"GET\0"
    module = wide("module") + struct.pack("<II", 1, 0)
    end = struct.pack("<IIIH", 1, 2, 404, 7)
    log = b""
    for area, kind, items in ((general, 1, start), (notify, 1, module), (general, 2, end)):
        payload = bytes(8) + b"\x98\0\0\x80\0\0\0\xfa" + items
        header = struct.pack("<HBBBBHIIQ", 48 + len(payload), 20, 0xC0, kind, 0, 1, 2, 3, 4)
        record = header + bytes.fromhex(area) + bytes(8) + payload
        log += record + bytes(-len(record) % 8)
    seed("iis", log)


def pair(log, ring, torn=0):
    """A log and a ring as the target `recover` splits them."""
    seed("recover", struct.pack("<BH", torn, len(log)) + log + ring, MOST_FILE)


def killed(data):
    """Pairs as a killed session leaves them: a log, and of its buffers what a ring may hold."""
    found = list(buffers(data))
    if len(found) < 2 or len(data) > MOST_FILE // 2 or any(flags & 0x40 for *_, flags in found):
        return
    size = len(found[0][0])
    ring = bytearray(data)
    for at in range(size, len(ring) - 72, size):
        struct.pack_into("<I", ring, at + 0x2C, 1)
        ring[at + 0x38 : at + 0x48] = bytes(16)
    pair(data, ring)
    pair(data[:size], ring)
    pair(data[: len(data) - size // 2], data)
    pair(bytes(size) + data[size:], ring)
    pair(b"", ring)


def log_file(data):
    """Seeds from a log file and from what its first buffers hold."""
    seed("reader", data, MOST_FILE)
    pair(data[:MOST_FILE], b"")
    killed(data)
    for _, (buffer, filled, flags) in zip(range(PER_FILE), buffers(data)):
        seed("buffer", buffer)
        seed("checksum", bytes(6) + buffer)
        if flags & 0x40:
            stream(buffer[72:], filled - 72)
        else:
            records(buffer[72:filled][: 16 * MOST])


def main():
    for path in sorted((ROOT / "spec" / "vectors").glob("*.hex")):
        data = vector(path)
        log_file(data)
        records(data)
        for size in (1, 64, 4000):
            stream(data, size)
    directories = sys.argv[1:] or [ROOT.parent / "shared" / "samples"]
    for directory in directories:
        for path in sorted(Path(directory).glob("*.etl")):
            with path.open("rb") as file:
                log_file(file.read(8 << 20))
    programs()
    manifests()
    web_server()
    for target in sorted((FUZZ / "corpus").glob("*")):
        print(f"{target.name}: {sum(1 for _ in target.iterdir())} seeds")


if __name__ == "__main__":
    main()

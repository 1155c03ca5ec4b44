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
    seed("export", data)
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
    text = (ROOT / "tests" / "schema" / "mof.rs").read_text(encoding="utf-8")
    text = text.split('r#"')[1].split('"#;')[0]
    text = text.replace("2F1C9A10-4D5E-6F70-8192-A3B4C5D6E7F9", ones)
    seed("mof", text.encode(), 2 * MOST)
    for part in text.split("\n\n"):
        seed("mof", part.encode())


def words(*numbers):
    return struct.pack(f"<{len(numbers)}I", *numbers)


def crim():
    """A compiled manifest: one provider, one event with a map, a structure and counted fields."""
    out = bytearray(b"CRIM" + words(0, 0x10005, 1) + b"\x11" * 16 + words(0))
    none = 0xFFFFFFFF

    def put(*parts):
        at = len(out)
        out.extend(b"".join(parts))
        return at

    def name(text):
        return put(words(6 + 2 * len(text)), text.encode("utf-16-le"), b"\0\0")

    def block(kind, *parts):
        body = b"".join(parts)
        return put(kind, words(8 + len(body)), body)

    names = {text: name(text) for text in ("n", "blob", "pairs", "a", "mode", "Task")}
    prva = block(b"PRVA", words(1, 0x10000001, names["Task"] + 4))
    task = block(b"TASK", words(1, 3, none), bytes(16), words(names["Task"]))
    keyw = block(b"KEYW", words(1, 1, 0, none, names["a"]))
    vmap = block(b"VMAP", words(names["mode"], 0, 1, 2, 7))
    maps = block(b"MAPS", words(1, vmap))
    items = [
        ("n", 0, 6, 6, 0, 0, 0),
        ("blob", 4, 14, 15, 0, 0, 0),
        ("pairs", 0x11, 4, 0, 0, 0, 0),
        ("mode", 0, 4, 4, vmap, 0, 0),
        ("a", 8, 4, 4, 0, 2, 0),
    ]
    at = len(out) + 56
    packed = b"".join(
        struct.pack("<IBBHIHHI", flags, kind, shown, flags & 1, map_at, count, length, names[text])
        for text, flags, kind, shown, map_at, count, length in items
    )
    ttbl = put(b"TTBL", words(56 + len(packed), 1, 0))
    temp = block(b"TEMP", words(4, 5, at - 4, 1), bytes(16), packed)
    struct.pack_into("<I", out, temp + 16, temp + 40)
    evnt = len(out)
    event = struct.pack("<HBBBBHQ", 1, 7, 0, 4, 1, 3, 1)
    event += words(7, temp, 0, 0, task + 12, 1, evnt + 64, 0)
    block(b"EVNT", words(1, 0), event, words(keyw + 12))
    kinds = [prva, task, keyw, maps, ttbl, evnt]
    pairs = [number for pair in enumerate(kinds) for number in pair]
    wevt = block(b"WEVT", words(none, len(kinds)), words(*pairs))
    struct.pack_into("<I", out, 32, wevt)
    struct.pack_into("<I", out, 4, len(out))
    return bytes(out)


def program():
    """A DLL of one section with a compiled manifest and a message table of one text."""
    text = "%1 read\r\n\0".encode("utf-16-le")
    table = words(1, 7, 7, 16) + struct.pack("<HH", 4 + len(text), 1) + text
    resources = [(0, crim()), (11, table)]
    rsrc = bytearray(struct.pack("<3I2H", 0, 0, 0, 1, 1) + bytes(16))
    label = len(rsrc)
    rsrc += struct.pack("<H", 13) + "WEVT_TEMPLATE".encode("utf-16-le")
    for number, (kind, data) in enumerate(resources):
        at = len(rsrc)
        first = 1 << 31 | label if kind == 0 else kind
        struct.pack_into("<2I", rsrc, 16 + 8 * number, first, 1 << 31 | at)
        rsrc += words(0, 0, 0, 1 << 16, 1, 1 << 31 | at + 24)
        rsrc += words(0, 0, 0, 1 << 16, 0x409, at + 48)
        rsrc += words(0x3000 + at + 64, len(data), 0, 0) + data
    head = bytearray(0x40)
    head[:2], head[0x3C] = b"MZ", 0x40
    head += b"PE\0\0" + struct.pack("<2H3I2H", 0x8664, 1, 0, 0, 0, 240, 0x2022)
    head += struct.pack("<H", 0x20B) + bytes(106) + words(16, 0, 0, 0, 0, 0x3000, len(rsrc))
    head += bytes(240 - 112 - 24)
    head += b".rsrc\0\0\0" + words(len(rsrc), 0x3000, len(rsrc), 0x200, 0, 0, 0, 0)
    seed("binary", bytes(head.ljust(0x200, b"\0")) + bytes(rsrc), 2 * MOST)


def event(guid, number, payload, opcode=0, keyword=0):
    """A manifest event; the GUID as it lies in the file."""
    head = struct.pack("<BBBBHHIIQ", 0, 0, 19, 0xC0, 0, 0, 34, 12, 1000) + bytes.fromhex(guid)
    head += struct.pack("<HBBBBHQ", number, 0, 0, 4, opcode, 1, keyword) + bytes(24)
    return struct.pack("<H", len(head + payload)) + (head + payload)[2:]


def perfinfo(group, kind, ticks, payload):
    return struct.pack("<BBBBHBBQ", 2, 0, 17, 0xC0, 16 + len(payload), kind, group, ticks) + payload


def exports():
    """What exporters look for: packets, spans, context switches, samples and their stacks."""
    ndis, pktmon = "6e00d62e29470946b4233ee7bcd678ef", "d9804f4dbdc8734dbb5b19c90402c5ac"
    none, adapter = "00" * 16, struct.pack("<III", 9, 4, 16)
    start, end, wifi = 1 << 30, 1 << 31, 1 << 16
    packet = struct.pack("<QHHHHHHHIIHH", 7, 1, 1, 3, 1, 61, 2, 0, 5, 9, 60, 16) + bytes(16)
    names = struct.pack("<HH", 61, 3) + "name\0about\0".encode("utf-16-le")
    walk = struct.pack("<QII", 50, 8, 70)
    groups = [
        [event(ndis, 1001, adapter + bytes(16), keyword=k) for k in (start, end, start | end)],
        [event(ndis, 1002, bytes(48), keyword=wifi)]
        + [event(ndis, 1001, adapter + bytes(16), keyword=start | end | wifi)],
        [event(pktmon, 20, names), event(pktmon, 160, packet), event(pktmon, 170, packet)],
        [event(none, 1, b"", opcode) for opcode in (1, 1, 2, 2)],
        [perfinfo(5, 36, t, struct.pack("<II16x", t % 3, (t - 1) % 3)) for t in range(1, 5)],
        [
            perfinfo(0x14, 4, 0, struct.pack("<QQI", 0x1000, 0x1000, 8) + "a.dll\0".encode("utf-16-le")),
            perfinfo(15, 46, 50, struct.pack("<QII", 0x1010, 70, 1)),
            perfinfo(0x18, 32, 51, walk + struct.pack("<QQ", 0x1010, 0x1020)),
            perfinfo(0x18, 37, 52, walk + struct.pack("<Q", 9)),
            perfinfo(0x18, 36, 60, struct.pack("<QQ", 9, 0x1030)),
        ],
    ]
    for group in groups:
        seed("export", b"".join(r + bytes(-len(r) % 8) for r in group))


def programs():
    """Programs of any bytes, of sizes that libFuzzer alone takes long to come to."""
    random = Random(1)
    for size in (100, 400, 1000, 2000, MOST):
        for _ in range(8):
            seed("session", random.randbytes(size))
            seed("trace_message", random.randbytes(size))


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


# Offset, width and values of the numbers in a log whose header buffer has 4,096 bytes or less: those
# of tests/hostile/attack.rs that need no other records.
ATTACKS = [
    (0x00, "<I", (0, 1, 71, 72, 1 << 24, 1 << 31)),
    (0x18, "<Q", (1 << 63, (1 << 64) - 1)),
    (0x28, "<H", (0xFFFF,)),
    (0x30, "<I", (0, 71, 73, 1 << 31)),
    (0x34, "<H", (0x40, 0x7F)),
    (104, "<I", (0, 1, 72, 1 << 24, 1 << 31)),
    (104 + 32, "<I", (0x04000001, 0x00010000)),
    (104 + 36, "<I", (0, (1 << 32) - 1)),
    (104 + 44, "<I", (0, 16, 255)),
    (104 + 256, "<Q", (0, 1, (1 << 64) - 1)),
    (104 + 264, "<Q", (0, 1 << 63)),
    (104 + 272, "<I", (0, 2, 3, 4)),
]


def attacks(data):
    """A log with each of these numbers wrong, in its header buffer and in the one behind it."""
    (size,) = struct.unpack_from("<I", data)
    for at, width, values in ATTACKS:
        for place in (at, size + at) if at < 72 else (at,):
            for value in values:
                bad = bytearray(data)
                if place + 8 <= len(bad):
                    struct.pack_into(width, bad, place, value)
                    seed("reader", bytes(bad), MOST_FILE)
                    seed("edit", bytes(bad), MOST_FILE)


def described(items, payload):
    """An event with these extended items: pairs of type and data."""
    head = struct.pack("<BBBBHHIIQ", 0, 0, 19, 0xC0, 1 if items else 0, 0, 34, 12, 1000)
    head += b"\7" * 16 + struct.pack("<HBBBBHQ", 1, 0, 0, 4, 0, 1, 0) + bytes(24)
    chain = b""
    for number, (kind, data) in enumerate(items):
        more = number + 1 < len(items)
        total = (8 + len(data) + 7) & ~7
        chain += (struct.pack("<4H", total, kind, more, len(data)) + data).ljust(total, b"\0")
    return struct.pack("<H", len(head + chain + payload)) + (head + chain + payload)[2:]


def outline(fields):
    """A TraceLogging schema of these fields."""
    return struct.pack("<HB", 3 + 6 + len(fields), 0) + b"Event\0" + fields


def record_attacks():
    """The attacks on records of tests/hostile/attack.rs: sizes, items, stacks, texts, nesting."""
    stack = bytes(range(1, 41))
    good = described([(6, stack), (11, outline(b"a\0\x08b\0\x01"))], bytes(range(8)))
    bad = []
    places = {0: "<H", 2: "<H", 4: "<H", 16: "<Q", 80: "<H", 82: "<H", 84: "<H", 86: "<H", 128: "<H"}
    for at, width in places.items():
        for value in (0, 1, 7, 8, 9, 47, 48, 79, 80, 81, len(good) + 1, 0x7FFF, 0xFFFF):
            record = bytearray(good)
            struct.pack_into(width, record, at, value)
            bad.append(bytes(record))
    for length in (0, 7, 8, 9, 11, 12, 15, 17, 20, 23):
        bad += [described([(kind, stack[:length])], b"") for kind in (5, 6, 17, 18)]
    texts = (b"", b"a", b"a\0b", b"\x00\xd8", b"\x00\xdc\x00\xd8", b"\xff\xffab", b"\3\0abcd\xf0\x9f")
    for fields in (b"a\0\1b\0\1", b"a\0\2b\0\2", b"a\0\x16b\0\x16", b"a\0\x25\xff\xff", b"a"):
        bad += [described([(11, outline(fields))], text) for text in texts]
    nested = (
        b"s\0\x98\x7f" * 900,
        b"s\0\xd8\1" * 900,
        b"s\0\xb8\1\xff\xff" * 9 + b"n\0\0",
        b"n\0\x20\xff\xff" * 200,
        b"s\0\x98\x7fa\0\4b\0\4",
        b"a\0\x61\xff\xffxx",
    )
    bad += [described([(11, outline(fields))], b"\xff" * 64) for fields in nested]
    # Items without data, each saying that another one follows.
    bad.append(described([(1, bytes(16))], b"")[:80] + struct.pack("<4H", 8, 1, 1, 0) * 400)
    for record in bad:
        padded = record + bytes(-len(record) % 8)
        for target in ("records", "schema", "export"):
            seed(target, padded + good)
        seed("items", record[80:])
        tracelogging(record)
    for header, at in ((20, 0), (20, 4), (2, 4), (17, 4), (1, 4)):
        for size in (0, 1, 7, 8, 9, 23, 31, 47, 48, 49, 0x7FFF, 0xFFFF):
            record = bytearray(96)
            record[2:4] = header, 0xC0
            struct.pack_into("<H", record, at, size)
            seed("records", bytes(record))
    seed("manifest", b"<a>" * (MOST // 3))
    seed("manifest", b"<a>" + b"<b/>" * (MOST // 4 - 2) + b"</a>")


def log_file(data):
    """Seeds from a log file and from what its first buffers hold."""
    seed("reader", data, MOST_FILE)
    seed("edit", data, MOST_FILE)
    pair(data[:MOST_FILE], b"")
    killed(data)
    for _, (buffer, filled, flags) in zip(range(PER_FILE), buffers(data)):
        seed("buffer", buffer)
        seed("checksum", bytes(6) + buffer)
        if flags & 0x40:
            stream(buffer[72:], filled - 72)
        else:
            records(buffer[72:filled][: 16 * MOST])
            seed("compress", buffer[72:filled], MOST_FILE)


def control():
    """The examples of the chapter on control, and a line of settings."""
    chapter = (ROOT / "spec" / "19-control.md").read_text(encoding="utf-8")
    for example in re.findall(r"```text\n# (?:[a-z]+)\n(.*?)```", chapter, re.DOTALL):
        out = bytearray()
        for line in example.splitlines():
            match = LINE.match(line.split("#")[0])
            out.extend(bytes.fromhex(match[2]))
        seed("control", bytes(out))
    status = bytes(74 + 94) + b"\1\0w" + bytes(10)
    seed("control", struct.pack("<HHI", 1, 0x8002, len(status)) + status)
    seed("control", b"name=web;log=/x;mode=circular;max-size-mb=8;enable=P,level=4,any=0x10")


def main():
    for path in sorted((ROOT / "spec" / "vectors").glob("*.hex")):
        data = vector(path)
        log_file(data)
        if path.name in ("file-two-lanes.hex", "file-compressed.hex", "file-loss.hex"):
            attacks(data)
        records(data)
        for size in (1, 64, 4000):
            stream(data, size)
    directories = sys.argv[1:] or [ROOT.parent / "shared" / "samples"]
    for directory in directories:
        for path in sorted(Path(directory).glob("*.etl")):
            with path.open("rb") as file:
                log_file(file.read(8 << 20))
    exports()
    record_attacks()
    programs()
    manifests()
    program()
    web_server()
    control()
    for target in sorted((FUZZ / "corpus").glob("*")):
        print(f"{target.name}: {sum(1 for _ in target.iterdir())} seeds")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Writes the vectors beside it: NAME.hex (commented bytes) and NAME.json (what a reader must say).

Built from the chapters of the specification alone and sharing no code with any reader. The
expectation of a record is what was meant when its bytes were put together, not what was parsed.

  records   bytes of a buffer's filled part, its header left out
  buffer    one buffer
  file      a log file
  stream    one compressed stream

`says` lists, in file order, records (each key must match; keys that are not there are not asked)
and errors. An error names its part, and where the specification fixes them also its offset (in a
file: position), its fault and the fault's numbers.
"""
import json, os, struct, uuid, zlib

HERE = os.path.dirname(os.path.abspath(__file__))
PROVIDER = "6b2a3d7e-5c41-4f8a-9e12-a0b1c2d3e4f5"
CLASS = "11223344-5566-7788-99aa-bbccddeeff00"
ACTIVITY = "0badcafe-0001-0002-0304-05060708090a"
RELATED = "feedface-1001-1002-1304-15161718191a"
LOST = "6a399ae0-4bc6-4de9-870b-3657f8947e7e"
TEXT = b"hello, trace"


def p(fmt, *values):
    return struct.pack("<" + fmt, *values)


def guid(text):
    return uuid.UUID(text).bytes_le


def crc(data):
    return "%08x" % zlib.crc32(data)


def data_of(rows):
    return b"".join(data for data, _ in rows)


def align(n):
    return n + 7 & ~7


def vector(name, about, rows, **expect):
    lines = ["# " + line for line in about.split("\n")]
    at, width = 0, 2 if len(data_of(rows)) <= 0x100 else 4
    for data, comment in rows:
        for i in range(0, len(data), 16):
            part = data[i:i + 16]
            groups = [part[j:j + 4].hex(" ").upper() for j in range(0, len(part), 4)]
            line = "%0*X: %s" % (width, at + i, "  ".join(groups))
            if comment and i == 0:
                line = "%-*s # %s" % (53 + width, line, comment)
            lines.append(line)
        at += len(data)
    with open(os.path.join(HERE, name + ".hex"), "w") as out:
        out.write("\n".join(lines) + "\n")
    with open(os.path.join(HERE, name + ".json"), "w") as out:
        says = expect.pop("says", None)
        body = ["  %s: %s" % (json.dumps(k), json.dumps(v)) for k, v in expect.items()]
        if says is not None:
            body.append('  "says": [' + ",".join("\n    " + json.dumps(s) for s in says)
                        + ("\n  ]" if says else "]"))
        out.write("{\n" + ",\n".join(body) + "\n}\n")


def error(part, offset=None, fault=None, numbers=None):
    known = dict(part=part, offset=offset, fault=fault, numbers=numbers)
    return dict(error={k: v for k, v in known.items() if v is not None})


# --- records: each gives (rows, what a reader says) ---

def tail(payload, size, pad):
    rows = [(payload, "payload")] if payload else []
    if size % 8:
        rows.append((bytes([pad]) * (align(size) - size), "padding, undefined"))
    return rows


def says(header, bits, payload, size, **keys):
    every = dict(header=header, bits=bits, provider=None, id=None, version=None, level=None,
                 opcode=None, pid=None, tid=None, ticks=None)
    every.update(keys, len=len(payload), crc32=crc(payload), size=size)
    return every


def kernel(kind, name, bits, group, hook, ticks, payload=b"", version=2, pid=0x1C4, tid=0x2B8,
           counters=(), pebs=None, pad=0, class_guid=None):
    flags = (0x80 if pebs is not None else 0) | len(counters)
    head = {"system": 32, "compact": 24, "perfinfo": 16}[name]
    extra = ([pebs] if pebs is not None else []) + list(counters)
    size = head + 8 * len(extra) + len(payload)
    rows = [(p("BBBB", version, flags, kind, 0xC0), "version %d, flags, header type %d, marker" % (version, kind)),
            (p("HBB", size, hook, group), "size %d, hook %#04x of group %#04x" % (size, hook, group))]
    keys = dict(id=hook, opcode=hook, version=version, level=0, ticks=ticks, provider=class_guid)
    if name == "perfinfo":
        rows.append((p("Q", ticks), "time_stamp %d" % ticks))
        if pebs is not None:
            rows.append((p("Q", pebs), "PEBS index"))
        for i, counter in enumerate(counters):
            rows.append((p("Q", counter), "counter %d" % i))
    else:
        rows += [(p("II", tid, pid), "thread %d, process %d" % (tid, pid)),
                 (p("Q", ticks), "system_time %d" % ticks)]
        keys.update(pid=pid, tid=tid)
        if name == "system":
            rows.append((p("II", 3, 5), "kernel_time 3, user_time 5"))
    return rows + tail(payload, size, pad), says(name, bits, payload, size, **keys)


THREAD = "3d6fa8d1-fe05-11d0-9dda-00c04fd7ba7c"
PERF = "ce1dbfb4-137e-4da6-87b0-3f59aa102cbc"


def classic(kind, bits, ticks, payload=b"", guid_=CLASS, op=1, level=4, version=2, pid=0x1C4,
            tid=0x2B8, instance=None, pad=0):
    size = (72 if instance else 48) + len(payload)
    rows = [(p("HBB", size, kind, 0xC0), "size %d, header type %d, marker" % (size, kind)),
            (p("BBH", op, level, version), "type %d, level %d, version %d" % (op, level, version)),
            (p("II", tid, pid), "thread %d, process %d" % (tid, pid)),
            (p("Q", ticks), "time_stamp %d" % ticks),
            (guid(guid_), "class " + guid_),
            (p("II", 1, 2), "kernel_time 1, user_time 2")]
    keys = dict(provider=guid_, id=0, opcode=op, level=level, version=version, pid=pid, tid=tid,
                ticks=ticks)
    if instance:
        own, parent, parent_class = instance
        rows += [(p("II", own, parent), "instance %d, parent %d" % (own, parent)),
                 (guid(parent_class), "class of the parent")]
        keys.update(instance=own, parent_instance=parent, parent_class=parent_class)
    name = "instance" if instance else "classic"
    return rows + tail(payload, size, pad), says(name, bits, payload, size, **keys)


def item(ext, data, more, total=None):
    exact = 8 + len(data)
    total = align(exact) if total is None else total
    rows = [(p("HHHH", total, ext, more, len(data)),
             "item: total %d, type %d, %s, data %d" % (total, ext, "more" if more & 1 else "last", len(data)))]
    if data:
        rows.append((data, "data"))
    if total > exact:
        rows.append((bytes(total - exact), "padding"))
    return rows


def event(ticks, payload=b"", bits=64, kind=None, id_=7, version=1, channel=16, level=4, op=0,
          task=3, keyword=0x8000000000000001, items=(), flags=None, pid=0x1C4, tid=0x2B8,
          activity=ACTIVITY, pad=0, raw_items=None):
    kind = kind or (18 if bits == 32 else 19)
    if raw_items is None:
        raw_items = []
        for i, (ext, data) in enumerate(items):
            raw_items += item(ext, data, int(i + 1 < len(items)))
    flags = int(bool(raw_items)) if flags is None else flags
    size = 80 + len(data_of(raw_items)) + len(payload)
    rows = [(p("HBB", size, kind, 0xC0), "size %d, header type %d, marker" % (size, kind)),
            (p("HH", flags, 0), "flags %#x, event_property" % flags),
            (p("II", tid, pid), "thread %d, process %d" % (tid, pid)),
            (p("Q", ticks), "time_stamp %d" % ticks),
            (guid(PROVIDER), "provider " + PROVIDER),
            (p("HBBBBH", id_, version, channel, level, op, task),
             "id %d, version %d, channel %d, level %d, opcode %d, task %d" % (id_, version, channel, level, op, task)),
            (p("Q", keyword), "keyword"),
            (p("II", 1, 2), "kernel_time 1, user_time 2"),
            (guid(activity), "activity " + activity)] + raw_items
    return rows + tail(payload, size, pad), says(
        "event", bits, payload, size, provider=PROVIDER, id=id_, version=version, channel=channel,
        level=level, opcode=op, task=task, keyword="%#x" % keyword, pid=pid, tid=tid, ticks=ticks,
        activity=activity, items=[[ext, data.hex()] for ext, data in items])


def message(flags, number=42, payload=TEXT, ticks=0x1122334455, pad=0, high=0x9000):
    optional, keys = [], {}
    if flags & 0x01:
        optional.append((p("I", 9), "sequence 9"))
        keys["sequence"] = 9
    if flags & 0x04:
        optional.append((p("I", 0xC0FFEE), "component id"))
        keys["component"] = 0xC0FFEE
    elif flags & 0x02:
        optional.append((guid(PROVIDER), "message GUID"))
        keys["provider"] = PROVIDER
    if flags & 0x08:
        optional.append((p("Q", ticks), "time stamp %d" % ticks))
        keys["ticks"] = ticks
    elif flags & 0x10:
        optional.append((b"\xA5" * 8, "space of a stamp that was not stored"))
    if flags & 0x20:
        optional.append((p("II", 0x2B8, 0x1C4), "thread, process"))
        keys.update(tid=0x2B8, pid=0x1C4)
    size = 8 + len(data_of(optional)) + len(payload)
    rows = [(p("HH", size, high), "size %d, marker of a message" % size),
            (p("HH", number, flags), "number %d, flags %#04x" % (number, flags))] + optional
    return rows + tail(payload, size, pad), says("message", None, payload, size, id=number, **keys)


def joined(*records):
    rows, every, at = [], [], 0
    for r, s in records:
        rows += r
        every.append(dict(s, offset=at))
        at += len(data_of(r))
    return rows, every


def records(name, about, *each, then=()):
    rows, every = joined(*each)
    extra = [e for _, e in then if e]
    vector(name, about, rows + [row for rows_, _ in then for row in rows_], what="records",
           says=every + extra)


# --- record headers (04) ---
records("system", "SYSTEM_TRACE_HEADER of a 32-bit and of a 64-bit writer; thread start, hook 0x0501.",
        kernel(1, "system", 32, 5, 1, 1000, TEXT, class_guid=THREAD),
        kernel(2, "system", 64, 5, 1, 2**63 + 5, TEXT + b"1234", pid=0xFFFFFFFF, tid=0xFFFFFFFF, class_guid=THREAD))
records("system-unknown-group", "A kernel record of a group without a class: no provider.",
        kernel(2, "system", 64, 0xEE, 0x7F, 1000, b"12345678"))
records("compact", "COMPACT_TRACE_HEADER: like SYSTEM but without the processor times; 24 bytes.",
        kernel(3, "compact", 32, 5, 1, 1000, TEXT, class_guid=THREAD),
        kernel(4, "compact", 64, 5, 2, 1001, b"12345678", class_guid=THREAD))
records("perfinfo", "PERFINFO_TRACE_HEADER: 16 bytes, no process and no thread.",
        kernel(16, "perfinfo", 32, 15, 0x2E, 1000, b"1234", class_guid=PERF),
        kernel(17, "perfinfo", 64, 15, 0x2E, 1001, b"12345678", class_guid=PERF))
records("perfinfo-counters", "Counters between header and payload: none, PMC only, PEBS only, PEBS then PMC, the most.",
        kernel(17, "perfinfo", 64, 15, 0x2E, 1, b"payload0", class_guid=PERF),
        kernel(17, "perfinfo", 64, 15, 0x2E, 2, b"payload1", counters=[11, 12], class_guid=PERF),
        kernel(17, "perfinfo", 64, 15, 0x2E, 3, b"payload2", pebs=21, class_guid=PERF),
        kernel(16, "perfinfo", 32, 15, 0x2E, 4, b"payload3", pebs=31, counters=[32, 33, 34], class_guid=PERF),
        kernel(17, "perfinfo", 64, 15, 0x2E, 5, b"", pebs=41, counters=range(42, 49), class_guid=PERF))
records("classic", "EVENT_TRACE_HEADER of a 32-bit and of a 64-bit writer.",
        classic(10, 32, 1000, TEXT), classic(20, 64, 1001, b"", op=255, level=0, version=0xFFFF))
records("instance", "EVENT_INSTANCE_GUID_HEADER of both widths.",
        classic(11, 32, 1000, TEXT, instance=(5, 0, "00000000-0000-0000-0000-000000000000")),
        classic(21, 64, 1001, b"12345678", instance=(6, 5, PROVIDER)))
records("event", "EVENT_HEADER of both widths, without items; the second with a string only.",
        event(1000, TEXT, bits=32),
        event(1001, "plain\0".encode("utf-16-le"), flags=4, id_=0, level=2, keyword=0))
records("padding-garbage", "Padding between records holds whatever the buffer held before; it is never looked at.",
        classic(20, 64, 1000, b"1", pad=0xDB), message(0xAA, payload=b"23", pad=0xFF),
        event(1002, b"456", pad=0x90))
records("size-unpadded-end", "The last record ends where the filled part ends; its padding is not there.",
        classic(20, 64, 1000, b"12345678"), (classic(20, 64, 1001, b"1")[0][:-1], classic(20, 64, 1001, b"1")[1]))

# --- items (05) ---
SID = bytes.fromhex("010500000000000515000000a0a1a2a3b0b1b2b3c0c1c2c3e8030000")
STACK = p("QQQ", 0, 0xFFFFF80012345678, 0x7FF612345678)
TRAITS = p("H", 12) + b"AmsiTrace\0"
SCHEMA = p("H", 14) + b"\0" + b"Started\0" + b"n\0\x08"
records("items-orders", "Every order of items that was observed: (6), (1,6), (12,11), (6,12,11), (12).",
        event(1, b"payload1", items=[(6, STACK)]),
        event(2, b"payload2", items=[(1, guid(RELATED)), (6, STACK)]),
        event(3, b"payload3", items=[(12, TRAITS), (11, SCHEMA)]),
        event(4, b"payload4", items=[(6, STACK), (12, TRAITS), (11, SCHEMA)]),
        event(5, b"payload5", items=[(12, TRAITS)]))
records("items-all-types", "One item of each type 1 to 18 and one unknown type, in one chain.",
        event(1, b"payload", items=[
            (1, guid(RELATED)), (2, SID), (3, p("I", 1)), (4, p("II", 2, 1) + guid(CLASS)),
            (5, p("QII", 7, 0x401000, 0x402000)), (6, STACK), (7, p("Q", 8)), (8, p("QQ", 9, 10)),
            (9, "app".encode("utf-16-le") + bytes(2)), (10, p("Q", 11)), (11, SCHEMA), (12, TRAITS),
            (13, p("Q", 12)), (14, guid(CLASS)), (15, p("Q", 13)), (16, guid(CLASS)),
            (17, p("QII", 14, 15, 0)), (18, p("QQ", 16, 17)), (0x7FF0, b"?")]))
records("items-empty", "An item without data, a chain that fills the record: the payload is empty.",
        event(1, b"", items=[(10, b"")]), event(2, b"", items=[(10, b"12345678"), (0x99, b"")]))
records("items-reserved-bits", "Only bit 0 of the linkage word counts.",
        (event(1, b"payload", raw_items=item(10, b"12345678", 0xFFFF) + item(10, b"87654321", 0xFFFE))[0],
         event(1, b"payload", items=[(10, b"12345678"), (10, b"87654321")])[1]))
records("items-flag-clear", "Without the extended-info flag the bytes behind the header are payload, whatever they look like.",
        event(1, data_of(item(10, b"12345678", 0))))


def broken(name, about, raw, fault, numbers, at):
    rows, _ = event(1, b"", raw_items=raw)
    good_rows, good = event(2, b"good")
    vector(name, about + "\nThe record's own size holds, so the record behind it is read.", rows + good_rows,
           what="records", says=[error("extended item", at, fault, numbers), dict(good, offset=len(data_of(rows)))])


broken("items-cut-header", "The chain says more, but only four bytes are left.",
       item(10, b"12345678", 1) + [(b"\x10\0\x0A\0\0\0\0\0"[:4], "half of an item header")] + [(b"", "")],
       "truncated", [8, 4], 96)
broken("items-total-zero", "An item of total size 0 would never end.", item(10, b"12345678", 1, total=0)
       , "length", [0, 16, 16], 80)
broken("items-total-small", "The total size is smaller than header and data.", item(10, b"12345678", 0, total=8),
       "length", [8, 16, 16], 80)
broken("items-total-large", "The total size leads out of the record.",
       [(p("HHHH", 0x40, 10, 0, 8), "item: total 64, data 8")] + [(b"12345678", "data")], "length", [64, 16, 16], 80)
broken("items-runaway", "The last item says that another one follows, but the record ends.",
       item(10, b"12345678", 1), "truncated", [8, 0], 96)

# --- messages (06) ---
records("messages", "Each flag that adds a field, alone.",
        *[message(flag) for flag in (0x00, 0x01, 0x02, 0x04, 0x08, 0x20, 0x40, 0x80)])
records("messages-all-combinations", "Each combination of the flags that change the layout: 64 of them.",
        *[message(flags, number=flags, payload=b"args") for flags in range(64)])
records("message-component-wins", "Component id and GUID flags together: the component id is there, the GUID is not.",
        message(0x06), message(0x2F, payload=b""))
records("message-no-stamp", "PERFORMANCE_TIMESTAMP without TIMESTAMP: eight bytes are there but no stamp.",
        message(0x10), message(0x33, payload=b"xyz"), message(0x18))
records("message-observed", "The layout that Windows' own files use: GUID, stamp, thread and process, 64-bit (0xAA).",
        message(0xAA, payload=b"\x01\0\0\0" + "id\0".encode("utf-16-le")))
rows, _ = message(0x2B, payload=b"")
cut = data_of(rows)[:40]
vector("message-cut", "The record ends within the fields that its flags name: the stamp would end at 36, the record at 32.",
       [(p("HH", 32, 0x9000), "size 32, marker of a message")] + [(cut[4:32], "number, flags 0x2B, fields")],
       what="records", says=[error("message fields", 0, "truncated", [36, 32])])
vector("message-ulong32-time", "Marker byte 0xB0, named by Windows and never seen: the message bit makes it a message.",
       message(0x08, high=0xB000)[0], what="records", says=[message(0x08, high=0xB000)[1]])

# --- markers (03) ---


def unknown(kind, payload, marker_flags=0xC0):
    size = 8 + len(payload)
    rows = [(p("HBB", size, kind, marker_flags), "size %d, header type %d, marker" % (size, kind)),
            (p("I", 0), "meaning not known")]
    return rows + tail(payload, size, 0), says("unknown", None, payload, size)


records("unknown-types", "Header types that nobody knows are stepped over by the size in their first word.",
        unknown(12, b"timed"), unknown(13, b"error"), unknown(14, b"wnode123"), unknown(15, b""),
        unknown(0, b"zero"), unknown(99, b"ninety-nine"), classic(20, 64, 7, b"still here"))
records("unknown-marker", "A trace record that is neither typed nor a message: it has a size and nothing else.",
        unknown(0, b"neither", 0x80), classic(20, 64, 7, b"still here"))
good = classic(20, 64, 7, b"12345678")
for name, about, word, numbers in (
        ("marker-zero", "Zero where a record should start: behind it no record can be found.", 0, [0]),
        ("marker-ones", "Filler within the filled part: no record starts with 0xFFFFFFFF.", 0xFFFFFFFF, [0xFFFFFFFF]),
        ("marker-clear", "Bit 31 clear: not a trace record.", 0x40140010, [0x40140010])):
    records(name, about, good, then=[([(p("II", word, 16), "no marker"), (bytes(8), "")],
                                      error("record marker", 56, "marker", numbers))])
for name, about, size, left in (
        ("size-zero", "A size of zero would never end.", 0, 48), ("size-seven", "A record is eight bytes at least.", 7, 48),
        ("size-too-large", "The record leads out of the filled part.", 56, 48)):
    bad = data_of(classic(20, 64, 8)[0])
    records(name, about, good, then=[([(p("H", size) + bad[2:], "size %d" % size)],
                                      error("record", 56, "length", [size, 8, left]))])
bad = data_of(kernel(2, "system", 64, 5, 1, 9)[0])
records("size-zero-system", "The size of a kernel record is its third word.", good,
        then=[([(bad[:4] + p("H", 0) + bad[6:], "size 0 at +4")], error("record", 56, "length", [0, 8, 32]))])
records("prefix-cut", "Four bytes are left where a record should start.", good,
        then=[([(p("HBB", 8, 20, 0xC0), "half of a prefix")], error("record marker", 56, "truncated", [8, 4]))])
rows, every = [], []
for kind, need in ((1, 32), (2, 32), (3, 24), (4, 24), (10, 48), (20, 48), (11, 72), (21, 72), (16, 16), (17, 16), (18, 80), (19, 80)):
    at, size = len(data_of(rows)), need - 8
    first = p("BBBBHBB", 2, 0, kind, 0xC0, size, 1, 5) if kind in (1, 2, 3, 4, 16, 17) else p("HBBI", size, kind, 0xC0, 0)
    rows.append((first, "size %d, header type %d needs %d" % (size, kind, need)))
    if size > 8:
        rows.append((bytes(size - 8), "cut header"))
    every.append(error("record header", at, "truncated", [need, size]))
vector("header-cut", "Each header type in a record that is eight bytes too small for it; the next one is still found.",
       rows, what="records", says=every)
vector("perfinfo-counters-cut", "The flags promise a PEBS index and seven counters, 80 bytes in all; the record has 24.",
       [(p("BBBBHBBQ", 2, 0x87, 17, 0xC0, 24, 0x2E, 15, 1), "header, size 24, flags 0x87"), (p("Q", 1), "PEBS index")],
       what="records", says=[error("record header", 0, "truncated", [80, 24])])


# --- buffers (02, 11) ---

def header(size, filled, lane=0, sequence=1, stamp=0, flags=0x20, kind=0, state=3, saved=None, reserved=bytes(16),
           logger=0, clock=0, current=None, index=None):
    saved = filled if saved is None else saved
    return [(p("II", size, saved), "buffer_size %d, saved_offset" % size),
            (p("Ii", filled if current is None else current, 0), "current_offset, reference_count"),
            (p("Q", stamp), "time_stamp %d" % stamp),
            (p("q", sequence), "sequence_number %d" % sequence),
            (p("Q", clock), "clock"),
            (p("HHI", lane if index is None else index, logger, state), "lane %d, logger %d, state %d" % (lane, logger, state)),
            (p("IHH", filled, flags, kind), "filled_bytes %d, flags %#x, type %d" % (filled, flags, kind)),
            (reserved, "reserved")]


def buffer_(size, parts, index=0, lane=0, filler=0xFF, filled=None, **keys):
    rows, every = joined(*parts)
    end = 72 + len(data_of(rows)) if filled is None else filled
    out = header(size, end, lane=lane, **keys) + rows
    rest = size - len(data_of(out))
    if rest > 0:
        out.append((bytes([filler]) * rest, "filler"))
    every = [dict(s, buffer=index, lane=lane) for s in every]
    for s in every:
        del s["offset"]
    return out, every


def one(name, about, made, checksum="absent", errors=(), **more):
    vector(name, about, made[0], what="buffer", checksum=checksum,
           says=list(errors[:1]) + [{k: v for k, v in s.items() if k != "buffer"} for s in made[1]] + list(errors[1:]),
           **more)


def seal(made, lost=0, flip=0):
    """Puts the checksum of chapter 11 into a buffer that has none."""
    raw = bytearray(data_of(made[0]))
    filled = struct.unpack_from("<I", raw, 0x30)[0]
    raw[0x38:0x48] = bytes(16)
    field = b"ELR1" + p("III", zlib.crc32(bytes(raw[:min(filled, len(raw))])) ^ flip, lost, 0)
    rows = list(made[0])
    rows[7] = (field, '"ELR1", CRC-32, %d events lost' % lost)
    return rows, made[1]


two = (classic(20, 64, 1000, b"12345678"), event(1001, TEXT))
one("buffer", "One buffer: header, two records, filler.", buffer_(256, two, lane=3, sequence=2, stamp=1002, logger=7),
    buffer=dict(lane=3, sequence=2, time_stamp=1002, filled=72 + 56 + 96, state=3, flags=0x20, type=0, logger=7))
one("buffer-windows", "What Windows leaves behind: stale pointers at 0x20 and 0x38, current_offset past the end.",
    buffer_(256, two, lane=1, sequence=9, stamp=1002, current=400, clock=0xFFFFA0012345678A,
            reserved=p("QQ", 0xFFFFA001AAAAAAAA, 0xFFFFA001BBBBBBBB)), buffer=dict(lane=1, sequence=9))
one("buffer-no-proc-index", "Vista and 7: no PROC_INDEX flag, the low byte is the processor, the high byte alignment 8.\nSavedOffset is 0 and is not looked at.",
    buffer_(256, two, lane=5, index=0x0805, flags=0, saved=0, current=0), buffer=dict(lane=5))
one("buffer-lane-11-bits", "With PROC_INDEX the low 11 bits are the lane.",
    buffer_(256, two, lane=2046, index=0xFFFE), buffer=dict(lane=2046))
one("buffer-saved-offset-lies", "SavedOffset ends after the first record; FilledBytes and nothing else ends the records.",
    buffer_(256, two, saved=128))
one("buffer-filler-looks-like-record", "Behind FilledBytes lie whole old records; they are filler.",
    (lambda made: (made[0][:-1] + joined(*two)[0], made[1]))(buffer_(72 + 56 + 152, two[:1])))
one("buffer-zero-filler", "A live or preallocated buffer has zeros behind its records.", buffer_(256, two, filler=0, state=1))
one("buffer-empty", "An empty buffer: FilledBytes 72. No records, no error.", buffer_(128, (), state=0))
one("buffer-full", "Records up to the last byte; no filler.", buffer_(72 + 56 + 96, two))
one("buffer-checksum", "A checksum that holds, with three events lost before this buffer.",
    seal(buffer_(256, two, lane=2, sequence=4), lost=3), checksum="valid", events_lost=3)
one("buffer-checksum-filler", "Filler is not covered by the checksum.",
    seal(buffer_(256, two, lane=2, sequence=4, filler=0x5A)), checksum="valid", events_lost=0)
one("buffer-checksum-mismatch", "A checksum with its lowest bit wrong. The records are still given; the error comes with them.",
    seal(buffer_(256, two, lane=2, sequence=4), flip=1), checksum="mismatch")
one("buffer-filled-small", "FilledBytes below the header: no record can be there.", buffer_(128, (), filled=64),
    errors=[error("FilledBytes", 0x30, "length", [64, 72, 128])])
one("buffer-filled-large", "FilledBytes past the buffer: the records up to the buffer's end are whole.\nWhere they end, filler starts.",
    buffer_(72 + 56 + 96 + 8, two, filled=4096),
    errors=[error("FilledBytes", 0x30, "length", [4096, 72, 232]), error("record marker", 152, "marker", [0xFFFFFFFF])])
vector("buffer-header-cut", "Seventy bytes: the header itself is cut.", [(data_of(buffer_(128, ())[0])[:70], "")],
       what="buffer", says=[error("buffer", 0, "truncated", [72, 70])])
vector("buffer-size-small", "A buffer smaller than its header.", header(71, 72), what="buffer",
       says=[error("buffer", 0, "length", [71, 72, 0xFFFFFFFF])])
made = buffer_(256, two)
cut = data_of(made[0])[:72 + 56 + 40]
vector("buffer-cut", "The input ends within the second record: the first one is given.", [(cut, "buffer_size 256, cut")],
       what="buffer", says=[error("buffer", 0, "truncated", [256, len(cut)]),
                            {k: v for k, v in made[1][0].items() if k != "buffer"},
                            error("record", 56, "length", [92, 8, 40])])

# --- streams (10) ---


def flags(bits):
    return p("I", int(bits.ljust(32, "1"), 2)), "flag word: " + bits + ", rest ones"


def match(back, length):
    return p("H", back - 1 << 3 | min(length - 3, 7)), "match: %d back, %s" % (back, length if length < 10 else "long")


def stream(name, about, rows, out=None, size=None, fails=None):
    keys = dict(what="stream", size=len(out) if size is None else size)
    if fails:
        keys["says"] = [fails]
    else:
        keys["crc32"] = crc(out)
        if len(out) <= 64:
            keys["text"] = out.decode()
    vector(name, about, rows, **keys)


stream("lz77-literals", "Eight literals.", [flags("0" * 8), (b"abcdefgh", "literals")], b"abcdefgh")
stream("lz77-second-flag-word", "The flags of 32 items are used up; the next word follows the last item.",
       [flags("0" * 32), (b"0123456789abcdefghijklmnopqrstuv", "32 literals"), flags("0"), (b"w", "literal")],
       b"0123456789abcdefghijklmnopqrstuvw")
stream("lz77-idle-flag-word", "Exactly 32 items: the writer has opened one more flag word, and nothing follows it.",
       [flags("0" * 32), (b"0123456789abcdefghijklmnopqrstuv", "32 literals"), flags("")],
       b"0123456789abcdefghijklmnopqrstuv")
stream("lz77-short-match", "A match of 3, the least, and one of 9, the most without an escape.",
       [flags("0" * 9 + "10" + "1"), (b"abcdefghi", "literals"), match(9, 3), (b"-", "literal"), match(13, 9)],
       b"abcdefghiabc-abcdefghi")
stream("lz77-overlap", "A match that reads what it writes: one byte nine times, then two bytes.",
       [flags("01001"), (b"a", "literal"), match(1, 9), (b"bc", "literals"), match(2, 7)], b"a" * 10 + b"bc" + b"bcbcbcb")
stream("lz77-nibble", "Length 10 to 24: a nibble, here the low one of a fresh byte. 10 = 3 + 7 + 0.",
       [flags("01"), (b"a", "literal"), match(1, 10), (b"\x00", "nibble 0, the high half unused")], b"a" * 11)
stream("lz77-nibble-most", "The longest length that a nibble holds: 24 = 3 + 7 + 14.",
       [flags("01"), (b"a", "literal"), match(1, 24), (b"\x0E", "nibble 14")], b"a" * 25)
stream("lz77-nibble-shared", "Two long matches share a byte: low half first. Between them lie a literal and the second match,\nwhich takes no byte of its own; the third starts a fresh one.",
       [flags("010101"), (b"a", "literal"), match(1, 12), (b"\x52", "nibbles: 2 now, 5 next time"), (b"b", "literal"),
        match(1, 15), (b"c", "literal"), match(1, 13), (b"\x03", "a fresh byte: nibble 3")], b"a" * 13 + b"b" * 16 + b"c" * 14)
stream("lz77-byte", "Nibble 15: a byte follows. 25 = 3 + 7 + 15 + 0 and 279 = 3 + 7 + 15 + 254.",
       [flags("0101"), (b"a", "literal"), match(1, 25), (b"\xFF", "nibble 15, and 15 next time"), (b"\x00", "byte 0"),
        (b"b", "literal"), match(1, 279), (b"\xFE", "byte 254")], b"a" * 26 + b"b" * 280)
stream("lz77-word", "Byte 255: 16 bits follow that hold the length less 3. 280 = 277 + 3.",
       [flags("01"), (b"a", "literal"), match(1, 280), (b"\x0F\xFF", "nibble 15, byte 255"), (p("H", 277), "277")], b"a" * 281)
stream("lz77-word-most", "The longest length that 16 bits hold: 65,538.",
       [flags("01"), (b"a", "literal"), match(1, 65538), (b"\x0F\xFF", "nibble 15, byte 255"), (p("H", 65535), "65,535")], b"a" * 65539)
stream("lz77-word-least", "The least that 16 bits may hold is 22: a length of 25 written long.",
       [flags("01"), (b"a", "literal"), match(1, 25), (b"\x0F\xFF", "nibble 15, byte 255"), (p("H", 22), "22")], b"a" * 26)
stream("lz77-dword", "16 bits of zero: 32 bits follow. 70,000 = 69,997 + 3.",
       [flags("01"), (b"a", "literal"), match(1, 70000), (b"\x0F\xFF", "nibble 15, byte 255"), (p("H", 0), "0: 32 bits"),
        (p("I", 69997), "69,997")], b"a" * 70001)
stream("lz77-far", "The farthest match: 8,192 bytes back.",
       [flags("0011"), (b"xy", "literals"), match(2, 8190), (b"\x0F\xFF", "nibble 15, byte 255"), (p("H", 8187), "8,187"),
        match(8192, 4)], b"xy" * 4098)
stream("lz77-empty", "No bytes promised, none there.", [], b"")
damaged = "compressed stream"
stream("lz77-before-start", "A match that reaches back before the first byte.",
       [flags("01"), (b"a", "literal"), match(2, 3)], size=4, fails=error(damaged, fault="distance", numbers=[2, 1]))
stream("lz77-first-match", "A match where nothing has been written.", [flags("1"), match(1, 3)], size=3,
       fails=error(damaged, fault="distance", numbers=[1, 0]))
stream("lz77-short", "Nine bytes promised, eight there.", [flags("0" * 8), (b"abcdefgh", "literals")], size=9,
       fails=error(damaged, fault="produced", numbers=[8, 9]))
stream("lz77-none", "A byte promised, no stream.", [], size=1, fails=error(damaged, fault="produced", numbers=[0, 1]))
stream("lz77-long", "A match that runs past the promised end.", [flags("01"), (b"a", "literal"), match(1, 9)], size=8,
       fails=error(damaged, fault="produced"))
stream("lz77-cut-match", "The stream ends within a match.", [flags("01"), (b"a", "literal"), (b"\x00", "half a match")], size=9,
       fails=error(damaged))
stream("lz77-cut-nibble", "The stream ends where a nibble should be.", [flags("01"), (b"a", "literal"), match(1, 10)], size=11,
       fails=error(damaged))
stream("lz77-cut-length", "The stream ends within the 32-bit length.",
       [flags("01"), (b"a", "literal"), match(1, 300), (b"\x0F\xFF\0\0\x29", "nibble, byte, zero, one of four bytes")], size=301,
       fails=error(damaged))
stream("lz77-length-small", "A 16-bit length below 22 contradicts the escapes before it.",
       [flags("01"), (b"a", "literal"), match(1, 25), (b"\x0F\xFF", "nibble 15, byte 255"), (p("H", 21), "21")], size=25,
       fails=error(damaged))

# --- the logfile header and whole files (01, 07, 08, 09, 13) ---
START = 133_500_000_000_000_000
EVENT_TRACE = "68fdd900-4a3e-11d1-84f4-0000f80464e3"
SECOND = 10_000_000


class File:
    """The numbers of a log file."""

    def __init__(self, bits=64, size=512, mode=1, clock=1, freq=SECOND, mhz=2400, ticks=1000, end=START + SECOND,
                 written=0, lanes=2, lost=0, buffers_lost=0, version=2, session="s", name="f"):
        self.__dict__.update(locals())

    def time(self, ticks):
        passed = ticks - self.ticks
        if self.clock == 1 and self.freq:
            passed = passed * SECOND // self.freq
        elif self.clock == 3 and self.mhz:
            passed = passed * 10 // self.mhz
        return START + passed

    def payload(self):
        pointer = "I" if self.bits == 32 else "Q"
        zone = lambda text: text.encode("utf-16-le").ljust(64, b"\0")
        rows = [(p("I4B", self.size, 10, 0, 2 if self.mode & 0x4000000 else 1, 0 if self.mode & 0x4000000 else 5),
                 "buffer_size %d, version 10.0, layout" % self.size),
                (p("II", 19045, self.lanes), "provider_version, number_of_processors"),
                (p("q", self.end), "end_time"),
                (p("II", 156250, 0), "timer_resolution, maximum_file_size"),
                (p("II", self.mode, self.written), "log_file_mode %#x, buffers_written %d" % (self.mode, self.written)),
                (p("II", 1, self.bits // 8), "start_buffers, pointer_size"),
                (p("II", self.lost, self.mhz), "events_lost, cpu_speed_mhz"),
                (p(2 * pointer, 0xBAD, 0xBAD), "two pointers, not to be used"),
                (p("i", -60), "time zone: bias"), (zone("CET"), "standard_name"),
                (p("8H", 0, 10, 0, 5, 3, 0, 0, 0), "standard_date"), (p("i", 0), "standard_bias"),
                (zone("CEST"), "daylight_name"), (p("8H", 0, 3, 0, 5, 2, 0, 0, 0), "daylight_date"),
                (p("i", -60), "daylight_bias"), (b"\xEE" * 4, "padding"),
                (p("q", START - 7 * SECOND), "boot_time"), (p("Q", self.freq), "perf_freq %d" % self.freq),
                (p("q", START), "start_time"),
                (p("II", self.clock, self.buffers_lost), "clock %d, buffers_lost" % self.clock)]
        for text in (self.session, self.name):
            rows.append(((text + "\0").encode("utf-16-le"), "name"))
        return rows

    def first(self):
        fixed = self.payload()
        payload = data_of(fixed)
        rows, s = kernel(2 if self.bits == 64 else 1, "system", self.bits, 0, 0, self.ticks, payload, version=self.version,
                         class_guid=EVENT_TRACE)
        at = next(i for i, (_, c) in enumerate(rows) if c == "payload")
        return rows[:at] + fixed + rows[at + 1:], s

    def header_buffer(self, extra=(), **keys):
        keys = dict(dict(sequence=0, flags=0x21, kind=4), **keys)
        return buffer_(self.size, (self.first(),) + tuple(extra), index=0, **keys)

    def says(self):
        fixed = dict(bits=self.bits, buffer_size=self.size, version=[10, 0, 2 if self.mode & 0x4000000 else 1, 0 if self.mode & 0x4000000 else 5],
                     provider_version=19045, processors=self.lanes, end_time=self.end or None, timer_resolution=156250,
                     maximum_file_size=0, mode=self.mode, buffers_written=self.written, pointer_size=self.bits // 8,
                     events_lost=self.lost, buffers_lost=self.buffers_lost, cpu_speed_mhz=self.mhz, bias=-60,
                     boot_time=START - 7 * SECOND, perf_freq=self.freq, start_time=START, start_ticks=self.ticks,
                     clock=self.clock, session=self.session, name=self.name)
        return fixed

    def write(self, name, about, *buffers, order=None, tail=()):
        rows, every = [], []
        for made in buffers:
            rows += made[0]
            for s in made[1]:
                if "error" not in s:
                    s = dict(s, filetime=None if s["ticks"] is None else self.time(s["ticks"]))
                every.append(s)
        every += list(tail)
        keys = dict(what="file", logfile=self.says())
        if order is not None:
            keys["time_order"] = order
        vector(name, about, rows, says=every, **keys)


c = lambda ticks, payload=b"12345678", **k: classic(20, 64, ticks, payload, **k)
f = File(written=4)
f.write("file-two-lanes", "A finished file of four buffers. Lane 1 was flushed first, so file order is not time order.\nEqual stamps: the lower lane first.",
        f.header_buffer(),
        buffer_(512, (c(1100), c(1300), c(1500)), 1, lane=1, sequence=2, stamp=1600),
        buffer_(512, (c(1050), c(1100), c(1200)), 2, lane=0, sequence=1, stamp=1200),
        buffer_(512, (c(1200), c(1400)), 3, lane=0, sequence=3, stamp=1700, flags=0x21),
        order=[0, 4, 5, 1, 6, 7, 2, 8, 3])
f = File(written=5, mode=2, lanes=1)
f.write("file-circular", "A circular file that has wrapped: file order is a rotation, sequence order is time order.",
        f.header_buffer(),
        *[buffer_(512, (c(1000 + 100 * n), c(1050 + 100 * n)), i, sequence=n, stamp=1099 + 100 * n)
          for i, n in ((1, 5), (2, 6), (3, 3), (4, 4))], order=[0, 5, 6, 7, 8, 1, 2, 3, 4])
f = File(mode=0x21, written=2, lanes=1)
f.write("file-preallocated", "A preallocated file: behind the last buffer lie two that were never used. They are not damage.",
        f.header_buffer(), buffer_(512, (c(1100),), 1, stamp=1200), ([(bytes(1024), "unused")], []), order=[0, 1])
f = File(mode=0x21, written=0, end=0, lanes=1)
f.write("file-hole", "A buffer in the middle was not written before the crash; the one behind it was. The hole is damage.",
        f.header_buffer(), ([(bytes(512), "never written")], [error("buffer", 512, "length", [0, 72, 512])]),
        buffer_(512, (c(1100),), 1, stamp=1200), order=[0, 1])
f = File(written=0, end=0, lanes=1)
made = buffer_(512, (c(1100), c(1101), c(1102)), 1, stamp=1200)
f.write("file-unfinished", "No end time, no buffer count, and the file ends within the second record of its last buffer.",
        f.header_buffer(),
        ([(data_of(made[0])[:72 + 56 + 20], "a buffer, cut")],
         [error("buffer", 512, "truncated", [512, 148]), made[1][0], error("record", 512 + 72 + 56, "length", [56, 8, 20])]),
        order=[0, 1])
f = File(written=4, lanes=1)
made = buffer_(512, (c(1100),), 1, stamp=1200)
wild = data_of(made[0])
f.write("file-damaged-size", "The second buffer's size is wild, the rest of its header sound: it is read at the file's buffer size.",
        f.header_buffer(), ([(p("I", 0x51515151) + wild[4:], "buffer_size 0x51515151")],
                            [error("buffer", 512, "length", [0x51515151, 512, 512])] + made[1]),
        buffer_(512, (c(1300),), 2, sequence=2, stamp=1400), order=[0, 1, 2])
f.write("file-damaged-header", "The second buffer's header is gone. The buffer is skipped by the file's buffer size; the third is read.",
        f.header_buffer(), ([(b"\x51" * 72, "no header"), (wild[72:], "records out of reach")],
                            [error("buffer", 512, "length", [0x51515151, 512, 512])]),
        buffer_(512, (c(1300),), 1, sequence=2, stamp=1400), order=[0, 1])
made = buffer_(512, (c(1100), c(1101), c(1102)), 1, stamp=1200)
wild = bytearray(data_of(made[0]))
wild[72 + 56:72 + 58] = b"\0\0"
f.write("file-damaged-record", "The size of a record in the second buffer is zero. What lies before it is read, and the third buffer.",
        f.header_buffer(), ([(bytes(wild), "second record of size 0")],
                            [made[1][0], error("record", 512 + 72 + 56, "length", [0, 8, 112])]),
        buffer_(512, (c(1300),), 2, sequence=2, stamp=1400), order=[0, 1, 2])
f = File(bits=32, written=2, lanes=2, freq=3_579_545)
f.write("file-32", "A 32-bit writer: header type 1, pointers of four bytes. The records behind have their own width.\nTicks of a 3,579,545 Hz clock are rounded down, also before the start.",
        f.header_buffer(), buffer_(512, (classic(10, 32, 999, TEXT), c(1001), c(1002), c(2**40)), 1, lane=1, stamp=2**40),
        order=[1, 0, 2, 3, 4])
f = File(written=2, lanes=1, clock=2, ticks=START, freq=2_441_406)
f.write("file-clock-2", "System time: each stamp is a FILETIME, whatever PerfFreq says.",
        f.header_buffer(), buffer_(512, (c(START + 1), c(START + 12_345_678)), 1, stamp=START + SECOND), order=[0, 1, 2])
f = File(written=2, lanes=1, clock=3, mhz=2995)
f.write("file-clock-3", "Processor cycles: CpuSpeedInMHz million ticks a second.",
        f.header_buffer(), buffer_(512, (c(1299), c(1300), c(2**50)), 1, stamp=2**50), order=[0, 1, 2, 3])
f = File(written=2, lanes=1, clock=1, freq=0)
f.write("file-clock-broken", "PerfFreq is zero: ticks count as units of 100 ns, so that the order holds.",
        f.header_buffer(), buffer_(512, (c(1299),), 1, stamp=1300), order=[0, 1])
f = File(written=3, lanes=2)
f.write("file-unstamped", "A message without a time stamp counts with its buffer's, 1,250: behind the record of that buffer\nthat was stamped 1,200 and before the record of the other lane stamped 1,300.",
        f.header_buffer(), buffer_(512, (c(1100), message(0x02), c(1200)), 1, lane=0, sequence=1, stamp=1250),
        buffer_(512, (c(1150), c(1300)), 2, lane=1, sequence=2, stamp=1400), order=[0, 1, 4, 3, 2, 5])
f = File(written=3, lanes=2)
f.write("file-backwards", "Times run backwards in lane 0, which no clock does: its records keep their place in the lane.",
        f.header_buffer(), buffer_(512, (c(1300), c(1100), c(1400)), 1, lane=0, sequence=1, stamp=1500),
        buffer_(512, (c(1200), c(1350)), 2, lane=1, sequence=2, stamp=1500), order=[0, 4, 1, 2, 5, 3])
f = File(written=2, lanes=1)
f.write("file-header-late", "A record was added to the header buffer when the session stopped: it is later than all of lane 0.",
        f.header_buffer(extra=(kernel(2, "system", 64, 0, 8, 1900, b"", class_guid=EVENT_TRACE),)),
        buffer_(512, (c(1100), c(1900)), 1, stamp=1900), order=[0, 2, 1, 3])
f = File(written=2, lanes=1, version=0, mode=0x801)
f.write("file-private", "A private logger: version 0 in the first marker, header buffer of state 0, buffer times as FILETIME.",
        f.header_buffer(state=0), buffer_(512, (c(1100),), 1, stamp=START + 10), order=[0, 1])
f = File(written=2, lanes=1, mode=9)
f.write("file-newfile", "The second file of a session that starts a new one at a size: sequence numbers go on.",
        f.header_buffer(), buffer_(512, (c(1100),), 1, sequence=908, stamp=1200), order=[0, 1])
f = File(written=2, lanes=1)
part = kernel(2, "system", 64, 0, 0x50, 1000, bytes(48), class_guid=EVENT_TRACE)
f.write("file-header-extra", "More records in the header buffer, beyond its SavedOffset: they are read to FilledBytes.",
        f.header_buffer(extra=(part,), saved=0), buffer_(512, (c(1100),), 1, stamp=1200), order=[0, 1, 2])
f = File(written=3, lanes=1, lost=5, buffers_lost=1)
loss = c(1500, p("QQII", 1200, 1400, 5, 1), guid_=LOST, op=32, level=0, version=0, pid=0x1C4, tid=0)
loss2 = c(1501, p("QQII", 1400, 1450, 1, 6), guid_=LOST, op=33, level=0, version=0, pid=0x1C4, tid=0)
f.write("file-loss", "Five events found no free buffer between ticks 1,200 and 1,400; one buffer could not be written.\nThe next buffer of the lane begins by saying so and has the flags 0x02 and 0x04.",
        f.header_buffer(), buffer_(512, (c(1100), c(1150)), 1, sequence=1, stamp=1150),
        seal(buffer_(512, (loss, loss2, c(1502)), 2, sequence=2, stamp=1600, flags=0x27), lost=5), order=[0, 1, 2, 3, 4, 5])


def packed(index, sequence, ticks, flag=0x60):
    """One compressed buffer: 16 literals, then the same 16 bytes again."""
    rows, s = message(0, number=sequence, payload=b"compress")
    body = data_of(rows)
    rows = [flags("0" * 16 + "1"), (body, "literals: one record of 16 bytes"), match(16, 16), (b"\x06", "nibble 6: 16 = 3 + 7 + 6")]
    size = 72 + len(data_of(rows))
    made = header(size, 72 + 32, sequence=sequence, stamp=ticks, flags=flag)
    return made + rows, [dict(s, buffer=index, lane=0)] * 2


one("buffer-compressed", "A compressed buffer of 95 bytes. FilledBytes counts the records unpacked, 72 + 32, and so exceeds it.",
    packed(0, 1, 1100), buffer=dict(filled=104, flags=0x60))
one("buffer-compressed-checksum", "The checksum of a compressed buffer covers the bytes that it holds.",
    seal(packed(0, 1, 1100)), checksum="valid", events_lost=0)
f = File(written=4, lanes=1, mode=0x4010001, size=65536, session="Relogger")
short = 72 + align(len(data_of(f.first()[0])))
f.write("file-compressed", "A relogged file: the header buffer is short and plain, the others are compressed and of odd sizes,\nso that no later buffer is aligned.",
        buffer_(short, (f.first(),), sequence=0, flags=0x21, kind=4),
        packed(1, 1, 1100), packed(2, 2, 1200), packed(3, 3, 1300, 0x61))

f.write("file-compressed-tail", "Zero where the next buffer's size should be: without one size for all buffers the file ends there.",
        buffer_(short, (f.first(),), sequence=0, flags=0x21, kind=4), packed(1, 1, 1100), ([(bytes(100), "unused")], []))
made = packed(2, 2, 1200)
torn = bytearray(data_of(made[0]))
torn[-3:-1] = p("H", 16 << 3 | 7)
f.write("file-compressed-damaged", "A match of the second data buffer reaches back before its start. The record before it is given;\nthe third buffer is found by the size of the second and read.",
        buffer_(short, (f.first(),), sequence=0, flags=0x21, kind=4), packed(1, 1, 1100),
        ([(bytes(torn), "a buffer whose match is 17 bytes back")], [error("compressed stream", fault="distance", numbers=[17, 16]), made[1][0]]),
        packed(3, 3, 1300))

made = packed(2, 2, 1200)
torn = bytearray(data_of(made[0]))
torn[-1] = 7
f.write("file-compressed-overrun", "A match of the second data buffer is one byte longer than what was promised. The record before it is\ngiven; the bytes that the match should have filled are nobody's, whatever lay in their memory before.",
        buffer_(short, (f.first(),), sequence=0, flags=0x21, kind=4), packed(1, 1, 1100),
        ([(bytes(torn), "a buffer whose match is 17 long")], [error("compressed stream", fault="produced"), made[1][0]]),
        packed(3, 3, 1300))

# --- the logfile header refused (07) ---
rows, s = File().first()
for name, about, at, new, expect in (
        ("logfile-not-first", "Hook 0x0050 where the logfile header should be.", 6, b"\x50", ("not-logfile-header", [2, 0x50])),
        ("logfile-classic", "A classic record where the logfile header should be.", 0, p("HBB", 56, 20, 0xC0), ("not-logfile-header", [20, 0])),
        ("logfile-cut", "The record ends before the last fixed field: 312 bytes are needed.", 4, p("H", 304), ("truncated", [312, 304]))):
    raw = bytearray(data_of(rows))
    raw[at:at + len(new)] = new
    size = 56 if name == "logfile-classic" else 304 if name == "logfile-cut" else len(raw)
    made = header(72 + align(size), 72 + align(size), sequence=0, flags=0x21, kind=4)
    vector(name, about, made + [(bytes(raw[:align(size)]), "the record")], what="file",
           says=[error("logfile header", 72, *expect)])

#!/usr/bin/env python3
"""What dissect.etl finds of a session that was killed: killed.py DIRECTORY [overwriting]

The directory is one of tests/session/crash.rs: log.etl and its ring as the kill left them, and told.N,
the numbers of the events that thread N was told are accepted. Each file is opened by itself, as it is
and with the number of buffers that it has: this reader goes by the header's, which in a log without an
end is that of the last flush. Exits non-zero if a file does not open, an event found is not whole, or
one told of is in neither; of a session that was overwriting its oldest, only if the last one of a thread
that had fallen quiet is in neither.
"""

import io
import struct
import sys
from pathlib import Path

from dissect.etl import ETL

CLASS = "3f0c5b1e-88aa-4c57-bd0e-6f1f3a9a7701"
MASK = (1 << 64) - 1
# What a thread tells last that falls quiet.
QUIET = MASK
# In the file: a buffer's header, a SYSTEM record's header, nine fields.
BUFFERS_WRITTEN = 72 + 32 + 0x24


def payload(thread, number):
    """As tests/session/crash.rs makes it."""
    state = (thread << 56) ^ (number * 0x9E3779B97F4A7C15 & MASK) ^ 1
    bytes_ = bytearray(struct.pack("<QQ", thread, number))
    for _ in range(number % 90):
        state ^= state << 13 & MASK
        state ^= state >> 7
        state ^= state << 17 & MASK
        bytes_.append(state & 0xFF)
    return bytes(bytes_)


def events(path):
    """Thread and number of each event of the file, as it is and with all its buffers."""
    log = bytearray(path.read_bytes())
    as_it_is = found(path, log)
    (size,) = struct.unpack_from("<I", log)
    struct.pack_into("<I", log, BUFFERS_WRITTEN, len(log) // size)
    all_ = found(path, log)
    if as_it_is - all_:
        sys.exit(f"{path}: more in fewer buffers")
    return as_it_is, all_


def found(path, log):
    events = set()
    for record in ETL(io.BytesIO(log)):
        if str(record.header.provider_id) != CLASS:
            continue
        body = record.header.payload
        thread, number = struct.unpack_from("<QQ", body)
        whole = payload(thread, number)
        if body[: len(whole)] != whole:
            sys.exit(f"{path}: event {number} of thread {thread} is torn")
        events.add((thread, number))
    return events


def main():
    directory = Path(sys.argv[1])
    (flushed, log), (_, ring) = (events(directory / name) for name in ("log.etl", "log.etl.ring"))
    overwriting = sys.argv[2:] == ["overwriting"]
    told, wanted = set(), set()
    for thread in range(4):
        bytes_ = (directory / f"told.{thread}").read_bytes()
        numbers = [number for (number,) in struct.iter_unpack("<Q", bytes_[: len(bytes_) // 8 * 8])]
        quiet = numbers[-1:] == [QUIET]
        numbers = numbers[:-1] if quiet else numbers
        told |= {(thread, number) for number in numbers}
        newest = numbers[-1:] if quiet else []
        wanted |= {(thread, number) for number in (newest if overwriting else numbers)}
    missing = wanted - log - ring
    if missing:
        sys.exit(f"{len(missing)} of {len(wanted)} missing, as {min(missing)}")
    print(f"{len(told)} told, {len(log)} in the log ({len(flushed)} as it is), {len(ring)} in the ring")


main()

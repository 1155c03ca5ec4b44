"""Self-describing events as dissect.etl hands out their items, decoded here from spec/15-schemas.md.

dissect.etl finds the items, names the provider and gives the schema as bytes.
"""

import struct
import uuid

from dissect.etl import ETL
from dissect.etl.headers.event import EventHeader, EventHeaderExtendedDataItem, ExtType

# In-type: how many bytes, and how they are read.
NUMBERS = {
    3: "b", 4: "B", 5: "h", 6: "H", 7: "i", 8: "I", 9: "q", 10: "Q", 11: "f", 12: "d",
    17: "Q", 20: "I", 21: "Q",
}
HEX, BOOLEAN = 4, 3


def events(path):
    """Provider's name, event's name, related activity and fields of each event of channel 11."""
    with open(path, "rb") as file:
        for record in ETL(file):
            header = record.header
            if isinstance(header, EventHeader) and header.header.Channel == 11:
                yield event(header)


def event(header):
    payload, items, more = bytes(header.payload), {}, header.header.Flags & 1
    while more:
        item = EventHeaderExtendedDataItem(payload)
        payload, more = payload[item.size :], item.reserved1 & 1
        items[item.ext_type] = item
    traits = items[ExtType.PROV_TRAITS]
    schema = items[ExtType.EVENT_SCHEMA_TL].data["EventSchema"]
    provider = traits.data["ProviderName"]
    provider = (provider if isinstance(provider, bytes) else bytes(provider)).decode()
    if ExtType.RELATED_ACTIVITY_ID in items:
        related = items[ExtType.RELATED_ACTIVITY_ID].data["Guid"]
    else:
        related = None
    name, fields = decode(bytes(schema), payload)
    return provider.rstrip("\0"), name, related, fields


def decode(schema, payload):
    """The event's name and its fields, as JSON has them."""
    (size,) = struct.unpack_from("<H", schema)
    assert size == len(schema), (size, len(schema))
    at = 2
    while schema[at] & 0x80:
        at += 1
    name, at = text(schema, at + 1)
    fields, taken = {}, 0
    while at < size:
        field, at = text(schema, at)
        kind, out = schema[at], 0
        at += 1
        if kind & 0x80:
            out = schema[at]
            at += 1
        if kind & 0x60 == 0x40:
            (count,) = struct.unpack_from("<H", payload, taken)
            taken, values = taken + 2, []
            for _ in range(count):
                one, taken = value(kind & 0x1F, out, payload, taken)
                values.append(one)
            fields[field] = values
        else:
            assert kind & 0x60 == 0, f"{field}: an array of constant length"
            fields[field], taken = value(kind & 0x1F, out, payload, taken)
    assert taken == len(payload), f"{name}: {len(payload) - taken} bytes are left"
    return name, fields


def text(schema, at):
    end = schema.index(0, at)
    return schema[at:end].decode(), end + 1


def value(kind, out, payload, at):
    if kind == 0:
        return None, at
    if kind in NUMBERS:
        size = struct.calcsize("<" + NUMBERS[kind])
        (number,) = struct.unpack_from("<" + NUMBERS[kind], payload, at)
        if out == BOOLEAN:
            number = bool(number)
        elif out == HEX or kind in (20, 21):
            number = hex(number)
        return number, at + size
    if kind == 15:
        return str(uuid.UUID(bytes_le=payload[at : at + 16])), at + 16
    if kind in (14, 23):
        (size,) = struct.unpack_from("<H", payload, at)
        data = payload[at + 2 : at + 2 + size]
        assert len(data) == size
        return data.decode() if kind == 23 else data.hex(), at + 2 + size
    raise AssertionError(f"in-type {kind}")

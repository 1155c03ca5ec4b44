"""What the C programs logged, as `etlring dump --fields` shows it: python3 replay.py DIRECTORY"""

import json
import pathlib
import sys

logs = pathlib.Path(sys.argv[1])


def events(name, header=None):
    lines = (logs / f"{name}.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return [e for e in found if e["header"] != "system" and header in (None, e["header"])]


def same(what, found, expected):
    if found != expected:
        sys.exit(f"{what}:\n  {found}\nnot\n  {expected}")


ORDERS = "5a5c36d4-6d1f-4a0e-8c39-3a1f0d7e42aa"
FILE = "2818ef08-6a54-396f-2244-5a6ea4a98cf0"
CLASS = "0b1e5a7c-94d1-4c57-bd0e-6f1f3a9a7701"

calls = events("calls")
same(
    "providers, ids, levels and payloads of calls",
    [(e["header"], e["provider"], e["id"], e["level"], e["payload"]) for e in calls if not e.get("name")],
    [
        ("event", ORDERS, 1, 4, "07000000" + b"coffee\0".hex()),
        ("event", ORDERS, 1, 4, "07000000"),
        ("event", ORDERS, 1, 4, b"coffee\0".hex()),
        ("event", ORDERS, 0, 4, "caf\u00e9\0".encode("utf-16-le").hex()),
        ("event", ORDERS, 1, 4, b"coffee\0".hex()),
        ("event", ORDERS, 1, 4, ""),
        ("message", FILE, 10, None, "2a000000" + b"answer\0".hex()),
        ("classic", CLASS, 0, 4, b"one coffee".hex()),
        ("classic", CLASS, 0, 0, b"two cakes".hex()),
        ("message", None, 11, None, ""),
    ],
)
same("text", calls[3]["fields"], {"Message": "caf\u00e9"})
same("activities", [calls[1][key][:8] for key in ("activity", "related")], ["00000001", "00000009"])
message = next(e for e in calls if e["id"] == 10)
same("number of the message", message["sequence"], 1)
same("component", calls[-1]["component"], 0xC0FFEE)
same(
    "self-describing events",
    [(e["provider_name"], e["name"], e["level"], e["fields"]) for e in calls if e.get("name")],
    [
        (
            "Example-Orders",
            "Sold",
            3,
            {
                "u8": 200,
                "i16": -2,
                "u32": 4000000000,
                "i64": -(2**63),
                "price": 3.25,
                "paid": True,
                "file": FILE,
                "what": "caf\u00e9",
                "wide": "th\u00e9",
                "raw": "0102ff",
                "empty": "",
                "mask": "0xee6b2800",
            },
        ),
        ("Example-Orders", "Closed", 3, {}),
    ],
)

threads = events("threads", "event")
same("events of threads", len(threads), int((logs / "threads.accepted").read_text()))
seen = [e["payload"] for e in threads]
same("no event is there twice", len(set(seen)), len(seen))
numbers = [(p[:8], int.from_bytes(bytes.fromhex(p[8:]), "little")) for p in seen]
for writer in {writer for writer, _ in numbers}:
    own = [number for who, number in numbers if who == writer]
    same(f"order of writer {writer}", own, sorted(own))

owners = [e for e in events("owners") if e.get("name") == "Sold"]
same("events of owners", len(owners), 1)
same(
    "fields of owners",
    owners[0]["fields"],
    {
        "what": "two cakes",
        "price": 3.5,
        "table": 7,
        "id": "00000011-0022-0033-0404-040404040404",
        "below": -1,
        "wide": "th\u00e9",
    },
)

flight = events("flight", "event")
same("last event of the recorder", (flight[-1]["name"], flight[-1]["fields"]), ("Alarm", {"pressure": flight[-2]["fields"]["pressure"]}))
turns = [e["fields"]["turn"] for e in flight[:-1]]
same("newest turns", turns, list(range(turns[0], 40001)))
same("older ones were overwritten", turns[0] > 1, True)
same("names and types", flight[-2]["fields"], {"turn": 40000, "pressure": 7.5, "valve": "closed"})


def raised(log):
    """The events of a log, without those that explain others."""
    return [e for e in events(log, "classic") if e["provider_name"] != "etlring"]


http = raised("http")
same("providers of http", {e["provider_name"] for e in http}, {"Example-Http"})
same("payload of an event", http[2]["payload"], "02000000")
same(
    "names and values of http",
    [(e["name"], e["fields"]) for e in http[:5]],
    [("Airst", {"ona": 0}), ("Birst", {"onb": 1}), ("Cirst", {"onc": 2})]
    + [("Static", {"\U0001d11e": 3, "\ufffdx": 3})] * 2,
)
same("items of many", (http[5]["name"], http[5]["payload"]), ("Many", "03000000" * 19 + "00000000"))
same("events of http", len(http), 6)

for log in ("iis", "wide"):
    requests = raised(log)
    same(
        f"names, types and values of {log}",
        [(e["provider_name"], e["name"], e["fields"]) for e in requests],
        [
            event
            for number in (1, 2)
            for activity in [f"0000000{number}-0000-0000-9800-0080000000fa"]
            for event in [
                (
                    "WWW Server",
                    "MODULE_INFORMATION",
                    {
                        "ContextId": activity,
                        "ModuleName": "Rewriter",
                        "Data1": "begin",
                        "Data2": "/caf\u00e9",
                        "ErrorCode": 0,
                    },
                ),
                (
                    "Example-Rewriter",
                    "REWRITE_DONE",
                    {
                        "ContextId": activity,
                        "Rule": "to-https",
                        "Method": "GET",
                        "Matches": number,
                        "fRedirect": "redirected" if number == 1 else "rewritten",
                    },
                ),
            ]
        ],
    )
print("replayed: names, types and payloads are those of the programs")

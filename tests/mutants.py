"""What tests/mutants.sh needs of Python.

    mutants.py run quick|rest PROGRAM ARGUMENTS...     cargo's runner: a test program, until one fails
    mutants.py others quick|rest LIST KNOWN PATTERN K/N   the changes in LIST that are not to be tested
    mutants.py keep quick|rest OUTCOMES KNOWN          adds what cargo-mutants found to what is known
    mutants.py table KNOWN LIST                        a line for each file
"""
import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time

# These take long and fail where others do too: they are not among the quick ones.
LONG = [
    "hostile::each_bit_flipped",
    "recover::a_log_cut_anywhere",
    "recover::a_ring_cut_anywhere",
    "recover::samples_cut_anywhere",
    "recover::torn_sectors",
    "ring::a_live_ring",
    "a_stream_has_its_bound",
    "compressed_samples",
]

# Programs of which the other tests are the quick ones.
QUICK = ("format", "reader", "xpress")

# What a change makes run for ever, or wait for ever, ends by these and not by a clock, which on a
# loaded machine ends whatever comes too late.
CPU_SECONDS = {"quick": 30, "rest": 150}
MEMORY_BYTES = 8 << 30
IDLE_SECONDS = 12
# A change that the quick tests missed and the rest has not seen.
DOUBTFUL = "Doubtful"
MISSED = "MissedMutant"
ENDED = "mutants.py: ended, since it "


def run(which, *command):
    """Ends the program with its first failure."""
    if which == "quick":
        command += tuple(word for name in LONG for word in ("--skip", name))
    elif os.path.basename(command[0]).split("-")[0] in QUICK:
        command += tuple(LONG)
    limits = {
        resource.RLIMIT_CPU: CPU_SECONDS[which],
        resource.RLIMIT_AS: MEMORY_BYTES,
    }
    # A session of its own: what its tests start ends with it.
    program = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, errors="replace", start_new_session=True,
        preexec_fn=lambda: [resource.setrlimit(what, (most, most + 1))
                            for what, most in limits.items()])
    # cargo-mutants ends what takes too long in this way.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    threading.Thread(target=end_if_idle, args=[program], daemon=True).start()
    try:
        for line in program.stdout:
            print(line, end="", flush=True)
            if line.startswith("test ") and line.endswith("... FAILED\n"):
                return 1
        code = program.wait()
        if code == -signal.SIGXCPU:
            print(f"{ENDED}ran for {CPU_SECONDS[which]} s", flush=True)
        return 1 if code else 0
    finally:
        kill(program)


def end_if_idle(program):
    """Kills the program when it and those it started have slept for nearly all of a while."""
    known, busy, since = {}, 0, time.monotonic()
    while True:
        time.sleep(1)
        before, known = known, activity(program.pid)
        busy += sum(spent - before.get(thread, 0) for thread, spent in known.items())
        if time.monotonic() - since < IDLE_SECONDS:
            continue
        if busy < IDLE_SECONDS * 600_000_000:
            print(f"{ENDED}slept for {IDLE_SECONDS} s", flush=True)
            kill(program)
            return
        busy, since = 0, time.monotonic()


def activity(session):
    """Nanoseconds that each thread of a session has run for, or would have, had it been let."""
    threads = {}
    for process in filter(str.isdecimal, os.listdir("/proc")):
        try:
            if os.getsid(int(process)) != session:
                continue
            for thread in os.listdir(f"/proc/{process}/task"):
                with open(f"/proc/{process}/task/{thread}/schedstat") as file:
                    threads[thread] = sum(map(int, file.read().split()[:2]))
        except OSError:
            pass
    return threads


def kill(program):
    try:
        os.killpg(program.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def outcomes(path):
    """File, name and outcome of each mutant."""
    with open(path) as file:
        found = json.load(file)["outcomes"]
    for one in found:
        if one["scenario"] == "Baseline":
            continue
        mutant = one["scenario"]["Mutant"]
        outcome = one["summary"]
        log = os.path.join(os.path.dirname(path), one["log_path"])
        if outcome == "CaughtMutant" and os.path.exists(log):
            with open(log, errors="replace") as file:
                outcome = "Timeout" if ENDED in file.read() else outcome
        yield mutant["file"], mutant["name"], outcome


def others(which, listed, known, pattern, share):
    """cargo-mutants has filters of its own, but `delete field` passes them all."""
    found = read(known)
    number, count = map(int, share.split("/"))
    with open(listed) as file:
        names = file.read().splitlines()
    chosen = [name for name in names if re.search(pattern, name)][number::count]
    missed = {"quick": (None, DOUBTFUL, MISSED), "rest": (DOUBTFUL,)}[which]
    chosen = {name for name in chosen if found.get(name, [None, None])[1] in missed}
    if chosen:
        print("\n".join(name for name in names if name not in chosen))


def keep(which, path, known):
    found = read(known)
    for file, name, outcome in outcomes(path):
        if which == "quick" and outcome == MISSED:
            outcome = DOUBTFUL
        found[name] = [file, outcome]
    with open(known, "w") as file:
        json.dump(found, file, indent=0, sort_keys=True)


def read(known):
    if not os.path.exists(known):
        return {}
    with open(known) as file:
        return json.load(file)


def table(known, listed=None):
    found = read(known)
    if listed:
        # Of the changes that there are today.
        with open(listed) as file:
            names = set(file.read().splitlines())
        found = {name: one for name, one in found.items() if name in names}
    files = {}
    for file, outcome in found.values():
        for row in file, file.split("/")[1], "both":
            files.setdefault(row, []).append(outcome)
    print("| | changes | compile | noticed | of these run for ever | missed | missed by the quick |")
    print("|---|---|---|---|---|---|---|")
    for file, each in sorted(files.items(), key=lambda row: ("/" not in row[0], row)):
        built = len(each) - each.count("Unviable")
        ever, missed, doubtful = map(each.count, ("Timeout", MISSED, DOUBTFUL))
        noticed = each.count("CaughtMutant") + ever
        share = f" ({noticed / built:.1%})" if built else ""
        print(f"| {file} | {len(each)} | {built} | {noticed}{share} | {ever} | {missed} "
              f"| {doubtful} |")
    for name, (_, outcome) in sorted(found.items()):
        if outcome in (MISSED, DOUBTFUL):
            print(name)


if __name__ == "__main__":
    commands = {"run": run, "others": others, "keep": keep, "table": table}
    sys.exit(commands[sys.argv[1]](*sys.argv[2:]))

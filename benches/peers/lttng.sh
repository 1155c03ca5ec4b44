#!/usr/bin/env bash
# One measurement of LTTng-UST, with the arguments and the answer of the other peers:
# lttng.sh PEER EVENT calls|paced|1|2 EVENTS DIRECTORY
#
# A session daemon of its own; buffers of 16 x 1 MiB for each processor, which on two of them is
# what etlring takes in all; events that find no room are discarded; the thread's id is added to
# each event. The CPU time is that of the program and of the consumer daemon, which writes the file.
set -euo pipefail

event=$2 what=$3 events=$4 directory=$5
program=${PEERS_LTTNG_PROGRAM:?the program that run.sh built}
ticks=$(getconf CLK_TCK)
export LTTNG_HOME=$directory

lttng-sessiond >/dev/null 2>&1 &
daemon=$!
trap 'kill "$daemon"; wait "$daemon" || true' EXIT
for ((try = 0; try < 100; try++)); do
    lttng --no-sessiond list >/dev/null 2>&1 && break
    sleep 0.1
done
tell() { lttng --no-sessiond --quiet "$@" >&2; }

tell create peers --output="$directory/trace"
tell enable-channel --userspace --subbuf-size=1M --num-subbuf=16 --discard all
tell enable-event --userspace --channel=all 'peers:*'
tell add-context --userspace --channel=all --type=vtid
tell start

# CPU seconds of the consumer daemons, children of this session daemon.
consumers() {
    local sum=0 child fields
    for child in $(pgrep --parent "$daemon" || true); do
        fields=$(sed 's/.*) //' "/proc/$child/stat")
        sum=$((sum + $(awk '{ print $12 + $13 }' <<<"$fields")))
    done
    awk -v sum="$sum" -v ticks="$ticks" 'BEGIN { print sum / ticks }'
}

before=$(consumers)
answer=$("$program" "$event" "$what" "$events")
# Waits until the consumer has written all that there is.
tell stop
end=$(date +%s.%N)
after=$(consumers)
if [[ $what == calls || $what == paced ]]; then
    echo "$answer"
    exit
fi
tell destroy peers
kept=$(babeltrace2 "$directory/trace" 2>/dev/null | grep -c ' a = ' || true)
bytes=$(find "$directory/trace" -type f -name 'all_*' -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }')
read -r start process_cpu < <(sed 's/start=//; s/process_cpu=//' <<<"$answer")
awk -v kept="$kept" -v all=$((events * what)) -v start="$start" -v end="$end" -v bytes="$bytes" \
    -v process="$process_cpu" -v before="$before" -v after="$after" '
    BEGIN {
        each = kept ? 1 / kept : 0
        printf "kept=%.2f lost=%.1f cpu=%.1f bytes=%.1f\n", kept / (end - start) / 1e6,
            100 * (all - kept) / all, (process + after - before) * 1e9 * each, bytes * each
    }'

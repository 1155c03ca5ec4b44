#!/usr/bin/env bash
# The C and C++ programs of the tests and the examples: installed against, compiled with gcc and g++
# without a warning, run, run again under valgrind, and what they logged replayed by the command.
#
# ETLRING_BIN          the etlring binary
# ETLRING_PROFILE=dev  the profile of cargo that the library is built with
set -euo pipefail

: "${ETLRING_BIN:?the etlring binary}"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

ETLRING_PROFILE=${ETLRING_PROFILE:-dev} bash capi/install.sh "$work/prefix"
export PKG_CONFIG_PATH=$work/prefix/lib/pkgconfig LD_LIBRARY_PATH=$work/prefix/lib
read -ra shared <<<"$(pkg-config --cflags --libs etlring)"
read -ra private <<<"$(pkg-config --variable=libdir etlring)/libetlring.a \
    $(sed -n 's/^Libs.private: //p' "$work/prefix/lib/pkgconfig/etlring.pc")"
warnings=(-Wall -Wextra -Werror -pedantic -g -O1)

# build COMPILER SOURCE OUT [FLAG...]: against the shared library, and OUT.static the other one.
build() {
    local compiler=$1 source=$2 out=$3
    shift 3
    "$compiler" "${warnings[@]}" "$@" "$source" -o "$out" "${shared[@]}" -pthread
    "$compiler" "${warnings[@]}" "$@" -I"$work/prefix/include" "$source" -o "$out.static" \
        "${private[@]}" -pthread
    # Programs ask for the library by the name that stays.
    readelf -d "$out" | grep -q 'NEEDED.*libetlring.so.0' || { echo "$out: no soname"; exit 1; }
}

# run PROGRAM ARGUMENT...: alone, linked statically, and under valgrind; the last log stays.
run() {
    local program=$1
    shift
    "$program" "$@"
    "$program.static" "$@"
    valgrind --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=definite \
        --errors-for-leak-kinds=definite \
        "$program" "$@"
    echo "$(basename "$program"): passed, alone, static and under valgrind"
}

mkdir "$work/logs"
for test in calls wrong threads http outside; do
    build gcc "capi/tests/c/$test.c" "$work/$test" -std=c11
done
build g++ capi/tests/c/owners.cpp "$work/owners" -std=c++17
build gcc examples/c/flight_recorder.c "$work/flight_recorder" -std=c11
build g++ examples/c/iis_module.cpp "$work/iis_module" -std=c++17
build g++ examples/c/iis_module.cpp "$work/iis_wide" -std=c++17 -fshort-wchar
run "$work/calls" "$work/logs/calls.etl"
run "$work/wrong" "$work/logs"
run "$work/threads" "$work/logs/threads.etl" | tee "$work/threads.out"
run "$work/http" "$work/logs/http.etl"
run "$work/outside" "$work/logs/outside.etl"
run "$work/owners" "$work/logs/owners.etl"
run "$work/flight_recorder" "$work/logs/flight.etl"
run "$work/iis_module" "$work/logs/iis.etl"
run "$work/iis_wide" "$work/logs/wide.etl"

# What they logged, as the command shows it.
for log in calls threads owners http outside flight iis wide; do
    "$ETLRING_BIN" verify "$work/logs/$log.etl" >/dev/null
    "$ETLRING_BIN" dump --fields --payload --format jsonl "$work/logs/$log.etl" \
        >"$work/logs/$log.jsonl"
done
grep '^[0-9]*$' "$work/threads.out" | tail -n 1 >"$work/logs/threads.accepted"
python3 capi/tests/replay.py "$work/logs"

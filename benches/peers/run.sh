#!/usr/bin/env bash
# Builds and measures all peers, prints one table on standard output:
#
#   bash benches/peers/run.sh [EVENTS]
#
# The Rust ones need cargo and crates.io; spdlog needs g++ and Debian's libspdlog-dev, LTTng-UST
# needs gcc, liblttng-ust-dev, lttng-tools and babeltrace2. What is not installed is left out, and
# the table says so. Everything is built below benches/peers/target. Use an idle machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

export CARGO_TARGET_DIR=$PWD/target
mkdir -p target
# Not --locked: the library beside this package may have other dependencies by now.
cargo build --release --quiet >&2

if echo '#include <spdlog/spdlog.h>' | g++ -E -x c++ - >/dev/null 2>&1; then
    # Debian's is a shared library that was compiled with its own copy of fmt.
    g++ -O3 -std=c++17 -DSPDLOG_COMPILED_LIB -DSPDLOG_FMT_EXTERNAL spdlog.cpp -o target/spdlog \
        -lspdlog -lfmt -pthread >&2
    export PEERS_SPDLOG=$PWD/target/spdlog
fi

if echo '#include <lttng/tracepoint.h>' | gcc -E -x c - >/dev/null 2>&1 &&
    command -v lttng-sessiond babeltrace2 >/dev/null; then
    gcc -O3 -I. lttng.c -o target/lttng-peer -llttng-ust -ldl -pthread -lm >&2
    export PEERS_LTTNG_PROGRAM=$PWD/target/lttng-peer PEERS_LTTNG=$PWD/lttng.sh
fi

exec target/release/peers "$@"

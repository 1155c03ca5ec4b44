#!/usr/bin/env bash
# How much of what reads bytes is reached by the tests and by the fuzz corpus: bash tests/coverage.sh
#
#   ETLRING_COVERAGE_TESTS='reader'   these test binaries and no others, and the library's own
#   ETLRING_COVERAGE_MISSING=1        also the lines that neither reaches
#
# A line for each module: its regions, those reached by tests, by the corpus, by both together. A
# region is a piece of source without a branch. It counts once, however many types the function it is
# in was compiled for, and is reached if it is in one of them.
#
# The corpus is what lies in fuzz/corpus: what fuzzing has found. If there is none, seeds are made.
# Needs rustup's stable, a C++ compiler, python3, and Debian's apt for LLVM's tools, which are unpacked
# and not installed. All is built in target/coverage.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
work=$root/target/coverage
usual='format xpress reader schema hostile edit export iis'
read -ra tests <<<"${ETLRING_COVERAGE_TESTS:-$usual}"
export RUSTFLAGS='-Cinstrument-coverage --cfg no_benches' CARGO_INCREMENTAL=0 \
    CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_OPT_LEVEL=1

main() {
    local test program target chosen=(--lib)
    mkdir -p "$work"
    [[ -d fuzz/corpus ]] || python3 fuzz/seeds.py
    tools
    rm -rf "$work/tests" "$work/corpus"

    for test in "${tests[@]}"; do
        chosen+=(--test "$test")
    done
    programs test --package etlring --features freb,manifest,otlp "${chosen[@]}" --no-run \
        --target-dir "$work/build" >"$work/programs"
    while read -r program; do
        reach tests "$program" "$program" --quiet
    done <"$work/programs"

    programs build --manifest-path fuzz/Cargo.toml --target-dir "$work/build-fuzz" >"$work/programs"
    while read -r program; do
        target=${program##*/}
        reach corpus "$program" "$program" -runs=0 "fuzz/corpus/$target"
    done <"$work/programs"

    python3 tests/coverage.py "$work/tests" "$work/corpus"
}

# The tools of the LLVM that the compiler has.
tools() {
    local major llvm deb
    major=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
    llvm=$work/llvm-$major/usr
    if [[ ! -x $llvm/bin/llvm-cov-$major ]]; then
        mkdir -p "$work/deb"
        if ! (cd "$work/deb" && apt-get -qq download "llvm-$major" "libllvm$major"); then
            apt-get -qq update
            (cd "$work/deb" && apt-get -qq download "llvm-$major" "libllvm$major")
        fi
        for deb in "$work"/deb/*.deb; do
            dpkg -x "$deb" "$work/llvm-$major"
        done
        rm -r "$work/deb"
    fi
    local libraries=$llvm/lib/x86_64-linux-gnu
    llvm_cov=(env "LD_LIBRARY_PATH=$libraries" "$llvm/bin/llvm-cov-$major")
    llvm_profdata=(env "LD_LIBRARY_PATH=$libraries" "$llvm/bin/llvm-profdata-$major")
}

# programs CARGO...: builds them and writes their paths.
programs() {
    # Build scripts are instrumented too, and would write where they run.
    LLVM_PROFILE_FILE=/dev/null cargo "$@" --locked --quiet --message-format=json | python3 -c '
import json, sys
for line in sys.stdin:
    if path := json.loads(line).get("executable"):
        print(path)'
}

# reach KIND PROGRAM COMMAND...: runs it and keeps how often each region of the program was reached.
reach() {
    local kind=$1 program=$2 name=${2##*/}
    local runs=$work/$kind/$name
    shift 2
    if ! LLVM_PROFILE_FILE=$runs-%4m.profraw "$@" >"$work/log" 2>&1 </dev/null; then
        tail -n 40 "$work/log"
        echo "$name failed; its output is in $work/log"
        return 1
    fi
    "${llvm_profdata[@]}" merge --sparse -o "$runs.profdata" "$runs"-*.profraw
    rm "$runs"-*.profraw
    "${llvm_cov[@]}" export --skip-expansions --skip-branches --instr-profile "$runs.profdata" \
        "$program" >"$runs.json"
}

main

#!/usr/bin/env bash
# Which changes of codec and reader do the tests notice: bash tests/mutants.sh [PATTERN [K/N]]
#
#   bash tests/mutants.sh                     every change that `cargo mutants` knows of: hours
#   bash tests/mutants.sh ^src/reader         those whose names the pattern is found in
#   bash tests/mutants.sh ^src/reader 0/16    each sixteenth of these
#   ETLRING_MUTANTS_QUICK=1                   the quick tests only
#
# A change is tested by tests that are quick and notice nearly all; what they miss, by the rest of
# those that read and write logs. At the end there is a line for each file, and those changes are
# named that no test noticed. What was noticed in an earlier run, also in one that was ended, is not
# tested again; for a new account remove target/mutants/known.json.
#
# All is done in a copy of the tree, in target/mutants, that is built anew only where a change needs
# it. Needs cargo-mutants (`cargo install cargo-mutants --locked`) and python3.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
work=$root/target/mutants
tree=$work/etlring
known=$work/known.json
pattern=${1:-.}
share=${2:-0/1}
# Without samples tests are passed over; here that must not be.
export CI=true CARGO_TERM_COLOR=never
unset CARGO_TARGET_DIR

main() {
    mkdir -p "$tree"
    find "$tree" -mindepth 1 -maxdepth 1 ! -name target -exec rm -r {} +
    git ls-files -z | tar --null -T - -c | tar -C "$tree" -xm
    [[ -e $work/shared ]] || ln -s "$(realpath ../shared)" "$work/shared"
    cargo mutants --dir "$tree" --list >"$work/list"

    test_by quick
    if [[ -z ${ETLRING_MUTANTS_QUICK:-} ]]; then
        test_by rest --cargo-arg=--{lib,test=edit,test=hostile,test=message}
    fi
    ours table "$known" "$work/list"
}

# test_by quick|rest ARGUMENTS...: tests each change of which nothing is known, or not enough.
test_by() {
    local which=$1 code=0
    shift
    ours others "$which" "$work/list" "$known" "$pattern" "$share" >"$work/others"
    if [[ ! -s $work/others ]]; then
        return
    fi
    rm -rf "$work/out"
    mkdir -p "$work/out/mutants.out"
    mv "$work/others" "$work/out/mutants.out/previously_caught.txt"
    trap "ours keep $which '$work/out/mutants.out/outcomes.json' '$known'" EXIT
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="python3 $root/tests/mutants.py run $which" \
        cargo mutants --dir "$tree" --in-place --iterate --output "$work/out" \
        --build-timeout 900 --timeout 300 "$@" || code=$?
    trap - EXIT
    ours keep "$which" "$work/out/mutants.out/outcomes.json" "$known"
    # 2 and 3: some were missed, some took too long.
    if ((code != 0 && code != 2 && code != 3)); then
        return "$code"
    fi
}

ours() {
    python3 "$root/tests/mutants.py" "$@"
}

main

#!/usr/bin/env bash
# ThreadSanitizer on the session's tests, with an instrumented standard library; then on a copy with a
# planted race, which it must find.
#
# usage: tests/tsan.sh     (from anywhere; builds in target/ci; needs Debian's apt and nightly)
#
# Debian's compiler comes with the sources of its standard library, and the nightly toolchain with the
# sanitizer's runtime: together they do what a nightly with rust-src does.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$PWD/target/ci
host=x86_64-unknown-linux-gnu
rust=$work/rust-src
tests=(balance:: live:: provider:: rings:: signals:: stop::)

bash .ci/rust-src "$rust"
cp "$(rustc +nightly --print sysroot)/lib/rustlib/$host/lib/librustc-nightly_rt.tsan.a" \
    "$rust/usr/lib/rustlib/$host/lib/librustc-stable_rt.tsan.a"

# soak DIRECTORY TEST...: builds the tests there and runs these; prints the number of reports.
soak() {
    local log=$work/tsan.log directory=$1 binary
    shift
    binary=$(cd "$directory" && RUSTC=$rust/rustc RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=thread \
        CARGO_TARGET_DIR=$work/tsan cargo test --quiet -Zbuild-std --target "$host" -p etlring \
        --test session --no-run --message-format json |
        sed -n 's/.*"executable":"\([^"]*\/session-[^"]*\)".*/\1/p')
    # A report is counted below, and a lost race may well fail a test.
    (cd "$directory" && TSAN_OPTIONS='exitcode=66 history_size=4' timeout 1800 "$binary" "$@") \
        >"$log" 2>&1 || true
    grep -q '^test result: ' "$log" || { tail -n 40 "$log" >&2; return 1; }
    grep -c 'WARNING: ThreadSanitizer' "$log" || true
}

reports=$(soak . "${tests[@]}")
grep '^test result: ' "$work/tsan.log"
if ((reports > 0)) || ! grep -q '^test result: ok' "$work/tsan.log"; then
    grep -A 30 'WARNING: ThreadSanitizer' "$work/tsan.log" | head -n 60
    echo "ThreadSanitizer: $reports reports, all of them in $work/tsan.log"
    exit 1
fi
echo "ThreadSanitizer: 0 reports"

copy=$work/tsan-planted
rm -rf "$copy"
mkdir -p "$copy"
cp -r Cargo.toml Cargo.lock src spec cli capi README.md benches tests examples "$copy/"
file=$copy/src/session/lane/writing.rs
commit='buffer\.store_filled(end, Ordering::Release)'
grep -q "$commit" "$file" || { echo "the commit is no longer where it was"; exit 1; }
sed -i "s/$commit/buffer.store_filled(end, Ordering::Relaxed)/" "$file"
reports=$(soak "$copy" live::)
((reports > 0)) || { echo "a relaxed commit was not noticed"; exit 1; }
echo "ThreadSanitizer: a relaxed commit gives $reports reports"

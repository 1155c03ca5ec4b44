#!/usr/bin/env bash
# Sanitizers on the tests they have something to say about, then on a copy with a planted bug, which
# they must find.
#
#   thread    ThreadSanitizer on the session's tests, with an instrumented standard library; a relaxed
#             commit is planted. Debian's compiler comes with the sources of its standard library, and
#             the nightly toolchain with the sanitizer's runtime: together they do what a nightly with
#             rust-src does.
#   address   AddressSanitizer on a session that hostile processes are attached to, for
#             ETLRING_SIEGE_SECONDS (60); a read behind what came is planted. Needs only nightly.
#
# usage: tests/sanitizers.sh [thread] [address]     (both if none is named; from anywhere; builds in
#                                                    target/ci; needs Debian's apt and nightly)
set -euo pipefail
cd "$(dirname "$0")/.."
work=$PWD/target/ci
host=x86_64-unknown-linux-gnu
rust=$work/rust-src

# build SANITIZER DIRECTORY TEST [OPTION...]: builds a test program there; prints where it is.
build() {
    local sanitizer=$1 directory=$2 test=$3
    shift 3
    (cd "$directory" && RUSTFLAGS="-Zsanitizer=$sanitizer" CARGO_TARGET_DIR=$work/$sanitizer-san \
        cargo "$@" --target "$host" -p etlring --test "$test" --no-run --message-format json) |
        sed -n "s/.*\"executable\":\"\([^\"]*\/$test-[^\"]*\)\".*/\1/p"
}

# copy SANITIZER FILE FIND PUT: makes a copy of the sources with a bug; prints where it is.
plant() {
    local copy=$work/$1-planted file=$2 find=$3 put=$4
    rm -rf "$copy"
    mkdir -p "$copy"
    cp -r Cargo.toml Cargo.lock src spec cli capi README.md benches tests examples "$copy/"
    grep -q "$find" "$copy/$file" || { echo "no longer there to break: $find" >&2; return 1; }
    sed -i "s/$find/$put/" "$copy/$file"
    echo "$copy"
}

# thread_soak DIRECTORY TEST...: builds the tests there and runs these; prints the number of reports.
thread_soak() {
    local log=$work/thread-san.log directory=$1 binary
    shift
    binary=$(RUSTC=$rust/rustc RUSTC_BOOTSTRAP=1 build thread "$directory" session test --quiet \
        -Zbuild-std)
    # A report is counted below, and a lost race may well fail a test.
    (cd "$directory" && TSAN_OPTIONS='exitcode=66 history_size=4' timeout 1800 "$binary" "$@") \
        >"$log" 2>&1 || true
    grep -q '^test result: ' "$log" || { tail -n 40 "$log" >&2; return 1; }
    grep -c 'WARNING: ThreadSanitizer' "$log" || true
}

thread() {
    local log=$work/thread-san.log reports copy
    bash .ci/rust-src "$rust"
    cp "$(rustc +nightly --print sysroot)/lib/rustlib/$host/lib/librustc-nightly_rt.tsan.a" \
        "$rust/usr/lib/rustlib/$host/lib/librustc-stable_rt.tsan.a"
    reports=$(thread_soak . balance:: live:: overwrite:: provider:: rings:: signals:: stop::)
    grep '^test result: ' "$log"
    if ((reports > 0)) || ! grep -q '^test result: ok' "$log"; then
        grep -A 30 'WARNING: ThreadSanitizer' "$log" | head -n 60
        echo "ThreadSanitizer: $reports reports, all of them in $log"
        return 1
    fi
    echo "ThreadSanitizer: 0 reports"
    copy=$(plant thread src/session/lane/writing.rs \
        'self\.start + self\.need, Ordering::Release' \
        'self.start + self.need, Ordering::Relaxed')
    reports=$(thread_soak "$copy" live::)
    ((reports > 0)) || { echo "a relaxed commit was not noticed"; return 1; }
    echo "ThreadSanitizer: a relaxed commit gives $reports reports"
}

# siege DIRECTORY SECONDS: builds the tests there, and has hostile processes attached for so long.
siege() {
    local binary
    binary=$(build address "$1" outside +nightly test --quiet --release)
    ETLRING_SIEGE_SECONDS=$2 timeout 1800 "$binary" --nocapture siege::a_siege_harms_nobody \
        >"$work/address-san.log" 2>&1
}

address() {
    local log=$work/address-san.log copy
    if ! siege . "${ETLRING_SIEGE_SECONDS:-60}"; then
        tail -n 60 "$log"
        return 1
    fi
    sed -n 's/.*figures: /AddressSanitizer: 0 reports; /p' "$log"
    # The checks that keep a walk within what came are safe code: without them it would not compile.
    # shellcheck disable=SC2016
    copy=$(plant address src/session/attach/check.rs \
        'let body = bytes\.get(BufferHeader::SIZE\.\.)\.unwrap_or_default();' \
        '#[allow(unsafe_code)] let body = unsafe { std::slice::from_raw_parts(bytes.as_ptr().wrapping_add(72), 1 << 20) };')
    if siege "$copy" 2 || ! grep -q 'ERROR: AddressSanitizer: heap-buffer-overflow' "$log"; then
        tail -n 20 "$log"
        echo "a read behind a buffer was not noticed"
        return 1
    fi
    echo "AddressSanitizer: a read behind a buffer is noticed"
}

mkdir -p "$work"
for sanitizer in "${@:-thread address}"; do
    for one in $sanitizer; do
        case $one in
            thread | address) "$one" ;;
            *) echo "no such sanitizer: $one" >&2; exit 2 ;;
        esac
    done
done

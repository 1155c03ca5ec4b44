#!/usr/bin/env bash
# The tests on other platforms, and whether all of them make the same files.
#
# usage: tests/platforms.sh [i686|s390x|aarch64|windows|wasm]...     (default: every one)
#
#   ETLRING_PLATFORM_TESTS='lib format'   these and no others: lib, or names of test binaries
#   ETLRING_PLATFORM_SKIP='cut_ torn_'    not the tests with these in their names
#
# i686 runs as it is, s390x (big-endian) and aarch64 in qemu, windows in wine; wasm is only compiled.
# Needs rustup's stable, Debian's apt and crates.io, installs the rest, and builds in
# target/platforms. The standard library is built for each platform, with its debug assertions.
# qemu orders memory as this machine does: of locks tests/loom says more.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
work=$root/target/ci
rust=$work/rust-src
outputs=$work/outputs
features=freb,manifest,otlp
usual='lib format xpress reader schema export edit outputs iis message session'
read -ra tests <<<"${ETLRING_PLATFORM_TESTS:-$usual}"
read -ra skip <<<"${ETLRING_PLATFORM_SKIP:-}"
platforms=("$@")
((${#platforms[@]})) || platforms=(i686 s390x aarch64 windows wasm)

# Tests that start their own program again, which no emulator does, by the names of their modules.
emulated=(--skip crash:: --skip disk:: --skip process:: --skip syscalls:: --skip forked::
    --skip of_a_killed_process --skip of_another_process)

main() {
    local platform
    mkdir -p "$work"
    rm -rf "$outputs"
    bash .ci/rust-src "$rust" >/dev/null
    if has outputs; then
        ETLRING_OUTPUTS=$outputs/x86_64 timed "x86_64, this machine" \
            cargo test --quiet --workspace --locked --test outputs
    fi
    for platform in "${platforms[@]}"; do
        "on_$platform"
    done
}

on_i686() {
    bash .ci/apt-install 'i686-linux-gnu-gcc /usr/i686-linux-gnu/lib/libc.a' \
        gcc-i686-linux-gnu libc6-dev-i386-cross
    export CARGO_TARGET_I686_UNKNOWN_LINUX_GNU_LINKER=i686-linux-gnu-gcc
    # In one piece: this machine may have no 32-bit libraries.
    tests_of i686 i686-unknown-linux-gnu '-Ctarget-feature=+crt-static'
}

on_s390x() {
    in_qemu s390x s390x
}

on_aarch64() {
    in_qemu aarch64 arm64
}

# in_qemu PLATFORM ARCHITECTURE: a Linux, and what Debian calls it.
in_qemu() {
    local libraries=/usr/$1-linux-gnu name=CARGO_TARGET_${1^^}_UNKNOWN_LINUX_GNU
    bash .ci/apt-install "$1-linux-gnu-gcc $libraries/lib/libc.so.6 qemu-$1" \
        "gcc-$1-linux-gnu" "libc6-dev-$2-cross" qemu-user
    export "${name}_LINKER=$1-linux-gnu-gcc" "${name}_RUNNER=timeout 900 qemu-$1 -L $libraries"
    tests_of "$1" "$1-unknown-linux-gnu" '' "${emulated[@]}"
}

on_windows() {
    bash .ci/apt-install 'x86_64-w64-mingw32-gcc wine' gcc-mingw-w64-x86-64 wine wine64
    export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=x86_64-w64-mingw32-gcc \
        CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER='timeout 900 wine' \
        WINEPREFIX=$work/wine WINEDEBUG=-all WINEDLLOVERRIDES='mscoree,mshtml='
    local system=$WINEPREFIX/drive_c/windows/system32
    if [[ ! -e $system/bcryptprimitives.dll ]]; then
        wineboot --init >/dev/null 2>&1
        # Random numbers, which the standard library wants from a file that Debian's wine lacks.
        x86_64-w64-mingw32-gcc -shared -o "$system/bcryptprimitives.dll" -xc - -ladvapi32 <<'C'
unsigned char __stdcall SystemFunction036(void *buffer, unsigned long size);
__declspec(dllexport) int ProcessPrng(void *buffer, unsigned long long size) {
    return SystemFunction036(buffer, (unsigned long)size);
}
C
    fi
    # Wine has three handles for each thread, and at most some thousands.
    tests_of windows x86_64-pc-windows-gnu '' --skip thousands_of_quiet_threads \
        --skip stop_waits_for_writers
}

# Compiled and not run: what a program for browsers links.
on_wasm() {
    local triple
    for triple in wasm32-unknown-unknown wasm32-wasip1; do
        timed "$triple, compiled" cross build "$triple" '' --lib
    done
}

# has TEST: whether it is one of those asked for.
has() {
    [[ " ${tests[*]} " == *" $1 "* ]]
}

# timed WHAT COMMAND...: runs it, says how long it took.
timed() {
    local start=$SECONDS what=$1
    shift
    "$@"
    printf -- '--- %s: passed in %d s\n' "$what" $((SECONDS - start))
}

# cross COMMAND TRIPLE FLAGS ARGUMENT...: cargo, with a standard library made for the platform: what
# tests need of it, without backtraces: their readers would be a sixth of its time.
cross() {
    local command=$1 triple=$2 flags=$3 name
    shift 3
    name=${triple^^}
    env "CARGO_TARGET_${name//-/_}_RUSTFLAGS=--cfg no_benches $flags" \
        RUSTC="$rust/rustc" RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$root/target/platforms" \
        CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_INCREMENTAL=0 \
        cargo "$command" --quiet --locked -Zbuild-std=std,panic_unwind,test \
        -Zbuild-std-features=panic-unwind --target "$triple" -p etlring \
        --features "$features" "$@"
}

# tests_of PLATFORM TRIPLE FLAGS ARGUMENT...: runs the tests and compares the files they made.
tests_of() {
    local platform=$1 triple=$2 flags=$3 chosen=() each
    shift 3
    for each in "${tests[@]}"; do
        if [[ $each == lib ]]; then chosen+=(--lib); else chosen+=(--test "$each"); fi
    done
    ETLRING_OUTPUTS=$outputs/$platform timed "$platform" \
        cross test "$triple" "$flags" "${chosen[@]}" -- "$@" "${skip[@]/#/--skip=}"
    if has outputs; then
        diff -rq "$outputs/x86_64" "$outputs/$platform"
        printf -- '--- %s: its %d files are those of x86_64, byte for byte\n' "$platform" \
            "$(find "$outputs/$platform" -type f | wc -l)"
    fi
}

main

#!/usr/bin/env bash
# Builds the C library and installs it: bash capi/install.sh PREFIX
#
# Under PREFIX (DESTDIR/PREFIX if DESTDIR is set, for packagers) it puts
#
#   include/etlring.h, etlring.hpp, etlring_iis.hpp
#   lib/libetlring.so -> libetlring.so.0 -> libetlring.so.VERSION, lib/libetlring.a
#   lib/pkgconfig/etlring.pc
#
# ETLRING_PROFILE=release  the profile of cargo to build with
set -euo pipefail

prefix=${1:?"usage: capi/install.sh PREFIX"}
profile=${ETLRING_PROFILE:-release}
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
[[ $profile == dev ]] && built=debug || built=$profile
built=${CARGO_TARGET_DIR:-target}/$built
to=${DESTDIR:-}$prefix

cargo build -p etlring-capi --lib --profile "$profile" --locked
# What a program needs beside libetlring.a is known to rustc alone.
private=$(cargo rustc -p etlring-capi --lib --profile "$profile" --locked --quiet \
    --crate-type staticlib -- --print native-static-libs 2>&1 |
    sed -n 's/^.*native-static-libs: //p' | tail -n 1)

install -d "$to/include" "$to/lib/pkgconfig"
install -m 644 include/*.h include/*.hpp "$to/include"
install -m 644 "$built/libetlring_capi.a" "$to/lib/libetlring.a"
install -m 755 "$built/libetlring_capi.so" "$to/lib/libetlring.so.$version"
ln -sf "libetlring.so.$version" "$to/lib/libetlring.so.${version%%.*}"
ln -sf "libetlring.so.${version%%.*}" "$to/lib/libetlring.so"
sed -e "s|@PREFIX@|$prefix|" -e "s|@VERSION@|$version|" -e "s|@PRIVATE@|$private|" \
    capi/etlring.pc.in >"$to/lib/pkgconfig/etlring.pc"

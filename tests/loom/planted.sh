#!/usr/bin/env bash
# Shows that the loom models notice what they are there for: each one-line bug below is planted in
# a copy of the sources, and the models must then fail.
#
# usage: tests/loom/planted.sh     (from anywhere; builds in target/ci/planted)
set -euo pipefail
cd "$(dirname "$0")/../.."
copy=target/ci/planted
mkdir -p "$copy"

# name | file | extended regular expression | replacement (the expression must match)
bugs=(
  "commit is relaxed|src/session/lane.rs|buffer\.store_filled\(end, Ordering::Release\)|buffer.store_filled(end, Ordering::Relaxed)"
  "peek is relaxed|src/session/lane.rs|buffer\.load_filled\(Ordering::Acquire\)|buffer.load_filled(Ordering::Relaxed)"
  "commit publishes before the copy|src/session/lane/model.rs|self\.0\.bytes\(\)\.copy_from_slice|self.0.publish_early(); self.0.bytes().copy_from_slice"
  "writers pass no barrier|src/session/sync.rs|^( *)fence\(Ordering::SeqCst\);\$|\1std::hint::black_box(());"
  "a hand is shown before its header|src/session/lane.rs|hand\.swap\(hand, Ordering::AcqRel\)|hand.swap(hand, Ordering::Relaxed)"
  "full list is pushed relaxed|src/session/pool.rs|compare_exchange_weak\(head, index, Ordering::Release|compare_exchange_weak(head, index, Ordering::Relaxed"
  "free set is put relaxed|src/session/pool.rs|fetch_or\(bit, Ordering::Release\)|fetch_or(bit, Ordering::Relaxed)"
  "a stolen hand is not looked at again|src/session/lane.rs|if pushed_out != EMPTY_HAND|if pushed_out != EMPTY_HAND \&\& false"
  "a busy lane is stolen from|src/session/lane.rs|if lane\.busy\.load\(Ordering::Acquire\) != 0\$|if false \&\& lane.busy.load(Ordering::Acquire) != 0"
  "commit ignores a closed lane|src/session/lane.rs|if entered\.lane\.closed\.load\(Ordering::Relaxed\) != 0|if false"
)

models() {
  RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR="$PWD/target/loom" \
    cargo test --quiet --release --manifest-path "$copy/Cargo.toml" -p etlring --test loom
}

plant() {
  rm -rf "${copy:?}"/*
  cp -r Cargo.toml Cargo.lock src spec cli "$copy/"
  mkdir -p "$copy/tests" "$copy/benches" "$copy/examples"
  cp -r tests/loom "$copy/tests/"
  sed -i '/^\[\[bench\]\]/,/^$/d' "$copy/Cargo.toml"
  printf '%s\n' 'impl Space<'"'"'_> { #[cfg(loom)] #[allow(dead_code)] pub(crate) fn publish_early(&self) { self.buffer.store_filled(self.start + self.need, Ordering::Release); } }' >>"$copy/src/session/lane.rs"
}

plant
models >/dev/null 2>&1 || { echo "the models fail without a bug"; models; exit 1; }
missed=0
for bug in "${bugs[@]}"; do
  IFS='|' read -r name file find put <<<"$bug"
  plant
  grep -qE "$find" "$copy/$file" || { echo "no longer there to break: $name"; exit 1; }
  sed -i -E "s|$find|$put|" "$copy/$file"
  if output=$(models 2>&1); then
    echo "MISSED  $name"
    missed=$((missed + 1))
  elif grep -q "test result: FAILED" <<<"$output"; then
    echo "caught  $name ($(grep -oE '^test .* FAILED' <<<"$output" | wc -l) models)"
  else
    echo "the planted source does not build: $name"
    tail -20 <<<"$output"
    exit 1
  fi
done
echo "$((${#bugs[@]} - missed)) of ${#bugs[@]} planted bugs caught"
((missed == 0))

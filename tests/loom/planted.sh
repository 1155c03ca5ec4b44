#!/usr/bin/env bash
# Shows that the loom models notice what they are there for: each one-line bug below is planted in
# a copy of the sources, and the model named with it must then fail.
#
# usage: tests/loom/planted.sh     (from anywhere; builds in target/ci)
set -euo pipefail
cd "$(dirname "$0")/../.."
copy=target/ci/planted
mkdir -p "$copy"

# bug | model | file | extended regular expression, which must match | replacement
bugs=(
  "commit is relaxed|peek_sees|lane/writing.rs|self\.start \+ self\.need, Ordering::Release|self.start + self.need, Ordering::Relaxed"
  "peek is relaxed|peek_sees|lane/collector.rs|buffer\.load_filled\(Ordering::Acquire\)|buffer.load_filled(Ordering::Relaxed)"
  "commit publishes before the copy|peek_sees|lane/model.rs|self\.0\.bytes\(\)\.copy_from_slice|self.0.publish_early(); self.0.bytes().copy_from_slice"
  "a hand is shown before its header|peek_sees|lane/writing.rs|hand\.swap\(fresh\.start\(\), Ordering::AcqRel\)|hand.swap(fresh.start(), Ordering::Relaxed)"
  "a buffer does not say its number|steal_from_a_switching|lane/writing.rs|of\.store\(number, Ordering::Relaxed\)|of.store(0, Ordering::Relaxed)"
  "full list is pushed relaxed|switch_and|pool.rs|compare_exchange_weak\(head, index, Ordering::Release|compare_exchange_weak(head, index, Ordering::Relaxed"
  "free set is put relaxed|switch_and|pool.rs|fetch_or\(bit, Ordering::Release\)|fetch_or(bit, Ordering::Relaxed)"
  "writers pass no barrier|stop_takes|sync.rs|^( *)fence\(Ordering::SeqCst\);\$|\1std::hint::black_box(());"
  "a busy lane is stolen from|steal_from_a_waking|lane/collector.rs|if lane\.busy\.load\(Ordering::Acquire\) != 0\$|if false \&\& lane.busy.load(Ordering::Acquire) != 0"
  "a hand put back is not looked at|steal_from_a_switching|lane/writing.rs|if let Some\(old\) = self\.ring\.in_hand\(pushed_out\)|if let Some(old) = self.ring.in_hand(pushed_out).xor(self.ring.in_hand(pushed_out))"
  "a pinned buffer is overwritten|pinned_buffers|lane/pin.rs|taken\.is_ok_and\(.*\)|taken.is_ok()"
  "an unpin is relaxed|pinned_buffers|lane/pin.rs|\(PINNED, 0, Ordering::Release|(PINNED, 0, Ordering::Relaxed"
  "a buffer left while it was pinned is lost|pinned_buffers|lane/pin.rs|self\.ring\.exchange\.free\.put\(self\.index\);|let _ = self.index;"
  "a buffer is given up relaxed|a_writer_takes|backlog.rs|fetch_add\(place << HOLDS, Ordering::Release\)|fetch_add(place << HOLDS, Ordering::Relaxed)"
  "a buffer is taken back relaxed|a_writer_takes|backlog.rs|exchange\(now, 0, Ordering::Acquire|exchange(now, 0, Ordering::Relaxed"
  "two take one buffer|a_full_buffer|backlog.rs|word\.compare_exchange\(now, 0, .*\.is_ok\(\)|word.load(Ordering::Acquire) == now \&\& (word.store(0, Ordering::Relaxed), true).1"
  "a hold ends relaxed|what_is_being|backlog.rs|fetch_sub\(HOLD, Ordering::Release\)|fetch_sub(HOLD, Ordering::Relaxed)"
  "the hand is not looked at again|what_is_being|lane/collector.rs|if self\.ring\.overwrites_full\(\)|if false"
  "a buffer put back is counted by its lane|put_back_has|lane/overwrite.rs|let began_last = self\.lane\..*;|let began_last = true;"
  "a closed lane takes a buffer back|nothing_gives_way|lane/writing.rs|if empty\.is_none\(\) \{|if false {"
  "a closed lane is not left|close_out_an|lane/writing.rs|^    lane\.leave\(\);|    let _ = result;"
  "commit ignores a closed lane|close_out|lane/writing.rs|self\.entered\.lane\.closed\.load\(Ordering::Relaxed\) != 0|false"
)

# Runs one model of the copy.
model() {
  # What a bug changes is little: so is what is compiled again.
  RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR="$PWD/target/ci/planted-target" \
    CARGO_INCREMENTAL=1 CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_PROFILE_RELEASE_LTO=off \
    CARGO_PROFILE_RELEASE_CODEGEN_UNITS=256 \
    cargo test --quiet --release --manifest-path "$copy/Cargo.toml" -p etlring --test loom "$1"
}

# Makes the copy anew, with the one function that a bug needs to be written down.
plant() {
  rm -rf "${copy:?}"/*
  cp -r Cargo.toml Cargo.lock src spec cli capi examples README.md "$copy/"
  mkdir -p "$copy/tests"
  cp -r tests/loom "$copy/tests/"
  sed -i '/^\[\[bench\]\]/,/^$/d' "$copy/Cargo.toml"
  cat >>"$copy/src/session/lane/writing.rs" <<'RUST'
#[cfg(loom)]
impl Space<'_> {
    #[allow(dead_code)]
    pub(crate) fn publish_early(&self) {
        self.buffer.store_filled(self.start + self.need, Ordering::Release);
    }
}
RUST
}

plant
model peek_sees >/dev/null || { echo "the copy fails without a bug"; exit 1; }
missed=0
for bug in "${bugs[@]}"; do
  IFS='|' read -r name model file find put <<<"$bug"
  plant
  file=$copy/src/session/$file
  grep -qE "$find" "$file" || { echo "no longer there to break: $name"; exit 1; }
  sed -i -E "s|$find|$put|" "$file"
  if output=$(model "$model" 2>&1); then
    echo "MISSED  $name"
    missed=$((missed + 1))
  elif grep -q "test result: FAILED" <<<"$output"; then
    echo "caught  $name"
  else
    echo "the planted source does not build: $name"
    tail -20 <<<"$output"
    exit 1
  fi
done
echo "$((${#bugs[@]} - missed)) of ${#bugs[@]} planted bugs caught"
((missed == 0))

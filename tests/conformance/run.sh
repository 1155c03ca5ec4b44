#!/usr/bin/env bash
# What foreign readers make of our logs: bash tests/conformance/run.sh
#
#   ETLRING_BIN     the command; default: target/release/etlring
#   ETLRING_PYTHON  an interpreter that has dissect.etl and opentelemetry-proto; default:
#                   /tmp/w/venv/bin/python or python3
#   ETLRING_CHROMIUM  a browser; default: chromium, installed with apt if there is none
#   ETLRING_EVENTS  of each of the four threads of the large log; default: 250000
#
# A line for each check, with its figures. Exits non-zero if any reader disagrees. The reference
# reader lies outside the repository, in ../shared/peers; without it its checks are skipped, but
# with CI=true they fail.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

BIN=${ETLRING_BIN:-${CARGO_TARGET_DIR:-target}/release/etlring}
PYTHON=${ETLRING_PYTHON:-/tmp/w/venv/bin/python}
EVENTS=${ETLRING_EVENTS:-250000}
command -v "$PYTHON" >/dev/null || PYTHON=python3
[[ -x $BIN ]] || { echo "no $BIN; build it: cargo build --release --workspace" >&2; exit 2; }
"$PYTHON" -c 'import dissect.etl' || { echo "$PYTHON lacks dissect.etl" >&2; exit 2; }
"$PYTHON" -c 'import opentelemetry.proto' || { echo "$PYTHON lacks opentelemetry-proto" >&2; exit 2; }
for tool in tshark xmllint; do
    command -v "$tool" >/dev/null || { echo "no $tool; Debian has it" >&2; exit 2; }
done

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

# record NAME EVENTS: a log of four threads, and its manifest.
record() {
    printf '%-9s ' record
    nice cargo run --quiet --release --locked --example mixed_log -- "$WORK/$1.etl" \
        --manifest "$WORK/$1.txt" --events "$2"
}

record large "$EVENTS"
record small 25000
printf '%-9s ' record
nice cargo run --quiet --release --locked --example messages -- "$WORK/messages.etl"
mkdir "$WORK/modes"
nice cargo run --quiet --release --locked --example file_modes -- "$WORK/modes" >"$WORK/modes.txt"
nice cargo run --quiet --release --locked --example event -- "$WORK/event.etl" >/dev/null
nice cargo run --quiet --release --locked --features tracing --example tracing_layer \
    -- "$WORK/tracing.etl" >/dev/null
nice "$PYTHON" tests/conformance/agree.py "$BIN" "$WORK"
nice "$PYTHON" tests/conformance/exports.py "$BIN"
# Names and texts that mean harm, in a file whose name does too.
hostile=$WORK/$'=x\e[2J\xc2\x9b\n".etl'
nice cargo run --quiet --release --locked --example hostile_texts -- "$hostile" >/dev/null
nice "$PYTHON" tests/conformance/injection.py "$BIN" "$hostile" "$WORK"
mkdir "$WORK/edit"
nice "$PYTHON" tests/conformance/edit.py "$BIN" "$WORK/edit"

# Pages of requests in a browser: one event, ten thousand, many requests, texts that mean harm.
browser=${ETLRING_CHROMIUM:-$(command -v chromium || command -v google-chrome || true)}
if [[ -z $browser && $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
        apt-get -qq install -y --no-install-recommends chromium >/dev/null || true
    browser=$(command -v chromium || true)
fi
if [[ -z $browser ]]; then
    echo "page      skipped: no Chromium here, and it cannot be installed"
    exit 0
fi
pages=()
for log in 'one 1 1' 'large 1 10000' 'many 60 60' 'hostile 12 40 --hostile'; do
    read -r name arguments <<<"$log"
    # shellcheck disable=SC2086 # several arguments
    nice cargo run --quiet --release --locked --example requests -- "$WORK/$name.iis.etl" $arguments
    "$BIN" export --to html -o "$WORK/$name.html" "$WORK/$name.iis.etl" 2>/dev/null
    pages+=("$WORK/$name.html")
done
nice "$PYTHON" tests/conformance/page.py "$browser" "${pages[@]}"

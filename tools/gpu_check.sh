#!/usr/bin/env bash
# Everything worth knowing about needle on one device, in one command: tools/gpu_check.sh DEVICE
#
# Installs needle into a virtual environment of its own, runs the self-test, the tests that take a device, and the
# benchmark, and prints a summary to send. DEVICE is a name that `python -m needle` lists; without one, the default
# device is taken. What was done lies in full in the folder that the summary names. PYTHON names the interpreter.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
root=$PWD
out=$(mktemp -d "${TMPDIR:-/tmp}/needle-check.XXXXXX")

"${PYTHON:-python3}" -m venv "$out/venv" && "$out/venv/bin/pip" install --quiet ".[test]" matplotlib rich scipy || exit 1
python=$out/venv/bin/python
cd "$out" || exit 1

"$python" -m needle >"$out/devices" 2>&1
device=${1:-$("$python" -c 'import needle; print(needle.default_device().name)')}
export NEEDLE_TEST_DEVICES=$device NEEDLE_TEST_INSTALLED=1 NEEDLE_DEVICE=$device HYPOTHESIS_PROFILE=ci

echo "self-test of $device ..."
"$python" -m needle doctor "$device" 2>&1 | tee "$out/doctor"
healthy=${PIPESTATUS[0]}
echo "tests on $device (some minutes) ..."
"$python" -m pytest -q -n 4 -c "$root/pyproject.toml" --rootdir "$root" -p no:cacheprovider -m "device and not slow and not large" \
    "$root/tests" \
    >"$out/tests" 2>&1
passed=$?
echo "benchmark on $device ..."
(cd "$root" && "$python" -m benchmarks run --peers numpy --device "$device" --output "$out/benchmark") >"$out/benchmark.log" 2>&1
measured=$?

{
    echo "==== needle on $device"
    uname -srm
    cat "$out/devices"
    echo "---- self-test: exit status $healthy"
    cat "$out/doctor"
    echo "---- tests: exit status $passed"
    grep -E '^FAILED|^ERROR' "$out/tests" | head -n 30
    tail -n 1 "$out/tests"
    echo "---- benchmark: exit status $measured"
    tail -n 40 "$out/benchmark.log"
} | tee "$out/summary"
echo
echo "The summary is $out/summary; all of it lies in $out"
[ "$healthy" = 0 ] && [ "$passed" = 0 ] && [ "$measured" = 0 ]

#!/usr/bin/env bash
# Everything worth knowing about needle on one device, in one command: tools/gpu_check.sh DEVICE
#
# Installs needle into a virtual environment of its own and runs the self-test, the device's own bandwidth and flops beside
# PyTorch's if the interpreter has it, the tests that take a device, the benchmark, and the search for launch shapes. Each
# part has a limit of seconds; together they take ten minutes at most. Prints one report to attach to an issue. DEVICE is a
# name that `python -m needle` lists; without one, the default device is taken. What was done lies in full in the folder
# that the report names. PYTHON names the interpreter. NEEDLE_CHECK_SMALL=1 takes small sizes: to try the script itself.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
root=$PWD
out=$(mktemp -d "${TMPDIR:-/tmp}/needle-check.XXXXXX")
small=${NEEDLE_CHECK_SMALL:-}
unset PYTHONPATH # what is checked is what is installed here

# PyTorch, with the card's own libraries, is taken from where it is.
others=()
if "${PYTHON:-python3}" -c 'import torch' 2>/dev/null; then others=(--system-site-packages); fi
"${PYTHON:-python3}" -m venv "$out/venv" ${others[@]+"${others[@]}"} &&
    "$out/venv/bin/pip" install --quiet ".[test]" matplotlib rich scipy || exit 1
python=$out/venv/bin/python
cd "$out" || exit 1

"$python" -m needle >"$out/devices" 2>&1
device=${1:-$("$python" -c 'import needle; print(needle.default_device().name)')}
export NEEDLE_TEST_DEVICES=$device NEEDLE_TEST_INSTALLED=1 NEEDLE_DEVICE=$device HYPOTHESIS_PROFILE=ci

# part NAME SECONDS COMMAND...: runs a part, whose exit status (124: it ran out of time) and output go to files of its name.
part() {
    local name=$1 limit=$2
    shift 2
    echo "$name on $device (at most $limit s) ..."
    timeout "$limit" "$@" >"$out/$name" 2>&1
    echo $? >"$out/$name.status"
}
part self-test 110 "$python" -m needle doctor "$device"
part speeds 60 "$python" "$root/tools/gpu_speeds.py" "$device" ${small:+--small}
part tests 170 "$python" -m pytest -q -n 4 -c "$root/pyproject.toml" --rootdir "$root" -p no:cacheprovider \
    -m "device and not slow and not large" "$root/tests" ${small:+-k test_launch_shapes}
cd "$root" || exit 1
part benchmark 100 "$python" -m benchmarks run --peers numpy --device "$device" --output "$out/plots" --rounds 3 \
    ${small:+--quick --only matvec/}
cd "$out" || exit 1
part tune 60 "$python" -m needle tune --device "$device" --dry-run --seconds "$([ "$small" ] && echo 2 || echo 30)"

status() { cat "$out/$1.status"; }
{
    echo "==== needle on $device"
    uname -srm
    cat "$out/devices"
    for name in self-test speeds tests benchmark tune; do
        echo "---- $name: exit status $(status $name)"
        if [ $name = tests ]; then grep -E '^FAILED|^ERROR' "$out/tests" | head -n 30; fi
        tail -n 40 "$out/$name" | cut -c 1-200
    done
} | tee "$out/summary"
echo
echo "The summary is $out/summary; all of it lies in $out"
# Benchmark, tests and tune may run out of time on a slow device: what they found until then is in the report.
fine() { case $(status "$1") in 0 | 124) true ;; *) false ;; esac; }
[ "$(status self-test)" = 0 ] && fine speeds && fine tests && fine benchmark && fine tune

#!/bin/sh
# Run the public test suite of the Array API standard on needle:
#
#     tools/array_api_suite.sh CHECKOUT [DEVICE] [options of pytest]
#
# CHECKOUT is one of https://github.com/data-apis/array-api-tests with its submodule; needle is tested with the release
# 2026.02.26. Its requirements must be installed beside needle: pytest, pytest-json-report, hypothesis and ndindex.
# DEVICE is the default device of the run: pocl if none is named. Options might be `--max-examples 5`, or a test.
#
# The suite tests version 2024.12 of the standard, without the optional `fft` extension. Complex dtypes are left out:
# needle has none, and so are the cases of complex numbers, which have `real`, `imag` or `conj` in their names. No example
# has a deadline, since the first one of a kind compiles its kernels.
set -eu
checkout=${1:?"usage: tools/array_api_suite.sh CHECKOUT [DEVICE] [options of pytest]"}
shift
device=pocl
case "${1:-}" in
"" | -*) ;;
*)
    device=$1
    shift
    ;;
esac
here=$(cd "$(dirname "$0")/.." && pwd)
cd "$checkout"
ARRAY_API_TESTS_MODULE=needle_for_suite \
ARRAY_API_TESTS_VERSION=2024.12 \
NEEDLE_DEVICE=$device \
PYTHONPATH=$here:$here/tools/array_api${PYTHONPATH:+:$PYTHONPATH} \
    exec python -m pytest -q --disable-extension fft --disable-deadline \
    -k "not real and not imag and not conj and not fft" "$@" array_api_tests

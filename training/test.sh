#!/bin/sh
# The tests of this folder. PYTHON names the interpreter of its environment (python3 unless given).
set -eu
cd "$(dirname "$0")"
exec "${PYTHON:-python3}" -m pytest -rs --junitxml=reports/test.xml "$@"

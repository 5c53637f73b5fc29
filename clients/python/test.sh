#!/bin/sh
# The tests of the client, against the real service (built). PYTHON names the interpreter (python3 unless given).
set -eu
cd "$(dirname "$0")"
PYTHONPATH=src exec "${PYTHON:-python3}" -m pytest -rs --junitxml=reports/test.xml "$@"

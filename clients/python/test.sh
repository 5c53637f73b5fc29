#!/bin/sh
# The tests of the client, against the real service (built). PYTHON_CLIENT names the interpreter (else PYTHON, else python3).
set -eu
cd "$(dirname "$0")"
PYTHONPATH=src exec "${PYTHON_CLIENT:-${PYTHON:-python3}}" -m pytest -rs --junitxml=reports/test.xml "$@"

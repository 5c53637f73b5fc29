#!/bin/sh
# Format, lint and types of the client. PYTHON_CLIENT names the interpreter (else PYTHON, else python3).
set -eu
cd "$(dirname "$0")"
python=${PYTHON_CLIENT:-${PYTHON:-python3}}
"$python" -m ruff format --check .
"$python" -m ruff check .
"$python" -m mypy

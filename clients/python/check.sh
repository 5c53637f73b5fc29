#!/bin/sh
# Format, lint and types of the client. PYTHON names the interpreter (python3 unless given).
set -eu
cd "$(dirname "$0")"
python=${PYTHON:-python3}
"$python" -m ruff format --check .
"$python" -m ruff check .
"$python" -m mypy

#!/bin/sh
# Format, lint, floors and types of this folder. PYTHON names the interpreter of its environment (python3 unless given).
set -eu
cd "$(dirname "$0")"
python=${PYTHON:-python3}
"$python" -m ruff format --check .
"$python" -m ruff check .
"$python" -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'
"$python" -m mypy

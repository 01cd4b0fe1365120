#!/bin/sh
# Resolves pyproject.toml with all development extras in a fresh environment and writes requirements.lock.
set -eu
work="$(mktemp -d)"; trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet "torch==2.13.0" --extra-index-url "$TORCH_INDEX"
"$work/venv/bin/pip" install --quiet -e '.[dev]'
{
    echo "# Tested set for Python 3.11+, made by 'make lock' from pyproject.toml with the dev extra."
    "$work/venv/bin/pip" freeze --exclude-editable | grep -viE '^(pip|setuptools|wheel)==' | sed -E 's/^(torch==[0-9.]+)\+.*/\1/'
} > requirements.lock

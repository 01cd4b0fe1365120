#!/bin/sh
# Virtual environment with the locked dependencies, this project, and the demo's base model. Can be run again.
set -eu
PYTHON="${PYTHON:-python3}"; VENV="${VENV:-.venv}"
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Python 3.11 or newer is needed; $PYTHON is $("$PYTHON" -V). Use: make PYTHON=python3.12 ..." >&2
    exit 1
}
[ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV"
pip() { "$VENV/bin/python" -m pip --disable-pip-version-check "$@"; }

# torch first, alone and without what it needs (the lock has that): a local version (+cpu, +cu...) sorts above the
# plain one, so the extra
# index wins where it can be reached, and it is asked for nothing else.
if ! "$VENV/bin/python" -c 'import importlib.metadata as m; assert m.version("torch").startswith("2.13.0")' 2>/dev/null; then
    echo "Installing torch 2.13.0"
    pip install --quiet --no-deps "torch==2.13.0" --extra-index-url "$TORCH_INDEX"
fi
echo "Installing locked dependencies"
pip install --quiet -r requirements.lock
pip install --quiet --no-deps -e .
echo "Fetching the demo's base model (pinned by hash)"
"$VENV/bin/python" -m train.base fetch
echo "Compiling the dedupe kernels for this machine"
"$VENV/bin/python" -c 'from curate.dedupe import warm_up; warm_up()'

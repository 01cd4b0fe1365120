"""Put axe-core where the accessibility tests find it: a pinned package from npm, checked by its SHA-256.

A development step, run once by hand: ``python -m scripts.fetch_axe``. Does not cover: running it
(`tests/test_accessibility.py`), and nothing of the product needs it.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from train.base import cache_root

VERSION = "4.11.0"
SHA256 = "39bed7d72308f6d620789c169d699bfd7e8da80f65b545821a6b2215c3e83107"


def place() -> Path:
    """Where the script lies once it was fetched."""
    return cache_root() / f"axe-core-{VERSION}.min.js"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", f"axe-core@{VERSION}", "--silent"], cwd=folder, check=True)
        archive = Path(folder) / f"axe-core-{VERSION}.tgz"
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
        if found != SHA256:
            print(
                f"axe-core {VERSION} has SHA-256 {found}, expected {SHA256}. Nothing was kept.",
                file=sys.stderr,
            )
            return 1
        with tarfile.open(archive) as tar:
            member = tar.extractfile("package/axe.min.js")
            assert member is not None
            place().parent.mkdir(parents=True, exist_ok=True)
            place().write_bytes(member.read())
    print(place())
    return 0


if __name__ == "__main__":
    sys.exit(main())

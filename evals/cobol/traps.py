"""Our own programs, one a trap of COBOL, each with a right and a wrong translation: what the scorer must tell apart.

Used by the tests and by ``benchmarks/code.py``. Does not cover: programs as long as those at work.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "pitfalls"


@dataclass(frozen=True)
class Pitfall:
    """``trap`` says what COBOL does, ``mistake`` what the wrong translation gets wrong."""

    name: str
    trap: str
    mistake: str
    cobol: str
    right: str
    wrong: str
    domain: dict[str, Any] | None = None


def pitfalls() -> list[Pitfall]:
    """All of them, by name."""
    found = []
    for path in sorted(FOLDER.glob("*.toml")):
        body = tomllib.loads(path.read_text("utf-8"))
        domain = json.loads(body.pop("domain")) if "domain" in body else None
        found.append(Pitfall(name=path.stem, domain=domain, **body))
    return found

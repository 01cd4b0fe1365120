"""Model or endpoint -> scores -> verdict -> report.

Lives here: scorers (`evals.metrics`, one Hugging Face ``evaluate`` module a folder), the runner (`evals.run`), its
arms, the statistics, the gate, the report. Does not live here: anything that opens the store or trains; this room
knows a snapshot folder, a model folder and an eval file.

Public names: `metric`, `metric_names`, `scorer_version`, `claims`.
"""

from __future__ import annotations

import atexit
import hashlib
import importlib
import importlib.metadata
import importlib.util
import re
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from curate.errors import NotFound

if TYPE_CHECKING:
    import evaluate

METRICS = Path(__file__).parent / "metrics"


def metric_names() -> list[str]:
    """Scorers that come with the product, in alphabetical order."""
    return sorted(path.parent.name for path in METRICS.glob("*/*.py") if path.stem == path.parent.name)


def metric(name: str) -> evaluate.EvaluationModule:
    """A fresh scorer, loaded without a network, from a checkout or an installed wheel.

    The module is imported in place. ``evaluate.load`` would copy it into a cache in the home folder that is shared
    between projects, where a stale copy can win; an in-place import has no copies. ``evaluate.load(path)`` on the
    same folder works as well. Every call gives a new object, so that two threads never share a buffer.

    Raises `NotFound` naming the known scorers.
    """
    cls, _ = _load(name)
    return cls(keep_in_memory=True, cache_dir=_scratch())


def scorer_version(name: str) -> str:
    """Hash (16 hex digits) of the scorer's files and of the helpers and libraries that it declares.

    A module may declare ``HELPERS`` (dotted names of modules outside its folder) and ``LIBRARIES`` (distribution
    names, whose installed version counts). Its card (``*.md``) does not count: better words are not a new scorer.
    """
    return _load(name)[1]


class Claims(NamedTuple):
    """Kinds of error, in words: those a scorer can be relied on to see, and those it is known to miss."""

    sees: tuple[str, ...]
    misses: tuple[str, ...]


def claims(name: str) -> Claims:
    """What the scorer's card claims: the points under its headings "Claims to see" and "Does not claim to see".

    ``python -m benchmarks planted`` measures every claim. Raises `NotFound` naming the known scorers.
    """
    if name not in metric_names():
        raise NotFound(f"No scorer {name!r}. Known scorers: {', '.join(metric_names())}.")
    card = (METRICS / name / "README.md").read_text("utf-8")
    return Claims(_points(card, "Claims to see"), _points(card, "Does not claim to see"))


def _points(card: str, heading: str) -> tuple[str, ...]:
    _, _, after = card.partition(f"\n## {heading}\n")
    section = after.partition("\n## ")[0]
    return tuple(line.removeprefix("- ").strip() for line in section.splitlines() if line.startswith("- "))


@cache
def _load(name: str) -> tuple[type[Any], str]:
    """Class and version together, so that the version always belongs to the code that runs."""
    import evaluate

    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or not (METRICS / name / f"{name}.py").is_file():
        raise NotFound(f"No scorer {name!r}. Known scorers: {', '.join(metric_names())}.")
    module = importlib.import_module(f"evals.metrics.{name}.{name}")
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, evaluate.EvaluationModule)
        and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise NotFound(
            f"evals/metrics/{name}/{name}.py must hold exactly one scorer class, not {len(found)}."
        )
    return found[0], _fingerprint(METRICS / name, module)


def _fingerprint(folder: Path, module: Any) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".md":
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    for helper in getattr(module, "HELPERS", ()):
        spec = importlib.util.find_spec(helper)
        if spec is None or spec.origin is None:
            raise NotFound(f"Scorer {folder.name!r} declares the helper {helper!r}, which cannot be found.")
        digest.update(helper.encode() + b"\0" + hashlib.sha256(Path(spec.origin).read_bytes()).digest())
    for library in getattr(module, "LIBRARIES", ()):
        digest.update(f"{library}=={importlib.metadata.version(library)}\0".encode())
    return digest.hexdigest()[:16]


@cache
def _scratch() -> str:
    """`evaluate` makes an empty folder a scorer even when it keeps everything in memory; not in the home folder."""
    folder = tempfile.TemporaryDirectory(prefix="goldpair-metrics-")
    atexit.register(folder.cleanup)
    return folder.name

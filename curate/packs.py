"""Task packs as a team meets them: the shipped ones to look at, and new ones made from them or from a scaffold.

Covers: what the gallery shows of a pack, copying a pack under a new name, the scaffold, checking that a pack is whole.
Does not cover: the schema (`curate.tasks`), running a pack (`curate.demo`). Guidelines and sample texts are handed on
as they are; nothing here reads them as anything but text.
"""

from __future__ import annotations

import json
import re
import shutil
from functools import lru_cache
from pathlib import Path
from typing import Any

from curate import results
from curate.errors import UsageError
from curate.tasks import TaskPack, load_eval, load_pack, shipped_packs
from curate.workspace import Workspace

SCAFFOLD = Path(__file__).parent / "scaffold"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
SAMPLES = 3
#: tables that somebody signed for one task; a copy has to be signed for anew
SIGNED = ("demo", "waivers")
_HEAD = re.compile(r"^\s*\[\[?\s*([\w.-]+)\s*\]?\]")
_PERSONAL = re.compile(r"@|\d{4}")  # samples without planted contacts come first


def new_task(workspace: Workspace, name: str, like: str | None = None) -> Path:
    """Make the task ``name`` in the workspace, from the pack ``like`` or else from the scaffold. Returns its folder.

    Declared overrides and waivers of ``like`` are commented out: whoever signed, signed for that task. The folder
    appears whole or not at all. Raises `UsageError` for a bad or taken name, `NotFound` for an unknown ``like``.
    """
    from curate.tasks import find_pack

    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a task: small letters, digits and hyphens, at most 63."
        )
    target = workspace.tasks / name
    if name in shipped_packs() or target.exists():
        raise UsageError(f"There is a task {name} already. Choose another name.")
    if like is not None and Path(like).name != like:
        raise UsageError(f"{like!r} is no name of a task pack; a path is not taken here.")
    source = find_pack(like, workspace.tasks) if like else SCAFFOLD
    old, title = load_pack(source), name.replace("-", " ").capitalize()
    partial = workspace.tasks / f".{name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        shutil.copytree(source, partial, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        path = partial / "task.toml"
        path.write_text(_renamed(path.read_text("utf-8"), old.name, name, title), "utf-8")
        guide = partial / "guidelines.md"
        if guide.is_file():
            heading, rest = (guide.read_text("utf-8") + "\n").split("\n", 1)
            guide.write_text(f"{heading.replace(old.title, title, 1)}\n{rest.rstrip()}\n", "utf-8")
        pack = check_pack(partial, name)
        if pack.demo or pack.waivers:
            raise UsageError(
                f"{source}: its [demo] or [[waivers]] cannot be taken out by line; write each on lines of its own."
            )
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _renamed(text: str, old: str, new: str, title: str) -> str:
    """``task.toml`` of another name, comments and all; what was signed for the old task becomes a comment."""
    out: list[str] = []
    signed = top = False
    for number, line in enumerate(text.splitlines()):
        head = _HEAD.match(line)
        if head:
            top = True
            was, signed = signed, head[1].split(".")[0] in SIGNED
            if signed and not was:
                out.append(f"# Signed for {old}; sign again if it holds for {new}.")
        if not top and re.match(r"\s*name\s*=", line):
            line = f'name = "{new}"'
        elif not top and re.match(r"\s*title\s*=", line):
            line = f'title = "{title}"'
        elif number == 0 and line.startswith("#"):
            line = line.replace(old, new)
        out.append(f"# {line}".rstrip() if signed and line.strip() else line)
    return "\n".join(out) + "\n"


def check_pack(folder: Path, name: str | None = None) -> TaskPack:
    """Load a pack and show every part of it to the room that uses it. Raises what that room says against it."""
    import evals
    from curate.dedupe.settings import make_settings
    from curate.privacy import Policy

    pack = load_pack(folder)
    if name is not None and pack.name != name:
        raise UsageError(f"{folder / 'task.toml'}: the name is {pack.name!r} and not {name!r}.")
    Policy.load(pack.privacy)
    make_settings(pack.dedupe)
    for suite in pack.suites:
        if suite.metric not in evals.metric_names():
            known = ", ".join(evals.metric_names())
            raise UsageError(f"{folder / 'task.toml'}: no scorer {suite.metric!r}. Known: {known}.")
        load_eval(folder, suite)
    return pack


def next_steps(folder: Path) -> list[str]:
    """What to do with a new task, one line each."""
    name = folder.name
    return [
        f"Say what the task is: {folder / 'task.toml'} and guidelines.md",
        f"Replace the examples: records.jsonl, eval.jsonl (keep sources apart), then goldpair import {name} FILE",
        f"goldpair scan {name} && goldpair dedupe {name}, then review",
        f"goldpair snapshot create {name}, goldpair preflight SNAPSHOT, goldpair train SNAPSHOT",
    ]


# --- the gallery --------------------------------------------------------------------------------------------


def gallery(workspace: Workspace, models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every shipped pack with guidelines, samples and its last result; ``models`` are the register's rows.

    ``result`` is ``{"where", "words", "verdict", "worth_it", "suites"}``: of the newest version of this workspace that
    has a report, else the committed one; None where neither is.
    """
    known = results.committed()
    found = []
    for name, folder in shipped_packs().items():
        own = next(
            (kept for row in models if row["task"] == name and (kept := _result_here(workspace, name, row))),
            None,
        )
        stamp = tuple(sorted((p.name, p.stat().st_mtime_ns) for p in folder.iterdir()))
        found.append(
            {**_described(folder, stamp), "result": own or _committed(known.get(name, []))},
        )
    return found


@lru_cache(maxsize=64)
def _described(folder: Path, stamp: tuple[Any, ...]) -> dict[str, Any]:
    """What does not change while the pack's files do not (``stamp``)."""
    pack = load_pack(folder)
    return {
        "task": pack.name,
        "title": pack.title,
        "version": pack.version,
        "description": pack.description,
        "system": pack.system,
        "base": pack.model.base,
        "guidelines": (folder / "guidelines.md").read_text("utf-8"),
        "rows": _lines(folder / "records.jsonl"),
        "suites": [
            {"name": s.name, "metric": s.metric, "rows": len(load_eval(folder, s))} for s in pack.suites
        ],
        "samples": _samples(folder),
        "demo": pack.demo.model_dump(mode="json") if pack.demo else None,
    }


def _lines(path: Path) -> int:
    return sum(bool(line.strip()) for line in path.read_bytes().splitlines()) if path.is_file() else 0


def _samples(folder: Path) -> list[dict[str, Any]]:
    """Approved pairs as the recorded decisions left them, spread over the file, those without contacts first."""
    from curate.records import Row, read

    if not (folder / "records.jsonl").is_file():
        return []
    approved: dict[str, str | None] | None = None
    if (folder / "decisions.jsonl").is_file():
        approved = {}
        for line in (folder / "decisions.jsonl").read_text("utf-8").splitlines():
            decision = json.loads(line)
            if decision.get("verdict") in ("approve", "edit") and "record" in decision:
                kept = approved.get(decision["record"])
                approved[decision["record"]] = decision.get("completion") or kept
            elif "record" in decision:
                approved.pop(decision["record"], None)
    pairs = [
        {
            "id": row.external_id,
            "history": row.history,
            "prompt": row.prompt,
            "completion": (approved or {}).get(str(row.external_id)) or row.completion,
        }
        for row in read(folder / "records.jsonl")
        if isinstance(row, Row) and (approved is None or row.external_id in approved)
    ]
    plain = [p for p in pairs if not _PERSONAL.search(f"{p['prompt']} {p['completion']}")] or pairs
    return [plain[(2 * n + 1) * len(plain) // (2 * SAMPLES)] for n in range(min(SAMPLES, len(plain)))]


def _result_here(workspace: Workspace, task: str, model: dict[str, Any]) -> dict[str, Any] | None:
    suites = []
    for path in sorted((workspace.evals / task).glob(f"{model['name']}--*/report.json")):
        suites.append(results.suite_of(json.loads(path.read_text("utf-8"))))
    if not suites:
        return None
    state = "released" if model["released"] else "not released"
    return {
        "where": "this workspace",
        "words": f"{model['name']}, {str(model['created_ts'])[:10]}, {state}.",
        "verdict": model["verdict"],
        "worth_it": "",
        "suites": suites,
    }


def _committed(found: list[dict[str, Any]]) -> dict[str, Any] | None:
    if not found:
        return None
    kept = {key: found[0][key] for key in ("verdict", "worth_it", "suites")}
    return {"where": "shipped with Goldpair", "words": results.run_words(found[0]), **kept}

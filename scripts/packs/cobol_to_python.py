"""The pack ``cobol-to-python``: from hand-written programs to the pack's files, and the proof of its translations.

Covers: reading the programs in ``cobol-to-python/``, proving each pair equivalent with our own scorer's engine,
building ``records.jsonl``, ``eval.jsonl`` and ``decisions.jsonl`` byte by byte the same each time.
Does not cover: the guidelines and ``task.toml``, which are written by hand where they stand.

    python -m scripts.packs.cobol_to_python prove  # a thousand inputs a program; goes on where it stopped
    python -m scripts.packs.cobol_to_python prove --only SIMPINT --inputs 60
    python -m scripts.packs.cobol_to_python build
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import time
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PARTS = Path(__file__).parent / "cobol-to-python"
PACK = Path(__file__).resolve().parents[2] / "data" / "tasks" / "cobol-to-python"
PROOF = PACK / "proof.json"
HEAD = re.compile(r"^@@ (?P<name>\S+) (?P<channel>\S+) (?P<pitfall>\S+)(?: (?P<layout>fixed|numbered))?$")
SEED = 20261122


@dataclass(frozen=True)
class Part:
    """One program with its translation. ``domains`` narrows the inputs that the scorer makes."""

    name: str
    channel: str
    pitfall: str
    split: str  # train or eval
    raw: str  # as written, free format
    layout: str | None
    python: str
    domains: dict[str, Any]

    @property
    def cobol(self) -> str:
        return laid_out(self.raw, self.layout)

    @property
    def digest(self) -> str:
        """Of everything that the proof depends on."""
        body = json.dumps([self.cobol, self.python, self.domains], sort_keys=True)
        return hashlib.sha256(body.encode()).hexdigest()[:16]

    @property
    def length(self) -> str:
        """By lines of COBOL."""
        lines = self.cobol.count("\n")
        return "short" if lines <= 25 else "medium" if lines <= 40 else "long"


def parts() -> list[Part]:
    """All programs in the order of their files; those of files that start with ``eval`` are kept for evaluation."""
    found = []
    for path in sorted(PARTS.glob("*.txt")):
        split = "eval" if path.name.startswith("eval") else "train"
        for block in re.split(r"(?m)^(?=@@ )", path.read_text("utf-8")):
            if block.strip():
                found.append(_part(block, split))
    doubled = [name for name, n in Counter(part.name for part in found).items() if n > 1]
    if doubled:
        raise SystemExit(f"Program names used twice: {', '.join(doubled)}")
    return found


def _part(block: str, split: str) -> Part:
    head, _, rest = block.partition("\n")
    known = HEAD.match(head)
    if known is None:
        raise SystemExit(f"Not a head line: {head!r}")
    domains: dict[str, Any] = {}
    if rest.startswith("domains "):
        line, _, rest = rest.partition("\n")
        domains = json.loads(line.removeprefix("domains "))
    cobol, _, python = rest.removeprefix("--- cobol\n").partition("--- python\n")
    return Part(
        known["name"],
        known["channel"],
        known["pitfall"],
        split,
        cobol.strip("\n") + "\n",
        known["layout"],
        python.strip("\n") + "\n",
        domains,
    )


def laid_out(cobol: str, layout: str | None) -> str:
    """Free text as it is, or in columns: code from column 8, ``*`` in column 7, line numbers where asked for."""
    if layout is None:
        return cobol
    rows = []
    for number, line in enumerate(cobol.splitlines(), 1):
        sequence = f"{number * 10:06d}" if layout == "numbered" else " " * 6
        code = f"*{line[2:]}" if line.startswith("*>") else f" {line}"
        rows.append(f"{sequence}{code}".rstrip())
        if len(rows[-1]) > 72:
            raise SystemExit(f"Longer than 72 columns: {rows[-1]}")
    return "\n".join(rows) + "\n"


# --- the intake ---------------------------------------------------------------------------------------------

SYSTEMS = ("core", "loans", "deposits", "treasury", "payments", "payroll", "ledger")
USERS = ("reviewer-1", "reviewer-2")
FAMILIES = {
    "arithmetic": "rounded implied-decimal intermediate-precision integer-division size-error high-order-loss "
    "unsigned-target comp-3",
    "layout": "edited-picture move-alignment move-corresponding redefines",
    "text": "string-handling string-pointer string-pad unstring inspect reference-modification class-test",
    "control": "perform-varying perform-thru go-to sentinel-loop test-after condition evaluate level-88",
    "tables": "table-occurs occurs-depending search linkage-table",
    "files": "line-file file-status control-break sort-merge",
    "environment": "clock intrinsic command-line",
}
BROKEN_ROWS = (
    '{"id": "cb-0901", "source": "estate/core/LOSTLINE.cbl", "prompt": "IDENTIFICATION DIVISION.\\nPROGRAM-ID. LOST',
    '{"id": "cb-0902", "source": "estate/core/EMPTYSRC.cbl", "prompt": "", "completion": "print(input())", "meta": '
    '{"program": "EMPTYSRC"}}',
    '{"id": "cb-0903", "source": "estate/loans/NOANSWER.cbl", "prompt": "IDENTIFICATION DIVISION.\\nPROGRAM-ID. '
    'NOANSWER.\\nPROCEDURE DIVISION.\\n    STOP RUN.\\n", "meta": {"program": "NOANSWER"}}',
    '{"id": "cb-0904", "source": "estate/loans/NUMBERED.cbl", "prompt": 404, "completion": "print(404)"}',
    '{"id": "cb-0905", "source": "estate/ledger/NULLED.cbl", "prompt": "IDENTIFICATION DIVISION.\\nPROGRAM-ID. '
    'NULLED.\\nPROCEDURE DIVISION.\\n    STOP RUN.\\n", "completion": null}',
    "cb-0906;estate/treasury/SEMICOL.cbl;DISPLAY 1;print(1)",
    '["cb-0907", "IDENTIFICATION DIVISION.", "print()"]',
    '"JOB 4471 ENDED WITH RC 0012"',
)


def family(pitfall: str) -> str:
    """The group of a pitfall, for slices that are large enough to say something."""
    return next(name for name, members in FAMILIES.items() if pitfall in members.split())


def build() -> None:
    """Write ``records.jsonl``, ``eval.jsonl`` and ``decisions.jsonl``."""
    intake = tomllib.loads((PARTS / "intake.toml").read_text("utf-8"))
    found = parts()
    train = {part.name: part for part in found if part.split == "train"}
    rows, decisions = _intake(train, intake)
    PACK.mkdir(parents=True, exist_ok=True)
    (PACK / "records.jsonl").write_text("".join(f"{row}\n" for row in rows), "utf-8")
    (PACK / "decisions.jsonl").write_text("".join(_json(line) for line in decisions), "utf-8")
    held_out = [part for part in found if part.split == "eval"]
    (PACK / "eval.jsonl").write_text(
        "".join(_json(_eval_row(n, part)) for n, part in enumerate(held_out, 1)), "utf-8"
    )
    print(f"{len(rows)} rows, {len(decisions)} decisions, {len(held_out)} eval rows")


def _json(body: dict[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=False) + "\n"


def _eval_row(number: int, part: Part) -> dict[str, Any]:
    return {
        "id": f"cb-e{number:03d}",
        "source": f"holdout/{part.name}.cbl",
        "prompt": part.cobol,
        "reference": part.python,
        "slice": {"channel": part.channel, "pitfall": family(part.pitfall), "length": part.length},
        "metadata": {"program": part.name} | ({"domains": part.domains} if part.domains else {}),
    }


def with_people(part: Part, lines: list[str]) -> str:
    """The program with lines of the intake behind its PROGRAM-ID."""
    rows = part.raw.splitlines()
    at = next(n for n, row in enumerate(rows) if row.upper().lstrip().startswith("PROGRAM-ID")) + 1
    return laid_out("\n".join([*rows[:at], *lines, *rows[at:]]) + "\n", part.layout)


def draft_of(part: Part, draft: dict[str, Any]) -> str:
    """A competing translation: written out, or the right one with changes."""
    if "text" in draft:
        return str(draft["text"]).strip("\n") + "\n"
    return _changed(part.name, part.python, draft["change"])


def _changed(name: str, text: str, changes: list[list[str]]) -> str:
    for old, new in changes:
        if old not in text:
            raise SystemExit(f"{name}: nothing to change: {old!r}")
        text = text.replace(old, new)
    return text


def _intake(train: dict[str, Part], intake: dict[str, Any]) -> tuple[list[str], list[dict[str, Any]]]:
    dice = random.Random(SEED)
    people = intake["people"]
    sources = {part.name: with_people(part, people.get(part.name, [])) for part in train.values()}
    edited = {draft["program"]: draft for draft in intake["drafts"] if draft["fate"] == "edit"}
    todo: list[tuple[Part, str, str, dict[str, Any]]] = []  # program, COBOL, Python, what becomes of it
    for name, part in train.items():
        python = draft_of(part, edited[name]) if name in edited else part.python
        todo.append((part, sources[name], python, {"fate": "edit" if name in edited else "approve"}))
    dice.shuffle(todo)
    for draft in intake["drafts"]:
        if draft["fate"] == "reject":
            part = train[draft["program"]]
            at = dice.randrange(len(todo))
            todo.insert(at, (part, sources[part.name], draft_of(part, draft), draft))
    for copy in intake["copies"]:
        part = train[copy["program"]]
        text = _changed(part.name, sources[part.name], copy["words"])
        todo.insert(dice.randrange(len(todo)), (part, text, part.python, {"fate": "copy"}))
    for broken in intake["broken"]:
        part = train[broken["program"]]
        text = laid_out(_changed(part.name, part.raw, broken["words"]), part.layout)
        at = dice.randrange(len(todo))
        todo.insert(at, (part, text, part.python, {"fate": "reject", "reason": "does_not_compile"}))
    return _rows(todo, dice)


def _rows(
    todo: list[tuple[Part, str, str, dict[str, Any]]], dice: random.Random
) -> tuple[list[str], list[dict[str, Any]]]:
    rows: list[str] = []
    decisions: list[dict[str, Any]] = []
    kept = {part.name: f"cb-{n:04d}" for n, (part, _, _, what) in enumerate(todo, 1)
            if what["fate"] in ("approve", "edit")}  # fmt: skip
    for number, (part, cobol, python, what) in enumerate(todo, 1):
        name = f"cb-{number:04d}"
        system = SYSTEMS[int(hashlib.sha256(part.name.encode()).hexdigest(), 16) % len(SYSTEMS)]
        folder = {"copy": "migration-copy", "approve": "estate", "edit": "estate"}.get(what["fate"], "drafts")
        meta: dict[str, Any] = {
            "program": part.name, "channel": part.channel, "pitfall": part.pitfall, "length": part.length,
        }  # fmt: skip
        if part.domains:
            meta["domains"] = part.domains
        source = f"{folder}/{system}/{part.name}.cbl"
        body = {"id": name, "source": source, "prompt": cobol, "completion": python, "meta": meta}
        rows.append(json.dumps(body, ensure_ascii=False))
        decisions += _decided(name, kept[part.name], part, what, USERS[number % 2], USERS[(number + 1) % 2])
    for row in BROKEN_ROWS:
        rows.insert(dice.randrange(len(rows)), row)
    order = {
        "reject": 0,
        None: 1,
        "edit": 2,
        "approve": 2,
    }  # bad drafts first: they stand in the way of good ones
    return rows, sorted(decisions, key=lambda line: order[line.get("verdict")])


def _decided(
    name: str, original: str, part: Part, what: dict[str, Any], first: str, second: str
) -> list[dict[str, Any]]:
    """The review team's decisions about one record."""
    if what["fate"] == "copy":
        return [{"kind": "duplicate", "records": [original, name], "keep": original, "user": first}]
    style = 4 + int(hashlib.sha256(part.name.encode()).hexdigest(), 16) % 2
    right = {"behaviour": "same", "pythonic": style}
    if what["fate"] == "approve":
        return [{"record": name, "user": first, "verdict": "approve", "labels": right}]
    if what["fate"] == "edit":
        return [
            {"record": name, "user": first, "verdict": "edit", "completion": part.python, "labels": right},
            {"record": name, "user": second, "verdict": "approve", "labels": right},
        ]
    same = what["reason"] == "transliterated"
    labels = {"behaviour": "same" if same else "differs", "pythonic": 1 if same else 3}
    turned_down = {
        "record": name, "user": first, "verdict": "reject", "reason": what["reason"], "labels": labels,
    }  # fmt: skip
    if "text" in what or what.get("conflict"):
        return [turned_down]
    # So little differs that the search for duplicates puts both into one group: somebody says which stays.
    return [turned_down, {"kind": "duplicate", "records": [original, name], "keep": original, "user": first}]


# --- the proof ----------------------------------------------------------------------------------------------


def prove(inputs: int, only: list[str], seconds: float) -> None:
    """Run every pair on at least ``inputs`` inputs, an eval item through the scorer as well; goes on where it stopped.

    Inputs and comparison are the scorer's own, the runner takes many inputs a process (`scripts.packs._bulk`).
    """
    from evals.cobol.judge import Judge

    settings = tomllib.loads((PACK / "task.toml").read_text("utf-8"))["suites"][0]["params"]
    proof = json.loads(PROOF.read_text("utf-8")) if PROOF.exists() else {}
    known: dict[str, Any] = proof.get("programs", {})
    started, failed = time.monotonic(), []
    with Judge(search=settings["search"], most_mutants=settings["mutants"], fresh=settings["fresh"]) as judge:
        for part in parts():
            done = known.get(part.name, {})
            fresh = done.get("sha256") == part.digest and done.get("inputs", 0) >= min(
                inputs, done.get("possible", inputs)
            )
            if part.name not in only if only else fresh:
                continue
            if time.monotonic() - started > seconds:
                print("time is over; run it again to go on")
                break
            begun = time.monotonic()
            entry, wrong = _proof_of(judge, part, inputs)
            print(f"{part.name:9} {entry} {time.monotonic() - begun:.1f} s", flush=True)
            if wrong:
                failed.append(part.name)
                print(json.dumps(wrong[0], indent=1)[:1500])
                continue
            known[part.name] = entry
            _write_proof(known, settings)
    print(f"{len(known)} of {len(parts())} proven; failed now: {', '.join(failed) or 'none'}")


def _proof_of(judge: Any, part: Part, inputs: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    from evals.cobol.inputs import cases, domain_of
    from evals.cobol.judge import Ready
    from evals.cobol.source import read
    from scripts.packs import _bulk

    domain, program = domain_of(part.domains), read(part.cobol)
    entry: dict[str, Any] = {"sha256": part.digest, "split": part.split, "inputs": 0}
    wrong: list[dict[str, Any]] = []
    for seed in range(SEED, SEED + 6):
        made = cases(program, domain, seed, inputs)
        judged, differs = _bulk.compare(judge, Ready(program=program), part.python, made)
        entry["inputs"] += judged
        wrong += differs
        if len(made) < inputs:  # there are no more inputs than these
            entry["possible"] = judged
        if wrong or entry["inputs"] >= min(inputs, entry.get("possible", inputs)):
            break
    entry["class"] = "wrong_output" if wrong else "equal"
    if part.split == "eval":
        verdict = judge.judge(part.python, part.cobol, domain)
        ready = judge.prepare(part.cobol, domain)
        entry |= {
            "class": verdict.kind, "mutants": ready.mutants, "killable": ready.killable, "killed": ready.killed,
            "frozen": len(ready.frozen), "may_gate": verdict.may_gate,
        }  # fmt: skip
        if verdict.kind != "equal" or not verdict.may_gate:
            wrong.append({"verdict": verdict.kind, "reason": verdict.reason, "may_gate": verdict.may_gate})
    return entry, wrong


def _write_proof(known: dict[str, Any], settings: dict[str, Any]) -> None:
    from evals.cobol.build import compiler

    names = {part.name: part.digest for part in parts()}
    kept = {name: known[name] for name in sorted(known) if names.get(name) == known[name]["sha256"]}
    body = {
        "what": "Each translation beside its program on the inputs that the scorer makes (evals.cobol.inputs), "
        "compared as the scorer compares. possible: how many inputs there are, where fewer than asked for. "
        "Eval items went through the scorer itself too: mutants, frozen inputs, whether they may gate.",
        "compiler": compiler(),
        "seed": SEED,
        "scorer": settings,
        "classes": dict(Counter(entry["class"] for entry in kept.values())),
        "inputs": sum(entry["inputs"] for entry in kept.values()),
        "programs": kept,
    }
    PROOF.write_text(re.sub(r"\n {3,}|\n  (?=\})", " ", json.dumps(body, indent=1)) + "\n", "utf-8")


def main() -> None:
    """Command line."""
    reader = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    verbs = reader.add_subparsers(dest="verb", required=True)
    proving = verbs.add_parser("prove")
    proving.add_argument("--inputs", type=int, default=1000)
    proving.add_argument("--only", nargs="*", default=[])
    proving.add_argument("--seconds", type=float, default=1e9)
    verbs.add_parser("build")
    chosen = reader.parse_args()
    if chosen.verb == "build":
        build()
    else:
        prove(chosen.inputs, chosen.only, chosen.seconds)


if __name__ == "__main__":
    main()

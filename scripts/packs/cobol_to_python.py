"""The pack ``cobol-to-python``: from hand-written programs to the pack's files, and the proof of its translations.

Covers: reading the programs in ``cobol-to-python/``, proving each pair equivalent with our own scorer's engine,
building ``records.jsonl``, ``eval.jsonl`` and ``decisions.jsonl`` byte by byte the same each time.
Does not cover: the guidelines and ``task.toml``, which are written by hand where they stand.

    python -m scripts.packs.cobol_to_python prove            # slow: a thousand inputs a program, goes on where it stopped
    python -m scripts.packs.cobol_to_python prove --only SIMPINT --inputs 60
    python -m scripts.packs.cobol_to_python build
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
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
    cobol: str
    python: str
    domains: dict[str, Any]

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
        laid_out(cobol.strip("\n") + "\n", known["layout"]),
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


# --- the proof ----------------------------------------------------------------------------------------------


def prove(inputs: int, only: list[str], seconds: float) -> None:
    """Judge every pair on ``inputs`` fresh inputs beside its frozen ones; what is proven already is left alone."""
    from evals.cobol.inputs import domain_of
    from evals.cobol.judge import Judge

    proof = json.loads(PROOF.read_text("utf-8")) if PROOF.exists() else {}
    known: dict[str, Any] = proof.get("programs", {})
    wanted = [part for part in parts() if not only or part.name in only]
    started, failed = time.monotonic(), []
    with Judge(fresh=inputs) as judge:
        for part in wanted:
            done = known.get(part.name, {})
            if not only and done.get("sha256") == part.digest and done.get("asked", 0) >= inputs:
                continue
            if time.monotonic() - started > seconds:
                print("time is over; run it again to go on")
                break
            begun = time.monotonic()
            verdict = judge.judge(part.python, part.cobol, domain_of(part.domains))
            ready = judge.prepare(part.cobol, domain_of(part.domains))
            entry = {
                "sha256": part.digest, "class": verdict.kind, "asked": inputs, "inputs": verdict.inputs,
                "exact": round(verdict.levels.get("exact", 0.0), 4), "mutants": ready.mutants,
                "killable": ready.killable, "killed": ready.killed, "may_gate": verdict.may_gate,
            }  # fmt: skip
            flag = "" if verdict.kind == "equal" and (verdict.may_gate or part.split == "train") else "  <<<"
            print(f"{part.name:9} {verdict.kind} {verdict.inputs} inputs, mutants {ready.killed}/{ready.killable} "
                  f"of {ready.mutants}, {time.monotonic() - begun:.1f} s{flag}", flush=True)  # fmt: skip
            if verdict.kind != "equal":
                failed.append(part.name)
                print("   ", verdict.reason, json.dumps(verdict.counter, indent=1)[:1500])
            elif not only:
                known[part.name] = entry
                _write_proof(known)
    print(f"{len(known)} of {len(parts())} proven; failed now: {', '.join(failed) or 'none'}")


def _write_proof(known: dict[str, Any]) -> None:
    from evals.cobol.build import compiler

    names = {part.name: part.digest for part in parts()}
    kept = {name: known[name] for name in sorted(known) if names.get(name) == known[name]["sha256"]}
    body = {
        "what": "Every translation judged by evals.cobol.judge on its frozen inputs and fresh ones; the seed of the "
        "fresh ones is taken from the texts of source and translation.",
        "compiler": compiler(),
        "classes": dict(Counter(entry["class"] for entry in kept.values())),
        "inputs": sum(entry["inputs"] for entry in kept.values()),
        "programs": kept,
    }
    PACK.mkdir(parents=True, exist_ok=True)
    text = json.dumps(body, indent=1)
    PROOF.write_text(re.sub(r"\n {3,}|\n  (?=\})", " ", text) + "\n", "utf-8")


def main() -> None:
    """Command line."""
    reader = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    verbs = reader.add_subparsers(dest="verb", required=True)
    proving = verbs.add_parser("prove")
    proving.add_argument("--inputs", type=int, default=1000)
    proving.add_argument("--only", nargs="*", default=[])
    proving.add_argument("--seconds", type=float, default=1e9)
    chosen = reader.parse_args()
    if chosen.verb == "prove":
        prove(chosen.inputs, chosen.only, chosen.seconds)


if __name__ == "__main__":
    main()

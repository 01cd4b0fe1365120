"""``python -m scripts.results [--check]``: writes docs/results.md from the committed results of whole demos.

Covers: one table of every shipped pack's scores with intervals, its verdict, device and versions; a pack without a
committed result says so. Does not cover: running (`goldpair demo --task TASK --result data/results/TASK.json`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from curate.results import ARMS, arms_of, committed, run_words, score_words
from curate.tasks import load_pack, shipped_packs

PAGE = Path(__file__).resolve().parent.parent / "docs" / "results.md"
HEAD = """\
# Results of the shipped packs

Generated from `data/results/*.json` by `python -m scripts.results`; `goldpair demo --task TASK --result FILE` writes
such a file. Means on the frozen eval set with 95 % intervals; "2 of 4 shots" says how many examples fitted the context.
A short demo runs under the override that its pack declares: its verdict is INCONCLUSIVE whatever the numbers say.
Where the small base cannot do the task, the last line of a suite shows what it did learn, for better or worse.
"""


def page(results: Mapping[str, Sequence[Mapping[str, Any]]], packs: Mapping[str, str]) -> str:
    """The whole page; ``packs`` is task -> title of every shipped pack."""
    usual: dict[str, Any] = {"suites": [{"arms": dict.fromkeys(ARMS)}]}
    arms = arms_of([usual, *(result for found in results.values() for result in found)])
    heads = ["task", "run", "suite", *(arm.replace("_", " ") for arm in arms), "verdict"]
    table = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    below: list[str] = []
    for task, title in packs.items():
        found = results.get(task, ())
        if not found:
            table.append(f"| {task} | not run |" + " |" * (len(heads) - 2))
        for result in found:
            table += list(_rows(result, arms))
            below += [
                "",
                f"## {title}: {'full run' if result['full'] else 'short demo'}",
                "",
                *_about(result),
            ]
    return "\n".join([HEAD, *table, *below, ""])


def _rows(result: Mapping[str, Any], arms: Sequence[str]) -> Iterator[str]:
    for suite in result["suites"]:
        what = "full" if result["full"] else f"short demo, {suite['asked']} of {suite['of']} rows"
        scores = " | ".join(score_words(suite["arms"].get(arm)) for arm in arms)
        yield f"| {result['task']} | {what} | {suite['suite']} | {scores} | {suite['verdict']} |"


def _about(result: Mapping[str, Any]) -> Iterator[str]:
    yield run_words(result)
    if result["override"]:
        yield f"Override signed by {result['override']['signed_by']}: {result['override']['reason']}"
    yield f"Version {result['model']}: {result['verdict']}, {'released' if result['released'] else 'not released'}."
    for suite in result["suites"]:
        agreement = suite["agreement"] or {}
        yield ""
        yield f"Suite {suite['suite']} ({suite['metric']}, {suite['primary']}): {suite['worth_it']}"
        if agreement.get("kappa") is not None:
            yield f"Scorer against blind labels: kappa {agreement['kappa']:.2f} over {agreement['n']} answers."
        yield from (f"- {reason}" for reason in suite["reasons"])
        if suite.get("changed"):
            numbers = (f"{name} {a:g} → {b:g}" for name, (a, b) in suite["changed"].items())
            yield f"\nWhat training changed, zero shot to tuned, by the scorer's numbers: {'; '.join(numbers)}."


def main(argv: list[str] | None = None) -> int:
    """Write the page, or compare it with ``--check``; 1 when it is stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the page is stale")
    check = parser.parse_args(argv).check
    text = page(committed(), {name: load_pack(folder).title for name, folder in shipped_packs().items()})
    if not check:
        PAGE.write_text(text, "utf-8")
    elif not PAGE.is_file() or PAGE.read_text("utf-8") != text:
        print("docs/results.md is stale: python -m scripts.results", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

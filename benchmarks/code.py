"""Sandbox and code equivalence: overhead a run, programs a minute, mutants killed, attacks held, pitfalls told apart.

Covers: the figures of our own pitfall programs (`evals.cobol.traps`). Does not cover: programs of other people; an
absolute time is of this machine and its load.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from evals.cobol.build import compiler
from evals.cobol.inputs import domain_of
from evals.cobol.judge import Judge, judge_all
from evals.cobol.traps import pitfalls
from evals.sandbox import Job, Session, attestation, self_test


def run(quick: bool) -> list[dict[str, Any]]:
    """Rows of the area; quick takes six pitfalls, few runs and the short attack suite."""
    with tempfile.TemporaryDirectory(prefix="goldpair-bench-") as folder:
        before = os.environ.get("GOLDPAIR_CACHE")
        os.environ["GOLDPAIR_CACHE"] = folder  # cold at first, whatever this machine has done before
        try:
            return [*_overhead(20 if quick else 200), *_attacks(quick), *_pitfalls(quick)]
        finally:
            if before is None:
                del os.environ["GOLDPAIR_CACHE"]
            else:
                os.environ["GOLDPAIR_CACHE"] = before


def _overhead(count: int) -> list[dict[str, Any]]:
    """A run in the sandbox against the same program started by hand, interleaved."""
    boxed, bare = [], []
    with Session() as box:
        box.run(Job("python", b"print(1)"))
        for _ in range(count):
            started = time.perf_counter()
            box.run(Job("python", b"print(1)"))
            boxed.append(time.perf_counter() - started)
            started = time.perf_counter()
            subprocess.run([sys.executable, "-I", "-S", "-c", "print(1)"], capture_output=True, check=True)
            bare.append(time.perf_counter() - started)
    ours, peer = (statistics.median(times) * 1000 for times in (boxed, bare))
    tenth = statistics.quantiles(boxed, n=10)[0] * 1000
    return [
        _row(
            "a Python run in the sandbox, ms (median)",
            "<= 15 ms",
            round(ours, 2),
            ours <= 15,
            peer=f"a bare interpreter {peer:.2f}",
            ratio=round(ours / peer, 2),
            spread=f"10th percentile {tenth:.2f}, {count} runs",
        )
    ]


def _attacks(quick: bool) -> list[dict[str, Any]]:
    report = self_test(quick=quick)
    return [
        _row(
            "attacks held",
            "all, of at least 25",
            f"{report.held}/{report.total}",
            bool(report) and (quick or report.total >= 25),
        )
    ]


def _pitfalls(quick: bool) -> list[dict[str, Any]]:
    chosen = pitfalls()[::5] if quick else pitfalls()
    search = 60 if quick else 1500
    right = caught = 0
    scores, frozen, killable, killed = [], [], 0, 0
    with Judge(search=search, most_mutants=8 if quick else 24) as judge:
        for item in chosen:
            domain = domain_of(item.domain)
            right += judge.judge(item.right, item.cobol, domain).kind == "equal"
            caught += judge.judge(item.wrong, item.cobol, domain).kind not in ("equal", "harness_error")
            ready = judge.prepare(item.cobol, domain)
            killable, killed = killable + ready.killable, killed + ready.killed
            frozen.append(len(ready.frozen))
            if ready.mutation_score is not None:
                scores.append(ready.mutation_score)
    # caches on disk are warm now: of the translations themselves, then of the COBOL programs alone
    rates = []
    for ending in ("", "\n# the same, by somebody else\n"):
        rows = [(item.right + ending, item.cobol, domain_of(item.domain)) for item in chosen]
        started = time.perf_counter()
        judge_all(rows, search=search, most_mutants=8 if quick else 24)
        rates.append(len(chosen) / (time.perf_counter() - started) * 60)
    total = len(chosen)
    cores = f"one judge on each of {len(os.sched_getaffinity(0))} cores"
    return [
        _row(
            "right translations judged equal",
            ">= .99",
            round(right / total, 3),
            right / total >= 0.99,
            spread=f"{total} pitfalls",
        ),
        _row(
            "wrong translations caught",
            ">= .95",
            round(caught / total, 3),
            caught / total >= 0.95,
            spread=f"{total} pitfalls",
        ),
        _row(
            f"mutants killed by at most 10 frozen inputs, of those that {search} inputs kill",
            ">= .95",
            round(killed / max(1, killable), 3),
            killed >= 0.95 * killable,
            spread=f"{killable} mutants; worst program {min(scores, default=0.0):.2f}; most inputs {max(frozen)}",
        ),
        *(
            _row(figure, ">= 100", round(rate, 1), rate >= 100, spread=cores)
            for figure, rate in zip(
                (
                    "programs judged a minute, warm caches",
                    "new translations of known programs judged a minute",
                ),
                rates,
                strict=True,
            )
        ),
    ]


def _row(
    figure: str,
    goal: str,
    ours: Any,
    met: bool,
    *,
    peer: str = "",
    ratio: float | None = None,
    spread: str = "",
) -> dict[str, Any]:
    proof = attestation()
    return {
        "figure": figure,
        "goal": goal,
        "ours": ours,
        "peer": peer,
        "ratio": ratio,
        "spread": spread,
        "met": bool(met),
        "versions": {"cobc": compiler(), "bubblewrap": proof.get("bubblewrap", "")},
    }

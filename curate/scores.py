"""What the task's scorers say of pairs: the same judgment as in a suite, one completion at a time.

Covers: scoring completions as a suite scores answers, without a reference answer; the job that keeps the scores of
current revisions in the store; lists and queues by score. Does not cover: suites and gates (`evals`,
`curate.preflight`), nor the live checks of one pair, which a helper process of the server runs (`curate.checks`).
What a scorer cannot judge has no score and says why; it never counts as a pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from curate.errors import GoldpairError, UsageError
from curate.store import Store, Tx, utcnow
from curate.tasks import Suite, TaskPack, load_pack
from curate.workspace import Workspace

LONGEST_NOTE = 200
CHUNK = 64  # pairs a chunk: the slowest scorer runs programs
ORDERS = {"score": "c.score NULLS LAST", "score_high": "c.score DESC NULLS LAST"}
RESULT = {
    "pair_id": pl.String(),
    "rev": pl.Int32(),
    "metric": pl.String(),
    "version": pl.String(),
    "score": pl.Float64(),
    "critical": pl.Int32(),
    "note": pl.String(),
}

_CURRENT = """
SELECT s.pair_id, s.rev, p.source, t.history, t.prompt, t.completion, t.metadata,
       coalesce((SELECT list(c.metric || ' ' || c.version) FROM pair_scores c
                 WHERE c.pair_id = s.pair_id AND c.rev = s.rev), []) AS known
FROM pair_state s JOIN pairs p ON p.pair_id = s.pair_id
JOIN revision_text t ON t.pair_id = s.pair_id AND t.rev = s.rev
WHERE s.task = ? AND s.status <> 'erased'
ORDER BY s.pair_id
"""


@dataclass(frozen=True)
class Ranking:
    """Pairs by the score that one scorer gave their current revision.

    ``order``: a key of ORDERS, or None to leave the order as it is; ``low`` and ``high``: bounds, both included. A
    bound leaves pairs without a score out; an order puts them last.
    """

    metric: str
    order: str | None = None
    low: float | None = None
    high: float | None = None

    join = " LEFT JOIN pair_scores c ON c.pair_id = s.pair_id AND c.rev = s.rev AND c.metric = $metric"

    @property
    def rank(self) -> str:
        """A number that ascends in this order; NULL, which sorts last, without a score."""
        return {"score": "c.score", "score_high": "-c.score"}.get(self.order or "", "NULL")

    @property
    def where(self) -> str:
        """Conditions that follow others."""
        return "".join(
            f" AND c.score {sign} ${name}"
            for name, sign in (("low", ">="), ("high", "<="))
            if getattr(self, name) is not None
        )

    @property
    def params(self) -> dict[str, Any]:
        bounds = {name: getattr(self, name) for name in ("low", "high") if getattr(self, name) is not None}
        return {"metric": self.metric, **bounds}


def ranking(
    pack: TaskPack, metric: str | None, order: str | None, low: float | None, high: float | None
) -> Ranking | None:
    """The ranking that was asked for, by the pack's first scorer unless another is named; None without any.

    Raises `UsageError` for a task without scorers, an unknown one, or bounds that exclude everything.
    """
    if order not in ORDERS:
        order = None
    if metric is None and order is None and low is None and high is None:
        return None
    known = [suite.metric for suite in metrics_of(pack)]
    if not known:
        raise UsageError(f"Task {pack.name} has no suite, so nothing scores its pairs.")
    if metric is not None and metric not in known:
        raise UsageError(f"Task {pack.name} has no scorer {metric!r}. It has: {', '.join(known)}.")
    if low is not None and high is not None and low > high:
        raise UsageError(f"No score is over {low:g} and under {high:g}. Swap the bounds.")
    return Ranking(metric or known[0], order, low, high)


def metrics_of(pack: TaskPack) -> list[Suite]:
    """One suite for each scorer of the pack, the first first: its number is the one shown."""
    found: dict[str, Suite] = {}
    for suite in pack.suites:
        found.setdefault(suite.metric, suite)
    return list(found.values())


def judge(
    pack_folder: Path, pack: TaskPack, rows: Sequence[Mapping[str, Any]], completions: Sequence[str]
) -> list[list[dict[str, Any]]]:
    """For each row a list of ``{metric, version, score, critical, note}``, one a scorer of the pack.

    ``rows``: pair_id, source, prompt, history and metadata (both as JSON text); ``completions`` are judged in their
    place. ``score``: the suite's primary number, None with a ``note`` where there is none; ``critical``: findings that
    the gate calls critical. A row that a scorer fails on does not cost the others theirs.
    """
    import evals

    found: list[list[dict[str, Any]]] = [[] for _ in rows]
    for suite in metrics_of(pack) if rows else []:
        version = evals.scorer_version(suite.metric)
        try:
            judged = _scored(pack_folder, pack, suite, rows, completions)
        except GoldpairError:
            judged = [
                _alone(pack_folder, pack, suite, row, text)
                for row, text in zip(rows, completions, strict=True)
            ]
        for place, one in zip(found, judged, strict=True):
            place.append({"metric": suite.metric, "version": version, **one})
    return found


def _alone(
    pack_folder: Path, pack: TaskPack, suite: Suite, row: Mapping[str, Any], completion: str
) -> dict[str, Any]:
    try:
        return _scored(pack_folder, pack, suite, [row], [completion])[0]
    except GoldpairError as error:
        return {"score": None, "critical": 0, "note": str(error)[:LONGEST_NOTE]}


def _scored(
    pack_folder: Path,
    pack: TaskPack,
    suite: Suite,
    rows: Sequence[Mapping[str, Any]],
    completions: Sequence[str],
) -> list[dict[str, Any]]:
    from curate.preflight import as_eval_row
    from evals.run import primary_of, score_texts

    # Its own completion is no reference for a pair that nobody approved yet.
    asked = [
        as_eval_row({**row, "completion": ""}, suite).model_copy(update={"reference": None}) for row in rows
    ]
    params = suite.params | suite.gold.params  # people wait for it
    result = score_texts(suite.metric, asked, list(completions), params, pack_folder)
    errors = result.get("errors") or [None] * len(rows)
    evidence = result.get("evidence") or [[]] * len(rows)
    subscores = result.get("subscores") or [{}] * len(rows)
    judged = []
    for number, why in enumerate(errors):
        hits = [
            hit for hit in evidence[number] if hit.get("critical") or hit.get("kind") in pack.gate.critical
        ]
        score = None if why else primary_of(suite, float(result["scores"][number]), subscores[number])
        judged.append({"score": score, "critical": len(hits), "note": str(why or "")[:LONGEST_NOTE]})
    return judged


# --- the job ------------------------------------------------------------------------------------------------


def prepare(store: Store, workspace: Workspace, spec: dict[str, Any], folder: Path) -> None:
    """Export the current revisions with the scorers' versions that judged them already."""
    frame = store.frame(_CURRENT, [spec["task"]])
    for number, start in enumerate(range(0, len(frame), CHUNK)):
        frame.slice(start, CHUNK).write_parquet(folder / "in" / f"{number:05d}.parquet")


def work(
    folder: Path, spec: dict[str, Any], chunk: pl.DataFrame, report: Callable[[dict[str, Any]], None]
) -> pl.DataFrame:
    """Score what the present scorers have not judged yet, in the job's process."""
    import evals

    pack_folder = Path(spec["pack"])
    pack = load_pack(pack_folder)
    wanted = {f"{suite.metric} {evals.scorer_version(suite.metric)}" for suite in metrics_of(pack)}
    rows = [row for row in chunk.iter_rows(named=True) if wanted.difference(row["known"])]
    judged = judge(pack_folder, pack, rows, [row["completion"] for row in rows])
    made = [
        {"pair_id": row["pair_id"], "rev": row["rev"], **score}
        for row, scores in zip(rows, judged, strict=True)
        for score in scores
    ]
    return pl.DataFrame(made, schema=RESULT)


def ingest(tx: Tx, workspace: Workspace, job: dict[str, Any], frame: pl.DataFrame) -> None:
    """Keep a chunk's scores; a newer judgment of the same revision takes the place of the older."""
    if frame.is_empty():
        return
    tx.execute(
        "DELETE FROM pair_scores WHERE (pair_id, rev, metric) IN (SELECT unnest($pairs::VARCHAR[]),"
        " unnest($revs::INTEGER[]), unnest($metrics::VARCHAR[]))",
        {
            "pairs": frame["pair_id"].to_list(),
            "revs": frame["rev"].to_list(),
            "metrics": frame["metric"].to_list(),
        },
    )
    tx.insert("pair_scores", frame.with_columns(ts=pl.lit(utcnow())))


def finish(store: Store, workspace: Workspace, job: dict[str, Any]) -> dict[str, Any]:
    """``scored`` and ``not_scored`` in this run; ``scorers``: each with mean, pairs with and without a score."""
    folder = workspace.jobs / job["job_id"] / "out"
    frames = [pl.read_parquet(path) for path in sorted(folder.glob("*.parquet"))]
    scores = [score for frame in frames for score in frame["score"]]
    rows = store.rows(
        "SELECT c.metric AS scorer, avg(c.score) AS mean, count(c.score) AS pairs,"
        " count(*) - count(c.score) AS without, count(*) FILTER (c.critical > 0) AS critical"
        " FROM pair_scores c JOIN pair_state s ON s.pair_id = c.pair_id AND s.rev = c.rev"
        " WHERE s.task = ? GROUP BY c.metric ORDER BY c.metric",
        [job["spec"]["task"]],
    )
    missing = sum(score is None for score in scores)
    return {"scored": len(scores) - missing, "not_scored": missing, "scorers": rows}

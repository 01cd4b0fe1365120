"""Which training pairs are behind an answer that broke? A suspicion to look at, no proof.

Covers: broken examples of a run, the training pairs nearest to each by text and by the gradient of what was learned
with (those that changed since the version before come first), groups of suspects by source, annotator, guideline.
Does not cover: proof by training without them, putting pairs back into review (`curate.ops`).

Text: cosine of character n-grams (TF-IDF) between pair and prompt + bad answer. Gradient: cosine of the loss gradient
with respect to the adapter, or to the last block of a full fine-tune (TracIn: Pruthi and others 2020; one checkpoint),
each as a sketch of `DIMENSIONS` numbers (`evals._gradients`). A pair whose gradient points the way of the bad answer's
taught the model to give it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.contract import load_rows
from curate.errors import UsageError
from evals.run import EvalRun

TOP = 5  # suspects an example
SHORTLIST = 40  # pairs nearest by text whose gradients are taken, an example
DIMENSIONS = 4096
RELATED = 0.1  # text similarity under which a changed pair is not put first


class GradientModel(Protocol):
    """A tuned model that gives sketches of gradients (`evals.generate.LocalModel`)."""

    @property
    def learned(self) -> str | None:
        """The weights they are of: "adapter", "last block"."""

    def learned_gradients(
        self, conversations: Sequence[Sequence[dict[str, str]]], completions: Sequence[str], dimensions: int
    ) -> NDArray[np.float32]:
        """One row a completion, shape (n, dimensions)."""


def broken_rows(run: EvalRun, candidate: str, reference: str | None = None) -> list[str]:
    """Ids of eval rows that are good under ``reference`` and not under the candidate, largest loss first.

    Without a reference: rows under the floor (or half), worst first. Raises `UsageError` for unknown arms.
    """
    floor = run.meta["gate"].get("floor")
    good = float(floor) if floor is not None else 0.5
    if reference is None:
        low = [(score, name) for name, score in run.primary(candidate).items() if score < good]
        return [name for _, name in sorted(low)]
    ids, mine, theirs, _ = run.paired(candidate, reference)
    lost = [(b - a, name) for name, a, b in zip(ids, mine, theirs, strict=True) if a < good <= b]
    return [name for _, name in sorted(lost, key=lambda item: (-item[0], item[1]))]


def blame(
    run: EvalRun | Path | str,
    snapshot_dir: Path | str,
    *,
    candidate: str = "tuned",
    reference: str | None = None,
    changed: Collection[str] = (),
    model: GradientModel | None = None,
    examples: int = 50,
) -> dict[str, Any]:
    """Suspects of every broken example, and the groups they come from; what ``blame.json`` holds.

    Args:
        reference: arm against which an example broke (the version before, a baseline); None takes low scores.
        changed: ids of pairs that are new or other than in the snapshot of the version before.
        model: for gradients; None ranks by text alone.
        examples: at most so many, largest loss first.

    The same inputs give the same bytes. Raises `UsageError` for unknown arms and for a snapshot without rows.
    """
    if not isinstance(run, EvalRun):
        run = EvalRun.load(run)
    rows = load_rows(snapshot_dir, "train")
    if rows.is_empty():
        raise UsageError(f"Snapshot {snapshot_dir} holds no training row to suspect.")
    names = broken_rows(run, candidate, reference)
    by_id = {row.id: row for row in run.rows}
    answers = run.answers(candidate)
    shown = names[:examples]
    text = _text_similarity(rows, [f"{by_id[n].prompt}\n{answers[n]['text']}" for n in shown])
    flagged = np.array([pair in set(changed) for pair in rows["pair_id"].to_list()])
    nearby = []
    for number in range(len(shown)):
        order = np.argsort(-text[number], kind="stable")
        near = order[:SHORTLIST].tolist()
        # What changed is the first suspect, where it has anything to do with the example at all.
        near += [int(i) for i in order if flagged[i] and int(i) not in near][:SHORTLIST]
        nearby.append(near)
    gradients = _gradients(model, run, rows, candidate, shown, nearby) if model is not None else None
    found = []
    for number, (name, near) in enumerate(zip(shown, nearby, strict=True)):
        gradient = None if gradients is None else gradients[number]
        score = {i: float(text[number][i]) + (max(0.0, gradient[i]) if gradient else 0.0) for i in near}
        near.sort(key=lambda i: (not (flagged[i] and text[number][i] >= RELATED), -score[i], i))
        found.append(
            {
                "id": name,
                "score": answers[name]["primary"],
                "pairs": [
                    _suspect(rows, i, float(text[number][i]), gradient, bool(flagged[i])) for i in near[:TOP]
                ],
            }
        )
    return {
        "candidate": candidate,
        "reference": reference,
        "broken": len(names),
        "gradients": model is not None,
        "gradients_of": None if model is None else model.learned,
        "changed": int(flagged.sum()),
        "examples": found,
        "groups": _groups(rows, found),
    }


def _text_similarity(rows: pl.DataFrame, queries: Sequence[str]) -> NDArray[np.float64]:
    """(queries, pairs) cosines of character n-grams."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    if not queries:
        return np.zeros((0, len(rows)))
    texts = [f"{p}\n{c}" for p, c in zip(rows["prompt"], rows["completion"], strict=True)]
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, min_df=1)
    known = vectorizer.fit_transform(texts)
    return np.asarray((vectorizer.transform(list(queries)) @ known.T).todense())


def _gradients(
    model: GradientModel,
    run: EvalRun,
    rows: pl.DataFrame,
    candidate: str,
    shown: Sequence[str],
    nearby: Sequence[Sequence[int]],
) -> list[dict[int, float]]:
    """For every example shown: cosine of each near pair's gradient with that of the bad answer."""
    by_id, answers = {row.id: row for row in run.rows}, run.answers(candidate)
    pairs = sorted({i for near in nearby for i in near})  # near many examples, read once
    # The system message is the pack's and the same everywhere: it adds nothing that tells pairs apart.
    asked = [[*by_id[name].history, {"role": "user", "content": by_id[name].prompt}] for name in shown]
    asked += [
        [*json.loads(pair["history"]), {"role": "user", "content": pair["prompt"]}]
        for pair in rows[pairs].iter_rows(named=True)
    ]
    said = [answers[name]["text"] for name in shown] + rows[pairs]["completion"].to_list()
    sketch = model.learned_gradients(asked, said, DIMENSIONS).astype(np.float64)
    size = np.linalg.norm(sketch, axis=1)
    size[size == 0] = 1.0
    unit = sketch / size[:, None]
    place = {i: len(shown) + number for number, i in enumerate(pairs)}
    return [{i: float(unit[place[i]] @ unit[number]) for i in near} for number, near in enumerate(nearby)]


def _suspect(
    rows: pl.DataFrame, at: int, text: float, gradient: dict[int, float] | None, changed: bool
) -> dict[str, Any]:
    pair = rows.row(at, named=True)
    keep = {name: pair[name] for name in ("pair_id", "revision", "source", "guideline_version")}
    return keep | {
        "annotator": pair["author"],
        "text": round(text, 6),
        "gradient": None if gradient is None else round(gradient[at], 6),
        "changed": changed,
    }


def _groups(rows: pl.DataFrame, found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sources, annotators and guideline versions by how much oftener they are suspected than they are trained on."""
    groups = []
    suspects = {pair["pair_id"]: pair for example in found for pair in example["pairs"]}
    for by, column in (
        ("source", "source"),
        ("annotator", "author"),
        ("guideline version", "guideline_version"),
    ):
        share = {str(r[0]): r[1] / len(rows) for r in rows.group_by(column).len().iter_rows()}
        key = by.replace(" ", "_")
        for value in sorted({str(pair[key]) for pair in suspects.values()}):
            mine = {name for name, pair in suspects.items() if str(pair[key]) == value}
            hit = sum(any(pair["pair_id"] in mine for pair in example["pairs"]) for example in found)
            lift = (len(mine) / len(suspects)) / share[value]
            groups.append(
                {"by": by, "value": value, "examples": hit, "pairs": len(mine), "lift": round(lift, 4)}
            )
    groups.sort(key=lambda g: (-g["examples"], -g["lift"], g["by"], g["value"]))
    return groups

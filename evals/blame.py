"""Which training pairs, and which batch of them, are behind an answer that broke? A suspicion to look at, no proof.

Covers: broken examples of a run, the training pairs nearest to each by the gradient of what was learned with and by
text (those that changed since the version before come first), and the batches they came in: sources, annotators,
reviewers, guideline versions whose pairs lie nearer to what broke than as many pairs drawn blindly would.
Does not cover: proof by training without them, putting pairs back into review (`curate.ops`).

Gradient: of the loss with respect to the adapter, or to the last block of a full fine-tune (TracIn: Pruthi and others
2020; one checkpoint), as a sketch of `DIMENSIONS` numbers (`evals._gradients`), each brought to length one (Hammoudeh
and Lowd 2022), less the mean of the pairs', which all answers share and which hid what tells them apart. A pair whose
gradient points the way of the bad answer's taught the model to give it. Text: cosine of character n-grams (TF-IDF)
between pair and prompt + bad answer; a quarter of a vote, or all of it without a model.
Batch: how many standard errors the mean of its pairs lies above that of all pairs read (drawn without replacement).

Cost: at most `READ` pairs and ``examples`` answers are run through the model once, forward and backward.
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
READ = 600  # pairs that are compared at most: half of them what changed and is nearest by text, half drawn blindly
DIMENSIONS = 16384
TEXT = 0.25  # of a standard deviation of text to one of gradient
KINDS = {
    "source": "source",
    "annotator": "author",
    "reviewer": "approver",
    "guideline version": "guideline_version",
}


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
    """Suspects of every broken example, pairs and batches; what ``blame.json`` holds.

    Args:
        reference: arm against which an example broke (the version before, a baseline); None takes low scores.
        changed: ids of pairs that are new or other than in the snapshot of the version before.
        model: for gradients; None ranks by text alone.
        examples: at most so many, largest loss first.

    ``groups`` are batches, of the changed pairs alone where some changed, most suspected first: ``evidence`` in
    standard errors for all examples together, ``examples`` in whose first `TOP` batches it stands, ``pairs`` read.
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
    flagged = rows["pair_id"].is_in(list(changed)).to_numpy()
    pool = _pool(text, flagged)
    rows, text, flagged = rows[pool], text[:, pool], flagged[pool]
    gradient = None if model is None else _gradients(model, run, rows, candidate, shown)
    score = _standard(text) if gradient is None else _standard(gradient) + TEXT * _standard(text)
    batches = _batches(rows, flagged)
    evidence = np.stack([_evidence(score, places) for _, _, places in batches], 1) if batches else None
    found = []
    for number, name in enumerate(shown):
        mine = score[number]
        # What changed is the first suspect, where it is nearer to the example than pairs commonly are.
        order = sorted(range(len(rows)), key=lambda i: (not (flagged[i] and mine[i] > 0), -mine[i], i))
        found.append(
            {
                "id": name,
                "score": answers[name]["primary"],
                "groups": [] if evidence is None else _first_batches(batches, evidence[number]),
                "pairs": [
                    _suspect(
                        rows, i, text[number], gradient[number] if gradient is not None else None, flagged
                    )
                    for i in order[:TOP]
                ],
            }
        )
    return {
        "candidate": candidate,
        "reference": reference,
        "broken": len(names),
        "gradients": model is not None,
        "gradients_of": None if model is None else model.learned,
        "changed": len(set(changed)),
        "read": len(rows),
        "examples": found,
        "groups": _groups(batches, score, found),
    }


def _pool(text: NDArray[np.float64], flagged: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Places of the pairs to compare, in order: all of them, or half by change and nearness, half drawn blindly."""
    n = len(flagged)
    if n <= READ:
        return np.arange(n)
    nearest = text.max(0) if len(text) else np.zeros(n)
    order = np.lexsort((np.arange(n), -nearest, ~flagged))
    rest = np.random.default_rng(0).permutation(order[READ // 2 :])
    return np.sort(np.concatenate([order[: READ // 2], rest[: READ - READ // 2]]))


def _standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Every example's similarities in standard deviations from the mean of the pairs compared."""
    spread = values.std(1, keepdims=True)
    return (values - values.mean(1, keepdims=True)) / np.where(spread > 0, spread, 1.0)


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
    model: GradientModel, run: EvalRun, rows: pl.DataFrame, candidate: str, shown: Sequence[str]
) -> NDArray[np.float64]:
    """(examples, pairs) cosines of the gradients, of length one each, less the mean of the pairs'."""
    by_id, answers = {row.id: row for row in run.rows}, run.answers(candidate)
    if not shown:
        return np.zeros((0, len(rows)))
    # The system message is the pack's and the same everywhere: it adds nothing that tells pairs apart.
    asked = [[*by_id[name].history, {"role": "user", "content": by_id[name].prompt}] for name in shown]
    asked += [
        [*json.loads(pair["history"]), {"role": "user", "content": pair["prompt"]}]
        for pair in rows.iter_rows(named=True)
    ]
    said = [answers[name]["text"] for name in shown] + rows["completion"].to_list()
    unit = _unit(model.learned_gradients(asked, said, DIMENSIONS).astype(np.float64))
    if len(rows) > 1:
        unit = _unit(unit - unit[len(shown) :].mean(0))
    return np.asarray(unit[: len(shown)] @ unit[len(shown) :].T)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    size = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(size > 0, size, 1.0)


def _suspect(
    rows: pl.DataFrame,
    at: int,
    text: NDArray[np.float64],
    gradient: NDArray[np.float64] | None,
    flagged: NDArray[np.bool_],
) -> dict[str, Any]:
    pair = rows.row(at, named=True)
    return {
        "pair_id": pair["pair_id"],
        "revision": pair["revision"],
        **{kind.replace(" ", "_"): pair[column] for kind, column in KINDS.items()},
        "text": round(float(text[at]), 6),
        "gradient": None if gradient is None else round(float(gradient[at]), 6),
        "changed": bool(flagged[at]),
    }


Batch = tuple[str, str, NDArray[np.int64]]  # kind, value, places of its pairs


def _batches(rows: pl.DataFrame, flagged: NDArray[np.bool_]) -> list[Batch]:
    """Pairs that came together: two at least, not what all have in common; the changed ones where some changed."""
    eligible = flagged if flagged.any() else np.ones(len(rows), bool)
    found = []
    for kind, column in KINDS.items():
        values = rows[column].cast(pl.String).fill_null("").to_numpy()
        for value in sorted(set(values[eligible])):
            mine = values == value
            places = np.flatnonzero(mine & eligible)
            if len(places) > 1 and not mine.all():
                found.append((kind, str(value), places))
    return found


def _evidence(score: NDArray[np.float64], places: NDArray[np.int64]) -> NDArray[np.float64]:
    """Standard errors by which a batch's mean lies above that of all pairs, one an example.

    Of ``n`` drawn from ``N`` without replacement: the error is ``spread * sqrt((N - n) / (n * (N - 1)))``.
    """
    n, total = len(places), score.shape[1]
    error = score.std(1) * np.sqrt((total - n) / (n * (total - 1)))
    return (score[:, places].mean(1) - score.mean(1)) / np.where(error > 0, error, 1.0)


def _first_batches(batches: Sequence[Batch], evidence: NDArray[np.float64]) -> list[dict[str, Any]]:
    order = np.argsort(-evidence, kind="stable")[:TOP]
    return [
        {"by": batches[i][0], "value": batches[i][1], "evidence": round(float(evidence[i]), 4)} for i in order
    ]


def _groups(
    batches: Sequence[Batch], score: NDArray[np.float64], found: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Every batch with the evidence of all examples together, the most suspected first."""
    if not found:
        return []
    together = score.mean(0, keepdims=True)
    groups = []
    for kind, value, places in batches:
        hit = sum(any((g["by"], g["value"]) == (kind, value) for g in one["groups"]) for one in found)
        evidence = round(float(_evidence(together, places)[0]), 4)
        groups.append(
            {"by": kind, "value": value, "examples": hit, "pairs": len(places), "evidence": evidence}
        )
    return sorted(groups, key=lambda g: (-g["evidence"], g["by"], g["value"]))

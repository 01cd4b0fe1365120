"""The result of a deduplication: pairs, clusters, what to keep, why, and other thresholds without another run.

Does not cover: the search (engine.py) and remembered decisions of people (review).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from curate.dedupe import kernels
from curate.dedupe.align import align, pair_similarities, similarity, word_spans
from curate.dedupe.engine import Found, decide
from curate.dedupe.fields import short_fields
from curate.dedupe.prepare import Tokens, tokenise
from curate.dedupe.settings import DedupeError, DedupeSettings
from curate.dedupe.verify import COST, COVERAGE, GAP, JACCARD

KINDS = pl.Enum(["identical", "normalised", "near"])
PAIR_SCHEMA: dict[str, Any] = {
    "left": pl.UInt32,
    "right": pl.UInt32,
    "similarity": pl.Float32,
    "kind": KINDS,
    "gap_share": pl.Float32,
    "coverage": pl.Float32,
    "jaccard": pl.Float32,
    "short_cost": pl.Float32,
}


@dataclass(frozen=True)
class Difference:
    """A passage that differs between a row and the row kept for it; spans are characters."""

    op: str
    text: str
    kept_text: str
    span: tuple[int, int]
    kept_span: tuple[int, int]


@dataclass(frozen=True)
class Explanation:
    """Why a row is kept or not. ``direct`` is False where only a chain of near-duplicates connects the two."""

    row: int
    kept: bool
    cluster: int
    rows: list[int]
    kept_row: int
    similarity: float
    kind: str
    direct: bool
    differences: list[Difference]

    def __str__(self) -> str:
        if len(self.rows) == 1:
            return f"row {self.row} is kept: no near-duplicate was found"
        if self.kept:
            return f"row {self.row} is kept for {len(self.rows) - 1} near-duplicate row(s)"
        how = "" if self.direct else ", through a chain of near-duplicates"
        return f"row {self.row} is dropped for row {self.kept_row}: {self.similarity:.0%} of words agree{how}"


@dataclass(frozen=True)
class _Evidence:
    """Verified candidates by row, and the exact links; shared by a result and all its re-thresholdings."""

    plain: pl.Series  # texts as given
    series: pl.Series  # with masked spans as wildcards
    exact_left: np.ndarray
    exact_right: np.ndarray
    left: np.ndarray  # rows; left < right
    right: np.ndarray
    metrics: np.ndarray
    similarity: np.ndarray  # float32, NaN until needed
    words: np.ndarray
    hashes: np.ndarray
    prefer: np.ndarray | None
    seconds: dict[str, float]


class DuplicateResult:
    """What ``find_duplicates`` found.

    pairs      polars: left, right (row numbers, left < right), similarity (words in common and in order, 0..1),
               kind (identical: same characters; normalised: same words; near), and the metrics behind the
               decision. Holds enough pairs to connect every cluster, not all pairs of it: rows with the same
               words are linked to the first of them only.
    labels     polars Int64 per row: the smallest row number of the row's cluster.
    keep       polars Boolean per row: one True per cluster. The row with the highest ``prefer`` value, then
               the most words, then by content, so the order of rows decides only between identical texts.
    settings   every number the decisions rest on.
    """

    def __init__(self, evidence: _Evidence, settings: DedupeSettings) -> None:
        self._evidence = evidence
        self._settings = settings
        self._accepted = _accept(evidence, settings)
        self.labels = pl.Series("cluster", self._labels(), dtype=pl.Int64)
        self.keep = pl.Series("keep", self._keep(), dtype=pl.Boolean)

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"DuplicateResult({len(self)} rows, {len(self.clusters)} clusters, {self.keep.sum()} kept)"

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of this result as plain values."""
        return self._settings.logged()

    @property
    def seconds(self) -> dict[str, float]:
        """Wall seconds per stage of the search."""
        return dict(self._evidence.seconds)

    @cached_property
    def pairs(self) -> pl.DataFrame:
        """Duplicate pairs, ordered by (left, right)."""
        e, chosen = self._evidence, self._accepted
        exact = _exact_frame(e)
        near = _near_frame(e, chosen, pl.lit("near", dtype=KINDS))
        return pl.concat([exact, near]).sort("left", "right")

    @cached_property
    def rejected(self) -> pl.DataFrame:
        """Candidates that were looked at and judged different (texts on one template, mostly), same columns as
        ``pairs`` without kind; similarity is null where it was never needed."""
        e = self._evidence
        return _near_frame(e, ~self._accepted, pl.lit("near", dtype=KINDS)).drop("kind").sort("left", "right")

    @cached_property
    def for_people(self) -> pl.DataFrame:
        """Near-duplicate pairs that differ only in short scattered fields (see fields.py): left, right, fields (list
        of structs ours, theirs). No threshold tells a filled-in form from a copy; show these to a person."""
        e = self._evidence
        rows = []
        for left, right in self.pairs.filter(pl.col("kind") == "near").select("left", "right").iter_rows():
            found = short_fields(e.series[left], e.series[right])
            if found:
                fields = [{"ours": ours, "theirs": theirs} for ours, theirs in found]
                rows.append({"left": left, "right": right, "fields": fields})
        field = pl.Struct({"ours": pl.String, "theirs": pl.String})
        return pl.DataFrame(rows, schema={"left": pl.UInt32, "right": pl.UInt32, "fields": pl.List(field)})

    @cached_property
    def clusters(self) -> pl.DataFrame:
        """cluster, size, kept (row), rows (list), for clusters of two rows or more."""
        frame = pl.DataFrame({"cluster": self.labels, "keep": self.keep}).with_row_index("row")
        return (
            frame.group_by("cluster")
            .agg(
                pl.len().alias("size"),
                pl.col("row").filter(pl.col("keep")).first().alias("kept"),
                pl.col("row").sort().alias("rows"),
            )
            .filter(pl.col("size") > 1)
            .sort("cluster")
        )

    def explain(self, row: int) -> Explanation:
        """Why this row is kept or dropped, for whom, how similar, and which passages differ.

        Raises DedupeError when there is no such row.
        """
        if not 0 <= row < len(self):
            raise DedupeError(f"there is no row {row}; rows go from 0 to {len(self) - 1}")
        cluster = int(self.labels[row])
        rows = (self.labels == cluster).arg_true().to_list()
        kept_row = next(r for r in rows if self.keep[r])
        if kept_row == row:
            return Explanation(row, True, cluster, rows, row, 1.0, "identical", True, [])
        text, kept_text = self._evidence.plain[row], self._evidence.plain[kept_row]
        masked, kept_masked = self._evidence.series[row], self._evidence.series[kept_row]
        kind = "near"
        if self._evidence.hashes[row] == self._evidence.hashes[kept_row]:
            kind = "identical" if text == kept_text else "normalised"
        return Explanation(
            row, False, cluster, rows, kept_row, similarity(masked, kept_masked), kind,
            kind != "near" or self._direct(row, kept_row), differences(text, kept_text),
        )  # fmt: skip

    def rethreshold(self, **options: Any) -> DuplicateResult:
        """The same search under other decision settings; nothing is searched again.

        Takes min_similarity, max_gap_share, min_coverage, min_jaccard and short_tolerance, looser or tighter.
        Raises DedupeError for settings that would need a new search.
        """
        allowed = {"min_similarity", "max_gap_share", "min_coverage", "min_jaccard", "short_tolerance"}
        other = sorted(set(options) - allowed)
        if other:
            raise DedupeError(
                f"{', '.join(other)} cannot change without a new search; rethreshold takes "
                f"{', '.join(sorted(allowed))}, find_duplicates takes all settings"
            )
        from curate.dedupe.settings import make_settings

        checked = make_settings(options)
        return DuplicateResult(
            self._evidence, replace(self._settings, **{k: getattr(checked, k) for k in options})
        )

    def _labels(self) -> np.ndarray:
        e, chosen = self._evidence, self._accepted
        parent = np.arange(len(e.series), dtype=np.int64)
        kernels.union(
            np.concatenate([e.exact_left, e.left[chosen]]),
            np.concatenate([e.exact_right, e.right[chosen]]),
            parent,
        )
        return parent

    def _keep(self) -> np.ndarray:
        e = self._evidence
        labels = self.labels.to_numpy()
        keep = np.ones(len(labels), dtype=bool)
        size = np.bincount(labels, minlength=len(labels)) if len(labels) else np.zeros(0, dtype=np.int64)
        members = np.flatnonzero(size[labels] > 1)
        if not len(members):
            return keep
        keep[members] = False
        frame = pl.DataFrame(
            {
                "row": members,
                "cluster": labels[members],
                "prefer": np.zeros(len(members)) if e.prefer is None else e.prefer[members],
                "words": e.words[members],
                "hash": e.hashes[members],
                "text": e.plain.gather(members),
            }
        ).sort(
            "cluster",
            "prefer",
            "words",
            "hash",
            "text",
            "row",
            descending=[False, True, True, False, False, False],
        )
        keep[frame.unique("cluster", keep="first", maintain_order=True)["row"].to_numpy()] = True
        return keep

    def _direct(self, row: int, other: int) -> bool:
        """Is there an accepted pair between the two rows, or between rows with their words?"""
        e = self._evidence
        a, b = e.hashes[row], e.hashes[other]
        left, right = e.hashes[e.left[self._accepted]], e.hashes[e.right[self._accepted]]
        return bool((((left == a) & (right == b)) | ((left == b) & (right == a))).any())


def differences(text: str, kept_text: str) -> list[Difference]:
    """The passages in which two texts differ, in order, with character spans."""
    spans, kept_spans = word_spans(text), word_spans(kept_text)
    found = []
    for edit in align(text, kept_text):
        if edit.op != "equal":
            span = _characters(spans, edit.a_start, edit.a_end)
            kept_span = _characters(kept_spans, edit.b_start, edit.b_end)
            found.append(
                Difference(edit.op, text[slice(*span)], kept_text[slice(*kept_span)], span, kept_span)
            )
    return found


def _characters(spans: list[tuple[int, int]], start: int, end: int) -> tuple[int, int]:
    if start == end:  # nothing on this side: the place after the word before
        at = spans[start - 1][1] if start else 0
        return at, at
    return spans[start][0], spans[end - 1][1]


def _accept(e: _Evidence, settings: DedupeSettings) -> np.ndarray:
    chosen = decide(e.metrics, settings)
    missing = np.flatnonzero(chosen & np.isnan(e.similarity))
    if len(missing):
        rows, places = np.unique(np.concatenate([e.left[missing], e.right[missing]]), return_inverse=True)
        places = places.reshape(-1)
        tokens = tokenise(e.series.gather(rows), settings)
        e.similarity[missing] = pair_similarities(
            tokens, places[: len(missing)], places[len(missing) :], settings.threads()
        )
    if settings.min_similarity > 0:
        chosen &= e.similarity >= settings.min_similarity  # NaN only where already rejected
    return chosen


def _exact_frame(e: _Evidence) -> pl.DataFrame:
    same = e.plain.gather(e.exact_left) == e.plain.gather(e.exact_right)
    kinds = pl.DataFrame({"same": same}).select(
        kind=pl.when("same").then(pl.lit("identical")).otherwise(pl.lit("normalised")).cast(KINDS)
    )["kind"]
    n = len(e.exact_left)
    return pl.DataFrame(
        {
            "left": e.exact_left,
            "right": e.exact_right,
            "similarity": np.ones(n, dtype=np.float32),
            "kind": kinds,
            "gap_share": np.zeros(n, dtype=np.float32),
            "coverage": np.ones(n, dtype=np.float32),
            "jaccard": np.ones(n, dtype=np.float32),
            "short_cost": pl.repeat(None, n, dtype=pl.Float32, eager=True),
        },
        schema_overrides=PAIR_SCHEMA,
    )


def _near_frame(e: _Evidence, chosen: np.ndarray, kind: pl.Expr) -> pl.DataFrame:
    metrics = e.metrics[chosen]
    frame = pl.DataFrame(
        {
            "left": e.left[chosen],
            "right": e.right[chosen],
            "similarity": e.similarity[chosen],
            "gap_share": metrics[:, GAP],
            "coverage": metrics[:, COVERAGE],
            "jaccard": metrics[:, JACCARD],
            "short_cost": metrics[:, COST],
        },
        schema_overrides={k: v for k, v in PAIR_SCHEMA.items() if k != "kind"},
    ).with_columns(kind.alias("kind"), pl.col("similarity", "short_cost").fill_nan(None))
    return frame.select(*PAIR_SCHEMA)


def build_result(
    plain: pl.Series, series: pl.Series, found: Found, settings: DedupeSettings, prefer: np.ndarray | None
) -> DuplicateResult:
    """Row-level evidence from what the engine found on distinct texts."""
    unique = found.unique
    first_of_row = unique.first_row[unique.of_row]
    repeats = np.flatnonzero(first_of_row != np.arange(len(series)))
    c = found.candidates
    similarities = np.full(len(c.left), np.nan, dtype=np.float32)
    chosen = np.flatnonzero(decide(c.metrics, settings))
    similarities[chosen] = pair_similarities(
        unique.tokens, c.left[chosen], c.right[chosen], settings.threads()
    )
    left, right = unique.first_row[c.left], unique.first_row[c.right]
    evidence = _Evidence(
        plain=plain,
        series=series,
        exact_left=first_of_row[repeats],
        exact_right=repeats,
        left=np.minimum(left, right),
        right=np.maximum(left, right),
        metrics=c.metrics,
        similarity=similarities,
        words=_rowwise(unique.tokens, unique.of_row),
        hashes=unique.tokens.hashes[unique.of_row],
        prefer=prefer,
        seconds=found.seconds,
    )
    return DuplicateResult(evidence, settings)


def _rowwise(tokens: Tokens, of_row: np.ndarray) -> np.ndarray:
    return tokens.counts[of_row]

"""The public verbs over corpora: find_duplicates, find_overlap, classify.

Does not cover: single texts against a corpus (index.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from curate.dedupe.align import pair_similarities
from curate.dedupe.engine import Found, decide, search
from curate.dedupe.prepare import Mask, as_series
from curate.dedupe.result import DuplicateResult, build_result
from curate.dedupe.settings import DedupeError, make_settings
from curate.dedupe.verify import COST, COVERAGE, GAP

OVERLAP_KINDS = pl.Enum(["identical", "normalised", "near", "template"])


def find_duplicates(
    texts: Sequence[str] | pl.Series,
    *,
    mask: Mask | None = None,
    prefer: Sequence[float] | None = None,
    **options: Any,
) -> DuplicateResult:
    """Near-duplicates within a corpus.

    texts   one text per row.
    mask    per row a list of (start, end) character spans, or None: each span counts as one wildcard word, so
            that records differing only in masked names are the same (see-through surrogates).
    prefer  per row a number; the highest in a cluster is kept. By default the longest text is.
    options any field of ``DedupeSettings``.

    Raises DedupeError for rows that are not text, masks that do not fit and unknown settings.

    >>> find_duplicates(["Reset my password, please!", "reset my password please", "Cancel it"]).keep.to_list()
    [True, False, True]
    """
    settings = make_settings(options)
    plain = as_series(texts)
    series = as_series(plain, mask)
    order: np.ndarray | None = None
    if prefer is not None:
        order = np.asarray(prefer, dtype=np.float64)
        if order.shape != (len(series),) or np.isnan(order).any():
            raise DedupeError(f"prefer must hold one number for each of the {len(series)} texts")
    return build_result(plain, series, search(series, settings), settings, order)


def find_overlap(
    left: Sequence[str] | pl.Series,
    right: Sequence[str] | pl.Series,
    *,
    left_mask: Mask | None = None,
    right_mask: Mask | None = None,
    templates: bool = False,
    **options: Any,
) -> pl.DataFrame:
    """Rows of one corpus that are near-duplicates of rows of another: the contamination check.

    Returns left, right (row numbers), similarity (0..1), kind, gap_share, coverage, ordered by (left, right).
    Every row with a counterpart is listed at least once; rows with the same words on one side are listed
    against the first counterpart only, so that a thousand copies do not give a million lines.
    ``templates=True`` adds pairs of kind ``template``: half or more of a text is shared, but passages of
    other substance tell them apart. Those are to be reported, not blocked on. Texts of up to ``short_words`` words
    have no template.

    Raises DedupeError as find_duplicates does.
    """
    settings = make_settings(options)
    plain_a, plain_b = as_series(left), as_series(right)
    plain = pl.concat([plain_a.alias("text"), plain_b.alias("text")])
    a, b = as_series(plain_a, left_mask), as_series(plain_b, right_mask)
    series = pl.concat([a.alias("text"), b.alias("text")])
    sides = np.zeros(len(series), dtype=np.int64)
    sides[len(a) :] = 1
    found = search(series, settings, sides)
    tokens, c = found.unique.tokens, found.candidates
    exact = _same_words(found)
    chosen = decide(c.metrics, settings)
    kind = np.where(chosen, 2, 3).astype(np.int64)
    if templates:
        shared = (c.metrics[:, COVERAGE] >= 0.5) & (c.metrics[:, GAP] <= 0.5)
        chosen |= shared & np.isnan(c.metrics[:, COST])  # short texts share words, no template
    chosen &= tokens.hashes[c.left] != tokens.hashes[c.right]
    pair_left = np.concatenate([exact[0], c.left[chosen]])
    pair_right = np.concatenate([exact[1], c.right[chosen]])
    n = len(exact[0])
    values = np.ones(len(pair_left), dtype=np.float32)
    values[n:] = pair_similarities(tokens, c.left[chosen], c.right[chosen], settings.threads())
    frame = pl.DataFrame(
        {
            "u": pair_left,
            "v": pair_right,
            "similarity": values,
            "level": np.concatenate([np.ones(n, dtype=np.int64), kind[chosen]]),
            "gap_share": np.concatenate([np.zeros(n, dtype=np.float32), c.metrics[chosen, GAP]]),
            "coverage": np.concatenate([np.ones(n, dtype=np.float32), c.metrics[chosen, COVERAGE]]),
        },
        schema_overrides={"u": pl.Int64, "v": pl.Int64},
    )
    # texts of the left side come before their twins of the right side only within one text: order by side
    first = found.unique.first_row
    swap = pl.Series(first[pair_left] >= len(a))
    frame = frame.with_columns(
        pl.when(swap).then("v").otherwise("u").alias("u"), pl.when(swap).then("u").otherwise("v").alias("v")
    )
    if settings.min_similarity > 0:
        frame = frame.filter(pl.col("similarity") >= settings.min_similarity)
    rows = pl.DataFrame({"text": found.unique.of_row, "row": np.arange(len(series))})
    firsts = pl.DataFrame({"text": np.arange(len(first)), "row": first})
    many_to_first = frame.join(rows.rename({"text": "u", "row": "left"}), on="u").join(
        firsts.rename({"text": "v", "row": "right"}), on="v"
    )
    first_to_many = frame.join(firsts.rename({"text": "u", "row": "left"}), on="u").join(
        rows.rename({"text": "v", "row": "right"}), on="v"
    )
    columns = ["left", "right", "similarity", "level", "gap_share", "coverage"]
    listed = pl.concat([many_to_first.select(columns), first_to_many.select(columns)]).unique(
        ["left", "right"]
    )
    same = plain.gather(listed["left"].to_numpy()) == plain.gather(listed["right"].to_numpy())
    names = pl.Series(OVERLAP_KINDS.categories)
    level = pl.when(pl.lit(same) & (pl.col("level") == 1)).then(0).otherwise("level")
    return (
        listed.with_columns(level.alias("level"))
        .with_columns(
            kind=pl.Series(names.gather(listed.select(level.alias("x"))["x"]), dtype=OVERLAP_KINDS),
            left=pl.col("left").cast(pl.UInt32),
            right=(pl.col("right") - len(a)).cast(pl.UInt32),
        )
        .select("left", "right", "similarity", "kind", "gap_share", "coverage")
        .sort("left", "right")
    )


def _same_words(found: Found) -> tuple[np.ndarray, np.ndarray]:
    """Distinct texts that stand on both sides: neighbours in the order of hashes."""
    hashes = found.unique.tokens.hashes
    both = np.flatnonzero(hashes[1:] == hashes[:-1])
    return both, both + 1


def classify(
    prompts: Sequence[str] | pl.Series,
    completions: Sequence[str] | pl.Series,
    *,
    prompt_mask: Mask | None = None,
    completion_mask: Mask | None = None,
    **options: Any,
) -> pl.DataFrame:
    """Groups of rows that repeat each other, and what that means.

    Returns field, class, rows (list), prompt_cluster, completion_cluster, ordered by field and first row:

    both        duplicate  the same pair: prompt and completion are near-duplicates
    prompt      conflict   the same prompt answered differently; not a duplicate, people decide
    completion  reuse      the same completion for different prompts; often right ("I don't know"), worth a look

    A conflict lists every row of the prompt's cluster, also those that duplicate each other within it.
    Raises DedupeError as find_duplicates does, and when the two columns differ in length.
    """
    p_series, c_series = as_series(prompts), as_series(completions)
    if len(p_series) != len(c_series):
        raise DedupeError(
            f"{len(p_series)} prompts and {len(c_series)} completions; give one completion per prompt"
        )
    frame = pl.DataFrame(
        {
            "prompt_cluster": find_duplicates(p_series, mask=prompt_mask, **options).labels,
            "completion_cluster": find_duplicates(c_series, mask=completion_mask, **options).labels,
        }
    ).with_row_index("row")
    both = frame.group_by("prompt_cluster", "completion_cluster").agg(pl.col("row").sort().alias("rows"))
    both = both.filter(pl.col("rows").list.len() > 1).with_columns(
        pl.lit("both").alias("field"), pl.lit("duplicate").alias("class")
    )
    one_sided = []
    for one, other, field, kind in (
        ("prompt_cluster", "completion_cluster", "prompt", "conflict"),
        ("completion_cluster", "prompt_cluster", "completion", "reuse"),
    ):
        groups = frame.group_by(one).agg(
            pl.col("row").sort().alias("rows"), pl.col(other).n_unique().alias("kinds")
        )
        one_sided.append(
            groups.filter(pl.col("kinds") > 1).with_columns(
                pl.lit(None, dtype=pl.Int64).alias(other),
                pl.lit(field).alias("field"),
                pl.lit(kind).alias("class"),
            )
        )
    columns = ["field", "class", "rows", "prompt_cluster", "completion_cluster"]
    return pl.concat([g.select(columns) for g in (both, *one_sided)]).sort(
        "field", pl.col("rows").list.first()
    )


def warm_up() -> None:
    """Compiles (first time) or loads (later) all kernels, so that the first user does not wait."""
    from curate.dedupe.index import DuplicateIndex

    short = ["how do I reset my password", "how do I reset my passwrod please", "naïve café – ₹5"]
    long = [" ".join(f"word{i * k}" for i in range(60)) for k in (1, 1, 7)]
    crowd = [f"one stock text that every customer of this shop gets for order number{n}" for n in range(5)]
    find_duplicates([*short, *crowd, long[0], long[1] + " more", long[2]], workers=1, group_cap=2)
    find_overlap(short, long, workers=1)
    DuplicateIndex(short + long).query(long[0] + " again")

"""How far people agree: on verdicts, on labels, with gold.

Covers: Krippendorff's alpha with a bootstrap interval for any distance, Cohen's kappa between two people, the
report of a task. Does not cover: collecting blind judgments (`curate.overlap`), agreement of a scorer with people
(`evals.agreement`).

Alpha = 1 - D_o / D_e (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability"): observed over expected
disagreement, for any number of judges and missing values. Distances, by kind of label: nominal (verdict, choice)
0 or 1; rating the squared difference; multi-choice and span Jaccard distance of the sets (a span as the characters
it covers); text 1 - normalized Levenshtein similarity.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rapidfuzz.distance import Levenshtein

from curate.users import Actor, require

if TYPE_CHECKING:
    from curate.store import Store
    from curate.tasks import TaskPack

RESAMPLES = 1000
MOST = 2000  # units; beyond it a seeded sample of them is measured
Distance = Callable[[Any, Any], float]


def nominal(a: Any, b: Any) -> float:
    """0 when equal, else 1."""
    return float(a != b)


def squared(a: float, b: float) -> float:
    """Squared difference, for ratings."""
    return float(a - b) ** 2


def jaccard(a: frozenset[Any], b: frozenset[Any]) -> float:
    """1 - |a and b| / |a or b|; two empty sets are equal."""
    return 1 - len(a & b) / len(a | b) if a | b else 0.0


def edits(a: str, b: str) -> float:
    """1 - normalized Levenshtein similarity, in [0, 1]."""
    return float(Levenshtein.normalized_distance(a, b))


DISTANCES: dict[str, tuple[str, Distance]] = {  # kind of label -> its distance and the name of it
    "choice": ("nominal", nominal),
    "rating": ("squared difference", squared),
    "multi-choice": ("Jaccard", jaccard),
    "span": ("Jaccard of characters", jaccard),
    "text": ("normalized Levenshtein", edits),
}


def alpha(
    units: Sequence[Sequence[Hashable]], distance: Distance = nominal, *, seed: int = 0, level: float = 0.95
) -> dict[str, Any]:
    """Krippendorff's alpha of units (each a list of what its judges said; fewer than two are left out).

    Returns ``{alpha, interval, n, values, agreement}``: a bootstrap interval over units, how many units and
    values counted, the share of pairs of judgments that are equal. ``alpha`` is None when nothing varies or
    nothing was judged twice, ``interval`` when fewer than three units were.
    """
    usable = [list(unit) for unit in units if len(unit) > 1]
    dice = np.random.default_rng(seed)
    if len(usable) > MOST:
        usable = [usable[i] for i in sorted(dice.choice(len(usable), MOST, replace=False))]
    result: dict[str, Any] = {
        "alpha": None,
        "interval": None,
        "n": len(usable),
        "values": sum(map(len, usable)),
        "agreement": None,
    }
    if not usable:
        return result
    codes: dict[Hashable, int] = {}
    rows = [[codes.setdefault(value, len(codes)) for value in unit] for unit in usable]
    known = list(codes)
    apart = np.array([[distance(a, b) for b in known] for a in known])
    counts = np.zeros((len(rows), len(known)))
    within, equal, pairs = np.zeros(len(rows)), 0, 0
    for i, row in enumerate(rows):
        np.add.at(counts[i], row, 1)
        within[i] = apart[np.ix_(row, row)].sum() / (len(row) - 1)
        pairs += len(row) * (len(row) - 1)
        equal += int(sum(c * (c - 1) for c in counts[i]))
    sizes = counts.sum(axis=1)

    def measure(weights: Any) -> Any:
        total = weights @ counts
        n = weights @ sizes
        expected = np.einsum("bi,ij,bj->b", total, apart, total) / (n * (n - 1))
        with np.errstate(divide="ignore", invalid="ignore"):
            return 1 - (weights @ within / n) / expected

    point = float(measure(np.ones((1, len(rows))))[0])
    result |= {"alpha": point if np.isfinite(point) else None, "agreement": equal / pairs}
    if len(rows) > 2 and result["alpha"] is not None:
        drawn = measure(
            dice.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), RESAMPLES).astype(float)
        )
        drawn = drawn[np.isfinite(drawn)]
        if len(drawn) > RESAMPLES // 2:
            low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
            result["interval"] = [float(low), float(high)]
    return result


def kappa(
    one: Sequence[Hashable], other: Sequence[Hashable], *, seed: int = 0, level: float = 0.95
) -> dict[str, Any]:
    """Cohen's kappa of two people on the same items, with a bootstrap interval over items.

    ``kappa`` is None when both gave one and the same value throughout: then chance explains everything.
    """
    from sklearn.metrics import cohen_kappa_score

    names = sorted({*one, *other}, key=str)
    result: dict[str, Any] = {"kappa": None, "interval": None, "n": len(one), "agreement": None}
    if not one:
        return result
    result["agreement"] = sum(a == b for a, b in zip(one, other, strict=True)) / len(one)
    if len(names) < 2:
        return result
    place = {name: i for i, name in enumerate(names)}
    left, right = [place[v] for v in one], [place[v] for v in other]
    point = float(cohen_kappa_score(left, right))
    result["kappa"] = point if np.isfinite(point) else None
    if len(one) > 2 and result["kappa"] is not None:
        table = np.zeros((len(names), len(names)))
        np.add.at(table, (left, right), 1)
        drawn = np.random.default_rng(seed).multinomial(len(one), table.ravel() / len(one), RESAMPLES)
        tables = drawn.reshape(RESAMPLES, len(names), len(names)) / len(one)
        seen = np.trace(tables, axis1=1, axis2=2)
        chance = np.einsum("bi,bi->b", tables.sum(axis=2), tables.sum(axis=1))
        with np.errstate(divide="ignore", invalid="ignore"):
            found = (seen - chance) / (1 - chance)
        found = found[np.isfinite(found)]
        if len(found) > RESAMPLES // 2:
            low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
            result["interval"] = [float(low), float(high)]
    return result


def report(store: Store, actor: Actor, task: str, pack: TaskPack) -> dict[str, Any]:
    """Agreement of a task's blind judgments. Needs ``oversee``: it names people and knows the gold items.

    Returns ``sample`` (share, pairs judged once and twice, disputes open and settled), ``verdicts`` (`alpha`),
    ``people`` (`kappa` on verdicts, one row a pair of people), ``labels`` (`alpha` by label, with its distance) and
    ``gold`` (per person: judged, right, share with its Wilson interval, and the share among the last 20).
    """
    require(actor, "oversee")
    rows = store.rows(
        "SELECT j.* FROM judgments j JOIN pairs p ON p.pair_id = j.pair_id WHERE p.task = ? AND j.kind = 'overlap'"
        " AND j.undone IS NULL ORDER BY j.seq",
        [task],
    )
    units: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        units[row["pair_id"], row["rev"]].append(row | {"labels": json.loads(row["labels"] or "{}")})
    twice = [unit for unit in units.values() if len(unit) > 1]
    couples: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for unit in twice:
        for i, a in enumerate(unit):
            for b in unit[i + 1 :]:
                first, second = sorted((a, b), key=lambda row: row["actor"])
                couples[first["actor"], second["actor"]].append((first["verdict"], second["verdict"]))
    labels = []
    for label in pack.labels:
        said = [
            [
                _comparable(label.kind, row["labels"][label.name])
                for row in unit
                if label.name in row["labels"]
            ]
            for unit in twice
        ]
        name, distance = DISTANCES[label.kind]
        labels.append({"label": label.name, "kind": label.kind, "distance": name} | alpha(said, distance))
    disputes = [unit for unit in twice if any(row["disputed"] for row in unit)]
    still = sum(unit[0]["settled"] is None for unit in disputes)
    return {
        "task": task,
        "sample": {
            "share": pack.team.overlap,
            "judged_once": len(units) - len(twice),
            "judged_twice": len(twice),
            "disputes_open": still,
            "disputes_settled": len(disputes) - still,
        },
        "verdicts": alpha([[row["verdict"] for row in unit] for unit in twice]) | {"distance": "nominal"},
        "people": [
            {"one": one, "other": other} | kappa([a for a, _ in said], [b for _, b in said])
            for (one, other), said in sorted(couples.items())
        ],
        "labels": labels,
        "gold": _gold(store, task),
    }


def _gold(store: Store, task: str) -> list[dict[str, Any]]:
    rows = store.rows(
        "SELECT j.actor, j.verdict = g.verdict AS good FROM judgments j JOIN gold g ON g.pair_id = j.pair_id"
        " AND g.rev = j.rev JOIN pairs p ON p.pair_id = j.pair_id WHERE p.task = ? AND j.kind = 'gold'"
        " AND j.undone IS NULL ORDER BY j.seq",
        [task],
    )
    by: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        by[row["actor"]].append(bool(row["good"]))
    from scipy.stats import binomtest

    found = []
    for user, right in sorted(by.items()):
        span = binomtest(sum(right), len(right)).proportion_ci(method="wilson")
        found.append(
            {
                "user": user,
                "n": len(right),
                "right": sum(right),
                "share": sum(right) / len(right),
                "interval": [float(span.low), float(span.high)],
                "lately": sum(right[-20:]) / len(right[-20:]),
            }
        )
    return found


def _comparable(kind: str, value: Any) -> Hashable:
    if kind == "multi-choice":
        return frozenset(value)
    if kind == "span":
        return frozenset(
            (one["label"], one["field"], at) for one in value for at in range(one["start"], one["stop"])
        )
    return value

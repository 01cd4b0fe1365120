"""Detection tables: what the scorers catch of planted errors, and how often they accuse clean text.

Covers: `soap_note` on ACI-Bench gold (test1, never used to write rules) and on natural notes of our own (open
ones, against which rules were written), the nine published systems of ACI-Bench; `tone`'s
voice classifier on iSarcasmEval. Does not cover: scorers with detection tables of their own areas (code, contracts,
policies).

*Caught*: a planted error makes a hit of its kind at its place that the clean note does not have. Without a reference
the scorer sees note and transcript, as at labelling time; "with reference" it sees the clean note as well. *False
alarm*: a hit on a clean note. Part of what ACI-Bench gold claims truly stands in no transcript (ages come from
elsewhere): two adjudicators read every accusation against the transcript, each alone, and agreed on all 58; claims that
they found unsupported count neither as alarms nor as claims. Natural notes: an error is caught when a hit of content
that the clean note does not have overlaps its sentence; a clean or rephrased note is flagged when it has any hit of
content. Spread: Wilson 95 % interval. The sets in `NATURAL` have been read by the author of the rules, but for
`sealed_3` and `sealed_4`: two more authors', scored when the rules were done. `sealed_5` has not been scored.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from statsmodels.stats.proportion import proportion_confint

import evals
from benchmarks._plant import PLANTERS, Planted
from benchmarks._pythonic_rank import correlate

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "shared" / "data"
ACI = DATA / "aci-bench"
ADJUDICATED = HERE / "data" / "aci_bench_test1_adjudicated.jsonl"
CONTENT = frozenset(
    "unsupported_medication wrong_dose wrong_allergy wrong_laterality unsupported_number wrong_number wrong_date "
    "flipped_negation".split()
)
CLAIMS = CONTENT - {"unsupported_number", "wrong_number"} | {"number"}
SYSTEMS = (
    "gpt4 chatgpt davinci003 davinci002 bart_large biobart_division led retrieval_umls copy_12_turns".split()
)
NATURAL = {
    "dev": "open",
    "dev_2": "open, second",
    "sealed": "once sealed, open",
    "sealed_2": "open, by another author",
    "sealed_3": "sealed",
    "sealed_4": "sealed, second",
}
STRICT = 0.8  # the certainty at which the learned judge flagged 13 % of the clean notes of authors held out
Hits = list[dict[str, Any]]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def judge(
    notes: Sequence[str],
    transcripts: Sequence[str],
    references: Sequence[str] | None = None,
    certainty: float = 0.0,
) -> dict[str, Any]:
    return evals.metric("soap_note").compute(
        predictions=list(notes),
        transcripts=list(transcripts),
        references=list(references) if references else None,
        certainty=certainty,
    )


def _new(clean: Hits, hits: Hits) -> Hits:
    """Hits that the clean note does not have, by kind and words."""
    had = Counter((hit["kind"], hit["span"]) for hit in clean)
    fresh = []
    for hit in hits:
        key = (hit["kind"], hit["span"])
        if had[key]:
            had[key] -= 1
        else:
            fresh.append(hit)
    return fresh


def _caught(planted: Planted, clean: Hits, hits: Hits) -> bool:
    return any(
        hit["kind"] in planted.kinds
        and (hit["start"] == hit["end"] == 0 or (hit["start"] < planted.end and planted.start < hit["end"]))
        for hit in _new(clean, hits)
    )


def detection(
    rows: Sequence[dict[str, Any]], rounds: int, reference: bool, seed: int = 7
) -> dict[str, tuple[int, int]]:
    """``error -> (caught, planted)`` over notes ``{prompt, completion}``, ``rounds`` errors of each kind a note."""
    references = [row["completion"] for row in rows] if reference else None
    clean = judge([row["completion"] for row in rows], [row["prompt"] for row in rows], references)[
        "evidence"
    ]
    result = {}
    for error, plant in PLANTERS.items():
        jobs = []
        for index, row in enumerate(rows):
            for turn in range(rounds):
                rng = random.Random(f"{seed}/{error}/{index}/{turn}")
                planted = plant(row["completion"], row["prompt"], rng)
                if planted is not None:
                    jobs.append((index, planted))
        if not jobs:
            continue
        found = judge(
            [planted.text for _, planted in jobs],
            [rows[index]["prompt"] for index, _ in jobs],
            [rows[index]["completion"] for index, _ in jobs] if reference else None,
        )["evidence"]
        caught = sum(_caught(p, clean[i], hits) for (i, p), hits in zip(jobs, found, strict=True))
        result[error] = (caught, len(jobs))
    return result


def alarms(rows: Sequence[dict[str, Any]], reference: bool) -> dict[str, tuple[int, int]]:
    """``kind -> (false alarms, claims of that kind that are supported)`` on clean notes; sections count one a note.

    A claim that both adjudicators found unsupported is neither (`ADJUDICATED`); a hit that they have not seen counts
    as false.
    """
    from evals.metrics.soap_note import allergies, claims, dates, findings, sides
    from evals.metrics.soap_note import source as sources

    references = [row["completion"] for row in rows] if reference else None
    evidence = judge([r["completion"] for r in rows], [r["prompt"] for r in rows], references)["evidence"]
    unsupported = {
        (one["id"], one["kind"], one["start"], one["end"])
        for one in lines(ADJUDICATED)
        if set(one["verdicts"]) == {"unsupported"}
    }
    hits: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for row, found in zip(rows, evidence, strict=True):
        for hit in found:
            if (row["source_id"], hit["kind"], hit["start"], hit["end"]) in unsupported:
                total[_sort(hit["kind"])] -= 1
            else:
                hits[_sort(hit["kind"])] += 1
        source = sources.Source(row["prompt"])
        named = Counter(claim.kind for claim in claims.find_claims(row["completion"]))
        total["unsupported_medication"] += named["medication"]
        total["wrong_dose"] += named["dose"]
        total["number"] += named["number"]
        total["wrong_laterality"] += sides.sides(row["completion"], source)[1]
        total["wrong_allergy"] += allergies.allergies(row["completion"], row["prompt"], "")[1]
        total["wrong_date"] += dates.dates(row["completion"], source)[1]
        total["flipped_negation"] += findings.flips(row["completion"], row["prompt"])[1]
        for kind in ("wrong_section", "several_notes", "missing_section", "dropped_section"):
            total[kind] += 1
    result = {kind: (hits[kind], n) for kind, n in total.items() if n > 0}
    everything = [n for kind, n in result.items() if kind in CLAIMS]
    return result | {"any": (sum(n for n, _ in everything), sum(n for _, n in everything))}


def _sort(kind: str) -> str:
    return "number" if kind in ("unsupported_number", "wrong_number") else kind


def _home(row: dict[str, Any], error: dict[str, Any]) -> str:
    """The text of a visit that an error is planted in."""
    return str(error.get("in") or ("note" if error["old"] in row["note"] else "rephrased"))


def natural(rows: Sequence[dict[str, Any]], reference: bool, certainty: float = 0.0) -> dict[str, Any]:
    """Natural notes: ``errors`` kind -> (caught, planted), ``flagged`` (clean and rephrased notes flagged, all).

    An error stands in the note, or in the rephrased one where it says so or its words are found nowhere else.
    """
    transcripts = [row["transcript"] for row in rows]
    given = [row["note"] for row in rows] if reference else None
    clean = judge([row["note"] for row in rows], transcripts, given, certainty)["evidence"]
    other = judge([row["rephrased"] for row in rows], transcripts, given, certainty)["evidence"]
    errors: dict[str, list[int]] = {}
    missed, notes = [], []
    for index, row in enumerate(rows):
        notes += [(index, error) for error in row["errors"]]
    homes = [_home(rows[i], error) for i, error in notes]
    texts = [rows[i][home].replace(e["old"], e["new"], 1) for (i, e), home in zip(notes, homes, strict=True)]
    found = judge(
        texts,
        [transcripts[i] for i, _ in notes],
        [rows[i]["note"] for i, _ in notes] if reference else None,
        certainty,
    )["evidence"]
    for (index, error), home, text, hits in zip(notes, homes, texts, found, strict=True):
        at = rows[index][home].find(error["old"])
        begin = max(text.rfind(". ", 0, at), text.rfind("\n", 0, at)) + 1
        end = min(
            (i for i in (text.find(". ", at + len(error["new"])), text.find("\n", at)) if i >= 0),
            default=len(text),
        )
        good = any(
            hit["kind"] in CONTENT and hit["start"] <= end and begin <= hit["end"]
            for hit in _new((clean if home == "note" else other)[index], hits)
        )
        tally = errors.setdefault(error["kind"], [0, 0])
        tally[0] += good
        tally[1] += 1
        if not good:
            missed.append((rows[index]["id"], error))
    flags = [any(hit["kind"] in CONTENT for hit in hits) for hits in [*clean, *other]]
    wrong = [
        (row["id"], hit)
        for row, hits in zip([*rows, *rows], [*clean, *other], strict=True)
        for hit in hits
        if hit["kind"] in CONTENT
    ]
    return {"errors": errors, "flagged": (sum(flags), len(flags)), "missed": missed, "alarms": wrong}


def _share(good: int, total: int, goal: float | None, at_least: bool = True) -> dict[str, Any]:
    low, high = proportion_confint(good, total, method="wilson")
    share = good / total
    met = None if goal is None else bool(share >= goal if at_least else share <= goal)
    sign = ">=" if at_least else "<="
    return {
        "goal": "" if goal is None else f"{sign} {goal}",
        "ours": round(share, 4),
        "spread": f"{good} of {total}, {low:.3f} to {high:.3f}",
        "met": met,
    }


def _row(figure: str, values: dict[str, Any]) -> dict[str, Any]:
    return {
        "figure": figure,
        "versions": {
            "rapidfuzz": version("rapidfuzz"),
            "rouge-score": version("rouge-score"),
            "soap_note": evals.scorer_version("soap_note"),
        },
        **values,
    }


def _aci_rows(quick: bool) -> Iterable[dict[str, Any]]:
    rows = lines(ACI / "test1.jsonl")[: 6 if quick else None]
    for reference in (False, True):
        seen = "with reference" if reference else "transcript only"
        for error, (caught, total) in detection(rows, 1 if quick else 3, reference).items():
            yield _row(f"ACI-Bench test1, {seen}: {error} caught", _share(caught, total, 0.95))
        for kind, (hits, total) in alarms(rows, reference).items():
            figure = f"ACI-Bench test1 gold, {seen}: {kind} accused, per supported claim"
            yield _row(figure, _share(hits, total, 0.02, at_least=False))


def _natural_rows(quick: bool) -> Iterable[dict[str, Any]]:
    for file, name in NATURAL.items():
        rows = lines(HERE / "data" / f"soap_notes_{file}.jsonl")[: 4 if quick else None]
        for reference, certainty in ((False, 0.0), (False, STRICT), (True, 0.0)):
            seen = f"natural notes ({name}), {'with reference' if reference else 'transcript only'}"
            seen += f", certainty {certainty}" if certainty else ""
            result = natural(rows, reference, certainty)
            for kind, (caught, total) in sorted(result["errors"].items()):
                yield _row(f"{seen}: {kind} caught", _share(caught, total, None))
            caught = sum(good for good, _ in result["errors"].values())
            total = sum(count for _, count in result["errors"].values())
            yield _row(f"{seen}: errors caught", _share(caught, total, 0.85))
            flagged, clean = result["flagged"]
            yield _row(
                f"{seen}: clean or rephrased notes flagged", _share(flagged, clean, 0.15, at_least=False)
            )


def _system_rows(quick: bool) -> Iterable[dict[str, Any]]:
    gold = lines(ACI / "test1.jsonl")
    by_id = {row["source_id"]: row for row in gold}
    arms = {
        name: {row["encounter_id"]: row["note"] for row in lines(ACI / f"system_outputs_test1_{name}.jsonl")}
        for name in SYSTEMS
    } | {"gold": {row["source_id"]: row["completion"] for row in gold}}
    for name, notes in arms.items():
        keys = [key for key in by_id if key in notes][: 4 if quick else None]
        result = judge(
            [notes[key] for key in keys],
            [by_id[key]["prompt"] for key in keys],
            [by_id[key]["completion"] for key in keys],
        )
        numbers = (
            "score",
            "structure",
            "placement",
            "grounding",
            "negation",
            "completeness",
            "brevity",
            "rougeL",
            "numbers_supported",
            "medications_supported",
            "notes_with_critical",
        )
        spread = ", ".join(f"{key} {result[key]:.3g}" for key in numbers if key in result)
        values = {"goal": "", "ours": round(result["score"], 4), "spread": spread, "met": None}
        yield _row(f"ACI-Bench test1 system {name}: mean score of {len(keys)} notes", values)


def _speed_row() -> dict[str, Any]:
    rows = lines(HERE / "data" / "soap_notes_dev.jsonl")
    judge([rows[0]["note"]], [rows[0]["transcript"]])
    times = []
    for row in rows:
        start = time.perf_counter()
        judge([row["note"]], [row["transcript"]], [row["note"]])
        times.append(time.perf_counter() - start)
    values = {"goal": "", "ours": round(1000 * float(np.median(times)), 1), "spread": "", "met": None}
    return _row("soap_note: median milliseconds a natural note, one call a note", values)


def tone_auc(quick: bool) -> dict[str, float]:
    """AUC by five-fold cross-validation on content-matched pairs of iSarcasmEval, the pair the group.

    Each sarcastic text against its author's literal rephrasing, by the same kind of features as the voice classifier:
    words and word pairs. Beside it what the length alone gives.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline, make_union

    rows = lines(DATA / "isarcasmeval" / "pairs_literal_to_sarcastic.jsonl")[: 200 if quick else None]
    texts = [row[field] for row in rows for field in ("prompt", "completion")]
    labels = np.tile([0, 1], len(rows))
    groups = np.repeat(np.arange(len(rows)), 2)
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    model = make_pipeline(make_union(words, letters), LogisticRegression(C=3.0, max_iter=1000))
    folds = GroupKFold(5)
    scores = cross_val_predict(model, texts, labels, groups=groups, cv=folds, method="predict_proba")[:, 1]
    length = roc_auc_score(labels, [len(text) for text in texts])
    return {
        "auc": float(roc_auc_score(labels, scores)),
        "length": max(length, 1 - length),
        "pairs": len(rows),
    }


def _pythonic_rows() -> Iterable[dict[str, Any]]:
    """Agreement with blind ratings; who gave them says the card of `pythonic`."""
    for number in (1, 2):
        ratings = lines(HERE / "data" / f"pythonic_ratings_{number}.jsonl")
        found = correlate({row["id"]: row["rating"] for row in ratings})
        low, high = found["interval"]
        within = f"Kendall's tau-b within a program {found['kendall_within_programs']:.3f}"
        spread = f"{found['items']} translations, {low:.3f} to {high:.3f}; {within}"
        values = {"goal": "", "ours": round(found["spearman"], 4), "spread": spread, "met": None}
        yield _row(f"pythonic: Spearman with blind reviewer {number}", values)


def run(quick: bool) -> Iterator[dict[str, Any]]:
    """Every figure as a row. What needs ../shared/data is left out with a message when that is absent."""
    yield from _natural_rows(quick)
    yield from _pythonic_rows()
    yield _speed_row()
    if (ACI / "test1.jsonl").is_file():
        yield from _aci_rows(quick)
        yield from _system_rows(quick)
    else:
        print(f"skipped: planted errors on ACI-Bench and the nine systems need {ACI.name} in ../shared/data")
    if (DATA / "isarcasmeval").is_dir():
        figures = tone_auc(quick)
        lead = figures["auc"] - figures["length"]
        values = {
            "goal": ">= 0.85, >= 0.15 above length",
            "ours": round(figures["auc"], 4),
            "spread": f"{figures['pairs']:.0f} pairs, length alone {figures['length']:.3f}",
            "met": bool(figures["auc"] >= 0.85 and lead >= 0.15),
        }
        yield _row(
            "tone: AUC on content-matched iSarcasmEval pairs, 5-fold by pair, words and letters", values
        )
    else:
        print("skipped: tone on iSarcasmEval needs isarcasmeval in ../shared/data")

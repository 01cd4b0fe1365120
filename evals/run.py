"""Run a suite: every arm answers every eval row once, the scorer judges every answer, nothing is lost.

Covers: generations and scores keyed by content hash (re-scoring never generates, re-reporting does neither), gaps
by row and reason, the count of looks at an eval set, reading a finished run.
Does not cover: prompts (`evals.arms`), decoding (`evals.generate`), verdicts (`evals.gate`), pages (`evals.report`).

A run folder holds::

    run.json              what was run: hashes, arms, decoding, scorer, gaps, cost
    eval.jsonl            the eval rows as they were
    generations.parquet   one row an (arm, eval row): key, text, tokens, seconds
    scores.parquet        one row an (arm, eval row): key of the generation, scorer and its version, numbers, evidence

and ``eval_looks.json`` stands beside it, one for all runs of the parent folder.

A scorer gets exactly those columns that its features name: ``predictions``, ``references``, ``expects``, ``histories``
(list of turns, or their JSON where the feature is a string), ``metadata`` (JSON), and the row's prompt as ``prompts``,
``transcripts``, ``questions``, ``requests`` or ``sources``; and the suite's ``params`` as keywords. An
``OPTIONAL`` column of another name (``domains``) is filled from the rows' metadata of that name. Beside the numbers
that every scorer returns it may return ``refuses``: a reason why it must not gate; ``errors``: for each answer None, or
why the machine (not the answer) kept it from a score. A module may declare ``COUNTERS``: the kinds of evidence that
a gate may name in ``critical``, ``OPTIONAL``: the columns that may be empty, and ``SANDBOX = True``: no verdict without
the sandbox's attestation.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

import evals
from curate.contract import canonical_json, file_sha256, load_manifest, load_rows, sha256_hex
from curate.errors import GoldpairError, NotFound, UsageError
from curate.tasks import EvalRow, Gate, Suite, TaskPack, load_eval
from evals._asking import INFRASTRUCTURE, Progress, answers_of
from evals.arms import Arm, prepare
from evals.sample import spread

FORMAT = 1
PROMPT_COLUMNS = ("prompts", "transcripts", "questions", "requests", "sources")
GENERATIONS = {
    "key": pl.String(),
    "arm": pl.String(),
    "row_id": pl.String(),
    "text": pl.String(),
    "support": pl.String(),
    "prompt_tokens": pl.Int64(),
    "completion_tokens": pl.Int64(),
    "seconds": pl.Float64(),
}
SCORES = {
    "key": pl.String(),  # of the score: generation, row, scorer, version, parameters
    "generation": pl.String(),
    "arm": pl.String(),
    "row_id": pl.String(),
    "scorer": pl.String(),
    "scorer_version": pl.String(),
    "score": pl.Float64(),
    "primary": pl.Float64(),
    "subscores": pl.String(),  # JSON object
    "evidence": pl.String(),  # JSON list
}


class EvalError(GoldpairError):
    """An eval run cannot be made or read."""


def run_suite(
    pack_dir: Path | str,
    pack: TaskPack,
    suite: Suite | str,
    arms: Sequence[Arm],
    out_dir: Path | str,
    *,
    snapshot_dir: Path | str | None = None,
    cache: Path | str | None = None,
    progress: Progress | None = None,
    training: Mapping[str, Any] | None = None,
    limit: int | None = None,
    demo: Mapping[str, Any] | None = None,
) -> EvalRun:
    """Answer, score and write one suite; what ``out_dir`` or ``cache`` holds already is not made again.

    Args:
        snapshot_dir: source of the examples of few_shot and retrieval arms, and of the data section of the report.
        cache: folder of answers shared between runs (a predecessor's answers come from there).
        training: cost of the tuned model, ``{"seconds": float, "device": str}``; used for the break-even.
        limit: ask so many rows, spread over the slices (`evals.sample`); such a run never passes a gate.
        demo: the declared override of a short demo, ``{"signed_by", "reason", "steps", "planned_steps"}``; shown by
            the gate and the report.

    Raises `UsageError` for an unknown suite or an arm that lacks something, `EvalError` when a scorer fails.
    """
    if isinstance(suite, str):
        suite = next((item for item in pack.suites if item.name == suite), None) or _no_suite(pack, suite)
    names = [arm.name for arm in arms]
    if len(set(names)) != len(names) or not names:
        raise UsageError(
            f"A run needs at least one arm, each with its own name; got {', '.join(names) or 'none'}."
        )
    every = load_eval(pack_dir, suite)
    rows = spread(every, limit, suite.slices)
    if not rows:
        raise UsageError(f"Suite {suite.name!r}: {suite.eval} holds no row.")
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    examples, snapshot = _snapshot(snapshot_dir)
    decoding = pack.model.generation.model_dump(mode="json") | {"greedy": True}

    old = _old_frame(out / "generations.parquet", GENERATIONS)
    known = {row["key"]: row for row in old.iter_rows(named=True)}
    before = _old_meta(out)
    made: list[dict[str, Any]] = []
    gaps: list[dict[str, str]] = []
    described: dict[str, dict[str, Any]] = {}
    for arm in arms:
        prepared = prepare(
            arm,
            pack,
            every,  # so that a part of the rows gets the very prompts that all of them get
            examples,
            snapshot_id=snapshot["id"] if snapshot else "",
            max_new_tokens=pack.model.generation.max_new_tokens,
        )
        asked = {row.id for row in rows}
        prepared = replace(prepared, questions=[q for q in prepared.questions if q.row_id in asked])
        kept = _repeat_of(before, arm.name, prepared.identity)
        answers, missing, repeat = answers_of(
            arm, prepared, [row.id for row in rows], pack.model.generation, known, cache, progress, kept
        )
        made += answers
        known |= {answer["key"]: answer for answer in answers}  # two arms on one model ask it once
        gaps += missing
        described[arm.name] = {
            "kind": arm.kind,
            "note": arm.note,
            "identity": prepared.identity,
            "facts": prepared.facts,
            "repeat": repeat,
            "rows": len(answers),
            "prompt_tokens": sum(answer["prompt_tokens"] for answer in answers),
            "completion_tokens": sum(answer["completion_tokens"] for answer in answers),
            "seconds": round(sum(answer["seconds"] for answer in answers), 6),
        }
        # After each arm, so that a run that is stopped continues here.
        _write_frame(out / "generations.parquet", _merge(made, known), GENERATIONS)
    _write_frame(out / "generations.parquet", made, GENERATIONS)

    scores, aggregates, errors = _score(pack_dir, out, suite, arms, rows, made)
    gaps += errors
    _write_frame(out / "scores.parquet", scores, SCORES)
    for name in names:
        described[name]["aggregate"] = aggregates[name]
    body: dict[str, Any] = {
        "format": FORMAT,
        "task": pack.name,
        "title": pack.title,
        "suite": suite.model_dump(mode="json"),
        "pack_sha256": sha256_hex(canonical_json(pack.model_dump(mode="json"))),
        "gate": pack.gate.model_dump(mode="json"),
        "gate_sha256": gate_sha256(pack.gate),
        "eval": {
            "file": suite.eval,
            "sha256": eval_sha256(rows),
            "rows": len(rows),
            "of": len(every),
            "clusters": len({cluster_of(row, suite.cluster) for row in rows}),
        },
        "snapshot": snapshot,
        "overlap": _overlap(rows, examples),
        "scorer": {
            "name": suite.metric,
            "version": evals.scorer_version(suite.metric),
            "params": suite.params,
            "primary": suite.primary,
            "counters": _counters(suite.metric),
            "sandboxed": bool(_declared(evals.metric(suite.metric), "SANDBOX")),
            "misses": evals.claims(suite.metric).misses,
        },
        "decoding": decoding,
        "arms": described,
        "gaps": gaps,
        # Only where code of others ran: that it ran isolated, or that it was not run.
        "sandbox": _attestation(suite.metric),
        "training": dict(training) if training else None,
        "demo": dict(demo) if demo else None,
        "versions": {
            "python": ".".join(map(str, sys.version_info[:3])),
            **{name: importlib.metadata.version(name) for name in ("evaluate", "scipy", "bm25s")},
        },
    }
    same = {key: before.get(key) for key in body} == json.loads(json.dumps(body))
    body["created"] = before["created"] if same else datetime.now(UTC).isoformat(timespec="seconds")
    body["eval"]["looks"] = _look(out.parent / "eval_looks.json", body["eval"]["sha256"], made)
    (out / "eval.jsonl").write_text("".join(row.model_dump_json() + "\n" for row in rows), "utf-8")
    _replace(
        out / "run.json", json.dumps(body, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    )
    return EvalRun.load(out)


@dataclass(frozen=True)
class EvalRun:
    """A finished run, read from its folder."""

    folder: Path
    meta: dict[str, Any]
    rows: list[EvalRow]
    generations: pl.DataFrame
    scores: pl.DataFrame

    @classmethod
    def load(cls, folder: Path | str) -> EvalRun:
        """Raises `NotFound` when the folder is no finished run."""
        folder = Path(folder)
        try:
            meta = json.loads((folder / "run.json").read_text("utf-8"))
            lines = (folder / "eval.jsonl").read_text("utf-8").splitlines()
            return cls(
                folder,
                meta,
                [EvalRow.model_validate_json(line) for line in lines],
                pl.read_parquet(folder / "generations.parquet"),
                pl.read_parquet(folder / "scores.parquet"),
            )
        except (OSError, ValueError, pl.exceptions.PolarsError) as error:
            raise NotFound(
                f"{folder} is no finished eval run ({error}). `goldpair eval` makes one."
            ) from error

    @property
    def arms(self) -> list[str]:
        """Names in the order of the run."""
        order = self.generations["arm"].unique(maintain_order=True).to_list()
        return [*order, *(name for name in self.meta["arms"] if name not in order)]

    def kind(self, arm: str) -> str:
        return str(self.meta["arms"][arm]["kind"])

    @cached_property
    def suite(self) -> Suite:
        return Suite.model_validate(self.meta["suite"])

    @cached_property
    def _by_arm(self) -> dict[str, dict[str, dict[str, Any]]]:
        joined = self.generations.join(
            self.scores.select("arm", "row_id", "score", "primary", "subscores", "evidence"),
            on=["arm", "row_id"],
            how="left",
        )
        found: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in self.meta["arms"]}
        for row in joined.iter_rows(named=True):
            row["subscores"] = json.loads(row["subscores"] or "{}")
            row["evidence"] = json.loads(row["evidence"] or "[]")
            found[row["arm"]][row["row_id"]] = row
        return found

    def answers(self, arm: str) -> dict[str, dict[str, Any]]:
        """Row id -> text, tokens, seconds, ``primary`` (the deciding number), subscores, evidence."""
        if arm not in self._by_arm:
            raise UsageError(f"No arm {arm!r} in this run. It has: {', '.join(self.arms)}.")
        return self._by_arm[arm]

    def primary(self, arm: str) -> dict[str, float]:
        """Row id -> the number that decides, for rows that have one."""
        return {name: row["primary"] for name, row in self.answers(arm).items() if row["primary"] is not None}

    def clusters(self, ids: Sequence[str]) -> list[str]:
        by_id = {row.id: cluster_of(row, self.suite.cluster) for row in self.rows}
        return [by_id[name] for name in ids]

    def paired(self, candidate: str, baseline: str) -> tuple[list[str], list[float], list[float], list[str]]:
        """Row ids that both arms have, their scores, their clusters; in the order of the eval file."""
        a, b = self.primary(candidate), self.primary(baseline)
        ids = [row.id for row in self.rows if row.id in a and row.id in b]
        return ids, [a[name] for name in ids], [b[name] for name in ids], self.clusters(ids)


def eval_sha256(rows: Sequence[EvalRow]) -> str:
    """Hash of an eval set's content and order."""
    return sha256_hex(canonical_json([row.model_dump(mode="json") for row in rows]))


def gate_sha256(gate: Gate) -> str:
    """Hash of a gate: what was promised before the run."""
    return sha256_hex(canonical_json(gate.model_dump(mode="json")))


def cluster_of(row: EvalRow, key: str) -> str:
    """The value rows share when they are not independent: a field, a slice or a metadata entry; else the row's id."""
    value = row.source if key == "source" else row.slice.get(key, row.metadata.get(key, row.id))
    return str(value)


def score_texts(
    name: str,
    rows: Sequence[EvalRow],
    predictions: Sequence[str],
    params: Mapping[str, Any] | None = None,
    pack_dir: Path | str | None = None,
) -> dict[str, Any]:
    """A scorer's result over texts that answer ``rows``, by the column mapping of this module's docstring.

    Used for every arm of a run, and for gold completions at preflight. A scorer that learns from the task pack gets
    its folder as ``pack_dir``. Raises `EvalError` naming the scorer.
    """
    scorer = evals.metric(name)
    params = dict(params or {})
    if pack_dir is not None and "pack_dir" in inspect.signature(scorer._compute).parameters:
        params["pack_dir"] = str(pack_dir)
    available: dict[str, list[Any]] = {
        "predictions": list(predictions),
        "references": [row.reference for row in rows],
        "expects": [row.expect for row in rows],
        "histories": [row.history for row in rows],
        "metadata": [json.dumps(row.metadata, sort_keys=True, ensure_ascii=False) for row in rows],
        **{column: [row.prompt for row in rows] for column in PROMPT_COLUMNS},
    }
    features = dict(scorer.features)
    optional = _declared(scorer, "OPTIONAL")
    for column in optional:
        if column not in available and any(column in row.metadata for row in rows):
            available[column] = [_as_text(row.metadata.get(column)) for row in rows]
    features = {name: kind for name, kind in features.items() if name in available or name not in optional}
    unknown = sorted(set(features) - set(available))
    if unknown:
        raise EvalError(
            f"Scorer {name!r} asks for the columns {', '.join(unknown)}, which eval rows do not have."
        )
    columns = {column: available[column] for column in features}
    if getattr(features.get("histories"), "dtype", None) == "string":
        columns["histories"] = [json.dumps(history, ensure_ascii=False) for history in columns["histories"]]
    for column, values in columns.items():
        empty = [row.id for row, value in zip(rows, values, strict=True) if value is None]
        if empty and column not in optional:
            some = ", ".join(empty[:3])
            raise EvalError(
                f"Scorer {name!r} needs {column}, and {len(empty)} eval rows have none (first: {some})."
            )
        columns[column] = ["" if value is None else value for value in values]
    try:
        result = scorer.compute(**columns, **params)
    except GoldpairError:
        raise
    except Exception as error:
        # `evaluate` puts the texts themselves into its messages; records must not reach a log that way.
        why = str(error).split("\n", 1)[0][:200]
        raise EvalError(
            f"Scorer {name!r} failed over {len(rows)} answers: {type(error).__name__}: {why}"
        ) from None
    if not isinstance(result, dict) or len(result.get("scores", ())) != len(rows):
        raise EvalError(
            f"Scorer {name!r} must return one score for each of {len(rows)} answers, in their order."
        )
    return result


def score_twice(
    name: str,
    rows: Sequence[EvalRow],
    predictions: Sequence[str],
    params: Mapping[str, Any] | None = None,
    pack_dir: Path | str | None = None,
) -> dict[str, Any]:
    """`score_texts`, and once more for the answers that the scorer names in ``errors``."""
    result = score_texts(name, rows, predictions, params, pack_dir)
    failed = [number for number, why in enumerate(result.get("errors") or ()) if why]
    if failed:
        again = score_texts(
            name, [rows[i] for i in failed], [predictions[i] for i in failed], params, pack_dir
        )
        for place, number in enumerate(failed):
            for column in ("scores", "subscores", "evidence", "errors"):
                if result.get(column) is not None and again.get(column) is not None:
                    result[column][number] = again[column][place]
    return result


def optional_columns(metric: str) -> tuple[str, ...]:
    """Columns that a scorer can do without."""
    return _declared(evals.metric(metric), "OPTIONAL")


def _attestation(metric: str) -> dict[str, Any] | None:
    """The sandbox's own proof, for a scorer that declares ``SANDBOX = True``; None for every other."""
    if not getattr(sys.modules[type(evals.metric(metric)).__module__], "SANDBOX", False):
        return None
    from evals.sandbox import attestation

    return attestation()


def learned_from(pack_dir: Path | str, metric: str) -> dict[str, str]:
    """Hashes of the files in the pack's folder of the scorer's name: what a scorer learned from."""
    folder = Path(pack_dir) / metric
    return {path.name: file_sha256(path) for path in sorted(folder.glob("*.jsonl"))}


def _score(
    pack_dir: Path | str,
    out: Path,
    suite: Suite,
    arms: Sequence[Arm],
    rows: Sequence[EvalRow],
    made: Sequence[Mapping[str, Any]],
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]], list[dict[str, str]]]:
    """Scores of every answer, arm by arm, and gaps; an arm whose scores are all there keeps them and its aggregates.

    An answer that the scorer names in ``errors`` is judged a second time; if that fails too it has no score.
    """
    version = evals.scorer_version(suite.metric)
    old = {row["key"]: row for row in _old_frame(out / "scores.parquet", SCORES).iter_rows(named=True)}
    before = _old_meta(out).get("arms", {})
    by_id = {row.id: row for row in rows}
    scores: list[dict[str, Any]] = []
    gaps: list[dict[str, str]] = []
    aggregates: dict[str, dict[str, Any]] = {}
    for arm in arms:
        answers = [answer for answer in made if answer["arm"] == arm.name]
        basis = {"scorer": suite.metric, "version": version, "params": suite.params, "primary": suite.primary}
        basis["learned_from"] = learned_from(pack_dir, suite.metric)
        keys = [
            sha256_hex(
                canonical_json(
                    basis
                    | {"generation": answer["key"], "row": by_id[answer["row_id"]].model_dump(mode="json")}
                )
            )
            for answer in answers
        ]
        kept = [
            old[key]
            for key in keys
            if key in old and old[key]["arm"] == arm.name and old[key]["score"] is not None
        ]
        if answers and len(kept) == len(keys) and "aggregate" in before.get(arm.name, {}):
            scores += kept
            aggregates[arm.name] = before[arm.name]["aggregate"]
            continue
        if not answers:
            aggregates[arm.name] = {}
            continue
        judged = [by_id[answer["row_id"]] for answer in answers]
        texts = [answer["text"] for answer in answers]
        result = score_twice(suite.metric, judged, texts, suite.params, pack_dir)
        errors = result.get("errors") or [None for _ in answers]
        subscores = result.get("subscores") or [{} for _ in answers]
        evidence = result.get("evidence") or [[] for _ in answers]
        for number, (answer, key) in enumerate(zip(answers, keys, strict=True)):
            broken = errors[number]
            if broken:
                reason = f"the scorer could not judge it: {broken}"[:300]
                gap = {"arm": arm.name, "row_id": answer["row_id"], "reason": reason, "kind": INFRASTRUCTURE}
                gaps.append(gap)
            score = None if broken else float(result["scores"][number])
            scores.append(
                {
                    "key": key,
                    "generation": answer["key"],
                    "arm": arm.name,
                    "row_id": answer["row_id"],
                    "scorer": suite.metric,
                    "scorer_version": version,
                    "score": score,
                    "primary": None if score is None else primary_of(suite, score, subscores[number]),
                    "subscores": json.dumps(_plain(subscores[number]), sort_keys=True),
                    "evidence": json.dumps(_plain(evidence[number]), sort_keys=True, ensure_ascii=False),
                }
            )
        aggregates[arm.name] = {
            name: _plain(value)
            for name, value in result.items()
            if name not in ("scores", "subscores", "evidence") and not isinstance(value, (list, tuple))
        }
    return scores, aggregates, gaps


def _repeat_of(before: Mapping[str, Any], arm: str, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """What asking this arm twice showed in an earlier run of this folder; asked once a model is enough."""
    described = before.get("arms", {}).get(arm, {})
    found = described.get("repeat") if described.get("identity") == identity else None
    return found if found and found["asked"] else None


def primary_of(suite: Suite, score: float, subscores: Mapping[str, Any]) -> float:
    """The number that decides. Raises `UsageError` where the scorer has no such number, `EvalError` for NaN."""
    if suite.primary == "score":
        value = score
    elif suite.primary in subscores:
        value = float(subscores[suite.primary])
    else:
        known = ", ".join(["score", *sorted(subscores)])
        raise UsageError(
            f"Suite {suite.name!r}: primary {suite.primary!r} is no number of scorer {suite.metric!r}. It has: {known}."
        )
    if not math.isfinite(value):
        raise EvalError(
            f"Scorer {suite.metric!r} returned {value} for {suite.primary!r}; a score must be a number."
        )
    return value


def _plain(value: Any) -> Any:
    """Numpy numbers and tuples as JSON has them; NaN as null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _counters(name: str) -> list[str]:
    return sorted(_declared(evals.metric(name), "COUNTERS"))


def _declared(scorer: Any, name: str) -> tuple[str, ...]:
    """A tuple that the scorer's module declares, empty where it does not; a true value stands for itself."""
    found = getattr(sys.modules[type(scorer).__module__], name, ())
    return (name,) if found is True else tuple(found or ())


def _as_text(value: Any) -> str:
    """A metadata value for a scorer's text column: objects as JSON, nothing as an empty text."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _snapshot(folder: Path | str | None) -> tuple[pl.DataFrame | None, dict[str, Any] | None]:
    if folder is None:
        return None, None
    manifest = load_manifest(folder)
    keep = (
        "id",
        "task",
        "created",
        "created_by",
        "rows",
        "excluded",
        "detector_version",
        "guideline_version",
    )
    described = {key: getattr(manifest, key) for key in (*keep, "sources", "licences", "previous")}
    preflight = Path(folder) / "preflight.json"
    described["preflight"] = json.loads(preflight.read_text("utf-8")) if preflight.is_file() else None
    return load_rows(folder, "train"), described


def _overlap(rows: Sequence[EvalRow], examples: pl.DataFrame | None) -> list[dict[str, str]]:
    """Eval rows whose whole conversation stands in the training rows, after case and white space are dropped."""
    if examples is None:
        return []

    def plain(history: Sequence[Mapping[str, str]], prompt: str) -> str:
        return " ".join(" ".join([*(turn.get("content", "") for turn in history), prompt]).casefold().split())

    seen = {
        plain(json.loads(row["history"]), row["prompt"]): row["pair_id"]
        for row in examples.iter_rows(named=True)
    }
    pairs = [(row.id, seen.get(plain(row.history, row.prompt))) for row in rows]
    return [{"row_id": name, "pair_id": pair} for name, pair in pairs if pair is not None]


def _look(path: Path, eval_hash: str, made: Sequence[Mapping[str, Any]]) -> int:
    """Count of different sets of answers ever scored on this eval set. The same answers again are no new look."""
    try:
        looks = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        looks = {}
    except ValueError as error:
        raise EvalError(f"{path} is damaged ({error}). Move it away to start counting looks anew.") from error
    seen = looks.setdefault(eval_hash, [])
    this = sha256_hex(canonical_json(sorted({answer["key"] for answer in made})))
    if this not in seen:
        seen.append(this)
        _replace(path, json.dumps(looks, indent=1, sort_keys=True).encode() + b"\n")
    return seen.index(this) + 1


def _old_frame(path: Path, schema: Mapping[str, Any]) -> pl.DataFrame:
    """What an earlier run left; a damaged file counts as nothing, because everything in it can be made again."""
    try:
        frame = pl.read_parquet(path)
        return frame if dict(frame.schema) == dict(schema) else pl.DataFrame(schema=dict(schema))
    except (OSError, pl.exceptions.PolarsError):
        return pl.DataFrame(schema=dict(schema))


def _old_meta(out: Path) -> dict[str, Any]:
    try:
        found = json.loads((out / "run.json").read_text("utf-8"))
        if isinstance(found, dict):
            found.get("eval", {}).pop("looks", None)
            return found
    except (OSError, ValueError):
        pass
    return {}


def _merge(made: Sequence[Mapping[str, Any]], known: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    keys = {row["key"] for row in made}
    return [*map(dict, made), *(dict(row) for key, row in known.items() if key not in keys)]


def _write_frame(path: Path, rows: Sequence[Mapping[str, Any]], schema: Mapping[str, Any]) -> None:
    temporary = path.with_suffix(".tmp")
    pl.DataFrame([{name: row[name] for name in schema} for row in rows], schema=dict(schema)).write_parquet(
        temporary
    )
    temporary.replace(path)


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(data)
    temporary.replace(path)


def _no_suite(pack: TaskPack, name: str) -> Suite:
    known = ", ".join(suite.name for suite in pack.suites) or "none"
    raise UsageError(f"Task {pack.name!r} has no suite {name!r}. It has: {known}.")

"""Dose and response with retraining: wrong labels planted into the sarcastic bot's snapshot, model trained, gate asked.

Covers: helpful answers of the untuned model and remarks on another question in 2, 10 and 25 % of the training pairs
and in none, under several seeds, through the operations that people use: preflight, training (a preflight that stops
is overridden, to see what promotion would do), evaluation, gate against a released clean version; and whether what
blame suspects for the answers that broke is what was planted: pairs, and the batch they are told to have come in, one
of as many equal batches drawn blindly as the pairs allow. An answer counts as broken by the planted labels if it was
good under the released version, is not now, and is good under a clean retrain with the seed of the poisoned one.
Does not cover: kinds that are cheap to count without training (`benchmarks.planted`), larger models. Few runs, so the
Clopper-Pearson intervals are wide.

Some minutes a model. Each model's line goes to ``results/planted_training.jsonl`` when it is done, and a later run of
the same pack and code of the gate goes on after the last; ``GOLDPAIR_SEEDS`` (3) says how many seeds a kind gets.
"""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

import evals
from benchmarks._shipped import at_snapshot
from benchmarks.planted import _helpful, swapped
from curate import contract, demo, suspects
from curate.contract import ROW_SCHEMA, canonical_json, file_sha256, full_row_hash, row_sha256, sha256_hex
from curate.tasks import load_pack
from curate.workspace import Workspace
from evals.blame import TOP, blame, broken_rows
from evals.generate import LocalModel
from evals.run import EvalRun
from evals.stats import clopper_pearson

TASK = "sarcastic-bot"
CLEAN, HELPFUL, OTHER = "clean", "helpful answers of the untuned model", "remarks on another question"
SHARES = (0.02, 0.05, 0.1, 0.25)
EXAMPLES = 50  # answers that broke, looked at in one model
KEPT = Path(__file__).parent / "results" / "planted_training.jsonl"
Outcome = dict[str, Any]


def run(quick: bool) -> Iterator[dict[str, Any]]:
    """Rows by kind and share; quick trains one clean and one poisoned model for two minutes each and keeps neither."""
    shares, seeds = (SHARES[-1:], 1) if quick else (SHARES, int(os.environ.get("GOLDPAIR_SEEDS", "3")))
    done = [] if quick else _kept(_versions())
    known = {(one["kind"], one["share"], one["seed"]) for one in done}
    plans = [(HELPFUL, share, seed) for seed in range(seeds) for share in shares]
    plans += [] if quick else [(OTHER, share, seed) for seed in range(seeds) for share in shares]
    plans += [(CLEAN, 0.0, seed) for seed in range(seeds)]
    # the smallest shares of the first seed first: they are what the goal is about
    plans = sorted((plan for plan in plans if plan not in known), key=lambda plan: (plan[2], plan[1]))
    if plans:
        for outcome in _retrained(plans, {"max_minutes": 2.0} if quick else {}):
            done.append(outcome)
            if not quick:
                KEPT.parent.mkdir(exist_ok=True)
                with KEPT.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(outcome, ensure_ascii=False) + "\n")
    found: dict[tuple[str, float], list[Outcome]] = {}
    for one in done:
        found.setdefault((one["kind"], one["share"]), []).append(one)
    for (kind, share), outcomes in sorted(found.items(), key=lambda item: (item[0][1], item[0][0])):
        for what in ("preflight", "promotion", "both"):
            yield _row(kind, share, what, outcomes)
        if kind != CLEAN:
            yield from _blamed(
                kind, share, outcomes, {one["seed"]: one for one in found.get((CLEAN, 0.0), ())}
            )


def _retrained(plans: Sequence[tuple[str, float, int]], bounded: Mapping[str, Any]) -> Iterator[Outcome]:
    """One outcome for every (kind, share, seed), against a clean version released in a workspace made for it."""
    with tempfile.TemporaryDirectory(prefix="goldpair-retrained-") as scratch:
        steps, clean = at_snapshot(Path(scratch), TASK)
        workspace = steps.workspace
        steps.job("baselines", "eval", task=TASK, snapshot=contract.load_manifest(clean).id)
        first = _trained(steps, clean, 100, bounded)
        reason = "the clean version that others are held against"
        steps.client.call("promote", model=first["model"], override=reason)
        rows = contract.load_rows(clean).to_dicts()
        wrong = {HELPFUL: _helpful(load_pack(steps.pack_folder), rows), OTHER: swapped(rows)}
        for kind, share, seed in plans:
            folder, planted = clean, []
            if kind != CLEAN:
                able = [n for n, text in enumerate(wrong[kind]) if text is not None]
                rng = random.Random(f"{kind}/{share}/{seed}")
                chosen = rng.sample(able, min(len(able), round(share * len(rows))))
                planted = [rows[n]["pair_id"] for n in chosen]
                changes = {rows[n]["pair_id"]: str(wrong[kind][n]) for n in chosen}
                folder = poisoned(clean, workspace.snapshots / f"{TASK}-{kind[:7]}-{share:g}-{seed}", changes)
            outcome: Outcome = {"kind": kind, "share": share, "seed": seed, "versions": _versions()}
            outcome |= _trained(steps, folder, seed, bounded)
            outcome |= _broken(workspace, outcome["run"], first["model"])
            if planted:
                outcome["blame"] = _suspected(workspace, outcome["run"], planted, seed)
            yield outcome


def _versions() -> dict[str, str]:
    """What a kept line must agree in to be counted with new ones."""
    pack = load_pack(demo.find_pack(TASK))
    return {
        "recipe": sha256_hex(canonical_json(pack.training))[:12],
        "gate": sha256_hex(canonical_json(pack.gate.model_dump(mode="json")))[:12],
        "tone": evals.scorer_version("tone")[:12],
    }


def _kept(versions: Mapping[str, str]) -> list[Outcome]:
    if not KEPT.exists():
        return []
    lines = [json.loads(line) for line in KEPT.read_text("utf-8").splitlines()]
    return [line for line in lines if line["versions"] == versions]


def _trained(steps: Any, snapshot: Path, seed: int, bounded: Mapping[str, Any]) -> Outcome:
    """Verdicts of preflight and gate for one training on a snapshot folder, the model's mean score, its eval run."""
    checked = steps.job("preflight", "preflight", snapshot=str(snapshot))
    # The baselines were scored with the clean snapshot's examples; that is no finding on the labels.
    stops = [c["name"] for c in checked["checks"] if c["verdict"] != "PASS" and "baselines" not in c["name"]]
    if checked["verdict"] != "PASS":
        reason = "benchmark: what would promotion say of it"
        steps.client.call("preflight.override", snapshot=str(snapshot), reason=reason)
    made = steps.job("train", "train", snapshot=str(snapshot), set=[f"seed={seed}"], **bounded)
    evaluated = steps.job("eval", "eval", task=TASK, snapshot=str(snapshot), model=made["model"])
    gate = steps.client.call("gate", run=evaluated["run"])
    report = steps.client.call("report", run=evaluated["run"])
    arms = json.loads(Path(report["json"]).read_text("utf-8"))["arms"]
    return {
        "model": made["model"],
        "run": evaluated["run"],
        "preflight": "FAIL" if stops else "PASS",
        "stopped_by": stops,
        "promotion": gate["verdict"],
        "mean": next(arm["mean"] for arm in arms if arm["name"] == "tuned"),
    }


def _broken(workspace: Workspace, run: str, released: str) -> Outcome:
    """Ids of the answers that were good under the released version and are not now, and of all that are not."""
    [folder] = workspace.root.glob(f"**/{Path(run).name}/run.json")
    loaded = EvalRun.load(folder.parent)
    return {
        "broken": sorted(broken_rows(loaded, "tuned", released)),
        "low": sorted(broken_rows(loaded, "tuned")),
    }


def _suspected(workspace: Workspace, run: str, planted: Sequence[str], seed: int) -> Outcome:
    """For each answer that broke, whether a planted pair and the planted batch are among the first five suspects.

    Twice: knowing nothing, and knowing what changed since the released version, which is the planted batch and as
    many of the others as make it half of all. The batch is told as an annotator's; sources and reviewers, which are as
    they were, are suspected beside it.
    """
    [folder] = workspace.root.glob(f"**/{Path(run).name}/run.json")
    spec = suspects.spec_of(workspace, folder.parent, gradients=True)
    model = _Remembered(
        LocalModel(spec["base"], spec["model"], precision=suspects.PRECISION, template=spec["template"])
    )
    ids = contract.load_rows(spec["snapshot"])["pair_id"].to_list()
    batches = in_batches(ids, planted, seed)
    author = {pair: f"batch {number}" for number, batch in enumerate(batches) for pair in batch}
    half = [pair for batch in batches[: len(batches) // 2] for pair in batch]
    result: Outcome = {"batches": len(batches), "pairs": len(ids), "planted": len(planted)}
    with tempfile.TemporaryDirectory(prefix="goldpair-batched-") as scratch:
        told = rewritten(
            Path(spec["snapshot"]),
            Path(scratch) / "snapshot",
            lambda row: row | {"author": author.get(row["pair_id"], row["author"])},
        )
        for how, changed in (("nothing", []), ("what changed", half)):
            found = blame(
                spec["run"], told, reference=spec["reference"], changed=changed, model=model, examples=EXAMPLES
            )  # fmt: skip
            result[how] = {
                "changed": len(changed),
                "groups": len(found["groups"]),
                "first": found["groups"][0]["value"] == "batch 0",
                "examples": {one["id"]: _places(one, set(planted)) for one in found["examples"]},
            }
    return result


class _Remembered:
    """A model whose gradients are taken once for what it is asked twice."""

    def __init__(self, model: LocalModel) -> None:
        self.learned, self._model, self._known = model.learned, model, dict[str, Any]()

    def learned_gradients(self, conversations: Any, completions: Any, dimensions: int) -> Any:
        asked = json.dumps([conversations, completions, dimensions])
        if asked not in self._known:
            self._known[asked] = self._model.learned_gradients(conversations, completions, dimensions)
        return self._known[asked]


def _places(one: Mapping[str, Any], planted: set[str]) -> list[int | None]:
    """Place of the planted batch, and of the first planted pair, among the suspects of an example; from 1."""
    groups = [n for n, group in enumerate(one["groups"], 1) if group["value"] == "batch 0"]
    pairs = [n for n, pair in enumerate(one["pairs"], 1) if pair["pair_id"] in planted]
    return [groups[0] if groups else None, pairs[0] if pairs else None]


def in_batches(ids: Sequence[str], planted: Sequence[str], seed: int) -> list[list[str]]:
    """The planted pairs and the rest in batches of about that size, drawn blindly; the planted one is the first."""
    rest = sorted(set(ids) - set(planted))
    random.Random(f"batches/{seed}").shuffle(rest)
    others = max(1, round(len(rest) / len(planted)))
    return [list(planted), *(rest[number::others] for number in range(others))]


def poisoned(clean: Path, place: Path, changes: Mapping[str, str]) -> Path:
    """A snapshot folder with other completions for some pairs, sealed as if people had approved them.

    ``changes``: pair id -> completion. Its rows, hashes and id hold; only what was approved is wrong.
    """

    def planted(row: dict[str, Any]) -> dict[str, Any]:
        if row["pair_id"] not in changes:
            return row
        wrong = row | {"completion": changes[row["pair_id"]]}
        return wrong | {"sha256": row_sha256(wrong)}

    return rewritten(clean, place, planted)


def rewritten(folder: Path, place: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Path:
    """A sealed copy of a snapshot folder with its training rows changed."""
    shutil.copytree(folder, place, ignore=shutil.ignore_patterns("preflight.json"))
    splits = {split: contract.load_rows(folder, split).to_dicts() for split in contract.SPLITS}
    splits["train"] = [change(row) for row in splits["train"]]
    for split, rows in splits.items():
        pl.DataFrame(rows, schema=ROW_SCHEMA).write_parquet(place / "data" / f"{split}.parquet")
    manifest = contract.load_manifest(folder)
    hashes = {split: [full_row_hash(row) for row in rows] for split, rows in splits.items()}
    changed = manifest.model_copy(
        update={
            "id": contract.content_id(manifest.task, manifest.pack_sha256, hashes),
            "files": {name: file_sha256(place / name) for name in manifest.files},
        }
    ).sealed()
    (place / "manifest.json").write_text(changed.model_dump_json(indent=1), "utf-8")
    return place


def _row(kind: str, share: float, what: str, found: Sequence[Outcome]) -> dict[str, Any]:
    def stops(one: Outcome) -> bool:
        by = ("preflight", "promotion") if what == "both" else (what,)
        return any(one[name] != "PASS" for name in by)

    hits, n = sum(map(stops, found)), len(found)
    if kind == CLEAN:
        hits = n - hits
    means = ", ".join(f"{one['mean']:.3f}" for one in found)
    words = "passes" if kind == CLEAN else "stop" if what == "both" else "stops"
    named = {"both": "preflight and promotion together"}.get(what, what)
    goal = (
        0.8 if kind == CLEAN and what == "both" else 0.95 if what == "both" and share == SHARES[0] else None
    )
    figure = f"a clean retrain {words} {named}" if kind == CLEAN else f"{named} {words} {share:.0%} {kind}"
    return _figure(figure, goal, hits, n, "models", f"mean scores {means}")


def _blamed(
    kind: str, share: float, found: Sequence[Outcome], clean: Mapping[int, Outcome]
) -> Iterator[dict[str, Any]]:
    """Where the planted batch and pairs stood for the answers that they broke, as told by a clean twin of each model.

    The goal is on the batch among five where five drawn blindly hold it in a quarter of cases at most; where the
    batches are so large that they are few, on the batch as the first suspect.
    """
    found = [one for one in found if "blame" in one and one["seed"] in clean]
    if not found:
        return
    twins = [clean[one["seed"]] for one in found]
    broken, noise = (sum(len(one["broken"]) for one in some) for some in (found, twins))
    words = f"{broken} broke, in clean retrains {noise}"
    # Where about as many break in a clean retrain, what the planted labels broke cannot be told from luck.
    told = broken >= 2 * noise
    for how in ("nothing", "what changed"):
        places = [
            place
            for one, twin in zip(found, twins, strict=True)
            for name, place in one["blame"][how]["examples"].items()
            if name not in twin["low"]
        ]
        above = sum(one["blame"][how]["first"] for one in found)
        few = _chance(found, how, True, TOP) > 0.25
        for batch, top in ((True, 1), (True, TOP), (False, TOP)):
            hits = sum((at := place[not batch]) is not None and at <= top for place in places)
            more = f"by chance {_chance(found, how, batch, top):.3f}; {words}"
            if batch:
                more += f"; one of {', '.join(str(one['blame']['batches']) for one in found)} batches"
                more += f", first of all for {above} of {len(found)} models"
            goal = 0.8 if told and how == "nothing" and batch and top == (1 if few else TOP) else None
            where = "is the first suspect" if top == 1 else "is among the five suspects"
            figure = f"{'the planted batch' if batch else 'a planted pair'} {where}, {share:.0%} {kind}"
            yield _figure(f"{figure}, knowing {how}", goal, hits, len(places), "answers that it broke", more)


def _chance(found: Sequence[Outcome], how: str, batch: bool, top: int) -> float:
    """How often so many batches, or pairs, drawn blindly (of what changed, if known) hold a planted one.

    For batches among the annotators' alone; sources and reviewers beside them make it rarer.
    """
    chances = []
    for told in (one["blame"] for one in found):
        if batch:
            among, bad = told["batches"] if how == "nothing" else told["batches"] // 2, 1
        else:
            among, bad = told["pairs"] if how == "nothing" else told[how]["changed"], told["planted"]
        chances.append(1 - math.comb(among - bad, top) / math.comb(among, top) if among > top else 1.0)
    return sum(chances) / len(chances)


def _figure(figure: str, goal: float | None, hits: int, n: int, of: str, more: str) -> dict[str, Any]:
    low, high = clopper_pearson(hits, n) if n else (0.0, 1.0)
    return {
        "figure": figure,
        "goal": f">= {goal:g}" if goal else "as measured",
        "ours": round(hits / n, 4) if n else None,
        "spread": f"{hits} of {n} {of}, [{low:.3f}, {high:.3f}]; {more}",
        "met": bool(hits / n >= goal) if goal and n else None,
        "versions": _versions(),
    }

"""`fine_tune`: from a verified snapshot with a passed gate to a model version with a complete record.

Covers: refusing everything else (invariant 4), the run's identity, resuming an interrupted run, the run record and
the files of a version, published by one rename.
Does not cover: the loop (`train.trainer`), the checks of rows (`train.checks`), evaluation and release.

A run works in ``.<name>.<fingerprint>.partial`` beside its target; the fingerprint covers snapshot, tokens, recipe
and base, so only the very same run continues there. After any interruption, kill -9 included, calling `fine_tune`
again continues from the last checkpoint.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import sys
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from curate import contract
from curate.contract import canonical_json, file_sha256, sha256_hex
from curate.errors import GoldpairError, RefusedError, UsageError
from train import versions
from train.base import file_hashes, portable_name, resolve
from train.capabilities import capabilities, quiet
from train.card import model_card
from train.checks import PreflightResult, preflight, require_gate
from train.processes import rank, refuse_sharding, wait_for_all, world_size
from train.recipe import Recipe, load_recipe
from train.render import load_tokenizer, stop_ids, tokens_sha256
from train.trainer import Progress
from train.versions import ModelVersion

if TYPE_CHECKING:
    from train.validate import Exam, Judge

FORMAT = 1
LOSSES = "pair_loss.parquet"


def fine_tune(
    snapshot_dir: Path | str,
    recipe: Recipe | Mapping[str, Any] | Path | str | None,
    out_dir: Path | str,
    base_model: str | Path | None = None,
    progress: Progress | None = None,
    *,
    stop_after: int | None = None,
    demo: Mapping[str, Any] | None = None,
    only: Collection[str] | None = None,
    judge: Judge | None = None,
) -> ModelVersion:
    """Train on a snapshot, LoRA adapters or every weight, and publish the model version ``out_dir``.

    Args:
        snapshot_dir: folder of a frozen snapshot, with the ``preflight.json`` of its gate.
        recipe: a `Recipe`, a mapping, a TOML file, or None for the defaults.
        out_dir: folder of the new version, named ``<task>-vN`` (`train.versions.next_name`).
        base_model: name, hub id or folder; default is the task pack's.
        progress: called after every step with {step, steps, loss, tokens_per_s, eta_s}; seconds. After a look at the
            validation split also with its eval_loss and eval_score.
        stop_after: end after this step, wherever the recipe's schedule would go on (`train.reproduce` needs it).
        demo: the task pack's declared override of a short demo; it stands in the record, nothing releases it.
        only: ids of the training pairs to learn from, all when None; the record names them (learning curves need it).
        judge: scores answers to validation pairs for a recipe whose ``early_stop_on`` names a suite; what made it
            (suite, scorer, its version) becomes part of the run's identity. `goldpair train` hands it over.

    Calling again with the same arguments continues an interrupted run, and returns a finished one.

    Raises:
        curate.contract.SnapshotError: the snapshot is not what was frozen.
        curate.errors.RefusedError: no passed or overridden gate, rows that cannot be learned from, or ``out_dir``
            holds another model.
        curate.errors.NotFound: no such snapshot or base model.
        curate.errors.UsageError: ``only`` names a pair that is not there to learn from; the recipe would stop early
            but there is no validation pair, or no judge.
        train.trainer.TrainingStopped: the loss became no number; the last checkpoint stays.
    """
    out = Path(out_dir)
    refuse_sharding()
    manifest = contract.load_verified(snapshot_dir)
    gate = require_gate(snapshot_dir, manifest, demo is not None)
    recipe = load_recipe(recipe)
    wanted = base_model or contract.load_task(snapshot_dir).model.base
    base = resolve(wanted)
    checked = preflight(snapshot_dir, recipe, base)
    if not checked.ok:
        raise RefusedError(
            f"{len(checked.findings)} pairs of snapshot {manifest.id[:12]} cannot be learned from. Mend them and "
            'freeze again, raise max_length, or set bad_rows: "drop" trains without them, "split" cuts the too long '
            "ones into several rows.",
            [f"{f['pair_id']}: {f['problem']}: {f['detail']}" for f in checked.findings],
        )
    if only is not None:
        checked = _part(checked, only)
    identity: dict[str, Any] = {
        "snapshot": {"id": manifest.id, "rows": manifest.rows, "task": manifest.task},
        "tokens_sha256": tokens_sha256([*checked.train, *checked.validation]),
        "recipe": recipe.model_dump(mode="json"),
        "base": {"name": portable_name(wanted), "files": file_hashes(base)},
    }
    if only is not None:
        identity["only_pairs"] = sorted(only)
    exam, asked = _exam(snapshot_dir, checked, recipe, base, judge)
    if asked is not None:
        identity["early_stop"] = asked
    fingerprint = sha256_hex(canonical_json(identity))
    if (out / versions.RECORD).exists():
        return _finished(out, fingerprint)
    if out.exists():
        raise RefusedError(f"{out.name} exists and is no model version. Choose another name.")
    out.parent.mkdir(parents=True, exist_ok=True)
    work = out.parent / f".{out.name}.{fingerprint[:12]}.partial"
    if rank():  # a helper of the first process, which keeps the record
        _train(checked, recipe, base, work, identity, None, stop_after, exam)
        wait_for_all()
        return versions.load(out)
    with _only_one(work):
        record, made = _train(checked, recipe, base, work, identity, progress, stop_after, exam)
        record |= {
            "format": FORMAT,
            "task": manifest.task,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "fingerprint": fingerprint,
            "gate": {key: gate.get(key) for key in ("verdict", "override", "gate_sha256", "created")},
            "licences": manifest.licences,
            "detector_version": manifest.detector_version,
            "guideline_version": manifest.guideline_version,
            **({"demo": dict(demo)} if demo else {}),
            **identity,
        }
        _publish(made, record, out)
        shutil.rmtree(work, ignore_errors=True)
    wait_for_all()
    return versions.load(out)


def _part(checked: PreflightResult, only: Collection[str]) -> PreflightResult:
    """The same rows, of the training split these pairs alone."""
    wanted = set(only)
    unknown = sorted(
        wanted - {row.pair_id for row in checked.train} - {f["pair_id"] for f in checked.findings}
    )
    if unknown or not wanted:
        named = ", ".join(unknown[:5]) or "no pair at all"
        raise UsageError(f"The snapshot's training split does not hold {named}.")
    return replace(checked, train=[row for row in checked.train if row.pair_id in wanted])


def _exam(
    snapshot_dir: Path | str, checked: PreflightResult, recipe: Recipe, base: Path, judge: Judge | None
) -> tuple[Exam | None, dict[str, Any] | None]:
    """How a model is scored at each look at the validation split, and what decides the score; None without a suite."""
    if recipe.early_stop is None:
        return None, None
    if not checked.validation:
        raise UsageError(
            "early_stop needs validation pairs, and this snapshot has none. Raise [split] validation in task.toml and "
            "freeze again, or leave early_stop out."
        )
    if recipe.early_stop_on == "loss":
        return None, None
    if judge is None or world_size() > 1:
        raise UsageError(
            f"early_stop_on = {recipe.early_stop_on!r} asks and scores a model that learns, which `goldpair train` "
            'does, in one process. Here, set early_stop_on = "loss".'
        )
    from train.validate import asked_pairs

    kept = {row.pair_id for row in checked.validation}
    rows = [
        row
        for row in contract.training_rows(snapshot_dir, "validation").iter_rows(named=True)
        if row["pair_id"] in kept
    ]
    rows = asked_pairs(rows, recipe)
    tokenizer = load_tokenizer(base, recipe.template)
    stops = stop_ids(base, tokenizer)
    asked = {**judge.identity, "pairs": [row["pair_id"] for row in rows]}
    return lambda model: judge(rows, model, tokenizer, stops), asked


def _finished(out: Path, fingerprint: str) -> ModelVersion:
    version = versions.load(out)
    if version.record().get("fingerprint") != fingerprint:
        raise RefusedError(
            f"{out.name} exists already and was trained from something else. Leave out the name for the next free "
            "one."
        )
    return version


class _only_one:
    """Two processes must not train into one folder: the second gets an error, a dead one's lock does not count."""

    def __init__(self, work: Path) -> None:
        from filelock import FileLock

        self.work = work
        self.lock = FileLock(work.with_name(f"{work.name}.lock"), timeout=0)

    def __enter__(self) -> None:
        from filelock import Timeout

        try:
            self.lock.acquire()
        except Timeout as error:
            raise GoldpairError(
                f"Another process trains {self.work.name.split('.')[1]} right now. `goldpair jobs list` shows it."
            ) from error
        self.work.mkdir(exist_ok=True)

    def __exit__(self, *_: object) -> None:
        self.lock.release()
        Path(self.lock.lock_file).unlink(missing_ok=True)


def _train(
    checked: PreflightResult,
    recipe: Recipe,
    base: Path,
    work: Path,
    identity: dict[str, Any],
    progress: Progress | None,
    stop_after: int | None,
    exam: Exam | None,
) -> tuple[dict[str, Any], Path]:
    """Train in ``work``; returns the run's part of the record and the folder with the version's files."""
    from train.fit import fit, prepare
    from train.samples import taken
    from train.validate import losses, mean_loss

    quiet()
    name = identity["base"]["name"]
    before_path, made = work / "before.parquet", work / "version"
    model = prepare(base, recipe, name)
    if (
        recipe.pair_losses and not rank() and not before_path.exists()
    ):  # nothing was learned yet: this is the base's loss
        _write_losses(before_path, losses(model, checked.train, recipe.micro_tokens))
    done = fit(
        checked.train,
        base,
        recipe,
        work,
        validation=checked.validation,
        progress=progress,
        model=model,
        stop_after=stop_after,
        exam=exam,
    )
    spread = done.weights is not None  # then every process takes part in every forward
    after = losses(done.model, checked.train, recipe.micro_tokens) if recipe.pair_losses and spread else []
    if rank():
        return {}, made
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    done.model.save_pretrained(
        str(made), state_dict=done.weights, max_shard_size="1TB"
    )  # one file, whose hash is the version's weights
    load_tokenizer(base, recipe.template).save_pretrained(made)
    steps = [entry for entry in done.log if "loss" in entry]
    record: dict[str, Any] = {
        "dropped": checked.findings,
        "split": checked.split,
        "rows": {"train": len(checked.train), "validation": len(checked.validation)},
        "seeds": {"all": recipe.seed},
        "ended": done.ended,
        "steps": done.steps,
        "planned_steps": done.planned_steps,
        "kept": done.kept,
        "log": [
            {k: round(v, 8) if isinstance(v, float) else v for k, v in entry.items()} for entry in done.log
        ],
        "tokens_seen": sum(entry["tokens"] for entry in steps),
        "wall_seconds": round(sum(entry.get("seconds", 0) for entry in done.log), 2),
        "cpu_seconds": round(sum(entry.get("cpu_seconds", 0) for entry in done.log), 2),
        "peak_memory_mb": _peak_memory_mb(),
        "memory": {**done.memory, "checkpointing": done.checkpointing},
        "resumed_from": done.resumed_from,
        "hardware": {
            **capabilities().record(),
            "threads": done.threads,
            "processes": world_size(),
            "dtype": done.dtype,
            "platform": platform.platform(),
        },
        "software": _software(),
    }
    if recipe.sample_steps is not None:
        record["samples"] = taken(work)
    if recipe.price_per_hour is not None:
        record["cost"] = round(record["wall_seconds"] / 3600 * recipe.price_per_hour, 4)
    if recipe.pair_losses:
        after = after or losses(done.model, checked.train, recipe.micro_tokens)
        record["loss_after"] = mean_loss(after)
        before = pl.read_parquet(before_path)
        record["loss_before"] = float((before["loss"] * before["tokens"]).sum()) / float(
            before["tokens"].sum()
        )
        table = before.rename({"loss": "before"}).with_columns(
            after=pl.Series([loss for _, loss, _ in after], dtype=pl.Float64)
        )
        _by_pair(table).write_parquet(made / LOSSES)
    return record, made


def _by_pair(table: pl.DataFrame) -> pl.DataFrame:
    """One row a pair: the parts of a split one weigh by their supervised tokens."""
    weighed = [
        (pl.col(name) * pl.col("tokens")).sum() / pl.col("tokens").sum() for name in ("before", "after")
    ]
    return table.group_by("pair_id", maintain_order=True).agg(*weighed, pl.col("tokens").sum())


def _write_losses(path: Path, found: list[tuple[str, float, int]]) -> None:
    partial = path.with_suffix(".tmp")
    pl.DataFrame(
        found, schema={"pair_id": pl.String, "loss": pl.Float64, "tokens": pl.Int64}, orient="row"
    ).write_parquet(partial)
    partial.replace(path)


def _publish(made: Path, record: dict[str, Any], out: Path) -> None:
    """Write card and record, then let the version appear whole."""
    config = made / "adapter_config.json"
    if config.is_file():
        settings = json.loads(config.read_text("utf-8"))
        settings |= {"base_model_name_or_path": record["base"]["name"], "inference_mode": True}
        config.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", "utf-8")
    (made / "README.md").write_text(model_card(out.name, record), "utf-8")
    record["files"] = {
        path.relative_to(made).as_posix(): file_sha256(path)
        for path in sorted(made.rglob("*"))
        if path.is_file()
    }
    record["adapter_sha256"] = record["files"][versions.weights_file(record["files"])]
    (made / versions.RECORD).write_text(
        json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n", "utf-8"
    )
    for path in made.rglob("*"):
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
    made.rename(out)


def _software() -> dict[str, Any]:
    """Versions that can change a run's numbers, and one hash over every installed package."""
    installed = sorted(
        {f"{d.metadata['Name'].lower()}=={d.version}" for d in metadata.distributions() if d.metadata["Name"]}
    )
    names = ("goldpair", "torch", "transformers", "peft", "accelerate", "tokenizers", "safetensors", "numpy")
    found = dict(line.split("==", 1) for line in installed)
    return {
        "python": platform.python_version(),
        **{name: found[name] for name in names if name in found},
        "packages_sha256": sha256_hex("\n".join(installed)),
    }


def _peak_memory_mb() -> int:
    """The most this process held: of the accelerator's memory where it trains there, else of the machine's."""
    if capabilities().device == "cuda":
        import torch

        return torch.cuda.max_memory_reserved() // 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)

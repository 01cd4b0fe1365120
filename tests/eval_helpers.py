"""Small real parts for the eval tests: a pack folder, a snapshot folder, outputs of known quality."""

import json
import random
from pathlib import Path

import polars as pl

from curate.contract import ROW_SCHEMA, SPLITS, Manifest, content_id, file_sha256, full_row_hash, row_sha256
from curate.tasks import EvalRow, TaskPack

SENTENCES = [
    "the kettle sings when the water is hot",
    "a bicycle needs air in both of its tyres",
    "bread rises slowly in a cold kitchen",
    "the library opens at nine on weekdays",
    "rain follows the train to the coast",
    "every ladder leans against some wall",
]


def rows(count: int, clusters: int | None = None, seed: int = 0) -> list[EvalRow]:
    rng = random.Random(seed)
    return [
        EvalRow(
            id=f"row-{i:03}",
            source=f"source-{i % (clusters or count):03}",
            prompt=f"Say again, number {i}: {(text := rng.choice(SENTENCES))}",
            reference=text,
            slice={"length": "even" if i % 2 else "odd"},
        )
        for i in range(count)
    ]


def pack_folder(folder: Path, eval_rows: list[EvalRow], *, metric: str = "exact_match", **gate) -> TaskPack:
    """A task folder with one suite; returns the pack."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "eval.jsonl").write_text("".join(row.model_dump_json() + "\n" for row in eval_rows), "utf-8")
    return TaskPack.model_validate(
        {
            "name": "parrot",
            "title": "Parrot",
            "system": "Repeat the sentence.",
            "suites": [{"name": "main", "metric": metric, "slices": ["length"]}],
            "gate": {"min_pairs": 1, "baselines": [], **gate},
            "model": {"generation": {"max_new_tokens": 6}},
        }
    )


def outputs(eval_rows: list[EvalRow], right: float, seed: int = 0) -> dict[str, str]:
    """Answers of which about ``right`` repeat the reference; the rest say something else."""
    rng = random.Random(seed)
    return {row.id: row.reference if rng.random() < right else "something else entirely" for row in eval_rows}


def snapshot_folder(
    folder: Path, pairs: list[tuple[str, str]], pack: TaskPack, authors: list[str] | None = None
) -> Path:
    """A snapshot folder as `curate.contract` defines it, written by hand."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    made = []
    for number, (prompt, completion) in enumerate(pairs):
        row = {
            "pair_id": f"pair-{number:03}",
            "revision": 1,
            "source": f"file-{number}",
            "system": pack.system,
            "history": "[]",
            "prompt": prompt,
            "completion": completion,
            "author": authors[number] if authors else "annotator",
            "approver": "reviewer",
            "guideline_version": "1",
            "detector_version": "1",
            "labels": "{}",
            "metadata": "{}",
        }
        row["sha256"] = row_sha256(row)
        made.append(row)
    splits = {"train": made, "validation": []}
    for split in SPLITS:
        pl.DataFrame(splits[split], schema=ROW_SCHEMA).write_parquet(folder / "data" / f"{split}.parquet")
    (folder / "task.json").write_text(pack.model_dump_json(), "utf-8")
    manifest = Manifest(
        id=content_id(pack.name, "pack", {s: [full_row_hash(row) for row in splits[s]] for s in SPLITS}),
        task=pack.name,
        created="2026-01-01T00:00:00+00:00",
        created_by="lead",
        rows={split: len(splits[split]) for split in SPLITS},
        excluded={"rejected": 2, "duplicate": 1},
        files={
            name: file_sha256(folder / name)
            for name in ("task.json", *(f"data/{split}.parquet" for split in SPLITS))
        },
        pack_sha256="pack",
        detector_version="1",
        guideline_version="1",
        sources=len(made),
        licences={"own": len(made)},
    ).sealed()
    (folder / "manifest.json").write_text(json.dumps(manifest.model_dump()), "utf-8")
    return folder

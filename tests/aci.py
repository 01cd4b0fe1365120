"""The ACI-Bench test set and the notes that nine published systems wrote for it; used where the data is present."""

import json
from pathlib import Path

import pytest

from curate.tasks import EvalRow

FOLDER = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "aci-bench"
SYSTEMS = (
    "gpt4",
    "chatgpt",
    "davinci003",
    "davinci002",
    "bart_large",
    "biobart_division",
    "led",
    "retrieval_umls",
    "copy_12_turns",
)


def present() -> Path:
    """The data folder; skips the test where it is absent."""
    if not (FOLDER / "test1.jsonl").is_file():
        pytest.skip(f"needs {FOLDER.name} in ../shared/data")
    return FOLDER


def visits(split: str = "test1") -> list[dict]:
    """Rows ``{source_id, prompt: dialogue, completion: note, dataset}`` of a split."""
    return _lines(present() / f"{split}.jsonl")


def eval_rows(split: str = "test1") -> list[EvalRow]:
    return [
        EvalRow(
            id=visit["source_id"],
            source=visit["source_id"],
            prompt=visit["prompt"],
            reference=visit["completion"],
            slice={"dataset": visit["dataset"]},
        )
        for visit in visits(split)
    ]


def system_notes(system: str) -> dict[str, str]:
    """Encounter id -> note of one published system on test1."""
    return {
        row["encounter_id"]: row["note"] for row in _lines(present() / f"system_outputs_test1_{system}.jsonl")
    }


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]

"""Snapshots in other tools' formats, with configurations their trainers take as they are.

Covers: messages, prompt-completion, alpaca and sharegpt as JSON lines, plain Parquet, a Hugging Face dataset
folder; configurations for TRL, axolotl and LLaMA-Factory. The same snapshot gives the same bytes. Does not
cover: our own training (`train`), which reads the snapshot itself.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl

from curate import contract
from curate.errors import UsageError

Row = Mapping[str, Any]
FORMATS = ("messages", "prompt-completion", "alpaca", "sharegpt", "parquet", "hf")
_SPEAKER = {"user": "human", "assistant": "gpt", "system": "system"}


def export(folder: Path | str, fmt: str, out: Path | str) -> dict[str, Any]:
    """Write an intact snapshot into the new or empty folder ``out``.

    Returns ``{"snapshot", "format", "folder", "rows": {split: n}, "files": [paths inside out]}``. Raises
    `SnapshotError` for a snapshot that is not intact, `UsageError` for an unknown format, a folder in use,
    and turns that the format cannot hold.
    """
    if fmt not in FORMATS:
        raise UsageError(f"No format {fmt!r}. Formats: {', '.join(FORMATS)}.")
    manifest = contract.load_verified(folder)
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is not an empty folder. Name a new one.")
    tables = {
        split: contract.training_rows(folder, split) for split in contract.SPLITS if manifest.rows[split]
    }
    files: dict[str, bytes] = {}
    for split, table in tables.items():
        rows = [_decoded(row) for row in table.iter_rows(named=True)]
        if fmt == "parquet":
            files[f"{split}.parquet"] = _parquet(table)
        elif fmt == "hf":
            messages = pl.Series("messages", [_messages(row) for row in rows])
            files[f"data/{split}-00000-of-00001.parquet"] = _parquet(table.with_columns(messages))
        else:
            files[f"{split}.jsonl"] = b"".join(_line(_SHAPES[fmt](row)) for row in rows)
    base = contract.load_task(folder).model.base
    for name, text in _configs(fmt, manifest.task, base, list(tables)).items():
        files[name] = text.encode()
    files["README.md"] = _readme(manifest, fmt, list(tables)).encode()
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.parent / f".{out.name}-{uuid4().hex}"
    try:
        for path, data in files.items():
            (temporary / path).parent.mkdir(parents=True, exist_ok=True)
            (temporary / path).write_bytes(data)
        if out.exists():
            out.rmdir()
        temporary.rename(out)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return {
        "snapshot": manifest.id,
        "format": fmt,
        "folder": str(out),
        "rows": {split: len(table) for split, table in tables.items()},
        "files": sorted(files),
    }


def _decoded(row: Row) -> dict[str, Any]:
    return dict(row) | {"history": json.loads(row["history"])}


def _context(row: Row) -> list[dict[str, str]]:
    system = [{"role": "system", "content": row["system"]}] if row["system"] else []
    turns = [{"role": turn["role"], "content": turn["content"]} for turn in row["history"]]
    return [*system, *turns, {"role": "user", "content": row["prompt"]}]


def _messages(row: Row) -> list[dict[str, str]]:
    return [*_context(row), {"role": "assistant", "content": row["completion"]}]


def _alpaca(row: Row) -> dict[str, Any]:
    """LLaMA-Factory's alpaca: history as pairs of question and answer."""
    turns = row["history"]
    if [turn["role"] for turn in turns] != ["user", "assistant"] * (len(turns) // 2):
        raise UsageError(
            f"Pair {row['pair_id']} has turns that alpaca cannot hold (user and assistant must alternate). "
            "Export as messages."
        )
    history = [[turns[i]["content"], turns[i + 1]["content"]] for i in range(0, len(turns), 2)]
    return {
        "instruction": row["prompt"],
        "input": "",
        "output": row["completion"],
        "system": row["system"],
        "history": history,
    }


def _sharegpt(row: Row) -> dict[str, Any]:
    unknown = {turn["role"] for turn in row["history"]} - set(_SPEAKER)
    if unknown:
        raise UsageError(
            f"Pair {row['pair_id']} has the role {sorted(unknown)[0]!r}, which sharegpt has no name for. "
            "Export as messages."
        )
    turns = [{"from": _SPEAKER[m["role"]], "value": m["content"]} for m in _messages(row)]
    return {"conversations": turns[1:] if row["system"] else turns, "system": row["system"]}


_SHAPES: dict[str, Callable[[Row], dict[str, Any]]] = {
    "messages": lambda row: {"messages": _messages(row)},
    "prompt-completion": lambda row: {
        "prompt": _context(row),
        "completion": [{"role": "assistant", "content": row["completion"]}],
    },
    "alpaca": _alpaca,
    "sharegpt": _sharegpt,
}


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def _parquet(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()


# --- trainer configurations; JSON is YAML, so the values need no escaping of our own --------------------


def _yaml(values: Mapping[str, Any]) -> str:
    return "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items())


def _files(fmt: str, split: str) -> dict[str, str]:
    return {"split": split} if fmt == "hf" else {"data_files": f"{split}.jsonl", "split": "train"}


def _configs(fmt: str, task: str, base: str, splits: list[str]) -> dict[str, str]:
    """File name -> text of each trainer's configuration that this format fits; paths are relative to the
    folder.
    """
    configs: dict[str, str] = {}
    lora = {"lora_r": 16, "lora_alpha": 32, "lora_dropout": 0.0}
    name = task.replace("-", "_")
    if fmt in ("messages", "prompt-completion", "hf"):
        configs["trl-sft.yaml"] = _yaml(
            {
                "model_name_or_path": base,
                "datasets": [{"path": "." if fmt == "hf" else "json", **_files(fmt, "train")}],
                "completion_only_loss": fmt == "prompt-completion",
                "use_peft": True,
                **lora,
                "num_train_epochs": 3,
                "output_dir": "out",
            }
        )
    if fmt in ("messages", "alpaca", "sharegpt"):
        kinds: dict[str, dict[str, Any]] = {
            "messages": {"type": "chat_template", "field_messages": "messages"},
            "sharegpt": {
                "type": "chat_template",
                "field_messages": "conversations",
                "field_system": "system",
                "message_property_mappings": {"role": "from", "content": "value"},
                "roles": {"user": ["human"], "assistant": ["gpt"], "system": ["system"]},
            },
            "alpaca": {"type": "alpaca"},
        }
        configs["axolotl.yaml"] = _yaml(
            {
                "base_model": base,
                "adapter": "lora",
                **lora,
                "lora_target_linear": True,
                "datasets": [{"path": "train.jsonl", "ds_type": "json", **kinds[fmt]}],
                **(
                    {
                        "test_datasets": [
                            {"path": "validation.jsonl", "ds_type": "json", "split": "train", **kinds[fmt]}
                        ]
                    }
                    if "validation" in splits
                    else {}
                ),
                "num_epochs": 3,
                "micro_batch_size": 1,
                "gradient_accumulation_steps": 8,
                "learning_rate": 0.0002,
                "output_dir": "out",
            }
        )
        entries: dict[str, dict[str, Any]] = {
            "messages": {
                "formatting": "sharegpt",
                "columns": {"messages": "messages"},
                "tags": {
                    "role_tag": "role",
                    "content_tag": "content",
                    "user_tag": "user",
                    "assistant_tag": "assistant",
                    "system_tag": "system",
                },
            },
            "sharegpt": {
                "formatting": "sharegpt",
                "columns": {"messages": "conversations", "system": "system"},
            },
            "alpaca": {
                "columns": {
                    "prompt": "instruction",
                    "query": "input",
                    "response": "output",
                    "system": "system",
                    "history": "history",
                }
            },
        }
        info = {
            name if split == "train" else f"{name}_{split}": {"file_name": f"{split}.jsonl", **entries[fmt]}
            for split in splits
        }
        configs["dataset_info.json"] = json.dumps(info, indent=2) + "\n"
        configs["llamafactory.yaml"] = _yaml(
            {
                "model_name_or_path": base,
                "stage": "sft",
                "do_train": True,
                "finetuning_type": "lora",
                "lora_rank": 16,
                "lora_alpha": 32,
                "dataset_dir": ".",
                "dataset": name,
                **({"eval_dataset": f"{name}_validation"} if "validation" in splits else {}),
                "num_train_epochs": 3.0,
                "per_device_train_batch_size": 1,
                "gradient_accumulation_steps": 8,
                "learning_rate": 0.0002,
                "output_dir": "out",
            }
        )
    return configs


def _readme(manifest: contract.Manifest, fmt: str, splits: list[str]) -> str:
    header = ""
    if fmt == "hf":
        header = "---\nconfigs:\n- config_name: default\n  data_files:\n"
        header += (
            "".join(f"  - split: {s}\n    path: data/{s}-00000-of-00001.parquet\n" for s in splits)
            + "---\n\n"
        )
    rows = ", ".join(f"{manifest.rows[split]} {split}" for split in splits)
    return (
        f"{header}# {manifest.task}: {rows}\n\nFormat `{fmt}` of the Goldpair snapshot `{manifest.id}`. "
        "Run a trainer from this folder; the configurations beside the data name files relative to it.\n"
    )

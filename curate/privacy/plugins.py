"""Slots for models of others: Hugging Face token classifiers and GLiNER. Covers: the ``[[privacy.models]]`` tables of a
policy, loading from a local folder only, the model's hash in the detector's version.
Does not cover: fetching a model; put its files into a folder first. Weights that would run code (pickles) are refused.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from presidio_analyzer import EntityRecognizer
from pydantic import BaseModel, ConfigDict, Field, field_validator

from curate.privacy.findings import PRIORITY, ModelMissing, PolicyError


class ModelSlot(BaseModel):
    """One ``[[privacy.models]]`` table. ``labels`` maps the model's labels to our entity types; for GLiNER they are the
    prompts it is asked with. ``threshold``: findings below are dropped before the policy sees them."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["huggingface", "gliner"]
    path: str
    labels: dict[str, str] = Field(min_length=1)
    threshold: float = Field(0.5, ge=0, le=1)

    @field_validator("labels")
    @classmethod
    def _known(cls, value: dict[str, str]) -> dict[str, str]:
        unknown = sorted(set(value.values()) - set(PRIORITY))
        if unknown:
            raise ValueError(
                f"labels map to unknown entity types {', '.join(unknown)}; known: {', '.join(PRIORITY)}"
            )
        return value


@lru_cache(maxsize=8)
def _digest(path: str, state: tuple[tuple[str, int, int], ...]) -> str:
    total = hashlib.sha256()
    for name, _, _ in state:
        with (Path(path) / name).open("rb") as file:
            total.update(name.encode() + b"\0" + hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()[:16]


def recognizer(slot: ModelSlot) -> EntityRecognizer:
    """The Presidio recognizer of a slot, loaded on the CPU. Its ``version`` is a hash over the folder's files.

    Raises `ModelMissing` when the folder or the library is missing, `PolicyError` when the folder holds no
    safetensors weights.
    """
    folder = Path(slot.path)
    if not folder.is_dir():
        raise ModelMissing(
            f"There is no model folder {slot.path!r}, so nothing can be scanned. Put the model's files there, or take "
            "the [[privacy.models]] table out of the policy; nothing is downloaded."
        )
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    if not any(p.suffix == ".safetensors" for p in files):
        raise PolicyError(
            f"{slot.path!r} holds no .safetensors weights. Save the model with safe_serialization=True; "
            "pickled weights are refused, since loading them runs code."
        )
    version = _digest(
        slot.path,
        tuple((p.relative_to(folder).as_posix(), p.stat().st_size, p.stat().st_mtime_ns) for p in files),
    )
    common: dict[str, Any] = {"model_name": str(folder), "threshold": slot.threshold, "version": version}
    if slot.kind == "gliner":
        return _gliner(slot, common)
    from presidio_analyzer.predefined_recognizers.ner import huggingface_ner_recognizer as module

    if module.hf_pipeline is None:  # Presidio was brought in before these could be seen
        import torch
        import transformers

        module.hf_pipeline, module.torch = transformers.pipeline, torch
    return module.HuggingFaceNerRecognizer(
        name=f"huggingface.{folder.name}",
        label_mapping=slot.labels,
        supported_entities=sorted(set(slot.labels.values())),
        aggregation_strategy="first",
        device="cpu",
        **common,
    )


def _gliner(slot: ModelSlot, common: dict[str, Any]) -> EntityRecognizer:
    from presidio_analyzer.predefined_recognizers.ner import gliner_recognizer as module

    if module.GLiNER is None:
        try:
            import gliner
        except ImportError as error:
            raise ModelMissing(
                "A policy with a GLiNER model needs the gliner package: `pip install gliner`."
            ) from error
        module.GLiNER, module.GLiNERConfig = gliner.GLiNER, gliner.GLiNERConfig
    return module.GLiNERRecognizer(
        name=f"gliner.{Path(slot.path).name}",
        entity_mapping=slot.labels,
        map_location="cpu",
        local_files_only=True,
        **common,
    )

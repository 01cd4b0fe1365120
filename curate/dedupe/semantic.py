"""The optional semantic tier: texts that say the same in other words, by sentence embeddings.

Off unless a model is named; never part of `find_duplicates`. Its pairs are guesses with a precision of their own
(docs/dedupe.md), so they are marked as paraphrases and go to people. Covers: a folder with a sentence encoder in the
Hugging Face layout (mean pooling, such as all-MiniLM-L6-v2), a folder with a static model2vec model, all pairs above a
similarity. Does not cover: fetching a model (nothing is fetched), approximate search: every text is compared with
every other, which fits up to about a hundred thousand.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from curate.dedupe.prepare import as_series
from curate.dedupe.settings import DedupeError

SIMILAR = 0.9
_BLOCK = 2048
_TOKENS = 256  # what MiniLM was trained on; the rest of a longer text is not looked at
_SCHEMA = {"left": pl.UInt32, "right": pl.UInt32, "similarity": pl.Float32}


def find_paraphrases(
    texts: Sequence[str] | pl.Series, model: str | Path, *, min_similarity: float = SIMILAR
) -> pl.DataFrame:
    """Pairs of rows whose embeddings have at least this cosine: left, right (left < right), similarity; ordered.

    ``model`` is a local folder. Texts without a word have no paraphrase. Raises DedupeError when the folder holds no
    model, or what reads it is not installed.
    """
    if not 0 < min_similarity <= 1:
        raise DedupeError(f"min_similarity is {min_similarity!r}; it must lie between 0 and 1")
    series = as_series(texts)
    vectors = embed(series.to_list(), model)
    rows = []
    for low in range(0, len(vectors), _BLOCK):
        block = vectors[low : low + _BLOCK] @ vectors[low:].T
        left, right = np.nonzero(block >= min_similarity)
        for a, b in zip(left[left < right], right[left < right], strict=True):
            rows.append((low + int(a), low + int(b), float(min(1.0, block[a, b]))))
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row").sort("left", "right")


def embed(texts: Sequence[str], model: str | Path) -> np.ndarray:
    """float32[n, d] of length one; zero for a text without a word. Raises DedupeError as find_paraphrases does."""
    folder = Path(model)
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DedupeError(
            f"{folder} holds no embedding model (config.json: {error}). Name the folder of a sentence encoder, such as "
            "all-MiniLM-L6-v2, or of a model2vec model; nothing is fetched."
        ) from error
    spoken = [place for place, text in enumerate(texts) if text.strip()]
    some = [texts[place] for place in spoken]
    static = config.get("model_type") == "model2vec"
    found = _static(some, folder) if static else _encoded(some, folder)
    out = np.zeros((len(texts), found.shape[1]), dtype=np.float32)
    out[spoken] = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)
    return out


def _static(texts: Sequence[str], folder: Path) -> np.ndarray:
    if importlib.util.find_spec("model2vec") is None:
        raise DedupeError(
            f"{folder} is a model2vec model, and model2vec is not installed: pip install model2vec"
        )
    from model2vec import StaticModel

    return np.asarray(StaticModel.from_pretrained(str(folder)).encode(list(texts)), dtype=np.float32)


def _encoded(texts: Sequence[str], folder: Path) -> np.ndarray:
    """Mean of the last layer over the tokens of each text."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        encoder = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
    except (OSError, ValueError) as error:
        why = str(error).splitlines()[0]
        raise DedupeError(f"{folder} cannot be loaded as a sentence encoder: {why}") from error
    order = sorted(range(len(texts)), key=lambda n: len(texts[n]))
    out: Any = np.zeros((len(texts), encoder.config.hidden_size), dtype=np.float32)
    with torch.inference_mode():
        for low in range(0, len(order), 32):
            places = order[low : low + 32]
            batch = tokenizer(
                [texts[n] for n in places],
                padding=True,
                truncation=True,
                max_length=_TOKENS,
                return_tensors="pt",
            )
            last = encoder(**batch).last_hidden_state
            mask = batch["attention_mask"].unsqueeze(-1).to(last.dtype)
            out[places] = ((last * mask).sum(1) / mask.sum(1).clamp(min=1)).float().numpy()
    return out

"""The radar's second reader: an encoder that tells which words of an answer go stale, and how sure it is.

Covers: the asset (our changes to MiniLM's weights, for eleven kinds of fact), reading texts in batches, what becomes of
the rules' findings in its light. Does not cover: the rules (`curate.facts.rules`), training
(``scripts/train_facts_encoder.py``), words that only repeat a prompt (`curate.facts.radar`).

Rules and encoder err apart: a finding of the rules that the encoder believes in at least a little stays, what the
encoder alone is sure of is added. Both limits were set on two authors that it had not learned from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curate.privacy.encoder_base import FILES, base_folder, check_base

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from curate.privacy.encoder import Tagger

ASSET = Path(__file__).with_name("encoder_model")
SURE = 0.8  # mean probability of the words of a span that the encoder alone may mark
DOUBT = 0.2  # highest probability at a finding of the rules under which it is left out
AROUND = 20  # characters beside a finding that still speak for it
#: what the labels call a kind -> what the radar calls it
KINDS = {
    "price": "price",
    "duration": "period",
    "rate": "rate",
    "date": "date",
    "statute": "statute",
    "version": "version",
    "hours": "hours",
    "person": "office",
    "channel": "channel",
    "currency_of_statement": "now",
    "availability": "availability",
}


@dataclass(frozen=True)
class Reading:
    """What the encoder makes of one text: ``words`` (n, 2) offsets, ``stale`` (n,) probabilities, ``spans`` (kind of
    the radar, start, end) that it is sure of."""

    words: NDArray[np.int64]
    stale: NDArray[np.float64]
    spans: tuple[tuple[str, int, int], ...]

    def near(self, start: int, end: int) -> float:
        """The highest probability of a word at ``start:end`` or close by; 0 where there is none."""
        close = (self.words[:, 0] < end + AROUND) & (self.words[:, 1] > start - AROUND)
        return float(self.stale[close].max()) if close.any() else 0.0


@cache
def digest() -> str:
    """SHA-256 over the asset, the base's files and the limits: another model finds other facts."""
    state = hashlib.sha256(json.dumps([FILES, SURE, DOUBT, AROUND], sort_keys=True).encode())
    for path in sorted(ASSET.iterdir()):
        state.update(path.name.encode() + b"\0" + path.read_bytes())
    return state.hexdigest()


@lru_cache(maxsize=1)
def load() -> tuple[Tagger, Tokenizer]:
    """Model and tokenizer. Raises `curate.privacy.findings.ModelMissing` where the base is not installed."""
    from curate.privacy import encoder

    folder = base_folder()
    check_base(folder)
    labels = json.loads((ASSET / "card.json").read_text("utf-8"))["labels"]
    model = encoder.load_changed(encoder.base_encoder(folder), labels, ASSET / "changes.safetensors")
    return model, encoder.load_tokenizer(folder)


def read(texts: Sequence[str]) -> list[Reading]:
    """One reading a text, in order; texts of like length are read together."""
    from curate.privacy import encoder
    from curate.privacy.trained import SURROGATE

    model, tokenizer = load()
    readable = [SURROGATE.sub("?", text) for text in texts]  # half a character cannot be encoded
    return [_reading(part, model.labels) for part in encoder.logits_of(model, tokenizer, readable)]


def _reading(part: Sequence[tuple[Any, NDArray[Any]]], labels: Sequence[str]) -> Reading:
    from curate.privacy import encoder

    words, stale, spans = [], [], []
    for window, logits in part:
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        words += window.words
        stale += list(1.0 - shifted[:, 0] / shifted.sum(axis=1))
        spans += [
            (KINDS[kind], start, end)
            for start, end, kind, probability in encoder.decode(logits, window.words, labels)
            if probability >= SURE
        ]
    return Reading(
        np.array(words, dtype=np.int64).reshape(-1, 2), np.array(stale, dtype=np.float64), tuple(spans)
    )

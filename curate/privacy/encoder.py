"""An encoder that reads whole texts, beside the small model that reads lines. Covers: windows over a text, a tag for
each word with its probability, the asset (our changes to the base's weights), the recognizer.
Does not cover: training (``scripts/train_pii_encoder.py``), what a finding may not be (`trained.plausible`).

The base (MiniLM, six layers, from a package of its own) knows no letter case: the shape of each word is added to its
input. Only safetensors are read; nothing of the package is imported or run.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import nn

from curate.privacy import trained
from curate.privacy.encoder_base import FILES, base_folder, check_base
from curate.privacy.findings import ModelMissing
from curate.privacy.ner import pieces
from curate.privacy.patterns import result

ASSET = Path(__file__).with_name("encoder_model")

WINDOW = 254  # word pieces a window, without the two marks around them
SHAPES = 10
SHORT = 100  # characters; a shorter text tells too little of its doubtful words


def shape(word: str) -> int:
    """What the letters of a word look like, 1 to 9; 0 stands for the marks around a text."""
    if not any(c.isalnum() for c in word):
        return 1
    if not word.isascii() and not any(c.isupper() or c.islower() for c in word):
        return 2  # a script without case
    if word.isdigit():
        return 3
    if any(c.isdigit() for c in word):
        return 4
    if word.islower():
        return 5
    if word.isupper():
        return 6 if len(word) > 1 else 7
    return 8 if word[0].isupper() and word[1:].islower() else 9


@dataclass(frozen=True)
class Window:
    """Word pieces of a stretch of text. ``words``: the (start, end) of each word in the whole text;
    ``word_of``: the word of each piece, counted from the window's first."""

    ids: list[int]
    shapes: list[int]
    word_of: list[int]
    words: list[tuple[int, int]]


def load_tokenizer(folder: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def windows(tokenizer: Tokenizer, text: str, size: int = WINDOW) -> list[Window]:
    """A text cut into windows of at most ``size`` pieces: at line ends where possible, else between words."""
    encoded = tokenizer.encode(text, add_special_tokens=False)
    units: list[tuple[int, int, int, int]] = []  # first and last piece, start and end of each word
    last = None
    for index, (word, (start, end)) in enumerate(zip(encoded.word_ids, encoded.offsets, strict=True)):
        if word is not None and word == last:
            first, _, low, _ = units[-1]
            units[-1] = (first, index + 1, low, end)
        else:
            units.append((index, index + 1, start, end))
        last = word
    out, low = [], 0
    while low < len(units):
        high = low
        while high < len(units) and units[high][1] - units[low][0] <= size:
            high += 1
        high = max(high, low + 1)
        if high < len(units):
            ends = [n for n in range(low + 1, high + 1) if "\n" in text[units[n - 1][3] : units[n][2]]]
            high = ends[-1] if ends else high
        part = units[low:high]
        ids: list[int] = []
        shapes: list[int] = []
        word_of: list[int] = []
        for number, (first, end_piece, start, end) in enumerate(part):
            pieces = encoded.ids[first:end_piece][:size]
            ids += pieces
            shapes += [shape(text[start:end])] * len(pieces)
            word_of += [number] * len(pieces)
        out.append(Window(ids, shapes, word_of, [(s, e) for *_, s, e in part]))
        low = high
    return out


def tags_of(labels: Sequence[str]) -> list[str]:
    return ["O", *(f"{mark}-{label}" for label in labels for mark in "BI")]


class Tagger(nn.Module):
    """The encoder with an input for word shapes and a tag for each word."""

    def __init__(self, encoder: nn.Module, labels: Sequence[str]) -> None:
        super().__init__()
        self.encoder: Any = encoder
        width = int(encoder.config.hidden_size)  # type: ignore[union-attr, arg-type]
        self.labels = list(labels)
        self.shape = nn.Embedding(SHAPES, width)
        nn.init.zeros_(self.shape.weight)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(width, 1 + 2 * len(self.labels))

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, shapes: torch.Tensor, word_of: torch.Tensor, words: int
    ) -> torch.Tensor:
        """float[words, tags]. ``word_of``: the word of each piece over the whole batch, ``words`` for none."""
        given = self.encoder.embeddings.word_embeddings(ids) + self.shape(shapes)
        given = given.to(next(self.encoder.parameters()).dtype)
        states = self.encoder(inputs_embeds=given, attention_mask=mask).last_hidden_state.float()
        flat = states.reshape(-1, states.shape[-1])
        total = flat.new_zeros(words + 1, flat.shape[1]).index_add(0, word_of.reshape(-1), flat)
        count = torch.bincount(word_of.reshape(-1), minlength=words + 1).clamp(min=1).unsqueeze(1)
        return self.head(self.drop(total / count)[:words])


def collate(batch: Sequence[Window], marks: tuple[int, int]) -> dict[str, Any]:
    """Tensors of a batch; ``marks``: the ids before and after each window."""
    longest = max(len(w.ids) for w in batch) + 2
    total = sum(len(w.words) for w in batch)
    ids = torch.zeros(len(batch), longest, dtype=torch.long)
    mask, shapes = torch.zeros_like(ids), torch.zeros_like(ids)
    word_of = torch.full_like(ids, total)
    offset = 0
    for row, window in enumerate(batch):
        count = len(window.ids)
        ids[row, : count + 2] = torch.tensor([marks[0], *window.ids, marks[1]])
        mask[row, : count + 2] = 1
        shapes[row, 1 : count + 1] = torch.tensor(window.shapes)
        word_of[row, 1 : count + 1] = torch.tensor(window.word_of) + offset
        offset += len(window.words)
    return {"ids": ids, "mask": mask, "shapes": shapes, "word_of": word_of, "words": total}


def base_encoder(folder: Path) -> nn.Module:
    """The base with its own weights."""
    from transformers import BertConfig, BertModel

    config = BertConfig.from_json_file(folder / "config.json")
    config.attention_probs_dropout_prob = 0.0  # its random draws cost half of a training step
    config._attn_implementation = "eager"  # on one thread its backward pass takes half the time of sdpa's
    encoder = BertModel(config, add_pooling_layer=False)
    state = {k: v for k, v in load_file(folder / "model.safetensors").items() if not k.startswith("pooler.")}
    state.pop("embeddings.position_ids", None)
    encoder.load_state_dict(state, strict=True)
    return encoder


def decode(
    logits: np.ndarray, words: Sequence[tuple[int, int]], labels: Sequence[str], lean: float = 0.0
) -> list[tuple[int, int, str, float]]:
    """Spans of the best legal sequence of tags: (start, end, label, score), the score being the mean probability that
    its words belong to something personal. ``lean`` is added to every tag but O."""
    if not len(words):
        return []
    shifted = logits - logits.max(axis=1, keepdims=True)
    probability = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    logs = np.log(probability + 1e-12)
    logs[:, 1:] += lean
    count = logs.shape[1]
    allowed = np.zeros((count, count))
    for inner in range(2, count, 2):
        allowed[:, inner] = -np.inf
        allowed[inner - 1, inner] = allowed[inner, inner] = 0.0
    best = logs[0].copy()
    best[2::2] = -np.inf
    back = np.zeros((len(words), count), dtype=np.int64)
    for row in range(1, len(words)):
        paths = best[:, None] + allowed
        back[row] = paths.argmax(axis=0)
        best = paths.max(axis=0) + logs[row]
    tags = [int(best.argmax())]
    for row in range(len(words) - 1, 0, -1):
        tags.append(int(back[row, tags[-1]]))
    tags.reverse()
    out: list[list[Any]] = []
    inside: list[list[float]] = []
    for row, tag in enumerate(tags):
        if tag == 0:
            continue
        if tag % 2:
            out.append([words[row][0], words[row][1], labels[(tag - 1) // 2]])
            inside.append([])
        out[-1][1] = words[row][1]
        inside[-1].append(1.0 - float(probability[row, 0]))
    return [(s, e, k, sum(p) / len(p)) for (s, e, k), p in zip(out, inside, strict=True)]


def marks_of(tokenizer: Tokenizer) -> tuple[int, int]:
    first, last = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    return int(first or 0), int(last or 0)


@torch.inference_mode()
def logits_of(
    model: Tagger, tokenizer: Tokenizer, texts: Sequence[str], *, pieces: int = 1024
) -> list[list[tuple[Window, np.ndarray]]]:
    """The windows of each text, in order, each with float[words, tags]. ``pieces``: about so many a batch; windows of
    like length go together."""
    cut = [[(window, np.empty(0)) for window in windows(tokenizer, text)] for text in texts]
    order = [(n, place) for n, part in enumerate(cut) for place in range(len(part))]
    order.sort(key=lambda item: len(cut[item[0]][item[1]][0].ids))
    marks = marks_of(tokenizer)
    low = 0
    while low < len(order):
        batch: list[tuple[int, int]] = []
        for n, place in order[low:]:
            longest = len(cut[n][place][0].ids) + 2
            if batch and (len(batch) + 1) * longest > pieces:
                break
            batch.append((n, place))
        rows = model(**collate([cut[n][place][0] for n, place in batch], marks)).numpy()
        at = 0
        for n, place in batch:
            window = cut[n][place][0]
            cut[n][place] = (window, rows[at : at + len(window.words)])
            at += len(window.words)
        low += len(batch)
    return cut


def tag(
    model: Tagger, tokenizer: Tokenizer, texts: Iterable[str], *, lean: float = 0.0, pieces: int = 1024
) -> Iterator[list[tuple[int, int, str, float]]]:
    """Spans of each text, in order."""
    for part in logits_of(model, tokenizer, list(texts), pieces=pieces):
        yield sorted(span for window, rows in part for span in decode(rows, window.words, model.labels, lean))


def save_changes(model: Tagger, base: nn.Module, path: Path, rank: int | None = None) -> None:
    """What training changed: matrices as eight-bit differences to ``base`` with a scale a row, the rest in full.

    With ``rank`` each matrix keeps its largest so many singular vectors, eight bits each with one strength: a third of
    the bytes at 80.
    """
    before = base.state_dict()
    tensors: dict[str, torch.Tensor] = {}
    for name, now in model.state_dict().items():
        now = now.detach().float()
        if not name.startswith("encoder."):
            tensors[name] = now.contiguous()
            continue
        change = now - before[name.removeprefix("encoder.")].float()
        if not change.any():
            continue
        if change.ndim != 2:
            tensors[f"{name}:change"] = change
        elif rank is None:
            scale = change.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
            tensors[f"{name}:q"] = torch.round(change / scale).to(torch.int8)
            tensors[f"{name}:scale"] = scale.squeeze(1)
        else:
            left, strength, right = torch.linalg.svd(change, full_matrices=False)
            left, strength, right = left[:, :rank], strength[:rank], right[:rank]
            across, down = (m.abs().amax(dim=n) / 127 for m, n in ((left, 0), (right, 1)))
            tensors[f"{name}:left"] = torch.round(left / across).to(torch.int8).contiguous()
            tensors[f"{name}:right"] = torch.round(right / down.unsqueeze(1)).to(torch.int8).contiguous()
            tensors[f"{name}:strength"] = strength * across * down
    save_file(tensors, path)


def load_changed(encoder: nn.Module, labels: Sequence[str], path: Path) -> Tagger:
    """The tagger over ``encoder``, a fresh base, with the changes of `save_changes` applied."""
    model = Tagger(encoder, labels)
    state = model.state_dict()
    tensors = load_file(path)
    for name, value in tensors.items():
        target, _, part = name.partition(":")
        if not part:
            state[target] = value
        elif part == "q":
            state[target] = state[target] + value.float() * tensors[f"{target}:scale"].unsqueeze(1)
        elif part == "left":
            thin = value.float() * tensors[f"{target}:strength"]
            state[target] = state[target] + thin @ tensors[f"{target}:right"].float()
        elif part == "change":
            state[target] = state[target] + value
    model.load_state_dict(state, strict=True)
    return model.eval()


@lru_cache(maxsize=1)
def digest() -> str:
    """SHA-256 over the asset and the names of the base's files: another model is another detector."""
    state = hashlib.sha256(json.dumps(FILES, sort_keys=True).encode())
    for path in sorted(p for p in ASSET.rglob("*") if p.is_file()):
        state.update(path.relative_to(ASSET).as_posix().encode() + b"\0" + path.read_bytes())
    return state.hexdigest()


def _precision() -> torch.dtype:
    """Sixteen bits where the processor multiplies them (twice as fast or more), else thirty-two."""
    return torch.bfloat16 if torch.cpu.get_capabilities().get("avx512_bf16") else torch.float32


@lru_cache(maxsize=1)
def load() -> tuple[Tagger, Tokenizer, dict[str, Any]]:
    """The tagger, its tokenizer and its card. Raises `ModelMissing`."""
    folder = base_folder()
    check_base(folder)
    try:
        card = dict(json.loads((ASSET / "card.json").read_text(encoding="utf-8")))
        model = load_changed(base_encoder(folder), card["labels"], ASSET / "changes.safetensors")
    except FileNotFoundError as error:
        raise ModelMissing(
            f"The encoder's asset is missing ({error.filename}), so nothing can be scanned. Reinstall goldpair, "
            "or train it with scripts/train_pii_encoder.py, or say `encoder = false` in the policy."
        ) from error
    model.encoder.to(_precision())
    return model, load_tokenizer(folder), card


class EncoderRecognizer(EntityRecognizer):
    """Presidio recognizer over the encoder, with a memory of the texts it has seen.

    A finding's score is the precision of its kind and band of probability on author styles held out of training, at
    most 0.84; lower-case words on no list and words that may owe their capital to a sentence wait for a person, as with
    the small model (`trained.certainty`).
    """

    def __init__(self, memory: int = 20_000) -> None:
        self.model, self.tokenizer, self.card = load()
        self.bands: dict[str, list[list[float]]] = self.card["bands"]
        self.memory = memory
        self.seen: OrderedDict[str, tuple[tuple[str, int, int, float], ...]] = OrderedDict()
        self.felt: dict[str, tuple[tuple[int, int], ...]] = {}
        kinds = sorted(self.bands)
        super().__init__(
            supported_entities=kinds,
            name="encoder",
            supported_language="en",
            version=f"{digest()} {_precision()}",
        )

    def load(self) -> None:
        """The model is loaded already."""

    def _certain(self, kind: str, probability: float) -> float:
        """The precision of the highest band of its kind that a finding reaches; 0 when it reaches none."""
        reached = [score for lowest, score, _ in self.bands.get(kind, []) if probability >= lowest]
        return min(0.84, reached[-1]) if reached else 0.0

    def prepare(self, texts: Iterable[str]) -> None:
        """Run the model over every one of ``texts`` that it has not seen, in batches."""
        fresh = [t for t in dict.fromkeys(texts) if t not in self.seen and any(map(str.isalnum, t))]
        readable = [trained.SURROGATE.sub("?", text) for text in fresh]  # half a character cannot be encoded
        for text, spans in zip(
            fresh, tag(self.model, self.tokenizer, readable, lean=self.card["lean"]), strict=True
        ):
            self.seen[text] = tuple(self._kept(text, spans))
            self.felt[text] = tuple((start, end) for start, end, *_ in spans)
        while len(self.seen) > self.memory:
            del self.felt[self.seen.popitem(last=False)[0]]

    def touched(self, text: str) -> tuple[tuple[int, int], ...]:
        """Where the model saw anything personal, however unlikely and of whatever kind."""
        if text not in self.seen:
            self.prepare([text])
        return self.felt.get(text, ())

    def _kept(
        self, text: str, spans: Sequence[tuple[int, int, str, float]]
    ) -> Iterator[tuple[str, int, int, float]]:
        """Findings line by line, without what cannot be of its kind."""
        for offset, piece in pieces(text):
            for start, end, kind, probability in spans:
                low, high = max(start - offset, 0), min(end - offset, len(piece))
                score = self._certain(kind, probability)
                if low >= high or not score:
                    continue
                if left := trained.plausible(piece, low, high, kind):
                    sure = trained.certainty(piece, *left, kind, score)
                    # What is this doubtful was right two times in three in whole documents, in short questions and
                    # remarks one time in twenty ("tahini", "Coriander was rude"), and each would hold its pair back.
                    if sure <= trained.UNSURE and probability < 0.95 and len(text) < SHORT:
                        sure = min(sure, 0.2)
                    yield kind, offset + left[0], offset + left[1], sure

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        if text not in self.seen:
            self.prepare([text])
        return [
            result(kind, start, end, score, f"encoder.{kind.lower()}", f"our encoder says {kind}")
            for kind, start, end, score in self.seen.get(text, ())
            if kind in entities
        ]

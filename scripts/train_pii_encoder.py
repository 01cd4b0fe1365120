#!/usr/bin/env python3
"""Fine-tunes a MiniLM encoder on the written corpus, as the other way to find what rules miss. Covers: windows of whole
documents and of single lines, the augmentation of `train_pii_model`, calibration on the same author styles held out,
writing the asset with its card. Does not cover: the sealed split, whose files are not opened; the comparison of both
models (``scripts/compare_pii_models.py``).

    python scripts/train_pii_encoder.py --epochs 4 --lean 1.4 --out apart     # holds the calibration styles out
    python scripts/train_pii_encoder.py --start apart --epochs 2 --copies 1 --rate 1e-4 \\
        --out curate/privacy/encoder_model

The base model is a dependency, its files are checked by hash. One thread, no network, seeded.
All layers are trained, the word embeddings stay: with low-rank changes a step took half as long again on a processor.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import train_pii_model as small  # beside this script
from torch.nn import functional

from curate.privacy import encoder, encoder_base, ner
from curate.privacy.corpus import CorpusDocument, read_style, sealed_styles

IGNORED = ("EMAIL", "URL")  # rules find these; their words are neither right nor wrong
BANDS = (
    0.0,
    0.6,
    0.8,
    0.95,
)  # of a finding's probability; each is as certain as it was right on held-out styles
LIMITS = (
    "Trained on about thirteen hundred documents by one group of writers: expect it to do worse on text unlike them.",
    "English, and English mixed with Hindi in Latin letters; other languages and scripts only in passing.",
    "Knows letter case only by the shape of a word; accents are lost.",
    "Beside rules, never instead of them and of a person's review.",
)


def open_documents() -> list[CorpusDocument]:
    """The corpus without its sealed styles, whose files stay shut."""
    sealed = sealed_styles(small.CORPUS)
    paths = [p for p in sorted(small.CORPUS.glob("*.txt")) if p.stem not in sealed]
    return [document for path in paths for document in read_style(path)]


def marked(document: CorpusDocument) -> small.Marked:
    """A whole document with every span, what must survive among them."""
    return document.text, sorted([*document.spans, *((s, e, "KEEP") for s, e in document.keep)])


def only_trained(given: small.Marked) -> small.Marked:
    return given[0], [span for span in given[1] if span[2] in small.TRAINED]


def lines_of(given: small.Marked) -> list[small.Marked]:
    """The lines of a text, each with its spans."""
    text, spans = given
    out = []
    for offset, piece in ner.pieces(text):
        end = offset + len(piece)
        inside = [
            (max(s, offset) - offset, min(e, end) - offset, k) for s, e, k in spans if s < end and e > offset
        ]
        out.append((piece, inside))
    return out


def targets(
    window: encoder.Window, spans: list[tuple[int, int, str]], tags: list[str]
) -> tuple[list[int], list[float]]:
    """Tag and weight of each word of a window; weight 0 where nothing is asked, 2 where a term must survive."""
    number = {tag: n for n, tag in enumerate(tags)}
    out, weights = [0] * len(window.words), [1.0] * len(window.words)
    for start, end, kind in spans:
        inside = [n for n, (s, e) in enumerate(window.words) if s < end and e > start]
        for place, n in enumerate(inside):
            if kind in IGNORED:
                weights[n] = 0.0
            elif kind == "KEEP":
                weights[n] = 2.0
            else:
                out[n] = number[f"{'I' if place else 'B'}-{kind}"]
    return out, weights


class AsPipe:
    """The tagger with the interface that `train_pii_model.overlap` asks."""

    def __init__(self, model: encoder.Tagger, tokenizer: Any, lean: float = 0.0) -> None:
        self.model, self.tokenizer, self.lean = model, tokenizer, lean

    def pipe(self, texts: list[str], batch_size: int = 0) -> Iterator[SimpleNamespace]:
        for spans in encoder.tag(self.model, self.tokenizer, texts, lean=self.lean):
            ents = [SimpleNamespace(start_char=s, end_char=e, label_=k) for s, e, k, _ in spans]
            yield SimpleNamespace(ents=ents)


def drawn(
    documents: list[CorpusDocument], copies: int, names: small.Names, rng: random.Random
) -> list[small.Marked]:
    """An epoch: each document as written and as others might have typed it, whole or line by line."""
    out = []
    for document in documents:
        for copy in range(copies + 1):
            given = marked(document)
            if copy:
                given = small.augmented(given, names, rng, {} if rng.random() < 0.7 else None)
            out += [given] if rng.random() < 0.6 else lines_of(given)
    return out


def batches(items: list[Any], size: int, rng: random.Random) -> list[list[Any]]:
    """Tuples that begin with their window: like lengths together, about ``size`` pieces a batch, in random order."""
    ordered = sorted(items, key=lambda item: (len(item[0].ids), rng.random()))
    out: list[list[Any]] = [[]]
    for item in ordered:
        if out[-1] and (len(out[-1]) + 1) * (len(item[0].ids) + 2) > size:
            out.append([])
        out[-1].append(item)
    rng.shuffle(out)
    return out


def swap_weights(live: list[torch.Tensor], other: list[torch.Tensor]) -> None:
    with torch.no_grad():
        for a, b in zip(live, other, strict=True):
            held = a.detach().clone()
            a.copy_(b)
            b.copy_(held)


def train(
    args: argparse.Namespace, training: list[CorpusDocument], held_out: list[small.Marked], tokenizer: Any
) -> tuple[encoder.Tagger, list[dict[str, Any]]]:
    """The tagger with averaged weights, and its log."""
    rng = random.Random(args.seed)
    began = time.monotonic()
    marks, tags = encoder.marks_of(tokenizer), encoder.tags_of(small.TRAINED)
    names = small.Names(training)
    base = encoder.base_encoder(encoder_base.base_folder())
    if args.start:
        model = encoder.load_changed(base, small.TRAINED, args.start / "changes.safetensors")
    else:
        model = encoder.Tagger(base, small.TRAINED)
    for parameter in model.encoder.embeddings.parameters():
        parameter.requires_grad_(False)
    body = [p for p in model.encoder.parameters() if p.requires_grad]
    head = [*model.shape.parameters(), *model.head.parameters()]
    optimizer = torch.optim.AdamW(
        [
            {"params": body, "lr": args.rate, "weight_decay": 0.01},
            {"params": head, "lr": 2e-3, "weight_decay": 0.0},
        ]
    )
    base_rates = [group["lr"] for group in optimizer.param_groups]
    weights = [*body, *head]
    average = [p.detach().clone() for p in weights]
    total, step, log = 0, 0, []
    for epoch in range(args.stop_after or args.epochs):
        items = [
            (window, *targets(window, spans, tags))
            for text, spans in drawn(training, args.copies, names, rng)
            for window in encoder.windows(tokenizer, text)
        ]
        plan = batches(items, args.pieces, rng)
        total = total or len(plan) * args.epochs
        model.train()
        losses = 0.0
        for batch in plan:
            step += 1
            falling = 0.5 * (1 + math.cos(math.pi * min(1.0, step / total)))
            for group, rate in zip(optimizer.param_groups, base_rates, strict=True):
                group["lr"] = rate * min(1.0, step / (0.06 * total)) * max(0.02, falling)
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(**encoder.collate([w for w, _, _ in batch], marks))
            wanted = torch.tensor([t for _, ts, _ in batch for t in ts])
            weight = torch.tensor([x for _, _, xs in batch for x in xs])
            each = functional.cross_entropy(logits.float(), wanted, reduction="none")
            loss = (each * weight).sum() / weight.sum()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            with torch.no_grad():
                for mean, now in zip(average, weights, strict=True):
                    mean.lerp_(now, 1 - min(0.99, step / (step + 10)))
            losses += float(loss.detach())
        entry: dict[str, Any] = {"epoch": epoch + 1, "loss": round(losses / len(plan), 4)}
        if held_out:
            swap_weights(weights, average)
            recall, precision, _ = small.overlap(AsPipe(model.eval(), tokenizer), held_out)
            entry |= {"recall": round(recall, 4), "precision": round(precision, 4)}
            swap_weights(weights, average)
        log.append(entry)
        print(json.dumps(entry), f"{time.monotonic() - began:.0f} s", flush=True)
    swap_weights(weights, average)
    return model.eval(), log


def bands(
    model: encoder.Tagger, tokenizer: Any, held_out: Sequence[small.Marked], lean: float
) -> dict[str, list[list[float]]]:
    """Per kind, rising: [lowest probability, share right from there to the next band, findings]."""
    counted: dict[str, list[list[int]]] = {kind: [[0, 0] for _ in BANDS] for kind in small.TRAINED}
    given = list(held_out)
    for (text, spans), found in zip(
        given, encoder.tag(model, tokenizer, [t for t, _ in given], lean=lean), strict=True
    ):
        gold = bytearray(len(text))
        for start, end, _ in spans:
            gold[start:end] = b"\1" * (end - start)
        for start, end, kind, probability in found:
            solid = [i for i in range(start, end) if text[i].isalnum()]
            band = max(n for n, lowest in enumerate(BANDS) if probability >= lowest)
            counted[kind][band][0] += bool(solid) and 2 * sum(gold[i] for i in solid) >= len(solid)
            counted[kind][band][1] += 1
    out: dict[str, list[list[float]]] = {}
    for kind, rows in counted.items():
        before = 0.0
        out[kind] = []
        for lowest, (good, count) in zip(BANDS, rows, strict=True):
            before = max(before, round((good + 1) / (count + 2), 3))
            out[kind].append([lowest, before, count])
    return out


def write(
    args: argparse.Namespace, model: encoder.Tagger, tokenizer: Any, log: list[dict[str, Any]],
    training: list[CorpusDocument], held_out: list[small.Marked],
) -> None:  # fmt: skip
    """The asset: changes to the base, and ``card.json`` with what they were made of."""
    args.out.mkdir(parents=True, exist_ok=True)
    folder = encoder_base.base_folder()
    path = args.out / "changes.safetensors"
    encoder.save_changes(model, encoder.base_encoder(folder), path)
    card: dict[str, Any] = {
        "labels": list(small.TRAINED),
        "base": f"{encoder_base.PACKAGE} 0.1.0 (all-MiniLM-L6-v2, Apache-2.0)",
        "base_sha256": encoder_base.FILES,
        "documents": len(training),
        "author_styles": len({d.style for d in training}),
        "spans": dict(Counter(kind for d in training for _, _, kind in d.spans).most_common()),
        "seed": args.seed,
        "epochs": log,
        "calibration_styles": list(small.CALIBRATION),
        "lean": args.lean,
        "limits": list(LIMITS),
    }
    if args.start:
        apart = json.loads((args.start / "card.json").read_text(encoding="utf-8"))
        card |= {key: apart[key] for key in ("calibration", "precision_by_label", "bands", "lean")}
        card["calibration_run"] = {
            key: apart[key] for key in ("documents", "author_styles", "seed", "epochs")
        }
    else:
        # Measured on the weights as they are read back, eight-bit changes and all.
        model = encoder.load_changed(encoder.base_encoder(folder), small.TRAINED, path)
        recall, precision, by_label = small.overlap(AsPipe(model, tokenizer, args.lean), held_out)
        card["calibration"] = {"recall": round(recall, 4), "precision": round(precision, 4)}
        card["precision_by_label"] = {k: list(v) for k, v in sorted(by_label.items())}
        card["bands"] = bands(model, tokenizer, held_out, args.lean)
    (args.out / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    size = sum(p.stat().st_size for p in args.out.rglob("*") if p.is_file())
    print(json.dumps({"out": str(args.out), "bytes": size, **card["calibration"]}))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the asset")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument(
        "--stop-after", type=int, help="end after this epoch; the rates fall as for all --epochs"
    )
    parser.add_argument("--copies", type=int, default=2, help="augmented copies of each document an epoch")
    parser.add_argument("--rate", type=float, default=2e-4)
    parser.add_argument("--pieces", type=int, default=1024, help="word pieces a batch")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--lean", type=float, default=0.0, help="added to the log-probability of every kind")
    parser.add_argument(
        "--start",
        type=Path,
        help="asset of a run that held the calibration styles out: go on from it, on them too, with its scores",
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    encoder_base.check_base(encoder_base.base_folder())
    documents = open_documents()
    training = [d for d in documents if args.start or d.style not in small.CALIBRATION]
    apart = [] if args.start else [d for d in documents if d.style in small.CALIBRATION]
    held_out = [only_trained(marked(d)) for d in apart]
    tokenizer = encoder.load_tokenizer(encoder_base.base_folder())
    model, log = train(args, training, held_out, tokenizer)
    write(args, model, tokenizer, log, training, held_out)


if __name__ == "__main__":
    main()

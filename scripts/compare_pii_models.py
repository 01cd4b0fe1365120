#!/usr/bin/env python3
"""Compares the two trained models on the author styles held out of both trainings. Covers: each alone, both together,
the whole detector with the one and with the other, CPU time a turn beside stock Presidio.
Does not cover: the sealed split; its files are not opened. Rules and word lists were written with these styles in
sight, so of the whole detector only the difference tells something.

    python scripts/compare_pii_models.py --small apart --encoder apart-encoder --json comparison.json

Both folders are assets trained with these styles held out (``--out`` of the two training scripts).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import train_pii_encoder as large  # beside this script
import train_pii_model as small

from curate.privacy import Detector, encoder, trained

sys.path.append(str(Path(__file__).resolve().parents[1]))
from benchmarks import privacy as bench


class Found:
    """Findings that are there already, with the interface that `train_pii_model.overlap` asks."""

    def __init__(self, docs: list[SimpleNamespace]) -> None:
        self.docs = docs

    def pipe(self, texts: list[str], batch_size: int = 0) -> Iterator[SimpleNamespace]:
        return iter(self.docs)


def ask(model: Any, pieces: list[small.Marked]) -> Found:
    docs = model.pipe([text for text, _ in pieces], batch_size=64)
    return Found([SimpleNamespace(ents=list(doc.ents)) for doc in docs])


def both(one: Found, other: Found) -> Found:
    return Found(
        [SimpleNamespace(ents=[*a.ents, *b.ents]) for a, b in zip(one.docs, other.docs, strict=True)]
    )


def alone(model: Any, pieces: list[small.Marked]) -> dict[str, Any]:
    recall, precision, by_label = small.overlap(model, pieces)
    return {"recall": round(recall, 4), "precision": round(precision, 4), "by_label": by_label}


def whole(detector: Detector, documents: list[bench.Document]) -> dict[str, Any]:
    found = [[(f.start, f.end) for f in row] for row in detector.scan([d.text for d in documents])]
    scores = bench.evaluate(documents, found)
    return {name: round(getattr(scores, name), 4) for name in ("recall", "precision", "leak", "damage")} | {
        "by_type": {kind: round(v, 3) for kind, v in sorted(scores.by_type.items())}
    }


def milliseconds(turns: list[str], rounds: int) -> dict[str, float]:
    """CPU milliseconds a turn, cold, the median of ``rounds``; each round measures all three in turn."""
    stock = bench.stock_engine()
    took: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, policy in (("two smaller models", {"encoder": False}), ("encoder", {"encoder": True})):
            detector = Detector.from_policy(policy)
            detector.scan(["warm up the engine, Priya Sharma said"])
            began = time.process_time()
            detector.scan(turns)
            took.setdefault(name, []).append(time.process_time() - began)
        began = time.process_time()
        for turn in turns:
            stock.analyze(turn, language="en")
        took.setdefault("stock", []).append(time.process_time() - began)
    return {name: round(1000 * sorted(each)[len(each) // 2] / len(turns), 2) for name, each in took.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", type=Path, required=True, help="asset of train_pii_model.py --out")
    parser.add_argument("--encoder", type=Path, required=True, help="asset of train_pii_encoder.py --out")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--rounds", type=int, default=3, help="of the measurement of CPU time; 0: none")
    args = parser.parse_args()
    torch.set_num_threads(1)
    trained.ASSET, encoder.ASSET = args.small, args.encoder
    documents = [d for d in large.open_documents() if d.style in small.CALIBRATION]
    lines = [piece for d in documents for piece in small.lines_of(d)]
    texts = [large.only_trained(large.marked(d)) for d in documents]
    tagger, tokenizer, card = encoder.load()
    tagging = large.AsPipe(tagger, tokenizer, card["lean"])
    one, other = ask(trained.load(), lines), ask(tagging, lines)
    out: dict[str, Any] = {
        "documents": len(documents),
        "small, by line": alone(one, lines),
        "encoder, by line": alone(other, lines),
        "encoder, by document": alone(ask(tagging, texts), texts),
        "both, by line": alone(both(one, other), lines),
    }
    marked = [bench.Document(d.text, list(d.spans), list(d.keep), [], d.style) for d in documents]
    policies: tuple[tuple[str, dict[str, Any]], ...] = (
        ("detector with the two smaller models", {"encoder": False}),
        ("detector with the encoder", {"encoder": True}),
    )
    for name, policy in policies:
        out[name] = whole(Detector.from_policy(policy), marked)
    if args.rounds:
        turns = [line for d in documents for line in d.text.split("\n") if line.strip()]
        out["CPU milliseconds a turn"] = milliseconds(turns, args.rounds)
    print(json.dumps(out, indent=1))
    if args.json:
        args.json.write_text(json.dumps(out, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Fine-tunes a MiniLM encoder to tell which words of an answer go stale, beside the rules of the radar. Covers: the
completions labelled for it, authors held out to set the thresholds, writing the asset with its card. Does not cover:
the sealed texts, which it never opens (`benchmarks/facts.py` scores them).

    python scripts/train_facts_encoder.py --hold-out hi --out apart      # two authors tell how sure is sure enough
    python scripts/train_facts_encoder.py --apart apart --out curate/facts/encoder_model      # eight minutes each

The base model is a dependency, its files are checked by hash. One thread, no network, seeded.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from pathlib import Path
from typing import Any

import torch
import train_pii_encoder as pii  # beside this script
from torch.nn import functional

from curate.facts import learned
from curate.privacy import encoder, encoder_base

DATA = Path(__file__).parents[1] / "benchmarks" / "data"
FILES = ("volatile_facts_dev.jsonl", "volatile_facts_dev_2.jsonl")
KINDS = (
    "price", "duration", "rate", "date", "statute", "version", "hours", "person", "channel",
    "currency_of_statement", "availability",
)  # fmt: skip
Row = dict[str, Any]
RANK = 80  # of the changes that are kept: the wheel has room for three megabytes, not for ten


def rows_of() -> list[Row]:
    """Every labelled completion that rules and model may learn from."""
    return [json.loads(line) for name in FILES for line in (DATA / name).read_text("utf-8").splitlines()]


def targets(window: encoder.Window, facts: list[Row]) -> list[int]:
    """Tag of each word of a window: 0, or B or I of a kind."""
    number = {tag: n for n, tag in enumerate(encoder.tags_of(KINDS))}
    out = [0] * len(window.words)
    for fact in facts:
        inside = [n for n, (s, e) in enumerate(window.words) if s < fact["end"] and e > fact["start"]]
        for place, n in enumerate(inside):
            out[n] = number[f"{'I' if place else 'B'}-{fact['kind']}"]
    return out


def train(args: argparse.Namespace, rows: list[Row], tokenizer: Any) -> tuple[encoder.Tagger, list[Row]]:
    """The tagger with averaged weights, and its log."""
    rng = random.Random(args.seed)
    began = time.monotonic()
    marks = encoder.marks_of(tokenizer)
    model = encoder.Tagger(encoder.base_encoder(encoder_base.base_folder()), KINDS)
    for parameter in model.encoder.embeddings.parameters():
        parameter.requires_grad_(False)
    body = [p for p in model.encoder.parameters() if p.requires_grad]
    head = [*model.shape.parameters(), *model.head.parameters()]
    groups = [{"params": body, "lr": args.rate, "weight_decay": 0.01}, {"params": head, "lr": 2e-3}]
    optimizer = torch.optim.AdamW(groups)
    base_rates = [group["lr"] for group in optimizer.param_groups]
    weights = [*body, *head]
    average = [p.detach().clone() for p in weights]
    items = [
        (window, targets(window, row["facts"]))
        for row in rows
        for window in encoder.windows(tokenizer, row["text"])
    ]
    total, step, log = len(pii.batches(items, args.pieces, random.Random(0))) * args.epochs, 0, []
    model.train()
    for epoch in range(args.epochs):
        plan, losses = pii.batches(items, args.pieces, rng), 0.0
        for batch in plan:
            step += 1
            falling = 0.5 * (1 + math.cos(math.pi * min(1.0, step / total)))
            for group, rate in zip(optimizer.param_groups, base_rates, strict=True):
                group["lr"] = rate * min(1.0, step / (0.06 * total)) * max(0.02, falling)
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(**encoder.collate([w for w, _ in batch], marks))
            wanted = torch.tensor([t for _, ts in batch for t in ts])
            loss = functional.cross_entropy(logits.float(), wanted, label_smoothing=0.02)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            with torch.no_grad():
                for mean, now in zip(average, weights, strict=True):
                    mean.lerp_(now, 1 - min(0.99, step / (step + 10)))
            losses += float(loss.detach())
        log.append({"epoch": epoch + 1, "loss": round(losses / len(plan), 4)})
        print(json.dumps(log[-1]), f"{time.monotonic() - began:.0f} s", flush=True)
    pii.swap_weights(weights, average)
    return model.eval(), log


def measured(model: encoder.Tagger, tokenizer: Any, rows: list[Row]) -> dict[str, Any]:
    """Completions with a fact found and rightly found, by the encoder alone at `learned.SURE`."""
    spans = encoder.tag(model, tokenizer, [row["text"] for row in rows])
    found = [any(probability >= learned.SURE for *_, probability in some) for some in spans]
    both = sum(one and bool(row["facts"]) for one, row in zip(found, rows, strict=True))
    return {
        "texts": len(rows),
        "recall": round(both / sum(bool(row["facts"]) for row in rows), 3),
        "precision": round(both / sum(found), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the asset")
    parser.add_argument(
        "--hold-out", default="", help="authors (first letters of ids) that are not learned from"
    )
    parser.add_argument(
        "--apart", type=Path, help="asset of a run that held authors out: its figures go on the card"
    )
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--pieces", type=int, default=1024, help="word pieces a batch")
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    encoder_base.check_base(encoder_base.base_folder())
    tokenizer = encoder.load_tokenizer(encoder_base.base_folder())
    rows = rows_of()
    apart = [row for row in rows if row["id"][1:].isdigit() and row["id"][0] in args.hold_out]
    rows = [row for row in rows if row not in apart]
    model, log = train(args, rows, tokenizer)
    args.out.mkdir(parents=True, exist_ok=True)
    folder = encoder_base.base_folder()
    encoder.save_changes(model, encoder.base_encoder(folder), args.out / "changes.safetensors", RANK)
    card: dict[str, Any] = {"labels": list(KINDS), "texts": len(rows), "seed": args.seed, "epochs": log}
    if apart:
        # Measured on the weights as they are read back, eight-bit changes and all.
        model = encoder.load_changed(encoder.base_encoder(folder), KINDS, args.out / "changes.safetensors")
        card["authors_held_out"] = {"authors": args.hold_out} | measured(model, tokenizer, apart)
    elif args.apart:
        card["authors_held_out"] = json.loads((args.apart / "card.json").read_text("utf-8"))[
            "authors_held_out"
        ]
    (args.out / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

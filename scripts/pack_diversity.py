"""``python -m scripts.pack_diversity [--check]``: writes docs/packs.md, how varied the texts of every shipped pack are.

Covers: rows, distinct n-grams, similarity to the nearest other text, duplicates that our own search finds, lengths.
Does not cover: whether the texts are good or true; the packs' own tests judge that.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from curate.dedupe import classify
from curate.records import Bad, Row, read
from curate.tasks import load_eval, load_pack, shipped_packs

PAGE = Path(__file__).resolve().parent.parent / "docs" / "packs.md"
WINDOW = 1000  # tokens; distinct n-grams grow with the length of a text, so equal lengths are compared
ALIKE = 0.8  # cosine of character n-grams from which two texts look like one with changes
HEAD = f"""\
# How varied the shipped packs are

Generated from `data/tasks/` by `python -m scripts.pack_diversity`.

* Approved: pairs whose last recorded decision in `decisions.jsonl` approves them, with the edits of that file.
* Duplicates: share of rows that our own search would drop, among all usable records and among the approved.
* Distinct n-grams: mean over consecutive stretches of {WINDOW:,} tokens (words and marks, case folded), so that packs
  of different size compare; 1,000 is the most there can be.
* Nearest: mean cosine of each text to the most similar other one, by its characters 3 to 5 within words. Common ones
  count in full (no inverse document frequency): a shared template shows. Alike: share with one of {ALIKE} or more.
* Words: 10th percentile, median, 90th.
"""


def measure(folder: Path) -> dict[str, Any]:
    """Every figure of one pack. Raises what its files raise when they are no pack."""
    pack = load_pack(folder)
    lines = list(read(folder / "records.jsonl"))
    rows = [row for row in lines if isinstance(row, Row)]
    pairs = approved_pairs(folder, rows)
    return {
        "task": pack.name,
        "records": len(lines),
        "unusable": sum(isinstance(row, Bad) for row in lines),
        "approved": len(pairs),
        "eval": sum(len(load_eval(folder, suite)) for suite in pack.suites),
        "duplicates": duplicates([(row.prompt, row.completion) for row in rows], pack.dedupe),
        "duplicates_left": duplicates(pairs, pack.dedupe),
        "texts": {
            side: {
                "distinct": [distinct([pair[place] for pair in pairs], n) for n in (1, 2, 3)],
                "nearest": nearest([pair[place] for pair in pairs]),
                "words": lengths([pair[place] for pair in pairs]),
            }
            for place, side in enumerate(("prompt", "completion"))
        },
    }


def approved_pairs(folder: Path, rows: Sequence[Row]) -> list[tuple[str, str]]:
    """(prompt, completion) of the records whose last recorded decision approves them; all rows without decisions."""
    path = folder / "decisions.jsonl"
    if not path.is_file():
        return [(row.prompt, row.completion) for row in rows]
    last: dict[str, str] = {}
    texts = {str(row.external_id): (row.prompt, row.completion) for row in rows}
    for line in path.read_text("utf-8").splitlines():
        decision = json.loads(line)
        name = decision.get("record")
        if name is None or name not in texts or decision["verdict"] in ("skip", "flag"):
            continue
        prompt, completion = texts[name]
        texts[name] = (decision.get("prompt") or prompt, decision.get("completion") or completion)
        last[name] = decision["verdict"]
    return [texts[name] for name, verdict in last.items() if verdict == "approve"]


def tokens(text: str) -> list[str]:
    """Words and marks, case folded."""
    return re.findall(r"\w+|[^\w\s]", text.casefold())


def distinct(texts: Sequence[str], n: int) -> float | None:
    """Mean count of different n-grams in consecutive stretches of `WINDOW` tokens; n-grams do not cross texts.

    The mean segmental type-token ratio (Johnson 1944) for n-grams. None below one whole stretch.
    """
    counts: list[int] = []
    seen: set[tuple[str, ...]] = set()
    room = WINDOW
    for text in texts:
        words = tokens(text)
        while words:
            part, words = words[:room], words[room:]
            seen |= {tuple(part[i : i + n]) for i in range(len(part) - n + 1)}
            room -= len(part)
            if room == 0:
                counts.append(len(seen))
                seen, room = set(), WINDOW
    return round(sum(counts) / len(counts), 0) if counts else None


def nearest(texts: Sequence[str]) -> tuple[float, float]:
    """(mean cosine to the most similar other text, share of texts with one of at least `ALIKE`)."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    if len(texts) < 2:
        return 0.0, 0.0
    counted = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, use_idf=False)
    matrix = counted.fit_transform(texts)
    best = np.zeros(len(texts))
    for start in range(
        0, len(texts), 256
    ):  # a block at a time: the whole square of a large pack is no use in memory
        block = (matrix[start : start + 256] @ matrix.T).toarray()
        block[np.arange(len(block)), np.arange(start, start + len(block))] = 0
        best[start : start + len(block)] = block.max(axis=1)
    return round(float(best.mean()), 2), round(float((best >= ALIKE).mean()), 2)


def duplicates(pairs: Sequence[tuple[str, str]], options: dict[str, Any]) -> float:
    """Share of pairs that the search for near-duplicates would drop, keeping one of each group."""
    if not pairs:
        return 0.0
    found = classify([p for p, _ in pairs], [c for _, c in pairs], **options)
    groups = [rows for kind, rows in zip(found["class"], found["rows"], strict=True) if kind == "duplicate"]
    return round(sum(len(rows) - 1 for rows in groups) / len(pairs), 3)


def lengths(texts: Sequence[str]) -> list[int]:
    """10th percentile, median and 90th of words a text."""
    counts = sorted(len(text.split()) for text in texts)
    return (
        [counts[min(len(counts) - 1, int(share * len(counts)))] for share in (0.1, 0.5, 0.9)]
        if counts
        else []
    )


def table(found: Sequence[dict[str, Any]]) -> str:
    """The two tables of the page."""
    out = [
        "| task | records | unusable | approved | eval rows | duplicates in intake | left among approved |",
        "|---|---|---|---|---|---|---|",
    ]
    out += [
        f"| {m['task']} | {m['records']} | {m['unusable']} | {m['approved']} | {m['eval']} | {m['duplicates']:.1%} "
        f"| {m['duplicates_left']:.1%} |"
        for m in found
    ]
    out += [
        "",
        "| task | text | distinct 1-grams | 2-grams | 3-grams | nearest | alike | words |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for m in found:
        for side, text in m["texts"].items():
            grams = " | ".join("–" if n is None else f"{n:.0f}" for n in text["distinct"])
            mean, alike = text["nearest"]
            words = ", ".join(map(str, text["words"]))
            out.append(f"| {m['task']} | {side} | {grams} | {mean:.2f} | {alike:.0%} | {words} |")
    return "\n".join(out)


def main(argv: list[str] | None = None) -> int:
    """Write the page, or compare it with ``--check``; 1 when it is stale."""
    parser = argparse.ArgumentParser(prog="python -m scripts.pack_diversity", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the page is stale")
    check = parser.parse_args(argv).check
    text = f"{HEAD}\n{table([measure(folder) for folder in shipped_packs().values()])}\n"
    if not check:
        PAGE.write_text(text, "utf-8")
    elif not PAGE.is_file() or PAGE.read_text("utf-8") != text:
        print("docs/packs.md is stale: python -m scripts.pack_diversity", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Quality of the near-duplicate engine on small seeded corpora with planted truth, and on third-party pairs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks._dedupe_corpus import (
    SHIFTED,
    STANDARD,
    Shape,
    corpus,
    planted_pairs,
    row_f1,
    scores,
    short_corpus,
)
from curate.dedupe import find_duplicates

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.mark.parametrize(("shape", "seed"), [(STANDARD, 71), (SHIFTED, 72)])
def test_planted_near_duplicates_are_found_and_templates_left_apart(shape: Shape, seed: int) -> None:
    frame = corpus(1500, seed, shape)
    found = scores(frame, find_duplicates(frame["text"]).labels.to_numpy(), planted_pairs(frame))
    assert found["precision"] >= 0.995 and found["f1_all"] >= 0.97
    assert found["f1_j08"] >= 0.995 and found["row_f1"] >= 0.985


def test_chat_sized_near_duplicates_are_found_with_high_precision() -> None:
    frame = short_corpus(1500, 73)
    found = scores(frame, find_duplicates(frame["text"]).labels.to_numpy())
    assert found["precision"] >= 0.995 and found["f1_all"] >= 0.97


def test_scores_know_good_from_bad() -> None:
    frame = corpus(300, 74)
    alone = np.arange(300)
    truth = np.where(frame["cluster"].to_numpy() >= 0, frame["cluster"].to_numpy(), 1000 + alone)
    assert scores(frame, truth, planted_pairs(frame))["f1_all"] == 1.0
    assert scores(frame, alone)["recall_all"] == 0.0
    one = scores(frame, np.zeros(300, dtype=np.int64))
    assert one["precision"] < 0.1 and one["template_merges"] > 0
    assert row_f1(frame, np.zeros(300, dtype=bool)) == 0.0
    assert corpus(300, 74).equals(frame) and not corpus(300, 75).equals(frame)


@pytest.mark.shared
def test_visits_transcribed_twice_are_found_and_different_dialogues_are_not() -> None:
    asr, dialogues = SHARED / "dedup-aci-asr" / "pairs.jsonl", SHARED / "mts-dialog" / "train.jsonl"
    if not asr.exists() or not dialogues.exists():
        pytest.skip("third-party data is not beside the checkout")
    pairs = [json.loads(line) for line in asr.read_text("utf-8").splitlines()]
    labels = find_duplicates([p["text_a"] for p in pairs] + [p["text_b"] for p in pairs]).labels
    assert (labels[: len(pairs)] == labels[len(pairs) :]).mean() >= 0.95  # type: ignore[operator]
    texts = [json.loads(line)["prompt"] for line in dialogues.read_text("utf-8").splitlines()]
    assert len(find_duplicates(texts).pairs) <= 15

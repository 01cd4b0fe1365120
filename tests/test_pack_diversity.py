"""The figures on the packs' variety: each moves as its name says, and the page holds those of today's files.

Does not cover: packs other than the smallest; ``python -m scripts.pack_diversity --check`` compares all.
"""

import pytest

from curate.tasks import shipped_packs
from scripts import pack_diversity as page

WORDS = (
    "amber basket candle dolphin ember feather granite harbour island jasmine kettle lantern meadow".split()
)


def test_the_page_holds_the_figures_of_the_sarcastic_pack():
    lines = page.table([page.measure(shipped_packs()["sarcastic-bot"])]).splitlines()
    kept = page.PAGE.read_text("utf-8").splitlines()
    assert [line for line in lines if line not in kept] == [], "run python -m scripts.pack_diversity"
    assert len([line for line in kept if line.startswith("| sarcastic-bot ")]) == 3


def test_distinct_counts_ngrams_of_equal_stretches_within_texts():
    once = [" ".join(WORDS)] * 200
    assert page.distinct(once, 1) == len(WORDS)
    assert page.distinct(once, 2) == pytest.approx(len(WORDS) - 1, abs=1)  # none goes over the end of a text
    assert page.distinct(once * 3, 1) == page.distinct(once, 1)  # more of the same is not more varied
    assert page.distinct([f"w{i}" for i in range(2500)], 1) == page.WINDOW
    assert page.distinct(["too short"], 1) is None


def test_nearest_finds_templates_and_lets_different_texts_be():
    template = [f"Please send the {word} to the office before noon on Friday, thank you" for word in WORDS]
    mean, alike = page.nearest(template)
    assert mean > 0.7 and alike > 0.5
    mean, alike = page.nearest(WORDS)
    assert mean < 0.2 and alike == 0
    assert page.nearest(["alone"]) == (0.0, 0.0)


def test_duplicates_are_those_of_our_own_search():
    plain = [
        (f"{a} {b} {c}?", f"{c} {b} {a} {a} {c}.")
        for a, b, c in zip(WORDS, WORDS[3:], WORDS[5:], strict=False)
    ]
    assert page.duplicates(plain, {}) == 0
    assert page.duplicates([*plain, *plain], {}) == 0.5


def test_only_what_was_approved_counts_with_its_edit(tmp_path):
    from curate.records import read

    (tmp_path / "records.jsonl").write_text(
        "".join(f'{{"id": "r{i}", "prompt": "p{i}", "completion": "c{i}"}}\n' for i in range(4)), "utf-8"
    )
    rows = list(read(tmp_path / "records.jsonl"))
    assert len(page.approved_pairs(tmp_path, rows)) == 4
    (tmp_path / "decisions.jsonl").write_text(
        '{"record": "r0", "verdict": "approve", "user": "reviewer-1"}\n'
        '{"record": "r1", "verdict": "edit", "completion": "better", "user": "reviewer-1"}\n'
        '{"record": "r1", "verdict": "approve", "user": "reviewer-2"}\n'
        '{"record": "r2", "verdict": "reject", "reason": "wrong", "user": "reviewer-1"}\n'
        '{"kind": "duplicate", "records": ["r0", "r3"], "keep": "r0", "user": "reviewer-1"}\n',
        "utf-8",
    )
    assert page.approved_pairs(tmp_path, rows) == [("p0", "c0"), ("p1", "better")]

"""The benchmark of planted labels: its wrong texts are wrong, its runs go through preflight's own rule.

Does not cover: the figures (python -m benchmarks planted).
"""

from benchmarks import planted, planted_training
from curate import contract
from tests.train_helpers import snapshot


def small(count=24):
    bed = planted.notes_from_phrases()
    bed.rows = bed.rows[:count]
    bed.wrong = {kind: (claimed, texts[:count]) for kind, (claimed, texts) in bed.wrong.items()}
    return bed


def test_a_claimed_mistake_stops_a_drawn_snapshot_and_one_that_nobody_claims_does_not():
    bed = small()
    clean = planted._judge(bed, [row["completion"] for row in bed.rows])
    kept = list(range(len(bed.rows)))
    assert planted._verdict(bed, planted._clean(bed, clean, kept, 0)) == "PASS"
    for kind, stopped in (("wrong dose", True), ("other course, well said", False)):
        _, texts = bed.wrong[kind]
        wrong = dict(enumerate(planted._judge(bed, texts)))
        for seed in range(5):
            assert planted._stopped(bed, clean, wrong, kept, 0.02, True, seed) is stopped, kind


def test_a_snapshot_that_is_stopped_anyway_counts_as_no_catch():
    bed = small()
    wrong = dict(enumerate(planted._judge(bed, bed.wrong["wrong dose"][1])))
    dirty = list(wrong.values())
    assert not planted._stopped(bed, dirty, wrong, list(range(len(dirty))), 0.25, True, 0)


def test_wrong_texts_differ_from_the_right_ones():
    for bed in (small(), planted.notes_by_hand(), planted.support_answers(), planted.agreements()):
        for kind, (_, texts) in bed.wrong.items():
            same = sum(text == row["completion"] for text, row in zip(texts, bed.rows, strict=True))
            # a phrase book may draw the same answer twice, and a stale answer is wrong by its date alone
            assert same <= (len(texts) // 10 if "another" in kind else 0), (bed.name, kind)
    rows = [{"completion": f"One, two and three {n}."} for n in range(9)]
    assert sorted(planted.swapped(rows)) == sorted(row["completion"] for row in rows)
    assert all(text != row["completion"] for text, row in zip(planted.swapped(rows), rows, strict=True))
    assert planted.cut_short(rows)[0] == "One, two"


def test_a_poisoned_snapshot_is_intact_and_another_one(tmp_path):
    clean = snapshot(tmp_path / "clean")
    made = planted_training.poisoned(clean, tmp_path / "made", {"p003": "Certainly! Here is how."})
    assert contract.verify(made) == [] and contract.load_manifest(made).id != contract.load_manifest(clean).id
    before, after = (contract.load_rows(folder)["completion"].to_list() for folder in (clean, made))
    assert [n for n, (a, b) in enumerate(zip(before, after, strict=True)) if a != b] == [3]
    assert not (made / "preflight.json").exists()

"""The benchmark of planted labels: its wrong texts are wrong, its runs go through preflight's own rule.

Does not cover: the figures (python -m benchmarks planted).
"""

import evals
from benchmarks import planted, planted_training
from benchmarks._plant import said
from curate import contract
from tests.train_helpers import snapshot


def small(count=24):
    bed = planted.notes_from_phrases()
    bed.rows = bed.rows[:count]
    bed.wrong = {kind: texts[:count] for kind, texts in bed.wrong.items()}
    return bed


def test_a_claimed_mistake_stops_a_drawn_snapshot_and_one_that_nobody_claims_does_not():
    bed = small()
    clean = planted._judge(bed, [row["completion"] for row in bed.rows])
    kept = list(range(len(bed.rows)))
    assert planted._verdict(bed, planted._clean(bed, clean, kept, 0)) == "PASS"
    for kind, stopped in (("dose said by nobody", True), ("course of a complaint", False)):
        wrong = dict(enumerate(planted._judge(bed, bed.wrong[kind])))
        for seed in range(5):
            assert planted._stopped(bed, clean, wrong, kept, 0.02, True, seed) is stopped, kind


def test_the_cards_name_every_kind_that_is_planted():
    beds = (
        planted.notes_by_hand(),
        planted.notes_of_strangers(),
        planted.support_answers(),
        planted.agreements(),
    )
    for bed in (small(), *beds, planted.programs()):
        claims = evals.claims(bed.pack.suites[0].metric)
        kinds = {kind.split(", ")[0] for kind in bed.wrong}
        assert kinds <= {*claims.sees, *claims.misses}, bed.name
        assert not set(claims.sees) & set(claims.misses)
        if bed.name != "visit notes from phrases":
            assert kinds >= set(claims.sees), "a claim that nobody measures"


def test_a_value_said_of_something_else_is_told_from_one_that_nobody_said():
    talk = "You take ten of lisinopril. Your left knee, since Monday? Two paracetamol tablets. My sister has Truvadax."
    for old, new, what, there in (
        ("lisinopril 10 mg", "lisinopril 2 mg", "dose", True),
        ("lisinopril 10 mg", "lisinopril 40 mg", "dose", False),
        ("since Monday", "since Friday", "date", False),
        ("L knee", "R knee", "side", False),
        ("Lisinopril daily", "Paracetamol daily", "medication", True),
        ("Lisinopril daily", "Metformin daily", "medication", False),
        ("Lisinopril daily", "Truvadax daily", "medication", True),
        ("Lisinopril daily", "Tobradexal daily", "medication", False),
        ("BP 120 (was 110)", "BP 110 (was 120)", "number", True),  # nothing new: swapped
    ):
        assert said(talk, old, new, what) is there, (new, what)


def test_a_snapshot_that_is_stopped_anyway_counts_as_no_catch():
    bed = small()
    wrong = dict(enumerate(planted._judge(bed, bed.wrong["dose said by nobody"])))
    dirty = list(wrong.values())
    assert not planted._stopped(bed, dirty, wrong, list(range(len(dirty))), 0.25, True, 0)


def test_wrong_texts_differ_from_the_right_ones():
    for bed in (small(), planted.notes_by_hand(), planted.support_answers(), planted.agreements()):
        for kind, texts in bed.wrong.items():
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


def test_the_planted_batch_is_one_of_many_of_its_size():
    ids = [f"p{number:03}" for number in range(431)]
    planted_ids = ids[::20]
    batches = planted_training.in_batches(ids, planted_ids, 1)
    assert batches[0] == planted_ids and sorted(pair for batch in batches for pair in batch) == ids
    assert len(batches) == 20 and {len(batch) for batch in batches} <= {21, 22}
    assert batches != planted_training.in_batches(ids, planted_ids, 2)


def test_what_the_planted_labels_broke_is_told_from_the_luck_of_training():
    def outcome(broken, places):
        blamed = {"batches": 20, "pairs": 431, "planted": 22}
        for how, changed in (("nothing", 0), ("what changed", 220)):
            blamed[how] = {
                "changed": changed,
                "first": True,
                "examples": dict(zip(broken, places, strict=True)),
            }
        return {"seed": 0, "broken": broken, "blame": blamed}

    def rows(one, clean):
        return list(planted_training._blamed(planted_training.HELPFUL, 0.05, [one], {0: clean}))

    one = outcome(["a", "b", "c", "d", "e"], [[1, 2], [3, None], [None, None], [1, 1], [None, 1]])
    first, batch, pair, *rest = rows(
        one, {"broken": ["z"], "low": ["c", "z"]}
    )  # c is low without them as well
    assert first["ours"] == 0.5 and "by chance 0.050" in first["spread"] and first["goal"] == "as measured"
    assert batch["ours"] == 0.75 and "3 of 4" in batch["spread"] and "by chance 0.250" in batch["spread"]
    assert batch["goal"] == ">= 0.8" and batch["met"] is False
    assert pair["ours"] == 0.75 and "by chance 0.23" in pair["spread"] and pair["goal"] == "as measured"
    assert len(rest) == 3 and "by chance 0.500" in rest[1]["spread"]
    # of ten batches, five drawn blindly hold the planted one in every other case: there it has to be the first
    one["blame"]["batches"] = 10
    first, batch, *_ = rows(one, {"broken": ["z"], "low": []})
    assert first["goal"] == ">= 0.8" and batch["goal"] == "as measured"
    # where a clean retrain breaks as many, no answer can be laid at the planted batch's door
    found = rows(one, {"broken": ["v", "w", "x", "y"], "low": []})
    assert {row["met"] for row in found} == {None} and "5 broke, in clean retrains 4" in found[0]["spread"]
    assert list(planted_training._blamed(planted_training.HELPFUL, 0.05, [one], {})) == []

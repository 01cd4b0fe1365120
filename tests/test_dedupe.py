"""The near-duplicate engine: what it finds, what it must not merge, and that nothing but content decides."""

from __future__ import annotations

import random
import subprocess
import sys
import unicodedata
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.dedupe import (
    DedupeError,
    DuplicateIndex,
    align,
    classify,
    find_duplicates,
    find_overlap,
    similarity,
    word_spans,
)
from curate.dedupe.fold import WILDCARD, words
from curate.dedupe.prepare import tokenise
from curate.dedupe.settings import DedupeSettings

ROOT = Path(__file__).resolve().parent.parent
VOCABULARY = [
    a + b + c for a in ("ka", "lo", "mi", "ter", "sun") for b in ("ba", "den", "ri", "vo") for c in "aeiostr"
]


def essay(seed: int, n: int) -> list[str]:
    rng = random.Random(seed)
    return [rng.choice(VOCABULARY) + str(rng.randrange(9)) * (rng.random() < 0.6) for _ in range(n)]


def clusters(labels: pl.Series) -> set[frozenset[int]]:
    groups: dict[int, set[int]] = {}
    for row, label in enumerate(labels):
        groups.setdefault(label, set()).add(row)
    return {frozenset(g) for g in groups.values()}


def same(*texts: str, **options: object) -> bool:
    return find_duplicates(list(texts), **options).labels.n_unique() == 1


# --- what a word is


@given(st.text(max_size=200))
@settings(max_examples=300, deadline=None)
def test_compiled_tokeniser_sees_the_same_words_as_the_alignment(text: str) -> None:
    series = pl.Series([text.encode("utf-8", "replace").decode()], dtype=pl.String)
    tokens = tokenise(series, DedupeSettings(), workers=1)
    expected, spans = words(series[0])
    assert tokens.counts[0] == len(expected)
    assert all(0 <= a < b <= len(text) for a, b in spans)
    one_each = tokenise(pl.Series(expected, dtype=pl.String), DedupeSettings(), workers=1)
    if all(count == 1 for count in one_each.counts):  # a folded word normally folds to itself
        assert tokens.tokens.tolist() == one_each.tokens.tolist()


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Straße in KÖLN", "strasse in köln"),
        (unicodedata.normalize("NFC", "Café Noël"), unicodedata.normalize("NFD", "café noël")),
        ("Ｆｕｌｌ　ｗｉｄｔｈ", "full width"),
        ("What’s “up” – doc?", "whats up doc"),
        ("ΟΔΟΣ", "οδος"),
        ("soft\u00adhyphen zero\u200bwidth", "softhyphen zerowidth"),
        ("नमस्ते दुनिया!", "नमस्ते दुनिया"),
    ],
)
def test_case_width_composition_and_punctuation_never_matter(a: str, b: str) -> None:
    result = find_duplicates([a, b])
    assert result.labels.n_unique() == 1
    assert result.pairs["kind"].to_list() == ["normalised"]


def test_scripts_without_spaces_are_compared_by_character() -> None:
    text = "我们昨天在公司的会议上讨论了新的产品计划并决定下个月开始生产"
    assert same(text, "你好，" + text)
    assert not same(text, "天气预报说明天下雨所以请大家记得带伞并且早点出门避免堵车")


def test_signs_that_change_the_meaning_are_words() -> None:
    assert not same("what is 5 + 3", "what is 5 % 3")
    assert not same("it costs $5", "it costs €5")


# --- short texts


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("How do I boil an egg?", "HOW DO I BOIL AN EGG"),
        ("How do I boil an egg?", "Hey there, how do I boil an egg please?"),
        ("How do I reset my password?", "how do i reset my pasword"),
        ("Can you recommend a good restaurant nearby?", "can you recomend good restaurants nearby"),
        (
            "Could you tell Priya that the quarterly budget meeting moved to the large room on the third floor?",
            "Could you tell Daniel that the quarterly budget meeting moved to the large room on the third floor?",
        ),
        (
            "Explain in two short paragraphs why our monthly power bill doubled although nobody was home in July",
            "Explain in two brief paragraphs why our monthly power bill doubled even though nobody was home in July",
        ),
    ],
)
def test_short_near_duplicates_are_found(a: str, b: str) -> None:
    assert same(a, b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("What is the capital of France?", "What is the capital of Spain?"),
        ("How do I boil an egg?", "How do I fry an egg?"),
        ("How do I boil an egg?", "Why do I boil an egg?"),
        ("How do I open the file?", "How do I not open the file?"),
        ("My card was declined", "Why was my card declined?"),
        ("8756", "Richard 8756"),
        ("Book a table for 2 at 7", "Book a table for 4 at 8"),
        ("What is the weather?", "What is the weather in Paris?"),
        ("yes", "no"),
        ("thanks", "thank you"),
        (
            "Write a polite email to my landlord about the broken heating in the kitchen",
            "Write a polite email to my landlord about noisy neighbours living upstairs",
        ),
    ],
)
def test_short_texts_asking_something_else_stay_apart(a: str, b: str) -> None:
    assert not same(a, b)


def test_masked_names_make_the_same_record() -> None:
    texts = ["Tell Priya Sharma to call", "Tell Bob to call", "Tell Bob to wait"]
    mask = [[(5, 10), (11, 17)], [(5, 8)], None]
    assert not same(*texts[:2])
    assert clusters(find_duplicates(texts, mask=mask).labels) == {frozenset({0, 1}), frozenset({2})}
    result = find_duplicates(texts, mask=mask)
    assert result.pairs["kind"].to_list() == ["normalised"]
    why = result.explain(0)  # the names are shown as they are
    assert (why.kept_row, why.similarity) == (1, 1.0)
    assert [(d.text, d.kept_text) for d in why.differences] == [("Priya Sharma", "Bob")]


# --- long texts


def test_edited_copies_are_found_and_template_siblings_are_not() -> None:
    rng = random.Random(5)
    base = essay(1, 220)
    edited = [w if rng.random() > 0.10 else rng.choice(VOCABULARY) for w in base]
    heavily = [w if rng.random() > 0.20 else rng.choice(VOCABULARY) for w in base]
    moved = base[:60] + base[100:140] + base[60:100] + base[140:]
    sibling = list(base)
    for start in (30, 90, 150):  # 75 % of the text is the same; the substance is not
        sibling[start : start + 18] = essay(start, 18)
    texts = [" ".join(t) for t in (base, edited, heavily, moved, ["good", "morning", "all", *base], sibling)]
    assert clusters(find_duplicates(texts).labels) == {frozenset({0, 1, 2, 3, 4}), frozenset({5})}


def test_another_ending_is_another_document_but_a_signature_is_not() -> None:
    base = essay(2, 150)
    other_end = base[:110] + essay(3, 40)
    signed = base + essay(4, 12)
    assert not same(" ".join(base), " ".join(other_end))
    assert same(" ".join(base), " ".join(signed))
    assert not same(" ".join(base), " ".join(base + essay(4, 120)))


def test_names_swapped_consistently_are_seen_through_without_a_mask() -> None:
    base = essay(6, 160)
    for i in range(0, 160, 23):
        base[i] = "Ramesh"
    assert same(" ".join(base), " ".join("Olga" if w == "Ramesh" else w for w in base))


# --- sizes


def test_ten_thousand_identical_rows_and_a_near_copy() -> None:
    base = " ".join(essay(7, 80))
    texts = [base] * 10_000 + [base.upper(), base + " indeed so", " ".join(essay(8, 80))]
    result = find_duplicates(texts)
    assert result.clusters["size"].to_list() == [10_002]
    assert len(result.pairs) == 10_001  # a star, not fifty million pairs
    assert result.keep.sum() == 2


def test_clusters_beyond_the_cap_hold_together() -> None:
    rng = random.Random(9)
    base = essay(9, 120)
    copies = [
        " ".join(w if rng.random() > 0.05 else rng.choice(VOCABULARY) for w in base) for _ in range(700)
    ]
    others = [" ".join(essay(1000 + i, 120)) for i in range(50)]
    labels = find_duplicates(copies + others).labels
    sizes = labels.value_counts().sort("count", descending=True)["count"].to_list()
    assert sizes[0] >= 695
    assert sizes[1:].count(1) >= 50
    assert labels[:700].n_unique() <= 6 and labels[700:].n_unique() == 50


def test_hundred_kilobyte_texts_and_a_text_that_repeats_itself() -> None:
    big = essay(10, 16_000)
    rng = random.Random(1)
    edited = [w if rng.random() > 0.05 else "changed" for w in big]
    other = essay(11, 16_000)
    refrain = "I will not talk in class today again. " * 2500
    result = find_duplicates([" ".join(big), " ".join(edited), " ".join(other), refrain, refrain + " Done."])
    assert clusters(result.labels) == {frozenset({0, 1}), frozenset({2}), frozenset({3, 4})}


def test_empty_wordless_and_one_word_texts() -> None:
    texts = [
        "",
        "",
        " \n",
        "!!!",
        "???",
        "👍",
        "👍 ",
        "yes",
        "Yes.",
        "no",
        "x" * 100_000,
        "x" * 100_000 + "y",
    ]
    result = find_duplicates(texts)
    assert clusters(result.labels) == {
        frozenset({0, 1, 2}), frozenset({3}), frozenset({4}), frozenset({5, 6}), frozenset({7, 8}),
        frozenset({9}), frozenset({10}), frozenset({11}),
    }  # fmt: skip
    assert len(find_duplicates([])) == 0
    assert find_duplicates([]).pairs.is_empty() and find_duplicates([]).clusters.is_empty()
    assert find_duplicates(pl.Series("t", [], dtype=pl.String)).keep.to_list() == []


# --- nothing but content decides


def mixed_corpus(seed: int, n: int = 160) -> list[str]:
    rng = random.Random(seed)
    texts: list[str] = []
    while len(texts) < n:
        base = essay(rng.randrange(10**6), rng.choice([3, 6, 9, 14, 22, 35, 60, 150]))
        texts.append(" ".join(base))
        for _ in range(rng.randrange(4)):
            rate = rng.choice([0.0, 0.05, 0.1, 0.2])
            texts.append(" ".join(w if rng.random() >= rate else rng.choice(VOCABULARY) for w in base))
    return texts


@given(st.integers(0, 10**6), st.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None)
def test_row_order_never_changes_clusters_or_what_is_kept(seed: int, rng: random.Random) -> None:
    texts = mixed_corpus(seed)
    order = list(range(len(texts)))
    rng.shuffle(order)
    options = {"group_cap": 3}  # the crowded path takes part
    straight = find_duplicates(texts, **options)
    shuffled = find_duplicates([texts[i] for i in order], **options)
    assert {frozenset(order[i] for i in c) for c in clusters(shuffled.labels)} == clusters(straight.labels)
    assert sorted(t for t, k in zip(texts, straight.keep, strict=True) if k) == sorted(
        texts[order[i]] for i, k in enumerate(shuffled.keep) if k
    )


def test_thread_count_never_changes_anything() -> None:
    texts = [t for seed in range(8) for t in mixed_corpus(seed, 1000)]
    one = find_duplicates(texts, workers=1)
    for workers in (2, 3, 8):
        many = find_duplicates(texts, workers=workers)
        assert many.pairs.equals(one.pairs) and many.labels.equals(one.labels) and many.keep.equals(one.keep)


@given(st.lists(st.text(alphabet="ab é.\n漢", max_size=12), max_size=30))
@settings(max_examples=100, deadline=None)
def test_any_texts_give_consistent_results(texts: list[str]) -> None:
    result = find_duplicates(texts)
    assert len(result.labels) == len(result.keep) == len(texts)
    for row, label in enumerate(result.labels):
        assert label <= row and result.labels[label] == label
    assert result.keep.sum() == result.labels.n_unique()
    for left, right, value in result.pairs.select("left", "right", "similarity").iter_rows():
        assert left < right and 0 <= value <= 1 and result.labels[left] == result.labels[right]
    by_words: dict[tuple[str, ...], set[int]] = {}
    for text, label in zip(texts, result.labels, strict=True):
        if words(text)[0]:
            by_words.setdefault(tuple(words(text)[0]), set()).add(label)
    assert all(len(labels) == 1 for labels in by_words.values())


# --- the explaining result


def test_pairs_carry_similarity_and_kind_and_explain_names_the_passage() -> None:
    base = essay(12, 60)
    changed = [*base[:30], "entirely", *base[31:], "postscript"]
    texts = [" ".join(base), " ".join(changed), " ".join(base).upper(), "Unrelated words stand here alone"]
    result = find_duplicates(texts)
    rows = {(p["left"], p["right"]): p for p in result.pairs.iter_rows(named=True)}
    assert rows[(0, 2)]["kind"] == "normalised" and rows[(0, 2)]["similarity"] == 1
    assert rows[(0, 1)]["kind"] == "near"
    assert rows[(0, 1)]["similarity"] == pytest.approx(similarity(texts[0], texts[1]), abs=1e-6)
    assert result.keep.to_list() == [False, True, False, True]  # the longest is kept
    why = result.explain(0)
    assert (why.kept, why.kept_row, why.rows, why.direct) == (False, 1, [0, 1, 2], True)
    assert [(d.op, d.text, d.kept_text) for d in why.differences] == [
        ("replace", base[30], "entirely"),
        ("insert", "", "postscript"),
    ]
    assert all(texts[0][slice(*d.span)] == d.text for d in why.differences)
    assert "row 0 is dropped for row 1" in str(why)
    assert result.explain(1).kept and result.explain(3).rows == [3]
    assert result.settings["max_gap_share"] == 0.10 and set(result.seconds) >= {"tokenise", "join", "verify"}
    with pytest.raises(DedupeError, match="rows go from 0 to 3"):
        result.explain(4)


def test_prefer_decides_what_is_kept() -> None:
    texts = ["reset my password please", "Reset my password", "something else"]
    assert find_duplicates(texts).keep.to_list() == [True, False, True]
    assert find_duplicates(texts, prefer=[0, 5, 0]).keep.to_list() == [False, True, True]
    with pytest.raises(DedupeError, match="prefer"):
        find_duplicates(texts, prefer=[1.0])


def test_rethreshold_equals_a_new_search() -> None:
    texts = mixed_corpus(3, 400)
    result = find_duplicates(texts)
    for options in (
        {"min_similarity": 0.9}, {"short_tolerance": 0.3}, {"short_tolerance": 2.5},
        {"max_gap_share": 0.5, "min_coverage": 0.3, "min_jaccard": 0.05},
    ):  # fmt: skip
        again, fresh = result.rethreshold(**options), find_duplicates(texts, **options)
        assert again.pairs.equals(fresh.pairs) and again.labels.equals(fresh.labels)
        assert again.settings == fresh.settings
    assert result.rethreshold(short_tolerance=2.5).labels.n_unique() < result.labels.n_unique()
    with pytest.raises(DedupeError, match="gap_words cannot change without a new search"):
        result.rethreshold(gap_words=3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: find_duplicates("one text"), "put it in a list"),
        (lambda: find_duplicates(["a", None]), "row 1 is NoneType"),
        (lambda: find_duplicates(pl.Series(["a", None])), "row 1 has no text"),
        (lambda: find_duplicates(pl.Series([1, 2])), "not text"),
        (lambda: find_duplicates(["a"], shingles=4), "unknown dedupe setting shingles"),
        (lambda: find_duplicates(["a"], max_gap_share=3), "max_gap_share is 3"),
        (lambda: find_duplicates(["a"], mask=[]), "0 entries for 1 texts"),
        (lambda: find_duplicates(["abc"], mask=[[(1, 9)]]), "outside its 3 characters"),
        (lambda: classify(["a"], []), "1 prompts and 0 completions"),
    ],
)
def test_bad_input_is_refused_with_a_way_out(call: object, message: str) -> None:
    with pytest.raises(DedupeError, match=message):
        call()  # type: ignore[operator]


def test_broken_surrogates_from_json_do_not_stop_a_run() -> None:
    assert same("half a \ud83d pair of words here", "half a \ud83d pair of words here")


# --- alignment


@given(st.text(alphabet="abc .,é", max_size=60), st.text(alphabet="abc .,é", max_size=60))
@settings(max_examples=200, deadline=None)
def test_alignment_covers_both_texts_in_order_and_rebuilds_one_from_the_other(a: str, b: str) -> None:
    words_a, words_b = words(a)[0], words(b)[0]
    edits = align(a, b)
    rebuilt: list[str] = []
    at_a = at_b = 0
    for op, a_start, a_end, b_start, b_end in edits:
        assert (a_start, b_start) == (at_a, at_b)
        at_a, at_b = a_end, b_end
        if op == "equal":
            assert words_a[a_start:a_end] == words_b[b_start:b_end]
        rebuilt += words_b[b_start:b_end]
    assert (at_a, at_b) == (len(words_a), len(words_b)) and rebuilt == words_b
    assert all(x.op != y.op or x.op == "equal" for x, y in pairwise(edits))


def test_word_spans_point_into_the_original_characters() -> None:
    text = "Straße, don’t  ﬁne  漢字"
    assert [text[a:b] for a, b in word_spans(text)] == ["Straße", "don’t", "ﬁne", "漢", "字"]
    assert words(text)[0] == ["strasse", "dont", "fine", "漢", "字"]
    assert words(chr(WILDCARD) + " " + chr(WILDCARD))[0] == [chr(WILDCARD)]


# --- overlap and conflicts


def test_overlap_lists_every_row_with_a_counterpart_and_only_across_sides() -> None:
    long = " ".join(essay(20, 90))
    near = " ".join(["hello", "team", *essay(20, 90)])
    left = ["yes", "what is the time", long, long, "what is the time", "alone on the left side"]
    right = [near, "YES!", "what is the time", "alone on the right", near]
    found = find_overlap(left, right)
    assert set(found["left"]) == {0, 1, 2, 3, 4} and set(found["right"]) == {0, 1, 2, 4}
    kinds = {(r["left"], r["right"]): r["kind"] for r in found.iter_rows(named=True)}
    assert kinds[(0, 1)] == "normalised" and kinds[(1, 2)] == "identical" and kinds[(2, 0)] == "near"
    assert found.columns[:3] == ["left", "right", "similarity"]
    swapped = find_overlap(right, left)
    assert set(zip(swapped["right"], swapped["left"], strict=True)) == set(kinds)
    assert find_overlap([], right).is_empty() and find_overlap(left, []).is_empty()


def test_overlap_reports_templates_only_on_request() -> None:
    base = essay(21, 200)
    sibling = list(base)
    for start in (40, 120):
        sibling[start : start + 20] = essay(start, 20)
    left, right = [" ".join(base)], [" ".join(sibling)]
    assert find_overlap(left, right).is_empty()
    found = find_overlap(left, right, templates=True)
    assert found["kind"].to_list() == ["template"] and found["coverage"][0] > 0.7


def test_overlap_agrees_with_find_duplicates() -> None:
    left, right = mixed_corpus(30, 150), mixed_corpus(31, 100)
    right += left[::7]
    whole = find_duplicates(left + right).pairs
    n = len(left)
    across = {(a, b - n) for a, b in whole.select("left", "right").iter_rows() if a < n <= b}
    found = set(find_overlap(left, right).select("left", "right").iter_rows())
    assert across and across <= found


def test_same_prompt_with_another_answer_is_a_conflict_not_a_duplicate() -> None:
    prompts = [
        "How do I boil an egg?",
        "how do I boil an egg",
        "How do I boil an egg?!",
        "Can cats swim?",
        "Is it late?",
    ]
    answers = ["With fire.", "with fire", "Ask the hen, she started it.", "Maybe.", "Maybe"]
    groups = classify(prompts, answers)
    seen = {(r["field"], r["class"], tuple(r["rows"])) for r in groups.iter_rows(named=True)}
    assert seen == {
        ("both", "duplicate", (0, 1)), ("prompt", "conflict", (0, 1, 2)), ("completion", "reuse", (3, 4)),
    }  # fmt: skip


# --- the index


def test_index_gives_what_a_full_run_gives() -> None:
    texts = mixed_corpus(40, 300)
    result = find_duplicates(texts)
    index = DuplicateIndex(texts)
    pairs = {
        (a, b) for a, b in result.pairs.filter(pl.col("kind") == "near").select("left", "right").iter_rows()
    }
    hashes = {r: tuple(words(t)[0]) for r, t in enumerate(texts)}
    for row, text in enumerate(texts):
        matches = index.query(text, exclude=row)
        for other in {b if a == row else a for a, b in pairs if row in (a, b)}:
            assert other in {m.id for m in matches}
        for match in matches:
            if match.kind == "normalised":
                assert hashes[match.id] == hashes[row]
            else:
                assert similarity(texts[match.id], text) == pytest.approx(match.similarity, abs=1e-6)
            assert result.labels[match.id] == result.labels[row]


def test_index_follows_additions_edits_and_removals() -> None:
    index = DuplicateIndex()
    assert index.query("anything at all") == [] and len(index) == 0
    texts = {f"r{i}": " ".join(essay(500 + i, 40)) for i in range(70)}
    for name, text in texts.items():
        index.add(name, text)
    for name, text in texts.items():
        assert [m.id for m in index.query(text + " thanks")] == [name]
    index.add("r3", " ".join(essay(9000, 40)))
    assert index.query(texts["r3"]) == []
    assert [m.id for m in index.query(" ".join(essay(9000, 40)))] == ["r3"]
    index.remove("r5")
    assert "r5" not in index and index.query(texts["r5"]) == [] and len(index) == 69
    index.add_many([texts["r5"]], ["back"])
    assert [(m.id, m.kind) for m in index.query(texts["r5"].upper())] == [("back", "normalised")]
    with pytest.raises(DedupeError, match="no text under 'r5'"):
        index.remove("r5")
    with pytest.raises(DedupeError, match="different ids"):
        index.add_many(["a", "b"], ["x", "x"])
    with pytest.raises(DedupeError, match="not text"):
        index.query(None)  # type: ignore[arg-type]


def test_index_answers_threads_while_it_changes() -> None:
    from concurrent.futures import ThreadPoolExecutor

    texts = [" ".join(essay(i, 50)) for i in range(120)]
    index = DuplicateIndex(texts[:60])

    def ask(i: int) -> bool:
        if i % 3 == 0:
            index.add(60 + i // 3, texts[60 + i // 3])
        return [m.id for m in index.query(texts[i % 60])] == [i % 60]

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(180)))
    assert len(index) == 120 and [m.id for m in index.query(texts[119])] == [119]


def test_crowded_shingles_do_not_hide_a_match_from_the_index() -> None:
    shared = essay(77, 30)
    texts = [" ".join(shared + essay(100 + i, 30)) for i in range(400)]
    index = DuplicateIndex(texts)
    assert [m.id for m in index.query("hello all " + texts[123])] == [123]
    assert np.isclose(index.query(texts[7])[0].similarity, 1.0)


def test_after_the_warm_up_nothing_is_left_to_compile():
    """In a process of its own: what other tests compiled must not count."""
    code = """
from curate.dedupe import DuplicateIndex, classify, find_duplicates, find_overlap, kernels, verify, warm_up
from benchmarks import _dedupe_corpus as made

def compiled():
    found = {}
    for module in (kernels, verify):
        for name, value in vars(module).items():
            if hasattr(value, "nopython_signatures"):
                found[name] = [str(s) for s in value.nopython_signatures]
    return found

warm_up()
before = compiled()
crowd = [f"Dear customer your order {n} is on its way and will be there soon, sorry for thing{n}" for n in range(90)]
odd = ["", "?", "\u0928\u092e \u20b95", "x" * 50000]
texts = [*made.corpus(300, 5)["text"], *made.short_corpus(300, 5)["text"], *crowd, *odd]
find_duplicates(texts).rethreshold(min_similarity=0.5)
find_overlap(texts[:200], texts[100:], templates=True)
classify(texts, texts, prompt_mask=[[(0, 3)] if len(t) > 3 else None for t in texts])
index = DuplicateIndex(texts)
index.query(texts[0] + " more"), index.query(""), index.add("n", texts[1])
after = compiled()
print([(n, after[n]) for n in after if after[n] != before[n]])
assert before["crowded_members"] and before["tokenise"] and before["verify"] and after == before
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]

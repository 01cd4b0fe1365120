"""Support answers against a dated policy sheet: what is caught, what is left alone, where the evidence points."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evals
from benchmarks.documents import DATA, generated_answers, read
from evals.metrics.policy_facts import policy_facts as module
from evals.metrics.policy_facts.sheet import in_force, read_sheet

FIRST, SECOND = ((DATA / f"policy_{version}.toml").read_text("utf-8") for version in ("2026_04", "2026_10"))
QUESTION = "My vase arrived broken. Who pays for sending it back?"
GOOD = (
    "So sorry about your vase! Please send us photos within 48 hours in the Help section of the app. "
    "We pay for the pickup of a damaged item. Just reply if you get stuck."
)


@pytest.fixture(scope="module")
def scorer():
    return evals.metric("policy_facts")


def judged(scorer, text, question=QUESTION, policies=(FIRST,), **options):
    result = scorer.compute(predictions=[text], questions=[question], policies=list(policies), **options)
    for hit in result["evidence"][0]:
        assert text[hit["start"] : hit["end"]] == hit["span"]
        assert hit["critical"] == (hit["kind"] in module.CRITICAL)
    return result, {(hit["kind"], hit["span"]) for hit in result["evidence"][0]}


def test_a_good_answer_has_no_hit(scorer):
    result, hits = judged(scorer, GOOD)
    assert hits == set() and result["scores"] == [1.0] and result["answers_with_critical"] == 0


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("48 hours", "5 days", ("wrong_time", "5 days")),
        ("48 hours", "two days", None),
        ("in the Help section of the app", "by fax", ("wrong_channel", "fax")),
        ("We pay", "You pay", ("wrong_payer", "You pay")),
        ("We pay", "For Rs 500 we pay", ("unsupported_promise", "Rs 500")),
        ("We pay", "We give 20% off and pay", ("unsupported_promise", "20%")),
        ("We pay", "We guarantee it, and we pay", ("unsupported_promise", "We guarantee")),
        ("Just reply", "As per policy, just reply", ("voice_forbidden", "As per policy")),
        ("So sorry about your vase!", "Broken vases happen.", ("step_missing", "")),
        ("Just reply if you get stuck.", "Goodbye.", ("step_missing", "")),
    ],
)
def test_planted_errors_are_found_where_they_stand(scorer, old, new, expected):
    assert old in GOOD
    _, hits = judged(scorer, GOOD.replace(old, new))
    assert expected in hits if expected else hits == set(), hits


def test_steps_have_an_order(scorer):
    _, hits = judged(scorer, "Just reply if you get stuck. So sorry about your vase! We pay for the pickup.")
    assert ("step_order", "Just reply") in hits


def test_what_must_be_handed_over(scorer):
    question = "Somebody hacked my account!"
    promise = "Sorry about that! Your money is back soon. Let us know."
    handed = "Sorry about that! I am passing this to a colleague in our security team. Let us know if you see more."
    result, hits = judged(scorer, promise, question)
    assert ("must_hand_over", promise) in hits and result["must_hand_over"] == 1
    assert judged(scorer, handed, question)[1] == set()


def test_versions_of_the_sheet(scorer):
    question, old = (
        "How long can I return a kurta?",
        "Thanks! You can return it within 10 days. Anything else?",
    )
    both = [[FIRST, SECOND]]
    assert judged(scorer, old, question, both, as_of="2026-05-01")[1] == set()
    assert ("stale_fact", "10 days") in judged(scorer, old, question, both, as_of="2026-11-01")[1]
    assert ("stale_fact", "10 days") in judged(scorer, old, question, both)[1]  # the newest counts
    assert ("wrong_time", "10 days") in judged(scorer, old, question, [SECOND])[1]
    with pytest.raises(ValueError, match="in force on 2020-01-01"):
        judged(scorer, old, question, both, as_of="2020-01-01")


def test_customers_own_numbers_are_no_promise(scorer):
    question = "I bought headphones 9 days ago for 2,000 rupees, can I return them?"
    text = "Thanks for asking! Your headphones for 2,000 rupees, bought 9 days ago, are past the 7 days. Anything else?"
    assert judged(scorer, text, question)[1] == set()


@pytest.mark.parametrize(
    ("policies", "message"),
    [
        (None, "policies is missing"),
        (["nowhere.toml"], "no such file"),
        (["not toml ="], "neither TOML nor JSON"),
        (["name = 'x'"], "version"),
        ([FIRST.replace('unit = "days"', 'unit = "fortnights"')], "facts"),
        ([FIRST.replace('"returns.pickup_fee"]', '"nothing"]')], "unknown ids in over"),
        ([FIRST, SECOND, FIRST], "3 entries for 1 answers"),
    ],
)
def test_bad_sheets_are_refused_with_a_reason(scorer, policies, message):
    with pytest.raises(ValueError, match=message):
        scorer.compute(predictions=[GOOD], questions=[QUESTION], policies=policies)


def test_a_sheet_is_read_from_a_path_a_dict_and_json(tmp_path: Path):
    (tmp_path / "policy.toml").write_text(FIRST, "utf-8")
    sheet = read_sheet("policy.toml", tmp_path)
    assert read_sheet(sheet.model_dump()) == sheet == read_sheet(sheet.model_dump_json())
    assert in_force([sheet], None) is sheet


def test_hand_written_answers_are_clean(scorer):
    days = {"2026_04": "2026-05-01", "2026_10": "2026-11-01"}
    for version, day in days.items():
        items = [
            i
            for i in [*read("answers.txt", "question"), *generated_answers(18)]
            if i.marks["sheet"] == version
        ]
        result = scorer.compute(
            predictions=[item.text for item in items],
            questions=[item.question for item in items],
            policies=[[FIRST, SECOND]],
            as_of=day,
        )
        assert result["answers_with_critical"] == 0, result["evidence"]


@pytest.mark.parametrize(("text", "low", "high"), [("The cat sat on the mat.", 100, 125), ("", 0, 0)])
def test_reading_ease(text, low, high):
    assert low <= module.reading_ease(text) <= high


@pytest.mark.parametrize("text", ["", " ", "\x00", "a " * 11_000, "(" * 5000, "5 days " * 150, "Rs " * 5000])
def test_odd_outputs_are_scored_and_not_fatal(scorer, text):
    result, _ = judged(scorer, text)
    assert 0.0 <= result["scores"][0] < 1.0


def test_an_empty_answer_scores_nothing(scorer):
    result, hits = judged(scorer, "")
    assert result["scores"] == [0.0] and ("empty", "") in hits


def test_batch_equals_singles_and_counts_add_up(scorer):
    texts = [GOOD, GOOD.replace("We pay", "You pay"), ""]
    together = scorer.compute(predictions=texts, questions=[QUESTION] * 3, policies=[FIRST])
    alone = [scorer.compute(predictions=[t], questions=[QUESTION], policies=[FIRST]) for t in texts]
    assert together["scores"] == [one["scores"][0] for one in alone]
    assert together["evidence"] == [one["evidence"][0] for one in alone]
    kinds = [hit["kind"] for hits in together["evidence"] for hit in hits]
    assert {name: together[name] for name in module.COUNTERS} == {
        name: kinds.count(name) for name in module.COUNTERS
    }


def test_an_answer_owes_the_facts_that_are_named(scorer):
    asked = "When do I get my refund by UPI?"
    told = "Thanks for asking! You get it within 5 business days. Anything else?"
    silent = "Thanks for asking about your refund! We are on it. Anything else?"
    away = "Thanks for asking! I am passing this to a colleague, who will reply. Anything else?"
    result = scorer.compute(
        predictions=[told, silent, away], questions=[asked] * 3, expects=["refund.bank"] * 3, policies=[FIRST]
    )
    assert [item["relevance"] for item in result["subscores"]] == [1.0, 0.0, 0.0]
    assert [item["joint"] for item in result["subscores"]] == [1.0, 0.0, 0.0] and result["not_told"] == 2
    half = scorer.compute(
        predictions=[told], questions=[asked], expects=["refund.bank refund.wallet"], policies=[FIRST]
    )
    assert half["relevance"] == 0.5
    with pytest.raises(ValueError, match="neither 'hand_over' nor a fact"):
        scorer.compute(predictions=[told], questions=[asked], expects=["refund.moon"], policies=[FIRST])


def test_a_question_for_a_person_without_a_cue_is_named_by_expects(scorer):
    asked = "Is the red mug nicer than the blue one?"
    guess = "Thanks for asking! Your red mug is nicer. Anything else?"
    passed = "Thanks for asking! I am passing your question to a colleague, who will reply. Anything else?"
    result = scorer.compute(
        predictions=[guess, passed], questions=[asked] * 2, expects=["hand_over"] * 2, policies=[FIRST]
    )
    assert [item["joint"] for item in result["subscores"]] == [0.0, 1.0] and result["must_hand_over"] == 1


def test_an_answer_that_does_not_hear_the_question_is_off_topic(scorer):
    deaf = "Thanks for asking! You earn Leaf points worth 2% of every order. Anything else?"
    result = scorer.compute(predictions=[deaf], questions=["Can I cancel?"], policies=[FIRST])
    assert result["off_topic"] == 1 and result["joint"] == 0.0 and result["promises"] == 1.0


def test_what_the_customer_said_before_belongs_to_the_question(scorer):
    text = "Thanks! It takes 7 days. Anything else?"
    before = (
        '[{"role": "user", "content": "returning headphones"}, {"role": "assistant", "content": "Sure!"}]'
    )
    bare = scorer.compute(predictions=[text], questions=["how many days"], policies=[FIRST])
    known = scorer.compute(
        predictions=[text], questions=["how many days"], histories=[before], policies=[FIRST]
    )
    assert bare["wrong_time"] + bare["unsupported_promise"] == 1
    assert known["wrong_time"] + known["unsupported_promise"] == 0


@pytest.mark.parametrize(
    "clean",
    [
        "We pay for the pickup, so you pay nothing.",
        "There is no pickup fee.",
        "I cannot promise a day.",
        "Look at the sum before you pay.",
    ],
)
def test_what_is_no_promise_or_a_true_one_in_other_words(scorer, clean):
    _, hits = judged(scorer, GOOD.replace("We pay for the pickup of a damaged item.", clean))
    assert hits == set()


def test_a_sentence_may_tell_more_than_was_asked(scorer):
    more = "Thanks for asking! Express costs you Rs 129, and cash on delivery Rs 35. Anything else?"
    asked = "What is the price of express?"
    assert judged(scorer, more, asked)[1] == set()
    assert ("wrong_fee", "Rs 99") in judged(scorer, more.replace("Rs 35", "Rs 99"), asked)[1]
    assert ("wrong_fee", "Rs 79") in judged(scorer, more.replace("Rs 129", "Rs 79"), asked)[1]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200), st.text(max_size=80))
def test_any_text_gives_a_score_and_true_spans(text, question):
    item = module._judge(text, question, [read_sheet(FIRST)], None)
    assert 0.0 <= item["score"] <= 1.0
    assert all(text[hit["start"] : hit["end"]] == hit["span"] for hit in item["evidence"])

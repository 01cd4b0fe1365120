"""The commonplace scorers agree with the packages and definitions they stand for."""

import pytest
from rouge_score import rouge_scorer

import evals

PREDICTIONS = ["the cat sat on the mat", "", "rain follows the train"]
REFERENCES = ["a cat sat on a mat", "something", "rain follows the train"]


def test_rouge_is_what_the_package_says():
    result = evals.metric("rouge").compute(predictions=PREDICTIONS, references=REFERENCES)
    oracle = rouge_scorer.RougeScorer(["rouge1", "rougeL"])
    for number, (prediction, reference) in enumerate(zip(PREDICTIONS, REFERENCES, strict=True)):
        expected = oracle.score(reference, prediction)
        assert result["scores"][number] == pytest.approx(expected["rougeL"].fmeasure)
        assert result["subscores"][number]["rouge1"] == pytest.approx(expected["rouge1"].fmeasure)
    assert result["scores"][1:] == [0.0, 1.0] and result["evidence"] == [[], [], []]
    assert result["score"] == pytest.approx(sum(result["scores"]) / 3)


def test_rouge_stems_only_when_asked():
    scorer = evals.metric("rouge")
    plain = scorer.compute(predictions=["walking dogs"], references=["walked dog"])
    stemmed = scorer.compute(predictions=["walking dogs"], references=["walked dog"], use_stemmer=True)
    assert plain["score"] == 0.0 and stemmed["score"] == 1.0


def test_rouge_hardly_moves_for_a_wrong_dose():
    """Why it may not gate alone: the error that matters costs almost nothing."""
    note = "The patient takes lisinopril 20 mg daily for high blood pressure and walks every morning. " * 5
    result = evals.metric("rouge").compute(predictions=[note.replace("20", "200", 1)], references=[note])
    assert result["score"] > 0.98


@pytest.mark.parametrize(
    ("prediction", "reference", "options", "expected"),
    [
        ("Yes", "Yes", {}, 1.0),
        ("  Yes\n ", "Yes", {}, 1.0),
        ("yes", "Yes", {}, 0.0),
        ("yes", "Yes", {"ignore_case": True}, 1.0),
        ("Yes.", "Yes", {}, 0.0),
        ("Yes.", "Yes", {"ignore_punctuation": True}, 1.0),
        ("cafe\u0301", "caf\u00e9", {}, 1.0),
        ("", "Yes", {}, 0.0),
    ],
)
def test_exact_match(prediction, reference, options, expected):
    result = evals.metric("exact_match").compute(predictions=[prediction], references=[reference], **options)
    assert result["scores"] == [expected] == [result["score"]]

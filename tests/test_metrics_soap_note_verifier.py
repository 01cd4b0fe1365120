"""The learned judge of a note's claims: its asset is the one its card tells of, and what its parts give."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

import evals
from evals.metrics.soap_note import verifier
from evals.metrics.soap_note.alignment import NAMES, PLACE_NAMES, Reader, features
from evals.metrics.soap_note.candidates import Talk, find_candidates
from evals.metrics.soap_note.encoding import encode
from evals.metrics.soap_note.source import Source

TALK = """Doctor: Which knee is it?
Patient: The left one, since Tuesday. I took ibuprofen, four hundred, twice a day.
Doctor: Any fever?
Patient: No, none. I'm allergic to penicillin.
Doctor: The right ankle is fine. Pulse is eighty-two. Come back on Friday.
"""
NOTE = "S: L knee pain since Tuesday, ibuprofen 400 mg BID. No fever. Allergy: penicillin.\nO: HR 82.\nP: Friday."


def test_the_asset_is_the_one_of_its_card():
    _, card = verifier.load()
    found = hashlib.sha256((verifier.ASSET / "forests.safetensors").read_bytes()).hexdigest()
    assert found == card["forests_sha256"]
    assert (verifier.ASSET / "forests.safetensors").stat().st_size < 1_000_000
    strict, usual = card["author_held_out"]["strict"], card["author_held_out"]["usual"]
    assert 0 < strict["caught"] < usual["caught"] and strict["flagged"] <= 0.15
    assert usual["caught"] >= card["author_held_out"]["rules alone"]["caught"]
    assert len(strict["by_author"]) == 6 and len(strict["caught_by_kind"]) == 7
    assert "soap_notes_dev_3.jsonl" in card["data"] and not any("sealed" in name for name in card["data"])


def test_a_forest_walks_to_its_leaves():
    forest = verifier.Forest(
        feature=np.array([1, -1, -1]),
        threshold=np.array([0.5, 0, 0]),
        left=np.array([1, 0, 0]),
        right=np.array([2, 0, 0]),
        value=np.array([0, -2.0, 3.0]),
        roots=np.array([0]),
        base=0.0,
    )
    assert forest.chance(np.array([[9, 0.5], [9, 0.6]])) == pytest.approx(
        [1 / (1 + np.e**2), 1 / (1 + np.e**-3)]
    )


def test_candidates_know_where_the_talk_has_their_value_and_others():
    talk = Talk(Source(TALK))
    found = {(c.kind, NOTE[c.start : c.end]): c for c in find_candidates(NOTE, talk)}
    side = found["side", "L"]
    assert [TALK[a : a + 4] for a in side.same] == ["left"] and [TALK[a : a + 5] for a in side.other] == [
        "right"
    ]
    assert {kind for kind, _ in found} == {
        "side",
        "date",
        "dose",
        "often",
        "medication",
        "allergy",
        "number",
        "finding",
    }
    day = found["date", "Friday"]
    assert len(day.same) == 1 and len(day.other) == 1


def test_every_candidate_has_a_row_and_its_places():
    reader = Reader(Talk(Source(TALK)), encode([TALK])[0])
    candidates = find_candidates(NOTE, reader.talk)
    weighing = features(NOTE, encode([NOTE])[0], candidates, reader, [])
    assert weighing.rows.shape == (len(candidates), len(NAMES)) and np.isfinite(weighing.rows).all()
    assert (
        weighing.places.shape == (len(weighing.owner), len(PLACE_NAMES))
        and np.isfinite(weighing.places).all()
    )
    assert set(weighing.owner) <= set(range(len(candidates)))
    assert len(features("", encode([""])[0], [], reader, []).rows) == 0


def test_a_hidden_value_leaves_no_trace_in_the_words_around_it():
    left, right = encode(["pain in the left knee", "pain in the right knee"])
    assert np.array_equal(left.vectors[-1], right.vectors[-1])


def test_places_with_the_value_are_weighed_against_the_others():
    found = verifier.placement(np.array([0.8, 0.2]), np.array([0, 0]), np.array([True, False]), 2)
    assert found[0, 0] == 0.8 and found[0, 1] == 0.2 and found[0, 2] > 0 and not found[1, 3:].any()


def test_certainty_leaves_out_what_the_judge_doubts_and_zero_asks_it_nothing():
    scorer = evals.metric("soap_note")
    wrong = NOTE.replace("400 mg", "800 mg").replace("HR 82", "HR 28")

    def hits(certainty):
        result = scorer.compute(predictions=[wrong], transcripts=[TALK], certainty=certainty)
        return {(hit["kind"], hit["span"]) for hit in result["evidence"][0] if "section" not in hit["kind"]}

    assert hits(0.0) >= {("wrong_dose", "800"), ("unsupported_number", "28")}
    assert hits(1.0) == set()
    assert len(hits(0.4)) >= len(hits(0.8))


def test_no_torch_before_the_first_note():
    code = "import sys, evals, evals.metrics.soap_note.encoding; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

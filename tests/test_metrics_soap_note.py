"""Visit notes: what the scorer sees, what it leaves alone, and that its evidence points at the words in question."""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evals

TRANSCRIPT = """[doctor] hi , jane is a 54-year-old female with high blood pressure . what brings you in ?
[patient] my right knee has hurt for three weeks , it started after an hour and a half of tennis .
[doctor] any fever ?
[patient] no .
[doctor] you are taking lisinopril , twenty milligrams once a day ?
[patient] yes , and two advils when it hurts .
[doctor] your blood pressure is one twenty over eighty two and your temperature is ninety eight . six .
[doctor] hemoglobin a1c was six point seven .
[doctor] i am going to start you on meloxicam fifteen milligrams daily , no wait , that is seven point five .
[doctor] come back in a month .
"""
GOOD = """SUBJECTIVE
Jane is a 54-year-old female with right knee pain for 3 weeks after 1.5 hours of tennis.
She takes lisinopril 20 mg daily and ibuprofen.

OBJECTIVE
Blood pressure 120/82, temperature 98.6. Hemoglobin A1c 6.7.

ASSESSMENT
Right knee strain.

PLAN
Start meloxicam 7.5 mg daily. Return in 1 month.
"""


@pytest.fixture(scope="module")
def scorer():
    return evals.metric("soap_note")


def judged(scorer, note, transcript=TRANSCRIPT, **columns):
    result = scorer.compute(predictions=[note], transcripts=[transcript], **columns)
    hits = result["evidence"][0]
    for hit in hits:
        assert note[hit["start"] : hit["end"]] == hit["span"]
    return result, {(hit["kind"], hit["span"]) for hit in hits}


def test_a_good_note_has_no_hit(scorer):
    result, hits = judged(scorer, GOOD, references=[GOOD])
    assert hits == set() and result["scores"] == [1.0] and result["notes_with_critical"] == 0
    assert result["subscores"][0]["completeness"] == 1.0


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("lisinopril 20 mg", "lisinopril 200 mg", ("wrong_dose", "200")),
        ("lisinopril 20 mg", "lisinopril 20 mcg", ("wrong_dose", "20")),
        ("meloxicam 7.5", "meloxicam 75", ("wrong_dose", "75")),
        ("Start meloxicam", "Start warfarin", ("unsupported_medication", "warfarin")),
        ("and ibuprofen", "and Zocor", ("unsupported_medication", "Zocor")),
        ("right knee pain", "left knee pain", ("wrong_laterality", "left knee")),
        ("3 weeks", "3 months", ("unsupported_number", "3")),
        ("98.6", "99.6", ("unsupported_number", "99.6")),
        ("120/82", "140/82", ("unsupported_number", "140")),
        ("A1c 6.7", "A1c 7.6", ("unsupported_number", "7.6")),
        ("54-year-old", "45-year-old", ("unsupported_number", "45")),
        ("in 1 month", "in 6 months", ("unsupported_number", "6")),
    ],
)
def test_planted_errors_are_found_where_they_stand(scorer, old, new, expected):
    assert old in GOOD
    result, hits = judged(scorer, GOOD.replace(old, new))
    assert expected in hits, hits
    assert result["scores"][0] < 1.0
    critical = {hit["kind"] for hit in result["evidence"][0] if hit["critical"]}
    assert critical == {kind for kind, _ in hits if kind not in ("unsupported_number",)}


def test_support_is_the_turn_that_says_it(scorer):
    result, _ = judged(scorer, GOOD.replace("lisinopril 20 mg", "lisinopril 200 mg"))
    assert "lisinopril , twenty milligrams" in result["evidence"][0][0]["support"]


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("take it twice a day", "2 times a day"),
        ("it is one oh five", "105"),
        ("two hundred and fifty milligrams", "250 mg"),
        ("since nineteen eighty five", "since 1985"),
        ("half a tablet", "0.5 tablet"),
        ("one thousand milligrams", "1 g"),
        ("two weeks", "14 days"),
        ("a couple of weeks", "2 weeks"),
        ("march fourth", "3/4"),
        ("a pack and a half a day", "1.5 packs"),
        ("1,200 calories", "1200 calories"),
        ("eighty percent", "80%"),
        ("covid nineteen test", "COVID-19 test"),
        ("nothing at all", "vitamin B12 and T4, L5-S1"),
    ],
)
def test_spoken_and_written_forms_mean_the_same(scorer, said, written):
    _, hits = judged(scorer, f"Plan: {written}", transcript=f"[doctor] {said} okay .")
    assert {hit for hit in hits if hit[0] == "unsupported_number"} == set()


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("tylenol", "acetaminophen"),
        ("take hydro chlorothiazide", "HCTZ"),
        ("metforman", "metformin"),
        ("lantus", "insulin"),
    ],
)
def test_names_of_one_medication_support_each_other(scorer, said, written):
    _, hits = judged(scorer, f"Plan: continue {written}.", transcript=f"[doctor] {said} okay .")
    assert {kind for kind, _ in hits} <= {"missing_section"}


@pytest.mark.parametrize(
    "note",
    [
        "CHIEF COMPLAINT\n\nKnee.\n\nPHYSICAL EXAM\n\nTender.\n\nRESULTS\n\nNone.\n\nASSESSMENT AND PLAN\n\nRest.",
        "Possible clinical note:  HISTORY OF PRESENT ILLNESS:  Ill.  PHYSICAL EXAM: Tender. ASSESSMENT AND PLAN: Rest.",
        "Sure, here it is!\n\n**Subjective:** pain\n**Objective:** tender\n**Assessment:** strain\n**Plan:** rest",
        "## S:\npain\n## O:\ntender\n## A:\nstrain\n## P:\nrest",
        "<\nHISTORY OF PRESENT ILLNESS\n> pain <\nPHYSICAL EXAM\n> tender <\nASSESSMENT AND PLAN\n> rest",
        "HPI: pain. O/E: tender. Imp: strain. Plan: rest.",
        "1. Subjective: pain\n2. Objective: tender\n3. Assessment: strain\n4. Plan: rest",
    ],
)
def test_headings_are_found_however_they_are_written(scorer, note):
    result, hits = judged(scorer, note, transcript="[doctor] okay .")
    assert result["subscores"][0]["structure"] == 1.0, hits


@pytest.mark.parametrize(
    "note",
    [
        "The exam went well and the plan is rest. Results were fine.",
        "a plan\nan exam result",
        "P waves: normal",
    ],
)
def test_ordinary_words_are_no_headings(scorer, note):
    result, _ = judged(scorer, note)
    assert result["subscores"][0]["structure"] == 0.0


def test_missing_empty_and_misplaced_sections(scorer):
    result, hits = judged(scorer, "SUBJECTIVE\npain\nASSESSMENT\n\nPLAN\nrest")
    kinds = {(hit["kind"], hit["support"]) for hit in result["evidence"][0]}
    assert ("missing_section", "objective") in kinds and ("empty_section", "assessment") in kinds
    assert 0 < result["subscores"][0]["structure"] < 0.6
    moved = "PLAN\nrest\nSUBJECTIVE\npain\nOBJECTIVE\ntender\nASSESSMENT\nstrain"
    result, hits = judged(scorer, moved)
    assert "section_order" in {kind for kind, _ in hits}
    assert 0.7 <= result["subscores"][0]["structure"] < 1.0
    short, _ = judged(scorer, "SUBJECTIVE\npain\nPLAN\nrest", required=["subjective", "plan"])
    assert short["subscores"][0]["structure"] == 1.0
    with pytest.raises(ValueError, match="required knows"):
        judged(scorer, "x", required=["prose"])


def test_metadata_counts_as_support(scorer):
    note = "Subjective: 54-year-old."
    _, hits = judged(scorer, note, transcript="[doctor] hi")
    assert ("unsupported_number", "54") in hits
    _, hits = judged(scorer, note, transcript="[doctor] hi", metadata=['{"age": 54}'])
    assert ("unsupported_number", "54") not in hits


def test_completeness_counts_what_the_reference_rightly_has(scorer):
    reference = GOOD.replace("54-year-old", "77-year-old")  # an age nobody said is not asked of the note
    thin = (
        "SUBJECTIVE\nKnee pain for 3 weeks.\nOBJECTIVE\nTender.\nASSESSMENT\nStrain.\nPLAN\nMeloxicam 7.5 mg."
    )
    result, _ = judged(scorer, thin, references=[reference])
    assert result["subscores"][0]["completeness"] == pytest.approx(3 / 10, abs=0.1)


@pytest.mark.parametrize(
    "note", ["", " \n", "\x00\x01", "```\n```", "1." * 500, "PLAN:" * 200, "٣ ملغ", "mg " * 2000]
)
def test_odd_outputs_are_scored_and_not_fatal(scorer, note):
    result, _ = judged(scorer, note, references=[GOOD])
    assert 0.0 <= result["scores"][0] <= 1.0


def test_an_empty_note_scores_nothing(scorer):
    result, _ = judged(scorer, "", references=[GOOD])
    assert result["scores"] == [0.0]


def test_without_a_transcript_only_structure_is_judged(scorer):
    result = scorer.compute(predictions=[GOOD, "nothing"])
    assert result["scores"] == [1.0, 0.0] and result["subscores"][0]["grounding"] is None


def test_batch_equals_singles_and_counts_add_up(scorer):
    notes = [GOOD, GOOD.replace("lisinopril 20", "lisinopril 10"), "nothing"]
    together = scorer.compute(predictions=notes, transcripts=[TRANSCRIPT] * 3)
    alone = [scorer.compute(predictions=[note], transcripts=[TRANSCRIPT]) for note in notes]
    assert together["scores"] == [one["scores"][0] for one in alone]
    assert together["evidence"] == [one["evidence"][0] for one in alone]
    assert together["wrong_dose"] == 1 == together["notes_with_critical"]
    module = sys.modules[type(scorer).__module__]
    kinds = {hit["kind"] for hits in together["evidence"] for hit in hits}
    assert kinds <= set(module.COUNTERS) and set(module.COUNTERS) <= set(together)


@settings(max_examples=25, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300), st.text(max_size=200))
def test_any_text_gives_a_score_and_true_spans(note, transcript):
    from evals.metrics.soap_note.soap_note import PARTS, _judge

    item = _judge(note, transcript, GOOD, "", PARTS)
    assert 0.0 <= item["score"] <= 1.0
    assert all(note[hit["start"] : hit["end"]] == hit["span"] for hit in item["evidence"])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 999))
def test_every_number_below_a_thousand_is_heard(number):
    from evals.metrics.soap_note.claims import Source

    small = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen".split()
    small += "sixteen seventeen eighteen nineteen".split()
    tens = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()

    def under_hundred(n):
        return small[n] if n < 20 else tens[n // 10] + (f" {small[n % 10]}" if n % 10 else "")

    words = under_hundred(number % 100) if number % 100 or number == 0 else ""
    if number >= 100:
        words = f"{small[number // 100]} hundred" + (f" and {words}" if words else "")
    assert Source(f"about {words} milligrams today").number(float(number), "mg")
    assert not Source(f"about {words} milligrams today").number(float(number + 1000), "mg")


# --- negation, placement, allergies, dates, corrections -----------------------------------------------------

VISIT = """[doctor] any fever or chills ?
[patient] no , but i do have a cough .
[doctor] and are you allergic to anything ?
[patient] penicillin , it gave me hives .
[doctor] when did it begin ?
[patient] on march fourth . the left ear hurts , no wait , the right ear .
[doctor] take cetirizine , twenty milligrams , sorry , ten milligrams . and come back in three weeks .
[doctor] your pulse is eighty eight and your weight is one ninety .
"""
CLEAN = """SUBJECTIVE
Denies fever and chills. Reports a cough since March 4. Right ear pain. Allergic to penicillin.

OBJECTIVE
Pulse 88. Weight 190.

ASSESSMENT
Upper respiratory infection.

PLAN
Cetirizine 10 mg. Return in three weeks.
"""


def test_a_clean_note_with_corrections_has_no_hit(scorer):
    _, hits = judged(scorer, CLEAN, transcript=VISIT)
    assert hits == set()


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("Denies fever", "Reports fever", "flipped_negation"),
        ("Reports a cough", "Denies cough", "flipped_negation"),
        ("Right ear", "Left ear", "wrong_laterality"),
        ("penicillin", "latex", "wrong_allergy"),
        ("Allergic to penicillin", "No known drug allergies", "wrong_allergy"),
        ("March 4", "March 14", "wrong_date"),
        ("Cetirizine 10 mg", "Cetirizine 20 mg", "wrong_dose"),  # taken back by its speaker
        ("in three weeks", "in five weeks", "unsupported_number"),  # a number in words
        ("Pulse 88. Weight 190", "Pulse 190. Weight 88", "wrong_number"),  # both were said, of each other
        ("Cetirizine 10 mg", "Zorvexan 10 mg", "unsupported_medication"),  # in no list
    ],
)
def test_errors_of_fact_are_bound_to_what_they_are_said_of(scorer, old, new, kind):
    assert old in CLEAN
    _, hits = judged(scorer, CLEAN.replace(old, new), transcript=VISIT)
    assert kind in {k for k, _ in hits}, hits


def test_a_negation_is_checked_against_the_reference_where_the_transcript_is_silent(scorer):
    reference = "SUBJECTIVE\nDenies headache.\nPLAN\nRest."
    _, hits = judged(
        scorer, reference.replace("Denies", "Reports"), transcript="[doctor] hi", references=[reference]
    )
    assert ("flipped_negation", "headache") in hits


@pytest.mark.parametrize(
    ("sentence", "present"),
    [
        ("No fever, chills, or cough.", [False, False, False]),
        ("Denies fever but reports cough.", [False, True]),
        ("Fever: none. Cough: present.", [False, True]),
        ("No change in cough.", [True]),
        ("Return if fever develops.", [None]),
        ("Mother had asthma.", [None]),
        ("Fever was absent; cough persists.", [False, True]),
        ("Patient is without nausea.", [False]),
        ("Left knee pain without swelling.", [True, False]),
    ],
)
def test_scope_of_a_negation(sentence, present):
    from evals.metrics.soap_note.findings import in_note

    assert [finding.present for finding in in_note(sentence)] == present


@pytest.mark.parametrize(
    ("talk", "present"),
    [
        ("[doctor] any fever ?\n[patient] nope .", [False]),
        ("[doctor] any fever ?\n[patient] yeah , last night .", [True]),
        ("[doctor] have you had any fever\n[patient] no not really", [False]),
        ("[doctor] fever or cough ?\n[patient] no fever . some cough .", [False, True]),
        ("Dr: Any cough? Pt says little.\nPt: my head hurts", [None, True]),
        ("Doctor: so no fever?\nPatient: right.", [False]),
        ("Dr: Cough?\nPt: Cough nahi hai.", [False]),
        ("Dr: nausea?\nPt: Not bad.", [None]),
    ],
)
def test_answers_decide_questions(talk, present):
    from evals.metrics.soap_note.findings import in_transcript

    decided = [finding.present for finding in in_transcript(talk) if finding.present is not None]
    assert decided == [value for value in present if value is not None]


def test_content_under_the_wrong_heading(scorer):
    note = (
        "SUBJECTIVE\nLungs clear to auscultation bilaterally. Abdomen soft, nontender to palpation.\n"
        "OBJECTIVE\nBP 120/80.\nASSESSMENT\nCold.\nPLAN\nRest."
    )
    result, hits = judged(scorer, note, transcript="[doctor] okay .")
    assert "wrong_section" in {kind for kind, _ in hits} and result["placement"] < 1.0
    right = note.replace("SUBJECTIVE\n", "SUBJECTIVE\nCough.\nOBJECTIVE\n", 1)
    _, hits = judged(scorer, right, transcript="[doctor] okay .")
    assert "wrong_section" not in {kind for kind, _ in hits}


def test_two_notes_in_one_and_a_section_left_out(scorer):
    _, hits = judged(scorer, GOOD + "\n" + GOOD)
    assert "several_notes" in {kind for kind, _ in hits}
    reference = GOOD.replace(
        "ASSESSMENT", "ALLERGIES\nWasp venom, walnuts, hazelnuts, strawberries.\n\nASSESSMENT"
    )
    result, _ = judged(scorer, GOOD, references=[reference])
    assert result["dropped_section"] == 1
    assert 0 < result["rougeL"] < 1 and result["brevity"] == 1.0
    long, _ = judged(scorer, GOOD * 4, references=[GOOD])
    assert long["brevity"] < 0.4


def test_every_kind_of_evidence_is_a_counter_and_dangerous_ones_are_critical():
    from evals.metrics.soap_note.soap_note import COUNTERS, CRITICAL

    assert set(CRITICAL) == {"unsupported_medication", "wrong_dose", "wrong_allergy", "wrong_laterality"}
    assert set(CRITICAL) < set(COUNTERS)


def test_natural_notes_of_the_dev_half_stay_within_the_goal():
    """Errors that people make, in many styles of note; the half that rules may be written against."""
    from benchmarks.scorers import HERE, lines, natural

    result = natural(lines(HERE / "data" / "soap_notes_dev.jsonl"), reference=False)
    caught = sum(good for good, _ in result["errors"].values()) / sum(n for _, n in result["errors"].values())
    flagged, notes = result["flagged"]
    assert caught >= 0.85 and flagged / notes <= 0.15, (result["missed"], result["alarms"])


def test_rouge_l_is_that_of_rouge_score() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    plain = RougeScorer(["rougeL"])
    texts = ["", "pain", "Pain in the knee, since 3 days.", "Knee pain: 3 days; no fever!", "ünïcode  pain 3"]
    metric = evals.metric("soap_note")
    for reference in texts[1:]:
        for note in texts:
            [sub] = metric.compute(predictions=[note], references=[reference])["subscores"]
            assert sub["rougeL"] == pytest.approx(plain.score(reference, note)["rougeL"].fmeasure)


# --- numbers, doses and sides as people say them; each of these was an accusation of a right note ------------------


def _kinds(transcript, note):
    found = evals.metric("soap_note").compute(predictions=[note], transcripts=[transcript])
    return {hit["kind"] for hit in found["evidence"][0]} - {"missing_section"}


@pytest.mark.parametrize(
    ("said", "right", "wrong"),
    [
        ("Temperature thirty-eight nine.", "Temperature 38.9.", "Temperature 39.8."),
        ("If it lasts, call nine one one.", "Call 911.", "Call 912."),
        ("Your visit is at eight thirty.", "Visit at 8:30.", "Visit at 9:30."),
        ("We will do it on the twenty-second.", "On the 22nd.", "On the 23rd."),
        ("Platelets are ninety-two thousand.", "Platelets 92 thousand.", "Platelets 29 thousand."),
        ("Temperature one oh two point eight.", "Temperature 102.8.", "Temperature 108.2."),
        ("Three. Six when I cough.", "Pain 3, 6 on coughing.", "Pain 3, 7 on coughing."),
        ("Age? I'm seventy-one. No. No allergies. Pulse eighty.", "Age 71.", "Age 17."),
        (
            "Take ibuprofen four hundred three times a day.",
            "Ibuprofen 400 mg three times a day.",
            "Ibuprofen 600 mg three times a day.",
        ),
        (
            "Take ibuprofen, six hundred, one hour before.",
            "Ibuprofen 600 mg one hour before.",
            "Ibuprofen 800 mg one hour before.",
        ),
        ("Losartan, a hundred. Simvastatin forty.", "Losartan 100 mg.", "Losartan 40 mg."),
    ],
)
def test_spoken_forms_support_what_was_said_and_nothing_else(said, right, wrong):
    assert _kinds(f"Doctor: {said}", f"Plan: {right}") == set()
    assert _kinds(f"Doctor: {said}", f"Plan: {wrong}") != set()


def test_an_amount_gained_is_no_value_of_the_measure():
    said = "Patient: I've gained nine pounds.\nDoctor: Weight one seventy-one."
    assert _kinds(said, "Subjective: Weight gain of 9 pounds.") == set()
    assert "unsupported_number" in _kinds(said, "Subjective: Weight gain of 8 pounds.")


def test_a_side_that_stands_for_the_part_named_before():
    said = "Doctor: The left eardrum is red and bulging. The right one is pink. The left eardrum worries me."
    assert _kinds(said, "Objective: Left eardrum red. Right eardrum pink.") == set()
    assert "wrong_laterality" in _kinds(
        said.replace(" The right one is pink.", ""), "Objective: Right eardrum red."
    )


def test_a_side_before_its_part_is_no_interjection():
    said = "Doctor: Okay. Right ear's clean. Left ear is packed with wax, left ear is sore, left ear is red."
    assert _kinds(said, "Objective: Right ear clean. Left ear packed with wax.") == set()


def test_condolences_take_nothing_back():
    said = "Patient: My brother was sixty-two.\nDoctor: I'm sorry. Pulse seventy-six."
    assert _kinds(said, "Subjective: Brother was 62.") == set()
    taken = "Doctor: Take lisinopril forty, I'm sorry, twenty milligrams."
    assert "wrong_dose" in _kinds(taken, "Plan: Lisinopril 40 mg.")


def test_an_allergy_that_was_asked_for_and_denied_is_none():
    said = "Doctor: Any allergy, to egg, to injections?\nPatient: No."
    assert _kinds(said, "Subjective: No allergy.") == set()
    assert _kinds(said, "Subjective: No egg allergy.") == set()
    assert "wrong_allergy" in _kinds(
        said.replace("No.", "Egg allergy, my lips swell."), "Subjective: No allergy."
    )


# --- how notes restate what was said: right above, a wrong one beside it ------------------------------------------


@pytest.mark.parametrize(
    ("said", "right", "wrong"),
    [
        ("Bloods in a fortnight.", "U&E in 14 days.", "U&E in 21 days."),
        ("My last one was two thousand and twelve.", "Last one 2012.", "Last one 2002."),
        ("It started yesterday.", "Started 1 day ago.", "Started 4 days ago."),
        ("See him again next week.", "Recheck in one week.", "Recheck in three weeks."),
        ("Take it for a month.", "Take it for 4 weeks.", "Take it for 6 weeks."),
        (
            "Eat nothing for a day or two.",
            "Nothing to eat for 24-48 hours.",
            "Nothing to eat for 24-96 hours.",
        ),
        ("Haemoglobin ten two, it was nine eight.", "Hb 10.2 (9.8).", "Hb 12.0 (9.8)."),
        ("BP one fifty by ninety.", "150/90.", "150/70."),
        ("Weight seventy eight. Feet: pulses there.", "Weight 78 kg.", "Weight 87 kg."),
        (
            "Lying one thirty-two over seventy-four, standing one oh two over sixty.",
            "Drop of 30.",
            "Drop of 40.",
        ),
        ("Pulse sixty-eight. She is eighty-six.", "86-year-old.", "68-year-old."),
        ("We do it on May twelfth.", "Surgery on 5/12.", "Surgery on 5/17."),
        ("Sleep was six hours in August.", "Sleep 6 hours.", "Sleep 8 hours."),
        ("Two puffs every four to six hours.", "2 puffs q4-6h.", "2 puffs q8h."),
        ("She is fourteen months.", "Aged one year and two months.", "Aged one year and six months."),
        (
            "Sertraline fifty now.\nPatient: Yes."
            + " It is fine, thank you, doctor." * 12
            + "\nDoctor: Then seventy-five.",
            "Sertraline 75 mg.",
            "Sertraline 100 mg.",
        ),
    ],
)
def test_amounts_may_be_restated_and_not_changed(said, right, wrong):
    assert _kinds(f"Doctor: {said}", f"Plan: {right}") == set()
    assert _kinds(f"Doctor: {said}", f"Plan: {wrong}") != set()


@pytest.mark.parametrize(
    ("transcript", "right", "wrong"),
    [
        ("Doctor: Any injury? Fever?\nPatient: Neither one.", "No injury or fever.", "Injury and fever."),
        ("Doctor: Any blood in the urine?\nPatient: No.", "(-) hematuria.", "(+) hematuria."),
        ("Doctor: Morning headaches?\nPatient: Most days.", "Headaches.", "No headaches."),
        ("Doctor: Are you depressed?\nPatient: No.", "Denies depression.", "Reports depression."),
        (
            "Doctor: Belly tender in front, flanks not tender.",
            "Abdomen tender, no flank tenderness.",
            "Abdomen not tender.",
        ),
        ("Doctor: No murmur, trace of ankle oedema.", "No murmur, trace oedema.", "Murmur, trace oedema."),
        ("Patient: I have hay fever. No temperature.", "Denies fever.", "Reports fever."),
        ("Doctor: Do you smoke?\nPatient: No.", "Non smoker.", "Smoker."),
    ],
)
def test_denials_keep_their_scope(transcript, right, wrong):
    assert _kinds(transcript, f"Subjective: {right}") == set()
    assert "flipped_negation" in _kinds(transcript, f"Subjective: {wrong}")


def test_when_to_come_back_is_no_finding():
    said = "Doctor: Any chest pain?\nPatient: No.\nDoctor: Chest pain or fainting: call the same day. No alcohol."
    note = (
        "Subjective: Denies chest pain. Two beers a week.\nPlan: ER for chest pain or fainting. No alcohol."
    )
    assert _kinds(said + "\nPatient: I like two beers a week.", note) == set()


@pytest.mark.parametrize(
    ("transcript", "right", "wrong"),
    [
        ("Patient: My left big toe hurts.", "L great toe pain.", "R great toe pain."),
        ("Doctor: Right hand tingles. Left hand is fine.", "Numb right hand.", "Numb left hand."),
        (
            "Doctor: Right drum's bulging and red, left one's pink.",
            "Right TM red and bulging.",
            "Left TM red and bulging.",
        ),
        (
            "Doctor: Oxygen, two litres. The left knee is swollen.",
            "Oxygen 2 L a minute. Left knee swollen.",
            "Rt knee swollen.",
        ),
    ],
)
def test_sides_in_shorthand(transcript, right, wrong):
    assert _kinds(transcript, f"Objective: {right}") == set()
    assert "wrong_laterality" in _kinds(transcript, f"Objective: {wrong}")


def test_brand_names_of_other_countries_and_words_for_a_substance():
    said = "Mum: Calpol brought it down. He takes Glycomet and iron."
    assert _kinds(said, "Subjective: Paracetamol, metformin, ferrous sulfate.") == set()
    assert "unsupported_medication" in _kinds(said, "Subjective: Ofloxacin, metformin.")


def test_natural_notes_of_the_second_dev_file_stay_within_the_goal():
    """Both halves are development data now: the figure on the second half before it was opened stands in the card."""
    from benchmarks.scorers import HERE, lines, natural

    result = natural(lines(HERE / "data" / "soap_notes_dev_2.jsonl"), reference=False)
    caught = sum(good for good, _ in result["errors"].values()) / sum(n for _, n in result["errors"].values())
    flagged, notes = result["flagged"]
    assert caught >= 0.9 and flagged / notes <= 0.1, (result["missed"], result["alarms"])

"""Nine published systems on ACI-Bench test1: our scorers tell real systems apart, for reasons that can be read.

Needs ../shared/data; the project itself never does.
"""

import json
import statistics

import pytest

from curate.tasks import Gate
from evals.arms import Arm
from evals.gate import decide
from evals.report import write_report
from evals.run import EvalRun, run_suite
from tests.aci import SYSTEMS, eval_rows, system_notes
from tests.eval_helpers import pack_folder

pytestmark = pytest.mark.shared


def run_systems(folder, metric: str, systems=SYSTEMS, gold: bool = False, **gate) -> EvalRun:
    """Notes of published systems as file arms, scored by one scorer; ``gold`` adds the reference notes as an arm."""
    rows = eval_rows()
    pack = pack_folder(folder / "pack", rows, metric=metric, **gate)
    suite = pack.suites[0].model_copy(update={"name": "notes", "slices": ["dataset"]})
    pack = pack.model_copy(update={"name": "medical-scribe", "title": "Medical scribe", "suites": [suite]})
    arms = [Arm(name, "file", outputs=system_notes(name)) for name in systems]
    if gold:
        arms.append(Arm("gold", "file", outputs={row.id: row.reference or "" for row in rows}))
    return run_suite(folder / "pack", pack, "notes", arms, folder / "run")


@pytest.fixture(scope="module")
def soap(tmp_path_factory):
    return run_systems(
        tmp_path_factory.mktemp("soap"), "soap_note", gold=True, critical=["unsupported_medication"]
    )


@pytest.fixture(scope="module")
def rouge(tmp_path_factory):
    return run_systems(tmp_path_factory.mktemp("rouge"), "rouge", systems=("gpt4", "biobart_division", "led"))


def pooled(run: EvalRun, arm: str, good: str) -> float:
    """Share of claims of one kind that are supported, over all notes of an arm."""
    values = [row["subscores"][good] for row in run.answers(arm).values()]
    return statistics.fmean(value for value in values if value is not None)


def test_every_note_of_every_system_is_scored(soap):
    assert soap.meta["gaps"] == [] and len(soap.scores) == 40 * (len(SYSTEMS) + 1)


def test_people_write_better_notes_than_every_system(soap):
    means = {arm: statistics.fmean(soap.primary(arm).values()) for arm in soap.arms}
    assert max(means, key=means.get) == "gold" and means["gold"] > 0.9
    assert means["copy_12_turns"] < 0.6 and means["led"] < 0.6 < means["chatgpt"]


def test_made_up_medications_are_seen_where_rouge_sees_none(soap, rouge):
    """The tuned BART with a high ROUGE-1 invents medications; the prompted models hardly do."""
    share = {arm: pooled(soap, arm, "medications_supported") for arm in soap.arms}
    assert share["gold"] > 0.95 and share["chatgpt"] > 0.95 and share["gpt4"] > 0.9
    assert share["biobart_division"] < 0.9 and share["retrieval_umls"] < 0.5
    assert share["chatgpt"] > share["biobart_division"] > share["retrieval_umls"]
    one = {arm: rouge.meta["arms"][arm]["aggregate"]["rouge1"] for arm in rouge.arms}
    assert one["gpt4"] - one["biobart_division"] < 0.04, "ROUGE-1 hardly tells them apart"


def test_rouge_reproduces_the_published_figures(rouge):
    """Published ROUGE-1: GPT-4 51.76 (Yim et al. 2023)."""
    assert rouge.meta["arms"]["gpt4"]["aggregate"]["rouge1"] == pytest.approx(0.5176, abs=0.005)


def test_prompted_gpt4_invents_vitals_and_chatgpt_does_not(soap):
    assert pooled(soap, "chatgpt", "numbers_supported") - pooled(soap, "gpt4", "numbers_supported") > 0.15
    hits = [hit for row in soap.answers("gpt4").values() for hit in row["evidence"]]
    assert sum(hit["kind"] == "unsupported_number" for hit in hits) > 30


def test_structure_separates_prompted_from_tuned_on_whole_notes(soap):
    structure = {arm: pooled(soap, arm, "structure") for arm in soap.arms}
    assert structure["gpt4"] > 0.95 and structure["chatgpt"] > 0.95 and structure["gold"] > 0.95
    assert structure["copy_12_turns"] < 0.1 and structure["led"] < 0.3


def test_evidence_points_into_the_note_and_names_support(soap):
    for arm in ("gpt4", "biobart_division"):
        for row in soap.answers(arm).values():
            assert all(row["text"][hit["start"] : hit["end"]] == hit["span"] for hit in row["evidence"])
    hits = [
        hit for row in soap.answers("biobart_division").values() for hit in row["evidence"] if hit["critical"]
    ]
    assert len(hits) > 10 and any(hit["support"] for hit in hits)


def test_the_report_shows_real_differences(soap, tmp_path):
    paths = write_report(soap, None, tmp_path, candidate="chatgpt")
    body = json.loads(paths["json"].read_text())
    against = {item["arm"]: item for item in body["differences"]}
    for arm in ("led", "copy_12_turns", "retrieval_umls"):
        assert against[arm]["interval"][0] > 0, arm
    assert against["gold"]["interval"][1] < 0.02
    page = paths["html"].read_text()
    assert page.count("<mark") > 20 and len(page) < 2_000_000


def test_the_gate_refuses_a_system_that_invents_medications(soap):
    gate = Gate.model_validate(soap.meta["gate"])
    decision = decide(soap, gate, candidate="biobart_division", baselines=["led"])
    assert decision.checks[-2]["name"] == "better than led" and decision.checks[-2]["verdict"] == "PASS"
    assert decision.verdict == "FAIL" and any(
        "no unsupported_medication" in reason for reason in decision.reasons
    )


def test_forty_notes_cannot_show_a_two_point_change_of_grounding(soap):
    """What the product must say: the set is too small for that margin."""
    from evals.stats import noninferiority

    ids = [row.id for row in soap.rows]
    a, b = (
        [soap.answers(arm)[name]["subscores"]["grounding"] for name in ids] for arm in ("davinci003", "gpt4")
    )
    result = noninferiority(a, b, 0.02)
    assert result.n_needed is not None and result.n_needed > 100 and result.power < 0.8

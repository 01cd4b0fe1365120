"""Every file of the collection of other tools' formats imports, or is refused row by row for the right reason.

Expected numbers were counted by reading the files. Skips visibly without the collection beside the checkout.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from curate.records import Bad, Row, read

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
FORMATS = DATA / "peer-formats"

EXPECTED: dict[str, dict[str, int]] = {
    "alpaca_identity.json": {"row": 91},
    "axolotl_sharegpt_conversation.json": {"row": 1},
    "axolotl_sharegpt_missingturns.json": {"empty_turn": 1},  # its first answer is missing
    "datajuicer_chatml.jsonl": {"row": 4},
    "datajuicer_dedup_demo.jsonl": {"missing_completion": 14},  # {"text"} only
    "datajuicer_human_preference.jsonl": {"row": 20},  # ten prompts, two unranked answers each
    "inspect_samples_mcq.jsonl": {"row": 1},
    "inspect_security_guide.jsonl": {"row": 16},
    "llamafactory_v1_dpo_demo.jsonl": {"row": 10},
    "llamafactory_v1_sft_demo_first40.jsonl": {"row": 40},
    "sharegpt_glaive_toolcall_first60.json": {"row": 28, "tool_calls_unsupported": 32},
    "torchtune_chat_tiny.json": {"row": 1},
    "torchtune_hh_rlhf_tiny.json": {"row": 1},
    "torchtune_instruct_tiny.json": {"row": 2},
}

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not FORMATS.is_dir(), reason=f"no {FORMATS.name} beside the checkout"),
]


def counted(path: Path) -> dict[str, int]:
    return dict(Counter("row" if isinstance(one, Row) else one.reason for one in read(path)))


def only(name: str, number: int = 0) -> Row:
    row = [one for one in read(FORMATS / name) if isinstance(one, Row)][number]
    return row


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_file_is_taken_row_by_row(name: str) -> None:
    assert counted(FORMATS / name) == EXPECTED[name]


def test_no_file_is_forgotten() -> None:
    assert {path.name for path in FORMATS.glob("*.json*")} == set(EXPECTED)


def test_alpaca_keeps_template_markers() -> None:
    row = only("alpaca_identity.json")
    assert row.prompt == "hi"
    assert row.completion.startswith("Hello! I am {{name}}, an AI assistant developed by {{author}}.")


def test_chatml_history_and_system() -> None:
    row = only("datajuicer_chatml.jsonl")
    assert row.system == "You are a helpful assistant"
    assert [turn["role"] for turn in row.history] == ["user", "assistant"]
    assert row.prompt == "那雕塑方面如何呢？"


def test_sharegpt_takes_the_last_exchange() -> None:
    row = only("torchtune_chat_tiny.json")
    assert (row.system, row.prompt, row.completion) == (
        "You are an AI assistant.",
        "That's ridiculous.",
        "I agree.",
    )
    assert len(only("axolotl_sharegpt_conversation.json").history) == 10


def test_unranked_answers_compete() -> None:
    first, second = only("datajuicer_human_preference.jsonl", 0), only("datajuicer_human_preference.jsonl", 1)
    assert first.prompt == second.prompt and first.line == second.line == 1
    assert (first.completion, second.completion) == ("Paris", "Lyon")
    assert (first.metadata["draft"], second.metadata["draft"]) == (1, 2)


def test_ranked_answers_keep_the_rejected_one_apart() -> None:
    row = only("torchtune_hh_rlhf_tiny.json")
    assert (row.completion, row.metadata["rejected"]) == ("Fix the hole.", "Take them off.")
    row = only("llamafactory_v1_dpo_demo.jsonl")
    assert row.system.startswith("You are an AI assistant. You will be given a task.")
    assert row.completion.startswith("Abdulah Hasanagic is the proud owner of AS Company in Gorazde")
    assert row.metadata["rejected"].startswith(" Abdulah Hasanagic is the proud owner of AS Company, a small")


def test_block_content_is_read() -> None:
    row = only("llamafactory_v1_sft_demo_first40.jsonl")
    assert (row.prompt, row.completion[:6]) == ("hi", "Hello!")


def test_multiple_choice_shows_its_choices() -> None:
    row = only("inspect_samples_mcq.jsonl")
    assert row.prompt.startswith("Which is the smallest number?\n\nA) 1\nB) 2\n")
    assert row.completion == "A" and len(row.metadata["choices"]) == 10


def test_offered_tools_stay_in_the_metadata() -> None:
    rows = [one for one in read(FORMATS / "sharegpt_glaive_toolcall_first60.json") if isinstance(one, Row)]
    assert all("tools" in row.metadata for row in rows)


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("aci-bench/train.jsonl", 67),
        ("aci-bench/valid.jsonl", 20),
        ("aci-bench/test1.jsonl", 40),
        ("mts-dialog/train.jsonl", 1048),
        ("mts-dialog/valid.jsonl", 100),
        ("primock57/dev.jsonl", 40),
    ],
)
def test_clinical_sets_read_as_they_are(name: str, rows: int) -> None:
    if not (DATA / name).is_file():
        pytest.skip(f"no {name} beside the checkout")
    found = [one for one in read(DATA / name) if isinstance(one, Row)]
    assert counted(DATA / name) == {"row": rows}
    assert len({row.source for row in found}) == rows  # source_id, one for each visit
    assert found[0].metadata["source"] == name.split("/")[0]


def test_system_outputs_need_a_mapping() -> None:
    path = DATA / "aci-bench" / "system_outputs_test1_gpt4.jsonl"
    if not path.is_file():
        pytest.skip("no aci-bench beside the checkout")
    assert all(isinstance(one, Bad) and one.reason == "unknown_shape" for one in read(path))
    mapped = list(read(path, mapping={"prompt": "Dialogues", "completion": "note"}))
    assert len(mapped) == 40 and all(isinstance(one, Row) for one in mapped)

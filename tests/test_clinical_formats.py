"""ACI-Bench, MTS-Dialog and PriMock57 as they are published: read, paired, refused for the right reason.

Small samples of the tests' own in those shapes, and the real texts (marker ``shared``) put back into them.
Does not cover: what a note is worth (the scorer), audio.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.records import Bad, Row, read
from curate.records.rows import Refused
from curate.records.textgrid import intervals, plain

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def write_csv(path: Path, header: list[str], rows: list[list[Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def textgrid(turns: list[tuple[float, float, str]], name: str = "Doctor", short: bool = False) -> str:
    """A TextGrid of one interval tier in Praat's long or short text form; silence between the turns."""
    spans: list[tuple[float, float, str]] = []
    at = 0.0
    for start, end, words in turns:
        spans += [(at, start, "")] if start > at else []
        spans.append((start, end, words))
        at = end
    quoted = [(a, b, '"' + words.replace('"', '""') + '"') for a, b, words in spans]
    if short:
        body = "\n".join(f"{a}\n{b}\n{words}" for a, b, words in quoted)
        return (
            f'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n{at}\n<exists>\n1\n'
            f'"IntervalTier"\n"{name}"\n0\n{at}\n{len(spans)}\n{body}\n'
        )
    body = "".join(
        f"        intervals [{n}]:\n            xmin = {a} \n            xmax = {b} \n            text = {words} \n"
        for n, (a, b, words) in enumerate(quoted, 1)
    )
    return (
        f'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0 \nxmax = {at} \ntiers? <exists> \n'
        f"size = 1 \nitem []: \n    item [1]:\n        class = \"IntervalTier\" \n        name = \"{name}\" \n"
        f"        xmin = 0 \n        xmax = {at} \n        intervals: size = {len(spans)} \n{body}"
    )  # fmt: skip


def consultation(folder: Path, name: str, **note: Any) -> None:
    (folder / "transcripts").mkdir(parents=True, exist_ok=True)
    (folder / "notes").mkdir(exist_ok=True)
    doctor = [(0.4, 2.0, "Hello, what is the matter?"), (6.0, 8.5, 'Is it the "old" cough?')]
    patient = [(2.5, 5.5, "I cough <UNSURE>at night</UNSURE>, <UNIN/> mostly."), (8.0, 9.0, "Yes.")]
    for who, turns in (("doctor", doctor), ("patient", patient)):
        path = folder / "transcripts" / f"{name}_{who}.TextGrid"
        path.write_text(textgrid(turns, who.title()), "utf-8")
    (folder / "notes" / f"{name}.json").write_text(json.dumps({"note": "PC: cough.", **note}), "utf-8")


# ---------------------------------------------------------------- tables


def test_aci_bench_rows_are_visits(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "train.csv",
        ["dataset", "encounter_id", "dialogue", "note"],
        [
            ["virtassist", "D2N901", "[doctor] hi , jo .\n[patient] my knee .", "CHIEF COMPLAINT\n\nKnee pain."],
            ["aci", "D2N902", "[doctor] and the ear ?", ""],
            ["aci", "D2N901", "[doctor] another visit .", "PLAN\n\nRest."],
        ],
    )  # fmt: skip
    found = list(read(path))
    first = found[0]
    assert isinstance(first, Row)
    assert first.prompt == "[doctor] hi , jo .\n[patient] my knee ."
    assert first.completion == "CHIEF COMPLAINT\n\nKnee pain."
    assert (first.external_id, first.source, first.metadata) == (
        "D2N901",
        "D2N901",
        {"dataset": "virtassist"},
    )
    assert [one.reason for one in found if isinstance(one, Bad)] == ["empty_completion"]


def test_mts_dialog_rows_keep_their_section_and_take_no_id(tmp_path: Path) -> None:
    """The ID starts from 0 in every split, so two splits in one task must not refuse each other's rows."""
    header = ["ID", "section_header", "section_text", "dialogue"]
    train = write_csv(
        tmp_path / "train.csv",
        header,
        [[0, "ALLERGY", "No known drug allergies.", "Doctor: Any?\r\nPatient: None."]],
    )
    valid = write_csv(tmp_path / "valid.csv", header, [[0, "GENHX", "Fell.", "Doctor: What happened?"]])
    rows = [row for path in (train, valid) for row in read(path)]
    assert all(isinstance(row, Row) and row.external_id is None and row.source == "" for row in rows)
    first = rows[0]
    assert isinstance(first, Row)
    assert first.prompt == "Doctor: Any?\r\nPatient: None."  # as it is
    assert first.metadata == {"ID": "0", "section_header": "ALLERGY"}


def test_other_tables_with_a_dialogue_still_need_a_mapping(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "x.csv", ["dialogue", "summary"], [["Doctor: Hi.", "Hi."]])
    assert [one.reason for one in read(path) if isinstance(one, Bad)] == ["unknown_shape"]


def test_prompt_and_completion_win_over_a_dialogue(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    row = {"prompt": "a", "completion": "b", "dialogue": "c", "note": "d", "encounter_id": "e"}
    path.write_text(json.dumps(row) + "\n", "utf-8")
    (found,) = read(path)
    assert isinstance(found, Row) and (found.prompt, found.completion) == ("a", "b")


# ---------------------------------------------------------------- TextGrids


def test_speakers_are_joined_by_time_and_paired_with_the_note(tmp_path: Path) -> None:
    consultation(tmp_path, "day1_consultation01", presenting_complaint="cough", highlights=["cough"])
    (row,) = read(tmp_path)
    assert isinstance(row, Row)
    assert row.prompt == (
        "[doctor] Hello, what is the matter?\n[patient] I cough at night, [unintelligible] mostly.\n"
        '[doctor] Is it the "old" cough?\n[patient] Yes.'
    )
    assert row.completion == "PC: cough."
    assert row.external_id == row.source == "day1_consultation01"
    assert row.metadata == {
        "presenting_complaint": "cough",
        "highlights": ["cough"],
        "marks": {"unsure": 1, "unheard": 1},
    }


def test_every_file_without_a_partner_or_in_ruins_is_named(tmp_path: Path) -> None:
    consultation(tmp_path, "day1_consultation01")
    consultation(tmp_path, "day1_consultation02")
    (tmp_path / "notes" / "day1_consultation02.json").unlink()
    consultation(tmp_path, "day1_consultation03")
    broken = tmp_path / "transcripts" / "day1_consultation03_patient.TextGrid"
    broken.write_text(broken.read_text("utf-8")[:-60], "utf-8")
    consultation(tmp_path, "day1_consultation04", note="")
    consultation(tmp_path, "day1_consultation05")
    (tmp_path / "notes" / "day1_consultation05.json").write_text("{", "utf-8")
    consultation(tmp_path, "day1_consultation06")
    (tmp_path / "transcripts" / "day1_consultation06_doctor.TextGrid").write_text("hello", "utf-8")
    found = list(read(tmp_path))
    assert Counter(type(one).__name__ if isinstance(one, Row) else one.reason for one in found) == {
        "Row": 1,
        "no_partner": 2,
        "truncated": 1,
        "empty_completion": 1,
        "not_json": 1,
        "unreadable": 1,
    }
    assert {one.file for one in found if isinstance(one, Bad) and one.reason == "no_partner"} == {
        "transcripts/day1_consultation02_doctor.TextGrid",
        "transcripts/day1_consultation02_patient.TextGrid",
    }


def test_a_doubled_recording_is_refused_and_other_files_go_on(tmp_path: Path) -> None:
    consultation(tmp_path, "day1_consultation01")
    (tmp_path / "copy").mkdir()
    double = tmp_path / "transcripts" / "day1_consultation01_doctor.TextGrid"
    (tmp_path / "copy" / double.name).write_bytes(double.read_bytes())
    (tmp_path / "more.jsonl").write_text('{"prompt": "p", "completion": "c"}\n', "utf-8")
    found = list(read(tmp_path))
    assert Counter(type(one).__name__ if isinstance(one, Row) else one.reason for one in found) == {
        "Row": 2,
        "ambiguous_pair": 1,
    }


def test_utf16_as_praat_saves_it(tmp_path: Path) -> None:
    consultation(tmp_path, "day1_consultation01")
    path = tmp_path / "transcripts" / "day1_consultation01_doctor.TextGrid"
    path.write_text(textgrid([(0.0, 1.0, "Wie geht's, Frau Müller?")]), "utf-16")
    (row,) = read(tmp_path)
    assert isinstance(row, Row) and row.prompt.startswith("[doctor] Wie geht's, Frau Müller?")


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30)


@given(st.lists(WORDS, max_size=8), st.booleans())
def test_both_text_forms_give_back_every_utterance(said: list[str], short: bool) -> None:
    turns = [(n + 0.25, n + 0.75, words) for n, words in enumerate(said)]
    kept = [turn for turn in turns if turn[2].strip()]
    assert intervals(textgrid(turns, short=short)) == kept


@given(st.data())
def test_a_textgrid_cut_anywhere_is_refused_or_shorter(data: st.DataObject) -> None:
    whole = textgrid([(0.5, 1.0, "one"), (1.5, 2.0, "two 2"), (2.5, 3.0, "three")])
    cut = whole[: data.draw(st.integers(0, len(whole) - 8))]
    with pytest.raises(Refused) as refused:
        intervals(cut)
    assert refused.value.reason in ("unreadable", "truncated")


def test_marks_are_counted_and_white_space_is_one_blank() -> None:
    said, marks = plain("I <UNSURE>think</UNSURE>\n  so <INAUDIBLE_SPEECH/>")
    assert said == "I think so [unintelligible]"
    assert marks == {"unsure": 1, "unheard": 1}


# ---------------------------------------------------------------- the real texts


def real(name: str) -> list[dict[str, Any]]:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"no {name} beside the checkout")
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.shared
@pytest.mark.parametrize("split", ["train", "valid", "test1"])
def test_aci_bench_in_its_published_shape(split: str, tmp_path: Path) -> None:
    visits = real(f"aci-bench/{split}.jsonl")
    path = write_csv(
        tmp_path / f"{split}.csv",
        ["dataset", "encounter_id", "dialogue", "note"],
        [[v["dataset"], v["source_id"], v["prompt"], v["completion"]] for v in visits],
    )
    found = list(read(path))
    rows = [one for one in found if isinstance(one, Row)]
    assert len(found) == len(rows) == len(visits)
    assert [(r.source, r.prompt, r.completion) for r in rows] == [
        (v["source_id"], v["prompt"], v["completion"]) for v in visits
    ]


@pytest.mark.shared
@pytest.mark.parametrize("split", ["train", "valid"])
def test_mts_dialog_in_its_published_shape(split: str, tmp_path: Path) -> None:
    pairs = real(f"mts-dialog/{split}.jsonl")
    path = write_csv(
        tmp_path / f"{split}.csv",
        ["ID", "section_header", "section_text", "dialogue"],
        [[p["source_id"].split("-")[1], p["section_header"], p["completion"], p["prompt"]] for p in pairs],
    )
    found = list(read(path))
    rows = [one for one in found if isinstance(one, Row)]
    assert len(found) == len(pairs) and len(rows) + sum(isinstance(one, Bad) for one in found) == len(pairs)
    assert [(r.prompt, r.completion, r.metadata["section_header"]) for r in rows] == [
        (p["prompt"], p["completion"], p["section_header"]) for p in pairs
    ]


@pytest.mark.shared
def test_primock57_in_its_published_shape(tmp_path: Path) -> None:
    """TextGrids and notes written from the kept turns give back the conversations."""
    visits = real("primock57/dev.jsonl")
    for folder in ("transcripts", "notes"):
        (tmp_path / folder).mkdir()
    for visit in visits:
        for who in ("doctor", "patient"):
            turns = sorted((t["t0"], t["t1"], t["raw"]) for t in visit["turns"] if t["speaker"] == who)
            path = tmp_path / "transcripts" / f"{visit['source_id']}_{who}.TextGrid"
            path.write_text(textgrid(turns, who.title()), "utf-8")
        note = {"presenting_complaint": visit["presenting_complaint"], "note": visit["completion"],
                "highlights": visit["highlights"]}  # fmt: skip
        (tmp_path / "notes" / f"{visit['source_id']}.json").write_text(json.dumps(note), "utf-8")
    found = list(read(tmp_path))
    rows = [one for one in found if isinstance(one, Row)]
    assert len(found) == len(rows) == len(visits)

    def words(text: str) -> Counter[str]:
        """Spoken words and speakers; what nobody could hear, and turns of nothing else, aside."""
        lines = [line.replace("[unintelligible]", "").strip() for line in text.split("\n")]
        return Counter(
            word for line in lines if not line.endswith("]") for word in re.findall(r"[\w\[\]]+", line)
        )

    by_id = {visit["source_id"]: visit for visit in visits}
    for row in rows:
        assert row.completion == by_id[row.source]["completion"]
        assert row.metadata["highlights"] == by_id[row.source]["highlights"]
        assert words(row.prompt) == words(by_id[row.source]["prompt"])

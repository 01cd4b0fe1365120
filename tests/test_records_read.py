"""Files: every format, every way a line can be bad, folders of pairs, and that no line is ever lost."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import os
import random
import string
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import NotFound, UsageError
from curate.records import REASONS, Bad, Row, read
from curate.records import rows as limits
from tests.reading import BOT, GOOD, USER, lines, reasons

# ------------------------------------------------------------------------------------------------- lines


def test_bad_lines_do_not_stop_the_good_ones(tmp_path: Path) -> None:
    found = lines(
        tmp_path,
        GOOD,
        "",
        "{not json}",
        b'{"prompt": "caf\xe9", "completion": "c"}',
        '{"prompt": "a\\u0000b", "completion": "c"}',
        '{"prompt": "p", "completion": "\\ud800"}',
        '{"prompt": "p", "completion": "c", "prompt": "q"}',
        '{"prompt": "p", "completion": "c", "x": NaN}',
        '{"prompt": "p", "completion": "c", "x": 1e999}',
        "[1]",
        '{"prompt": "a\x01", "completion": "c"}',
        "   \t",
        GOOD,
        "[" * 100_000,
        '{"prompt": "p", "completion": "c", "x": ' + "[" * 90 + "]" * 90 + "}",
        '{"prompt": "p", "completion": "c", "x": ' + "1" * 5000 + "}",
        GOOD[:-5],
    )
    assert reasons(found) == [
        *("row", "not_json", "encoding", "control_characters", "encoding", "duplicate_key", "not_json"),
        *(
            "not_json",
            "not_an_object",
            "control_characters",
            "row",
            "too_deep",
            "too_deep",
            "not_json",
            "truncated",
        ),
    ]
    assert [item.line for item in found] == [1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17]
    for item in found:
        if isinstance(item, Bad):
            assert len(item.excerpt) <= 200 and item.excerpt.isprintable() and item.detail.isprintable()


def test_control_characters_anywhere(tmp_path: Path) -> None:
    for row in (
        {"prompt": "p\x0c", "completion": "c"},
        {"prompt": "p", "completion": "c", "k": {"deep": ["\x1b[31m"]}},
        {"prompt": "p", "completion": "c", "a\x00b": 1},
        {"prompt": "p", "completion": "c", "system": "\x07"},
        {"messages": json.dumps([{"role": "user", "content": "\x00"}, BOT])},
    ):
        assert reasons(lines(tmp_path, json.dumps(row))) == ["control_characters"], row
    assert reasons(lines(tmp_path, json.dumps({"prompt": "a\tb\r\nc", "completion": "c"}))) == ["row"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["x.jsonl", "x.json", "x.csv"])
def test_byte_order_marks(tmp_path: Path, encoding: str, name: str) -> None:
    rows = [{"prompt": "Grüße 😀", "completion": "是"}, {"prompt": "p", "completion": "c"}]
    text = {
        "x.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\r\n" for row in rows),
        "x.json": json.dumps(rows, ensure_ascii=False, indent=1),
        "x.csv": "prompt,completion\r\nGrüße 😀,是\r\np,c\r\n",
    }[name]
    (tmp_path / name).write_bytes(text.encode(encoding))
    found = list(read(tmp_path / name))
    assert [(row.prompt, row.completion) for row in found if isinstance(row, Row)] == [
        ("Grüße 😀", "是"),
        ("p", "c"),
    ]


def test_half_a_utf16_character_costs_its_line_only(tmp_path: Path) -> None:
    raw = codecs.BOM_UTF16_LE + '{"prompt": "\ud800", "completion": "c"}\n'.encode(
        "utf-16-le", "surrogatepass"
    )
    (tmp_path / "x.jsonl").write_bytes(raw + (GOOD + "\n").encode("utf-16-le"))
    assert reasons(list(read(tmp_path / "x.jsonl"))) == ["encoding", "row"]


def test_line_separators_inside_a_text_do_not_end_the_line(tmp_path: Path) -> None:
    row = {"prompt": "a\u2028b\x85c", "completion": "c"}
    (found,) = lines(tmp_path, json.dumps(row, ensure_ascii=False))
    assert isinstance(found, Row) and found.prompt == row["prompt"]


def test_ten_megabyte_line_and_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    big = json.dumps({"prompt": "x" * 10_000_000, "completion": "c"})
    found = lines(tmp_path, GOOD, big, GOOD)
    assert reasons(found) == ["row", "row", "row"]
    monkeypatch.setattr("curate.records.files.LIMIT", 1_000_000)
    found = lines(tmp_path, GOOD, big, GOOD)
    assert reasons(found) == ["row", "too_long", "row"]
    assert isinstance(found[1], Bad) and "10,00" in found[1].detail
    assert limits.LIMIT >= 10 << 20


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    row = json.dumps({"prompt": "p" * 19_900, "completion": "c" * 100}) + "\n"
    peaks = []
    for count in (200, 1_500):
        for name, text in (("x.jsonl", row * count), ("x.json", "[" + ",".join([row] * count) + "]")):
            (tmp_path / name).write_text(text)
            tracemalloc.start()
            assert sum(isinstance(item, Row) for item in read(tmp_path / name)) == count
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert max(peaks) < 16 << 20  # the larger files have 30 MB
    assert peaks[2] < 1.5 * peaks[0] and peaks[3] < 1.5 * peaks[1]


# ------------------------------------------------------------------------------------------------- JSON arrays


def test_array_survives_a_damaged_element(tmp_path: Path) -> None:
    text = f'[{GOOD},\n {{"prompt": "p" "completion": 1}},\n {GOOD}, 5, "x", {GOOD}]'
    found = lines(tmp_path, text, name="x.json")
    assert reasons(found) == ["row", "not_json", "row", "not_an_object", "not_an_object", "row"]
    assert [item.line for item in found] == [1, 2, 3, 3, 3, 3]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"[{GOOD}, {GOOD[:-4]}", ["row", "truncated"]),
        (f"[{GOOD}", ["row", "truncated"]),
        (f"[{GOOD},]", ["row", "not_json"]),
        (f"[{GOOD}] trailing", ["row", "not_json"]),
        ("[]", []),
        (f"{GOOD}\n\n{GOOD}", ["row", "row"]),
        (json.dumps(json.loads(GOOD), indent=2), ["row"]),
        (json.dumps(json.loads(GOOD), indent=2) + "\n" + GOOD, ["row", "row"]),
        (f"{GOOD}\n{{broken\n{GOOD}", ["row", "not_json", "row"]),  # JSON lines under the name .json
    ],
)
def test_json_files(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert reasons(lines(tmp_path, text, name="x.json")) == expected
    assert reasons(lines(tmp_path, text, name="x.jsonl"))[:1] == expected[:1] or "\n" in text


def test_array_element_over_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curate.records.files.LIMIT", 100_000)
    monkeypatch.setattr("curate.records.files._BLOCK", 10_000)
    big = json.dumps({"prompt": "x" * 500_000, "completion": "c"})
    assert reasons(lines(tmp_path, f"[{GOOD},{big},{GOOD}]", name="x.json")) == ["row", "too_long"]


# ------------------------------------------------------------------------------------------------- CSV


def test_csv(tmp_path: Path) -> None:
    text = 'id,prompt,completion\r\n1,"a\nb, ""q""",c\r\n\r\n2,p\r\n3,p,c,d\r\n4,,c\r\n5,=1+1,c\r\n'
    found = lines(tmp_path, text, name="x.csv")
    assert reasons(found) == ["row", "wrong_columns", "wrong_columns", "empty_prompt", "row"]
    assert [item.line for item in found] == [2, 5, 6, 7, 8]
    assert isinstance(found[0], Row) and found[0].prompt == 'a\nb, "q"' and found[0].external_id == "1"
    assert isinstance(found[4], Row) and found[4].prompt == "=1+1"


def test_first_line_that_is_an_array(tmp_path: Path) -> None:
    for name in ("x.jsonl", "x.json"):
        found = lines(tmp_path, '["a", "b"]', GOOD, GOOD, name=name)
        assert reasons(found) == ["not_an_object", "row", "row"]
        assert reasons(lines(tmp_path, f"[{GOOD},", GOOD, "]", name=name)) == ["row", "row"]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_csv_delimiters(tmp_path: Path, delimiter: str) -> None:
    text = f"prompt{delimiter}completion\np, q{delimiter}c\n"
    (found,) = lines(tmp_path, text, name="x.csv")
    assert isinstance(found, Row) and found.prompt == "p, q"


def test_csv_damage(tmp_path: Path) -> None:
    head = b"prompt,completion\n"
    assert reasons(lines(tmp_path, head + b'p,"never closed\np,c\n', name="x.csv")) == ["truncated"]
    assert reasons(lines(tmp_path, head + b"caf\xe9,c\np,c\n", name="x.csv")) == ["encoding", "row"]
    assert reasons(lines(tmp_path, head + b"a\x00b,c\np,c\n", name="x.csv")) == ["control_characters", "row"]
    assert reasons(lines(tmp_path, head + b'"a"b,c\np,c\n', name="x.csv")) == ["malformed_csv", "row"]
    for header in ("a,a\n1,2\n", "a,,b\n1,2,3\n", "\n\n"):
        with pytest.raises(UsageError):
            lines(tmp_path, header, name="x.csv")


def test_csv_line_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curate.records.files.LIMIT", 10_000)
    with pytest.raises(UsageError, match="no CSV file"):
        lines(tmp_path, "prompt,completion\n" + "x" * 50_000, name="x.csv")


# ------------------------------------------------------------------------------------------------- Parquet, gzip


def test_parquet(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "prompt": ["p", None, ""],
            "completion": ["c", "c", "c"],
            "when": [None, None, None],
            "score": [float("nan"), 1.0, 2.0],
            "blob": [b"\x00\x01", b"", b""],
            "messages": [[USER, BOT]] * 3,
        }
    )
    frame.write_parquet(tmp_path / "x.parquet", row_group_size=2)
    found = list(read(tmp_path / "x.parquet"))
    assert reasons(found) == ["row", "row", "empty_prompt"]  # the second one has its messages
    assert isinstance(found[0], Row)
    assert found[0].metadata["score"] == "nan" and found[0].metadata["blob"] == "base64:AAE="
    assert json.loads(found[0].payload)["prompt"] == "p" and [item.line for item in found] == [1, 2, 3]


@pytest.mark.parametrize("cut", [10, -10])
def test_broken_containers_are_one_clear_error(tmp_path: Path, cut: int) -> None:
    pl.DataFrame({"prompt": ["p"] * 500, "completion": ["c"] * 500}).write_parquet(tmp_path / "x.parquet")
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress((GOOD + "\n").encode() * 500))
    for name in ("x.parquet", "x.jsonl.gz"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:cut])
        with pytest.raises(UsageError, match="export it again"):
            list(read(path))


def test_gzip(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(f"{GOOD}\n{{\n{GOOD}".encode()))
    assert reasons(list(read(tmp_path / "x.jsonl.gz"))) == ["row", "not_json", "row"]
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(b"prompt,completion\np,c\n"))
    assert reasons(list(read(tmp_path / "x.csv.gz"))) == ["row"]


def test_unknown_files(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        list(read(tmp_path / "nowhere.jsonl"))
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(UsageError, match="neither a file nor a folder"):
        list(read(tmp_path / "pipe.jsonl"))
    for name, words in (("x.bin", "--format"), ("x.txt", "folder"), ("x.zip", "unpack")):
        (tmp_path / name).write_text("hello")
        with pytest.raises(UsageError, match=words):
            list(read(tmp_path / name))
    (tmp_path / "export").write_text(GOOD)
    assert reasons(list(read(tmp_path / "export"))) == ["row"]
    (tmp_path / "odd.dat").write_text("prompt,completion\np,c\n")
    assert reasons(list(read(tmp_path / "odd.dat", format="csv"))) == ["row"]
    with pytest.raises(UsageError, match="No format"):
        list(read(tmp_path / "export", format="xml"))


# ------------------------------------------------------------------------------------------------- folders


def folder(tmp_path: Path, **files: str | bytes) -> list[Row | Bad]:
    base = tmp_path / "in"
    for name, text in files.items():
        path = base / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read(base))


def test_pairing_by_name(tmp_path: Path) -> None:
    found = folder(
        tmp_path,
        a_prompt_txt="p1",
        a_completion_txt="c1\n",
        b_txt="p2",
        b_note_txt="c2",
        deep__x_cbl="p3",
        deep__x_py="c3",
        d_request_txt="p4",
        d_md="c4",
        rows_jsonl=GOOD,
    )
    rows = {row.external_id: row for row in found if isinstance(row, Row)}
    assert len(rows) == len(found) == 5
    assert (rows["a"].prompt, rows["a"].completion) == ("p1", "c1\n")
    assert (rows["b"].prompt, rows["b"].completion) == ("p2", "c2")
    assert (rows["deep/x"].prompt, rows["deep/x"].completion) == ("p3", "c3")
    assert (rows["d"].prompt, rows["d"].completion) == ("p4", "c4")
    assert rows[None].file == "rows.jsonl"
    assert json.loads(rows["b"].payload)["completion"] == {"file": "b.note.txt", "text": "c2"}


def test_files_that_do_not_pair(tmp_path: Path) -> None:
    found = folder(
        tmp_path,
        a_txt="alone",
        b_txt="1",
        b_note_txt="2",
        b_summary_txt="3",
        c_pdf=b"%PDF",
        cut_parquet=b"PAR1",
        e_txt="p",
        e_note_txt=" ",
        f_txt=b"caf\xe9",
        f_note_txt="c",
    )
    seen = {(item.file, item.reason) for item in found if isinstance(item, Bad)}
    assert len(found) == len(seen) == 8
    assert seen == {
        ("a.txt", "no_partner"),
        ("b.txt", "ambiguous_pair"),
        ("b.note.txt", "ambiguous_pair"),
        ("b.summary.txt", "ambiguous_pair"),
        ("c.pdf", "unknown_file_type"),
        ("cut.parquet", "unreadable"),
        ("e.note.txt", "empty_completion"),
        ("f.txt", "encoding"),
    }


def test_pairing_by_pattern(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    for name in ("1", "2"):
        (tmp_path / "in" / f"{name}.txt").write_text("p" + name)
    (tmp_path / "out" / "1.md").write_text("c1")
    found = list(read(tmp_path, mapping={"prompt": "in/*.txt", "completion": "out/*.md"}))
    assert reasons(found) == ["row", "no_partner"]
    assert isinstance(found[0], Row) and found[0].external_id == "1"
    with pytest.raises(UsageError, match="two patterns"):
        list(read(tmp_path, mapping={"prompt": "in/*.txt"}))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no files"):
        list(read(tmp_path / "empty"))


def test_documents(tmp_path: Path) -> None:
    import docx

    document = docx.Document()
    document.add_paragraph("AGREEMENT {{party}}")
    table = document.add_table(1, 2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "Salary", "₹ 10"
    document.add_paragraph("Signed.")
    document.sections[0].header.paragraphs[0].text = "Confidential"
    document.save(str(tmp_path / "a.docx"))
    (tmp_path / "a.txt").write_text("Draft it.")
    (found,) = read(tmp_path)
    assert isinstance(found, Row)
    assert found.completion == "AGREEMENT {{party}}\nSalary\t₹ 10\nSigned."
    assert found.metadata == {"docx_left_out": {"completion": ["headers and footers"]}}
    paragraph = document.paragraphs[0]._p
    paragraph.append(paragraph.makeelement(f"{{{paragraph.nsmap['w']}}}ins", {}))
    document.save(str(tmp_path / "a.docx"))
    assert reasons(list(read(tmp_path))) == ["tracked_changes"]
    (tmp_path / "a.docx").write_bytes(b"PK\x03\x04 not really")
    assert reasons(list(read(tmp_path))) == ["unreadable"]


# ------------------------------------------------------------------------------------- every line is accounted for

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        *("prompt", "completion", "messages", "conversations", "instruction", "input", "output", "system"),
        *("history", "chosen", "rejected", "target", "choices", "fields", "responses", "suggestions", "data"),
        *("annotations", "answer.responses", "answer-suggestion", "text", "id", "source", "metadata"),
    ]
)
TURN = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system", "tool", "x"]), "content": TEXT | JSON}
)
ROW = st.dictionaries(NAMES | TEXT, TEXT | JSON | st.lists(TURN, max_size=4), max_size=6)
LINE = st.one_of(
    ROW.map(lambda row: json.dumps(row).encode()),
    ROW.map(lambda row: json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    ROW.map(lambda row: json.dumps(row).encode()[:-3]),
    st.binary(max_size=40),
    st.just(b""),
    st.just(GOOD.encode()),
)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@settings(max_examples=120, deadline=None)
@given(st.lists(LINE, max_size=8))
def test_no_line_is_lost(scratch: Path, raw: list[bytes]) -> None:
    path = scratch / "x.jsonl"
    data = b"\n".join(line.replace(b"\n", b" ") for line in raw)
    path.write_bytes(b"{}\n" + data)  # a first line, so that the bytes choose neither encoding nor array
    wanted = Counter(n for n, line in enumerate(path.read_bytes().split(b"\n"), 1) if line.strip())
    found = list(read(path))
    assert {item.line for item in found} == set(wanted)
    for item in found:
        if isinstance(item, Bad):
            assert item.reason in REASONS and item.excerpt.isprintable() and item.detail.isprintable()
        else:
            stored = json.dumps([item.metadata, item.history], allow_nan=False)
            text = item.prompt + item.completion + item.system + item.payload + stored
            text.encode("utf-8")  # no lone surrogate gets through
            assert not set(text) & {chr(n) for n in range(32)} - set("\t\n\r")
            assert item.prompt.strip() and item.completion.strip()
    bad_lines = Counter(item.line for item in found if isinstance(item, Bad))
    row_lines = {item.line for item in found if isinstance(item, Row)}
    assert not set(bad_lines) & row_lines and all(count == 1 for count in bad_lines.values())


@settings(max_examples=60, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=6), st.sampled_from([None, 1]), st.integers(0, 30))
def test_no_array_element_is_lost(scratch: Path, rows: list[Any], indent: int | None, seed: int) -> None:
    """One character of one element is changed: the others come out as they are."""
    texts = [json.dumps(row, indent=indent) for row in rows]
    (scratch / "x.json").write_text("[" + ", ".join(texts) + "]", "utf-8")
    (scratch / "y.jsonl").write_text("{}\n" + "\n".join(json.dumps(row) for row in rows), "utf-8")
    array = list(read(scratch / "x.json"))
    by_line = list(read(scratch / "y.jsonl"))[1:]
    assert reasons(array) == reasons(by_line)
    pick = random.Random(seed)
    position = pick.randrange(len(texts[0]))
    broken = texts[0][:position] + pick.choice("x}]{,:") + texts[0][position + 1 :]
    (scratch / "x.json").write_text("[" + ", ".join([*texts[1:], broken]) + "]", "utf-8")
    after = list(read(scratch / "x.json"))
    same = [item for item in by_line if item.line > 2]
    assert reasons(after)[: len(same)] == reasons(same)
    assert len(after) > len(same)  # the damaged one is not silently gone


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), max_size=6))
def test_csv_gives_back_what_was_written(scratch: Path, rows: list[tuple[str, str]]) -> None:
    path = scratch / "x.csv"
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL)
    writer.writerow(["prompt", "completion"])
    writer.writerows(rows)
    path.write_bytes(buffer.getvalue().encode("utf-8"))
    found = list(read(path))
    assert len(found) == len(rows)
    for item, (prompt, completion) in zip(found, rows, strict=True):
        usable = bool(prompt.strip() and completion.strip()) and not any(
            c in prompt + completion for c in map(chr, set(range(32)) - {9, 10, 13})
        )
        assert isinstance(item, Row) == usable
        if isinstance(item, Row):
            assert (item.prompt, item.completion) == (prompt, completion)


def test_every_reason_has_advice_that_is_a_sentence() -> None:
    for reason, advice in REASONS.items():
        assert set(reason) <= set(string.ascii_lowercase + "_") and advice.endswith(".")

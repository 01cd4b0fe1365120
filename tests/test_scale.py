"""The engine for many machines finds what the embedded one finds, edge for edge and span for span.

Skipped where the extra ``goldpair[scale]`` is not installed, except the steps over batches and the messages.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks import _dedupe_corpus as made
from curate import scale
from curate.dedupe import batch, find_duplicates
from curate.dedupe.engine import sample
from curate.dedupe.prepare import as_series, tokenise
from curate.dedupe.settings import DedupeSettings
from curate.errors import UsageError
from curate.tasks import find_pack, load_pack

ROOT = Path(__file__).resolve().parent.parent
DAFT = importlib.util.find_spec("daft") is not None
RAY = importlib.util.find_spec("ray") is not None
needs_daft = pytest.mark.skipif(not DAFT, reason="daft is not installed: pip install 'goldpair[scale]'")
needs_ray = pytest.mark.skipif(
    not (DAFT and RAY), reason="ray is not installed: pip install 'goldpair[scale]'"
)


def texts() -> list[str]:
    """Planted near-duplicates, chat-sized texts, a crowd on one stock text, exact copies, texts without words."""
    crowd = "Dear customer your order {} is on its way to you and will be there by the end of this week, sorry for {}"
    return [
        *made.corpus(500, 11)["text"],
        *made.short_corpus(300, 12)["text"],
        *(crowd.format(f"word{n}", f"thing{3 * n}") for n in range(120)),
        *("Same words twice." for _ in range(70)),
        "same words, TWICE",
        "",
        "?!",
        "?!",
        "नमस्ते दुनिया",
    ]


@pytest.fixture
def source(tmp_path):
    """Two files of rows whose ids are in no order."""
    rows = pl.DataFrame({"id": [f"r{n:05}" for n in range(len(texts()))], "text": texts()})
    mixed = rows.sample(fraction=1.0, shuffle=True, seed=3)
    (tmp_path / "in").mkdir()
    mixed[:400].write_parquet(tmp_path / "in" / "a.parquet")
    mixed[400:].write_parquet(tmp_path / "in" / "b.parquet")
    return tmp_path / "in"


def expected() -> tuple[set, dict[str, str]]:
    result = find_duplicates(texts())
    edges = {
        (f"r{left:05}", f"r{right:05}", kind, round(similarity, 5))
        for left, right, similarity, kind in result.pairs.select(
            "left", "right", "similarity", "kind"
        ).iter_rows()
    }
    sizes = result.labels.value_counts().filter(pl.col("count") > 1)["cluster"].to_list()
    labels = enumerate(result.labels.to_list())
    return edges, {f"r{row:05}": f"r{label:05}" for row, label in labels if label in set(sizes)}


def found(out: Path) -> tuple[set, dict[str, str]]:
    edges = pl.read_parquet(out / scale.EDGES)
    clusters = pl.read_parquet(out / scale.CLUSTERS)
    rows = edges.select("left", "right", "kind", pl.col("similarity").cast(pl.Float64)).iter_rows()
    return {(a, b, kind, round(s, 5)) for a, b, kind, s in rows}, dict(clusters.iter_rows())


# --- steps, without an executor -----------------------------------------------------------------------------


def test_a_batch_of_one_text_gives_what_the_whole_corpus_gives():
    some = texts()[::20]
    settings = DedupeSettings(workers=1)
    tokens = tokenise(as_series(some), settings)
    whole = sample(tokens, settings, 1)
    for row, text in enumerate(some):
        hashes, features, starts = batch.features([text], settings)
        assert hashes[0] == tokens.hashes[row] and starts.tolist() == [0, len(features)]
        assert features.tolist() == whole.features[whole.starts[row] : whole.starts[row + 1]].tolist()


def test_pairs_of_a_shingle_are_ordered_and_none_is_with_itself():
    assert batch.pairs_of([5, 3, 9, 3]).tolist() == [[3, 5], [3, 9], [5, 9]]
    assert batch.pairs_of([7, 7]).tolist() == []


def test_neighbours_are_the_next_ones_in_sketch_order():
    docs, sketch = np.array([4, 1, 9, 6], dtype=np.uint64), np.array([30, 10, 20, 40], dtype=np.uint64)
    assert sorted(map(tuple, batch.neighbours(docs, sketch, 1).tolist())) == [(1, 9), (4, 6), (4, 9)]
    assert len(batch.neighbours(docs, sketch, 9)) == 6


def test_the_verdict_on_a_pair_is_the_one_of_the_engine():
    result = find_duplicates(texts())
    pairs = result.pairs.filter(pl.col("kind") == "near")
    other = result.rejected
    every = texts()
    settings = DedupeSettings(workers=1)
    for frame, wanted in ((pairs, True), (other, False)):
        left, right = ([every[n] for n in frame[side]] for side in ("left", "right"))
        same, similarity = batch.verdicts(left, right, settings)
        assert (same == wanted).all() and len(same) > 20
        if wanted:
            assert np.abs(similarity - frame["similarity"].to_numpy()).max() < 1e-6


# --- the executor -------------------------------------------------------------------------------------------


@needs_daft
def test_the_edges_are_those_of_the_embedded_engine(source, tmp_path):
    counts = scale.dedupe(source, tmp_path / "out")
    edges, clusters = found(tmp_path / "out")
    assert (edges, clusters) == expected()
    assert {kind for _, _, kind, _ in edges} == {"identical", "normalised", "near"}
    assert counts["rows"] == len(texts()) and counts["edges"] == len(edges)
    assert not (tmp_path / "out" / ".work").exists()


@needs_daft
def test_the_findings_are_those_of_the_detector(tmp_path):
    from curate.privacy import Detector

    rows = [
        "Call Priya Nair on +91 98765 43210.",
        "nothing here",
        "Mail ravi@firm.example.com, PAN ABCPE1234F.",
    ] * 5
    pl.DataFrame({"key": range(len(rows)), "note": rows}).write_parquet(tmp_path / "in.parquet")
    policy = load_pack(find_pack("sarcastic-bot")).privacy
    counts = scale.scan(tmp_path / "in.parquet", tmp_path / "out", text="note", key="key", policy=policy)
    table = pl.read_parquet(tmp_path / "out" / scale.FINDINGS)
    wanted = [scale.as_json(f) for f in Detector.from_policy(policy or "default").scan(rows)]
    assert table["findings"].to_list() == wanted
    assert table.columns == ["id", "findings"]  # no text leaves
    assert counts["rows_with_findings"] == 10 == sum(one != "[]" for one in wanted)


@needs_ray
@pytest.mark.slow
def test_ray_finds_the_same_edges_and_findings(source, tmp_path):
    """In a process of its own: a runner is chosen once a process."""
    rows = ["Call Priya Nair on +91 98765 43210.", "nothing here"] * 3
    pl.DataFrame({"id": range(len(rows)), "text": rows}).write_parquet(tmp_path / "pii.parquet")
    code = (
        "import sys; from curate import scale\n"
        "scale.dedupe(sys.argv[1], sys.argv[2], ray='local')\n"
        "scale.scan(sys.argv[3], sys.argv[2], ray='local')\n"
    )
    command = [sys.executable, "-c", code, str(source), str(tmp_path / "out"), str(tmp_path / "pii.parquet")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert found(tmp_path / "out") == expected()
    from curate.privacy import Detector

    wanted = [scale.as_json(f) for f in Detector.from_policy("default").scan(rows)]
    assert pl.read_parquet(tmp_path / "out" / scale.FINDINGS)["findings"].to_list() == wanted


# --- what it says -------------------------------------------------------------------------------------------


@pytest.mark.skipif(DAFT, reason="daft is installed here")
def test_without_the_extra_it_says_how_to_get_it(tmp_path):
    with pytest.raises(scale.ScaleError, match=r"pip install 'goldpair\[scale\]'"):
        scale.dedupe(tmp_path, tmp_path / "out")


@needs_daft
def test_a_missing_column_is_named_with_those_that_are_there(tmp_path):
    pl.DataFrame({"key": [1], "body": ["x"]}).write_parquet(tmp_path / "in.parquet")
    with pytest.raises(scale.ScaleError, match="no column id, text; it has key, body"):
        scale.dedupe(tmp_path / "in.parquet", tmp_path / "out")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((("nope"), None, None, None), "No engine"),
        ((("local"), "a.parquet", None, None), "belong to --engine daft"),
        ((("daft"), "a.parquet", None, None), "give --in FILES and --out FOLDER"),
    ],
)
def test_flags_that_do_not_fit_are_refused(flags, message):
    engine, where, out, ray = flags
    with pytest.raises(UsageError, match=message):
        scale.from_files("dedupe", "sarcastic-bot", None, engine, where, out, "id", "text", ray)


@pytest.mark.skipif(DAFT, reason="daft is installed here")
@pytest.mark.parametrize("verb", ["dedupe", "scan"])
def test_the_command_line_gets_there_without_a_workspace(verb, tmp_path):
    command = [sys.executable, "-m", "curate.cli", verb, "sarcastic-bot", "--engine", "daft"]
    command += ["--in", str(tmp_path), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "pip install 'goldpair[scale]'" in done.stderr


def test_findings_as_json_keep_no_text():
    from curate.privacy import Finding

    [one] = json.loads(scale.as_json([Finding(3, 9, "PERSON", 0.85, "names")]))
    assert one == {"start": 3, "end": 9, "entity_type": "PERSON", "score": 0.85, "recognizer": "names"}

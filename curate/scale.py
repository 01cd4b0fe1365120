"""Beyond one machine: near-duplicates and the PII scan over Parquet files, on Daft's native runner or a Ray cluster.

Covers: Parquet in, Parquet out, with the kernels of `curate.dedupe.batch` and the detector of `curate.privacy` as
batch functions. Does not cover: the store (files only), masks of surrogates, conflicts between prompt and completion,
resuming a run. Needs the extra ``goldpair[scale]``; docs/scale.md says when it pays.

The edges are those of `curate.dedupe.find_duplicates` over the same rows in the order of their ids, and the findings
those of ``Detector.scan``: a test holds both to it, on both runners. Batch functions run in worker processes, which
must be able to import this package.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from curate.dedupe import batch, kernels
from curate.dedupe.settings import DedupeSettings, make_settings
from curate.errors import GoldpairError, NotFound, UsageError

EDGES, CLUSTERS, FINDINGS = "edges.parquet", "clusters.parquet", "findings.parquet"


class ScaleError(GoldpairError):
    """The engine for many machines is not installed, or cannot read the input."""


def dedupe(
    source: Path | str,
    out: Path | str,
    *,
    text: str = "text",
    key: str = "id",
    ray: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> dict[str, int]:
    """Near-duplicates among the rows of Parquet files (a file, a folder or a pattern).

    ``key`` names a column of unique values, integers or strings; the smallest of a cluster names it. ``ray``: address
    of a cluster (``auto`` or ``local`` start or find one here); without it Daft's native runner works.
    Writes into the folder ``out``: ``edges.parquet`` (left, right, similarity, kind) and ``clusters.parquet`` (id,
    cluster) of the rows that have a duplicate. Returns counts. Raises ScaleError, UsageError.
    """
    settings = make_settings(dict(options or {}))
    daft = _engine(ray)
    folder = _folder(out)
    rows = _read(daft, source, key, text)
    work = folder / ".work"
    shutil.rmtree(work, ignore_errors=True)
    try:
        steps = _Dedupe(daft, settings, work)
        edges = steps.edges(rows)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    edges.write_parquet(folder / EDGES)
    clusters = _components(edges)
    clusters.write_parquet(folder / CLUSTERS)
    return {
        "rows": steps.rows,
        "edges": len(edges),
        "clusters": clusters["cluster"].n_unique(),
        "duplicates": len(clusters) - clusters["cluster"].n_unique(),
    }


def scan(
    source: Path | str,
    out: Path | str,
    *,
    text: str = "text",
    key: str = "id",
    ray: str | None = None,
    policy: Mapping[str, Any] | None = None,
) -> dict[str, int]:
    """Findings of personal data in the rows of Parquet files, as ``findings.parquet`` (id, findings) into ``out``.

    ``findings`` is a JSON list of {start, end, entity_type, score, recognizer}; the texts themselves are not written.
    """
    daft = _engine(ray)
    folder = _folder(out)
    rows = _read(daft, source, key, text)
    finder = _finder(daft)(json.dumps(dict(policy or {})))
    found = rows.select(daft.col("id"), finder.find(daft.col("text")).alias("findings"))
    frame = _collected(found).sort("id")
    frame.write_parquet(folder / FINDINGS)
    spans = sum(len(json.loads(one)) for one in frame["findings"])
    return {
        "rows": len(frame),
        "findings": spans,
        "rows_with_findings": int((frame["findings"] != "[]").sum()),
    }


def from_files(
    verb: str,
    task: str,
    workspace: Path | None,
    engine: str,
    source: str | None,
    out: str | None,
    key: str,
    text: str,
    ray: str | None,
) -> dict[str, int]:
    """`dedupe` or `scan` with the settings of a task pack: a folder, one of the workspace if there is one, or a shipped
    one. Raises `UsageError` for flags that do not fit, `NotFound`."""
    from curate.tasks import find_pack, load_pack
    from curate.workspace import Workspace

    if engine not in ("local", "daft"):
        raise UsageError(f"No engine {engine!r}. Engines: local, daft.")
    if engine == "local":
        raise UsageError("--in, --out and --ray belong to --engine daft.")
    if not (source and out):
        raise UsageError("--engine daft works on Parquet files: give --in FILES and --out FOLDER.")
    try:
        own = Workspace.open(workspace).tasks
    except NotFound:  # files only: no workspace is needed
        own = None
    pack = load_pack(find_pack(task, own))
    if verb == "scan":
        return scan(source, out, text=text, key=key, ray=ray, policy=pack.privacy)
    return dedupe(source, out, text=text, key=key, ray=ray, options=pack.dedupe)


# --- the engine ---------------------------------------------------------------------------------------------


def _engine(ray: str | None) -> Any:
    """Daft on the runner asked for. Says what is missing; reports usage to nobody."""
    for name in ("DO_NOT_TRACK", "SCARF_NO_ANALYTICS"):
        os.environ[name] = "true"
    os.environ["DAFT_ANALYTICS_ENABLED"] = "0"
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("DAFT_PROGRESS_BAR", "0")
    wanted = ["daft", *(["ray"] if ray else [])]
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    if missing:
        raise ScaleError(
            f"{' and '.join(missing)} not installed. Install the extra: pip install 'goldpair[scale]'."
        )
    import daft

    if ray:
        daft.set_runner_ray(address=None if ray == "local" else ray, noop_if_initialized=True)
    elif daft.get_or_infer_runner_type() == "ray":
        raise ScaleError("This process works on Ray already (a runner is chosen once). Name it with --ray.")
    return daft


def _folder(out: Path | str) -> Path:
    folder = Path(out)
    if folder.is_file():
        raise UsageError(f"{folder} is a file; name a folder for the results.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _read(daft: Any, source: Path | str, key: str, text: str) -> Any:
    path = Path(source)
    pattern = str(path / "*.parquet") if path.is_dir() else str(source)
    try:
        frame = daft.read_parquet(pattern)
    except Exception as error:
        raise ScaleError(f"{source} cannot be read as Parquet: {str(error).splitlines()[0]}") from error
    absent = [name for name in (key, text) if name not in frame.column_names]
    if absent:
        raise ScaleError(
            f"{source} has no column {', '.join(absent)}; it has {', '.join(frame.column_names)}. "
            "Name them with --key and --text."
        )
    return frame.select(daft.col(key).alias("id"), daft.col(text).alias("text"))


def _collected(frame: Any) -> pl.DataFrame:
    found = pl.from_arrow(frame.to_arrow())
    assert isinstance(found, pl.DataFrame)
    return found


class _Dedupe:
    """The plan: what `engine.search` does in arrays, as joins of tables. Tables used twice are kept as Parquet."""

    def __init__(self, daft: Any, settings: DedupeSettings, work: Path) -> None:
        self.daft, self.settings, self.work = daft, settings, work
        self.rows = 0

    def kept(self, name: str, frame: Any) -> Any:
        folder = self.work / name
        frame.write_parquet(str(folder))
        return self.daft.read_parquet(str(folder / "*.parquet"))

    def edges(self, rows: Any) -> pl.DataFrame:
        col, settings = self.daft.col, self.settings
        steps = _steps(self.daft, settings)
        read = self.kept("rows", rows.select("id", "text", steps["features"](col("text"))))
        self.rows = read.count_rows()
        firsts = self.kept("firsts", read.groupby("text_hash").agg(col("id").min().alias("first")))
        texts = self.kept(
            "texts",
            read.join(
                firsts, left_on=["text_hash", "id"], right_on=["text_hash", "first"], how="inner"
            ).select("text_hash", "id", "text", "features", "sampled"),
        )
        groups = self.kept(
            "groups",
            texts.select("text_hash", "features")
            .explode("features")
            .where(col("features").not_null())
            .with_column("shingle", steps["upper"](col("features")))
            .groupby("shingle")
            .agg(col("text_hash").count().alias("size"), col("text_hash").list_agg().alias("members"))
            .where(col("size") > 1),
        )
        candidates = self._rare(groups, texts, steps).concat(self._crowded(groups, texts, steps)).distinct()
        side = texts.select(col("text_hash").alias("h"), col("id").alias("i"), col("text").alias("t"))
        judged = (
            candidates.join(side, left_on="left", right_on="h")
            .select("left", "right", col("i").alias("left_id"), col("t").alias("left_text"))
            .join(side, left_on="right", right_on="h")
            .select("left_id", col("i").alias("right_id"), steps["judge"](col("left_text"), col("t")))
            .where(col("same"))
            .select("left_id", "right_id", "similarity")
        )
        return _as_edges(_collected(judged), self._exact(read, firsts))

    def _exact(self, read: Any, firsts: Any) -> pl.DataFrame:
        """Rows with the words of an earlier one."""
        col = self.daft.col
        first = read.select(col("id").alias("first"), col("text").alias("first_text"))
        later = read.join(firsts, on="text_hash").where(col("id") != col("first"))
        found = later.select("id", "first", "text").join(first, on="first")
        return _collected(
            found.select(
                col("first").alias("left_id"),
                col("id").alias("right_id"),
                (col("text") == col("first_text")).alias("same"),
            )
        )

    def _rare(self, groups: Any, texts: Any, steps: dict[str, Any]) -> Any:
        """Pairs that share enough shingles, of those in up to ``group_cap`` texts."""
        col = self.daft.col
        counted = (
            groups.where(col("size") <= self.settings.group_cap)
            .select(steps["pairs"](col("members")).alias("pair"))
            .explode("pair")
            .where(col("pair").not_null())
            .groupby("pair")
            .agg(col("pair").count().alias("shared"))
            .select(steps["unpair"](col("pair")), "shared")
        )
        n = texts.select(col("text_hash").alias("h"), col("sampled").alias("n"))
        return (
            counted.join(n, left_on="left", right_on="h")
            .select("left", "right", "shared", col("n").alias("left_n"))
            .join(n, left_on="right", right_on="h")
            .where(steps["enough"](col("shared"), col("left_n"), col("n")))
            .select("left", "right")
        )

    def _crowded(self, groups: Any, texts: Any, steps: dict[str, Any]) -> Any:
        """Neighbours in sketch order, of texts that live mostly on shingles of more than ``group_cap`` texts."""
        col = self.daft.col
        crowded = groups.where(col("size") > self.settings.group_cap)
        rank = steps["ranked"](col("size"), col("shingle")).alias("ranked")
        member = crowded.select(rank, col("members").alias("text_hash")).explode("text_hash")
        own = texts.select("text_hash", "features", "sampled")
        hungry = (
            member.groupby("text_hash")
            .agg(
                col("ranked").count().alias("crowded"),
                col("ranked").list_agg().alias("ranked"),
            )
            .join(own, on="text_hash")
            .where(steps["starved"](col("crowded"), col("sampled")))
            .select("text_hash", "features", steps["smallest"](col("ranked")).alias("shingle"))
            .explode("shingle")
        )
        pairs = (
            hungry.select(
                "shingle", steps["sketched"](col("shingle"), col("features"), col("text_hash")).alias("s")
            )
            .groupby("shingle")
            .agg(col("s").list_agg().alias("s"))
            .select(steps["neighbours"](col("s")).alias("pair"))
            .explode("pair")
            .where(col("pair").not_null())
            .distinct()
            .select(steps["unpair"](col("pair")))
        )
        n = texts.select(col("text_hash").alias("h"), col("features").alias("f"))
        return (
            pairs.join(n, left_on="left", right_on="h")
            .select("left", "right", col("f").alias("left_f"))
            .join(n, left_on="right", right_on="h")
            .where(steps["overlap"](col("left_f"), col("f")))
            .select("left", "right")
        )


# --- batch functions: arrays in, arrays out -----------------------------------------------------------------


def _steps(daft: Any, settings: DedupeSettings) -> dict[str, Any]:
    """The batch functions of the plan by name; they carry the settings to wherever they run."""
    t = daft.DataType
    pair = t.struct({"left": t.uint64(), "right": t.uint64()})
    options = settings.logged() | {"workers": 1}

    def one() -> DedupeSettings:
        return make_settings(options)

    def features(texts: Any) -> pa.Array:
        hashes, found, starts = batch.features(_texts(texts), one())
        lists = pa.LargeListArray.from_arrays(pa.array(starts), pa.array(found))
        arrays = [pa.array(hashes), lists, pa.array(np.diff(starts))]
        return pa.StructArray.from_arrays(arrays, names=["text_hash", "features", "sampled"])

    def upper(found: Any) -> Any:
        return pa.array(_numbers(found) >> batch.HALF)

    def pairs(members: Any) -> Any:
        return _lists([_packed(batch.pairs_of(texts)) for texts in _arrays(members)])

    def unpair(packed: Any) -> Any:
        words = np.frombuffer(b"".join(packed.to_arrow().to_pylist()), dtype=">u8").reshape(-1, 2)
        arrays = [pa.array(words[:, 0].astype(np.uint64)), pa.array(words[:, 1].astype(np.uint64))]
        return pa.StructArray.from_arrays(arrays, names=["left", "right"])

    def enough(shared: Any, left: Any, right: Any) -> Any:
        smaller = np.minimum(_numbers(left), _numbers(right)).astype(np.int64)
        return pa.array(batch.enough(_numbers(shared).astype(np.int64), smaller, one()))

    def ranked(size: Any, shingle: Any) -> Any:
        return pa.array((_numbers(size).astype(np.uint64) << batch.HALF) | _numbers(shingle))

    def starved(crowded: Any, sampled: Any) -> Any:
        return pa.array(batch.starved(_numbers(crowded).astype(np.int64), _numbers(sampled).astype(np.int64)))

    def smallest(ranks: Any) -> Any:
        low = np.uint64(0xFFFFFFFF)
        return _lists([batch.smallest_groups(r >> batch.HALF, r & low) for r in _arrays(ranks)], pa.uint64())

    def sketched(shingle: Any, found: Any, text: Any) -> Any:
        values, starts = _flat(found)
        sketch = batch.sketches(_numbers(shingle), values, starts)
        return pa.array(_packed(np.stack([sketch, _numbers(text)], axis=1)), pa.large_binary())

    def neighbours(members: Any) -> Any:
        out = []
        for some in members.to_arrow().to_pylist():
            words = np.frombuffer(b"".join(some), dtype=">u8").reshape(-1, 2).astype(np.uint64)
            out.append(_packed(batch.neighbours(words[:, 1], words[:, 0], settings_neighbours)))
        return _lists(out)

    settings_neighbours = settings.neighbours

    def overlap(left: Any, right: Any) -> Any:
        shared, smaller = [], []
        for a, b in zip(_arrays(left), _arrays(right), strict=True):
            both = np.concatenate([a, b])
            at = np.array([0, len(a), len(both)], dtype=np.int64)
            shared.append(kernels.shared_features(both, at, 0, 1))
            smaller.append(min(len(a), len(b)))
        return pa.array(
            batch.enough(np.array(shared, dtype=np.int64), np.array(smaller, dtype=np.int64), one())
        )

    def judge(left: Any, right: Any) -> Any:
        same, similarity = batch.verdicts(_texts(left), _texts(right), one())
        arrays = [pa.array(same), pa.array(similarity)]
        return pa.StructArray.from_arrays(arrays, names=["same", "similarity"])

    read = t.struct({"text_hash": t.uint64(), "features": t.list(t.uint64()), "sampled": t.int64()})
    judged = t.struct({"same": t.bool(), "similarity": t.float32()})
    make = daft.func.batch
    return {
        "features": make(return_dtype=read, unnest=True)(features),
        "upper": make(return_dtype=t.uint64())(upper),
        "pairs": make(return_dtype=t.list(t.binary()))(pairs),
        "unpair": make(return_dtype=pair, unnest=True)(unpair),
        "enough": make(return_dtype=t.bool())(enough),
        "ranked": make(return_dtype=t.uint64())(ranked),
        "starved": make(return_dtype=t.bool())(starved),
        "smallest": make(return_dtype=t.list(t.uint64()))(smallest),
        "sketched": make(return_dtype=t.binary())(sketched),
        "neighbours": make(return_dtype=t.list(t.binary()))(neighbours),
        "overlap": make(return_dtype=t.bool())(overlap),
        "judge": make(return_dtype=judged, unnest=True)(judge),
    }


def _finder(daft: Any) -> Any:
    """A class whose instances load the detector once and scan batches."""

    @daft.cls
    class Finder:
        def __init__(self, policy: str) -> None:
            from curate.privacy import Detector

            self.detector = Detector.from_policy(json.loads(policy) or "default")

        @daft.method.batch(return_dtype=daft.DataType.string())
        def find(self, texts: Any) -> Any:
            return pa.array(
                [as_json(found) for found in self.detector.scan(_texts(texts).to_list())], pa.large_string()
            )

    return Finder


def as_json(findings: Any) -> str:
    """Findings of one text as ``findings.parquet`` keeps them."""
    return json.dumps(
        [
            {
                "start": f.start,
                "end": f.end,
                "entity_type": f.entity_type,
                "score": round(float(f.score), 6),
                "recognizer": f.recognizer,
            }
            for f in findings
        ]
    )


def _texts(column: Any) -> pl.Series:
    series = pl.Series("text", column.to_arrow())
    if series.null_count():
        raise ScaleError("a row has no text (null); drop it or fill it with an empty text first")
    return series.cast(pl.String)


def _numbers(column: Any) -> np.ndarray:
    return column.to_arrow().to_numpy(zero_copy_only=False)


def _flat(column: Any) -> tuple[np.ndarray, np.ndarray]:
    """Values and starts of a list column."""
    lists = column.to_arrow()
    starts = np.asarray(lists.offsets).astype(np.int64)
    values = np.asarray(lists.values)
    return np.ascontiguousarray(values[starts[0] : starts[-1]], dtype=np.uint64), starts - starts[0]


def _arrays(column: Any) -> list[np.ndarray]:
    values, starts = _flat(column)
    return [values[low:high] for low, high in pairwise(starts)]


def _packed(pairs: np.ndarray) -> list[bytes]:
    """Two numbers as sixteen bytes: one value that any engine can group by."""
    data = np.ascontiguousarray(pairs.astype(">u8")).tobytes()
    return [data[at : at + 16] for at in range(0, len(data), 16)]


def _lists(values: list[Any], kind: pa.DataType | None = None) -> pa.Array:
    return pa.array(values, pa.large_list(kind or pa.large_binary()))


# --- on the driver ------------------------------------------------------------------------------------------


def _as_edges(near: pl.DataFrame, exact: pl.DataFrame) -> pl.DataFrame:
    near = near.select("left_id", "right_id", pl.col("similarity").cast(pl.Float32), kind=pl.lit("near"))
    same = exact.select(
        "left_id",
        "right_id",
        similarity=pl.lit(1.0, dtype=pl.Float32),
        kind=pl.when("same").then(pl.lit("identical")).otherwise(pl.lit("normalised")),
    )
    return (
        pl.concat([same, near], how="vertical_relaxed")
        .select(
            left=pl.min_horizontal("left_id", "right_id"),
            right=pl.max_horizontal("left_id", "right_id"),
            similarity="similarity",
            kind="kind",
        )
        .sort("left", "right")
    )


def _components(edges: pl.DataFrame) -> pl.DataFrame:
    """id, cluster (its smallest id) of every row with an edge; ids are numbered in their order."""
    ids = pl.concat([edges["left"], edges["right"]]).unique().sort()
    parent = np.arange(len(ids), dtype=np.int64)
    kernels.union(
        ids.search_sorted(edges["left"]).to_numpy().astype(np.int64),
        ids.search_sorted(edges["right"]).to_numpy().astype(np.int64),
        parent,
    )
    return pl.DataFrame({"id": ids, "cluster": ids.gather(parent)})

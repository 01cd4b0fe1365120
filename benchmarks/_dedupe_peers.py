"""One contestant in a fresh process: ``python benchmarks/_dedupe_peers.py NAME TEXTS.parquet OUT.json [K=V …]``.

Reads the texts, warms itself up (compiled kernels, imports), then measures one run: wall seconds, CPU seconds of
the process and its threads, and memory above what it held with the texts loaded. Writes cluster labels (or, for
peers that only flag rows, flags). Contestants other than ours use their own recommended text preparation: lower
case, words, 3-grams, 126-128 permutations.

Does not cover: scores (``_dedupe_corpus.py``) and goals (``dedupe.py``).
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

Labels = tuple[str, np.ndarray]  # ("labels" | "flags", one value per row)


def ours(texts: pl.Series, **options: float) -> Callable[[], Labels]:
    """Clusters with pairs, similarities and what to keep."""
    from curate.dedupe import find_duplicates, warm_up

    warm_up()
    whole: dict[str, Any] = {k: int(v) if float(v).is_integer() else v for k, v in options.items()}

    def run() -> Labels:
        result = find_duplicates(texts, **whole)
        result.pairs  # noqa: B018  built on demand; part of what is asked
        return "labels", result.labels.to_numpy()

    return run


def _connect(n: int, groups: Iterable[list[int]]) -> np.ndarray:
    parent = list(range(n))

    def find(x: int) -> int:
        while parent[x] != x:
            parent[x] = parent[parent[x]]
            x = parent[x]
        return x

    for group in groups:
        first = find(group[0])
        for other in group[1:]:
            root = find(other)
            if root != first:
                parent[max(root, first)] = min(root, first)
                first = min(root, first)
    return np.array([find(i) for i in range(n)])


_WORD = re.compile(r"\w+")


def _shingles(text: str) -> list[str]:
    words = _WORD.findall(text.lower())
    return [" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2))]


def rensa(texts: pl.Series, threshold: float = 0.7) -> Callable[[], Labels]:
    """R-MinHash with 128 permutations, banded LSH, estimated Jaccard verified."""
    from rensa import RMinHash, RMinHashLSH

    documents = texts.to_list()

    def run() -> Labels:
        hashes = RMinHash.from_token_sets([_shingles(t) for t in documents], num_perm=128, seed=42)
        index = RMinHashLSH(threshold=threshold, num_perm=128, num_bands=16 if threshold > 0.65 else 32)
        index.insert_pairs(list(enumerate(hashes)))
        groups = []
        for i, mine in enumerate(hashes):
            for j in index.query(mine):
                if j > i and mine.jaccard(hashes[j]) >= threshold:
                    groups.append([i, j])
        return "labels", _connect(len(documents), groups)

    return run


def datasketch(texts: pl.Series, threshold: float = 0.7) -> Callable[[], Labels]:
    """MinHashLSH with 128 permutations, estimated Jaccard verified."""
    from datasketch import MinHash, MinHashLSH

    documents = texts.to_list()

    def run() -> Labels:
        hashes = MinHash.bulk([[s.encode() for s in _shingles(t)] for t in documents], num_perm=128)
        index = MinHashLSH(threshold=threshold, num_perm=128)
        with index.insertion_session() as session:
            for i, mine in enumerate(hashes):
                session.insert(i, mine, check_duplication=False)
        groups = [
            [i, j]
            for i, mine in enumerate(hashes)
            for j in index.query(mine)
            if j > i and mine.jaccard(hashes[j]) >= threshold
        ]
        return "labels", _connect(len(documents), groups)

    return run


def daft(texts: pl.Series, bands: float = 14, rows: float = 9) -> Callable[[], Labels]:
    """MinHash (126 permutations) and a band join, all native; components of the band groups."""
    import daft as df
    from daft import col
    from daft import functions as f

    table = texts.to_arrow()
    n = len(texts)
    df.from_pydict({"warm": ["up"]}).with_column(
        "m", f.minhash(col("warm"), num_hashes=4, ngram_size=1)
    ).collect()

    def run() -> Labels:
        frame = df.from_pydict({"id": np.arange(n), "text": table})
        clean = f.regexp_replace(f.lower(col("text")), r"[^\w]+", " ")
        hashed = frame.select(
            col("id"),
            f.minhash(clean, num_hashes=int(bands * rows), ngram_size=3, hash_function="xxhash").alias("m"),
        )
        banded = hashed.select(
            col("id"),
            f.chunk(col("m"), int(rows)).alias("part"),
            df.lit(list(range(int(bands)))).alias("band"),
        ).explode("part", "band")
        groups = banded.groupby("band", "part").agg(col("id").list_agg().alias("ids"))
        lists = groups.select("ids").to_arrow().column("ids").to_pylist()
        return "labels", _connect(n, (g for g in lists if len(g) > 1))

    return run


def semhash(texts: pl.Series, threshold: float = 0.5) -> Callable[[], Labels]:
    """Embedding dedupe over an IDF-weighted static model with random word vectors (a trained one does not know
    the invented words). Only flags rows."""
    from model2vec import StaticModel
    from semhash import SemHash
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.normalizers import Lowercase
    from tokenizers.pre_tokenizers import Whitespace

    documents = texts.to_list()
    seen: dict[str, int] = {}
    for text in documents:
        for word in set(_WORD.findall(text.lower())):
            seen[word] = seen.get(word, 0) + 1
    vocabulary = {"[UNK]": 0, **{w: i + 1 for i, w in enumerate(sorted(seen))}}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    weights = np.array([0.0, *(np.log(1 + len(documents) / seen[w]) for w in sorted(seen))])
    vectors = np.random.default_rng(1).normal(size=(len(vocabulary), 256)) * weights[:, None]
    model: Any = StaticModel(vectors.astype(np.float32), tokenizer, {"normalize": True})
    numbered = [{"text": t, "row": i} for i, t in enumerate(documents)]

    def run() -> Labels:
        index = SemHash.from_records(records=numbered, columns=["text"], model=model)
        result = index.self_deduplicate(threshold=threshold)
        flags = np.ones(len(documents), dtype=bool)
        flags[[record["row"] for record in result.selected]] = False
        return "flags", flags

    return run


CONTESTANTS: dict[str, Callable[..., Callable[[], Labels]]] = {
    "ours": ours,
    "rensa": rensa,
    "datasketch": datasketch,
    "daft": daft,
    "semhash": semhash,
}


def _resident() -> int:
    with Path("/proc/self/statm").open() as f:
        return int(f.read().split()[1]) * resource.getpagesize()


def main(name: str, texts: str, out: str, options: dict[str, float]) -> None:
    series = pl.read_parquet(texts, columns=["text"])["text"]
    try:
        run = CONTESTANTS[name](series, **options)
    except ImportError as error:
        Path(out).write_text(json.dumps({"missing": str(error)}))
        return
    before = _resident()
    peak = before
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.02):
            peak = max(peak, _resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    wall, cpu = time.perf_counter(), time.process_time()
    kind, values = run()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    done.set()
    watcher.join()
    np.save(out + ".npy", values)
    version = importlib.metadata.version({"ours": "numba"}.get(name, name))
    Path(out).write_text(
        json.dumps(
            {"wall": wall, "cpu": cpu, "above": max(0, peak - before), "kind": kind, "version": version}
        )
    )


if __name__ == "__main__":
    name, texts, out, *pairs = sys.argv[1:]
    main(name, texts, out, {k: float(v) for k, v in (pair.split("=") for pair in pairs)})

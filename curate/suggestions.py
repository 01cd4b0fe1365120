"""What a model would answer, kept beside a pair: asked for by a job, scored, shown, and taken by a person or not.

Covers: which pairs are put to a model, the job's work, storing suggestions, which revision began as one. Does not
cover: editing (`curate.review.decide`): a suggestion is never a completion until somebody saves it as an edit, which
another person approves; nor generating and scoring themselves (`evals`).
"""

from __future__ import annotations

import json
import re
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import polars as pl

from curate import rules
from curate.contract import canonical_json, sha256_hex
from curate.errors import NotFound, UsageError
from curate.store import Store, Tx, utcnow
from curate.tasks import load_pack
from curate.workspace import Workspace

if TYPE_CHECKING:
    from evals.generate import Generator

CHUNK = 16  # pairs a chunk: a model on two cores takes a while for each
AT_ONCE = 2_000
LEFT_OUT = "left_out.json"
#: a text that may still hold personal data, or that no snapshot will take, is put to no model
NOT_ASKED = frozenset({"not_scanned", "old_scan", "open_findings", "expired"})
_NO_CODE = re.compile(r"[^\w.:@/+=,#~-]")  # what the event log would take for text
RESULT = {
    "pair_id": pl.String(),
    "asked": pl.String(),
    "completion": pl.String(),
    "metric": pl.String(),
    "score": pl.Float64(),
    "scores": pl.String(),
}

_UNDECIDED = """
SELECT s.pair_id, p.source, t.system, t.history, t.prompt, t.completion, t.metadata
FROM pair_state s JOIN pairs p ON p.pair_id = s.pair_id
JOIN revision_text t ON t.pair_id = s.pair_id AND t.rev = s.rev
WHERE s.task = $task AND s.status IN ('ready', 'held', 'returned')
ORDER BY s.pair_id
"""


def asked_sha256(text: Mapping[str, Any]) -> str:
    """What a suggestion answers: the hash of ``system``, ``history`` (list) and ``prompt``."""
    return sha256_hex(canonical_json([text["system"] or "", text["history"], text["prompt"]]))


def voice_of(spec: Mapping[str, Any]) -> str:
    """The name under which a job's suggestions are shown: the version, ``base``, or ``model@host``."""
    if spec["endpoint"]:
        host = urlsplit(spec["endpoint"]).netloc.rpartition("@")[2]  # without a password
        return _NO_CODE.sub("-", f"{spec['endpoint_model']}@{host}")
    return Path(spec["model"]).name if spec["model"] else "base"


# --- the job ------------------------------------------------------------------------------------------------


def prepare(store: Store, workspace: Workspace, spec: dict[str, Any], folder: Path) -> None:
    """Export what this model has not answered yet, and say why each other undecided pair is left out."""
    rows = [rules.decoded(row) for row in store.rows(_UNDECIDED, {"task": spec["task"]})]
    known = {
        (row["pair_id"], row["asked"])
        for row in store.rows("SELECT pair_id, asked FROM suggestions WHERE model = ?", [voice_of(spec)])
    }
    left_out: Counter[str] = Counter()
    chosen: list[dict[str, Any]] = []
    for start in range(0, len(rows), AT_ONCE):
        part = rows[start : start + AT_ONCE]
        states = rules.facts(store, [row["pair_id"] for row in part])
        for row in part:
            codes = [code for code, _ in rules.blocking(states[row["pair_id"]])]
            barred = next((code for code in codes if code in NOT_ASKED), None)
            asked = asked_sha256(row)
            if barred or (row["pair_id"], asked) in known:
                left_out[barred or "answered_before"] += 1
            elif len(chosen) == spec["limit"]:
                left_out["over_the_limit"] += 1
            else:
                chosen.append(row | {"asked": asked})
    for number, start in enumerate(range(0, len(chosen), CHUNK)):
        part = [
            row | {name: json.dumps(row[name], ensure_ascii=False) for name in ("history", "metadata")}
            for row in chosen[start : start + CHUNK]
        ]
        pl.DataFrame(part, infer_schema_length=None).write_parquet(folder / "in" / f"{number:05d}.parquet")
    (folder / LEFT_OUT).write_text(json.dumps(dict(left_out)), "utf-8")


def work(
    folder: Path, spec: dict[str, Any], chunk: pl.DataFrame, report: Callable[[dict[str, Any]], None]
) -> pl.DataFrame:
    """Answer and score one chunk, in the job's process. Answers go nowhere but into the store."""
    from curate.scores import judge
    from train.render import messages_of

    pack_folder = Path(spec["pack"])
    pack = load_pack(pack_folder)
    rows = chunk.to_dicts()
    answers = _generator(canonical_json(spec)).generate(
        [messages_of({**row, "system": row["system"] or pack.system}) for row in rows],
        max_new_tokens=spec["max_new_tokens"] or pack.model.generation.max_new_tokens,
        repetition_penalty=pack.model.generation.repetition_penalty,
        progress=lambda done, total: report({"done": done, "total": total, "message": voice_of(spec)}),
    )
    texts = [answer.text for answer in answers]
    made = []
    for row, text, scores in zip(rows, texts, judge(pack_folder, pack, rows, texts), strict=True):
        first = scores[0] if scores else {"metric": None, "score": None}
        made.append(
            {
                "pair_id": row["pair_id"],
                "asked": row["asked"],
                "completion": text,
                "metric": first["metric"],
                "score": first["score"],
                "scores": json.dumps(scores, ensure_ascii=False),
            }
        )
    return pl.DataFrame(made, schema=RESULT)


@lru_cache(maxsize=1)
def _generator(spec_json: bytes) -> Generator:
    """The job's model, loaded once a process."""
    from curate.playground import shared_base
    from evals.generate import Endpoint, LocalModel

    spec = json.loads(spec_json)
    if spec["endpoint"]:
        return Endpoint(spec["endpoint"], spec["endpoint_model"], spec["api_key_env"])
    models = [Path(spec["model"])] if spec["model"] else []
    base, template = shared_base(models, load_pack(spec["pack"]))
    return LocalModel(
        base, models[0] if models else None, threads=spec["threads"], precision="auto", template=template
    )


def ingest(tx: Tx, workspace: Workspace, job: dict[str, Any], frame: pl.DataFrame) -> None:
    """Keep a chunk's suggestions beside their pairs; empty ones, and those of pairs erased meanwhile, are dropped."""
    voice = voice_of(job["spec"])
    ids = frame["pair_id"].to_list()
    alive = {pair for pair, state in tx.states(ids).items() if state["status"] != "erased"}
    known = {
        (row["pair_id"], row["asked"])
        for row in tx.rows(
            "SELECT pair_id, asked FROM suggestions WHERE model = $model"
            " AND pair_id IN (SELECT unnest($ids::VARCHAR[]))",
            {"model": voice, "ids": ids},
        )
    }
    rows = [
        {
            **row,
            "suggestion_id": f"g-{secrets.token_hex(8)}",
            "model": voice,
            "job_id": job["job_id"],
            "ts": utcnow(),
        }
        for row in frame.iter_rows(named=True)
        if row["completion"].strip()
        and row["pair_id"] in alive
        and (row["pair_id"], row["asked"]) not in known
    ]
    tx.insert("suggestions", pl.DataFrame(rows, infer_schema_length=None))
    tx.event("suggested", job["actor"], job=job["job_id"], model=voice, asked=len(ids), kept=len(rows))


def finish(store: Store, workspace: Workspace, job: dict[str, Any]) -> dict[str, Any]:
    """``model``, ``asked``, ``suggested``, ``scored``, ``empty``, ``left_out`` (reason -> pairs)."""
    folder = workspace.jobs / job["job_id"]
    frames = [pl.read_parquet(path) for path in sorted((folder / "out").glob("*.parquet"))]
    texts = [text for frame in frames for text in frame["completion"]]
    kept = store.one(
        "SELECT count(*) AS n, count(score) AS scored FROM suggestions WHERE job_id = ?", [job["job_id"]]
    ) or {"n": 0, "scored": 0}
    return {
        "model": voice_of(job["spec"]),
        "asked": len(texts),
        "suggested": kept["n"],
        "scored": kept["scored"],
        "empty": sum(not text.strip() for text in texts),
        "left_out": json.loads((folder / LEFT_OUT).read_text("utf-8")),
    }


# --- beside the pair ----------------------------------------------------------------------------------------


def offered(store: Store, texts: Mapping[str, Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Pair -> suggestions for the prompt as it is now that differ from its completion, the best score first.

    ``texts``: current revision by pair, with ``system``, ``history`` (list), ``prompt``, ``completion``.
    """
    rows = store.rows(
        "SELECT * FROM suggestions WHERE pair_id IN (SELECT unnest($ids::VARCHAR[]))"
        " ORDER BY score DESC NULLS LAST, ts DESC, suggestion_id",
        {"ids": list(texts)},
    )
    found: dict[str, list[dict[str, Any]]] = {}
    hashes: dict[str, str] = {}
    for row in rows:
        pair = row["pair_id"]
        text = texts[pair]
        if pair not in hashes:
            hashes[pair] = asked_sha256(text)
        if row["asked"] == hashes[pair] and row["completion"] != text["completion"]:
            shown = {name: row[name] for name in ("suggestion_id", "model", "completion", "metric", "score")}
            found.setdefault(pair, []).append(shown | {"scores": json.loads(row["scores"]), "ts": row["ts"]})
    return found


def began(store: Store, pair_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Pair -> ``{rev, model, metric, score, changed}`` of its newest revision that began as a suggestion.

    ``changed``: whether the person who took it wrote something else before saving. After an erasure nothing is told.
    """
    rows = store.rows(
        "SELECT u.pair_id, u.rev, u.changed, g.model, g.metric, g.score FROM suggestion_uses u"
        " JOIN suggestions g ON g.suggestion_id = u.suggestion_id"
        " WHERE u.pair_id IN (SELECT unnest($ids::VARCHAR[])) ORDER BY u.rev",
        {"ids": list(pair_ids)},
    )
    return {row["pair_id"]: {name: row[name] for name in row if name != "pair_id"} for row in rows}


def text_of(tx: Tx, pair_id: str, suggestion: str, prompt: Mapping[str, Any]) -> str:
    """The text of a suggestion that is about to be taken. Raises `NotFound`, `UsageError` for another prompt's."""
    row = tx.one(
        "SELECT asked, completion FROM suggestions WHERE suggestion_id = ? AND pair_id = ?",
        [suggestion, pair_id],
    )
    if row is None:
        raise NotFound(f"Pair {pair_id} has no suggestion {suggestion!r}. `review.item` lists them.")
    if row["asked"] != asked_sha256(prompt):
        raise UsageError(
            f"Suggestion {suggestion} answers an earlier prompt of pair {pair_id}. Run `goldpair suggest` again."
        )
    return str(row["completion"])

"""Live checks of one pair: the task's own scorers and the training tokenizer, beside the text being judged.

Covers: a helper process that keeps the heavy libraries out of the server, asking it, plain results; the rows of a
snapshot as a model will see them. Does not cover: scoring a suite (`evals.run`), the gate before training
(`train.checks`). What cannot run here is said so, never taken for a pass.

Run as a module it *is* the helper: one JSON request a line on standard input, one answer a line.
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curate.store import Store

PATIENCE_S = 120.0  # for one pair, once the libraries are loaded
IDLE_S = 900.0
SHOWN = 12  # findings of one scorer that are shown


class Checker:
    """The helper process; started at the first question, ended when idle or when this process ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[str | None] = queue.Queue()
        self._warm = threading.Event()

    @classmethod
    def of(cls, store: Store) -> Checker:
        """The helper of a store's server."""
        found: Checker = store.services.setdefault("checks", cls())
        return found

    def ask(self, pack_dir: Path, row: Mapping[str, Any], wait_s: float = 2.0) -> dict[str, Any]:
        """Checks of one pair: ``{"checks": [{name, state, ...}]}``; ``state`` is ok, problem or not_run.

        ``{"checks": [], "busy": True}`` when the helper still starts or works for others after ``wait_s`` seconds:
        no thread of the server waits longer for it. Ask again.
        """
        return self._send({"pack": str(pack_dir), "row": dict(row)}, {"checks": []}, wait_s)

    def rendered(self, snapshot: Path, pack_dir: Path, wait_s: float = 2.0) -> dict[str, Any]:
        """What `rendered_rows` says of a snapshot, or ``busy`` as in `ask`."""
        return self._send({"pack": str(pack_dir), "snapshot": str(snapshot)}, {"rows": []}, wait_s)

    def _send(self, request: dict[str, Any], nothing: dict[str, Any], wait_s: float) -> dict[str, Any]:
        """One request's answer; ``nothing`` stands in for it while the helper is busy, or fails."""
        give_up = time.monotonic() + wait_s
        if not self._lock.acquire(timeout=wait_s):
            return nothing | {"busy": True}
        try:
            if self._process is None or self._process.poll() is not None:
                self._start()
            if not self._warm.wait(max(0.0, give_up - time.monotonic())):
                return nothing | {"busy": True}
            assert self._process is not None and self._process.stdin is not None
            try:
                self._process.stdin.write(json.dumps(request) + "\n")
                self._process.stdin.flush()
                answer = self._answers.get(timeout=PATIENCE_S)
            except (OSError, queue.Empty):
                answer = None
            if answer is None:
                self.close()
                why = "The helper process gave no answer. It starts anew next time."
                return _failed(request, why)
            return json.loads(answer)
        finally:
            self._lock.release()

    def _start(self) -> None:
        self._answers, self._warm = queue.Queue(), threading.Event()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "curate.checks"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        given = (self._process, self._answers, self._warm)
        threading.Thread(target=self._read, args=given, daemon=True).start()

    @staticmethod
    def _read(
        process: subprocess.Popen[str], answers: queue.Queue[str | None], warm: threading.Event
    ) -> None:
        for line in process.stdout or ():
            if warm.is_set():
                answers.put(line)
            warm.set()  # its first line says that its libraries are loaded
        answers.put(None)
        warm.set()

    def close(self) -> None:
        """End the helper."""
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._process.kill()
            self._process.wait()
            self._process = None


def _not_run(name: str, why: str) -> dict[str, Any]:
    return {"name": name, "state": "not_run", "detail": why, "findings": []}


def _failed(request: Mapping[str, Any], why: str) -> dict[str, Any]:
    return {"rows": [], "problem": why} if "snapshot" in request else {"checks": [_not_run("checks", why)]}


def rendered_rows(snapshot: Path, pack_dir: Path) -> dict[str, Any]:
    """The first rows of a snapshot's training split as the base model gets them, as many as one step learns from.

    ``{"base", "rows": [{"pair_id", "pieces": [{"text", "learned"}]}], "problem"}``; without rows ``problem`` says why.
    """
    from curate.tasks import load_pack
    from train import load_recipe, preflight
    from train.base import resolve
    from train.checks import masked_view
    from train.render import load_tokenizer

    pack = load_pack(pack_dir)
    base, recipe = pack.model.base, load_recipe(pack.training)
    if base.count("/") == 1 and not Path(base).exists():
        why = "The base model comes from a hub; it is fetched by training only."
        return {"base": base, "rows": [], "problem": why}
    found = preflight(snapshot, recipe, base)
    tokenizer = load_tokenizer(resolve(base), recipe.template)
    problem = "" if found.train else "No row can be learned from. Preflight lists them."
    return {"base": base, "rows": masked_view(tokenizer, found.train[: recipe.batch]), "problem": problem}


def examine(pack_dir: Path, row: Mapping[str, Any]) -> dict[str, Any]:
    """Every check of one pair, in this process. ``row``: pair_id, source, system, history, prompt, completion."""
    from curate.tasks import load_pack

    pack = load_pack(pack_dir)
    found, seen = [], set()
    for suite in pack.suites:
        if suite.metric not in seen:
            seen.add(suite.metric)
            found.append(_scored(suite, pack_dir, row, pack.gate.critical))
    found.append(_tokens(pack, row))
    return {"checks": found}


def _scored(suite: Any, pack_dir: Path, row: Mapping[str, Any], critical: list[str]) -> dict[str, Any]:
    from curate.tasks import EvalRow
    from evals.run import score_texts

    asked = EvalRow(
        id=row["pair_id"],
        source=row["source"],
        prompt=row["prompt"],
        history=list(row["history"]),
        metadata=dict(row.get("metadata") or {}),
    )
    try:
        result = score_texts(
            suite.metric, [asked], [row["completion"]], suite.params | suite.gold.params, pack_dir
        )
    except Exception as error:  # a scorer that needs a reference, a model or a sandbox says so here
        return _not_run(
            suite.metric, str(error).splitlines()[0][:300] if str(error) else type(error).__name__
        )
    evidence = (result.get("evidence") or [[]])[0]
    telling = [one for one in evidence if one.get("critical") or not one.get("support")]
    bad = [one for one in evidence if one.get("critical")]
    subscores = (result.get("subscores") or [{}])[0]
    score = float(result["scores"][0]) if result.get("scores") else None
    return {
        "name": suite.metric,
        "state": "problem" if bad else "ok",
        "score": score,
        "subscores": {name: float(v) for name, v in subscores.items() if isinstance(v, int | float)},
        "findings": [
            {
                "kind": str(one.get("kind", "")),
                "span": str(one.get("span") or "")[:200],
                "critical": bool(one.get("critical")),
            }
            for one in (bad + [one for one in telling if one not in bad])[:SHOWN]
        ],
        "detail": "",
    }


def _tokens(pack: Any, row: Mapping[str, Any]) -> dict[str, Any]:
    name = "training length"
    try:
        from train import load_recipe
        from train.base import resolve
        from train.render import encode_prompts, load_tokenizer, messages_of

        if pack.model.base.count("/") == 1 and not Path(pack.model.base).exists():
            return _not_run(name, "The base model comes from a hub; it is fetched by training only.")
        recipe = load_recipe(pack.training)
        tokenizer = load_tokenizer(resolve(pack.model.base), recipe.template)
        prompt = encode_prompts(tokenizer, [messages_of({**row, "system": row["system"] or pack.system})])[0]
        n = len(prompt) + len(tokenizer(row["completion"], add_special_tokens=False)["input_ids"]) + 1
    except Exception as error:
        return _not_run(name, str(error).splitlines()[0][:300])
    over = n > recipe.max_length
    words = f"{n} of {recipe.max_length} tokens" + (": too long, training would refuse it" if over else "")
    return {"name": name, "state": "problem" if over else "ok", "tokens": n, "detail": words, "findings": []}


def _requests() -> Iterator[dict[str, Any]]:
    import selectors

    with selectors.DefaultSelector() as waiting:
        waiting.register(sys.stdin, selectors.EVENT_READ)
        while waiting.select(IDLE_S):
            line = sys.stdin.readline()
            if not line:
                return
            yield json.loads(line)


def main() -> None:
    """Answer until standard input ends or nobody asks for a while."""
    import os

    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    os.nice(5)
    import evaluate  # noqa: F401  these take their time, once
    from transformers import AutoTokenizer  # noqa: F401

    import evals.run  # noqa: F401

    answers.write("{}\n")
    answers.flush()
    for request in _requests():
        try:
            if "snapshot" in request:
                answer = rendered_rows(Path(request["snapshot"]), Path(request["pack"]))
            else:
                answer = examine(Path(request["pack"]), request["row"])
        except Exception as error:
            answer = _failed(request, f"{type(error).__name__}: {error}"[:300])
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()

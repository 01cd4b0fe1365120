"""Asking model versions by hand: a talk in the terminal, and the same question to several versions side by side.

Covers: which voices share one base in memory, the turns of a talk, text that is safe to print. Does not cover: judging
(`evals` does, on frozen questions; a playground proves nothing), nor serving a model to others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import UsageError
from curate.release import base_of
from curate.tasks import TaskPack
from curate.workspace import Workspace

if TYPE_CHECKING:
    from evals.generate import Generator

BASE = "base"


def shared_base(models: Sequence[Path], pack: TaskPack) -> tuple[str, str]:
    """(base model, template) that all versions share; the pack's without versions. Raises `UsageError`."""
    found = {base_of(folder, pack) for folder in models}
    if len(found) > 1:
        raise UsageError(
            f"{', '.join(folder.name for folder in models)} stand on different bases: "
            f"{', '.join(sorted(name for name, _ in found))}. Ask those of one base at a time."
        )
    return found.pop() if found else base_of(None, pack)


def voices(models: Sequence[Path], pack: TaskPack, *, base: bool, threads: int) -> dict[str, Generator]:
    """Name -> generator, all on one copy of the base's weights; ``base`` adds the plain base itself, first."""
    from evals.generate import LocalModel

    name, template = shared_base(models, pack)
    plain = LocalModel(name, threads=threads, precision="auto", template=template)
    found: dict[str, Generator] = {BASE: plain} if base else {}
    return found | {folder.name: plain.with_adapter(folder) for folder in models}


def answer(
    workspace: Workspace, spec: dict[str, Any], report: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """One conversation to every voice of an ``ask`` job (`curate.ops.models.AskRequest`), in the job's process."""
    from curate.tasks import load_pack
    from evals.generate import CachedGenerator

    pack = load_pack(Path(spec["pack"]))
    models = [Path(folder) for folder in spec["models"]]
    found = voices(models, pack, base=spec["base"], threads=spec["threads"])
    answers = []
    for number, (name, voice) in enumerate(found.items()):
        report({"done": number, "total": len(found), "message": name})
        made = CachedGenerator(voice, workspace.cache / "generations").generate(
            [spec["conversation"]],
            max_new_tokens=spec["max_new_tokens"],
            repetition_penalty=pack.model.generation.repetition_penalty,
        )[0]
        answers.append({"voice": name, "text": made.text, "tokens": made.completion_tokens})
    return {"answers": answers}


def converse(
    found: dict[str, Generator], pack: TaskPack, asked: Iterable[str], max_new_tokens: int | None = None
) -> Iterator[dict[str, Any]]:
    """Answer one line after the other, each voice with its own earlier answers in mind.

    Gives ``{prompt, answers: {voice: text}}`` for each line. An empty line is passed over, ``/reset`` forgets what was
    said, ``/quit`` ends.
    """
    start = [{"role": "system", "content": pack.system}] if pack.system else []
    said: dict[str, list[dict[str, str]]] = {name: list(start) for name in found}
    for line in asked:
        prompt = line.strip()
        if prompt == "/quit":
            return
        if prompt == "/reset":
            said = {name: list(start) for name in found}
        elif prompt:
            answers = {}
            for name, voice in found.items():
                said[name].append({"role": "user", "content": prompt})
                answers[name] = voice.generate(
                    [said[name]],
                    max_new_tokens=max_new_tokens or pack.model.generation.max_new_tokens,
                    repetition_penalty=pack.model.generation.repetition_penalty,
                )[0].text
                said[name].append({"role": "assistant", "content": answers[name]})
            yield {"prompt": prompt, "answers": answers}


def printable(text: str) -> str:
    """Text as a terminal may show it: what a model wrote must not move its cursor or change its title."""
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)

"""Consultations as PriMock57 publishes them: a Praat TextGrid for each speaker, a JSON note for each consultation.

Covers: reading a TextGrid (long and short text form, any number of tiers), joining the speakers of a consultation by
time, pairing with its note, a refusal for each file that has no partner or cannot be read.
Does not cover: binary TextGrids, audio, point tiers (labels without a duration are not speech).

**The pairing rule.** ``NAME_doctor.TextGrid`` and ``NAME_patient.TextGrid`` (any word after the last underscore is the
speaker) belong to the note ``NAME.json``, wherever in the folder each of them stands. The prompt has one line for each
stretch of speech, ``[speaker] words``, in the order in which they began; the completion is the note's field ``note``;
every other field of the note is metadata. Words marked ``<UNSURE>`` stay without the mark, what the transcriber could
not hear (``<UNIN/>``, ``<INAUDIBLE_SPEECH/>``) becomes ``[unintelligible]``, and ``metadata.marks`` counts both.

Form: https://www.fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html (only free-standing numbers, quoted texts and
flags carry meaning; ``""`` inside a text is one quote).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from curate.records.jsontext import STRICT, DuplicateKey
from curate.records.rows import Bad, Refused, Row, check_text, check_value, excerpt, printable
from curate.records.shapes import text_of

Read = Callable[[Path], tuple[str, list[str]]]
SUFFIX = ".textgrid"
_TOKEN = re.compile(
    r'"(?P<text>(?:[^"]|"")*)"|(?P<flag><[a-z]+>)|(?<!\S)(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?!\S)'
)
_UNSURE = re.compile(r"</?UNSURE>", re.IGNORECASE)
_UNHEARD = re.compile(r"<(?:UNIN|INAUDIBLE_SPEECH|INAUDIBLE)/?>", re.IGNORECASE)


def intervals(text: str) -> list[tuple[float, float, str]]:
    """``(start, end, words)`` of every labelled interval of a TextGrid, in seconds, tier by tier.

    Raises `Refused` (``unreadable``, ``truncated``) for a text that is none, or breaks off.
    """
    tokens: list[str | float] = []
    for found in _TOKEN.finditer(text):
        if found["text"] is not None:
            tokens.append(found["text"].replace('""', '"'))
        elif found["number"] is not None:
            tokens.append(float(found["number"]))
    if tokens[:2] != ["ooTextFile", "TextGrid"]:
        raise Refused("unreadable", "this is no TextGrid in Praat's text form")
    at = 4  # after the file's own start and end

    def take(kind: type) -> Any:
        nonlocal at
        if at >= len(tokens):
            raise Refused("truncated", "the TextGrid ends too early")
        value = tokens[at]
        if not isinstance(value, kind):
            raise Refused("unreadable", f"the TextGrid has {printable(str(value))[:40]!r} out of place")
        at += 1
        return value

    speech: list[tuple[float, float, str]] = []
    for _ in range(int(take(float))):
        kind, _name, _, _ = take(str), take(str), take(float), take(float)
        for _ in range(int(take(float))):
            start = take(float)
            end = take(float) if kind == "IntervalTier" else start
            words = take(str)
            if kind == "IntervalTier" and words.strip():
                speech.append((start, end, words))
    return speech


def plain(words: str) -> tuple[str, Counter[str]]:
    """An utterance without the transcriber's marks, on one line, and how many there were of each."""
    marks = Counter({"unsure": len(_UNSURE.findall(words)) // 2, "unheard": len(_UNHEARD.findall(words))})
    return " ".join(_UNHEARD.sub("[unintelligible]", _UNSURE.sub("", words)).split()), marks


def consultation_rows(folder: Path, paths: list[Path], read: Read) -> tuple[list[Path], Iterator[Row | Bad]]:
    """The files of ``paths`` that belong to consultations, and a row or refusals for each consultation.

    Nothing where the folder holds no TextGrid. ``read`` gives a file's text, and what it holds beside it.
    """
    spoken: dict[str, dict[str, Path]] = {}
    for path in paths:
        if path.suffix.lower() == SUFFIX:
            name, _, speaker = path.stem.rpartition("_")
            spoken.setdefault(name or path.stem, {}).setdefault(speaker.lower() or "speaker", path)
    notes = {path.stem: path for path in paths if path.suffix.lower() == ".json" and path.stem in spoken}
    doubled = [
        path
        for path in paths
        if path.suffix.lower() == SUFFIX and not any(path in group.values() for group in spoken.values())
    ]
    used = [*(path for group in spoken.values() for path in group.values()), *notes.values(), *doubled]

    def rows() -> Iterator[Row | Bad]:
        for path in doubled:
            name = path.relative_to(folder).as_posix()
            yield Bad(name, 0, "ambiguous_pair", "another file has this consultation and speaker", "")
        for name, group in sorted(spoken.items()):
            yield from _consultation(folder, name, group, notes.get(name), read)

    return used, rows()


def _consultation(
    folder: Path, name: str, group: dict[str, Path], note: Path | None, read: Read
) -> Iterator[Row | Bad]:
    if note is None:
        for path in group.values():
            shown = path.relative_to(folder).as_posix()
            yield Bad(shown, 0, "no_partner", printable(f"no note is named {name}.json"), "")
        return
    path = note
    text = ""
    try:
        text, _ = read(note)
        check_text(text, note.name)
        fields = _note(text)
        turns: list[tuple[float, float, str, str]] = []
        marks: Counter[str] = Counter()
        for speaker, path in sorted(group.items()):
            text, _ = read(path)
            check_text(text, path.name)
            for start, end, words in intervals(text):
                said, seen = plain(words)
                marks += seen
                if said:
                    turns.append((start, end, speaker, said))
        turns.sort()
        prompt = text_of("\n".join(f"[{speaker}] {said}" for _, _, speaker, said in turns), "prompt")
        path = note
        completion = text_of(fields.pop("note", None), "completion")
        check_value(fields, "the note")
    except Refused as refused:
        shown = path.relative_to(folder).as_posix()
        yield Bad(shown, 0, refused.reason, printable(refused.detail), excerpt(text))
        return
    named = {speaker: file.relative_to(folder).as_posix() for speaker, file in sorted(group.items())}
    payload = {
        "note": note.relative_to(folder).as_posix(),
        **named,
        "prompt": prompt,
        "completion": completion,
    }
    yield Row(
        external_id=name,
        source=name,
        system="",
        history=[],
        prompt=prompt,
        completion=completion,
        metadata={**fields, **({"marks": dict(marks)} if marks else {})},
        line=1,
        payload=json.dumps(payload, ensure_ascii=False),
        file=note.relative_to(folder).as_posix(),
    )


def _note(text: str) -> dict[str, Any]:
    try:
        fields = STRICT.decode(text)
    except DuplicateKey as error:
        raise Refused("duplicate_key", str(error)) from error
    except (ValueError, RecursionError) as error:
        raise Refused("not_json", "the note is not JSON") from error
    if not isinstance(fields, dict):
        raise Refused("not_an_object", "the note is no JSON object")
    return dict(fields)

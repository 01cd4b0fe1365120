"""Folders of plain texts, source files and documents paired by name.

Covers: the pairing rule below, patterns instead of it, reading text (UTF-8, or UTF-16 with a byte-order
mark) and .docx; data files inside the folder are imported row by row as if they had been named one by one.
Does not cover: audio and PDF (transcribe or convert them first); Praat TextGrids (`textgrid` has their rule).

**The pairing rule.** Files of one folder (each subfolder by itself) belong together when their names are
equal after the role and the ending are taken off:

* a role stands before the ending: ``visit1.prompt.txt`` + ``visit1.completion.txt``. Words for the prompt:
  prompt, input, request, question, transcript, dialogue, source. Words for the completion: completion,
  output, answer, response, target, note, summary, agreement;
* with only one role given, the file without a role is the other: ``visit1.txt`` + ``visit1.note.txt``;
* with no role given, the ending decides: COBOL (.cbl .cob .cobol) before .txt before .md before .docx
  before .py (the earlier one is the prompt): ``payroll.cbl`` + ``payroll.py``, ``request7.txt`` +
  ``request7.docx``.

A mapping gives patterns instead, with one ``*`` each that stands for the common name: ``{"prompt":
"in/*.txt", "completion": "out/*.md"}``. The common name becomes the external id. A file without its partner
is refused, one by one. Names that start with a dot are the system's and are passed over.

**.docx**: paragraphs and table rows (cells separated by tabs) in document order, one a line. Numbers that
Word makes itself, headers, footers and notes are not part of the text; what was left out stands in
``metadata.docx_left_out``. A document with tracked changes is refused, since its text is not decided yet.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from curate.errors import UsageError
from curate.records import files, textgrid
from curate.records.rows import LIMIT, Bad, Refused, Row, check_text, excerpt, printable
from curate.records.shapes import text_of

_PROMPT_WORDS = ("prompt", "input", "request", "question", "transcript", "dialogue", "source")
_COMPLETION_WORDS = (
    *("completion", "output", "answer", "response"),
    *("target", "note", "summary", "agreement"),
)
_RANKS = {".cbl": 0, ".cob": 0, ".cobol": 0, ".txt": 1, ".md": 2, ".docx": 3, ".py": 4}
_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


def folder_rows(folder: Path, mapping: Mapping[str, str] | None) -> Iterator[Row | Bad]:
    """Rows of every data file and every pair in a folder, in the order of their names."""
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not paths:
        raise UsageError(f"{folder} holds no files.")
    if mapping is not None and any("*" in pattern for pattern in mapping.values()):
        yield from _by_pattern(folder, paths, mapping)
        return
    used, consultations = textgrid.consultation_rows(folder, paths, read_text)
    yield from consultations
    texts: dict[str, list[Path]] = {}
    for path in (path for path in paths if path not in used):
        name = path.relative_to(folder).as_posix()
        ending = path.suffix.lower()
        if ending in _RANKS:
            key, _ = _key_and_role(path)
            texts.setdefault((path.parent / key).relative_to(folder).as_posix(), []).append(path)
            continue
        try:
            kind = files.detect_format(path)
        except UsageError:
            detail = f"a file named *{ending}" if ending else "a file without an ending"
            yield Bad(name, 0, "unknown_file_type", detail, "")
            continue
        try:
            yield from files.rows(path, name, kind, mapping)
        except UsageError as error:  # the other files go on
            yield Bad(name, 0, "unreadable", printable(str(error)), "")
    for key, group in texts.items():
        yield from _pair(folder, key, group)


def _key_and_role(path: Path) -> tuple[str, str]:
    """Common name and role ("prompt", "completion" or "") of a file name."""
    stem = path.name[: -len(path.suffix)]
    key, dot, word = stem.rpartition(".")
    if dot and key and word.lower() in _PROMPT_WORDS:
        return key, "prompt"
    if dot and key and word.lower() in _COMPLETION_WORDS:
        return key, "completion"
    return stem, ""


def _pair(folder: Path, key: str, group: list[Path]) -> Iterator[Row | Bad]:
    """The one row of the files that share a name, or a refusal for each of them."""
    roles = {path: _key_and_role(path)[1] for path in group}
    prompts = [path for path in group if roles[path] == "prompt"]
    completions = [path for path in group if roles[path] == "completion"]
    plain = [path for path in group if not roles[path]]
    if len(plain) == 1 and len(prompts) + len(completions) == 1:
        (completions if prompts else prompts).append(plain.pop())
    elif len(plain) == 2 and not prompts and not completions:
        first, second = sorted(plain, key=lambda path: _RANKS[path.suffix.lower()])
        if _RANKS[first.suffix.lower()] != _RANKS[second.suffix.lower()]:
            prompts, completions, plain = [first], [second], []
    if len(prompts) == len(completions) == 1 and not plain:
        yield _read_pair(folder, key, prompts[0], completions[0])
        return
    names = ", ".join(path.name for path in group)
    for path in group:
        name = path.relative_to(folder).as_posix()
        if len(group) == 1:
            yield Bad(name, 0, "no_partner", f"no other file is named {printable(Path(key).name)}", "")
        else:
            yield Bad(name, 0, "ambiguous_pair", printable(f"which is prompt, which completion? {names}"), "")


def _by_pattern(folder: Path, paths: list[Path], mapping: Mapping[str, str]) -> Iterator[Row | Bad]:
    if set(mapping) != {"prompt", "completion"} or any(p.count("*") != 1 for p in mapping.values()):
        raise UsageError(
            "For a folder the mapping gives two patterns with one * each, such as "
            '{"prompt": "in/*.txt", "completion": "out/*.md"}.'
        )
    found: dict[str, dict[str, Path]] = {}
    for path in paths:
        name = path.relative_to(folder).as_posix()
        matched = False
        for role in ("prompt", "completion"):
            before, _, after = mapping[role].partition("*")
            if name.startswith(before) and name.endswith(after) and len(name) > len(before) + len(after):
                found.setdefault(name[len(before) : len(name) - len(after)], {})[role] = path
                matched = True
                break
        if not matched:
            yield Bad(name, 0, "unknown_file_type", "the file fits neither pattern", "")
    for key, pair in found.items():
        if len(pair) == 2:
            yield _read_pair(folder, key, pair["prompt"], pair["completion"])
        else:
            ((role, path),) = pair.items()
            name = path.relative_to(folder).as_posix()
            yield Bad(name, 0, "no_partner", f"this {role} has no partner", "")


def _read_pair(folder: Path, key: str, prompt: Path, completion: Path) -> Row | Bad:
    texts: dict[str, str] = {}
    left_out: dict[str, list[str]] = {}
    for role, path in (("prompt", prompt), ("completion", completion)):
        name = path.relative_to(folder).as_posix()
        text = ""
        try:
            text, missing = read_text(path)
            check_text(text, name)
            texts[role] = text_of(text, role)
            if missing:
                left_out[role] = missing
        except Refused as refused:
            return Bad(name, 0, refused.reason, printable(refused.detail), excerpt(text))
    metadata: dict[str, Any] = {"docx_left_out": left_out} if left_out else {}
    named = {"prompt": prompt.relative_to(folder), "completion": completion.relative_to(folder)}
    payload = {
        role: {"file": path.as_posix(), "text": texts[role]} for role, path in named.items()
    }  # a folder has no line to quote; this is what was read
    try:
        check_text(key, "the file name")
    except Refused as refused:
        return Bad(printable(key), 0, refused.reason, printable(refused.detail), "")
    return Row(
        external_id=key,
        source="",
        system="",
        history=[],
        prompt=texts["prompt"],
        completion=texts["completion"],
        metadata=metadata,
        line=1,
        payload=json.dumps(payload, ensure_ascii=False),
        file=named["prompt"].as_posix(),
    )


def read_text(path: Path) -> tuple[str, list[str]]:
    """A file's text as it is, and what a document holds beside it. Raises `Refused`."""
    try:
        if path.stat().st_size > LIMIT:
            raise Refused("too_long", f"the file has {path.stat().st_size:,} bytes")
        if path.suffix.lower() == ".docx":
            return _docx(path)
        raw = path.read_bytes()
    except OSError as error:
        raise Refused("unreadable", f"{error.strerror}") from error
    encoding = next((name for mark, name in files.MARKS if raw.startswith(mark)), "utf-8")
    try:
        return raw.decode(encoding), []
    except UnicodeDecodeError as error:
        byte = raw[error.start]
        raise Refused(
            "encoding", f"byte 0x{byte:02X} at position {error.start + 1} is not {error.encoding}"
        ) from error


def _docx(path: Path) -> tuple[str, list[str]]:
    import docx  # lxml behind it is slow to import, and only this needs it
    from docx.opc.exceptions import PackageNotFoundError
    from docx.table import Table

    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(info.file_size for info in archive.infolist())
            names = archive.namelist()
        if size > 4 * LIMIT:
            raise Refused("too_long", f"the document unpacks to {size:,} bytes")
        document = docx.Document(str(path))
    except (zipfile.BadZipFile, PackageNotFoundError, KeyError, ValueError, SyntaxError) as error:
        raise Refused("unreadable", "this is not an intact .docx document") from error
    body = document.element.body
    if next(body.iter(f"{_WORD}ins", f"{_WORD}del", f"{_WORD}moveFrom", f"{_WORD}moveTo"), None) is not None:
        raise Refused("tracked_changes", "the document has tracked changes")
    lines: list[str] = []
    for block in document.iter_inner_content():
        if isinstance(block, Table):
            lines.extend("\t".join(cell.text for cell in _cells(row)) for row in block.rows)
        else:
            lines.append(block.text)
    left_out = [
        what
        for what, marker in (("footnotes", "footnoteReference"), ("endnotes", "endnoteReference"))
        if next(body.iter(f"{_WORD}{marker}"), None) is not None
    ]
    if next(body.iter(f"{_WORD}numPr"), None) is not None:
        left_out.append("automatic numbers")
    if any(_speaks(part) for section in document.sections for part in (section.header, section.footer)):
        left_out.append("headers and footers")
    if any(name.startswith("word/media/") for name in names):
        left_out.append("pictures")
    return "\n".join(lines), left_out


def _cells(row: Any) -> list[Any]:
    """Cells of a table row, a merged one once."""
    seen: list[Any] = []
    for cell in row.cells:
        if not any(cell._tc is other._tc for other in seen):
            seen.append(cell)
    return seen


def _speaks(part: Any) -> bool:
    return not part.is_linked_to_previous and any(paragraph.text.strip() for paragraph in part.paragraphs)

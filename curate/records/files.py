"""Opening and walking files: JSON lines, JSON arrays, CSV, Parquet; encodings and compression.

Covers: streaming in bounded memory (one row and one buffer at a time), UTF-8 with and without byte-order
mark, UTF-16 and UTF-32 with one, gzip; a Bad for every line that cannot be used, so that each line is
accounted for.
Does not cover: what the columns mean (`shapes`), folders and documents (`folders`).

A damaged container (gzip, Parquet) is one `UsageError` naming the file; a damaged line is one `Bad`.
"""

from __future__ import annotations

import base64
import codecs
import csv
import gzip
import io
import json
import math
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from curate.errors import NotFound, UsageError
from curate.records.detect import rows_of
from curate.records.jsontext import STRICT, DuplicateKey, is_clean
from curate.records.rows import LIMIT, Bad, Refused, Row, check_text, check_value, excerpt, printable
from curate.records.shapes import check_mapping

FORMATS = ("jsonl", "json", "csv", "tsv", "parquet", "folder")
_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
MARKS = (  # UTF-32 first: its little-endian mark starts with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_BLOCK = 1 << 20

Mapping_ = Mapping[str, str] | None


class Found(NamedTuple):
    """What a walk hands on: where it starts, the decoded row or the refusal, the text it was read from."""

    line: int
    value: Any
    raw: str | bytes
    refused: Refused | None = None
    clean: bool = False  # the raw text holds no escape that could hide an unstorable character


# ---------------------------------------------------------------- opening


class _Transcoded(io.RawIOBase):
    """A UTF-16 or UTF-32 stream as UTF-8 bytes; lone surrogates pass, so only their own line is refused."""

    def __init__(self, stream: IO[bytes], encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
        self._rest = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest and not self._ended:
            raw = self._stream.read(_BLOCK)
            self._ended = not raw
            self._rest = self._decoder.decode(raw, final=self._ended).encode("utf-8", "surrogatepass")
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """A text file as UTF-8 bytes without a byte-order mark. Raises `UsageError` when it is unreadable."""
    try:
        with path.open("rb") as raw:
            stream: IO[bytes] = raw
            if raw.peek(2)[:2] == b"\x1f\x8b":
                stream = cast("IO[bytes]", io.BufferedReader(cast("Any", gzip.GzipFile(fileobj=raw)), _BLOCK))
            start = cast("io.BufferedReader", stream).peek(4)[:4]
            encoding = next((name for mark, name in MARKS if start.startswith(mark)), "")
            if encoding == "utf-8-sig":
                stream.read(3)
            elif encoding:
                stream = cast("IO[bytes]", io.BufferedReader(_Transcoded(stream, encoding), _BLOCK))
            yield stream
    except FileNotFoundError as error:
        raise NotFound(f"No file {path}.") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UsageError(
            f"{path}: the compressed file is damaged or ends too early ({error}). Copy or export it again; "
            "an import takes over only the rows that are not there yet."
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path}: {error.encoding} text that breaks off or is damaged ({error.reason}). "
            "Save the file again as UTF-8."
        ) from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error}).") from error


def detect_format(path: Path) -> str:
    """jsonl, json, csv, tsv, parquet or folder, by name, else by the first bytes. Raises `UsageError`."""
    if path.is_dir():
        return "folder"
    if not path.exists():
        raise NotFound(f"No file {path}.")
    if not path.is_file():
        raise UsageError(f"{path} is neither a file nor a folder.")
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    named = _SUFFIXES.get(suffixes[-1]) if suffixes else None
    if path.suffix.lower() in (".zip", ".zst", ".bz2", ".xz", ".7z", ".tar"):
        raise UsageError(f"{path}: unpack it first; only gzip is read as it is.")
    with path.open("rb") as raw:
        magic = raw.read(4)
    if magic == b"PAR1" or named == "parquet":
        return "parquet"
    if named in ("csv", "tsv"):
        return named
    if named is None and suffixes and suffixes[-1] in (".txt", ".md", ".docx"):
        raise UsageError(
            f"{path} holds one text. Import the folder that holds prompts and completions paired by name."
        )
    with _opened(path) as stream:
        start = cast("io.BufferedReader", stream).read(_BLOCK)
    text = start.lstrip()
    if named is None and text[:1] not in (b"{", b"["):
        raise UsageError(f"{path}: not a format by its name. Say which with --format ({', '.join(FORMATS)}).")
    if named == "json" or text[:1] == b"[":  # many ".json" files are JSON lines, and some lines are arrays
        first, newline, more = text.partition(b"\n")
        try:
            is_lines = bool(newline and more.strip()) and isinstance(json.loads(first), dict | list)
        except (ValueError, RecursionError):
            is_lines = False
        return "jsonl" if is_lines else "json"
    return "jsonl"


# ---------------------------------------------------------------- JSON


def _json_refused(error: Exception, ended: bool) -> Refused:
    if isinstance(error, DuplicateKey):
        return Refused("duplicate_key", str(error))
    if isinstance(error, RecursionError):
        return Refused("too_deep", "the JSON is nested too deep")
    if ended and isinstance(error, json.JSONDecodeError):
        return Refused("truncated", f"the file ends in the middle of this row ({error.msg})")
    if isinstance(error, json.JSONDecodeError) and error.msg.startswith("Invalid control character"):
        return Refused("control_characters", f"a bare control character at character {error.pos + 1}")
    where = f" at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else ""
    what = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
    return Refused("not_json", f"{what}{where}")


def json_lines(path: Path) -> Iterator[Found]:
    """Every line with content of a JSON lines file."""
    with _opened(path) as stream:
        number = 0
        while raw := stream.readline(LIMIT + 2):
            number += 1
            ended = not raw.endswith(b"\n")
            if len(raw.rstrip(b"\r\n")) > LIMIT:
                size = len(raw)
                while not raw.endswith(b"\n"):
                    more = stream.readline(_BLOCK)
                    if not more:
                        break
                    size += len(more)
                    raw = raw[: 4 * 200] + more[-1:]
                detail = f"the line has {size:,} bytes, more than {LIMIT:,}"
                yield Found(number, None, raw, Refused("too_long", detail))
                continue
            line = raw.strip()
            if not line:
                continue
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = line[error.start]
                detail = f"byte 0x{byte:02X} at position {error.start + 1} is not UTF-8"
                yield Found(number, None, line, Refused("encoding", detail))
                continue
            try:
                value = STRICT.decode(text)
            except (ValueError, RecursionError) as error:
                yield Found(number, None, text, _json_refused(error, ended))
                continue
            yield Found(number, value, text, clean=is_clean(line))


_BLANK = re.compile(r"[ \t\r\n]*")
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|["\[\]{},\n]', re.DOTALL)


class _Text:
    """A sliding window over a text stream."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self.text, self.pos, self.line, self.ended = "", 0, 1, False

    def fill(self) -> bool:
        """Read on, doubling the window, so that a long element costs linear time in all."""
        if self.ended:
            return False
        raw = self._stream.read(max(_BLOCK, len(self.text) - self.pos))
        self.ended = not raw
        self.text = self.text[self.pos :] + self._decoder.decode(raw, final=self.ended)
        self.pos = 0
        return True

    def advance(self, end: int) -> None:
        self.line += self.text.count("\n", self.pos, end)
        self.pos = end

    def peek(self) -> str:
        """The next character that is not blank; "" at the end."""
        while True:
            match = _BLANK.match(self.text, self.pos)
            self.advance(match.end() if match else self.pos)
            if self.pos < len(self.text):
                return self.text[self.pos]
            if not self.fill():
                return ""

    def element_end(self, in_array: bool) -> int | None:
        """Where the (damaged) element at hand ends; None when the window does not show it."""
        depth = 0
        for token in _TOKEN.finditer(self.text, self.pos):
            what = token[0]
            if what == '"':  # opens a string that the window does not close
                return None
            if what in "[{":
                depth += 1
            elif what in "]}":
                if depth == 0 and in_array:
                    return token.start()
                depth = max(0, depth - 1)
                if depth == 0 and not in_array:
                    return token.end()
            elif depth == 0 and what == ("," if in_array else "\n"):
                return token.start()
        return len(self.text) if self.ended and not in_array else None


def json_elements(path: Path) -> Iterator[Found]:
    """Every element of a JSON array, or every value of a file of JSON values, one at a time."""
    with _opened(path) as stream:
        text = _Text(stream)
        in_array = text.peek() == "["
        if in_array:
            text.advance(text.pos + 1)
        while True:
            head = text.peek()
            if not head or (head == "]" and in_array):
                break
            line = text.line
            value, end, refused = _element(text, in_array)
            raw = text.text[text.pos : end] if end is not None else text.text[text.pos : text.pos + 800]
            yield Found(line, value, raw, refused, clean=refused is None and is_clean(raw))
            if end is None:
                return
            text.advance(end)
            if in_array and text.peek() == ",":
                text.advance(text.pos + 1)
                if text.peek() == "]":
                    yield Found(
                        text.line, None, "]", Refused("not_json", "a comma before the closing bracket")
                    )
        if in_array and not head:
            yield Found(
                text.line, None, "", Refused("truncated", "the file ends before the array's closing bracket")
            )
        elif in_array:
            text.advance(text.pos + 1)
            if text.peek():
                detail = "text after the end of the array is not read"
                yield Found(
                    text.line, None, text.text[text.pos : text.pos + 800], Refused("not_json", detail)
                )


def _element(text: _Text, in_array: bool) -> tuple[Any, int | None, Refused | None]:
    """Decode the element at hand: value and end, or a refusal and the end (None: nothing follows)."""
    while True:
        error: Exception | None = None
        try:
            value, end = STRICT.raw_decode(text.text, text.pos)
            following = _BLANK.match(text.text, end)
            after = text.text[following.end() if following else end :][:1]
            if not after and not text.ended:
                text.fill()  # a number might go on, and a comma or bracket must follow
                continue
            if not in_array or after in (",", "]", ""):
                return value, end, None
            error = json.JSONDecodeError("a comma or bracket must follow", text.text, end)
        except (ValueError, RecursionError) as caught:
            error = caught
        if isinstance(error, json.JSONDecodeError):  # the position within the element, not the window
            error = json.JSONDecodeError(error.msg, "", max(0, error.pos - text.pos))
        stop = text.element_end(in_array)
        if stop is not None and stop > text.pos:
            return None, stop, _json_refused(error, ended=text.ended and stop == len(text.text))
        if len(text.text) - text.pos > LIMIT:
            detail = f"an element of more than {LIMIT:,} characters; it and what follows is not read. "
            return None, None, Refused("too_long", detail + "JSON lines have no such limit on the rest.")
        if not text.fill():
            refused = _json_refused(error, ended=True)
            return None, None, Refused(refused.reason, refused.detail + "; nothing after it was read")


# ---------------------------------------------------------------- CSV


def csv_rows(path: Path, tabs: bool, mapping: Mapping_) -> Iterator[Found]:
    """Every record of a CSV file with a header line, as an object of texts."""
    with _opened(path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8", errors="surrogateescape", newline="")
        lines = _bounded_lines(text, path)
        first = next((line for line in lines if line.strip()), "")
        if not first:
            raise UsageError(f"{path}: the file is empty; a CSV file starts with a header line.")
        delimiter = "\t" if tabs else max(",;\t|", key=first.count)
        old = csv.field_size_limit(LIMIT)
        try:
            reader = csv.reader(_chained(first, lines), delimiter=delimiter, strict=True)
            try:
                header = [name.strip() for name in next(reader)]
            except csv.Error as error:
                raise UsageError(f"{path}: the header line is not CSV ({error}).") from error
            doubled = {name for name in header if header.count(name) > 1}
            if doubled or not all(header):
                what = f"{min(doubled)!r} twice" if doubled and all(header) else "a column without a name"
                raise UsageError(f"{path}: the header has {what}. Name every column once.")
            if mapping:
                check_mapping(mapping, header)
            while True:
                line = reader.line_num + 1
                try:
                    fields = next(reader, None)
                except csv.Error as error:
                    ended = "unexpected end of data" in str(error)
                    detail = f"lines {line}–{reader.line_num}: {error}"
                    reason = "truncated" if ended else "malformed_csv"
                    yield Found(line, None, "", Refused(reason, detail))
                    continue
                if fields is None:
                    break
                if not fields:
                    continue
                raw = json.dumps(fields, ensure_ascii=False)
                if len(fields) != len(header):
                    detail = f"{len(fields)} fields, but the header has {len(header)}"
                    yield Found(line, None, raw, Refused("wrong_columns", detail))
                    continue
                row = dict(zip(header, fields, strict=True))
                yield Found(line, row, json.dumps(row, ensure_ascii=False))
        finally:
            csv.field_size_limit(old)
            text.detach()


def _chained(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _bounded_lines(text: io.TextIOWrapper, path: Path) -> Iterator[str]:
    number = 0
    while line := text.readline(LIMIT):
        number += 1
        if len(line) >= LIMIT and not line.endswith(("\n", "\r")):
            raise UsageError(
                f"{path}:{number}: a line of more than {LIMIT:,} characters; this is no CSV file."
            )
        yield line


# ---------------------------------------------------------------- Parquet


def parquet_rows(path: Path, mapping: Mapping_) -> Iterator[Found]:
    """Every row of a Parquet file, a few hundred at a time."""
    import pyarrow as pa  # heavy, and only this format needs it
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, memory_map=False, pre_buffer=False) as file:
            if mapping:
                check_mapping(mapping, file.schema_arrow.names)
            number = 0
            for batch in file.iter_batches(batch_size=256):
                for row in batch.to_pylist():
                    number += 1
                    value = _plain(row)
                    raw = json.dumps(value, ensure_ascii=False)
                    refused = None
                    if len(raw) > LIMIT:
                        refused = Refused("too_long", f"the row has {len(raw):,} characters")
                    yield Found(number, value, raw, refused)
    except FileNotFoundError as error:
        raise NotFound(f"No file {path}.") from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        what = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise UsageError(
            f"{path}: not a readable Parquet file ({what}). Copy or export it again; "
            "an import takes over only the rows that are not there yet."
        ) from error


def _plain(value: Any) -> Any:
    """A Parquet value as JSON holds it: times as ISO 8601, decimals and NaN as text, bytes as base64."""
    if isinstance(value, str | bool | int) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return "base64:" + base64.b64encode(value).decode("ascii")
    return str(value) if isinstance(value, Decimal | timedelta) else repr(value)


# ---------------------------------------------------------------- from walks to rows


def walk(path: Path, kind: str, mapping: Mapping_) -> Iterator[Found]:
    """The rows of one file of format ``kind``, undecided."""
    walks: dict[str, Callable[[], Iterator[Found]]] = {
        "jsonl": lambda: json_lines(path),
        "json": lambda: json_elements(path),
        "csv": lambda: csv_rows(path, False, mapping),
        "tsv": lambda: csv_rows(path, True, mapping),
        "parquet": lambda: parquet_rows(path, mapping),
    }
    if kind not in walks:
        raise UsageError(f"No format {kind!r}. Formats: {', '.join(FORMATS)}.")
    return walks[kind]()


def rows(path: Path, name: str, kind: str, mapping: Mapping_) -> Iterator[Row | Bad]:
    """Rows and refused lines of one file; every line with content yields a `Bad` or at least one `Row`."""
    for found in walk(path, kind, mapping):
        if found.refused is not None:
            yield _bad(name, found, found.refused)
            continue
        try:
            made = list(_made(name, found, mapping))
        except Refused as refused:
            yield _bad(name, found, refused)
        except RecursionError:
            yield _bad(name, found, Refused("too_deep", "the row is nested too deep"))
        else:
            yield from made


def _made(name: str, found: Found, mapping: Mapping_) -> Iterator[Row]:
    if not isinstance(found.value, dict):
        raise Refused("not_an_object", f"the row is a JSON {type(found.value).__name__}, not an object")
    raw = found.raw if isinstance(found.raw, str) else found.raw.decode("utf-8")
    if not found.clean:
        check_text(raw, "the row")
    for fields in rows_of(found.value, mapping):
        history, metadata = fields.history or [], fields.metadata or {}
        if not found.clean:
            for where, value in (
                ("the prompt", fields.prompt),
                ("the completion", fields.completion),
                ("the system message", fields.system),
                ("the history", history),
                ("the metadata", metadata),
                ("the id", fields.external_id),
                ("the source", fields.source),
            ):
                check_value(value, where)
        yield Row(
            external_id=fields.external_id,
            source=fields.source,
            system=fields.system,
            history=history,
            prompt=fields.prompt,
            completion=fields.completion,
            metadata=metadata,
            line=found.line,
            payload=raw,
            file=name,
        )


def _bad(name: str, found: Found, refused: Refused) -> Bad:
    return Bad(name, found.line, refused.reason, printable(refused.detail), excerpt(found.raw))

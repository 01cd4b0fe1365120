"""Does a Python program do what a COBOL program does? Both are run in the sandbox on the same inputs.

Covers: preparing a program once (reference outputs, mutants, the small frozen input set, the mutation score), judging
a translation on frozen and fresh inputs, the shrunk counter-example, many translations on all cores.
Does not cover: how Pythonic it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from evals.cobol import outputs
from evals.cobol.build import MARK, cache_folder, compiler, executable, keep, places, subscripts
from evals.cobol.compare import LEVELS, all_of, same, same_field
from evals.cobol.inputs import Case, Domain, cases, invalid_cases, simpler
from evals.cobol.mutants import Mutant, mutants, one_executable
from evals.cobol.source import Program, SourceError, extract, read
from evals.sandbox import Job, Limits, Outcome, Session

FORMAT = 4
MOST_FROZEN = 10
MIN_MUTATION_SCORE = 0.95
MIN_KILLABLE = 3  # mutants that some input tells apart; under it a score says nothing
REFERENCE = Limits(wall=5.0, cpu=1.0)
TRANSLATION = Limits(wall=10.0, cpu=2.0)


@dataclass
class Ready:
    """A reference, prepared. ``reason`` is why it cannot be one."""

    program: Program | None = None
    binary: bytes = b""
    digest: str = ""
    reason: str = ""
    frozen: list[Case] = field(default_factory=list)
    mutants: int = 0
    killable: int = 0
    killed: int = 0
    searched: int = 0
    survivors: list[str] = field(default_factory=list)

    @property
    def mutation_score(self) -> float | None:
        """Killed by the frozen inputs, of those that any searched input kills; None where there are none."""
        return self.killed / self.killable if self.killable else None


@dataclass
class Verdict:
    """One item. ``levels``: share of inputs that agree, by level."""

    kind: str
    reason: str = ""
    inputs: int = 0
    levels: dict[str, float] = field(default_factory=dict)
    counter: dict[str, Any] | None = None
    invalid: dict[str, int] = field(default_factory=dict)
    exit_differs: int = 0
    mutation_score: float | None = None
    mutants: int = 0
    frozen: int = 0
    may_gate: bool = False


class Judge:
    """Holds the sandboxes and what was learned of each reference; use as a context manager, in one thread."""

    def __init__(
        self, *, search: int = 100, most_mutants: int = 12, fresh: int = 60, level: str = "whitespace"
    ) -> None:
        if level not in LEVELS:
            raise ValueError(f"level is one of {', '.join(LEVELS)}, not {level!r}.")
        self.search, self.most_mutants, self.fresh, self.level = search, most_mutants, fresh, level
        self.python, self.cobol, self.tools = Session(), Session(), Session(tools=True, disk=48 << 20)
        self.ready: dict[str, Ready] = {}
        self.outputs: dict[tuple[str, str], Outcome | None] = {}
        self.asked: set[str] = set()  # cases of the translation at hand
        self.ended: set[tuple[str, str]] = set()  # runs that the sandbox ended: another try may do better

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *_: object) -> None:
        for session in (self.python, self.cobol, self.tools):
            session.close()

    # --- the reference

    def prepare(self, source: str, domain: Domain) -> Ready:
        """Everything that is done once a program; kept in the cache folder by content."""
        key = hashlib.sha256(
            json.dumps(
                [FORMAT, compiler(), source, dict(domain), self.search, self.most_mutants],
                sort_keys=True,
                default=str,
            ).encode()
        ).hexdigest()[:40]
        if key not in self.ready:
            self.ready[key] = self._prepare(source, domain, key)
        return self.ready[key]

    def _prepare(self, source: str, domain: Domain, key: str) -> Ready:
        try:
            program = read(source)
            if program.draws:
                raise SourceError("The reference draws random numbers: no translation can repeat them.")
            for file in program.files:
                if file.organization in ("INDEXED", "RELATIVE"):
                    raise SourceError(
                        f"File {file.name} is {file.organization}; only sequential files are generated."
                    )
            binary = executable(program, self.tools)
            ready = Ready(program, binary, hashlib.sha256(binary).hexdigest())
        except SourceError as error:
            return Ready(reason=str(error))
        place = cache_folder() / f"{key}.json"
        if place.is_file():
            return _load(place.read_bytes(), ready)
        pool = self._usable(ready, cases(program, domain, 1, self.search))
        if not pool:
            ready.reason = ready.reason or "The reference ends normally on none of the inputs made for it."
            return ready
        ready.reason = self._unsteady(ready, pool[:3])
        if not ready.reason:
            self._freeze(ready, pool)
        keep(place, _dump(ready))
        return ready

    def _usable(self, ready: Ready, made: list[Case]) -> list[Case]:
        """Cases on which the reference ends by itself, without an error of its own, before its input does."""
        bad_tags: dict[str, int] = {}
        kept: list[Case] = []
        for case in made:
            if bad_tags.get(case.tag, 0) >= 2 and case.tail:
                continue
            outcome = self._expected(ready, case)
            if outcome is None:
                bad_tags[case.tag] = bad_tags.get(case.tag, 0) + 1
                if sum(bad_tags.values()) > 12 and not kept:
                    break
                continue
            if case.tail:
                longer = self._expected(ready, replace(case, tail=(*case.tail, *case.tail)))
                if longer is None or longer.stdout != outcome.stdout:
                    continue
            kept.append(case)
        return kept

    def _unsteady(self, ready: Ready, some: list[Case]) -> str:
        for case in some:
            first = self._expected(ready, case)
            again = self.cobol.run(self._job(ready.program, ready.binary, case))
            if first is None or (again.stdout, again.code, again.files) != (
                first.stdout,
                first.code,
                first.files,
            ):
                return "The reference is not deterministic: two runs on the same input differ."
        return ""

    def _freeze(self, ready: Ready, pool: list[Case]) -> None:
        """Greedy choice of inputs by the mutants that they kill; the rest of the places go to varied inputs."""
        program = ready.program
        assert program is not None
        chosen = mutants(program, self.most_mutants)
        binary, chosen = self._compiled(program, chosen)
        ready.mutants, ready.searched = len(chosen), len(pool)
        kills: dict[int, set[int]] = {n: set() for n in range(len(pool))}
        killable = set()
        for m, mutant in enumerate(chosen):
            hits = 0
            for n in [
                *(k for k in range(len(pool)) if kills[k]),
                *(k for k in range(len(pool)) if not kills[k]),
            ]:
                expected = self._expected(ready, pool[n])
                job = replace(self._job(program, binary, pool[n]), env={"GP_MUTANT": f"{m:03d}"})
                if expected is not None and not _alike(expected, self.cobol.run(job)):
                    kills[n].add(m)
                    hits += 1
                    if hits == 3:
                        break
            if hits:
                killable.add(m)
            else:
                ready.survivors.append(f"line {mutant.line}: {mutant.operator}")
        left = set(killable)
        frozen: list[int] = []
        while left and len(frozen) < MOST_FROZEN:
            best = max(kills, key=lambda n: len(kills[n] & left))
            if not kills[best] & left:
                break
            left -= kills[best]
            frozen.append(best)
        ready.killable, ready.killed = len(killable), len(killable) - len(left)
        ready.frozen = [pool[n] for n in frozen]
        for case in pool:
            if len(ready.frozen) >= MOST_FROZEN:
                break
            if case not in ready.frozen:
                ready.frozen.append(case)

    def _compiled(self, program: Program, chosen: list[Mutant]) -> tuple[bytes, list[Mutant]]:
        """All mutants that compile, in one executable. One that does not is found by its lines and left out."""
        plain = replace(program, linkage=[])
        for _ in range(6):
            if not chosen:
                break
            text = one_executable(program, chosen)
            try:
                return executable(plain, self.tools, text), chosen
            except SourceError as error:
                wrong = _culprit(str(error), text)
                if wrong is None or wrong >= len(chosen):
                    break
                chosen = [*chosen[:wrong], *chosen[wrong + 1 :]]
        return b"", []

    def _job(self, program: Program | None, binary: bytes, case: Case) -> Job:
        assert program is not None
        stdin = case.stdin
        if program.linkage:
            stdin = "".join(f"{line}\n" for line in _driver_lines(program, case)).encode(
                "utf-8", "surrogateescape"
            )
        return Job(
            "binary",
            binary,
            args=case.args,
            stdin=stdin,
            files=_files(program, case),
            collect=_collected(program),
            limits=REFERENCE,
        )

    def _expected(self, ready: Ready, case: Case) -> Outcome | None:
        """What the reference does; None when it did not end by itself and in order."""
        key = (ready.digest, repr(case))
        if key not in self.outputs:
            outcome = self.cobol.run(self._job(ready.program, ready.binary, case))
            failed = outcome.kind != "exited" or b"libcob: error" in outcome.stderr or (
                outcome.code != 0 and not (ready.program and ready.program.sets_code)
            )  # fmt: skip
            self.outputs[key] = None if failed else outcome
            if outcome.kind != "exited":
                self.ended.add(key)
        self.asked.add(key[1])
        return self.outputs[key]

    # --- the translation

    def judge(self, prediction: str, source: str, domain: Domain) -> Verdict:
        """Class, counter-example and figures of one translation."""
        ready = self.prepare(source, domain)
        if ready.reason or ready.program is None:
            return Verdict("harness_error", ready.reason)
        code = extract(prediction, "python")
        verdict = Verdict(
            "equal", mutation_score=ready.mutation_score, mutants=ready.mutants, frozen=len(ready.frozen)
        )
        score = ready.mutation_score
        verdict.may_gate = (
            score is not None and score >= MIN_MUTATION_SCORE and ready.killable >= MIN_KILLABLE
        )
        if not code.strip():
            verdict.kind, verdict.reason = "crash", "There is no program in the answer."
            verdict.levels = dict.fromkeys(LEVELS, 0.0)
            return verdict
        seed = int(hashlib.sha256(f"{source}\0{code}".encode("utf-8", "surrogatepass")).hexdigest()[:12], 16)
        place = outputs.place(ready.digest, f"{seed} {self.fresh} {sorted(dict(domain).items())}")
        known = outputs.load(place)
        self.outputs.update({(ready.digest, case): outcome for case, outcome in known.items()})
        self.asked.clear()
        self._compare(ready, code, domain, seed, verdict)
        keys = {case: (ready.digest, case) for case in self.asked}
        anew = {case: self.outputs[key] for case, key in keys.items() if key not in self.ended}
        if anew.keys() - known.keys():
            outputs.save(place, known | anew)
        return verdict

    def _compare(self, ready: Ready, code: str, domain: Domain, seed: int, verdict: Verdict) -> None:
        """Run both sides on the frozen and the fresh inputs and fill in the verdict."""
        program = ready.program
        assert program is not None
        fresh = self._usable(ready, cases(program, domain, seed, self.fresh)) if _has_inputs(program) else []
        first: tuple[Case, str, str] | None = None
        agreed = dict.fromkeys(LEVELS, 0)
        failures = 0
        for case in [*ready.frozen, *fresh]:
            kind, why, levels, exit_same = self._try(ready, code, case)
            verdict.inputs += 1
            verdict.exit_differs += not exit_same
            for level in LEVELS:
                agreed[level] += levels[level]
            if kind != "equal":
                failures += 1
                first = first or (case, kind, why)
                if kind in ("timeout", "violation") or failures >= 12:
                    break
        verdict.levels = {level: agreed[level] / max(1, verdict.inputs) for level in LEVELS}
        if first is not None:
            case, verdict.kind, verdict.reason = first
            if not domain and verdict.kind != "timeout":  # every try of one would take its whole time again
                case = self._shrink(ready, code, case, verdict.kind)
            verdict.counter = self._counter(ready, code, case, verdict.kind)
        elif program.stdin and not domain:
            verdict.invalid = self._beyond(ready, code)

    def _try(self, ready: Ready, code: str, case: Case) -> tuple[str, str, dict[str, bool], bool]:
        """(class, reason, agreement by level, same exit code) of one input."""
        expected = self._expected(ready, case)
        program = ready.program
        assert expected is not None and program is not None
        got = self._translated(program, code, case)
        none = dict.fromkeys(LEVELS, False)
        if got.kind == "violation":
            return "violation", got.detail, none, True
        if got.kind in ("timeout", "output"):
            return "timeout", f"{got.detail}, and was ended", none, True
        if got.kind == "broken":
            return "harness_error", got.detail, none, True
        last = (got.stderr.decode("utf-8", "replace").strip().splitlines() or [""])[-1][:300]
        if got.kind == "killed" or (got.code != expected.code and b"Traceback (most recent" in got.stderr):
            return "crash", last or got.detail, none, True
        levels = self._agreement(program, expected, got, case)
        exit_same = got.code == expected.code
        if program.sets_code and not exit_same:
            return "wrong_output", f"exit code {got.code}, expected {expected.code}", none, False
        return ("equal" if levels[self.level] else "wrong_output"), "", levels, exit_same

    def _translated(self, program: Program, code: str, case: Case) -> Outcome:
        return self.python.run(
            Job(
                "python",
                code.encode("utf-8", "surrogatepass"),
                args=case.args,
                stdin=case.stdin if not program.linkage else b"",
                files=_files(program, case),
                collect=_collected(program),
                limits=TRANSLATION,
                call={"fields": dict(case.fields)} if program.linkage else None,
            )
        )

    def _agreement(self, program: Program, expected: Outcome, got: Outcome, case: Case) -> dict[str, bool]:
        if not program.linkage:
            parts = [same(expected.stdout, got.stdout)]
            for name in _written(program):
                parts.append(same(expected.files.get(name, b""), got.files.get(name, b"")))
            return all_of(parts)
        shown, values = _driver_values(expected.stdout)
        parts = [same(shown, got.stdout)]
        try:
            returned = json.loads(got.returned or b"{}")
        except ValueError:
            return dict.fromkeys(LEVELS, False)
        # A field that is not returned counts as left alone.
        given = {name: _marked(value) for name, value in case.fields} | returned
        for item, sizes in places(program.linkage):
            listed = _flat(given[item.python_name]) if sizes else [given[item.python_name]]
            for n, index in enumerate(subscripts(sizes)):
                value = listed[n] if n < len(listed) else None
                parts.append(same_field(values.get((item.name, index), ""), value, item.kind, item.scale))
        return all_of(parts)

    # --- for people

    def _shrink(self, ready: Ready, code: str, case: Case, kind: str) -> Case:
        """A simpler input with the same class of failure; at most forty tries."""
        tries = 0
        looped = bool(ready.program and any(isinstance(step, list) for step in ready.program.stdin))
        again = True
        while again and tries < 40:
            again = False
            for other in simpler(case):
                if len(other.lines) != len(case.lines) and not looped:
                    continue
                tries += 1
                if tries > 40:
                    break
                if not self._usable(ready, [other]):
                    continue
                if self._try(ready, code, other)[0] == kind:
                    case, again = other, True
                    break
        return case

    def _counter(self, ready: Ready, code: str, case: Case, kind: str) -> dict[str, Any]:
        program = ready.program
        expected = self._expected(ready, case)
        assert program is not None and expected is not None
        got = self._translated(program, code, case)
        stdin = "".join(line + "\n" for line in case.lines)
        found: dict[str, Any] = {
            "class": kind,
            "stdin": stdin,
            "args": list(case.args),
            "files": {n: None if r is None else _words(_joined(program, n, r)) for n, r in case.files},
            "fields": dict(case.fields),
            "expected": _words(expected.stdout.replace(MARK, b"")),
            "got": _words(got.stdout),
            "error": _words(got.stderr)[-600:],
        }
        if program.linkage:
            found["got"] = _words(got.stdout + got.returned)
        for name in _written(program):
            found.setdefault("expected_files", {})[name] = _words(expected.files.get(name, b""))
            found.setdefault("got_files", {})[name] = _words(got.files.get(name, b""))
        return found

    def _beyond(self, ready: Ready, code: str) -> dict[str, int]:
        """Typed text that the fields cannot take: how often both sides still agree. Reported, never judged."""
        program = ready.program
        assert program is not None
        tried = agreed = 0
        for case in invalid_cases(program, 7):
            if self._expected(ready, case) is not None:
                tried += 1
                agreed += self._try(ready, code, case)[0] == "equal"
        return {"tried": tried, "equal": agreed}


# --- helpers ------------------------------------------------------------------------------------------------


def _marked(value: Any) -> Any:
    """An input value in the form in which the server sends what Python returned."""
    if isinstance(value, list):
        return [_marked(v) for v in value]
    if isinstance(value, dict):
        return {"number": value["decimal"]}
    if isinstance(value, float):
        return {"float": repr(value)}
    return {"number": str(value)} if isinstance(value, int) else value


def _flat(value: Any) -> list[Any]:
    if not isinstance(value, list):
        return []
    return [leaf for part in value for leaf in (_flat(part) if isinstance(part, list) else [part])]


def _driver_lines(program: Program, case: Case) -> list[str]:
    given = dict(case.fields)
    lines = []
    for item, sizes in places(program.linkage):
        value = given[item.python_name]
        for one in value if sizes else [value]:
            lines.append(one["decimal"] if isinstance(one, dict) else str(one))
    return lines


def _driver_values(stdout: bytes) -> tuple[bytes, dict[tuple[str, tuple[int, ...]], str]]:
    shown, _, rest = stdout.partition(MARK)
    values = {}
    for row in rest.decode("utf-8", "surrogateescape").split("\n"):
        label, equals, text = row.partition("=")
        if equals:
            name, *index = label.split("|")
            values[name, tuple(int(n) for n in index)] = text
    return shown, values


def _files(program: Program, case: Case) -> dict[str, bytes]:
    return {name: _joined(program, name, records) for name, records in case.files if records is not None}


def _joined(program: Program, name: str, records: tuple[bytes, ...]) -> bytes:
    kind = next(f.organization for f in program.files if f.assigned == name)
    return b"".join(r + b"\n" if kind == "LINE SEQUENTIAL" else r for r in records)


def _written(program: Program) -> list[str]:
    return sorted({f.assigned for f in program.files if f.modes & {"OUTPUT", "EXTEND", "I-O"}})


def _collected(program: Program) -> tuple[str, ...]:
    return tuple(_written(program))


def judge_all(rows: Sequence[tuple[str, str, Domain]], **settings: Any) -> list[Verdict]:
    """Verdicts of (translation, source, domain) rows, in their order; ``settings`` are those of `Judge`.

    One judge a core, in threads: a judge waits for its sandboxes nearly all the time. The rows of one source go to one
    judge, so that it is prepared once. Raises `SandboxUnavailable`.
    """
    by_source: dict[str, list[int]] = {}
    for number, (_, source, _) in enumerate(rows):
        by_source.setdefault(source, []).append(number)
    waiting: queue.SimpleQueue[list[int]] = queue.SimpleQueue()
    for numbers in by_source.values():
        waiting.put(numbers)
    verdicts: dict[int, Verdict] = {}

    def work(_: int) -> None:
        with Judge(**settings) as judge:
            while True:
                try:
                    numbers = waiting.get_nowait()
                except queue.Empty:
                    return
                for number in numbers:
                    verdicts[number] = judge.judge(*rows[number])

    cores = len(os.sched_getaffinity(0))  # Linux, as bubblewrap is
    workers = max(1, min(cores, len(by_source)))
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(work, range(workers)):
            pass
    return [verdicts[number] for number in range(len(rows))]


def _has_inputs(program: Program) -> bool:
    return bool(
        program.stdin or program.args or program.linkage or any("INPUT" in f.modes for f in program.files)
    )


def _alike(a: Outcome, b: Outcome) -> bool:
    return b.kind == "exited" and (a.stdout, a.code, dict(a.files)) == (b.stdout, b.code, dict(b.files))


def _words(data: bytes) -> str:
    """Readable, bounded, and never anything but text."""
    text = data[:4000].decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)


def _culprit(message: str, text: str) -> int | None:
    found = re.search(r"line (\d+)", message)
    if found is None:
        return None
    above = text.split("\n")[: int(found[1])]
    names = re.findall(r"PROGRAM-ID\s*\.?\s*GPM(\d{3})", "\n".join(above), re.I)
    return int(names[-1]) if names else None


def _dump(ready: Ready) -> bytes:
    body = {
        "reason": ready.reason,
        "mutants": ready.mutants,
        "killable": ready.killable,
        "killed": ready.killed,
        "searched": ready.searched,
        "survivors": ready.survivors,
        "frozen": [
            asdict(case)
            | {"files": [[n, None if r is None else [d.hex() for d in r]] for n, r in case.files]}
            for case in ready.frozen
        ],
    }
    return json.dumps(body).encode()


def _load(data: bytes, ready: Ready) -> Ready:
    body: Mapping[str, Any] = json.loads(data)
    ready.reason, ready.survivors = body["reason"], body["survivors"]
    ready.mutants, ready.killable, ready.killed = body["mutants"], body["killable"], body["killed"]
    ready.searched = body["searched"]
    ready.frozen = [
        Case(
            tuple(c["lines"]),
            tuple(c["args"]),
            tuple((n, None if r is None else tuple(bytes.fromhex(d) for d in r)) for n, r in c["files"]),
            tuple((n, v) for n, v in c["fields"]),
            tuple(c["tail"]),
            c["tag"],
        )
        for c in body["frozen"]
    ]
    return ready

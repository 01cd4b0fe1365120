"""Task packs: what one specialist is, in one folder that people can read.

Covers: the schema of ``task.toml``, loading with the offending line in every complaint, finding packs in the
workspace and among the shipped ones, the eval set's rows.
Does not cover: the rules the values stand for; the room that uses a value explains it.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from curate.errors import NotFound, UsageError


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Label(Strict):
    """One question the review card asks about a pair."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    kind: Literal["choice", "multi-choice", "rating", "text", "span"]
    title: str = ""
    stage: Literal["annotate", "review", "adjudicate"] = "review"
    key: str | None = Field(None, pattern=r"^[a-z0-9]$")  # key that focuses it on the card
    choices: list[str] = []
    scale: int = Field(5, ge=2, le=10)  # for ratings: 1..scale
    required: bool = False

    @model_validator(mode="after")
    def _choices_where_needed(self) -> Label:
        if self.kind in ("choice", "multi-choice", "span") and not self.choices:
            raise ValueError(f"label {self.name!r} of kind {self.kind!r} needs choices")
        return self


class Generation(Strict):
    """Decoding for evals and for suggestions; greedy, so that a report can be repeated."""

    max_new_tokens: int = Field(64, ge=1, le=8192)
    repetition_penalty: float = Field(1.1, ge=1.0, le=2.0)


class Model(Strict):
    base: str = "smollm2-135m-instruct"  # a name in train.base, a hub id, or a local path
    generation: Generation = Generation()


class Gold(Strict):
    """What the approved completions themselves must reach under a suite's scorer before anything learns from them."""

    min: float = 0.5  # a pair whose primary score is lower fails
    share: float = Field(
        0.0, ge=0, lt=1
    )  # of the pairs that may fail without a waiver: the scorer's own errors
    never: float | None = None  # a pair under it fails whatever the share allows: no judge errs that far
    expect: str | None = None  # metadata key of a pair that holds what eval rows call `expect`
    params: dict[
        str, Any
    ] = {}  # over the suite's own, where judging gold may be cheaper than judging answers


class Suite(Strict):
    """One evaluation: which scorer judges which eval rows, and which of its numbers decides."""

    name: str
    metric: str  # folder name under evals/metrics
    eval: str = "eval.jsonl"
    primary: str = "score"
    cluster: str = "source"  # eval rows that share this value are not independent
    slices: list[str] = []
    agreement: str | None = None  # JSONL of answers labelled blind by people, to check the scorer against
    params: dict[str, Any] = {}
    facts: str | None = None  # policy sheet whose passages the retrieval_facts arms put into the prompt
    gold: Gold = Gold()


class Waiver(Strict):
    """Somebody's word, by name, that a preflight check may be passed over. It shows in every later report."""

    check: str = Field(min_length=1)  # name of the check, as preflight prints it
    by: str = Field(min_length=1)
    reason: str = Field(min_length=10)
    pairs: list[
        str
    ] = []  # only these pairs, sources or key=value of their metadata; the whole check when empty


Baseline = Literal["zero_shot", "few_shot", "retrieval", "retrieval_few_shot", "retrieval_facts"]


class Retention(Strict):
    """General ability after training, against the untuned base (`evals.retention`)."""

    on: bool = True
    margin: float = Field(
        0.1, gt=0
    )  # loss of the right choice's mean share of probability (power .94 at .1, .48 at .05)


class Gate(Strict):
    """What a version must show. Higher is better; scores lie between 0 and 1 unless a card says otherwise."""

    min_pairs: int = Field(50, ge=1)
    floor: float | None = None  # lower 95 % bound of the primary score must reach it
    margin: float = Field(0.03, gt=0)  # non-inferiority margin against released versions
    effect: float = Field(0.1, gt=0)  # smallest gain over a baseline that the eval set must be able to show
    alpha: float = Field(0.05, gt=0, lt=0.5)  # one-sided
    power: float = Field(0.8, gt=0.5, lt=1)
    baselines: list[Baseline] = ["zero_shot", "few_shot", "retrieval", "retrieval_few_shot"]
    few_shot: int = Field(4, ge=1)  # examples of the few_shot and retrieval_few_shot arms
    critical: list[str] = []  # counters of the scorer that must be zero
    retention: Retention = Retention()
    min_agreement: float | None = None  # Cohen's kappa of the scorer with people, below which it may not gate


class Demo(Strict):
    """A declared override: `goldpair demo` runs short, and its gate is INCONCLUSIVE whatever comes of it."""

    eval_rows: int = Field(ge=1)  # asked a suite, spread over its slices
    train_minutes: float | None = Field(None, gt=0)
    max_steps: int | None = Field(None, ge=1)
    signed_by: str = Field(min_length=1)
    reason: str = Field(min_length=10)


class Split(Strict):
    validation: float = Field(0.05, ge=0, lt=0.5)  # share of sources held out of training for the loss curve
    seed: int = 0


class Team(Strict):
    """Second looks: how people are compared with each other and with what is known."""

    overlap: float = Field(0.0, ge=0, le=1)  # share of pairs that two people judge blind
    gold: float = Field(0.0, ge=0, le=0.2)  # share of a reviewer's items that are hidden gold
    seed: int = 0  # of the overlap's sample


class Overlap(Strict):
    """What the snapshot and an eval set must not share, beside near-duplicate texts and the field `source`."""

    sources: list[str] = ["patient", "program", "author"]  # metadata keys that name a source on both sides
    template_is_source: bool = False  # texts on one template block too (a firm's house style never should)


class Paraphrases(Strict):
    """The optional semantic tier of the search for duplicates; off without a model."""

    model: str | None = None  # local folder of a sentence encoder
    min_similarity: float = Field(0.9, gt=0, le=1)  # cosine of the embeddings


class TaskPack(Strict):
    """A whole ``task.toml``."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str
    version: int = Field(1, ge=1)
    description: str = ""
    system: str = ""  # system message, the same in training and in use
    labels: list[Label] = []
    reject_reasons: list[str] = ["off_task", "wrong", "unsafe", "malformed", "duplicate"]
    privacy: dict[str, Any] = {}  # validated by curate.privacy.Policy
    dedupe: dict[str, Any] = {}  # options of curate.dedupe.find_duplicates
    team: Team = Team()
    paraphrases: Paraphrases = Paraphrases()
    overlap: Overlap = Overlap()
    split: Split = Split()
    model: Model = Model()
    training: dict[str, Any] = {}  # recipe overrides, validated by train.load_recipe
    suites: list[Suite] = []
    gate: Gate = Gate()
    waivers: list[Waiver] = []
    demo: Demo | None = None

    @model_validator(mode="after")
    def _label_names_and_keys_are_unique(self) -> TaskPack:
        for what, values in (
            ("label name", [label.name for label in self.labels]),
            ("label key", [label.key for label in self.labels if label.key]),
            ("suite name", [suite.name for suite in self.suites]),
        ):
            doubled = {value for value in values if values.count(value) > 1}
            if doubled:
                raise ValueError(f"{what} used twice: {', '.join(sorted(doubled))}")
        return self


class EvalRow(Strict):
    """One row of ``eval.jsonl``."""

    id: str
    source: str
    prompt: str
    history: list[dict[str, str]] = []
    reference: str | None = None
    expect: str = ""
    slice: dict[str, str] = {}
    metadata: dict[str, Any] = {}


SHIPPED = next(
    path
    for path in (
        Path(__file__).parent / "_packs",  # in the wheel
        Path(__file__).resolve().parent.parent / "data" / "tasks",  # in a checkout
    )
    if path.is_dir()
)


def shipped_packs() -> dict[str, Path]:
    """Name -> folder of every pack that comes with the product."""
    return {path.parent.name: path.parent for path in sorted(SHIPPED.glob("*/task.toml"))}


def find_pack(name_or_path: str | Path, workspace_tasks: Path | None = None) -> Path:
    """Folder of a pack: a path, else the workspace's own, else a shipped one. Raises `NotFound`."""
    path = Path(name_or_path)
    if (path / "task.toml").is_file():
        return path
    if workspace_tasks is not None and (workspace_tasks / str(name_or_path) / "task.toml").is_file():
        return workspace_tasks / str(name_or_path)
    shipped = shipped_packs()
    if str(name_or_path) in shipped:
        return shipped[str(name_or_path)]
    own = sorted(p.parent.name for p in workspace_tasks.glob("*/task.toml")) if workspace_tasks else []
    raise NotFound(
        f"No task {str(name_or_path)!r}. Known tasks: {', '.join(sorted({*own, *shipped})) or 'none'}."
    )


def load_pack(folder: str | Path) -> TaskPack:
    """Read and check ``task.toml``. Raises `UsageError` that names the file, the line and the key."""
    path = Path(folder) / "task.toml"
    try:
        text = path.read_text("utf-8")
        return TaskPack.model_validate(tomllib.loads(text))
    except OSError as error:
        raise NotFound(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from error
    except ValidationError as error:
        lines = text.splitlines()
        found = []
        for problem in error.errors():
            loc = [str(part) for part in problem["loc"]]
            what = "unknown key" if problem["type"] == "extra_forbidden" else problem["msg"]
            found.append(f"line {_line_of(lines, loc)}: {'.'.join(loc)}: {what}")
        raise UsageError(f"{path}: " + "; ".join(found)) from error


def _line_of(lines: list[str], loc: list[str]) -> int:
    """1-based line where the last named key of ``loc`` is set; 1 when it is set nowhere (a missing key)."""
    keys = [part for part in loc if not part.isdigit()]
    index = next((int(part) for part in loc if part.isdigit()), 0)
    seen, table, start = -1, keys[0] if len(keys) > 1 else None, 0
    if table is not None:
        for number, line in enumerate(lines):
            head = line.strip().strip("[]").strip()
            if line.strip().startswith("[") and (head == table or head == ".".join(keys[:-1])):
                seen += 1
                start = number
                if seen == index:
                    break
    for number in range(start, len(lines)):
        if lines[number].split("=")[0].strip() == (keys[-1] if keys else ""):
            return number + 1
    return start + 1


def load_eval(folder: str | Path, suite: Suite) -> list[EvalRow]:
    """Rows of a suite's eval file, ids checked for uniqueness. Raises `UsageError` naming the line."""
    path = Path(folder) / suite.eval
    rows: list[EvalRow] = []
    seen: dict[str, int] = {}
    try:
        with path.open(encoding="utf-8") as handle:
            for number, line in enumerate(handle, 1):
                if not line.strip():
                    continue
                row = EvalRow.model_validate(json.loads(line))
                if row.id in seen:
                    raise UsageError(f"{path}:{number}: id {row.id!r} stands already on line {seen[row.id]}")
                seen[row.id] = number
                rows.append(row)
    except OSError as error:
        raise NotFound(f"Suite {suite.name!r} wants {path}: {error.strerror}") from error
    except (ValueError, ValidationError) as error:
        raise UsageError(f"{path}:{number}: {error}") from error
    return rows

"""The command line's verbs on models: preflight, train, evaluate, decide, report, release, talk to and export them.

Covers: options and what is printed. Does not cover: the work itself (`curate.ops`), nor other verbs (`curate.cli`,
which registers these).
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from curate.cli_base import (
    JsonOption,
    ModelArgument,
    NoWait,
    SnapshotArgument,
    TaskArgument,
    UserOption,
    WorkspaceOption,
    app,
    connect,
    example,
    models_app,
    place_of,
    run_job,
    show_result,
    show_table,
)
from curate.errors import EXIT_REFUSED, UsageError

# --- training and evaluation --------------------------------------------------------------------------------

SetOption = Annotated[list[str] | None, typer.Option("--set", help="Recipe override, e.g. lora.r=16.")]
RecipeOption = Annotated[Path | None, typer.Option("--recipe", help="Recipe TOML; else the pack's.")]
BaseOption = Annotated[
    str | None, typer.Option("--base-model", help="Hub id, local path or smollm2-135m-instruct.")
]


@app.command(
    epilog=example(
        "goldpair preflight 3fa9", 'goldpair preflight 3fa9 --override "demo on excerpts, see #12"'
    )
)
def preflight(
    snapshot: SnapshotArgument,
    recipe: RecipeOption = None,
    set_: SetOption = None,
    base_model: BaseOption = None,
    override: Annotated[
        str | None, typer.Option(help="Reason to train although preflight did not pass.")
    ] = None,
    no_wait: NoWait = False,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a snapshot before training. Exits 3 unless it passes."""
    client = connect(workspace, user)
    if override:
        result = client.call("preflight.override", snapshot=place_of(snapshot), reason=override)
        show_result(result, as_json, _show_checks)
        return
    result = run_job(
        client,
        "preflight",
        as_json,
        no_wait,
        "preflight",
        snapshot=place_of(snapshot),
        recipe=str(recipe.resolve()) if recipe else None,
        set=set_ or [],
        base_model=base_model,
    )
    show_result(result, as_json, _show_checks)
    if not no_wait and result.get("verdict") != "PASS":
        raise typer.Exit(EXIT_REFUSED)


def _show_checks(result: dict[str, Any]) -> None:
    for check in result.get("checks", []):
        print(f"{check['verdict']:13} {check['name']}: {check.get('detail', '')}")
    print(f"verdict: {result.get('verdict', '-')}")
    if result.get("override"):
        print(f"override by {result['override']['user']}: {result['override']['reason']}")


@app.command(epilog=example("goldpair train 3fa9", "goldpair train 3fa9 --set lora.r=16 --max-minutes 10"))
def train(
    snapshot: SnapshotArgument,
    recipe: RecipeOption = None,
    set_: SetOption = None,
    base_model: BaseOption = None,
    max_minutes: Annotated[
        float | None, typer.Option(help="Stop after this time, keeping the last checkpoint.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Model version; else the next free <task>-vN.")] = None,
    no_wait: NoWait = False,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fine-tune from a verified snapshot whose preflight passed. Exits 3 when it did not."""
    result = run_job(
        connect(workspace, user),
        "train",
        as_json,
        no_wait,
        "train",
        snapshot=place_of(snapshot),
        recipe=str(recipe.resolve()) if recipe else None,
        set=set_ or [],
        base_model=base_model,
        max_minutes=max_minutes,
        name=name,
    )
    show_result(result, as_json)


@app.command(
    epilog=example("goldpair curve 3fa9", "goldpair curve 3fa9 --points 5 --seeds 3 --max-minutes 4 --json")
)
def curve(
    snapshot: SnapshotArgument,
    seeds: Annotated[int, typer.Option(min=1, max=10, help="Models for every part.")] = 2,
    points: Annotated[
        int, typer.Option(min=3, max=8, help="Parts, each twice the one before; 4 begins at 1/8.")
    ] = 4,
    max_minutes: Annotated[float | None, typer.Option(help="Training time of each model.")] = None,
    recipe: RecipeOption = None,
    set_: SetOption = None,
    base_model: BaseOption = None,
    no_wait: NoWait = False,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """How many more pairs? Train on parts of a snapshot, score each, fit a curve. Finished parts are kept."""
    result = run_job(
        connect(workspace, user),
        "curve",
        as_json,
        no_wait,
        "curve",
        snapshot=place_of(snapshot),
        seeds=seeds,
        points=points,
        max_minutes=max_minutes,
        recipe=str(recipe.resolve()) if recipe else None,
        set=set_ or [],
        base_model=base_model,
    )

    def show(found: dict[str, Any]) -> None:
        for name, suite in found.get("suites", {}).items():
            columns = ["pairs", "seed", "score", "rows", "seconds"]
            show_table(sorted(suite["points"], key=lambda p: (p["pairs"], p["seed"])), columns)
            print(f"{name}: {suite['sentence']}")
        if no_wait:
            print(f"job: {found['job']}")

    show_result(result, as_json, show)


@app.command(epilog=example("goldpair reproduce sarcastic-bot-v1"))
def reproduce(
    model: ModelArgument,
    no_wait: NoWait = False,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a version again from its record and compare. Exits 3 when another adapter comes out."""
    result = run_job(connect(workspace, user), "reproduce", as_json, no_wait, "reproduce", model=model)
    show_result(result, as_json)
    if not no_wait and not result["equal"]:
        raise typer.Exit(EXIT_REFUSED)


@app.command(
    "eval",
    epilog=example(
        "goldpair eval sarcastic-bot --model sarcastic-bot-v1",
        "goldpair eval medical-scribe --outputs gpt4=gpt4.jsonl --baselines none",
    ),
)
def eval_(
    task: TaskArgument,
    model: Annotated[str | None, typer.Option(help="Model version; only the baselines when absent.")] = None,
    snapshot: Annotated[
        str | None, typer.Option(help="Snapshot of the few-shot and retrieval arms; else the newest.")
    ] = None,
    suite: Annotated[str | None, typer.Option(help="Only this suite of the pack.")] = None,
    outputs: Annotated[
        list[str] | None, typer.Option(help="NAME=FILE, JSONL of {id, output} by another system.")
    ] = None,
    baselines: Annotated[
        str | None, typer.Option(help="Comma-separated arms, or none; else the pack's.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Only so many eval rows, spread over slices; never enough for a gate."),
    ] = None,
    no_wait: NoWait = False,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer and score the frozen eval set with every arm."""
    files = {}
    for entry in outputs or []:
        arm, separator, file = entry.partition("=")
        if not separator:
            raise UsageError(f"--outputs wants NAME=FILE, not {entry!r}.")
        files[arm] = str(Path(file).resolve())
    chosen = None if baselines is None else [b for b in baselines.split(",") if b and b != "none"]
    result = run_job(
        connect(workspace, user),
        "eval",
        as_json,
        no_wait,
        "eval",
        task=task,
        model=model,
        snapshot=place_of(snapshot) if snapshot else None,
        suite=suite,
        outputs=files,
        baselines=chosen,
        limit=limit,
    )
    show_result(result, as_json)


@app.command(
    epilog=example(
        "goldpair score rouge --file pairs.jsonl",
        "goldpair score soap_note --file notes.jsonl --map predictions=note --out items.jsonl --json",
    )
)
def score(
    metric: Annotated[str, typer.Argument(help="Scorer, e.g. soap_note.")],
    file: Annotated[
        Path, typer.Option("--file", "-f", help="JSON lines; fields are the scorer's arguments.")
    ],
    mapping: Annotated[
        list[str] | None, typer.Option("--map", help="COLUMN=FIELD, e.g. predictions=output.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE for the scorer; JSON, or else text.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the results per item here, JSON lines.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Score any JSON lines file with any scorer. Needs no workspace and stores nothing."""
    from evals.scoring import PER_ITEM, score_file

    given: dict[str, dict[str, Any]] = {"--map": {}, "--option": {}}
    for name, entries in (("--map", mapping), ("--option", option)):
        for entry in entries or []:
            key, separator, value = entry.partition("=")
            if not separator:
                raise UsageError(f"{name} wants NAME=VALUE, not {entry!r}.")
            given[name][key] = value
    for key, value in given["--option"].items():
        with contextlib.suppress(json.JSONDecodeError):  # else it is text, as it stands
            given["--option"][key] = json.loads(value)
    result = score_file(metric, file, mapping=given["--map"], options=given["--option"], out=out)

    def show(result: dict[str, Any]) -> None:
        numbers = [{"number": k, "value": _short(v)} for k, v in result.items() if k not in PER_ITEM]
        show_table(numbers)
        items = zip(result["scores"], result.get("evidence") or [[]] * len(result["scores"]), strict=True)
        rows = [
            {"item": number, "score": _short(value), "hits": _hits(hits)}
            for number, (value, hits) in enumerate(items, 1)
        ]
        show_table(rows[:20])
        if len(rows) > 20:
            print(f"... and {len(rows) - 20} more; --out FILE writes them all.")

    show_result(result, as_json, show)


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _hits(hits: list[dict[str, Any]]) -> str:
    kinds = [hit["kind"] for hit in hits]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))


RunArgument = Annotated[str, typer.Argument(help="Eval run, or a model version (its newest run).")]


@app.command(epilog=example("goldpair gate sarcastic-bot-v1", "goldpair gate sarcastic-bot-v1 --ci"))
def gate(
    run: RunArgument,
    ci: Annotated[bool, typer.Option("--ci", help="Print a Markdown table.")] = False,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decide PASS, FAIL or INCONCLUSIVE from the scores. Exits 3 unless it passes."""
    result = connect(workspace, user).call("gate", run=run)

    def show(decision: dict[str, Any]) -> None:
        if not ci:
            _show_checks(decision)
            return
        print("| check | verdict | detail |\n|---|---|---|")
        for check in decision["checks"]:
            detail = str(check.get("detail", "")).replace("|", "\\|")
            print(f"| {check['name']} | {check['verdict']} | {detail} |")
        print(f"\n**{decision['verdict']}**")

    show_result(result, as_json, show)
    if result["verdict"] != "PASS":
        raise typer.Exit(EXIT_REFUSED)


@app.command(epilog=example("goldpair report sarcastic-bot-v1"))
def report(
    run: RunArgument, workspace: WorkspaceOption = None, user: UserOption = None, as_json: JsonOption = False
) -> None:
    """Write the regression report of an eval run: HTML, Markdown, JSON."""
    show_result(connect(workspace, user).call("report", run=run), as_json)


@app.command(
    epilog=example("goldpair blame sarcastic-bot-v2", "goldpair blame sarcastic-bot-v2--tone --json")
)
def blame(
    run: RunArgument,
    gradients: Annotated[
        bool,
        typer.Option(
            "--gradients/--no-gradients",
            help="Also compare gradients: of the adapter, or of a full fine-tune's last block.",
        ),
    ] = True,
    no_wait: NoWait = False,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name the training pairs most likely behind each broken example."""
    result = run_job(
        connect(workspace, user), "blame", as_json, no_wait, "blame", run=run, gradients=gradients
    )

    def show(found: dict[str, Any]) -> None:
        rows = [
            {"example": e["id"], "pairs": ", ".join(p["pair_id"] for p in e["pairs"])}
            for e in found.get("examples", ())
        ]
        show_table(found.get("groups", [])[:10])
        show_table(rows)

    show_result(result, as_json, show)


@app.command(epilog=example("goldpair reopen sarcastic-bot-v2", "goldpair reopen sarcastic-bot-v2 3f9a1c"))
def reopen(
    run: RunArgument,
    pairs: Annotated[
        list[str] | None, typer.Argument(help="Pair ids; else the first suspect of every example.")
    ] = None,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Return the pairs that `goldpair blame` suspects to the review queue, with the failing example."""
    show_result(connect(workspace, user).call("blame.reopen", run=run, pairs=pairs or None), as_json)


@app.command(epilog=example("goldpair promote sarcastic-bot-v1"))
def promote(
    model: ModelArgument,
    override: Annotated[
        str | None, typer.Option(help="Reason to release without a PASS; signed with your name.")
    ] = None,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Release a model version. Only a PASS releases; exits 3 otherwise."""
    show_result(connect(workspace, user).call("promote", model=model, override=override), as_json)


@app.command(epilog=example("goldpair chat sarcastic-bot-v1", "goldpair chat sarcastic-bot-v1 --base"))
def chat(
    model: ModelArgument,
    base: Annotated[bool, typer.Option("--base", help="Let the base answer too, to compare.")] = False,
    prompt: Annotated[str | None, typer.Option(help="Ask this one thing and end.")] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(min=1, help="Longest answer; else the task's.")
    ] = None,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Talk to a model version in the terminal; /reset forgets the talk, /quit or Ctrl-D ends it."""
    from curate import playground
    from curate.tasks import find_pack, load_pack
    from curate.workspace import Workspace

    here = Workspace.open(workspace)
    run = connect(workspace, user).call("models.show", model=model)["run"]
    pack = load_pack(find_pack(run["task"], here.tasks))
    found = playground.voices(
        [here.models / Path(model).name], pack, base=base, threads=here.settings.threads
    )
    lines = [prompt] if prompt is not None else _lines(ask=sys.stdin.isatty() and not as_json)
    turns = []
    for turn in playground.converse(found, pack, lines, max_new_tokens):
        turns.append(turn)
        for name, text in turn["answers"].items() if not as_json else ():
            print(f"{name}: {playground.printable(text)}" if base else playground.printable(text))
    if as_json:
        print(json.dumps({"model": model, "turns": turns}, ensure_ascii=False, indent=2))


def _lines(ask: bool) -> Any:
    """Lines of standard input, with a prompt sign for a person."""
    while True:
        try:
            yield input("> " if ask else "")
        except EOFError:
            return


@models_app.command("list", epilog=example("goldpair models list"))
def models_list(
    task: Annotated[str | None, typer.Argument(help="Only this task.")] = None,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Model versions."""
    result = connect(workspace, user).call("models.list", task=task)
    show_result(result, as_json, lambda r: show_table(r["models"]))


@models_app.command("versions", epilog=example("goldpair models versions sarcastic-bot"))
def models_versions(
    task: Annotated[str | None, typer.Argument(help="Only this task.")] = None,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Model versions, oldest first, with score and interval by suite, retention, verdict and release."""
    result = connect(workspace, user).call("models.versions", task=task)

    def show(found: dict[str, Any]) -> None:
        rows = []
        for v in found["versions"]:
            kept = v["retention"]
            row = {
                "version": v["name"],
                "verdict": v["verdict"],
                "released": "yes" if v["released"] else "no",
            }
            row |= {"retention": f"{kept['tuned'] - kept['base']:+.3f}" if kept else None}
            for suite, s in v["suites"].items():
                row[suite] = (
                    f"{s['mean']:.3f} [{s['interval'][0]:.3f}, {s['interval'][1]:.3f}], {s['rows']} of {s['of']} rows"
                )
            rows.append(row)
        show_table(rows, list(dict.fromkeys(key for row in rows for key in row)) or None)

    show_result(result, as_json, show)


@models_app.command("show", epilog=example("goldpair models show sarcastic-bot-v1 --json"))
def models_show(
    model: ModelArgument,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """The run record of a model version."""
    show_result(connect(workspace, user).call("models.show", model=model), as_json)


@models_app.command(
    "compare", epilog=example("goldpair models compare sarcastic-bot-v1 sarcastic-bot-v2 --json")
)
def models_compare(
    left: Annotated[str, typer.Argument(help="Model version, the older one.")],
    right: Annotated[str, typer.Argument(help="Model version, the newer one.")],
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two versions: scores over the same rows, fixed and broken, recipe and data."""
    result = connect(workspace, user).call("models.compare", left=left, right=right)

    def show(found: dict[str, Any]) -> None:
        rows = [
            {
                "suite": s["suite"],
                found["left"]: s["means"][0] if s["means"] else None,
                found["right"]: s["means"][1] if s["means"] else None,
                "difference": s["estimate"],
                "interval": s["interval"],
                **s["table"],
            }
            for s in found["suites"]
        ]
        show_table(rows)
        for line in found["skipped"]:
            print(line)

    show_result(result, as_json, show)


@models_app.command("import", epilog=example("goldpair models import /mnt/gpu/medical-scribe-v1"))
def models_import(
    folder: Annotated[Path, typer.Argument(help="Its model folder.")],
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring home a model version trained on another machine."""
    show_result(connect(workspace, user).call("models.import", path=str(folder.resolve())), as_json)


@models_app.command(
    "export",
    epilog=example(
        "goldpair models export sarcastic-bot-v1 --form merged --out merged/",
        "goldpair models export sarcastic-bot-v1 --form gguf --outtype q8_0 --out gguf/",
        "goldpair models export sarcastic-bot-v1 --form vllm-command",
    ),
)
def models_export(
    model: ModelArgument,
    form: Annotated[str, typer.Option(help="merged, gguf, adapter or vllm-command.")] = "merged",
    out: Annotated[Path | None, typer.Option(help="New folder; not for vllm-command.")] = None,
    outtype: Annotated[str, typer.Option(help="Numbers of a GGUF file: f32, f16, bf16 or q8_0.")] = "f16",
    no_wait: NoWait = False,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a version for other tools. Exits 3 when the export answers otherwise than the version."""
    client = connect(workspace, user)
    if form == "vllm-command":
        show_result(client.call("models.command", model=model), as_json, lambda r: print(r["command"]))
        return
    if out is None:
        raise UsageError(f"--form {form} needs --out FOLDER.")
    fields = {"model": model, "form": form, "out": str(out.resolve()), "outtype": outtype}
    result = run_job(client, f"export {form}", as_json, no_wait, "models.export", **fields)
    show_result(result, as_json)
    if (result.get("parity") or {}).get("verdict") == "BROKEN":
        raise typer.Exit(EXIT_REFUSED)

"""From scores to a released model: running evaluations, deciding, reporting, promoting.

Covers: putting arms together for a task, keeping runs, the gate's decision, the model register, invariant 5 (only
PASS, or a signed override, releases). Does not cover: scoring and statistics (`evals`), training (`train`).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate import contamination, contract, learning, lineage, users
from curate.errors import NotFound, RefusedError, UsageError
from curate.store import Store, Tx, utcnow
from curate.tasks import Suite, TaskPack, find_pack, load_pack
from curate.workspace import Workspace

if TYPE_CHECKING:
    from evals.leak import Secret


def evaluate(
    workspace: Workspace,
    spec: dict[str, Any],
    report: Callable[[dict[str, Any]], None],
    secrets: Sequence[Secret] = (),
) -> dict[str, Any]:
    """Run the suites of an ``eval`` job (`curate.ops.proof.EvalRequest`) in the job's process, without a store.

    ``secrets`` are tried on the model (`evals.leak`); the result stands in every run as ``leak.json``.
    """
    from evals.agreement import measure
    from evals.run import run_suite

    pack_folder = Path(spec["pack"])
    pack = load_pack(pack_folder)
    model = Path(spec["model"]) if spec["model"] else None
    training = _training_cost(model)
    limit, demo = spec.get("limit"), _declared(spec, model)
    who = model.name if model else "baselines"
    if limit and "steps" not in (demo or {}):
        who = f"sample-{who}"  # a part of the rows must not stand where all of them are looked for
    runs: list[str] = []
    for name in spec["suites"]:
        suite = next(s for s in pack.suites if s.name == name)
        out = workspace.evals / pack.name / f"{who}--{suite.name}"
        sheet = pack_folder / suite.facts if suite.facts else None
        arms = _arms(workspace, pack, spec, model, sheet)
        for before in sorted(("baselines", "sample-baselines"), reverse=bool(limit)):
            _take_over(workspace.evals / pack.name / f"{before}--{suite.name}", out)

        def progress(arm: str, done: int, total: int, number: int = len(runs)) -> None:
            report(
                {
                    "done": done,
                    "total": total,
                    "message": f"{arm}, suite {number + 1} of {len(spec['suites'])}",
                }
            )

        run_suite(
            pack_folder,
            pack,
            suite,
            arms,
            out,
            snapshot_dir=spec["snapshot"],
            cache=workspace.cache / "generations",
            progress=progress,
            training=training,
            limit=limit,
            demo=demo,
        )
        contamination.keep_suspects(out, _learned_from(workspace, spec, model), pack, suite, pack_folder)
        if model is not None:
            if pack.gate.retention.on:
                report({"message": "general ability, before and after"})
                _retention(arms, workspace, out)
            report({"message": "scorer against blind labels"})
            (out / "agreement.json").write_text(json.dumps(measure(pack_folder, suite)), "utf-8")
        runs.append(out.name)
    if model is not None:
        leaks = json.dumps(_probe(arms, secrets, report))
        for name in runs:
            (workspace.evals / pack.name / name / "leak.json").write_text(leaks, "utf-8")
    return {"run": runs[0], "runs": runs}


def _probe(
    arms: list[Any], secrets: Sequence[Secret], report: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Whether the tuned model knows an original that a surrogate replaced; the model in memory is used again."""
    from evals.leak import probe, summary

    def progress(done: int, total: int) -> None:
        report({"done": done, "total": total, "message": "originals tried on the model"})

    tuned = arms[-1].generator
    return summary(probe(tuned, tuned.with_adapter(None), secrets, progress=progress))


def _retention(arms: list[Any], workspace: Workspace, out: Path) -> None:
    """Measure general ability of the tuned model and of its base into ``retention.json``; both are remembered."""
    from evals.retention import measure

    tuned = arms[-1].generator
    measured = measure(tuned.with_adapter(None), tuned, workspace.cache)
    (out / "retention.json").write_text(json.dumps(measured) + "\n", "utf-8")


def _take_over(baselines: Path, out: Path) -> None:
    """Begin a model's run from the baselines' answers and scores; what changed since is made anew by its hash."""
    if baselines != out and (baselines / "run.json").exists() and not (out / "run.json").exists():
        shutil.copytree(baselines, out, dirs_exist_ok=True)


def _arms(
    workspace: Workspace, pack: TaskPack, spec: dict[str, Any], model: Path | None, sheet: Path | None
) -> list[Any]:
    from evals.arms import Arm
    from evals.generate import LocalModel

    def load(name: str, template: str) -> LocalModel:
        return LocalModel(name, threads=spec["threads"], precision="auto", template=template)

    stands_on = base_of(model, pack)
    base = load(*stands_on)
    arms = [
        Arm(kind, kind, None if kind == "retrieval" else base, shots=pack.gate.few_shot, sheet=sheet)
        for kind in spec["baselines"]
    ]
    arms += [Arm(name, "file", outputs=Path(path)) for name, path in spec["outputs"].items()]
    if model is not None:
        for name in spec["released"]:
            folder = workspace.models / name
            own = base_of(folder, pack)
            # Weights load when first asked: a predecessor whose answers are kept costs no memory.
            generator = base if own == stands_on else load(*own)
            arms.append(Arm(name, "model", generator=generator.with_adapter(folder)))
        tuned = base.with_adapter(model)
        arms.append(Arm("tuned", "model", generator=tuned))
        if sheet is not None:
            arms.append(Arm("tuned_with_facts", "model_facts", generator=tuned, sheet=sheet))
    return arms


def base_of(model: Path | None, pack: TaskPack) -> tuple[str, str]:
    """Base model and chat template (``model`` or ``plain``) of a version, or of the pack: use must equal training."""
    if model is None:
        return pack.model.base, str(pack.training.get("template", "model"))
    run = json.loads((model / "run.json").read_text("utf-8"))
    return str(run["base"]["name"]), str(run["recipe"].get("template", "model"))


def _learned_from(workspace: Workspace, spec: dict[str, Any], model: Path | None) -> Path | None:
    """The snapshot that the model was trained on where it is here, else the one named for the run."""
    if model is not None:
        trained = json.loads((model / "run.json").read_text("utf-8"))["snapshot"]["id"]
        for manifest in workspace.snapshots.glob("*/manifest.json"):
            if contract.load_manifest(manifest.parent).id == trained:
                return manifest.parent
    return Path(spec["snapshot"]) if spec["snapshot"] else None


def _declared(spec: dict[str, Any], model: Path | None) -> dict[str, Any] | None:
    """The demo override that this run is under: asked for now, or the model was trained under one."""
    if model is not None:
        run = json.loads((model / "run.json").read_text("utf-8"))
        if run.get("demo"):
            return {**run["demo"], "steps": run["steps"], "planned_steps": run["planned_steps"]}
    demo: dict[str, Any] | None = spec.get("demo")
    return demo


def _training_cost(model: Path | None) -> dict[str, Any] | None:
    if model is None:
        return None
    run = json.loads((model / "run.json").read_text("utf-8"))
    return {"seconds": run["wall_seconds"], "device": run["hardware"]["device"]}


# --- deciding and reporting ---------------------------------------------------------------------------------


def _pack_of(workspace: Workspace, run: Path) -> tuple[TaskPack, Suite]:
    pack = load_pack(find_pack(run.parent.name, workspace.tasks))
    suite = next(s for s in pack.suites if run.name.endswith(f"--{s.name}"))
    return pack, suite


def decide(store: Store, workspace: Workspace, actor: users.Actor, run: Path) -> dict[str, Any]:
    """The gate's decision on a run, written as ``gate.json`` into the run and into the model's folder."""
    from evals.gate import decide as decide_run

    users.require(actor, "evaluate")
    pack, _ = _pack_of(workspace, run)
    agreement = json.loads((run / "agreement.json").read_text("utf-8"))
    arms = json.loads((run / "run.json").read_text("utf-8"))["arms"]
    if "tuned" not in arms:
        raise UsageError(
            f"Run {run.name} has no tuned arm to decide on. Run `goldpair eval {pack.name} --model NAME`."
        )
    model = run.name.split("--")[0]
    if not (workspace.models / model / "run.json").is_file():
        raise UsageError(
            f"Run {run.name} is no run of a model version, so there is nothing to decide; one with --limit never is."
        )
    before = released_before(store, pack.name, model)
    decision = decide_run(
        run,
        pack.gate,
        candidate="tuned",
        released=[name for name in before if name in arms],
        absent=[name for name in before if name not in arms],
        scorer_agreement=agreement,
    ).to_dict()
    text = json.dumps(decision, indent=2, ensure_ascii=False) + "\n"
    (run / "gate.json").write_text(text, "utf-8")
    whole = _of_all_suites(run, pack, model, decision)
    (workspace.models / model / "gate.json").write_text(
        json.dumps(whole, indent=2, ensure_ascii=False) + "\n", "utf-8"
    )

    def write(tx: Tx) -> None:
        tx.execute("UPDATE models SET verdict = ? WHERE name = ?", [whole["verdict"], model])
        tx.event("gate_decided", actor.user, model=model, run=run.name, verdict=decision["verdict"])

    store.write(write)
    return decision


def _of_all_suites(run: Path, pack: TaskPack, model: str, decision: dict[str, Any]) -> dict[str, Any]:
    """A version's decision: its run's where the pack has one suite, else the worst of all, undecided ones included."""
    if len(pack.suites) < 2:
        return decision
    checks: list[dict[str, Any]] = []
    reasons: list[str] = []
    verdicts, worth, missing = [], [], []
    for suite in pack.suites:
        path = run.parent / f"{model}--{suite.name}" / "gate.json"
        found = json.loads(path.read_text("utf-8")) if path.is_file() else None
        if found is None:
            detail = (
                f"the gate has not decided on suite {suite.name}; run `goldpair gate {model}--{suite.name}`"
            )
            found = {
                "verdict": "INCONCLUSIVE",
                "worth_it": "",
                "missing": None,
                "reasons": [f"decided: {detail}"],
            }
            found["checks"] = [{"name": "decided", "verdict": "INCONCLUSIVE", "detail": detail}]
        verdicts.append(found["verdict"])
        checks += [check | {"name": f"{suite.name}: {check['name']}"} for check in found["checks"]]
        reasons += [f"{suite.name}: {reason}" for reason in found["reasons"]]
        worth += [f"{suite.name}: {found['worth_it']}"] if found["worth_it"] else []
        missing += [found["missing"]] if found["missing"] else []
    worst = next((v for v in ("FAIL", "INCONCLUSIVE") if v in verdicts), "PASS")
    return decision | {
        "verdict": worst,
        "checks": checks,
        "reasons": reasons,
        "worth_it": " ".join(worth),
        "suite": ", ".join(suite.name for suite in pack.suites),
        "missing": max(missing, default=None),
    }


def released_before(store: Store, task: str, model: str | None) -> list[str]:
    """Versions of a task that were released, oldest first; of a released ``model`` those before it."""
    own = store.one("SELECT released_ts FROM models WHERE name = ? AND released", [model])
    rows = store.rows(
        "SELECT name FROM models WHERE task = ? AND released AND name IS DISTINCT FROM ?"
        " AND (? IS NULL OR released_ts < ?) ORDER BY released_ts, name",
        [task, model, own and own["released_ts"], own and own["released_ts"]],
    )
    return [row["name"] for row in rows]


def report(workspace: Workspace, run: Path) -> dict[str, Any]:
    """Write the report of a run from its files; returns the paths of its three forms."""
    from evals.gate import Decision
    from evals.report import write_report

    lineage.write_context(workspace, run)
    learning.lay_beside(workspace, run)
    gate = run / "gate.json"
    write_report(run, Decision.load(gate) if gate.exists() else None, run)
    model = workspace.models / run.name.split("--")[0]
    if (model / "run.json").exists():
        shutil.copy2(run / "report.html", model / "report.html")
    return {form: str(run / f"report.{form}") for form in ("html", "md", "json")}


# --- the register of models ---------------------------------------------------------------------------------


def register_model(store: Store, actor: users.Actor, folder: Path) -> None:
    """Enter a model version into the store's register; entering it again changes nothing."""
    from train import versions

    version = versions.load(folder)
    run = json.loads((folder / "run.json").read_text("utf-8"))

    def write(tx: Tx) -> None:
        if tx.one("SELECT 1 AS x FROM models WHERE name = ?", [version.name]):
            return
        tx.execute(
            "INSERT INTO models (name, task, hash, snapshot_id, path, created_ts, created_by)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                version.name,
                run["task"],
                version.hash,
                run["snapshot"]["id"],
                folder.name,
                utcnow(),
                actor.user,
            ],
        )
        tx.event(
            "model_registered",
            actor.user,
            model=version.name,
            hash=version.hash,
            snapshot=run["snapshot"]["id"],
        )

    store.write(write)


def promote(
    store: Store, workspace: Workspace, actor: users.Actor, model: str, override: str | None = None
) -> dict[str, Any]:
    """Release a model version. Raises `RefusedError` without a PASS, unless ``override`` gives a reason.

    The decision must be about this very model: the gate file is read from the model's folder, and the model's files
    are checked against its record first.
    """
    from train import versions

    users.require(actor, "promote")
    folder = workspace.models / Path(model).name
    if not (folder / "run.json").is_file():
        raise NotFound(f"No model {model!r}. `goldpair models list` shows them.")
    versions.load(folder)  # raises when a file differs from its record
    demo = json.loads((folder / "run.json").read_text("utf-8")).get("demo")
    if demo:
        raise RefusedError(
            f"{model} comes from a short demo under a declared override; nothing is released from it. Run "
            f"`goldpair demo --task {folder.name.rpartition('-v')[0]} --full`, or train without it.",
            [f"signed by {demo['signed_by']}: {demo['reason']}"],
        )
    gate_file = folder / "gate.json"
    gate = json.loads(gate_file.read_text("utf-8")) if gate_file.exists() else None
    if not override and (gate is None or gate["verdict"] != "PASS"):
        if gate is None:
            raise RefusedError(
                f"{model} has no gate decision. Run `goldpair eval` and `goldpair gate` first."
            )
        raise RefusedError(f"The gate says {gate['verdict']} for {model}.", gate["reasons"])
    now = datetime.now(UTC).isoformat(timespec="seconds")
    if override:
        signed = {"user": actor.user, "reason": override, "ts": now}
        gate = (gate or {"verdict": "INCONCLUSIVE", "checks": [], "reasons": ["never evaluated"]}) | {
            "override": signed
        }
        gate_file.write_text(json.dumps(gate, indent=2, ensure_ascii=False) + "\n", "utf-8")

    def write(tx: Tx) -> None:
        tx.execute(
            "UPDATE models SET released = true, released_by = ?, released_ts = ?, override_by = ?, override_reason = ?"
            " WHERE name = ?",
            [actor.user, utcnow(), actor.user if override else None, override, model],
        )
        tx.event("model_released", actor.user, model=model, override=bool(override))

    store.write(write)
    from curate.facts import stale

    known = store.rows("SELECT * FROM models WHERE name = ?", [model])
    for row in known:
        stale.write_notes(store, workspace, row["task"])
    learned = stale.of_models(store, workspace, known)
    return {
        "model": model,
        "released": True,
        "stale": learned[model]["warning"] if model in learned else None,
        "verdict": gate["verdict"] if gate else None,
        "override": override,
    }

"""The whole loop on a shipped pack, without a question asked: raw records to a verdict on a tuned model.

Covers: the order of the stages, replaying the pack's recorded decisions through the same rules as anybody's, the
short demo under the pack's declared override and the full run beside it in one workspace, an honest summary. Every
stage is the operation that people use; a finished stage is not run again.
Does not cover: any rule of its own. What the gate says is what the demo reports.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from curate import results
from curate.client import Client, running_server
from curate.errors import GoldpairError, NotFound, RefusedError
from curate.tasks import find_pack, load_pack
from curate.workspace import Workspace

LEAD = "admin"
SHOWN = 4  # answers side by side in the summary
WORDS = 400  # characters of each that are shown; the report has them whole
#: stages that the short demo and the full run share; each has the others for itself
SHARED = ("init", "import", "scan", "dedupe", "decisions", "snapshot")
STAGES = (*SHARED, "baselines", "preflight", "train", "eval", "gate", "report", "release")


class _Demo:
    """State of one demo run: what each stage returned and how long it took, kept in ``demo-<task>.json``."""

    def __init__(self, task: str, workspace: Workspace, quiet: bool, full: bool) -> None:
        self.task, self.workspace, self.quiet = task, workspace, quiet
        self.pack_folder = find_pack(task, workspace.tasks)
        self.pack = load_pack(self.pack_folder)
        self.short = self.pack.demo is not None and not full
        self.client = Client(workspace, LEAD)
        self.path = workspace.root / f"demo-{task}.json"
        self.state: dict[str, Any] = (
            json.loads(self.path.read_text("utf-8")) if self.path.exists() else {"seconds": {}}
        )
        self.own: dict[str, Any] = (
            self.state.setdefault("short", {"seconds": {}}) if self.short else self.state
        )
        if "train" not in self.own and not self._goes_on("train"):
            # the other run may have written another one since
            self.own.pop("preflight", None)
            self.own.get("begun", {}).pop("preflight", None)
        if "suites" not in self.own.get("gate", {}):
            for name in ("gate", "report"):
                self.own.pop(name, None)  # of an earlier Goldpair, which decided on the first suite alone

    def stage(self, name: str, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Run a stage unless it has finished before; remember its result and its seconds."""
        kept = self.state if name in SHARED else self.own
        if name in kept:
            self.say(f"{name:10} done before")
            return kept[name]
        started = time.monotonic()
        result = run()
        seconds = round(time.monotonic() - started, 1)
        kept[name] = result
        kept["seconds"][name] = seconds
        self._save()
        self.say(f"{name:10} {_words(name, result)}  ({seconds:.0f} s)")
        return result

    def result(self, name: str) -> dict[str, Any]:
        """What a finished stage returned."""
        return (self.state if name in SHARED else self.own)[name]

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of every stage of this run, the shared ones included."""
        return {
            name: kept["seconds"][name]
            for name in STAGES
            for kept in (self.state if name in SHARED else self.own,)
            if name in kept["seconds"]
        }

    def say(self, text: str) -> None:
        if not self.quiet:
            print(text, flush=True)

    def job(self, title: str, operation: str, **fields: Any) -> dict[str, Any]:
        """Start a job and wait for it; go on waiting for the one that a demo which was cut had started."""
        from curate.cli_base import Bar

        begun = self.own.setdefault("begun", {})
        if not self._goes_on(title):
            begun[title] = self.client.call(operation, **fields)
            self._save()
        started = begun[title]
        with Bar(title, quiet=self.quiet) as bar:
            status = self.client.wait(started["job"], bar)
        del begun[title]
        return {**started, **(status.get("result") or {})}

    def _goes_on(self, title: str) -> bool:
        """Whether a job of that title was started by a run that was cut, and has not failed since."""
        started = self.own.get("begun", {}).get(title)
        if started is None:
            return False
        try:
            return self.client.call("jobs.status", job=started["job"])["state"] in (
                "queued",
                "running",
                "done",
            )
        except NotFound:  # of a store that is no more
            return False

    def _save(self) -> None:
        self.path.write_text(json.dumps(self.state, indent=1, ensure_ascii=False), "utf-8")


def run(
    task: str, folder: Path, quiet: bool = False, *, full: bool = False, result: Path | None = None
) -> dict[str, Any]:
    """Run or go on with the demo in a workspace folder. Returns the summary.

    ``full`` leaves the pack's declared override aside; ``result`` gets the numbers as a file (`curate.results`).
    Raises `RefusedError` when the preflight does not pass, but for what the declared override passes over.
    """
    from curate import users
    from curate.store import Store

    workspace = Workspace.create(folder)
    if running_server(workspace) is None:
        store = Store.open(workspace.store)
        try:
            users.ensure_owner(store, LEAD)
        finally:
            store.close()
    demo = _Demo(task, workspace, quiet, full)
    demo.say(_what(demo))
    demo.stage("init", lambda: {"workspace": workspace.root.name})
    demo.stage("import", lambda: _import(demo))
    demo.stage("scan", lambda: _scan(demo))
    demo.stage("dedupe", lambda: _dedupe(demo))
    demo.stage("decisions", lambda: _decisions(demo))
    snapshot = demo.stage("snapshot", lambda: demo.job("freeze", "snapshot.create", task=task))["snapshot"]
    # The one difference between both: the operations themselves know what the override allows.
    how = {"snapshot": snapshot, "demo": demo.short}
    demo.stage("baselines", lambda: demo.job("baselines", "eval", task=task, **how))
    preflight = demo.stage("preflight", lambda: demo.job("preflight", "preflight", **how))
    signed = preflight["override"] or {}
    if preflight["verdict"] != "PASS" and not (demo.short and signed.get("demo")):
        del demo.own["preflight"]
        reasons = [f"{c['name']}: {c['detail']}" for c in preflight["checks"] if c["verdict"] != "PASS"]
        raise RefusedError(f"The preflight is {preflight['verdict']}; nothing was trained.", reasons)
    model = demo.stage("train", lambda: demo.job("train", "train", **how))["model"]
    runs = demo.stage("eval", lambda: demo.job("eval", "eval", task=task, model=model, **how))["runs"]
    demo.stage("gate", lambda: _gate(demo, runs, model))
    demo.stage("report", lambda: _report(demo, runs))
    demo.stage("release", lambda: _release(demo, model))
    summary = _summary(demo)
    if result is not None:
        results.write_result(
            result, results.result_of(summary, demo.client.call("models.show", model=model)["run"])
        )
    return summary


def _what(demo: _Demo) -> str:
    declared = demo.pack.demo
    if not demo.short or declared is None:
        return f"Full run of {demo.task}."
    held = [
        f"{number:g} {unit}"
        for number, unit in ((declared.train_minutes, "minutes"), (declared.max_steps, "steps"))
        if number is not None
    ]
    training = f", training held to {' and '.join(held)}" if held else ""
    return (
        f"Short demo of {demo.task} under a declared override, signed by {declared.signed_by}: {declared.reason}\n"
        f"At most {declared.eval_rows} eval rows a suite{training}; the verdict is INCONCLUSIVE, nothing is released. "
        f"The run that counts: goldpair demo --task {demo.task} --full"
    )


# --- stages -------------------------------------------------------------------------------------------------


def _import(demo: _Demo) -> dict[str, Any]:
    return demo.client.call(
        "import",
        task=demo.task,
        path=str(demo.pack_folder / "records.jsonl"),
        licence="Apache-2.0",
        consent="written for Goldpair",
    )


def _scan(demo: _Demo) -> dict[str, Any]:
    demo.job("scan", "scan", task=demo.task)
    overview = demo.client.call("overview", task=demo.task)
    return {"pairs": overview["pairs"], "open_findings": overview["open_findings"]}


def _dedupe(demo: _Demo) -> dict[str, Any]:
    demo.job("dedupe", "dedupe", task=demo.task)
    groups = demo.client.call("clusters.list", task=demo.task, limit=1000)["clusters"]
    return {"groups": dict(Counter(group["kind"] for group in groups))}


def _decisions(demo: _Demo) -> dict[str, Any]:
    """Replay ``decisions.jsonl``: every line goes through the rules, and what they refuse is counted by reason."""
    lines = [
        json.loads(line) for line in (demo.pack_folder / "decisions.jsonl").read_text("utf-8").splitlines()
    ]
    outcome: Counter[str] = Counter()
    with demo.client.session() as call:
        known = {user["name"] for user in call(LEAD, "users.list")["users"]}
        for name in sorted({line["user"] for line in lines} - known):
            call(LEAD, "users.add", name=name, role="reviewer")
        pairs = _pairs_by_external_id(call, demo.task)
        groups = call(LEAD, "clusters.list", task=demo.task, limit=1000)["clusters"]
        for number, line in enumerate(lines):
            try:
                if line.get("kind") == "duplicate":
                    _decide_group(call, groups, pairs, line)
                    outcome["duplicate"] += 1
                else:
                    _decide_pair(call, pairs, line, f"recorded-{number}")
                    outcome[line["verdict"]] += 1
            except GoldpairError as error:
                outcome["refused by the rules"] += 1
                demo.state.setdefault("refused", []).append({"line": number + 1, "why": str(error)})
    return {"outcome": dict(outcome), "pairs": demo.client.call("overview", task=demo.task)["pairs"]}


def _pairs_by_external_id(call: Callable[..., dict[str, Any]], task: str) -> dict[str, dict[str, Any]]:
    """External id -> ``{pair_id, rev}`` of every pair."""
    found: dict[str, dict[str, Any]] = {}
    offset = 0
    while rows := call(LEAD, "pairs.list", task=task, limit=1000, offset=offset)["pairs"]:
        found |= {row["external_id"]: {"pair_id": row["pair_id"], "rev": row["rev"]} for row in rows}
        offset += len(rows)
    return found


def _pair(pairs: dict[str, dict[str, Any]], record: str) -> dict[str, Any]:
    if record not in pairs:
        raise NotFound(f"Record {record} is not among the pairs; it is in quarantine.")
    return pairs[record]


def _decide_group(
    call: Callable[..., dict[str, Any]],
    groups: list[dict[str, Any]],
    pairs: dict[str, dict[str, Any]],
    line: dict[str, Any],
) -> None:
    wanted = {_pair(pairs, record)["pair_id"] for record in line["records"]}
    for group in groups:
        members = {member["pair_id"] for member in group["members"]}
        if group["kind"] == "duplicate" and wanted <= members:
            dropped = wanted - {_pair(pairs, line["keep"])["pair_id"]}
            keep = sorted(members - dropped)
            call(line["user"], "clusters.decide", cluster_id=group["cluster_id"], decision="keep", keep=keep)
            return
    raise NotFound(f"No group holds {', '.join(line['records'])}.")


def _decide_pair(
    call: Callable[..., dict[str, Any]],
    pairs: dict[str, dict[str, Any]],
    line: dict[str, Any],
    client_id: str,
) -> None:
    pair = _pair(pairs, line["record"])
    done = call(
        line["user"],
        "review.decide",
        pair_id=pair["pair_id"],
        rev=pair["rev"],
        verdict=line["verdict"],
        reason=line.get("reason"),
        completion=line.get("completion"),
        labels=line.get("labels"),
        client_id=client_id,
    )
    pair["rev"] = done["rev"]


def _gate(demo: _Demo, runs: list[str], model: str) -> dict[str, Any]:
    """Decide on every suite; the version's own verdict is the one over all of them."""
    decisions = [demo.client.call("gate", run=name) for name in runs]
    whole = demo.client.call("models.show", model=model)["gate"]
    suites = [{key: d[key] for key in ("suite", "verdict", "worth_it")} for d in decisions]
    return {"verdict": whole["verdict"], "worth_it": whole["worth_it"], "suites": suites}


def _report(demo: _Demo, runs: list[str]) -> dict[str, Any]:
    made = [demo.client.call("report", run=name) for name in runs]
    return {**made[0], "reports": made}


def _release(demo: _Demo, model: str) -> dict[str, Any]:
    try:
        return {"released": True, **demo.client.call("promote", model=model)}
    except RefusedError as error:
        return {"released": False, "why": str(error), "reasons": error.reasons}


# --- what it says at the end --------------------------------------------------------------------------------


def _words(name: str, result: dict[str, Any]) -> str:
    """One line about what a stage did."""
    if name == "import":
        return f"{result['imported']} imported, {result['quarantined']} in quarantine"
    if name == "scan":
        return f"{result['pairs']}; {result['open_findings']} findings wait for a person"
    if name == "dedupe":
        return ", ".join(f"{n} {kind} groups" for kind, n in sorted(result["groups"].items())) or "no groups"
    if name == "decisions":
        return ", ".join(f"{n} {verdict}" for verdict, n in sorted(result["outcome"].items()))
    if name == "snapshot":
        return f"{result['snapshot'][:12]}: {result['rows']}"
    if name == "preflight" and result["override"]:
        signed = result["override"]
        return f"{result['verdict']}, passed over by {signed['user']}: {', '.join(signed['checks'])}"
    if name in ("preflight", "gate"):
        return result["verdict"]
    if name == "train":
        return result["model"]
    if name == "report":
        return ", ".join(made["html"] for made in result["reports"])
    if name == "release":
        return "released" if result["released"] else f"not released: {result['why']}"
    return ""


def _summary(demo: _Demo) -> dict[str, Any]:
    funnel = demo.client.call("overview", task=demo.task)["pairs"]
    imported, gate = demo.result("import"), demo.result("gate")
    reports = [json.loads(Path(made["json"]).read_text("utf-8")) for made in demo.result("report")["reports"]]
    return {
        "task": demo.task,
        "title": demo.pack.title,
        "full": not demo.short,
        "override": reports[0]["demo"],
        "rows": {
            "in": sum(imported[part] for part in ("imported", "already_there", "quarantined")),
            "quarantined": imported["quarantined"],
            "duplicates": funnel.get("duplicate", 0),
            "rejected": funnel.get("rejected", 0),
            "held": funnel.get("held", 0),
            "undecided": funnel.get("ready", 0) + funnel.get("returned", 0),
            "approved": funnel.get("approved", 0),
        },
        "quarantine": imported["by_reason"],
        "suites": [
            results.suite_of(report) | {"report": made["html"]}
            for report, made in zip(reports, demo.result("report")["reports"], strict=True)
        ],
        "answers": [
            {"prompt": row["prompt"], "outputs": {answer["arm"]: answer["text"] for answer in row["answers"]}}
            for row in reports[0]["examples"][:SHOWN]
        ],
        "model": demo.result("train")["model"],
        "verdict": gate["verdict"],
        "worth_it": gate["worth_it"],
        "released": demo.result("release")["released"],
        "seconds": demo.seconds,
        "report": demo.result("report")["html"],
    }


def show(summary: dict[str, Any]) -> None:
    """Print the summary for people."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    rows = summary["rows"]
    print()
    print(f"{rows['in']} rows in: " + ", ".join(f"{n} {name}" for name, n in rows.items() if name != "in"))
    for reason, count in sorted(summary["quarantine"].items(), key=lambda item: -item[1]):
        print(f"    quarantined {count:3}  {reason}")
    for suite in summary["suites"]:
        asked = f"{suite['asked']} of {suite['of']} rows"
        title = f"Suite {suite['suite']}: {suite['primary']} of {suite['metric']}, {asked}"
        table = Table(box=None, pad_edge=False, title=title, title_justify="left")
        for column in ("arm", "mean [95 %]", "tuned minus it [95 %]", "shots"):
            table.add_column(column, no_wrap=True)
        for arm, score in suite["arms"].items():
            gap = suite["differences"].get(arm)
            table.add_row(
                Text(arm),
                "–" if score["mean"] is None else f"{score['mean']:.3f} {_interval(score['interval'])}",
                f"{gap['mean']:+.3f} {_interval(gap['interval'], '+')}"
                if gap and gap["mean"] is not None
                else "",
                f"{score['shots']} of {score['shots_wanted']}" if "shots" in score else "",
            )
        console.print(table)
        if (suite["agreement"] or {}).get("kappa") is not None:
            agreement = suite["agreement"]
            print(
                f"The scorer agrees with blind labels at kappa {agreement['kappa']:.2f} "
                f"{_interval(agreement['interval'])} on {agreement['n']} answers."
            )
        console.print(Text(f"{suite['verdict']}. {suite['worth_it']}"))
        print()
    for answer in summary["answers"]:
        console.print(Text(f"\n> {_short(answer['prompt'])}", style="bold"))
        for arm, text in answer["outputs"].items():
            console.print(Text(f"  {arm:10} {_short(text)}"))
    print()
    if summary["full"]:
        print(f"This was the full run. Verdict: {summary['verdict']}.")
    else:
        from evals.sample import demo_words

        console.print(Text(f"This was the short demo, {demo_words(summary['override'])}."))
        print(
            f"Verdict: {summary['verdict']}. The run that counts: goldpair demo --task {summary['task']} --full"
        )
    print(f"Model {summary['model']} is {'released' if summary['released'] else 'not released'}.")
    print(f"Took {sum(summary['seconds'].values()) / 60:.1f} minutes. Report: {summary['report']}")
    print("Next: make app, and look at Review and at Runs & reports.")


def _short(text: str) -> str:
    return text if len(text) <= WORDS else f"{text[:WORDS].rstrip()} … ({len(text):,} characters)"


def _interval(bounds: list[float], sign: str = "") -> str:
    return f"[{bounds[0]:{sign}.3f}, {bounds[1]:{sign}.3f}]"

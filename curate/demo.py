"""The whole loop on a shipped pack, without a question asked: raw records to a verdict on a tuned model.

Covers: the order of the stages, replaying the pack's recorded decisions through the same rules as anybody's, an
honest summary. Every stage is the operation that people use; a finished stage is not run again.
Does not cover: any rule of its own. What the gate says is what the demo reports.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from curate.client import Client, running_server
from curate.errors import GoldpairError, NotFound, RefusedError
from curate.tasks import find_pack, load_pack
from curate.workspace import Workspace

LEAD = "admin"
SHOWN = 4  # answers side by side in the summary
STAGES = ("init", "import", "scan", "dedupe", "decisions", "snapshot", "baselines", "preflight", "train", "eval",
          "gate", "report", "release")  # fmt: skip


class _Demo:
    """State of one demo run: what each stage returned and how long it took, kept in ``demo.json``."""

    def __init__(self, task: str, workspace: Workspace, quiet: bool) -> None:
        self.task, self.workspace, self.quiet = task, workspace, quiet
        self.pack_folder = find_pack(task, workspace.tasks)
        self.pack = load_pack(self.pack_folder)
        self.client = Client(workspace, LEAD)
        self.path = workspace.root / f"demo-{task}.json"
        self.state: dict[str, Any] = (
            json.loads(self.path.read_text("utf-8")) if self.path.exists() else {"seconds": {}}
        )

    def stage(self, name: str, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Run a stage unless it has finished before; remember its result and its seconds."""
        if name in self.state:
            self.say(f"{name:10} done before")
            return self.state[name]
        started = time.monotonic()
        result = run()
        seconds = round(time.monotonic() - started, 1)
        self.state[name] = result
        self.state["seconds"][name] = seconds
        self.path.write_text(json.dumps(self.state, indent=1, ensure_ascii=False), "utf-8")
        self.say(f"{name:10} {_words(name, result)}  ({seconds:.0f} s)")
        return result

    def say(self, text: str) -> None:
        if not self.quiet:
            print(text, flush=True)

    def job(self, title: str, operation: str, **fields: Any) -> dict[str, Any]:
        from curate.cli import _Bar

        started = self.client.call(operation, **fields)
        with _Bar(title, quiet=self.quiet) as bar:
            status = self.client.wait(started["job"], bar)
        return {**started, **(status.get("result") or {})}


def run(task: str, folder: Path, quiet: bool = False) -> dict[str, Any]:
    """Run or go on with the demo in a workspace folder. Returns the summary."""
    from curate import users
    from curate.store import Store

    workspace = Workspace.create(folder)
    if running_server(workspace) is None:
        store = Store.open(workspace.store)
        try:
            users.ensure_owner(store, LEAD)
        finally:
            store.close()
    demo = _Demo(task, workspace, quiet)
    demo.stage("init", lambda: {"workspace": workspace.root.name})
    demo.stage("import", lambda: _import(demo))
    demo.stage("scan", lambda: _scan(demo))
    demo.stage("dedupe", lambda: _dedupe(demo))
    demo.stage("decisions", lambda: _decisions(demo))
    snapshot = demo.stage("snapshot", lambda: demo.job("freeze", "snapshot.create", task=task))["snapshot"]
    demo.stage("baselines", lambda: demo.job("baselines", "eval", task=task, snapshot=snapshot))
    preflight = demo.stage("preflight", lambda: demo.job("preflight", "preflight", snapshot=snapshot))
    if preflight["verdict"] != "PASS":
        reasons = [f"{c['name']}: {c['detail']}" for c in preflight["checks"] if c["verdict"] != "PASS"]
        raise RefusedError(f"The preflight is {preflight['verdict']}; nothing was trained.", reasons)
    model = demo.stage("train", lambda: demo.job("train", "train", snapshot=snapshot))["model"]
    run_id = demo.stage("eval", lambda: demo.job("eval", "eval", task=task, snapshot=snapshot, model=model))[
        "run"
    ]
    demo.stage("gate", lambda: demo.client.call("gate", run=run_id))
    demo.stage("report", lambda: demo.client.call("report", run=run_id))
    demo.stage("release", lambda: _release(demo, model))
    return _summary(demo)


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
    if name in ("preflight", "gate"):
        return result["verdict"]
    if name == "train":
        return result["model"]
    if name == "report":
        return result["html"]
    if name == "release":
        return "released" if result["released"] else f"not released: {result['why']}"
    return ""


def _summary(demo: _Demo) -> dict[str, Any]:
    state = demo.state
    funnel = demo.client.call("overview", task=demo.task)["pairs"]
    report = json.loads(Path(state["report"]["json"]).read_text("utf-8"))
    return {
        "task": demo.task,
        "rows": {
            "in": sum(state["import"][part] for part in ("imported", "already_there", "quarantined")),
            "quarantined": state["import"]["quarantined"],
            "duplicates": funnel.get("duplicate", 0),
            "rejected": funnel.get("rejected", 0),
            "held": funnel.get("held", 0),
            "undecided": funnel.get("ready", 0) + funnel.get("returned", 0),
            "approved": funnel.get("approved", 0),
        },
        "quarantine": state["import"]["by_reason"],
        "arms": {arm["name"]: {"mean": arm["mean"], "interval": arm["interval"]} for arm in report["arms"]},
        "differences": {
            item["arm"]: {"mean": item["estimate"], "interval": item["interval"]}
            for item in report["differences"]
        },
        "agreement": report["agreement"],
        "answers": [
            {"prompt": row["prompt"], "outputs": {answer["arm"]: answer["text"] for answer in row["answers"]}}
            for row in report["examples"][:SHOWN]
        ],
        "model": state["train"]["model"],
        "verdict": state["gate"]["verdict"],
        "worth_it": state["gate"].get("worth_it", ""),
        "released": state["release"]["released"],
        "seconds": state["seconds"],
        "report": state["report"]["html"],
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
    table = Table(box=None, pad_edge=False, title="Joint score on the frozen eval set", title_justify="left")
    for column in ("arm", "mean", "95 % interval", "tuned minus it", "95 % interval"):
        table.add_column(column)
    for arm, score in summary["arms"].items():
        gap = summary["differences"].get(arm)
        table.add_row(
            Text(arm),
            f"{score['mean']:.3f}",
            _interval(score["interval"]),
            f"{gap['mean']:+.3f}" if gap else "",
            _interval(gap["interval"], "+") if gap else "",
        )
    console.print(table)
    for answer in summary["answers"]:
        console.print(Text(f"\n> {answer['prompt']}", style="bold"))
        for arm, text in answer["outputs"].items():
            console.print(Text(f"  {arm:10} {text}"))
    print()
    if summary["agreement"]:
        agreement = summary["agreement"]
        print(
            f"The scorer agrees with blind labels at kappa {agreement['kappa']:.2f} "
            f"{_interval(agreement['interval'])} on {agreement['n']} answers."
        )
    print(f"Verdict: {summary['verdict']}. {summary['worth_it']}")
    print(f"Model {summary['model']} is {'released' if summary['released'] else 'not released'}.")
    print(f"Took {sum(summary['seconds'].values()) / 60:.1f} minutes. Report: {summary['report']}")
    print("Next: make app, and look at Review and at Runs & reports.")


def _interval(bounds: list[float], sign: str = "") -> str:
    return f"[{bounds[0]:{sign}.3f}, {bounds[1]:{sign}.3f}]"

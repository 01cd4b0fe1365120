"""The report of an eval run: one HTML file, Markdown, JSON.

Covers: gathering what a run and its decision hold, the three forms, picking examples worth a look.
Does not cover: charts (`evals._charts`), the verdict (`evals.gate`), any new score or answer.

The same run and decision give the same bytes: every time shown comes from them. Texts of records and models are
shown as text: escaped in HTML, fenced in Markdown. The page loads nothing from anywhere.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evals import _charts
from evals.gate import Decision
from evals.retention import by_kind
from evals.run import EvalRun
from evals.sample import declared, demo_words
from evals.stats import difference_p, holm, mean_interval, superiority
from evals.suspects import with_and_without

SHOWN = 12  # examples side by side
KINDS = {"broken": 6, "fixed": 4, "neither": 1, "both": 1}  # how many of each, as far as there are
LONGEST = 6000  # characters of one text that are shown; the run folder has the rest
Z_LEVEL = "95 %"


def write_report(
    run: EvalRun | Path | str,
    decision: Decision | Mapping[str, Any] | None,
    out: Path | str,
    *,
    candidate: str | None = None,
) -> dict[str, Path]:
    """Write ``report.html``, ``report.md`` and ``report.json`` into ``out``; returns their paths by form.

    Without a decision the page says so, and compares ``candidate`` (else "tuned", else the best arm) with the rest.
    What lies beside the run is shown: ``agreement.json``, ``retention.json``, ``blame.json``, ``curve.json``, and
    ``context.json`` (data difference, seeds). Generates and scores nothing.
    """
    if not isinstance(run, EvalRun):
        run = EvalRun.load(run)
    made = decision.to_dict() if isinstance(decision, Decision) else dict(decision) if decision else None
    body = gather(run, made, candidate=candidate)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    forms = {
        "html": render_html(body),
        "md": render_markdown(body),
        "json": json.dumps(body, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n",
    }
    paths = {}
    for form, text in forms.items():
        paths[form] = folder / f"report.{form}"
        temporary = folder / f".report.{form}.tmp"
        temporary.write_text(text, "utf-8")
        temporary.replace(paths[form])
    return paths


def gather(
    run: EvalRun, decision: Mapping[str, Any] | None, *, candidate: str | None = None
) -> dict[str, Any]:
    """Everything the report says, as plain JSON values."""
    chosen = str(decision["candidate"]) if decision else candidate or _default_candidate(run)
    arms = [_arm(run, name) for name in run.arms]
    arms.sort(key=lambda arm: (arm["name"] != chosen, -(arm["mean"] if arm["mean"] is not None else -1e9)))
    others = [arm["name"] for arm in arms if arm["name"] != chosen]
    to_beat = {
        check["baseline"]
        for check in (decision or {}).get("checks", ())
        if check.get("kind") == "superiority"
    }
    # Arms are sorted by mean: the best one that the gate names, else the best of all.
    best = next((name for name in others if name in to_beat), next(iter(others), None))
    good, why_good = _good_from(run, [chosen] if best is None else [chosen, best])
    compared = [_difference(run, chosen, name, good) for name in others]
    compared.sort(key=lambda item: item["arm"] != best)
    agreement = run.folder / "agreement.json"
    return {
        "format": 1,
        "task": run.meta["task"],
        "title": run.meta["title"],
        "suite": run.suite.name,
        "metric": run.suite.metric,
        "primary": run.suite.primary,
        "candidate": chosen,
        "created": run.meta["created"],
        "verdict": decision["verdict"] if decision else None,
        "worth_it": decision["worth_it"] if decision else None,
        "reasons": list(decision.get("reasons", ())) if decision else [],
        "checks": [dict(check) for check in decision["checks"]] if decision else [],
        "override": decision.get("override") if decision else None,
        "demo": declared(run.meta),
        "missing": decision.get("missing") if decision else None,
        "arms": arms,
        "differences": compared,
        "best_baseline": best,
        "good_from": good,
        "good_from_why": why_good,
        "slices": _slices(run, chosen, best) if best else [],
        "scorer_numbers": _numbers(run, [arm["name"] for arm in arms]),
        "examples": _examples(run, chosen, best, others, good),
        "outcomes": _outcomes(run, chosen, best, good) if best else [],
        "context": _beside(run, "context.json"),
        "retention": _retention(run),
        "blame": _beside(run, "blame.json"),
        "curve": _curve(run),
        "gaps": run.meta["gaps"],
        "eval": run.meta["eval"],
        "overlap": run.meta.get("overlap") or [],
        "suspects": with_and_without(run),
        "snapshot": run.meta.get("snapshot"),
        "scorer": run.meta["scorer"],
        "agreement": json.loads(agreement.read_text("utf-8")) if agreement.is_file() else None,
        "decoding": run.meta["decoding"],
        "training": run.meta.get("training"),
        "gate": run.meta["gate"],
        "hashes": {key: run.meta[key] for key in ("pack_sha256", "gate_sha256")},
        "versions": run.meta["versions"],
    }


def render_html(body: Mapping[str, Any]) -> str:
    """One self-contained page."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=lambda value: _visible(value) if type(value) is str else value,  # Markup is ours
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "num": _number,
        "signed": lambda x: _number(x, sign=True),
        "pct": _percent,
        "words": _words,
        "seed_words": _seed_words,
        "demo_words": demo_words,
    }
    label = f"{body['metric']}: {body['primary']}"
    charts = {
        "means": _charts.means(body["arms"], body["candidate"], label, body["gate"].get("floor")),
        "differences": _charts.differences(
            body["differences"], f"{body['candidate']} minus the arm, {label}", body["gate"].get("margin")
        ),
        "distributions": _charts.distributions(
            {arm["name"]: arm["scores"] for arm in body["arms"] if arm["scores"]}, body["candidate"], label
        ),
    }  # fmt: skip
    if body["curve"] and body["curve"]["line"]:
        charts["curve"] = _charts.curve(body["curve"], label)
    from markupsafe import Markup

    return environment.get_template("report.html.j2").render(
        r=body, charts={name: Markup(svg) for name, svg in charts.items()}, pieces=pieces, long=LONGEST
    )


def render_markdown(body: Mapping[str, Any]) -> str:
    """Markdown for a terminal or a pull request. Texts stand in fences that they cannot close."""
    out = [f"# {_md(body['title'])}: {_md(body['candidate'])} on suite {_md(body['suite'])}", ""]
    out += [f"**Verdict: {body['verdict'] or 'not decided'}**", ""]
    if body["worth_it"]:
        out += [_md(body["worth_it"]), ""]
    if body["demo"]:
        out += [f"**Short demo under a declared override**, {_md(demo_words(body['demo']))}.", ""]
    if body["override"]:
        o = body["override"]
        out += [f"**Released by override** of {_md(o['user'])}, {_md(o['ts'])}: {_md(o['reason'])}", ""]
    if body["checks"]:
        out += ["| check | verdict | detail |", "|---|---|---|"]
        out += [f"| {_md(c['name'])} | {c['verdict']} | {_md(c['detail'])} |" for c in body["checks"]] + [""]
    out += [f"## Arms ({_md(body['metric'])}, {_md(body['primary'])})", ""]
    out += [
        f"| arm | kind | n | mean | {Z_LEVEL} interval | tokens an answer | s an answer |",
        "|---|---|---|---|---|---|---|",
    ]
    for a in body["arms"]:
        interval = f"{_number(a['interval'][0])} to {_number(a['interval'][1])}"
        cost = f"{_number(a['tokens_per_answer'], 0)} | {_number(a['seconds_per_answer'], 2)}"
        out.append(
            f"| {_md(a['name'])} | {a['kind']} | {a['n']} | {_number(a['mean'])} | {interval} | {cost} |"
        )
    out += ["", f"## Paired differences, {_md(body['candidate'])} minus the arm", ""]
    out += [
        f"| against | difference | {Z_LEVEL} interval | n | detectable | fixed | broken | both | neither |"
    ]
    out += ["|---|---|---|---|---|---|---|---|---|"]
    for d in body["differences"]:
        interval = f"{_number(d['interval'][0], sign=True)} to {_number(d['interval'][1], sign=True)}"
        counts = " | ".join(str(d["table"][key]) for key in ("fixed", "broken", "both", "neither"))
        out.append(
            f"| {_md(d['arm'])} | {_number(d['estimate'], sign=True)} | {interval} | {d['n']} | {_number(d['mde'])} "
            f"| {counts} |"
        )
    out += [
        "",
        f"An answer counts as good from {_number(body['good_from'])} on ({_md(body['good_from_why'])}).",
        "",
    ]
    if body["slices"]:
        out += [f"## Slices, {_md(body['candidate'])} against {_md(body['best_baseline'])}", ""]
        out += [f"| slice | n | difference | {Z_LEVEL} interval | p (Holm) |", "|---|---|---|---|---|"]
        for s in body["slices"]:
            low, high = s["interval"]
            name = _md(f"{s['key']} = {s['value'] or 'none'}")
            interval = f"{_number(low, sign=True)} to {_number(high, sign=True)}"
            out.append(
                f"| {name} | {s['n']} | {_number(s['estimate'], sign=True)} | {interval} | {_number(s['p_holm'])} |"
            )
        out.append("")
    out += _context_lines(body)
    out += ["## Examples", ""]
    for e in body["examples"]:
        out += [f"### {_md(e['id'])} ({e['kind']})", "", "Prompt:", "", *_fence(e["prompt"]), ""]
        for answer in e["answers"]:
            score = _number(answer["score"])
            out += [f"{_md(answer['arm'])}, {score}:", "", *_fence(answer["text"]), ""]
    out += ["## What this rests on", ""]
    out += [f"- {_md(line)}" for line in _basis(body)]
    return "\n".join(out) + "\n"


# --- gathering -----------------------------------------------------------------------------------------------


def _default_candidate(run: EvalRun) -> str:
    if "tuned" in run.arms:
        return "tuned"
    means = {name: statistics.fmean(run.primary(name).values()) for name in run.arms if run.primary(name)}
    return max(means, key=lambda name: (means[name], name)) if means else run.arms[0]


def _arm(run: EvalRun, name: str) -> dict[str, Any]:
    described, scores = run.meta["arms"][name], run.primary(name)
    result = mean_interval(list(scores.values()), clusters=run.clusters(list(scores)))
    rows = max(1, described["rows"])
    return {
        "name": name,
        "kind": described["kind"],
        "note": described["note"],
        "facts": described["facts"],
        "n": result.n,
        "gaps": len(run.rows) - result.n,
        "mean": result.to_dict()["estimate"],
        "interval": list(result.interval),
        "method": result.method,
        "tokens_per_answer": (described["prompt_tokens"] + described["completion_tokens"]) / rows,
        "seconds_per_answer": described["seconds"] / rows,
        "scores": [scores[row.id] for row in run.rows if row.id in scores],
    }


def _good_from(run: EvalRun, arms: Sequence[str]) -> tuple[float, str]:
    """The score from which an answer counts as good in the fixed/broken table; ``arms`` are those that matter most."""
    floor = run.meta["gate"].get("floor")
    if floor is not None:
        return float(floor), "the gate's floor"
    every = [score for name in arms for score in run.primary(name).values()]
    share = sum(score >= 0.5 for score in every) / max(1, len(every))
    if every and not 0.05 <= share <= 0.95:
        return statistics.median(
            every
        ), "the median of the two arms, because nearly all answers lie on one side of a half"
    return 0.5, "half of the scale"


def _difference(run: EvalRun, candidate: str, arm: str, good: float) -> dict[str, Any]:
    _, mine, theirs, clusters = run.paired(candidate, arm)
    result = superiority(mine, theirs, clusters=clusters, effect=float(run.meta["gate"]["effect"]))
    table = {"fixed": 0, "broken": 0, "both": 0, "neither": 0}
    for a, b in zip(mine, theirs, strict=True):
        table[_outcome(a, b, good)] += 1
    return {"arm": arm, "kind": run.kind(arm), "table": table, **result.to_dict()}


def outcome_table(
    run: EvalRun, mine: Sequence[float], theirs: Sequence[float], ids: Sequence[str]
) -> dict[str, Any]:
    """Counts and ids of rows fixed, broken, good in both and in neither, and the score from which on one is good."""
    floor = run.meta["gate"].get("floor")
    good = float(floor) if floor is not None else 0.5
    rows: dict[str, list[str]] = {"fixed": [], "broken": [], "both": [], "neither": []}
    for name, a, b in zip(ids, mine, theirs, strict=True):
        rows[_outcome(a, b, good)].append(name)
    return {"good_from": good, "table": {kind: len(names) for kind, names in rows.items()}, "rows": rows}


def _outcomes(run: EvalRun, candidate: str, best: str, good: float) -> list[dict[str, Any]]:
    """Every row that was fixed or broken against the best baseline, largest change first, with its evidence."""
    ids, mine, theirs, _ = run.paired(candidate, best)
    found: list[dict[str, Any]] = []
    for name, a, b in zip(ids, mine, theirs, strict=True):
        kind = _outcome(a, b, good)
        if kind in ("fixed", "broken"):
            hits = run.answers(candidate if kind == "broken" else best)[name]["evidence"]
            why = sorted({str(hit.get("kind")) for hit in hits})
            found.append({"id": name, "kind": kind, "candidate": a, "baseline": b, "evidence": why})
    found.sort(key=lambda item: (item["kind"], -abs(item["candidate"] - item["baseline"]), item["id"]))
    return found


def _beside(run: EvalRun, name: str) -> dict[str, Any] | None:
    path = run.folder / name
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def _curve(run: EvalRun) -> dict[str, Any] | None:
    found = _beside(run, "curve.json")
    return None if found is None else {"basis": "", **found}


def _retention(run: EvalRun) -> dict[str, Any] | None:
    measured = _beside(run, "retention.json")
    if measured is None:
        return None
    return {"count": len(measured["ids"]), "sha256": measured["sha256"], "kinds": by_kind(measured)}


def _outcome(mine: float, theirs: float, good: float) -> str:
    if mine >= good:
        return "both" if theirs >= good else "fixed"
    return "broken" if theirs >= good else "neither"


def _slices(run: EvalRun, candidate: str, baseline: str) -> list[dict[str, Any]]:
    ids, mine, theirs, clusters = run.paired(candidate, baseline)
    by_id = {row.id: row for row in run.rows}
    found = []
    for key in run.suite.slices:
        values = [by_id[name].slice.get(key, "") for name in ids]
        for value in sorted(set(values)):
            at = [number for number, other in enumerate(values) if other == value]
            a, b = [mine[i] for i in at], [theirs[i] for i in at]
            c = [clusters[i] for i in at]
            result = superiority(a, b, clusters=c, resamples=1999).to_dict()
            means = {"candidate": statistics.fmean(a), "baseline": statistics.fmean(b)}
            p = difference_p(a, b, clusters=c, resamples=1999)
            found.append({"key": key, "value": value, "p": p, **means, **result})
    for item, adjusted in zip(found, holm([item["p"] for item in found]), strict=True):
        item["p_holm"] = adjusted
    return found


def _numbers(run: EvalRun, arms: Sequence[str]) -> dict[str, Any]:
    """The scorer's own aggregate numbers, arms by name; only numbers that every scored arm has."""
    tables = {arm: run.meta["arms"][arm].get("aggregate") or {} for arm in arms}
    names = [
        name
        for name, value in next((t for t in tables.values() if t), {}).items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    ]
    return {
        "names": names,
        "rows": {arm: [table.get(name) for name in names] for arm, table in tables.items()},
    }


def _examples(
    run: EvalRun, candidate: str, best: str | None, others: Sequence[str], good: float
) -> list[dict[str, Any]]:
    """Rows worth a look: broken ones first, largest loss first; then fixed ones, then a row of each other kind."""
    mine = run.primary(candidate)
    theirs = run.primary(best) if best else {}
    groups: dict[str, list[tuple[float, int, str]]] = {kind: [] for kind in KINDS}
    for number, row in enumerate(run.rows):
        if row.id not in mine:
            continue
        a, b = mine[row.id], theirs.get(row.id, mine[row.id])
        kind = _outcome(a, b, good)
        groups[kind].append((-abs(a - b), number, row.id))
    picked = [(kind, name) for kind, most in KINDS.items() for _, _, name in sorted(groups[kind])[:most]]
    rest = sorted(item for kind in KINDS for item in groups[kind] if (kind, item[2]) not in picked)
    kind_of = {item[2]: kind for kind, items in groups.items() for item in items}
    picked += [(kind_of[name], name) for _, _, name in rest[: SHOWN - len(picked)]]
    by_id = {row.id: row for row in run.rows}
    found = []
    for kind, name in picked:
        row = by_id[name]
        answers = []
        for arm in (candidate, *others):
            answer = run.answers(arm).get(name)
            if answer is not None:
                keep = ("text", "subscores", "evidence", "support")
                answers.append({"arm": arm, "score": answer["primary"], **{key: answer[key] for key in keep}})
        found.append(
            {
                "id": name,
                "kind": kind,
                "source": row.source,
                "prompt": row.prompt,
                "history": row.history,
                "reference": row.reference,
                "expect": row.expect,
                "slice": row.slice,
                "answers": answers,
            }
        )
    return found


def _context_lines(body: Mapping[str, Any]) -> list[str]:
    """Retention, data difference, seeds, blame and the learning curve as Markdown."""
    out: list[str] = []
    if body["retention"]:
        out += [
            "## General ability, without the persona",
            "",
            "| kind | n | base | tuned |",
            "|---|---|---|---|",
        ]
        out += [
            f"| {k['kind']} | {k['n']} | {_number(k['base'])} | {_number(k['tuned'])} |"
            for k in body["retention"]["kinds"]
        ]
        out.append("")
    context = body["context"] or {}
    if data := context.get("data"):
        out += [f"## Data since {_md(context['predecessor'])}", ""]
        if data["counts"] is None:
            out += [_md(data["why"]), ""]
        else:
            counts = ", ".join(f"{count} {part}" for part, count in sorted(data["counts"].items()))
            out += [f"{counts}.", ""]
            out += [
                f"- changed {_md(r['pair_id'])}: {_md(', '.join(r['columns']))}" for r in data["changed"]
            ] + [""]
    if context.get("seeds"):
        out += [_seed_words(context["seeds"]), ""]
    if body["blame"] and body["blame"]["examples"]:
        out += ["## Training pairs behind what broke", "", _blame_words(body["blame"]), ""]
    if body["blame"] and body["blame"]["groups"]:
        out += ["| batch | evidence | examples | pairs |", "|---|---|---|---|"]
        out += [
            f"| {_md(g['by'])}: {_md(g['value'])} | {_number(g['evidence'])} | {g['examples']} | {g['pairs']} |"
            for g in body["blame"]["groups"][:10]
        ]
        out.append("")
    if curve := body["curve"]:
        words = " ".join(filter(None, (curve["sentence"], curve["basis"])))
        out += ["## How many more pairs?", "", _md(words), ""]
    return out


def _blame_words(found: Mapping[str, Any]) -> str:
    """What the suspects of a broken answer were found by."""
    by = "text alone"
    if found["gradients"]:
        by = f"text and by the gradient of the {found.get('gradients_of') or 'adapter'}"
    return (
        f"Nearest by {by}. Evidence: by how many standard errors a batch's pairs lie nearer to what broke than as many "
        "drawn blindly; of many batches, some reach 2 by luck. A suspicion to look at, no proof."
    )


def _seed_words(seeds: Mapping[str, Any]) -> str:
    """What several training seeds say about the noise of training, or that one seed says nothing."""
    if seeds["deviation"] is None:
        return (
            "One training seed: differences to other versions mix the data with the luck of training. Train again with "
            "another seed to tell them apart."
        )
    runs = ", ".join(f"{_number(run['mean'])} (seed {run['seed']})" for run in seeds["runs"])
    return (
        f"Training noise: the same data and recipe under {len(seeds['runs'])} seeds gave {runs}, a standard deviation "
        f"of {_number(seeds['deviation'])}. A smaller difference between versions may be luck."
    )


def _basis(body: Mapping[str, Any]) -> list[str]:
    """The data section as sentences, shared by Markdown and (partly) HTML."""
    e, s = body["eval"], body["scorer"]
    lines = [
        f"Eval set {e['file']}: {e['rows']} rows from {e['clusters']} independent sources, sha256 {e['sha256'][:16]}, "
        f"look number {e['looks']} at it",
        f"Scorer {s['name']}, version {s['version']}",
        f"Decoding: {json.dumps(body['decoding'], sort_keys=True)}",
        f"Gate sha256 {body['hashes']['gate_sha256'][:16]}, task pack sha256 {body['hashes']['pack_sha256'][:16]}",
    ]
    if s.get("misses"):
        lines.append(
            f"The scorer does not claim to see: {'; '.join(s['misses'])}. A good score says nothing of these"
        )
    if body["agreement"]:
        a = body["agreement"]
        lines.append(
            f"Scorer against people: kappa {_number(a.get('kappa'))} over {a.get('n')} answers, by {a.get('by')}"
        )
    if body["snapshot"]:
        snap = body["snapshot"]
        rows = ", ".join(f"{count} {split}" for split, count in sorted(snap["rows"].items()))
        left = ", ".join(f"{count} {reason}" for reason, count in sorted(snap["excluded"].items())) or "none"
        lines.append(
            f"Snapshot {snap['id'][:16]}: {rows}; left out: {left}; detector {snap['detector_version']}"
        )
    if body["suspects"]:
        found = body["suspects"]
        means = found["arms"][body["candidate"]]
        lines.append(
            f"Eval rows that stand in the training data too: {len(found['suspects'])}, "
            f"{len(found['templates'])} more share a template; {body['candidate']} scores "
            f"{_number(means['all']['estimate'])} with them, {_number(means['without']['estimate'])} without"
        )
    if body["gaps"]:
        lines.append(f"Gaps: {len(body['gaps'])} answers are missing")
    return lines


# --- text ----------------------------------------------------------------------------------------------------


def pieces(text: str, evidence: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """``text`` cut at the spans of its evidence: ``{"text", "hit"}``, hit None outside. Overlaps: first one wins."""
    shown = text[:LONGEST]
    found: list[dict[str, Any]] = []
    at = 0
    for hit in sorted(evidence, key=lambda h: (h.get("start") or 0, -(h.get("end") or 0))):
        start, end = hit.get("start"), hit.get("end")
        if start is None or end is None or start < at or end <= start or end > len(shown):
            continue
        if start > at:
            found.append({"text": _visible(shown[at:start]), "hit": None})
        found.append({"text": _visible(shown[start:end]), "hit": dict(hit)})
        at = end
    if at < len(shown):
        found.append({"text": _visible(shown[at:]), "hit": None})
    if len(text) > LONGEST:
        found.append({"text": f" … and {len(text) - LONGEST} more characters", "hit": None})
    return found


def _visible(text: str) -> str:
    """Control characters as their pictures, so that nothing in a text can act on the page or the terminal."""
    return "".join(chr(0x2400 + ord(ch)) if ord(ch) < 32 and ch not in "\n\t" else ch for ch in text)


def _number(value: Any, digits: int = 3, sign: bool = False) -> str:
    if value is None:
        return "–"
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    return text.replace("-", "−")


def _percent(value: Any) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _md(text: Any) -> str:
    """Text that Markdown shows as it is, in a table cell as well."""
    one_line = " ".join(_visible(str(text)).split())
    return re.sub(r"([\\`*_{}\[\]<>|#~!&])", r"\\\1", one_line)


def _fence(text: str) -> list[str]:
    shown = _visible(text[:LONGEST])
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", shown, fence]

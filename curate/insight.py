"""How the work goes: pace, time per decision, reasons of rejection, one's own part and the team's.

Covers: numbers over decisions that still stand. Does not cover: who agrees with whom (`curate.agreement`), and it ranks
nobody: a person sees their own numbers and the team's sum.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from curate.store import Store, utcnow
from curate.users import Actor, require

_DAY = timedelta(days=1)
PAUSE_S = 600  # a longer gap between two decisions of a person is a pause, not work
_DECIDED = (
    "SELECT d.seq, d.actor, d.verdict, e.ts FROM decisions d JOIN events e ON e.seq = d.seq"
    " JOIN pairs p ON p.pair_id = d.pair_id WHERE p.task = $task AND d.undone IS NULL"
)


def report(store: Store, actor: Actor, task: str) -> dict[str, Any]:
    """Numbers of one task.

    ``pace``: {at, verdict, decisions} by day, or by hour while all lie within two days; ``times``: {verdict, n,
    median_s, p90_s} between two decisions of one person, pauses over ten minutes left out; ``reasons``: {reason,
    pairs} of what is rejected now; ``mine`` and ``team``: decided today, in all, seconds per decision; ``left`` pairs
    ready and ``eta_hours`` at the team's pace of the last 24 hours (None without one).
    """
    require(actor, "read")
    span = store.one(f"SELECT min(ts) AS first, max(ts) AS last FROM ({_DECIDED})", {"task": task}) or {}
    hours = not span.get("first") or (span["last"] - span["first"]).days < 2
    pace = store.rows(
        f"SELECT date_trunc('{'hour' if hours else 'day'}', ts) AS moment, verdict, count(*) AS decisions"
        f" FROM ({_DECIDED}) GROUP BY ALL ORDER BY ALL",
        {"task": task},
    )
    gaps = f"SELECT *, epoch(ts - lag(ts) OVER (PARTITION BY actor ORDER BY seq)) AS s FROM ({_DECIDED})"
    times = store.rows(
        f"SELECT verdict, count(*) AS n, median(s) AS median_s, quantile_cont(s, 0.9) AS p90_s FROM ({gaps})"
        " WHERE s <= $pause GROUP BY verdict ORDER BY n DESC, verdict",
        {"task": task, "pause": PAUSE_S},
    )
    reasons = store.rows(
        "SELECT coalesce(reason, 'none given') AS reason, count(*) AS pairs FROM pair_state WHERE task = ?"
        " AND status = 'rejected' GROUP BY ALL ORDER BY pairs DESC, reason",
        [task],
    )
    parts = {}
    for name, who in (("mine", actor.user), ("team", None)):
        parts[name] = store.one(
            "SELECT count(*) AS total, count(*) FILTER (WHERE ts >= $today) AS today,"
            " count(*) FILTER (WHERE ts >= $day) AS last_day,"
            f" median(s) FILTER (WHERE s <= $pause) AS median_s FROM ({gaps}) WHERE $who IS NULL OR actor = $who",
            {
                "task": task,
                "who": who,
                "pause": PAUSE_S,
                "today": utcnow().replace(hour=0, minute=0, second=0, microsecond=0),
                "day": utcnow().replace(microsecond=0) - _DAY,
            },
        )
    left = store.one("SELECT count(*) AS n FROM pair_state WHERE task = ? AND status = 'ready'", [task])
    team, n = parts["team"] or {}, left["n"] if left else 0
    return {
        "task": task,
        "unit": "hour" if hours else "day",
        "pace": [{"at": row["moment"].isoformat(), **_without(row, "moment")} for row in pace],
        "times": times,
        "reasons": reasons,
        "mine": parts["mine"],
        "team": team,
        "left": n,
        "eta_hours": round(n / (team["last_day"] / 24), 1) if team.get("last_day") else None,
    }


def _without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}

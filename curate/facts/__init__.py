"""Facts that expire: found in completions, decided by people, and followed into snapshots and models.

Here live the radar (`radar`: its rules in `rules` and `tied`, their patterns in `words`, what belongs to one case alone
in `cases`, an encoder beside them in `learned`), which knows no store; the decisions (`classes`), the warnings of
released models (`stale`) and what a changed policy sheet touches (`policy`).
Judging answers against a sheet lives in `evals.metrics.policy_facts`, freezing in `curate.snapshot`.
Public names: `CLASSES`, `KINDS`, `find_facts`, `read_facts`, `rules_version`.
"""

from curate.facts.radar import CLASSES, KINDS, find_facts, read_facts, rules_version

__all__ = ["CLASSES", "KINDS", "find_facts", "read_facts", "rules_version"]

"""The store: one DuckDB file, owned by one process, written by one thread.

Here live the schema (`migrations`), opening and hardening the file, the writer with group commit, the chained
event log with its replay, and erasure. Public names: `Store`, `Tx`, `STATUSES`, `utcnow`. What the rows mean
lives in `curate.review`, `curate.records`, `curate.findings`, `curate.clusters`, `curate.users` and
`curate.jobs`; nothing outside `curate` opens the store.
"""

from curate.store.core import Store
from curate.store.tx import STATUSES, Tx, utcnow

__all__ = ["STATUSES", "Store", "Tx", "utcnow"]

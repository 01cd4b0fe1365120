"""What a person set for themselves: keys of the card, saved views of the list.

Covers: small JSON values by name, each user's own. Does not cover: settings of the workspace (`goldpair.toml`), and
no rule reads them.
"""

from __future__ import annotations

import json
import re
from typing import Any

from curate.errors import UsageError
from curate.store import Store, Tx, utcnow
from curate.users import Actor, require

MOST_BYTES, MOST_NAMES = 16_384, 200
_NAME = re.compile(r"[\w.:@ -]{1,120}")


def all_of(store: Store, actor: Actor, prefix: str = "") -> dict[str, Any]:
    """The user's values by name, those that begin with ``prefix``."""
    require(actor, "read")
    rows = store.rows(
        "SELECT name, value FROM preferences WHERE owner = ? AND starts_with(name, ?) ORDER BY name",
        [actor.user, prefix],
    )
    return {row["name"]: json.loads(row["value"]) for row in rows}


def put(store: Store, actor: Actor, name: str, value: Any) -> None:
    """Keep a JSON value under a name; None forgets it. Raises `UsageError` for a bad name or too much."""
    require(actor, "read")
    if not _NAME.fullmatch(name):
        raise UsageError("A name has 1 to 120 letters, digits, blanks or any of .:@-_")
    text = json.dumps(value, ensure_ascii=False)
    if len(text.encode()) > MOST_BYTES:
        raise UsageError(f"At most {MOST_BYTES} bytes can be kept under one name.")

    def write(tx: Tx) -> None:
        tx.execute("DELETE FROM preferences WHERE owner = ? AND name = ?", [actor.user, name])
        if value is None:
            return
        held = tx.one("SELECT count(*) AS n FROM preferences WHERE owner = ?", [actor.user])
        if held and held["n"] >= MOST_NAMES:
            raise UsageError(f"You keep {MOST_NAMES} values already. Delete one first.")
        tx.execute("INSERT INTO preferences VALUES (?, ?, ?, ?)", [actor.user, name, text, utcnow()])

    store.write(write)

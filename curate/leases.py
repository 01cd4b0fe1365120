"""Who looks at which pair right now: leases in memory, keyed by user.

Covers: claiming, renewing and releasing leases, remembering what a user skipped. Does not cover: the
decision, which the writer checks again; leases are lost on restart, and a lost lease costs nothing but a
second look.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from curate.store import Store

TTL = 600.0  # seconds without a sign of life from the user


class LeaseBook:
    """Leases of one store; safe to share between threads."""

    def __init__(self, ttl: float = TTL, clock: Callable[[], float] = time.monotonic) -> None:
        self._ttl, self._clock = ttl, clock
        self._lock = threading.Lock()
        self._held: dict[str, tuple[str, float]] = {}  # pair -> user, until
        self._skipped: dict[tuple[str, str], int] = {}  # (user, pair) -> order of skipping
        self._order = 0

    @classmethod
    def of(cls, store: Store) -> LeaseBook:
        """The book attached to a store."""
        book: LeaseBook = store.services.setdefault("leases", cls())
        return book

    def holder(self, pair_id: str) -> str | None:
        """The user who holds a pair now."""
        with self._lock:
            return self._holder(pair_id, self._clock())

    def _holder(self, pair_id: str, now: float) -> str | None:
        user, until = self._held.get(pair_id, ("", 0.0))
        return user if until > now else None

    def held_by(self, user: str) -> list[str]:
        """Pairs a user holds, oldest claim first; counts as a sign of life and renews them."""
        with self._lock:
            now = self._clock()
            mine = [pair for pair in self._held if self._holder(pair, now) == user]
            for pair in mine:
                self._held[pair] = (user, now + self._ttl)
            return mine

    def others(self, user: str) -> list[str]:
        """Pairs that somebody else holds."""
        with self._lock:
            now = self._clock()
            return [p for p in self._held if self._holder(p, now) not in (None, user)]

    def claim(self, user: str, pairs: Iterable[str], n: int) -> list[str]:
        """Lease up to ``n`` of these pairs, in order, leaving out what others hold."""
        with self._lock:
            now = self._clock()
            got: list[str] = []
            for pair in pairs:
                if len(got) == n:
                    break
                if self._holder(pair, now) in (None, user):
                    self._held[pair] = (user, now + self._ttl)
                    got.append(pair)
            return got

    def release(self, user: str, pair_id: str) -> None:
        """Give a pair back; nothing happens when somebody else holds it."""
        with self._lock:
            if self._held.get(pair_id, ("",))[0] == user:
                del self._held[pair_id]

    def skip(self, user: str, pair_id: str) -> None:
        """Offer this pair to this user last."""
        with self._lock:
            self._order += 1
            self._skipped[user, pair_id] = self._order

    def unskip(self, user: str, pair_id: str) -> None:
        with self._lock:
            self._skipped.pop((user, pair_id), None)

    def skipped(self, user: str) -> list[str]:
        """What a user skipped, longest ago first."""
        with self._lock:
            mine = [(order, pair) for (who, pair), order in self._skipped.items() if who == user]
            return [pair for _order, pair in sorted(mine)]

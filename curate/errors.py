"""Every error a user can meet. Covers: the exception families and the exit code each one ends with.

Does not cover: programming errors, which stay ordinary Python exceptions and surface as bugs.
"""

from __future__ import annotations

EXIT_OK, EXIT_ERROR, EXIT_USAGE, EXIT_REFUSED = 0, 1, 2, 3


class GoldpairError(Exception):
    """Something the user can act on. The message says what happened and what to do next."""

    exit_code = EXIT_ERROR


class UsageError(GoldpairError):
    """The request itself is wrong: unknown name, missing option, malformed value."""

    exit_code = EXIT_USAGE


class PermissionDenied(GoldpairError):
    """The acting user's role does not allow this."""


class RefusedError(GoldpairError):
    """A gate said no: the request was understood, and the evidence for it is missing.

    ``reasons`` lists each failed check in words, most important first.
    """

    exit_code = EXIT_REFUSED

    def __init__(self, message: str, reasons: list[str] | None = None) -> None:
        super().__init__(message)
        self.reasons = list(reasons or [])


class StoreLocked(GoldpairError):
    """Another process owns the store file."""


class NotFound(UsageError):
    """A named record, pair, snapshot, model, job or task does not exist."""

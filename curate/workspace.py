"""A workspace folder: where one team's store, snapshots, models and reports live.

Covers: the layout, creating and finding a workspace, its key, its small settings file.
Does not cover: what is inside the store (`curate.store`) or a snapshot (`curate.contract`).
"""

from __future__ import annotations

import os
import secrets
import tomllib
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from curate.errors import NotFound, UsageError

FOLDERS = ("tasks", "snapshots", "models", "evals", "jobs", "cache", "backups")


Role = Literal["viewer", "annotator", "reviewer", "adjudicator", "lead", "admin"]


class Oidc(BaseModel):
    """``[oidc]``: an OpenID Connect provider through which people sign in (`curate.oidc`)."""

    model_config = ConfigDict(extra="forbid")

    issuer: str  # exactly as its discovery document calls itself
    client_id: str
    client_secret_env: str | None = (
        None  # environment variable; without one the client is public, with PKCE alone
    )
    scopes: str = "openid profile email"
    name_claim: str = "preferred_username"  # becomes the user name at the first sign-in
    groups_claim: str = "groups"  # dots go into nested claims, e.g. realm_access.roles
    roles: dict[str, Role]  # group -> role; the highest counts, no group no entry
    redirect_base: str | None = None  # how browsers reach this server, e.g. https://review.example.org
    label: str = "your company account"

    @field_validator("issuer", "redirect_base")
    @classmethod
    def _is_safe(cls, value: str | None) -> str | None:
        """Plain HTTP would let anybody on the way sign in as anybody; this machine itself is no way."""
        found = urlsplit(value or "https://x")
        if found.scheme != "https" and found.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise ValueError("begins with https:// (http:// only for this machine)")
        return value


class Settings(BaseModel):
    """``goldpair.toml``: what a team sets once."""

    model_config = ConfigDict(extra="forbid")

    cli_user: str = "admin"  # whom the command line acts as, unless GOLDPAIR_USER or --user says otherwise
    threads: int = 0  # threads for training and generation; 0 = one per core
    oidc: Oidc | None = None  # sign-in through a provider, beside passwords


class Workspace:
    """Paths of one workspace. Holds no open resource."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).resolve()

    store = property(lambda self: self.root / "store.duckdb")
    tasks = property(lambda self: self.root / "tasks")
    snapshots = property(lambda self: self.root / "snapshots")
    models = property(lambda self: self.root / "models")
    evals = property(lambda self: self.root / "evals")
    jobs = property(lambda self: self.root / "jobs")
    cache = property(lambda self: self.root / "cache")
    backups = property(lambda self: self.root / "backups")
    server = property(lambda self: self.root / "server.json")  # written by a running server, mode 0600

    @classmethod
    def create(cls, root: Path | str) -> Workspace:
        """Make the folders (0700), the settings file and the secret key; keeps whatever is there already."""
        workspace = cls(root)
        workspace.root.mkdir(parents=True, exist_ok=True)
        workspace.root.chmod(0o700)
        for name in FOLDERS:
            (workspace.root / name).mkdir(exist_ok=True)
        settings = workspace.root / "goldpair.toml"
        if not settings.exists():
            settings.write_text(
                '# Settings of this workspace; see docs/workspace.md\ncli_user = "admin"\n', "utf-8"
            )
        key = workspace.root / "secret.key"
        if not key.exists():
            descriptor = os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as handle:
                handle.write(secrets.token_bytes(32))
        return workspace

    @classmethod
    def open(cls, root: Path | str | None = None) -> Workspace:
        """The workspace at ``root``, else GOLDPAIR_WORKSPACE, else the nearest one above the current folder.

        Raises `NotFound` saying how to make one.
        """
        named = root or os.environ.get("GOLDPAIR_WORKSPACE")
        here = Path.cwd()
        candidates = [Path(named)] if named else [here, *here.parents]
        for candidate in candidates:
            if (candidate / "goldpair.toml").is_file():
                return cls(candidate)
        where = str(named) if named else "here or above"
        raise NotFound(f"No workspace {where}. `goldpair init DIR` makes one; then use --workspace DIR.")

    @property
    def key(self) -> bytes:
        """32 secret bytes: surrogates, salted hashes and cookies are keyed with it."""
        return (self.root / "secret.key").read_bytes()

    @property
    def settings(self) -> Settings:
        path = self.root / "goldpair.toml"
        try:
            return Settings.model_validate(tomllib.loads(path.read_text("utf-8")))
        except (tomllib.TOMLDecodeError, ValidationError) as error:
            raise UsageError(f"{path}: {error}") from error

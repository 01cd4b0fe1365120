"""Operations of models that help reviewers: suggestions beside undecided pairs.

Covers: requests, permissions, who may name an endpoint. Does not cover: the job (`curate.suggestions`), nor taking a
suggestion, which is an edit (`review.decide`).
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from curate.errors import PermissionDenied, UsageError
from curate.ops.proof import model_folder
from curate.ops.table import Context, TaskRequest, operation, pack_of, start


class SuggestRequest(TaskRequest):
    model: str | None = Field(None, description="version that answers")
    base: bool = Field(False, description="the task's base answers, untrained")
    endpoint: str | None = Field(
        None, pattern=r"^https?://\S+$", description="OpenAI-compatible server, e.g. http://localhost:8000/v1"
    )
    endpoint_model: str | None = Field(None, max_length=100, pattern=r"^\S+$", description="its model's name")
    api_key_env: str | None = Field(None, description="environment variable that holds the endpoint's key")
    limit: int = Field(1000, ge=1, le=100_000, description="at most so many pairs")
    max_new_tokens: int | None = Field(None, ge=1, le=8192, description="the task's when absent")


@operation("suggest", "evaluate")
def suggest(context: Context, request: SuggestRequest) -> dict[str, Any]:
    """Let a model answer the prompts of undecided pairs; people see its answers, scored, beside the completions."""
    from curate import playground

    _, pack = pack_of(context, request.task)
    if [bool(request.model), request.base, bool(request.endpoint)].count(True) != 1:
        raise UsageError("Who suggests? Name a version, or the base, or an endpoint: one of them.")
    folder = model_folder(context, request.model) if request.model else None
    if request.endpoint:
        if not context.local:
            raise PermissionDenied(
                "Texts leave this machine for an endpoint, and it gets a key of the environment: only the "
                "owner of the workspace names one, by the command line."
            )
        if not request.endpoint_model:
            raise UsageError("Say which model of the endpoint answers: endpoint_model.")
    else:
        playground.shared_base([folder] if folder else [], pack)
    spec = {
        **request.model_dump(exclude={"task", "model", "base"}),
        "model": str(folder) if folder else None,
        "threads": context.workspace.settings.threads,
    }
    return start(context, "suggest", request.task, spec)

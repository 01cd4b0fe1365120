"""``python -m train SNAPSHOT OUT``: a fine-tune without a store, alone or under `accelerate launch` and `torchrun`.

Covers: the arguments of `train.fine_tune` on a machine that has no workspace. Does not cover: workspaces and jobs;
``goldpair train`` does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curate.errors import GoldpairError, RefusedError
from train.processes import rank


def main(
    snapshot: Annotated[Path, typer.Argument(help="Snapshot folder with its preflight.json.")],
    out: Annotated[Path, typer.Argument(help="Folder of the new version, e.g. sarcastic-bot-v1.")],
    recipe: Annotated[Path | None, typer.Option(help="Recipe TOML; else the defaults.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override, e.g. lora.r=16.")] = None,
    base_model: Annotated[str | None, typer.Option(help="Hub id or folder; else the task pack's.")] = None,
) -> None:
    """Fine-tune from a verified snapshot whose preflight passed."""
    from train.recipe import load_recipe
    from train.run import fine_tune

    def show(state: dict[str, float]) -> None:
        validation = f"validation {state['eval_loss']:.4f}, " if "eval_loss" in state else ""
        typer.echo(
            f"step {state['step']} of {state['steps']}: loss {state['loss']:.4f}, {validation}"
            f"{state['tokens_per_s']:.0f} tokens/s, {state['eta_s']:.0f} s left",
            err=True,
        )

    try:
        version = fine_tune(
            snapshot, load_recipe(recipe, set_ or ()), out, base_model, show if rank() == 0 else None
        )
    except GoldpairError as error:
        reasons = error.reasons if isinstance(error, RefusedError) else []
        typer.echo("\n".join([str(error), *reasons]), err=True)
        raise typer.Exit(error.exit_code) from error
    if rank() == 0:
        typer.echo(f"{version.name} {version.hash}")


if __name__ == "__main__":
    typer.run(main)

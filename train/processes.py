"""Training in several processes: who is first, what all must agree on, who takes which rows of a step.

Covers: data-parallel training started by `accelerate launch` or `torchrun`, which set RANK and WORLD_SIZE; whole
tensors from and into models that are spread over processes by FSDP2. Does not cover: the exchange of gradients and
weights (torch, accelerate), starting processes, FSDP1 and DeepSpeed: those are refused.

Every process reads the same step of the data loader and keeps its share, so a step holds the same rows in one process
and in many, the last and smaller one of an epoch too: nothing is repeated to make shares even.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

import torch

from curate.errors import UsageError
from train.packed import Packed, pack
from train.render import Rendered


def world_size() -> int:
    """Number of processes that train together; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Number of this process among them, from 0."""
    return int(os.environ.get("RANK", "0"))


def sharded() -> bool:
    """Are the model's weights spread over the processes?"""
    return os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"


def refuse_sharding() -> None:
    """Raise `UsageError` under DeepSpeed and FSDP1, whose parts of tensors know nothing of the whole."""
    if os.environ.get("ACCELERATE_USE_DEEPSPEED", "").lower() == "true":
        raise UsageError(
            "DeepSpeed is not supported. Launch with train/configs/fsdp.yaml, which spreads the model too, or with "
            "train/configs/ddp.yaml, where every process holds all of it."
        )
    if sharded() and os.environ.get("FSDP_VERSION", "1") != "2":
        raise UsageError("FSDP1 is not supported. Set fsdp_version: 2, as train/configs/fsdp.yaml does.")


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor with the parts of all processes, on this machine's memory; every process must ask for it."""
    from torch.distributed.tensor import DTensor

    return tensor.full_tensor().cpu() if isinstance(tensor, DTensor) else tensor


def like(value: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """``value`` spread over the processes as ``other`` is."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(other, DTensor):
        return value
    return distribute_tensor(value.to(other.to_local().device), other.device_mesh, other.placements)


def local_device(device: str) -> str:
    """The accelerator of this process where a machine has several."""
    return f"{device}:{os.environ.get('LOCAL_RANK', '0')}" if world_size() > 1 and device != "cpu" else device


def wait_for_all() -> None:
    """Return when every process came here."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        dist.barrier()


def decided_by_first(flag: bool, device: str) -> bool:
    """What the first process thinks, in all of them: clocks differ, and all must stop at the same step."""
    import torch.distributed as dist

    if world_size() == 1:
        return flag
    decided = torch.tensor([int(flag)], device=device)
    dist.broadcast(decided, 0)
    return bool(decided.item())


def share(rows: Sequence[tuple[int, Rendered]]) -> Packed:
    """This process's part of a step's rows, packed; parts are alike in tokens.

    A process for which no row is left gets one with nothing to learn, since all must take part in the exchange.
    """
    number, count = rank(), world_size()
    ordered = sorted(rows, key=lambda item: (-len(item[1].input_ids), item[0]))
    mine = [
        row
        for place, row in enumerate(ordered)
        if (place % count if place // count % 2 == 0 else count - 1 - place % count) == number
    ]
    if not mine:
        index, row = ordered[-1]
        mine = [(index, replace(row, prompt_tokens=len(row.input_ids)))]
    return pack(mine)

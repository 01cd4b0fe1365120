"""What this machine can do: device, number format, threads. The one place where these are decided.

Covers: the choice and its reasons, in a record that goes into the run record.
Does not cover: moving models about; callers pass ``Capabilities.device`` on.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

Precision = Literal["auto", "fp32", "bf16"]
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Capabilities:
    """``bf16`` says that the device multiplies bf16 matrices faster than fp32 ones."""

    device: str  # torch device type: cpu, cuda, mps, xpu
    name: str
    bf16: bool
    cores: int  # this process may use
    memory_mb: int

    def dtype(self, precision: Precision = "auto") -> Any:
        """The torch dtype of frozen base weights."""
        import torch

        wanted = ("bf16" if self.bf16 else "fp32") if precision == "auto" else precision
        return torch.bfloat16 if wanted == "bf16" else torch.float32

    def record(self) -> dict[str, Any]:
        return asdict(self)


@cache
def capabilities() -> Capabilities:
    """Look at the machine once. An accelerator is preferred to the CPU."""
    import psutil
    import torch

    device = "cpu"
    if torch.accelerator.is_available():
        found = torch.accelerator.current_accelerator()
        device = found.type if found is not None else "cpu"
    flags, model = _cpu()
    if device == "cuda":
        name, bf16 = torch.cuda.get_device_name(), torch.cuda.is_bf16_supported(including_emulation=False)
    elif device == "cpu":
        # without these instructions bf16 is emulated and slower than fp32
        name, bf16 = model, bool({"avx512_bf16", "amx_bf16"} & flags)
    else:
        name, bf16 = device, False
    return Capabilities(
        device=device,
        name=name,
        bf16=bf16,
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_mb=psutil.virtual_memory().total // 2**20,
    )


def use_threads(threads: int) -> int:
    """Set torch's CPU threads for this process; 0 takes every core it may use. Returns the number set."""
    import torch

    number = threads or capabilities().cores
    torch.set_num_threads(number)
    return number


def in_threads(work: Callable[[T], R], items: Sequence[T], threads: int) -> Iterator[R]:
    """``work(item)`` of every item, in order, ``threads`` of them at a time with one core each.

    On small matrices cores that share each product mostly wait for each other; apart they do not. An error ends it,
    after the items in hand. ``work`` must only read what others use.
    """
    if threads < 2 or len(items) < 2:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(min(threads, len(items)), initializer=use_threads, initargs=(1,)) as pool:
        try:
            yield from pool.map(work, items)
        finally:
            pool.shutdown(cancel_futures=True)
            use_threads(threads)


def quiet() -> None:
    """Keep transformers' bars and notices out of our output; its errors stay."""
    import warnings

    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")


def _cpu() -> tuple[set[str], str]:
    """Instruction-set flags and model name; empty flags where the system does not tell."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return set(), platform.processor() or platform.machine()
    fields = dict(
        (key.strip(), value.strip())
        for key, sep, value in (line.partition(":") for line in text.splitlines())
        if sep
    )
    return set(fields.get("flags", "").split()), fields.get("model name", platform.machine())

"""The engine's libraries, brought in without the ones they do not need here.

presidio-analyzer and thinc import torch and transformers when these are installed, to offer recognizers that this
product does not use: nine seconds of every scan's ten before the first text. Both take an ImportError for "not
installed", which is what they get. Does nothing in a process that has torch already.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hidden(*names: str) -> Iterator[None]:
    """Inside, importing these modules raises ImportError; those already imported stay what they are."""
    absent = [name for name in names if name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in absent:
            sys.modules.pop(name, None)


if "torch" not in sys.modules:
    with hidden("torch", "transformers"):
        import presidio_analyzer  # noqa: F401
        import spacy  # noqa: F401

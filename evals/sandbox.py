"""Where model-written and COBOL code runs: bubblewrap, a system call filter, limits, and nothing else.

Covers: one run (`run`) and many in one sandbox (`Session`), for Python source, compiled programs and the compiler;
whether this machine can isolate (`available`, `require`), and the attack suite that proves it (`self_test`).
Does not cover: verdicts. What is expected never enters; what comes out is one capped pipe, judged outside.

Isolation = namespaces of its own (no network, no processes, no files but a read-only runtime and one small folder in
memory) + two system call filters (`evals._seccomp`) + limits on address space, CPU, wall time, output, files. It is
the same for root and for an ordinary user. Where any part is missing the answer is `SandboxUnavailable`: the code is
NOT RUN. There is no option that runs it anyway.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import select
import shutil
import struct
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from curate.errors import GoldpairError, UsageError
from evals import _seccomp

SERVER = Path(__file__).parent / "_sandbox_server.py"
WORK = "/w"
#: Friday 15 March 2024, 10:20:30 UTC: what every program in here believes to be now.
CLOCK = 1710498030
OLDEST = (0, 8)  # the first bubblewrap with --disable-userns and --size
START_SECONDS = 30.0
GRACE_SECONDS = 10.0
PRELOAD = (
    "abc argparse bisect calendar collections contextlib copy csv dataclasses datetime decimal enum fractions "
    "functools heapq io itertools json locale logging math numbers operator os pathlib random re statistics string "
    "struct sys textwrap time types typing"
).split()


class SandboxUnavailable(GoldpairError):
    """This machine cannot isolate untrusted code, so it was not run."""


class SandboxBroken(GoldpairError):
    """A sandbox started, and then did not answer as it must. Nothing of what it said is used."""


@dataclass(frozen=True)
class Limits:
    """Caps of one run. Seconds; bytes."""

    wall: float = 5.0
    cpu: float = 5.0
    memory: int = 512 << 20  # address space of the one process; a program cannot make a second one
    output: int = 64 << 10  # standard output; standard error is kept up to a quarter of it
    file: int = 1 << 20  # any one file


@dataclass(frozen=True)
class Job:
    """One run. ``kind``: ``python`` (source), ``binary`` (an executable's bytes) or ``command`` (argv)."""

    kind: str
    program: bytes = b""
    args: tuple[str, ...] = ()
    stdin: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict)
    collect: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = Limits()
    call: Mapping[str, Any] | None = None  # python only: {"fields": {...}}, arguments of main(**fields)
    may_fork: bool = False  # the compiler alone


@dataclass(frozen=True)
class Outcome:
    """What one run did, as seen from outside.

    ``kind``: ``exited`` (see ``code``), ``killed`` (a signal, see ``signal``), ``timeout`` (wall or CPU time),
    ``output`` (more than the cap; ended), ``violation`` (tried what no honest program does; ended), ``broken`` (the
    sandbox itself gave no usable answer).
    """

    kind: str
    code: int | None = None
    signal: int | None = None
    stdout: bytes = b""
    stderr: bytes = b""
    returned: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict)
    seconds: float = 0.0
    cpu: float = 0.0
    detail: str = ""


# --- can this machine isolate? ------------------------------------------------------------------------------


@cache
def _runtime() -> tuple[str, ...]:
    """bubblewrap's arguments that show the Python runtime read-only: interpreter, its libraries, no packages."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    binary = os.path.realpath(sys.executable)
    stdlib = os.path.realpath(sysconfig.get_path("stdlib"))
    args = ["--ro-bind", "/usr/lib", "/usr/lib", "--symlink", "usr/lib", "/lib"]
    if Path("/usr/lib64").is_dir():
        args += ["--ro-bind", "/usr/lib64", "/usr/lib64"]
        args += ["--symlink", "usr/lib64", "/lib64"]
    args += ["--ro-bind", binary, binary]
    if not stdlib.startswith("/usr/lib/"):
        args += ["--ro-bind", stdlib, stdlib]
        library = sysconfig.get_config_var("INSTSONAME") or ""
        shared = Path(sysconfig.get_config_var("LIBDIR") or "/nonexistent") / library
        if library.endswith((".so", ".so.1.0")) or ".so" in library:
            for path in {shared, Path(sys.base_prefix) / "lib" / library}:
                if path.is_file():
                    args += ["--ro-bind", str(path), str(path)]
    for packages in (Path(stdlib) / "site-packages", Path("/usr/lib/python3/dist-packages"),
                     Path("/usr/lib") / version / "dist-packages"):  # fmt: skip
        if packages.is_dir():
            args += ["--tmpfs", str(packages), "--remount-ro", str(packages)]
    return tuple(args)


def _tools() -> tuple[str, ...]:
    """Further arguments for the compiler: system binaries, headers, GnuCOBOL's own folders."""
    args: list[str] = []
    for folder in ("/usr/bin", "/usr/libexec", "/usr/include", "/usr/share/gnucobol"):
        if Path(folder).is_dir():
            args += ["--ro-bind", folder, folder]
    args += ["--symlink", "usr/bin", "/bin"]
    cobc = shutil.which("cobc")
    if cobc and os.path.realpath(cobc).startswith("/usr/local/"):
        for name in ("bin", "lib", "share", "include", "etc"):
            if Path(f"/usr/local/{name}").is_dir():
                args += ["--ro-bind", f"/usr/local/{name}", f"/usr/local/{name}"]
    return tuple(args)


def _bwrap() -> str:
    """Path of a usable bubblewrap. Raises `SandboxUnavailable`."""
    if sys.platform != "linux" or platform.machine() not in _seccomp.MACHINES:
        raise SandboxUnavailable(
            f"NOT RUN: the sandbox needs Linux on {', '.join(_seccomp.MACHINES)}; this is {sys.platform} on "
            f"{platform.machine()}. Run behaviour suites on such a machine."
        )
    path = shutil.which("bwrap")
    if path is None:
        raise SandboxUnavailable(
            "NOT RUN: no sandbox. Install bubblewrap (apt-get install bubblewrap), then check with goldpair doctor."
        )
    version = _version(path)
    numbers = re.search(r"(\d+)\.(\d+)", version)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < OLDEST:
        raise SandboxUnavailable(
            f"NOT RUN: {version or 'bubblewrap'} is too old; the sandbox needs {OLDEST[0]}.{OLDEST[1]} or later."
        )
    return path


@cache
def _version(path: str) -> str:
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def require() -> None:
    """Return when this machine isolates; else raise `SandboxUnavailable` saying what is missing.

    The first call of a process runs the short attack suite; later ones reuse its answer for the same bubblewrap.
    """
    path = _bwrap()
    report = _checked(path)
    if report.held != report.total:
        failed = [case.name for case in report.cases if not case.held]
        raise SandboxUnavailable(
            f"NOT RUN: the sandbox does not hold here ({report.held} of {report.total} attacks held; first: "
            f"{failed[0]}: {next(c.detail for c in report.cases if not c.held)}). Nothing untrusted is run on this "
            "machine; goldpair doctor says more."
        )


def available() -> bool:
    """Whether `require` would return."""
    try:
        require()
    except GoldpairError:
        return False
    return True


# --- running ------------------------------------------------------------------------------------------------


class Session:
    """One sandbox for many runs: ``with Session() as box: box.run(Job("python", source))``.

    Every run has an empty folder, its own limits and a process forked for it; none sees another. A session that
    breaks is replaced at the next run. Not to be shared between threads: make one a thread (bubblewrap ends when the
    thread that started it does).
    """

    def __init__(self, *, tools: bool = False, disk: int = 8 << 20, checked: bool = True) -> None:
        """``tools`` shows the compiler and its libraries; ``disk`` is the size of the folder in memory, bytes.

        Raises `SandboxUnavailable`. ``checked`` is False for the attack suite alone, which is the check.
        """
        if checked:
            require()
        self._path = _bwrap()
        self._tools, self._disk = tools, disk
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: Any = None
        self.starts = 0

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the sandbox and everything in it."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    assert pipe is not None
                    pipe.close()
            process.wait()
        if self._errors is not None:
            self._errors.close()
            self._errors = None

    def _arguments(self, seccomp_fd: int) -> list[str]:
        args = [self._path, "--unshare-all", "--unshare-user", "--uid", "65534", "--gid", "65534"]
        args += ["--disable-userns", "--cap-drop", "ALL", "--new-session", "--die-with-parent"]
        args += ["--hostname", "sandbox", *_runtime(), *(_tools() if self._tools else ())]
        for name in ("/etc/gnucobol", "/etc/ld.so.cache", "/etc/alternatives"):
            if Path(name).exists():
                args += ["--ro-bind", name, name]
        # Three devices and no /proc: a file system of processes and a writable /dev are only ways around.
        for name in ("null", "zero", "urandom"):
            args += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
        args += ["--size", str(self._disk), "--tmpfs", WORK, "--ro-bind", str(SERVER), "/server.py"]
        args += ["--remount-ro", "/", "--chdir", WORK, "--clearenv"]
        moment = time.strftime("%Y/%m/%d %H:%M:%S", time.gmtime(CLOCK))
        for name, value in {
            "PATH": "/usr/bin", "HOME": WORK, "TMPDIR": WORK, "LC_ALL": "C.UTF-8", "TZ": "UTC",
            "PYTHONHASHSEED": "0", "COB_CURRENT_DATE": moment,
        }.items():  # fmt: skip
            args += ["--setenv", name, value]
        python = [os.path.realpath(sys.executable), "-s", "-S", "-P", "-B", "/server.py"]
        return [*args, "--seccomp", str(seccomp_fd), "--", *python]

    def _start(self) -> None:
        self._errors = tempfile.TemporaryFile(prefix="goldpair-sandbox-")  # noqa: SIM115
        outer = os.memfd_create("filter")
        try:
            os.write(outer, _seccomp.outer_filter())
            os.lseek(outer, 0, os.SEEK_SET)
            self._process = subprocess.Popen(
                self._arguments(outer),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                pass_fds=(outer,),
                env={},
            )
        finally:
            os.close(outer)
        self.starts += 1
        hello = {"clock": CLOCK, "preload": [] if self._tools else PRELOAD}
        filters = [_seccomp.program_filter(may_exec=False), _seccomp.program_filter(may_exec=True)]
        try:
            self._send(hello, filters)
            header, _ = self._receive(time.monotonic() + START_SECONDS, 1 << 16)
            if header.get("ready") is not True:
                raise SandboxBroken("the sandbox did not say that it is ready")
        except (OSError, EOFError, SandboxBroken) as error:
            said = self._said()
            self.close()
            raise SandboxUnavailable(
                f"NOT RUN: bubblewrap could not make a sandbox ({said or error}). Allow this user namespaces "
                "(sysctl kernel.unprivileged_userns_clone=1, an AppArmor profile for bwrap, or the container's "
                "settings), then check with goldpair doctor."
            ) from error

    def _said(self) -> str:
        if self._errors is None:
            return ""
        self._errors.seek(0)
        lines = self._errors.read(4000).decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:300] if lines else ""

    def _send(self, header: Mapping[str, Any], blobs: Sequence[bytes]) -> None:
        assert self._process is not None and self._process.stdin is not None
        head = json.dumps(dict(header) | {"blobs": [len(blob) for blob in blobs]}).encode()
        self._process.stdin.write(struct.pack("<I", len(head)) + head + b"".join(blobs))
        self._process.stdin.flush()

    def _receive(self, deadline: float, most: int) -> tuple[dict[str, Any], list[bytes]]:
        """One frame. What comes from inside is untrusted: every length is checked before it is read."""
        size = struct.unpack("<I", self._read(4, deadline))[0]
        if size > 1 << 20:
            raise SandboxBroken(f"the sandbox announced a header of {size} bytes")
        header = json.loads(self._read(size, deadline))
        sizes = header.get("blobs") if isinstance(header, dict) else None
        if (
            not isinstance(sizes, list)
            or not all(type(n) is int and n >= 0 for n in sizes)
            or sum(sizes) > most
        ):
            raise SandboxBroken("the sandbox sent an impossible answer")
        return header, [self._read(n, deadline) for n in sizes]

    def _read(self, size: int, deadline: float) -> bytes:
        assert self._process is not None and self._process.stdout is not None
        fd = self._process.stdout.fileno()
        parts: list[bytes] = []
        while size:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                raise SandboxBroken("the sandbox did not answer in time")
            part = os.read(fd, min(size, 1 << 20))
            if not part:
                raise EOFError("the sandbox ended")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def run(self, job: Job) -> Outcome:
        """Run one job; never raises for what the program does, only when no sandbox can be made."""
        for name in (*job.files, *job.collect):
            parts = Path(name).parts
            if not parts or Path(name).is_absolute() or ".." in parts or "\0" in name:
                raise UsageError(f"{name!r} is no name of a file in the working folder.")
        if any("\0" in arg for arg in job.args):
            raise UsageError("A command-line argument cannot hold a zero byte.")
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._start()
        header = {
            "kind": job.kind, "args": list(job.args), "files": list(job.files), "collect": list(job.collect),
            "env": dict(job.env), "limits": asdict(job.limits), "call": job.call, "may_fork": job.may_fork,
        }  # fmt: skip
        most = 3 * job.limits.output + len(job.collect) * job.limits.file + (1 << 16)
        started = time.monotonic()
        deadline = started + job.limits.wall + GRACE_SECONDS
        watchdog = threading.Timer(job.limits.wall + GRACE_SECONDS, self._process.kill)  # type: ignore[union-attr]
        try:
            watchdog.start()
            self._send(header, [job.program, job.stdin, *job.files.values()])
            answer, blobs = self._receive(deadline, most)
            outcome = _outcome(job, answer, blobs)
        except (OSError, EOFError, ValueError, KeyError, TypeError, SandboxBroken) as error:
            said = self._said()
            self.close()
            return Outcome("broken", seconds=time.monotonic() - started, detail=said or str(error))
        finally:
            watchdog.cancel()
        if answer.get("clean") is not True:
            self.close()
        return outcome


def _outcome(job: Job, answer: Mapping[str, Any], blobs: Sequence[bytes]) -> Outcome:
    names = [name for name in answer["files"] if name in job.collect]
    if len(blobs) != 3 + len(names):
        raise SandboxBroken("the sandbox sent an impossible answer")
    code, number, reason = answer["code"], answer["signal"], answer["reason"]
    kind, detail = "exited", ""
    if reason == "output":
        kind, detail = "output", f"wrote more than {job.limits.output} bytes"
    elif reason == "wall":
        kind, detail = "timeout", f"ran longer than {job.limits.wall:g} s"
    elif number == 31:  # SIGSYS
        kind, detail = "violation", "asked the system for what no honest program needs"
    elif number == 24 or (number == 9 and float(answer["cpu"]) >= job.limits.cpu - 0.1):
        # SIGXCPU is the kernel's own word: some kernels count for it by other ticks than for the usage they
        # report, so that figure is not asked. A program deaf to it gets SIGKILL a second later.
        kind, detail = "timeout", f"used more than {job.limits.cpu:g} s of CPU"
    elif number is not None:
        kind, detail = "killed", f"signal {int(number)}"
    return Outcome(
        kind,
        None if code is None else int(code),
        None if number is None else int(number),
        blobs[0],
        blobs[1],
        blobs[2],
        dict(zip(names, blobs[3:], strict=True)),
        float(answer["seconds"]),
        float(answer["cpu"]),
        detail,
    )


def run(
    program: str | bytes | Sequence[str],
    *,
    args: Sequence[str] = (),
    stdin: str | bytes = b"",
    files: Mapping[str, str | bytes] | None = None,
    collect: Sequence[str] = (),
    limits: Limits | None = None,
) -> Outcome:
    """Run one untrusted program in a sandbox of its own.

    Args:
        program: Python source (str), an executable's bytes, or an argv whose first item is an absolute path under
            ``/usr/bin`` (a list).
        files: content of the working folder before the run, by name.
        collect: names of files in the working folder to bring out, up to ``limits.file`` bytes each.

    Raises `SandboxUnavailable` where this machine cannot isolate: then nothing ran. For many runs use `Session`,
    which pays for Python's start only once.
    """
    common: dict[str, Any] = {
        "stdin": stdin.encode() if isinstance(stdin, str) else stdin,
        "files": {n: d.encode() if isinstance(d, str) else d for n, d in (files or {}).items()},
        "collect": tuple(collect),
        "limits": limits or Limits(),
    }
    if isinstance(program, str):
        job = Job("python", program.encode("utf-8", "surrogateescape"), args=tuple(args), **common)
    elif isinstance(program, bytes):
        job = Job("binary", program, args=tuple(args), **common)
    else:
        job = Job("command", args=(*program, *args), **common)
    with Session(tools=job.kind == "command") as box:
        return box.run(job)


# --- proof --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One attack: ``held`` says that nothing came of it."""

    name: str
    held: bool
    detail: str
    seconds: float = 0.0


@dataclass(frozen=True)
class SelfTest:
    """Result of the attack suite."""

    cases: tuple[Case, ...]
    seconds: float

    @property
    def held(self) -> int:
        """Attacks of which nothing came."""
        return sum(case.held for case in self.cases)

    @property
    def total(self) -> int:
        """Attacks tried."""
        return len(self.cases)

    def __bool__(self) -> bool:
        return self.held == self.total


def self_test(*, quick: bool = False, progress: Callable[[Case], None] | None = None) -> SelfTest:
    """Attack the sandbox; every case must hold. ``quick`` takes the eight that need no time.

    The first cases are harmless where there is no isolation; when one of them does not hold, the others are not
    tried and count as not held. Raises `SandboxUnavailable` where no sandbox can be made at all.
    """
    from evals._attacks import attack

    started = time.monotonic()
    cases = tuple(attack(quick=quick, progress=progress))
    return SelfTest(cases, round(time.monotonic() - started, 3))


@cache
def _checked(path: str) -> SelfTest:
    return self_test(quick=True)


def attestation() -> dict[str, Any]:
    """What an eval run keeps beside its scores: that the code ran isolated, and how that was shown.

    ``{"state": "held" | "NOT RUN", ...}``; never raises.
    """
    facts: dict[str, Any] = {
        "filters_sha256": _seccomp_sha(),
        "kernel": platform.release(),
        "user": "root" if os.geteuid() == 0 else "ordinary",
    }
    try:
        require()
    except GoldpairError as error:
        return {"state": "NOT RUN", "reason": str(error), **facts}
    path = _bwrap()
    report = _checked(path)
    return {
        "state": "held",
        "held": report.held,
        "total": report.total,
        "cases": [case.name for case in report.cases],
        "bubblewrap": _version(path),
        **facts,
    }


def _seccomp_sha() -> str:
    import hashlib

    code = _seccomp.outer_filter() + _seccomp.program_filter(may_exec=False)
    code += _seccomp.program_filter(may_exec=True) + SERVER.read_bytes()
    return hashlib.sha256(code).hexdigest()

"""The sandbox holds against every attack of the suite, says so, and refuses where it cannot hold.

Does not cover: hosts without user namespaces other than by a stand-in for bubblewrap.
"""

from __future__ import annotations

import os
import shutil
import stat
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from curate.errors import UsageError
from evals import _attacks, _seccomp, sandbox
from evals.sandbox import Job, Limits, SandboxUnavailable, Session, run, self_test

pytestmark = pytest.mark.sandbox
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True, scope="module")
def needs_bubblewrap() -> None:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process' remembered proof must not answer for a changed sandbox."""
    monkeypatch.setattr(sandbox, "_checked", lambda path: self_test(quick=True))


@pytest.fixture(scope="module")
def box():
    with Session() as session:
        yield session


def python(box: Session, code: str, **options):
    return box.run(Job("python", code.encode(), **options))


# --- attacks ------------------------------------------------------------------------------------------------


def test_every_attack_is_held() -> None:
    report = self_test()
    assert [f"{c.name}: {c.detail}" for c in report.cases if not c.held] == []
    assert report.held == report.total >= 25 and bool(report)
    assert len({c.name for c in report.cases}) == report.total


def test_as_an_ordinary_user() -> None:
    """The same suite by a user without any privilege, and without this project's environment."""
    if os.geteuid() != 0:
        pytest.skip("this process is an ordinary user already: the other tests are this test")
    interpreter = "/usr/bin/python3"
    if not os.access(interpreter, os.X_OK):
        pytest.skip("no system Python that an ordinary user could start")
    code = (
        "from evals.sandbox import self_test, attestation\nr = self_test(quick=True)\n"
        "print(r.held, r.total, attestation()['user'])"
    )
    folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    try:
        for name in ("evals/__init__.py", "evals/sandbox.py", "evals/_seccomp.py", "evals/_attacks.py",
                     "evals/_sandbox_server.py", "curate/__init__.py", "curate/errors.py"):  # fmt: skip
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        done = subprocess.run(
            [interpreter, "-c", code],
            cwd=folder,
            user=65534,
            group=65534,
            extra_groups=[],
            env={"PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    finally:
        shutil.rmtree(folder)
    assert done.stdout.split() == ["8", "8", "ordinary"], done.stdout + done.stderr


# --- a weaker sandbox is noticed, and refused ----------------------------------------------------------------


def allow_all() -> bytes:
    return struct.pack("<HBBI", 6, 0, 0, _seccomp.ALLOW)


def test_without_the_program_filter_forks_are_noticed(
    monkeypatch: pytest.MonkeyPatch, unchecked: None
) -> None:
    monkeypatch.setattr(_seccomp, "program_filter", lambda may_exec: allow_all())
    report = self_test(quick=True)
    assert "fork" in [c.name for c in report.cases if not c.held]
    with pytest.raises(SandboxUnavailable, match="NOT RUN"):
        run("print(1)")
    assert not sandbox.available()
    assert sandbox.attestation()["state"] == "NOT RUN"


def test_a_writable_root_is_noticed_and_nothing_further_is_tried(
    monkeypatch: pytest.MonkeyPatch, unchecked: None
) -> None:
    whole = Session._arguments

    def without(self: Session, fd: int) -> list[str]:
        args = whole(self, fd)
        at = len(args) - 1 - args[::-1].index("--remount-ro")
        return args[:at] + args[at + 2 :]

    monkeypatch.setattr(Session, "_arguments", without)
    report = self_test()
    cases = {c.name: c for c in report.cases}
    assert not cases["write outside the folder"].held
    assert "not tried" in cases["fork bomb"].detail, "a bomb must not go off where there is no sandbox"


def test_a_stand_in_without_isolation_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unchecked: None
) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo "bubblewrap 0.8.0" && exit 0\n'
        f'while [ "$1" != -- ]; do shift; done\nexec {sys.executable} {sandbox.SERVER}\n'
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(SandboxUnavailable, match="NOT RUN"):
        run("print('ran without isolation')")


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (
            '[ "$1" = --version ] && echo "bubblewrap 0.8.0" && exit 0\necho "no namespaces" >&2; exit 1',
            "no namespaces",
        ),
        ('echo "bubblewrap 0.4.1"', "too old"),
        ("exit 1", "too old"),
    ],
)
def test_a_bubblewrap_that_cannot_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unchecked: None, script: str, says: str
) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(SandboxUnavailable, match=says):
        run("print(1)")


def test_no_bubblewrap_and_a_strange_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxUnavailable, match="apt-get install bubblewrap"):
        run("print(1)")
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(SandboxUnavailable, match="riscv64"):
        run("print(1)")


def test_there_is_no_way_around(box: Session) -> None:
    """Neither an argument nor an environment variable turns isolation off."""
    import inspect

    assert set(inspect.signature(run).parameters) == {
        "program",
        "args",
        "stdin",
        "files",
        "collect",
        "limits",
    }
    source = (ROOT / "evals" / "sandbox.py").read_text("utf-8")
    assert "environ" not in source.replace("environment", ""), "no setting is read from the environment"


def test_the_proof_for_a_run() -> None:
    proof = sandbox.attestation()
    assert proof["state"] == "held" and proof["held"] == proof["total"] >= 8
    assert proof["bubblewrap"] and len(proof["filters_sha256"]) == 64


# --- what honest programs get --------------------------------------------------------------------------------


def test_arguments_input_files_and_results() -> None:
    done = run(
        "import sys\nprint(sys.argv[1:], input())\nopen('out.txt', 'w').write(open('in.txt').read().upper())",
        args=["a", "b c"],
        stdin="line\n",
        files={"in.txt": "abc"},
        collect=["out.txt", "absent"],
    )
    assert (done.kind, done.code) == ("exited", 0), done
    assert done.stdout == b"['a', 'b c'] line\n"
    assert done.files == {"out.txt": b"ABC"}


def test_each_run_starts_from_nothing(box: Session) -> None:
    first = python(box, "import random, sys\nsys.x = 1\nopen('f', 'w')\nprint(random.random(), hash('a'))")
    second = python(
        box, "import os, random, sys\nassert not os.listdir('.') and not hasattr(sys, 'x')\n"
        "print(random.random(), hash('a'))",
    )  # fmt: skip
    assert first.stdout == second.stdout and second.code == 0
    with Session() as other:
        assert python(other, "import random\nprint(random.random(), hash('a'))").stdout == first.stdout


def test_the_clock_stands_still(box: Session) -> None:
    done = python(
        box,
        "import datetime, time\nfrom datetime import date, datetime as dt\n"
        "print(dt.now(), date.today(), time.time(), time.strftime('%Y'), dt.now(datetime.UTC))\n"
        "assert isinstance(dt(2020, 1, 1) + datetime.timedelta(1), dt) and isinstance(dt.now(), date)\n"
        "assert isinstance(date(2020, 1, 1) - date(2019, 1, 1), datetime.timedelta)\n"
        "assert dt.strptime('2020', '%Y').year == 2020",
    )
    assert done.code == 0, done.stderr
    assert done.stdout.decode().startswith(
        "2024-03-15 10:20:30 2024-03-15 1710498030.0 2024 2024-03-15 10:20:30+00:00"
    )


@pytest.mark.parametrize(
    ("code", "kind", "exit_code"),
    [
        ("raise SystemExit(3)", "exited", 3),
        ("raise SystemExit('no')", "exited", 1),
        ("1/0", "exited", 1),
        ("def f(:", "exited", 1),
        (
            "import atexit, threading\natexit.register(print, 'bye')\nthreading.Thread(target=print).start()",
            "exited",
            0,
        ),
        ("input()", "exited", 1),
        ("import os\nos.abort()", "killed", None),
        ("while True: pass", "timeout", None),
        # The kernel's signal for "too much CPU", whatever usage it reports for the program.
        ("import os, signal\nos.kill(os.getpid(), signal.SIGXCPU)", "timeout", None),
        ("while True: print('more?')", "output", None),
        ("import os\nos.system('true')", "violation", None),
    ],
)
def test_how_programs_end(box: Session, code: str, kind: str, exit_code: int | None) -> None:
    done = python(box, code, limits=Limits(wall=1.0, cpu=1.0))
    assert (done.kind, done.code) == (kind, exit_code), done.stderr


def test_source_that_is_no_text_and_output_that_is_none(box: Session) -> None:
    assert box.run(Job("python", b"\xff\xfe\x00")).code == 1
    assert python(box, "import sys\nsys.stdout.buffer.write(bytes(range(256)))").stdout == bytes(range(256))
    assert python(box, "print(input())", stdin=b"\xe4\xf6").stdout == b"\xe4\xf6\n"


def test_a_session_outlives_a_broken_sandbox(box: Session) -> None:
    python(box, "print(1)")
    assert box._process is not None
    box._process.kill()
    box._process.wait()
    assert python(box, "print(2)").stdout == b"2\n"


def test_a_large_input_does_not_block(box: Session) -> None:
    done = python(box, "import sys\nprint(len(sys.stdin.read()))", stdin=b"x" * (1 << 20))
    assert done.stdout == b"1048576\n"


@pytest.mark.parametrize("name", ["/etc/x", "../x", "", "a/../../x"])
def test_names_outside_the_folder_are_refused(box: Session, name: str) -> None:
    with pytest.raises(UsageError, match="working folder"):
        python(box, "", files={name: b""})


def test_a_compiled_program(box: Session) -> None:
    true = Path("/usr/bin/true")
    if not stat.S_ISREG(true.lstat().st_mode):
        pytest.skip("no /usr/bin/true to run")
    done = box.run(Job("binary", true.read_bytes()))
    assert (done.kind, done.code) == ("exited", 0), done


def test_many_runs_share_one_sandbox() -> None:
    with Session() as session:
        assert [python(session, f"print({n})").stdout for n in range(20)] == [
            f"{n}\n".encode() for n in range(20)
        ]
        assert session.starts == 1


def test_every_filter_ends_in_a_verdict() -> None:
    """Jumps of the hand-written filters stay inside; the last instruction returns."""
    for code in (_seccomp.outer_filter(), *(_seccomp.program_filter(may_exec=m) for m in (True, False))):
        steps = [struct.unpack_from("<HBBI", code, at) for at in range(0, len(code), 8)]
        assert len(steps) < 4096 and steps[-1][0] == _seccomp.RETURN
        for at, (what, yes, no, _) in enumerate(steps):
            if what in (_seccomp.EQUAL, _seccomp.AT_LEAST, _seccomp.ANY_BIT):
                assert at + 1 + max(yes, no) < len(steps)


def test_the_suite_names_every_attack_once() -> None:
    names = [a.name for a in [*_attacks.FIRST, *_attacks.REST, _attacks.PLANT]]
    assert len(names) == len(set(names)) >= 25

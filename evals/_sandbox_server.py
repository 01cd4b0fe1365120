"""The fork server that runs inside the sandbox: one job in, one capped answer out. Started by `evals.sandbox`.

Covers: forking a child per job with its own limits, filter, folder and frozen clock; cutting what it writes; ending
it; collecting the files that were asked for; wiping the folder before the next job.
Does not cover: isolation (bubblewrap and the filters do that) or any judgement: it never learns what is expected. It
runs as a script with the standard library alone and cannot import the product.

A frame is a length, a JSON header, and as many blobs as ``header["blobs"]`` lists lengths. The children are forks of
this process, so that Python is started and its common modules are imported once a sandbox and not once a run.
"""

# mypy: ignore-errors
# Untyped on purpose: a script of forks and file descriptors, executed by itself and never imported.

import contextlib
import ctypes
import datetime
import gc
import io
import json
import os
import pathlib
import random
import resource
import select
import shutil
import signal
import stat
import struct
import sys
import time
import traceback

WORK = "/w"
OWN_PID = 0x5049445F
PR_SET_DUMPABLE, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 4, 22, 2
LIBC = ctypes.CDLL(None, use_errno=True)
MANY_ENTRIES = 20_000


def read_exactly(fd, size):
    parts = []
    while size:
        part = os.read(fd, min(size, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def read_frame(fd):
    header = json.loads(read_exactly(fd, struct.unpack("<I", read_exactly(fd, 4))[0]))
    return header, [read_exactly(fd, size) for size in header["blobs"]]


def write_frame(fd, header, blobs=()):
    head = json.dumps(header | {"blobs": [len(b) for b in blobs]}).encode()
    data = memoryview(struct.pack("<I", len(head)) + head + b"".join(blobs))
    while data:
        data = data[os.write(fd, data) :]


class SockFilter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]


def load_filter(code):
    """The filter of this process from now on, for good. bubblewrap has set no_new_privs already."""
    words = bytearray(code)
    for at in range(0, len(words), 8):
        if struct.unpack_from("<I", words, at + 4)[0] == OWN_PID:
            struct.pack_into("<I", words, at + 4, os.getpid())
    buffer = ctypes.create_string_buffer(bytes(words), len(words))
    program = SockFilter(len(words) // 8, ctypes.addressof(buffer))
    if LIBC.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), "the system call filter was not accepted")


# --- the child ----------------------------------------------------------------------------------------------


def freeze_clock(moment):
    """`time.time`, `datetime.now`, `date.today` and their relatives all say the same moment (UTC)."""
    real_date, real_datetime = datetime.date, datetime.datetime
    now = real_datetime.fromtimestamp(moment, datetime.UTC)

    class Likes(type):
        """An object made before, or by arithmetic on the original class, is still an instance."""

        def __instancecheck__(cls, other):
            return isinstance(other, cls.__mro__[1])

        def __subclasscheck__(cls, other):
            return issubclass(other, cls.__mro__[1])

    class FrozenDate(real_date, metaclass=Likes):
        @classmethod
        def today(cls):
            return cls(now.year, now.month, now.day)

    class FrozenDatetime(real_datetime, metaclass=Likes):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(moment, tz)

        @classmethod
        def today(cls):
            return cls.fromtimestamp(moment)

        @classmethod
        def utcnow(cls):
            return cls.fromtimestamp(moment, datetime.UTC).replace(tzinfo=None)

    FrozenDate.__name__ = FrozenDate.__qualname__ = "date"
    FrozenDatetime.__name__ = FrozenDatetime.__qualname__ = "datetime"
    for fake in (FrozenDate, FrozenDatetime):
        fake.__module__ = "datetime"
    datetime.date, datetime.datetime = FrozenDate, FrozenDatetime
    gmtime, localtime, strftime, asctime = time.gmtime, time.localtime, time.strftime, time.asctime
    time.time = lambda: float(moment)
    time.time_ns = lambda: int(moment * 1_000_000_000)
    time.gmtime = lambda secs=None: gmtime(moment if secs is None else secs)
    time.localtime = lambda secs=None: localtime(moment if secs is None else secs)
    time.strftime = lambda form, t=None: strftime(form, gmtime(moment) if t is None else t)
    time.asctime = lambda t=None: asctime(gmtime(moment) if t is None else t)
    time.ctime = lambda secs=None: asctime(gmtime(moment if secs is None else secs))


def run_python(job, source):
    """Execute the source as ``__main__``; returns the exit code as the interpreter would."""
    import atexit
    import builtins
    import threading
    import types

    sys.argv = ["program.py", *job["args"]]
    sys.path[:] = [p for p in sys.path if p]
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        raw = open(number, mode + "b", closefd=False)  # noqa: SIM115
        errors = "backslashreplace" if number == 2 else "surrogateescape"
        stream = io.TextIOWrapper(raw, "utf-8", errors, line_buffering=number == 2, write_through=number == 2)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    random.seed(0)
    main = types.ModuleType("__main__")
    main.__dict__.update(__builtins__=builtins, __file__="program.py")
    sys.modules["__main__"] = main
    code = 0
    try:
        text = source.decode("utf-8")
        exec(compile(text, "program.py", "exec", dont_inherit=True), main.__dict__)
        if job["call"]:
            call(job, main)
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            code = (stop.code or 0) & 0xFF
        else:
            print(stop.code, file=sys.stderr)
            code = 1
    except BaseException as error:
        # Without the frame of this function; the last few are enough.
        frames = error.__traceback__.tb_next if error.__traceback__ else None
        if frames is None:
            print("Traceback (most recent call last):", file=sys.stderr)
        traceback.print_exception(type(error), error, frames, limit=-8)
        code = 1
    try:
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
    except BaseException:
        code = code or 120
    return code


def call(job, main):
    """LINKAGE: ``main(**fields)``; what it returns is written as JSON to the answer pipe."""
    from decimal import Decimal

    def typed(value):
        if isinstance(value, list):
            return [typed(v) for v in value]
        return Decimal(value["decimal"]) if isinstance(value, dict) else value

    def plain(value):
        if isinstance(value, dict):
            return {str(k): plain(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [plain(v) for v in value]
        if isinstance(value, bool) or value is None:
            return {"other": repr(value)}
        if isinstance(value, int | Decimal):
            return {"number": str(value)}
        if isinstance(value, float):
            return {"float": repr(value)}
        return value if isinstance(value, str) else {"other": repr(value)[:200]}

    function = main.__dict__.get("main")
    if not callable(function):
        raise TypeError("the translation of a subprogram must define main(**fields) -> dict")
    returned = function(**{name: typed(value) for name, value in job["call"]["fields"].items()})
    if not isinstance(returned, dict):
        raise TypeError(f"main returned {type(returned).__name__}, not a dict of fields")
    data = json.dumps(plain(returned)).encode()
    view = memoryview(data)
    while view:
        view = view[os.write(3, view) :]


def be_child(job, blobs, pipes, stdin, config):
    os.setsid()
    os.dup2(stdin, 0)
    os.dup2(pipes["out"], 1)
    os.dup2(pipes["err"], 2)
    program = None
    if job["kind"] == "binary":
        program = os.memfd_create("program")
        write_all(program, blobs[0])
        held = os.dup2(program, 200, inheritable=False)
        os.dup2(pipes["ret"], 3)
        os.closerange(4, 200)
        os.closerange(201, 4096)
        program = held
    else:
        os.dup2(pipes["ret"], 3)
        os.closerange(4, 4096)
    os.chdir(WORK)
    limits = job["limits"]
    cpu = max(1, int(limits["cpu"] + 0.999))
    for name, value in (
        ("RLIMIT_CORE", 0),
        ("RLIMIT_CPU", cpu),
        ("RLIMIT_FSIZE", limits["file"]),
        ("RLIMIT_NOFILE", 64 if job["kind"] != "command" else 256),
        ("RLIMIT_AS", limits["memory"]),
        ("RLIMIT_STACK", 8 << 20),
        ("RLIMIT_MSGQUEUE", 0),
        ("RLIMIT_MEMLOCK", 0),
    ):
        hard = value + 1 if name == "RLIMIT_CPU" else value
        resource.setrlimit(getattr(resource, name), (value, hard))
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if job["kind"] == "python":
        freeze_clock(config["clock"])
        load_filter(config["python_filter"])
        return run_python(job, blobs[0])
    environment = dict(os.environ) | job["env"]
    if job["kind"] == "binary":
        load_filter(config["binary_filter"])
        os.execve(program, ["program", *job["args"]], environment)
    if not job["may_fork"]:
        load_filter(config["binary_filter"])
    os.execve(job["args"][0], job["args"], environment)
    return 127


def write_all(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


# --- the server ---------------------------------------------------------------------------------------------


def run_job(job, blobs, config):
    """Returns (header, blobs) of the answer."""
    count = len(job["files"])
    for name, data in zip(job["files"], blobs[len(blobs) - count :] if count else [], strict=True):
        path = pathlib.Path(WORK, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    stdin = os.memfd_create("stdin")
    write_all(stdin, blobs[1])
    os.lseek(stdin, 0, os.SEEK_SET)
    ends = {name: os.pipe() for name in ("out", "err", "ret")}
    started = time.monotonic()
    pid = os.fork()
    if pid == 0:
        code = 125
        try:
            code = be_child(job, blobs, {name: ends[name][1] for name in ends}, stdin, config)
        except BaseException as error:
            with contextlib.suppress(BaseException):
                os.write(2, f"sandbox: {type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(code)
    os.close(stdin)
    for _, write_end in ends.values():
        os.close(write_end)
    limits = job["limits"]
    caps = {"out": limits["output"], "err": min(limits["output"], 16384), "ret": limits["output"]}
    caught = {name: bytearray() for name in ends}
    by_fd = {ends[name][0]: name for name in ends}
    poll = select.poll()
    for fd in by_fd:
        os.set_blocking(fd, False)
        poll.register(fd, select.POLLIN | select.POLLHUP)
    deadline = started + limits["wall"]
    reason, status, usage = "", None, None
    while by_fd:
        left = deadline - time.monotonic()
        if left <= 0:
            reason = "wall"
            break
        for fd, _ in poll.poll(min(left, 0.2) * 1000):
            name = by_fd[fd]
            try:
                part = os.read(fd, 65536)
            except BlockingIOError:
                continue
            if not part:
                poll.unregister(fd)
                del by_fd[fd]
                continue
            room = caps[name] - len(caught[name])
            caught[name] += part[: max(0, room)]
            if len(part) > room and name == "out":
                reason = "output"
        if reason:
            break
        done, how, rusage = os.wait4(pid, os.WNOHANG)
        if done:
            status, usage = how, rusage
            # What it wrote before it ended is still in the pipes.
            for fd, name in by_fd.items():
                with contextlib.suppress(BlockingIOError, OSError):
                    while part := os.read(fd, 65536):
                        room = caps[name] - len(caught[name])
                        caught[name] += part[: max(0, room)]
                        if len(part) > room and name == "out":
                            reason = "output"
            break
    while status is None:
        left = deadline - time.monotonic()
        done, how, rusage = os.wait4(pid, os.WNOHANG)
        if done:
            status, usage = how, rusage
        elif reason or left <= 0:
            reason = reason or "wall"
            os.kill(pid, signal.SIGKILL)
            _, status, usage = os.wait4(pid, 0)
        else:
            time.sleep(0.0005)
    if job["may_fork"]:
        end_everybody()
    for fd, _ in ends.values():
        with contextlib.suppress(OSError):
            os.close(fd)
    seconds = time.monotonic() - started
    files, found = [], []
    for name in job["collect"]:
        data = collect(name, limits["file"])
        if data is not None:
            found.append(name)
            files.append(data)
    clean = wipe()
    header = {
        "code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
        "reason": reason,
        "seconds": seconds,
        "cpu": usage.ru_utime + usage.ru_stime,
        "files": found,
        "clean": clean,
    }
    return header, [bytes(caught["out"]), bytes(caught["err"]), bytes(caught["ret"]), *files]


def end_everybody():
    """Every process but the first and this one."""
    with contextlib.suppress(OSError):
        os.kill(-1, signal.SIGKILL)
    with contextlib.suppress(OSError):
        while os.waitpid(-1, 0)[0]:
            pass


def collect(name, cap):
    """A regular file's content, at most ``cap`` bytes; never through a link."""
    try:
        fd = os.open(f"{WORK}/{name}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        parts, left = [], cap
        while left and (part := os.read(fd, min(left, 1 << 20))):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    finally:
        os.close(fd)


def wipe():
    """False when the folder could not be emptied soon: then the caller starts a new sandbox."""
    try:
        with os.scandir(WORK) as entries:
            todo = [entry.path for _, entry in zip(range(MANY_ENTRIES), entries, strict=False)]
        for path in todo:
            try:
                pathlib.Path(path).unlink()
            except IsADirectoryError:
                shutil.rmtree(path)
        pathlib.Path(WORK).chmod(0o700)
        return next(pathlib.Path(WORK).iterdir(), None) is None
    except (OSError, RecursionError):
        return False


def main():
    source, answers = os.dup(0), os.dup(1)
    os.set_inheritable(source, False)
    os.set_inheritable(answers, False)
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    LIBC.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    header, blobs = read_frame(source)
    config = {"clock": header["clock"], "python_filter": blobs[0], "binary_filter": blobs[1]}
    for name in header["preload"]:
        with contextlib.suppress(ImportError):
            __import__(name)
    gc.collect()
    gc.freeze()
    write_frame(answers, {"ready": True})
    while True:
        try:
            job, blobs = read_frame(source)
        except EOFError:
            return
        write_frame(answers, *run_job(job, blobs, config))


if __name__ == "__main__":
    main()

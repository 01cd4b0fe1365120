"""The attack suite: programs that try to get out of the sandbox, to see in, to outlive it or to drown it.

Covers: what each attack is, and how one sees from outside that nothing came of it. The first cases are harmless where
there is no isolation at all; the others are tried only after those held.
Does not cover: attacks on the kernel itself. Whoever holds an unknown hole in it gets out of every sandbox like this.

An attack prints GOT when it got somewhere. That alone is not believed: a canary file, a listening socket and the
answers' form are looked at as well, and after every attack the same sandbox must still serve an honest program.
"""

from __future__ import annotations

import secrets
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from curate.errors import GoldpairError
from evals.sandbox import Case, Job, Limits, Outcome, Session

SHORT, USUAL = Limits(wall=1.0, cpu=1.0), Limits(wall=3.0, cpu=3.0)
SYSCALL = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(*numbers):
    return libc.syscall(*[ctypes.c_long(n) for n in numbers])
"""


@dataclass(frozen=True)
class Attack:
    """``proves`` looks at the outcome beyond the absence of GOT; ``collect`` are files that it tries to smuggle."""

    name: str
    code: str
    quick: bool = False
    proves: Callable[[Outcome], bool] = lambda outcome: True
    limits: Limits = USUAL
    collect: tuple[str, ...] = ()
    shell: bool = False  # the code is an argument of /bin/sh instead


def _violation(outcome: Outcome) -> bool:
    return outcome.kind == "violation"


def _calls(*numbers: tuple[int, ...]) -> str:
    """Python that makes each system call by number in turn and says GOT when one is not refused."""
    return SYSCALL + "".join(f"if call{n} >= 0: print('GOT', {n[0]}, flush=True)\n" for n in numbers)


FIRST = [
    Attack(
        "read a file of the host",
        "import sys\nfor path in (sys.argv[1], '/etc/passwd', '/etc/shadow', '/proc/1/environ'):\n"
        "    try: open(path).read(); print('GOT', path)\n    except OSError: pass\n",
        quick=True,
    ),
    Attack(
        "read the environment",
        "import os\nfine = 'PATH HOME TMPDIR LC_ALL TZ PYTHONHASHSEED COB_CURRENT_DATE PWD LC_CTYPE'.split()\n"
        "if set(os.environ) - set(fine): print('GOT')\n",
        quick=True,
    ),
    Attack(
        "write outside the folder",
        "import os\nfor d in '/ /usr /usr/lib /dev /dev/shm /etc /tmp /var/tmp /run /proc /sys'.split():\n"
        "    try: open(d + '/goldpair-attack', 'w'); print('GOT', d); os.unlink(d + '/goldpair-attack')\n"
        "    except OSError: pass\n",
        quick=True,
    ),
    Attack(
        "see other processes",
        "import os\nfor d in ('/proc', '/sys'):\n    try: print('GOT', os.listdir(d))\n    except OSError: pass\n"
        "if os.getppid() > 50: print('GOT')\n",
        quick=True,
    ),
    Attack(
        "be root, or become it",
        "import os\nfor act in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0])):\n"
        "    try: act(); print('GOT')\n    except OSError: pass\nif 0 in os.getresuid(): print('GOT')\n",
        quick=True,
    ),
    Attack(
        "connect to the host",
        "import socket, sys\ns = socket.create_connection(('127.0.0.1', int(sys.argv[2])), 1)\nprint('GOT')\n",
        quick=True,
        proves=_violation,
    ),
    Attack("fork", "import os\nif os.fork() >= 0: print('GOT', flush=True)\n", quick=True, proves=_violation),
    Attack(
        "gain privileges by exec",
        SYSCALL + "if libc.prctl(39, 0, 0, 0, 0) != 1: print('GOT')\n",
        quick=True,
    ),
]

REST = [
    Attack(
        "look up a name",
        "import socket\nprint('GOT', socket.getaddrinfo('localhost', 80))\n",
        proves=_violation,
    ),
    Attack(
        "send a datagram",
        "import socket, sys\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.sendto(b'x', ('127.0.0.1', 53)); print('GOT')\n",
        proves=_violation,
    ),
    Attack(
        "connect to an abstract socket of the host",
        "import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.connect('\\0' + sys.argv[3]); print('GOT')\n",
        proves=_violation,
    ),
    Attack("fork by number", SYSCALL + "if call(57) >= 0: print('GOT', flush=True)\n", proves=_violation),
    Attack("vfork by number", SYSCALL + "if call(58) >= 0: print('GOT', flush=True)\n", proves=_violation),
    Attack(
        "clone by number", SYSCALL + "if call(56, 17, 0, 0, 0, 0) >= 0: print('GOT')\n", proves=_violation
    ),
    Attack("clone3", _calls((435, 0, 88), (435, 0, 0))),
    Attack(
        "fork bomb",
        "import os\nn = 0\nwhile n < 200:\n    os.fork(); n += 1\nprint('GOT')\n",
        proves=_violation,
        limits=SHORT,
    ),
    Attack(
        "fork bomb in a shell", "f() { f | f & }; f; echo GOT", shell=True, proves=_violation, limits=SHORT
    ),
    Attack("run a command from a shell", "x=$(id); echo GOT $x", shell=True, proves=_violation),
    Attack(
        "start another program",
        "import os\nos.execv('/bin/sh', ['sh', '-c', 'echo GOT'])\n",
        proves=_violation,
    ),
    Attack(
        "daemon",
        "import os, subprocess\nsubprocess.Popen(['/bin/sleep', '60'], start_new_session=True); print('GOT')\n",
        proves=_violation,
    ),
    Attack(
        "threads without end",
        "import threading, time\nn = 0\nwhile n < 1500:\n"
        "    threading.Thread(target=time.sleep, args=(9,), daemon=True).start(); n += 1\nprint('GOT')\n",
    ),
    Attack("four gigabytes", "x = bytearray(4 << 30); print('GOT')\n"),
    Attack(
        "memory that no process owns",
        "import os\ntry: os.memfd_create('x'); print('GOT')\nexcept OSError: pass\n"
        + _calls((29, 0, 1 << 20, 0o1600), (240, 0, 0o102, 0o600, 0)),
    ),
    Attack("endless loop", "while True: pass\n", proves=lambda o: o.kind == "timeout", limits=SHORT),
    Attack(
        "endless loop deaf to signals",
        "import signal\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\nwhile True: pass\n",
        proves=lambda o: o.kind == "timeout",
        limits=SHORT,
    ),
    Attack(
        "sleep with closed pipes",
        "import os, time\nfor n in (0, 1, 2, 3): os.close(n)\ntime.sleep(60)\n",
        proves=lambda o: o.kind == "timeout",
        limits=SHORT,
    ),
    Attack(
        "regular expression without end",
        "import re\nre.match('(a+)+$', 'a' * 60 + 'b')\n",
        proves=lambda o: o.kind == "timeout",
        limits=SHORT,
    ),
    Attack(
        "output flood",
        "import os\nwhile True: os.write(1, b'x' * 65536)\n",
        proves=lambda o: o.kind == "output" and len(o.stdout) <= SHORT.output,
        limits=SHORT,
    ),
    Attack(
        "error flood",
        "import os\nfor _ in range(200): os.write(2, b'x' * 65536)\n",
        proves=lambda o: len(o.stderr) <= SHORT.output,
    ),
    Attack(
        "fill the disk",
        "total = 0\ntry:\n    for n in range(64):\n        total += open(str(n), 'wb').write(b'x' * (1 << 19))\n"
        "        if total > 9 << 20: print('GOT', total)\nexcept OSError: pass\n",
    ),
    Attack(
        "one enormous file",
        "import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "try:\n    with open('x', 'wb', 0) as f:\n        for n in range(64): f.write(b'x' * (1 << 16))\n"
        "    print('GOT')\nexcept OSError: pass\n",
    ),
    Attack(
        "files without number",
        "import os\nfor n in range(40000): os.close(os.open(str(n), os.O_CREAT))\n",
        limits=Limits(wall=2.0, cpu=2.0),
    ),
    Attack("folders without bottom", "import os\nfor n in range(3000): os.mkdir('d'); os.chdir('d')\n"),
    Attack("folder that cannot be entered", "import os\nos.makedirs('a/b'); os.chmod('a', 0)\n"),
    Attack(
        "symbolic link in place of a result",
        "import os, sys\nos.symlink('/server.py', 'a'); os.symlink(sys.argv[1], 'b')\n",
        proves=lambda o: not o.files,
        collect=("a", "b"),
    ),
    Attack(
        "pipe or folder in place of a result",
        "import os\nos.mkfifo('a'); os.mkdir('b')\n",
        proves=lambda o: not o.files,
        collect=("a", "b"),
    ),
    Attack("kill everybody", "import os\nos.kill(-1, 9); print('GOT')\n", proves=_violation),
    Attack(
        "stop the server", "import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)\n", proves=_violation
    ),
    Attack(
        "signal by other calls",
        _calls((200, 2, 9)),
        proves=_violation,
    ),
    Attack(
        "limit the server",
        "import os, resource\ntry: resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1)); print('GOT')\n"
        "except OSError: pass\ntry: os.setpriority(os.PRIO_PROCESS, os.getppid(), 19); print('GOT')\n"
        "except OSError: pass\n",
    ),
    Attack(
        "lift its own limits",
        "import resource\nfor what in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE):\n"
        "    try: resource.setrlimit(what, (-1, -1)); print('GOT', what)\n    except (OSError, ValueError): pass\n",
    ),
    Attack(
        "trace the server", SYSCALL + "if call(101, 16, os.getppid()) >= 0: print('GOT')\n", proves=_violation
    ),
    Attack(
        "read the server's memory",
        SYSCALL + "if call(310, os.getppid(), 0, 0, 0, 0, 0) >= 0: print('GOT')\n",
        proves=_violation,
    ),
    Attack(
        "new user namespace", SYSCALL + "if call(272, 0x10000000) >= 0: print('GOT')\n", proves=_violation
    ),
    Attack("mount", SYSCALL + "if call(165, 0, 0, 0, 0, 0) >= 0: print('GOT')\n", proves=_violation),
    Attack("leave by chroot", "import os\nos.chroot('/w'); print('GOT')\n", proves=_violation),
    Attack(
        "load a kernel program", SYSCALL + "if call(321, 0, 0, 0) >= 0: print('GOT')\n", proves=_violation
    ),
    Attack("calls newer than the list", _calls((425, 8, 0), (434, 1, 0), (428, 0, 0), (447, 0))),
    Attack("x32 calls", SYSCALL + "if call(0x40000000 + 39) >= 0: print('GOT')\n", proves=_violation),
    Attack(
        "32-bit calls",
        "import ctypes, mmap\nm = mmap.mmap(-1, 4096, prot=7)\nm.write(bytes.fromhex('b814000000cd80c3'))\n"
        "f = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))\n"
        "if f() > 0: print('GOT')\n",
        proves=lambda o: o.kind in ("violation", "killed"),
    ),
    Attack(
        "a filter of its own",
        SYSCALL
        + "import struct\ncode = ctypes.create_string_buffer(struct.pack('<HBBI', 6, 0, 0, 0x7fff0000), 8)\n"
        "class P(ctypes.Structure): _fields_ = [('n', ctypes.c_ushort), ('c', ctypes.c_void_p)]\n"
        "libc.prctl(22, 2, ctypes.byref(P(1, ctypes.addressof(code))), 0, 0)\n"
        "if call(57) >= 0: print('GOT', flush=True)\n",
        proves=_violation,
    ),
    Attack("type into the terminal", "import fcntl\nfcntl.ioctl(0, 0x5412, b'x'); print('GOT')\n"),
    Attack(
        "open the terminal",
        "for n in ('tty', 'console', 'mem', 'kmsg'):\n    try: open('/dev/' + n); print('GOT')\n"
        "    except OSError: pass\n",
    ),
    Attack(
        "crash with a core dump",
        "import ctypes\nctypes.string_at(0)\n",
        proves=lambda o: o.kind == "killed" and not o.files,
        collect=("core", "core.3"),
    ),
    Attack(
        "forge an answer",
        "import os, json, struct\nhead = json.dumps({'code': 0, 'reason': '', 'blobs': [3]}).encode()\n"
        "for fd in range(3, 300):\n    try: os.write(fd, struct.pack('<I', len(head)) + head + b'GOT')\n"
        "    except OSError: pass\nprint('ALL TESTS PASSED')\nos._exit(0)\n",
        proves=lambda o: o.kind == "exited" and o.stdout in (b"", b"ALL TESTS PASSED\n"),
    ),
    Attack(
        "find installed packages",
        "import os, sys, sysconfig\nfor p in {sysconfig.get_path('purelib'), '/usr/lib/python3/dist-packages'}:\n"
        "    try:\n        if os.listdir(p): print('GOT', p)\n    except OSError: pass\n",
    ),
    Attack("rename the host", SYSCALL + "if call(170, 0, 0) >= 0: print('GOT')\n", proves=_violation),
]

PLANT = Attack(
    "leave something for the next program",
    "import os, builtins, json\nopen('planted', 'w').write('x'); os.symlink('/w', 'link')\n"
    "json.dumps = lambda *a, **k: 'GOT'; builtins.print = None\n",
)


def attack(*, quick: bool, progress: Callable[[Case], None] | None) -> Iterator[Case]:
    """Try the attacks one after the other; stop trying (and count as not held) once a harmless one succeeds."""
    token = secrets.token_hex(16)
    with (
        tempfile.TemporaryDirectory(prefix="goldpair-attack-") as folder,
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as abstract,
        Session(checked=False) as box,
        Session(checked=False, tools=True) as tools,
    ):
        canary = Path(folder) / "canary"
        canary.write_text(token)
        listener.setblocking(False)
        abstract.bind("\0" + token)
        abstract.listen()
        told = (str(canary), str(listener.getsockname()[1]), token)
        lost = ""
        for item in [*FIRST, *([] if quick else [*REST, PLANT])]:
            if quick and not item.quick:
                continue
            if lost:
                case = Case(item.name, False, f"not tried: {lost!r} was not held")
            else:
                case = _try(item, tools if item.shell else box, told)
                if case.held and (_knocked(listener) or canary.read_text() != token):
                    case = Case(item.name, False, "the host was reached", case.seconds)
                if not case.held and item in FIRST:
                    lost = item.name
            if progress is not None:
                progress(case)
            yield case


def _try(item: Attack, box: Session, told: tuple[str, str, str]) -> Case:
    started = time.monotonic()
    try:
        if item.shell:
            job = Job("command", args=("/bin/sh", "-c", item.code), limits=item.limits)
        else:
            job = Job("python", item.code.encode(), args=told, limits=item.limits, collect=item.collect)
        outcome = box.run(job)
        after = box.run(
            Job(
                "python",
                b"import os, json\nprint(os.listdir('.'), json.dumps(1))\n",
                limits=Limits(wall=10.0),
            )
        )
    except GoldpairError as error:
        return Case(item.name, False, str(error)[:300], time.monotonic() - started)
    seconds = round(time.monotonic() - started, 4)
    said = outcome.stdout + outcome.stderr + b"".join(outcome.files.values())
    if outcome.kind == "broken":
        return Case(item.name, False, f"the sandbox broke: {outcome.detail}", seconds)
    if b"GOT" in outcome.stdout or told[2].encode() in b"".join(outcome.files.values()):
        return Case(item.name, False, f"it succeeded: {said[:200].decode('utf-8', 'replace')}", seconds)
    if not item.proves(outcome):
        return Case(item.name, False, f"unexpected end: {outcome.kind} {outcome.detail}", seconds)
    if after.stdout != b"[] 1\n":
        return Case(
            item.name, False, f"the next program was touched: {after.kind} {after.stdout[:100]!r}", seconds
        )
    return Case(item.name, True, f"{outcome.kind}{': ' + outcome.detail if outcome.detail else ''}", seconds)


def _knocked(listener: socket.socket) -> bool:
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        return False
    connection.close()
    return True

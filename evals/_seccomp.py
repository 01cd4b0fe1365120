"""Two system call filters for the sandbox, written as classic BPF by hand.

Covers: the *outer* filter that bubblewrap loads for everything inside, and the *program* filter that each untrusted
program gets on top of it after the fork (no fork, no exec, no signal to anybody but itself). x86-64 only.
Does not cover: namespaces, mounts and resource limits (`evals.sandbox`), other machines (they are refused).

A library would be a compiled dependency for sixty lines; the kernel's interface is three fixed structures
(seccomp(2), linux/filter.h).
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable

MACHINES = ("x86_64",)
AUDIT_ARCH_X86_64 = 0xC000003E
X32_BIT = 0x40000000
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCH = 0, 4  # offsets in struct seccomp_data; argument n stands at 16 + 8 n, its low half first
ALLOW, KILL, ERROR = 0x7FFF0000, 0x80000000, 0x00050000
CLONE_THREAD, CLONE_NEW = 0x10000, 0x7E020080  # any of the namespace flags, time included
OWN_PID = 0x5049445F  # a mark that the program replaces with its own process id before it loads the filter

NAMESPACES = {
    "ptrace": 101, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308,
    "bpf": 321, "perf_event_open": 298, "keyctl": 250, "add_key": 248, "request_key": 249, "userfaultfd": 323,
    "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "init_module": 175, "finit_module": 313,
    "delete_module": 176, "kexec_load": 246, "kexec_file_load": 320, "reboot": 169, "swapon": 167, "swapoff": 168,
    "acct": 163, "settimeofday": 164, "clock_settime": 227, "adjtimex": 159, "clock_adjtime": 305, "iopl": 172,
    "ioperm": 173, "syslog": 103, "sethostname": 170, "setdomainname": 171, "quotactl": 179, "vhangup": 153,
    "name_to_handle_at": 303, "open_by_handle_at": 304, "lookup_dcookie": 212, "move_pages": 279,
    "migrate_pages": 256, "fanotify_init": 300, "modify_ldt": 154, "personality": 135, "io_setup": 206,
}  # fmt: skip
NETWORK = {"socket": 41, "connect": 42, "accept": 43, "bind": 49, "listen": 50}
SOCKETPAIR = 53
FORKS = {"fork": 57, "vfork": 58}
CLONE, CLONE3, IOCTL = 56, 435, 16
EXECS = {"execve": 59, "execveat": 322}
# Memory that belongs to no process, and so to no process' limit.
UNCOUNTED = {
    "shmget": 29, "shmat": 30, "semget": 64, "msgget": 68, "mq_open": 240, "memfd_create": 319, "inotify_init1": 294,
}  # fmt: skip
IDENTITY = {
    "setuid": 105, "setgid": 106, "setreuid": 113, "setregid": 114, "setgroups": 116, "setresuid": 117,
    "setresgid": 119, "setfsuid": 122, "setfsgid": 123, "capset": 126,
}  # fmt: skip
SCHEDULING = {
    "setpriority": 141, "sched_setparam": 142, "sched_setscheduler": 144, "sched_setaffinity": 203, "ioprio_set": 251,
    "sched_setattr": 314,
}  # fmt: skip
SIGNALS = {"kill": 62, "tgkill": 234}
OTHER_SIGNALS = {"tkill": 200, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297}
PRLIMIT = 302
TERMINAL = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX: typing into somebody's terminal
# What came after this number is refused (ENOSYS, so that libc falls back), but for a few plain calls.
FIRST_NEW = 424
NEW_AND_PLAIN = (436, 437, 439, 441, 449)  # close_range, openat2, faccessat2, epoll_pwait2, futex_waitv


def _op(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("<HBBI", code, yes, no, value & 0xFFFFFFFF)


def _on(numbers: Iterable[int], verdict: int) -> list[bytes]:
    return [part for n in numbers for part in (_op(EQUAL, n, 0, 1), _op(RETURN, verdict))]


def _errno(code: int) -> int:
    return ERROR | code


def _start() -> list[bytes]:
    return [
        _op(LOAD, ARCH),
        _op(EQUAL, AUDIT_ARCH_X86_64, 1, 0),
        _op(RETURN, KILL),
        _op(LOAD, NUMBER),
        _op(AT_LEAST, X32_BIT, 0, 1),  # the x32 calls have numbers of their own: around every list
        _op(RETURN, KILL),
    ]


def _argument(number: int, index: int, test: list[bytes]) -> list[bytes]:
    """``test`` looks at the low half of one argument of one call; afterwards the call's number is loaded again."""
    body = [_op(LOAD, 16 + 8 * index), *test, _op(LOAD, NUMBER)]
    return [_op(EQUAL, number, 0, len(body)), *body]


def _new_calls() -> list[bytes]:
    skip = 2 * len(NEW_AND_PLAIN) + 1
    return [
        _op(AT_LEAST, FIRST_NEW, 0, skip),
        *_on(NEW_AND_PLAIN, ALLOW),
        _op(RETURN, _errno(errno.ENOSYS)),
    ]


def outer_filter() -> bytes:
    """For everything inside, our own server and the compiler included: refused calls fail with EPERM."""
    refuse = _errno(errno.EPERM)
    parts = _start()
    parts += _on((*NAMESPACES.values(), *NETWORK.values(), SOCKETPAIR, *IDENTITY.values()), refuse)
    parts += _argument(CLONE, 0, [_op(ANY_BIT, CLONE_NEW, 0, 1), _op(RETURN, refuse)])
    parts += _argument(IOCTL, 1, _on(TERMINAL, refuse))
    parts += _new_calls()
    return b"".join([*parts, _op(RETURN, ALLOW)])


def program_filter(*, may_exec: bool) -> bytes:
    """For one untrusted program: what no honest program does ends it with SIGSYS, so that it can be told.

    ``may_exec`` is for a compiled program, which begins with its exec. It cannot be counted down to one by a filter,
    so such a program can become another one, under the same filter; there is none worth becoming.
    """
    parts = _start()
    parts += _on((*NAMESPACES.values(), *NETWORK.values(), *FORKS.values()), KILL)
    parts += _argument(CLONE, 0, [_op(ANY_BIT, CLONE_THREAD, 1, 0), _op(RETURN, KILL)])
    if not may_exec:
        parts += _on(EXECS.values(), KILL)
    for number in SIGNALS.values():  # abort() and raise() are signals to oneself
        parts += _argument(number, 0, [_op(EQUAL, OWN_PID, 1, 0), _op(RETURN, KILL)])
    parts += _on(OTHER_SIGNALS.values(), KILL)
    parts += _argument(
        PRLIMIT, 0, [_op(EQUAL, 0, 2, 0), _op(EQUAL, OWN_PID, 1, 0), _op(RETURN, _errno(errno.EPERM))]
    )
    parts += _on((*UNCOUNTED.values(), *SCHEDULING.values()), _errno(errno.EPERM))
    parts += _new_calls()
    return b"".join([*parts, _op(RETURN, ALLOW)])

"""Is a Python translation of a COBOL program good Python, or COBOL in Python's letters?

Covers: ruff findings, McCabe complexity, globals that mirror WORKING-STORAGE, names, Decimal where the source has
implied decimals, how literally data names and paragraphs are carried over, run time where the caller measured it. The
code is read, never run. Does not cover: whether it does the same (`code_equivalence`): use it beside that, never
instead. See the card (README.md) for who has validated it.
"""

import ast
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import datasets
import evaluate

from .cobol import read

LIBRARIES = ("ruff",)
WEIGHTS = {
    "lint": 0.2,
    "complexity": 0.15,
    "globals": 0.2,
    "naming": 0.15,
    "decimal": 0.15,
    "literalness": 0.15,
}
COUNTERS = (
    "syntax_error",
    "lint",
    "complex_function",
    "mirrored_global",
    "poor_name",
    "float_for_decimal",
    "literal_paragraph",
)
RULES = "E4,E7,E9,F,W6,B,C4,SIM,UP,N,RET,PERF,PIE,PLR,PLW,A,FURB,TRY"
IGNORED = (
    "PLR2004,TRY003,SIM905,PLR0913,PLW0603"  # style beyond idiom; globals are judged by their own number
)
MOST = 10  # McCabe's limit for one function


class Pythonic(evaluate.Metric):
    """`compute(predictions, sources, seconds=None, reference_seconds=None)`; score between 0 and 1.

    ``predictions``: Python texts, with or without a code fence; ``sources``: the COBOL texts. ``seconds`` and
    ``reference_seconds``: lists of run times that the caller measured, or None; they are reported as ``speed``
    (reference / own, at most 1) and are no part of the score.
    """

    def _info(self):
        return evaluate.MetricInfo(
            description="Style of a Python translation of a COBOL program.",
            citation="",
            inputs_description="\npredictions: Python texts; sources: COBOL texts.",
            features=datasets.Features(
                {"predictions": datasets.Value("string"), "sources": datasets.Value("string")}
            ),
        )

    def _compute(self, predictions, sources, seconds=None, reference_seconds=None):
        codes = [_code(prediction or "") for prediction in predictions]
        findings = _ruff([code for code, _ in codes])
        items = [
            _judge(prediction or "", code, offset, source or "", found)
            for prediction, (code, offset), source, found in zip(
                predictions, codes, sources, findings, strict=True
            )
        ]
        for number, item in enumerate(items):
            own, other = (values[number] if values else None for values in (seconds, reference_seconds))
            item["subscores"]["speed"] = min(1.0, other / own) if own and other else None
        result = {"score": _mean([item["score"] for item in items])}
        for name in (*WEIGHTS, "speed"):
            known = [item["subscores"][name] for item in items if item["subscores"][name] is not None]
            if known:
                result[name] = _mean(known)
        for name in COUNTERS:
            result[name] = sum(hit["kind"] == name for item in items for hit in item["evidence"])
        return result | {
            "scores": [item["score"] for item in items],
            "subscores": [item["subscores"] for item in items],
            "evidence": [item["evidence"] for item in items],
        }


def _code(text):
    """``(code, its offset)``: the longest fenced block, else the whole text."""
    blocks = list(re.finditer(r"^[ \t]*```[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", text, re.DOTALL | re.MULTILINE))
    if not blocks:
        return text, 0
    longest = max(blocks, key=lambda block: len(block[1]))
    return longest[1], longest.start(1)


def _ruff(codes):
    """Findings of every code: lists of ``(rule, message, row, column)``; one process for all."""
    with tempfile.TemporaryDirectory(prefix="goldpair-pythonic-") as folder:
        for number, code in enumerate(codes):
            Path(folder, f"m{number}.py").write_bytes(code.encode("utf-8", "replace"))
        command = [
            sys.executable,
            "-m",
            "ruff",
            "check",
            "--isolated",
            "--no-cache",
            "--ignore-noqa",
            "--quiet",
        ]
        command += [
            "--target-version",
            "py311",
            "--select",
            RULES,
            "--ignore",
            IGNORED,
            "--output-format",
            "json",
            folder,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode not in (0, 1) or not done.stdout.strip():
        raise RuntimeError(
            f"ruff did not answer (exit {done.returncode}): {done.stderr[:200]}. Is it installed?"
        )
    found: list[list[tuple[str, str, int, int]]] = [[] for _ in codes]
    for item in json.loads(done.stdout):
        number = int(Path(item["filename"]).stem[1:])
        place = item["location"] or {"row": 1, "column": 1}
        found[number].append((item["code"] or "syntax", item["message"], place["row"], place["column"]))
    return [sorted(set(items), key=lambda item: (item[2], item[3], item[0])) for items in found]


def _judge(text, code, offset, source, findings):
    starts = [0]
    for line in code.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def hit(kind, row, column, support, length=0):
        begin = offset + min(len(code), starts[min(row, len(starts)) - 1] + max(0, column - 1))
        stop = text.find("\n", begin) if not length else begin + length
        stop = len(text) if stop < 0 else min(stop, len(text))
        return {
            "kind": kind,
            "span": text[begin:stop],
            "start": begin,
            "end": stop,
            "support": support,
            "critical": False,
        }

    subscores: dict[str, float | None] = dict.fromkeys(WEIGHTS)
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        row = getattr(error, "lineno", None) or 1
        why = f"{type(error).__name__}: {getattr(error, 'msg', error)}"
        return {"score": 0.0, "subscores": subscores, "evidence": [hit("syntax_error", row, 1, why)]}
    if not tree.body:
        return {"score": 0.0, "subscores": subscores, "evidence": [hit("syntax_error", 1, 1, "no code")]}
    program = read(source)
    evidence = [hit("lint", row, column, f"{rule}: {message}") for rule, message, row, column in findings]
    lines = sum(bool(line.strip()) and not line.strip().startswith("#") for line in code.splitlines())
    subscores["lint"] = max(0.0, 1.0 - len(findings) / max(1, lines) * 5)
    for check in (_complexity, _globals, _naming, _decimal, _literalness):
        name, value, found = check(tree, program)
        subscores[name] = value
        evidence += [
            hit(kind, node.lineno, node.col_offset + 1, why, length) for kind, node, why, length in found
        ]
    known = {name: weight for name, weight in WEIGHTS.items() if subscores[name] is not None}
    score = sum(float(subscores[name] or 0.0) * weight for name, weight in known.items()) / sum(
        known.values()
    )
    evidence.sort(key=lambda item: (item["start"], item["kind"]))
    return {"score": score, "subscores": subscores, "evidence": evidence}


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _complexity(tree, program):
    """1 where no function passes 10 decisions, else 10 / the worst. Decisions + 1, after McCabe 1976."""
    worst, evidence = 1, []
    for scope in [tree, *(node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS))]:
        count = 1 + sum(_decisions(node) for node in _own(scope))
        worst = max(worst, count)
        if count > MOST:
            where = scope if isinstance(scope, _FUNCTIONS) else tree.body[0]
            evidence.append(("complex_function", where, f"complexity {count}, at most {MOST}", 0))
    return "complexity", min(1.0, MOST / worst), evidence


def _own(scope):
    """Nodes of a function or module without those of the functions inside it."""
    todo = list(ast.iter_child_nodes(scope))
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, _FUNCTIONS):
            todo += ast.iter_child_nodes(node)


def _decisions(node):
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    if isinstance(node, ast.comprehension):
        return 1 + len(node.ifs)
    if isinstance(node, ast.match_case):
        return int(not (isinstance(node.pattern, ast.MatchAs) and node.pattern.pattern is None))
    return int(
        isinstance(node, (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.IfExp, ast.Assert))
    )


def _globals(tree, program):
    """1 minus the share of the source's data names that are module variables here; ``global`` names count as well."""
    if not program.data:
        return "globals", None, []
    evidence: list[tuple[str, ast.AST, str, int]] = []
    mirrored: set[str] = set()
    data = {_bare(name) for name in program.data}
    stored = [n for n in _own(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    for node in stored:
        if _bare(node.id) in data and node.id not in mirrored and not _inside_class(tree, node):
            mirrored.add(node.id)
            why = "a module variable for a field of WORKING-STORAGE"
            evidence.append(("mirrored_global", node, why, len(node.id)))
    shared = [node for node in ast.walk(tree) if isinstance(node, ast.Global)]
    for names in shared:
        evidence.append(("mirrored_global", names, f"state shared by `global`: {', '.join(names.names)}", 0))
    count = sum(len(names.names) for names in shared)
    return "globals", max(0.0, 1.0 - (len(mirrored) + count) / len(program.data)), evidence


def _inside_class(tree, node):
    return any(
        isinstance(top, ast.ClassDef) and top.lineno <= node.lineno <= (top.end_lineno or top.lineno)
        for top in tree.body
    )


def _bare(name):
    """Without the prefixes that COBOL shops give fields."""
    return re.sub(r"^(?:ws|wk|ls|lk|fd|w|in|out)_", "", name.casefold())


_PREFIX = re.compile(
    r"^(?:ws|wk|ls|lk|fd)_|^(?:p|para|paragraph|sec|section)_?\d+|_\d{3,}(?:_|$)|_(?:para|section|exit|rtn)$"
)


def _naming(tree, program):
    """Share of names that are PEP 8 and carry no COBOL prefix; single letters count as poor outside comprehensions."""
    good, evidence, seen = 0, [], set()
    for node, name, kind in _names(tree):
        if (name, kind) in seen or name.startswith("__"):
            continue
        seen.add((name, kind))
        why = _fault(name, kind)
        if why:
            evidence.append(("poor_name", node, why, 0))
        else:
            good += 1
    return "naming", good / len(seen) if seen else None, evidence


def _names(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node, node.name, "class"
        elif isinstance(node, _FUNCTIONS):
            yield node, node.name, "function"
            for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
                yield argument, argument.arg, "variable"
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node, node.id, "variable"


def _fault(name, kind):
    if _PREFIX.search(name.casefold()):
        return f"{name!r} keeps a COBOL prefix or number"
    if kind == "class":
        return "" if re.fullmatch(r"_?[A-Z][A-Za-z0-9]*", name) else f"{name!r} is no CapWords"
    if len(name) == 1 and name not in "_ijknxy":
        return f"{name!r} says nothing"
    snake = re.fullmatch(r"_{0,2}[a-z][a-z0-9_]*_?|_", name)
    constant = kind == "variable" and re.fullmatch(r"_?[A-Z][A-Z0-9_]*", name)
    return "" if snake or constant else f"{name!r} is no snake_case"


def _decimal(tree, program):
    """Where the source has implied decimals: 1 for Decimal alone or whole cents, .5 with floats beside, else 0."""
    if not program.decimals:
        return "decimal", None, []
    uses = any(
        (isinstance(node, ast.Name) and node.id == "Decimal")
        or (isinstance(node, ast.Attribute) and node.attr == "Decimal")
        for node in ast.walk(tree)
    )
    floats = [
        node
        for node in ast.walk(tree)
        if (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.Name) and node.id == "float" and isinstance(node.ctx, ast.Load))
    ]
    cents = bool(re.search(r"cents|paise|pence|_minor|hundredths|tenths", ast.unparse(tree)))
    evidence = [
        ("float_for_decimal", node, "the source has fields with V: binary floats round otherwise", 0)
        for node in floats
    ]
    if uses:
        return "decimal", 0.5 if floats else 1.0, evidence
    return "decimal", 1.0 if cents and not floats else 0.0, evidence


def _literalness(tree, program):
    """1 minus the mean of two shares: data names that are variables here, paragraphs that are functions without

    arguments and results. The second counts only where the source has paragraphs.
    """
    variables = {name.casefold() for _, name, kind in _names(tree) if kind == "variable"}
    shares = [len(variables & program.data) / len(program.data)] if program.data else []
    evidence = []
    if program.paragraphs:
        count = 0
        for node in ast.walk(tree):
            if isinstance(node, _FUNCTIONS) and _numberless(node.name) in {
                _numberless(p) for p in program.paragraphs
            }:
                returns = any(
                    isinstance(inner, ast.Return) and inner.value is not None for inner in ast.walk(node)
                )
                if not node.args.args and not returns:
                    count += 1
                    evidence.append(
                        (
                            "literal_paragraph",
                            node,
                            "a paragraph as a function without arguments or result",
                            0,
                        )
                    )
        shares.append(min(1.0, count / len(program.paragraphs)))
    return "literalness", 1.0 - _mean(shares) if shares else None, evidence


def _numberless(name):
    return re.sub(r"^(?:p|para)?_?\d+_|_para$|_section$", "", name.casefold())


def _mean(values):
    values = list(values)
    return sum(values) / len(values) if values else 0.0

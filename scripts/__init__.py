"""Set-up and documentation scripts of a checkout; no part of the wheel.

Here live the shell scripts that ``make`` calls and the generator of docs/cli.md and docs/benchmarks.md. What
the product does lives in `curate`, `train` and `evals`. Nothing here is a public name.
"""

"""COBOL for the `code_equivalence` scorer: reading a program, making inputs, compiling, running, comparing.

Lives here: `source` (what a program reads and writes), `inputs` (cases aimed at boundaries), `build` (GnuCOBOL in the
sandbox, cached), `mutants` (wrong versions of a program), `judge` (both sides run, compared, shrunk), `traps` (our
own programs, one a trap). Does not live here: anything that runs code outside `evals.sandbox`.
"""

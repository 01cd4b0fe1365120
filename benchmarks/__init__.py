"""Side-by-side measurements against the best peers. One module an area, each with ``run(quick) -> list[row]``.

What a row holds is in ``__main__``. Not here: tests. A goal that is not met is a row of the table, never a failure.
"""

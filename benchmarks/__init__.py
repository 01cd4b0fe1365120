"""Side-by-side measurements against the best peers. One module an area, each with ``run(quick) -> list[row]``."""

"""The loss curve while a model learns: what the job's process writes, what terminal and page read.

Does not cover: the training loop that tells it (`test_train_run.py`), the Jobs page (`test_pages.py`).
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from curate import steps
from curate.views import insight

RATES = {"tokens_per_s": 1234.4, "eta_s": 3.0}


def test_steps_are_told_kept_and_told_again_after_an_interruption(tmp_path) -> None:
    told: list[dict] = []
    follow = steps.follow(tmp_path, told.append)
    for number in range(1, 5):
        more = {"eval_loss": 2.5, "eval_score": 0.25} if number > 2 else {}
        follow({"step": number, "steps": 8, "loss": 5.0 - number, **more, **RATES})
    assert told[0] == {"done": 1, "total": 8, "message": "loss 4.000 ▁, 1234 tok/s"}
    assert told[-1]["message"] == "loss 1.000 █▆▃▁, validation 2.50, score 0.25, 1234 tok/s"
    assert len(told[-1]["message"]) <= 60, "the terminal shows no more of it"
    with (tmp_path / steps.FILE).open("a") as sink:
        sink.write('\n{"step": 5, "lo')  # killed while it wrote
    assert [row["step"] for row in steps.read(tmp_path)] == [1, 2, 3, 4]
    again = steps.follow(tmp_path, told.append)  # from the checkpoint of step 2
    again({"step": 3, "steps": 8, "loss": 9.0, **RATES})
    rows = steps.read(tmp_path)
    assert [(row["step"], row["loss"]) for row in rows] == [(1, 4.0), (2, 3.0), (3, 9.0), (4, 1.0)]
    assert steps.read(tmp_path / "no job") == []


@given(st.lists(st.floats(0, 100), max_size=60), st.integers(1, 12))
def test_a_curve_of_blocks_goes_from_the_lowest_to_the_highest(values: list[float], width: int) -> None:
    drawn = steps.sparkline(values, width)
    assert len(drawn) == min(width, len(values)) and set(drawn) <= set(steps.BLOCKS)
    if len(set(drawn)) > 1:
        assert {min(drawn), max(drawn)} == {steps.BLOCKS[0], steps.BLOCKS[-1]}


def test_the_drawn_curve_holds_every_step_and_every_look() -> None:
    rows = [
        {"step": n, "loss": 5.0 - n} | ({"eval_loss": 4.0 - n // 2} if n > 1 else {}) for n in range(1, 6)
    ]
    drawn = insight.losses(rows, "dark").to_dict()
    (values,) = [data["values"] for data in (drawn["data"],)]
    assert [v["step"] for v in values if v["of"] == "training"] == [1, 2, 3, 4, 5]
    assert [(v["step"], v["loss"]) for v in values if v["of"] == "validation"] == [(2, 3.0), (4, 2.0)]
    assert "From 4.000 at step 1 to 0.000 at step 5" in drawn["description"]

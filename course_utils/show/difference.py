"""What a difference to a published score is worth, with knobs."""

from __future__ import annotations

import ipywidgets as ipw

from course_utils.comparison import verdict
from course_utils.show.tables import Page, Table
from course_utils.show.widgets import WIDE, Playground, playground
from course_utils.tasks.metrics import interval

DEV_SETS = {"COPA": 100, "WSC": 104, "RTE": 277, "WiC": 638, "BoolQ": 3270}
"""Examples in the dev sets of the homework's tasks."""


def difference_playground(task: str = "RTE", published: float = 86.6, ours: float = 88.1):
    """Choose a dev set and two accuracies; see whether the difference means anything.

    Args:
        task: one of DEV_SETS.
        published, ours: accuracies in per cent.
    """

    def answer(task: str, published: float, ours: float) -> Page:
        n = DEV_SETS[task]
        correct = round(ours / 100 * n)
        said, p_value = verdict([100 * correct / n], published, "accuracy", n)
        low, high = interval(correct / n, n)
        table = Table(
            [
                {
                    "dev set": f"{task}, {n:,} examples",
                    "one example": f"{100 / n:.2f} points",
                    "right": f"{correct:,}",
                    "95 % interval": f"{100 * low:.1f} to {100 * high:.1f}",
                    "p": f"{p_value:.2g}",
                    "verdict": said,
                }
            ],
            caption=f"{ours:.1f} against a published {published:.1f}",
        )
        more = abs(correct - published / 100 * n)
        words = (
            f"{more:.0f} examples more or less than the published accuracy would give. If that "
            f"were your true accuracy, {100 * p_value:.1f} of 100 dev sets would be as far off."
        )
        return Page(f"{table.html}<p style='font-size:1.1em'>{words}</p>", f"{table}\n{words}")

    def slider(value: float) -> ipw.FloatSlider:
        return ipw.FloatSlider(value=value, min=50, max=99.5, step=0.1, **WIDE)

    made: Playground = playground(
        answer,
        task=ipw.Dropdown(options=list(DEV_SETS), value=task, **WIDE),
        published=slider(published),
        ours=slider(ours),
    )
    return made

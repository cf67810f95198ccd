"""Hidden checks of HW-Adapter: what docstrings promise, on values, sizes and PLMs drawn anew.

The judge has its own version of each method, hung into the same small PLM by hooks. Which
parameters train is not asked but seen: the student's model takes a step of training, and what has
moved, and where to, is compared with the judge's model after the same step.

modules, pairs          a module, or a whole PLM, beside the judge's
bottleneck, biases      exercises 1 and 2
lora, hunt, adamix      exercises 3, 4 and 6
"""

from __future__ import annotations

from autograder.checks.hw_adapter import adamix, biases, bottleneck, hunt, lora
from autograder.judging.judge import Checks

check = Checks()
for part in (bottleneck, biases, lora, hunt, adamix):
    check.all += part.check.all

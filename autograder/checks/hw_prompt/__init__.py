"""Hidden checks of HW-Prompt: what docstrings promise, on values drawn anew.

words, soft             exercises 1 and 2
prefix, prefixed        exercise 3: the module; the frozen model that reads it
frozen                  how what a frozen model says is compared
"""

from __future__ import annotations

from autograder.checks.hw_prompt import prefix, prefixed, soft, words
from autograder.judging.judge import Checks

check = Checks()
for part in (words, soft, prefix, prefixed):
    check.all += part.check.all

"""Hidden checks of HW-Prompt: what docstrings promise, on values drawn anew.

words, soft, prefix     exercises 1, 2 and 3
"""

from __future__ import annotations

from autograder.checks.hw_prompt import prefix, soft, words
from autograder.judging.judge import Checks

check = Checks()
for part in (words, soft, prefix):
    check.all += part.check.all

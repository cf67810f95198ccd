"""The commands of `course`, one module per panel of `course --help`, in its order.

    start       doctor, demo, lab
    models      task, run
    claims      claims
    homework    release, sample-class, grade, feedback, export
    change      pocket, publish

A command imports what it needs in its own body, so that `course --help` answers at once.
"""

from __future__ import annotations

"""Self-checks of the notebooks' exercises, one module per notebook.

A check takes what the student wrote, tries it, and returns a verdict to show: right, not yet (with
what was expected), or not written yet. It never raises, so a notebook with open exercises still
runs from top to bottom. These checks are for learning; graded homework has its own.
"""

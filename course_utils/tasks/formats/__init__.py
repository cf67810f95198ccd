"""Files as people have them, read into rows: one module per family of formats.

    tsv         GLUE's tab-separated files
    jsonl       SuperGLUE's JSON lines
    columns     CoNLL columns with entities (NER)
    frames      sentences with predicates and their arguments (SRL), in four formats
    tables      E2E's csv and WebNLG's xml

A reader takes a path and gives rows as plain dicts. What is wrong with a file is a `CourseError`
with file, line and what was expected, before anything is made of the rows. None of them guesses:
a column that is not there is an error, not an empty string.
"""

"""Release a homework, grade a class, write feedback and reports.

The modules, in the order in which a homework passes through them:

    paired         the instructor's version: a text, and the notebook built from it
    course_folder  the working folder of one course, laid out as nbgrader wants it
    release        the students' version, checked for leaks
    intake         what a student handed in, repaired where that is certain
    execution      one submission run by nbgrader, in a process that can be killed
    grade          a class, one submission after the other or several at once
    results        the outcome of one submission: a status, checks, a reason
    feedback       a page for each student
    report         the gradebook as a table, grades.csv, a page about the class

Nothing is imported here, so that the command line starts at once.
"""

from __future__ import annotations

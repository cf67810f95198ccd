"""Release a homework, grade a class in a sandbox, write feedback and reports.

The modules, in the order in which a homework passes through them:

    paired         the instructor's version: a text, and the notebook built from it
    course_folder  the working folder of one course, laid out as nbgrader wants it
    release        the students' version, checked for leaks
    homework       what is the same for everybody: instructor's cells, checks, policy
    collect        what an LMS gives, sorted by student
    intake         what a student handed in, repaired where that is certain
    sandbox        where a student's code runs
    judging        the worker in it, and the judge outside who asks it
    checks         the hidden checks of each homework
    evidence, runs results of training, recomputed from what was handed in
    verdict        one submission, judged
    bench, cluster who judges: threads here, or the workers of a cluster
    clerk          who writes: result files, and nbgrader's gradebook
    grade          one submission, or a class
    preprocessors  the same within nbgrader's own commands
    results        the outcome of one submission: a status, checks, a reason
    feedback       a page for each student
    report, export the gradebook as a table, a page about the class, files for an LMS

Nothing is imported here, so that the command line starts at once.
"""

from __future__ import annotations

"""Steps 5 and 6: a homework is released, a class is graded."""

from __future__ import annotations

from course_utils.demo.stage import Demo

HOMEWORK = "hw_prompt"


def release_homework(demo: Demo) -> None:
    """The students' version: no solution left in it, and it runs."""
    from autograder.release import release

    course = demo.output / "course"
    with demo.progress(1) as part:
        part(f"building {HOMEWORK}, and running it once as a student would find it")
        notebook = release(HOMEWORK, course, run=not demo.quick)
    demo.say("  No line of a solution or hidden test is in it; unwritten, it raises nothing worse")
    demo.say("  than NotImplementedError.")
    demo.made.append(("homework, as released", notebook))


def grade_class(demo: Demo) -> None:
    """An invented class hands in; gradebook, feedback pages, grades.csv."""
    from autograder.feedback import feedback
    from autograder.grade import grade_class as grade_all
    from autograder.report import gradebook_table, report
    from autograder.sample_class import build_sample_class, sample_roster
    from autograder.sandbox.trying import why_not

    # the invented class is ours: where there is no sandbox, its code may run without one
    without = why_not("bubblewrap")
    if without:
        demo.console.print(f"No sandbox here ({without}); the invented class runs without one.")
    course = demo.output / "course"
    submissions = build_sample_class(HOMEWORK, course)
    results = grade_all(
        HOMEWORK,
        course,
        submissions,
        students=sorted(path.name for path in submissions.iterdir())[:2] if demo.quick else None,
        jobs=2,
        roster=sample_roster(),
        sandbox="none" if without else "bubblewrap",
        console=demo.console,
    )
    demo.console.print(gradebook_table(results))
    with demo.progress(2) as part:
        part("a feedback page for each student")
        pages = feedback(HOMEWORK, course)
        part("grades.csv, and a page about the class")
        written = report(HOMEWORK, course)
    demo.made += [
        ("grades", written.csv),
        ("the class", written.page),
        ("feedback, one of them", pages[0]),
    ]

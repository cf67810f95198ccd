"""The policy: whose deadline, what lateness costs, what counts; what is wrong with a file."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path

import pytest

from autograder.evidence.recompute import Evidence
from autograder.policy import Late, Policy, read_policy
from course_utils.errors import CourseError
from course_utils.records import RunRecord

SHIPPED = Path(__file__).parents[2] / "assignments" / "policy.toml"
TAIPEI = datetime.timezone(datetime.timedelta(hours=8))


@pytest.fixture(scope="module")
def policy():
    return read_policy(SHIPPED)


def at(day, hour=23, minute=59, zone=TAIPEI):
    month, date = day
    return datetime.datetime(2026, month, date, hour, minute, tzinfo=zone)


def test_groups_have_their_deadlines(policy):
    assert policy.due("hw_prompt", "5") == at((10, 30))
    assert policy.due("hw_adapter", "1") == at((11, 6))
    assert policy.earliest("hw_prompt") == at((10, 30))
    assert policy.due("another", "5") is None


def test_a_deadline_is_that_of_its_zone(policy):
    assert policy.due("hw_prompt", "5").astimezone(datetime.UTC) == datetime.datetime(
        2026, 10, 30, 15, 59, tzinfo=datetime.UTC
    )


@pytest.mark.parametrize(
    ("handed_in", "group", "taken"),
    [
        (at((10, 30), 23, 58), "5", 0),
        (at((10, 31), 0, 10), "5", 0),  # within the grace
        (at((10, 31), 0, 20), "5", 8),  # a day begun
        (at((10, 31), 0, 20), "1", 0),  # the other group has a week more
        (at((11, 1), 12), "5", 16),  # two days begun
        (at((11, 9), 12), "5", 40),  # ten days, but half at most
        (at((11, 20), 12), "5", 80),  # closed
    ],
)
def test_lateness(policy, handed_in, group, taken):
    assert policy.penalty("hw_prompt", 80.0, handed_in, group) == pytest.approx(taken)


def test_a_time_without_a_zone_is_nbgraders_utc(policy):
    naive = datetime.datetime(2026, 10, 30, 16, 30)  # 00:30 in Taipei
    assert policy.penalty("hw_prompt", 80.0, naive, "5") == pytest.approx(8)


def test_an_hour_lost_to_winter_time_is_no_day(tmp_path):
    """Due at midnight, the clock goes back at 3: handed in a day later by the clock is 25 hours."""
    text = DEADLINE.replace("2026-10-30T23:59:00", "2026-10-24T23:59:00")
    policy = read_policy(
        written(tmp_path, "[late]\npercent_per_day = 10\n" + text.replace("UTC", "Europe/Berlin"))
    )
    berlin = policy.due("hw", "1").tzinfo
    day_later = datetime.datetime(2026, 10, 25, 23, 59, tzinfo=berlin)
    assert policy.penalty("hw", 100.0, day_later, "1") == 20


def test_without_rules_nothing_is_taken():
    free = Policy()
    assert free.penalty("hw_prompt", 80.0, at((12, 1)), "5") == 0
    assert replace(free, late=Late()).counted({"a": 1.0}) == {"a": 1.0}


def test_a_group_without_a_deadline(policy):
    with pytest.raises(CourseError, match="ann is in group '9', .* groups 1, 2, 3, 4, 5, 6, 7, 8"):
        policy.due("hw_prompt", "9", "ann")


def test_an_extension_is_for_one_student_and_homework(tmp_path):
    text = SHIPPED.read_text() + (
        '\n[[extension]]\nstudent = "dina"\nassignments = ["hw_prompt"]\ndays = 3\n'
    )
    policy = read_policy(written(tmp_path, text))
    assert policy.due("hw_prompt", "5", "dina") == at((11, 2))
    assert policy.due("hw_adapter", "5", "dina") == at((10, 30))
    assert policy.due("hw_prompt", "5", "ann") == at((10, 30))


@pytest.mark.parametrize(
    ("scores", "counted"),
    [
        ({"hw_prompt": 70.0, "hw_adapter": 85.0, "quiz": 5.0}, {"hw_adapter": 85.0, "quiz": 5.0}),
        ({"hw_prompt": 70.0}, {"hw_prompt": 70.0}),
        ({"hw_prompt": 70.0, "hw_adapter": 70.0}, {"hw_prompt": 70.0}),
        ({}, {}),
    ],
)
def test_the_better_one_counts(policy, scores, counted):
    assert policy.counted(scores) == counted


def evidence(task, method="PTuningV2", beats=False, findings=()):
    record = RunRecord(
        plm="roberta-large", task=task, method=method, metric="accuracy", score=0.9, n=4
    )
    return Evidence("run", record, score=0.9, n=4, beats=beats, findings=list(findings))


def test_results_earn_points(policy):
    runs = [evidence("superglue/rte", beats=True), evidence("superglue/wic"),
            evidence("superglue/rte"), evidence("superglue/wsc", findings=["made up"])]  # fmt: skip
    tasks, beats = policy.earned("hw_prompt", runs)
    assert (tasks.count, tasks.points) == (2, 12)
    assert "superglue/rte, superglue/wic; 1 of 4 runs do not count" in tasks.message
    assert (beats.count, beats.points) == (1, 6)


def test_no_more_than_the_rule_allows(policy):
    names = ("boolq", "copa", "rte", "wic", "wsc")
    tasks, beats = policy.earned(
        "hw_prompt", [evidence(f"superglue/{n}", beats=True) for n in names]
    )
    assert (tasks.points, beats.points) == (18, 6)
    (methods,) = policy.earned("hw_adapter", [evidence("glue/sst2", "LoRA")])
    assert methods.points == 8
    assert policy.earned("hw_adapter", [])[0].points == 0


POCKET = [evidence("pocket/ner", beats=True), evidence("pocket/srl")]
GPU = [evidence("superglue/rte", beats=True), evidence("superglue/wic")]


def points(policy, runs):
    return sum(one.points for one in policy.earned("hw_prompt", runs))


def test_both_tracks_earn_alike(policy):
    assert policy.tracks == ("gpu", "pocket")
    assert points(policy, GPU) == points(policy, POCKET) == 18


def test_tracks_are_not_mixed_and_the_better_one_counts(policy):
    """Three tasks on the one track; two and a result above the published on the other."""
    more = [*POCKET[1:], evidence("pocket/ner"), evidence("pocket/wic")]
    tasks, beats = policy.earned("hw_prompt", [*GPU, *more])
    assert (tasks.count, beats.count) == (2, 1), "6 + 6 + 6 points; on pocket 18, too: gpu is first"
    assert (
        "tasks: superglue/rte, superglue/wic; pocket/ner, pocket/srl, pocket/wic: that is the "
        in (tasks.message)
    )
    assert "the gpu track earns more or as much, and tracks are not mixed" in tasks.message
    assert beats.message == "beats: superglue/rte", "nothing is lost here, so nothing is said"
    tasks, beats = policy.earned("hw_prompt", [GPU[1], *more])
    assert (tasks.count, beats.count) == (3, 0)
    assert tasks.message == "tasks: pocket/ner, pocket/srl, pocket/wic"
    assert "superglue/wic: that is the gpu track" in beats.message
    other = replace(policy, tracks=("pocket", "gpu"))
    tasks, beats = other.earned("hw_prompt", [*GPU, *more])
    assert (tasks.count, beats.count) == (3, 0), "of equal ones the first listed"


def test_a_track_that_does_not_count(tmp_path):
    text = SHIPPED.read_text().replace('tracks = ["gpu", "pocket"]', 'tracks = ["gpu"]')
    policy = read_policy(written(tmp_path, text))
    assert points(policy, POCKET) == 0
    tasks, beats = policy.earned("hw_prompt", [*POCKET, GPU[0]])
    assert (tasks.count, beats.count) == (1, 1)
    assert tasks.message == (
        "tasks: superglue/rte; pocket/ner, pocket/srl: that is the pocket track, which does not "
        "count in this course"
    )
    assert beats.message == "beats: superglue/rte"


def test_a_task_of_no_track_earns_nothing(policy):
    """The homework lists what counts; a run on anything else is no evidence for it."""
    tasks, beats = policy.earned("hw_prompt", [evidence("glue/sst2", beats=True)])
    assert (tasks.points, beats.points) == (0, 0)
    assert "glue/sst2: the homework does not list it among its tasks" in tasks.message


def test_a_homework_nobody_knows(policy):
    rule = replace(policy.results[0], assignment="hw_promt")
    with pytest.raises(CourseError, match="Did you mean 'hw_prompt'"):
        replace(policy, results=(rule,)).earned("hw_promt", GPU)
    assert policy.earned("quiz", GPU) == [], "no rule, nothing to earn"


def written(folder, text):
    path = folder / "policy.toml"
    path.write_text(text)
    return path


DEADLINE = """[[deadline]]
assignments = ["hw"]
groups = ["1"]
due = 2026-10-30T23:59:00
timezone = "UTC"
"""


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("one_of = 3\n", 1, "one_of is 3; expected lists of homework names"),
        ("\nlatte = 1\n", 2, "latte is unknown; expected one of the keys one_of, tracks, late"),
        (
            'one_of = []\ntracks = ["tpu"]\n',
            2,
            r"tracks is \['tpu'\]; expected some of gpu, pocket",
        ),
        ('tracks = ["gpu", "gpu"]\n', 1, "expected some of gpu, pocket, each once"),
        ('tracks = "gpu"\n', 1, "tracks is 'gpu'; expected some of"),
        ("tracks = []\n", 1, r"tracks is \[\]; expected some of"),
        ("[late]\npercent_per_day = -1\n", 2, "percent_per_day is -1; expected a number from 0 on"),
        ("[late]\ngrace = 1\n", 2, "grace is unknown"),
        (DEADLINE.replace("2026-10-30T23:59:00", '"10/30"'), 4, "due is '10/30'; expected a date"),
        (DEADLINE.replace("23:59:00", "23:59:00Z"), 4, "expected a date with time"),
        (DEADLINE.replace('"UTC"', '"Mars"'), 5, "timezone is 'Mars'; expected a zone"),
        (DEADLINE.replace('timezone = "UTC"', ""), 1, "timezone is missing"),
        (DEADLINE.replace('["1"]', "[1]"), 3, r"groups is \[1\]; expected texts"),
        (DEADLINE + DEADLINE, 8, "each group once; '1' has a deadline of hw already"),
        (
            '[[extension]]\nstudent = "a"\nassignments = ["hw"]\ndays = 0\n',
            4,
            "days is 0; expected",
        ),
        (
            '[[results]]\nassignment = "hw"\nearns = "fame"\npoints = 1\n',
            3,
            "one of tasks, methods",
        ),
        ('[[results]]\nassignment = "hw"\nearns = "tasks"\npoints = 1\nmost = 0\n', 5, "most is 0"),
    ],
)
def test_wrong_files(tmp_path, text, line, says):
    with pytest.raises(CourseError, match=rf"policy\.toml, line {line}: .*{says}"):
        read_policy(written(tmp_path, text))


def test_broken_toml_names_its_line(tmp_path):
    with pytest.raises(CourseError, match=r"policy\.toml: .*line 2"):
        read_policy(written(tmp_path, "[late]\n= 3\n"))
    with pytest.raises(CourseError, match="there is no policy"):
        read_policy(tmp_path / "none.toml")

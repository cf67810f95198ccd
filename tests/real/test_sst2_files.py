"""The real SST-2 files, where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from course_utils.tasks import load_task

REAL = Path(
    os.environ.get("COURSE_REAL_DATA", Path(__file__).parents[2].parent / "shared" / "real")
)
FOLDER = REAL / "glue" / "SST-2"
FEW_SHOT = REAL / "lmbff_kshot" / "SST-2"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the real SST-2 is not here")


@pytest.fixture(scope="module")
def task():
    return load_task("glue/sst2", data=FOLDER)


def test_row_counts_are_the_published_ones(task):
    assert len(task.split("train")) == 67349
    assert len(task.split("dev")) == 872


def test_one_is_positive(task):
    dev = task.split("dev")
    by_text = dict(zip(dev["sentence"], dev["label"], strict=True))
    assert by_text["it 's a charming and often affecting journey . "] == 1
    assert by_text["unflinchingly bleak and desperate "] == 0
    assert task.majority("dev") == 444 / 872


@pytest.mark.parametrize("seed", [13, 21, 42, 87, 100])
def test_the_few_shot_splits_have_sixteen_of_each_class(seed):
    few = load_task("glue/sst2", data=FEW_SHOT / f"16-{seed}")
    for split in ("train", "dev"):
        labels = list(few.split(split)["label"])
        assert (labels.count(0), labels.count(1)) == (16, 16)

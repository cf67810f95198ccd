"""The judge's small PLMs are the same whatever another thread of the process does meanwhile."""

from __future__ import annotations

import threading

import pytest
import torch

from autograder.judging.plms import FAMILIES, small_plm
from course_utils import load_plm


@pytest.mark.parametrize("family", FAMILIES)
def test_a_plm_being_loaded_elsewhere_changes_nothing(family):
    """transformers ties and initialises nothing while it loads, in all threads at once."""
    alone = small_plm(family, seed=7)
    wanted = {name: value.clone() for name, value in alone.state_dict().items()}
    done = threading.Event()

    def load() -> None:
        while not done.is_set():
            load_plm("pocket-bert-tiny")

    other = threading.Thread(target=load)
    other.start()
    try:
        made = [small_plm(family, seed=7) for _ in range(40)]
    finally:
        done.set()
        other.join()
    for one in made:
        found = one.state_dict()
        assert not [name for name in wanted if not torch.equal(found[name], wanted[name])]
        assert len(list(one.parameters())) == len(list(alone.parameters())), "tied alike"

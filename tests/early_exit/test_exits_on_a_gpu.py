"""Early exit on a GPU: rows leave where they leave on the CPU, with the same answers."""

from __future__ import annotations

import copy

import pytest
import torch
from test_exits import PLMS, middling_rules

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
GPU = "cuda"


@pytest.mark.parametrize("plm", PLMS)
@pytest.mark.parametrize("which", range(3))
def test_rows_leave_where_they_do_on_the_cpu(plm, which, make_exits, make_batch):
    exits, batch = make_exits(plm), make_batch(plm)
    exits.rule = middling_rules(exits, batch)[which]
    there = copy.deepcopy(exits).to(GPU)
    with torch.no_grad():
        here = exits(**batch)
        far = there(**{name: value.to(GPU) for name, value in batch.items()})
    assert len(set(here.layers.tolist())) > 1
    assert far.layers.tolist() == here.layers.tolist()
    torch.testing.assert_close(far.logits.cpu(), here.logits, rtol=1e-3, atol=1e-3)

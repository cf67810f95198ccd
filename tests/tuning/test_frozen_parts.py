"""What nothing trained precedes is computed without a graph, and its outputs are not kept."""

from __future__ import annotations

import pytest
import torch
from small_plms import make

from course_utils.estimate import kept_bytes
from course_utils.tuning import FullFineTuning, HeadOnly, LoRA, PTuningV2, TopLayers, attach

BATCH = {"input_ids": torch.arange(5, 29).view(2, 12), "labels": torch.tensor([0, 1])}


def states(method):
    """Which hidden states of the layers, from the embeddings up, are part of a graph."""
    tuned = attach(make("bert", num_hidden_layers=4), method).train()
    output = tuned(**BATCH, output_hidden_states=True)
    return [state.requires_grad for state in output.hidden_states]


@pytest.mark.parametrize(
    ("method", "first"),
    [(HeadOnly(), 5), (TopLayers(layers=1), 4), (TopLayers(layers=3), 2), (LoRA(), 1),
     (PTuningV2(length=2), 1), (FullFineTuning(), 0)],
    ids=str,
)  # fmt: skip
def test_the_graph_begins_where_something_is_trained(method, first):
    assert states(method) == [place >= first for place in range(5)]


def test_less_is_kept_the_higher_it_begins():
    methods = (HeadOnly(), TopLayers(layers=1), TopLayers(layers=2), FullFineTuning())
    kept = [
        kept_bytes(attach(make("bert", num_hidden_layers=4), method), BATCH, sixteen_bit=False)
        for method in methods
    ]
    assert kept == sorted(kept)
    assert kept[0] < 0.1 * kept[-1]
    assert kept[1] < 0.5 * kept[-1]

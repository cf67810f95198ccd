"""One row for every model: sizes by hand, the score that `evaluate` gives, times that are there."""

from __future__ import annotations

import pytest
import small_tasks as small
import torch
from safetensors.torch import save_file

from course_utils.compression import cost, prune, share_layers
from course_utils.compression.costs import size
from course_utils.early_exit import EarlyExit, Entropy
from course_utils.errors import CourseError
from course_utils.evaluation import evaluate
from course_utils.tuning import LoRA, attach

COLUMNS = [
    "name",
    "parameters",
    "nonzero",
    "megabytes",
    "sparse_megabytes",
    "metric",
    "score",
    "n",
    "single_ms",
    "batch_ms",
]


class TestSize:
    def test_by_hand(self):
        model = torch.nn.Linear(8, 4)  # 32 weights, 4 biases
        with torch.no_grad():
            model.weight.fill_(1.0)
            model.weight[:3] = 0  # 24 zeros
            model.bias.fill_(1.0)
        # sparse: 8 numbers and 32 bits; biases are smaller as they are
        assert size(model) == {
            "parameters": 36,
            "nonzero": 12,
            "megabytes": 36 * 4 / 1e6,
            "sparse_megabytes": (8 * 4 + 32 / 8 + 4 * 4) / 1e6,
        }

    def test_is_that_of_the_file(self, make_plm, tmp_path):
        model = make_plm("bert")
        save_file({n: p.detach() for n, p in model.named_parameters()}, tmp_path / "x")
        names = 200 * len(list(model.parameters()))  # what the file says of each tensor, at most
        on_disk = (tmp_path / "x").stat().st_size
        assert 0 <= on_disk - 1e6 * size(model)["megabytes"] < names

    def test_sixteen_bit_is_half(self, make_plm):
        model = make_plm("bert")
        whole = size(model)["megabytes"]
        assert size(model.to(torch.bfloat16))["megabytes"] == pytest.approx(whole / 2)

    def test_sharing_shrinks_and_pruning_does_not(self, make_plm):
        plain = size(make_plm("bert"))
        pruned, shared = size(prune(make_plm("bert"), 0.9)), size(share_layers(make_plm("bert")))
        assert pruned["parameters"] == plain["parameters"] > shared["parameters"]
        assert pruned["megabytes"] == plain["megabytes"] > shared["megabytes"]
        assert pruned["sparse_megabytes"] < plain["sparse_megabytes"]


class TestRow:
    def test_columns_and_score(self, task, tokenizer):
        model = small.bert()
        row = cost(model, task, tokenizer=tokenizer, name="mine", texts=3, batch_size=2)
        assert list(row) == COLUMNS
        found = evaluate(model, task, tokenizer=tokenizer)
        assert (row["name"], row["metric"]) == ("mine", "accuracy")
        assert (row["score"], row["n"]) == (found.score, found.n)
        assert row["single_ms"] > 0
        assert row["batch_ms"] > 0
        assert model.training  # as it was

    def test_exits_and_tuned_models_have_rows_too(self, task, tokenizer):
        exits = EarlyExit(small.bert(), rule=Entropy(2.0))
        exits.eval()
        layer, ran = exits._sites.layers[1].module, []
        layer.register_forward_hook(lambda *_: ran.append(1))
        row = cost(exits, task, "dev", tokenizer=tokenizer, texts=2)
        assert row["name"] == "EarlyExit"
        assert row["parameters"] == exits.total() + exits.exit_parameters()
        assert not ran  # what is timed is leaving early
        tuned = attach(small.bert(), LoRA(rank=2))
        row = cost(tuned, task, "dev", tokenizer=tokenizer, texts=2)
        assert row["parameters"] == sum(p.numel() for p in tuned.parameters())

    def test_the_same_texts_are_timed_alone_and_together(self, task, tokenizer):
        model, seen = small.bert(), []
        model.register_forward_pre_hook(
            lambda module, args, batch: seen.append(len(batch["input_ids"])), with_kwargs=True
        )
        cost(model, task, "dev", tokenizer=tokenizer, texts=5, batch_size=40)
        assert seen == [40] + [1] * 5 * 6 + [5] * 6  # the score; six rounds of each

    def test_no_text(self, task, tokenizer):
        with pytest.raises(CourseError, match="at least one text"):
            cost(small.bert(), task, tokenizer=tokenizer, texts=0)

"""Several tasks on one PLM: each row of a mixed batch is answered as its own task's model does."""

from __future__ import annotations

import pytest
import torch
from small_plms import make

from course_utils.errors import CourseError
from course_utils.plm import load_plm
from course_utils.tuning import (
    IA3,
    AdapterBias,
    BitFit,
    FullFineTuning,
    Houlsby,
    LoRA,
    ParallelAdapter,
    Pfeiffer,
    PrefixTuning,
    PTuningV2,
    QLoRA,
    SeveralTasks,
    SoftPrompt,
    attach,
    load_tuned,
)
from course_utils.tuning.qlora import memory

METHODS = {
    "qlora": QLoRA(rank=2),
    "lora": LoRA(rank=2, sites=("query", "value", "ffn_in", "embeddings")),
    "houlsby": Houlsby(bottleneck=3),
    "pfeiffer": Pfeiffer(bottleneck=3),
    "parallel": ParallelAdapter(bottleneck=3),
    "adapter-bias": AdapterBias(shared=True),
    "bitfit": BitFit(),
    "ia3": IA3(),
    "soft-prompt": SoftPrompt(length=3, init="random"),
    "prefix": PrefixTuning(length=3, mlp=4),
    "p-tuning-v2": PTuningV2(length=3),
}
PLMS = ("bert", "roberta", "gpt2", "gpt2-classifier", "llama", "t5")
NAMES = ["b", "a", "b", "a", "a"]


def cases():
    return [
        (plm, method)
        for plm in PLMS
        for method in METHODS
        if method != "bitfit" or not plm.startswith(("llama", "t5"))
    ]


@pytest.fixture
def trained(tmp_path, make_batch):
    """trained(plm, method): folders of two tasks whose numbers all differ from the start."""

    def save(plm: str, method, labels=(None, None)) -> dict:
        folders = {}
        for seed, (name, count) in enumerate(zip("ab", labels, strict=True)):
            model = make(plm) if count is None else make(plm, num_labels=count)
            tuned = attach(model, method, seed=seed)
            generator = torch.Generator().manual_seed(seed)
            with torch.no_grad():
                for p in tuned.trainable_parameters():
                    p.add_(torch.randn(p.shape, generator=generator), alpha=0.3)
            folders[name] = tuned.save(tmp_path / name)
        return folders

    return save


def one_by_one(plm: str, folders: dict, batch: dict, output_of) -> list[torch.Tensor]:
    """The reference: a model of its own for each task, one row at a time."""
    models = {n: load_tuned(make(plm).double(), folder).eval() for n, folder in folders.items()}
    rows = []
    for i, name in enumerate(NAMES):
        rows.append(output_of(models[name], {k: v[i : i + 1] for k, v in batch.items()})[0])
    return rows


@pytest.mark.parametrize(("plm", "method"), cases())
class TestEveryMethod:
    def test_each_row_of_a_mixed_batch_as_by_itself(
        self, plm, method, trained, make_batch, output_of
    ):
        folders = trained(plm, METHODS[method])
        batch = make_batch(plm, rows=5, labels=False)
        tasks = SeveralTasks(make(plm).double(), folders)
        tasks.tuned.eval()
        mixed = tasks.logits(batch, NAMES)
        alone = one_by_one(plm, folders, batch, output_of)
        for row, expected, mask in zip(mixed, alone, batch["attention_mask"], strict=True):
            if plm in ("gpt2", "llama"):  # what stands on padding is nobody's answer
                row, expected = row[mask == 1], expected[mask == 1]
            torch.testing.assert_close(row, expected, atol=1e-9, rtol=1e-9)
        swapped = tasks.logits(batch, ["a" if name == "b" else "b" for name in NAMES])
        assert not torch.allclose(swapped[0], mixed[0], atol=1e-3)

    def test_use_is_the_model_that_was_saved(self, plm, method, trained, make_batch, output_of):
        folders = trained(plm, METHODS[method])
        batch = make_batch(plm, labels=False)
        tasks = SeveralTasks(make(plm), folders)
        tasks.tuned.eval()
        for name in ("b", "a", "b"):
            tasks.use(name)
            alone = load_tuned(make(plm), folders[name]).eval()
            assert torch.equal(output_of(tasks.tuned, batch), output_of(alone, batch))

    def test_detach_gives_the_plm_back(self, plm, method, trained, make_batch):
        folders = trained(plm, METHODS[method])
        model = make(plm)
        before = {name: t.clone() for name, t in model.state_dict().items()}
        addresses = {name: p.data_ptr() for name, p in model.named_parameters()}
        tasks = SeveralTasks(model, folders)
        tasks.logits(make_batch(plm, rows=5, labels=False), NAMES)
        assert tasks.detach() is model
        after = model.state_dict()
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)
        assert addresses == {name: p.data_ptr() for name, p in model.named_parameters()}
        assert not any("forward" in vars(module) for module in model.modules())


@pytest.fixture
def lora_tasks(trained):
    return SeveralTasks(make("bert"), trained("bert", LoRA(rank=2)))


class TestHeads:
    def test_each_task_has_its_own_labels(self, trained, make_batch, output_of):
        folders = trained("bert", LoRA(rank=2), labels=(2, 4))
        batch = make_batch("bert", rows=5, labels=False)
        tasks = SeveralTasks(make("bert"), folders)
        tasks.tuned.eval()
        mixed = tasks.logits(batch, NAMES)
        assert [len(row) for row in mixed] == [4, 2, 4, 2, 2]
        four = load_tuned(make("bert", num_labels=4), folders["b"]).eval()
        torch.testing.assert_close(
            torch.stack([mixed[0], mixed[2]]), output_of(four, batch)[[0, 2]]
        )
        tasks.use("b")
        assert output_of(tasks.tuned, batch).shape == (5, 4)
        assert tasks.tuned.config.num_labels == tasks.tuned.plm.num_labels == 4
        assert tasks.tuned.plm.classifier.out_features == 4
        plm = tasks.detach()
        assert plm.config.num_labels == plm.num_labels == plm.classifier.out_features == 2
        assert output_of(plm, batch).shape == (5, 2)

    def test_a_plm_loaded_for_one_of_the_tasks_serves_all(self, tmp_path):
        folders = {}
        for name, labels in (("a", ["no", "yes"]), ("b", ["world", "sports", "trade"])):
            model, _ = load_plm("pocket-bert-tiny", head="classifier", labels=labels)
            folders[name] = attach(model, LoRA(rank=2)).save(tmp_path / name)
        model, _ = load_plm("pocket-bert-tiny", head="classifier", labels=["no", "yes"])
        tasks = SeveralTasks(model, folders)
        tasks.use("b")
        assert list(tasks.tuned.config.id2label.values()) == ["world", "sports", "trade"]
        assert list(tasks.detach().config.id2label.values()) == ["no", "yes"]

    def test_a_task_saved_from_here_is_that_task(self, trained, tmp_path, make_batch, output_of):
        folders = trained("bert", LoRA(rank=2), labels=(2, 4))
        tasks = SeveralTasks(make("bert"), folders)
        tasks.use("b")
        again = tasks.tuned.save(tmp_path / "again")
        batch = make_batch("bert", labels=False)
        models = [load_tuned(make("bert", num_labels=4), f).eval() for f in (folders["b"], again)]
        assert torch.equal(*(output_of(model, batch) for model in models))


@pytest.mark.parametrize("plm", ["gpt2", "llama", "t5"])
@pytest.mark.parametrize("method", ["lora", "soft-prompt", "p-tuning-v2", "houlsby"])
@pytest.mark.parametrize("beams", [1, 3])
def test_generation_in_one_batch(plm, method, beams, trained):
    """Left-padded, cached, with beams: each row continues as with its own task's model."""
    folders = trained(plm, METHODS[method])
    ids = torch.randint(5, 40, (3, 6), generator=torch.Generator().manual_seed(3))
    mask = torch.ones_like(ids)
    if plm != "t5":
        mask[1, :2] = 0
    batch = {"input_ids": ids.masked_fill(mask == 0, 0), "attention_mask": mask}
    settings = {"max_new_tokens": 6, "do_sample": False, "num_beams": beams, "pad_token_id": 0}
    names = ["b", "a", "b"]
    tasks = SeveralTasks(make(plm), folders)
    tasks.tuned.eval()
    with tasks.rows(names):
        mixed = tasks.tuned.generate(**batch, **settings)
    for name in ("a", "b"):
        alone = load_tuned(make(plm), folders[name]).eval().generate(**batch, **settings)
        rows = [i for i, one in enumerate(names) if one == name]
        width = min(mixed.shape[1], alone.shape[1])
        assert torch.equal(mixed[rows, :width], alone[rows, :width])


class TestErrors:
    def test_no_task(self):
        with pytest.raises(CourseError, match="at least one task"):
            SeveralTasks(make("bert"), {})

    def test_an_unknown_task(self, lora_tasks, make_batch):
        with pytest.raises(CourseError, match="unknown task 'c'"):
            lora_tasks.use("c")
        with (
            pytest.raises(CourseError, match="unknown task 'c'"),
            lora_tasks.rows(["a", "c"]),
        ):
            pass

    def test_too_few_names(self, lora_tasks, make_batch):
        batch = make_batch("bert", rows=5, labels=False)
        with pytest.raises(CourseError, match="5 rows and 2 task names"):
            lora_tasks.logits(batch, ["a", "b"])
        with (
            pytest.raises(CourseError, match="2 task names for a batch of 5 rows"),
            lora_tasks.rows(["a", "b"]),
        ):
            lora_tasks.tuned(**batch)
        assert lora_tasks.logits(batch, NAMES)  # and all is as before

    def test_two_methods(self, trained, tmp_path):
        model = make("bert")
        before = {name: t.clone() for name, t in model.state_dict().items()}
        one = attach(make("bert"), LoRA(rank=2)).save(tmp_path / "one")
        two = attach(make("bert"), LoRA(rank=3)).save(tmp_path / "two")
        with pytest.raises(CourseError, match="'x' was trained with LoRA.rank=2.*'y'"):
            SeveralTasks(model, {"x": one, "y": two})
        assert all(torch.equal(t, model.state_dict()[n]) for n, t in before.items())
        attach(model, LoRA(rank=2))

    def test_another_plm(self, trained):
        folders = trained("bert", LoRA(rank=2))
        model = make("bert", seed=9)
        with pytest.raises(CourseError, match="weights are not this model's"):
            SeveralTasks(model, folders)
        attach(model, LoRA(rank=2))
        model = make("bert", seed=9)
        assert SeveralTasks(model, folders, check_weights=False).name == "a"

    def test_what_all_rows_read_can_only_be_switched(self, trained, make_batch, output_of):
        folders = trained("bert", FullFineTuning())
        tasks = SeveralTasks(make("bert"), folders)
        batch = make_batch("bert", rows=5, labels=False)
        with pytest.raises(CourseError, match="trains the PLM's embeddings"):
            tasks.logits(batch, NAMES)
        tasks.tuned.eval().requires_grad_(False)
        tasks.use("b")
        alone = load_tuned(make("bert"), folders["b"]).eval()
        assert torch.equal(output_of(tasks.tuned, batch), output_of(alone, batch))


def test_storage_is_one_plm_and_what_each_task_trained(lora_tasks):
    sizes = lora_tasks.storage()
    assert list(sizes) == ["PLM", "a", "b"]
    assert sizes["a"] == sizes["b"] == 4 * lora_tasks.tuned.count()
    assert sizes["PLM"] == 4 * (lora_tasks.tuned.total() - lora_tasks.tuned.head_count())


def test_a_plm_in_four_bits_counts_what_is_stored(trained):
    tasks = SeveralTasks(make("bert"), trained("bert", QLoRA(rank=2)))
    stored = memory(tasks.tuned.plm)
    assert tasks.storage()["PLM"] == stored.stored + stored.others - 4 * tasks.tuned.count()


def test_rows_end_with_the_block(lora_tasks, make_batch, output_of):
    batch = make_batch("bert", rows=5, labels=False)
    lora_tasks.tuned.eval()
    lora_tasks.use("b")
    before = output_of(lora_tasks.tuned, batch)
    with pytest.raises(RuntimeError, match="stop"), lora_tasks.rows(NAMES):
        raise RuntimeError("stop")
    assert torch.equal(output_of(lora_tasks.tuned, batch), before)

"""Every method on a GPU: what the CPU computes, in 32 bit, and sound training in 16."""

from __future__ import annotations

import copy

import pytest
import torch
from every_method import (
    EVERYWHERE,
    METHODS,
    PLACED,
    PLMS,
    all_cases,
    cases,
    with_noise,
)
from test_several_tasks import METHODS as OF_SEVERAL_TASKS

from course_utils.tuning import IA3, LoRA, QLoRA, SeveralTasks, attach, load_tuned

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
GPU = "cuda"
MERGEABLE = {
    "lora": LoRA(rank=3),
    "lora-everywhere": LoRA(rank=3, sites=EVERYWHERE[:-1]),
    "qlora": QLoRA(rank=3),
    "ia3": IA3(),
}


def assert_close(found: torch.Tensor, expected: torch.Tensor, about: str = "") -> None:
    """Equal but for the order of sums, and for cuDNN's LSTM, which multiplies in TF32."""
    difference = (found.detach().cpu() - expected.detach().cpu()).norm()
    assert difference <= 2e-3 * expected.norm().cpu() + 1e-5, f"{about} differs by {difference}"


def on_gpu(batch: dict) -> dict:
    return {name: value.to(GPU) for name, value in batch.items()}


def gradients(tuned, batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    output = tuned(**batch)
    loss = output.loss if "labels" in batch else output[0].pow(2).mean()
    loss.backward()
    found = {n: p.grad.cpu() for n, p in tuned.named_parameters() if p.grad is not None}
    return output[1 if "labels" in batch else 0].detach().cpu(), found


@all_cases
def test_outputs_and_gradients_are_those_of_the_cpu(plm, method, make_plm, make_batch):
    model, batch = make_plm(plm), make_batch(plm)
    there = with_noise(attach(copy.deepcopy(model), METHODS[method])).to(GPU)
    here = with_noise(attach(model, METHODS[method]))
    expected, wanted = gradients(here, batch)
    output, found = gradients(there, on_gpu(batch))
    assert_close(output, expected)
    assert wanted
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        assert_close(found[name], gradient, name)


@all_cases
def test_attached_there_it_starts_as_on_the_cpu(plm, method, make_plm, make_batch, output_of):
    """The seed decides the start, wherever the PLM is; nothing is left behind on the CPU."""
    model = make_plm(plm)
    there = attach(copy.deepcopy(model).to(GPU), METHODS[method], seed=3)
    here = attach(model, METHODS[method], seed=3)
    assert all(t.is_cuda for t in (*there.parameters(), *there.buffers()))
    moved = dict(there.named_parameters())
    for name, parameter in here.named_parameters():
        torch.testing.assert_close(moved[name].cpu(), parameter, msg=name)
    batch = make_batch(plm)
    assert_close(output_of(there, on_gpu(batch)), output_of(here, batch))


@all_cases
def test_trained_there_saved_and_read_on_the_cpu(
    plm, method, make_plm, make_batch, few_steps, output_of, tmp_path
):
    model, batch = make_plm(plm), make_batch(plm)
    fresh = copy.deepcopy(model)
    model.to(GPU)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    there = attach(model, METHODS[method], seed=1)
    few_steps(there, on_gpu(batch))
    learnt = output_of(there, on_gpu(batch))
    there.save(tmp_path)
    again = load_tuned(copy.deepcopy(fresh).to(GPU), tmp_path)
    torch.testing.assert_close(output_of(again, on_gpu(batch)), learnt)
    here = load_tuned(fresh, tmp_path)
    assert_close(output_of(here, batch), learnt.cpu())
    base = there.detach().state_dict()
    assert base.keys() == before.keys()
    for name, tensor in before.items():
        torch.testing.assert_close(base[name], tensor, rtol=0, atol=0, msg=name)


@pytest.mark.parametrize(
    ("plm", "method"),
    cases(["bert", "roberta", "gpt2", "llama", "t5", "t5-tagger"], METHODS),
)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_mixed_precision_learns(plm, method, dtype, make_plm, make_batch):
    """As `train` does it: parameters in 32 bit, arithmetic in 16, the loss scaled for float16."""
    batch = on_gpu(make_batch(plm))
    tuned = attach(
        make_plm(plm).to(GPU), METHODS[method]
    ).eval()  # no dropout: the loss falls or not
    own = {p.dtype for p in tuned.trainable_parameters()}
    optimizer = torch.optim.AdamW(tuned.trainable_parameters(), lr=1e-2)
    scaler = torch.amp.GradScaler(GPU, enabled=dtype == torch.float16)
    losses = []
    for _ in range(12):
        with torch.autocast(GPU, dtype=dtype):
            loss = tuned(**batch).loss
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        assert all(p.grad is not None for p in tuned.trainable_parameters())
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert own == {torch.float32}
    assert all(torch.isfinite(p).all() for p in tuned.trainable_parameters())
    assert torch.isfinite(torch.tensor(losses)).all()
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("plm", "method"), cases(["bert", "roberta", "gpt2", "llama", "t5"], PLACED)
)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_on_a_plm_of_16_bit(plm, method, dtype, make_plm, make_batch):
    """Own parameters stay in 32 bit, loss and gradients near those of the PLM in 32 bit."""
    batch = on_gpu(make_batch(plm))
    model = make_plm(plm).to(GPU)
    exact = attach(copy.deepcopy(model), METHODS[method])(**batch).loss
    tuned = attach(model.to(dtype), METHODS[method])
    loss = tuned(**batch).loss
    loss.backward()
    added = [p for name, p in tuned.plm.named_parameters() if name in tuned.placement.added_names()]
    assert {p.dtype for p in added} == {torch.float32}
    assert all(torch.isfinite(p.grad).all() for p in added)
    assert loss.item() == pytest.approx(exact.item(), rel=0.05)


@pytest.mark.parametrize("plm", PLMS)
@pytest.mark.parametrize("method", MERGEABLE)
def test_merged_equals_unmerged(plm, method, make_plm, make_batch, few_steps, output_of):
    batch = on_gpu(make_batch(plm))
    tuned = attach(make_plm(plm).to(GPU), MERGEABLE[method])
    few_steps(tuned, batch)
    apart = output_of(tuned, batch)
    assert_close(output_of(tuned.merge(), batch), apart)
    assert torch.equal(output_of(tuned.unmerge(), batch), apart)


@pytest.mark.parametrize(
    ("plm", "method"),
    cases(["gpt2", "llama", "t5", "t5-gated"], sorted(METHODS.keys() - {"head-only"})),
)
def test_the_same_tokens_are_written(plm, method, make_plm):
    """Cached, in a padded batch; where two words tie, rounding may choose, so scores are seen."""
    spread = {} if plm.startswith("t5") else {"initializer_range": 0.5}
    tuned = with_noise(attach(make_plm(plm, eos_token_id=None, **spread), METHODS[method]))
    ids = torch.tensor([[0, 0, 9, 8, 7], [12, 11, 10, 9, 8]])
    if plm.startswith("t5"):
        ids = ids.flip(1)
    options = {"max_new_tokens": 5, "do_sample": False}
    options |= {"return_dict_in_generate": True, "output_scores": True}
    here = tuned.generate(ids, attention_mask=(ids != 0).long(), **options)
    ids = ids.to(GPU)
    there = tuned.to(GPU).generate(ids, attention_mask=(ids != 0).long(), **options)
    assert torch.equal(there.sequences.cpu(), here.sequences)
    for ours, theirs in zip(there.scores, here.scores, strict=True):
        assert_close(ours, theirs)


@pytest.mark.parametrize("plm", ["bert", "gpt2-classifier"])
@pytest.mark.parametrize("method", OF_SEVERAL_TASKS)
def test_rows_of_several_tasks_in_one_batch(plm, method, make_plm, make_batch, output_of, tmp_path):
    batch = on_gpu(make_batch(plm, labels=False))
    alone = {}
    for seed, name in enumerate("ab"):
        tuned = with_noise(attach(make_plm(plm).to(GPU), OF_SEVERAL_TASKS[method], seed=seed))
        tuned.save(tmp_path / name)
        alone[name] = output_of(tuned, batch)
    tasks = SeveralTasks(make_plm(plm).to(GPU), {name: tmp_path / name for name in "ab"})
    tasks.tuned.eval()
    rows = ["b", "a", "b"]
    mixed = tasks.logits(batch, rows)
    for row, name in enumerate(rows):
        assert_close(mixed[row], alone[name][row])
    for name in "ab":
        tasks.use(name)
        assert_close(output_of(tasks.tuned, batch), alone[name])


@pytest.mark.parametrize(("plm", "method"), cases(["bert", "gpt2", "t5"], PLACED))
def test_gradient_checkpointing(plm, method, make_plm, make_batch):
    batch = on_gpu(make_batch(plm))
    none = {
        "bert": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
        "gpt2": {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
        "t5": {"dropout_rate": 0.0},
    }[plm]
    found = []
    for checkpointing in (False, True):
        tuned = attach(make_plm(plm, **none).to(GPU), METHODS[method]).train()
        if checkpointing:
            tuned.gradient_checkpointing_enable()
        tuned(**batch).loss.backward()
        found.append([p.grad for p in tuned.trainable_parameters()])
    for plain, checkpointed in zip(*found, strict=True):
        assert_close(checkpointed, plain)

"""Self-checks of notebook 01."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from course_utils.show.exercises.verdict import expect, self_check


@self_check
def check_next_token_loss(loss) -> str:
    """`loss(logits, ids)`: mean of -log p(w_t | before), logits (T, V), ids (T,)."""
    generator = torch.Generator().manual_seed(0)
    for length in (2, 7):
        logits = torch.randn(length, 11, generator=generator)
        ids = torch.randint(11, (length,), generator=generator)
        given = _number(loss(logits, ids))
        right = F.cross_entropy(logits[:-1], ids[1:]).item()
        expect(
            abs(given - F.cross_entropy(logits, ids).item()) > 1e-4,
            "This scores each token with the logits read after it: the answer has been seen. "
            "Row t of the logits is the guess for token t + 1.",
        )
        expect(
            length == 2 or abs(given - (length - 1) * right) > 1e-4,
            "This is the sum; the mean over the T - 1 predicted tokens was asked for.",
        )
        expect(
            abs(given - right) < 1e-4,
            f"On a random example of {length} tokens {right:.4f} is right; you give {given:.4f}.",
        )
    return "T tokens give T - 1 predictions: nothing comes before the first."


@self_check
def check_corrupt(corrupt) -> str:
    """`corrupt(ids, mask_id, vocabulary, generator)` -> (inputs, chosen), as BERT does it."""
    ids = torch.randint(10, 1000, (200, 200), generator=torch.Generator().manual_seed(1))
    before = ids.clone()
    inputs, chosen = _pair(corrupt(ids, 3, 1000, torch.Generator().manual_seed(2)))
    expect(torch.equal(ids, before), "Your function changed `ids` itself: work on a clone.")
    expect(
        (chosen.dtype, chosen.shape) == (torch.bool, ids.shape),
        f"`chosen` should be a bool tensor of shape {tuple(ids.shape)}; it is {chosen.dtype} of "
        f"shape {tuple(chosen.shape)}.",
    )
    changed = torch.equal(inputs[~chosen], ids[~chosen])
    expect(changed, "A token that was not chosen has changed.")
    share = chosen.float().mean().item()
    expect(abs(share - 0.15) < 0.01, f"{share:.1%} of the tokens are chosen; 15 % are wanted.")
    masked = (inputs[chosen] == 3).float().mean().item()
    expect(abs(masked - 0.8) < 0.02, f"{masked:.1%} of the chosen are masked; 80 % are wanted.")
    kept = (inputs[chosen] == ids[chosen]).float().mean().item()
    expect(
        abs(kept - 0.1) < 0.02,
        f"{kept:.1%} of the chosen stay as they were; 10 % are wanted (and 10 % random tokens).",
    )
    return "10 % stay and 10 % are random, so the model can't trust any token blindly."


@self_check
def check_training_bytes(bytes_to_train) -> str:
    """`bytes_to_train(parameters, trained)`: AdamW in float32, frozen weights in float16."""
    for parameters, trained in ((355_000_000, 355_000_000), (355_000_000, 800_000), (7e9, 4e6)):
        given = _number(bytes_to_train(parameters, trained))
        expected = 2 * (parameters - trained) + 16 * trained
        expect(
            abs(given - expected) <= 1e-6 * expected,
            f"For {parameters:,.0f} parameters of which {trained:,.0f} are trained you give "
            f"{given / 1e9:.3f} GB, expected {expected / 1e9:.3f} GB. A frozen number costs 2 "
            "bytes; a trained one itself, its gradient and two moments, 4 bytes each.",
        )
    return "Nearly all of what training adds belongs to the parameters that move."


@self_check
def check_tasks_until(tasks, parameters: float, added: float, disk: float) -> str:
    """How many tasks fit on a disk when they share one float32 PLM."""
    expected = int((disk - 4 * parameters) // (4 * added))
    expect(
        tasks == expected,
        f"{tasks} was given. Take the shared PLM off the disk once, then see how often 4 bytes x "
        f"{added:,.0f} fit into what is left; whole tasks only.",
    )
    return f"{expected:,} tasks, against {int(disk // (4 * parameters)):,} full copies."


def _number(value) -> float:
    if value is None:
        raise NotImplementedError
    return float(value)


def _pair(value) -> tuple[torch.Tensor, torch.Tensor]:
    if value is None:
        raise NotImplementedError
    inputs, chosen = value
    return inputs, chosen

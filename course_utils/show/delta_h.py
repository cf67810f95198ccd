"""What tuning does to a PLM, in numbers: h becomes h + Δh.

    h        what a layer of the frozen PLM puts out for a token            (d,)
    h + Δh   what the same layer puts out once a method is attached         (d,)

This is the view of He et al. (2022, arXiv:2110.04366, sect. 3), with one difference. The paper
looks at the one place where a method is put and calls Δh what is added there. Here Δh is the
difference at the end of each layer, so it also holds what the layers below have passed on: it can
be compared between methods that act at different places, full fine-tuning among them.

Methods that put vectors in front of the text (soft prompts, prefixes) give no hidden states for
these, so token t is token t for every method. They do move the text's positions back by P, which
alone makes a Δh from the embeddings on.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from course_utils.errors import CourseError
from course_utils.model_facts import plain, tuned_in
from course_utils.plm.architectures import sites
from course_utils.plm.layer_paths import DECODERS
from course_utils.plm.load import position_ids
from course_utils.tuning.positions import Front

INPUTS = ("input_ids", "attention_mask", "token_type_ids")


@torch.no_grad()
def hidden_states(model: nn.Module, batch: Mapping[str, Tensor], *, start: int = 0) -> Tensor:
    """The hidden states of a text: behind the embeddings, then behind each of the L layers.

    Dropout is off. Where padding stands there are states too; they mean nothing.

    Args:
        model: a PLM, with or without a method, or a prompt round one. No encoder-decoder.
        batch: what its tokenizer makes of B texts; other entries, such as labels, are left out.
        start: the position of the text's first token, for a PLM without a method. With start = P
            the text is counted as behind P vectors, without any being there.

    Returns:
        (L + 1, B, T, d). In GPT-2's and Llama's kind the last one is behind the final norm.
    """
    plm = plain(model)
    if getattr(plm.config, "is_encoder_decoder", False):
        raise CourseError(
            f"{type(plm).__name__} has two stacks of layers; Δh is drawn for PLMs with one, such "
            "as BERT, RoBERTa or GPT-2."
        )
    inputs = {name: batch[name].to(plm.device) for name in INPUTS if name in batch}
    if "input_ids" not in inputs:
        raise CourseError(f"the batch needs input_ids; it has {', '.join(batch) or 'nothing'}.")
    if plm.config.model_type in DECODERS and "attention_mask" in inputs:
        inputs["position_ids"] = position_ids(inputs["attention_mask"])
    asked = tuned_in(model) or plm
    if start:
        inputs = Front.of(start, sites(plm), "shift").shift((), inputs)[1]
    training = asked.training
    asked.eval()
    try:
        return torch.stack(asked(**inputs, output_hidden_states=True).hidden_states)
    finally:
        asked.train(training)


def delta_h(before: nn.Module, after: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    """Δh: the hidden states of `after` minus those of `before`, for the same texts.

    Args:
        before: the PLM as it was pre-trained.
        after: a copy of it that is tuned, or carries a method.

    Returns:
        (L + 1, B, T, d): behind the embeddings, then behind each layer.

    Raises:
        CourseError: the two differ in depth or width.
    """
    h, changed = hidden_states(before, batch), hidden_states(after, batch)
    if h.shape != changed.shape:
        raise CourseError(
            f"hidden states of shape {tuple(h.shape)} before and {tuple(changed.shape)} after: "
            "load the same PLM twice, and tune one of the two."
        )
    return changed - h


def relative_change(h: Tensor, delta: Tensor) -> Tensor:
    """|Δh| / |h|, how far each token moved: (..., d), (..., d) -> (...)."""
    return delta.norm(dim=-1) / h.norm(dim=-1)


def kept_by_directions(vectors: Tensor) -> Tensor:
    """How much of a set of vectors lies in its best k directions, for k = 1, 2, 3 ...

    The best k directions are the first k right singular vectors; the share is that of the squared
    lengths, s_1² + ... + s_k² over the sum of all. If every vector is a multiple of one, the first
    share is 1.

    Args:
        vectors: (n, d), such as Δh of n tokens. They are not centred.

    Returns:
        (min(n, d),) shares, rising to 1.
    """
    if vectors.ndim != 2:
        raise CourseError(f"one vector per row, (n, d), is expected, not {tuple(vectors.shape)}.")
    squares = torch.linalg.svdvals(vectors.cpu().double()) ** 2
    if squares.sum() == 0:
        raise CourseError("every vector is zero, so none lies in any direction.")
    return (squares.cumsum(0) / squares.sum()).float()


def plane(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """The plane in which vectors differ most (principal components 1 and 2).

    Args:
        vectors: (n, d).

    Returns:
        the mean (d,) and the two axes (d, 2); a vector x is drawn at (x - mean) @ axes.
    """
    mean = vectors.mean(0)
    axes = torch.linalg.svd(vectors - mean, full_matrices=False)[2][:2].T
    return mean, axes


def nearest_mean_accuracy(
    known: Tensor, known_labels: Tensor, asked: Tensor, asked_labels: Tensor
) -> float:
    """How well classes are apart: how often a vector is nearest to the mean of its own class.

    The means come from other vectors than those asked, for in 128 dimensions the means of a few
    vectors are apart by chance.

    Args:
        known, asked: (n, d) and (m, d).
        known_labels, asked_labels: (n,) and (m,) class numbers.
    """
    classes = known_labels.unique()
    means = torch.stack([known[known_labels == c].mean(0) for c in classes])  # (C, d)
    nearest = classes[torch.cdist(asked, means).argmin(-1)]
    return (nearest == asked_labels).float().mean().item()


@contextmanager
def added(model: nn.Module, change: Tensor, layer: int):
    """Inside the block, `change` is added to what layer number `layer` of the PLM puts out.

    With Δh of a tuned model at the last layer, the frozen PLM's head reads what the tuned model's
    head reads. With λ·Δh it reads something between the two, or beyond.

    Args:
        model: the PLM, or a prompt round it.
        change: (B, T, d), or what broadcasts to it.
        layer: from 1, the first, to L.

    Raises:
        CourseError: no such layer; or the last one of a PLM with a norm behind it, whose hidden
            states at L are those behind the norm.
    """
    found = sites(plain(model))
    last = len(found) if found.post_norm else len(found) - 1
    if not 1 <= layer <= last:
        raise CourseError(
            f"layer {layer}: a change can be added at layers 1 to {last} of this PLM."
        )

    def add(module, args, output):
        if isinstance(output, tuple):
            return (output[0] + change, *output[1:])
        return output + change

    # before transformers' own hook, which records hidden states
    handle = found.layers[layer - 1].module.register_forward_hook(add, prepend=True)
    try:
        yield
    finally:
        handle.remove()

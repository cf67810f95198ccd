"""The pocket models before any training, what they are trained to do, and by which optimiser."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel

from course_utils.plm.pocket.batches import IGNORE
from course_utils.plm.pocket.sizes import Size
from course_utils.plm.pocket.tokenizer import MAX_LENGTH

#: standard deviation of position embeddings at the start, as a share of the words': what is
#: learnt about two words then holds wherever they stand
POSITION = 0.3


def build_model(size: Size, vocabulary: int, seed: int) -> nn.Module:
    """A randomly initialised pocket model.

    What a layer adds to its input starts smaller by sqrt(2 L) than other maps, as in GPT-2
    (Radford et al. 2019, section 2.3): with more layers, words and places are else hard to tell
    from what random layers make of them.

    Args:
        size: its architecture.
        vocabulary: number of tokens V.
        seed: of the initialisation.
    """
    torch.manual_seed(seed)
    std = 1 / math.sqrt(size.width)
    if size.causal:
        config = GPT2Config(
            vocab_size=vocabulary,
            n_positions=MAX_LENGTH,
            n_embd=size.width,
            n_layer=size.layers,
            n_head=size.heads,
            initializer_range=std,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=2,
            eos_token_id=3,
            pad_token_id=0,
        )
        model = GPT2LMHeadModel(config)
        model.transformer.wpe.weight.data.mul_(POSITION)
        return model
    config = BertConfig(
        vocab_size=vocabulary,
        max_position_embeddings=MAX_LENGTH,
        hidden_size=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=4 * size.width,
        initializer_range=std,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=0,
    )
    model = BertForMaskedLM(config)
    model.bert.embeddings.position_embeddings.weight.data.mul_(POSITION)
    for layer in model.bert.encoder.layer:
        for branch in (layer.attention.output, layer.output):
            branch.dense.weight.data.div_(math.sqrt(2 * size.layers))
    return model


def masked_loss(model: BertForMaskedLM, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Mean cross-entropy over the words to be guessed; the LM head runs at those only."""
    labels = batch.pop("labels")
    hidden = model.bert(**batch).last_hidden_state  # (B, T, d)
    at = labels != IGNORE
    return F.cross_entropy(model.cls(hidden[at]), labels[at])


def causal_loss(model: GPT2LMHeadModel, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Weighted mean cross-entropy of the next token."""
    ids = batch["input_ids"]
    # padding stands after a text, where no word of the text looks
    logits = model(
        input_ids=ids,
        position_ids=batch["position_ids"],
        attention_mask=torch.ones_like(ids),
    ).logits[:, :-1]  # (B, T-1, V)
    weights = batch["weights"][:, 1:].reshape(-1)
    targets = batch["labels"][:, 1:].reshape(-1)
    losses = F.cross_entropy(logits.reshape(len(targets), -1), targets, reduction="none")
    return (losses * weights).sum() / weights.sum()


def optimiser(model: nn.Module, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW with decay on matrices only (not on biases and norms)."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98), fused=True)

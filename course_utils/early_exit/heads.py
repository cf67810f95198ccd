"""The exits: a small classifier behind every layer but the last, and the PLM's own behind that.

    v_k = tanh(W_k h_k + b_k)        h_k (d,) the state of layer k at the place the PLM reads
    y_k = V_k v_k + c_k              logits over the labels

as in DeeBERT (Xin et al. 2020, arXiv:2004.12993), whose "off-ramps" are BERT's own pooler and
classifier once more. In PLMs that normalise before each block (GPT-2, Llama) the residual stream
grows from layer to layer, so an exit normalises first, as the PLM's last norm does. DeeBERT starts
W_k from BERT's pooler; here it is drawn, since not every PLM has one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from course_utils.early_exit.walk import Walk
from course_utils.errors import CourseError
from course_utils.plm.architectures import Sites


class ExitHead(nn.Module):
    """One exit: (B, d) -> logits (B, labels) and the vector (B, d) they are made from.

    Args:
        normalise: with a LayerNorm in front.
        std: of the normal distribution the weights are drawn from; biases are 0.
    """

    def __init__(self, d: int, labels: int, *, normalise: bool, dropout: float, std: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d) if normalise else nn.Identity()
        self.pool = nn.Linear(d, d)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(d, labels)
        for linear in (self.pool, self.out):
            nn.init.normal_(linear.weight, std=std)
            nn.init.zeros_(linear.bias)

    def forward(self, state: Tensor) -> tuple[Tensor, Tensor]:
        vector = torch.tanh(self.pool(self.norm(state)))  # (B, d)
        return self.out(self.dropout(vector)), vector


def own_logits(model: nn.Module, sites: Sites, walk: Walk) -> Tensor:
    """(B, labels) from the PLM's own classification head, behind its last layer."""
    if not sites.post_norm:
        return model.score(sites.norms[-1](walk.read()))
    if sites.pooler is not None:
        return model.classifier(model.dropout(sites.pooler(walk.hidden)))
    return model.classifier(walk.hidden)  # RoBERTa's head reads the first token by itself


def check_model(model: nn.Module, sites: Sites) -> None:
    """Refuse what can't have exits.

    Raises:
        CourseError: no classifier of texts, an encoder-decoder, fewer than two layers, or a
            method of tuning attached.
    """
    name, config = type(model).__name__, model.config
    if getattr(model, "tuned_with", None) is not None:
        raise CourseError(
            f"{name} carries {model.tuned_with}; exits go round a plain PLM. Give EarlyExit "
            "tuned.merge(), which has learnt the same."
        )
    if sites.kind == "encoder-decoder":
        raise CourseError(
            f"{name} is an encoder-decoder; exits are for encoders and decoders such as "
            "'pocket-bert-base', 'roberta-base' or 'gpt2'."
        )
    if not name.endswith("ForSequenceClassification"):
        raise CourseError(
            f"exits classify whole texts and {name} does not. Load the PLM with "
            "load_plm(name, head='classifier', num_labels=2)."
        )
    if config.num_labels < 2:
        raise CourseError(
            f"{name} has {config.num_labels} label: a number is predicted, and neither entropy nor "
            "patience is defined for one. Use a task with two or more labels."
        )
    if len(sites) < 2:
        raise CourseError(f"{name} has {len(sites)} layer, so there is nowhere to leave earlier.")
    if len(set(getattr(config, "layer_types", None) or ["full"])) > 1:
        raise CourseError(
            f"the layers of {name} see windows of different sizes, which exits do not support."
        )

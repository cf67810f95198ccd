"""`EarlyExit`: a classifier with an exit behind every layer, trained and asked like any other.

A text that is sure at layer k is computed no further, so that it costs k/L of the layers:

    for k, layer in enumerate(layers):
        hidden = layer(hidden)
        rows that are sure at exit k take their answer and leave the batch

The order of the answers is that of the texts, and each is what the text alone would have got.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.modeling_outputs import ModelOutput

from course_utils.early_exit.heads import ExitHead, check_model, own_logits
from course_utils.early_exit.objectives import CONFIDENCE, HEADS, PLM, JointExits, Objective
from course_utils.early_exit.rules import LearnedConfidence, Rule
from course_utils.early_exit.walk import Walk
from course_utils.errors import CourseError
from course_utils.plm.architectures import sites as sites_of
from course_utils.plm.load import seeded


@dataclass
class ExitOutput(ModelOutput):
    """What an `EarlyExit` answers.

    Attributes:
        loss: when labels were given.
        logits: (B, labels), of the exit each text left at; of the last one without a rule.
        layers: (B,) how many layers each text used.
        exits: (B, L, labels), the logits of every exit; only without a rule.
        confidence: (B, L - 1), the learned confidence at every inner exit; only without a rule.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    layers: Tensor | None = None
    exits: Tensor | None = None
    confidence: Tensor | None = None


class EarlyExit(nn.Module):
    """A PLM with a classification head, and an exit behind each of its other layers.

    It goes through `train` and `evaluate` like any model. With a `rule`, in eval mode and without
    labels, each text leaves where the rule lets it; otherwise all layers and exits are computed.

    Args:
        model: from load_plm(name, head="classifier", ...): BERT's, RoBERTa's, GPT-2's kind.
        rule: when to leave; None leaves at the last exit.
        seed: draws the exits. torch's global generator is untouched.

    Attributes:
        model: the PLM with its own head, which is the last exit.
        heads: the other exits, first to last.
        method: the objective it is trained by (`course_utils.early_exit.objectives`).
        confidence_trained: whether `LearnedConfidence` means anything yet.
    """

    def __init__(self, model: PreTrainedModel, *, rule: Rule | None = None, seed: int = 0) -> None:
        super().__init__()
        if not isinstance(model, PreTrainedModel):
            raise CourseError(
                f"EarlyExit needs the transformers model from load_plm, not {type(model).__name__}."
                " Of a tuned model give tuned.merge()."
            )
        self._sites = sites_of(model)
        check_model(model, self._sites)
        config = model.config
        settings = {
            "normalise": not self._sites.post_norm,
            "dropout": _dropout(config),
            "std": getattr(config, "initializer_range", 0.02),
        }
        d = self._sites.hidden_size
        self.model = model
        with seeded(seed):
            inner = [ExitHead(d, config.num_labels, **settings) for _ in range(self.layers - 1)]
            self.heads = nn.ModuleList(inner)
            self.confidence = nn.Linear(d, 1)
        nn.init.zeros_(self.confidence.weight)
        nn.init.zeros_(self.confidence.bias)
        self.heads.to(model.device, model.dtype)
        self.confidence.to(model.device, model.dtype)
        self.confidence_trained = False
        self.rule = rule
        self.step = 0
        self.method: Objective = JointExits()
        self.train(model.training)

    @property
    def layers(self) -> int:
        """How many layers, and so how many exits."""
        return len(self._sites)

    @property
    def config(self):
        return self.model.config

    @property
    def rule(self) -> Rule | None:
        return self._rule

    @rule.setter
    def rule(self, rule: Rule | None) -> None:
        if rule is not None and not isinstance(rule, Rule):
            raise CourseError(
                f"rule {rule!r}: expected Entropy(...), Patience(...), LearnedConfidence(...) or "
                "None."
            )
        if isinstance(rule, LearnedConfidence) and not self.confidence_trained:
            raise CourseError(
                "LearnedConfidence: the confidence is not trained yet. Call train_exits(..., "
                "confidence=True), or use Entropy or Patience."
            )
        self._rule = rule

    def total(self) -> int:
        """Parameters of the PLM with its own head, without the exits added to it."""
        return sum(p.numel() for p in self.model.parameters())

    def exit_parameters(self) -> int:
        """Parameters added: (L - 1) · (d² + d + labels · (d + 1)), norms, and d + 1 of the
        confidence."""
        return sum(p.numel() for part in (self.heads, self.confidence) for p in part.parameters())

    def trained_by(self, objective: Objective) -> EarlyExit:
        """Train by this objective from now on: only what it moves asks for a gradient."""
        parts = {PLM: self.model, HEADS: self.heads, CONFIDENCE: self.confidence}
        for name, part in parts.items():
            part.requires_grad_(name in objective.moves)
        self.method = objective
        return self

    def begin_step(self, step: int) -> None:
        """Told by the training loop: which optimizer step, from 0, the next loss is for."""
        self.step = step

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> ExitOutput:
        """Answer a batch: (B, T) ids and mask; labels (B,) for a loss."""
        batch = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "token_type_ids": token_type_ids,
        }
        batch = {name: value for name, value in batch.items() if value is not None}
        if self.rule is not None and not self.training and labels is None:
            return self.leave_early(batch, self.rule)
        exits, confidence = self.every_exit(batch)
        loss = None if labels is None else self._loss(exits, confidence, labels)
        layers = torch.full((len(exits),), self.layers, device=exits.device)
        return ExitOutput(loss, exits[:, -1], layers, exits, confidence)

    def every_exit(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Logits (B, L, labels) of all exits and the confidence (B, L - 1) of the inner ones."""
        walk, logits, confidence = Walk(self._sites, batch), [], []
        for layer, head in zip(self._sites, self.heads, strict=False):
            walk.through(layer)
            said, sure = self._at(head, walk)
            logits.append(said)
            confidence.append(sure)
        walk.through(self._sites.layers[-1])
        logits.append(own_logits(self.model, self._sites, walk))
        return torch.stack(logits, 1), torch.stack(confidence, 1)

    @torch.no_grad()
    def leave_early(self, batch: Mapping[str, Tensor], rule: Rule) -> ExitOutput:
        """The batch with every row leaving where the rule lets it; rows in their own order."""
        walk = Walk(self._sites, batch)
        rows = torch.arange(len(walk.hidden), device=walk.hidden.device)  # who is still in
        answers = walk.hidden.new_empty(len(rows), self.config.num_labels, dtype=torch.float)
        layers = torch.full_like(rows, self.layers)
        logits = answers.new_empty(len(rows), 0, self.config.num_labels)  # (B, k, labels) so far
        confidence = answers.new_empty(len(rows), 0)  # (B, k)
        for k, head in enumerate(self.heads):
            walk.through(self._sites.layers[k])
            said, sure = self._at(head, walk)
            logits = torch.cat([logits, said.float().unsqueeze(1)], 1)
            confidence = torch.cat([confidence, sure.float().unsqueeze(1)], 1)
            leaves = rule.sure(logits, confidence)  # (B,)
            answers[rows[leaves]], layers[rows[leaves]] = logits[leaves, -1], k + 1
            stay = ~leaves
            rows, logits, confidence = rows[stay], logits[stay], confidence[stay]
            if len(rows) == 0:
                return ExitOutput(logits=answers, layers=layers)
            if len(rows) < len(stay):
                walk.keep(stay)
        walk.through(self._sites.layers[-1])
        answers[rows] = own_logits(self.model, self._sites, walk).float()
        return ExitOutput(logits=answers, layers=layers)

    def _at(self, head: ExitHead, walk: Walk) -> tuple[Tensor, Tensor]:
        """Logits (B, labels) and confidence (B,) at an inner exit.

        The vector is detached: learning when to trust an exit changes nothing in it.
        """
        said, vector = head(walk.read())
        return said, torch.sigmoid(self.confidence(vector.detach())).squeeze(-1)

    def _loss(self, exits: Tensor, confidence: Tensor, labels: Tensor) -> Tensor:
        if CONFIDENCE in self.method.moves:
            right = (exits[:, :-1].argmax(-1) == labels.unsqueeze(1)).float()  # (B, L - 1)
            return F.mse_loss(confidence.float(), right)
        weights = self.method.weigh(self.layers, self.step)
        losses = [F.cross_entropy(exits[:, k].float(), labels) for k in range(self.layers)]
        # A weight of 0 stays in the sum, so that every parameter takes part in every step, which
        # training on several GPUs needs.
        return sum(w * loss for w, loss in zip(weights, losses, strict=True))


def _dropout(config) -> float:
    """The dropout in front of the PLM's own classifier, under its several names."""
    names = ("classifier_dropout", "hidden_dropout_prob", "resid_pdrop")
    return next((v for n in names if (v := getattr(config, n, None)) is not None), 0.0)

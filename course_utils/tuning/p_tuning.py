"""P-tuning: GPT Understands, Too (Liu et al., 2021, arXiv:2103.10385), "v1" since there is a v2.

The same place as a soft prompt's, P vectors in front of the input, but the vectors are not free:

    h_i = [LSTM→(E)_i ; LSTM←(E)_i]                                          (paper, eq. 2 and 3)
    P_i = W_2 relu(W_1 h_i + b_1) + b_2              E: (P, d)    h: (P, 2·k)    P: (P, d)

The paper gives two reasons: word embeddings are far apart, so that a free vector started at random
hardly leaves its neighbourhood; and words of a prompt depend on each other, free vectors do not. A
recurrent network over the places couples them. `encoder="mlp"` is the variant without recurrence.

Like prefix tuning's MLP the encoder is a training aid: what it computes is the same for every
text. `tuned.save` keeps the P vectors alone, and what `load_tuned` gives is a plain `SoftPrompt`.

The paper also lets the vectors stand between the words of a template ("[P_0..i], text, [P], gap").
That is a template with soft tokens here: see `course_utils.prompting`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from course_utils.errors import unknown_name
from course_utils.plm.architectures import Sites
from course_utils.tuning.input_prompt import InputPrompt, PromptVectors
from course_utils.tuning.method import Method, Term, require
from course_utils.tuning.placement import Placement
from course_utils.tuning.positions import Front
from course_utils.tuning.soft_prompt import SoftPrompt

ENCODERS = ("lstm", "mlp")


@dataclass(frozen=True)
class PTuning(InputPrompt):
    """Train an encoder that makes the vectors in front of the input.

    Args:
        length: P, the number of vectors.
        encoder: "lstm", two layers in both directions and a network of two maps; or "mlp", three
            maps with ReLU between them.
        hidden: k, the width inside; 0 takes d / 2, the paper's program's (each direction of its
            LSTM is half as wide as the PLM), for "mlp" d.
    """

    encoder: str = "lstm"
    hidden: int = 0

    name = "p-tuning"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.encoder not in ENCODERS:
            raise unknown_name("P-tuning encoder", self.encoder, ENCODERS)
        require(
            isinstance(self.hidden, int) and self.hidden >= 0,
            f"PTuning(hidden={self.hidden!r}): the encoder's width is a whole number; 0 takes the "
            "PLM's.",
        )

    def vectors(self, placement: Placement, front: Front) -> EncodedVectors:
        width = placement.sites.embeddings[0].out_features
        encoder = LSTMEncoder if self.encoder == "lstm" else MLPEncoder
        return EncodedVectors(front, width, encoder(width, self._hidden(width)))

    def terms(self, model, sites: Sites) -> list[Term]:
        d = sites.embeddings[0].out_features
        k = self._hidden(d)
        table = Term(f"{self.length}·{d:,}", self.length * d)
        if self.encoder == "mlp":
            text = f"MLP ({d:,} + 1)·{k:,} + ({k:,} + 1)·{k:,} + ({k:,} + 1)·{d:,}"
            return [table, Term(text, (d + 1) * k + (k + 1) * k + (k + 1) * d)]
        lstm = 2 * 4 * k * (d + k + 2) + 2 * 4 * k * (2 * k + k + 2)
        maps = (2 * k + 1) * 2 * k + (2 * k + 1) * d
        return [
            table,
            Term(f"LSTM 8·{k:,}·({d:,} + {k:,} + 2) + 8·{k:,}·({3 * k:,} + 2)", lstm),
            Term(f"MLP ({2 * k:,} + 1)·({2 * k:,} + {d:,})", maps),
        ]

    def kept(self, placement: Placement) -> tuple[Method, dict[str, torch.Tensor]]:
        """The vectors alone; the encoder that made them is not kept."""
        host = placement.sites.entry
        with torch.no_grad():
            table = host.soft_prompt.table()
        path = next(n for n, module in placement.model.named_modules() if module is host)
        name = f"{path}.soft_prompt.weight" if path else "soft_prompt.weight"
        return SoftPrompt(length=self.length, init="random"), {name: table}

    def _hidden(self, width: int) -> int:
        return self.hidden or (width // 2 if self.encoder == "lstm" else width)


class EncodedVectors(PromptVectors):
    """P = encoder(E), (P, d) -> (P, d)."""

    def __init__(self, front: Front, width: int, encoder: nn.Module):
        super().__init__(front)
        self.start = nn.Parameter(torch.randn(front.length, width))  # E
        self.encoder = encoder

    def table(self) -> torch.Tensor:
        # P rows are little work, and not every processor has an LSTM in 16 bit.
        with torch.autocast(self.start.device.type, enabled=False):
            return self.encoder(self.start)


class LSTMEncoder(nn.Module):
    """(P, d) -> (P, d): two layers of LSTM in both directions, then W_2 relu(W_1 h)."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.lstm = nn.LSTM(width, hidden, num_layers=2, bidirectional=True, batch_first=True)
        self.mlp = nn.Sequential(
            nn.Linear(2 * hidden, 2 * hidden), nn.ReLU(), nn.Linear(2 * hidden, width)
        )

    def forward(self, start: torch.Tensor) -> torch.Tensor:
        # cuDNN gives gradients in train mode only; without dropout the modes do not differ
        fast = self.training or not torch.is_grad_enabled()
        with torch.backends.cudnn.flags(enabled=fast):
            states, _ = self.lstm(start.unsqueeze(0))  # (1, P, 2·k)
        return self.mlp(states[0])


class MLPEncoder(nn.Sequential):
    """(P, d) -> (P, d): three maps, each place by itself."""

    def __init__(self, width: int, hidden: int):
        super().__init__(
            nn.Linear(width, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, width),
        )

"""Soft tokens: trained vectors where a template has {soft:N} (P-tuning, Liu et al. 2021).

They stand between words, where the template puts them, and enter the PLM beside the embeddings of
real tokens; positions and layer norm are then added by the PLM as for any word.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from course_utils.errors import CourseError, unknown_name


class SoftTokens(nn.Module):
    """A table of N vectors.

    Args:
        embeddings: the PLM's word embeddings (V, d), for the size and the start.
        count: N, the template's `n_soft`.
        init: "vocabulary" starts from N rows drawn from `embeddings`, "random" from a normal
            distribution with their standard deviation.
        ids: start from these N rows instead: the ids of a hint in words.
        seed: of the draw.

    Shape:
        forward() -> (N, d)
    """

    def __init__(
        self,
        embeddings: Tensor,
        count: int,
        *,
        init: Literal["vocabulary", "random"] = "vocabulary",
        ids: list[int] | None = None,
        seed: int = 0,
    ):
        super().__init__()
        embeddings = embeddings.detach()
        generator = torch.Generator().manual_seed(seed)
        if ids is not None:
            if len(ids) != count:
                raise CourseError(f"{count} soft tokens can't start from {len(ids)} ids.")
            start = embeddings[torch.tensor(ids, device=embeddings.device)]
        elif init == "vocabulary":
            rows = torch.randint(embeddings.shape[0], (count,), generator=generator)
            start = embeddings[rows.to(embeddings.device)]
        elif init == "random":
            noise = torch.randn(count, embeddings.shape[1], generator=generator)
            start = noise.to(embeddings) * embeddings.std()
        else:
            raise unknown_name("start of soft tokens", init, ("vocabulary", "random"))
        self.weight = nn.Parameter(start.clone())  # (N, d)

    def forward(self) -> Tensor:
        return self.weight


def put_in(embedded: Tensor, soft: Tensor, positions: Tensor) -> Tensor:
    """Replace the rows of `embedded` (B, T, d) at `positions` (B, N) by `soft` (N, d)."""
    index = positions.unsqueeze(-1).expand(-1, -1, embedded.shape[-1])  # (B, N, d)
    rows = soft.to(embedded.dtype).unsqueeze(0).expand(embedded.shape[0], -1, -1)
    return embedded.scatter(1, index, rows)

"""Word vectors from counts: what the pocket models' embeddings start from.

Which words stand in one document is counted, turned into positive pointwise mutual information

    PPMI(a, b) = max(0, log( p(a, b) / (p(a) p(b)) ))

and factorised (Levy and Goldberg 2014). Words that are used alike start close to each other.
From random embeddings, models of this size stay at chance on every cue for millions of tokens;
from these the first cues are learnt in a few hundred thousand.
"""

from __future__ import annotations

from itertools import islice

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.sparse.linalg import eigsh

from course_utils.plm.pocket.batches import Encoder
from course_utils.plm.pocket.corpus import GENRES, documents
from course_utils.plm.pocket.world import World

#: genres in which words that stand together belong together (no questions answered by "no")
COUNTED = (
    "review", "aspect", "news", "cause", "sense", "definition", "fact", "names", "roles",
    "table", "talk",
)  # fmt: skip


OWN = 0.5  # length of a word's random part; the part from counts has length 1


def word_vectors(
    world: World, encoder: Encoder, width: int, *, seed: int = 0, sample: int = 50_000
) -> torch.Tensor:
    """Unit-length vectors (V, d), randomly rotated so that no dimension stands out.

    Args:
        world: whose corpus is counted.
        encoder: documents to ids.
        width: dimensions d.
        seed: of the rotation, and of the vectors of tokens that were not seen.
        sample: documents counted, as many again of the easy ones.
    """
    together = np.zeros((encoder.size, encoder.size), dtype=np.float32)
    shares = {name: GENRES[name][1] for name in COUNTED}
    for easy in (True, False):
        for document in islice(documents(world, 11 + easy, easy, shares), sample):
            ids = np.unique(encoder(document)[0])
            together[np.ix_(ids, ids)] += 1
    np.fill_diagonal(together, 0)
    matrix = csr_array(_ppmi(together), dtype=np.float64)  # (V, V)
    # a fixed start vector: the same vectors in every run
    values, vectors = eigsh(matrix, k=width, which="LM", v0=np.ones(encoder.size))
    embedding = torch.from_numpy(vectors * np.sqrt(np.abs(values)))  # (V, d)
    embedding = embedding - embedding.mean(0)
    generator = torch.Generator().manual_seed(seed)
    rotation, _ = torch.linalg.qr(torch.randn(width, width, generator=generator))
    embedding = embedding.float() @ rotation
    unseen = torch.from_numpy(together.sum(1) == 0)
    embedding[unseen] = 0.0
    # words of one context have one vector; a part of their own tells them apart
    own = torch.randn(embedding.shape, generator=generator)
    embedding = _unit(embedding) + OWN * _unit(own)
    return _unit(embedding)


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    return vectors / vectors.norm(dim=1, keepdim=True).clamp_min(1e-8)


def _ppmi(together: np.ndarray) -> np.ndarray:
    total, each = together.sum(), together.sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        information = np.log(together * total / np.outer(each, each))
    return np.maximum(np.nan_to_num(information, neginf=0.0, posinf=0.0), 0.0)

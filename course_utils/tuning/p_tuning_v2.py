"""P-tuning v2: Prompt Tuning Can Be Comparable to Fine-tuning Across Scales and Tasks (Liu et al.,
2022, arXiv:2110.07602).

Prefix tuning was made for writing text with GPT-2. P-tuning v2 takes the same deep prompts, a
trained key and value at P places in front of every layer, to understanding with BERT and RoBERTa,
and finds that they match full fine-tuning at every size and on hard sequence labelling too. What
it changes (paper, sect. 3.3):

* keys and values are trained directly; the MLP helps on some tasks and hurts on others, so it is
  an option (`mlp=512` is the authors' width);
* an ordinary linear head reads [CLS], or every token, instead of a verbalizer (RoBERTa's usual
  classifier, which stays as it is here, has a hidden layer, and that is trained with it);
* the length is chosen per task: up to 20 for simple classification, about 100 for labelling.

In the authors' code keys and values start like BERT's own weights, normal with standard deviation
0.02, and dropout falls on them, anew for each example. With a start of standard deviation 1, as
other libraries have it, the published learning rates do not carry over.

The size is 2·L·P·d: 24 layers × 2·20·1,024 = 983,040 for BERT-large, 0.3 % of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from course_utils.tuning.keys_and_values import BlockPrefix
from course_utils.tuning.placement import Placement
from course_utils.tuning.prefix import Prefix, start_small


@dataclass(frozen=True)
class PTuningV2(Prefix):
    """Train keys and values in front of the text, directly and with dropout.

    Args:
        length: P; the authors take 8 to 224, by task.
        mlp: k, the width of an MLP that makes keys and values in training; 0 is none.
        dropout: probability of dropping a number of a key or value while training.
    """

    length: int = 20
    mlp: int = 0
    dropout: float = 0.1

    name = "p-tuning-v2"

    def start(self, placement: Placement, prefixes: Sequence[BlockPrefix]) -> None:
        start_small(prefixes)

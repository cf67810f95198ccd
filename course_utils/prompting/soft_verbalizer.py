"""A soft verbalizer: a trained vector per label instead of words (WARP, Hambardzumyan et al. 2021).

The LM head scores word w at the mask by h · e_w + b_w, with h the hidden vector there and e_w, b_w
the head's row of w. A manual verbalizer averages those scores over a label's words; the score is
linear in e_w, so that is h · mean(e_w) + mean(b_w). A label vector started from the mean row of its
words therefore answers exactly like the words, and training can move it where no word is.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from course_utils.errors import CourseError
from course_utils.prompting.scoring import blank_logits, plm_of, take
from course_utils.prompting.tokens import Kind
from course_utils.prompting.verbalizer import Verbalizer


class SoftVerbalizer(nn.Module):
    """Label vectors (n_labels, d) and biases (n_labels,), a linear map from h to label scores.

    Args:
        weight: (n_labels, d) where the vectors start.
        bias: (n_labels,) where the biases start.

    Shape:
        (..., d) -> (..., n_labels)
    """

    def __init__(self, weight: Tensor, bias: Tensor):
        super().__init__()
        self.weight = nn.Parameter(weight.detach().clone())
        self.bias = nn.Parameter(bias.detach().clone())

    @classmethod
    def from_words(cls, verbalizer: Verbalizer, tokenizer, model: nn.Module) -> SoftVerbalizer:
        """Started from the LM head's rows of the label words: answers as the words do.

        Raises:
            CourseError: words of several tokens, or words combined otherwise than by their mean.
        """
        if verbalizer.lengths(tokenizer) != (1,) or verbalizer.combine != "mean":
            raise CourseError(
                "a soft verbalizer starts from words of one token, combined by their mean."
            )
        head = plm_of(model).get_output_embeddings()
        rows, biases = head.weight.detach(), getattr(head, "bias", None)
        groups = [[token for (token,) in words] for words in verbalizer.token_ids(tokenizer)]
        weight = torch.stack([rows[group].mean(dim=0) for group in groups])  # (n_labels, d)
        bias = weight.new_zeros(len(groups))
        if biases is not None:
            bias = torch.stack([biases.detach()[group].mean() for group in groups])
        return cls(weight, bias)

    def forward(self, hidden: Tensor) -> Tensor:
        return nn.functional.linear(hidden, self.weight, self.bias)


def hidden_at(
    model: nn.Module, inputs: Mapping[str, Tensor], positions: Tensor, kind: Kind, mask: int
) -> Tensor:
    """(B, M, d): what the LM head's last map reads at the blanks; see `blank_logits`."""
    head = plm_of(model).get_output_embeddings()
    seen: list[Tensor] = []
    handle = head.register_forward_pre_hook(lambda _module, args: seen.append(args[0]))
    try:
        blank_logits(model, inputs, positions, kind, mask)
    finally:
        handle.remove()
    hidden = seen[-1]
    if kind == "seq2seq":
        return hidden[:, -1:]
    if hidden.shape[1] == positions.shape[1]:
        return hidden
    text = inputs["input_ids"] if "input_ids" in inputs else inputs["inputs_embeds"]
    return take(hidden, positions + hidden.shape[1] - text.shape[1])

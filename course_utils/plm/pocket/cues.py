"""How well a pocket model guesses each kind of cue: what gates and judges pre-training."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import islice

import torch

from course_utils.plm.pocket.corpus import GENRES, Document
from course_utils.plm.pocket.examples import EXAMPLES
from course_utils.plm.pocket.scenes import Pick
from course_utils.plm.pocket.wordings import WORDINGS
from course_utils.plm.pocket.world import make_world

#: genres whose cues are single words that the rest of the text determines
GUESSED = (
    "relation", "order", "binding by place", "binding", "verified", "referent",
    "referent by place", "role", "role by place", "gloss", "cause", "definition", "fact", "roles",
    "names", "table",
)  # fmt: skip


@torch.no_grad()
def cue_accuracies(
    model,
    tokenizer,
    *,
    easy: bool = False,
    few: bool = False,
    only: Sequence[str] | None = None,
    examples: int = 160,
    seed: int = 99,
) -> dict[str, float]:
    """Accuracy per cue.

    Tasks: the label whose words get the highest mean logit, over the seen wordings; genres in
    GUESSED: the masked word itself, out of the whole vocabulary.

    Chance is one over the number of labels for a task and about 0 for a genre.
    """
    was_training = model.training
    model.eval()
    world = make_world()
    pick = Pick(random.Random(seed), world.few() if few else world)
    wanted = only or (*EXAMPLES, *GUESSED)
    accuracy = {
        cue: (_labels if cue in EXAMPLES else _words)(model, tokenizer, cue, pick, easy, examples)
        for cue in wanted
    }
    model.train(was_training)
    return {cue: round(value, 3) for cue, value in accuracy.items()}


def _labels(model, tokenizer, task: str, pick: Pick, easy: bool, examples: int) -> float:
    right = 0
    wordings = [w for w in WORDINGS[task] if w.seen]
    if _is_causal(model):
        wordings = [w for w in wordings if "{mask}" in w.pattern[-9:]]
    per = examples // len(wordings)
    for wording in wordings:
        drawn = [EXAMPLES[task](pick, easy) for _ in range(per)]
        texts = [wording.pattern.replace("{mask}", "<?>").format(**fields) for fields, _ in drawn]
        logits = _mask_logits(model, tokenizer, texts)  # (N, V)
        scores = torch.stack(
            [logits[:, tokenizer.convert_tokens_to_ids(list(ws))].mean(1) for ws in wording.words],
            dim=1,
        )
        right += (
            (scores.argmax(1).cpu() == torch.tensor([label for _, label in drawn])).sum().item()
        )
    return right / (per * len(wordings))


def _words(model, tokenizer, genre: str, pick: Pick, easy: bool, examples: int) -> float:
    function = GENRES[genre][0]
    texts, targets = [], []
    for document in islice((Document(genre, function(pick, easy)) for _ in iter(int, 1)), examples):
        words = document.text.split()
        cues = [i for i, w in enumerate(words) if len(w) > 2 and w[0] == "<" and w[-1] == ">"]
        at = cues[-1] if _is_causal(model) else pick.of(cues)
        targets.append(tokenizer.convert_tokens_to_ids(words[at][1:-1]))
        plain = [w[1:-1] if i in cues else w for i, w in enumerate(words)]
        plain[at] = "<?>"
        texts.append(" ".join(plain))
    guesses = _mask_logits(model, tokenizer, texts).argmax(1).cpu()
    return (guesses == torch.tensor(targets)).float().mean().item()


def _mask_logits(model, tokenizer, texts: list[str]) -> torch.Tensor:
    """Logits (N, V) for the word at "<?>" in each text."""
    device = next(model.parameters()).device
    if _is_causal(model):
        texts = [t.split("<?>")[0].strip() for t in texts]
        batch = tokenizer(texts, return_tensors="pt", padding=True, padding_side="right")
        last = batch["attention_mask"].sum(1) - 1
        hidden = model.transformer(**batch.to(device)).last_hidden_state
        return model.lm_head(hidden[torch.arange(len(texts)), last])
    texts = [t.replace("<?>", tokenizer.mask_token) for t in texts]
    batch = tokenizer(texts, return_tensors="pt", padding=True).to(device)
    hidden = model.bert(**batch).last_hidden_state
    return model.cls(hidden[batch["input_ids"] == tokenizer.mask_token_id])


def _is_causal(model) -> bool:
    return model.config.model_type == "gpt2"

"""Wrong answers to HW-Prompt, of the kinds students write.

Each says whether the visible check catches it ("visible": before it is handed in) or only the
judge's ("hidden": it looks right).
"""

from __future__ import annotations

from typing import NamedTuple

from hw_prompt_pieces import (
    CAT,
    COUNT,
    ENOUGH,
    FORMAT,
    GAP,
    INIT,
    ONES,
    ROWS,
    RUN,
    STRIP,
    VALUES,
    WORDS,
    extend,
)


class Wrong(NamedTuple):
    cell: str
    slip: str
    bodies: list[str]
    caught: str  #: "visible" or "hidden"


WRONG = [
    # 1a
    Wrong("fill-template", "no stripping", [COUNT + FORMAT], "visible"),
    Wrong("fill-template", "no refusal", [STRIP + FORMAT], "visible"),
    Wrong(
        "fill-template",
        "two gaps let through",
        ['if "{mask}" not in template:\n    raise ValueError(template)\n' + STRIP + FORMAT],
        "hidden",
    ),
    Wrong(
        "fill-template",
        "replace after replace also replaces in the texts",
        [
            COUNT + STRIP + 'text = template.replace("{premise}", premise)\n'
            'return text.replace("{hypothesis}", hypothesis).replace("{mask}", mask_token)\n'
        ],
        "hidden",
    ),
    Wrong(
        "fill-template",
        "only full stops go",
        [
            COUNT + 'p, h = (t.strip().rstrip(". ") for t in (premise, hypothesis))\n'
            "return template.format(premise=p, hypothesis=h, mask=mask_token)\n"
        ],
        "hidden",
    ),
    Wrong(
        "fill-template",
        "one mark goes, not all",
        [
            COUNT + "p, h = (t.strip() for t in (premise, hypothesis))\n"
            'p, h = (t[:-1].strip() if t[-1:] in tuple(".?!") else t for t in (p, h))\n'
            "return template.format(premise=p, hypothesis=h, mask=mask_token)\n"
        ],
        "hidden",
    ),
    Wrong(
        "fill-template",
        "all marks go, also inside",
        [
            COUNT
            + 'p, h = (t.replace(".", "").strip().rstrip("?! ") for t in (premise, hypothesis))\n'
            "return template.format(premise=p, hypothesis=h, mask=mask_token)\n"
        ],
        "hidden",
    ),
    Wrong(
        "fill-template",
        "BERT's gap for every model",
        [COUNT + STRIP + FORMAT.replace("mask=mask_token", 'mask="[MASK]"')],
        "hidden",
    ),
    Wrong(
        "fill-template",
        "the filled text is searched for a gap, not the template",
        [
            STRIP + "text = template.format(premise=premise, hypothesis=hypothesis, "
            'mask="{mask}")\nif "{mask}" not in text:\n    raise ValueError(template)\n'
            'return text.replace("{mask}", mask_token, 1)\n'
        ],
        "hidden",
    ),
    # 1b
    Wrong(
        "label-scores",
        "sum, not mean",
        [GAP + "return torch.stack([at[:, w].sum(-1) for w in label_words], -1)"],
        "visible",
    ),
    Wrong(
        "label-scores",
        "mean over the batch",
        [GAP + "return torch.stack([at[:, w].mean(0) for w in label_words[:1] * 2], -1)"],
        "visible",
    ),
    Wrong(
        "label-scores",
        "the gap of the first text for all",
        [
            "at = logits[:, mask_positions[0]]\n"
            "return torch.stack([at[:, w].mean(-1) for w in label_words], -1)"
        ],
        "visible",
    ),
    Wrong(
        "label-scores",
        "mean over all positions",
        ["at = logits.mean(1)\nreturn torch.stack([at[:, w].mean(-1) for w in label_words], -1)"],
        "visible",
    ),
    Wrong(
        "label-scores",
        "probabilities, not logits",
        [
            GAP
            + "p = at.softmax(-1)\nreturn torch.stack([p[:, w].mean(-1) for w in label_words], -1)"
        ],
        "visible",
    ),
    Wrong(
        "label-scores",
        "only the first word of a label",
        [GAP + "return torch.stack([at[:, w[0]] for w in label_words], -1)"],
        "visible",
    ),
    Wrong(
        "label-scores",
        "labels first",
        [GAP + "return torch.stack([at[:, w].mean(-1) for w in label_words])"],
        "visible",
    ),
    Wrong(
        "label-scores",
        "numbers without a gradient",
        [
            GAP + "return torch.tensor([[r[w].mean().item() for w in label_words] for r in at], "
            "dtype=logits.dtype)"
        ],
        "hidden",
    ),
    Wrong(
        "label-scores",
        "always float32",
        [GAP + "return torch.stack([at[:, w].float().mean(-1) for w in label_words], -1)"],
        "hidden",
    ),
    Wrong(
        "label-scores",
        "squeeze takes a batch of one away",
        [
            "at = logits.gather(1, mask_positions.view(-1, 1, 1).expand(-1, 1, logits.size(2)))"
            ".squeeze()\nreturn torch.stack([at[..., w].mean(-1) for w in label_words], -1)"
        ],
        "hidden",
    ),
    Wrong(
        "label-scores",
        "as many labels as in the example",
        [GAP + "return torch.stack([at[:, label_words[i]].mean(-1) for i in (0, 1)], -1)"],
        "hidden",
    ),
    Wrong(
        "label-scores",
        "each word counts for one label only",
        [
            GAP + "owner = {w: y for y, ws in enumerate(label_words) for w in ws}\n"
            "mine = [[w for w in ws if owner[w] == y] for y, ws in enumerate(label_words)]\n"
            "return torch.stack([at[:, w].mean(-1) for w in mine], -1)"
        ],
        "hidden",
    ),
    # 1c
    Wrong("label-probabilities", "softmax over the texts", ["return scores.softmax(0)"], "visible"),
    Wrong("label-probabilities", "no calibration", ["return scores.softmax(-1)"], "visible"),
    Wrong(
        "label-probabilities",
        "calibrated but not made to sum to 1",
        [
            "p = scores.softmax(-1)\n"
            "return p if content_free is None else p / content_free.softmax(-1)"
        ],
        "visible",
    ),
    Wrong(
        "label-probabilities",
        "exponentials overflow",
        [
            "if content_free is not None:\n    scores = scores - content_free\n"
            "p = scores.exp()\nreturn p / p.sum(-1, keepdim=True)"
        ],
        "hidden",
    ),
    Wrong(
        "label-probabilities",
        "a sigmoid, right for two labels only",
        [
            "if content_free is not None:\n    scores = scores - content_free\n"
            "p = torch.sigmoid(scores[:, 1] - scores[:, 0])\nreturn torch.stack([1 - p, p], 1)"
        ],
        "hidden",
    ),
    Wrong(
        "label-probabilities",
        "the given scores are changed",
        ["if content_free is not None:\n    scores -= content_free\nreturn scores.softmax(-1)"],
        "hidden",
    ),
    Wrong(
        "label-probabilities",
        "no gradient",
        [
            "if content_free is not None:\n    scores = scores - content_free\n"
            "return scores.detach().softmax(-1)"
        ],
        "hidden",
    ),
    # 2a
    Wrong(
        "soft-prompt",
        "memory shared with the vocabulary",
        [
            "rows = word_embeddings.weight[start : start + length]\n"
            + ENOUGH
            + "self.prompt = nn.Parameter(rows)",
            CAT,
        ],
        "hidden",
    ),
    Wrong(
        "soft-prompt",
        "a tensor, not a parameter",
        [ROWS + ENOUGH + "self.prompt = rows.requires_grad_(True)", CAT],
        "visible",
    ),
    Wrong(
        "soft-prompt",
        "the vocabulary becomes part of the module",
        [INIT + "self.words = word_embeddings", CAT],
        "visible",
    ),
    Wrong(
        "soft-prompt",
        "random vectors",
        [INIT.replace("nn.Parameter(rows)", "nn.Parameter(torch.randn_like(rows))"), CAT],
        "visible",
    ),
    Wrong(
        "soft-prompt",
        "rows from the beginning of the vocabulary",
        [INIT.replace("[start : start + length]", "[:length]"), CAT],
        "visible",
    ),
    Wrong(
        "soft-prompt",
        "the default start for every start",
        [INIT.replace("[start : start + length]", "[5 : 5 + length]"), CAT],
        "hidden",
    ),
    Wrong(
        "soft-prompt",
        "as trainable as the vocabulary",
        [
            ROWS + ENOUGH + "self.prompt = nn.Parameter(rows, "
            "requires_grad=word_embeddings.weight.requires_grad)",
            CAT,
        ],
        "hidden",
    ),
    Wrong(
        "soft-prompt",
        "the vocabulary is unfrozen",
        [INIT + "word_embeddings.weight.requires_grad_(True)", CAT],
        "hidden",
    ),
    Wrong("soft-prompt", "too short without a word", [INIT.replace(ENOUGH, ""), CAT], "hidden"),
    Wrong(
        "soft-prompt",
        "behind the text",
        [INIT, CAT.replace("[prompt, inputs_embeds]", "[inputs_embeds, prompt]")],
        "hidden",
    ),
    Wrong(
        "soft-prompt",
        "cut off from the gradient",
        [INIT, CAT.replace("self.prompt.expand", "self.prompt.data.expand")],
        "hidden",
    ),
    Wrong(
        "soft-prompt",
        "added to the text, not put before it",
        [
            INIT,
            "B, d = len(inputs_embeds), inputs_embeds.size(2)\n"
            "pad = inputs_embeds.new_zeros(B, len(self.prompt), d)\n"
            "return torch.cat([pad, inputs_embeds], 1) + self.prompt.mean()",
        ],
        "hidden",
    ),
    # 2b
    Wrong("extend-batch", "the mask stays", extend(values='{"labels": -100}'), "visible"),
    Wrong("extend-batch", "zeros in the mask", extend(VALUES.replace(": 1", ": 0")), "visible"),
    Wrong("extend-batch", "room behind", extend(order="[batch[name], extra]"), "visible"),
    Wrong("extend-batch", "labels of 0", extend(VALUES.replace("-100", "0")), "visible"),
    Wrong("extend-batch", "the gap stays", extend(shift="0"), "visible"),
    Wrong("extend-batch", "a shift by one too few", extend(shift="length - 1"), "visible"),
    Wrong(
        "extend-batch",
        "segments forgotten",
        extend('{"attention_mask": 1, "labels": -100}'),
        "hidden",
    ),
    Wrong(
        "extend-batch",
        "prompt in a segment of its own",
        extend('{"attention_mask": 1, "token_type_ids": 1, "labels": -100}'),
        "hidden",
    ),
    Wrong(
        "extend-batch",
        "always int64",
        extend(order="[extra.long(), batch[name].long()]"),
        "hidden",
    ),
    Wrong(
        "extend-batch",
        "further keys dropped",
        [extend()[0].replace("dict(batch)", "{}")],
        "hidden",
    ),
    Wrong(
        "extend-batch",
        "the given batch is changed",
        [extend()[0].replace("dict(batch)", "batch")],
        "hidden",
    ),
    Wrong(
        "extend-batch",
        "the given positions are changed",
        [
            extend()[0].replace(
                'longer["mask_positions"] = batch["mask_positions"] + length',
                'longer["mask_positions"] += length',
            )
        ],
        "hidden",
    ),
    Wrong(
        "extend-batch",
        "keys that were not given",
        [extend()[0].replace("return longer", 'longer.setdefault("labels", None)\nreturn longer')],
        "hidden",
    ),
    # 2c
    Wrong(
        "prompted-logits",
        "positions and LayerNorm twice",
        ["words = model.bert.embeddings(input_ids)\n" + ONES + RUN],
        "visible",
    ),
    Wrong(
        "prompted-logits",
        "the prompt is embedded too",
        [
            WORDS + ONES + "words = model.bert.embeddings(inputs_embeds=soft_prompt(words))\n"
            "return model(inputs_embeds=words, attention_mask=mask).logits"
        ],
        "visible",
    ),
    Wrong(
        "prompted-logits",
        "mask not extended",
        [WORDS + "mask = attention_mask\n" + RUN],
        "visible",
    ),
    Wrong("prompted-logits", "no mask", [WORDS + "mask = None\n" + RUN], "visible"),
    Wrong(
        "prompted-logits",
        "prompt masked out",
        [WORDS + ONES.replace("new_ones", "new_zeros") + RUN],
        "visible",
    ),
    Wrong(
        "prompted-logits",
        "positions of the text start at 0 again",
        [
            WORDS + ONES + "p, t = len(soft_prompt.prompt), input_ids.size(1)\n"
            "ids = torch.cat([torch.arange(p), torch.arange(t)])[None]\n"
            "return model(inputs_embeds=soft_prompt(words), attention_mask=mask, "
            "position_ids=ids).logits"
        ],
        "visible",
    ),
    Wrong(
        "prompted-logits",
        "the prompt's logits cut off",
        [WORDS + ONES + RUN.replace(".logits", ".logits[:, len(soft_prompt.prompt) :]")],
        "visible",
    ),
    Wrong(
        "prompted-logits",
        "only BERT",
        ["words = model.bert.embeddings.word_embeddings(input_ids)\n" + ONES + RUN],
        "hidden",
    ),
    Wrong(
        "prompted-logits",
        "no gradient",
        ["with torch.no_grad():\n    " + WORDS + "    " + ONES + "    " + RUN],
        "hidden",
    ),
    Wrong(
        "prompted-logits",
        "the prompt's start, not the prompt",
        [
            "ids = torch.cat([torch.arange(5, 5 + len(soft_prompt.prompt)).expand(len(input_ids), "
            "-1), input_ids], 1)\n" + ONES + "return model(ids, attention_mask=mask).logits"
        ],
        "hidden",
    ),
]

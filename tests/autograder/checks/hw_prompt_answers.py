"""Answers to HW-Prompt: right ones in many words, and wrong ones of the kinds students write.

A wrong answer says whether the visible check catches it ("visible": before it is handed in) or only
the judge's ("hidden": it looks right).
"""

from __future__ import annotations

from typing import NamedTuple


class Wrong(NamedTuple):
    cell: str
    slip: str
    bodies: list[str]
    caught: str  #: "visible" or "hidden"


class Slip(NamedTuple):
    """The right answer but for one place, and the check that is there for it."""

    cell: str
    old: str
    new: str
    fails: str  #: how the check's name begins; it must fail on every draw
    caught: str  #: "visible" or "hidden"


_STRIP = 'premise, hypothesis = (t.strip().rstrip(".?! ") for t in (premise, hypothesis))\n'
_COUNT = 'if template.count("{mask}") != 1:\n    raise ValueError(template)\n'
_FORMAT = "return template.format(premise=premise, hypothesis=hypothesis, mask=mask_token)\n"
_GAP = "at = logits[torch.arange(len(logits)), mask_positions]\n"
_ROWS = "rows = word_embeddings.weight[start : start + length].detach().clone()\n"
_ENOUGH = "if len(rows) < length:\n    raise ValueError(start)\n"
_INIT = _ROWS + _ENOUGH + "self.prompt = nn.Parameter(rows)\n"
_CAT = (
    "prompt = self.prompt.expand(len(inputs_embeds), -1, -1)\n"
    "return torch.cat([prompt, inputs_embeds], dim=1)\n"
)
_EXTEND = """
longer = dict(batch)
for name, value in {values}.items():
    if name in batch:
        extra = batch[name].new_full((len(batch[name]), length), value)
        longer[name] = torch.cat({order}, dim=1)
if "mask_positions" in batch:
    longer["mask_positions"] = batch["mask_positions"] + {shift}
return longer
"""
_VALUES = '{"attention_mask": 1, "token_type_ids": 0, "labels": -100}'


def _extend(
    values: str = _VALUES, order: str = "[extra, batch[name]]", shift: str = "length"
) -> list[str]:
    return [_EXTEND.replace("{values}", values).replace("{order}", order).replace("{shift}", shift)]


_ONES = "mask = torch.cat([attention_mask.new_ones(len(input_ids), len(soft_prompt.prompt)), attention_mask], 1)\n"  # noqa: E501
_WORDS = "words = model.get_input_embeddings()(input_ids)\n"
_RUN = "return model(inputs_embeds=soft_prompt(words), attention_mask=mask).logits\n"

SLIPS = [
    Slip("fill-template", 'premise.strip().rstrip(".?! ")', "premise", "takes blanks", "visible"),
    Slip("fill-template", '.rstrip(".?! ")\n    hypothesis', "\n    hypothesis", "takes blanks",
         "visible"),
    Slip("fill-template", 'if template.count("{mask}") != 1', "if False", "refuses", "visible"),
    Slip("fill-template", "raise ValueError(", "raise KeyError(", "refuses", "visible"),
    Slip("fill-template",
         "return template.format(premise=premise, hypothesis=hypothesis, mask=mask_token)",
         "return (template.replace('{premise}', premise).replace('{hypothesis}',"
         " hypothesis).replace('{mask}', mask_token))", "leaves braces", "hidden"),
    Slip("fill-template", "mask=mask_token)", "mask='[MASK]')", "takes blanks", "hidden"),
    Slip("label-scores", ".mean(dim=-1)", ".sum(dim=-1)", "gives the mean", "visible"),
    Slip("label-scores", "logits[rows, mask_positions]", "logits[:, 0]", "gives the mean",
         "visible"),
    Slip("label-scores", "at_gap[:, words]", "at_gap.detach()[:, words]", "lets gradients",
         "hidden"),
    Slip("label-scores", "at_gap[:, words].mean(dim=-1)", "at_gap[:, words].float().mean(dim=-1)",
         "keeps the dtype", "hidden"),
    Slip("label-scores", "rows = ", "logits[0, 0, 0] = 0.5\n    rows = ", "leaves logits",
         "hidden"),
    Slip("label-probabilities", "softmax(dim=-1)", "softmax(dim=0)", "gives probabilities",
         "visible"),
    Slip("label-probabilities", "scores = scores - content_free",
         "scores = scores + content_free", "divides", "visible"),
    Slip("label-probabilities", "scores = scores - content_free", "pass", "divides", "visible"),
    Slip("label-probabilities", "return scores.softmax(dim=-1)",
         "return scores.exp() / scores.exp().sum(-1, keepdim=True)", "stands scores", "hidden"),
    Slip("label-probabilities", "return scores.softmax", "return scores.detach().softmax",
         "lets gradients", "hidden"),
    Slip("label-probabilities", "scores = scores - content_free", "scores -= content_free",
         "lets gradients", "hidden"),
    Slip("soft-prompt", "nn.Parameter(rows.detach().clone())", "nn.Parameter(rows.detach())",
         "shares no memory", "hidden"),
    Slip("soft-prompt", "word_embeddings.weight[start : start + length]",
         "word_embeddings.weight[:length]", "has one parameter", "visible"),
    Slip("soft-prompt", "nn.Parameter(rows.detach().clone())",
         "nn.Parameter(rows.detach().clone(), requires_grad=rows.requires_grad)",
         "has one parameter", "hidden"),
    Slip("soft-prompt", "torch.cat([prompt, inputs_embeds], dim=1)",
         "torch.cat([inputs_embeds, prompt], dim=1)", "puts the prompt", "hidden"),
    Slip("soft-prompt", "prompt = self.prompt.expand", "prompt = self.prompt.detach().expand",
         "shares no memory", "hidden"),
    Slip("soft-prompt", "if len(rows) < length", "if False", "refuses more rows", "hidden"),
    Slip("soft-prompt", "self.prompt = ", "self.words = word_embeddings\n        self.prompt = ",
         "has one parameter", "visible"),
    Slip("extend-batch", '"labels": -100', '"labels": 0', "makes room", "visible"),
    Slip("extend-batch", '"attention_mask": 1', '"attention_mask": 0', "makes room", "visible"),
    Slip("extend-batch", "[extra, batch[name]]", "[batch[name], extra]", "makes room", "visible"),
    Slip("extend-batch", 'batch["mask_positions"] + length', 'batch["mask_positions"]',
         "moves the gap", "visible"),
    Slip("extend-batch", "longer = dict(batch)", "longer = batch", "gives a new dict", "hidden"),
    Slip("extend-batch", "longer = dict(batch)", "longer = {}", "moves the gap", "hidden"),
    Slip("extend-batch", "batch[name].new_full((batch[name].size(0), length), value)",
         "torch.full((batch[name].size(0), length), value)", "keeps dtypes", "hidden"),
    Slip("prompted-logits", "words = model.get_input_embeddings()(input_ids)",
         "words = model.bert.embeddings(input_ids)", "BERT reads", "visible"),
    Slip("prompted-logits", "length = soft_prompt.prompt.size(0)", "length = 3", "BERT reads",
         "hidden"),
    Slip("prompted-logits", "model.get_input_embeddings()",
         "model.bert.embeddings.word_embeddings", "works with RoBERTa", "hidden"),
    Slip("prompted-logits", "attention_mask=mask", "attention_mask=None", "BERT reads",
         "visible"),
    Slip("prompted-logits", "soft_prompt(words)", "soft_prompt(words).detach()", "lets gradients",
         "hidden"),
    Slip("prompted-logits", ".logits", ".logits[:, 1:]", "BERT reads", "visible"),
    Slip("keys-and-values", "cut.permute(2, 3, 0, 4, 1, 5)",
         "cut.reshape(layers, 2, rows, heads, places, -1)", "puts each", "visible"),
    Slip("keys-and-values", "layers, 2, heads, -1)", "2, layers, heads, -1).transpose(2, 3)",
         "puts each", "visible"),
    Slip("keys-and-values", "layers, 2, heads, -1)", "layers, 2, -1, heads).transpose(-1, -2)",
         "puts each", "hidden"),
    Slip("keys-and-values", "cut.permute(2, 3, 0, 4, 1, 5)",
         "cut.permute(2, 3, 0, 4, 1, 5).flip(1)", "puts each", "visible"),
    Slip("keys-and-values", "return cut", "return cut.detach()", "keeps the dtype", "hidden"),
    Slip("keys-and-values", "return cut.permute", "return cut.float().permute", "keeps the dtype",
         "hidden"),
    Slip("keys-and-values", "if columns % (2 * layers * heads):", "if columns % (2 * layers):",
         "refuses", "hidden"),
    Slip("keys-and-values", "if columns % (2 * layers * heads):", "if columns % 2:", "refuses",
         "hidden"),
    Slip("prefix", "0.02 * torch.randn(length, columns)", "torch.randn(length, columns)",
         "without an MLP", "hidden"),
    Slip("prefix", "0.02 * torch.randn(length, columns)", "torch.zeros(length, columns)",
         "without an MLP", "hidden"),
    Slip("prefix", "0.02 * torch.randn(length, columns)",
         "0.04 * torch.rand(length, columns) - 0.02", "without an MLP", "hidden"),
    Slip("prefix", "nn.Parameter(torch.randn(length, size))",
         "nn.Parameter(0.02 * torch.randn(length, size))", "with an MLP", "hidden"),
    Slip("prefix", "self.start = ",
         "self.table = nn.Parameter(torch.zeros(1))\n            self.start = ", "with an MLP",
         "visible"),
    Slip("prefix", "nn.Parameter(torch.randn(length, size))", "torch.randn(length, size)",
         "with an MLP", "visible"),
    Slip("prefix", "nn.Tanh()", "nn.ReLU()", "makes the table", "hidden"),
    Slip("prefix", "self.mlp(self.start) if", "self.mlp(self.start.detach()) if", "trains start",
         "hidden"),
    Slip("prefix", "table.expand(batch, -1, -1)", "table.detach().expand(batch, -1, -1)",
         "gives the table", "hidden"),
    Slip("prefix", "else self.table  #", "else self.table.flip(0)  #", "gives the table",
         "visible"),
    Slip("prefix", "nn.functional.dropout(table, self.dropout, self.training)", "table",
         "drops numbers", "hidden"),
    Slip("prefix", "self.dropout, self.training)", "self.dropout)", "drops numbers", "hidden"),
    Slip("prefix", "self.dropout, self.training)", "0.1, self.training)", "drops numbers",
         "hidden"),
    Slip("prefix", "        table = table.expand(batch, -1, -1)  # (B, P, 2·L·d)\n"
         "        return nn.functional.dropout(table, self.dropout, self.training)",
         "        table = nn.functional.dropout(table, self.dropout, self.training)\n"
         "        return table.expand(batch, -1, -1)", "drops numbers", "hidden"),
    Slip("prefix", "nn.functional.dropout(table, self.dropout, self.training)",
         "table * (torch.rand_like(table) > self.dropout) if self.training else table",
         "drops numbers", "hidden"),
    Slip("prefix", "nn.Parameter(self.mlp(self.start).detach())",
         "nn.Parameter(self(1)[0].detach())", "says the same", "hidden"),
    Slip("prefix", "nn.Parameter(self.mlp(self.start).detach())",
         "nn.Parameter(0.02 * torch.randn(len(self.start), self.mlp[2].out_features))",
         "says the same", "visible"),
    Slip("prefix", "            del self.mlp, self.start\n", "", "keeps the table", "visible"),
    Slip("prefix", "self.table = nn.Parameter(self.mlp(self.start).detach())",
         "self.table = self.mlp(self.start).detach()", "keeps the table", "visible"),
    Slip("prefix", "nn.Parameter(self.mlp(self.start).detach())",
         "nn.Parameter(self.mlp(self.start).detach(), requires_grad=False)", "keeps the table",
         "hidden"),
    Slip("prefixed-logits", "attention_mask=mask", "attention_mask=None", "BERT attends",
         "hidden"),
    Slip("prefixed-logits", "attention_mask=mask", "attention_mask=None", "GPT-2 does", "hidden"),
    Slip("prefixed-logits", "attention_mask=mask", "attention_mask=attention_mask", "GPT-2 does",
         "visible"),
    Slip("prefixed-logits", "past.size(-2)", "3", "BERT attends", "hidden"),
    Slip("prefixed-logits", "new_ones(", "new_zeros(", "BERT attends", "visible"),
    Slip("prefixed-logits", "past_key_values=cache",
         "past_key_values=cache, position_ids=torch.arange(input_ids.size(1))[None]",
         "RoBERTa does", "visible"),
    Slip("prefixed-logits", "past_key_values=cache",
         "past_key_values=cache, position_ids=torch.arange(past.size(-2), past.size(-2) +"
         " input_ids.size(1))[None]", "RoBERTa does", "hidden"),
    Slip("prefixed-logits", "cache.update(keys, values, layer)",
         "cache.update(values, keys, layer)", "BERT attends", "visible"),
    Slip("prefixed-logits", "enumerate(past)", "enumerate(past.flip(0))", "GPT-2 does",
         "visible"),
    Slip("prefixed-logits", "DynamicCache()  #",
         "model.__dict__.setdefault('kept', DynamicCache())  #", "begins afresh", "hidden"),
    Slip("prefixed-logits", "for layer, (keys", "past[:, :, :, :, 0] = 0\n    for layer, (keys",
         "begins afresh", "visible"),
    Slip("prefixed-logits", "attention_mask.new_ones", "attention_mask.fill_(1).new_ones",
         "begins afresh", "hidden"),
    Slip("prefixed-logits", "cache.update(keys, values, layer)",
         "cache.update(keys.detach(), values.detach(), layer)", "lets gradients", "hidden"),
    Slip("prefixed-logits", "front = ", "model.requires_grad_(False)\n    front = ",
         "lets gradients", "hidden"),
    Slip("prefixed-logits", "front = ", "model.train()\n    front = ", "lets gradients",
         "visible"),
    Slip("text-share", "queries.size(-1) ** 0.5", "1", "is what a frozen", "visible"),
    Slip("text-share", "queries.size(-1) ** 0.5", "2", "is what a frozen", "hidden"),
    Slip("text-share", "weights[..., length:]", "weights[..., :length]", "is what a frozen",
         "visible"),
    Slip("text-share", "new_zeros(*scores.shape[:-1], length)",
         "new_zeros(*scores.shape[:-1], 1)", "is what a frozen", "visible"),
    Slip("text-share", "attention_mask[:, None, None, :]", "attention_mask[:, None, :, None]",
         "counts no padding", "hidden"),
    Slip("text-share", 'float("-inf")', "0.0", "counts no padding", "hidden"),
    Slip("text-share",
         '    scores = scores.masked_fill(attention_mask[:, None, None, :] == 0, float("-inf"))\n',
         "", "counts no padding", "hidden"),
    Slip("text-share", "weights = torch.cat([front, scores], dim=-1).softmax(dim=-1)",
         "weights = torch.cat([front, scores], dim=-1).exp()\n"
         "    weights = weights / weights.sum(-1, keepdim=True)", "stands scores", "hidden"),
]  # fmt: skip

WRONG = [
    # 1a
    Wrong("fill-template", "no stripping", [_COUNT + _FORMAT], "visible"),
    Wrong("fill-template", "no refusal", [_STRIP + _FORMAT], "visible"),
    Wrong(
        "fill-template",
        "two gaps let through",
        ['if "{mask}" not in template:\n    raise ValueError(template)\n' + _STRIP + _FORMAT],
        "hidden",
    ),
    Wrong(
        "fill-template",
        "replace after replace also replaces in the texts",
        [
            _COUNT + _STRIP + 'text = template.replace("{premise}", premise)\n'
            'return text.replace("{hypothesis}", hypothesis).replace("{mask}", mask_token)\n'
        ],
        "hidden",
    ),
    Wrong(
        "fill-template",
        "only full stops go",
        [
            _COUNT + 'p, h = (t.strip().rstrip(". ") for t in (premise, hypothesis))\n'
            "return template.format(premise=p, hypothesis=h, mask=mask_token)\n"
        ],
        "hidden",
    ),
    Wrong(
        "fill-template",
        "one mark goes, not all",
        [
            _COUNT + "p, h = (t.strip() for t in (premise, hypothesis))\n"
            'p, h = (t[:-1].strip() if t[-1:] in tuple(".?!") else t for t in (p, h))\n'
            "return template.format(premise=p, hypothesis=h, mask=mask_token)\n"
        ],
        "hidden",
    ),
    Wrong(
        "fill-template",
        "all marks go, also inside",
        [
            _COUNT
            + 'p, h = (t.replace(".", "").strip().rstrip("?! ") for t in (premise, hypothesis))\n'
            "return template.format(premise=p, hypothesis=h, mask=mask_token)\n"
        ],
        "hidden",
    ),
    Wrong(
        "fill-template",
        "BERT's gap for every model",
        [_COUNT + _STRIP + _FORMAT.replace("mask=mask_token", 'mask="[MASK]"')],
        "hidden",
    ),
    Wrong(
        "fill-template",
        "the filled text is searched for a gap, not the template",
        [
            _STRIP + "text = template.format(premise=premise, hypothesis=hypothesis, "
            'mask="{mask}")\nif "{mask}" not in text:\n    raise ValueError(template)\n'
            'return text.replace("{mask}", mask_token, 1)\n'
        ],
        "hidden",
    ),
    # 1b
    Wrong(
        "label-scores",
        "sum, not mean",
        [_GAP + "return torch.stack([at[:, w].sum(-1) for w in label_words], -1)"],
        "visible",
    ),
    Wrong(
        "label-scores",
        "mean over the batch",
        [_GAP + "return torch.stack([at[:, w].mean(0) for w in label_words[:1] * 2], -1)"],
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
            _GAP
            + "p = at.softmax(-1)\nreturn torch.stack([p[:, w].mean(-1) for w in label_words], -1)"
        ],
        "visible",
    ),
    Wrong(
        "label-scores",
        "only the first word of a label",
        [_GAP + "return torch.stack([at[:, w[0]] for w in label_words], -1)"],
        "visible",
    ),
    Wrong(
        "label-scores",
        "labels first",
        [_GAP + "return torch.stack([at[:, w].mean(-1) for w in label_words])"],
        "visible",
    ),
    Wrong(
        "label-scores",
        "numbers without a gradient",
        [
            _GAP + "return torch.tensor([[r[w].mean().item() for w in label_words] for r in at], "
            "dtype=logits.dtype)"
        ],
        "hidden",
    ),
    Wrong(
        "label-scores",
        "always float32",
        [_GAP + "return torch.stack([at[:, w].float().mean(-1) for w in label_words], -1)"],
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
        [_GAP + "return torch.stack([at[:, label_words[i]].mean(-1) for i in (0, 1)], -1)"],
        "hidden",
    ),
    Wrong(
        "label-scores",
        "each word counts for one label only",
        [
            _GAP + "owner = {w: y for y, ws in enumerate(label_words) for w in ws}\n"
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
            + _ENOUGH
            + "self.prompt = nn.Parameter(rows)",
            _CAT,
        ],
        "hidden",
    ),
    Wrong(
        "soft-prompt",
        "a tensor, not a parameter",
        [_ROWS + _ENOUGH + "self.prompt = rows.requires_grad_(True)", _CAT],
        "visible",
    ),
    Wrong(
        "soft-prompt",
        "the vocabulary becomes part of the module",
        [_INIT + "self.words = word_embeddings", _CAT],
        "visible",
    ),
    Wrong(
        "soft-prompt",
        "random vectors",
        [_INIT.replace("nn.Parameter(rows)", "nn.Parameter(torch.randn_like(rows))"), _CAT],
        "visible",
    ),
    Wrong(
        "soft-prompt",
        "rows from the beginning of the vocabulary",
        [_INIT.replace("[start : start + length]", "[:length]"), _CAT],
        "visible",
    ),
    Wrong(
        "soft-prompt",
        "the default start for every start",
        [_INIT.replace("[start : start + length]", "[5 : 5 + length]"), _CAT],
        "hidden",
    ),
    Wrong(
        "soft-prompt",
        "as trainable as the vocabulary",
        [
            _ROWS + _ENOUGH + "self.prompt = nn.Parameter(rows, "
            "requires_grad=word_embeddings.weight.requires_grad)",
            _CAT,
        ],
        "hidden",
    ),
    Wrong(
        "soft-prompt",
        "the vocabulary is unfrozen",
        [_INIT + "word_embeddings.weight.requires_grad_(True)", _CAT],
        "hidden",
    ),
    Wrong("soft-prompt", "too short without a word", [_INIT.replace(_ENOUGH, ""), _CAT], "hidden"),
    Wrong(
        "soft-prompt",
        "behind the text",
        [_INIT, _CAT.replace("[prompt, inputs_embeds]", "[inputs_embeds, prompt]")],
        "hidden",
    ),
    Wrong(
        "soft-prompt",
        "cut off from the gradient",
        [_INIT, _CAT.replace("self.prompt.expand", "self.prompt.data.expand")],
        "hidden",
    ),
    Wrong(
        "soft-prompt",
        "added to the text, not put before it",
        [
            _INIT,
            "B, d = len(inputs_embeds), inputs_embeds.size(2)\n"
            "pad = inputs_embeds.new_zeros(B, len(self.prompt), d)\n"
            "return torch.cat([pad, inputs_embeds], 1) + self.prompt.mean()",
        ],
        "hidden",
    ),
    # 2b
    Wrong("extend-batch", "the mask stays", _extend(values='{"labels": -100}'), "visible"),
    Wrong("extend-batch", "zeros in the mask", _extend(_VALUES.replace(": 1", ": 0")), "visible"),
    Wrong("extend-batch", "room behind", _extend(order="[batch[name], extra]"), "visible"),
    Wrong("extend-batch", "labels of 0", _extend(_VALUES.replace("-100", "0")), "visible"),
    Wrong("extend-batch", "the gap stays", _extend(shift="0"), "visible"),
    Wrong("extend-batch", "a shift by one too few", _extend(shift="length - 1"), "visible"),
    Wrong(
        "extend-batch",
        "segments forgotten",
        _extend('{"attention_mask": 1, "labels": -100}'),
        "hidden",
    ),
    Wrong(
        "extend-batch",
        "prompt in a segment of its own",
        _extend('{"attention_mask": 1, "token_type_ids": 1, "labels": -100}'),
        "hidden",
    ),
    Wrong(
        "extend-batch",
        "always int64",
        _extend(order="[extra.long(), batch[name].long()]"),
        "hidden",
    ),
    Wrong(
        "extend-batch",
        "further keys dropped",
        [_extend()[0].replace("dict(batch)", "{}")],
        "hidden",
    ),
    Wrong(
        "extend-batch",
        "the given batch is changed",
        [_extend()[0].replace("dict(batch)", "batch")],
        "hidden",
    ),
    Wrong(
        "extend-batch",
        "the given positions are changed",
        [
            _extend()[0].replace(
                'longer["mask_positions"] = batch["mask_positions"] + length',
                'longer["mask_positions"] += length',
            )
        ],
        "hidden",
    ),
    Wrong(
        "extend-batch",
        "keys that were not given",
        [_extend()[0].replace("return longer", 'longer.setdefault("labels", None)\nreturn longer')],
        "hidden",
    ),
    # 2c
    Wrong(
        "prompted-logits",
        "positions and LayerNorm twice",
        ["words = model.bert.embeddings(input_ids)\n" + _ONES + _RUN],
        "visible",
    ),
    Wrong(
        "prompted-logits",
        "the prompt is embedded too",
        [
            _WORDS + _ONES + "words = model.bert.embeddings(inputs_embeds=soft_prompt(words))\n"
            "return model(inputs_embeds=words, attention_mask=mask).logits"
        ],
        "visible",
    ),
    Wrong(
        "prompted-logits",
        "mask not extended",
        [_WORDS + "mask = attention_mask\n" + _RUN],
        "visible",
    ),
    Wrong("prompted-logits", "no mask", [_WORDS + "mask = None\n" + _RUN], "visible"),
    Wrong(
        "prompted-logits",
        "prompt masked out",
        [_WORDS + _ONES.replace("new_ones", "new_zeros") + _RUN],
        "visible",
    ),
    Wrong(
        "prompted-logits",
        "positions of the text start at 0 again",
        [
            _WORDS + _ONES + "p, t = len(soft_prompt.prompt), input_ids.size(1)\n"
            "ids = torch.cat([torch.arange(p), torch.arange(t)])[None]\n"
            "return model(inputs_embeds=soft_prompt(words), attention_mask=mask, "
            "position_ids=ids).logits"
        ],
        "visible",
    ),
    Wrong(
        "prompted-logits",
        "the prompt's logits cut off",
        [_WORDS + _ONES + _RUN.replace(".logits", ".logits[:, len(soft_prompt.prompt) :]")],
        "visible",
    ),
    Wrong(
        "prompted-logits",
        "only BERT",
        ["words = model.bert.embeddings.word_embeddings(input_ids)\n" + _ONES + _RUN],
        "hidden",
    ),
    Wrong(
        "prompted-logits",
        "no gradient",
        ["with torch.no_grad():\n    " + _WORDS + "    " + _ONES + "    " + _RUN],
        "hidden",
    ),
    Wrong(
        "prompted-logits",
        "the prompt's start, not the prompt",
        [
            "ids = torch.cat([torch.arange(5, 5 + len(soft_prompt.prompt)).expand(len(input_ids), "
            "-1), input_ids], 1)\n" + _ONES + "return model(ids, attention_mask=mask).logits"
        ],
        "hidden",
    ),
]

RIGHT = {
    "fill-template": [
        # A pattern instead of str.format.
        [
            "import re\n"
            + _COUNT
            + _STRIP
            + 'texts = {"premise": premise, "hypothesis": hypothesis, "mask": mask_token}\n'
            'return re.sub(r"{(premise|hypothesis|mask)}", lambda m: texts[m[1]], template)'
        ],
        # Cut at the gap.
        [
            'parts = template.split("{mask}")\nif len(parts) != 2:\n    raise ValueError(parts)\n'
            + _STRIP
            + "parts = [p.format(premise=premise, hypothesis=hypothesis) for p in parts]\n"
            "return mask_token.join(parts)"
        ],
    ],
    "label-scores": [
        # Row by row.
        [
            "rows = []\nfor row, at in zip(logits, mask_positions):\n"
            "    rows.append(torch.stack([row[at, w].mean() for w in label_words]))\n"
            "return torch.stack(rows)"
        ],
        # A one-hot gap and a matrix of averages.
        [
            "B, T, V = logits.shape\n"
            "gap = nn.functional.one_hot(mask_positions, T).to(logits.dtype)\n"
            "mean = torch.stack([torch.zeros(V, dtype=logits.dtype).index_fill(0, "
            "torch.tensor(w), 1 / len(w)) for w in label_words])\n"
            'return torch.einsum("bt,btv,lv->bl", gap, logits, mean)'
        ],
    ],
    "label-probabilities": [
        # As the equation says, with the largest score taken out first.
        [
            "e = (scores - scores.amax(1, keepdim=True)).exp()\np = e / e.sum(1, keepdim=True)\n"
            "if content_free is not None:\n    p = p / content_free.softmax(0)\n"
            "    p = p / p.sum(1, keepdim=True)\nreturn p"
        ],
        # In logarithms.
        [
            "logs = scores.log_softmax(-1)\nif content_free is not None:\n"
            "    logs = logs - content_free.log_softmax(-1)\n"
            "    logs = logs - logs.logsumexp(-1, keepdim=True)\nreturn logs.exp()"
        ],
    ],
    "soft-prompt": [
        # Through the embedding itself, repeated for the batch.
        [
            "if start + length > word_embeddings.num_embeddings:\n    raise ValueError(start)\n"
            "ids = torch.arange(start, start + length)\n"
            "self.prompt = nn.Parameter(word_embeddings(ids).detach())",
            "return torch.hstack([self.prompt.repeat(len(inputs_embeds), 1, 1), inputs_embeds])",
        ],
        # An empty parameter, filled.
        [
            _ENOUGH.replace("len(rows) < length", "start + length > len(word_embeddings.weight)")
            + "self.prompt = nn.Parameter(torch.empty(length, word_embeddings.embedding_dim))\n"
            "self.prompt.data.copy_(word_embeddings.weight[start : start + length])",
            "B = inputs_embeds.shape[0]\n"
            "return torch.cat((torch.stack([self.prompt] * B), inputs_embeds), dim=-2)",
        ],
    ],
    "extend-batch": [
        # Padding on the left.
        [
            "F, longer = nn.functional, {}\nfor name, x in batch.items():\n"
            '    if name == "mask_positions":\n        x = x + length\n'
            f"    elif name in {_VALUES}:\n"
            f"        x = F.pad(x.long(), (length, 0), value={_VALUES}[name]).to(x.dtype)\n"
            "    longer[name] = x\nreturn longer"
        ],
    ],
    "prompted-logits": [
        # The table's rows, ones in front, positions spelt out by the model.
        [
            "words = model.get_input_embeddings().weight[input_ids]\n"
            + _ONES
            + "return model(attention_mask=mask, inputs_embeds=soft_prompt(words))[0]"
        ],
        # A floating-point mask does as well.
        [
            _WORDS + "mask = nn.functional.pad(attention_mask.float(), "
            "(len(soft_prompt.prompt), 0), value=1.0)\n" + _RUN
        ],
    ],
    "keys-and-values": [
        # Block by block, head by head.
        [
            "if table.shape[-1] % (2 * layers * heads):\n    raise ValueError(table.shape)\n"
            "blocks = [torch.stack(b.chunk(heads, -1), 1) for b in table.chunk(2 * layers, -1)]\n"
            "return torch.stack(blocks).unflatten(0, (layers, 2))"
        ],
        # With einsum's letters in mind: one view, one transposition at a time.
        [
            "B, P, columns = table.shape\nsize, odd = divmod(columns, 2 * layers * heads)\n"
            "if odd:\n    raise ValueError(columns)\n"
            "x = table.view(B, P, 2 * layers, heads, size).transpose(1, 3)  # (B, h, 2L, P, d_h)\n"
            "x = x.permute(2, 0, 1, 3, 4)\nreturn x.reshape(layers, 2, B, heads, P, size)"
        ],
    ],
    "prefix": [
        # A module for dropout; what is not there is None.
        [
            "self.drop, self.table, self.start, self.mlp = nn.Dropout(dropout), None, None, None\n"
            "if mlp == 0:\n    table = torch.empty(length, 2 * layers * size)\n"
            "    self.table = nn.Parameter(table.normal_(std=0.02))\n"
            "else:\n    self.start = nn.Parameter(torch.normal(0.0, 1.0, (length, size)))\n"
            "    ends = nn.Linear(size, mlp), nn.Linear(mlp, 2 * layers * size)\n"
            "    self.mlp = nn.Sequential(ends[0], nn.Tanh(), ends[1])",
            "table = self.table if self.mlp is None else self.mlp(self.start)\n"
            "return self.drop(table.repeat(batch, 1, 1))",
            "if self.mlp is not None:\n    with torch.no_grad():\n"
            "        table = self.mlp(self.start)\n"
            "    self.start = self.mlp = None\n    self.table = nn.Parameter(table)",
        ],
    ],
    "prefixed-logits": [
        # The cache in one go, the mask by padding.
        [
            "cache = DynamicCache([(keys, values) for keys, values in past])\n"
            "mask = nn.functional.pad(attention_mask, (past.shape[4], 0), value=1)\n"
            "return model(input_ids, attention_mask=mask, past_key_values=cache, use_cache=True)[0]"
        ],
        # Words by their vectors, a floating-point mask.
        [
            "cache = DynamicCache()\nfor i in range(len(past)):\n"
            "    cache.update(past[i, 0], past[i, 1], i)\n"
            "ones = torch.ones(*past.shape[2:5:2])\n"
            "mask = torch.cat([ones, attention_mask.float()], 1)\n"
            "return model(input_ids, past_key_values=cache, attention_mask=mask)['logits']"
        ],
    ],
    "text-share": [
        # A sigmoid of logarithms.
        [
            "s = torch.einsum('bhtd,bhjd->bhtj', queries, keys) * queries.shape[-1] ** -0.5\n"
            "s = s + (1.0 - attention_mask[:, None, None].float()) * torch.finfo(s.dtype).min\n"
            "return torch.sigmoid(s.logsumexp(-1) - torch.tensor(float(length)).log())"
        ],
        # As the equation says, with the largest score taken out first.
        [
            "s = queries.matmul(keys.mT) / queries.shape[-1] ** 0.5\n"
            "s = torch.where(attention_mask.bool()[:, None, None], s, -torch.inf)\n"
            "most = s.amax(-1, keepdim=True)\n"
            "most = most.clamp(min=0) if length else most\n"
            "text = (s - most).exp().sum(-1)\n"
            "front = length * (-most[..., 0]).exp() if length else 0\n"
            "return text / (front + text)"
        ],
    ],
}

"""Lines of which answers to HW-Prompt are put together."""

from __future__ import annotations

STRIP = 'premise, hypothesis = (t.strip().rstrip(".?! ") for t in (premise, hypothesis))\n'
COUNT = 'if template.count("{mask}") != 1:\n    raise ValueError(template)\n'
FORMAT = "return template.format(premise=premise, hypothesis=hypothesis, mask=mask_token)\n"
GAP = "at = logits[torch.arange(len(logits)), mask_positions]\n"
ROWS = "rows = word_embeddings.weight[start : start + length].detach().clone()\n"
ENOUGH = "if len(rows) < length:\n    raise ValueError(start)\n"
INIT = ROWS + ENOUGH + "self.prompt = nn.Parameter(rows)\n"
CAT = (
    "prompt = self.prompt.expand(len(inputs_embeds), -1, -1)\n"
    "return torch.cat([prompt, inputs_embeds], dim=1)\n"
)
EXTEND = """
longer = dict(batch)
for name, value in {values}.items():
    if name in batch:
        extra = batch[name].new_full((len(batch[name]), length), value)
        longer[name] = torch.cat({order}, dim=1)
if "mask_positions" in batch:
    longer["mask_positions"] = batch["mask_positions"] + {shift}
return longer
"""
VALUES = '{"attention_mask": 1, "token_type_ids": 0, "labels": -100}'


def extend(
    values: str = VALUES, order: str = "[extra, batch[name]]", shift: str = "length"
) -> list[str]:
    return [EXTEND.replace("{values}", values).replace("{order}", order).replace("{shift}", shift)]


ONES = "mask = torch.cat([attention_mask.new_ones(len(input_ids), len(soft_prompt.prompt)), attention_mask], 1)\n"  # noqa: E501
WORDS = "words = model.get_input_embeddings()(input_ids)\n"
RUN = "return model(inputs_embeds=soft_prompt(words), attention_mask=mask).logits\n"

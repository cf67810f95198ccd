"""Right answers to HW-Prompt in other words: each must have full points on every draw."""

from __future__ import annotations

from hw_prompt_pieces import COUNT, ENOUGH, ONES, RUN, STRIP, VALUES, WORDS

RIGHT = {
    "fill-template": [
        # A pattern instead of str.format.
        [
            "import re\n"
            + COUNT
            + STRIP
            + 'texts = {"premise": premise, "hypothesis": hypothesis, "mask": mask_token}\n'
            'return re.sub(r"{(premise|hypothesis|mask)}", lambda m: texts[m[1]], template)'
        ],
        # Cut at the gap.
        [
            'parts = template.split("{mask}")\nif len(parts) != 2:\n    raise ValueError(parts)\n'
            + STRIP
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
            ENOUGH.replace("len(rows) < length", "start + length > len(word_embeddings.weight)")
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
            f"    elif name in {VALUES}:\n"
            f"        x = F.pad(x.long(), (length, 0), value={VALUES}[name]).to(x.dtype)\n"
            "    longer[name] = x\nreturn longer"
        ],
    ],
    "prompted-logits": [
        # The table's rows, ones in front, positions spelt out by the model.
        [
            "words = model.get_input_embeddings().weight[input_ids]\n"
            + ONES
            + "return model(attention_mask=mask, inputs_embeds=soft_prompt(words))[0]"
        ],
        # A floating-point mask does as well.
        [
            WORDS + "mask = nn.functional.pad(attention_mask.float(), "
            "(len(soft_prompt.prompt), 0), value=1.0)\n" + RUN
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

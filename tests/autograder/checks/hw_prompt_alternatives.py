"""Right answers to HW-Prompt in styles of their own: loops, einsum, in place, wrappers, new names.

exercise -> whole cells. Each keeps what docstring and signature promise, and little else of the
instructor's version; it must have full points on every draw.
"""

from __future__ import annotations

ALTERNATIVES = {
    "fill-template": [
        # Python's own parser of templates, text by text.
        """
from string import Formatter

def fill_template(template, premise, hypothesis, mask_token):
    def bare(text):
        while text and (text[0].isspace() or text[-1].isspace() or text[-1] in ".?!"):
            if text[0].isspace():
                text = text[1:]
            else:
                text = text[:-1]
        return text

    pieces, gaps = [], 0
    for before, name, *_ in Formatter().parse(template):
        pieces.append(before)
        if name == "mask":
            gaps += 1
            pieces.append(mask_token)
        elif name is not None:
            pieces.append(bare({"premise": premise, "hypothesis": hypothesis}[name]))
    if gaps != 1:
        raise ValueError("one {mask} is needed")
    return "".join(pieces)
""",
    ],
    "label-scores": [
        # gather, and a sum filled in place.
        """
def label_scores(logits, mask_positions, label_words):
    B, T, V = logits.shape
    index = mask_positions.view(B, 1, 1).expand(B, 1, V)
    gap = logits.gather(1, index).squeeze(1)
    out = torch.zeros(B, len(label_words), dtype=logits.dtype)
    for label, words in enumerate(label_words):
        for word in words:
            out[:, label] += gap[:, word] / len(words)
    return out
""",
        # Padded tables of words, no loop over labels behind them.
        """
def label_scores(logits, mask_positions, label_words):
    most = max(map(len, label_words))
    ids = torch.tensor([list(w) + [0] * (most - len(w)) for w in label_words])
    used = torch.tensor([[1.0] * len(w) + [0.0] * (most - len(w)) for w in label_words])
    gap = torch.stack([text[m] for text, m in zip(logits.unbind(), mask_positions.tolist())])
    taken = gap.float()[:, ids] if logits.dtype == torch.float16 else gap[:, ids]
    scores = (taken * used.to(taken)).sum(-1) / used.to(taken).sum(-1)
    return scores.to(logits.dtype)
""",
    ],
    "label-probabilities": [
        # Example by example.
        """
def label_probabilities(scores, content_free=None):
    rows = []
    for row in scores:
        shifted = row if content_free is None else row - content_free
        weights = torch.exp(shifted - shifted.max())
        rows.append(weights / weights.sum())
    return torch.stack(rows)
""",
        # A distribution of torch's own.
        """
def label_probabilities(scores, content_free=None):
    offset = torch.zeros(scores.size(-1)) if content_free is None else content_free
    return torch.distributions.Categorical(logits=scores.sub(offset)).probs
""",
    ],
    "soft-prompt": [
        # Vector by vector, filled in place; joined by an empty tensor.
        """
class SoftPrompt(torch.nn.Module):
    def __init__(self, word_embeddings, length, start=5):
        super().__init__()
        vocabulary, width = word_embeddings.weight.shape
        if not start + length <= vocabulary:
            raise ValueError("too long")
        self.register_parameter("prompt", nn.Parameter(torch.zeros(length, width)))
        with torch.no_grad():
            for i in range(length):
                self.prompt[i] = word_embeddings.weight[start + i]

    def forward(self, inputs_embeds):
        B, T, d = inputs_embeds.shape
        P = self.prompt.shape[0]
        out = inputs_embeds.new_empty(B, P + T, d)
        out[:, :P] = self.prompt
        out[:, P:] = inputs_embeds
        return out
""",
    ],
    "extend-batch": [
        # A new tensor per key, filled from the right.
        """
def extend_batch(batch, length):
    made = {}
    for key in batch:
        old = batch[key]
        if key in ("attention_mask", "token_type_ids", "labels"):
            new = torch.zeros(old.shape[0], old.shape[1] + length, dtype=old.dtype)
            if key != "token_type_ids":
                new[:, :length] = 1 if key == "attention_mask" else -100
            new[:, length:] = old
            made[key] = new
        else:
            made[key] = old.clone().add_(length) if key == "mask_positions" else old
    return made
""",
    ],
    "prompted-logits": [
        # Word embeddings by a product, the model called with everything by name, out of a dict.
        """
def prompted_logits(model, soft_prompt, input_ids, attention_mask):
    table = model.base_model.get_input_embeddings().weight
    words = nn.functional.one_hot(input_ids, len(table)).to(table.dtype) @ table
    joined = soft_prompt.forward(inputs_embeds=words)
    B, T = input_ids.shape
    P = joined.shape[1] - T
    mask = torch.ones(B, P + T, dtype=torch.bool)
    mask[:, P:] = attention_mask.bool()
    return model(**{"inputs_embeds": joined, "attention_mask": mask.long()}, return_dict=True)[
        "logits"
    ]
""",
    ],
    "keys-and-values": [
        # Every block cut out by its columns.
        """
def keys_and_values(table, layers, heads):
    B, P, columns = table.shape
    d = columns // (2 * layers)
    if columns != 2 * layers * d or d % heads != 0:
        raise ValueError(f"{columns} columns")
    s = d // heads
    out = torch.zeros(layers, 2, B, heads, P, s, dtype=table.dtype)
    for i in range(layers):
        for j in range(2):
            for h in range(heads):
                first = (2 * i + j) * d + h * s
                out[i, j, :, h] = table[:, :, first : first + s]
    return out
""",
        # einsum as permute.
        """
def keys_and_values(table, layers, heads):
    if table.shape[2] % (2 * layers * heads) > 0:
        raise ValueError("columns")
    cut = torch.unflatten(table, 2, (layers, 2, heads, table.shape[2] // (2 * layers * heads)))
    return torch.einsum("bplkhs->lkbhps", cut)
""",
    ],
    "prefix": [
        # A list of modules that are asked in turn; dropout by hand.
        """
class Prefix(nn.Module):
    def __init__(self, layers, size, length, mlp=0, dropout=0.0):
        super().__init__()
        self.p = dropout
        if mlp > 0:
            self.start = nn.Parameter(torch.nn.init.normal_(torch.empty(length, size)))
            self.mlp = nn.Sequential()
            self.mlp.append(nn.Linear(size, mlp))
            self.mlp.append(nn.Tanh())
            self.mlp.append(nn.Linear(mlp, 2 * layers * size))
        else:
            self.register_parameter("table", None)
            self.table = nn.Parameter(torch.zeros(length, 2 * layers * size))
            nn.init.normal_(self.table, std=0.02)

    def whole(self):
        if "table" in dict(self.named_parameters()):
            return self.table
        x = self.start
        for part in self.mlp:
            x = part(x)
        return x

    def forward(self, batch):
        out = torch.stack([self.whole() for _ in range(batch)])
        if self.training and self.p > 0:
            out = out * (torch.rand(out.shape) >= self.p) / (1 - self.p)
        return out

    @torch.no_grad()
    def finish(self):
        if hasattr(self, "mlp"):
            made = self.whole().clone()
            for name in ("mlp", "start"):
                delattr(self, name)
            self.register_parameter("table", nn.Parameter(made))
""",
    ],
    "prefixed-logits": [
        # A cache built anew from copies, called by keyword, a mask filled in place.
        """
def prefixed_logits(model, past, input_ids, attention_mask):
    from transformers.cache_utils import DynamicCache as Cache

    L, _, B, h, P, size = past.shape
    cache = Cache()
    for number in range(L):
        cache.update(past[number][0].clone(), past[number][1].clone(), layer_idx=number)
    T = input_ids.size(1)
    mask = torch.zeros((B, P + T), dtype=torch.long)
    mask[:, :P] += 1
    mask[:, P:] += attention_mask
    out = model(input_ids=input_ids, past_key_values=cache, attention_mask=mask, return_dict=False)
    return out[0]
""",
    ],
    "text-share": [
        # Token by token, and only over the tokens that are there.
        """
import math

def text_share(queries, keys, attention_mask, length):
    B, h, T, size = queries.shape
    out = torch.empty(B, h, T, dtype=queries.dtype)
    for b in range(B):
        there = attention_mask[b].nonzero().squeeze(-1)
        for n in range(h):
            scores = queries[b, n] @ keys[b, n, there].T / math.sqrt(size)
            if length == 0:
                out[b, n] = 1.0
                continue
            both = torch.cat([torch.full((T, 1), math.log(length)), scores], dim=1)
            out[b, n] = 1 - both.softmax(-1)[:, 0]
    return out
""",
    ],
}

"""Self-checks of notebook 07: counting adapters, and finding mistakes in code that adds them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.plm.load import seeded
from course_utils.show.exercises import symptoms
from course_utils.show.exercises.symptoms import TOKENS, WIDTH, Finding, bug_hunt, number
from course_utils.show.exercises.verdict import expect, open_if_none, self_check
from course_utils.tuning.adapters import Bottleneck

SIZE = 4  # of the bottleneck, in what is hunted in
CLASSIFIER = WIDTH * 2 + 2
ONE_ADAPTER = 2 * WIDTH * SIZE + SIZE + WIDTH


@self_check
def check_houlsby_count(houlsby_count) -> str:
    """`houlsby_count(layers, width, bottleneck)`: trained numbers of Houlsby's method on a BERT."""
    for n, d, r in ((4, 128, 8), (12, 768, 48), (24, 1024, 64)):
        given = open_if_none(houlsby_count(n, d, r))
        adapters, norms = 2 * n * (2 * d * r + r + d), (2 * n + 1) * 2 * d
        about = f"For {n} layers of width {d} and a bottleneck of {r} you give {given:,}. "
        expect(
            given != adapters,
            about + "That is all adapters. The norms train, too: two in each layer and one behind "
            "the embeddings, with a scale and a shift for each dimension.",
        )
        expect(given != adapters + 4 * n * d, about + "The norm behind the embeddings is missing.")
        expect(
            given != adapters // 2 + norms,
            about + "A layer has two adapters: behind the attention and behind the FFN.",
        )
        expect(
            given != 4 * n * d * r + norms,
            about + "The biases are missing: r behind W1 and d behind W2.",
        )
        expect(given == adapters + norms, about + f"{adapters + norms:,} is right.")
    return "Of BERT-large's 335 million that is 2 %."


@bug_hunt
def check_choose_trained(choose_trained):
    """`choose_trained(model)`: sets requires_grad of a PLM with adapters and a classifier."""
    model, batch = _with_adapters(), symptoms.small_batch()
    choose_trained(model)
    adapters = symptoms.trained_count(model, "adapter")
    head = symptoms.trained_count(model, "classifier")
    rest = symptoms.trained_count(model) - adapters - head
    moved = symptoms.moved(model, batch)
    head_moved = any(name.startswith("classifier") for name in moved)
    findings = [
        _count("trained numbers in adapters", 2 * ONE_ADAPTER, adapters),
        _count("trained numbers in the classifier", CLASSIFIER, head, given=head == 0),
        _count("trained numbers elsewhere", 0, rest),
        Finding("classifier moved by training", "yes", _yes(head_moved), head_moved, given=True),
    ]
    return (
        "A new head has to learn what its numbers mean. Frozen, it is a random question that the "
        "adapters learn to answer: it may even work a little, and nothing tells you.",
        findings,
    )


@bug_hunt
def check_add_lora(add_lora):
    """`add_lora(model, rank)`: LoRA on query and value, trained with the classifier."""
    model, batch = symptoms.small_plm(), symptoms.small_batch()
    before = symptoms.answers(model, batch)
    changed = add_lora(model, 2)
    model = model if changed is None else changed
    start = symptoms.largest(symptoms.answers(model, batch) - before)
    lora = sum(symptoms.trained_count(model, part) for part in ("query", "value"))
    head = symptoms.trained_count(model, "classifier")
    rest = symptoms.trained_count(model) - lora - head
    h = _last_hidden(model, batch)
    fell = symptoms.losses(model, batch)
    change = symptoms.largest(_last_hidden(model, batch) - h)
    findings = [
        Finding("largest change of a logit at step 0", "0", number(start), start < 1e-5),
        _count("trained numbers in LoRA", 2 * 2 * 2 * 2 * WIDTH, lora, given=lora == 0),
        _count("trained numbers in the classifier", CLASSIFIER, head),
        _count("trained numbers elsewhere", 0, rest),
        Finding(
            "loss, first and last of 60 steps",
            "falls",
            f"{fell[0]:.2f}, {fell[-1]:.2f}",
            fell[-1] < fell[0] - 0.02,
        ),
        Finding("largest change of h by training", "not 0", number(change), change > 0, given=True),
    ]
    return (
        "The loss fell before, too: the classifier learnt alone. A falling loss does not prove "
        "that your method does anything. Look at its own parameters, and at Δh.",
        findings,
    )


@bug_hunt
def check_adapter(adapter_class):
    """`adapter_class(width, size)`: h + W2 gelu(W1 h + b1) + b2, nearly h at the start."""
    with seeded(0):
        adapter, h = adapter_class(WIDTH, SIZE), torch.randn(4, TOKENS, WIDTH)
    start = float(((adapter(h) - h).norm(dim=-1) / h.norm(dim=-1)).max().detach())
    before = {name: p.detach().clone() for name, p in adapter.named_parameters()}
    _fit(adapter, h)
    first = next((n for n, p in before.items() if p.shape == (SIZE, WIDTH)), None)
    expect(first is not None, f"No matrix W1 of shape ({SIZE}, {WIDTH}) is left in the adapter.")
    learnt = not torch.equal(dict(adapter.named_parameters())[first], before[first])
    findings = [
        _count("numbers", ONE_ADAPTER, sum(p.numel() for p in before.values())),
        Finding(
            "largest |Δh| / |h| at step 0", "below 0.01", number(start), start < 0.01, given=True
        ),
        Finding("W1 moved by training", "yes", _yes(learnt), learnt),
    ]
    return (
        "Training now starts from the PLM. One of the two matrices may be zero, but not both: "
        "each one's gradient is multiplied by the other.",
        findings,
    )


@bug_hunt
def check_adapted_ffn(adapted_class):
    """`adapted_class(dense, size)`: the FFN's second map with an adapter behind it."""
    model, batch = symptoms.small_plm(), symptoms.small_batch()
    before = symptoms.answers(model, batch)
    with seeded(0):
        dense = model.bert.encoder.layer[0].output.dense
        z = torch.randn(5, dense.in_features)
        kept = float((adapted_class(dense, SIZE)(z).norm() / dense(z).norm()).detach())
        for layer in model.bert.encoder.layer:
            layer.output.dense = adapted_class(layer.output.dense, SIZE)
    start = symptoms.largest(symptoms.answers(model, batch) - before)
    moved = symptoms.moved(model, batch)
    learnt = any(name.endswith("up.weight") for name in moved)
    lost = kept < 1e-6
    findings = [
        Finding(
            "largest change of a logit at step 0", "0", number(start), start < 1e-5, given=lost
        ),
        Finding(
            "|h| behind the adapter, by |h| before it",
            "1",
            number(kept),
            abs(kept - 1) < 1e-5,
            given=lost,
        ),
        Finding("W2 moved by training", "yes", _yes(learnt), learnt),
    ]
    return (
        "An adapter adds to h, it does not replace it. The start was right here (W2 = 0), and "
        "because of that nothing of the FFN was left.",
        findings,
    )


@bug_hunt
def check_conv_adapter(conv_class):
    """`conv_class(width, size, length)`: an adapter that looks at neighbours, along the text."""
    with seeded(0):
        adapter, h = conv_class(WIDTH, SIZE, TOKENS), torch.randn(2, TOKENS, WIDTH)
    out = adapter(h)
    expect(
        out.shape == h.shape,
        f"h of shape {tuple(h.shape)} gives an output of shape {tuple(out.shape)}; the two must "
        "agree. Turn it back before you add it.",
    )
    start = symptoms.largest(out - h)
    numbers = sum(p.numel() for p in adapter.parameters())
    right = 3 * WIDTH * SIZE + SIZE + 3 * SIZE * WIDTH + WIDTH
    by_length = 3 * TOKENS * SIZE + SIZE + 3 * SIZE * TOKENS + TOKENS
    seen = symptoms.looks_at(adapter, h)[0].nonzero().flatten().tolist()
    error = _error(adapter, h[:, :5])
    findings = [
        Finding("largest |Δh| at step 0", "0", number(start), start < 1e-6),
        Finding("a text of 5 tokens", "works", error or "works", not error, given=True),
        _count("numbers", right, numbers, given=numbers == by_length),
        Finding(
            "places that place 0 looks at",
            "0 1 2",
            " ".join(map(str, seen)),
            seen == [0, 1, 2],
            given=seen == list(range(TOKENS)),
        ),
    ]
    return (
        "Conv1d wants (B, channels, places). Channels are the hidden dimensions; a text's tokens "
        "are places. With all texts padded to one length the mistake raises no error at all.",
        findings,
    )


@self_check
def check_unknown_share(unknown_share) -> str:
    """`unknown_share(tokenizer, texts)`: share of the texts' tokens that are unknown."""
    tokenizer = _word_tokenizer()
    cases = (
        (["the soup was stale", "the soup"], 0.0),
        (["The soup was Stale", "the soup"], 2 / 6),
        (["The Soup", "the soup was stale the soup"], 2 / 8),
        (["THE SOUP WAS STALE"], 1.0),
    )
    for texts, right in cases:
        given = float(open_if_none(unknown_share(tokenizer, list(texts))))
        ids = tokenizer(texts)["input_ids"]
        unknown = [sum(i == tokenizer.unk_token_id for i in row) for row in ids]
        with_special = sum(unknown) / sum(map(len, ids))
        each = sum(u / (len(row) - 2) for u, row in zip(unknown, ids, strict=True)) / len(ids)
        about = f"For {texts} you give {given:.3f}, expected {right:.3f}. "
        expect(
            abs(given - right) < 1e-6 or abs(given - with_special) > 1e-6,
            about + "[CLS] and [SEP] are counted: they are never unknown and make it look better. "
            "Tokenise with add_special_tokens=False.",
        )
        expect(
            abs(given - right) < 1e-6 or abs(given - each) > 1e-6,
            about + "You take the mean of each text's share; take all tokens together.",
        )
        expect(abs(given - right) < 1e-6, about)
    return (
        "A line worth having before every training: an uncased PLM knows no word with a capital "
        "letter, and without its own tokenizer nothing turns capitals into small letters."
    )


def _with_adapters() -> nn.Module:
    """The small PLM with an adapter behind each FFN, everything set to be trained."""
    model = symptoms.small_plm()
    with seeded(0):
        for layer in model.bert.encoder.layer:
            layer.output.adapter = Bottleneck(WIDTH, SIZE, activation="gelu", init="near-identity")
            layer.output.dense.register_forward_hook(
                lambda dense, args, h, adapter=layer.output.adapter: h + adapter(h)
            )
    return model


@torch.no_grad()
def _last_hidden(model: nn.Module, batch) -> Tensor:
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    with symptoms.evaluating(model):
        return model.base_model(**inputs).last_hidden_state.clone()


def _fit(module: nn.Module, x: Tensor, steps: int = 20) -> None:
    """Some steps towards an arbitrary target."""
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
    with seeded(1):
        target = torch.randn(x.shape)
    for _ in range(steps):
        optimizer.zero_grad()
        F.mse_loss(module(x), target).backward()
        optimizer.step()


def _error(module: nn.Module, x: Tensor) -> str:
    try:
        module(x)
    except Exception as error:  # whatever a student's module raises is what was found
        return type(error).__name__
    return ""


def _count(what: str, expected: int, got: int, *, given: bool = False) -> Finding:
    return Finding(what, f"{expected:,}", f"{got:,}", expected == got, given)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _word_tokenizer():
    """Whole words in small letters, between [CLS] and [SEP]."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "soup", "was", "stale"]
    words = {name: number for number, name in enumerate(names)}
    backend = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
    )

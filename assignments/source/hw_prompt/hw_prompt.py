# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     cell_metadata_filter: nbgrader,tags,-all
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # HW-Prompt · Talking to a frozen language model
#
# A pre-trained language model (PLM) already knows how to fill a gap in a sentence. In this
# homework you put that to work without touching a single one of its weights: first with a prompt
# made of **words**, then with a prompt made of **vectors**.
#
# | exercise | what you write | difficulty | minutes | points |
# |---|---|---|---:|---:|
# | 1a | `fill_template` - from two texts to one text with a gap | ★☆☆ | 15 | 6 |
# | 1b | `label_scores` - from the logits at the gap to a score per label | ★★☆ | 25 | 8 |
# | 1c | `label_probabilities` - probabilities, and calibration | ★★☆ | 20 | 6 |
# | 2a | `SoftPrompt` - trainable vectors in front of the text | ★★☆ | 25 | 7 |
# | 2b | `extend_batch` - mask, labels and positions move along | ★★☆ | 20 | 6 |
# | 2c | `prompted_logits` - the frozen model with your prompt | ★★★ | 30 | 7 |
#
# **How it works.** Write between the function's docstring and the check below it: replace
# `raise NotImplementedError()`. Each check tells you what it expected and what it got; about half
# of the points come from further checks of the same promises on other sizes and in corner cases,
# which run when your work is graded. Everything they test is stated in a docstring. Please leave
# the lines `# id: ...` where they are: they tell the grader which cell is which.
#
# You need no GPU. Run the cells from top to bottom.

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
# id: setup
import contextlib
import io
import os
import warnings

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
import transformers
from torch import nn
from transformers import BertConfig, BertForMaskedLM, RobertaConfig, RobertaForMaskedLM

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
warnings.simplefilter("ignore")
torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
print(f"torch {torch.__version__}, transformers {transformers.__version__}, device {device}")

# %% [markdown]
# The next cell holds what the checks are made of. Have a look; you can't change it.


# %% nbgrader={"grade": false, "grade_id": "check-tools", "locked": true, "schema_version": 3, "solution": false, "task": false}
# id: check-tools
def check_tensor(what, got, expected):
    """Complain unless `got` is a tensor with the type, shape and values of `expected`."""
    assert isinstance(got, torch.Tensor), f"{what}: expected a tensor, got {type(got).__name__}"
    want, have = tuple(expected.shape), tuple(got.shape)
    assert have == want, f"{what}: expected shape {want}, got {have}"
    assert got.dtype == expected.dtype, f"{what}: expected {expected.dtype}, got {got.dtype}"
    same = torch.allclose(got, expected, rtol=1e-4, atol=1e-5)
    assert same, f"{what}: expected {expected.tolist()}, got {got.tolist()}"


def check_refusal(what, call):
    """Complain unless `call()` raises ValueError."""
    try:
        got = call()
    except ValueError:
        return
    raise AssertionError(f"{what}: expected a ValueError, got {got!r}")


def quiet():
    """Keep warnings and progress bars of the code under test off the page."""
    return contextlib.redirect_stderr(io.StringIO())


def small_bert(family="bert", vocabulary=40, hidden=16, layers=2, seed=0):
    """A masked LM with random weights, small enough to check a shape in a millisecond."""
    config, model = {
        "bert": (BertConfig, BertForMaskedLM),
        "roberta": (RobertaConfig, RobertaForMaskedLM),
    }[family]
    torch.manual_seed(seed)
    return model(
        config(
            vocab_size=vocabulary,
            hidden_size=hidden,
            num_hidden_layers=layers,
            num_attention_heads=2,
            intermediate_size=2 * hidden,
            max_position_embeddings=48,
        )
    ).eval()


# %% [markdown]
# ## Exercise 1 · A template and a verbalizer (20 points)
#
# *Does the premise "the shop is closed" entail "nobody can buy bread there"?* A masked LM was never
# asked such a question. But it was trained to fill gaps, so we ask for a gap:
#
# > the shop is closed ? **[MASK]** , nobody can buy bread there
#
# If the model would rather fill in *yes* than *no*, that is its answer, and nothing was trained
# (Schick and Schütze, *Exploiting Cloze Questions for Few Shot Text Classification*, 2021). Two parts
# are needed. The **template** turns an example into a text with one gap. The **verbalizer** says
# which words stand for which label: $V(\text{entailment})=\{\textit{yes}\}$.
#
# ### 1a · The template
#
# ★☆☆ · 15 minutes · 6 points


# %% nbgrader={"grade": false, "grade_id": "fill-template", "locked": false, "schema_version": 3, "solution": true, "task": false}
# id: fill-template
def fill_template(template: str, premise: str, hypothesis: str, mask_token: str) -> str:
    """Write a premise and a hypothesis into a template with one gap.

    `template` names its places `{premise}`, `{hypothesis}` and `{mask}`; a template may leave out
    one of the texts, but it has exactly one `{mask}`. Both texts lose the blanks around them
    and the full stops, question marks and exclamation marks at their end (with the blanks before
    those), so that the template decides the punctuation. Otherwise they go in as they are, even
    when they contain braces.

    Args:
        template: such as "{premise} ? {mask} , {hypothesis}".
        premise: the first text, such as " The shop is closed . ".
        hypothesis: the second text.
        mask_token: what the model calls a gap: "[MASK]" for BERT, "<mask>" for RoBERTa.

    Returns:
        The text for the tokenizer.

    Raises:
        ValueError: the template has no `{mask}`, or more than one.
    """
    ### BEGIN SOLUTION
    if template.count("{mask}") != 1:
        raise ValueError(f"expected one {{mask}} in the template, got {template!r}")
    premise = premise.strip().rstrip(".?! ")
    hypothesis = hypothesis.strip().rstrip(".?! ")
    return template.format(premise=premise, hypothesis=hypothesis, mask=mask_token)
    ### END SOLUTION


# %% [markdown]
# <details><summary>Hint 1: the texts</summary>
# <code>str.strip()</code> without arguments takes blanks; with an argument it takes any of the characters in it.
# There is also <code>rstrip</code>.
# </details>
# <details><summary>Hint 2: braces in a text</summary>
# Three <code>replace</code> calls in a row also replace in what an earlier call has put in. What does
# <code>str.format</code> do?
# </details>

# %% nbgrader={"grade": true, "grade_id": "fill-template-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# id: fill-template-check
with quiet():
    got = fill_template(
        "{premise} ? {mask} , {hypothesis}", "The shop is closed .", " nobody buys bread", "[MASK]"
    )
expected = "The shop is closed ? [MASK] , nobody buys bread"
assert got == expected, f"fill_template: expected {expected!r}, got {got!r}"
check_refusal(
    "fill_template without a gap", lambda: fill_template("{premise} ?", "a", "b", "[MASK]")
)

# %% nbgrader={"grade": true, "grade_id": "fill-template-more", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# id: fill-template-more
# Runs when your work is graded: other templates, punctuation, texts with braces, two gaps.
### BEGIN HIDDEN TESTS
with quiet():
    got = fill_template("{mask} : {hypothesis}", "unused", "  is it so ?! ", "<mask>")
    assert got == "<mask> : is it so", (
        "fill_template: a template that leaves out the premise, with RoBERTa's gap and a text "
        "ending in two marks, came out wrong"
    )
    got = fill_template(
        "{hypothesis} | {premise} ({mask})", "ends . in . dots . .", "A! b", "[MASK]"
    )
    assert got == "A! b | ends . in . dots ([MASK])", (
        "fill_template: only the marks at the END of a text go, all of them"
    )
    got = fill_template(
        "{premise} ? {mask} , {hypothesis}", "say {hypothesis}", "a {mask} {x}", "[M]"
    )
    assert got == "say {hypothesis} ? [M] , a {mask} {x}", (
        "fill_template: a text with braces must go in as it is"
    )
check_refusal(
    "fill_template with two gaps",
    lambda: fill_template("{mask} {premise} {mask}", "a", "b", "[MASK]"),
)
check_refusal(
    "fill_template with a gap in the text but none in the template",
    lambda: fill_template("{premise} {hypothesis}", "{mask}", "b", "[MASK]"),
)
### END HIDDEN TESTS

# %% [markdown]
# ### 1b · The verbalizer
#
# At the gap of example $b$, at position $m_b$, the model gives a logit $\ell_{b,m_b}(w)$ for every word
# $w$ of its vocabulary. A label's score is the **mean** over the words that stand for it:
#
# $$ s_b(y) = \frac{1}{|V(y)|} \sum_{w \in V(y)} \ell_{b,m_b}(w) $$
#
# *What do you expect: why the mean and not the sum, when one label has three words and another has one?*
#
# ★★☆ · 25 minutes · 8 points


# %% nbgrader={"grade": false, "grade_id": "label-scores", "locked": false, "schema_version": 3, "solution": true, "task": false}
# id: label-scores
def label_scores(
    logits: torch.Tensor, mask_positions: torch.Tensor, label_words: list[list[int]]
) -> torch.Tensor:
    """The score of each label: the mean logit of its words at the gap (equation above).

    Gradients flow back to `logits`, which you leave unchanged.

    Args:
        logits: (B, T, V), what the masked LM returns for B texts of T tokens.
        mask_positions: (B,) integers, where each text has its gap.
        label_words: for each of the L labels, the ids of its words; labels may have different
            numbers of words, and may share a word.

    Returns:
        (B, L), of the same dtype as `logits`.
    """
    ### BEGIN SOLUTION
    rows = torch.arange(logits.size(0), device=logits.device)
    at_gap = logits[rows, mask_positions]  # (B, V)
    return torch.stack([at_gap[:, words].mean(dim=-1) for words in label_words], dim=-1)
    ### END SOLUTION


# %% [markdown]
# <details><summary>Hint 1: the logits at the gap</summary>
# You want one position per row: (B, T, V) becomes (B, V). Index with two tensors at once:
# <code>logits[rows, mask_positions]</code>. Which rows?
# </details>
# <details><summary>Hint 2: labels with different numbers of words</summary>
# One label at a time: pick its columns, (B, |V(y)|), take the mean over the last dimension, (B,), and
# stack the labels.
# </details>

# %% nbgrader={"grade": true, "grade_id": "label-scores-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# id: label-scores-check
logits = torch.arange(24.0).reshape(2, 3, 4)  # two texts, three tokens, a vocabulary of four
with quiet():
    got = label_scores(logits, torch.tensor([1, 2]), [[0], [1, 3]])
check_tensor("label_scores", got, torch.tensor([[4.0, 6.0], [20.0, 22.0]]))

# %% nbgrader={"grade": true, "grade_id": "label-scores-more", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# id: label-scores-more
# Runs when your work is graded: other sizes, one text, words in common, float64, gradients.
### BEGIN HIDDEN TESTS
for batch, tokens, words, labels, dtype in [
    (1, 1, 5, [[2]], torch.float32),
    (4, 4, 4, [[0, 1, 2], [3], [1], [2, 0]], torch.float32),
    (5, 7, 11, [[10, 3], [3, 4, 5, 6]], torch.float64),
]:
    random = torch.Generator().manual_seed(batch)
    logits = torch.randn(batch, tokens, words, generator=random, dtype=dtype)
    gaps = torch.randint(tokens, (batch,), generator=random)
    before, gaps_before = logits.clone(), gaps.clone()
    logits.requires_grad_(True)
    with quiet():
        got = label_scores(logits, gaps, labels)
    where = f"label_scores with B={batch}, T={tokens}, V={words}, L={len(labels)}"
    assert isinstance(got, torch.Tensor), f"{where}: not a tensor"
    assert got.shape == (batch, len(labels)), f"{where}: expected {(batch, len(labels))}"
    assert got.dtype == dtype, f"{where}: the dtype is not that of the logits"
    for b in range(batch):
        for y, ids in enumerate(labels):
            want = sum(before[b, gaps[b], w].item() for w in ids) / len(ids)
            assert abs(got[b, y].item() - want) < 1e-5, f"{where}: wrong values"
    assert got.requires_grad, f"{where}: no gradient flows back to the logits"
    got[:, 0].sum().backward()
    want = torch.zeros_like(before)
    for b in range(batch):
        want[b, gaps[b], labels[0]] = 1 / len(labels[0])
    assert torch.allclose(logits.grad, want, atol=1e-6), f"{where}: wrong gradient"
    assert torch.equal(logits.detach(), before), f"{where}: the logits were changed"
    assert torch.equal(gaps, gaps_before), f"{where}: the positions were changed"
### END HIDDEN TESTS

# %% [markdown]
# ### 1c · Probabilities, and a model that likes to say yes
#
# A softmax over the **labels** turns scores into probabilities,
# $p_b(y) = e^{s_b(y)} / \sum_{y'} e^{s_b(y')}$. But a PLM may like one word better than another whatever
# the text says. To see how much, fill the template with a **content-free** input ("N/A", or nothing) and
# divide it out (Zhao et al., *Calibrate Before Use*, 2021):
#
# $$ \hat p_b(y) \;\propto\; \frac{p_b(y)}{p_\text{content-free}(y)}, \qquad \sum_y \hat p_b(y) = 1 $$
#
# *What do you expect for an input whose scores equal the content-free ones?*
#
# ★★☆ · 20 minutes · 6 points


# %% nbgrader={"grade": false, "grade_id": "label-probabilities", "locked": false, "schema_version": 3, "solution": true, "task": false}
# id: label-probabilities
def label_probabilities(
    scores: torch.Tensor, content_free: torch.Tensor | None = None
) -> torch.Tensor:
    """Probabilities over the labels, calibrated if content-free scores are given.

    Args:
        scores: (B, L), a score per label; finite, but as large as 1000.
        content_free: (L,), the scores of the content-free input, or None for no calibration.

    Returns:
        (B, L), every row sums to 1; without NaN.
    """
    ### BEGIN SOLUTION
    if content_free is not None:
        # softmax(s) / softmax(c), made to sum to 1 again, is softmax(s - c).
        scores = scores - content_free
    return scores.softmax(dim=-1)
    ### END SOLUTION


# %% [markdown]
# <details><summary>Hint 1: which dimension</summary>
# Each row is one example. The sum over its labels is 1.
# </details>
# <details><summary>Hint 2: large scores</summary>
# exp(1000) is infinite in float32, and inf / inf is not a number. <code>torch.softmax</code> takes care of
# it. And what is the logarithm of a quotient?
# </details>

# %% nbgrader={"grade": true, "grade_id": "label-probabilities-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# id: label-probabilities-check
scores = torch.tensor([[2.0, 2.0], [0.0, 1.0986123]])  # exp(1.0986) = 3
with quiet():
    got = label_probabilities(scores)
    calibrated = label_probabilities(scores, content_free=torch.tensor([0.0, 1.0986123]))
check_tensor("label_probabilities", got, torch.tensor([[0.5, 0.5], [0.25, 0.75]]))
check_tensor(
    "label_probabilities, calibrated", calibrated, torch.tensor([[0.75, 0.25], [0.5, 0.5]])
)

# %% nbgrader={"grade": true, "grade_id": "label-probabilities-more", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# id: label-probabilities-more
# Runs when your work is graded: other sizes, as many texts as labels, very large scores, gradients.
### BEGIN HIDDEN TESTS
for batch, labels in [(3, 3), (1, 4), (6, 2)]:
    scores = torch.randn(batch, labels, generator=torch.Generator().manual_seed(labels))
    prior = torch.linspace(-1.0, 2.0, labels)
    before = scores.clone()
    with quiet():
        got, calibrated = label_probabilities(scores), label_probabilities(scores, prior)
    where = f"label_probabilities with B={batch}, L={labels}"
    want = before.exp() / before.exp().sum(1, keepdim=True)
    assert got.shape == want.shape, f"{where}: wrong shape"
    assert torch.allclose(got, want, atol=1e-5), f"{where}: wrong values"
    want = want / (prior.exp() / prior.exp().sum())
    want = want / want.sum(1, keepdim=True)
    assert calibrated.shape == want.shape, f"{where}, calibrated: wrong shape"
    assert torch.allclose(calibrated, want, atol=1e-5), f"{where}, calibrated: wrong values"
    assert torch.equal(scores, before), f"{where}: the scores were changed"
with quiet():
    got = label_probabilities(torch.tensor([[1000.0, 0.0], [-1000.0, -1000.0]]))
assert torch.allclose(got, torch.tensor([[1.0, 0.0], [0.5, 0.5]]), atol=1e-3), (
    "label_probabilities: scores as large as 1000 must not give NaN"
)
scores = torch.zeros(2, 3, requires_grad=True)
with quiet():
    label_probabilities(scores)[:, 0].sum().backward()
assert scores.grad is not None and scores.grad.abs().sum() > 0, (
    "label_probabilities: no gradient flows back to the scores"
)
### END HIDDEN TESTS

# %% [markdown]
# ### See it work
#
# Your three functions ask the small PLM that comes with the course whether the reviewer was pleased.
# Nothing is trained. *Before you run it: which of the four will be hardest?*

# %%
from course_utils.plm import load_plm

sst2 = "{premise} . it was {mask} ."
answers = {"negative": ["bad", "terrible"], "positive": ["good", "great"]}
reviews = [
    "the soup was delicious and the waiter was friendly",
    "the bread was stale",
    "we waited two hours and the fish was burnt",
    "a lovely dinner in a cozy room",
]
texts = [fill_template(sst2, review, "", "[MASK]") for review in reviews]

plm, tokenizer = load_plm("pocket-bert")
batch = tokenizer(texts, return_tensors="pt", padding=True)
label_words = [tokenizer.convert_tokens_to_ids(words) for words in answers.values()]
gaps = (batch["input_ids"] == tokenizer.mask_token_id).int().argmax(dim=1)
with torch.no_grad():
    probabilities = label_probabilities(label_scores(plm(**batch).logits, gaps, label_words))
for review, row in zip(reviews, probabilities.tolist()):
    print(f"{row[1]:.2f} positive   {review}")

# %% [markdown]
# ## Exercise 2 · A soft prompt (20 points)
#
# Why should a prompt be made of words? The model turns words into vectors first, so we may just as well
# choose the vectors, and gradient descent can do it for us (Lester et al., *The Power of Scale for
# Parameter-Efficient Prompt Tuning*, 2021). With $P$ trainable vectors $p_1 \dots p_P$ of the
# model's hidden size $d$ and the word embeddings $e(x_1) \dots e(x_T)$ of the text, the frozen model reads
#
# $$ [\,p_1, \dots, p_P,\; e(x_1), \dots, e(x_T)\,] \in \mathbb{R}^{(P+T)\times d} $$
#
# | symbol | meaning |
# |---|---|
# | B | texts in a batch |
# | T | tokens in a text |
# | P | length of the prompt |
# | d | hidden size |
#
# ### 2a · The module
#
# $P \cdot d$ numbers are all there is to train. Start them from something the model knows: $P$ rows of its
# own vocabulary. They are a **copy**: training the prompt must not change the vocabulary.
#
# ★★☆ · 25 minutes · 7 points


# %% nbgrader={"grade": false, "grade_id": "soft-prompt", "locked": false, "schema_version": 3, "solution": true, "task": false}
# id: soft-prompt
class SoftPrompt(nn.Module):
    """P trainable vectors before the word embeddings of a text (Lester et al., 2021).

    Its only parameter is `self.prompt`, of shape (P, d).
    """

    def __init__(self, word_embeddings: nn.Embedding, length: int, start: int = 5) -> None:
        """Start the prompt from the vocabulary.

        Row i of `self.prompt` is a copy of row `start + i` of the vocabulary (the rows before
        `start` belong to special tokens). It is trainable even when the vocabulary is frozen,
        and the vocabulary stays as it is.

        Args:
            word_embeddings: (V, d), the model's word embeddings.
            length: P, the number of vectors.
            start: the first row to copy.

        Raises:
            ValueError: the vocabulary has no `length` rows from `start` on.
        """
        super().__init__()
        ### BEGIN SOLUTION
        rows = word_embeddings.weight[start : start + length]  # (P, d)
        if len(rows) < length:
            have = word_embeddings.num_embeddings
            raise ValueError(
                f"expected {length} rows from row {start} on, the vocabulary has {have}"
            )
        self.prompt = nn.Parameter(rows.detach().clone())
        ### END SOLUTION

    def forward(self, inputs_embeds: torch.Tensor) -> torch.Tensor:
        """Put the prompt before every text: (B, T, d) becomes (B, P + T, d)."""
        ### BEGIN SOLUTION
        prompt = self.prompt.expand(inputs_embeds.size(0), -1, -1)  # (B, P, d)
        return torch.cat([prompt, inputs_embeds], dim=1)
        ### END SOLUTION


# %% [markdown]
# <details><summary>Hint 1: a copy</summary>
# A slice of a tensor shares its memory with the tensor, and <code>nn.Parameter(x)</code> does not copy.
# </details>
# <details><summary>Hint 2: the batch</summary>
# The prompt is (P, d), the texts are (B, T, d). <code>expand</code> repeats without copying;
# <code>torch.cat</code> joins along one dimension.
# </details>

# %% nbgrader={"grade": true, "grade_id": "soft-prompt-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# id: soft-prompt-check
vocabulary = nn.Embedding(12, 4)
with quiet():
    soft_prompt = SoftPrompt(vocabulary, length=3)
    got = soft_prompt(torch.zeros(2, 6, 4))
names = [name for name, _ in soft_prompt.named_parameters()]
assert names == ["prompt"], f"SoftPrompt: expected one parameter, 'prompt', got {names}"
check_tensor("soft_prompt.prompt", soft_prompt.prompt.detach(), vocabulary.weight[5:8].detach())
assert tuple(got.shape) == (2, 9, 4), f"forward: expected shape (2, 9, 4), got {tuple(got.shape)}"

# %% nbgrader={"grade": true, "grade_id": "soft-prompt-more", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# id: soft-prompt-more
# Runs when your work is graded: other sizes, a frozen vocabulary, whose memory it is, gradients, order.
### BEGIN HIDDEN TESTS
for batch, tokens, length, size, start in [(3, 5, 2, 4, 5), (1, 1, 6, 8, 0), (4, 4, 4, 4, 3)]:
    torch.manual_seed(length)
    vocabulary = nn.Embedding(20, size)
    vocabulary.weight.requires_grad_(False)
    before = vocabulary.weight.clone()
    texts = torch.randn(batch, tokens, size)
    with quiet():
        soft_prompt = SoftPrompt(vocabulary, length, start)
        got = soft_prompt(texts)
    where = f"SoftPrompt with B={batch}, T={tokens}, P={length}, d={size}"
    assert isinstance(soft_prompt.prompt, nn.Parameter), f"{where}: prompt is no nn.Parameter"
    count = sum(p.numel() for p in soft_prompt.parameters())
    assert count == length * size, f"{where}: expected {length * size} parameters, got {count}"
    assert soft_prompt.prompt.requires_grad, f"{where}: the prompt is not trainable"
    assert not vocabulary.weight.requires_grad, f"{where}: the vocabulary was unfrozen"
    assert got.shape == (batch, length + tokens, size), f"{where}: wrong shape"
    rows = before[start : start + length]
    assert torch.equal(soft_prompt.prompt.detach(), rows), f"{where}: wrong start"
    for b in range(batch):
        assert torch.equal(got[b, :length].detach(), rows), f"{where}: the prompt must come first"
        assert torch.equal(got[b, length:].detach(), texts[b]), f"{where}: the text must follow"
    optimizer = torch.optim.SGD(soft_prompt.parameters(), lr=0.5)
    soft_prompt(texts).sum().backward()
    want = torch.full((length, size), float(batch))
    grad = soft_prompt.prompt.grad
    assert grad is not None, f"{where}: no gradient reaches the prompt"
    assert torch.allclose(grad, want), f"{where}: wrong gradient"
    optimizer.step()
    assert torch.equal(vocabulary.weight, before), (
        f"{where}: a training step changed the vocabulary"
    )
    moved = soft_prompt(texts)[:, :length].detach()
    assert not torch.allclose(moved[0], rows), f"{where}: forward does not use the trained prompt"
check_refusal(
    "SoftPrompt longer than the vocabulary", lambda: SoftPrompt(nn.Embedding(10, 4), 6, start=5)
)
### END HIDDEN TESTS

# %% [markdown]
# ### 2b · Everything else moves along
#
# The text became $P$ positions longer, so whatever speaks of positions must follow: the attention mask
# gets $P$ ones (the prompt is there to be read), token labels get $P$ times -100 (the prompt predicts
# nothing; -100 is what the loss ignores), and the gap is now at $m_b + P$.
#
# ★★☆ · 20 minutes · 6 points


# %% nbgrader={"grade": false, "grade_id": "extend-batch", "locked": false, "schema_version": 3, "solution": true, "task": false}
# id: extend-batch
def extend_batch(batch: dict[str, torch.Tensor], length: int) -> dict[str, torch.Tensor]:
    """Make room for a prompt of `length` vectors before every text of a batch.

    Args:
        batch: any of these keys, any others go through as they are
            attention_mask (B, T): 1 for a token, 0 for padding; gets ones in front.
            token_type_ids (B, T): the segment of each token; gets zeros in front.
            labels (B, T): the right token where there is something to predict, else -100; gets
                -100 in front.
            mask_positions (B,): where the gap is; moves right.
        length: P.

    Returns:
        A new dict, (B, P + T) where it was (B, T), with the dtypes of the given tensors. The
        given dict and its tensors stay as they are.
    """
    ### BEGIN SOLUTION
    in_front = {"attention_mask": 1, "token_type_ids": 0, "labels": -100}
    longer = dict(batch)
    for name, value in in_front.items():
        if name in batch:
            extra = batch[name].new_full((batch[name].size(0), length), value)  # (B, P)
            longer[name] = torch.cat([extra, batch[name]], dim=1)
    if "mask_positions" in batch:
        longer["mask_positions"] = batch["mask_positions"] + length
    return longer
    ### END SOLUTION


# %% [markdown]
# <details><summary>Hint: new columns of the right kind</summary>
# <code>tensor.new_full((rows, columns), value)</code> makes a tensor of the same dtype on the same device.
# </details>

# %% nbgrader={"grade": true, "grade_id": "extend-batch-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# id: extend-batch-check
batch = {
    "attention_mask": torch.tensor([[1, 1, 1], [1, 1, 0]]),
    "labels": torch.tensor([[-100, 7, -100], [8, -100, -100]]),
    "mask_positions": torch.tensor([1, 0]),
}
with quiet():
    got = extend_batch(batch, length=2)
expected = {
    "attention_mask": torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]]),
    "labels": torch.tensor([[-100, -100, -100, 7, -100], [-100, -100, 8, -100, -100]]),
    "mask_positions": torch.tensor([3, 2]),
}
assert sorted(got) == sorted(expected), (
    f"extend_batch: expected the keys {sorted(expected)}, got {sorted(got)}"
)
for name, tensor in expected.items():
    check_tensor(name, got[name], tensor)

# %% nbgrader={"grade": true, "grade_id": "extend-batch-more", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# id: extend-batch-more
# Runs when your work is graded: other sizes and dtypes, missing and further keys, the batch you were given.
### BEGIN HIDDEN TESTS
for rows, tokens, length, dtype in [
    (1, 4, 1, torch.int32),
    (3, 2, 5, torch.bool),
    (2, 2, 2, torch.int64),
]:
    given = {
        "attention_mask": torch.ones(rows, tokens).to(dtype),
        "token_type_ids": torch.ones(rows, tokens, dtype=torch.int64),
        "labels": torch.arange(rows * tokens).reshape(rows, tokens),
        "mask_positions": torch.arange(rows) % tokens,
        "index": torch.arange(rows),
    }
    given["attention_mask"][0, -1] = 0
    before = {name: tensor.clone() for name, tensor in given.items()}
    with quiet():
        got = extend_batch(given, length)
    where = f"extend_batch with B={rows}, T={tokens}, P={length}, mask of {dtype}"
    assert set(got) == set(before), f"{where}: keys came or went"
    for name, value in [("attention_mask", 1), ("token_type_ids", 0), ("labels", -100)]:
        new = got[name]
        assert new.shape == (rows, length + tokens), f"{where}: wrong shape of {name}"
        assert new.dtype == before[name].dtype, f"{where}: the dtype of {name} changed"
        assert (new[:, :length] == value).all(), f"{where}: wrong values in front of {name}"
        assert torch.equal(new[:, length:], before[name]), f"{where}: the rest of {name} changed"
    assert torch.equal(got["mask_positions"], before["mask_positions"] + length), (
        f"{where}: the gap is at the wrong place"
    )
    assert torch.equal(got["index"], before["index"]), f"{where}: another key changed"
    assert got is not given and all(torch.equal(given[n], before[n]) for n in before), (
        f"{where}: the batch that was given changed"
    )
with quiet():
    got = extend_batch({"attention_mask": torch.ones(2, 3, dtype=torch.int64)}, 1)
assert set(got) == {"attention_mask"}, "extend_batch: keys that were not given must not appear"
### END HIDDEN TESTS

# %% [markdown]
# ### 2c · The frozen model reads your prompt
#
# A Transformer adds three things before its first layer, $e(x_t) + \text{position}_t + \text{segment}_t$,
# and normalises the sum. With `inputs_embeds` you give it the **word** embeddings $e$ only, and it adds the
# rest itself, once, for all $P+T$ positions. Give it the sum and it is added twice: everything runs,
# and the results are quietly worse.
#
# *What do you expect: if the prompt is exactly the embeddings of P real words, what must the model's
# logits be equal to?*
#
# ★★★ · 30 minutes · 7 points


# %% nbgrader={"grade": false, "grade_id": "prompted-logits", "locked": false, "schema_version": 3, "solution": true, "task": false}
# id: prompted-logits
def prompted_logits(
    model: nn.Module,
    soft_prompt: SoftPrompt,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
) -> torch.Tensor:
    """What the masked LM says at every position when the soft prompt comes first.

    Works for any architecture of transformers: ask the model for its word embeddings. Gradients
    flow back to the prompt.

    Args:
        model: a masked LM with vocabulary V.
        soft_prompt: P vectors.
        input_ids: (B, T) token ids.
        attention_mask: (B, T), 1 for a token, 0 for padding.

    Returns:
        (B, P + T, V) logits.
    """
    ### BEGIN SOLUTION
    words = model.get_input_embeddings()(input_ids)  # (B, T, d)
    length = soft_prompt.prompt.size(0)
    mask = extend_batch({"attention_mask": attention_mask}, length)["attention_mask"]
    return model(inputs_embeds=soft_prompt(words), attention_mask=mask).logits
    ### END SOLUTION


# %% [markdown]
# <details><summary>Hint 1: the word embeddings</summary>
# Every model of transformers has <code>get_input_embeddings()</code>, the plain table of words.
# <code>model.bert.embeddings</code> is something else: it adds positions and normalises.
# </details>
# <details><summary>Hint 2: the mask</summary>
# The model wants a mask of length P + T. You have just written the function for it.
# </details>

# %% nbgrader={"grade": true, "grade_id": "prompted-logits-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# id: prompted-logits-check
model = small_bert()
soft_prompt = SoftPrompt(model.get_input_embeddings(), length=3)  # starts as the words 5, 6, 7
input_ids = torch.tensor([[2, 10, 11, 3], [2, 12, 3, 0]])
attention_mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
with quiet(), torch.no_grad():
    got = prompted_logits(model, soft_prompt, input_ids, attention_mask)
    words_first = torch.tensor([[5, 6, 7, 2, 10, 11, 3], [5, 6, 7, 2, 12, 3, 0]])
    mask = torch.tensor([[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 0]])
    expected = model(input_ids=words_first, attention_mask=mask).logits
assert isinstance(got, torch.Tensor), (
    f"prompted_logits: expected a tensor, got {type(got).__name__}"
)
assert got.shape == expected.shape, (
    f"prompted_logits: expected shape {tuple(expected.shape)}, got {tuple(got.shape)}"
)
difference = (got - expected).abs().max().item()
assert difference < 1e-4, (
    "prompted_logits: a prompt of real words must act like the words: expected a difference of 0, "
    f"got {difference:.4f}"
)

# %% nbgrader={"grade": true, "grade_id": "prompted-logits-more", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# id: prompted-logits-more
# Runs when your work is graded: RoBERTa, other sizes, padding, and a training step of the prompt alone.
### BEGIN HIDDEN TESTS
for family, rows, tokens, length in [("roberta", 2, 5, 4), ("bert", 1, 1, 1), ("bert", 3, 3, 7)]:
    model = small_bert(family, vocabulary=60, hidden=24, layers=3, seed=length)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    soft_prompt = SoftPrompt(model.get_input_embeddings(), length)
    random = torch.Generator().manual_seed(length)
    input_ids = torch.randint(15, 60, (rows, tokens), generator=random)
    attention_mask = torch.ones_like(input_ids)
    if tokens > 1:
        attention_mask[-1, -1] = 0
    prompt_ids = torch.arange(5, 5 + length).expand(rows, -1)
    longer = torch.cat([torch.ones_like(prompt_ids), attention_mask], dim=1)
    where = f"prompted_logits with {family}, B={rows}, T={tokens}, P={length}"
    with quiet():
        want = model(torch.cat([prompt_ids, input_ids], dim=1), attention_mask=longer).logits
        got = prompted_logits(model, soft_prompt, input_ids, attention_mask)
    assert got.shape == want.shape, f"{where}: wrong shape"
    real = longer.bool()
    assert torch.allclose(got[real], want[real], atol=1e-4), (
        f"{where}: a prompt of real words must act like the words"
    )
    before = {name: p.clone() for name, p in model.named_parameters()}
    start = soft_prompt.prompt.detach().clone()
    optimizer = torch.optim.SGD(soft_prompt.parameters(), lr=0.1)
    losses = []
    for _ in range(4):
        with quiet():
            logits = prompted_logits(model, soft_prompt, input_ids, attention_mask)
        loss = nn.functional.cross_entropy(logits[:, length], torch.full((rows,), 9))
        assert loss.requires_grad, f"{where}: no gradient flows back to the prompt"
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0], f"{where}: training the prompt does not lower the loss"
    assert not torch.equal(soft_prompt.prompt.detach(), start), f"{where}: the prompt did not move"
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters()), (
        f"{where}: the frozen model moved"
    )
### END HIDDEN TESTS

# %% [markdown]
# ### See it work
#
# Eight prompt vectors learn from eight reviews, and the PLM stays as it was. Eight examples are few:
# the training reviews are soon learnt; the other four tell you more. *What do you expect from them?*
#
# (The next cell is marked as training and is not run when your work is graded.)

# %% tags=["training"]
from course_utils.plm import load_plm

training = [
    ("the pasta was tasty", 1),
    ("the room was dirty", 0),
    ("the guide was helpful and kind", 1),
    ("a boring film", 0),
    ("the tea was bitter and cold", 0),
    ("we loved the concert", 1),
    ("the driver was rude", 0),
    ("the cake was heavenly", 1),
]
pattern = "{premise} . it was {mask} ."
training_texts = [fill_template(pattern, review, "", "[MASK]") for review, _ in training]
new_texts = [fill_template(pattern, review, "", "[MASK]") for review in reviews]
truth = torch.tensor([label for _, label in training])

plm, tokenizer = load_plm("pocket-bert")
for parameter in plm.parameters():
    parameter.requires_grad_(False)
soft_prompt = SoftPrompt(plm.get_input_embeddings(), length=8, start=200)  # eight words
label_words = [tokenizer.convert_tokens_to_ids(words) for words in (["bad"], ["good"])]


def scores_of(texts: list[str]) -> torch.Tensor:
    batch = tokenizer(texts, return_tensors="pt", padding=True)
    gaps = (batch["input_ids"] == tokenizer.mask_token_id).int().argmax(dim=1)
    gaps = extend_batch({"mask_positions": gaps}, length=8)["mask_positions"]
    logits = prompted_logits(plm, soft_prompt, batch["input_ids"], batch["attention_mask"])
    return label_scores(logits, gaps, label_words)


optimizer = torch.optim.AdamW(soft_prompt.parameters(), lr=0.02)
for step in range(31):
    loss = nn.functional.cross_entropy(scores_of(training_texts), truth)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(f"step {step:2d}   loss {loss.item():.3f}")
trained = sum(p.numel() for p in soft_prompt.parameters())
print(f"{trained:,} of {sum(p.numel() for p in plm.parameters()):,} numbers were trained")
for review, row in zip(reviews, label_probabilities(scores_of(new_texts)).tolist()):
    print(f"{row[1]:.2f} positive   {review}")

# %% [markdown]
# ## Summary
#
# * A template makes a task look like what the PLM was trained for; a verbalizer reads the answer.
# * A label's score is a mean over its words; calibration takes out what the model likes to say anyway.
# * A soft prompt is $P \cdot d$ trained numbers in front of the word embeddings. Everything that speaks of
#   positions moves by $P$; the model adds positions and segments itself, once.
#
# ## References
#
# * T. Schick, H. Schütze. *Exploiting Cloze Questions for Few Shot Text Classification and Natural Language
#   Inference.* EACL 2021.
# * T. Zhao, E. Wallace, S. Feng, D. Klein, S. Singh. *Calibrate Before Use: Improving Few-Shot Performance
#   of Language Models.* ICML 2021.
# * B. Lester, R. Al-Rfou, N. Constant. *The Power of Scale for Parameter-Efficient Prompt Tuning.* EMNLP
#   2021.

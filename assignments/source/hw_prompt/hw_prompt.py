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
# made of **words**, then with a prompt made of **vectors**, then with vectors in **every layer**. At
# the end you train such prompts on at least three tasks and try to beat a published result.
#
# | exercise | what you write | difficulty | minutes | points |
# |---|---|---|---:|---:|
# | 1a | `fill_template` - from two texts to one text with a gap | ★☆☆ | 15 | 6 |
# | 1b | `label_scores` - from the logits at the gap to a score per label | ★★☆ | 25 | 8 |
# | 1c | `label_probabilities` - probabilities, and calibration | ★★☆ | 20 | 6 |
# | 2a | `SoftPrompt` - trainable vectors in front of the text | ★★☆ | 25 | 7 |
# | 2b | `extend_batch` - mask, labels and positions move along | ★★☆ | 20 | 6 |
# | 2c | `prompted_logits` - the frozen model with your prompt | ★★★ | 30 | 7 |
# | 3a | `keys_and_values` - one table, cut into layers and heads | ★☆☆ | 15 | 3 |
# | 3b | `Prefix` - the table, and the MLP that helps to train it | ★★★ | 45 | 8 |
# | 3c | `prefixed_logits` - the frozen model reads your prefix | ★★★ | 30 | 5 |
# | 3d | `text_share` - why a prefix of zeros changes the output | ★★☆ | 20 | 4 |
# | 4 | `runs` - prompts trained on three tasks or more, beside published results | ★★☆ | 60 | 24 |
# | 5 | `answers` - four questions, in words | ★★☆ | 60 | 16 |
#
# **How it works.** Write between the function's docstring and the check below it: replace
# `raise NotImplementedError()`. The check tells you what it expected and what it got, on one small
# case. Your points come from further checks, each of one promise in the docstring, on other sizes,
# models and corner cases; they run when your work is graded, and you get points for each that
# passes. Everything they test is stated in a docstring. Please leave the lines `# id: ...` where they
# are: they tell the grader which cell is which.
#
# You need no GPU, but for the GPU track of exercise 4. Run the cells from top to bottom.

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
from transformers import (
    BertConfig,
    BertForMaskedLM,
    DynamicCache,
    GPT2Config,
    GPT2LMHeadModel,
    RobertaConfig,
    RobertaForMaskedLM,
)

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


def small_plm(family="bert", vocabulary=40, hidden=16, layers=2, seed=0):
    """A PLM with random weights, small enough to check a shape in a millisecond."""
    config, model = {
        "bert": (BertConfig, BertForMaskedLM),
        "roberta": (RobertaConfig, RobertaForMaskedLM),
        "gpt2": (GPT2Config, GPT2LMHeadModel),
    }[family]
    torch.manual_seed(seed)
    sizes = {
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "max_position_embeddings": 48,
    }
    if family == "gpt2":
        sizes |= {"bos_token_id": 1, "eos_token_id": 1}
    else:
        sizes |= {"intermediate_size": 2 * hidden}
    return model(config(**sizes, initializer_range=0.2)).eval()


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

# %% nbgrader={"grade": true, "grade_id": "fill-template-check", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
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

# %% nbgrader={"grade": true, "grade_id": "label-scores-check", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
# id: label-scores-check
logits = torch.arange(24.0).reshape(2, 3, 4)  # two texts, three tokens, a vocabulary of four
with quiet():
    got = label_scores(logits, torch.tensor([1, 2]), [[0], [1, 3]])
check_tensor("label_scores", got, torch.tensor([[4.0, 6.0], [20.0, 22.0]]))

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

# %% nbgrader={"grade": true, "grade_id": "label-probabilities-check", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
# id: label-probabilities-check
scores = torch.tensor([[2.0, 2.0], [0.0, 1.0986123]])  # exp(1.0986) = 3
with quiet():
    got = label_probabilities(scores)
    calibrated = label_probabilities(scores, content_free=torch.tensor([0.0, 1.0986123]))
check_tensor("label_probabilities", got, torch.tensor([[0.5, 0.5], [0.25, 0.75]]))
check_tensor(
    "label_probabilities, calibrated", calibrated, torch.tensor([[0.75, 0.25], [0.5, 0.5]])
)

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

# %% nbgrader={"grade": true, "grade_id": "soft-prompt-check", "locked": true, "points": 7, "schema_version": 3, "solution": false, "task": false}
# id: soft-prompt-check
vocabulary = nn.Embedding(12, 4)
with quiet():
    soft_prompt = SoftPrompt(vocabulary, length=3)
    got = soft_prompt(torch.zeros(2, 6, 4))
names = [name for name, _ in soft_prompt.named_parameters()]
assert names == ["prompt"], f"SoftPrompt: expected one parameter, 'prompt', got {names}"
check_tensor("soft_prompt.prompt", soft_prompt.prompt.detach(), vocabulary.weight[5:8].detach())
assert tuple(got.shape) == (2, 9, 4), f"forward: expected shape (2, 9, 4), got {tuple(got.shape)}"

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

# %% nbgrader={"grade": true, "grade_id": "extend-batch-check", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
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

# %% nbgrader={"grade": true, "grade_id": "prompted-logits-check", "locked": true, "points": 7, "schema_version": 3, "solution": false, "task": false}
# id: prompted-logits-check
model = small_plm()
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
# ## Exercise 3 · A prefix in every layer (20 points)
#
# A soft prompt speaks to the first layer, and the layers above make of it what they will. **Prefix
# tuning** (Li and Liang, 2021) and **P-tuning v2** (Liu et al., 2022) put into every layer what it would
# have made: for $P$ places the key and the value that its attention finds there. In layer $i$, with queries
# $Q$, keys $K$ and values $V$ of the text,
#
# $$ \text{softmax}\!\left(\frac{Q\,[P_k^{(i)};\,K]^\top}{\sqrt{d_h}}\right)[P_v^{(i)};\,V] $$
#
# | symbol | meaning |
# |---|---|
# | L | layers |
# | h, $d_h$ | heads of a layer, and the size of each; $d = h \cdot d_h$ |
# | P | places of the prefix |
# | k | width of the MLP |
# | B, T | texts in a batch, tokens in a text |
#
# ### 3a · One table for all layers
#
# All that is trained fits in one table with a row per place and $2 \cdot L \cdot d$ columns. Of its $2L$
# blocks of $d$ columns, block $2i$ holds the keys of layer $i$ and block $2i+1$ its values. Within a
# block, the first $d_h$ columns belong to the first head, and so on.
#
# ★☆☆ · 15 minutes · 3 points


# %% nbgrader={"grade": false, "grade_id": "keys-and-values", "locked": false, "schema_version": 3, "solution": true, "task": false}
# id: keys-and-values
def keys_and_values(table: torch.Tensor, layers: int, heads: int) -> torch.Tensor:
    """Cut tables of numbers into keys and values for every layer and head.

    With `out` what is returned, `out[i, 0]` are the keys of layer i and `out[i, 1]` its values,
    in the order of columns that is given above. Gradients flow back to `table`.

    Args:
        table: (B, P, 2·L·h·d_h), a row per place, for every text.
        layers: L.
        heads: h.

    Returns:
        (L, 2, B, h, P, d_h), of the same dtype as `table`.

    Raises:
        ValueError: the number of columns can't be divided by 2·L·h.
    """
    ### BEGIN SOLUTION
    rows, places, columns = table.shape
    if columns % (2 * layers * heads):
        raise ValueError(f"{columns} columns are not for {layers} layers of {heads} heads")
    cut = table.reshape(rows, places, layers, 2, heads, -1)  # (B, P, L, 2, h, d_h)
    return cut.permute(2, 3, 0, 4, 1, 5)
    ### END SOLUTION


# %% [markdown]
# <details><summary>Hint 1: cut first</summary>
# <code>reshape</code> (or <code>view</code>) cuts the last dimension into several; it never changes the order
# of the numbers. Which of the new dimensions varies slowest?
# </details>
# <details><summary>Hint 2: then turn</summary>
# <code>permute</code> puts dimensions into another order. Going straight to the final shape with
# <code>reshape</code> gives the right shape and the wrong numbers.
# </details>

# %% nbgrader={"grade": true, "grade_id": "keys-and-values-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# id: keys-and-values-check
table = torch.arange(16.0).reshape(1, 2, 8)  # one text, two places; two layers, two heads of size 1
with quiet():
    got = keys_and_values(table, layers=2, heads=2)
expected = torch.tensor(
    [
        [[[[[0.0], [8.0]], [[1.0], [9.0]]]], [[[[2.0], [10.0]], [[3.0], [11.0]]]]],  # layer 0
        [[[[[4.0], [12.0]], [[5.0], [13.0]]]], [[[[6.0], [14.0]], [[7.0], [15.0]]]]],  # layer 1
    ]
)
check_tensor("keys_and_values", got, expected)
check_refusal(
    "keys_and_values of 7 columns", lambda: keys_and_values(torch.zeros(1, 2, 7), layers=2, heads=2)
)

# %% [markdown]
# ### 3b · The table, and how to train it
#
# P-tuning v2 trains the table itself, starting small, and lets dropout fall on it. Prefix tuning found
# that unstable and trains a smaller table $E$ and an MLP that makes the large one:
#
# $$ \text{table} = \tanh(E\,W_1 + b_1)\,W_2 + b_2 \qquad
# E: (P, d)\quad W_1: (d, k)\quad W_2: (k, 2 \cdot L \cdot d) $$
#
# The MLP's output is the same for every text. So after training the table is written down, and
# $E$ and the MLP are thrown away: this is a **re-parametrisation**, not a part of the model.
#
# *What do you expect: for $L = 24$, $d = 1024$, $P = 20$ and $k = 512$, how many numbers are trained, and how
# many are kept?*
#
# ★★★ · 45 minutes · 8 points


# %% nbgrader={"grade": false, "grade_id": "prefix", "locked": false, "schema_version": 3, "solution": true, "task": false}
# id: prefix
class Prefix(nn.Module):
    """P places with keys and values for L layers (Li and Liang, 2021; Liu et al., 2022).

    Its parameters, without an MLP and after `finish`:
        table: (P, 2·L·d)
    and with an MLP, as long as it is there, instead of it:
        start: (P, d)
        mlp: nn.Sequential(nn.Linear(d, k), nn.Tanh(), nn.Linear(k, 2·L·d))
    """

    def __init__(
        self, layers: int, size: int, length: int, mlp: int = 0, dropout: float = 0.0
    ) -> None:
        """Start small, or with an MLP.

        Args:
            layers: L.
            size: d, the model's hidden size.
            length: P.
            mlp: k, the width of the MLP. With 0 there is none, and `table` is drawn from a normal
                distribution with mean 0 and standard deviation 0.02. Otherwise `start` is drawn
                from a standard normal distribution, and the MLP starts like any nn.Linear.
            dropout: the probability of dropping a number while training.
        """
        super().__init__()
        ### BEGIN SOLUTION
        columns = 2 * layers * size
        self.dropout = dropout
        if mlp:
            self.start = nn.Parameter(torch.randn(length, size))
            self.mlp = nn.Sequential(nn.Linear(size, mlp), nn.Tanh(), nn.Linear(mlp, columns))
        else:
            self.table = nn.Parameter(0.02 * torch.randn(length, columns))
        ### END SOLUTION

    def forward(self, batch: int) -> torch.Tensor:
        """The table, once for every text: (B, P, 2·L·d).

        While training (`self.training`), dropout falls on it, for each text anew: a number is
        dropped with probability p, and what is left is divided by 1 - p. Otherwise all rows of
        the batch are the same.

        Args:
            batch: B, the number of texts.
        """
        ### BEGIN SOLUTION
        table = self.mlp(self.start) if hasattr(self, "mlp") else self.table  # (P, 2·L·d)
        table = table.expand(batch, -1, -1)  # (B, P, 2·L·d)
        return nn.functional.dropout(table, self.dropout, self.training)
        ### END SOLUTION

    def finish(self) -> None:
        """Throw the MLP away: keep its output, without dropout, as the trainable `table`.

        Afterwards `table` is the only parameter, and `forward` gives what it gave before. Without
        an MLP nothing changes.
        """
        ### BEGIN SOLUTION
        if hasattr(self, "mlp"):
            self.table = nn.Parameter(self.mlp(self.start).detach())
            del self.mlp, self.start
        ### END SOLUTION


# %% [markdown]
# <details><summary>Hint 1: one row for each text, and dropout</summary>
# If you drop first and repeat then, all texts of a batch lose the same numbers.
# <code>nn.functional.dropout(x, p, training)</code> divides by 1 - p for you.
# </details>
# <details><summary>Hint 2: throwing away</summary>
# <code>del self.mlp</code> takes a module out of its parent, with its parameters. A tensor that was computed from
# parameters is no parameter: detach it and wrap it in <code>nn.Parameter</code>.
# </details>

# %% nbgrader={"grade": true, "grade_id": "prefix-check", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
# id: prefix-check
torch.manual_seed(0)
for width, expected in [(0, 3 * 2 * 2 * 4), (5, 3 * 4 + (4 + 1) * 5 + (5 + 1) * 2 * 2 * 4)]:
    with quiet():
        prefix = Prefix(layers=2, size=4, length=3, mlp=width).eval()
        got = prefix(2)
    what = f"Prefix with mlp={width}"
    assert tuple(got.shape) == (2, 3, 16), (
        f"{what}: forward: expected shape (2, 3, 16), got {tuple(got.shape)}"
    )
    count = sum(p.numel() for p in prefix.parameters())
    assert count == expected, f"{what}: expected {expected} numbers to train, got {count}"
    before = got.detach()
    with quiet():
        prefix.finish()
        check_tensor(f"{what}, forward after finish", prefix(2).detach(), before)
    names = [name for name, _ in prefix.named_parameters()]
    assert names == ["table"], f"{what}, finish: expected one parameter, 'table', got {names}"

# %% [markdown]
# ### 3c · The frozen model reads your prefix
#
# Models of transformers take keys and values of earlier tokens in a **cache**, made for writing text token
# by token. A cache with your prefix in it does just what we need, in BERT as well: the model attends to it,
# and counts the text's positions from $P$ on. But a model *adds* the keys and values of the text to the
# cache it was given. Use one twice, and the second text also reads the first.
#
# *What do you expect: if the prefix is exactly what GPT-2 computes for P real words, what must its logits for
# the text be equal to? And is that so for BERT?*
#
# ★★★ · 30 minutes · 5 points


# %% nbgrader={"grade": false, "grade_id": "prefixed-logits", "locked": false, "schema_version": 3, "solution": true, "task": false}
# id: prefixed-logits
def prefixed_logits(
    model: nn.Module, past: torch.Tensor, input_ids: torch.Tensor, attention_mask: torch.Tensor
) -> torch.Tensor:
    """What an LM says at every token when each layer has keys and values in front of the text's.

    Works for BERT, RoBERTa and GPT-2. The text's positions are those behind P tokens. Gradients
    flow back to `past`. Neither the model nor `past` is changed, and a call leaves nothing behind
    for the next one.

    Args:
        model: a masked or causal LM with vocabulary V.
        past: (L, 2, B, h, P, d_h), keys and values for every layer and text.
        input_ids: (B, T) token ids.
        attention_mask: (B, T), 1 for a token, 0 for padding.

    Returns:
        (B, T, V) logits.
    """
    ### BEGIN SOLUTION
    cache = DynamicCache()  # a new one: the model adds to it
    for layer, (keys, values) in enumerate(past):
        cache.update(keys, values, layer)
    front = attention_mask.new_ones(len(input_ids), past.size(-2))  # (B, P)
    mask = torch.cat([front, attention_mask], dim=1)
    return model(input_ids=input_ids, attention_mask=mask, past_key_values=cache).logits
    ### END SOLUTION


# %% [markdown]
# <details><summary>Hint 1: the cache</summary>
# <code>cache = DynamicCache()</code> is empty; <code>cache.update(keys, values, layer)</code> adds (B, h, P, d_h)
# each to a layer. Models take it as <code>past_key_values</code>.
# </details>
# <details><summary>Hint 2: the mask</summary>
# The mask speaks of everything that can be attended to: P + T columns. (GPT-2 does not complain about
# one of T columns. It reads it wrongly.)
# </details>
# <details><summary>Hint 3: positions</summary>
# Leave them to the model: it asks the cache how long it is. RoBERTa counts from 2 and leaves padding out,
# and it does that by itself, too.
# </details>

# %% nbgrader={"grade": true, "grade_id": "prefixed-logits-check", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
# id: prefixed-logits-check
model = small_plm("gpt2")
words = torch.tensor([[5, 6, 7], [8, 9, 5]])
input_ids = torch.tensor([[10, 11, 12, 13], [14, 15, 16, 17]])
with quiet(), torch.no_grad():
    computed = model(words, use_cache=True).past_key_values  # what GPT-2 makes of three words
    past = torch.stack([torch.stack([layer.keys, layer.values]) for layer in computed.layers])
    got = prefixed_logits(model, past, input_ids, torch.ones_like(input_ids))
    expected = model(torch.cat([words, input_ids], dim=1)).logits[:, 3:]
assert isinstance(got, torch.Tensor), (
    f"prefixed_logits: expected a tensor, got {type(got).__name__}"
)
assert got.shape == expected.shape, (
    f"prefixed_logits: expected shape {tuple(expected.shape)}, got {tuple(got.shape)}"
)
difference = (got - expected).abs().max().item()
assert difference < 1e-4, (
    "prefixed_logits: in GPT-2 the keys and values of real words must act like the words: expected "
    f"a difference of 0, got {difference:.4f}"
)
with quiet(), torch.no_grad():
    got = prefixed_logits(small_plm(), past, input_ids, torch.ones_like(input_ids))
assert tuple(got.shape) == (2, 4, 40), (
    f"prefixed_logits with BERT: expected shape (2, 4, 40), got {tuple(got.shape)}"
)

# %% [markdown]
# ### 3d · Nothing, and yet it counts
#
# Let all keys and values of the prefix be 0. Is it as if there were none? No: the score of a key of zeros
# is $q \cdot 0 / \sqrt{d_h} = 0$, and $e^0 = 1$. Each of the $P$ places takes weight 1 in the softmax before it is
# normalised. What token $t$ of a text still attends to the text is
#
# $$ r_t = \frac{\sum_j e^{s_{tj}}}{P + \sum_j e^{s_{tj}}}, \qquad s_{tj} = \frac{q_t \cdot k_j}{\sqrt{d_h}} $$
#
# where $j$ runs over the tokens that are no padding. Every attention weight on the text becomes $r_t$ times
# what it was; the values of the prefix add nothing.
#
# ★★☆ · 20 minutes · 4 points


# %% nbgrader={"grade": false, "grade_id": "text-share", "locked": false, "schema_version": 3, "solution": true, "task": false}
# id: text-share
def text_share(
    queries: torch.Tensor, keys: torch.Tensor, attention_mask: torch.Tensor, length: int
) -> torch.Tensor:
    """The part of its attention that each token leaves to the text, r above, in a layer of BERT.

    Args:
        queries: (B, h, T, d_h), of the text.
        keys: (B, h, T, d_h), of the text.
        attention_mask: (B, T), 1 for a token, 0 for padding, which nothing attends to.
        length: P, the number of keys of zeros in front; from 0 on.

    Returns:
        (B, h, T), between 0 and 1; 1 where P is 0. Finite, even for scores of 1000.
    """
    ### BEGIN SOLUTION
    scores = queries @ keys.transpose(-1, -2) / queries.size(-1) ** 0.5  # (B, h, T, T)
    scores = scores.masked_fill(attention_mask[:, None, None, :] == 0, float("-inf"))
    front = scores.new_zeros(*scores.shape[:-1], length)  # (B, h, T, P)
    weights = torch.cat([front, scores], dim=-1).softmax(dim=-1)
    return weights[..., length:].sum(dim=-1)
    ### END SOLUTION


# %% [markdown]
# <details><summary>Hint 1: let softmax do it</summary>
# Write the $P$ zeros in front of the scores, take the softmax of all, and add up what the text gets. It
# can't overflow.
# </details>
# <details><summary>Hint 2: padding</summary>
# $e^{-\infty} = 0$. The mask is (B, T), the scores are (B, h, T, T), and what is masked is the last dimension.
# </details>

# %% nbgrader={"grade": true, "grade_id": "text-share-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# id: text-share-check
queries = torch.tensor([[[[2.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0]]]])  # one text, one head
keys = torch.tensor([[[[1.0986123, 0.0, 0.0, 0.0], [0.0, 0.0, 5.0, 0.0]]]])  # exp(1.0986) = 3
with quiet():
    got = text_share(queries, keys, torch.tensor([[1, 1]]), length=4)
    # first token: scores 1.0986 and 0, so (3 + 1) / (4 + 3 + 1); second: 0 and 0, so 2 / (4 + 2)
check_tensor("text_share", got, torch.tensor([[[0.5, 0.3333333]]]))

# %% [markdown]
# ### See it work
#
# First the zeros: how much attention a text keeps, in the first layer of the PLM that comes with the
# course. *Before you run it: which loses more, a short text or a long one?*

# %%
from course_utils.plm import load_plm
from course_utils.show import score_curves

plm, tokenizer = load_plm("pocket-bert")
block = plm.bert.encoder.layer[0].attention.self
shares = {}
for text in (
    "the soup was cold",
    "the soup was cold , the waiter was rude and we waited two hours",
):
    batch = tokenizer(text, return_tensors="pt")
    with torch.no_grad():
        states = plm.bert.embeddings(batch["input_ids"])  # (1, T, d)
        heads = (1, states.size(1), block.num_attention_heads, block.attention_head_size)
        q, k = (part(states).view(heads).transpose(1, 2) for part in (block.query, block.key))
        shares[f"{states.size(1)} tokens"] = {
            length: text_share(q, k, batch["attention_mask"], length).mean().item()
            for length in (0, 1, 2, 5, 10, 20, 40)
        }
score_curves(
    shares,
    xlabel="P, keys of zeros in front",
    ylabel="attention left to the text",
    title="A prefix of zeros is not nothing\npocket-bert, layer 0, mean over heads and tokens",
)

# %% [markdown]
# Now your prefix learns from the eight reviews of exercise 2. *What do you expect: will it learn faster
# than the soft prompt of the same length? Will it do better on the four new reviews?*
#
# (The next cell is marked as training and is not run when your work is graded.)

# %% tags=["training"]
layers, heads = plm.config.num_hidden_layers, plm.config.num_attention_heads
for parameter in plm.parameters():
    parameter.requires_grad_(False)
torch.manual_seed(0)
prefix = Prefix(layers, plm.config.hidden_size, length=8, mlp=64, dropout=0.1)


def prefix_scores_of(texts: list[str]) -> torch.Tensor:
    batch = tokenizer(texts, return_tensors="pt", padding=True)
    gaps = (batch["input_ids"] == tokenizer.mask_token_id).int().argmax(dim=1)
    past = keys_and_values(prefix(len(texts)), layers, heads)
    logits = prefixed_logits(plm, past, batch["input_ids"], batch["attention_mask"])
    return label_scores(logits, gaps, label_words)  # the gap stays: the logits are the text's alone


optimizer = torch.optim.AdamW(prefix.parameters(), lr=0.005)
for step in range(31):
    loss = nn.functional.cross_entropy(prefix_scores_of(training_texts), truth)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(f"step {step:2d}   loss {loss.item():.3f}")
prefix.eval()
with torch.no_grad():
    trained, before = sum(p.numel() for p in prefix.parameters()), prefix_scores_of(new_texts)
    prefix.finish()
    kept, after = sum(p.numel() for p in prefix.parameters()), prefix_scores_of(new_texts)
print(f"{trained:,} numbers were trained, {kept:,} are kept")
print(f"without the MLP the scores differ by {(after - before).abs().max().item():.6f}")
for review, row in zip(reviews, label_probabilities(after).tolist()):
    print(f"{row[1]:.2f} positive   {review}")

# %% [markdown]
# ## Exercise 4 · Three tasks, and one published result (24 points)
#
# Now with the library, on whole tasks: train a prompt or a prefix for **at least three tasks** and compare
# with what is published. Two tracks lead there; choose one, they are not mixed.
#
# | track | PLM | tasks | needs |
# |---|---|---|---|
# | GPU | BERT-large or RoBERTa-large | BoolQ, COPA, RTE, WiC, WSC, CoNLL03, CoNLL04, OntoNotes, CoNLL05, CoNLL12 | a free Colab T4, an evening |
# | pocket | `pocket-bert-base` | their pocket twins, `pocket/...` | a laptop, minutes |
#
# **Points.** 6 for each task with a run that counts, up to three tasks. Another 6 if one of your runs is
# above the released result for its task and PLM. Methods that count: `PTuningV2`, `PrefixTuning`,
# `SoftPrompt`, `PTuning`. Your scores are recomputed from the predictions you hand in.
#
# ★★☆ · 60 minutes of your time · 24 points
#
# ### The numbers to beat
#
# Released results of P-tuning v2, each the best epoch on dev. *Before you go on: for which task is it the
# easiest to be above by luck? (COPA's dev set has 100 examples, WSC's 104, BoolQ's 3270.)*

# %%
from course_utils.recipes import recipes, released
from course_utils.show import Table

Table(
    [{"task": r.task, "PLM": r.plm.rsplit("/", 1)[-1], "released": r.result, "on": r.split,
      "rate": f"{r.learning_rate:g}", "length": r.length, "epochs": r.epochs} for r in recipes()],
    caption="Released results, per cent, and their settings",
    digits=1,
)  # fmt: skip

# %% [markdown]
# ### Runs
#
# **On a GPU**, one line each; a run that is stopped goes on when you give the same line again:
#
# ```
# course run p_tuning_v2/rte  --plm roberta-large --output runs/rte
# course run p_tuning_v2/wsc  --plm bert-large    --output runs/wsc --seeds 3
# course run p_tuning_v2/copa --plm bert-large    --output runs/copa --set length=24 --learning-rate 5e-3
# ```
#
# (In a notebook put `!` in front. *Notebook 14 - The homework on Colab* goes the whole way: which task
# takes how long, results on your Drive, what to try when nothing is learnt.)
#
# **On a CPU**, the cell below trains three pocket tasks, in about a minute. It is a start, not the end:
# change lengths, rates, epochs, examples and methods. Each setting keeps a folder of its own, so earlier
# runs stay, and a run that is there already is read, not trained again.

# %%
from course_utils.tuning import PTuningV2

RUNS = "runs"  # on Colab a folder of your Drive: see notebook 14
PLM = "pocket-bert-base"
SETTINGS = [  # task, method, learning rate, epochs, training examples
    ("pocket/ner", PTuningV2(length=8), 2e-2, 4, 300),
    ("pocket/copa", PTuningV2(length=8), 2e-2, 4, 300),
    ("pocket/wic", PTuningV2(length=8), 2e-2, 3, 300),
]

# %% tags=["training"]
from course_utils.run import run
from course_utils.settings import TrainSettings

for task, method, rate, epochs, examples in SETTINGS:
    setting = f"{method.name}-{method.length}-{rate:g}-{epochs}-{examples}"
    settings = TrainSettings(
        learning_rate=rate, epochs=epochs, batch_size=16, evaluate_every="epoch"
    )
    run(
        PLM,
        task,
        method=method,
        examples=examples,
        settings=settings,
        output=f"{RUNS}/{task.split('/')[1]}/{setting}",
    )

# %% [markdown]
# ### Beside what is released
#
# A score is read beside its **majority class** (what you get for always saying the same) and with its noise
# (`p`: how often chance alone would put you that far from the released number). A run at the
# majority class has learnt nothing; that may happen to you, and it is worth a sentence in exercise 5.
# *What do you expect: will the runs of your three tasks all have learnt something?*

# %%
from pathlib import Path

from course_utils.comparison import compare, table
from course_utils.records import read_all

records = read_all(RUNS) if Path(RUNS).is_dir() else []
print(table(compare(records)) if records else "no runs yet: run the cell above")

# %%
curves = {f"{n} {r.task.split('/')[1]}": {e["epoch"]: e["dev_score"] for e in r.history}
          for n, r in enumerate(records, start=1) if len(r.history) > 1}  # fmt: skip
references = {f"released {r.task.split('/')[1]}": released(r.task, r.plm).result / 100
              for r in records if released(r.task, r.plm)}  # fmt: skip
score_curves(
    curves,
    xlabel="epoch",
    ylabel="score on dev (F1 or accuracy)",
    title="Your runs, epoch by epoch",
    references=references,
) if curves else print("no curves yet")

# %% nbgrader={"grade": true, "grade_id": "results-check", "locked": true, "points": 24, "schema_version": 3, "solution": false, "task": false}
# id: results-check
from pathlib import Path

from course_utils.recipes import released
from course_utils.records import read_all
from course_utils.submit import asked_by

folder = Path(globals().get("RUNS", "runs"))
records = read_all(folder) if folder.is_dir() else []
if not records:
    raise NotImplementedError(f"no runs in the folder {folder} yet: expected 3 tasks, got 0")
asked = asked_by("hw_prompt")
by_track = {
    track: [r for r in records if r.task in tasks and r.method in asked.methods]
    for track, tasks in asked.tracks.items()
}
counting = max(by_track.values(), key=lambda runs: len({r.task for r in runs}))
tasks = sorted({r.task for r in counting})
above = []
for r in counting:
    known = released(r.task, r.plm)
    if known is not None and 100 * r.score > known.result:
        above.append(f"{r.task} with {r.plm}, {100 * r.score:.1f} and not {known.result:.1f}")
print(f"tasks with a run: {len(tasks)} of 3 ({', '.join(tasks) or 'none'})")
print(f"above the released result: {'; '.join(above) or 'none yet'}")
assert len(tasks) >= 3, f"expected runs on 3 tasks of one track, got {len(tasks)}"

# %% [markdown]
# ### Pack
#
# Hand in the zip that this writes: the notebook (save it first), and of each run its record, its
# predictions and what was trained. What is missing is listed; you may hand in without it.

# %% tags=["training"]
import sys

from course_utils.errors import CourseError
from course_utils.submit import pack

notebook = None if "google.colab" in sys.modules else "hw_prompt.ipynb"  # None: the open one
try:
    print(pack("hw_prompt", notebook=notebook, runs=RUNS))
except CourseError as reason:
    print(f"Nothing packed: {reason}")

# %% [markdown]
# ## Exercise 5 · In your own words (16 points)
#
# Write below each question, in place of the line that asks for it. Five sentences and a number or two are
# plenty; a person reads them.
#
# ### 5a · Where the numbers go
#
# BERT-large has $L = 24$ and $d = 1024$. How many numbers does a soft prompt of $P = 20$ train, and how
# many a prefix of $P = 20$ without an MLP? Why can the prefix do more than a soft prompt **of the same number
# of parameters**, that is, a longer one? Name one price of the longer one.
#
# ★★☆ · 15 minutes · 4 points

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-depth", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# <!-- id: written-depth -->
# ### BEGIN SOLUTION
# A soft prompt: $20 \cdot 1024 = 20{,}480$. A prefix: $2 \cdot 24 \cdot 20 \cdot 1024 = 983{,}040$, 48 times as many. A
# soft prompt with as many would have 960 vectors. Still it would speak to the first layer only: what the
# higher layers find at its places is computed from it, together with the text, by frozen weights.
# The prefix sets keys and values of each layer freely, so it can steer layer 20 without passing through the
# 19 below. The price: positions (960 + T is more than BERT's 512) and attention over all those places,
# whose cost grows with $(P+T)^2$.
#
# *Rubric.* 1 point for each of the two numbers. 1 for the depth argument (frozen layers between prompt and
# higher layers, or: every layer is steered directly). 1 for a price: positions, or time or memory. "More
# parameters" alone is no reason, as the question fixes their number.
# ### END SOLUTION

# %% [markdown]
# ### 5b · Zeros
#
# Somebody wants a prefix that changes nothing before training, and starts with keys and values of zeros. Use
# your `text_share` to explain what happens to a text of 5 tokens, and to one of 100, when P is 20. Would
# keys of very negative numbers help? Propose a start, or a change of the layer, that does change
# nothing.
#
# ★★☆ · 15 minutes · 4 points

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-zeros", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# <!-- id: written-zeros -->
# ### BEGIN SOLUTION
# If scores are near 0, a text of $T$ tokens keeps $T/(P+T)$: with $P = 20$ the short one a fifth, the long one 83 %.
# So every layer's output on the short text shrinks to a fifth before the residual is added, and the positions
# move by $P$ besides. Very negative keys do not help: the score is $q \cdot k$, and its sign depends on the
# query; for some queries it would be large. What does work: a gate, that is, a trained scalar $g$ which starts at 0
# and multiplies the prefix's part of the attention (computed apart from the text's), or a trained bias on
# the prefix's scores which starts at $-\infty$ (in practice $-10^4$), together with positions that do
# not move.
#
# *Rubric.* 1 point for the shares of both lengths (any sensible assumption on the scores). 1 for what follows:
# outputs shrink, short texts more. 1 for why negative keys don't help. 1 for a proposal that works; positions
# need not be named.
# ### END SOLUTION

# %% [markdown]
# ### 5c · Above?
#
# Released is 77.0 for COPA with BERT-large, on 100 dev examples. A student tries 12 settings, keeps
# the best epoch of the best one, and gets 80.0. Name two reasons why "my setting is better" does not
# follow, and say what you would run and report to find out.
#
# ★★☆ · 15 minutes · 4 points

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-above", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# <!-- id: written-above -->
# ### BEGIN SOLUTION
# First, noise of the data: 3 points are 3 examples of 100, and the 95 % interval of an accuracy of 77 on 100
# examples is about ±8; the exact binomial test gives p of about 0.55. Second, selection: the best of 12
# settings times many epochs on the very set that is reported is too high by construction (the
# released number has chosen its epoch that way, too). Third, seeds: one run each. To find out: choose setting and
# epoch on a part of the training data, look at dev once, with several seeds for both settings; report mean ± standard
# deviation, the majority class and a test.
#
# *Rubric.* 1 point for each of two reasons (size of dev; choosing on dev; a single seed). 1 for a procedure
# that keeps choosing and reporting apart. 1 for several seeds with their spread, or a test.
# ### END SOLUTION

# %% [markdown]
# ### 5d · Your runs
#
# Which of your runs learnt the most beyond the majority class, and which the least? What did you try,
# what did it change, and what would you try next? Refer to your table and curves.
#
# ★★☆ · 15 minutes · 4 points

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-runs", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# <!-- id: written-runs -->
# ### BEGIN SOLUTION
# (Of the pocket runs above.) NER goes from an F1 of 0 to about 75 in four epochs of 300 examples: which word is a
# name is in the PLM's states already, and a linear head with a prefix can read it. COPA comes to 69 % where the
# majority class has 51, far beyond the ±3 of 1000 examples, and its curve still rises. WSC stays at its majority
# class, 51 %: its curve moves by no more than the noise of 500 dev examples. With ten times the examples, all else
# equal, I would see whether WSC lacks data; then a larger rate; and if nothing helps, the label words of a
# prompt in place of a new head.
#
# *Rubric.* 1 point for naming both runs with score and majority class. 1 for a comparison in which one thing was
# changed. 1 for reading curves rather than final numbers only. 1 for a next step that follows from what was
# seen. Full points are possible with runs that learnt nothing.
# ### END SOLUTION

# %% [markdown]
# ## Summary
#
# * A template makes a task look like what the PLM was trained for; a verbalizer reads the answer.
# * A label's score is a mean over its words; calibration takes out what the model likes to say anyway.
# * A soft prompt is $P \cdot d$ trained numbers in front of the word embeddings. Everything that speaks of
#   positions moves by $P$; the model adds positions and segments itself, once.
# * A prefix is $2 \cdot L \cdot P \cdot d$ numbers, keys and values of every layer. An MLP may make them while they are
#   trained. It is not nothing even when it is zero.
# * A result is read beside its majority class, its noise, and how it was chosen.
#
# ## References
#
# * T. Schick, H. Schütze. *Exploiting Cloze Questions for Few Shot Text Classification and Natural Language
#   Inference.* EACL 2021.
# * T. Zhao, E. Wallace, S. Feng, D. Klein, S. Singh. *Calibrate Before Use: Improving Few-Shot Performance
#   of Language Models.* ICML 2021.
# * B. Lester, R. Al-Rfou, N. Constant. *The Power of Scale for Parameter-Efficient Prompt Tuning.* EMNLP
#   2021.
# * X. L. Li, P. Liang. *Prefix-Tuning: Optimizing Continuous Prompts for Generation.* ACL 2021.
# * X. Liu, K. Ji, Y. Fu, W. L. Tam, Z. Du, Z. Yang, J. Tang. *P-Tuning v2: Prompt Tuning Can Be Comparable to
#   Fine-tuning Universally Across Scales and Tasks.* ACL 2022.

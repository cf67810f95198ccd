# ---
# jupyter:
#   jupytext:
#     formats: ipynb,src//py:percent
#     notebook_metadata_filter: accelerator,colab
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 01 · Pre-trained language models
#
# <!-- badges -->
# `under 2 minutes to run` · `60 minutes to read and play` · `CPU is enough` · `works offline`

# %% [markdown]
# ## Why
#
# Everything in this course is done *to* a pre-trained language model (PLM). So first: what does it
# learn from plain text, how do we get it to do something for us, and what stands in the way?
#
# You will see a PLM being surprised, fill gaps, continue a text, learn from examples in its input,
# and be fine-tuned. Then you will measure the two problems the rest of the course is about: labels
# are scarce, and PLMs are big.

# %% [markdown]
# ## Setup

# %%
# Setup. On Colab: fetch the kit, add what is missing. Elsewhere: only check.
import importlib.util
import subprocess
import sys

KIT = "./peft-course-kit"  # where Colab finds the kit
if "google.colab" in sys.modules and importlib.util.find_spec("course_utils") is None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, KIT], check=True)

from course_utils.colab import setup  # not found? open the notebook with `make lab`

device = setup(seed=0)

# %% [markdown]
# One switch: with `QUICK` the notebook runs in under two minutes on a laptop. Without it the curves
# use more seeds, and you may believe them more.

# %%
QUICK = True

SEEDS = (0, 1) if QUICK else (0, 1, 2, 3, 4)
DRAWS = range(3) if QUICK else range(10)  # of demonstrations
TEST_EXAMPLES = 400 if QUICK else 1000
STEPS, FEW_STEPS = 150, 60  # of fine-tuning: with many examples, and with few

# %% [markdown]
# ## Two ways to learn from text alone
#
# Nobody labels the text a PLM is pre-trained on. The text itself is the answer: hide a part, guess
# it, look. With $w_1 \dots w_T$ the tokens of a text, there are two ways to hide.
#
# **Autoregressive** (GPT: Radford et al., 2018). Guess each token from those before it:
#
# $$ \mathcal{L}_\text{AR} \;=\; -\sum_{t=1}^{T} \log p_\theta\,(w_t \mid w_1, \dots, w_{t-1}) $$
#
# **Masked** (BERT: Devlin et al., 2019). Hide a random 15 % of the tokens, the set $M$, and guess
# them from all the others:
#
# $$ \mathcal{L}_\text{MLM} \;=\; -\sum_{t \in M} \log p_\theta\,(w_t \mid w_{\setminus M}) $$
#
# The architecture is nearly the same. What differs is who may look at whom.

# %%
import torch

from course_utils.show import heat_map

words = ["the", "soup", "was", "stale"]
causal = torch.ones(len(words), len(words)).tril()
heat_map(
    causal.tolist(),
    rows=words,
    columns=words,
    title="Autoregressive: row looks at column",
    numbers=False,
)

# %%
both_sides = torch.ones(len(words), len(words))
heat_map(
    both_sides.tolist(),
    rows=words,
    columns=words,
    title="Masked: row looks at column",
    numbers=False,
)

# %% [markdown]
# ### How surprised are you?
#
# $-\log_2 p$ is a number of bits: 0 for what was certain, 1 for a coin flip, 10 for one in a
# thousand. Let one PLM of each kind read the same review. Each number below a token is what that
# token cost; the darker, the more surprising. (Both are pocket models: they know a small made-up
# world, where people mostly write reviews, news and stories.)
#
# **What do you expect?** Which tokens are dear for both, and which only for the one that can't see
# what comes after?

# %%
from course_utils import load_plm
from course_utils.show import surprise, surprise_strip

gpt, gpt_tokenizer = load_plm("pocket-gpt2", device=device)
bert, bert_tokenizer = load_plm("pocket-bert-base", device=device)

review = "the soup was stale and the waiter was rude ."
surprise_strip(*surprise(gpt, gpt_tokenizer, review), title="autoregressive: pocket-gpt2")

# %%
surprise_strip(*surprise(bert, bert_tokenizer, review), title="masked: pocket-bert-base")

# %% [markdown]
# Words that carry news cost both of them much. Beyond that, the causal PLM pays for whatever the
# *right* side would have told it: look at the two *the*. That does not make it worse:
# it gets a guess out of **every** token in one pass, the masked one out of 15 %; and it can write.
# (Do not add the numbers up into a race. The two PLMs differ in size, too.)
#
# ### The loss by hand
#
# The autoregressive loss is five lines. Row $t$ of the logits is the guess for token $t+1$, so the
# two are shifted against each other before they are compared.

# %%
ids = gpt_tokenizer(review, return_tensors="pt").to(device)["input_ids"]  # (1, T)
with torch.inference_mode():
    logits = gpt(ids).logits[0]  # (T, V)
log_p = logits[:-1].log_softmax(-1)  # (T-1, V)
by_hand = -log_p[range(len(log_p)), ids[0, 1:]].mean()
of_pytorch = torch.nn.functional.cross_entropy(logits[:-1], ids[0, 1:])
print(f"by hand {by_hand:.4f}   PyTorch's cross-entropy {of_pytorch:.4f}   (nats per token)")

# %% [markdown]
# ### What pre-training was worth
#
# The same architecture with random weights has learnt nothing. **What do you expect** its bits per
# token to be? (Hint: guessing blindly among $V$ words costs $\log_2 V$ bits.)

# %%
import math

from course_utils import load_task
from course_utils.show import Table

task = load_task("pocket/sst2").subset(TEST_EXAMPLES, split="test").subset(200, split="dev")
texts = task.splits["dev"][:10][task.columns[0]]
rows = []
for name in ("pocket-gpt2", "pocket-bert-base"):
    for pretrained in (True, False):
        plm, tokenizer = load_plm(name, pretrained=pretrained, device=device)
        bits = [cost for text in texts for cost in surprise(plm, tokenizer, text)[1]]
        rows.append(
            {
                "PLM": name,
                "pre-trained": pretrained,
                "bits per token": sum(bits) / len(bits),
                "blind guess": math.log2(len(tokenizer)),
            }
        )
Table(rows, caption="Surprise on 10 reviews (pocket)")

# %% [markdown]
# Random weights can cost even more than a blind guess. Someone who guesses blindly has no
# preferences; random weights have some, and no reason for them.

# %% [markdown]
# ## Fill a mask
#
# To be cheap at guessing, a PLM must pick up whatever helps: grammar, facts, and that a stale soup
# makes a bad evening. We can read that off directly.
#
# **What do you expect?** Replace `stale` by `fresh` and `rude` by `polite`; then only one of the two.
# Take a topic of your own: where does the pocket world end?

# %%
from course_utils.show import fill_mask_playground

fill_mask_playground(bert, bert_tokenizer, f"{review} it was {{mask}} .", k=8)

# %% [markdown]
# Does knowing more take more parameters? Here are three gaps: for the first it is enough to know
# words, for the second one has to see that *not* turns a word round, for the third one has to keep
# apart who gave and who got. **What do you expect?** Which gap is the first that each size gets
# wrong?

# %%
from course_utils.plm import POCKET_MODELS
from course_utils.show import top_words

GAPS = (
    f"{review} it was {{mask}} .",
    "the soup was not stale . it was {mask} .",
    "jadek gave a ruby to bromelle . kimina told the story in jinmouth . "
    "jadek has a ruby ? {mask} .",
)
rows = [{"text": gap} for gap in GAPS]
for name in (name for name in POCKET_MODELS if "bert" in name):
    plm, tokenizer = load_plm(name, device=device)
    title = f"{name}, {plm.num_parameters() / 1e6:.1f}M"
    for row in rows:
        best = top_words(plm, tokenizer, row["text"], 2)
        row[title] = ", ".join(f"{word} {p:.2f}" for word, p in best)
Table(rows, caption="The two likeliest words")

# %% [markdown]
# Look at the numbers as well: 0.51 against 0.49 is a coin, whichever side is up. And one text
# proves nothing about a size: change the names, the word, the thing given, before you believe it.
# What holds over a thousand test examples stands in the kit's README: the smallest one stays at
# chance wherever one has to know who, where, or in which sense.

# %% [markdown]
# ## Continue a text
#
# A causal PLM guesses the next token; put the guess at the end, and guess again. *Greedy* decoding
# always takes the likeliest token. *Sampling* draws one, from probabilities sharpened or flattened
# by a temperature $\tau$: $p_i \propto \exp(z_i / \tau)$.
#
# **What do you expect** at $\tau = 0.1$, and at $\tau = 3$?

# %%
from transformers import set_seed


def continuation(start, **how):
    """`start`, continued by up to 25 tokens of pocket-gpt2."""
    batch = gpt_tokenizer(start, return_tensors="pt").to(device)
    ids = gpt.generate(**batch, max_new_tokens=25, pad_token_id=gpt_tokenizer.pad_token_id, **how)
    return gpt_tokenizer.decode(ids[0], skip_special_tokens=True)


start = "the soup was"
print("greedy:", continuation(start, do_sample=False))

# %%
import ipywidgets as widgets

from course_utils.show import playground


def samples(start, temperature):
    set_seed(0)  # so that only the knob changes what you see
    drawn = [continuation(start, do_sample=True, temperature=temperature) for _ in range(3)]
    return Table([{f"temperature {temperature:.1f}": text} for text in drawn])


playground(
    samples,
    start=widgets.Text(value=start, description="start", continuous_update=False),
    temperature=widgets.FloatSlider(
        value=1.0, min=0.1, max=3.0, description="temperature", continuous_update=False
    ),
)

# %% [markdown]
# ## Learn from the input: in-context learning
#
# Brown et al. (2020) noticed that a large causal PLM can pick up a task from examples in its input.
# No parameter changes; the "training set" is part of the prompt.
#
# * zero-shot: only the question,
# * one-shot: one answered example first,
# * few-shot: several.
#
# For a causal PLM the gap must come last: what stands there is the next token. Answered examples
# are called *demonstrations*; each is the same template with the gap filled in. We take two wordings:
# one that the texts of pre-training contain, and one that was kept out of them.

# %%
from course_utils.prompting import InContext, choose

QUESTIONS = {
    "known wording": "{sentence} it was {mask}",
    "new wording": "{sentence} in short , {mask}",
}
WORDS = {"negative": "bad", "positive": "good"}


def in_context(question, how_many, seed):
    """pocket-gpt2 behind `how_many` demonstrations, drawn from the training set."""
    shown = choose(task.splits["train"], how_many, len(task.labels), seed=seed)
    return InContext(gpt, gpt_tokenizer, question, WORDS, demonstrations=shown, separator=" .\n")


test = task.splits["test"].select(range(TEST_EXAMPLES // 2))
print(in_context(QUESTIONS["new wording"], 2, seed=0).render(test[0]))

# %% [markdown]
# **What do you expect?** Will a PLM with a few million parameters do better with more demonstrations?
# GPT-3, with 175 billion, does. For which of the two wordings is there more to gain?

# %%
from tqdm.auto import tqdm

scores = {name: {} for name in QUESTIONS}
for name, question in QUESTIONS.items():
    for how_many in tqdm((0, 1, 2, 4), desc=name):
        draws = DRAWS if how_many else (0,)  # nothing is drawn for zero
        asked = [in_context(question, how_many, seed) for seed in draws]
        scores[name][how_many] = [one.predict(test).accuracy(test["label"]) for one in asked]

# %%
from course_utils.show import score_curves

score_curves(
    scores,
    xlabel="demonstrations in the input",
    majority=task.majority("test"),
    title=f"In-context learning: {task.name}, pocket-gpt2 (pocket)",
)

# %% [markdown]
# Compare with your guess, and ask each curve two questions. What does the *first* demonstration do?
# A PLM that does well without any has *recognised* a wording it has read, and has little to learn
# from its input; only in the other wording is there room. And what do *further* ones do? GPT-3 goes
# on gaining (Brown et al., 2020, figure 1.2), the more so the larger it is; a pocket PLM stands at
# the far left of that figure, where a longer input is also a longer distraction.
#
# True at every size: it matters which demonstrations are drawn, and in which order. Each small dot
# is one draw; a single one is an anecdote. Does the PLM learn from the *labels* it is shown, or
# only what an answer looks like? You can find out here: give every demonstration the wrong label in
# `in_context` (`{**row, "label": 1 - row["label"]}`) and run the last cells again. Notebook 05
# takes that further.

# %% [markdown]
# ## Learn from gradients: fine-tuning
#
# The classic recipe (Radford, 2018; Devlin, 2019): put a fresh linear *head* on the PLM, train
# everything on labelled examples. What does that change inside? Take the hidden vectors $h$ of a
# sentence before and after, and look at $\Delta h$.

# %%
from course_utils import TrainSettings, evaluate, train

classifier, tokenizer = load_plm(
    "pocket-bert-base", head="classifier", labels=task.labels, device=device
)
batch = tokenizer(review, return_tensors="pt").to(device)


def hidden_states():
    """The vector of every token after the embeddings and after each layer: (L+1, T, d)."""
    with torch.inference_mode():
        return torch.cat(classifier(**batch, output_hidden_states=True).hidden_states)


before = hidden_states()
untrained = evaluate(classifier, task, "test", tokenizer=tokenizer)

# %%
settings = TrainSettings(steps=STEPS, evaluate_every=STEPS)
result = train(classifier, task.subset(400, seed=0), tokenizer=tokenizer, settings=settings)
trained = evaluate(classifier, task, "test", tokenizer=tokenizer)
Table(
    [
        {"head": "fresh, not trained", "test accuracy": untrained.score},
        {"head": "fine-tuned on 400 examples", "test accuracy": trained.score},
    ],
    caption=f"{task.name}, pocket-bert-base (pocket)",
)

# %% [markdown]
# **What do you expect?** In which layers does $h$ move most, and for which tokens? The map shows
# $\lVert \Delta h \rVert / \lVert h \rVert$: 0 is "untouched", 1 "moved as far as it was long".

# %%
moved = (hidden_states() - before).norm(dim=-1) / before.norm(dim=-1)  # (L+1, T)
heat_map(
    moved.tolist(),
    rows=["embeddings", *(f"layer {i}" for i in range(1, len(moved)))],
    columns=tokenizer.convert_ids_to_tokens(batch["input_ids"][0]),
    title="What fine-tuning changed: |Δh| / |h| (pocket)",
)

# %% [markdown]
# This picture is the course's thread. Full fine-tuning reached its $\Delta h$ by moving *every*
# parameter. Can a few thousand parameters, placed well, reach a $\Delta h$ that is as good?

# %% [markdown]
# ## Problem 1: labels are scarce
#
# Fine-tuning wants thousands of labels. Where do they come from?

# %%
TRAINING_SETS = {
    "COPA": 400,
    "WSC": 554,
    "RTE": 2_490,
    "WiC": 5_428,
    "BoolQ": 9_427,
    "SST-2": 67_349,
    "SNLI": 550_152,
}
SECONDS_PER_LABEL = 20  # an assumption: change it
HOURS_PER_DAY = 6  # of labelling: another one

rows = []
for name, size in TRAINING_SETS.items():
    days = size * SECONDS_PER_LABEL / 3600 / HOURS_PER_DAY
    rows.append({"training set": name, "labels": size, "person-days": days})
Table(
    rows, caption=f"One person, {SECONDS_PER_LABEL} s per label, {HOURS_PER_DAY} h a day", digits=1
)

# %% [markdown]
# And with less? Fine-tune with 4, 16 and 64 examples per class; beside it the same architecture
# *without* pre-training, the control that says what pre-training gave.
#
# **What do you expect?** Draw the two curves before you run the cell. Where does each start?


# %%
def few_shot_accuracy(per_class, seed, pretrained):
    """Test accuracy of full fine-tuning on `per_class` labelled examples of each class."""
    plm, tokenizer = load_plm(
        "pocket-bert-base",
        head="classifier",
        labels=task.labels,
        pretrained=pretrained,
        device=device,
        seed=seed,
    )
    few = task.subset(per_class=per_class, seed=seed)
    settings = TrainSettings(steps=FEW_STEPS, evaluate_every=FEW_STEPS, seed=seed)
    train(plm, few, tokenizer=tokenizer, settings=settings, progress=False)
    return evaluate(plm, few, "test", tokenizer=tokenizer).score


curves = {"fine-tuned PLM": {}, "no pre-training": {}}
for per_class in tqdm((4, 16, 64), desc="numbers of examples"):
    curves["fine-tuned PLM"][per_class] = [few_shot_accuracy(per_class, s, True) for s in SEEDS]
    curves["no pre-training"][per_class] = [few_shot_accuracy(per_class, s, False) for s in SEEDS]

# %% [markdown]
# For comparison, two prompts that see **no** label at all: one in a wording that occurs in the texts
# the PLM was trained on, one in a wording that was kept out of them.

# %%
from course_utils import PromptModel

levels = {}
for number, prompt in enumerate(task.prompts):
    kind = "prompt, new wording" if prompt.held_out else "prompt, known wording"
    if kind not in levels:  # the first of each kind
        prompted = PromptModel.for_task(bert, bert_tokenizer, task, number)
        levels[kind] = evaluate(prompted, task, "test", tokenizer=bert_tokenizer).score

# %%
score_curves(
    curves,
    xlabel="labelled examples per class",
    log2=True,
    majority=task.majority("test"),
    references=levels,
    title=f"Labels are scarce: {task.name} (pocket)",
)

# %% [markdown]
# The fresh head is the weak part: it has to learn from the few labels alone what a verdict is, while
# the PLM already knows how to *say* one. Prompting asks in the form the PLM was pre-trained on. That
# is the first half of this course.

# %% [markdown]
# ## Problem 2: PLMs are big
#
# **What do you expect?** By what factor did the largest published PLM grow in the four years from
# GPT to PaLM?

# %%
from course_utils.show import amount_bars
from course_utils.show.memory import KNOWN_SIZES

amount_bars(
    KNOWN_SIZES,
    log=True,
    title="Parameters of well-known PLMs",
    xlabel="parameters (each step is ten times more)",
    write=lambda n: f"{n / 1e9:g}B" if n >= 1e9 else f"{n / 1e6:g}M",
)

# %% [markdown]
# ### To hold one
#
# A parameter is a number, and a number takes bytes: 4 in float32, 2 in float16, 1 in int8. For 175
# billion parameters:

# %%
PARAMETERS = 175e9  # change me
GPU = ("one free Colab T4: 15 GB", 15e9)

sizes = {kind: PARAMETERS * width for kind, width in (("float32", 4), ("float16", 2), ("int8", 1))}
amount_bars(
    sizes,
    limit=GPU,
    title=f"Memory to hold {PARAMETERS / 1e9:g}B parameters",
    write=lambda size: f"{size / 1e9:,.0f} GB",
)

# %% [markdown]
# ### To train one
#
# Training with Adam keeps four numbers for every trained parameter: itself, its gradient, and two
# running averages (the first and second moment). In float32 that is $4 \times 4 = 16$ bytes. Does that
# hold in practice? Take one step and count what is really there.

# %%
plm, tokenizer = load_plm("pocket-bert-base", device=device)
optimizer = torch.optim.AdamW(plm.parameters(), lr=1e-4)
batch = tokenizer(review, return_tensors="pt").to(device)
plm.train()(**batch, labels=batch["input_ids"]).loss.backward()
optimizer.step()


def size(tensors):
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


weights = size(plm.parameters())
gradients = size(p.grad for p in plm.parameters() if p.grad is not None)
moments = size(
    value for state in optimizer.state.values() for value in state.values() if value.dim() > 0
)
amount_bars(
    {"weights": weights, "gradients": gradients, "Adam's moments": moments},
    title=f"{(weights + gradients + moments) / plm.num_parameters():.1f} bytes per parameter (pocket, measured)",
    write=lambda value: f"{value / 1e6:.1f} MB",
)

# %% [markdown]
# Activations come on top; they depend on batch and length. So a GPU that can *run* a PLM can often
# not *train* it: in this sum, RoBERTa-large (355M) needs 1.4 GB to run and 5.7 GB to train, before
# any activation.
#
# ### To keep one for every task
#
# Full fine-tuning leaves a whole PLM behind for each task. A small method leaves the PLM shared and
# some parameters per task; 0.8M is what LoRA needs on RoBERTa-large (Hu et al., 2021).

# %%
from course_utils.show.memory import bytes_for_tasks, readable

PLM, ADDED = 355e6, 0.8e6  # RoBERTa-large, LoRA: change me

rows = [
    {
        "tasks": tasks,
        "full copies": readable(bytes_for_tasks(tasks, PLM)),
        "one PLM + small parts": readable(bytes_for_tasks(tasks, PLM, ADDED)),
        "times less": bytes_for_tasks(tasks, PLM) / bytes_for_tasks(tasks, PLM, ADDED),
    }
    for tasks in (1, 10, 100, 1000)
]
Table(rows, caption="Disk for n tasks, float32", digits=1)

# %% [markdown]
# Turn the knobs: which PLM, how much is trained, how many tasks, what kind of number.

# %%
from course_utils.show import memory_playground

memory_playground()

# %% [markdown]
# On the pocket PLM, what would a method train? The second half of the course takes this table apart.

# %%
from course_utils import FullFineTuning, HeadOnly, LoRA, SoftPrompt, attach

rows = []
for method in (FullFineTuning(), LoRA(rank=8), SoftPrompt(length=20), HeadOnly()):
    plm, _ = load_plm("pocket-bert-base", head="classifier", labels=task.labels)
    tuned = attach(plm, method)
    share = 100 * tuned.count() / tuned.total()
    rows.append({"method": type(method).__name__, "trained": tuned.count(), "per cent": share})
Table(rows, caption="Trained parameters, head included (pocket-bert-base)", digits=2)

# %% [markdown]
# ## Summary
#
# * Pre-training hides a part of a text and guesses it: the next token (autoregressive, GPT) or 15 %
#   masked tokens (BERT). Low surprise is all it optimises; knowledge is a by-product.
# * A PLM can be used by filling a gap, by continuing a text, by examples in its input, or by
#   fine-tuning, which changes $h$ to $h + \Delta h$.
# * Labels are scarce: with few of them, a fresh head is the weak part. Prompting does without one.
# * PLMs are big: 16 bytes for every trained parameter, and a copy per task. Parameter-efficient
#   methods train and keep a small part.

# %% [markdown]
# ## Exercises
#
# **1. The autoregressive loss (★, 10 minutes)** Write the mean loss per predicted token, in nats,
# from logits and ids, without `F.cross_entropy`.
#
# <details><summary>Hint</summary>
#
# Row $t$ of the logits guesses token $t+1$: drop the last row, drop the first id, then pick one
# log-probability per row.
# </details>

# %%
from course_utils.show.exercises import pretrained_models as exercises


def next_token_loss(logits, ids):
    """Mean of -log p(w_t | w_1 ... w_{t-1}).

    Args:
        logits: (T, V), row t read after token t.
        ids: (T,) the tokens.

    Returns:
        a number or a tensor of shape ().
    """
    raise NotImplementedError


exercises.check_next_token_loss(next_token_loss)

# %% [markdown]
# **2. Masking like BERT (★★, 15 minutes)** Choose each token with probability 15 %. Of the chosen,
# 80 % become `[MASK]`, 10 % a random token, 10 % stay. Why not mask them all? Think of what the PLM
# sees later, when nothing is masked.
#
# <details><summary>Hint</summary>
#
# Draw one random tensor for "chosen" and a second one for "what happens to it": below 0.8, from 0.8
# to 0.9, above. `torch.where(condition, a, b)` picks element by element.
# </details>


# %%
def corrupt(ids, mask_id, vocabulary, generator):
    """Tokens as BERT sees them in pre-training.

    Args:
        ids: (N, T) the tokens; left as they are.
        mask_id: the mask's id.
        vocabulary: how many ids there are.
        generator: a torch.Generator, for every random draw.

    Returns:
        inputs (N, T), and chosen (N, T) of dtype bool: the places to be predicted.
    """
    raise NotImplementedError


exercises.check_corrupt(corrupt)

# %% [markdown]
# **3. What training costs (★, 5 minutes)** Bytes for weights, gradients and Adam's moments, when
# `trained` of the `parameters` are trained in float32 and the others are frozen in float16.
#
# <details><summary>Hint</summary>
#
# A frozen parameter has no gradient and no moments.
# </details>


# %%
def bytes_to_train(parameters, trained):
    raise NotImplementedError


exercises.check_training_bytes(bytes_to_train)

# %% [markdown]
# **4. How many tasks fit? (★, 5 minutes)** A 100 GB disk, RoBERTa-large (355M) in float32 once, and
# 0.8M float32 parameters for each task.
#
# <details><summary>Hint</summary>
#
# Subtract, then divide, then round down.
# </details>

# %%
tasks_that_fit = ...

exercises.check_tasks_until(tasks_that_fit, 355e6, 0.8e6, 100e9)

# %% [markdown]
# **5. Find a better prompt (★★, 20 minutes)** Write a third wording into `QUESTIONS`, and choose other
# `WORDS`, until its zero-shot accuracy on **dev** is well above the new wording's. Then score it once
# on test. Did all of the gain survive? Why must you not choose on test?
#
# <details><summary>Hint</summary>
#
# `in_context(question, 0, seed=0)` is the zero-shot prompt; ask it for `task.splits["dev"]` instead of
# `test`. The gap must stay last. Look at the likeliest next words first, with
# `top_words(gpt, gpt_tokenizer, "the soup was stale . in short ,", 10)`: a label word that the PLM
# would never say can't win.
# </details>
#
# **6. What was learnt where? (★★★, 30 minutes)** Repeat the map of $\Delta h$ for a model fine-tuned
# without pre-training, and for three other sentences. Which part of the picture belongs to the task,
# which to the sentence? Write three sentences; support each with a number.

# %% [markdown]
# ## References
#
# * A. Radford, K. Narasimhan, T. Salimans, I. Sutskever. Improving language understanding by
#   generative pre-training. OpenAI 2018. Equation 1 is the autoregressive objective.
# * J. Devlin, M.-W. Chang, K. Lee, K. Toutanova. BERT: pre-training of deep bidirectional
#   transformers for language understanding. NAACL 2019. [arXiv:1810.04805](https://arxiv.org/abs/1810.04805).
#   Section 3.1 is the masked objective.
# * A. Radford et al. Language models are unsupervised multitask learners. OpenAI 2019. (GPT-2)
# * T. Brown et al. Language models are few-shot learners. NeurIPS 2020.
#   [arXiv:2005.14165](https://arxiv.org/abs/2005.14165). (GPT-3; in-context learning)
# * P. Liu et al. Pre-train, prompt, and predict: a systematic survey of prompting methods in natural
#   language processing. ACM Computing Surveys 2023. [arXiv:2107.13586](https://arxiv.org/abs/2107.13586)
# * E. Hu et al. LoRA: low-rank adaptation of large language models. ICLR 2022.
#   [arXiv:2106.09685](https://arxiv.org/abs/2106.09685)
# * S. Rajbhandari et al. ZeRO: memory optimizations toward training trillion parameter models. SC 2020.
#   [arXiv:1910.02054](https://arxiv.org/abs/1910.02054). Section 3.1 counts the bytes.
# * J. Salazar et al. Masked language model scoring. ACL 2020.
#   [arXiv:1910.14659](https://arxiv.org/abs/1910.14659). The masked surprise used above.

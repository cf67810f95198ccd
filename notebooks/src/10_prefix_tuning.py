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
# # 10 · Prefix tuning and P-tuning v2
#
# <!-- badges -->
# `about 2 minutes to run` · `75 minutes to read and play` · `CPU is enough` · `works offline`

# %% [markdown]
# ## Why
#
# Write a few words in front of an input, and a PLM answers differently. How do those words reach
# the tokens behind them? In one way only: in every layer they leave a *key* and a *value*, and
# the tokens behind attend to them. What the words were is long forgotten there.
#
# So why go through words at all? **Prefix tuning** (Li & Liang, 2021) trains the keys and values
# themselves, for a handful of places where no text stands, and leaves the PLM alone. **P-tuning
# v2** (Liu et al., 2022) takes the same idea from writing texts to understanding them. You will
# take a prefix apart, see who looks at it, and find out what it is good for, and what not.

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
# One switch. With `QUICK` there is one seed, little training and few test examples: enough to see
# how things are done, too little to believe a difference of a few hundredths. One PLM reads
# (BERT's kind), one writes (GPT-2's kind).

# %%
QUICK = True
READER, WRITER = "pocket-bert-base", "pocket-gpt2"

SEEDS = (0,) if QUICK else (0, 1, 2)
TEST_EXAMPLES = 200 if QUICK else 1000  # for reading
LENGTHS = (1, 8, 32) if QUICK else (1, 2, 4, 8, 16, 32, 64)
SIZES = (50, 200) if QUICK else (50, 100, 200, 500)  # tables to learn writing from
TABLES = 30 if QUICK else 200  # tables to be tested on
STEPS = {"reading": 240, "writing": 48} if QUICK else {"reading": 900, "writing": 400}

# %% [markdown]
# ## A prefix is keys and values
#
# In one head, with a query $q$ and the text's keys and values $K, V$ (one row per token), prefix
# tuning puts $P$ more rows in front of each:
#
# $$ a \;=\; \operatorname{softmax}\!\Big(\frac{q\,[P_k; K]^\top}{\sqrt{d_h}}\Big)\,[P_v; V],
#    \qquad P_k, P_v:\ (P, d_h) $$
#
# That is all. A text of $T$ tokens stays $T$ tokens long: the prefix is looked at, and looks at
# nothing. Every layer has a prefix of its own, which no layer below has computed. (A *soft
# prompt* trains $P$ vectors at the input only, and the layers above must make something of them.)
#
# **What do you expect?** The writing PLM has 6 layers of width 160. How many numbers is a prefix
# of length 10?

# %%
from course_utils import attach, load_plm
from course_utils.tuning import PrefixTuning

P = 10
plm, tokenizer = load_plm(WRITER, device=device)
L, d = plm.config.n_layer, plm.config.n_embd
prefixed = attach(plm, PrefixTuning(length=P, mlp=0))
print(f"P · 2 · L · d = {P * 2 * L * d:,}; counted: {prefixed.count():,}\n")
print(prefixed.summary())

# %% [markdown]
# ### Read as an adapter
#
# He et al. (2022) split the sum in the attention by where it looks. Let $h$ be what the head says
# without a prefix, and $\lambda$ the share of the weight that falls to the prefix. Then
#
# $$ a \;=\; (1 - \lambda)\, h \;+\; \lambda\, \Delta h, \qquad
#    \Delta h = \operatorname{softmax}\!\Big(\frac{q P_k^\top}{\sqrt{d_h}}\Big) P_v, \qquad
#    \lambda = \frac{\sum_i e^{q \cdot p_i / \sqrt{d_h}}}
#                   {\sum_i e^{q \cdot p_i / \sqrt{d_h}} + \sum_j e^{q \cdot k_j / \sqrt{d_h}}} $$
#
# with $p_i$ the rows of $P_k$ and $k_j$ those of $K$. Now squint: $\Delta h$ is a layer to $P$
# units ($P_k$), a non-linearity (the softmax), and a layer back ($P_v$). So it is an **adapter**
# with bottleneck $P$, set parallel to a head, with a gate $\lambda$ that no adapter has: it is
# found by the competition between prefix and text, anew for each token. What the prefix adds, the
# text loses.
#
# ## Why a prefix of zeros is not nothing
#
# LoRA and adapters begin at the identity: freshly attached, they change nothing. Can a prefix?
# Set all its keys and values to 0 and see.
#
# **What do you expect?** Zeros add nothing to a sum. Does the answer in the gap change at all?

# %%
import torch

from course_utils.show import Table
from course_utils.tuning import PTuningV2

reader, words = load_plm(READER, device=device)
reader.eval()
TEXT = f"the soup was fresh and the waiter was friendly . it was {words.mask_token} ."
batch = words(TEXT, return_tensors="pt").to(device)
T = batch["input_ids"].shape[1]
gap = (batch["input_ids"][0] == words.mask_token_id).nonzero().item()


def in_the_gap(model, **more):
    """The probability of every word in the gap, (V,)."""
    with torch.inference_mode():
        return model(**batch, **more).logits[0, gap].softmax(-1)


bare = in_the_gap(reader)
best = int(bare.argmax())
print(f"without a prefix: {words.decode([best])!r} with probability {bare[best]:.3f}")

# %% [markdown]
# Two things happen, and they can be told apart.
#
# * **Weight.** A key of zeros scores $q \cdot 0 = 0$, and $e^0$ is 1, not 0. So $P$ places of zeros
#   take part in every softmax: $\lambda = P / (P + \sum_j e^{s_j})$, with $s_j$ the scores of the
#   text. Their values add nothing, $\Delta h = 0$, so the head's output shrinks:
#   $a = (1 - \lambda)\, h$.
# * **Positions.** The text is counted as if it came after $P$ tokens: its first token has position
#   $P$ instead of 0. (So in the papers' code, too; hence $P + T$ may not exceed BERT's 512
#   positions.) Positions are arguments of the PLM, so we can undo the shift: give
#   $0 - P, 1 - P, \dots$, to which the kit adds $P$.
#
# **What do you expect?** Which of the two disturbs the PLM more? And how does that change with
# $P$?

# %%
rows = []
for length in (1, 10, 100):
    places = torch.arange(T, device=device)[None]  # (1, T)
    found = {"positions": in_the_gap(reader, position_ids=places + length)}
    zeros = attach(reader, PTuningV2(length=length)).eval()
    with torch.no_grad():
        for name, parameter in zeros.plm.named_parameters():
            if ".prefix." in name:
                parameter.zero_()
    found["weight"] = in_the_gap(zeros, position_ids=places - length)
    found["both"] = in_the_gap(zeros)
    zeros.detach()  # the very PLM that came in
    moved = {what: float((p - bare).abs().sum() / 2) for what, p in found.items()}
    left = {f"p({words.decode([best])}), both": float(found["both"][best])}
    rows.append({"P": length, **moved, **left})
Table(rows, caption=f"How much probability moves to other words: a prefix of zeros ({READER})")

# %% [markdown]
# A measure of 0 would mean "nothing changed", 1 "all probability went to other words". Neither
# column is 0, so a prefix has no identity to start from: **the start matters**, and the first
# steps of training have to repair what the prefix has disturbed. Exercise 3 asks for the exact
# factor of a head.
#
# ## P-tuning v2: a prefix for understanding
#
# Li and Liang wrote texts with GPT-2 and BART. Liu et al. (2022) give BERT and RoBERTa a prefix,
# for classification and for labelling every token. What they settle:
#
# * keys and values are trained directly, from a *small* start: $\mathcal{N}(0, 0.02^2)$, like
#   BERT's own weights. (HF peft starts from $\mathcal{N}(0, 1)$, so published learning rates do
#   not carry over.)
# * *dropout* falls on the prefix;
# * the PLM stays frozen, all of it; an ordinary classifier reads the pooled [CLS] vector;
# * the *length* is chosen for each task. Here is what the authors' scripts used:

# %%
RELEASED = [  # task, metric, BERT-large, RoBERTa-large; settings: learning rate / P / epochs
    ("BoolQ", "accuracy", 74.3, "5e-3 / 40 / 100", 84.0, "7e-3 / 8 / 100"),
    ("COPA", "accuracy", 77.0, "1e-2 / 16 / 80", 92.0, "9e-3 / 8 / 120"),
    ("RTE", "accuracy", 80.1, "1e-2 / 20 / 60", 86.6, "5e-3 / 128 / 100"),
    ("WiC", "accuracy", 75.1, "1e-4 / 20 / 80, MLP", 73.7, "1e-2 / 8 / 50"),
    ("WSC", "accuracy", 68.3, "5e-3 / 20 / 80", 64.4, "1e-2 / 8 / 10"),
    ("CoNLL03", "F1", None, None, 91.8, "3e-2 / 11 / 30"),
    ("CoNLL04", "F1", 84.5, "2e-2 / 128 / 40", 88.4, "6e-2 / 144 / 80"),
    ("OntoNotes", "F1", 86.4, "1e-2 / 16 / 30", 90.1, "7e-3 / 48 / 60"),
    ("CoNLL05 SRL", "F1", None, None, 89.4, "6e-3 / 224 / 15"),
    ("CoNLL12 SRL", "F1", 85.3, "5e-3 / 128 / 45", 84.7, "5e-3 / 64 / 45"),
]
BERT, ROBERTA = ("BERT-large", "rate / P / epochs"), ("RoBERTa-large", "rate / P / epochs ")
COLUMNS = ("task", "metric", *BERT, *ROBERTA)
Table(
    [dict(zip(COLUMNS, row, strict=True)) for row in RELEASED],
    caption="P-tuning v2 as released (best epoch on dev; CoNLL05: WSJ test)",
    digits=1,
)

# %% [markdown]
# Look at three columns. The learning rates are hundreds of times those of full fine-tuning. The
# epochs are many: **prefixes learn slowly**, and "stuck at the majority class" is among what users
# of the authors' repository ask most. And the lengths go from 8 to 224. (The scores are those of the best epoch
# *on dev*, so a little flattered; WSC's majority class alone has 63.5.)
#
# ### Train one
#
# **What do you expect?** Beside it stands a probe: the same head on the same frozen PLM, without
# a prefix. How much is the prefix worth?

# %%
from course_utils import HeadOnly, TrainSettings, evaluate, load_task, train
from course_utils.show import prefix_attention

task = load_task("pocket/sst2").subset(TEST_EXAMPLES, split="test").subset(500)
task = task.subset(250, split="dev")
REVIEWS = task.splits["dev"].select(range(6))["sentence"]


def read(method, rate, seed=0, progress=None):
    """A reader trained on 500 reviews; its dev accuracy after each third of the steps."""
    model, tokenizer = load_plm(READER, head="classifier", labels=task.labels, device=device)
    tuned = attach(model, method, seed=seed)
    settings = TrainSettings(
        steps=STEPS["reading"], evaluate_every=STEPS["reading"] // 3, learning_rate=rate,
        seed=seed, keep="last",
    )  # fmt: skip
    made = train(tuned, task, tokenizer=tokenizer, settings=settings, progress=progress)
    return tuned, {entry["step"]: entry["dev_score"] for entry in made.history}


def looks(model):
    """Where attention goes in each of the reviews."""
    return [prefix_attention(model, words, text) for text in REVIEWS]


# %%
classifier, _ = load_plm(READER, head="classifier", labels=task.labels, device=device)
before = looks(attach(classifier, PTuningV2(length=8)))
tuned, at_step = read(PTuningV2(length=8), 2e-2)
after = looks(tuned)
probe, _ = read(HeadOnly(), 3e-3)
rows = []
for name, one in (("head only", probe), ("P-tuning v2, P = 8", tuned)):
    found = evaluate(one, task, "test", tokenizer=words)
    rows.append({"method": name, "trained": one.count(), "accuracy": found.score})
Table(rows, caption=f"{task.name}, {STEPS['reading']} steps ({READER}, pocket data)")

# %% [markdown]
# The count includes the head, the same in both rows: subtract it, and the prefix's $2PLd$ are left.
# (A pocket BERT was pre-trained without a pooler, so its pooler belongs to the head and is
# trained. In the authors' runs the pooler came with BERT and stayed frozen.)
#
# ### Who looks at the prefix?
#
# $\lambda$, the share of attention that goes to the prefix, can be read off: it is the sum of the
# first $P$ columns of an attention map. Here for each layer and head, the mean over one review's
# tokens.
#
# **What do you expect?** Before training the keys are nearly zeros. Where will the share be large
# then? After training: everywhere, nowhere, or in some heads?

# %%
from course_utils.show import prefix_share_map

prefix_share_map(
    {"before training": before[0], "after training": after[0]},
    title=f"Share of attention that goes to the prefix, λ\n{READER}, {task.name}, pocket data",
)

# %% [markdown]
# Before training, $\lambda$ says something about the *head*, not the prefix: a head whose scores
# are all small leaves much to places of (nearly) zeros, a head that is sure of where to look
# leaves little. And after it? Compare square by square: where did the prefix win weight, where
# did it give some back?
#
# ### Playground: attention with a prefix
#
# Rows look at columns; numbers are percents. The prefix stands left of the thick line, in orange.
# **What do you expect** of [CLS], whose vector the head reads? Does it look at the prefix more
# than other tokens do?
#
# Try: the last layer. A head with a large share, before and after. The same head with another
# review.

# %%
from course_utils.show import prefix_attention_playground

prefix_attention_playground({"before training": before, "after training": after})

# %% [markdown]
# ### How long?
#
# Each place costs $2Ld$ numbers. **What do you expect** of the curve: rising, flat, or falling
# again?

# %%
from tqdm.auto import tqdm

by_steps = {step: {8: [score]} for step, score in at_step.items()}  # steps -> P -> accuracies
runs = [(length, seed) for seed in SEEDS for length in LENGTHS if (length, seed) != (8, 0)]
for length, seed in tqdm(runs, desc="prefix lengths"):
    _, scores = read(PTuningV2(length=length), 2e-2, seed, progress=False)
    for step, score in scores.items():
        by_steps[step].setdefault(length, []).append(score)

# %%
from course_utils.show import score_curves

score_curves(
    {f"after {step} steps": by_steps[step] for step in by_steps},
    xlabel="prefix length P",
    ylabel="accuracy on dev",
    log2=True,
    majority=task.majority("dev"),
    title=f"Length of the prefix, {task.name}\n{READER}, pocket data",
)

# %% [markdown]
# Read it twice: along a line for the length, and upwards for the time. A longer prefix disturbs
# more at the start and has more to learn; whoever compares lengths after few steps compares
# patience. In the P-tuning v2 paper, simple classification is content with a prefix below 20,
# labelling every token wants about 100. In the first paper scores rise up to a length (10 for
# table to text, 200 for summaries) and fall a little beyond.
#
# ## The MLP: a training aid
#
# Li and Liang found training keys and values directly unstable, and a little worse. So while they
# train, they are the output of a small network, on a small table $E$ of $P$ rows:
#
# $$ [P_k, P_v]\ \text{of layer } i \;=\; \tanh(E W + b)\, W_i + b_i, \qquad
#    E: (P, d),\quad W: (d, k),\quad W_i: (k, 2d) $$
#
# with $k = 512$ for table to text. All layers share $E$ and $W$, so they move together. The
# network's output is the same for every text: when training is over, it is computed once, **kept,
# and the MLP is thrown away**. `tuned.save` does so, and `finished(tuned)` does it in memory.
#
# **What do you expect?** How many numbers train, how many stay? And do the PLM's answers change,
# when the MLP goes?

# %%
from course_utils.tuning import finished

writer, _ = load_plm(WRITER, device=device)
with_mlp = attach(writer, PrefixTuning(length=P)).eval()
sentence = tokenizer("name : mira | job : baker | home : oslo", return_tensors="pt").to(device)
with torch.inference_mode():
    before_it_goes = with_mlp(**sentence).logits  # (1, T, V)
trained = with_mlp.count()
kept = finished(with_mlp)
with torch.inference_mode():
    difference = (kept(**sentence).logits - before_it_goes).abs().max()
print(f"trained {trained:,}, kept {kept.count():,}; the PLM has {kept.total():,}")
print(f"largest difference of a logit: {difference:.1e}")

# %% [markdown]
# (For GPT-2 medium it has 25.7 million numbers, 7 % of the PLM; beside a pocket PLM it is a giant.
# Only what is kept counts for storage, and for the percentages in papers.)
#
# ## From tables to text
#
# Now writing, as in the first paper. `pocket/e2e` is the twin of the E2E data: a table in, a
# sentence that says it out.
#
# A warning first. The writing PLM has *read* tables of venues, persons and towns: each with an
# equals sign, and its sentence behind. We ask differently, with a mere full stop. So the PLM has
# the skill, but does not know that it is wanted: a job for steering. The split `ood` has kinds of
# table, products and teams, that it has never read.
#
# **What do you expect** it to write in the four cases, without any training?

# %%
from dataclasses import replace

given = load_task("pocket/e2e").subset(4, split="dev")
given = given.subset(TABLES, split="test").subset(TABLES, split="ood")
tables = replace(given, segments=("{meaning_representation} .",))
writer, _ = load_plm(WRITER, device=device)
rows = []
for sign, asked in (("=", given), (".", tables)):
    for split in ("test", "ood"):
        found = evaluate(writer, asked, split, tokenizer=tokenizer)
        row = {"asked with": sign, "split": split, "BLEU": found.score}
        rows.append({**row, "written": found.predictions[0], "wanted": found.labels[0][0]})
untrained = {row["split"]: row["BLEU"] for row in rows if row["asked with"] == "."}
Table(rows, caption=f"No training ({WRITER}, pocket data)")

# %% [markdown]
# ### Few tables
#
# Three ways to learn the new form from few tables: all of the PLM; a prefix whose MLP starts at
# random; and a prefix that starts from **real words**. For the last, the PLM reads a text that
# fits the task, and the keys and values it computes are the prefix's start. A causal PLM then
# begins exactly as if those words stood in front. In the paper this pays where examples are few,
# and words that fit the task do better than others, which do better than random vectors.
#
# **What do you expect?** Draw three curves. Which is highest on the left? Do they meet on the
# right?

# %%
from course_utils import FullFineTuning

SAID = "say this table : name , home , price ."
WAYS = {
    "full fine-tuning": (FullFineTuning(), 3e-4),
    "prefix": (PrefixTuning(length=P), 1e-3),
    "prefix, from words": (PrefixTuning(length=P, init="text", text=SAID), 1e-3),
    "prefix, no MLP": (PrefixTuning(length=P, mlp=0), 1e-2),
}


def write(way, data, seed=0, steps=STEPS["writing"]):
    """A writer trained one way, and the mean training loss of each third of the steps."""
    method, rate = WAYS[way]
    model, _ = load_plm(WRITER, device=device)
    tuned = attach(model, method, tokenizer=tokenizer, seed=seed)
    settings = TrainSettings(
        steps=steps, learning_rate=rate, seed=seed, batch_size=8, keep="last",
        evaluate_every=steps // 3,
    )  # fmt: skip
    made = train(tuned, data, tokenizer=tokenizer, settings=settings, progress=False)
    return finished(tuned), {entry["step"]: entry["loss"] for entry in made.history}


# %%
writers, losses, answers = {}, {}, {}
few = [(way, n) for n in SIZES for way in WAYS if way != "prefix, no MLP"]
for way, n in tqdm([*few, ("prefix, no MLP", SIZES[-1])], desc="trainings"):
    for seed in SEEDS:
        made, losses[way, n, seed] = write(way, tables.subset(n, seed=seed), seed)
        answers[way, n, seed] = evaluate(made, tables, "test", tokenizer=tokenizer)
        writers[way, n] = made

# %%
curves = {
    way: {n: [answers[way, n, seed].score for seed in SEEDS] for n in SIZES}
    for way in list(WAYS)[:3]
}
score_curves(
    curves,
    xlabel=f"tables to learn from ({STEPS['writing']} steps of 8)",
    ylabel="BLEU",
    log2=True,
    references={"no training": untrained["test"]},
    title=f"Table to text from few examples\n{WRITER}, pocket data",
)

# %% [markdown]
# In the paper, with GPT-2 medium and 50 to 500 examples, the prefix is ahead of full fine-tuning.
# Is it so here? If full fine-tuning wins: this PLM is 150 times smaller than GPT-2 medium, its
# frozen part can do much less, and the steps are few.
#
# ### With the MLP, and without
#
# The same steps, the same tables. Keys and values alone are given a learning rate ten times as
# high. **What do you expect** of the loss: which falls faster?

# %%
from statistics import fmean

shown = ("full fine-tuning", "prefix", "prefix, no MLP")
score_curves(
    {way: losses[way, SIZES[-1], 0] for way in shown},
    xlabel="step",
    ylabel="training loss",
    title=f"The MLP as a training aid ({SIZES[-1]} tables)\n{WRITER}, pocket data",
)

# %% [markdown]
# ### Five ways to score a text
#
# No single number knows a good sentence. E2E's tables print five, all comparing with several
# references: **BLEU** (shared n-grams), **NIST** (the same, but rare n-grams count more; in
# bits), **METEOR** (matched words and stems, in order), **ROUGE-L** (longest common subsequence)
# and **CIDEr** (n-grams weighted by how telling they are; 0 to 10). **What do you expect:** do
# they agree on the order of the rows?

# %%
from course_utils.tasks.metrics import score as scored
from course_utils.tasks.text_metrics import TEXT_METRICS


def five(runs):
    """Each metric's mean over the seeds."""
    return {m: fmean(scored(m, one.predictions, one.labels) for one in runs) for m in TEXT_METRICS}


Table(
    [
        {"way": way, "kept": writers[way, n].count(), **five([answers[way, n, s] for s in SEEDS])}
        for way, n in writers
        if n == SIZES[-1]
    ],
    caption=f"{SIZES[-1]} tables ({WRITER}, pocket data)",
)

# %% [markdown]
# Beside them the published table for E2E: GPT-2 medium, trained on all of its 42,000 examples.
# BLEU, METEOR and ROUGE-L are times 100 there, and METEOR is another program's: compare rows, not
# the two tables.

# %%
from course_utils.show import published_table

published_table("e2e_gpt2_medium")

# %% [markdown]
# ### Read what they write
#
# A score says how much; only reading says what. Look for a field left out, a field invented, the
# wrong sentence for the kind. The first table is of a kind that training showed, the second of a
# kind that it never did.

# %%
rows = []
for split in ("test", "ood"):
    source = given.splits[split]["meaning_representation"][0]
    rows.append({"split": split, "": "the table", "text": source})
    one = replace(tables, splits={split: tables.splits[split].select([0])})
    rows.append({"split": split, "": "wanted", "text": one.splits[split]["references"][0][0]})
    for way in list(WAYS)[:3]:
        found = evaluate(writers[way, SIZES[-1]], one, split, tokenizer=tokenizer)
        rows.append({"split": split, "": way, "text": found.predictions[0]})
Table(rows, caption=f"Side by side ({WRITER}, pocket data)")

# %% [markdown]
# ## Kinds never seen
#
# Does what was learnt on some kinds of table carry over to others? WebNLG's test set has
# categories that are in the training data and others that are not. BLEU of GPT-2 medium:

# %%
WEBNLG = {  # way: trained parameters, seen, unseen, all
    "full fine-tuning": ("354.92M", 63.2, 30.4, 47.6),
    "adapter": ("0.37M", 54.5, 45.1, 50.2),
    "prefix": ("0.35M", 63.1, 44.1, 54.4),
    "LoRA": ("0.35M", 62.1, 46.7, 55.3),
}
Table(
    [
        {"way": way, **dict(zip(("trained", "seen", "unseen", "all"), row, strict=True))}
        for way, row in WEBNLG.items()
    ],
    caption="WebNLG, full size, as in the table of LoRA's authors (github.com/microsoft/LoRA)",
    digits=1,
)

# %% [markdown]
# At home full fine-tuning and the prefix are level; abroad full fine-tuning loses more than half. A
# guess of Li and Liang: what leaves all of the PLM's weights alone keeps what it knows of the
# world. **What do you expect** of the pocket PLM, which has read no table of products or teams at
# all?

# %%
rows = [{"way": "no training", "seen": untrained["test"], "unseen": untrained["ood"]}]
for way in list(WAYS)[:3]:
    abroad = evaluate(writers[way, SIZES[-1]], tables, "ood", tokenizer=tokenizer).score
    home = fmean(answers[way, SIZES[-1], seed].score for seed in SEEDS)
    rows.append({"way": way, "seen": home, "unseen": abroad})
Table(rows, caption=f"BLEU on kinds seen and unseen, {SIZES[-1]} tables ({WRITER}, pocket data)")

# %% [markdown]
# If everything in the right column is near zero, there is nothing to extrapolate *from*: GPT-2
# has read about almost everything, and a frozen GPT-2 still knows it. A pocket PLM has not. That
# is not a detail but the limit of the method, and the equation tells it: with a prefix a head says
# $(1 - \lambda)\, h + \lambda\, \Delta h$. It may turn $h$ down and add something. **Which text
# token looks at which other, relative to the rest, it can't change** in its own layer: all weights
# on the text shrink by the same $1 - \lambda$. Petrov et al. (2024) make a theory of this: a prefix
# brings out skills that a PLM has, and may not teach those that need new patterns of attention.
#
# ### Steer or teach?
#
# So let us teach: 200 tables of *products*, a kind that the PLM has never read, for all of the
# PLM and for a prefix, with twice the steps. And afterwards, the kinds that it knew before:
# **what do you expect** of those?

# %%
ood = load_task("pocket/e2e").splits["ood"]
products = ood.select([i for i, kind in enumerate(ood["category"]) if kind == "product"])
lesson = replace(
    given,  # asked with the equals sign, as the PLM knows it
    splits={
        "train": products.select(range(100, 300)),
        "dev": products.select(range(96, 100)),
        "products": products.select(range(TABLES)),
        "known before": given.splits["test"],
    },
)


def bleu(model):
    """BLEU on what the lesson was about, and on what the PLM could do before."""
    kinds = ("products", "known before")
    return {k: evaluate(model, lesson, k, tokenizer=tokenizer).score for k in kinds}


plain, _ = load_plm(WRITER, device=device)
models = {"no training": plain}
for way in tqdm(("full fine-tuning", "prefix"), desc="lessons"):
    models[way], _ = write(way, lesson, steps=2 * STEPS["writing"])
rows = [{"way": way, **bleu(model)} for way, model in models.items()]
rows.append({"way": "prefix, taken off", **bleu(models["prefix"].detach().eval())})
Table(rows, caption=f"BLEU after a lesson on products ({WRITER}, pocket data)")

# %% [markdown]
# Two things to see. How far does each get with products? (After so few steps that differs much from
# seed to seed: try some before you believe an order.) And what is left of the kinds known before?
# Fine-tuning writes over them. A prefix disturbs them, too, while it is on. But nothing was written
# over: taken off, it leaves the PLM as it was, bit for bit. That is why one frozen PLM can serve
# many tasks, each with its own prefix.

# %% [markdown]
# ## Summary
#
# * A prefix is a key and a value for $P$ places in front of the text, in every layer: $2PLd$
#   numbers. The text stays as long as it was, but its positions move by $P$.
# * Read as an adapter it is $(1 - \lambda) h + \lambda \Delta h$: bottleneck $P$, a softmax
#   inside, and a gate that prefix and text fight out. There is no identity at the start; zeros
#   still take weight.
# * The MLP is a training aid and is thrown away. P-tuning v2 does without: a small start,
#   dropout, a head, a length for each task, and patience.
# * A prefix steers what a PLM can do. In full-size papers that is enough for table to text, with
#   little data and for unseen topics. A small PLM that never read a kind of table has nothing to
#   extrapolate from, and theory doubts that a prefix can teach what needs new patterns of attention.

# %% [markdown]
# ## Exercises
#
# **1. Count a prefix (★, 10 minutes)** How many numbers are kept, and how many train while the
# MLP is there?
#
# <details><summary>Hint</summary>
#
# Kept: two matrices $(P, d)$ in each layer. Trained: the table $E$, one linear layer from $d$ to
# $k$, one from $k$ to $2Ld$ (all $W_i$ side by side), each with its bias.
# </details>

# %%
from course_utils.show.exercises import prefix_tuning as exercises


def prefix_sizes(P, L, d, k):
    """Sizes of a prefix of length P for L layers of width d, with an MLP of width k.

    Returns:
        (how many numbers are kept, how many are trained).
    """
    raise NotImplementedError


exercises.check_prefix_sizes(prefix_sizes)

# %% [markdown]
# **2. Attention with a prefix (★★, 15 minutes)** Write one head by hand. Then, if you like, write
# it as $(1 - \lambda) h + \lambda \Delta h$; the check takes both.
#
# <details><summary>Hint</summary>
#
# `torch.cat((P_k, K))` has P + T rows. Scores are `q @ keys.T`, divided by the square root of
# d_h; softmax over the last dimension; times the values.
# </details>


# %%
def attend(q, K, V, P_k, P_v):
    """One attention head over a prefix and a text (no mask).

    Args:
        q, K, V: (T, d_h) each.
        P_k, P_v: (P, d_h) each.

    Returns:
        (T, d_h).
    """
    raise NotImplementedError


exercises.check_attend(attend)

# %% [markdown]
# **3. The effect of zeros (★★, 15 minutes)** A head's scores for a text are $s_1, \dots, s_T$
# (already divided by $\sqrt{d_h}$). By which factor does a prefix of $P$ zeros multiply its
# output?
#
# <details><summary>Hint</summary>
#
# $1 - \lambda$ with $e^0 = 1$ for each place. Mind large scores: what is
# `torch.tensor(200.).exp()`? A fraction $a / (a + b)$ is $\sigma(\log a - \log b)$, and
# `logsumexp` is safe.
# </details>


# %%
def zero_factor(scores, P):
    """What is left of a head's output.

    Args:
        scores: (T,) of one token.

    Returns:
        a number between 0 and 1.
    """
    raise NotImplementedError


exercises.check_zero_factor(zero_factor)

# %% [markdown]
# **4. Find the bug (★★★, 20 minutes)** The papers' code hands the PLM a key-value cache that is
# filled already. Here is a version that is nearly right. It reads the same text twice, and should
# answer the same twice.

# %%
from transformers import DynamicCache


def with_a_bug(model, prefix, texts):
    """The logits after each text, with the same prefix in front of each?"""
    cache = DynamicCache()
    for layer, (keys, values) in enumerate(prefix):
        cache.update(keys, values, layer)
    return [model(input_ids=ids, past_key_values=cache).logits[0, -1] for ids in texts]


with torch.inference_mode():
    of_words = plain.eval()(**sentence, use_cache=True).past_key_values.layers
    prefix = [(layer.keys, layer.values) for layer in of_words]  # (1, h, P, d_h) each
    first, second = with_a_bug(plain, prefix, [sentence["input_ids"]] * 2)
print(f"the same text, twice: logits differ by up to {(first - second).abs().max():.2f}")

# %% [markdown]
# Why? Write it correctly.
#
# <details><summary>Hint</summary>
#
# Print `cache.get_seq_length()` after each call. Who else writes into the cache?
# </details>


# %%
def read_each(model, prefix, texts):
    """The logits after each text, with the same prefix in front of each.

    Args:
        model: a causal PLM.
        prefix: for each layer (keys, values), (1, h, P, d_h) each.
        texts: tensors of ids, (1, T) each.

    Returns:
        a list of tensors (V,).
    """
    raise NotImplementedError


exercises.check_read_each(read_each)

# %% [markdown]
# ## References
#
# * X. L. Li, P. Liang. Prefix-tuning: optimizing continuous prompts for generation. ACL 2021.
#   [arXiv:2101.00190](https://arxiv.org/abs/2101.00190)
# * X. Liu et al. P-tuning v2: prompt tuning can be comparable to fine-tuning universally across
#   scales and tasks. ACL 2022. [arXiv:2110.07602](https://arxiv.org/abs/2110.07602)
# * J. He, C. Zhou, X. Ma, T. Berg-Kirkpatrick, G. Neubig. Towards a unified view of
#   parameter-efficient transfer learning. ICLR 2022.
#   [arXiv:2110.04366](https://arxiv.org/abs/2110.04366). Section 3.1.
# * A. Petrov, P. Torr, A. Bibi. When do prompting and prefix-tuning work? A theory of
#   capabilities and limitations. ICLR 2024. [arXiv:2310.19698](https://arxiv.org/abs/2310.19698)
# * E. Hu et al. LoRA: low-rank adaptation of large language models. ICLR 2022.
#   [arXiv:2106.09685](https://arxiv.org/abs/2106.09685). The E2E table.
# * O. Dušek, J. Novikova, V. Rieser. Evaluating the state-of-the-art of end-to-end natural
#   language generation: the E2E NLG challenge. Computer Speech & Language 2020.
#   [arXiv:1901.07931](https://arxiv.org/abs/1901.07931). Data and metrics.
# * R. Vedantam, C. L. Zitnick, D. Parikh. CIDEr: consensus-based image description evaluation.
#   CVPR 2015. [arXiv:1411.5726](https://arxiv.org/abs/1411.5726)

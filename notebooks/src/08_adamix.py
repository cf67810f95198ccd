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
# # 08 · AdaMix: a mixture of adaptations for the price of one
#
# <!-- badges -->
# `under 2 minutes to run` · `60 minutes to read and play` · `CPU is enough` · `works offline`

# %% [markdown]
# ## Why
#
# An adapter is small, and what is small can't hold much. One could train four adapters and let them
# vote, as ensembles do; but then four have to be stored, and the PLM has to run four times.
#
# **AdaMix** (Wang et al., 2022) trains several *experts* in every place and pays for one: a batch
# meets one expert at a time, drawn by lot, and after training the experts' **weights** are averaged
# into a single adapter. Two questions make this notebook: why is the average of several networks a
# good network at all, and is it better than the one adapter that the same effort would have
# trained?

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
# One switch. With `QUICK`, a training is short, and there are two seeds: enough to see how things
# are done, too few to crown a method.

# %%
QUICK = True
PLM = "pocket-bert-base"

SEEDS = (0, 1) if QUICK else (0, 1, 2, 3, 4)
TRAIN_EXAMPLES, STEPS = (100, 180) if QUICK else (1000, 2000)
TEST_EXAMPLES = 400 if QUICK else 1000
RATE = 3e-3  # for all that is trained below; another rate may change the order

# %% [markdown]
# The task is a verdict on reviews, with a hundred labelled ones that are read again and again:
# AdaMix was made for many passes over the data, and small data sets are where the paper finds most.
# In each run, the seed draws the training examples, their order, and the start of every new number
# except the head's, which starts alike for all (you will see why). Every run ends after its last
# step; no score below has chosen anything.

# %%
from tqdm.auto import tqdm

from course_utils import TrainSettings, attach, load_plm, load_task, train
from course_utils.show import Table
from course_utils.tuning import AdaMix, Pfeiffer

task = load_task("pocket/sst2").subset(TEST_EXAMPLES, split="test").subset(100, split="dev")


def attached(method, seed=0):
    """A fresh PLM with a classification head and this method, not trained yet."""
    model, _ = load_plm(PLM, head="classifier", labels=task.labels, device=device)
    return attach(model, method, seed=seed)


row = task.splits["test"][0]
print(task.how_to_answer)
Table([{**{c: row[c] for c in task.columns}, "label": task.labels[row["label"]]}])

# %% [markdown]
# ## From one adapter to a mixture
#
# Take the adapter of Pfeiffer et al. (2021): one per layer, a projection *down* to a bottleneck of
# $r$ numbers, a non-linearity, a projection *up*:
#
# $$ \Delta h \;=\; W^{\text{up}}\, \sigma(W^{\text{down}} x). $$
#
# AdaMix keeps $M$ experts of each half. In training a batch meets *one* pair in each layer, drawn
# independently, layer by layer, half by half, step by step:
#
# $$ \Delta h \;=\; W^{\text{up}}_{k}\, \sigma(W^{\text{down}}_{j} x), \qquad
#    j, k \sim \text{uniform on } 1 \dots M. $$
#
# So $M + M$ matrices make $M^2$ different adapters in a layer, $M^{2L}$ in the PLM. One half may
# also be **shared** by all; the authors' program shares $W^{\text{up}}$ and has $M = 4$ experts of
# $W^{\text{down}}$.
#
# **What do you expect?** How many times more parameters does that train than one adapter? Not four.

# %%
both = {
    "one adapter": attached(Pfeiffer()),
    "4 experts, up shared": attached(AdaMix(of=Pfeiffer(), experts=4, share="up")),
}
rows = []
for name, tuned in both.items():
    first = [n for n in tuned.trained_names() if "layer.0." in n]
    shapes = ", ".join(str(tuple(tuned.plm.get_parameter(n).shape)) for n in first)
    count = tuned.count() - tuned.head_count()
    rows.append({"": name, "tensors of the first layer": shapes, "trained": count})
print(both["4 experts, up shared"].formula())
Table(rows)

# %% [markdown]
# ### Who is drawn?
#
# A network can be asked: after one backward pass, only an expert that took part has a gradient. Ten
# steps, the first layer; a 1 marks the expert that the batch met.
#
# **What do you expect** to see in the column of the shared half?

# %%
import torch

from course_utils.tasks.batches import collate
from course_utils.tasks.inputs import encode


def first_batch(size):
    """The first examples of the training set as one padded batch."""
    features = encode(task, task.splits["train"].select(range(size)), tokenizer, max_length=128)
    return {k: v.to(device) for k, v in collate(features.features, tokenizer).items()}


tokenizer = load_plm(PLM)[1]
batch = first_batch(16)
tuned = attached(AdaMix(experts=4, share="none", consistency=0)).train()
adapter = "bert.encoder.layer.0.output.LayerNorm.adapter.experts"
rows = []
for step in range(1, 11):
    tuned.zero_grad()
    tuned.method.training_output(tuned, batch).loss.backward()
    row = {"step": step}
    for half in ("down", "up"):
        gradient = tuned.plm.get_parameter(f"{adapter}.{half}.weight").grad  # (M, out, in)
        row[half] = "  ".join(str(int(g.any())) for g in gradient)
    rows.append(row)
Table(rows, caption="share='none': four experts of each half")

# %% [markdown]
# ## Playground: the lot
#
# The same for a whole PLM of four layers. A coloured disc is the expert that this step's batch
# meets; the number in it says how often that one has been met so far. With the second pass (below
# you will see what it is for) a second pair is drawn, the dashed line.
#
# Try: how many steps until every expert has been met once? What do 8 experts mean for the number of
# updates that each gets? And what is left of the lot if `up` is shared?

# %%
from course_utils.show import routing_playground

routing_playground(layers=4, experts=4)

# %% [markdown]
# ## What it costs
#
# A classical mixture of experts has a *router*, a small network that decides who answers, and often
# asks several at a time. A lottery needs no router and no load balancing: every expert is met
# equally often. And since a batch passes one expert per half, the number of experts changes nothing
# in the arithmetic.
#
# **What do you expect?** Multiplications and additions of one training step, relative to a single
# adapter: with 4 experts, with 8, and with the second pass?

# %%
from torch.utils.flop_counter import FlopCounterMode

from course_utils.tuning import finished


def flops(tuned, training):
    """Floating-point operations of one batch: forward and backward, or forward only."""
    tuned.train(training)
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(training):
        output = tuned.method.training_output(tuned, batch) if training else tuned(**batch)
        if training:
            output.loss.backward()
    return counter.get_total_flops()


def prices(method):
    """Numbers trained, operations of a step, numbers kept, operations of an answer."""
    tuned = attached(method)
    trains, step = tuned.count(), flops(tuned, True)
    kept = finished(tuned)  # the experts averaged: an ordinary Pfeiffer
    return trains, step, kept.count(), flops(kept, False)


found = {
    "one adapter": prices(Pfeiffer()),
    "4 experts": prices(AdaMix(consistency=0.0)),
    "8 experts": prices(AdaMix(experts=8, consistency=0.0)),
    "4 experts, two passes": prices(AdaMix()),
}

# %%
_, step, _, answer = found["one adapter"]
rows = [
    {"": name, "trained": t, "a step": s / step, "kept": k, "an answer": a / answer}
    for name, (t, s, k, a) in found.items()
]
Table(rows, caption="Counts with the head; operations relative to one adapter", digits=2)

# %% [markdown]
# The price of AdaMix is in *memory* for training (the other experts and their optimizer states
# wait, a few numbers more), in *updates* (each expert sees every $M$-th batch, so the authors train
# longer: 40 epochs for BERT-base), and in the second pass, if one takes it. In use it costs
# nothing: what is kept is one adapter.
#
# ## The second loss
#
# Any $W^{\text{down}}_j$ may be drawn to work with any $W^{\text{up}}_k$ and with whoever was drawn
# in the layers above and below. So all must speak one language. AdaMix asks for it openly. The
# batch goes through the PLM twice, with two lots; the two answers $p$ and $q$ shall agree:
#
# $$ \mathcal{L} \;=\; \underbrace{-\log p(y \mid x)}_{\text{be right}} \;+\;
#    \underbrace{\tfrac12 \big( \mathrm{KL}(p \| q) + \mathrm{KL}(q \| p) \big)}_{\text{agree}} $$
#
# Note that the labels teach only the first pass; the second learns from the first, and the first a
# little from the second. (Dropout differs in the two passes, too: R-Drop, Liang et al. 2021, trains
# with such a loss without any experts.)
#
# ### Train with and without it
#
# The same number of updates for all; and one more single adapter that trains *twice* as many steps,
# because it could have had as many passes as AdaMix with its second loss takes.


# %%
def trained(method, seed, steps=STEPS):
    """The method trained from this seed for this many updates."""
    tuned = attached(method, seed)
    settings = TrainSettings(
        steps=steps, learning_rate=RATE, evaluate_every=steps, keep="last", seed=seed
    )
    data = task.subset(TRAIN_EXAMPLES, seed=seed)
    train(tuned, data, tokenizer=tokenizer, settings=settings, progress=False)
    return tuned


ARMS = {
    "one adapter": (Pfeiffer(), STEPS),
    "one adapter, twice the steps": (Pfeiffer(), 2 * STEPS),
    "AdaMix without consistency": (AdaMix(consistency=0.0), STEPS),
    "AdaMix": (AdaMix(), STEPS),
}
models = {name: [] for name in ARMS}
for seed in tqdm(SEEDS, desc="seeds"):
    for name, (method, steps) in ARMS.items():
        models[name].append(trained(method, seed, steps))

# %% [markdown]
# ## What does averaging do?
#
# Three ways to answer with what was trained:
#
# * **one expert**: number $j$ in every layer, the others are ignored;
# * **an ensemble**: each of the four answers, and the *logits* are averaged: four passes of the
#   PLM;
# * **merging**: the *weights* are averaged, then the PLM runs once,
#   $\;\bar W = \frac1M \sum_j W_j$.
#
# For one linear map the last two would be the same. Here non-linearities stand in every layer and
# layers on top of one another, so merging is no ensemble; it resembles one where experts are alike.
#
# **What do you expect?** In which order do the three come? Does the second loss change the order?

# %%
import copy

from course_utils.evaluation import prepare
from course_utils.tuning.adamix import Mixture

test = prepare(models["AdaMix"][0], task, "test", tokenizer)  # tokenised once, for all models
gold = torch.tensor(test.gold())


def averaged(tuned, members):
    """A copy whose mixtures all hold the mean of these experts; a shared half stays as it is."""
    merged = copy.deepcopy(tuned).eval()
    for mixture in (m for m in merged.plm.modules() if isinstance(m, Mixture)):
        for weights in mixture.parameters():  # (M, ...) or, shared, (1, ...)
            if len(weights) > 1:
                weights.data = weights.data[list(members)].mean(0).expand_as(weights).clone()
    return merged


# %%
@torch.inference_mode()
def logits_of(tuned):
    """Logits of the test set, (n, labels)."""
    found = torch.empty(len(gold), len(task.labels))
    for rows, inputs in test.batches(64):
        given = {name: value.to(device) for name, value in inputs.items() if name != "labels"}
        found[rows] = tuned.eval()(**given).logits.float().cpu()
    return found


def accuracy(logits):
    return (logits.argmax(-1) == gold).float().mean().item()


# %%
from itertools import combinations
from statistics import fmean

from course_utils.show import score_dots
from course_utils.tuning.adamix import disagreement

ways, apart = {}, {}
for name in ("AdaMix without consistency", "AdaMix"):
    rows = {
        "one expert, each in turn": [],
        "logits averaged, 4 passes": [],
        "weights averaged, 1 pass": [],
    }
    for tuned in tqdm(models[name], desc=name):
        single = [logits_of(averaged(tuned, [j])) for j in range(4)]
        rows["one expert, each in turn"] += map(accuracy, single)
        rows["logits averaged, 4 passes"].append(accuracy(torch.stack(single).mean(0)))
        rows["weights averaged, 1 pass"].append(accuracy(logits_of(tuned)))
        pairs = [disagreement(p, q).item() for p, q in combinations(single, 2)]
        apart.setdefault(name, []).append(fmean(pairs))
    ways[name] = rows
score_dots(
    ways,
    majority=task.majority("test"),
    title=f"One expert, an ensemble, or merged? {task.name}\n{PLM}, pocket data",
)

# %% [markdown]
# In the paper's ablation (section 4.3) merging beats routing at random or always taking the first
# expert, and without the second loss AdaMix is worse. Here, look at the single experts first: the
# more alike they are, the less there is for an average to win. Then at merged against their mean:
# averaging four networks has not destroyed anything, or has it? And behind it all: how far apart
# are two experts' answers, in the units of the second loss?

# %%
Table(
    [
        {"": name, **dict(zip(map("seed {}".format, SEEDS), values, strict=True))}
        for name, values in apart.items()
    ],
    caption="½ (KL(p‖q) + KL(q‖p)) between two experts on the test set, mean over pairs (pocket)",
    digits=4,
)

# %% [markdown]
# ### Experts must differ, and must not drift apart
#
# Four copies of *one* start would get different batches but begin as one, so AdaMix gives each its
# own. **What do you expect?** The experts' projections down start as independent random matrices:
# the cosine between two of them (as long vectors) is about 0. And after training?


# %%
def cosine(tuned):
    """Mean cosine between two experts of a layer's projection down."""
    found = []
    for mixture in (m for m in tuned.plm.modules() if isinstance(m, Mixture)):
        for one, other in combinations(mixture.experts.down.weight.detach().flatten(1), 2):
            found.append(torch.cosine_similarity(one, other, dim=0).item())
    return fmean(found)


rows = [{"": "before training", "cosine": cosine(attached(AdaMix(), SEEDS[0]))}]
for name in ("AdaMix without consistency", "AdaMix"):
    rows.append({"": name, "cosine": fmean(map(cosine, models[name]))})
Table(rows, caption="Experts of one layer, compared as vectors (pocket)")

# %% [markdown]
# Small cosines, similar answers: is that a contradiction? Write each expert as what all have learnt
# in common plus what is its own, $W_j = C + U_j$. Where the $U_j$ are unrelated, averaging keeps
# $C$ and shrinks the rest by $1/\sqrt M$: what only one expert believes in is voted down. That also
# warns of a *short* training. Then most of $W_j$ is still its random start, the average shrinks
# that, and the merged adapter says less than each expert does. Try `STEPS = 60`.
#
# And adapters that were *not* trained together? The single adapters of two seeds are good each by
# itself. They share the PLM and even the head's start, but never had to work with one another.
# **What do you expect** of the mean of their weights, head included?


# %%
def mean_of(several):
    """A copy of the first, with the mean of all trained numbers."""
    mean = copy.deepcopy(several[0])
    for name in mean.trained_names():
        parts = torch.stack([tuned.plm.get_parameter(name).data for tuned in several])
        mean.plm.get_parameter(name).data = parts.mean(0)
    return mean


strangers = models["one adapter"][:2]
rows = [
    {"": f"single adapter, seed {seed}", "accuracy": accuracy(logits_of(tuned))}
    for seed, tuned in zip(SEEDS, strangers, strict=False)
]
both = torch.stack([logits_of(tuned) for tuned in strangers]).mean(0)
rows.append({"": "their logits averaged", "accuracy": accuracy(both)})
rows.append({"": "their weights averaged", "accuracy": accuracy(logits_of(mean_of(strangers)))})
Table(rows, caption=f"{task.name} ({PLM}, pocket data)")

# %% [markdown]
# If the mean of strangers is *not* much worse than they are, their changes are still small, and
# small changes add up nearly linearly. The larger the changes, the less one may count on it: *model
# soups* (Wortsman et al., 2022), which average whole fine-tuned models, start all of them from the
# same numbers. AdaMix need not hope. Its experts have to work in each other's place, step by step.
#
# ## Playground: an average of which experts?
#
# Choose experts (Ctrl or Shift for several). Both numbers are worked out when you choose: the mean
# of their weights, and the mean of their logits. **What do you expect:** does each expert more make
# the average better? Are there pairs that do not go together?

# %%
import ipywidgets as ipw

from course_utils.show import playground

chosen_model = models["AdaMix"][0]
alone = [logits_of(averaged(chosen_model, [j])) for j in range(4)]


def compare(experts):
    members = list(experts) or [0]
    weights = accuracy(logits_of(averaged(chosen_model, members)))
    votes = accuracy(torch.stack([alone[j] for j in members]).mean(0))
    said = ", ".join(str(j + 1) for j in members)
    rows = [
        {"": "weights averaged", "passes of the PLM": 1, "accuracy": weights},
        {"": "logits averaged", "passes of the PLM": len(members), "accuracy": votes},
    ]
    return Table(rows, caption=f"Experts {said}: {task.name} ({PLM}, pocket data)")


options = [(f"expert {j + 1}", j) for j in range(4)]
playground(compare, experts=ipw.SelectMultiple(options=options, value=(0, 1), rows=4))

# %% [markdown]
# ## AdaMix against its own adapter
#
# Now the question of the title. All four arms keep an adapter of the same size. **What do you
# expect?** Put the rows in order, and say how large a difference must be before you believe it:
# look at the dots of one row.

# %%
score_dots(
    {name: [accuracy(logits_of(tuned)) for tuned in several] for name, several in models.items()},
    majority=task.majority("test"),
    title=f"The same updates, or the same passes: {task.name}\n{PLM}, pocket data",
)

# %% [markdown]
# Read it against what each arm had. In as many updates, an expert has been trained a fourth as
# often as the single adapter: in a short training the mixture starts behind, and the paper's
# trainings are long. With `QUICK = False` there are more examples, more steps, more seeds; is the
# order the same? If the single adapter with twice the steps is ahead, say so: effort is a fair
# currency, too. And where all rows lie within the spread of one, there is nothing to report but
# that.
#
# ### Full-size numbers
#
# From the paper: GLUE (dev sets) with RoBERTa-large. The first column counts the numbers in the
# form that is kept. Where does AdaMix's average come from? The last row compares it with the same
# adapter alone, task by task. RTE has the smallest training set of the eight, 2,490 examples; MNLI
# has 393,000.

# %%
from course_utils.recipes import published
from course_utils.show import published_table

rows = {(row["method"], row["parameters"]): row for row in published("glue_roberta_large")}
adamix, pfeiffer = rows["AdaMix", 0.8e6], rows["Pfeiffer", 0.8e6]
gain = {key: adamix[key] - pfeiffer[key] for key in adamix if key not in ("method", "parameters")}
published_table(
    "glue_roberta_large",
    more=[{"method": "AdaMix − Pfeiffer", "parameters": 0.8e6, **gain}],
    highlight=6,
)

# %% [markdown]
# The same with BERT-base, averages only; UniPELT combines several methods.

# %%
published_table("glue_bert_base")

# %% [markdown]
# ## Experts of LoRA
#
# Nothing above needs an adapter. LoRA has two halves as well, $\Delta h = \frac{\alpha}{r} B A x$:
# experts of $A$, of $B$, or both. And as LoRA can be merged into the PLM's own weights, here the
# average of the experts disappears altogether.
#
# **What do you expect?** Four experts of $A$, a shared $B$. How many numbers are trained, how many
# are kept, and how many operations does an answer cost more than the bare PLM's?

# %%
from course_utils import LoRA

mixture = trained(AdaMix(of=LoRA(rank=8), share="up"), SEEDS[0], STEPS // 4)
bare, _ = load_plm(PLM, head="classifier", labels=task.labels, device=device)
with FlopCounterMode(display=False) as counter, torch.no_grad():
    bare(**batch)
base = counter.get_total_flops()
before = logits_of(mixture)
rows = [{"": "four experts of A", "numbers": mixture.count(), "operations": None}]
single = finished(mixture)
rows.append(
    {"": "averaged: a LoRA", "numbers": single.count(), "operations": flops(single, False) / base}
)
after = logits_of(single)
merged = single.merge().eval()
with FlopCounterMode(display=False) as counter, torch.no_grad():
    merged(**batch)
rows.append({"": "merged: the PLM", "numbers": 0, "operations": counter.get_total_flops() / base})
print(
    f"largest change of a logit: averaged {(after - before).abs().max():.1e},"
    f" merged {(logits_of(merged) - before).abs().max():.1e}"
)
Table(rows, caption="operations of an answer, relative to the PLM without a method")

# %% [markdown]
# Published, table to text: E2E with GPT-2 medium (all columns: higher is better).

# %%
published_table("e2e_gpt2_medium")

# %% [markdown]
# ## Summary
#
# * AdaMix trains $M$ experts of each half that is not shared. A batch meets one pair per layer,
#   drawn by lot, so a pass costs what one adapter's pass costs, however many experts there are.
# * After training the *weights* are averaged: one adapter to store, one pass to answer. An ensemble
#   of logits would need $M$ passes.
# * Averaging works for experts that have had to work with one another. The lot asks for it, and the
#   second loss asks again, for a second pass. Experts must start differently to have something to
#   average.
# * "Better than its adapter" is a question about budgets: the same updates, the same passes, the
#   same numbers kept. The paper reports a gain at full size; on a pocket PLM, your dots decide.

# %% [markdown]
# ## Exercises
#
# **1. Draw and compute (★★, 15 minutes)** The routed adapter: one expert of each half, drawn
# independently. The halves may have different numbers of experts (a shared half has one).
#
# <details><summary>Hint</summary>
#
# `rng.randrange(len(down))` and, separately, `rng.randrange(len(up))`. For a batch of row vectors,
# $W x$ is `x @ W.T`. The non-linearity is ReLU.
# </details>

# %%
from course_utils.show.exercises import adamix as exercises


def routed(x, down, up, rng):
    """The change of one batch from one pair of experts.

    Args:
        x: (..., d).
        down: (M, r, d) experts of the projection down.
        up: (M, d, r) or (1, d, r).
        rng: a random.Random.

    Returns:
        (..., d), without the residual.
    """
    raise NotImplementedError


exercises.check_routed(routed)

# %% [markdown]
# **2. The second loss (★★, 15 minutes)** From the logits of two passes.
#
# <details><summary>Hint</summary>
#
# $\mathrm{KL}(p\,\|\,q) = \sum_y p_y (\log p_y - \log q_y)$. Take `log_softmax` once for each pass;
# `.exp()` gives the probabilities. Sum over labels, mean over examples.
# </details>


# %%
def agreement_loss(p_logits, q_logits):
    """½ (KL(p‖q) + KL(q‖p)), the mean over a batch.

    Args:
        p_logits, q_logits: (n, labels).

    Returns:
        a tensor of shape ().
    """
    raise NotImplementedError


exercises.check_agreement_loss(agreement_loss)

# %% [markdown]
# **3. Merge LoRA's experts (★★, 10 minutes)** AdaMix averages $A$ and $B$, not their products.
# Write the $\Delta W$ of the LoRA that is kept. (Then think: what rank would the mean of the
# products have?)
#
# <details><summary>Hint</summary>
#
# `A.mean(0)` is $(r, \text{in})$, `B.mean(0)` is $(\text{out}, r)$. Mind $\alpha / r$.
# </details>


# %%
def merged_change(A, B, alpha):
    """ΔW of the averaged LoRA.

    Args:
        A: (M, r, in).
        B: (M, out, r).
        alpha: LoRA's α.

    Returns:
        (out, in).
    """
    raise NotImplementedError


exercises.check_merged_change(merged_change)

# %% [markdown]
# **4. Count (★, 10 minutes)** Numbers trained and numbers kept by a mixture of Pfeiffer adapters,
# biases included, in one layer of width `d` with bottleneck `r`. `share` is "up", "down" or "none".
#
# <details><summary>Hint</summary>
#
# One half down has $d r + r$ numbers, one half up $r d + d$. What is kept does not depend on $M$.
# </details>


# %%
def counts(d, r, experts, share):
    """(trained, kept) in one layer."""
    raise NotImplementedError


exercises.check_counts(counts)

# %% [markdown]
# **5. Four copies of one start (★★★, 25 minutes)** Change one thing: let all experts begin with the
# *same* numbers (after `attached(AdaMix())`, copy the first expert's tensors over the others, as
# `averaged` does with `members=[0]`). Train with two seeds. What becomes of the cosine between the
# experts, and of the accuracy? Which of AdaMix's gains need different starts, and which come from
# the second loss alone?
#
# <details><summary>Hint</summary>
#
# `averaged(attached(AdaMix(), seed), [0])` gives the copy; hand it to `train` as the function
# `trained` does. In the first step all experts are one, so the two passes differ by dropout only;
# do they stay one?
# </details>

# %% [markdown]
# ## References
#
# * Y. Wang et al. AdaMix: mixture-of-adaptations for parameter-efficient model tuning. EMNLP 2022.
#   [arXiv:2205.12410](https://arxiv.org/abs/2205.12410). Routing, consistency, merging and sharing
#   are its section on the method; the tables above are its GLUE and E2E results.
# * J. Pfeiffer et al. AdapterFusion: non-destructive task composition for transfer learning. EACL
#   2021. [arXiv:2005.00247](https://arxiv.org/abs/2005.00247)
# * E. Hu et al. LoRA: low-rank adaptation of large language models. ICLR 2022.
#   [arXiv:2106.09685](https://arxiv.org/abs/2106.09685)
# * S. Zuo et al. Taming sparsely activated transformer with stochastic experts. ICLR 2022.
#   [arXiv:2110.04260](https://arxiv.org/abs/2110.04260). THOR: routing by lot, and a consistency
#   loss.
# * X. Liang et al. R-Drop: regularized dropout for neural networks. NeurIPS 2021.
#   [arXiv:2106.14448](https://arxiv.org/abs/2106.14448)
# * M. Wortsman et al. Model soups: averaging weights of multiple fine-tuned models improves
#   accuracy without increasing inference time. ICML 2022.
#   [arXiv:2203.05482](https://arxiv.org/abs/2203.05482)

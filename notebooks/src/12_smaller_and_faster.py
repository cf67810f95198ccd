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
# # 12 · Smaller and faster
#
# <!-- badges -->
# `under 2 minutes to run` · `75 minutes to read and play` · `CPU is enough` · `works offline`

# %% [markdown]
# ## Why
#
# LoRA, adapters, prefixes: they make the part of a PLM small that is *trained* and *stored for each
# task*. Whoever asks the tuned PLM a question still computes all of its layers. On a phone, or with
# a million questions a day, that is the bill.
#
# Four ideas make the PLM itself cheaper. A small student learns from a large teacher
# (**distillation**); weights that hardly matter are removed (**pruning**); layers share their
# weights (**sharing**); and easy texts leave before the last layer (**early exit**). Each saves
# something else: parameters, bytes, or time. You will measure which.

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
# how things are done, too little to believe a difference of a few hundredths.

# %%
QUICK = True
PLM, SMALL = "pocket-bert-base", "pocket-bert-tiny"

SEEDS = (0,) if QUICK else (0, 1, 2)
TRAIN_EXAMPLES, STEPS = (1000, 100) if QUICK else (5000, 800)
STUDENT_STEPS = 100 if QUICK else 1500
PRUNING_STEPS = 30 if QUICK else 300  # of each round
TEST_EXAMPLES = 300 if QUICK else 1000

# %% [markdown]
# ## What costs what
#
# A PLM has three prices. **Parameters** say what there is to learn and to tell apart. **Bytes** are
# what lies on a disk and in memory. **Milliseconds** are what a question takes, and they come in
# two kinds: one text alone waits for the layers one after another; in a batch, the arithmetic
# counts.
#
# The task of this notebook is `pocket/snli`: does the first sentence entail the second, contradict
# it, or neither? **What do you expect:** which of the three prices does LoRA lower?

# %%
from course_utils import LoRA, attach, load_plm, load_task
from course_utils.compression import cost
from course_utils.show import Table

task = load_task("pocket/snli").subset(TEST_EXAMPLES, split="test").subset(150, split="dev")
data = task.subset(TRAIN_EXAMPLES)
few_texts = task.subset(16, split="test")


def fresh(name=PLM, seed=0, **more):
    """A PLM with a new head for the task."""
    return load_plm(name, head="classifier", labels=task.labels, device=device, seed=seed, **more)


_, tokenizer = fresh()
PRICES = {
    "parameters": "parameters", "megabytes": "MB", "single_ms": "ms, alone", "batch_ms": "ms, batch"
}  # fmt: skip


def prices(name, model, texts=few_texts):
    """A row: size and time, and the score."""
    row = cost(model, texts, tokenizer=tokenizer, name=name, texts=16)
    return {"model": name, **{PRICES[key]: row[key] for key in PRICES}, "accuracy": row["score"]}


# %%
rows = [prices(name, fresh(name)[0]) for name in (SMALL, PLM, "pocket-bert-large")]
tuned = attach(fresh()[0], LoRA(rank=8))
rows.insert(2, prices(f"{PLM} + LoRA, {tuned.count():,} trained", tuned))
for row in rows:
    del row["accuracy"]  # nothing is trained yet
Table(rows, caption=f"Size, and time per text on this machine (pocket data, {device})", digits=2)

# %% [markdown]
# LoRA lowers none of them: the numbers it trains come *on top*. (Merged, they cost nothing more.
# That is the best a parameter-efficient method can do here.) A smaller PLM lowers all three, and
# would be the answer if it were as good. How good can we make it?
#
# ## Distillation: a student and a teacher
#
# First a teacher: the larger PLM, fine-tuned as usual.

# %%
from course_utils import TrainSettings, evaluate, train


def settings(steps, rate, seed=0):
    return TrainSettings(
        steps=steps, evaluate_every=steps, keep="last", learning_rate=rate, seed=seed
    )


def accuracy(model):
    return evaluate(model, task, "test", tokenizer=tokenizer).score


teacher, _ = fresh()
train(teacher, data, tokenizer=tokenizer, settings=settings(STEPS, 3e-4))
print(f"teacher: {accuracy(teacher):.3f} on test")

# %% [markdown]
# A label says which answer is right. The teacher says more: how *wrong* each of the others is.
# Softmax with a temperature lets that be seen,
#
# $$ p_i(T) = \frac{e^{t_i / T}}{\sum_j e^{t_j / T}}, \qquad
#    \mathcal{L} = \alpha\, T^2\, \mathrm{KL}\big(p^{\text{teacher}}(T) \,\|\, p^{\text{student}}(T)\big)
#    + (1 - \alpha)\, \mathrm{CE}(p^{\text{student}}(1), y) $$
#
# with $t$ the teacher's logits. Gradients of the first term shrink like $1/T^2$, so $T^2$ puts them
# back on the scale of the second (Hinton et al., 2015).
#
# **What do you expect** at $T = 1$: how much of the probability is left for the two wrong answers?

# %%
import torch

from course_utils.show import label_bars

row = task.splits["dev"][3]
batch = tokenizer(row["premise"], row["hypothesis"], return_tensors="pt").to(device)
with torch.inference_mode():
    logits = teacher.eval()(**batch).logits[0]  # (labels,)
answers = {
    f"T = {T}": dict(zip(task.labels, (logits / T).softmax(-1).tolist(), strict=True))
    for T in (1, 3, 10)
}
label_bars(
    answers,
    right=task.labels[row["label"]],
    title=f"The teacher's answer at three temperatures\n{row['premise']} / {row['hypothesis']}",
)

# %% [markdown]
# At $T = 1$ a sure teacher says hardly more than a label. At $T = 3$ it says which of the wrong
# answers is the nearer one, and at $T = 10$ nearly nothing is left of the difference.
#
# ### Two students, two ways to learn
#
# Suppose that labels are dear and text is free: 100 examples are labelled. Beside them lie all the
# training texts, whose labels the student never sees; the teacher answers them ($\alpha = 1$). Two
# students try: the smallest pocket PLM, and **half of the teacher itself**, every second layer,
# which is how DistilBERT starts.
#
# **What do you expect?** Which student gains more from the teacher? And how far does the best stay
# behind?

# %%
from tqdm.auto import tqdm

from course_utils.compression import Distillation, distil, fewer_layers
from course_utils.show import score_dots

ONLY_TEACHER = Distillation(temperature=2.0, alpha=1.0)
HALF, TAUGHT = "half of the teacher", f"the teacher's answers to {TRAIN_EXAMPLES:,} texts"


def taught(kind, way, seed):
    """A student after its lesson, from labels or from the teacher."""
    pupil = fewer_layers(teacher, 2) if kind == HALF else fresh(SMALL, seed)[0]
    how = {"settings": settings(STUDENT_STEPS, 1e-3, seed), "progress": False}
    if way == TAUGHT:
        distil(pupil, teacher, data, tokenizer=tokenizer, method=ONLY_TEACHER, **how)
    else:
        train(pupil, data.subset(100, seed=seed), tokenizer=tokenizer, **how)
    return pupil


# %%
students, scores = {}, {}
for kind in tqdm((SMALL, HALF), desc="students"):
    scores[kind] = {}
    for way in ("100 labels", TAUGHT):
        pupils = [taught(kind, way, seed) for seed in SEEDS]
        scores[kind][way] = [accuracy(pupil) for pupil in pupils]
        students[kind] = pupils[-1]  # in the end: one that the teacher has taught
scores["for comparison"] = {f"the teacher ({PLM})": accuracy(teacher)}
score_dots(
    scores,
    majority=task.majority("test"),
    title=f"What a student learns, {task.name}\n{PLM} teaches, pocket data",
)

# %% [markdown]
# Look at the two sections for themselves. The tiny PLM was pre-trained for itself, the half teacher
# has the teacher's embeddings and two of its four layers, which were never neighbours before. What
# both have in common: a student can't be better than its capacity, and a tiny PLM may miss what
# the task needs, whoever teaches.
#
# Full size: DistilBERT has 40 % fewer parameters than BERT-base, is 60 % faster and keeps 97 % of
# its score on GLUE (Sanh et al., 2019). There the teacher taught *during pre-training*, on a large
# corpus; ours did so for one task only.
#
# ## Pruning: which weights matter?
#
# Magnitude pruning is the simplest answer: small weights do little, so set the smallest share $s$
# of all weights in the layers' maps to zero. At once, or **gradually**: a few more at a time, with
# training in between, so that the rest can take over (Han et al., 2015; Zhu and Gupta, 2018).
#
# **What do you expect?** How many of the weights can go before the score falls?

# %%
import copy

from course_utils.compression import prune, prune_gradually
from course_utils.show import score_curves

SHARES = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.9)
AFTER = (0.5, 0.7, 0.9)  # with training behind each

at_once = {}
for share in SHARES:
    model = copy.deepcopy(teacher)
    prune(model, share)
    at_once[100 * share] = accuracy(model)

pruned, gradually = copy.deepcopy(teacher), {0.0: at_once[0.0]}
how = settings(PRUNING_STEPS, 3e-4)
for share in tqdm(AFTER, desc="rounds"):
    prune_gradually(pruned, data, tokenizer=tokenizer, steps=[share], settings=how, progress=False)
    gradually[100 * share] = accuracy(pruned)

# %%
score_curves(
    {"at once": at_once, "gradually, with training": gradually},
    xlabel="weights set to zero, in per cent",
    majority=task.majority("test"),
    title=f"Magnitude pruning, {task.name}\n{PLM}, pocket data",
)

# %% [markdown]
# Up to a share the curve is flat: those weights were spare. Beyond it, the network loses what it
# can't spare, and training brings some of it back.
#
# Now the honest question. **What do you expect:** how much smaller, and how much faster, is a
# matrix most of whose entries are 0?

# %%
from course_utils.compression import sparsity
from course_utils.compression.costs import size

half = copy.deepcopy(teacher)
prune(half, 0.5)
rows = [prices("the teacher", teacher, few_texts), prices("half of its weights 0", half, few_texts)]
for row, model in zip(rows, (teacher, half), strict=True):
    del row["accuracy"]
    row["MB, zeros left out"] = size(model)["sparse_megabytes"]
Table(rows, caption=f"A pruned PLM on this machine ({PLM}, {device})", digits=2)

# %% [markdown]
# Nothing became smaller or faster. A dense matrix stores its zeros and multiplies by them. To save
# bytes, the zeros must be left out of the file (the last column: the other numbers, and one bit
# for each place), which takes less than it seems: embeddings are not pruned. To save time, the
# hardware must be able to skip them, or whole rows, heads and layers must go ("structured" pruning;
# `fewer_layers` above is one).
#
# Where did the zeros fall? Global magnitude pruning compares all weights with one another, so a map
# with small weights loses most.

# %%
from course_utils.show import heat_map

places = {}
for row in sparsity(half):
    places.setdefault(row["map"], []).append(100 * row["share"])
heat_map(
    list(places.values()),
    rows=list(places),
    columns=[f"layer {i + 1}" for i in range(len(places["query"]))],
    unit="zeros, in per cent",
    title=f"Half of the weights are gone. Whose?\n{PLM}, {task.name}",
)

# %% [markdown]
# ## Sharing: one layer, many times
#
# ALBERT (Lan et al., 2020) uses *the same* weights at every depth. ALBERT-large has 18 million
# parameters, BERT-large 334 million. (Part of that is its second idea, smaller embeddings.)
#
# **What do you expect** of the time per text? And of the score, if a PLM that was *not* pre-trained
# so gets the mean of its layers everywhere, and is then fine-tuned like the teacher?

# %%
from course_utils.compression import share_layers

shared, _ = fresh()
share_layers(shared)
train(shared, data, tokenizer=tokenizer, settings=settings(STEPS, 3e-4), progress=False)
Table(
    [prices("the teacher", teacher, task), prices("its layers shared", shared, task)],
    caption=f"Sharing, {task.name} ({PLM}, pocket data)",
)

# %% [markdown]
# Fewer parameters, the same time: each layer is still computed. What the mean of four layers has
# forgotten, so little training can't bring back; ALBERT is pre-trained with sharing from the first
# step.
#
# ## Early exit: why compute what is known?
#
# The three ideas so far treat all texts alike. But texts are not alike. Put an exit, a small
# classifier, behind every layer; when it is sure, the text leaves. How sure is it? The entropy of
# its answer tells:
#
# $$ H(p) = -\sum_i p_i \log p_i, \qquad \text{leave at layer } k \text{ if } H(p^{(k)}) < S $$
#
# Two ways to train exits. **Afterwards** (DeeBERT; Xin et al., 2020): the fine-tuned PLM is frozen,
# only the exits learn. **Together**: the PLM learns to serve all its exits at once. **What do you
# expect?** Which exits are better, the early or the late ones? And which training is better for the
# early ones?

# %%
from course_utils.early_exit import EarlyExit, ask_exits, train_exits
from course_utils.early_exit.objectives import InnerExits

together = EarlyExit(fresh()[0])
afterwards = EarlyExit(copy.deepcopy(teacher))
how = settings(STEPS, 3e-4)
train_exits(together, data, tokenizer=tokenizer, training="joint", settings=how, progress=False)
train_exits(
    afterwards, data, tokenizer=tokenizer, training=InnerExits(), settings=how, progress=False
)
exits = {"trained together": together, "added afterwards": afterwards}
asked = {name: ask_exits(one, task, "test", tokenizer=tokenizer) for name, one in exits.items()}
score_curves(
    {name: dict(enumerate(found.by_layer(), 1)) for name, found in asked.items()},
    xlabel="layer behind which everybody leaves",
    majority=task.majority("test"),
    title=f"How good is each exit? {task.name}\n{PLM}, pocket data",
)

# %% [markdown]
# Every point of a curve costs the same for all texts. The idea of early exit is to do better than
# these curves: let each text choose its own layer.
#
# ### How much can be saved?
#
# Three rules say when a text is sure: **entropy** below a threshold; **patience**, when so many
# exits in a row agree (Zhou et al., 2020); a **learned confidence**, a small network that predicts
# whether the exit is right (BERxiT; Xin et al., 2021). Whatever the rule, its threshold trades score
# for layers. All points can be had from one pass: ask all exits once, then try the thresholds.
#
# **What do you expect?** Where does the curve begin to fall?

# %%
curves = {}
for name, found in asked.items():
    for kind in ("entropy", "confidence"):
        curves[f"{kind}, {name}"] = {100 * p.saved: p.score for p in found.sweep(kind)}
score_curves(
    curves,
    xlabel="layers not computed, in per cent",
    majority=task.majority("test"),
    title=f"Score against layers saved, {task.name}\n{PLM}, pocket data",
)

# %% [markdown]
# Read it from the left. As long as a curve is level, layers are saved for nothing. (A curve may even
# rise a little: a text that leaves early can't be talked out of its right answer, "overthinking"
# in Kaya et al., 2019.) Compare rules at the same share saved, not at the same threshold.
#
# A threshold is chosen on dev, and what it promises there is checked on test: most layers saved at
# 99 % of the score.

# %%
from course_utils.early_exit import most_saved

rows = []
for name, one in exits.items():
    on_dev = ask_exits(one, task, "dev", tokenizer=tokenizer)
    for kind in ("entropy", "patience", "confidence"):
        best = most_saved(on_dev.sweep(kind), on_dev.full)
        if best is None:
            continue
        found = asked[name].at(best.rule)
        rows.append(
            {
                "exits": name,
                "rule": kind,
                "threshold": best.rule.threshold,
                "layers saved": f"{100 * found.saved:.0f} %",
                "accuracy": found.score,
                "with all layers": asked[name].full,
            }  # fmt: skip
        )
Table(rows, caption=f"Chosen on dev, measured on test ({PLM}, pocket data)")

# %% [markdown]
# ### Playground: the threshold
#
# Turn the threshold up: more texts leave early. **What do you expect** of those that leave first?
# Look for what they have in common, and for answers that are sure and wrong.

# %%
from course_utils.show import exit_playground

texts = [f"{row['premise']} / {row['hypothesis']}" for row in task.splits["test"]]
exit_playground(asked, texts, labels=task.labels)

# %% [markdown]
# ### Is it faster, too?
#
# Layers saved are not seconds saved: exits cost something themselves, and in a batch the rows that
# stay must be gathered anew. So measure both kinds of time, side by side in one run.

# %%
from course_utils.early_exit import Entropy

rows = [{**prices("all layers", together, task), "layers used": together.layers}]
for threshold in (0.3, 0.8):
    together.rule = Entropy(threshold)
    used = asked["trained together"].at(together.rule).layers
    rows.append({**prices(f"entropy < {threshold}", together, task), "layers used": used})
together.rule = None
for row in rows:
    row["times as fast, alone"] = rows[0]["ms, alone"] / row["ms, alone"]
    row["in a batch"] = rows[0]["ms, batch"] / row["ms, batch"]
    del row["parameters"], row["MB"]
Table(rows, caption=f"Time per text with exits ({PLM}, {task.name}, {device})", digits=2)

# %% [markdown]
# The layers a text does not use are really not computed; the two last columns say what that is
# worth here. (Times on a busy machine are noisy: run the cell twice.)
#
# ## Side by side

# %%
together.rule = Entropy(0.5)
everything = {
    "teacher": teacher,
    "student, tiny": students[SMALL],
    "student, half": students[HALF],
    "pruned, 90 %": pruned,
    "layers shared": shared,
    "early exit": together,
}
rows = [prices(name, model, task) for name, model in everything.items()]
together.rule = None
Table(rows, caption=f"One task, six models ({task.name}, pocket data, {device})", digits=2)

# %%
from course_utils.show import accuracy_vs_cost

accuracy_vs_cost(
    {row["model"]: (row["ms, alone"], row["accuracy"]) for row in rows},
    xlabel="milliseconds per text, alone",
    majority=task.majority("test"),
    title=f"What is the score worth? {task.name}\n{PLM} and smaller, pocket data",
)

# %% [markdown]
# Up and to the left is better. What saves *bytes* (sharing, and pruning if zeros are left out) is
# not what saves *time* (a smaller student, early exit). They can be combined, and with what you know:
# a LoRA on a distilled PLM is trained, stored *and* run for little.

# %% [markdown]
# ## Summary
#
# * Parameter-efficient methods make the trained and stored part small. The PLM behind it costs what
#   it cost.
# * Distillation: a student learns from a teacher's answers, which say more than labels and need
#   none. Its capacity is its limit.
# * Pruning: many weights can go, most with training in between. Zeros save bytes only if they are
#   not stored, time only if the hardware skips them.
# * Sharing divides the parameters and leaves the time.
# * Early exit spends layers where they are needed. The threshold trades score for time; it is
#   chosen on dev. Exits trained together with the PLM serve the early layers better, or not: look.

# %% [markdown]
# ## Exercises
#
# **1. An entropy that holds (★, 10 minutes)** From logits, without NaN.
#
# <details><summary>Hint</summary>
#
# `softmax(logits).log()` is minus infinity where a probability is 0, and 0 times infinity is not a
# number. `log_softmax` never is infinite.
# </details>

# %%
from course_utils.show.exercises import smaller_and_faster as exercises


def entropy(logits):
    """Entropy in nats of the softmax of logits.

    Args:
        logits: (B, labels).

    Returns:
        (B,).
    """
    raise NotImplementedError


exercises.check_entropy(entropy)

# %% [markdown]
# **2. The loss of a student (★★, 15 minutes)** The equation above, the mean over the batch.
#
# <details><summary>Hint</summary>
#
# `F.kl_div(input, target)` wants log-probabilities of the student first and probabilities of the
# teacher second; `reduction="batchmean"` sums over labels and averages over texts. Cross-entropy
# is at temperature 1.
# </details>


# %%
def student_loss(student, teacher, labels, T, alpha):
    """α T² KL(teacher ‖ student) + (1 - α) CE.

    Args:
        student, teacher: (B, labels) logits.
        labels: (B,) ids.
        T, alpha: numbers.

    Returns:
        a scalar.
    """
    raise NotImplementedError


exercises.check_student_loss(student_loss)

# %% [markdown]
# **3. Exactly so many zeros (★★, 15 minutes)** A mask that drops the smallest weights of a matrix:
# exactly `int(share * number of weights)` of them, also when several are equally small.
#
# <details><summary>Hint</summary>
#
# A threshold drops all equal values or none. `torch.argsort` of the flattened absolute values gives
# places; zero the first so many.
# </details>


# %%
def magnitude_mask(weight, share):
    """True where a weight stays.

    Args:
        weight: (out, in).
        share: 0 to 1.

    Returns:
        (out, in) booleans.
    """
    raise NotImplementedError


exercises.check_magnitude_mask(magnitude_mask)

# %% [markdown]
# **4. Find the bug (★★★, 20 minutes)** Patience: a text leaves at the first exit at which the last
# `patience + 1` exits agree. Here is a version that is nearly right.


# %%
def leaves_with_a_bug(answers, patience):
    """The layer (from 1) at which each text leaves; answers: (B, L) label ids of the exits."""
    left = []
    for said in answers.tolist():
        same = 0
        for layer in range(1, len(said)):
            same += said[layer] == said[layer - 1]
            if same >= patience:
                break
        left.append(layer + 1)
    return left


answers = torch.tensor([[0, 0, 0, 0, 0, 0], [0, 1, 1, 0, 0, 0], [0, 0, 1, 1, 0, 0]])
print(leaves_with_a_bug(answers, patience=2))

# %% [markdown]
# The second text leaves at layer 5, but its exits 3, 4 and 5 do not agree. Write it correctly.
#
# <details><summary>Hint</summary>
#
# What should happen to `same` when an exit disagrees with the one before?
# </details>


# %%
def leaves_at(answers, patience):
    """The layer (from 1) at which each text leaves under patience.

    Args:
        answers: (B, L) label ids, first exit first.
        patience: 1 or more; who never is sure leaves at L.

    Returns:
        a list of B layers.
    """
    raise NotImplementedError


exercises.check_leaves_at(leaves_at)

# %% [markdown]
# ## References
#
# * G. Hinton, O. Vinyals, J. Dean. Distilling the knowledge in a neural network. 2015.
#   [arXiv:1503.02531](https://arxiv.org/abs/1503.02531)
# * V. Sanh, L. Debut, J. Chaumond, T. Wolf. DistilBERT, a distilled version of BERT. 2019.
#   [arXiv:1910.01108](https://arxiv.org/abs/1910.01108)
# * S. Han, J. Pool, J. Tran, W. Dally. Learning both weights and connections for efficient neural
#   networks. NeurIPS 2015. [arXiv:1506.02626](https://arxiv.org/abs/1506.02626)
# * M. Zhu, S. Gupta. To prune, or not to prune. 2017.
#   [arXiv:1710.01878](https://arxiv.org/abs/1710.01878)
# * Z. Lan et al. ALBERT: a lite BERT for self-supervised learning of language representations.
#   ICLR 2020. [arXiv:1909.11942](https://arxiv.org/abs/1909.11942)
# * J. Xin, R. Tang, J. Lee, Y. Yu, J. Lin. DeeBERT: dynamic early exiting for accelerating BERT
#   inference. ACL 2020. [arXiv:2004.12993](https://arxiv.org/abs/2004.12993)
# * J. Xin, R. Tang, Y. Yu, J. Lin. BERxiT: early exiting for BERT with better fine-tuning and
#   extension to regression. EACL 2021.
#   [aclanthology.org/2021.eacl-main.8](https://aclanthology.org/2021.eacl-main.8)
# * W. Zhou et al. BERT loses patience: fast and robust inference with early exit. NeurIPS 2020.
#   [arXiv:2006.04152](https://arxiv.org/abs/2006.04152)
# * Y. Kaya, S. Hong, T. Dumitras. Shallow-deep networks: understanding and mitigating network
#   overthinking. ICML 2019. [arXiv:1810.07052](https://arxiv.org/abs/1810.07052)

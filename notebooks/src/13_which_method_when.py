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
# # 13 · Which method when
#
# <!-- badges -->
# `under 2 minutes to run` · `75 minutes to read and play` · `CPU is enough` · `works offline`

# %% [markdown]
# ## Why
#
# You have met a dozen methods. Tomorrow somebody asks: *we have this PLM, that many labels, this
# graphics card, and fifty tasks. What shall we do?* There is no method that is best. There are
# budgets (numbers, bytes, milliseconds, hours), there is evidence, and there is noise that looks
# like evidence.
#
# This notebook puts everything side by side: what each method costs, what it reaches, when data are
# few, when texts are of another kind, and how long it makes an answer take. At the end you should be
# able to choose, and to say why.

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
PLM = "pocket-bert-base"

SEEDS = (0,) if QUICK else (0, 1, 2, 3, 4)
TRAIN_EXAMPLES, STEPS = (400, 36) if QUICK else (2000, 400)
DATA_SIZES = (16, 64, 400) if QUICK else (16, 50, 200, 1000, 5000)
TEST_EXAMPLES = 300 if QUICK else 1000

# %% [markdown]
# ## The budget
#
# What a method trains is arithmetic. With $d$ the width of the PLM, $L$ its layers, $r$ a rank or
# bottleneck and $P$ a length:
#
# | method | trained numbers | grows with |
# |---|---|---|
# | adapter, LoRA | $\Theta(d \cdot r \cdot L)$ | width, depth, rank |
# | prefix | $\Theta(d \cdot P \cdot L)$ | width, depth, length |
# | BitFit, AdapterBias, IA3 | $\Theta(d \cdot L)$ | width, depth |
# | soft prompt | $\Theta(d \cdot P)$ | width, length |
#
# The calculator builds a PLM of the shape asked for without its numbers (on torch's "meta" device),
# and lets the method count. So the numbers are exact, and none of these PLMs is downloaded.
#
# **What do you expect** for LoRA with rank 8 on RoBERTa-large: how many per cent, how many megabytes
# for a hundred tasks, how much memory to train?

# %%
from course_utils.show import budget_playground

budget_playground("RoBERTa-large")

# %% [markdown]
# Try: the same method on BERT-base and on Llama-2-7B. The share falls as the PLM grows: width counts
# squared in the PLM and once in the method. A rank at which LoRA is as large as an adapter of
# bottleneck 64. And look at *memory to train*: once the PLM is frozen, it is nearly all the PLM
# itself, whatever the method.
#
# What the way back needs, the *activations*, comes on top of that. It grows with the batch and the
# length of the texts, not with the method's numbers, and freezing spares only a part of it: a map
# that is not trained need not keep its input, but a softmax, a norm or a GELU that gradients pass
# through must keep theirs. Soft prompts make texts longer, prefixes the attention wider.
#
# All of them at usual sizes:

# %%
from course_utils.show import Table, budget_table

budget_table("BERT-large", tasks=100)

# %% [markdown]
# What a hundred tasks take on disk, beside the PLM itself:

# %%
from course_utils.show import amount_bars
from course_utils.show.budget import choices, parameters_of, trained_by
from course_utils.show.memory import bytes_to_store, readable

kept = {}
for name, choice in choices().items():
    trained, _ = trained_by("BERT-large", name, choice.usual)
    kept[name] = 100 * bytes_to_store(trained, "float32")
plm_bytes = bytes_to_store(parameters_of("BERT-large"), "float32")

amount_bars(
    kept,
    log=True,
    limit=("the PLM, once", plm_bytes),
    write=readable,
    xlabel="bytes (each step of the axis: ten times as many)",
    title="A hundred tasks on BERT-large, float32\nwithout the PLM that they share",
)

# %% [markdown]
# The dashed line is the PLM that all the tasks share; full fine-tuning shares nothing and keeps a
# hundred of them. Adapters of bottleneck 64 are not small in this company: fifty tasks of Houlsby's
# weigh as much as the PLM.
#
# Check one line by hand. AdapterBias on BERT-large: $24 \cdot (1024 + 4096 + 1) = 122{,}904$ for the
# vectors and the maps to one number, and $25 \cdot 2 \cdot 1024 = 51{,}200$ for the norms it trains.
#
# ## Side by side
#
# The chart of the course. One task, one PLM, every method of the table, each through the same prompt,
# with the same examples and number of steps, each at the learning rate the kit starts it with.
#
# **What do you expect?** Does a method with ten times as many numbers reach more? Which will not have
# moved after so few steps?

# %%
from course_utils import PromptModel, TrainSettings, attach, evaluate, load_plm, load_task, train

_, tokenizer = load_plm(PLM)


def load(name):
    return load_task(name).subset(TEST_EXAMPLES, split="test").subset(80, split="dev")


def asking(model, task):
    """The model behind the task's first wording that was kept from the PLM."""
    prompt = next(prompt for prompt in task.prompts if prompt.held_out)
    words = {label: words[0] for label, words in prompt.words.items()}
    return PromptModel(model, tokenizer, prompt.template, words, labels=task.labels)


def learnt(method, task, examples, seed=0, rate=None):
    """A PLM with a method, trained through that wording."""
    model, _ = load_plm(PLM, device=device, seed=seed)
    asked = asking(attach(model, method, tokenizer=tokenizer, seed=seed), task)
    settings = TrainSettings(
        steps=STEPS, evaluate_every=STEPS, keep="last", seed=seed, learning_rate=rate
    )
    data = task.subset(examples, seed=seed)
    train(asked, data, tokenizer=tokenizer, settings=settings, progress=False)
    return asked


def accuracy(model, task, split="test"):
    return evaluate(model, task, split, tokenizer=tokenizer).score


# %%
from tqdm.auto import tqdm

rte, records, models = load("pocket/rte"), [], {}
USED = {"Houlsby": 8, "Pfeiffer": 8, "P-tuning v2": 10, "soft prompt": 10}
NAMES = [name for name in choices() if name != "LoRA, all places"]
for name in tqdm(NAMES, desc="methods"):
    method = choices()[name].make(USED.get(name, choices()[name].usual))
    for seed in SEEDS:
        models[name] = learnt(method, rte, TRAIN_EXAMPLES, seed)
        records.append(
            {
                "method": name,
                "trainable": models[name].model.count(),
                "score": accuracy(models[name], rte),
            }
        )

# %%
from course_utils.show import accuracy_vs_parameters

accuracy_vs_parameters(
    records,
    majority=rte.majority("test"),
    title=f"What {STEPS} steps reach, {rte.name}\n{PLM}, pocket data",
)

# %% [markdown]
# Read it with three questions. Is there *any* order from left to right? Which points stand at the
# dotted line, that is, have learnt nothing? And would you bet on the order of the others, with
# as few seeds as there are in a dot? (`python benchmarks/methods/compare.py` sets the kit's methods
# beside those of the `peft` library, in time and memory; `course claims` measures the course's claims
# with five seeds.)
#
# ### "It doesn't learn"
#
# It is among what users of P-tuning v2 ask most: why does my prefix stay where it began? Three
# answers come first: the learning rate (the authors' are hundreds of times those of full fine-tuning),
# the number of steps (up to a hundred epochs), the length. And a fourth that nobody likes: on some
# tasks vectors in front can't bring out what has to be learnt, with this PLM. To see the first answer:
# an easier task, three rates, for P-tuning v2 and for full fine-tuning. Scores are those on dev. The
# prompt alone can answer already, so here a run has learnt something when it is above *that*.
#
# **What do you expect?** Do both learn at the middle rate?

# %%
from course_utils.tuning import FullFineTuning, PTuningV2

RATES = {
    "full fine-tuning": (FullFineTuning(), (2e-5, 2e-4, 2e-3)),
    "P-tuning v2": (PTuningV2(length=10), (2e-4, 2e-3, 2e-2)),
}
reviews = load_task("pocket/sst2").subset(TEST_EXAMPLES, split="test")
reviews = reviews.subset(TEST_EXAMPLES, split="ood").subset(200, split="dev")
tried = {}
for name, (method, rates) in tqdm(RATES.items(), desc="rates"):
    for rate in rates:
        tried[name, rate] = [
            learnt(method, reviews, TRAIN_EXAMPLES, seed, rate=rate) for seed in SEEDS
        ]

# %%
from course_utils.show import score_dots

on_dev = {key: [accuracy(one, reviews, "dev") for one in made] for key, made in tried.items()}
untrained = accuracy(asking(load_plm(PLM, device=device)[0], reviews), reviews, "dev")
score_dots(
    {"the prompt alone": untrained}
    | {f"{name}, {rate:g}": scores for (name, rate), scores in on_dev.items()},
    majority=reviews.majority("dev"),
    title=f"Three learning rates each, {STEPS} steps, {reviews.name}, dev\n{PLM}, pocket data",
)

# %% [markdown]
# A comparison in which one method has its best learning rate and the other a default one compares the
# authors' patience. Give each the same number of tries, choose on dev, and report on test, once:

# %%
from statistics import fmean

rows = []
for name, (_, rates) in RATES.items():
    best = max(rates, key=lambda rate: fmean(on_dev[name, rate]))
    test = fmean(accuracy(one, reviews) for one in tried[name, best])
    rows.append({"method": name, "chosen rate": f"{best:g}", "dev": fmean(on_dev[name, best]),
                 "test": test})  # fmt: skip
Table(rows, caption=f"Chosen on dev, reported on test; {reviews.name} ({PLM}, pocket data)")

# %% [markdown]
# If the chosen rate is the smallest or the largest of the three, the search has not ended: try one
# further out.
#
# ## When data are few
#
# He et al. (2021) find adapters ahead of full fine-tuning when there are few labels, and level when
# there are many. From their table, RoBERTa:

# %%
from course_utils.show import published_table

published_table("adapter_few_labels")

# %% [markdown]
# **What do you expect** here, where all of them start from a prompt that already half knows the
# answer?

# %%
from course_utils.tuning import LoRA, SoftPrompt

WAYS = {"full fine-tuning": FullFineTuning(), "LoRA": LoRA(), "soft prompt": SoftPrompt(length=10)}
curves, last = {way: {} for way in WAYS}, {}
for size in tqdm(DATA_SIZES, desc="sizes"):
    for way, method in WAYS.items():
        made = [learnt(method, reviews, size, seed) for seed in SEEDS]
        curves[way][size] = [accuracy(one, reviews) for one in made]
        last[way] = made

# %%
from course_utils.show import score_curves

score_curves(
    curves,
    xlabel="training examples",
    log2=True,
    majority=reviews.majority("test"),
    title=f"Few examples and more, {reviews.name}\n{PLM}, pocket data",
)

# %% [markdown]
# ## When texts are of another kind
#
# A PLM that is changed little may keep what it knew. Lester et al. (2021) train T5-XXL to answer
# questions on SQuAD and ask it questions from elsewhere (F1):

# %%
published_table("soft_prompt_elsewhere")

# %% [markdown]
# Mostly gains, one large, and two losses. Ours: trained on reviews of shops and restaurants, asked
# about other things. **What do you expect** of the three?

# %%
rows = []
for way, made in last.items():
    inside, outside = (
        sum(accuracy(one, reviews, split) for one in made) / len(made) for split in ("test", "ood")
    )
    rows.append({"method": way, "as in training": inside, "another kind": outside,
                 "difference": outside - inside})  # fmt: skip
Table(rows, caption=f"{reviews.name}, {DATA_SIZES[-1]} examples ({PLM}, pocket data)")

# %% [markdown]
# ## What an answer costs
#
# After training, a method is a part of the computation, or it is not. LoRA can be merged into the
# weights; an adapter is two more maps in every layer; vectors in front make the text longer, and
# prefixes the attention wider. Measured in turns with the bare PLM, on the same texts.
#
# **What do you expect?** Which of these cost nothing, and which most?

# %%
import time
from statistics import median

import torch

texts = [row["sentence"] for row in reviews.splits["test"].select(range(16))]
batch = tokenizer(texts, return_tensors="pt", padding=True).to(device)


def ratio(model, bare, rounds=12):
    """Time of the model as a multiple of the bare PLM's, the median of pairs in turn."""
    found = []
    with torch.inference_mode():
        for _ in range(rounds + 2):
            times = []
            for one in (bare, model):
                start = time.perf_counter()
                one(**batch)
                times.append(time.perf_counter() - start)
            found.append(times[1] / times[0])
    return median(found[2:])  # the first rounds warm up


def bare_plm():
    return load_plm(PLM, device=device)[0].eval()


# %%
bare, slower = bare_plm(), {}
for name in ("Houlsby", "Pfeiffer", "LoRA", "P-tuning v2", "soft prompt"):
    method = choices()[name].make(USED.get(name, choices()[name].usual))
    tuned = attach(bare_plm(), method, tokenizer=tokenizer).eval()
    slower[name] = ratio(tuned, bare)
    if name == "LoRA":
        slower["LoRA, merged"] = ratio(tuned.merge().eval(), bare)

# %%
amount_bars(
    {"the bare PLM": 1.0, **slower},
    xlabel="time of the bare PLM",
    write=lambda value: f"{value:.2f}",
    title=f"What a method adds to an answer\n{PLM}, 16 texts at once, {device}",
)

# %% [markdown]
# (On a GPU wait for the device before each reading of the clock; `course claims --only
# merged-lora-is-free` does. A pocket PLM is small, so that fixed costs of a small module weigh more
# here than on BERT-large.)
#
# All in one place: what was measured above, and what a hundred tasks on BERT-large would take.

# %%
rows = []
for name in ("full fine-tuning", "Houlsby", "Pfeiffer", "LoRA", "P-tuning v2", "soft prompt"):
    scores = [record["score"] for record in records if record["method"] == name]
    answer = {"full fine-tuning": 1.0} | slower
    rows.append({"method": name, "trained here": models[name].model.count(),
                 f"accuracy, {rte.name}": fmean(scores),
                 "100 tasks on BERT-large": readable(kept[name]),
                 "time of an answer": f"{answer[name]:.2f} of the bare PLM's"})  # fmt: skip
Table(rows, caption=f"{STEPS} steps, {PLM}, pocket data; storage at full size, as above")

# %% [markdown]
# ## A guide
#
# No law, a place to start from. Each line says why, who showed it at full size, and which notebook
# lets you doubt it.

# %%
GUIDE = [
    ("few labels (8 to 64 a class)", "a prompt, with all of the PLM or LoRA behind it",
     "a new head must be learnt, the words are there already", "Gao 2021; Le Scao 2021", "03"),
    ("few labels, much text", "PET: prompts that label the text",
     "several patterns correct each other's errors", "Schick 2021", "04"),
    ("no labels", "instructions and examples in the text; calibrate",
     "nothing can be trained; a PLM prefers some words before it has read anything",
     "Brown 2020; Zhao 2021", "05"),
    ("many labels, one task, a card that fits it", "full fine-tuning, as the one to beat",
     "it has the most freedom, and there is one copy to keep", "Ding 2023", "06, 07"),
    ("many tasks, one PLM in memory", "LoRA, adapter, prefix or soft prompt, rows mixed",
     "the PLM is loaded once, a task is a small file", "Houlsby 2019; Lester 2021", "10, 11"),
    ("answers must be as fast as before", "LoRA, merged (one task at a time)",
     "the product of its matrices goes into the weights", "Hu 2022", "09, 13"),
    ("the PLM hardly fits the card", "QLoRA",
     "frozen weights need no exact numbers: 4 bits each", "Dettmers 2023", "09"),
    ("some score more, at the same cost later", "AdaMix around an adapter or LoRA",
     "experts are averaged into one after training", "Wang 2022", "08"),
    ("writing texts, the PLM knows the skill", "prefix tuning",
     "vectors steer all layers and leave all weights alone", "Li 2021", "10"),
    ("a PLM of many billion parameters, tiny files", "soft prompt",
     "the gap to full fine-tuning closes with size", "Lester 2021", "11"),
    ("answers must be faster than before", "early exit, a distilled student",
     "most inputs are easy; the others may go all the way up", "Xin 2020; Sanh 2019", "12"),
]  # fmt: skip
Table(
    [dict(zip(("if", "try first", "because", "shown by", "notebook"), line, strict=True))
     for line in GUIDE],
    caption="Where to begin",
)  # fmt: skip

# %% [markdown]
# And how to begin with each. Rates and sizes are those of the papers, for PLMs of 100 to 400 million
# parameters: try a third and three times of each.

# %%
BEGIN = [
    ("full fine-tuning", "1e-5 to 3e-5", "-", "3 to 10 epochs"),
    ("Houlsby, Pfeiffer", "1e-4 to 1e-3", "bottleneck 16 to 64", "more epochs than full"),
    ("LoRA", "2e-4 to 5e-4", "rank 8, alpha 16", "the head must be trained, too"),
    ("BitFit", "1e-3", "-", "the head is most of what is trained"),
    ("P-tuning v2", "5e-3 to 3e-2", "length 8 to 128, by task", "30 to 100 epochs, patience"),
    ("prefix tuning", "5e-5, with the MLP", "length 5 to 10; 200 for summaries", "5 epochs"),
    ("soft prompt", "0.3 with Adafactor", "20 to 100", "start from words"),
]
Table(
    [dict(zip(("method", "learning rate", "size", "mind"), row, strict=True)) for row in BEGIN],
    caption="First tries at full size",
)

# %% [markdown]
# ## Before you believe a number
#
# * **The majority class** stands beside every accuracy. A score that equals it is not a result.
# * **Seeds.** Draw data, head and order anew, five times at least, and give mean and spread. Compare
#   methods *in pairs*, on the same draw: much of the noise is common to both.
# * **The same tries.** As many learning rates for each method, chosen on dev, reported on test. The
#   best epoch on the set you report is a flattered number.
# * **One test set has an error of its own.** With 277 examples (RTE's dev set) and an accuracy
#   of 83 %, the 95 % interval goes $1.96 \sqrt{0.83 \cdot 0.17 / 277}$, or 4.4 points, to either side.
#   Two methods 1 point apart are not apart.
# * **Without pre-training**, the same architecture tells what the PLM was worth.

# %%
from statistics import stdev

ours = [0.842, 0.861, 0.829, 0.853, 0.848]  # five seeds of one method, made up
theirs = [0.835, 0.849, 0.828, 0.841, 0.842]  # and of another, on the same five draws
gains = [a - b for a, b in zip(ours, theirs, strict=True)]
print(
    f"ours {fmean(ours):.3f} ± {stdev(ours):.3f}, theirs {fmean(theirs):.3f} ± {stdev(theirs):.3f}"
)
half = 2.776 * stdev(gains) / len(gains) ** 0.5  # Student's t, 97.5 %, 4 degrees of freedom
print(f"in pairs: {fmean(gains):+.3f}, 95 % interval {fmean(gains) - half:+.3f} to "
      f"{fmean(gains) + half:+.3f}")  # fmt: skip

# %% [markdown]
# Side by side the two look the same, their spreads overlap. In pairs they differ: the draws that were
# hard were hard for both. The command `course claims` judges all claims of the course so.

# %% [markdown]
# ## Summary
#
# * What a method trains is arithmetic; do it before you start. The share falls as PLMs grow.
# * Memory to train is nearly the same for all that freeze the PLM: the PLM, and the activations. What
#   differs is what is kept, what an answer costs, and how long it takes until something is learnt.
# * Few labels, other kinds of text: there is evidence for small methods at full size, and it is not
#   uniform. Look at each line of a table, not at its mean.
# * A fair comparison costs more than any single run: same data, same tries, seeds, pairs, a baseline.

# %% [markdown]
# ## Exercises
#
# **1. Count by hand (★, 10 minutes)** LoRA of rank $r$ on query and value, and Pfeiffer adapters of
# bottleneck $r$, in a PLM of $L$ layers and width $d$.
#
# <details><summary>Hint</summary>
#
# LoRA has two matrices for each map, without biases. An adapter has a map down and a map up, each
# with its bias.
# </details>

# %%
from course_utils.show.exercises import which_method_when as exercises


def count(d, L, r):
    """Numbers that LoRA (query and value) and Pfeiffer train.

    Returns:
        (LoRA, Pfeiffer).
    """
    raise NotImplementedError


exercises.check_count(count)

# %% [markdown]
# **2. As large as it may be (★★, 15 minutes)** So many tasks shall fit into so many bytes beside the
# PLM, each a LoRA on query and value in float32. Which rank?
#
# <details><summary>Hint</summary>
#
# Bytes per task, divided by the bytes of rank 1, and rounded down. What if the PLM alone is too
# large?
# </details>


# %%
def largest_rank(limit, plm_bytes, tasks, d, L):
    """The largest rank with which the PLM and all tasks fit into `limit` bytes; 0 if none does."""
    raise NotImplementedError


exercises.check_largest_rank(largest_rank)

# %% [markdown]
# **3. In pairs (★★, 15 minutes)** Scores of two methods, seed by seed on the same draws: mean
# difference and its 95 % interval.
#
# <details><summary>Hint</summary>
#
# Differences first, then mean and *sample* standard deviation (divide by n - 1); half the interval
# is $t \cdot s / \sqrt{n}$.
# </details>


# %%
def paired(ours, theirs, t):
    """Mean difference and its interval.

    Args:
        ours, theirs: lists of n scores, by seed.
        t: Student's t for n - 1 degrees of freedom.

    Returns:
        (mean, low, high).
    """
    raise NotImplementedError


exercises.check_paired(paired)

# %% [markdown]
# **4. Your own case (★★★, 30 minutes)** Take a PLM, a card, a number of labels, tasks and answers per
# day from your own work. Choose a method with the calculator and the guide, write down what would
# change your mind, and which runs would tell.

# %% [markdown]
# ## References
#
# * J. He, C. Zhou, X. Ma, T. Berg-Kirkpatrick, G. Neubig. Towards a unified view of
#   parameter-efficient transfer learning. ICLR 2022.
#   [arXiv:2110.04366](https://arxiv.org/abs/2110.04366)
# * R. He et al. On the effectiveness of adapter-based tuning for pretrained language model
#   adaptation. ACL 2021. [arXiv:2106.03164](https://arxiv.org/abs/2106.03164). Few data.
# * B. Lester, R. Al-Rfou, N. Constant. The power of scale for parameter-efficient prompt tuning.
#   EMNLP 2021. [arXiv:2104.08691](https://arxiv.org/abs/2104.08691). Other domains.
# * X. Liu et al. P-tuning v2: prompt tuning can be comparable to fine-tuning universally across
#   scales and tasks. ACL 2022. [arXiv:2110.07602](https://arxiv.org/abs/2110.07602)
# * E. Hu et al. LoRA: low-rank adaptation of large language models. ICLR 2022.
#   [arXiv:2106.09685](https://arxiv.org/abs/2106.09685). Merging, and what an answer costs.
# * N. Ding et al. Parameter-efficient fine-tuning of large-scale pre-trained language models. Nature
#   Machine Intelligence 2023. [arXiv:2203.06904](https://arxiv.org/abs/2203.06904). Many methods and
#   over a hundred tasks; full fine-tuning is ahead on most.
# * T. Le Scao, A. Rush. How many data points is a prompt worth? NAACL 2021.
#   [arXiv:2103.08493](https://arxiv.org/abs/2103.08493). A prompt for a few hundred labels.
# * The other papers that the guide names are among the references of the notebook in the same line.

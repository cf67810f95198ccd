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
# # 00 · A tour of the course kit
#
# <!-- badges -->
# `about 1 minute to run` · `30 minutes to read and play` · `CPU is enough` · `works offline`

# %% [markdown]
# ## Why
#
# A pre-trained language model (PLM) has read more text than any of us. To make it do *your* task,
# two things stand in the way:
#
# 1. **Labels are scarce.** You may have 32 labelled examples, not 32,000.
# 2. **PLMs are big.** You can't keep a full copy of one for every task, and often can't even
#    train it.
#
# *Prompting* answers the first, *parameter-efficient fine-tuning* the second. This course builds
# both from small parts that you can read, run, break and repair. This notebook shows the parts.

# %% [markdown]
# ## Setup
#
# Every notebook begins with this same cell. On Colab it fetches the kit and adds packages that are
# missing; it never moves a package that is already there, least of all Colab's numpy and torch.
# Elsewhere it only checks. It ends with the seed and the device, and says what it found.

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
# ## Three ideas that carry the kit
#
# **1. Fine-tuning changes hidden representations: $h$ becomes $h + \Delta h$.** Inside a PLM, every
# token is a vector $h$, and every layer rewrites it. Fine-tuning ends in other vectors, $h +
# \Delta h$. Every method of this course is a small module that adds its own $\Delta h$ at a named
# *site* of a PLM that stays frozen: more tokens at the input, more keys and values, or a detour
# beside a weight or behind a block.

# %%
from course_utils.show import layer_diagram

layer_diagram(title="One layer of a frozen PLM, and where Δh can come from")

# %% [markdown]
# **2. Two scales, one code path.** The kit ships *pocket* models: small PLMs, pre-trained on texts
# from a small made-up world of towns, shops and weather. On a CPU they answer in milliseconds, so
# you can see every claim of the course happen. The same calls with another name load BERT, RoBERTa,
# GPT-2 or T5. **Pocket numbers show how things work; they are not results about large PLMs.** That
# is why every one of them is labelled *pocket*.
#
# **3. Homework is judged by what your code does.** Some checks you can see, some you can't; a check
# asks your code for shapes, values and gradients, not for how it is written.

# %% [markdown]
# ## Load a PLM
#
# `load_plm` gives an ordinary `transformers` model and its tokenizer. Let us load each pocket model
# and count.
#
# **What do you expect?** BERT-base has 110 million parameters, in 440 MB. How many megabytes does a
# model with one million parameters take?

# %%
from course_utils import load_plm
from course_utils.plm import POCKET_MODELS
from course_utils.show import Table
from course_utils.show.memory import bytes_to_store, readable

rows = []
for name, description in POCKET_MODELS.items():
    plm, _ = load_plm(name)
    size = plm.num_parameters()
    rows.append(
        {
            "PLM": name,
            "kind": description.split(",")[0],
            "layers": plm.config.num_hidden_layers,
            "width": plm.config.hidden_size,
            "parameters": size,
            "in float32": readable(bytes_to_store(size)),
        }
    )
Table(rows, caption="The pocket models")

# %% [markdown]
# ## Ask it with a prompt
#
# A *masked* PLM was pre-trained to fill gaps. So put the gap where the answer should stand.
#
# **What do you expect?** Which words will the model put in after a complaint about the soup? Change
# the text, and make the verdict flip with a single word.

# %%
from course_utils.show import fill_mask_playground

model, tokenizer = load_plm("pocket-bert-base", device=device)
fill_mask_playground(
    model, tokenizer, "the soup was stale and the waiter was rude . it was {mask} ."
)

# %% [markdown]
# A task gives us many such texts, with labels. `pocket/sst2` asks whether a review is positive.

# %%
from course_utils import load_task

task = load_task("pocket/sst2")
print(task.description)
examples = task.splits["test"].select(range(4))
Table([{"text": row[task.columns[0]], "label": task.labels[row["label"]]} for row in examples])

# %% [markdown]
# A **template** turns an example into a text with a gap; a **verbalizer** says which words stand for
# which label. Together they make the PLM a classifier, without any training: this is *zero-shot*.
#
# The task brings several wordings. Some were kept out of the texts the pocket models were trained on,
# word for word; we take one of those, so that a good score can't be recall of a phrase.

# %%
wording = next(i for i, prompt in enumerate(task.prompts) if prompt.held_out)
template, words, _ = task.prompts[wording]
Table([{"template": template, **{label: ", ".join(words[label]) for label in task.labels}}])

# %%
from course_utils import PromptModel
from course_utils.show import label_bars

prompted = PromptModel.for_task(model, tokenizer, task, wording)
example = examples[0]
chances = prompted.predict([example]).probabilities[0].tolist()
label_bars(
    dict(zip(task.labels, chances, strict=True)),
    title=prompted.template.render(example),
    right=task.labels[example["label"]],
)

# %% [markdown]
# One example proves nothing. `evaluate` asks all of the test set.
#
# **What do you expect?** Always saying the commonest label is right about half the time. How far
# above that does the PLM get without having seen a single label?

# %%
from course_utils import evaluate

zero_shot = evaluate(prompted, task, "test", tokenizer=tokenizer)
Table(
    [
        {"method": "always the commonest label", "accuracy": task.majority("test")},
        {"method": "zero-shot prompt", "accuracy": zero_shot.score},
    ],
    caption=f"{task.name} (pocket), {zero_shot.n} test examples",
)

# %% [markdown]
# ## Attach a method
#
# Now 16 labelled examples per class. We leave the PLM frozen and attach **LoRA** (Hu et al., 2021):
# beside the query and value weights $W$ of each layer, two thin matrices whose product $B A$ starts at
# zero,
#
# $$ h \;=\; W x + \underbrace{\tfrac{\alpha}{r} B A x}_{\Delta h}. $$
#
# `attach` does three things: freezes the PLM, places the modules, and keeps account.

# %%
from course_utils import LoRA, attach

# A fresh copy of the PLM, so that this cell can run more than once.
model, tokenizer = load_plm("pocket-bert-base", device=device)
prompted = PromptModel.for_task(model, tokenizer, task, wording)
before = prompted.predict(examples).scores
tuned = attach(model, LoRA(rank=8, alpha=16, sites=("query", "value")))
lora_parameters, all_parameters = tuned.count(), tuned.total()
print(tuned.summary())

# %% [markdown]
# **What do you expect?** $B$ is zero before training. How much does the model's output change when
# LoRA has just been attached?

# %%
with_lora = PromptModel.for_task(tuned, tokenizer, task, wording)
change = (with_lora.predict(examples).scores - before).abs().max().item()
print(f"largest change of a label score: {change}")

# %% [markdown]
# Now train, only what is not frozen. On this PLM it takes seconds.

# %%
from course_utils import TrainSettings, train

few = task.subset(per_class=16, seed=0)
settings = TrainSettings(steps=60, evaluate_every=20, learning_rate=1e-3)
result = train(with_lora, few, tokenizer=tokenizer, settings=settings)
tuned_score = evaluate(with_lora, task, "test", tokenizer=tokenizer)
print(result)

# %% [markdown]
# Every other method is used in the same way; only the name in `attach` changes. Here are two
# extremes beside LoRA: a **soft prompt** trains 5 vectors at the input, and **full fine-tuning** trains
# everything. The fewer numbers a method trains, the larger the steps they need: mind the learning rates.
#
# **What do you expect?** With 16 examples per class, which of the three wins? By how much, for how
# many parameters?

# %%
from dataclasses import replace

from course_utils import FullFineTuning, SoftPrompt

points = [
    {"method": "zero-shot", "trainable": 0, "score": zero_shot.score},
    {"method": "LoRA", "trainable": lora_parameters, "score": tuned_score.score},
]
for method, rate in ((SoftPrompt(length=5), 1e-2), (FullFineTuning(), 1e-4)):
    plm, _ = load_plm("pocket-bert-base", device=device)
    other = attach(plm, method)
    asked = PromptModel.for_task(other, tokenizer, task, wording)
    train(asked, few, tokenizer=tokenizer, settings=replace(settings, learning_rate=rate))
    score = evaluate(asked, task, "test", tokenizer=tokenizer).score
    points.append({"method": type(method).__name__, "trainable": other.count(), "score": score})

# %% [markdown]
# The course's chart: what a method reaches, against how many parameters it trains. In the grey band
# on the left stands what trains nothing. One seed and one draw of 32 examples prove little; the
# chart shows how to look, and later notebooks repeat it with several seeds.

# %%
from course_utils.show import accuracy_vs_parameters

accuracy_vs_parameters(
    points,
    majority=task.majority("test"),
    title=f"{task.name}, 16 per class, pocket-bert-base (pocket)",
)

# %% [markdown]
# What you hand to someone who has the PLM is a small file. And the PLM itself was never touched:
# detach, and it is the same again, bit for bit.

# %%
import tempfile
from pathlib import Path

with tempfile.TemporaryDirectory() as folder:
    tuned.save(folder)
    for file in sorted(Path(folder).iterdir()):
        print(f"{file.name:22} {readable(file.stat().st_size)}")

# %%
import torch

base = tuned.detach()
after = PromptModel.for_task(base, tokenizer, task, wording).predict(examples).scores
print("the PLM is the same as before:", torch.equal(before, after))

# %% [markdown]
# ## The same at full size
#
# On a machine with a GPU and a network, change the name; nothing else changes.
#
# ```python
# model, tokenizer = load_plm("roberta-large", device=device)
# tuned = attach(model, LoRA(rank=8))
# ```
#
# A folder in Hugging Face's format works in place of a name. In a terminal:
#
# ```text
# course doctor                  what works on this machine, and what to do about the rest
# course demo                    this tour and a graded class, in one go
# course run --plm FOLDER --task glue/sst2 --data FOLDER --method lora
# ```

# %% [markdown]
# ## Map
#
# | notebook | question | you will |
# |---|---|---|
# | **00** (here) | what is in the kit? | prompt a PLM, attach LoRA, detach it |
# | [**01** pre-trained language models](01_pretrained_language_models.ipynb) | what has a PLM learnt, and what stands in the way? | fill masks, continue texts, measure scarce labels, compute memory |
# | [**02** templates and verbalizers](02_templates_and_verbalizers.ipynb) | how does a gap become a classifier? | write prompts, see how far wordings differ, calibrate |
# | [**03** few-shot](03_few_shot.ipynb) | what can 16 labels do? | fine-tune through a prompt; demonstrations; prompts found by the PLM |
# | [**04** semi-supervised](04_semi_supervised.ipynb) | what are texts without labels worth? | let prompts label them and teach a classifier (PET, iPET) |
# | [**05** zero-shot](05_zero_shot.ipynb) | what if nothing may be trained on your task? | learn in context, calibrate, train on other tasks |
# | [**06** hidden representations](06_hidden_representations.ipynb) | what does fine-tuning change inside? | see $\Delta h$ by layer and token, for each method |
# | [**07** adapters](07_adapters.ipynb) | how little may be trained? | build bottlenecks, AdapterBias, BitFit; find bugs |
# | [**08** AdaMix](08_adamix.ipynb) | several adapters for the price of one? | route at random, make experts agree, average weights |
# | [**09** LoRA and QLoRA](09_lora_and_qlora.ipynb) | how low is the rank of a change? | take $\Delta W$ apart, merge it, keep weights in 4 bits |
# | [**10** prefix tuning](10_prefix_tuning.ipynb) | what do keys and values in front do? | watch attention, throw an MLP away, put tables into words |
# | [**11** soft prompts](11_soft_prompts.ipynb) | may a prompt be no words at all? | train vectors, look for their words, serve many tasks at once |
# | [**12** smaller and faster](12_smaller_and_faster.ipynb) | what makes the PLM itself cheap? | distil, prune, share layers, leave early |
# | [**13** which method when](13_which_method_when.ipynb) | which of them for my case? | compute budgets, compare fairly, choose |
# | [**14** the homework on Colab](14_homework_on_colab.ipynb) | and with a real PLM? | estimate, run, resume, compare, hand in |
#
# Notebooks stand alone: open any of them, run it from the top. All follow the same manners. Prose
# comes first, then a cell of a few lines. **What do you expect?** asks you to commit to a guess
# before you look: write it down, it is the part that teaches. Exercises have a difficulty (★ to ★★★)
# and minutes, most of them also a hint that unfolds and a self-check.
#
# ## Homework
#
# Homework comes as a notebook of its own; you find it where your course publishes it (instructors:
# `course release hw_prompt`). It names the functions to write. Visible tests sit beside them, hidden
# tests run when it is graded. Write your code between the marks, leave the test cells as they are,
# restart, run all, hand in the `.ipynb`. Your feedback page then says, check by check, what was
# expected.

# %% [markdown]
# ## Summary
#
# * A prompt uses what pre-training left in the PLM; a method adds a small $\Delta h$ to it.
# * `load_plm`, `load_task`, `PromptModel`, `attach`, `train`, `evaluate`: six names carry the course.
# * Methods are small: to save, to hand over, to take off again.

# %% [markdown]
# ## Exercises
#
# **1. How big is LoRA? (★, 5 minutes)** Write the count before you look: a PLM has `layers` layers
# of width `width`; LoRA of rank `rank` sits beside `places` square weights in each.
#
# <details><summary>Hint</summary>
#
# At one place $A$ has shape $(r, d)$ and $B$ has $(d, r)$. How many numbers are in both? The formula
# printed above is the answer for this PLM.
# </details>

# %%
from course_utils.show.exercises import tour as exercises


def lora_count(layers, width, rank, places):
    raise NotImplementedError


exercises.check_lora_count(lora_count)

# %% [markdown]
# **2. Smaller still (★, 5 minutes)** A soft prompt of 20 vectors is trained at the input, each as
# wide as the PLM. What share of the PLM's parameters is that, in per cent?
#
# <details><summary>Hint</summary>
#
# The first table has the width of pocket-bert-base, and its number of parameters.
# </details>

# %%
share_in_per_cent = ...

exercises.check_share(share_in_per_cent, 20 * model.config.hidden_size, all_parameters)

# %% [markdown]
# **3. Another rank (★★, 10 minutes)** Go back to the cell that attaches LoRA and try ranks 1, 2 and
# 32. Before each run write down the count and a guess of the accuracy. Where does a larger rank stop
# helping on this task? Run each with two more seeds (of `task.subset`) before you believe it. That
# cell loads the PLM afresh, so run it and the two behind it as often as you like.
#
# <details><summary>Hint</summary>
#
# With 32 examples, accuracy moves by a few points with the seed alone. A difference smaller than the
# spread over seeds is no difference.
# </details>

# %% [markdown]
# ## References
#
# * T. Brown et al. Language models are few-shot learners. NeurIPS 2020.
#   [arXiv:2005.14165](https://arxiv.org/abs/2005.14165)
# * P. Liu et al. Pre-train, prompt, and predict: a systematic survey of prompting methods in natural
#   language processing. ACM Computing Surveys 2023. [arXiv:2107.13586](https://arxiv.org/abs/2107.13586)
# * J. He et al. Towards a unified view of parameter-efficient transfer learning. ICLR 2022.
#   [arXiv:2110.04366](https://arxiv.org/abs/2110.04366). The picture of $h$ and $\Delta h$.
# * E. Hu et al. LoRA: low-rank adaptation of large language models. ICLR 2022.
#   [arXiv:2106.09685](https://arxiv.org/abs/2106.09685)

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
# # 05 · Zero-shot: in-context learning and multitask training
#
# <!-- badges -->
# `about 2 minutes to run` · `75 minutes to read and play` · `CPU is enough` · `works offline`

# %% [markdown]
# ## Why
#
# What if there is nothing to train with, or nothing to train *on*? Two answers change no parameter for
# your task:
#
# * **In-context learning** (GPT-3; Brown et al., 2020): put solved examples into the input of a causal
#   PLM and let it go on.
# * **Multitask prompted training** (T0, FLAN): train a PLM, once, on *many other* tasks written as
#   prompts, so that it learns to be asked. Then ask it about a task it has never been trained on.
#
# Both are easy to do and easy to misread. Here you measure what comes from the examples, what from their
# order, what from the wording, and what from chance.

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
# One switch. With `QUICK`: fewer draws, fewer test examples, shorter training.

# %%
QUICK = True
CAUSAL, MASKED = "pocket-gpt2", "pocket-bert-base"

SEEDS = (0, 1) if QUICK else (0, 1, 2, 3, 4)
DRAWS = range(3) if QUICK else range(10)  # of demonstrations
TEST_EXAMPLES = 100 if QUICK else 1000
MOST_SHOWN = 4 if QUICK else 8
CAP = 300 if QUICK else 3000  # examples of one task in multitask training, at most

# %% [markdown]
# ## One question, three ways to ask it
#
# A causal PLM guesses the next token, so the gap has to come last; whatever stood behind it is left
# out. `usable_prompts` does that to the task's wordings and drops those that can't be mended. We
# take two: one that occurs in the texts of pre-training, and one that was kept out of them. (Those
# texts also hold rows of solved examples, as the web held them for GPT-3; never in the new
# wording.)

# %%
from course_utils import load_plm, load_task
from course_utils.prompting.prompt_scores import usable_prompts
from course_utils.show import Table

gpt, tokenizer = load_plm(CAUSAL, device=device)
task = load_task("pocket/sst2").subset(TEST_EXAMPLES, split="test")
wordings = usable_prompts(task, gpt)
Table([{"wording": w.template, "kept out of pre-training": w.held_out} for w in wordings])

# %%
from course_utils.prompting import InContext, choose

read = next(wording for wording in wordings if not wording.held_out)
new = next(wording for wording in wordings if wording.held_out)
QUESTIONS = {"known wording": read.template, "new wording": new.template}
WORDS = {"negative": "bad", "positive": "good"}
SEPARATOR = " .\n"


def in_context(shown, question=read.template):
    """The causal PLM behind these demonstrations."""
    options = {"separator": SEPARATOR, "labels": task.labels}
    return InContext(gpt, tokenizer, question, WORDS, demonstrations=shown, **options)


train, test = task.splits["train"], task.splits["test"]
for how_many in (0, 1, 4):
    print(in_context(choose(train, how_many, 2, seed=1)).render(test[0]), "\n")

# %% [markdown]
# Above: *zero-shot*, *one-shot*, *few-shot*. In symbols, with $T(x, y)$ the template with the word of
# label $y$ in it and $\oplus$ for "then",
#
# $$ \hat y \;=\; \arg\max_y \; p_\theta\bigl(v(y) \mid T(x_1, y_1) \oplus \dots \oplus T(x_k, y_k)
#    \oplus T(x)\bigr). $$
#
# $\theta$ never changes.
#
# ### Playground: demonstrations
#
# **What do you expect?** Find a query whose answer turns round with (a) another draw, (b) only
# another order, (c) the labels of the examples turned round. If (c) changes nothing, what did the
# PLM learn from the examples?

# %%
from course_utils.show import in_context_playground

in_context_playground(
    gpt,
    tokenizer,
    new.template,
    WORDS,
    pool=train.select(range(200)),
    queries=test.select(range(20)),
    separator=SEPARATOR,
)

# %% [markdown]
# ## More examples, true labels, wrong labels
#
# Min et al. (2022) gave the examples of a prompt *random* labels, and large PLMs did hardly worse. So
# what do examples teach? What the texts look like, which words are answers, and the form of the whole;
# the rule itself less than one would think. We go one step further: here *every* label is wrong.
#
# **What do you expect** of a pocket PLM, in each of the two wordings? Does the curve rise with the
# number of examples? In the new wording, does it fall when all of their labels are wrong?

# %%
from tqdm.auto import tqdm


def accuracy_with(shown, question):
    """Test accuracy with these demonstrations."""
    return in_context(shown, question).predict(test).accuracy(test["label"])


def turned_round(rows):
    """The same examples, each with the other label."""
    return [{**row, "label": 1 - row["label"]} for row in rows]


zero_shot = {name: accuracy_with([], question) for name, question in QUESTIONS.items()}
curves = {name: {0: score} for name, score in zero_shot.items()}
curves["new, wrong labels"] = {0: zero_shot["new wording"]}
for how_many in tqdm((1, 2, MOST_SHOWN), desc="examples shown"):
    drawn = [choose(train, how_many, 2, seed=seed) for seed in DRAWS]
    for name, question in QUESTIONS.items():
        curves[name][how_many] = [accuracy_with(rows, question) for rows in drawn]
    wrong = [accuracy_with(turned_round(rows), QUESTIONS["new wording"]) for rows in drawn]
    curves["new, wrong labels"][how_many] = wrong

# %%
from course_utils.show import score_curves

score_curves(
    curves,
    xlabel="demonstrations in the input",
    majority=task.majority("test"),
    title=f"In-context learning, {task.name}\n{CAUSAL}, pocket data",
)

# %% [markdown]
# Read it in three steps.
#
# * *Where does a curve start?* High: the PLM has *recognised* a question it has read. Then examples
#   have little to add, and a longer input is a chance to get lost.
# * *Does it rise, and how far does it carry?* Where it rises, the PLM has made something of its
#   input. In GPT-3 the gain grew with the size of the PLM (Brown et al., 2020, figure 1.2); a
#   pocket PLM stands at the far left of that figure. Watch whether the gain of the first example
#   survives the fourth.
# * *Is the curve with wrong labels any lower?* If not, the PLM learnt nothing *from the labels*,
#   whatever it gained. The examples have shown that a verdict comes at this place, and in which
#   words. That is a finding about size, too: Wei et al. (2023) report that large PLMs do follow
#   labels turned round and small ones don't.
#
# ## Which examples?
#
# One could also choose. For each query take the examples *most similar* to it (Liu et al., 2022;
# for GPT-3 that was better than drawing). `Nearest` does it, by the cosine of sentence embeddings;
# here those of the PLM itself. And as a warning: examples of one label only.
#
# **What do you expect?** Will similar reviews help a verdict? What will the PLM say after two
# examples that are both negative?

# %%
import random

from course_utils.prompting import MeanEmbedding, Nearest

pool = train.select(range(300))
of_label = [[row for row in pool if row["label"] == label] for label in range(2)]
CHOICES = {
    "drawn, one of each label": [choose(pool, 2, 2, seed=seed) for seed in DRAWS],
    "most similar to the query": [Nearest(pool, 2, task.columns, MeanEmbedding(gpt, tokenizer))],
    "two negative ones": [random.Random(seed).sample(of_label[0], 2) for seed in DRAWS],
    "two positive ones": [random.Random(seed).sample(of_label[1], 2) for seed in DRAWS],
}
new_question = QUESTIONS["new wording"]
answered = {
    way: [in_context(shown, new_question).predict(test) for shown in several]
    for way, several in tqdm(CHOICES.items(), desc="ways to choose")
}

# %%
from IPython.display import display

from course_utils.show import score_dots

gold = test["label"]
accuracies = {way: [a.accuracy(gold) for a in found] for way, found in answered.items()}
said = {way: [sum(a.ids) / len(a.ids) for a in found] for way, found in answered.items()}
said["in truth"] = sum(gold) / len(gold)
where = f"new wording, {CAUSAL}, pocket data"
title = f"Two examples, chosen in four ways\n{where}"
display(score_dots(accuracies, majority=task.majority("test"), title=title))
display(
    score_dots(
        said,
        xlabel="share of answers that are 'positive'",
        title=f"What is said after them\n{where}",
    )
)

# %% [markdown]
# Look at the second picture first. GPT-3 leans towards the label that occurs *most* among its
# examples (Zhao et al., 2021). A PLM that takes no notice of labels can't: then the rows of
# negative and of positive examples lie no further apart than the dots *within* a row. And those
# show a bias of another kind: how far does it move the answers which two *reviews* happen to be
# shown?
#
# ## The order of examples
#
# Take *four* examples, two of each label, and only shuffle them. Nothing else changes.
#
# **What do you expect?** How far apart are the best and the worst order? In which of the two
# wordings will order matter more?

# %%
from itertools import permutations

from course_utils.prompting import Calibration

four = choose(train, 4, 2, order="by_label", seed=0)
orders = random.Random(0).sample(list(permutations(four)), 6 if QUICK else 24)
found = {name: [] for name in QUESTIONS}
for name, question in QUESTIONS.items():
    for order in tqdm(orders, desc=name):
        asked = in_context(order, question)
        answers = asked.predict(test)
        found[name].append((order, answers, Calibration.content_free(asked).apply(answers)))

# %%
score_dots(
    {
        name: {
            "as the PLM says it": [answers.accuracy(gold) for _, answers, _ in runs],
            "calibrated": [calibrated.accuracy(gold) for _, _, calibrated in runs],
        }
        for name, runs in found.items()
    },
    majority=task.majority("test"),
    title=f"Four examples in {len(orders)} orders, {task.name}\n{CAUSAL}, pocket data",
)

# %% [markdown]
# Each small dot is an order. The calibrated rows are for later.
#
# ### Where it comes from
#
# Zhao et al. (2021) name three biases of in-context learning: towards the label that occurs *most*
# among the examples, towards the one that was shown *last*, and towards words that are *common*
# anyway. The first you have just looked for (two negative ones, two positive ones); among these
# orders it can't play a role, since each has two of both. The second can be read off:
#
# **What do you expect?** How often does the PLM say *positive* after orders that end with a
# positive example, and after the others?

# %%
said = {}
for name, runs in found.items():
    said[name] = {}
    for order, answers, _ in runs:
        ending = f"last example {task.labels[order[-1]['label']]}"
        said[name].setdefault(ending, []).append(sum(answers.ids) / len(answers.ids))
    said[name]["in truth"] = sum(gold) / len(gold)
score_dots(
    said,
    xlabel="share of answers that are 'positive'",
    title=f"Does the last example weigh more?\n{CAUSAL}, pocket data",
)

# %% [markdown]
# ## Calibrate before use
#
# Whatever the bias is: ask the *same* prompt about an input that says nothing ("N/A", "[MASK]", an empty
# text), and you see it. Divide it out:
#
# $$ q(y \mid x) \;\propto\; p(y \mid x) \,/\, p(y \mid \text{content-free}) $$
#
# That is the "calibrated" row of each section above (`Calibration.content_free`). Go back and compare:
# did the mean rise, and did the dots move together? In the paper, calibration raises GPT-3's accuracy and reduces the
# variance over orders and examples. Where there is little bias, there is little to gain.
#
# **What do you expect?** The table shows the bias itself: the answer to nothing, behind one order.

# %%
rows = []
for name, question in QUESTIONS.items():
    for shown in ([], orders[0]):
        prior = Calibration.content_free(in_context(shown, question)).prior
        shares = dict(zip(task.labels, prior, strict=True))
        rows.append({"": name, "examples shown": len(shown), **shares})
Table(rows, caption="What is answered to inputs that say nothing")

# %% [markdown]
# ## Multitask prompted training
#
# In-context learning hopes that pre-training taught the PLM to be asked. **T0** (Sanh et al., 2022) and
# **FLAN** (Wei et al., 2022) teach it on purpose: take many labelled tasks, write each as several
# natural-language prompts, and train one PLM on the mixture. Then ask it about tasks it was *not*
# trained on.
#
# Two rules make that a fair test:
#
# * *Families* of tasks are held out, not data sets: who has trained on SNLI is not tested on RTE.
# * In the mixture a large task counts for more than a small one, up to a cap. Otherwise it would drown
#   the others.
#
# A masked PLM can do it as well as a causal one; here it is `pocket-bert-base`. We train on four tasks
# and ask about two of other families.
#
# **What do you expect?** The pocket PLM has *read* questions of all these kinds in pre-training, in
# most of these wordings. Can other tasks teach it anything about them? Where is there room?

# %%
from course_utils.prompting.multitask import FAMILIES

TRAINED = ("pocket/sst2", "pocket/boolq", "pocket/wic", "pocket/wsc")
UNSEEN = ("pocket/agnews", "pocket/rte")

tasks = {name: load_task(name) for name in (*TRAINED, *UNSEEN)}
Table(
    [
        {
            "task": name,
            "family": FAMILIES[one.family],
            "prompts": len(one.prompts),
            "": "trained on" if name in TRAINED else "held out",
        }
        for name, one in tasks.items()
    ]
)

# %%
from course_utils import TrainSettings
from course_utils.prompting import MultitaskSettings, train_multitask


def multitask(seed, prompts=None):
    """Train on the mixture, with the first so many prompts of each task (None: all)."""
    settings = MultitaskSettings(
        cap=CAP,
        prompts=prompts,
        examples=TEST_EXAMPLES,
        training=TrainSettings(learning_rate=1e-4),
        seed=seed,
    )
    trained, unseen = ([tasks[name] for name in names] for names in (TRAINED, UNSEEN))
    return train_multitask(MASKED, trained, unseen, settings=settings, progress=False)


runs = [multitask(seed) for seed in tqdm(SEEDS, desc="all prompts")]
print(runs[0].training)

# %% [markdown]
# Each dot below is one *prompt* of an unseen task (T0 reports all of them, too: one number per task
# would hide the spread). The wordings that the PLM had read stand apart from those that are new to
# it.
# **What do you expect?** Does training on other tasks move the dots up, or only together, and in
# which rows?


# %%
def of_kind(task_scores, new):
    """The scores of a task's wordings that are new to the PLM, or of the others."""
    pairs = zip(task_scores.scores, task_scores.held_out, strict=True)
    return [score for score, held_out in pairs if held_out == new]


sections = {}
for number, before in enumerate(runs[0].before):
    for new, kind in ((False, "known wordings"), (True, "new wordings")):
        after = [score for run in runs for score in of_kind(run.after[number], new)]
        heading = f"{before.task}, {kind}  (majority {before.majority:.2f})"
        sections[heading] = {"before": of_kind(before, new), "after": after}
score_dots(sections, title=f"Zero-shot on tasks of unseen families\n{MASKED}, pocket data")

# %% [markdown]
# ### One prompt per task, or many?
#
# T0 was better on unseen tasks, and less dependent on the wording, when each training task came in more
# wordings. **What do you expect** here?

# %%
from statistics import fmean

seeds = SEEDS[:1] if QUICK else SEEDS
few_prompts = [multitask(seed, prompts=1) for seed in tqdm(seeds, desc="1 prompt per task")]
rows = [{"trained with": "nothing (before)"}]
rows += [{"trained with": "1 prompt per task"}, {"trained with": "all prompts"}]
for number, name in enumerate(UNSEEN):
    rows[0][name] = runs[0].before[number].median
    rows[1][name] = fmean(run.after[number].median for run in few_prompts)
    rows[2][name] = fmean(run.after[number].median for run in runs)
rows[0]["mean spread"] = fmean(one.spread for one in runs[0].before)
rows[1]["mean spread"] = fmean(one.spread for run in few_prompts for one in run.after)
rows[2]["mean spread"] = fmean(one.spread for run in runs for one in run.after)
Table(rows, caption=f"Median accuracy over prompts; best less worst prompt ({MASKED}, pocket data)")

# %% [markdown]
# Be careful with what you conclude. The papers train PLMs of billions of parameters on dozens of
# data sets; FLAN reports that for its *smaller* PLMs the training made unseen tasks worse. With
# four pocket tasks and a pocket PLM, a lift on one wording and a loss on another are both ordinary;
# a wording that was answered well before can't gain much. What carries over is how it is measured:
# families held out, all prompts reported, before beside after.
#
# ## Four ways without training on your task
#
# | | needs | changes | reads per answer |
# |---|---|---|---|
# | zero-shot prompt | nothing | nothing | the query |
# | in-context learning | a few labelled examples | nothing | the examples and the query, every time |
# | calibration | nothing | the scores | a few empty inputs, once |
# | multitask training | many *other* labelled tasks | the PLM, once | the query |
#
# With a few labels *and* the right to train, look into notebooks 03 and 04 first.

# %% [markdown]
# ## Summary
#
# * In-context learning is conditioning: the examples are input, no parameter moves. They can teach the
#   form more than the rule; wrong labels are the control.
# * The choice of the examples, their order and balance, and common words bias the answer.
#   Content-free inputs show the bias, and calibration divides it out.
# * Multitask prompted training teaches a PLM to be asked. It is tested on whole families it has not
#   seen, under every prompt.
# * Both are properties of large PLMs first of all. A pocket PLM shows how they are done and measured.

# %% [markdown]
# ## Exercises
#
# **1. Write the prompt (★, 10 minutes)** In-context learning is a piece of text. Write it without
# the kit.
#
# <details><summary>Hint</summary>
#
# `question.format(**row)` fills one example in; behind it a space and `words[row["label"]]`. Then
# `separator.join(...)`, with the query, unanswered, as the last item.
# </details>

# %%
from course_utils.show.exercises import zero_shot as exercises


def few_shot_prompt(shown, query, question, words, separator):
    """What a causal PLM reads.

    Args:
        shown: solved examples, rows with "sentence" and "label", in order.
        query: a row like them; its label is not looked at.
        question: such as "{sentence} it was"; the answer comes behind it, after a space.
        words: label -> word.
        separator: stands between examples, and before the query.

    Returns:
        a text that ends where the PLM should go on.
    """
    raise NotImplementedError


exercises.check_few_shot_prompt(few_shot_prompt)

# %% [markdown]
# **2. A good order without labels (★★, 15 minutes)** Lu et al. (2022) choose an order of the
# examples without any further label: ask about some unlabelled texts and take the order whose
# *answers* are most evenly spread over the labels, by entropy. Write that number (natural
# logarithm; a label never said counts 0).
#
# <details><summary>Hint</summary>
#
# Shares first: `predictions.count(label) / len(predictions)`. The sum of $-p \ln p$ over shares above 0.
# </details>


# %%
def global_entropy(predictions, n_labels):
    """Entropy of the share of each label among the predictions.

    Args:
        predictions: list of label ids.

    Returns:
        a number, 0 when all are alike.
    """
    raise NotImplementedError


exercises.check_global_entropy(global_entropy)

# %% [markdown]
# When it works: which of the orders in `found["new wording"]` would you have chosen with it
# (`answers.ids` are the predictions), and was that a good choice?
#
# **3. Hold out a family (★, 5 minutes)** Which tasks may be trained on?
#
# <details><summary>Hint</summary>
#
# Two loops in one comprehension: over `families.items()`, and over the tasks of each.
# </details>


# %%
def train_tasks(families, held_out):
    """The tasks of all families but one.

    Args:
        families: family -> names of its tasks.
        held_out: the name of a family.
    """
    raise NotImplementedError


exercises.check_train_tasks(train_tasks)

# %% [markdown]
# **4. Mix (★, 10 minutes)** Examples-proportional mixing with a cap (Raffel et al., 2020): in what
# proportion does each task occur in the mixture?
#
# <details><summary>Hint</summary>
#
# First `min(size, most)` for each task, then divide by the sum of these.
# </details>


# %%
def mixing_rates(sizes, most):
    """Share of each task in the mixture.

    Args:
        sizes: task -> number of training examples.
        most: what a task counts for at most.

    Returns:
        task -> share; the shares sum to 1.
    """
    raise NotImplementedError


exercises.check_mixing_rates(mixing_rates)

# %% [markdown]
# **5. Labels that mean nothing (★★, 20 minutes)** The hardest question about in-context learning:
# give the labels names that say nothing, such as *gold* and *green*, so that only the examples tell
# what they stand for. Put them into `WORDS`, run that cell again and then the one with the curves.
# Does any curve rise above the majority class? What do you conclude about the curves you saw
# before? (For large PLMs Wei et al., 2023, find that it works, and the better the larger they are.)
#
# <details><summary>Hint</summary>
#
# Before you believe a rise, look at `in_context(...).predict(test).ids`: is it one answer for all?
# Try a second pair of names, and more examples (`MOST_SHOWN`). Put *bad* and *good* back
# afterwards.
# </details>

# %% [markdown]
# ## References
#
# * T. Brown et al. Language models are few-shot learners. NeurIPS 2020.
#   [arXiv:2005.14165](https://arxiv.org/abs/2005.14165). GPT-3; in-context learning.
# * T. Zhao, E. Wallace, S. Feng, D. Klein, S. Singh. Calibrate before use: improving few-shot
#   performance of language models. ICML 2021. [arXiv:2102.09690](https://arxiv.org/abs/2102.09690)
# * Y. Lu, M. Bartolo, A. Moore, S. Riedel, P. Stenetorp. Fantastically ordered prompts and where to find
#   them: overcoming few-shot prompt order sensitivity. ACL 2022.
#   [arXiv:2104.08786](https://arxiv.org/abs/2104.08786)
# * S. Min et al. Rethinking the role of demonstrations: what makes in-context learning work? EMNLP 2022.
#   [arXiv:2202.12837](https://arxiv.org/abs/2202.12837)
# * J. Liu et al. What makes good in-context examples for GPT-3? DeeLIO 2022.
#   [arXiv:2101.06804](https://arxiv.org/abs/2101.06804). The most similar examples.
# * J. Wei et al. Larger language models do in-context learning differently. 2023.
#   [arXiv:2303.03846](https://arxiv.org/abs/2303.03846). Labels turned round, labels that mean
#   nothing.
# * V. Sanh et al. Multitask prompted training enables zero-shot task generalization. ICLR 2022.
#   [arXiv:2110.08207](https://arxiv.org/abs/2110.08207). (T0)
# * J. Wei et al. Finetuned language models are zero-shot learners. ICLR 2022.
#   [arXiv:2109.01652](https://arxiv.org/abs/2109.01652). (FLAN)
# * C. Raffel et al. Exploring the limits of transfer learning with a unified text-to-text transformer.
#   JMLR 2020. [arXiv:1910.10683](https://arxiv.org/abs/1910.10683). Section 3.5.2: mixing.

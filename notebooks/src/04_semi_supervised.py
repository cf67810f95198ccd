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
# # 04 · Semi-supervised: PET and iPET
#
# <!-- badges -->
# `about 2 minutes to run` · `60 minutes to read and play` · `CPU is enough` · `works offline`

# %% [markdown]
# ## Why
#
# Labels are scarce, texts are not. Behind 20 labelled reviews there may be thousands without a
# label. A classifier trained the ordinary way can't use them.
#
# **Pattern-exploiting training** (PET; Schick & Schütze, 2021) can. Several prompts, each fine-tuned on
# the few labels, *label the unlabelled texts*; an ordinary classifier then learns from all of these.
# That also settles a question that notebook 02 left open: which of several prompts should one take?
# All of them, each with as much say as it deserves.

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
# One switch. With `QUICK`, every pattern is trained once instead of three times, for few steps, on a
# pool of a few hundred texts, with two draws of the labelled examples.

# %%
QUICK = True
PLM = "pocket-bert-base"

SEEDS = (0, 1) if QUICK else (0, 1, 2, 3, 4)
SHOTS = 8  # labelled examples per class
POOL = 240 if QUICK else 3000  # unlabelled texts
TEST_EXAMPLES = 250 if QUICK else 1000
STEPS, STUDENT_STEPS = (24, 80) if QUICK else (250, 1000)  # per pattern, and of the classifier
REPETITIONS = 1 if QUICK else 3  # of each pattern
ALPHA = 1.0 if QUICK else 0.9999  # of the loss; below 1 every step has a second batch to read

# %% [markdown]
# ## Few labels, many texts
#
# The pocket tasks have a split without labels. It matters for another reason, too: the *training* sets
# of this world use only half of its praising and blaming words, the unlabelled texts and the test set
# use all of them. As in real life, what you happened to label does not show all there is.

# %%
from course_utils import load_task
from course_utils.show import Table

task = load_task("pocket/sst2").subset(TEST_EXAMPLES, split="test").subset(100, split="dev")
task = task.subset(POOL, split="unlabelled")


def few_shot(seed):
    """The task with few labelled examples; the unlabelled texts stay."""
    return task.subset(per_class=SHOTS, seed=seed)


few = few_shot(seed=0)
Table(
    [
        {"split": name, "examples": len(rows), "labels": "label" in rows.column_names}
        for name, rows in few.splits.items()
        if name != "ood"
    ]
)

# %% [markdown]
# ## Patterns
#
# A *pattern-verbalizer pair* is what we called a prompt. PET wants several, different ones, and does
# not want you to know which is best. We give it one that the PLM has read in its texts, two that were
# kept out of them, and one that makes no sense, to see what becomes of it.

# %%
read = next(prompt for prompt in task.prompts if not prompt.held_out)
new = [prompt for prompt in task.prompts if prompt.held_out][:2]
words = {label: names[:2] for label, names in read.words.items()}
PATTERNS = {
    "read": (read.template, words),
    "new 1": (new[0].template, words),
    "new 2": (new[1].template, words),
    "nonsense": ("{mask} on friday , {sentence}", words),
}
Table(
    [
        {"pattern": name, "template": text} | {label: ", ".join(w[label]) for label in w}
        for name, (text, w) in PATTERNS.items()
    ]
)

# %% [markdown]
# ## PET in three steps
#
# 1. Each pattern $i$ is fine-tuned on the few labels. Beside the cross-entropy, PET keeps a little of
#    the pre-training task on unlabelled texts, so that the PLM does not forget how to write:
#
#    $$ \mathcal{L} \;=\; \alpha\,\mathcal{L}_\text{CE} + (1 - \alpha)\,\mathcal{L}_\text{MLM},
#       \qquad \alpha = 0.9999. $$
#
#    (With `QUICK` this second task is left out.)
#
# 2. Together they label every unlabelled text $x$. With $s_i(y \mid x)$ the logits of pattern $i$,
#
#    $$ s(y \mid x) \;=\; \frac{1}{\sum_i w_i} \sum_i w_i\, s_i(y \mid x), $$
#
#    where $w_i$ is the accuracy of pattern $i$ on the *training* set *before* training. (After
#    training, all would be nearly perfect there, and the weights would say nothing.)
# 3. A standard classifier, with a head and without any prompt, learns $\operatorname{softmax}(s / T)$
#    with temperature $T = 2$. This is *distillation*: it learns how sure its teachers were, not only
#    what they said.
#
# **What do you expect?** Which weights will the four patterns get? Note them down.

# %%
from course_utils import TrainSettings
from course_utils.prompting import PETSettings, train_pet

SETTINGS = PETSettings(
    repetitions=REPETITIONS,
    alpha=ALPHA,
    pattern=TrainSettings(steps=STEPS, evaluate_every=STEPS, keep="last", learning_rate=1e-4),
    classifier=TrainSettings(steps=STUDENT_STEPS, evaluate_every=STUDENT_STEPS, keep="last"),
)
pet = train_pet(PLM, few, patterns=list(PATTERNS.values()), settings=SETTINGS, progress=False)
names = list(PATTERNS)
Table(
    [
        {
            "pattern": names[member.pattern],
            "weight (train, before)": member.weight,
            "dev, after training": member.dev_score,
        }
        for member in pet.members
    ],
    caption=f"The teachers: {task.name}, {SHOTS} labels per class ({PLM}, pocket data)",
)

# %% [markdown]
# Compare with your notes, and mind what a weight of 0.5 means here. There are two labels: a pattern
# that always gives the same answer still has half the say of a perfect one. With many labels, or
# with labels of which one is rare, that is another matter. And look at *dev*: training may turn
# nonsense into a decent teacher, but its weight was fixed before.
#
# With an `output` folder, `train_pet` goes on where it was interrupted: Colab may close on you in the
# middle of the third pattern.
#
# ### Soft labels
#
# **What do you expect?** Where do the teachers disagree, and does the weighted mean follow the majority
# of them?

# %%
import torch

from course_utils.show import heat_map

first = [member for member in pet.members if member.repetition == 0]
votes = torch.stack([member.logits.softmax(-1)[:, 1] for member in first])  # (teachers, n)
odd = votes.std(dim=0).topk(8).indices.tolist()  # the texts they disagree on most
texts = few.splits["unlabelled"]["sentence"]
soft = pet.soft_labels.softmax(-1)[:, 1]  # (n,) what was agreed on
grid = [[*votes[:, at].tolist(), soft[at].item()] for at in odd]
heat_map(
    grid,
    rows=[f"text {number}" for number in range(1, len(odd) + 1)],
    columns=[*(names[member.pattern] for member in first), "all, weighted"],
    title=f"Probability of {task.labels[1]}, texts the teachers disagree on\n{PLM}, pocket data",
)

# %%
Table([{"": f"text {number}", "sentence": texts[at]} for number, at in enumerate(odd, 1)])

# %% [markdown]
# The weighted mean is no secret; here it is by hand. Should it not agree, one of us is wrong.

# %%
weights = torch.tensor([member.weight for member in pet.members])
logits = torch.stack([member.logits for member in pet.members])  # (teachers, n, n_labels)
by_hand = (weights[:, None, None] * logits).sum(dim=0) / weights.sum()
print(f"largest difference: {(by_hand - pet.soft_labels).abs().max():.1e}")

# %% [markdown]
# ### Playground: teachers and temperature
#
# Turn a teacher's weight to 0 and it is not heard. Turn the temperature up and the student is told less
# about who won and more about how close it was. **What do you expect** at temperature 10, and at 0.5?

# %%
from course_utils.show import soft_label_playground

soft_label_playground(
    {names[member.pattern]: member.logits[odd] for member in first},
    {names[member.pattern]: round(member.weight, 2) for member in first},
    [texts[at] for at in odd],
    task.labels,
)

# %% [markdown]
# ### Why a temperature?
#
# Fine-tuned PLMs are often very sure of themselves, even where they are wrong. A soft label that says
# 99.9 % is a hard one. The loss is
#
# $$ \mathcal{L}_\text{student} \;=\; T^2\;\mathrm{KL}\bigl(\operatorname{softmax}(s / T)\,\|\,
#    \operatorname{softmax}(z / T)\bigr) $$
#
# with $z$ the student's logits; $T^2$ keeps the gradients as large as those of ordinary labels.
#
# **What do you expect?** How many texts does the ensemble label with more than 99 % certainty, at which
# temperature?

# %%
from course_utils.show import score_curves

temperatures = (0.5, 1, 2, 4, 8)
sure = {
    f"more than {level:.0%} sure": {
        t: ((pet.soft_labels / t).softmax(-1).max(-1).values > level).float().mean().item()
        for t in temperatures
    }
    for level in (0.99, 0.9)
}
score_curves(
    sure,
    xlabel="temperature",
    ylabel="share of the texts",
    log2=True,
    title=f"What the student is told, {task.name}\n{PLM}, pocket data",
)

# %% [markdown]
# ## iPET: generations
#
# PET's teachers never learn from each other. In **iPET** they do, in generations. Each model of the next
# generation gets a larger training set: the original examples plus texts that a random quarter of the
# *other* models has labelled. The set grows five times with every generation, keeps the proportions of
# the labels, and takes the texts its teachers are surest of more often.
#
# **What do you expect?** Mistakes of one generation are taught to the next. Will the models get better
# or worse?

# %%
from dataclasses import replace

GENERATIONS = 2 if QUICK else 3
ipet = train_pet(
    PLM,
    few,
    patterns=list(PATTERNS.values()),
    settings=replace(SETTINGS, generations=GENERATIONS),
    progress=False,
)
Table(
    [
        {
            "pattern": names[then.pattern],
            "first generation learns from": then.train_examples,
            "dev, first": then.dev_score,
            "last generation learns from": now.train_examples,
            "dev, last": now.dev_score,
        }
        for then, now in zip(pet.members, ipet.members, strict=True)
    ],
    caption=f"{task.name}, {GENERATIONS} generations ({PLM}, pocket data)",
)

# %% [markdown]
# Look at the row of *nonsense*: what could its own few labels teach it, and what could the others?
#
# (The pool sets a limit: with growth 5, the third generation of iPET wants 25 times the labelled set,
# and takes what there is.)
#
# ## What was it worth?
#
# Five ways to a classifier *without* a prompt, from the same PLM:
#
# * **supervised**: a head, trained on the few labelled examples;
# * **one teacher**: the student learns from the pattern *new 1* alone;
# * **PET** and **iPET**;
# * **all labels**: a head, trained on as many examples *with* true labels as the pool has texts. That is
#   what the unlabelled texts could be worth at best. (It has seen half of the words only, remember.)
#
# **What do you expect?** Sort the five before you run the cell; while it trains, say why.


# %%
from course_utils import evaluate, load_plm, train


def supervised(data, seed):
    """Test accuracy of a head trained on the labelled examples of `data`."""
    model, tokenizer = load_plm(
        PLM, head="classifier", labels=task.labels, device=device, seed=seed
    )
    settings = replace(SETTINGS.classifier, seed=seed)
    train(model, data, tokenizer=tokenizer, settings=settings, progress=False)
    return evaluate(model, task, "test", tokenizer=tokenizer).score


def taught(seed, patterns, generations=1):
    """PET or iPET with these patterns on the seed's draw of labels."""
    settings = replace(SETTINGS, generations=generations, seed=seed)
    chosen = [PATTERNS[name] for name in patterns]
    return train_pet(PLM, few_shot(seed), patterns=chosen, settings=settings, progress=False)


def of_student(result):
    """Test accuracy of what was distilled."""
    return evaluate(result.model, task, "test", tokenizer=result.tokenizer).score


# %%
from tqdm.auto import tqdm


def scored(way, seed):
    """Test accuracy of one of the five ways, on the seed's draw of labels."""
    if way == "supervised":
        return supervised(few_shot(seed), seed)
    if way == "all labels":
        return supervised(task.subset(POOL, seed=seed), seed)
    if way != "one teacher" and seed == SEEDS[0]:  # these two were trained above
        return of_student({"PET": pet, "iPET": ipet}[way])
    patterns = ["new 1"] if way == "one teacher" else PATTERNS
    return of_student(taught(seed, patterns, GENERATIONS if way == "iPET" else 1))


results = {way: [] for way in ("supervised", "one teacher", "PET", "iPET", "all labels")}
for seed in SEEDS:
    for way in tqdm(results, desc=f"draw {seed}"):
        results[way].append(scored(way, seed))

# %%
from course_utils.show import score_dots

score_dots(
    results,
    majority=task.majority("test"),
    title=f"{SHOTS} labels per class, {POOL} texts: {task.name}\n{PLM}, pocket data",
)

# %% [markdown]
# Read it like this. First the small dots: how far does *supervised* fall apart from one draw of
# labels to the next? That, too, is what the other ways are for.
#
# PET against *supervised*: what the unlabelled texts and the prompts gave together. PET against
# *one teacher*: what three more teachers gave, nonsense included; mind that one of them asks in a
# wording it has read, so this is not the ensemble alone. iPET against PET: what the generations
# gave; with a pool and steps as small as these, do not expect the paper's gains. *All labels* is no
# limit here: a student above it has been told about words that no labelled example contains.
#
# And how good is each pattern with no label at all? Where that is as good as PET, mind that the
# pocket PLM has *read* that very wording. Without such luck you would have had one of the two new
# ones: that is what PET should be compared with.

# %%
from course_utils import PromptModel

rows = []
plm, tokenizer = load_plm(PLM, device=device)
for name, (text, label_words) in PATTERNS.items():
    asked = PromptModel(plm, tokenizer, text, label_words, labels=task.labels)
    rows.append({"pattern": name, "zero-shot": evaluate(asked, task, tokenizer=tokenizer).score})
Table(rows, caption=f"{task.name}, test, no label used at all ({PLM}, pocket data)")

# %% [markdown]
# ## Summary
#
# * PET turns prompts into teachers: patterns fine-tuned on few labels label many texts, a standard
#   classifier learns from the soft labels. At test time there is no prompt and no ensemble left.
# * A teacher's weight is its training accuracy *before* training: a pattern the PLM does not understand
#   has less say, and nobody needs to choose the best pattern.
# * The temperature keeps in the labels how sure the teachers are.
# * iPET lets teachers teach each other with growing sets. It amplifies what is there, right or wrong.

# %% [markdown]
# ## Exercises
#
# **1. Soft targets (★, 10 minutes)** Many teachers' logits in, one distribution per text out.
#
# <details><summary>Hint</summary>
#
# `weights.view(-1, 1, 1)` stretches over texts and labels. Sum over dimension 0, divide by the sum of
# the weights, then by the temperature, then softmax over the last dimension.
# </details>

# %%
from course_utils.show.exercises import semi_supervised as exercises


def soft_targets(logits, weights, temperature):
    """What the student is taught.

    Args:
        logits: (teachers, n, n_labels).
        weights: (teachers,) not negative; their sum need not be 1.

    Returns:
        (n, n_labels) probabilities.
    """
    raise NotImplementedError


exercises.check_soft_targets(soft_targets)

# %% [markdown]
# **2. The student's loss (★★, 15 minutes)** $T^2$ times the KL divergence from the student to its
# teacher, the mean over texts.
#
# <details><summary>Hint</summary>
#
# $\mathrm{KL}(q \| p) = \sum_y q_y (\log q_y - \log p_y)$, with $q$ the teacher's softened
# probabilities. `log_softmax` keeps large logits finite.
# </details>


# %%
def distillation_loss(student, teacher, temperature):
    """T² KL(teacher || student).

    Args:
        student, teacher: (n, n_labels) logits.

    Returns:
        a number or a tensor of shape ().
    """
    raise NotImplementedError


exercises.check_distillation(distillation_loss)

# %% [markdown]
# **3. How fast do sets grow? (★, 5 minutes)** The sizes of the training sets of iPET's generations, the
# first included, in a pool without end.
#
# <details><summary>Hint</summary>
#
# The first generation has the labelled examples. Each further one has `growth` times as many as the
# one before.
# </details>


# %%
def set_sizes(examples, growth, generations):
    """A list with the number of training examples in each generation."""
    raise NotImplementedError


exercises.check_set_sizes(set_sizes)

# %% [markdown]
# **4. A voice for nonsense (★★, 15 minutes)** Write a pattern that you think the PLM can't understand,
# and work out the weight PET would give it. Was it nonsense to the PLM, too? (Try `{sentence} on
# friday there is {mask} .` before you answer.) What does that say about weighing by accuracy, when
# there are two labels and few examples?
#
# <details><summary>Hint</summary>
#
# Load a fresh PLM, make a `PromptModel` with your pattern and `words`, and ask it about
# `few.splits["train"]`: `.predict(rows).accuracy(rows["label"])`.
# </details>

# %%
nonsense = ...
weight = ...

exercises.check_pattern_weight(weight, nonsense, plm, tokenizer, words, few)

# %% [markdown]
# ## References
#
# * T. Schick, H. Schütze. Exploiting cloze questions for few shot text classification and natural
#   language inference. EACL 2021. [arXiv:2001.07676](https://arxiv.org/abs/2001.07676). PET and iPET;
#   sections 3.2 to 3.4 are the three steps and the generations.
# * T. Schick, H. Schütze. It's not just size that matters: small language models are also few-shot
#   learners. NAACL 2021. [arXiv:2009.07118](https://arxiv.org/abs/2009.07118). PET beside GPT-3.
# * G. Hinton, O. Vinyals, J. Dean. Distilling the knowledge in a neural network. 2015.
#   [arXiv:1503.02531](https://arxiv.org/abs/1503.02531). The temperature and its square.
# * D.-H. Lee. Pseudo-label: the simple and efficient semi-supervised learning method for deep neural
#   networks. ICML workshop 2013. The ancestor of iPET's generations.
# * A. Wang et al. SuperGLUE: a stickier benchmark for general-purpose language understanding systems.
#   NeurIPS 2019. [arXiv:1905.00537](https://arxiv.org/abs/1905.00537)

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
# # 11 · Soft prompts
#
# <!-- badges -->
# `under 2 minutes to run` · `75 minutes to read and play` · `CPU is enough` · `works offline`

# %% [markdown]
# ## Why
#
# A prompt in words is a row of points: each word is one of some thousand vectors that the PLM's
# embedding table has. Whoever writes a prompt chooses among these points, by hand or by search, and
# notebook 02 showed how much the choice matters. But the layers above never see a word. They see
# vectors. So why not choose *any* vectors, and let gradients find them?
#
# That is a **soft prompt** (Lester et al., 2021; Liu et al., 2021): $P$ vectors in front of the
# input, the PLM frozen, nothing else. It is the smallest of all methods of this course that train
# anything, the easiest to store, and the one whose results are hardest to read. You will train
# some, and ask what they say.

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
# One switch. With `QUICK` there are two seeds, little training and few test examples: enough to see
# how things are done, too little to believe a difference of a few hundredths.

# %%
QUICK = True
PLM = "pocket-bert-base"
SIZES = ("pocket-bert-tiny", PLM) if QUICK else ("pocket-bert-tiny", PLM, "pocket-bert-large")

SEEDS = (0, 1) if QUICK else (0, 1, 2, 3, 4)
TRAIN_EXAMPLES, STEPS = (500, 32) if QUICK else (2000, 400)
CANDIDATES = 20 if QUICK else 200  # words tried at each place, when words are searched
TEST_EXAMPLES = 300 if QUICK else 1000

# %% [markdown]
# ## A word is a point
#
# $$ [\,p_1, \dots, p_P\,;\; E(x_1), \dots, E(x_T)\,] \qquad p_i \in \mathbb{R}^d $$
#
# is all there is to it: $P \cdot d$ numbers before the word embeddings $E(x)$. A *hard* prompt is the
# special case in which every $p_i$ is a row of $E$. So let us start with a soft prompt that *is* a hard
# one: its vectors are copies of the embeddings of some words.
#
# **What do you expect?** The PLM reads the words; then it reads a text behind a soft prompt that was
# copied from them. By how much do the two answers differ?

# %%
import torch

from course_utils import SoftPrompt, attach, load_plm
from course_utils.show import Table

plm, tokenizer = load_plm(PLM, device=device)
plm.eval()
WORDS_IN_FRONT = "a review of a shop :"
TEXT = f"the soup was fresh . it was {tokenizer.mask_token} ."
front = tokenizer(WORDS_IN_FRONT, add_special_tokens=False)["input_ids"]
text = tokenizer(TEXT)["input_ids"]
P = len(front)

with torch.inference_mode():
    ids = torch.tensor([front + text], device=device)  # (1, P + T)
    by_words = plm(input_ids=ids).logits[0, P:]  # (T, V)
    tuned = attach(plm, SoftPrompt(length=P, init="text", text=WORDS_IN_FRONT), tokenizer=tokenizer)
    by_vectors = tuned.eval()(input_ids=ids[:, P:]).logits[0]  # (T, V)
print(f"{tuned.count():,} numbers in front, {P} x {plm.config.hidden_size}")
print(f"largest difference of a logit: {(by_words - by_vectors).abs().max():.1e}")
plm = tuned.detach()

# %% [markdown]
# None at all, or a rounding error's worth. The vectors stand exactly where word embeddings stand; the
# PLM then adds positions and a norm to them, as it does to words.
#
# ### A bug that trains
#
# "Where word embeddings stand" is easily said. BERT's embedding *module* does three things: look up
# the words, add positions, normalise. Whoever puts its *output* in front and hands all of it to the
# PLM as `inputs_embeds` has positions and norm applied twice. No error is raised, and the model
# even learns something. It has happened in published code.

# %%
from course_utils.plm import sites

lookup = sites(plm).embeddings[0].module  # the table of words alone, (V, d)
gap = P + text.index(tokenizer.mask_token_id)
with torch.inference_mode():
    said = {
        "word ids": plm(input_ids=ids).logits,
        "the words' embeddings": plm(inputs_embeds=lookup(ids)).logits,
        "embedded twice": plm(inputs_embeds=plm.bert.embeddings(input_ids=ids)).logits,
    }
rows = [
    {
        "given to the PLM": name,
        "largest difference of a logit": float((one - said["word ids"]).abs().max()),
        "first in the gap": tokenizer.decode([int(one[0, gap].argmax())]),
    }
    for name, one in said.items()
]
Table(rows, caption=f"One text, three ways in ({PLM})")

# %% [markdown]
# ## Words by hand, words by search, no words
#
# The task is a verdict on reviews. The question behind them is fixed, in a wording that was kept
# out of the pocket PLM's pre-training. What stands in *front* is the experiment:
#
# * nothing;
# * three words of ours, or three words **found by search**: place by place, some words are drawn
#   from the vocabulary, and the one with the lowest training loss stays;
# * a **soft prompt** of three vectors, or of ten. And for comparison, full fine-tuning.
#
# Search and soft prompt move in the same space. One may stand on points only, the other anywhere.
# **What do you expect?** How much is "anywhere" worth?

# %%
from course_utils import FullFineTuning, PromptModel, TrainSettings, evaluate, load_task, train

task = load_task("pocket/sst2").subset(TEST_EXAMPLES, split="test").subset(80, split="dev")
task = task.subset(TRAIN_EXAMPLES)


def question(task):
    """The task's first wording that was kept out of pre-training, with one word for each label."""
    prompt = next(prompt for prompt in task.prompts if prompt.held_out)
    return prompt.template, {label: words[0] for label, words in prompt.words.items()}


def asked(method, seed=0, name=PLM, task=task):
    """A PLM with a method, behind the question."""
    model, tokenizer = load_plm(name, device=device)
    tuned = attach(model, method, tokenizer=tokenizer, seed=seed)
    return PromptModel(tuned, tokenizer, *question(task), labels=task.labels)


def accuracy(model, task=task):
    return evaluate(model, task, "test", tokenizer=tokenizer).score


print(*question(task))

# %%
from tqdm.auto import tqdm

from course_utils.show.vectors import whole_words


def vectors_of(model):
    """The soft prompt itself, (P, d)."""
    (weight,) = (p for p in model.parameters() if p.requires_grad)
    return weight


@torch.no_grad()
def search_words(places, seed):
    """A soft prompt whose vectors are words, found place by place on 48 training examples."""
    model = asked(SoftPrompt(length=places), seed).eval()
    weight, known = vectors_of(model), torch.tensor(list(whole_words(tokenizer)))
    few = [model.encode(row) for row in task.splits["train"].select(range(48))]
    batch = {name: value.to(device) for name, value in model.collator()(few).items()}
    draw = torch.Generator().manual_seed(seed)
    for place in range(places):
        losses = {}
        for word in known[torch.randperm(len(known), generator=draw)[:CANDIDATES]].tolist():
            weight[place] = lookup.weight[word]
            losses[word] = float(model(**batch).loss)
        weight[place] = lookup.weight[min(losses, key=losses.get)]
    return model


# %%
def learnt(method, rate, seed=0, name=PLM, task=task):
    """A trained model, and its dev accuracy after each quarter of the steps."""
    model = asked(method, seed, name, task)
    settings = TrainSettings(
        steps=STEPS, evaluate_every=max(1, STEPS // 4), learning_rate=rate, seed=seed, keep="last"
    )
    made = train(model, task, tokenizer=tokenizer, settings=settings, progress=False)
    return model, {entry["step"]: entry["dev_score"] for entry in made.history}


RATE, FULL_RATE = 3e-2, 2e-4
bare = PromptModel(plm, tokenizer, *question(task), labels=task.labels)
ours = asked(SoftPrompt(length=3, init="text", text="a review :"))
scores = {"nothing in front": [accuracy(bare)], "3 words of ours": [accuracy(ours)]}
found = [search_words(3, seed) for seed in tqdm(SEEDS, desc="searches")]
scores["3 words, searched"] = [accuracy(model) for model in found]
trained = {}
for length in (3, 10):
    for seed in tqdm(SEEDS, desc=f"{length} vectors"):
        trained[length, seed] = learnt(SoftPrompt(length=length), RATE, seed)
    scores[f"{length} vectors"] = [accuracy(trained[length, seed][0]) for seed in SEEDS]
full = [learnt(FullFineTuning(), FULL_RATE, seed)[0] for seed in tqdm(SEEDS, desc="full")]
scores["full fine-tuning"] = [accuracy(model) for model in full]

# %%
from course_utils.show import score_dots

score_dots(
    scores,
    majority=task.majority("test"),
    title=f"What stands in front of the question, {task.name}\n{PLM}, pocket data",
)

# %% [markdown]
# Compare in this order: words of ours with nothing (a guess may do harm), searched words with ours
# (search is patient), vectors with words (the same places, but free), and full fine-tuning with all
# of them. Then look at what each trains: 3 vectors are 384 numbers here.
#
# ## Where to start
#
# Gradients need a place to start from, and vectors are far from one another in this space. Lester et
# al. compare three: **random** numbers; random rows of the **vocabulary**, since a place where words
# are can't be too bad; the **label words**, since the answers are at least about the right thing. A
# fourth is any **text** that fits the task. They find label words best, then the vocabulary, and
# that the differences vanish for the largest PLM.
#
# **What do you expect?** Will the four curves be apart from the start, or only later?

# %%
STARTS = {
    "random": SoftPrompt(length=10, init="random"),
    "label words": SoftPrompt(length=10, init="labels", words=tuple(question(task)[1].values())),
    "a text": SoftPrompt(length=10, init="text", text="is this review good or bad ?"),
}
curves = {"vocabulary": {}, **{name: {} for name in STARTS}}
runs = [trained[10, seed][1] for seed in SEEDS]
curves["vocabulary"] = {step: [run[step] for run in runs] for step in runs[0]}
for name, method in tqdm(STARTS.items(), desc="starts"):
    runs = [learnt(method, RATE, seed)[1] for seed in SEEDS]
    curves[name] = {step: [run[step] for run in runs] for step in runs[0]}

# %%
from course_utils.show import score_curves

score_curves(
    curves,
    xlabel="step",
    ylabel="accuracy on dev",
    majority=task.majority("dev"),
    title=f"Where a soft prompt starts, {task.name}\n{PLM}, pocket data",
)

# %% [markdown]
# If the curves lie within each other's dots, believe none of their order: with this few seeds only
# a large difference counts. The command `course claims --only soft-prompt-starts` measures it with
# more.
#
# ## What do the vectors say?
#
# It is tempting to *read* a soft prompt: take each vector, and look for the nearest word. So let us
# watch one being trained, with the loop written out for once, and keep a copy on the way.

# %%
from torch.utils.data import DataLoader

model = asked(SoftPrompt(length=5, init="text", text="is this good or bad"))
vectors = vectors_of(model)
features = [model.encode(row) for row in task.splits["train"]]
batches = DataLoader(features, batch_size=16, shuffle=True, collate_fn=model.collator())
optimizer = torch.optim.AdamW([vectors], lr=RATE, weight_decay=0)
snapshots, at_step = {0: vectors.detach().clone()}, {}


def on_dev():
    return evaluate(model, task, "dev", tokenizer=tokenizer).score


at_step[0] = on_dev()
for step in tqdm(range(1, STEPS + 1), desc="steps"):
    model.train()
    batch = {name: value.to(device) for name, value in next(iter(batches)).items()}
    model(**batch).loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    if step % max(1, STEPS // 8) == 0:
        snapshots[step], at_step[step] = vectors.detach().clone(), on_dev()
last = max(snapshots)

# %% [markdown]
# **What do you expect** of the nearest words after training: words about taste and quality, the
# words it started from, or anything?

# %%
from course_utils.show import nearest_words

start, end = (nearest_words(snapshots[s], lookup.weight, tokenizer, k=3) for s in (0, last))
size = lookup.weight.detach().norm(dim=-1).mean()
rows = [
    {
        "place": place + 1,
        "started from": start[place][0][0],
        "nearest now": ", ".join(f"{word} {cosine:.2f}" for word, cosine in end[place]),
        "moved by": float((snapshots[last] - snapshots[0])[place].norm() / size),
    }
    for place in range(len(start))
]
Table(rows, caption=f"Nearest words by cosine; way in lengths of a mean word ({PLM})", digits=2)

# %%
from course_utils.show import vector_map

vector_map(
    [snapshots[step] for step in sorted(snapshots)],
    lookup.weight,
    tokenizer,
    words=("good", "terrible", "soup", "the", "yes", "seven"),
    title=f"Five vectors on their way, {task.name}\n{PLM}, pocket data",
)

# %% [markdown]
# Open circles are where the vectors started, full ones where they are now; two directions of 128 are
# drawn. Are the ways long or short, compared with the distances between words? Did the vectors go
# *to* words?
#
# ### Playground: one vector, step by step
#
# Try: a place whose nearest word changes, and one where it stays. Does the accuracy change when the
# nearest word does?

# %%
from course_utils.show import vector_playground

vector_playground(snapshots, lookup.weight, tokenizer, at_step)

# %% [markdown]
# Now the test of such readings. If the nearest words *meant* what the vectors do, we could put them
# in the vectors' places, and the PLM would answer about as well. **What do you expect?**


# %%
def with_vectors(values):
    """Test accuracy with other vectors in the prompt's places."""
    kept = vectors.detach().clone()
    with torch.no_grad():
        vectors.copy_(values)
        score = accuracy(model)
        vectors.copy_(kept)
    return score


number = {word: i for i, word in whole_words(tokenizer).items()}
nearest = lookup.weight[[number[words[0][0]] for words in end]]
rows = [
    {"in front": "the words it started from", "accuracy": with_vectors(snapshots[0])},
    {"in front": "the trained vectors", "accuracy": with_vectors(snapshots[last])},
    {"in front": "their nearest words", "accuracy": with_vectors(nearest)},
]
Table(rows, caption=f"Vectors, and the words nearest to them, {task.name} ({PLM}, pocket data)")

# %% [markdown]
# Lester et al. report nearest words that form clusters of sense, label words among them. Khashabi et
# al. (2022) show the other side: for *any* text one can find a soft prompt that is close to its words
# and solves a task well, a task that the text is not about. Nearness is not meaning. Say
# "nearest words", not "the prompt says".
#
# ## Vectors from a network
#
# P-tuning (Liu et al., 2021; "v1", since notebook 10 met v2) does not train the vectors themselves,
# but a small network that makes them: an LSTM over the places, so that they know of one another. As
# with the MLP of prefix tuning, only its output is kept.
#
# **What do you expect** of the number of trained parameters, during training and after?

# %%
from course_utils.tuning import PTuning, finished

made, _ = learnt(PTuning(length=10), 3e-3)
plain = trained[10, 0][0]
rows = [
    {"method": name, "trained": one.model.count(), "accuracy": accuracy(one)}
    for name, one in (("soft prompt, 10 vectors", plain), ("P-tuning, 10 vectors", made))
]
rows[0]["kept"], rows[1]["kept"] = plain.model.count(), finished(made.model).count()
Table(rows, caption=f"Vectors, and a network that makes them, {task.name} ({PLM}, one seed)")

# %% [markdown]
# ## Scale
#
# The title of Lester et al. is "The power of scale": with T5 of some hundred million parameters, soft
# prompts are far behind full fine-tuning; with the largest, of 11 billion, the two meet. A vector can
# only bring out what the PLM can do already, and a larger PLM can do more.
#
# **What do you expect** of pocket PLMs?

# %%
gaps = {"full fine-tuning": {}, "soft prompt": {}}
for name in tqdm(SIZES, desc="sizes"):
    parameters = load_plm(name)[0].num_parameters() / 1e6
    if name == PLM:
        gaps["full fine-tuning"][parameters] = scores["full fine-tuning"]
        gaps["soft prompt"][parameters] = scores["10 vectors"]
        continue
    for way, method, rate in (
        ("full fine-tuning", FullFineTuning(), FULL_RATE),
        ("soft prompt", SoftPrompt(length=10), RATE),
    ):
        gaps[way][parameters] = [accuracy(learnt(method, rate, s, name)[0]) for s in SEEDS]

# %%
score_curves(
    {way: {round(x, 1): y for x, y in points.items()} for way, points in gaps.items()},
    xlabel="parameters of the PLM, in millions",
    log2=True,
    majority=task.majority("test"),
    title=f"Does the gap close with size? {task.name}\npocket PLMs, pocket data",
)

# %% [markdown]
# Whatever you see here: a factor of 6 in size (28 with the large one), on one task, is no test of a
# claim about a factor of more than a hundred. The claims of the course measure all pocket sizes on three tasks
# (`course claims --only prompt-tuning-scales`), and even that is a look through a keyhole.
#
# ## Many tasks in one batch
#
# A soft prompt enters at the input, and nothing else of the PLM knows of it. So the rows of *one*
# batch can be of different tasks, each with its own vectors in front; the PLM in memory is the same.
# That is how one frozen PLM serves many customers.
#
# **What do you expect:** does a row's answer depend on the tasks of the other rows?

# %%
import tempfile
from pathlib import Path

from course_utils.tuning import SeveralTasks

home = tempfile.TemporaryDirectory()
tasks, models, folders = {}, {}, {}
for name in tqdm(("sst2", "agnews", "boolq"), desc="tasks"):
    tasks[name] = load_task(f"pocket/{name}").subset(64, split="test").subset(50, split="dev")
    tasks[name] = tasks[name].subset(TRAIN_EXAMPLES)
    models[name], _ = learnt(SoftPrompt(length=10), RATE, task=tasks[name])
    folders[name] = models[name].model.save(Path(home.name) / name)
served, _ = load_plm(PLM, device=device)
served = SeveralTasks(served, folders)
print(served)

# %%
order = ["sst2", "agnews", "boolq", "boolq", "agnews", "sst2"]
examples = [tasks[name].splits["test"][i] for i, name in enumerate(order)]
encoded = [models[name].encode(row) for name, row in zip(order, examples, strict=True)]
gaps_at = [one["mask_positions"][0] for one in encoded]
batch = tokenizer.pad([{"input_ids": one["input_ids"]} for one in encoded], return_tensors="pt")
together = served.logits(batch.to(device), order)  # for each row (T, V)
rows = []
for i, (name, row) in enumerate(zip(order, examples, strict=True)):
    words = question(tasks[name])[1]
    scored = {label: float(together[i][gaps_at[i]][tokenizer.convert_tokens_to_ids(word)])
              for label, word in words.items()}  # fmt: skip
    alone = models[name].predict([row]).scores[0]
    apart = max(abs(a - b) for a, b in zip(scored.values(), alone, strict=True))
    said = max(scored, key=scored.get)
    rows.append({"row's task": name, "answer": said, "label": tasks[name].labels[row["label"]],
                 "differs from alone by": f"{apart:.0e}"})  # fmt: skip
Table(rows, caption=f"Six rows, three tasks, one forward pass ({PLM}, pocket data)")

# %%
from course_utils.show import amount_bars

stored = served.storage()
one_task = max(size for name, size in stored.items() if name != "PLM")
amount_bars(
    {
        "100 fine-tuned PLMs": 100 * stored["PLM"] / 1e6,
        "1 PLM and 100 soft prompts": (stored["PLM"] + 100 * one_task) / 1e6,
    },
    xlabel="megabytes",
    title=f"A hundred tasks\n{PLM}: {stored['PLM'] / 1e6:.1f} MB, a prompt: {one_task:,} bytes",
)

# %% [markdown]
# ## Summary
#
# * A soft prompt is $P$ free vectors where word embeddings stand: $P \cdot d$ numbers, the PLM frozen.
#   A hard prompt is one whose vectors happen to be words.
# * They go before positions and norm are added, once. Mask, positions and the place of the gap move
#   by $P$.
# * Where it starts can matter: in the paper words are a better neighbourhood than noise, until the PLM
#   is very large.
# * Nearest words are not meanings. Put them in the vectors' place and measure.
# * P-tuning makes the vectors by a network that is thrown away. The gap to full fine-tuning closes
#   with the size of the PLM, in the papers.
# * Rows of different tasks share a batch, and a task costs kilobytes.

# %% [markdown]
# ## Exercises
#
# **1. Put it in front (★★, 10 minutes)** The forward pass of prompt tuning, in two lines.
#
# <details><summary>Hint</summary>
#
# `prompt.expand(B, -1, -1)` is the prompt for each row. `torch.cat((a, b), 1)` joins along the
# tokens. The mask has ones in front, of its own type: `mask.new_ones(B, P)`.
# </details>

# %%
from course_utils.show.exercises import soft_prompts as exercises


def prepend(prompt, embeds, mask):
    """A soft prompt in front of a batch.

    Args:
        prompt: (P, d).
        embeds: (B, T, d), the words' embeddings.
        mask: (B, T), 1 for a token and 0 for padding.

    Returns:
        (embeddings (B, P + T, d), mask (B, P + T)).
    """
    raise NotImplementedError


exercises.check_prepend(prepend)

# %% [markdown]
# **2. The nearest word (★, 10 minutes)** By cosine.
#
# <details><summary>Hint</summary>
#
# `torch.nn.functional.normalize(x, dim=-1)` divides each row by its length; then one matrix product
# gives all cosines, (P, V).
# </details>


# %%
def nearest_rows(vectors, table):
    """For each vector the row of the table with the largest cosine.

    Args:
        vectors: (P, d).
        table: (V, d).

    Returns:
        (P,) row numbers.
    """
    raise NotImplementedError


exercises.check_nearest(nearest_rows)

# %% [markdown]
# **3. Soft prompt or prefix? (★, 5 minutes)** How many numbers does each keep, for the same length?
#
# <details><summary>Hint</summary>
#
# A prefix has keys *and* values, in every layer.
# </details>


# %%
def sizes(P, d, L):
    """Numbers kept by a soft prompt and by a prefix of length P (PLM: L layers of width d).

    Returns:
        (soft prompt, prefix).
    """
    raise NotImplementedError


exercises.check_sizes(sizes)

# %% [markdown]
# **4. Find the bugs (★★★, 20 minutes)** Two of them: this code runs, and is wrong twice.


# %%
def with_bugs(model, prompt, ids, gap):
    """The logits at the gap of each row, with a soft prompt in front?"""
    embeds = model.bert.embeddings(input_ids=ids)  # (B, T, d)
    longer = torch.cat((prompt.expand(len(ids), -1, -1), embeds), 1)
    logits = model(inputs_embeds=longer).logits  # (B, P + T, V)
    return logits[torch.arange(len(ids)), gap]


# %% [markdown]
# Write it correctly.
#
# <details><summary>Hint</summary>
#
# Which table holds the words alone? And where has the gap gone?
# </details>


# %%
def at_the_gap(model, prompt, ids, gap):
    """The logits at the gap of each row, with a soft prompt in front.

    Args:
        model: a BertForMaskedLM.
        prompt: (P, d).
        ids: (B, T), no padding.
        gap: (B,) places in ids.

    Returns:
        (B, V).
    """
    raise NotImplementedError


exercises.check_at_the_gap(at_the_gap)

# %% [markdown]
# ## References
#
# * B. Lester, R. Al-Rfou, N. Constant. The power of scale for parameter-efficient prompt tuning.
#   EMNLP 2021. [arXiv:2104.08691](https://arxiv.org/abs/2104.08691)
# * X. Liu et al. GPT understands, too. 2021. [arXiv:2103.10385](https://arxiv.org/abs/2103.10385).
#   P-tuning.
# * X. Liu et al. P-tuning v2: prompt tuning can be comparable to fine-tuning universally across
#   scales and tasks. ACL 2022. [arXiv:2110.07602](https://arxiv.org/abs/2110.07602)
# * D. Khashabi et al. Prompt waywardness: the curious case of discretized interpretation of
#   continuous prompts. NAACL 2022. [arXiv:2112.08348](https://arxiv.org/abs/2112.08348)

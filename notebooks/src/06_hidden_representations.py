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
# # 06 · What fine-tuning does: h and Δh
#
# <!-- badges -->
# `under 2 minutes to run` · `60 minutes to read and play` · `CPU is enough` · `works offline`

# %% [markdown]
# ## Why
#
# The first half of this course changed what a pre-trained language model (PLM) *reads*. The second
# half changes the PLM, a little. There are a dozen methods for it, each with its own paper, its own
# drawing and its own name for things. This notebook gives you one picture for all of them:
#
# $$ h \;\longleftarrow\; h + \Delta h $$
#
# A PLM turns every token into a vector $h$, layer after layer. Tuning it, by whatever method, means
# that some of these vectors come out different. So ask of every method the same questions: *where*
# does it act, *which* tokens move, *how far*, and *in what direction*?

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
# One switch: `QUICK` keeps the notebook under two minutes on a laptop. `PLM` may be any BERT-like
# PLM that `load_plm` knows.

# %%
QUICK = True
PLM = "pocket-bert-base"

STEPS = 60 if QUICK else 300  # of training, per method
TRAIN_EXAMPLES = 400 if QUICK else 2000
TEST_EXAMPLES = 200 if QUICK else 1000

# %% [markdown]
# The task is a verdict on reviews, asked through a prompt. Why a prompt and not a classifier? A
# prompt has no new parameters. The PLM's own head reads the vector at the gap before tuning and
# after it, so whatever the answers gain must come from $\Delta h$. We ask in a wording that the
# pocket PLM has not read in pre-training: there is something to gain.

# %%
import torch

from course_utils import PromptModel, load_plm, load_task
from course_utils.show import Table

task = load_task("pocket/sst2").subset(TEST_EXAMPLES, split="test")
wording = [prompt for prompt in task.prompts if prompt.held_out][-1]
TEMPLATE = wording.template
WORDS = {label: words[0] for label, words in wording.words.items()}  # one word each

plm, tokenizer = load_plm(PLM, device=device)
prompt = PromptModel(plm, tokenizer, TEMPLATE, WORDS, labels=task.labels)
examples = list(task.splits["test"])
gold = torch.tensor(task.gold("test"))
print("template:", TEMPLATE, "  words:", ", ".join(WORDS.values()))
print("zero-shot accuracy:", round(prompt.predict(examples).accuracy(gold.tolist()), 3))

# %% [markdown]
# ## h
#
# One vector per token behind the embeddings, and another behind each layer. For a batch of $B$
# texts of $T$ tokens that makes a block of shape $(L + 1, B, T, d)$.
#
# **What do you expect?** Which of these four numbers do you know already? The first table of
# notebook 00 has two of them.

# %%
from course_utils.show.delta_h import hidden_states

REVIEW = {"sentence": "the soup was stale ."}
text = TEMPLATE.format(**REVIEW, mask=tokenizer.mask_token)
one = tokenizer(text, return_tensors="pt")
tokens = tokenizer.convert_ids_to_tokens(one["input_ids"][0].tolist())
h_one = hidden_states(plm, one)
print(tokens)
print("h has shape", tuple(h_one.shape), " |h| at the gap, layer by layer:", end=" ")
print([round(x, 1) for x in h_one[:, 0, tokens.index(tokenizer.mask_token)].norm(dim=-1).tolist()])

# %% [markdown]
# ## Δh before any training
#
# Let us attach methods to copies of the PLM and train *nothing*. $\Delta h$ is a plain difference
# of two such blocks.
#
# **What do you expect?** For some of these methods $\Delta h$ is exactly zero now, for some nearly,
# for some not at all. Sort them before you run the cell.

# %%
from course_utils import FullFineTuning, LoRA, SoftPrompt, attach
from course_utils.show.delta_h import delta_h, relative_change
from course_utils.tuning import BitFit, Houlsby, ParallelAdapter, Pfeiffer, PTuningV2

BIASES = ("query", "key", "value", "attention_output", "ffn_in", "ffn_out", "norms")
UNTRAINED = {
    "full fine-tuning": FullFineTuning(),
    "BitFit": BitFit(parts=BIASES),  # all but the head's, which is to stay as it is
    "LoRA": LoRA(rank=8),
    "parallel adapter": ParallelAdapter(),
    "Houlsby's adapter": Houlsby(),
    "Pfeiffer's adapter": Pfeiffer(),
    "P-tuning v2": PTuningV2(length=5),
    "soft prompt": SoftPrompt(length=5),
}
rows = []
for name, method in UNTRAINED.items():
    tuned = attach(load_plm(PLM, device=device)[0], method)
    change = relative_change(h_one, delta_h(plm, tuned, one))
    rows.append({"not trained yet": name, "largest |Δh| / |h|": f"{change.max():.6f}"})
Table(rows)

# %% [markdown]
# Three kinds of start:
#
# * **Exactly the PLM.** Full fine-tuning and BitFit start from the PLM's own numbers; LoRA and the
#   parallel adapter end in a matrix of zeros, so the product is zero, whatever stands before it.
# * **Nearly the PLM.** Houlsby's adapter draws both of its matrices very small. Pfeiffer's draws
#   them as large as BERT's own weights: its first step starts from a slightly shaken PLM.
# * **Not the PLM.** Vectors in front of a text are looked at by the text, trained or not. They also
#   move the text $P$ positions back. Setting the numbers of a prompt to zero does not undo that (a
#   later notebook tries).
#
# A start at zero matters: training then goes on from what pre-training knows, and a first step
# can't destroy it. It is also the first thing to check in code of your own.

# %% [markdown]
# ## Where methods act
#
# One layer of a Transformer, frozen, in grey. The coloured tags are methods.

# %%
from course_utils.show import layer_diagram

layer_diagram(title="One layer, and where methods put their Δh")

# %% [markdown]
# Full fine-tuning has no tag, since it moves all grey boxes. BitFit would have one at every box:
# each keeps its weights and moves its bias. Whatever the place, the residual stream carries the
# change on: what a method adds in layer 1 is part of what layer 2 reads.
#
# ### A unified view
#
# He et al. (2022) noticed that the methods' equations differ in few things only. In their table 1
# (here in short), $x$ is what the changed part of the PLM reads and $h$ what it puts out:

# %%
UNIFIED = (
    ("prefix tuning", "softmax(x Wq Pkᵀ) Pv", "beside", "attention head", "(1 - λ) h + λ Δh"),
    ("adapter", "ReLU(h W_down) W_up", "behind", "attention, FFN", "h + Δh"),
    ("LoRA", "x W_down W_up", "beside", "maps of the attention", "h + s · Δh"),
    ("parallel adapter", "ReLU(x W_down) W_up", "beside", "attention, FFN", "h + Δh"),
    ("scaled parallel adapter", "ReLU(x W_down) W_up", "beside", "attention, FFN", "h + s · Δh"),
)
COLUMNS = ("method", "Δh", "stands", "changes", "h becomes")
Table([dict(zip(COLUMNS, row, strict=True)) for row in UNIFIED])

# %% [markdown]
# Read it column by column. What a method *computes* is nearly always the same: go down to a few
# dimensions, do or don't bend, come up again. A prefix looks like the odd one out, but $P_k$ and
# $P_v$ are two thin matrices as well, and the softmax stands where the ReLU stands. (Exercise 4 has
# you prove its row.) The last two rows are methods the authors made up by recombining columns; the
# scaled parallel adapter beside the FFN was their best.
#
# Two methods are not in the table. BitFit's $\Delta h$ is a vector that depends on nothing,
# $h + b$. AdapterBias (notebook 07) lets each token choose how much of that vector it takes.

# %% [markdown]
# ## Train six of them
#
# The same examples, the same number of steps, each with a learning rate that suits it. All that
# follows is about these six models.
#
# **What do you expect?** Will six methods that reach about the same accuracy also have about the
# same $\Delta h$?

# %%
from tqdm.auto import tqdm

from course_utils import TrainSettings, train

METHODS = {
    "full fine-tuning": (FullFineTuning(), 1e-4),
    "adapter (Houlsby)": (Houlsby(), 1e-3),
    "LoRA": (LoRA(rank=8), 3e-3),
    "BitFit": (BitFit(parts=BIASES), 3e-3),
    "P-tuning v2": (PTuningV2(length=5), 3e-2),
    "soft prompt": (SoftPrompt(length=5), 1e-2),
}
settings = {"steps": STEPS, "evaluate_every": STEPS, "keep": "last"}
models, rows = {}, []
for name, (method, rate) in tqdm(METHODS.items(), desc="methods"):
    tuned = attach(load_plm(PLM, device=device)[0], method)
    asked = PromptModel(tuned, tokenizer, TEMPLATE, WORDS, labels=task.labels)
    how = TrainSettings(**settings, learning_rate=rate)
    train(asked, task, tokenizer=tokenizer, settings=how, examples=TRAIN_EXAMPLES, progress=False)
    models[name] = tuned
    right = asked.predict(examples).accuracy(gold.tolist())
    rows.append({"method": name, "trained": tuned.count(), "accuracy": right})
zero_shot = prompt.predict(examples).accuracy(gold.tolist())
rows.insert(0, {"method": "(none: zero-shot)", "trained": 0, "accuracy": zero_shot})
Table(rows, caption=f"{task.name}, {TRAIN_EXAMPLES} examples, {STEPS} steps ({PLM}, pocket data)")

# %% [markdown]
# ## The map of Δh
#
# For each token and each layer: how long is $\Delta h$, measured by $h$? A square of 0.1 means that
# a vector was moved by a tenth of its length, one of 1 that it was moved by its whole length.
#
# **What do you expect?** Before you look, answer for yourself:
#
# 1. Do tokens move more in low layers or in high ones?
# 2. The answer is read at `[MASK]` only. Do other tokens move less?
# 3. In which maps is the lowest row, behind the embeddings, white? What is to blame where it is
#    not?

# %%
from course_utils.show import change_maps

maps = {}
for name, tuned in models.items():
    maps[name] = relative_change(h_one, delta_h(plm, tuned, one))[:, 0]  # (L + 1, T)
change_maps(maps, tokens, title=f"How far each token moves, {task.name}\n{PLM}, pocket data")

# %% [markdown]
# On question 3: LoRA touches nothing below layer 1. Houlsby's adapter trains the norms too, and one
# of them stands behind the embeddings; so does the bias that BitFit moves there. Full fine-tuning
# moves the embeddings themselves, in small steps. And the two methods with vectors in front? Their
# words are the same words, but each stands $P$ positions further back.
#
# Their maps are darker than all others, so take that apart. The frozen PLM can read the same text
# counted from $P$ on, with nothing in front of it. That is one part of $\Delta h$. The rest is what
# the vectors in front do, and only that is learnt.
#
# **What do you expect?** How much of a trained soft prompt's $\Delta h$ is a matter of counting?

# %%
from course_utils.show import score_curves

moved = hidden_states(plm, one, start=METHODS["soft prompt"][0].length)
trained = hidden_states(models["soft prompt"], one)
parts = {
    "trained prompt": relative_change(h_one, trained - h_one),
    "positions alone": relative_change(h_one, moved - h_one),
    "learnt alone": relative_change(moved, trained - moved),
}
score_curves(
    {name: dict(enumerate(part[:, 0].mean(-1).tolist())) for name, part in parts.items()},
    xlabel="layer (0: behind the embeddings)",
    ylabel="mean |Δh| / |h|",
    title=f"Two parts of a soft prompt's Δh, one text\n{PLM}, pocket data",
)

# %% [markdown]
# ### Playground
#
# Other reviews, other methods. `{mask}` is the gap. The shades keep one scale while you play.
#
# Try: a praising and a blaming word in one review. The same review with *not* in it. A text that is
# no review at all: does it move less? Leave the gap out.

# %%
from course_utils.show import change_playground

start = TEMPLATE.replace("{sentence}", REVIEW["sentence"])
change_playground(plm, models, tokenizer, start)

# %% [markdown]
# ## Not one text but two hundred
#
# One text proves little. Take the whole test set, and the mean over all its tokens. For the two
# methods with vectors in front, $h$ is from here on that of the frozen PLM at the *same positions*,
# so that $\Delta h$ is what was learnt.

# %%
features = [{k: v for k, v in prompt.encode(row).items() if k != "labels"} for row in examples]
batch = {name: value.to(device) for name, value in prompt.collator()(features).items()}
real = batch["attention_mask"].bool()  # (B, T), False at padding
h = {}
for name, tuned in models.items():  # each (L + 1, B, T, d)
    h[name] = hidden_states(plm, batch, start=tuned.method.extra_tokens)
delta = {name: hidden_states(tuned, batch) - h[name] for name, tuned in models.items()}
by_layer = {}
for name, change in delta.items():
    means = relative_change(h[name], change)[:, real].mean(-1)  # (L + 1,)
    by_layer[name] = dict(enumerate(means.tolist()))
score_curves(
    by_layer,
    xlabel="layer (0: behind the embeddings)",
    ylabel="mean |Δh| / |h|",
    title=f"How far tokens move, {task.name}\n{PLM}, pocket data",
)

# %% [markdown]
# ### Which words?
#
# The same per word, at the last layer, for words that occur often enough.
#
# **What do you expect?** Function words or judging words? And what of `[MASK]` itself?

# %%
from collections import defaultdict


def words_by_change(name, least=8):
    """[(word, mean |Δh| / |h| at the last layer, how often)], the largest first."""
    found, sizes = defaultdict(list), relative_change(h[name][-1], delta[name][-1])[real]
    ids = batch["input_ids"][real].tolist()
    for token, size in zip(tokenizer.convert_ids_to_tokens(ids), sizes.tolist(), strict=True):
        found[token].append(size)
    often = [(w, sum(x) / len(x), len(x)) for w, x in found.items() if len(x) >= least]
    return sorted(often, key=lambda row: -row[1])


def listed(rows):
    return ", ".join(f"{word} {size:.2f}" for word, size, _ in rows)


ranks = {name: words_by_change(name) for name in models}
Table(
    {"method": name, "move most": listed(r[:6]), "move least": listed(r[-4:])}
    for name, r in ranks.items()
)

# %% [markdown]
# ## In which direction?
#
# A length says how far, not where to. The answer is read at the gap, so look at the vectors there.
#
# ### Are the classes further apart?
#
# Take the mean vector of each class from one half of the examples. How often is a vector of the
# *other* half nearest to the mean of its own class? (Two means from the same examples would be
# apart by chance: $d$ is large.)
#
# **What do you expect?** In which layers does tuning matter? Where does the frozen PLM already
# know?

# %%
from course_utils.show.delta_h import nearest_mean_accuracy

every = torch.arange(len(examples), device=device)
places = batch["mask_positions"][:, 0]
gap = {name: states[:, every, places].cpu() for name, states in h.items()}  # (L + 1, B, d)
gap_delta = {name: change[:, every, places].cpu() for name, change in delta.items()}
half = len(examples) // 2


def apart(states):
    """Layer -> share of the second half that is nearest to its own class's mean."""
    halves = [(x[:half], gold[:half], x[half:], gold[half:]) for x in states]
    return {layer: nearest_mean_accuracy(*split) for layer, split in enumerate(halves)}


shown = ("full fine-tuning", "LoRA", "BitFit", "soft prompt")
score_curves(
    {"frozen PLM": apart(gap["LoRA"])}
    | {name: apart(gap[name] + gap_delta[name]) for name in shown},
    xlabel="layer (0: behind the embeddings)",
    ylabel="nearest to its own class",
    references={"chance": 0.5},
    title=f"Are the classes apart at the gap? {task.name}\n{PLM}, pocket data",
)

# %% [markdown]
# Behind the embeddings every gap is the same `[MASK]`; what can differ is its position. From there
# on, attention brings the verdict in. Look at where the frozen PLM's own curve ends. If it ends as
# high as the others, then its last vectors knew the verdict all along, and only its head could not
# read it off them. What has tuning added then?
#
# ### A look into the plane
#
# The vectors have many dimensions, a picture has two. Take the two directions in which all these
# vectors, before and after, differ most. A hollow dot is $h$, the arrow $\Delta h$.

# %%
from course_utils.show import move_arrows
from course_utils.show.delta_h import plane

drawn = ("full fine-tuning", "LoRA", "soft prompt")
ends = {name: (gap[name][-1], gap[name][-1] + gap_delta[name][-1]) for name in drawn}
mean, axes = plane(torch.cat([x for pair in ends.values() for x in pair]))
move_arrows(
    {name: [(x[:80] - mean) @ axes for x in pair] for name, pair in ends.items()},
    gold[:80].tolist(),
    task.labels,
    title=f"h + Δh at the gap, last layer, {task.name} ({PLM}, pocket data)",
)

# %% [markdown]
# Do the arrows of one class point one way, those of the other another way? Or do all point the same
# way? A common arrow moves everything and tells nothing apart; but it can still repair a prompt
# that leans to one answer. Let us test that.
#
# ### One vector for all?
#
# Replace every example's $\Delta h$ at the gap by the *mean* $\Delta h$ of the other half of the
# examples, and let the frozen PLM's own head read the result.
#
# **What do you expect?** How much of the gain will survive?


# %%
ids = tokenizer.convert_tokens_to_ids([WORDS[label] for label in task.labels])


@torch.no_grad()
def read(states):
    """Accuracy of the frozen PLM's own head on vectors at the gap of the second half, (B/2, d)."""
    scores = plm.cls(states.to(device))[:, ids]  # (B/2, n_labels)
    return (scores.argmax(-1).cpu() == gold[half:]).float().mean().item()


rows = []
for name, change in gap_delta.items():
    start, change = gap[name][-1, half:], change[-1]
    found = {"h": start, "h + mean Δh": start + change[:half].mean(0)}
    found["h + Δh"] = start + change[half:]
    rows.append({"method": name} | {column: read(states) for column, states in found.items()})
Table(rows, caption=f"Accuracy on the second half, {task.name} ({PLM}, pocket data)")

# %% [markdown]
# What a mean vector gains, *calibration* gains without any training (notebook 02): it leans the
# answers back. What is left between the last two columns had to be learnt example by example.
#
# ### How many directions?
#
# Stack the $\Delta h$ of all tokens of all texts into one tall matrix, and take its singular
# values. They say how much of it lies in the best 1, 2, 4 ... directions. The control is $h$
# itself.
#
# **What do you expect?** Hidden states have 128 dimensions here. How many does $\Delta h$ use?

# %%
from IPython.display import display

from course_utils.show.delta_h import kept_by_directions

steps = [2**k for k in range(6)]
for where, pick in (("all tokens", real), ("at the gap", (every, places))):
    kept = {"h itself": kept_by_directions(h["LoRA"][-1][pick])}
    for name in ("full fine-tuning", "LoRA", "BitFit", "soft prompt"):
        kept[name] = kept_by_directions(delta[name][-1][pick])
    chart = score_curves(
        {name: {k: float(shares[k - 1]) for k in steps} for name, shares in kept.items()},
        xlabel="directions",
        ylabel="share of |Δh|²",
        log2=True,
        title=f"How few directions hold Δh? Last layer, {where}\n{PLM}, pocket data",
    )
    display(chart)

# %% [markdown]
# At the gap, how many directions would it take to move all vectors one way, and then the two
# classes apart? Hold that against the second chart, and against the arrows. (The first direction of
# $h$ itself is its mean, which all the gaps share.)
#
# Do not read "rank 8" off LoRA's curve. LoRA's change has rank 8 at the map where it sits. By the
# end of the layer it has gone through a softmax, an FFN and the layers above, and nothing keeps it
# in eight directions there.
#
# ## More of it, less of it
#
# If $\Delta h$ is what tuning has done, then $h + \lambda\,\Delta h$ is a PLM tuned a little
# ($\lambda = \frac12$), not at all (0), too much (2), or backwards ($-1$). The frozen head reads it
# at the gap.
#
# **What do you expect?** Sketch accuracy against $\lambda$. Is it a step or a slope? What happens
# at $\lambda = 2$, and what at $-1$?

# %%
LAMBDAS = (-1, -0.5, 0, 0.25, 0.5, 0.75, 1, 1.5, 2)
mixed = {}
for name in ("full fine-tuning", "LoRA", "P-tuning v2", "soft prompt"):
    start, change = gap[name][-1, half:], gap_delta[name][-1, half:]
    mixed[name] = {factor: read(start + factor * change) for factor in LAMBDAS}
score_curves(
    mixed,
    xlabel="λ (0: the PLM as it was, 1: tuned)",
    majority=max(float((gold[half:] == label).float().mean()) for label in (0, 1)),
    title=f"Accuracy of h + λ Δh, {task.name}\n{PLM}, pocket data",
)

# %% [markdown]
# Three things to read off. Does $\lambda = -1$ turn the answers round, or does everything get the
# same answer? (The arrows above say which to expect.) Where is the top of each curve? If it lies
# below 1, tuning went further than the head needed. And is a curve above the tuned model's accuracy
# a better model? Not yet: this $\lambda$ would be chosen on the examples it is measured on.
#
# At $\lambda = 1$ the frozen head reads exactly what the tuned model's head reads. Only full
# fine-tuning has also moved the head, so its own accuracy may differ from this one. Let us check
# that, and ask one more thing: what if $\Delta h$ is put in earlier, and the frozen layers above it
# do the rest?

# %%
from course_utils.show.delta_h import added


@torch.no_grad()
def put_in(change, layer):
    """Accuracy of the frozen PLM, all examples, with a change added behind one layer."""
    with added(prompt, change, layer):
        logits = prompt(**batch).logits
    return (logits.argmax(-1).cpu() == gold).float().mean().item()


rows = []
for name in ("full fine-tuning", "adapter (Houlsby)", "LoRA", "BitFit"):
    layers = range(1, len(delta[name]))
    row = {f"at layer {n}": put_in(delta[name][n], n) for n in layers}
    asked = PromptModel(models[name], tokenizer, TEMPLATE, WORDS, labels=task.labels)
    row["tuned model itself"] = asked.predict(examples).accuracy(gold.tolist())
    rows.append({"Δh of": name} | row)
Table(rows, caption=f"Frozen PLM with Δh of all tokens put in at one layer ({PLM}, pocket data)")

# %% [markdown]
# ### Playground
#
# Turn $\lambda$. Where does the answer tip over? Choose an example that the PLM gets wrong at
# $\lambda = 0$ and one that it gets right. Then go down with `layer`.

# %%
from course_utils.show import mixing_playground

mixing_playground(prompt, models, examples[:40], depth=plm.config.num_hidden_layers)

# %% [markdown]
# ## Summary
#
# * Tuning moves hidden states: $h \leftarrow h + \Delta h$. Methods differ in where $\Delta h$
#   comes in and what it may depend on: nothing (BitFit), the token's own vector (adapter, LoRA), or
#   what the token attends to (prefix, soft prompt).
# * A frozen PLM with a method that starts at zero has $\Delta h = 0$, exactly. A prompt of vectors
#   has no such start.
# * Tuned in one place, moved everywhere above it: the residual stream carries the change on.
# * $\Delta h$ is a vector like any other. It can be measured, averaged, scaled, put in elsewhere,
#   and each of these is a question about what tuning has learnt.

# %% [markdown]
# ## Exercises
#
# **1. How far, layer by layer (★, 10 minutes)** Write the number behind the curves above.
#
# <details><summary>Hint</summary>
#
# `delta.norm(dim=-1) / h.norm(dim=-1)` has shape (L + 1, B, T). `mask.bool()` picks the real tokens
# of the last two dimensions at once: `ratio[:, mask.bool()]`.
# </details>

# %%
from course_utils.show.exercises import hidden_representations as exercises


def change_by_layer(h, delta, mask):
    """Mean of |Δh| / |h| over all real tokens.

    Args:
        h, delta: (L + 1, B, T, d).
        mask: (B, T), 1 for a token and 0 for padding.

    Returns:
        (L + 1,).
    """
    raise NotImplementedError


exercises.check_change_by_layer(change_by_layer)

# %% [markdown]
# **2. Behind the prompt (★, 5 minutes)** The kit cuts a soft prompt's own hidden states off for
# you. In other libraries they are still there. Where is the text's $\Delta h$ then?
#
# <details><summary>Hint</summary>
#
# The prompt stands in front. Token $t$ of the text is at place $P + t$ of the longer block.
# </details>


# %%
def behind_the_prompt(h, longer, length):
    """Δh of the text's tokens.

    Args:
        h: (L + 1, B, T, d) without the prompt.
        longer: (L + 1, B, P + T, d) with it.
        length: P.

    Returns:
        (L + 1, B, T, d).
    """
    raise NotImplementedError


exercises.check_behind_the_prompt(behind_the_prompt)

# %% [markdown]
# **3. How many directions? (★★, 15 minutes)** One number for the curves of singular values.
#
# <details><summary>Hint</summary>
#
# `torch.linalg.svdvals(vectors)`, squared, summed up with `cumsum`, divided by the total. Count how
# many of these shares are still below the one wanted, and add one.
# </details>


# %%
def directions_needed(vectors, share):
    """The smallest k such that the best k directions hold that share of the squared lengths.

    Args:
        vectors: (n, d).
        share: between 0 and 1.

    Returns:
        k.
    """
    raise NotImplementedError


exercises.check_directions_needed(directions_needed)

# %% [markdown]
# **4. A prefix is a Δh, too (★★★, 25 minutes)** An attention head with a prefix computes
# $\operatorname{softmax}\!\big(q\,[P_k; K]^\top / \sqrt d\big)\,[P_v; V]$ for a query $q$. Show
# that this is $(1 - \lambda)\,h + \lambda\,\Delta h$, where $h$ is the head's output without the
# prefix. What is $\lambda$, what is $\Delta h$?
#
# <details><summary>Hint</summary>
#
# A softmax over $P + T$ places is two softmaxes, one over each part, weighted by the share of
# $\sum \exp$ that each part has. That share, for the prefix, is $\lambda$.
# </details>


# %%
def prefix_as_change(q, K, V, P_k, P_v):
    """The row "prefix tuning" of the table.

    Args:
        q: (d,).
        K, V: (T, d) of the text.
        P_k, P_v: (P, d) of the prefix.

    Returns:
        λ, a number, and Δh, (d,).
    """
    raise NotImplementedError


exercises.check_prefix_as_change(prefix_as_change)

# %% [markdown]
# **5. Another task (★★, 20 minutes)** Change the task to `pocket/rte`. First guess: which tokens of
# a premise and a hypothesis should move most? Does a method that could win on reviews by one vector
# for all still win?
#
# <details><summary>Hint</summary>
#
# Everything that names a column is in two places: `REVIEW` and the playground's `start`. Give
# `REVIEW` a premise and a hypothesis, and fill both into the template. A harder task needs more
# steps.
# </details>

# %% [markdown]
# ## References
#
# * J. He, C. Zhou, X. Ma, T. Berg-Kirkpatrick, G. Neubig. Towards a unified view of
#   parameter-efficient transfer learning. ICLR 2022.
#   [arXiv:2110.04366](https://arxiv.org/abs/2110.04366). Table 1 is the table above; section 3
#   derives the row of prefix tuning.
# * N. Houlsby et al. Parameter-efficient transfer learning for NLP. ICML 2019.
#   [arXiv:1902.00751](https://arxiv.org/abs/1902.00751)
# * J. Pfeiffer, A. Kamath, A. Rücklé, K. Cho, I. Gurevych. AdapterFusion: non-destructive task
#   composition for transfer learning. EACL 2021.
#   [arXiv:2005.00247](https://arxiv.org/abs/2005.00247)
# * E. Hu et al. LoRA: low-rank adaptation of large language models. ICLR 2022.
#   [arXiv:2106.09685](https://arxiv.org/abs/2106.09685)
# * E. Ben Zaken, S. Ravfogel, Y. Goldberg. BitFit: simple parameter-efficient fine-tuning for
#   transformer-based masked language-models. ACL 2022.
#   [arXiv:2106.10199](https://arxiv.org/abs/2106.10199)
# * X. Li, P. Liang. Prefix-tuning: optimizing continuous prompts for generation. ACL 2021.
#   [arXiv:2101.00190](https://arxiv.org/abs/2101.00190)
# * X. Liu et al. P-tuning v2: prompt tuning can be comparable to fine-tuning across scales and
#   tasks. ACL 2022. [arXiv:2110.07602](https://arxiv.org/abs/2110.07602)
# * B. Lester, R. Al-Rfou, N. Constant. The power of scale for parameter-efficient prompt tuning.
#   EMNLP 2021. [arXiv:2104.08691](https://arxiv.org/abs/2104.08691)

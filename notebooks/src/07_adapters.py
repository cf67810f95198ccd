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
# # 07 · Adapters: Houlsby, Pfeiffer, AdapterBias, BitFit
#
# <!-- badges -->
# `under 2 minutes to run` · `90 minutes to read and play` · `CPU is enough` · `works offline`

# %% [markdown]
# ## Why
#
# A task in a full copy of a PLM costs as much disk as the PLM. An *adapter* is a small network put
# into every layer of a frozen PLM; a task then is a file of a few megabytes. It was one of the
# first parameter-efficient methods for language (Houlsby et al., 2019), and the others are easiest
# seen as answers to questions about it: does it need two places per layer? A bottleneck? More than
# a vector?
#
# The second half of the notebook is about code. An adapter takes ten lines, and there are five ways
# to get them wrong that raise no error. You will hunt them down.

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
# One switch: `QUICK` keeps the notebook under two minutes on a laptop. Without it there are more
# steps, more examples and more seeds.

# %%
QUICK = True
PLM = "pocket-bert-base"

SEEDS = (0, 1) if QUICK else (0, 1, 2, 3, 4)
STEPS = 80 if QUICK else 600
TRAIN_EXAMPLES = 1000 if QUICK else 5000
TEST_EXAMPLES = 300 if QUICK else 1000

# %% [markdown]
# ## The bottleneck
#
# From $d$ dimensions down to $r$, bend, up to $d$ again, and *add* the result to what came in:
#
# $$ h \;\leftarrow\; h + \Delta h, \qquad \Delta h = W_2\, \sigma(W_1 h + b_1) + b_2, \qquad
#    W_1 \in \mathbb{R}^{r \times d},\; W_2 \in \mathbb{R}^{d \times r} $$
#
# **What do you expect?** With $d = 128$ and $r = 8$, how many numbers is that? How many would a
# full $128 \times 128$ map have?

# %%
import torch
from torch.nn import Linear
from torch.nn import functional as F

d, r = 128, 8
W1, W2 = Linear(d, r), Linear(r, d)
h = torch.randn(3, d)  # three tokens
by_hand = W2(F.gelu(W1(h)))  # Δh, (3, d)
numbers = sum(p.numel() for map in (W1, W2) for p in map.parameters())
print(f"{numbers:,} numbers = 2·d·r + r + d = {2 * d * r + r + d:,}; a full map: {d * d:,}")

# %% [markdown]
# The kit's module is the same function. (It returns $\Delta h$ alone; whoever places it adds.)

# %%
from course_utils.tuning.adapters import Bottleneck

kit = Bottleneck(d, r, activation="gelu")
kit.down.load_state_dict(W1.state_dict())
kit.up.load_state_dict(W2.state_dict())
print(f"largest difference: {(kit(h) - by_hand).abs().max():.1e}")

# %% [markdown]
# ## Four papers, one layer
#
# Orange is new, blue is a part of the PLM that is trained along, grey is frozen. Read from bottom
# to top.

# %%
from course_utils.show import adapter_places

adapter_places(title="Where adapters stand in a layer of BERT")

# %% [markdown]
# * **Houlsby** (2019): two per layer, each behind a sub-layer and *before* the residual addition.
#   The norms are trained, too.
# * **Pfeiffer** (2021): one per layer, behind the FFN. It reads the normed sum and adds to the sum,
#   which is then normed a second time with the same norm:
#   $\operatorname{norm}(s + \Delta h(\operatorname{norm}(s)))$.
# * **Parallel adapter** (He et al., 2022): beside the FFN. It reads what the FFN reads, not what
#   the FFN has made of it, and is scaled by a fixed number, here 4.
# * **AdapterBias** (2022): one vector $v$ per layer, and a number $\alpha(z)$ that says how far
#   each token goes along it. Further down.
#
# **BitFit** has no box at all. It trains the biases that are there.
#
# ### What `attach` did
#
# **What do you expect?** Each of the four layers of this PLM is 128 wide, and $r = 128 / 16$. Count
# Houlsby's adapters before you look. Which lines of the tree will be marked?

# %%
from course_utils import attach, load_plm, load_task
from course_utils.tuning import Houlsby

task = load_task("pocket/rte").subset(TEST_EXAMPLES, split="test").subset(100, split="dev")
plm, tokenizer = load_plm(PLM, head="classifier", labels=task.labels, device=device)
tuned = attach(plm, Houlsby())
print(tuned.summary())

# %% [markdown]
# The last line is the count as a formula. The norms are a small part of it, 256 numbers each, but
# they stand where everything passes. The head is a classifier and the pooler before it: they are
# new, so every method trains them.
#
# All methods of this notebook, without the head:

# %%
from course_utils import FullFineTuning, HeadOnly
from course_utils.show import Table
from course_utils.tuning import AdapterBias, BitFit, ParallelAdapter, Pfeiffer

METHODS = {
    "full fine-tuning": FullFineTuning(),
    "Houlsby": Houlsby(),
    "Pfeiffer": Pfeiffer(),
    "parallel": ParallelAdapter(),
    "BitFit": BitFit(),
    "AdapterBias": AdapterBias(),
    "head only": HeadOnly(),
}
rows = []
for name, method in METHODS.items():
    tuned = attach(load_plm(PLM, head="classifier", labels=task.labels)[0], method)
    formula = tuned.formula().split(": ", 1)[1].split(" = ")[0]
    own = tuned.count() - tuned.head_count()
    rows.append({"method": name, "formula": formula, "trained": own})
Table(rows, caption=f"Trained parameters without the task's head, {PLM}")

# %% [markdown]
# ## Near the identity
#
# Houlsby et al. draw both matrices from a normal distribution of standard deviation 0.001 (their
# code; the paper says 0.01), cut off at twice that. Then $\Delta h \approx 0$, and the first step
# of training starts from the PLM. They report that accuracy holds where the start is small, and falls
# where it is large.
#
# **What do you expect?** We start from numbers 100, 300 and 1000 times as large. How large is
# $\Delta h$ then, and can training still repair it?

# %%
from tqdm.auto import tqdm

from course_utils import TrainSettings, evaluate, train


def tuned_model(method, seed, task=task, larger=1, pretrained=True):
    """A PLM with a method, not yet trained; adapters start `larger` times as large as usual."""
    options = {"head": "classifier", "labels": task.labels, "device": device, "seed": seed}
    tuned = attach(load_plm(PLM, pretrained=pretrained, **options)[0], method, seed=seed)
    for module in tuned.placement.modules() if larger != 1 else ():
        module.down.weight.data *= larger
        module.up.weight.data *= larger
    return tuned


def score(tuned, seed, task=task):
    """Test accuracy after training."""
    settings = TrainSettings(steps=STEPS, evaluate_every=STEPS, keep="last", seed=seed)
    how = {"settings": settings, "examples": TRAIN_EXAMPLES, "progress": False}
    train(tuned, task, tokenizer=tokenizer, **how)
    return evaluate(tuned, task, "test", tokenizer=tokenizer).score


# %%
from course_utils.show.delta_h import delta_h, hidden_states, relative_change

pair = task.splits["test"][0]
one = tokenizer(pair["premise"], pair["hypothesis"], return_tensors="pt")
frozen = load_plm(PLM, head="classifier", labels=task.labels, device=device)[0]
rows = []
for larger in tqdm((1, 100, 300, 1000), desc="starts"):
    tuned = tuned_model(Houlsby(), seed=0, larger=larger)
    change = relative_change(hidden_states(frozen, one)[-1], delta_h(frozen, tuned, one)[-1])
    row = {"standard deviation": f"{larger / 1000:g}", "|Δh| / |h| at the start": change.mean()}
    row = {name: value if isinstance(value, str) else float(value) for name, value in row.items()}
    rows.append(row | {"accuracy after training": score(tuned, seed=0)})
Table(rows, caption=f"Houlsby's adapter, {task.name}, {STEPS} steps, one seed ({PLM}, pocket data)")

# %% [markdown]
# Compare the middle column with the right one: how far from the PLM may a start be? A start that is
# a little off can even be ahead in a short run, for its first steps are larger; and the norms
# behind each adapter are trained along and can shrink what is too large. Beyond that, the layers
# above read something that they have never seen in pre-training.
#
# ### Why not exactly zero?
#
# If a small start is good, is $W_1 = W_2 = 0$ best? Look at the gradients.
#
# **What do you expect?** For each of three starts: which of $W_1$, $W_2$, $b_2$ gets a gradient?

# %%
h = torch.randn(64, 128)
rows = []
for start in ("W1 random, W2 = 0", "W1 = 0, W2 random", "both 0"):
    adapter = Bottleneck(128, 8, activation="gelu", init="normal")
    for name, linear in (("W1", adapter.down), ("W2", adapter.up)):
        if f"{name} = 0" in start or start == "both 0":
            torch.nn.init.zeros_(linear.weight)
    (h + adapter(h)).pow(3).mean().backward()  # any loss will do
    parts = {"W1": adapter.down.weight, "W2": adapter.up.weight, "b2": adapter.up.bias}
    rows.append({"start": start} | {name: float(p.grad.norm()) for name, p in parts.items()})
Table(rows, caption="Length of the gradient at the start", digits=5)

# %% [markdown]
# The gradient of $W_1$ has $W_2$ as a factor, that of $W_2$ has $\sigma(W_1 h + b_1)$. If both are
# zero, neither will ever move: what is left is $b_2$, a vector per adapter that depends on nothing.
# You would have built BitFit. One of them may be zero (He et al., and LoRA, take the second), and
# both may be small, but not zero.
#
# ## AdapterBias
#
# BitFit moves each token by the same vector. An adapter gives each token a vector of its own. In
# between:
#
# $$ \Delta h = \alpha(z)\, v, \qquad \alpha(z) = a^\top z + c $$
#
# One vector $v$ per layer, and a number for each token, read off the inside $z$ of the FFN. A layer
# costs $d + 4d + 1$ numbers. $v$ starts at zero, so $\Delta h = 0$.
#
# Let us train it on reviews, where one can see by eye which words should matter.
#
# **What do you expect?** Which tokens will get a large $\alpha$: judging words? `[CLS]`? full
# stops?

# %%
reviews = load_task("pocket/sst2").subset(TEST_EXAMPLES, split="test").subset(100, split="dev")
shifter = tuned_model(AdapterBias(), seed=0, task=reviews)
reached = score(shifter, seed=0, task=reviews)
own = shifter.count() - shifter.head_count()
print(
    f"{reviews.name}: test accuracy {reached:.3f} with {own:,} trained numbers and a head (pocket)"
)

# %%
from course_utils.show import heat_map
from course_utils.show.token_shifts import token_shifts

text = "the waiter was friendly . the soup was stale ."
one_review = tokenizer(text, return_tensors="pt")
tokens = tokenizer.convert_ids_to_tokens(one_review["input_ids"][0].tolist())
shifts = token_shifts(shifter, one_review)[:, 0]  # (L, T): α(z) · |v|
heat_map(
    shifts.abs().tolist(),
    rows=[f"layer {number}" for number in range(1, len(shifts) + 1)],
    columns=tokens,
    unit="|α(z) v|",
    title=f"How far AdapterBias shifts each token\n{PLM}, pocket data",
)

# %% [markdown]
# The picture has only lengths. $\alpha$ also has a sign: some tokens go along $v$, others against
# it. (Which way is plus is arbitrary, and differs from layer to layer.) Below, blue is plus and
# orange minus.
#
# Try: exchange *friendly* and *stale*. Put *not* before one of them. Then read one layer's row as
# if it were a list of words with points.

# %%
from course_utils.show import shift_playground

shift_playground(shifter, tokenizer, text)

# %% [markdown]
# Over the whole test set: the words with the largest and the smallest mean $\alpha(z)\,|v|$, layer
# by layer. In which layers do good and bad words go opposite ways?

# %%
from collections import defaultdict

sentences = list(reviews.splits["test"]["sentence"])
batch = tokenizer(sentences, padding=True, return_tensors="pt")
real = batch["attention_mask"].bool()
words = tokenizer.convert_ids_to_tokens(batch["input_ids"][real].tolist())
rows = []
for number, layer in enumerate(token_shifts(shifter, batch), 1):
    by_word = defaultdict(list)
    for word, value in zip(words, layer.cpu()[real].tolist(), strict=True):
        by_word[word].append(value)
    often = {word: sum(v) / len(v) for word, v in by_word.items() if len(v) >= 4}
    ranked = sorted(often, key=often.get)
    ends = {"most minus": ranked[:6], "most plus": ranked[:-7:-1]}
    rows.append({"layer": number} | {end: ", ".join(names) for end, names in ends.items()})
Table(rows, caption=f"Words by mean α(z) · |v|, {reviews.name} ({PLM}, pocket data)")

# %% [markdown]
# Hold the lists against your guess. The paper has pictures of the same kind for sentences of SST-2
# and CoLA, and reads them as larger shifts on words that matter for the task. Ask of any such
# picture, yours included: is it so for every seed, and in every layer? Run the last four cells with
# another seed.
#
# ## BitFit
#
# Nothing new: only the biases of the PLM are trained. There are more of them than one thinks.
#
# **What do you expect?** Which module has the most? And one kind of bias *cannot learn anything*,
# whatever the task. Which? (Think of what a softmax does if every score grows by the same amount.)

# %%
PARTS = ("query", "key", "value", "attention_output", "ffn_in", "ffn_out", "norms")
rte = {"head": "classifier", "labels": task.labels, "device": device}
few = task.splits["train"].select(range(64))
inputs = tokenizer(list(few["premise"]), list(few["hypothesis"]), padding=True, return_tensors="pt")
rows = []
for part in PARTS:
    tuned = attach(load_plm(PLM, **rte)[0], BitFit(parts=(part,)))
    tuned(**inputs.to(device), labels=torch.tensor(few["label"], device=device)).loss.backward()
    own = [p for name, p in tuned.plm.named_parameters() if name in tuned.placement.trained]
    size = sum(float(p.grad.norm()) ** 2 for p in own) ** 0.5
    rows.append({"biases of": part, "numbers": sum(p.numel() for p in own), "|gradient|": size})
Table(rows, caption=f"BitFit at the start, {task.name}, 64 examples ({PLM}, pocket data)", digits=6)

# %% [markdown]
# A bias $b$ of the key adds $q^\top b$ to the score of *every* token the query looks at, and the
# softmax takes it out again. Its gradient is zero, up to rounding. (Adam divides a gradient by its
# own size, so even rounding errors can move it; nothing comes of that.) The authors' smaller choice
# trains the query's and the FFN's first bias, half of the numbers.
#
# ## Which of them?
#
# Accuracy against trained parameters, on a task that a head alone can't do: does the second
# sentence follow from the first? Every method has the same examples and steps, and a learning rate
# that suits it. Dashed: the same architecture, all of it trained, but *without* pre-training.
#
# **What do you expect?** Put the methods in order. Where will they all be without pre-training?

# %%
from course_utils.show import accuracy_vs_parameters

runs = []
for name, method in tqdm(METHODS.items(), desc="methods"):
    for seed in SEEDS:
        tuned = tuned_model(method, seed)
        own = tuned.count() - tuned.head_count()
        runs.append({"method": name, "trainable": own, "score": score(tuned, seed)})

# %%
scratch = [score(tuned_model(FullFineTuning(), s, pretrained=False), s) for s in SEEDS]
accuracy_vs_parameters(
    runs,
    majority=task.majority("test"),
    no_pretraining=sum(scratch) / len(scratch),
    title=f"{task.name}, {TRAIN_EXAMPLES} examples, {STEPS} steps, {len(SEEDS)} seeds\n"
    f"{PLM}, pocket data",
)

# %% [markdown]
# The head is not counted, since it is the same for all; what trains nothing else stands in the grey
# band. Is the order you see larger than the bars? Would it stay with five times the steps? (Turn
# `QUICK` off.) What does not change with the seed is the distance to the head alone, on one side,
# and to the PLM without pre-training on the other.
#
# ## Full-size numbers
#
# RoBERTa-large on GLUE, in per cent, as collected in AdaMix (Wang et al., 2022, table 1). Mind the
# column RTE, which has 2,490 training examples: that is where the methods differ.

# %%
from course_utils.show import published_table

published_table("glue_roberta_large")

# %% [markdown]
# And where data are few? He et al. (2021) compare adapters with full fine-tuning of RoBERTa on
# small and large data sets. **What do you expect:** on which of the two does freezing the PLM help?

# %%
published_table("adapter_few_labels")

# %% [markdown]
# ### Counting at full size
#
# A count needs shapes, not numbers. On PyTorch's "meta" device BERT-large has its shapes and takes
# no memory. The paper's figure for AdapterBias is 24 layers of $1024 + 4096 + 1$, and 51,200
# numbers in the norms it trains along.
#
# **What do you expect?** How often does AdapterBias fit into Houlsby's adapters with $r = 64$?

# %%
from transformers import BertConfig, BertForSequenceClassification

sizes = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16}
with torch.device("meta"):
    large = BertForSequenceClassification(BertConfig(**sizes, intermediate_size=4096))
total = sum(p.numel() for p in large.parameters())
LARGE = {
    "Houlsby, r = 64": Houlsby(bottleneck=64),
    "Pfeiffer, r = 64": Pfeiffer(bottleneck=64),
    "BitFit": BitFit(),
    "AdapterBias": AdapterBias(),
    "AdapterBias without its norms": AdapterBias(norms=False),
}
rows = []
for name, method in LARGE.items():
    count = method.count(large)
    rows.append({"method": name, "trained": count, "% of BERT-large": 100 * count / total})
Table(rows, caption="BERT-large, without the head")

# %% [markdown]
# ## How to notice
#
# Code that adds adapters goes wrong quietly. It runs, it trains, it prints a loss; only the result
# is bad, and one blames the method. Before every training, look at four things:
#
# | look at | should be | if not |
# |---|---|---|
# | how many numbers train | the formula, plus the head | a filter by name went wrong |
# | the output before step 1 | the PLM's own | no identity at the start; residual lost |
# | what has moved after a few steps | all of method and head | something is frozen or cut off |
# | the loss after dozens of steps | well below $\ln C$, for $C$ classes | the inputs say nothing |
#
# $\ln 2 = 0.693$ is a number to remember. It is the loss of a two-way classifier that knows nothing
# but the share of the labels. A loss that *stays* there says: whatever the model reads, it can't
# tell the classes apart.
#
# ### A loss that stays at ln 2
#
# This PLM is *uncased*: its words have small letters only, and its tokenizer turns capitals into
# small ones. Let us feed it shouted reviews, once with its own tokenizer, and once with one that
# keeps capitals as they are, as one gets by loading the tokenizer of a cased model.
#
# **What do you expect?** What will the second one make of *THE SOUP WAS STALE*?

# %%
import copy

cased = copy.deepcopy(tokenizer)
cased.backend_tokenizer.normalizer = None
for name, one_of_two in (("its own", tokenizer), ("cased", cased)):
    print(f"{name:8}", one_of_two.tokenize("THE SOUP WAS STALE ."))

# %% [markdown]
# Here is the bare loop, once, without `train`. Every step has examples that were not seen before.

# %%
import math

from course_utils.show import score_curves


def losses(reader, steps=40, size=16):
    """The loss of Houlsby's adapter on shouted reviews, step by step."""
    tuned = tuned_model(Houlsby(), seed=0, task=reviews).train()
    optimizer = torch.optim.AdamW(tuned.trainable_parameters(), lr=3e-3)
    rows, found = reviews.splits["train"], []
    for step in tqdm(range(steps), desc="steps"):
        batch = rows.select(range(step * size, (step + 1) * size))
        shouted = [sentence.upper() for sentence in batch["sentence"]]
        inputs = reader(shouted, padding=True, return_tensors="pt").to(device)
        loss = tuned(**inputs, labels=torch.tensor(batch["label"], device=device)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    smooth = torch.tensor(found).unfold(0, 5, 1).mean(-1)  # of five steps each
    return dict(enumerate(smooth.tolist(), 5))


score_curves(
    {"its own tokenizer": losses(tokenizer), "cased tokenizer": losses(cased)},
    xlabel="step",
    ylabel="training loss",
    references={"ln 2 =": math.log(2)},
    title=f"Shouted reviews, {reviews.name}\n{PLM}, pocket data",
)

# %% [markdown]
# ## Summary
#
# * An adapter is a bottleneck, added to $h$: $2dr + r + d$ numbers. Houlsby puts two into a layer
#   and trains the norms, Pfeiffer one, the parallel adapter stands beside the FFN.
# * It starts near the identity, so that training starts from the PLM. One matrix may be zero, both
#   may not.
# * BitFit shifts all tokens alike by the biases that are there; AdapterBias lets each token choose
#   how far it goes along one vector.
# * Count what trains, compare the output before step 1, see what moved, know what $\ln C$ is.

# %% [markdown]
# ## Exercises
#
# **1. Count (★, 10 minutes)** Houlsby's method on a BERT, norms included and the task's head left
# out.
#
# <details><summary>Hint</summary>
#
# Two adapters in each layer. Two norms in each layer and one behind the embeddings, each with a
# scale and a shift for every dimension.
# </details>

# %%
from course_utils.show.exercises import adapters as exercises


def houlsby_count(layers, width, bottleneck):
    """Numbers that Houlsby's method trains."""
    raise NotImplementedError


exercises.check_houlsby_count(houlsby_count)

# %% [markdown]
# ### Find the bug
#
# A small adapter library, and a mistake in each of its parts. They are no inventions: four of the
# five, and the sixth at the end, were found together in one published program. None of them raises
# an error in a normal run.
#
# Each cell has the code and a check that puts it into a small BERT, trains that for a moment, and
# lists what was expected beside what it got. The verdict is "open" as long as the mistake is in.
# **First read the list, then the code:** from the symptom alone, where would you look? Then mend
# the code in its cell and run it again. One or two lines are enough each time.
#
# **2. What is trained? (★, 10 minutes)** The PLM has an `adapter` in every layer and a new
# `classifier`.
#
# <details><summary>Hint</summary>
#
# Print the names that the line selects. Which names that should train are not among them?
# </details>


# %%
def choose_trained(model):
    """Train the adapters and the classifier; freeze everything else."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad = "adapter" in name


exercises.check_choose_trained(choose_trained)

# %% [markdown]
# **3. LoRA joins the library (★★, 10 minutes)** Somebody has learnt from the last mistake, and adds
# LoRA to the same library. The loss falls. All well?
#
# <details><summary>Hint</summary>
#
# What are LoRA's parameters called? The class is fine; the line that chooses is not.
# </details>


# %%
class LoRALinear(torch.nn.Module):
    """W x + b + B A x, with B = 0 at the start."""

    def __init__(self, linear, rank):
        super().__init__()
        self.linear = linear
        self.lora_A = torch.nn.Parameter(torch.randn(rank, linear.in_features) * 0.1)
        self.lora_B = torch.nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, x):
        return self.linear(x) + x @ self.lora_A.T @ self.lora_B.T


def add_lora(model, rank):
    """LoRA on every query and value; train it and the classifier, nothing else."""
    for layer in model.bert.encoder.layer:
        attention = layer.attention.self
        attention.query = LoRALinear(attention.query, rank)
        attention.value = LoRALinear(attention.value, rank)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = "adapter" in name or "classifier" in name
    return model


exercises.check_add_lora(add_lora)

# %% [markdown]
# **4. A good start (★, 10 minutes)** "Random start values, as for any layer."
#
# <details><summary>Hint</summary>
#
# Which standard deviation did Houlsby et al. choose? Or set one matrix to zero. But see what the
# check says if you set both.
# </details>


# %%
class Adapter(torch.nn.Module):
    """h + W2 gelu(W1 h + b1) + b2."""

    def __init__(self, width, size):
        super().__init__()
        self.down = torch.nn.Linear(width, size)
        self.up = torch.nn.Linear(size, width)
        for linear in (self.down, self.up):
            torch.nn.init.normal_(linear.weight, std=1.0)
            torch.nn.init.zeros_(linear.bias)

    def forward(self, h):
        return h + self.up(F.gelu(self.down(h)))


exercises.check_adapter(Adapter)

# %% [markdown]
# **5. The same symptom (★★, 10 minutes)** This one knows about the start: $W_2 = b_2 = 0$. And yet
# the output has changed at step 0.
#
# <details><summary>Hint</summary>
#
# What does `forward` return when $W_2$ and $b_2$ are zero? What should it return?
# </details>


# %%
class AdaptedFFN(torch.nn.Module):
    """Stands in for the FFN's second map, `dense`: what that puts out goes through an adapter."""

    def __init__(self, dense, size):
        super().__init__()
        self.dense = dense
        self.down = torch.nn.Linear(dense.out_features, size)
        self.up = torch.nn.Linear(size, dense.out_features)
        torch.nn.init.zeros_(self.up.weight)
        torch.nn.init.zeros_(self.up.bias)

    def forward(self, z):
        h = self.dense(z)
        return self.up(F.gelu(self.down(h)))


exercises.check_adapted_ffn(AdaptedFFN)

# %% [markdown]
# **6. Looking at neighbours (★★★, 20 minutes)** Two convolutions of width 3 along the text, so that
# an adapter sees the words beside its own: first from `width` dimensions to `size`, then back. All
# texts of the library are padded to `length` tokens, and it never complained.
#
# <details><summary>Hint</summary>
#
# `Conv1d(channels_in, channels_out, 3)` wants (B, channels, places) and slides along the last
# dimension. $h$ is (B, T, d). What slides along what here? `h.transpose(1, 2)` exchanges the two.
# </details>


# %%
class ConvAdapter(torch.nn.Module):
    """h + up(relu(down(h))), two convolutions along the text."""

    def __init__(self, width, size, length):
        super().__init__()
        self.down = torch.nn.Conv1d(length, size, kernel_size=3, padding=1)
        self.up = torch.nn.Conv1d(size, length, kernel_size=3, padding=1)
        torch.nn.init.zeros_(self.up.weight)
        torch.nn.init.zeros_(self.up.bias)

    def forward(self, h):  # (B, T, d)
        return h + self.up(F.relu(self.down(h)))


exercises.check_conv_adapter(ConvAdapter)

# %% [markdown]
# **7. The wrong tokenizer (★★, 15 minutes)** The sixth mistake seen in the wild is the one you saw
# at $\ln 2$: the tokenizer of a cased model with an uncased PLM. Write the line that would have
# told you before training. Then explain to your neighbour: real texts are not shouted, they have a
# capital here and there. Why is the mistake *harder* to notice then, and on which tasks would it
# hurt most?
#
# <details><summary>Hint</summary>
#
# `tokenizer(texts, add_special_tokens=False)["input_ids"]` is a list of lists. Count
# `tokenizer.unk_token_id` in them. On your neighbour's question: think of names, and of the first
# word of a sentence.
# </details>


# %%
def unknown_share(tokenizer, texts):
    """Which share of all tokens of these texts, special ones left out, is unknown?"""
    raise NotImplementedError


exercises.check_unknown_share(unknown_share)

# %% [markdown]
# ## References
#
# * N. Houlsby et al. Parameter-efficient transfer learning for NLP. ICML 2019.
#   [arXiv:1902.00751](https://arxiv.org/abs/1902.00751). Section 2 is the adapter.
# * J. Pfeiffer, A. Kamath, A. Rücklé, K. Cho, I. Gurevych. AdapterFusion: non-destructive task
#   composition for transfer learning. EACL 2021.
#   [arXiv:2005.00247](https://arxiv.org/abs/2005.00247)
# * J. He, C. Zhou, X. Ma, T. Berg-Kirkpatrick, G. Neubig. Towards a unified view of
#   parameter-efficient transfer learning. ICLR 2022.
#   [arXiv:2110.04366](https://arxiv.org/abs/2110.04366). The parallel adapter.
# * C.-L. Fu, Z.-C. Chen, Y.-R. Lee, H. Lee. AdapterBias: parameter-efficient token-dependent
#   representation shift for adapters in NLP tasks. Findings of NAACL 2022.
#   [arXiv:2205.00305](https://arxiv.org/abs/2205.00305)
# * E. Ben Zaken, S. Ravfogel, Y. Goldberg. BitFit: simple parameter-efficient fine-tuning for
#   transformer-based masked language-models. ACL 2022.
#   [arXiv:2106.10199](https://arxiv.org/abs/2106.10199)
# * R. He et al. On the effectiveness of adapter-based tuning for pretrained language model
#   adaptation. ACL 2021. [arXiv:2106.03164](https://arxiv.org/abs/2106.03164). Small and large data
#   sets.
# * Y. Wang et al. AdaMix: mixture-of-adaptations for parameter-efficient model tuning. EMNLP 2022.
#   [arXiv:2205.12410](https://arxiv.org/abs/2205.12410). Table 1 collects the numbers for GLUE.

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
# # 09 · LoRA and QLoRA
#
# <!-- badges -->
# `under 2 minutes to run` · `75 minutes to read and play` · `CPU is enough` · `works offline`

# %% [markdown]
# ## Why
#
# Fine-tuning moves a weight matrix $W$ to $W + \Delta W$, and $\Delta W$ is as large as $W$. For
# GPT-3 that is 350 GB for every task. **LoRA** (Hu et al., 2021) bets that $\Delta W$ is *simple*:
# that it points in a few directions only, and that two thin matrices hold it. If so, one also gets
# something no adapter can offer: after training the change is added to $W$, and nothing is left to
# compute.
#
# **QLoRA** (Dettmers et al., 2023) goes on: if $W$ is only read, why keep it in 16 bits?
#
# You will check the bet, turn the rank, merge and unmerge, serve several tasks at once, and store a
# PLM in 4.127 bits per weight.

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
# One switch. With `QUICK`, a training is short, and there are two seeds. Believe no difference that
# is smaller than the distance of two dots of one colour.

# %%
QUICK = True
PLM = "pocket-bert-base"

SEEDS = (0, 1) if QUICK else (0, 1, 2, 3, 4)
TRAIN_EXAMPLES, STEPS = (1000, 75) if QUICK else (5000, 1500)
TEST_EXAMPLES = 200 if QUICK else 1000
RATE, FULL_RATE = 3e-3, 5e-4  # of LoRA, and of full fine-tuning

# %%
from tqdm.auto import tqdm

from course_utils import LoRA, TrainSettings, attach, evaluate, load_plm, load_task, train
from course_utils.show import Table


def small(name):
    """A task with small test and dev sets."""
    return load_task(name).subset(TEST_EXAMPLES, split="test").subset(100, split="dev")


def fresh(task):
    """The PLM with a new head for this task; the head's start is always the same."""
    return load_plm(PLM, head="classifier", labels=task.labels, device=device)[0]


# %%
def learn(model, task, seed=0, rate=RATE, steps=STEPS):
    """Train what is not frozen for this many updates; the last one is kept, nothing is selected."""
    settings = TrainSettings(
        steps=steps, learning_rate=rate, evaluate_every=steps, keep="last", seed=seed
    )
    data = task.subset(TRAIN_EXAMPLES, seed=seed)
    train(model, data, tokenizer=tokenizer, settings=settings, progress=False)
    return model


def accuracy(model, task):
    return evaluate(model, task, "test", tokenizer=tokenizer).score


plm, tokenizer = load_plm(PLM, device=device)
task = small("pocket/rte")
print(task.name, "-", task.how_to_answer)

# %% [markdown]
# ## Two thin matrices
#
# Beside a frozen map $W$ with bias $b$ stand $A$ of shape $(r, \text{in})$ and $B$ of shape
# $(\text{out}, r)$:
#
# $$ h \;=\; W x + b + \underbrace{\tfrac{\alpha}{r}\, B A\, x}_{\Delta h},
#    \qquad \Delta W = \tfrac{\alpha}{r} B A, \qquad \operatorname{rank} \Delta W \le r. $$
#
# $A$ starts at random and $B$ at zero, so $\Delta W = 0$: training starts from exactly the
# pre-trained model. (Both at zero would never move: each gradient is a product with the other
# matrix.)

# %%
from course_utils.show import layer_diagram

layer_diagram(["LoRA"], title="LoRA as in the paper: beside query and value")

# %% [markdown]
# ### By hand
#
# One map, rank 2. As if it had been trained, $B$ gets some numbers. **What do you expect:** how
# many numbers has this LoRA, and how many has the map beside which it stands?

# %%
import torch
from torch.nn.functional import linear

query = plm.bert.encoder.layer[0].attention.self.query
tuned = attach(plm, LoRA(rank=2, alpha=4, sites=("query",)))
A, B = query.lora.A, query.lora.B
torch.nn.init.normal_(B, std=0.1, generator=torch.Generator().manual_seed(0))
x = torch.ones(1, 3, A.shape[1]).to(device)  # (batch, tokens, in)
with torch.no_grad():
    by_hand = linear(x, query.weight, query.bias) + 4 / 2 * x @ A.T @ B.T
    difference = (query(x) - by_hand).abs().max()
numbers = A.numel() + B.numel()
tuned.detach()
print(f"A {tuple(A.shape)}, B {tuple(B.shape)}: {numbers:,} numbers")
print(f"beside a map of {query.weight.numel():,}")
print(f"largest difference to the kit's output: {difference:.1e}")

# %% [markdown]
# A map of $\text{in} \times \text{out}$ costs $r\,(\text{in} + \text{out})$. Which maps to adapt is
# a choice; the paper takes query and value.

# %%
ALL = ("query", "key", "value", "attention_output", "ffn_in", "ffn_out")
rows = []
for chosen in (("query", "value"), ("query", "key", "value", "attention_output"), ALL):
    for rank in (1, 8):
        count = LoRA(rank=rank, sites=chosen).count(plm)
        share = f"{100 * count / plm.num_parameters():.2f} %"
        rows.append(
            {"maps": ", ".join(chosen), "rank": rank, "numbers": count, "of the PLM": share}
        )
Table(rows, caption=f"LoRA on {PLM}")

# %% [markdown]
# ## Why should a low rank be enough?
#
# First look at what *full* fine-tuning does, without any LoRA. Here all maps of the layers and the
# head are trained; embeddings, norms and biases stay, so that $\Delta W$ is all there is.
#
# Any matrix is a sum of directions, $\Delta W = \sum_i \sigma_i\, u_i v_i^\top$ (singular value
# decomposition), the strongest first. If the $\sigma_i$ fall quickly, a few directions are nearly
# all.
#
# **What do you expect?** Three curves: the pre-trained $W$ itself, a random matrix, and the change
# $\Delta W$. Which falls fastest?

# %%
from course_utils.plm import sites


def fine_tuned(seed):
    """All maps of the layers and the head trained, everything else frozen."""
    model = fresh(task)
    maps = {f"{site.path}.weight" for site in sites(model).at(*ALL)}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in maps or name in model.newly_initialised)
    return learn(model, task, seed, rate=FULL_RATE)


start = fresh(task)
full = [fine_tuned(seed) for seed in tqdm(SEEDS, desc="full fine-tuning")]


def changes(model, roles=ALL):
    """ΔW of each map by its path, (out, in)."""
    return {
        site.path: site.module.weight.detach() - start.get_submodule(site.path).weight.detach()
        for site in sites(model).at(*roles)
    }


# %%
from course_utils.show import score_curves


def falling(matrices, first=32):
    """Singular values relative to the largest, the mean over matrices: direction -> share."""
    values = torch.stack([torch.linalg.svdvals(m.float()) for m in matrices])  # (n, min(out, in))
    return dict(enumerate((values / values[:, :1]).mean(0)[:first].tolist(), 1))


square = ("query", "key", "value", "attention_output")
weights = [site.module.weight.detach() for site in sites(start).at(*square)]
score_curves(
    {
        "ΔW": falling(changes(full[0], square).values()),
        "W": falling(weights),
        "random": falling([torch.randn_like(w) for w in weights]),
    },
    xlabel="direction",
    ylabel="singular value / largest",
    title=f"Attention maps: full fine-tuning on {task.name}\n{PLM}, pocket data",
)

# %% [markdown]
# ### Do a few directions suffice?
#
# A fall of the singular values is a hint, no proof: perhaps the weak directions matter. So cut.
# Keep the first $r$ directions of *every* map's change, throw the rest away, and measure. (By the
# theorem of Eckart and Young no other matrix of rank $r$ is nearer to $\Delta W$.)
#
# **What do you expect?** The maps have 128 directions. How many are needed for half of the gain?
# For all?

# %%
import copy

CUTS = (0, 1, 2, 4, 8, 16, 128)


@torch.no_grad()
def cut(model, rank):
    """A copy in which each map's change keeps its first `rank` directions only."""
    shorter = copy.deepcopy(model)
    for path, change in changes(model).items():
        u, s, v = torch.linalg.svd(change, full_matrices=False)
        kept = (u[:, :rank] * s[:rank]) @ v[:rank]  # (out, in)
        shorter.get_submodule(path).weight.copy_(start.get_submodule(path).weight + kept)
    return shorter


cut_scores = {
    rank: [accuracy(cut(model, rank), task) for model in full] for rank in tqdm(CUTS, desc="ranks")
}

# %%
from course_utils.show import measured_curves

measured_curves(
    {"full fine-tuning, cut": cut_scores},
    xlabel="directions kept of every ΔW",
    levels={"majority class": task.majority("test")},
    title=f"How many directions does a fine-tuned PLM need? {task.name}\n{PLM}, pocket data",
)

# %% [markdown]
# ## Playground: cut the rank
#
# The change of one value map. Left all of it, in the middle what is left at this rank, right the
# singular values. The accuracy is that of the whole PLM, cut everywhere.
#
# Try: at which rank can *you* no longer see a difference? And the PLM?

# %%
from statistics import fmean

from course_utils.show import rank_playground

value = sites(start).at("value")[-1].path  # of the last layer
rank_playground(changes(full[0])[value], {rank: fmean(s) for rank, s in cut_scores.items()})

# %% [markdown]
# ## The rank
#
# Cutting afterwards is one thing. LoRA never has more than $r$ directions, from the first step on.
# Query and value maps, $\alpha = 16$, ranks far apart, every training the same otherwise.
#
# **What do you expect?** Where does a larger rank stop helping? Commit to a number.

# %%
RANKS = (1, 8, 32)


def with_lora(seed, **choices):
    """A LoRA with these choices, trained from this seed."""
    return learn(attach(fresh(task), LoRA(**choices), seed=seed), task, seed)


by_rank = {
    rank: [with_lora(seed, rank=rank, alpha=16) for seed in SEEDS]
    for rank in tqdm(RANKS, desc="ranks")
}
rank_scores = {rank: [accuracy(m, task) for m in models] for rank, models in by_rank.items()}

# %%
measured_curves(
    {"LoRA": rank_scores},
    xlabel="rank r",
    levels={
        "full fine-tuning": fmean(cut_scores[128]),
        "majority class": task.majority("test"),
    },
    title=f"Accuracy by rank: {task.name}\n{PLM}, pocket data",
)

# %%
rows = []
for rank, (model, *_) in by_rank.items():
    _, update = model.placement.at_sites()[0]
    values = torch.linalg.svdvals(update.weight_change().detach())
    row = {"rank": rank, "numbers": model.count() - model.head_count()}
    row["directions of ΔW (σ > σ₁ / 1000)"] = int((values > values[0] / 1000).sum())
    row["needed for 90 % of ‖ΔW‖²"] = (
        int((values.square().cumsum(0) < 0.9 * values.square().sum()).sum()) + 1
    )
    rows.append(row | {"accuracy": fmean(rank_scores[rank])})
Table(rows, caption=f"First query map; accuracy on {task.name}, mean over seeds (pocket)")

# %% [markdown]
# In the paper the rank hardly matters for GPT-3, if query and value are both adapted (section 7.2).
# Mind what that says: the tasks are near to what GPT-3 can do already. For a task that is far
# from pre-training (another language, say), the paper's authors themselves would not expect rank 1
# to do.
#
# ### Do two ranks find the same directions?
#
# If rank 32 needs few directions, they should be those that a small rank finds as well. Hu et al.
# (section 7.2) compare the spaces spanned by the first $i$ directions of one run and the first $j$
# of another,
#
# $$ \phi(i, j) \;=\; \frac{\lVert V_i^\top V'_j \rVert_F^2}{\min(i, j)} \;\in\; [0, 1], $$
#
# 1 if the smaller space lies in the larger one, 0 if they are at right angles. (They take the
# directions of $A$; we take those of $\Delta W$, since in a short training $A$ is still mostly its
# random start.) Two random spaces in $d$ dimensions have $\phi = \max(i, j) / d$.
#
# **What do you expect?** Rank 8 against rank 32, in the first row and column, and in the last?

# %%
from course_utils.show import heat_map


def directions(tuned):
    """Right singular vectors of each value map's ΔW: (in, directions) each, the strongest first."""
    placed = [update for site, update in tuned.placement.at_sites() if site.role == "value"]
    return [torch.linalg.svd(u.weight_change().detach())[2].T for u in placed]


def overlap(one, other, i, j):
    """φ(i, j), the mean over value maps."""
    pairs = zip(directions(one), directions(other), strict=True)
    return fmean((v[:, :i].T @ w[:, :j]).square().sum().item() / min(i, j) for v, w in pairs)


OF_SMALL, OF_LARGE = (1, 2, 4, 8), (1, 2, 4, 8, 16, 32)
small_rank, large_rank = by_rank[8][0], by_rank[32][0]
heat_map(
    [[overlap(small_rank, large_rank, i, j) for j in OF_LARGE] for i in OF_SMALL],
    rows=[f"{i} of rank 8" for i in OF_SMALL],
    columns=[f"{j} of 32" for j in OF_LARGE],
    unit="φ",
    title=f"Do rank 8 and rank 32 share directions? Value maps, {PLM} (pocket)",
)

# %%
width = start.config.hidden_size
rows = []
for i in (1, 2, 8):
    row = {"first directions": i, "rank 8 and rank 32": overlap(small_rank, large_rank, i, i)}
    row["rank 8, two seeds"] = overlap(by_rank[8][0], by_rank[8][1], i, i)
    rows.append(row | {"random spaces": i / width})
Table(rows, caption="φ(i, i) (pocket)")

# %% [markdown]
# ## Which maps?
#
# With a budget, one may give many numbers to one kind of map, or few to all. **What do you
# expect?** All rows have about as many numbers. Which map alone is the worst place to put them?

# %%
from course_utils.show import score_dots

PLACES = {
    "query, rank 16": ((("query",), 16)),
    "value, rank 16": ((("value",), 16)),
    "FFN, rank 3": ((("ffn_in", "ffn_out"), 3)),
    "all six, rank 2": ((ALL, 2)),
}
placed = {
    name: [with_lora(seed, rank=rank, alpha=2 * rank, sites=where) for seed in SEEDS]
    for name, (where, rank) in tqdm(PLACES.items(), desc="places")
}
where_scores = {
    f"{name}: {models[0].count() - models[0].head_count():,}": [accuracy(m, task) for m in models]
    for name, models in placed.items()
}
count = by_rank[8][0].count() - by_rank[8][0].head_count()
score_dots(
    where_scores | {f"query and value, rank 8: {count:,}": rank_scores[8]},
    majority=task.majority("test"),
    title=f"The same budget in different places: {task.name}\n{PLM}, pocket data",
)

# %% [markdown]
# Published, for GPT-3 with 18 million trained numbers in every column (table 5). Only attention
# maps were tried; QLoRA's authors find later that *all* maps are needed to match full fine-tuning,
# while the rank hardly matters.

# %%
PAPER_MAPS = {
    "query, r = 8": (70.4, 91.0),
    "key, r = 8": (70.0, 90.8),
    "value, r = 8": (73.0, 91.0),
    "output, r = 8": (73.2, 91.3),
    "query and key, r = 4": (71.4, 91.3),
    "query and value, r = 4": (73.7, 91.3),
    "all four, r = 2": (73.7, 91.7),
}
rows = [{"maps": maps, "WikiSQL": w, "MultiNLI": m} for maps, (w, m) in PAPER_MAPS.items()]
Table(rows, caption="GPT-3 175B, validation accuracy in % (Hu et al., 2021, table 5)", digits=1)

# %% [markdown]
# And against full fine-tuning, at full size: GLUE with RoBERTa-large, and table to text (E2E) with
# GPT-2 medium.

# %%
from course_utils.show import published_table

published_table("glue_roberta_large", methods=["full fine-tuning", "LoRA"])

# %%
published_table("e2e_gpt2_medium", methods=["full fine-tuning", "LoRA"])

# %% [markdown]
# ## What is α / r for?
#
# $B A$ is a sum of $r$ products, one per direction. With more of them the sum grows, and every step
# moves the map further; the best learning rate would depend on $r$. The factor $\alpha / r$ is
# meant to take that out, so that one may change the rank and leave the learning rate alone.
#
# **What do you expect?** Twenty steps at the same learning rate, with $\alpha$ fixed and with a
# fixed factor ($\alpha = 2 r$). How does the size of $\Delta W$ depend on the rank?


# %%
def size_after(rank, alpha, steps=20):
    """‖ΔW‖ after a few steps, in per cent of ‖W‖, the mean over the maps."""
    tuned = learn(attach(fresh(task), LoRA(rank=rank, alpha=alpha)), task, steps=steps)
    pairs = [(u.weight_change(), s.module.weight) for s, u in tuned.placement.at_sites()]
    return fmean((100 * change.norm() / weight.norm()).item() for change, weight in pairs)


sizes = {"α = 16, factor 16 / r": {}, "factor 2, α = 2r": {}}
for rank in tqdm((2, 8, 32), desc="ranks"):
    sizes["α = 16, factor 16 / r"][rank] = size_after(rank, 16)
    sizes["factor 2, α = 2r"][rank] = size_after(rank, 2 * rank)
score_curves(
    sizes,
    xlabel="rank r",
    ylabel="size of ΔW, % of W",
    log2=True,
    title=f"After 20 steps at one learning rate\n{PLM}, pocket data",
)

# %% [markdown]
# Is either curve flat? If the blue one falls, $1 / r$ takes out too much; Kalajdzievski (2023)
# argues for $\alpha / \sqrt r$. Many programs fix the factor instead (α = 2r), and whoever then
# doubles the rank takes larger steps as well, perhaps without noticing. When you compare ranks, say
# which rule you used, and let dev choose the learning rate for each.
#
# ## Merge
#
# $W x + \Delta W x = (W + \Delta W)\, x$. So add once, and the model is an ordinary one again. An
# adapter can't do that: between its two matrices stands a non-linearity.
#
# **What do you expect?** How far apart are the outputs of the merged model and of the model with
# LoRA beside it: exactly 0, or nearly? And when the merge is undone?

# %%
from course_utils.tasks.batches import collate
from course_utils.tasks.inputs import encode


def batch_of(task, rows):
    """The first examples of the test set as one padded batch, without labels."""
    few = encode(task, task.splits["test"].select(range(rows)), tokenizer, max_length=128).features
    return {k: v.to(device) for k, v in collate(few, tokenizer).items() if k != "labels"}


@torch.no_grad()
def logits(model, batch):
    return model.eval()(**batch).logits


lora, batch = by_rank[8][0], batch_of(task, 32)
weight_before = lora.plm.get_submodule(value).weight.detach().clone()
beside = logits(lora, batch)
merged = lora.merge()
print(f"merged and beside: largest difference {(logits(merged, batch) - beside).abs().max():.1e}")
lora.unmerge()
weight_after = lora.plm.get_submodule(value).weight
print("unmerged, the weight is the old one bit for bit:", torch.equal(weight_before, weight_after))

# %% [markdown]
# Not exactly 0: floating-point sums depend on their order. For the same reason `unmerge` does not
# subtract. It keeps the old weight; subtracting what was added would not quite lead back.

# %%
change = torch.randn(weight_before.shape, generator=torch.Generator().manual_seed(0)) * 0.01
change = change.to(device)
there_and_back = (weight_before + change) - change
odd = (there_and_back != weight_before).float().mean().item()
print(f"W + ΔW - ΔW differs from W in {odd:.0%} of the weights")

# %% [markdown]
# ### Time
#
# **What do you expect?** One text and a batch of 32; the bare PLM, LoRA beside it, LoRA merged.
# Which numbers differ, and for which batch is the difference larger?

# %%
import time


def milliseconds(models, batch, rounds=25):
    """The fastest forward pass of each model in some rounds; they take turns, for fairness."""
    times = {name: [] for name in models}
    for _ in range(rounds):
        for name, model in models.items():
            begun = time.perf_counter()
            logits(model, batch).cpu()  # a GPU's answer is awaited
            times[name].append(1000 * (time.perf_counter() - begun))
    return {name: min(values) for name, values in times.items()}


forms = {
    "the PLM alone": start,
    "LoRA beside it": lora,
    "LoRA merged": copy.deepcopy(lora).merge(),
}
one, many_texts = milliseconds(forms, batch_of(task, 1)), milliseconds(forms, batch)
rows = [{"": name, "1 text": one[name], "32 texts": many_texts[name]} for name in forms]
Table(
    rows,
    caption=f"Milliseconds per forward pass, the fastest of 25, here and now ({PLM})",
    digits=2,
)

# %% [markdown]
# Run the cell again before you interpret it: a busy computer moves such numbers. Which order stays?
# What LoRA costs beside the map is not its arithmetic, which is tiny, but two more small products
# to *start* for each map. So compare the two columns in per cent.
#
# ## GPT-2: a transposed, fused map
#
# Two traps. GPT-2 stores its maps as `Conv1D`, the *transpose* of a `Linear`: a merge has to add
# $\Delta W^\top$. And query, key and value are *one* matrix of $d \times 3d$; the paper adapts
# query and value, so the middle third must stay as it is.
#
# **What do you expect?** After merging, how much has each third changed?

# %%
gpt, _ = load_plm("pocket-gpt2", device=device)
fused = gpt.transformer.h[0].attn.c_attn
print(f"{type(fused).__name__}, weight {tuple(fused.weight.shape)}: (in, out), out = 3 × width")
before = fused.weight.detach().clone()
tuned = attach(gpt, LoRA(rank=4, sites=("query", "value")))
print("beside it:", ", ".join(name for name, _ in fused.named_children()))
for _, update in tuned.placement.at_sites():
    torch.nn.init.normal_(update.B, std=0.02)  # as if trained
tuned.merge()
thirds = (fused.weight.detach() - before).chunk(3, dim=1)
rows = [
    {"third": name, "‖change‖": third.norm().item()}
    for name, third in zip(("query", "key", "value"), thirds, strict=True)
]
tuned.unmerge().detach()
Table(rows, caption="pocket-gpt2, first layer")

# %% [markdown]
# ## Many tasks, one PLM
#
# Merged, LoRA is free, but the PLM then serves one task. Kept beside it, a task is a small file,
# and switching means pointing at other numbers. Two more tasks, the same rank:

# %%
import tempfile
from pathlib import Path

from course_utils.show.memory import readable
from course_utils.tuning import SeveralTasks

others = {name: small(f"pocket/{name}") for name in ("agnews", "sst2")}
tasks = {"rte": task} | others
loras = {"rte": lora}
for name, other in tqdm(others.items(), desc="tasks"):
    loras[name] = learn(attach(fresh(other), LoRA(rank=8, alpha=16)), other, steps=STEPS // 2)
alone = {name: logits(loras[name], batch_of(tasks[name], 4)) for name in tasks}

with tempfile.TemporaryDirectory() as folder:
    folders = {name: loras[name].save(Path(folder) / name) for name in tasks}
    many = SeveralTasks(fresh(task), folders)
kept = [{"": name, "in memory": readable(size)} for name, size in many.storage().items()]
Table(kept, caption="One frozen PLM, and what each task adds (head included)")

# %% [markdown]
# Switch in place, and ask each task's own test set:

# %%
rows = []
for name in tasks:
    many.use(name)
    rows.append({"in use": name, "accuracy": accuracy(many.tuned, tasks[name])})
Table(rows, caption=f"One {PLM}, three tasks in turn (pocket data)")

# %% [markdown]
# Then something a merged model can't do: *one batch* with rows of different tasks. Everything
# frozen sees the whole batch; beside it, each row meets its own $A$ and $B$, and its own head.
#
# **What do you expect?** Does a row's answer depend on which rows stand beside it?

# %%
features = []
for name in tasks:
    four = tasks[name].splits["test"].select(range(4))
    features += encode(tasks[name], four, tokenizer, max_length=128).features
mixed = {k: v.to(device) for k, v in collate(features, tokenizer).items() if k != "labels"}
names = [name for name in tasks for _ in range(4)]
together = many.logits(mixed, names)
apart = [row for name in tasks for row in alone[name]]
gap = max((a - b).abs().max().item() for a, b in zip(together, apart, strict=True))
print("labels per row:", *(len(row) for row in together))
print(f"largest difference to the answers of each task alone: {gap:.1e}")

# %% [markdown]
# ## QLoRA: a frozen weight need not be exact
#
# LoRA made the *trained* part small. What fills the memory now is the frozen PLM, and it is only
# read. QLoRA stores it in four bits and turns each map into numbers again where it is needed:
#
# $$ h \;=\; \hat W x + b + \tfrac{\alpha}{r} B A\, x,
#    \qquad \hat W = \text{read}(\text{store}(W)). $$
#
# Only $A$ and $B$ learn, in full precision, and they learn *around* the rounding.
#
# ### Which 16 values?
#
# Four bits number 16 values. Weights of a trained map are spread about like a normal distribution,
# many near zero, few far out. Evenly spaced values would waste most of themselves on the empty
# ends. **NF4** takes the quantiles of the normal distribution, so that each value is used about
# equally often, scaled to $[-1, 1]$, with an exact zero.
#
# **What do you expect?** Where do NF4's values stand closest?

# %%
from course_utils.show import code_book_chart
from course_utils.show.four_bits import BOOKS
from course_utils.tuning.nf4 import code_book

maps = {site.path: site.module.weight.detach().cpu() for site in sites(start).at(*ALL)}
blocks = torch.cat([w.flatten() for w in maps.values()]).view(-1, 64)  # (n / 64, 64)
quotients = blocks / blocks.abs().amax(1, keepdim=True)
code_book_chart(
    quotients,
    {name: book() for name, book in BOOKS.items()},
    title=f"Weights of {PLM} in blocks of 64, and the values of two code books",
)

# %% [markdown]
# ### One block by hand
#
# A block of weights is divided by its largest absolute value, its *constant* $c$. Of each quotient
# only the number of the nearest value in the book is stored:
#
# $$ c = \max_i |w_i|, \qquad
#    n_i = \operatorname*{argmin}_n \left| \text{book}_n - \frac{w_i}{c} \right|, \qquad
#    \hat w_i = c \cdot \text{book}_{n_i}. $$

# %%
book, block = code_book(), blocks[0, :8]
constant = block.abs().max()
numbers = ((block / constant)[:, None] - book).abs().argmin(1)
rows = [
    {
        "w": w,
        "w / c": w / constant.item(),
        "stored": n,
        "in bits": f"{n:04b}",
        "read": r,
        "off by": r - w,
    }
    for w, n, r in zip(
        block.tolist(), numbers.tolist(), (constant * book[numbers]).tolist(), strict=True
    )
]
Table(rows, caption=f"Eight weights as a block; c = {constant:.4f}", digits=4)

# %% [markdown]
# ### Why blocks?
#
# One constant for a whole matrix would be cheapest. But constants follow the *largest* weight, and
# one outlier pushes all others towards the same few codes. In blocks, an outlier spoils its block
# only.
#
# Move `outlier`: weight number 5 becomes that many times as large as the largest other one. Which
# weights suffer? What does a smaller block save, and what does it cost in bits?

# %%
from course_utils.show import block_playground

block_playground(blocks[:4].flatten())

# %% [markdown]
# **What do you expect?** The error over all maps, by size of block, for both books. And what does a
# block of 16 cost, in bits per weight?

# %%
from course_utils.show.four_bits import relative_error
from course_utils.tuning.nf4 import bits_per_weight

BLOCKS = (16, 64, 256, 1024, 4096, 16384)
errors = {
    name: {s: 100 * fmean(relative_error(w, book(), s) for w in maps.values()) for s in BLOCKS}
    for name, book in BOOKS.items()
}
score_curves(
    errors,
    xlabel="weights in a block",
    ylabel="error, % of the weights",
    log2=True,
    title=f"What four bits lose: all maps of {PLM} (pocket)",
)

# %% [markdown]
# ### Counting bits
#
# A constant in 32 bits, shared by 64 weights, adds half a bit to each: 4.5. **Double quantisation**
# stores the constants in 8 bits too, 256 of them sharing one 32-bit scale:
#
# $$ 4 + \frac{8}{64} + \frac{32}{64 \cdot 256} \;=\; 4.127 \text{ bits per weight.} $$
#
# **What do you expect:** 0.373 bits saved per weight. What is that for a model of 65 billion?

# %%
from course_utils.tuning.nf4 import NF4

rows = []
wide = maps["bert.encoder.layer.0.intermediate.dense"]
for size in (16, 64, 256):
    for double in (False, True):
        stored = NF4(wide, block=size, double=double)
        rows.append(
            {
                "block": size,
                "double": double,
                "by the formula": bits_per_weight(size, double),
                "bytes really kept, in bits": 8 * stored.stored_bytes() / wide.numel(),
                "error": ((stored.weight() - wide).norm() / wide.norm()).item(),
            }
        )
print(f"0.373 bits of 65 billion weights: {readable(0.373 / 8 * 65e9)}")
Table(rows, caption=f"One map of {tuple(wide.shape)}")

# %% [markdown]
# ### Do the answers survive?
#
# All maps read back from four bits, nothing trained: the PLM's zero-shot answers to reviews, before
# and after.

# %%
from course_utils import PromptModel
from course_utils.show.four_bits import read_back

reviews = others["sst2"]
texts = reviews.splits["test"]
exact = PromptModel.for_task(plm, tokenizer, reviews, 0).predict(texts)
rows = [{"stored in": "32-bit numbers", "accuracy": exact.accuracy(texts["label"])}]
for name, book in BOOKS.items():
    for size in (64, 4096):
        rounded, _ = load_plm(PLM, device=device)
        for site in sites(rounded).at(*ALL):
            weight = read_back(site.module.weight.detach().cpu(), book(), size)
            site.module.weight.data.copy_(weight)
        found = PromptModel.for_task(rounded, tokenizer, reviews, 0).predict(texts)
        moved = (found.probabilities - exact.probabilities).abs().mean().item()
        row = {"stored in": f"{name}, blocks of {size}", "accuracy": found.accuracy(texts["label"])}
        rows.append(row | {"a probability moves by": moved})
Table(rows, caption=f"{reviews.name}, zero-shot ({PLM}, pocket data)")

# %% [markdown]
# ### Train on it
#
# LoRA of rank 2 at all maps, on the exact PLM and on one in four bits. **What do you expect?** How
# much accuracy do you lose for an eighth of the memory?

# %%
from course_utils.tuning import QLoRA
from course_utils.tuning.qlora import memory

quantised = [
    learn(attach(fresh(task), QLoRA(rank=2, alpha=4), seed=seed), task, seed)
    for seed in tqdm(SEEDS, desc="QLoRA")
]
print(memory(quantised[0]))

# %%
score_dots(
    {
        "LoRA on 32-bit weights": [accuracy(model, task) for model in placed["all six, rank 2"]],
        "QLoRA, NF4 weights": [accuracy(model, task) for model in quantised],
    },
    majority=task.majority("test"),
    title=f"The same LoRA on exact and on 4-bit weights: {task.name}\n{PLM}, pocket data",
)

# %% [markdown]
# Dettmers et al. (2023) store models of up to 13 billion parameters in four bits and compare their
# perplexities, nothing trained: NF4 comes out ahead of four-bit integers and floats.
#
# ## Memory: who can train what?
#
# Trained numbers are dear: with AdamW in mixed precision 16 bytes each (a 16-bit copy and its
# gradient, a 32-bit master copy and two moments). Frozen ones cost what they are stored in. `count`
# works on a model without any weights, so that counting for 175 billion costs nothing. LoRA sits at
# query and value with rank 8; QLoRA at all maps with rank 64, as in its paper.
#
# **What do you expect?** Which of these can be trained on one GPU of 48 GB? On Colab's, with 15 GB?

# %%
import transformers as hf


def llama(width, layers, inner, heads, groups):
    """A model of this shape without any weights."""
    shape = {"hidden_size": width, "num_hidden_layers": layers, "intermediate_size": inner}
    heads = {"num_attention_heads": heads, "num_key_value_heads": groups}
    return hf.LlamaForCausalLM(hf.LlamaConfig(**shape, **heads))


with torch.device("meta"):
    shapes = {
        "TinyLlama, 1.1B": llama(2048, 22, 5632, 32, 4),
        "LLaMA, 7B": llama(4096, 32, 11008, 32, 32),
        "LLaMA, 65B": llama(8192, 80, 22016, 64, 64),
    }
    gpt3 = {"n_embd": 12288, "n_layer": 96, "n_head": 96, "n_positions": 2048}
    shapes["GPT-3, 175B"] = hf.GPT2LMHeadModel(hf.GPT2Config(**gpt3))

# %%
from course_utils.show.memory import bytes_to_train

needs, rows = {}, []
for name, model in shapes.items():
    size = model.num_parameters()
    few, more = LoRA(rank=8).count(model), QLoRA(rank=64).count(model)
    ways = {
        "full fine-tuning": bytes_to_train(size, mixed=True),
        "LoRA": bytes_to_train(size + few, few, frozen_kind="bfloat16", mixed=True),
        "QLoRA": bytes_to_train(size + more, more, frozen_kind="nf4", mixed=True),
    }
    needs[name] = {way: found.total for way, found in ways.items()}
    row = {"": name, "LoRA trains": f"{few / 1e6:.1f}M", "QLoRA trains": f"{more / 1e6:.0f}M"}
    rows.append(row | {way: readable(total) for way, total in needs[name].items()})
Table(rows, caption="To train, without activations")

# %%
from course_utils.show import amount_bars

amount_bars(
    needs["LLaMA, 65B"],
    log=True,
    limit=("one GPU of 48 GB", 48e9),
    write=readable,
    title="Training a model of 65 billion parameters, without activations",
)

# %% [markdown]
# The paper counts 780 GB for full fine-tuning of 65B and 48 GB for QLoRA: twelve bytes per
# parameter, since it leaves the master copy out, and with activations and its paged optimizer (not
# in this kit) for QLoRA. Embeddings are in four bits in our table too, a little too optimistic:
# QLoRA stores the maps only.
#
# ## Playground: memory
#
# Choose a model, how many numbers are trained, how the frozen ones are stored. Which of the three
# knobs matters when you *train*, and which when you *keep a hundred tasks*?

# %%
from course_utils.show import memory_playground

memory_playground(parameters=65e9, added=20e6)

# %% [markdown]
# ## Summary
#
# * LoRA freezes $W$ and learns $\Delta W = \frac{\alpha}{r} B A$. $B = 0$ at the start, so it
#   starts at the PLM; $r (\text{in} + \text{out})$ numbers per map.
# * Low rank is a bet about tasks. Cutting the change of full fine-tuning shows how good a bet it is
#   here; in the paper rank 1 to 8 does for GPT-3. Where to put the numbers matters as much as how
#   many.
# * $\alpha / r$ is there so that the learning rate may stay when the rank changes. Check whether it
#   does.
# * Merged, it costs nothing; kept beside, one PLM serves many tasks, in one batch if need be. To go
#   back, keep the old weights: floating-point sums can't be undone.
# * QLoRA stores the frozen maps in 4-bit NF4: normal quantiles, a constant per block of 64, the
#   constants quantised again, 4.127 bits in all. The LoRA learns around the rounding.

# %% [markdown]
# ## Exercises
#
# **1. LoRA's forward pass (★, 10 minutes)** Write it out, for rows of inputs.
#
# <details><summary>Hint</summary>
#
# For rows, $W x$ is `x @ W.T`. $r$ is `A.shape[0]`. Multiply by $A$ first: $B A$ as a matrix would
# be as large as $W$.
# </details>

# %%
from course_utils.show.exercises import lora_and_qlora as exercises


def forward(x, W, b, A, B, alpha):
    """h = W x + b + (α / r) B A x.

    Args:
        x: (..., in).
        W, b: (out, in) and (out,).
        A, B: (r, in) and (out, r).

    Returns:
        (..., out).
    """
    raise NotImplementedError


exercises.check_forward(forward)

# %% [markdown]
# **2. Merge (★★, 10 minutes)** For both ways of storing a weight. Leave the given `W` as it is:
# somebody may want to go back.
#
# <details><summary>Hint</summary>
#
# `B @ A` is (out, in). A `Conv1D` stores (in, out). `W + ...` makes a new tensor, `W += ...` does
# not.
# </details>


# %%
def merge(W, A, B, alpha, transposed):
    """The weight that computes the same without LoRA.

    Args:
        W: (out, in), or (in, out) if `transposed`.
        A, B: (r, in) and (out, r).

    Returns:
        a new tensor of W's shape.
    """
    raise NotImplementedError


exercises.check_merge(merge)

# %% [markdown]
# **3. Store a row of weights in four bits (★★★, 20 minutes)** Block by block: the constant, and for
# each weight the number of the nearest value in the book.
#
# <details><summary>Hint</summary>
#
# `weights.view(-1, block)`; `.abs().amax(1)`; divide with `[:, None]`. Then compare every quotient
# with all 16 values: `(q[:, None] - book).abs().argmin(1)`.
# </details>


# %%
def store(weights, book, block):
    """Numbers in the book, and constants.

    Args:
        weights: (n,), n a multiple of `block`.
        book: (16,), rising from -1 to 1.
        block: weights that share a constant.

    Returns:
        (codes (n,), constants (n / block,))
    """
    raise NotImplementedError


exercises.check_store(store)

# %% [markdown]
# **4. Count the bits (★, 5 minutes)** Per weight, for any size of block, with and without double
# quantisation (256 constants share a scale).
#
# <details><summary>Hint</summary>
#
# Who shares what with how many? A scale of 32 bits serves 256 constants, each of which serves a
# block.
# </details>


# %%
def bits(block, double):
    """Bits per weight."""
    raise NotImplementedError


exercises.check_bits(bits)

# %% [markdown]
# **5. A task for a higher rank (★★★, 30 minutes)** The bet can fail. Teach the PLM something far
# from its pre-training: shuffle the words of every premise and hypothesis by a fixed rule (reverse
# them, say), in all splits, and repeat the rank sweep. Where does the curve flatten now? Does full
# fine-tuning, cut to rank $r$, tell you so beforehand?
#
# <details><summary>Hint</summary>
#
# `task.splits[name].map(...)` gives a changed data set; `dataclasses.replace(task, splits=...)` a
# task with it. Train longer than here (`STEPS = 400`), and with at least three seeds.
# </details>

# %% [markdown]
# ## References
#
# * E. Hu et al. LoRA: low-rank adaptation of large language models. ICLR 2022.
#   [arXiv:2106.09685](https://arxiv.org/abs/2106.09685). Tables 5 and 6, figures 3 and 4.
# * T. Dettmers et al. QLoRA: efficient finetuning of quantized LLMs. NeurIPS 2023.
#   [arXiv:2305.14314](https://arxiv.org/abs/2305.14314)
# * A. Aghajanyan, L. Zettlemoyer, S. Gupta. Intrinsic dimensionality explains the effectiveness of
#   language model fine-tuning. ACL 2021. [arXiv:2012.13255](https://arxiv.org/abs/2012.13255).
#   Where the bet came from.
# * D. Kalajdzievski. A rank stabilization scaling factor for fine-tuning with LoRA. 2023.
#   [arXiv:2312.03732](https://arxiv.org/abs/2312.03732)
# * S. Rajbhandari et al. ZeRO: memory optimizations toward training trillion parameter models. SC
#   2020. [arXiv:1910.02054](https://arxiv.org/abs/1910.02054). The sixteen bytes.

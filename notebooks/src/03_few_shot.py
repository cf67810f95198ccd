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
# # 03 · Few-shot: prompt-based fine-tuning and LM-BFF
#
# <!-- badges -->
# `about 2 minutes to run` · `75 minutes to read and play` · `CPU is enough` · `works offline`

# %% [markdown]
# ## Why
#
# You have 16 labelled examples per class, an afternoon, and no budget. Fine-tuning with a fresh head
# was made for thousands of examples; a zero-shot prompt uses none of yours. In between lies
# *prompt-based fine-tuning*: ask with a prompt, and train the PLM on the answers.
#
# **LM-BFF** (better few-shot fine-tuning of language models; Gao et al., 2021) adds two ideas: show
# solved examples in the input, and let a PLM find the prompt. You will take it apart, piece by piece,
# and measure each piece.

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
# One switch. LM-BFF repeats everything with five draws of the few examples: one draw is an anecdote.
# With `QUICK` there are two, enough to see how things are done. Believe no difference here that is
# smaller than the spread of the dots.

# %%
QUICK = True
PLM = "pocket-bert-base"

SEEDS = (0, 1) if QUICK else (13, 21, 42, 87, 100)  # the latter are the paper's
SHOTS = 16  # labelled examples per class
TEST_EXAMPLES = 200 if QUICK else 1000
STEPS = 30 if QUICK else 200
DRAWS = 3 if QUICK else 16  # of demonstrations, averaged at test time

# %% [markdown]
# The task is a verdict on reviews. We ask in a wording that was kept out of the texts the pocket PLM
# was pre-trained on, so that there is something to learn. And we do as the paper does: the dev set is
# as small as the training set. Who has 32 labels for training does not have 500 for choosing.

# %%
from course_utils import load_plm, load_task
from course_utils.show import Table

task = load_task("pocket/sst2").subset(TEST_EXAMPLES, split="test")
wording = next(prompt for prompt in task.prompts if prompt.held_out)
TEMPLATE = wording.template
WORDS = {label: words[0] for label, words in wording.words.items()}  # one word each


def few_shot(shots, seed):
    """The task with `shots` examples per class in train and in dev."""
    return task.subset(per_class=shots, seed=seed).subset(per_class=shots, seed=seed, split="dev")


few = few_shot(SHOTS, seed=0)
print({name: len(rows) for name, rows in few.splits.items() if name in ("train", "dev", "test")})
Table([{"template": TEMPLATE, **WORDS}])

# %% [markdown]
# ## Prompt-based fine-tuning
#
# The label's probability is that of its word at the gap; the loss is the usual one,
#
# $$ \mathcal{L} \;=\; -\log p(y \mid x), \qquad
#    p(y \mid x) = \operatorname{softmax}_{y}\; s(v(y) \mid T(x)), $$
#
# with the PLM's own logits $s$. No parameter is new: the PLM is fine-tuned with the head it was
# pre-trained with. So it starts where zero-shot stands, while a fresh head starts at a guess.
#
# **What do you expect?** Which of the two is further from its goal at step 0, and by how much?

# %%
from course_utils import PromptModel, evaluate

plm, tokenizer = load_plm(PLM, device=device)
prompted = PromptModel(plm, tokenizer, TEMPLATE, WORDS, labels=task.labels)
zero_shot = evaluate(prompted, task, "test", tokenizer=tokenizer)
headed, _ = load_plm(PLM, head="classifier", labels=task.labels, device=device)
untrained = evaluate(headed, task, "test", tokenizer=tokenizer)
Table(
    [
        {"at step 0": "prompt", "test accuracy": zero_shot.score},
        {"at step 0": "fresh head", "test accuracy": untrained.score},
    ],
    caption=f"{task.name} ({PLM}, pocket data)",
)

# %% [markdown]
# ## Few labels, more labels
#
# Three ways, at three sizes of the training set: through the prompt; with a head; and with a head on
# the same architecture *without* pre-training, the control. A fresh head has far to go and gets larger
# steps; a PLM that already answers should not be shaken.
#
# **What do you expect?** Draw three curves. Do the first two meet? Where?

# %%
from dataclasses import replace

from tqdm.auto import tqdm

from course_utils import TrainSettings, train

SETTINGS = TrainSettings(steps=STEPS, evaluate_every=STEPS // 3)  # the best third on dev is kept
RATES = {"prompt": 1e-4, "head": 3e-4, "demonstrations": 3e-4}


def tuned(way, shots, seed, pretrained=True):
    """Test accuracy after fine-tuning on `shots` examples per class."""
    head = {"head": "lm"} if way == "prompt" else {"head": "classifier", "labels": task.labels}
    model, _ = load_plm(PLM, pretrained=pretrained, device=device, seed=seed, **head)
    if way == "prompt":
        model = PromptModel(model, tokenizer, TEMPLATE, WORDS, labels=task.labels)
    settings = replace(SETTINGS, learning_rate=RATES[way], seed=seed)
    train(model, few_shot(shots, seed), tokenizer=tokenizer, settings=settings, progress=False)
    return evaluate(model, task, "test", tokenizer=tokenizer).score


curves = {"prompt": {}, "head": {}, "head, no pre-training": {}}
for shots in tqdm((4, SHOTS, 64), desc="numbers of examples"):
    curves["prompt"][shots] = [tuned("prompt", shots, seed) for seed in SEEDS]
    curves["head"][shots] = [tuned("head", shots, seed) for seed in SEEDS]
    curves["head, no pre-training"][shots] = [tuned("head", shots, s, False) for s in SEEDS]

# %%
from course_utils.show import score_curves

score_curves(
    curves,
    xlabel="labelled examples per class (train, and as many in dev)",
    log2=True,
    majority=task.majority("test"),
    references={"zero-shot prompt": zero_shot.score},
    title=f"Prompt or head? {task.name}\n{PLM}, pocket data",
)

# %% [markdown]
# Look at three things. Which curve is higher where labels are few, and how wide are its dots apart?
# Is the prompt's curve above its own zero-shot line everywhere? If not, the few examples have done
# harm: always put zero-shot beside few-shot. And how far above the control is the head: that distance
# is what pre-training was worth.
#
# ### Full-size numbers
#
# From Gao et al. (2021), table 3: RoBERTa-large, 16 examples per class, mean of five draws.

# %%
PUBLISHED = {
    "fine-tuning with a head": 48.4,
    "prompt-based fine-tuning": 77.2,
    "with demonstrations": 79.7,
}
Table([{"SNLI": way, "accuracy, %": score} for way, score in PUBLISHED.items()], digits=1)

# %% [markdown]
# ## LM-BFF, part 1: demonstrations
#
# GPT-3 learns from examples in its input without any training. LM-BFF gives a masked PLM the same
# help, *and* trains it: behind the query stand solved examples,
#
# $$ T(x) \;\oplus\; T(x^{(1)}, y^{(1)}) \;\oplus\; \dots \;\oplus\; T(x^{(L)}, y^{(L)}), $$
#
# where $T(x, y)$ is the template with the label's word in the gap. The rules:
#
# * one example per label, in the order of the labels, joined by the PLM's separator;
# * never the query itself (in training it is in the pool, with its answer);
# * drawn at random from the half of each label's examples that is most similar to the query, by the
#   cosine of sentence embeddings;
# * in training every step takes another draw; at test time the answers of several draws are averaged.
#
# Which sentence embeddings? The paper takes a sentence-transformers model. By default, the kit takes the
# mean of the PLM's own last hidden vectors, which costs nothing extra.

# %%
from course_utils.prompting import DemonstratedPrompt

shown = DemonstratedPrompt(
    plm, tokenizer, TEMPLATE, WORDS, labels=task.labels, pool=few.splits["train"], draws=DRAWS
)
query = task.splits["test"][0]
print(shown.render(query).replace(" [SEP] ", "\n[SEP] "))

# %% [markdown]
# **What do you expect?** Which of the 32 training examples are most like the query, in the PLM's eyes:
# those with the same verdict, or those about the same things?

# %%
import torch

embed = shown.pool.embed
vector = torch.nn.functional.normalize(embed([query["sentence"]]), dim=-1)[0]  # (d,)
rows = []
for label, candidates in zip(task.labels, shown.pool.candidates(query), strict=True):
    for place, row in ((1, candidates[0]), (2, candidates[1]), (len(candidates), candidates[-1])):
        other = torch.nn.functional.normalize(embed([row["sentence"]]), dim=-1)[0]
        rows.append(
            {"label": label, "place": place, "cosine": float(vector @ other), "": row["sentence"]}
        )
Table(rows, caption=f"query: {query['sentence']}", digits=2)

# %% [markdown]
# ### Playground: demonstrations
#
# One draw can turn an answer round. Move `draw` and watch the upper bars; the lower ones are the mean
# over all draws. **What do you expect:** for which queries does the draw matter most, those that are
# easy or those on the edge?

# %%
from course_utils.show import demonstration_playground

demonstration_playground(shown, task.splits["test"].select(range(20)))

# %% [markdown]
# ### Do they help?
#
# Four combinations: with and without demonstrations, with and without training. The texts that this
# pocket PLM was pre-trained on hold no solved examples; only those of `pocket-gpt2` do. (So the way
# is longer than for the query alone, and the steps are larger.) **What do you expect** of demonstrations without training,
# and then with it?


# %%
def with_demonstrations(seed, steps):
    """Test accuracy with demonstrations, after that many steps of training (0: none)."""
    model, _ = load_plm(PLM, device=device, seed=seed)
    data = few_shot(SHOTS, seed)
    options = {"pool": data.splits["train"], "draws": DRAWS, "seed": seed}
    asked = DemonstratedPrompt(model, tokenizer, TEMPLATE, WORDS, labels=task.labels, **options)
    if steps:
        settings = replace(SETTINGS, learning_rate=RATES["demonstrations"], seed=seed)
        train(asked, data, tokenizer=tokenizer, settings=settings, progress=False)
    return evaluate(asked, task, "test", tokenizer=tokenizer).score


compared = {
    "not trained": {
        "query alone": zero_shot.score,
        "with demonstrations": [with_demonstrations(seed, 0) for seed in SEEDS],
    },
    f"trained on {SHOTS} per class": {
        "query alone": curves["prompt"][SHOTS],
        "with demonstrations": [
            with_demonstrations(seed, STEPS) for seed in tqdm(SEEDS, desc="draws")
        ],
    },
}

# %%
from course_utils.show import score_dots

score_dots(
    compared,
    majority=task.majority("test"),
    title=f"Demonstrations, {task.name}\n{PLM}, pocket data",
)

# %% [markdown]
# For RoBERTa-large the paper finds a gain on most tasks. A loss would be a finding, too. Ask what
# the demonstrations look like to *this* PLM: reviews full of praise and blame, about something
# else, right beside the query, joined in a way it has never read. It has to find out that they are
# examples. Does training bring the two rows nearer to each other? (You can let it train longer:
# `STEPS`.) `pocket-gpt2`, which has read rows of solved examples, is asked in notebook 05.
#
# ## LM-BFF, part 2: label words found by the PLM
#
# Who says that *bad* and *good* are the best words? The PLM can be asked:
#
# 1. per label, take the words with the highest mean logit at the gap over that label's training
#    examples: what the PLM itself would say;
# 2. try all combinations of one candidate per label, zero-shot, on the training set;
# 3. fine-tune with the best few, and let dev choose.
#
# Step 2 is cheap: the logits at the gap are worked out once, a combination only picks columns.
#
# **What do you expect?** Will the words found be synonyms of yours, opposites, or something odd?

# %%
from course_utils.prompting import search_label_words

found = search_label_words(prompted, few.splits["train"], top_words=100, keep=8)
Table(
    [{**pair.words, "zero-shot on train": pair.accuracy} for pair in found],
    caption=f"{TEMPLATE}   (yours: {', '.join(WORDS.values())})",
)

# %% [markdown]
# Combinations often tie: with so few examples there are few values an accuracy can take. And of
# many thousand combinations some fit 32 examples by luck. Which of these would you have thought of,
# and which can you explain? The third part, choosing on dev after fine-tuning, is `try_prompts`;
# here for two of the finds and for your words.

# %%
from course_utils.prompting import try_prompts

settings = replace(SETTINGS, learning_rate=RATES["prompt"])
candidates = [(TEMPLATE, pair.words) for pair in found[:2]] + [(TEMPLATE, WORDS)]
tried = try_prompts(PLM, few, candidates, settings=settings, progress=False)
Table([{**one.words, "dev after tuning": one.dev_score} for one in tried])

# %% [markdown]
# ## LM-BFF, part 3: templates found by a PLM
#
# The other way round: fix the words, let a PLM write the text between. In the frame
# `{sentence} * {mask} *` the right label word is put in for the gap, and the stars are filled so that
# *all* training examples together find them likely (beam search). LM-BFF lets T5 do it, which was
# pre-trained to fill in stretches of any length. Without a T5, the masked PLM fills a number of gaps
# from left to right.
#
# **What do you expect?** Will what is found read like English?

# %%
from course_utils.prompting import search_templates

FRAME = "{sentence} * {mask} *"
BEAM, LONGEST = (4, 2) if QUICK else (20, 3)  # the paper's beam is 100
written = search_templates(
    plm, tokenizer, FRAME, WORDS, few.splits["train"], beam=BEAM, longest=LONGEST, keep=6
)
Table(
    [{"template": one.text, "mean log p": one.score} for one in written],
    caption=f"frame {FRAME}, words {', '.join(WORDS.values())}",
)

# %% [markdown]
# ## By hand or automatic?
#
# Now measure, the whole procedure for each draw of the few examples: search on its training set, take
# the best find, fine-tune, test. **What do you expect?** Put the three rows of each section in order.


# %%
def accuracies(template, words, seed):
    """Test accuracy of a prompt before and after fine-tuning."""
    model, _ = load_plm(PLM, device=device, seed=seed)
    asked = PromptModel(model, tokenizer, template, words, labels=task.labels)
    before = evaluate(asked, task, "test", tokenizer=tokenizer).score
    settings = replace(SETTINGS, learning_rate=RATES["prompt"], seed=seed)
    train(asked, few_shot(SHOTS, seed), tokenizer=tokenizer, settings=settings, progress=False)
    return before, evaluate(asked, task, "test", tokenizer=tokenizer).score


results = {
    "zero-shot": {"by hand": zero_shot.score},
    f"fine-tuned on {SHOTS} per class": {"by hand": curves["prompt"][SHOTS]},
}
for seed in SEEDS:
    data = few_shot(SHOTS, seed).splits["train"]
    words = search_label_words(prompted, data, keep=1)[0].words
    text = search_templates(plm, tokenizer, FRAME, WORDS, data, beam=BEAM, longest=LONGEST, keep=1)[
        0
    ].text
    prompts = {
        "automatic words": (TEMPLATE, words),
        "automatic template": (text, WORDS),
    }
    for name, prompt in tqdm(prompts.items(), desc=f"draw {seed}"):
        for section, score in zip(results.values(), accuracies(*prompt, seed), strict=True):
            section.setdefault(name, []).append(score)

# %%
score_dots(
    results,
    majority=task.majority("test"),
    title=f"Prompts by hand and found by the PLM, {task.name}\n{PLM}, pocket data",
)

# %% [markdown]
# In the paper, automatic prompts are about as good as those written by experts: sometimes better,
# sometimes worse. That is already much, if there is no expert. Mind what was searched, though: the
# template by hand here is one that the PLM never read; a search may find one that it has. (Compare
# the first template found with the first wording of the task, `task.prompts[0].template`.) How much
# of the difference at zero-shot does fine-tuning leave?
#
# ## A prompt and a small method together
#
# Nothing in a prompt says that *all* parameters must move. Put any method of the second half of
# this course under it; here LoRA. Or freeze the whole PLM and train the label words' vectors alone,
# the *soft verbalizer* of notebook 02. **What do you expect** the accuracy to lose, for how many
# fewer trained parameters?

# %%
from course_utils import FullFineTuning, LoRA, attach

WAYS = {
    "everything": (FullFineTuning(), RATES["prompt"]),
    "LoRA": (LoRA(rank=4), 1e-3),
    "soft verbalizer alone": (None, 1e-3),
}
rows = []
for name, (method, rate) in WAYS.items():
    model, _ = load_plm(PLM, device=device)
    under = attach(model, method) if method else model.requires_grad_(False)
    asked = PromptModel(
        under, tokenizer, TEMPLATE, WORDS, labels=task.labels, soft_verbalizer=method is None
    )
    settings = replace(SETTINGS, learning_rate=rate)
    train(asked, few, tokenizer=tokenizer, settings=settings, progress=False)
    score = evaluate(asked, task, "test", tokenizer=tokenizer).score
    count = sum(p.numel() for p in asked.parameters() if p.requires_grad)
    rows.append({"trained through the prompt": name, "numbers": count, "test accuracy": score})
Table(rows, caption=f"{task.name}, {SHOTS} per class, one draw ({PLM}, pocket data)")

# %% [markdown]
# One draw, and one test set: believe in differences of a few points only after several. (Zero-shot
# stood in the first table.)

# %% [markdown]
# ## Summary
#
# * Prompt-based fine-tuning trains the PLM through its own head: no new parameters, a start at
#   zero-shot instead of at a guess. In the papers its advantage over a head is largest where labels are
#   fewest; what does your curve say?
# * Few examples can also do harm. Zero-shot belongs beside every few-shot number, and several draws
#   behind it.
# * Demonstrations show one solved example per label, similar to the query, never the query itself;
#   several draws are averaged. A PLM has to be able to *use* them.
# * Label words and templates can be searched with the PLM's own logits. Dev decides, and dev is small.

# %% [markdown]
# ## Exercises
#
# **1. Draw demonstrations (★★, 15 minutes)** One example of each label, at random, in label order,
# never the query itself (its text).
#
# <details><summary>Hint</summary>
#
# Go through `range(n_labels)`. In a list comprehension, keep the rows of that label whose text differs
# from the query's; `rng.choice` of them.
# </details>

# %%
from course_utils.show.exercises import few_shot as exercises


def draw(query, pool, n_labels, rng):
    """One demonstration per label.

    Args:
        query: a row with "text" and "label"; it may be in the pool.
        pool: rows like it.
        n_labels: labels are 0 to n_labels - 1.
        rng: a random.Random.

    Returns:
        a list of n_labels rows.
    """
    raise NotImplementedError


exercises.check_draw(draw)

# %% [markdown]
# **2. The most similar half (★★, 15 minutes)** Which rows of `vectors` are most like `query`?
#
# <details><summary>Hint</summary>
#
# The cosine is the dot product of vectors divided by their lengths:
# `torch.nn.functional.normalize(..., dim=-1)`. Then `argsort(descending=True)`. At least one row.
# </details>


# %%
def most_similar(query, vectors, share):
    """Row numbers of the most similar vectors, the best first.

    Args:
        query: (d,).
        vectors: (n, d), of any length.
        share: 0.5 is half of the rows, rounded down, but at least one.

    Returns:
        a list of row numbers.
    """
    raise NotImplementedError


exercises.check_most_similar(most_similar)

# %% [markdown]
# **3. Candidates for label words (★★, 10 minutes)** The first step of the search.
#
# <details><summary>Hint</summary>
#
# `logits[labels == number]` are the rows of one label. Mean over rows, then `topk(k).indices`.
# </details>


# %%
def candidate_words(logits, labels, n_labels, k):
    """Per label the k words with the highest mean logit over its examples.

    Args:
        logits: (n, V) at the gap.
        labels: (n,) label ids.

    Returns:
        n_labels lists of k word ids, likeliest first.
    """
    raise NotImplementedError


exercises.check_candidate_words(candidate_words)

# %% [markdown]
# **4. How many combinations? (★, 5 minutes)** Natural language inference has three labels. With 100
# candidates for each, how many combinations are there to score (words that repeat included)?

# %%
combinations = ...

exercises.check_combinations(combinations, 100, 3)

# %% [markdown]
# ## References
#
# * T. Gao, A. Fisch, D. Chen. Making pre-trained language models better few-shot learners. ACL 2021.
#   [arXiv:2012.15723](https://arxiv.org/abs/2012.15723). LM-BFF; section 5 is the search, section 6 the
#   demonstrations, table 3 the numbers above.
# * T. Schick, H. Schütze. Exploiting cloze questions for few shot text classification and natural
#   language inference. EACL 2021. [arXiv:2001.07676](https://arxiv.org/abs/2001.07676)
# * T. Brown et al. Language models are few-shot learners. NeurIPS 2020.
#   [arXiv:2005.14165](https://arxiv.org/abs/2005.14165)
# * C. Raffel et al. Exploring the limits of transfer learning with a unified text-to-text transformer.
#   JMLR 2020. [arXiv:1910.10683](https://arxiv.org/abs/1910.10683). (T5)
# * N. Reimers, I. Gurevych. Sentence-BERT: sentence embeddings using Siamese BERT-networks. EMNLP 2019.
#   [arXiv:1908.10084](https://arxiv.org/abs/1908.10084)
# * E. Perez, D. Kiela, K. Cho. True few-shot learning with language models. NeurIPS 2021.
#   [arXiv:2105.11447](https://arxiv.org/abs/2105.11447). What choosing on a large dev set hides.

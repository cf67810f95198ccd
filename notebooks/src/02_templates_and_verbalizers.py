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
# # 02 · Templates and verbalizers
#
# <!-- badges -->
# `under 2 minutes to run` · `60 minutes to read and play` · `CPU is enough` · `works offline`

# %% [markdown]
# ## Why
#
# A masked PLM was pre-trained to do one thing: say which word stands in a gap. The usual way to make
# a classifier of it throws that skill away and puts a fresh, ignorant head on top. With few labels,
# that head is the weak part.
#
# *Prompting* asks in the form the PLM knows. Two small things turn a gap into a classifier:
#
# * a **template** (also: pattern) writes an example as a text with a gap,
# * a **verbalizer** says which words in the gap stand for which label.
#
# You will build both by hand, see how much depends on them, and take out part of the luck.

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
# One switch: `QUICK` keeps the notebook under two minutes on a laptop. Without it, every score is
# taken on the whole test set. `PLM` may be any masked PLM that `load_plm` knows.

# %%
QUICK = True
PLM = "pocket-bert-base"

TEST_EXAMPLES = 300 if QUICK else 1000
EXPLORED = 100 if QUICK else 500  # examples behind the verbalizer explorer

# %% [markdown]
# ## A question with a gap
#
# *Natural language inference*: does a second sentence (the hypothesis) follow from a first (the
# premise)? There are three answers. `pocket/snli` asks it about scenes of the pocket world, in the
# columns and labels of the real data set SNLI. (A few labels in it are wrong, as in any real one.)

# %%
from course_utils import load_plm, load_task
from course_utils.show import Table

task = load_task("pocket/snli").subset(TEST_EXAMPLES, split="test")
print(task.how_to_answer)
dev = task.splits["dev"]
examples = [next(row for row in dev if row["label"] == number) for number in range(3)]
Table([{**row, "label": task.labels[row["label"]]} for row in examples])

# %% [markdown]
# How would a person ask that with a gap? The course's standing example is
#
# > premise **?** \_\_\_\_ **,** hypothesis
#
# One would write *yes* there if the hypothesis follows, *no* if it can't be, *maybe* otherwise. That
# is the whole trick: the template is `{premise} ? {mask} , {hypothesis}`, the verbalizer is
#
# $$ v(\text{entailment}) = \text{yes}, \quad v(\text{neutral}) = \text{maybe}, \quad
#    v(\text{contradiction}) = \text{no}. $$
#
# The PLM reads the text $T(x)$ and gives every word $w$ of its vocabulary a logit $s(w)$ at the gap.
# Of all these we look at the label words only (Schick & Schütze, 2021, section 3.1):
#
# $$ p(y \mid x) \;=\; \frac{\exp s(v(y) \mid T(x))}{\sum_{y'} \exp s(v(y') \mid T(x))} $$
#
# ### By hand
#
# **What do you expect?** The table above has one example of each label. For which of them will the
# PLM be surest?

# %%
import torch

plm, tokenizer = load_plm(PLM, device=device)
plm.eval()
words = ["yes", "maybe", "no"]  # in the order of the labels
by_hand = []
for row in examples:
    text = f"{row['premise']} ? {tokenizer.mask_token} , {row['hypothesis']}"
    batch = tokenizer(text, return_tensors="pt").to(device)  # input_ids (1, T)
    gap = (batch["input_ids"][0] == tokenizer.mask_token_id).nonzero().item()
    with torch.inference_mode():
        logits = plm(**batch).logits[0, gap]  # (V,)
    by_hand.append(logits[tokenizer.convert_tokens_to_ids(words)].softmax(-1))  # (3,)
rows = [{word: round(float(x), 3) for word, x in zip(words, p, strict=True)} for p in by_hand]
Table([{"label": task.labels[i], **row} for i, row in enumerate(rows)], caption=task.prompts[0][0])

# %% [markdown]
# ### With the kit
#
# `PromptModel` is the same for any template, verbalizer and PLM, and for whole batches. It should
# give the same numbers. Does it?

# %%
from course_utils import PromptModel

template = "{premise} ? {mask} , {hypothesis}"
verbalizer = {"entailment": "yes", "neutral": "maybe", "contradiction": "no"}
prompted = PromptModel(plm, tokenizer, template, verbalizer)
shares = prompted.predict(examples).probabilities  # (3, 3)
print(f"largest difference: {(shares - torch.stack(by_hand).cpu()).abs().max():.1e}")

# %% [markdown]
# **What do you expect?** How many *new* parameters does a prompt need, how many a classification head?

# %%
classifier, _ = load_plm(PLM, head="classifier", labels=task.labels)


def fresh(model):
    """Parameters that pre-training has never seen."""
    return sum(p.numel() for name, p in model.named_parameters() if name in model.newly_initialised)


Table([{"way": "head", "fresh": fresh(classifier)}, {"way": "prompt", "fresh": fresh(plm)}])

# %% [markdown]
# ## The template language
#
# A template is a line of text. In braces stand the columns of the task and the gap; everything else
# is literal. A few options cover what papers need: `{column:strip}` drops the final full stop,
# `{column:lower}` starts in lower case, `{column:keep}` is never shortened, `{sep}` begins BERT's
# second segment, `{soft:20}` holds twenty vectors that belong to no word (a later notebook), and
# `{{` is a brace.

# %%
from course_utils.prompting import Template

forms = (
    "{premise} ? {mask} , {hypothesis}",
    "{premise} {sep} {hypothesis} ? {mask} .",
    "is it true that {hypothesis:strip,lower} ? {mask} . {premise:keep}",
    "{{{premise}}} {mask} {soft:3} {hypothesis}",
)
Table([{"template": form, "filled in": Template(form).render(examples[0])} for form in forms])

# %% [markdown]
# ### When a text is too long
#
# A PLM reads so many tokens and no more. Cutting the end off, as one does for classifiers, might cut
# off the gap itself. A template is shortened with care: the gap, the literal words and `:keep` fields
# stay; tokens go one at a time from the end of the *longest* field.
#
# **What do you expect?** A premise said six times, and little room. What is left at each size?

# %%
long = {**examples[0], "premise": " and ".join([examples[0]["premise"]] * 6)}
rows = []
for room in (64, 32, 20):
    ids = Template(template).encode(long, tokenizer, max_length=room)["input_ids"]
    rows.append({"room": room, "tokens": len(ids), "the PLM reads": tokenizer.decode(ids)})
Table(rows)

# %% [markdown]
# ### When a template is wrong
#
# It says so before any work, and points at the place. **What do you expect** is wrong with each of
# these four? (The last one is asked of a causal PLM, such as GPT.)

# %%
from course_utils.errors import CourseError

for broken, kind in (
    ("{premise} ? [MASK] , {hypothesis}", "masked"),
    ("{premise} ? {mask} , {hypotesis}", "masked"),
    ("{premise ? {mask} , {hypothesis}", "masked"),
    ("{premise} ? {mask} , {hypothesis}", "causal"),
):
    try:
        Template(broken).check(tokenizer, kind=kind, columns=task.columns)
    except CourseError as error:
        print(error, "\n")

# %% [markdown]
# ### Other kinds of PLM
#
# The last error is no accident. What a gap *is* depends on how the PLM was pre-trained; the
# template language and the calls stay the same.
#
# | PLM | the gap | the course's example |
# |---|---|---|
# | masked: BERT, RoBERTa | the mask token, anywhere | premise ? `[MASK]` , hypothesis |
# | causal: GPT-2, Llama | the next token: comes last | premise . is it true that hypothesis ? |
# | encoder-decoder: T5 | `<extra_id_0>`, for its decoder | premise ? `<extra_id_0>` , hypothesis |
#
# **What do you expect** of a causal PLM on the three examples of above?

# %%
gpt, gpt_tokenizer = load_plm("pocket-gpt2", device=device)
gap_last = "{premise} . is it true that {hypothesis} ? {mask}"
causal = PromptModel(gpt, gpt_tokenizer, gap_last, verbalizer)
rows = causal.predict(examples).probabilities.tolist()  # 3 x 3
Table(
    [
        {"label": label, **dict(zip(verbalizer.values(), row, strict=True))}
        for label, row in zip(task.labels, rows, strict=True)
    ],
    caption=f"{gap_last}   (pocket-gpt2)",
)

# %% [markdown]
# ## Playground: templates
#
# Type, and watch. The upper bars are the labels (the right one has a tick), the lower ones the words
# the PLM would like best of all. If no label word is among those, the template asks something else
# than you meant.
#
# Try: leave out the question mark. Leave out the comma. Swap premise and hypothesis. Write *not*
# somewhere. Ask about something else entirely.

# %%
from course_utils.show import template_playground

template_playground(plm, tokenizer, examples, template, verbalizer)

# %% [markdown]
# ## How much does the wording matter?
#
# Each task brings several wordings. Some occur in the texts that the pocket PLMs were pre-trained on;
# others were kept out, word for word. A good score with the first kind can be *recall* of a phrase.
# With the second kind, the PLM has to understand the question, at least a little.
#
# **What do you expect?** How far apart are the best and the worst wording of the same question? Does
# the gap between the two kinds say more about the PLM or about its texts?

# %%
from course_utils.show import score_dots


def answers_of(task):
    """The test set asked in each of the task's wordings: template -> (prompt, its answers)."""
    test, found = task.splits["test"], {}
    for number, wording in enumerate(task.prompts):
        asked = PromptModel.for_task(plm, tokenizer, task, number)
        found[wording.template] = (asked, asked.predict(test))
    return found


def scores_by_kind(task):
    """Accuracy of each wording, in two sections: those the PLM has read, those kept out."""
    gold = task.splits["test"]["label"]
    kinds = {"wordings it has read": {}, "new wordings": {}}
    for wording in task.prompts:
        kind = "new wordings" if wording.held_out else "wordings it has read"
        _, found = asked[task.name][wording.template]
        kinds[kind][wording.template] = found.accuracy(gold)
    return kinds


reviews = load_task("pocket/sst2").subset(TEST_EXAMPLES, split="test")
asked = {task.name: answers_of(task), reviews.name: answers_of(reviews)}

# %%
from IPython.display import display

for one in (task, reviews):
    chart = score_dots(
        scores_by_kind(one),
        majority=one.majority("test"),
        title=f"Zero-shot, {one.name}: one question, many wordings\n{PLM}, pocket data",
    )
    display(chart)

# %% [markdown]
# ### Small changes
#
# Not a word of the question changes in the first seven rows, only punctuation and place. The last two
# put nonsense into it or leave the premise out: do they score worse? Webson and Pavlick (2022) found
# that PLMs fine-tuned with irrelevant or misleading templates learn about as fast as with good ones.
# A good score does not prove that the template was *understood*.
#
# **What do you expect?** Rank the rows before you run the cell.

# %%
CHANGES = {
    "as it was": "{premise} ? {mask} , {hypothesis}",
    "no comma": "{premise} ? {mask} {hypothesis}",
    "no question mark": "{premise} {mask} , {hypothesis}",
    "neither": "{premise} {mask} {hypothesis}",
    "gap first": "{mask} , {premise} ? {hypothesis}",
    "gap last": "{premise} ? {hypothesis} , {mask}",
    "swapped": "{hypothesis} ? {mask} , {premise}",
    "beside the point": "{premise} ? {mask} , the soup was stale . {hypothesis}",
    "only the hypothesis": "{mask} , {hypothesis}",
}
test = task.splits["test"]
scores = {}
for name, text in CHANGES.items():
    found = PromptModel(plm, tokenizer, text, verbalizer).predict(test)
    scores[f"{name}:  {text}"] = found.accuracy(test["label"])
score_dots(
    scores,
    majority=task.majority("test"),
    title=f"Small changes to one template, {task.name}\n{PLM}, pocket data",
)

# %% [markdown]
# "Only the hypothesis" can't do better than the majority class by reading the premise, because it is
# not there. If it does all the same, the *data* give the label away, and so they do in the real SNLI
# (Gururangan et al., 2018). Keep such a row in every comparison of prompts.
#
# Choosing the best of many rows on a test set is a kind of training on it. Choose on dev.

# %% [markdown]
# ## Verbalizers
#
# The other half. A label may have one word or several; its score is then the *mean of their logits*
# (PET), so a label with more words has no advantage:
#
# $$ s(y) \;=\; \frac{1}{|v(y)|} \sum_{w \in v(y)} s(w \mid T(x)) $$
#
# **What do you expect?** Six verbalizers for one template. What happens to the accuracy if *good* and
# *bad* change places? And with words that mean nothing here?

# %%
WORDS = {
    "one word": {"negative": "bad", "positive": "good"},
    "another word": {"negative": "terrible", "positive": "great"},
    "four words each": {
        "negative": ["terrible", "bad", "awful", "horrible"],
        "positive": ["great", "good", "wonderful", "excellent"],
    },
    "labels' names": {"negative": "negative", "positive": "positive"},
    "changed places": {"negative": "good", "positive": "bad"},
    "beside the point": {"negative": "monday", "positive": "friday"},
}
question, test = "{sentence} it was {mask} .", reviews.splits["test"]
scores = {}
for name, words in WORDS.items():
    found = PromptModel(plm, tokenizer, question, words).predict(test)
    scores[name] = found.accuracy(test["label"])
score_dots(
    scores,
    majority=reviews.majority("test"),
    title=f"Six verbalizers, one template: {question}\n{PLM}, pocket data",
)

# %% [markdown]
# A label word must be *one* token of this PLM's vocabulary, unless you allow more. PET then puts in
# as many masks as the word has tokens, takes the token it is surest of, fills it in, and looks
# again (the second paper of Schick & Schütze below, section 3.1). **What do you expect** of *really
# bad* against *really good*, and of *not good* against *very good*?

# %%
from course_utils.prompting import Verbalizer

some = test.select(range(100))
rows = []
for pair in (("bad", "good"), ("really bad", "really good"), ("not good", "very good")):
    two = Verbalizer(dict(zip(reviews.labels, pair, strict=True)), multi_token=True)
    found = PromptModel(plm, tokenizer, question, two).predict(some)
    right = found.accuracy(some["label"])
    rows.append({"negative": pair[0], "positive": pair[1], "accuracy": right})
Table(rows, caption=f"{question}   {len(some)} reviews ({PLM}, pocket data)")

# %% [markdown]
# Two words that mean the opposite need not be an even match: one may be the likelier one behind *it
# was*, whatever the review says. That is worth a look at the answers themselves (`found.ids`), and
# it is what the section on calibration is about.
#
# Byte-level tokenizers (RoBERTa, GPT-2) distinguish ` great` with a space before it from `great`;
# the kit takes the one that stands inside a sentence. A word that does not work is named, with near
# ones that do:

# %%
for words in (
    {"negative": "bad", "positive": "wonderfull"},
    {"negative": "bad", "positive": "bad"},
):
    try:
        Verbalizer(words).token_ids(tokenizer)
    except CourseError as error:
        print(error, "\n")

# %% [markdown]
# ## Playground: verbalizers
#
# Words between commas. The answers follow as you type: the logits at the gap were worked out once, and
# words only choose among them. `right` is the accuracy on labelled training examples; the counts show
# *which* mistakes are made; the last table names words that are likelier for one label than for the
# others. Notebook 03 makes a search for label words of that.
#
# Try: one word only. A word that is right but rare. A word that is common and says nothing. Can you
# make the PLM always give the same answer?

# %%
from course_utils.show import verbalizer_explorer

explored = reviews.subset(EXPLORED, seed=0).splits["train"]
new = next(wording for wording in reviews.prompts if wording.held_out)  # not in the PLM's texts
verbalizer_explorer(plm, tokenizer, explored, new.template, WORDS["one word"])

# %% [markdown]
# ## Calibration
#
# Some words are likely in *any* text. Ask the PLM about a text that says nothing, and it still prefers
# a label. **What do you expect:** which one, in a new wording?

# %%
from course_utils.prompting import Calibration
from course_utils.show import label_bars

priors = {}
for wording in reviews.prompts:
    if wording.held_out:
        empty = asked[reviews.name][wording.template][0]
        prior = Calibration.content_free(empty).prior
        priors[wording.template] = dict(zip(reviews.labels, prior, strict=True))
label_bars(priors, title=f"What the PLM answers to no text at all\n{PLM}, pocket data")

# %% [markdown]
# *Contextual calibration* (Zhao et al., 2021) divides this preference out. With $p_0$ the answer to
# content-free inputs (the mean over "N/A", "[MASK]" and the empty text),
#
# $$ q(y \mid x) \;=\; \frac{p(y \mid x) / p_0(y)}{\sum_{y'} p(y' \mid x) / p_0(y')} , $$
#
# so an input that says nothing is answered evenly. It needs no data at all; with unlabelled examples,
# their mean answer may serve as $p_0$ instead.
#
# **What do you expect?** For which wordings does it help, and can it do harm?

# %%
scores = {}
for text, (prompt, found) in asked[reviews.name].items():
    gold = reviews.splits["test"]["label"]
    from_data = Calibration.from_examples(prompt, reviews.splits["unlabelled"].select(range(100)))
    scores[text] = {
        "as it is": found.accuracy(gold),
        "content-free": Calibration.content_free(prompt).apply(found).accuracy(gold),
        "unlabelled examples": from_data.apply(found).accuracy(gold),
    }
score_dots(
    {text: scores[text] for text in [w.template for w in reviews.prompts][-3:]},
    majority=reviews.majority("test"),
    title=f"With and without calibration, {reviews.name}\n{PLM}, pocket data",
)

# %% [markdown]
# Over all wordings of the task: did the mean rise, and did the spread shrink? (Both is what the paper
# reports for GPT-3 and in-context learning; notebook 05 comes back to that.)

# %%
from statistics import fmean, stdev

ways = next(iter(scores.values()))
Table(
    [
        {
            "calibration": way,
            "mean": fmean(row[way] for row in scores.values()),
            "spread": stdev([row[way] for row in scores.values()]),
            "worst": min(row[way] for row in scores.values()),
        }
        for way in ways
    ],
    caption=f"Accuracy over {len(scores)} wordings of {reviews.name} ({PLM}, pocket data)",
)

# %% [markdown]
# ## Where words end
#
# Why words at all? The label score is linear in the PLM's output vectors of the label words. A **soft
# verbalizer** starts from those vectors and trains them; a **soft prompt** does the same at the input.
# At the start nothing has changed:

# %%
soft = PromptModel(plm, tokenizer, question, WORDS["four words each"], soft_verbalizer=True)
hard = PromptModel(plm, tokenizer, question, WORDS["four words each"])
few = test.select(range(20))
difference = (soft.predict(few).scores - hard.predict(few).scores).abs().max()
count = sum(p.numel() for p in soft.soft_verbalizer.parameters())
print(f"largest difference: {difference:.1e}; parameters that may now move: {count:,}")

# %% [markdown]
# ## Summary
#
# * A template writes an example as a text with a gap; a verbalizer names the words for each label.
#   The PLM's own word scores, restricted to these, are the classifier. Nothing is new, nothing trained.
# * Wordings that mean the same score differently. Report several, choose on dev, and keep a control
#   (only the hypothesis, words beside the point) in the comparison.
# * Pocket PLMs have *read* some wordings; a wording they have not read is the honest test.
# * Calibration divides out what the PLM would say about no text at all.

# %% [markdown]
# ## Exercises
#
# **1. From logits to labels (★, 10 minutes)** Write the verbalizer: the logits of the whole vocabulary
# at the gap come in, one probability per label goes out.
#
# <details><summary>Hint</summary>
#
# `logits[ids].mean()` is a label's score. Collect one per label with `torch.stack`, then one softmax.
# </details>

# %%
from course_utils.show.exercises import templates_and_verbalizers as exercises


def label_probabilities(logits, words):
    """p(label) from the logits at the gap.

    Args:
        logits: (V,) of every word.
        words: per label a list of word ids.

    Returns:
        a tensor of shape (n_labels,) that sums to 1.
    """
    raise NotImplementedError


exercises.check_label_probabilities(label_probabilities)

# %% [markdown]
# **2. Shorten with care (★★, 15 minutes)** A filled-in template comes as parts: lists of tokens, some
# of which may be cut. Drop tokens one at a time from the end of the part that is longest at that
# moment, until all fit.
#
# <details><summary>Hint</summary>
#
# A `while` loop. In it, `max((part for part, may_be_cut in ... if may_be_cut), key=len).pop()`. Work on
# copies of the lists.
# </details>


# %%
def shorten(parts, room):
    """Cut a filled-in template to at most `room` tokens.

    Args:
        parts: list of (tokens, may_be_cut).
        room: how many tokens may stay in all.

    Returns:
        the lists of tokens, in the same order.
    """
    raise NotImplementedError


exercises.check_shorten(shorten)

# %% [markdown]
# **3. Calibrate (★, 10 minutes)** Divide the preference out, for a batch.
#
# <details><summary>Hint</summary>
#
# Divide first; then each row by its own sum. `keepdim=True` keeps the shapes in step.
# </details>


# %%
def calibrated(p, p_free):
    """Contextual calibration.

    Args:
        p: (n, n_labels) probabilities.
        p_free: (n_labels,) what is answered to content-free inputs.

    Returns:
        (n, n_labels), rows sum to 1.
    """
    raise NotImplementedError


exercises.check_calibrated(calibrated)

# %% [markdown]
# **4. Your own template (★★, 20 minutes)** Write a template for reviews that stands in no list of this
# notebook, with *good* and *bad* as words, and beats the worst wording of the task on **dev**. When
# the check is content, score it on test, once. Is it as good there?
#
# <details><summary>Hint</summary>
#
# Use the template playground with `reviews.splits["dev"]`: where *good* and *bad* are among the
# likeliest words of all, the question has been understood. Short and plain beats clever.
# </details>

# %%
own_template = ...


def dev_accuracy(text):
    """Zero-shot accuracy of a template on dev, with one word per label."""
    asked = PromptModel(plm, tokenizer, text, WORDS["one word"])
    return asked.predict(reviews.splits["dev"]).accuracy(reviews.splits["dev"]["label"])


known = [w.template for w in reviews.prompts if "good" in w.words["positive"]]
worst = min(dev_accuracy(text) for text in known)
exercises.check_own_template(own_template, dev_accuracy, worst, known)

# %% [markdown]
# ## References
#
# * T. Schick, H. Schütze. Exploiting cloze questions for few shot text classification and natural
#   language inference. EACL 2021. [arXiv:2001.07676](https://arxiv.org/abs/2001.07676). Patterns and
#   verbalizers; section 3.1 is the equation above.
# * T. Schick, H. Schütze. It's not just size that matters: small language models are also few-shot
#   learners. NAACL 2021. [arXiv:2009.07118](https://arxiv.org/abs/2009.07118). Words of several tokens.
# * P. Liu et al. Pre-train, prompt, and predict: a systematic survey of prompting methods in natural
#   language processing. ACM Computing Surveys 2023. [arXiv:2107.13586](https://arxiv.org/abs/2107.13586)
# * T. Zhao, E. Wallace, S. Feng, D. Klein, S. Singh. Calibrate before use: improving few-shot
#   performance of language models. ICML 2021. [arXiv:2102.09690](https://arxiv.org/abs/2102.09690)
# * A. Webson, E. Pavlick. Do prompt-based models really understand the meaning of their prompts?
#   NAACL 2022. [arXiv:2109.01247](https://arxiv.org/abs/2109.01247)
# * S. Gururangan et al. Annotation artifacts in natural language inference data. NAACL 2018.
#   [arXiv:1803.02324](https://arxiv.org/abs/1803.02324)
# * S. Bowman et al. A large annotated corpus for learning natural language inference. EMNLP 2015.
#   [arXiv:1508.05326](https://arxiv.org/abs/1508.05326). (SNLI)
# * K. Hambardzumyan, H. Khachatrian, J. May. WARP: word-level adversarial reprogramming. ACL 2021.
#   [arXiv:2101.00121](https://arxiv.org/abs/2101.00121). Trained vectors for label words.

"""Playgrounds for templates and verbalizers: type, and see what the PLM answers.

Both take a masked PLM, or a causal one with templates whose mask is last. A key press costs one
forward pass of one example (templates) or none at all (verbalizers: the logits at the mask are
worked out once, words only choose among their columns).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import ipywidgets as ipw
import torch

from course_utils.errors import CourseError
from course_utils.prompting import PromptModel, Template, Verbalizer
from course_utils.prompting.verbalizer import whole_words
from course_utils.show.bars import probability_bars
from course_utils.show.tables import Page, Table
from course_utils.show.widgets import WIDE, Playground, playground
from course_utils.show.words import named_words

Example = Mapping[str, object]


def template_playground(
    model,
    tokenizer,
    example: Example | Sequence[Example],
    template: str,
    words: Mapping[str, str | Sequence[str]],
    k: int = 5,
) -> Playground:
    """Type a template and label words; see the label bars and the likeliest words of all.

    Args:
        model, tokenizer: a PLM with its language-modelling head; for a causal one the mask is last.
        example: column -> text, what the template's fields are filled with; several: one is chosen
            by a slider. A "label" (an id) is marked in the bars.
        template: the text of a `Template`, with `{column}` fields and `{mask}`.
        words: label -> its words; where they are typed, a comma stands between them.
        k: how many of the likeliest words.
    """
    examples = [example] if isinstance(example, Mapping) else list(example)

    def answer(template: str, number: int = 1, **typed: str) -> Page:
        chosen = examples[number - 1]
        verbalizer = typed_verbalizer(typed)
        asked = PromptModel(model, tokenizer, template, verbalizer, soft=_soft(template))
        logits = asked.word_logits([chosen])[0]  # (V,)
        chances = verbalizer.probabilities(logits, tokenizer).tolist()
        names = {label: f"{label} ({', '.join(verbalizer.words[label])})" for label in words}
        right = list(words)[chosen["label"]] if _has_label(chosen, words) else None
        labels = probability_bars(
            zip(names.values(), chances, strict=True),
            asked.template.render(chosen),
            mark=names.get(right),
        )
        others = probability_bars(named_words(tokenizer, logits, k), "likeliest words of all")
        return Page(labels.html + others.html, f"{labels}\n{others}")

    knobs: dict[str, ipw.Widget] = {"template": _line("template", template), **_word_lines(words)}
    if len(examples) > 1:
        knobs["number"] = ipw.IntSlider(
            value=1, min=1, max=len(examples), description="example", **WIDE
        )
    return playground(answer, **knobs)


def verbalizer_explorer(
    model,
    tokenizer,
    examples: Sequence[Example],
    template: str | Template,
    words: Mapping[str, str | Sequence[str]],
    k: int = 6,
) -> Playground:
    """Type label words; see at once what they score on labelled examples, and which would suit.

    Args:
        examples: rows with a "label" (an id); a hundred or two are plenty.
        template: stays as it is.
        words: label -> its words; where they are typed, a comma stands between them. The order of
            the labels is that of the ids.
        k: how many words are suggested for each label.

    Raises:
        CourseError: no examples, or one without a label.
    """
    labels = list(words)
    examples = list(examples)
    if not examples or not all(_has_label(row, words) for row in examples):
        raise CourseError("the explorer needs examples, each with a label: use a dev or train set.")
    gold = torch.tensor([row["label"] for row in examples])
    asked = PromptModel(model, tokenizer, template, Verbalizer(words))
    starts = range(0, len(examples), 32)
    logits = torch.cat([asked.word_logits(examples[at : at + 32]).cpu().float() for at in starts])
    suggested = Table(
        _set_apart(logits, gold, labels, tokenizer, k),
        caption="words that set a label's examples apart from the others'",
    )

    def answer(**typed: str) -> Page:
        verbalizer = typed_verbalizer(typed)
        scores = verbalizer.scores(logits, tokenizer)  # (n, n_labels)
        given = scores.argmax(-1)
        right = (given == gold).float().mean().item()
        bars = probability_bars(
            {f"said {name}": (given == i).float().mean().item() for i, name in enumerate(labels)}
            | {"right": right, "commonest label": max(Counter(gold.tolist()).values()) / len(gold)},
            f"{len(gold)} examples, asked: {asked.template.text}",
            mark="right",
        )
        rows = [
            {"in truth": name}
            | {
                f"said {other}": int(((gold == i) & (given == j)).sum())
                for j, other in enumerate(labels)
            }
            for i, name in enumerate(labels)
        ]
        counts = Table(rows, caption="truth and answers")
        html = "".join(page.html for page in (bars, counts, suggested))
        return Page(html, f"{bars}\n{counts}\n{suggested}")

    return playground(answer, **_word_lines(words))


def typed_verbalizer(typed: Mapping[str, str]) -> Verbalizer:
    """Label -> "word, word" as somebody types it, to a `Verbalizer`.

    Raises:
        CourseError: a label without words, a word for two labels.
    """
    return Verbalizer(
        {label: [w.strip() for w in line.split(",") if w.strip()] for label, line in typed.items()}
    )


def _soft(template: str) -> str | None:
    """What fills {soft:N}, where it is typed: vectors of common words."""
    return "vocabulary" if Template(template).n_soft else None


def _set_apart(logits, gold, labels, tokenizer, k: int) -> list[dict[str, object]]:
    """Per label the words whose mean log-probability is highest above that of other labels."""
    vocabulary = whole_words(tokenizer)
    names, ids = list(vocabulary), list(vocabulary.values())
    log_p = logits.log_softmax(-1)[:, ids]  # (n, W)
    rows = []
    for number, label in enumerate(labels):
        own, others = log_p[gold == number], log_p[gold != number]
        if not len(own) or not len(others):
            rows.append({"label": label, "words": "no examples to compare"})
            continue
        common = own.mean(0).topk(min(100, len(names))).indices  # likely ones only
        gain = (own.mean(0) - others.mean(0))[common]
        best = common[gain.topk(min(k, len(common))).indices].tolist()
        rows.append({"label": label, "words": ", ".join(names[i] for i in best)})
    return rows


def _has_label(row: Example, words: Mapping[str, object]) -> bool:
    return isinstance(row.get("label"), int) and 0 <= row["label"] < len(words)


def _word_lines(words: Mapping[str, str | Sequence[str]]) -> dict[str, ipw.Text]:
    return {
        label: _line(label, given if isinstance(given, str) else ", ".join(given))
        for label, given in words.items()
    }


def _line(name: str, value: str) -> ipw.Text:
    return ipw.Text(value=value, description=name, continuous_update=True, **WIDE)

"""How an example becomes the input of a model: text laid out, tokenised, padded.

    row of a Task  --segments-->  one or two texts  --tokenizer-->  ids  --Collator-->  batch

Each kind of task has its layout (Devlin et al. 2019; P-tuning v2, Liu et al. 2022):

    classification   [CLS] text [SEP]  or  [CLS] first [SEP] second [SEP]
    choice           one such pair per choice, stacked: (B, C, L), one score each
    tagging          words split into sub-tokens; the label on the first, -100 on the rest;
                     with a verb (SRL): [CLS] words [SEP] verb [SEP]
    generation       prompt, then target; the loss reads the target only

B = batch, C = choices, L = longest text of the batch: padding is dynamic, so a batch of short
texts costs little. -100 is the label that PyTorch's cross-entropy ignores.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from course_utils.errors import CourseError
from course_utils.tasks.batches import IGNORED
from course_utils.tasks.task import NO_LABEL, Task

# Keyed by columns, so that a pocket task and its real twin are laid out alike.
SEGMENTS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("word", "sentence1", "sentence2"): ("{word}: {sentence1}", "{word}: {sentence2}"),
    ("text", "span1_text", "span2_text"): ("{span2_text}: {text}", "{span1_text}"),
    ("premise", "choice1", "choice2", "question"): ("{premise} {question}", "{choice}"),
    ("meaning_representation", "human_reference"): ("{meaning_representation} :",),
}
WORDING: dict[str, dict[str, str]] = {"question": {"cause": "because", "effect": "so"}}


@dataclass
class Encoded:
    """The features of one split, ready for a `Collator`.

    Attributes:
        features: one dict of lists per example that is kept.
        rows: the row of the split each feature came from.
        truncated: how many examples were longer than allowed and were cut.
    """

    features: list[dict[str, Any]] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    truncated: int = 0

    def lengths(self) -> list[int]:
        """Tokens per feature; of the longest choice where choices are stacked."""
        return [_length(f["input_ids"]) for f in self.features]


def segments(task: Task) -> tuple[str, ...]:
    """The format strings that lay out an example of this task.

    Raises:
        CourseError: no layout is known for these columns, or one names an unknown column.
    """
    columns = task.columns
    chosen = task.segments or SEGMENTS.get(columns)
    if not chosen:
        text = columns[:-1] if task.kind == "generation" else columns
        if len(text) > 2:
            raise CourseError(
                f"task {task.name!r}: no layout is known for columns {', '.join(columns)}; "
                "give the Task segments=(first, second), format strings over its columns."
            )
        chosen = tuple("{" + c + "}" for c in text)
    known = {column for rows in task.splits.values() for column in rows.column_names}
    known |= {*columns, "choice"} if task.kind == "choice" else set(columns)
    if set(_named(chosen)) - known:
        raise CourseError(
            f"task {task.name!r}: segments name {sorted(set(_named(chosen)) - known)[0]!r}; "
            f"its columns are {', '.join(sorted(known))}."
        )
    return chosen


def texts(task: Task, example: Mapping[str, Any]) -> tuple[str, ...]:
    """One or two texts of an example, as a person would read them, columns filled in."""
    return layout(task)(example)


def layout(task: Task) -> Callable[[Mapping[str, Any]], tuple[str, ...]]:
    """`texts` for many examples of a task: its format strings are looked up once.

    Raises:
        CourseError: as `segments`.
    """
    parts = segments(task)
    columns = {*task.columns, *_named(parts)}
    wording = {**_default_wording(task), **task.wording}

    def laid_out(example: Mapping[str, Any]) -> tuple[str, ...]:
        said = {c: str(value) for c, value in example.items() if c in columns}
        for column, words in wording.items():
            if column in said:
                said[column] = words.get(said[column], said[column])
        if "choice" in example:
            said["choice"] = str(example["choice"])
        return tuple(part.format_map(said) for part in parts)

    return laid_out


def _named(segments: Iterable[str]) -> list[str]:
    """The columns that format strings name."""
    return [name for s in segments for _, name, _, _ in string.Formatter().parse(s) if name]


def _default_wording(task: Task) -> Mapping[str, Mapping[str, str]]:
    return WORDING if task.kind == "choice" else {}


def encode(
    task: Task,
    rows: Iterable[Mapping[str, Any]],
    tokenizer: Any,
    *,
    max_length: int,
    seq2seq: bool = False,
    answers: bool = True,
) -> Encoded:
    """Features of the examples, in order.

    Args:
        rows: examples of this task, e.g. `task.split("train")`.
        max_length: tokens a feature may have; a longer text is cut (the longer segment
            first; for SRL never the verb; for generation the start of the prompt).
        seq2seq: generation with an encoder-decoder: the target goes to the decoder.
        answers: with labels, leaving out examples without gold; without, all examples.

    Raises:
        CourseError: the parts that may not be cut do not fit in max_length.
    """
    rows = list(rows)
    kept = [i for i, row in enumerate(rows) if not answers or has_answer(task, row)]
    chosen = [rows[i] for i in kept]
    if task.kind == "tagging":
        features, cut = _tagging(task, chosen, tokenizer, max_length, answers)
    elif task.kind == "generation":
        features, cut = _generation(task, chosen, tokenizer, max_length, seq2seq, answers)
    elif task.kind == "choice":
        features, cut = _choice(task, chosen, tokenizer, max_length)
    else:
        features, cut = _texts(tokenizer, list(map(layout(task), chosen)), max_length)
    if answers and task.kind in ("classification", "choice", "regression"):
        number = float if task.kind == "regression" else int
        for feature, row in zip(features, chosen, strict=True):
            feature["labels"] = number(row["label"])
    return Encoded(features, kept, cut)


def has_answer(task: Task, row: Mapping[str, Any]) -> bool:
    """False for a row whose label is absent or `NO_LABEL`."""
    answer = row.get(task.label_column)
    return answer is not None and (task.kind in ("regression", "generation") or answer != NO_LABEL)


def _texts(
    tokenizer: Any, parts: Sequence[tuple[str, ...]], max_length: int
) -> tuple[list[dict[str, Any]], int]:
    """Ids of single texts or pairs; only those that are too long are tokenised twice."""
    if not parts:
        return [], 0
    pair = len(parts[0]) == 2
    _check_room(tokenizer.num_special_tokens_to_add(pair=pair) + len(parts[0]), max_length)
    columns = [list(column) for column in zip(*parts, strict=True)]
    plain = tokenizer(*columns, return_attention_mask=False, verbose=False)
    features = _by_example(plain)
    long = [i for i, f in enumerate(features) if len(f["input_ids"]) > max_length]
    if long:
        short = tokenizer(
            *[[column[i] for i in long] for column in columns],
            truncation="longest_first" if pair else True,
            max_length=max_length,
            return_attention_mask=False,
        )
        for at, feature in zip(long, _by_example(short), strict=True):
            features[at] = feature
    return features, len(long)


def _by_example(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    rows = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _choice(
    task: Task, rows: Sequence[Mapping[str, Any]], tokenizer: Any, max_length: int
) -> tuple[list[dict[str, Any]], int]:
    """One pair per choice; a feature holds lists of C lists."""
    width = len(task.choices)
    laid_out = layout(task)
    parts = [laid_out({**row, "choice": row[c]}) for row in rows for c in task.choices]
    flat, cut = _texts(tokenizer, parts, max_length)
    stacks = [flat[i : i + width] for i in range(0, len(flat), width)]
    return [{key: [f[key] for f in stack] for key in stack[0]} for stack in stacks], cut


def _tagging(
    task: Task, rows: Sequence[Mapping[str, Any]], tokenizer: Any, max_length: int, answers: bool
) -> tuple[list[dict[str, Any]], int]:
    words = [[str(w) for w in row["tokens"]] for row in rows]
    verbs = None
    if "verb_index" in task.columns:
        verbs = [[w[int(row["verb_index"])]] for w, row in zip(words, rows, strict=True)]
    tokenizer = _word_tokenizer(tokenizer)
    features, cut = [], 0
    for at, (row, sentence) in enumerate(zip(rows, words, strict=True)):
        pair = () if verbs is None else (verbs[at],)
        if pair:
            room = len(tokenizer(pair[0], is_split_into_words=True, add_special_tokens=False)[0])
            _check_room(tokenizer.num_special_tokens_to_add(pair=True) + room + 1, max_length)
        made = tokenizer(
            sentence,
            *pair,
            is_split_into_words=True,
            truncation="only_first",
            max_length=max_length,
            return_attention_mask=False,
        )
        tags = list(row["tags"]) if answers else [0] * len(sentence)
        if len(tags) != len(sentence):
            raise CourseError(
                f"task {task.name!r}: {len(tags)} tags for {len(sentence)} words in {sentence}."
            )
        labels, seen = _first_sub_tokens(made, tags)
        cut += seen < len(sentence)
        features.append({**{k: list(made[k]) for k in made}, "labels": labels})
    return features, cut


def _first_sub_tokens(encoding: Any, tags: Sequence[int]) -> tuple[list[int], int]:
    """The label on the first sub-token of each word of the sentence, IGNORED elsewhere."""
    labels, before, seen = [], None, 0
    for word, sequence in zip(encoding.word_ids(), encoding.sequence_ids(), strict=True):
        first = sequence == 0 and word is not None and word != before
        labels.append(tags[word] if first else IGNORED)
        seen += first
        before = word
    return labels, seen


def _word_tokenizer(tokenizer: Any) -> Any:
    """The same tokenizer, ready for words: byte-level BPE must put a space before each."""
    import json

    from tokenizers import pre_tokenizers

    before = getattr(tokenizer.backend_tokenizer, "pre_tokenizer", None)
    if not isinstance(before, pre_tokenizers.ByteLevel) or before.add_prefix_space:
        return tokenizer
    import copy

    spaced = copy.deepcopy(tokenizer)
    state = json.loads(before.__getstate__())
    spaced.backend_tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(
        add_prefix_space=True, trim_offsets=True, use_regex=state.get("use_regex", True)
    )
    spaced.add_prefix_space = True
    return spaced


def _generation(
    task: Task,
    rows: Sequence[Mapping[str, Any]],
    tokenizer: Any,
    max_length: int,
    seq2seq: bool,
    answers: bool,
) -> tuple[list[dict[str, Any]], int]:
    if tokenizer.eos_token_id is None:
        raise CourseError("generation needs a tokenizer with an end-of-text token (eos_token).")
    if not rows:
        return [], 0
    laid_out = layout(task)
    prompts = tokenizer([laid_out(row)[0] for row in rows], verbose=False)["input_ids"]
    features, cut = [], 0
    for row, prompt in zip(rows, prompts, strict=True):
        target = _target(row[task.label_column], tokenizer) if answers else []
        room = max_length if seq2seq else max_length - len(target)
        _check_room(len(target) + (0 if seq2seq else 1), max_length)
        cut += len(prompt) > room
        prompt = prompt[-room:]
        if seq2seq:
            features.append({"input_ids": prompt} | ({"labels": target} if answers else {}))
        elif answers:
            labels = [IGNORED] * len(prompt) + target
            features.append({"input_ids": prompt + target, "labels": labels})
        else:
            features.append({"input_ids": prompt})
    return features, cut


def _target(answer: str | Sequence[str], tokenizer: Any) -> list[int]:
    """Ids of the text to write (the first, where there are several references), then EOS."""
    text = answer if isinstance(answer, str) else answer[0]
    # Byte-level BPE writes a word after others with its leading space.
    ids = tokenizer(" " + text.strip(), add_special_tokens=False, verbose=False)["input_ids"]
    return [*ids, tokenizer.eos_token_id]


def _check_room(needed: int, max_length: int) -> None:
    if needed > max_length:
        raise CourseError(
            f"max_length {max_length} is too short: the parts that may not be cut take "
            f"{needed} tokens. Give at least that many."
        )


def _length(ids: list[Any]) -> int:
    return max(map(len, ids)) if ids and isinstance(ids[0], list) else len(ids)

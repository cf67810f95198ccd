"""Prompting with words: templates, verbalizers, and PLMs that answer by filling in a word.

    Template, Verbalizer          an example becomes a text with a blank, a word becomes a label
    PromptModel, zero_shot        a PLM that classifies by the blank, to be asked or fine-tuned
    ChoicePrompt                  a PLM that chooses among candidates each example brings along
    fill_mask, continue_text, next_words
    InContext                     demonstrations before the query, for causal PLMs
    Calibration                   what the PLM would say without reading the text, taken out
    DemonstratedPrompt            LM-BFF's demonstrations behind the query, for masked PLMs
    search_label_words, search_templates, try_prompts    prompts found by the PLM
    train_pet, PETSettings        PET and iPET: patterns label texts, a classifier learns from them
    score_prompts                 a task's score under each of its prompts, with median and spread
    train_multitask               train on many prompted tasks, zero-shot on others (T0, FLAN)
    SoftTokens, SoftVerbalizer    trained vectors in place of the template's or the label words

torch and transformers load with the first name used.
"""

from __future__ import annotations

from importlib import import_module

_HOME = {
    "Template": "template",
    "Verbalizer": "verbalizer",
    "PromptModel": "prompt",
    "PromptCollator": "batches",
    "Answers": "answers",
    "zero_shot": "prompt",
    "ChoicePrompt": "choices",
    "SoftTokens": "soft_tokens",
    "SoftVerbalizer": "soft_verbalizer",
    "fill_mask": "completion",
    "next_words": "completion",
    "continue_text": "completion",
    "InContext": "in_context",
    "Nearest": "in_context",
    "choose": "in_context",
    "Calibration": "calibration",
    "search_label_words": "label_search",
    "search_templates": "template_search",
    "try_prompts": "prompt_search",
    "train_pet": "pet",
    "PETSettings": "pet",
    "score_prompts": "prompt_scores",
    "PromptScores": "prompt_scores",
    "train_multitask": "multitask",
    "MultitaskSettings": "multitask",
    "DemonstratedPrompt": "demonstrations",
    "DemonstrationPool": "demonstrations",
    "MeanEmbedding": "demonstrations",
}

__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

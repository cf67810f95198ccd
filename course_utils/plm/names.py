"""The names `load_plm` knows: the pocket models, and short names for usual models of the Hub.

Light on purpose (no torch, no transformers): the command line completes names from here.
"""

from __future__ import annotations

from pathlib import Path

POCKET_MODELS: dict[str, str] = {
    "pocket-bert-tiny": "masked LM, BERT's architecture, about 0.2M parameters",
    "pocket-bert-base": "masked LM, BERT's architecture, about 1M parameters",
    "pocket-bert-large": "masked LM, BERT's architecture, about 5M parameters",
    "pocket-gpt2": "causal LM, GPT-2's architecture, about 2M parameters",
}
"""The models that ship with the kit, and what each is."""

POCKET_ALIASES: dict[str, str] = {
    "pocket-bert": "pocket-bert-base",
    "pocket-gpt": "pocket-gpt2",
}

SHORT_NAMES: dict[str, str] = {
    "bert-base": "google-bert/bert-base-uncased",
    "bert-base-uncased": "google-bert/bert-base-uncased",
    "bert-base-cased": "google-bert/bert-base-cased",
    "bert-large": "google-bert/bert-large-uncased",
    "bert-large-uncased": "google-bert/bert-large-uncased",
    "bert-large-cased": "google-bert/bert-large-cased",
    "roberta-base": "FacebookAI/roberta-base",
    "roberta-large": "FacebookAI/roberta-large",
    "gpt2": "openai-community/gpt2",
    "gpt2-medium": "openai-community/gpt2-medium",
    "gpt2-large": "openai-community/gpt2-large",
    "gpt2-xl": "openai-community/gpt2-xl",
    "t5-small": "google-t5/t5-small",
    "t5-base": "google-t5/t5-base",
    "t5-large": "google-t5/t5-large",
    "t5-base-lm": "google/t5-base-lm-adapt",
    "t5-large-lm": "google/t5-large-lm-adapt",
    "smollm2-135m": "HuggingFaceTB/SmolLM2-135M",
    "smollm2-360m": "HuggingFaceTB/SmolLM2-360M",
}
"""What people type -> the full id, which is the only form newer Hub clients accept."""


def pocket_folder(name: str) -> Path | None:
    """The folder of a pocket model, or None when `name` is not one. Aliases are followed."""
    name = POCKET_ALIASES.get(name.lower(), name.lower())
    if name not in POCKET_MODELS:
        return None
    return Path(__file__).parent / "pocket" / "weights" / name


def known_names() -> list[str]:
    """Every name that needs no folder and no owner, for suggestions."""
    return [*POCKET_MODELS, *POCKET_ALIASES, *SHORT_NAMES]

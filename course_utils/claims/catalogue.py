"""The claims of the course, in its order."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from course_utils.claims.claim import Claim
from course_utils.errors import unknown_name

CLAIMS = {
    "prompts-beat-heads": "prompting.prompts_beat_heads",
    "templates-differ": "prompting.templates_differ",
    "demonstrations-help": "prompting.demonstrations_help",
    "automatic-words": "prompting.automatic_words",
    "automatic-templates": "prompting.automatic_templates",
    "pet-beats-supervised": "prompting.pet_beats_supervised",
    "ipet-beats-pet": "prompting.ipet_beats_pet",
    "multitask-lifts-zero-shot": "prompting.multitask_zero_shot",
    "calibration-helps-zero-shot": "prompting.calibration_zero_shot",
    "calibration-helps-in-context": "prompting.calibration_in_context",
    "in-context-grows": "prompting.in_context_grows",
    "few-parameters-suffice": "tuning.few_parameters_suffice",
    "adapters-small-data": "tuning.adapters_small_data",
    "adamix-beats-its-adapter": "tuning.adamix_beats_its_adapter",
    "unipelt-beats-its-parts": "tuning.unipelt_beats_its_parts",
    "prefixes-few-tables": "tuning.prefixes_few_tables",
    "prefixes-unseen-tables": "tuning.prefixes_unseen_tables",
    "prompt-tuning-scales": "tuning.prompt_tuning_scales",
    "soft-prompt-starts": "tuning.soft_prompt_starts",
    "soft-prompts-out-of-domain": "tuning.soft_prompts_out_of_domain",
    "exits-trained-together": "tuning.exits_trained_together",
    "merged-lora-is-free": "tuning.merged_lora_is_free",
    "many-tasks-one-plm": "tuning.many_tasks_one_plm",
}
"""Name -> module below `course_utils.claims`."""


def load_claim(name: str) -> Claim:
    """The claim of that name.

    Raises:
        CourseError: an unknown name; the nearest ones are suggested.
    """
    if name not in CLAIMS:
        raise unknown_name("claim", name, CLAIMS)
    return import_module(f"course_utils.claims.{CLAIMS[name]}").CLAIM


def load_claims(only: Iterable[str] = ()) -> list[Claim]:
    """These claims, or all, in the order of the course."""
    wanted = list(only)
    for name in wanted:
        load_claim(name)
    return [load_claim(name) for name in CLAIMS if not wanted or name in wanted]

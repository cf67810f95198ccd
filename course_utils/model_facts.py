"""What training and evaluation have to know of a model, whatever wraps the PLM.

A model is one of: a transformers model with a head; a `Tuned` round one; a `PromptModel` round
either. Each answers a batch with `.logits` (and `.loss`); the functions here find the PLM inside,
what is trained in it, and how long a text may be.
"""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from torch import nn

from course_utils.errors import CourseError
from course_utils.tasks.task import Task


def plain(model: Any) -> Any:
    """The transformers model inside `Tuned`, `PromptModel` or a data-parallel wrapper."""
    from transformers import PreTrainedModel

    while not isinstance(model, PreTrainedModel):
        inside = (getattr(model, name, None) for name in ("model", "plm", "module"))
        inner = next((m for m in inside if isinstance(m, nn.Module)), None)
        if inner is None:
            return model
        model = inner
    return model


def token_limit(model: nn.Module, tokenizer: Any, asked: int | None = None) -> int:
    """How many tokens of text an example may have with this model.

    The smallest of the tokenizer's limit and the position embeddings, less what a soft prompt
    or prefix takes of them; 512 where nothing is said (relative positions).

    Raises:
        CourseError: more was asked for than the model has positions.
    """
    config = getattr(plain(model), "config", None)
    limits = [tokenizer.model_max_length] if tokenizer.model_max_length < 10**6 else []
    positions = getattr(config, "max_position_embeddings", None)
    if positions:
        # RoBERTa counts positions from padding_idx + 1, so two of them are never text.
        offset = 2 if config.model_type in ("roberta", "xlm-roberta", "camembert") else 0
        limits.append(positions - offset)
    limit = min(limits, default=512) - _positions_taken(model)
    if asked is not None and not 1 <= asked <= limit:
        raise CourseError(
            f"max_length {asked}: this model allows at most {limit} tokens of text (its position "
            "embeddings, less those a soft prompt or prefix takes)."
        )
    return asked or limit


def _positions_taken(model: Any) -> int:
    """Positions a tuning method spends on vectors of its own."""
    while isinstance(model, nn.Module):
        if (method := getattr(model, "method", None)) is not None:
            return int(getattr(method, "extra_tokens", 0))
        model = next((m for n in ("model", "plm") if (m := getattr(model, n, None))), None)
    return 0


def method_of(model: nn.Module) -> tuple[str, dict[str, Any]]:
    """The tuning method's name and hyper-parameters; of a plain model what is trained tells."""
    tuned = tuned_in(model)
    if tuned is not None:
        settings = getattr(tuned.method, "settings", None)
        values = asdict(tuned.method) if settings is None else settings()
        return type(tuned.method).__name__, plain_json(values)
    frozen = any(not p.requires_grad for p in model.parameters())
    return ("Partial" if frozen else "FullFineTuning"), {}


def tuned_in(model: nn.Module) -> Any:
    """The `Tuned` in a model or round it, None for a plain one."""
    return next((m for m in _layers(model) if is_dataclass(getattr(m, "method", None))), None)


def count_parameters(model: nn.Module) -> tuple[int, int]:
    """(trained, of how many): the second is the PLM with its head, without added modules."""
    tuned = tuned_in(model)
    total = tuned.total() if tuned else sum(p.numel() for p in plain(model).parameters())
    return sum(p.numel() for p in model.parameters() if p.requires_grad), total


def plm_name(model: nn.Module) -> str:
    """The PLM's name: what load_plm called it, a Hub id, or a folder's last part."""
    base = plain(model)
    config = getattr(base, "config", None)
    name = getattr(base, "plm_name", None) or getattr(config, "_name_or_path", "") or ""
    if name and (Path(name).is_absolute() or Path(name).exists()):
        name = Path(name).absolute().name
    return str(name) or type(base).__name__


def _layers(model: Any) -> list[Any]:
    """PromptModel, Tuned, transformers model: the wrappers around a PLM, outermost first."""
    found, base = [], plain(model)
    while model is not base:
        found.append(model)
        inside = (getattr(model, name, None) for name in ("model", "plm", "module"))
        model = next(m for m in inside if isinstance(m, nn.Module))
    return [*found, base]


def encodes(model: Any) -> bool:
    """True for a model that turns an example into features by itself (`PromptModel`)."""
    return callable(getattr(model, "encode", None))


def with_prompt(
    model: nn.Module, task: Task, tokenizer: Any, prompt: Any, max_length: int | None = None
) -> nn.Module:
    """The model asked through a prompt, or the model itself when `prompt` is None.

    Args:
        prompt: a pair (template, verbalizer), each an object of `course_utils.prompting` or
            what makes one (a string, a dict from labels to words), or a `Prompt` of a Task.
    """
    if prompt is None or encodes(model):
        return model
    from course_utils.prompting import PromptModel

    template, verbalizer = prompt[0], prompt[1]
    return PromptModel(
        model, tokenizer, template, verbalizer, labels=task.labels, max_length=max_length
    )


def plain_json(value: Any) -> Any:
    """The value as JSON gives it back (tuples become lists)."""
    return json.loads(json.dumps(value, default=str))

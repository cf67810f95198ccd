"""`load_plm`: a pre-trained language model and its tokenizer, by name.

The same call reaches a pocket model, a local folder in Hugging Face's format and a model of the
Hub. What it returns are ordinary transformers objects, made predictable in four ways:

* weights are float32 unless asked otherwise (transformers keeps the file's type, and the pocket
  weights are stored in 16 bit);
* what the checkpoint did not hold is drawn from `seed` and named in `model.newly_initialised`:
  that set is "the task head" everywhere in the kit;
* a tokenizer without a padding token pads with its end token, and a causal language model is
  padded on the left, so that what it writes continues the text;
* everything wrong with the request is one `CourseError`, before any weight is read.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import contextmanager

import torch
import transformers
from torch import nn
from transformers.models.auto import modeling_auto

from course_utils.errors import CourseError, unknown_name
from course_utils.plm.sources import Source, from_source, resolve

HEADS = ("lm", "classifier", "tagger", "choice", "encoder")


def load_plm(
    name: str | os.PathLike,
    *,
    head: str = "lm",
    num_labels: int | None = None,
    labels: Sequence[str] | None = None,
    pretrained: bool = True,
    dropout: float | None = None,
    revision: str | None = None,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device | None = None,
    seed: int = 0,
) -> tuple[transformers.PreTrainedModel, transformers.PreTrainedTokenizerBase]:
    """Load a PLM with one of the heads the course uses.

    Args:
        name: a pocket model ("pocket-bert-base", "pocket-gpt2", ...), a folder, a usual short
            name ("bert-base", "gpt2", "t5-small", ...) or an id of the Hub ("owner/name").
        head: "lm" (the language-model head the architecture was pre-trained with), "classifier"
            (one label per text), "tagger" (one label per token), "choice" (which of several
            texts), "encoder" (no head: hidden states).
        num_labels: number of classes of a classifier or tagger.
        labels: their names, in the order of their ids; implies `num_labels`.
        pretrained: False gives the same architecture with random weights, the control that shows
            what pre-training was worth. `newly_initialised` is then what the config's own class of
            checkpoint would leave new, so that the same parameters count as the head.
        dropout: probability of dropping a number of a hidden state while training, where the
            checkpoint's own shall not count (attention keeps its own).
        revision: branch, tag or commit on the Hub.
        dtype: type of the weights; float32 for training.
        device: where to put the model; None leaves it on the CPU.
        seed: draws the weights the checkpoint does not hold. The global generator is untouched.

    Returns:
        (model, tokenizer), the model in eval mode. The model also carries `newly_initialised`
        (frozenset of parameter names), `plm_name`, `plm_revision` (commit, checksum
        of a pocket model's weights, or None for a folder) and `plm_tokenizer`.

    Raises:
        CourseError: unknown name, head or number of labels; a folder that holds no model; a Hub
            that can't be reached; a language-model head the checkpoint does not have.
    """
    if head not in HEADS:
        raise unknown_name("head", head, HEADS)
    labels, num_labels = _checked_labels(head, labels, num_labels)
    source = resolve(name, revision, weights=pretrained)
    with _quiet():
        config = from_source(transformers.AutoConfig, source, **_label_settings(labels, num_labels))
        _set_dropout(config, dropout)
        _need_label_count(head, num_labels, config, source)
        model_class = _model_class(config, head, source)
        tokenizer = from_source(transformers.AutoTokenizer, source)
        with seeded(seed):
            if pretrained:
                model, fresh = _pretrained(model_class, config, source, dtype)
            else:
                fresh = _head_by_shape(model_class, config)
                model = model_class.from_config(config, dtype=dtype)
    if head == "lm" and pretrained and fresh:
        raise CourseError(
            f"{source.name!r} holds no language-model head (missing: {', '.join(sorted(fresh)[:3])}"
            f"{', ...' if len(fresh) > 3 else ''}), so its words would be picked by random "
            "weights. Use head='classifier', 'tagger', 'choice' or 'encoder' with this model, "
            "or a checkpoint that keeps its head."
        )
    _agree_on_padding(model, tokenizer, head)
    if head == "lm" and getattr(model, "loss_type", "") is None:
        # transformers tells the loss by the class's name, and GPT2LMHeadModel's does not say it.
        model.loss_type = "ForCausalLM"
    model.newly_initialised = frozenset(fresh)
    model.plm_name = str(name)
    model.plm_revision = source.revision
    model.plm_tokenizer = tokenizer
    return _on_device(model, device).eval(), tokenizer


def head_parameters(model: nn.Module) -> frozenset[str]:
    """Names of the parameters that belong to the task head of `model`.

    For a model from `load_plm`, what its checkpoint did not hold. For any other transformers
    model, everything outside the base model; nothing if the head is a language-model head, which
    pre-training already taught.
    """
    known = getattr(model, "newly_initialised", None)
    if known is not None:
        return frozenset(known)
    language_model = (
        *modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values(),
        *modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES.values(),
        *modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES.values(),
    )
    base = getattr(model, "base_model", model)
    if type(model).__name__ in language_model or base is model:
        return frozenset()
    of_base = {id(parameter) for parameter in base.parameters()}
    return frozenset(n for n, p in model.named_parameters() if id(p) not in of_base)


def position_ids(attention_mask: torch.Tensor) -> torch.Tensor:
    """Positions counted from the first real token of each row: 0, 1, 2 ...

    With left padding a causal model called without positions counts the padding too; `generate`
    does not. Padding before the text gets 0. Without left padding this is 0 .. T-1, as the model
    itself would count.

    Args:
        attention_mask: (B, T) of 0 and 1.

    Returns:
        (B, T) integers.
    """
    first = attention_mask.ne(0).int().argmax(dim=1, keepdim=True)  # (B, 1)
    places = torch.arange(attention_mask.shape[1], device=attention_mask.device)
    return (places - first).clamp(min=0)


@contextmanager
def seeded(seed: int):
    """Draw from `seed` inside the block, and give torch's generator back untouched after it.

    Only the CPU's: weights are drawn there, and a GPU's generator is never involved.
    """
    state = torch.get_rng_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(state)


def _checked_labels(head: str, labels, num_labels) -> tuple[list[str] | None, int | None]:
    if head not in ("classifier", "tagger") and (labels is not None or num_labels is not None):
        raise CourseError(
            f"head={head!r} has no labels, but labels or num_labels was given. "
            "Use head='classifier' (one label per text) or head='tagger' (one per token)."
        )
    if labels is not None:
        labels = [str(label) for label in labels]
        if len(set(labels)) != len(labels):
            raise CourseError(f"labels holds a name twice: {labels}. Each label needs its own.")
        if num_labels is not None and num_labels != len(labels):
            raise CourseError(
                f"num_labels={num_labels} but labels names {len(labels)}: {labels}. Give one."
            )
        num_labels = len(labels)
    if num_labels is not None and num_labels < 1:
        raise CourseError(f"num_labels={num_labels}; a head needs at least one label.")
    return labels, num_labels


DROPOUTS = ("hidden_dropout_prob", "resid_pdrop", "embd_pdrop", "dropout_rate")


def _set_dropout(config, dropout: float | None) -> None:
    if dropout is None:
        return
    if not 0 <= dropout < 1:
        raise CourseError(f"dropout={dropout}; a probability from 0 to below 1 is expected.")
    known = [name for name in DROPOUTS if hasattr(config, name)]
    if not known:
        raise CourseError(f"{config.model_type!r} models have no hidden dropout to set.")
    for name in known:
        setattr(config, name, dropout)


def _label_settings(labels: list[str] | None, num_labels: int | None) -> dict:
    if labels is not None:
        return {
            "id2label": dict(enumerate(labels)),
            "label2id": {label: i for i, label in enumerate(labels)},
        }
    return {} if num_labels is None else {"num_labels": num_labels}


def _need_label_count(head: str, num_labels: int | None, config, source: Source) -> None:
    """A number of labels must come from somewhere: the caller, or a checkpoint with that head."""
    suffix = {"classifier": "ForSequenceClassification", "tagger": "ForTokenClassification"}
    if head not in suffix or num_labels is not None:
        return
    if not any(str(a).endswith(suffix[head]) for a in config.architectures or ()):
        raise CourseError(
            f"head={head!r} for {source.name!r}: how many labels? "
            "Give num_labels=2 or labels=('negative', 'positive')."
        )


def _model_class(config, head: str, source: Source):
    """The Auto class for this head; refused here if the architecture has none."""
    kind = config.model_type
    if head == "encoder":
        if kind in modeling_auto.MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES:
            return transformers.AutoModelForTextEncoding
        return transformers.AutoModel
    if head == "lm":
        if kind in modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES:
            return transformers.AutoModelForSeq2SeqLM
        if kind in modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES:
            return transformers.AutoModelForMaskedLM
        if kind in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
            return transformers.AutoModelForCausalLM
    choices = {
        "classifier": (
            modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
            transformers.AutoModelForSequenceClassification,
        ),
        "tagger": (
            modeling_auto.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
            transformers.AutoModelForTokenClassification,
        ),
        "choice": (
            modeling_auto.MODEL_FOR_MULTIPLE_CHOICE_MAPPING_NAMES,
            transformers.AutoModelForMultipleChoice,
        ),
    }
    if head in choices and kind in choices[head][0]:
        return choices[head][1]
    raise CourseError(
        f"{source.name!r} is a {kind!r} model, for which transformers has no head of kind "
        f"{head!r}. Another head may do: with head='lm' and a prompt any task is filling in words."
    )


def _pretrained(model_class, config, source: Source, dtype):
    """(model, names of the parameters that were not in the checkpoint)."""
    model, report = from_source(
        model_class,
        source,
        config=config,
        dtype=dtype,
        output_loading_info=True,
        ignore_mismatched_sizes=True,
    )
    mismatched = {key for key, *_ in report["mismatched_keys"]}
    names = {name for name, _ in model.named_parameters()}
    fresh = (set(report["missing_keys"]) | mismatched) & names
    base = {id(parameter) for parameter in model.base_model.parameters()}
    inside = {n for n, p in model.named_parameters() if n in mismatched and id(p) in base}
    if inside and model.base_model is not model:
        raise CourseError(
            f"the weights of {source.name!r} do not fit its own config.json: "
            f"{', '.join(sorted(inside)[:3])}. The folder mixes files of two models."
        )
    return model, fresh


def _head_by_shape(model_class, config) -> set[str]:
    """What a checkpoint of this config's own class would leave to be initialised."""
    with torch.device("meta"):
        model = model_class.from_config(config)
        trained = [getattr(transformers, str(a), None) for a in config.architectures or ()]
        if not trained or trained[0] is None:
            return set(head_parameters(model))
        checkpoint = trained[0](config)
    prefix = model.base_model_prefix + "."

    def bare(name: str) -> str:
        return name.removeprefix(prefix)

    held = {bare(name) for name in checkpoint.state_dict()}
    return {name for name, _ in model.named_parameters() if bare(name) not in held}


def _agree_on_padding(model, tokenizer, head: str) -> None:
    """Give tokenizer and model the same padding token, and the side that suits the head."""
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise CourseError(
                "this tokenizer has neither a padding nor an end token; set tokenizer.pad_token "
                "in its tokenizer_config.json."
            )
        tokenizer.pad_token = tokenizer.eos_token
    model.config.pad_token_id = tokenizer.pad_token_id
    if getattr(model, "generation_config", None) is not None:
        model.generation_config.pad_token_id = tokenizer.pad_token_id
    kind = model.config.model_type
    causal = kind in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and not (
        kind in modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES or model.config.is_encoder_decoder
    )
    tokenizer.padding_side = "left" if causal and head == "lm" else "right"


def _on_device(model, device):
    if device is None:
        return model
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:
        raise CourseError(
            f"device={str(device)!r} can't be used here: {str(error).splitlines()[0]} "
            "Leave device out to stay on the CPU."
        ) from None


@contextmanager
def _quiet():
    """Keep transformers' report of new weights and its progress bars to itself for a while.

    That a head is new is expected here and said by `newly_initialised`.
    """
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()

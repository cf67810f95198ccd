"""A tuned model on disk: its own tensors, and a page that says what they belong to.

    adapter.safetensors     the method's tensors and the task head, by their names in the PLM
    method.json             method and hyper-parameters, the PLM they were trained on, versions,
                            and the checksum of the tensors

The PLM's own weights are not stored, so loading must make sure that it is the same PLM: same
architecture, same sizes, same labels, and the same values at a few places of frozen weights.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import safetensors
import torch
import transformers
from safetensors.torch import load, save
from torch import nn
from transformers.models.auto import modeling_auto

import course_utils
from course_utils.errors import CourseError
from course_utils.records import whole_file

FORMAT = 1
TENSORS, PAGE = "adapter.safetensors", "method.json"
_SIZES = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "vocab_size",
    "num_labels",
)
_WITH_LABELS = {
    *modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES.values(),
    *modeling_auto.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES.values(),
}


def write(folder: str | os.PathLike, tensors: dict[str, torch.Tensor], page: dict) -> Path:
    """Write both files, each whole or not at all, the page last.

    A killed write leaves the old pair or a page whose checksum tells that it is not of this pair.
    """
    folder = Path(folder).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CourseError(f"can't make the folder {str(folder)!r}: {error.strerror}.") from None
    tensors = {name: t.detach().cpu().contiguous() for name, t in sorted(tensors.items())}
    data = save(tensors, metadata={"format": "pt"})
    page = {"format": FORMAT, **page, "sha256": hashlib.sha256(data).hexdigest()}
    _replace(folder / TENSORS, data)
    _replace(folder / PAGE, (json.dumps(page, indent=2, ensure_ascii=False) + "\n").encode())
    return folder


def read(folder: str | os.PathLike) -> tuple[dict[str, torch.Tensor], dict]:
    """(tensors, page) of a saved folder.

    Raises:
        CourseError: a file is missing, damaged, of another format, or not of this pair.
    """
    folder = Path(folder).expanduser()
    for name in (PAGE, TENSORS):
        if not (folder / name).is_file():
            raise CourseError(
                f"{str(folder)!r} holds no {name}. Give the folder that tuned.save(folder) wrote."
            )
    try:
        page = json.loads((folder / PAGE).read_text(encoding="utf-8"))
        data = (folder / TENSORS).read_bytes()
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CourseError(f"{str(folder / PAGE)!r} can't be read: {error}.") from None
    if not isinstance(page, dict) or page.get("format") != FORMAT:
        raise CourseError(
            f"{str(folder / PAGE)!r} is not in format {FORMAT}, which this version reads. "
            "Update course_utils, or save again."
        )
    if page.get("sha256") != hashlib.sha256(data).hexdigest():
        raise CourseError(
            f"{str(folder / TENSORS)!r} is damaged or not the one {PAGE} was written for "
            "(its checksum differs). Save or copy both files again."
        )
    try:
        return load(data), page
    except safetensors.SafetensorError as error:
        raise CourseError(f"{str(folder / TENSORS)!r} can't be read: {error}.") from None


def versions() -> dict[str, str]:
    return {
        "course_utils": course_utils.__version__,
        "torch": str(torch.__version__),
        "transformers": transformers.__version__,
    }


def identity(model: nn.Module, own: set[str]) -> dict:
    """What tells this PLM from others: class, sizes, labels and a few frozen values.

    Args:
        own: names of the parameters that are saved; the values are taken from the others.
    """
    config = model.config
    sizes = {key: getattr(config, key, None) for key in _SIZES}
    has_labels = type(model).__name__ in _WITH_LABELS
    if not has_labels:
        del sizes["num_labels"]
    return {
        "name": _name(model),
        "revision": getattr(model, "plm_revision", None),
        "class": type(model).__name__,
        "model_type": config.model_type,
        "sizes": {key: value for key, value in sizes.items() if value is not None},
        "labels": [config.id2label[i] for i in sorted(config.id2label)] if has_labels else [],
        "values": _sample(model, own),
    }


def check_identity(saved: dict, model: nn.Module, own: set[str], folder) -> None:
    """Raise a CourseError that names the first difference between the PLMs, if there is one."""
    here = identity(model, own)
    was = f"the adapter in {str(folder)!r} was trained on {saved.get('name') or 'a PLM'}"
    if saved["class"] != here["class"]:
        raise CourseError(
            f"{was} as {saved['class']}, this model is {here['class']}. Load the PLM with the "
            "same head= as for training."
        )
    for key, value in saved["sizes"].items():
        if here["sizes"].get(key) != value:
            raise CourseError(
                f"{was} with {key} {value}; here {key} is {here['sizes'].get(key)}. "
                "Load the PLM it was trained on."
            )
    plain = all(str(label).startswith("LABEL_") for label in here["labels"])
    if saved["labels"] != here["labels"] and not plain:
        raise CourseError(
            f"{was} with the labels {saved['labels']}; here they are {here['labels']}. "
            "Load the PLM with the same labels in the same order."
        )
    for name, values in saved["values"].items():
        now = here["values"].get(name)
        if now is None or not torch.allclose(
            torch.tensor(now), torch.tensor(values), rtol=0.02, atol=1e-6
        ):
            raise CourseError(
                f"{was}, whose weights are not this model's ({name} differs): the shapes fit, "
                "but it would change a PLM it was not made for. Load the same checkpoint, or pass "
                "check_weights=False if you mean it."
            )


def _name(model: nn.Module) -> str | None:
    """What the PLM was loaded as; of a folder the last part only, the rest is nobody's business."""
    name = getattr(model, "plm_name", None) or getattr(model.config, "_name_or_path", "")
    if name and (Path(name).is_absolute() or Path(name).exists()):
        name = Path(name).resolve().name
    return name or None


def _sample(model: nn.Module, own: set[str], places: int = 12) -> dict[str, list[float]]:
    """Two values from each of about `places` frozen weights spread over the PLM.

    Compared with a tolerance, so that the same checkpoint in 16 bit still counts as the same.
    """
    frozen = [
        (name, p)
        for name, p in model.named_parameters()
        if name not in own and p.ndim >= 2 and p.is_floating_point() and not p.is_meta
    ]
    step = max(1, len(frozen) // places)
    return {name: [_value(p, 1 / 3), _value(p, 2 / 3)] for name, p in frozen[::step]}


def _value(parameter: torch.Tensor, fraction: float) -> float:
    return float(f"{parameter.detach().reshape(-1)[int(parameter.numel() * fraction)].item():.6g}")


def _replace(path: Path, data: bytes) -> None:
    try:
        with whole_file(path) as draft:
            draft.write_bytes(data)
    except OSError as error:
        raise CourseError(f"can't write {str(path)!r}: {error.strerror}.") from None

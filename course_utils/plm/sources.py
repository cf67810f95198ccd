"""Where a PLM comes from: a pocket folder, a folder of the user's, or the Hub.

Everything that can go wrong on the way ends in one `CourseError` that says what to do, also
without network.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from course_utils.errors import CourseError, unknown_name
from course_utils.plm.names import SHORT_NAMES, known_names, pocket_folder


@dataclass(frozen=True)
class Source:
    """A PLM's files on this machine.

    Attributes:
        name: what the user calls it: a folder, or an id of the Hub.
        folder: where config.json, weights and tokenizer lie.
        revision: the Hub's commit; of a pocket model, whose weights can be made anew, the checksum
            of its weights; None for a folder of the user's.
        hub: whether it came from the Hub.
    """

    name: str
    folder: str
    revision: str | None = None
    hub: bool = False


def resolve(name: str | os.PathLike, revision: str | None, weights: bool = True) -> Source:
    """The files of this name, fetched from the Hub where they are not here; `weights` with them."""
    text = os.fspath(name)
    pocket = pocket_folder(text)
    if pocket is not None:
        if not (pocket / "config.json").is_file():
            raise CourseError(
                f"the weights of {pocket.name!r} are not installed (looked in {pocket}). "
                f"Recreate them with: course pocket pretrain --model "
                f"{pocket.name.removeprefix('pocket-')}"
            )
        return Source(str(pocket), str(pocket), _checksum(pocket / "model.safetensors"))
    folder = Path(text).expanduser()
    if (
        text.strip()
        and folder.is_dir()
        and (text not in SHORT_NAMES or (folder / "config.json").is_file())
    ):
        return Source(str(folder), str(_checked_folder(folder)))
    if text.startswith((".", "~")) or folder.is_absolute() or text.count("/") > 1:
        raise CourseError(
            f"there is no folder {text!r}. A local model is a folder with config.json, "
            "model.safetensors and a tokenizer, as save_pretrained writes it."
        )
    if text.lower() in SHORT_NAMES:
        text = SHORT_NAMES[text.lower()]
    if text.count("/") == 1 and all(text.split("/")):
        return _from_hub(text, revision, weights)
    raise unknown_name(
        "PLM", text, known_names(), "Or give a folder, or an id of the Hub as owner/name."
    )


def _checksum(weights: Path) -> str | None:
    if not weights.is_file():
        return None
    return f"sha256:{hashlib.sha256(weights.read_bytes()).hexdigest()[:12]}"


def _checked_folder(folder: Path) -> Path:
    if not (folder / "config.json").is_file():
        found = sorted(path.name for path in folder.iterdir())[:6]
        raise CourseError(
            f"the folder {str(folder)!r} holds no config.json (found: "
            f"{', '.join(found) or 'nothing'}). A local model is a folder as save_pretrained "
            "writes it: config.json, model.safetensors and a tokenizer."
        )
    return folder


def _from_hub(name: str, revision: str | None, weights: bool) -> Source:
    from course_utils.hub import fetch

    folder = name.rsplit("/", 1)[-1]
    hint = (
        f"Then load_plm('./{folder}') finds it. The pocket models need no network: "
        "load_plm('pocket-bert')."
    )
    found = fetch(
        name,
        "model",
        wanted=model_files if weights else _small_files,
        revision=revision,
        offline_hint=hint,
    )
    return Source(name, str(found.folder), found.commit, hub=True)


def model_files(names: Sequence[str]) -> list[str]:
    """Of a repository's files those that load_plm reads: configuration, tokenizer, PyTorch weights.

    safetensors where there are any, else PyTorch's older format; nothing from folders below, where
    repositories keep exports for other programs. Empty where there are no weights to read.
    """
    small = _small_files(names)
    for stem, ending in (("model", "safetensors"), ("pytorch_model", "bin")):
        index = f"{stem}.{ending}.index.json"
        parts = [n for n in names if re.fullmatch(rf"{stem}-\d+-of-\d+\.{ending}", n)]
        whole = f"{stem}.{ending}"
        if whole in names:
            return [*small, whole] if small else []
        if index in names and parts:
            return [*small, *parts] if small else []
    return []


def _small_files(names: Sequence[str]) -> list[str]:
    """Configuration and tokenizer; empty without a config.json."""
    found = [n for n in names if "/" not in n and n.endswith((".json", ".txt", ".model", ".jinja"))]
    return found if "config.json" in found else []


def from_source(auto_class, source: Source, **settings):
    """`from_pretrained` with every failure turned into one line that says what to do."""
    try:
        return auto_class.from_pretrained(source.folder, **settings)
    except Exception as error:
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        if source.hub:
            problem = CourseError(f"{source.name!r} can't be loaded: {first_line}")
        else:
            problem = CourseError(
                f"the folder {source.name!r} can't be loaded: {first_line} A local model is a "
                "folder as save_pretrained writes it: config.json, model.safetensors and a "
                "tokenizer."
            )
        raise problem from None

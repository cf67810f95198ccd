"""A model with exits on disk, whole: what training changed is all of it.

    config.json, model.safetensors, tokenizer files    the PLM with its own head, as `load_plm`
                                                       and transformers read it
    exits.safetensors                                  the other exits and the confidence
    exits.json                                         checksums of both, training, versions

Every file appears whole or not at all, and exits.json last: a write that was killed half-way leaves
the old folder, or checksums that tell.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from course_utils.early_exit.exits import EarlyExit
from course_utils.early_exit.objectives import OBJECTIVES
from course_utils.errors import CourseError
from course_utils.plm.load import load_plm
from course_utils.records import read_json, versions, write_json

FORMAT = 1
PLM_FILE, EXITS, PAGE = "model.safetensors", "exits.safetensors", "exits.json"
PARTS = ("heads.", "confidence.")


def save_exits(exits: EarlyExit, folder: str | os.PathLike, *, tokenizer: Any = None) -> Path:
    """Write the PLM, its exits and its tokenizer to a folder, made if needed.

    Args:
        tokenizer: the one the model came with, when not given.
    """
    folder = Path(folder).expanduser()
    tokenizer = tokenizer or getattr(exits.model, "plm_tokenizer", None)
    if tokenizer is None:
        raise CourseError("save_exits: give tokenizer=, this model did not bring its own.")
    names = [list(exits.model.named_parameters(remove_duplicate=r)) for r in (True, False)]
    if len(names[0]) != len(names[1]):
        raise CourseError(
            "save_exits: layers of this PLM share their weights, which transformers' folders can't "
            "hold. safetensors.torch.save_model(exits, file) can."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".partial-") as partial:
            fresh = Path(partial)
            # One file, whatever the size, so that one checksum covers it.
            exits.model.save_pretrained(fresh, max_shard_size="1TB")
            tokenizer.save_pretrained(fresh)
            save_file(_own_state(exits), fresh / EXITS)
            page = {
                "format": FORMAT,
                "layers": exits.layers,
                "training": exits.method.name,
                "settings": asdict(exits.method),
                "confidence_trained": exits.confidence_trained,
                "sha256": {name: _checksum(fresh / name) for name in (PLM_FILE, EXITS)},
                "versions": versions(),
            }
            for path in sorted(fresh.iterdir()):
                os.replace(path, folder / path.name)
    except OSError as error:
        raise CourseError(f"can't write to {str(folder)!r}: {error.strerror}.") from None
    write_json(folder / PAGE, page)
    return folder


def load_exits(folder: str | os.PathLike, **options: Any) -> tuple[EarlyExit, Any]:
    """(exits, tokenizer) of a folder that `save_exits` wrote, in eval mode.

    Args:
        options: of `load_plm`: device, dtype.

    Raises:
        CourseError: a file is missing, damaged, of another format, or of another save.
    """
    folder = Path(folder).expanduser()
    for name in (PAGE, PLM_FILE, EXITS):
        if not (folder / name).is_file():
            raise CourseError(
                f"{str(folder)!r} holds no {name}. Give the folder that save_exits wrote."
            )
    page = read_json(folder / PAGE)
    if page.get("format") != FORMAT:
        raise CourseError(
            f"{str(folder / PAGE)!r} is not in format {FORMAT}, which this version reads. "
            "Update course_utils, or save again."
        )
    for name, known in page["sha256"].items():
        if _checksum(folder / name) != known:
            raise CourseError(
                f"{str(folder / name)!r} is damaged or not the one {PAGE} was written for (its "
                "checksum differs). Save or copy the folder again."
            )
    model, tokenizer = load_plm(folder, head="classifier", **options)
    exits = EarlyExit(model)
    exits.load_state_dict(load_file(folder / EXITS, device=str(model.device)), strict=False)
    exits.confidence_trained = page["confidence_trained"]
    exits.method = OBJECTIVES[page["training"]](**page["settings"])
    return exits, tokenizer


def _own_state(exits: EarlyExit) -> dict:
    """What the exits add to the PLM."""
    state = exits.state_dict()
    return {name: t.contiguous() for name, t in state.items() if name.startswith(PARTS)}


def _checksum(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

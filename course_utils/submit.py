"""Packing a homework: notebook, records, predictions and adapters in one zip, checked on the way.

    print(pack("hw_prompt", notebook="hw_prompt.ipynb", runs="results"))

What goes in is a short list of files of known kinds: nothing else of a folder is taken, and tensors
only as safetensors. What the homework asks for and is not there is said, and does not stop the
packing: an incomplete homework can be handed in. Scores are not believed later, but recomputed from
the predictions; a record that does not fit its predictions is better found here.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import sys
import tomllib
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from course_utils import __version__
from course_utils.errors import CourseError, unknown_name
from course_utils.records import RunRecord, whole_file
from course_utils.show.memory import readable

LIMIT = 100_000_000  # bytes of a zip that learning platforms take
RUN_FILES = ("record.json", "predictions.jsonl")
ADAPTER_FILES = ("method.json", "adapter.safetensors")
MANIFEST = "manifest.json"
NOTEBOOK = "notebook.ipynb"


@dataclass(frozen=True)
class Asked:
    """What a homework asks for in runs; see homework.toml."""

    title: str
    methods: tuple[str, ...]
    at_least_tasks: int
    at_least_methods: int
    beat: bool
    tracks: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Packed:
    """A zip that was written, what is in it, and what is missing."""

    path: Path
    size: int
    runs: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def complete(self) -> bool:
        return not self.missing

    def __str__(self) -> str:
        lines = [f"{self.path} ({readable(self.size)}): a notebook and {len(self.runs)} runs"]
        lines += [f"  {run}" for run in self.runs]
        if self.missing:
            lines.append("Missing, as it seems:")
            lines += [f"  - {sentence}" for sentence in self.missing]
        else:
            lines.append("Nothing is missing of what can be checked here.")
        return "\n".join(lines)


@dataclass(frozen=True)
class _Run:
    folder: Path
    record: RunRecord
    name: str = ""  # of its folder in the zip

    def __str__(self) -> str:
        r = self.record
        return f"{r.task}, {r.method} on {r.plm}, seed {r.seed}: {r.metric} {r.score:.3f}"


@cache
def all_asked() -> dict[str, Asked]:
    """Homework's name -> what it asks for."""
    known = tomllib.loads((Path(__file__).parent / "homework.toml").read_text(encoding="utf-8"))
    found = {}
    for homework, values in known.items():
        methods = tuple(values["methods"])
        tracks = {track: tuple(tasks) for track, tasks in values["tracks"].items()}
        found[homework] = Asked(**values | {"methods": methods, "tracks": tracks})
    return found


def asked_by(homework: str) -> Asked:
    """What the homework of that name asks for.

    Raises:
        CourseError: an unknown homework.
    """
    known = all_asked()
    if homework not in known:
        raise unknown_name("homework", homework, known)
    return known[homework]


def pack(
    homework: str,
    *,
    notebook: str | Path | None = None,
    runs: str | Path | Sequence[str | Path] = "runs",
    output: str | Path | None = None,
    limit: int = LIMIT,
) -> Packed:
    """Writes the zip to hand in.

    Args:
        homework: "hw_prompt" or "hw_adapter".
        notebook: the homework's notebook; on Colab the open one when not given.
        runs: folder or folders in which `course run` left its runs.
        output: the zip; HOMEWORK.zip when not given.
        limit: bytes it may have.

    Returns:
        what was packed and what is missing.

    Raises:
        CourseError: an unknown homework, no notebook, one that is none, no run, a broken record,
            a zip over the limit (nothing is written then).
    """
    asked = asked_by(homework)
    document = _notebook(notebook)
    places = [runs] if isinstance(runs, str | Path) else list(runs)
    found = _named([run for place in places for run in _runs_below(Path(place))])
    if not found:
        raise CourseError(
            f"there is no run below {', '.join(map(str, places))}: `course run` with --output "
            "leaves record.json and predictions.jsonl in a folder for each seed."
        )
    missing = [*_missing_of_notebook(document), *_missing_of_runs(asked, found)]
    contents: dict[str, bytes] = {NOTEBOOK: json.dumps(document, ensure_ascii=False).encode()}
    for run in found:
        contents |= _files_of(run, missing)
    manifest = _manifest(homework, contents, found)
    contents[MANIFEST] = json.dumps(manifest, indent=2).encode()
    path = Path(output or f"{homework}.zip")
    size = _write(path, contents, limit)
    return Packed(path, size, tuple(map(str, found)), tuple(missing))


def _notebook(given: str | Path | None) -> dict[str, Any]:
    if given is None:
        return _open_on_colab()
    path = Path(given)
    if not path.is_file():
        raise CourseError(f"there is no notebook {path}.")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as broken:
        raise CourseError(f"{path} is no notebook: {broken}.") from broken
    if not isinstance(document, dict) or not isinstance(document.get("cells"), list):
        raise CourseError(f"{path} is no notebook: it has no cells.")
    return document


def _open_on_colab() -> dict[str, Any]:
    """The notebook that is open, as Colab has it at this moment, saved or not."""
    if "google.colab" not in sys.modules:
        raise CourseError("give notebook=FILE, the notebook of the homework.")
    from google.colab import _message  # pyright: ignore[reportMissingImports]

    answer = _message.blocking_request("get_ipynb", request="", timeout_sec=60)
    if not answer or "ipynb" not in answer:
        raise CourseError(
            "Colab did not hand over the open notebook. Download it (File > Download) and give "
            "notebook=FILE."
        )
    return answer["ipynb"]


def _runs_below(folder: Path) -> list[_Run]:
    if not folder.is_dir():
        raise CourseError(f"there is no folder of runs {folder}.")
    found = [_Run(p.parent, RunRecord.read(p)) for p in sorted(folder.rglob("record.json"))]
    return [run for run in found if (run.folder / "predictions.jsonl").is_file()]


def _named(runs: Sequence[_Run]) -> list[_Run]:
    """Each with a name of its own; a setting that was tried twice gets numbers."""
    seen: Counter[str] = Counter()
    named = []
    for run in runs:
        r = run.record
        name = f"{r.task.replace('/', '-')}-{r.method}-seed-{r.seed}"
        seen[name] += 1
        named.append(replace(run, name=name if seen[name] == 1 else f"{name}-{seen[name]}"))
    return named


def _missing_of_notebook(document: dict[str, Any]) -> list[str]:
    graded = [c for c in document["cells"] if "nbgrader" in c.get("metadata", {})]
    if not graded:
        return ["The notebook has none of the homework's cells: is it the right file?"]
    solutions = [c for c in graded if c["metadata"]["nbgrader"].get("solution")]
    empty = [
        c["metadata"]["nbgrader"].get("grade_id", "?")
        for c in solutions
        if "raise NotImplementedError" in "".join(c["source"])
    ]
    return [f"Not written yet: {', '.join(empty)}."] if empty else []


def _missing_of_runs(asked: Asked, found: Sequence[_Run]) -> list[str]:
    """Of the track that is complete, else of the one with the most tasks."""
    by_track = []
    for track, tasks in asked.tracks.items():
        runs = [r for r in found if r.record.task in tasks and r.record.method in asked.methods]
        missing = _missing_of_track(asked, track, runs)
        by_track.append((bool(missing), -len({run.record.task for run in runs}), missing))
    return min(by_track, key=lambda one: one[:2])[-1]


def _missing_of_track(asked: Asked, track: str, runs: Sequence[_Run]) -> list[str]:
    missing = []
    tasks = sorted({run.record.task for run in runs})
    methods = sorted({run.record.method for run in runs})
    if len(tasks) < asked.at_least_tasks:
        left = [task for task in asked.tracks[track] if task not in tasks]
        missing.append(
            f"{asked.title} asks for runs on at least {asked.at_least_tasks} tasks; here are "
            f"{len(tasks)} ({', '.join(tasks) or 'none'}). Open are {', '.join(left)}."
        )
    if len(methods) < asked.at_least_methods:
        missing.append(
            f"{asked.title} asks for at least {asked.at_least_methods} of the methods "
            f"{', '.join(asked.methods)}; here are {', '.join(methods) or 'none'}."
        )
    if asked.beat and not any(_above(run.record) for run in runs):
        missing.append(
            "No run is above the published result yet; one of them should be."
            + _published_for(tasks)
        )
    return missing


def _above(record: RunRecord) -> bool:
    """Whether a run is above what is published for its task, PLM and split."""
    from course_utils.recipes import released

    found = released(record.task, record.plm)
    return found is not None and found.beaten_by(record.score, record.split)


def _published_for(tasks: Sequence[str]) -> str:
    """A sentence on what is to be beaten, task by task: score, PLM, split."""
    from course_utils.recipes import recipes

    known = [f"{r.task} {r.result:.1f} ({r.plm}, {r.split})" for r in recipes() if r.task in tasks]
    return f" Published are {'; '.join(known)}." if known else ""


def _files_of(run: _Run, missing: list[str]) -> dict[str, bytes]:
    """A run's files under their names in the zip; adds to `missing` what does not fit."""
    place = f"runs/{run.name}"
    files = {f"{place}/{name}": (run.folder / name).read_bytes() for name in RUN_FILES}
    lines = files[f"{place}/predictions.jsonl"].decode("utf-8", "replace").splitlines()
    if len(lines) != run.record.n:
        missing.append(
            f"{run.name}: {len(lines)} predictions, but its record speaks of {run.record.n}."
        )
    adapter = run.folder / "adapter"
    for name in ADAPTER_FILES:
        if (adapter / name).is_file():
            files[f"{place}/adapter/{name}"] = (adapter / name).read_bytes()
        else:
            missing.append(f"{run.name}: {adapter / name} is not there, so it can't be run again.")
    return files


def _manifest(homework: str, contents: dict[str, bytes], runs: Sequence[_Run]) -> dict[str, Any]:
    return {
        "homework": homework,
        "kit": __version__,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "runs": [run.name for run in runs],
        "files": {
            name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in contents.items()
        },
    }


def _write(path: Path, contents: dict[str, bytes], limit: int) -> int:
    """The zip, whole or not at all; its size."""
    with whole_file(path) as draft:
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in contents.items():
                archive.writestr(name, data)
        size = draft.stat().st_size
        if size > limit:
            largest = sorted(contents, key=lambda name: -len(contents[name]))[:3]
            raise CourseError(
                f"the zip has {readable(size)}, more than the {readable(limit)} allowed. The "
                f"largest files are {', '.join(largest)}. Pack fewer runs: runs=[FOLDER, ...]."
            )
    return size

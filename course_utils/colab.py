"""The setup cell: the same first code cell in every notebook, kept in one place.

On Colab it fetches the kit and adds the packages that are missing. It never moves a package
that is already there - least of all numpy and torch, which Colab builds against its GPUs - and
it says "restart" when the versions in memory are not the ones on disk. Everywhere else it only
checks. Either way it ends with a seed, a device and a line that says where we are.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from course_utils import __version__
from course_utils.doctor import requirements
from course_utils.errors import CourseError

if TYPE_CHECKING:
    import torch

DRIVE = Path("/content/drive")  # where Colab connects a Google Drive
KIT = "./peft-course-kit"  # until a course publishes its copy: a folder beside the notebook

_CELL = """\
# Setup. On Colab: fetch the kit, add what is missing. Elsewhere: only check.
import importlib.util
import subprocess
import sys

KIT = "{kit}"  # where Colab finds the kit
if "google.colab" in sys.modules and importlib.util.find_spec("course_utils") is None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, KIT], check=True)

from course_utils.colab import setup  # not found? open the notebook with `make lab`

device = setup(seed=0)
"""


def setup_cell(kit: str = KIT) -> str:
    """The first code cell of every notebook.

    Args:
        kit: what pip installs the kit from on Colab: `git+https://...`, the address of an
            archive, or a folder.
    """
    return _CELL.format(kit=kit)


def setup(seed: int = 0) -> torch.device:
    """Check the environment, seed every generator, and pick the device.

    Args:
        seed: for Python's, numpy's and torch's generators.

    Returns:
        the GPU when there is one, else the CPU.

    Raises:
        CourseError: a package is missing and can't be added here, or a restart is needed.
    """
    missing, outside = survey(_wanted())
    if missing and not on_colab():
        names = ", ".join(r.name for r in missing)
        raise CourseError(
            f"this Python ({sys.executable}) lacks {names}. Open the notebook with `make lab` in "
            "the kit's folder, or run: pip install -e '.[lab]' there."
        )
    if missing:
        add(missing)
    changed = changed_in_memory()
    if changed:
        raise CourseError(
            f"{changed}. Restart the runtime (Runtime > Restart session) and run this cell again "
            "before anything else."
        )
    for line in outside:
        print(f"note: {line}")
    return _start(seed)


def _wanted() -> list[Requirement]:
    try:
        return list(requirements().values())
    except metadata.PackageNotFoundError:
        folder = Path(__file__).parents[1]
        raise CourseError(
            f"the kit is found in {folder}, but it is not installed. "
            f"Run: pip install --no-deps {folder}"
        ) from None


def on_colab() -> bool:
    """Whether this Python runs a Colab notebook."""
    return "google.colab" in sys.modules


def results_folder(name: str, *, drive: bool = True) -> Path:
    """A folder for results that outlive the session.

    On Colab a folder of that name in your Google Drive, which Colab asks to connect; a run that is
    given again there goes on where a lost session left it. Elsewhere a folder beside the notebook.

    Args:
        name: the folder's name.
        drive: False stays on Colab's own disk, which is lost with the session.

    Raises:
        CourseError: the Drive can't be connected.
    """
    folder = Path(name)
    if on_colab() and drive:
        try:
            from google.colab import drive as colab_drive  # pyright: ignore[reportMissingImports]

            colab_drive.mount(str(DRIVE))
        except Exception as failed:
            raise CourseError(
                f"Google Drive was not connected ({failed}). Run the cell again and allow it, or "
                "take results_folder(name, drive=False) and download the results before you go."
            ) from failed
        folder = DRIVE / "MyDrive" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def survey(wanted: list[Requirement]) -> tuple[list[Requirement], list[str]]:
    """What is not installed, and in words what is installed outside the kit's range."""
    missing, outside = [], []
    for requirement in wanted:
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            missing.append(requirement)
            continue
        if not requirement.specifier.contains(Version(version), prereleases=True):
            outside.append(
                f"{requirement.name} {version} is outside the tested range "
                f"({requirement.specifier}); it is left as it is"
            )
    return missing, outside


def add(missing: list[Requirement]) -> None:
    """Install packages without changing any that is already there.

    Every installed version is handed to pip as a constraint, so pip can add but not move.

    Raises:
        CourseError: pip found no way to add them under that rule.
    """
    names = ", ".join(r.name for r in missing)
    print(f"adding {names} ...")
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder, "installed.txt")
        pins.write_text("\n".join(installed_pins()) + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--constraint", str(pins)]
        done = subprocess.run(
            [*command, *(str(_without_marker(r)) for r in missing)], capture_output=True, text=True
        )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise CourseError(
            f"could not add {names} without moving an installed package: {lines[-1]} "
            "Restart with a fresh runtime and try again; if it stays, tell your instructor."
        )


def installed_pins() -> list[str]:
    """`name==version` of everything installed, for pip's --constraint."""
    pins = []
    for distribution in metadata.distributions():
        name, version = distribution.metadata["Name"], distribution.version
        try:
            Version(version)
        except (InvalidVersion, TypeError):
            continue
        if name and re.fullmatch(r"[A-Za-z0-9._-]+", name):
            pins.append(f"{name}=={version}")
    return sorted(set(pins))


def changed_in_memory(names: tuple[str, ...] = ("numpy", "torch")) -> str:
    """In words, which loaded packages differ from the installed ones; empty when none does."""
    changes = []
    for name in names:
        loaded = getattr(sys.modules.get(name), "__version__", None)
        if loaded is None:
            continue
        installed = metadata.version(name)
        if Version(str(loaded)).public != Version(installed).public:
            changes.append(f"{name} {loaded} is loaded, but {installed} is installed")
    return "; ".join(changes)


def _without_marker(requirement: Requirement) -> Requirement:
    plain = Requirement(str(requirement))
    plain.marker = None
    return plain


def _start(seed: int) -> torch.device:
    """Seed, choose the device, and print where we are."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    place = "Colab" if on_colab() else "this machine"
    hardware = f"{torch.get_num_threads()} CPU threads"
    if device.type == "cuda":
        gpu = torch.cuda.get_device_properties(0)
        hardware = f"{gpu.name} ({gpu.total_memory / 2**30:.0f} GB)"
    python = ".".join(map(str, sys.version_info[:2]))
    print(
        f"course kit {__version__} on {place}: Python {python}, torch {torch.__version__}, "
        f"{hardware}. Seed {seed}."
    )
    return device

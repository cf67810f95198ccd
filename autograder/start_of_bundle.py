"""Opens the course's notebooks; the first time, sets up what they need.

python start.py            open JupyterLab on the notebooks
python start.py --check    only say whether everything is there
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE / ".venv"


def missing() -> list[str]:
    """Packages that the kit and JupyterLab need and this Python does not have."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["lab"]]
    found = []
    for requirement in wanted:
        name = re.split(r"[<>=!~;\[ ]", requirement)[0]
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            found.append(requirement)
    return found


def python_of(environment: Path) -> Path:
    windows = environment / "Scripts" / "python.exe"
    return windows if os.name == "nt" else environment / "bin" / "python"


def install() -> Path:
    """An environment beside this file with everything in it; needs a network."""
    print("Setting up .venv with what the notebooks need; this takes some minutes, once.")
    python = python_of(ENVIRONMENT)
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet"]
    pins = ["-c", str(HERE / "constraints.txt")] if (HERE / "constraints.txt").exists() else []
    done = subprocess.run([*pip, *pins, f"{HERE}[lab]"])
    if done.returncode:
        sys.exit("Packages could not be installed. Is there a network? Then run this again.")
    return python


def main() -> None:
    if not (3, 11) <= sys.version_info[:2] < (3, 14):
        sys.exit(f"The kit needs Python 3.11, 3.12 or 3.13; this is {sys.version.split()[0]}.")
    own = python_of(ENVIRONMENT)
    if own.exists() and Path(sys.prefix) != ENVIRONMENT:
        # into the environment that an earlier start made
        sys.exit(subprocess.run([str(own), str(HERE / "start.py"), *sys.argv[1:]]).returncode)
    lacking = missing()
    if "--check" in sys.argv:
        print(f"missing: {', '.join(lacking)}" if lacking else "ready: everything is there")
        sys.exit(bool(lacking))
    python = install() if lacking else Path(sys.executable)
    path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": path}
    lab = [str(python), "-m", "jupyterlab", str(HERE / "notebooks" / "00_tour.ipynb")]
    sys.exit(subprocess.run(lab, env=environment, cwd=HERE).returncode)


if __name__ == "__main__":
    main()

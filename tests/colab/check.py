"""The kit beside Colab's packages: run by `make colab`, with the Python that has them.

Plays the setup cell of a notebook as Colab would, from a wheel of this checkout, and sees that no
package of theirs is moved and only what is missing is added.
"""

from __future__ import annotations

import sys
import types
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[2]


def installed() -> dict[str, str]:
    found = {}
    for distribution in metadata.distributions():
        found[distribution.metadata["Name"].lower().replace("_", "-")] = distribution.version
    return found


def main() -> None:
    google, colab = types.ModuleType("google"), types.ModuleType("google.colab")
    google.colab = colab
    sys.modules |= {"google": google, "google.colab": colab}
    before = installed()
    sys.path = [
        p for p in sys.path if Path(p or ".").resolve() not in (ROOT, Path(__file__).parent)
    ]
    text = (ROOT / "notebooks" / "src" / "00_tour.py").read_text(encoding="utf-8")
    cell = text[text.index("# Setup. On Colab") : text.index("# %% [markdown]\n# ## ", 2000)]
    cell = cell.split("\n# %%")[0]
    lines = [f'KIT = "{ROOT}"' if line.startswith("KIT = ") else line for line in cell.splitlines()]
    exec(compile("\n".join(lines), "setup cell", "exec"), {})
    after = installed()
    moved = {name: (version, after.get(name)) for name, version in before.items()
             if after.get(name) != version}  # fmt: skip
    added = sorted(after.keys() - before.keys())
    print(f"added: {', '.join(added) or 'nothing'}")
    if moved:
        sys.exit(f"moved packages of Colab's: {moved}")


if __name__ == "__main__":
    main()

"""How nbgrader works in a course folder, for its own commands and for this package alike.

The course folder's `nbgrader_config.py` calls `configure`, so `nbgrader autograde hw_prompt`
typed there and `course grade hw_prompt` go by the same settings.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

from traitlets.config import Config

#: nbgrader's own default is none, which databases that check their keys refuse
COURSE_ID = "default_course"

#: cells with this tag train something; the grader judges what the answers compute instead
TRAINING_TAG = "training"

#: what a course folder's own nbgrader_config.py says
CONFIG_FILE = '''"""Settings for nbgrader in this folder. Add your own below the last line."""

from pathlib import Path

from autograder.nbgrader_config import configure

configure(get_config(), Path(__file__).resolve().parent)  # noqa: F821 (nbgrader provides it)
'''


def configure(config: Config, root: Path | str) -> Config:
    """Fill in `config` for the course folder `root`; returns it.

    Differences from stock nbgrader: a notebook is repaired and then judged (autograder.verdict),
    not executed beside the gradebook; lateness goes by the course's policy; the export quotes.
    """
    from nbconvert.preprocessors import ClearMetadataPreprocessor
    from nbgrader import preprocessors as stock

    # by name: only grading itself imports torch
    repair, judge, save = (
        f"autograder.preprocessors.{n}" for n in ("Repair", "Judge", "SavePoints")
    )
    prepare_environment()
    config.CourseDirectory.root = str(root)
    config.CourseDirectory.course_id = COURSE_ID
    config.Autograde.sanitize_preprocessors = [
        stock.ClearOutput,
        repair,
        stock.DeduplicateIds,
        stock.OverwriteKernelspec,
        stock.OverwriteCells,
        stock.CheckCellMetadata,
    ]
    config.Autograde.autograde_preprocessors = [
        judge,
        stock.IgnorePattern,
        ClearMetadataPreprocessor,
        stock.LimitOutput,
        save,
        stock.AssignLatePenalties,
        stock.CheckCellMetadata,
    ]
    config.ExportApp.plugin_class = "autograder.export.QuotedCsv"
    config.AssignLatePenalties.plugin_class = "autograder.late.GroupDeadlines"
    return config


def prepare_environment() -> None:
    """Set this process up for nbgrader and for the kernels it starts.

    nbgrader runs the command `alembic` by its bare name, which fails in a virtual environment
    that is used without being activated; libraries chat on stderr unless told not to, and
    SQLAlchemy remarks on nbgrader's own queries.
    """
    here = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", os.defpath)
    if path.split(os.pathsep)[0] != here:
        os.environ["PATH"] = here + os.pathsep + path
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    warnings.filterwarnings("ignore", message="Object of type <Submitted")

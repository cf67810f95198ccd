"""The real tasks of the course, by the names `load_task` takes."""

from __future__ import annotations

from course_utils.tasks.real import ner, news_and_inference, srl, table_to_text
from course_utils.tasks.real.declared import HubData, LocalFiles, RealTask
from course_utils.tasks.real.glue import GLUE
from course_utils.tasks.real.superglue import SUPERGLUE

REAL: dict[str, RealTask] = {
    **SUPERGLUE,
    **GLUE,
    **news_and_inference.TASKS,
    **ner.TASKS,
    **srl.TASKS,
    **table_to_text.TASKS,
}

__all__ = ["REAL", "HubData", "LocalFiles", "RealTask"]

"""Steps added to nbgrader's own: two when grading, one when writing feedback."""

from __future__ import annotations

from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.preprocessors import ClearHiddenTests, NbGraderPreprocessor


class NoTagsOnGradedCells(NbGraderPreprocessor):
    """Cells of the homework run, whatever a submission says about them.

    Jupyter skips a cell by its tag, and a test that is skipped raises nothing: full points.
    """

    def preprocess_cell(
        self, cell: NotebookNode, resources: ResourcesDict, index: int
    ) -> tuple[NotebookNode, ResourcesDict]:
        if "nbgrader" in cell.metadata:
            cell.metadata.pop("tags", None)
        return cell, resources


class StderrIsNoError(NbGraderPreprocessor):
    """A warning or a progress bar in a test cell must not cost the points.

    nbgrader scores a test cell 0 when it printed anything to stderr. Here such output becomes
    ordinary output before the score is taken; exceptions stay what they are.
    """

    def preprocess_cell(
        self, cell: NotebookNode, resources: ResourcesDict, index: int
    ) -> tuple[NotebookNode, ResourcesDict]:
        if utils.is_grade(cell):
            for output in cell.get("outputs", []):
                if output.output_type == "stream":
                    output.name = "stdout"
        return cell, resources


class ConcealTests(ClearHiddenTests):
    """Feedback without the hidden tests: neither their source nor a traceback that quotes it.

    Of an error in a graded cell only its name and message stay.
    """

    def preprocess_cell(
        self, cell: NotebookNode, resources: ResourcesDict, index: int
    ) -> tuple[NotebookNode, ResourcesDict]:
        cell, resources = super().preprocess_cell(cell, resources, index)
        if utils.is_grade(cell):
            for output in cell.get("outputs", []):
                if output.output_type == "error":
                    output.traceback = [f"{output.ename}: {output.evalue}"]
        return cell, resources

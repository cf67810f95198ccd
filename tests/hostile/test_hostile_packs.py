"""Packed zips that lie, through the whole grader: an LMS's download, graded with every replay.

Each costs its owner what is wrong with it and nothing else: the notebook's points stay where the
zip can be read, the next student is graded, and nothing is written beside the course folder.
"""

from __future__ import annotations

import hashlib
import html
import io
import json
import os
import pickle
import struct
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import hostile_submissions as hostile
import nbformat
import pytest

from autograder.feedback import feedback
from autograder.grade import grade_class
from autograder.release import release
from autograder.sandbox.trying import why_not
from autograder.workers import Workers
from course_utils.run import run
from course_utils.settings import TrainSettings
from course_utils.submit import pack

HOMEWORK = "hw_prompt"  # its name says which runs count; the notebook here is a small one
NOTEBOOK, RUN = float(hostile.ALL), 6.0
POLICY = f"""
[[results]]
assignment = "{HOMEWORK}"
earns = "tasks"
points = {RUN:g}
most = 3

[[results]]
assignment = "{HOMEWORK}"
earns = "beats"
points = 6
most = 1
"""
PLACE = "runs/pocket-wic-SoftPrompt-seed-0"
RECORD, PREDICTIONS = f"{PLACE}/record.json", f"{PLACE}/predictions.jsonl"
PAGE, TENSORS = f"{PLACE}/adapter/method.json", f"{PLACE}/adapter/adapter.safetensors"
MARK = "written-by-a-hostile-pack"
Files = dict[str, bytes]


@pytest.fixture(scope="module")
def root():
    """Not in /tmp, which everybody writes to: what appears here came from the grader."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def stub(root) -> dict:
    made = hostile.notebook()
    made.cells.append(hostile._cell("results-check", "assert 'results'", 24))
    source = root / "assignments" / "source" / HOMEWORK / f"{HOMEWORK}.ipynb"
    source.parent.mkdir(parents=True)
    nbformat.write(made, source)
    (root / "assignments" / "checks").mkdir()
    (root / "assignments" / "checks" / f"{HOMEWORK}.py").write_text(hostile.CHECKS, "utf-8")
    (root / "assignments" / "policy.toml").write_text(POLICY, "utf-8")
    path = release(HOMEWORK, root / "course", assignments_dir=root / "assignments", run=False)
    return json.loads(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def honest(root, stub) -> Files:
    """What an honest student packs: right answers and one real run."""
    place = root / "honest"
    place.mkdir()
    right = hostile.written(stub, hostile.Attack("honest", "graded", NOTEBOOK, hostile.HONEST))
    (place / "hw.ipynb").write_text(json.dumps(right), "utf-8")
    run(
        "pocket-bert-tiny", "pocket/wic", method="soft-prompt", hyperparameters={"length": 3},
        examples=16, settings=TrainSettings(epochs=1, learning_rate=1e-2),
        output=place / "runs", progress=False, say=lambda text: None,
    )  # fmt: skip
    pack(HOMEWORK, notebook=place / "hw.ipynb", runs=place / "runs", output=place / "hw.zip")
    with zipfile.ZipFile(place / "hw.zip") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


# ------------------------------------------------------------------------------- the attacks


def zipped(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def beside(**more: bytes) -> Callable[[Files], bytes]:
    return lambda files: zipped(files | more)


def having(**changed: bytes | None) -> Callable[[Files], Files]:
    """The honest files with these in their place, by what they are; None takes one out."""
    places = {"record": RECORD, "predictions": PREDICTIONS, "page": PAGE, "tensors": TENSORS}

    def made(files: Files) -> Files:
        files = files | {places[what]: data for what, data in changed.items()}
        return {name: data for name, data in files.items() if data is not None}

    return made


def record(**fields) -> Callable[[Files], Files]:
    """The honest files, the record claiming something else."""
    return lambda files: files | {RECORD: dumped(json.loads(files[RECORD]) | fields)}


def page(**fields) -> Callable[[Files], Files]:
    return lambda files: files | {PAGE: dumped(json.loads(files[PAGE]) | fields)}


def settings(**fields) -> Callable[[Files], Files]:
    return lambda files: page(settings=json.loads(files[PAGE])["settings"] | fields)(files)


def tensors(data: bytes) -> Callable[[Files], Files]:
    """Other bytes as the adapter, with a page that was written for them."""
    mark = hashlib.sha256(data).hexdigest()
    return lambda files: page(sha256=mark)(files | {TENSORS: data})


def rows(change: Callable[[list[dict]], list]) -> Callable[[Files], Files]:
    """The honest files, the predictions' rows changed."""

    def made(files: Files) -> Files:
        given = [json.loads(line) for line in files[PREDICTIONS].splitlines()]
        return files | {PREDICTIONS: "\n".join(map(json.dumps, change(given))).encode()}

    return made


def dumped(value: dict) -> bytes:
    return json.dumps(value).encode()


def link(files: Files) -> bytes:
    data = io.BytesIO(zipped({n: d for n, d in files.items() if n != RECORD}))
    entry = zipfile.ZipInfo(RECORD)
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(data, "a") as archive:
        archive.writestr(entry, "/etc/passwd")
    return data.getvalue()


def twice(files: Files) -> bytes:
    data = io.BytesIO(zipped(files))
    with zipfile.ZipFile(data, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr(RECORD, b"{}")
    return data.getvalue()


def patched(
    method: int, offset: int, damage: bytes, header: bool = False
) -> Callable[[Files], bytes]:
    """A zip whose first file, the record, is damaged: in its data or in its two headers."""

    def made(files: Files) -> bytes:
        first = {RECORD: files[RECORD]} | files
        data = bytearray(zipped(first, method))
        if header:
            central = data.index(b"PK\x01\x02")
            data[central + offset + 2 : central + offset + 2 + len(damage)] = damage
            data[offset : offset + len(damage)] = damage
        else:
            start = 30 + len(RECORD) + offset
            data[start : start + len(damage)] = damage
        return bytes(data)

    return made


class _Opens:
    """What unpickling this would do."""

    def __reduce__(self):
        return (os.system, (f"touch /var/tmp/{MARK}",))


def header_of(text: bytes, data: bytes = b"", size: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if size is None else size) + text + data


REFUSED = ("student_error", 0.0)  # the whole zip, and with it the notebook
ALL = ("graded", NOTEBOOK + RUN)

#: student -> (zip made from the honest files, (status, score), what is said to the student)
PACKS: dict[str, tuple[Callable[[Files], bytes], tuple[str, float], str]] = {
    # the archive
    "bomb": (beside(**{PREDICTIONS: b"\0" * 60_000_000}), REFUSED, "larger than 50 MB"),
    "link": (link, REFUSED, "is a link"),
    "twice": (twice, REFUSED, "twice"),
    "many": (lambda f: zipped(f | {f"{n}": b"" for n in range(500)}), REFUSED, "at most"),
    "cutoff": (lambda f: zipped(f)[:-200], REFUSED, "is no zip"),
    "notzip": (lambda f: b"PK\x03\x04" + b"x" * 100, REFUSED, "is no zip"),
    "deflate": (patched(zipfile.ZIP_DEFLATED, 0, b"\xff" * 40), REFUSED, "can't be unpacked"),
    "lzma": (patched(zipfile.ZIP_LZMA, 4, b"\xff" * 40), REFUSED, "can't be unpacked"),
    "bzip": (patched(zipfile.ZIP_BZIP2, 0, b"\xff" * 40), REFUSED, "can't be unpacked"),
    "codec": (patched(zipfile.ZIP_STORED, 8, b"\x63\x00", header=True), REFUSED, "unpacked"),
    "secret": (patched(zipfile.ZIP_STORED, 6, b"\x01\x00", header=True), REFUSED, "is encrypted"),
    "smaller": (patched(zipfile.ZIP_DEFLATED, 22, b"\x05\x00\x00\x00", header=True), REFUSED,
                "can't be unpacked"),
    "dots": (beside(**{f"../../{MARK}": b"x", f"runs/../../{MARK}": b"x"}), ALL, "was left out"),
    "absolute": (beside(**{f"/var/tmp/{MARK}": b"x", f"C:\\{MARK}": b"x"}), ALL, "was left out"),
    "tags": (beside(**{"<script>alert(4711)</script>": b"x"}), ALL, "was left out"),
    "nested": (beside(**{"inner.zip": zipped({"notebook.ipynb": b"{}"})}), ALL, "was left out"),
    "zipinside": (beside(**{"notebook.ipynb": zipped({"a.ipynb": b"{}"})}), REFUSED,
                  "can't be read"),
}  # fmt: skip

#: run -> (its files made from the honest ones, what is said of it)
RUNS: dict[str, tuple[Callable[[Files], Files], str]] = {
    # the adapter
    "hugeheader": (tensors(header_of(b"{}", size=2**63)), "no proper header"),
    "longheader": (tensors(header_of(b" " * 2_000_000)), "no proper header"),
    "manytensors": (
        tensors(header_of(json.dumps({
            str(n): {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(9_999)
        }).encode())), "at most 5,000"),
    "hugeshape": (
        tensors(header_of(b'{"a":{"dtype":"F32","shape":[1099511627776,1099511627776],'
                          b'"data_offsets":[0,0]}}')), "too many numbers"),
    "pickle": (tensors(pickle.dumps(_Opens())), "adapter.safetensors"),
    "picklein": (tensors(header_of(pickle.dumps(_Opens()))), "adapter.safetensors"),
    "emptyfile": (tensors(b""), "cut off before its header"),
    "noadapter": (having(tensors=None), "the adapter is missing"),
    "longprompt": (settings(length=10**9), "length is 1e+09"),
    "longlist": (settings(words=[10**12]), "words is 1e+12"),
    "negative": (settings(length=-3), "method.json"),
    "wordlength": (settings(length="three"), "method.json"),
    "boxlength": (settings(length={"a": [1]}), "method.json"),
    "othermethod": (page(method="full", settings={}), "written by 'full'"),
    "listpage": (having(page=b"[1, 2]"), "expected a JSON object"),
    "deeppage": (having(page=b"[" * 200_000), "method.json: broken JSON"),
    "noplm": (page(plm=None), "could not be run again: method.json"),
    "oddplm": (page(plm={"class": 1, "sizes": [], "labels": 0, "values": "x"}), 
               "could not be run again"),
    "oddvalues": (lambda f: page(plm=json.loads(f[PAGE])["plm"] | {
        "values": {"bert.embeddings.word_embeddings.weight": [["x"]]}})(f), 
        "could not be run again"),
    # the predictions
    "farids": (rows(lambda r: [*r[1:], {"id": 10**30, "prediction": 0}]), "1 unknown"),
    "doubled": (rows(lambda r: [*r, r[0]]), "1 doubled"),
    "minusids": (rows(lambda r: [{**x, "id": -x["id"] - 1} for x in r]), "1000 unknown"),
    "boolids": (rows(lambda r: [{**x, "id": True} for x in r]), "id True"),
    "floatlabels": (rows(lambda r: [{**x, "prediction": 1.0} for x in r]), "is no label"),
    "hugelabel": (rows(lambda r: [{**x, "prediction": 2**70} for x in r]), "is no label"),
    "notrows": (rows(lambda r: [[1, 2]]), "expected a JSON object"),
    "digits": (having(predictions=b'{"id": 0, "prediction": ' + b"9" * 9_999 + b"}"), 
               "line 1: broken JSON"),
    "deeplines": (having(predictions=b"[" * 200_000), "line 1: broken JSON"),
    "binary": (having(predictions=bytes(range(256)) * 99), "line 1: broken JSON"),
    "nolines": (having(predictions=b""), "1000 missing"),
    # the record
    "taskof": (record(task="pocket/ner"), "expected 6 tags"),
    "taskelse": (record(task="pocket/sst2"), "does not count for HW-Prompt"),
    "tasklist": (record(task=["pocket/wic"]), "expected str"),
    "bigscore": (record(score=1e308), "the record claims"),
    "oddnotes": (record(notes=5), "notes is 5; expected dict"),
    "oddnote": (record(notes={"template": ["x"]}), "prompt"),
    "ownprompt": (record(notes={"layout": "of my own"}), "could not be run again"),
    "oddsettings": (record(settings=[1]), "settings is [1]; expected dict"),
    "oddlength": (record(settings={"max_length": "x"}), "max_length"),
    "splitlist": (record(split=["test"]), "expected str"),
    "splitelse": (record(split="train"), "which runs are trained on"),
    "plmpath": (record(plm="/etc"), "plm is the path"),
    "plmup": (record(plm="a/../../b"), "plm is the path"),
    "plmelse": (record(plm="nobody/has-this"), "nobody/has-this"),
    "plmother": (record(plm="pocket-bert-base"), "has the shape"),
    "longnames": (record(method="M" * 1_900_000), "does not count"),
    "deeprecord": (having(record=b'{"a":' * 100_000), "record.json: broken JSON"),
}  # fmt: skip


def all_at_once(files: Files) -> bytes:
    """One zip with every run of RUNS, and the honest one."""
    made = dict(files)
    for name, (change, _) in RUNS.items():
        changed = change(files)
        made |= {
            place.replace(PLACE, f"runs/{name}"): data
            for place, data in changed.items()
            if place.startswith(PLACE)
        }
    return zipped(made)


PACKS |= {"runs": (all_at_once, ALL, ""), "last": (zipped, ALL, "")}
SHOWN = ("tags", "runs", "bomb")  #: whose feedback is written


@pytest.fixture(scope="module")
def graded(root, honest):
    """Everybody's zip in one download, as Canvas names them: student -> result."""
    reason = why_not("bubblewrap")
    if reason:
        pytest.skip(f"no sandbox on this machine: {reason}")
    download = {
        f"{student}_{number}_{number}_{HOMEWORK}.zip": make(honest)
        for number, (student, (make, _, _)) in enumerate(PACKS.items(), start=1)
    }
    (root / "download.zip").write_bytes(zipped(download, zipfile.ZIP_STORED))
    before = set(root.iterdir())
    with Workers("bubblewrap", hidden=[root]) as workers:
        results = grade_class(
            HOMEWORK, root / "course", root / "download.zip", workers=workers, replay="sample",
            progress=False,
        )  # fmt: skip
    pages = feedback(HOMEWORK, root / "course", SHOWN)
    assert set(root.iterdir()) == before
    assert not [p for p in (*root.parent.iterdir(), *root.rglob("*")) if p.name == MARK]
    assert len(pages) == len(SHOWN)
    return {result.student: result for result in results}


@pytest.mark.parametrize("student", PACKS)
def test_a_pack_costs_its_owner_only(graded, student):
    _, due, says = PACKS[student]
    result = graded[student]
    assert (result.status, result.score) == due, (result.reason, result.findings, result.notes)
    assert says in "\n".join((result.reason, *result.findings))


@pytest.mark.parametrize("run", RUNS)
def test_a_run_that_lies_earns_nothing_and_is_said(graded, run):
    """A run of which something is said counts for nothing (`Evidence.counts`)."""
    (said,) = [one for one in graded["runs"].findings if one.startswith(f"{run}: ")]
    assert RUNS[run][1] in said
    assert len(said) < 1_000
    assert "/var/tmp" not in said, "a path of the grader's machine"
    assert "/tmp/" not in said, "a path of the grader's machine"


def test_the_honest_run_among_them_counts(graded):
    assert not [one for one in graded["runs"].findings if one.startswith("pocket-wic")]
    assert len(graded["runs"].findings) == len(RUNS)


@pytest.mark.parametrize("student", SHOWN)
def test_feedback_shows_what_is_said_as_text(graded, root, student):
    page = root / "course" / "feedback" / student / HOMEWORK / "summary.html"
    said = graded[student].notes + graded[student].findings or (graded[student].reason,)
    text = page.read_text("utf-8")
    assert all(html.escape(one) in text for one in said)
    assert "<script>alert" not in text

"""Results of runs recomputed: what is honest counts, every usual way to cheat is found."""

from __future__ import annotations

import json
import struct
import zipfile
from dataclasses import replace

import nbformat
import pytest

from autograder.evidence.alike import alike
from autograder.evidence.packed import PackedRun, read_packed
from autograder.evidence.recompute import check_method, judge_run
from autograder.evidence.replay import FrozenPlm, Replayed, counted
from autograder.evidence.tensors import header
from course_utils.errors import CourseError
from course_utils.recipes.running import run_recipe
from course_utils.submit import pack
from course_utils.tasks import load_task

METHODS = ("PTuningV2", "PrefixTuning", "SoftPrompt", "PTuning")


@pytest.fixture(scope="module")
def task():
    return load_task("pocket/wsc")


@pytest.fixture(scope="module")
def ner():
    return load_task("pocket/ner")


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Two real runs, packed as a student packs them."""
    folder = tmp_path_factory.mktemp("homework")
    for name, twin in (("wsc", "pocket/wsc"), ("conll04", "pocket/ner")):
        run_recipe(
            f"p_tuning_v2/{name}", "pocket-bert-tiny", task=twin, examples=64,
            settings={"epochs": 1, "batch_size": 16}, hyperparameters={"length": 3},
            output=folder / "runs" / name, say=lambda text: None,
        )  # fmt: skip
    nbformat.write(nbformat.v4.new_notebook(), folder / "hw.ipynb")
    pack("hw_prompt", notebook=folder / "hw.ipynb", runs=folder / "runs", output=folder / "hw.zip")
    return folder / "hw.zip"


@pytest.fixture(scope="module")
def plm():
    return FrozenPlm(device="cpu")


@pytest.fixture
def runs(packed):
    found = read_packed(packed).runs
    return {name.split("-")[1]: run for name, run in found.items()}


@pytest.fixture
def run(runs) -> PackedRun:
    return runs["wsc"]


def changed(run, **fields):
    """The run with fields of its record changed."""
    record = json.loads(run.record) | fields
    return replace(run, record=json.dumps(record).encode())


def lines(run):
    return [json.loads(line) for line in run.predictions.splitlines()]


def rewritten(run, rows):
    return replace(run, predictions="\n".join(map(json.dumps, rows)).encode())


def findings(run, task, plm):
    evidence = judge_run(run, task)
    check_method(evidence, run, METHODS, plm.expected(evidence.record, task))
    return evidence.findings


def test_an_honest_run_counts(runs, task, ner, plm):
    for run, its in ((runs["wsc"], task), (runs["ner"], ner)):
        evidence = judge_run(run, its)
        check_method(evidence, run, METHODS, plm.expected(evidence.record, its))
        assert evidence.findings == []
        assert evidence.counts
        assert evidence.score == pytest.approx(json.loads(run.record)["score"])
        assert evidence.n == len(its.split(evidence.record.split))
        assert plm.replay(run, evidence.record, its, sample=60).agrees


def test_a_score_that_was_made_up(run, task):
    evidence = judge_run(changed(run, score=0.99), task)
    assert not evidence.counts
    assert "claims accuracy 0.9900; the predictions give" in evidence.findings[0]


def test_gold_labels_as_predictions_score_but_are_found_by_replay(run, task, plm):
    """Dev labels are public: who hands them in has 100 %, and another adapter than that."""
    gold = task.gold("dev")
    forged = rewritten(run, [row | {"prediction": gold[row["id"]]} for row in lines(run)])
    forged = changed(forged, score=1.0)
    evidence = judge_run(forged, task)
    assert evidence.score == 1.0
    replayed = plm.replay(forged, evidence.record, task, sample=100)
    assert not replayed.agrees
    assert str(replayed).endswith("of 100 answers are those of the adapter")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda rows: rows[1:], "1 missing"),
        (lambda rows: [*rows, rows[0]], "1 doubled"),
        (lambda rows: [*rows[1:], rows[0] | {"id": 10**6}], "1 unknown .*1 missing"),
        (lambda rows: [{"id": r["id"]} for r in rows], "line 1: no id or no prediction"),
        (lambda rows: [r | {"prediction": 7} for r in rows], "7 is no label of pocket/wsc"),
        (lambda rows: [r | {"prediction": True} for r in rows], "true is no label"),
        (lambda rows: [r | {"prediction": "1"} for r in rows], '"1" is no label'),
        (lambda rows: [r | {"id": [0]} for r in rows], r"line 1: id \[0\]"),
    ],
)
def test_predictions_that_are_none(run, task, change, says):
    evidence = judge_run(rewritten(run, change(lines(run))), task)
    assert evidence.score is None
    assert not evidence.counts
    with pytest.raises(AssertionError, match=says):
        raise AssertionError(evidence.findings[0])


def test_the_order_of_lines_does_not_matter(run, task):
    assert judge_run(rewritten(run, lines(run)[::-1]), task).counts


def test_shuffled_predictions_are_another_score(run, task):
    rows = lines(run)
    turned = [a | {"prediction": 1 - b["prediction"]} for a, b in zip(rows, rows, strict=True)]
    assert "the predictions give" in judge_run(rewritten(run, turned), task).findings[0]


def test_tags_for_another_number_of_words(runs, ner):
    rows = lines(runs["ner"])
    rows[0]["prediction"] = rows[0]["prediction"][1:]
    assert "tags" in judge_run(rewritten(runs["ner"], rows), ner).findings[0]
    rows = lines(runs["ner"])
    rows[0]["prediction"][0] = "B-XYZ"
    assert "'B-XYZ' is no tag" in judge_run(rewritten(runs["ner"], rows), ner).findings[0]


def test_a_record_of_another_task(run, ner):
    assert "speaks of pocket/wsc, not of pocket/ner" in judge_run(run, ner).findings[0]


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (None, "record.json is missing"),
        (b"{", "record.json: broken JSON"),
        (b'{"plm": 1}', "plm is 1; expected str"),
        (b'{"task": "a", "task": "b"}', "a key stands twice"),
        (b'{"score": NaN}', "NaN is no number"),
    ],
)
def test_records_that_are_none(run, task, record, says):
    assert says in judge_run(replace(run, record=record), task).findings[0]


def with_header(run, change):
    """The run's adapter with its header changed, and its checksum written anew."""
    import hashlib

    (size,) = struct.unpack("<Q", run.tensors[:8])
    head = json.loads(run.tensors[8 : 8 + size])
    made = change(head)
    raw = made if isinstance(made, bytes) else json.dumps(made).encode()
    tensors = struct.pack("<Q", len(raw)) + raw + run.tensors[8 + size :]
    page = json.loads(run.method) | {"sha256": hashlib.sha256(tensors).hexdigest()}
    return replace(run, tensors=tensors, method=json.dumps(page).encode())


def renamed(head):
    name = next(n for n in head if n != "__metadata__")
    return {("bert.embeddings.word_embeddings.weight" if k == name else k): v
            for k, v in head.items()}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (renamed, "adapter's tensors: this is not p-tuning-v2 alone on a frozen PLM"),
        (lambda h: {k: v | {"dtype": "I64"} if k != "__metadata__" else v for k, v in h.items()},
         "is of type 'I64'"),
        (lambda h: b'{"a": {}, "a": {}}', "a key stands twice"),
        (lambda h: b"[1, 2, 3]", "no JSON object"),
        (lambda h: {k: v | {"shape": [1]} if k != "__metadata__" else v for k, v in h.items()},
         "another size than its shape says"),
        (lambda h: h | {"__metadata__": 5}, "its metadata are not texts"),
        (lambda h: json.dumps(h).replace("[0, ", "[-0, ").encode(), "invalid JSON in header"),
        (lambda h: dict(list(h.items())[:2]), "tensors take .* bytes, but|leaves a gap"),
    ],
)  # fmt: skip
def test_adapters_that_are_not_what_they_say(run, task, plm, change, says):
    with pytest.raises(AssertionError, match=says):
        raise AssertionError(findings(with_header(run, change), task, plm)[0])


def test_an_adapter_of_another_length(run, task, plm):
    page = json.loads(run.method)
    page["settings"]["length"] = 5
    odd = replace(run, method=json.dumps(page).encode())
    assert "has the shape" in findings(odd, task, plm)[0]


def test_an_adapter_with_another_ones_page(run, task, plm):
    page = json.loads(run.method) | {"sha256": "0" * 64}
    odd = replace(run, method=json.dumps(page).encode())
    assert "written for another adapter" in findings(odd, task, plm)[0]


def test_numbers_that_are_none(run, task, plm):
    def infinite(head):
        return head

    (size,) = struct.unpack("<Q", run.tensors[:8])
    place = 8 + size
    broken = replace(
        run, tensors=run.tensors[:place] + b"\x00\x00\xc0\x7f" + run.tensors[place + 4 :]
    )
    assert "not finite" in findings(with_header(broken, infinite), task, plm)[0]


def test_a_method_that_does_not_count(run, task, plm):
    assert "LoRA does not count" in findings(changed(run, method="LoRA"), task, plm)[0]


def test_a_method_with_settings_it_does_not_have(run, task, plm):
    page = json.loads(run.method)
    page["settings"]["speed"] = 1
    odd = replace(run, method=json.dumps(page).encode())
    assert "unknown hyper-parameter" in findings(odd, task, plm)[0]


def test_a_missing_adapter(run, task, plm):
    assert "adapter is missing" in findings(replace(run, tensors=None), task, plm)[0]


def test_one_plm_serves_run_after_run_and_stays_as_it_was(run, task, plm):
    import torch

    model, _ = plm.model_for("pocket-bert-tiny", task)
    before = {name: p.clone() for name, p in model.named_parameters()}
    evidence = judge_run(run, task)
    for _ in range(2):
        assert plm.replay(run, evidence.record, task, sample=40).agrees
    again, _ = plm.model_for("pocket-bert-tiny", task)
    assert again is model
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


def test_another_adapter_is_found_by_replay(runs, ner, plm):
    """Weights of one's own, but not those that made the predictions."""
    import hashlib

    from safetensors.torch import load, save

    run = runs["ner"]
    tensors = {name: -3 * value for name, value in load(run.tensors).items()}
    data = save(tensors)
    page = json.loads(run.method) | {"sha256": hashlib.sha256(data).hexdigest()}
    odd = replace(run, tensors=data, method=json.dumps(page).encode())
    evidence = judge_run(odd, ner)
    assert evidence.counts
    assert not plm.replay(odd, evidence.record, ner, sample=100).agrees


def test_a_tag_that_tips_in_16_bit_is_no_other_adapter():
    """One of twenty sentences has such a tag, as was seen; of the tags it is one in two hundred."""
    again = ["B-V", "O", "B-ARG0", "I-ARG0", "O", "O", "O", "O", "O", "O"]
    tipped = [*again[:1], "B-ARG1", *again[2:]]
    seen = counted([(again, again)] * 190 + [(tipped, again)] * 10)
    assert seen == Replayed(2000, 1990, "tags")
    assert seen.agrees
    assert not counted([(again, again)] * 150 + [(tipped, again)] * 50).agrees
    assert counted([(None, again), (again[:4], again)]) == Replayed(20, 4, "tags")
    assert counted([("yes", "no"), ("no", "no")]) == Replayed(2, 1)


def test_the_same_files_of_two_students_are_flagged(run, task, plm):
    evidence = judge_run(run, task)
    check_method(evidence, run, METHODS, plm.expected(evidence.record, task))
    mine, other = evidence.digests, {"adapter": "x", "predictions": "y"}
    found = alike({"ann": {"a": mine}, "bob": {"b": mine}, "cid": {"a": other}})
    assert [(one.what, one.students) for one in found] == [
        ("adapter", ("ann", "bob")), ("predictions", ("ann", "bob")),
    ]  # fmt: skip
    assert found[0].runs == ("a", "b")
    assert alike({"ann": {"a": mine, "b": mine}, "cid": {"a": other}}) == []


def zipped(path, **entries):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


def test_files_that_are_none_of_the_homeworks_are_left_out(tmp_path):
    odd = {"../evil": b"x", "/etc/passwd": b"x", "runs/a/b/record.json": b""}
    known = {"notebook.ipynb": b"{}", "runs/a/record.json": b"{}"}
    found = read_packed(zipped(tmp_path / "a.zip", **odd, **known))
    assert found.notebook == b"{}"
    assert list(found.runs) == ["a"]
    assert len(found.notes) == len(odd)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: p.write_bytes(b"no zip"), "is no zip"),
        (lambda p: zipped(p, **{f"runs/{i}/record.json": b"{}" for i in range(500)}), "500 files"),
        (lambda p: zipped(p, **{"runs/a/record.json": b" " * 3_000_000}), "larger than 2 MB"),
    ],
)
def test_zips_that_are_refused(tmp_path, make, says):
    make(tmp_path / "a.zip")
    with pytest.raises(CourseError, match=says):
        read_packed(tmp_path / "a.zip")


def test_a_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("runs/a/predictions.jsonl", b"\0" * 60_000_000)
    assert path.stat().st_size < 100_000
    with pytest.raises(CourseError, match="larger than 50 MB"):
        read_packed(path)


def test_links_and_doubled_names(tmp_path):
    link = zipfile.ZipInfo("runs/a/record.json")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "l.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(CourseError, match="is a link"):
        read_packed(tmp_path / "l.zip")
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        archive.writestr("notebook.ipynb", b"1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("notebook.ipynb", b"2")
    with pytest.raises(CourseError, match="twice"):
        read_packed(tmp_path / "d.zip")


@pytest.mark.parametrize("data", [b"", b"1234567", struct.pack("<Q", 10**9) + b"{}"])
def test_what_is_no_safetensors_file(data):
    with pytest.raises(CourseError, match="safetensors: it (is cut off|has no proper header)"):
        header(data)

"""SuperGLUE's JSON lines."""

from __future__ import annotations

import json

import pytest

from course_utils.errors import CourseError
from course_utils.tasks import load_task
from course_utils.tasks.inputs import texts

WSC = {
    "text": "The trophy did not fit into the case because it was too big .",
    "target": {"span1_index": 0, "span1_text": "the trophy", "span2_index": 9, "span2_text": "it"},
    "label": True,
    "idx": 0,
}
ROWS = {
    "superglue/boolq": {"question": "is it wet", "passage": "It rains.", "label": True, "idx": 0},
    "superglue/cb": {"premise": "He thinks it rains.", "hypothesis": "it rains",
                     "label": "neutral", "idx": 0},
    "superglue/copa": {"premise": "It rained.", "choice1": "The road got wet.",
                       "choice2": "The sun shone.", "question": "effect", "label": 0, "idx": 0},
    "superglue/rte": {"premise": "It rains.", "hypothesis": "It is wet.",
                      "label": "not_entailment", "idx": 0},
    "superglue/wic": {"word": "bank", "sentence1": "A bank lends.", "sentence2": "The river bank.",
                      "start1": 2, "end1": 6, "start2": 10, "end2": 14, "version": 1.1,
                      "label": False, "idx": 0},
    "superglue/wsc": WSC,
}  # fmt: skip
LABELS = {"boolq": 1, "cb": 2, "copa": 0, "rte": 1, "wic": 0, "wsc": 1}


def put(folder, row, name="val.jsonl"):
    lines = row if isinstance(row, str) else json.dumps(row) + "\n"
    (folder / name).write_text(lines)


@pytest.mark.parametrize("name", ROWS)
def test_every_task_reads_its_files(tmp_path, name):
    for file in ("train.jsonl", "val.jsonl"):
        put(tmp_path, ROWS[name], file)
    unlabelled = {key: value for key, value in ROWS[name].items() if key != "label"}
    put(tmp_path, unlabelled, "test.jsonl")
    task = load_task(name, data=tmp_path)
    assert task.gold("dev") == [LABELS[name.split("/")[1]]]
    assert "label" not in task.split("unlabelled").column_names
    assert task.evaluation_split == "dev"
    assert all(column in task.split("train").column_names for column in task.columns)


def laid_out(name, row, tmp_path, layout=None, **more):
    put(tmp_path, row)
    task = load_task(name, data=tmp_path, layout=layout)
    return texts(task, task.split("dev")[0] | more)


def test_inputs_are_those_of_p_tuning_v2(tmp_path):
    def of(name, **options):
        return laid_out(f"superglue/{name}", ROWS[f"superglue/{name}"], tmp_path, **options)

    assert of("boolq") == ("is it wet", "It rains.")
    assert of("rte") == ("It rains.", "It is wet.")
    assert of("copa", choice="The sun shone.") == ("It rained. so", "The sun shone.")
    assert of("wic", layout="pair") == ("bank: A bank lends.", "bank: The river bank.")
    assert of("wic") == of("wic", layout="pair")
    question = "A bank lends. The river bank. Does bank have the same meaning in both sentences?"
    assert of("wic", layout="question") == (question,)
    text = WSC["text"]
    assert of("wsc") == (f"it: {text}", "The trophy")
    assert of("wsc", layout="stars") == (text.replace(" it ", " *it* "), "The trophy")


def test_the_cause_is_asked_with_because(tmp_path):
    row = ROWS["superglue/copa"] | {"question": "cause"}
    assert laid_out("superglue/copa", row, tmp_path, choice="x")[0] == "It rained. because"


def test_an_unknown_layout(tmp_path):
    put(tmp_path, ROWS["superglue/wic"])
    with pytest.raises(CourseError, match="unknown layout of task 'superglue/wic' 'star'.*Known"):
        load_task("superglue/wic", data=tmp_path, layout="star")


@pytest.mark.parametrize(
    ("text", "index", "span", "repaired"),
    [
        ("Sam saw the Cat .", 2, "The cat", "the Cat"),  # capitals
        ("Sam saw the cat. It ran .", 2, "the cat.", "the cat."),  # it stands so
        ("Sam saw the cat , it ran .", 2, "the cat.", "the cat"),  # a full stop too many
        ("Sam saw the\ncat .", 2, "the cat", "the cat"),  # a line break between
        ("Sam saw the cat .", 3, "thecat", "the cat"),  # a missing space, one word off
        ("Ann saw Bob and , later , Cid .", 2, "Bob and Cid", "Bob and Cid"),  # not in one piece
    ],
)
def test_spans_are_repaired_from_the_text(tmp_path, text, index, span, repaired):
    target = {"span1_index": index, "span1_text": span, "span2_index": 0, "span2_text": "Sam"}
    put(tmp_path, WSC | {"text": text, "target": target})
    assert load_task("superglue/wsc", data=tmp_path).split("dev")[0]["span1_text"] == repaired


def test_the_stars_find_a_pronoun_one_word_off(tmp_path):
    put(tmp_path, WSC | {"target": WSC["target"] | {"span2_index": 8}})
    assert " *it* " in load_task("superglue/wsc", data=tmp_path).split("dev")[0]["starred"]


RTE = ROWS["superglue/rte"]


@pytest.mark.parametrize(
    ("name", "line", "says"),
    [
        ("rte", "{oops", r"val\.jsonl, line 2: broken JSON"),
        ("rte", "[1]", "line 2: list instead of a JSON object"),
        ("rte", json.dumps({k: v for k, v in RTE.items() if k != "premise"}),
         "line 2: no 'premise'; expected premise, hypothesis, found hypothesis, label, idx"),
        ("rte", json.dumps(RTE | {"premise": 5}), "line 2: premise is 5; expected text"),
        ("rte", json.dumps(RTE | {"label": "maybe"}),
         'label "maybe"; expected "entailment" or "not_entailment"'),
        ("rte", json.dumps({k: v for k, v in RTE.items() if k != "label"}), "label null"),
        ("boolq", json.dumps(ROWS["superglue/boolq"] | {"label": 1}),
         "label 1; expected false or true"),
        ("copa", json.dumps(ROWS["superglue/copa"] | {"label": True}),
         "label true; expected 0 or 1"),
        ("wsc", json.dumps(WSC | {"target": {}}), "line 2: not of the expected form"),
        ("wsc", json.dumps(WSC | {"target": WSC["target"] | {"span1_index": 99}}),
         "span1_index 99 in a text of 14 words"),
    ],
)  # fmt: skip
def test_broken_lines(tmp_path, name, line, says):
    put(tmp_path, json.dumps(ROWS[f"superglue/{name}"]) + "\n" + line + "\n")
    with pytest.raises(CourseError, match=says):
        load_task(f"superglue/{name}", data=tmp_path)


def test_snli_leaves_out_pairs_without_agreement(tmp_path):
    rows = [
        {"sentence1": "A dog runs.", "sentence2": "An animal moves.", "gold_label": "entailment"},
        {"sentence1": "A dog runs.", "sentence2": "It sleeps.", "gold_label": "-"},
    ]
    put(tmp_path, "\n".join(map(json.dumps, rows)), "snli_1.0_dev.jsonl")
    assert load_task("snli", data=tmp_path).gold("dev") == [0]

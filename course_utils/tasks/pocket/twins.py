"""What each pocket task is: its columns, how a person answers, what its out-of-domain set is."""

from __future__ import annotations

from dataclasses import dataclass

from course_utils.plm.pocket.events import NER_TYPES, SRL_ROLES
from course_utils.plm.pocket.wordings import LABELS


@dataclass(frozen=True)
class Twin:
    """A pocket task without its data; fields as in `course_utils.tasks.Task`."""

    kind: str
    columns: tuple[str, ...]
    labels: tuple[str, ...]
    metric: str
    description: str
    how_to_answer: str
    segments: tuple[str, ...] = ()


def _bio(types: tuple[str, ...]) -> tuple[str, ...]:
    return ("O", *(f"{mark}-{kind}" for kind in types for mark in "BI"))


TWINS: dict[str, Twin] = {
    "sst2": Twin(
        "classification",
        ("sentence",),
        LABELS["sst2"],
        "accuracy",
        "Reviews of restaurants and shops. Out of domain: films, concerts and plays.",
        "Weigh the praising and blaming words; after 'but' or 'although' the main clause "
        "decides, and 'not' turns a word round.",
    ),
    "agnews": Twin(
        "classification",
        ("text",),
        LABELS["agnews"],
        "accuracy",
        "News in four sections; words of another section stray in. Out of domain: headlines.",
        "Ask what most of the actors, deeds and things of the main clauses have to do with; "
        "'after ... ,' only says what came before.",
    ),
    "rte": Twin(
        "classification",
        ("premise", "hypothesis"),
        LABELS["rte"],
        "accuracy",
        "Does the statement follow from the report? Out of domain: a sentence "
        "about somebody else stands before the report.",
        "Keep track of who did what to whom, and of what the verb implies (who buys, owns).",
    ),
    "snli": Twin(
        "classification",
        ("premise", "hypothesis"),
        LABELS["snli"],
        "accuracy",
        "A scene and a sentence about it: entailed, open or contradicted. Out of domain: the "
        "scene is told as what a named person saw.",
        "A more general word or a synonym is entailed; another doing at the same time or an "
        "opposite contradicts; anything else is open.",
    ),
    "boolq": Twin(
        "classification",
        ("passage", "question"),
        LABELS["boolq"],
        "accuracy",
        "A passage about a town, at times about two, and a yes/no question. Out of domain: "
        "passages about people.",
        "Find the one fact asked about; the question may use another word for it.",
    ),
    "copa": Twin(
        "choice",
        ("premise", "choice1", "choice2", "question"),
        LABELS["copa"],
        "accuracy",
        "An event and two others: which is its cause, or its effect?",
        "Ask which of the two usually comes before, or after, the premise.",
    ),
    "wic": Twin(
        "classification",
        ("word", "sentence1", "sentence2"),
        LABELS["wic"],
        "accuracy",
        "A word with two senses in two sentences: the same sense or not?",
        "Say the word's meaning in each sentence and compare.",
        segments=("{word} : {sentence1}", "{word} : {sentence2}"),
    ),
    "wsc": Twin(
        "classification",
        ("text", "span1_text", "span2_text"),
        LABELS["wsc"],
        "accuracy",
        "Winograd schemas: does the pronoun (span2) mean the candidate (span1)?",
        "Put the candidate in the pronoun's place and ask whether the reason still fits.",
        segments=("{text}", "{span2_text} is {span1_text}"),
    ),
    "ner": Twin(
        "tagging",
        ("tokens",),
        _bio(NER_TYPES),
        "seqeval_f1",
        "Names of people, places, organisations (firms and teams) and peoples. Out of domain: "
        "letters and chat.",
        "Names are invented and in lower case, people are named like towns and firms like people: "
        "look at the words around them.",
    ),
    "srl": Twin(
        "tagging",
        ("tokens", "verb_index"),
        _bio(SRL_ROLES),
        "seqeval_f1",
        "Who does what to whom, where and when, for one verb of the sentence. Out of domain: "
        "mostly passive.",
        "Find the verb's doer, thing done and receiver; passive turns them round; the other "
        "verb's arguments do not count.",
    ),
    "e2e": Twin(
        "generation",
        ("meaning_representation", "human_reference"),
        (),
        "bleu",
        "A table to be said in sentences. Out of domain: categories that no training table "
        "has (products, teams).",
        "Say every field once, in a fluent sentence.",
        segments=("{meaning_representation} =",),
    ),
}

"""What a pocket model reads during pre-training, in which order, and what it has to guess.

One kind of document at a time, on rehearsal of those it is made of, each until its cue is learnt;
then the full mix. A skill of several parts is learnt quickly when its parts are known, and not at
all when all must be learnt at once. So

* comparing two words comes before searching a passage for the second one;
* finding a word again comes first as its place in a list ("the second"), of few names and then of
  all; then what is said of whom by that place, then without saying the place;
* whom a pronoun means, who has which part in an event, which sense a word has are stated before
  they are asked for with yes or no.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from course_utils.plm.pocket.batches import Masking


@dataclass(frozen=True)
class Stage:
    """A part of the curriculum.

    Attributes:
        share: how much it reads, at most; 1 is what all stages of the full mix read together.
        focus: the genres it is about: every second document. With none: the full mix.
        parts: genres of earlier stages that these are made of.
        rehearse: all genres of earlier stages, its parts three times as often as the others;
            what is not rehearsed is forgotten within a stage.
        easy: short documents with one fact each.
        few: of few people.
        masking: how often cues and other words are guessed (masked models), and how often a
            batch starts at a random position.
        cue_weight: how many times another word's loss a cue's counts (causal models).
        gate: the cue that ends the stage early, once `GATE` of its answers are right.
        settle: the learning rate falls to zero over the stage.
    """

    share: float
    focus: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    rehearse: tuple[str, ...] = ()
    easy: bool = True
    few: bool = False
    masking: Masking = Masking(0.8, 0.02)
    cue_weight: float = 20.0
    gate: str | None = None
    settle: bool = False

    def genres(self) -> dict[str, float] | None:
        """How often each genre is drawn."""
        if not self.focus:
            return None
        earlier = {name: 3 if name in self.parts else 1 for name in self.rehearse}
        shares = {name: 1 / len(self.focus) for name in self.focus}
        for name, weight in earlier.items():
            shares[name] = shares.get(name, 0.0) + weight / sum(earlier.values())
        return shares


GATE = 0.9


_S = tuple[str, ...]
#: what is learnt, in this order: the genres, the cue that tells, the parts
_STEPS: tuple[tuple[_S, str, _S], ...] = (
    (("relation",), "relation", ()),
    (("order",), "order", ()),
    (("binding by place",), "binding by place", ("order",)),
    (("binding",), "binding", ("binding by place",)),
    (("question",), "boolq", ("relation",)),
    (("verified",), "verified", ("binding",)),
    (("review", "aspect"), "sst2", ("relation",)),
    (("news",), "agnews", ()),
    (("inference", "definition"), "snli", ("relation", "question")),
    (("referent",), "referent", ("order",)),
    (("referent by place",), "referent by place", ("referent",)),
    (("pronoun",), "wsc", ("referent by place",)),
    (("role",), "role", ("order",)),
    (("role by place",), "role by place", ("role",)),
    (("entailment",), "rte", ("role by place",)),
    (("gloss",), "gloss", ()),
    (("sense",), "wic", ("gloss",)),
)
_FEW_FIRST = ("order", "binding by place")


def _curriculum() -> Iterator[Stage]:
    read: dict[str, None] = {}
    for focus, gate, parts in _STEPS:
        for few in (True, False) if gate in _FEW_FIRST else (False,):
            yield Stage(0.2, focus, parts, tuple(read), few=few, gate=gate)
        read |= dict.fromkeys(focus)
    yield Stage(0.2, masking=Masking(0.7, 0.05), cue_weight=10.0)
    yield Stage(0.35, easy=False, masking=Masking(0.6, 0.10, 0.2), cue_weight=6.0)
    yield Stage(0.45, easy=False, masking=Masking(0.5, 0.15, 0.3), cue_weight=4.0, settle=True)


CURRICULUM = tuple(_curriculum())

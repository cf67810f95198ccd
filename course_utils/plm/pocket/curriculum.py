"""What a pocket model reads during pre-training, in which order, and what it has to guess.

One kind of document at a time, on rehearsal of those before, each until its cue is learnt; then
the full mix. A skill of several parts is learnt quickly when its parts are known, and not at all
when all must be learnt at once. So

* comparing two words comes before searching a passage for the second one;
* finding a word again comes first as its place in a list ("the second"), then what is said of
  whom by that place, then without saying the place;
* whom a pronoun means, who has which part in an event, which sense a word has are stated before
  they are asked for with yes or no.
"""

from __future__ import annotations

from dataclasses import dataclass

from course_utils.plm.pocket.batches import Masking


@dataclass(frozen=True)
class Stage:
    """A part of the curriculum.

    Attributes:
        share: of the token budget, at most.
        focus: the genres it is about: two documents in three.
        rehearse: genres of earlier stages, the third document. With no focus: all genres.
        easy: short documents with one fact each.
        masking: how often cues and other words are guessed (masked models).
        cue_weight: how many times another word's loss a cue's counts (causal models).
        gate: the cue that ends the stage early, once `GATE` of its answers are right; what it
            saves goes to the next stage without one.
        settle: the learning rate falls to zero over the stage.
    """

    share: float
    focus: tuple[str, ...] = ()
    rehearse: tuple[str, ...] = ()
    easy: bool = True
    masking: Masking = Masking(0.8, 0.02)
    cue_weight: float = 20.0
    gate: str | None = None
    settle: bool = False

    def genres(self) -> dict[str, float] | None:
        """How often each genre is drawn."""
        if not self.focus:
            return None
        shares = {name: 2 / len(self.focus) for name in self.focus}
        for name in self.rehearse:
            shares[name] = shares.get(name, 0.0) + 1 / len(self.rehearse)
        return shares


GATE = 0.9


def _step(share: float, focus: str, gate: str, rehearse: tuple[str, ...] = ()) -> Stage:
    return Stage(share, (focus,), rehearse, gate=gate)


_TOLD = ("relation", "question", "review", "news", "inference")
_FOUND = ("relation", "question", "order", "binding", "verified")
CURRICULUM = (
    _step(0.04, "relation", "relation"),
    _step(0.06, "question", "boolq", ("relation",)),
    Stage(0.04, ("review", "aspect"), ("relation", "question"), gate="sst2"),
    _step(0.02, "news", "agnews", ("relation", "question", "review")),
    Stage(0.06, ("inference", "definition"), _TOLD[:4], gate="snli"),
    _step(0.04, "order", "order", _TOLD),
    _step(0.06, "binding by place", "binding by place", ("order", "relation", "question")),
    _step(0.03, "binding", "binding", ("binding by place", "order", "inference")),
    _step(0.05, "verified", "verified", ("binding", "order", "relation", "question")),
    _step(0.03, "referent", "referent", _FOUND),
    _step(0.06, "referent by place", "referent by place", ("referent", *_FOUND)),
    _step(0.04, "pronoun", "wsc", ("referent by place", "referent", "verified")),
    _step(0.02, "role", "role", ("order", "referent", "inference")),
    _step(0.03, "role by place", "role by place", ("role", "order", "inference")),
    _step(0.05, "entailment", "rte", ("role by place", "role", "pronoun", *_FOUND)),
    _step(0.05, "gloss", "gloss", _TOLD),
    _step(0.03, "sense", "wic", ("gloss", *_TOLD)),
    Stage(0.06, masking=Masking(0.7, 0.05), cue_weight=10.0),
    Stage(0.10, easy=False, masking=Masking(0.6, 0.10, 0.2), cue_weight=6.0),
    Stage(0.13, easy=False, masking=Masking(0.5, 0.15, 0.3), cue_weight=4.0, settle=True),
)

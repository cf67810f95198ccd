"""What a pocket model reads during pre-training, in which order, and what it has to guess.

One kind of document at a time, on rehearsal of those before, each until its cue is learnt; then
the full mix; and so once more for what needs a model that reads. A skill of several parts is learnt quickly when its parts are known, and not at all
when all must be learnt at once. So

* comparing two words comes before searching a passage for the second one;
* finding what is said of whom comes first for eight people with the word beside the name, then
  in sentences, then for all people: the search is learnt on few words and carries over;
* which sense, whose part, who is meant come before questions on them with yes or no.
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
        few: of few people, events and traits.
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
    few: bool = False
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


_SURE = Masking(0.8, 0.02)
_DOUBT = Masking(0.8, 0.02, wrong=0.1)


def _step(
    share: float,
    focus: str,
    gate: str,
    rehearse: str = "",
    few: bool = False,
    masking: Masking = _SURE,
) -> Stage:
    return Stage(
        share, tuple(focus.split()), tuple(rehearse.split()), few=few, gate=gate, masking=masking
    )


_TOLD = "relation question review news inference"
_BOUND = "binding verified relation question"
CURRICULUM = (
    _step(0.05, "relation", "relation"),
    _step(0.06, "question", "boolq", "relation"),
    _step(0.03, "review aspect", "sst2", "relation question"),
    _step(0.02, "news", "agnews", "relation question review"),
    _step(0.05, "inference definition", "snli", "relation question review news"),
    _step(0.07, "table", "table", "relation question"),
    Stage(0.06, masking=Masking(0.7, 0.05), cue_weight=10.0),
    Stage(0.16, easy=False, masking=Masking(0.6, 0.10, 0.2), cue_weight=6.0, settle=True),
    _step(0.04, "referent", "referent", "relation question"),
    _step(0.04, "pair", "pair", few=True),
    _step(0.02, "binding", "binding", "relation question", few=True),
    _step(0.03, "binding", "binding", "relation question"),
    _step(0.03, "verified", "verified", "binding", few=True, masking=_DOUBT),
    _step(0.03, "verified", "verified", "binding relation question", masking=_DOUBT),
    _step(0.01, "identity", "identity", "verified"),
    _step(0.03, "candidate pronoun", "wsc", "referent identity verified", True, _DOUBT),
    _step(0.05, "candidate pronoun", "wsc", "referent identity verified binding", masking=_DOUBT),
    _step(0.02, "role", "role", f"{_BOUND} referent"),
    _step(0.03, "entailment", "rte", "binding verified", True, _DOUBT),
    _step(0.05, "entailment role", "rte", f"{_BOUND} candidate inference", masking=_DOUBT),
    _step(0.04, "gloss", "gloss", _TOLD),
    _step(0.03, "sense gloss", "wic", _TOLD),
    Stage(0.05, easy=False, masking=Masking(0.5, 0.15, 0.3, 0.1), cue_weight=4.0, settle=True),
)

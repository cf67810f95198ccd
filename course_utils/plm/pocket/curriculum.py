"""What a pocket model reads during pre-training, in which order, and what it has to guess.

One kind of document at a time, on rehearsal of those before, each until its cue is learnt; then
the full mix. Comparing two words is learnt quickly when they stand alone, and not at all when
the search for the second word in a passage must be learnt at the same time; so it comes first.
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
        gate: the cue that ends the stage early, once `GATE` of its answers are right.
    """

    share: float
    focus: tuple[str, ...] = ()
    rehearse: tuple[str, ...] = ()
    easy: bool = True
    masking: Masking = Masking(0.8, 0.02)
    cue_weight: float = 20.0
    gate: str | None = None

    def genres(self) -> dict[str, float] | None:
        """How often each genre is drawn."""
        if not self.focus:
            return None
        shares = {name: 2 / len(self.focus) for name in self.focus}
        return shares | {name: 1 / len(self.rehearse) for name in self.rehearse}


GATE = 0.9
_STEPS = (
    (0.12, ("relation",), "relation"),
    (0.12, ("question",), "boolq"),
    (0.06, ("review", "aspect"), "sst2"),
    (0.04, ("news",), "agnews"),
    (0.08, ("inference", "definition"), "snli"),
    (0.08, ("entailment",), "rte"),
    (0.05, ("sense",), "wic"),
    (0.05, ("pronoun",), "wsc"),
)
CURRICULUM = (
    *(
        Stage(
            share,
            focus,
            tuple(g for _, earlier, _ in _STEPS[:number] for g in earlier),
            gate=gate,
        )
        for number, (share, focus, gate) in enumerate(_STEPS)
    ),
    Stage(0.10, easy=True, masking=Masking(0.7, 0.05), cue_weight=10.0),
    Stage(0.15, easy=False, masking=Masking(0.6, 0.10, 0.2), cue_weight=6.0),
    Stage(0.15, easy=False, masking=Masking(0.5, 0.15, 0.3), cue_weight=4.0),
)

"""Which sandboxes there are, and whether this machine can run one: found out by trying."""

from __future__ import annotations

from autograder.sandbox import enclosure, engine

KINDS = ("bubblewrap", "docker", "podman", "none")

#: what is weaker with a kind, for whoever chooses one
WEAKER = {
    "bubblewrap": "it limits the memory of each process; that of a student's processes together is "
    "watched, without a control group"
}


def why_not(kind: str, image: str = engine.IMAGE) -> str | None:
    """Why a kind can't be used on this machine; None where it can."""
    if kind == "bubblewrap":
        return enclosure.why_not()
    if kind in ("docker", "podman"):
        return engine.why_not(kind, image)
    return None if kind == "none" else f"there is no sandbox {kind!r}"


def refusal(reason: str) -> str:
    """The words for whoever wanted to grade; nothing weaker is chosen for them."""
    return (
        f"student code can't be run in this sandbox: {reason}. Mend that, choose another sandbox "
        "(bubblewrap, docker, podman), or grade on another machine. With --no-sandbox, student "
        "code runs with your rights."
    )

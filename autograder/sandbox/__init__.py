"""Where student code runs: a worker that can neither see nor change anything but its scratch.

    opening      `open_sandbox(kind, limits)` and `why_not(kind)`; start here
    limits       what a student's code may use
    bubblewrap   the usual back-end: bwrap round one warm process, further layers in each worker
    container    docker or podman: a container for each worker; slower to start
    warm         inside: the warm process, and the keeper of each worker
    layers       inside: what a worker gives up before it runs the first cell
    landlock, seccomp, kernel   inside: the calls that the standard library lacks

Nothing is imported here: the modules of the inside load none of the outside.
"""

from __future__ import annotations

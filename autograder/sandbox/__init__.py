"""Where student code runs: a worker that can neither see nor change anything but its scratch.

    opening      `open_sandbox(kind, limits)`; start here
    limits       what a student's code may use
    trying       `why_not(kind)`: whether this machine can run a sandbox
    bubblewrap   the usual back-end: bwrap round one warm process, further layers in each worker
    enclosure    its command line
    container    docker or podman: a container for each worker; slower to start
    engine       its command line
    warm         inside: the warm process
    keeper       inside: starts, watches and ends one worker
    layers       inside: what a worker gives up before it runs the first cell
    landlock, seccomp, kernel   inside: the calls that the standard library lacks

What honest work can't do in there: use sockets of any kind, so no asyncio and no DataLoader with
`num_workers` above 0 (it waits until the cell's time is up), and read /proc.

What is not contained: two students who know of each other could signal through what they share
(how busy the machine is, locks on read-only files), and one who takes every processor slows the
others down: grade with fewer jobs than processors, and generous seconds. With bubblewrap, memory is
limited exactly for each process, and for a worker's processes together looked at ten times a
second. The host's kernel is everybody's. What a worker answers is the student's word: see
`autograder.judging.judge`.

Nothing is imported here: the modules of the inside load none of the outside.
"""

from __future__ import annotations

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
    by_value     inside: how tensors go from one of a student's processes to another
    landlock, seccomp, kernel   inside: the calls that the standard library lacks

What honest work can do in there: start programs, threads and processes, use asyncio, pools and a
DataLoader with workers. What it can't, and is told at once: reach a network ("Network is
unreachable"), use sockets that have a name (so no `multiprocessing.Manager`, no start method
"forkserver"), and read /proc. Tensors that processes send one another by a queue are copies, with
bubblewrap.

What is not contained: two students who know of each other could signal through what they share
(how busy the machine is, locks on read-only files), and one who takes every processor slows the
others down: grade with fewer jobs than processors, and generous seconds. With bubblewrap, memory is
limited exactly for each process; for a worker's processes together it is looked at ten to a hundred
times a second, not bounded by a control group, which would need rights that graders seldom have. So
many processes may for a moment hold more, by what they can fill between two looks; should the
machine run short, the kernel ends a student's process first. Files in the scratch come on top, as
many bytes as `scratch_bytes`. Docker and podman bound all of it by a control group, and are refused
where they can't. The host's kernel is everybody's. What a worker answers is the student's word: see
`autograder.judging.judge`.

Nothing is imported here: the modules of the inside load none of the outside.
"""

from __future__ import annotations

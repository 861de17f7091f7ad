"""A small process that ends a worker, and all that its environments have started, once nobody listens any more."""

from __future__ import annotations

import os
import select
import signal
import time

# How long environments may take to close.
GRACE_SECONDS = 2.0


def guard(commands: int) -> None:
    """Starts it, in the worker's group and before anything else is loaded.

    It is a process rather than a thread, for an environment may be in compiled code that never lets another thread run,
    and what it has started must end even where the worker is gone already. `commands` is where the worker is told what
    to do: its other end closes with the program that tells it, however that program ends.
    """
    if not hasattr(os, "fork") or os.getpgrp() != os.getpid() or os.fork() != 0:
        return
    try:
        # Whoever reads what the worker writes must not wait for this process.
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        poll = select.poll()
        poll.register(commands, 0)
        poll.poll()
        time.sleep(GRACE_SECONDS)
        os.killpg(0, signal.SIGKILL)
    finally:
        os._exit(0)

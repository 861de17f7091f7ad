"""A worker: environments of Gymnasium in a process of their own, stepped on command.

The program that started it writes what to make to the worker's standard input, as JSON, and gets a message back: what
the environments look like, or why they cannot be made. From then on one byte is a command and one byte the answer that
it is done; actions and observations lie in memory that both processes see, or are sent after those bytes where there is
no such memory. The worker ends when its standard input does; where it does not, `rl_gym_guard` ends it.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import struct
import sys
import traceback
from typing import Any

from rl_gym_hosts import Host, Singles, Vector
from rl_gym_making import import_module, list_registered, require_gymnasium
from rl_gym_spaces import Refusal, np


class Pipe:
    """The two pipes to the program that started the worker."""

    def __init__(self, commands: int, replies: int) -> None:
        self.commands, self.replies = commands, replies

    def read(self, n: int) -> bytes:
        """Exactly `n` bytes, fewer when the other side is gone."""
        parts = bytearray()
        while len(parts) < n:
            part = os.read(self.commands, min(n - len(parts), 1 << 20))
            if not part:
                break
            parts += part
        return bytes(parts)

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self.replies, view) :]

    def read_line(self) -> bytes:
        (length,) = struct.unpack("=I", self.read(4).ljust(4, b"\0"))
        return self.read(length)

    def message(self, kind: bytes, content: Any) -> None:
        data = json.dumps(content).encode()
        self.write(kind + struct.pack("=I", len(data)) + data)


def failure(host: Host | None, doing: str, error: BaseException) -> dict[str, Any]:
    """An error as the other side tells it; the whole traceback goes to standard error."""
    where = getattr(host, "current", None)
    if isinstance(error, Refusal):
        return {"kind": error.kind, "doing": doing, "row": where, "message": str(error), "trace": ""}
    traceback.print_exception(type(error), error, error.__traceback__, file=sys.stderr)
    sys.stderr.flush()
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "rl_gym_" not in f.filename]
    trace = ", ".join(f"{f.filename}:{f.lineno} in {f.name}" for f in frames[-3:])
    text = "".join(traceback.format_exception_only(type(error), error)).strip()
    return {"kind": "raised", "doing": doing, "row": where, "message": text, "trace": trace}


def serve(pipe: Pipe, host: Host) -> None:
    """Does what it is told, until the other side is gone."""
    plan = json.loads(pipe.read_line() or b"null")
    if plan is None:
        return
    shared = plan["memory"] is not None
    memory, kept = share(plan) if shared else (memoryview(bytearray(plan["size"])), None)
    if memory is None:
        pipe.message(b"!", {"kind": "memory", "doing": "share", "row": None, "message": kept, "trace": ""})
        return serve(pipe, host)
    host.attach(memory, plan["layout"])
    pipe.write(b".")
    inputs, outputs = memory[: plan["input_size"]], memory[plan["input_size"] :]
    command_fd, reply_fd, read, write = pipe.commands, pipe.replies, os.read, os.write
    while True:
        command = read(command_fd, 1)
        doing = "step"
        try:
            if command == b"s":
                if not shared:
                    inputs[:] = pipe.read(len(inputs))
                host.step()
            elif command in (b"r", b"n"):
                doing = "reset"
                if not shared:
                    inputs[:] = pipe.read(len(inputs))
                host.reset(seeded=command == b"r")
            elif command == b"p":
                doing = "render"
                draw(pipe, host, *struct.unpack("=I", pipe.read(4)))
                continue
            else:
                return
        except BaseException as error:
            pipe.message(b"!", failure(host, doing, error))
            continue
        if shared:
            write(reply_fd, b".")
        else:
            pipe.write(b".")
            pipe.write(outputs)


def share(plan: dict[str, Any]) -> tuple[memoryview | None, Any]:
    """The memory that the other side has made, and what keeps it; or why it cannot be seen from here."""
    try:
        fd = os.open(plan["memory"], os.O_RDWR)
        try:
            mapping = mmap.mmap(fd, plan["size"])
        finally:
            os.close(fd)
        return memoryview(mapping), mapping
    except (OSError, ValueError) as error:
        return None, str(error)


def draw(pipe: Pipe, host: Host, index: int) -> None:
    """Sends a picture: height, width and bytes; nothing at all where there is none."""
    try:
        frame = host.render(index)
        frame = None if frame is None else np.ascontiguousarray(frame)
        if frame is not None and (frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8):
            raise ValueError(f"render gives an array of shape {frame.shape} and type {frame.dtype}, no RGB picture")
    except Exception as error:
        failure(host, "render", error)
        frame = None
    height, width = (0, 0) if frame is None else frame.shape[:2]
    pipe.write(struct.pack("=II", height, width))
    if frame is not None:
        pipe.write(frame.tobytes())


def main() -> None:
    # Environments may read and print what they like: the pipes are moved out of their way.
    pipe = Pipe(os.dup(0), os.dup(1))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    config = json.loads(pipe.read_line() or b"null")
    if config is None:
        return
    host: Host | None = None
    try:
        require_gymnasium()
        if config["task"] == "list":
            if config["module"]:
                import_module(config["module"])
            pipe.message(b"{", list_registered())
            return
        host = Vector(config) if config["vector"] else Singles(config)
        if config["measure"] and isinstance(host, Singles):
            host.measure()
    except BaseException as error:
        pipe.message(b"!", failure(host, "make", error))
        return
    pipe.message(b"{", host.description)
    try:
        serve(pipe, host)
    except BrokenPipeError:
        pass
    host.close()
    end_others()


def end_others() -> None:
    """Ends what the environments have started and left, which is in this process's group."""
    if os.getpgrp() == os.getpid():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)


if __name__ == "__main__":
    main()

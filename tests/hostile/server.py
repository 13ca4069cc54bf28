"""Runs commands in processes of their own, forked from one that has imported everything, within limits.

A process that crashes, hangs or takes too much memory spoils nothing but its own answer.

    with Server() as server:
        outcome = server.run(folder, "inspect", "a.tif", "--json")

python -m tests.hostile.server is the process that forks: it reads a request a line, and writes an outcome a line.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds of processor time and bytes of memory that a command may take.
SECONDS, MEMORY = 10, 1 << 30
#: Seconds by the clock after which a command counts as hanging; other processes may share the processor.
PATIENCE = 90
#: Bytes of memory at which a command is refused any more, to protect the machine.
MOST_MEMORY = 4 << 30
#: Bytes of its standard streams that are kept.
_KEPT = 1 << 20


@dataclass(frozen=True)
class Outcome:
    """What a command did.

    Attributes:
        code: exit code; negative for the number of the signal that ended it.
        stdout, stderr: what it printed.
        seconds: of processor time.
        memory: bytes that it needed besides those of the process that it was forked from.
    """

    code: int
    stdout: str
    stderr: str
    seconds: float
    memory: int

    @property
    def answer(self) -> Any:
        """What it printed, as JSON values."""
        return json.loads(self.stdout)


class Server:
    """The process that forks, as another one sees it."""

    def __init__(self) -> None:
        # NOTE: forked processes must not share threads
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "COLUMNS": "200", "MALLOC_ARENA_MAX": "2"}
        root = str(Path(__file__).parents[2])
        paths = os.pathsep.join([root, str(Path(root) / "models"), os.environ.get("PYTHONPATH", "")])
        own = {key: value for key, value in os.environ.items() if key != "S2FIN_MODEL"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.server"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root,
            env={**own, **threads, "PYTHONPATH": paths},
        )  # fmt: skip

    def run(self, folder: Path, *arguments: object) -> Outcome:
        """Run the command line in a folder."""
        return self._ask(folder, "command", [str(argument) for argument in arguments])

    def call(self, folder: Path, function: str, *arguments: object) -> Outcome:
        """Run a function, "module:name", in a folder; it takes texts, and what it returns is printed as JSON."""
        return self._ask(folder, function, [str(argument) for argument in arguments])

    def _ask(self, folder: Path, what: str, arguments: list[str]) -> Outcome:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(folder), what, arguments]) + "\n")
        self._process.stdin.flush()
        if not (line := self._process.stdout.readline()):
            raise ChildProcessError("the process that forks has ended; it says why on stderr")
        return Outcome(**json.loads(line))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        self._process.wait()


# ---- the process that forks ------------------------------------------------------------------------------------------


def serve() -> None:
    """Answer requests until there are none."""
    _import_everything()
    gc.freeze()
    for line in sys.stdin:
        folder, what, arguments = json.loads(line)
        print(json.dumps(asdict(_run(Path(folder), what, arguments))), flush=True)  # noqa: T201


def _import_everything() -> None:
    """Import all modules of s2fin and what they import only when they are needed."""
    package = importlib.import_module("s2fin_cli")
    for found in pkgutil.walk_packages(package.__path__, "s2fin_cli."):
        if found.name != "s2fin_cli.__main__":
            importlib.import_module(found.name)
    for name in ("rasterio", "pyogrio", "geopandas", "rich.console", "rich.text", "pyarrow.parquet", "h5py",
                 "scipy.io", "sklearn.ensemble", "tests.hostile.oracles"):  # fmt: skip
        importlib.import_module(name)
    importlib.import_module("torch").set_num_threads(1)


def _run(folder: Path, what: str, arguments: list[str]) -> Outcome:
    before = _memory("RssAnon")  # which a forked process has at once
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            _be_child(out.fileno(), err.fileno(), functools.partial(_work, folder, what, arguments))
        status, usage = _wait(child)
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read(_KEPT).decode(errors="replace"))
    return Outcome(
        code=os.waitstatus_to_exitcode(status),
        stdout=texts[0],
        stderr=texts[1],
        seconds=usage.ru_utime + usage.ru_stime,
        memory=max(usage.ru_maxrss * 1024 - before, 0),
    )


def _wait(child: int) -> tuple[int, resource.struct_rusage]:
    """The end of a process, which comes by force if it hangs."""
    end = time.monotonic() + PATIENCE
    while True:
        found, status, usage = os.wait4(child, os.WNOHANG)
        if found:
            return status, usage
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            _, status, usage = os.wait4(child, 0)
            return status, usage
        time.sleep(0.002)


def _memory(name: str) -> int:
    """Bytes of this process's memory of a kind that Linux names."""
    return int(Path("/proc/self/status").read_text().split(f"{name}:")[1].split()[0]) * 1024


def _be_child(out: int, err: int, work: Callable[[], int]) -> None:
    """Do some work with limits and with streams of its own, and end."""
    code = 70
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 2))
        resource.setrlimit(resource.RLIMIT_DATA, (_memory("VmData") + MOST_MEMORY,) * 2)
        code = work()
    except BaseException:  # noqa: BLE001  it must not go on as the process that forks
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(code)


def _work(folder: Path, what: str, arguments: list[str]) -> int:
    os.chdir(folder)
    if what == "command":
        main_module = importlib.import_module("s2fin_cli.cli.main")
        try:
            main_module.main(functools.partial(main_module.cli, arguments))
        except SystemExit as error:
            return error.code if isinstance(error.code, int) else int(error.code is not None)
        return 0
    module, _, name = what.partition(":")
    print(json.dumps(getattr(importlib.import_module(module), name)(*arguments)))  # noqa: T201
    return 0


if __name__ == "__main__":
    serve()

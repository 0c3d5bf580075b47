"""A command's work in a process of its own, which is ended after a time; whatever that does, this one goes
on.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import chainrule
from chainrule.cli.given.failures import TheirError
from chainrule.cli.output import reason
from chainrule.cli.running import TRACEBACK, own_error

# What the other process runs: the work's function by its module, with the arguments from standard input.
PROGRAM = "from chainrule.cli.given.apart import child; child()"
Work = Callable[[argparse.Namespace], dict[str, Any]]


def in_time(module: str, arguments: argparse.Namespace, seconds: float, title: str) -> dict[str, Any]:
    """What `work(arguments)` of a module gives, plain JSON.  TheirError where it did not end, or crashed."""
    held = {name: value for name, value in vars(arguments).items() if name != "run"}
    root = str(Path(chainrule.__file__).parent.parent)
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,  # so that what it starts is ended with it
    )
    try:
        out, _ = process.communicate(json.dumps({"module": module, "arguments": held}).encode(), seconds)
    except subprocess.TimeoutExpired:
        raise TheirError(f"{title}: did not end within {seconds:g} s (--timeout)", "Timeout") from None
    finally:
        end(process)
    code = process.returncode
    with suppress(ValueError):
        given: dict[str, Any] = json.loads(out)
        return given
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        crashes = {"SIGSEGV": ", a crash in compiled code", "SIGABRT": ", abort()", "SIGKILL": ", of memory?"}
        raise TheirError(f"{title}: its process was ended by {name}{crashes.get(name, '')}", name)
    raise TheirError(f"{title}: ended its process itself, with exit code {code}", "exit")


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends the process and all that it started, whether it ended by itself or not."""
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    with suppress(OSError, ValueError):
        process.communicate()


def child() -> None:
    """The other process: the arguments on standard input, what came of them on standard output."""
    from importlib import import_module

    told = json.load(sys.stdin)
    arguments = {name: _tuples(value) for name, value in told["arguments"].items()}
    work: Work = import_module(told["module"]).work
    out = os.dup(1)
    try:
        result = work(argparse.Namespace(**arguments))
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        said = f"an error of chainrule itself, {reason(error)}; {TRACEBACK}=1 shows where"
        result = {"code": own_error, "output": "", "complaint": said}
    with os.fdopen(out, "w", encoding="utf-8") as stream:
        json.dump(result, stream)
        stream.flush()
    os._exit(0)  # threads of theirs are not waited for


def _tuples(value: Any) -> Any:
    """JSON's lists as the tuples they were."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value

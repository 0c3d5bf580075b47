"""The processes that one command line was started in: the first of them speaks and writes for all."""

from __future__ import annotations

import argparse
import contextlib
import os
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from chainrule.base.errors import ChainruleError, NonFiniteError
from chainrule.cli.values import usual_shards

if TYPE_CHECKING:
    from chainrule.distributed import Communicator


@contextlib.contextmanager
def ranks(arguments: argparse.Namespace) -> Iterator[Communicator | None]:
    """The ranks that mpiexec or torchrun has started, None where nobody has and --shards is not given.

    What one of them raises ends all of them with its line.
    """
    from chainrule.distributed import init, started_by

    if started_by(os.environ) is None and arguments.shards is None:
        yield None
        return
    comm = init("auto", shards=arguments.shards or usual_shards)
    with contextlib.ExitStack() as silence:
        if comm.rank:
            nowhere = silence.enter_context(open(os.devnull, "w", encoding="utf-8"))
            silence.enter_context(contextlib.redirect_stdout(nowhere))
            silence.enter_context(warnings.catch_warnings(action="ignore"))
        try:
            yield comm
        except Exception as error:
            if comm.size > 1:
                refused = isinstance(error, ChainruleError) and not isinstance(error, NonFiniteError)
                comm.fail(error, 2 if refused else 1)
            raise

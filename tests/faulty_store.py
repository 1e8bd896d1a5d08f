"""A store in which chosen cells do harm: for tests of what a worker's death takes along."""

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

from pipeline.errors import StoreError
from pipeline.store import Store


class FaultyStore(Store):
    """A folder. ``faults.json`` in it names cells and what writing a table of theirs does to a worker process.

    ``kill`` kills it, ``kill once`` does so the first time only, ``fail`` raises StoreError, ``hang`` sleeps.
    """

    def put(self, key: str, data: bytes | Path) -> None:
        """Do harm where it is asked for, else write."""
        assert self.root is not None
        fault = json.loads((self.root / "faults.json").read_text()).get(key.split("/")[2])
        if fault is not None and multiprocessing.parent_process() is not None:
            died = self.root / f"died-{key.split('/')[2]}"
            if fault == "kill" or (fault == "kill once" and not died.exists()):
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if fault == "fail":
                msg = "no space left"
                raise StoreError(msg)
            if fault == "hang":
                (self.root / "hanging").write_text(str(os.getpid()))
                time.sleep(100)
        super().put(key, data)

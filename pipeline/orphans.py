"""Worker processes end with the process that started them, however that went."""

import multiprocessing
import os
import sys
import threading
from multiprocessing.connection import wait


def die_with_parent() -> None:
    """End this process when the one that started it is gone."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def end_with_input() -> None:
    """End this process when its standard input ends, as it does when the process that holds the pipe is gone."""

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            continue
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()

"""``python -m pipeline``: the `skyteller` command of the Python that runs it."""

from pipeline.cli import main

main()

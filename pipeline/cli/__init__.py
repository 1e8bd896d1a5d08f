"""The `skyteller` command."""

import logging
import sys

from cyclopts import CycloptsError
from rich.logging import RichHandler

from pipeline.cli import building, demo, deployments, releases, stats  # noqa: F401 - each adds its commands to the application
from pipeline.cli.app import app
from pipeline.errors import Misconfigured, SkytellerError
from pipeline.show import errors


def main() -> None:
    """Run the command line; a user's mistake ends in one message, not in a traceback."""
    logging.basicConfig(
        level=logging.WARNING,
        format="%(message)s",
        handlers=[RichHandler(console=errors, show_time=False, show_path=False)],
    )
    try:
        code = app(sys.argv[1:], exit_on_error=False, result_action="return_value")
    except CycloptsError:
        sys.exit(Misconfigured.exit_code)  # the message is printed already
    except SkytellerError as error:
        errors.print(f"error: {error}", markup=False)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        errors.print("stopped; what is committed is safe, run the same command to go on")
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)

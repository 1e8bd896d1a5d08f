"""The errors that users meet. Adapters translate vendor exceptions into these; nothing else catches broadly."""


class SkytellerError(Exception):
    """An error with a message for the user: what is wrong, where, and what to do.

    Attributes
    ----------
    exit_code
        Exit code of the command line: 1 error, 2 bad config or input, 3 try again later, 4 budget reached.
    """

    exit_code = 1


class Misconfigured(SkytellerError):
    """The config or an input file is wrong; found before work starts or before the item is touched."""

    exit_code = 2


class Permanent(SkytellerError):
    """One item cannot be processed, however often it is tried. Counted as failed, never as done."""


class Transient(SkytellerError):
    """Trying again later may work. A unit with one of these is not committed."""

    exit_code = 3


class Exhausted(SkytellerError):
    """A quota or budget is used up: stop, keep what is committed."""

    exit_code = 4


class StoreError(SkytellerError):
    """The store could not be read or written (disk full, permission denied, bucket unreachable)."""

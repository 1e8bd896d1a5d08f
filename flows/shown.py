"""What a flow run shows in the UI: progress, the table of counts, the contact sheet."""

import base64
import io
import logging
import time
from collections.abc import Callable
from typing import TypeAlias, cast
from uuid import UUID

import httpx
from PIL import Image
from prefect.artifacts import (
    create_image_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from pipeline.engine import Outcome, Progress
from pipeline.plan import STAGES
from pipeline.show import total
from pipeline.stages.base import Context

logger = logging.getLogger("skyteller")

_EVERY_S = 5.0
_MOST_BYTES = 400_000
"""An image artifact is a row of Prefect's database."""

_Show: TypeAlias = Callable[[], object]


class ProgressShown:
    """A progress artifact that follows a build.

    Parameters
    ----------
    name
        Name of the dataset.
    also
        Is told the same.
    """

    def __init__(self, name: str, also: Progress | None) -> None:
        self._also = also
        self._done: dict[str, int] = {}
        self._of: dict[str, int] = {}
        self._id: UUID | None = None
        self._spoke = time.monotonic()

        def create() -> None:
            self._id = cast("UUID", create_progress_artifact(0.0, f"{name}-progress", "stages of this build"))

        _try(create)

    def __call__(self, stage: str, units: int, of: int) -> None:
        """Take note of finished units."""
        self._done[stage] = self._done.get(stage, 0) + units
        self._of[stage] = of
        if self._also is not None:
            self._also(stage, units, of)
        if time.monotonic() - self._spoke >= _EVERY_S:
            self._tell(sum(min(1.0, self._done[name] / self._of[name]) for name in self._done) / len(STAGES))

    def end(self, *, finished: bool) -> None:
        """The build is over."""
        if finished:
            self._tell(1.0)

    def _tell(self, share: float) -> None:
        self._spoke = time.monotonic()
        text = ", ".join(f"{name} {done}/{self._of[name]}" for name, done in self._done.items())
        if (artifact := self._id) is not None:
            with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):  # the build would wait for a minute
                _try(lambda: update_progress_artifact(artifact, round(100 * share, 1), text))


def show_outcome(outcome: Outcome, context: Context) -> None:
    """The table of counts, and the contact sheet of a finished release."""
    name = context.config.name
    answers = _try(
        lambda: create_markdown_artifact(
            counts_markdown(outcome, context), f"{name}-counts", "What became of everything"
        )
    )
    if answers and outcome.plan.finished:
        sheet = data_uri(context.store.get(f"releases/{name}/contact-sheet.jpg"))
        _try(lambda: create_image_artifact(sheet, f"{name}-contact-sheet", f"Some samples of {name}"))


def counts_markdown(outcome: Outcome, context: Context) -> str:
    """Items of each stage by what became of them, and the units that could not be built."""
    lines = [f"# {context.config.name}", ""]
    if outcome.plan.finished:
        samples = total(outcome.plan, "release").kept
        lines += [f"{samples} samples in `{context.store.url}/releases/{context.config.name}`", ""]
    lines += ["| stage | units | seen | kept | rejected | failed |", "|---|--:|--:|--:|---|---|"]
    for stage in outcome.plan.stages:
        if stage.done:
            counts = stage.counts
            why = [
                ", ".join(f"{reason} {n}" for reason, n in part.items())
                for part in (counts.rejected, counts.failed)
            ]
            cells = [stage.stage.name, f"{len(stage.done)}/{stage.total}", counts.seen, counts.kept, *why]
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    if outcome.errors:
        lines += ["", f"{len(outcome.errors)} units could not be built, among them:", ""]
        lines += [f"- `{unit}`: {message}" for unit, message in list(outcome.errors.items())[:20]]
    return "\n".join(lines) + "\n"


def data_uri(jpeg: bytes) -> str:
    """A picture as an address that holds it, made smaller until it is fit for a database."""
    while len(jpeg) > _MOST_BYTES:
        with Image.open(io.BytesIO(jpeg)) as image:
            smaller = image.convert("RGB").resize((image.width * 3 // 4, image.height * 3 // 4))
        buffer = io.BytesIO()
        smaller.save(buffer, "JPEG", quality=80)
        jpeg = buffer.getvalue()
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def _try(show: _Show) -> bool:
    """Whether the server takes it. One that is away for a while must not end a build: it only shows."""
    try:
        show()
    except httpx.HTTPError as error:
        logger.warning("Prefect's server did not take an artifact: %s", error)
        return False
    return True

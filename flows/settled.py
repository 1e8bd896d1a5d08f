"""A dataset's config with what one run changes of its runtime part."""

from typing import Any

from pipeline.config import DatasetConfig
from pipeline.shares import share_of


def settled(
    config: DatasetConfig, *, workers: int | None = None, gpus: int | None = None, share: str | None = None
) -> DatasetConfig:
    """The config with other numbers of workers and GPUs, and a share of the requests such as 1/4.

    Raises
    ------
    Misconfigured
        The share is none, or leaves too little.
    """
    values: dict[str, Any] = {"workers": workers, "gpus": gpus}
    if share is not None:
        values["requests"] = share_of(config.runtime.requests, share)
    changes = {name: value for name, value in values.items() if value is not None}
    return config.model_copy(update={"runtime": config.runtime.model_copy(update=changes)})

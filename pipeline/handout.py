"""A `Context` as JSON in the store, for those who make units elsewhere: they share nothing but the store."""

import datetime as dt
import json
from dataclasses import fields
from functools import cache
from typing import Any, get_type_hints

from pydantic import BaseModel, TypeAdapter

from pipeline.config import DatasetConfig
from pipeline.errors import Misconfigured
from pipeline.ids import Json, canonical, digest
from pipeline.stages.base import Context
from pipeline.store import Store


def hand_out(context: Context) -> str:
    """Write a context into its store. Returns its key; the same context has the same key.

    It holds what the config holds and what the sources were found to be; credentials are in neither.
    """
    values = {
        "config": _everything(context.config),
        "area": context.area.hex(),
        **{
            name: adapter.dump_python(getattr(context, name), mode="json")
            for name, adapter in _plain().items()
        },
    }
    key = f"contexts/{digest(values)[:32]}.json"
    context.store.create(key, canonical(values))
    return key


def taken(store_url: str, key: str) -> Context:
    """Read a context that another process has handed out.

    Parameters
    ----------
    store_url
        The store, as ``Store.url`` names it.
    key
        What `hand_out` returned.

    Raises
    ------
    Misconfigured
        The store does not hold it: it is not the store of the process that wrote it.
    """
    store = Store(store_url)
    try:
        values: dict[str, Any] = json.loads(store.get(key))
    except FileNotFoundError as error:
        msg = (
            f"store: {store_url} is another folder here, for {key} is missing in it; "
            "set `store` to a bucket, or to a folder that all machines share"
        )
        raise Misconfigured(msg) from error
    return Context(
        config=DatasetConfig.model_validate(values["config"]),
        store=store,
        area=bytes.fromhex(values["area"]),
        **{name: adapter.validate_python(values[name]) for name, adapter in _plain().items()},
    )


@cache
def _plain() -> dict[str, TypeAdapter[Any]]:
    """How the fields of a context that are plain values become JSON and values again."""
    types = get_type_hints(Context)
    return {
        field.name: TypeAdapter(types[field.name])
        for field in fields(Context)
        if field.name not in ("config", "store", "area")
    }


def _everything(value: Any) -> Json:
    """A config as JSON with the fields too that no fingerprint and no release holds."""
    if isinstance(value, BaseModel):
        return {name: _everything(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, dict):
        return {str(key): _everything(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_everything(one) for one in value]
    plain: Json = value.isoformat() if isinstance(value, dt.date) else value
    return plain

"""Visualization options of a pixel request, as the expression that they stand for."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.imagery.emulator.values import RequestError


def visualized(
    expression: Mapping[str, Any], options: Mapping[str, Any], bands: Sequence[str]
) -> Mapping[str, Any]:
    """Wrap an expression of an image in `Image.visualize`.

    Parameters
    ----------
    expression
        ``{"result": ..., "values": {...}}``.
    options
        ``ranges``, ``paletteColors``, ``gamma`` and ``opacity`` of
        https://developers.google.com/earth-engine/reference/rest/v1/VisualizationOptions
    bands
        The bands to show; the image's own where there are none.

    Raises
    ------
    RequestError
        Options that cannot be understood.
    """
    try:
        ranges = options.get("ranges", ())
        constants = {
            "bands": list(bands),
            "min": [limits.get("min", 0) for limits in ranges],
            "max": [limits["max"] for limits in ranges],
            "gamma": _value(options.get("gamma")),
            "opacity": _value(options.get("opacity")),
            "palette": list(options.get("paletteColors", ())),
        }
        result, values = expression["result"], expression["values"]
    except (AttributeError, KeyError, TypeError) as error:
        raise RequestError(400, "INVALID_ARGUMENT", "Invalid value at 'visualizationOptions'.") from error
    arguments = {
        name: {"constantValue": value} for name, value in constants.items() if value not in (None, [])
    }
    call = {
        "functionName": "Image.visualize",
        "arguments": {"image": {"valueReference": result}, **arguments},
    }
    return {"result": "visualized", "values": {**values, "visualized": {"functionInvocationValue": call}}}


def _value(wrapped: Any) -> Any:
    """A number, which the API writes as ``{"value": number}`` where it may be absent."""
    return wrapped["value"] if isinstance(wrapped, Mapping) else wrapped

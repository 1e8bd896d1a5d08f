"""The routes of Earth Engine's REST API (v1), and what they answer."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from importlib.resources import files
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from pipeline.imagery.emulator.assets import CollectionAsset, ImageAsset, describe_collection, describe_image
from pipeline.imagery.emulator.catalog import Catalog
from pipeline.imagery.emulator.compute import evaluate, to_json
from pipeline.imagery.emulator.discovery import discovery_document
from pipeline.imagery.emulator.encode import encode
from pipeline.imagery.emulator.exports import Operations
from pipeline.imagery.emulator.listing import list_page
from pipeline.imagery.emulator.messages import JSON, Reply, Request, bytes_reply, json_reply
from pipeline.imagery.emulator.pixelgrid import check_size, check_tag, parse_bands, parse_grid
from pipeline.imagery.emulator.raster import StoredImage
from pipeline.imagery.emulator.thumbnails import Thumbnails
from pipeline.imagery.emulator.values import Band, Grid, Image, RequestError
from pipeline.imagery.emulator.visualize import visualized

Handler = Callable[[Request, re.Match[str]], Reply]


class Route(NamedTuple):
    """A route: its name in statistics and faults, verb, path, and what answers it."""

    name: str
    verb: str
    path: re.Pattern[str]
    handler: Handler


class Service:
    """Answers requests of the API.

    Parameters
    ----------
    catalog
        The assets.
    operations
        The exports.
    projects
        Registered projects; None lets all in.
    """

    def __init__(self, catalog: Catalog, operations: Operations, projects: frozenset[str] | None) -> None:
        self._catalog, self._operations, self._projects = catalog, operations, projects
        self._thumbnails = Thumbnails()
        project, asset = r"/v1/projects/(?P<project>[^/:]+)", r"/v1/(?P<name>projects/[^/:]+/assets/[^:]+)"
        operation = rf"{project}/operations/(?P<id>[^/:]+)"
        thumbnail = r"/v1/(?P<name>projects/[^/:]+/thumbnails/[^/:]+)"
        self._routes = [
            Route(name, verb, re.compile(path), handler)
            for name, verb, path, handler in (
                ("getPixels", "POST", rf"{asset}:getPixels", self._get_pixels),
                ("computePixels", "POST", rf"{project}/image:computePixels", self._compute_pixels),
                ("getAsset", "GET", asset, self._get_asset),
                ("listAssets", "GET", rf"{asset}:listAssets", self._list_assets),
                ("value", "POST", rf"{project}/value:compute", self._compute_value),
                ("export", "POST", rf"{project}/image:export", self._export),
                ("listOperations", "GET", rf"{project}/operations", self._list_operations),
                ("getOperation", "GET", operation, self._get_operation),
                ("cancelOperation", "POST", rf"{operation}:cancel", self._cancel_operation),
                ("thumbnails", "POST", rf"{project}/thumbnails", self._create_thumbnail),
                ("getThumbnail", "GET", rf"{thumbnail}:getPixels", self._get_thumbnail),
                ("algorithms", "GET", rf"{project}/algorithms", self._list_algorithms),
                ("discovery", "GET", r"/\$discovery/rest", self._discover),
            )
        ]

    def find(self, request: Request) -> tuple[str, Callable[[], Reply]] | None:
        """The name of a request's route and what answers it; None where there is no such route."""
        for route in self._routes:
            if route.verb == request.method and (match := route.path.fullmatch(request.path)):
                return route.name, partial(self._answer, route, request, match)
        return None

    def close(self) -> None:
        """End the exports and close the files."""
        self._operations.close()
        self._catalog.close()

    def _answer(self, route: Route, request: Request, match: re.Match[str]) -> Reply:
        self._check_project(request.headers.get("x-goog-user-project") or match.groupdict().get("project"))
        return route.handler(request, match)

    def _check_project(self, project: str | None) -> None:
        if self._projects is None or project is None or project in self._projects:
            return
        raise RequestError(
            403,
            "PERMISSION_DENIED",
            f"Project '{project}' is not registered to use Earth Engine. Visit https://console.cloud.google.com/"
            f"earth-engine/configuration?project={project} to register your project. See "
            "https://developers.google.com/earth-engine/guides/access for more details.",
        )

    def _discover(self, request: Request, _: re.Match[str]) -> Reply:
        return json_reply(discovery_document(f"http://{request.headers.get('host', '127.0.0.1')}/"))

    def _list_algorithms(self, _request: Request, _: re.Match[str]) -> Reply:
        return bytes_reply(JSON, files("pipeline.imagery.emulator").joinpath("algorithms.json").read_bytes())

    def _get_asset(self, _: Request, match: re.Match[str]) -> Reply:
        asset = self._asset(match["name"])
        if isinstance(asset, CollectionAsset):
            return json_reply(describe_collection(asset))
        return json_reply(describe_image(asset))

    def _list_assets(self, request: Request, match: re.Match[str]) -> Reply:
        asset = self._asset(match["name"])
        if not isinstance(asset, CollectionAsset):
            raise _invalid(f"Asset '{match['name']}' is not a folder or collection.")
        return json_reply(list_page(asset.images, request.query))

    def _get_pixels(self, request: Request, match: re.Match[str]) -> Reply:
        body = request.json()
        check_tag(body)
        asset = self._asset(match["name"])
        if not isinstance(asset, ImageAsset):
            raise _invalid(f"Asset '{match['name']}' is not an Image.")
        if body.get("visualizationOptions"):
            load = {"functionName": "Image.load", "arguments": {"id": {"constantValue": asset.id}}}
            expression = {"result": "0", "values": {"0": {"functionInvocationValue": load}}}
            return self._compute_pixels_of(expression, body)
        return _pixels(asset.image, body)

    def _compute_pixels(self, request: Request, _: re.Match[str]) -> Reply:
        body = request.json()
        check_tag(body)
        return self._compute_pixels_of(_expression(body), body)

    def _compute_pixels_of(self, expression: Mapping[str, Any], body: Mapping[str, Any]) -> Reply:
        options = body.get("visualizationOptions")
        if options:
            expression = visualized(expression, options, body.get("bandIds") or ())
            body = {name: value for name, value in body.items() if name != "bandIds"}
        image = evaluate(expression, self._catalog)
        if not _is_image(image):
            raise _invalid("The expression does not evaluate to an image.")
        return _pixels(image, body)

    def _compute_value(self, request: Request, _: re.Match[str]) -> Reply:
        body = request.json()
        check_tag(body)
        return json_reply({"result": to_json(evaluate(_expression(body), self._catalog))})

    def _export(self, request: Request, match: re.Match[str]) -> Reply:
        body = request.json()
        check_tag(body)
        return json_reply(self._operations.start(match["project"], body, self._catalog))

    def _list_operations(self, _: Request, match: re.Match[str]) -> Reply:
        return json_reply({"operations": self._operations.list(match["project"])})

    def _get_operation(self, _: Request, match: re.Match[str]) -> Reply:
        return json_reply(self._operations.get(match["project"], match["id"]))

    def _cancel_operation(self, _: Request, match: re.Match[str]) -> Reply:
        return json_reply(self._operations.cancel(match["project"], match["id"]))

    def _create_thumbnail(self, request: Request, match: re.Match[str]) -> Reply:
        return json_reply(self._thumbnails.create(match["project"], request.json(), self._catalog))

    def _get_thumbnail(self, _: Request, match: re.Match[str]) -> Reply:
        body, content_type = self._thumbnails.pixels(match["name"])
        return bytes_reply(content_type, body)

    def _asset(self, name: str) -> ImageAsset | CollectionAsset:
        asset = self._catalog.find(name)
        if asset is None:
            raise RequestError(404, "NOT_FOUND", f"Asset '{name}' not found.")
        return asset


def _pixels(image: Image, body: Mapping[str, Any]) -> Reply:
    """The pixels that a request asks for, in its file format."""
    grid = parse_grid(body, image.grid)
    bands = parse_bands(body, image)
    types = {band.id: band for band in image.bands}
    check_size(grid, [types[band] for band in bands])
    file_format = body.get("fileFormat", "AUTO_JPEG_PNG")
    if file_format == "NPY" and isinstance(image, StoredImage):
        return _npy(image, [types[band] for band in bands], grid)
    content, content_type = encode(image.read(bands, grid), bands, grid, file_format)
    return bytes_reply(content_type, content)


def _npy(image: StoredImage, bands: Sequence[Band], grid: Grid) -> Reply:
    """A stored image's pixels without a copy: they are interleaved by pixel, as the format wants them."""
    pixels = image.read_interleaved([band.id for band in bands], grid)
    header = _npy_header(tuple((band.id, band.dtype) for band in bands), grid.height, grid.width)
    return bytes_reply("application/octet-stream", header, pixels.data.cast("B"))


@lru_cache(maxsize=256)
def _npy_header(fields: tuple[tuple[str, str], ...], height: int, width: int) -> bytes:
    """The head of an NPY file of ``(H, W)`` records."""
    descr = np.lib.format.dtype_to_descr(np.dtype(list(fields)))
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        out, {"descr": descr, "fortran_order": False, "shape": (height, width)}
    )
    return out.getvalue()


def _expression(body: Mapping[str, Any]) -> Mapping[str, Any]:
    expression = body.get("expression")
    if not isinstance(expression, Mapping):
        raise _invalid("Invalid value at 'expression': an object is expected.")
    return expression


def _is_image(value: object) -> TypeGuard[Image]:
    """Whether a computed value is an image, stored or computed."""
    return hasattr(value, "read") and hasattr(value, "bands")


def _invalid(message: str) -> RequestError:
    return RequestError(400, "INVALID_ARGUMENT", message)

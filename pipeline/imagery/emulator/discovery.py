"""The discovery document, from which Google's Python client makes its methods."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class _Method(NamedTuple):
    """A method: its id, verb, path with the resource in braces, pattern of the resource, schemas, query."""

    id: str
    verb: str
    path: str
    pattern: str
    request: str | None
    response: str
    query: Sequence[str] = ()


_PROJECT, _ASSET = "^projects/[^/]+$", "^projects/[^/]+/assets/.*$"
_OPERATION, _THUMBNAIL = "^projects/[^/]+/operations/.*$", "^projects/[^/]+/thumbnails/[^/]+$"
_PAGES = ("pageSize", "pageToken", "filter")

_METHODS = (
    _Method("projects.listAssets", "GET", "v1/{+parent}:listAssets", _PROJECT, None, "ListAssetsResponse", (*_PAGES, "view")),
    _Method("projects.algorithms.list", "GET", "v1/{+parent}/algorithms", _PROJECT, None, "ListAlgorithmsResponse"),
    _Method("projects.assets.get", "GET", "v1/{+name}", _ASSET, None, "EarthEngineAsset"),
    _Method("projects.assets.getPixels", "POST", "v1/{+name}:getPixels", _ASSET, "GetPixelsRequest", "HttpBody"),
    _Method("projects.assets.listAssets", "GET", "v1/{+parent}:listAssets", _ASSET, None, "ListAssetsResponse", (*_PAGES, "view")),
    _Method("projects.image.computePixels", "POST", "v1/{+project}/image:computePixels", _PROJECT, "ComputePixelsRequest", "HttpBody"),
    _Method("projects.image.export", "POST", "v1/{+project}/image:export", _PROJECT, "ExportImageRequest", "Operation"),
    _Method("projects.operations.cancel", "POST", "v1/{+name}:cancel", _OPERATION, "CancelOperationRequest", "Empty"),
    _Method("projects.operations.get", "GET", "v1/{+name}", _OPERATION, None, "Operation"),
    _Method("projects.operations.list", "GET", "v1/{+name}/operations", _PROJECT, None, "ListOperationsResponse", _PAGES),
    _Method("projects.thumbnails.create", "POST", "v1/{+parent}/thumbnails", _PROJECT, "Thumbnail", "Thumbnail"),
    _Method("projects.thumbnails.getPixels", "GET", "v1/{+name}:getPixels", _THUMBNAIL, None, "HttpBody"),
    _Method("projects.value.compute", "POST", "v1/{+project}/value:compute", _PROJECT, "ComputeValueRequest", "ComputeValueResponse"),
)  # fmt: skip

_PAGED = frozenset({"ListAssetsResponse", "ListAlgorithmsResponse", "ListOperationsResponse"})
"""The client makes `..._next` methods where the response's schema has a token."""

_COMMON = (
    "alt",
    "fields",
    "key",
    "access_token",
    "oauth_token",
    "quotaUser",
    "callback",
    "prettyPrint",
    "$.xgafv",
)


def discovery_document(root_url: str) -> Mapping[str, Any]:
    """The document of API version v1; `root_url` ends with a slash."""
    return {
        "kind": "discovery#restDescription",
        "discoveryVersion": "v1",
        "id": "earthengine:v1",
        "name": "earthengine",
        "version": "v1",
        "title": "Google Earth Engine API",
        "protocol": "rest",
        "rootUrl": root_url,
        "baseUrl": root_url,
        "servicePath": "",
        "batchPath": "batch",
        "fullyEncodeReservedExpansion": True,
        "parameters": {name: {"type": "string", "location": "query"} for name in _COMMON},
        "schemas": _schemas(),
        "resources": _resources(),
    }


def _schemas() -> dict[str, Any]:
    names = {name for method in _METHODS for name in (method.request, method.response) if name is not None}
    token = {"nextPageToken": {"type": "string"}}
    return {
        name: {"id": name, "type": "object", "properties": token if name in _PAGED else {}}
        for name in sorted(names)
    }


def _resources() -> dict[str, Any]:
    """The methods as the tree that their ids spell."""
    root: dict[str, Any] = {}
    for method in _METHODS:
        *path, name = method.id.split(".")
        node: dict[str, Any] = {"resources": root}
        for part in path:
            node = node.setdefault("resources", {}).setdefault(part, {})
        node.setdefault("methods", {})[name] = _describe(method)
    return root


def _describe(method: _Method) -> dict[str, Any]:
    parameter = re.findall(r"\{\+(\w+)\}", method.path)[0]
    parameters: dict[str, Any] = {
        parameter: {"type": "string", "location": "path", "required": True, "pattern": method.pattern}
    }
    for name in method.query:
        kind = {"type": "integer", "format": "int32"} if name == "pageSize" else {"type": "string"}
        parameters[name] = {"location": "query", **kind}
    return {
        "id": f"earthengine.{method.id}",
        "path": method.path,
        "flatPath": method.path,
        "httpMethod": method.verb,
        "parameters": parameters,
        "parameterOrder": [parameter],
        **({} if method.request is None else {"request": {"$ref": method.request}}),
        "response": {"$ref": method.response},
    }

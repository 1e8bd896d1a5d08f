"""Geofabrik's list of extracts: from a region's name to its address."""

import difflib
import json
from collections.abc import Mapping

from pipeline.errors import Misconfigured
from pipeline.osm.fetch.client import Client
from pipeline.osm.fetch.urls import check_url

_INDEX = "index-v1-nogeom.json"
"""The index without outlines: https://download.geofabrik.de/technical.html."""

_MOST_BYTES = 50_000_000


def read_index(client: Client, server: str) -> Mapping[str, str]:
    """Addresses of the newest extracts by region.

    Raises
    ------
    Transient
        The server does not answer.
    Misconfigured
        It has no such list.
    """
    address = f"{check_url(server, 'osm.server').rstrip('/')}/{_INDEX}"
    found = client.read("osm.region: list of regions", address, _MOST_BYTES)
    try:
        features = json.loads(found or b"")["features"]
        properties = [feature["properties"] for feature in features]
        return {item["id"]: item["urls"]["pbf"] for item in properties if "pbf" in item["urls"]}
    except (ValueError, KeyError, TypeError) as error:
        msg = f"osm.server: {address} is not a list of regions as Geofabrik has it"
        raise Misconfigured(msg) from error


def address_of(region: str, index: Mapping[str, str]) -> str:
    """Address of the newest extract of a region. Raises Misconfigured where there is none, with the nearest names."""
    if region in index:
        return check_url(index[region], f"osm.region: {region}")
    same_end = [name for name in index if name.rpartition("/")[2] == region.rpartition("/")[2]]
    near = dict.fromkeys([*same_end, *difflib.get_close_matches(region, index, n=3)])
    hint = f"nearest: {', '.join(near)}" if near else "their names are those of download.geofabrik.de"
    msg = f"osm.region: there is no region `{region}`; {hint}"
    raise Misconfigured(msg)

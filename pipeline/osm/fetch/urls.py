"""Which servers may be asked for map data, and where a redirect may lead.

The rules: https anywhere, plain http on this machine alone; no redirect leaves https, or leads to this machine
from elsewhere. A url of the config stands in every release, so none may carry a password or a token.
"""

import ipaddress
import re
from urllib.parse import SplitResult, urljoin, urlsplit

from pipeline.errors import Misconfigured

_CHARACTERS = re.compile(r"[!#-\[\]-~]+")  # printable ASCII without space, quote and backslash


def check_url(url: str, what: str) -> str:
    """A url of the config, as it is.

    Parameters
    ----------
    url
        The url.
    what
        Where it stands, for the message.

    Raises
    ------
    Misconfigured
        It may not be asked.
    """
    parts = _allowed(url, what)
    if parts.query or parts.fragment or "?" in url or "#" in url:
        hidden = url.partition("?")[0].partition("#")[0]
        raise _refused(what, hidden, "it has a query or a fragment, and would stand in every release")
    return url


def redirected(url: str, location: str, what: str) -> str:
    """Where a redirect leads.

    Raises
    ------
    Misconfigured
        It may not be followed.
    """
    target = urljoin(url, location)
    parts, origin = _allowed(target, f"{what}: redirect from {url} to"), urlsplit(url)
    if is_local(parts) and not is_local(origin):
        raise _refused(f"{what}: redirect from {url} to", target, "it leads to this machine")
    return target


def is_local(parts: SplitResult) -> bool:
    """Whether a url names this machine."""
    host = (parts.hostname or "").lower()
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def same_host(one: str, other: str) -> bool:
    """Whether two urls name the same server."""
    first, second = urlsplit(one), urlsplit(other)
    return (first.scheme, first.netloc.lower()) == (second.scheme, second.netloc.lower())


def _allowed(url: str, what: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise _refused(what, repr(url), f"it cannot be read ({error})") from error
    if "@" in parts.netloc:
        hidden = f"{parts.scheme}://...@{parts.netloc.rpartition('@')[2]}"
        raise _refused(what, hidden, "it names a user, and would stand in every release")
    if not _CHARACTERS.fullmatch(url) or not parts.hostname:
        raise _refused(what, repr(url), "it is not a url")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_local(parts)):
        raise _refused(what, url, "only https, or http on this machine, is asked")
    return parts


def _refused(what: str, url: str, rule: str) -> Misconfigured:
    return Misconfigured(f"{what} {url} is refused: {rule}")

"""Which server may be asked, and which token it may see.

The rules: Google's servers are `https://*.googleapis.com` on port 443; the only others are on this machine,
where plain http is fine. A token goes only to the family of servers that issued it.
"""

import ipaddress
import re
import ssl
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal
from urllib.parse import urlsplit

import certifi

from pipeline.errors import Misconfigured

# A name as it goes on the wire: urlsplit also lets through what servers and clients read differently.
HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\]")
URL_CHARACTERS = re.compile(r"[!#-\[\]-~]+")  # printable ASCII without space, quote and backslash


@dataclass(frozen=True, slots=True)
class Server:
    """A server that may be asked.

    Attributes
    ----------
    family
        Whose it is: `google`, or `local` for this machine.
    scheme, host, port
        Where it is.
    """

    family: Literal["google", "local"]
    scheme: Literal["http", "https"]
    host: str
    port: int

    @property
    def url(self) -> str:
        """The canonical url, without a path."""
        default = self.port == {"http": 80, "https": 443}[self.scheme]
        return f"{self.scheme}://{self.host}" + ("" if default else f":{self.port}")


def server_of(url: str, *, what: str) -> Server:
    """The server that a url names.

    Parameters
    ----------
    url
        A url; its path is not looked at.
    what
        Where the url stands, for the message.

    Raises
    ------
    Misconfigured
        Neither Google's over https nor on this machine, or written in a way that others may read differently.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _refused(what, url, f"it cannot be read ({error})") from error
    if not URL_CHARACTERS.fullmatch(url):
        raise _refused(what, repr(url), "it has characters that no url has")
    if "@" in parts.netloc:
        hidden = f"{parts.scheme}://...@{parts.netloc.rpartition('@')[2]}"
        raise _refused(what, hidden, "it names a user before the host")
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise _refused(what, url, "it has a query or a fragment")
    scheme, host = parts.scheme.lower(), (parts.netloc.rpartition(":")[0] if port else parts.netloc).lower()
    if not HOST.fullmatch(host):
        raise _refused(what, url, "its host name is not a plain one")
    if scheme == "https" and (host.endswith(".googleapis.com") or host == "accounts.google.com"):
        if port not in {None, 443}:
            raise _refused(what, url, "Google's servers are asked on port 443 only")
        return Server("google", "https", host, 443)
    if scheme in {"http", "https"} and _is_loopback(host):
        kind: Literal["http", "https"] = "https" if scheme == "https" else "http"
        return Server("local", kind, host, port or {"http": 80, "https": 443}[kind])
    rule = "only https://*.googleapis.com, or a server on this machine such as http://127.0.0.1:8900, may be asked"
    raise _refused(what, url, rule)


def check_issuer(server: Server, token_url: str | None, *, what: str) -> None:
    """Refuse to let a server see the tokens of somebody else.

    Parameters
    ----------
    server
        Who would see the token.
    token_url
        Who issues it; None for the kinds of credentials that only Google issues.
    what
        Where the credentials come from, for the message.

    Raises
    ------
    Misconfigured
        The token is not for this server.
    """
    if token_url is None:
        if server.family != "google":
            raise _refused("url", server.url, f"{what}: a Google token goes only to https://*.googleapis.com")
        return
    issuer = server_of(token_url, what=f"{what}: token_uri")
    if issuer.family == "google" and server.family != "google":
        raise _refused("url", server.url, f"{what}: a Google token goes only to https://*.googleapis.com")
    if issuer.family == "local" and (issuer.scheme, issuer.host, issuer.port) != (
        server.scheme,
        server.host,
        server.port,
    ):
        raise _refused("url", server.url, f"{what}: a token issued by {issuer.url} goes only to {issuer.url}")


@lru_cache(maxsize=1)
def tls() -> ssl.SSLContext:
    """How servers are verified: by the system's certificates and certifi's."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _refused(what: str, url: str, rule: str) -> Misconfigured:
    return Misconfigured(f"{what} {url} is refused: {rule}")

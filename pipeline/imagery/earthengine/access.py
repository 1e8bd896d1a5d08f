"""Who asks Earth Engine, and where: project, server and credentials.

Tokens are kept from everybody but the servers of their issuer (see `hosts`), and out of every message.
"""

import json
import logging
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import google.auth
import google.auth.environment_vars
import google.oauth2.credentials
import google.oauth2.service_account
from google.auth.credentials import AnonymousCredentials, Credentials, TokenState
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError

from pipeline.errors import Misconfigured
from pipeline.imagery.earthengine.hosts import Server, check_issuer, server_of
from pipeline.imagery.earthengine.tokens import TokenRequest
from pipeline.imagery.earthengine.verdicts import judge_refresh

HIGH_VOLUME = "https://earthengine-highvolume.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/earthengine"
STORAGE_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
GOOGLE_TOKENS = "https://oauth2.googleapis.com/token"
RENEW_EVERY_S = 30.0  # a token that lives shorter than google-auth's margin is not renewed for every request

Kind = Literal["auto", "service_account", "adc", "earthengine", "anonymous"]


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """How to reach Earth Engine. Can be pickled: every process connects itself.

    Attributes
    ----------
    project
        Cloud project that is charged; None for the environment's SKYTELLER_EE_PROJECT.
    url
        The server; None for the environment's SKYTELLER_EE_URL, else Google's high-volume one.
    credentials
        Where credentials come from. `auto`: the key file if there is one, application default credentials,
        what `earthengine authenticate` left; on this machine, nobody's.
    key_file
        Key of a service account, JSON.
    exports
        Whether the run also exports to Cloud Storage, which needs a scope of its own.
    """

    project: str | None = None
    url: str | None = None
    credentials: Kind = "auto"
    key_file: Path | None = None
    exports: bool = False


@dataclass(slots=True)
class Access:
    """A project on a server, with credentials for it. Thread-safe.

    Attributes
    ----------
    project
        Cloud project that is charged.
    server
        The server.
    credentials
        Whose quota; without a token until the first request.
    source
        Where the credentials come from, for messages.
    """

    project: str
    server: Server
    credentials: Credentials = field(repr=False)
    source: str
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _renewed_at: float = field(default=float("-inf"), repr=False)

    @property
    def url(self) -> str:
        """The server's url, without a path."""
        return self.server.url

    def headers(self) -> dict[str, str]:
        """The headers of a request: project and, with credentials, a token that is valid now.

        Raises
        ------
        Misconfigured
            The credentials give no token.
        Transient
            The token's issuer does not answer.
        """
        headers = {"X-Goog-User-Project": self.project}
        if isinstance(self.credentials, AnonymousCredentials):
            return headers
        with self._lock:
            state = self.credentials.token_state
            lately = time.monotonic() - self._renewed_at < RENEW_EVERY_S
            if state is TokenState.INVALID or (state is TokenState.STALE and not lately):
                self._renew()
            headers["Authorization"] = f"Bearer {self.credentials.token}"
        return headers

    def renew(self, refused: Mapping[str, str]) -> bool:
        """Get another token after the server refused one.

        Parameters
        ----------
        refused
            The headers that were refused; where another thread has renewed the token since, that one will do.

        Returns
        -------
        bool
            Whether there is another token; never for nobody's credentials.

        Raises
        ------
        Misconfigured
            The credentials give no token.
        Transient
            The token's issuer does not answer.
        """
        if isinstance(self.credentials, AnonymousCredentials):
            return False
        with self._lock:
            if refused.get("Authorization") == f"Bearer {self.credentials.token}":
                self._renew()
        return True

    def _renew(self) -> None:
        where = f"credentials ({self.source})"
        try:
            self.credentials.refresh(TokenRequest())
        except GoogleAuthError as error:
            # Not chained: these errors carry what the issuer answered, which may hold tokens.
            text = str(error.args[0]) if error.args else type(error).__name__
            retryable = error.retryable or isinstance(error, TransportError)
        else:
            self._renewed_at = time.monotonic()
            return
        raise judge_refresh(text, retryable=retryable).error(where)


def connect(settings: AccessSettings) -> Access:
    """Find project, server and credentials, and check that they belong together. Sends no token.

    Parameters
    ----------
    settings
        How to reach Earth Engine.

    Raises
    ------
    Misconfigured
        No project, no usable credentials, or a server that may not see them.
    """
    project = settings.project or os.environ.get("SKYTELLER_EE_PROJECT")
    if not project:
        raise Misconfigured(
            "Earth Engine: no project; set imagery.project in the config, or SKYTELLER_EE_PROJECT in the "
            "environment, to a Cloud project registered at https://code.earthengine.google.com/register"
        )
    url = settings.url or os.environ.get("SKYTELLER_EE_URL") or HIGH_VOLUME
    server = server_of(url.removesuffix("/"), what="Earth Engine: url")
    if url.removesuffix("/").count("/") > 2:
        raise Misconfigured(
            f"Earth Engine: url {url} is refused: leave out the path, it ends after the host and port"
        )
    credentials, source = _credentials(settings, server, project)
    return Access(project, server, credentials, source)


def _credentials(settings: AccessSettings, server: Server, project: str) -> tuple[Credentials, str]:
    """The credentials that were asked for, checked against the server, and where they come from."""
    scopes = [SCOPE, STORAGE_SCOPE] if settings.exports else [SCOPE]
    kind, local = settings.credentials, server.family == "local"
    if settings.key_file is not None and kind in {"auto", "service_account"}:
        return _of_key(settings.key_file, server, scopes)
    if kind == "service_account":
        raise Misconfigured("Earth Engine: credentials service_account need imagery.key_file")
    if kind == "anonymous" and not local:
        raise Misconfigured(
            f"Earth Engine: url {server.url} is refused: anonymous credentials are for servers on this machine only"
        )
    if kind == "anonymous" or (kind == "auto" and local and not _adc_is_local()):
        return AnonymousCredentials(), "anonymous"
    found = None
    if kind in {"auto", "adc"}:
        found = _of_adc(server, scopes, project)
    if found is None and kind in {"auto", "earthengine"}:
        found = _of_earthengine(server)
    if found is None:
        raise Misconfigured(
            f"Earth Engine: no credentials ({kind}); run `gcloud auth application-default login "
            f"--scopes={SCOPE},https://www.googleapis.com/auth/cloud-platform` or `earthengine authenticate`, "
            "or set imagery.key_file to the key of a service account"
        )
    return found


def _of_key(path: Path, server: Server, scopes: list[str]) -> tuple[Credentials, str]:
    info, source = _json(path), f"key file {path}"
    if info.get("type") != "service_account":
        raise Misconfigured(
            f"{source}: not the key of a service account; create one under IAM > Service accounts > Keys"
        )
    check_issuer(server, str(info.get("token_uri")), what=source)
    try:
        made = google.oauth2.service_account.Credentials.from_service_account_info(info, scopes=scopes)
    except (ValueError, GoogleAuthError):
        made = None  # nor chained: the error may quote the key
    if made is None:
        raise Misconfigured(f"{source}: the key is incomplete or damaged; download it again")
    return made, source


def _of_adc(server: Server, scopes: list[str], project: str) -> tuple[Credentials, str] | None:
    """Application default credentials, with scopes: google-auth asks for an empty scope without."""
    source = "application default credentials"
    logging.getLogger("google.auth").setLevel(logging.ERROR)  # warns of each place where there are none
    try:
        found, _ = google.auth.default(scopes=scopes, request=TokenRequest(), quota_project_id=project)
    except DefaultCredentialsError as error:
        if os.environ.get(google.auth.environment_vars.CREDENTIALS):
            raise Misconfigured(f"{source}: {error.args[0]}") from None
        return None
    check_issuer(server, getattr(found, "_token_uri", None), what=source)
    return found, source


def _adc_is_local() -> bool:
    """Whether the environment names a key that a server on this machine issued."""
    path = os.environ.get(google.auth.environment_vars.CREDENTIALS)
    if not path:
        return False
    issuer = _json(Path(path)).get("token_uri")
    return isinstance(issuer, str) and server_of(issuer, what=f"key file {path}: token_uri").family == "local"


def _of_earthengine(server: Server) -> tuple[Credentials, str] | None:
    """What `earthengine authenticate` wrote: https://developers.google.com/earth-engine/guides/auth."""
    path = Path("~/.config/earthengine/credentials").expanduser()
    if not path.exists():
        return None
    stored = _json(path)
    if not all(isinstance(stored.get(key), str) for key in ("refresh_token", "client_id", "client_secret")):
        raise Misconfigured(f"{path}: not complete; run `earthengine authenticate --force` again")
    check_issuer(server, GOOGLE_TOKENS, what=str(path))
    made = google.oauth2.credentials.Credentials(
        None,
        refresh_token=stored["refresh_token"],
        client_id=stored["client_id"],
        client_secret=stored["client_secret"],
        token_uri=GOOGLE_TOKENS,
        scopes=stored.get("scopes"),
    )
    return made, str(path)


def _json(path: Path) -> dict[str, Any]:
    """A credentials file. Its text stays out of every error."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read ({error.strerror})") from error
    try:
        info = json.loads(content)
    except ValueError:
        info = None
    if not isinstance(info, dict):
        raise Misconfigured(f"{path}: not a JSON file with credentials")
    return info

"""How google-auth gets its tokens: without redirects, and never a secret to an unknown server."""

from collections.abc import Mapping
from typing import Any

import google.auth.transport
import urllib3
from google.auth.exceptions import TransportError

from pipeline.imagery.earthengine.hosts import server_of, tls

TIMEOUT_S = 20.0


class _Answer(google.auth.transport.Response):
    def __init__(self, answer: urllib3.BaseHTTPResponse) -> None:
        self._answer = answer

    @property
    def status(self) -> int:
        return self._answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._answer.headers

    @property
    def data(self) -> bytes:
        return self._answer.data


class TokenRequest(google.auth.transport.Request):
    """Sends one request to a token endpoint or metadata server.

    Whatever carries a secret, in its body or as authorization, goes only to Google's servers over https or to
    this machine; the plain questions to a machine's metadata server carry none.
    """

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> _Answer:
        """Send it.

        Raises
        ------
        TransportError
            No answer.
        Misconfigured
            The server may not see what is sent.
        """
        if body or any(name.lower() == "authorization" for name in headers or {}):
            server_of(url.partition("?")[0], what="token request to")
        with urllib3.PoolManager(ssl_context=tls(), retries=False) as pool:
            try:
                answer = pool.request(
                    method,
                    url,
                    body=body,
                    headers=dict(headers or {}),
                    timeout=timeout or TIMEOUT_S,
                    redirect=False,
                )
            except urllib3.exceptions.HTTPError as error:
                raise TransportError(str(error)) from error
        return _Answer(answer)

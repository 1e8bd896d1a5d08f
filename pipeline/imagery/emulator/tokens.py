"""Access tokens, as an OAuth 2 server hands them out for a service account's signed claim or a refresh token.

Signatures are not checked, since the server does not know the keys; all else is, with the service's own words.
"""

import base64
import binascii
import json
import math
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.imagery.emulator.values import RequestError

LIFETIME_S = 3600.0
"""How long tokens live unless told otherwise."""

_SKEW_S = 300.0
"""How far a client's clock may be off."""

_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"

_EXPECTED = (
    "Expected OAuth 2 access token, login cookie or other valid authentication credential. "
    "See https://developers.google.com/identity/sign-in/web/devconsole-project."
)

UNAUTHENTICATED = f"Request had invalid authentication credentials. {_EXPECTED}"
"""Message to a request with a token that is not live."""


class GrantError(Exception):
    """A refused grant: an error code of RFC 6749 and a description."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code, self.description = code, description


class Tokens:
    """The tokens that are out.

    Parameters
    ----------
    lifetime_s
        How long a token lives.
    clock
        Unix time, seconds.
    """

    def __init__(self, lifetime_s: float = LIFETIME_S, clock: Callable[[], float] = time.time) -> None:
        self._lifetime_s, self._clock = lifetime_s, clock
        self._lock = threading.Lock()
        self._expires: dict[str, float] = {}

    def grant(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Answer a request of the token endpoint (RFC 6749, RFC 7523). Raises `GrantError`."""
        match form.get("grant_type"):
            case kind if kind == _JWT_BEARER:
                self._check_claims(form.get("assertion", ""))
            case "refresh_token":
                if not form.get("refresh_token"):
                    raise GrantError("invalid_request", "Missing required parameter: refresh_token")
            case kind:
                raise GrantError("unsupported_grant_type", f"Invalid grant_type: {kind}")
        token = f"emulator.{secrets.token_urlsafe(24)}"
        with self._lock:
            self._expires[token] = self._clock() + self._lifetime_s
        return {"access_token": token, "expires_in": int(self._lifetime_s), "token_type": "Bearer"}

    def check(self, authorization: str | None) -> None:
        """Check an Authorization header. Raises `RequestError` (401) unless it bears a live token."""
        if not authorization:
            message = f"Request is missing required authentication credential. {_EXPECTED}"
            raise RequestError(401, "UNAUTHENTICATED", message)
        kind, _, token = authorization.partition(" ")
        with self._lock:
            live = kind.lower() == "bearer" and self._clock() < self._expires.get(token, 0)
        if not live:
            raise RequestError(401, "UNAUTHENTICATED", UNAUTHENTICATED)

    def expire_all(self) -> None:
        """End the life of all tokens."""
        with self._lock:
            self._expires.clear()

    def _check_claims(self, assertion: str) -> None:
        """Check what a signed claim says."""
        parts = assertion.split(".")
        if len(parts) != 3:
            raise GrantError("invalid_grant", "Invalid JWT: it does not have three parts.")
        header, claims = _decoded(parts[0]), _decoded(parts[1])
        if header.get("alg") != "RS256" or not parts[2] or not claims.get("iss"):
            raise GrantError("invalid_grant", "Invalid JWT Signature.")
        now, issued, expires = self._clock(), _seconds(claims, "iat"), _seconds(claims, "exp")
        if not (issued <= now + _SKEW_S and now - _SKEW_S < expires <= now + 3600 + _SKEW_S):
            raise GrantError(
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
                "Check your iat and exp values in the JWT claim.",
            )
        if not claims.get("scope") and not claims.get("target_audience"):
            raise GrantError("invalid_scope", "Invalid OAuth scope or ID token audience provided.")


def _decoded(part: str) -> Mapping[str, Any]:
    """A part of a JWT: base64 without padding, of a JSON object."""
    try:
        value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, binascii.Error) as error:
        raise GrantError("invalid_grant", "Invalid JWT: its parts are not JSON.") from error
    return value if isinstance(value, dict) else {}


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    """A time of a claim, Unix seconds; NaN, which fits no limits, where there is none."""
    value = claims.get(name)
    return float(value) if isinstance(value, int | float) else math.nan

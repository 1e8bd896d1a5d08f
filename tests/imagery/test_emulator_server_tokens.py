"""Tokens: the flow of a service account with a throw-away key, and what is refused."""

import time
from pathlib import Path
from typing import Any

import ee
import google.auth.exceptions
import pytest
import requests
import urllib3
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt, jwt
from google.auth.transport.requests import Request
from google.oauth2 import credentials, service_account

from pipeline.imagery.emulator.faults import Fault
from pipeline.imagery.emulator.server import Server, serve
from pipeline.imagery.emulator.tokens import GrantError, Tokens
from pipeline.imagery.emulator.values import RequestError
from tests.emulator_world import COLLECTION, client, make_world

SCOPES = ["https://www.googleapis.com/auth/earthengine"]
FIRST = f"{COLLECTION}/m_1_20190610"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@pytest.fixture(scope="module")
def key() -> str:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return private.private_bytes(pem, pkcs8, serialization.NoEncryption()).decode()


def account(server: Server, key: str, scopes: list[str]) -> Any:
    info = {
        "type": "service_account", "client_email": "robot@test.iam.gserviceaccount.com", "private_key": key,
        "token_uri": f"{server.url}/token", "private_key_id": "1",
    }  # fmt: skip
    return service_account.Credentials.from_service_account_info(info, scopes=scopes)


def test_a_service_account_gets_in(tmp_path: Path, key: str) -> None:
    make_world(tmp_path)
    with serve(tmp_path, auth="token") as server, client(server, account(server, key, SCOPES)):
        assert ee.data.getAsset(FIRST)["id"] == FIRST
        assert server.stats().requests["token"] == 1


def test_an_expired_token_is_renewed(tmp_path: Path, key: str) -> None:
    make_world(tmp_path)
    faults = [Fault(kind="expire", match="getAsset", times=1)]
    with serve(tmp_path, auth="token", faults=faults) as server, client(server, account(server, key, SCOPES)):
        assert ee.data.getAsset(FIRST)["id"] == FIRST
        stats = server.stats()
    assert stats.requests["token"] == 2
    assert stats.statuses["401"] == 1


def test_without_a_scope_no_token(tmp_path: Path, key: str) -> None:
    make_world(tmp_path)
    with serve(tmp_path, auth="token") as server, requests.Session() as session:
        request = Request(session)
        with pytest.raises(google.auth.exceptions.RefreshError, match="invalid_scope"):
            account(server, key, []).refresh(request)


def test_a_refresh_token_gets_in(tmp_path: Path) -> None:
    make_world(tmp_path)
    with serve(tmp_path, auth="token") as server:
        user = credentials.Credentials(
            None,
            **dict.fromkeys(("refresh_token", "client_id", "client_secret"), "any"),
            token_uri=f"{server.url}/token",
        )
        with client(server, user):
            assert ee.data.getAsset(FIRST)["id"] == FIRST


def test_without_a_live_token_no_answer(tmp_path: Path) -> None:
    make_world(tmp_path)
    url = f"/v1/projects/earthengine-public/assets/{FIRST}"
    with (
        serve(tmp_path, auth="token") as server,
        urllib3.HTTPConnectionPool("127.0.0.1", server.port) as pool,
    ):
        missing = pool.request("GET", url)
        wrong = pool.request("GET", url, headers={"Authorization": "Bearer other"})
        assert pool.request("GET", "/$discovery/rest?version=v1").status == 200
    assert missing.status == wrong.status == 401
    assert missing.json()["error"]["status"] == wrong.json()["error"]["status"] == "UNAUTHENTICATED"
    assert missing.json()["error"]["message"].startswith(
        "Request is missing required authentication credential."
    )
    assert wrong.json()["error"]["message"].startswith("Request had invalid authentication credentials.")


def claim(key: str, **changes: Any) -> dict[str, str]:
    """A form for the token endpoint."""
    now = int(time.time())
    claims = {"iss": "robot@test", "scope": SCOPES[0], "aud": "a", "iat": now, "exp": now + 3600} | changes
    signer = crypt.RSASigner.from_string(key)
    signed: bytes = jwt.encode(signer, claims)
    return {"grant_type": GRANT, "assertion": signed.decode()}


def test_a_clock_that_is_off_is_told_so(key: str) -> None:
    tokens = Tokens()
    assert tokens.grant(claim(key)).keys() == {"access_token", "expires_in", "token_type"}
    now = int(time.time())
    for times in (
        {"iat": now - 7200, "exp": now - 3600},
        {"iat": now + 3600, "exp": now + 7200},
        {"exp": None},
    ):
        with pytest.raises(GrantError, match="reasonable timeframe") as caught:
            tokens.grant(claim(key, **times))
        assert caught.value.code == "invalid_grant"


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({}, "unsupported_grant_type"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": GRANT, "assertion": "a.b"}, "invalid_grant"),
        ({"grant_type": GRANT, "assertion": "!.é.c"}, "invalid_grant"),
        ({"grant_type": GRANT, "assertion": "W10.W10.c"}, "invalid_grant"),
    ],
)
def test_other_grants_are_refused(form: dict[str, str], code: str) -> None:
    with pytest.raises(GrantError) as caught:
        Tokens().grant(form)
    assert caught.value.code == code


def test_tokens_live_as_long_as_they_say() -> None:
    now = 1000.0
    tokens = Tokens(60, lambda: now)
    granted = tokens.grant({"grant_type": "refresh_token", "refresh_token": "r"})
    assert granted["expires_in"] == 60
    now += 59
    tokens.check(f"Bearer {granted['access_token']}")
    now += 2
    with pytest.raises(RequestError):
        tokens.check(f"Bearer {granted['access_token']}")

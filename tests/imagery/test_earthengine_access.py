"""Credentials: where they come from, where their tokens go, and that nobody else ever sees one."""

import base64
import datetime as dt
import json
import logging
import pickle
import socket
import ssl
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import urllib3.util.connection
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pipeline.errors import Misconfigured, SkytellerError, Transient
from pipeline.imagery.earthengine.access import SCOPE, STORAGE_SCOPE, AccessSettings, Kind, connect
from pipeline.imagery.earthengine.hosts import tls
from pipeline.imagery.earthengine.tokens import TokenRequest
from pipeline.imagery.earthengine.transport import Limits, Transport
from tests.imagery.scripted_server import Answer, Handler, Scripted, error, good, pixels, serve

GOOGLE = "https://oauth2.googleapis.com/token"
REFRESH_TOKEN = "1//0refresh-secret"  # noqa: S105 - made up
FAST = Limits(read_s=1, connect_s=1, attempts=2)


@pytest.fixture(scope="module")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*pem).decode()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without credentials, off Google's machines."""
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "SKYTELLER_EE_PROJECT", "SKYTELLER_EE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))  # google-auth runs gcloud, if it is there, for a project's name
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "elsewhere")
    return tmp_path


class Keys:
    """Key files of service accounts."""

    def __init__(self, folder: Path, private_key: str) -> None:
        self.folder, self.private_key = folder, private_key

    def __call__(self, token_uri: str, **changes: object) -> Path:
        path = self.folder / "key.json"
        info = {
            "type": "service_account",
            "project_id": "p",
            "private_key_id": "1",
            "private_key": self.private_key,
            "client_email": "robot@p.iam.gserviceaccount.com",
            "token_uri": token_uri,
        }
        path.write_text(json.dumps(info | changes), encoding="utf-8")
        return path


@pytest.fixture
def key(tmp_path: Path, private_key: str) -> Keys:
    return Keys(tmp_path, private_key)


def authenticated(home: Path) -> Path:
    """What `earthengine authenticate` leaves."""
    path = home / ".config/earthengine/credentials"
    path.parent.mkdir(parents=True)
    path.write_text(
        json.dumps(
            {"refresh_token": REFRESH_TOKEN, "client_id": "c", "client_secret": "s3cret", "scopes": [SCOPE]}
        ),
        encoding="utf-8",
    )
    return path


def logged_in(home: Path) -> Path:
    """What `gcloud auth application-default login` leaves."""
    path = home / "gcloud/application_default_credentials.json"
    path.parent.mkdir(parents=True)
    path.write_text(
        json.dumps(
            {
                "type": "authorized_user",
                "refresh_token": REFRESH_TOKEN,
                "client_id": "c",
                "client_secret": "s3cret",
            }
        ),
        encoding="utf-8",
    )
    return path


class Issuer:
    """A server with a token endpoint that takes only the token it issued last, as the emulator has."""

    def __init__(self, lives_s: int = 3600) -> None:
        self.issued, self.accepts, self.lives_s = 0, True, lives_s
        self.claims: list[dict[str, Any]] = []

    def __call__(self, handler: Handler) -> None:
        if handler.path == "/token":
            assertion = parse_qs(handler.server.scripted.seen[-1].body.decode())["assertion"][0].split(".")[1]
            self.claims.append(json.loads(base64.urlsafe_b64decode(assertion + "===")))
            self.issued += 1
            token = {"access_token": self.token, "expires_in": self.lives_s, "token_type": "Bearer"}
            handler.plain(200, json.dumps(token).encode(), {"Content-Type": "application/json"})
        elif self.accepts and handler.headers.get("authorization") == f"Bearer {self.token}":
            good(handler)
        else:
            sent = handler.headers.get("authorization")
            error(401, f"Request had invalid authentication credentials: {sent} {sent and sent[7:]}")(handler)

    @property
    def token(self) -> str:
        return f"opaque-{self.issued}"


def fetch(settings: AccessSettings) -> bytes:
    transport = Transport(connect(settings), FAST, sleep=lambda _: None)
    try:
        return transport.post("/v1/x:getPixels", {}, bytes, "block")
    finally:
        transport.close()


# -- project and server


def test_project_is_needed() -> None:
    with pytest.raises(Misconfigured, match=r"no project; set imagery\.project .* SKYTELLER_EE_PROJECT"):
        connect(AccessSettings())


def test_project_and_url_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYTELLER_EE_PROJECT", "of-the-environment")
    monkeypatch.setenv("SKYTELLER_EE_URL", "http://localhost:8900/")
    access = connect(AccessSettings())
    assert (access.project, access.url) == ("of-the-environment", "http://localhost:8900")
    access = connect(AccessSettings("mine", "http://[::1]:1234"))
    assert (access.project, access.url) == ("mine", "http://[::1]:1234")
    assert access.headers() == {"X-Goog-User-Project": "mine"}


def test_the_servers_of_google(key: Keys) -> None:
    settings = AccessSettings("p", key_file=key(GOOGLE))
    assert connect(settings).url == "https://earthengine-highvolume.googleapis.com"
    for url in ("https://earthengine.googleapis.com", "https://EarthEngine.GoogleAPIs.com:443/"):
        assert (
            connect(AccessSettings("p", url, key_file=key(GOOGLE))).url
            == "https://earthengine.googleapis.com"
        )


THIS_MACHINE = ["http://127.0.0.1:{port}", "https://127.0.0.1:{port}", "http://localhost:{port}"]
PRETENDERS = [
    *THIS_MACHINE,
    "http://earthengine.googleapis.com",
    "http://earthengine.googleapis.com:{port}",
    "https://earthengine.googleapis.com:{port}",
    "https://earthengine.googleapis.com.evil.example",
    "https://earthengine.googleapis.com.",
    "https://googleapis.com.evil.example:443",
    "https://evilgoogleapis.com",
    "https://evil.example/.googleapis.com",
    "https://evil.example/#.googleapis.com",
    "https://evil.example?.googleapis.com",
    "https://evil.example#@earthengine.googleapis.com",
    "https://user@earthengine.googleapis.com",
    "https://earthengine.googleapis.com@evil.example",
    "https://earthengine.googleapis.com:443@evil.example",
    "https://evil.example\\@earthengine.googleapis.com",
    "https://evil.example\\.googleapis.com",
    "https://evil.example%2f.googleapis.com",
    "https://evil.example%00.googleapis.com",
    "https://evil.example\t.googleapis.com",
    "https://evil.example\n.googleapis.com",
    " https://earthengine.googleapis.com",
    "https://évil.googleapis.com",
    "https://earthengine.googleapis.com:443:443",
    "https://[earthengine.googleapis.com]",
    "https://earthengine.googleapis.com:65536",
    "https:earthengine.googleapis.com",
    "//earthengine.googleapis.com",
    "earthengine.googleapis.com",
    "ftp://earthengine.googleapis.com",
    "https://earthengine.googleapis.com/v1",
    "https://127.1",
    "http://0.0.0.0:{port}",
    "http://2130706433:{port}",
    "http://127.0.0.1.evil.example:{port}",
    "http://localhost.evil.example:{port}",
    "http://[::ffff:10.0.0.1]:{port}",
    "https://",
    "x",
]


@pytest.fixture
def pretender(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    """A server that every name and address leads to."""
    with serve(
        always=lambda handler: handler.plain(200, b'{"access_token": "x", "expires_in": 3600}')
    ) as server:

        def here(_: tuple[str, int], *_args: Any, **_options: Any) -> socket.socket:
            return socket.create_connection(("127.0.0.1", server.port), 2)

        monkeypatch.setattr(urllib3.util.connection, "create_connection", here)
        yield server


@pytest.mark.parametrize("kind", ["service_account", "adc", "earthengine", "anonymous"])
def test_no_token_for_pretenders(kind: Kind, key: Keys, home: Path, pretender: Scripted) -> None:
    logged_in(home)
    authenticated(home)
    key_file = key(GOOGLE) if kind == "service_account" else None
    for pattern in PRETENDERS:
        if kind == "anonymous" and pattern in THIS_MACHINE:
            continue  # nobody's credentials may go there
        url = pattern.format(port=pretender.port)
        with pytest.raises(Misconfigured, match=r"is refused: "):
            fetch(AccessSettings("p", url, kind, key_file))
        assert pretender.seen == []


def test_no_google_token_on_this_machine_by_itself(home: Path) -> None:
    """What is logged in does not matter to a server on this machine: it is asked as nobody."""
    logged_in(home)
    authenticated(home)
    with serve() as server:
        assert fetch(AccessSettings("p", server.url)) == pixels()
    assert "authorization" not in server.seen[0].headers


def test_refusals_name_url_and_rule_but_no_password(key: Keys) -> None:
    with pytest.raises(
        Misconfigured, match=r"http://127\.0\.0\.1:9 is refused: .*key\.json.* https://\*\.googleapis\.com"
    ):
        connect(AccessSettings("p", "http://127.0.0.1:9", key_file=key(GOOGLE)))
    with pytest.raises(Misconfigured) as caught:
        connect(AccessSettings("p", "https://me:pass@earthengine.googleapis.com"))
    assert "pass" not in str(caught.value)
    assert "earthengine.googleapis.com" in str(caught.value)


# -- issuers


@pytest.mark.parametrize(
    "issuer",
    ["https://evil.example/token", "http://oauth2.googleapis.com/token", "https://oauth2.googleapis.com.evil.example/",
     "http://169.254.169.254/token", "", "None"],
)  # fmt: skip
@pytest.mark.parametrize("url", [None, "http://127.0.0.1:9"])
@pytest.mark.parametrize("by_environment", [False, True])
def test_keys_of_unknown_issuers(
    issuer: str,
    url: str | None,
    key: Keys,
    pretender: Scripted,
    monkeypatch: pytest.MonkeyPatch,
    *,
    by_environment: bool,
) -> None:
    path = key(issuer)
    if by_environment:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    settings = AccessSettings("p", url, "adc" if by_environment else "auto", None if by_environment else path)
    with pytest.raises(Misconfigured, match=r"token_uri .* is refused: "):
        fetch(settings)
    assert pretender.seen == []


def test_token_of_a_server_on_this_machine(key: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = Issuer()
    with serve(always=issuer) as server, serve() as other:
        path = key(f"{server.url}/token")
        assert fetch(AccessSettings("p", server.url, key_file=path)) == pixels()
        for url in (other.url, server.url.replace("127.0.0.1", "localhost"), None):
            with pytest.raises(Misconfigured, match=rf"goes only to {server.url}"):
                fetch(AccessSettings("p", url, key_file=path))
        assert other.seen == []
        assert issuer.claims[0]["scope"] == SCOPE
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
        for kind in ("auto", "adc"):
            assert fetch(AccessSettings("p", server.url, kind, exports=True)) == pixels()
        assert issuer.claims[-1]["scope"] == f"{SCOPE} {STORAGE_SCOPE}"
        assert server.seen[-1].headers["x-goog-user-project"] == "p"


def test_redirects_are_not_followed(key: Keys) -> None:
    issuer = Issuer()

    def elsewhere(handler: Handler) -> None:
        if handler.path == "/token":
            issuer(handler)
        else:
            handler.plain(307, b"", {"Location": f"{other.url}/v1/x:getPixels"})

    with serve() as other, serve(always=elsewhere) as server:
        with pytest.raises(Misconfigured, match="redirects are never followed"):
            fetch(AccessSettings("p", server.url, key_file=key(f"{server.url}/token")))
        assert [seen.path for seen in server.seen] == ["/token", "/v1/x:getPixels"]
        assert other.seen == []


def test_token_endpoints_that_redirect(key: Keys) -> None:
    with serve() as other:
        moved: Answer = lambda handler: handler.plain(307, b"", {"Location": f"{other.url}/token"})  # noqa: E731
        with serve(always=moved) as server, pytest.raises(Misconfigured, match="no token"):
            fetch(AccessSettings("p", server.url, key_file=key(f"{server.url}/token")))
        assert other.seen == []


def test_nothing_secret_to_an_unknown_token_endpoint(pretender: Scripted) -> None:
    for secret in ({"body": b"refresh_token=1"}, {"headers": {"authorization": "Bearer x"}}):
        with pytest.raises(Misconfigured, match=r"evil\.example/token is refused"):
            TokenRequest()("https://evil.example/token", "POST", **secret)
    assert pretender.seen == []


# -- certificates


@pytest.fixture
def certificate(tmp_path: Path, private_key: str) -> Path:
    """A certificate for this machine that only itself vouches for, and its key."""
    key = serialization.load_pem_private_key(private_key.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private_key.encode())
    return path


def test_certificates_are_verified(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serve(tls=context) as server:
        settings = AccessSettings("p", f"https://localhost:{server.port}")
        with pytest.raises(Misconfigured, match=r"certificate verify failed.*a proxy in between"):
            fetch(settings)
        assert server.seen == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # an organisation's own authority
        tls.cache_clear()
        assert fetch(settings) == pixels()
    tls.cache_clear()


# -- tokens


def test_a_refused_token_is_renewed_once(key: Keys) -> None:
    issuer = Issuer()
    with serve(always=issuer) as server:
        settings = AccessSettings("p", server.url, key_file=key(f"{server.url}/token"))
        transport = Transport(connect(settings), FAST)
        ask = partial(transport.post, "/v1/x:getPixels", {}, bytes, "block")
        try:
            ask()
            issuer.issued += 1  # the server forgets the token
            assert ask() == pixels()
            assert transport.statistics.retries == {"token": 1}
            issuer.accepts = False
            before = len(server.seen)
            with pytest.raises(Misconfigured, match=r"HTTP 401.*credentials are not accepted"):
                ask()
        finally:
            transport.close()
    assert [seen.path for seen in server.seen[before:]] == ["/v1/x:getPixels", "/token", "/v1/x:getPixels"]


def test_threads_share_a_renewal(key: Keys) -> None:
    issuer = Issuer()
    with serve(always=issuer) as server:
        transport = Transport(
            connect(AccessSettings("p", server.url, key_file=key(f"{server.url}/token"))), FAST
        )
        try:
            with ThreadPoolExecutor(8) as threads:
                asked = [threads.submit(transport.post, "/v1/x", {}, bytes, "block") for _ in range(40)]
                assert {future.result(10) for future in asked} == {pixels()}
        finally:
            transport.close()
    assert issuer.issued == 1


def test_a_short_lived_token_is_not_renewed_for_every_request(key: Keys) -> None:
    """google-auth wants a new one 225 s before the end; a token of 60 s would never do."""
    issuer = Issuer(lives_s=60)
    with serve(always=issuer) as server:
        access = connect(AccessSettings("p", server.url, key_file=key(f"{server.url}/token")))
        assert [access.headers()["Authorization"] for _ in range(5)] == ["Bearer opaque-1"] * 5
        access.credentials.expiry = dt.datetime.now(dt.UTC).replace(tzinfo=None) - dt.timedelta(seconds=1)
        assert access.headers()["Authorization"] == "Bearer opaque-2"


def denied(status: int, why: str, description: str) -> Answer:
    body = json.dumps({"error": why, "error_description": description}).encode()
    return lambda handler: handler.plain(status, body, {"Content-Type": "application/json"})


SKEW = (
    "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
    "Check your iat and exp values in the JWT claim."
)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (denied(400, "invalid_grant", SKEW), "this machine's clock is wrong"),
        (denied(400, "invalid_grant", "Invalid JWT Signature."), "make a new key"),
        (denied(400, "invalid_grant", "Invalid grant: account not found"), "make a new key"),
        (denied(400, "invalid_grant", "Token has been expired or revoked."), "log in again"),
        (denied(400, "invalid_scope", "Some requested scopes were invalid"), "do not allow the scope"),
        (denied(401, "unauthorized_client", "Client is unauthorized"), "no token is to be had"),
        (error(404, "nothing here"), "no token is to be had"),
    ],
)
def test_why_there_is_no_token(answer: Answer, words: str, key: Keys) -> None:
    with serve(always=answer) as server:
        with pytest.raises(Misconfigured, match=words) as caught:
            fetch(AccessSettings("p", server.url, key_file=key(f"{server.url}/token")))
        assert {seen.path for seen in server.seen} == {"/token"}
        assert "key.json" in str(caught.value)


def test_an_issuer_that_is_down_is_asked_again(key: Keys) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Transient, match=r"no token: .*after 2 attempts"):
            fetch(AccessSettings("p", url, key_file=key(f"{url}/token")))


def test_no_token_in_messages_logs_or_values(key: Keys, caplog: pytest.LogCaptureFixture) -> None:
    """The server of this test quotes the token in its refusal."""
    issuer = Issuer()
    issuer.accepts = False
    caplog.set_level(logging.DEBUG)
    with serve(always=issuer) as server:
        path = key(f"{server.url}/token")
        settings = AccessSettings("p", server.url, key_file=path)
        access = connect(settings)
        transport = Transport(access, FAST)
        try:
            with pytest.raises(SkytellerError) as caught:
                transport.post("/v1/x", {}, bytes, "block")
        finally:
            transport.close()
        said = [
            "".join(traceback.format_exception(caught.value)), caplog.text, repr(access), repr(transport),
            repr(settings), repr(transport.statistics), repr(access.credentials),
        ]  # fmt: skip
    assert issuer.issued == 2
    assert "(secret)" in said[0]
    for text in said:
        assert "opaque" not in text
        assert "PRIVATE KEY" not in text


def test_an_issuer_that_answers_nonsense_leaks_nothing(key: Keys) -> None:
    odd: Answer = lambda handler: handler.plain(  # noqa: E731
        200,
        b'{"id_token": "eyJhbGciOi.eyJzdWIi.c2ln", "refresh_token": "1//0abc"}',
        {"Content-Type": "application/json"},
    )
    with serve(always=odd) as server, pytest.raises(Misconfigured, match="No access token") as caught:
        fetch(AccessSettings("p", server.url, key_file=key(f"{server.url}/token")))
    text = "".join(traceback.format_exception(caught.value))
    assert "eyJ" not in text
    assert "1//0abc" not in text


# -- where credentials come from


def test_order_of_auto(key: Keys, home: Path) -> None:
    with pytest.raises(
        Misconfigured, match=r"no credentials \(auto\); run `gcloud .*`earthengine authenticate`.*key_file"
    ):
        connect(AccessSettings("p"))
    left = authenticated(home)
    assert connect(AccessSettings("p")).source == str(left)
    logged_in(home)
    assert connect(AccessSettings("p")).source == "application default credentials"
    assert connect(AccessSettings("p", key_file=key(GOOGLE))).source.startswith("key file")
    assert connect(AccessSettings("p", credentials="earthengine")).source == str(left)


def test_refresh_tokens_go_to_google_only(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A credentials file cannot name another issuer."""
    path = authenticated(home)
    path.write_text(
        path.read_text(encoding="utf-8").replace("{", '{"token_uri": "https://evil.example/", ', 1)
    )
    asked: list[str] = []

    def ask(_: TokenRequest, url: str, *_args: Any, **_options: Any) -> None:
        asked.append(url)
        raise Misconfigured("stop")

    monkeypatch.setattr(TokenRequest, "__call__", ask)
    for kind in ("earthengine", "adc"):
        if kind == "adc":
            logged_in(home)
        with pytest.raises(Misconfigured, match="stop"):
            connect(AccessSettings("p", credentials=kind)).headers()
    assert asked == [GOOGLE, GOOGLE]


def test_dead_ends(key: Keys, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def says(settings: AccessSettings) -> str:
        with pytest.raises(Misconfigured) as caught:
            connect(settings)
        text = "".join(traceback.format_exception(caught.value))
        assert "PRIVATE KEY" not in text
        assert REFRESH_TOKEN not in text
        return str(caught.value)

    assert "need imagery.key_file" in says(AccessSettings("p", credentials="service_account"))
    assert "missing.json: cannot be read (No such file" in says(
        AccessSettings("p", key_file=home / "missing.json")
    )
    assert "not the key of a service account" in says(
        AccessSettings("p", key_file=key(GOOGLE, type="authorized_user"))
    )
    assert "incomplete or damaged" in says(
        AccessSettings("p", key_file=key(GOOGLE, private_key="-----BEGIN PRIVATE KEY"))
    )
    (home / "key.json").write_text("-----BEGIN PRIVATE KEY-----", encoding="utf-8")
    assert "not a JSON file" in says(AccessSettings("p", key_file=home / "key.json"))
    assert "this machine only" in says(AccessSettings("p", credentials="anonymous"))
    assert "no credentials (adc)" in says(AccessSettings("p", credentials="adc"))
    assert "no credentials (earthengine)" in says(AccessSettings("p", credentials="earthengine"))
    authenticated(home).write_text(json.dumps({"refresh_token": REFRESH_TOKEN}), encoding="utf-8")
    assert "earthengine authenticate --force" in says(AccessSettings("p", credentials="earthengine"))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(home / "missing.json"))
    assert "missing.json" in says(AccessSettings("p"))


def test_settings_travel_to_other_processes(key: Keys) -> None:
    settings = AccessSettings("p", key_file=key(GOOGLE))
    assert pickle.loads(pickle.dumps(settings)) == settings  # noqa: S301 - made here

"""The client of one server: whose key it sends, what it asks for beside texts."""

import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from pydantic import BaseModel, ValidationError

from pipeline.annotators import KEY, OpenaiAnnotator, private
from pipeline.captions.trouble import Failure, Trouble, trouble_of
from pipeline.errors import Misconfigured

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_SENT = frozenset({
    "accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "host", "user-agent",
    "x-stainless-raw-response",  # the library looks at it when the answer comes
})  # fmt: skip
"""Headers of a request. The client's library adds what it finds in variables of the environment (``OPENAI_*``:
organisation, project, headers of any name), which concern other servers than these."""


_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")


class ServedModel(BaseModel):
    """What a server says of a model."""

    id: str
    max_model_len: int | None = None  # vLLM's servers tell it


class Models(BaseModel):
    """What a server answers to ``/models``."""

    data: list[ServedModel]


def key_of(url: str, config: OpenaiAnnotator) -> str:
    """The key of a server, from the environment; empty where it gets none.

    A key belongs to one host: where a config has servers on several, it must say whose a key is.

    Raises
    ------
    Misconfigured
        A variable that the config names is not set or holds no key, or the key would reach several hosts or travel
        unencrypted.
    """
    host = _host(url)
    hosts = sorted(set(map(_host, config.endpoints)))
    by_host = config.key_env if isinstance(config.key_env, dict) else dict.fromkeys(hosts, config.key_env)
    if unknown := sorted(set(by_host) - set(hosts)):
        raise Misconfigured(
            f"captions: key_env: no endpoint is on {', '.join(unknown)}; they are on {', '.join(hosts)}"
        )
    name = by_host.get(host)
    if name is None:
        return ""
    if not _VARIABLE.fullmatch(name):  # it may be a key, so it is not repeated
        msg = "captions: key_env: name the environment variable that holds the key, in capitals, such as MODELS_KEY"
        raise Misconfigured(msg)
    key = os.environ.get(name, "").strip()
    if not key and name != KEY:
        raise Misconfigured(
            f"captions: {name}, which `key_env` names, is not set; it must hold the key of {host}"
        )
    if not (key.isascii() and key.isprintable()):
        raise Misconfigured(f"captions: {name} holds characters that no key has; set it anew")
    if key and len(hosts) > 1 and not isinstance(config.key_env, dict):
        msg = (
            f"captions: the key in {name} would go to several hosts ({', '.join(hosts)}); say which of them it is for: "
            f"`key_env: {{{hosts[0]}: {name}}}`"
        )
        raise Misconfigured(msg)
    if key and not private(url):
        msg = f"captions: the key in {name} would go to {url} unencrypted; use https, or a server on this machine"
        raise Misconfigured(msg)
    return key


def client_of(url: str, config: OpenaiAnnotator) -> "AsyncOpenAI":
    """A client that sends the key of its server and nothing else of the environment. Raises as `key_of`."""
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient  # noqa: PLC0415 - 1 s, only where used

    key = key_of(url, config)

    async def only_ours(request: Any) -> None:
        for name in set(request.headers) - _SENT:
            del request.headers[name]
        request.headers["Authorization"] = f"Bearer {key}"
        if not key:
            del request.headers["Authorization"]

    http = DefaultAsyncHttpxClient(
        follow_redirects=False,
        trust_env=not private(url) or url.startswith("https"),
        event_hooks={"request": [only_ours]},
    )
    return AsyncOpenAI(
        api_key=key or "none", base_url=url, max_retries=0, timeout=config.timeout_s, http_client=http
    )


async def ask_health(client: "AsyncOpenAI", url: str) -> None:
    """Ask for ``/health`` beside ``/v1``; servers that do not have it may be well. Raises Trouble where it is not."""
    from openai import APIError, APIStatusError  # noqa: PLC0415

    parts = urlsplit(url)
    root = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/").removesuffix("/v1"), "", ""))
    try:
        await client.get(f"{root}/health", cast_to=type(None))
    except APIStatusError as error:
        if error.status_code not in (401, 403, 404, 405):
            raise Trouble(Failure.DEAD, f"/health gives status {error.status_code}") from error
    except APIError as error:
        raise trouble_of(error) from error


async def served(client: "AsyncOpenAI") -> Models:
    """Ask which models a server has. Raises Trouble where it does not say."""
    from openai import APIError, NotFoundError  # noqa: PLC0415

    try:
        answer = await client.models.with_raw_response.list()
    except NotFoundError as error:
        msg = "has no /models: the base url of a server mostly ends in /v1"
        raise Trouble(Failure.REFUSED, msg) from error
    except APIError as error:
        raise trouble_of(error) from error
    try:
        return Models.model_validate_json(answer.text)
    except ValidationError as error:
        raise Trouble(Failure.DEAD, "answers /models with something else than a list of models") from error


def _host(url: str) -> str:
    return str(urlsplit(url).hostname)

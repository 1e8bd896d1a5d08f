"""What is asked of Earth Engine through its own client: lists of assets, and expressions.

The only module that loads it, and only when it is needed. The client's own retries are off, because they
cannot tell what is worth trying again: requests are tried again here, by the rules of `verdicts`.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pipeline.errors import Misconfigured, Permanent
from pipeline.imagery.earthengine.expressions import Expression, cast, encoded, laid_over, valid_band
from pipeline.imagery.earthengine.verdicts import (
    Judgement,
    Verdict,
    clean,
    judge_answer,
    judge_failure,
    judge_refresh,
)

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

_PAGE = 500
_LONGEST_PAUSE_S = 60.0

_T = TypeVar("_T")


class _Refused(Misconfigured):
    """The service refuses this one thing."""


class Client:
    """Earth Engine's own client. Connects on first use; thread-safe as long as a process uses one connection.

    Parameters
    ----------
    credentials
        Whose requests; anonymous ones for a server on this machine.
    url
        The server, without a path.
    project
        Cloud project that is charged.
    deadline_s
        Longest silence of the server.
    attempts
        Times a request is tried.
    backoff_s
        First pause after a failure; later ones grow.
    sleep
        Waits, for seconds.
    """

    _lock = threading.Lock()
    _connected: "ClassVar[tuple[Credentials, str, str] | None]" = None

    def __init__(
        self,
        credentials: "Credentials",
        url: str,
        project: str,
        *,
        deadline_s: float = 60.0,
        attempts: int = 8,
        backoff_s: float = 0.5,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._credentials, self._url, self._project = credentials, url.rstrip("/"), project
        self._deadline_s, self._attempts, self._backoff_s = deadline_s, attempts, backoff_s
        self._sleep = sleep

    @staticmethod
    def close() -> None:
        """Close the process's connection. The next question opens another one."""
        with Client._lock:
            if Client._connected is not None:
                _disconnect()
                Client._connected = None

    def list_assets(self, collection: str, where: str) -> Iterator[dict[str, Any]]:
        """The assets of a collection that a filter lets through, a page at a time.

        Parameters
        ----------
        collection
            Its id. Some products of the catalogue are a single image: then it is that image, whatever the filter.
        where
            A filter of the REST API: ``startTime >= "..." AND intersects("...")``.

        Raises
        ------
        Misconfigured
            There is no such collection, or the project or account may not ask.
        Transient
            The service is down.
        Exhausted
            The project's quota is used up.
        """
        ee = self._ee()
        token: str | None = None
        while True:
            asked = {"parent": collection, "filter": where, "pageSize": _PAGE}
            if token:
                asked["pageToken"] = token
            try:
                page: dict[str, Any] = self._call(
                    f"Earth Engine: listing {collection}", partial(ee.data.listAssets, asked)
                )
            except _Refused as refusal:
                image = self._image(collection)
                if image is None:
                    raise refusal from refusal.__cause__
                page = {"assets": [image]}
            yield from page["assets"]
            token = page.get("nextPageToken")
            if not token:
                return

    def get_asset(self, asset_id: str) -> dict[str, Any]:
        """The description of an asset. Raises what `list_assets` raises."""
        ee = self._ee()
        found: dict[str, Any] = self._call(f"Earth Engine: {asset_id}", partial(ee.data.getAsset, asset_id))
        return found

    def _image(self, asset_id: str) -> dict[str, Any] | None:
        """The description of an asset that is an image."""
        try:
            asset = self.get_asset(asset_id)
        except _Refused:
            return None
        return asset if isinstance(asset, dict) and asset.get("type") == "IMAGE" else None

    def call(self, where: str, ask: Callable[[Any], _T]) -> _T:
        """Ask something else of the client, with the same rules of trying again.

        Parameters
        ----------
        where
            What is asked, to begin messages with.
        ask
            Is handed the module ``ee``, connected.

        Raises
        ------
        Misconfigured, Transient, Exhausted
            See `list_assets`.
        """
        return self._call(where, partial(ask, self._ee()))

    def mask(self, asset_ids: Sequence[str], bands: Sequence[str]) -> Expression:
        """See `Expressions`."""
        return encoded(self._ee(), valid_band(self._ee(), laid_over(self._ee(), asset_ids, bands)))

    def mosaic(self, asset_ids: Sequence[str], bands: Sequence[str], dtype: str) -> Expression:
        """See `Expressions`."""
        image = laid_over(self._ee(), asset_ids, bands)
        whole = image.addBands(valid_band(self._ee(), image))
        return encoded(self._ee(), cast(whole, dtype))

    def _ee(self) -> Any:
        """Earth Engine's client, connected."""
        import ee  # noqa: PLC0415 - half a second and 30 MB that most processes never need

        with Client._lock:  # the connection is the process's: ee keeps it in a global
            mine = (self._credentials, self._url, self._project)
            if Client._connected != mine or not ee.data.is_initialized():
                self._call(f"Earth Engine at {self._url}", partial(self._start, ee))
                Client._connected = mine
        return ee

    def _start(self, ee: Any) -> None:
        """Connect: explicit credentials, no other host, no retries, no redirects, and an end to waiting."""
        import requests  # noqa: PLC0415 - comes with ee
        from ee import _state  # noqa: PLC0415

        _disconnect()
        ee.Reset()
        # It logs every refusal, tried again or not; what matters is in the error raised here.
        logging.getLogger("googleapiclient").setLevel(logging.CRITICAL)
        # Asks another host, by other means, without a timeout; only to warn of retired assets.
        ee.deprecation._FetchDataCatalogStac = dict  # noqa: SLF001
        state = _state.get_state()
        state.deadline_ms = int(self._deadline_s * 1000)  # setDeadline would connect once more
        state.requests_session = requests.Session()
        state.requests_session.max_redirects = 0
        ee.data.setMaxRetries(0)
        ee.Initialize(self._credentials, url=self._url, project=self._project)

    def _call(self, where: str, ask: Callable[[], _T]) -> _T:
        """Ask, and ask again where that may help."""
        for attempt in range(1, self._attempts + 1):
            try:
                return ask()
            except _client_errors() as error:
                judgement, retry_after = _judge(error)
                if judgement.verdict is not Verdict.RETRY or attempt == self._attempts:
                    tried = f" ({attempt} attempts)" if attempt > 1 else ""
                    raise _error(judgement, where + tried) from error
            pause = min(_LONGEST_PAUSE_S, self._backoff_s * 2.0 ** (attempt - 1))
            self._sleep(max(retry_after, pause * random.uniform(0.5, 1.0)))  # noqa: S311 - spreads requests
        raise AssertionError(where)


def _disconnect() -> None:
    from ee import _state  # noqa: PLC0415

    if (session := _state.get_state().requests_session) is not None:
        session.close()


def _error(judgement: Judgement, where: str) -> Exception:
    """The error to raise: an item that cannot be listed leaves nothing to do, so the config is wrong."""
    error = judgement.error(where)
    return _Refused(str(error)) if type(error) is Permanent else error


def _client_errors() -> tuple[type[Exception], ...]:
    """What the client raises: its own errors, those of the libraries below it, and of bodies it cannot read."""
    import ee  # noqa: PLC0415
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
    from googleapiclient.errors import Error  # noqa: PLC0415

    return (ee.EEException, GoogleAuthError, Error, OSError, ValueError)


def _judge(error: Exception) -> tuple[Judgement, float]:
    """What an error of the client means, and the seconds that the service asks to wait."""
    import requests  # noqa: PLC0415
    from google.auth.exceptions import GoogleAuthError, InvalidOperation  # noqa: PLC0415
    from googleapiclient.errors import HttpError, InvalidJsonError, UnknownApiNameOrVersion  # noqa: PLC0415

    http = error if isinstance(error, HttpError) else error.__context__
    if isinstance(http, HttpError):
        asked = str(http.resp.get("retry-after", ""))
        answer = judge_answer(int(http.resp.status), http.content, str(http.resp.get("content-type", "")))
        return answer, float(asked) if asked.isdigit() else 0.0
    if isinstance(error, InvalidOperation):  # what anonymous credentials say to a 401
        return judge_answer(401, b"the server wants credentials", ""), 0.0
    if isinstance(error, GoogleAuthError):
        # The first argument is the message, the second the whole answer.
        said = str(error.args[0]) if error.args else type(error).__name__
        return judge_refresh(said, retryable=error.retryable), 0.0
    if isinstance(error, requests.TooManyRedirects):
        return judge_answer(302, b"the server redirects", ""), 0.0
    if isinstance(error, UnknownApiNameOrVersion | InvalidJsonError):
        advice = "this is no Earth Engine server: check the url"
        return Judgement(Verdict.FATAL_RUN, "url", "it does not say which API it serves", advice), 0.0
    if isinstance(error, OSError):
        return judge_failure(_root(error)), 0.0
    return Judgement(Verdict.FATAL_ITEM, "answer", clean(str(error)) or type(error).__name__), 0.0


def _root(error: Exception) -> Exception:
    """The error that the libraries on the way wrapped in theirs."""
    inner = getattr(error, "reason", None) or (error.args[0] if error.args else None)
    return _root(inner) if isinstance(inner, Exception) else error

"""What an answer means: try again, ask for less, give up this item, or stop the run.

The tables are read from top to bottom, the first row that fits decides. The messages are those that Earth
Engine has been seen to send; where none fits, the status decides.
"""

import json
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import urllib3.exceptions as http

from pipeline.errors import Exhausted, Misconfigured, Permanent, SkytellerError, Transient

LONGEST_MESSAGE = 300


class TooLarge(Permanent):
    """More was asked for than one request gives; the parts may do."""


class BadBody(Exception):
    """An answer that arrived, but is not what was asked for. Asked for again."""


class Verdict(Enum):
    """What to do after a failed request."""

    RETRY = "retry"
    SPLIT = "split"
    FATAL_ITEM = "fatal for the item"
    FATAL_RUN = "fatal for the run"
    USED_UP = "quota used up"


ERRORS: dict[Verdict, type[SkytellerError]] = {
    Verdict.RETRY: Transient,
    Verdict.SPLIT: TooLarge,
    Verdict.FATAL_ITEM: Permanent,
    Verdict.FATAL_RUN: Misconfigured,
    Verdict.USED_UP: Exhausted,
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """A failed request, judged.

    Attributes
    ----------
    verdict
        What to do.
    kind
        A short name, as the statistics count it.
    message
        What happened, in the words of the service.
    advice
        What the user can do; may be empty.
    overload
        The service asks for fewer requests at a time.
    """

    verdict: Verdict
    kind: str
    message: str
    advice: str = ""
    overload: bool = False

    def error(self, where: str, after: str = "") -> SkytellerError:
        """The error to raise: where, what, after how much trying, and what to do."""
        advice = f"; {self.advice}" if self.advice else ""
        return ERRORS[self.verdict](f"{where}: {self.message}{after}{advice}")


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the table: `statuses` (None for all) and `pattern` (searched in the message) give the rest."""

    statuses: Sequence[int] | None
    pattern: str
    verdict: Verdict
    kind: str
    advice: str = ""
    overload: bool = False


RETRY, SPLIT, ITEM, RUN = Verdict.RETRY, Verdict.SPLIT, Verdict.FATAL_ITEM, Verdict.FATAL_RUN

RULES = (
    Rule(range(300, 400), "", RUN, "redirect", "redirects are never followed: correct the url"),
    Rule(
        (403, 429),
        r"quota.*\bper (day|month)\b|\b(daily|monthly)\b.*quota|quota.*\b(daily|monthly)\b|EECU.*quota",
        Verdict.USED_UP,
        "quota",
        "what was fetched is kept; run again when the quota is renewed, "
        "see https://developers.google.com/earth-engine/guides/usage",
    ),
    Rule((429,), "", RETRY, "429", "too many requests for the project's quota: lower runtime.requests", True),
    Rule(
        (403,),
        r"rate ?limit|quota exceeded|too many (concurrent )?requests|RESOURCE_EXHAUSTED",
        RETRY,
        "rate",
        "too many requests for the project's quota: lower runtime.requests",
        True,
    ),
    Rule((401,), "", RUN, "token", "the credentials are not accepted: log in again, or use another key"),
    Rule(
        (400, 403, 404),
        r"not registered",
        RUN,
        "unregistered",
        "register the project at https://code.earthengine.google.com/register",
    ),
    Rule(
        (403,),
        r"has not been used in project|API.* is disabled|SERVICE_DISABLED|accessNotConfigured",
        RUN,
        "api",
        "enable the API at https://console.cloud.google.com/apis/library/earthengine.googleapis.com",
    ),
    Rule(
        (403,),
        r"serviceusage|USER_PROJECT_DENIED|permission to use project",
        RUN,
        "project",
        "grant the account roles/serviceusage.serviceUsageConsumer on the project, or name another",
    ),
    Rule(
        (400, 403, 404),
        r"(?<![\w/-])project\b.*(not found|deleted|does not exist|invalid)|CONSUMER_INVALID",
        RUN,
        "project",
        "check the project id",
    ),
    Rule(
        (403,),
        r"SCOPE_INSUFFICIENT|insufficient authentication scopes",
        RUN,
        "scope",
        "log in again with the scope https://www.googleapis.com/auth/earthengine",
    ),
    Rule(
        (403, 404),
        r"\basset\b|earthengine\.assets",
        ITEM,
        "asset",
        "check the id of the collection, and that the account may read it",
    ),
    Rule(
        (403,),
        "",
        RUN,
        "permission",
        "grant the account roles/earthengine.viewer and roles/serviceusage.serviceUsageConsumer on the project",
    ),
    Rule((404,), r"^an HTML page", RUN, "url", "this is no Earth Engine server: check the url"),
    Rule((404,), "", ITEM, "missing", "check the id"),
    Rule(
        (400,),
        r"total request size|must be less than or equal to|too large|user memory limit|too many pixels",
        SPLIT,
        "size",
        "ask for fewer pixels at a time",
    ),
    Rule(
        (400,),
        r"timed out|capacity exceeded|too many concurrent|internal error|please try again",
        RETRY,
        "busy",
    ),
    Rule((400,), r"\bbands?\b", ITEM, "band", "check the bands of the collection"),
    Rule(
        (400,),
        r"not found|does not exist|not have access",
        ITEM,
        "asset",
        "check the id of the collection, and that the account may read it",
    ),
    Rule((408,), "", RETRY, "408"),
    Rule((501,), "", ITEM, "unsupported", "the server does not offer this"),
    Rule((503,), "", RETRY, "503", "the service is down or overloaded: run again later", True),
    Rule(range(500, 600), "", RETRY, "5xx"),
    Rule(None, "", ITEM, "refused"),
)

# What goes wrong on the way. The classes are urllib3's, the first that fits decides.
FAILURES: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Verdict, str, str], ...] = (
    (
        ssl.SSLCertVerificationError,
        RUN,
        "certificate",
        "the server's certificate cannot be verified: a proxy in between?",
    ),
    (http.NameResolutionError, RETRY, "connect", "the server's name is not known: is this machine online?"),
    (
        http.ConnectTimeoutError,  # NewConnectionError is one, too
        RETRY,
        "connect",
        "the server cannot be reached: is it running, and this machine online?",
    ),
    (http.ReadTimeoutError, RETRY, "timeout", ""),
    (TimeoutError, RETRY, "timeout", ""),
    (BadBody, RETRY, "body", ""),
    ((http.HTTPError, OSError), RETRY, "broken", ""),
)

# What the token endpoint says, https://datatracker.ietf.org/doc/html/rfc6749#section-5.2
TOKEN_RULES = (
    (
        r"short-lived token|reasonable timeframe|\biat\b|\bexp\b|used too early|clock",
        "clock",
        "this machine's clock is wrong: set it right, by NTP",
    ),
    (
        r"invalid_scope",
        "scope",
        "the credentials do not allow the scope https://www.googleapis.com/auth/earthengine",
    ),
    (
        r"account not found|account_not_found|invalid jwt signature|key.*(deleted|disabled)",
        "key",
        "the key or its account was deleted or disabled: make a new key",
    ),
    (
        r"expired or revoked|invalid_grant|reauth|invalid_client",
        "login",
        "log in again: `gcloud auth application-default login` or `earthengine authenticate`",
    ),
    ("", "token", "no token is to be had with these credentials"),
)

SECRETS = re.compile(
    r"(?i:bearer)\s+[\w.~+/=-]+|ya29\.[\w.~+/=-]+|1//[\w-]+|eyJ[\w-]+\.[\w-]+(\.[\w-]*)?|-----BEGIN.*?(-----END[^-]*-----|$)",
    re.DOTALL,
)


def judge_answer(status: int, body: bytes, content_type: str) -> Judgement:
    """What an answer other than 200 means.

    Parameters
    ----------
    status
        The HTTP status.
    body
        The answer's body or the beginning of it.
    content_type
        The answer's media type.
    """
    said = _said(body, content_type)
    for rule in RULES:
        if (rule.statuses is None or status in rule.statuses) and re.search(
            rule.pattern, said, re.IGNORECASE | re.DOTALL
        ):
            return Judgement(
                rule.verdict, rule.kind, f"{clean(said)} (HTTP {status})", rule.advice, rule.overload
            )
    raise AssertionError(status)


def judge_failure(error: Exception) -> Judgement:
    """What a request means that got no whole answer."""
    root = error.args[0] if isinstance(error, http.SSLError) and error.args else error
    for kinds, verdict, kind, advice in FAILURES:
        if isinstance(root, kinds) or isinstance(error, kinds):
            return Judgement(verdict, kind, clean(_of_urllib3(error)), advice)
    raise error


def judge_refresh(message: str, *, retryable: bool) -> Judgement:
    """What it means that there is no token.

    Parameters
    ----------
    message
        What the token endpoint said.
    retryable
        It may be there later.
    """
    if retryable:
        return Judgement(RETRY, "token", f"no token: {clean(message)}")
    for pattern, kind, advice in TOKEN_RULES:
        if re.search(pattern, message, re.IGNORECASE):
            return Judgement(RUN, kind, f"no token: {clean(message)}", advice)
    raise AssertionError(message)


def clean(text: str) -> str:
    """One printable line without secrets: servers may send anything, also what was sent to them."""
    line = " ".join("".join(c if c.isprintable() else " " for c in SECRETS.sub("(secret)", text)).split())
    return line if len(line) <= LONGEST_MESSAGE else line[: LONGEST_MESSAGE - 3] + "..."


def _said(body: bytes, content_type: str) -> str:
    """What the service says: message, status and reasons of Google's error object, or what else there is.

    https://google.aip.dev/193
    """
    text = body.decode("utf-8", "replace").strip()
    if "html" in content_type or text[:1] == "<":
        title = re.search(r"<(?:title|h1)[^>]*>(.*?)</", text, re.IGNORECASE | re.DOTALL)
        return "an HTML page" + (f" '{title[1].strip()}'" if title else "")
    try:
        error = json.loads(text)["error"]
        reasons = [d.get("reason") for d in [*error.get("details", []), *error.get("errors", [])]]
        words = [error.get("message"), error.get("status"), *reasons]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return text or "no message"
    return " ".join(dict.fromkeys(word for word in words if isinstance(word, str))) or "no message"


def _of_urllib3(error: Exception) -> str:
    """The message of an error without the objects that urllib3 prefixes."""
    message = re.sub(r"^(\('|\()?<?[\w.]*(HTTPS?Connection(Pool)?)\([^)]*\)>?:\s*", "", str(error))
    return message or type(error).__name__

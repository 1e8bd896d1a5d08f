"""The ``openai`` engine: a model behind one or many OpenAI-compatible servers, such as those of ``vllm serve``.

Requests and probes run on an event loop of the writer's own, which turns while the writer waits for answers; so there
are no threads and no locks. A server that fails is left alone until a probe finds it healthy again, and what it was
asked goes to the others.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import BaseModel, Field, ValidationError

from pipeline.annotators import OpenaiAnnotator
from pipeline.captions.endpoints import Endpoint, Endpoints
from pipeline.captions.prompting import OUTPUT_SCHEMA, Message, fitting, parse_output
from pipeline.captions.prompts import load_prompt
from pipeline.captions.trouble import Failure, Trouble, trouble_of
from pipeline.captions.writer import Assignment, Draft
from pipeline.errors import Misconfigured
from pipeline.ids import canonical
from pipeline.types import Reason

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_MOST_FAILURES = 8
"""Requests for one text that may fail while others are answered, before the text counts as the cause."""

LETTERS_PER_TOKEN = 4.0
"""Of English text, about. Where a prompt has more tokens than this says, the server refuses it as too long."""

_TURN_TOKENS = 8
_SHORTER = 0.8

_Answer: TypeAlias = tuple[Assignment, Draft | Reason]


@contextmanager
def open_openai(annotator: OpenaiAnnotator) -> Iterator["OpenaiWriter"]:
    """A writer on the servers of a config; at least one of them must be healthy.

    Raises
    ------
    Misconfigured
        A server refuses the key or does not serve the model, or a key would reach another host or travel unencrypted.
    Transient
        No server is healthy within the config's patience.
    """
    writer = OpenaiWriter(annotator)
    try:
        writer.start()
        yield writer
    finally:
        writer.close()


def examine(annotator: OpenaiAnnotator) -> list[tuple[str, str | None]]:
    """Look at all servers once: each with what is wrong with it, or None.

    Raises
    ------
    Misconfigured
        See `open_openai`.
    """
    writer = OpenaiWriter(annotator)
    try:
        return writer.look()
    finally:
        writer.close()


class OpenaiWriter:
    """See `pipeline.captions.writer.Writer`; use `open_openai`."""

    def __init__(self, annotator: OpenaiAnnotator) -> None:
        self._config = annotator
        self._endpoints = Endpoints(annotator)
        self._loop = asyncio.new_event_loop()

    @property
    def annotator(self) -> str:
        """The model's name."""
        return self._config.model

    @property
    def revision(self) -> str:
        """The model's revision, as the config states it."""
        return self._config.revision

    @property
    def sampling(self) -> str:
        """Sampling parameters as canonical JSON."""
        decoding = self._config.decoding.model_dump(mode="json")
        return canonical({**decoding, "structured": self._config.structured}).decode()

    def start(self) -> None:
        """Find a healthy server."""
        self._loop.run_until_complete(self._endpoints.wait_for_one())

    def look(self) -> list[tuple[str, str | None]]:
        """Look at all servers once."""
        return self._loop.run_until_complete(self._endpoints.look())

    def close(self) -> None:
        """Close all connections."""
        self._loop.run_until_complete(self._endpoints.close())
        self._loop.close()

    def write(self, assignments: Iterable[Assignment]) -> Iterator[_Answer]:
        """See `pipeline.captions.writer.Writer`."""
        coming = iter(assignments)
        answers: asyncio.Queue[_Answer | BaseException] = asyncio.Queue()
        asking: set[asyncio.Task[None]] = set()

        def ended(task: asyncio.Task[None]) -> None:
            asking.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                answers.put_nowait(error)

        self._endpoints.begin()
        probing = self._loop.create_task(self._endpoints.keep_probing())
        probing.add_done_callback(ended)
        waiting = 0
        try:
            while True:
                while waiting < self._endpoints.capacity and (assignment := next(coming, None)) is not None:
                    waiting += 1
                    task = self._loop.create_task(self._answer(assignment, answers))
                    asking.add(task)
                    task.add_done_callback(ended)
                if not waiting:
                    return
                answer = self._loop.run_until_complete(answers.get())
                if isinstance(answer, BaseException):
                    raise answer
                waiting -= 1
                yield answer
        finally:
            left = [probing, *asking]
            for task in left:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))

    async def _answer(
        self, assignment: Assignment, answers: "asyncio.Queue[_Answer | BaseException]"
    ) -> None:
        answers.put_nowait((assignment, await self._ask(assignment)))

    async def _ask(self, assignment: Assignment) -> Draft | Reason:
        """Ask until some server answers."""
        prompt = load_prompt(assignment.prompt)
        room = self._config.context_tokens - self._config.decoding.max_tokens
        messages = fitting(assignment, prompt, _estimate, room)
        failed_at: list[Endpoint] = []
        failures, answers = 0, self._endpoints.answers
        while failures < _MOST_FAILURES:
            endpoint = await self._endpoints.take(failed_at)
            try:
                with self._endpoints.use(endpoint) as client:
                    completion = await self._complete(client, assignment, messages)
            except Trouble as trouble:
                if trouble.failure is Failure.TOO_LONG:
                    room = int(min(room, _estimate(messages)) * _SHORTER)
                    messages = fitting(assignment, prompt, _estimate, room)
                elif trouble.failure is Failure.REFUSED:
                    if self._endpoints.answers:
                        return Reason.NO_ANSWER
                    raise Misconfigured(f"captions: {endpoint.url}: {trouble}") from trouble
                elif trouble.failure is Failure.SHUT and not self._endpoints.answers:
                    raise Misconfigured(f"captions: {endpoint.url}: {trouble}") from trouble
                elif trouble.failure is not Failure.BUSY:
                    failed_at.append(endpoint)
                    if self._endpoints.answers > answers:  # others are answered meanwhile: it may be the text
                        failures, answers = failures + 1, self._endpoints.answers
                self._endpoints.check()
            else:
                return self._draft(completion, endpoint)
        return Reason.NO_ANSWER

    async def _complete(
        self, client: "AsyncOpenAI", assignment: Assignment, messages: Sequence[Message]
    ) -> "_Completion":
        """One request."""
        from openai import APIError  # noqa: PLC0415 - takes a second, and few builds need it

        decoding = self._config.decoding
        more: dict[str, Any] = {}
        if decoding.top_k is not None:
            more["extra_body"] = {"top_k": decoding.top_k}
        if self._config.structured:
            schema = {"name": "caption", "schema": dict(OUTPUT_SCHEMA), "strict": True}
            more["response_format"] = {"type": "json_schema", "json_schema": schema}
        turns: Any = [{"role": message.role, "content": message.content} for message in messages]
        try:
            answer = await client.chat.completions.with_raw_response.create(
                model=self._config.model,
                messages=turns,
                temperature=decoding.temperature,
                top_p=decoding.top_p,
                max_tokens=decoding.max_tokens,
                seed=assignment.seed,
                **more,
            )
        except APIError as error:
            raise trouble_of(error) from error
        try:
            return _Completion.model_validate_json(answer.text)
        except ValidationError as error:
            raise Trouble(Failure.FAULT, "answers with something else than a completion") from error

    def _draft(self, completion: "_Completion", endpoint: Endpoint) -> Draft | Reason:
        if completion.model is not None and completion.model != self._config.model:
            msg = f"captions: {endpoint.url} answered as {completion.model}, not as {self._config.model}"
            raise Misconfigured(msg)
        choice = completion.choices[0]
        if choice.finish_reason == "length":
            return Reason.TOO_LONG
        parsed = parse_output(choice.message.content or "")
        if isinstance(parsed, Reason):
            return parsed
        usage = completion.usage or _Usage()
        return Draft(*parsed, usage.prompt_tokens, usage.completion_tokens)


class _Message(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Completion(BaseModel):
    """What is read of an answer."""

    choices: list[_Choice] = Field(min_length=1)
    model: str | None = None
    usage: _Usage | None = None


def _estimate(messages: Sequence[Message]) -> int:
    """Tokens of a conversation, about."""
    return sum(_TURN_TOKENS + round(len(message.content) / LETTERS_PER_TOKEN) for message in messages)

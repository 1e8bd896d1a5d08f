"""From an assignment to the messages that a language model reads, and from its answer to a text."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from jinja2 import Template

from pipeline.captions.clean import CAPTION_LIMIT, clean
from pipeline.captions.factline import fact_lines, meters, noun_of
from pipeline.captions.prompts import LLM, Prompt, environment, load_prompt, prompt_names, sections_of
from pipeline.captions.writer import Assignment
from pipeline.errors import Misconfigured
from pipeline.evidence import Fact, Task
from pipeline.ids import Json, rank
from pipeline.types import Reason

OUTPUT_SCHEMA: Mapping[str, Json] = {
    "type": "object",
    "properties": {
        "caption": {"type": "string"},
        "uses": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["caption", "uses"],
    "additionalProperties": False,
}
"""JSON schema of an answer. Only what every structured-output backend knows: no patterns, no lengths."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    Attributes
    ----------
    role
        Who speaks.
    content
        What is said.
    """

    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class _Skeleton:
    """What all requests of a prompt share: the turns before the request, and the request's template."""

    turns: tuple[Message, ...]
    request: Template


@cache
def prompts_of(task: Task) -> tuple[str, ...]:
    """Names of the prompts of a task that are written for language models, sorted."""
    prompts = map(load_prompt, prompt_names())
    return tuple(prompt.name for prompt in prompts if prompt.engine == LLM and prompt.task is Task(task))


def choose_prompt(task: Task, seed: int) -> str:
    """Draw one of the prompts of a task; the same seed draws the same."""
    names = prompts_of(task)
    return names[int(rank(seed, "prompt", int(task)) * len(names))]


def messages_of(assignment: Assignment, prompt: Prompt, facts: Sequence[Fact]) -> tuple[Message, ...]:
    """What the model reads: rules and examples, which never change, and the request, which is last.

    There is no system message: the chat templates of Gemma 2 and of some Mistral models refuse one. The rules open
    the first turn instead, and each example is a request with its answer.

    Parameters
    ----------
    assignment
        The text to be written.
    prompt
        The prompt of the assignment, for language models.
    facts
        The facts that the model may use, by rank; usually all of ``assignment.evidence``.

    Raises
    ------
    Misconfigured
        The prompt is for another task or engine, or the assignment lacks what the prompt asks for.
    """
    where = f"prompts/{prompt.name}.md"
    if prompt.engine != LLM or prompt.task != assignment.task:
        raise Misconfigured(
            f"{where}: is for task {int(prompt.task)} of engine {prompt.engine}; "
            f"task {int(assignment.task)} of a language model needs one of: "
            f"{', '.join(prompts_of(assignment.task))}"
        )
    skeleton = _skeleton(prompt)
    focus = [fact for fact in facts if fact.id in assignment.focus]
    if "focus" in prompt.parameters and not focus:
        raise Misconfigured(f"{where}: asks for `focus`, but patch {assignment.patch} has no main fact here")
    if "original" in prompt.parameters and not assignment.original:
        raise Misconfigured(
            f"{where}: asks for `original`, but patch {assignment.patch} has no text to reword"
        )
    request = _request(
        skeleton.request, prompt, facts, focus, assignment.evidence.side_m, assignment.original
    )
    return (*skeleton.turns, Message("user", request))


def fitting(
    assignment: Assignment,
    prompt: Prompt,
    count: Callable[[Sequence[Message]], int],
    limit: int,
) -> tuple[Message, ...]:
    """The messages of an assignment with as many facts as fit.

    The facts of the lowest rank are left out first, those of the focus never; without a focus, the first fact stays.

    Parameters
    ----------
    assignment
        The text to be written.
    prompt
        The prompt of the assignment.
    count
        Tokens of a conversation in the model's own tokens. Called once where all facts fit, else some
        log2(facts) + 2 times.
    limit
        Largest number of tokens: the model's context less the room for its answer.

    Raises
    ------
    Misconfigured
        Not even the shortest prompt fits, or see `messages_of`.
    """
    facts = assignment.evidence.facts
    messages = messages_of(assignment, prompt, facts)
    if (size := count(messages)) <= limit:
        return messages
    kept = set(assignment.focus) or {fact.id for fact in facts[:1]}
    others = [fact.id for fact in facts if fact.id not in kept] if "facts" in prompt.parameters else []

    def with_others(n: int) -> tuple[Message, ...]:
        chosen = kept | set(others[:n])
        return messages_of(assignment, prompt, [fact for fact in facts if fact.id in chosen])

    if others:
        messages = with_others(0)
        size = count(messages)
    if size > limit:
        raise Misconfigured(
            f"prompts/{prompt.name}.md: takes {size} tokens with no more than the main fact, and the model leaves "
            f"{limit} for it; raise `context_tokens` or lower `max_tokens`"
        )
    fits, too_many = 0, len(others)
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        candidate = with_others(middle)
        if count(candidate) <= limit:
            fits, messages = middle, candidate
        else:
            too_many = middle
    return messages


def parse_output(text: str) -> tuple[str, tuple[str, ...]] | Reason:
    """The caption in a model's answer, and the ids of the facts that it says it used.

    An answer that begins like JSON must be of `OUTPUT_SCHEMA`, as it is or in a code fence; any other answer, as a
    model without structured output may give, is the caption itself.

    Parameters
    ----------
    text
        The answer.

    Returns
    -------
    Caption and ids, each once, in the order given; or why there is none.
    """
    text = text.strip()
    if not text:
        return Reason.NO_ANSWER
    body = _unfenced(text)
    if not body.startswith(("{", "[")):
        return (text, ()) if _is_text(text) else Reason.NOT_STRUCTURED
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):  # the latter: brackets in brackets, thousands deep
        return Reason.NOT_STRUCTURED
    if not isinstance(value, dict) or set(value) != {"caption", "uses"}:
        return Reason.NOT_STRUCTURED
    caption, uses = value["caption"], value["uses"]
    if (
        not isinstance(caption, str)
        or not isinstance(uses, list)
        or not all(isinstance(x, str) for x in uses)
    ):
        return Reason.NOT_STRUCTURED
    if not all(map(_is_text, (caption, *uses))):
        return Reason.NOT_STRUCTURED
    caption = caption.strip()
    return (caption, tuple(dict.fromkeys(uses))) if caption else Reason.NO_ANSWER


@cache
def _skeleton(prompt: Prompt) -> _Skeleton:
    sections = sections_of(prompt.body)
    request = environment().from_string(sections["request"])
    turns: list[Message] = []
    for example in prompt.examples:
        facts = example.evidence.facts
        focus = [fact for fact in facts if fact.id in example.focus]
        asked = _request(request, prompt, facts, focus, example.evidence.side_m, example.original)
        answer = json.dumps({"caption": example.caption, "uses": list(example.uses)}, ensure_ascii=False)
        turns += [Message("user", asked), Message("assistant", answer)]
    rules = environment().from_string(sections["rules"]).render()
    turns[0] = Message("user", f"{rules}\n\n{turns[0].content}")
    return _Skeleton(tuple(turns), request)


def _request(
    template: Template,
    prompt: Prompt,
    facts: Sequence[Fact],
    focus: Sequence[Fact],
    side_m: float,
    original: str,
) -> str:
    original = clean(original, CAPTION_LIMIT)
    values: dict[str, str | int] = {
        "focus": ", ".join(f"{clean(fact.id, 8)} ({noun_of(fact)})" for fact in focus),
        "side": meters(side_m),
        "words": _most_words(prompt.task, len(facts), original),
        "original": original,
    }
    if "facts" in prompt.parameters:
        values["facts"] = fact_lines(facts, side_m)
    return template.render({name: values[name] for name in prompt.parameters})


def _most_words(task: Task, facts: int, original: str) -> int:
    """Largest number of words to ask for: with few facts a long text would have to invent.

    Some 12 words a fact, as in the examples; a text in other words may be a fifth longer than the original.
    """
    if original:
        return _up_to_five(1.2 * len(original.split()))
    return min(_up_to_five(20 + 12 * facts), 80 if task is Task.SCENE else 60)


def _up_to_five(number: float) -> int:
    return 5 * math.ceil(number / 5)


def _is_text(text: str) -> bool:
    """Whether a text can be written as UTF-8: JSON can spell half a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unfenced(text: str) -> str:
    """What is inside a Markdown code fence, where a text is nothing but one."""
    if not text.startswith("```") or not text.endswith("```"):
        return text
    return text[3:-3].removeprefix("json").strip()

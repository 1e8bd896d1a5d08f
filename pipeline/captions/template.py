"""The template engine: captions from facts and the sentence patterns in ``prompts/template-*.md``."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial
from itertools import pairwise

from jinja2 import Template

from pipeline import __version__
from pipeline.captions.draw import Draw
from pipeline.captions.echo import Echo, Original
from pipeline.captions.english import lengths
from pipeline.captions.link import Link
from pipeline.captions.mention import Mention
from pipeline.captions.others import Others, Speak, are, listed, listed_first
from pipeline.captions.prompts import Prompt, environment, load_prompt
from pipeline.captions.writer import Assignment, Draft
from pipeline.errors import Misconfigured
from pipeline.evidence import Evidence, Fact, Task
from pipeline.ids import digest
from pipeline.types import Reason

ANNOTATOR = "skyteller-template"
PROMPTS: Mapping[Task, str] = {
    Task.AREA: "template-area",
    Task.NON_AREA: "template-non-area",
    Task.SCENE: "template-scene",
    Task.REVISION: "template-revision",
    Task.TITLE: "template-title",
}
"""Prompt file of each task."""

_FEW_WORDS, _ENOUGH_WORDS, _MOST_WORDS = 20, (24, 42), 58
"""Below the first a text is filled up with the scale of the image; it ends after a number of words drawn from the
second range; no sentence makes it longer than the third."""

_MOST_SENTENCES = 4
_LEADS = (0.5, 0.8, 1.0)
"""A scene begins with the fact of first, second or third rank; cumulative."""

_AGAIN = {Task.REVISION: (8, 32), Task.TITLE: (0, 0)}
"""The range for texts in other words."""

_LONG = 16
"""A sentence of so many words does not go on."""

_TAIL = 0.4
"""How often a sentence goes on about one more thing."""

_SAME_WORD = 2
"""A word that stands in a text so many times is not used again."""

_TRIES, _UNLIKE, _SHORTEST = 8, 0.5, 8
"""Of so many texts in other words the first is taken that has at most this share of its pairs of words in common
with its original and at least so many words; else the one least like it."""

_CLOSED = re.compile(
    r"^(?:In|At|On|Toward|Along|Across|Down|Through|Near|Inside|Within|Next|Right|Beside|Between|Adjacent|Alongside|"
    r"Spread|Scattered|Clustered|From) | and | from the "
)
"""A sentence that does not go on: what comes after a place or a course that is said first would be there as well."""

_CONNECTING = frozenset(
    [
        "about",
        "across",
        "along",
        "another",
        "around",
        "center",
        "edge",
        "edges",
        "image",
        "inside",
        "middle",
        "other",
        "right",
        "scene",
        "picture",
        "there",
        "these",
        "three",
        "through",
        "within",
        "between",
        "beyond",
        "toward",
        "where",
        "which",
        "while",
        "upper",
        "lower",
    ]
)
"""Words of five letters and more that no reader counts."""


class TemplateWriter:
    """Writes texts from sentence patterns; a `pipeline.captions.writer.Writer`."""

    annotator = ANNOTATOR
    revision = __version__
    sampling = "{}"

    def write(self, assignments: Iterable[Assignment]) -> Iterator[tuple[Assignment, Draft | Reason]]:
        """Write texts, one after the other."""
        for assignment in assignments:
            yield assignment, self._draft(assignment)

    def _draft(self, assignment: Assignment) -> Draft | Reason:
        if assignment.task in (Task.REVISION, Task.TITLE):
            return _restated(assignment)
        evidence, draw = assignment.evidence, Draw(assignment.seed)
        if not evidence.facts:
            return Reason.NO_CAPTION
        speak = partial(_mention, evidence.side_m, draw)
        text = _Text(assignment.task, evidence, _lead(assignment, draw), draw, speak)
        return text.written()


def titles_of(patch: str, evidence: Evidence, focus: tuple[str, ...]) -> tuple[str, str]:
    """SkyScript's pair: a noun phrase about the main thing, and the same with what is around it.

    Parameters
    ----------
    patch
        Id of the patch; it decides every choice.
    evidence
        What is known about it.
    focus
        Ids of the main facts; the first is spoken of.
    """
    draw = Draw(int(digest([patch, "title"])[:12], 16))
    (main,) = [fact for fact in evidence.facts if fact.id == focus[0]]
    others = Others(evidence.facts, main, draw, partial(_mention, evidence.side_m, draw))
    f = others.named[main.id]
    place = f.running if f.line else f.where
    if place.endswith(" part"):
        place = f"{place} of the image"
    title = f"{f.a} {place}" if place else f"{f.a} covering {f.share} the image"
    return title, f"{title}, with {listed(others.take(3))}" if others.left else title


def _mention(side_m: float, draw: Draw, fact: Fact, before: Iterable[Fact]) -> Mention:
    return Mention(fact, side_m, draw, tuple(before))


def _lead(assignment: Assignment, draw: Draw) -> Fact:
    """What the text speaks of first."""
    facts = assignment.evidence.facts
    if assignment.focus:
        return next(fact for fact in facts if fact.id == assignment.focus[0])
    number = draw.number()
    return facts[min(sum(number >= limit for limit in _LEADS), len(facts) - 1)]


def _restated(assignment: Assignment) -> Draft | Reason:
    """A text in other words, the least like its original of a few."""
    evidence = assignment.evidence
    original = Original(assignment.original, evidence.facts)
    if not original.facts:
        return Reason.NO_CAPTION
    lead = next((fact for fact in original.facts if fact.id in assignment.focus), original.facts[0])
    told = Evidence(original.facts, evidence.side_m)
    best, least = Draft("", ()), 2.0
    for number in range(_TRIES):
        draw = Draw(int(digest([assignment.seed, number])[:12], 16))

        def speak(fact: Fact, _before: Iterable[Fact], draw: Draw = draw) -> Mention:
            return Echo(fact, evidence.side_m, draw, original.about(fact))

        draft = _Text(assignment.task, told, lead, draw, speak).written()
        likeness = _likeness(draft.text, assignment.original)
        if likeness < least:
            best, least = draft, likeness
        if least <= _UNLIKE:
            break
    return best


def _likeness(text: str, original: str) -> float:
    """Share of the pairs of words that two texts have in common (Dice's coefficient); above 1 for a text of a few words."""
    ours, theirs = (Counter(pairwise(words)) for words in (_words(text), _words(original)))
    if len(text.split()) < _SHORTEST:
        return 1.0 + 1.0 / len(text.split())
    return 2 * (ours & theirs).total() / max(1, ours.total() + theirs.total())


def _words(text: str) -> list[str]:
    return re.findall(r"[\w-]+", text.lower())


class _Text:
    """A text that grows sentence by sentence."""

    def __init__(self, task: Task, evidence: Evidence, lead: Fact, draw: Draw, speak: Speak) -> None:
        self._name = PROMPTS[task]
        self._sections = _sections(load_prompt(self._name))
        self._draw = draw
        self._others = Others(evidence.facts, lead, draw, speak)
        self._lead = self._others.named[lead.id]
        self._side_m = evidence.side_m
        self._text = ""
        self._count = 0
        self._used: set[str] = set()
        self._values = {
            "f": self._lead,
            "others": self._others,
            "side": lengths(evidence.side_m)[0].removeprefix("about "),
            "pick": draw.pick,
            "chance": draw.chance,
            "listed": listed,
            "listed_first": listed_first,
            "are": are,
        }
        self._enough = _AGAIN.get(task, _ENOUGH_WORDS)

    def written(self) -> Draft:
        """The whole text."""
        kind = str(self._lead.fact.kind)
        if not self._say(kind) and not self._say(kind, strict=False):
            raise Misconfigured(f"prompts/{self._name}.md: no pattern suits {self._lead.fact}")
        low, high = self._enough
        enough = low + self._draw.number() * (high - low)
        while self._others.left and len(self._text.split()) < enough and self._count < _MOST_SENTENCES:
            state = self._others.state
            if not self._next():
                self._others.back(state)
                self._others.drop()
        if len(self._text.split()) < _FEW_WORDS and "scale" in self._sections:
            self._say("scale", strict=False)
        return Draft(self._draw.reword(self._text), tuple(self._others.named))

    def _next(self) -> bool:
        """One more sentence."""
        state = self._others.state
        link = self._others.link()
        if link and self._say("turned" if link.turned else "linked", l=link, g=link.new):
            self._go_on()
            return True
        self._others.back(state)
        if self._others.left > 1 and self._draw.chance(0.2) and self._say("listed"):
            return True
        (mention,) = self._others.take(1)
        if not self._say("placed", g=mention):
            return False
        self._go_on()
        return True

    def _go_on(self) -> None:
        """Now and then, one more thing in the same sentence."""
        last = self._text.rpartition(". ")[2]
        full = len(last.split()) >= _LONG or _CLOSED.search(last)
        if full or not self._others.left or not self._draw.chance(_TAIL):
            return
        text, count = self._text, self._count
        self._text = text.removesuffix(".")
        (mention,) = self._others.take(1)
        if self._say("tail", g=mention):
            self._count = count
        else:
            self._text = text

    def _say(self, section: str, *, strict: bool = True, **values: Mention | Link) -> bool:
        """Add a sentence by one of the patterns of a section that suit; the first that repeats no word too often."""
        state = self._others.state
        patterns = self._draw.shuffled(self._sections[section])
        for pattern in sorted(patterns, key=self._used.__contains__):
            sentence = " ".join(_compiled(pattern).render(self._values, before=self._text, **values).split())
            if sentence and (not strict or self._bears(sentence)):
                self._text = _tidy(f"{self._text} {sentence}")
                self._count += sentence.count(". ") + 1
                self._used.add(pattern)
                return True
            self._others.back(state)
        return False

    def _bears(self, sentence: str) -> bool:
        """Whether the text may go on so: not too long, no word too often, no two sentences that begin alike."""
        text = f"{self._text} {sentence}"
        openings = [_opening(said) for said in text.split(". ")]
        if len(set(openings)) < len(openings):
            return False
        words = Counter(
            word.rstrip("s") for word in _words(text) if len(word) > 4 and word not in _CONNECTING
        )
        new = {word.rstrip("s") for word in _words(sentence)}
        return len(text.split()) <= _MOST_WORDS and all(words[word] <= _SAME_WORD for word in new)


def _opening(sentence: str) -> str:
    """The first words of a sentence; There is and There are count as one."""
    first, _, rest = sentence.strip().lower().partition(" ")
    return first if first == "there" else f"{first} {rest.partition(' ')[0]}"


def _tidy(text: str) -> str:
    """Close gaps before punctuation and begin every sentence with a capital."""
    text = re.sub(r"[,\s]+([,.])", r"\1", text)
    return re.sub(r"(?:^|(?<=\. ))[a-z]", lambda letter: letter[0].upper(), text.strip())


@cache
def _sections(prompt: Prompt) -> dict[str, tuple[str, ...]]:
    """Patterns by section: ``## name`` begins a section, empty lines separate its patterns."""
    _, *parts = re.split(r"^## +(\w+) *$", prompt.body, flags=re.MULTILINE)
    return {
        name: tuple(pattern for pattern in re.split(r"\n\s*\n", text.strip()) if pattern)
        for name, text in zip(parts[::2], parts[1::2], strict=True)
    }


@cache
def _compiled(pattern: str) -> Template:
    return environment().from_string(pattern)

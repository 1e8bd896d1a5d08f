"""The review of a text: everything that is wrong with it, and how many of its claims the facts bear out."""

from dataclasses import dataclass

from pipeline.captions.checks.bearing import unfounded
from pipeline.captions.checks.claims import Reading
from pipeline.captions.checks.form import form_faults, unreadable
from pipeline.captions.checks.items import items_of
from pipeline.captions.checks.lexicon import Lexicon, lexicon
from pipeline.captions.checks.names import name_faults
from pipeline.captions.checks.reader import Reader
from pipeline.captions.checks.revisions import additions, closeness, too_close
from pipeline.captions.checks.scene import Scene, scene_of
from pipeline.captions.checks.words import Words, words_of
from pipeline.evidence import Evidence, Task
from pipeline.types import Reason


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with a text, and the words that say it."""

    reason: Reason
    said: str


@dataclass(frozen=True, slots=True)
class Review:
    """What came of a check.

    Attributes
    ----------
    findings
        What is wrong, form first; empty for a text that may be kept.
    claims, supported
        Claims about visible things in the text, and those that the facts bear out.
    """

    findings: tuple[Finding, ...]
    claims: int
    supported: int

    @property
    def ok(self) -> bool:
        """Whether the text may be kept."""
        return not self.findings


def review(
    text: str, evidence: Evidence, *, task: Task, focus: tuple[str, ...] = (), original: str = ""
) -> Review:
    """Check a text against the facts.

    Parameters
    ----------
    text
        The caption or title.
    evidence
        What is known about the patch.
    task
        What the text is about; decides its length.
    focus
        Ids of facts that it must speak of.
    original
        The text of which it is a revision; empty for others.
    """
    if fault := unreadable(text):
        return Review((Finding(*fault),), 0, 0)
    tables = lexicon()
    words = words_of(text)
    if task is Task.TITLE:
        words = in_sentence_case(words)
    scene = scene_of(evidence)
    findings = [Finding(reason, said) for reason, said in form_faults(text, words, task)]
    findings += [Finding(Reason.NAME, said) for said in name_faults(text, words, evidence.names, scene.fine)]
    reading = Reader().read(items_of(words, tables, scene.own, scene.nouns))
    findings += [Finding(reason, said) for reason, said in reading.faults]
    things, wrong_things = _check_things(reading, scene)
    wrong_claims = [Finding(*fault) for fault in unfounded(reading.claims, scene)]
    findings += wrong_things
    findings += wrong_claims
    findings += _check_scene(reading, scene)
    spoken = {fact.id for mention in reading.mentions if not mention.negated for fact in mention.candidates}
    if not spoken:
        findings.append(Finding(Reason.MAIN_ELEMENT_MISSING, "names nothing that is there"))
    for id_ in focus:
        if id_ not in spoken:
            findings.append(Finding(Reason.MAIN_ELEMENT_MISSING, id_))
    if original:
        findings += _check_revision(words, reading, original, scene, tables, task)
    claims = things + len(reading.claims)
    return Review(tuple(findings), claims, claims - len(wrong_things) - len(wrong_claims))


def _check_things(reading: Reading, scene: Scene) -> tuple[int, list[Finding]]:
    wrong = []
    for mention in reading.mentions:
        scene.find(mention)
        if mention.negated:
            if mention.candidates:
                wrong.append(Finding(Reason.WRONG_NEGATION, mention.said))
        elif not mention.candidates and not mention.excused and not scene.generic(mention):
            wrong.append(Finding(Reason.UNSUPPORTED_THING, mention.said))
    return len(reading.mentions), wrong


def _check_scene(reading: Reading, scene: Scene) -> list[Finding]:
    wrong = [
        Finding(Reason.UNSUPPORTED_THING, said)
        for said, nouns in reading.scene
        if not any(scene.holds(noun) for noun in nouns)
    ]
    for unit, low, high in reading.extent_m:
        if unit != "m" or not low <= scene.side_m <= high:
            wrong.append(Finding(Reason.WRONG_NUMBER, f"{low:.0f} to {high:.0f} {unit}"))
    return wrong


def _check_revision(
    words: Words, reading: Reading, original: str, scene: Scene, tables: Lexicon, task: Task
) -> list[Finding]:
    original_words = words_of(original)
    findings = []
    if too_close(words, original_words, task):
        findings.append(Finding(Reason.TOO_CLOSE_TO_ORIGINAL, f"{closeness(words, original_words):.2f}"))
    before = scene.readings.get(original)
    if before is None:
        before = Reader().read(items_of(original_words, tables, scene.own, scene.nouns))
        for mention in before.mentions:
            scene.find(mention)
        scene.readings[original] = before
    if task is Task.TITLE:  # what it adds is true: the facts bear it out
        return findings
    return findings + [
        Finding(Reason.ADDS_TO_ORIGINAL, said) for said in additions(reading, before, original_words, tables)
    ]


def in_sentence_case(words: Words) -> Words:
    """A title in title case, with small letters; the words must then speak for themselves."""
    capitals = [w[0].isupper() for w in words.said if len(w) > 3 and w[0].isalpha()]
    if len(capitals) > 2 and sum(capitals) >= 0.8 * len(capitals):
        return Words(words.plain, words.plain)
    return words

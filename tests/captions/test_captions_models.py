"""What a caption model is; the engine vllm where vLLM is not installed."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from pipeline.annotators import VllmAnnotator
from pipeline.captions.models import identity_of
from pipeline.captions.vllm import open_vllm
from pipeline.errors import Misconfigured


def model(folder: Path) -> Path:
    (folder / "deep").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "deep" / "weights").write_bytes(b"12")
    return folder


def test_a_hub_model_is_its_commit() -> None:
    assert identity_of("owner/name", "a" * 40, Path("/nowhere")) == "a" * 40


def test_a_folder_is_its_files_wherever_it_lies(tmp_path: Path) -> None:
    one, two = model(tmp_path / "one"), model(tmp_path / "else" / "two")
    (two / ".cache").mkdir()
    (two / ".cache" / "lock").touch()
    (tmp_path / "link").symlink_to(one)
    identity = identity_of("./one", None, tmp_path)
    assert identity == identity_of(str(two), None, tmp_path) == identity_of("link", None, tmp_path)
    (two / "deep" / "weights").write_bytes(b"13")
    assert identity_of(str(two), None, tmp_path) != identity
    (one / "deep" / "weights").rename(one / "deep" / "heights")
    assert identity_of("./one", None, tmp_path) != identity


@pytest.mark.parametrize(("name", "message"), [("./none", "is no folder"), (".", "no config.json")])
def test_what_is_no_model(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(Misconfigured, match=message):
        identity_of(name, None, tmp_path)


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed here")
def test_without_vllm_the_message_says_how_to_install_it(tmp_path: Path) -> None:
    annotator = VllmAnnotator.model_validate({"type": "vllm", "model": str(model(tmp_path / "m"))})
    with (
        pytest.raises(Misconfigured, match=r"pip install 'skyteller\[vllm\]'"),
        open_vllm(annotator, tmp_path),
    ):
        pass

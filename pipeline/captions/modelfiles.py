"""The small files of a model, of a folder or of the hub, and how much its weights weigh. Loads nothing."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.annotators import VllmAnnotator
from pipeline.captions.models import folder_of
from pipeline.errors import Misconfigured, Transient

CONFIG = "config.json"
_INDEX = "model.safetensors.index.json"
_WEIGHTS = ("model*.safetensors", "*.safetensors", "*.bin", "*.pt", "*.gguf")
"""Names of weights, the first kind that is there counts: some models come in several."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Files of one model.

    Attributes
    ----------
    model
        Its name, for messages.
    revision
        Commit of a hub model.
    folder
        Folder of a local model, None for one of the hub.
    """

    model: str
    revision: str | None
    folder: Path | None

    @classmethod
    def of(cls, annotator: VllmAnnotator, base: Path) -> "ModelFiles":
        """The files of an annotator's model. Raises Misconfigured where a folder is no model."""
        folder = folder_of(annotator.model, base) if annotator.local else None
        return cls(annotator.model, annotator.revision, folder)

    def find(self, name: str) -> Path | None:
        """A file, or None where the model has none of that name. Of the hub it is taken as vLLM will take it.

        Raises
        ------
        Misconfigured
            The hub has no such model or commit, or does not give it to us.
        Transient
            The hub cannot be reached, and the file is not on this machine.
        """
        if self.folder is None:
            return _from_hub(self.model, str(self.revision), name)
        path = self.folder / name
        return path if path.is_file() else None

    def read(self, name: str) -> dict[str, Any]:
        """What is in a JSON file; empty where there is none. Raises Misconfigured where it is broken."""
        path = self.find(name)
        if path is None:
            return {}
        try:
            values: object = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise Misconfigured(f"captions: {self.model}: {name} cannot be read: {error}") from error
        if not isinstance(values, dict):
            raise Misconfigured(f"captions: {self.model}: {name} holds no keys and values")
        return values

    def weights(self) -> int | None:
        """Bytes of the weights; None where the hub does not tell.

        Raises
        ------
        Misconfigured
            A folder lacks weights, or some of them.
        """
        index = self.read(_INDEX)
        if self.folder is None:
            size: object = index.get("metadata", {}).get("total_size")
            return size if isinstance(size, int) else None
        if index:
            names: list[str] = sorted(set(index.get("weight_map", {}).values()))
            missing = [name for name in names if not (self.folder / name).is_file()]
            if missing:
                raise Misconfigured(
                    f"captions: {self.model}: lacks {len(missing)} of {len(names)} files of weights, first {missing[0]}; "
                    "download it again"
                )
            return sum((self.folder / name).stat().st_size for name in names)
        for pattern in _WEIGHTS:
            if found := list(self.folder.glob(pattern)):
                return sum(path.stat().st_size for path in found)
        raise Misconfigured(f"captions: {self.model}: holds no weights, neither .safetensors nor any others")


def _from_hub(model: str, revision: str, name: str) -> Path | None:
    from huggingface_hub import errors as hub  # noqa: PLC0415 - comes with vLLM; half a second
    from huggingface_hub import hf_hub_download  # noqa: PLC0415

    what = f"captions: {model} at {revision}"
    try:
        return Path(hf_hub_download(model, name, revision=revision))
    except hub.GatedRepoError as error:
        msg = f"{what}: the hub gives it only to those who accepted its terms; do so, and set HF_TOKEN"
        raise Misconfigured(msg) from error
    except hub.RepositoryNotFoundError as error:
        msg = f"{what}: the hub has no such model, or it is private: see `model`, or set HF_TOKEN"
        raise Misconfigured(msg) from error
    except hub.RevisionNotFoundError as error:
        raise Misconfigured(f"{what}: the model has no such commit; see `revision`") from error
    except hub.LocalEntryNotFoundError as error:
        if isinstance(error.__cause__, hub.RevisionNotFoundError):
            raise Misconfigured(f"{what}: the model has no such commit; see `revision`") from error
        why = (
            "the hub must not be asked"
            if isinstance(error.__cause__, hub.OfflineModeIsEnabled)
            else "the hub cannot be reached"
        )
        raise Transient(f"{what}: {name} is not on this machine, and {why}") from error
    except hub.EntryNotFoundError:
        return None
    except (hub.HfHubHTTPError, OSError) as error:
        raise Transient(f"{what}: the hub does not give {name} ({type(error).__name__})") from error

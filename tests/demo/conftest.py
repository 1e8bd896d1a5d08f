from pathlib import Path

import pytest

from pipeline.demo import make_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a demo world, made once; not to be changed."""
    return make_world(tmp_path_factory.mktemp("demo") / "world").parent

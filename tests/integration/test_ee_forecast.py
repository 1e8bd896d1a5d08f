"""What a build asks Earth Engine for, told before it: first by the plan alone, then by what finished units took."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from pipeline.configfile import load_config
from pipeline.engine import build
from pipeline.errors import Exhausted
from pipeline.estimate import Estimate, estimate
from pipeline.imagery.allowance import Allowance, set_allowance
from pipeline.inventory import take_inventory
from pipeline.ledger import Ledger
from pipeline.plan import make_plan
from pipeline.stages.base import Context
from tests.ee_many import PATCH, emulator, make_many
from tests.small_world import run


def test_masks_are_forecast_once_some_were_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_many(tmp_path, 10, 4, black=True)
    config = world.config("store", workers=1)
    with emulator(world) as (server, asked):
        monkeypatch.setenv("SKYTELLER_EE_URL", server.url)
        context = take_inventory(load_config(config), tmp_path)
        with pytest.raises(Exhausted):
            build(context, allowance=Allowance(0))
        set_allowance(None)
        planned = estimated(context)
        assert (planned.forecast.requests, planned.forecast.patches, planned.measured) == (40, 40, 0)
        assert run(config).exit_code == 0
        assert Counter(each.route for each in asked) == {"getPixels": 40, "computePixels": 4}
    for folder in ("commits/pixels", "commits/release"):
        shutil.rmtree(tmp_path / "store" / folder)
    measured = estimated(context)
    assert measured.measured >= 1
    assert measured.forecast.patches == 40
    assert measured.forecast.requests == pytest.approx(44)
    assert measured.forecast.pixels == pytest.approx(44 * PATCH**2)


def estimated(context: Context) -> Estimate:
    found = estimate(context, make_plan(context, Ledger(context.store)))
    assert found is not None
    return found

"""`prefect.yaml` and its checks, without a server: what Prefect would pass over in silence is an error."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
import yaml
from prefect.cli.deploy._models import PrefectYamlModel
from prefect.events.actions import RunDeployment
from prefect.server.utilities.user_templates import render_user_template_sync
from prefect.utilities.templating import apply_values

from flows.automations import BUDGET_REACHED, automations
from flows.deployments import FILE, load_project, template_of
from flows.settings import LIMIT
from pipeline.errors import Misconfigured

Values = dict[str, Any]


def broken(folder: Path, change: Callable[[Values], object]) -> Path:
    """The package's file with something changed."""
    values = yaml.safe_load(FILE.read_text())
    change(values)
    path = folder / "prefect.yaml"
    path.write_text(yaml.safe_dump(values))
    if not (folder / "pools").exists():
        (folder / "pools").symlink_to(FILE.parent / "pools")
    return path


def test_the_file_is_in_order_for_prefect_too() -> None:
    project = load_project()
    assert [each.name for each in project.deployments] == ["build", "refresh", "work", "caption"]
    assert set(project.pools) == {"skyteller-control", "skyteller-cpu", "skyteller-gpu"}
    assert project.limits == {LIMIT: 40}
    for each in project.deployments[:2]:
        assert each.concurrency_limit is not None
        assert (each.concurrency_limit.limit, each.concurrency_limit.collision_strategy) == (1, "CANCEL_NEW")
        assert [schedule.active for schedule in each.schedules] == [False]
        assert each.work_pool.name == "skyteller-control"
    prefect = PrefectYamlModel.model_validate(yaml.safe_load(FILE.read_text()))
    assert len(prefect.deployments) == 4


def test_gpus_reach_the_container() -> None:
    project = load_project()
    caption = project.deployments[-1].work_pool
    template = template_of(project.pools[caption.name])
    job = apply_values(template["job_configuration"], caption.job_variables)
    created = job["container_create_kwargs"]
    assert created["device_requests"] == [{"Driver": "nvidia", "Count": 1, "Capabilities": [["gpu"]]}]
    assert created["shm_size"] == "8g"
    assert job["image"] == "skyteller-gpu:latest"


def test_bare_nodes_get_no_container_settings() -> None:
    project = load_project(gpu="process")
    assert {pool.type for pool in project.pools.values()} == {"process"}
    assert all(not each.work_pool.job_variables for each in project.deployments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.update(deploymnts=[]), "deploymnts"),
        (lambda v: v["deployments"][0].update(entrypont="flows.build.build"), "entrypont"),
        (lambda v: v["deployments"][0].pop("name"), "deployments.0.name"),
        (lambda v: v["deployments"][0]["work_pool"].update(nam="x"), "work_pool.nam"),
        (lambda v: v["deployments"][0].update(entrypoint="flows.build.biuld"), "flows.build.biuld"),
        (lambda v: v["deployments"][0].update(entrypoint="flows.bulid.build"), "flows.bulid"),
        (lambda v: v["deployments"][0].update(entrypoint="flows.build"), "flows.build"),
        (lambda v: v["deployments"][0]["parameters"].update(budgte=1), "budgte"),
        (lambda v: v["deployments"][0]["parameters"].update(budget="much"), "budget"),
        (lambda v: v["deployments"][0]["schedules"][0].update(cron="99 99 * * *"), "weekly"),
        (lambda v: v["deployments"][0]["schedules"][0].update(timezone="Mars/Base"), "weekly"),
        (lambda v: v["deployments"][0]["work_pool"].update(name="skyteler-control"), "skyteler-control"),
        (lambda v: v["deployments"][3]["work_pool"]["job_variables"].update(image="No Image"), "No Image"),
        (lambda v: v["deployments"][3]["work_pool"]["job_variables"].update(container_create_kwarg={}), "kwarg"),
        (lambda v: v["x-pools"]["skyteller-gpu"].update(template="pools/process.json"), "container_create_kwargs"),
        (lambda v: v["x-pools"]["skyteller-gpu"].update(template="pools/none.json"), "none.json"),
        (lambda v: v["deployments"].append(v["deployments"][0]), "named twice"),
        (lambda v: v["deployments"][0]["parameters"].update(config="s3://me:word@host/x.yaml"), "secret"),
        (
            lambda v: v["deployments"][3]["work_pool"]["job_variables"].update(env={"HF_TOKEN": "abc"}),
            "prefect.blocks.secret",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_named(tmp_path: Path, change: Callable[[Values], object], message: str) -> None:
    with pytest.raises(Misconfigured, match=re.escape(message)):
        load_project(broken(tmp_path, change))


def test_secrets_may_come_from_blocks(tmp_path: Path) -> None:
    def change(values: Values) -> None:
        env = {"HF_TOKEN": "{{ prefect.blocks.secret.hf-token }}"}
        values["deployments"][3]["work_pool"]["job_variables"]["env"] = env

    load_project(broken(tmp_path, change))


def test_automations_look_at_nothing_else_on_the_server() -> None:
    found = automations({"build": {"config": None, "crashed": ()}})
    assert len({each.name for each in found}) == len(found) == 5
    for each in found:
        related = str(each.trigger.model_dump()["match_related"])
        assert "prefect.tag.skyteller" in related or "skyteller-control" in related or "'build'" in related
    assert any(BUDGET_REACHED in str(each.trigger.model_dump()["expect"]) for each in found)


@pytest.mark.parametrize("default", [None, True, 2, 'it\'s "here"\n', ["a", {"b": None}]])
def test_the_run_that_replaces_another_has_its_parameters(default: Any) -> None:
    (again,) = (
        each
        for each in automations({"build": {"given": 1, "left": default, "crashed": ()}})
        if each.name.endswith("build again")
    )
    (action,) = again.actions
    assert isinstance(action, RunDeployment)
    assert action.parameters is not None
    run = SimpleNamespace(id=UUID(int=7), parameters={"given": "x", "crashed": ["first"]})
    rendered = {
        name: json.loads(render_user_template_sync(value["value"]["template"], {"flow_run": run}))
        for name, value in action.parameters.items()
    }
    assert rendered == {"given": "x", "left": default, "crashed": ["first", str(run.id)]}

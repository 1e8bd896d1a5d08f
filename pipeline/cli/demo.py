"""Commands to try things without an account: the demo and the Earth Engine emulator."""

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from pipeline.cli.app import Workers, app, report
from pipeline.cli.deployments import AsFlow, as_flow, import_flows, run_build_or_flow
from pipeline.demo import draw_osm, make_world
from pipeline.demo.configs import PORT, point_at
from pipeline.imagery.emulator.faults import load_faults
from pipeline.imagery.emulator.quota import parse_quota, parse_seconds
from pipeline.imagery.emulator.server import serve
from pipeline.orphans import die_with_parent
from pipeline.pool import warm_up
from pipeline.show import console, progress


@app.command
def demo(
    out: Annotated[Path, Parameter(help="Folder for inputs, store and release.")] = Path("demo"),
    *,
    osm: Annotated[
        Path | None, Parameter(help="Draw imagery for this OSM file instead of the made-up town.")
    ] = None,
    gsd: Annotated[float, Parameter(help="With --osm: ground sample distance of the drawing, metres.")] = 0.6,
    workers: Workers = None,
    prefect: AsFlow = None,
) -> int:
    """Make a small world, build a dataset from it, and show where it is. Needs no account or network."""
    in_prefect = as_flow(prefect)
    if osm is not None:
        console.print(f"drawing imagery for {osm} (synthetic: a drawing of the map, not a photograph) ...")
        with progress() as tell:
            config = draw_osm(osm, out, gsd_m=gsd, progress=lambda what, _done, of: tell(what, 1, of))
        outcome, context = run_build_or_flow(config, workers, prefect=prefect)
    else:
        console.print("drawing a made-up town ...")
        with ProcessPoolExecutor(1, warm_up(), die_with_parent) as other:
            drawing = other.submit(make_world, out)
            if in_prefect:
                import_flows()
            config = drawing.result()
        with serve(out / "catalog.jsonl", port=PORT, or_any_port=True) as server:
            point_at(config, server.port)
            console.print(
                f"reading its imagery through the Earth Engine client, from an emulator at {server.url}"
            )
            outcome, context = run_build_or_flow(config, workers, prefect=prefect)
    report(outcome, context)
    if osm is None:
        console.print(f"again      skyteller emulate-ee --catalog {out}/catalog.jsonl --port {server.port}")
    console.print(
        f"in Prefect make server; PREFECT_API_URL=http://127.0.0.1:4200/api skyteller demo --out {out}-seen"
    )
    return outcome.exit_code


@app.command(name="emulate-ee")
def emulate_ee(
    catalog: Annotated[
        Path,
        Parameter(
            help="JSON lines {collection, index, path, bands, start, end, properties}, or their folder."
        ),
    ],
    *,
    port: Annotated[int, Parameter(help="Port on this machine; 0 picks a free one.")] = PORT,
    latency: Annotated[str, Parameter(help="Time before every answer, for example 50ms or 0.3s.")] = "0ms",
    quota: Annotated[
        str | None, Parameter(help="Requests in flight and a second, for example 40,100/s; none by default.")
    ] = None,
    faults: Annotated[Path | None, Parameter(help="JSON file with faults to inject.")] = None,
    auth: Annotated[
        Literal["none", "token"], Parameter(help="Whether requests need a token of the emulator's own issue.")
    ] = "none",
    exports: Annotated[
        Path | None, Parameter(help="Folder that stands for Cloud Storage: <bucket>/<file>.")
    ] = None,
) -> None:
    """Run a local server that speaks Earth Engine's protocol, to try a config without account or quota."""
    with serve(
        catalog,
        port=port,
        latency_s=parse_seconds(latency),
        quota=None if quota is None else parse_quota(quota),
        faults=() if faults is None else load_faults(faults),
        auth=auth,
        exports=exports,
    ) as server:
        console.print(f"EE_URL={server.url}", soft_wrap=True)
        console.print("serving until interrupted; requests and faults are counted at /_emulator/stats")
        server.wait()

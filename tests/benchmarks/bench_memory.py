"""Peak memory of a build over all its processes, for one area and for one of twice the size.

Synthetic imagery is drawn for the real OSM extract of Reisterstown (the shared test data); then
`skyteller build` runs on half of its cells' area and on the whole, two workers, and the proportional set size
(PSS: memory shared between processes counts once) of the whole process group is sampled 10 times a second.

Predicted: about 250 MB a process with all libraries, two workers, a parent and the fork server, so 600 to
800 MB, and no more for twice the area. Asked for: at most 1.2 GB, and at most 1.2 times for twice the area.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def peak_mb(config: Path) -> float:
    """Build in a process group of its own; the peak of its PSS in megabytes."""
    command = [
        sys.executable,
        "-c",
        "from pipeline.cli import main; main()",
        "build",
        str(config),
        "--workers",
        "2",
    ]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, sum(_pss_kb(pid) for pid in _session(process.pid)) / 1024)
        time.sleep(0.1)
    if process.returncode not in (0, 3):
        raise SystemExit(process.returncode)
    return peak


def _session(leader: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getsid(int(entry.name)) == leader:
                    found.append(int(entry.name))
            except ProcessLookupError:
                continue
    return found


def _pss_kb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0.0
    return next((float(line.split()[1]) for line in lines if line.startswith("Pss:")), 0.0)


def main() -> None:
    """Print both peaks and their ratio."""
    from pipeline.configfile import load_config  # noqa: PLC0415  # measured processes must not share this import
    from pipeline.demo import draw_osm  # noqa: PLC0415
    from pipeline.inventory import take_inventory  # noqa: PLC0415

    source = DATA / "osm" / "reisterstown-md.osm.pbf"
    if not source.exists():
        raise SystemExit(f"needs {source}")
    with tempfile.TemporaryDirectory() as folder:
        config = draw_osm(source, Path(folder))
        values = yaml.safe_load(config.read_text())
        west, south, east, north = take_inventory(load_config(config), Path(folder)).area_bounds
        middle = (west + east) / 2
        peaks = []
        for name, box in (("half", (west, south, middle, north)), ("whole", (west, south, east, north))):
            config.write_text(
                yaml.safe_dump(values | {"name": name, "store": name, "area": {"bbox": list(box)}})
            )
            peaks.append(peak_mb(config))
            print(f"{name} area: peak {peaks[-1]:.0f} MB over all processes")
        print(f"ratio {peaks[1] / peaks[0]:.2f}")


if __name__ == "__main__":
    main()

"""Commands that look at releases and at OSM files."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pipeline.cli.app import app
from pipeline.osm.coverage import coverage
from pipeline.osm.vocabulary import load_vocabulary
from pipeline.rebuild import rebuild as prove
from pipeline.release.fetch import release_folder
from pipeline.release.read import describe, read_sample
from pipeline.release.verify import verify as verify_release
from pipeline.show import console, errors, progress


@app.command
def inspect(
    release: Annotated[str, Parameter(help="Folder of a release, or its s3:// or gs:// URL.")],
    key: Annotated[str, Parameter(help="Key of a sample.")],
    *,
    rebuild: Annotated[
        bool, Parameter(help="Make the sample again from the inputs and compare the bytes.")
    ] = False,
    inputs: Annotated[
        Path, Parameter(help="With --rebuild: folder that the config's paths start from.")
    ] = Path(),
    out: Annotated[Path | None, Parameter(help="Write the picture here.")] = None,
) -> int:
    """Show one sample: picture, facts, captions, provenance."""
    with release_folder(release, key=key) as folder:
        sample = read_sample(folder, key)
        if out is not None:
            out.write_bytes(sample.image)
            console.print(f"picture written to {out}")
        console.print(describe(sample), markup=False)
        if not rebuild:
            return 0
        proof = prove(folder, key, inputs)
    for name in proof.identical:
        console.print(f"rebuilt {name}: identical, byte for byte")
    for name in proof.different:
        errors.print(f"rebuilt {name}: DIFFERENT")
    return 1 if proof.different else 0


@app.command
def verify(release: Annotated[str, Parameter(help="Folder of a release, or its s3:// or gs:// URL.")]) -> int:
    """Prove a release whole: hashes, members, counts, schema, images."""
    with release_folder(release) as folder, progress() as tell:
        report = verify_release(folder, tell)
    for problem in report.problems:
        errors.print(problem, markup=False)
    if report.problems:
        errors.print(f"{release}: NOT whole, {len(report.problems)} problems")
        return 1
    console.print(f"{release}: whole ({report.samples} samples in {report.shards} shards)")
    return 0


@app.command
def vocabulary(
    osmfile: Annotated[Path, Parameter(help="An OSM file.")],
    *,
    top: Annotated[int, Parameter(help="Tags to list.")] = 30,
) -> None:
    """Count which elements of a file the tag vocabulary speaks of, and list the tags it does not know."""
    found = coverage(osmfile, load_vocabulary())
    console.print(f"{found.seen} elements with a feature key: {found.phrase} with a phrase,")
    for reason, n in sorted(found.invisible.items(), key=lambda item: -item[1]):
        console.print(f"{n:9} invisible: {reason}")
    console.print(f"{found.neither:9} in neither ({found.share_neither:.2%})")
    for tag, n in found.leftovers.most_common(top):
        console.print(f"{n:9} {tag}", markup=False)

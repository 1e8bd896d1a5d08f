"""CPU time of the client per patch: the transport against requests, and against bare urllib3 and http.client.

A server in another process answers from memory: one patch of 448 px (602 KB), or a block of 25 (15 MB). The
transport judges, bounds and decodes what it gets, the others only read it.
Predicted: below 1 ms per patch either way, below requests, and within twice of urllib3, on which it stands.
Threads beyond the cores add the cost of changing between them, which a server with latency does not cause.

Run with ``python tests/benchmarks/bench_transport.py``.
"""

import http.client
import multiprocessing
import resource
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import requests
import urllib3

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pipeline.imagery.earthengine.access import AccessSettings, connect
from pipeline.imagery.earthengine.npy import decode_npy
from pipeline.imagery.earthengine.transport import ByteGate, Limits, Transport
from tests.imagery.scripted_server import npy

RGB, ROUNDS, THREADS = ("R", "G", "B"), 5, (1, 16)
BANDS = [(name, "uint8") for name in RGB]
CASES = {"602 KB, 1 patch": (448, 1, 300), "15 MB, 25 patches": (2240, 25, 20)}


def serve(pipe: Connection, side: int) -> None:
    """Answer every request with the same pixels, one thread per connection."""
    body = npy(np.random.default_rng(1).integers(0, 256, (side, side, 3), np.uint8), RGB)
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n" % len(
        body
    )

    def talk(client: socket.socket) -> None:
        with client, client.makefile("rb") as lines:
            while line := lines.readline():
                length = 0
                while (line := lines.readline()) not in (b"\r\n", b""):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                lines.read(length)
                client.sendall(answer)
                client.sendall(body)

    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        pipe.send(server.getsockname()[1])
        while True:
            threading.Thread(target=talk, args=(server.accept()[0],), daemon=True).start()


def measure(ask: Callable[[], object], count: int, patches: int, workers: int) -> tuple[float, float]:
    """CPU ms per patch, and patches a second."""
    with ThreadPoolExecutor(workers) as threads:
        list(threads.map(lambda _: ask(), range(workers)))
        cpu, start = sum(resource.getrusage(resource.RUSAGE_SELF)[:2]), time.perf_counter()
        list(threads.map(lambda _: ask(), range(count)))
    cpu, wall = sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - cpu, time.perf_counter() - start
    return 1000 * cpu / (count * patches), count * patches / wall


def compare(
    title: str, ways: dict[str, Callable[[], object]], count: int, patches: int, workers: int
) -> None:
    """Measure all ways in turns and print their medians."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, ask in ways.items():
            found[name].append(measure(ask, count, patches, workers))
    print(f"{title}, median of {ROUNDS}")
    base = statistics.median(cpu for cpu, _ in found["transport"])
    for name, rounds in found.items():
        cpu, rate = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"  {name:12} {cpu:6.3f} ms CPU/patch  {rate:7.0f} patches/s  {cpu / base:5.2f} x transport")


def main() -> None:
    """Measure all, interleaved."""
    context = multiprocessing.get_context("spawn")
    for title, (side, patches, count) in CASES.items():
        mine, theirs = context.Pipe()
        server = context.Process(target=serve, args=(theirs, side), daemon=True)
        server.start()
        port = mine.recv()
        url, local = f"http://127.0.0.1:{port}", threading.local()
        gate = ByteGate(192 << 20)
        transport = Transport(connect(AccessSettings("p", url)), Limits(per_second=1e6), gate=gate)
        session = requests.Session()
        session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=max(THREADS)))

        def by_transport(transport: Transport, gate: ByteGate, side: int) -> None:
            pixels, held = transport.post(
                "/v1/x:getPixels", {}, lambda body: (decode_npy(body, BANDS, side, side), len(body)), "block"
            )
            assert pixels.shape == (side, side, 3)
            gate.release(held)

        def by_requests(session: requests.Session, url: str) -> None:
            session.post(f"{url}/v1/x:getPixels", json={}, timeout=60).content  # noqa: B018 - reads it

        def by_http_client(local: threading.local, port: int) -> None:
            if not hasattr(local, "connection"):
                local.connection = http.client.HTTPConnection("127.0.0.1", port)
            local.connection.request("POST", "/v1/x:getPixels", b"{}")
            local.connection.getresponse().read()

        def by_urllib3(pool: urllib3.HTTPConnectionPool) -> None:
            pool.urlopen("POST", "/v1/x:getPixels", body=b"{}").data  # noqa: B018 - reads it

        pool = urllib3.HTTPConnectionPool("127.0.0.1", port, maxsize=max(THREADS))
        ways: dict[str, Callable[[], object]] = {
            "transport": partial(by_transport, transport, gate, side),
            "requests": partial(by_requests, session, url),
            "urllib3": partial(by_urllib3, pool),
            "http.client": partial(by_http_client, local, port),
        }
        for workers in THREADS:
            compare(f"{title}, {workers} threads", ways, count, patches, workers)
        transport.close()
        pool.close()
        session.close()
        server.terminate()
        server.join()


if __name__ == "__main__":
    main()

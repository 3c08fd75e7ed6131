"""Measure what asking a server costs beside the server: `python benchmarks/llm_throughput.py` (half a minute).

500 requests against a server on this machine that answers each after 50 ms, 32 at a time, with a ledger
on disk. The ideal is 16 rounds of 50 ms. The server is a process of its own; run it on a machine that has
two cores to spare, since a busy one measures its neighbours. `--write` keeps the result in
benchmarks/llm_throughput.json.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sensecf.core.files import write_json
from sensecf.llm import Message
from sensecf.llm.named import connect

HERE = Path(__file__).resolve().parent
REQUESTS, LATENCY, CONCURRENCY, REPEATS = 500, 0.05, 32, 9


def measure() -> dict[str, Any]:
    """Share of the ideal that is kept, and processor time of this process per request: medians."""
    program = [sys.executable, str(HERE.parent / "tests" / "llm_servers.py"), "server", str(LATENCY)]
    shares, costs = [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as server,
    ):
        try:
            assert server.stdout is not None
            url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1#model"
            for repeat in range(REPEATS + 1):
                client = connect(url, concurrency=CONCURRENCY, ledger=Path(folder) / f"{repeat}.jsonl")
                prompts = [
                    (Message("user", f"person {i} of run {repeat}: " + "value " * 300),) for i in range(REQUESTS)
                ]
                began, busy = time.perf_counter(), time.process_time()
                answers = client.complete(prompts)
                taken, busy = time.perf_counter() - began, time.process_time() - busy
                client.close()
                assert all(not answer.reason for row in answers for answer in row)
                if repeat:  # the first one loads libraries
                    shares.append(math.ceil(REQUESTS / CONCURRENCY) * LATENCY / taken)
                    costs.append(1000 * busy / REQUESTS)
        finally:
            server.kill()
    return {
        "requests": REQUESTS,
        "latency_ms": 1000 * LATENCY,
        "concurrency": CONCURRENCY,
        "share_of_ideal": round(statistics.median(shares), 3),
        "best_share": round(max(shares), 3),
        "processor_ms_per_request": round(statistics.median(costs), 2),
        "load_of_the_machine": round(os.getloadavg()[0], 1),
        "cores": os.cpu_count(),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="keep the result in benchmarks/llm_throughput.json")
    given = parser.parse_args()
    found = measure()
    print(*(f"{key}: {value}" for key, value in found.items()), sep="\n")
    if given.write:
        write_json(HERE / "llm_throughput.json", found)

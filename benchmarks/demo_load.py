"""Many visitors of the demo at once: is every answer right, and does the memory come back?

Run `python -m benchmarks.demo_load --clients 20 --seconds 120`. Each client asks for another
vocabulary; every answer is compared with the one that the client got alone.
"""

import argparse
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from gradio_client import Client, handle_file
from gradio_client.utils import QueueError

from score_hf.bundled import sample_pictures
from score_hf.drawn_scenes.vocabulary import DRAWN_VOCABULARY

# Nothing of this world: each vocabulary has an unseen name of its own.
_OWN_NAME = "thing number"
_WARMING_ROUNDS, _STARTING_SECONDS, _SETTLING_SECONDS = 3, 300, 5
# How long a client waits for the server to take a request; the machine may have other work.
_PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Load:
    """What came out.

    Args:
        answers: Answers that were right.
        wrong: Answers that differ from those given alone.
        full: Requests that the queue refused.
        errors: Messages of other errors.
        seconds: How long it took.
        megabytes_before: Memory of the server once it is warm.
        megabytes_after: The same after the load.
    """

    answers: int
    wrong: int
    full: int
    errors: list[str]
    seconds: float
    megabytes_before: float
    megabytes_after: float


def run_load(clients: int, seconds: float, seed: int = 0) -> Load:
    """Starts the demo in a process of its own and puts it under load.

    Args:
        clients: How many ask at once.
        seconds: For how long.
        seed: Of the vocabularies.

    Returns:
        What came out.
    """
    vocabularies = _vocabularies(clients, seed)
    picture = str(sample_pictures()[0])
    with running_demo() as (address, process), ThreadPoolExecutor(clients) as pool:
        patience = {"timeout": _PATIENCE_SECONDS}
        visitors = [Client(address, verbose=False, httpx_kwargs=patience) for _ in range(clients)]

        def ask(index: int) -> object:
            names = vocabularies[index]
            return visitors[index].predict(handle_file(picture), names, 0.1, api_name="/segment")

        # Threads and what the allocator keeps for them are there after some rounds.
        for _ in range(_WARMING_ROUNDS):
            list(pool.map(ask, range(clients)))
        alone = [ask(index) for index in range(clients)]
        time.sleep(_SETTLING_SECONDS)
        before = _megabytes(process.pid)
        started = time.monotonic()

        def keep_asking(index: int) -> tuple[int, int, int, list[str]]:
            right, wrong, full, errors = 0, 0, 0, []
            while time.monotonic() - started < seconds:
                try:
                    answer = ask(index)
                except QueueError:
                    full += 1
                    time.sleep(1)
                except Exception as error:
                    errors.append(f"{type(error).__name__}: {error}")
                else:
                    right += answer == alone[index]
                    wrong += answer != alone[index]
            return right, wrong, full, errors

        counts = list(pool.map(keep_asking, range(clients)))
        taken = time.monotonic() - started
        # As before the first measurement, so that the two can be compared.
        again = [ask(index) for index in range(clients)]
        time.sleep(_SETTLING_SECONDS)
        after = _megabytes(process.pid)
    assert len({str(answer) for answer in alone}) == clients and again == alone
    return Load(
        answers=sum(one[0] for one in counts),
        wrong=sum(one[1] for one in counts),
        full=sum(one[2] for one in counts),
        errors=[message for one in counts for message in one[3]],
        seconds=taken,
        megabytes_before=before,
        megabytes_after=after,
    )


@contextmanager
def running_demo(*options: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """Runs `score-hf demo` in a process of its own.

    Args:
        *options: Further ones of the command.

    Yields:
        Its address and its process.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/"
    command = [sys.executable, "-c", "from score_hf.cli import app; app()", "demo"]
    with TemporaryDirectory() as uploads:
        log = Path(uploads) / "log.txt"
        environment = {
            **os.environ,
            "GRADIO_TEMP_DIR": uploads,
            "GRADIO_ANALYTICS_ENABLED": "False",
            "OMP_NUM_THREADS": "1",
        }
        with log.open("w") as output:
            process = subprocess.Popen(
                [*command, "--port", str(port), *options],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            _wait_for(address, process, log)
            yield address, process
        finally:
            process.terminate()
            process.wait(120)


def _wait_for(address: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + _STARTING_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(f"{address}config", timeout=5).raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.5)
    raise RuntimeError(f"The demo did not start: {log.read_text()[-2000:]}")


def _vocabularies(count: int, seed: int) -> list[str]:
    chooser = random.Random(seed)
    known = sorted(DRAWN_VOCABULARY)
    return [
        ", ".join([*chooser.sample(known, chooser.randint(2, 6)), f"{_OWN_NAME} {index}"])
        for index in range(count)
    ]


def _megabytes(process_id: int) -> float:
    status = Path(f"/proc/{process_id}/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if "VmRSS" in line)
    return int(kilobytes) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=120)
    arguments = parser.parse_args()
    load = run_load(arguments.clients, arguments.seconds)
    print(
        f"{load.answers} right answers in {load.seconds:.0f} s, {load.wrong} wrong, {load.full} "
        f"refused by the queue, {len(load.errors)} errors {sorted(set(load.errors))[:3]}; memory "
        f"{load.megabytes_before:.0f} MB before and {load.megabytes_after:.0f} MB after"
    )


if __name__ == "__main__":
    main()

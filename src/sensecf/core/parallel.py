"""`spread`: one function over many items in this process, in threads, processes or on Ray, to the same results.

Items are taken as workers become free and results handed on as they come, so that no more than one of each per
worker is in memory. Ray's own transport (cloudpickle) carries the function, what all items share, items and
results between processes of one user; nothing that is pickled is kept in a file or loaded from one.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from queue import SimpleQueue
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

from joblib.externals.loky import ProcessPoolExecutor

from sensecf.core.errors import InputError, MissingExtraError, one_line
from sensecf.core.version import __version__

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Result = TypeVar("Result")

#: How often an item may end the process that works on it before that is an error.
TRIES = 4
#: One thread per worker: the workers share the cores already.
_ONE_THREAD = {"SENSECF_THREADS": "1", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Engine:
    """Where work is done: `name` is "local" or "ray"; `address` is the HOST:PORT of a Ray cluster.

    Without an address Ray is started on this machine for the time it is needed. `allowed`: what the
    user allows to leave this machine, as in `privacy_gate.permission`.
    Raises `InputError` for another name, and for an address that is none or that nobody connects to.
    """

    name: str = "local"
    address: str | None = None
    allowed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.name not in ("local", "ray"):
            raise InputError(f"engine {self.name!r} is unknown; use local or ray")
        if self.address is None:
            return
        if self.name != "ray":
            raise InputError("--ray-address is for --engine ray; name both or neither")
        host, _, port = self.address.rpartition(":")
        if not host or not port.isdecimal() or "/" in host:
            raise InputError(
                f"--ray-address {self.address!r} is no HOST:PORT; give the address that `ray start` printed, "
                "on a machine of that cluster"
            )

    @property
    def host(self) -> str | None:
        """The machine that the address names; None where work stays on this one. For `privacy_gate.permission`."""
        return None if self.address is None else self.address.rpartition(":")[0]

    @property
    def allows(self) -> tuple[str, ...]:
        """What `privacy_gate.permission` is told: naming the address allows it, but for what a card keeps away."""
        return self.allowed if self.host is None else (*self.allowed, self.host)


LOCAL = Engine()


def spread(
    function: Callable[[Shared, Item], Result],
    items: Iterable[Item],
    shared: Shared,
    *,
    workers: int | None = None,
    engine: Engine = LOCAL,
    threads: bool = False,
) -> Iterator[tuple[int, Result]]:
    """`function(shared, item)` for every item: (its position, its result), as they are finished.

    The function must depend on its arguments alone, so that results do not depend on who works.
    `shared` reaches each worker once. `workers`: how many at a time (default: `classifiers.cores`, or
    the processors of the cluster at the engine's address); one local worker is this process itself.
    `threads`: threads instead of processes, on this machine.

    A worker that is killed costs the item it was at, which is done again. What the function raises is
    raised here. Leaving the loop early, by an error or an interrupt, ends the workers.
    Raises `InputError` when an item ended its worker `TRIES` times, when something cannot be sent to
    Ray's workers, and when there is no cluster at the address; `MissingExtraError` without Ray.
    """
    if engine.name == "ray":
        hired = _on_ray(function, shared, workers, engine)
    else:
        workers = workers or _cores()
        if workers == 1:
            for position, item in enumerate(items):
                yield position, function(shared, item)
            return
        hired = (_threads if threads else _processes)(function, shared, workers)
    with hired as (number, submit, result):
        running: dict[Future[Result], int] = {}

        def finished() -> Iterator[tuple[int, Result]]:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), result(future)

        for position, item in enumerate(items):
            running[submit(position, item)] = position
            if len(running) >= number:
                yield from finished()
        while running:
            yield from finished()


class _Workers(NamedTuple):
    """How many work at a time, how an item is handed in with its position, and how its result is taken out."""

    number: int
    submit: Callable[[int, Any], Future[Any]]
    result: Callable[[Future[Any]], Any] = Future.result


def _cores() -> int:
    from sensecf.core.plain import cores

    return cores()


# --- this machine -----------------------------------------------------------------------------


@contextmanager
def _threads(function: Callable[[Any, Any], Any], shared: Any, workers: int) -> Iterator[_Workers]:
    with ThreadPoolExecutor(workers) as pool:
        yield _Workers(workers, lambda position, item: pool.submit(function, shared, item))


@contextmanager
def _processes(function: Callable[[Any, Any], Any], shared: Any, workers: int) -> Iterator[_Workers]:
    """A pool of one process for each worker: when one is killed, the others do not notice."""
    # loky and not the standard library: a script that calls us needs no `if __name__ == "__main__"`.
    pools: list[ProcessPoolExecutor | None] = [None] * workers
    free: SimpleQueue[int] = SimpleQueue()
    for place in range(workers):
        free.put(place)
    leaving = threading.Event()

    def pool(place: int) -> ProcessPoolExecutor:
        found = pools[place]
        if found is None:
            found = ProcessPoolExecutor(1, initializer=_begin, initargs=(function, shared), env=_ONE_THREAD)
            pools[place] = found
            if leaving.is_set():  # whoever leaves may have looked before this pool was there
                found.shutdown(kill_workers=True)
        return found

    def attempt(position: int, item: Any) -> Any:
        place = free.get()
        try:
            for _ in range(TRIES):
                try:
                    return pool(place).submit(_continue, item).result()
                except BrokenProcessPool:
                    if leaving.is_set():
                        raise
                    pools[place] = None
            raise InputError(_ended(position))
        finally:
            free.put(place)

    def submit(position: int, item: Any) -> Future[Any]:
        if position < workers:
            with _interrupts_ignored():
                pool(position).submit(_idle)
        return callers.submit(attempt, position, item)

    with ThreadPoolExecutor(workers) as callers:
        done = False
        try:
            yield _Workers(workers, submit)
            done = True
        finally:
            leaving.set()
            for each in pools:
                if each is not None:
                    each.shutdown(kill_workers=not done)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """A process started in this block ignores interrupts from its first moment, its imports included.

    An interrupt during the block, which is as long as starting a process takes, is lost. In another thread than the
    main one nothing is done: handlers of signals cannot be set there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _idle() -> None:
    """Nothing: what a worker is started with."""


#: What a worker process works with: the function and what all items share.
_working: tuple[Callable[[Any, Any], Any], Any]


def _begin(function: Callable[[Any, Any], Any], shared: Any) -> None:
    global _working
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the caller, who ends this process
    _working = function, shared


def _continue(item: Any) -> Any:
    function, shared = _working
    return function(shared, item)


def _ended(position: int) -> str:
    return (
        f"the process that worked on part {position} was ended {TRIES} times, as a system does that runs out of "
        "memory; ask for fewer workers or use a machine with more memory"
    )


# --- Ray --------------------------------------------------------------------------------------


@contextmanager
def connected(engine: Engine, workers: int | None = None) -> Iterator[None]:
    """One connection to Ray for several calls of `spread`, which would start and stop Ray each.

    Without an address Ray is started here with `workers` processors (default: `classifiers.cores`),
    without dashboard and usage statistics. It listens on 127.0.0.1 alone (on all interfaces where this
    process imported Ray before), asks for a token that this process makes up, and keeps its files in a
    folder that only this user can enter and that is removed in the end.
    A connection that this process has already is used, and left as it is.
    Raises `InputError` when there is no cluster at the address, or one that reaches further than the
    address says; `MissingExtraError` without Ray.
    """
    ray = _ray(engine)
    if ray.is_initialized():
        yield
        return
    start = partial(ray.init, log_to_driver=False, logging_level=logging.ERROR)
    home = None
    try:
        if engine.address is None:
            # Paths of sockets may have about 100 characters, and Ray opens the folder it is given to everybody.
            home = tempfile.mkdtemp(prefix="sensecf-", dir="/tmp" if os.name == "posix" else None)
            start("local", num_cpus=workers or _cores(), include_dashboard=False, _temp_dir=f"{home}/ray")
        else:
            _join(ray, engine, start)
        yield
    finally:
        ray.shutdown()
        if home is not None:
            shutil.rmtree(home, ignore_errors=True)


def _ray(engine: Engine) -> ModuleType:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if engine.address is None:
        # Read when Ray is imported: keep to 127.0.0.1 as on Windows and macOS, and not to all interfaces.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        # Ray would keep its token in the home folder, for all to read.
        if not os.environ.keys() & {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}:
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError(
            f"engine 'ray' needs {error.name}: pip install 'sensecf[ray]', or choose --engine local"
        ) from error
    return ray


def _join(ray: ModuleType, engine: Engine, start: Callable[[str | None], object]) -> None:
    from sensecf.core.plain import is_local

    host, _, port = str(engine.address).rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=10):  # Ray itself tries for minutes
            pass
        start(engine.address)
    except (OSError, OverflowError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise InputError(
            f"no Ray cluster can be joined at {engine.address} from this machine ({one_line(error)}); run the "
            "command on one of its machines, with RAY_AUTH_MODE=token in the environment where it asks for a token"
        ) from error
    far = sorted(node["NodeManagerAddress"] for node in ray.nodes() if not _here(node["NodeManagerAddress"]))
    if is_local(engine.host) and far:
        raise InputError(
            f"the cluster at {engine.address} has machines elsewhere ({far[0]}); name it by the address of its "
            "head on the network, so that the cards of your tables are asked about that host"
        )


def _here(host: str) -> bool:
    """Whether an address is one of this machine's: only those can be bound to."""
    try:
        with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            return True
    except OSError:
        return False


@contextmanager
def _on_ray(
    function: Callable[[Any, Any], Any], shared: Any, workers: int | None, engine: Engine
) -> Iterator[_Workers]:
    """Tasks of one processor each, which Ray does again where a worker is lost."""
    ray = _ray(engine)
    with connected(engine, workers):
        number = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        try:
            sent = ray.put((__version__, function, shared))
        except Exception as error:  # whatever the objects' own code raises when they are pickled
            # Ray's own message prints all that it was handed, rows included; the cause says why.
            raise InputError(
                f"Ray's workers cannot be sent what the work needs ({one_line(error.__cause__ or error)}); "
                "give its class a __getstate__, or choose --engine local"
            ) from error
        work = ray.remote(num_cpus=1, max_retries=TRIES - 1)(_work)
        underway: dict[Future[Any], tuple[int, Any]] = {}

        def submit(position: int, item: Any) -> Future[Any]:
            # A reference inside a list is passed on as it is; bare, Ray would load the object for each task.
            reference = work.remote(sys.path, [sent], item)
            future: Future[Any] = reference.future()
            underway[future] = position, reference
            return future

        def result(future: Future[Any]) -> Any:
            position, _ = underway.pop(future)
            try:
                return future.result()
            except ray.exceptions.RayTaskError as error:
                raise error.cause from error
            except ray.exceptions.WorkerCrashedError as error:
                raise InputError(_ended(position)) from error
            except ray.exceptions.RayError as error:
                raise InputError(f"Ray gave up part {position}: {one_line(error)}") from error

        try:
            yield _Workers(number, submit, result)
        finally:
            for _, reference in underway.values():
                ray.cancel(reference, force=True)


def _work(path: list[str], sent: list[Any], item: Any) -> Any:
    function, shared = _received(tuple(path), sent[0])
    return function(shared, item)


@lru_cache(maxsize=1)
def _received(path: tuple[str, ...], reference: Any) -> tuple[Callable[[Any, Any], Any], Any]:
    """What all items share, loaded once by each worker."""
    import ray

    os.environ |= _ONE_THREAD
    sys.path += [entry for entry in path if entry not in sys.path]  # modules of the user's own
    try:
        version, function, shared = ray.get(reference)
    except Exception as error:
        raise InputError(
            f"a worker on {socket.gethostname()} cannot load what it was sent: {one_line(error)}; "
            "install the same packages, and your own modules, on all machines of the cluster"
        ) from error
    if version != __version__:
        raise InputError(
            f"a worker on {socket.gethostname()} has SenseCF {__version__}, not {version}; "
            "install the same version on all machines of the cluster"
        )
    return function, shared

"""The process: a camcorder in its threads, those who ask it on an event loop, and the service
manager told how it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from camm import CammError, UsageError
from camm.declared import parse
from daemon.camcorder import Camcorder
from daemon.configuration import Configuration, ControlSettings
from daemon.control import Control
from daemon.control_socket import ControlServer
from daemon.notify import Notifier
from daemon.refiner import Refiner, clear
from daemon.rig import make_rig
from daemon.shelf import Shelf
from daemon.status import Status
from daemon.triggers import Triggers

if TYPE_CHECKING:
    from daemon.http.server import HttpServer  # of an extra

_log = logging.getLogger(__name__)

_LOOK_S = 0.25
_STALE_NS = 5_000_000_000
"""A status that is older comes of a rig that hangs."""
_PATIENCE_US = 20_000_000
"""How much longer the manager is to wait each time it is asked to."""
_LONGEST_END_S = 120.0
_WEB_RETRY_S = 10.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_WITHOUT_RESTART = ("storage.", "control.token_file", "triggers.")

_Fields: TypeAlias = dict[str, str | int]


def load(path: Path) -> Configuration:
    """The configuration in a file; UsageError where it is not one, or of no rig."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is no text in UTF-8"
        raise UsageError(f"{path}: {reason}") from None
    configuration = parse(Configuration, text, str(path))
    found = (configuration.imu, configuration.gps, configuration.camera, configuration.simulator)
    if not any(found):
        raise UsageError(f"{path} declares no device: add [imu], [gps], [camera] or [simulator]")
    return configuration


def changes(before: Configuration, after: Configuration) -> tuple[list[str], list[str]]:
    """The keys that differ: those that can change while the service runs, and the others."""
    differ = list(_differences(asdict(before), asdict(after)))
    can = [key for key in differ if key.startswith(_WITHOUT_RESTART)]
    return can, [key for key in differ if key not in can]


def _differences(old: dict[str, Any], new: dict[str, Any], table: str = "") -> Iterator[str]:
    for key, value in old.items():
        if isinstance(value, dict) and isinstance(new[key], dict):
            yield from _differences(value, new[key], f"{table}{key}.")
        elif value != new[key]:
            yield f"{table}{key}"


class Service:
    """Runs a camcorder as `path` configures it, until SIGTERM or SIGINT; SIGHUP reads it again."""

    def __init__(self, path: Path, version: str, notifier: Notifier) -> None:
        self._path = path
        self._configuration = load(path)
        self._version = version
        self._notifier = notifier
        self._ending = asyncio.Event()
        self._ended = asyncio.Event()
        self._failure: Exception | None = None
        self._claims = contextlib.ExitStack()
        self._claimed: set[Path] = set()
        self._told = False
        self._watched_ns = 0
        self._status_line = ""
        self._triggers: Triggers | None = None
        self._web: HttpServer | None = None
        self._refiner: Refiner | None = None

    async def run(self) -> None:
        """Serve. CammError where it cannot begin, whatever the camcorder fails with later."""
        settings = self._configuration
        with self._claims:
            if settings.fusion.refine:
                self._refiner = Refiner(round(settings.storage.keep_free_mb * 1e6))
                self._claims.callback(self._refiner.close)
            shelf = await asyncio.to_thread(self._shelf, settings)
            self._camcorder = Camcorder(
                partial(make_rig, settings),
                shelf,
                settings.storage,
                filter_name=settings.fusion.filter,
                output=settings.fusion.output,
                position=settings.fusion.position,
                version=self._version,
            )
            self._control = Control(self._camcorder, self._version)
            server = ControlServer(
                self._control, Path(settings.control.socket), settings.control.group
            )
            async with contextlib.AsyncExitStack() as stack:
                stack.push_async_callback(server.close)
                await server.start()
                if settings.control.address() is not None:
                    self._web = _web_server(self._control, settings.control)
                    stack.push_async_callback(self._web.stop)
                    opening = asyncio.create_task(self._open(self._web))
                    stack.callback(opening.cancel)
                await self._work()
        if self._failure is not None:
            raise self._failure

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ending.set)
        reload = asyncio.Event()
        loop.add_signal_handler(signal.SIGHUP, reload.set)
        thread = threading.Thread(target=self._film, args=(loop,), name="camcorder")
        if self._configuration.triggers.at_start:
            self._camcorder.start()
        thread.start()
        self._start_triggers()
        try:
            while not (self._ending.is_set() or self._ended.is_set()):
                if reload.is_set():
                    reload.clear()
                    await self._reload()
                self._tell()
                await _first_of(self._ending, self._ended, reload, timeout=self._pause_s)
        finally:
            await self._end()
            thread.join()

    async def _open(self, web: HttpServer) -> None:
        """Serve the page as soon as its address can be had: a network comes when it comes."""
        while True:
            try:
                await web.start()
            except CammError as error:
                if self._control.troubles.get("http") != str(error):
                    self._control.troubles["http"] = str(error)
                    _log.warning("%s", error)
                await asyncio.sleep(_WEB_RETRY_S)
            else:
                self._control.troubles.pop("http", None)
                return

    def _shelf(self, settings: Configuration) -> Shelf:
        folder = Path(settings.storage.folder).resolve()
        if folder not in self._claimed:
            self._claims.enter_context(_claimed(folder))
            self._claimed.add(folder)
            clear(folder)
        boot = _BOOT_ID.read_text()[:8]
        if self._refiner is None:
            return Shelf(folder, boot)
        return Shelf(folder, boot, self._refiner.refine)

    def _film(self, loop: asyncio.AbstractEventLoop) -> None:
        """The camcorder's thread."""
        try:
            self._camcorder.run()
        except Exception as error:  # whatever it is, the process must end and say so
            self._failure = error
        finally:
            loop.call_soon_threadsafe(self._ended.set)

    def _start_triggers(self) -> None:
        self._triggers = Triggers(self._control, self._configuration.triggers)
        self._triggers.start()

    async def _stop_triggers(self) -> None:
        if self._triggers is not None:
            await asyncio.to_thread(self._triggers.close)

    @property
    def _pause_s(self) -> float:
        watchdog_s = self._notifier.watchdog_s
        return _LOOK_S if watchdog_s is None else min(_LOOK_S, watchdog_s / 4)

    def _tell(self) -> None:
        """Tell the service manager how things are."""
        status = self._camcorder.status
        fields: _Fields = {}
        if not self._told and status.flowing and status.state not in ("starting", "recovering"):
            fields["READY"] = 1
        if status.state == "recovering":
            fields["EXTEND_TIMEOUT_USEC"] = _PATIENCE_US
        if self._watchdog_is_due() and is_well(status, time.monotonic_ns()):
            fields["WATCHDOG"] = 1
        if (line := in_words(status)) != self._status_line:
            fields["STATUS"] = line
        if fields and self._notifier.tell(**fields):
            self._told |= "READY" in fields
            self._status_line = line

    def _watchdog_is_due(self) -> bool:
        """Whether the manager waits to hear that all is well."""
        now_ns, watchdog_s = time.monotonic_ns(), self._notifier.watchdog_s
        if watchdog_s is None or now_ns - self._watched_ns < watchdog_s / 4 * 1e9:
            return False
        self._watched_ns = now_ns
        return True

    async def _reload(self) -> None:
        """Read the configuration again; keep to the old one where the new one is none."""
        if self._told:
            self._notifier.tell(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)
        try:
            new = await asyncio.to_thread(load, self._path)
            shelf = await asyncio.to_thread(self._shelf, new)
            if self._web is not None:
                self._web.change(new.control)  # also another token in the same file
        except (CammError, OSError) as error:
            _log.error("the configuration stays as it was: %s", error)
        else:
            await self._change(new, shelf)
        self._told = self._told and self._notifier.tell(READY=1)

    async def _change(self, new: Configuration, shelf: Shelf) -> None:
        """Change what can be changed while it runs, and name the rest."""
        can, cannot = changes(self._configuration, new)
        now = replace(
            self._configuration,
            storage=new.storage,
            triggers=new.triggers,
            control=replace(self._configuration.control, token_file=new.control.token_file),
        )
        triggered = now.triggers != self._configuration.triggers
        self._configuration = now
        await asyncio.to_thread(self._camcorder.change_storage, new.storage, shelf)
        if triggered:
            await self._stop_triggers()
            self._start_triggers()
        _log.info("read %s again: %s", self._path, ", ".join(can) or "nothing to change")
        if cannot:
            _log.warning("needs a restart: %s", ", ".join(cannot))

    async def _end(self) -> None:
        """Finish the clip, and have the manager wait for it."""
        self._notifier.tell(STOPPING=1, STATUS="finishing the clip")
        self._camcorder.close()
        await self._stop_triggers()
        give_up_s = time.monotonic() + _LONGEST_END_S
        while not self._ended.is_set():
            if time.monotonic() < give_up_s:
                self._notifier.tell(EXTEND_TIMEOUT_USEC=_PATIENCE_US)
            await _first_of(self._ended, timeout=1.0)


def _web_server(control: Control, settings: ControlSettings) -> HttpServer:
    try:
        from daemon.http.server import HttpServer
    except ModuleNotFoundError as error:
        raise UsageError(
            f"control.http needs {error.name}: pip install 'cammcorder[service]', or set it to \"\""
        ) from None
    return HttpServer(control, settings)


def is_well(status: Status, now_ns: int) -> bool:
    """Whether samples flow and the clip grows, and that was so just now (CLOCK_MONOTONIC)."""
    return status.flowing and status.growing and now_ns - status.looked_ns < _STALE_NS


def in_words(status: Status) -> str:
    """How a camcorder is, in one line: what it does, what its sources deliver, what is wrong."""
    clip = status.clip
    doing = status.state if clip is None else f"recording {clip.name}, {clip.seconds:.0f} s"
    rates = ", ".join(f"{source.name} {source.rate_hz:.0f}/s" for source in status.sources)
    return "; ".join(part for part in (doing, rates, *status.warnings) if part)


async def _first_of(*events: asyncio.Event, timeout: float) -> None:
    """Wait until one of them is set, or for so many seconds."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    for one in waiting:
        one.cancel()


@contextlib.contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Nobody else records to that folder, where they would take our clip for one that was cut off.

    An abstract socket ends with the process and leaves nothing on the disk.
    """
    name = hashlib.sha256(bytes(folder)).hexdigest()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as claim:
        try:
            claim.bind(f"\0cammcorder-{name}")
        except OSError:
            raise UsageError(f"another camcorder records to {folder}: end it first") from None
        yield

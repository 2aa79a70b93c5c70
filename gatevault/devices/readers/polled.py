"""The thread that every reader of a file descriptor runs: open, poll, decode, reopen after faults."""

from __future__ import annotations

import errno
import logging
import os
import select
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from gatevault.core.errors import DeviceError
from gatevault.core.types import CardRead
from gatevault.devices.readers.port import Number, OnFault, OnRead, Outcome, Refusal

log = logging.getLogger(__name__)

RETRY_S: Final = (1.0, 30.0)
"""First and longest pause before a device is opened again, in seconds; it doubles between."""

STOP_LIMIT_S: Final = 5.0
HANG_UP: Final = select.POLLHUP | select.POLLERR | select.POLLNVAL

E = TypeVar("E")


class Source(Protocol[E]):
    """An open device. `read` gives what is there when its descriptor polls readable."""

    def fileno(self) -> int: ...
    def read(self) -> list[E]:
        """Raises OSError where the device is gone."""

    def close(self) -> None: ...


class PolledReader(ABC, Generic[E]):
    """A `Reader` over a `Source` of events.

    Nothing that goes wrong ends its thread, and nothing of it reaches another reader: it reports a
    fault (once per fault, not per attempt) and opens the device again after a pause.
    """

    def __init__(
        self, name: str, open_source: Callable[[], Source[E]], retry_s: tuple[float, float] = RETRY_S
    ) -> None:
        self._name = name
        self._open_source = open_source
        self._retry_s = retry_s
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._wake = -1
        self._healthy = False
        self._told: str | None = None
        self.numbers = 0
        self.refused: Counter[Refusal] = Counter()
        """What came and was no number, by reason, since construction."""

    @abstractmethod
    def _decode(self, event: E) -> list[Outcome]: ...

    @abstractmethod
    def _idle(self, now_ns: int) -> list[Outcome]:
        """Nothing came for a while; `now_ns` is CLOCK_MONOTONIC."""

    @abstractmethod
    def _forget(self) -> None:
        """Drop what was heard so far."""

    @abstractmethod
    def _pause_ms(self) -> int | None:
        """When to call `_idle`; None to wait for the next event."""

    @property
    def name(self) -> str:
        return self._name

    @property
    def healthy(self) -> bool:
        return self._healthy

    def start(self, on_read: OnRead, on_fault: OnFault) -> None:
        if self._thread is not None:
            raise DeviceError(f"reader {self._name} is running already")
        self._stopping.clear()
        self._told = None
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread = threading.Thread(
            target=self._run, args=(on_read, on_fault), name=f"reader-{self._name}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stopping.set()
        os.eventfd_write(self._wake, 1)
        if thread is threading.current_thread():
            return  # called back from our own thread: it ends when that call returns
        thread.join(STOP_LIMIT_S)
        if thread.is_alive():
            raise DeviceError(f"reader {self._name} does not stop")
        os.close(self._wake)

    def _run(self, on_read: OnRead, on_fault: OnFault) -> None:
        pause, longest = self._retry_s
        while not self._stopping.is_set():
            heard = False

            def hear(read: CardRead) -> None:
                nonlocal heard
                heard = True
                on_read(read)

            try:
                self._session(hear)
                continue
            except DeviceError as error:
                sentence = str(error)
            except OSError as error:
                sentence = f"the device cannot be read: {error.strerror}; is it plugged in?"
            except Exception as error:
                # A defect here or in the daemon's call-back must not silence a gate's reader for
                # good: say so and go on. Nothing that moves a relay runs in this thread.
                log.exception("reader %s", self._name)
                sentence = f"internal error ({type(error).__name__})"
            if heard:
                pause = self._retry_s[0]
            self._report(on_fault, sentence)
            if self._stopping.wait(pause):
                return
            pause = min(pause * 2, longest)

    def _session(self, on_read: OnRead) -> None:
        """Open the device and read it until it fails or `stop` is called."""
        source = self._open_source()
        try:
            poll = select.poll()
            poll.register(source.fileno(), select.POLLIN)
            poll.register(self._wake, select.POLLIN)
            self._forget()
            self._told = None
            self._healthy = True
            while True:
                ready = dict(poll.poll(self._pause_ms()))
                if self._stopping.is_set():
                    return
                outcomes = self._hear(source, ready.get(source.fileno(), 0))
                for outcome in outcomes:
                    if isinstance(outcome, Number):
                        self.numbers += 1
                        on_read(CardRead(number=outcome.text, reader=self._name))
                    else:
                        self.refused[outcome] += 1
        finally:
            self._healthy = False
            self._forget()
            source.close()

    def _hear(self, source: Source[E], flags: int) -> list[Outcome]:
        if not flags:
            return self._idle(time.monotonic_ns())
        events = source.read()
        if not events and flags & HANG_UP:
            raise OSError(errno.ENODEV, "the device hung up")
        return [outcome for event in events for outcome in self._decode(event)]

    def _report(self, on_fault: OnFault, sentence: str) -> None:
        if sentence == self._told or self._stopping.is_set():
            return
        self._told = sentence
        try:
            on_fault(self._name, sentence)
        except Exception:
            log.exception("a fault of reader %s could not be delivered: %s", self._name, sentence)

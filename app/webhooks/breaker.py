"""The breaker of an endpoint: leaves it alone for a while when nearly everything fails, then tries with one request.

A machine of three states; time is an argument. `app.storage.breakers` keeps what it remembers; what is about days and
not about seconds is `health`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from app.models.breaker import Circuit, CircuitState, Permit

_PIECES = 12
"""The window moves by a twelfth of itself."""


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """Times are seconds."""

    window_seconds: float = 60.0
    min_attempts: int = 10
    failed_percent: int = 70
    """Opens when of at least `min_attempts` in the window at least so many failed."""
    hangs: int = 5
    """Opens as well when so many in a row used up their time: each of them held a worker."""
    open_seconds: float = 30.0
    """The first time; twice as long each further time, up to `max_open_seconds`."""
    max_open_seconds: float = 600.0
    successes: int = 2
    """So many probes in a row close it."""
    probe_seconds: float = 60.0
    """So long a probe is waited for: an endpoint's longest deadline and time to note it. Then its worker was killed."""
    factor: float = 1.0
    """`settings.webhook_delay_factor`: multiplies how long it is open."""

    def permit(self, circuit: Circuit, now: datetime) -> tuple[Circuit, Permit]:
        """Ask to send. A probe is the caller's until it is noted."""
        if circuit.state is CircuitState.CLOSED:
            return circuit, Permit()
        if now.timestamp() < circuit.until:
            return circuit, _refused(circuit)
        successes = circuit.successes if circuit.state is CircuitState.HALF_OPEN else 0
        probing = circuit._replace(
            state=CircuitState.HALF_OPEN, until=_seconds(now, self.probe_seconds), successes=successes
        )
        return probing, _probe(probing)

    def note(self, circuit: Circuit, ok: int, failed: int, hung: int, now: datetime) -> tuple[Circuit, Permit]:
        """Note how a run went; the permit says what may come next, without asking for it.

        Args:
            failed: with those that hung; without 429, which says that the endpoint is there.
            hung: how many at the end of the run, in a row, used up their time.
        """
        match circuit.state:
            case CircuitState.OPEN:
                return circuit, _refused(circuit)  # of requests that began before it opened
            case CircuitState.HALF_OPEN:
                return self._probed(circuit, ok, failed, now)
            case CircuitState.CLOSED:
                return self._counted(circuit, ok, failed, hung, now)

    def remembered(self, failing_since: datetime) -> Circuit:
        """The circuit of an endpoint that was failing when its own was lost: one request shows how it is."""
        return Circuit(CircuitState.HALF_OPEN, since=_seconds(failing_since))

    def _probed(self, circuit: Circuit, ok: int, failed: int, now: datetime) -> tuple[Circuit, Permit]:
        if failed:
            return self._open(circuit, now)
        successes = circuit.successes + ok
        if successes >= self.successes:
            return Circuit(), Permit()
        waiting = circuit._replace(until=0.0, successes=successes)
        return waiting, _probe(waiting)

    def _counted(self, circuit: Circuit, ok: int, failed: int, hung: int, now: datetime) -> tuple[Circuit, Permit]:
        slots = self._slots(circuit, ok, failed, now)
        in_a_row = hung + (circuit.hung if hung == ok + failed else 0)
        failures = sum(slot[2] for slot in slots)
        attempts = failures + sum(slot[1] for slot in slots)
        failing = attempts >= self.min_attempts and 100 * failures >= self.failed_percent * attempts
        if failing or in_a_row >= self.hangs:
            return self._open(circuit, now)
        return circuit._replace(slots=slots, hung=in_a_row), Permit()

    def _slots(self, circuit: Circuit, ok: int, failed: int, now: datetime) -> tuple[tuple[int, int, int], ...]:
        current = int(now.timestamp() * _PIECES // self.window_seconds)
        slots = [slot for slot in circuit.slots if slot[0] > current - _PIECES]
        if not ok + failed:
            return tuple(slots)
        if slots and slots[-1][0] >= current:  # also when another worker's clock is ahead
            number, before_ok, before_failed = slots.pop()
            return (*slots, (number, before_ok + ok, before_failed + failed))
        return (*slots, (current, ok, failed))

    def _open(self, circuit: Circuit, now: datetime) -> tuple[Circuit, Permit]:
        seconds = min(self.open_seconds * 2**circuit.openings, self.max_open_seconds) * self.factor
        opened = Circuit(
            CircuitState.OPEN,
            until=_seconds(now, seconds),
            since=circuit.since or _seconds(now),
            # Beyond the longest time more doubling changes nothing, and powers grow.
            openings=min(circuit.openings + 1, 32),
        )
        return opened, _refused(opened)


def _refused(circuit: Circuit) -> Permit:
    return Permit(False, open_until=_moment(circuit.until), open_since=_moment(circuit.since))


def _probe(circuit: Circuit) -> Permit:
    return Permit(probe=True, open_since=_moment(circuit.since))


def _seconds(now: datetime, more: float = 0.0) -> float:
    return round(now.timestamp() + more, 3)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)

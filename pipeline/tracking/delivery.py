"""Sends an outbox: from the first item that waits to the last, or until nothing can be sent."""

import os
from collections.abc import Callable, Mapping

from pipeline.tracking.errors import RefusedError, TrackerError
from pipeline.tracking.outbox import Outbox
from pipeline.tracking.server import TrackingServer


def deliver(
    outbox: Outbox,
    server: TrackingServer,
    *,
    environment: Mapping[str, str] = os.environ,
    again: bool = False,
    until: Callable[[], bool] = lambda: False,
) -> None:
    """Sends what waits, in order.

    Args:
      outbox: Of the run, which this process holds.
      server: Where to.
      environment: Where the run of a task is named; see `TrackingServer.place`.
      again: Whether to offer again what the server has not taken before.
      until: Returns whether to end early.

    Raises:
      TrackerError: The server cannot be told now; what was sent until then is known.
    """
    state = outbox.state
    try:
        if state.place is None:
            state.place = server.place(state.beginning, environment)
            outbox.save()
        for number, item in outbox.waiting():
            if until():
                return
            if number in state.refused and not again:
                continue
            try:
                server.send(state.place, item)
            except RefusedError as error:
                outbox.mark_refused(number, str(error))
            else:
                outbox.mark_sent(number)
    except TrackerError as error:
        state.problem = str(error)
        outbox.save()
        raise
    if state.problem is not None:
        state.problem = None
        outbox.save()


def left_over(outbox: Outbox) -> str | None:
    """Returns in words what waits and why; None where everything was sent."""
    count = len(outbox.waiting())
    if not count:
        return None
    state = outbox.state
    reasons = [state.problem] if state.problem else obstacles(outbox)
    why = f": {reasons[0]}" if reasons else ", which was not in time"
    return f"{count} item{'s' if count > 1 else ''} for {state.address.uri} {'wait' if count > 1 else 'waits'}{why}"


def obstacles(outbox: Outbox) -> list[str]:
    """Returns a line for each reason why the server does not take an item, with the items."""
    titles: dict[str, list[str]] = {}
    for number, reason in outbox.state.refused.items():
        titles.setdefault(reason, []).append(outbox.item(number).title)
    return [f"{', '.join(of_reason)}: {reason}" for reason, of_reason in titles.items()]

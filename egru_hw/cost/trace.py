"""A timeline in Chrome's trace event format, which Perfetto and other viewers open."""

from typing import Any

from egru_hw.cost.timeline import Timeline, Track


def trace(timeline: Timeline, mhz: float, title: str) -> dict[str, Any]:
    """The trace of ``timeline`` at a clock of ``mhz``, ready for JSON.

    A thread per unit; one complete event per span, in microseconds to the nanosecond below and,
    as its arguments, in cycles. Its category is "work" or "wait".
    """

    def nanoseconds(cycle: int) -> int:
        return int(1000 * cycle / mhz)

    numbers = {track: number for number, track in enumerate(Track, 1)}
    events = [_metadata("process_name", 0, name=title)]
    for track, number in numbers.items():
        events.append(_metadata("thread_name", number, name=track))
        events.append(_metadata("thread_sort_index", number, sort_index=number))
    for span in timeline.spans:
        place = {"step": span.step, "layer": span.layer}
        begin, end = nanoseconds(span.begin), nanoseconds(span.end)
        events.append(
            {
                "name": span.what,
                "cat": "wait" if span.waits else "work",
                "ph": "X",
                # Viewers cut this to nanoseconds: the half keeps it from being one too low, and
                # so the span from overlapping with the one before, which they would then drop.
                "ts": (begin + 0.5) / 1000,
                "dur": (end - begin) / 1000,
                "pid": 1,
                "tid": numbers[span.track],
                "args": {
                    "cycle": span.begin,
                    "cycles": span.cycles,
                    **{name: value for name, value in place.items() if value is not None},
                },
            }
        )
    return {"traceEvents": events, "displayTimeUnit": "ns"}


def _metadata(kind: str, thread: int, **arguments: Any) -> dict[str, Any]:
    return {"name": kind, "ph": "M", "pid": 1, "tid": thread, "args": arguments}

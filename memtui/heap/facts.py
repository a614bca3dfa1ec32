"""What a picture says about itself: the JSON object ``Picture.facts``; every source of pictures says the same.

================  ==============================================================================================
``target``        ``pid``, ``command`` (list), ``python`` ("3.11.7"), ``started_at`` (ISO 8601, UTC) or null
``taken_at``      ISO 8601, UTC
``source``        ``frozen copy``, ``stopped``, ``core file``
``quick``         true: types and sizes only
``stop_seconds``  how long the process stood still; null for a core file
``toll``          what it cost the process: ``stopped_seconds``, ``longest_stop_seconds``, ``page_faults`` or null,
                  ``cpu_seconds`` (an estimate); missing where nothing was asked of it
``rss_bytes``     of the process when it was taken, or null; so are ``uss_bytes``, ``pss_bytes``, ``swap_bytes``
``memory``        bytes of RSS by class of mapping, as smaps names them, or null
``read_bytes``    memory looked at; ``kept_bytes`` of it were analysed
``objects``       number of objects; ``blocks`` of C memory; ``edges``; ``bytes`` (sum of the objects' sizes)
``allocators``    bytes in use and free in Python's pools and in malloc's main heap (null: not known)
``quality``       share of the objects (mortal, on the heap) whose reference count equals the edges found, or null
``checks``        list of ``[name, passed, seen]``: the known answers that the reader checked itself against
``threads``       number of threads
``cpu_seconds``   what reading and analysing took; ``seconds`` wall time; ``tool_bytes`` its largest RSS
``notes``         sentences a reader should know (what was left out, and why)
================  ==============================================================================================
"""

from __future__ import annotations

from typing import Any

from memtui.model.heap import PictureFacts, PictureToll

Facts = dict[str, Any]


def facts_from(answer: dict[str, Any]) -> PictureFacts:
    """The facts that another process sent as JSON."""
    toll = answer["toll"]
    return PictureFacts(
        **{
            **answer,
            "command": tuple(answer["command"]),
            "notes": tuple(answer["notes"]),
            "toll": None if toll is None else PictureToll(**toll),
        }
    )

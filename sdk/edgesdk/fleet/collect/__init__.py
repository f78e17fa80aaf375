"""Everything that devices report, kept: received over MQTT, committed, and only then acknowledged.

    broker → subscription → reading → batch writer → store
                                          ↓ committed
             device ←  down/ack  ← acknowledger

The device deletes a report when its number is told as stored; the broker's acknowledgement is worth nothing here. What
the fleet's service needs of it is the `Recorder`, and for reading `Records`.
"""

from __future__ import annotations

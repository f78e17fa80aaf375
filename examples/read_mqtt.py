"""Print the results of every device, as any MQTT 5 client can read them.

    python read_mqtt.py [--host 127.0.0.1] [--port 1883] [--count 10]

Nothing of edgesdk is needed for this: each result is one plain JSON message (docs/mqtt.md says what is in it).
"""

from __future__ import annotations

import argparse
import json
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

# One level says tenant and device: "+" stands for all of them.
RESULTS = "edgesdk/1/+/up/result"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--count", type=int, help="end after so many results")
    options = parser.parse_args()
    left = options.count

    def on_connect(client: mqtt.Client, _data: object, _flags: object, reason: ReasonCode, _more: object) -> None:
        if reason.is_failure:
            sys.exit(f"The broker refused: {reason}")
        client.subscribe(RESULTS, qos=1)
        print(f"listening to {RESULTS}", flush=True)

    def on_message(client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        nonlocal left
        body = json.loads(message.payload)
        print(f"{body['node']} {body['camera']} frame {body['frame']}: {in_words(body['result'])}", flush=True)
        if left is not None:
            left -= 1
            if left == 0:
                client.disconnect()

    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.on_connect = on_connect
    client.on_message = on_message
    try:
        client.connect(options.host, options.port)
        client.loop_forever()
    except OSError as error:
        sys.exit(f"There is no broker at {options.host}:{options.port}: {error}. Start one: edgesdk fleet broker")
    except KeyboardInterrupt:
        client.disconnect()


def in_words(result: dict[str, object]) -> str:
    """Say what was found; a kind that is not known here is shown as it came."""
    listed = result.get("objects") or result.get("classes")
    if isinstance(listed, list):
        return ", ".join(f"{one['label']} {one['score']:.2f}" for one in listed)
    return str(result.get("text", result))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""flood.py: sends UDP datagrams of some hundred flows to 10.9.0.0/24 until it is killed.

Links and addresses may come and go meanwhile: what cannot be sent is not sent.
"""

import itertools
import socket
import time

FLOWS, BURST, PAUSE = 400, 10, 0.01

sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
destinations = [(f"10.9.0.{1 + number % 200}", 1000 + number) for number in range(FLOWS)]
for count, destination in enumerate(itertools.cycle(destinations)):
    try:
        sender.sendto(b"netflow", destination)
    except OSError:
        time.sleep(PAUSE)
    if count % BURST == 0:
        time.sleep(PAUSE)

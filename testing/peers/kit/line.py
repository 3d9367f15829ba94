#!/usr/bin/python3
"""A bad line between two network namespaces, where the kernel has no netem: two tun devices and what carries packets between them.

  line.py --state DIR/ --here NAME --there NAME --namespace PID [--delay MS] [--loss PERCENT] [--rate MBIT] [--seed N]

Each way, a packet is lost with that chance, or comes out DELAY later, no faster than RATE. Makes DIR/ready once both devices are there;
runs until it is ended, and the devices end with it. Needs nothing but Python and `ip`.
"""
import argparse
import collections
import fcntl
import os
import random
import select
import struct
import subprocess
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454ca, 1, 0x1000
QUEUE = 1000   # packets, as netem's own limit


class Way:
    """What goes in at one device and comes out of the other."""

    def __init__(self, options, source, sink, chance):
        self.source, self.sink, self.chance = source, sink, chance
        self.delay, self.loss = options.delay / 1000, options.loss / 100
        self.rate = options.rate * 125_000
        self.queue, self.free = collections.deque(), 0.0

    def take(self, now):
        for _ in range(64):
            try:
                packet = os.read(self.source, 65536)
            except BlockingIOError:
                return
            if self.chance.random() < self.loss or len(self.queue) >= QUEUE:
                continue
            self.free = max(self.free, now) + (len(packet) / self.rate if self.rate else 0)
            self.queue.append((self.free + self.delay, packet))

    def give(self, now):
        while self.queue and self.queue[0][0] <= now:
            try:
                os.write(self.sink, self.queue.popleft()[1])
            except OSError:   # the device is not up yet, or full: lost, as on a line
                pass


def device(name):
    descriptor = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack('16sH22x', name.encode(), IFF_TUN | IFF_NO_PI))
    return descriptor


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--state', required=True)
    parser.add_argument('--here', required=True)
    parser.add_argument('--there', required=True)
    parser.add_argument('--namespace', required=True)
    parser.add_argument('--delay', type=float, default=0)
    parser.add_argument('--loss', type=float, default=0)
    parser.add_argument('--rate', type=float, default=0)
    parser.add_argument('--seed', type=int, default=1)
    options = parser.parse_args()

    here, there = device(options.here), device('line-there')
    subprocess.run(['ip', 'link', 'set', 'line-there', 'netns', options.namespace, 'name', options.there], check=True)
    chance = random.Random(options.seed)
    ways = [Way(options, here, there, chance), Way(options, there, here, chance)]
    open(os.path.join(options.state, 'ready'), 'w').close()
    poll = select.poll()
    for way in ways:
        poll.register(way.source, select.POLLIN)
    while True:
        now = time.monotonic()
        waits = [way.queue[0][0] - now for way in ways if way.queue]
        poll.poll(max(0, min(waits)) * 1000 if waits else None)
        now = time.monotonic()
        for way in ways:
            way.take(now)
            way.give(time.monotonic())


main()

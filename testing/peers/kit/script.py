"""What the scriptable clients have in common: options, one JSON object a line on stdout, a log-in and an end in good order."""
import argparse
import asyncio
import json
import logging
import os
import signal
import sys

from slixmpp.exceptions import IqError, IqTimeout


def emit(**fields):
    try:
        print(json.dumps(fields), flush=True)
    except BrokenPipeError:   # whoever read has seen enough
        sys.stdout = open(os.devnull, 'w')


def command_line(manual, commands):
    parser = argparse.ArgumentParser(description=manual, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--jid', required=True)
    parser.add_argument('--password', required=True)
    parser.add_argument('--host')
    parser.add_argument('--port', type=int, default=5222)
    parser.add_argument('--ca', help='certificate authority to trust, PEM')
    parser.add_argument('--out', default='.', help='folder for what is received')
    parser.add_argument('--block', type=int, default=4096)
    parser.add_argument('--stop-after', type=int, help='break off after so many bytes')
    parser.add_argument('--timeout', type=float, default=60, help='seconds to log in')
    parser.add_argument('--debug', action='store_true')
    parser.add_argument('command', choices=commands)
    parser.add_argument('args', nargs='*')
    return parser


async def perform(make, options, command):
    """Makes a client by the options, logs in, does what was asked for and logs out; returns the exit status, which `command` may choose."""
    logging.basicConfig(level=logging.DEBUG if options.debug else logging.CRITICAL)
    peer = make(options)
    peer.out.mkdir(parents=True, exist_ok=True)

    async def work():
        peer.connect(*((options.host, options.port) if options.host else ()))
        await asyncio.wait_for(peer.online, options.timeout)
        address = peer.transport.get_extra_info('peername')
        emit(event='online', jid=str(peer.boundjid), server=f'{address[0]}:{address[1]}')
        status = await command(peer, *options.args)
        await peer.get_roster()   # a round trip: the server has all that was sent before it
        return status

    # A killed client would stay behind as a hibernating session: end the stream in good order.
    task = asyncio.ensure_future(work())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    status = 0
    try:
        status = await task or 0
    except asyncio.CancelledError:
        pass
    except (IqError, IqTimeout, OSError, LookupError, TypeError, ValueError, asyncio.TimeoutError) as error:
        emit(event='failed', error=f'{type(error).__name__}: {error}')
        status = 1
    await peer.disconnect(wait=2)
    return status

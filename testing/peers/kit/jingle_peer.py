#!/usr/bin/env python3
"""File transfer by Jingle, written from the documents and sharing no line with Balcony: XEP-0166, 0234, 0260, 0261, 0358.

  jingle_peer.py --jid alice@localhost/x --password alicepw --ca ca.crt --host 127.0.0.1 --port 15222 COMMAND ...

  offer TO_FULL_JID FILE        offer a file and send it
  several TO_FULL_JID FILE...   offer several in one session; +FILE is added while the first of them is under way
  take [SECONDS]                accept whatever is offered, into --out
  ask TO_FULL_JID FILE...       request the files that have the digests of these, in one session; +FILE is added
  give FILE [SECONDS]           answer requests for FILE by its digest; also starts published sessions: prints their id
  start JID ID                  start a published session and take what comes
  devices XML                   send XML, print the presence that comes
  say XML [SECONDS]             send XML as it is and print all that comes

One JSON object a line on stdout. `went` names the way the bytes took: direct, proxy or in-band. slixmpp carries the stanzas and the
in-band bytestreams (its XEP-0047); sessions and SOCKS5 sockets are made here.

How it behaves, to meet every branch of the other side:
  --transport s5b|ibb      what it offers; s5b falls back to ibb
  --version 5|4            namespace of the file description
  --address IP             where it can be reached; without it no direct candidate
  --no-proxy               looks for no proxy
  --deaf                   its direct candidates lead nowhere
  --timid                  dials nobody
  --block N, --messages    in-band block size, and chunks in messages
  --hash-later             hash-used in the offer, checksum at the end
  --replace                as the accepting side, asks for in-band itself when SOCKS5 failed
  --offset N               as the accepting side, wants the file from there
  --stop-after N           breaks off after so many bytes, without a word
  --add-offer FILE, --add-ask FILE   as the accepting side, adds an offer or a request of its own to the session
"""
import asyncio
import pathlib

from slixmpp.xmlstream import tostring
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import StanzaPath

from jingle.opening import in_one_session, offer
from jingle.peer import Peer
from jingle.words import PATIENCE, PUBLISHED, Ended, element
from script import command_line, emit, perform


async def take(peer, seconds=3600):
    await asyncio.sleep(float(seconds))


async def several(peer, to, *files):
    await in_one_session(peer, to, files, True)


async def ask(peer, to, *files):
    await in_one_session(peer, to, files, False)


async def give(peer, file, seconds=3600):
    peer.gives = pathlib.Path(file)
    emit(event='gives', id='the-file', jid=str(peer.boundjid))
    await asyncio.sleep(float(seconds))


async def start(peer, jid, name):
    answer = await peer.request(jid, element(PUBLISHED, 'start', id=name), 'get')
    emit(event='starting', sid=answer.xml.find(f'{{{PUBLISHED}}}starting').get('sid'))
    while not peer.tasks:
        await asyncio.sleep(0.01)
    await asyncio.gather(*peer.tasks)


async def devices(peer, xml):
    def show(stanza):
        emit(event='presence', type=stanza.xml.get('type', 'available'), **{'from': str(stanza['from'])})
    peer.register_handler(Callback('print presence', StanzaPath('presence'), show))
    peer.send_raw(xml)
    await asyncio.sleep(PATIENCE)


async def say(peer, xml, seconds=2):
    def show(stanza):
        emit(event=stanza.name, type=stanza['type'], **{'from': str(stanza['from'])}, xml=tostring(stanza.xml))
    for kind in ('iq', 'message'):
        peer.register_handler(Callback(f'print {kind}', StanzaPath(kind), show))
    for one in xml.split('\n'):
        peer.send_raw(one)
    await asyncio.sleep(float(seconds))


COMMANDS = {'offer': offer, 'several': several, 'take': take, 'ask': ask, 'give': give, 'start': start, 'devices': devices, 'say': say}


async def command(peer, *args):
    try:
        await COMMANDS[peer.options.command](peer, *args)
    except Ended as reason:
        emit(event='ended', reason=str(reason))
        return 1


async def main():
    parser = command_line(__doc__, COMMANDS)
    parser.add_argument('--transport', choices=('s5b', 'ibb'), default='s5b')
    parser.add_argument('--version', type=int, choices=(4, 5), default=5)
    parser.add_argument('--address')
    parser.add_argument('--offset', type=int)
    parser.add_argument('--add-offer')
    parser.add_argument('--add-ask')
    for flag in ('no-proxy', 'deaf', 'timid', 'messages', 'hash-later', 'replace'):
        parser.add_argument(f'--{flag}', action='store_true')
    return await perform(Peer, parser.parse_args(), command)


raise SystemExit(asyncio.run(main()))

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
import argparse
import asyncio
import base64
import copy
import hashlib
import json
import logging
import os
import pathlib
import secrets
import signal
import sys
import time
from xml.etree import ElementTree as ET

import slixmpp
from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.xmlstream import tostring
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath, StanzaPath

JINGLE = 'urn:xmpp:jingle:1'
FILE = 'urn:xmpp:jingle:apps:file-transfer:'
S5B = 'urn:xmpp:jingle:transports:s5b:1'
IBB = 'urn:xmpp:jingle:transports:ibb:1'
HASHES = 'urn:xmpp:hashes:2'
PUBLISHED = 'urn:xmpp:jinglepub:1'
SOCKS = 'http://jabber.org/protocol/bytestreams'
PATIENCE = 15


def emit(**fields):
    try:
        print(json.dumps(fields), flush=True)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, 'w')


def element(space, name, parent=None, text=None, /, **attributes):
    attributes = {key.replace('_', '-'): str(value) for key, value in attributes.items() if value is not None}
    made = ET.Element(f'{{{space}}}{name}', attributes) if parent is None else ET.SubElement(parent, f'{{{space}}}{name}', attributes)
    made.text = text
    return made


def local(node):
    return node.tag.split('}')[-1]


def space(node):
    return node.tag[1:].split('}')[0]


class Ended(Exception):
    """The other side ended the session: with this reason."""


class Failed(Exception):
    """What this side could not do."""


# SOCKS5 of XEP-0065: no authentication, a name of forty hex digits, port 0.

async def socks_connect(host, port, name, timeout=2):
    async def go():
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b'\x05\x01\x00')
        if await reader.readexactly(2) != b'\x05\x00':
            raise Failed('no method')
        writer.write(b'\x05\x01\x00\x03' + bytes([len(name)]) + name.encode() + b'\x00\x00')
        head = await reader.readexactly(4)
        if head[1]:
            raise Failed(f'refused: {head[1]}')
        await reader.readexactly({1: 4, 4: 16}[head[3]] + 2 if head[3] != 3 else (await reader.readexactly(1))[0] + 2)
        return reader, writer
    return await asyncio.wait_for(go(), timeout)


class Listener:
    """Takes connections that name one of our streams."""

    def __init__(self, address):
        self.address, self.wanted, self.port = address, {}, None

    async def start(self):
        server = await asyncio.start_server(self.welcome, self.address, 0)
        self.port = server.sockets[0].getsockname()[1]

    async def welcome(self, reader, writer):
        try:
            methods = (await reader.readexactly(2))[1]
            await reader.readexactly(methods)
            writer.write(b'\x05\x00')
            head = await reader.readexactly(5)
            name = (await reader.readexactly(head[4])).decode()
            await reader.readexactly(2)
            known = self.wanted.get(name)
            if known is None or known.done():
                writer.write(b'\x05\x02\x00\x03' + bytes([len(name)]) + name.encode() + b'\x00\x00')
                writer.close()
                return
            writer.write(b'\x05\x00\x00\x03' + bytes([len(name)]) + name.encode() + b'\x00\x00')
            known.set_result((reader, writer))
        except (asyncio.IncompleteReadError, OSError):
            writer.close()


class Group:
    """All contents of one session: each hears what is said about it, and all hear what is said about the session."""

    def __init__(self):
        self.parts, self.open, self.begun = {}, set(), asyncio.Event()

    def add(self, part):
        self.parts[part.content['name']] = part
        self.open.add(part.content['name'])

    def is_last(self, part):
        """This one is over; whether none is left."""
        self.open.discard(part.content['name'])
        return not self.open

    def put(self, jingle):
        about = [node for node in jingle if local(node) in ('content', 'received', 'checksum') and node.get('name')]
        if not about:
            for part in self.parts.values():
                part.inbox.put_nowait(jingle)
        for node in about:
            if node.get('name') in self.parts:
                alone = copy.copy(jingle)
                for other in about:
                    if other is not node:
                        alone.remove(other)
                self.parts[node.get('name')].inbox.put_nowait(alone)

    def is_replacing(self, jingle):
        """Whether we ask for another transport just now, and our word counts."""
        parts = [self.parts.get(node.get('name')) for node in jingle]
        return any(part is not None and part.is_initiator and part.replaces for part in parts)


class Session:
    """One content of a session, in either role."""

    def __init__(self, peer, other, sid, is_initiator, sends, content=None):
        self.peer, self.other, self.sid, self.is_initiator, self.sends = peer, other, sid, is_initiator, sends
        self.options = peer.options
        self.content = content or {'creator': 'initiator', 'name': 'a-file'}
        self.group = peer.sessions.setdefault((other, sid), Group())
        self.group.add(self)
        self.inbox = asyncio.Queue()
        self.later = []
        self.stream_sid = secrets.token_hex(8)
        self.candidates = {}   # ours, by cid
        self.replaces = False
        self.began = time.monotonic()

    # Stanzas

    async def say(self, action, *children, reason=None, **attributes):
        jingle = element(JINGLE, 'jingle', action=action, sid=self.sid, **attributes)
        if children:
            content = element(JINGLE, 'content', jingle, **self.content)
            content.extend(children)
        if reason:
            element(JINGLE, reason, element(JINGLE, 'reason', jingle))
        return await self.peer.request(self.other, jingle)

    async def info(self, payload):
        jingle = element(JINGLE, 'jingle', action='session-info', sid=self.sid)
        jingle.append(payload)
        return await self.peer.request(self.other, jingle)

    async def next(self, what, timeout=PATIENCE):
        """The next action for which `what` says yes; others are kept for later. An end is an exception."""
        deadline = time.monotonic() + timeout
        for index, jingle in enumerate(self.later):
            if what(jingle):
                return self.later.pop(index)
        while True:
            jingle = await asyncio.wait_for(self.inbox.get(), max(0, deadline - time.monotonic()))
            if what(jingle):
                return jingle
            if jingle.get('action') == 'session-terminate':
                raise Ended(self.reason(jingle))
            self.later.append(jingle)

    @staticmethod
    def reason(jingle):
        found = jingle.find(f'{{{JINGLE}}}reason')
        return ' '.join(local(child) + (f' ({child.text})' if child.text else '') for child in found) if found is not None else ''

    def replaced(self, jingle):
        return jingle.get('action') == 'transport-replace'

    # The file

    def description(self, path, offset=None):
        version = self.options.version
        spaces = FILE + str(version)
        made = element(spaces, 'description')
        file = element(spaces, 'file', made)
        data = path.read_bytes()
        element(spaces, 'name', file, path.name)
        element(spaces, 'size', file, str(len(data)))
        element(spaces, 'media-type', file, 'application/octet-stream')
        digest = hashlib.sha256(data)
        if version == 4:
            element('urn:xmpp:hashes:1', 'hash', file, digest.hexdigest(), algo='sha-256')
        elif self.options.hash_later:
            element(HASHES, 'hash-used', file, algo='sha-256')
        else:
            element(HASHES, 'hash', file, base64.b64encode(digest.digest()).decode(), algo='sha-256')
        element(spaces, 'range', file, offset=offset)
        return made

    def request(self, path):
        spaces = f'{FILE}{self.options.version}'
        wanted = element(spaces, 'description')
        wish = element(spaces, 'file', wanted)
        element(HASHES, 'hash', wish, base64.b64encode(hashlib.sha256(path.read_bytes()).digest()).decode(), algo='sha-256')
        if self.options.offset:
            element(spaces, 'range', wish, offset=self.options.offset)
        return wanted

    async def proposed(self, path):
        """The content as it is said first: an offer of this file, or a request for it."""
        self.expect_in_band()
        senders = 'initiator' if self.sends == self.is_initiator else 'responder'
        content = element(JINGLE, 'content', **self.content, senders=senders)
        content.append(self.description(path) if self.sends else self.request(path))
        content.append(await self.own_transport(self.options.transport))
        return content

    async def answered(self, path):
        """All that follows, once the other side has decided."""
        answers = ('session-accept', 'content-accept', 'content-reject', 'content-remove')
        try:
            answer = await self.next(lambda j: j.get('action') in answers, 60)
        except Ended as reason:
            self.group.is_last(self)
            return emit(event='refused', name=path.name, reason=str(reason), action='session-terminate')
        if answer.get('action') in answers[2:]:
            self.group.is_last(self)
            return emit(event='refused', name=path.name, reason=self.reason(answer), action=answer.get('action'))
        file = next(node for node in answer.iter() if local(node) == 'file')
        spaces = space(file)
        if self.sends:
            ranged = file.find(f'{{{spaces}}}range')
            return await self.deliver(path, answer, int(ranged.get('offset', 0)) if ranged is not None else 0)
        if file.find(f'{{{spaces}}}size') is None:
            element(spaces, 'size', file, str(path.stat().st_size))
        await self.fetch(answer, file, spaces)

    # SOCKS5

    def dstaddr(self, offering, other):
        return hashlib.sha1(f'{self.stream_sid}{offering}{other}'.encode()).hexdigest()

    async def own_transport(self, kind):
        if kind == 'ibb':
            return element(IBB, 'transport', block_size=self.options.block, sid=self.stream_sid,
                           stanza='message' if self.options.messages else None)
        transport = element(S5B, 'transport', sid=self.stream_sid)
        me = str(self.peer.boundjid)
        self.own_name = self.dstaddr(me, self.other)
        if self.options.address:
            self.peer.listener.wanted[self.own_name] = self.reached = asyncio.get_running_loop().create_future()
            port = 9 if self.options.deaf else self.peer.listener.port
            self.offer(transport, 'direct', 126 * 65536 + 1, host=self.options.address, port=port, jid=me)
        if not self.options.no_proxy:
            for jid, host, port in await self.peer.proxies():
                self.offer(transport, 'proxy', 10 * 65536 + 1, host=host, port=port, jid=jid)
        if any(candidate['type'] == 'proxy' for candidate in self.candidates.values()):
            transport.set('dstaddr', self.own_name)
        return transport

    def offer(self, transport, kind, priority, **more):
        candidate = {'cid': secrets.token_hex(4), 'priority': str(priority), 'type': kind, **{key: str(value) for key, value in more.items()}}
        self.candidates[candidate['cid']] = candidate
        element(S5B, 'candidate', transport, **candidate)

    async def say_transport(self, name, **attributes):
        transport = element(S5B, 'transport', sid=self.stream_sid)
        element(S5B, name, transport, **attributes)
        await self.say('transport-info', transport)

    @staticmethod
    def told(jingle, *names):
        for node in jingle.iter():
            if space(node) == S5B and local(node) in names:
                return node
        return None

    async def s5b(self, theirs):
        """A stream by one of their candidates or of ours: (reader, writer), or Failed."""
        candidates = sorted(theirs.findall(f'{{{S5B}}}candidate'), key=lambda c: -int(c.get('priority', 0)))
        their_name = theirs.get('dstaddr') or self.dstaddr(self.other, self.peer.boundjid)
        used, stream = None, None
        for candidate in [] if self.options.timid else candidates:
            try:
                stream = await socks_connect(candidate.get('host'), int(candidate.get('port', 1080)), their_name)
                used = candidate
                break
            except (Failed, OSError, asyncio.TimeoutError, asyncio.IncompleteReadError) as error:
                emit(event='dialled_in_vain', host=candidate.get('host'), type=candidate.get('type'), error=str(error) or 'timeout')
        if used is not None:
            await self.say_transport('candidate-used', cid=used.get('cid'))
        else:
            await self.say_transport('candidate-error')
        verdict = self.told(await self.next(lambda j: self.told(j, 'candidate-used', 'candidate-error') is not None),
                            'candidate-used', 'candidate-error')
        ours = self.candidates.get(verdict.get('cid')) if local(verdict) == 'candidate-used' else None
        if used is None and ours is None:
            raise Failed('no candidate')
        if used is not None and ours is not None:   # the higher priority, and if equal what the initiator chose
            mine, other = int(used.get('priority')), int(ours['priority'])
            if mine > other or mine == other and self.is_initiator:
                ours = None
            else:
                used = None
        if ours is None:
            if used.get('type') == 'proxy':
                await self.next(lambda j: self.told(j, 'activated') is not None)
            self.went = used.get('type', 'direct')
            return stream
        if ours['type'] != 'proxy':
            self.went = ours['type']
            return await asyncio.wait_for(self.reached, 5)
        stream = await socks_connect(ours['host'], int(ours['port']), self.own_name)
        query = element(SOCKS, 'query', sid=self.stream_sid)
        element(SOCKS, 'activate', query, self.other)
        await self.peer.request(ours['jid'], query)
        await self.say_transport('activated', cid=ours['cid'])
        self.went = 'proxy'
        return stream

    # Both: agree on a transport, then on the next if it fails.

    async def agree(self, jingle):
        """From the other side's initiate or accept to a stream: ('s5b', (reader, writer)) or ('ibb', block size)."""
        theirs = next(node for node in jingle.iter() if local(node) == 'transport' and space(node) in (S5B, IBB))
        if space(theirs) == S5B:
            try:
                return 's5b', await self.s5b(theirs)
            except (Failed, OSError, asyncio.TimeoutError, IqError) as error:
                emit(event='fell_back', error=str(error))
                theirs = await self.fall_back()
        self.went = 'in-band'
        self.stream_sid = theirs.get('sid')
        return 'ibb', min(int(theirs.get('block-size', 4096)), self.options.block)

    async def fall_back(self):
        """In-band instead: asked for by the initiator, or as told by the other side as well; if both do, the initiator's counts."""
        if self.is_initiator or self.options.replace:
            self.replaces, self.stream_sid = True, secrets.token_hex(8)
            self.expect_in_band()
            try:
                await self.say('transport-replace', await self.own_transport('ibb'))
                answers = ('transport-accept', 'transport-reject') + (() if self.is_initiator else ('transport-replace',))
                answer = await self.next(lambda j: j.get('action') in answers)
            except IqError:
                if self.is_initiator:
                    raise
                answer = await self.next(self.replaced)
            if answer.get('action') == 'transport-accept':
                return answer.find(f'.//{{{IBB}}}transport')
            if answer.get('action') == 'transport-reject':
                raise Failed('the fallback was rejected')
        else:
            answer = await self.next(self.replaced)
        theirs = answer.find(f'.//{{{IBB}}}transport')
        self.stream_sid = theirs.get('sid')
        self.expect_in_band()
        block = min(int(theirs.get('block-size', 4096)), self.options.block)
        await self.say('transport-accept', element(IBB, 'transport', sid=self.stream_sid, block_size=block, stanza=theirs.get('stanza')))
        return theirs

    def expect_in_band(self):
        self.peer.in_band[self.stream_sid] = self.opened = asyncio.get_running_loop().create_future()

    # Bytes

    async def send(self, data, kind, stream):
        stop = self.options.stop_after
        if stop is not None:
            data = data[:stop]
        if kind == 's5b':
            writer = stream[1]
            for at in range(0, len(data), 1 << 16):
                writer.write(data[at:at + (1 << 16)])
                await writer.drain()
            if stop is not None:
                writer.close()
                raise Failed('stopped, as told')
            writer.write_eof()   # Prosody's proxy keeps the last bytes until then
            return writer
        # Whoever initiated the session opens the in-band stream; without an answer here we wait for theirs.
        if self.is_initiator:
            band = await self.peer.plugin['xep_0047'].open_stream(slixmpp.JID(self.other), block_size=stream, sid=self.stream_sid,
                                                                  use_messages=self.options.messages, timeout=PATIENCE)
        else:
            band = await asyncio.wait_for(self.opened, PATIENCE)
        await band.sendall(data, timeout=PATIENCE)
        if stop is not None:
            raise Failed('stopped, as told')
        return band

    async def receive(self, size, kind, stream):
        data = bytearray()
        if kind == 's5b':
            while len(data) < size:
                read = await asyncio.wait_for(stream[0].read(1 << 18), PATIENCE)
                if not read:
                    break
                data += read
            return bytes(data)
        if self.is_initiator:
            band = await self.peer.plugin['xep_0047'].open_stream(slixmpp.JID(self.other), block_size=stream, sid=self.stream_sid,
                                                                  timeout=PATIENCE)
        else:
            band = await asyncio.wait_for(self.opened, PATIENCE)
        while len(data) < size:
            data += await asyncio.wait_for(band.recv_queue.get(), PATIENCE)
        return bytes(data)

    async def end(self):
        """The last one is received: where there were others, the side that took them may have an end of its own to say."""
        try:
            await self.next(lambda _: False, 2 if len(self.group.parts) > 1 else 0)
        except Ended:
            return
        except asyncio.TimeoutError:
            await self.say('session-terminate', reason='success')

    def report(self, event, data, **more):
        emit(event=event, bytes=len(data), sha256=hashlib.sha256(data).hexdigest(), went=self.went, peer=self.other,
             seconds=round(time.monotonic() - self.began, 3), **more)

    async def deliver(self, path, jingle, offset=0):
        """Everything after the answer of the side that takes."""
        kind, stream = await self.agree(jingle)
        self.group.begun.set()
        self.began = time.monotonic()
        data = path.read_bytes()[offset:]
        line = await self.send(data, kind, stream)
        if self.options.hash_later:
            checksum = element(FILE + '5', 'checksum', **self.content)
            file = element(FILE + '5', 'file', checksum)
            digest = base64.b64encode(hashlib.sha256(path.read_bytes()).digest()).decode()
            element(HASHES, 'hash', file, digest, algo='sha-256')
            await self.info(checksum)
        ended = 'received'
        try:
            answer = await self.next(lambda j: j.get('action') == 'session-info' and any(local(n) == 'received' for n in j), 60)
            ended = local(answer[0])
            if self.group.is_last(self):
                await self.end()
        except Ended as reason:
            ended = str(reason)
        if kind == 's5b':
            line.close()
        self.report('sent', data, name=path.name, ended=ended)

    async def fetch(self, jingle, file, spaces):
        """The same for the side that takes."""
        self.group.begun.set()
        size = int(file.findtext(f'{{{spaces}}}size') or 0) - (self.options.offset or 0)
        name = (file.findtext(f'{{{spaces}}}name') or 'unnamed').replace('/', '_')
        kind, stream = await self.agree(jingle)
        self.began = time.monotonic()
        data = await self.receive(size, kind, stream)
        path = self.peer.out / name
        path.write_bytes(data)
        if len(data) == size:
            await self.info(element(spaces, 'received', **self.content))
            ended = 'received'
            try:
                if self.group.is_last(self):
                    await self.next(lambda _: False, 3)
            except Ended as reason:
                ended = str(reason)
            except asyncio.TimeoutError:
                await self.say('session-terminate', reason='success')
        else:
            ended = 'cut short'
        self.report('taken', data, name=name, path=str(path), ended=ended)


class Peer(slixmpp.ClientXMPP):
    def __init__(self, options):
        super().__init__(options.jid, options.password)
        self.options = options
        self.out = pathlib.Path(options.out)
        self.ca_certs = options.ca
        self.enable_direct_tls, self.enable_starttls = False, True
        for number in ('0030', '0047', '0065', '0115', '0199'):
            self.register_plugin(f'xep_{number}')
        self.plugin['xep_0047'].auto_accept = True
        self.plugin['xep_0047'].max_block_size = 65535
        spaces = [JINGLE, f'{FILE}{options.version}', IBB] + ([] if options.transport == 'ibb' else [S5B])
        self.features = spaces + [PUBLISHED, HASHES, 'urn:xmpp:hash-function-text-names:sha-256']
        self.sessions, self.in_band, self.listener = {}, {}, Listener(options.address or '127.0.0.1')
        self.gives, self.awaits, self.tasks = None, {}, set()
        self.found = None
        self.online = asyncio.get_running_loop().create_future()
        self.register_handler(Callback('jingle', MatchXPath(f'{{jabber:client}}iq/{{{JINGLE}}}jingle'), self.on_jingle))
        self.register_handler(Callback('start', MatchXPath(f'{{jabber:client}}iq/{{{PUBLISHED}}}start'), self.on_start))
        self.add_event_handler('session_start', self.on_session)
        self.add_event_handler('ibb_stream_start', self.on_in_band)
        self.add_event_handler('failed_auth', lambda _: self.refuse('authentication failed'))

    def refuse(self, why):
        if not self.online.done():
            self.online.set_exception(ConnectionError(why))

    async def on_session(self, _):
        for feature in self.features:
            self.plugin['xep_0030'].add_feature(feature)
        await self.plugin['xep_0115'].update_caps(broadcast=False)
        self.send_presence()
        await self.get_roster()
        await self.listener.start()
        if not self.online.done():
            self.online.set_result(True)

    async def request(self, to, payload, kind='set'):
        iq = self.make_iq(itype=kind, ito=to)
        iq.append(payload)
        return await iq.send(timeout=PATIENCE)

    def on_in_band(self, stream):
        known = self.in_band.get(stream.sid)
        if known is not None and not known.done():
            known.set_result(stream)

    async def proxies(self):
        if self.found is None:
            self.found = []
            items = await self.plugin['xep_0030'].get_items(jid=self.boundjid.host, timeout=5)
            for item in items['disco_items']['items']:
                jid = str(item[0])
                try:
                    info = await self.plugin['xep_0030'].get_info(jid=jid, timeout=5)
                    if not any(identity[:2] == ('proxy', 'bytestreams') for identity in info['disco_info']['identities']):
                        continue
                    answer = await self.request(jid, element(SOCKS, 'query'), 'get')
                except (IqError, IqTimeout):
                    continue
                for host in answer.xml.iter(f'{{{SOCKS}}}streamhost'):
                    self.found.append((host.get('jid'), host.get('host'), int(host.get('port', 1080))))
        return self.found

    def spawn(self, work):
        async def guarded():
            try:
                await work
            except Ended as reason:
                emit(event='ended', reason=str(reason))
            except (Failed, OSError, IqError, IqTimeout, asyncio.TimeoutError, asyncio.IncompleteReadError) as error:
                emit(event='broken', error=f'{type(error).__name__}: {error}')
        task = asyncio.ensure_future(guarded())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def on_jingle(self, iq):
        if iq['type'] not in ('get', 'set'):
            return
        jingle = iq.xml.find(f'{{{JINGLE}}}jingle')
        key, action = (str(iq['from']), jingle.get('sid')), jingle.get('action')
        emit(event='jingle', action=action, **{'from': key[0]}, xml=tostring(iq.xml))
        if action == 'session-initiate' and key not in self.sessions:
            iq.reply().send()
            self.incoming(key, jingle)
        elif action == 'transport-replace' and key in self.sessions and self.sessions[key].is_replacing(jingle):
            self.wrong(iq, 'conflict', 'tie-break')
        elif key in self.sessions:
            iq.reply().send()
            self.sessions[key].put(jingle)
        else:
            self.wrong(iq, 'item-not-found', 'unknown-session')

    @staticmethod
    def wrong(iq, condition, detail):
        answer = iq.reply().error()
        answer['error']['condition'] = condition
        element('urn:xmpp:jingle:errors:1', detail, answer['error'].xml)
        answer.send()

    def incoming(self, key, jingle):
        content = jingle.find(f'{{{JINGLE}}}content')
        description = next(node for node in content if local(node) == 'description')
        spaces = space(description)
        file = description.find(f'{{{spaces}}}file')
        named = {'creator': content.get('creator'), 'name': content.get('name')}
        is_request = content.get('senders') == 'responder'
        session = Session(self, key[0], key[1], False, is_request, named)
        theirs = next(node for node in content if local(node) == 'transport')
        session.stream_sid = theirs.get('sid')
        session.expect_in_band()

        async def answer():
            if is_request:
                wanted = [node.text for node in file.iter() if local(node) == 'hash']
                data = self.gives.read_bytes() if self.gives else None
                if data is None or base64.b64encode(hashlib.sha256(data).digest()).decode() not in wanted:
                    await session.say('session-terminate', reason='failed-application')
                    raise Failed('asked for what is not here')
            ranged = file.find(f'{{{spaces}}}range')
            offset = int(ranged.get('offset', 0)) if is_request and ranged is not None else 0
            accepted = element(spaces, 'description')
            accepted.append(file)
            if self.options.offset and not is_request:
                if ranged is None:
                    raise Failed('no ranges are offered')
                ranged.set('offset', str(self.options.offset))
            kind = 'ibb' if space(theirs) == IBB else 's5b'
            transport = await session.own_transport(kind)
            if kind == 'ibb':
                transport.set('block-size', str(min(int(theirs.get('block-size', 4096)), self.options.block)))
                if theirs.get('stanza'):
                    transport.set('stanza', theirs.get('stanza'))
            session.content['senders'] = content.get('senders') or 'initiator'
            await session.say('session-accept', accepted, transport, responder=str(self.boundjid))
            del session.content['senders']
            for path, sends in ((self.options.add_offer, True), (self.options.add_ask, False)):
                if path is not None:
                    self.spawn(another(self, key[0], key[1], pathlib.Path(path), False, sends, 'added'))
            if is_request:
                await session.deliver(self.gives, jingle, offset)
            else:
                await session.fetch(jingle, file, spaces)
        self.spawn(answer())

    def on_start(self, iq):
        if self.gives is None or iq['type'] != 'get':
            answer = iq.reply().error()
            answer['error']['condition'] = 'not-acceptable'
            return answer.send()
        sid, answer = secrets.token_hex(8), iq.reply()
        answer.append(element(PUBLISHED, 'starting', sid=sid))
        answer.send()
        self.spawn(offer(self, str(iq['from']), self.gives, sid))


async def offer(peer, to, file, sid=None):
    path = pathlib.Path(file)
    session = Session(peer, to, sid or secrets.token_hex(8), True, True)
    session.expect_in_band()
    transport = await session.own_transport(peer.options.transport)
    session.content['senders'] = 'initiator'
    await session.say('session-initiate', session.description(path), transport, initiator=str(peer.boundjid))
    del session.content['senders']
    emit(event='offered', sid=session.sid)
    accept = await session.next(lambda j: j.get('action') == 'session-accept', 60)
    ranged = next((node for node in accept.iter() if local(node) == 'range'), None)
    offset = int(ranged.get('offset', 0)) if ranged is not None else 0
    await session.deliver(path, accept, offset)


async def take(peer, seconds=3600):
    await asyncio.sleep(float(seconds))


async def several(peer, to, *files):
    await in_one_session(peer, to, files, True)


async def ask(peer, to, *files):
    await in_one_session(peer, to, files, False)


async def in_one_session(peer, to, files, sends):
    """A session with all of them; what is marked with a plus is added to it once bytes are under way."""
    sid, paths = secrets.token_hex(8), [pathlib.Path(file) for file in files if not file.startswith('+')]
    parts = [Session(peer, to, sid, True, sends, {'creator': 'initiator', 'name': f'file {at}'}) for at in range(len(paths))]
    jingle = element(JINGLE, 'jingle', action='session-initiate', sid=sid, initiator=str(peer.boundjid))
    for part, path in zip(parts, paths):
        jingle.append(await part.proposed(path))
    await peer.request(to, jingle)
    emit(event='offered' if sends else 'asked', sid=sid)
    under_way = [peer.spawn(part.answered(path)) for part, path in zip(parts, paths)]
    for at, file in enumerate(file[1:] for file in files if file.startswith('+')):
        await asyncio.wait_for(peer.sessions[to, sid].begun.wait(), 60)
        under_way.append(peer.spawn(another(peer, to, sid, pathlib.Path(file), True, sends, f'added {at}')))
    await asyncio.gather(*under_way)


async def another(peer, to, sid, path, is_initiator, sends, name):
    """One more content in a session under way."""
    part = Session(peer, to, sid, is_initiator, sends, {'creator': 'initiator' if is_initiator else 'responder', 'name': name})
    jingle = element(JINGLE, 'jingle', action='content-add', sid=sid)
    jingle.append(await part.proposed(path))
    await peer.request(to, jingle)
    await part.answered(path)


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


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--jid', required=True)
    parser.add_argument('--password', required=True)
    parser.add_argument('--host')
    parser.add_argument('--port', type=int, default=5222)
    parser.add_argument('--ca')
    parser.add_argument('--out', default='.')
    parser.add_argument('--transport', choices=('s5b', 'ibb'), default='s5b')
    parser.add_argument('--version', type=int, choices=(4, 5), default=5)
    parser.add_argument('--address')
    parser.add_argument('--block', type=int, default=4096)
    parser.add_argument('--offset', type=int)
    parser.add_argument('--stop-after', type=int)
    parser.add_argument('--add-offer')
    parser.add_argument('--add-ask')
    for flag in ('no-proxy', 'deaf', 'timid', 'messages', 'hash-later', 'replace', 'debug'):
        parser.add_argument(f'--{flag}', action='store_true')
    parser.add_argument('command', choices=COMMANDS)
    parser.add_argument('args', nargs='*')
    options = parser.parse_args()
    logging.basicConfig(level=logging.DEBUG if options.debug else logging.CRITICAL)

    peer = Peer(options)
    peer.out.mkdir(parents=True, exist_ok=True)

    async def work():
        peer.connect(*((options.host, options.port) if options.host else ()))
        await asyncio.wait_for(peer.online, 30)
        emit(event='online', jid=str(peer.boundjid))
        await COMMANDS[options.command](peer, *options.args)
        await peer.get_roster()   # a round trip: the server has all that was sent before it

    task = asyncio.ensure_future(work())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    status = 0
    try:
        await task
    except asyncio.CancelledError:
        pass
    except Ended as reason:
        emit(event='ended', reason=str(reason))
        status = 1
    except (Failed, IqError, IqTimeout, OSError, LookupError, TypeError, ValueError, asyncio.TimeoutError) as error:
        emit(event='failed', error=f'{type(error).__name__}: {error}')
        status = 1
    await peer.disconnect(wait=2)
    return status


raise SystemExit(asyncio.run(main()))

"""The transports: which are offered, which one both sides come to, and the next one where it fails (XEP-0260, 0261)."""
import asyncio
import hashlib
import secrets

from slixmpp.exceptions import IqError

from script import emit
from .socks import socks_connect
from .talk import Talk
from .words import IBB, PATIENCE, S5B, SOCKS, Failed, element, local, space


class Ways(Talk):
    """One content, and the way its bytes take."""

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
            return await asyncio.wait_for(self.reached, PATIENCE)
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

"""A file in a session, in either role: described, asked for, sent, taken (XEP-0234)."""
import asyncio
import base64
import hashlib
import time

import slixmpp

from script import emit
from .ways import Ways
from .words import FILE, HASHES, JINGLE, PATIENCE, Ended, Failed, element, local, space


class Session(Ways):
    """One content of a session: a file that goes one way."""

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
            await self.next(lambda _: False, PATIENCE if len(self.group.parts) > 1 else 0)
        except Ended:
            return
        except asyncio.TimeoutError:
            await self.say_end()

    def report(self, event, data, **more):
        emit(event=event, bytes=len(data), sha256=hashlib.sha256(data).hexdigest(), went=self.went, peer=self.other,
             seconds=round(time.monotonic() - self.began, 3), **more)

    async def deliver(self, path, jingle, offset=0):
        """Everything after the answer of the side that takes."""
        kind, stream = await self.agree(jingle)
        self.group.begun.set()
        await self.group.all_came.wait()
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
            await self.group.all_came.wait()
            await self.info(element(spaces, 'received', **self.content))
            ended = 'received'
            try:
                if self.group.is_last(self):
                    await self.next(lambda _: False, PATIENCE)
            except Ended as reason:
                ended = str(reason)
            except asyncio.TimeoutError:
                await self.say_end()
        else:
            ended = 'cut short'
        self.report('taken', data, name=name, path=str(path), ended=ended)

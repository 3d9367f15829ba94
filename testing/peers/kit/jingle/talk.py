"""What is said and heard in a session, which may have several contents."""
import asyncio
import copy
import secrets
import time

from slixmpp.exceptions import IqError

from .words import JINGLE, PATIENCE, Ended, element, local


class Group:
    """All contents of one session: each hears what is said about it, and all hear what is said about the session."""

    def __init__(self):
        self.parts, self.open, self.begun = {}, set(), asyncio.Event()
        self.coming, self.all_came = 0, asyncio.Event()
        self.all_came.set()

    def announce(self, count):
        """So many parts will be added: until then none of the others is whole, so that the session does not end before."""
        self.coming += count
        if self.coming:
            self.all_came.clear()

    def came(self):
        self.coming -= 1
        if not self.coming:
            self.all_came.set()

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


class Talk:
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

    async def say_end(self):
        try:
            await self.say('session-terminate', reason='success')
        except IqError:
            pass   # they said it at the same moment, and know the session no more

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

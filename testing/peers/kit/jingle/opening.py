"""How sessions begin here, and what is added to one under way."""
import asyncio
import pathlib
import secrets

from script import emit
from .session import Session
from .words import JINGLE, element, local


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


async def in_one_session(peer, to, files, sends):
    """A session with all of them; what is marked with a plus is added to it once bytes are under way."""
    sid, paths = secrets.token_hex(8), [pathlib.Path(file) for file in files if not file.startswith('+')]
    parts = [Session(peer, to, sid, True, sends, {'creator': 'initiator', 'name': f'file {at}'}) for at in range(len(paths))]
    parts[0].group.announce(len(files) - len(paths))
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
    """One more content in a session under way, as it was announced there."""
    part = Session(peer, to, sid, is_initiator, sends, {'creator': 'initiator' if is_initiator else 'responder', 'name': name})
    jingle = element(JINGLE, 'jingle', action='content-add', sid=sid)
    try:
        jingle.append(await part.proposed(path))
        await peer.request(to, jingle)
    finally:
        part.group.came()
    await part.answered(path)

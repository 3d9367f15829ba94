"""The device: logged in, with the sessions it has, answering what others open."""
import asyncio
import base64
import hashlib
import pathlib
import secrets

import slixmpp
from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.xmlstream import tostring
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from script import emit
from .opening import another, offer
from .session import Session
from .socks import Listener
from .words import FILE, HASHES, IBB, JINGLE, PATIENCE, PUBLISHED, S5B, SOCKS, Ended, Failed, element, local, space


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
        self.gives, self.tasks = None, set()
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
            items = await self.plugin['xep_0030'].get_items(jid=self.boundjid.host, timeout=PATIENCE)
            for item in items['disco_items']['items']:
                jid = str(item[0])
                try:
                    info = await self.plugin['xep_0030'].get_info(jid=jid, timeout=PATIENCE)
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
            added = [(path, sends) for path, sends in ((self.options.add_offer, True), (self.options.add_ask, False)) if path is not None]
            session.group.announce(len(added))
            for path, sends in added:
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

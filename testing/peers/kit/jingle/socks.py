"""SOCKS5 as XEP-0065 has it: no authentication, a name of forty hex digits, port 0."""
import asyncio

from .words import Failed


async def socks_connect(host, port, name, timeout=10):
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

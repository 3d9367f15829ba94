"""The words of the documents, elements made of them, and how a session ends badly."""
from xml.etree import ElementTree as ET

JINGLE = 'urn:xmpp:jingle:1'
FILE = 'urn:xmpp:jingle:apps:file-transfer:'
S5B = 'urn:xmpp:jingle:transports:s5b:1'
IBB = 'urn:xmpp:jingle:transports:ibb:1'
HASHES = 'urn:xmpp:hashes:2'
PUBLISHED = 'urn:xmpp:jinglepub:1'
SOCKS = 'http://jabber.org/protocol/bytestreams'
PATIENCE = 60   # for one answer: generous, since machines may be slow and nobody waits it out where all goes well


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


class Failed(ValueError):
    """What this side could not do."""

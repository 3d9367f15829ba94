//! Namespaces, by the names the documents give them.

/// Content namespace inside the house (RFC 6120); `jabber:server` and components are mapped to it at the border.
pub const CLIENT: &str = "jabber:client";
/// Content namespace between servers.
pub const SERVER: &str = "jabber:server";
/// XEP-0114
pub const COMPONENT_ACCEPT: &str = "jabber:component:accept";
/// RFC 6120 streams
pub const STREAM: &str = "http://etherx.jabber.org/streams";
/// RFC 6120 §4.9
pub const STREAM_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
/// RFC 6120 §8.3
pub const STANZA_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// RFC 6120 §5
pub const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
/// RFC 6120 §6
pub const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
/// RFC 6120 §7
pub const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
/// RFC 3921, still asked for by old clients
pub const SESSION: &str = "urn:ietf:params:xml:ns:xmpp-session";
/// RFC 6121 §2
pub const ROSTER: &str = "jabber:iq:roster";
/// RFC 6121 §2.6
pub const ROSTER_VERSIONING: &str = "urn:xmpp:features:rosterver";
/// RFC 6121 §3.4
pub const PRE_APPROVAL: &str = "urn:xmpp:features:pre-approval";
/// XEP-0004
pub const DATA_FORM: &str = "jabber:x:data";
/// XEP-0030
pub const DISCO_INFO: &str = "http://jabber.org/protocol/disco#info";
/// XEP-0030
pub const DISCO_ITEMS: &str = "http://jabber.org/protocol/disco#items";
/// XEP-0020
pub const FEATURE_NEG: &str = "http://jabber.org/protocol/feature-neg";
/// XEP-0045 §7.5, marks what is said in private through a room
pub const MUC_USER: &str = "http://jabber.org/protocol/muc#user";
/// XEP-0047
pub const IBB: &str = "http://jabber.org/protocol/ibb";
/// XEP-0059
pub const RESULT_SET: &str = "http://jabber.org/protocol/rsm";
/// XEP-0065
pub const BYTESTREAMS: &str = "http://jabber.org/protocol/bytestreams";
/// XEP-0066
pub const OOB: &str = "jabber:x:oob";
/// XEP-0066
pub const OOB_IQ: &str = "jabber:iq:oob";
/// XEP-0095
pub const SI: &str = "http://jabber.org/protocol/si";
/// XEP-0096
pub const SI_FILE_TRANSFER: &str = "http://jabber.org/protocol/si/profile/file-transfer";
/// XEP-0103
pub const URL_DATA: &str = "http://jabber.org/protocol/url-data";
/// XEP-0104
pub const URL_DATA_HTTP: &str = "http://jabber.org/protocol/url-data/scheme/http";
/// XEP-0115
pub const CAPS: &str = "http://jabber.org/protocol/caps";
/// XEP-0390
pub const CAPS2: &str = "urn:xmpp:caps";
/// XEP-0166
pub const JINGLE: &str = "urn:xmpp:jingle:1";
/// XEP-0166 §10
pub const JINGLE_ERRORS: &str = "urn:xmpp:jingle:errors:1";
/// XEP-0198
pub const SM: &str = "urn:xmpp:sm:3";
/// XEP-0199
pub const PING: &str = "urn:xmpp:ping";
/// XEP-0203
pub const DELAY: &str = "urn:xmpp:delay";
/// XEP-0091, read only
pub const LEGACY_DELAY: &str = "jabber:x:delay";
/// XEP-0221
pub const MEDIA_ELEMENT: &str = "urn:xmpp:media-element";
/// XEP-0231
pub const BOB: &str = "urn:xmpp:bob";
/// XEP-0234
pub const JINGLE_FILE_TRANSFER_5: &str = "urn:xmpp:jingle:apps:file-transfer:5";
/// XEP-0234, old
pub const JINGLE_FILE_TRANSFER_4: &str = "urn:xmpp:jingle:apps:file-transfer:4";
/// XEP-0234, older, read inside SIMS only (decision 51)
pub const JINGLE_FILE_TRANSFER_3: &str = "urn:xmpp:jingle:apps:file-transfer:3";
/// XEP-0234 §9
pub const JINGLE_FILE_TRANSFER_ERRORS: &str = "urn:xmpp:jingle:apps:file-transfer:errors:0";
/// XEP-0260
pub const JINGLE_S5B: &str = "urn:xmpp:jingle:transports:s5b:1";
/// XEP-0261
pub const JINGLE_IBB: &str = "urn:xmpp:jingle:transports:ibb:1";
/// XEP-0264
pub const THUMBS_1: &str = "urn:xmpp:thumbs:1";
/// XEP-0264, old
pub const THUMBS_0: &str = "urn:xmpp:thumbs:0";
/// XEP-0280
pub const CARBONS: &str = "urn:xmpp:carbons:2";
/// XEP-0297
pub const FORWARD: &str = "urn:xmpp:forward:0";
/// XEP-0300
pub const HASHES_2: &str = "urn:xmpp:hashes:2";
/// XEP-0300, old
pub const HASHES_1: &str = "urn:xmpp:hashes:1";
/// XEP-0300 §5: prefix of the feature of each algorithm
pub const HASH_FUNCTION_PREFIX: &str = "urn:xmpp:hash-function-text-names:";
/// XEP-0313
pub const MAM: &str = "urn:xmpp:mam:2";
/// XEP-0334
pub const HINTS: &str = "urn:xmpp:hints";
/// XEP-0352
pub const CSI: &str = "urn:xmpp:csi:0";
/// XEP-0353
pub const JINGLE_MESSAGE: &str = "urn:xmpp:jingle-message:0";
/// XEP-0358
pub const JINGLE_PUB: &str = "urn:xmpp:jinglepub:1";
/// XEP-0359
pub const STANZA_ID: &str = "urn:xmpp:sid:0";
/// XEP-0363
pub const UPLOAD: &str = "urn:xmpp:http:upload:0";
/// XEP-0363 §5
pub const UPLOAD_PURPOSE: &str = "urn:xmpp:http:upload:purpose:0";
/// XEP-0367
pub const ATTACHING: &str = "urn:xmpp:message-attaching:1";
/// XEP-0372
pub const REFERENCE: &str = "urn:xmpp:reference:0";
/// XEP-0385
pub const SIMS: &str = "urn:xmpp:sims:1";
/// XEP-0386
pub const BIND2: &str = "urn:xmpp:bind:0";
/// XEP-0388
pub const SASL2: &str = "urn:xmpp:sasl:2";
/// XEP-0421
pub const OCCUPANT_ID: &str = "urn:xmpp:occupant-id:0";
/// XEP-0428
pub const FALLBACK: &str = "urn:xmpp:fallback:0";
/// XEP-0440
pub const SASL_CHANNEL_BINDING: &str = "urn:xmpp:sasl-cb:0";
/// XEP-0446
pub const FILE_METADATA: &str = "urn:xmpp:file:metadata:0";
/// XEP-0447
pub const SFS: &str = "urn:xmpp:sfs:0";
/// XEP-0448
pub const ESFS: &str = "urn:xmpp:esfs:0";
/// XEP-0478
pub const STREAM_LIMITS: &str = "urn:xmpp:stream-limits:0";
/// XEP-0505
pub const FILE_INPUT: &str = "urn:xmpp:file-input:0";

//! Sends a file with one PUT: one pass over it, the digests taken on the way if they are not known.

use std::fs::File;

use balcony_sharing::net_rules::{NetRules, check_url};
use balcony_sharing::transfer::upload::{Put, PutFailure};
use balcony_sharing::verify::{Hashed, Hasher};
use balcony_store::FileStamp;
use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderMap};

use super::HttpError;
use super::exchange::{Outgoing, Upload, add_header, exchange};
use super::source::{ReadFailure, Reading};
use crate::net::NetError;
use crate::net::connector::Moved;
use crate::net::tls::Trust;
use crate::words::with_causes;

/// How a PUT ended: the status, and the digests of what was sent if they were asked for and all of it was.
pub(crate) struct PutDone {
    pub(crate) status: u16,
    pub(crate) hashed: Option<Hashed>,
}

/// Sends the file from its first byte to the own server's service. `moved` tells how far it is. Dropping the future closes
/// the connection; the service then has nothing that anybody can fetch.
pub(crate) async fn put(
    put: &Put,
    file: File,
    stamp: FileStamp,
    hasher: Option<Hasher>,
    trust: &Trust,
    moved: Moved,
) -> Result<PutDone, PutFailure> {
    let network = |why: String| PutFailure::Network(why);
    // The account's own server chose the host: it may be anywhere.
    let own = put.url.host_str().map(str::to_owned);
    let rules = NetRules { own_hosts: own.into_iter().collect(), loopback_http: put.url.scheme() == "http", onion: false };
    let rule = check_url(&put.url, &rules).map_err(|refused| network(refused.to_string()))?;
    let mut headers = HeaderMap::new();
    for header in &put.headers {
        add_header(&mut headers, header.name(), header.value()).map_err(network)?;
    }
    if let Some(content_type) = &put.content_type {
        add_header(&mut headers, CONTENT_TYPE.as_str(), content_type).map_err(network)?;
    }
    let (reading, pieces) = Reading::start(file, stamp, hasher);
    let body = Upload::new(pieces, put.size);
    let answer = exchange(Outgoing { method: Method::PUT, url: &put.url, headers, body, rule: &rule, moved }, trust).await;
    match answer {
        Ok(answer) => {
            let status = answer.status.as_u16();
            // A refusal may come before everything was sent: then the rest need not be read.
            drop(answer);
            match reading.finish().await {
                Ok(hashed) => Ok(PutDone { status, hashed }),
                Err(ReadFailure::Dropped) => Ok(PutDone { status, hashed: None }),
                Err(failure) => Err(ours(&failure)),
            }
        }
        // The connection also breaks when the file does not give what was announced: then that is what to tell.
        Err(error) => match reading.finish().await {
            Err(failure @ (ReadFailure::Changed | ReadFailure::Io(_) | ReadFailure::Lanes(_))) => Err(ours(&failure)),
            Ok(_) | Err(ReadFailure::Dropped) => Err(theirs(&error)),
        },
    }
}

fn ours(failure: &ReadFailure) -> PutFailure {
    match failure {
        ReadFailure::Changed => PutFailure::FileChanged("its size or its time of change is another now".to_owned()),
        ReadFailure::Io(source) => PutFailure::Unreadable(source.to_string()),
        ReadFailure::Lanes(_) | ReadFailure::Dropped => PutFailure::Unreadable(failure.to_string()),
    }
}

fn theirs(error: &HttpError) -> PutFailure {
    match error {
        HttpError::Net(NetError::Certificate { why, .. }) => PutFailure::Certificate(why.clone()),
        HttpError::Net(_) | HttpError::Broken { .. } | HttpError::Unspeakable { .. } => PutFailure::Network(with_causes(error)),
    }
}

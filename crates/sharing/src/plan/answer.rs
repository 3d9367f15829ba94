//! What a person agreed to, as data that outlives the question: kept with the offer, read for every later plan.

use balcony_wire::Jid;

use crate::{Exposure, ExposureKind};

/// What a person agreed to, for one offer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// To fetch it although the rules would not do so unasked.
    Fetch,
    /// To take it without proof.
    Unproven,
    /// To reveal this, to this host or person and to nobody else.
    Reveal(Exposure),
    /// To reveal so much to whatever host: no question asks for that, a person may say it beforehand.
    RevealAny(ExposureKind),
    /// To go where this person, who does not offer the file, says it is.
    NamedBy(Jid),
    /// To show people's devices no address: sessions with them go by way of servers, or not at all.
    RelayOnly,
}

impl Answer {
    /// For the catalogue.
    #[must_use]
    pub fn to_record(&self) -> String {
        match self {
            Self::Fetch => "fetch".to_owned(),
            Self::Unproven => "unproven".to_owned(),
            Self::RelayOnly => "relay-only".to_owned(),
            Self::RevealAny(kind) => format!("reveal-any {}", kind.as_str()),
            Self::NamedBy(other) => format!("named-by {other}"),
            Self::Reveal(exposure) => format!("reveal {} {}", exposure.kind().as_str(), exposure.to_whom()),
        }
    }

    /// Whether it settles what asks for the other one.
    #[must_use]
    pub fn settles(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::RevealAny(kind), Self::Reveal(exposure)) => *kind == exposure.kind(),
            _ => self == other,
        }
    }

    /// From the catalogue; `None` for what nobody here wrote.
    #[must_use]
    pub fn from_record(text: &str) -> Option<Self> {
        let jid = |text: &str| Jid::from_server(text).ok();
        match text.split_once(' ') {
            None if text == "fetch" => Some(Self::Fetch),
            None if text == "unproven" => Some(Self::Unproven),
            None if text == "relay-only" => Some(Self::RelayOnly),
            Some(("reveal-any", kind)) => exposure(kind, "any@any").map(|exposure| Self::RevealAny(exposure.kind())),
            Some(("named-by", other)) => jid(other).map(Self::NamedBy),
            Some(("reveal", what)) => what.split_once(' ').and_then(|(kind, whom)| exposure(kind, whom)).map(Self::Reveal),
            _ => None,
        }
    }
}

fn exposure(kind: &str, whom: &str) -> Option<Exposure> {
    let host = || whom.to_owned();
    let jid = || Jid::from_server(whom).ok();
    Some(match kind {
        "nothing" => Exposure::Nothing,
        "own-server" => Exposure::OwnServer(host()),
        "presence" => Exposure::Presence(jid()?),
        "via-proxy" => Exposure::ViaProxy(jid()?),
        "senders-server" => Exposure::SendersServer(host()),
        "third-host" => Exposure::ThirdHost(host()),
        "peer" => Exposure::Peer(jid()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_back_from_the_catalogue_as_it_was() {
        let jid = Jid::parse("coven@chat.lit/Old friend").unwrap();
        let host = || "files.example".to_owned();
        let exposures = [
            Exposure::Nothing,
            Exposure::OwnServer(host()),
            Exposure::Presence(jid.clone()),
            Exposure::ViaProxy(jid.clone()),
            Exposure::SendersServer(host()),
            Exposure::ThirdHost(host()),
            Exposure::Peer(jid.clone()),
        ];
        let mut answers = vec![Answer::Fetch, Answer::Unproven, Answer::RelayOnly, Answer::NamedBy(jid)];
        answers.extend(exposures.iter().map(|exposure| Answer::RevealAny(exposure.kind())));
        answers.extend(exposures.into_iter().map(Answer::Reveal));
        for answer in answers {
            assert_eq!(Answer::from_record(&answer.to_record()), Some(answer));
        }
        for wrong in ["", "fetch it", "reveal", "reveal third-host", "reveal everything x", "named-by @", "reveal everybody x"] {
            assert_eq!(Answer::from_record(wrong), None, "{wrong}");
        }
        let one = Answer::Reveal(Exposure::ThirdHost(host()));
        assert!(Answer::RevealAny(ExposureKind::ThirdHost).settles(&one) && !one.settles(&Answer::RevealAny(ExposureKind::ThirdHost)));
    }
}

//! Provenance as a note in the catalogue, beside the message it belongs to: lines, of which the first four are always there, then
//! what only a room could tell, as `name=value`.

use balcony_wire::{BareJid, Jid, Message};

use super::{Provenance, ProvenanceError, Speaker, Way, is_usable_id};

const OCCUPANT: &str = "occupant";
const REAL: &str = "real";
const STANZA_ID: &str = "stanza-id";

impl Provenance {
    /// A note for the catalogue; [`super::Received::from_record`] reads it, together with the message.
    pub fn to_record(&self) -> String {
        let addressee = self.addressee.as_ref().map_or("", Jid::as_str);
        let mut lines = [self.way.as_str(), self.account.as_str(), self.sender.as_str(), addressee].join("\n");
        let mut note = |name: &str, value: &str| lines.extend(["\n", name, "=", value]);
        if let Speaker::Occupant { id, real } = &self.speaker {
            id.iter().for_each(|id| note(OCCUPANT, id));
            real.iter().for_each(|real| note(REAL, real.as_str()));
        }
        if self.way.is_reflected() {
            self.targets.iter().for_each(|id| note(STANZA_ID, id));
        }
        lines
    }

    pub(super) fn from_record(message: &Message, record: &str) -> Result<Self, ProvenanceError> {
        let mut lines = record.split('\n');
        let mut next = || lines.next().ok_or(ProvenanceError::Record);
        let way = Way::from_name(next()?).ok_or(ProvenanceError::Record)?;
        let (account, sender, addressee) = (bare(next()?)?, jid(next()?)?, next()?);
        let mut provenance = Self::of_message(message, account, sender, way);
        provenance.addressee = if addressee.is_empty() { None } else { Some(jid(addressee)?) };
        lines.try_for_each(|line| provenance.take_note(line))?;
        Ok(provenance)
    }

    fn take_note(&mut self, line: &str) -> Result<(), ProvenanceError> {
        let (name, value) = line.split_once('=').filter(|(_, value)| is_usable_id(value)).ok_or(ProvenanceError::Record)?;
        match (name, &mut self.speaker) {
            (OCCUPANT, Speaker::Occupant { id, .. }) => *id = Some(value.to_owned()),
            (REAL, Speaker::Occupant { real, .. }) => *real = Some(bare(value)?),
            (STANZA_ID, _) if self.way.is_reflected() => self.targets = vec![value.to_owned()],
            _ => return Err(ProvenanceError::Record),
        }
        Ok(())
    }
}

fn jid(text: &str) -> Result<Jid, ProvenanceError> {
    Jid::from_server(text).map_err(|_| ProvenanceError::Record)
}

fn bare(text: &str) -> Result<BareJid, ProvenanceError> {
    jid(text)?.into_bare().map_err(|_| ProvenanceError::Record)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::super::room::tests::{announcing, reflected};
    use super::super::tests::{juliet, message};
    use super::*;
    use crate::Received;

    #[test]
    fn a_note_for_the_catalogue_comes_back_as_it_was() {
        let sent = message("<message xmlns='jabber:client' id='m' to='romeo@montague.lit'><body>hi</body></message>");
        let own = Received::own(sent.clone(), &juliet());
        assert!(own.provenance().is_own());
        assert_eq!(own.provenance().conversation().as_str(), "romeo@montague.lit");
        assert_eq!(Received::from_record(sent.clone(), &own.provenance().to_record()).unwrap(), own);
        let forged = ["", "direct", "direct\na@b\n\n", "x\na@b\nc@d\n", "direct\na@b/r\nc@d\n", "direct\na@b\nc@d\n\n"];
        let not_a_room = [
            "direct\na@b\nc@d\n\noccupant=1",
            "direct\na@b\nc@d\n\nstanza-id=1",
            "room\na@b\nc@d/e\n\nnick=1",
            "room\na@b\nc@d/e\n\noccupant=",
        ];
        for record in forged.into_iter().chain(not_a_room) {
            assert_eq!(Received::from_record(sent.clone(), record), Err(ProvenanceError::Record), "{record:?}");
        }
    }

    #[test]
    fn what_a_room_vouched_for_comes_back_as_well() {
        let mut facts = announcing();
        facts.real_addresses.insert("witch".to_owned(), "hecate@shakespeare.lit".parse().unwrap());
        let said = reflected(
            "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='o=1'/><stanza-id xmlns='urn:xmpp:sid:0' id='s1' by='coven@chat.lit'/>",
        );
        let received = Received::room(said.clone(), &juliet(), &facts).unwrap();
        let record = received.provenance().to_record();
        assert_eq!(record, "room\njuliet@capulet.lit\ncoven@chat.lit/witch\n\noccupant=o=1\nreal=hecate@shakespeare.lit\nstanza-id=s1");
        assert_eq!(Received::from_record(said, &record).unwrap(), received);
    }

    #[test]
    fn notes_of_the_first_version_are_read() {
        let said = reflected("<stanza-id xmlns='urn:xmpp:sid:0' id='s1' by='coven@chat.lit'/>");
        let old = Received::from_record(said, "room\njuliet@capulet.lit\ncoven@chat.lit/witch\n").unwrap();
        assert_eq!((old.provenance().way(), old.provenance().target_ids()), (Way::Room, &[][..]));
        let said = message("<message xmlns='jabber:client' id='m' from='romeo@montague.lit/1' to='juliet@capulet.lit/2'/>");
        let old = Received::from_record(said.clone(), "direct\njuliet@capulet.lit\nromeo@montague.lit/1\njuliet@capulet.lit/2").unwrap();
        assert_eq!(old, Received::direct(said, &juliet()).unwrap());
    }
}

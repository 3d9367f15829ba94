//! What happened when sources were tried: the history that the next plan is made from.

use balcony_sharing::SourceKey;
use balcony_sharing::plan::{History, Outcome, Record};
use rusqlite::params;

use super::{known, to_millis, to_time};
use crate::catalogue::offers::OfferKey;
use crate::{Store, StoreError};

/// More than these say nothing new; they are the last ones.
const OF_OFFER: &str = "SELECT source, code, detail, at FROM outcomes WHERE offer = ?1 ORDER BY id DESC LIMIT 500";
const PRUNE: &str = "DELETE FROM outcomes WHERE offer = ?1
    AND id <= (SELECT id FROM outcomes WHERE offer = ?1 ORDER BY id DESC LIMIT 1 OFFSET 500)";

#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[OF_OFFER, PRUNE];

impl Store {
    /// Writes down how an attempt ended. A loss of power may take it back: then it is tried once more.
    ///
    /// # Errors
    /// When the disk is full or the catalogue fails, or there is no such offer.
    pub fn add_outcome(&self, offer: OfferKey, record: &Record) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO outcomes (offer, source, code, detail, at) VALUES (?1, ?2, ?3, ?4, ?5)";
        let Record { source, outcome, at } = record;
        let changed = self.catalogue().change_lightly(|transaction| {
            let values = params![offer.number(), source.as_str(), outcome.code(), outcome.detail(), to_millis(*at)];
            let changed = transaction.prepare_cached(SQL)?.execute(values)?;
            transaction.prepare_cached(PRUNE)?.execute([offer.number()])?;
            Ok(changed)
        })?;
        debug_assert_eq!(changed, 1);
        Ok(())
    }

    /// What happened to an offer, in the order it happened; of very many attempts the last.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn history(&self, offer: OfferKey) -> Result<History, StoreError> {
        let rows: Vec<(String, String, String, i64)> = self.catalogue().with(|connection| {
            let mut statement = connection.prepare_cached(OF_OFFER)?;
            statement.query_map([offer.number()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?.collect()
        })?;
        let records = rows.into_iter().rev().map(|(source, code, detail, at)| {
            let outcome = known(Outcome::from_record(&code, &detail), "outcome")?;
            Ok(Record { source: SourceKey::from_record(source), outcome, at: to_time(at) })
        });
        Ok(History::new(records.collect::<Result<_, StoreError>>()?))
    }
}

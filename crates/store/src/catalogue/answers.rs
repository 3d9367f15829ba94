//! What a person answered about an offer. The words are the planner's.

use rusqlite::params;

use crate::{OfferKey, Store, StoreError};

/// Answers about one offer; more are none of a person's.
const MAX_ANSWERS: i64 = 64;
/// Bytes of one answer.
const MAX_ANSWER: usize = 1_024;

const OF_OFFER: &str = "SELECT answer FROM answers WHERE offer = ?1 ORDER BY id LIMIT 64";

#[cfg(test)]
pub(super) const PLANS: &[(&str, &str)] = &[(OF_OFFER, "(offer=?)")];

impl Store {
    /// Adds what a person answered about an offer. What was answered before stays; the same twice is once. Of more than 64 answers,
    /// and of answers of more than 1,024 bytes, nothing is kept.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] if there is no such offer; when the disk is full or the catalogue fails.
    pub fn add_answers(&self, offer: OfferKey, answers: &[String]) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO answers (offer, answer) SELECT ?1, ?2
            WHERE (SELECT count(*) FROM answers WHERE offer = ?1) < ?3 ON CONFLICT DO NOTHING";
        let is_there = self.catalogue().change(|transaction| {
            let is_there: bool =
                transaction.query_row("SELECT EXISTS (SELECT 1 FROM offers WHERE id = ?1)", [offer.number()], |row| row.get(0))?;
            for answer in answers.iter().filter(|answer| is_there && answer.len() <= MAX_ANSWER) {
                transaction.prepare_cached(SQL)?.execute(params![offer.number(), answer, MAX_ANSWERS])?;
            }
            Ok(is_there)
        })?;
        if is_there { Ok(()) } else { Err(StoreError::Unknown("the offer")) }
    }

    /// What a person answered about an offer, in the order of answering.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn answers(&self, offer: OfferKey) -> Result<Vec<String>, StoreError> {
        self.catalogue().with(|connection| {
            let mut statement = connection.prepare_cached(OF_OFFER)?;
            statement.query_map([offer.number()], |row| row.get(0))?.collect()
        })
    }
}

//! What one sending consists of: which files go to whom, in which messages, and how it is known again after an interruption. Pure.
//!
//! One sending is a batch of the outbox. All of its messages are written down before the first upload. The same sending again
//! (the same files in order, for the same people, with the same words) goes on with a batch that is not all out, and leaves out what is.

use balcony_sharing::verify::Hasher;
use balcony_store::FileRef;
use balcony_wire::hashes::HashAlgo;
use balcony_wire::{BareJid, Jid};

use super::{FILES_IN_ONE_MESSAGE, FileToShare};

/// A message to be: for whom, under which id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) to: Jid,
    pub(super) id: String,
}

/// Files that go together, each as one message for everybody of `letters`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Which files, counted from 0.
    pub(super) files: Vec<usize>,
    pub(super) letters: Vec<Letter>,
    /// Words that go along.
    pub(super) text: Option<String>,
}

impl Part {
    /// The last file it needs.
    pub(super) fn last(&self) -> usize {
        self.files.last().copied().unwrap_or_default()
    }

    pub(super) fn ids(&self) -> Vec<String> {
        self.letters.iter().map(|letter| letter.id.clone()).collect()
    }
}

/// Divides files among messages. `is_out` says what an earlier run sent already.
pub(super) fn parts(
    files: usize,
    to: &[Jid],
    text: Option<&str>,
    is_out: impl Fn(&Jid, usize) -> bool,
    mut new_id: impl FnMut() -> String,
) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for first in (0..files).step_by(FILES_IN_ONE_MESSAGE) {
        let chunk: Vec<usize> = (first..files.min(first + FILES_IN_ONE_MESSAGE)).collect();
        let begun = parts.len();
        for jid in to {
            let left: Vec<usize> = chunk.iter().copied().filter(|file| !is_out(jid, *file)).collect();
            if left.is_empty() {
                continue;
            }
            // Words go with the first message, once.
            let words = text.filter(|_| first == 0 && left.len() == chunk.len()).map(str::to_owned);
            let letter = Letter { to: jid.clone(), id: new_id() };
            match parts[begun..].iter_mut().find(|part| part.files == left && part.text == words) {
                Some(part) => part.letters.push(letter),
                None => parts.push(Part { files: left, letters: vec![letter], text: words }),
            }
        }
    }
    parts
}

/// Names a sending: the same for the same command. In hex, so that it can be a beginning of other names.
pub(super) fn identity(account: &BareJid, to: &[Jid], text: Option<&str>, announces: bool, files: &[FileToShare]) -> String {
    let mut hasher = Hasher::new([HashAlgo::Sha256]);
    let mut field = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_be_bytes());
        hasher.update(bytes);
    };
    field(account.as_str().as_bytes());
    field(text.unwrap_or_default().as_bytes());
    field(if announces { b"announced" } else { b"whole" });
    field(&(to.len() as u64).to_be_bytes());
    to.iter().for_each(|jid| field(jid.as_str().as_bytes()));
    for file in files {
        match file.from.to_record() {
            FileRef::Path(path) => field(path.as_os_str().as_encoded_bytes()),
            FileRef::Blob(digest) => field(digest.as_bytes()),
        }
        field(file.name.as_deref().unwrap_or_default().as_bytes());
        field(file.disposition.map_or("", |disposition| disposition.as_str()).as_bytes());
        file.descriptions.iter().for_each(|text| field(text.text.as_bytes()));
    }
    let hex = hasher.finish().digests().get(HashAlgo::Sha256).map(|digest| digest.to_hex()).unwrap_or_default();
    hex.chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jids(names: &[&str]) -> Vec<Jid> {
        names.iter().map(|name| Jid::parse(&format!("{name}@capulet.example")).unwrap()).collect()
    }

    fn ids() -> impl FnMut() -> String {
        let mut next = 0;
        move || {
            next += 1;
            format!("m{next}")
        }
    }

    #[test]
    fn many_files_go_in_messages_of_sixteen_and_words_with_the_first() {
        let to = jids(&["juliet", "nurse"]);
        let parts = parts(40, &to, Some("photos"), |_, _| false, ids());
        assert_eq!(parts.iter().map(|part| part.files.len()).collect::<Vec<_>>(), [16, 16, 8]);
        assert!(parts.iter().all(|part| part.letters.len() == 2));
        assert_eq!(parts.iter().map(|part| part.text.as_deref()).collect::<Vec<_>>(), [Some("photos"), None, None]);
        assert_eq!(parts[2].last(), 39);
    }

    #[test]
    fn what_is_out_is_left_out_for_whom_it_is_out() {
        let to = jids(&["juliet", "nurse"]);
        let parts = parts(20, &to, Some("photos"), |jid, file| *jid == to[0] && file < 17, ids());
        let seen: Vec<_> = parts.iter().map(|part| (part.files.len(), part.letters.len(), part.text.is_some())).collect();
        assert_eq!(seen, [(16, 1, true), (3, 1, false), (4, 1, false)]);
        assert_eq!(parts[1].letters[0].to, to[0]);
        assert!(super::parts(20, &to, None, |_, _| true, ids()).is_empty());
    }

    #[test]
    fn a_sending_is_known_by_all_that_was_said_and_nothing_else() {
        let account: BareJid = "romeo@montague.example".parse().unwrap();
        let wanted = |path: &str, id: &str| FileToShare { id: Some(id.to_owned()), ..path.into() };
        let (to, files) = (jids(&["juliet"]), vec![wanted("/a", "1"), wanted("/b", "2")]);
        let same = identity(&account, &to, Some("x"), false, &files);
        assert_eq!((same.len(), identity(&account, &to, Some("x"), false, &[wanted("/a", "8"), wanted("/b", "9")])), (32, same.clone()));
        for other in [
            identity(&account, &jids(&["nurse"]), Some("x"), false, &files),
            identity(&account, &to, None, false, &files),
            identity(&account, &to, Some("x"), true, &files),
            identity(&account, &to, Some("x"), false, &files[..1]),
            identity(&account, &to, Some("x"), false, &[wanted("/b", "1"), wanted("/a", "2")]),
        ] {
            assert_ne!(other, same);
        }
    }
}

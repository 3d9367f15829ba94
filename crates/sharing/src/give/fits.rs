//! Which file somebody means who asks for one (decision 44): a digest decides; without one, all that they say must be so.

use balcony_wire::file_metadata::FileMetadata;

use crate::{Agreement, DigestSet};

/// What a request says about the file that is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sought {
    /// Its digests, as far as they are given in a form that counts.
    pub digests: DigestSet,
    /// Its name, as it was offered.
    pub name: Option<String>,
    /// Its size.
    pub size: Option<u64>,
    /// Its type.
    pub media_type: Option<String>,
}

/// How a file fits what is sought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It is that one.
    Yes,
    /// It is another one.
    No,
}

impl Sought {
    /// From the `file` of a request.
    pub fn of(file: &FileMetadata) -> Self {
        let digests = DigestSet::from_hashes(&file.hashes);
        Self { digests, name: file.name.clone(), size: file.size, media_type: file.media_type.clone() }
    }

    /// Whether it says anything by which a file could be found.
    pub fn says_anything(&self) -> bool {
        !self.digests.is_empty() || self.name.is_some() || self.size.is_some() || self.media_type.is_some()
    }

    /// Whether it is about a file that was described so, with these digests.
    pub fn fits(&self, file: &FileMetadata, digests: &DigestSet) -> Fit {
        let fields = self.name.as_ref().is_none_or(|name| file.name.as_ref() == Some(name))
            && self.size.is_none_or(|size| file.size == Some(size))
            && self.media_type.as_ref().is_none_or(|wanted| file.media_type.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(wanted)));
        let says_fields = self.name.is_some() || self.size.is_some() || self.media_type.is_some();
        let is_it = match self.digests.agreement(digests) {
            Agreement::Same => true,
            Agreement::Different => false,
            // A digest that proves and that nobody here has computed: nobody can say that it is that file.
            Agreement::Unknown | Agreement::Alike if self.digests.has_proof() => false,
            Agreement::Alike => fields,
            Agreement::Unknown => says_fields && fields,
        };
        if is_it { Fit::Yes } else { Fit::No }
    }
}

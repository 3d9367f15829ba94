//! Slots: asking for the right to upload one file.
//!
//! XEP-0363 HTTP file upload, v1.2.0 <https://xmpp.org/extensions/xep-0363.html>
//! XEP-0128 Service discovery extensions, v1.0.1 <https://xmpp.org/extensions/xep-0128.html>
//! XEP-0004 Data forms, v2.13.2 <https://xmpp.org/extensions/xep-0004.html>
//! Status: partial: read and given in discovery; people cannot fill in forms yet.

use balcony_wire::data_form::{DataForm, Field, FieldKind, FormKind};
use balcony_wire::datetime::DateTime;
use balcony_wire::http_upload::{self, FileTooLarge, Retry, Slot, SlotRequest};
use balcony_wire::{Payload as _, ns};
use futures_util::future::BoxFuture;
use std::sync::Arc;

use super::ledger::{Entry, Over, Quota};
use super::name::{ObjectName, display_name, percent_encode};
use super::token::{Grant, Purpose};
use super::{Uploads, media_type, unix_now};
use crate::handler::{Answer, Audience, Handler, Place, Registration, Request, Verb};
use crate::hub::Hub;
use crate::refusal::{Reason, Refusal};

/// The XMPP side of the service.
pub(crate) struct Slots {
    pub(crate) uploads: Arc<Uploads>,
    pub(crate) host: String,
}

impl Handler for Slots {
    fn registration(&self) -> Registration {
        let limit = Field::new("max-file-size").with_value(self.uploads.settings.max_size.to_string());
        let form_type = Field::new("FORM_TYPE").with_kind(FieldKind::Hidden).with_value(ns::UPLOAD);
        let form = DataForm::new(FormKind::Result).with(form_type).with(limit);
        let registration = Registration::at(Place::Host(self.host.clone()))
            .taking(SlotRequest::NAME, SlotRequest::NS, &[Verb::Get], Audience::Everybody)
            .identity("store", "file", "File upload")
            .feature(ns::UPLOAD)
            .form(form);
        Purpose::ALL
            .iter()
            .fold(registration, |registration, purpose| registration.feature(format!("{}#{}", ns::UPLOAD_PURPOSE, purpose.name())))
    }

    fn answer<'a>(&'a self, hub: &'a Hub, request: Request<'a>) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            if request.from.domain() != hub.domain().as_str() {
                return Err(Reason::NoGuests.into());
            }
            let asked =
                SlotRequest::read(request.payload).map_err(|error| Refusal::from(Reason::Malformed).with_words(error.to_string()))?;
            let slot = self.uploads.slot(request.account(), asked).await?;
            Ok(Some(slot.write()))
        })
    }
}

impl Uploads {
    /// Grants a slot to an account of this server.
    async fn slot(&self, account: &str, asked: SlotRequest) -> Result<Slot, Refusal> {
        let now = unix_now();
        let (purpose, expires) = self.purpose(asked.purpose, now)?;
        if asked.size == 0 {
            return Err(Reason::EmptyFile.into());
        }
        if asked.size > self.settings.max_size {
            return Err(self.too_large());
        }
        if asked.content_type.as_deref().is_some_and(|told| !media_type::is_media_type(told)) {
            return Err(Refusal::from(Reason::Malformed).with_words("the content type is no media type"));
        }
        let name = display_name(&asked.filename).ok_or_else(|| Refusal::from(Reason::Malformed).with_words("the file needs a name"))?;
        let object = ObjectName::random().map_err(|error| {
            tracing::error!(%error, "the system has no random bytes");
            Reason::Broken
        })?;
        let grant =
            Grant { size: asked.size, ends: now + self.settings.slot_lifetime.as_secs(), expires, purpose, media_type: asked.content_type };
        let entry = Entry {
            object: object.clone(),
            account: account.to_owned(),
            name: name.clone(),
            media_type: grant.media_type.clone().unwrap_or_else(|| media_type::UNKNOWN.to_owned()),
            size: grant.size,
            purpose: purpose.name(),
            granted: now,
            slot_ends: grant.ends,
            expires,
        };
        self.ledger.grant(entry, self.quota()).await?.map_err(over_quota)?;
        let get = format!("{}/{}/{}", self.base, object.as_str(), percent_encode(&name));
        let put = format!("{get}?token={}", self.signer.sign(&object, &name, &grant));
        Ok(Slot::new(put, get))
    }

    /// What for, and until when it is kept.
    fn purpose(&self, asked: Option<http_upload::Purpose>, now: u64) -> Result<(Purpose, u64), Refusal> {
        let kept_until = now + self.settings.expiry.as_secs();
        match asked {
            None | Some(http_upload::Purpose::Message) => Ok((Purpose::Message, kept_until)),
            Some(http_upload::Purpose::Ephemeral { expire_before }) => {
                let expires = u64::try_from(expire_before.unix()).unwrap_or(0).min(kept_until);
                if expires <= now { Err(Reason::GoneAlready.into()) } else { Ok((Purpose::Ephemeral, expires)) }
            }
            Some(http_upload::Purpose::Profile | http_upload::Purpose::Permanent) => Err(Reason::OtherPurpose.into()),
        }
    }

    fn too_large(&self) -> Refusal {
        let limit = self.settings.max_size;
        Refusal::from(Reason::FileTooLarge)
            .with_words(format!("the file is too large, {limit} bytes is the most"))
            .with_application(FileTooLarge { max_file_size: Some(limit) }.write())
    }

    fn quota(&self) -> Quota {
        let settings = &self.settings;
        Quota { per_day: settings.per_day, total: settings.total, slots_per_minute: settings.slots_per_minute }
    }
}

fn over_quota(over: Over) -> Refusal {
    let stamp = over.retry.and_then(|retry| DateTime::from_unix(i64::try_from(retry).ok()?));
    match stamp {
        Some(stamp) => Refusal::from(over.reason).with_application(Retry { stamp }.write()),
        None => over.reason.into(),
    }
}

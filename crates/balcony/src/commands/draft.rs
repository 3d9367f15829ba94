//! `balcony draft`: the message that would offer a file which lies at a URL already. Offline: the file is read for its
//! digests, the URL is not asked.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use balcony_sharing::dialect::{self, OutgoingFile, OutgoingShare};
use balcony_sharing::verify::SHARED_ALGOS;
use balcony_sharing::{Hashed, Hasher, MediaType, Source};
use balcony_wire::Jid;
use balcony_wire::reading::LangText;
use serde_json::json;

use crate::cli::{self, DispositionArg};
use crate::console::Console;
use crate::exit::{Class, Failure};

/// Runs the command.
pub(crate) fn run(console: &Console, args: &cli::Draft) -> Result<(), Failure> {
    let to = match &args.to {
        Some(to) => to.parse::<Jid>(),
        None => Jid::parse("somebody@example.org"),
    };
    let to = to.map_err(|error| Failure::from_error(Class::Usage, &error).advise("an address looks like juliet@example.org"))?;
    if !args.url.starts_with("https://") {
        return Err(Failure::new(Class::Usage, "the file must lie at an https: URL").advise("others do not fetch from anywhere else"));
    }
    let (hashed, head) = read(&args.file)?;
    let name = args.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let media_type: Option<MediaType> = None;
    let _ = &head;
    let mut file = OutgoingFile::new(random_id()?, &name, media_type.as_ref(), &hashed);
    file.sources = vec![Source::url(&args.url)];
    file.file.descs.extend(args.describe.as_deref().map(LangText::plain));
    file.disposition = args.disposition.map(disposition).or(file.disposition);
    let share = OutgoingShare { to, to_room: false, id: random_id()?, text: None, files: vec![file] };
    for message in dialect::write(&share).into_messages() {
        let xml = message.into_element().to_xml();
        console.result("message", json!({"xml": xml}), &xml);
    }
    Ok(())
}

/// What the person asked for.
pub(crate) fn disposition(arg: DispositionArg) -> balcony_sharing::Disposition {
    match arg {
        DispositionArg::Inline => balcony_sharing::Disposition::Inline,
        DispositionArg::Attachment => balcony_sharing::Disposition::Attachment,
    }
}

/// Digests, and the first bytes for the type.
fn read(path: &Path) -> Result<(Hashed, Vec<u8>), Failure> {
    let local = |error: std::io::Error| Failure::new(Class::Local, format!("cannot read {}: {error}", path.display()));
    let mut file = File::open(path).map_err(local)?;
    let mut hasher = Hasher::new(SHARED_ALGOS);
    let mut buffer = vec![0; 1 << 18];
    let mut head = Vec::new();
    loop {
        let read = file.read(&mut buffer).map_err(local)?;
        if read == 0 {
            return Ok((hasher.finish(), head));
        }
        if head.is_empty() {
            head.extend_from_slice(&buffer[..read.min(8192)]);
        }
        hasher.update(&buffer[..read]);
    }
}

fn random_id() -> Result<String, Failure> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).map_err(|error| Failure::new(Class::Local, format!("the system gives no random bytes: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

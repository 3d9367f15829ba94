//! `balcony draft`: the message that would offer a file which lies at a URL already. Offline: the file is read for its
//! digests, the URL is not asked.

use balcony_client::draft;
use balcony_sharing::dialect::{self, OutgoingShare};
use balcony_wire::Jid;
use serde_json::json;

use crate::cli;
use crate::connect;
use crate::console::Console;
use crate::exit::{Class, Failure};

/// Runs the command.
pub(crate) async fn run(console: &Console, args: &cli::Draft) -> Result<(), Failure> {
    let to = match &args.to {
        Some(to) => to.parse::<Jid>(),
        None => Jid::parse("somebody@example.org"),
    };
    let to = to.map_err(|error| Failure::from_error(Class::Usage, &error).advise("an address looks like juliet@example.org"))?;
    if !args.url.starts_with("https://") {
        return Err(Failure::new(Class::Usage, "the file must lie at an https: URL").advise("others do not fetch from anywhere else"));
    }
    let said = cli::Said { describe: args.describe.clone(), text: None, name: None, disposition: args.disposition };
    let file = draft(said.of(&args.file), &args.url).await.map_err(|error| connect::share_failure(&error))?;
    let share = OutgoingShare { to, to_room: false, id: random_id()?, text: None, files: vec![file] };
    for mut message in dialect::write(&share).into_messages() {
        if args.to.is_none() {
            message.to = None; // whoever sends it knows whom to
        }
        let xml = message.into_element().to_xml();
        console.result("message", json!({"xml": xml}), &xml);
    }
    Ok(())
}

fn random_id() -> Result<String, Failure> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).map_err(|error| Failure::new(Class::Local, format!("the system gives no random bytes: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

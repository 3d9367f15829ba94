//! What can be typed about rules and people.

use clap::{Args, Subcommand, ValueEnum, ValueHint};

/// `balcony policy`
#[derive(Debug, Args)]
pub(crate) struct Policy {
    #[command(subcommand)]
    pub(crate) action: Option<PolicyAction>,
}

/// How a rule is written.
const RULES: &str = "\
A rule is a sentence: VERDICT WHO [SIZE] [TYPES] [from PLACES] [CONDITIONS]

  VERDICT     fetch (unasked), ask, never
  WHO         everybody, contacts, strangers, own-devices, group NAME, an address,
              rooms, private-rooms (for members only), public-rooms, room ADDRESS
  SIZE        up to 10 MiB, over 1 GiB; a size nobody says counts as large
  TYPES       image/*, application/pdf: what the sender says that it is
  PLACES      message (the bytes came in it), own-server, senders-device (over XMPP),
              senders-server, third-hosts; a person's device in a session: relayed (by way
              of servers), peers (it sees your address)
  CONDITIONS  after fetch: even unproven, even metered, even attached
              after ask and never: if unproven, if metered, if attached
              (unproven: no hash proves it; metered: bytes cost money; attached: somebody
              else than the sender says where it is)

Commas stand between several of a kind. The first rule that is about a file decides.

Examples:
  balcony policy add fetch group Family up to 50 MiB 'image/*' from own-server, senders-server
  balcony policy add never strangers over 1 MiB
  balcony policy add ask everybody if metered
  balcony policy add fetch juliet@example.org even unproven";

/// What to do with the rules for fetching.
#[derive(Debug, Subcommand)]
#[command(mut_subcommand("add", |add| add.after_help(RULES)))]
pub(crate) enum PolicyAction {
    #[command(flatten)]
    Rules(RuleAction),
    /// Say which rule decides about a file, and why the others do not. Nothing is fetched.
    Test(PolicyTest),
}

/// What to do with rules, whatever they are about.
#[derive(Debug, Subcommand)]
pub(crate) enum RuleAction {
    /// Show them with their numbers, as written and in whole sentences.
    Show,
    /// Add one, before all others unless told otherwise.
    Add {
        /// The rule, in one or several words; quote what the shell would change, such as 'image/*'.
        #[arg(required = true, value_name = "RULE")]
        rule: Vec<String>,
        /// Give it this number.
        #[arg(long, value_name = "N")]
        at: Option<usize>,
    },
    /// Remove one.
    Remove {
        /// Its number.
        #[arg(value_name = "N")]
        number: usize,
    },
    /// Move one to another place.
    Move {
        /// Its number.
        #[arg(value_name = "N")]
        number: usize,
        /// The number it is to have.
        #[arg(value_name = "TO")]
        to: usize,
    },
    /// Go back to the rules everybody begins with.
    Reset,
}

/// `balcony policy test`
#[derive(Debug, Args)]
pub(crate) struct PolicyTest {
    /// Number of an offer, as `balcony list` shows it, or a file with a message that offers one.
    #[arg(value_name = "OFFER|FILE", value_hint = ValueHint::FilePath)]
    pub(crate) what: String,
    /// As if bytes cost money on this network.
    #[arg(long)]
    pub(crate) metered: bool,
    /// As if the message came from such a room.
    #[arg(long, value_enum)]
    pub(crate) room: Option<RoomArg>,
}

/// Who may enter a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoomArg {
    /// Members only.
    Private,
    /// Anybody.
    Public,
}

/// `balcony contacts`
#[derive(Debug, Args)]
pub(crate) struct Contacts {
    #[command(subcommand)]
    pub(crate) action: Option<ContactsAction>,
}

/// What to do with contacts.
#[derive(Debug, Subcommand)]
pub(crate) enum ContactsAction {
    /// List them, with their groups.
    List,
    /// Make somebody a contact, or put a contact into further groups. They are asked to show when they are there, and may see when you
    /// are.
    Add {
        /// Their address.
        jid: String,
        /// A group they belong to, for rules such as `fetch group Family`; may be given several times.
        #[arg(long, value_name = "NAME")]
        group: Vec<String>,
        /// What you call them.
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Tell them nothing: neither sees when the other is there.
        #[arg(long)]
        one_sided: bool,
    },
    /// Make somebody a stranger again; neither sees any more when the other is there.
    Remove {
        /// Their address.
        jid: String,
    },
}

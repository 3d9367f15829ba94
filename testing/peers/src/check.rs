//! The kit's own checks, run against any server that tells its endpoints.

use crate::peers::output;
use crate::{Endpoints, PeerError, Peers};

impl Peers {
    /// Runs a check of the kit (`slix-e2e`, `go-sendxmpp-test`, `profanity-test`, `resume-check`) against a server, ours
    /// or theirs, and returns its report. `settings` are environment variables, such as `("STEPS", "upload sims sfs")`.
    pub fn check(&self, name: &str, endpoints: &Endpoints, settings: &[(&str, &str)]) -> Result<String, PeerError> {
        output(self.script(name).arg(endpoints.file()).envs(settings.iter().copied()))
    }
}

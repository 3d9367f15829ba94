//! A person's rules as text: whatever can be read is written in a form that means the same, and mistakes are named.

use balcony_sharing::plan::Policy;

/// Rules.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match text.parse::<Policy>() {
        Ok(policy) => {
            let written = policy.to_string();
            assert_eq!(written.parse::<Policy>().as_ref(), Ok(&policy), "{written}");
            assert_eq!(written.lines().filter(|line| !line.is_empty()).count(), policy.rules().len(), "a line for each: {written}");
            policy.rules().iter().for_each(|rule| assert!(!rule.words().is_empty()));
        }
        Err(error) => {
            let line = text.lines().nth(error.line - 1).unwrap_or_default();
            assert!(error.column >= 1 && error.column <= line.chars().count() + 2, "{error}");
            assert!(!error.problem.is_empty() && error.to_string().len() < text.len() + 1_000, "{error}");
        }
    }
}

/// Those of the manual, and every clause there is.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "fetch contacts, own-devices up to 10 MiB from message, own-server, senders-device, relayed, senders-server\nask everybody",
        "fetch group Family image/*, video/* up to 1 GiB even metered\nnever strangers over 1 MiB\n# mine\n\nask rooms",
        "never room coven@chat.lit from third-hosts, peers even unproven\nfetch romeo@montague.lit even attached",
        "fetch group \"Old \\\"friends\\\"\" text/plain\nask private-rooms, public-rooms up to 5 bytes",
        "fetch",
        "never nobody up to -1 TiB from",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

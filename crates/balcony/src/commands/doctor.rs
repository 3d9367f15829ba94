//! `balcony doctor`: what the account's server can do, in plain words.

use balcony_client::{Availability, Report};
use balcony_session::Security;
use balcony_sharing::ByteLen;
use serde_json::json;

use crate::connect;
use crate::console::Console;
use crate::exit::Failure;
use crate::home::Home;
use crate::safe::Safe;

/// How a finding is to be taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Good,
    Missing,
    Bad,
}

/// One line of the report.
struct Finding {
    mark: Mark,
    about: &'static str,
    words: String,
}

/// Runs the command.
pub(crate) async fn run(console: &Console, home: &Home, named: Option<&str>) -> Result<(), Failure> {
    let account = connect::account(home, named, Availability::Hidden).await?;
    let report = account.report().await.map_err(|error| Failure::from_error(connect::class_of(error.class()), &error));
    account.close().await;
    let report = report?;
    console.step(
        "account",
        json!({"jid": report.login.jid.as_str()}),
        format!("{} at {}", report.login.jid.bare(), Safe(&report.login.host)),
    );
    for Finding { mark, about, words } in findings(&report) {
        let (sign, name) = match mark {
            Mark::Good => ("✓", "good"),
            Mark::Missing => ("–", "missing"),
            Mark::Bad => ("✗", "bad"),
        };
        console.result("finding", json!({"about": about, "mark": name, "words": words}), format!("{sign} {words}"));
    }
    Ok(())
}

fn findings(report: &Report) -> Vec<Finding> {
    let mut all = vec![encryption(report), login(report)];
    all.extend(uploads(report));
    all.push(proxy(report));
    all.push(resumption(report));
    all.push(yes_no(
        report.has_carbons(),
        "carbons",
        "messages reach all your devices (carbons)",
        "messages reach only one of your devices: the server has no carbons",
    ));
    all.push(yes_no(
        report.has_archive(),
        "archive",
        "messages are kept for devices that come later (archive)",
        "a device that is offline may miss files: the server keeps no archive",
    ));
    all.extend(report.services.silent.iter().map(|(jid, why)| Finding {
        mark: Mark::Bad,
        about: "service",
        words: format!("{} is listed by the server but gives no answer: {}", Safe(jid.as_str()), Safe(why)),
    }));
    if let Some(software) = report.software() {
        all.push(Finding { mark: Mark::Good, about: "software", words: format!("the server calls itself {}", Safe(software)) });
    }
    all
}

fn encryption(report: &Report) -> Finding {
    let how = match report.login.security {
        Security::StartTls => "started on the stream",
        Security::DirectTls => "from the first byte",
    };
    Finding {
        mark: Mark::Good,
        about: "encryption",
        words: format!("encrypted to the server with {}, {how}, certificate checked", report.login.tls),
    }
}

fn login(report: &Report) -> Finding {
    let learned = &report.login.learned;
    let name = learned.mechanism.name();
    match (learned.binding, learned.keys.is_some()) {
        (Some(binding), _) => Finding {
            mark: Mark::Good,
            about: "login",
            words: format!("login by {name}, bound to this very connection ({})", binding.name()),
        },
        (None, true) => Finding {
            mark: Mark::Good,
            about: "login",
            words: format!("login by {name}: the server never sees the password; no binding to the connection"),
        },
        (None, false) => {
            Finding { mark: Mark::Bad, about: "login", words: format!("login by {name}: the server sees the password at each login") }
        }
    }
}

fn uploads(report: &Report) -> Vec<Finding> {
    if report.services.uploads.is_empty() {
        let words =
            "no upload service: files cannot be left for people who are offline. Ask whoever runs the server for HTTP upload (XEP-0363)"
                .to_owned();
        return vec![Finding { mark: Mark::Bad, about: "upload", words }];
    }
    let line = |service: &balcony_client::UploadService| {
        let limit = match service.max_file_size {
            Some(limit) => format!("up to {} each", ByteLen(limit)),
            None => "of a size it does not tell".to_owned(),
        };
        Finding { mark: Mark::Good, about: "upload", words: format!("{} takes files {limit}", Safe(service.jid.as_str())) }
    };
    report.services.uploads.iter().map(line).collect()
}

fn proxy(report: &Report) -> Finding {
    match report.services.proxies.first() {
        Some(jid) => Finding {
            mark: Mark::Good,
            about: "proxy",
            words: format!("{} carries files to people whom you cannot reach otherwise", Safe(jid.as_str())),
        },
        None => Finding {
            mark: Mark::Missing,
            about: "proxy",
            words: "files to people whom you cannot reach go in band, slowly: the server tells of no proxy for byte streams".to_owned(),
        },
    }
}

fn resumption(report: &Report) -> Finding {
    match report.login.learned.resumable {
        Some(promise) => {
            let within = promise.within.map_or_else(String::new, |within| format!(" within {} s", within.as_secs()));
            Finding {
                mark: Mark::Good,
                about: "resumption",
                words: format!("a broken connection is taken up again{within}, nothing is lost"),
            }
        }
        None => Finding {
            mark: Mark::Missing,
            about: "resumption",
            words: "what is under way when a connection breaks may be lost: no stream resumption".to_owned(),
        },
    }
}

fn yes_no(is_there: bool, about: &'static str, yes: &str, no: &str) -> Finding {
    Finding { mark: if is_there { Mark::Good } else { Mark::Missing }, about, words: (if is_there { yes } else { no }).to_owned() }
}

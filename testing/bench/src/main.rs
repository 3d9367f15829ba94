//! Measures one thing and prints one number. `cargo xtask bench` runs it and keeps the median.
//!
//! ```text
//! testing-bench login COUNT ENDPOINTS       milliseconds from TCP to bound, median of COUNT logins
//! testing-bench messages COUNT ENDPOINTS    messages a second from alice to bob, in order and none lost
//! testing-bench blocks BYTES WINDOW ENDPOINTS   MB/s of in-band blocks of 4,096 bytes from alice to bob, WINDOW of them unanswered at most
//! testing-bench relayed BYTES ENDPOINTS     MB/s from alice through the server's SOCKS5 proxy
//! testing-bench take FILE ADDRESS           listens at ADDRESS, says where, takes a bare copy: bytes, written, hashed and synced
//! testing-bench give FILE ADDRESS           seconds to give FILE to who listens there
//! testing-bench offers COUNT                messages a second from bytes to offers, on one core
//! testing-bench dialect COUNT NAME          the same for one dialect
//! testing-bench dialects                    their names, a line each, then how many there are
//! testing-bench plan COUNT                  microseconds for the plan of an offer with 50 sources
//! testing-bench seal FILE TO                seconds to encrypt a file by ring
//! testing-bench offer-sealed FILE URL ENDPOINTS   offers the file, encrypted bytes of which are at URL, from alice to bob; its size
//! ```
//! ENDPOINTS is a file of `KEY=VALUE` lines, as `balcony serve --endpoints` and the kit of foreign servers write it.

mod client;
mod copying;
mod dialects;
mod in_band;
mod offers;
mod pair;
mod plans;
mod relayed;
mod sealed;
mod streams;

use std::process::ExitCode;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(number) => {
            println!("{number:.3}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("testing-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<f64> {
    match arguments {
        ["login", count, endpoints] => streams::login(count.parse()?, endpoints.as_ref()),
        ["messages", count, endpoints] => streams::messages(count.parse()?, endpoints.as_ref()),
        ["blocks", size, window, endpoints] => in_band::blocks(size.parse()?, window.parse()?, endpoints.as_ref()),
        ["relayed", size, endpoints] => relayed::relayed(size.parse()?, endpoints.as_ref()),
        ["take", to, address] => copying::take(to.as_ref(), address),
        ["give", file, address] => copying::give(file.as_ref(), address),
        ["offers", count] => offers::measure(count.parse()?),
        ["dialects"] => dialects::names().map(|names| {
            names.iter().for_each(|name| println!("{name}"));
            names.len() as f64
        }),
        ["dialect", count, name] => dialects::measure(count.parse()?, name),
        ["plan", count] => plans::measure(count.parse()?),
        ["seal", file, to] => sealed::seal(file.as_ref(), to.as_ref()),
        ["offer-sealed", file, url, endpoints] => sealed::offer(file.as_ref(), url, endpoints.as_ref()),
        _ => Err("it takes what the head of testing/bench/src/main.rs lists".into()),
    }
}

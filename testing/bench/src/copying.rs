//! The bare copy that transfers are held against: a file over one TCP connection, written, hashed by SHA-256 and synced. It asks
//! nobody, agrees on nothing, and has no second connection.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use ring::digest::{Context, SHA256};

use crate::Result;

const BLOCK: usize = 256 * 1024;
const PATIENCE: Duration = Duration::from_secs(600);

/// Listens at `address` and says so with a line; takes one file. Its size in bytes, once it is on the disk and hashed.
pub(crate) fn take(to: &Path, address: &str) -> Result<f64> {
    let listener = TcpListener::bind(address)?;
    println!("{}", listener.local_addr()?);
    let (mut from, _) = listener.accept()?;
    from.set_read_timeout(Some(PATIENCE))?;
    let mut file = File::create(to)?;
    let mut hash = Context::new(&SHA256);
    let mut block = vec![0; BLOCK];
    let mut size = 0_u64;
    loop {
        let count = from.read(&mut block)?;
        if count == 0 {
            break;
        }
        file.write_all(&block[..count])?;
        hash.update(&block[..count]);
        size += count as u64;
    }
    file.sync_all()?;
    let digest: String = hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    eprintln!("{digest}");
    // So that whoever gives knows that it is over.
    from.write_all(&[1])?;
    Ok(size as f64)
}

/// Gives a file to who listens at `address`; the time it took in seconds, to the other side's word that it is on the disk.
pub(crate) fn give(file: &Path, address: &str) -> Result<f64> {
    let started = std::time::Instant::now();
    let mut file = File::open(file)?;
    let mut to = TcpStream::connect(address)?;
    to.set_read_timeout(Some(PATIENCE))?;
    let mut block = vec![0; BLOCK];
    loop {
        let count = file.read(&mut block)?;
        if count == 0 {
            break;
        }
        to.write_all(&block[..count])?;
    }
    to.shutdown(std::net::Shutdown::Write)?;
    to.read_exact(&mut [0])?;
    Ok(started.elapsed().as_secs_f64())
}

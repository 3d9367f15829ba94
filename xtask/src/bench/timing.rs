//! Times and watches processes, and makes large files.

use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;

/// Runs a command to its end; its wall time in seconds and what it printed.
pub(super) fn timed(command: &mut Command) -> Result<(f64, String)> {
    let name = command.get_program().to_string_lossy().into_owned();
    let started = Instant::now();
    let done = command.stdin(Stdio::null()).output().map_err(|error| format!("cannot run {name}: {error}"))?;
    let took = started.elapsed().as_secs_f64();
    let printed = String::from_utf8_lossy(&done.stdout).into_owned();
    if done.status.success() {
        Ok((took, printed))
    } else {
        Err(format!("{name} failed: {printed}{}", String::from_utf8_lossy(&done.stderr)))
    }
}

/// Runs a command to its end; the most memory it ever had resident, in MiB.
pub(super) fn peak_memory(command: &mut Command, log: &Path) -> Result<f64> {
    let name = command.get_program().to_string_lossy().into_owned();
    let file = || std::fs::File::create(log).map_err(|error| format!("cannot write {}: {error}", log.display()));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file()?)
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|error| format!("cannot run {name}: {error}"))?;
    let mut peak = 0.0;
    loop {
        peak = f64::max(peak, resident(&child).unwrap_or(0.0));
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(peak),
            Ok(Some(status)) => return Err(format!("{name} ended with {status}, see {}", log.display())),
            Ok(None) => std::thread::sleep(Duration::from_millis(20)),
            Err(error) => return Err(format!("cannot wait for {name}: {error}")),
        }
    }
}

/// The high-water mark of a process's resident memory, in MiB.
pub(super) fn resident(child: &Child) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1024.0)
}

/// What was written earlier reaches the disk now, not during what is measured.
pub(super) fn settle() {
    let synced = Command::new("sync").status();
    if !synced.is_ok_and(|status| status.success()) {
        eprintln!("sync does not work here: times may be disturbed");
    }
}

/// The value in the middle.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

/// Makes `folder` and empties it.
pub(super) fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(|error| format!("cannot empty {}: {error}", folder.display()))?;
    }
    std::fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))
}

/// A file of noise that no compression shrinks.
pub(super) fn make_file(path: &Path, size: u64) -> Result<()> {
    let make = || -> std::io::Result<()> {
        let mut block = vec![0; 1 << 20];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut block)?;
        let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
        let (mut left, mut number) = (size, 0_u64);
        while left > 0 {
            number += 1;
            block[..8].copy_from_slice(&number.to_le_bytes()); // no two blocks are equal
            let now = left.min(block.len() as u64);
            file.write_all(&block[..now as usize])?;
            left -= now;
        }
        file.flush()
    };
    make().map_err(|error| format!("cannot make {}: {error}", path.display()))
}

/// Changes a file a little, so that nobody knows it by an earlier digest.
pub(super) fn freshen(path: &Path) -> Result<()> {
    let change = || -> std::io::Result<()> {
        let mut bytes = [0; 16];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        let mut file = std::fs::File::options().write(true).open(path)?;
        file.seek(std::io::SeekFrom::Start(8))?;
        file.write_all(&bytes)
    };
    change().map_err(|error| format!("cannot change {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_value_in_the_middle() {
        assert_eq!(median(&[5.0, 1.0, 9.0]), 5.0);
        assert_eq!(median(&[1.0, 4.0]), 2.5);
    }
}

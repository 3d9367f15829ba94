//! From the bytes of a message to what it offers.

use std::time::Instant;

use balcony_wire::Element;

use crate::Result;

/// Reads the message `count` times.
pub(crate) fn measure(count: usize) -> Result<f64> {
    let started = Instant::now();
    for _ in 0..count {
        std::hint::black_box(Element::parse(std::hint::black_box(MESSAGE))?);
    }
    Ok(count as f64 / started.elapsed().as_secs_f64())
}

const MESSAGE: &str = "<a/>";

//! Names that peers chose become one safe path component.

use balcony_sharing::FileName;
use url::Url;

use crate::offered::is_safe;

/// A name.
pub(crate) fn run(data: &[u8]) {
    let name = String::from_utf8_lossy(data);
    let safe = FileName::from_peer(&name);
    is_safe(&safe);
    for number in [2, 17, u32::MAX] {
        let numbered = safe.numbered(number);
        is_safe(&numbered);
        assert!(numbered.as_str().contains(&format!("({number})")), "{numbered}");
    }
    // As the end of a URL: written by a browser, and percent-encoded byte by byte.
    let encoded: String = data.iter().map(|byte| format!("%{byte:02x}")).collect();
    for url in [format!("https://h.lit/{name}"), format!("https://h.lit/a/{encoded}"), format!("https://h.lit/{encoded}?{name}#{name}")] {
        if let Some(name) = Url::parse(&url).ok().and_then(|url| FileName::from_url(&url)) {
            is_safe(&name);
        }
    }
}

//! XEP-0104 data as headers of a request: what a sender may ask us to say to the origin of a link (decision 17).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use balcony_wire::url_data::HttpDataKind;

use crate::source::UrlSource;

/// The headers, refused data left out; all cookies in one header.
pub(super) fn of(source: &UrlSource) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    let mut cookies = Vec::new();
    for data in source.http.iter().filter(|data| data.refused.is_none()) {
        match &data.kind {
            HttpDataKind::Header { name, value } => headers.push((name.clone(), value.clone())),
            HttpDataKind::Cookie { name, value, .. } => cookies.push(format!("{name}={value}")),
            HttpDataKind::Auth { params, .. } => headers.extend(basic(params)),
        }
    }
    if !cookies.is_empty() {
        headers.push(("Cookie".to_owned(), cookies.join("; ")));
    }
    headers
}

/// RFC 7617; the only scheme that is not refused.
fn basic(params: &[(String, String)]) -> Option<(String, String)> {
    let get = |wanted: &str| params.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let pair = format!("{}:{}", get("username")?, get("password").unwrap_or_default());
    Some(("Authorization".to_owned(), format!("Basic {}", STANDARD.encode(pair))))
}

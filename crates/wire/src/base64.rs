//! RFC 4648 §4 Base64 as XMPP uses it: standard alphabet, padding required, unused bits zero. White space of XML is
//! taken out on input (listings of several XEPs are folded), never written.

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;

/// Why a text is no base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is no base64")]
pub struct Base64Error;

/// Writes bytes, without white space.
#[must_use]
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// Reads bytes.
///
/// # Errors
/// For characters outside the alphabet, missing or superfluous padding, and unused bits that are not zero.
pub fn decode(text: &str) -> Result<Vec<u8>, Base64Error> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    if text.as_bytes().iter().any(is_space) {
        let text: Vec<u8> = text.bytes().filter(|byte| !is_space(byte)).collect();
        STANDARD.decode(text).map_err(|_| Base64Error) // where it went wrong is of no use to anybody
    } else {
        STANDARD.decode(text).map_err(|_| Base64Error) // the same
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unhex(text: &str) -> Vec<u8> {
        text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    #[test]
    fn reads_what_the_table_allows_and_nothing_else() {
        for case in testing_corpus::cases("base64") {
            let text = case["text"].as_str().unwrap();
            match case["ok"].as_bool() {
                Some(false) => assert_eq!(decode(text), Err(Base64Error), "{text}"),
                _ => assert_eq!(decode(text).unwrap(), unhex(case["hex"].as_str().unwrap()), "{text}"),
            }
        }
    }

    #[test]
    fn writes_no_white_space() {
        assert_eq!(encode(vec![0xff; 200]).find(char::is_whitespace), None);
        assert_eq!(encode(b"fo"), "Zm8=");
    }
}

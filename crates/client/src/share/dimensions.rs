//! Width and height of common pictures, from the first bytes of the file. Decodes nothing, allocates nothing, trusts no length.

/// How much of a file is worth reading: a JPEG may carry a preview and colour profiles in front of its size.
pub(crate) const HEAD: usize = 256 * 1024;

/// Width and height as the file states them; `None` for anything else and anything odd.
pub(crate) fn dimensions(head: &[u8]) -> Option<(u32, u32)> {
    let found = png(head).or_else(|| gif(head)).or_else(|| webp(head)).or_else(|| jpeg(head));
    found.filter(|(width, height)| *width > 0 && *height > 0)
}

fn bytes<const N: usize>(head: &[u8], at: usize) -> Option<[u8; N]> {
    head.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn png(head: &[u8]) -> Option<(u32, u32)> {
    head.strip_prefix(b"\x89PNG\r\n\x1a\n")?;
    (bytes(head, 12)? == *b"IHDR").then_some(())?;
    Some((u32::from_be_bytes(bytes(head, 16)?), u32::from_be_bytes(bytes(head, 20)?)))
}

fn gif(head: &[u8]) -> Option<(u32, u32)> {
    if !head.starts_with(b"GIF87a") && !head.starts_with(b"GIF89a") {
        return None;
    }
    Some((u16::from_le_bytes(bytes(head, 6)?).into(), u16::from_le_bytes(bytes(head, 8)?).into()))
}

fn webp(head: &[u8]) -> Option<(u32, u32)> {
    if !head.starts_with(b"RIFF") || bytes(head, 8)? != *b"WEBP" {
        return None;
    }
    let low14 = |at| Some(u32::from(u16::from_le_bytes(bytes(head, at)?) & 0x3fff));
    let plus_one_24 = |at| {
        let [a, b, c] = bytes(head, at)?;
        Some(u32::from_le_bytes([a, b, c, 0]) + 1)
    };
    match &bytes::<4>(head, 12)? {
        b"VP8 " => {
            (bytes(head, 23)? == [0x9d, 0x01, 0x2a]).then_some(())?;
            Some((low14(26)?, low14(28)?))
        }
        b"VP8L" => {
            (bytes(head, 20)? == [0x2f]).then_some(())?;
            let bits = u32::from_le_bytes(bytes(head, 21)?);
            Some(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
        }
        b"VP8X" => Some((plus_one_24(24)?, plus_one_24(27)?)),
        _ => None,
    }
}

/// Walks the segments to the frame header.
fn jpeg(head: &[u8]) -> Option<(u32, u32)> {
    head.strip_prefix(b"\xff\xd8")?;
    let mut at = 2;
    loop {
        let [0xff, marker] = bytes(head, at)? else { return None };
        match marker {
            // Fill bytes.
            0xff => at += 1,
            // Without length.
            0x01 | 0xd0..=0xd7 => at += 2,
            // Frame headers; c4, c8 and cc are tables and reserved.
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                let (height, width) = (u16::from_be_bytes(bytes(head, at + 5)?), u16::from_be_bytes(bytes(head, at + 7)?));
                return Some((width.into(), height.into()));
            }
            // The picture itself, or its end: too late.
            0xd8..=0xda => return None,
            _ => {
                let length = usize::from(u16::from_be_bytes(bytes(head, at + 2)?));
                at += 2 + length.max(2);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Heads as the encoders of libpng, giflib, libwebp and libjpeg write them.
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0\x08\x02\0\0\0";
    const GIF: &[u8] = b"GIF89a\x80\x02\xe0\x01\xf7\0\0";
    const VP8: &[u8] = b"RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0\x30\x01\0\x9d\x01\x2a\x80\x02\xe0\x01\x02\0";
    const VP8L: &[u8] = b"RIFF\x24\0\0\0WEBPVP8L\x18\0\0\0\x2f\x7f\xc2\x77\0";
    const VP8X: &[u8] = b"RIFF\x24\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0\x7f\x02\0\xdf\x01\0";
    const JPEG: &[u8] =
        b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xdb\0\x05\0\x01\x02\xff\xc4\0\x04\0\0\xff\xff\xc2\0\x11\x08\x01\xe0\x02\x80\x03";

    #[test]
    fn reads_the_size_of_each_kind() {
        for (kind, head) in [("png", PNG), ("gif", GIF), ("vp8", VP8), ("vp8l", VP8L), ("vp8x", VP8X), ("jpeg", JPEG)] {
            assert_eq!(dimensions(head), Some((640, 480)), "{kind}");
        }
    }

    #[test]
    fn says_nothing_about_what_is_cut_off_or_something_else() {
        for head in [PNG, GIF, VP8, VP8L, VP8X, JPEG] {
            for length in 0..head.len().min(24) {
                // A GIF is complete after ten bytes, a PNG and a JPEG never before these.
                if head != GIF || length < 10 {
                    assert_eq!(dimensions(&head[..length]), None, "{length} of {head:?}");
                }
            }
        }
        assert_eq!(dimensions(b"<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'/>"), None);
        assert_eq!(dimensions(b"\xff\xd8\xff\xda\0\x02"), None);
    }

    #[test]
    fn a_picture_of_no_size_has_no_dimensions() {
        assert_eq!(dimensions(b"GIF89a\0\0\x01\0"), None);
    }

    #[test]
    fn segments_that_lie_about_their_length_end_the_search() {
        assert_eq!(dimensions(b"\xff\xd8\xff\xe0\0\0\xff\xe0\0\0\xff\xe0\xff\xff"), None);
    }
}

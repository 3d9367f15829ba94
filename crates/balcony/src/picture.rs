//! The picture that `balcony try` sends when it is given no file: a balcony at night, drawn anew each time, so that no
//! two runs share a digest.

use image::{ImageEncoder as _, Rgb, RgbImage};

const WIDTH: u32 = 960;
const HEIGHT: u32 = 540;

/// A PNG of a balcony under stars; `seed` moves the stars.
pub(crate) fn png(seed: u64) -> Result<Vec<u8>, image::ImageError> {
    let mut picture = RgbImage::from_fn(WIDTH, HEIGHT, sky);
    stars(&mut picture, seed);
    moon(&mut picture);
    house(&mut picture);
    let mut bytes = Vec::new();
    image::codecs::png::PngEncoder::new(&mut bytes).write_image(&picture, WIDTH, HEIGHT, image::ExtendedColorType::Rgb8)?;
    Ok(bytes)
}

fn sky(_x: u32, y: u32) -> Rgb<u8> {
    let down = y * 255 / HEIGHT;
    let shade = |from: u32, to: u32| u8::try_from((from * (255 - down) + to * down) / 255).unwrap_or(u8::MAX);
    Rgb([shade(14, 92), shade(18, 62), shade(48, 98)])
}

fn stars(picture: &mut RgbImage, seed: u64) {
    let mut state = seed | 1;
    for _ in 0..160 {
        // xorshift: chance enough for stars
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let x = u32::try_from(state % u64::from(WIDTH)).unwrap_or(0);
        let y = u32::try_from((state >> 20) % u64::from(HEIGHT * 2 / 3)).unwrap_or(0);
        let light = 150 + u8::try_from((state >> 40) % 106).unwrap_or(0);
        picture.put_pixel(x, y, Rgb([light, light, light]));
    }
}

fn moon(picture: &mut RgbImage) {
    disc(picture, 760, 110, 46, Rgb([244, 238, 206]));
}

fn disc(picture: &mut RgbImage, cx: i64, cy: i64, radius: i64, colour: Rgb<u8>) {
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        let (dx, dy) = (i64::from(x) - cx, i64::from(y) - cy);
        if dx * dx + dy * dy <= radius * radius {
            *pixel = colour;
        }
    }
}

fn fill(picture: &mut RgbImage, x: std::ops::Range<u32>, y: std::ops::Range<u32>, colour: Rgb<u8>) {
    for row in y {
        for column in x.clone() {
            picture.put_pixel(column, row, colour);
        }
    }
}

fn house(picture: &mut RgbImage) {
    let (wall, dark, light, iron) = (Rgb([58, 44, 52]), Rgb([30, 24, 30]), Rgb([250, 204, 120]), Rgb([18, 14, 18]));
    fill(picture, 60..470, 130..540, wall);
    fill(picture, 190..340, 190..400, dark);
    fill(picture, 202..328, 202..400, light);
    fill(picture, 262..268, 202..400, dark);
    fill(picture, 130..400, 400..416, iron);
    fill(picture, 130..400, 318..326, iron);
    for rail in (130..400).step_by(18) {
        fill(picture, rail..rail + 4, 322..402, iron);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn another_seed_is_another_picture() {
        let (a, b) = (super::png(1).expect("drawn"), super::png(2).expect("drawn"));
        assert!(a.starts_with(b"\x89PNG"));
        assert_ne!(a, b);
    }
}

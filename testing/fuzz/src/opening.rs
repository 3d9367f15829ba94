//! Encrypted files, opened as they come: the same in whatever pieces, never more than the file has, and a changed byte is noticed
//! where there is a tag.

use balcony_sharing::cipher::{Cipher, Decipher, Envelope, Fault, Opened, Secret};

use crate::choices::Choices;

/// The cipher, the size that was announced, what is there already, the pieces, then the encrypted bytes.
pub(crate) fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let cipher = choices.one_of(&Cipher::ALL);
    let pieces = [choices.byte(), choices.byte()].map(|length| 1 + usize::from(length));
    let size = choices.yes().then(|| choices.number(&[0, 16, 40, 64]));
    let wire = choices.rest();
    let envelope = envelope(cipher, size);
    let (whole, end) = open(&envelope, &[], [wire]);
    let mut lengths = pieces.into_iter().cycle();
    let mut rest = wire;
    let cut = std::iter::from_fn(|| {
        let (piece, behind) = rest.split_at(lengths.next()?.min(rest.len()));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    });
    assert_eq!(open(&envelope, &[], cut), (whole.clone(), end), "in whatever pieces");
    assert!(size.is_none_or(|size| whole.len() as u64 <= size), "more than the file has");
    if let Ok(opened) = &end {
        assert_eq!(opened.wire(), wire.len() as u64);
        assert!(size.is_none_or(|size| whole.len() as u64 == size), "less than the file has");
        assert!(cipher.has_tag() || !opened.is_authentic());
    }
    goes_on(&envelope, wire, &whole, &end, pieces[0]);
}

/// A later fetch takes the plain bytes that are there, and comes to the same end.
fn goes_on(envelope: &Envelope, wire: &[u8], whole: &[u8], end: &Result<Opened, Fault>, staged: usize) {
    let kept = envelope.keeps(staged.min(whole.len()) as u64);
    let kept = usize::try_from(kept).unwrap();
    assert!(kept <= staged);
    let (plain, later) = open(envelope, &whole[..kept], [&wire[kept.min(wire.len())..]]);
    assert_eq!((plain.as_slice(), &later), (&whole[kept..], end), "it goes on behind {kept}");
}

fn open<'a>(envelope: &Envelope, staged: &[u8], pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Result<Opened, Fault>) {
    let mut decipher = Decipher::new(envelope);
    decipher.relearn(&mut staged.to_vec());
    let mut plain = Vec::new();
    for piece in pieces {
        let mut room = vec![0; piece.len() + 16];
        let given = decipher.update(piece, &mut room);
        plain.extend_from_slice(&room[..given]);
    }
    (plain, decipher.finish())
}

fn envelope(cipher: Cipher, size: Option<u64>) -> Envelope {
    let iv = if cipher.has_tag() { 12 } else { 16 };
    let secret = Secret::new(cipher, vec![7; cipher.key_len()], vec![9; iv]).unwrap();
    Envelope { secret, size, ciphertext: Default::default() }
}

/// Right ones: of each cipher, with and without a tag.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let sealed = |(at, cipher): (usize, Cipher)| {
        let mut bytes = vec![b'x'; 64];
        Decipher::new(&envelope(cipher, Some(64))).relearn(&mut bytes);
        let head = [at as u8, 15, 3, 1, 3, 3];
        [bytes.len(), 63, 33, 20].map(|length| [&head, &bytes[..length]].concat())
    };
    Cipher::ALL.into_iter().enumerate().flat_map(sealed).collect()
}
